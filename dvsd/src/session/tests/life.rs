// SPDX-License-Identifier: GPL-3.0-or-later
//! Silence, recovery, idleness, changed addresses.

use super::*;
use crate::wire::kind;

#[test]
fn silence_in_a_call_is_told_at_5_10_and_30_seconds() {
    let (mut pair, [alice, _]) = Pair::connected(1);
    pair.set_in_call(true);
    pair.link.loss = 100;
    let began = pair.now;
    let mut told = Vec::new();
    while pair.now.since(began) < ms(40_000) {
        pair.run(ms(100));
        told.extend(pair.ends[ALICE].events.drain(..).map(|event| (pair.now.since(began).as_millis() / 1_000, event)));
    }
    let session = alice;
    let expected = [
        (5, SessionEvent::Unstable { session }),
        (10, SessionEvent::Lost { session }),
        (30, SessionEvent::Closed { session, reason: Reason::PeerLost }),
    ];
    assert_eq!(told, expected);
    assert!(pair.ends[ALICE].sessions.is_empty());
}

#[test]
fn a_peer_heard_again_is_told_once() {
    let (mut pair, [alice, _]) = Pair::connected(1);
    pair.set_in_call(true);
    pair.link.loss = 100;
    pair.run(ms(12_000));
    pair.link.loss = 0;
    pair.run(ms(3_000));
    let session = alice;
    let expected =
        [SessionEvent::Unstable { session }, SessionEvent::Lost { session }, SessionEvent::Recovered { session }];
    assert_eq!(pair.ends[ALICE].events, expected);
}

#[test]
fn a_call_beats_every_five_seconds_and_an_idle_session_every_fifteen() {
    let (mut pair, _) = Pair::connected(1);
    pair.run(ms(120_000));
    let idle = pair.packets(ALICE).len();
    assert!((12..=22).contains(&idle), "{idle}: a heartbeat and an answer per 15 s");
    pair.forget();
    pair.set_in_call(true);
    for frame in 0..600 {
        pair.talk(ALICE, frame == 0);
        pair.talk(BOB, frame == 0);
        pair.run(ms(200));
    }
    let busy = pair.packets(ALICE).iter().filter(|packet| packet[0] & 0x40 != 0).count();
    assert!((42..=56).contains(&busy), "{busy}: a heartbeat and an answer per 5 s");
}

#[test]
fn a_stream_of_unacknowledged_frames_counts_as_lost() {
    let (mut pair, [alice, _]) = Pair::connected(1);
    pair.link.loss = 100;
    pair.send(ALICE, &ring(1));
    pair.run(ms(12_500));
    assert_eq!(pair.ends[ALICE].events.last(), Some(&SessionEvent::Lost { session: alice }));
    pair.run(ms(20_000));
    let closed = SessionEvent::Closed { session: alice, reason: Reason::PeerLost };
    assert_eq!(pair.ends[ALICE].events.last(), Some(&closed));
}

#[test]
fn a_session_without_call_is_closed_after_five_minutes_by_who_began_it() {
    let (mut pair, [alice, bob]) = Pair::connected(1);
    pair.run(ms(299_000));
    assert_eq!(pair.ends[ALICE].events, []);
    pair.run(ms(2_000));
    assert_eq!(pair.ends[ALICE].events, [SessionEvent::Closed { session: alice, reason: Reason::Normal }]);
    assert_eq!(pair.ends[BOB].events, [SessionEvent::Closed { session: bob, reason: Reason::Normal }]);
}

#[test]
fn a_session_with_a_call_is_not_idle() {
    let (mut pair, _) = Pair::connected(1);
    pair.set_in_call(true);
    pair.run(ms(3_600_000));
    assert_eq!((&pair.ends[ALICE].events, &pair.ends[BOB].events), (&Vec::new(), &Vec::new()));
}

