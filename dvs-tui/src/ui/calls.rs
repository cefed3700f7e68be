// SPDX-License-Identifier: GPL-3.0-or-later
//! The calls as a client knows them, and every state of theirs in words.

use std::collections::{BTreeMap, BTreeSet};

use dvs_proto::message::{CallInfo, CallState, CallStats, Direction, EndReason, PastCall};

use super::text::short_id;
use super::theme::Theme;

/// A call that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ongoing {
    /// As the daemon told it.
    pub(crate) info: CallInfo,
    /// Seconds since 1970 when its present state began, as far as known.
    pub(crate) since: u64,
    /// Who brought its present state about, as far as known.
    pub(crate) by: Option<Actor>,
}

/// Who did something to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// This client.
    You,
    /// Another client of the daemon, by name.
    Client(String),
    /// Nobody here, so it was the peer.
    Peer,
}

/// What was known of a call before it changed, and who changed it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    /// As it was; `None` when it is new.
    pub(crate) before: Option<Ongoing>,
    /// Who did it, as far as known.
    pub(crate) by: Option<Actor>,
}

/// The call that ended last, kept in sight with its figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finished {
    /// As the daemon told it last.
    pub(crate) info: CallInfo,
    /// Seconds it was talked; `None` when never answered.
    pub(crate) talked: Option<u64>,
    /// Its last figures.
    pub(crate) stats: Option<CallStats>,
    /// Why it ended, in one line.
    pub(crate) why: String,
}

/// All calls in sight.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls {
    ongoing: Vec<Ongoing>,
    /// Ringing calls whose pop-up was put aside.
    aside: BTreeSet<u32>,
    /// Calls that were answered at this very client.
    answered_here: BTreeSet<u32>,
    /// Who did something whose effect is not known yet.
    actors: BTreeMap<u32, Actor>,
    /// The call that ended last, until it is put away.
    pub(crate) finished: Option<Finished>,
}

impl Calls {
    /// All calls that have not ended.
    pub(crate) fn ongoing(&self) -> &[Ongoing] {
        &self.ongoing
    }

    /// The call the keys act on: the one talked in, else the one being made, else the one on hold.
    pub(crate) fn current(&self) -> Option<&Ongoing> {
        self.ongoing.iter().min_by_key(|call| rank(call.info.state))
    }

    /// The call that rings here and whose pop-up was not put aside.
    pub(crate) fn alerting(&self) -> Option<&Ongoing> {
        self.ongoing.iter().find(|call| call.info.state == CallState::Alerting && !self.is_aside(call.info.call))
    }

    /// The first call that rings here and whose pop-up was put aside.
    pub(crate) fn ringing_aside(&self) -> Option<&Ongoing> {
        self.ongoing.iter().find(|call| call.info.state == CallState::Alerting && self.is_aside(call.info.call))
    }

    /// The call with this number.
    pub(crate) fn get(&self, call: u32) -> Option<&Ongoing> {
        self.ongoing.iter().find(|ongoing| ongoing.info.call == call)
    }

    /// Whether quitting would leave a call of ours running: one that does more than ring here.
    pub(crate) fn to_leave(&self) -> Option<&Ongoing> {
        self.current().filter(|call| call.info.state != CallState::Alerting)
    }

    /// Takes over what the daemon said of a call.
    pub(crate) fn store(&mut self, info: CallInfo, unix: u64) -> Change {
        let at = self.ongoing.iter().position(|ongoing| ongoing.info.call == info.call);
        let before = at.map(|at| self.ongoing.swap_remove(at));
        let same = before.as_ref().filter(|known| known.info.state == info.state);
        let by = match (same, &before) {
            (Some(known), _) => known.by.clone(),
            (None, before) => self.actor(info.call, before.as_ref()),
        };
        if info.state == CallState::Ended {
            self.aside.remove(&info.call);
            self.answered_here.remove(&info.call);
        } else {
            let since = match (same, &before) {
                (Some(known), _) => known.since,
                (None, Some(_)) => unix,
                (None, None) => info.answered.unwrap_or(info.started).min(unix),
            };
            self.ongoing.push(Ongoing { info, since, by: by.clone() });
            self.ongoing.sort_by_key(|ongoing| ongoing.info.call);
        }
        Change { before, by }
    }

    /// Who brought about a new state of a call. Whoever hangs up brings about two, and what nobody here did the peer did.
    fn actor(&mut self, call: u32, before: Option<&Ongoing>) -> Option<Actor> {
        let noted = self.actors.remove(&call);
        let ending = before.filter(|known| known.info.state == CallState::Ending).and_then(|known| known.by.clone());
        noted.or(ending).or(before.map(|_| Actor::Peer))
    }

