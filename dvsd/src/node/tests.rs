// SPDX-License-Identifier: GPL-3.0-or-later
//! Whole nodes on a virtual network, with one virtual clock.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Config, Drain, Event, Hints, Input, LookUpError, LookedUp, Node, Output};
use crate::call::{CallConfig, CallNumber, CallView, EndCause, State};
use crate::crypto::identity::{Identity, KeyKind};
use crate::id::{Fingerprint, Invite, NodeId};
use crate::path::{Path, Transmit};
use crate::people::{PeopleConfig, UnknownCallers};
use crate::random::Random;
use crate::routing::sim_nat::{Gateway, Kind};
use crate::routing::{NatKind, RoutingConfig};
use crate::time::{Instant, Now};
use crate::wire::handshake::{Init, Versions};
use crate::wire::routing::{Entry, Message, Packet, Token};

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
}

impl Net {
    /// `count` nodes that all know the first one only; nobody else's number is known to anybody.
    fn new(count: usize, unknown: UnknownCallers) -> Self {
        let now = Now { mono: Instant::from_millis(1_000), unix: 1_700_000_000 };
        let mut net =
            Self { liars: Vec::new(), hosts: Vec::new(), now, flying: Vec::new(), loss: 0, random: Random::seeded(99) };
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
                let from = host.gateway.as_mut().map_or(host.address, |gateway| gateway.lets_out(to, now));
                if self.random.below(1_000) >= self.loss {
                    self.flying.push((now + DELAY, from, to, datagram));
                }
            }
            Output::Transmit(_) => panic!("no tunnels here"),
            Output::Event(Event::Call(view)) => drop(host.calls.insert(view.number, view)),
            Output::Event(Event::LookedUp(lookup)) => host.looked_up.push(lookup),
            Output::Event(Event::KeyChanged(_)) => host.warnings += 1,
            Output::Event(_) | Output::PeerReport { .. } => {}
            Output::Play { call, seq, payload } => host.played.push((call, seq, payload)),
            Output::StartAudio { call } => host.sound.push(call),
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
        self.command(from, |node| node.dial(peer, None, Hints::default(), now)).unwrap()
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

#[test]
fn two_nodes_that_know_only_a_third_find_each_other_and_talk() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    net.dial(1, 2);
    net.run(Duration::from_millis(500));
    assert_eq!(net.hosts[1].call().state, State::Ringing);
    assert_eq!(net.hosts[2].call().state, State::Alerting);
    assert!(net.hosts[1].sound.is_empty() && net.hosts[2].sound.is_empty(), "no audio before the answer");

    net.answer(2);
    net.run(Duration::from_millis(100));
    assert_eq!(net.hosts[1].call().state, State::Active);
    net.speak(1, 50);
    net.speak(2, 50);
    assert_eq!(net.hosts[2].played.len(), 50);
    assert_eq!(net.hosts[1].played.len(), 50);
    assert_eq!(net.hosts[1].played[0].2, [0x78; 80]);

    let now = net.now;
    net.command(1, |node| node.hang_up(None, now)).unwrap();
    net.run(Duration::from_millis(200));
    assert_eq!(net.hosts[1].call().cause, Some(EndCause::HungUp));
    assert_eq!(net.hosts[2].call().cause, Some(EndCause::PeerHungUp));
    assert!(net.hosts[1].sound.is_empty() && net.hosts[2].sound.is_empty());
}

#[test]
fn a_call_comes_about_and_ends_cleanly_at_a_fifth_of_all_datagrams_lost() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    net.loss = 200;
    net.dial(1, 2);
    net.run(Duration::from_secs(8));
    assert_eq!(net.hosts[2].call().state, State::Alerting);
    net.answer(2);
    net.run(Duration::from_secs(4));
    assert_eq!(net.hosts[1].call().state, State::Active);
    let now = net.now;
    net.command(2, |node| node.hang_up(None, now)).unwrap();
    net.run(Duration::from_secs(5));
    assert_eq!(net.hosts[1].call().cause, Some(EndCause::PeerHungUp));
    assert_eq!(net.hosts[2].call().cause, Some(EndCause::HungUp));
}

