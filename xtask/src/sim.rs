// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask sim`: the overlay at scale, in virtual time, by `dvs-sim`.

use std::process::{Command, ExitCode};

use crate::packages::{BUILD, require};
use crate::run::{Outcome, cargo, last, step, target_directory};

pub(crate) fn run(arguments: &[String]) -> Outcome<ExitCode> {
    require(&[BUILD])?;
    step(cargo().args(["build", "--release", "--bin", "dvs-sim"]))?;
    let mut simulation = Command::new(target_directory().join("release/dvs-sim"));
    simulation.args(arguments);
    last(simulation)
}
