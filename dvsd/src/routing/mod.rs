// SPDX-License-Identifier: GPL-3.0-or-later
//! The overlay: how a peer's addresses are found from its ID, with the help of everybody else.
//!
//! [`Routing`] is one node of the overlay as a pure state machine. It answers the requests of others from its table
//! (`answering`), asks requests of its own (`asking`), finds peers by iterative lookups whose results are probed before
//! they are reported (`finding`), and keeps itself connected and its table alive (`upkeep`).
//!
//! What must hold: nobody enters the table without having answered a request of ours from the address stored; a
//! request from an unproven address never causes more than three times its bytes; nothing grows without bound.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use thiserror::Error;

use self::contacts::Contacts;
use self::forward::{Forwards, Openings};
use self::lan::Lan;
use self::limits::Limits;
use self::lookup::Lookup;
use self::nat::Nat;
use self::proof::Proofs;
use self::public::Public;
use self::punch::Punch;
use self::requests::Requests;
use self::search::Search;
use self::silent::Silent;
use self::strikes::Strikes;
use self::table::{Sighting, Table, Verified};
use self::tokens::{Issuer, Received};
use self::upkeep::Upkeep;
use self::warm::Warm;
use crate::crypto::identity::Identity;
use crate::id::NodeId;
use crate::path::{Path, Scope, Transmit, unmapped};
use crate::random::Random;
use crate::time::{Deadline, Instant, Now};
use crate::wire::routing::{Message, Packet, caps};
use crate::wire::{DEFAULT_PORT, Malformed};

mod answering;
mod asking;
mod contacts;
mod entry;
mod finding;
mod forward;
mod lan;
mod limits;
mod lookup;
mod mask;
mod nat;
mod proof;
mod public;
mod punch;
mod requests;
mod search;
mod silent;
mod sorted;
mod spares;
mod strikes;
mod table;
mod tokens;
mod upkeep;
mod warm;

pub use self::lan::{GROUP_V4, GROUP_V6};

#[cfg(test)]
mod attack_tests;
#[cfg(test)]
mod bound_tests;
#[cfg(test)]
mod finding_tests;
#[cfg(test)]
mod lan_tests;
#[cfg(test)]
mod nat_tests;
#[cfg(test)]
mod proof_tests;
#[cfg(test)]
mod punch_tests;
#[cfg(test)]
mod refresh_tests;
#[cfg(test)]
mod siege_tests;
#[cfg(test)]
mod sim;
#[cfg(test)]
pub(crate) mod sim_nat;
#[cfg(test)]
mod tests;

/// Ports below this are no place for a peer, and may be a service that a forged request wants to disturb.
const LOWEST_PORT: u16 = 1024;
/// How many recent search times [`Status`] lists.
const RECENT: usize = 16;
/// How many nodes of the table [`Status`] lists.
const PEERS: usize = 40;

/// The settings of a node.
#[derive(Clone, Debug)]
pub struct RoutingConfig {
    /// Our ID in the overlay.
    pub node_id: NodeId,
    /// Ask, but answer nobody (metered links).
    pub read_only: bool,
    /// The socket is bound to loopback: nothing is sent elsewhere.
    pub loopback_only: bool,
    /// Whether IPv4 addresses can be reached.
    pub ipv4: bool,
    /// Whether IPv6 addresses can be reached.
    pub ipv6: bool,
    /// The lowest port of a peer; those given by the user may be lower.
    pub lowest_port: u16,
    /// The capability bits announced, at most [`CAPS_MASK`](crate::wire::routing::CAPS_MASK).
    pub caps: u8,
    /// Disjoint paths of a lookup when enough nodes are known, at least 1.
    pub disjoint_paths: u8,
    /// The key behind `node_id`. A node without it proves its ID to nobody.
    pub identity: Option<Arc<Identity>>,
    /// Whether others must prove their IDs where it matters.
    pub verify_proofs: bool,
    /// Whether we say hello on the local network, and heed the hellos of others.
    pub lan: bool,
    /// The UDP port we listen on, as announced on the local network.
    pub port: u16,
    /// Whether searches show only the first bits of the ID they are for, and a made-up ID in place of our own.
    pub private_lookups: bool,
}

impl RoutingConfig {
    /// The usual settings for a node called `node_id`.
    pub const fn new(node_id: NodeId) -> Self {
        Self {
            node_id,
            read_only: false,
            loopback_only: false,
            ipv4: true,
            ipv6: true,
            lowest_port: LOWEST_PORT,
            caps: 0,
            disjoint_paths: 3,
            identity: None,
            verify_proofs: true,
            lan: false,
            port: DEFAULT_PORT,
            private_lookups: false,
        }
    }
}

