// SPDX-License-Identifier: GPL-3.0-or-later
//! The least a lookup can cost: greedy, with perfect tables of the same population, three questions a round.

use dvsd::id::Distance;

use super::population::{K, Population, Role, shared_bits};

/// Questions per round, the paper's α.
const ALPHA: usize = 3;
/// No lookup takes so many rounds.
const MOST_ROUNDS: u32 = 64;

/// What a lookup costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Depth of the answer that first names the target: 0 if the own table does.
    pub rounds: u32,
    /// Questions asked until then.
    pub messages: u32,
}

struct Known {
    distance: Distance,
    node: u32,
    is_asked: bool,
}

/// The lookup of `target` by `origin`; `None` if it does not succeed.
pub fn lookup(population: &Population, origin: u32, target: u32) -> Option<Cost> {
    let mut known: Vec<Known> = Vec::new();
    let mut cost = Cost { rounds: 0, messages: 0 };
    let mut is_named = learn(population, &mut known, origin, target);
    while !is_named {
        let asked: Vec<u32> = known.iter_mut().filter(|node| !node.is_asked).take(ALPHA).map(ask).collect();
        if asked.is_empty() || cost.rounds >= MOST_ROUNDS {
            return None;
        }
        cost.rounds += 1;
        cost.messages += asked.len() as u32;
        for node in asked {
            is_named |= population.role(node) != Role::Dead && learn(population, &mut known, node, target);
        }
    }
    Some(cost)
}

const fn ask(node: &mut Known) -> u32 {
    node.is_asked = true;
    node.node
}

/// Takes the nodes closest to `target` in the table of `teller`. True if it is among them.
fn learn(population: &Population, known: &mut Vec<Known>, teller: u32, target: u32) -> bool {
    let goal = population.id(target);
    let bucket = shared_bits(&population.id(teller), &goal);
    let told = population.perfect_bucket(teller, bucket);
    for node in &told {
        let distance = population.id(*node).distance(&goal);
        if let Err(at) = known.binary_search_by_key(&distance, |known| known.distance) {
            known.insert(at, Known { distance, node: *node, is_asked: false });
        }
    }
    debug_assert!(told.len() >= K || told.contains(&target));
    told.contains(&target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::dice::Dice;
    use crate::sim::settings::Settings;

    /// Rounds and messages, on average over many lookups.
    fn average(settings: &Settings) -> (f64, f64) {
        const LOOKUPS: u32 = 3_000;
        let population = Population::new(settings);
        let mut dice = Dice::new(1, "test", 0);
        let mut living = || {
            let mut nodes = core::iter::repeat_with(|| dice.below(settings.nodes as u64) as u32);
            nodes.find(|node| population.role(*node) == Role::Honest).unwrap()
        };
        let (mut rounds, mut messages) = (0, 0);
        for _ in 0..LOOKUPS {
            let (origin, target) = (living(), living());
            let cost = if origin == target { None } else { lookup(&population, origin, target) };
            rounds += cost.map_or(0, |cost| cost.rounds);
            messages += cost.map_or(0, |cost| cost.messages);
        }
        (f64::from(rounds) / f64::from(LOOKUPS), f64::from(messages) / f64::from(LOOKUPS))
    }

    /// What other simulations of the same lookup came to.
    #[test]
    fn lookups_with_perfect_tables_cost_what_is_known() {
        for (nodes, rounds, messages) in [(1_000, 0.90, 2.7), (10_000, 1.43, 4.3)] {
            let cost = average(&Settings::healthy(nodes, 1));
            assert!((cost.0 - rounds).abs() < 0.04 && (cost.1 - messages).abs() < 0.12, "{nodes}: {cost:?}");
        }
    }

    #[test]
    fn dead_nodes_cost_rounds() {
        let settings = Settings { dead: 30.0, ..Settings::healthy(10_000, 1) };
        assert!(average(&settings).0 > average(&Settings::healthy(10_000, 1)).0 + 0.1);
    }
}
