// SPDX-License-Identifier: GPL-3.0-or-later
//! Builds the few C programs of the tests: what stands in for hardware, and what others would build instead of DVS.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Compiles the C program `source` into the file `output`.
pub fn compile(source: &str, output: &Path, options: &[&str]) -> Result<()> {
    let mut gcc = Command::new("gcc");
    gcc.args(["-x", "c", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-", "-x", "none", "-o"]).arg(output).args(options);
    let mut child = gcc.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().context("run gcc")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(source.as_bytes())?;
    }
    let result = child.wait_with_output()?;
    let complaints = String::from_utf8_lossy(&result.stderr);
    ensure!(result.status.success() && complaints.is_empty(), "gcc says of {}:\n{complaints}", output.display());
    Ok(())
}
