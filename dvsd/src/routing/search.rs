// SPDX-License-Identifier: GPL-3.0-or-later
//! The search for one peer: every address reported for it is probed before anybody dials it.
//!
//! Timers: PINGs at 0, 200 and 400 ms; an address has failed half a second after the last one, unless two nodes confirm
//! it, when the series is repeated once; after the first PONG the others get a grace of one round trip, at most 30 ms;
//! without any node known the search ends after [`PATIENCE`].

use core::net::SocketAddr;
use core::time::Duration;

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
/// How many addresses may be expected to answer that the search itself does not probe.
const MAX_EXPECTED: u8 = 4;
/// How long their answer may take.
const EXPECTED: Duration = Duration::from_secs(1);
/// So many reporters confirm an address.
pub(super) const CONFIRMED: u8 = 2;
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

#[derive(Clone, Copy, Debug)]
struct Probe {
    address: SocketAddr,
    /// How many nodes reported the address: breaks ties between equal round-trip times.
    reporters: u8,
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
    was_forwarded: bool,
    expected: u8,
}

impl Search {
    pub(super) const fn new(lookup: u64, now: Instant) -> Self {
        Self {
            started: now,
            lookup: Some(lookup),
            probes: Vec::new(),
            reports: 0,
            grace: None,
            was_forwarded: false,
            expected: 0,
        }
    }

    /// So many `reporters` say the peer is at `address`. True if that is news; it is probed at once. When all places
    /// are taken, an address that has failed makes room.
    pub(super) fn report(&mut self, address: SocketAddr, reporters: u8, now: Instant) -> bool {
        if let Some(known) = self.probes.iter_mut().find(|probe| probe.address == address) {
            known.reporters = known.reporters.saturating_add(reporters);
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
        self.probes.push(Probe { address, reporters, state: State::Trying { sent: 0, next: now } });
        true
    }

    /// The peer is sent PINGs at `address` by others than the search, so its answer is waited for. A peer behind a
    /// symmetric NAT is reported at more addresses than can be probed, so this one has a place of its own. False if
    /// there were too many already.
    pub(super) fn expect(&mut self, address: SocketAddr, now: Instant) -> bool {
        let state = State::Trying { sent: PROBES * SERIES, next: now + EXPECTED };
        if let Some(known) = self.probes.iter_mut().find(|probe| probe.address == address) {
            known.state = if known.state == State::Failed { state } else { known.state };
            return true;
        }
        if self.expected >= MAX_EXPECTED {
            return false;
        }
        self.expected += 1;
        self.probes.push(Probe { address, reporters: 1, state });
        true
    }

    /// The peer was told to open its NAT towards us.
    pub(super) const fn note_forwarded(&mut self) {
        self.was_forwarded = true;
    }

    /// Whether the peer was told to open its NAT towards us.
    pub(super) const fn was_forwarded(&self) -> bool {
        self.was_forwarded
    }

    /// The addresses to PING now.
    pub(super) fn due(&mut self, now: Instant, random: &mut Random) -> Vec<SocketAddr> {
        let mut due = Vec::new();
        for probe in &mut self.probes {
            let State::Trying { sent, next } = &mut probe.state else { continue };
            if *next > now {
                continue;
            }
            let series = if probe.reporters >= CONFIRMED { SERIES } else { 1 };
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
            let mut answered: Vec<(Duration, core::cmp::Reverse<u8>, SocketAddr)> =
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
    fn rank(&self) -> Option<(Duration, core::cmp::Reverse<u8>, SocketAddr)> {
        match self.state {
            State::Answered(rtt) => Some((rtt, core::cmp::Reverse(self.reporters), self.address)),
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

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn an_address_gets_three_pings_and_then_has_failed() {
        let (mut search, mut random) = (Search::new(0, at(0)), Random::seeded(1));
        assert!(search.report(address(1), 1, at(0)));
        let pings: usize = (0..2_000).map(|millis| search.due(at(millis), &mut random).len()).sum();
        assert_eq!(pings, 3);
        assert!(!search.is_probing());
        assert_eq!(search.found(at(2_000)), None);
    }

    #[test]
    fn an_address_confirmed_by_two_gets_a_second_series() {
        let (mut search, mut random) = (Search::new(0, at(0)), Random::seeded(1));
        assert!(search.report(address(1), 1, at(0)));
        assert!(!search.report(address(1), 1, at(0)));
        let pings: usize = (0..4_000).map(|millis| search.due(at(millis), &mut random).len()).sum();
        assert_eq!((pings, search.is_probing()), (6, false));
    }

    #[test]
    fn a_single_address_is_found_without_waiting() {
        let mut search = Search::new(0, at(0));
        search.report(address(1), 1, at(0));
        search.due(at(0), &mut Random::seeded(1));
        search.answered(address(1), Duration::from_millis(1), at(1));
        assert_eq!(search.found(at(1)), Some(vec![(address(1), Duration::from_millis(1))]));
    }

    #[test]
    fn other_addresses_get_a_short_grace_and_the_quickest_is_first() {
        let mut search = Search::new(0, at(0));
        for number in [1, 2, 3] {
            search.report(address(number), 1, at(0));
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
        assert_eq!((0..100).filter(|number| search.report(address(*number), 1, at(0))).count(), MAX_ADDRESSES);
        search.refused(address(0));
        assert!(search.report(address(200), 1, at(0)));
    }
}
