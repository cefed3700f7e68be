// SPDX-License-Identifier: GPL-3.0-or-later
//! The search for one peer: every address reported for it is probed before anybody dials it.
//!
//! Anybody can report an address and answer a PING, so an address that answered is no proof. A search that has found
//! something is therefore parked, and goes on by itself unless it is cancelled, until nothing is left to try.
//!
//! Timers: PINGs at 0, 200 and 400 ms; an address has failed half a second after the last one, unless two networks
//! confirm it, when the series is repeated once; after a PONG the others get a grace of one round trip, at most 30 ms;
//! a search is parked for [`PARK`] and ends after [`LIMIT`]; without any node known it ends after [`PATIENCE`].

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use super::entry::Crowd;
use crate::id::NodeId;
use crate::random::Random;
use crate::time::Instant;

/// How many addresses of a peer are probed at a time.
pub(super) const MAX_PROBING: usize = 8;
/// How many of them in one /24 or /48.
const CROWD_PROBING: usize = 2;
/// How many addresses of a peer are heeded in all. A lookup has 120 questions and believes two addresses per answer.
const MAX_ADDRESSES: usize = 128;
/// Time between two PINGs to one address.
pub(super) const PROBE_GAP: Duration = Duration::from_millis(200);
/// PINGs in one series.
const PROBES: u8 = 3;
/// PINGs to an address that is confirmed: at 20 % loss, one series misses a living peer in 5 % of all searches.
const CONFIRMED_PROBES: u8 = 2 * PROBES;
/// How long after the last PING of a series an address has failed.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);
/// How many addresses that PINGs came from may be expected to answer: of hosts that others name as well, and of hosts
/// that nobody else names, one of each network.
const MAX_EXPECTED: u8 = 4;
/// How long their answer may take.
const EXPECTED: Duration = Duration::from_secs(1);
/// So many nodes of different networks confirm an address.
const CONFIRMED: usize = 2;
/// How many of the nodes that reported an address are remembered.
const MAX_TELLERS: usize = 4;
/// Limits of the grace.
const GRACE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(30));
/// How long a search waits for the first node to answer at all.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// How long a search rests when it has found an address: mostly the handshake succeeds meanwhile.
pub(super) const PARK: Duration = Duration::from_secs(1);

/// How long a search may take: its lookup, and one series of probes for what that learnt last.
pub(super) const LIMIT: Duration = Duration::from_secs(17);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// All places are taken.
    Queued,
    /// Gets its next PING at this time.
    Trying(Instant),
    /// Answered after this time, which is still to be reported.
    Answered(Duration),
    Reported,
    Failed,
}

/// A node that said where the peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Teller {
    pub(super) id: NodeId,
    /// Where it said so from.
    pub(super) address: SocketAddr,
    /// The path of the lookup that it belongs to.
    pub(super) path: u8,
}

/// How an address of the peer became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The user gave it.
    Hint,
    /// The peer has answered us there before.
    Table,
    /// Another node said so.
    Node(Teller),
}

#[derive(Clone, Debug)]
struct Probe {
    address: SocketAddr,
    /// Whether the peer has answered us there before.
    is_known: bool,
    tellers: Vec<Teller>,
    /// PINGs sent.
    sent: u8,
    state: State,
}

/// A search under way.
pub(super) struct Search {
    pub(super) started: Instant,
    /// The number of its lookup, while that goes on.
    pub(super) lookup: Option<u64>,
    /// What we call ourselves in its requests, if not by our ID.
    pub(super) alias: Option<NodeId>,
    /// In the order in which they became known.
    probes: Vec<Probe>,
    grace: Option<Instant>,
    parked: Option<Instant>,
    has_found: bool,
    /// The host that was told to open its NAT towards us.
    opened: Option<IpAddr>,
    /// Addresses expected because of their PINGs: of hosts named by others, and of others.
    expected: [u8; 2],
}

