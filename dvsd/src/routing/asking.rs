// SPDX-License-Identifier: GPL-3.0-or-later
//! Our own requests: sending them, matching their answers, and hearing their silence.

use core::net::SocketAddr;

use super::entry::Contact;
use super::requests::{Purpose, Request};
use super::search::Source;
use super::table::{Sighting, Verified};
use super::{Drop, Routing, RoutingEvent};
use crate::id::NodeId;
use crate::path::Scope;
use crate::random::Random;
use crate::time::Instant;
use crate::wire::routing::{Entry, Message, PADDED_ROUTE_REQ_LEN, Packet, ROUTE_REQ_LEN, Token, flag};

/// An answer to a request of ours.
pub(super) struct Answer {
    pub(super) from: SocketAddr,
    pub(super) responder: NodeId,
    pub(super) entries: Vec<Entry>,
    txid: u64,
    flags: u8,
    pub(super) caps: u8,
    token: Token,
    observed: SocketAddr,
    target: Option<NodeId>,
}

impl Answer {
    fn of(from: SocketAddr, packet: Packet) -> Option<Self> {
        let Packet { flags, caps, txid, message } = packet;
        let (responder, token, observed, target, entries) = match message {
            Message::RouteRes { responder, target, token, observed, entries } => {
                (responder, token, observed, Some(target), entries)
            }
            Message::Pong { responder, token, observed } => (responder, token, observed, None, Vec::new()),
            _ => return None,
        };
        Some(Self { from, responder, entries, txid, flags, caps, token, observed, target })
    }

    /// Whether a repeat with the token it gives gets more.
    fn is_cut(&self) -> bool {
        let cut = flag::TRUNCATED | flag::NEED_TOKEN;
        self.flags & cut == cut && !self.token.is_none()
    }
}

impl Routing {
    /// Sends a ROUTE_REQ for `target`, or a PING without one, to the node `id` at `to`. False if that cannot be.
    pub(super) fn ask(
        &mut self,
        to: SocketAddr,
        id: Option<NodeId>,
        target: Option<NodeId>,
        purpose: Purpose,
        now: Instant,
        random: &mut Random,
    ) -> bool {
        self.send_request(Request { to, id, target, purpose, sent: now, is_repeat: false, has_token: false }, random)
    }

    fn send_request(&mut self, request: Request, random: &mut Random) -> bool {
        let is_shunned = request.purpose != Purpose::Probe && self.strikes.is_ignored(request.to, request.sent);
        if is_shunned || !self.is_usable(request.to) || !self.requests.has_room(request.purpose) {
            return false;
        }
        let txid = random.next_u64();
        let token = self.received.for_node(request.to, request.sent);
        let alias = self.alias(request.purpose, request.id);
        let packet = Packet {
            flags: self.request_flags(alias),
            caps: self.config.caps,
            txid,
            message: self.message(&request, alias, token),
        };
        let rtt = request.id.and_then(|id| self.table.find(&id)).and_then(|contact| contact.rtt);
        self.requests.start(txid, Request { has_token: !token.is_none(), ..request }, rtt);
        // Under another name we do not stay in touch.
        if alias.is_none() {
            self.warm.sent(request.to, Some(txid), request.sent, random);
        }
        self.counters.requests += 1;
        self.transmit(request.to, &packet);
        true
    }

    /// First contacts are padded, so that the answer may be complete; but not where nobody has answered lately, unless
    /// the user or our own table named the address.
    fn message(&self, request: &Request, alias: Option<NodeId>, token: Token) -> Message {
        let origin = alias.unwrap_or(self.config.node_id);
        let is_named_by_others = request.purpose != Purpose::Bootstrap;
        let is_dubious = is_named_by_others && self.silent.contains(request.to, request.sent);
        let is_padded = token.is_none() && !is_dubious;
        let padding = if is_padded { PADDED_ROUTE_REQ_LEN - ROUTE_REQ_LEN } else { 0 };
        match request.target {
            Some(target) => Message::RouteReq { origin, target, token, padding },
            None => Message::Ping { origin, token },
        }
    }

