// SPDX-License-Identifier: GPL-3.0-or-later
//! The calls as a client knows them; `words` has every state of theirs in words.

use std::collections::{BTreeMap, BTreeSet};

use dvs_proto::message::{CallInfo, CallState, CallStats, Direction, EndReason, PastCall, Trust};

mod words;

pub(crate) use self::words::{
    alarm, heading, in_brief, named, news, not_the_invited, on_hold, outlook, progress, tries, who, why, why_by,
};

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
    /// What must not be overlooked, and what to do about it.
    pub(crate) alarm: Option<String>,
}

/// All calls in sight.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls {
    ongoing: Vec<Ongoing>,
    /// Calls that ring or wait here and whose pop-up was put aside.
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
        self.ongoing.iter().min_by_key(|call| rank(&call.info))
    }

    /// The call that rings here, or else waits here, and whose pop-up was not put aside.
    pub(crate) fn asking(&self) -> Option<&Ongoing> {
        let asking = self.ongoing.iter().filter(|call| asks(&call.info) && !self.is_aside(call.info.call));
        asking.min_by_key(|call| waits_here(&call.info))
    }

    /// The first call that rings here, or else waits here, and whose pop-up was put aside.
    pub(crate) fn asking_aside(&self) -> Option<&Ongoing> {
        let aside = self.ongoing.iter().filter(|call| asks(&call.info) && self.is_aside(call.info.call));
        aside.min_by_key(|call| waits_here(&call.info))
    }

    /// The call to switch to: of those that could be talked in, the one after the current call, and in the end the
    /// first again.
    pub(crate) fn next(&self) -> Option<&Ongoing> {
        let current = self.current()?.info.call;
        let could = |call: &&Ongoing| call.info.call != current && (call.info.held_here || asks(&call.info));
        self.ongoing.iter().filter(could).min_by_key(|call| (call.info.call < current, call.info.call))
    }

    /// The call with this number.
    pub(crate) fn get(&self, call: u32) -> Option<&Ongoing> {
        self.ongoing.iter().find(|ongoing| ongoing.info.call == call)
    }

    /// Whether quitting would leave a call of ours running: one that does more than ring here.
    pub(crate) fn to_leave(&self) -> Option<&Ongoing> {
        self.current().filter(|call| !asks(&call.info))
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
        // Whoever waited and rings now asks anew.
        if info.state == CallState::Ended || same.is_none() && info.state == CallState::Alerting {
            self.aside.remove(&info.call);
        }
        if info.state == CallState::Ended {
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

    /// Nothing came of what somebody did to a call.
    pub(crate) fn forget_actor(&mut self, call: u32) {
        self.actors.remove(&call);
    }

    /// Notes who did something to a call; what came of it is still to be told.
    pub(crate) fn acted(&mut self, call: u32, by: Actor) {
        self.actors.insert(call, by);
    }

    /// A contact has another name now, or none any more, and perhaps another trust.
    pub(crate) fn know(&mut self, peer: &str, name: Option<&String>, trust: Option<Trust>) {
        let infos = self.ongoing.iter_mut().map(|ongoing| &mut ongoing.info);
        for info in infos.chain(self.finished.iter_mut().map(|finished| &mut finished.info)) {
            if info.peer == peer {
                info.name = name.cloned();
                info.trust = trust.unwrap_or(info.trust);
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
fn rank(info: &CallInfo) -> u8 {
    match info.state {
        CallState::Active | CallState::Reconnecting => 0,
        CallState::Busy | CallState::Waiting if waits_here(info) => 3,
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

/// Whether the caller was told that we are busy, or waits in our queue: it does not ring, but can be answered.
pub(crate) fn waits_here(info: &CallInfo) -> bool {
    matches!(info.state, CallState::Busy | CallState::Waiting) && info.direction == Direction::Incoming
}

/// Whether we wait in the peer's queue.
pub(crate) fn waits_there(info: &CallInfo) -> bool {
    info.state == CallState::Waiting && info.direction == Direction::Outgoing
}

/// Whether somebody here is to answer or to decline it.
pub(crate) fn asks(info: &CallInfo) -> bool {
    info.state == CallState::Alerting || waits_here(info)
}

/// Whether sound may flow, or will again without a new answer.
pub(crate) fn talking(state: CallState) -> bool {
    matches!(state, CallState::Active | CallState::Held | CallState::Reconnecting)
}

/// Whether a session with the peer stands, so that everything said goes encrypted.
pub(crate) fn encrypted(state: CallState) -> bool {
    !matches!(state, CallState::Lookup | CallState::Connecting | CallState::Ended)
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
        assert_eq!(calls.asking().map(|c| c.info.call), Some(3));
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
        assert!(calls.asking().is_none() && calls.asking_aside().is_some());
        calls.store(state(1, CallState::Alerting), 1);
        assert!(calls.asking().is_none(), "it only goes on ringing");
        calls.store(state(1, CallState::Ended), 0);
        calls.store(state(1, CallState::Alerting), 0);
        assert!(calls.asking().is_some(), "a new call with that number rings again");
    }

    #[test]
    fn whoever_waits_here_is_not_the_current_call_and_rings_anew_when_the_line_is_free() {
        let mut calls = Calls::default();
        calls.store(state(2, CallState::Held), 0);
        calls.store(state(5, CallState::Waiting), 0);
        assert_eq!(calls.current().map(|c| c.info.call), Some(2));
        assert_eq!(calls.asking().map(|c| c.info.call), Some(5));
        calls.put_aside(5);
        assert!(calls.asking().is_none());
        calls.store(state(5, CallState::Alerting), 0);
        assert_eq!(calls.asking().map(|c| c.info.call), Some(5));
        let waiting = CallInfo { direction: Direction::Outgoing, ..state(6, CallState::Waiting) };
        calls.store(waiting, 0);
        assert_eq!(calls.current().map(|c| c.info.call), Some(6), "our own place in a queue is a call of ours");
    }

    #[test]
    fn switching_goes_round_all_calls_that_can_be_talked_in() {
        let mut calls = Calls::default();
        let held = |number| CallInfo { held_here: true, ..state(number, CallState::Held) };
        let next = |calls: &Calls| calls.next().map(|c| c.info.call);
        calls.store(state(2, CallState::Active), 0);
        assert_eq!(next(&calls), None);
        calls.store(held(1), 0);
        calls.store(held(3), 0);
        assert_eq!(next(&calls), Some(3));
        calls.store(held(2), 0);
        calls.store(state(3, CallState::Active), 0);
        assert_eq!(next(&calls), Some(1), "after the last comes the first");
        calls.store(state(7, CallState::Busy), 0);
        assert_eq!(next(&calls), Some(7));
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
