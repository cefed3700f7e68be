// SPDX-License-Identifier: GPL-3.0-or-later
//! The overlay at scale, in virtual time. `cargo xtask sim` builds and runs it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that shows what it does")]

mod options;
mod progress;

use std::process::ExitCode;

use dvs_tests::sim::simulate;

use crate::options::Options;
use crate::progress::Bar;

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)) {
        Ok(options) => run(&options),
        Err(error) => {
            eprintln!("sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> ExitCode {
    for settings in &options.runs {
        let mut bar = Bar::new();
        let figures = simulate(settings, &mut |what, share| bar.show(what, share));
        bar.end(&format!("{} nodes", settings.nodes));
        println!("{}", figures.json());
    }
    ExitCode::SUCCESS
}
