// SPDX-License-Identifier: GPL-3.0-or-later
//! How a datagram reaches a peer, and what kind of address it travels to.
//!
//! Everything above the wire speaks of a [`Path`], so that sessions, cookies and budgets work the same over
//! a direct address and through a tunnel.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// A way to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Path {
    /// Straight to a UDP address. IPv4-mapped IPv6 addresses never appear here; a link-local IPv6 address has the
    /// number of its interface as scope ID.
    Direct(SocketAddr),
    /// Through an onion circuit of this daemon.
    Tunnel(TunnelId),
}

impl Path {
    /// The direct path to `address`; an IPv4-mapped IPv6 address becomes the IPv4 address.
    pub fn direct(address: SocketAddr) -> Self {
        Self::Direct(unmapped(address))
    }

    /// The UDP address of a direct path.
    pub const fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Direct(address) => Some(*address),
            Self::Tunnel(_) => None,
        }
    }

    /// The group of sources that shares one budget with this path.
    pub fn prefix(&self) -> Prefix {
        match self {
            Self::Direct(address) => Prefix::of(*address),
            Self::Tunnel(tunnel) => Prefix::Tunnel(*tunnel),
        }
    }

    /// The 18 bytes that cookies and tokens are bound to: the address as IPv6 bytes, then the port. Those of a
    /// link-local address contain its interface.
    pub fn token_bytes(&self) -> [u8; 18] {
        let mut bytes = [0; 18];
        let (ip, port) = match self {
            Self::Direct(address) => (packed_ip(*address), address.port()),
            Self::Tunnel(TunnelId(id)) => (u128::from(*id).to_be_bytes(), 0),
        };
        let (head, tail) = bytes.split_at_mut(16);
        head.copy_from_slice(&ip);
        tail.copy_from_slice(&port.to_be_bytes());
        bytes
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct(address) => write!(f, "direct {address}"),
            Self::Tunnel(TunnelId(id)) => write!(f, "tunnel {id}"),
        }
    }
}

/// Which tunnel of this daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelId(pub u64);

/// A datagram on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub path: Path,
    /// The bytes, at most [`MAX_DATAGRAM`](crate::wire::MAX_DATAGRAM).
    pub datagram: Vec<u8>,
}

/// `address` with an IPv4-mapped IPv6 address turned into the IPv4 address it stands for, and without what is no part
/// of an address: the flow label, and the scope ID where it means nothing.
pub fn unmapped(address: SocketAddr) -> SocketAddr {
    let SocketAddr::V6(v6) = address else { return address };
    let scope_id = if is_link_local(v6.ip()) { v6.scope_id() } else { 0 };
    match v6.ip().to_ipv4_mapped() {
        Some(v4) => SocketAddr::new(v4.into(), v6.port()),
        None => SocketAddrV6::new(*v6.ip(), v6.port(), 0, scope_id).into(),
    }
}

/// The IP address in 16 bytes: IPv6, or IPv4-mapped. Bytes 2 to 5 of a link-local address, which are zero in all of them
/// (RFC 4291, section 2.5.6), hold the scope ID, so that the same address on two links is not the same.
pub fn packed_ip(address: SocketAddr) -> [u8; 16] {
    let v6 = match unmapped(address) {
        SocketAddr::V4(v4) => return v4.ip().to_ipv6_mapped().octets(),
        SocketAddr::V6(v6) => v6,
    };
    let mut bytes = v6.ip().octets();
    if let Some(scope) = bytes.get_mut(SCOPE_ID).filter(|_| is_link_local(v6.ip())) {
        scope.copy_from_slice(&v6.scope_id().to_be_bytes());
    }
    bytes
}

/// The address that [`packed_ip`] made `ip` of.
pub fn unpacked_ip(mut ip: [u8; 16], port: u16) -> SocketAddr {
    let mut scope_id = [0; 4];
    let is_link_local = matches!(ip, [0xfe, 0x80, _, _, _, _, 0, 0, ..]);
    if let Some(scope) = ip.get_mut(SCOPE_ID).filter(|_| is_link_local) {
        scope_id.copy_from_slice(scope);
        scope.fill(0);
    }
    unmapped(SocketAddrV6::new(ip.into(), port, 0, u32::from_be_bytes(scope_id)).into())
}

/// Where [`packed_ip`] keeps the scope ID.
const SCOPE_ID: core::ops::Range<usize> = 2..6;

/// fe80::/64, all there is of fe80::/10.
const fn is_link_local(ip: &Ipv6Addr) -> bool {
    matches!(ip.segments(), [0xfe80, 0, 0, 0, ..])
}

