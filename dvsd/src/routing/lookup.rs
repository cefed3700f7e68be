// SPDX-License-Identifier: GPL-3.0-or-later
//! One iterative lookup: whom to ask next, and when there is nobody left to ask.
//!
//! Three requests are under way at a time, whatever the answers bring. With 30 nodes known the candidates are dealt to
//! three disjoint paths: a node belongs to the path that heard of it first, so that one liar captures one path only.
//! A node that does not answer is asked again when there is nobody new to ask, twice at most.
//!
//! The nearest are asked first. That is the shortest way, but a liar can always invent somebody nearer, so a search that
//! has not ended after [`GREEDY`] requests gives part of them to those who *owe* the least instead. A node owes what its
//! teller owes, one more, and one more for each other node of that teller that was asked before it. Inventions, alive
//! or not, drown in debt, and the honest answers that they hide come up again.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use super::entry::{Contact, Crowd};
use super::mask::Mask;
use super::table::K;
use crate::id::{Distance, NodeId};
use crate::random::Random;
use crate::time::Instant;

/// Requests under way at a time, the paper's α.
pub(super) const ALPHA: usize = 3;
/// Requests of one lookup in all, repeats included.
pub(super) const BUDGET: u16 = 120;
/// Requests of a lookup that refreshes a bucket, one at a time: somebody known is asked for nodes near a random place,
/// and two of those are asked, and so known. All twenty of a bucket from one place would be worth little: what they
/// know is alike.
const REFRESH_BUDGET: u16 = 3;
/// How long a lookup may take.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(15);
/// How often one node is asked before it counts as failed.
const ATTEMPTS: u8 = 3;
/// From this many known nodes on a lookup takes several paths.
const PATHS_FROM: usize = 30;
/// Candidates kept per lookup; the farthest ones not asked yet are dropped.
const MAX_CANDIDATES: usize = 192;
/// Requests of a search after which distance alone no longer decides: four rounds, more than a million nodes need.
const GREEDY: u16 = 12;
/// Then one request in so many goes to whoever owes least …
const FAIR_TURN: u16 = 3;
/// … and one in so many when the search goes on although an address was found.
const WARY_TURN: u16 = 2;
/// Candidates of one /24 or /48 that others report, in one search.
const CROWD_PER_SEARCH: usize = 8;
/// Addresses of one family that a search asks for one node: a liar may have given the first.
const MAX_RIVALS: usize = 3;

/// The teller of those we know ourselves.
const OWN_TABLE: u16 = 0;

/// What a lookup is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// The target itself, whose addresses are probed.
    Find,
    /// Our own neighbourhood.
    Neighbours,
    /// Any nodes of a bucket.
    Refresh,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// May be asked, for the first time or again.
    Idle,
    /// Has a request under way.
    Waiting,
    Answered,
    Failed,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    distance: Distance,
    contact: Contact,
    path: u8,
    asked: u8,
    state: State,
    /// Its name within the lookup, from 1.
    serial: u16,
    /// The serial of the candidate that told of it; zero for our own table.
    teller: u16,
    /// What it owed when it was asked.
    debt: u16,
    /// How many of those it told of were asked.
    heirs_asked: u16,
}

impl Candidate {
    /// Attempts alternate between the addresses.
    fn address(&self) -> SocketAddr {
        let other = self.contact.other.filter(|_| self.asked % 2 == 1);
        other.unwrap_or(self.contact.address)
    }

    fn is_at(&self, id: &NodeId, address: SocketAddr) -> bool {
        self.contact.id == *id && self.contact.addresses().any(|known| known == address)
    }

    fn give_up_attempt(&mut self) {
        self.state = if self.asked < ATTEMPTS { State::Idle } else { State::Failed };
    }
}

/// The next node to ask, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) id: NodeId,
    pub(super) address: SocketAddr,
    pub(super) rtt: Option<Duration>,
    /// What to ask for: the target, or what is shown of it.
    pub(super) destination: NodeId,
}

/// A lookup under way.
pub(super) struct Lookup {
    pub(super) target: NodeId,
    pub(super) goal: Goal,
    started: Instant,
    /// No new requests before this time: the target was just learnt and is being probed.
    hold: Option<Instant>,
    was_held: bool,
    /// Not done before this time if the network is still being joined.
    patience: Option<Instant>,
    paths: u8,
    sent: u16,
    /// How many nodes the table held when it began.
    table_size: usize,
    /// An address was found, and still the lookup goes on: somebody lies, or the peer cannot be reached.
    is_wary: bool,
    /// How many nodes of our own table were asked, by path.
    own_asked: Vec<u16>,
    next_serial: u16,
    /// What is shown of the target, unless all is.
    mask: Option<Mask>,
    /// Somebody has named the target.
    is_named: bool,
    /// Sorted by rising distance.
    candidates: Vec<Candidate>,
}

