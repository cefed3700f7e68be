// SPDX-License-Identifier: GPL-3.0-or-later
//! What a client and the daemon say to each other, once the hello is done.
//!
//! bincode numbers enum variants by position and knows no field names: the order here **is** the format. A new request,
//! with what only its own answer needs, comes at the end and with a new minor version; whatever else changes, be it a
//! field more, needs a new major one, since nobody can read past what it does not know. The golden encodings in the
//! tests must keep passing.

use serde::{Deserialize, Serialize};

mod network;

pub use network::{Lookup, Nat, Network, Peer, Role, Sighting};

/// What a client sends: a request with a number that the answer repeats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToServer {
    /// Chosen by the client, unique among its outstanding requests.
    pub id: u32,
    /// What it wants.
    pub request: Request,
}

/// What the daemon sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToClient {
    /// The answer to one request.
    Reply {
        /// The request's number.
        id: u32,
        /// What came of it.
        outcome: Result<Reply, Failure>,
    },
    /// Something happened; sent to every client that wants events.
    Event(Event),
}

/// What a client may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// First request of every client: who it is. Answered with [`Reply::Snapshot`]; events follow.
    Attach {
        /// Shown to other clients, for example `pts/3`.
        name: String,
    },
    /// The whole state again.
    Snapshot,
    /// Is `text` an ID, an invite or a contact's name, and whose? Answered with [`Reply::Target`].
    Resolve {
        /// As typed.
        text: String,
    },
    /// Call somebody. Answered with [`Reply::Call`] as soon as the call exists.
    Dial {
        /// An ID, an invite, or a contact's name.
        target: String,
    },
    /// Answer the call that rings.
    Answer {
        /// Which; `None` when only one rings.
        call: Option<u32>,
    },
    /// Refuse the call that rings.
    Decline {
        /// Which; `None` when only one rings.
        call: Option<u32>,
    },
    /// End a call, in any state.
    Hangup {
        /// Which; `None` when there is only one.
        call: Option<u32>,
    },
    /// Switch the microphone off or on; silence is sent meanwhile.
    Mute {
        /// `None` toggles.
        on: Option<bool>,
    },
    /// Switch the loudspeaker off or on.
    Deafen {
        /// `None` toggles.
        on: Option<bool>,
    },
    /// Put a call on hold, or resume it.
    Hold {
        /// Which; `None` when there is only one.
        call: Option<u32>,
        /// `None` toggles.
        on: Option<bool>,
    },
    /// Store a contact.
    ContactAdd {
        /// Unique among contacts.
        name: String,
        /// ID or invite.
        target: String,
    },
    /// Give a contact another name.
    ContactRename {
        /// Its name or ID.
        contact: String,
        /// Unique among contacts.
        name: String,
    },
    /// Forget a contact, its pinned key included.
    ContactRemove {
        /// Its name or ID.
        contact: String,
    },
    /// Block a contact or unknown peer, or unblock it.
    ContactBlock {
        /// Its name, ID or invite.
        contact: String,
        /// Block or unblock.
        on: bool,
    },
    /// The latest calls, newest first. Answered with [`Reply::History`].
    History {
        /// At most this many; the daemon may cut it further.
        limit: u32,
    },
    /// Receive [`Event::Levels`] ten times per second while a call runs, or stop.
    Levels {
        /// Receive them or not.
        on: bool,
    },
    /// The figures of a call. Answered with [`Reply::Stats`].
    Stats {
        /// Which; `None` for the current or else the last one.
        call: Option<u32>,
    },
    /// More contacts than the snapshot had room for. Answered with [`Reply::Contacts`].
    Contacts {
        /// How many, in the snapshot's order, are known already.
        skip: u32,
    },
    /// The overlay's state. Answered with [`Reply::Network`].
    Network,
    /// Look for somebody in the overlay without calling. Answered with [`Reply::Target`] at once, and with
    /// [`Event::Lookup`] when the search is over.
    Lookup {
        /// An ID, an invite, or a contact's name.
        target: String,
    },
    /// The own invite. Answered with [`Reply::Invite`].
    Invite {
        /// Name addresses that are of use in the own network only, too.
        local: bool,
    },
}

/// The good answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Done.
    Done,
    /// Everything a client needs to draw its first screen.
    Snapshot(Box<Snapshot>),
    /// What a text stands for.
    Target(Target),
    /// The call made or acted upon.
    Call(CallInfo),
    /// Mute or deafen: what holds now.
    Switched {
        /// The new setting.
        on: bool,
    },
    /// The contact stored or changed.
    Contact(Contact),
    /// The latest calls.
    History(Vec<PastCall>),
    /// The figures of a call.
    Stats(Box<CallStats>),
    /// Contacts in the snapshot's order; none when there are no more.
    Contacts(Vec<Contact>),
    /// The overlay's state.
    Network(Box<Network>),
    /// A `dvs:` URI.
    Invite(String),
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The kind, which decides a verb's exit code.
    pub kind: FailureKind,
    /// One line that says what is wrong and what to do.
    pub message: String,
}

