// SPDX-License-Identifier: GPL-3.0-or-later
//! Calls in words: what goes on, who did it, why it was over.

use dvs_proto::message::{CallInfo, CallState, Direction, EndReason};

use super::{Actor, Change, talking, waits_here};
use crate::ui::text::short_id;
use crate::ui::theme::Theme;
use crate::ui::time::timer;

/// The contact's name, or the short form of the ID.
pub(crate) fn who(info: &CallInfo, theme: Theme) -> String {
    named(info.name.as_deref(), &info.peer, theme)
}

/// `name`, or the short form of `id` if there is none.
pub(crate) fn named(name: Option<&str>, id: &str, theme: Theme) -> String {
    name.filter(|name| !name.trim().is_empty()).map_or_else(|| short_id(id, theme), str::to_owned)
}

/// What goes on in a call, in one line.
pub(crate) fn progress(info: &CallInfo, name: &str) -> String {
    match info.state {
        CallState::Lookup => format!("looking up {name} in the overlay"),
        CallState::Connecting => match info.lookup_us {
            Some(us) => format!("found in {} ms, connecting to {name}", us / 1_000),
            None => format!("connecting to {name}"),
        },
        CallState::Calling => format!("connected, calling {name}"),
        CallState::Ringing => format!("ringing at {name}"),
        CallState::Alerting => format!("{name} is calling"),
        CallState::Busy if waits_here(info) => format!("{name} is calling and was told that you are busy"),
        CallState::Busy if info.until.is_none() => {
            format!("{name} is in another call, asking for a place in the queue")
        }
        CallState::Busy => format!("{name} is in another call"),
        CallState::Waiting if waits_here(info) => format!("{name} waits in your queue"),
        CallState::Waiting => format!("waiting in {name}'s queue"),
        CallState::Active if info.unstable => format!("talking with {name}, connection unstable"),
        CallState::Active => format!("talking with {name}"),
        CallState::Held => format!("{}, neither side is heard", on_hold(info, None, name)),
        CallState::Reconnecting => format!("nothing heard from {name}, reconnecting"),
        CallState::Ending => "hanging up".to_owned(),
        CallState::Ended => "over".to_owned(),
    }
}

/// Which try a call is, where there is more than one: `try 2 of 3`.
pub(crate) fn tries(info: &CallInfo) -> Option<String> {
    (info.tries > 1 && !talking(info.state)).then(|| format!("try {} of {}", info.attempt.max(1), info.tries))
}

/// What comes next in a call that waits for its peer, and in how long.
pub(crate) fn outlook(info: &CallInfo, now: u64) -> Option<String> {
    if waits_here(info) {
        return None;
    }
    let left = timer(info.until?.saturating_sub(now));
    match info.state {
        CallState::Busy if info.attempt < info.tries => {
            Some(format!("try {} of {} in {left}", info.attempt.saturating_add(1), info.tries))
        }
        CallState::Busy => Some(format!("given up in {left}")),
        CallState::Waiting => Some(format!("place kept for {left}")),
        _ => None,
    }
}

/// The state of a call beside its peer's name.
pub(crate) fn in_brief(info: &CallInfo) -> &'static str {
    match info.state {
        CallState::Busy if waits_here(info) => "calls you",
        CallState::Waiting if waits_here(info) => "waits here",
        CallState::Active if info.unstable => "unstable",
        CallState::Reconnecting => "reconnecting",
        CallState::Lookup | CallState::Connecting | CallState::Calling => "calling",
        CallState::Ringing => "ringing",
        CallState::Alerting => "calls you",
        CallState::Busy => "busy",
        CallState::Waiting => "waiting",
        CallState::Active => "in call",
        CallState::Held => "on hold",
        CallState::Ending | CallState::Ended => "hanging up",
    }
}

/// Who put a call on hold, in one line; `by` is the one here who did, as far as known.
pub(crate) fn on_hold(info: &CallInfo, by: Option<&Actor>, name: &str) -> String {
    match (info.held_here, info.held_there, by) {
        (true, true, _) => format!("you and {name} put each other on hold"),
        (false, true, _) => format!("{name} put you on hold"),
        (true, false, Some(Actor::You)) => format!("you put {name} on hold"),
        (true, false, Some(Actor::Client(client))) => format!("{client} put {name} on hold"),
        _ => format!("the call with {name} is on hold"),
    }
}

