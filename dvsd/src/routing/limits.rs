// SPDX-License-Identifier: GPL-3.0-or-later
//! How many requests are answered: per source prefix, and in all. The state is bounded whatever the sources are.
//!
//! Askers with a valid token have a budget of their own per address, so that forged sources cannot lock them out, and
//! one per network, so that neither can a single host with many ports.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use super::entry::Crowd;
use crate::path::Prefix;
use crate::time::Instant;

/// Requests per second from one source.
const SOURCE_RATE: u32 = 20;
/// Requests at once from one source.
const SOURCE_BURST: u32 = 40;
/// Requests per second from all sources of one kind.
const GLOBAL_RATE: u32 = 500;
/// Requests with a token from one network, per second and at once, so that one host with many ports is not everybody.
const NETWORK_RATE: Rate = (100, 200);
/// How many sources are told apart; the others share one allowance.
const MAX_SOURCES: usize = 1024;
/// How often the sources that are silent may be looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// A token bucket: `rate` per second, at most `burst` at once. Counted in millionths.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    millionths: u64,
    at: Instant,
}

impl Allowance {
    const ONE: u64 = 1_000_000;

    fn full(burst: u32, now: Instant) -> Self {
        Self { millionths: u64::from(burst) * Self::ONE, at: now }
    }

    fn refill(&mut self, rate: u32, burst: u32, now: Instant) {
        let micros = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        let gained = micros.saturating_mul(u64::from(rate));
        self.millionths = self.millionths.saturating_add(gained).min(u64::from(burst) * Self::ONE);
        self.at = self.at.max(now);
    }

    fn is_full(&self, rate: u32, burst: u32, now: Instant) -> bool {
        let mut filled = *self;
        filled.refill(rate, burst, now);
        filled.millionths == u64::from(burst) * Self::ONE
    }

    fn take(&mut self, rate: u32, burst: u32, now: Instant) -> bool {
        self.refill(rate, burst, now);
        let left = self.millionths.checked_sub(Self::ONE);
        self.millionths = left.unwrap_or(self.millionths);
        left.is_some()
    }
}

/// At most so many of something per second, whoever it is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter {
    rate: u32,
    burst: u32,
    allowance: Allowance,
}

impl Meter {
    /// `rate` per second, at most `burst` at once.
    pub(super) fn new(rate: u32, burst: u32, now: Instant) -> Self {
        Self { rate, burst, allowance: Allowance::full(burst, now) }
    }

    /// Whether one more is allowed now; if so, it counts.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        self.allowance.take(self.rate, self.burst, now)
    }
}

/// Whose allowance it is where sources cannot be forged: a /24 or /48 of the Internet, elsewhere a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Network {
    Crowd(Crowd),
    Prefix(Prefix),
}

impl Network {
    /// The network of `source`.
    pub(super) fn of(source: SocketAddr) -> Self {
        Crowd::of(source).map_or_else(|| Self::Prefix(Prefix::of(source)), Self::Crowd)
    }
}

/// So many per second, and at once.
type Rate = (u32, u32);

/// The allowances of one kind of source, and of all of them together.
pub(super) struct Sources<Key> {
    rate: Rate,
    each: BTreeMap<Key, Allowance>,
    overflow: Allowance,
    all: Meter,
    swept: Instant,
}

impl<Key: Ord> Sources<Key> {
    /// `rate`: of each; `all`: of all together.
    pub(super) fn new(rate: Rate, all: Rate, now: Instant) -> Self {
        let (overflow, all) = (Allowance::full(rate.1, now), Meter::new(all.0, all.1, now));
        Self { rate, each: BTreeMap::new(), overflow, all, swept: now }
    }

