// SPDX-License-Identifier: GPL-3.0-or-later
//! What hole punching must not be good for: making others send to third parties, or drowning anybody.

use core::time::Duration;

use proptest::prelude::*;

use super::sim::{Mesh, Sent, address, id_of};
use super::*;
use crate::wire::kind;
use crate::wire::routing::{PUNCH_REQ_LEN, PunchStatus, Token};

/// An innocent that has nothing to do with the network.
const VICTIM: u32 = 5_000;

fn packet(txid: u64, message: Message) -> Vec<u8> {
    Packet { flags: 0, caps: caps::PUNCH, txid, message }.emit()
}

fn forward(txid: u64, victim: SocketAddr) -> Vec<u8> {
    packet(txid, Message::PunchFwd { caller: NodeId([3; 20]), address: victim })
}

/// A network of 20, where a node is, and where its warm neighbours are.
fn settled(seed: u64) -> (Mesh, SocketAddr, Vec<SocketAddr>) {
    let mut mesh = Mesh::joined(seed, 20);
    mesh.run_for(Duration::from_secs(60));
    let at = address(7);
    let warm = mesh.nodes[&at].warm.ids();
    let neighbours = (0..20).map(address).filter(|other| warm.contains(&id_of(*other))).collect();
    mesh.records = true;
    (mesh, at, neighbours)
}

fn to(mesh: &Mesh, victim: SocketAddr) -> Vec<&Sent> {
    mesh.sent.iter().filter(|sent| sent.to == victim).collect()
}

fn count(mesh: &Mesh, kind: u8) -> usize {
    mesh.sent.iter().filter(|sent| sent.datagram[0] == kind).count()
}

/// The transaction ID that `neighbour` would name to the node at `at`.
fn shared_txid(mesh: &Mesh, neighbour: SocketAddr, at: SocketAddr) -> u64 {
    let node = &mesh.nodes[&neighbour];
    node.contacts.fresh(id_of(at), mesh.now).next().unwrap().txid.unwrap()
}

#[test]
fn a_word_from_strangers_or_with_a_forged_source_opens_nothing() {
    let (mut mesh, at, neighbours) = settled(1);
    for number in 0..500 {
        mesh.inject(address(1_000 + number), at, forward(u64::from(number), address(VICTIM)));
        mesh.inject(neighbours[number as usize % 4], at, forward(u64::from(number), address(VICTIM)));
    }
    mesh.run_for(Duration::from_secs(5));
    assert_eq!(to(&mesh, address(VICTIM)).len(), 0);
}

#[test]
fn a_transaction_id_planted_with_a_forged_request_opens_nothing() {
    let (mut mesh, at, neighbours) = settled(2);
    for neighbour in neighbours {
        let ping = Message::Ping { origin: id_of(neighbour), token: Token([9; 8]) };
        mesh.inject(neighbour, at, packet(42, ping));
        mesh.run_for(Duration::from_secs(1));
        mesh.inject(neighbour, at, forward(42, address(VICTIM)));
    }
    mesh.run_for(Duration::from_secs(5));
    assert_eq!(to(&mesh, address(VICTIM)).len(), 0);
}

#[test]
fn even_a_warm_neighbour_that_lies_gets_five_small_packets_per_second_and_per_victim_out_of_us() {
    let (mut mesh, at, neighbours) = settled(3);
    let txid = shared_txid(&mesh, neighbours[0], at);
    for round in 0..100 {
        mesh.inject(neighbours[0], at, forward(txid, address(VICTIM)));
        mesh.inject(neighbours[0], at, forward(txid, address(VICTIM + 1 + round)));
        mesh.run_for(Duration::from_millis(100));
    }
    let victims: Vec<usize> = (0..=100).map(|number| to(&mesh, address(VICTIM + number)).len()).collect();
    assert!(victims.iter().all(|packets| *packets <= 5), "{victims:?}");
    let total: usize = victims.iter().sum();
    assert!((40..=55).contains(&total), "{total} in ten seconds");
    let bytes: usize = to(&mesh, address(VICTIM)).iter().map(|sent| sent.datagram.len()).sum();
    assert!(bytes <= 200, "{bytes}");
}

#[test]
fn a_request_without_a_token_is_neither_answered_nor_passed_on() {
    let (mut mesh, at, neighbours) = settled(4);
    let target = id_of(at);
    for number in 0..200 {
        let message = Message::PunchReq { origin: NodeId([3; 20]), target, token: Token([1; 8]) };
        mesh.inject(address(VICTIM), neighbours[number % 4], packet(1, message));
    }
    mesh.run_for(Duration::from_secs(2));
    assert_eq!(to(&mesh, address(VICTIM)).len(), 0);
    assert_eq!((count(&mesh, kind::PUNCH_FWD), count(&mesh, kind::PUNCH_ACK)), (0, 0));
}

