// SPDX-License-Identifier: GPL-3.0-or-later
//! The attacks that the reference implementation falls to, each against one node. The number is that of the flaw.

use core::time::Duration;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::sim::{Mesh, address, id_of, sent_by};
use super::*;
use crate::wire::kind;
use crate::wire::routing::{Entry, MAX_ENTRIES, PADDED_ROUTE_REQ_LEN, ROUTE_REQ_LEN, Token, flag};

/// One node with its clock and a notebook of what it sent.
struct Victim {
    node: Routing,
    now: Now,
    random: Random,
}

const OWN: NodeId = NodeId([0; 20]);

impl Victim {
    fn new() -> Self {
        Self::with(RoutingConfig { verify_proofs: false, ..RoutingConfig::new(OWN) })
    }

    fn with(config: RoutingConfig) -> Self {
        let mut random = Random::seeded(1);
        let now = Now { mono: Instant::from_millis(1_000_000), unix: 0 };
        Self { node: Routing::new(config, now, &mut random), now, random }
    }

    fn handle(&mut self, from: SocketAddr, packet: &Packet) -> Result<(), Drop> {
        self.node.handle(from, &packet.emit(), self.now, &mut self.random)
    }

    fn sent(&mut self) -> Vec<(SocketAddr, Packet)> {
        sent_by(&mut self.node)
    }

    fn wait(&mut self, time: Duration) {
        self.now.mono = self.now.mono + time;
        self.node.handle_timeout(self.now, &mut self.random);
    }

    /// A node answers the victim's PING, as an honest one would.
    fn befriend(&mut self, number: u32) {
        self.befriend_at(address(number));
    }

    fn befriend_at(&mut self, from: SocketAddr) {
        let id = id_of(from);
        self.handle(from, &ping(id)).unwrap();
        for _ in 0..5 {
            self.answer_all(from, id, &[]);
        }
    }

    /// Answers everything the victim sent to `from` as `id`, with `entries`.
    fn answer_all(&mut self, from: SocketAddr, id: NodeId, entries: &[Entry]) {
        for (to, asked) in self.sent() {
            if let Some(answer) = answer(&asked, id, entries).filter(|_| to == from) {
                _ = self.handle(from, &answer);
            }
        }
    }
}

fn request(message: Message) -> Packet {
    Packet { flags: flag::WANT_V4 | flag::WANT_V6, caps: 0, txid: 7, message }
}

fn ping(id: NodeId) -> Packet {
    request(Message::Ping { origin: id, token: Token::NONE })
}

fn route_req(id: NodeId, padding: usize) -> Packet {
    request(Message::RouteReq { origin: id, target: NodeId([0x42; 20]), token: Token::NONE, padding })
}

fn answer(asked: &Packet, id: NodeId, entries: &[Entry]) -> Option<Packet> {
    let (token, observed) = (Token([1; 8]), address(60_000));
    let message = match asked.message {
        Message::RouteReq { target, .. } => {
            Message::RouteRes { responder: id, target, token, observed, entries: entries.to_vec() }
        }
        Message::Ping { .. } => Message::Pong { responder: id, token, observed },
        _ => return None,
    };
    Some(Packet { flags: 0, caps: 0, txid: asked.txid, message })
}

fn entry(id: NodeId, address: SocketAddr) -> Entry {
    Entry { caps: 0, id, address }
}

