// SPDX-License-Identifier: GPL-3.0-or-later
//! An address inside a message: family 1, port 2, then 4 or 16 bytes. 7 or 19 bytes in all.

use core::net::{IpAddr, SocketAddr};

use super::Malformed;
use super::cursor::{Emit, Reader};
use crate::path::unmapped;

/// The family byte of an IPv4 address.
pub const FAMILY_V4: u8 = 4;
/// The family byte of an IPv6 address.
pub const FAMILY_V6: u8 = 6;

/// Reads an address, family byte first. Whether it may be used is for [`Scope`](crate::path::Scope) to say.
pub fn parse(reader: &mut Reader<'_>) -> Result<SocketAddr, Malformed> {
    let family = reader.u8()?;
    let port = reader.u16()?;
    Ok(SocketAddr::new(parse_ip(reader, family)?, port))
}

/// Reads the 4 or 16 bytes of an IP address of `family`. An IPv4-mapped IPv6 address is refused.
pub fn parse_ip(reader: &mut Reader<'_>, family: u8) -> Result<IpAddr, Malformed> {
    match family {
        FAMILY_V4 => Ok(IpAddr::from(reader.array::<4>()?)),
        FAMILY_V6 => {
            let ip = IpAddr::from(reader.array::<16>()?);
            if ip.to_canonical().is_ipv4() { Err(Malformed::Field) } else { Ok(ip) }
        }
        _ => Err(Malformed::Field),
    }
}

/// Appends `address`, family byte first; an IPv4-mapped address as IPv4.
pub fn emit(address: SocketAddr, out: &mut Vec<u8>) {
    let address = unmapped(address);
    out.emit_u8(family(address.ip()));
    out.emit_u16(address.port());
    emit_ip(address.ip(), out);
}

/// Appends the 4 or 16 bytes of `ip`.
pub fn emit_ip(ip: IpAddr, out: &mut Vec<u8>) {
    match ip {
        IpAddr::V4(ip) => out.emit(&ip.octets()),
        IpAddr::V6(ip) => out.emit(&ip.octets()),
    }
}

/// The family byte of `ip`.
pub const fn family(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => FAMILY_V4,
        IpAddr::V6(_) => FAMILY_V6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_have_their_fixed_bytes() {
        let cases: [(&str, &[u8]); 2] = [
            ("198.18.0.1:5004", &[4, 0x13, 0x8c, 198, 18, 0, 1]),
            ("[2001:db8::1]:5004", &[6, 0x13, 0x8c, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        ];
        for (text, bytes) in cases {
            let address = text.parse().unwrap();
            let mut out = Vec::new();
            emit(address, &mut out);
            assert_eq!(out, bytes);
            assert_eq!(parse(&mut Reader::new(bytes)), Ok(address));
        }
    }

    #[test]
    fn mapped_addresses_and_unknown_families_are_refused() {
        let mut mapped = vec![6, 0x13, 0x8c];
        mapped.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 18, 0, 1]);
        assert_eq!(parse(&mut Reader::new(&mapped)), Err(Malformed::Field));
        assert_eq!(parse(&mut Reader::new(&[5, 0, 1, 1, 2, 3, 4])), Err(Malformed::Field));
        assert_eq!(parse(&mut Reader::new(&[4, 0, 1, 1, 2, 3])), Err(Malformed::Length));
    }
}
