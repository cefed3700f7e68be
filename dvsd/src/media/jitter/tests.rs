// SPDX-License-Identifier: GPL-3.0-or-later
//! Playout on synthetic networks in virtual time.
//!
//! The decoder is a fake that "decodes" each packet to the number written in it, so that every sample of the output
//! tells which frame it belongs to, and with that how long after its capture it is heard.

use super::*;
use crate::media::codec::CodecError;
use crate::random::Random;

const FRAME_US: u64 = 20_000;
const START_US: u64 = 10_000_000;
/// What the fake decoder guesses: 1 followed by nothing else in the output.
const GUESS: i16 = -7;
/// Frames are numbered from here, so that they are no pause.
const FIRST: i16 = 1_000;

struct Numbers;

fn number(packet: &OpusPacket<'_>) -> i16 {
    i16::from_be_bytes([packet.bytes()[2], packet.bytes()[3]])
}

impl Decoder for Numbers {
    fn decode(&mut self, packet: &OpusPacket<'_>, out: &mut [i16]) -> Result<usize, CodecError> {
        out[..packet.samples()].fill(number(packet));
        Ok(packet.samples())
    }

    fn decode_redundancy(&mut self, next: &OpusPacket<'_>, out: &mut [i16]) -> Result<(), CodecError> {
        out.fill(number(next) - 1);
        Ok(())
    }

    fn conceal(&mut self, out: &mut [i16]) -> Result<(), CodecError> {
        out.fill(GUESS);
        Ok(())
    }
}

/// A 20 ms hybrid packet that carries `number`, with or without redundancy.
fn packet(number: i16, redundancy: bool) -> [u8; 4] {
    let [high, low] = number.to_be_bytes();
    [13 << 3, if redundancy { 0xc0 } else { 0x80 }, high, low]
}

type Delay = dyn FnMut(u64, &mut Random) -> Option<u64>;

/// A network and two sound cards. The numbers of the frames wrap at 20 000.
struct Line {
    frames: u64,
    redundancy: bool,
    /// The sender's card against the receiver's, in parts per million.
    drift_ppm: i64,
    /// Extra delay of each frame in microseconds, `None` for a lost one.
    delay: Box<Delay>,
}

struct Heard {
    /// (microseconds from the end of the frame's capture until its first sample was pulled, frame)
    delays: Vec<(u64, u64)>,
    guessed: usize,
    silent_after_start: usize,
    samples: usize,
    stats: PlayoutStats,
}

impl Heard {
    fn median_delay(&self, from_frame: u64) -> u64 {
        let mut delays: Vec<u64> = self.delays.iter().filter(|d| d.1 >= from_frame).map(|d| d.0).collect();
        delays.sort_unstable();
        delays[delays.len() / 2]
    }

    fn guessed_permille(&self) -> usize {
        self.guessed * 1_000 / self.samples
    }
}

impl Line {
    fn new(frames: u64, delay: impl FnMut(u64, &mut Random) -> Option<u64> + 'static) -> Self {
        Self { frames, redundancy: false, drift_ppm: 0, delay: Box::new(delay) }
    }

    fn captured_us(&self, frame: u64) -> u64 {
        let exact = (frame + 1) * FRAME_US;
        START_US + (exact as i64 + exact as i64 * self.drift_ppm / 1_000_000) as u64
    }

    /// All packets in order of their arrival.
    fn arrivals(&mut self, random: &mut Random) -> Vec<(u64, u64)> {
        let mut arrivals = Vec::new();
        for frame in 0..self.frames {
            if let Some(extra) = (self.delay)(frame, random) {
                arrivals.push((self.captured_us(frame) + extra, frame));
            }
        }
        arrivals.sort_unstable();
        arrivals
    }

    fn run(mut self) -> Heard {
        let arrivals = self.arrivals(&mut Random::seeded(5));
        let mut playout = Playout::new(Box::new(Numbers));
        let mut heard =
            Heard { delays: Vec::new(), guessed: 0, silent_after_start: 0, samples: 0, stats: playout.stats() };
        let mut waiting = arrivals.iter().peekable();
        let mut last = None;
        let mut out = [0; MAX_CHUNK];
        let (mut now, end) = (START_US as f64 + 3_300.0, self.captured_us(self.frames - 2));
        while (now as u64) < end {
            while let Some(&(at, frame)) = waiting.next_if(|arrival| arrival.0 <= now as u64) {
                let number = FIRST + (frame % 20_000) as i16;
                playout.insert(frame as u32 * 8 + 80, &packet(number, self.redundancy), at);
            }
            let samples = playout.pull(&mut out, now as u64);
            self.listen(&out[..samples], now, &mut last, &mut heard);
            now += samples as f64 / 0.048;
        }
        heard.stats = playout.stats();
        heard
    }