    /// The flags of a request. Nobody is to store an `alias`.
    pub(super) const fn request_flags(&self, alias: Option<NodeId>) -> u8 {
        let read_only = if self.config.read_only || alias.is_some() { flag::READ_ONLY } else { 0 };
        let v4 = if self.config.ipv4 { flag::WANT_V4 } else { 0 };
        let v6 = if self.config.ipv6 { flag::WANT_V6 } else { 0 };
        read_only | v4 | v6
    }

    /// Takes a ROUTE_RES or PONG if it answers a request under way.
    pub(super) fn handle_answer(
        &mut self,
        from: SocketAddr,
        packet: Packet,
        now: Instant,
        random: &mut Random,
    ) -> Result<(), Drop> {
        let answer = Answer::of(from, packet).ok_or(Drop::Unsolicited)?;
        let request = self.requests.finish(answer.txid, from, answer.target, now).ok_or(Drop::Unsolicited)?;
        if answer.responder == self.config.node_id {
            self.upkeep.forget_seed(from);
            self.handle_silence(&request, now, random);
            return Err(Drop::Own);
        }
        self.received.keep(from, answer.token, now);
        self.silent.forget(from);
        self.note_verified(&answer, &request, now, random);
        if request.id.is_some_and(|id| id != answer.responder) {
            self.handle_stranger(&request, now, random);
            return Err(Drop::WrongNode);
        }
        self.use_answer(&request, &answer, now, random);
        Ok(())
    }

    /// A round trip to `answer.from` succeeded: the only way into the table.
    fn note_verified(&mut self, answer: &Answer, request: &Request, now: Instant, random: &mut Random) {
        let &Answer { from, responder: id, caps, .. } = answer;
        self.note_public(id, request, now);
        self.public.hear(from, now);
        let rtt = now.since(request.sent);
        let sighting = Sighting { id, address: from, caps, rtt, proven: false };
        if self.alias(request.purpose, request.id).is_none() {
            self.note_sighting(&sighting, now, random);
        } else {
            self.note_quietly(&sighting, now);
        }
        self.warm.heard(&id, from);
        self.note_contact(id, from, request.has_token.then_some(answer.txid), now);
        if let Some(address) = self.nat.vote(from, answer.observed, now) {
            self.events.push_back(RoutingEvent::ObservedChanged(address));
        }
        self.note_heard(now, random);
    }

    /// Puts a node that has answered into the table if it may be there, and asks for a proof if it takes one.
    pub(super) fn note_sighting(&mut self, sighting: &Sighting, now: Instant, random: &mut Random) {
        let &Sighting { id, address, caps, rtt, .. } = sighting;
        let is_storable = self.is_believable(address, address) && !self.is_lesser(&id, address);
        if !is_storable || self.strikes.is_ignored(address, now) {
            return;
        }
        match self.table.verified(sighting, now) {
            Verified::Inserted => {
                self.offer(Contact { id, caps, address, other: None, rtt: Some(rtt) }, now);
                self.consider_warm(&id, now, random);
            }
            Verified::Unproven => self.seek_proof(id, address, Some(rtt), now, random),
            Verified::Refreshed | Verified::Waiting | Verified::Refused => {}
        }
    }

    /// As [`Self::note_sighting`], but nothing is sent that would give our name away to whoever was asked under another
    /// one. If a proof is needed, the node waits until upkeep comes to it.
    fn note_quietly(&mut self, sighting: &Sighting, now: Instant) {
        let &Sighting { id, address, caps, rtt, .. } = sighting;
        let is_storable = self.is_believable(address, address) && !self.is_lesser(&id, address);
        let may_enter = is_storable && !self.strikes.is_ignored(address, now);
        if may_enter && self.table.verified(sighting, now) == Verified::Inserted {
            self.offer(Contact { id, caps, address, other: None, rtt: Some(rtt) }, now);
        }
    }

    /// Somebody answered: the network is there.
    pub(super) fn note_heard(&mut self, now: Instant, random: &mut Random) {
        if self.upkeep.heard(now) {
            self.events.push_back(RoutingEvent::Online);
            self.search_neighbours(now, random);
        }
    }

    /// Whether `from` is good on one link only, and we know `id` at an address of the same family that is not.
    pub(super) fn is_lesser(&self, id: &NodeId, from: SocketAddr) -> bool {
        let known = self.table.find(id).into_iter().flat_map(|contact| contact.addresses());
        let mut rivals = known.filter(|known| known.is_ipv4() == from.is_ipv4());
        Scope::of(from) == Scope::LinkLocal && rivals.any(|known| Scope::of(known) != Scope::LinkLocal)
    }