/// A group of addresses that is likely one party: rate limits count by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Prefix {
    /// An IPv4 /24.
    V4([u8; 3]),
    /// An IPv6 /56; of link-local addresses, a link.
    V6([u8; 7]),
    /// On loopback every port is its own party, so that several daemons of one machine do not share budgets.
    Loopback(SocketAddr),
    /// A tunnel is its own party.
    Tunnel(TunnelId),
}

impl Prefix {
    /// The group that `address` belongs to.
    pub fn of(address: SocketAddr) -> Self {
        let address = unmapped(address);
        match address.ip() {
            ip if ip.is_loopback() => Self::Loopback(address),
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(_) => {
                let [a, b, c, d, e, f, g, ..] = packed_ip(address);
                Self::V6([a, b, c, d, e, f, g])
            }
        }
    }
}

/// How far an address is meant to be heard. Addresses are shared only within their scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Never a peer: unspecified, multicast, broadcast, reserved, obsolete or a private IPv4 address in disguise, fe80::/10
    /// outside fe80::/64, port zero.
    Unusable,
    /// This machine only: 127.0.0.0/8, ::1.
    Loopback,
    /// This link only: 169.254.0.0/16, fe80::/64.
    LinkLocal,
    /// One private network; two addresses share a scope when their blocks are equal.
    Private(PrivateBlock),
    /// The public Internet.
    Global,
}

/// The block of private addresses (RFC 1918, RFC 6598, RFC 4193) an address is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PrivateBlock {
    /// 10.0.0.0/8
    Ten,
    /// 172.16.0.0/12
    OneSevenTwo,
    /// 192.168.0.0/16
    OneNineTwo,
    /// 100.64.0.0/10, carrier-grade NAT
    CarrierNat,
    /// fc00::/7, unique local addresses
    UniqueLocal,
}

impl Scope {
    /// The scope of `address`.
    pub fn of(address: SocketAddr) -> Self {
        let address = unmapped(address);
        if address.port() == 0 {
            return Self::Unusable;
        }
        match address.ip() {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => Self::of_v6(ip),
        }
    }

