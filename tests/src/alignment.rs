// SPDX-License-Identifier: GPL-3.0-or-later
//! Finds what was spoken in what was heard: how much later, and how alike. Both are 48 kHz, mono.

use crate::speech::RATE;

/// Length of a compared window, in samples: one second.
const WINDOW: usize = RATE as usize;
/// The coarse search runs on every twelfth sample, averaged: at 4 kHz the voice itself is still there.
const COARSE: usize = 12;
/// Windows quieter than this (root mean square) say nothing.
const MIN_SPOKEN: f64 = 300.0;

/// A recording and the moment of its first sample on a clock both share, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Recording<'a> {
    /// The samples.
    pub samples: &'a [i16],
    /// When the first one was captured or came out.
    pub epoch_us: u64,
}

/// How what was heard relates to what was spoken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likeness {
    /// Median delay over all windows, in milliseconds.
    pub delay_ms: f64,
    /// Median correlation over all windows at their best delay: 1 is a perfect copy.
    pub correlation: f64,
    /// How many windows of speech were compared.
    pub windows: usize,
}

/// Compares second by second, looking for delays up to `longest_ms`. `None` when no speech overlaps.
pub fn compare(spoken: Recording<'_>, heard: Recording<'_>, longest_ms: u32) -> Option<Likeness> {
    let lag = (longest_ms * RATE / 1000) as usize;
    let starts = (0..spoken.samples.len().saturating_sub(WINDOW)).step_by(WINDOW);
    let mut found: Vec<(f64, f64)> = starts.filter_map(|start| window(spoken, heard, start, lag)).collect();
    let windows = found.len();
    let correlation = median(&mut found, |(_, correlation)| *correlation)?;
    let delay_ms = median(&mut found, |(delay, _)| *delay)? * 1000.0 / f64::from(RATE);
    Some(Likeness { delay_ms, correlation, windows })
}

/// The best (delay in samples, correlation) of the spoken window at `start`; `None` when it is silent or was not
/// recorded in full.
fn window(spoken: Recording<'_>, heard: Recording<'_>, start: usize, lag: usize) -> Option<(f64, f64)> {
    let said = floats(spoken.samples.get(start..start + WINDOW)?);
    if energy(&said).sqrt() < MIN_SPOKEN * (WINDOW as f64).sqrt() {
        return None;
    }
    // Where in `heard` the same moment is; the fraction of a sample is kept apart.
    let ahead = spoken.epoch_us as f64 - heard.epoch_us as f64;
    let same_moment = start as f64 + ahead * f64::from(RATE) / 1e6;
    let first = same_moment.floor();
    if first < 0.0 {
        return None;
    }
    let found = floats(heard.samples.get(first as usize..first as usize + WINDOW + lag)?);
    let (shift, correlation) = best_shift(&said, &found);
    Some((shift as f64 - (same_moment - first), correlation))
}

/// The shift of `said` within the longer `found` at which they are most alike, and how much.
fn best_shift(said: &[f64], found: &[f64]) -> (usize, f64) {
    let [coarse_said, coarse_found] = [said, found].map(decimated);
    let shifts = 0..=coarse_found.len().saturating_sub(coarse_said.len());
    let (coarse, _) = most_alike(&coarse_said, &coarse_found, shifts);
    let last = found.len().saturating_sub(said.len());
    let near = (coarse * COARSE).saturating_sub(2 * COARSE)..=(coarse * COARSE + 2 * COARSE).min(last);
    most_alike(said, found, near)
}

fn most_alike(said: &[f64], found: &[f64], shifts: core::ops::RangeInclusive<usize>) -> (usize, f64) {
    let mut best = (*shifts.start(), f64::MIN);
    for shift in shifts {
        let part = found.get(shift..shift + said.len()).unwrap_or_default();
        let alike = correlation(said, part);
        if alike > best.1 {
            best = (shift, alike);
        }
    }
    best
}

/// The normalised correlation of two stretches of sound; 0 when either is silent.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let product: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    let norm = (energy(a) * energy(b)).sqrt();
    if norm > 0.0 { product / norm } else { 0.0 }
}

fn energy(samples: &[f64]) -> f64 {
    samples.iter().map(|sample| sample * sample).sum()
}

fn floats(samples: &[i16]) -> Vec<f64> {
    samples.iter().map(|sample| f64::from(*sample)).collect()
}

fn decimated(samples: &[f64]) -> Vec<f64> {
    samples.chunks_exact(COARSE).map(|chunk| chunk.iter().sum::<f64>() / COARSE as f64).collect()
}

