// SPDX-License-Identifier: GPL-3.0-or-later
//! Sound levels in tenths of a decibel below full scale.

/// What silence is shown as: -90 dB.
pub const SILENCE: i16 = -900;
/// How fast a meter falls, in tenths of a decibel per second.
const FALL_PER_SECOND: i32 = 600;

/// Largest absolute sample, in tenths of a decibel below full scale; [`SILENCE`] at least.
pub fn peak(samples: &[i16]) -> i16 {
    let peak = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
    decibels(f64::from(peak))
}

/// Root mean square, in tenths of a decibel below full scale; [`SILENCE`] at least.
pub fn rms(samples: &[i16]) -> i16 {
    decibels(mean_square(samples).sqrt())
}

/// Mean of the squared samples; zero for no samples.
pub fn mean_square(samples: &[i16]) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    let sum: i64 = samples.iter().map(|&sample| i64::from(sample) * i64::from(sample)).sum();
    sum as f64 / samples.len() as f64
}

fn decibels(amplitude: f64) -> i16 {
    if amplitude < 1.0 {
        return SILENCE;
    }
    let tenths = 200.0 * (amplitude / 32_768.0).log10();
    (tenths.round() as i16).clamp(SILENCE, 0)
}

/// A level as an eye wants it: up at once, down slowly.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    shown: i16,
}

impl Default for Meter {
    fn default() -> Self {
        Self { shown: SILENCE }
    }
}

impl Meter {
    /// Takes in a stretch of samples and gives the level to show, in tenths of a decibel.
    pub fn update(&mut self, samples: &[i16]) -> i16 {
        let fall = FALL_PER_SECOND * samples.len() as i32 / super::SAMPLE_RATE as i32;
        let fallen = (i32::from(self.shown) - fall).max(i32::from(SILENCE)) as i16;
        self.shown = rms(samples).max(fallen);
        self.shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_scale_is_zero_and_nothing_is_silence() {
        assert_eq!(peak(&[i16::MIN, 0]), 0);
        assert_eq!(rms(&[i16::MIN; 10]), 0);
        assert_eq!((peak(&[]), rms(&[]), rms(&[0; 10])), (SILENCE, SILENCE, SILENCE));
    }

    #[test]
    fn half_the_amplitude_is_six_decibels_less() {
        assert_eq!(peak(&[16_384]), -60);
        assert_eq!(rms(&[1_000; 480]) - rms(&[500; 480]), 60);
    }

    #[test]
    fn a_meter_rises_at_once_and_falls_slowly() {
        let mut meter = Meter::default();
        assert_eq!(meter.update(&[16_384; 960]), -60);
        assert_eq!(meter.update(&[0; 960]), -72);
        for _ in 0..100 {
            meter.update(&[0; 960]);
        }
        assert_eq!(meter.update(&[0; 960]), SILENCE);
    }
}
