// SPDX-License-Identifier: GPL-3.0-or-later
//! What can be told from an Opus packet before the decoder sees it.
//!
//! Whatever an authenticated peer sends goes through [`OpusPacket::parse`] first, so that the decoder only ever gets
//! packets with one frame of a known duration (PROTOCOL.md, "Media packet"; RFC 6716, section 3.1).

use thiserror::Error;

use super::{MAX_FRAME_TICKS, MAX_PACKET, TICK_SAMPLES};

/// Why a packet was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadPacket {
    /// No byte at all.
    #[error("empty media packet")]
    Empty,
    /// More bytes than an Opus frame can have.
    #[error("media packet too long")]
    TooLong,
    /// More than one frame, or one of the extensions this version ignores.
    #[error("not a single Opus frame")]
    NotSingle,
}

/// First byte of a padded packet: extension 1.
const PADDED: u8 = 1 << 2 | EXTENSION;
/// First byte of a packet padded by exactly that byte: extension 3.
const PADDED_BY_1: u8 = 3 << 2 | EXTENSION;
/// First byte of a packet padded by exactly that byte and one at the end: extension 4.
const PADDED_BY_2: u8 = 4 << 2 | EXTENSION;
/// The two low bits that mark an extension instead of an Opus packet.
const EXTENSION: u8 = 0b11;

/// How Opus coded the frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Silk,
    Hybrid,
    Celt,
}

/// A packet that holds exactly one Opus frame of at most 60 ms.
#[derive(Clone, Copy, Debug)]
pub struct OpusPacket<'a> {
    bytes: &'a [u8],
    toc: u8,
}

impl<'a> OpusPacket<'a> {
    /// Checks a media payload: length, frame count, and padding, which is taken off. The duration follows from the
    /// first byte and is never above 60 ms.
    pub fn parse(payload: &'a [u8]) -> Result<Self, BadPacket> {
        if payload.len() > MAX_PACKET {
            return Err(BadPacket::TooLong);
        }
        let bytes = match payload {
            [PADDED, high, low, rest @ ..] => {
                rest.get(..usize::from(u16::from_be_bytes([*high, *low]))).ok_or(BadPacket::Empty)?
            }
            [PADDED_BY_1, rest @ ..] | [PADDED_BY_2, rest @ .., _] => rest,
            plain => plain,
        };
        let &toc = bytes.first().ok_or(BadPacket::Empty)?;
        if toc & 0b11 != 0 {
            return Err(BadPacket::NotSingle);
        }
        Ok(Self { bytes, toc })
    }

    /// The Opus packet itself.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Duration in ticks of 2.5 ms: 1, 2, 4, 8, 16 or 24.
    pub fn ticks(&self) -> u8 {
        let size = self.config() & 0b11;
        let ticks = match self.mode() {
            Mode::Silk if size == 3 => MAX_FRAME_TICKS,
            Mode::Silk => 4 << size,
            Mode::Hybrid => 4 << (size & 1),
            Mode::Celt => 1 << size,
        };
        ticks.min(MAX_FRAME_TICKS)
    }

    /// Duration in samples at 48 kHz.
    pub fn samples(&self) -> usize {
        usize::from(self.ticks()) * TICK_SAMPLES
    }

    /// Whether the packet carries a second, coarser coding of the frame before it.
    ///
    /// The speech layer starts with one voice bit per 20 ms and then the redundancy bit, all of them uncoded
    /// (RFC 6716, section 4.2.3); a packet of the transform layer alone never has one.
    pub fn has_redundancy(&self) -> bool {
        if self.mode() == Mode::Celt {
            return false;
        }
        let inner_frames = u32::from(self.ticks()).div_ceil(8).max(1);
        self.bytes.get(1).is_some_and(|first| (first >> (7 - inner_frames)) & 1 == 1)
    }

    fn config(&self) -> u8 {
        self.toc >> 3
    }

    fn mode(&self) -> Mode {
        match self.config() {
            0..=11 => Mode::Silk,
            12..=15 => Mode::Hybrid,
            _ => Mode::Celt,
        }
    }
}

/// Makes what libopus wrote into `buffer` (`length` bytes) a media payload of exactly `size` bytes, as long as it is
/// not longer than that already.
///
/// At a constant rate libopus fills up packets of the speech layer with padding of its own, which makes them
/// multi-frame packets by form. That padding is replaced by ours.
pub fn fill(buffer: &mut [u8], length: usize, size: usize) -> Result<usize, BadPacket> {
    let length = strip(buffer, length).ok_or(BadPacket::NotSingle)?;
    let [high, low] = (length as u16).to_be_bytes();
    let header: &[u8] = match size.saturating_sub(length) {
        0 => return Ok(length),
        _ if size > buffer.len() => return Ok(length),
        1 => &[PADDED_BY_1],
        2 => &[PADDED_BY_2],
        _ => &[PADDED, high, low],
    };
    buffer.copy_within(..length, header.len());
    for (place, byte) in buffer.iter_mut().zip(header) {
        *place = *byte;
    }
    buffer.get_mut(header.len() + length..size).unwrap_or_default().fill(0);
    Ok(size)
}

