// SPDX-License-Identifier: GPL-3.0-or-later
//! NATs for the network in memory: how they map what goes out, and what they let in (RFC 4787).

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeMap;

use crate::time::Instant;

/// What a NAT does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One outer port, open for everybody.
    FullCone,
    /// One outer port, open for hosts that were sent something.
    Address,
    /// One outer port, open for addresses and ports that were sent something.
    Port,
    /// An outer port for each address and port, open for that alone.
    Symmetric,
}

/// A NAT in front of one node. Only what goes out keeps a mapping alive, as with the strictest of them.
pub(crate) struct Gateway {
    pub(crate) outer: IpAddr,
    pub(crate) life: Duration,
    kind: Kind,
    first_port: u16,
    next_port: u16,
    /// Outer ports, by the destination if it matters, with the time of last use.
    mappings: BTreeMap<Option<SocketAddr>, (u16, Instant)>,
    /// When something was sent to whom.
    sent: BTreeMap<SocketAddr, Instant>,
}

impl Gateway {
    pub(crate) fn new(kind: Kind, outer: IpAddr) -> Self {
        let (mappings, sent) = (BTreeMap::new(), BTreeMap::new());
        Self { outer, life: Duration::from_secs(30), kind, first_port: 20_000, next_port: 20_000, mappings, sent }
    }

    /// Forgets everything, as after a power cut.
    pub(crate) fn restart(&mut self) {
        self.mappings.clear();
        self.sent.clear();
    }

    /// The source that the world sees of a datagram to `to`.
    pub(crate) fn lets_out(&mut self, to: SocketAddr, now: Instant) -> SocketAddr {
        let key = (self.kind == Kind::Symmetric).then_some(to);
        let fresh = self.mappings.get(&key).filter(|(_, used)| now.since(*used) < self.life);
        let port = fresh.map_or(self.next_port, |(port, _)| *port);
        if fresh.is_none() {
            self.next_port = if self.next_port > 60_000 { self.first_port } else { self.next_port + 7 };
        }
        self.mappings.insert(key, (port, now));
        self.sent.insert(to, now);
        SocketAddr::new(self.outer, port)
    }

    /// Whether a datagram from `from` to the outer address `to` gets through.
    pub(crate) fn lets_in(&self, from: SocketAddr, to: SocketAddr, now: Instant) -> bool {
        let key = (self.kind == Kind::Symmetric).then_some(from);
        let mapping = self.mappings.get(&key);
        let is_mapped = mapping.is_some_and(|(port, used)| *port == to.port() && now.since(*used) < self.life);
        let sent_to = |fits: &dyn Fn(&SocketAddr) -> bool| {
            self.sent.iter().any(|(peer, at)| fits(peer) && now.since(*at) < self.life)
        };
        is_mapped
            && match self.kind {
                Kind::FullCone => true,
                Kind::Address => sent_to(&|peer| peer.ip() == from.ip()),
                Kind::Port | Kind::Symmetric => sent_to(&|peer| *peer == from),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends to one host, and sees who gets in at the port that this opened: that host and port, another port of it,
    /// another host; and whether another destination sees the same port.
    fn behaviour(kind: Kind) -> ([bool; 3], bool) {
        let [same, port, host] =
            [([198, 18, 1, 1], 5004), ([198, 18, 1, 1], 6000), ([198, 18, 2, 1], 5004)].map(SocketAddr::from);
        let mut gateway = Gateway::new(kind, IpAddr::from([198, 19, 9, 9]));
        let outer = gateway.lets_out(same, Instant::ZERO);
        let let_in = [same, port, host].map(|from| gateway.lets_in(from, outer, Instant::ZERO));
        let late = Instant::ZERO + gateway.life;
        assert!(!gateway.lets_in(same, outer, late), "mappings end");
        (let_in, gateway.lets_out(host, Instant::ZERO) == outer)
    }

    #[test]
    fn every_kind_maps_and_filters_as_its_name_says() {
        assert_eq!(behaviour(Kind::FullCone), ([true, true, true], true));
        assert_eq!(behaviour(Kind::Address), ([true, true, false], true));
        assert_eq!(behaviour(Kind::Port), ([true, false, false], true));
        assert_eq!(behaviour(Kind::Symmetric), ([true, false, false], false));
    }
}
