// SPDX-License-Identifier: GPL-3.0-or-later
//! Mouth-to-ear delay and likeness of two streams of samples on one clock: what a microphone heard (it repeats for
//! ever) and what a loudspeaker far away played.

/// Samples per millisecond.
const PER_MILLI: f64 = 48.0;
/// The longest delay looked for, in samples (650 ms).
const LONGEST: usize = 31_200;
/// A click is at least this loud; what follows within [`CLICK_GAP`] samples belongs to it.
const CLICK: u16 = 20_000;
const CLICK_GAP: usize = 4_800;
/// Samples of a click that are compared (2 ms).
const CLICK_LENGTH: usize = 96;
/// A click that arrives is at least this loud.
const HEARD: u16 = 1_500;
/// A window of speech, and how far the next is from it (1 s and half of it).
const WINDOW: usize = 48_000;
/// The coarse search adds up this many samples to one.
const COARSE: usize = 8;

/// What became of the clicks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clicks {
    /// Delay of each click that arrived, in milliseconds, in order.
    pub delays_ms: Vec<f64>,
    /// Clicks that did not arrive.
    pub missed: usize,
}

impl Clicks {
    /// The middle delay, in milliseconds; `None` if no click arrived.
    pub fn median_ms(&self) -> Option<f64> {
        median(&self.delays_ms)
    }
}

/// One window of speech.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Where it begins, in seconds of the shared clock.
    pub at_s: f64,
    /// The delay at which both streams look most alike, in milliseconds.
    pub delay_ms: f64,
    /// How much alike they are there: 1 is the same wave, 0 is nothing in common.
    pub correlation: f64,
}

/// The middle of `values`; `None` for none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// Silence of `seconds` with a click of 1 ms every `every` samples, for a microphone. Clicks closer than the longest
/// delay (650 ms) are taken for one another.
pub fn click_track(seconds: usize, every: usize) -> Vec<i16> {
    let wave = |i: usize| {
        let phase = i as f64 * std::f64::consts::TAU / 24.0;
        (30_000.0 * phase.sin()) as i16
    };
    (0..seconds * 48_000).map(|i| if i % every < 48 { wave(i % every) } else { 0 }).collect()
}

/// Delays of the clicks in `microphone` until they appear in `loudspeaker`. Only the time between the first and the
/// last sound of the loudspeaker counts.
pub fn clicks(microphone: &[i16], loudspeaker: &[i16]) -> Clicks {
    let mut found = Clicks::default();
    let loud = |&(_, sample): &(usize, &i16)| sample.unsigned_abs() > 50;
    let first = loudspeaker.iter().enumerate().find(loud).map_or(usize::MAX, |(place, _)| place);
    let last = loudspeaker.iter().enumerate().rfind(loud).map_or(0, |(place, _)| place);
    let onsets = onsets(microphone);
    for round in 0..=loudspeaker.len() / microphone.len().max(1) {
        for &onset in &onsets {
            let at = onset + round * microphone.len();
            if at + CLICK_GAP < first || at > last {
                continue;
            }
            let Some(after) = loudspeaker.get(at..at + LONGEST) else { continue };
            let click = microphone.get(onset..onset + CLICK_LENGTH).unwrap_or_default();
            match find_click(click, after) {
                Some(delay) => found.delays_ms.push(delay as f64 / PER_MILLI),
                None => found.missed += 1,
            }
        }
    }
    found
}

fn onsets(microphone: &[i16]) -> Vec<usize> {
    let mut onsets = Vec::new();
    let mut last_loud = None;
    for (place, sample) in microphone.iter().enumerate() {
        if sample.unsigned_abs() > CLICK {
            if last_loud.is_none_or(|last| place - last > CLICK_GAP) {
                onsets.push(place);
            }
            last_loud = Some(place);
        }
    }
    onsets
}

fn find_click(click: &[i16], after: &[i16]) -> Option<usize> {
    if after.iter().all(|sample| sample.unsigned_abs() < HEARD) {
        return None;
    }
    let likeness = after.windows(click.len()).map(|window| dot(click, window).abs());
    likeness.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).map(|(delay, _)| delay)
}

