// SPDX-License-Identifier: GPL-3.0-or-later
//! Connecting, speaking, closing.

use super::*;
use crate::wire::kind;

#[test]
fn a_dial_makes_a_session_on_both_sides_in_one_and_a_half_round_trips() {
    let mut pair = Pair::new(1);
    pair.dial(ALICE);
    pair.run(ms(40));
    let [alice, bob] = [pair.ends[ALICE].id(), pair.ends[BOB].id()];
    let is_up = |event: &SessionEvent, with: NodeId, dialled: bool| {
        matches!(event, SessionEvent::Established { local: LOCAL, peer, initiated, .. }
            if *peer == with && *initiated == dialled)
    };
    assert!(is_up(&pair.ends[ALICE].events[0], bob, true));
    pair.send(ALICE, &ring(7));
    pair.run(ms(20));
    assert!(is_up(&pair.ends[BOB].events[0], alice, false));
    assert_eq!(pair.ends[BOB].frames(), [ring(7)], "the first frame travels along with HS_AUTH");
}

#[test]
fn nothing_is_repeated_on_a_link_that_loses_nothing() {
    let mut pair = Pair::new(1);
    pair.dial(ALICE);
    pair.run(ms(5_000));
    let count = |who, kind| pair.sent(who, kind).len();
    assert_eq!([count(ALICE, kind::HS_INIT), count(BOB, kind::HS_RESP), count(ALICE, kind::HS_AUTH)], [1, 1, 1]);
    assert_eq!(pair.sent(ALICE, kind::HS_INIT)[0].len(), 512);
    assert_eq!([pair.packets(ALICE).len(), pair.packets(BOB).len()], [1, 1], "a heartbeat and its answer");
    assert_eq!(pair.drops, []);
}

#[test]
fn both_sides_measure_the_path() {
    let (pair, [alice, bob]) = Pair::connected(1);
    let stats = |who: usize, session| pair.ends[who].sessions.stats(session).unwrap();
    assert_eq!(stats(ALICE, alice).rtt, Some(ms(40)));
    assert_eq!(stats(BOB, bob).rtt, Some(ms(40)));
    assert_eq!(stats(ALICE, alice).peer, pair.ends[BOB].id());
    assert!(stats(ALICE, alice).initiated && !stats(BOB, bob).initiated);
}

#[test]
fn a_repeated_hs_auth_is_no_measure_of_the_path() {
    let mut pair = Pair::new(5);
    pair.dial(ALICE);
    let peer = pair.ends[ALICE].id();
    while pair.sent(ALICE, kind::HS_AUTH).len() < 2 {
        // The first one gets lost.
        pair.wire.retain(|flight| flight.datagram.first() != Some(&kind::HS_AUTH));
        pair.run(ms(1));
    }
    pair.link.delay = Duration::from_secs(60);
    pair.run(ms(100));
    assert!(pair.ends[BOB].sessions.session_of(LOCAL, peer).is_some());
    assert_eq!(pair.ends[BOB].sessions.stats(pair.session(BOB)).unwrap().rtt, None);
}

#[test]
fn frames_arrive_once_and_in_order_both_ways_on_a_bad_link() {
    let mut pair = Pair::lossy(3, 20);
    pair.dial(ALICE);
    pair.run(ms(8_000));
    for call_id in 0..60 {
        pair.send(ALICE, &ring(call_id));
        pair.send(BOB, &Frame::CallAnswer { call_id });
        pair.run(ms(30));
    }
    pair.run(ms(10_000));
    assert_eq!(pair.ends[BOB].frames(), (0..60).map(ring).collect::<Vec<_>>());
    assert_eq!(pair.ends[ALICE].frames(), (0..60).map(|call_id| Frame::CallAnswer { call_id }).collect::<Vec<_>>());
}

#[test]
fn n05_a_dial_gets_through_heavy_loss() {
    let mut times = Vec::new();
    for seed in 0..200 {
        let mut pair = Pair::lossy(seed, 30);
        pair.dial(ALICE);
        let began = pair.now;
        while pair.now.since(began) < ms(9_000) && pair.ends[BOB].events.is_empty() {
            pair.run(ms(20));
        }
        times.push(pair.now.since(began));
    }
    times.sort();
    assert!(times[190] <= ms(3_000), "p95 {:?}", times[190]);
    assert!(times[100] <= ms(700), "median {:?}", times[100]);
}

#[test]
fn p08_media_is_93_bytes_and_arrives() {
    let (mut pair, [alice, _]) = Pair::connected(1);
    let sent: Vec<u32> = (0..50)
        .filter_map(|i| {
            pair.run(ms(20));
            pair.talk(ALICE, i == 0)
        })
        .collect();
    pair.run(ms(100));
    assert_eq!(pair.ends[BOB].media(), sent);
    assert!(sent.windows(2).all(|pair| pair[1] - pair[0] == 8));
    let stats = pair.ends[ALICE].sessions.stats(alice).unwrap();
    assert_eq!((stats.media_sent, stats.media_bytes), (50, MediaBytes { min: 93, max: 93, last: 93 }));
}

