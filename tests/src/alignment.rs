// SPDX-License-Identifier: GPL-3.0-or-later
//! Finds what was spoken in what was heard when the two recordings began at different moments of one clock.

use crate::latency::{best_delay, median};
use crate::speech::RATE;

/// Length of a compared window, in samples: one second.
const WINDOW: usize = RATE as usize;
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
    let (delays, likenesses): (Vec<f64>, Vec<f64>) =
        starts.filter_map(|start| window(spoken, heard, start, lag)).unzip();
    let delay_ms = median(&delays)? * 1000.0 / f64::from(RATE);
    Some(Likeness { delay_ms, correlation: median(&likenesses)?, windows: delays.len() })
}

/// The best (delay in samples, correlation) of the spoken window at `start`; `None` when it is silent or was not
/// recorded in full.
fn window(spoken: Recording<'_>, heard: Recording<'_>, start: usize, lag: usize) -> Option<(f64, f64)> {
    let said = spoken.samples.get(start..start + WINDOW)?;
    if root_mean_square(said) < MIN_SPOKEN {
        return None;
    }
    // Where in `heard` the same moment is; the fraction of a sample is kept apart.
    let ahead = spoken.epoch_us as f64 - heard.epoch_us as f64;
    let same_moment = start as f64 + ahead * f64::from(RATE) / 1e6;
    let first = same_moment.floor();
    if first < 0.0 {
        return None;
    }
    let found = heard.samples.get(first as usize..first as usize + WINDOW + lag)?;
    let (shift, alike) = best_delay(said, found);
    Some((shift as f64 - (same_moment - first), alike))
}

fn root_mean_square(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    (sum / samples.len().max(1) as f64).sqrt()
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