impl Search {
    pub(super) const fn new(lookup: u64, now: Instant) -> Self {
        Self {
            started: now,
            lookup: Some(lookup),
            alias: None,
            probes: Vec::new(),
            grace: None,
            parked: None,
            has_found: false,
            opened: None,
            expected: [0; 2],
        }
    }

    /// Whether any address of the peer ever became known.
    pub(super) const fn knows_address(&self) -> bool {
        !self.probes.is_empty()
    }

    /// Whether any address of the peer was reported as found.
    pub(super) const fn has_found(&self) -> bool {
        self.has_found
    }

    /// The peer may be at `address`, as `source` says. True if that is news; it is probed as soon as there is a place.
    pub(super) fn report(&mut self, address: SocketAddr, source: Source, now: Instant) -> bool {
        if let Some(known) = self.probes.iter_mut().find(|probe| probe.address == address) {
            known.note(source);
            return false;
        }
        if self.probes.len() >= MAX_ADDRESSES {
            return false;
        }
        let mut probe = Probe { address, is_known: false, tellers: Vec::new(), sent: 0, state: State::Queued };
        probe.note(source);
        self.probes.push(probe);
        self.drop_moot();
        self.fill_places(now);
        true
    }

    /// The peer is sent PINGs at `address` by others than the search, so its answer is waited for. A peer behind a
    /// symmetric NAT is reported at more addresses than can be probed, so this one has a place of its own.
    pub(super) fn expect(&mut self, address: SocketAddr, now: Instant) {
        let waiting = State::Trying(now + EXPECTED);
        let known = self.probes.iter_mut().find(|probe| probe.address == address);
        match known {
            Some(known) if matches!(known.state, State::Queued | State::Failed) => {
                (known.sent, known.state) = (CONFIRMED_PROBES, waiting);
            }
            Some(_) => {}
            None => {
                let (is_known, tellers, sent) = (false, Vec::new(), CONFIRMED_PROBES);
                self.probes.push(Probe { address, is_known, tellers, sent, state: waiting });
            }
        }
    }

    /// A PING in the peer's name came from `address`: as [`Self::expect`]. Anybody can send that, so there are few places
    /// for hosts that nobody names, and others for those that somebody does. False if they are taken.
    pub(super) fn expect_sender(&mut self, address: SocketAddr, now: Instant) -> bool {
        if self.probes.iter().any(|probe| probe.address == address) {
            self.expect(address, now);
            return true;
        }
        let is_named =
            |probe: &Probe| !probe.tellers.is_empty() || probe.is_known || Some(probe.address.ip()) == self.opened;
        let is_host_named = self.probes.iter().any(|probe| probe.address.ip() == address.ip() && is_named(probe));
        let crowd = Crowd::of(address);
        let is_crowded = !is_host_named
            && self.probes.iter().any(|probe| crowd.is_some() && !is_named(probe) && Crowd::of(probe.address) == crowd);
        let [named, unnamed] = &mut self.expected;
        let count = if is_host_named { named } else { unnamed };
        if is_crowded || *count >= MAX_EXPECTED {
            return false;
        }
        *count += 1;
        self.expect(address, now);
        true
    }

    /// The peer was told to open its NAT towards us, by somebody who sees it at `address`. What others alone say of the
    /// same host is not tried any more: a NAT that must be opened shows each of them another port.
    pub(super) fn note_forwarded(&mut self, address: SocketAddr) {
        self.opened.get_or_insert(address.ip());
        self.drop_moot();
    }

    fn drop_moot(&mut self) {
        let is_moot = |probe: &&mut Probe| {
            let is_alone = probe.entitled() == PROBES && !probe.tellers.is_empty();
            probe.state == State::Queued && self.opened == Some(probe.address.ip()) && is_alone
        };
        for probe in self.probes.iter_mut().filter(is_moot) {
            (probe.sent, probe.state) = (PROBES, State::Failed);
        }
    }

