// SPDX-License-Identifier: GPL-3.0-or-later
//! The announcement of an intercom: two short beeps on the loudspeaker, before the microphone opens.

use std::f64::consts::{PI, TAU};

use dvsd::media::SAMPLE_RATE;

/// Pitch and amplitude of a beep: heard in any room, and by most who hear badly.
const HERTZ: f64 = 880.0;
const AMPLITUDE: f64 = 9_000.0;
/// A beep, and the pause after it, in samples: 150 and 100 ms.
const BEEP: usize = SAMPLE_RATE as usize * 150 / 1_000;
const PAUSE: usize = SAMPLE_RATE as usize / 10;
/// A beep swells and fades for 10 ms, which avoids a click.
const FADE: usize = SAMPLE_RATE as usize / 100;
const BEEPS: usize = 2;
/// The whole announcement, in samples: half a second.
pub(super) const LENGTH: usize = BEEPS * (BEEP + PAUSE);

/// What of the announcement has been played. Made before the call's thread runs, so that this allocates nothing.
pub(super) struct Announcement {
    samples: Box<[i16]>,
    played: usize,
    /// When its end leaves the loudspeaker, in nanoseconds; known once all of it is written.
    over_ns: Option<u64>,
}

impl Announcement {
    /// The beeps, or nothing.
    pub(super) fn new(announce: bool) -> Self {
        let samples = if announce { (0..LENGTH).map(sample).collect() } else { Box::default() };
        let over_ns = (!announce).then_some(0);
        Self { samples, played: 0, over_ns }
    }

    /// Whether all of it has been heard: before that the microphone stays closed.
    pub(super) fn is_over(&self, now_ns: u64) -> bool {
        self.over_ns.is_some_and(|over| over <= now_ns)
    }

    /// Puts what is next in the place of `sound`; how many samples that are.
    pub(super) fn fill(&self, sound: &mut [i16]) -> usize {
        let next = self.samples.get(self.played..).unwrap_or_default();
        sound.iter_mut().zip(next).for_each(|(sound, next)| *sound = *next);
        sound.len().min(next.len())
    }

    /// So many of its samples were taken by the loudspeaker, whose queue is empty at `empty_ns`.
    pub(super) fn advance(&mut self, samples: usize, empty_ns: u64) {
        self.played += samples;
        if samples > 0 && self.played >= self.samples.len() {
            self.over_ns = Some(empty_ns);
        }
    }
}

fn sample(at: usize) -> i16 {
    let within = at % (BEEP + PAUSE);
    let edge = within.min(BEEP.saturating_sub(within));
    let swell = (edge.min(FADE) as f64 / FADE as f64 * PI / 2.0).sin();
    let phase = within as f64 * HERTZ / f64::from(SAMPLE_RATE) * TAU;
    (AMPLITUDE * swell * swell * phase.sin()) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_beeps_swell_and_fade_without_a_click() {
        let samples: Vec<i32> = (0..LENGTH).map(|at| sample(at).into()).collect();
        let largest_step = samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).max().unwrap();
        assert!(largest_step < 1_200, "{largest_step}");
        for beep in 0..BEEPS {
            let start = beep * (BEEP + PAUSE);
            assert!(samples[start..][..BEEP].iter().any(|sample| *sample > 8_900));
            assert!(samples[start + BEEP..][..PAUSE].iter().all(|sample| *sample == 0));
        }
    }

    #[test]
    fn the_microphone_opens_when_the_last_of_it_has_left_the_loudspeaker() {
        let mut announcement = Announcement::new(true);
        let mut sound = [1; 480];
        for chunk in 0..LENGTH / 480 {
            assert!(!announcement.is_over(u64::MAX), "chunk {chunk}");
            let filled = announcement.fill(&mut sound);
            assert_eq!(filled, 480);
            announcement.advance(filled, 1_000 + chunk as u64);
        }
        let end = 1_000 + (LENGTH / 480 - 1) as u64;
        assert!(!announcement.is_over(end - 1) && announcement.is_over(end));
        sound.fill(1);
        announcement.advance(announcement.fill(&mut sound), 9_999);
        assert!(announcement.is_over(end) && sound == [1; 480], "what comes later is left alone");
    }

    #[test]
    fn without_an_announcement_the_microphone_is_open_at_once() {
        let announcement = Announcement::new(false);
        assert!(announcement.is_over(0));
        assert_eq!(announcement.fill(&mut [1; 480]), 0);
    }
}
