// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask bench call`: one call beside the least that a call can cost, measured by `dvs-bench`.

use std::process::{Command, ExitCode};

use crate::packages::{BUILD, SPEECH, require};
use crate::run::{Outcome, cargo, last, step, target_directory};

pub(crate) fn run(arguments: &[String]) -> Outcome<ExitCode> {
    if arguments.first().map(String::as_str) != Some("call") {
        return Err("usage: cargo xtask bench call [--json] [--seconds N]".to_owned());
    }
    require(&[BUILD, SPEECH])?;
    step(cargo().args(["build", "--release", "--bin", "dvsd", "--bin", "dvs-bench"]))?;
    let mut bench = Command::new(target_directory().join("release/dvs-bench"));
    bench.args(arguments);
    last(bench)
}
