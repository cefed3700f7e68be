// SPDX-License-Identifier: GPL-3.0-or-later
//! What of the calls decides what they will do: for whoever explores all states and must know which are the same.
//!
//! Every field is named here on purpose: one that is added later does not compile before somebody has said whether
//! it matters.

use core::hash::{Hash, Hasher};
use core::mem::discriminant;
use core::time::Duration;

use super::callee::Callee;
use super::caller::Caller;
use super::past::Entry;
use super::state::{Call, Phase};
use super::talk::RESUME_WINDOW;
use super::{CONNECT_LIMIT, CallKey, Calls, GLARE_WINDOW, LOOKUP_LIMIT, MEMORY, RETRY_MIN, WAIT_LIMIT};
use crate::time::{Instant, Now};
use crate::wire::control::Frame;

/// Writes what matters of one machine: moments as distances from now, call IDs under other names.
struct Scribe<'a, H> {
    now: Instant,
    name: &'a mut dyn FnMut(u32) -> u32,
    out: &'a mut H,
}

impl Calls {
    /// The name on the wire of the call between these two.
    pub fn call_id(&self, key: CallKey) -> Option<u32> {
        self.live.get(&key).map(|call| call.call_id)
    }

    /// Feeds `out` with everything that what these calls will do depends on, and with nothing else, so that two
    /// machines of the same configuration that feed it alike behave alike. Moments are written as distances from
    /// `now`, call IDs as `name` calls them; numbers of calls and figures for the user are left out. Events must have
    /// been drained.
    pub fn essence<H: Hasher>(&self, now: Now, name: &mut dyn FnMut(u32) -> u32, out: &mut H) {
        let Self { config: _, own: _, live, past, last_number: _, events: _, closing, quiet } = self;
        let mut scribe = Scribe { now: now.mono, name, out };
        (closing, quiet).hash(scribe.out);
        live.len().hash(scribe.out);
        live.values().for_each(|call| scribe.call(call));
        past.entries().filter(|entry| now.mono.since(entry.since) < MEMORY).for_each(|entry| scribe.past(entry));
    }
}

