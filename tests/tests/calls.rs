// SPDX-License-Identifier: GPL-3.0-or-later
//! The call machines of two and three daemons, and whole nodes that call each other, in virtual time.

use dvs_tests::crossing::Crossing;
use dvs_tests::setup::Setup;

#[test]
fn calls_are_set_up_in_time_on_good_and_bad_networks() {
    let setup = Setup::measure(1_000);
    println!("{}", setup.json());
    assert_eq!(setup.misses(), Vec::<String>::new());
}

#[test]
fn dials_that_cross_at_any_moment_make_one_call_with_both_in_it() {
    let failed: Vec<String> = (0..300).filter_map(|number| Crossing::random(1, number).run().err()).collect();
    assert!(failed.is_empty(), "{}\n{}", failed.len(), failed.join("\n"));
}
