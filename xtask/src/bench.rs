// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask bench`, by `dvs-bench`: `call`, one call beside the least that a call can cost; `setup`, how long it takes until
//! it rings.

use std::process::{Command, ExitCode};

use crate::packages::{BUILD, SPEECH, require};
use crate::run::{Outcome, cargo, last, step, target_directory};

pub(crate) fn run(arguments: &[String]) -> Outcome<ExitCode> {
    let packages: &[_] = match arguments.first().map(String::as_str) {
        Some("call") => &[BUILD, SPEECH],
        Some("setup") => &[BUILD],
        _ => return Err("usage: cargo xtask bench call [--json] [--seconds N] | bench setup [--json]".to_owned()),
    };
    require(packages)?;
    step(cargo().args(["build", "--release", "--bin", "dvsd", "--bin", "dvs-bench"]))?;
    let mut bench = Command::new(target_directory().join("release/dvs-bench"));
    bench.args(arguments);
    last(bench)
}
