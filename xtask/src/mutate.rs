// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask mutate`: shows that the tests of known flaws can fail. Every entry of `tests/mutations.txt` is planted in a copy
//! of the tree, one at a time, and the test named there has to notice it.

use std::process::{Command, ExitCode};

use crate::mutants::{Mutant, Scratch};
use crate::packages::{BUILD, require};
use crate::run::{Outcome, say, succeeds};

/// The entries: blocks of lines, an empty one between them; `#` begins a comment.
const TABLE: &str = include_str!("../../tests/mutations.txt");
/// Where a test is, unless its entry says otherwise.
const HOME: &str = "-p dvsd --lib";
/// How long a build or a test may take, in seconds.
const PATIENCE: u32 = 900;

/// A flaw, how to plant it, and the test that has to notice.
struct Entry {
    /// Its numbers in PROTOCOL section 18, or a word.
    flaw: &'static str,
    /// The name of the test, or how it begins.
    test: &'static str,
    /// Which tests cargo is to build.
    home: &'static str,
    /// Whether it is the compiler that has to notice: it refuses the test, and the test alone.
    compiler: bool,
    mutant: Mutant,
}

/// What came of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Noticed,
    Missed,
    /// The compiler refuses it: that shows nothing about a test.
    DoesNotBuild,
    /// No such test, or it fails without the flaw.
    NoTest,
}

pub(crate) fn run(arguments: &[String]) -> Outcome<ExitCode> {
    let entries = parse(TABLE)?;
    let (options, wanted): (Vec<_>, Vec<_>) = arguments.iter().partition(|argument| argument.starts_with("--"));
    if let Some(other) = options.iter().find(|option| !["--json", "--list"].contains(&option.as_str())) {
        return Err(format!("usage: cargo xtask mutate [--list] [--json] [FLAW...]; not {other}"));
    }
    let chosen = |entry: &&Entry| wanted.is_empty() || wanted.iter().any(|flaw| entry.is_about(flaw));
    let chosen: Vec<&Entry> = entries.iter().filter(chosen).collect();
    if chosen.is_empty() {
        return Err("no such flaw in tests/mutations.txt".to_owned());
    }
    if options.iter().any(|option| *option == "--list") {
        chosen.iter().for_each(|entry| println!("{:8} {}: {}", entry.flaw, entry.test, entry.mutant.name));
        return Ok(ExitCode::SUCCESS);
    }
    require(&[BUILD])?;
    judge(&chosen, options.iter().any(|option| *option == "--json"))
}

