// SPDX-License-Identifier: GPL-3.0-or-later
//! A network in memory: many nodes, one virtual clock, delay and loss from a seed.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use super::sim_nat::Gateway;
use super::{Routing, RoutingConfig, RoutingEvent, Status};
use crate::id::NodeId;
use crate::path::Transmit;
use crate::random::Random;
use crate::time::{Instant, Now};
use crate::wire::routing::Packet;

/// More steps than this at one instant is a timer that does not move on.
const STUCK: u32 = 100_000;

/// A datagram that was sent, as a test may look at it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) datagram: Vec<u8>,
}

/// What answers at addresses where no node is.
pub(super) type Outsiders = Box<dyn FnMut(&Sent) -> Vec<Sent>>;

/// The network.
pub(super) struct Mesh {
    pub(super) nodes: BTreeMap<SocketAddr, Routing>,
    pub(super) now: Instant,
    pub(super) random: Random,
    /// Percent of datagrams lost.
    pub(super) loss: u64,
    /// One-way delay, shortest and longest, in microseconds.
    pub(super) delay: (u64, u64),
    /// Everything sent since the test cleared it, if `records`.
    pub(super) sent: Vec<Sent>,
    pub(super) records: bool,
    /// Nodes behind a NAT.
    pub(super) gateways: BTreeMap<SocketAddr, Gateway>,
    /// Nodes on one switch: they hear each other's multicasts.
    pub(super) switch: BTreeSet<SocketAddr>,
    /// Everything that arrived at a node since the test cleared it, if `records`.
    pub(super) arrived: Vec<Sent>,
    /// Whatever arrives where no node is goes here; the answers travel like all others.
    pub(super) outsiders: Option<Outsiders>,
    events: BTreeMap<SocketAddr, Vec<RoutingEvent>>,
    flying: BTreeMap<(Instant, u64), Sent>,
    timers: BTreeSet<(Instant, SocketAddr)>,
    timer_of: BTreeMap<SocketAddr, Instant>,
    serial: u64,
}

/// The address of the node of this number: every node in a /24 of its own.
pub(super) fn address(number: u32) -> SocketAddr {
    let [_, _, high, low] = number.to_be_bytes();
    SocketAddr::from(([198, 18 + high, low, 1], 5004))
}

/// The address of the node of this number on loopback.
pub(super) fn loopback(number: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 5004 + number))
}

/// What `node` wants to send, and where to.
pub(super) fn sent_by(node: &mut Routing) -> Vec<(SocketAddr, Packet)> {
    let transmits = core::iter::from_fn(|| node.poll_transmit());
    transmits.map(|sent| (sent.path.address().unwrap(), Packet::parse(&sent.datagram).unwrap())).collect()
}

/// The ID of the node at `address`.
pub(super) fn id_of(address: SocketAddr) -> NodeId {
    let mut seed = u64::from(address.port()) << 32;
    if let core::net::IpAddr::V4(ip) = address.ip() {
        seed |= u64::from(u32::from(ip));
    }
    NodeId(Random::seeded(seed).bytes())
}

