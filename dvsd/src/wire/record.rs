// SPDX-License-Identifier: GPL-3.0-or-later
//! Records: where somebody can be reached, as other nodes store it. Only the layout; who signed is settled by
//! [`record`](crate::record).
//!
//! | length | field |
//! |---|---|
//! | 4 | version 1, kind, algorithm of the key, zero |
//! | 8 | seq |
//! | 8 | not_after |
//! | 4 | ttl |
//! | 2 + n | V(SubjectPublicKeyInfo) |
//! | 2 + m | V(body): count, then so many places |
//! | 2 + s | V(signature) over all bytes before |

use core::net::SocketAddr;
use core::time::Duration;

use super::address;
use super::cursor::{Emit, Reader};
use super::{Malformed, VERSION};
use crate::id::{ID_LEN, NodeId};

/// The longest record, in bytes.
pub const MAX_RECORD: usize = 1000;
/// How long a record may be kept at most.
pub const MAX_TTL: Duration = Duration::from_secs(7_200);
/// Places in a record at most; at least one.
pub const MAX_PLACES: usize = 3;
/// Length of the token of a place, in bytes.
pub const TOKEN_LEN: usize = 16;

/// What the places of a record are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Exchange points, at which tunnels meet.
    Exchange,
    /// Relays through which the owner is reached.
    Relay,
}

impl Kind {
    const fn to_wire(self) -> u8 {
        match self {
            Self::Exchange => 1,
            Self::Relay => 2,
        }
    }

    const fn from_wire(kind: u8) -> Result<Self, Malformed> {
        match kind {
            1 => Ok(Self::Exchange),
            2 => Ok(Self::Relay),
            _ => Err(Malformed::Kind),
        }
    }
}

/// A node that leads to the owner of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Who.
    pub node: NodeId,
    /// Where. Whether it may be used is for [`Scope`](crate::path::Scope) to say.
    pub address: SocketAddr,
    /// What the owner has agreed with it.
    pub token: [u8; TOKEN_LEN],
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// What the places are.
    pub kind: Kind,
    /// Rises with every record of one owner.
    pub seq: u64,
    /// Unix time in seconds after which it is worth nothing.
    pub not_after: u64,
    /// How long it may be kept from its arrival, in whole seconds, at most [`MAX_TTL`].
    pub ttl: Duration,
    /// One to [`MAX_PLACES`].
    pub places: Vec<Place>,
}

/// The parts of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// What it says.
    pub content: Content,
    /// The algorithm byte of the key.
    pub algorithm: u8,
    /// The owner's SubjectPublicKeyInfo, whatever its bytes are.
    pub spki: &'a [u8],
    /// All bytes that the signature is about.
    pub signed: &'a [u8],
    /// The signature, whatever its bytes are.
    pub signature: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Takes a record apart.
    ///
    /// # Errors
    /// If it is longer than [`MAX_RECORD`], does not follow the layout to its last byte, or says what no record may.
    pub fn parse(record: &'a [u8]) -> Result<Self, Malformed> {
        if record.len() > MAX_RECORD {
            return Err(Malformed::Length);
        }
        let mut reader = Reader::new(record);
        if reader.u8()? != VERSION {
            return Err(Malformed::Version);
        }
        let kind = Kind::from_wire(reader.u8()?)?;
        let [algorithm, _reserved] = reader.array()?;
        let (seq, not_after, seconds) = (reader.u64()?, reader.u64()?, reader.u32()?);
        let spki = reader.variable()?;
        let content = Content { kind, seq, not_after, ttl: ttl(seconds)?, places: places(reader.variable()?)? };
        let (signed, _) = record.split_at_checked(record.len() - reader.remaining()).ok_or(Malformed::Length)?;
        let signature = reader.variable()?;
        reader.finish()?;
        Ok(Self { content, algorithm, spki, signed, signature })
    }
}

impl Content {
    /// A record of the owner of `spki`, whose algorithm byte is `algorithm`, up to its signature.
    ///
    /// # Errors
    /// If it is not what [`Parts::parse`] would take for the same, or is too long even with the shortest signature.
    pub fn emit(&self, algorithm: u8, spki: &[u8]) -> Result<Vec<u8>, Malformed> {
        let seconds = u32::try_from(self.ttl.as_secs()).map_err(|_| Malformed::Field)?;
        if self.ttl != ttl(seconds)? {
            return Err(Malformed::Field);
        }
        let mut body = vec![u8::try_from(self.places.len()).map_err(|_| Malformed::Field)?];
        for place in &self.places {
            body.emit(&place.node.0);
            address::emit(place.address, &mut body);
            body.emit(&place.token);
        }
        places(&body)?;
        let mut out = vec![VERSION, self.kind.to_wire(), algorithm, 0];
        out.emit_u64(self.seq);
        out.emit_u64(self.not_after);
        out.emit_u32(seconds);
        out.emit_variable(spki);
        out.emit_variable(&body);
        if out.len() > MAX_RECORD { Err(Malformed::Length) } else { Ok(out) }
    }
}

