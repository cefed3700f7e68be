// SPDX-License-Identifier: GPL-3.0-or-later
//! One call: its phases, its one timer, and what follows from them.

use core::time::Duration;
use std::collections::VecDeque;

use super::callee::Callee;
use super::caller::Caller;
use super::view::{CallView, Direction, EndCause, State};
use super::{
    ALERT_MARGIN, CONNECT_LIMIT, CallConfig, CallEvent, CallKey, CallNumber, DECIDE_LIMIT, ENDING_LIMIT, LOOKUP_LIMIT,
    PLACE_MARGIN, PLACE_TTW, RECONNECT_LIMIT, REPLY_LIMIT, RETRY_AFTER, RETRY_MIN, RETURN_MARGIN,
};
use crate::time::{Deadline, Instant, Now};
use crate::wire::control::{Frame, Reason};

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    /// We dialled, the peer has not answered.
    Caller(Caller),
    /// The peer dialled, we have not answered.
    Callee(Callee),
    /// Answered. Hold and loss are flags of the call.
    Talking,
    /// We hung up; the peer has not confirmed.
    Ending(EndCause),
    /// Over.
    Ended(EndCause),
}

/// What the local side did so that media may flow. Nothing that a peer sends makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Consent {
    /// The user dialled.
    Dialled,
    /// The user answered.
    Answered,
    /// The administrator lets contacts be answered without asking.
    Configured,
}

/// What every step of a call may look at and write to.
pub(super) struct Desk<'a> {
    pub(super) config: &'a CallConfig,
    pub(super) events: &'a mut VecDeque<CallEvent>,
    pub(super) now: Now,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Call {
    pub(super) number: CallNumber,
    pub(super) key: CallKey,
    pub(super) direction: Direction,
    /// The call's name on the wire.
    pub(super) call_id: u32,
    /// Whether we chose `call_id`. Not the same as the direction: of two crossed dials one goes on under the
    /// peer's name.
    pub(super) ours: bool,
    /// The highest attempt made (ours) or seen (the peer's).
    pub(super) attempt: u8,
    /// How many attempts the caller intends.
    pub(super) tries: u8,
    /// Ours: a place in a busy peer's queue is wanted without asking the user.
    pub(super) wait: bool,
    /// Ours: the peer has room in its queue, as it said last.
    pub(super) can_wait: bool,
    /// Ours: how long a busy peer wants to be left alone, within our limits.
    pub(super) retry_after: Duration,
    /// Ours: when the place in the peer's queue was got.
    pub(super) waiting_since: Option<Instant>,
    /// The peer's: when it was told last that we are busy.
    pub(super) told: Option<Instant>,
    /// The peer's: how often it was given a place in our queue.
    pub(super) places: u8,
    pub(super) phase: Phase,
    /// When the phase has lasted too long.
    pub(super) deadline: Option<Deadline>,
    /// What of that concerns users: the next try, the end of a place in a queue.
    pub(super) until: Option<Now>,
    pub(super) consent: Option<Consent>,
    pub(super) held_here: bool,
    pub(super) held_there: bool,
    /// How often the peer has resumed the call lately, and since when that is counted.
    pub(super) resumed: Option<(Instant, u8)>,
    /// Nothing was heard from the peer for some seconds.
    pub(super) unstable: bool,
    /// Nothing was heard from the peer for 10 s.
    pub(super) lost: bool,
    /// What the peer's invitation was answered with at last.
    pub(super) reply: Option<Frame>,
    /// Ended by the loss of its session alone: the same invitation on another session rings anew.
    pub(super) may_return: bool,
    /// Whether the last media event was a start.
    pub(super) media: bool,
    /// Whether the session was told to watch closely; a new one has not been.
    pub(super) watched: bool,
    pub(super) started: Now,
    pub(super) answered: Option<Now>,
    pub(super) ended: Option<Now>,
    pub(super) found_after: Option<Duration>,
    pub(super) rang_after: Option<Duration>,
    /// What clients were shown last.
    pub(super) shown: Option<CallView>,
}

impl Call {
    /// A call that has just begun, in `phase`, its timer running.
    pub(super) fn new(
        number: CallNumber,
        key: CallKey,
        direction: Direction,
        call_id: u32,
        phase: Phase,
        desk: &Desk<'_>,
    ) -> Self {
        let mut call = Self {
            number,
            key,
            direction,
            call_id,
            ours: direction == Direction::Outgoing,
            attempt: 1,
            tries: 1,
            wait: false,
            can_wait: false,
            retry_after: RETRY_MIN,
            waiting_since: None,
            told: None,
            places: 0,
            phase,
            deadline: None,
            until: None,
            consent: None,
            held_here: false,
            held_there: false,
            resumed: None,
            unstable: false,
            lost: false,
            reply: None,
            may_return: false,
            media: false,
            watched: false,
            started: desk.now,
            answered: None,
            ended: None,
            found_after: None,
            rang_after: None,
            shown: None,
        };
        call.enter(phase, desk);
        call
    }

