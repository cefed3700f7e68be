// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask test`: all tests.

use std::path::Path;
use std::process::ExitCode;

use crate::fuzz;
use crate::packages::{BUILD, COUNTING, FUZZ, SPEECH, SYSTEM_TESTS, is_root, require};
use crate::run::{Outcome, cargo, say, step};

pub(crate) fn run(arguments: &[String]) -> Outcome<ExitCode> {
    let filter = match arguments {
        [] => None,
        [filter] if !filter.starts_with('-') => Some(filter),
        _ => return Err("usage: cargo xtask test [FILTER]".to_owned()),
    };
    require(&[BUILD, SPEECH, SYSTEM_TESTS, COUNTING, FUZZ])?;
    check_privileges()?;
    // The system tests start these programs; `cargo test` alone would not always build them.
    step(cargo().args(["build", "--workspace", "--bins"]))?;
    // One broken test must not hide the others.
    step(cargo().args(["test", "--workspace", "--no-fail-fast"]).args(filter))?;
    if filter.is_none() {
        step(fuzz::cargo_here("check").arg("--all-targets"))?;
    }
    println!("all tests passed");
    Ok(ExitCode::SUCCESS)
}

/// Tests of whole networks and machines need root. They are skipped without, one by one and visibly, but never in CI.
fn check_privileges() -> Outcome {
    if is_root() && Path::new("/dev/net/tun").exists() {
        return Ok(());
    }
    let what = "the tests that make network namespaces or boot a systemd (they need root and /dev/net/tun)";
    if std::env::var_os("CI").is_some() {
        return Err(format!("CI must not skip {what}"));
    }
    say(&format!("SKIPPED (needs root): {what}; run `sudo -E env PATH=\"$PATH\" cargo xtask test` for all of them"));
    Ok(())
}
