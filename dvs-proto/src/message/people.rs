// SPDX-License-Identifier: GPL-3.0-or-later
//! The people: who they are and what is known of their keys.

use serde::{Deserialize, Serialize};

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
    /// Whether its calls are answered at once, after a tone.
    pub auto_answer: bool,
    /// Whether it can be reached.
    pub presence: Presence,
}

/// Whether a contact can be reached. It is looked for now and then while a client is attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Presence {
    /// It was not looked for.
    #[default]
    Unknown,
    /// It answered.
    Online {
        /// The round-trip time, in microseconds.
        rtt_us: u32,
    },
    /// It did not answer, or was not found.
    Offline,
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

/// A comparison of keys by voice: both users see the same words and digits if nobody sits between them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// The call in which they are read out.
    pub call: u32,
    /// How far it is.
    pub state: VerifyState,
    /// Three words; none before [`VerifyState::Compare`].
    pub words: Vec<String>,
    /// The same as ten digits; empty before [`VerifyState::Compare`].
    pub digits: String,
}

/// How far a comparison of keys is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VerifyState {
    /// The daemons agree on what is to be compared.
    Exchanging,
    /// The users read the words or digits to each other.
    Compare,
    /// We said that they match: the peer is verified.
    Matched,
    /// We said that they differ: somebody may be listening in.
    Differs,
    /// The daemons could not agree; nothing was found out.
    Failed,
}