impl Failure {
    /// A failure of `kind` that says `message`.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// The request makes no sense as written: malformed ID, empty name, own ID.
    BadInput,
    /// No such contact, call or peer.
    NotFound,
    /// Busy, declined, or nobody answered.
    NotAnswered,
    /// The client may look, but not act.
    Permission,
    /// A sound device.
    Device,
    /// Not possible in the present state.
    State,
    /// Too many requests, contacts, clients.
    Limit,
    /// The daemon's own fault.
    Internal,
}

/// The whole state at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Version of the daemon.
    pub version: String,
    /// Who we are.
    pub identity: Identity,
    /// The overlay.
    pub network: Network,
    /// The sound set-up.
    pub audio: Audio,
    /// The first contacts, by name; the client library fetches the others.
    pub contacts: Vec<Contact>,
    /// All calls that have not ended.
    pub calls: Vec<CallInfo>,
    /// The latest calls, newest first.
    pub history: Vec<PastCall>,
    /// All attached clients.
    pub clients: Vec<ClientInfo>,
    /// Number of this client, as given in the server's hello.
    pub you: u32,
    /// How many contacts there are.
    pub contacts_total: u32,
}

/// This daemon's identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `dvs1…`
    pub id: String,
    /// 40 hexadecimal digits.
    pub hex: String,
    /// SHA-256 of the public key, grouped for reading.
    pub fingerprint: String,
    /// `dvs:` URI with fingerprint, public addresses, and public nodes to join the overlay through.
    pub invite: String,
    /// For example `EC P-256`.
    pub algorithm: String,
}

/// The sound set-up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audio {
    /// `alsa`, `wav`, `tone`, `loop` or `none`.
    pub backend: String,
    /// Name of the capture device.
    pub capture: String,
    /// Name of the playback device.
    pub playback: String,
    /// Whether the microphone is switched off.
    pub muted: bool,
    /// Whether the loudspeaker is switched off.
    pub deafened: bool,
    /// What is wrong with a device right now.
    pub trouble: Option<String>,
}

/// What is known of a peer's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trust {
    /// Never spoken with.
    Unknown,
    /// The key of the first contact is pinned.
    Seen,
    /// Compared by voice or by fingerprint.
    Verified,
    /// Refused.
    Blocked,
    /// Another key than the pinned one showed up.
    Changed,
}

/// A person in the address book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// `dvs1…`
    pub id: String,
    /// Given by the user; empty for a blocked peer without a name.
    pub name: String,
    /// What is known of the key.
    pub trust: Trust,
    /// Pinned fingerprint, grouped for reading.
    pub fingerprint: Option<String>,
    /// Seconds since 1970 of the last authenticated contact.
    pub last_seen: Option<u64>,
    /// Where its latest invite says that it may be, `host:port` each.
    pub at: Vec<String>,
    /// Nodes through which its overlay can be joined, `ID@host:port` each.
    pub via: Vec<String>,
    /// Where it was when it was talked to last.
    pub last_address: Option<String>,
}

/// Whose an entered text is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// `dvs1…`
    pub id: String,
    /// 40 hexadecimal digits.
    pub hex: String,
    /// The contact's name, if it is one.
    pub name: Option<String>,
    /// Whether it is this daemon itself.
    pub own: bool,
}

/// Who dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// We did.
    Outgoing,
    /// The peer did.
    Incoming,
}

/// The states of a call as its user sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallState {
    /// Looking for the peer in the overlay.
    Lookup,
    /// Handshake.
    Connecting,
    /// Asked; the peer has not replied yet.
    Calling,
    /// The peer rings.
    Ringing,
    /// We ring: answer or decline.
    Alerting,
    /// The peer is in another call.
    Busy,
    /// In the peer's queue.
    Waiting,
    /// Talking.
    Active,
    /// On hold.
    Held,
    /// Nothing heard for a while; looking for the peer again.
    Reconnecting,
    /// Hanging up.
    Ending,
    /// Over.
    Ended,
}

/// Why a call is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndReason {
    /// We hung up.
    HungUp,
    /// The peer hung up.
    PeerHungUp,
    /// The peer declined.
    Declined,
    /// The peer is in another call.
    Busy,
    /// Nobody answered.
    NoAnswer,
    /// The ID was not found in the overlay.
    NotFound,
    /// Found, but no connection came about.
    Unreachable,
    /// Nothing heard any more.
    PeerLost,
    /// The peer shows another key than the pinned one.
    KeyChanged,
    /// The peer broke the protocol.
    Protocol,
    /// The peer's daemon, or ours, shut down.
    GoingAway,
    /// Media could not be carried.
    Media,
    /// We are not in the overlay: no other node answers.
    Offline,
    /// We declined.
    DeclinedHere,
    /// The peer gave up before anybody answered here.
    Missed,
    /// The peer called while we were talking to somebody else.
    MissedBusy,
    /// The caller was refused by the policy for unknown callers.
    Refused,
    /// Connected, but the peer's daemon did not react to the call.
    NoReply,
    /// The peer speaks another version of the protocol.
    Version,
    /// The peer's daemon was restarted during the call.
    PeerRestarted,
    /// The peer is blocked.
    Blocked,
    /// Answered on another device of the same person.
    AnsweredElsewhere,
    /// Both sides are behind NAT that cannot be passed: only a relay would help.
    NeedsRelay,
}