/// Plants all of `entries` and prints what came of them.
fn judge(entries: &[&Entry], json: bool) -> Outcome<ExitCode> {
    let scratch = Scratch::new()?;
    let (quick, others): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(|entry| entry.home == HOME);
    let mut noticed = scratch.with(&alone(), |scratch| plant(scratch, &quick))?;
    noticed += plant(&scratch, &others)?;
    println!("{noticed} of {} flaws noticed", entries.len());
    if json {
        println!(r#"{{"mutations":{},"noticed":{noticed},"ok":{}}}"#, entries.len(), noticed == entries.len());
    }
    Ok(if noticed == entries.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The core's own tests need nothing of `dvs-tests`. Without it a change of the core is built in seconds.
fn alone() -> Mutant {
    Mutant {
        name: "without dvs-tests".into(),
        file: "dvsd/Cargo.toml".into(),
        find: "dvs-tests = { path = \"../tests\" }\n".into(),
        replace: "".into(),
    }
}

/// How many of `entries` are noticed. What needs the code as it is comes first, so that it is built once.
fn plant(scratch: &Scratch, entries: &[&Entry]) -> Outcome<usize> {
    let mut usable = Vec::new();
    for (position, entry) in entries.iter().enumerate() {
        say(&format!("{} of {}: {} without the flaw", position + 1, entries.len(), entry.test));
        usable.push(entry.passes(scratch)?);
    }
    let mut noticed = 0;
    for (position, (entry, usable)) in entries.iter().zip(usable).enumerate() {
        say(&format!("{} of {}: {}, {}", position + 1, entries.len(), entry.flaw, entry.mutant.name));
        let verdict = match usable {
            true => scratch.with(&entry.mutant, |scratch| entry.verdict(scratch))?,
            false => Verdict::NoTest,
        };
        noticed += usize::from(verdict == Verdict::Noticed);
        println!("{} {:8} {}: {}", verdict.word(), entry.flaw, entry.test, entry.mutant.name);
    }
    Ok(noticed)
}

impl Entry {
    fn is_about(&self, flaw: &str) -> bool {
        self.flaw.split_whitespace().any(|own| own.eq_ignore_ascii_case(flaw)) || self.test.starts_with(flaw)
    }

    /// `cargo test` for the place of the test. The copy is built without optimisation, which is quicker for one test. A flaw may
    /// make a test run for ever: that is noticing too.
    fn cargo(&self, scratch: &Scratch) -> Command {
        let mut cargo = scratch.cargo_within(PATIENCE);
        cargo.args(["test", "--quiet", "--offline"]);
        for package in ["dvsd", "dvs-tests"] {
            cargo.args(["--config", &format!("profile.dev.package.{package}.opt-level=0")]);
        }
        cargo.args(["--config", "profile.dev.package.dvsd.debug=0"]);
        cargo.args(self.home.split_whitespace());
        cargo
    }

    /// Whether the test is there and passes as the code is.
    fn passes(&self, scratch: &Scratch) -> Outcome<bool> {
        let run = self.cargo(scratch).args(["--", self.test]).output();
        let output = run.map_err(|error| format!("cannot run cargo: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let some = said.lines().any(|line| line.starts_with("running ") && !line.starts_with("running 0 "));
        Ok(output.status.success() && some)
    }

    /// What the test says of the code with the flaw in it.
    fn verdict(&self, scratch: &Scratch) -> Outcome<Verdict> {
        if !succeeds(self.cargo(scratch).arg("--no-run")) {
            let core = ["check", "--quiet", "--offline", "--package", "dvsd", "--lib"];
            let builds = self.compiler && succeeds(scratch.cargo_within(PATIENCE).args(core));
            return Ok(if builds { Verdict::Noticed } else { Verdict::DoesNotBuild });
        }
        let passes = self.passes(scratch)?;
        Ok(if passes { Verdict::Missed } else { Verdict::Noticed })
    }
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Noticed => "noticed       ",
            Self::Missed => "NOT NOTICED   ",
            Self::DoesNotBuild => "DOES NOT BUILD",
            Self::NoTest => "NO SUCH TEST  ",
        }
    }
}

/// Reads the table.
fn parse(table: &'static str) -> Outcome<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut block = Vec::new();
    for line in table.lines().chain([""]) {
        if line.is_empty() && !block.is_empty() {
            entries.push(entry(&block)?);
            block.clear();
        } else if !line.is_empty() && !line.starts_with('#') {
            block.push(line);
        }
    }
    Ok(entries)
}

fn entry(lines: &[&'static str]) -> Outcome<Entry> {
    let field = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let wanted = |name| field(name).ok_or_else(|| format!("tests/mutations.txt: no {name} near {:?}", lines.first()));
    let text = |mark: &str| {
        let marked: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix(mark)).collect();
        marked.iter().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
    };
    let find = text("-");
    if find.is_empty() {
        return Err(format!("tests/mutations.txt: nothing is replaced near {:?}", lines.first()));
    }
    let mutant = Mutant {
        name: wanted("what:")?.into(),
        file: wanted("file:")?.into(),
        find: find.into(),
        replace: text("+").into(),
    };
    let (flaw, test, home) = (wanted("flaw:")?, wanted("test:")?, field("in:").unwrap_or(HOME));
    Ok(Entry { flaw, test, home, compiler: field("by:") == Some("the compiler"), mutant })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_can_be_read_and_planted() {
        let entries = parse(TABLE).unwrap();
        assert!(!entries.is_empty());
        for entry in entries {
            let text = std::fs::read_to_string(crate::run::root().join(&*entry.mutant.file)).unwrap();
            assert_eq!(text.matches(&*entry.mutant.find).count(), 1, "{}: {}", entry.flaw, entry.mutant.name);
        }
    }

    #[test]
    fn an_entry_says_all_it_has_to() {
        let text = "flaw: F1\nwhat: w\ntest: t\nfile: f\n- a\n-   b\n+ c\n";
        let entry = parse(text).unwrap().remove(0);
        assert_eq!((&*entry.mutant.find, &*entry.mutant.replace, entry.home), ("a\n  b", "c", HOME));
        assert!(parse("flaw: F1\nwhat: w\ntest: t\nfile: f\n+ c\n").is_err());
        assert!(parse("flaw: F1\n- a\n").is_err());
    }
}