/// Ten nodes, the last two behind NATs, where they have been for some minutes.
fn two_homes(caller: Kind, callee: Kind) -> Net {
    let mut net = Net::new(8, UnknownCallers::Ring);
    for (index, kind) in [(8, caller), (9, callee)] {
        net.add(index, UnknownCallers::Ring);
        let outer = net.hosts[index].address.ip();
        net.hosts[index].gateway = Some(Gateway::new(kind, outer));
        net.hosts[index].address = format!("192.168.{index}.2:5004").parse().unwrap();
        let first = net.hosts[0].address;
        net.input(index, Input::Bootstrap(&[first]));
    }
    net.run(Duration::from_secs(120));
    net
}

#[test]
fn two_nodes_behind_strict_nats_talk() {
    let mut net = two_homes(Kind::Port, Kind::Port);
    net.dial(8, 9);
    net.run(Duration::from_secs(1));
    assert_eq!((net.hosts[8].call().state, net.hosts[9].call().state), (State::Ringing, State::Alerting));
    net.answer(9);
    net.run(Duration::from_millis(100));
    net.speak(8, 50);
    net.speak(9, 50);
    assert_eq!((net.hosts[8].played.len(), net.hosts[9].played.len()), (50, 50));
}

#[test]
fn two_nodes_behind_symmetric_nats_do_not_reach_each_other_and_tell_no_address() {
    let mut net = two_homes(Kind::Symmetric, Kind::Symmetric);
    net.dial(8, 9);
    net.run(Duration::from_secs(15));
    assert!(net.hosts[8].call().cause.is_some());
    assert_eq!(net.hosts[8].node.invite(&[], net.now).at, []);
    assert_eq!(net.hosts[1].node.invite(&[], net.now).at.len(), 1);
}

#[test]
fn a_node_that_starts_again_finds_its_network_from_what_it_saved() {
    let mut net = Net::new(4, UnknownCallers::Ring);
    let saved = net.hosts[1].node.saved_nodes(net.now);
    assert_eq!(saved.len(), 3);
    net.add(4, UnknownCallers::Ring);
    net.input(4, Input::Restore(&saved));
    net.run(Duration::from_secs(1));
    assert!(net.hosts[4].node.routing_status(net.now).online);
    let own = net.hosts[4].address.ip();
    net.input(4, Input::NetworkChanged { local: &[own] });
    net.run(Duration::from_secs(1));
    assert_eq!(net.hosts[4].node.routing_status(net.now).nat_v4, NatKind::Open);
    net.dial(4, 2);
    net.run(Duration::from_millis(500));
    assert_eq!(net.hosts[2].call().state, State::Alerting);
}

#[test]
fn both_dialling_at_once_end_up_in_one_call() {
    for offset in 0..60 {
        let mut net = Net::new(3, UnknownCallers::Ring);
        net.dial(1, 2);
        net.run(Duration::from_millis(offset));
        let (peer, now) = (net.hosts[1].id(), net.now);
        let _already_ringing = net.command(2, |node| node.dial(peer, None, Hints::default(), now));
        net.run(Duration::from_secs(2));
        assert_eq!(net.hosts[1].call().state, State::Active, "offset {offset} ms");
        assert_eq!(net.hosts[2].call().state, State::Active, "offset {offset} ms");
    }
}

#[test]
fn an_unknown_caller_disturbs_nobody_by_default() {
    let mut net = Net::new(3, UnknownCallers::Silent);
    net.dial(1, 2);
    net.run(Duration::from_secs(2));
    assert_eq!(net.hosts[1].call().state, State::Ringing, "the caller is not told");
    assert!(net.hosts[2].calls.is_empty() || net.hosts[2].call().state != State::Alerting);
}

#[test]
fn a_peer_that_vanishes_is_lost_after_half_a_minute() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    net.dial(1, 2);
    net.run(Duration::from_millis(500));
    net.answer(2);
    net.run(Duration::from_secs(1));
    net.hosts[2].address = "198.18.99.1:5004".parse().unwrap();
    net.hosts[2].deadline = None;
    net.run(Duration::from_secs(12));
    assert_eq!(net.hosts[1].call().state, State::Reconnecting);
    net.run(Duration::from_secs(25));
    assert_eq!(net.hosts[1].call().cause, Some(EndCause::PeerLost));
    assert!(net.hosts[1].sound.is_empty());
}

