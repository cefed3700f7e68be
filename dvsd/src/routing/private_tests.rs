// SPDX-License-Identifier: GPL-3.0-or-later
//! Private searches: what those who are asked see, and what it costs not to tell them. The figures are printed with
//! `cargo test -p dvsd --lib private -- --nocapture`.

use super::*;
use crate::crypto::identity::{Identity, KeyKind};
use crate::routing::sim::address;
use crate::wire::routing::flag;

/// A network of `count` nodes with keys that search privately and have joined through the first one.
fn private_network(count: u32) -> Mesh {
    let mut mesh = Mesh::new(1);
    for number in 0..count {
        let identity = Identity::generate(KeyKind::Ed25519, &mut Random::seeded(u64::from(number))).unwrap();
        let config = RoutingConfig::new(identity.public().id());
        let identity = Some(Arc::new(identity));
        mesh.add_with(address(number), RoutingConfig { identity, private_lookups: true, ..config });
        mesh.join(address(number), &[address(0)]);
        mesh.run_for(Duration::from_millis(20));
    }
    mesh.run_for(Duration::from_secs(120));
    mesh
}

fn id_at(mesh: &Mesh, number: u32) -> NodeId {
    mesh.nodes[&address(number)].config.node_id
}

/// The IDs in a request: who asks, and for whom.
fn named(message: &Message) -> Option<(NodeId, Option<NodeId>)> {
    match message {
        Message::RouteReq { origin, target, .. } | Message::PunchReq { origin, target, .. } => {
            Some((*origin, Some(*target)))
        }
        Message::Ping { origin, .. } | Message::ProofReq { origin, .. } => Some((*origin, None)),
        _ => None,
    }
}

/// What all nodes together see of the searches of one. Not a single request names the target, neither to those who
/// know it nor to itself. Those about it bear another name than that of the searcher, a new one for each search, and say
/// that it is not to be stored. What the searcher sends in its own name meanwhile is what it always does for its table:
/// questions for its own ID and random ones, and PINGs.
#[test]
fn f25_nobody_who_is_asked_learns_whom_a_private_search_is_for_or_who_searches() {
    const NODES: u32 = 300;
    let mut mesh = private_network(NODES);
    let (mut aliases, mut asked) = (BTreeMap::new(), 0);
    mesh.records = true;
    for number in 0..NODES {
        let (at, peer) = (address(number), (number * 7 + 13) % NODES);
        if peer == number {
            continue;
        }
        let (own, target) = (id_at(&mesh, number), id_at(&mesh, peer));
        let was_known = mesh.nodes[&at].table.find(&target).is_some();
        mesh.sent.clear();
        let (event, _) = mesh.find_to_end(at, target);
        assert!(matches!(event, RoutingEvent::Found { .. }), "{number}: {event:?}");
        let mut met = Vec::new();
        for sent in mesh.sent.iter().filter(|sent| sent.from == at) {
            let packet = Packet::parse(&sent.datagram).unwrap();
            let Some((origin, of)) = named(&packet.message) else { continue };
            assert_ne!(of, Some(target), "{number}: {packet:?}");
            let is_hidden = packet.flags & flag::READ_ONLY != 0;
            assert_eq!(is_hidden, origin != own, "{number}: {packet:?}");
            if of.is_some_and(|of| of != own && of.distance(&target).shared_bits() >= 8) || sent.to == address(peer) {
                assert!(is_hidden || was_known, "{number}: {packet:?}");
            }
            let is_proof_req = matches!(packet.message, Message::ProofReq { .. });
            assert!(!(is_proof_req && met.contains(&sent.to)), "{number}: {packet:?}");
            if is_hidden {
                met.push(sent.to);
                let searcher = aliases.entry(origin).or_insert(number);
                assert_eq!(*searcher, number, "a name of another search");
                asked += u32::from(of.is_some());
            }
        }
    }
    mesh.run_for(Duration::from_secs(30));
    assert!(asked > NODES && aliases.len() > 200, "{asked} requests, {} names", aliases.len());
    let is_stored = |alias: &NodeId| mesh.nodes.values().any(|node| node.table.find(alias).is_some());
    assert!(!aliases.keys().any(is_stored), "a made-up name is in a table");
}