    /// It turned out that the peer holds the call.
    pub(crate) fn held_by_peer(&mut self, call: u32) {
        let held = self.ongoing.iter_mut().filter(|known| known.info.call == call);
        held.for_each(|known| known.by = Some(Actor::Peer));
        self.actors.remove(&call);
    }

    /// Notes who did something to a call; what came of it is still to be told.
    pub(crate) fn acted(&mut self, call: u32, by: Actor) {
        self.actors.insert(call, by);
    }

    /// A contact has another name now, or none any more.
    pub(crate) fn rename(&mut self, peer: &str, name: Option<&String>) {
        let infos = self.ongoing.iter_mut().map(|ongoing| &mut ongoing.info);
        for info in infos.chain(self.finished.iter_mut().map(|finished| &mut finished.info)) {
            if info.peer == peer {
                info.name = name.cloned();
            }
        }
    }

    /// Forgets everything but the finished call, and hands back what was known.
    pub(crate) fn drain(&mut self) -> Vec<Ongoing> {
        std::mem::take(&mut self.ongoing)
    }

    /// Puts a ringing call's pop-up aside.
    pub(crate) fn put_aside(&mut self, call: u32) {
        self.aside.insert(call);
    }

    fn is_aside(&self, call: u32) -> bool {
        self.aside.contains(&call)
    }

    /// Notes that this client answers the call, or did not after all.
    pub(crate) fn mark_answered_here(&mut self, call: u32, here: bool) {
        if here {
            self.answered_here.insert(call);
        } else {
            self.answered_here.remove(&call);
        }
    }

    /// Whether this client answered the call.
    pub(crate) fn answered_here(&self, call: u32) -> bool {
        self.answered_here.contains(&call)
    }
}

/// How near to the user a call is; lower is nearer.
fn rank(state: CallState) -> u8 {
    match state {
        CallState::Active | CallState::Reconnecting => 0,
        CallState::Lookup
        | CallState::Connecting
        | CallState::Calling
        | CallState::Ringing
        | CallState::Busy
        | CallState::Waiting => 1,
        CallState::Held => 2,
        CallState::Alerting => 3,
        CallState::Ending | CallState::Ended => 4,
    }
}

/// Whether sound may flow, or will again without a new answer.
pub(crate) fn talking(state: CallState) -> bool {
    matches!(state, CallState::Active | CallState::Held | CallState::Reconnecting)
}

/// Whether a session with the peer stands, so that everything said goes encrypted.
pub(crate) fn encrypted(state: CallState) -> bool {
    !matches!(state, CallState::Lookup | CallState::Connecting | CallState::Ended)
}

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
        CallState::Busy => format!("{name} is in another call"),
        CallState::Waiting => format!("waiting in {name}'s queue"),
        CallState::Active => format!("talking with {name}"),
        CallState::Held => format!("on hold with {name}, neither side is heard"),
        CallState::Reconnecting => format!("nothing heard from {name}, reconnecting"),
        CallState::Ending => "hanging up".to_owned(),
        CallState::Ended => "over".to_owned(),
    }
}

/// The state of a call beside its peer's name.
pub(crate) fn in_brief(state: CallState) -> &'static str {
    match state {
        CallState::Lookup | CallState::Connecting | CallState::Calling => "calling",
        CallState::Ringing => "ringing",
        CallState::Alerting => "calls you",
        CallState::Busy => "busy",
        CallState::Waiting => "waiting",
        CallState::Active | CallState::Reconnecting => "in call",
        CallState::Held => "on hold",
        CallState::Ending | CallState::Ended => "hanging up",
    }
}

/// Who put a call on hold, in one line.
pub(crate) fn on_hold(by: Option<&Actor>, name: &str) -> String {
    match by {
        Some(Actor::You) => format!("you put {name} on hold"),
        Some(Actor::Client(client)) => format!("{client} put {name} on hold"),
        Some(Actor::Peer) => format!("{name} put you on hold"),
        None => format!("the call with {name} is on hold"),
    }
}

