// SPDX-License-Identifier: GPL-3.0-or-later
//! Warm neighbours: the closest nodes that can call us when somebody wants to reach us, because the way from them
//! through our NAT is kept open.
//!
//! Timers: something is sent to each of them at least every [`KEEPALIVE`]; a PING only if nothing else was.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

use super::Routing;
use super::entry::Contact;
use super::requests::{Purpose, Request};
use crate::id::NodeId;
use crate::random::Random;
use crate::time::Instant;
use crate::wire::routing::caps;

/// The longest time without a word to a warm neighbour: WireGuard's value, below every common NAT time-out. The PING
/// comes up to a fifth earlier.
const KEEPALIVE: Duration = Duration::from_secs(25);
/// How many neighbours are kept warm.
const NEIGHBOURS: usize = 4;
/// How many transaction IDs shared with a neighbour are remembered: those of the last lookup or two.
const MAX_TXIDS: usize = 8;
/// How long a neighbour that fell silent is passed over, unless it is heard again.
const SHUNNED: Duration = Duration::from_secs(5 * 60);
/// How many of them are remembered.
const MAX_SHUNNED: usize = 16;

/// A neighbour kept warm.
#[derive(Clone, Debug)]
struct Neighbour {
    id: NodeId,
    address: SocketAddr,
    /// When it needs a PING if nothing else is sent.
    due: Instant,
    /// Whether the last PING was not answered.
    is_silent: bool,
    /// What only the two of us know: see [`Warm::shares`].
    txids: VecDeque<u64>,
}

/// The warm neighbours, and those that were.
#[derive(Default)]
pub(super) struct Warm {
    neighbours: Vec<Neighbour>,
    shunned: Vec<(NodeId, Instant)>,
}

impl Warm {
    /// When the next PING is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.neighbours.iter().map(|neighbour| neighbour.due).min()
    }

    /// A datagram goes to `to` that shows it that we are here, so a PING can wait: a request, whose `txid` it is, or an
    /// answer to a proven one. What forged requests make us send shows nothing, and must not take the place of a PING.
    pub(super) fn sent(&mut self, to: SocketAddr, txid: Option<u64>, now: Instant, random: &mut Random) {
        if let Some(neighbour) = self.neighbours.iter_mut().find(|neighbour| neighbour.address == to) {
            neighbour.due = now + pause(random);
            neighbour.share(txid);
        }
    }

    /// A request with a valid token came from `from`.
    pub(super) fn asked(&mut self, from: SocketAddr, txid: u64) {
        if let Some(neighbour) = self.neighbours.iter_mut().find(|neighbour| neighbour.address == from) {
            neighbour.share(Some(txid));
        }
    }

    /// `id` answered from `from`.
    pub(super) fn heard(&mut self, id: &NodeId, from: SocketAddr) {
        self.shunned.retain(|(shunned, _)| shunned != id);
        if let Some(neighbour) = self.neighbours.iter_mut().find(|neighbour| neighbour.address == from) {
            neighbour.is_silent = false;
        }
    }

    /// Whether `txid` was used lately between us and the warm neighbour at `from`. Nobody else can know it, short of
    /// listening on the way.
    pub(super) fn shares(&self, from: SocketAddr, txid: u64) -> bool {
        self.neighbours.iter().any(|neighbour| neighbour.address == from && neighbour.txids.contains(&txid))
    }

    /// A PING to `id` at `address` was not answered. True if it was the second in a row.
    fn missed(&mut self, id: &NodeId, address: SocketAddr) -> bool {
        let mut mine = self.neighbours.iter_mut().filter(|known| known.id == *id && known.address == address);
        mine.next().is_some_and(|neighbour| core::mem::replace(&mut neighbour.is_silent, true))
    }

    fn shun(&mut self, id: NodeId, now: Instant) {
        self.neighbours.retain(|neighbour| neighbour.id != id);
        self.shunned.retain(|(_, until)| now < *until);
        if self.shunned.len() >= MAX_SHUNNED {
            self.shunned.remove(0);
        }
        self.shunned.push((id, now + SHUNNED));
    }

    /// Keeps the first of `candidates`, closest first, from now on.
    fn choose(&mut self, candidates: &[Contact], now: Instant) {
        let shunned = &self.shunned;
        let is_fit = |contact: &&Contact| {
            contact.caps & caps::PUNCH != 0 && !shunned.iter().any(|(id, until)| *id == contact.id && now < *until)
        };
        let chosen = candidates.iter().filter(is_fit).take(NEIGHBOURS);
        let neighbours = chosen.map(|contact| {
            let same = |known: &&Neighbour| known.id == contact.id && known.address == contact.address;
            self.neighbours.iter().find(same).cloned().unwrap_or_else(|| Neighbour::new(contact, now))
        });
        self.neighbours = neighbours.collect();
    }

    /// Whether `id` would be among the chosen, as far as distance tells.
    fn wants(&self, own: &NodeId, id: &NodeId) -> bool {
        let farthest = self.neighbours.last().filter(|_| self.neighbours.len() >= NEIGHBOURS);
        farthest.is_none_or(|farthest| id.distance(own) < farthest.id.distance(own))
    }

    /// All need a PING: the ways through the NAT may be gone.
    fn cool(&mut self, now: Instant) {
        self.neighbours.iter_mut().for_each(|neighbour| neighbour.due = now);
    }

    /// Those that need a PING now.
    fn take_due(&mut self, now: Instant, random: &mut Random) -> Vec<(NodeId, SocketAddr)> {
        let due = self.neighbours.iter_mut().filter(|neighbour| neighbour.due <= now);
        due.map(|neighbour| {
            neighbour.due = now + pause(random);
            (neighbour.id, neighbour.address)
        })
        .collect()
    }

    #[cfg(test)]
    pub(super) fn ids(&self) -> Vec<NodeId> {
        self.neighbours.iter().map(|neighbour| neighbour.id).collect()
    }
}

