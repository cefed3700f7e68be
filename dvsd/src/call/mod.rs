// SPDX-License-Identifier: GPL-3.0-or-later
//! Calls: dial, ring, answer, decline, wait for a busy peer, hold, switch, hang up, and every way in which these can
//! meet or fail.
//!
//! [`Calls`] is pure signalling. It knows peers by [`CallKey`], never by session, so a call survives its session
//! being replaced: it repeats where it stands on the new one, and because every frame names its call, a frame that
//! arrives twice changes nothing. At any time at most one call is dialled or talked, one is held here, one rings and
//! [`MAX_QUEUE`] wait. Only what the local user does changes which call is which: no frame makes a second one talk.
//!
//! Every timer of a call, one per state, so that none can last for ever ([`CallConfig`] changes only the rings):
//!
//! | state | limit | when it runs out |
//! |---|---|---|
//! | Lookup | 15 s ([`LOOKUP_LIMIT`]) | ended: not found |
//! | Connecting | 23 s after dialling ([`LOOKUP_LIMIT`] + [`CONNECT_LIMIT`]) | ended: unreachable |
//! | Calling | 5 s ([`REPLY_LIMIT`]) | TERMINATE(timeout), ended: no reply |
//! | Ringing | 60 s ([`CallConfig::ring`]) | TERMINATE(timeout), ended: no answer |
//! | Busy, tries left | as the peer said, 5–120 s ([`RETRY_MIN`], [`TTW_MAX`]) | INITIATE(try + 1): Calling |
//! | Busy, none left | 15 s ([`DECIDE_LIMIT`]) for the user to ask for a place | TERMINATE(busy), ended: busy |
//! | asking for a place | 5 s ([`REPLY_LIMIT`]) | Busy, or ended: busy |
//! | Waiting | as the peer said, 5–120 s, less up to 20 s ([`RENEW_BEFORE`]) | WAITING again; after 30 min ([`WAIT_LIMIT`]) TERMINATE(busy), ended: busy |
//! | Waiting, renewing | what is left of it | Busy, or ended: busy |
//! | Alerting, also unheard | 65 s ([`CallConfig::ring`] + [`ALERT_MARGIN`]) | REPLY(not ok, timeout), ended: missed |
//! | told that we are busy | 40 s ([`RETRY_AFTER`] + [`RETURN_MARGIN`]) | ended: missed, busy |
//! | waiting here | 125 s ([`PLACE_TTW`] + [`PLACE_MARGIN`]) after it was last asked for | ended: missed, busy |
//! | being refused | 1–3 s, random | REPLY(not ok, declined) |
//! | Active, Held | none: the user hangs up, or the session is lost | |
//! | Reconnecting | 20 s ([`RECONNECT_LIMIT`]) after 10 s of silence | TERMINATE(peer lost), ended: peer lost |
//! | Ending | 3 s ([`ENDING_LIMIT`]) | ended |
//!
//! Two more times are no timers: an ended call is remembered for [`MEMORY`], and crossed dials are told from a
//! restarted peer by [`GLARE_WINDOW`].

use core::fmt;
use core::time::Duration;

use thiserror::Error;

use crate::id::{LocalId, NodeId};
use crate::wire::control::Frame;

mod busy;
mod callee;
mod caller;
mod calls;
mod commands;
mod essence;
mod incoming;
mod past;
mod queue;
mod state;
mod talk;
#[cfg(test)]
mod tests;
mod view;

pub use calls::Calls;
pub use view::{CallView, Direction, EndCause, PastCall, State};

/// How long the overlay is searched for a peer.
pub const LOOKUP_LIMIT: Duration = Duration::from_secs(15);
/// How long a handshake may take along one path. The search may find further ones while it goes on.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(8);
/// How long a caller waits for the first reply.
pub const REPLY_LIMIT: Duration = Duration::from_secs(5);
/// How much longer than a caller a callee rings, so that the caller's end decides.
pub const ALERT_MARGIN: Duration = Duration::from_secs(5);
/// How long a call whose session was lost (10 s of silence) waits for it: 30 s of silence together.
pub const RECONNECT_LIMIT: Duration = Duration::from_secs(20);
/// How long a hang-up waits to be confirmed.
pub const ENDING_LIMIT: Duration = Duration::from_secs(3);
/// The shortest wait before an unwanted caller is refused; the longest is [`REFUSE_SPREAD`] more. A random wait
/// keeps strangers from telling a daemon's refusal from a person's, or a busy line from a free one.
pub const REFUSE_DELAY: Duration = Duration::from_secs(1);
/// See [`REFUSE_DELAY`].
pub const REFUSE_SPREAD: Duration = Duration::from_secs(2);
/// The shortest time after which a busy peer is called again, and after which an invitation that was told "busy" is
/// considered again.
pub const RETRY_MIN: Duration = Duration::from_secs(5);
/// The longest time that a peer may make us wait before the next try, or before a place in its queue is renewed.
pub const TTW_MAX: Duration = Duration::from_secs(120);
/// How long the user has to ask for a place in a busy peer's queue when no further try is to be made.
pub const DECIDE_LIMIT: Duration = Duration::from_secs(15);
/// How long before a place in the peer's queue lapses it is asked for again; at most half its time.
pub const RENEW_BEFORE: Duration = Duration::from_secs(20);
/// How long one call waits in the peer's queue before it is given up: nobody is to be connected who has long gone
/// away from the microphone.
pub const WAIT_LIMIT: Duration = Duration::from_secs(30 * 60);
/// After how long another try makes sense, as we tell callers when we are busy: a short call has ended by then.
pub const RETRY_AFTER: Duration = Duration::from_secs(30);
/// How much longer a caller that was told "busy" is remembered as one call.
pub const RETURN_MARGIN: Duration = Duration::from_secs(10);
/// How long a place in our queue holds unless it is asked for again.
pub const PLACE_TTW: Duration = Duration::from_secs(120);
/// How much longer than we said a place holds, so that the caller's clock decides.
pub const PLACE_MARGIN: Duration = Duration::from_secs(5);
/// How many callers may wait.
pub const MAX_QUEUE: usize = 3;
/// How many attempts one dial may make.
pub const MAX_TRIES: u8 = 20;
/// How long an ended call is remembered, so that a frame delivered twice cannot bring it back to life.
pub const MEMORY: Duration = Duration::from_secs(120);
/// How long after the answer the peer's own crossed CALL_INITIATE may still come in, from a session that was given
/// up meanwhile. Sessions stay receivable that long.
pub const GLARE_WINDOW: Duration = Duration::from_secs(10);
/// How many calls may exist at once, unheard and refused ones included.
pub const MAX_CALLS: usize = 64;

