// SPDX-License-Identifier: GPL-3.0-or-later
//! Everything that can arrive at the daemon's UDP port, in the middle of a call: junk, changed and repeated datagrams,
//! and whatever an authenticated peer may seal. The node never panics, answers little, keeps little, and no stranger
//! ends a call.
#![no_main]

use dvs_fuzz::heap::{Counting, live};
use dvs_fuzz::script::read;
use dvs_fuzz::world::World;
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a node may grow by in a run. Its tables have bounds far above; what a few hundred datagrams fill is less.
const GROWTH: usize = 1 << 20;

fuzz_target!(|input: &[u8]| {
    let (beginning, steps) = read(input);
    let mut world = World::new(beginning);
    let before = live();
    for step in steps {
        world.step(&step);
    }
    world.check();
    let growth = live().saturating_sub(before);
    assert!(growth <= GROWTH, "{growth} bytes more than before");
});
