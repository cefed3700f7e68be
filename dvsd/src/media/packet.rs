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
    /// Checks length and frame count; the duration follows from the first byte and is never above 60 ms.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BadPacket> {
        let &toc = bytes.first().ok_or(BadPacket::Empty)?;
        if bytes.len() > MAX_PACKET {
            return Err(BadPacket::TooLong);
        }
        if toc & 0b11 != 0 {
            return Err(BadPacket::NotSingle);
        }
        Ok(Self { bytes, toc })
    }

    /// The whole packet.
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

#[cfg(test)]
mod tests {
    use super::*;

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