fn ttl(seconds: u32) -> Result<Duration, Malformed> {
    let ttl = Duration::from_secs(seconds.into());
    if ttl > MAX_TTL { Err(Malformed::Field) } else { Ok(ttl) }
}

fn places(body: &[u8]) -> Result<Vec<Place>, Malformed> {
    let mut reader = Reader::new(body);
    let count = usize::from(reader.u8()?);
    if !(1..=MAX_PLACES).contains(&count) {
        return Err(Malformed::Field);
    }
    let mut places = Vec::new();
    for _ in 0..count {
        let node = NodeId(reader.array::<ID_LEN>()?);
        places.push(Place { node, address: address::parse(&mut reader)?, token: reader.array()? });
    }
    reader.finish()?;
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> Content {
        let place = |number: u8, address: &str| Place {
            node: NodeId([number; 20]),
            address: address.parse().unwrap(),
            token: [number; 16],
        };
        let places = vec![place(1, "198.18.0.1:5004"), place(2, "[2001:db8::1]:5004")];
        Content { kind: Kind::Exchange, seq: 7, not_after: 1_700_000_000, ttl: MAX_TTL, places }
    }

    fn record() -> Vec<u8> {
        let mut bytes = content().emit(7, &[9; 44]).unwrap();
        bytes.emit_variable(&[8; 64]);
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let record = record();
        let parts = Parts::parse(&record).unwrap();
        assert_eq!((parts.algorithm, parts.spki, parts.signature), (7, &[9; 44][..], &[8; 64][..]));
        assert_eq!(parts.content, content());
        assert_eq!(parts.signed, &record[..record.len() - 66]);
    }

    #[test]
    fn a_record_cut_anywhere_or_longer_is_malformed() {
        let record = record();
        (0..record.len()).for_each(|length| assert!(Parts::parse(&record[..length]).is_err(), "{length}"));
        assert_eq!(Parts::parse(&[&record[..], &[0]].concat()), Err(Malformed::Length));
    }

    #[test]
    fn fields_out_of_range_are_refused_on_both_sides() {
        let changed = |at: usize, byte: u8| {
            let mut record = record();
            record[at] = byte;
            Parts::parse(&record).map(|_| ())
        };
        assert_eq!(changed(0, 2), Err(Malformed::Version));
        assert_eq!([0, 3, 255].map(|kind| changed(1, kind)), [Err(Malformed::Kind); 3]);
        assert_eq!(changed(23, 0x21), Err(Malformed::Field), "a ttl of 7201 s");
        let body = 24 + 2 + 44 + 2;
        assert_eq!([0, 4].map(|count| changed(body, count)), [Err(Malformed::Field); 2]);
        assert_eq!([1, 3].map(|count| changed(body, count)), [Err(Malformed::Length); 2]);
        let too_long = Content { ttl: MAX_TTL + Duration::from_secs(1), ..content() };
        let uneven = Content { ttl: Duration::from_millis(1_500), ..content() };
        let none = Content { places: Vec::new(), ..content() };
        let four = Content { places: [content().places, content().places].concat(), ..content() };
        for wrong in [too_long, uneven, none, four] {
            assert_eq!(wrong.emit(7, &[9; 44]), Err(Malformed::Field), "{wrong:?}");
        }
    }

    #[test]
    fn a_record_of_1000_bytes_is_read_and_no_longer_one() {
        let with_signature = |length: usize| {
            let mut bytes = content().emit(4, &[9; 296]).unwrap();
            bytes.emit_variable(&vec![8; length - bytes.len() - 2]);
            assert_eq!(bytes.len(), length);
            Parts::parse(&bytes).map(|_| ())
        };
        assert_eq!([MAX_RECORD, MAX_RECORD + 1].map(with_signature), [Ok(()), Err(Malformed::Length)]);
        assert_eq!(content().emit(4, &[9; 1_000]), Err(Malformed::Length));
    }
}
