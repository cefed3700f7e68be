// SPDX-License-Identifier: GPL-3.0-or-later
//! Two people call each other at about the same time: whole nodes, random timing, a random network. There must be
//! one call, with both in it.

#![allow(clippy::indexing_slicing, reason = "an index out of bounds is a mistake of the test, which should stop then")]

use std::time::Duration;

use dvsd::call::State;
use dvsd::random::Random;

use crate::nodes::Net;

/// How far the two dials may lie apart.
const APART_MS: u64 = 3_000;
/// How long both have to come together; the worst networks need several repeats of everything.
const SETTLE: Duration = Duration::from_secs(30);
/// How much each of them says.
const FRAMES: u32 = 25;
/// How much of it the other must hear at least, whatever is lost.
const HEARD: usize = 8;

/// One try.
#[derive(Clone, Copy, Debug)]
pub struct Crossing {
    /// What all chance comes from.
    pub seed: u64,
    /// By how many milliseconds the second dial is later than the first.
    pub apart: u64,
    /// Milliseconds from each of the two to everybody.
    pub delays: [u64; 2],
    /// Of a thousand datagrams so many are lost.
    pub loss: u64,
    /// Whether they have talked just before, and their session stands.
    pub connected: bool,
    /// Whether the second one answers by hand if it rings already.
    pub by_hand: bool,
}

impl Crossing {
    /// The try number `number` of the series `seed`.
    pub fn random(seed: u64, number: u64) -> Self {
        let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number);
        let mut random = Random::seeded(seed);
        // Most of what can go wrong happens within a few round trips.
        let apart = if random.below(2) == 0 { random.below(APART_MS + 1) } else { random.below(600) };
        Self {
            seed,
            apart,
            delays: [1 + random.below(200), 1 + random.below(200)],
            loss: random.below(201),
            connected: random.below(3) == 0,
            by_hand: random.below(2) == 0,
        }
    }

    /// Tries it.
    ///
    /// # Errors
    /// What was not as it must be.
    pub fn run(&self) -> Result<(), String> {
        let [a, b] = self.delays.map(Duration::from_millis);
        let mut net = Net::new(&[Duration::from_millis(5), a, b], self.seed);
        if self.connected {
            connect(&mut net)?;
        }
        net.loss = self.loss;
        let [first, second] = if net.random.below(2) == 0 { [1, 2] } else { [2, 1] };
        net.dial(first, second).map_err(|error| format!("the first dial: {error}"))?;
        net.run(Duration::from_millis(self.apart));
        self.second(&mut net, second, first);
        net.run_until(SETTLE, |net| talks(net, 1) && talks(net, 2));
        // Whatever is still under way must not change it.
        net.run(Duration::from_secs(12));
        self.check(&mut net)
    }

    fn second(&self, net: &mut Net, second: usize, first: usize) {
        let rings = net.hosts[second].node.ringing().is_some();
        if rings && self.by_hand {
            let _answered = net.command(second, |node, now| node.answer(None, now));
        } else {
            // Whoever is in the call already is told so.
            let _in_call = net.dial(second, first);
        }
    }

    fn check(&self, net: &mut Net) -> Result<(), String> {
        for side in [1, 2] {
            let states: Vec<State> = net.hosts[side].calls().iter().map(|call| call.state).collect();
            if states != [State::Active] {
                let ends: Vec<_> = net.hosts[side].shown.values().map(|call| (call.state, call.cause)).collect();
                return Err(format!("{self:?}: side {side} has {states:?}; it was shown {ends:?}"));
            }
        }
        let before = [1, 2].map(|side| net.hosts[side].played);
        net.speak(1, FRAMES);
        net.speak(2, FRAMES);
        net.run(Duration::from_secs(1));
        let heard = [1, 2].map(|side| net.hosts[side].played - before[side - 1]);
        if heard.iter().any(|heard| *heard < HEARD) {
            return Err(format!("{self:?}: of {FRAMES} frames each they heard {heard:?}"));
        }
        Ok(())
    }
}

fn talks(net: &Net, side: usize) -> bool {
    net.hosts[side].node.calls().any(|call| call.state == State::Active)
}

/// A call that is over when this returns; its session stays.
fn connect(net: &mut Net) -> Result<(), String> {
    net.dial(1, 2).map_err(|error| error.to_string())?;
    net.run_until(Duration::from_secs(10), |net| net.hosts[2].node.ringing().is_some());
    net.command(2, |node, now| node.answer(None, now)).map_err(|error| error.to_string())?;
    net.run(Duration::from_secs(1));
    net.command(1, |node, now| node.hang_up(None, now)).map_err(|error| error.to_string())?;
    net.run(Duration::from_secs(2));
    Ok(())
}
