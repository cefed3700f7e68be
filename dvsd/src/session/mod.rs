// SPDX-License-Identifier: GPL-3.0-or-later
//! Sessions: encrypted tunnels to authenticated peers.
//!
//! [`Sessions`] runs the handshakes, finds the session of a packet by the slot in its first byte, keeps the control
//! stream reliable and watches whether peers are still there. It knows nothing of calls: it carries their frames
//! and their media between `(LocalId, NodeId)` pairs, of which each has one session in use at any time.

use core::time::Duration;

use thiserror::Error;

use crate::handshake::Refusal;
use crate::id::{Fingerprint, LocalId, NodeId};
use crate::path::Path;
use crate::wire::control::{Frame, Reason};

mod answer;
mod bucket;
mod buffers;
mod control;
mod dial;
mod epochs;
mod established;
mod gate;
mod liveness;
mod paths;
mod rekey;
mod renewal;
mod rivals;
mod rtt;
mod sessions;
mod slots;
#[cfg(test)]
mod tests;
mod tunnel;

pub use sessions::Sessions;

/// Names a session. Unique in this run, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// What happened, to be acted on by calls and people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// There is a session to a peer where there was none. Frames may be sent at once.
    Established {
        /// The session.
        session: SessionId,
        /// Which of our identities it belongs to.
        local: LocalId,
        /// Whom it is with, proven.
        peer: NodeId,
        /// The fingerprint of the peer's key.
        fingerprint: Fingerprint,
        /// Whether we dialled.
        initiated: bool,
    },
    /// An attempt begun with [`Sessions::connect`] came to nothing.
    ConnectFailed {
        /// Who dialled.
        local: LocalId,
        /// Whom.
        peer: NodeId,
        /// Why.
        why: ConnectError,
    },
    /// A peer began a handshake with another key than the one pinned or in use. It was refused without a word.
    KeyChanged {
        /// Whom it wanted.
        local: LocalId,
        /// Whose ID the key has.
        peer: NodeId,
        /// The fingerprint of the key shown.
        shown: Fingerprint,
    },
    /// A frame for calls or people: CALL_*, MEDIA_PARAMS, MEDIA_REPORT, VERIFY_*, PATH_OFFER. Everything else is
    /// handled inside. Always of the session in use with that peer, even if it came through one just replaced.
    Frame {
        /// The session.
        session: SessionId,
        /// The frame.
        frame: Frame,
    },
    /// A media packet.
    Media {
        /// The session.
        session: SessionId,
        /// Its number: ticks of 2.5 ms on the sender's clock.
        seq: u32,
        /// Decrypted, never empty. [`Sessions::give_back`] spares an allocation later.
        payload: Vec<u8>,
    },
    /// A doubted peer ([`Sessions::doubt`]) was not heard for a second.
    Silent {
        /// The session.
        session: SessionId,
    },
    /// Packets to the peer go along another path from now on: it has moved.
    PathChanged {
        /// The session.
        session: SessionId,
        /// Where to.
        path: Path,
    },
    /// Nothing was heard for 5 s.
    Unstable {
        /// The session.
        session: SessionId,
    },
    /// Nothing was heard for 10 s: no media may be sent any more.
    Lost {
        /// The session.
        session: SessionId,
    },
    /// The peer is heard again.
    Recovered {
        /// The session.
        session: SessionId,
    },
    /// The peer has a new session, which it cannot have begun before it had this one, and does not answer in this one:
    /// it has started again. [`Moved`](Self::Moved) follows.
    Restarted {
        /// The session.
        session: SessionId,
    },
    /// Another session with the same peer is in use from now on. Frames it had not acknowledged were queued there.
    Moved {
        /// The old one: no further events of it follow.
        from: SessionId,
        /// The new one.
        to: SessionId,
    },
    /// A session ended that we did not close ourselves.
    Closed {
        /// The session: no further events of it follow.
        session: SessionId,
        /// Why; 30 s of silence are [`Reason::PeerLost`], an HS_AUTH never confirmed [`Reason::Unreachable`].
        reason: Reason,
    },
}

