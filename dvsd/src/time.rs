// SPDX-License-Identifier: GPL-3.0-or-later
//! Time as the core sees it: an argument, never a question asked of the system.

use core::fmt;
use core::ops::{Add, Sub};
use core::time::Duration;

/// A point on the daemon's monotonic clock, in microseconds since an arbitrary zero.
///
/// Unlike `std::time::Instant` it has a zero and can be written down in a test. The shell fills it from
/// `CLOCK_BOOTTIME`, so that a suspended machine does not lose time.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The zero of the clock.
    pub const ZERO: Self = Self(0);

    /// The instant `micros` microseconds after the zero.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The instant `millis` milliseconds after the zero.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Microseconds since the zero.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Time elapsed since `earlier`; zero when `earlier` lies in the future.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        let micros = u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        let micros = u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(micros))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// Both clocks at one moment: the argument of every `handle`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Now {
    /// The monotonic clock: every timer and deadline uses it.
    pub mono: Instant,
    /// The wall clock in seconds since 1970-01-01 UTC: only for what leaves this run of the daemon
    /// (history, signed records).
    pub unix: u64,
}

/// When a state machine wants to be called again, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Deadline {
    /// The moment at which the timeout is due.
    pub at: Instant,
    /// What is due, for logs and tests.
    pub reason: &'static str,
}

impl Deadline {
    /// A deadline at `at` because of `reason`.
    pub const fn new(at: Instant, reason: &'static str) -> Self {
        Self { at, reason }
    }

    /// The earliest of several deadlines, `None` when there is none.
    pub fn earliest(deadlines: impl IntoIterator<Item = Option<Self>>) -> Option<Self> {
        deadlines.into_iter().flatten().min_by_key(|deadline| deadline.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elapsed_time_never_underflows() {
        let early = Instant::from_millis(5);
        let late = early + Duration::from_millis(7);
        assert_eq!(late.since(early), Duration::from_millis(7));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(Instant::ZERO - Duration::from_secs(1), Instant::ZERO);
    }

    #[test]
    fn the_earliest_deadline_wins() {
        let at = |ms| Some(Deadline::new(Instant::from_millis(ms), "test"));
        assert_eq!(Deadline::earliest([at(9), None, at(3)]), at(3));
        assert_eq!(Deadline::earliest([None]), None);
    }
}
