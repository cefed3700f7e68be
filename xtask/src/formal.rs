// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask formal`: the handshake's model under an active attacker, by Verifpal, and models broken on purpose, each of
//! which has to be found out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::packages::{BUILD, require};
use crate::run::{Outcome, at_root, cargo, root, say, step, succeeds, target_directory};

/// The version whose language and answers the model was written for.
const VERSION: &str = "1.5.0";
/// What Verifpal says when every query holds.
const HOLDS: &str = "All 8 queries pass";

/// A way to break the model: its name, what is replaced by what, and a query that must then fail.
struct Broken {
    name: &'static str,
    changes: &'static [(&'static str, &'static str)],
    fails: &'static str,
}

const BROKEN: [Broken; 5] = [
    Broken {
        name: "the initiator's signature is not checked",
        changes: &[("HASH(roli, t5r), sigi_r)?", "HASH(roli, t5r), sigi_r)")],
        fails: "authentication? Initiator -> Responder: ea2",
    },
    Broken {
        name: "the responder's signature is not checked",
        changes: &[("HASH(rolr, t3i), sigr_i)?", "HASH(rolr, t3i), sigr_i)")],
        fails: "confidentiality? mi",
    },
    Broken {
        name: "no key agreement",
        changes: &[("DH_KEX(gi, er)", "nil"), ("DH_KEX(gr, ei)", "nil")],
        fails: "confidentiality? mr",
    },
    Broken {
        name: "key agreement with the identity key: what leaks later opens what was said before",
        changes: &[("DH_KEX(gi, er)", "DH_KEX(gi, skr)"), ("DH_KEX(gr, ei)", "DH_KEX(pkr, ei)")],
        fails: "confidentiality? es0i",
    },
    Broken {
        name: "packets without a tag",
        changes: &[
            ("pi = AEAD_ENC(HKDF(es0i, li2r, nil), n0, mi, nil)", "pi = ENC(HKDF(es0i, li2r, nil), mi)"),
            ("mi_r = AEAD_DEC(HKDF(es0r, li2r, nil), n0, pi, nil)?", "mi_r = DEC(HKDF(es0r, li2r, nil), pi)"),
        ],
        fails: "authentication? Initiator -> Responder: pi",
    },
];

pub(crate) fn run(arguments: &[String]) -> Outcome<ExitCode> {
    let json = arguments.iter().any(|argument| argument == "--json");
    if arguments.len() > usize::from(json) {
        return Err(format!("usage: cargo xtask formal [--json]; not {}", arguments.join(" ")));
    }
    require(&[BUILD])?;
    let verifpal = install()?;
    let path = root().join("docs/formal/handshake.vp");
    let model = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let report = verify(&verifpal, &path)?;
    if !report.contains(HOLDS) {
        return Err(format!("handshake.vp does not hold:\n{report}"));
    }
    println!("handshake.vp: {HOLDS}");
    for broken in &BROKEN {
        find_out(&verifpal, &model, broken)?;
    }
    if json {
        println!(r#"{{"broken_found":{},"ok":true,"queries":8}}"#, BROKEN.len());
    }
    Ok(ExitCode::SUCCESS)
}

/// Verifpal, built below the target directory unless it is there already.
fn install() -> Outcome<PathBuf> {
    let place = target_directory().join("verifpal");
    let program = place.join("bin/verifpal");
    if !succeeds(Command::new(&program).arg("--version")) {
        step(
            cargo().args(["install", "verifpal", "--version", VERSION, "--ignore-rust-version", "--root"]).arg(&place),
        )?;
    }
    Ok(program)
}

/// What Verifpal says of the model in `path`.
fn verify(verifpal: &Path, path: &Path) -> Outcome<String> {
    say(&format!("verifpal verify --sessions 1 {}", path.display()));
    let mut command = at_root(verifpal);
    command.args(["verify", "--sessions", "1"]).arg(path);
    let output = command.output().map_err(|error| format!("cannot run {}: {error}", verifpal.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Breaks the model and wants the failure to be reported.
fn find_out(verifpal: &Path, model: &str, broken: &Broken) -> Outcome {
    let mut text = model.to_owned();
    for (from, to) in broken.changes {
        if text.matches(from).count() != 1 {
            return Err(format!("the model no longer has exactly one {from:?}: xtask/src/formal.rs must follow it"));
        }
        text = text.replace(from, to);
    }
    let path = target_directory().join("verifpal/broken.vp");
    fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    let report = verify(verifpal, &path)?;
    let failure = format!("FAIL x {}", broken.fails);
    if !report.contains(&failure) {
        return Err(format!("{}: not found out:\n{report}", broken.name));
    }
    println!("{}: found out, {}", broken.name, broken.fails);
    Ok(())
}
