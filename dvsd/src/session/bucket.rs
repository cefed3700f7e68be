// SPDX-License-Identifier: GPL-3.0-or-later
//! A token bucket: so many per second, so many at once.

use crate::time::Instant;

/// Limits how often something may happen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// How many tokens fit.
    burst: u32,
    /// How many tokens come per second.
    rate: u32,
    /// What is in it, in millionths of a token.
    micro_tokens: u64,
    filled: Instant,
}

const TOKEN: u64 = 1_000_000;

impl Bucket {
    /// A full bucket.
    pub(super) const fn full(rate: u32, burst: u32, now: Instant) -> Self {
        Self { burst, rate, micro_tokens: burst as u64 * TOKEN, filled: now }
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        self.fill(now);
        let taken = self.micro_tokens.checked_sub(TOKEN);
        self.micro_tokens = taken.unwrap_or(self.micro_tokens);
        taken.is_some()
    }

    /// Whether less than half of it is left.
    pub(super) fn is_below_half(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.micro_tokens < u64::from(self.burst) * TOKEN / 2
    }

    /// Whether it has filled up again, so that it need not be remembered.
    pub(super) fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.micro_tokens >= u64::from(self.burst) * TOKEN
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = u64::try_from(now.since(self.filled).as_micros()).unwrap_or(u64::MAX);
        let filled = self.micro_tokens.saturating_add(elapsed.saturating_mul(u64::from(self.rate)));
        self.micro_tokens = filled.min(u64::from(self.burst) * TOKEN);
        self.filled = self.filled.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_spent_and_comes_back() {
        let mut bucket = Bucket::full(5, 10, Instant::ZERO);
        assert_eq!((0..20).filter(|_| bucket.take(Instant::ZERO)).count(), 10);
        assert!(bucket.is_below_half(Instant::ZERO));
        let later = Instant::from_millis(1_000);
        assert_eq!((0..20).filter(|_| bucket.take(later)).count(), 5);
        assert!(bucket.is_full(Instant::from_millis(4_000)));
    }
}
