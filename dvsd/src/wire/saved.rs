// SPDX-License-Identifier: GPL-3.0-or-later
//! The file in which a node keeps those it knew, to find them again after a restart.
//!
//! Not a message, but bytes from outside all the same: a disk may return anything. What may be written is exactly what
//! may be read, so that reading and writing again gives the same bytes.

use core::net::SocketAddr;

use thiserror::Error;

use super::Malformed;
use super::address;
use super::cursor::{Emit, Reader};
use crate::id::NodeId;
use crate::path::Scope;

/// What the file begins with.
const MAGIC: &[u8; 4] = b"DVSN";
/// The version of the layout.
const VERSION: u8 = 1;
/// Length of the checksum at the end, in bytes.
const CHECKSUM: usize = 4;
/// Nodes in a file at most.
pub const MAX_NODES: usize = 200;
/// The longest file, in bytes: the header, [`MAX_NODES`] with IPv6 addresses, the checksum.
pub const MAX_FILE: usize = MAGIC.len() + 3 + MAX_NODES * (20 + 19) + CHECKSUM;

/// Why a file is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// It is something else.
    #[error("it is no list of nodes")]
    Foreign,
    /// It has another layout.
    #[error("it was written by another version of dvsd (layout {0})")]
    Version(u8),
    /// Its bytes are not the ones that were written.
    #[error("it is damaged")]
    Damaged,
}

impl From<Malformed> for Unreadable {
    fn from(_: Malformed) -> Self {
        Self::Damaged
    }
}

/// Whether this address means the same after a restart. One of a single link does not.
pub fn is_lasting(address: SocketAddr) -> bool {
    !matches!(Scope::of(address), Scope::Unusable | Scope::LinkLocal)
}

/// The file for `nodes`, without those whose address will mean nothing, at most [`MAX_NODES`].
pub fn emit(nodes: &[(NodeId, SocketAddr)]) -> Vec<u8> {
    let lasting: Vec<_> = nodes.iter().filter(|(_, address)| is_lasting(*address)).take(MAX_NODES).collect();
    let mut out = MAGIC.to_vec();
    out.emit_u8(VERSION);
    out.emit_u16(u16::try_from(lasting.len()).unwrap_or(0));
    for (id, address) in lasting {
        out.emit(&id.0);
        address::emit(*address, &mut out);
    }
    let checksum = crc32(&out);
    out.emit_u32(checksum);
    out
}

/// The nodes in a file.
///
/// # Errors
/// If it is not, to the byte, what [`emit`] wrote.
pub fn parse(file: &[u8]) -> Result<Vec<(NodeId, SocketAddr)>, Unreadable> {
    if !file.starts_with(MAGIC) {
        return Err(Unreadable::Foreign);
    }
    let (checked, checksum) = file.split_last_chunk::<CHECKSUM>().ok_or(Unreadable::Damaged)?;
    let mut reader = Reader::new(checked);
    reader.take(MAGIC.len())?;
    let version = reader.u8()?;
    if version != VERSION {
        return Err(Unreadable::Version(version));
    }
    let count = usize::from(reader.u16()?);
    if file.len() > MAX_FILE || count > MAX_NODES || u32::from_be_bytes(*checksum) != crc32(checked) {
        return Err(Unreadable::Damaged);
    }
    let mut nodes = Vec::with_capacity(count);
    for _ in 0..count {
        let node = (NodeId(reader.array()?), address::parse(&mut reader)?);
        if !is_lasting(node.1) {
            return Err(Unreadable::Damaged);
        }
        nodes.push(node);
    }
    reader.finish()?;
    Ok(nodes)
}

/// CRC-32 as in Ethernet and zlib: finds every damage of up to 32 bits in a row. Not meant against forgers, who could
/// only have us ask somebody who is not there.
fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let is_odd = crc & 1 == 1;
            crc >>= 1;
            if is_odd {
                crc ^= POLYNOMIAL;
            }
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(count: usize) -> Vec<(NodeId, SocketAddr)> {
        let address = |number: usize| match number % 2 {
            0 => SocketAddr::from(([198, 18, number as u8, 1], 5004)),
            _ => SocketAddr::from(([0x2001, 0xdb8, number as u16, 0, 0, 0, 0, 1], 5005)),
        };
        (0..count).map(|number| (NodeId([number as u8; 20]), address(number))).collect()
    }

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn nodes_come_back_as_they_were() {
        for count in [0, 1, 2, MAX_NODES] {
            let file = emit(&nodes(count));
            assert!(file.len() <= MAX_FILE);
            assert_eq!(parse(&file), Ok(nodes(count)));
        }
    }

    #[test]
    fn the_layout_is_fixed() {
        let file = emit(&nodes(1));
        let mut expected = b"DVSN\x01\x00\x01".to_vec();
        expected.extend([0; 20]);
        expected.extend([4, 0x13, 0x8c, 198, 18, 0, 1]);
        assert_eq!(file[..file.len() - 4], expected);
    }

    #[test]
    fn no_more_than_the_limit_and_no_address_that_will_mean_nothing_is_written() {
        assert_eq!(parse(&emit(&nodes(MAX_NODES + 1))).unwrap().len(), MAX_NODES);
        let id = NodeId([1; 20]);
        let useless = ["[fe80::1]:5004", "169.254.1.1:5004", "198.18.0.1:0", "224.0.0.1:5004"];
        let useless: Vec<_> = useless.iter().map(|address| (id, address.parse().unwrap())).collect();
        assert_eq!(parse(&emit(&useless)), Ok(vec![]));
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_noticed() {
        let file = emit(&nodes(3));
        for at in 0..file.len() {
            assert!(parse(&file[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut changed = file.clone();
                changed[at] ^= 1 << bit;
                assert!(parse(&changed).is_err(), "bit {bit} of {at}");
            }
        }
        assert!(parse(&[&file[..], &[0]].concat()).is_err());
    }

    #[test]
    fn other_files_are_told_apart_from_damaged_ones() {
        assert_eq!(parse(b""), Err(Unreadable::Foreign));
        assert_eq!(parse(b"SQLite format 3\0"), Err(Unreadable::Foreign));
        let mut newer = emit(&nodes(3));
        newer[4] = 2;
        assert_eq!(parse(&newer), Err(Unreadable::Version(2)));
        assert_eq!(parse(b"DVSN"), Err(Unreadable::Damaged));
    }

    #[test]
    fn a_checksum_does_not_excuse_what_would_never_be_written() {
        let sealed = |mut body: Vec<u8>| {
            let checksum = crc32(&body);
            body.emit_u32(checksum);
            body
        };
        let entry = |address: &[u8]| [&b"DVSN\x01\x00\x01"[..], &[7; 20], address].concat();
        assert!(parse(&sealed(entry(&[4, 0x13, 0x8c, 198, 18, 0, 1]))).is_ok());
        assert!(parse(&sealed(entry(&[4, 0, 0, 198, 18, 0, 1]))).is_err(), "port 0");
        assert!(parse(&sealed(entry(&[9, 0x13, 0x8c, 198, 18, 0, 1]))).is_err(), "family 9");
        assert!(parse(&sealed(entry(&[4, 0x13, 0x8c, 198, 18, 0, 1, 0]))).is_err(), "bytes left over");
        assert!(parse(&sealed(b"DVSN\x01\xff\xff".to_vec())).is_err(), "65535 nodes");
    }
}
