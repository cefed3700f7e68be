// SPDX-License-Identifier: GPL-3.0-or-later
//! Lookups under way, watched from outside: who names whom, and what is sent until the target is found.
//!
//! A node of the asker's own table has depth 0, and whoever is first named by a node of depth d has depth d + 1. The
//! depth of the target is the number of rounds.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use dvsd::id::NodeId;
use dvsd::routing::RoutingEvent;
use dvsd::time::Instant;
use dvsd::wire::kind;
use dvsd::wire::routing::{Message, Packet, flag};

use super::network::{Network, Observer};

/// What came of one lookup.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Depth and requests when the target was first named with its true address.
    pub named: Option<(u32, u32)>,
    /// Requests and PINGs for the lookup, until it was found if it was.
    pub datagrams: u32,
    /// How long it took until the true address was reported.
    pub found: Option<Duration>,
    /// Whether a report came first that did not contain the true address.
    pub is_misled: bool,
    /// Who was looked for.
    pub target: u32,
}

struct Run {
    target: NodeId,
    address: SocketAddr,
    started: Instant,
    depths: BTreeMap<NodeId, u32>,
    /// Where the target is said to be.
    claimed: Vec<SocketAddr>,
    /// The transaction IDs of its requests.
    asked: BTreeSet<u64>,
    requests: u32,
    pings: u32,
    number: usize,
}

impl Run {
    /// Whether a request for `target` belongs to it. A private one, which shows only the beginning of an ID, may by
    /// chance belong to another search of the same node as well.
    fn is_asked(&self, target: &NodeId, is_private: bool) -> bool {
        const SHOWN: u32 = 8;
        self.target == *target || (is_private && self.target.distance(target).shared_bits() >= SHOWN)
    }

    fn count(&mut self, txid: u64) {
        self.requests += 1;
        self.asked.insert(txid);
    }
}

/// All lookups.
#[derive(Default)]
pub struct Lookups {
    running: BTreeMap<u32, Vec<Run>>,
    /// By number, in the order they were begun.
    pub outcomes: Vec<Outcome>,
}

impl Lookups {
    /// Has `origin` look for `target`.
    pub fn begin(&mut self, network: &mut Network, origin: u32, target: u32) {
        let (id, address) = (network.population.id(target), network.population.address(target));
        let known = network.ask(origin, id);
        let number = self.outcomes.len();
        let is_known = known.iter().any(|entry| entry.id == id && entry.address == address);
        self.outcomes.push(Outcome { named: is_known.then_some((0, 0)), target, ..Outcome::default() });
        let claimed = known.iter().filter(|entry| entry.id == id).map(|entry| entry.address).collect();
        let depths = known.into_iter().map(|entry| (entry.id, 0)).collect();
        let (asked, started) = (BTreeSet::new(), network.now);
        let run = Run { target: id, address, started, depths, claimed, asked, requests: 0, pings: 0, number };
        self.running.entry(origin).or_default().push(run);
        network.find(origin, id, self);
    }

    /// Forgets the lookups that failed because their target or asker `has_left`.
    pub fn forgive(&mut self, has_left: impl Fn(u32) -> bool) {
        let left: Vec<u32> = self.running.keys().copied().filter(|origin| has_left(*origin)).collect();
        let dropped: BTreeSet<usize> =
            left.iter().filter_map(|origin| self.running.get(origin)).flatten().map(|run| run.number).collect();
        let mut number = 0;
        self.outcomes.retain(|outcome| {
            number += 1;
            outcome.found.is_some() || !(has_left(outcome.target) || dropped.contains(&(number - 1)))
        });
    }

    /// How many are under way.
    pub fn running(&self) -> usize {
        self.running.values().map(Vec::len).sum()
    }

    fn runs(&mut self, origin: u32) -> impl Iterator<Item = &mut Run> {
        self.running.get_mut(&origin).into_iter().flatten()
    }

    fn forget(&mut self, origin: u32, target: &NodeId) {
        if let Some(runs) = self.running.get_mut(&origin) {
            runs.retain(|run| run.target != *target);
            if runs.is_empty() {
                self.running.remove(&origin);
            }
        }
    }
}

impl Observer for Lookups {
    fn sent(&mut self, from: u32, to: SocketAddr, datagram: &[u8]) {
        if !self.running.contains_key(&from) {
            return;
        }
        match datagram.first() {
            Some(&kind::ROUTE_REQ) => {
                let Ok(Packet { message: Message::RouteReq { target, .. }, flags, txid, .. }) = Packet::parse(datagram)
                else {
                    return;
                };
                let is_private = flags & flag::READ_ONLY != 0;
                self.runs(from).filter(|run| run.is_asked(&target, is_private)).for_each(|run| run.count(txid));
            }
            Some(&kind::PING) => {
                self.runs(from).filter(|run| run.claimed.contains(&to)).for_each(|run| run.pings += 1);
            }
            _ => {}
        }
    }

    fn arrives(&mut self, to: u32, datagram: &[u8]) {
        if datagram.first() != Some(&kind::ROUTE_RES) || !self.running.contains_key(&to) {
            return;
        }
        let Ok(Packet { message: Message::RouteRes { responder, entries, .. }, txid, .. }) = Packet::parse(datagram)
        else {
            return;
        };
        let mut named = Vec::new();
        for run in self.runs(to).filter(|run| run.asked.contains(&txid)) {
            let depth = run.depths.get(&responder).copied().unwrap_or(0) + 1;
            for entry in &entries {
                if entry.id != run.target {
                    run.depths.entry(entry.id).or_insert(depth);
                    continue;
                }
                run.claimed.push(entry.address);
                if entry.address == run.address {
                    named.push((run.number, depth, run.requests));
                }
            }
        }
        for (number, depth, requests) in named {
            if let Some(outcome) = self.outcomes.get_mut(number) {
                outcome.named.get_or_insert((depth, requests));
            }
        }
    }

    fn told(&mut self, node: u32, event: &RoutingEvent, now: Instant) -> bool {
        let (target, addresses) = match event {
            RoutingEvent::Found { target, addresses, .. } => (target, Some(addresses)),
            RoutingEvent::NotFound { target, .. } => (target, None),
            _ => return false,
        };
        let Some(run) = self.runs(node).find(|run| run.target == *target) else { return false };
        let (number, datagrams, took) = (run.number, run.requests + run.pings, now.since(run.started));
        let is_true = addresses.is_some_and(|all| all.iter().any(|(address, _)| *address == run.address));
        if let Some(outcome) = self.outcomes.get_mut(number) {
            outcome.datagrams = datagrams;
            outcome.found = is_true.then_some(took);
            outcome.is_misled |= addresses.is_some() && !is_true;
        }
        let is_over = is_true || addresses.is_none();
        if is_over {
            self.forget(node, target);
        }
        is_over
    }
}
