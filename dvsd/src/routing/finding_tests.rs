// SPDX-License-Identifier: GPL-3.0-or-later
//! How well searches do in networks of up to a million: rounds and requests beside the ideal, dead nodes, loss, liars.
//! The searcher is real, all others are played: each knows twenty random nodes of each of its buckets, as an ideal
//! table would. The figures are printed with `cargo test -p dvsd --lib finding_tests -- --nocapture`.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::sim::{Mesh, Sent};
use super::*;
use crate::wire::routing::{Entry, Token};

#[path = "private_tests.rs"]
mod private;

/// What an attacker does with a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attack {
    /// Names the target at an attacker's address that answers PINGs, and ever nearer inventions that do the same.
    Claim,
    /// Names the target and inventions at addresses where nobody is.
    Dead,
    /// Names ever nearer inventions, at attackers' addresses, that answer in the same way.
    Hide,
    /// Names the true neighbours of the target at attackers' addresses.
    Poison,
    /// Says nothing.
    Silence,
    /// Each attacker another of these.
    Mixed,
}

/// Who else there is.
struct World {
    /// Sorted.
    ids: Arc<Vec<NodeId>>,
    /// Percent of nodes that are gone, though all tables still have them.
    dead: u64,
    /// Percent of nodes that attack, and how.
    attackers: u64,
    attack: Attack,
    /// Whether each attacker has a network of its own; else they share four.
    is_spread: bool,
    /// Whether searches are private.
    is_private: bool,
    /// Whom the attackers invented, by address.
    invented: BTreeMap<SocketAddr, NodeId>,
    random: Random,
}

