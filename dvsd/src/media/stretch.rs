// SPDX-License-Identifier: GPL-3.0-or-later
//! Making a piece of sound a little shorter or longer without a click.
//!
//! Speech repeats itself with the pitch: leaving out, or repeating, one stretch at whose ends the wave looks alike is
//! hard to hear. [`plan`] looks for such a lag, [`shorten`] and [`lengthen`] splice there with a cross-fade. In a
//! pause any lag will do, so there the change is exactly what was asked for.

use super::level;

/// The shortest lag looked for, in samples: 2.5 ms, a pitch of 400 Hz.
const MIN_LAG: usize = 120;
/// The longest lag looked for, in samples: 12.5 ms, a pitch of 80 Hz.
const MAX_LAG: usize = 600;
/// Samples compared at both ends of a lag, and cross-faded: 7.5 ms.
const TEMPLATE: usize = 360;
/// The coarse search looks at every fourth sample.
const COARSE: usize = 4;
/// Normalised correlation from which two places count as alike.
const ALIKE: f64 = 0.85;
/// A longer lag must be better by this much: one period is changed rather than two.
const CLEARLY: f64 = 0.01;
/// Mean square below which sound counts as a pause: -48 dB.
const PAUSE: f64 = 130.0 * 130.0;
/// The smallest change made in a pause, in samples: 0.5 ms.
const MIN_CHANGE: usize = 24;

/// Which lag to splice out of, or into, a piece of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Splice {
    lag: usize,
    fade: usize,
}

impl Splice {
    /// By how many samples the sound gets shorter or longer.
    pub fn lag(&self) -> usize {
        self.lag
    }
}

/// Looks for a splice in `sound`: of `wanted` samples in a pause, of one pitch period of at most `most` samples in
/// speech. `None` when it would be heard.
pub fn plan(sound: &[i16], wanted: usize, most: usize) -> Option<Splice> {
    if level::mean_square(sound) < PAUSE {
        return plan_in_pause(sound.len(), wanted);
    }
    let fade = TEMPLATE.min(sound.len() / 3);
    let longest = MAX_LAG.min(most).min(sound.len().saturating_sub(fade));
    let coarse = best_lag(sound, fade, MIN_LAG..=longest, COARSE)?;
    let near = coarse.lag.saturating_sub(COARSE - 1).max(MIN_LAG)..=(coarse.lag + COARSE - 1).min(longest);
    let best = best_lag(sound, fade, near, 1)?;
    (best.likeness >= ALIKE).then_some(Splice { lag: best.lag, fade })
}

/// In a pause the lag is free; half of the sound at most, so that the rest holds the cross-fade.
fn plan_in_pause(length: usize, wanted: usize) -> Option<Splice> {
    let lag = wanted.min(length / 2);
    (lag >= MIN_CHANGE).then(|| Splice { lag, fade: (length - lag).min(TEMPLATE) })
}

/// Leaves out `splice.lag()` samples at the start of `sound`; `out` gets the rest. Gives the samples written.
pub fn shorten(sound: &[i16], splice: Splice, out: &mut [i16]) -> usize {
    let later = sound.get(splice.lag..).unwrap_or_default();
    join(&[], sound, later, splice.fade, out)
}

/// Repeats the first `splice.lag()` samples of `sound`. Gives the samples written to `out`.
pub fn lengthen(sound: &[i16], splice: Splice, out: &mut [i16]) -> usize {
    let (head, later) = sound.split_at_checked(splice.lag).unwrap_or((sound, &[]));
    join(head, later, sound, splice.fade, out)
}

/// Writes `head`, then `from` fading over `fade` samples into `to`, then the rest of `to`.
fn join(head: &[i16], from: &[i16], to: &[i16], fade: usize, out: &mut [i16]) -> usize {
    let fade = fade.min(from.len()).min(to.len());
    let mut places = out.iter_mut();
    let mut written = 0;
    let mixed = from.iter().zip(to).take(fade).enumerate().map(|(i, (&a, &b))| mix(a, b, i, fade));
    let rest = to.iter().skip(fade).copied();
    for (sample, place) in head.iter().copied().chain(mixed).chain(rest).zip(&mut places) {
        *place = sample;
        written += 1;
    }
    written
}

/// `a` at the start of the fade, `b` at its end.
fn mix(a: i16, b: i16, position: usize, fade: usize) -> i16 {
    let (weight, whole) = (position as i32 + 1, fade as i32 + 1);
    ((i32::from(a) * (whole - weight) + i32::from(b) * weight) / whole) as i16
}