/// A call that has not ended, or just did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallInfo {
    /// Number of the call in this run of the daemon.
    pub call: u32,
    /// `dvs1…`
    pub peer: String,
    /// The contact's name.
    pub name: Option<String>,
    /// What is known of the peer's key.
    pub trust: Trust,
    /// Who dialled.
    pub direction: Direction,
    /// Where it stands.
    pub state: CallState,
    /// Seconds since 1970 when it was dialled or came in.
    pub started: u64,
    /// Seconds since 1970 when it was answered.
    pub answered: Option<u64>,
    /// Which local client answered, for example `anna on pts/3`.
    pub answered_by: Option<String>,
    /// How it reaches the peer, for example `direct 198.18.0.1:5004`.
    pub route: Option<String>,
    /// Why it ended.
    pub ended: Option<EndReason>,
    /// Microseconds from dialling until the peer was found.
    pub lookup_us: Option<u32>,
    /// Microseconds from dialling until the peer rang, or answered without ringing.
    pub ring_us: Option<u32>,
}

/// A call of the past.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastCall {
    /// `dvs1…`
    pub peer: String,
    /// The contact's name at present.
    pub name: Option<String>,
    /// Who dialled.
    pub direction: Direction,
    /// Seconds since 1970 when it was dialled or came in.
    pub started: u64,
    /// Seconds it was talked; `None` when never answered.
    pub talked: Option<u32>,
    /// Why it ended.
    pub ended: EndReason,
}

/// The figures of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallStats {
    /// Number of the call.
    pub call: u32,
    /// Smoothed round-trip time, in microseconds.
    pub rtt_us: Option<u32>,
    /// Interarrival jitter of received media, in microseconds.
    pub jitter_us: u32,
    /// Audio held in the playout buffer, in microseconds.
    pub buffer_us: u32,
    /// Media packets sent.
    pub sent: u64,
    /// Size of the last media datagram sent, in bytes of UDP payload.
    pub packet_bytes: u16,
    /// Smallest media datagram sent, in bytes.
    pub packet_bytes_min: u16,
    /// Largest media datagram sent, in bytes.
    pub packet_bytes_max: u16,
    /// Media packets received.
    pub received: u64,
    /// Media packets that never came, or came too late.
    pub lost: u64,
    /// Of these, how many came too late.
    pub late: u64,
    /// Lost frames recovered from the next packet's redundancy.
    pub recovered: u64,
    /// Lost frames concealed.
    pub concealed: u64,
    /// Share of media lost since the start, in thousandths.
    pub loss_permille: u16,
    /// Samples (48 kHz) inserted by stretching speech.
    pub stretched: u64,
    /// Samples (48 kHz) removed by shortening speech.
    pub shortened: u64,
    /// Sent media rate, in bit/s.
    pub tx_bitrate: u32,
    /// Received media rate, in bit/s.
    pub rx_bitrate: u32,
    /// Device over- and underruns.
    pub xruns: u64,
    /// Estimated mouth-to-ear delay, in microseconds.
    pub mouth_to_ear_us: Option<u32>,
    /// `CLOCK_MONOTONIC` of the first captured sample, in microseconds.
    pub capture_epoch_us: Option<u64>,
    /// `CLOCK_MONOTONIC` at which the first played sample reached the device's output, in microseconds.
    pub playback_epoch_us: Option<u64>,
}

/// Sound levels in a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Levels {
    /// Microphone, in tenths of a decibel below full scale (0 to -900).
    pub capture: i16,
    /// Peer, in tenths of a decibel below full scale.
    pub playback: i16,
}

/// An attached client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientInfo {
    /// Its number.
    pub client: u32,
    /// The user it runs as.
    pub uid: u32,
    /// Its own name, for example `pts/3`.
    pub name: String,
}

/// What clients are told unasked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A call appeared or changed; in its last event the state is [`CallState::Ended`].
    Call(CallInfo),
    /// The overlay's state changed.
    Network(Box<Network>),
    /// The sound set-up changed: mute, trouble with a device.
    Audio(Audio),
    /// A contact appeared or changed.
    Contact(Contact),
    /// A contact is gone.
    ContactRemoved {
        /// `dvs1…`
        id: String,
    },
    /// A call went into the history.
    History(PastCall),
    /// A client attached.
    ClientAttached(ClientInfo),
    /// A client left.
    ClientGone(ClientInfo),
    /// A client acted, for example "answered".
    Acted {
        /// Who.
        client: ClientInfo,
        /// What, in one word.
        action: String,
        /// On which call.
        call: Option<u32>,
    },
    /// Something worth a line in the activity pane.
    Activity {
        /// Seconds since 1970.
        at: u64,
        /// The line.
        text: String,
    },
    /// Sound levels; only the latest is kept for a slow client.
    Levels(Levels),
    /// The figures of the current call, once per second; only the latest is kept for a slow client.
    Stats(Box<CallStats>),
    /// A search that somebody asked for by [`Request::Lookup`] is over.
    Lookup(Lookup),
}