fn parse(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn bytes_to(sent: &[(SocketAddr, Packet)], to: SocketAddr) -> usize {
    sent.iter().filter(|(address, _)| *address == to).map(|(_, packet)| packet.emit().len()).sum()
}

#[test]
fn f05_impossible_sources_get_no_answer() {
    let mut victim = Victim::new();
    let sources = ["198.18.0.1:0", "255.255.255.255:5004", "224.0.0.1:5004", "0.0.0.0:5004", "[ff02::1]:5004"];
    for source in sources {
        assert_eq!(victim.handle(parse(source), &ping(NodeId([1; 20]))), Err(Drop::Source), "{source}");
    }
    assert_eq!(victim.handle(parse("198.18.0.1:53"), &ping(NodeId([1; 20]))), Err(Drop::Source));
    assert_eq!(victim.sent(), []);
}

#[test]
fn f06_impossible_addresses_in_answers_are_never_contacted() {
    let mut victim = Victim::new();
    victim.befriend(1);
    victim.node.find(NodeId([9; 20]), &[], victim.now, &mut victim.random);
    let bad = [
        "255.255.255.255:5004",
        "198.18.9.1:0",
        "198.18.9.1:80",
        "0.0.0.0:5004",
        "127.0.0.1:5004",
        "192.168.1.1:5004",
        "169.254.1.1:5004",
        "239.1.1.1:5004",
        "[::1]:5004",
        "[fe80::1]:5004",
        "[ff02::1]:5004",
        "[fd00::1]:5004",
    ];
    let mut entries: Vec<Entry> = (0..).zip(bad).map(|(number, at)| entry(NodeId([number; 20]), parse(at))).collect();
    entries.extend(bad.map(|at| entry(NodeId([9; 20]), parse(at))).into_iter().take(MAX_ENTRIES - bad.len()));
    victim.answer_all(address(1), id_of(address(1)), &entries);
    for _ in 0..200 {
        victim.wait(Duration::from_millis(100));
        assert!(victim.sent().iter().all(|(to, _)| *to == address(1)));
    }
}

#[test]
fn f10_an_unproven_request_gets_at_most_three_times_its_bytes() {
    let mut victim = Victim::new();
    (1..=30).for_each(|number| victim.befriend(number));
    let spoofed = address(1_000);
    victim.handle(spoofed, &route_req(NodeId([3; 20]), 0)).unwrap();
    let sent = victim.sent();
    assert!(bytes_to(&sent, spoofed) <= 3 * ROUTE_REQ_LEN, "{}", bytes_to(&sent, spoofed));
    assert!(matches!(&sent[0].1.message, Message::RouteRes { entries, .. } if entries.len() == 2));
    assert_eq!(sent[0].1.flags, flag::TRUNCATED | flag::NEED_TOKEN);
    assert!(matches!(sent[1].1.message, Message::Ping { .. }));
}

#[test]
fn f10_the_ping_of_one_who_waits_for_room_is_paid_for_in_advance() {
    let mut victim = Victim::new();
    (1..=80).for_each(|number| victim.befriend(number));
    victim.handle(address(1_000), &route_req(NodeId([0xff; 20]), 0)).unwrap();
    let sent = victim.sent();
    assert_eq!((victim.node.table.waiting() > 0, sent.len()), (true, 1), "the bucket is full");
    assert!(bytes_to(&sent, address(1_000)) + 40 <= 3 * ROUTE_REQ_LEN);
}

#[test]
fn f10_a_padded_request_gets_all_and_so_does_one_with_the_token() {
    let mut victim = Victim::new();
    (1..=30).for_each(|number| victim.befriend(number));
    let asker = address(1_000);
    victim.handle(asker, &route_req(NodeId([3; 20]), PADDED_ROUTE_REQ_LEN - ROUTE_REQ_LEN)).unwrap();
    let sent = victim.sent();
    let Message::RouteRes { entries, token, .. } = &sent[0].1.message else { panic!("{}", sent[0].1) };
    assert_eq!((entries.len(), sent[0].1.flags), (MAX_ENTRIES, 0));
    let (origin, target, token) = (NodeId([3; 20]), NodeId([0x42; 20]), *token);
    let proven = request(Message::RouteReq { origin, target, token, padding: 0 });
    victim.handle(asker, &proven).unwrap();
    assert!(matches!(&victim.sent()[0].1.message, Message::RouteRes { entries, .. } if entries.len() == MAX_ENTRIES));
    victim.handle(address(1_001), &proven).unwrap();
    assert!(matches!(&victim.sent()[0].1.message, Message::RouteRes { entries, .. } if entries.len() == 2));
}

#[test]
fn f10_an_answer_that_was_cut_is_asked_for_again_once_with_the_token() {
    let mut victim = Victim::new();
    victim.befriend(1);
    victim.node.find(NodeId([9; 20]), &[], victim.now, &mut victim.random);
    let mut repeats = 0;
    for _ in 0..10 {
        for (to, asked) in victim.sent() {
            let mut cut = answer(&asked, id_of(to), &[]).unwrap();
            cut.flags = flag::TRUNCATED | flag::NEED_TOKEN;
            repeats += u32::from(matches!(asked.message, Message::RouteReq { token, .. } if !token.is_none()));
            victim.handle(to, &cut).unwrap();
        }
    }
    assert_eq!(repeats, 2, "the first request already carried the token of the PONG");
}

#[test]
fn f11_n04_requests_neither_enter_the_table_nor_change_an_address() {
    let mut victim = Victim::new();
    victim.befriend(1);
    let honest = id_of(address(1));
    for number in 100..200 {
        _ = victim.handle(address(number), &ping(honest));
        _ = victim.handle(address(100 + number), &route_req(id_of(address(100 + number)), 244));
        victim.sent();
    }
    assert_eq!(victim.node.table.len(), 1);
    assert_eq!(victim.node.table.find(&honest).map(|contact| contact.address), Some(address(1)));
}

#[test]
fn f12_a_flood_of_names_flushes_nobody_out_of_the_table() {
    let mut victim = Victim::new();
    (1..=100).for_each(|number| victim.befriend(number));
    let before: Vec<NodeId> = victim.node.saved(victim.now).into_iter().map(|(id, _)| id).collect();
    for number in 0..2_000_u32 {
        let mut id = NodeId([0xff; 20]);
        id.0[1..5].copy_from_slice(&number.to_be_bytes());
        _ = victim.handle(address(1_000 + number), &ping(id));
        victim.sent();
        if number % 20 == 0 {
            victim.now.mono = victim.now.mono + Duration::from_millis(100);
        }
    }
    assert!(before.len() > 50, "{}", before.len());
    assert!(before.iter().all(|id| victim.node.table.find(id).is_some()));
}

#[test]
fn f13_answers_contain_only_nodes_that_are_really_known() {
    let mut victim = Victim::new();
    (1..=40).for_each(|number| victim.befriend(number));
    for number in 0..50 {
        victim.handle(address(2_000 + number), &route_req(NodeId([number as u8 + 1; 20]), 244)).unwrap();
        for (_, packet) in victim.sent() {
            let Message::RouteRes { entries, .. } = packet.message else { continue };
            assert!(entries.iter().all(|entry| entry.id == id_of(entry.address)), "{entries:?}");
        }
    }
}

#[test]
fn f14_an_address_that_a_liar_gives_costs_the_victim_at_most_three_pings() {
    let mut victim = Victim::new();
    victim.befriend(1);
    let (target, innocent) = (NodeId([9; 20]), address(7_777));
    victim.node.find(target, &[], victim.now, &mut victim.random);
    victim.answer_all(address(1), id_of(address(1)), &[entry(target, innocent)]);
    let mut to_innocent = Vec::new();
    for _ in 0..300 {
        to_innocent.extend(victim.sent().into_iter().filter(|(to, _)| *to == innocent));
        victim.wait(Duration::from_millis(100));
    }
    assert_eq!(to_innocent.len(), 3);
    assert_eq!(bytes_to(&to_innocent, innocent), 120);
    let events: Vec<RoutingEvent> = core::iter::from_fn(|| victim.node.poll_event()).collect();
    assert!(events.iter().any(|event| matches!(event, RoutingEvent::NotFound { .. })), "{events:?}");
}

/// What a forged entry for another ID costs whoever is there: three requests, of which the first is padded, and only
/// once in ten minutes.
#[test]
fn f14_an_innocent_named_as_a_closer_node_gets_three_requests_and_one_of_them_long() {
    let mut victim = Victim::new();
    victim.befriend(1);
    let (target, innocent) = (NodeId([9; 20]), address(7_777));
    for bytes in [PADDED_ROUTE_REQ_LEN + 2 * ROUTE_REQ_LEN, 3 * ROUTE_REQ_LEN] {
        let mut closer = target;
        closer.0[19] ^= bytes as u8;
        victim.node.find(target, &[], victim.now, &mut victim.random);
        victim.answer_all(address(1), id_of(address(1)), &[entry(closer, innocent)]);
        let mut to_innocent = Vec::new();
        for _ in 0..300 {
            to_innocent.extend(victim.sent().into_iter().filter(|(to, _)| *to == innocent));
            victim.wait(Duration::from_millis(100));
        }
        assert_eq!((to_innocent.len(), bytes_to(&to_innocent, innocent)), (3, bytes));
    }
}

#[test]
fn f14_one_poisoned_answer_does_not_displace_the_honest_candidates() {
    let mut mesh = Mesh::joined(1, 60);
    let (at, target) = (address(5), address(50));
    let liar = address(70);
    mesh.find(at, id_of(target), &[]);
    let fakes = (0..20).map(|number| {
        let mut id = id_of(target);
        id.0[19] ^= number + 1;
        entry(id, address(8_000 + u32::from(number)))
    });
    let poison = Message::RouteRes {
        responder: id_of(liar),
        target: id_of(target),
        token: Token::NONE,
        observed: at,
        entries: fakes.collect(),
    };
    mesh.inject(liar, at, Packet { flags: 0, caps: 0, txid: 1, message: poison }.emit());
    let found = |events: Vec<RoutingEvent>| events.iter().any(|event| matches!(event, RoutingEvent::Found { .. }));
    mesh.run_for(Duration::from_secs(2));
    assert!(found(mesh.take_events(at)));
}

/// Some of the nodes answer every request with twenty forged neighbours of the target, at dead addresses.
#[test]
fn f14_a_tenth_of_the_network_lying_does_not_hide_a_peer() {
    let mut mesh = Mesh::joined(2, 80);
    let liars: Vec<SocketAddr> = (72..80).map(address).collect();
    liars.iter().for_each(|liar| mesh.remove(*liar));
    mesh.records = true;
    let mut found = 0;
    for sample in 0..30 {
        let (at, target) = (address(sample), id_of(address(71 - sample)));
        mesh.find(at, target, &[]);
        for _ in 0..2_000 {
            mesh.step();
            for sent in core::mem::take(&mut mesh.sent) {
                lie(&mut mesh, &liars, &sent);
            }
        }
        mesh.run_for(Duration::from_secs(16));
        found += u32::from(
            mesh.take_events(at)
                .iter()
                .any(|event| matches!(event, RoutingEvent::Found { target: of, .. } if *of == target)),
        );
    }
    assert!(found >= 29, "{found} of 30");
}

fn lie(mesh: &mut Mesh, liars: &[SocketAddr], sent: &super::sim::Sent) {
    let Ok(asked) = Packet::parse(&sent.datagram) else { return };
    if !liars.contains(&sent.to) {
        return;
    }
    let target = if let Message::RouteReq { target, .. } = asked.message { target } else { NodeId([0; 20]) };
    let fakes: Vec<Entry> = (0..20_u8)
        .map(|number| {
            let mut id = target;
            id.0[19] ^= number + 1;
            entry(id, address(9_000 + u32::from(number)))
        })
        .collect();
    if let Some(answer) = answer(&asked, id_of(sent.to), &fakes) {
        mesh.inject(sent.to, sent.from, answer.emit());
    }
}

#[test]
fn f15_answers_nobody_asked_for_change_nothing() {
    let mut victim = Victim::new();
    victim.befriend(1);
    victim.node.find(NodeId([9; 20]), &[], victim.now, &mut victim.random);
    let asked: Vec<Packet> = victim.sent().into_iter().map(|(_, packet)| packet).collect();
    let asked = asked.iter().find(|packet| matches!(packet.message, Message::RouteReq { .. })).unwrap();
    let honest = id_of(address(1));
    let good = answer(asked, honest, &[entry(NodeId([9; 20]), address(5))]).unwrap();

    let wrong_txid = Packet { txid: good.txid ^ 1, ..good.clone() };
    assert_eq!(victim.handle(address(1), &wrong_txid), Err(Drop::Unsolicited));
    assert_eq!(victim.handle(address(2), &good), Err(Drop::Unsolicited));
    let Message::RouteRes { token, observed, .. } = good.message.clone() else { panic!() };
    let pong = Packet { message: Message::Pong { responder: honest, token, observed }, ..good.clone() };
    assert_eq!(victim.handle(address(1), &pong), Err(Drop::Unsolicited));
    let stranger = answer(asked, NodeId([8; 20]), &[]).unwrap();
    assert_eq!(victim.sent(), []);

    assert_eq!(victim.handle(address(1), &good), Ok(()));
    assert_eq!(victim.handle(address(1), &good), Err(Drop::Unsolicited));
    assert_eq!(victim.handle(address(1), &stranger), Err(Drop::Unsolicited));
}

#[test]
fn f15_a_stranger_at_a_known_address_is_not_taken_for_the_node() {
    let mut victim = Victim::new();
    victim.befriend(1);
    victim.node.find(id_of(address(1)), &[], victim.now, &mut victim.random);
    let probes: Vec<Packet> = victim.sent().into_iter().map(|(_, packet)| packet).collect();
    let probe = probes.iter().find(|packet| packet.message.kind() == kind::PING).unwrap();
    let stranger = answer(probe, NodeId([8; 20]), &[]).unwrap();
    assert_eq!(victim.handle(address(1), &stranger), Err(Drop::WrongNode));
    let events: Vec<RoutingEvent> = core::iter::from_fn(|| victim.node.poll_event()).collect();
    assert!(!events.iter().any(|event| matches!(event, RoutingEvent::Found { .. })), "{events:?}");
}

#[test]
fn f16_no_answer_starts_a_storm() {
    let mut victim = Victim::new();
    (1..=10).for_each(|number| victim.befriend(number));
    victim.node.find(NodeId([9; 20]), &[], victim.now, &mut victim.random);
    let asked = victim.sent();
    assert_eq!(asked.len(), 3, "{asked:?}");
    let (to, first) = &asked[0];
    let entries: Vec<Entry> =
        (0..20).map(|number| entry(NodeId([10 + number; 20]), address(500 + u32::from(number)))).collect();
    victim.handle(*to, &answer(first, id_of(*to), &entries).unwrap()).unwrap();
    let ours =
        |packet: &Packet| matches!(packet.message, Message::RouteReq { target, .. } if target == NodeId([9; 20]));
    assert_eq!(victim.sent().into_iter().filter(|(_, packet)| ours(packet)).count(), 1);
}

#[test]
fn our_own_id_is_refused() {
    let mut victim = Victim::new();
    assert_eq!(victim.handle(address(1), &ping(OWN)), Err(Drop::Own));
    victim.node.bootstrap(&[address(1)], victim.now, &mut victim.random);
    let (_, asked) = victim.sent().remove(0);
    assert_eq!(victim.handle(address(1), &answer(&asked, OWN, &[]).unwrap()), Err(Drop::Own));
    assert_eq!(victim.node.table.len(), 0);
}

#[test]
fn a_daemon_on_loopback_speaks_to_loopback_only() {
    let mut victim = Victim::with(RoutingConfig { loopback_only: true, ..RoutingConfig::new(OWN) });
    assert_eq!(victim.handle(address(1), &ping(NodeId([1; 20]))), Err(Drop::Source));
    victim.node.bootstrap(&[address(1)], victim.now, &mut victim.random);
    victim.node.find(NodeId([9; 20]), &[address(2)], victim.now, &mut victim.random);
    victim.wait(Duration::from_secs(5));
    assert_eq!(victim.sent(), []);
}

#[test]
fn private_addresses_are_told_within_their_network_only() {
    let mut victim = Victim::new();
    let (home, away) = (parse("192.168.1.2:5004"), parse("10.0.0.2:5004"));
    victim.befriend_at(home);
    let mut told = |asker: SocketAddr| {
        victim.handle(asker, &route_req(NodeId([2; 20]), 244)).unwrap();
        let Message::RouteRes { entries, .. } = victim.sent().remove(0).1.message else { panic!() };
        entries.len()
    };
    assert_eq!(told(parse("192.168.1.9:5004")), 1);
    assert_eq!(told(away), 0);
    assert_eq!(told(address(1)), 0);
}

#[test]
fn the_askers_own_entry_is_left_out() {
    let mut victim = Victim::new();
    (1..=3).for_each(|number| victim.befriend(number));
    victim.handle(address(2), &route_req(id_of(address(2)), 244)).unwrap();
    let Message::RouteRes { entries, .. } = victim.sent().remove(0).1.message else { panic!() };
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().all(|entry| entry.id != id_of(address(2))));
}