/// A change as a line for the log; nothing when it is of no interest there. The end of a call has words of its own.
pub(crate) fn news(change: &Change, info: &CallInfo, name: &str, answered_here: bool) -> Option<String> {
    let before = change.before.as_ref().map(|known| known.info.state);
    match (before, info.state) {
        (None, CallState::Alerting) => Some(format!("{name} is calling")),
        (None, CallState::Busy | CallState::Waiting) if waits_here(info) => Some(progress(info, name)),
        (Some(CallState::Busy | CallState::Waiting), CallState::Alerting) => Some(format!("{name} is calling again")),
        (Some(before), CallState::Busy) if before != CallState::Busy => Some(progress(info, name)),
        (Some(before), CallState::Waiting) if before != CallState::Waiting => Some(progress(info, name)),
        (None, state) if info.direction == Direction::Outgoing && !talking(state) => match &change.by {
            Some(Actor::Client(client)) => Some(format!("{client} calls {name}")),
            _ => Some(format!("calling {name}")),
        },
        (Some(CallState::Held), CallState::Active) => Some(format!("talking with {name} again")),
        (Some(CallState::Reconnecting), CallState::Active) => Some(format!("{name} is heard again")),
        (before, CallState::Active) if !before.is_some_and(talking) => Some(answer(info, name, answered_here)),
        (before, CallState::Held) if before != Some(CallState::Held) => Some(on_hold(info, change.by.as_ref(), name)),
        (before, CallState::Reconnecting) if before != Some(CallState::Reconnecting) => Some(progress(info, name)),
        _ => None,
    }
}

/// Who answered, in one line.
fn answer(info: &CallInfo, name: &str, here: bool) -> String {
    match (info.direction, &info.answered_by) {
        (Direction::Outgoing, _) => format!("{name} answered"),
        (Direction::Incoming, _) if here => format!("you answered {name}"),
        (Direction::Incoming, Some(by)) => format!("{name}: answered by {by}"),
        (Direction::Incoming, None) => format!("{name}: answered automatically"),
    }
}

/// Heading of the call panel.
pub(crate) fn heading(info: &CallInfo) -> &'static str {
    match info.state {
        CallState::Busy | CallState::Waiting if waits_here(info) => "Call waiting",
        CallState::Lookup | CallState::Connecting | CallState::Calling | CallState::Ringing => "Calling",
        CallState::Alerting => "Incoming call",
        CallState::Busy => "Busy",
        CallState::Waiting => "Waiting",
        CallState::Active => "In call",
        CallState::Held => "On hold",
        CallState::Reconnecting => "Reconnecting",
        CallState::Ending => "Hanging up",
        CallState::Ended => "Call ended",
    }
}

/// Why a call ended, in one line, and which other client ended it.
pub(crate) fn why_by(reason: EndReason, direction: Direction, name: &str, by: Option<&Actor>) -> String {
    match (reason, by) {
        (EndReason::HungUp, Some(Actor::Client(client))) => format!("hung up by {client}"),
        (EndReason::DeclinedHere, Some(Actor::Client(client))) => format!("declined by {client}"),
        (EndReason::DeclinedHere, Some(Actor::You)) => "you declined".to_owned(),
        _ => why(reason, direction, name),
    }
}

/// Why a call ended, in one line.
pub(crate) fn why(reason: EndReason, direction: Direction, name: &str) -> String {
    match (reason, direction) {
        (EndReason::HungUp, _) => "you hung up".to_owned(),
        (EndReason::PeerHungUp, _) => format!("{name} hung up"),
        (EndReason::Declined, _) => format!("{name} declined"),
        (EndReason::DeclinedHere, _) => "declined here".to_owned(),
        (EndReason::Busy, Direction::Outgoing) => format!("{name} is in another call"),
        (EndReason::Busy, Direction::Incoming) => "missed, the line was busy".to_owned(),
        (EndReason::NoAnswer, Direction::Outgoing) => "no answer".to_owned(),
        (EndReason::NoAnswer, Direction::Incoming) | (EndReason::Missed, _) => "missed".to_owned(),
        (EndReason::MissedBusy, _) => "missed, the line was busy".to_owned(),
        (EndReason::Refused, _) => "refused, as unknown callers are".to_owned(),
        (EndReason::Blocked, _) => format!("{name} is blocked"),
        (EndReason::AnsweredElsewhere, _) => format!("{name} answered on another device"),
        (EndReason::NotFound, _) => "not found in the overlay: offline, or the ID is not in use".to_owned(),
        (EndReason::Unreachable, _) => "nodes know this ID, but it does not answer: firewall, or just gone".to_owned(),
        (EndReason::NeedsRelay, _) => "only a relay would help: NAT on both sides lets nothing through".to_owned(),
        (EndReason::NoReply, _) => format!("connected, but {name}'s daemon did not react"),
        (EndReason::Version, _) => format!("{name}'s software speaks another version"),
        (EndReason::PeerRestarted, _) => format!("{name}'s daemon was restarted"),
        (EndReason::PeerLost, _) => "connection lost, nothing heard any more".to_owned(),
        (EndReason::KeyChanged, _) => "refused: another key than the known one showed up".to_owned(),
        (EndReason::Protocol, _) => format!("{name}'s software broke the protocol"),
        (EndReason::GoingAway, _) => "the daemon of one side was shut down".to_owned(),
        (EndReason::Media, _) => "sound could not be carried".to_owned(),
        (EndReason::Offline, _) => "we are offline: no node of the network answers".to_owned(),
    }
}