/// A change as a line for the log; nothing when it is of no interest there. The end of a call has words of its own.
pub(crate) fn news(change: &Change, info: &CallInfo, name: &str, answered_here: bool) -> Option<String> {
    let before = change.before.as_ref().map(|known| known.info.state);
    match (before, info.state) {
        (None, CallState::Alerting) => Some(format!("{name} is calling")),
        (None, state) if info.direction == Direction::Outgoing && !talking(state) => match &change.by {
            Some(Actor::Client(client)) => Some(format!("{client} calls {name}")),
            _ => Some(format!("calling {name}")),
        },
        (Some(CallState::Held), CallState::Active) => Some(format!("talking with {name} again")),
        (Some(CallState::Reconnecting), CallState::Active) => Some(format!("{name} is heard again")),
        (before, CallState::Active) if !before.is_some_and(talking) => Some(answer(info, name, answered_here)),
        (before, CallState::Held) if before != Some(CallState::Held) => Some(on_hold(change.by.as_ref(), name)),
        (before, CallState::Reconnecting) if before != Some(CallState::Reconnecting) => Some(progress(info, name)),
        _ => None,
    }
}

/// Who answered, in one line.
pub(crate) fn answer(info: &CallInfo, name: &str, here: bool) -> String {
    match (info.direction, &info.answered_by) {
        (Direction::Outgoing, _) => format!("{name} answered"),
        (Direction::Incoming, _) if here => format!("you answered {name}"),
        (Direction::Incoming, Some(by)) => format!("{name}: answered by {by}"),
        (Direction::Incoming, None) => format!("{name}: answered automatically"),
    }
}

/// Heading of the call panel.
pub(crate) fn heading(state: CallState) -> &'static str {
    match state {
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

/// What to make of a stranger's key that is not the one of the invite, if that ended the call. A contact's key is
/// compared with the one it had before.
pub(crate) fn not_the_invited(info: &CallInfo) -> Option<&'static str> {
    let invited = info.name.is_none() && info.ended == Some(EndReason::KeyChanged);
    invited.then_some("has another key than the invite names; do not go on, and ask its owner for a fresh invite")
}

/// Whether a past call is one that the user missed.
pub(crate) fn missed(call: &PastCall) -> bool {
    call.direction == Direction::Incoming
        && call.talked.is_none()
        && !matches!(
            call.ended,
            EndReason::DeclinedHere
                | EndReason::HungUp
                | EndReason::Refused
                | EndReason::Blocked
                | EndReason::AnsweredElsewhere
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::example::call;

    fn state(number: u32, state: CallState) -> CallInfo {
        CallInfo { call: number, state, ..call(Direction::Incoming) }
    }

    #[test]
    fn the_call_talked_in_is_the_current_one() {
        let mut calls = Calls::default();
        calls.store(state(1, CallState::Held), 10);
        calls.store(state(3, CallState::Alerting), 10);
        assert_eq!(calls.current().map(|c| c.info.call), Some(1));
        calls.store(state(2, CallState::Active), 10);
        assert_eq!(calls.current().map(|c| c.info.call), Some(2));
        assert_eq!(calls.alerting().map(|c| c.info.call), Some(3));
    }

    #[test]
    fn a_states_clock_starts_when_the_state_does() {
        let mut calls = Calls::default();
        let started = state(1, CallState::Calling).started;
        calls.store(state(1, CallState::Calling), started + 4);
        assert_eq!(calls.get(1).map(|c| c.since), Some(started));
        calls.store(state(1, CallState::Ringing), started + 5);
        calls.store(state(1, CallState::Ringing), started + 9);
        assert_eq!(calls.get(1).map(|c| c.since), Some(started + 5));
    }

    #[test]
    fn a_call_that_only_rings_here_does_not_keep_anyone_from_quitting() {
        let mut calls = Calls::default();
        calls.store(state(1, CallState::Alerting), 0);
        assert!(calls.to_leave().is_none());
        calls.store(state(2, CallState::Held), 0);
        assert!(calls.to_leave().is_some());
    }

    #[test]
    fn an_ended_call_is_forgotten_with_its_marks() {
        let mut calls = Calls::default();
        calls.store(state(1, CallState::Alerting), 0);
        calls.put_aside(1);
        assert!(calls.alerting().is_none() && calls.ringing_aside().is_some());
        calls.store(state(1, CallState::Ended), 0);
        calls.store(state(1, CallState::Alerting), 0);
        assert!(calls.alerting().is_some(), "a new call with that number rings again");
    }

    #[test]
    fn a_declined_call_was_not_missed() {
        let past = |ended| PastCall {
            peer: "dvs1x".into(),
            name: None,
            direction: Direction::Incoming,
            started: 0,
            talked: None,
            ended,
        };
        assert!(missed(&past(EndReason::NoAnswer)));
        assert!(missed(&past(EndReason::PeerHungUp)));
        assert!(!missed(&past(EndReason::DeclinedHere)));
    }
}