#[test]
fn an_id_that_nobody_has_is_not_found() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    let now = net.now;
    net.command(1, |node| node.dial(NodeId([0x42; 20]), None, Hints::default(), now)).unwrap();
    net.run(Duration::from_secs(20));
    assert_eq!(net.hosts[1].call().cause, Some(EndCause::NotFound));
}

#[test]
fn a_node_without_an_overlay_says_that_it_is_offline() {
    let mut net = Net::new(1, UnknownCallers::Ring);
    let now = net.now;
    net.command(0, |node| node.dial(NodeId([0x42; 20]), None, Hints::default(), now)).unwrap();
    net.run(Duration::from_secs(20));
    assert_eq!(net.hosts[0].call().cause, Some(EndCause::Offline));
}

#[test]
fn f28_a_datagram_longer_than_the_limit_is_dropped_whole() {
    let mut net = Net::new(1, UnknownCallers::Ring);
    let from = Path::direct("198.18.9.1:5004".parse().unwrap());
    for length in [crate::wire::MAX_DATAGRAM + 1, crate::wire::RECEIVE_BUFFER] {
        let mut bytes = vec![0x12; length];
        bytes[1] = 1;
        net.input(0, Input::Datagram { from, bytes: &mut bytes });
    }
    assert_eq!(net.hosts[0].node.drops().get("length"), Some(&2));
    assert!(net.flying.is_empty());
}

#[test]
fn an_invite_with_an_address_is_enough_for_a_network_of_two() {
    let mut net = Net::new(1, UnknownCallers::Ring);
    net.add(1, UnknownCallers::Ring);
    let (peer, address, now) = (net.hosts[1].id(), net.hosts[1].address, net.now);
    let hints = Hints { addresses: &[address], to_follow: 0 };
    net.command(0, |node| node.dial(peer, None, hints, now)).unwrap();
    net.run(Duration::from_millis(500));
    assert_eq!(net.hosts[0].call().state, State::Ringing);
}

#[test]
fn a_dial_waits_for_the_host_names_of_the_invite() {
    let mut net = Net::new(1, UnknownCallers::Ring);
    net.add(1, UnknownCallers::Ring);
    let (peer, address, now) = (net.hosts[1].id(), net.hosts[1].address, net.now);
    let hints = Hints { addresses: &[], to_follow: 2 };
    net.command(0, |node| node.dial(peer, None, hints, now)).unwrap();
    net.run(Duration::from_secs(4));
    assert_eq!(net.hosts[0].call().state, State::Lookup, "names may take their time");
    net.input(0, Input::Hints { peer, addresses: &[] });
    net.run(Duration::from_secs(4));
    assert_eq!(net.hosts[0].call().state, State::Lookup, "one is still to come");
    net.input(0, Input::Hints { peer, addresses: &[address] });
    net.run(Duration::from_millis(500));
    assert_eq!(net.hosts[0].call().state, State::Ringing);
}

#[test]
fn a_shutdown_ends_the_call_on_both_sides() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    net.dial(1, 2);
    net.run(Duration::from_millis(500));
    net.answer(2);
    net.run(Duration::from_secs(1));
    net.input(1, Input::Shutdown);
    net.run(Duration::from_secs(1));
    assert!(net.hosts[2].call().cause.is_some());
    assert!(net.hosts[2].sound.is_empty());
    assert!(net.hosts[1].node.is_quiet());
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let trace = || {
        let mut net = Net::new(3, UnknownCallers::Ring);
        net.loss = 100;
        net.dial(1, 2);
        let mut sent = Vec::new();
        for _ in 0..200 {
            net.run(Duration::from_millis(10));
            sent.extend(net.flying.iter().map(|(at, _, to, datagram)| (*at, *to, datagram.clone())));
        }
        sent
    };
    assert_eq!(trace(), trace());
}

#[test]
fn an_invite_with_a_wrong_key_keeps_its_owner_out_no_longer_than_the_dial_lasts() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    let (peer, now) = (net.hosts[2].id(), net.now);
    net.command(1, |node| node.dial(peer, Some(Fingerprint([7; 32])), Hints::default(), now)).unwrap();
    net.run(Duration::from_secs(2));
    assert_eq!(net.hosts[1].call().cause, Some(EndCause::KeyChanged));
    net.dial(2, 1);
    net.run(Duration::from_secs(2));
    assert_eq!(net.hosts[1].call().state, State::Alerting, "the real owner of that ID");
}

