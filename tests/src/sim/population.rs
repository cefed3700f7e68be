// SPDX-License-Identifier: GPL-3.0-or-later
//! Who takes part: IDs, addresses, who is dead and who is hostile, and which nodes a perfect table would hold.
//!
//! Founders are numbered in the order of their IDs, so that those who share a prefix are a range. Nodes that arrive later
//! are numbered in the order of their arrival.

use core::net::{IpAddr, SocketAddr};
use core::ops::Range;
use core::time::Duration;
use std::sync::Arc;

use dvsd::crypto::identity::Identity;
use dvsd::id::NodeId;
use dvsd::random::Random;

use super::dice::Dice;
use super::settings::{Attackers, Settings, Start};

/// Nodes per bucket, the paper's k.
pub const K: usize = 20;
/// Entries of a filled table answered within this time, evenly: nobody is due for a check.
const FRESH: Duration = Duration::from_secs(14 * 60);
/// Bits of an ID.
const BITS: usize = 160;
/// Every node's UDP port, but for attackers that share an address.
const PORT: u16 = 5004;
/// First octets without any global addresses, or with addresses of special use; from 220 on they are not given out.
const SPECIAL: [u8; 9] = [0, 10, 100, 127, 169, 172, 192, 198, 203];
const FIRST_UNUSED: u8 = 220;
/// Crowded attackers live in 222.0.0.0/24 and the next few.
const CROWDED: u8 = 222;
/// How many /24s crowded attackers have among them.
pub const CROWDS: u32 = 8;
/// Addresses used of each of those /24s.
const HOSTS: u32 = 250;
/// Where the simulation itself asks from.
pub const OBSERVER: SocketAddr = SocketAddr::new(IpAddr::V4(core::net::Ipv4Addr::new(221, 0, 0, 1)), PORT);

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Follows the protocol.
    Honest,
    /// Is switched off once the tables are filled.
    Dead,
    /// Lies once the tables are filled.
    Hostile,
}

/// All nodes.
pub struct Population {
    seed: u64,
    ids: Vec<NodeId>,
    /// What the node's key is made from, if it has one.
    origins: Vec<u32>,
    roles: Vec<Role>,
    founders: usize,
    has_keys: bool,
    hostile: Vec<u32>,
    is_crowded: bool,
    /// How long ago an entry of this node may have been fresh, if not within all of [`FRESH`].
    ages: Vec<Range<Duration>>,
}

impl Population {
    /// The founders of a network with these `settings`.
    pub fn new(settings: &Settings) -> Self {
        let (seed, has_keys) = (settings.seed, settings.proofs);
        let mut founders: Vec<(NodeId, u32)> =
            (0..settings.nodes as u32).map(|origin| (id_of(seed, origin, has_keys), origin)).collect();
        founders.sort_unstable();
        founders.dedup_by_key(|(id, _)| *id);
        let (ids, origins): (Vec<NodeId>, Vec<u32>) = founders.into_iter().unzip();
        let mut roles = roles(ids.len(), settings);
        let ages = usual_ages(&mut roles, settings);
        let is_hostile = |node: &u32| roles.get(*node as usize) == Some(&Role::Hostile);
        let hostile = (0..ids.len() as u32).filter(is_hostile).collect();
        let is_crowded = settings.attackers == Attackers::Crowded;
        Self { seed, founders: ids.len(), ids, origins, roles, has_keys, hostile, is_crowded, ages }
    }

    /// How many nodes there are, the dead included.
    pub const fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is nobody.
    pub const fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// One more node arrives; its number.
    pub fn arrive(&mut self) -> u32 {
        let number = self.ids.len() as u32;
        self.ids.push(id_of(self.seed, number, self.has_keys));
        self.origins.push(number);
        self.roles.push(Role::Honest);
        number
    }

    /// The ID of `node`; that of nobody is zero.
    pub fn id(&self, node: u32) -> NodeId {
        self.ids.get(node as usize).copied().unwrap_or(NodeId([0; 20]))
    }

    /// What `node` does.
    pub fn role(&self, node: u32) -> Role {
        self.roles.get(node as usize).copied().unwrap_or(Role::Dead)
    }

    /// The key behind the ID of `node`, if nodes have keys.
    pub fn identity(&self, node: u32) -> Option<Arc<Identity>> {
        let origin = self.origins.get(node as usize).filter(|_| self.has_keys)?;
        identity(self.seed, *origin).map(Arc::new)
    }

