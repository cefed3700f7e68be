// SPDX-License-Identifier: GPL-3.0-or-later
//! The call machines of two and three daemons in every state they can reach, and whole nodes that call each other, in
//! virtual time. `cargo xtask explore` goes further.

use dvs_tests::crossing::Crossing;
use dvs_tests::explore::{Limits, Scene, search, three, two, walk};
use dvs_tests::setup::Setup;

/// How many distinct states are visited here in each of the two explorations.
const STATES: usize = 100_000;
/// How many steps a walk has.
const LENGTH: usize = 100;

fn explore(scenes: &[Scene]) {
    let seen = search(scenes, Limits { depth: usize::MAX, states: STATES }, &mut |_| ());
    assert!(seen.violation.is_none(), "{}", seen.violation.map_or(String::new(), |trace| trace.to_string()));
    assert!(seen.states >= STATES, "only {} states were reached", seen.states);
    assert!(!seen.endings.is_empty(), "no call ended");
}

#[test]
fn p01_no_state_of_two_daemons_is_stuck_or_has_media_without_consent_and_both_agree_on_every_end() {
    explore(&two());
}

#[test]
fn p01_no_state_of_three_daemons_is_stuck_or_has_media_without_consent_and_both_agree_on_every_end() {
    explore(&three());
}

#[test]
fn what_holds_in_all_states_holds_in_random_runs_too() {
    let scenes: Vec<Scene> = two().into_iter().chain(three()).collect();
    for seed in 0..5_000 {
        let scene = &scenes[seed as usize % scenes.len()];
        let length = if seed % 4 == 3 { LENGTH * 4 } else { LENGTH };
        if let Err(trace) = walk(scene, seed, length) {
            panic!("seed {seed}: {trace}");
        }
    }
}

#[test]
fn f18_dials_that_cross_at_any_moment_make_one_call_with_both_in_it() {
    let failed: Vec<String> = (0..300).filter_map(|number| Crossing::random(1, number).run().err()).collect();
    assert!(failed.is_empty(), "{}\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn calls_are_set_up_in_time_on_good_and_bad_networks() {
    let setup = Setup::measure(1_000);
    println!("{}", setup.json());
    assert_eq!(setup.misses(), Vec::<String>::new());
}