    /// Goes to `phase` and starts its timer.
    pub(super) fn enter(&mut self, phase: Phase, desk: &Desk<'_>) {
        self.phase = phase;
        self.restart_timer(desk);
    }

    pub(super) fn restart_timer(&mut self, desk: &Desk<'_>) {
        let limit = self.limit(desk);
        self.deadline = limit.map(|(limit, reason)| Deadline::new(desk.now.mono + limit, reason));
        let until = match self.phase {
            Phase::Caller(Caller::Waiting { until, .. }) => Some(until),
            Phase::Caller(Caller::Busy) | Phase::Callee(Callee::Queued { .. }) => self.deadline.map(|it| it.at),
            _ => None,
        };
        self.until = until.map(|mono| {
            let seconds = mono.since(desk.now.mono).as_secs();
            Now { mono, unix: desk.now.unix.saturating_add(seconds) }
        });
    }

    /// The table at the top of the module, as code.
    fn limit(&self, desk: &Desk<'_>) -> Option<(Duration, &'static str)> {
        let config = desk.config;
        match self.phase {
            Phase::Caller(Caller::Lookup) => Some((LOOKUP_LIMIT, "call: lookup")),
            Phase::Caller(Caller::Connecting) => {
                let passed = desk.now.mono.since(self.started.mono);
                Some(((LOOKUP_LIMIT + CONNECT_LIMIT).saturating_sub(passed), "call: handshake"))
            }
            Phase::Caller(Caller::Calling) => Some((REPLY_LIMIT, "call: first reply")),
            Phase::Caller(Caller::Ringing) => Some((config.ring, "call: peer rings")),
            Phase::Caller(Caller::Busy) if self.attempt < self.tries => Some((self.retry_after, "call: next try")),
            Phase::Caller(Caller::Busy) => Some((DECIDE_LIMIT, "call: wait or not")),
            Phase::Caller(Caller::WaitAsk) => Some((REPLY_LIMIT, "call: place in the queue")),
            Phase::Caller(Caller::Waiting { until, renewing }) => {
                let left = until.since(desk.now.mono);
                Some((if renewing { left } else { Self::until_renewal(left) }, "call: place lapses"))
            }
            Phase::Callee(Callee::Alerting | Callee::Silent) => {
                Some((config.ring.saturating_add(ALERT_MARGIN), "call: ringing"))
            }
            Phase::Callee(Callee::Told) => Some((RETRY_AFTER + RETURN_MARGIN, "call: told busy")),
            Phase::Callee(Callee::Queued { .. }) => Some((PLACE_TTW + PLACE_MARGIN, "call: waits here")),
            Phase::Callee(Callee::Refusing { delay, .. }) => Some((delay, "call: refusal")),
            Phase::Talking => self.lost.then_some((RECONNECT_LIMIT, "call: reconnecting")),
            Phase::Ending(_) => Some((ENDING_LIMIT, "call: hang-up confirmed")),
            Phase::Ended(_) => None,
        }
    }

    /// The phase has lasted too long.
    pub(super) fn expire(&mut self, desk: &mut Desk<'_>) {
        match self.phase {
            Phase::Caller(Caller::Lookup) => self.end(EndCause::NotFound, desk),
            Phase::Caller(Caller::Connecting) => self.end(EndCause::Unreachable, desk),
            Phase::Caller(Caller::Calling) => self.give_up(EndCause::NoReply, desk),
            Phase::Caller(Caller::Ringing) => self.give_up(EndCause::NoAnswer, desk),
            Phase::Caller(Caller::Busy) => self.try_again(desk),
            Phase::Caller(Caller::WaitAsk) => self.no_place(desk),
            Phase::Caller(Caller::Waiting { .. }) => self.place_lapses(desk),
            Phase::Callee(Callee::Alerting | Callee::Silent) => {
                self.refuse(Reason::Timeout, EndCause::Missed, desk);
            }
            Phase::Callee(Callee::Told | Callee::Queued { .. }) => self.end(EndCause::MissedBusy, desk),
            Phase::Callee(Callee::Refusing { because, .. }) => self.refuse(Reason::Declined, because, desk),
            Phase::Talking => self.give_up(EndCause::PeerLost, desk),
            Phase::Ending(cause) => self.end(cause, desk),
            Phase::Ended(_) => {}
        }
    }

    /// Ends without waiting for the peer, but tells it.
    pub(super) fn give_up(&mut self, cause: EndCause, desk: &mut Desk<'_>) {
        self.send(Frame::CallTerminate { call_id: self.call_id, reason: cause.to_tell() }, desk);
        self.end(cause, desk);
    }