    /// The attackers, in the order of their IDs.
    pub fn hostile(&self) -> &[u32] {
        &self.hostile
    }

    /// Where `node` is: each honest one in a /24 of its own.
    pub fn address(&self, node: u32) -> SocketAddr {
        let rank = if self.is_crowded { self.hostile.binary_search(&node).ok() } else { None };
        match rank {
            Some(rank) => crowded_address(rank as u32),
            None => own_address(node),
        }
    }

    /// Who is at `address`.
    pub fn at(&self, address: SocketAddr) -> Option<u32> {
        let IpAddr::V4(ip) = address.ip() else { return None };
        let [first, second, third, last] = ip.octets();
        if first == CROWDED {
            let row = u32::from(address.port().checked_sub(PORT)?) * HOSTS + u32::from(last.checked_sub(1)?);
            return self.hostile.get((row * CROWDS + u32::from(third)) as usize).copied();
        }
        let skipped = SPECIAL.iter().filter(|special| **special < first).count() as u32;
        let high = u32::from(first).checked_sub(skipped)?;
        let node = high << 16 | u32::from(second) << 8 | u32::from(third);
        (address == own_address(node) && (node as usize) < self.ids.len()).then_some(node)
    }

    /// The founders that share exactly the first `bucket` bits with `own`, as a range of their numbers.
    pub fn block(&self, own: &NodeId, bucket: usize) -> Range<u32> {
        let mut shared = 0..self.founders;
        for bit in 0..bucket {
            shared = self.halves(&shared, own, bit).0;
        }
        let other = self.halves(&shared, own, bucket).1;
        other.start as u32..other.end as u32
    }

    /// The nodes of a perfect table of `node`: of each bucket's block up to 20 at random.
    pub fn perfect_table(&self, node: u32) -> Vec<u32> {
        let (own, mut shared, mut table) = (self.id(node), 0..self.founders, Vec::new());
        for bucket in 0..BITS {
            let (same, other) = self.halves(&shared, &own, bucket);
            table.extend(self.pick(node, bucket, other.start as u32..other.end as u32));
            shared = same;
            if shared.len() <= 1 {
                break;
            }
        }
        table
    }

    /// How long ago an entry of `node` in a table may have been fresh: not while it was not there.
    pub fn ages(&self, node: u32) -> Range<Duration> {
        self.ages.get(node as usize).cloned().unwrap_or(Duration::ZERO..FRESH)
    }

    /// The nodes of the table of `node` in a network that has been running for a while: the perfect table if everybody
    /// stays. Where nodes come and go, an entry was fresh at some time within the last minutes, and its node may have
    /// left since; who has just come is known to its neighbours only.
    pub fn usual_table(&self, node: u32) -> Vec<u32> {
        if self.ages.is_empty() {
            return self.perfect_table(node);
        }
        let (own, mut shared, mut table) = (self.id(node), 0..self.founders, Vec::new());
        let mut dice = Dice::new(self.seed, "usual", u64::from(node));
        for bucket in 0..BITS {
            let (same, other) = self.halves(&shared, &own, bucket);
            table.extend(self.pick_usual(other.start as u32..other.end as u32, &mut dice));
            shared = same;
            if shared.len() <= 1 {
                break;
            }
        }
        table
    }

    fn pick_usual(&self, block: Range<u32>, dice: &mut Dice) -> Vec<u32> {
        let chance = |node: u32| {
            let ages = self.ages(node);
            ages.end.saturating_sub(ages.start).as_secs_f64() / FRESH.as_secs_f64()
        };
        if block.len() <= K {
            let stays = |node: &u32| self.role(*node) != Role::Dead || dice.share() < chance(*node);
            return block.filter(stays).collect();
        }
        let mut picked = Vec::with_capacity(K);
        for _ in 0..50 * K {
            let one = block.start + dice.below(block.len() as u64) as u32;
            if picked.len() < K && !picked.contains(&one) && dice.share() < chance(one) {
                picked.push(one);
            }
        }
        picked
    }

    /// Bucket `bucket` of the perfect table of `node`.
    pub fn perfect_bucket(&self, node: u32, bucket: usize) -> Vec<u32> {
        self.pick(node, bucket, self.block(&self.id(node), bucket))
    }

