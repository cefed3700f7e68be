// SPDX-License-Identifier: GPL-3.0-or-later
//! What peers send: invitations, and frames about calls that exist, or do not.

use core::time::Duration;

use super::callee::{Callee, Line, Meeting};
use super::calls::Calls;
use super::state::{Call, Desk, Phase};
use super::view::{Direction, EndCause};
use super::{CallEvent, CallKey, MAX_CALLS, REFUSE_DELAY, REFUSE_SPREAD, Verdict, queue};
use crate::random::Random;
use crate::time::Now;
use crate::wire::control::{Frame, Reason};

/// CALL_INITIATE, and whose it is.
#[derive(Clone, Copy)]
struct Invitation {
    key: CallKey,
    call_id: u32,
    attempt: u8,
    max_tries: u8,
}

/// Frames.
impl Calls {
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
        if let Frame::CallInitiate { call_id, attempt, max_tries } = frame {
            let invitation = Invitation { key, call_id, attempt, max_tries };
            self.invited(invitation, verdict, now, random);
        } else if let Some(call_id) = call_id_of(&frame) {
            self.about(key, call_id, &frame, now);
        }
        self.serve_queue(now);
    }

    /// A frame about the call `call_id` of this peer.
    fn about(&mut self, key: CallKey, call_id: u32, frame: &Frame, now: Now) {
        let Some(call) = self.live.get(&key).filter(|call| call.call_id == call_id) else {
            self.events.extend(answer_unknown(frame).map(|frame| CallEvent::Send { key, frame }));
            return;
        };
        if !makes_sense(frame, call.ours) {
            self.events.push_back(CallEvent::Misbehaved { key });
            return;
        }
        let room = matches!(self.line(key), Line::Free | Line::Held | Line::Busy { room: true });
        self.with(key, now, |call, desk| step(call, frame, room, desk));
    }

    /// CALL_INITIATE.
    fn invited(&mut self, invitation: Invitation, verdict: impl FnOnce() -> Verdict, now: Now, random: &mut Random) {
        let Invitation { key, call_id, attempt, .. } = invitation;
        if let Some(reply) = self.past.replied(key, call_id, attempt, now.mono) {
            self.events.extend(reply.map(|frame| CallEvent::Send { key, frame }));
            return;
        }
        let ours_wins = self.own.get(&key.local).is_some_and(|own| *own < key.peer);
        let meeting = self.with(key, now, |call, desk| {
            let meeting = call.meets(call_id, attempt, ours_wins, desk);
            match meeting {
                Meeting::Repeat => call.invited_again(attempt, desk),
                Meeting::Yield => call.yield_to(call_id, attempt, desk),
                Meeting::Replace => call.replaced(desk),
                Meeting::Ignore | Meeting::Again => {}
            }
            meeting
        });
        match meeting {
            Some(Meeting::Ignore) => self.past.remember(key, call_id, attempt, None, now.mono),
            Some(Meeting::Repeat | Meeting::Yield) => {}
            Some(Meeting::Again) => self.decide_anew(invitation, verdict, now, random),
            Some(Meeting::Replace) | None => self.decide(invitation, verdict, now, random),
        }
    }

    /// A further attempt at a call that was told "busy". While the line still is, nobody is asked and nothing is
    /// counted against the caller.
    fn decide_anew(
        &mut self,
        invitation: Invitation,
        verdict: impl FnOnce() -> Verdict,
        now: Now,
        random: &mut Random,
    ) {
        let Invitation { key, attempt, max_tries, .. } = invitation;
        let line = self.line(key);
        let verdict = match line {
            Line::Busy { .. } => Verdict::Ring { contact: true },
            Line::Free | Line::Held => verdict(),
        };
        let delay = refusal_delay(random);
        self.with(key, now, |call, desk| {
            call.attempt = attempt;
            call.tries = max_tries.max(attempt);
            call.admit(verdict, line, delay, desk);
        });
    }

    /// A new invitation, and no call with that peer.
    fn decide(&mut self, invitation: Invitation, verdict: impl FnOnce() -> Verdict, now: Now, random: &mut Random) {
        let Invitation { key, call_id, attempt, max_tries } = invitation;
        if self.closing {
            let frame = Frame::CallInitiateReply { call_id, ok: false, reason: Reason::GoingAway };
            self.events.push_back(CallEvent::Send { key, frame });
            return;
        }
        if self.live.len() >= MAX_CALLS {
            return;
        }
        let (verdict, line, delay) = (verdict(), self.line(key), refusal_delay(random));
        self.begin(key, now, |number, desk| {
            let undecided = Phase::Callee(Callee::Silent);
            let mut call = Call::new(number, key, Direction::Incoming, call_id, undecided, desk);
            call.attempt = attempt;
            call.tries = max_tries.max(attempt);
            call.admit(verdict, line, delay, desk);
            call
        });
    }
}

/// How long a refusal waits.
fn refusal_delay(random: &mut Random) -> Duration {
    let spread = u64::try_from(REFUSE_SPREAD.as_micros()).unwrap_or(0);
    REFUSE_DELAY + Duration::from_micros(random.below(spread))
}

impl Call {
    /// The peer has given this call up for a new one. If it was answered the peer is told even so: an invitation that
    /// was under way for long may be older than the call it ends, and nothing else would end that one over there.
    fn replaced(&mut self, desk: &mut Desk<'_>) {
        if self.phase == Phase::Talking {
            self.send(Frame::CallTerminate { call_id: self.call_id, reason: Reason::PeerRestarted }, desk);
        }
        let cause = match self.phase {
            Phase::Ending(cause) => cause,
            _ => self.unanswered(EndCause::PeerRestarted),
        };
        self.reply = None;
        self.end(cause, desk);
    }
}

/// Whether a peer may say this about a call; `ours` says whether we are its caller. Every frame names its call, so
/// that nothing honest that comes late or twice is about the other role.
const fn makes_sense(frame: &Frame, ours: bool) -> bool {
    match frame {
        Frame::CallInitiateReply { .. }
        | Frame::CallAnswer { .. }
        | Frame::CallBusy { .. }
        | Frame::CallWaitingReply { .. } => ours,
        Frame::CallWaiting { .. } => !ours,
        _ => true,
    }
}

/// One frame about a call that is known; `room` says whether its caller may wait.
fn step(call: &mut Call, frame: &Frame, room: bool, desk: &mut Desk<'_>) {
    match *frame {
        Frame::CallInitiateReply { ok, reason, .. } => call.replied(ok, reason, desk),
        Frame::CallAnswer { .. } => call.peer_answered(desk),
        Frame::CallBusy { can_wait, ttw, .. } => call.peer_busy(can_wait, ttw, desk),
        Frame::CallWaiting { want, .. } => call.asked_to_wait(want, room, desk),
        Frame::CallWaitingReply { ok, ttw, .. } => call.wait_replied(ok, ttw, desk),
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
        | Frame::CallWaitingReply { call_id, ok: true, .. }
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
