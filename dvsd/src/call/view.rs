// SPDX-License-Identifier: GPL-3.0-or-later
//! A call as its user sees it, and as history keeps it.

use core::fmt;
use core::time::Duration;

use super::{CallKey, CallNumber};
use crate::id::NodeId;
use crate::time::Now;
use crate::wire::control::Reason;

/// Who dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// We did.
    Outgoing,
    /// The peer did.
    Incoming,
}

/// The states of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Looking for the peer in the overlay.
    Lookup,
    /// Found; the handshake is under way.
    Connecting,
    /// Asked; the peer has not replied yet.
    Calling,
    /// The peer rings.
    Ringing,
    /// We ring.
    Alerting,
    /// Outgoing: the peer is in another call; it is called again, or the user may ask for a place in its queue. Incoming:
    /// the peer called while we were in another call and was told so; it may be answered all the same.
    Busy,
    /// Outgoing: in the peer's queue. Incoming: the peer waits in ours.
    Waiting,
    /// Talking.
    Active,
    /// On hold, by either side; nobody sends.
    Held,
    /// Nothing heard for 10 s; waiting for the session to recover.
    Reconnecting,
    /// Hung up; the peer has not confirmed yet.
    Ending,
    /// Over.
    Ended,
}

/// Why a call is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndCause {
    /// We hung up.
    HungUp,
    /// The peer hung up.
    PeerHungUp,
    /// The peer declined.
    Declined,
    /// We declined.
    DeclinedHere,
    /// The peer is in another call.
    Busy,
    /// The peer rang, nobody answered.
    NoAnswer,
    /// We rang, or would have; nobody answered.
    Missed,
    /// Somebody called while we were in another call.
    MissedBusy,
    /// Refused by the policy for callers.
    Refused,
    /// The ID was not found in the overlay.
    NotFound,
    /// We are not in the overlay: no other node answers.
    Offline,
    /// Found, but no session came about.
    Unreachable,
    /// Found, but both sides are behind NAT that cannot be passed: only a relay would help.
    NeedsRelay,
    /// A session stood, but the peer never replied to the call.
    NoReply,
    /// The peer shows another key than the pinned one.
    KeyChanged,
    /// The peer speaks no version of the protocol that we do.
    Version,
    /// Nothing heard any more.
    PeerLost,
    /// The peer's daemon restarted and knows nothing of the call.
    PeerRestarted,
    /// Somebody broke the protocol.
    Protocol,
    /// The peer's daemon, or ours, shut down.
    GoingAway,
    /// Media could not be carried.
    MediaFailure,
    /// We blocked the peer, or it us.
    Blocked,
    /// Answered on another device of the same person.
    AnsweredElsewhere,
}

impl EndCause {
    /// Every cause.
    pub const ALL: [Self; 23] = [
        Self::HungUp,
        Self::PeerHungUp,
        Self::Declined,
        Self::DeclinedHere,
        Self::Busy,
        Self::NoAnswer,
        Self::Missed,
        Self::MissedBusy,
        Self::Refused,
        Self::NotFound,
        Self::Offline,
        Self::Unreachable,
        Self::NeedsRelay,
        Self::NoReply,
        Self::KeyChanged,
        Self::Version,
        Self::PeerLost,
        Self::PeerRestarted,
        Self::Protocol,
        Self::GoingAway,
        Self::MediaFailure,
        Self::Blocked,
        Self::AnsweredElsewhere,
    ];

