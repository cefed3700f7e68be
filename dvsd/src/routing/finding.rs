// SPDX-License-Identifier: GPL-3.0-or-later
//! Lookups and searches: from an ID to the addresses at which its owner answers.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use super::asking::Answer;
use super::entry::{Contact, Crowd};
use super::lookup::{Goal, Lookup};
use super::punch::Punch;
use super::requests::Purpose;
use super::search::{PARK, PATIENCE, PROBE_GAP, Search, Source, Teller};
use super::table::K;
use super::{Missing, NatKind, RECENT, Routing, RoutingEvent};
use crate::id::NodeId;
use crate::path::unmapped;
use crate::random::Random;
use crate::time::Instant;
use crate::wire::routing::Entry;

/// Searches under way; a further one fails at once.
const MAX_SEARCHES: usize = 64;
/// Entries of one /24 or /48 believed per answer.
const CROWD_PER_ANSWER: usize = 3;

impl Routing {
    pub(super) fn start_search(&mut self, target: NodeId, hints: &[SocketAddr], now: Instant, random: &mut Random) {
        let is_full = self.searches.len() >= MAX_SEARCHES && !self.searches.contains_key(&target);
        if target == self.config.node_id || is_full {
            self.counters.not_found += 1;
            let why = if self.upkeep.online { Missing::Unknown } else { Missing::Offline };
            self.events.push_back(RoutingEvent::NotFound { target, why });
            return;
        }
        if !self.searches.contains_key(&target) {
            let number = self.add_lookup(target, Goal::Find, now);
            let mut search = Search::new(number, now);
            self.hide(&mut search, number, random);
            self.searches.insert(target, search);
            self.wait_for_network(number, now);
        }
        self.probe_known(target, now);
        for hint in hints.iter().map(|hint| unmapped(*hint)) {
            if self.is_usable(hint) {
                self.prepare_punch(target, now);
                self.report(target, hint, Source::Hint, now);
            }
        }
        self.hurry_bootstrap(now, random);
        self.continue_searches(now, random);
    }

    /// If searches are private, requests for `search` and its lookup tell neither whom they are for nor who sends them.
    fn hide(&mut self, search: &mut Search, number: u64, random: &mut Random) {
        let lookup = self.lookups.get_mut(&number).filter(|_| self.config.private_lookups);
        if let Some(lookup) = lookup {
            lookup.hide_target(self.table.network_size(), random);
            search.alias = Some(NodeId(random.bytes()));
        }
    }

    /// The name by which we ask for `purpose`, if not our own. `id`: who is asked.
    pub(super) fn alias(&self, purpose: Purpose, id: Option<NodeId>) -> Option<NodeId> {
        let target = match purpose {
            Purpose::Lookup(number) => self.lookups.get(&number).filter(|it| it.goal == Goal::Find).map(|it| it.target),
            Purpose::Probe => id,
            _ => None,
        };
        target.and_then(|target| self.searches.get(&target)).and_then(|search| search.alias)
    }

    /// A target of the table is probed at once; if it answered lately, nobody else is asked for the moment.
    fn probe_known(&mut self, target: NodeId, now: Instant) {
        let Some(known) = self.table.find(&target) else { return };
        self.prepare_punch(target, now);
        for address in known.addresses() {
            self.report(target, address, Source::Table, now);
        }
        let number = self.searches.get(&target).and_then(|search| search.lookup);
        if self.table.knows_well(&target, now) {
            self.hold(number, now);
        }
    }

    /// While the network is being joined, or another one besides, a lookup waits for the first nodes to answer.
    fn wait_for_network(&mut self, number: u64, now: Instant) {
        let is_joining = self.upkeep.is_joining() || self.requests.is_joining();
        if let Some(lookup) = self.lookups.get_mut(&number).filter(|_| is_joining) {
            lookup.wait_until(now + PATIENCE);
        }
    }

    fn report(&mut self, target: NodeId, address: SocketAddr, source: Source, now: Instant) -> bool {
        self.searches.get_mut(&target).is_some_and(|search| search.report(address, source, now))
    }

    fn hold(&mut self, number: Option<u64>, now: Instant) {
        if let Some(lookup) = number.and_then(|number| self.lookups.get_mut(&number)) {
            lookup.hold_until(now + PROBE_GAP);
        }
    }

    /// Creates a lookup; it asks nobody before it is continued.
    fn add_lookup(&mut self, target: NodeId, goal: Goal, now: Instant) -> u64 {
        let known = self.table.closest(&target, K, &|address| self.is_usable(address));
        let lookup = Lookup::new(target, goal, &known, self.config.disjoint_paths, self.table.len(), now);
        let number = self.next_lookup;
        self.next_lookup += 1;
        self.lookups.insert(number, lookup);
        self.table.searched(&target, now);
        number
    }

