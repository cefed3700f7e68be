// SPDX-License-Identifier: GPL-3.0-or-later
use core::time::Duration;

use super::sim::{Mesh, address, id_of, loopback};
use super::*;
use crate::wire::kind;

fn found(event: &RoutingEvent) -> Option<&[(SocketAddr, Duration)]> {
    match event {
        RoutingEvent::Found { addresses, .. } => Some(addresses),
        _ => None,
    }
}

/// Lets `samples` random pairs of a mesh find each other; the share that succeeded, the mean time, and the mean number
/// of requests per find.
fn sample(mesh: &mut Mesh, count: u32, samples: u32) -> (f64, Duration, f64) {
    let (mut successes, mut time, mut requests) = (0, Duration::ZERO, 0);
    for _ in 0..samples {
        let from = address(mesh.random.below(u64::from(count)) as u32);
        let to = address(mesh.random.below(u64::from(count)) as u32);
        if from == to {
            successes += 1;
            continue;
        }
        let before = mesh.status(from).requests;
        let (event, took) = mesh.find_to_end(from, id_of(to));
        requests += mesh.status(from).requests - before;
        time += took;
        successes += u32::from(found(&event).is_some_and(|addresses| addresses[0].0 == to));
    }
    (f64::from(successes) / f64::from(samples), time / samples, requests as f64 / f64::from(samples))
}

#[test]
fn every_node_of_a_small_network_finds_every_other() {
    let mut mesh = Mesh::joined(1, 50);
    for from in 0..50 {
        for to in (0..50).filter(|to| *to != from).step_by(7) {
            let (event, _) = mesh.find_to_end(address(from), id_of(address(to)));
            let addresses = found(&event).unwrap_or_else(|| panic!("{from} does not find {to}"));
            assert_eq!(addresses[0].0, address(to));
        }
    }
}

#[test]
fn finds_in_a_larger_network_take_few_rounds_and_messages() {
    let mut mesh = Mesh::joined(2, 200);
    let (success, time, requests) = sample(&mut mesh, 200, 200);
    println!("200 nodes: {success} in {time:?} with {requests} requests");
    assert_eq!(success, 1.0);
    assert!(requests <= 6.0, "{requests}");
    assert!(time <= Duration::from_millis(250), "{time:?}");
}

#[test]
fn finds_succeed_at_twenty_percent_loss() {
    let mut mesh = Mesh::joined(3, 80);
    mesh.loss = 20;
    mesh.run_for(Duration::from_secs(60));
    let (success, time, requests) = sample(&mut mesh, 80, 300);
    println!("20 % loss: {success} in {time:?} with {requests} requests");
    assert!(success >= 0.99, "{success}");
}

#[test]
fn a_network_forms_at_twenty_percent_loss() {
    let mut mesh = Mesh::new(4);
    mesh.loss = 20;
    mesh.add(address(0));
    for number in 1..60 {
        mesh.add(address(number));
        mesh.join(address(number), &[address(0)]);
    }
    mesh.run_for(Duration::from_secs(120));
    let (success, ..) = sample(&mut mesh, 60, 200);
    assert!(success >= 0.99, "{success}");
}

#[test]
fn finds_succeed_when_a_third_of_the_network_just_died() {
    let mut mesh = Mesh::joined(5, 90);
    (60..90).for_each(|number| mesh.remove(address(number)));
    let (success, time, requests) = sample(&mut mesh, 60, 150);
    println!("a third dead: {success} in {time:?} with {requests} requests");
    assert!(success >= 0.99, "{success}");
}

