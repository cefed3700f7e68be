// SPDX-License-Identifier: GPL-3.0-or-later
//! The callee's side of a call, from the invitation to the answer.

use core::time::Duration;

use super::state::{Call, Consent, Desk, Phase};
use super::view::{EndCause, State};
use super::{GLARE_WINDOW, RETRY_MIN, Verdict};
use crate::time::Instant;
use crate::wire::control::{Frame, Reason};

/// What a callee does with an invitation that is not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Callee {
    /// The user hears it ring.
    Alerting,
    /// Only the caller hears it ring.
    Silent,
    /// The caller was told that we are in another call; it may come back, or ask to wait.
    Told,
    /// The caller waits until the line is free.
    Queued {
        /// Since when: first come, first served.
        since: Instant,
    },
    /// The caller will be told no.
    Refusing {
        /// After this long.
        delay: Duration,
        /// Why.
        because: EndCause,
    },
}

impl Callee {
    /// As users see it; `noticed` says whether they were shown the call before.
    pub(super) const fn state(self, noticed: bool) -> State {
        match self {
            Self::Told => State::Busy,
            Self::Queued { .. } => State::Waiting,
            Self::Silent | Self::Refusing { .. } if noticed => State::Busy,
            Self::Alerting | Self::Silent | Self::Refusing { .. } => State::Alerting,
        }
    }
}

/// How free we are for a further call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// No call.
    Free,
    /// One is held here: somebody is at the telephone.
    Held,
    /// A call is dialled or talked, or rings.
    Busy {
        /// Whether a caller may wait.
        room: bool,
    },
}

/// What an invitation means to the call that exists with that peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meeting {
    /// It is that call: say again what was said.
    Repeat,
    /// It is that call, tried again after it was told "busy": decide anew.
    Again,
    /// Both dialled, ours goes on: no reply.
    Ignore,
    /// Both dialled, the peer's goes on: answer it.
    Yield,
    /// The peer has given that call up: end it, and decide about the new one.
    Replace,
}

impl Call {
    /// Meets an invitation of the same peer. `ours_wins` says whether our ID is the lower one, whose call survives
    /// when both dialled.
    pub(super) fn meets(&self, call_id: u32, attempt: u8, ours_wins: bool, desk: &Desk<'_>) -> Meeting {
        if !self.ours {
            return match call_id == self.call_id {
                true if attempt > self.attempt && self.may_try_again(desk) => Meeting::Again,
                true => Meeting::Repeat,
                false => Meeting::Replace,
            };
        }
        match self.phase {
            Phase::Caller(_) if self.is_invited() && ours_wins => Meeting::Ignore,
            Phase::Caller(_) => Meeting::Yield,
            Phase::Talking if call_id == self.call_id || (ours_wins && self.is_fresh(desk)) => Meeting::Ignore,
            _ => Meeting::Replace,
        }
    }

    /// Whether the caller was told "busy", long enough ago for a further attempt to count.
    fn may_try_again(&self, desk: &Desk<'_>) -> bool {
        matches!(self.phase, Phase::Callee(Callee::Told | Callee::Queued { .. }))
            && self.told.is_some_and(|told| desk.now.mono.since(told) >= RETRY_MIN)
    }

    /// Whether the answer is so young that a dial which crossed it may still be on its way.
    fn is_fresh(&self, desk: &Desk<'_>) -> bool {
        self.answered.is_some_and(|answered| desk.now.mono.since(answered.mono) < GLARE_WINDOW)
    }

    /// Begins the callee's side as `verdict` wants it; `delay` is how long a refusal waits.
    pub(super) fn admit(&mut self, verdict: Verdict, line: Line, delay: Duration, desk: &mut Desk<'_>) {
        let room = if let Line::Busy { room } = line { Some(room) } else { None };
        match verdict {
            Verdict::Blocked => self.end(EndCause::Blocked, desk),
            Verdict::Reject => self.refuse_later(delay, EndCause::Refused, desk),
            Verdict::Silent => self.alert(Callee::Silent, desk),
            Verdict::Ring { contact: false } if room.is_some() => self.refuse_later(delay, EndCause::MissedBusy, desk),
            Verdict::AutoAnswer if line == Line::Free => self.answer(Consent::Configured, desk),
            Verdict::Ring { .. } | Verdict::AutoAnswer => match room {
                Some(room) => self.tell_busy(room, desk),
                None => self.alert(Callee::Alerting, desk),
            },
        }
    }

    pub(super) fn alert(&mut self, callee: Callee, desk: &mut Desk<'_>) {
        self.reply(Frame::CallInitiateReply { call_id: self.call_id, ok: true, reason: Reason::Normal }, desk);
        self.enter(Phase::Callee(callee), desk);
    }

    fn refuse_later(&mut self, delay: Duration, because: EndCause, desk: &Desk<'_>) {
        self.enter(Phase::Callee(Callee::Refusing { delay, because }), desk);
    }

    /// "No", for `reason`.
    pub(super) fn refuse(&mut self, reason: Reason, cause: EndCause, desk: &mut Desk<'_>) {
        self.reply(Frame::CallInitiateReply { call_id: self.call_id, ok: false, reason }, desk);
        self.end(cause, desk);
    }

    /// "Yes": media may flow.
    pub(super) fn answer(&mut self, consent: Consent, desk: &mut Desk<'_>) {
        self.consent = Some(consent);
        self.reply(Frame::CallAnswer { call_id: self.call_id }, desk);
        self.talk(desk);
    }

    /// Gives our own invitation up for the peer's, which is answered at once: both users dialled.
    pub(super) fn yield_to(&mut self, call_id: u32, attempt: u8, desk: &mut Desk<'_>) {
        self.call_id = call_id;
        self.attempt = attempt;
        self.ours = false;
        self.answer(Consent::Dialled, desk);
    }

    pub(super) fn reply(&mut self, frame: Frame, desk: &mut Desk<'_>) {
        self.reply = Some(frame.clone());
        self.send(frame, desk);
    }

    /// The invitation came again: the same reply again. A refusal that still waits is not hastened, and a further
    /// attempt that came too early does not count.
    pub(super) fn invited_again(&mut self, attempt: u8, desk: &mut Desk<'_>) {
        if !matches!(self.phase, Phase::Callee(Callee::Told | Callee::Queued { .. })) {
            self.attempt = self.attempt.max(attempt);
        }
        if let Some(reply) = self.reply.clone().filter(|_| !matches!(self.phase, Phase::Ending(_))) {
            self.send(reply, desk);
        }
    }

    /// Why an invitation that was never answered is over, whatever the peer says.
    pub(super) fn unanswered(&self, told: EndCause) -> EndCause {
        match self.phase {
            Phase::Callee(Callee::Refusing { because, .. }) => because,
            Phase::Callee(_) if told == EndCause::AnsweredElsewhere => told,
            Phase::Callee(Callee::Told | Callee::Queued { .. }) => EndCause::MissedBusy,
            Phase::Callee(_) => EndCause::Missed,
            _ => told,
        }
    }
}
