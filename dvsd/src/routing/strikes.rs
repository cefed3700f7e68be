// SPDX-License-Identifier: GPL-3.0-or-later
//! Nodes that misbehave: their addresses are neither asked nor stored for a while. Only answers to our own requests
//! count, for anybody can send anything else in another's name.
//!
//! Timers: an address is ignored for [`IGNORED`]; what was counted of it lapses as soon.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use super::Routing;
use crate::path::Scope;
use crate::time::Instant;
use crate::wire::routing::Entry;

/// How long an address is ignored.
const IGNORED: Duration = Duration::from_secs(600);
/// How many addresses are ignored or counted at a time; then the oldest are forgotten.
const MAX_ADDRESSES: usize = 256;
/// A node is judged after this many answers, the first bad one and all after it …
const ANSWERS: u8 = 2;
/// … and this many entries.
const ENTRIES: u16 = 10;

/// What an address has given since its first bad answer.
#[derive(Clone, Copy, Debug)]
struct Record {
    since: Instant,
    answers: u8,
    given: u16,
    invalid: u16,
    is_ignored: bool,
}

impl Record {
    fn is_liar(&self) -> bool {
        self.answers >= ANSWERS && self.given >= ENTRIES && u32::from(self.invalid) * 2 > u32::from(self.given)
    }
}

/// The addresses that are ignored, and those that may be soon.
#[derive(Default)]
pub(super) struct Strikes(BTreeMap<SocketAddr, Record>);

impl Strikes {
    /// Whether `address` is neither to be asked nor to be stored.
    pub(super) fn is_ignored(&self, address: SocketAddr, now: Instant) -> bool {
        self.0.get(&address).is_some_and(|record| record.is_ignored && now.since(record.since) < IGNORED)
    }

    /// Ignores `address` from now on.
    fn ignore(&mut self, address: SocketAddr, now: Instant) {
        let record = Record { since: now, answers: 0, given: 0, invalid: 0, is_ignored: true };
        self.make_room(address, now);
        self.0.insert(address, record);
    }

    /// The node at `address` gave so many entries, of which so many were `invalid`. True if it gave too many of those.
    fn count(&mut self, address: SocketAddr, given: usize, invalid: usize, now: Instant) -> bool {
        self.make_room(address, now);
        let fresh = Record { since: now, answers: 0, given: 0, invalid: 0, is_ignored: false };
        if invalid == 0 && !self.0.contains_key(&address) {
            return false;
        }
        let record = self.0.entry(address).or_insert(fresh);
        let entries = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
        record.answers = record.answers.saturating_add(1);
        record.given = record.given.saturating_add(entries(given));
        record.invalid = record.invalid.saturating_add(entries(invalid));
        record.is_liar()
    }

    /// Forgets what has lapsed, and the oldest record if `newcomer` would be too many.
    fn make_room(&mut self, newcomer: SocketAddr, now: Instant) {
        if self.0.get(&newcomer).is_some_and(|record| now.since(record.since) >= IGNORED) {
            self.0.remove(&newcomer);
        }
        if self.0.len() < MAX_ADDRESSES || self.0.contains_key(&newcomer) {
            return;
        }
        self.0.retain(|_, record| now.since(record.since) < IGNORED);
        let oldest = self.0.iter().min_by_key(|(_, record)| (record.is_ignored, record.since));
        if let Some(oldest) = oldest.filter(|_| self.0.len() >= MAX_ADDRESSES).map(|(address, _)| *address) {
            self.0.remove(&oldest);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Routing {
    /// The node at `from` answered a request of ours with `entries`. If too many are such as no honest node tells, in
    /// several answers, it is thrown out.
    pub(super) fn judge(&mut self, from: SocketAddr, entries: &[Entry], now: Instant) {
        let invalid = entries.iter().filter(|entry| self.is_invalid(entry.address, from)).count();
        if self.strikes.count(from, entries.len(), invalid, now) {
            self.strike(from, now);
        }
    }

    /// Whether no honest node at `teller` can have told `address`. Private addresses are no crime: which of them may be
    /// told depends on what the teller takes *us* for.
    fn is_invalid(&self, address: SocketAddr, teller: SocketAddr) -> bool {
        match Scope::of(address) {
            Scope::Unusable | Scope::LinkLocal => true,
            Scope::Loopback => Scope::of(teller) != Scope::Loopback,
            Scope::Private(_) | Scope::Global => address.port() < self.config.lowest_port,
        }
    }

    /// Throws out whoever is at `address` and ignores it for a while.
    pub(super) fn strike(&mut self, address: SocketAddr, now: Instant) {
        self.strikes.ignore(address, now);
        self.table.expel(address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([198, 18, 0, 1], port))
    }

    #[test]
    fn one_bad_answer_is_no_reason_to_ignore_anybody() {
        let mut strikes = Strikes::default();
        assert!(!strikes.count(address(1), 20, 20, Instant::ZERO));
        assert!(!strikes.count(address(1), 20, 0, Instant::ZERO));
        assert!(strikes.count(address(1), 20, 19, Instant::ZERO));
    }

    #[test]
    fn half_of_the_entries_may_be_bad() {
        let mut strikes = Strikes::default();
        assert!((0..100).all(|_| !strikes.count(address(1), 20, 10, Instant::ZERO)));
        assert!((0..100).all(|_| !strikes.count(address(2), 4, 2, Instant::ZERO)));
        let bad = [(); 3].map(|()| strikes.count(address(3), 4, 4, Instant::ZERO));
        assert_eq!(bad, [false, false, true]);
    }

    #[test]
    fn good_answers_are_not_even_counted() {
        let mut strikes = Strikes::default();
        (0..1_000).for_each(|port| assert!(!strikes.count(address(port), 20, 0, Instant::ZERO)));
        assert_eq!(strikes.len(), 0);
    }

    #[test]
    fn an_address_is_forgiven_after_ten_minutes() {
        let mut strikes = Strikes::default();
        strikes.ignore(address(1), Instant::ZERO);
        assert!(strikes.is_ignored(address(1), Instant::from_millis(599_999)));
        assert!(!strikes.is_ignored(address(2), Instant::ZERO));
        assert!(!strikes.is_ignored(address(1), Instant::from_millis(600_000)));
        assert!(!strikes.count(address(1), 20, 20, Instant::from_millis(600_000)));
    }

    #[test]
    fn the_list_is_bounded_and_keeps_those_that_are_ignored_longest() {
        let mut strikes = Strikes::default();
        strikes.ignore(address(1), Instant::ZERO);
        for port in 2..2_000 {
            strikes.count(address(port), 20, 20, Instant::from_millis(u64::from(port)));
        }
        assert_eq!(strikes.len(), MAX_ADDRESSES);
        assert!(strikes.is_ignored(address(1), Instant::from_millis(2_000)));
    }
}