/// Networks of which only the searcher is real, asked privately and openly.
#[test]
fn f25_private_searches_cost_hardly_more_than_plain_ones() {
    for (count, samples) in [(300, 300), (1_000, 300), (10_000, 300), (100_000, 300)] {
        for paths in [1, 3] {
            let [plain, private] = [false, true].map(|is_private| {
                let mut world = World { is_private, ..World::new(1, count) };
                many(&mut world, paths, samples, |_| {})
            });
            for (name, means) in [("plain", &plain), ("private", &private)] {
                println!(
                    "{count} nodes, {paths} paths, {name}: {:.1} % found, {:.2} rounds, {:.2} requests until named, {:.2} in all, p50 {:?}, p95 {:?}",
                    100.0 * means.success,
                    means.rounds,
                    means.requests,
                    means.all,
                    means.time(50),
                    means.time(95)
                );
            }
            assert!(private.success >= 1.0, "{count} nodes, {paths} paths: {}", private.success);
            assert!(private.rounds <= 1.2 * plain.rounds + 0.1, "{} {}", private.rounds, plain.rounds);
            assert!(private.all <= 1.3 * plain.all + 0.5, "{} {}", private.all, plain.all);
        }
    }
}

/// The most bits of `target` that any request from `at` shows.
fn shown(mesh: &mut Mesh, at: SocketAddr, target: NodeId) -> (Outcome, u32) {
    mesh.records = true;
    let mut most = 0;
    let (started, mut outcome) = (mesh.now, Outcome::default());
    mesh.find(at, target, &[]);
    loop {
        for sent in core::mem::take(&mut mesh.sent) {
            let packet = Packet::parse(&sent.datagram).unwrap();
            if let Some((_, Some(of))) = named(&packet.message).filter(|_| packet.flags & flag::READ_ONLY != 0) {
                most = most.max(of.distance(&target).shared_bits());
                outcome.all += 1;
            }
        }
        outcome.took = mesh.now.since(started);
        match mesh.take_events(at).first() {
            Some(RoutingEvent::Found { .. }) => return (Outcome { is_found: true, ..outcome }, most),
            Some(RoutingEvent::NotFound { .. }) => return (outcome, most),
            _ => mesh.step(),
        }
    }
}

/// Somebody who has just joined takes the network for a small one and shows too little: more is shown until the target
/// is named, and never all.
#[test]
fn f25_who_thinks_the_network_small_shows_more_only_until_the_peer_is_named() {
    const KNOWN: usize = 4;
    let mut world = World { is_private: true, ..World::new(6, 50_000) };
    let (mut all, mut most) = (0, 0);
    for sample in 0..40 {
        let (from, to) = (world.honest(), world.honest());
        let (mut mesh, at) = world.searcher(from, 3, sample);
        let node = mesh.nodes.get_mut(&at).unwrap();
        let known: Vec<NodeId> =
            node.table.closest(&world.ids[from], usize::MAX, &|_| true).iter().map(|c| c.id).collect();
        known.iter().take(known.len() - KNOWN).for_each(|id| node.table.remove(id));
        assert!(node.table.network_size() <= KNOWN as u64 + 1);
        let (outcome, shown) = shown(&mut mesh, at, world.ids[to]);
        assert!(outcome.is_found, "{sample}: {outcome:?}");
        (all, most) = (all + outcome.all, most.max(shown));
    }
    println!("50000 nodes taken for 5: {} requests each, at most {most} bits shown", all / 40);
    assert!(most < 40, "{most} bits");
}

/// Whoever is not there is not given away either.
#[test]
fn f25_a_private_search_for_nobody_ends_soon_and_shows_no_more() {
    let mut world = World { is_private: true, ..World::new(5, 100_000) };
    let (mut all, mut most, mut longest) = (0, 0, Duration::ZERO);
    for sample in 0..40 {
        let from = world.honest();
        let (mut mesh, at) = world.searcher(from, 3, sample);
        let (outcome, shown) = shown(&mut mesh, at, NodeId(world.random.bytes()));
        assert!(!outcome.is_found && outcome.all <= 120, "{outcome:?}");
        (all, most, longest) = (all + outcome.all, most.max(shown), longest.max(outcome.took));
    }
    println!("nobody: {} requests each, at most {most} bits shown, {longest:?} at most", all / 40);
    assert!(most < 40 && longest < Duration::from_secs(6), "{most} bits, {longest:?}");
}

#[test]
fn f25_a_fifth_of_the_network_lying_does_not_keep_a_private_search_from_the_true_peer() {
    for attack in [Attack::Claim, Attack::Dead, Attack::Hide, Attack::Poison, Attack::Silence, Attack::Mixed] {
        let mut world = World { attackers: 20, attack, is_private: true, ..World::new(3, 100_000) };
        let means = many(&mut world, 3, 60, |_| {});
        println!(
            "{attack:?}, private: {:.1} % found, {:.1} requests, p50 {:?}, p95 {:?}",
            100.0 * means.success,
            means.all,
            means.time(50),
            means.time(95)
        );
        assert!(means.success >= 0.95, "{attack:?}: {}", means.success);
    }
}
