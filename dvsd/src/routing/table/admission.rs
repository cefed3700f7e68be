// SPDX-License-Identifier: GPL-3.0-or-later
//! Who gets into the table, and at which address.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::{GOOD, K, SETTLED, Table};
use crate::id::NodeId;
use crate::routing::entry::{Contact, Crowd, Packed, Row};
use crate::time::Instant;

/// From this many nodes on a bucket takes newcomers only with a proof.
const CROWDED: usize = K / 2;
/// From this many leading bits shared with us on a newcomer needs a proof.
const CLOSE: usize = 16;
/// A node that was asked for a proof in vain this often may lose its place to one that gave a proof.
const REFUSALS: u8 = 3;
/// A node that answers from another address makes us check the old one, unless that answered this recently.
const MOVE_DOUBT: Duration = Duration::from_secs(30);
/// Nodes of one /24 or /48 in one bucket (go-libp2p and py-libp2p use the same).
pub(super) const CROWD_PER_BUCKET: usize = 2;
/// Nodes of one /24 or /48 in the whole table.
pub(super) const CROWD_PER_TABLE: usize = 8;
/// How many rows are allocated at a time: few, for the last ones stay empty.
const GROWTH: usize = 2;

/// A node that has answered a request of ours.
#[derive(Clone, Copy, Debug)]
pub(in crate::routing) struct Sighting {
    pub(in crate::routing) id: NodeId,
    /// Where it answered from.
    pub(in crate::routing) address: SocketAddr,
    pub(in crate::routing) caps: u8,
    pub(in crate::routing) rtt: Duration,
    /// Whether the answer was a valid proof of its ID.
    pub(in crate::routing) proven: bool,
}

/// What became of a node that has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::routing) enum Verified {
    /// It is new in the table.
    Inserted,
    /// It was there already.
    Refreshed,
    /// It waits for room, or for its old address to fail.
    Waiting,
    /// It waits; with a proof it would get in, or its new address would.
    Unproven,
    /// Its network is there often enough.
    Refused,
}

/// What to do about a node that traffic names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::routing) enum Nomination {
    /// Nothing: it is known.
    Known,
    /// PING it: if it answers, there is room, or a new address for a node we know.
    Wanted,
    /// Nothing: it waits for room.
    Waiting,
    /// Nothing: it could not be stored.
    Refused,
}

impl Table {
    /// A node answered a request of ours.
    pub(in crate::routing) fn verified(&mut self, sighting: &Sighting, now: Instant) -> Verified {
        match self.find(&sighting.id) {
            None => self.newcomer(sighting, now),
            Some(known) if known.addresses().any(|address| address == sighting.address) => {
                self.note_answer(sighting, now);
                Verified::Refreshed
            }
            Some(known) => self.another_address(sighting, &known, now),
        }
    }

    fn newcomer(&mut self, sighting: &Sighting, now: Instant) -> Verified {
        let &Sighting { id, address, proven, .. } = sighting;
        if !self.has_variety(&id, address) {
            return Verified::Refused;
        }
        let is_full = self.is_full(&id);
        let refuser = if is_full { self.refuser(&id) } else { None };
        if is_full && refuser.is_none() {
            self.spare(id, address, now);
            return Verified::Waiting;
        }
        if !proven && self.needs_proof(&id) {
            self.spare(id, address, now);
            return Verified::Unproven;
        }
        refuser.iter().for_each(|refuser| self.remove(refuser));
        self.insert(Row::new(id, now));
        self.note_answer(sighting, now);
        Verified::Inserted
    }

    /// A node of the table answered from an address we do not have of it. With a proof the address is taken at once.
    /// Without, it waits until the old one of its family has failed; one of the other family is taken where no proof
    /// is needed.
    fn another_address(&mut self, sighting: &Sighting, known: &Contact, now: Instant) -> Verified {
        let &Sighting { id, address, proven, .. } = sighting;
        let is_rival = known.addresses().any(|old| old.is_ipv4() == address.is_ipv4());
        let is_proven = self.row(&id).is_some_and(Row::is_proven);
        let waits = if self.is_strict { Verified::Unproven } else { Verified::Waiting };
        if !self.has_variety(&id, address) {
            return Verified::Refused;
        }
        if !proven && is_rival {
            self.spares.push(self.bucket_of(&id), id, address, true);
            self.doubt_unless_heard(id, MOVE_DOUBT, now);
            return waits;
        }
        if !proven && self.is_strict && (is_proven || self.needs_proof(&id)) {
            return waits;
        }
        self.note_answer(sighting, now);
        if is_rival {
            self.row_mut(&id).into_iter().for_each(|row| row.prefer(address.is_ipv6()));
            self.spares.remove(&id);
            self.moved.insert(id, now);
        }
        Verified::Refreshed
    }

    /// Traffic from `address`, which may be forged, claims to be of `id`. Nobody but the sender is sent anything.
    pub(in crate::routing) fn nominate(&mut self, id: NodeId, address: SocketAddr, now: Instant) -> Nomination {
        let known = self.find(&id);
        let has_settled = self.moved.get(&id).is_none_or(|at| now.since(*at) >= SETTLED);
        if known.is_some_and(|known| !has_settled || known.addresses().any(|old| old == address)) {
            return Nomination::Known;
        }
        if id == self.own || !self.has_variety(&id, address) {
            return Nomination::Refused;
        }
        if known.is_some() || !self.is_full(&id) || self.refuser(&id).is_some() {
            return Nomination::Wanted;
        }
        self.spares.push(self.bucket_of(&id), id, address, false);
        Nomination::Waiting
    }

