// SPDX-License-Identifier: GPL-3.0-or-later
//! Requests of others: what they are told, and how little for how few bytes.

use core::net::SocketAddr;

use super::requests::Purpose;
use super::table::{K, Nomination};
use super::{Drop, Routing};
use crate::id::NodeId;
use crate::path::Scope;
use crate::random::Random;
use crate::time::Instant;
use crate::wire::MAX_DATAGRAM;
use crate::wire::routing::{Entry, MAX_ENTRIES, Message, PING_LEN, Packet, Token, flag, route_res_len};

/// An answer to an unproven address has at most this many times the bytes of the request.
const AMPLIFICATION: usize = 3;

/// Who asks.
struct Asker {
    from: SocketAddr,
    id: NodeId,
    flags: u8,
    txid: u64,
    /// How many bytes may be sent because of the request.
    allowance: usize,
}

impl Asker {
    fn wants(&self, address: SocketAddr) -> bool {
        let wanted = self.flags & (flag::WANT_V4 | flag::WANT_V6);
        match (wanted, address.is_ipv4()) {
            (0, is_ipv4) => is_ipv4 == self.from.is_ipv4(),
            (_, true) => wanted & flag::WANT_V4 != 0,
            (_, false) => wanted & flag::WANT_V6 != 0,
        }
    }
}

impl Routing {
    /// Answers a ROUTE_REQ or PING of `length` bytes, and sees whether the asker is worth knowing.
    pub(super) fn handle_request(
        &mut self,
        from: SocketAddr,
        packet: Packet,
        length: usize,
        now: Instant,
        random: &mut Random,
    ) -> Result<(), Drop> {
        let (id, token, target) = match packet.message {
            Message::RouteReq { origin, target, token, .. } => (origin, token, Some(target)),
            Message::Ping { origin, token } => (origin, token, None),
            _ => return Err(Drop::Unsolicited),
        };
        let is_proven = self.admit(from, id, token, now)?;
        let nomination = match target {
            None if self.answers_search(id, from, now, random) => Nomination::Refused,
            _ if packet.flags & flag::READ_ONLY != 0 => Nomination::Refused,
            _ => self.nominate(id, from, is_proven, now),
        };
        if is_proven {
            self.note_contact(id, from, Some(packet.txid), now);
            self.warm.asked(from, packet.txid);
            self.warm.sent(from, None, now, random);
        }
        self.public.hear_request(from, target.is_none(), now);
        let allowance = if is_proven { MAX_DATAGRAM } else { AMPLIFICATION * length };
        // Whoever waits for room gets its PING later.
        let is_pinged = matches!(nomination, Nomination::Wanted | Nomination::Waiting);
        let allowance = allowance - if is_pinged { PING_LEN } else { 0 };
        let asker = Asker { from, id, flags: packet.flags, txid: packet.txid, allowance };
        match target {
            Some(target) => self.answer_route(&asker, target),
            None => self.answer_ping(&asker),
        }
        if nomination == Nomination::Wanted {
            self.ask(from, Some(id), None, Purpose::Nominate, now, random);
        }
        Ok(())
    }

    /// Whether the request is answered at all; true if its token proves the address.
    pub(super) fn admit(&mut self, from: SocketAddr, id: NodeId, token: Token, now: Instant) -> Result<bool, Drop> {
        if self.config.read_only {
            return Err(Drop::ReadOnly);
        }
        if id == self.config.node_id {
            return Err(Drop::Own);
        }
        if from.port() < self.config.lowest_port {
            return Err(Drop::Source);
        }
        let is_proven = self.issuer.accepts(token, from);
        if self.limits.admit(from, is_proven, now) { Ok(is_proven) } else { Err(Drop::RateLimited) }
    }

    fn nominate(&mut self, id: NodeId, from: SocketAddr, is_proven: bool, now: Instant) -> Nomination {
        let has_room =
            self.requests.has_room_for_strangers() || (is_proven && self.requests.has_room(Purpose::Nominate));
        let is_storable = self.is_believable(from, from)
            && !self.strikes.is_ignored(from, now)
            && has_room
            && !self.requests.is_nominating(from)
            && !self.is_lesser(&id, from);
        if is_storable { self.table.nominate(id, from, now) } else { Nomination::Refused }
    }

    fn answer_ping(&mut self, asker: &Asker) {
        let token = self.issuer.issue(asker.from);
        let message = Message::Pong { responder: self.config.node_id, token, observed: asker.from };
        self.answer(asker, 0, message);
    }

    fn answer_route(&mut self, asker: &Asker, target: NodeId) {
        let mut entries = self.entries_for(asker, &target);
        let complete = entries.len();
        let mut room = asker.allowance.saturating_sub(route_res_len(asker.from));
        let fits = |entry: &Entry| {
            let left = room.checked_sub(Entry::wire_len(entry.address));
            room = left.unwrap_or(0);
            left.is_some()
        };
        entries = entries.into_iter().take_while(fits).collect();
        let is_cut = entries.len() < complete;
        let flags = if is_cut { flag::TRUNCATED | flag::NEED_TOKEN } else { 0 };
        let (responder, token) = (self.config.node_id, self.issuer.issue(asker.from));
        let message = Message::RouteRes { responder, target, token, observed: asker.from, entries };
        self.answer(asker, flags, message);
    }

    /// The closest nodes to `target` that the asker wants and may hear of, closest first.
    fn entries_for(&self, asker: &Asker, target: &NodeId) -> Vec<Entry> {
        let scope = Scope::of(asker.from);
        let keep = |address: SocketAddr| {
            let told = Scope::of(address);
            asker.wants(address) && told.visible_from(scope) && told != Scope::LinkLocal
        };
        let closest = self.table.closest_but(Some(&asker.id), target, K, &keep).into_iter();
        let entries = closest
            .flat_map(|node| node.addresses().map(move |address| Entry { caps: node.caps, id: node.id, address }));
        entries.take(MAX_ENTRIES).collect()
    }

    fn answer(&mut self, asker: &Asker, flags: u8, message: Message) {
        let packet = Packet { flags, caps: self.config.caps, txid: asker.txid, message };
        self.transmit(asker.from, &packet);
    }
}
