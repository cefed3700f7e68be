// SPDX-License-Identifier: GPL-3.0-or-later
//! Real speech to put into calls: the voice that Debian's `alsa-utils` brings for its speaker test.

use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Samples per second everywhere in DVS.
pub const RATE: u32 = 48_000;
/// Where `alsa-utils` keeps its recordings.
const DIRECTORY: &str = "/usr/share/sounds/alsa";
/// The spoken ones, in the order they are joined. ("Front center, rear left, …")
const WORDS: [&str; 8] =
    ["Front_Center", "Rear_Left", "Side_Right", "Front_Left", "Rear_Center", "Side_Left", "Front_Right", "Rear_Right"];
/// Silence before the first word, in samples.
const LEAD_IN: usize = 4_800;

/// At least `seconds` of speech (48 kHz, mono), cut after exactly that; the words repeat when they run out.
pub fn samples(seconds: u32) -> Result<Vec<i16>> {
    let wanted = (seconds * RATE) as usize;
    let mut all = Vec::new();
    for word in WORDS {
        all.extend(read_wav(&Path::new(DIRECTORY).join(word).with_extension("wav"))?);
    }
    ensure!(!all.is_empty(), "the recordings in {DIRECTORY} are empty");
    Ok(core::iter::repeat_n(0, LEAD_IN).chain(all.into_iter().cycle()).take(wanted).collect())
}

/// Writes `seconds` of speech to the WAV file `path`.
pub fn write(path: &Path, seconds: u32) -> Result<()> {
    write_wav(path, &samples(seconds)?)
}

/// The samples of a WAV file, which must be 48 kHz, mono, 16 bit.
pub fn read_wav(path: &Path) -> Result<Vec<i16>> {
    let name = path.display();
    let file = hound::WavReader::open(path)
        .with_context(|| format!("read {name} (real speech comes with Debian's package alsa-utils)"))?;
    let spec = file.spec();
    ensure!(
        spec.sample_rate == RATE && spec.channels == 1 && spec.bits_per_sample == 16,
        "{name} is not 48 kHz, mono, 16 bit"
    );
    file.into_samples().collect::<Result<_, _>>().with_context(|| format!("read {name}"))
}

/// Writes `samples` to the WAV file `path`: 48 kHz, mono, 16 bit.
pub fn write_wav(path: &Path, samples: &[i16]) -> Result<()> {
    let spec =
        hound::WavSpec { channels: 1, sample_rate: RATE, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut file = hound::WavWriter::create(path, spec).with_context(|| format!("write {}", path.display()))?;
    for sample in samples {
        file.write_sample(*sample)?;
    }
    file.finalize().with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speech_is_loud_enough_to_be_heard_and_as_long_as_asked() {
        let speech = samples(14).unwrap();
        assert_eq!(speech.len(), 14 * 48_000);
        assert!(speech.iter().any(|sample| sample.unsigned_abs() > 8_000));
        let loud_seconds = speech.chunks(48_000).filter(|second| second.iter().any(|s| s.unsigned_abs() > 2_000));
        assert_eq!(loud_seconds.count(), 14);
    }

    #[test]
    fn a_written_file_reads_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.wav");
        write_wav(&path, &[1, -2, 3]).unwrap();
        assert_eq!(read_wav(&path).unwrap(), [1, -2, 3]);
    }
}
