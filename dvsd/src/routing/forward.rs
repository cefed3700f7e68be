// SPDX-License-Identifier: GPL-3.0-or-later
//! Helping others through their NATs: telling a node that we are in touch with of one that wants to reach it, and
//! opening our own NAT when a warm neighbour tells us so.
//!
//! Nobody can use this to send anything to a third party: we tell of an asker only the address that its token proves,
//! and heed only a warm neighbour that names a transaction ID of its last exchange with us, which is a secret between
//! the two.
//!
//! Timers: one caller's prefix may have [`PER_PREFIX`] nodes told in a second, a node is told once in [`SECOND`], and of
//! one caller once in [`PER_CALLER`]; what we heed is limited alike.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::VecDeque;

use super::contacts::Heard;
use super::punch::Burst;
use super::requests::Purpose;
use super::{Drop, Routing};
use crate::id::NodeId;
use crate::path::{Prefix, Scope};
use crate::random::Random;
use crate::time::Instant;
use crate::wire::routing::{Message, Packet, PunchStatus};

/// How many nodes are told because of one prefix in a second.
const PER_PREFIX: usize = 5;
/// A node is told, and a neighbour is heeded, once in this time.
const SECOND: Duration = Duration::from_secs(1);
/// A node is told, and we heed, of one caller once in this time.
const PER_CALLER: Duration = Duration::from_secs(10);
/// How many recent tellings are remembered; beyond it nobody is told.
const MAX_TOLD: usize = 256;
/// How many NAT openings go on at a time.
const MAX_OPENINGS: usize = 8;

struct Told {
    at: Instant,
    caller: SocketAddr,
    target: NodeId,
}

/// Whether a node may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admission {
    Tell,
    /// It was told of this very caller already.
    Known,
    TooMuch,
}

/// Whom we told of whom in the last seconds.
#[derive(Default)]
pub(super) struct Forwards(VecDeque<Told>);

impl Forwards {
    fn admit(&mut self, caller: SocketAddr, target: NodeId, now: Instant) -> Admission {
        self.0.retain(|told| now.since(told.at) < PER_CALLER);
        let recent = || self.0.iter().filter(|told| now.since(told.at) < SECOND);
        let prefix = Prefix::of(caller);
        if self.0.iter().any(|told| told.caller == caller && told.target == target) {
            return Admission::Known;
        }
        let same_prefix = |told: &&Told| Prefix::of(told.caller) == prefix;
        let is_too_much = recent().filter(same_prefix).count() >= PER_PREFIX
            || recent().any(|told| told.target == target)
            || self.0.iter().filter(same_prefix).any(|told| told.target == target)
            || self.0.len() >= MAX_TOLD;
        if is_too_much {
            return Admission::TooMuch;
        }
        self.0.push_back(Told { at: now, caller, target });
        Admission::Tell
    }

    #[cfg(test)]
    pub(super) fn admits(&mut self, caller: SocketAddr, target: NodeId, now: Instant) -> bool {
        self.admit(caller, target, now) == Admission::Tell
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The callers we open our NAT for.
#[derive(Default)]
pub(super) struct Openings {
    bursts: Vec<Burst>,
    /// Which neighbour told of which caller, and when.
    heeded: VecDeque<(Instant, SocketAddr, IpAddr)>,
}

impl Openings {
    /// When a PING is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.bursts.iter().filter_map(Burst::next_due).min()
    }

    /// Whether the neighbour's word for a caller is heeded now; it counts as heeded.
    fn admit(&mut self, neighbour: SocketAddr, caller: IpAddr, now: Instant) -> bool {
        self.heeded.retain(|(at, ..)| now.since(*at) < PER_CALLER);
        let is_new =
            self.heeded.iter().all(|(at, by, of)| *of != caller && (*by != neighbour || now.since(*at) >= SECOND));
        let is_admitted = is_new && self.bursts.len() < MAX_OPENINGS;
        if is_admitted {
            self.heeded.push_back((now, neighbour, caller));
        }
        is_admitted
    }

    /// The caller's PONG came: no further PINGs.
    pub(super) fn opened(&mut self, to: SocketAddr) {
        self.bursts.retain(|burst| burst.to != to);
    }
}

impl Routing {
    /// Takes a PUNCH_REQ: tells its target of the asker, if we are in touch with it.
    pub(super) fn handle_punch_req(
        &mut self,
        from: SocketAddr,
        packet: &Packet,
        now: Instant,
        random: &mut Random,
    ) -> Result<(), Drop> {
        let Message::PunchReq { origin, target, token } = packet.message else { return Err(Drop::Unsolicited) };
        if !self.admit(from, origin, token, now)? {
            return Err(Drop::Token);
        }
        self.note_contact(origin, from, Some(packet.txid), now);
        let (status, address) = match self.in_touch(target, from, now) {
            Some((heard, address)) => {
                match self.forwards.admit(from, target, now) {
                    Admission::TooMuch => return Err(Drop::RateLimited),
                    Admission::Known => {}
                    Admission::Tell => self.tell(&heard, origin, from),
                }
                (PunchStatus::Forwarded, address)
            }
            None => (PunchStatus::NotInTouch, from),
        };
        let message = Message::PunchAck { status, address };
        self.warm.sent(from, None, now, random);
        self.transmit(from, &Packet { flags: 0, caps: self.config.caps, txid: packet.txid, message });
        Ok(())
    }

