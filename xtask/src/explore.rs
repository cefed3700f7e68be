// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask explore`: all states of the call machines, by `dvs-explore`; with `--planted`, whether it finds flaws.

use std::borrow::Cow;
use std::process::{Command, ExitCode};

use crate::mutants::{Mutant, Scratch};
use crate::packages::{BUILD, require};
use crate::run::{Outcome, cargo, last, step, take_value, target_directory};

/// How many states are visited in search of a planted flaw, unless the command line says otherwise.
const STATES: &str = "1000000";

/// What must be found.
pub(crate) const PLANTED: [Mutant; 10] = [
    Mutant {
        name: Cow::Borrowed("an invitation opens the microphone"),
        file: Cow::Borrowed("dvsd/src/call/callee.rs"),
        find: Cow::Borrowed("None => self.alert(Callee::Alerting, desk),"),
        replace: Cow::Borrowed("None => self.answer(Consent::Configured, desk),"),
    },
    Mutant {
        name: Cow::Borrowed("an answer that comes after the hang-up is accepted"),
        file: Cow::Borrowed("dvsd/src/call/caller.rs"),
        find: Cow::Borrowed("        if self.is_known_there() {\n            self.rang_after.get_or_insert"),
        replace: Cow::Borrowed(
            "        if self.is_known_there() || matches!(self.phase, Phase::Ending(_)) {\n            self.rang_after.get_or_insert",
        ),
    },
    Mutant {
        name: Cow::Borrowed("of two crossed dials both give way"),
        file: Cow::Borrowed("dvsd/src/call/callee.rs"),
        find: Cow::Borrowed("Phase::Caller(_) if self.is_invited() && ours_wins => Meeting::Ignore,"),
        replace: Cow::Borrowed("Phase::Caller(_) if self.is_invited() && ours_wins => Meeting::Yield,"),
    },
    Mutant {
        name: Cow::Borrowed("of two crossed dials neither gives way"),
        file: Cow::Borrowed("dvsd/src/call/callee.rs"),
        find: Cow::Borrowed("Phase::Caller(_) if self.is_invited() && ours_wins => Meeting::Ignore,"),
        replace: Cow::Borrowed("Phase::Caller(_) if self.is_invited() => Meeting::Ignore,"),
    },
    Mutant {
        name: Cow::Borrowed("a place in the queue never lapses"),
        file: Cow::Borrowed("dvsd/src/call/state.rs"),
        find: Cow::Borrowed(
            "Phase::Callee(Callee::Queued { .. }) => Some((PLACE_TTW + PLACE_MARGIN, \"call: waits here\")),",
        ),
        replace: Cow::Borrowed("Phase::Callee(Callee::Queued { .. }) => None,"),
    },
    Mutant {
        name: Cow::Borrowed("a hang-up waits for its confirmation for ever"),
        file: Cow::Borrowed("dvsd/src/call/state.rs"),
        find: Cow::Borrowed("Phase::Ending(_) => Some((ENDING_LIMIT, \"call: hang-up confirmed\")),"),
        replace: Cow::Borrowed("Phase::Ending(_) => None,"),
    },
    Mutant {
        name: Cow::Borrowed("a call that the peer holds talks on"),
        file: Cow::Borrowed("dvsd/src/call/state.rs"),
        find: Cow::Borrowed("Phase::Talking if self.held_here || self.held_there => State::Held,"),
        replace: Cow::Borrowed("Phase::Talking if self.held_here => State::Held,"),
    },
    Mutant {
        name: Cow::Borrowed("confirmations are answered"),
        file: Cow::Borrowed("dvsd/src/call/incoming.rs"),
        find: Cow::Borrowed(
            "        Frame::CallWaiting { call_id, .. } => Some(queue::not_queued(call_id)),\n        Frame::CallInitiateReply",
        ),
        replace: Cow::Borrowed(
            "        Frame::CallWaiting { call_id, .. } => Some(queue::not_queued(call_id)),\n        \
                  Frame::CallTerminateReply { call_id, .. } => Some(Frame::CallTerminate { call_id, reason: Reason::Normal }),\n        \
                  Frame::CallInitiateReply",
        ),
    },
    Mutant {
        name: Cow::Borrowed("a second call is answered without holding the first"),
        file: Cow::Borrowed("dvsd/src/call/commands.rs"),
        find: Cow::Borrowed("        self.park(key, now)?;\n        self.with(key, now, |call, desk| call.answer"),
        replace: Cow::Borrowed("        self.with(key, now, |call, desk| call.answer"),
    },
    Mutant {
        name: Cow::Borrowed("whoever is left for an older invitation is not told"),
        file: Cow::Borrowed("dvsd/src/call/incoming.rs"),
        find: Cow::Borrowed("        if self.phase == Phase::Talking {\n            self.send(Frame::CallTerminate"),
        replace: Cow::Borrowed("        if false {\n            self.send(Frame::CallTerminate"),
    },
];

pub(crate) fn run(arguments: &[String]) -> Outcome<ExitCode> {
    require(&[BUILD])?;
    let mut arguments = arguments.to_vec();
    if let Some(position) = arguments.iter().position(|argument| argument == "--planted") {
        arguments.remove(position);
        let states = take_value(&mut arguments, "--states")?.unwrap_or_else(|| STATES.to_owned());
        return planted(&states);
    }
    step(cargo().args(["build", "--release", "--bin", "dvs-explore"]))?;
    let mut explorer = Command::new(target_directory().join("release/dvs-explore"));
    explorer.args(arguments);
    last(explorer)
}

/// Plants every flaw in a copy of the tree and looks whether it is found.
fn planted(states: &str) -> Outcome<ExitCode> {
    let scratch = Scratch::new()?;
    let mut missed = 0;
    for mutant in &PLANTED {
        let found = scratch.with(mutant, |scratch| find(scratch, states))?;
        match found {
            Some(trace) => println!("FOUND: {}\n{trace}", mutant.name),
            None => {
                missed += 1;
                println!("NOT FOUND: {}", mutant.name);
            }
        }
    }
    println!("{} of {} planted flaws found", PLANTED.len() - missed, PLANTED.len());
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the explorer of a broken copy says is wrong: the first lines of its trace.
fn find(scratch: &Scratch, states: &str) -> Outcome<Option<String>> {
    step(scratch.cargo().args(["build", "--quiet", "--bin", "dvs-explore"]))?;
    let run = scratch.program("dvs-explore").args(["--states", states]).output();
    let output = run.map_err(|error| format!("cannot run the explorer: {error}"))?;
    match output.status.code() {
        Some(0) => Ok(None),
        Some(1) => {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let story = said.lines().skip_while(|line| line.contains("distinct states over"));
            Ok(Some(story.take_while(|line| !line.is_empty()).take(60).collect::<Vec<_>>().join("\n")))
        }
        _ => Err(format!("the explorer failed: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}
