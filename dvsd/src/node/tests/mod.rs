// SPDX-License-Identifier: GPL-3.0-or-later
//! Whole nodes on a virtual network, with one virtual clock.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::{
    Config, DialOptions, Drain, Event, Hints, Input, LookUpError, LookedUp, Node, Output, Policy, Presence,
    VerifyError, VerifyState,
};
use crate::call::{CallConfig, CallNumber, CallView, EndCause, State};
use crate::crypto::identity::{Identity, KeyKind};
use crate::id::{Fingerprint, Invite, NodeId};
use crate::path::{Path, Transmit};
use crate::people::{PeopleConfig, UnknownCallers};
use crate::random::Random;
use crate::routing::sim_nat::{Gateway, Kind};
use crate::routing::{NatKind, RoutingConfig};
use crate::time::{Instant, Now};
use crate::wire::handshake::{Init, Spoken, Versions};
use crate::wire::routing::{Entry, Message, Packet, Token};

mod busy;
mod calls;
mod keys;
mod liars;
mod lookups;
mod networks;
mod presence;
mod replays;
mod roaming;
mod trust;

/// One-way delay of the virtual network.
const DELAY: Duration = Duration::from_millis(10);

/// That of a liar's answers.
const QUICK: Duration = Duration::from_millis(1);

/// One node and everything it has put out.
struct Host {
    node: Node,
    address: SocketAddr,
    calls: BTreeMap<CallNumber, CallView>,
    played: Vec<(CallNumber, u32, Vec<u8>)>,
    sound: Vec<CallNumber>,
    /// How often its user was warned of a changed key.
    warnings: usize,
    looked_up: Vec<LookedUp>,
    /// Calls whose sound began with an announcement, and calls answered without asking.
    announced: Vec<CallNumber>,
    unasked: Vec<CallNumber>,
    /// What its user was told of verifications, of who can be reached, and of the policy for callers.
    verified: Vec<(CallNumber, VerifyState)>,
    presence: Vec<(NodeId, Presence)>,
    policies: Vec<Policy>,
    /// Datagrams sent, and their bytes.
    sent: usize,
    sent_bytes: usize,
    deadline: Option<Instant>,
    gateway: Option<Gateway>,
}

impl Host {
    fn id(&self) -> NodeId {
        self.node.identity().public().id()
    }

    fn call(&self) -> &CallView {
        self.calls.values().last().expect("no call")
    }
}

/// What a liar says.
type Answer = Option<Vec<u8>>;

/// What he says to what.
type Answers = Box<dyn FnMut(&[u8]) -> Answer>;

/// Somebody who answers route requests and PINGs as he likes, quicker than anybody else.
struct Liar {
    address: SocketAddr,
    answer: Answers,
}

/// Nodes joined by a network that delays, and loses `loss` of a thousand datagrams.
struct Net {
    liars: Vec<Liar>,
    hosts: Vec<Host>,
    now: Now,
    flying: Vec<(Instant, SocketAddr, SocketAddr, Vec<u8>)>,
    loss: u64,
    random: Random,
    /// Nodes of two networks have the same identities, but not the same randomness.
    seed: u64,
    /// Everything sent, while it is recorded: by whom, from where, and where to.
    tape: Option<Vec<(usize, SocketAddr, SocketAddr, Vec<u8>)>>,
}

impl Net {
    /// `count` nodes that all know the first one only; nobody else's number is known to anybody.
    fn new(count: usize, unknown: UnknownCallers) -> Self {
        Self::seeded(0, count, unknown)
    }

    fn seeded(seed: u64, count: usize, unknown: UnknownCallers) -> Self {
        let now = Now { mono: Instant::from_millis(1_000), unix: 1_700_000_000 };
        let mut net = Self {
            liars: Vec::new(),
            hosts: Vec::new(),
            now,
            flying: Vec::new(),
            loss: 0,
            random: Random::seeded(99),
            seed,
            tape: None,
        };
        for index in 0..count {
            net.add(index, unknown);
        }
        let first = net.hosts[0].address;
        for index in 1..count {
            net.input(index, Input::Bootstrap(&[first]));
        }
        net.run(Duration::from_secs(3));
        net
    }

    fn add(&mut self, index: usize, unknown: UnknownCallers) {
        let mut random = Random::seeded(index as u64);
        let identity = Identity::generate(KeyKind::Ed25519, &mut random).unwrap();
        if self.seed > 0 {
            random = Random::seeded(self.seed * 1_000 + index as u64);
        }
        let people = PeopleConfig { unknown_callers: unknown, ..PeopleConfig::default() };
        let config = Config {
            call: CallConfig::default(),
            people,
            routing: RoutingConfig::new(NodeId([0; 20])),
            contacts: Vec::new(),
        };
        let node = Node::new(identity, config, self.now, random);
        let address = format!("198.18.{index}.1:5004").parse().unwrap();
        let host = Host {
            node,
            address,
            calls: BTreeMap::new(),
            played: Vec::new(),
            sound: Vec::new(),
            warnings: 0,
            looked_up: Vec::new(),
            announced: Vec::new(),
            unasked: Vec::new(),
            verified: Vec::new(),
            presence: Vec::new(),
            policies: Vec::new(),
            sent: 0,
            sent_bytes: 0,
            deadline: Some(self.now.mono),
            gateway: None,
        };
        self.hosts.push(host);
    }

