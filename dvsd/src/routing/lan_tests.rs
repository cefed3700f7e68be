// SPDX-License-Identifier: GPL-3.0-or-later
//! Nodes on one switch, and networks that come and go.

use core::time::Duration;

use super::sim::{Mesh, address, id_of};
use super::*;
use crate::wire::kind;
use crate::wire::routing::Token;

fn v4(host: u8) -> SocketAddr {
    SocketAddr::from(([192, 168, 1, host], 5004))
}

/// The address of a host on the link behind interface 2.
fn v6(host: u8) -> SocketAddr {
    format!("[fe80::{host:x}%2]:5004").parse().unwrap()
}

fn plug_in(mesh: &mut Mesh, at: SocketAddr, id: NodeId) {
    mesh.switch.insert(at);
    mesh.add_with(at, RoutingConfig { lan: true, port: at.port(), ..RoutingConfig::new(id) });
    mesh.with(at, |_, _, _| {});
}

fn id(host: u8) -> NodeId {
    NodeId(Random::seeded(u64::from(host)).bytes())
}

fn lan(seed: u64, hosts: u8, at: fn(u8) -> SocketAddr) -> Mesh {
    let mut mesh = Mesh::new(seed);
    mesh.delay = (200, 400);
    (1..=hosts).for_each(|host| plug_in(&mut mesh, at(host), id(host)));
    mesh
}

#[test]
fn two_nodes_on_a_switch_find_each_other_at_once_without_any_configuration() {
    for at in [v4, v6] {
        let mut mesh = lan(1, 2, at);
        mesh.run_for(Duration::from_millis(10));
        for (from, to) in [(1, 2), (2, 1)] {
            assert!(mesh.status(at(from)).online);
            let (event, took) = mesh.find_to_end(at(from), id(to));
            assert!(matches!(event, RoutingEvent::Found { addresses, .. } if addresses[0].0 == at(to)));
            assert!(took < Duration::from_millis(5), "{took:?}");
        }
    }
}

#[test]
fn a_lost_hello_is_repeated_soon() {
    let mut mesh = lan(2, 2, v4);
    mesh.loss = 100;
    mesh.run_for(Duration::from_millis(400));
    mesh.loss = 0;
    mesh.run_for(Duration::from_millis(1_400));
    assert!(mesh.status(v4(1)).online && mesh.status(v4(2)).online);
}

#[test]
fn a_node_that_comes_later_is_heard_at_once() {
    let mut mesh = lan(3, 1, v6);
    mesh.run_for(Duration::from_secs(1_000));
    plug_in(&mut mesh, v6(9), id(9));
    mesh.run_for(Duration::from_millis(10));
    assert_eq!((mesh.status(v6(1)).nodes, mesh.status(v6(9)).nodes), (1, 1));
}

#[test]
fn a_node_that_starts_anew_is_answered_although_it_is_known() {
    let mut mesh = lan(4, 2, v4);
    mesh.run_for(Duration::from_secs(60));
    plug_in(&mut mesh, v4(2), id(2));
    mesh.run_for(Duration::from_millis(100));
    assert!(mesh.status(v4(2)).online);
}

#[test]
fn hellos_become_rare() {
    let mut mesh = lan(5, 3, v4);
    mesh.run_for(Duration::from_secs(60));
    mesh.records = true;
    mesh.run_for(Duration::from_secs(3_000));
    let hellos = mesh.sent.iter().filter(|sent| sent.datagram[0] == kind::LAN_HELLO && sent.to.is_ipv4()).count();
    assert!((24..=39).contains(&hellos), "{hellos} of three nodes in fifty minutes");

    let mut alone = lan(6, 1, v4);
    alone.records = true;
    alone.run_for(Duration::from_secs(3_000));
    let hellos = alone.sent.iter().filter(|sent| sent.to.is_ipv4()).count();
    assert!((14..=22).contains(&hellos), "{hellos} of a lonely node in fifty minutes");
    assert!(alone.sent.iter().all(|sent| sent.datagram.len() == 42));
}

