// SPDX-License-Identifier: GPL-3.0-or-later
//! Both dial at once; one restarts: in the end there is one session, and it works.

use super::*;

/// How many sessions `who` uses or may use.
fn contenders(pair: &Pair, who: usize) -> usize {
    pair.ends[who].sessions.contenders(LOCAL, pair.ends[1 - who].id()).len()
}

/// Both sides use the same session, and it is the only one.
fn assert_settled(pair: &mut Pair, hint: &str) {
    pair.run(ms(15_000));
    assert_eq!([contenders(pair, ALICE), contenders(pair, BOB)], [1, 1], "{hint}");
    let initiated = |who: usize| pair.ends[who].sessions.stats(pair.session(who)).unwrap().initiated;
    assert_ne!(initiated(ALICE), initiated(BOB), "{hint}: not the same session");
    pair.assert_working(hint);
}

#[test]
fn f18_dials_that_cross_end_with_the_session_of_the_lower_id() {
    let mut pair = Pair::new(1);
    pair.dial(ALICE);
    pair.dial(BOB);
    assert_settled(&mut pair, "crossing");
    let lower = if pair.ends[ALICE].id() < pair.ends[BOB].id() { ALICE } else { BOB };
    assert!(pair.ends[lower].sessions.stats(pair.session(lower)).unwrap().initiated);
}

#[test]
fn f18_dials_that_cross_move_their_calls_to_the_survivor() {
    let mut pair = Pair::new(1);
    pair.dial(ALICE);
    pair.dial(BOB);
    pair.run(ms(41));
    pair.send(ALICE, &ring(1));
    pair.send(BOB, &ring(2));
    pair.run(ms(5_000));
    assert!(pair.ends[BOB].frames().contains(&ring(1)));
    assert!(pair.ends[ALICE].frames().contains(&ring(2)));
    for end in &pair.ends {
        assert!(!end.events.iter().any(|event| matches!(event, SessionEvent::Closed { .. })), "{:?}", end.events);
        let names: Vec<_> = end
            .events
            .iter()
            .filter_map(|event| match event {
                SessionEvent::Established { session, .. } | SessionEvent::Moved { to: session, .. } => Some(*session),
                _ => None,
            })
            .collect();
        assert!(names.len() <= 2, "{:?}", end.events);
    }
}

fn cross(seed: u64) {
    let mut random = Random::seeded(seed);
    let mut pair = Pair::lossy(seed, random.below(31));
    pair.link.delay = ms(random.below(100));
    pair.link.jitter = ms(random.below(150));
    let first = random.below(2) as usize;
    pair.dial(first);
    pair.run(Duration::from_micros(random.below(400_000)));
    pair.dial(1 - first);
    let hint = format!("seed {seed}, loss {} %", pair.link.loss);
    pair.run(ms(9_000));
    if pair.ends.iter().any(|end| end.sessions.session_of(LOCAL, other(&pair, end)).is_none()) {
        // So much was lost that nobody got through in 8 s: not what this test is about.
        assert!(pair.link.loss >= 20, "{hint}");
        return;
    }
    assert_settled(&mut pair, &hint);
    for end in &pair.ends {
        assert!(!end.events.iter().any(|event| matches!(event, SessionEvent::Closed { .. })), "{hint}");
    }
}

fn other(pair: &Pair, end: &End) -> NodeId {
    pair.ends.iter().map(End::id).find(|id| *id != end.id()).unwrap()
}

#[test]
fn f18_dials_that_cross_at_any_moment_under_loss_end_with_one_working_session() {
    (0..300).for_each(cross);
}

#[test]
#[ignore = "takes a minute"]
fn f18_ten_thousand_crossing_dials_end_with_one_working_session_each() {
    (0..10_000).for_each(cross);
}

/// One side crashes at some moment of a session, starts again and dials.
fn crash(seed: u64) {
    let mut random = Random::seeded(seed);
    let mut pair = Pair::lossy(seed, random.below(21));
    pair.link.delay = ms(random.below(100));
    let (dialler, crasher) = (random.below(2) as usize, random.below(2) as usize);
    pair.dial(dialler);
    pair.run(Duration::from_micros(random.below(3_000_000)));
    pair.restart(crasher);
    pair.run(Duration::from_micros(random.below(2_000_000)));
    pair.dial(crasher);
    let hint = format!("seed {seed}, loss {} %", pair.link.loss);
    pair.run(ms(12_000));
    if pair.ends[crasher].sessions.session_of(LOCAL, pair.ends[1 - crasher].id()).is_none() {
        assert!(pair.link.loss >= 15, "{hint}");
        return;
    }
    assert_settled(&mut pair, &hint);
}

#[test]
fn a_peer_that_crashed_and_dials_again_has_one_working_session() {
    (0..200).for_each(crash);
}

#[test]
#[ignore = "takes a minute"]
fn ten_thousand_crashes_end_with_one_working_session_each() {
    (0..10_000).for_each(crash);
}

#[test]
fn a_peer_that_restarted_is_answered_on_its_new_session_at_once() {
    let (mut pair, [alice, _]) = Pair::connected(1);
    pair.restart(BOB);
    pair.dial(BOB);
    pair.run(ms(41));
    pair.send(BOB, &ring(9));
    pair.run(ms(60));
    let to = pair.session(ALICE);
    assert_ne!(to, alice);
    let told = [
        SessionEvent::Restarted { session: alice },
        SessionEvent::Moved { from: alice, to },
        SessionEvent::Frame { session: to, frame: ring(9) },
    ];
    assert_eq!(pair.ends[ALICE].events, told);
    pair.send(ALICE, &Frame::CallAnswer { call_id: 9 });
    pair.run(ms(30));
    assert_eq!(pair.ends[BOB].frames(), [Frame::CallAnswer { call_id: 9 }]);
}

#[test]
fn a_handshake_message_held_back_by_an_attacker_does_not_replace_a_living_session() {
    // Bob's HS_AUTH is caught and kept; his next attempt succeeds; then the old one is let go.
    let mut pair = Pair::new(1);
    pair.dial(BOB);
    pair.run(ms(39));
    pair.wire.retain(|flight| flight.datagram[0] != 0x22);
    pair.run(ms(2));
    let caught = pair.wire.iter().position(|flight| flight.datagram[0] == 0x22).unwrap();
    let caught = pair.wire.remove(caught).datagram;
    pair.restart(BOB);
    pair.run(ms(300));
    pair.dial(BOB);
    pair.run(ms(500));
    let before = pair.session(ALICE);
    let from = pair.ends[BOB].path;
    assert_eq!(pair.inject(ALICE, from, &caught), Ok(()));
    pair.run(ms(8_000));
    assert_eq!(pair.session(ALICE), before, "nobody answered in the session that came late");
    pair.assert_working("after the attack");
}
