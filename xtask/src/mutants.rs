// SPDX-License-Identifier: GPL-3.0-or-later
//! Deliberately broken variants of the source, each one replacement of text in a copy of the tree: what a test must find.

use std::borrow::Cow;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::run::{Outcome, at_root, output, root, say, target_directory};

/// One flaw.
pub(crate) struct Mutant {
    /// What is wrong then.
    pub(crate) name: Cow<'static, str>,
    /// The file, from the root of the tree.
    pub(crate) file: Cow<'static, str>,
    /// What it says; exactly once.
    pub(crate) find: Cow<'static, str>,
    /// What it says instead.
    pub(crate) replace: Cow<'static, str>,
}

/// A copy of everything git knows of, with a target directory of its own.
pub(crate) struct Scratch {
    tree: PathBuf,
    target: PathBuf,
}

impl Scratch {
    /// Copies the tree. Files that are as they were keep their age, so that little is built again.
    pub(crate) fn new() -> Outcome<Self> {
        let directory = target_directory().join("mutants");
        let scratch = Self { tree: directory.join("tree"), target: directory.join("target") };
        say(&format!("copying the tree to {}", scratch.tree.display()));
        let files = output(at_root("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]))?;
        for file in files.lines() {
            scratch.copy(file)?;
        }
        Ok(scratch)
    }

    fn copy(&self, file: &str) -> Outcome {
        let (from, to) = (root().join(file), self.tree.join(file));
        let Ok(text) = fs::read(&from) else { return Ok(()) }; // deleted, but not yet for git
        if fs::read(&to).is_ok_and(|there| there == text) {
            return Ok(());
        }
        let write = || -> std::io::Result<()> {
            to.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(&to, &text)
        };
        write().map_err(|error| format!("cannot write {}: {error}", to.display()))
    }

    /// Runs `with` while `mutant` is in the copy.
    pub(crate) fn with<T>(&self, mutant: &Mutant, with: impl FnOnce(&Self) -> Outcome<T>) -> Outcome<T> {
        let path = self.tree.join(&*mutant.file);
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let broken = mutant.plant(&text)?;
        let write =
            |text: &str| fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()));
        write(&broken)?;
        let outcome = with(self);
        write(&text)?;
        outcome
    }

    /// Cargo in the copy.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.tree).env("CARGO_TARGET_DIR", &self.target);
        cargo
    }

    /// The same, but ended after so many seconds.
    pub(crate) fn cargo_within(&self, seconds: u32) -> Command {
        let cargo = self.cargo();
        let mut command = Command::new("timeout");
        command.arg(seconds.to_string()).arg(cargo.get_program()).current_dir(&self.tree);
        command.env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// A program built there without optimisation.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut program = Command::new(self.target.join("debug").join(name));
        program.current_dir(&self.tree);
        program
    }
}

impl Mutant {
    fn plant(&self, text: &str) -> Outcome<String> {
        match text.matches(&*self.find).count() {
            1 => Ok(text.replacen(&*self.find, &self.replace, 1)),
            count => Err(format!("{}: what it breaks is {count} times in {}, not once", self.name, self.file)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flaw_is_planted_only_where_it_belongs() {
        let mutant = Mutant { name: "test".into(), file: "".into(), find: "yes".into(), replace: "no".into() };
        assert_eq!(mutant.plant("oh yes!"), Ok("oh no!".to_owned()));
        assert!(mutant.plant("yes, yes").is_err() && mutant.plant("maybe").is_err());
    }
}