impl Lookup {
    /// A lookup that starts from `known`, the closest nodes of the table, which holds `table_size` in all.
    pub(super) fn new(
        target: NodeId,
        goal: Goal,
        known: &[Contact],
        paths: u8,
        table_size: usize,
        now: Instant,
    ) -> Self {
        let paths = if table_size >= PATHS_FROM && goal != Goal::Refresh { paths.max(1) } else { 1 };
        let candidates = Vec::new();
        let mut lookup = Self {
            target,
            goal,
            started: now,
            hold: None,
            was_held: false,
            patience: None,
            paths,
            sent: 0,
            table_size,
            is_wary: false,
            own_asked: vec![0; usize::from(paths)],
            next_serial: 1,
            mask: None,
            is_named: false,
            candidates,
        };
        for (contact, path) in known.iter().zip((0..paths).cycle()) {
            lookup.add(*contact, path, OWN_TABLE);
        }
        lookup
    }

    /// From now on requests show no more of the target than tells it apart from most nodes of a network of this size.
    pub(super) fn hide_target(&mut self, network_size: u64, random: &mut Random) {
        self.mask = Some(Mask::new(&self.target, network_size, self.paths, random));
    }

    /// Somebody has named the target.
    pub(super) const fn note_named(&mut self) {
        self.is_named = true;
    }

    /// If so many nodes share what is shown of the target that those asked may not have named it for want of room, more
    /// is shown, and the nearest are asked again.
    pub(super) fn sharpen(&mut self, random: &mut Random) {
        let Some(mask) = self.mask.as_mut().filter(|_| !self.is_named || self.is_wary) else { return };
        let has_answered = |candidate: &Candidate| candidate.state == State::Answered;
        let answered = self.candidates.iter().filter(|candidate| has_answered(candidate));
        let distances: Vec<Distance> = answered.map(|candidate| candidate.distance).collect();
        if !mask.sharpen(&self.target, &distances, K, random) {
            return;
        }
        for candidate in self.candidates.iter_mut().filter(|candidate| has_answered(candidate)).take(K) {
            (candidate.state, candidate.asked) = (State::Idle, 1);
        }
    }

    /// When the lookup has something to do of itself; at the latest, when it is given up.
    pub(super) fn next_due(&self) -> Instant {
        let deadline = self.started + TIME_LIMIT;
        self.hold.into_iter().chain(self.patience).fold(deadline, Instant::min)
    }

    /// Sends no new requests before `until`. Only the first call counts, so that lies cannot stall the lookup.
    pub(super) fn hold_until(&mut self, until: Instant) {
        if !self.was_held {
            self.hold = Some(until);
            self.was_held = true;
        }
    }

    /// Sends no new requests before `until`, and trusts distance less from then on: an address was found, and if the
    /// lookup is still needed then, it was not the peer's.
    pub(super) const fn park_until(&mut self, until: Instant) {
        self.hold = Some(until);
        self.is_wary = true;
    }

    /// Does not end before `until`, unless [`Self::lose_patience`] is called.
    pub(super) const fn wait_until(&mut self, until: Instant) {
        self.patience = Some(until);
    }

    /// There is nothing to wait for any more.
    pub(super) const fn lose_patience(&mut self) {
        self.patience = None;
    }

    /// Whether it could do with more candidates.
    pub(super) const fn is_hungry(&self) -> bool {
        self.candidates.len() < K
    }

    /// Whether the table has grown since the lookup began.
    pub(super) const fn has_gained(&self, table_size: usize) -> bool {
        table_size > self.table_size
    }

    /// Adds a node the table has just verified; path by turns.
    pub(super) fn offer(&mut self, contact: Contact) {
        let path = self.candidates.len() % usize::from(self.paths);
        self.add(contact, path as u8, OWN_TABLE);
    }

    /// The path of the node `id` that answered from `from`.
    pub(super) fn path_of(&self, id: &NodeId, from: SocketAddr) -> u8 {
        self.candidate(id, from).map_or(0, |candidate| candidate.path)
    }

    /// Adds a node that `teller` reported from `from`. It must be closer to the target than its teller, or among the
    /// best of the teller's path.
    pub(super) fn learn(&mut self, contact: Contact, teller: &NodeId, from: SocketAddr) {
        let (path, serial) = self.candidate(teller, from).map_or((0, OWN_TABLE), |found| (found.path, found.serial));
        let distance = contact.id.distance(&self.target);
        let is_closer = distance < teller.distance(&self.target);
        if is_closer || self.best(path).take_while(|candidate| candidate.distance < distance).count() < K {
            self.add(contact, path, serial);
        }
    }

