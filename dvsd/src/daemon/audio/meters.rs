// SPDX-License-Identifier: GPL-3.0-or-later
//! The figures of a call's audio, written by the audio thread and read by anyone, without locks.

use std::sync::atomic::{AtomicBool, AtomicI16, AtomicU64, Ordering};

use dvsd::media::jitter::PlayoutStats;
use dvsd::media::level;

/// Figures that are read one by one; each is right by itself.
#[derive(Debug)]
pub(crate) struct Meters {
    capture_level: AtomicI16,
    playback_level: AtomicI16,
    xruns: AtomicU64,
    dropped: AtomicU64,
    capture_epoch_us: AtomicU64,
    playback_epoch_us: AtomicU64,
    capture_delay_us: AtomicU64,
    playback_delay_us: AtomicU64,
    real_time: AtomicBool,
    playout: [AtomicU64; 15],
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            capture_level: AtomicI16::new(level::SILENCE),
            playback_level: AtomicI16::new(level::SILENCE),
            xruns: AtomicU64::default(),
            dropped: AtomicU64::default(),
            capture_epoch_us: AtomicU64::default(),
            playback_epoch_us: AtomicU64::default(),
            capture_delay_us: AtomicU64::default(),
            playback_delay_us: AtomicU64::default(),
            real_time: AtomicBool::default(),
            playout: Default::default(),
        }
    }
}

impl Meters {
    /// Level of the microphone, in tenths of a decibel below full scale; silence while muted.
    pub(crate) fn capture_level(&self) -> i16 {
        self.capture_level.load(Ordering::Relaxed)
    }

    /// Level of the peer, in tenths of a decibel below full scale; silence while deafened.
    pub(crate) fn playback_level(&self) -> i16 {
        self.playback_level.load(Ordering::Relaxed)
    }

    /// Over- and underruns of the devices.
    pub(crate) fn xruns(&self) -> u64 {
        self.xruns.load(Ordering::Relaxed)
    }

    /// Captured frames dropped because the loop did not fetch them.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// When the first sample was captured from a device, in microseconds of `CLOCK_MONOTONIC`.
    pub(crate) fn capture_epoch_us(&self) -> Option<u64> {
        non_zero(&self.capture_epoch_us)
    }

    /// When the first sample written to a device reached its output, in microseconds of `CLOCK_MONOTONIC`.
    pub(crate) fn playback_epoch_us(&self) -> Option<u64> {
        non_zero(&self.playback_epoch_us)
    }

    /// From a sound's arrival at the microphone until its frame is encoded, the encoder's look-ahead included, in
    /// microseconds: the longest-waiting sample of a frame.
    pub(crate) fn capture_delay_us(&self) -> u64 {
        self.capture_delay_us.load(Ordering::Relaxed)
    }

    /// From a packet's arrival until its first sample leaves the loudspeaker, in microseconds.
    ///
    /// Mouth to ear is about the peer's capture delay (much like ours), half the round-trip time, and this.
    pub(crate) fn playback_delay_us(&self) -> u64 {
        self.playback_delay_us.load(Ordering::Relaxed)
    }

    /// Whether the system lets the audio thread run before all others.
    pub(crate) fn real_time(&self) -> bool {
        self.real_time.load(Ordering::Relaxed)
    }

    /// The figures of playout.
    pub(crate) fn playout(&self) -> PlayoutStats {
        let values = self.playout.each_ref().map(|value| value.load(Ordering::Relaxed));
        let [received, lost, late, recovered, concealed, duplicates, refused, guessed_samples, ref rest @ ..] = values;
        let [stretched, shortened, jitter_us, buffered_us, target_us, waited_us, loss_permille] = *rest;
        PlayoutStats {
            received,
            lost,
            late,
            recovered,
            concealed,
            duplicates,
            refused,
            guessed_samples,
            stretched,
            shortened,
            jitter_us: jitter_us as u32,
            buffered_us: buffered_us as u32,
            target_us: target_us as u32,
            waited_us: waited_us as u32,
            loss_permille: loss_permille as u16,
        }
    }

    pub(super) fn set_capture_level(&self, level: i16) {
        self.capture_level.store(level, Ordering::Relaxed);
    }

    pub(super) fn set_playback_level(&self, level: i16) {
        self.playback_level.store(level, Ordering::Relaxed);
    }

    pub(super) fn count_xrun(&self) {
        self.xruns.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Only the first one counts.
    pub(super) fn set_capture_epoch_us(&self, micros: u64) {
        set_once(&self.capture_epoch_us, micros);
    }

    /// Only the first one counts.
    pub(super) fn set_playback_epoch_us(&self, micros: u64) {
        set_once(&self.playback_epoch_us, micros);
    }

    pub(super) fn set_capture_delay_us(&self, micros: u64) {
        self.capture_delay_us.store(micros, Ordering::Relaxed);
    }

    pub(super) fn set_playback_delay_us(&self, micros: u64) {
        self.playback_delay_us.store(micros, Ordering::Relaxed);
    }

    pub(super) fn set_real_time(&self, on: bool) {
        self.real_time.store(on, Ordering::Relaxed);
    }

    pub(super) fn set_playout(&self, stats: &PlayoutStats) {
        let values = [
            stats.received,
            stats.lost,
            stats.late,
            stats.recovered,
            stats.concealed,
            stats.duplicates,
            stats.refused,
            stats.guessed_samples,
            stats.stretched,
            stats.shortened,
            u64::from(stats.jitter_us),
            u64::from(stats.buffered_us),
            u64::from(stats.target_us),
            u64::from(stats.waited_us),
            u64::from(stats.loss_permille),
        ];
        for (cell, value) in self.playout.iter().zip(values) {
            cell.store(value, Ordering::Relaxed);
        }
    }
}

fn non_zero(cell: &AtomicU64) -> Option<u64> {
    Some(cell.load(Ordering::Relaxed)).filter(|&value| value != 0)
}

fn set_once(cell: &AtomicU64, value: u64) {
    // The only writer is the audio thread.
    if cell.load(Ordering::Relaxed) == 0 {
        cell.store(value, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_playout_arrive_as_they_were() {
        let stats = PlayoutStats {
            received: 1,
            lost: 2,
            late: 3,
            recovered: 4,
            concealed: 5,
            duplicates: 6,
            refused: 7,
            guessed_samples: 8,
            stretched: 9,
            shortened: 10,
            jitter_us: 11,
            buffered_us: 12,
            target_us: 13,
            waited_us: 14,
            loss_permille: 15,
        };
        let meters = Meters::default();
        meters.set_playout(&stats);
        assert_eq!(meters.playout(), stats);
    }

    #[test]
    fn an_epoch_is_set_once() {
        let meters = Meters::default();
        assert_eq!(meters.capture_epoch_us(), None);
        meters.set_capture_epoch_us(5);
        meters.set_capture_epoch_us(9);
        assert_eq!(meters.capture_epoch_us(), Some(5));
    }
}
