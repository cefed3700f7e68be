// SPDX-License-Identifier: GPL-3.0-or-later
//! Every packet kind and every limit of the network protocol, on one page.
//!
//! The formats themselves are in the children, one file per family: hand-written fixed layouts that are parsed
//! without allocating more than the input, and emitted byte for byte. All integers are big-endian.
//! The normative text is `docs/PROTOCOL.md`.

use core::net::{Ipv4Addr, Ipv6Addr};

use thiserror::Error;

pub mod address;
pub mod control;
pub mod cursor;
pub mod handshake;
pub mod record;
pub mod routing;
pub mod saved;
pub mod session;

/// The protocol version of this code; byte 1 of every packet that is not session data.
pub const VERSION: u8 = 1;
/// The largest UDP payload sent or accepted, in bytes: the IPv6 minimum MTU of 1280 less 40 and 8.
pub const MAX_DATAGRAM: usize = 1232;
/// The size of the receive buffer, in bytes: larger than [`MAX_DATAGRAM`], so that a longer datagram shows.
pub const RECEIVE_BUFFER: usize = 2048;
/// The default UDP port, as in the reference implementation.
pub const DEFAULT_PORT: u16 = 5004;
/// The IPv4 group that LAN_HELLO goes to, on [`DEFAULT_PORT`].
pub const LAN_GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 255, 77, 83);
/// The IPv6 group that LAN_HELLO goes to, on [`DEFAULT_PORT`] of one link.
pub const LAN_GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0xd5, 5);

/// First bytes of datagrams: what a packet is.
pub mod kind {
    #![allow(missing_docs, reason = "each is the name of a message in docs/PROTOCOL.md")]
    pub const ROUTE_REQ: u8 = 0x10;
    pub const ROUTE_RES: u8 = 0x11;
    pub const PING: u8 = 0x12;
    pub const PONG: u8 = 0x13;
    pub const PROOF_REQ: u8 = 0x14;
    pub const PROOF: u8 = 0x15;
    pub const GET: u8 = 0x16;
    pub const GET_RES: u8 = 0x17;
    pub const PUT: u8 = 0x18;
    pub const PUT_RES: u8 = 0x19;
    pub const PUNCH_REQ: u8 = 0x1a;
    pub const PUNCH_FWD: u8 = 0x1b;
    pub const PUNCH_ACK: u8 = 0x1c;
    pub const LAN_HELLO: u8 = 0x1d;
    pub const HS_INIT: u8 = 0x20;
    pub const HS_RESP: u8 = 0x21;
    pub const HS_AUTH: u8 = 0x22;
    pub const HS_COOKIE: u8 = 0x23;
    pub const HS_VERSION: u8 = 0x24;
    pub const CIRC_CREATE: u8 = 0x40;
    pub const CIRC_CREATED: u8 = 0x41;
    pub const CELL: u8 = 0x42;
    pub const VCELL: u8 = 0x43;
    /// Session data packets have this bit set; the rest of the byte is flags and slot.
    pub const SESSION: u8 = 0x80;
}

/// Which layer a datagram belongs to, told by its first byte alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// 0x10–0x1D: the routing layer.
    Routing,
    /// 0x20–0x24: the handshake.
    Handshake,
    /// 0x40–0x43: onion circuits.
    Circuit,
    /// 0x80–0xFF: session data.
    Session,
}

impl Layer {
    /// The layer of `datagram`; an error for everything that must be dropped without a look inside.
    pub fn of(datagram: &[u8]) -> Result<Self, Malformed> {
        let &first = datagram.first().ok_or(Malformed::Length)?;
        if datagram.len() > MAX_DATAGRAM {
            return Err(Malformed::Length);
        }
        match first {
            kind::ROUTE_REQ..=kind::LAN_HELLO => Ok(Self::Routing),
            kind::HS_INIT..=kind::HS_VERSION => Ok(Self::Handshake),
            kind::CIRC_CREATE..=kind::VCELL => Ok(Self::Circuit),
            kind::SESSION.. => Ok(Self::Session),
            _ => Err(Malformed::Kind),
        }
    }
}

/// Why bytes were refused. One small reason per rule, so that drops can be counted by cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
pub enum Malformed {
    /// Too short, too long, or bytes left over.
    #[error("wrong length")]
    Length,
    /// An unknown or reserved kind.
    #[error("unknown kind")]
    Kind,
    /// Another protocol version.
    #[error("unknown version")]
    Version,
    /// A field holds a value outside its range.
    #[error("field out of range")]
    Field,
    /// A public key that is not exactly one of the accepted encodings.
    #[error("public key not in an accepted form")]
    Key,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_tells_the_layer() {
        assert_eq!(Layer::of(&[0x10]), Ok(Layer::Routing));
        assert_eq!(Layer::of(&[0x1d]), Ok(Layer::Routing));
        assert_eq!(Layer::of(&[0x24]), Ok(Layer::Handshake));
        assert_eq!(Layer::of(&[0x42]), Ok(Layer::Circuit));
        assert_eq!(Layer::of(&[0x80]), Ok(Layer::Session));
        assert_eq!(Layer::of(&[0xff]), Ok(Layer::Session));
    }

    #[test]
    fn everything_else_is_dropped() {
        assert_eq!(Layer::of(&[]), Err(Malformed::Length));
        assert_eq!(Layer::of(&[0x80; MAX_DATAGRAM + 1]), Err(Malformed::Length));
        for first in (0x00..0x10).chain([0x1e, 0x1f, 0x25, 0x3f, 0x44, 0x64, 0x7f]) {
            assert_eq!(Layer::of(&[first]), Err(Malformed::Kind), "{first:#x}");
        }
    }
}