#[test]
fn a_closed_session_ends_on_both_sides_and_leaves_nothing() {
    let (mut pair, [_, bob]) = Pair::connected(1);
    pair.close(ALICE, Reason::Normal);
    pair.run(ms(100));
    assert_eq!(pair.ends[BOB].events, [SessionEvent::Closed { session: bob, reason: Reason::Normal }]);
    assert_eq!(pair.ends[ALICE].events, []);
    assert!(pair.ends[ALICE].sessions.is_empty(), "acknowledged, so not kept");
    pair.run(ms(3_000));
    assert!(pair.ends[BOB].sessions.is_empty());
}

#[test]
fn a_close_nobody_hears_ends_after_three_seconds() {
    let (mut pair, _) = Pair::connected(1);
    pair.link.loss = 100;
    pair.close(ALICE, Reason::GoingAway);
    pair.run(ms(2_900));
    assert!(!pair.ends[ALICE].sessions.is_empty());
    pair.run(ms(200));
    assert!(pair.ends[ALICE].sessions.is_empty());
}

#[test]
fn a_close_gets_through_loss() {
    let mut heard = 0;
    for seed in 0..50 {
        let (mut pair, [_, bob]) = Pair::connected(seed);
        pair.link.loss = 20;
        pair.close(ALICE, Reason::Normal);
        pair.run(ms(4_000));
        heard += usize::from(pair.ends[BOB].events == [SessionEvent::Closed { session: bob, reason: Reason::Normal }]);
        assert!(pair.ends[ALICE].sessions.is_empty());
    }
    assert!(heard >= 49, "{heard}");
}

#[test]
fn f27_a_dial_that_nobody_answers_fails_after_eight_seconds() {
    let mut pair = Pair::new(1);
    pair.link.loss = 100;
    pair.dial(ALICE);
    pair.run(ms(7_999));
    assert_eq!(pair.ends[ALICE].events, []);
    pair.run(ms(2));
    let (peer, why) = (pair.ends[BOB].id(), ConnectError::Timeout);
    assert_eq!(pair.ends[ALICE].events, [SessionEvent::ConnectFailed { local: LOCAL, peer, why }]);
    assert!(pair.ends[ALICE].sessions.is_empty());
    let sent = pair.sent(ALICE, kind::HS_INIT);
    assert!((29..=36).contains(&sent.len()), "{}", sent.len());
    assert!(sent.iter().all(|init| *init == sent[0]), "the same HS_INIT every time");
}

#[test]
fn several_paths_begin_a_quarter_of_a_second_apart_with_keys_of_their_own() {
    let mut pair = Pair::new(1);
    let dead = Path::direct("198.18.9.9:5004".parse().unwrap());
    let (now, peer, live) = (pair.clock(), pair.ends[BOB].id(), pair.ends[BOB].path);
    let End { sessions, random, .. } = &mut pair.ends[ALICE];
    sessions.connect(LOCAL, peer, &[(dead, None), (live, None)], now, random);
    pair.drain(ALICE);
    pair.run(ms(249));
    assert!(pair.log.iter().all(|(_, transmit)| transmit.path == dead));
    pair.run(ms(42));
    let inits: Vec<_> = pair.sent(ALICE, kind::HS_INIT);
    assert_ne!(inits[0][8..107], inits.last().unwrap()[8..107]);
    assert_eq!(pair.ends[ALICE].sessions.stats(pair.session(ALICE)).unwrap().path, live);
    let before = pair.log.len();
    pair.run(ms(1_000));
    assert!(pair.log[before..].iter().all(|(_, transmit)| transmit.path != dead), "the other path is given up");
}

#[test]
fn a_dial_without_a_path_fails_at_once() {
    let mut pair = Pair::new(1);
    let (now, peer) = (pair.clock(), pair.ends[BOB].id());
    let End { sessions, random, .. } = &mut pair.ends[ALICE];
    sessions.connect(LOCAL, peer, &[], now, random);
    let why = ConnectError::NoPath;
    assert_eq!(sessions.poll_event(), Some(SessionEvent::ConnectFailed { local: LOCAL, peer, why }));
}

#[test]
fn a_second_dial_to_the_same_peer_does_nothing() {
    let (mut pair, _) = Pair::connected(1);
    pair.dial(ALICE);
    pair.dial(BOB);
    pair.run(ms(1_000));
    assert!(pair.sent(ALICE, kind::HS_INIT).is_empty() && pair.sent(BOB, kind::HS_INIT).is_empty());
}

#[test]
fn both_sides_read_the_same_words_and_no_others() {
    let (pair, [alice, bob]) = Pair::connected(1);
    let digest = |who: usize, session, nonces| pair.ends[who].sessions.verification_digest(session, nonces);
    let ours = digest(ALICE, alice, [&[1; 16], &[2; 16]]);
    assert_eq!(ours, digest(BOB, bob, [&[1; 16], &[2; 16]]));
    assert_ne!(ours, digest(BOB, bob, [&[2; 16], &[1; 16]]));
    let (other, [alice, _]) = Pair::connected(2);
    assert_ne!(ours, other.ends[ALICE].sessions.verification_digest(alice, [&[1; 16], &[2; 16]]));
}
