// SPDX-License-Identifier: GPL-3.0-or-later
//! How long packets are under way, and how long it therefore pays to wait for them.
//!
//! A packet's *delay* is its arrival time minus the time its sequence number stands for; only differences mean
//! anything. The smallest delay of the last five to ten seconds is the *origin*; a histogram above it remembers how
//! much later the others came, recent ones with more weight. The waiting time is chosen where waiting longer would
//! cost more than the packets it saves are worth: so steady jitter is covered whole, and rare spikes are not.

use crate::media::TICK_MICROS;

/// Width of a bin of the histogram.
const BIN_MICROS: i64 = 500;
/// Bins: delays up to 512 ms are told apart.
const BINS: usize = 1024;
/// Each packet weighs this much more than the one before: an average over about 256 packets (5 s).
const GROWTH: f32 = 1.0 + 1.0 / 256.0;
/// Weights are scaled down before they lose precision.
const HEAVY: f32 = 1e6;
/// What missing a share of all packets is worth, in milliseconds of delay: 20 ms for each percent.
const MISS_COST_MILLIS: f32 = 2_000.0;
/// Added to what the histogram says: arrival times are read after the fact.
const SAFETY_MICROS: i64 = 1_000;
/// How long a minimum counts; the origin is the least of two such periods.
const PERIOD_MICROS: u64 = 5_000_000;
/// Steps of the origin up to this size are drift of the two clocks: the delays above it are what they were.
const DRIFT_MICROS: i64 = 1_500;
/// A delay this far from the origin belongs to another stream: everything starts anew.
const FOREIGN_MICROS: i64 = 1_000_000;

/// What is known of the delays of one stream.
pub(super) struct Delays {
    origin_us: Option<i64>,
    /// Least delay of the running period and of the one before.
    minima: [i64; 2],
    period_end_us: u64,
    histogram: Vec<f32>,
    total: f32,
    weight: f32,
    target_us: i64,
    jitter_us: f32,
    last_delay: Option<i64>,
}

impl Delays {
    pub(super) fn new() -> Self {
        Self {
            origin_us: None,
            minima: [i64::MAX; 2],
            period_end_us: 0,
            histogram: vec![0.0; BINS],
            total: 0.0,
            weight: 1.0,
            target_us: BIN_MICROS + SAFETY_MICROS,
            jitter_us: 0.0,
            last_delay: None,
        }
    }

    /// Takes in the arrival of packet `seq`, in time or late.
    pub(super) fn record(&mut self, seq: u32, arrived_us: u64) {
        let delay = delay_of(seq, arrived_us);
        if self.origin_us.is_none_or(|origin| (delay - origin).abs() > FOREIGN_MICROS) {
            self.restart(arrived_us);
        }
        self.update_jitter(delay);
        self.update_origin(delay, arrived_us);
        self.count(delay);
        self.target_us = self.cheapest_wait();
    }

    /// When the frame `seq` should be handed to the sound card: its earliest possible arrival plus the waiting time.
    pub(super) fn ready_us(&self, seq: u32) -> i64 {
        time_of(seq) + self.origin_us.unwrap_or_default() + self.target_us
    }

    /// The waiting time chosen, in microseconds.
    pub(super) fn target_us(&self) -> u32 {
        self.target_us as u32
    }

    /// Interarrival jitter (RFC 3550, section 6.4.1), in microseconds.
    pub(super) fn jitter_us(&self) -> u32 {
        self.jitter_us as u32
    }

    fn restart(&mut self, arrived_us: u64) {
        self.origin_us = None;
        self.last_delay = None;
        self.minima = [i64::MAX; 2];
        self.period_end_us = arrived_us + PERIOD_MICROS;
        self.histogram.fill(0.0);
        self.total = 0.0;
        self.weight = 1.0;
    }

    fn update_jitter(&mut self, delay: i64) {
        if let Some(last) = self.last_delay.replace(delay) {
            self.jitter_us += ((delay - last).abs() as f32 - self.jitter_us) / 16.0;
        }
    }

    fn update_origin(&mut self, delay: i64, arrived_us: u64) {
        let [current, previous] = self.minima;
        self.minima = if arrived_us >= self.period_end_us {
            self.period_end_us = arrived_us + PERIOD_MICROS;
            [delay, current]
        } else {
            [current.min(delay), previous]
        };
        let [current, previous] = self.minima;
        // Whole bins, so that what was counted so far can move along.
        let origin = current.min(previous).div_euclid(BIN_MICROS) * BIN_MICROS;
        let moved = self.origin_us.replace(origin).map_or(0, |old| old - origin);
        if moved.abs() > DRIFT_MICROS {
            self.shift(moved / BIN_MICROS);
        }
    }

