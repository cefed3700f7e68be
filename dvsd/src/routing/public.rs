// SPDX-License-Identifier: GPL-3.0-or-later
//! Nodes that anybody can reach, so that an invite may name them: they answered a request of ours out of the blue,
//! although they had not sent us anything for longer than a NAT would have waited.
//!
//! Timers: a node must have been silent for [`SILENCE`], and for [`CROSSING`] after its answer.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

use super::Routing;
use super::requests::{Purpose, Request};
use crate::id::NodeId;
use crate::path::{Prefix, Scope};
use crate::time::{Instant, Now};

/// NATs forget a mapping after this (RFC 4787 recommends five minutes, and most wait less).
const SILENCE: Duration = Duration::from_secs(5 * 60);
/// Two packets that were sent at the same time arrive within this.
const CROSSING: Duration = Duration::from_secs(3);
/// How many addresses are remembered that something came from.
const MAX_HEARD: usize = 256;
/// How many nodes are remembered.
const MAX_PUBLIC: usize = 16;
/// How many an invite names.
const NAMED: usize = 3;

#[derive(Clone, Copy, Debug)]
struct Node {
    id: NodeId,
    address: SocketAddr,
    noted: Instant,
    /// The user named it.
    is_seed: bool,
    /// It did not know us yet: it is natural that it PINGs us now.
    is_first: bool,
}

/// The nodes, longest known first, one per prefix; and where anything came from, proven or not, the latest last: it
/// opens a NAT in any case.
#[derive(Default)]
pub(super) struct Public {
    nodes: Vec<Node>,
    heard: VecDeque<(SocketAddr, Instant)>,
}

impl Public {
    fn note(&mut self, node: Node) {
        let is_near = |known: &Node| Prefix::of(known.address) == Prefix::of(node.address);
        if Scope::of(node.address) != Scope::Global || self.nodes.iter().any(is_near) {
            return;
        }
        if self.nodes.len() >= MAX_PUBLIC {
            self.nodes.pop();
        }
        self.nodes.push(node);
    }

    /// A request came from `address`. If its sender was noted just now, that was perhaps too soon: the request may have
    /// left before ours arrived, and opened a NAT.
    pub(super) fn hear_request(&mut self, address: SocketAddr, is_ping: bool, now: Instant) {
        let is_expected = |known: &Node| known.is_seed || (is_ping && known.is_first);
        let has_crossed = |known: &Node| now.since(known.noted) < CROSSING && !is_expected(known);
        self.nodes.retain(|known| known.address != address || !has_crossed(known));
        self.hear(address, now);
    }

    /// Whoever is at `address` sent us something.
    pub(super) fn hear(&mut self, address: SocketAddr, now: Instant) {
        self.heard.retain(|(known, at)| *known != address && now.since(*at) < SILENCE);
        if self.heard.len() >= MAX_HEARD {
            self.heard.pop_front();
        }
        self.heard.push_back((address, now));
    }

    fn has_heard(&self, address: SocketAddr, now: Instant) -> bool {
        self.heard.iter().any(|(known, at)| *known == address && now.since(*at) < SILENCE)
    }

    fn forget(&mut self, address: SocketAddr) {
        self.nodes.retain(|known| known.address != address);
    }

    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.nodes.len()
    }
}

impl Routing {
    /// Nodes good for the `via` of an invite, longest known first: up to three of different prefixes that anybody can
    /// reach and that answered within 15 minutes.
    pub fn verified_public(&self, now: Now) -> Vec<(NodeId, SocketAddr)> {
        let is_there = |node: &&Node| {
            let contact = self.table.find(&node.id).filter(|_| self.table.knows_well(&node.id, now.mono));
            contact.is_some_and(|contact| contact.addresses().any(|known| known == node.address))
        };
        self.public.nodes.iter().filter(is_there).take(NAMED).map(|node| (node.id, node.address)).collect()
    }

    /// `id` has answered `request`. To be called before the table hears of it.
    pub(super) fn note_public(&mut self, id: NodeId, request: &Request, now: Instant) {
        let is_known_by_word = matches!(request.purpose, Purpose::Lookup(_) | Purpose::Check { .. });
        let is_seed = request.purpose == Purpose::Bootstrap && self.upkeep.is_seed(request.to);
        let was_heard = self.public.has_heard(request.to, now)
            || self.contacts.fresh(id, now).next().is_some()
            || self.table.silence(&id, now).is_some_and(|silence| silence < SILENCE);
        if is_seed || (is_known_by_word && !was_heard) {
            let is_first = self.table.silence(&id, now).is_none();
            self.public.note(Node { id, address: request.to, noted: now, is_seed, is_first });
        }
    }

    /// Whoever was at `address` did not answer.
    pub(super) fn doubt_public(&mut self, address: SocketAddr) {
        self.public.forget(address);
    }
}
