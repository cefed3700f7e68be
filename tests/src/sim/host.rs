// SPDX-License-Identifier: GPL-3.0-or-later
//! A node of the network, and how it is made: with an empty table or with a filled one.

use core::num::NonZero;
use core::ops::Range;
use core::time::Duration;
use std::panic::resume_unwind;
use std::thread::ScopedJoinHandle;

use dvsd::random::Random;
use dvsd::routing::{Routing, RoutingConfig};
use dvsd::time::{Instant, Now};

use super::dice::Dice;
use super::network::{SHORTEST, SPREAD};
use super::population::Population;
use super::settings::Settings;

/// A node.
pub struct Host {
    /// Its routing layer.
    pub routing: Routing,
    /// When its next wake-up is in the queue, in microseconds.
    pub wakes: u64,
    /// Whether its timers always run; else only while it searches.
    pub is_awake: bool,
    /// How many searches it has under way.
    pub searches: u32,
}

/// Makes nodes.
pub struct Maker {
    paths: u8,
    proofs: bool,
    private: bool,
    seed: u64,
}

impl Maker {
    /// For a network with these `settings`.
    pub const fn new(settings: &Settings) -> Self {
        Self { paths: settings.paths, proofs: settings.proofs, private: settings.private, seed: settings.seed }
    }

    /// A node that knows nobody.
    pub fn make(&self, population: &Population, node: u32, now: Instant) -> Host {
        let mut config = RoutingConfig::new(population.id(node));
        config.disjoint_paths = self.paths;
        config.ipv6 = false;
        config.verify_proofs = self.proofs;
        config.private_lookups = self.private;
        config.identity = population.identity(node);
        let mut random = Random::seeded(Dice::new(self.seed, "node", u64::from(node)).roll());
        let routing = Routing::new(config, now_at(now), &mut random);
        Host { routing, wakes: u64::MAX, is_awake: true, searches: 0 }
    }

    /// `nodes` with the tables they would have after a while, made by all processors. Their timers do not run.
    pub fn fill(&self, population: &Population, nodes: Range<u32>, now: Instant) -> Vec<Host> {
        if nodes.len() <= 1 {
            return nodes.map(|node| self.fill_one(population, node, now)).collect();
        }
        let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
        let share = nodes.len().div_ceil(workers).max(1);
        let all: Vec<u32> = nodes.collect();
        std::thread::scope(|scope| {
            let fill = |nodes: &[u32]| nodes.iter().map(|node| self.fill_one(population, *node, now)).collect();
            let workers: Vec<ScopedJoinHandle<'_, Vec<Host>>> =
                all.chunks(share).map(|nodes| scope.spawn(move || fill(nodes))).collect();
            let join =
                |worker: ScopedJoinHandle<'_, Vec<Host>>| worker.join().unwrap_or_else(|panic| resume_unwind(panic));
            workers.into_iter().flat_map(join).collect()
        })
    }

    fn fill_one(&self, population: &Population, node: u32, now: Instant) -> Host {
        let mut host = self.make(population, node, now);
        host.is_awake = false;
        let mut dice = Dice::new(self.seed, "ages", u64::from(node));
        let mut table = population.usual_table(node);
        // The first one is fresh, so that upkeep begins now.
        let fresh = table.iter().position(|known| population.ages(*known).start.is_zero());
        if let Some(fresh) = fresh {
            table.swap(0, fresh);
        }
        for (place, known) in table.into_iter().enumerate() {
            let ages = population.ages(known);
            let span = ages.end.saturating_sub(ages.start).as_micros() as u64;
            let age = if place == 0 { Duration::ZERO } else { ages.start + Duration::from_micros(dice.below(span)) };
            let rtt = 2 * (SHORTEST + Duration::from_micros(dice.below(SPREAD.as_micros() as u64)));
            host.routing.assume(population.id(known), population.address(known), rtt, now_at(now - age));
        }
        host
    }
}

/// Both clocks at `mono`.
pub const fn now_at(mono: Instant) -> Now {
    Now { mono, unix: 0 }
}