    /// Whom to ask now, `None` while enough requests are under way or nobody is left. The node counts as asked.
    pub(super) fn ask(&mut self, now: Instant) -> Option<Question> {
        self.hold = self.hold.filter(|until| now < *until);
        if self.hold.is_some() || self.sent >= self.budget() || self.waiting(None) >= self.at_once() {
            return None;
        }
        let mut paths: Vec<u8> = (0..self.paths).collect();
        paths.sort_by_key(|path| self.waiting(Some(*path)));
        let fair = paths.iter().filter(|_| self.is_fair_turn()).find_map(|path| self.fair_of(*path));
        let index = fair.or_else(|| paths.iter().find_map(|path| self.next_of(*path)))?;
        self.charge(index);
        let candidate = self.candidates.get_mut(index)?;
        let Contact { id, rtt, .. } = candidate.contact;
        let shown = self.mask.as_ref().and_then(|mask| mask.point(candidate.path));
        let question = Question { id, address: candidate.address(), rtt, destination: shown.unwrap_or(self.target) };
        candidate.state = State::Waiting;
        candidate.asked += 1;
        self.sent += 1;
        Some(question)
    }

    /// A node answered from `from`, even if late.
    pub(super) fn answered(&mut self, id: &NodeId, from: SocketAddr) {
        if let Some(candidate) = self.candidate_mut(id, from) {
            candidate.state = State::Answered;
        }
    }

    /// A request to a node at `to` was not answered in time, or by somebody else.
    pub(super) fn missed(&mut self, id: &NodeId, to: SocketAddr) {
        if let Some(candidate) = self.candidate_mut(id, to).filter(|candidate| candidate.state == State::Waiting) {
            candidate.give_up_attempt();
        }
    }

    /// A request could not be sent or must be repeated at once: it costs one of the budget.
    pub(super) fn count_repeat(&mut self) -> bool {
        let is_within = self.sent < self.budget();
        self.sent = self.sent.saturating_add(1);
        is_within
    }

    /// Whether everybody worth asking has answered or failed, or the budget is spent.
    pub(super) fn is_done(&mut self, now: Instant) -> bool {
        self.patience = self.patience.filter(|until| now < *until);
        if now >= self.started + TIME_LIMIT {
            return true;
        }
        if self.patience.is_some() || self.hold.is_some() {
            return false;
        }
        let is_spent = self.sent >= self.budget();
        let is_over = |path| self.next_of(path).is_none() && !(self.is_wary && self.fair_of(path).is_some());
        self.waiting(None) == 0 && (is_spent || (0..self.paths).all(is_over))
    }

    #[cfg(test)]
    pub(super) const fn requests(&self) -> u16 {
        self.sent
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.candidates.len()
    }

    fn budget(&self) -> u16 {
        if self.goal == Goal::Refresh { REFRESH_BUDGET } else { BUDGET }
    }

    fn at_once(&self) -> usize {
        if self.goal == Goal::Refresh { 1 } else { ALPHA }
    }

    fn add(&mut self, contact: Contact, path: u8, teller: u16) {
        if contact.id == self.target && self.goal == Goal::Find {
            return;
        }
        let distance = contact.id.distance(&self.target);
        let index = self.candidates.partition_point(|candidate| candidate.distance <= distance);
        if !self.merge(distance, &contact) && !self.is_crowded(&contact, teller) {
            let serial = self.next_serial;
            self.next_serial = serial.saturating_add(1);
            let (asked, state) = (0, State::Idle);
            let candidate =
                Candidate { distance, contact, path, asked, state, serial, teller, debt: 0, heirs_asked: 0 };
            self.candidates.insert(index, candidate);
            self.drop_excess();
        }
    }

    /// Whether the node at `distance` is known already; what is new about it is noted. In a search, a
    /// node with another address than the known one is as good as unknown: who told the first may have lied.
    fn merge(&mut self, distance: Distance, contact: &Contact) -> bool {
        let index = self.candidates.partition_point(|candidate| candidate.distance < distance);
        let known = self.candidates.get_mut(index..).unwrap_or_default();
        let count = known.iter().take_while(|candidate| candidate.distance == distance).count();
        let known = known.get_mut(..count).unwrap_or_default();
        let same = known.iter_mut().position(|candidate| {
            let rivals = |address: SocketAddr| address.is_ipv4() == contact.address.is_ipv4();
            candidate.is_at(&contact.id, contact.address) || !candidate.contact.addresses().any(rivals)
        });
        let is_known = same.is_some() || count >= MAX_RIVALS || (count > 0 && self.goal != Goal::Find);
        if let Some(known) = known.get_mut(same.unwrap_or(0)).filter(|_| is_known) {
            merge(known, contact);
        }
        is_known
    }

