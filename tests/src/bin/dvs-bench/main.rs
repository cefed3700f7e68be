// SPDX-License-Identifier: GPL-3.0-or-later
//! One call of DVS beside the least that a call can cost, on the same machine, sound cards and settings, in turns.
//! `cargo xtask bench call` builds and runs it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that shows what it does")]

mod call;
mod report;

use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

const USAGE: &str = "usage: dvs-bench call [--json] [--seconds N]";
/// For so long processor time is counted in each round, unless the command line says otherwise.
const SECONDS: u32 = 8;

struct Options {
    json: bool,
    seconds: u32,
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options> {
    let mut arguments = std::env::args().skip(1);
    ensure!(arguments.next().as_deref() == Some("call"), USAGE);
    let mut options = Options { json: false, seconds: SECONDS };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => options.json = true,
            "--seconds" => options.seconds = arguments.next().context(USAGE)?.parse().context(USAGE)?,
            _ => bail!(USAGE),
        }
    }
    ensure!((1..=60).contains(&options.seconds), "a round is counted for 1 to 60 seconds");
    Ok(options)
}

fn run(options: &Options) -> Result<ExitCode> {
    let report = call::measure(options.seconds)?;
    print!("{}", report.table());
    if options.json {
        println!("{}", report.json());
    }
    for miss in report.misses() {
        eprintln!("bench: {miss}");
    }
    Ok(if report.misses().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