/// What must not be overlooked at the end of a call, and what to do about it.
pub(crate) fn alarm(info: &CallInfo, name: &str) -> Option<String> {
    (info.ended == Some(EndReason::KeyChanged) && info.name.is_some()).then(|| {
        format!(
            "KEY CHANGED: whoever answers for {name} has another key than before, and may be somebody else. Do not go \
             on. Ask {name} by another way; only if they really have a new key, enter its fingerprint: :contact verify"
        )
    })
}

/// What to make of a stranger's key that is not the one of the invite, if that ended the call. A contact's key is
/// compared with the one it had before.
pub(crate) fn not_the_invited(info: &CallInfo) -> Option<&'static str> {
    let invited = info.name.is_none() && info.ended == Some(EndReason::KeyChanged);
    invited.then_some("has another key than the invite names; do not go on, and ask its owner for a fresh invite")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::example::{NOON, active, call};

    #[test]
    fn a_busy_peer_is_tried_again_in_a_while() {
        let busy = CallInfo {
            state: CallState::Busy,
            attempt: 2,
            tries: 3,
            until: Some(NOON + 17),
            ..call(Direction::Outgoing)
        };
        assert_eq!(outlook(&busy, NOON).as_deref(), Some("try 3 of 3 in 00:17"));
        assert_eq!(outlook(&busy, NOON + 60).as_deref(), Some("try 3 of 3 in 00:00"), "the clocks may differ a little");
        assert_eq!(outlook(&CallInfo { attempt: 3, ..busy.clone() }, NOON).as_deref(), Some("given up in 00:17"));
        let waiting = CallInfo { state: CallState::Waiting, until: Some(NOON + 72), ..busy.clone() };
        assert_eq!(outlook(&waiting, NOON).as_deref(), Some("place kept for 01:12"));
        assert_eq!(outlook(&CallInfo { until: None, ..busy }, NOON), None);
    }

    #[test]
    fn only_calls_of_several_tries_count_them() {
        let ringing = call(Direction::Outgoing);
        assert_eq!(tries(&ringing), None);
        assert_eq!(tries(&CallInfo { attempt: 2, tries: 3, ..ringing }).as_deref(), Some("try 2 of 3"));
    }

    #[test]
    fn a_hold_says_whose_it_is() {
        let held = |held_here, held_there| CallInfo { held_here, held_there, ..active(Direction::Outgoing) };
        let said = |here, there, by: Option<&Actor>| on_hold(&held(here, there), by, "Bob");
        assert_eq!(said(true, false, Some(&Actor::You)), "you put Bob on hold");
        assert_eq!(said(true, false, Some(&Actor::Client("pts/3".into()))), "pts/3 put Bob on hold");
        assert_eq!(said(false, true, Some(&Actor::You)), "Bob put you on hold");
        assert_eq!(said(true, true, Some(&Actor::You)), "you and Bob put each other on hold");
        assert_eq!(said(true, false, None), "the call with Bob is on hold");
    }

    #[test]
    fn a_changed_key_says_what_to_do() {
        let ended = CallInfo { ended: Some(EndReason::KeyChanged), ..call(Direction::Outgoing) };
        let said = alarm(&ended, "Bob").unwrap();
        assert!(
            said.starts_with("KEY CHANGED") && said.contains("Do not go on") && said.contains(":contact verify"),
            "{said}"
        );
        assert_eq!(alarm(&CallInfo { ended: Some(EndReason::Busy), ..ended }, "Bob"), None);
    }
}
