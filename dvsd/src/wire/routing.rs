// SPDX-License-Identifier: GPL-3.0-or-later
//! Layouts of the routing layer's messages.
//!
//! Every message begins with the same 12 bytes: kind, version, flags, capabilities, and the transaction ID that its
//! answer repeats. The messages of storage, proof and hole punching have their kinds reserved but no layout yet;
//! they are refused as unknown.

use core::fmt;
use core::net::SocketAddr;

use super::cursor::{Emit, Reader};
use super::{Malformed, VERSION, address, kind};
use crate::id::{ID_LEN, NodeId};

/// Length of the common header, in bytes.
pub const HEADER_LEN: usize = 12;
/// Length of a token, in bytes.
pub const TOKEN_LEN: usize = 8;
/// Length of the shortest ROUTE_REQ, in bytes.
pub const ROUTE_REQ_LEN: usize = HEADER_LEN + 2 * ID_LEN + TOKEN_LEN;
/// To this length, in bytes, a ROUTE_REQ without a token is padded: three times it holds a full answer of 20 IPv6
/// entries and the PING that may come with it.
pub const PADDED_ROUTE_REQ_LEN: usize = 304;
/// Length of a PING, in bytes.
pub const PING_LEN: usize = HEADER_LEN + ID_LEN + TOKEN_LEN;
/// How many entries a ROUTE_RES may carry, both families together: the paper's k.
pub const MAX_ENTRIES: usize = 20;

/// Bits of the header's flags byte; unknown bits are ignored.
pub mod flag {
    /// The sender answers no requests and must not be stored.
    pub const READ_ONLY: u8 = 1;
    /// The asker wants IPv4 entries. With neither this nor [`WANT_V6`], the family of the datagram counts.
    pub const WANT_V4: u8 = 1 << 1;
    /// The asker wants IPv6 entries.
    pub const WANT_V6: u8 = 1 << 2;
    /// In an answer: a repeat with the token given here gets more.
    pub const NEED_TOKEN: u8 = 1 << 3;
    /// In an answer: entries were left out to keep the answer short.
    pub const TRUNCATED: u8 = 1 << 4;
}

/// The five capability bits that fit beside the family in an entry.
pub const CAPS_MASK: u8 = 0x1f;

/// Proof that its bearer receives what is sent to its address; all zeros is no token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Token(pub [u8; TOKEN_LEN]);

impl Token {
    /// The absent token.
    pub const NONE: Self = Self([0; TOKEN_LEN]);

    /// Whether this is the absent token.
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}

/// One node in a ROUTE_RES: 27 bytes with an IPv4 address, 39 with an IPv6 address. A node with both is two entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The node's capability bits, within [`CAPS_MASK`].
    pub caps: u8,
    /// Who.
    pub id: NodeId,
    /// Where. Not yet filtered by scope.
    pub address: SocketAddr,
}

impl Entry {
    /// Length on the wire of an entry with `address`, in bytes.
    pub const fn wire_len(address: SocketAddr) -> usize {
        if address.is_ipv4() { 27 } else { 39 }
    }

    fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let first = reader.u8()?;
        let id = NodeId(reader.array()?);
        let port = reader.u16()?;
        let ip = address::parse_ip(reader, first & 0x07)?;
        Ok(Self { caps: first >> 3, id, address: SocketAddr::new(ip, port) })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        out.emit_u8((self.caps & CAPS_MASK) << 3 | address::family(self.address.ip()));
        out.emit(&self.id.0);
        out.emit_u16(self.address.port());
        address::emit_ip(self.address.ip(), out);
    }
}

/// What a message says, after the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// "Which nodes do you know closest to `target`?"
    RouteReq {
        /// The asker.
        origin: NodeId,
        /// The ID searched for.
        target: NodeId,
        /// The token the answerer gave before.
        token: Token,
        /// Zero bytes that follow, to allow for a longer answer.
        padding: usize,
    },
    /// The closest nodes.
    RouteRes {
        /// The answerer.
        responder: NodeId,
        /// The ID searched for, repeated.
        target: NodeId,
        /// For the asker's next request.
        token: Token,
        /// Where the request came from.
        observed: SocketAddr,
        /// At most [`MAX_ENTRIES`], closest first by convention only.
        entries: Vec<Entry>,
    },
    /// "Are you there, and who are you?"
    Ping {
        /// The asker.
        origin: NodeId,
        /// The token the answerer gave before.
        token: Token,
    },
    /// "I am here."
    Pong {
        /// The answerer.
        responder: NodeId,
        /// For the asker's next request.
        token: Token,
        /// Where the PING came from.
        observed: SocketAddr,
    },
}