    /// The next node to be asked for a proof: one that got in when none was needed, in a place where it is now. Those
    /// asked in vain come last, and after the third time not at all.
    pub(in crate::routing) fn next_to_prove(&self) -> Option<Contact> {
        let refusals = |row: &Row| self.unproven.get(&row.id).copied().unwrap_or(0);
        let wanted = |row: &&Row| {
            !row.is_proven()
                && refusals(row) < REFUSALS
                && self.suspects.get(&row.id).is_none()
                && self.needs_proof(&row.id)
        };
        let row = self.rows.iter().filter(wanted).min_by_key(|row| refusals(row))?;
        self.contact(row, &|_| true)
    }

    /// `id` was asked for a proof at `address` and gave none.
    pub(in crate::routing) fn gave_no_proof(&mut self, id: &NodeId, address: SocketAddr) {
        let Some(known) = self.find(id) else { return self.spares.remove(id) };
        let is_proven = self.row(id).is_some_and(Row::is_proven);
        if !is_proven && known.addresses().any(|old| old == address) {
            let refusals = self.unproven.get(id).copied().unwrap_or(0);
            self.unproven.insert(*id, refusals.saturating_add(1));
        }
    }

    /// Removes whoever is at `address`, from the table and from among those that wait.
    pub(in crate::routing) fn expel(&mut self, address: SocketAddr) {
        let is_there = |row: &&Row| self.contact(row, &|known| known == address).is_some();
        let ids: Vec<NodeId> = self.rows.iter().filter(is_there).map(|row| row.id).collect();
        ids.iter().for_each(|id| self.remove(id));
        self.spares.expel(address);
    }

    pub(super) fn is_full(&self, id: &NodeId) -> bool {
        self.bucket(self.bucket_of(id)).len() >= K
    }

    /// Whether a node needs a proof to get in where `id` belongs.
    fn needs_proof(&self, id: &NodeId) -> bool {
        let bucket = self.bucket_of(id);
        self.is_strict && (bucket >= CLOSE || self.bucket(bucket).len() >= CROWDED)
    }

    /// The node in the bucket of `id` that was asked in vain for a proof too often.
    pub(super) fn refuser(&self, id: &NodeId) -> Option<NodeId> {
        let rows = self.rows.get(self.bucket(self.bucket_of(id)))?;
        let refuses = |row: &&Row| self.unproven.get(&row.id).is_some_and(|refusals| *refusals >= REFUSALS);
        rows.iter().find(refuses).map(|row| row.id)
    }

    /// Whether a node at `address` keeps the table diverse: few nodes per network, one per IP address in a bucket.
    fn has_variety(&self, id: &NodeId, address: SocketAddr) -> bool {
        let bucket = self.bucket_of(id);
        let (mut in_table, mut in_bucket, mut is_taken) = (0, 0, false);
        let mut count = |other: &NodeId, same_ip: bool| {
            if other == id {
                return;
            }
            in_table += 1;
            if self.bucket_of(other) == bucket {
                in_bucket += 1;
                is_taken |= same_ip;
            }
        };
        match Crowd::of(address) {
            None => return true,
            Some(Crowd::V4(network)) => {
                let neighbours = self.rows.iter().filter(|row| row.is_in(network));
                neighbours.for_each(|row| count(&row.id, row.v4().is_some_and(|v4| v4.ip() == address.ip())));
            }
            Some(Crowd::V6(network)) => {
                let neighbours = self.v6.iter().filter(|(_, packed)| packed.is_in(network));
                neighbours.for_each(|(other, packed)| count(other, packed.address().ip() == address.ip()));
            }
        }
        in_bucket < CROWD_PER_BUCKET && in_table < CROWD_PER_TABLE && !is_taken
    }

    fn insert(&mut self, row: Row) {
        if self.rows.len() == self.rows.capacity() {
            self.rows.reserve_exact(GROWTH);
        }
        let end = self.bucket(self.bucket_of(&row.id)).end;
        self.rows.insert(end, row);
        self.spares.remove(&row.id);
    }

    fn note_answer(&mut self, sighting: &Sighting, now: Instant) {
        let &Sighting { id, address, caps, rtt, proven } = sighting;
        let was_doubtful = self.suspects.remove(&id).is_some();
        if address.is_ipv6() {
            self.v6.insert(id, Packed::new(address));
        }
        if proven {
            self.unproven.remove(&id);
        }
        let Some(row) = self.row_mut(&id) else { return };
        row.answered(caps, rtt, now);
        match address.ip() {
            IpAddr::V4(ip) => row.set_v4(ip, address.port()),
            IpAddr::V6(_) => row.set_has_v6(),
        }
        if was_doubtful {
            row.prefer(address.is_ipv6());
        }
        if proven {
            row.set_proven();
        }
    }

    /// A node that has answered waits. If somebody in its bucket was silent for long, that one is checked.
    fn spare(&mut self, id: NodeId, address: SocketAddr, now: Instant) {
        let bucket = self.bucket_of(&id);
        self.spares.push(bucket, id, address, true);
        let rows = self.rows.get(self.bucket(bucket)).unwrap_or_default();
        if let Some(oldest) = rows.iter().rev().max_by_key(|row| row.seen.age(now)).map(|row| row.id) {
            self.doubt_unless_heard(oldest, GOOD, now);
        }
    }

    fn doubt_unless_heard(&mut self, id: NodeId, within: Duration, now: Instant) {
        if self.row(&id).is_some_and(|row| row.seen.age(now) > within) {
            self.doubt(id, now);
        }
    }
}
