// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask bench`, by `dvs-bench`: a call beside the least that a call can cost, how long its set-up takes, and what
//! cryptography costs.

use std::process::{Command, ExitCode};

use crate::packages::{BUILD, COUNTING, SPEECH, require};
use crate::run::{Outcome, cargo, last, step, target_directory};

pub(crate) fn run(arguments: &[String]) -> Outcome<ExitCode> {
    match arguments.first().map(String::as_str) {
        Some("call") => {
            require(&[BUILD, SPEECH])?;
            step(cargo().args(["build", "--release", "--bin", "dvsd", "--bin", "dvs-bench"]))?;
        }
        Some("setup") => {
            require(&[BUILD])?;
            step(cargo().args(["build", "--release", "--bin", "dvs-bench"]))?;
        }
        Some("crypto") => {
            require(&[BUILD, COUNTING])?;
            step(cargo().args(["build", "--release", "--bin", "dvs-bench"]))?;
        }
        _ => {
            return Err(
                "usage: cargo xtask bench call [--json] [--seconds N] | bench setup [--json] | bench crypto [--json]"
                    .to_owned(),
            );
        }
    }
    let mut bench = Command::new(target_directory().join("release/dvs-bench"));
    bench.args(arguments);
    last(bench)
}
