// SPDX-License-Identifier: GPL-3.0-or-later
//! All calls of a daemon: which of them has the line, whose turn it is, what sessions report, and the events that come
//! of it all.

use std::collections::{BTreeMap, VecDeque};

use super::callee::Line;
use super::past::Past;
use super::state::{Call, Desk};
use super::view::{CallView, EndCause};
use super::{CallConfig, CallEvent, CallKey, CallNumber, MAX_QUEUE};
use crate::id::{LocalId, NodeId};
use crate::time::{Deadline, Now};
use crate::wire::control::Reason;

/// All calls of a daemon.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Calls {
    pub(super) config: CallConfig,
    /// Our own IDs: of two crossed dials the lower ID's goes on.
    pub(super) own: BTreeMap<LocalId, NodeId>,
    pub(super) live: BTreeMap<CallKey, Call>,
    pub(super) past: Past,
    pub(super) last_number: u32,
    pub(super) events: VecDeque<CallEvent>,
    /// After [`Calls::end_all`] nothing begins any more.
    pub(super) closing: bool,
    /// Nobody who waits rings.
    pub(super) quiet: bool,
}

impl Calls {
    /// No calls yet.
    pub fn new(config: CallConfig) -> Self {
        Self {
            config,
            own: BTreeMap::new(),
            live: BTreeMap::new(),
            past: Past::default(),
            last_number: 0,
            events: VecDeque::new(),
            closing: false,
            quiet: false,
        }
    }

    /// Tells the ID of one of our identities, before it takes part in a call.
    pub fn add_local(&mut self, local: LocalId, id: NodeId) {
        self.own.insert(local, id);
    }

    /// Whether nobody is to be disturbed: then who waits rings no more when the line becomes free, but may still be
    /// answered. What happens with new callers is the [`Verdict`](super::Verdict)'s business.
    pub fn set_quiet(&mut self, on: bool, now: Now) {
        self.quiet = on;
        self.serve_queue(now);
    }

