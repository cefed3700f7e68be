// SPDX-License-Identifier: GPL-3.0-or-later
//! The search for one peer: every address reported for it is probed before anybody dials it.
//!
//! Timers: PINGs at 0, 200 and 400 ms; an address has failed half a second after the last one, unless two nodes confirm
//! it, when the series is repeated once; after the first PONG the others get a grace of one round trip, at most 30 ms;
//! without any node known the search ends after [`PATIENCE`].

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeSet;

use super::entry::Crowd;
use crate::id::NodeId;
use crate::random::Random;
use crate::time::Instant;

/// How many addresses of a peer are probed at a time.
pub(super) const MAX_ADDRESSES: usize = 8;
/// How many addresses of a peer are probed in all.
const MAX_REPORTS: u8 = 16;
/// Time between two PINGs to one address.
pub(super) const PROBE_GAP: Duration = Duration::from_millis(200);
/// PINGs in one series.
const PROBES: u8 = 3;
/// Series for an address that two nodes confirm: at 20 % loss, one series misses a living peer in 5 % of all searches.
const SERIES: u8 = 2;
/// How long after the last PING of a series an address has failed.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);
/// So many nodes of different networks confirm an address.
const CONFIRMED: usize = 2;
/// How many of the nodes that reported an address are remembered.
const MAX_TELLERS: usize = 4;
/// Limits of the grace.
const GRACE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(30));
/// How long a search waits for the first node to answer at all.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Trying { sent: u8, next: Instant },
    Answered(Duration),
    Failed,
}

/// A node that said where the peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Teller {
    pub(super) id: NodeId,
    /// Where it said so from.
    pub(super) address: SocketAddr,
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
    state: State,
}

/// A search under way.
pub(super) struct Search {
    pub(super) started: Instant,
    /// The number of its lookup, while that goes on.
    pub(super) lookup: Option<u64>,
    probes: Vec<Probe>,
    reports: u8,
    grace: Option<Instant>,
}

impl Search {
    pub(super) const fn new(lookup: u64, now: Instant) -> Self {
        Self { started: now, lookup: Some(lookup), probes: Vec::new(), reports: 0, grace: None }
    }

    /// Up to four nodes that said the peer is at `address`, in the order in which they did.
    #[allow(dead_code, reason = "hole punching asks for them")]
    pub(super) fn tellers(&self, address: SocketAddr) -> &[Teller] {
        self.probes.iter().find(|probe| probe.address == address).map_or(&[], |probe| &probe.tellers)
    }

    /// The peer may be at `address`, as `source` says. True if that is news; it is probed at once. When all places are
    /// taken, an address that has failed makes room.
    pub(super) fn report(&mut self, address: SocketAddr, source: Source, now: Instant) -> bool {
        if let Some(known) = self.probes.iter_mut().find(|probe| probe.address == address) {
            known.note(source);
            return false;
        }
        let failed = self.probes.iter().position(|probe| probe.state == State::Failed);
        let is_full = self.probes.len() >= MAX_ADDRESSES;
        if self.reports >= MAX_REPORTS || (is_full && failed.is_none()) {
            return false;
        }
        if let Some(index) = failed.filter(|_| is_full) {
            self.probes.remove(index);
        }
        self.reports += 1;
        let state = State::Trying { sent: 0, next: now };
        let mut probe = Probe { address, is_known: false, tellers: Vec::new(), state };
        probe.note(source);
        self.probes.push(probe);
        true
    }

    /// The addresses to PING now.
    pub(super) fn due(&mut self, now: Instant, random: &mut Random) -> Vec<SocketAddr> {
        let mut due = Vec::new();
        for probe in &mut self.probes {
            let series = if probe.is_confirmed() { SERIES } else { 1 };
            let State::Trying { sent, next } = &mut probe.state else { continue };
            if *next > now {
                continue;
            }
            if *sent >= PROBES * series {
                probe.state = State::Failed;
                continue;
            }
            *sent += 1;
            *next = now + if *sent % PROBES == 0 { PROBE_TIMEOUT } else { random.jittered(PROBE_GAP) };
            due.push(probe.address);
        }
        due
    }

