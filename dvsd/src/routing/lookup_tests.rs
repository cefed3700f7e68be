// SPDX-License-Identifier: GPL-3.0-or-later
//! Lookups by themselves: who is asked, in which order, and when it is over.

use super::*;

const TARGET: NodeId = NodeId([0; 20]);

fn contact(number: u8) -> Contact {
    let address = SocketAddr::from(([198, 18, number, 1], 5004));
    Contact { id: NodeId([number; 20]), caps: 0, address, other: None, rtt: None }
}

fn lookup(known: core::ops::Range<u8>) -> Lookup {
    let known: Vec<Contact> = known.map(contact).collect();
    Lookup::new(TARGET, Goal::Find, &known, 3, known.len(), Instant::ZERO)
}

fn ask_all(lookup: &mut Lookup) -> Vec<u8> {
    core::iter::from_fn(|| lookup.ask(Instant::ZERO)).map(|question| question.id.0[0]).collect()
}

#[test]
fn the_three_closest_are_asked_at_once() {
    let mut lookup = lookup(1..20);
    assert_eq!(ask_all(&mut lookup), [1, 2, 3]);
    lookup.answered(&NodeId([2; 20]), contact(2).address);
    assert_eq!(ask_all(&mut lookup), [4]);
}

#[test]
fn f16_an_answer_never_brings_more_than_one_further_request() {
    let mut lookup = lookup(100..103);
    assert_eq!(ask_all(&mut lookup).len(), ALPHA);
    lookup.answered(&NodeId([100; 20]), contact(100).address);
    (1..21).for_each(|number| lookup.learn(contact(number), &NodeId([100; 20]), contact(100).address));
    assert_eq!(ask_all(&mut lookup), [1]);
}

#[test]
fn a_silent_node_is_asked_again_twice_when_nobody_new_is_left() {
    let mut lookup = lookup(1..5);
    let mut asked = Vec::new();
    while !lookup.is_done(Instant::ZERO) {
        for number in ask_all(&mut lookup) {
            asked.push(number);
            lookup.missed(&NodeId([number; 20]), contact(number).address);
        }
    }
    assert_eq!(asked, [1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]);
}

#[test]
fn a_late_answer_counts() {
    let mut lookup = lookup(1..2);
    assert_eq!(ask_all(&mut lookup), [1]);
    lookup.missed(&NodeId([1; 20]), contact(1).address);
    lookup.answered(&NodeId([1; 20]), contact(1).address);
    assert!(lookup.is_done(Instant::ZERO));
}

#[test]
fn the_budget_ends_a_lookup_that_is_fed_for_ever() {
    let mut lookup = lookup(200..201);
    let (mut asked, mut next) = (0, 0_u32);
    while !lookup.is_done(Instant::ZERO) {
        for question in core::iter::from_fn(|| lookup.ask(Instant::ZERO)).collect::<Vec<_>>() {
            asked += 1;
            lookup.answered(&question.id, question.address);
            for _ in 0..20 {
                next += 1;
                let mut fake = contact(1);
                fake.address = SocketAddr::from((core::net::Ipv4Addr::from(0xc612_0000 + 256 * next), 5004));
                fake.id.0[16..].copy_from_slice(&(u32::MAX - next).to_be_bytes());
                fake.id.0[..8].fill(0);
                lookup.learn(fake, &question.id, question.address);
            }
        }
    }
    assert_eq!(asked, BUDGET);
    assert!(lookup.len() <= MAX_CANDIDATES);
}

#[test]
fn a_lookup_ends_after_its_time() {
    let mut lookup = lookup(1..20);
    ask_all(&mut lookup);
    assert!(!lookup.is_done(Instant::from_millis(14_999)));
    assert!(lookup.is_done(Instant::from_millis(15_000)));
}