    fn listen(&self, sound: &[i16], now: f64, last: &mut Option<u64>, heard: &mut Heard) {
        for (place, &sample) in sound.iter().enumerate() {
            if sample == 0 && last.is_some() {
                heard.silent_after_start += 1;
            }
            heard.guessed += usize::from(sample == GUESS);
            heard.samples += usize::from(last.is_some());
            if sample >= FIRST && *last != Some((sample - FIRST) as u64) {
                let frame = (sample - FIRST) as u64;
                *last = Some(frame);
                let at = now + place as f64 / 0.048;
                heard.delays.push((at as u64 - self.captured_us(frame), frame));
            }
        }
    }
}

#[test]
fn a_clean_network_adds_two_milliseconds() {
    let heard = Line::new(500, |_, random| Some(400 + random.below(300))).run();
    assert!(heard.median_delay(0) <= 2_500, "{}", heard.median_delay(0));
    assert_eq!((heard.stats.lost, heard.guessed, heard.silent_after_start), (0, 0, 0));
    assert!(heard.delays.iter().all(|d| d.0 < 8_000), "even at the start");
}

#[test]
fn jitter_is_ridden_out_within_its_own_width() {
    let heard = Line::new(1_500, |_, random| Some(5_000 + random.below(40_000))).run();
    let delay = heard.median_delay(500);
    assert!((38_000..=56_000).contains(&delay), "{delay}");
    assert!(heard.guessed_permille() <= 5, "{} {:?}", heard.guessed_permille(), heard.stats);
    assert_eq!(heard.silent_after_start, 0);
}

#[test]
fn losses_without_redundancy_are_guessed_without_added_delay() {
    let heard = Line::new(1_500, |_, random| (random.below(100) >= 5).then_some(500)).run();
    assert!(heard.median_delay(500) <= 4_000, "{}", heard.median_delay(500));
    assert!((35..=65).contains(&heard.stats.loss_permille), "{}", heard.stats.loss_permille);
    assert!(heard.guessed_permille() <= 65, "{}", heard.guessed_permille());
    assert_eq!((heard.stats.recovered, heard.stats.late), (0, 0));
}

#[test]
fn losses_with_redundancy_are_recovered_for_one_frame_of_delay() {
    let mut line = Line::new(3_000, |_, random| (random.below(100) >= 5).then_some(500));
    line.redundancy = true;
    let heard = line.run();
    let delay = heard.median_delay(1_000);
    assert!((20_000..=25_000).contains(&delay), "{delay}");
    assert!(heard.stats.recovered * 10 >= heard.stats.lost * 8, "{:?}", heard.stats);
    assert!(heard.guessed_permille() <= 12, "{}", heard.guessed_permille());
}

#[test]
fn drift_of_the_cards_is_taken_up() {
    for drift_ppm in [-300, 300] {
        let mut line = Line::new(15_000, |_, random| Some(400 + random.below(300)));
        line.drift_ppm = drift_ppm;
        let heard = line.run();
        assert!(heard.median_delay(1_000) <= 12_000, "{drift_ppm}: {}", heard.median_delay(1_000));
        assert!(heard.guessed_permille() <= 2, "{drift_ppm}: {:?}", heard.stats);
        let changed = heard.stats.stretched + heard.stats.shortened;
        assert!((3_000..=10_000).contains(&changed), "300 s × 300 ppm are 4320 samples: {:?}", heard.stats);
    }
}

#[test]
fn a_burst_after_a_stall_neither_floods_nor_delays_for_long() {
    // Frames 500 to 519 all come when frame 520 does.
    let stall = |frame: u64| if (500..520).contains(&frame) { (520 - frame) * FRAME_US } else { 0 };
    let heard = Line::new(1_500, move |frame, _| Some(500 + stall(frame))).run();
    assert!(heard.median_delay(1_200) <= 4_000, "{}", heard.median_delay(1_200));
    assert!(heard.silent_after_start < 48 * 400, "{}", heard.silent_after_start);
}

#[test]
fn reordered_packets_play_in_order() {
    let heard = Line::new(2_000, |_, random| Some(if random.below(20) == 0 { 0 } else { 30_000 })).run();
    assert!(heard.delays.windows(2).all(|pair| pair[0].1 < pair[1].1));
    assert!(heard.guessed_permille() <= 2, "{:?}", heard.stats);
    assert!(heard.median_delay(200) <= 33_000);
}

#[test]
fn rare_spikes_cost_frames_but_no_delay() {
    let heard = Line::new(3_000, |_, random| Some(if random.below(100) == 0 { 100_000 } else { 500 })).run();
    assert!(heard.median_delay(0) <= 9_000, "{}", heard.median_delay(0));
    assert!(heard.guessed_permille() <= 20);
    assert!(heard.stats.late > 10 && heard.stats.late <= heard.stats.lost, "{:?}", heard.stats);
}

