// SPDX-License-Identifier: GPL-3.0-or-later
//! Finding the nodes of the local network without any configuration: everybody says hello to a multicast group.
//!
//! A hello is answered by a PING, and the round trip that follows puts both into each other's tables. It is answered
//! once per run of its sender: who is known and still says the same nonce needs no answer.
//!
//! Timers: a hello at 0, 0.5 and 1.5 s, since one may be lost; then every [`PERIOD`], 20 % more or less; while nobody at
//! all is known after [`LONELY`], with pauses that double up to [`PERIOD`].

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeMap;

use super::requests::Purpose;
use super::{Drop, Routing};
use crate::id::NodeId;
use crate::path::{Path, Scope, Transmit};
use crate::random::Random;
use crate::time::Instant;
use crate::wire::DEFAULT_PORT;
use crate::wire::routing::{Message, NONCE_LEN, Packet};

/// The IPv4 group of all nodes on a link.
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 255, 77, 83);
/// The IPv6 group of all nodes on a link.
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0xd5, 5);
/// The pauses after the first hellos.
const QUICK: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(1)];
/// Time between two hellos.
const PERIOD: Duration = Duration::from_secs(300);
/// The first pause while nobody is known.
const LONELY: Duration = Duration::from_secs(10);
/// One hello per source is heeded in this time.
const SECOND: Duration = Duration::from_secs(1);
/// So many hellos are heeded in it from all sources.
const HEEDED: usize = 10;
/// How many sources are remembered.
const MAX_SOURCES: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Source {
    id: NodeId,
    nonce: [u8; NONCE_LEN],
    at: Instant,
}

/// Our own hellos, and who said hello to us.
#[derive(Default)]
pub(super) struct Lan {
    nonce: [u8; NONCE_LEN],
    sent: usize,
    lonely: u32,
    next: Option<Instant>,
    sources: BTreeMap<SocketAddr, Source>,
}

impl Lan {
    /// Says hello from `now` on.
    pub(super) fn start(&mut self, now: Instant, random: &mut Random) {
        (self.nonce, self.sent, self.lonely, self.next) = (random.bytes(), 0, 0, Some(now));
    }

    /// When the next hello is due.
    pub(super) const fn next_due(&self) -> Option<Instant> {
        self.next
    }

    /// Somebody ceased to be there: hellos come more often again.
    pub(super) fn hurry(&mut self, now: Instant) {
        if self.next.is_some() {
            (self.lonely, self.next) = (0, Some(now));
        }
    }

    fn schedule(&mut self, is_lonely: bool, now: Instant, random: &mut Random) {
        let quick = QUICK.get(self.sent).copied();
        self.sent = self.sent.saturating_add(1);
        let doubled = LONELY.saturating_mul(1_u32.checked_shl(self.lonely).unwrap_or(u32::MAX));
        let pause =
            quick.unwrap_or_else(|| if is_lonely { random.jittered(doubled.min(PERIOD)) } else { spread(random) });
        self.lonely = if is_lonely && quick.is_none() { self.lonely.saturating_add(1).min(16) } else { 0 };
        self.next = Some(now + pause);
    }

    /// Whether a hello may be heeded. True for `is_new` if its sender has started anew since the last one.
    fn admit(&mut self, from: SocketAddr, id: NodeId, nonce: [u8; NONCE_LEN], now: Instant) -> Result<bool, Drop> {
        let same_ip =
            |(address, source): (&SocketAddr, &Source)| now.since(source.at) < SECOND && is_same_host(*address, from);
        let recent = self.sources.values().filter(|source| now.since(source.at) < SECOND).count();
        if self.sources.iter().any(same_ip) || recent >= HEEDED {
            return Err(Drop::RateLimited);
        }
        if self.sources.len() >= MAX_SOURCES && !self.sources.contains_key(&from) {
            let oldest = self.sources.iter().min_by_key(|(_, source)| source.at).map(|(address, _)| *address);
            oldest.and_then(|oldest| self.sources.remove(&oldest));
        }
        let known = self.sources.insert(from, Source { id, nonce, at: now });
        Ok(known.is_none_or(|known| known.id != id || known.nonce != nonce))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.sources.len()
    }
}

/// [`PERIOD`], 20 % more or less.
fn spread(random: &mut Random) -> Duration {
    let fifth = PERIOD / 5;
    let micros = u64::try_from(fifth.as_micros()).unwrap_or(0);
    PERIOD - fifth + Duration::from_micros(random.below(2 * micros))
}

/// Several daemons of one host have one budget.
fn is_same_host(one: SocketAddr, other: SocketAddr) -> bool {
    let host = |mut address: SocketAddr| {
        address.set_port(0);
        address
    };
    host(one) == host(other)
}

impl Routing {
    const fn speaks_on_lan(&self) -> bool {
        self.config.lan && !self.config.loopback_only
    }

    /// Begins to say hello, at the start and after the network has changed.
    pub(super) fn start_hellos(&mut self, now: Instant, random: &mut Random) {
        if self.speaks_on_lan() && !self.config.read_only {
            self.lan.start(now, random);
        }
    }

    /// Says hello if it is time.
    pub(super) fn say_hello(&mut self, now: Instant, random: &mut Random) {
        if self.lan.next.is_none_or(|at| at > now) {
            return;
        }
        let message = Message::LanHello { id: self.config.node_id, port: self.config.port, nonce: self.lan.nonce };
        let packet = Packet { flags: 0, caps: self.config.caps, txid: random.next_u64(), message };
        let groups: [(IpAddr, bool); 2] = [(GROUP_V4.into(), self.config.ipv4), (GROUP_V6.into(), self.config.ipv6)];
        for (group, _) in groups.into_iter().filter(|(_, has_family)| *has_family) {
            let path = Path::Direct(SocketAddr::new(group, DEFAULT_PORT));
            self.transmits.push_back(Transmit { path, datagram: packet.emit() });
        }
        self.lan.schedule(!self.upkeep.online, now, random);
    }

    /// Takes a LAN_HELLO: its sender is asked whether it is there, at the port it names.
    pub(super) fn handle_hello(
        &mut self,
        from: SocketAddr,
        packet: &Packet,
        now: Instant,
        random: &mut Random,
    ) -> Result<(), Drop> {
        let Message::LanHello { id, port, nonce } = packet.message else { return Err(Drop::Unsolicited) };
        if id == self.config.node_id {
            return Err(Drop::Own);
        }
        if !self.speaks_on_lan() || Scope::of(from) == Scope::Loopback || port < self.config.lowest_port {
            return Err(Drop::Source);
        }
        let mut address = from;
        address.set_port(port);
        let is_new = self.lan.admit(address, id, nonce, now)?;
        let is_missed = !self.table.knows_well(&id, now) && !self.requests.is_nominating(address);
        if is_new || is_missed {
            self.ask(address, Some(id), None, Purpose::Nominate, now, random);
        }
        Ok(())
    }
}