#[test]
fn link_local_addresses_are_told_to_nobody() {
    let mut mesh = lan(7, 3, v6);
    mesh.run_for(Duration::from_secs(10));
    assert_eq!(mesh.status(v6(1)).nodes, 2);
    mesh.records = true;
    for asker in [v6(3), address(9), "[2001:db8::1]:5004".parse().unwrap()] {
        let message = Message::RouteReq { origin: NodeId([9; 20]), target: id(2), token: Token::NONE, padding: 244 };
        mesh.inject(asker, v6(1), Packet { flags: 6, caps: 0, txid: 1, message }.emit());
    }
    mesh.run_for(Duration::from_secs(1));
    let told = mesh.sent.iter().filter_map(|sent| match Packet::parse(&sent.datagram).unwrap().message {
        Message::RouteRes { entries, .. } => Some(entries.len()),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [0, 0, 0]);
    assert_eq!(mesh.nodes[&v6(1)].saved(mesh.now()), [], "an interface may have another number tomorrow");
}

/// One node, and what it sends when hellos arrive.
fn hear(hellos: impl IntoIterator<Item = (SocketAddr, NodeId, u16)>, gap: Duration) -> (Vec<SocketAddr>, usize) {
    let mut mesh = Mesh::new(8);
    mesh.delay = (0, 0);
    plug_in(&mut mesh, v4(1), id(1));
    mesh.run_for(Duration::from_secs(5));
    mesh.records = true;
    for (number, (from, id, port)) in hellos.into_iter().enumerate() {
        let nonce = (number as u64).to_be_bytes();
        let message = Message::LanHello { id, port, nonce };
        mesh.inject(from, v4(1), Packet { flags: 0, caps: 0, txid: 1, message }.emit());
        mesh.run_for(gap);
    }
    let pings = mesh.sent.iter().filter(|sent| sent.datagram[0] == kind::PING).map(|sent| sent.to).collect();
    (pings, mesh.nodes[&v4(1)].lan.len())
}

#[test]
fn impossible_hellos_are_not_answered() {
    let own = (v4(9), id(1), 5004);
    let service = (v4(9), id(9), 53);
    let machine = (SocketAddr::from(([127, 0, 0, 1], 5004)), id(9), 5005);
    let nowhere = ("[fe80::1]:5004".parse().unwrap(), id(9), 5004);
    assert_eq!(hear([own, service, machine, nowhere], Duration::from_secs(2)).0, []);
    assert_eq!(hear([(v4(9), id(9), 6000)], Duration::from_secs(2)).0, [SocketAddr::from(([192, 168, 1, 9], 6000))]);
}

#[test]
fn a_flood_of_hellos_is_answered_once_per_second_and_source_and_ten_times_in_all() {
    let one_source = (0..1_000_u32).map(|number| (v4(9), id(number as u8), 5004 + (number % 50) as u16));
    let (pings, _) = hear(one_source, Duration::from_millis(10));
    assert!((9..=11).contains(&pings.len()), "{} in ten seconds", pings.len());

    let many = (0..1_000_u32).map(|number| (address(number), id_of(address(number)), 5004));
    let (pings, sources) = hear(many, Duration::from_millis(10));
    assert!((90..=110).contains(&pings.len()), "{} in ten seconds", pings.len());
    assert!(sources <= 64, "{sources}");
}

/// Moves a node to another address, as when a laptop changes from one network to another.
fn move_to(mesh: &mut Mesh, from: SocketAddr, to: SocketAddr) {
    let node = mesh.nodes.remove(&from).unwrap();
    mesh.remove(from);
    mesh.nodes.insert(to, node);
}

#[test]
fn a_node_that_changes_its_network_is_back_within_seconds() {
    let mut mesh = Mesh::joined(9, 40);
    mesh.run_for(Duration::from_secs(60));
    let (old, new) = (address(5), address(600));
    move_to(&mut mesh, old, new);
    mesh.with(new, |node, now, random| node.network_changed(now, random));
    mesh.run_for(Duration::from_secs(1));
    let status = mesh.status(new);
    assert_eq!((status.online, status.observed), (true, Some(new)));
    let (event, _) = mesh.find_to_end(new, id_of(address(9)));
    assert!(matches!(event, RoutingEvent::Found { .. }), "{event:?}");
    mesh.run_for(Duration::from_secs(60));
    let (event, _) = mesh.find_to_end(address(20), id_of(old));
    assert!(matches!(event, RoutingEvent::Found { addresses, .. } if addresses[0].0 == new));
}

#[test]
fn a_lost_network_is_noticed_at_once_and_found_again_when_it_comes_back() {
    let mut mesh = Mesh::joined(10, 20);
    let at = address(5);
    mesh.take_events(at);
    mesh.loss = 100;
    mesh.with(at, |node, now, random| node.network_changed(now, random));
    mesh.run_for(Duration::from_secs(2));
    assert_eq!(mesh.take_events(at), [RoutingEvent::Offline]);
    mesh.run_for(Duration::from_secs(1_800));
    let nodes = mesh.status(at).nodes;
    mesh.loss = 0;
    mesh.with(at, |node, now, random| node.network_changed(now, random));
    mesh.run_for(Duration::from_secs(1));
    assert_eq!((mesh.status(at).online, nodes), (true, 19));
}

#[test]
fn after_a_night_of_sleep_everybody_is_still_known() {
    let mut mesh = Mesh::joined(11, 12);
    let (at, before) = (address(5), mesh.status(address(5)).nodes);
    let node = mesh.nodes.remove(&at).unwrap();
    mesh.remove(at);
    mesh.run_for(Duration::from_secs(8 * 3_600));
    mesh.nodes.insert(at, node);
    mesh.with(at, |node, now, random| node.handle_timeout(now, random));
    mesh.with(at, |node, now, random| node.network_changed(now, random));
    mesh.run_for(Duration::from_secs(3));
    assert_eq!(mesh.status(at).nodes, before);
    assert!(mesh.status(at).online);
    let (event, _) = mesh.find_to_end(at, id_of(address(9)));
    assert!(matches!(event, RoutingEvent::Found { .. }), "{event:?}");
}

#[test]
fn however_often_the_network_changes_little_is_sent() {
    let mut mesh = Mesh::joined(12, 40);
    mesh.records = true;
    for _ in 0..1_000 {
        mesh.with(address(5), |node, now, random| node.network_changed(now, random));
        mesh.run_for(Duration::from_millis(3));
    }
    let sent = mesh.sent.iter().filter(|sent| sent.from == address(5)).count();
    assert!(sent < 4 * 100, "{sent}");
}

#[test]
fn a_restart_needs_no_bootstrap_node() {
    let mut mesh = Mesh::joined(13, 40);
    let at = address(5);
    let mut saved = mesh.nodes[&at].saved(mesh.now());
    saved.truncate(3);
    saved.extend((1_000..1_197).map(|number| (id_of(address(number)), address(number))));
    mesh.remove(at);
    mesh.add(at);
    mesh.records = true;
    mesh.with(at, |node, now, random| node.restore(&saved, now, random));
    assert!(mesh.sent.len() <= 20, "{}", mesh.sent.len());
    mesh.run_for(Duration::from_secs(60));
    assert!(mesh.status(at).online && mesh.status(at).nodes > 20, "{:?}", mesh.status(at));
}

#[test]
fn names_with_new_addresses_replace_the_oldest_seeds() {
    let mut mesh = Mesh::new(14);
    let at = address(1);
    mesh.add(at);
    for round in 0..10 {
        let seeds: Vec<SocketAddr> = (0..10).map(|number| address(100 + 10 * round + number)).collect();
        mesh.join(at, &seeds);
        mesh.run_for(Duration::from_secs(5));
    }
    mesh.add(address(199));
    mesh.run_for(Duration::from_secs(70));
    assert!(mesh.status(at).online);
}

#[test]
fn an_address_of_one_link_does_not_disturb_one_that_means_more() {
    let mut mesh = lan(15, 1, v6);
    let wide: SocketAddr = "[2001:db8:9::1]:5004".parse().unwrap();
    mesh.add_with(wide, RoutingConfig::new(id(2)));
    mesh.join(wide, &[v6(1)]);
    mesh.run_for(Duration::from_secs(100));
    plug_in(&mut mesh, v6(2), id(2));
    mesh.run_for(Duration::from_secs(60));
    let node = &mesh.nodes[&v6(1)];
    assert_eq!(node.table.find(&id(2)).map(|contact| contact.address), Some(wide));
    assert_eq!(mesh.status(v6(1)).waiting, 0);
}