impl<H: Hasher> Scribe<'_, H> {
    fn call(&mut self, call: &Call) {
        let Call {
            number: _,
            key,
            direction,
            call_id,
            ours,
            attempt,
            tries,
            wait,
            can_wait,
            retry_after,
            waiting_since,
            told,
            places,
            phase,
            deadline,
            until: _,
            consent,
            held_here,
            held_there,
            resumed,
            unstable,
            lost,
            reply,
            may_return,
            media,
            watched,
            started,
            answered,
            ended: _,
            found_after: _,
            rang_after: _,
            shown,
        } = call;
        (key, direction, ours, attempt, tries, wait, can_wait, retry_after, places, consent).hash(self.out);
        (held_here, held_there, unstable, lost, may_return, media, watched, shown.is_some()).hash(self.out);
        self.phase(*phase);
        self.age(*waiting_since, WAIT_LIMIT);
        self.age(*told, RETRY_MIN);
        self.id(*call_id);
        reply.is_some().hash(self.out);
        reply.iter().for_each(|frame| self.frame(frame));
        deadline.map(|deadline| deadline.at.since(self.now)).hash(self.out);
        let began = matches!(phase, Phase::Caller(_)).then_some(started.mono);
        self.age(began, LOOKUP_LIMIT + CONNECT_LIMIT);
        self.age(answered.map(|answered| answered.mono), GLARE_WINDOW);
        let resumed = resumed.filter(|(since, _)| self.now.since(*since) < RESUME_WINDOW);
        resumed.map(|(_, count)| count).hash(self.out);
        self.age(resumed.map(|(since, _)| since), RESUME_WINDOW);
    }

    /// Where a call stands, with the moments in it as distances.
    fn phase(&mut self, phase: Phase) {
        discriminant(&phase).hash(self.out);
        match phase {
            Phase::Caller(Caller::Waiting { until, renewing }) => (until.since(self.now), renewing).hash(self.out),
            Phase::Callee(Callee::Queued { since }) => self.now.since(since).hash(self.out),
            _ => phase.hash(self.out),
        }
    }

    fn past(&mut self, entry: &Entry) {
        let Entry { key, call_id, attempt, reply, since } = entry;
        (key, attempt, self.now.since(*since)).hash(self.out);
        self.id(*call_id);
        reply.is_some().hash(self.out);
        reply.iter().for_each(|frame| self.frame(frame));
    }

    /// How long ago that was, if it is less than `limit`: beyond, nothing changes any more.
    fn age(&mut self, since: Option<Instant>, limit: Duration) {
        since.map(|since| self.now.since(since).min(limit)).hash(self.out);
    }

    fn id(&mut self, call_id: u32) {
        (self.name)(call_id).hash(self.out);
    }

    /// A frame about a call; of others the kind.
    fn frame(&mut self, frame: &Frame) {
        frame.kind().hash(self.out);
        match *frame {
            Frame::CallInitiate { call_id, attempt, max_tries } => self.parts(call_id, (attempt, max_tries)),
            Frame::CallInitiateReply { call_id, ok, reason } => self.parts(call_id, (ok, reason)),
            Frame::CallAnswer { call_id } => self.id(call_id),
            Frame::CallBusy { call_id, can_wait, ttw } => self.parts(call_id, (can_wait, ttw)),
            Frame::CallWaiting { call_id, want } => self.parts(call_id, want),
            Frame::CallWaitingReply { call_id, ok, ttw } => self.parts(call_id, (ok, ttw)),
            Frame::CallTerminate { call_id, reason } => self.parts(call_id, reason),
            Frame::CallTerminateReply { call_id, ok } => self.parts(call_id, ok),
            Frame::CallHold { call_id, on } => self.parts(call_id, on),
            _ => {}
        }
    }

    fn parts(&mut self, call_id: u32, rest: impl Hash) {
        self.id(call_id);
        rest.hash(self.out);
    }
}

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use super::super::{CallConfig, DialOptions};
    use super::*;
    use crate::id::{LocalId, NodeId};
    use crate::random::Random;

    const KEY: CallKey = CallKey { local: LocalId(0), peer: NodeId([2; 20]) };

    /// A machine that has dialled at `seconds`, and what it feeds `after` seconds later.
    fn dialled(seconds: u64, seed: u64, after: u64) -> (Calls, u64) {
        let at = |seconds: u64| Now { mono: Instant::from_millis(seconds * 1_000), unix: 0 };
        let mut calls = Calls::new(CallConfig::default());
        calls.dial(KEY, DialOptions::default(), at(seconds), &mut Random::seeded(seed)).unwrap();
        calls.session_up(KEY, at(seconds));
        while calls.poll_event().is_some() {}
        let digest = digest(&calls, at(seconds + after));
        (calls, digest)
    }

    fn digest(calls: &Calls, now: Now) -> u64 {
        let mut out = DefaultHasher::new();
        calls.essence(now, &mut |_| 1, &mut out);
        out.finish()
    }

    #[test]
    fn the_same_state_at_another_time_and_under_another_name_is_the_same() {
        let ((one, first), (other, second)) = (dialled(100, 1, 2), dialled(7_000, 2, 2));
        assert_ne!(one.call_id(KEY), other.call_id(KEY));
        assert_eq!(first, second);
    }

    #[test]
    fn what_makes_a_difference_later_makes_one_now() {
        let (mut calls, digest_at_once) = dialled(100, 1, 0);
        assert_ne!(digest_at_once, dialled(100, 1, 1).1, "its timer fires earlier");
        let now = Now { mono: Instant::from_millis(100_000), unix: 0 };
        let call_id = calls.call_id(KEY).unwrap();
        calls.handle_frame(KEY, Frame::CallAnswer { call_id }, || unreachable!(), now, &mut Random::seeded(1));
        let talking = digest(&calls, now);
        assert_ne!(digest_at_once, talking);
        calls.hold(None, Some(true), now).unwrap();
        assert_ne!(talking, digest(&calls, now));
    }
}
