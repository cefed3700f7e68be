// SPDX-License-Identifier: GPL-3.0-or-later
//! Explores the call machines, walks through them at random, and lets whole nodes dial each other. `cargo xtask explore`
//! builds and runs it. What it found goes to standard output; progress goes to standard error. It exits with 1 when
//! something must not be.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that shows what it does")]

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use dvs_tests::crossing::Crossing;
use dvs_tests::explore::{Limits, Scene, Seen, search, three, two, walk};
use serde_json::{Value, json};

const USAGE: &str =
    "usage: dvs-explore [--states N] [--depth N] [--walks N] [--dials N] [--seed S] [--json]; 0 leaves a part out";
/// How many steps a walk has, and every fourth one four times as many.
const LENGTH: usize = 100;

struct Options {
    states: usize,
    depth: usize,
    walks: u64,
    dials: u64,
    seed: u64,
    json: bool,
}

fn main() -> ExitCode {
    match options().map(|options| run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("explore: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn options() -> Result<Options> {
    let mut arguments = std::env::args().skip(1);
    let mut options = Options { states: 1_000_000, depth: 1_000, walks: 0, dials: 0, seed: 1, json: false };
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().context(USAGE)?.parse::<u64>().context(USAGE);
        match argument.as_str() {
            "--states" => options.states = number()? as usize,
            "--depth" => options.depth = number()? as usize,
            "--walks" => options.walks = number()?,
            "--dials" => options.dials = number()?,
            "--seed" => options.seed = number()?,
            "--json" => options.json = true,
            _ => bail!(USAGE),
        }
    }
    Ok(options)
}

/// Whether all is as it must be.
fn run(options: &Options) -> bool {
    let mut parts = Vec::new();
    if options.states > 0 {
        parts.push(explore("two daemons", &two(), options));
        parts.push(explore("three daemons", &three(), options));
    }
    if options.walks > 0 {
        parts.push(walks(options));
    }
    if options.dials > 0 {
        parts.push(dials(options));
    }
    if options.json {
        println!("{}", json!({ "parts": parts }));
    }
    parts.iter().all(|part| part["failed"].is_null())
}

fn show(what: &str, done: usize) {
    if std::io::stderr().is_terminal() {
        eprint!("\r{what}: {done}   ");
        // It is only progress.
        let _shown = std::io::stderr().flush();
    }
}

fn explore(what: &str, scenes: &[Scene], options: &Options) -> Value {
    let began = Instant::now();
    let limits = Limits { depth: options.depth, states: options.states };
    let seen = search(scenes, limits, &mut |states| {
        if states % 10_000 == 0 {
            show(what, states);
        }
    });
    let Seen { states, steps, complete, commands, longest, endings, violation } = seen;
    let complete = complete.unwrap_or(0);
    println!(
        "{what}: {states} distinct states over {steps} steps in {:.1} s; every run that counts up to {complete} followed to \
         its end, the longest has {longest} steps, {commands} of them commands or disturbances",
        began.elapsed().as_secs_f64()
    );
    let ends = |(one, other): &(_, _), times: &usize| (format!("{one} / {other}"), json!(times));
    let endings: serde_json::Map<String, Value> = endings.iter().map(|(pair, times)| ends(pair, times)).collect();
    if let Some(trace) = &violation {
        println!("{trace}");
    }
    json!({
        "part": what, "states": states, "steps": steps, "complete": complete, "longest": longest, "commands": commands,
        "endings": endings, "failed": violation.map(|trace| trace.violation.text),
    })
}

fn walks(options: &Options) -> Value {
    let scenes: Vec<Scene> = two().into_iter().chain(three()).collect();
    let (began, mut steps, mut failed) = (Instant::now(), 0, None);
    for (number, scene) in (0..options.walks).zip(scenes.iter().cycle()) {
        let seed = options.seed.wrapping_mul(1 << 32).wrapping_add(number);
        let length = if number % 4 == 3 { LENGTH * 4 } else { LENGTH };
        match walk(scene, seed, length) {
            Ok(taken) => steps += taken,
            Err(trace) => {
                println!("walk {number} of seed {}: {trace}", options.seed);
                failed = Some(number);
                break;
            }
        }
        if number % 1_000 == 0 {
            show("walks", number as usize);
        }
    }
    let took = began.elapsed().as_secs_f64();
    println!("{} random walks: {steps} steps in {took:.1} s", options.walks);
    json!({ "part": "walks", "walks": options.walks, "steps": steps, "seed": options.seed, "failed": failed })
}

fn dials(options: &Options) -> Value {
    let began = Instant::now();
    let mut failed = Vec::new();
    for number in 0..options.dials {
        if let Err(problem) = Crossing::random(options.seed, number).run() {
            println!("crossing dials {number} of seed {}: {problem}", options.seed);
            failed.push(number);
        }
        if number % 100 == 0 {
            show("crossing dials", number as usize);
        }
    }
    let took = began.elapsed().as_secs_f64();
    println!("{} crossing dials: {} failed, in {took:.1} s", options.dials, failed.len());
    let failed = if failed.is_empty() { Value::Null } else { json!(failed) };
    json!({ "part": "dials", "dials": options.dials, "seed": options.seed, "failed": failed })
}
