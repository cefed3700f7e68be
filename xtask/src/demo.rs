// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask demo`: builds the daemon, the client and `dvs-demo`, and runs the latter.

use std::process::{Command, ExitCode};

use crate::packages::{BUILD, SPEECH, require};
use crate::run::{Outcome, cargo, last, step, target_directory};

/// What `dvs-demo` understands.
const OPTIONS: [&str; 3] = ["--json", "--tui", "--alsa"];

pub(crate) fn run(arguments: &[String]) -> Outcome<ExitCode> {
    if let Some(unknown) = arguments.iter().find(|argument| !OPTIONS.contains(&argument.as_str())) {
        return Err(format!("demo knows {}, not {unknown}", OPTIONS.join(", ")));
    }
    require(&[BUILD, SPEECH])?;
    step(cargo().args(["build", "--bin", "dvsd", "--bin", "dvs-tui", "--bin", "dvs-demo"]))?;
    let mut demo = Command::new(target_directory().join("debug/dvs-demo"));
    demo.args(arguments);
    last(demo)
}