impl Message {
    /// The first byte of the datagram.
    pub const fn kind(&self) -> u8 {
        match self {
            Self::RouteReq { .. } => kind::ROUTE_REQ,
            Self::RouteRes { .. } => kind::ROUTE_RES,
            Self::Ping { .. } => kind::PING,
            Self::Pong { .. } => kind::PONG,
        }
    }

    fn parse(kind: u8, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match kind {
            kind::ROUTE_REQ => Self::parse_route_req(reader),
            kind::ROUTE_RES => Self::parse_route_res(reader),
            kind::PING => Ok(Self::Ping { origin: NodeId(reader.array()?), token: Token(reader.array()?) }),
            kind::PONG => Ok(Self::Pong {
                responder: NodeId(reader.array()?),
                token: Token(reader.array()?),
                observed: address::parse(reader)?,
            }),
            _ => Err(Malformed::Kind),
        }
    }

    fn parse_route_req(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self::RouteReq {
            origin: NodeId(reader.array()?),
            target: NodeId(reader.array()?),
            token: Token(reader.array()?),
            padding: reader.rest().len(),
        })
    }

    fn parse_route_res(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let responder = NodeId(reader.array()?);
        let target = NodeId(reader.array()?);
        let token = Token(reader.array()?);
        let observed = address::parse(reader)?;
        let count = usize::from(reader.u8()?);
        if count > MAX_ENTRIES {
            return Err(Malformed::Field);
        }
        let entries = (0..count).map(|_| Entry::parse(reader)).collect::<Result<_, _>>()?;
        Ok(Self::RouteRes { responder, target, token, observed, entries })
    }

    fn emit(&self, out: &mut Vec<u8>) {
        match self {
            Self::RouteReq { origin, target, token, padding } => {
                out.emit(&origin.0);
                out.emit(&target.0);
                out.emit(&token.0);
                out.resize(out.len().saturating_add(*padding), 0);
            }
            Self::RouteRes { responder, target, token, observed, entries } => {
                out.emit(&responder.0);
                out.emit(&target.0);
                out.emit(&token.0);
                address::emit(*observed, out);
                let count = entries.len().min(MAX_ENTRIES);
                out.emit_u8(count as u8);
                entries.iter().take(count).for_each(|entry| entry.emit(out));
            }
            Self::Ping { origin, token } => {
                out.emit(&origin.0);
                out.emit(&token.0);
            }
            Self::Pong { responder, token, observed } => {
                out.emit(&responder.0);
                out.emit(&token.0);
                address::emit(*observed, out);
            }
        }
    }
}

/// Length of a ROUTE_RES without entries whose asker was seen at `observed`, in bytes.
pub const fn route_res_len(observed: SocketAddr) -> usize {
    if observed.is_ipv4() { 68 } else { 80 }
}

/// A whole message of the routing layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Bits of [`flag`].
    pub flags: u8,
    /// The sender's capabilities.
    pub caps: u8,
    /// Chosen by the asker at random; the answer repeats it.
    pub txid: u64,
    /// The rest.
    pub message: Message,
}

impl Packet {
    /// Reads a datagram; every byte must belong to the layout.
    pub fn parse(datagram: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(datagram);
        let [kind, version, flags, caps] = reader.array()?;
        if version != VERSION {
            return Err(Malformed::Version);
        }
        let txid = reader.u64()?;
        let message = Message::parse(kind, &mut reader)?;
        reader.finish()?;
        Ok(Self { flags, caps, txid, message })
    }

