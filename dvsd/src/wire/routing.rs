// SPDX-License-Identifier: GPL-3.0-or-later
//! Layouts of the routing layer's messages.
//!
//! Every message begins with the same 12 bytes: kind, version, flags, capabilities, and the transaction ID that its
//! answer repeats. The messages of storage have their kinds reserved but no layout yet; they are refused as unknown.

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
/// Length of a PROOF_REQ, in bytes.
pub const PROOF_REQ_LEN: usize = HEADER_LEN + ID_LEN + TOKEN_LEN + CHALLENGE_LEN;
/// Length of a PUNCH_REQ, in bytes.
pub const PUNCH_REQ_LEN: usize = HEADER_LEN + 2 * ID_LEN + TOKEN_LEN;
/// Length of the challenge in a PROOF_REQ, in bytes.
pub const CHALLENGE_LEN: usize = 16;
/// Length of the nonce in a LAN_HELLO, in bytes.
pub const NONCE_LEN: usize = 8;
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

/// Bits of the capabilities byte; unknown bits are ignored.
pub mod caps {
    /// Tells others who wants to reach them, and heeds being told.
    pub const PUNCH: u8 = 1 << 3;
}

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
    /// "Prove that your ID is yours."
    ProofReq {
        /// The asker.
        origin: NodeId,
        /// The token the answerer gave before; without a valid one there is no answer.
        token: Token,
        /// What the proof must be about, random.
        challenge: [u8; CHALLENGE_LEN],
    },
    /// "It is mine": a signature by the key that the ID is the hash of.
    Proof {
        /// The answerer.
        responder: NodeId,
        /// Where the PROOF_REQ came from; it is part of what is signed.
        observed: SocketAddr,
        /// The kind of key.
        algorithm: u8,
        /// The public key, not yet checked.
        spki: Vec<u8>,
        /// The signature, not yet checked.
        signature: Vec<u8>,
    },
    /// "Tell `target` that I want to reach it."
    PunchReq {
        /// The asker.
        origin: NodeId,
        /// Whom it wants to reach.
        target: NodeId,
        /// The token the answerer gave before; without a valid one there is no answer.
        token: Token,
    },
    /// "`caller` wants to reach you": open your NAT towards it.
    PunchFwd {
        /// Who wants to reach the receiver.
        caller: NodeId,
        /// Where it is, as the sender sees it.
        address: SocketAddr,
    },
    /// What became of a PUNCH_REQ.
    PunchAck {
        /// Whether the target was told.
        status: PunchStatus,
        /// Where the answerer sees the target; without it, where it sees the asker.
        address: SocketAddr,
    },
    /// "I am on this network": sent to everybody on the link.
    LanHello {
        /// The sender.
        id: NodeId,
        /// The UDP port it listens on.
        port: u16,
        /// Random, to tell one's own hello from others.
        nonce: [u8; NONCE_LEN],
    },
}

/// What became of a PUNCH_REQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PunchStatus {
    /// The target was told.
    Forwarded,
    /// The target is unknown, or was not heard of lately.
    NotInTouch,
}

impl PunchStatus {
    const fn from_wire(status: u8) -> Result<Self, Malformed> {
        match status {
            0 => Ok(Self::Forwarded),
            1 => Ok(Self::NotInTouch),
            _ => Err(Malformed::Field),
        }
    }

    const fn to_wire(self) -> u8 {
        match self {
            Self::Forwarded => 0,
            Self::NotInTouch => 1,
        }
    }
}

