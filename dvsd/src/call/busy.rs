// SPDX-License-Identifier: GPL-3.0-or-later
//! The caller's side when the peer is in another call: try again, or wait in its queue.
//!
//! Timers: Busy, asking for a place, Waiting (see the head of the module).

use core::time::Duration;

use super::caller::Caller;
use super::state::{Call, Desk, Phase};
use super::view::EndCause;
use super::{CallError, RENEW_BEFORE, RETRY_MIN, TTW_MAX, WAIT_LIMIT};
use crate::wire::control::Frame;

/// What a peer may make us wait, in its seconds.
fn time_to_wait(ttw: u16) -> Duration {
    Duration::from_secs(ttw.into()).clamp(RETRY_MIN, TTW_MAX)
}

impl Call {
    /// CALL_BUSY. In the queue it means nothing: there CALL_WAITING_REPLY says what holds.
    pub(super) fn peer_busy(&mut self, can_wait: bool, ttw: u16, desk: &mut Desk<'_>) {
        match self.phase {
            Phase::Caller(Caller::Calling | Caller::Ringing) => {
                self.can_wait = can_wait;
                self.retry_after = time_to_wait(ttw);
                match (can_wait, self.wait) {
                    (true, true) => self.ask_to_wait(desk),
                    (false, _) if self.attempt >= self.tries => self.end(EndCause::Busy, desk),
                    _ => self.enter(Phase::Caller(Caller::Busy), desk),
                }
            }
            Phase::Caller(Caller::Busy) => self.can_wait = can_wait,
            _ => {}
        }
    }

    /// The user wants a place in the peer's queue, or none any more.
    pub(super) fn want_place(&mut self, on: bool, desk: &mut Desk<'_>) -> Result<(), CallError> {
        match (self.phase, on) {
            (Phase::Caller(Caller::Busy), true) if !self.can_wait => return Err(CallError::NoRoom(self.number)),
            (Phase::Caller(Caller::Busy), true) => self.ask_to_wait(desk),
            (Phase::Caller(Caller::WaitAsk | Caller::Waiting { .. }), false) => {
                self.send_waiting(false, desk);
                self.waiting_since = None;
                self.enter(Phase::Caller(Caller::Busy), desk);
            }
            (Phase::Caller(Caller::Busy | Caller::WaitAsk | Caller::Waiting { .. }), _) => {}
            _ => return Err(CallError::NotBusy(self.number)),
        }
        self.wait = on;
        Ok(())
    }

    fn ask_to_wait(&mut self, desk: &mut Desk<'_>) {
        self.send_waiting(true, desk);
        self.enter(Phase::Caller(Caller::WaitAsk), desk);
    }

    pub(super) fn send_waiting(&self, want: bool, desk: &mut Desk<'_>) {
        self.send(Frame::CallWaiting { call_id: self.call_id, want }, desk);
    }

    /// CALL_WAITING_REPLY. Outside the queue it is a late one, and means nothing.
    pub(super) fn wait_replied(&mut self, ok: bool, ttw: u16, desk: &mut Desk<'_>) {
        if !matches!(self.phase, Phase::Caller(Caller::WaitAsk | Caller::Waiting { .. })) {
            return;
        }
        if ok {
            let until = desk.now.mono + time_to_wait(ttw);
            self.waiting_since.get_or_insert(desk.now.mono);
            self.enter(Phase::Caller(Caller::Waiting { until, renewing: false }), desk);
        } else {
            self.no_place(desk);
        }
    }

    /// There is no place, or no longer: back to where the call was before, if there is anything left to do there.
    pub(super) fn no_place(&mut self, desk: &mut Desk<'_>) {
        self.can_wait = false;
        self.waiting_since = None;
        if self.attempt < self.tries {
            self.enter(Phase::Caller(Caller::Busy), desk);
        } else {
            self.give_up(EndCause::Busy, desk);
        }
    }

    /// The peer was busy for long enough.
    pub(super) fn try_again(&mut self, desk: &mut Desk<'_>) {
        if self.attempt < self.tries {
            self.attempt += 1;
            self.enter(Phase::Caller(Caller::Calling), desk);
            self.invite(desk);
        } else {
            self.give_up(EndCause::Busy, desk);
        }
    }

    /// The place lapses soon, or has lapsed without having been renewed.
    pub(super) fn place_lapses(&mut self, desk: &mut Desk<'_>) {
        let Phase::Caller(Caller::Waiting { until, renewing }) = self.phase else { return };
        let waited = self.waiting_since.map_or(Duration::ZERO, |since| desk.now.mono.since(since));
        if waited >= WAIT_LIMIT {
            self.give_up(EndCause::Busy, desk);
        } else if renewing {
            self.no_place(desk);
        } else {
            self.send_waiting(true, desk);
            self.enter(Phase::Caller(Caller::Waiting { until, renewing: true }), desk);
        }
    }

    /// How long a place that holds for `left` is enjoyed before it is asked for again.
    pub(super) fn until_renewal(left: Duration) -> Duration {
        left.saturating_sub(RENEW_BEFORE.min(left / 2))
    }
}
