// SPDX-License-Identifier: GPL-3.0-or-later
//! `dvs-tui answer`, `decline`, `hangup`, `hold`, `mute` and `deafen`

use std::path::PathBuf;
use std::time::{Duration, Instant};

use dvs_proto::message::{Audio, CallInfo, CallState, Event, Reply, Request};
use serde::Serialize;

use super::output::{Output, aside, mention_mute};
use crate::attach::{Line, unexpected};
use crate::cli::{Switch, Verb};
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
    let Some(request) = request(verb) else { return Ok(()) };
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

fn request(verb: &Verb) -> Option<Request> {
    let on = |switch: &Option<Switch>| switch.map(|switch| switch == Switch::On);
    Some(match verb {
        Verb::Answer(which) => Request::Answer { call: which.call },
        Verb::Decline(which) => Request::Decline { call: which.call },
        Verb::Hangup(which) => Request::Hangup { call: which.call },
        Verb::Hold { switch, which } => Request::Hold { call: which.call, on: on(switch) },
        Verb::Mute { switch } => Request::Mute { on: on(switch) },
        Verb::Deafen { switch } => Request::Deafen { on: on(switch) },
        _ => return None,
    })
}

fn outcome(verb: &Verb, call: Option<&CallInfo>) -> String {
    let off = matches!(verb, Verb::Hold { switch: Some(Switch::Off), .. });
    let held = call.is_some_and(|call| call.state == CallState::Held);
    let what = match verb {
        Verb::Answer(_) => "answered",
        Verb::Decline(_) => "declined",
        Verb::Hangup(_) => "hung up on",
        _ if held => "put on hold:",
        _ => "talking with",
    };
    if let Some(call) = call.filter(|_| off && held) {
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
    use super::*;
    use crate::cli::WhichCall;

    #[test]
    fn a_switch_left_out_toggles() {
        assert_eq!(request(&Verb::Mute { switch: None }), Some(Request::Mute { on: None }));
        let which = WhichCall { call: Some(3) };
        assert_eq!(
            request(&Verb::Hold { switch: Some(Switch::Off), which }),
            Some(Request::Hold { call: Some(3), on: Some(false) })
        );
    }
}
