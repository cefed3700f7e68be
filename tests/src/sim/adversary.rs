// SPDX-License-Identifier: GPL-3.0-or-later
//! The hostile nodes. They know each other, answer PINGs as anybody does, and lie to whoever searches.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use dvsd::id::NodeId;
use dvsd::time::Instant;
use dvsd::wire::routing::{Entry, MAX_ENTRIES, Message, Packet, Token};

use super::dice::Dice;
use super::population::Population;
use super::settings::Strategy;

/// An answer is believed for so many nodes of one /24, so attackers name no more.
const BELIEVED_PER_NET: usize = 3;
/// How long an attacker plays somebody towards one asker.
const ROLE_LIFE: Duration = Duration::from_secs(15);
/// Forged names share so many bytes with the target.
const FORGED_PREFIX: usize = 12;

/// What an attacker does with a datagram.
pub enum Reply {
    /// As an honest node would.
    Honest,
    /// Nothing.
    Silence,
    /// This.
    Lie(Vec<u8>),
}

/// All attackers together.
pub struct Adversary {
    strategy: Strategy,
    dice: Dice,
    /// Whom an attacker plays towards an asker, and until when.
    parts: BTreeMap<(u32, SocketAddr), (NodeId, Instant)>,
}

impl Adversary {
    /// Attackers with this strategy.
    pub const fn new(strategy: Strategy, seed: u64) -> Self {
        Self { strategy, dice: Dice::new(seed, "adversary", 0), parts: BTreeMap::new() }
    }

    /// What `attacker` does with a `datagram` from `from`.
    pub fn reply(
        &mut self,
        population: &Population,
        attacker: u32,
        from: SocketAddr,
        datagram: &[u8],
        now: Instant,
    ) -> Reply {
        let Ok(packet) = Packet::parse(datagram) else { return Reply::Honest };
        let part = self.parts.get(&(attacker, from)).filter(|(_, until)| now <= *until).map(|(id, _)| *id);
        match packet.message {
            Message::RouteReq { target, .. } => {
                let responder = part.filter(|id| *id != target).unwrap_or_else(|| population.id(attacker));
                let Some(entries) = self.entries(population, attacker, from, &target, now) else {
                    return Reply::Silence;
                };
                let answer = Message::RouteRes { responder, target, token: TOKEN, observed: from, entries };
                Reply::Lie(Packet { flags: 0, caps: 0, txid: packet.txid, message: answer }.emit())
            }
            Message::Ping { .. } => part.map_or(Reply::Honest, |responder| {
                let answer = Message::Pong { responder, token: TOKEN, observed: from };
                Reply::Lie(Packet { flags: 0, caps: 0, txid: packet.txid, message: answer }.emit())
            }),
            _ => Reply::Honest,
        }
    }

    /// The strategy of this attacker.
    fn strategy_of(&self, attacker: u32) -> Strategy {
        let [pure @ .., Strategy::Mixed] = &Strategy::ALL else { return self.strategy };
        match self.strategy {
            Strategy::Mixed => pure.get(attacker as usize % pure.len()).copied().unwrap_or(Strategy::Silence),
            pure => pure,
        }
    }

    /// The nodes to name; `None` for silence.
    fn entries(
        &mut self,
        population: &Population,
        attacker: u32,
        asker: SocketAddr,
        target: &NodeId,
        now: Instant,
    ) -> Option<Vec<Entry>> {
        let friends = || friends(population, target);
        match self.strategy_of(attacker) {
            Strategy::Silence | Strategy::Mixed => None,
            Strategy::Neighbours => Some(friends()),
            Strategy::Claims => Some(with(self.claim(population, attacker, asker, target, now), friends())),
            Strategy::Both => {
                let claim = self.claim(population, attacker, asker, target, now);
                Some(with(claim, self.forge(population, asker, target, now)))
            }
            Strategy::Forgery => Some(self.forge(population, asker, target, now)),
        }
    }

    /// The target, at the address of an attacker that answers in its name from now on.
    fn claim(
        &mut self,
        population: &Population,
        attacker: u32,
        asker: SocketAddr,
        target: &NodeId,
        now: Instant,
    ) -> Entry {
        self.play(attacker, asker, *target, now);
        Entry { caps: 0, id: *target, address: population.address(attacker) }
    }

    /// Names closer to `target` than anybody, at the addresses of attackers that play them from now on.
    fn forge(&mut self, population: &Population, asker: SocketAddr, target: &NodeId, now: Instant) -> Vec<Entry> {
        let hostile = population.hostile();
        let mut players = Vec::new();
        let mut nets = BTreeMap::new();
        for _ in 0..4 * MAX_ENTRIES {
            let one = hostile.get(self.dice.below(hostile.len() as u64) as usize).copied();
            let Some(one) = one.filter(|one| !players.contains(one) && players.len() < MAX_ENTRIES) else { continue };
            let is_playing = self.parts.get(&(one, asker)).is_some_and(|(_, until)| now <= *until);
            if !is_playing && is_believable(&mut nets, population.address(one)) {
                players.push(one);
            }
        }
        players.into_iter().map(|one| self.forge_one(population, one, asker, target, now)).collect()
    }

    fn forge_one(
        &mut self,
        population: &Population,
        player: u32,
        asker: SocketAddr,
        target: &NodeId,
        now: Instant,
    ) -> Entry {
        let mut id = *target;
        for byte in id.0.iter_mut().skip(FORGED_PREFIX) {
            *byte = self.dice.below(256) as u8;
        }
        self.play(player, asker, id, now);
        Entry { caps: 0, id, address: population.address(player) }
    }

