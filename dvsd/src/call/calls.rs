// SPDX-License-Identifier: GPL-3.0-or-later
//! All calls of a daemon: commands, what sessions report, frames, and the events that come of them.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use super::callee::{Callee, Meeting};
use super::past::Past;
use super::state::{Call, Consent, Desk, Phase};
use super::view::{CallView, Direction, EndCause};
use super::{
    CallConfig, CallError, CallEvent, CallKey, CallNumber, DialError, MAX_CALLS, REFUSE_DELAY, REFUSE_SPREAD, Verdict,
    queue,
};
use crate::id::{LocalId, NodeId};
use crate::random::Random;
use crate::time::{Deadline, Now};
use crate::wire::control::{Frame, Reason};

/// All calls of a daemon.
#[derive(Clone, Debug)]
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
        }
    }

    /// Tells the ID of one of our identities, before it takes part in a call.
    pub fn add_local(&mut self, local: LocalId, id: NodeId) {
        self.own.insert(local, id);
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
    }

    /// Takes one step of the call with `key`, if there is one, and says what follows.
    fn with<R>(&mut self, key: CallKey, now: Now, step: impl FnOnce(&mut Call, &mut Desk<'_>) -> R) -> Option<R> {
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
    fn begin(&mut self, key: CallKey, now: Now, begin: impl FnOnce(CallNumber, &mut Desk<'_>) -> Call) -> CallNumber {
        self.last_number = self.last_number.wrapping_add(1);
        let number = CallNumber(self.last_number);
        let mut desk = Desk { config: &self.config, events: &mut self.events, now };
        let call = begin(number, &mut desk);
        self.live.insert(key, call);
        self.with(key, now, |_, _| ());
        number
    }

    fn engaged(&self) -> Option<&Call> {
        self.live.values().find(|call| call.is_engaged())
    }

    fn alerting(&self) -> Option<&Call> {
        self.live.values().find(|call| call.is_alerting())
    }

    /// The call a command means: the one with that number, or else what `default` finds.
    fn meant<'a>(
        &'a self,
        number: Option<CallNumber>,
        default: impl FnOnce() -> Option<&'a Call>,
    ) -> Result<&'a Call, CallError> {
        let call = match number {
            Some(number) => self.live.values().find(|call| call.number == number && call.is_shown()),
            None => default(),
        };
        call.ok_or(CallError::NoSuchCall)
    }
}

/// What users do.
impl Calls {
    /// Calls a peer. A peer that is calling us, even unheard, is answered instead.
    ///
    /// # Errors
    /// If there is a call already; one that merely rings, from another peer, does not count.
    pub fn dial(&mut self, key: CallKey, now: Now, random: &mut Random) -> Result<CallNumber, DialError> {
        if let Some(call) = self.engaged() {
            return Err(DialError::InCall(call.number));
        }
        match self.live.get(&key).map(|call| (call.number, call.phase)) {
            Some((number, Phase::Callee(_))) => {
                self.with(key, now, |call, desk| call.answer(Consent::Answered, desk));
                return Ok(number);
            }
            // Only one that ends is left: the new call need not wait for the confirmation.
            Some((_, Phase::Ending(cause))) => self.with(key, now, |call, desk| call.end(cause, desk)),
            _ => None,
        };
        if self.closing {
            return Err(DialError::GoingAway);
        }
        let call_id = u32::from_be_bytes(random.bytes());
        Ok(self.begin(key, now, |number, desk| Call::dial(number, key, call_id, desk)))
    }

    /// Answers the call that rings.
    ///
    /// # Errors
    /// If none rings, or the line is taken.
    pub fn answer(&mut self, number: Option<CallNumber>, now: Now) -> Result<CallNumber, CallError> {
        let call = self.meant(number, || self.alerting())?;
        let (key, number) = (call.key, call.number);
        if !call.is_alerting() {
            return Err(CallError::NotRinging(number));
        }
        if let Some(other) = self.engaged() {
            return Err(CallError::InCall(other.number));
        }
        self.with(key, now, |call, desk| call.answer(Consent::Answered, desk));
        Ok(number)
    }