    /// Over. An answer is not repeated from then on.
    pub(super) fn end(&mut self, cause: EndCause, desk: &Desk<'_>) {
        self.reply = self.reply.take().filter(|_| self.answered.is_none());
        self.ended = Some(desk.now);
        self.enter(Phase::Ended(cause), desk);
    }

    pub(super) fn send(&self, frame: Frame, desk: &mut Desk<'_>) {
        desk.events.push_back(CallEvent::Send { key: self.key, frame });
    }

    /// Says what follows from where the call stands now: media, watching, what clients see. Called once after
    /// every step.
    pub(super) fn settle(&mut self, desk: &mut Desk<'_>) {
        let (key, number, call_id) = (self.key, self.number, self.call_id);
        if self.media && !self.carries_media() {
            desk.events.push_back(CallEvent::StopMedia { key, number });
        }
        if self.watched != self.needs_watching() {
            desk.events.push_back(CallEvent::InCall { key, on: !self.watched });
        }
        if !self.media && self.carries_media() {
            desk.events.push_back(CallEvent::StartMedia { key, number, call_id });
        }
        self.media = self.carries_media();
        self.watched = self.needs_watching();
        let view = self.view();
        if self.is_shown() && self.shown != Some(view) {
            self.shown = Some(view);
            desk.events.push_back(CallEvent::Changed(view));
        }
        if self.is_over() {
            desk.events.push_back(CallEvent::SessionDone { key });
        }
    }

    /// Whether media flows: answered, with local consent, held by nobody, and the peer is heard.
    pub(super) fn carries_media(&self) -> bool {
        self.state() == State::Active && self.consent.is_some()
    }

    /// Unheard calls are watched like others: a caller must not see a difference.
    fn needs_watching(&self) -> bool {
        match self.phase {
            Phase::Caller(caller) => !matches!(caller, Caller::Lookup | Caller::Connecting),
            Phase::Callee(callee) => !matches!(callee, Callee::Refusing { .. }),
            Phase::Talking => true,
            Phase::Ending(_) | Phase::Ended(_) => false,
        }
    }

    /// Whether the user knows of the call. One that nobody heard shows when it is over and was missed.
    pub(super) fn is_shown(&self) -> bool {
        match self.phase {
            // One that was told "busy" and came back may be unwelcome by now; its user still sees where it was.
            Phase::Callee(Callee::Silent | Callee::Refusing { .. }) => self.shown.is_some(),
            Phase::Callee(_) => true,
            Phase::Ended(cause) => self.shown.is_some() || cause.is_missed(),
            Phase::Caller(_) | Phase::Talking | Phase::Ending(_) => true,
        }
    }

    /// Whether it is dialled or talked.
    pub(super) fn is_engaged(&self) -> bool {
        matches!(self.phase, Phase::Caller(_) | Phase::Talking)
    }

    /// Whether it occupies the line: dialled or talked, and not held here.
    pub(super) fn is_current(&self) -> bool {
        self.is_engaged() && !self.is_parked()
    }

    /// Whether it is held here.
    pub(super) fn is_parked(&self) -> bool {
        self.phase == Phase::Talking && self.held_here
    }

    /// Whether the user can take it: it rings, waits, or was told that we are busy.
    pub(super) fn is_answerable(&self) -> bool {
        matches!(self.phase, Phase::Callee(_)) && self.is_shown()
    }

    pub(super) fn is_alerting(&self) -> bool {
        self.phase == Phase::Callee(Callee::Alerting)
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }

    pub(super) fn state(&self) -> State {
        match self.phase {
            Phase::Caller(caller) => caller.state(),
            Phase::Callee(callee) => callee.state(self.shown.is_some()),
            Phase::Talking if self.lost => State::Reconnecting,
            Phase::Talking if self.held_here || self.held_there => State::Held,
            Phase::Talking => State::Active,
            Phase::Ending(_) => State::Ending,
            Phase::Ended(_) => State::Ended,
        }
    }

    pub(super) fn view(&self) -> CallView {
        let cause = match self.phase {
            Phase::Ending(cause) | Phase::Ended(cause) => Some(cause),
            _ => None,
        };
        CallView {
            number: self.number,
            key: self.key,
            direction: self.direction,
            state: self.state(),
            cause,
            held_here: self.held_here,
            held_there: self.held_there,
            attempt: self.attempt,
            tries: self.tries,
            can_wait: self.can_wait && self.phase == Phase::Caller(Caller::Busy),
            until: self.until,
            unstable: self.unstable,
            started: self.started,
            answered: self.answered,
            ended: self.ended,
            found_after: self.found_after,
            rang_after: self.rang_after,
        }
    }
}