    /// Moves all counts up by `bins` (down when negative); what leaves the histogram stays in its outermost bin.
    fn shift(&mut self, bins: i64) {
        let distance = usize::try_from(bins.unsigned_abs()).unwrap_or(BINS).min(BINS);
        if distance == 0 {
            return;
        }
        let zeros = if bins > 0 {
            self.histogram.rotate_right(distance);
            0..distance
        } else {
            self.histogram.rotate_left(distance);
            BINS - distance..BINS
        };
        let spilled: f32 = self.histogram.get(zeros.clone()).unwrap_or_default().iter().sum();
        self.histogram.get_mut(zeros).unwrap_or_default().fill(0.0);
        let outermost = if bins > 0 { self.histogram.last_mut() } else { self.histogram.first_mut() };
        if let Some(bin) = outermost {
            *bin += spilled;
        }
    }

    fn count(&mut self, delay: i64) {
        let above = delay - self.origin_us.unwrap_or(delay);
        let bin = usize::try_from(above / BIN_MICROS).unwrap_or(0).min(BINS - 1);
        if let Some(bin) = self.histogram.get_mut(bin) {
            *bin += self.weight;
        }
        self.total += self.weight;
        self.weight *= GROWTH;
        if self.weight > HEAVY {
            self.histogram.iter_mut().for_each(|bin| *bin /= HEAVY);
            self.total /= HEAVY;
            self.weight /= HEAVY;
        }
    }

    fn cheapest_wait(&self) -> i64 {
        let mut best = (f32::INFINITY, 0);
        let mut missed = self.total;
        for (bin, share) in self.histogram.iter().enumerate() {
            missed -= share;
            let edge_us = (bin as i64 + 1) * BIN_MICROS;
            let cost = edge_us as f32 / 1_000.0 + MISS_COST_MILLIS * (missed / self.total).max(0.0);
            if cost < best.0 {
                best = (cost, edge_us);
            }
            if edge_us as f32 / 1_000.0 > best.0 {
                break;
            }
        }
        best.1 + SAFETY_MICROS
    }
}

/// The media time `seq` stands for, in microseconds.
fn time_of(seq: u32) -> i64 {
    i64::from(seq) * TICK_MICROS as i64
}

fn delay_of(seq: u32, arrived_us: u64) -> i64 {
    i64::try_from(arrived_us).unwrap_or(i64::MAX).saturating_sub(time_of(seq))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Feeds `count` packets whose extra delay in microseconds is given by `extra`.
    fn feed(delays: &mut Delays, from: u32, count: u32, mut extra: impl FnMut(u32) -> u64) {
        for i in from..from + count {
            delays.record(i * 8, 1_000_000 + u64::from(i) * 20_000 + extra(i));
        }
    }

    #[test]
    fn a_steady_network_needs_almost_no_waiting() {
        let mut delays = Delays::new();
        feed(&mut delays, 0, 500, |i| u64::from(i % 4) * 100);
        assert!(delays.target_us() <= 2_000, "{}", delays.target_us());
        assert_eq!(delays.ready_us(0), 1_000_000 + i64::from(delays.target_us()));
    }

    #[test]
    fn steady_jitter_is_covered_whole() {
        let mut random = Random::seeded(1);
        let mut delays = Delays::new();
        feed(&mut delays, 0, 500, |_| random.below(40_000));
        assert!((38_000..=42_500).contains(&delays.target_us()), "{}", delays.target_us());
        assert!((8_000..=18_000).contains(&delays.jitter_us()), "{}", delays.jitter_us());
    }

    #[test]
    fn rare_spikes_are_not_worth_waiting_for() {
        let mut random = Random::seeded(2);
        let mut delays = Delays::new();
        feed(&mut delays, 0, 2_000, |_| if random.below(100) == 0 { 100_000 } else { 0 });
        assert!(delays.target_us() <= 2_000, "{}", delays.target_us());
    }

    #[test]
    fn jitter_that_ended_is_forgotten() {
        let mut random = Random::seeded(3);
        let mut delays = Delays::new();
        feed(&mut delays, 0, 500, |_| random.below(40_000));
        feed(&mut delays, 500, 2_000, |_| 0);
        assert!(delays.target_us() <= 2_000, "{}", delays.target_us());
    }

    #[test]
    fn a_longer_route_becomes_the_new_origin() {
        let mut delays = Delays::new();
        feed(&mut delays, 0, 500, |_| 0);
        feed(&mut delays, 500, 600, |_| 100_000);
        assert!(delays.target_us() <= 2_000, "{}", delays.target_us());
        assert!(delays.ready_us(0) >= 1_100_000);
    }

    #[test]
    fn drifting_clocks_move_the_origin_along() {
        let mut delays = Delays::new();
        feed(&mut delays, 0, 15_000, |i| u64::from(i) * 6); // 300 ppm for five minutes
        let late_by = delays.ready_us(15_000 * 8) - (1_000_000 + 15_000 * 20_006);
        assert!((-3_500..=4_500).contains(&late_by), "{late_by}");
    }

    #[test]
    fn another_stream_starts_anew() {
        let mut delays = Delays::new();
        feed(&mut delays, 0, 100, |_| 0);
        delays.record(4_000_000_000, 1_000_000);
        delays.record(0, 5_000_000);
        assert_eq!(delays.ready_us(0), 5_000_000 + i64::from(delays.target_us()));
    }
}
