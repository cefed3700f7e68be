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
        let pure = [Strategy::Silence, Strategy::Neighbours, Strategy::Claims, Strategy::Forgery];
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
            Strategy::Claims => {
                self.play(attacker, asker, *target, now);
                let claim = Entry { caps: 0, id: *target, address: population.address(attacker) };
                Some([vec![claim], friends()].concat().into_iter().take(MAX_ENTRIES).collect())
            }
            Strategy::Forgery => Some(self.forge(population, asker, target, now)),
        }
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
