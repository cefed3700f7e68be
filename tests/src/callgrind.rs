// SPDX-License-Identifier: GPL-3.0-or-later
//! Instructions, counted by valgrind's callgrind: the same work costs the same on every machine of a kind, however busy.

use std::process::Command;

use anyhow::{Context, Result, ensure};

/// How many instructions `command` spends inside the function whose name matches `pattern`, and in what it calls.
pub fn instructions(command: &Command, pattern: &str) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"]);
    valgrind.arg(format!("--toggle-collect={pattern}"));
    let output = valgrind.arg(command.get_program()).args(command.get_args()).output().context("run valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "under valgrind: {said}");
    collected(&said).with_context(|| format!("valgrind counted nothing: {said}"))
}

/// The number in the line `==PID== Collected : NUMBER`.
fn collected(said: &str) -> Option<u64> {
    said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_found_in_what_valgrind_says() {
        let said =
            "==7== Callgrind\n==7== Events    : Ir\n==7== Collected : 123456\n==7==\n==7== I   refs:      123,456\n";
        assert_eq!(collected(said), Some(123_456));
        assert_eq!(collected("==7== nothing"), None);
    }
}
