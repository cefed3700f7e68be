// SPDX-License-Identifier: GPL-3.0-or-later
//! `call`: one call of DVS beside the least that a call can cost, on the same machine, sound cards and settings, in turns.
//! `setup`: how long it takes from dialling until it rings, in virtual time. `crypto`: what a handshake and a media packet
//! cost. `cargo xtask bench` builds and runs it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that shows what it does")]

mod call;
mod crypto;
mod report;

use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use dvs_tests::setup::Setup;

const USAGE: &str =
    "usage: dvs-bench call [--json] [--seconds N] | dvs-bench setup [--json] | dvs-bench crypto [--json]";
/// For so long processor time is counted in each round, unless the command line says otherwise.
const SECONDS: u32 = 8;

#[global_allocator]
static HEAP: dvs_tests::heap::Counting = dvs_tests::heap::Counting;

struct Options {
    bench: Bench,
    json: bool,
    seconds: u32,
}

/// What is measured.
enum Bench {
    Call,
    Setup,
    Crypto,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match &arguments[..] {
        // For callgrind, which runs this program again.
        [work, name, times] if work == "work" => crypto::work(name, times).map(|()| ExitCode::SUCCESS),
        arguments => options(arguments).and_then(|options| run(&options)),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: &[String]) -> Result<Options> {
    let mut arguments = arguments.iter();
    let bench = match arguments.next().map(String::as_str) {
        Some("call") => Bench::Call,
        Some("setup") => Bench::Setup,
        Some("crypto") => Bench::Crypto,
        _ => bail!(USAGE),
    };
    let mut options = Options { bench, json: false, seconds: SECONDS };
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), &options.bench) {
            ("--json", _) => options.json = true,
            ("--seconds", Bench::Call) => options.seconds = arguments.next().context(USAGE)?.parse().context(USAGE)?,
            _ => bail!(USAGE),
        }
    }
    ensure!((1..=60).contains(&options.seconds), "a round is counted for 1 to 60 seconds");
    Ok(options)
}

/// Calls with each loss whose set-up is timed.
const RUNS: u64 = 2_000;

fn run(options: &Options) -> Result<ExitCode> {
    let (table, json, misses) = match options.bench {
        Bench::Call => {
            let report = call::measure(options.seconds)?;
            (report.table(), report.json(), report.misses())
        }
        Bench::Setup => {
            let setup = Setup::measure(RUNS);
            (setup.table(), setup.json(), setup.misses())
        }
        Bench::Crypto => {
            let costs = crypto::measure()?;
            (costs.table(), costs.json(), costs.misses())
        }
    };
    print!("{table}");
    if options.json {
        println!("{json}");
    }
    misses.iter().for_each(|miss| eprintln!("bench: {miss}"));
    Ok(if misses.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
