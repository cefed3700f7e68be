// SPDX-License-Identifier: GPL-3.0-or-later
//! Nodes that anybody can reach, so that an invite may name them: they answered a request of ours out of the blue,
//! although they had not sent us anything for longer than a NAT would have waited.
//!
//! Timers: a node must have been silent for [`SILENCE`].

use core::net::SocketAddr;
use core::time::Duration;

use super::Routing;
use super::requests::{Purpose, Request};
use crate::id::NodeId;
use crate::path::{Prefix, Scope};
use crate::time::{Instant, Now};

/// NATs forget a mapping after this (RFC 4787 recommends five minutes, and most wait less).
const SILENCE: Duration = Duration::from_secs(5 * 60);
/// How many nodes are remembered.
const MAX_PUBLIC: usize = 16;
/// How many an invite names.
const NAMED: usize = 3;

/// The nodes, longest known first, one per prefix.
#[derive(Default)]
pub(super) struct Public(Vec<(NodeId, SocketAddr)>);

impl Public {
    fn note(&mut self, id: NodeId, address: SocketAddr) {
        let is_near = |(_, known): &(NodeId, SocketAddr)| Prefix::of(*known) == Prefix::of(address);
        if Scope::of(address) != Scope::Global || self.0.iter().any(is_near) {
            return;
        }
        if self.0.len() >= MAX_PUBLIC {
            self.0.pop();
        }
        self.0.push((id, address));
    }

    fn forget(&mut self, address: SocketAddr) {
        self.0.retain(|(_, known)| *known != address);
    }

    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }
}

impl Routing {
    /// Nodes good for the `via` of an invite, longest known first: up to three of different prefixes that anybody can
    /// reach and that answered within 15 minutes.
    pub fn verified_public(&self, now: Now) -> Vec<(NodeId, SocketAddr)> {
        let is_there = |(id, address): &&(NodeId, SocketAddr)| {
            let contact = self.table.find(id).filter(|_| self.table.knows_well(id, now.mono));
            contact.is_some_and(|contact| contact.addresses().any(|known| known == *address))
        };
        self.public.0.iter().filter(is_there).take(NAMED).copied().collect()
    }

    /// `id` has answered `request`. To be called before the table hears of it.
    pub(super) fn note_public(&mut self, id: NodeId, request: &Request, now: Instant) {
        let is_known_by_word = matches!(request.purpose, Purpose::Lookup(_) | Purpose::Check { .. });
        let is_seed = request.purpose == Purpose::Bootstrap && self.upkeep.is_seed(request.to);
        let was_heard = self.contacts.fresh(id, now).next().is_some()
            || self.table.silence(&id, now).is_some_and(|silence| silence < SILENCE);
        if is_seed || (is_known_by_word && !was_heard) {
            self.public.note(id, request.to);
        }
    }

    /// Whoever was at `address` did not answer.
    pub(super) fn doubt_public(&mut self, address: SocketAddr) {
        self.public.forget(address);
    }
}
