// SPDX-License-Identifier: GPL-3.0-or-later
//! Addresses that left a request of ours unanswered: perhaps nobody is there, and somebody who has nothing to do with us
//! gets what we send. Until they answer they get short requests only.
//!
//! Timers: an address is forgotten after [`MEMORY`].

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use crate::time::Instant;

/// How long an address is remembered.
const MEMORY: Duration = Duration::from_secs(600);
/// How many addresses are remembered; then the one silent for longest is forgotten.
const MAX_ADDRESSES: usize = 512;

/// The silent addresses, and when each last left something unanswered.
#[derive(Default)]
pub(super) struct Silent(BTreeMap<SocketAddr, Instant>);

impl Silent {
    /// Whether `address` did not answer lately.
    pub(super) fn contains(&self, address: SocketAddr, now: Instant) -> bool {
        self.0.get(&address).is_some_and(|since| now.since(*since) < MEMORY)
    }

    /// Nobody answered at `address`.
    pub(super) fn note(&mut self, address: SocketAddr, now: Instant) {
        if self.0.len() >= MAX_ADDRESSES && !self.0.contains_key(&address) {
            self.make_room(now);
        }
        self.0.insert(address, now);
    }

    /// Somebody answered at `address`.
    pub(super) fn forget(&mut self, address: SocketAddr) {
        self.0.remove(&address);
    }

    fn make_room(&mut self, now: Instant) {
        self.0.retain(|_, since| now.since(*since) < MEMORY);
        let oldest = self.0.iter().min_by_key(|(_, since)| **since).map(|(address, _)| *address);
        if let Some(oldest) = oldest.filter(|_| self.0.len() >= MAX_ADDRESSES) {
            self.0.remove(&oldest);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([198, 18, 0, 1], port))
    }

    #[test]
    fn silence_is_remembered_until_an_answer_and_for_ten_minutes_at_most() {
        let mut silent = Silent::default();
        assert!(!silent.contains(address(1), Instant::ZERO));
        silent.note(address(1), Instant::ZERO);
        silent.note(address(2), Instant::ZERO);
        silent.forget(address(2));
        assert!(silent.contains(address(1), Instant::from_millis(599_999)));
        assert!(!silent.contains(address(2), Instant::ZERO));
        assert!(!silent.contains(address(1), Instant::from_millis(600_000)));
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut silent = Silent::default();
        (1..5_000).for_each(|port| silent.note(address(port), Instant::from_millis(u64::from(port))));
        assert_eq!(silent.len(), MAX_ADDRESSES);
        assert!(silent.contains(address(4_999), Instant::from_millis(5_000)));
        assert!(!silent.contains(address(1), Instant::from_millis(5_000)));
    }
}
