// SPDX-License-Identifier: GPL-3.0-or-later
//! Walks at random through the states, far beyond where all of them can be visited.

use std::time::Duration;

use dvsd::random::Random;
use dvsd::time::Instant;

use super::calm::Calm;
use super::search::tell;
use super::step::{Step, What};
use super::world::World;
use super::{Scene, Trace};

/// A peer that resumes a call more often in [`HOLDS_WITHIN`] is not followed (PROTOCOL 14.2), so users do not.
const MAX_HOLDS: usize = 8;
const HOLDS_WITHIN: Duration = Duration::from_secs(10);
/// Of a thousand steps so many are commands, and so many disturbances, if any are possible; in the rest things take their course.
const COMMANDS: u64 = 150;
const DISTURBANCES: u64 = 80;

/// Walks `length` steps from `scene`, all chance from `seed`, checks every state on the way, and that the last one
/// comes to rest. Returns how many steps were possible.
///
/// # Errors
/// The way to a state that must not be.
pub fn walk(scene: &Scene, seed: u64, length: usize) -> Result<usize, Box<Trace>> {
    let mut random = Random::seeded(seed);
    let mut world = World::new(0, scene);
    let mut way = Vec::with_capacity(length);
    let mut held: Vec<Instant> = Vec::new();
    for _ in 0..length {
        held.retain(|at| world.now.since(*at) < HOLDS_WITHIN);
        let Some(step) = choose(&world, &mut random, held.len() < MAX_HOLDS) else { break };
        way.push(step);
        if matches!(step.what, What::Hold | What::Switch | What::Answer) {
            held.push(world.now);
        }
        if let Err(violation) = world.apply(step) {
            return Err(Box::new(tell(scene, 0, &way, violation)));
        }
        world.endings.met.clear();
    }
    Calm::default().check(&world, world.digest()).map_err(|violation| Box::new(tell(scene, 0, &way, violation)))?;
    Ok(way.len())
}

fn choose(world: &World, random: &mut Random, may_hold: bool) -> Option<Step> {
    let steps = world.choices();
    let allowed = |step: &&Step| may_hold || !matches!(step.what, What::Hold | What::Switch);
    let (mut commands, mut disturbances, mut course) = (Vec::new(), Vec::new(), Vec::new());
    for step in steps.iter().filter(allowed) {
        match (step.is_command(), step.is_of_users()) {
            (_, true) => commands.push(*step),
            (true, false) => disturbances.push(*step),
            (false, false) => course.push(*step),
        }
    }
    let dice = random.below(1_000);
    let pool = match dice {
        _ if course.is_empty() && disturbances.is_empty() => commands,
        ..COMMANDS if !commands.is_empty() => commands,
        COMMANDS.. if dice < COMMANDS + DISTURBANCES && !disturbances.is_empty() => disturbances,
        _ if course.is_empty() => commands,
        _ => course,
    };
    pool.get(random.below(pool.len() as u64) as usize).copied()
}