#[test]
fn a_path_challenge_is_answered_where_it_came_from() {
    let (mut pair, _) = Pair::connected(1);
    let elsewhere = Path::direct("203.0.113.9:40000".parse().unwrap());
    pair.link.loss = 100;
    pair.send(ALICE, &Frame::PathChallenge { data: [7; 8] });
    let packet = pair.packets(ALICE).pop().unwrap();
    pair.inject(BOB, elsewhere, &packet).unwrap();
    let answers: Vec<_> = pair.log.iter().filter(|(who, it)| *who == BOB && it.path == elsewhere).collect();
    assert_eq!(answers.len(), 2, "the answer, and a challenge of Bob's own");
    assert!(answers.iter().all(|(_, it)| it.datagram.len() <= packet.len()), "no more comes back than was sent");
    let known = pair.ends[ALICE].path;
    let home = pair.log.iter().filter(|(who, it)| *who == BOB && it.path == known);
    assert_eq!(home.count(), 2, "and the same where Alice is known to be");
}

#[test]
fn a_peer_that_breaks_the_protocol_three_times_is_shown_the_door() {
    let (mut pair, [alice, bob]) = Pair::connected(1);
    for strike in 0..3 {
        let now = pair.clock();
        pair.ends[ALICE].sessions.send_media(alice, now.mono, 8, strike == 0, &[0x79], now);
        pair.drain(ALICE);
        pair.run(ms(50));
    }
    assert_eq!(pair.drops.iter().filter(|drop| **drop == (BOB, Drop::Violation)).count(), 3);
    assert_eq!(pair.ends[BOB].events, [SessionEvent::Closed { session: bob, reason: Reason::Protocol }]);
    pair.run(ms(5_000));
    pair.dial(ALICE);
    pair.run(ms(1_000));
    assert!(pair.drops.contains(&(BOB, Drop::Blocked)));
    pair.run(ms(10_000));
    assert_eq!(
        pair.ends[ALICE].events.last(),
        Some(&SessionEvent::Closed { session: SessionId(alice.0 + 1), reason: Reason::Unreachable })
    );
}

#[test]
fn a_blocked_peer_is_not_told_so() {
    let mut pair = Pair::new(1);
    let alice = pair.ends[ALICE].id();
    pair.ends[BOB].sessions.block(alice, true);
    pair.dial(ALICE);
    pair.run(ms(9_000));
    assert!(pair.packets(BOB).is_empty());
    assert_eq!(pair.ends[BOB].events, []);
    let reason = Reason::Unreachable;
    assert!(matches!(pair.ends[ALICE].events.last(), Some(SessionEvent::Closed { reason: r, .. }) if *r == reason));
    assert!(!pair.sent(ALICE, kind::HS_AUTH).is_empty());
}

#[test]
fn another_key_than_the_pinned_one_is_reported() {
    let mut pair = Pair::new(1);
    let peer = pair.ends[BOB].id();
    let shown = pair.ends[BOB].identity.public().fingerprint();
    pair.ends[ALICE].sessions.pin(peer, Some(Fingerprint([1; 32])));
    pair.dial(ALICE);
    pair.run(ms(100));
    let why = ConnectError::KeyChanged { shown };
    assert_eq!(pair.ends[ALICE].events, [SessionEvent::ConnectFailed { local: LOCAL, peer, why }]);
    pair.ends[ALICE].sessions.pin(peer, Some(shown));
    pair.dial(ALICE);
    pair.run(ms(100));
    pair.assert_working("with the right pin");
}

#[test]
fn after_long_use_no_session_is_left_behind() {
    let mut pair = Pair::lossy(5, 10);
    for round in 0..20 {
        pair.dial(round % 2);
        pair.run(ms(4_000));
        pair.assert_working("round");
        pair.close(round % 2, Reason::Normal);
        pair.run(ms(30_000));
        assert!(pair.ends.iter().all(|end| end.sessions.is_empty()), "round {round}");
    }
}