#[test]
fn a_flood_of_requests_rings_at_one_node_once_in_ten_seconds() {
    let (mut mesh, at, neighbours) = settled(5);
    let caller = (0..20).map(address).find(|other| *other != at && !neighbours.contains(other)).unwrap();
    mesh.find_to_end(caller, id_of(at));
    mesh.find_to_end(caller, id_of(neighbours[0]));
    mesh.with(caller, |node, now, random| {
        node.ask(neighbours[0], None, None, requests::Purpose::Nominate, now.mono, random);
    });
    mesh.run_for(Duration::from_secs(1));
    let token = mesh.nodes[&caller].received.for_node(neighbours[0], mesh.now);
    mesh.sent.clear();
    for _ in 0..100 {
        let message = Message::PunchReq { origin: id_of(caller), target: id_of(at), token };
        mesh.inject(caller, neighbours[0], packet(1, message));
        mesh.run_for(Duration::from_millis(90));
    }
    assert_eq!(count(&mesh, kind::PUNCH_FWD), 1);
    assert!(count(&mesh, kind::PUNCH_ACK) > 50, "the rest is answered: it was told");
}

/// Requests of one /24 with valid tokens, for everybody a node is in touch with.
#[test]
fn one_prefix_has_five_nodes_told_per_second() {
    let mut forwards = forward::Forwards::default();
    let mut told = 0;
    for number in 0..200_u8 {
        let caller = SocketAddr::from(([198, 18, 1, number], 5004));
        let now = Instant::from_millis(u64::from(number) * 5);
        told += usize::from(forwards.admits(caller, NodeId([number; 20]), now));
    }
    assert_eq!(told, 5);
    for number in 0..20_000_u32 {
        let now = Instant::from_millis(2_000 + u64::from(number) / 100);
        forwards.admits(address(number), NodeId(Random::seeded(u64::from(number)).bytes()), now);
    }
    assert!(forwards.len() <= 256, "{}", forwards.len());
}

#[test]
fn a_teller_that_lies_about_the_address_costs_its_victim_five_packets() {
    let (mut mesh, at, _) = settled(6);
    let silent = address(12);
    let (target, mut bytes) = (id_of(silent), 0);
    mesh.remove(silent);
    mesh.find(at, target, &[]);
    for _ in 0..4_000 {
        mesh.step();
        for sent in core::mem::take(&mut mesh.sent) {
            let Ok(asked) = Packet::parse(&sent.datagram) else { continue };
            if matches!(asked.message, Message::PunchReq { .. }) {
                let lie = Message::PunchAck { status: PunchStatus::Forwarded, address: address(VICTIM) };
                mesh.inject(sent.to, sent.from, packet(asked.txid, lie));
                assert_eq!(sent.datagram.len(), PUNCH_REQ_LEN);
            } else if sent.to == address(VICTIM) {
                bytes += sent.datagram.len();
            }
        }
    }
    assert_eq!(bytes, 5 * 40);
}

#[test]
fn an_acknowledgement_nobody_asked_for_changes_nothing() {
    let (mut mesh, at, neighbours) = settled(7);
    mesh.find(at, NodeId([0x77; 20]), &[]);
    for txid in 0..100 {
        let lie = Message::PunchAck { status: PunchStatus::Forwarded, address: address(VICTIM) };
        mesh.inject(neighbours[0], at, packet(txid, lie));
    }
    mesh.run_for(Duration::from_secs(5));
    assert_eq!(to(&mesh, address(VICTIM)).len(), 0);
}

proptest! {
    /// Whatever an unproven address sends while its alleged ID is searched, at most three times its bytes go out.
    #[test]
    fn f10_the_answer_is_at_most_three_times_the_request_even_from_a_node_we_search(
        kind in prop_oneof![
            Just(kind::PING), Just(kind::ROUTE_REQ), Just(kind::PUNCH_REQ), Just(kind::PUNCH_FWD),
            Just(kind::PUNCH_ACK), Just(kind::LAN_HELLO)
        ],
        v6 in any::<bool>(),
        flags in any::<u8>(),
        tail in proptest::collection::vec(any::<u8>(), 40),
        repeats in 1..6_usize,
    ) {
        let mut random = Random::seeded(1);
        let mut now = Now { mono: Instant::from_millis(1_000_000), unix: 0 };
        let config = RoutingConfig { lan: true, ..RoutingConfig::new(NodeId([0; 20])) };
        let mut node = Routing::new(config, now, &mut random);
        let searched = NodeId([3; 20]);
        node.find(searched, &[address(1)], now, &mut random);
        node.handle_timeout(now, &mut random);
        while node.poll_transmit().is_some() {}
        let mut datagram = vec![kind, 1, flags, 0, 0, 0, 0, 0, 0, 0, 0, 7];
        datagram.extend(searched.0);
        datagram.extend(tail);
        let length = match kind {
            kind::PING => 40,
            kind::PUNCH_ACK => 20,
            kind::PUNCH_FWD => 39,
            kind::LAN_HELLO => 42,
            _ => 60,
        };
        datagram.resize(length, 0);
        let from: SocketAddr = if v6 { "[2001:db8::1]:5004".parse().unwrap() } else { address(3_000) };
        let mut bytes = 0;
        for _ in 0..repeats {
            _ = node.handle(from, &datagram, now, &mut random);
        }
        for _ in 0..100 {
            now.mono = now.mono + Duration::from_millis(20);
            node.handle_timeout(now, &mut random);
            while let Some(transmit) = node.poll_transmit() {
                let to = transmit.path.address().unwrap();
                bytes += if to.ip() == from.ip() { transmit.datagram.len() } else { 0 };
            }
        }
        prop_assert!(bytes <= 3 * datagram.len() * repeats, "{} for {} times {}", bytes, repeats, datagram.len());
    }
}
