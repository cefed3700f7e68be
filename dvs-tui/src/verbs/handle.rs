// SPDX-License-Identifier: GPL-3.0-or-later
//! `dvs-tui answer`, `decline`, `switch`, `hangup`, `hold`, `mute` and `deafen`

use std::path::PathBuf;
use std::time::{Duration, Instant};

use dvs_proto::message::{Audio, CallInfo, CallState, Event, Reply, Request};
use serde::Serialize;

use super::output::{Output, aside, mention_mute};
use crate::attach::{Line, unexpected};
use crate::cli::{HoldWord, Switch, Verb};
use crate::failed::Failed;

/// How long after an answer the sound devices are watched; opening them takes less.
const DEVICES_TIME: Duration = Duration::from_millis(500);

/// What a switch stands at now.
#[derive(Serialize)]
struct Switched {
    on: bool,
}

/// Does it to the call that is meant.
pub(super) fn run(verb: &Verb, directory: Option<PathBuf>, out: &mut Output) -> Result<(), Failed> {
    let Some(request) = request(verb)? else { return Ok(()) };
    let (mut line, snapshot) = Line::open(directory)?;
    match line.ask(request)? {
        Reply::Call(call) => {
            out.show(&call, |call| outcome(verb, Some(call)))?;
            if matches!(verb, Verb::Answer(_)) { watch_sound(&mut line, &snapshot.audio) } else { Ok(()) }
        }
        Reply::Switched { on } => out.show(&Switched { on }, |_| switched(verb, on).to_owned()),
        // The call is over and forgotten.
        Reply::Done => out.done(&outcome(verb, None)),
        other => Err(unexpected(&other)),
    }
}

/// Tells of a muted microphone, and of trouble with the sound of a call just answered. Test sounds need no devices.
fn watch_sound(line: &mut Line, audio: &Audio) -> Result<(), Failed> {
    mention_mute(audio);
    let deadline = Instant::now() + DEVICES_TIME;
    while matches!(audio.backend.as_str(), "alsa" | "wav")
        && let Some(event) = line.event_before(deadline)?
    {
        if let Event::Audio(Audio { trouble: Some(trouble), .. }) = event {
            aside(&format!("warning: {trouble}"));
            break;
        }
    }
    Ok(())
}

fn request(verb: &Verb) -> Result<Option<Request>, Failed> {
    Ok(Some(match verb {
        Verb::Answer(which) => Request::Answer { call: which.number() },
        Verb::Decline(which) => Request::Decline { call: which.number() },
        Verb::Switch(which) => Request::Switch { call: which.number() },
        Verb::Hangup(which) => Request::Hangup { call: which.number() },
        Verb::Hold { words, call } => hold(words, *call)?,
        Verb::Mute { switch } => Request::Mute { on: on(*switch) },
        Verb::Deafen { switch } => Request::Deafen { on: on(*switch) },
        _ => return Ok(None),
    }))
}

/// `None` toggles.
pub(super) fn on(switch: Option<Switch>) -> Option<bool> {
    switch.map(|switch| switch == Switch::On)
}

fn hold(words: &[HoldWord], option: Option<u32>) -> Result<Request, Failed> {
    let (mut call, mut switch) = (option, None);
    for word in words {
        let twice = match *word {
            HoldWord::Call(number) => call.replace(number).is_some(),
            HoldWord::Switch(word) => switch.replace(word).is_some(),
        };
        if twice {
            return Err(Failed::usage("say one call at most, and on or off; see: dvs-tui hold --help"));
        }
    }
    Ok(Request::Hold { call, on: on(switch) })
}

fn outcome(verb: &Verb, call: Option<&CallInfo>) -> String {
    let held = call.is_some_and(|call| call.state == CallState::Held);
    let what = match verb {
        Verb::Answer(_) => "answered",
        Verb::Decline(_) => "declined",
        Verb::Hangup(_) => "hung up on",
        _ if held => "put on hold:",
        _ => "talking with",
    };
    if let Some(call) = call.filter(|call| held && !call.held_here) {
        return format!("still on hold: {} holds the call and is the one to resume", super::call::who(call));
    }
    format!("{what} {}", call.map_or("the call", super::call::who))
}

fn switched(verb: &Verb, on: bool) -> &'static str {
    match (verb, on) {
        (Verb::Deafen { .. }, true) => "loudspeaker off",
        (Verb::Deafen { .. }, false) => "loudspeaker on",
        (_, true) => "microphone off",
        (_, false) => "microphone on",
    }
}

#[cfg(test)]
mod tests {
    use dvs_proto::message::Direction;

    use super::*;
    use crate::ui::example;

    fn held(words: &[HoldWord], call: Option<u32>) -> Result<Option<Request>, Failed> {
        request(&Verb::Hold { words: words.to_vec(), call })
    }

    #[test]
    fn a_switch_left_out_toggles() {
        assert_eq!(request(&Verb::Mute { switch: None }), Ok(Some(Request::Mute { on: None })));
        assert_eq!(held(&[], Some(3)), Ok(Some(Request::Hold { call: Some(3), on: None })));
    }

    #[test]
    fn a_hold_names_its_call_once() {
        let (two, off) = (HoldWord::Call(2), HoldWord::Switch(Switch::Off));
        let expected = Request::Hold { call: Some(2), on: Some(false) };
        assert_eq!(held(&[two, off], None), Ok(Some(expected.clone())));
        assert_eq!(held(&[off], Some(2)), Ok(Some(expected)));
        assert!(held(&[two, two], None).is_err() && held(&[off, off], None).is_err() && held(&[two], Some(2)).is_err());
    }

    #[test]
    fn what_was_done_is_said_with_whom() {
        let held = CallInfo { state: CallState::Held, held_here: true, ..example::active(Direction::Incoming) };
        let hold = Verb::Hold { words: Vec::new(), call: None };
        assert_eq!(outcome(&hold, Some(&held)), "put on hold: Alice");
        let there = CallInfo { held_here: false, held_there: true, ..held };
        assert_eq!(outcome(&hold, Some(&there)), "still on hold: Alice holds the call and is the one to resume");
        assert_eq!(outcome(&hold, Some(&example::active(Direction::Incoming))), "talking with Alice");
    }
}