    /// Looks up our own neighbourhood, unless that is under way. The number of the lookup.
    pub(super) fn search_neighbours(&mut self, now: Instant, random: &mut Random) -> u64 {
        let running = self.lookups.iter().find(|(_, lookup)| lookup.goal == Goal::Neighbours);
        if let Some(number) = running.map(|(number, _)| *number) {
            return number;
        }
        let number = self.add_lookup(self.config.node_id, Goal::Neighbours, now);
        self.upkeep.searched_neighbours(now, random);
        self.continue_lookup(number, now, random);
        number
    }

    /// A node we join through has answered a question for our neighbourhood.
    pub(super) fn learn_neighbours(&mut self, answer: &Answer, now: Instant, random: &mut Random) {
        let number = self.search_neighbours(now, random);
        self.learn(number, answer, now);
        self.continue_lookup(number, now, random);
    }

    /// Looks through the next bucket that needs it, one at a time.
    pub(super) fn refresh(&mut self, now: Instant, random: &mut Random) {
        let is_busy = self.lookups.values().any(|lookup| lookup.goal != Goal::Find);
        if is_busy || !self.upkeep.online {
            return;
        }
        if let Some(target) = self.table.due_refresh(now, random) {
            let number = self.add_lookup(target, Goal::Refresh, now);
            self.continue_lookup(number, now, random);
        }
    }

    /// Takes what an answer to a lookup says: candidates, and addresses of the target.
    pub(super) fn learn(&mut self, number: u64, answer: &Answer, now: Instant) {
        let Some(lookup) = self.lookups.get(&number) else { return };
        let target = (lookup.goal == Goal::Find).then_some(lookup.target);
        let path = lookup.path_of(&answer.responder, answer.from);
        let source = Source::Node(Teller { id: answer.responder, address: answer.from, path });
        let mut families = [false; 2];
        for entry in self.believable(answer) {
            if target != Some(entry.id) {
                self.learn_candidate(number, &entry, answer);
                continue;
            }
            let [v4, v6] = &mut families;
            self.lookups.get_mut(&number).into_iter().for_each(Lookup::note_named);
            self.note_teller(entry.id, answer, now);
            let is_told = core::mem::replace(if entry.address.is_ipv4() { v4 } else { v6 }, true);
            if !is_told && self.report(entry.id, entry.address, source, now) {
                self.hold(Some(number), now);
            }
        }
    }

    /// The entries of an answer that pass the filters of address and diversity.
    fn believable(&self, answer: &Answer) -> Vec<Entry> {
        let mut crowds: BTreeMap<Crowd, usize> = BTreeMap::new();
        let mut passes = |entry: &&Entry| {
            let count = Crowd::of(entry.address).map(|crowd| crowds.entry(crowd).or_default());
            entry.id != self.config.node_id
                && self.is_believable(entry.address, answer.from)
                && count.is_none_or(|count| {
                    *count += 1;
                    *count <= CROWD_PER_ANSWER
                })
        };
        answer.entries.iter().filter(|entry| passes(entry)).copied().collect()
    }

    /// A node we know ourselves is asked at the address we know first.
    fn learn_candidate(&mut self, number: u64, entry: &Entry, answer: &Answer) {
        let told = Contact { id: entry.id, caps: entry.caps, address: entry.address, other: None, rtt: None };
        let known = self.table.find(&entry.id).filter(|known| self.is_usable(known.address));
        let is_refresh = self.lookups.get(&number).is_some_and(|lookup| lookup.goal == Goal::Refresh);
        if is_refresh && known.is_some() {
            return;
        }
        let contact = known.map_or(told, |known| {
            let moved = known.other.or(Some(entry.address)).filter(|other| *other != known.address);
            Contact { other: moved, ..known }
        });
        if let Some(lookup) = self.lookups.get_mut(&number) {
            lookup.learn(contact, &answer.responder, answer.from);
        }
    }

    /// Sends what the lookup may send, and ends it when there is nothing left.
    pub(super) fn continue_lookup(&mut self, number: u64, now: Instant, random: &mut Random) {
        while let Some(lookup) = self.lookups.get_mut(&number) {
            lookup.sharpen(random);
            let Some(question) = lookup.ask(now) else { break };
            let (purpose, destination) = (Purpose::Lookup(number), Some(question.destination));
            if !self.ask(question.address, Some(question.id), destination, purpose, now, random)
                && let Some(lookup) = self.lookups.get_mut(&number)
            {
                lookup.missed(&question.id, question.address);
            }
        }
        if self.lookups.get_mut(&number).is_some_and(|lookup| lookup.is_done(now)) {
            self.end_lookup(number, now, random);
        }
    }