    /// The host that was told to open its NAT towards us, if any.
    pub(super) const fn opened(&self) -> Option<IpAddr> {
        self.opened
    }

    /// Whether several ports of the host that was told to open its NAT are known: it has another one for everybody.
    pub(super) fn is_symmetric(&self) -> bool {
        self.probes.iter().filter(|probe| Some(probe.address.ip()) == self.opened).count() > 1
    }

    /// The addresses to PING now.
    pub(super) fn due(&mut self, now: Instant, random: &mut Random) -> Vec<SocketAddr> {
        self.fill_places(now);
        let mut due = Vec::new();
        for probe in &mut self.probes {
            if !matches!(probe.state, State::Trying(next) if next <= now) {
                continue;
            }
            if probe.sent >= probe.entitled() {
                probe.state = State::Failed;
                continue;
            }
            probe.sent += 1;
            let pause = if probe.sent % PROBES == 0 { PROBE_TIMEOUT } else { random.jittered(PROBE_GAP) };
            probe.state = State::Trying(now + pause);
            due.push(probe.address);
        }
        if self.fill_places(now) {
            due.extend(self.due(now, random));
        }
        due
    }

    /// The peer itself, or whoever says so, answered from `address`.
    pub(super) fn answered(&mut self, address: SocketAddr, rtt: Duration, now: Instant) {
        let (shortest, longest) = GRACE;
        let waits = |probe: &&mut Probe| probe.address == address && probe.state != State::Reported;
        if let Some(probe) = self.probes.iter_mut().find(waits) {
            probe.state = State::Answered(rtt);
            self.grace.get_or_insert(now + rtt.clamp(shortest, longest));
        }
    }

    /// Somebody else answered from `address`.
    pub(super) fn refused(&mut self, address: SocketAddr) {
        let trying = |probe: &&mut Probe| probe.address == address && matches!(probe.state, State::Trying(_));
        if let Some(probe) = self.probes.iter_mut().find(trying) {
            (probe.sent, probe.state) = (CONFIRMED_PROBES, State::Failed);
        }
    }

    /// Whether `address` has answered.
    pub(super) fn has_answer(&self, address: SocketAddr) -> bool {
        let answered = |probe: &Probe| matches!(probe.state, State::Answered(_) | State::Reported);
        self.probes.iter().any(|probe| probe.address == address && answered(probe))
    }

    /// Whether an address is still being probed.
    pub(super) fn is_probing(&self) -> bool {
        self.probes.iter().any(|probe| matches!(probe.state, State::Trying(_) | State::Queued))
    }

    /// The addresses that answered and were not reported yet, quickest first, once there is nothing more to wait for.
    /// They count as reported. The first time the search is parked.
    pub(super) fn found(&mut self, now: Instant) -> Option<Vec<(SocketAddr, Duration)>> {
        if self.grace? > now && self.is_probing() {
            return None;
        }
        self.grace = None;
        let mut answered: Vec<_> = self.probes.iter_mut().filter_map(Probe::take_rank).collect();
        answered.sort_unstable();
        if !core::mem::replace(&mut self.has_found, true) {
            self.parked = Some(now + PARK);
        }
        Some(answered.into_iter().map(|(rtt, _, address)| (address, rtt)).collect())
    }

    /// Goes on if it has rested long enough. True when it just does.
    pub(super) fn wake(&mut self, now: Instant) -> bool {
        let is_rested = self.parked.is_some_and(|until| now >= until);
        self.parked = self.parked.filter(|_| !is_rested);
        is_rested
    }

    /// Whether there is nothing left to try. `is_punching`: the peer is being asked to open its NAT.
    pub(super) fn is_over(&self, now: Instant, is_punching: bool) -> bool {
        now >= self.started + LIMIT || (self.lookup.is_none() && self.next_due().is_none() && !is_punching)
    }