/// What the routing layer has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoutingEvent {
    /// A peer was found: somebody who says so answered. May come again for the same peer, with other addresses.
    Found {
        /// The peer.
        target: NodeId,
        /// Where it answered, with the round-trip time, quickest first; at least one, none reported before.
        addresses: Vec<(SocketAddr, Duration)>,
        /// How long the search took.
        took: Duration,
    },
    /// A peer was not found, or nowhere else than reported. The search is over.
    NotFound {
        /// The peer.
        target: NodeId,
        /// Why, as far as can be told.
        why: Missing,
    },
    /// The first node answered.
    Online,
    /// No node answers any more.
    Offline,
    /// Others see us at this address.
    ObservedChanged(SocketAddr),
}

/// Why a peer was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// No node at all answered during the search.
    Offline,
    /// Nobody who was asked knows the peer.
    Unknown,
    /// The peer is known, but does not answer where it is said to be.
    Unreachable,
    /// The peer was told to open its NAT towards us, and yet nothing came through.
    NeedsRelay,
}

/// What the NAT in front of us does, as far as other nodes can see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NatKind {
    /// Too few nodes have told.
    #[default]
    Unknown,
    /// None: others see an address of our own.
    Open,
    /// One outer port for all destinations.
    Cone,
    /// Another outer port for each destination.
    Symmetric,
}

/// A node of the table, as shown to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Who.
    pub id: NodeId,
    /// Where it answered last.
    pub address: SocketAddr,
    /// Leading bits its ID shares with ours.
    pub bucket: u8,
    /// The last round-trip time, up to two seconds.
    pub rtt: Option<Duration>,
    /// Time since its last answer.
    pub age: Duration,
    /// Whether it has proven that its ID is its own.
    pub proven: bool,
    /// Whether it answered within 15 minutes and has not failed since.
    pub good: bool,
}

/// A summary for people and tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Nodes in the table.
    pub nodes: usize,
    /// Nodes that answered within 15 minutes and have not failed since.
    pub good: usize,
    /// Nodes that wait for room in the table.
    pub waiting: usize,
    /// Buckets that are not empty: bits shared with the own ID, and nodes.
    pub buckets: Vec<(u8, u8)>,
    /// Memory of the table, in bytes, all that is kept of its nodes included, without the nodes that wait.
    pub table_bytes: usize,
    /// Memory of the nodes that wait, in bytes.
    pub waiting_bytes: usize,
    /// Whether the network is there.
    pub online: bool,
    /// Where others see us, if others than those could reach us there.
    pub observed: Option<SocketAddr>,
    /// Where others see us over IPv4.
    pub observed_v4: Option<SocketAddr>,
    /// Where others see us over IPv6.
    pub observed_v6: Option<SocketAddr>,
    /// The NAT in front of our IPv4 address.
    pub nat_v4: NatKind,
    /// The NAT in front of our IPv6 address.
    pub nat_v6: NatKind,
    /// Peers that were reached because both sides opened their NATs at the same time.
    pub punched: u64,
    /// The nodes of the table, closest first, at most 40.
    pub peers: Vec<PeerStatus>,
    /// An estimate of the number of nodes in the network.
    pub network_size: u64,
    /// Lookups under way, those for the table included.
    pub lookups: usize,
    /// Searches that found the peer.
    pub found: u64,
    /// Searches that did not.
    pub not_found: u64,
    /// Requests sent: ROUTE_REQ, PING and PROOF_REQ.
    pub requests: u64,
    /// How long the last successful searches took, the latest last.
    pub recent: Vec<Duration>,
}

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
pub enum Drop {
    /// It does not follow its layout.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It came from an address no peer can have.
    #[error("impossible source")]
    Source,
    /// It claims to be from ourselves.
    #[error("own ID")]
    Own,
    /// It answers no request under way.
    #[error("unsolicited answer")]
    Unsolicited,
    /// It answers for another node than the one asked.
    #[error("answer by another node")]
    WrongNode,
    /// Its source, or all together, ask too much.
    #[error("rate limit")]
    RateLimited,
    /// What it asks for needs a token, and it has no valid one.
    #[error("no valid token")]
    Token,
    /// We answer nobody, or not this.
    #[error("read-only")]
    ReadOnly,
    /// A proof that proves nothing.
    #[error("wrong proof")]
    Proof,
}

impl Drop {
    /// A short name for counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::Source => "source",
            Self::Own => "own",
            Self::Unsolicited => "unsolicited",
            Self::WrongNode => "wrong-node",
            Self::RateLimited => "rate-limited",
            Self::Token => "token",
            Self::ReadOnly => "read-only",
            Self::Proof => "proof",
        }
    }
}

