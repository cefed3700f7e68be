// SPDX-License-Identifier: GPL-3.0-or-later
//! The part of the Internet that nobody checks the sender addresses of: a device of a host from which datagrams come as if
//! from whatever address is wanted, and behind which what is sent to these addresses can be read.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::fs::File;
use std::io::{Read as _, Write as _};

use anyhow::Result;

use super::host::Host;
use super::namespace::serial;
use crate::capture::{self, Datagram};
use crate::link::tun;

const UDP: u8 = 17;
const UDP_HEADER: usize = 8;
const HOPS: u8 = 64;

/// A device that leads to 64.0.0.0/3 and 2a00::/16.
#[derive(Debug)]
pub struct Elsewhere {
    device: File,
}

impl Elsewhere {
    /// Gives `host` such a device.
    pub fn behind(host: &Host) -> Result<Self> {
        let name = format!("dv{:x}.{:x}w", std::process::id(), serial());
        let device = tun(&name)?;
        let namespace = host.namespace();
        namespace.adopt(&name)?;
        // Nobody checks here either.
        let filters = ["all", &name].map(|of| format!("ipv4/conf/{of}/rp_filter"));
        namespace.set(&[(&filters[0], 0), (&filters[1], 0)])?;
        namespace.ip_lines(&[format!("route add 64.0.0.0/3 dev {name}"), format!("route add 2a00::/16 dev {name}")])?;
        Ok(Self { device })
    }

    /// The address in the /24 of that number, of which there are 2^21.
    pub const fn v4(network: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(0x4000_0000 | (network & 0x1f_ffff) << 8 | 1)
    }

    /// The address in the /56 of that number.
    pub const fn v6(network: u32) -> Ipv6Addr {
        Ipv6Addr::from_bits(0x2a00 << 112 | (network as u128) << 72 | 1)
    }

    /// Sends a datagram to the host as if from there. Both addresses are of one family.
    pub fn send(&self, from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Result<()> {
        let packet = match (from, to) {
            (SocketAddr::V4(from), SocketAddr::V4(to)) => packet_v4(from, to, payload),
            (SocketAddr::V6(from), SocketAddr::V6(to)) => packet_v6(from, to, payload),
            _ => anyhow::bail!("{from} and {to} are of two families"),
        };
        Ok((&self.device).write_all(&packet)?)
    }

    /// The next datagram that the host sent to one of the addresses, if there is one.
    pub fn receive(&self) -> Option<Datagram> {
        let mut buffer = [0; 2048];
        loop {
            let length = (&self.device).read(&mut buffer).ok()?;
            // Other packets, as those by which a device looks for its neighbours, are nobody's business.
            if let Some(datagram) = capture::udp(buffer.get(..length)?) {
                return Some(datagram);
            }
        }
    }
}

fn packet_v4(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let length = 20 + UDP_HEADER + payload.len();
    let mut packet = Vec::with_capacity(length);
    packet.extend([0x45, 0]);
    packet.extend((length as u16).to_be_bytes());
    packet.extend([0, 0, 0x40, 0, HOPS, UDP, 0, 0]);
    packet.extend(from.ip().octets().iter().chain(&to.ip().octets()));
    let checksum = !folded(sum(&packet));
    packet.splice(10..12, checksum.to_be_bytes());
    // A UDP checksum of zero stands for none.
    packet.extend(udp_header(from.port(), to.port(), payload.len(), 0));
    packet.extend(payload);
    packet
}

fn packet_v6(from: SocketAddrV6, to: SocketAddrV6, payload: &[u8]) -> Vec<u8> {
    let length = UDP_HEADER + payload.len();
    let header = udp_header(from.port(), to.port(), payload.len(), 0);
    let addresses = [from.ip().octets(), to.ip().octets()].concat();
    let total = sum(&addresses) + u64::from(UDP) + length as u64 + sum(&header) + sum(payload);
    let mut packet = Vec::with_capacity(40 + length);
    packet.extend([0x60, 0, 0, 0]);
    packet.extend((length as u16).to_be_bytes());
    packet.extend([UDP, HOPS]);
    packet.extend(addresses);
    packet.extend(udp_header(from.port(), to.port(), payload.len(), !folded(total)));
    packet.extend(payload);
    packet
}

fn udp_header(from: u16, to: u16, payload: usize, checksum: u16) -> [u8; UDP_HEADER] {
    let fields = [from, to, (UDP_HEADER + payload) as u16, checksum];
    let mut header = [0; UDP_HEADER];
    header.chunks_exact_mut(2).zip(fields).for_each(|(bytes, field)| bytes.copy_from_slice(&field.to_be_bytes()));
    header
}

/// The sum of an Internet checksum. As ones' complement does not mind how wide its words are, they are wide here.
fn sum(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(4);
    let whole: u64 =
        words.by_ref().filter_map(|word| word.first_chunk()).map(|word| u64::from(u32::from_be_bytes(*word))).sum();
    let mut rest = [0; 4];
    rest.iter_mut().zip(words.remainder()).for_each(|(to, from)| *to = *from);
    whole + u64::from(u32::from_be_bytes(rest))
}

fn folded(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_read_as_they_were_made() {
        let pairs = [("64.0.7.1:9", "198.18.1.1:5004"), ("[2a00::1]:9", "[2001:db8:1::1]:5004")];
        for (from, to) in pairs.map(|(from, to)| (from.parse().unwrap(), to.parse().unwrap())) {
            let packet = match (from, to) {
                (SocketAddr::V4(from), SocketAddr::V4(to)) => packet_v4(from, to, b"hello"),
                (SocketAddr::V6(from), SocketAddr::V6(to)) => packet_v6(from, to, b"hello"),
                _ => unreachable!(),
            };
            let read = capture::udp(&packet).unwrap();
            assert_eq!((read.source, read.destination, read.payload.as_slice()), (from, to, &b"hello"[..]));
        }
    }

    #[test]
    fn the_checksum_is_that_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(folded(sum(&bytes)), 0xddf2);
        assert_eq!(folded(sum(&bytes[..6])), folded(0x0001 + 0xf203 + 0xf4f5));
    }

    #[test]
    fn networks_have_prefixes_of_their_own() {
        assert_eq!(Elsewhere::v4(0x1f_ffff), Ipv4Addr::new(95, 255, 255, 1));
        assert_eq!(Elsewhere::v6(1), Ipv6Addr::new(0x2a00, 0, 0, 0x100, 0, 0, 0, 1));
    }
}