    /// Whether one more of `key` is allowed now; if so, it counts.
    pub(super) fn admit(&mut self, key: Key, now: Instant) -> bool {
        self.make_room(now);
        let (rate, burst) = self.rate;
        let is_full = self.each.len() >= MAX_SOURCES && !self.each.contains_key(&key);
        let allowance = if is_full {
            &mut self.overflow
        } else {
            self.each.entry(key).or_insert_with(|| Allowance::full(burst, now))
        };
        allowance.take(rate, burst, now) && self.all.take(now)
    }

    /// Forgets sources whose allowance is full again: they are as good as new ones.
    fn make_room(&mut self, now: Instant) {
        let (rate, burst) = self.rate;
        if self.each.len() >= MAX_SOURCES && now.since(self.swept) >= SWEEP {
            self.each.retain(|_, allowance| !allowance.is_full(rate, burst, now));
            self.swept = now;
        }
    }
}

/// Decides whether a request is answered.
pub(super) struct Limits {
    unproven: Sources<Prefix>,
    networks: Sources<Network>,
    proven: Sources<SocketAddr>,
}

impl Limits {
    pub(super) fn new(now: Instant) -> Self {
        let (source, all) = ((SOURCE_RATE, SOURCE_BURST), (GLOBAL_RATE, GLOBAL_RATE));
        Self {
            unproven: Sources::new(source, all, now),
            networks: Sources::new(NETWORK_RATE, (u32::MAX, u32::MAX), now),
            proven: Sources::new(source, all, now),
        }
    }

    /// Whether the request from `source` may be answered now. `proven`: it came with a valid token.
    pub(super) fn admit(&mut self, source: SocketAddr, proven: bool, now: Instant) -> bool {
        if proven {
            self.networks.admit(Network::of(source), now) && self.proven.admit(source, now)
        } else {
            self.unproven.admit(Prefix::of(source), now)
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.unproven.each.len() + self.networks.each.len() + self.proven.each.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(net: u16) -> SocketAddr {
        let [high, low] = net.to_be_bytes();
        SocketAddr::from(([high | 1, low, 1, 1], 5004))
    }

    fn admitted(limits: &mut Limits, source: SocketAddr, proven: bool, now: Instant) -> usize {
        (0..1_000).filter(|_| limits.admit(source, proven, now)).count()
    }

    #[test]
    fn one_source_gets_its_burst_and_then_its_rate() {
        let mut limits = Limits::new(Instant::ZERO);
        assert_eq!(admitted(&mut limits, address(1), false, Instant::ZERO), 40);
        assert_eq!(admitted(&mut limits, address(1), false, Instant::from_millis(500)), 10);
        assert_eq!(admitted(&mut limits, address(1), false, Instant::from_millis(60_000)), 40);
    }

    #[test]
    fn all_sources_together_have_a_limit() {
        let mut limits = Limits::new(Instant::ZERO);
        let total: usize = (0..100).map(|net| admitted(&mut limits, address(net), false, Instant::ZERO)).sum();
        assert_eq!(total, 500);
    }

    #[test]
    fn a_meter_lets_its_burst_through_and_then_its_rate() {
        let mut meter = Meter::new(20, 40, Instant::ZERO);
        let mut taken = |millis: u64| (0..100).filter(|_| meter.take(Instant::from_millis(millis))).count();
        assert_eq!([taken(0), taken(500), taken(500), taken(10_000)], [40, 10, 0, 40]);
    }

    #[test]
    fn forged_sources_cannot_lock_out_an_asker_with_a_token() {
        let mut limits = Limits::new(Instant::ZERO);
        for net in 0..100 {
            admitted(&mut limits, address(net), false, Instant::ZERO);
        }
        assert!(limits.admit(address(1), true, Instant::ZERO));
    }

    #[test]
    fn the_state_is_bounded() {
        let mut limits = Limits::new(Instant::ZERO);
        for net in 0..20_000 {
            limits.admit(address(net), net % 2 == 0, Instant::from_millis(u64::from(net)));
        }
        assert!(limits.len() <= 3 * MAX_SOURCES);
    }
}
