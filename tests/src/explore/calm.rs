// SPDX-License-Identifier: GPL-3.0-or-later
//! What becomes of a state when nobody does anything any more and nothing goes wrong.

use std::collections::HashSet;

use super::Violation;
use super::rules::{self, Broken, Checked};
use super::step::{Step, What};
use super::world::World;

/// Steps until rest; more is a loop.
const MAX_STEPS: usize = 2_000;
/// Steps without time passing; more is a loop.
const MAX_AT_ONCE: usize = 300;

/// The states that are known to come to rest.
#[derive(Default)]
pub(super) struct Calm {
    known: HashSet<u128>,
}

impl Calm {
    /// Lets `world` come to rest, unless it is known to.
    pub(super) fn check(&mut self, world: &World, digest: u128) -> Checked {
        if self.known.contains(&digest) {
            return Ok(());
        }
        let crossed = rules::crossed(world);
        let mut world = world.clone();
        let mut path = vec![digest];
        let (mut at_once, mut then) = (0, world.now);
        while let Some(step) = next(&mut world) {
            world.apply(step)?;
            at_once = if world.now == then { at_once + 1 } else { 0 };
            then = world.now;
            if at_once > MAX_AT_ONCE || path.len() > MAX_STEPS {
                return Err(Violation::new(Broken::Loop, "the sides never come to rest".into()));
            }
            let digest = world.digest();
            if crossed.is_empty() && self.known.contains(&digest) {
                self.known.extend(path);
                return Ok(());
            }
            path.push(digest);
        }
        rules::rest(&world)?;
        rules::met(&world, &crossed)?;
        self.known.extend(path);
        Ok(())
    }
}

/// The step that brings a state nearer to rest.
fn next(world: &mut World) -> Option<Step> {
    world.links.iter_mut().flat_map(|link| &mut link.ends).for_each(|end| end.late.clear());
    let mut steps = Vec::new();
    world.progress(&mut steps);
    let order = [What::Heal, What::Accept, What::MoveOver, What::Deliver, What::Found, What::Shake];
    let first = order.into_iter().find_map(|what| steps.iter().find(|step| step.what == what).copied());
    first.or_else(|| {
        world.timers(&mut steps);
        steps.iter().find(|step| matches!(step.what, What::Timer | What::Silence)).copied()
    })
}

/// The steps from here to rest, told.
pub(super) fn tell(world: &mut World) {
    for _ in 0..60 {
        let Some(step) = next(world) else { return };
        if world.apply(step).is_err() {
            return;
        }
    }
}
