// SPDX-License-Identifier: GPL-3.0-or-later
//! Bob, whom the datagrams are for, and Alice, who is in a call with him or only knows him, on a virtual network.
//! Whatever the script does, what Bob answers is checked: see [`World::check`].

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use dvsd::call::{CallNumber, MAX_CALLS, State};
use dvsd::crypto::identity::Identity;
use dvsd::id::NodeId;
use dvsd::node::{CallConfig, Config, DialOptions, Drain, Event, Hints, Input, Node, Output, PeopleConfig};
use dvsd::path::{Path, Transmit};
use dvsd::people::UnknownCallers;
use dvsd::random::Random;
use dvsd::routing::RoutingConfig;
use dvsd::time::{Instant, Now};
use dvsd::wire::MAX_DATAGRAM;
use dvsd::wire::control::{Frame, frame};

use crate::mallory::{self, Mallory};
use crate::script::{Op, Step, change};

/// Who is attacked.
const BOB: usize = 0;
/// Who talks to him.
const ALICE: usize = 1;
/// One-way delay of the virtual network.
const DELAY: Duration = Duration::from_millis(10);
/// Datagrams of the past that can come again.
const REMEMBERED: usize = 64;
/// No script makes more time than this pass: longer than every timer.
const MAX_TIME: Duration = Duration::from_secs(900);
/// What one input may make Bob put out at most, datagrams and events together.
const MAX_OUTPUTS: usize = 160;
/// Timeouts of one node in a second; far more would be a busy loop.
const TIMEOUTS_PER_SECOND: u64 = 200;
/// Bytes that an address which has not proven itself may make Bob send there, per byte received.
const AMPLIFICATION: usize = 3;
/// Different reasons to drop a datagram; each has a counter.
const MAX_DROP_REASONS: usize = 40;

struct Host {
    node: Node,
    address: SocketAddr,
    deadline: Option<Instant>,
    talking: Option<CallNumber>,
}

struct Flying {
    at: Instant,
    from: SocketAddr,
    to: SocketAddr,
    datagram: Vec<u8>,
}

/// What a node did about one input.
#[derive(Debug, Default)]
struct Reaction {
    outputs: usize,
    bytes: BTreeMap<SocketAddr, usize>,
}

/// Everything there is.
pub struct World {
    now: Now,
    began: Instant,
    hosts: [Host; 2],
    mallory: Mallory,
    flying: Vec<Flying>,
    seen: VecDeque<Vec<u8>>,
    /// Only strangers have done anything so far: a call with Alice goes on.
    undisturbed: bool,
}

/// Where a datagram may come from.
pub fn source(selector: u8) -> SocketAddr {
    match selector % 16 {
        0 => address(ALICE),
        1 => mallory::address(0),
        2 => address(BOB),
        3 => ([127, 0, 0, 1], 5004).into(),
        4 => ([0, 0, 0, 0], 0).into(),
        5 => ([198, 18, 2, 77], 5004).into(),
        6 => ([10, 0, 0, 1], 5004).into(),
        7 => ([198, 18, 40, 1], 53).into(),
        8 => ([0x2001, 0xdb8, 9, 0, 0, 0, 0, 1], 5004).into(),
        9 => ([0xfe80, 0, 0, 0, 0, 0, 0, 1], 5004).into(),
        10 => ([0, 0, 0, 0, 0, 0xffff, 0xc612, 0x0901], 5004).into(),
        11 => ([224, 0, 0, 1], 5004).into(),
        _ => ([198, 18, 16 + (selector >> 4), 1], 5000 + u16::from(selector % 4)).into(),
    }
}

fn address(host: usize) -> SocketAddr {
    SocketAddr::from(([198, 18, 1 + host as u8, 1], 5004))
}

fn host(index: usize, now: Now) -> Host {
    let identity = Identity::from_ed25519_seed(&[1 + index as u8; 32]).expect("any seed is a key");
    let people = PeopleConfig { unknown_callers: UnknownCallers::Ring, ..PeopleConfig::default() };
    let routing = RoutingConfig::new(NodeId([0; 20]));
    let config = Config { call: CallConfig::default(), people, routing, contacts: Vec::new() };
    let node = Node::new(identity, config, now, Random::seeded(index as u64));
    Host { node, address: address(index), deadline: Some(now.mono), talking: None }
}