#[derive(Default)]
struct Counters {
    found: u64,
    not_found: u64,
    punched: u64,
    requests: u64,
    recent: VecDeque<Duration>,
}

/// One node of the overlay.
pub struct Routing {
    config: RoutingConfig,
    table: Table,
    requests: Requests,
    issuer: Issuer,
    received: Received,
    silent: Silent,
    limits: Limits,
    proofs: Proofs,
    strikes: Strikes,
    nat: Nat,
    warm: Warm,
    contacts: Contacts,
    punches: BTreeMap<NodeId, Punch>,
    forwards: Forwards,
    openings: Openings,
    lan: Lan,
    public: Public,
    lookups: BTreeMap<u64, Lookup>,
    next_lookup: u64,
    searches: BTreeMap<NodeId, Search>,
    upkeep: Upkeep,
    counters: Counters,
    transmits: VecDeque<Transmit>,
    events: VecDeque<RoutingEvent>,
}

impl Routing {
    /// A node that knows nobody yet.
    pub fn new(mut config: RoutingConfig, now: Now, random: &mut Random) -> Self {
        config.caps |= if config.read_only { 0 } else { caps::PUNCH };
        let mut node = Self {
            table: Table::new(config.node_id, config.verify_proofs),
            requests: Requests::default(),
            issuer: Issuer::new(now.mono, random),
            received: Received::default(),
            silent: Silent::default(),
            limits: Limits::new(now.mono),
            proofs: Proofs::new(now.mono),
            strikes: Strikes::default(),
            nat: Nat::default(),
            warm: Warm::default(),
            contacts: Contacts::default(),
            punches: BTreeMap::new(),
            forwards: Forwards::default(),
            openings: Openings::default(),
            lan: Lan::default(),
            public: Public::default(),
            lookups: BTreeMap::new(),
            next_lookup: 0,
            searches: BTreeMap::new(),
            upkeep: Upkeep::default(),
            counters: Counters::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            config,
        };
        node.start_hellos(now.mono, random);
        node
    }

    /// Joins the network through the nodes at `addresses`, with repeats until one answers. May be called again with
    /// further addresses.
    pub fn bootstrap(&mut self, addresses: &[SocketAddr], now: Now, random: &mut Random) {
        self.join_through(addresses, now.mono, random);
    }

    /// Takes one datagram of the routing layer that came from `from`.
    pub fn handle(&mut self, from: SocketAddr, datagram: &[u8], now: Now, random: &mut Random) -> Result<(), Drop> {
        let (from, now) = (unmapped(from), now.mono);
        if !self.is_usable(from) {
            return Err(Drop::Source);
        }
        let packet = Packet::parse(datagram)?;
        self.issuer.rotate(now, random);
        match packet.message {
            Message::RouteReq { .. } | Message::Ping { .. } => {
                self.handle_request(from, packet, datagram.len(), now, random)
            }
            Message::RouteRes { .. } | Message::Pong { .. } => self.handle_answer(from, packet, now, random),
            Message::ProofReq { .. } => self.answer_proof_req(from, &packet, now),
            Message::Proof { .. } => self.handle_proof(from, &packet, now, random),
            Message::PunchReq { .. } => self.handle_punch_req(from, &packet, now, random),
            Message::PunchFwd { .. } => self.handle_punch_fwd(from, &packet, now, random),
            Message::PunchAck { .. } => self.handle_punch_ack(from, &packet, now, random),
            Message::LanHello { .. } => self.handle_hello(from, &packet, now, random),
        }
    }

    /// Puts a node into the table that is known to be there, as if it had just answered with a proof, within what the
    /// table allows. Nothing is sent. For simulations. Whether it went in.
    pub fn assume(&mut self, id: NodeId, address: SocketAddr, rtt: Duration, now: Now) -> bool {
        let sighting = Sighting { id, address: unmapped(address), caps: 0, rtt, proven: true };
        let is_in = id != self.config.node_id
            && self.is_believable(sighting.address, sighting.address)
            && matches!(self.table.verified(&sighting, now.mono), Verified::Inserted | Verified::Refreshed);
        if is_in {
            self.upkeep.assume_joined(now.mono);
        }
        is_in
    }

    /// Finds `target`: the addresses in `hints` and those other nodes report are probed, and whichever answer are
    /// reported by [`RoutingEvent::Found`]. A search already under way for `target` takes the hints and goes on.
    ///
    /// Who answers a probe may lie. So the search is not over then: unless it is cancelled it goes on by itself a
    /// second later and reports further addresses, each once, until nothing is left to try. Then, or when nothing was
    /// found at all, [`RoutingEvent::NotFound`] ends it, 17 s after its beginning at the latest.
    pub fn find(&mut self, target: NodeId, hints: &[SocketAddr], now: Now, random: &mut Random) {
        self.start_search(target, hints, now.mono, random);
    }