/// A number for each node that tells nothing of others.
fn lot(index: usize, salt: u64) -> u64 {
    let mixed = (index as u64 ^ (salt << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) % 100
}

impl World {
    fn new(seed: u64, count: usize) -> Self {
        let mut random = Random::seeded(seed);
        let mut ids: Vec<NodeId> = (0..count).map(|_| NodeId(random.bytes())).collect();
        ids.sort_unstable();
        let (attack, invented) = (Attack::Silence, BTreeMap::new());
        let (is_spread, is_private) = (true, false);
        Self { ids: Arc::new(ids), dead: 0, attackers: 0, attack, is_spread, is_private, invented, random }
    }

    fn is_dead(&self, index: usize) -> bool {
        lot(index, 1) < self.dead
    }

    fn attacks(&self, index: usize) -> bool {
        lot(index, 2) < self.attackers
    }

    /// Every node is in a /24 of its own, except for attackers that share four.
    fn address(&self, index: usize) -> SocketAddr {
        if self.attacks(index) && !self.is_spread {
            let [.., high, low] = (index as u32).to_be_bytes();
            return SocketAddr::from(([203, 0, high & 3, low], 20_000 + (index >> 10) as u16));
        }
        SocketAddr::new(core::net::Ipv4Addr::from(0x1000_0001 + 256 * index as u32).into(), 5004)
    }

    fn index(&self, address: SocketAddr) -> Option<usize> {
        let core::net::IpAddr::V4(ip) = address.ip() else { return None };
        let index = match ip.octets() {
            [203, 0, high, low] => {
                let above = usize::from(address.port().checked_sub(20_000)?);
                above << 10 | usize::from(high) << 8 | usize::from(low)
            }
            _ => (u32::from(ip).checked_sub(0x1000_0001)? / 256) as usize,
        };
        (index < self.ids.len() && self.address(index) == address).then_some(index)
    }

    /// The nodes that share at least `bits` bits with `id`.
    fn range(&self, id: &NodeId, bits: usize) -> core::ops::Range<usize> {
        let prefix = |fill: u8| {
            let mut edge = [fill; 20];
            for bit in 0..bits {
                let mask = 0x80 >> (bit % 8);
                edge[bit / 8] = (edge[bit / 8] & !mask) | (id.0[bit / 8] & mask);
            }
            NodeId(edge)
        };
        let (low, high) = (prefix(0), prefix(0xff));
        self.ids.partition_point(|id| *id < low)..self.ids.partition_point(|id| *id <= high)
    }

    /// What the node `owner` knows of those that share at least `bits` bits with `id`, itself not: twenty at most,
    /// of which no more attackers than the rules of diversity let in.
    fn known(&self, owner: usize, id: &NodeId, bits: usize) -> Vec<usize> {
        const CROWDED: usize = 8;
        let range = self.range(id, bits);
        let mut random = Random::seeded((owner as u64) << 16 | bits as u64);
        let (mut known, mut crowded) = (Vec::new(), 0);
        let mut tries = 0;
        while known.len() < 20.min(range.len()) && tries < 400 {
            let all = range.len() <= 40;
            let index = if all { range.start + tries } else { range.start + random.below(range.len() as u64) as usize };
            tries += 1;
            if index >= range.end {
                break;
            }
            let is_crowded = self.attacks(index) && !self.is_spread;
            if index != owner && !known.contains(&index) && !(is_crowded && crowded >= CROWDED) {
                crowded += usize::from(is_crowded);
                known.push(index);
            }
        }
        known
    }

    /// The twenty nodes nearest to `target` that the node `owner` knows.
    fn closest(&self, owner: usize, target: &NodeId) -> Vec<usize> {
        let shared = self.ids[owner].distance(target).shared_bits() as usize;
        let mut nearest = self.known(owner, target, (shared + 1).min(160));
        if nearest.len() < 20 {
            nearest.extend(self.known(owner, target, shared.saturating_sub(3)));
        }
        nearest.sort_by_key(|index| self.ids[*index].distance(target));
        nearest.dedup();
        nearest.truncate(20);
        nearest
    }

    fn answer(&mut self, sent: &Sent) -> Option<Sent> {
        let asked = Packet::parse(&sent.datagram).ok()?;
        let honest = self.index(sent.to).filter(|index| !self.attacks(*index) && !self.is_dead(*index));
        let own = self.index(sent.to).map(|index| self.ids[index]).filter(|_| honest.is_some());
        let attacker = self.index(sent.to).filter(|index| self.attacks(*index)).map(|index| self.ids[index]);
        let responder = own.or_else(|| self.invented.get(&sent.to).copied()).or(attacker)?;
        let (token, observed) = (Token([1; 8]), sent.from);
        let message = match asked.message {
            Message::Ping { .. } => Message::Pong { responder, token, observed },
            Message::RouteReq { target, .. } => {
                let entry = |index| Entry { caps: 0, id: self.ids[index], address: self.address(index) };
                let entries = match honest {
                    Some(index) => self.closest(index, &target).into_iter().map(entry).collect(),
                    None => self.lies(sent.to, responder, target)?,
                };
                Message::RouteRes { responder, target, token, observed, entries }
            }
            _ => return None,
        };
        let datagram = Packet { flags: 0, caps: 0, txid: asked.txid, message }.emit();
        Some(Sent { from: sent.to, to: sent.from, datagram })
    }

    fn lies(&mut self, own: SocketAddr, responder: NodeId, target: NodeId) -> Option<Vec<Entry>> {
        const ALL: [Attack; 5] = [Attack::Claim, Attack::Dead, Attack::Hide, Attack::Poison, Attack::Silence];
        let core::net::IpAddr::V4(ip) = own.ip() else { return None };
        let member = (u32::from(ip) >> 8) as usize;
        let attack = if self.attack == Attack::Mixed { ALL[member % ALL.len()] } else { self.attack };
        let mut ids = Vec::new();
        if matches!(attack, Attack::Claim | Attack::Dead) {
            ids.push(target);
        }
        if attack == Attack::Poison {
            let near = self.range(&target, (usize::ilog2(self.ids.len()) as usize).saturating_sub(4));
            ids.extend(self.ids[near].iter().filter(|id| **id != target).take(20));
        }
        while ids.len() < 20 {
            ids.push(self.nearer(responder, target));
        }
        let entries = ids.into_iter().map(|id| Entry { caps: 0, id, address: self.place(id, attack) });
        (attack != Attack::Silence).then(|| entries.collect())
    }

    /// An ID a few bits nearer to `target` than `responder`.
    fn nearer(&mut self, responder: NodeId, target: NodeId) -> NodeId {
        let shared = (responder.distance(&target).shared_bits() + 1 + self.random.below(4) as u32).clamp(12, 150);
        let mut id = NodeId(self.random.bytes());
        for bit in 0..shared as usize {
            let mask = 0x80 >> (bit % 8);
            id.0[bit / 8] = (id.0[bit / 8] & !mask) | (target.0[bit / 8] & mask);
        }
        id
    }

    /// Where somebody called `id` is said to be: at some attacker's address, or where nobody is.
    fn place(&mut self, id: NodeId, attack: Attack) -> SocketAddr {
        let first = self.random.below(self.ids.len() as u64) as usize;
        let attacker = (first..self.ids.len()).find(|index| self.attacks(*index)).unwrap_or(0);
        let port = 40_000 + self.random.below(20_000) as u16;
        let address = SocketAddr::new(self.address(attacker).ip(), port);
        if attack != Attack::Dead {
            self.invented.insert(address, id);
        }
        address
    }

    /// A node of this world that is neither dead nor attacks.
    fn honest(&mut self) -> usize {
        loop {
            let index = self.random.below(self.ids.len() as u64) as usize;
            if !self.is_dead(index) && !self.attacks(index) {
                return index;
            }
        }
    }

    /// A real node in place of the `index`th, its table filled through the front door; nobody else is real.
    fn searcher(&self, index: usize, paths: u8, seed: u64) -> (Mesh, SocketAddr) {
        const RTT: Duration = Duration::from_millis(70);
        let (at, id, mut mesh) = (self.address(index), self.ids[index], Mesh::new(seed));
        let private_lookups = self.is_private;
        mesh.add_with(at, RoutingConfig { disjoint_paths: paths, private_lookups, ..RoutingConfig::new(id) });
        for bucket in 0..30 {
            let mut other = id;
            other.0[bucket / 8] ^= 0x80 >> (bucket % 8);
            for known in self.known(index, &other, bucket + 1) {
                let now = mesh.now;
                let sighting =
                    Sighting { id: self.ids[known], address: self.address(known), caps: 0, rtt: RTT, proven: true };
                mesh.nodes.get_mut(&at).unwrap().table.verified(&sighting, now);
            }
        }
        let mut world =
            Self { ids: Arc::clone(&self.ids), invented: BTreeMap::new(), random: Random::seeded(seed), ..*self };
        mesh.outsiders = Some(Box::new(move |sent| world.answer(sent).into_iter().collect()));
        (mesh, at)
    }
}

/// What one search came to.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    /// Depth of the response that named the target first; zero if the own table did.
    rounds: u32,
    /// ROUTE_REQ sent until then.
    requests: u32,
    /// ROUTE_REQ sent until the target was found, or the search ended.
    all: u32,
    is_found: bool,
    took: Duration,
}