    fn play(&mut self, attacker: u32, asker: SocketAddr, part: NodeId, now: Instant) {
        self.parts.insert((attacker, asker), (part, now + ROLE_LIFE));
    }
}

/// A list of nodes that begins with `claim`.
fn with(claim: Entry, others: Vec<Entry>) -> Vec<Entry> {
    core::iter::once(claim).chain(others).take(MAX_ENTRIES).collect()
}

/// A token that is worth nothing, which its bearer finds out from the one who gave it only.
const TOKEN: Token = Token([0x66; 8]);

/// The attackers closest to `target`, as many as are believed.
fn friends(population: &Population, target: &NodeId) -> Vec<Entry> {
    let mut nets = BTreeMap::new();
    let closest = population.closest(population.hostile(), target, 8 * MAX_ENTRIES);
    let entries =
        closest.into_iter().map(|node| Entry { caps: 0, id: population.id(node), address: population.address(node) });
    let fit = entries.filter(|entry| entry.id != *target && is_believable(&mut nets, entry.address));
    fit.take(MAX_ENTRIES).collect()
}

fn is_believable(nets: &mut BTreeMap<[u8; 3], usize>, address: SocketAddr) -> bool {
    let core::net::IpAddr::V4(ip) = address.ip() else { return false };
    let [a, b, c, _] = ip.octets();
    let count = nets.entry([a, b, c]).or_default();
    *count += 1;
    *count <= BELIEVED_PER_NET
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::population::Role;
    use crate::sim::settings::{Attackers, Settings};

    const TARGET: NodeId = NodeId([0x5a; 20]);

    struct Stage {
        population: Population,
        adversary: Adversary,
        asker: SocketAddr,
        attacker: u32,
    }

    impl Stage {
        fn new(strategy: Strategy, attackers: Attackers) -> Self {
            let population = Population::new(&Settings { malicious: 20.0, attackers, ..Settings::healthy(1_000, 1) });
            let honest = (0..1_000).find(|node| population.role(*node) == Role::Honest).unwrap();
            let (asker, attacker) = (population.address(honest), population.hostile()[0]);
            Self { population, adversary: Adversary::new(strategy, 1), asker, attacker }
        }

        fn reply(&mut self, attacker: u32, message: Message) -> Reply {
            let datagram = Packet { flags: 0, caps: 0, txid: 1, message }.emit();
            self.adversary.reply(&self.population, attacker, self.asker, &datagram, Instant::ZERO)
        }

        fn told(&mut self) -> Vec<Entry> {
            let question = Message::RouteReq { origin: NodeId([1; 20]), target: TARGET, token: TOKEN, padding: 0 };
            let Reply::Lie(datagram) = self.reply(self.attacker, question) else { return Vec::new() };
            match Packet::parse(&datagram).unwrap().message {
                Message::RouteRes { entries, .. } => entries,
                other => panic!("{other:?}"),
            }
        }

        /// Who answers a PING at `address`.
        fn pinged(&mut self, address: SocketAddr) -> Option<NodeId> {
            let there = self.population.at(address).unwrap();
            let Reply::Lie(datagram) = self.reply(there, Message::Ping { origin: NodeId([1; 20]), token: TOKEN })
            else {
                return None;
            };
            match Packet::parse(&datagram).unwrap().message {
                Message::Pong { responder, .. } => Some(responder),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn wrong_neighbours_are_attackers_only() {
        let mut stage = Stage::new(Strategy::Neighbours, Attackers::Spread);
        let told = stage.told();
        assert_eq!(told.len(), MAX_ENTRIES);
        let role = |entry: &Entry| stage.population.role(stage.population.at(entry.address).unwrap());
        assert!(told.iter().all(|entry| role(entry) == Role::Hostile));
    }

    #[test]
    fn whoever_claims_to_be_the_target_answers_in_its_name() {
        let mut stage = Stage::new(Strategy::Claims, Attackers::Spread);
        let attacker = stage.population.address(stage.attacker);
        assert_eq!(stage.pinged(attacker), None);
        assert!(stage.told().iter().any(|entry| entry.id == TARGET && entry.address == attacker));
        assert_eq!(stage.pinged(attacker), Some(TARGET));
    }

    #[test]
    fn forged_names_are_closer_than_anybody_and_answer() {
        let mut stage = Stage::new(Strategy::Forgery, Attackers::Spread);
        let told = stage.told();
        let closest = stage.population.closest(&(0..1_000).collect::<Vec<_>>(), &TARGET, 1);
        let nearest = stage.population.id(closest[0]).distance(&TARGET);
        assert!(!told.is_empty());
        for entry in told {
            assert!(entry.id.distance(&TARGET) < nearest);
            assert_eq!(stage.pinged(entry.address), Some(entry.id));
        }
    }

    #[test]
    fn crowded_attackers_name_as_many_as_are_believed() {
        let mut stage = Stage::new(Strategy::Neighbours, Attackers::Crowded);
        let mut nets: BTreeMap<_, usize> = BTreeMap::new();
        for entry in stage.told() {
            *nets.entry(dvsd::path::Prefix::of(entry.address)).or_default() += 1;
        }
        assert!(!nets.is_empty() && nets.values().all(|count| *count <= BELIEVED_PER_NET));
    }
}