    /// A packet that proves its sender's address came from `id`.
    pub(super) fn note_contact(&mut self, id: NodeId, from: SocketAddr, txid: Option<u64>, now: Instant) {
        let is_known = self.table.find(&id).is_some_and(|known| known.addresses().any(|address| address == from));
        self.contacts.note(&self.config.node_id, (id, from), txid, is_known, now);
    }

    /// Where `target` was heard within the last minute, and where `asker` may reach it.
    fn in_touch(&self, target: NodeId, asker: SocketAddr, now: Instant) -> Option<(Heard, SocketAddr)> {
        let known: Vec<SocketAddr> =
            self.table.find(&target).iter().flat_map(super::entry::Contact::addresses).collect();
        let fresh = self.contacts.fresh(target, now).filter(|heard| heard.txid.is_some());
        let mut heard: Vec<Heard> = fresh.copied().collect();
        heard.sort_by_key(|heard| !known.contains(&heard.address));
        let first = *heard.first()?;
        let addresses = heard.iter().map(|heard| heard.address).chain(known);
        let mut suitable = addresses.filter(|address| is_mutual(*address, asker));
        suitable.next().filter(|address| *address != asker).map(|address| (first, address))
    }

    fn tell(&mut self, heard: &Heard, caller: NodeId, address: SocketAddr) {
        let message = Message::PunchFwd { caller, address };
        let txid = heard.txid.unwrap_or_default();
        self.transmit(heard.address, &Packet { flags: 0, caps: self.config.caps, txid, message });
    }

    /// Takes a PUNCH_FWD: a warm neighbour says that somebody wants to reach us.
    pub(super) fn handle_punch_fwd(
        &mut self,
        from: SocketAddr,
        packet: &Packet,
        now: Instant,
        random: &mut Random,
    ) -> Result<(), Drop> {
        let Message::PunchFwd { caller, address } = packet.message else { return Err(Drop::Unsolicited) };
        if self.config.read_only {
            return Err(Drop::ReadOnly);
        }
        if !self.warm.shares(from, packet.txid) || caller == self.config.node_id {
            return Err(Drop::Unsolicited);
        }
        if !self.is_believable(address, from) {
            return Err(Drop::Source);
        }
        if !self.openings.admit(from, address.ip(), now) {
            return Err(Drop::RateLimited);
        }
        self.openings.bursts.push(Burst::new(caller, address, now));
        self.continue_openings(now, random);
        Ok(())
    }

    /// Sends the PINGs that open our NAT.
    pub(super) fn continue_openings(&mut self, now: Instant, random: &mut Random) {
        let mut due = Vec::new();
        self.openings.bursts.iter_mut().for_each(|burst| due.extend(burst.take_due(now).then_some(*burst)));
        self.openings.bursts.retain(|burst| burst.next_due().is_some());
        for burst in due {
            self.ask(burst.to, Some(burst.id), None, Purpose::Punch, now, random);
        }
    }
}

/// Whether each of the two addresses means something to a node at the other.
fn is_mutual(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (Scope::of(one), Scope::of(other));
    one.is_ipv4() == other.is_ipv4() && a != Scope::LinkLocal && a.visible_from(b) && b.visible_from(a)
}