impl World {
    /// Bob and Alice know each other's address. The lowest two bits of `beginning` say what has happened before: Alice
    /// has called Bob; Bob has called Alice; Mallory has called Bob; nobody has called.
    pub fn new(beginning: u8) -> Self {
        let now = Now { mono: Instant::from_millis(1_000), unix: 1_700_000_000 };
        let hosts = [BOB, ALICE].map(|index| host(index, now));
        let mallory = Mallory::new(hosts[BOB].node.identity().public().id());
        let (flying, seen) = (Vec::new(), VecDeque::new());
        let mut world = Self { now, began: now.mono, hosts, mallory, flying, seen, undisturbed: false };
        world.input(ALICE, Input::Bootstrap(&[address(BOB)]));
        world.run(Duration::from_secs(1));
        match beginning % 4 {
            0 => world.call(ALICE, BOB),
            1 => world.call(BOB, ALICE),
            2 => world.call_from_mallory(),
            _ => {}
        }
        world.undisturbed = beginning % 4 < 2;
        world
    }

    /// Whether Bob talks.
    pub fn is_talking(&self) -> bool {
        self.hosts[BOB].talking.is_some()
    }

    /// The genuine datagrams that have travelled lately, the latest last.
    pub fn seen(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.seen.iter()
    }

    /// What Bob has dropped, by reason.
    pub fn drops(&self) -> &BTreeMap<&'static str, u64> {
        self.hosts[BOB].node.drops()
    }

    fn call(&mut self, from: usize, to: usize) {
        let peer = self.hosts[to].node.identity().public().id();
        self.act(from, |node, now| node.dial(peer, None, Hints::default(), DialOptions::default(), now))
            .0
            .expect("nobody talks yet");
        self.run(Duration::from_secs(1));
        self.act(to, |node, now| node.answer(None, now)).0.expect("it rings");
        self.run(Duration::from_millis(200));
        assert!(self.is_talking(), "no call came about");
    }

    fn call_from_mallory(&mut self) {
        self.knock(0);
        self.run(Duration::from_millis(100));
        self.react(&[]);
        self.run(Duration::from_millis(100));
        let mut body = Vec::new();
        Frame::CallInitiate { call_id: 1, attempt: 1, max_tries: 1 }.emit_body(&mut body);
        self.mallory_sends(0, |tunnel| tunnel.seal_frame(frame::CALL_INITIATE, &body));
        self.act(BOB, |node, now| node.answer(None, now)).0.expect("it rings");
        assert!(self.is_talking(), "no call came about");
    }

    /// Does what one step says.
    pub fn step(&mut self, step: &Step<'_>) {
        let Step { op, argument, body } = *step;
        match op {
            Op::Raw => self.deliver_to_bob(source(argument), body.to_vec()),
            Op::Wait => self.run(step.span()),
            Op::Again => self.again(argument, body),
            Op::Change => self.change(argument, body),
            Op::Lose => self.lose(argument),
            Op::Knock => self.knock(argument),
            Op::React => self.react(body),
            Op::Init => {
                let datagram = self.mallory.changed_init(body);
                self.deliver_to_bob(source(argument), datagram);
            }
            Op::Text => self.mallory_sends(argument, |tunnel| tunnel.seal_text(body)),
            Op::Frame => self.mallory_sends(0, |tunnel| tunnel.seal_frame(argument, body)),
            Op::Media => self.mallory_sends(0, |tunnel| tunnel.seal_media(argument, body)),
            Op::User => self.command(argument),
            Op::Speak => self.speak(argument, body),
        }
    }

    fn again(&mut self, which: u8, body: &[u8]) {
        let Some((from, changes)) = body.split_first() else { return };
        let index = usize::from(which) % self.seen.len().max(1);
        let Some(mut datagram) = self.seen.iter().rev().nth(index).cloned() else { return };
        change(&mut datagram, changes);
        self.deliver_to_bob(source(*from), datagram);
    }

    fn change(&mut self, which: u8, changes: &[u8]) {
        self.undisturbed = false;
        let index = usize::from(which) % self.flying.len().max(1);
        if let Some(flying) = self.flying.get_mut(index) {
            change(&mut flying.datagram, changes);
        }
    }

    fn lose(&mut self, which: u8) {
        self.undisturbed = false;
        if self.flying.is_empty() {
            return;
        }
        let Flying { at, from, to, datagram } = self.flying.swap_remove(usize::from(which >> 1) % self.flying.len());
        if which & 1 == 1 {
            let twice = [at, at + DELAY].map(|at| Flying { at, from, to, datagram: datagram.clone() });
            self.flying.extend(twice);
        }
    }

    fn knock(&mut self, argument: u8) {
        let (from, datagram) = self.mallory.knock(argument);
        self.note(&datagram);
        self.deliver_to_bob(from, datagram);
    }

    fn react(&mut self, claims: &[u8]) {
        for (from, datagram) in self.mallory.react(claims) {
            self.fly(from, address(BOB), datagram);
        }
    }

    /// The low half of `argument` chooses where from, the high half which of Mallory's sessions.
    fn mallory_sends(&mut self, argument: u8, seal: impl FnOnce(&mut mallory::Tunnel) -> Vec<u8>) {
        let index = usize::from(argument >> 4) % self.mallory.tunnels.len().max(1);
        let Some(tunnel) = self.mallory.tunnels.iter_mut().rev().nth(index) else { return };
        let from = if argument & 15 == 0 { tunnel.address } else { source(argument & 15) };
        let datagram = seal(tunnel);
        self.note(&datagram);
        self.deliver_to_bob(from, datagram);
    }

    fn command(&mut self, argument: u8) {
        self.undisturbed = false;
        let (alice, mallory) = (self.hosts[ALICE].node.identity().public().id(), mallory::identity(0).public().id());
        let name = mallory.to_string();
        match argument % 12 {
            0 => drop(self.act(BOB, |node, now| node.dial(alice, None, Hints::default(), DialOptions::default(), now))),
            1 => {
                let (at, to_follow) = ([mallory::address(0)], usize::from(argument >= 128));
                let hints = Hints { addresses: &at[to_follow..], to_follow };
                drop(self.act(BOB, |node, now| node.dial(mallory, None, hints, DialOptions::default(), now)));
                self.input(BOB, Input::Hints { peer: mallory, addresses: &at });
            }
            2 => drop(self.act(BOB, |node, now| {
                node.dial(NodeId([argument; 20]), None, Hints::default(), DialOptions::default(), now)
            })),
            3 | 4 => drop(self.act(BOB, |node, now| node.answer(None, now))),
            5 => drop(self.act(BOB, |node, now| node.decline(None, now))),
            6 => drop(self.act(BOB, |node, now| node.hang_up(None, now))),
            7 => drop(self.act(BOB, |node, now| node.hold(None, None, now))),
            8 => drop(self.act(BOB, |node, now| node.add_contact("Mallory", &name, now))),
            9 => drop(self.act(BOB, |node, now| node.remove_contact("Mallory", now))),
            10 => drop(self.act(BOB, |node, now| node.block(&name, argument & 64 == 0, now))),
            _ => self.input(BOB, Input::Shutdown),
        }
    }

    fn speak(&mut self, argument: u8, body: &[u8]) {
        for index in [BOB, ALICE] {
            let Some(call) = self.hosts[index].talking else { continue };
            let captured = self.now.mono;
            let opus = if body.is_empty() { &[0x78; 80][..] } else { body };
            self.input(index, Input::Frame { call, captured, ticks: 8, first: argument & 1 == 1, opus });
        }
    }

    /// A datagram reaches Bob now.
    fn deliver_to_bob(&mut self, from: SocketAddr, mut datagram: Vec<u8>) {
        let length = datagram.len();
        let from = Path::direct(from);
        let input = Input::Datagram { from, bytes: &mut datagram };
        let ((), reaction) = self.act(BOB, |node, now| ((), node.handle(input, now)));
        let Some(source) = from.address().filter(|source| !is_proven(*source)) else { return };
        let answered = reaction.bytes.get(&source).copied().unwrap_or(0);
        assert!(answered <= AMPLIFICATION * length, "{length} bytes from {source} made Bob send {answered} there");
    }

    fn note(&mut self, datagram: &[u8]) {
        if self.seen.len() >= REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(datagram.to_vec());
    }

    fn input(&mut self, index: usize, input: Input<'_>) {
        self.act(index, |node, now| ((), node.handle(input, now)));
    }

    fn act<T>(&mut self, index: usize, act: impl FnOnce(&mut Node, Now) -> (T, Drain<'_>)) -> (T, Reaction) {
        let (outcome, mut drain) = act(&mut self.hosts[index].node, self.now);
        let outputs: Vec<Output> = drain.by_ref().collect();
        self.hosts[index].deadline = drain.deadline().map(|deadline| deadline.at);
        let mut reaction = Reaction { outputs: outputs.len(), bytes: BTreeMap::new() };
        for output in outputs {
            self.carry_out(index, output, &mut reaction);
        }
        assert!(reaction.outputs <= MAX_OUTPUTS, "one input made {} outputs", reaction.outputs);
        (outcome, reaction)
    }

    fn carry_out(&mut self, index: usize, output: Output, reaction: &mut Reaction) {
        match output {
            Output::Transmit(Transmit { path, datagram }) => {
                let to = path.address().expect("there are no tunnels yet");
                assert!((1..=MAX_DATAGRAM).contains(&datagram.len()), "{} bytes to {to}", datagram.len());
                *reaction.bytes.entry(to).or_default() += datagram.len();
                self.fly(address(index), to, datagram);
            }
            Output::StartAudio { call, .. } => self.hosts[index].talking = Some(call),
            Output::StopAudio { call } => {
                let host = &mut self.hosts[index];
                host.talking = host.talking.filter(|talking| *talking != call);
            }
            Output::Play { payload, .. } => assert!(!payload.is_empty() && payload.len() < MAX_DATAGRAM),
            Output::Event(Event::Call(_)) | Output::Event(_) | Output::PeerReport { .. } => {}
        }
    }

    fn fly(&mut self, from: SocketAddr, to: SocketAddr, datagram: Vec<u8>) {
        self.flying.push(Flying { at: self.now.mono + DELAY, from, to, datagram });
    }

    /// Lets `span` pass.
    fn run(&mut self, span: Duration) {
        let rest = MAX_TIME.saturating_sub(self.now.mono.since(self.began));
        let end = self.now.mono + span.min(rest);
        let bound = TIMEOUTS_PER_SECOND * (1 + span.as_secs());
        let mut timeouts = [0; 2];
        while let Some(next) = self.next_moment().filter(|next| *next <= end) {
            self.advance(next);
            self.deliver();
            for (index, count) in timeouts.iter_mut().enumerate() {
                if self.hosts[index].deadline.is_some_and(|at| at <= self.now.mono) {
                    *count += 1;
                    self.input(index, Input::Timeout);
                }
                assert!(*count <= bound, "{count} timeouts in {span:?}, and again at {:?}", self.hosts[index].deadline);
            }
        }
        self.advance(end);
    }

    fn advance(&mut self, to: Instant) {
        self.now.mono = self.now.mono.max(to);
        self.now.unix = 1_700_000_000 + self.now.mono.as_micros() / 1_000_000;
    }

    fn next_moment(&self) -> Option<Instant> {
        let arrivals = self.flying.iter().map(|flying| flying.at);
        arrivals.chain(self.hosts.iter().filter_map(|host| host.deadline)).min()
    }

    fn deliver(&mut self) {
        let now = self.now.mono;
        let (due, later) = std::mem::take(&mut self.flying).into_iter().partition(|flying| flying.at <= now);
        self.flying = later;
        for Flying { from, to, mut datagram, .. } in due {
            self.note(&datagram);
            if to == self.hosts[BOB].address {
                self.deliver_to_bob(from, datagram);
            } else if to == self.hosts[ALICE].address {
                self.input(ALICE, Input::Datagram { from: Path::direct(from), bytes: &mut datagram });
            } else if mallory::is_at(to) {
                self.mallory.take(to, datagram);
            }
        }
    }

    /// What must be true at any time.
    pub fn check(&self) {
        let bob = &self.hosts[BOB].node;
        assert!(bob.calls().count() <= MAX_CALLS);
        assert!(bob.drops().len() <= MAX_DROP_REASONS, "{:?}", bob.drops());
        if self.undisturbed {
            let states: Vec<State> =
                self.hosts.iter().flat_map(|host| host.node.calls()).map(|call| call.state).collect();
            let active = states.iter().filter(|state| **state == State::Active).count();
            assert_eq!(active, 2, "strangers ended the call: {states:?}");
        }
    }
}

/// Whether whoever sends from here receives what is sent here.
fn is_proven(address: SocketAddr) -> bool {
    address == self::address(ALICE) || address == self::address(BOB) || mallory::is_at(address)
}
