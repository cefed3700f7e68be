// SPDX-License-Identifier: GPL-3.0-or-later
//! `dvs-tui verify`: comparing keys by voice.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use dvs_proto::message::{CallInfo, CallState, Event, Reply, Request, Snapshot, Verification, VerifyState};

use super::call::who;
use super::output::{Output, aside, table};
use crate::attach::{Line, unexpected};
use crate::cli::VerifyStep;
use crate::failed::Failed;
use crate::ui::calls::talking;
use crate::ui::verify;

/// How long the daemons may take to agree on what is compared: three messages, each of which may be lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// Does one step of the comparison.
pub(super) fn run(
    step: VerifyStep,
    call: Option<u32>,
    directory: Option<PathBuf>,
    out: &mut Output,
) -> Result<(), Failed> {
    let (mut line, snapshot) = Line::open(directory)?;
    match step {
        VerifyStep::Start => start(&mut line, &snapshot, call, out),
        VerifyStep::Match => done(&mut line, &snapshot, call, true, out),
        VerifyStep::Differ => done(&mut line, &snapshot, call, false, out),
    }
}

/// Shows what is to be read out in `call`; begins the comparison if it has not begun.
pub(super) fn start(line: &mut Line, known: &Snapshot, call: Option<u32>, out: &mut Output) -> Result<(), Failed> {
    let under_way = known.verification.clone().filter(|one| call.is_none_or(|call| call == one.call));
    let verification = match under_way {
        Some(verification) if verification.state == VerifyState::Compare => verification,
        _ => match line.ask(Request::VerifyStart { call })? {
            Reply::Verification(verification) => agreed(line, verification, known)?,
            other => return Err(unexpected(&other)),
        },
    };
    let name = name_of(&verification, known);
    out.show(&verification, |verification| in_words(verification, &name))?;
    aside("read them to each other; then: dvs-tui verify match, or: dvs-tui verify differ");
    Ok(())
}

/// Waits until there is something to compare.
fn agreed(line: &mut Line, mut verification: Verification, known: &Snapshot) -> Result<Verification, Failed> {
    let (call, deadline) = (verification.call, Instant::now() + PATIENCE);
    loop {
        match verification.state {
            VerifyState::Exchanging => {}
            VerifyState::Compare => return Ok(verification),
            state => return Err(Failed::not_answered(verify::in_words(state, &name_of(&verification, known)))),
        }
        match line.event_before(deadline)? {
            Some(Event::Verification(news)) if news.call == call => verification = news,
            Some(Event::Call(info)) if info.call == call && info.state == CallState::Ended => {
                return Err(Failed::ended(&info, &known.network));
            }
            Some(_) => {}
            None => {
                let name = name_of(&verification, known);
                let why = format!("the daemon of {name} does not answer; does it run this release?");
                return Err(Failed::not_answered(why));
            }
        }
    }
}

/// Says what came of the comparison.
fn done(line: &mut Line, known: &Snapshot, call: Option<u32>, matches: bool, out: &mut Output) -> Result<(), Failed> {
    match line.ask(Request::VerifyDone { call, matches })? {
        Reply::Verification(verification) => {
            let name = name_of(&verification, known);
            out.show(&verification, |one| verify::in_words(one.state, &name))
        }
        other => Err(unexpected(&other)),
    }
}

fn in_words(verification: &Verification, name: &str) -> String {
    let rows = [["with", name], ["words", &verify::words(verification)], ["digits", &verify::digits(verification)]];
    table(&rows.map(|row| row.map(str::to_owned)))
}

/// With whom keys are compared.
fn name_of(verification: &Verification, known: &Snapshot) -> String {
    let call = known.calls.iter().find(|call| call.call == verification.call);
    call.map_or_else(|| format!("call {}", verification.call), |call| who(call).to_owned())
}

/// The call in which the keys of `peer` can be compared.
pub(super) fn call_with<'a>(peer: &str, known: &'a Snapshot) -> Option<&'a CallInfo> {
    known.calls.iter().find(|call| call.peer == peer && talking(call.state))
}

#[cfg(test)]
mod tests {
    use dvs_proto::message::Direction;

    use super::*;
    use crate::ui::example::{self, ALICE, BOB};

    #[test]
    fn words_and_digits_are_rows_of_their_own() {
        let text = in_words(&example::verification(VerifyState::Compare), "Alice");
        assert_eq!(text, "with    Alice\nwords   anchor  garden  velvet\ndigits  48210 71234");
    }

    #[test]
    fn keys_are_compared_in_an_answered_call_with_that_person() {
        let with = |call: CallInfo| Snapshot { calls: vec![call], ..example::snapshot() };
        let talking = with(example::active(Direction::Outgoing));
        assert_eq!(call_with(ALICE, &talking).map(|call| call.call), Some(1));
        assert!(call_with(BOB, &talking).is_none());
        assert!(call_with(ALICE, &with(example::call(Direction::Outgoing))).is_none(), "it only rings");
    }
}