/// Whom a call is with: one of our identities and a peer. Between these two there is at most one call at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey {
    /// Our side.
    pub local: LocalId,
    /// The other side.
    pub peer: NodeId,
}

/// The number under which clients know a call; unique in this run of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallNumber(pub u32);

impl fmt::Display for CallNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What may be chosen about calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallConfig {
    /// How long a peer that was dialled may ring; we let callers ring [`ALERT_MARGIN`] longer.
    pub ring: Duration,
    /// How many attempts a dial makes at a busy peer (the report's number of tries) unless [`DialOptions::tries`] says
    /// so, 1 to [`MAX_TRIES`].
    pub max_tries: u8,
}

impl Default for CallConfig {
    fn default() -> Self {
        Self { ring: Duration::from_secs(60), max_tries: 1 }
    }
}

/// What may be chosen about one dial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DialOptions {
    /// How many attempts are made at a busy peer, 1 to [`MAX_TRIES`]; `None` takes [`CallConfig::max_tries`].
    pub tries: Option<u8>,
    /// Whether a place in a busy peer's queue is asked for at once, without asking the user.
    pub wait: bool,
}

/// What is to happen with a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Disturb the user. Only a contact may learn that the line is busy.
    Ring {
        /// Whether the caller is a contact.
        contact: bool,
    },
    /// A contact, answered without asking, because the administrator configured it so.
    AutoAnswer,
    /// Let the caller hear ringing, disturb nobody, note a missed call.
    Silent,
    /// Refuse, after a random wait, and note nothing.
    Reject,
    /// Do not even reply.
    Blocked,
}

/// What [`Calls`] wants done, or has to tell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CallEvent {
    /// A session with this peer is needed: report [`Calls::session_up`] at once if there is one, else search.
    FindPeer {
        /// The peer.
        key: CallKey,
        /// The call.
        number: CallNumber,
    },
    /// The peer was found: connect to it.
    Connect {
        /// The peer.
        key: CallKey,
    },
    /// Send `frame` on the session with this peer.
    Send {
        /// The peer.
        key: CallKey,
        /// What to send.
        frame: Frame,
    },
    /// From now on media flows in both directions.
    StartMedia {
        /// The peer.
        key: CallKey,
        /// The call.
        number: CallNumber,
        /// The call's name on the wire.
        call_id: u32,
    },
    /// From now on none does.
    StopMedia {
        /// The peer.
        key: CallKey,
        /// The call.
        number: CallNumber,
    },
    /// Whether a call depends on the session with this peer, which then watches it closely.
    InCall {
        /// The peer.
        key: CallKey,
        /// Watch closely, or no longer.
        on: bool,
    },
    /// A call appeared or changed. The last event of every call has [`State::Ended`] and a cause.
    Changed(CallView),
    /// The peer sent what its side of the call never sends: a strike.
    Misbehaved {
        /// The peer.
        key: CallKey,
    },
    /// No call needs this peer any more: stop searching and connecting; a session may idle.
    SessionDone {
        /// The peer.
        key: CallKey,
    },
}

/// Why a dial was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DialError {
    /// There is a call already.
    #[error("call {0} is still going on: hang up first")]
    InCall(CallNumber),
    /// The daemon is shutting down.
    #[error("the daemon is shutting down")]
    GoingAway,
}

/// Why a call cannot be acted upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    /// No such call.
    #[error("there is no such call")]
    NoSuchCall,
    /// The call is in a state in which this makes no sense.
    #[error("call {0} does not ring here")]
    NotRinging(CallNumber),
    /// Hold before the answer.
    #[error("call {0} has not been answered")]
    NotAnswered(CallNumber),
    /// There is another call, which cannot be held: it is being dialled, or a third one is held already.
    #[error("call {0} is still going on: hang up first")]
    InCall(CallNumber),
    /// Only one call may be held at a time.
    #[error("call {0} is on hold already: switch to it, or hang one of them up")]
    OtherHeld(CallNumber),
    /// Waiting for a peer that is not busy.
    #[error("call {0} is not with somebody who is in another call")]
    NotBusy(CallNumber),
    /// The queue of the peer is full, or it has none.
    #[error("nobody can wait for the peer of call {0}: its queue is full")]
    NoRoom(CallNumber),
}
