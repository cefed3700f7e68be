// SPDX-License-Identifier: GPL-3.0-or-later
//! How a bad network treats packets: the pure half of [`link`](crate::link), which decides for each packet when its
//! copies come out at the other end. Seeded, so that a run can be repeated.

use core::time::Duration;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use dvsd::random::Random;

/// What a link does to packets, in each direction alike. The default does nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// Time every packet takes.
    pub delay: Duration,
    /// Uniform deviation from `delay`, at most this much either way. Packets may overtake each other, see `in_order`.
    pub jitter: Duration,
    /// Share of packets lost, 0 to 1.
    pub loss: f64,
    /// Mean number of packets lost in a row; above 1 losses come in bursts (Gilbert's two-state chain).
    pub burst: f64,
    /// Share of packets that skip the delay and so overtake others, 0 to 1.
    pub reorder: f64,
    /// Share of packets that arrive twice, 0 to 1.
    pub duplicate: f64,
    /// Share of packets held up by `spike_delay` on top, 0 to 1.
    pub spike: f64,
    /// What a held-up packet waits.
    pub spike_delay: Duration,
    /// Bits per second the link carries, IP headers included; packets queue behind each other.
    pub rate: Option<u64>,
    /// Whether a packet never overtakes another, as in a router's queue.
    pub in_order: bool,
    /// The same seed treats the same packets in the same way.
    pub seed: u64,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            burst: 1.0,
            reorder: 0.0,
            duplicate: 0.0,
            spike: 0.0,
            spike_delay: Duration::ZERO,
            rate: None,
            in_order: false,
            seed: 1,
        }
    }
}

impl Conditions {
    /// A link that takes `delay ± jitter` milliseconds and loses `loss` of the packets.
    pub fn bad(delay_ms: u64, jitter_ms: u64, loss: f64) -> Self {
        let [delay, jitter] = [delay_ms, jitter_ms].map(Duration::from_millis);
        Self { delay, jitter, loss, ..Self::default() }
    }
}

/// One direction of a link.
#[derive(Debug)]
pub struct Impairment {
    conditions: Conditions,
    random: Random,
    /// In the bad state of Gilbert's chain.
    losing: bool,
    /// When the last packet comes out, for `in_order`.
    latest: Duration,
    /// Until when the line is taken by earlier packets, for `rate`.
    taken: Duration,
}

impl Impairment {
    /// One direction under `conditions`; `direction` keeps the two from sharing their luck.
    pub fn new(conditions: Conditions, direction: u64) -> Self {
        let random = Random::seeded(conditions.seed.wrapping_mul(2).wrapping_add(direction));
        Self { conditions, random, losing: false, latest: Duration::ZERO, taken: Duration::ZERO }
    }

    /// When the copies of a packet of `length` bytes that enters at `now` come out: none, one or two times.
    pub fn treat(&mut self, now: Duration, length: usize) -> Vec<Duration> {
        if self.loses() {
            return Vec::new();
        }
        let copies = if self.chance(self.conditions.duplicate) { 2 } else { 1 };
        (0..copies).map(|_| self.due(now, length)).collect()
    }

    fn loses(&mut self) -> bool {
        let Conditions { loss, burst, .. } = self.conditions;
        if burst <= 1.0 {
            return self.chance(loss);
        }
        let leave = 1.0 / burst;
        let enter = if loss < 1.0 { loss * leave / (1.0 - loss) } else { 1.0 };
        self.losing = if self.losing { !self.chance(leave) } else { self.chance(enter) };
        self.losing
    }

    fn due(&mut self, now: Duration, length: usize) -> Duration {
        let mut due = self.through_the_line(now, length) + self.travel();
        if self.conditions.in_order {
            due = due.max(self.latest);
        }
        self.latest = due;
        due
    }

    fn through_the_line(&mut self, now: Duration, length: usize) -> Duration {
        let Some(rate) = self.conditions.rate else { return now };
        self.taken = self.taken.max(now) + Duration::from_secs_f64(length as f64 * 8.0 / rate.max(1) as f64);
        self.taken
    }

    fn travel(&mut self) -> Duration {
        let Conditions { delay, jitter, reorder, spike, spike_delay, .. } = self.conditions;
        if self.chance(reorder) {
            return Duration::ZERO;
        }
        let early = jitter.mul_f64(2.0 * self.unit());
        let held_up = if self.chance(spike) { spike_delay } else { Duration::ZERO };
        (delay + jitter + held_up).saturating_sub(early)
    }

    fn chance(&mut self, share: f64) -> bool {
        share > 0.0 && self.unit() < share
    }