/// 100 000 datagrams, random and mutated, from everywhere, answered or not: every list keeps its bound.
#[test]
fn d25_who_wants_no_family_gets_its_own_and_never_more_than_twenty_addresses_in_all() {
    let mut victim = Victim::new();
    for number in 1..=30_u16 {
        victim.befriend(u32::from(number));
        let (from, id) = (parse(&format!("[2001:db8:{number}::1]:5004")), NodeId(victim.random.bytes()));
        victim.handle(from, &ping(id)).unwrap();
        (0..5).for_each(|_| victim.answer_all(from, id, &[]));
    }
    let asks = |flags: u8, from: SocketAddr, victim: &mut Victim| {
        let mut request = route_req(NodeId([3; 20]), PADDED_ROUTE_REQ_LEN - ROUTE_REQ_LEN);
        request.flags = flags;
        victim.handle(from, &request).unwrap();
        let sent = victim.sent();
        let Message::RouteRes { entries, .. } = &sent[0].1.message else { panic!("{}", sent[0].1) };
        let v4 = entries.iter().filter(|entry| entry.address.is_ipv4()).count();
        (v4, entries.len() - v4)
    };
    let [v4, v6] = [address(1_000), parse("[2001:db8:ffff::1]:5004")];
    assert!(matches!(asks(0, v4, &mut victim), (10.., 0)));
    assert!(matches!(asks(0, v6, &mut victim), (0, 10..)));
    assert!(matches!(asks(flag::WANT_V6, v4, &mut victim), (0, 10..)));
    let (four, six) = asks(flag::WANT_V4 | flag::WANT_V6, v4, &mut victim);
    assert!(four > 0 && six > 0 && four + six <= MAX_ENTRIES, "{four} {six}");
}