/// Why there is no session after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ConnectError {
    /// Nobody answered for 8 s.
    #[error("no answer")]
    Timeout,
    /// The right ID answered with another key than the one pinned.
    #[error("the peer shows another key than before")]
    KeyChanged {
        /// The fingerprint of the key shown.
        shown: Fingerprint,
    },
    /// No protocol version is spoken by both.
    #[error("the peer speaks another protocol version")]
    Version,
    /// No path to try.
    #[error("no path to the peer")]
    NoPath,
}

/// What there is to know about a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStats {
    /// Which of our identities.
    pub local: LocalId,
    /// Whom it is with.
    pub peer: NodeId,
    /// The fingerprint of the peer's key.
    pub fingerprint: Fingerprint,
    /// Where packets to the peer go.
    pub path: Path,
    /// How often that has changed.
    pub path_changes: u32,
    /// Whether we dialled.
    pub initiated: bool,
    /// Smoothed round-trip time of the heartbeats; before the first is answered, what the handshake took.
    pub rtt: Option<Duration>,
    /// Media packets sent.
    pub media_sent: u32,
    /// Media packets received.
    pub media_received: u32,
    /// Length of the shortest, longest and last media datagram sent, in bytes.
    pub media_bytes: MediaBytes,
    /// Packets to this session that were not authentic.
    pub failed: u64,
    /// How often the keys were replaced.
    pub epoch: u32,
    /// How often so many packets were not authentic that new keys were called for.
    pub alarms: u32,
}

/// Lengths of media datagrams, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MediaBytes {
    /// The shortest; zero before any.
    pub min: u16,
    /// The longest.
    pub max: u16,
    /// The last.
    pub last: u16,
}

impl MediaBytes {
    fn note(&mut self, length: usize) {
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        self.min = if self.min == 0 { length } else { self.min.min(length) };
        self.max = self.max.max(length);
        self.last = length;
    }
}

/// Why a datagram was dropped, to be counted. None of these is an error of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Drop {
    /// Not the form of its kind.
    Malformed,
    /// No session has this slot.
    UnknownSlot,
    /// An epoch whose keys are not here.
    Epoch,
    /// A sequence number too far ahead.
    Jump,
    /// A sequence number heard already, or too old to tell.
    Replayed,
    /// Not authentic.
    NotAuthentic,
    /// Authentic, but against the protocol: a strike.
    Violation,
    /// HS_INIT of somebody who does not know an ID of ours.
    Mac1,
    /// A flag or suite that is not served here.
    Unsupported,
    /// Another protocol version.
    Version,
    /// Answered with a cookie instead of work.
    CookieAsked,
    /// Over a limit.
    Budget,
    /// No handshake of this name, or none any more.
    UnknownHandshake,
    /// A message seen before.
    Duplicate,
    /// A handshake message whose content was refused.
    Handshake(Refusal),
    /// The peer is blocked.
    Blocked,
    /// The peer shows another key than the one pinned or in use.
    KeyChanged,
    /// No slot is free.
    NoSlot,
}

impl Drop {
    /// The name of the reason's counter.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownSlot => "unknown_slot",
            Self::Epoch => "epoch",
            Self::Jump => "jump",
            Self::Replayed => "replayed",
            Self::NotAuthentic => "not_authentic",
            Self::Violation => "violation",
            Self::Mac1 => "mac1",
            Self::Unsupported => "unsupported",
            Self::Version => "version",
            Self::CookieAsked => "cookie_asked",
            Self::Budget => "budget",
            Self::UnknownHandshake => "unknown_handshake",
            Self::Duplicate => "duplicate",
            Self::Handshake(_) => "handshake_refused",
            Self::Blocked => "blocked",
            Self::KeyChanged => "key_changed",
            Self::NoSlot => "no_slot",
        }
    }
}
