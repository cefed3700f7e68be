// SPDX-License-Identifier: GPL-3.0-or-later
//! How well lookups do: rounds and messages beside the ideal, dead nodes, loss, liars. Figures are printed; see them
//! with `cargo test -p dvsd --lib finding_tests -- --nocapture`.

use core::time::Duration;
use std::collections::BTreeMap;

use super::sim::{Mesh, address, id_of};
use super::*;

/// What one search cost until the target was named.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    /// Depth of the response that named the target; zero if the own table did.
    rounds: u32,
    /// ROUTE_REQ sent until then.
    requests: u32,
}

/// Searches from `at` for `target` until it is found, and sees what that costs.
fn cost(mesh: &mut Mesh, at: SocketAddr, target: NodeId) -> Option<Cost> {
    if mesh.nodes[&at].table.find(&target).is_some() {
        return Some(Cost::default());
    }
    (mesh.records, mesh.sent, mesh.arrived) = (true, Vec::new(), Vec::new());
    let own = mesh.nodes[&at].table.closest(&target, 20, &|_| true);
    let mut told: BTreeMap<SocketAddr, u32> = own.iter().map(|contact| (contact.address, 0)).collect();
    let (started, mut requests) = (mesh.now, 0);
    mesh.find(at, target, &[]);
    let mut named = None;
    while named.is_none() && mesh.now.since(started) < Duration::from_secs(20) {
        for sent in core::mem::take(&mut mesh.arrived).into_iter().filter(|sent| sent.to == at) {
            let Ok(Packet { message: Message::RouteRes { target: of, entries, .. }, .. }) =
                Packet::parse(&sent.datagram)
            else {
                continue;
            };
            let depth = told.get(&sent.from).copied().unwrap_or(0) + 1;
            if of == target && entries.iter().any(|entry| entry.id == target) {
                named = Some(Cost { rounds: depth, requests });
            }
            entries.iter().for_each(|entry| _ = *told.entry(entry.address).or_insert(depth));
        }
        for sent in core::mem::take(&mut mesh.sent).into_iter().filter(|sent| sent.from == at) {
            let asks = |packet: Packet| matches!(packet.message, Message::RouteReq { target: of, .. } if of == target);
            requests += u32::from(Packet::parse(&sent.datagram).is_ok_and(asks));
        }
        if named.is_none() {
            mesh.step();
        }
    }
    mesh.records = false;
    mesh.with(at, |node, _, _| node.cancel(target));
    named
}

/// Pairs of different nodes.
fn pair(mesh: &mut Mesh, count: u32) -> (SocketAddr, SocketAddr) {
    loop {
        let [from, to] = [0; 2].map(|_| address(mesh.random.below(u64::from(count)) as u32));
        if from != to {
            return (from, to);
        }
    }
}

/// A network of 1000 nodes with full tables.
fn thousand() -> Mesh {
    let spread: Vec<SocketAddr> = (0..1_000).map(address).collect();
    Mesh::filled(1, &spread, RoutingConfig::new)
}

fn set_paths(mesh: &mut Mesh, paths: u8) {
    mesh.nodes.values_mut().for_each(|node| node.config.disjoint_paths = paths);
}

#[test]
fn lookups_take_hardly_more_rounds_and_requests_than_the_ideal() {
    const IDEAL: (f64, f64) = (0.90, 2.7);
    const SAMPLES: u32 = 300;
    let mut mesh = thousand();
    for (name, delay, paths) in [
        ("equal", (30_000, 30_000), 1),
        ("jittered", (10_000, 60_000), 1),
        ("equal", (30_000, 30_000), 3),
        ("jittered", (10_000, 60_000), 3),
    ] {
        mesh.delay = delay;
        set_paths(&mut mesh, paths);
        let (mut rounds, mut requests) = (0, 0);
        for _ in 0..SAMPLES {
            let (from, to) = pair(&mut mesh, 1_000);
            let cost = cost(&mut mesh, from, id_of(to)).expect("not found");
            (rounds, requests) = (rounds + cost.rounds, requests + cost.requests);
        }
        let [rounds, requests] = [rounds, requests].map(|sum| f64::from(sum) / f64::from(SAMPLES));
        println!("{name} delays, {paths} paths: {rounds:.2} rounds, {requests:.2} requests until named");
        assert!(rounds <= 1.3 * IDEAL.0, "{name}, {paths} paths: {rounds}");
        assert!(requests <= 1.5 * IDEAL.1, "{name}, {paths} paths: {requests}");
    }
}
