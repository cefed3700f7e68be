// SPDX-License-Identifier: GPL-3.0-or-later
//! What a client and the daemon say to each other, once the hello is done.
//!
//! bincode numbers enum variants by position and knows no field names: the order here **is** the format. A new request,
//! with what only its own answer needs, comes at the end and with a new minor version; whatever else changes, be it a
//! field more, needs a new major one, since nobody can read past what it does not know. The golden encodings in the
//! tests must keep passing.

use serde::{Deserialize, Serialize};

mod call;
mod network;
mod people;
mod policy;

pub use call::{CallInfo, CallState, CallStats, Direction, EndReason, Levels, PastCall};
pub use network::{Lookup, Nat, Network, Peer, Role, Sighting};
pub use people::{Contact, Presence, Target, Trust, Verification, VerifyState};
pub use policy::{Policy, UnknownCallers};

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
        /// How often to try while the peer is busy, [`MIN_TRIES`](crate::check::MIN_TRIES) to
        /// [`MAX_TRIES`](crate::check::MAX_TRIES); `None` leaves it to the daemon's configuration.
        tries: Option<u8>,
        /// Whether to take a place in the peer's queue when it is busy.
        wait: bool,
    },
    /// Answer the call that rings, or talk to somebody who waits in our queue. A call talked in is held first.
    Answer {
        /// Which; `None` for the one that rings, or else the first in the queue.
        call: Option<u32>,
    },
    /// Refuse the call that rings, or send somebody out of our queue.
    Decline {
        /// Which; `None` for the one that rings, or else the first in the queue.
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
        /// Which; `None` for the one talked in, or else the only one on hold.
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
    /// Wait in the queue of a peer that is busy, or leave the queue. Answered with [`Reply::Call`].
    Wait {
        /// Which; `None` for the one that is busy or waits.
        call: Option<u32>,
        /// Wait, or leave.
        on: bool,
    },
    /// Talk in another call: one on hold, or one that rings or waits here. The call talked in is held. Answered with
    /// [`Reply::Call`].
    Switch {
        /// Which; `None` when there is only one other.
        call: Option<u32>,
    },
    /// Let nobody ring, or let them again. Answered with [`Reply::Policy`].
    DoNotDisturb {
        /// `None` toggles.
        on: Option<bool>,
    },
    /// What becomes of calls from people who are no contacts. Answered with [`Reply::Policy`].
    UnknownCallers {
        /// From now on.
        policy: UnknownCallers,
    },
    /// Have a contact's calls answered at once, after a tone, or let them ring again. Answered with [`Reply::Contact`].
    ContactAutoAnswer {
        /// Its name or ID.
        contact: String,
        /// At once, or not.
        on: bool,
    },
    /// A contact's fingerprint was compared over another way: if it is the one of the pinned key, or no key is known yet,
    /// the contact is verified. Answered with [`Reply::Contact`].
    ContactVerify {
        /// Its name or ID.
        contact: String,
        /// As the contact reads it out, with or without blanks.
        fingerprint: String,
    },
    /// Begin to compare keys by voice. Answered with [`Reply::Verification`]; [`Event::Verification`] follows.
    VerifyStart {
        /// Which call; `None` for the one talked in.
        call: Option<u32>,
    },
    /// What the users found when they read the words to each other. Answered with [`Reply::Verification`].
    VerifyDone {
        /// Which call; `None` for the one in which words are compared.
        call: Option<u32>,
        /// Whether both have the same.
        matches: bool,
    },
}

impl Request {
    /// A plain call of `target`: so many tries as the daemon is configured to make, without waiting in a queue.
    pub fn dial(target: impl Into<String>) -> Self {
        Self::Dial { target: target.into(), tries: None, wait: false }
    }
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
    /// Who may ring: what holds now.
    Policy(Policy),
    /// The comparison of keys by voice.
    Verification(Verification),
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
    /// Who may ring.
    pub policy: Policy,
    /// The latest comparison of keys by voice in a call that goes on.
    pub verification: Option<Verification>,
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
    /// Who may ring has changed.
    Policy(Policy),
    /// A comparison of keys by voice began or went on.
    Verification(Verification),
    /// Whether a contact can be reached has changed.
    Presence {
        /// `dvs1…`
        id: String,
        /// What is known now.
        presence: Presence,
    },
}
