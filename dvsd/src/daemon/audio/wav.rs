// SPDX-License-Identifier: GPL-3.0-or-later
//! WAV files: 16 bit at 48 kHz.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use dvsd::media::SAMPLE_RATE;
use dvsd::media::jitter::MAX_CHUNK;

/// Bytes before the first sample in the files written here.
const HEADER: usize = 44;
/// The sizes in the header are renewed every so many samples: one second.
const RENEW: u64 = SAMPLE_RATE as u64;
/// Larger files are refused: about half an hour.
const MAX_INPUT: u64 = 200 << 20;

/// Records samples into a file that is valid at any moment.
///
/// Errors of the disk are not reported: a call does not end because its recording does.
pub(super) struct WavWriter {
    file: File,
    samples: u64,
    in_header: u64,
    bytes: Vec<u8>,
}

impl WavWriter {
    /// Creates or overwrites the file at `path`, for its owner only.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all_at(&header(0), 0)?;
        Ok(Self::at_end(file, 0))
    }

    /// Goes on at the end of a file that [`Self::create`] made.
    pub(super) fn resume(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).open(path)?;
        let samples = file.metadata()?.len().saturating_sub(HEADER as u64) / 2;
        Ok(Self::at_end(file, samples))
    }

    fn at_end(file: File, samples: u64) -> Self {
        Self { file, samples, in_header: samples, bytes: Vec::with_capacity(2 * MAX_CHUNK) }
    }

    /// Adds samples at the end.
    pub(super) fn append(&mut self, samples: &[i16]) {
        for part in samples.chunks(MAX_CHUNK) {
            self.bytes.clear();
            self.bytes.extend(part.iter().flat_map(|sample| sample.to_le_bytes()));
            if self.file.write_all_at(&self.bytes, HEADER as u64 + 2 * self.samples).is_ok() {
                self.samples += part.len() as u64;
            }
        }
        if self.samples - self.in_header >= RENEW {
            self.renew_header();
        }
    }

    fn renew_header(&mut self) {
        if self.file.write_all_at(&header(self.samples), 0).is_ok() {
            self.in_header = self.samples;
        }
    }
}

impl Drop for WavWriter {
    fn drop(&mut self) {
        self.renew_header();
    }
}

fn header(samples: u64) -> Vec<u8> {
    let data = u32::try_from(samples * 2).unwrap_or(u32::MAX - HEADER as u32);
    let rate = SAMPLE_RATE;
    let mut header = Vec::with_capacity(HEADER);
    header.extend(b"RIFF");
    header.extend((data + HEADER as u32 - 8).to_le_bytes());
    header.extend(b"WAVEfmt ");
    header.extend(16_u32.to_le_bytes());
    header.extend([1_u16, 1].map(u16::to_le_bytes).concat());
    header.extend([rate, rate * 2].map(u32::to_le_bytes).concat());
    header.extend([2_u16, 16].map(u16::to_le_bytes).concat());
    header.extend(b"data");
    header.extend(data.to_le_bytes());
    header
}

/// Reads a WAV file of 16 bit at 48 kHz; of several channels the first. The error says what to do.
pub(super) fn read(path: &Path) -> Result<Vec<i16>, String> {
    let explain = |error: io::Error| format!("cannot read {}: {error}", path.display());
    if std::fs::metadata(path).map_err(explain)?.len() > MAX_INPUT {
        return Err(format!("{} is longer than half an hour", path.display()));
    }
    let bytes = std::fs::read(path).map_err(explain)?;
    parse(&bytes).ok_or_else(|| {
        format!("{0} is not a WAV file of 16 bit at 48000 Hz; convert it with: ffmpeg -i {0} -ar 48000 -c:a pcm_s16le out.wav", path.display())
    })
}

fn parse(bytes: &[u8]) -> Option<Vec<i16>> {
    let mut rest = bytes.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WAVE")?;
    let mut channels = None;
    loop {
        let (name, length) = (rest.get(..4)?, u32::from_le_bytes(rest.get(4..8)?.try_into().ok()?) as usize);
        let body = rest.get(8..)?;
        match name {
            b"fmt " => channels = Some(parse_format(body.get(..length)?)?),
            // A recording that was cut off may be shorter than it says.
            b"data" => return Some(first_channel(body.get(..length).unwrap_or(body), channels?)),
            _ => {}
        }
        rest = body.get(length + length % 2..)?;
    }
}

/// The number of channels, if the format is 16 bit at 48 kHz.
fn parse_format(body: &[u8]) -> Option<usize> {
    let word = |at: usize| Some(u16::from_le_bytes(body.get(at..at + 2)?.try_into().ok()?));
    let (kind, channels, bits) = (word(0)?, usize::from(word(2)?), word(14)?);
    let rate = u32::from_le_bytes(body.get(4..8)?.try_into().ok()?);
    // 1 is plain PCM, 0xfffe the extensible form of the same.
    let plain = matches!(kind, 1 | 0xfffe) && bits == 16 && rate == SAMPLE_RATE && channels > 0;
    plain.then_some(channels)
}

fn first_channel(data: &[u8], channels: usize) -> Vec<i16> {
    let frames = data.chunks_exact(2 * channels);
    frames.filter_map(|frame| Some(i16::from_le_bytes(frame.get(..2)?.try_into().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_goes_on_where_it_stopped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("call.wav");
        WavWriter::create(&path).unwrap().append(&[1, 2]);
        WavWriter::resume(&path).unwrap().append(&[3]);
        assert_eq!(read(&path).unwrap(), [1, 2, 3]);
        drop(WavWriter::create(&path).unwrap());
        assert_eq!(read(&path).unwrap(), Vec::<i16>::new(), "the next call starts anew");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_is_written_can_be_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let mut writer = WavWriter::create(&path).unwrap();
        let sound: Vec<i16> = (0..10_000).map(|i| i as i16 - 5_000).collect();
        writer.append(&sound);
        drop(writer);
        assert_eq!(read(&path).unwrap(), sound);
    }

    #[test]
    fn a_recording_is_valid_while_it_grows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let mut writer = WavWriter::create(&path).unwrap();
        assert_eq!(read(&path).unwrap(), Vec::<i16>::new());
        for _ in 0..150 {
            writer.append(&[7; 960]);
        }
        let recorded = read(&path).unwrap().len();
        assert!((2 * 48_000..=150 * 960).contains(&recorded), "{recorded}");
    }

    #[test]
    fn of_two_channels_the_first_is_taken() {
        let mut bytes = header(4);
        bytes[22] = 2;
        bytes.extend([1_i16, -1, 2, -2].map(i16::to_le_bytes).concat());
        assert_eq!(parse(&bytes), Some(vec![1, 2]));
    }

    #[test]
    fn other_files_are_refused_with_advice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let mut wrong_rate = header(0);
        wrong_rate[24] = 0x44;
        for bytes in [&b""[..], b"RIFF", b"RIFFxxxxWAVE", b"OggS", &wrong_rate, &header(0)[..30]] {
            std::fs::write(&path, bytes).unwrap();
            assert!(read(&path).unwrap_err().contains("ffmpeg"));
        }
        assert!(read(Path::new("/nowhere/a.wav")).unwrap_err().contains("/nowhere/a.wav"));
    }
}
