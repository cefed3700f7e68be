// SPDX-License-Identifier: GPL-3.0-or-later
//! `dvs-tui`, the terminal client of DVS: the full screen without arguments, one action with a verb.

mod attach;
mod cli;
mod failed;
mod ui;
mod verbs;

use std::process::ExitCode;

use crate::cli::Cli;
use crate::failed::Failed;

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match run(cli) {
        Ok(code) => code,
        Err(failed) => failed.report(),
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failed> {
    match cli.verb {
        Some(verb) => verbs::run(verb, &cli.common).map(|()| ExitCode::SUCCESS),
        None if cli.common.json => Err(Failed::usage("--json needs a verb, for example: dvs-tui status --json")),
        None => ui::run(ui::Options {
            runtime_dir: cli.common.runtime_dir,
            fps: cli.fps,
            unicode: cli.ascii.then_some(false),
            quiet: cli.quiet,
        })
        .map_err(|error| Failed::internal(format!("{error:#}"))),
    }
}
