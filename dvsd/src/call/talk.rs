// SPDX-License-Identifier: GPL-3.0-or-later
//! What both sides of a call do alike: talk, hold, hang up, lose and find each other again.

use core::time::Duration;

use super::callee::Callee;
use super::caller::Caller;
use super::state::{Call, Desk, Phase};
use super::view::EndCause;
use crate::wire::control::{Frame, Reason};

/// How often a peer may resume a call it holds within [`RESUME_WINDOW`]; beyond, the call stays held.
const MAX_RESUMES: u8 = 10;
pub(super) const RESUME_WINDOW: Duration = Duration::from_secs(10);

impl Call {
    /// Answered.
    pub(super) fn talk(&mut self, desk: &Desk<'_>) {
        self.answered = Some(desk.now);
        self.enter(Phase::Talking, desk);
    }

    /// The user hangs up, or the call cannot go on: `cause`.
    pub(super) fn hang_up(&mut self, cause: EndCause, desk: &mut Desk<'_>) {
        match self.phase {
            Phase::Caller(Caller::Lookup | Caller::Connecting) => self.end(cause, desk),
            // Nothing rings there: the peer is told, lest it keeps a place for us, but nobody waits for it to confirm.
            Phase::Caller(Caller::Busy) => self.give_up(cause, desk),
            Phase::Callee(_) => self.refuse(Reason::Declined, EndCause::DeclinedHere, desk),
            Phase::Caller(_) | Phase::Talking => {
                self.send(Frame::CallTerminate { call_id: self.call_id, reason: cause.to_tell() }, desk);
                self.enter(Phase::Ending(cause), desk);
            }
            Phase::Ending(_) | Phase::Ended(_) => {}
        }
    }

    /// The daemon stops: the peer is told, nobody waits for it to confirm.
    pub(super) fn cut(&mut self, reason: Reason, desk: &mut Desk<'_>) {
        let cause = match self.phase {
            Phase::Ending(cause) => cause,
            _ => self.unanswered(EndCause::told(reason)),
        };
        let untold = matches!(self.phase, Phase::Caller(Caller::Lookup | Caller::Connecting) | Phase::Ending(_));
        if !untold {
            self.send(Frame::CallTerminate { call_id: self.call_id, reason }, desk);
        }
        self.end(cause, desk);
    }

    /// CALL_TERMINATE.
    pub(super) fn terminated(&mut self, reason: Reason, desk: &mut Desk<'_>) {
        self.send(Frame::CallTerminateReply { call_id: self.call_id, ok: true }, desk);
        self.reply = None;
        match self.phase {
            Phase::Ending(cause) => self.end(cause, desk),
            _ => self.end(self.unanswered(EndCause::told(reason)), desk),
        }
    }

    /// CALL_TERMINATE_REPLY, whatever it says: the peer does not have the call any more.
    pub(super) fn end_confirmed(&mut self, desk: &Desk<'_>) {
        if let Phase::Ending(cause) = self.phase {
            self.end(cause, desk);
        }
    }

    /// CALL_HOLD. Before the answer there is nothing to hold.
    pub(super) fn peer_held(&mut self, on: bool, desk: &Desk<'_>) {
        if self.phase == Phase::Talking && self.held_there != on && (on || self.may_resume(desk)) {
            self.held_there = on;
        }
    }

    /// Counts a resumption by the peer; false if there were too many, as each one opens the sound devices anew.
    fn may_resume(&mut self, desk: &Desk<'_>) -> bool {
        let (since, count) =
            self.resumed.filter(|(since, _)| desk.now.mono.since(*since) < RESUME_WINDOW).unwrap_or((desk.now.mono, 0));
        self.resumed = Some((since, count.saturating_add(1)));
        count < MAX_RESUMES
    }

    /// The user holds or resumes.
    pub(super) fn hold(&mut self, on: bool, desk: &mut Desk<'_>) {
        if self.held_here != on {
            self.held_here = on;
            self.send(Frame::CallHold { call_id: self.call_id, on }, desk);
        }
    }

    /// The session was lost, or is back. Ringing and waiting go on meanwhile; their own limits hold.
    /// A call that is answered before the session is back waits for it like any other.
    pub(super) fn set_lost(&mut self, lost: bool, desk: &Desk<'_>) {
        let changed = self.lost != lost;
        self.lost = lost;
        self.unstable &= lost;
        if changed && self.phase == Phase::Talking {
            self.restart_timer(desk);
        }
    }

    /// The session is gone for good.
    pub(super) fn session_closed(&mut self, reason: Reason, desk: &Desk<'_>) {
        let replaced = matches!(reason, Reason::Glare | Reason::PeerRestarted);
        match self.phase {
            Phase::Caller(Caller::Lookup | Caller::Connecting) | Phase::Ended(_) => {}
            Phase::Ending(cause) => self.end(cause, desk),
            // Another session should take over; every state but Talking has its limit already.
            _ if replaced => self.set_lost(true, desk),
            _ => {
                self.may_return =
                    matches!(self.phase, Phase::Callee(callee) if !matches!(callee, Callee::Refusing { .. }));
                self.end(self.unanswered(EndCause::told(reason)), desk);
            }
        }
    }

    /// Says on a new session where the call stands. All of it is harmless to a peer that knows, and tells one that
    /// restarted that there was a call.
    pub(super) fn repeat(&mut self, desk: &mut Desk<'_>) {
        self.set_lost(false, desk);
        match self.phase {
            Phase::Caller(Caller::Calling | Caller::Ringing | Caller::Busy) => self.invite(desk),
            Phase::Caller(Caller::WaitAsk | Caller::Waiting { .. }) => {
                self.invite(desk);
                self.send_waiting(true, desk);
            }
            Phase::Callee(Callee::Alerting | Callee::Silent | Callee::Told) => self.invited_again(0, desk),
            Phase::Callee(Callee::Queued { .. }) => self.confirm_place(desk),
            Phase::Talking => {
                if !self.ours {
                    self.invited_again(0, desk);
                }
                self.send(Frame::CallHold { call_id: self.call_id, on: self.held_here }, desk);
            }
            Phase::Ending(cause) => {
                self.send(Frame::CallTerminate { call_id: self.call_id, reason: cause.to_tell() }, desk);
            }
            Phase::Caller(Caller::Lookup | Caller::Connecting)
            | Phase::Callee(Callee::Refusing { .. })
            | Phase::Ended(_) => {}
        }
    }
}
