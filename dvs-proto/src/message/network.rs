// SPDX-License-Identifier: GPL-3.0-or-later
//! The overlay: its state, the nodes known in it, and searches in it.

use serde::{Deserialize, Serialize};

use super::EndReason;

/// The state of the overlay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Address the socket is bound to.
    pub listen: String,
    /// Our address as other nodes see it, the IPv4 one if there are two.
    pub observed: Option<String>,
    /// Nodes in the routing table.
    pub nodes: u32,
    /// Of these, how many answered within the last 15 minutes.
    pub good: u32,
    /// Whether at least one node answered lately.
    pub online: bool,
    /// Non-empty buckets: (index, entries).
    pub buckets: Vec<(u8, u8)>,
    /// Lookups finished since the start.
    pub lookups: u32,
    /// Of these, how many found what they looked for.
    pub lookups_found: u32,
    /// Median time of the latest successful lookups, in milliseconds.
    pub lookup_ms: Option<u32>,
    /// Datagrams dropped since the start, by reason.
    pub drops: Vec<(String, u64)>,
    /// What this node does for others.
    pub role: Role,
    /// Our IPv4 address as other nodes see it.
    pub observed_v4: Option<String>,
    /// Our IPv6 address as other nodes see it.
    pub observed_v6: Option<String>,
    /// The NAT in front of our IPv4 address.
    pub nat_v4: Nat,
    /// The NAT in front of our IPv6 address.
    pub nat_v6: Nat,
    /// An estimate of the number of nodes in the overlay.
    pub size: u64,
    /// Nodes that wait for room in the table.
    pub waiting: u32,
    /// Lookups under way, those for the table included.
    pub searching: u32,
    /// Times of the latest successful lookups, in milliseconds, the latest last.
    pub recent_ms: Vec<u32>,
    /// Requests sent to other nodes since the start.
    pub requests: u64,
    /// Peers reached since the start because both sides opened their NATs at the same time.
    pub punched: u64,
    /// The nodes closest to us, closest first, at most 40.
    pub peers: Vec<Peer>,
    /// How many bootstrap nodes are configured.
    pub bootstrap: u32,
    /// Handshakes of others that were answered since the start. Each costs public-key operations; the rate is bounded.
    pub handshakes_answered: u64,
}

/// What a node does for others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// It answers them, as all do.
    #[default]
    Peer,
    /// It is there for others to join through.
    Seed,
    /// Nothing: it asks and does not answer.
    ReadOnly,
}

/// What the NAT in front of an address does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Nat {
    /// Too few nodes have told where they see us.
    #[default]
    Unknown,
    /// There is none: others see an address of our own.
    Open,
    /// One outer port for all destinations.
    Cone,
    /// Another outer port for each destination.
    Symmetric,
}

/// A node of the routing table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// `dvs1…`
    pub id: String,
    /// Where it answered last.
    pub address: String,
    /// Leading bits its ID shares with ours.
    pub bucket: u8,
    /// The last round-trip time, in microseconds.
    pub rtt_us: Option<u32>,
    /// Seconds since its last answer.
    pub age: u32,
    /// Whether it has proven that its ID is its own.
    pub proven: bool,
    /// Whether it answered within 15 minutes and has not failed since.
    pub good: bool,
}

/// What came of a search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// Who was looked for, `dvs1…`.
    pub peer: String,
    /// The contact's name.
    pub name: Option<String>,
    /// Where it answered, quickest first; none when it was not found.
    pub found: Vec<Sighting>,
    /// How long the search took, in microseconds.
    pub took_us: u32,
    /// Why it was not found.
    pub missing: Option<EndReason>,
}

/// An address at which a peer answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The address.
    pub address: String,
    /// The round-trip time, in microseconds.
    pub rtt_us: u32,
}