fn median<T>(items: &mut [T], key: impl Fn(&T) -> f64) -> Option<f64> {
    items.sort_by(|a, b| key(a).total_cmp(&key(b)));
    items.get(items.len() / 2).map(key)
}

#[cfg(test)]
mod tests {
    use dvsd::media::MAX_PACKET;
    use dvsd::media::codec::{Decoder, Encoder, EncoderSettings, OpusDecoder, OpusEncoder};
    use dvsd::media::packet::OpusPacket;

    use super::*;
    use crate::speech;

    /// Speech, and what a listener hears of it: `late` samples later and with a noise of `noise` at most.
    fn scene(late: usize, noise: i64) -> (Vec<i16>, Vec<i16>) {
        let spoken = speech::samples(4).unwrap();
        let mut random = dvsd::random::Random::seeded(1);
        let mut noisy = |sample: i16| {
            let noise = random.below(2 * noise as u64 + 1) as i64 - noise;
            (i64::from(sample) + noise).clamp(-32_768, 32_767) as i16
        };
        let heard = core::iter::repeat_n(0, late).chain(spoken.iter().copied()).chain([0; 48_000]);
        (spoken.clone(), heard.map(&mut noisy).collect())
    }

    fn likeness(spoken: (&[i16], u64), heard: (&[i16], u64)) -> Option<Likeness> {
        let [spoken, heard] = [spoken, heard].map(|(samples, epoch_us)| Recording { samples, epoch_us });
        compare(spoken, heard, 300)
    }

    #[test]
    fn a_perfect_copy_is_found_where_it_is() {
        let (spoken, heard) = scene(1_920, 0);
        let found = likeness((&spoken, 0), (&heard, 0)).unwrap();
        assert_eq!(found.delay_ms, 40.0);
        assert!(found.correlation > 0.999 && found.windows >= 3, "{found:?}");
    }

    #[test]
    fn recordings_that_start_at_other_moments_are_put_on_one_clock() {
        let (spoken, heard) = scene(1_920, 0);
        // The recording starts 10 ms after the speaker: what is heard at its start was spoken 10 ms in.
        let found = likeness((&spoken, 1_000_000), (&heard[480..], 1_010_000)).unwrap();
        assert!((found.delay_ms - 40.0).abs() < 0.05, "{found:?}");
    }

    #[test]
    fn noise_lowers_the_correlation_and_not_the_delay() {
        let (spoken, heard) = scene(480, 3_000);
        let found = likeness((&spoken, 0), (&heard, 0)).unwrap();
        assert!((found.delay_ms - 10.0).abs() < 0.05, "{found:?}");
        assert!((0.3..0.97).contains(&found.correlation), "{found:?}");
    }

    #[test]
    fn silence_and_other_speech_are_not_taken_for_a_copy() {
        let (spoken, heard) = scene(0, 0);
        assert!(likeness((&spoken, 0), (&vec![0; heard.len()], 0)).unwrap().correlation < 0.01);
        assert!(likeness((&spoken[..96_000], 0), (&heard[96_000..], 0)).unwrap().correlation < 0.5);
        assert_eq!(likeness((&vec![0; 192_000], 0), (&heard, 0)), None);
    }

    /// What comes out of one encoder and decoder.
    fn coded(samples: &[i16]) -> Vec<i16> {
        let settings = EncoderSettings::default();
        let mut encoder = OpusEncoder::new(settings).unwrap();
        let mut decoder = OpusDecoder::new().unwrap();
        let mut packet = [0; MAX_PACKET];
        let frames = samples.chunks_exact(settings.frame_samples()).flat_map(|frame| {
            let length = encoder.encode(frame, &mut packet).unwrap();
            let mut out = vec![0; frame.len()];
            decoder.decode(&OpusPacket::parse(&packet[..length]).unwrap(), &mut out).unwrap();
            out
        });
        frames.collect()
    }

    #[test]
    fn speech_is_recognised_after_one_and_after_two_codings() {
        let (spoken, heard) = scene(0, 0);
        let once = coded(&heard);
        let one_way = likeness((&spoken, 0), (&once, 0)).unwrap();
        let echo = likeness((&spoken, 0), (&coded(&once), 0)).unwrap();
        assert!(one_way.correlation > 0.9 && echo.correlation > 0.7, "{one_way:?} {echo:?}");
        // The encoder looks 6.5 ms ahead.
        assert!((one_way.delay_ms - 6.5).abs() < 0.5 && (echo.delay_ms - 13.0).abs() < 0.5, "{one_way:?} {echo:?}");
    }
}