/// Searches from `at` until the target answers where it is, or the search ends.
fn search(mesh: &mut Mesh, at: SocketAddr, target: NodeId, place: SocketAddr) -> Outcome {
    mesh.records = true;
    let is_private = mesh.nodes[&at].config.private_lookups;
    let is_about = |of: NodeId| of == target || (is_private && of.distance(&target).shared_bits() >= 8);
    let own = mesh.nodes[&at].table.closest(&target, 20, &|_| true);
    let mut told: BTreeMap<SocketAddr, u32> = own.iter().map(|contact| (contact.address, 0)).collect();
    let mut is_named = own.iter().any(|contact| contact.id == target);
    let (started, mut outcome) = (mesh.now, Outcome::default());
    mesh.find(at, target, &[]);
    loop {
        for sent in core::mem::take(&mut mesh.arrived) {
            let Ok(Packet { message: Message::RouteRes { target: of, entries, .. }, .. }) =
                Packet::parse(&sent.datagram)
            else {
                continue;
            };
            let depth = told.get(&sent.from).copied().unwrap_or(0) + 1;
            if !is_named && is_about(of) && entries.iter().any(|entry| entry.id == target && entry.address == place) {
                (is_named, outcome.rounds, outcome.requests) = (true, depth, outcome.all);
            }
            entries.iter().for_each(|entry| _ = *told.entry(entry.address).or_insert(depth));
        }
        for sent in core::mem::take(&mut mesh.sent) {
            let asks = |packet: Packet| matches!(packet.message, Message::RouteReq { target: of, .. } if is_about(of));
            outcome.all += u32::from(Packet::parse(&sent.datagram).is_ok_and(asks));
        }
        for event in mesh.take_events(at) {
            outcome.took = mesh.now.since(started);
            match event {
                RoutingEvent::Found { addresses, .. } if addresses.iter().any(|found| found.0 == place) => {
                    outcome.is_found = true;
                    return outcome;
                }
                RoutingEvent::NotFound { .. } => return outcome,
                _ => {}
            }
        }
        assert!(mesh.now.since(started) < Duration::from_secs(20), "a search never ends");
        mesh.step();
    }
}

/// The means of many searches.
struct Means {
    success: f64,
    rounds: f64,
    requests: f64,
    all: f64,
    times: Vec<Duration>,
}

impl Means {
    /// The time that `percent` of the searches do not exceed.
    fn time(&self, percent: usize) -> Duration {
        self.times[(self.times.len() * percent / 100).min(self.times.len() - 1)]
    }
}

/// `samples` searches by different nodes, on links that `link` sets.
fn many(world: &mut World, paths: u8, samples: u32, link: impl Fn(&mut Mesh)) -> Means {
    let mut outcomes = Vec::new();
    for sample in 0..samples {
        let (from, to) = (world.honest(), world.honest());
        if from == to {
            continue;
        }
        let (mut mesh, at) = world.searcher(from, paths, u64::from(sample));
        link(&mut mesh);
        outcomes.push(search(&mut mesh, at, world.ids[to], world.address(to)));
    }
    let mean = |value: fn(&Outcome) -> u32| {
        outcomes.iter().map(|it| f64::from(value(it))).sum::<f64>() / outcomes.len() as f64
    };
    let mut times: Vec<Duration> = outcomes.iter().map(|outcome| outcome.took).collect();
    times.sort_unstable();
    Means {
        success: mean(|outcome| u32::from(outcome.is_found)),
        rounds: mean(|outcome| outcome.rounds),
        requests: mean(|outcome| outcome.requests),
        all: mean(|outcome| outcome.all),
        times,
    }
}