#[test]
fn a_find_for_an_absent_node_ends() {
    let mut mesh = Mesh::joined(6, 60);
    let (event, took) = mesh.find_to_end(address(7), NodeId([0x77; 20]));
    assert_eq!(event, RoutingEvent::NotFound { target: NodeId([0x77; 20]), why: Missing::Unknown });
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn on_loopback_three_daemons_find_each_other_in_a_few_milliseconds() {
    let mut mesh = Mesh::new(7);
    mesh.delay = (50, 60);
    let [a, b, c] = [0, 1, 2].map(loopback);
    _ = [a, b, c].map(|at| mesh.add(at));
    mesh.join(b, &[a]);
    mesh.join(c, &[a]);
    mesh.run_for(Duration::from_millis(20));
    for (from, to) in [(a, b), (a, c), (b, a), (b, c), (c, a), (c, b)] {
        let (event, took) = mesh.find_to_end(from, id_of(to));
        assert_eq!(found(&event).map(|addresses| addresses[0].0), Some(to));
        assert!(took < Duration::from_millis(2), "{took:?}");
    }
}

#[test]
fn a_find_started_with_the_daemon_succeeds_as_soon_as_it_has_joined() {
    let mut mesh = Mesh::joined(8, 30);
    mesh.add(address(500));
    mesh.join(address(500), &[address(0)]);
    let (event, took) = mesh.find_to_end(address(500), id_of(address(20)));
    assert_eq!(found(&event).map(|addresses| addresses[0].0), Some(address(20)));
    assert!(took < Duration::from_millis(600), "{took:?}");
}

#[test]
fn a_hint_is_probed_at_once_even_without_a_network() {
    let mut mesh = Mesh::new(9);
    let [a, b] = [0, 1].map(loopback);
    mesh.delay = (50, 60);
    _ = [a, b].map(|at| mesh.add(at));
    mesh.find(a, id_of(b), &[b]);
    mesh.run_for(Duration::from_millis(1));
    let events = mesh.take_events(a);
    assert!(events.iter().any(|event| found(event).is_some_and(|addresses| addresses[0].0 == b)), "{events:?}");
    assert!(events.contains(&RoutingEvent::Online));
}

#[test]
fn offline_a_find_fails_soon_and_says_so() {
    for seeds in [vec![], vec![address(99)]] {
        let mut mesh = Mesh::new(10);
        let id = mesh.add(address(1));
        assert_eq!(id, id_of(address(1)));
        mesh.join(address(1), &seeds);
        mesh.run_for(Duration::from_secs(40));
        for _ in 0..3 {
            let (event, took) = mesh.find_to_end(address(1), NodeId([7; 20]));
            assert_eq!(event, RoutingEvent::NotFound { target: NodeId([7; 20]), why: Missing::Offline });
            assert!(took <= Duration::from_secs(3), "{took:?}");
        }
    }
}

#[test]
fn joining_is_retried_until_somebody_answers() {
    let mut mesh = Mesh::new(11);
    mesh.records = true;
    mesh.add(address(1));
    mesh.join(address(1), &[address(0)]);
    mesh.run_for(Duration::from_secs(300));
    assert!((8..=16).contains(&mesh.sent.len()), "{}", mesh.sent.len());
    mesh.add(address(0));
    mesh.run_for(Duration::from_secs(70));
    assert!(mesh.take_events(address(1)).contains(&RoutingEvent::Online));
    assert_eq!((mesh.status(address(0)).nodes, mesh.status(address(1)).nodes), (1, 1));
}

#[test]
fn bootstrap_nodes_that_are_named_one_after_the_other_are_all_asked_at_once() {
    let mut mesh = Mesh::new(17);
    mesh.records = true;
    mesh.add(address(1));
    for seed in [0, 2, 3].map(address) {
        mesh.join(address(1), &[seed]);
        assert_eq!(mesh.sent.iter().filter(|datagram| datagram.to == seed).count(), 1);
    }
    assert_eq!(mesh.sent.len(), 3, "and nobody twice");
}

#[test]
fn two_finds_of_one_node_share_their_requests() {
    let mut mesh = Mesh::joined(12, 60);
    let (at, target) = (address(3), NodeId([0x55; 20]));
    mesh.find(at, target, &[]);
    let once = mesh.status(at).requests;
    mesh.find(at, target, &[]);
    assert_eq!(mesh.status(at).requests, once);
    mesh.run_for(Duration::from_secs(10));
    let ended = |event: &&RoutingEvent| matches!(event, RoutingEvent::NotFound { .. });
    assert_eq!(mesh.take_events(at).iter().filter(ended).count(), 1);
}

#[test]
fn a_find_beside_other_lookups_keeps_its_budget_and_takes_what_they_learn() {
    let mut mesh = Mesh::joined(12, 60);
    let at = address(500);
    mesh.add(at);
    mesh.join(at, &[address(0)]);
    mesh.find(at, id_of(address(20)), &[]);
    mesh.find(at, NodeId([0x55; 20]), &[]);
    let mut most = 0;
    let started = mesh.now;
    while mesh.now.since(started) < Duration::from_secs(20) {
        most = most.max(mesh.nodes[&at].lookups.values().map(lookup::Lookup::requests).max().unwrap_or(0));
        mesh.step();
    }
    let events = mesh.take_events(at);
    assert!(events.iter().any(|event| found(event).is_some_and(|addresses| addresses[0].0 == address(20))));
    let why = Missing::Unknown;
    assert!(events.contains(&RoutingEvent::NotFound { target: NodeId([0x55; 20]), why }), "{events:?}");
    assert!(most <= lookup::BUDGET, "{most}");
    assert_eq!((mesh.status(at).lookups, mesh.status(at).found, mesh.status(at).not_found), (0, 1, 1));
}

/// The target joins through the searcher itself: nobody else has heard of it yet.
#[test]
fn a_peer_that_is_met_while_it_is_searched_for_is_found() {
    let mut mesh = Mesh::joined(23, 30);
    let (at, late) = (address(3), address(500));
    mesh.find(at, id_of(late), &[]);
    mesh.add(late);
    mesh.join(late, &[at]);
    mesh.run_for(Duration::from_secs(2));
    let events = mesh.take_events(at);
    assert!(events.iter().any(|event| found(event).is_some_and(|addresses| addresses[0].0 == late)), "{events:?}");
}

#[test]
fn a_found_peer_is_searched_for_until_the_search_is_cancelled_and_told_once() {
    let mut mesh = Mesh::joined(24, 60);
    let (at, target) = (address(3), id_of(address(9)));
    mesh.find(at, target, &[]);
    mesh.run_for(Duration::from_millis(900));
    assert_eq!(mesh.take_events(at).iter().filter(|event| found(event).is_some()).count(), 1);
    let rested = mesh.status(at).requests;
    mesh.run_for(Duration::from_secs(17));
    assert!(mesh.status(at).requests > rested, "it goes on by itself");
    let why = Missing::Unreachable;
    assert_eq!(mesh.take_events(at), [RoutingEvent::NotFound { target, why }], "nothing is told twice");
    assert!(!mesh.nodes[&at].is_searching(target));
    assert_eq!((mesh.status(at).found, mesh.status(at).not_found), (1, 0));
}

#[test]
fn a_peer_that_is_known_but_silent_is_unreachable() {
    let mut mesh = Mesh::joined(25, 30);
    let gone = address(9);
    mesh.remove(gone);
    let (event, _) = mesh.find_to_end(address(3), id_of(gone));
    assert_eq!(event, RoutingEvent::NotFound { target: id_of(gone), why: Missing::Unreachable });
}

#[test]
fn a_cancelled_find_reports_nothing() {
    let mut mesh = Mesh::joined(13, 20);
    mesh.take_events(address(3));
    mesh.find(address(3), id_of(address(9)), &[]);
    mesh.with(address(3), |node, _, _| node.cancel(id_of(address(9))));
    mesh.run_for(Duration::from_secs(5));
    assert_eq!(mesh.take_events(address(3)), []);
    assert_eq!(mesh.status(address(3)).lookups, 0);
}

#[test]
fn a_node_that_leaves_is_noticed() {
    let mut mesh = Mesh::joined(14, 12);
    let gone = id_of(address(5));
    mesh.remove(address(5));
    assert!(mesh.nodes.values().all(|node| node.table.find(&gone).is_some()));
    mesh.run_for(Duration::from_secs(20 * 60));
    assert!(mesh.nodes.values().all(|node| node.table.find(&gone).is_none()));
    assert!(mesh.nodes.keys().all(|at| mesh.status(*at).good == 10));
}

#[test]
fn a_node_that_moves_is_found_again() {
    let mut mesh = Mesh::joined(15, 30);
    let (old, new) = (address(5), address(600));
    let node = mesh.nodes.remove(&old).unwrap();
    mesh.remove(old);
    mesh.nodes.insert(new, node);
    mesh.with(new, |_, _, _| {});
    mesh.run_for(Duration::from_secs(180));
    let (event, _) = mesh.find_to_end(address(9), id_of(old));
    assert_eq!(found(&event).map(|addresses| addresses[0].0), Some(new));
}

#[test]
fn losing_everybody_is_noticed_and_mended() {
    let mut mesh = Mesh::joined(16, 10);
    mesh.take_events(address(5));
    mesh.loss = 100;
    mesh.run_for(Duration::from_secs(600));
    assert_eq!(mesh.take_events(address(5)), [RoutingEvent::Offline]);
    assert!(!mesh.status(address(5)).online);
    mesh.loss = 0;
    mesh.run_for(Duration::from_secs(70));
    assert_eq!(mesh.take_events(address(5)), [RoutingEvent::Online]);
    assert_eq!(mesh.status(address(5)).nodes, 9);
}

#[test]
fn the_observed_address_is_told_once() {
    let mut mesh = Mesh::joined(17, 10);
    let events = mesh.take_events(address(5));
    let observed: Vec<&RoutingEvent> =
        events.iter().filter(|event| matches!(event, RoutingEvent::ObservedChanged(_))).collect();
    assert_eq!(observed, [&RoutingEvent::ObservedChanged(address(5))]);
    assert_eq!(mesh.status(address(5)).observed, Some(address(5)));
}

#[test]
fn a_read_only_node_finds_but_neither_answers_nor_is_stored() {
    let mut mesh = Mesh::joined(18, 20);
    let reader = address(400);
    let config = RoutingConfig { read_only: true, ..RoutingConfig::new(id_of(reader)) };
    mesh.add_with(reader, config);
    mesh.join(reader, &[address(0)]);
    mesh.run_for(Duration::from_secs(30));
    let (event, _) = mesh.find_to_end(reader, id_of(address(9)));
    assert!(found(&event).is_some());
    assert!(mesh.nodes.values().all(|node| node.table.find(&id_of(reader)).is_none()));
}

#[test]
fn an_idle_network_is_quiet() {
    let mut mesh = Mesh::joined(19, 50);
    mesh.run_for(Duration::from_secs(600));
    mesh.records = true;
    mesh.run_for(Duration::from_secs(3_600));
    let bytes: usize = mesh.sent.iter().map(|sent| sent.datagram.len()).sum();
    let per_node = bytes / 50 / 3_600;
    let kinds = |kind: u8| mesh.sent.iter().filter(|sent| sent.datagram[0] == kind).count() / 50;
    println!("{per_node} bytes/s, {} ROUTE_REQ, {} PING per node and hour", kinds(kind::ROUTE_REQ), kinds(kind::PING));
    assert!(per_node < 100, "{per_node}");
}

#[test]
fn the_same_seed_repeats_a_run_byte_for_byte() {
    let run = || {
        let mut mesh = Mesh::new(20);
        mesh.records = true;
        mesh.loss = 10;
        for number in 0..15 {
            mesh.add(address(number));
            mesh.join(address(number), &[address(0)]);
        }
        mesh.run_for(Duration::from_secs(30));
        mesh.sent.into_iter().map(|sent| sent.datagram).collect::<Vec<_>>()
    };
    assert!(run() == run());
}

#[test]
fn a_network_of_ipv6_nodes_works_as_well() {
    let mut mesh = Mesh::new(21);
    let at = |number: u16| SocketAddr::from(([0x2001, 0xdb8, number, 0, 0, 0, 0, 1], 5004));
    let id = |number: u16| NodeId(Random::seeded(u64::from(number)).bytes());
    for number in 0..25 {
        mesh.add_with(at(number), RoutingConfig { ipv4: false, ..RoutingConfig::new(id(number)) });
        mesh.join(at(number), &[at(0)]);
    }
    mesh.run_for(Duration::from_secs(30));
    for number in 1..24 {
        let (event, _) = mesh.find_to_end(at(number), id(number + 1));
        assert_eq!(found(&event).map(|addresses| addresses[0].0), Some(at(number + 1)));
    }
}

#[test]
fn all_timers_move_on_when_a_suspended_machine_wakes() {
    let mut mesh = Mesh::joined(22, 20);
    mesh.now = mesh.now + Duration::from_secs(5 * 24 * 3_600);
    mesh.run_for(Duration::from_secs(120));
    let (event, _) = mesh.find_to_end(address(3), id_of(address(9)));
    assert!(found(&event).is_some(), "{event:?}");
}

/// The other network's node is far away: the own network has long said all it knows when it answers.
#[test]
fn a_find_waits_for_another_network_that_is_just_being_joined() {
    let mut mesh = Mesh::joined(27, 5);
    let (at, far, target) = (address(2), address(700), address(701));
    mesh.add(far);
    mesh.add(target);
    mesh.join(target, &[far]);
    mesh.run_for(Duration::from_secs(5));
    mesh.delay = (300_000, 310_000);
    mesh.join(at, &[far]);
    mesh.delay = (1_000, 2_000);
    let (event, _) = mesh.find_to_end(at, id_of(target));
    assert!(found(&event).is_some(), "{event:?}");
}