    fn of_v4(ip: Ipv4Addr) -> Self {
        match ip.octets() {
            [0, ..] | [224..=255, ..] => Self::Unusable,
            [127, ..] => Self::Loopback,
            [169, 254, ..] => Self::LinkLocal,
            [10, ..] => Self::Private(PrivateBlock::Ten),
            [172, 16..=31, ..] => Self::Private(PrivateBlock::OneSevenTwo),
            [192, 168, ..] => Self::Private(PrivateBlock::OneNineTwo),
            [100, 64..=127, ..] => Self::Private(PrivateBlock::CarrierNat),
            _ => Self::Global,
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Self {
        if ip.is_loopback() {
            return Self::Loopback;
        }
        match ip.octets() {
            [0xff, ..] => Self::Unusable,
            // NAT64 leads to the IPv4 address within, which must not be a way around the rules for those.
            [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => match Self::of_v4([a, b, c, d].into()) {
                Self::Global => Self::Global,
                _ => Self::Unusable,
            },
            // 6to4, which gives whoever has an IPv4 address a /48; IPv4-compatible addresses; site-local ones.
            [0x20, 0x02, ..] | [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ..] => Self::Unusable,
            [0xfe, second, ..] if second & 0xc0 == 0xc0 => Self::Unusable,
            [0xfe, second, ..] if second & 0xc0 == 0x80 => {
                if is_link_local(&ip) {
                    Self::LinkLocal
                } else {
                    Self::Unusable
                }
            }
            [first, ..] if first & 0xfe == 0xfc => Self::Private(PrivateBlock::UniqueLocal),
            _ => Self::Global,
        }
    }

    /// Whether an address of scope `self` may be believed and stored when a node that itself speaks from
    /// scope `reporter` tells it, and whether it may be told to such a node.
    pub fn visible_from(self, reporter: Self) -> bool {
        match self {
            Self::Unusable => false,
            Self::Global => reporter != Self::Unusable && reporter != Self::Loopback,
            Self::Loopback | Self::LinkLocal | Self::Private(_) => self == reporter,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(address: &str) -> Scope {
        Scope::of(address.parse().unwrap())
    }

    #[test]
    fn addresses_have_the_scope_of_their_block() {
        assert_eq!(scope("127.0.0.1:5004"), Scope::Loopback);
        assert_eq!(scope("[::ffff:127.0.0.1]:5004"), Scope::Loopback);
        assert_eq!(scope("[::1]:5004"), Scope::Loopback);
        assert_eq!(scope("255.255.255.255:5004"), Scope::Unusable);
        assert_eq!(scope("0.0.0.0:5004"), Scope::Unusable);
        assert_eq!(scope("224.0.0.1:5004"), Scope::Unusable);
        assert_eq!(scope("198.18.0.1:0"), Scope::Unusable);
        assert_eq!(scope("[ff02::1]:5004"), Scope::Unusable);
        assert_eq!(scope("[::]:5004"), Scope::Unusable);
        assert_eq!(scope("[fe80::1]:5004"), Scope::LinkLocal);
        assert_eq!(scope("172.20.0.1:5004"), Scope::Private(PrivateBlock::OneSevenTwo));
        assert_eq!(scope("172.32.0.1:5004"), Scope::Global);
        assert_eq!(scope("100.64.0.1:5004"), Scope::Private(PrivateBlock::CarrierNat));
        assert_eq!(scope("[fd00::1]:5004"), Scope::Private(PrivateBlock::UniqueLocal));
        assert_eq!(scope("[2001:db8::1]:5004"), Scope::Global);
    }

    #[test]
    fn f06_ipv6_is_no_way_around_the_rules_for_ipv4() {
        let bad = ["::127.0.0.1", "::10.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::192.168.1.1", "64:ff9b::224.0.0.1"];
        let obsolete = ["2002:7f00:1::1", "2002:a00:1::1", "2002:c612:1::1", "fec0::1", "feff::1"];
        for ip in bad.iter().chain(&obsolete) {
            assert_eq!(scope(&format!("[{ip}]:5004")), Scope::Unusable, "{ip}");
        }
        assert_eq!(scope("[64:ff9b::198.18.0.1]:5004"), Scope::Global);
    }

    #[test]
    fn private_addresses_stay_in_their_network() {
        let ten = scope("10.0.0.1:5004");
        assert!(ten.visible_from(scope("10.9.9.9:5004")));
        assert!(!ten.visible_from(scope("192.168.0.1:5004")));
        assert!(!ten.visible_from(Scope::Global));
        assert!(!Scope::Loopback.visible_from(Scope::Global));
        assert!(!Scope::Global.visible_from(Scope::Loopback));
        assert!(Scope::Global.visible_from(ten));
    }

    #[test]
    fn budgets_are_shared_by_prefix_but_not_on_loopback() {
        let prefix = |text: &str| Prefix::of(text.parse().unwrap());
        assert_eq!(prefix("198.18.1.2:5004"), prefix("198.18.1.99:6000"));
        assert_ne!(prefix("198.18.1.2:5004"), prefix("198.18.2.2:5004"));
        assert_eq!(prefix("[2001:db8:0:12::1]:1"), prefix("[2001:db8:0:99::1]:2"));
        assert_ne!(prefix("127.0.0.1:5004"), prefix("127.0.0.1:5005"));
    }

    #[test]
    fn tokens_are_bound_to_address_and_port() {
        let a = Path::direct("198.18.0.1:5004".parse().unwrap()).token_bytes();
        let b = Path::direct("198.18.0.1:5005".parse().unwrap()).token_bytes();
        assert_ne!(a, b);
        assert_eq!(a[16..], 5004u16.to_be_bytes());
    }

    #[test]
    fn a_link_local_address_keeps_its_interface_and_nothing_else_does() {
        let parse = |text: &str| -> SocketAddr { text.parse().unwrap() };
        for text in ["[fe80::1%3]:5004", "[2001:db8::1]:5004", "198.18.0.1:5004"] {
            assert_eq!(unmapped(parse(text)), parse(text));
            assert_eq!(unpacked_ip(packed_ip(parse(text)), 5004), parse(text));
        }
        assert_eq!(unmapped(parse("[2001:db8::1%3]:5004")), parse("[2001:db8::1]:5004"));
        assert_eq!(unmapped(parse("[::ffff:198.18.0.1%3]:5004")), parse("198.18.0.1:5004"));
        assert_eq!(scope("[fe80:0:0:1::1]:5004"), Scope::Unusable);
    }

    #[test]
    fn the_same_link_local_address_on_two_links_is_two_parties() {
        let [a, b] = ["[fe80::1%3]:5004", "[fe80::1%4]:5004"].map(|text| Path::direct(text.parse().unwrap()));
        assert_ne!(a, b);
        assert_ne!(a.token_bytes(), b.token_bytes());
        assert_ne!(a.prefix(), b.prefix());
    }
}
