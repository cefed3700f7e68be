// SPDX-License-Identifier: GPL-3.0-or-later
//! What a call and a handshake may cost, counted: the same on a busy machine as on an idle one.

use std::process::Command;

use dvs_tests::callgrind::instructions;
use dvs_tests::cost::Talk;
use dvs_tests::heap::{Counting, allocations};

#[global_allocator]
static HEAP: Counting = Counting;

#[test]
fn a_media_packet_is_sealed_and_opened_without_an_allocation() {
    let mut talk = Talk::begin().unwrap();
    talk.pass(64).unwrap();
    let before = allocations();
    // Long enough for some changes of sub-keys.
    talk.pass(4_096).unwrap();
    assert_eq!(allocations() - before, 0);
}

#[test]
fn allocations_are_counted() {
    let before = allocations();
    let kept = std::hint::black_box(vec![1u8; 100]);
    assert_eq!((allocations() - before, kept.len()), (1, 100));
}

/// Nearly all of it is OpenSSL's own, whichever way this program was built.
#[test]
fn a_handshake_costs_each_side_no_more_than_three_million_instructions() {
    let count = |times: &str, function: &str| {
        let mut work = Command::new(env!("CARGO_BIN_EXE_dvs-bench"));
        work.args(["work", "handshakes", times]);
        instructions(&work, function).unwrap()
    };
    for functions in [
        ["*cost*initiator_begins*", "*cost*initiator_checks*"],
        ["*cost*responder_answers*", "*cost*responder_checks*"],
    ] {
        let each = functions.map(|function| (count("6", function) - count("2", function)) / 4);
        let sum = each.iter().sum::<u64>();
        assert!(each.iter().all(|part| *part > 100_000) && sum <= 3_000_000, "{functions:?}: {each:?}");
    }
}