#[test]
fn nothing_grows_without_bound_under_hostile_datagrams() {
    let mut victim = Victim::new();
    (1..=30).for_each(|number| victim.befriend(number));
    let mut random = Random::seeded(99);
    let mut heard: Vec<Vec<u8>> = vec![ping(NodeId([1; 20])).emit(), route_req(NodeId([2; 20]), 244).emit()];
    for round in 0..100_000_u64 {
        let from = address(random.below(40_000) as u32);
        if round % 1_000 == 0 {
            let target = NodeId(random.bytes());
            victim.node.find(target, &[from], victim.now, &mut victim.random);
        }
        let datagram = hostile(&heard, &mut random);
        _ = victim.node.handle(from, &datagram, victim.now, &mut victim.random);
        for (to, asked) in victim.sent() {
            let entries: Vec<Entry> =
                (0..20).map(|_| entry(NodeId(random.bytes()), address(random.below(40_000) as u32))).collect();
            let is_honest = (1..=30).any(|number| to == address(number));
            let id = if is_honest { id_of(to) } else { NodeId(random.bytes()) };
            let answer = answer(&asked, id, &entries).filter(|_| is_honest || random.below(2) == 0);
            if let Some(answer) = answer {
                _ = victim.handle(to, &answer);
                heard.push(answer.emit());
            }
        }
        heard.truncate(50);
        victim.now.mono = victim.now.mono + Duration::from_micros(random.below(2_000));
        if round % 50 == 0 {
            victim.wait(Duration::ZERO);
        }
    }
    let node = &victim.node;
    assert!(node.table.len() <= 160 * 20);
    assert!(node.table.waiting() <= 160 * 10);
    assert!(node.requests.len() <= 1_024, "{}", node.requests.len());
    assert!(node.limits.len() <= 2 * 1_024, "{}", node.limits.len());
    assert!(node.received.len() <= 256, "{}", node.received.len());
    assert!(node.searches.len() <= 64, "{}", node.searches.len());
    assert!(node.lookups.len() <= 64 + 2, "{}", node.lookups.len());
    assert!((1..=30).filter(|number| node.table.find(&id_of(address(*number))).is_some()).count() >= 20);
}