    /// Gives a new node to the lookups that have too few candidates, and to the search for it.
    fn offer(&mut self, contact: Contact, now: Instant) {
        if let Some(search) = self.searches.get_mut(&contact.id) {
            search.report(contact.address, Source::Table, now);
        }
        for lookup in self.lookups.values_mut().filter(|lookup| lookup.is_hungry()) {
            lookup.offer(contact);
        }
    }

    fn use_answer(&mut self, request: &Request, answer: &Answer, now: Instant, random: &mut Random) {
        self.judge(answer.from, &answer.entries, now);
        match request.purpose {
            Purpose::Lookup(number) => {
                let repeats = answer.is_cut() && !request.is_repeat && self.repeat(number, request, now, random);
                if let Some(lookup) = self.lookups.get_mut(&number).filter(|_| !repeats) {
                    lookup.answered(&answer.responder, answer.from);
                }
                self.learn(number, answer, now);
                self.continue_lookup(number, now, random);
            }
            Purpose::Bootstrap => self.learn_neighbours(answer, now, random),
            Purpose::Probe => self.handle_probe_answer(answer.responder, answer.from, now.since(request.sent), now),
            Purpose::Prove => self.seek_proof(answer.responder, answer.from, None, now, random),
            Purpose::Punch => self.openings.opened(answer.from),
            Purpose::Nominate | Purpose::Check { .. } | Purpose::Keepalive => {}
        }
        self.continue_searches(now, random);
    }

    /// Asks again what was cut for want of a token. False if the lookup's budget is spent.
    fn repeat(&mut self, number: u64, request: &Request, now: Instant, random: &mut Random) -> bool {
        let is_within = self.lookups.get_mut(&number).is_some_and(|lookup| lookup.count_repeat());
        is_within && self.send_request(Request { sent: now, is_repeat: true, ..*request }, random)
    }

    /// Somebody else answered at the address: the node asked is not there.
    fn handle_stranger(&mut self, request: &Request, now: Instant, random: &mut Random) {
        match (request.purpose, request.id) {
            (Purpose::Probe, Some(id)) => {
                if let Some(search) = self.searches.get_mut(&id) {
                    search.refused(request.to);
                }
                self.continue_searches(now, random);
            }
            (Purpose::Check { .. }, Some(id)) => self.handle_failed_check(id, now, random),
            // A caller may have us told of it under a name of its own.
            (Purpose::Punch, _) => self.openings.opened(request.to),
            _ => self.handle_silence(request, now, random),
        }
    }

    /// A request timed out.
    pub(super) fn handle_silence(&mut self, request: &Request, now: Instant, random: &mut Random) {
        self.silent.note(request.to, now);
        // Strangers can make us PING whom they like: that nobody is there says nothing of us.
        if request.purpose != Purpose::Nominate && self.upkeep.unheard(now) {
            self.events.push_back(RoutingEvent::Offline);
            self.lan.hurry(now);
        }
        match (request.purpose, request.id) {
            (Purpose::Lookup(number), Some(id)) => {
                if let Some(lookup) = self.lookups.get_mut(&number) {
                    lookup.missed(&id, request.to);
                }
                self.doubt(id, request.to, now);
                self.continue_lookup(number, now, random);
            }
            (Purpose::Check { last: false }, Some(id)) => self.check_again(id, request.to, now, random),
            (Purpose::Check { last: true }, Some(id)) => {
                self.doubt_public(request.to);
                self.handle_failed_check(id, now, random);
            }
            (Purpose::Keepalive, Some(id)) => self.handle_cold(id, request, now, random),
            (Purpose::Probe | Purpose::Prove, Some(id)) => self.doubt(id, request.to, now),
            _ => {}
        }
    }

    /// A known node did not answer at an address that we have of it.
    pub(super) fn doubt(&mut self, id: NodeId, address: SocketAddr, now: Instant) {
        if self.table.find(&id).is_some_and(|contact| contact.addresses().any(|known| known == address)) {
            self.table.doubt(id, now);
        }
    }
}
