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

/// How much must be left in the card's queue when the next sound is fetched: little, but more than this machine has
/// lately been late.
#[derive(Clone, Copy, Debug)]
pub(super) struct Margin {
    least: f64,
    /// The worst lateness, in samples, fading with time.
    worst: f64,
}

impl Margin {
    /// Enough for a real-time thread on an idle machine: 4 ms.
    const LEAST: f64 = 192.0;
    /// Never more than this: 60 ms.
    const MOST: f64 = 2_880.0;
    /// Kept on top of the worst lateness: 2 ms.
    const SPARE: f64 = 96.0;
    /// Lateness fades to a third in this many samples: 10 s.
    const MEMORY: f64 = 480_000.0;

    /// A margin for a card whose period is `excess` samples longer than asked for.
    pub(super) fn new(excess: usize) -> Self {
        Self { least: (Self::LEAST + excess as f64).min(Self::MOST), worst: 0.0 }
    }

    /// The margin in force, in samples.
    pub(super) fn samples(&self) -> u64 {
        (self.worst + Self::SPARE).clamp(self.least, Self::MOST) as u64
    }

    /// The card ran dry: how late we were is not known, only that the margin did not do.
    pub(super) fn ran_dry(&mut self) {
        self.worst = self.samples() as f64;
    }

    /// Sound was fetched with `queued` samples left, and `fetched` more are there now.
    pub(super) fn fetched(&mut self, queued: u64, fetched: usize) {
        let late = self.samples().saturating_sub(queued) as f64;
        let faded = self.worst * (1.0 - (fetched as f64 / Self::MEMORY).min(1.0));
        self.worst = faded.max(late);
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
        assert_eq!(margin.samples(), least + 96);
        for _ in 0..100 {
            margin.ran_dry();
        }
        assert_eq!(margin.samples(), 2_880);
        for _ in 0..2_000 {
            margin.fetched(margin.samples(), 960);
        }
        assert_eq!(margin.samples(), least);
    }

    #[test]
    fn the_margin_is_wider_than_the_worst_lateness_of_late() {
        let mut margin = Margin::new(0);
        margin.fetched(10, 960);
        assert_eq!(margin.samples(), 192 - 10 + 96);
        margin.fetched(margin.samples(), 960);
        assert!(margin.samples() > 270, "it fades slowly");
    }

    #[test]
    fn a_long_period_forces_a_wide_margin() {
        assert_eq!(Margin::new(544).samples(), Margin::new(0).samples() + 544);
        assert_eq!(Margin::new(1_000_000).samples(), 2_880);
    }
}