    /// Where `target` has answered us, as far as the table remembers; nobody is asked.
    pub fn known(&self, target: NodeId) -> Vec<SocketAddr> {
        let known = self.table.find(&target).into_iter().flat_map(|known| known.addresses());
        known.filter(|address| self.is_usable(*address)).collect()
    }

    /// Whether a search for `target` is under way or rests: more may be found.
    pub fn is_searching(&self, target: NodeId) -> bool {
        self.searches.contains_key(&target)
    }

    /// Forgets the search for `target`; nothing is reported.
    pub fn cancel(&mut self, target: NodeId) {
        if let Some(lookup) = self.searches.remove(&target).and_then(|search| search.lookup) {
            self.lookups.remove(&lookup);
        }
    }

    /// The nodes worth remembering over a restart: up to 200 that answered within 15 minutes.
    pub fn saved(&self, now: Now) -> Vec<(NodeId, SocketAddr)> {
        const SAVED: usize = 200;
        let good = self.table.good_nodes(now.mono).map(|node| (node.id, node.address));
        good.filter(|(_, address)| Scope::of(*address) != Scope::LinkLocal).take(SAVED).collect()
    }

    /// How things stand.
    pub fn status(&self, now: Now) -> Status {
        let (table_bytes, waiting_bytes) = self.table.bytes();
        let [(observed_v4, nat_v4), (observed_v6, nat_v6)] = [true, false].map(|is_ipv4| self.nat.family(is_ipv4));
        Status {
            nodes: self.table.len(),
            good: self.table.good(now.mono),
            waiting: self.table.waiting(),
            buckets: self.table.buckets(),
            table_bytes,
            waiting_bytes,
            online: self.upkeep.online,
            observed: self.nat.address(),
            observed_v4,
            observed_v6,
            nat_v4,
            nat_v6,
            punched: self.counters.punched,
            peers: self.table.peers(PEERS, now.mono),
            network_size: self.table.network_size(),
            lookups: self.lookups.len(),
            found: self.counters.found,
            not_found: self.counters.not_found,
            requests: self.counters.requests,
            recent: self.counters.recent.iter().copied().collect(),
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Now, random: &mut Random) {
        let now = now.mono;
        for request in self.requests.time_out(now) {
            self.handle_silence(&request, now, random);
        }
        self.time_out_proofs(now, random);
        self.continue_searches(now, random);
        self.continue_openings(now, random);
        self.say_hello(now, random);
        self.maintain(now, random);
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing to tell.
    pub fn poll_event(&mut self) -> Option<RoutingEvent> {
        self.events.pop_front()
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let due = |at: Option<Instant>, reason| at.map(|at| Deadline::new(at, reason));
        Deadline::earliest([
            due(self.requests.next_due(), "routing request"),
            due(self.proofs.next_due(), "routing proof"),
            due(self.searches.values().map(Search::due_at).min(), "routing probe"),
            due(self.lookups.values().map(Lookup::next_due).min(), "routing lookup"),
            due(self.table.next_check(), "routing check"),
            due(self.punches.values().filter_map(Punch::next_due).min(), "routing punch"),
            due(self.openings.next_due(), "routing NAT opening"),
            due(self.warm.next_due(), "routing keep-alive"),
            due(self.lan.next_due(), "routing LAN hello"),
            due(self.upkeep.next_due(), "routing upkeep"),
        ])
    }

    /// Whether `address` can be sent to at all.
    fn is_usable(&self, address: SocketAddr) -> bool {
        let family = if address.is_ipv4() { self.config.ipv4 } else { self.config.ipv6 };
        let scope = Scope::of(address);
        let has_interface = matches!(address, SocketAddr::V6(v6) if v6.scope_id() != 0) || address.is_ipv4();
        let family = family && (scope != Scope::LinkLocal || has_interface);
        family && scope != Scope::Unusable && (!self.config.loopback_only || scope == Scope::Loopback)
    }

    /// Whether `address` may be stored and asked when the node at `teller` says a node is there. A link-local address
    /// only its own node can tell.
    fn is_believable(&self, address: SocketAddr, teller: SocketAddr) -> bool {
        let scope = Scope::of(address);
        self.is_usable(address)
            && address.port() >= self.config.lowest_port
            && (scope != Scope::LinkLocal || address == teller)
            && scope.visible_from(Scope::of(teller))
    }

    fn transmit(&mut self, to: SocketAddr, packet: &Packet) {
        self.transmits.push_back(Transmit { path: Path::Direct(to), datagram: packet.emit() });
    }
}
