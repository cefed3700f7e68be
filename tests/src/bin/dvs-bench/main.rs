// SPDX-License-Identifier: GPL-3.0-or-later
//! `call`: one call of DVS beside the least that a call can cost, on the same machine, sound cards and settings, in turns.
//! `setup`: how long it takes from dialling until it rings, in virtual time. `cargo xtask bench` builds and runs it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that shows what it does")]

mod call;
mod report;

use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use dvs_tests::setup::Setup;

const USAGE: &str = "usage: dvs-bench call [--json] [--seconds N] | setup [--json]";
/// For so long processor time is counted in each round, unless the command line says otherwise.
const SECONDS: u32 = 8;

struct Options {
    json: bool,
    seconds: u32,
    setup: bool,
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
    let what = arguments.next();
    ensure!(matches!(what.as_deref(), Some("call" | "setup")), USAGE);
    let mut options = Options { json: false, seconds: SECONDS, setup: what.as_deref() == Some("setup") };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => options.json = true,
            "--seconds" if !options.setup => {
                options.seconds = arguments.next().context(USAGE)?.parse().context(USAGE)?
            }
            _ => bail!(USAGE),
        }
    }
    ensure!((1..=60).contains(&options.seconds), "a round is counted for 1 to 60 seconds");
    Ok(options)
}

/// Calls with each loss whose set-up is timed.
const RUNS: u64 = 2_000;

fn setup(json: bool) -> ExitCode {
    let setup = Setup::measure(RUNS);
    print!("{}", setup.table());
    if json {
        println!("{}", setup.json());
    }
    let misses = setup.misses();
    misses.iter().for_each(|miss| eprintln!("bench: {miss}"));
    if misses.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(options: &Options) -> Result<ExitCode> {
    if options.setup {
        return Ok(setup(options.json));
    }
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