    /// Uniform in 0 ≤ x < 1.
    fn unit(&mut self) -> f64 {
        (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Packets under way, handed out when they are due; those due at the same time in the order they entered.
#[derive(Debug, Default)]
pub struct UnderWay {
    heap: BinaryHeap<Reverse<(Duration, u64, Packet)>>,
    entered: u64,
}

/// A packet and the side it leaves by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Packet {
    /// 0 or 1.
    pub side: usize,
    /// The IP packet.
    pub bytes: Vec<u8>,
}

/// More packets than this under way, and new ones are lost: a memory bound, never reached in tests.
const MAX_UNDER_WAY: usize = 100_000;

impl UnderWay {
    /// Sends `packet` on its way until `due`; false when there is no room.
    pub fn push(&mut self, due: Duration, packet: Packet) -> bool {
        if self.heap.len() >= MAX_UNDER_WAY {
            return false;
        }
        self.entered += 1;
        self.heap.push(Reverse((due, self.entered, packet)));
        true
    }

    /// The next packet due at `now`.
    pub fn pop(&mut self, now: Duration) -> Option<Packet> {
        if self.next_due()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, _, packet))| packet)
    }

    /// When the next packet is due.
    pub fn next_due(&self) -> Option<Duration> {
        self.heap.peek().map(|Reverse((due, _, _))| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKETS: u64 = 50_000;
    const MS: Duration = Duration::from_millis(1);

    /// What comes of `PACKETS` packets of 121 bytes sent 20 ms apart: for each its (entry, exits).
    fn run(conditions: Conditions) -> Vec<(Duration, Vec<Duration>)> {
        let mut impairment = Impairment::new(conditions, 0);
        (0..PACKETS).map(|n| Duration::from_millis(20 * n)).map(|at| (at, impairment.treat(at, 121))).collect()
    }

    fn share_lost(fates: &[(Duration, Vec<Duration>)]) -> f64 {
        fates.iter().filter(|(_, exits)| exits.is_empty()).count() as f64 / fates.len() as f64
    }

    #[test]
    fn a_good_link_changes_nothing() {
        assert!(run(Conditions::default()).iter().all(|(at, exits)| exits == &[*at]));
    }

    #[test]
    fn loss_is_as_announced_alone_and_in_bursts() {
        for burst in [1.0, 4.0] {
            let fates = run(Conditions { loss: 0.05, burst, ..Conditions::default() });
            assert!((0.045..0.055).contains(&share_lost(&fates)), "{burst}: {}", share_lost(&fates));
        }
    }

    #[test]
    fn bursts_have_their_mean_length() {
        let fates = run(Conditions { loss: 0.1, burst: 4.0, ..Conditions::default() });
        let lost: Vec<bool> = fates.iter().map(|(_, exits)| exits.is_empty()).collect();
        let bursts = lost.windows(2).filter(|pair| pair == &[false, true]).count();
        let mean = lost.iter().filter(|lost| **lost).count() as f64 / bursts as f64;
        assert!((3.7..4.3).contains(&mean), "{mean}");
    }

    #[test]
    fn jitter_fills_its_range_and_keeps_the_mean() {
        let fates = run(Conditions::bad(25, 20, 0.0));
        let travels: Vec<Duration> = fates.iter().map(|(at, exits)| exits[0] - *at).collect();
        assert!(travels.iter().all(|travel| (5 * MS..=45 * MS).contains(travel)));
        assert!(travels.iter().any(|travel| *travel < 6 * MS) && travels.iter().any(|travel| *travel > 44 * MS));
        let mean = travels.iter().sum::<Duration>() / PACKETS as u32;
        assert!((24 * MS..26 * MS).contains(&mean), "{mean:?}");
    }

    #[test]
    fn packets_overtake_each_other_only_when_allowed() {
        let exits = |in_order| -> Vec<Duration> {
            run(Conditions { in_order, ..Conditions::bad(60, 50, 0.0) }).iter().map(|(_, exits)| exits[0]).collect()
        };
        assert!(!exits(false).is_sorted());
        assert!(exits(true).is_sorted());
    }

    #[test]
    fn shares_of_duplicates_and_spikes_are_as_announced() {
        let spike_delay = 100 * MS;
        let fates = run(Conditions { duplicate: 0.1, spike: 0.01, spike_delay, ..Conditions::default() });
        let twice = fates.iter().filter(|(_, exits)| exits.len() == 2).count() as f64 / PACKETS as f64;
        let late = fates.iter().filter(|(at, exits)| exits[0] == *at + spike_delay).count() as f64 / PACKETS as f64;
        assert!((0.095..0.105).contains(&twice), "{twice}");
        assert!((0.008..0.012).contains(&late), "{late}");
    }

    #[test]
    fn a_slow_line_makes_packets_queue() {
        let mut slow = Impairment::new(Conditions { rate: Some(80_000), ..Conditions::default() }, 0);
        let exits: Vec<Duration> = (0..3).flat_map(|_| slow.treat(Duration::ZERO, 100)).collect();
        assert_eq!(exits, [10 * MS, 20 * MS, 30 * MS]);
    }

    #[test]
    fn the_same_seed_repeats_a_run_and_directions_differ() {
        let conditions = Conditions::bad(25, 20, 0.05);
        assert_eq!(run(conditions), run(conditions));
        assert_ne!(run(conditions), run(Conditions { seed: 2, ..conditions }));
        let fate = |direction| Impairment::new(conditions, direction).treat(Duration::ZERO, 100);
        assert_ne!(fate(0), fate(1));
    }

    #[test]
    fn packets_come_out_when_due_and_ties_in_order_of_entry() {
        let mut under_way = UnderWay::default();
        let packet = |mark| Packet { side: 0, bytes: vec![mark] };
        for (due, mark) in [(5, 1), (3, 2), (5, 3)] {
            assert!(under_way.push(due * MS, packet(mark)));
        }
        assert_eq!(under_way.pop(2 * MS), None);
        assert_eq!(under_way.next_due(), Some(3 * MS));
        let order: Vec<Packet> = core::iter::from_fn(|| under_way.pop(5 * MS)).collect();
        assert_eq!(order, [packet(2), packet(1), packet(3)]);
    }
}
