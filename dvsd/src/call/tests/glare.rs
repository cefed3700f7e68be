// SPDX-License-Identifier: GPL-3.0-or-later
//! Both dial.

use super::*;

/// Both are in one and the same call, and media flows.
#[track_caller]
fn assert_joined(pair: &Pair, seed: u64) {
    assert_eq!(pair.states(), [State::Active; 2], "seed {seed}");
    assert_eq!(pair.media(), [true; 2], "seed {seed}");
    let [a, b] = [0, 1].map(|end| pair.ends[end].views.values().filter(|view| is_between(pair, end, view)).count());
    assert_eq!((a, b), (1, 1), "seed {seed}");
}

/// Whether `view` is a call of `end` with the other, and not over.
fn is_between(pair: &Pair, end: usize, view: &CallView) -> bool {
    view.key == pair.ends[end].key && view.state != State::Ended
}

/// Dials from both ends, the second `apart` after the first, unless the second is in the call already.
fn cross(pair: &mut Pair, first: usize, apart: Duration) {
    pair.dial(first);
    pair.run(apart);
    if pair.ends[1 - first].calls.calls().next().is_none_or(|call| call.state == State::Alerting) {
        pair.dial(1 - first);
    }
}

#[test]
fn crossed_dials_join_within_a_round_trip() {
    let mut pair = Pair::connected();
    pair.dial(0);
    pair.dial(1);
    pair.run(DELAY * 2);
    assert_joined(&pair, 0);
    assert_eq!([0, 1].map(|end| pair.ends[end].last().direction), [Direction::Outgoing; 2]);
    assert!(!pair.ends[0].rung && !pair.ends[1].rung);
}

#[test]
fn d35_of_two_crossed_calls_the_lower_ids_goes_on() {
    let mut pair = Pair::connected();
    pair.dial(1);
    pair.dial(0);
    pair.run(secs(1));
    let Frame::CallInitiate { call_id, .. } = pair.ends[0].sent[0] else { panic!("no invitation") };
    assert_eq!(pair.ends[0].sent.len(), 1);
    assert_eq!(pair.ends[1].sent[1..], [Frame::CallAnswer { call_id }]);
}

#[test]
fn an_invitation_that_lost_does_not_come_back_minutes_later() {
    let mut pair = Pair::connected();
    pair.dial(0);
    pair.dial(1);
    pair.run(secs(60));
    let again = pair.ends[1].sent[0].clone();
    pair.schedule(pair.now, Later::Frame(0, again));
    pair.run(secs(1));
    assert_joined(&pair, 0);
}

#[test]
fn d36_dialling_a_peer_that_rings_here_answers_it() {
    let mut pair = Pair::connected();
    pair.dial(0);
    pair.run(secs(1));
    pair.dial(1);
    pair.run(DELAY);
    assert_joined(&pair, 0);
    assert_eq!(pair.ends[1].views.len(), 1);
}

#[test]
fn dialling_a_peer_that_rings_unheard_answers_it_too() {
    let mut pair = Pair::connected();
    pair.ends[1].verdict = Verdict::Silent;
    pair.dial(0);
    pair.run(secs(1));
    pair.dial(1);
    pair.run(DELAY);
    assert_joined(&pair, 0);
}

#[test]
fn d36_an_invitation_from_a_peer_still_searched_for_is_answered_whatever_the_ids() {
    for (first, second) in [(0, 1), (1, 0)] {
        let mut pair = Pair::new(3);
        pair.dial(second);
        let (now, key) = (pair.now(), pair.ends[second].key);
        let End { calls, random, .. } = &mut pair.ends[second];
        let invitation = Frame::CallInitiate { call_id: 7, attempt: 1, max_tries: 1 };
        calls.handle_frame(key, invitation, || unreachable!("the user dialled"), now, random);
        pair.drain(second);
        assert_eq!(pair.ends[second].last().state, State::Active);
        assert_eq!(pair.ends[second].sent, [Frame::CallAnswer { call_id: 7 }]);
        assert!(pair.ends[first].views.is_empty());
    }
}