impl Message {
    /// The first byte of the datagram.
    pub const fn kind(&self) -> u8 {
        match self {
            Self::RouteReq { .. } => kind::ROUTE_REQ,
            Self::RouteRes { .. } => kind::ROUTE_RES,
            Self::Ping { .. } => kind::PING,
            Self::Pong { .. } => kind::PONG,
            Self::ProofReq { .. } => kind::PROOF_REQ,
            Self::Proof { .. } => kind::PROOF,
            Self::PunchReq { .. } => kind::PUNCH_REQ,
            Self::PunchFwd { .. } => kind::PUNCH_FWD,
            Self::PunchAck { .. } => kind::PUNCH_ACK,
            Self::LanHello { .. } => kind::LAN_HELLO,
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
            kind::PROOF_REQ => Ok(Self::ProofReq {
                origin: NodeId(reader.array()?),
                token: Token(reader.array()?),
                challenge: reader.array()?,
            }),
            kind::PROOF => Self::parse_proof(reader),
            kind::PUNCH_REQ..=kind::PUNCH_ACK => Self::parse_punch(kind, reader),
            kind::LAN_HELLO => {
                Ok(Self::LanHello { id: NodeId(reader.array()?), port: reader.u16()?, nonce: reader.array()? })
            }
            _ => Err(Malformed::Kind),
        }
    }

    fn parse_proof(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self::Proof {
            responder: NodeId(reader.array()?),
            observed: address::parse(reader)?,
            algorithm: reader.u8()?,
            spki: reader.variable()?.to_vec(),
            signature: reader.variable()?.to_vec(),
        })
    }

    fn parse_punch(kind: u8, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match kind {
            kind::PUNCH_REQ => Ok(Self::PunchReq {
                origin: NodeId(reader.array()?),
                target: NodeId(reader.array()?),
                token: Token(reader.array()?),
            }),
            kind::PUNCH_FWD => Ok(Self::PunchFwd { caller: NodeId(reader.array()?), address: address::parse(reader)? }),
            _ => Ok(Self::PunchAck { status: PunchStatus::from_wire(reader.u8()?)?, address: address::parse(reader)? }),
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
                emit_entries(entries, out);
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
            Self::ProofReq { .. } | Self::Proof { .. } => self.emit_proof(out),
            Self::PunchReq { .. } | Self::PunchFwd { .. } | Self::PunchAck { .. } => self.emit_punch(out),
            Self::LanHello { id, port, nonce } => {
                out.emit(&id.0);
                out.emit_u16(*port);
                out.emit(nonce);
            }
        }
    }

    fn emit_proof(&self, out: &mut Vec<u8>) {
        match self {
            Self::ProofReq { origin, token, challenge } => {
                out.emit(&origin.0);
                out.emit(&token.0);
                out.emit(challenge);
            }
            Self::Proof { responder, observed, algorithm, spki, signature } => {
                out.emit(&responder.0);
                address::emit(*observed, out);
                out.emit_u8(*algorithm);
                out.emit_variable(spki);
                out.emit_variable(signature);
            }
            _ => {}
        }
    }

    fn emit_punch(&self, out: &mut Vec<u8>) {
        match self {
            Self::PunchReq { origin, target, token } => {
                out.emit(&origin.0);
                out.emit(&target.0);
                out.emit(&token.0);
            }
            Self::PunchFwd { caller, address } => {
                out.emit(&caller.0);
                address::emit(*address, out);
            }
            Self::PunchAck { status, address } => {
                out.emit_u8(status.to_wire());
                address::emit(*address, out);
            }
            _ => {}
        }
    }
}

/// The count, and as many entries as a message may carry.
fn emit_entries(entries: &[Entry], out: &mut Vec<u8>) {
    let count = entries.len().min(MAX_ENTRIES);
    out.emit_u8(count as u8);
    entries.iter().take(count).for_each(|entry| entry.emit(out));
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
            Message::ProofReq { origin, .. } => write!(f, "PROOF_REQ {:016x} {origin}", self.txid),
            Message::Proof { responder, .. } => write!(f, "PROOF {:016x} {responder}", self.txid),
            Message::PunchReq { origin, target, .. } => write!(f, "PUNCH_REQ {:016x} {origin} → {target}", self.txid),
            Message::PunchFwd { caller, address } => write!(f, "PUNCH_FWD {:016x} {caller} at {address}", self.txid),
            Message::PunchAck { status, address } => write!(f, "PUNCH_ACK {:016x} {status:?} {address}", self.txid),
            Message::LanHello { id, port, .. } => write!(f, "LAN_HELLO {id} port {port}"),
        }
    }
}

#[cfg(test)]
#[path = "routing_tests.rs"]
mod tests;