    /// The datagram.
    pub fn emit(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(PADDED_ROUTE_REQ_LEN);
        out.emit(&[self.message.kind(), VERSION, self.flags, self.caps]);
        out.emit_u64(self.txid);
        self.message.emit(&mut out);
        out
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Message::RouteReq { origin, target, .. } => write!(f, "ROUTE_REQ {:016x} {origin} → {target}", self.txid),
            Message::RouteRes { responder, entries, .. } => {
                write!(f, "ROUTE_RES {:016x} {responder} gives {}", self.txid, entries.len())
            }
            Message::Ping { origin, .. } => write!(f, "PING {:016x} {origin}", self.txid),
            Message::Pong { responder, .. } => write!(f, "PONG {:016x} {responder}", self.txid),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn packet(flags: u8, caps: u8, message: Message) -> Packet {
        Packet { flags, caps, txid: 0x0102_0304_0506_0708, message }
    }

    fn header(kind: u8, flags: u8, caps: u8) -> Vec<u8> {
        vec![kind, 1, flags, caps, 1, 2, 3, 4, 5, 6, 7, 8]
    }

    fn samples() -> Vec<(Packet, Vec<u8>)> {
        let (a, b, token) = (NodeId([0xaa; 20]), NodeId([0xbb; 20]), Token([9; 8]));
        let v4 = address("198.18.0.1:5004");
        let v6 = address("[2001:db8::1]:5005");
        let v4_bytes = [4, 0x13, 0x8c, 198, 18, 0, 1];
        let v6_bytes = [6, 0x13, 0x8d, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let entries = vec![Entry { caps: 8, id: a, address: v4 }, Entry { caps: 0, id: b, address: v6 }];
        vec![
            (
                packet(6, 0, Message::RouteReq { origin: a, target: b, token, padding: 2 }),
                [header(0x10, 6, 0), a.0.to_vec(), b.0.to_vec(), vec![9; 8], vec![0, 0]].concat(),
            ),
            (
                packet(0x18, 8, Message::RouteRes { responder: b, target: a, token, observed: v4, entries }),
                [
                    header(0x11, 0x18, 8),
                    b.0.to_vec(),
                    a.0.to_vec(),
                    vec![9; 8],
                    v4_bytes.to_vec(),
                    vec![2, 8 << 3 | 4],
                    a.0.to_vec(),
                    v4_bytes[1..].to_vec(),
                    vec![6],
                    b.0.to_vec(),
                    v6_bytes[1..].to_vec(),
                ]
                .concat(),
            ),
            (
                packet(1, 0, Message::Ping { origin: a, token: Token::NONE }),
                [header(0x12, 1, 0), a.0.to_vec(), vec![0; 8]].concat(),
            ),
            (
                packet(0, 0, Message::Pong { responder: a, token, observed: v6 }),
                [header(0x13, 0, 0), a.0.to_vec(), vec![9; 8], v6_bytes.to_vec()].concat(),
            ),
        ]
    }

    #[test]
    fn every_message_has_its_fixed_bytes_both_ways() {
        for (packet, bytes) in samples() {
            assert_eq!(packet.emit(), bytes, "{packet}");
            assert_eq!(Packet::parse(&bytes), Ok(packet));
        }
    }

    #[test]
    fn lengths_are_as_specified() {
        let lengths: Vec<usize> = samples().iter().map(|(packet, _)| packet.emit().len()).collect();
        assert_eq!(lengths, [60 + 2, 68 + 27 + 39, 40, 59]);
        assert_eq!((ROUTE_REQ_LEN, PING_LEN), (60, 40));
        let observed = address("[2001:db8::1]:5005");
        let longest = route_res_len(observed) + MAX_ENTRIES * Entry::wire_len(observed) + PING_LEN;
        assert!(longest <= 3 * PADDED_ROUTE_REQ_LEN, "{longest}");
    }

    #[test]
    fn a_message_longer_or_shorter_than_its_layout_is_refused() {
        for (packet, bytes) in samples() {
            for length in 0..bytes.len() {
                let padded = matches!(packet.message, Message::RouteReq { .. }) && length >= ROUTE_REQ_LEN;
                assert_eq!(Packet::parse(&bytes[..length]).is_err(), !padded, "{packet} cut to {length}");
            }
            let long = [bytes, vec![0]].concat();
            let padded = matches!(packet.message, Message::RouteReq { .. });
            assert_eq!(Packet::parse(&long).is_err(), !padded, "{packet}");
        }
    }

    #[test]
    fn other_versions_and_kinds_without_a_layout_are_refused() {
        let (_, mut ping) = samples().swap_remove(2);
        ping[1] = 2;
        assert_eq!(Packet::parse(&ping), Err(Malformed::Version));
        for kind in [0x14, 0x1a, 0x1d] {
            assert_eq!(Packet::parse(&header(kind, 0, 0)), Err(Malformed::Kind));
        }
    }

    #[test]
    fn a_list_of_more_than_twenty_entries_is_refused() {
        let (_, mut bytes) = samples().swap_remove(1);
        bytes[67] = 21;
        bytes.resize(bytes.len() + 19 * 39, 0);
        assert_eq!(Packet::parse(&bytes), Err(Malformed::Field));
    }

    proptest! {
        #[test]
        fn what_parses_is_emitted_again_byte_for_byte(mut bytes in proptest::collection::vec(any::<u8>(), 40..400)) {
            bytes[0] = 0x10 + bytes[0] % 4;
            bytes[1] = VERSION;
            if let Ok(packet) = Packet::parse(&bytes) {
                let is_request = matches!(packet.message, Message::RouteReq { .. });
                let kept = if is_request { ROUTE_REQ_LEN } else { bytes.len() };
                prop_assert_eq!(&packet.emit()[..kept], &bytes[..kept]);
            }
        }
    }
}
