// SPDX-License-Identifier: GPL-3.0-or-later
//! Nodes behind NATs, on one switch, and in networks that change.

use core::net::IpAddr;
use core::time::Duration;

use super::sim::{Mesh, address, id_of};
use super::sim_nat::{Gateway, Kind};
use super::*;
use crate::wire::kind;

/// One-way delay of the networks here, in microseconds.
const LINK: (u64, u64) = (50_000, 50_000);
/// Public nodes.
const PUBLIC: u32 = 14;
const KINDS: [Option<Kind>; 5] =
    [None, Some(Kind::FullCone), Some(Kind::Address), Some(Kind::Port), Some(Kind::Symmetric)];

/// A node at home: its address there, and the NAT before it.
fn at_home(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 168, number, 2], 5004))
}

/// Adds a node behind a NAT of `kind`; where it is.
fn add_home(mesh: &mut Mesh, number: u8, kind: Option<Kind>, id: NodeId) -> SocketAddr {
    let outer = SocketAddr::from(([198, 19, 200 + number, 1], 5004));
    let at = if kind.is_some() { at_home(number) } else { outer };
    mesh.gateways.extend(kind.map(|kind| (at, Gateway::new(kind, outer.ip()))));
    mesh.add_with(at, RoutingConfig::new(id));
    mesh.join(at, &[address(0)]);
    at
}

/// Two nodes behind NATs in a network of public ones, far from each other in the space of IDs, joined long ago.
fn two_homes(seed: u64, caller: Option<Kind>, callee: Option<Kind>) -> (Mesh, SocketAddr, SocketAddr) {
    let mut mesh = Mesh::joined(seed, PUBLIC);
    mesh.delay = LINK;
    let a = add_home(&mut mesh, 1, caller, NodeId([0x00; 20]));
    let b = add_home(&mut mesh, 2, callee, NodeId([0xff; 20]));
    mesh.run_for(Duration::from_secs(120));
    (mesh, a, b)
}

fn mark(event: &RoutingEvent, punched: u64) -> &'static str {
    match event {
        RoutingEvent::Found { .. } if punched > 0 => "punched",
        RoutingEvent::Found { .. } => "direct",
        RoutingEvent::NotFound { why: Missing::NeedsRelay, .. } => "relay",
        _ => "-",
    }
}

/// Whether two NATs leave no way: each lets in only whom it has sent to, and neither port can be foreseen.
fn is_hopeless(a: Option<Kind>, b: Option<Kind>) -> bool {
    let strict = |kind| matches!(kind, Some(Kind::Port | Kind::Symmetric));
    strict(a) && strict(b) && (a == Some(Kind::Symmetric) || b == Some(Kind::Symmetric))
}

#[test]
fn everything_but_symmetric_with_symmetric_or_port_restricted_connects() {
    println!("caller \\ callee     open       full cone  address    port       symmetric");
    for caller in KINDS {
        let mut line = format!("{:<19}", caller.map_or("open".into(), |kind| format!("{kind:?}")));
        for callee in KINDS {
            let (mut mesh, a, b) = two_homes(1, caller, callee);
            let target = mesh.nodes[&b].config.node_id;
            let (event, took) = mesh.find_to_end(a, target);
            let outcome = mark(&event, mesh.status(a).punched);
            line += &format!("{:<8}{:>4} ms ", outcome, took.as_millis());
            let expected = if is_hopeless(caller, callee) { "relay" } else { outcome };
            assert!(outcome == expected && outcome != "-", "{caller:?} to {callee:?}: {event:?}");
            assert!(is_hopeless(caller, callee) || outcome != "relay", "{caller:?} to {callee:?}: {event:?}");
            assert!(took <= Duration::from_secs(if outcome == "relay" { 5 } else { 1 }), "{took:?}");
        }
        println!("{line}");
    }
}

/// Finds with some loss: the share that succeeded.
fn success_at_loss(loss: u64, caller: Kind, callee: Kind) -> (u32, Duration) {
    let (mut found, mut slowest) = (0, Duration::ZERO);
    let (mut mesh, a, b) = two_homes(2, Some(caller), Some(callee));
    let target = mesh.nodes[&b].config.node_id;
    mesh.loss = loss;
    for _ in 0..20 {
        let (event, took) = mesh.find_to_end(a, target);
        found += u32::from(matches!(event, RoutingEvent::Found { .. }));
        slowest = slowest.max(took);
        mesh.run_for(Duration::from_secs(90));
    }
    (found, slowest)
}

#[test]
fn holes_are_punched_at_ten_percent_loss() {
    let (found, slowest) = success_at_loss(10, Kind::Port, Kind::Port);
    println!("10 % loss: {found} of 20, slowest {slowest:?}");
    assert!(found >= 19, "{found}");
}