    /// When the search has something to do, or is given up.
    pub(super) fn due_at(&self) -> Instant {
        self.next_due().map_or(self.started + LIMIT, |due| due.min(self.started + LIMIT))
    }

    /// When the search has something to do.
    fn next_due(&self) -> Option<Instant> {
        let probes = self.probes.iter().filter_map(|probe| match probe.state {
            State::Trying(next) => Some(next),
            State::Queued | State::Answered(_) | State::Reported | State::Failed => None,
        });
        probes.chain(self.grace).chain(self.parked).min()
    }

    /// Whether an address went from the queue to a free place.
    fn fill_places(&mut self, now: Instant) -> bool {
        let mut moved = false;
        while let Some(probe) = self.next_queued().and_then(|index| self.probes.get_mut(index)) {
            probe.state = State::Trying(now);
            moved = true;
        }
        moved
    }

    /// Who gets the next free place: whom the user or the own table names, then what several paths say, then networks
    /// that were tried the least.
    fn next_queued(&self) -> Option<usize> {
        let is_queued = |probe: &Probe| probe.state == State::Queued;
        let places = self.probes.iter().filter(|probe| matches!(probe.state, State::Trying(_))).count();
        if places >= MAX_PROBING || !self.probes.iter().any(is_queued) {
            return None;
        }
        let mut crowds: BTreeMap<Crowd, (usize, usize)> = BTreeMap::new();
        for probe in self.probes.iter().filter(|probe| !is_queued(probe)) {
            let Some(crowd) = Crowd::of(probe.address) else { continue };
            let (trying, tried) = crowds.entry(crowd).or_default();
            *trying += usize::from(matches!(probe.state, State::Trying(_)));
            *tried += 1;
        }
        let rank = |probe: &Probe| {
            let crowd = Crowd::of(probe.address).and_then(|crowd| crowds.get(&crowd));
            let (trying, tried) = crowd.copied().unwrap_or_default();
            (trying < CROWD_PROBING).then(|| (core::cmp::Reverse(probe.paths()), tried))
        };
        let queued = self.probes.iter().enumerate().filter(|(_, probe)| is_queued(probe));
        queued.filter_map(|(index, probe)| Some((rank(probe)?, index))).min().map(|(_, index)| index)
    }
}

impl Probe {
    fn note(&mut self, source: Source) {
        match source {
            Source::Hint => {}
            Source::Table => self.is_known = true,
            Source::Node(teller) => {
                let is_new = self.tellers.iter().all(|known| known.id != teller.id);
                if is_new && self.tellers.len() < MAX_TELLERS {
                    self.tellers.push(teller);
                }
            }
        }
        if self.state == State::Failed && self.sent < self.entitled() {
            self.state = State::Queued;
        }
    }

    /// How many PINGs it gets.
    fn entitled(&self) -> u8 {
        if self.is_known || self.voices() >= CONFIRMED { CONFIRMED_PROBES } else { PROBES }
    }

    /// In how many networks somebody says so.
    fn voices(&self) -> usize {
        let crowds: BTreeSet<Crowd> = self.tellers.iter().filter_map(|teller| Crowd::of(teller.address)).collect();
        let uncounted = self.tellers.iter().filter(|teller| Crowd::of(teller.address).is_none()).count();
        crowds.len() + uncounted
    }

    /// On how many paths of the lookup somebody says so; more than any for an address that no node told.
    fn paths(&self) -> usize {
        let paths: BTreeSet<u8> = self.tellers.iter().map(|teller| teller.path).collect();
        if paths.is_empty() { usize::MAX } else { paths.len() }
    }