    /// Of `among`, which is sorted by ID, the `count` closest to `target`, closest first.
    pub fn closest(&self, among: &[u32], target: &NodeId, count: usize) -> Vec<u32> {
        let mut closest = Vec::new();
        self.gather(among, 0, target, count, &mut closest);
        closest.truncate(count);
        closest
    }

    fn gather(&self, among: &[u32], bit: usize, target: &NodeId, count: usize, into: &mut Vec<u32>) {
        if among.len() <= K || bit >= BITS {
            let mut few = among.to_vec();
            few.sort_by_key(|node| self.id(*node).distance(target));
            into.extend(few);
            return;
        }
        let (zeros, ones) = among.split_at(among.partition_point(|node| !bit_of(&self.id(*node), bit)));
        let (near, far) = if bit_of(target, bit) { (ones, zeros) } else { (zeros, ones) };
        self.gather(near, bit + 1, target, count, into);
        if into.len() < count {
            self.gather(far, bit + 1, target, count, into);
        }
    }

    /// Up to 20 nodes of `block`, the same ones every time.
    fn pick(&self, node: u32, bucket: usize, block: Range<u32>) -> Vec<u32> {
        if block.len() <= K {
            return block.collect();
        }
        let mut dice = Dice::new(self.seed, "table", u64::from(node) << 8 | bucket as u64);
        let mut picked = Vec::with_capacity(K);
        while picked.len() < K {
            let one = block.start + dice.below(block.len() as u64) as u32;
            if !picked.contains(&one) {
                picked.push(one);
            }
        }
        picked
    }

    /// Of the founders `shared`, whose first `bit` bits are those of `own`: those with the same next bit, and the others.
    fn halves(&self, shared: &Range<usize>, own: &NodeId, bit: usize) -> (Range<usize>, Range<usize>) {
        let ids = self.ids.get(shared.clone()).unwrap_or_default();
        let middle = shared.start + ids.partition_point(|id| !bit_of(id, bit));
        let (zeros, ones) = (shared.start..middle, middle..shared.end);
        if bit_of(own, bit) { (ones, zeros) } else { (zeros, ones) }
    }
}

fn roles(count: usize, settings: &Settings) -> Vec<Role> {
    let mut dice = Dice::new(settings.seed, "roles", 0);
    let mut role = |_| match dice.share() * 100.0 {
        share if share < settings.malicious => Role::Hostile,
        share if share < settings.malicious + settings.dead => Role::Dead,
        _ => Role::Honest,
    };
    (0..count).map(&mut role).collect()
}

/// Under churn, with tables that are not the result of a simulation: who left lately, and who came.
fn usual_ages(roles: &mut [Role], settings: &Settings) -> Vec<Range<Duration>> {
    let Some(uptime) = settings.churn.filter(|_| settings.start != Start::Cold) else { return Vec::new() };
    let rate = core::f64::consts::LN_2 / uptime.as_secs_f64();
    let left_per_present = rate * FRESH.as_secs_f64();
    let mut dice = Dice::new(settings.seed, "usual ages", 0);
    let mut ages = |role: &mut Role| {
        if *role == Role::Honest && dice.share() < left_per_present / (1.0 + left_per_present) {
            *role = Role::Dead;
            return FRESH.mul_f64(dice.share())..FRESH;
        }
        let there_for = Duration::from_secs_f64(-(1.0 - dice.share()).ln() / rate);
        Duration::ZERO..there_for.min(FRESH)
    };
    roles.iter_mut().map(&mut ages).collect()
}

fn id_of(seed: u64, origin: u32, has_key: bool) -> NodeId {
    let identity = if has_key { identity(seed, origin) } else { None };
    identity.map_or_else(|| NodeId(source(seed, origin).bytes()), |identity| identity.public().id())
}

fn identity(seed: u64, origin: u32) -> Option<Identity> {
    Identity::from_ed25519_seed(&source(seed, origin).bytes()).ok()
}

fn source(seed: u64, origin: u32) -> Random {
    Random::seeded(Dice::new(seed, "identity", u64::from(origin)).roll())
}

fn bit_of(id: &NodeId, bit: usize) -> bool {
    id.0.get(bit / 8).is_some_and(|byte| byte >> (7 - bit % 8) & 1 == 1)
}