#[test]
fn a_dial_that_is_refused_pins_no_key() {
    let mut net = Net::new(4, UnknownCallers::Ring);
    net.dial(1, 3);
    let (peer, now) = (net.hosts[2].id(), net.now);
    assert!(net.command(1, |node| node.dial(peer, Some(Fingerprint([7; 32])), Hints::default(), now)).is_err());
    let now = net.now;
    net.command(1, |node| node.hang_up(None, now)).unwrap();
    net.run(Duration::from_secs(5));
    net.dial(2, 1);
    net.run(Duration::from_secs(2));
    assert_eq!(net.hosts[1].call().state, State::Alerting);
}

#[test]
fn f05_a_handshake_from_an_impossible_address_is_not_answered() {
    let mut net = Net::new(1, UnknownCallers::Ring);
    let mut random = Random::seeded(7);
    let (id, mode) = (net.hosts[0].id(), crate::handshake::Mode::Full);
    for from in ["198.18.9.1:0", "255.255.255.255:5004", "224.0.0.1:5004", "0.0.0.0:5004", "[ff02::1]:5004"] {
        let mut bytes = crate::handshake::ExpectResponse::start(id, mode, &mut random).unwrap().datagram().to_vec();
        net.input(0, Input::Datagram { from: Path::direct(from.parse().unwrap()), bytes: &mut bytes });
        assert_eq!(net.flying.len(), 0, "{from}");
    }
}

#[test]
fn a_contact_that_calls_with_another_key_than_the_pinned_one_is_shown_once_and_not_heard() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    let (peer, now) = (net.hosts[2].id(), net.now);
    let invite = Invite { fingerprint: Some(Fingerprint([7; 32])), ..Invite::bare(peer) }.to_string();
    net.command(1, |node| node.add_contact("Bob", &invite, now)).unwrap();
    for _ in 0..3 {
        net.dial(2, 1);
        net.run(Duration::from_secs(12));
    }
    assert!(net.hosts[1].calls.is_empty());
    assert!(net.hosts[1].node.people().contact(peer).unwrap().changed);
    assert_eq!(net.hosts[1].warnings, 1);
}

#[test]
fn a_lookup_finds_a_peer_without_disturbing_it() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    let (peer, address, now) = (net.hosts[2].id(), net.hosts[2].address, net.now);
    net.command(1, |node| node.look_up(peer, Hints::default(), now)).unwrap();
    net.run(Duration::from_secs(3));
    let found = net.hosts[1].looked_up.pop().unwrap();
    assert_eq!((found.peer, found.missing), (peer, None));
    assert_eq!(found.addresses.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [address]);
    assert!(found.took >= found.addresses[0].1 && found.took < Duration::from_secs(1), "{found:?}");
    assert!(net.hosts[1].looked_up.is_empty(), "it is told once");
    assert!(net.hosts[1].calls.is_empty() && net.hosts[2].calls.is_empty());
}

#[test]
fn a_lookup_in_vain_says_why() {
    let nobody = NodeId([0x42; 20]);
    for (hosts, cause) in [(3, EndCause::NotFound), (1, EndCause::Offline)] {
        let mut net = Net::new(hosts, UnknownCallers::Ring);
        let (index, now) = (hosts - 1, net.now);
        net.command(index, |node| node.look_up(nobody, Hints::default(), now)).unwrap();
        net.run(Duration::from_secs(20));
        let lookup = net.hosts[index].looked_up.pop().unwrap();
        assert_eq!((lookup.missing, lookup.addresses.len()), (Some(cause), 0));
    }
}

#[test]
fn a_call_takes_over_the_search_of_a_lookup_and_both_are_answered() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    let (peer, now) = (net.hosts[2].id(), net.now);
    net.command(1, |node| node.look_up(peer, Hints::default(), now)).unwrap();
    net.dial(1, 2);
    let refused = net.command(1, |node| node.look_up(peer, Hints::default(), now));
    assert_eq!(refused, Err(LookUpError::InCall));
    net.run(Duration::from_millis(500));
    assert_eq!(net.hosts[1].looked_up.len(), 1);
    assert_eq!(net.hosts[1].call().state, State::Ringing);
}