/// Random bytes, or something heard before with a few bytes changed, cut or added.
fn hostile(heard: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut datagram = heard[random.below(heard.len() as u64) as usize].clone();
    match random.below(4) {
        0 => datagram = (0..random.below(400)).map(|_| random.below(256) as u8).collect(),
        1 => datagram.truncate(random.below(datagram.len() as u64) as usize),
        2 => datagram[12..32].copy_from_slice(&random.bytes::<20>()),
        _ => {
            for _ in 0..random.below(6) {
                let index = random.below(datagram.len() as u64) as usize;
                datagram[index] = random.below(256) as u8;
            }
        }
    }
    datagram
}

proptest! {
    /// Whatever comes from an address that proved nothing, at most three times its bytes go out because of it.
    #[test]
    fn f10_the_answer_is_at_most_three_times_the_request(
        known in 0..40_u32,
        kind in prop_oneof![Just(kind::ROUTE_REQ), Just(kind::PING), any::<u8>()],
        v6 in any::<bool>(),
        flags in any::<u8>(),
        body in proptest::collection::vec(any::<u8>(), 0..400),
        exact in any::<bool>(),
    ) {
        let mut victim = Victim::new();
        (1..=known).for_each(|number| victim.befriend(number));
        let mut datagram = vec![kind, 1, flags, 0];
        datagram.extend(body);
        if exact {
            datagram.resize(if kind == kind::PING { 40 } else { 60 + datagram.len() % 250 }, 0);
        }
        let from = if v6 { parse("[2001:db8::1]:5004") } else { address(3_000) };
        _ = victim.node.handle(from, &datagram, victim.now, &mut victim.random);
        let mut sent = BTreeMap::new();
        while let Some(transmit) = victim.node.poll_transmit() {
            *sent.entry(transmit.path.address().unwrap()).or_insert(0) += transmit.datagram.len();
        }
        prop_assert!(sent.keys().all(|to| *to == from));
        prop_assert!(sent.values().sum::<usize>() <= 3 * datagram.len(), "{:?}", sent);
    }
}
