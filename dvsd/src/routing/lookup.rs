// SPDX-License-Identifier: GPL-3.0-or-later
//! One iterative lookup: whom to ask next, and when there is nobody left to ask.
//!
//! Three requests are under way at a time, whatever the answers bring. With 30 nodes known the candidates are dealt to
//! three disjoint paths: a node belongs to the path that heard of it first, so that one liar captures one path only.
//! A node that does not answer is asked again when there is nobody new to ask, twice at most.

use core::net::SocketAddr;
use core::time::Duration;

use super::entry::Contact;
use super::table::K;
use crate::id::{Distance, NodeId};
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
const MAX_CANDIDATES: usize = 128;

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
}

impl Candidate {
    /// Attempts alternate between the addresses.
    fn address(&self) -> SocketAddr {
        let other = self.contact.other.filter(|_| self.asked % 2 == 1);
        other.unwrap_or(self.contact.address)
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
            candidates,
        };
        for (contact, path) in known.iter().zip((0..paths).cycle()) {
            lookup.add(*contact, path);
        }
        lookup
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
        self.add(contact, path as u8);
    }

    /// Adds a node that `teller` reported. It must be closer to the target than its teller, or among the best of the
    /// teller's path.
    pub(super) fn learn(&mut self, contact: Contact, teller: &NodeId) {
        let path = self.candidate(teller).map_or(0, |teller| teller.path);
        let distance = contact.id.distance(&self.target);
        let is_closer = distance < teller.distance(&self.target);
        if is_closer || self.best(path).take_while(|candidate| candidate.distance < distance).count() < K {
            self.add(contact, path);
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
        let id = paths.into_iter().find_map(|path| self.next_of(path))?;
        let candidate = self.candidates.iter_mut().find(|candidate| candidate.contact.id == id)?;
        let question = Question { id, address: candidate.address(), rtt: candidate.contact.rtt };
        candidate.state = State::Waiting;
        candidate.asked += 1;
        self.sent += 1;
        Some(question)
    }

    /// A node answered, even if late.
    pub(super) fn answered(&mut self, id: &NodeId) {
        if let Some(candidate) = self.candidate_mut(id) {
            candidate.state = State::Answered;
        }
    }

    /// A request to a node was not answered in time, or by somebody else.
    pub(super) fn missed(&mut self, id: &NodeId) {
        if let Some(candidate) = self.candidate_mut(id).filter(|candidate| candidate.state == State::Waiting) {
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
        self.waiting(None) == 0 && (is_spent || (0..self.paths).all(|path| self.next_of(path).is_none()))
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

    fn add(&mut self, contact: Contact, path: u8) {
        if contact.id == self.target && self.goal == Goal::Find {
            return;
        }
        let distance = contact.id.distance(&self.target);
        match self.candidates.binary_search_by_key(&distance, |candidate| candidate.distance) {
            Ok(index) => self.candidates.get_mut(index).into_iter().for_each(|known| merge(known, &contact)),
            Err(index) => {
                let candidate = Candidate { distance, contact, path, asked: 0, state: State::Idle };
                self.candidates.insert(index, candidate);
                self.drop_excess();
            }
        }
    }

    fn drop_excess(&mut self) {
        if self.candidates.len() <= MAX_CANDIDATES {
            return;
        }
        if let Some(index) = self.candidates.iter().rposition(|candidate| candidate.asked == 0) {
            self.candidates.remove(index);
        }
    }

    /// The nodes of `path` that have not failed, closest first.
    fn best(&self, path: u8) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter().filter(move |candidate| candidate.path == path && candidate.state != State::Failed)
    }

    /// Of the 20 best of `path`: the closest not asked yet, else the closest to be asked again.
    fn next_of(&self, path: u8) -> Option<NodeId> {
        let idle = self.best(path).take(K).filter(|candidate| candidate.state == State::Idle);
        idle.min_by_key(|candidate| candidate.asked).map(|candidate| candidate.contact.id)
    }

    fn waiting(&self, path: Option<u8>) -> usize {
        let counts = |candidate: &&Candidate| {
            candidate.state == State::Waiting && path.is_none_or(|path| candidate.path == path)
        };
        self.candidates.iter().filter(counts).count()
    }

    fn candidate(&self, id: &NodeId) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| candidate.contact.id == *id)
    }

    fn candidate_mut(&mut self, id: &NodeId) -> Option<&mut Candidate> {
        self.candidates.iter_mut().find(|candidate| candidate.contact.id == *id)
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
mod tests {
    use super::*;

    const TARGET: NodeId = NodeId([0; 20]);

    fn contact(number: u8) -> Contact {
        let address = SocketAddr::from(([198, 18, number, 1], 5004));
        Contact { id: NodeId([number; 20]), caps: 0, address, other: None, rtt: None }
    }

    fn lookup(known: core::ops::Range<u8>) -> Lookup {
        let known: Vec<Contact> = known.map(contact).collect();
        Lookup::new(TARGET, Goal::Find, &known, 3, known.len(), Instant::ZERO)
    }

    fn ask_all(lookup: &mut Lookup) -> Vec<u8> {
        core::iter::from_fn(|| lookup.ask(Instant::ZERO)).map(|question| question.id.0[0]).collect()
    }

    #[test]
    fn the_three_closest_are_asked_at_once() {
        let mut lookup = lookup(1..20);
        assert_eq!(ask_all(&mut lookup), [1, 2, 3]);
        lookup.answered(&NodeId([2; 20]));
        assert_eq!(ask_all(&mut lookup), [4]);
    }

    #[test]
    fn f16_an_answer_never_brings_more_than_one_further_request() {
        let mut lookup = lookup(100..103);
        assert_eq!(ask_all(&mut lookup).len(), ALPHA);
        lookup.answered(&NodeId([100; 20]));
        (1..21).for_each(|number| lookup.learn(contact(number), &NodeId([100; 20])));
        assert_eq!(ask_all(&mut lookup), [1]);
    }

    #[test]
    fn a_silent_node_is_asked_again_twice_when_nobody_new_is_left() {
        let mut lookup = lookup(1..5);
        let mut asked = Vec::new();
        while !lookup.is_done(Instant::ZERO) {
            for number in ask_all(&mut lookup) {
                asked.push(number);
                lookup.missed(&NodeId([number; 20]));
            }
        }
        assert_eq!(asked, [1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]);
    }

    #[test]
    fn a_late_answer_counts() {
        let mut lookup = lookup(1..2);
        assert_eq!(ask_all(&mut lookup), [1]);
        lookup.missed(&NodeId([1; 20]));
        lookup.answered(&NodeId([1; 20]));
        assert!(lookup.is_done(Instant::ZERO));
    }

    #[test]
    fn the_budget_ends_a_lookup_that_is_fed_for_ever() {
        let mut lookup = lookup(200..201);
        let (mut asked, mut next) = (0, 0_u32);
        while !lookup.is_done(Instant::ZERO) {
            for question in core::iter::from_fn(|| lookup.ask(Instant::ZERO)).collect::<Vec<_>>() {
                asked += 1;
                lookup.answered(&question.id);
                for _ in 0..20 {
                    next += 1;
                    let mut fake = contact(1);
                    fake.id.0[16..].copy_from_slice(&(u32::MAX - next).to_be_bytes());
                    fake.id.0[..8].fill(0);
                    lookup.learn(fake, &question.id);
                }
            }
        }
        assert_eq!(asked, BUDGET);
        assert!(lookup.len() <= MAX_CANDIDATES);
    }

    #[test]
    fn a_lookup_ends_after_its_time() {
        let mut lookup = lookup(1..20);
        ask_all(&mut lookup);
        assert!(!lookup.is_done(Instant::from_millis(14_999)));
        assert!(lookup.is_done(Instant::from_millis(15_000)));
    }

    #[test]
    fn a_liar_captures_one_path_of_three() {
        let mut lookup = lookup(100..140);
        assert_eq!(ask_all(&mut lookup), [100, 101, 102]);
        lookup.answered(&NodeId([100; 20]));
        (1..21).for_each(|number| lookup.learn(contact(number), &NodeId([100; 20])));
        let mut asked = Vec::new();
        for _ in 0..9 {
            for number in ask_all(&mut lookup) {
                asked.push(number);
            }
            for number in [101, 102].into_iter().chain(asked.clone()) {
                lookup.answered(&NodeId([number; 20]));
            }
        }
        assert!(asked.iter().any(|number| *number > 100), "{asked:?}");
        assert!(asked.iter().filter(|number| **number > 100).count() >= 2 * asked.len() / 3 - 2, "{asked:?}");
    }

    #[test]
    fn a_hold_is_granted_once() {
        let mut lookup = lookup(1..20);
        lookup.hold_until(Instant::from_millis(200));
        assert_eq!(lookup.ask(Instant::from_millis(199)), None);
        lookup.hold_until(Instant::from_millis(900));
        assert!(lookup.ask(Instant::from_millis(200)).is_some());
    }

    #[test]
    fn the_second_address_is_tried_after_the_first() {
        let mut lookup = lookup(1..2);
        let moved = SocketAddr::from(([198, 18, 77, 1], 5004));
        lookup.offer(Contact { address: moved, ..contact(1) });
        assert_eq!(lookup.ask(Instant::ZERO).map(|question| question.address), Some(contact(1).address));
        lookup.missed(&NodeId([1; 20]));
        assert_eq!(lookup.ask(Instant::ZERO).map(|question| question.address), Some(moved));
    }
}