    /// Refuses the call that rings.
    ///
    /// # Errors
    /// If none rings.
    pub fn decline(&mut self, number: Option<CallNumber>, now: Now) -> Result<CallNumber, CallError> {
        let call = self.meant(number, || self.alerting())?;
        let (key, number) = (call.key, call.number);
        if !call.is_alerting() {
            return Err(CallError::NotRinging(number));
        }
        self.with(key, now, |call, desk| call.hang_up(EndCause::DeclinedHere, desk));
        Ok(number)
    }

    /// Ends a call in any state; without a number the one being dialled or talked, else the one that rings.
    /// A call that is already ending is left to it.
    ///
    /// # Errors
    /// If there is no such call.
    pub fn hangup(&mut self, number: Option<CallNumber>, now: Now) -> Result<CallNumber, CallError> {
        let call = self.meant(number, || self.engaged().or_else(|| self.alerting()))?;
        let (key, number) = (call.key, call.number);
        self.with(key, now, |call, desk| call.hang_up(EndCause::HungUp, desk));
        Ok(number)
    }

    /// Holds a call or resumes it; `None` toggles. Returns what holds now.
    ///
    /// # Errors
    /// If there is no such call, or it was not answered.
    pub fn hold(
        &mut self,
        number: Option<CallNumber>,
        on: Option<bool>,
        now: Now,
    ) -> Result<(CallNumber, bool), CallError> {
        let call = self.meant(number, || self.engaged())?;
        let (key, number) = (call.key, call.number);
        if call.phase != Phase::Talking {
            return Err(CallError::NotAnswered(number));
        }
        let on = on.unwrap_or(!call.held_here);
        self.with(key, now, |call, desk| call.hold(on, desk));
        Ok((number, on))
    }

    /// Ends the call with this peer because it cannot go on: media failure, blocked, a violation.
    pub fn abort(&mut self, key: CallKey, cause: EndCause, now: Now) {
        self.with(key, now, |call, desk| call.hang_up(cause, desk));
    }

