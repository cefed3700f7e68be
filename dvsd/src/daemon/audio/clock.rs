// SPDX-License-Identifier: GPL-3.0-or-later
//! Clocks of the audio thread: the system's, and the one inside a sound card.

use dvsd::media::SAMPLE_RATE;
use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of one sample, for conversions in floating point.
const SAMPLE_NANOS: f64 = 1e9 / SAMPLE_RATE as f64;

/// A point in time in nanoseconds of `CLOCK_BOOTTIME`, the daemon's clock.
pub(super) fn now_ns() -> u64 {
    nanos(ClockId::CLOCK_BOOTTIME)
}

/// The same point in time in microseconds of `CLOCK_MONOTONIC`: what goes out of the daemon.
pub(super) fn monotonic_us(boottime_ns: u64) -> u64 {
    let suspended = now_ns().saturating_sub(nanos(ClockId::CLOCK_MONOTONIC));
    boottime_ns.saturating_sub(suspended) / 1_000
}

fn nanos(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |time| time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}

/// Nanoseconds in samples.
pub(super) fn samples_in(nanos: u64) -> u64 {
    (u128::from(nanos) * u128::from(SAMPLE_RATE) / 1_000_000_000) as u64
}

/// How long `samples` last, in nanoseconds.
pub(super) fn nanos_of(samples: u64) -> u64 {
    (u128::from(samples) * 1_000_000_000 / u128::from(SAMPLE_RATE)) as u64
}

/// Where a playing card really is.
///
/// Many cards report their position in steps of a period, but they play evenly. So the position is carried forward
/// with time, a little slower than nominal, and a report only counts when it is ahead of that.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    played: f64,
    at_ns: u64,
    written: u64,
}

impl Position {
    /// By how much the carried position runs slower than nominal; more than any card is off.
    const LEAK: f64 = 500e-6;

    /// A card that starts now with nothing in its queue.
    pub(super) fn new(now_ns: u64) -> Self {
        Self { played: 0.0, at_ns: now_ns, written: 0 }
    }

    /// `samples` were written to the card.
    pub(super) fn wrote(&mut self, samples: usize) {
        self.written += samples as u64;
    }

    /// The card reports `delay` samples from the last one written to its output. Gives what really is left.
    pub(super) fn queued(&mut self, now_ns: u64, delay: usize) -> u64 {
        let reported = self.written.saturating_sub(delay as u64) as f64;
        let elapsed = now_ns.saturating_sub(self.at_ns) as f64 / SAMPLE_NANOS;
        let carried = self.played + elapsed * (1.0 - Self::LEAK);
        self.played = reported.max(carried).min(self.written as f64);
        self.at_ns = now_ns;
        self.written.saturating_sub(self.played as u64)
    }
}

/// How much must be left in the card's queue when the next sound is fetched: little, but enough for this machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Margin {
    least: u64,
    samples: u64,
    calm: u64,
}

impl Margin {
    /// Enough for a real-time thread on an idle machine: 4 ms.
    const LEAST: u64 = 192;
    /// Never more than this: 60 ms.
    const MOST: u64 = 2_880;
    /// After this many samples without trouble (20 s) half a millisecond is given back.
    const CALM: u64 = 960_000;
    const STEP: u64 = 24;

    /// A margin for a card whose period is `excess` samples longer than asked for.
    pub(super) fn new(excess: usize) -> Self {
        let least = (Self::LEAST + excess as u64).min(Self::MOST);
        Self { least, samples: least, calm: 0 }
    }

    /// The margin in force, in samples.
    pub(super) fn samples(&self) -> u64 {
        self.samples
    }

    /// The card ran dry.
    pub(super) fn ran_dry(&mut self) {
        self.samples = (self.samples + self.samples / 2).min(Self::MOST);
        self.calm = 0;
    }

    /// Sound was fetched with `queued` samples left, and `fetched` more are there now.
    pub(super) fn fetched(&mut self, queued: u64, fetched: usize) {
        if queued < self.samples / 4 {
            self.samples = (self.samples + Self::STEP).min(Self::MOST);
            self.calm = 0;
            return;
        }
        self.calm += fetched as u64;
        if self.calm >= Self::CALM {
            self.samples = self.samples.saturating_sub(Self::STEP).max(self.least);
            self.calm = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_are_exact_for_whole_frames() {
        assert_eq!(samples_in(20_000_000), 960);
        assert_eq!(nanos_of(960), 20_000_000);
        assert_eq!(samples_in(u64::MAX / 2), 442_721_857_769_029);
    }

    #[test]
    fn an_exact_card_is_believed() {
        let mut position = Position::new(0);
        position.wrote(1_152);
        assert_eq!(position.queued(0, 1_152), 1_152);
        assert!(position.queued(10_000_000, 672).abs_diff(672) <= 1);
        assert!(position.queued(20_000_000, 192).abs_diff(192) <= 1);
    }

    #[test]
    fn a_card_that_reports_in_steps_is_seen_through() {
        let mut position = Position::new(0);
        position.wrote(4_800);
        for ms in 0..90_u64 {
            let played = ms as usize * 48;
            let reported = 4_800 - played / 1_024 * 1_024;
            let queued = position.queued(ms * 1_000_000, reported);
            assert!(queued.abs_diff(4_800 - played as u64) <= 50, "{ms}: {queued}");
        }
    }

    #[test]
    fn a_card_that_drifts_is_followed() {
        for ppm in [-300, 300_i64] {
            let mut position = Position::new(0);
            position.wrote(48_000_000);
            for second in 0..600_i64 {
                let played = second * 48_000 * (1_000_000 + ppm) / 1_000_000;
                let queued = position.queued(second as u64 * 1_000_000_000, 48_000_000 - played as usize);
                assert!(queued.abs_diff(48_000_000 - played as u64) <= 20, "{ppm} ppm, {second} s");
            }
        }
    }

    #[test]
    fn the_margin_grows_with_trouble_and_shrinks_with_calm() {
        let mut margin = Margin::new(0);
        let least = margin.samples();
        margin.ran_dry();
        assert!(margin.samples() > least);
        for _ in 0..100 {
            margin.ran_dry();
        }
        assert_eq!(margin.samples(), Margin::MOST);
        for _ in 0..200_000 {
            margin.fetched(margin.samples(), 960);
        }
        assert_eq!(margin.samples(), least);
        margin.fetched(0, 960);
        assert!(margin.samples() > least);
    }

    #[test]
    fn a_long_period_forces_a_wide_margin() {
        assert_eq!(Margin::new(544).samples(), Margin::new(0).samples() + 544);
        assert_eq!(Margin::new(1_000_000).samples(), Margin::MOST);
    }
}
