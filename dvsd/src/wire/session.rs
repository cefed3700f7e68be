// SPDX-License-Identifier: GPL-3.0-or-later
//! Session packets: one byte of flags and slot, a sequence number, a tag, a ciphertext; and what is inside a
//! decrypted control packet.
//!
//! `1 S K LLLLL`: S = control stream, K = parity of the epoch, L = the slot its receiver chose, 31 = a 32-bit
//! index follows. Media adds 13 bytes to a frame, control 21 and 4 for acknowledgements.

use super::control::{MAX_BODY, is_reliable};
use super::cursor::{Emit, Reader};
use super::{Malformed, kind};

/// How many slots fit into the first byte.
pub const SLOTS: u8 = 31;
/// Acknowledgement fields at the front of a control packet's text.
pub const CONTROL_PREFIX: usize = 4;
/// Type and length in front of a frame's body.
pub const FRAME_PREFIX: usize = 3;

const CONTROL: u8 = 0x40;
const PARITY: u8 = 0x20;
const SLOT_MASK: u8 = 0x1f;

/// What the receiver of a packet chose to be told, in order to find the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// 0 to 30, inside the first byte.
    Short(u8),
    /// An index that follows the first byte.
    Extended(u32),
}

impl Slot {
    /// The slot bits that say "an index follows".
    pub const EXTENDED: u8 = 31;

    /// The short slot `value`, if it is one.
    pub const fn short(value: u8) -> Option<Self> {
        if value < SLOTS { Some(Self::Short(value)) } else { None }
    }
}

/// What stands in front of the tag. All of it is authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Control stream, or media.
    pub control: bool,
    /// The low bit of the epoch.
    pub parity: bool,
    /// The receiver's slot.
    pub slot: Slot,
    /// The sequence number.
    pub seq: u32,
}

impl Header {
    /// Length of the header of packets to `slot`, in bytes.
    pub const fn length(slot: Slot) -> usize {
        match slot {
            Slot::Short(_) => 5,
            Slot::Extended(_) => 9,
        }
    }

    /// Reads the front of a session packet.
    pub fn parse(datagram: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(datagram);
        let first = reader.u8()?;
        if first & kind::SESSION == 0 {
            return Err(Malformed::Kind);
        }
        let slot = match first & SLOT_MASK {
            Slot::EXTENDED => Slot::Extended(reader.u32()?),
            slot => Slot::Short(slot),
        };
        Ok(Self { control: first & CONTROL != 0, parity: first & PARITY != 0, slot, seq: reader.u32()? })
    }

    /// Writes the header into the front of `out`, which must be long enough.
    pub fn write(&self, out: &mut [u8]) -> Result<(), Malformed> {
        let flags = kind::SESSION | if self.control { CONTROL } else { 0 } | if self.parity { PARITY } else { 0 };
        let (slot, index) = match self.slot {
            Slot::Short(slot) => (slot, None),
            Slot::Extended(index) => (Slot::EXTENDED, Some(index.to_be_bytes())),
        };
        let bytes = [flags | slot].into_iter().chain(index.into_iter().flatten()).chain(self.seq.to_be_bytes());
        let front = out.get_mut(..Self::length(self.slot)).ok_or(Malformed::Length)?;
        front.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        Ok(())
    }
}

/// What a control packet acknowledges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ack {
    /// The message number expected next: all before it arrived.
    pub next: u16,
    /// Bit i (lowest first): message `next + 1 + i` arrived.
    pub more: u16,
}

impl Ack {
    /// Whether message `number` is acknowledged, given that at most 32 are under way.
    pub const fn covers(&self, number: u16) -> bool {
        let ahead = number.wrapping_sub(self.next);
        if ahead >= 0x8000 {
            return true;
        }
        ahead >= 1 && ahead <= 16 && self.more >> (ahead - 1) & 1 == 1
    }

    /// Appends the four bytes.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.emit_u16(self.next);
        out.emit_u16(self.more);
    }
}

/// The frames of a decrypted control packet, each checked as it is reached.
#[derive(Clone, Debug)]
pub struct Frames<'a>(Reader<'a>);

/// A frame whose body is not looked at yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawFrame<'a> {
    /// The type byte.
    pub kind: u8,
    /// The message number of a reliable frame.
    pub number: Option<u16>,
    /// The rest of the body.
    pub body: &'a [u8],
}