impl Mesh {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            nodes: BTreeMap::new(),
            now: Instant::from_millis(1_000_000),
            random: Random::seeded(seed),
            loss: 0,
            delay: (10_000, 60_000),
            sent: Vec::new(),
            records: false,
            gateways: BTreeMap::new(),
            switch: BTreeSet::new(),
            arrived: Vec::new(),
            outsiders: None,
            events: BTreeMap::new(),
            flying: BTreeMap::new(),
            timers: BTreeSet::new(),
            timer_of: BTreeMap::new(),
            serial: 0,
        }
    }

    /// A network of `count` nodes that all joined through the first one, ten milliseconds apart, and settled.
    pub(super) fn joined(seed: u64, count: u32) -> Self {
        let mut mesh = Self::new(seed);
        mesh.add(address(0));
        for number in 1..count {
            mesh.add(address(number));
            mesh.join(address(number), &[address(0)]);
            mesh.run_for(Duration::from_millis(10));
        }
        mesh.run_for(Duration::from_secs(60));
        mesh
    }

    pub(super) fn now(&self) -> Now {
        Now { mono: self.now, unix: 0 }
    }

    pub(super) fn add(&mut self, at: SocketAddr) -> NodeId {
        self.add_with(at, RoutingConfig::new(id_of(at)))
    }

    pub(super) fn add_with(&mut self, at: SocketAddr, config: RoutingConfig) -> NodeId {
        let id = config.node_id;
        // Who cannot prove an ID does not ask for proofs either.
        let config = RoutingConfig { verify_proofs: config.verify_proofs && config.identity.is_some(), ..config };
        let node = Routing::new(config, self.now(), &mut self.random);
        self.nodes.insert(at, node);
        id
    }

    /// Switches a node off without a word.
    pub(super) fn remove(&mut self, at: SocketAddr) {
        self.nodes.remove(&at);
        self.drain(at);
    }

    pub(super) fn join(&mut self, at: SocketAddr, through: &[SocketAddr]) {
        self.with(at, |node, now, random| node.bootstrap(through, now, random));
    }

    pub(super) fn find(&mut self, at: SocketAddr, target: NodeId, hints: &[SocketAddr]) {
        self.with(at, |node, now, random| node.find(target, hints, now, random));
    }

    /// Starts a find and runs until it has ended; what it ended with, and the time it took.
    pub(super) fn find_to_end(&mut self, at: SocketAddr, target: NodeId) -> (RoutingEvent, Duration) {
        let started = self.now;
        self.take_events(at);
        self.find(at, target, &[]);
        loop {
            let ended = self.take_events(at).into_iter().find(|event| {
                matches!(event, RoutingEvent::Found { target: t, .. } | RoutingEvent::NotFound { target: t, .. } if *t == target)
            });
            if let Some(event) = ended {
                self.with(at, |node, _, _| node.cancel(target));
                return (event, self.now.since(started));
            }
            assert!(self.now.since(started) < Duration::from_secs(20), "a find never ends");
            self.step();
        }
    }

    pub(super) fn with(&mut self, at: SocketAddr, act: impl FnOnce(&mut Routing, Now, &mut Random)) {
        let now = self.now();
        if let Some(node) = self.nodes.get_mut(&at) {
            act(node, now, &mut self.random);
        }
        self.drain(at);
    }

    pub(super) fn take_events(&mut self, at: SocketAddr) -> Vec<RoutingEvent> {
        self.events.remove(&at).unwrap_or_default()
    }

    pub(super) fn status(&self, at: SocketAddr) -> Status {
        self.nodes[&at].status(self.now())
    }

    /// Puts a datagram on its way, as an attacker may with any source.
    pub(super) fn inject(&mut self, from: SocketAddr, to: SocketAddr, datagram: Vec<u8>) {
        let (shortest, longest) = self.delay;
        let delay = Duration::from_micros(shortest + self.random.below(longest - shortest + 1));
        self.serial += 1;
        self.flying.insert((self.now + delay, self.serial), Sent { from, to, datagram });
    }

    pub(super) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        let (mut steps, mut last) = (0, self.now);
        while self.next_at().is_some_and(|at| at <= end) {
            self.step();
            steps = if self.now == last { steps + 1 } else { 0 };
            last = self.now;
            assert!(steps < STUCK, "a timer does not move on: {:?}", self.timers.first());
        }
        self.now = end;
    }

    fn next_at(&self) -> Option<Instant> {
        let flying = self.flying.first_key_value().map(|((at, _), _)| *at);
        flying.into_iter().chain(self.timers.first().map(|(at, _)| *at)).min()
    }

    /// The next datagram arrives, or the next timer fires.
    pub(super) fn step(&mut self) {
        let Some(at) = self.next_at() else { return };
        self.now = self.now.max(at);
        if self.flying.first_key_value().is_some_and(|((arrival, _), _)| *arrival == at) {
            let (_, sent) = self.flying.pop_first().unwrap();
            let Some(to) = self.receiver(&sent) else { return };
            if !self.nodes.contains_key(&to) {
                self.ask_outsiders(&sent);
            } else if self.records {
                self.arrived.push(sent.clone());
            }
            self.with(to, |node, now, random| _ = node.handle(sent.from, &sent.datagram, now, random));
        } else {
            let (_, at) = *self.timers.first().unwrap();
            self.with(at, |node, now, random| node.handle_timeout(now, random));
        }
    }

    /// The node that a datagram reaches in the end.
    fn receiver(&mut self, sent: &Sent) -> Option<SocketAddr> {
        let mut gateways = self.gateways.iter().filter(|(_, gateway)| gateway.outer == sent.to.ip());
        match gateways.next() {
            Some((inner, gateway)) => gateway.lets_in(sent.from, sent.to, self.now).then_some(*inner),
            None if self.gateways.contains_key(&sent.to) => None,
            None => Some(sent.to),
        }
    }

    /// A datagram leaves the node at `at`.
    fn send(&mut self, at: SocketAddr, to: SocketAddr, datagram: Vec<u8>) {
        if to.ip().is_multicast() {
            let others = self.switch.iter().filter(|other| self.switch.contains(&at) && **other != at);
            let others: Vec<SocketAddr> = others.filter(|other| other.is_ipv4() == to.is_ipv4()).copied().collect();
            others.into_iter().for_each(|other| self.inject(at, other, datagram.clone()));
            return;
        }
        let from = self.gateways.get_mut(&at).map_or(at, |gateway| gateway.lets_out(to, self.now));
        self.inject(from, to, datagram);
    }

    fn ask_outsiders(&mut self, sent: &Sent) {
        let answers = self.outsiders.as_mut().map(|outsiders| outsiders(sent)).unwrap_or_default();
        for Sent { from, to, datagram } in answers {
            if self.random.below(100) >= self.loss {
                self.inject(from, to, datagram);
            }
        }
    }

    fn drain(&mut self, at: SocketAddr) {
        while let Some(Transmit { path, datagram }) = self.nodes.get_mut(&at).and_then(Routing::poll_transmit) {
            let to = path.address().unwrap();
            if self.records {
                self.sent.push(Sent { from: at, to, datagram: datagram.clone() });
            }
            if self.random.below(100) >= self.loss {
                self.send(at, to, datagram);
            }
        }
        while let Some(event) = self.nodes.get_mut(&at).and_then(Routing::poll_event) {
            self.events.entry(at).or_default().push(event);
        }
        if let Some(old) = self.timer_of.remove(&at) {
            self.timers.remove(&(old, at));
        }
        if let Some(deadline) = self.nodes.get(&at).and_then(Routing::poll_timeout) {
            self.timers.insert((deadline.at, at));
            self.timer_of.insert(at, deadline.at);
        }
    }
}