    fn end_lookup(&mut self, number: u64, now: Instant, random: &mut Random) {
        let Some(lookup) = self.lookups.remove(&number) else { return };
        match lookup.goal {
            Goal::Find => {
                if let Some(search) = self.searches.get_mut(&lookup.target) {
                    search.lookup = None;
                }
            }
            Goal::Neighbours => {
                if self.table.len() < K {
                    self.upkeep.note_small(now, random);
                }
                if self.upkeep.joined() {
                    self.table.forget_refreshes();
                }
                if !self.requests.is_joining() {
                    self.lookups.values_mut().for_each(Lookup::lose_patience);
                }
                self.refresh(now, random);
            }
            Goal::Refresh => {
                if lookup.has_gained(self.table.len()) {
                    self.table.search_again(&lookup.target, now);
                }
                self.refresh(now, random);
            }
        }
    }

    /// The target of a search answered a probe.
    pub(super) fn handle_probe_answer(&mut self, target: NodeId, from: SocketAddr, rtt: Duration, now: Instant) {
        if let Some(search) = self.searches.get_mut(&target) {
            search.answered(from, rtt, now);
        }
        self.punch_answered(target, from, now);
    }

    /// Sends the probes that are due, continues the lookups, and reports the searches that are over.
    pub(super) fn continue_searches(&mut self, now: Instant, random: &mut Random) {
        self.continue_punches(now, random);
        let targets: Vec<NodeId> = self.searches.keys().copied().collect();
        for target in &targets {
            let due = self.searches.get_mut(target).map(|search| search.due(now, random)).unwrap_or_default();
            for address in due {
                if !self.ask(address, Some(*target), None, Purpose::Probe, now, random)
                    && let Some(search) = self.searches.get_mut(target)
                {
                    search.refused(address);
                }
            }
            self.settle_found(*target, now);
            if self.searches.get_mut(target).is_some_and(|search| search.wake(now)) {
                self.resume_punch(target);
            }
        }
        let lookups: Vec<u64> = self.lookups.keys().copied().collect();
        lookups.into_iter().for_each(|number| self.continue_lookup(number, now, random));
        targets.into_iter().for_each(|target| self.settle_not_found(target, now));
    }

    fn settle_found(&mut self, target: NodeId, now: Instant) {
        let Some(search) = self.searches.get_mut(&target) else { return };
        let (is_first, took) = (!search.has_found(), now.since(search.started));
        let Some(addresses) = search.found(now) else { return };
        let lookup = search.lookup;
        if is_first {
            self.count_found(took);
            if let Some(lookup) = lookup.and_then(|number| self.lookups.get_mut(&number)) {
                lookup.park_until(now + PARK);
            }
        }
        self.events.push_back(RoutingEvent::Found { target, addresses, took });
    }

    fn count_found(&mut self, took: Duration) {
        self.counters.found += 1;
        if self.counters.recent.len() >= RECENT {
            self.counters.recent.pop_front();
        }
        self.counters.recent.push_back(took);
    }

    fn settle_not_found(&mut self, target: NodeId, now: Instant) {
        let Some(search) = self.searches.get(&target) else { return };
        let is_punching = self.punches.get(&target).is_some_and(Punch::is_waiting);
        if !search.is_over(now, is_punching) {
            return;
        }
        let why = self.missing(search);
        self.counters.not_found += u64::from(!search.has_found());
        self.cancel(target);
        self.events.push_back(RoutingEvent::NotFound { target, why });
    }

    /// Whether the peer was told to open its NAT, and one of the two NATs is of the kind that spoils it. Otherwise it has
    /// probably just left.
    fn needs_relay(&self, search: &Search) -> bool {
        search.opened().is_some_and(|host| {
            let (_, ours) = self.nat.family(host.is_ipv4());
            ours == NatKind::Symmetric || search.is_symmetric()
        })
    }

    /// Why a search that is over came to nothing.
    fn missing(&self, search: &Search) -> Missing {
        if !self.upkeep.heard_since(search.started) {
            Missing::Offline
        } else if self.needs_relay(search) {
            Missing::NeedsRelay
        } else if search.knows_address() {
            Missing::Unreachable
        } else {
            Missing::Unknown
        }
    }
}