    /// The name under which history stores the cause; it never changes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HungUp => "hung-up",
            Self::PeerHungUp => "peer-hung-up",
            Self::Declined => "declined",
            Self::DeclinedHere => "declined-here",
            Self::Busy => "busy",
            Self::NoAnswer => "no-answer",
            Self::Missed => "missed",
            Self::MissedBusy => "missed-busy",
            Self::Refused => "refused",
            Self::NotFound => "not-found",
            Self::Offline => "offline",
            Self::Unreachable => "unreachable",
            Self::NeedsRelay => "needs-relay",
            Self::NoReply => "no-reply",
            Self::KeyChanged => "key-changed",
            Self::Version => "version",
            Self::PeerLost => "peer-lost",
            Self::PeerRestarted => "peer-restarted",
            Self::Protocol => "protocol",
            Self::GoingAway => "going-away",
            Self::MediaFailure => "media-failure",
            Self::Blocked => "blocked",
            Self::AnsweredElsewhere => "answered-elsewhere",
        }
    }

    /// The cause stored as `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.name() == name)
    }

    /// What the peer means by ending a call for `reason`.
    pub(super) const fn told(reason: Reason) -> Self {
        match reason {
            Reason::Normal => Self::PeerHungUp,
            Reason::Declined => Self::Declined,
            Reason::Busy => Self::Busy,
            Reason::Timeout => Self::NoAnswer,
            Reason::Unreachable => Self::Unreachable,
            Reason::PeerLost | Reason::Glare => Self::PeerLost,
            Reason::Protocol => Self::Protocol,
            Reason::MediaFailure => Self::MediaFailure,
            Reason::Blocked => Self::Blocked,
            Reason::PeerRestarted => Self::PeerRestarted,
            Reason::GoingAway => Self::GoingAway,
            Reason::AnsweredElsewhere => Self::AnsweredElsewhere,
        }
    }

    /// What the peer is told when a call ends here for this cause. It does not learn that it is blocked.
    pub(super) const fn to_tell(self) -> Reason {
        match self {
            Self::PeerLost => Reason::PeerLost,
            Self::Protocol => Reason::Protocol,
            Self::GoingAway => Reason::GoingAway,
            Self::MediaFailure => Reason::MediaFailure,
            Self::NoAnswer | Self::NoReply => Reason::Timeout,
            Self::Busy => Reason::Busy,
            _ => Reason::Normal,
        }
    }

    /// Whether the call is worth an entry although its user never heard of it while it lasted.
    pub(super) const fn is_missed(self) -> bool {
        matches!(self, Self::Missed | Self::MissedBusy)
    }
}

impl fmt::Display for EndCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A call at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallView {
    /// Its number.
    pub number: CallNumber,
    /// Whom with.
    pub key: CallKey,
    /// Who dialled. Of two crossed dials each side sees its own.
    pub direction: Direction,
    /// Where it stands.
    pub state: State,
    /// Why it ended; set once the end is certain, that is also in [`State::Ending`].
    pub cause: Option<EndCause>,
    /// Whether we hold it.
    pub held_here: bool,
    /// Whether the peer holds it.
    pub held_there: bool,
    /// Which attempt this is, from 1.
    pub attempt: u8,
    /// How many attempts the caller intends, from 1.
    pub tries: u8,
    /// In [`State::Busy`], outgoing: the peer has room in its queue.
    pub can_wait: bool,
    /// [`State::Busy`], outgoing: when the next try is made or, without one, the call given up. [`State::Waiting`]: when
    /// the place in the queue lapses, unless it is renewed.
    pub until: Option<Now>,
    /// Nothing was heard from the peer for some seconds; it is not given up yet.
    pub unstable: bool,
    /// When it was dialled or came in.
    pub started: Now,
    /// When it was answered.
    pub answered: Option<Now>,
    /// When it ended.
    pub ended: Option<Now>,
    /// Time from dialling until the peer was found.
    pub found_after: Option<Duration>,
    /// Time from dialling until the peer rang, or answered without ringing.
    pub rang_after: Option<Duration>,
}

impl CallView {
    /// The entry for history, once the call has ended.
    pub fn past(&self) -> Option<PastCall> {
        let ended = self.ended?;
        let talked = self.answered.map(|answered| ended.mono.since(answered.mono).as_secs());
        Some(PastCall {
            peer: self.key.peer,
            direction: self.direction,
            started: self.started.unix,
            talked: talked.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX)),
            cause: self.cause?,
        })
    }
}

/// A call of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastCall {
    /// Whom with.
    pub peer: NodeId,
    /// Who dialled.
    pub direction: Direction,
    /// Seconds since 1970 when it was dialled or came in.
    pub started: u64,
    /// Seconds it was talked; `None` when never answered.
    pub talked: Option<u32>,
    /// Why it ended.
    pub cause: EndCause,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_name_of_its_own() {
        for cause in EndCause::ALL {
            assert_eq!(EndCause::from_name(cause.name()), Some(cause));
        }
        assert_eq!(EndCause::from_name("bored"), None);
    }
}