    /// Ends all calls at once, telling the peers why; none begins any more. Sessions may be closed right after.
    pub fn end_all(&mut self, reason: Reason, now: Now) {
        self.closing = true;
        let keys: Vec<CallKey> = self.live.keys().copied().collect();
        for key in keys {
            self.with(key, now, |call, desk| call.cut(reason, desk));
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
    }

    /// A session with this peer stands, whoever began it.
    pub fn session_up(&mut self, key: CallKey, now: Now) {
        self.with(key, now, Call::session_up);
    }

    /// The session with this peer was replaced by another.
    pub fn session_moved(&mut self, key: CallKey, now: Now) {
        self.session_up(key, now);
    }

    /// Nothing was heard from the peer for 10 s.
    pub fn session_lost(&mut self, key: CallKey, now: Now) {
        self.with(key, now, |call, desk| call.set_lost(true, desk));
    }

    /// The peer is heard again.
    pub fn session_recovered(&mut self, key: CallKey, now: Now) {
        self.with(key, now, |call, desk| call.set_lost(false, desk));
    }

    /// The session with this peer is gone, and no other took its place.
    pub fn session_closed(&mut self, key: CallKey, reason: Reason, now: Now) {
        self.with(key, now, |call, desk| call.session_closed(reason, desk));
    }

    /// A frame from this peer. `verdict` is asked only about an invitation that is new; other frames than those of
    /// calls are ignored.
    pub fn handle_frame(
        &mut self,
        key: CallKey,
        frame: Frame,
        verdict: impl FnOnce() -> Verdict,
        now: Now,
        random: &mut Random,
    ) {
        if let Frame::CallInitiate { call_id, attempt, .. } = frame {
            self.invited(key, call_id, attempt, verdict, now, random);
        } else if let Some(call_id) = call_id_of(&frame) {
            let known = self.live.get(&key).is_some_and(|call| call.call_id == call_id);
            if known {
                self.with(key, now, |call, desk| step(call, &frame, desk));
            } else {
                self.events.extend(answer_unknown(&frame).map(|frame| CallEvent::Send { key, frame }));
            }
        }
    }

    /// CALL_INITIATE.
    fn invited(
        &mut self,
        key: CallKey,
        call_id: u32,
        attempt: u8,
        verdict: impl FnOnce() -> Verdict,
        now: Now,
        random: &mut Random,
    ) {
        if let Some(reply) = self.past.replied(key, call_id, attempt, now.mono) {
            self.events.extend(reply.map(|frame| CallEvent::Send { key, frame }));
            return;
        }
        let ours_wins = self.own.get(&key.local).is_some_and(|own| *own < key.peer);
        let meeting = self.with(key, now, |call, desk| {
            let meeting = call.meets(call_id, ours_wins, desk);
            match meeting {
                Meeting::Repeat => call.invited_again(attempt, desk),
                Meeting::Yield => call.yield_to(call_id, attempt, desk),
                Meeting::Replace => call.replaced(desk),
                Meeting::Ignore => {}
            }
            meeting
        });
        match meeting {
            Some(Meeting::Ignore) => self.past.remember(key, call_id, attempt, None, now.mono),
            Some(Meeting::Repeat | Meeting::Yield) => {}
            Some(Meeting::Replace) | None => self.decide(key, call_id, attempt, verdict, now, random),
        }
    }

    /// A new invitation, and no call with that peer.
    fn decide(
        &mut self,
        key: CallKey,
        call_id: u32,
        attempt: u8,
        verdict: impl FnOnce() -> Verdict,
        now: Now,
        random: &mut Random,
    ) {
        if self.closing {
            let frame = Frame::CallInitiateReply { call_id, ok: false, reason: Reason::GoingAway };
            self.events.push_back(CallEvent::Send { key, frame });
            return;
        }
        if self.live.len() >= MAX_CALLS {
            return;
        }
        let verdict = verdict();
        let busy = self.engaged().is_some() || self.alerting().is_some();
        let spread = u64::try_from(REFUSE_SPREAD.as_micros()).unwrap_or(0);
        let delay = REFUSE_DELAY + Duration::from_micros(random.below(spread));
        self.begin(key, now, |number, desk| {
            let undecided = Phase::Callee(Callee::Silent);
            let mut call = Call::new(number, key, Direction::Incoming, call_id, undecided, desk);
            call.attempt = attempt;
            call.admit(verdict, busy, delay, desk);
            call
        });
    }
}

impl Call {
    /// The peer has given this call up for a new one.
    fn replaced(&mut self, desk: &Desk<'_>) {
        let cause = match self.phase {
            Phase::Ending(cause) => cause,
            _ => self.unanswered(EndCause::PeerRestarted),
        };
        self.reply = None;
        self.end(cause, desk);
    }
}

/// One frame about a call that is known.
fn step(call: &mut Call, frame: &Frame, desk: &mut Desk<'_>) {
    match *frame {
        Frame::CallInitiateReply { ok, reason, .. } if call.ours => call.replied(ok, reason, desk),
        Frame::CallAnswer { .. } if call.ours => call.peer_answered(desk),
        Frame::CallBusy { .. } if call.ours => call.peer_busy(desk),
        Frame::CallWaiting { call_id, .. } => call.send(queue::not_queued(call_id), desk),
        Frame::CallTerminate { reason, .. } => call.terminated(reason, desk),
        Frame::CallTerminateReply { .. } => call.end_confirmed(desk),
        Frame::CallHold { on, .. } => call.peer_held(on, desk),
        _ => {}
    }
}

/// What is said to a frame about a call that does not exist (any more). A peer that believes in it learns so;
/// what only confirms an end is not answered, so that no two daemons ever answer each other for ever.
fn answer_unknown(frame: &Frame) -> Option<Frame> {
    match *frame {
        Frame::CallTerminate { call_id, .. } => Some(Frame::CallTerminateReply { call_id, ok: false }),
        Frame::CallWaiting { call_id, .. } => Some(queue::not_queued(call_id)),
        Frame::CallInitiateReply { call_id, ok: true, .. }
        | Frame::CallAnswer { call_id }
        | Frame::CallHold { call_id, .. } => Some(Frame::CallTerminate { call_id, reason: Reason::PeerRestarted }),
        _ => None,
    }
}

/// The call a frame is about, invitations aside.
const fn call_id_of(frame: &Frame) -> Option<u32> {
    match *frame {
        Frame::CallInitiateReply { call_id, .. }
        | Frame::CallAnswer { call_id }
        | Frame::CallBusy { call_id, .. }
        | Frame::CallWaiting { call_id, .. }
        | Frame::CallWaitingReply { call_id, .. }
        | Frame::CallTerminate { call_id, .. }
        | Frame::CallTerminateReply { call_id, .. }
        | Frame::CallHold { call_id, .. } => Some(call_id),
        _ => None,
    }
}
