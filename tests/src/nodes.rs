// SPDX-License-Identifier: GPL-3.0-or-later
//! Whole nodes on a virtual network, with one virtual clock: nothing but their sockets is replaced.

#![allow(clippy::indexing_slicing, reason = "an index out of bounds is a mistake of the test, which should stop then")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::Duration;

use dvsd::call::{CallConfig, CallNumber, CallView, DialError, DialOptions};
use dvsd::crypto::identity::{Identity, KeyKind};
use dvsd::id::NodeId;
use dvsd::node::{Config, Drain, Event, Hints, Input, Node, Output};
use dvsd::path::{Path, Transmit};
use dvsd::people::{PeopleConfig, UnknownCallers};
use dvsd::random::Random;
use dvsd::routing::RoutingConfig;
use dvsd::time::{Instant, Now};

/// How long the nodes have been up before anything is tried.
const WARM: Duration = Duration::from_secs(3);

/// One node, and what it has put out.
pub struct Host {
    /// The node.
    pub node: Node,
    address: SocketAddr,
    deadline: Option<Instant>,
    /// How long its datagrams are under way.
    delay: Duration,
    /// Every call it has shown, in its latest state.
    pub shown: BTreeMap<CallNumber, CallView>,
    /// The calls whose sound runs.
    pub sound: Vec<CallNumber>,
    /// Frames of sound that arrived to be played.
    pub played: usize,
}

impl Host {
    /// Its ID.
    pub fn id(&self) -> NodeId {
        self.node.identity().public().id()
    }

    /// The calls that are going on.
    pub fn calls(&self) -> Vec<CallView> {
        self.node.calls().collect()
    }
}

/// A datagram under way. Those due together arrive in the order in which they were sent.
type Flying = Reverse<(Instant, u64, SocketAddr, SocketAddr, Vec<u8>)>;

/// The nodes and what is between them.
pub struct Net {
    /// The nodes; everybody knows the first one.
    pub hosts: Vec<Host>,
    now: Now,
    flying: BinaryHeap<Flying>,
    sent: u64,
    /// Of a thousand datagrams so many are lost.
    pub loss: u64,
    /// Chance.
    pub random: Random,
}

impl Net {
    /// As many nodes as there are delays: how long the datagrams of each are under way. The first one is known to all; they have
    /// been up for some seconds. Nothing is lost yet.
    ///
    /// # Panics
    /// If no key can be made.
    pub fn new(delays: &[Duration], seed: u64) -> Self {
        let now = Now { mono: Instant::from_millis(1_000), unix: 1_700_000_000 };
        let (hosts, flying, random) = (Vec::new(), BinaryHeap::new(), Random::seeded(seed));
        let mut net = Self { hosts, now, flying, sent: 0, loss: 0, random };
        for delay in delays {
            net.add(*delay);
        }
        let first = net.hosts[0].address;
        for index in 1..delays.len() {
            net.input(index, Input::Bootstrap(&[first]));
        }
        net.run(WARM);
        net
    }

    #[allow(clippy::expect_used, reason = "there is no test without keys")]
    fn add(&mut self, delay: Duration) {
        let mut random = Random::seeded(self.random.next_u64());
        let identity = Identity::generate(KeyKind::Ed25519, &mut random).expect("a key");
        let config = Config {
            call: CallConfig::default(),
            people: PeopleConfig { unknown_callers: UnknownCallers::Ring, ..PeopleConfig::default() },
            routing: RoutingConfig::new(identity.public().id()),
            contacts: Vec::new(),
        };
        let node = Node::new(identity, config, self.now, random);
        let address = SocketAddr::from(([198, 18, self.hosts.len() as u8, 1], 5004));
        let (shown, sound, deadline) = (BTreeMap::new(), Vec::new(), Some(self.now.mono));
        self.hosts.push(Host { node, address, deadline, delay, shown, sound, played: 0 });
    }

    /// Feeds a node.
    pub fn input(&mut self, index: usize, input: Input<'_>) {
        let now = self.now;
        self.command(index, |node, _| ((), node.handle(input, now)));
    }

    /// Asks something of a node.
    pub fn command<T>(&mut self, index: usize, command: impl FnOnce(&mut Node, Now) -> (T, Drain<'_>)) -> T {
        let now = self.now;
        let host = &mut self.hosts[index];
        let (outcome, mut drain) = command(&mut host.node, now);
        let outputs: Vec<Output> = drain.by_ref().collect();
        host.deadline = drain.deadline().map(|deadline| deadline.at);
        outputs.into_iter().for_each(|output| self.carry_out(index, output));
        outcome
    }

    fn carry_out(&mut self, index: usize, output: Output) {
        let host = &mut self.hosts[index];
        match output {
            Output::Transmit(Transmit { path: Path::Direct(to), datagram })
                if self.random.below(1_000) >= self.loss =>
            {
                self.sent += 1;
                self.flying.push(Reverse((self.now.mono + host.delay, self.sent, host.address, to, datagram)));
            }
            Output::Event(Event::Call(view)) => drop(host.shown.insert(view.number, view)),
            Output::Play { .. } => host.played += 1,
            Output::StartAudio { call, .. } => host.sound.push(call),
            Output::StopAudio { call } => host.sound.retain(|running| *running != call),
            _ => {}
        }
    }

    /// Lets time pass.
    pub fn run(&mut self, span: Duration) {
        let end = self.now.mono + span;
        while self.step(end) {}
        self.now.mono = end;
    }

    /// Lets time pass until `done`, but not longer than `limit`.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) {
        let end = self.now.mono + limit;
        while !done(self) && self.step(end) {}
    }

    /// The next thing that happens, if it does by `end`.
    fn step(&mut self, end: Instant) -> bool {
        let arrival = self.flying.peek().map(|Reverse((at, ..))| *at);
        let timer = self.hosts.iter().filter_map(|host| host.deadline).min();
        let Some(next) = arrival.into_iter().chain(timer).min().filter(|next| *next <= end) else { return false };
        self.now.mono = self.now.mono.max(next);
        if arrival.is_some_and(|at| at <= next) {
            self.deliver();
        } else {
            for index in 0..self.hosts.len() {
                if self.hosts[index].deadline.is_some_and(|at| at <= self.now.mono) {
                    self.input(index, Input::Timeout);
                }
            }
        }
        true
    }

    fn deliver(&mut self) {
        let Some(Reverse((_, _, from, to, mut datagram))) = self.flying.pop() else { return };
        if let Some(index) = self.hosts.iter().position(|host| host.address == to) {
            self.input(index, Input::Datagram { from: Path::direct(from), bytes: &mut datagram });
        }
    }

    /// The user of one node dials another.
    ///
    /// # Errors
    /// As of [`Node::dial`].
    pub fn dial(&mut self, from: usize, to: usize) -> Result<CallNumber, DialError> {
        let peer = self.hosts[to].id();
        self.command(from, |node, now| node.dial(peer, None, Hints::default(), DialOptions::default(), now))
    }

    /// The user of a node speaks for `frames` times 20 ms, if there is sound.
    pub fn speak(&mut self, index: usize, frames: u32) {
        for frame in 0..frames {
            if let Some(call) = self.hosts[index].sound.first().copied() {
                let captured = self.now.mono;
                self.input(index, Input::Frame { call, captured, ticks: 8, first: frame == 0, opus: &[0x78; 80] });
            }
            self.run(Duration::from_millis(20));
        }
    }
}