    /// All calls their user knows of, by identity and peer.
    pub fn calls(&self) -> impl Iterator<Item = CallView> + '_ {
        self.live.values().filter(|call| call.is_shown()).map(Call::view)
    }

    /// The call with this number, unless it is over.
    pub fn call(&self, number: CallNumber) -> Option<CallView> {
        self.calls().find(|call| call.number == number)
    }

    /// Whether there is a call between these two, be it one that nobody is shown.
    pub fn is_live(&self, key: CallKey) -> bool {
        self.live.contains_key(&key)
    }

    /// Whether no call exists, not even one that waits for its end to be confirmed.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// What happened, oldest first; to be drained after every call into this type.
    pub fn poll_event(&mut self) -> Option<CallEvent> {
        self.events.pop_front()
    }

    /// When [`Calls::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        Deadline::earliest(self.live.values().map(|call| call.deadline))
    }

    /// Ends every state that has lasted too long.
    pub fn handle_timeout(&mut self, now: Now) {
        let due = |call: &Call| call.deadline.is_some_and(|deadline| deadline.at <= now.mono);
        let keys: Vec<CallKey> = self.live.values().filter(|call| due(call)).map(|call| call.key).collect();
        for key in keys {
            self.with(key, now, Call::expire);
        }
        self.serve_queue(now);
    }

    /// Takes one step of the call with `key`, if there is one, and says what follows.
    pub(super) fn with<R>(
        &mut self,
        key: CallKey,
        now: Now,
        step: impl FnOnce(&mut Call, &mut Desk<'_>) -> R,
    ) -> Option<R> {
        let call = self.live.get_mut(&key)?;
        let mut desk = Desk { config: &self.config, events: &mut self.events, now };
        let result = step(call, &mut desk);
        call.settle(&mut desk);
        if call.is_over() {
            if !call.ours && !call.may_return {
                self.past.remember(key, call.call_id, call.attempt, call.reply.clone(), now.mono);
            }
            self.live.remove(&key);
        }
        Some(result)
    }

    /// Begins a call, which `begin` makes.
    pub(super) fn begin(
        &mut self,
        key: CallKey,
        now: Now,
        begin: impl FnOnce(CallNumber, &mut Desk<'_>) -> Call,
    ) -> CallNumber {
        self.last_number = self.last_number.wrapping_add(1);
        let number = CallNumber(self.last_number);
        let mut desk = Desk { config: &self.config, events: &mut self.events, now };
        let call = begin(number, &mut desk);
        self.live.insert(key, call);
        self.with(key, now, |_, _| ());
        number
    }

    /// The call that has the line.
    pub(super) fn current(&self) -> Option<&Call> {
        self.live.values().find(|call| call.is_current())
    }

    /// The call that is held here.
    pub(super) fn parked(&self) -> Option<&Call> {
        self.live.values().find(|call| call.is_parked())
    }

    pub(super) fn alerting(&self) -> Option<&Call> {
        self.live.values().find(|call| call.is_alerting())
    }

    /// Who waits here, in the order in which they came.
    pub(super) fn queue(&self) -> Vec<&Call> {
        let mut queue: Vec<&Call> = self.live.values().filter(|call| call.queued_since().is_some()).collect();
        queue.sort_by_key(|call| (call.queued_since(), call.number));
        queue
    }

    /// How free we are for a call with `key`.
    pub(super) fn line(&self, key: CallKey) -> Line {
        if self.current().is_some() || self.alerting().is_some() {
            let room = self.queue().iter().filter(|call| call.key != key).count() < MAX_QUEUE;
            Line::Busy { room }
        } else if self.parked().is_some() {
            Line::Held
        } else {
            Line::Free
        }
    }

    /// When the line is free, whoever waits longest rings, unless its session is lost. To be called when everything
    /// that follows from one event has been done: between holding one call and resuming another the line is not free.
    pub(super) fn serve_queue(&mut self, now: Now) {
        if self.closing || self.quiet || self.current().is_some() || self.alerting().is_some() {
            return;
        }
        let next = self.queue().into_iter().find(|call| !call.lost).map(|call| call.key);
        if let Some(key) = next {
            self.with(key, now, Call::take_turn);
        }
    }
}

/// What routing and sessions report.
impl Calls {
    /// The overlay knows where the peer is.
    pub fn peer_found(&mut self, key: CallKey, now: Now) {
        self.with(key, now, Call::found);
    }

    /// The peer was not found, or no session came about: `why`. Means nothing to a call that has its session.
    pub fn peer_not_found(&mut self, key: CallKey, why: EndCause, now: Now) {
        self.with(key, now, |call, desk| call.not_found(why, desk));
        self.serve_queue(now);
    }

    /// A session with this peer stands, whoever began it.
    pub fn session_up(&mut self, key: CallKey, now: Now) {
        self.with(key, now, Call::session_up);
        self.serve_queue(now);
    }

    /// The session with this peer was replaced by another.
    pub fn session_moved(&mut self, key: CallKey, now: Now) {
        self.session_up(key, now);
    }

    /// Nothing was heard from the peer for some seconds, or it is heard again.
    pub fn session_unstable(&mut self, key: CallKey, on: bool, now: Now) {
        self.with(key, now, |call, _| call.unstable = on);
    }

    /// Nothing was heard from the peer for 10 s.
    pub fn session_lost(&mut self, key: CallKey, now: Now) {
        self.with(key, now, |call, desk| call.set_lost(true, desk));
    }

    /// The peer is heard again.
    pub fn session_recovered(&mut self, key: CallKey, now: Now) {
        self.with(key, now, |call, desk| call.set_lost(false, desk));
        self.serve_queue(now);
    }

    /// The session with this peer is gone, and no other took its place.
    pub fn session_closed(&mut self, key: CallKey, reason: Reason, now: Now) {
        self.with(key, now, |call, desk| call.session_closed(reason, desk));
        self.serve_queue(now);
    }
}