    fn input(&mut self, index: usize, input: Input<'_>) {
        let now = self.now;
        self.command(index, |node| ((), node.handle(input, now)));
    }

    fn command<T>(&mut self, index: usize, command: impl FnOnce(&mut Node) -> (T, Drain<'_>)) -> T {
        let host = &mut self.hosts[index];
        let (outcome, mut drain) = command(&mut host.node);
        let outputs: Vec<Output> = drain.by_ref().collect();
        host.deadline = drain.deadline().map(|deadline| deadline.at);
        for output in outputs {
            self.carry_out(index, output);
        }
        outcome
    }

    fn carry_out(&mut self, index: usize, output: Output) {
        let host = &mut self.hosts[index];
        match output {
            Output::Transmit(Transmit { path: Path::Direct(to), datagram }) => {
                let now = self.now.mono;
                host.sent += 1;
                host.sent_bytes += datagram.len();
                let from = host.gateway.as_mut().map_or(host.address, |gateway| gateway.lets_out(to, now));
                self.tape.iter_mut().for_each(|tape| tape.push((index, from, to, datagram.clone())));
                if self.random.below(1_000) >= self.loss {
                    self.flying.push((now + DELAY, from, to, datagram));
                }
            }
            Output::Transmit(_) => panic!("no tunnels here"),
            Output::Event(Event::Call(view)) => drop(host.calls.insert(view.number, view)),
            Output::Event(Event::LookedUp(lookup)) => host.looked_up.push(lookup),
            Output::Event(Event::KeyChanged(_)) => host.warnings += 1,
            Output::Event(Event::Verification { call, state }) => host.verified.push((call, state)),
            Output::Event(Event::Presence { peer, presence }) => host.presence.push((peer, presence)),
            Output::Event(Event::AutoAnswered(call)) => host.unasked.push(call),
            Output::Event(Event::Policy(policy)) => host.policies.push(policy),
            Output::Event(_) | Output::PeerReport { .. } => {}
            Output::Play { call, seq, payload } => host.played.push((call, seq, payload)),
            Output::StartAudio { call, announce } => {
                host.sound.push(call);
                host.announced.extend(announce.then_some(call));
            }
            Output::StopAudio { call } => host.sound.retain(|running| *running != call),
        }
    }

    /// Lets `span` of virtual time pass.
    fn run(&mut self, span: Duration) {
        let end = self.now.mono + span;
        while let Some(next) = self.next_moment().filter(|next| *next <= end) {
            self.now.mono = self.now.mono.max(next);
            self.deliver();
            self.expire();
        }
        self.now.mono = end;
    }

    fn next_moment(&self) -> Option<Instant> {
        let arrivals = self.flying.iter().map(|(at, ..)| *at);
        let deadlines = self.hosts.iter().filter_map(|host| host.deadline);
        arrivals.chain(deadlines).min()
    }

    fn deliver(&mut self) {
        let now = self.now.mono;
        let (due, later) = std::mem::take(&mut self.flying).into_iter().partition(|(at, ..)| *at <= now);
        self.flying = later;
        for (_, from, to, mut datagram) in due {
            let reaches = |host: &Host| match &host.gateway {
                Some(gateway) => gateway.outer == to.ip() && gateway.lets_in(from, to, now),
                None => host.address == to,
            };
            if let Some(index) = self.hosts.iter().position(reaches) {
                self.input(index, Input::Datagram { from: Path::direct(from), bytes: &mut datagram });
            } else if let Some(liar) = self.liars.iter_mut().find(|liar| liar.address == to) {
                let answer = (liar.answer)(&datagram).map(|answer| (now + QUICK, to, from, answer));
                self.flying.extend(answer);
            }
        }
    }

    fn expire(&mut self) {
        for index in 0..self.hosts.len() {
            if self.hosts[index].deadline.is_some_and(|at| at <= self.now.mono) {
                self.input(index, Input::Timeout);
            }
        }
    }

    fn dial(&mut self, from: usize, to: usize) -> CallNumber {
        let (peer, now) = (self.hosts[to].id(), self.now);
        self.command(from, |node| node.dial(peer, None, Hints::default(), DialOptions::default(), now)).unwrap()
    }

    fn answer(&mut self, index: usize) {
        let now = self.now;
        self.command(index, |node| node.answer(None, now)).unwrap();
    }

    fn speak(&mut self, index: usize, frames: u32) {
        let call = self.hosts[index].call().number;
        for frame in 0..frames {
            let captured = self.now.mono;
            let opus = [0x78; 80];
            self.input(index, Input::Frame { call, captured, ticks: 8, first: frame == 0, opus: &opus });
            self.run(Duration::from_millis(20));
        }
    }
}