/// Turns a padded packet of one frame into the plain form in place (RFC 6716, section 3.2.5).
fn strip(buffer: &mut [u8], length: usize) -> Option<usize> {
    let &[toc, count, ..] = buffer.get(..length)? else { return Some(length) };
    match toc & 0b11 {
        0 => return Some(length),
        3 if count & 0x3f == 1 => {}
        _ => return None,
    }
    let (mut start, mut end) = (2, length);
    let mut more = count & 0x40 != 0;
    while more {
        let &step = buffer.get(start)?;
        start += 1;
        end = end.checked_sub(usize::from(step.min(254)))?;
        more = step == 255;
    }
    if start > end {
        return None;
    }
    buffer.copy_within(start..end, 1);
    *buffer.first_mut()? = toc & !0b11;
    Some(1 + end - start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_by_the_encoder_becomes_padding_of_ours() {
        let mut buffer = [0x4b, 0x41, 3, 0xaa, 0xbb, 0, 0, 0, 9, 9];
        assert_eq!(fill(&mut buffer, 8, 8), Ok(8));
        assert_eq!(buffer[..8], [PADDED, 0, 3, 0x48, 0xaa, 0xbb, 0, 0]);
        assert_eq!(OpusPacket::parse(&buffer[..8]).unwrap().bytes(), [0x48, 0xaa, 0xbb]);
    }

    #[test]
    fn a_packet_of_the_right_size_stays_as_it_is() {
        let mut buffer = [0x78, 1, 2, 3];
        assert_eq!(fill(&mut buffer, 4, 4), Ok(4));
        assert_eq!(buffer, [0x78, 1, 2, 3]);
    }

    #[test]
    fn every_size_can_be_reached_from_every_shorter_one() {
        for short in 0..6 {
            let size = 8;
            let mut buffer = [0x48, 1, 2, 3, 4, 5, 6, 7, 9, 9];
            assert_eq!(fill(&mut buffer, size - short, size), Ok(size));
            let packet = OpusPacket::parse(&buffer[..size]).unwrap();
            assert_eq!(packet.bytes(), &[0x48, 1, 2, 3, 4, 5, 6, 7][..size - short], "{short} bytes short");
        }
    }

    #[test]
    fn long_padding_counts_in_steps_of_254() {
        let mut buffer = vec![0; 300];
        buffer[..6].copy_from_slice(&[0x4b, 0x41, 255, 30, 0xaa, 0xbb]);
        assert_eq!(strip(&mut buffer, 4 + 2 + 254 + 30), Some(3));
        assert_eq!(buffer[..3], [0x48, 0xaa, 0xbb]);
    }

    #[test]
    fn padding_that_lies_is_refused() {
        for bytes in [
            &[PADDED, 0, 9, 0x78][..],
            &[PADDED, 0, 0],
            &[PADDED, 0],
            &[PADDED, 0, 1, 0x7b],
            &[PADDED_BY_1],
            &[PADDED_BY_2],
            &[PADDED_BY_2, 0],
            &[PADDED_BY_1, 0x7b],
        ] {
            assert!(OpusPacket::parse(bytes).is_err(), "{bytes:?}");
        }
        assert_eq!(strip(&mut [0x4b, 0x41, 255], 3), None);
        assert_eq!(strip(&mut [0x4b, 0x41, 9, 0], 4), None);
        assert_eq!(strip(&mut [0x4b, 0x02, 9, 0], 4), None, "two frames");
    }

    #[test]
    fn f19_an_empty_payload_is_refused() {
        assert_eq!(OpusPacket::parse(&[]).unwrap_err(), BadPacket::Empty);
    }

    #[test]
    fn f20_a_multi_frame_packet_is_refused() {
        for code in 1..=3 {
            assert_eq!(OpusPacket::parse(&[0x78 | code, 0, 0]).unwrap_err(), BadPacket::NotSingle);
        }
    }

    #[test]
    fn a_packet_longer_than_any_frame_is_refused() {
        assert_eq!(OpusPacket::parse(&[0; MAX_PACKET + 1]).unwrap_err(), BadPacket::TooLong);
        assert!(OpusPacket::parse(&[0; MAX_PACKET]).is_ok());
    }

    #[test]
    fn the_first_byte_tells_the_duration() {
        let ticks = |config: u8| OpusPacket::parse(&[config << 3]).unwrap().ticks();
        assert_eq!([0, 1, 2, 3].map(ticks), [4, 8, 16, 24], "speech");
        assert_eq!([12, 13, 14, 15].map(ticks), [4, 8, 4, 8], "hybrid");
        assert_eq!([16, 17, 18, 19].map(ticks), [1, 2, 4, 8], "transform");
        assert!((0..32).all(|config| ticks(config) <= MAX_FRAME_TICKS));
    }

    #[test]
    fn redundancy_is_seen_behind_the_voice_bits() {
        let has = |config: u8, first: u8| OpusPacket::parse(&[config << 3, first]).unwrap().has_redundancy();
        assert!(has(13, 0x40) && !has(13, 0xbf), "20 ms");
        assert!(has(3, 0x10) && !has(3, 0xef), "60 ms has three voice bits");
        assert!(!has(31, 0xff), "transform only");
        assert!(!OpusPacket::parse(&[13 << 3]).unwrap().has_redundancy(), "nothing behind the first byte");
    }
}