#[test]
fn each_kind_of_nat_is_recognised() {
    for (kind, expected) in
        KINDS.into_iter().zip([NatKind::Open, NatKind::Cone, NatKind::Cone, NatKind::Cone, NatKind::Symmetric])
    {
        let mut mesh = Mesh::joined(3, PUBLIC);
        let at = add_home(&mut mesh, 1, kind, NodeId([0; 20]));
        mesh.with(at, |node, _, _| node.set_local(&[at.ip()]));
        mesh.run_for(Duration::from_secs(60));
        let status = mesh.status(at);
        assert_eq!((status.nat_v4, status.nat_v6), (expected, NatKind::Unknown), "{kind:?}");
        assert_eq!(status.observed.is_some(), expected != NatKind::Symmetric);
        assert_eq!(status.observed_v4.map(|seen| seen.ip()), Some(IpAddr::from([198, 19, 201, 1])));
    }
}

#[test]
fn a_nat_that_loses_power_is_still_a_cone_and_the_peer_is_found_again() {
    let (mut mesh, a, b) = two_homes(4, Some(Kind::Port), Some(Kind::Port));
    mesh.gateways.get_mut(&b).unwrap().restart();
    mesh.run_for(Duration::from_secs(100));
    assert_eq!(mesh.status(b).nat_v4, NatKind::Cone);
    let target = mesh.nodes[&b].config.node_id;
    let (event, _) = mesh.find_to_end(a, target);
    assert!(matches!(event, RoutingEvent::Found { .. }), "{event:?}");
}

#[test]
fn four_neighbours_hear_from_us_every_25_seconds_and_no_more_often_than_needed() {
    let mut mesh = Mesh::joined(5, 30);
    mesh.run_for(Duration::from_secs(300));
    let at = address(7);
    let warm = mesh.nodes[&at].warm.ids();
    let mut closest: Vec<NodeId> = (0..30).map(|number| id_of(address(number))).filter(|id| *id != id_of(at)).collect();
    closest.sort_by_key(|id| id.distance(&id_of(at)));
    assert_eq!(warm, closest[..4]);
    let neighbours: Vec<SocketAddr> = (0..30).map(address).filter(|other| warm.contains(&id_of(*other))).collect();
    let mut last: BTreeMap<SocketAddr, Instant> = neighbours.iter().map(|to| (*to, mesh.now)).collect();
    mesh.records = true;
    let (end, mut pings) = (mesh.now + Duration::from_secs(1_000), 0);
    while mesh.now < end {
        mesh.step();
        for sent in core::mem::take(&mut mesh.sent).iter().filter(|sent| sent.from == at) {
            if let Some(last) = last.get_mut(&sent.to) {
                assert!(mesh.now.since(*last) <= Duration::from_secs(25), "{:?}", mesh.now.since(*last));
                *last = mesh.now;
                pings += u32::from(sent.datagram[0] == kind::PING);
            }
        }
    }
    assert!((80..=4 * 50 + 40).contains(&pings), "{pings}");
}

#[test]
fn the_next_neighbour_takes_the_place_of_a_dead_one_within_seconds_of_its_silence() {
    let mut mesh = Mesh::joined(6, 30);
    let at = address(7);
    let warm = mesh.nodes[&at].warm.ids();
    let dead = (0..30).map(address).find(|other| id_of(*other) == warm[0]).unwrap();
    mesh.remove(dead);
    mesh.run_for(Duration::from_secs(28));
    let now = mesh.nodes[&at].warm.ids();
    assert_eq!((now.len(), now.contains(&warm[0])), (4, false));
    assert!(warm[1..].iter().all(|id| now.contains(id)));
}

#[test]
fn an_idle_daemon_costs_less_than_one_packet_per_second() {
    let mut mesh = Mesh::joined(7, 64);
    mesh.run_for(Duration::from_secs(900));
    mesh.records = true;
    mesh.run_for(Duration::from_secs(3_600));
    let sent = mesh.sent.len() as f64 / 64.0 / 3_600.0;
    let bytes: usize = mesh.sent.iter().map(|sent| sent.datagram.len()).sum();
    println!("idle, 64 nodes: {:.3} packets per node and second, {} bytes", 2.0 * sent, 2 * bytes / 64 / 3_600);
    let kinds = |kind: u8| mesh.sent.iter().filter(|sent| sent.datagram[0] == kind).count() / 64;
    println!("{} ROUTE_REQ and {} PING per node and hour", kinds(kind::ROUTE_REQ), kinds(kind::PING));
    assert!(2.0 * sent < 0.8, "{sent}");
}

#[test]
fn invites_name_only_nodes_that_anybody_can_reach() {
    let mut mesh = Mesh::joined(8, PUBLIC);
    let homes: Vec<SocketAddr> = (1..=10)
        .map(|number| add_home(&mut mesh, number, Some(Kind::Port), NodeId(Random::seeded(u64::from(number)).bytes())))
        .collect();
    mesh.run_for(Duration::from_secs(3_600));
    for at in (0..PUBLIC).map(address).chain(homes) {
        let named = mesh.nodes[&at].verified_public(mesh.now());
        assert_eq!(named.len(), 3, "{at}");
        assert!(named.iter().all(|(id, at)| id_of(*at) == *id && (0..PUBLIC).any(|number| address(number) == *at)));
        assert!(mesh.nodes[&at].public.len() <= 16);
    }
}
