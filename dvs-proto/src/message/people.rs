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