/// Delay and likeness of speech, window by window; windows in which nobody speaks are left out.
pub fn speech(microphone: &[i16], loudspeaker: &[i16]) -> Vec<Window> {
    let mut windows = Vec::new();
    let mut at = 0;
    while let Some(heard) = loudspeaker.get(at..at + WINDOW + LONGEST) {
        let spoken: Vec<i16> = microphone.iter().cycle().skip(at % microphone.len()).take(WINDOW).copied().collect();
        if deviation(&spoken) > 300.0 && deviation(heard.get(..WINDOW).unwrap_or_default()) > 100.0 {
            let (delay, correlation) = best_delay(&spoken, heard);
            windows.push(Window { at_s: at as f64 / 48_000.0, delay_ms: delay as f64 / PER_MILLI, correlation });
        }
        at += WINDOW / 2;
    }
    windows
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

fn deviation(samples: &[i16]) -> f64 {
    let count = samples.len().max(1) as f64;
    let mean = samples.iter().map(|&sample| f64::from(sample)).sum::<f64>() / count;
    (dot(samples, samples) / count - mean * mean).max(0.0).sqrt()
}

/// Something with the rhythm of speech that never repeats within `seconds`: syllables of gliding pitch with pauses.
pub fn speech_track(seconds: usize) -> Vec<i16> {
    let mut phase = 0.0_f64;
    let mut samples = Vec::with_capacity(seconds * 48_000);
    for i in 0..seconds * 48_000 {
        let syllable = i / 12_000;
        let inside = (i % 12_000) as f64 / 12_000.0;
        let random = (syllable * 7_919 % 101) as f64 / 101.0;
        phase += (100.0 + 120.0 * random + 40.0 * inside) * std::f64::consts::TAU / 48_000.0;
        let loudness = if syllable % 5 == 4 || inside > 0.8 { 0.0 } else { (inside * std::f64::consts::PI).sin() };
        let voice: f64 = (1..12).map(|k| (phase * f64::from(k)).sin() / (f64::from(k) + 4.0 * random)).sum();
        samples.push((5_000.0 * loudness * voice) as i16);
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delayed(samples: &[i16], by: usize) -> Vec<i16> {
        std::iter::repeat_n(0, by).chain(samples.iter().copied()).collect()
    }

    #[test]
    fn a_click_is_found_to_the_sample() {
        let microphone = click_track(2, 48_000);
        let repeated: Vec<i16> = microphone.iter().cycle().take(5 * 48_000).copied().collect();
        let found = clicks(&microphone, &delayed(&repeated, 1_500));
        assert_eq!(found.median_ms(), Some(31.25));
        assert!(found.delays_ms.len() >= 4 && found.missed == 0, "{found:?}");
    }

    #[test]
    fn a_click_that_does_not_arrive_is_missed() {
        let microphone = click_track(4, 48_000);
        let mut heard = delayed(&microphone, 480);
        heard.resize(6 * 48_000, 0);
        heard[48_000..60_000].fill(0);
        assert_eq!(clicks(&microphone, &heard).missed, 1);
        assert_eq!(clicks(&microphone, &[0; 96_000]), Clicks::default(), "nothing played, nothing missed");
    }

    #[test]
    fn speech_is_found_to_the_sample() {
        let microphone = speech_track(4);
        let windows = speech(&microphone, &delayed(&microphone, 2_001));
        assert!(windows.len() >= 4, "{windows:?}");
        assert!(windows.iter().all(|window| (window.delay_ms - 2_001.0 / 48.0).abs() < 1e-9), "{windows:?}");
        assert!(windows.iter().all(|window| window.correlation > 0.999), "{windows:?}");
    }

    #[test]
    fn unlike_sounds_do_not_correlate() {
        let voice = speech_track(1);
        let clicks = click_track(1, 4_800);
        assert!(correlation(&voice, &voice) > 0.999);
        assert!(correlation(&voice, &clicks).abs() < 0.1);
        assert_eq!(correlation(&voice, &[0; 48_000]), 0.0);
    }
}
