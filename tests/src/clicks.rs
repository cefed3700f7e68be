// SPDX-License-Identifier: GPL-3.0-or-later
//! Clicks, to hear how long sound takes: short, unlike anything else, and alone for long enough.

use core::f64::consts::TAU;
use core::ops::Range;

use crate::latency::median;
use crate::speech::RATE;

/// From one click to the next, in samples: a little more than half a second, and no multiple of any frame.
const SPACING: usize = 24_144;
/// Length of a click, in samples (10 ms).
const LENGTH: usize = 480;
/// A click is a tone that rises from here to there, in hertz: it looks like itself at one place only. Shorter or
/// higher, and Opus at 32 kbit/s makes something else of it.
const TONE: [f64; 2] = [200.0, 1_500.0];
/// Its largest sample.
const LOUDNESS: f64 = 20_000.0;
/// The longest delay that is looked for, in samples (450 ms).
const LONGEST: usize = 21_600;
/// A click is heard where the correlation with what was spoken is at least this.
const ALIKE: f64 = 0.5;

/// `seconds` with clicks.
pub fn samples(seconds: u32) -> Vec<i16> {
    let click: Vec<i16> = shape().into_iter().map(|sample| sample as i16).collect();
    let gap = core::iter::repeat_n(0, SPACING - LENGTH);
    click.into_iter().chain(gap).cycle().take((seconds * RATE) as usize).collect()
}

/// What one click looks like: it begins and ends softly.
fn shape() -> Vec<f64> {
    let [low, high] = TONE;
    let rise = (high - low) / (2.0 * LENGTH as f64);
    let sample = |i: f64| {
        let envelope = (1.0 - (TAU * i / LENGTH as f64).cos()) / 2.0;
        LOUDNESS * envelope * (TAU * (low + rise * i) * i / f64::from(RATE)).sin()
    };
    (0..LENGTH).map(|i| sample(i as f64)).collect()
}

/// How the clicks of one direction arrived.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clicks {
    /// From mouth to ear, in milliseconds, of every click that was heard, in their order.
    pub delays_ms: Vec<f64>,
    /// How many were not heard.
    pub missed: usize,
}

impl Clicks {
    /// The clicks that were spoken in the time `during` and the ear that `heard`, both in samples of one clock, on which
    /// the first click was spoken at 0.
    pub fn find(heard: &[i16], during: Range<usize>) -> Self {
        let shape = shape();
        let mut found = Self::default();
        for spoken in (0..during.end).step_by(SPACING).filter(|spoken| during.contains(spoken)) {
            match heard.get(spoken..spoken + LENGTH + LONGEST).and_then(|window| delay(&shape, window)) {
                Some(samples) => found.delays_ms.push(samples as f64 * 1_000.0 / f64::from(RATE)),
                None => found.missed += 1,
            }
        }
        found
    }

    /// The middle of all delays, in milliseconds.
    pub fn median_ms(&self) -> Option<f64> {
        median(&self.delays_ms)
    }
}

/// Where in `window` the click is.
fn delay(shape: &[f64], window: &[i16]) -> Option<usize> {
    let window: Vec<f64> = window.iter().map(|sample| f64::from(*sample)).collect();
    let products = window.windows(LENGTH).map(|part| product(shape, part).abs());
    let (place, most) = products.enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let part = window.get(place..place + LENGTH)?;
    let alike = most / (product(shape, shape) * product(part, part)).sqrt();
    (alike >= ALIKE).then_some(place)
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(late: usize) -> Vec<i16> {
        core::iter::repeat_n(0, late).chain(samples(5)).chain([0; 48_000]).collect()
    }

    #[test]
    fn clicks_are_found_to_the_sample() {
        let found = Clicks::find(&heard(1_444), 0..240_000);
        assert_eq!(found.missed, 0);
        assert_eq!(found.delays_ms, [1_444.0 / 48.0; 10]);
    }

    #[test]
    fn a_quiet_click_turned_upside_down_among_noise_is_still_found() {
        let mut random = dvsd::random::Random::seeded(3);
        let noisy = |sample: i16| -sample / 20 + random.below(200) as i16 - 100;
        let noisy: Vec<i16> = heard(1_444).into_iter().map(noisy).collect();
        let found = Clicks::find(&noisy, 0..240_000);
        assert_eq!(found.missed, 0);
        assert!((found.median_ms().unwrap() - 1_444.0 / 48.0).abs() < 0.05, "{found:?}");
    }

    #[test]
    fn a_click_that_was_not_heard_is_missed() {
        let mut heard = heard(480);
        heard[SPACING..SPACING + 2_000].fill(0);
        let found = Clicks::find(&heard, 0..240_000);
        assert_eq!((found.delays_ms.len(), found.missed), (9, 1));
    }

    #[test]
    fn clicks_outside_the_time_asked_for_do_not_count() {
        let mut heard = heard(480);
        heard[..SPACING].fill(0);
        let found = Clicks::find(&heard, 1..SPACING * 3);
        assert_eq!((found.delays_ms.len(), found.missed), (2, 0));
        assert_eq!(Clicks::find(&heard, 1..2), Clicks::default());
    }
}