impl Neighbour {
    const fn new(contact: &Contact, now: Instant) -> Self {
        Self { id: contact.id, address: contact.address, due: now, is_silent: false, txids: VecDeque::new() }
    }

    fn share(&mut self, txid: Option<u64>) {
        if self.txids.len() >= MAX_TXIDS && txid.is_some() {
            self.txids.pop_front();
        }
        self.txids.extend(txid);
    }
}

/// Four fifths of [`KEEPALIVE`] to all of it.
fn pause(random: &mut Random) -> Duration {
    let fifth = KEEPALIVE / 5;
    KEEPALIVE - Duration::from_micros(random.below(u64::try_from(fifth.as_micros()).unwrap_or(0)))
}

impl Routing {
    /// Keeps the closest neighbours warm. A read-only node keeps none: nobody calls it.
    pub(super) fn choose_warm(&mut self, now: Instant) {
        if self.config.read_only {
            return;
        }
        let candidates = self.table.closest(&self.config.node_id, NEIGHBOURS + MAX_SHUNNED, &|_| true);
        self.warm.choose(&candidates, now);
    }

    /// `id` is new in the table.
    pub(super) fn consider_warm(&mut self, id: &NodeId, now: Instant, random: &mut Random) {
        if self.warm.wants(&self.config.node_id, id) {
            self.choose_warm(now);
            self.keep_warm(now, random);
        }
    }

    /// Sends the PINGs that are due.
    pub(super) fn keep_warm(&mut self, now: Instant, random: &mut Random) {
        for (id, address) in self.warm.take_due(now, random) {
            self.ask(address, Some(id), None, Purpose::Keepalive, now, random);
        }
    }

    /// Opens the ways through a new NAT.
    pub(super) fn rewarm(&mut self, now: Instant, random: &mut Random) {
        self.warm.cool(now);
        self.keep_warm(now, random);
    }

    /// A PING to a warm neighbour was not answered: another follows at once, and after that the next neighbour takes
    /// the place, unless it seems that nobody hears us.
    pub(super) fn handle_cold(&mut self, id: NodeId, request: &Request, now: Instant, random: &mut Random) {
        self.doubt(id, request.to, now);
        if !self.warm.missed(&id, request.to) {
            self.ask(request.to, Some(id), None, Purpose::Keepalive, now, random);
        } else if self.upkeep.heard_since(request.sent) {
            self.warm.shun(id, now);
            self.choose_warm(now);
            self.keep_warm(now, random);
        }
    }
}