#[test]
fn a_liar_captures_one_path_of_three() {
    let mut lookup = lookup(100..140);
    assert_eq!(ask_all(&mut lookup), [100, 101, 102]);
    lookup.answered(&NodeId([100; 20]), contact(100).address);
    (1..21).for_each(|number| lookup.learn(contact(number), &NodeId([100; 20]), contact(100).address));
    let mut asked = Vec::new();
    for _ in 0..9 {
        for number in ask_all(&mut lookup) {
            asked.push(number);
        }
        for number in [101, 102].into_iter().chain(asked.clone()) {
            lookup.answered(&NodeId([number; 20]), contact(number).address);
        }
    }
    assert!(asked.iter().any(|number| *number > 100), "{asked:?}");
    assert!(asked.iter().filter(|number| **number > 100).count() >= 2 * asked.len() / 3 - 2, "{asked:?}");
}

#[test]
fn a_hold_is_granted_once() {
    let mut lookup = lookup(1..20);
    lookup.hold_until(Instant::from_millis(200));
    assert_eq!(lookup.ask(Instant::from_millis(199)), None);
    lookup.hold_until(Instant::from_millis(900));
    assert!(lookup.ask(Instant::from_millis(200)).is_some());
}

#[test]
fn another_address_of_a_node_is_tried_too_because_the_first_may_be_a_lie() {
    let mut lookup = lookup(1..2);
    let moved = SocketAddr::from(([198, 18, 77, 1], 5004));
    lookup.offer(Contact { address: moved, ..contact(1) });
    let asked: Vec<SocketAddr> =
        core::iter::from_fn(|| lookup.ask(Instant::ZERO)).map(|question| question.address).collect();
    assert_eq!(asked, [contact(1).address, moved]);
    (0..50).for_each(|port| lookup.offer(Contact { address: (moved.ip(), 6_000 + port).into(), ..contact(1) }));
    assert_eq!(lookup.len(), MAX_RIVALS);
}

#[test]
fn the_other_family_is_tried_after_the_first() {
    let mut lookup = lookup(1..2);
    let v6 = "[2001:db8::1]:5004".parse().unwrap();
    lookup.offer(Contact { address: v6, ..contact(1) });
    assert_eq!(lookup.ask(Instant::ZERO).map(|question| question.address), Some(contact(1).address));
    lookup.missed(&NodeId([1; 20]), contact(1).address);
    assert_eq!(lookup.ask(Instant::ZERO).map(|question| question.address), Some(v6));
}

/// Every answer of 1 and of those it invents names twenty more, ever nearer, and each in a network of its own.
#[test]
fn f14_inventions_without_end_do_not_keep_the_honest_nodes_from_being_asked() {
    for answers in [true, false] {
        let known: Vec<Contact> = (1..8).map(contact).collect();
        let mut lookup = Lookup::new(TARGET, Goal::Find, &known, 1, known.len(), Instant::ZERO);
        let (mut honest, mut next) = (0, 0_u32);
        while !lookup.is_done(Instant::ZERO) {
            for question in core::iter::from_fn(|| lookup.ask(Instant::ZERO)).collect::<Vec<_>>() {
                let number = question.id.0[4];
                honest += u32::from(number > 1);
                if number > 1 || (number == 0 && !answers) {
                    lookup.missed(&question.id, question.address);
                    continue;
                }
                lookup.answered(&question.id, question.address);
                for _ in 0..20 {
                    next += 1;
                    let mut fake = contact(0);
                    fake.address = SocketAddr::from((core::net::Ipv4Addr::from(0x0a00_0000 + 256 * next), 5004));
                    fake.id.0[16..].copy_from_slice(&(u32::MAX - next).to_be_bytes());
                    lookup.learn(fake, &question.id, question.address);
                }
            }
        }
        assert!(honest >= 5, "{honest}, inventions answer: {answers}");
    }
}

#[test]
fn f14_eight_nodes_of_one_network_are_believed_per_search() {
    let mut lookup = lookup(100..103);
    ask_all(&mut lookup);
    lookup.answered(&NodeId([100; 20]), contact(100).address);
    for number in 1..60 {
        let address = SocketAddr::from(([198, 19, 0, number], 5004));
        lookup.learn(Contact { address, ..contact(number) }, &NodeId([100; 20]), contact(100).address);
    }
    assert_eq!(lookup.len(), 3 + CROWD_PER_SEARCH);
}