#[test]
fn f18_ten_thousand_crossed_dials_all_join() {
    let mut random = Random::seeded(12);
    for seed in 0..10_000 {
        let mut pair = Pair::new(seed);
        pair.delay = Duration::from_micros(random.below(300_000));
        pair.lookup = Duration::from_micros(random.below(500_000));
        let apart = Duration::from_micros(random.below(2_000_000));
        cross(&mut pair, random.below(2) as usize, apart);
        pair.run(secs(3));
        assert_joined(&pair, seed);
        pair.hangup(random.below(2) as usize);
        pair.run(secs(3));
        assert!(pair.ends.iter().all(|end| end.calls.is_empty()), "seed {seed}");
        assert_eq!(pair.media(), [false; 2], "seed {seed}");
    }
}

#[test]
fn crossed_dials_join_although_their_session_is_replaced() {
    let mut random = Random::seeded(13);
    for seed in 0..10_000 {
        let mut pair = Pair::new(seed);
        pair.delay = Duration::from_micros(random.below(200_000));
        let apart = Duration::from_micros(random.below(600_000));
        cross(&mut pair, random.below(2) as usize, apart);
        for _ in 0..=random.below(2) {
            pair.run(Duration::from_micros(random.below(500_000)));
            pair.replace_session(&mut random);
        }
        pair.run(secs(4));
        assert_joined(&pair, seed);
    }
}

/// End 1 talks to a third, so that end 0 hears "busy"; then end 1 dials end 0, at any moment.
fn dial_each_other_around_busy(pair: &mut Pair, options: DialOptions, random: &mut Random) {
    pair.engage(1);
    pair.dial_with(0, options);
    pair.run(Duration::from_micros(random.below(40_000_000)));
    if random.below(3) == 0 {
        pair.replace_session(random);
    }
    match random.below(3) {
        0 => pair.release(1),
        _ => drop(pair.act(1, |calls, _, now| calls.hold(None, Some(true), now))),
    }
    pair.run(Duration::from_micros(random.below(100_000)));
    pair.dial(1);
}

#[test]
fn f18_d36_whoever_is_told_busy_waits_or_tries_again_and_is_dialled_is_talked_to() {
    let mut random = Random::seeded(14);
    let mut answered = 0;
    for seed in 0..5_000 {
        let mut pair = Pair::connected();
        pair.delay = Duration::from_micros(random.below(100_000));
        let options = DialOptions { tries: Some(2 + random.below(19) as u8), wait: random.below(2) == 0 };
        dial_each_other_around_busy(&mut pair, options, &mut random);
        pair.run(secs(4));
        assert_joined(&pair, seed);
        answered += usize::from(pair.ends[1].views.len() == 2);
    }
    assert!(answered > 4_000, "most are the call that was there: {answered}");
}

#[test]
fn f18_d36_a_peer_that_forgot_us_and_dials_is_answered_by_whoever_waits_for_it() {
    for (own, peer) in [(0, 1), (1, 0)] {
        for stand in 0..3 {
            let mut pair = Pair::connected();
            pair.dial_with(own, DialOptions { tries: Some(9), wait: stand > 0 });
            pair.run(Duration::ZERO);
            pair.later.clear();
            let Frame::CallInitiate { call_id, .. } = pair.ends[own].sent[0] else { panic!("no invitation") };
            pair.schedule(pair.now, Later::Frame(own, Frame::CallBusy { call_id, can_wait: true, ttw: 120 }));
            if stand == 2 {
                let placed = Frame::CallWaitingReply { call_id, ok: true, ttw: 120 };
                pair.schedule(pair.now, Later::Frame(own, placed));
            }
            pair.run(Duration::ZERO);
            pair.later.clear();
            assert_eq!(pair.ends[own].last().state, [State::Busy, State::Busy, State::Waiting][stand]);
            pair.dial(peer);
            pair.run(secs(1));
            assert_joined(&pair, 0);
        }
    }
}
