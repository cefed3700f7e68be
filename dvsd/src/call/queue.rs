// SPDX-License-Identifier: GPL-3.0-or-later
//! The callee's side while the line is busy: callers are told so, may come back, and may wait for their turn.
//!
//! A caller that was told "busy" stays one call until it comes back, waits, or is heard of no more, so that its user
//! sees it once however often it tries. Timers: told that we are busy, waiting here (see the head of the module).

use core::time::Duration;

use super::callee::Callee;
use super::state::{Call, Desk, Phase};
use super::view::EndCause;
use super::{PLACE_MARGIN, PLACE_TTW, RETRY_AFTER};
use crate::time::Instant;
use crate::wire::control::Frame;

/// How often one call may enter the queue: a peer that comes and goes without end is not shown without end.
const MAX_PLACES: u8 = 10;
/// A place that was asked for less than this long ago need not be renewed.
const RENEW_AFTER: Duration = Duration::from_secs(30);

/// Whole seconds, for the wire.
fn seconds(duration: Duration) -> u16 {
    u16::try_from(duration.as_secs()).unwrap_or(u16::MAX)
}

/// "In another call", and whether there is room in the queue.
fn busy(call_id: u32, can_wait: bool) -> Frame {
    Frame::CallBusy { call_id, can_wait, ttw: seconds(RETRY_AFTER) }
}

/// "You are in the queue for this long."
fn queued(call_id: u32, left: Duration) -> Frame {
    Frame::CallWaitingReply { call_id, ok: true, ttw: seconds(left) }
}

/// "You are not in the queue."
pub(super) const fn not_queued(call_id: u32) -> Frame {
    Frame::CallWaitingReply { call_id, ok: false, ttw: 0 }
}

impl Call {
    /// The line is taken. Unless the caller can neither wait nor means to come back, the call stays.
    pub(super) fn tell_busy(&mut self, room: bool, desk: &mut Desk<'_>) {
        self.told = Some(desk.now.mono);
        self.reply(busy(self.call_id, room), desk);
        if room || self.attempt < self.tries {
            self.enter(Phase::Callee(Callee::Told), desk);
        } else {
            self.end(EndCause::MissedBusy, desk);
        }
    }

    /// CALL_WAITING; `room` says whether the queue has any.
    pub(super) fn asked_to_wait(&mut self, want: bool, room: bool, desk: &mut Desk<'_>) {
        match (self.phase, want) {
            (Phase::Callee(Callee::Told), true) if room && self.places < MAX_PLACES => {
                self.places += 1;
                self.enter(Phase::Callee(Callee::Queued { since: desk.now.mono }), desk);
                self.send(queued(self.call_id, PLACE_TTW), desk);
            }
            (Phase::Callee(Callee::Queued { .. }), true) => self.renew_place(desk),
            (Phase::Callee(Callee::Queued { .. }), false) => {
                self.enter(Phase::Callee(Callee::Told), desk);
                self.send(not_queued(self.call_id), desk);
            }
            // It has been taken from the queue meanwhile, or a restart has forgotten the queue: it learns what holds.
            (Phase::Callee(Callee::Alerting | Callee::Silent) | Phase::Talking, true) => self.invited_again(0, desk),
            _ => self.send(not_queued(self.call_id), desk),
        }
    }

    fn renew_place(&mut self, desk: &mut Desk<'_>) {
        if self.place_left(desk) <= PLACE_TTW.saturating_sub(RENEW_AFTER) {
            self.restart_timer(desk);
        }
        self.confirm_place(desk);
    }

    /// Says again that the caller waits here, and how long that holds.
    pub(super) fn confirm_place(&self, desk: &mut Desk<'_>) {
        self.send(queued(self.call_id, self.place_left(desk)), desk);
    }

    fn place_left(&self, desk: &Desk<'_>) -> Duration {
        let left = self.deadline.map_or(Duration::ZERO, |deadline| deadline.at.since(desk.now.mono));
        left.saturating_sub(PLACE_MARGIN)
    }

    /// The line is free, and it is this caller's turn: it rings. Only the user's answer makes it a talk.
    pub(super) fn take_turn(&mut self, desk: &mut Desk<'_>) {
        self.alert(Callee::Alerting, desk);
    }

    /// Since when this caller waits here.
    pub(super) const fn queued_since(&self) -> Option<Instant> {
        match self.phase {
            Phase::Callee(Callee::Queued { since }) => Some(since),
            _ => None,
        }
    }
}