    fn take_rank(&mut self) -> Option<(Duration, core::cmp::Reverse<usize>, SocketAddr)> {
        let State::Answered(rtt) = self.state else { return None };
        self.state = State::Reported;
        Some((rtt, core::cmp::Reverse(self.voices()), self.address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u8) -> SocketAddr {
        SocketAddr::from(([198, 18, number, 1], 5004))
    }

    fn told_by(number: u8) -> Source {
        Source::Node(Teller { id: NodeId([number; 20]), address: address(number), path: number })
    }

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn an_address_gets_three_pings_and_then_has_failed() {
        let (mut search, mut random) = (Search::new(0, at(0)), Random::seeded(1));
        assert!(search.report(address(1), told_by(1), at(0)));
        let pings: usize = (0..2_000).map(|millis| search.due(at(millis), &mut random).len()).sum();
        assert_eq!(pings, 3);
        assert!(!search.is_probing());
        assert_eq!(search.found(at(2_000)), None);
    }

    #[test]
    fn an_address_confirmed_by_two_gets_a_second_series() {
        let (mut search, mut random) = (Search::new(0, at(0)), Random::seeded(1));
        assert!(search.report(address(1), told_by(1), at(0)));
        assert!(!search.report(address(1), told_by(2), at(0)));
        let pings: usize = (0..4_000).map(|millis| search.due(at(millis), &mut random).len()).sum();
        assert_eq!((pings, search.is_probing()), (6, false));
    }

    #[test]
    fn the_same_network_twice_confirms_nothing() {
        let (mut search, mut random) = (Search::new(0, at(0)), Random::seeded(1));
        let mut neighbour = address(1);
        neighbour.set_port(6_000);
        search.report(address(9), told_by(1), at(0));
        search.report(address(9), Source::Node(Teller { id: NodeId([2; 20]), address: neighbour, path: 2 }), at(0));
        let pings: usize = (0..4_000).map(|millis| search.due(at(millis), &mut random).len()).sum();
        assert_eq!(pings, 3);
    }

    #[test]
    fn four_tellers_of_an_address_are_remembered() {
        let mut search = Search::new(0, at(0));
        (1..=9).for_each(|number| _ = search.report(address(50), told_by(number), at(0)));
        search.report(address(50), told_by(1), at(0));
        let tellers: Vec<u8> = search.probes[0].tellers.iter().map(|teller| teller.id.0[0]).collect();
        assert_eq!(tellers, [1, 2, 3, 4]);
    }

    #[test]
    fn a_single_address_is_found_without_waiting() {
        let mut search = Search::new(0, at(0));
        search.report(address(1), told_by(1), at(0));
        search.due(at(0), &mut Random::seeded(1));
        search.answered(address(1), Duration::from_millis(1), at(1));
        assert_eq!(search.found(at(1)), Some(vec![(address(1), Duration::from_millis(1))]));
    }

    #[test]
    fn other_addresses_get_a_short_grace_and_the_quickest_is_first() {
        let mut search = Search::new(0, at(0));
        for number in [1, 2, 3] {
            search.report(address(number), told_by(1), at(0));
        }
        search.due(at(0), &mut Random::seeded(1));
        search.answered(address(2), Duration::from_millis(40), at(40));
        assert_eq!(search.found(at(40)), None);
        search.answered(address(1), Duration::from_millis(35), at(50));
        let both = vec![(address(1), Duration::from_millis(35)), (address(2), Duration::from_millis(40))];
        assert_eq!(search.found(at(70)), Some(both));
    }

    /// How many addresses are probed now.
    fn places(search: &Search) -> usize {
        search.probes.iter().filter(|probe| matches!(probe.state, State::Trying(_))).count()
    }

    #[test]
    fn at_most_eight_addresses_are_probed_at_a_time() {
        let (mut search, mut random) = (Search::new(0, at(0)), Random::seeded(1));
        (0..100).for_each(|number| assert!(search.report(address(number), told_by(1), at(0))));
        assert_eq!(search.due(at(0), &mut random).len(), MAX_PROBING);
        search.refused(address(0));
        search.answered(address(1), Duration::from_millis(1), at(1));
        assert_eq!(search.due(at(1), &mut random).len(), 2);
        assert_eq!(places(&search), MAX_PROBING);
    }

    #[test]
    fn the_addresses_of_a_peer_are_bounded_and_each_gets_its_pings_once() {
        let (mut search, mut random) = (Search::new(0, at(0)), Random::seeded(1));
        let mut pings = 0;
        for millis in 0..40_000 {
            let number = (millis % 500) as u16;
            search.report(SocketAddr::from(([198, 18, (number >> 2) as u8, 1], 5004 + number)), told_by(1), at(millis));
            pings += search.due(at(millis), &mut random).len();
        }
        assert_eq!((search.probes.len(), pings), (MAX_ADDRESSES, MAX_ADDRESSES * usize::from(PROBES)));
    }

    #[test]
    fn f14_many_addresses_in_one_network_take_two_places() {
        let (mut search, mut random) = (Search::new(0, at(0)), Random::seeded(1));
        for port in 6_000..6_050 {
            search.report(SocketAddr::from(([198, 18, 7, 1], port)), told_by(1), at(0));
        }
        search.report(address(9), told_by(2), at(0));
        let due = search.due(at(0), &mut random);
        assert_eq!((due.len(), due.contains(&address(9))), (CROWD_PROBING + 1, true));
    }

    #[test]
    fn what_two_paths_say_comes_first() {
        let (mut search, mut random) = (Search::new(0, at(0)), Random::seeded(1));
        (0..20).for_each(|number| _ = search.report(address(number), told_by(1), at(0)));
        search.due(at(0), &mut random);
        search.report(address(15), told_by(2), at(0));
        search.refused(address(0));
        assert_eq!(search.due(at(1), &mut random), [address(15)]);
    }

    #[test]
    fn a_failed_address_gets_its_second_series_when_it_is_confirmed_later() {
        let (mut search, mut random) = (Search::new(0, at(0)), Random::seeded(1));
        search.report(address(9), told_by(1), at(0));
        let pings: usize = (0..2_000).map(|millis| search.due(at(millis), &mut random).len()).sum();
        assert!(!search.report(address(9), told_by(2), at(2_000)));
        let more: usize = (2_000..4_000).map(|millis| search.due(at(millis), &mut random).len()).sum();
        assert_eq!((pings, more, search.is_probing()), (3, 3, false));
    }

    #[test]
    fn each_address_is_reported_once_and_the_search_rests_once() {
        let (mut search, mut random) = (Search::new(0, at(0)), Random::seeded(1));
        let found = |search: &mut Search, number: u8, millis: u64| {
            search.report(address(number), told_by(1), at(millis));
            search.due(at(millis), &mut Random::seeded(1));
            search.answered(address(number), Duration::from_millis(1), at(millis));
            search.found(at(millis)).map(|found| found.len())
        };
        assert_eq!(found(&mut search, 1, 0), Some(1));
        assert_eq!((search.found(at(50)), search.next_due()), (None, Some(at(1_000))));
        search.wake(at(1_000));
        assert_eq!(search.next_due(), None);
        assert_eq!(found(&mut search, 1, 1_100), None);
        assert_eq!(found(&mut search, 2, 1_200), Some(1));
        assert_eq!((search.due(at(2_000), &mut random), search.next_due()), (Vec::new(), None));
    }

    #[test]
    fn a_search_ends_however_much_is_left_to_try() {
        let (mut search, mut random) = (Search::new(0, at(0)), Random::seeded(1));
        for millis in (0..17_000).step_by(20) {
            search.report(SocketAddr::from(([198, 18, 1, 1], 5_000 + (millis / 10) as u16)), told_by(1), at(millis));
            search.due(at(millis), &mut random);
        }
        search.lookup = None;
        assert!(search.is_probing() && !search.is_over(at(16_999), false) && search.is_over(at(17_000), false));
        assert!(search.due_at() <= at(17_000));
    }
}