    /// The peer itself answered from `address`.
    pub(super) fn answered(&mut self, address: SocketAddr, rtt: Duration, now: Instant) {
        let (shortest, longest) = GRACE;
        if let Some(probe) = self.probes.iter_mut().find(|probe| probe.address == address) {
            probe.state = State::Answered(rtt);
            self.grace.get_or_insert(now + rtt.clamp(shortest, longest));
        }
    }

    /// Somebody else answered from `address`.
    pub(super) fn refused(&mut self, address: SocketAddr) {
        let trying = |probe: &&mut Probe| probe.address == address && !matches!(probe.state, State::Answered(_));
        if let Some(probe) = self.probes.iter_mut().find(trying) {
            probe.state = State::Failed;
        }
    }

    /// Whether an address is still being probed.
    pub(super) fn is_probing(&self) -> bool {
        self.probes.iter().any(|probe| matches!(probe.state, State::Trying { .. }))
    }

    /// The addresses that answered, quickest first, once there is nothing more to wait for.
    pub(super) fn found(&self, now: Instant) -> Option<Vec<(SocketAddr, Duration)>> {
        let is_over = self.grace? <= now || !self.is_probing();
        is_over.then(|| {
            let mut answered: Vec<(Duration, core::cmp::Reverse<usize>, SocketAddr)> =
                self.probes.iter().filter_map(Probe::rank).collect();
            answered.sort_unstable();
            answered.into_iter().map(|(rtt, _, address)| (address, rtt)).collect()
        })
    }

    /// When the search has something to do.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let probes = self.probes.iter().filter_map(|probe| match probe.state {
            State::Trying { next, .. } => Some(next),
            State::Answered(_) | State::Failed => None,
        });
        probes.chain(self.grace).min()
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
    }

    /// In how many networks somebody says so.
    fn voices(&self) -> usize {
        let crowds: BTreeSet<Crowd> = self.tellers.iter().filter_map(|teller| Crowd::of(teller.address)).collect();
        let uncounted = self.tellers.iter().filter(|teller| Crowd::of(teller.address).is_none()).count();
        crowds.len() + uncounted
    }

    fn is_confirmed(&self) -> bool {
        self.is_known || self.voices() >= CONFIRMED
    }

    fn rank(&self) -> Option<(Duration, core::cmp::Reverse<usize>, SocketAddr)> {
        match self.state {
            State::Answered(rtt) => Some((rtt, core::cmp::Reverse(self.voices()), self.address)),
            State::Trying { .. } | State::Failed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u8) -> SocketAddr {
        SocketAddr::from(([198, 18, number, 1], 5004))
    }

    fn told_by(number: u8) -> Source {
        Source::Node(Teller { id: NodeId([number; 20]), address: address(number) })
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
        search.report(address(9), Source::Node(Teller { id: NodeId([2; 20]), address: neighbour }), at(0));
        let pings: usize = (0..4_000).map(|millis| search.due(at(millis), &mut random).len()).sum();
        assert_eq!(pings, 3);
    }

    #[test]
    fn four_tellers_of_an_address_are_remembered() {
        let mut search = Search::new(0, at(0));
        (1..=9).for_each(|number| _ = search.report(address(50), told_by(number), at(0)));
        search.report(address(50), told_by(1), at(0));
        let tellers: Vec<u8> = search.tellers(address(50)).iter().map(|teller| teller.id.0[0]).collect();
        assert_eq!(tellers, [1, 2, 3, 4]);
        assert_eq!(search.tellers(address(51)), []);
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

    #[test]
    fn at_most_eight_addresses_are_probed_at_a_time() {
        let mut search = Search::new(0, at(0));
        assert_eq!((0..100).filter(|number| search.report(address(*number), told_by(1), at(0))).count(), MAX_ADDRESSES);
        search.refused(address(0));
        assert!(search.report(address(200), told_by(1), at(0)));
    }
}
