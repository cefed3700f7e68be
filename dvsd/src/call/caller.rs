// SPDX-License-Identifier: GPL-3.0-or-later
//! The caller's side of a call, from dialling to the answer.

use super::state::{Call, Consent, Desk, Phase};
use super::view::{Direction, EndCause, State};
use super::{CallEvent, CallKey, CallNumber};
use crate::wire::control::{Frame, Reason};

/// What a caller waits for. A busy peer will add two states (asking for a place in its queue, having one).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Caller {
    /// The overlay's answer.
    Lookup,
    /// The handshake.
    Connecting,
    /// The first reply.
    Calling,
    /// The answer.
    Ringing,
}

impl Caller {
    pub(super) const fn state(self) -> State {
        match self {
            Self::Lookup => State::Lookup,
            Self::Connecting => State::Connecting,
            Self::Calling => State::Calling,
            Self::Ringing => State::Ringing,
        }
    }
}

impl Call {
    /// The user dials.
    pub(super) fn dial(number: CallNumber, key: CallKey, call_id: u32, desk: &mut Desk<'_>) -> Self {
        let mut call = Self::new(number, key, Direction::Outgoing, call_id, Phase::Caller(Caller::Lookup), desk);
        call.consent = Some(Consent::Dialled);
        desk.events.push_back(CallEvent::FindPeer { key, number });
        call
    }

    pub(super) fn found(&mut self, desk: &mut Desk<'_>) {
        if self.phase == Phase::Caller(Caller::Lookup) {
            self.found_after = Some(desk.now.mono.since(self.started.mono));
            self.enter(Phase::Caller(Caller::Connecting), desk);
            desk.events.push_back(CallEvent::Connect { key: self.key });
        }
    }

    pub(super) fn not_found(&mut self, cause: EndCause, desk: &Desk<'_>) {
        if matches!(self.phase, Phase::Caller(Caller::Lookup | Caller::Connecting)) {
            self.end(cause, desk);
        }
    }

    /// A session stands: what was waiting for it goes out at once.
    pub(super) fn session_up(&mut self, desk: &mut Desk<'_>) {
        self.watched = false;
        match self.phase {
            Phase::Caller(Caller::Lookup | Caller::Connecting) => {
                self.found_after.get_or_insert(desk.now.mono.since(self.started.mono));
                self.enter(Phase::Caller(Caller::Calling), desk);
                self.invite(desk);
            }
            _ => self.repeat(desk),
        }
    }

    pub(super) fn invite(&self, desk: &mut Desk<'_>) {
        let max_tries = desk.config.max_tries.max(1);
        self.send(Frame::CallInitiate { call_id: self.call_id, attempt: self.attempt, max_tries }, desk);
    }

    /// CALL_INITIATE_REPLY. A late one, after the answer or the hang-up, changes nothing.
    pub(super) fn replied(&mut self, ok: bool, reason: Reason, desk: &Desk<'_>) {
        match self.phase {
            Phase::Caller(Caller::Calling) if ok => {
                self.rang_after = Some(desk.now.mono.since(self.started.mono));
                self.enter(Phase::Caller(Caller::Ringing), desk);
            }
            Phase::Caller(_) if !ok && self.is_invited() => self.end(EndCause::told(reason), desk),
            _ => {}
        }
    }

    /// CALL_ANSWER. It may come without a reply before it.
    pub(super) fn peer_answered(&mut self, desk: &Desk<'_>) {
        if self.is_invited() {
            self.rang_after.get_or_insert(desk.now.mono.since(self.started.mono));
            self.talk(desk);
        }
    }

    /// CALL_BUSY.
    pub(super) fn peer_busy(&mut self, desk: &Desk<'_>) {
        if self.is_invited() {
            self.end(EndCause::Busy, desk);
        }
    }

    /// Whether the peer has our invitation, or will, and has not answered it.
    pub(super) fn is_invited(&self) -> bool {
        matches!(self.phase, Phase::Caller(Caller::Calling | Caller::Ringing))
    }
}