struct Candidate {
    lag: usize,
    likeness: f64,
}

/// The lag at which the start of `sound` looks most like itself, comparing every `step`-th sample.
fn best_lag(sound: &[i16], template: usize, lags: core::ops::RangeInclusive<usize>, step: usize) -> Option<Candidate> {
    let start = sound.get(..template)?;
    let candidates = lags.step_by(step).filter_map(|lag| {
        let later = sound.get(lag..lag + template)?;
        Some(Candidate { lag, likeness: likeness(start, later, step) })
    });
    candidates.reduce(|best, next| if next.likeness > best.likeness + CLEARLY { next } else { best })
}

/// Normalised cross-correlation of two equally long pieces, comparing every `step`-th sample: 1 is the same wave.
fn likeness(a: &[i16], b: &[i16], step: usize) -> f64 {
    let (mut dot, mut aa, mut bb) = (0_i64, 0_i64, 0_i64);
    for (&x, &y) in a.iter().zip(b).step_by(step) {
        let (x, y) = (i64::from(x), i64::from(y));
        dot += x * y;
        aa += x * x;
        bb += y * y;
    }
    if aa == 0 || bb == 0 {
        return 0.0;
    }
    dot as f64 / ((aa as f64) * (bb as f64)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hertz: f64, samples: usize) -> Vec<i16> {
        let step = hertz * std::f64::consts::TAU / 48_000.0;
        (0..samples).map(|i| (12_000.0 * (i as f64 * step).sin()) as i16).collect()
    }

    /// The largest jump between neighbours: a click would show here.
    fn largest_step(samples: &[i16]) -> i32 {
        samples.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap()
    }

    #[test]
    fn a_splice_in_a_tone_leaves_no_click() {
        for hertz in [90.0, 133.0, 220.0, 371.0] {
            let sound = tone(hertz, 960);
            let splice = plan(&sound, 960, 960).expect("a tone repeats itself");
            let mut out = [0; 2_000];
            let shorter = shorten(&sound, splice, &mut out);
            assert_eq!(shorter, 960 - splice.lag());
            assert!(largest_step(&out[..shorter]) <= largest_step(&sound) * 5 / 4, "{hertz} Hz");
            let longer = lengthen(&sound, splice, &mut out);
            assert_eq!(longer, 960 + splice.lag());
            assert!(largest_step(&out[..longer]) <= largest_step(&sound) * 5 / 4, "{hertz} Hz");
        }
    }

    #[test]
    fn both_ends_of_the_sound_stay_where_they_join_its_neighbours() {
        let sound = tone(200.0, 960);
        let splice = plan(&sound, 960, 960).unwrap();
        let mut out = [0; 2_000];
        for change in [shorten, lengthen] {
            let length = change(&sound, splice, &mut out);
            assert!((i32::from(out[0]) - i32::from(sound[0])).abs() < 400);
            assert_eq!(out[length - 1], sound[959]);
        }
    }

    #[test]
    fn the_lag_is_a_multiple_of_the_pitch_period() {
        let splice = plan(&tone(160.0, 960), 600, 600).unwrap();
        assert!(splice.lag() % 300 <= 2 || splice.lag() % 300 >= 298, "{}", splice.lag());
    }

    #[test]
    fn a_pause_changes_by_exactly_what_is_asked() {
        let sound = [3_i16; 960];
        assert_eq!(plan(&sound, 57, 0).unwrap().lag(), 57);
        assert_eq!(plan(&sound, 5_000, 0).unwrap().lag(), 480, "half of it at most");
        assert_eq!(plan(&sound, MIN_CHANGE - 1, 960), None);
    }

    #[test]
    fn noise_is_left_alone() {
        let mut random = crate::random::Random::seeded(3);
        let noise: Vec<i16> = (0..960).map(|_| (random.below(20_000) as i32 - 10_000) as i16).collect();
        assert_eq!(plan(&noise, 600, 600), None);
    }

    #[test]
    fn no_splice_exceeds_what_was_allowed() {
        assert_eq!(plan(&tone(100.0, 960), 300, 300), None, "one period has 480 samples");
        assert_eq!(plan(&[], 100, 100), None);
        assert_eq!(plan(&tone(100.0, 240), 600, 600), None, "too short for a period");
    }
}
