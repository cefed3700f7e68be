// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask fuzz`: every fuzz target for a while. Inputs found on the way are kept under the target directory and
//! used again; `fuzz/seeds` holds the few that are committed.

use std::process::{Command, ExitCode};

use crate::packages::{BUILD, FUZZ, require};
use crate::run::{Outcome, cargo, output, root, say, step, succeeds, take_value, target_directory};

/// Seconds per target unless told otherwise.
const SECONDS: u32 = 600;
/// No parser may need more memory than this, in MiB; the sanitizer-free fuzzer itself needs about 50.
const MEMORY_MIB: u32 = 512;
/// No input may take longer than this, in seconds.
const LONGEST: u32 = 5;
/// Longer inputs than a local frame, the longest thing parsed, are pointless.
const MAX_INPUT: u32 = 65_540;

pub(crate) fn run(arguments: &[String]) -> Outcome<ExitCode> {
    let mut arguments = arguments.to_vec();
    let seconds = match take_value(&mut arguments, "--seconds")? {
        Some(text) => text.parse().map_err(|_| format!("--seconds {text} is not a number"))?,
        None => SECONDS,
    };
    require(&[BUILD, FUZZ])?;
    if !succeeds(cargo().args(["fuzz", "--version"])) {
        step(cargo().args(["install", "cargo-fuzz", "--locked"]))?;
    }
    let mut targets: Vec<String> = output(cargo().args(["fuzz", "list"]))?.lines().map(str::to_owned).collect();
    if let [wanted] = &arguments[..] {
        targets.retain(|target| target == wanted);
    }
    if arguments.len() > 1 || targets.is_empty() {
        return Err(format!("usage: cargo xtask fuzz [--seconds N] [TARGET]; no target {}", arguments.join(" ")));
    }
    for target in &targets {
        fuzz(target, seconds)?;
    }
    println!("{} fuzz targets found nothing in {seconds} s each", targets.len());
    Ok(ExitCode::SUCCESS)
}

fn fuzz(target: &str, seconds: u32) -> Outcome {
    let found = target_directory().join("fuzz-corpus").join(target);
    std::fs::create_dir_all(&found).map_err(|error| format!("cannot make {}: {error}", found.display()))?;
    say(&format!("fuzz {target} for {seconds} s"));
    let mut command = cargo();
    // Stable Rust has no sanitizers; panics, overflows and memory limits are found without.
    command.args(["fuzz", "run", "--sanitizer", "none", target]).arg(found).arg(root().join("fuzz/seeds").join(target));
    command.arg("--").args([
        format!("-max_total_time={seconds}"),
        format!("-rss_limit_mb={MEMORY_MIB}"),
        format!("-timeout={LONGEST}"),
        format!("-max_len={MAX_INPUT}"),
        "-print_final_stats=1".to_owned(),
        "-verbosity=0".to_owned(),
    ]);
    step(&mut command)
}

/// `cargo COMMAND` for the fuzz crate, which is a workspace of its own.
pub(crate) fn cargo_here(command: &str) -> Command {
    let mut cargo = cargo();
    cargo.args([command, "--manifest-path"]).arg(root().join("fuzz/Cargo.toml"));
    cargo
}
