// SPDX-License-Identifier: GPL-3.0-or-later
//! Rules of the handshake that are easy to understand in two ways.

use super::*;
use crate::handshake::{ExpectResponse, Mode};
use crate::wire::kind;

fn at(text: &str) -> Path {
    Path::direct(text.parse().unwrap())
}

#[test]
fn d06_an_hs_init_is_the_same_with_another_cookie_and_another_one_from_another_address() {
    let mut pair = Pair::new(1);
    let [home, other] = [at("203.0.113.1:5004"), at("198.51.100.1:5004")];
    let mut dial = ExpectResponse::start(pair.ends[BOB].id(), Mode::Full, &mut Random::seeded(1)).unwrap();
    assert_eq!(pair.inject(BOB, home, dial.datagram()), Ok(()));
    dial.show_cookie(&[7; 16]);
    assert_eq!(pair.inject(BOB, home, dial.datagram()), Ok(()), "cookie and mac1 are no part of what is compared");
    let answers = pair.sent(BOB, kind::HS_RESP);
    assert_eq!((answers.len(), &answers[0]), (2, &answers[1]));
    assert_eq!(pair.ends[BOB].sessions.half_open.len(), 1);
    assert_eq!(pair.inject(BOB, other, dial.datagram()), Ok(()));
    assert_eq!(pair.ends[BOB].sessions.half_open.len(), 2);
    let answers = pair.sent(BOB, kind::HS_RESP);
    assert_ne!(answers[2], answers[0], "sealed anew under another key");
}

#[test]
fn d14_the_first_hs_auth_is_answered_at_once_and_a_repeat_only_from_the_same_address() {
    let mut pair = Pair::new(1);
    pair.dial(ALICE);
    pair.run(ms(41));
    let auth = pair.sent(ALICE, kind::HS_AUTH).pop().unwrap();
    let from = pair.ends[ALICE].path;
    pair.wire.clear();
    assert_eq!(pair.inject(BOB, from, &auth), Ok(()));
    assert_eq!(pair.packets(BOB).len(), 1, "without waiting for anything");
    assert_eq!(pair.inject(BOB, at("203.0.113.1:5004"), &auth), Err(Drop::UnknownHandshake));
    assert_eq!((pair.inject(BOB, from, &auth), pair.packets(BOB).len()), (Err(Drop::Duplicate), 2));
    pair.run(ms(9_900));
    let before = pair.packets(BOB).len();
    assert_eq!(pair.inject(BOB, from, &auth), Err(Drop::Duplicate));
    assert_eq!(pair.packets(BOB).len(), before + 1);
    pair.run(ms(200));
    assert_eq!(pair.inject(BOB, from, &auth), Err(Drop::UnknownHandshake), "remembered for ten seconds");
}

/// When `who` sent `kind`, in milliseconds from now on, while nothing arrives.
fn times(pair: &mut Pair, who: usize, kind: u8, millis: u64) -> Vec<u64> {
    let mut times = vec![0; pair.sent(who, kind).len()];
    for step in 1..=millis / 10 {
        pair.wire.clear();
        pair.run(ms(10));
        times.resize(pair.sent(who, kind).len(), step * 10);
    }
    times
}

#[test]
fn d16_messages_leave_at_regular_times_a_cookie_begins_them_anew_and_eight_seconds_are_all() {
    let mut pair = Pair::new(1);
    pair.dial(ALICE);
    let first = times(&mut pair, ALICE, kind::HS_INIT, 2_000);
    assert_eq!(first[0], 0);
    let steady = |times: &[u64]| times.windows(2).all(|two| (220..=290).contains(&(two[1] - two[0])));
    assert!(first.len() >= 8 && steady(&first), "{first:?}: the gaps do not grow");
    // Shown a cookie just after one of them, she answers at once and counts from there.
    let sid = pair.sent(ALICE, kind::HS_INIT)[0][8..16].to_vec();
    let cookie = [&[kind::HS_COOKIE, 1, 0, 0][..], &sid, &[9; 16]].concat();
    let bob = pair.ends[BOB].path;
    pair.forget();
    pair.inject(ALICE, bob, &cookie).unwrap();
    assert_eq!(pair.sent(ALICE, kind::HS_INIT).len(), 1);
    let again = times(&mut pair, ALICE, kind::HS_INIT, 7_000);
    assert!(steady(&again), "{again:?}");
    assert!(again.last().is_some_and(|last| (5_650..=6_000).contains(last)), "eight seconds from the first: {again:?}");
    // HS_AUTH has what is left of the eight seconds of the first HS_INIT.
    let mut pair = Pair::new(1);
    pair.dial(ALICE);
    times(&mut pair, ALICE, kind::HS_INIT, 4_000);
    while pair.sent(ALICE, kind::HS_AUTH).is_empty() {
        pair.run(ms(1));
    }
    let auths = times(&mut pair, ALICE, kind::HS_AUTH, 6_000);
    assert!(steady(&auths) && auths.last().is_some_and(|last| (3_350..=4_000).contains(last)), "{auths:?}");
    assert!(pair.ends[ALICE].sessions.is_empty());
}
