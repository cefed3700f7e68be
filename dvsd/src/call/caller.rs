// SPDX-License-Identifier: GPL-3.0-or-later
//! The caller's side of a call, from dialling to the answer.

use super::state::{Call, Consent, Desk, Phase};
use super::view::{Direction, EndCause, State};
use super::{CallEvent, CallKey, CallNumber, DialOptions, MAX_TRIES};
use crate::time::Instant;
use crate::wire::control::{Frame, Reason};

/// What a caller waits for.
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
    /// The end of the peer's other call: for the next try, or until the user decides what to do.
    Busy,
    /// What the peer says to our wish to wait.
    WaitAsk,
    /// Our turn in the peer's queue.
    Waiting {
        /// When our place lapses.
        until: Instant,
        /// Whether it has been asked for again.
        renewing: bool,
    },
}

impl Caller {
    pub(super) const fn state(self) -> State {
        match self {
            Self::Lookup => State::Lookup,
            Self::Connecting => State::Connecting,
            Self::Calling => State::Calling,
            Self::Ringing => State::Ringing,
            Self::Busy | Self::WaitAsk => State::Busy,
            Self::Waiting { .. } => State::Waiting,
        }
    }
}

impl Call {
    /// The user dials.
    pub(super) fn dial(
        number: CallNumber,
        key: CallKey,
        call_id: u32,
        options: DialOptions,
        desk: &mut Desk<'_>,
    ) -> Self {
        let mut call = Self::new(number, key, Direction::Outgoing, call_id, Phase::Caller(Caller::Lookup), desk);
        call.tries = options.tries.unwrap_or(desk.config.max_tries).clamp(1, MAX_TRIES);
        call.wait = options.wait;
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
        let Self { call_id, attempt, tries, .. } = *self;
        self.send(Frame::CallInitiate { call_id, attempt, max_tries: tries }, desk);
    }

    /// CALL_INITIATE_REPLY. It also says that it is our turn in the queue. A late one, after the answer or the hang-up,
    /// changes nothing.
    pub(super) fn replied(&mut self, ok: bool, reason: Reason, desk: &Desk<'_>) {
        match self.phase {
            Phase::Caller(Caller::Ringing) if ok => {}
            Phase::Caller(_) if ok && self.is_known_there() => {
                self.rang_after.get_or_insert(desk.now.mono.since(self.started.mono));
                self.enter(Phase::Caller(Caller::Ringing), desk);
            }
            Phase::Caller(_) if self.is_known_there() => self.end(EndCause::told(reason), desk),
            _ => {}
        }
    }

    /// CALL_ANSWER. It may come without a reply before it.
    pub(super) fn peer_answered(&mut self, desk: &Desk<'_>) {
        if self.is_known_there() {
            self.rang_after.get_or_insert(desk.now.mono.since(self.started.mono));
            self.talk(desk);
        }
    }

    /// Whether the peer has our invitation, or will, and has not answered it yet.
    fn is_known_there(&self) -> bool {
        matches!(self.phase, Phase::Caller(caller) if !matches!(caller, Caller::Lookup | Caller::Connecting))
    }

    /// The same, and that it has not said "busy" either.
    pub(super) fn is_invited(&self) -> bool {
        matches!(self.phase, Phase::Caller(Caller::Calling | Caller::Ringing))
    }
}