#[test]
fn hanging_up_leaves_a_lookup_of_the_same_peer_alone() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    let (nobody, now) = (NodeId([0x42; 20]), net.now);
    net.command(1, |node| node.look_up(nobody, Hints::default(), now)).unwrap();
    net.command(1, |node| node.dial(nobody, None, Hints::default(), now)).unwrap();
    net.command(1, |node| node.hang_up(None, now)).unwrap();
    net.run(Duration::from_secs(20));
    assert_eq!(net.hosts[1].looked_up.len(), 1);
}

#[test]
fn lookups_leave_room_for_calls() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    let now = net.now;
    for number in 0..16 {
        net.command(1, |node| node.look_up(NodeId([number; 20]), Hints::default(), now)).unwrap();
    }
    let refused = net.command(1, |node| node.look_up(NodeId([0x42; 20]), Hints::default(), now));
    assert_eq!(refused, Err(LookUpError::TooMany));
    net.dial(1, 2);
    net.run(Duration::from_millis(500));
    assert_eq!(net.hosts[1].call().state, State::Ringing);
    net.run(Duration::from_secs(20));
    assert_eq!(net.hosts[1].looked_up.len(), 16);
}

#[test]
fn where_a_contact_was_talked_to_is_remembered_on_both_sides() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    let (ids, now) = ([1, 2].map(|index| net.hosts[index].id().to_string()), net.now);
    net.command(1, |node| node.add_contact("Two", &ids[1], now)).unwrap();
    net.command(2, |node| node.add_contact("One", &ids[0], now)).unwrap();
    net.dial(1, 2);
    net.run(Duration::from_millis(500));
    let last = |net: &Net, index: usize, peer: usize| {
        net.hosts[index].node.people().contact(net.hosts[peer].id()).unwrap().last_address
    };
    assert_eq!(last(&net, 1, 2), None, "it only rings");
    net.answer(2);
    net.run(Duration::from_millis(500));
    assert_eq!(last(&net, 1, 2), Some(net.hosts[2].address));
    assert_eq!(last(&net, 2, 1), Some(net.hosts[1].address));
}

#[test]
fn an_invite_names_public_addresses_and_public_nodes_and_what_it_is_told() {
    let net = Net::new(6, UnknownCallers::Ring);
    let local = ["192.168.1.7:5004".parse().unwrap(), net.hosts[5].address];
    let [public, whole] = [&[][..], &local].map(|local| net.hosts[5].node.invite(local, net.now));
    assert_eq!(public.at.iter().map(ToString::to_string).collect::<Vec<_>>(), ["198.18.5.1:5004"]);
    assert_eq!(whole.at.iter().map(ToString::to_string).collect::<Vec<_>>(), ["198.18.5.1:5004", "192.168.1.7:5004"]);
    // The one all joined through. That others are more than open to those they have just asked would take longer.
    assert!((1..=3).contains(&public.via.len()), "{}", public.via.len());
    for (id, at) in &public.via {
        let host = net.hosts.iter().find(|host| host.id() == *id).unwrap();
        assert_eq!(at.to_string(), host.address.to_string());
    }
    assert_eq!(public.to_string().parse(), Ok(public));
}

/// A liar at `address` who says that he is `id`, that whoever is asked for is at `named`, and shakes hands by `greet`.
fn liar(
    address: SocketAddr,
    id: NodeId,
    named: Vec<(NodeId, SocketAddr)>,
    mut greet: impl FnMut(&[u8]) -> Option<Vec<u8>> + 'static,
) -> Liar {
    let answer = move |datagram: &[u8]| {
        let Ok(asked) = Packet::parse(datagram) else { return greet(datagram) };
        let (token, observed) = (Token([1; 8]), "198.18.1.1:5004".parse().unwrap());
        let entry = |(id, address): &(NodeId, SocketAddr)| Entry { caps: 0, id: *id, address: *address };
        let entries = named.iter().map(entry).collect();
        let message = match asked.message {
            Message::RouteReq { target, .. } => Message::RouteRes { responder: id, target, token, observed, entries },
            Message::Ping { .. } => Message::Pong { responder: id, token, observed },
            _ => return None,
        };
        Some(Packet { flags: 0, caps: 0, txid: asked.txid, message }.emit())
    };
    Liar { address, answer: Box::new(answer) }
}

