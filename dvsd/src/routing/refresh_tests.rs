// SPDX-License-Identifier: GPL-3.0-or-later
//! Lookups that refresh a bucket. What they make of a table, the simulated overlay shows.

use super::entry::Contact;
use super::lookup::{Goal, Lookup};
use super::sim::address;
use crate::id::NodeId;
use crate::time::Instant;

fn contact(number: u8) -> Contact {
    Contact { id: NodeId([number; 20]), caps: 0, address: address(u32::from(number)), other: None, rtt: None }
}

#[test]
fn a_refresh_asks_one_node_at_a_time_and_three_in_all() {
    let known: Vec<Contact> = (1..20).map(contact).collect();
    let mut lookup = Lookup::new(NodeId([0; 20]), Goal::Refresh, &known, 3, 100, Instant::ZERO);
    for number in 1..4 {
        assert_eq!(lookup.ask(Instant::ZERO).map(|question| question.id), Some(NodeId([number; 20])));
        assert_eq!(lookup.ask(Instant::ZERO), None);
        assert!(!lookup.is_done(Instant::ZERO));
        lookup.answered(&NodeId([number; 20]), address(u32::from(number)));
    }
    assert_eq!(lookup.ask(Instant::ZERO), None);
    assert!(lookup.is_done(Instant::ZERO));
}