/// Splits the text of a control packet into acknowledgement and frames.
pub fn parse_control(text: &[u8]) -> Result<(Ack, Frames<'_>), Malformed> {
    let mut reader = Reader::new(text);
    let ack = Ack { next: reader.u16()?, more: reader.u16()? };
    Ok((ack, Frames(reader)))
}

impl<'a> Frames<'a> {
    fn parse_next(&mut self) -> Result<RawFrame<'a>, Malformed> {
        let kind = self.0.u8()?;
        let body = self.0.variable()?;
        if kind == 0 || body.len() > MAX_BODY {
            return Err(Malformed::Field);
        }
        if !is_reliable(kind) {
            return Ok(RawFrame { kind, number: None, body });
        }
        let mut reader = Reader::new(body);
        Ok(RawFrame { kind, number: Some(reader.u16()?), body: reader.rest() })
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<RawFrame<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.remaining() == 0 {
            return None;
        }
        let frame = self.parse_next();
        if frame.is_err() {
            self.0.rest();
        }
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers_have_their_fixed_bytes_both_ways() {
        let seq = 0x0102_0304;
        let cases: [(Header, &[u8]); 4] = [
            (Header { control: false, parity: false, slot: Slot::Short(5), seq }, &[0x85, 1, 2, 3, 4]),
            (Header { control: true, parity: false, slot: Slot::Short(5), seq }, &[0xc5, 1, 2, 3, 4]),
            (Header { control: false, parity: true, slot: Slot::Short(30), seq }, &[0xbe, 1, 2, 3, 4]),
            (Header { control: true, parity: true, slot: Slot::Extended(7), seq }, &[0xff, 0, 0, 0, 7, 1, 2, 3, 4]),
        ];
        for (header, bytes) in cases {
            let mut out = [0; 9];
            header.write(&mut out).unwrap();
            assert_eq!(&out[..Header::length(header.slot)], bytes);
            assert_eq!(Header::parse(bytes), Ok(header));
            assert_eq!(Header::parse(&bytes[..bytes.len() - 1]), Err(Malformed::Length));
            assert_eq!(header.write(&mut [0; 4]), Err(Malformed::Length));
        }
        assert_eq!(Header::parse(&[0x05, 1, 2, 3, 4]), Err(Malformed::Kind));
    }

    #[test]
    fn frames_come_out_as_they_went_in() {
        let text = [0, 5, 0, 2, 0x03, 0, 4, 0, 9, 1, 2, 0x85, 0, 1, 0, 0x7f, 0, 3, 0, 10, 1];
        let (ack, frames) = parse_control(&text).unwrap();
        assert_eq!(ack, Ack { next: 5, more: 2 });
        let frames: Vec<_> = frames.map(Result::unwrap).collect();
        assert_eq!(frames[0], RawFrame { kind: 3, number: Some(9), body: &[1, 2] });
        assert_eq!(frames[1], RawFrame { kind: 0x85, number: None, body: &[0] });
        assert_eq!(frames[2], RawFrame { kind: 0x7f, number: Some(10), body: &[1] });
    }

    #[test]
    fn frames_beyond_the_packet_or_without_a_number_are_violations() {
        assert!(parse_control(&[0, 0, 0]).is_err());
        for text in
            [&[0, 0, 0, 0, 0x01][..], &[0, 0, 0, 0, 1, 0, 9, 1], &[0, 0, 0, 0, 1, 0, 1, 1], &[0, 0, 0, 0, 0, 0, 0]]
        {
            let (_, mut frames) = parse_control(text).unwrap();
            assert!(frames.next().unwrap().is_err(), "{text:?}");
            assert!(frames.next().is_none());
        }
    }

    #[test]
    fn an_acknowledgement_covers_what_it_says() {
        let ack = Ack { next: 0xffff, more: 0b101 };
        assert!(ack.covers(0xfffe) && ack.covers(0xfff0));
        assert!(!ack.covers(0xffff));
        assert!(ack.covers(0) && !ack.covers(1) && ack.covers(2) && !ack.covers(3));
        assert!(!ack.covers(17));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parsers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Header::parse(&bytes);
            if let Ok((_, frames)) = parse_control(&bytes) {
                prop_assert!(frames.take(300).count() <= bytes.len());
            }
        }
    }
}
