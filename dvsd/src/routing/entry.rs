// SPDX-License-Identifier: GPL-3.0-or-later
//! What the table keeps of a node: 30 bytes, so that 330 nodes, the table of a network of a million, fit 10 kB.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use crate::id::NodeId;
use crate::path::{Scope, packed_ip, unpacked_ip};
use crate::time::Instant;
use crate::wire::routing::CAPS_MASK;

/// Seconds per unit of [`Stamp`].
const STAMP_SECONDS: u64 = 4;
/// Milliseconds per unit of [`Row`]'s round-trip time.
const RTT_UNIT_MS: u64 = 8;
/// The caps byte's bit for "has an IPv6 address too, beside the table".
const HAS_V6: u8 = 0x20;
/// The caps byte's bit for "answers better over IPv6".
const PREFERS_V6: u8 = 0x40;
/// The caps byte's bit for "has proven that its ID is its own".
const PROVEN: u8 = 0x80;

/// A time in units of four seconds. It wraps after three days, when an entry that old may pass for a fresh one
/// until it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(u16);

impl Stamp {
    pub(super) const fn of(now: Instant) -> Self {
        Self((now.as_micros() / (STAMP_SECONDS * 1_000_000)) as u16)
    }

    /// The time `ago` before `now`, even where the clock was not running yet.
    pub(super) const fn before(now: Instant, ago: Duration) -> Self {
        Self(Self::of(now).0.wrapping_sub((ago.as_secs() / STAMP_SECONDS) as u16))
    }

    /// Time passed since, rounded to the unit.
    pub(super) const fn age(self, now: Instant) -> Duration {
        Duration::from_secs(Self::of(now).0.wrapping_sub(self.0) as u64 * STAMP_SECONDS)
    }
}

/// A node of the table. Its IPv6 address, if it has one, lies beside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) id: NodeId,
    /// IPv4 address and port; port 0 for none.
    v4: [u8; 6],
    pub(super) seen: Stamp,
    caps: u8,
    rtt: u8,
}

impl Row {
    pub(super) fn new(id: NodeId, now: Instant) -> Self {
        Self { id, v4: [0; 6], seen: Stamp::of(now), caps: 0, rtt: u8::MAX }
    }

    pub(super) fn v4(&self) -> Option<SocketAddr> {
        let [a, b, c, d, high, low] = self.v4;
        let port = u16::from_be_bytes([high, low]);
        (port != 0).then(|| SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), port))
    }

    pub(super) fn set_v4(&mut self, ip: Ipv4Addr, port: u16) {
        let ([a, b, c, d], [high, low]) = (ip.octets(), port.to_be_bytes());
        self.v4 = [a, b, c, d, high, low];
    }

    pub(super) const fn has_v6(&self) -> bool {
        self.caps & HAS_V6 != 0
    }

    pub(super) const fn set_has_v6(&mut self) {
        self.caps |= HAS_V6;
    }

    /// Whether its IPv4 address lies in the /24 of `network`.
    pub(super) fn is_in(&self, network: [u8; 3]) -> bool {
        self.v4.starts_with(&network) && self.v4().is_some()
    }

    pub(super) const fn is_proven(&self) -> bool {
        self.caps & PROVEN != 0
    }

    pub(super) const fn set_proven(&mut self) {
        self.caps |= PROVEN;
    }

    pub(super) const fn caps(&self) -> u8 {
        self.caps & CAPS_MASK
    }

    pub(super) const fn prefers_v6(&self) -> bool {
        self.caps & PREFERS_V6 != 0
    }

    pub(super) const fn prefer(&mut self, v6: bool) {
        self.caps = if v6 { self.caps | PREFERS_V6 } else { self.caps & !PREFERS_V6 };
    }

    /// The last round-trip time, up to two seconds.
    pub(super) fn rtt(&self) -> Option<Duration> {
        (self.rtt != u8::MAX).then(|| Duration::from_millis(u64::from(self.rtt) * RTT_UNIT_MS))
    }

    /// Notes an answer.
    pub(super) fn answered(&mut self, caps: u8, rtt: Duration, now: Instant) {
        let units = u64::try_from(rtt.as_millis()).unwrap_or(u64::MAX) / RTT_UNIT_MS;
        self.rtt = u8::try_from(units).unwrap_or(u8::MAX - 1).min(u8::MAX - 1);
        self.caps = (self.caps & !CAPS_MASK) | (caps & CAPS_MASK);
        self.seen = Stamp::of(now);
    }
}

/// An address in 18 bytes: IPv6 or IPv4-mapped, then the port. The interface of a link-local address lies within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packed([u8; 16], u16);

impl Packed {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self(packed_ip(address), address.port())
    }

    /// Whether the address lies in the /48 of `network`.
    pub(super) fn is_in(&self, network: [u8; 6]) -> bool {
        self.0.starts_with(&network)
    }

    pub(super) fn address(self) -> SocketAddr {
        unpacked_ip(self.0, self.1)
    }
}

/// A node as the rest of the routing layer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contact {
    pub(super) id: NodeId,
    pub(super) caps: u8,
    /// The address to try first, and the one to try when it does not answer.
    pub(super) address: SocketAddr,
    pub(super) other: Option<SocketAddr>,
    pub(super) rtt: Option<Duration>,
}

impl Contact {
    /// Both addresses, the better one first.
    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        core::iter::once(self.address).chain(self.other)
    }
}

/// A network that one party can fill with nodes: an IPv4 /24 or an IPv6 /48.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Crowd {
    V4([u8; 3]),
    V6([u8; 6]),
}

impl Crowd {
    /// The network of `address`; `None` on loopback, links and private networks, where the rule makes no sense.
    pub(super) fn of(address: SocketAddr) -> Option<Self> {
        if Scope::of(address) != Scope::Global {
            return None;
        }
        Some(match address.ip() {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, ..] = ip.octets();
                Self::V6([a, b, c, d, e, f])
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_thirty_bytes() {
        assert_eq!(size_of::<Row>(), 30);
    }

    #[test]
    fn a_row_remembers_what_it_was_told() {
        let now = Instant::from_millis(400_000);
        let mut row = Row::new(NodeId([1; 20]), now);
        assert_eq!((row.v4(), row.rtt(), row.caps()), (None, None, 0));
        row.set_v4(Ipv4Addr::new(198, 18, 0, 1), 5004);
        row.set_has_v6();
        row.prefer(true);
        assert!(!row.is_proven());
        row.set_proven();
        row.answered(0xff, Duration::from_millis(100), now);
        assert_eq!(row.v4(), Some("198.18.0.1:5004".parse().unwrap()));
        assert_eq!((row.caps(), row.has_v6(), row.prefers_v6(), row.is_proven()), (CAPS_MASK, true, true, true));
        assert_eq!(row.rtt(), Some(Duration::from_millis(96)));
        row.answered(0, Duration::from_secs(100), now);
        assert_eq!((row.caps(), row.has_v6(), row.is_proven()), (0, true, true));
        assert_eq!(row.rtt(), Some(Duration::from_millis(2_032)));
    }

    #[test]
    fn ages_survive_the_wrap() {
        let early = Instant::from_millis(65_535 * 4_000);
        assert_eq!(Stamp::of(early).age(early + Duration::from_secs(8)), Duration::from_secs(8));
    }

    #[test]
    fn addresses_survive_packing() {
        for text in ["198.18.0.1:5004", "[2001:db8::1]:5004", "[fe80::1%3]:5004"] {
            let address = text.parse().unwrap();
            assert_eq!(Packed::new(address).address(), address);
        }
    }
}