/// A playout and the time, for tests that go packet by packet.
struct Bench {
    playout: Playout,
    now: u64,
}

impl Bench {
    fn new() -> Self {
        Self { playout: Playout::new(Box::new(Numbers)), now: START_US }
    }

    /// Inserts `seq` now and pulls 20 ms.
    fn frame(&mut self, seq: u32, number: i16) -> Vec<i16> {
        self.playout.insert(seq, &packet(number, false), self.now);
        self.pull(20)
    }

    fn pull(&mut self, millis: u64) -> Vec<i16> {
        let (end, mut sound, mut out) = (self.now + millis * 1_000, Vec::new(), [0; MAX_CHUNK]);
        while self.now < end {
            let samples = self.playout.pull(&mut out, self.now);
            sound.extend_from_slice(&out[..samples]);
            self.now += samples as u64 * 1_000_000 / 48_000;
        }
        sound
    }

    fn talk(&mut self, from: u32, frames: u32) -> Vec<i16> {
        (0..frames).flat_map(|i| self.frame(from + i * 8, 2_000)).collect()
    }
}

#[test]
fn silence_follows_when_the_peer_stops_and_sound_returns_after_a_hold() {
    let mut bench = Bench::new();
    bench.talk(0, 50);
    let after = bench.pull(500);
    assert!(after.iter().rev().take(9_600).all(|&sample| sample == 0), "faded out");
    assert!(after.contains(&GUESS));
    bench.pull(30_000);
    let elapsed_ticks = (bench.now - START_US) / TICK_MICROS;
    let resumed = bench.talk(elapsed_ticks as u32, 10);
    assert!(resumed.iter().filter(|&&sample| sample == 2_000).count() > 7_000);
    assert_eq!(bench.playout.stats().refused, 0);
}

#[test]
fn a_stream_that_starts_anew_is_followed_backwards() {
    let mut bench = Bench::new();
    bench.talk(1_000_000, 50);
    let anew = bench.talk(0, 20);
    assert!(anew.iter().filter(|&&sample| sample == 2_000).count() > 12_000);
}

#[test]
fn a_jump_forward_in_the_middle_is_followed() {
    let mut bench = Bench::new();
    bench.talk(0, 50);
    let after = bench.talk(500_000, 20);
    assert!(after.iter().filter(|&&sample| sample == 2_000).count() > 12_000);
}

#[test]
fn f22_one_wild_sequence_number_does_not_mute_the_call() {
    let mut bench = Bench::new();
    bench.talk(0, 50);
    bench.playout.insert(u32::MAX, &packet(3_000, false), bench.now);
    let after = bench.talk(400, 20);
    assert_eq!(after.iter().filter(|&&sample| sample == 2_000).count(), after.len());
    assert_eq!(bench.playout.stats().refused, 1);
}

#[test]
fn f22_packets_from_both_ends_of_the_numbers_before_the_first_pull_leave_figures_in_bounds() {
    let mut bench = Bench::new();
    bench.playout.insert(0, &packet(2_000, false), bench.now);
    bench.playout.insert(u32::MAX, &packet(2_000, false), bench.now);
    assert_eq!(bench.playout.stats().buffered_us, u32::MAX);
    bench.pull(500);
    assert_eq!(bench.playout.stats().buffered_us, 0);
}

#[test]
fn duplicates_are_dropped_and_garbage_is_refused() {
    let mut bench = Bench::new();
    bench.playout.insert(8, &packet(2_000, false), bench.now);
    bench.playout.insert(8, &packet(2_000, false), bench.now);
    bench.playout.insert(16, &[], bench.now);
    bench.playout.insert(16, &[0x7b, 1], bench.now);
    let stats = bench.playout.stats();
    assert_eq!((stats.received, stats.duplicates, stats.refused), (1, 1, 2));
}

#[test]
fn any_sequence_of_packets_gives_sound_within_bounds() {
    let mut random = Random::seeded(9);
    let mut bench = Bench::new();
    let mut out = [0; MAX_CHUNK];
    for _ in 0..20_000 {
        let seq = match random.below(3) {
            0 => random.next_u64() as u32,
            1 => u32::MAX - random.below(100) as u32,
            _ => random.below(2_000) as u32,
        };
        let toc = (random.below(32) as u8) << 3;
        bench.playout.insert(seq, &[toc, 0xff, 1, 2], random.below(20_000_000_000));
        if random.below(2) == 0 {
            let samples = bench.playout.pull(&mut out, random.below(20_000_000_000));
            assert!((1..=MAX_CHUNK).contains(&samples));
        }
    }
}

#[test]
fn the_figures_stand_any_first_packets() {
    let mut bench = Bench::new();
    bench.playout.insert(0, &packet(2_000, false), bench.now);
    bench.playout.insert(u32::MAX, &packet(2_000, false), bench.now);
    assert_eq!(bench.playout.stats().buffered_us, u32::MAX);
}
