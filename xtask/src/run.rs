// SPDX-License-Identifier: GPL-3.0-or-later
//! Running other programs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// The result of a step: what it gives, or one line saying what went wrong.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// The root of the source tree.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(1).unwrap_or(Path::new(".")).to_owned()
}

/// A command that runs at the root of the source tree. A relative program is looked for there.
pub(crate) fn at_root(program: impl AsRef<OsStr>) -> Command {
    let program = Path::new(program.as_ref());
    let within = program.components().count() > 1 && program.is_relative();
    let mut command = if within { Command::new(root().join(program)) } else { Command::new(program) };
    command.current_dir(root());
    command
}

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    at_root(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Where cargo builds.
pub(crate) fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |set| root().join(set))
}

/// Says on standard error what comes next.
pub(crate) fn say(step: &str) {
    eprintln!("xtask: {step}");
}

/// Runs a step whose output is progress, and wants it to succeed.
pub(crate) fn step(command: &mut Command) -> Outcome {
    let shown = shown(command);
    say(&shown);
    command.stdout(std::io::stderr());
    let status = command.status().map_err(|error| format!("cannot run {shown}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{shown} failed: {status}")) }
}

/// Runs the step whose output is the result; its exit code becomes ours.
pub(crate) fn last(mut command: Command) -> Outcome<ExitCode> {
    let status = command.status().map_err(|error| format!("cannot run {}: {error}", shown(&command)))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Whether a command runs and succeeds, quietly.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// What a command prints; an error when it fails.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let output = command.output().map_err(|error| format!("cannot run {}: {error}", shown(command)))?;
    if !output.status.success() {
        return Err(format!("{} failed: {}", shown(command), String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn shown(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Takes `--NAME VALUE` out of `arguments`.
pub(crate) fn take_value(arguments: &mut Vec<String>, name: &str) -> Outcome<Option<String>> {
    let Some(position) = arguments.iter().position(|argument| argument == name) else { return Ok(None) };
    arguments.remove(position);
    if position >= arguments.len() {
        return Err(format!("{name} needs a value"));
    }
    Ok(Some(arguments.remove(position)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_value_is_taken_from_among_the_others() {
        let mut given = arguments("call --seconds 5 --json");
        assert_eq!(take_value(&mut given, "--seconds"), Ok(Some("5".to_owned())));
        assert_eq!(given, arguments("call --json"));
        assert_eq!(take_value(&mut given, "--seconds"), Ok(None));
    }

    #[test]
    fn an_option_without_its_value_is_an_error() {
        assert!(take_value(&mut arguments("--seconds"), "--seconds").is_err());
    }

    #[test]
    fn the_root_holds_the_workspace() {
        assert!(root().join("Cargo.lock").is_file());
    }
}