#[test]
fn searches_take_hardly_more_rounds_and_requests_than_the_ideal() {
    for (count, ideal_rounds, ideal_requests, samples) in
        [(1_000, 0.90, 2.7, 200), (10_000, 1.43, 4.3, 200), (100_000, 1.91, 5.7, 200)]
    {
        let mut world = World::new(1, count);
        for (name, delay) in [("equal", (30_000, 30_000)), ("jittered", (10_000, 60_000))] {
            for paths in [1, 3] {
                let means = many(&mut world, paths, samples, |mesh| mesh.delay = delay);
                println!(
                    "{count} nodes, {name} delays, {paths} paths: {:.1} % found, {:.2} rounds, {:.2} requests until named, {:.2} in all, p95 {:?}",
                    100.0 * means.success,
                    means.rounds,
                    means.requests,
                    means.all,
                    means.time(95)
                );
                assert!(means.success >= 0.999);
                assert!(means.rounds <= 1.3 * ideal_rounds, "{count}, {name}, {paths} paths: {}", means.rounds);
                assert!(means.requests <= 1.5 * ideal_requests || paths > 1, "{count}, {name}: {}", means.requests);
            }
        }
    }
}

#[test]
fn searches_succeed_with_thirty_percent_dead_and_ten_percent_lost() {
    for (dead, loss, goal) in [(30, 0, 0.99), (0, 10, 0.99), (30, 10, 0.98), (50, 0, 0.98)] {
        let mut world = World { dead, ..World::new(2, 10_000) };
        for paths in [1, 3] {
            let means = many(&mut world, paths, 200, |mesh| mesh.loss = loss);
            println!(
                "{dead} % dead, {loss} % lost, {paths} paths: {:.1} % found, {:.2} rounds, {:.2} requests, p50 {:?}, p95 {:?}",
                100.0 * means.success,
                means.rounds,
                means.requests,
                means.time(50),
                means.time(95)
            );
            assert!(means.success >= goal, "{dead} % dead, {loss} % lost, {paths} paths: {}", means.success);
            assert!(dead > 0 || means.time(95) < Duration::from_secs(3));
        }
    }
}

#[test]
fn a_search_for_nobody_ends_soon_and_within_its_budget() {
    let mut world = World::new(5, 100_000);
    for paths in [1, 3] {
        let (mut requests, mut longest) = (0, Duration::ZERO);
        for sample in 0..40 {
            let (mut mesh, at) = {
                let index = world.honest();
                world.searcher(index, paths, sample)
            };
            let target = NodeId(world.random.bytes());
            let outcome = search(&mut mesh, at, target, at);
            assert!(!outcome.is_found && outcome.all <= 120, "{outcome:?}");
            (requests, longest) = (requests + outcome.all, longest.max(outcome.took));
        }
        println!("nobody, {paths} paths: {} requests, {longest:?} at most", requests / 40);
        assert!(longest < Duration::from_secs(6), "{longest:?}");
    }
}

#[test]
fn the_network_size_is_mostly_estimated_within_half_as_much_again() {
    for count in [100, 300, 1_000, 2_000, 20_000] {
        let mut world = World::new(4, count);
        let mut right = 0;
        for sample in 0..200 {
            let index = world.honest();
            let (mesh, at) = world.searcher(index, 1, sample);
            let factor = mesh.status(at).network_size as f64 / count as f64;
            right += u32::from((1.0 / 1.5..=1.5).contains(&factor));
        }
        println!("{count} nodes: {} % within a factor of 1.5", right / 2);
        assert!(right >= 180, "{count}: {right} of 200");
    }
}

#[test]
fn f14_a_fifth_of_the_network_lying_does_not_keep_a_search_from_the_true_peer() {
    for is_spread in [true, false] {
        for attack in [Attack::Claim, Attack::Dead, Attack::Hide, Attack::Poison, Attack::Silence, Attack::Mixed] {
            let mut world = World { attackers: 20, attack, is_spread, ..World::new(3, 100_000) };
            for paths in [1, 3] {
                let means = many(&mut world, paths, 60, |_| {});
                println!(
                    "{attack:?}, {}, {paths} paths: {:.1} % found, {:.1} requests, p50 {:?}, p95 {:?}",
                    if is_spread { "spread" } else { "four networks" },
                    100.0 * means.success,
                    means.all,
                    means.time(50),
                    means.time(95)
                );
                assert!(paths == 1 || means.success >= 0.95, "{attack:?}, spread {is_spread}: {}", means.success);
            }
        }
    }
}