/// What a liar may say to HS_INIT: nothing, noise under the right name, or that he speaks no such version.
fn greetings() -> [fn(&[u8]) -> Answer; 3] {
    [
        |_| None,
        |init| {
            let mut noise = vec![0x55; 300];
            noise[..2].copy_from_slice(&[crate::wire::kind::HS_RESP, 1]);
            noise[4..12].copy_from_slice(&init[4..12]);
            Some(noise)
        },
        |init| {
            let sid = Init::parse(init).ok()?.sid;
            Some(Versions { sid, min: 9, max: 9 }.emit())
        },
    ]
}

#[test]
fn f14_a_liar_who_answers_as_the_peer_and_shakes_no_hand_does_not_keep_the_call_from_ringing() {
    for greet in greetings() {
        let mut net = Net::new(3, UnknownCallers::Ring);
        let (target, honest) = (net.hosts[2].id(), (net.hosts[0].id(), net.hosts[0].address));
        let [liar_at, lie] = ["198.18.66.1:5004", "198.18.67.1:5004"].map(|text| text.parse().unwrap());
        net.liars.push(liar(liar_at, NodeId([0x66; 20]), vec![(target, lie), honest], |_| None));
        net.liars.push(liar(lie, target, Vec::new(), greet));
        net.add(3, UnknownCallers::Ring);
        net.input(3, Input::Bootstrap(&[liar_at]));
        net.dial(3, 2);
        net.run(Duration::from_secs(4));
        assert_eq!(net.hosts[3].call().state, State::Ringing);
        assert_eq!(net.hosts[2].call().state, State::Alerting);
        net.answer(2);
        net.run(Duration::from_secs(1));
        assert_eq!(net.hosts[3].call().state, State::Active);
        assert!(!net.hosts[3].node.routing.is_searching(target), "nobody is looked for any more");
    }
}

#[test]
fn f14_when_only_liars_answer_the_call_ends_in_time_and_says_why() {
    for (greet, cause) in greetings().into_iter().zip([EndCause::Unreachable, EndCause::Unreachable, EndCause::Version])
    {
        let mut net = Net::new(2, UnknownCallers::Ring);
        let target = NodeId([0x42; 20]);
        let [liar_at, lie] = ["198.18.66.1:5004", "198.18.67.1:5004"].map(|text| text.parse().unwrap());
        net.liars.push(liar(liar_at, NodeId([0x66; 20]), vec![(target, lie)], |_| None));
        net.liars.push(liar(lie, target, Vec::new(), greet));
        net.input(1, Input::Bootstrap(&[liar_at]));
        net.run(Duration::from_secs(1));
        let now = net.now;
        net.command(1, |node| node.dial(target, None, Hints::default(), now)).unwrap();
        net.run(Duration::from_secs(7));
        assert_eq!(net.hosts[1].call().state, State::Connecting);
        net.run(Duration::from_secs(2));
        assert_eq!(net.hosts[1].call().cause, Some(cause));
    }
}

/// A new liar is named again and again, each at an address of its own.
#[test]
fn f14_a_call_ends_in_time_however_many_addresses_are_named() {
    let mut net = Net::new(2, UnknownCallers::Ring);
    let target = NodeId([0x42; 20]);
    for number in 0..120_u8 {
        let at = |network: u8| SocketAddr::from(([198, 51, network, number], 5004));
        let mut id = target;
        (id.0[1], id.0[2]) = (0x80, number);
        let mut next = id;
        next.0[2] = number + 1;
        let named = vec![(target, SocketAddr::from(([203, number, 1, 1], 5004))), (next, at(100 + number + 1))];
        net.liars.push(liar(at(100 + number), id, named, |_| None));
        net.liars.push(liar(SocketAddr::from(([203, number, 1, 1], 5004)), target, Vec::new(), |_| None));
    }
    let first = net.liars[0].address;
    net.input(1, Input::Bootstrap(&[first]));
    net.run(Duration::from_secs(1));
    let now = net.now;
    net.command(1, |node| node.dial(target, None, Hints::default(), now)).unwrap();
    net.run(Duration::from_secs(24));
    assert_eq!(net.hosts[1].call().cause, Some(EndCause::Unreachable));
    assert!(!net.hosts[1].node.routing.is_searching(target));
}
