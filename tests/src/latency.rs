// SPDX-License-Identifier: GPL-3.0-or-later
//! Finds a piece of sound in another that is longer: where it is, and how much alike the two are there.

/// The coarse search adds up this many samples to one.
const COARSE: usize = 8;

/// The middle of `values`; `None` for none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// The shift of `spoken` within `heard` at which they are most alike, in samples, and how much alike they are there.
pub fn best_delay(spoken: &[i16], heard: &[i16]) -> (usize, f64) {
    let (coarse_spoken, coarse_heard) = (decimate(spoken), decimate(heard));
    let coarse = coarse_heard.windows(coarse_spoken.len().max(1)).map(|window| dot(&coarse_spoken, window));
    let guess = coarse.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(delay, _)| delay * COARSE);
    let fine = (guess.saturating_sub(2 * COARSE)..=guess + 2 * COARSE).filter_map(|delay| {
        let window = heard.get(delay..delay + spoken.len())?;
        Some((delay, correlation(spoken, window)))
    });
    fine.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 0.0))
}

/// Normalised correlation of two equally long pieces: 1 is the same wave, whatever its loudness.
pub fn correlation(a: &[i16], b: &[i16]) -> f64 {
    let energy = dot(a, a) * dot(b, b);
    if energy > 0.0 { dot(a, b) / energy.sqrt() } else { 0.0 }
}

fn dot(a: &[i16], b: &[i16]) -> f64 {
    let sum: i64 = a.iter().zip(b).map(|(&x, &y)| i64::from(x) * i64::from(y)).sum();
    sum as f64
}

fn decimate(samples: &[i16]) -> Vec<i16> {
    let mean = |part: &[i16]| (part.iter().map(|&sample| i32::from(sample)).sum::<i32>() / COARSE as i32) as i16;
    samples.chunks_exact(COARSE).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clicks, speech};

    fn delayed(samples: &[i16], by: usize) -> Vec<i16> {
        std::iter::repeat_n(0, by).chain(samples.iter().copied()).collect()
    }

    #[test]
    fn speech_is_found_to_the_sample() {
        let spoken = &speech::samples(2).unwrap()[24_000..72_000];
        let (delay, alike) = best_delay(spoken, &delayed(spoken, 2_001));
        assert_eq!(delay, 2_001);
        assert!(alike > 0.999);
    }

    #[test]
    fn unlike_sounds_do_not_correlate() {
        let voice = &speech::samples(2).unwrap()[24_000..72_000];
        assert!(correlation(voice, voice) > 0.999);
        assert!(correlation(voice, &clicks::samples(1)).abs() < 0.1);
        assert_eq!(correlation(voice, &[0; 48_000]), 0.0);
    }

    #[test]
    fn the_middle_of_nothing_is_nothing() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
    }
}