    /// Whether enough nodes of its network were reported to this search.
    fn is_crowded(&self, contact: &Contact, teller: u16) -> bool {
        let told = |candidate: &&Candidate| candidate.teller != OWN_TABLE;
        let Some(crowd) = Crowd::of(contact.address).filter(|_| teller != OWN_TABLE && self.goal == Goal::Find) else {
            return false;
        };
        let same = self.candidates.iter().filter(told).filter(|it| Crowd::of(it.contact.address) == Some(crowd));
        same.count() >= CROWD_PER_SEARCH
    }

    /// In a search, whoever told most of those not asked yet loses one, so that nobody is drowned in inventions.
    fn drop_excess(&mut self) {
        if self.candidates.len() <= MAX_CANDIDATES {
            return;
        }
        let group = |candidate: &Candidate| if self.goal == Goal::Find { candidate.teller } else { OWN_TABLE };
        let mut fresh: BTreeMap<u16, usize> = BTreeMap::new();
        for candidate in self.candidates.iter().filter(|candidate| candidate.asked == 0) {
            *fresh.entry(group(candidate)).or_default() += 1;
        }
        let most = fresh.values().max().copied();
        let drops = |candidate: &Candidate| candidate.asked == 0 && fresh.get(&group(candidate)).copied() == most;
        if let Some(index) = self.candidates.iter().rposition(drops) {
            self.candidates.remove(index);
        }
    }

    /// The nodes of `path` that have not failed, closest first, with their indices.
    fn best(&self, path: u8) -> impl Iterator<Item = &Candidate> {
        self.indexed_best(path).map(|(_, candidate)| candidate)
    }

    fn indexed_best(&self, path: u8) -> impl Iterator<Item = (usize, &Candidate)> {
        let is_sound = move |candidate: &Candidate| candidate.path == path && candidate.state != State::Failed;
        self.candidates.iter().enumerate().filter(move |(_, candidate)| is_sound(candidate))
    }

    /// Of the 20 best of `path`: the closest not asked yet, else the closest to be asked again.
    fn next_of(&self, path: u8) -> Option<usize> {
        let idle = self.indexed_best(path).take(K).filter(|(_, candidate)| candidate.state == State::Idle);
        idle.min_by_key(|(_, candidate)| candidate.asked).map(|(index, _)| index)
    }

    /// Whether the next request goes to whoever owes least.
    fn is_fair_turn(&self) -> bool {
        let turn = if self.is_wary { WARY_TURN } else { FAIR_TURN };
        self.goal == Goal::Find && (self.is_wary || self.sent >= GREEDY) && self.sent.is_multiple_of(turn)
    }

    /// Of all nodes of `path` not asked yet: whoever owes least, the closest of them.
    fn fair_of(&self, path: u8) -> Option<usize> {
        let fresh = self.indexed_best(path).filter(|(_, candidate)| candidate.asked == 0);
        fresh.min_by_key(|(index, candidate)| (self.debt(candidate), *index)).map(|(index, _)| index)
    }

    /// What a candidate owes.
    fn debt(&self, candidate: &Candidate) -> u16 {
        let own_asked = || self.own_asked.get(usize::from(candidate.path)).copied().unwrap_or(0);
        let teller = self.candidates.iter().find(|teller| teller.serial == candidate.teller);
        teller.map_or_else(own_asked, |teller| teller.debt.saturating_add(teller.heirs_asked)).saturating_add(1)
    }

    /// Notes that a candidate is asked, for its own debt and that of its siblings.
    fn charge(&mut self, index: usize) {
        let Some(candidate) = self.candidates.get(index).filter(|candidate| candidate.asked == 0).copied() else {
            return;
        };
        let debt = self.debt(&candidate);
        self.candidates.get_mut(index).into_iter().for_each(|candidate| candidate.debt = debt);
        let teller = self.candidates.iter_mut().find(|teller| teller.serial == candidate.teller);
        let own = self.own_asked.get_mut(usize::from(candidate.path));
        teller.map(|teller| &mut teller.heirs_asked).or(own).into_iter().for_each(|asked| *asked += 1);
    }

    fn waiting(&self, path: Option<u8>) -> usize {
        let counts = |candidate: &&Candidate| {
            candidate.state == State::Waiting && path.is_none_or(|path| candidate.path == path)
        };
        self.candidates.iter().filter(counts).count()
    }

    fn candidate(&self, id: &NodeId, address: SocketAddr) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| candidate.is_at(id, address))
    }

    fn candidate_mut(&mut self, id: &NodeId, address: SocketAddr) -> Option<&mut Candidate> {
        self.candidates.iter_mut().find(|candidate| candidate.is_at(id, address))
    }
}

/// A second address of a known candidate is tried when the first does not answer.
fn merge(known: &mut Candidate, contact: &Contact) {
    for address in contact.addresses() {
        if known.contact.address != address {
            known.contact.other.get_or_insert(address);
        }
    }
}

#[cfg(test)]
#[path = "lookup_tests.rs"]
mod tests;