/// How many leading bits two IDs share.
pub fn shared_bits(one: &NodeId, other: &NodeId) -> usize {
    one.distance(other)
        .0
        .iter()
        .try_fold(0, |bits, byte| match byte.leading_zeros() as usize {
            8 => Ok(bits + 8),
            zeros => Err(bits + zeros),
        })
        .unwrap_or_else(|bits| bits)
}

/// The /24 of this number, of those without special use.
fn own_address(node: u32) -> SocketAddr {
    let [_, high, second, third] = node.to_be_bytes();
    let mut first = 0_u8;
    let mut left = u32::from(high) + 1;
    while left > 0 && first < FIRST_UNUSED {
        if !SPECIAL.contains(&first) {
            left -= 1;
        }
        first += u8::from(left > 0);
    }
    SocketAddr::from(([first, second, third, 1], PORT))
}

fn crowded_address(rank: u32) -> SocketAddr {
    let (net, row) = (rank % CROWDS, rank / CROWDS);
    let port = PORT.saturating_add((row / HOSTS) as u16);
    SocketAddr::from(([CROWDED, 0, net as u8, 1 + (row % HOSTS) as u8], port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn population(settings: &Settings) -> Population {
        Population::new(settings)
    }

    fn attacked(attackers: Attackers) -> Settings {
        Settings { malicious: 20.0, dead: 10.0, attackers, ..Settings::healthy(3_000, 1) }
    }

    #[test]
    fn every_node_is_found_again_at_its_address() {
        for attackers in [Attackers::Spread, Attackers::Crowded] {
            let population = population(&attacked(attackers));
            assert!((0..3_000).all(|node| population.at(population.address(node)) == Some(node)));
        }
        assert_eq!(population(&attacked(Attackers::Spread)).at(OBSERVER), None);
    }

    #[test]
    fn addresses_are_global_and_each_in_a_net_of_its_own() {
        let mut nets = std::collections::BTreeSet::new();
        for node in (0..4_000_000).step_by(997) {
            let address = own_address(node);
            assert_eq!(dvsd::path::Scope::of(address), dvsd::path::Scope::Global, "{address}");
            assert!(nets.insert(dvsd::path::Prefix::of(address)), "{address}");
        }
    }

    #[test]
    fn crowded_attackers_share_a_few_nets() {
        let population = population(&attacked(Attackers::Crowded));
        let nets = population.hostile().iter().map(|node| dvsd::path::Prefix::of(population.address(*node)));
        assert_eq!(nets.collect::<std::collections::BTreeSet<_>>().len(), CROWDS as usize);
    }

    #[test]
    fn roles_are_given_in_proportion() {
        let population = population(&attacked(Attackers::Spread));
        let count = |role| (0..3_000).filter(|node| population.role(*node) == role).count();
        assert!((500..700).contains(&count(Role::Hostile)), "{}", count(Role::Hostile));
        assert!((240..360).contains(&count(Role::Dead)), "{}", count(Role::Dead));
    }

    #[test]
    fn a_perfect_table_holds_twenty_of_each_far_bucket_and_all_of_the_near_ones() {
        let population = population(&Settings::healthy(1_000, 1));
        let (own, table) = (population.id(500), population.perfect_table(500));
        for bucket in 0..BITS {
            let shares = |node: &u32| *node != 500 && shared_bits(&own, &population.id(*node)) == bucket;
            let (held, all) = (table.iter().filter(|node| shares(node)).count(), (0..1_000).filter(shares).count());
            assert_eq!(held, all.min(K), "bucket {bucket}");
            assert_eq!(population.perfect_bucket(500, bucket).len(), held);
        }
    }

    #[test]
    fn the_closest_are_those_with_the_smallest_distance() {
        let population = population(&attacked(Attackers::Spread));
        let target = NodeId([0x5a; 20]);
        let mut sorted = population.hostile().to_vec();
        sorted.sort_by_key(|node| population.id(*node).distance(&target));
        assert_eq!(population.closest(population.hostile(), &target, 30), sorted[..30]);
    }

    #[test]
    fn ids_are_those_of_keys_if_nodes_have_keys() {
        let population = population(&Settings { proofs: true, ..Settings::healthy(20, 1) });
        assert!((0..20).all(|node| population.identity(node).unwrap().public().id() == population.id(node)));
    }
}
