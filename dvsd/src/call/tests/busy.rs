// SPDX-License-Identifier: GPL-3.0-or-later
//! The peer is in another call: trying again, waiting in its queue, and giving up.

use super::*;

fn options(tries: u8, wait: bool) -> DialOptions {
    DialOptions { tries: Some(tries), wait }
}

fn is_invitation(frame: &Frame) -> bool {
    matches!(frame, Frame::CallInitiate { .. })
}

/// End 0 has called end 1, which talks to a third.
fn busy(options: DialOptions) -> Pair {
    let mut pair = Pair::connected();
    pair.engage(1);
    pair.dial_with(0, options);
    pair.run(secs(1));
    pair
}

/// End 0 waits for end 1.
fn waiting() -> Pair {
    let pair = busy(options(1, true));
    assert_eq!(pair.states(), [State::Waiting; 2]);
    pair
}

/// Seconds from now until what end 0 waits for.
fn left(pair: &Pair) -> u64 {
    let until = pair.ends[0].last().until.expect("a time");
    assert_eq!(until.unix - pair.now().unix, until.mono.since(pair.now).as_secs());
    until.mono.since(pair.now).as_secs()
}

#[test]
fn d34_a_busy_peer_is_called_again_by_the_same_name_until_it_rings() {
    let mut pair = busy(options(3, false));
    assert_eq!(pair.states(), [State::Busy; 2]);
    let view = *pair.ends[0].last();
    assert_eq!((view.attempt, view.tries, view.can_wait, left(&pair)), (1, 3, true, 29));
    pair.run(secs(30));
    assert_eq!(pair.states(), [State::Busy; 2]);
    assert_eq!((pair.ends[0].last().attempt, pair.ends[1].last().attempt), (2, 2));
    pair.release(1);
    pair.run(secs(30));
    assert_eq!(pair.states(), [State::Ringing, State::Alerting]);
    let ids = pair.ends[0].sent.iter().filter_map(|frame| match *frame {
        Frame::CallInitiate { call_id, attempt, max_tries: 3 } => Some((call_id, attempt)),
        _ => None,
    });
    let ids: Vec<_> = ids.collect();
    assert_eq!(ids, [(ids[0].0, 1), (ids[0].0, 2), (ids[0].0, 3)]);
    let calls = pair.ends[1].views.values().filter(|view| view.key == pair.ends[1].key).count();
    assert_eq!(calls, 1, "one call however often it is tried");
}

#[test]
fn the_number_of_tries_is_honoured() {
    for tries in 1..=4 {
        let mut pair = busy(options(tries, false));
        pair.run(secs(30 * u64::from(tries) + 15));
        assert_eq!(pair.causes(), [Some(EndCause::Busy), Some(EndCause::MissedBusy)]);
        assert_eq!(pair.ends[0].count(is_invitation), usize::from(tries));
        assert_eq!(pair.ends[1].states(), [State::Active]);
    }
}

#[test]
fn tries_are_between_one_and_twenty_and_as_configured_unless_the_dial_says_so() {
    for (asked, made) in [(Some(0), 1), (Some(7), 7), (Some(255), 20), (None, 4)] {
        let mut pair = Pair::connected();
        let config = CallConfig { max_tries: 4, ..CallConfig::default() };
        pair.ends[0].calls = Calls::new(config);
        pair.dial_with(0, DialOptions { tries: asked, wait: false });
        assert_eq!(pair.ends[0].last().tries, made);
    }
}

#[test]
fn a_peer_cannot_make_its_caller_hurry_or_wait_without_end() {
    for (ttw, expected) in [(0, 5), (4, 5), (60, 60), (u16::MAX, 120)] {
        let mut pair = Pair::connected();
        pair.dial_with(0, options(2, false));
        pair.run(Duration::from_millis(1));
        let Frame::CallInitiate { call_id, .. } = pair.ends[0].sent[0] else { panic!("no invitation") };
        pair.later.clear();
        pair.schedule(pair.now, Later::Frame(0, Frame::CallBusy { call_id, can_wait: false, ttw }));
        pair.run(Duration::ZERO);
        assert_eq!(left(&pair), expected);
        pair.run(secs(expected));
        assert_eq!(pair.ends[0].count(is_invitation), 2);
    }
}

#[test]
fn who_decides_nothing_about_a_busy_peer_is_given_up_after_fifteen_seconds() {
    let mut pair = busy(options(1, false));
    assert_eq!(left(&pair), 14);
    pair.run(secs(13));
    assert_eq!(pair.states(), [State::Busy; 2]);
    pair.run(secs(2));
    assert_eq!(pair.causes(), [Some(EndCause::Busy), Some(EndCause::MissedBusy)]);
}

#[test]
fn where_nobody_can_wait_and_no_try_is_left_busy_is_the_end() {
    let mut pair = Pair::connected();
    pair.engage(1);
    for peer in 0x40..0x43 {
        let key = CallKey { peer: NodeId([peer; 20]), ..pair.ends[1].key };
        let now = pair.now();
        let End { calls, random, verdict, .. } = &mut pair.ends[1];
        calls.handle_frame(key, Frame::CallInitiate { call_id: 1, attempt: 1, max_tries: 1 }, || *verdict, now, random);
        calls.handle_frame(key, Frame::CallWaiting { call_id: 1, want: true }, || *verdict, now, random);
        pair.drain(1);
    }
    pair.dial(0);
    pair.run(DELAY * 2);
    assert_eq!(pair.causes(), [Some(EndCause::Busy), Some(EndCause::MissedBusy)]);
    pair.dial_with(0, options(2, false));
    pair.run(DELAY * 2);
    assert_eq!(pair.states(), [State::Busy; 2]);
    assert!(!pair.ends[0].last().can_wait);
    assert!(matches!(pair.wait(0, true), Err(CallError::NoRoom(_))));
}

#[test]
fn a_hang_up_while_busy_ends_at_once_and_rings_nowhere() {
    let mut pair = busy(options(20, false));
    pair.hangup(0);
    assert_eq!(pair.ends[0].last().state, State::Ended);
    assert_eq!(pair.causes()[0], Some(EndCause::HungUp));
    pair.run(secs(1));
    assert_eq!(pair.causes()[1], Some(EndCause::MissedBusy));
    pair.release(1);
    pair.run(secs(600));
    assert!(!pair.ends[1].rung);
    assert_eq!(pair.ends[0].count(is_invitation), 1);
}

#[test]
fn a_caller_waits_gets_a_time_and_is_talked_to_when_its_turn_comes() {
    let mut pair = busy(options(1, false));
    pair.wait(0, true).unwrap();
    assert_eq!(pair.states(), [State::Busy; 2], "only asked so far");
    pair.run(secs(1));
    assert_eq!(pair.states(), [State::Waiting; 2]);
    assert_eq!(left(&pair), 119);
    assert_eq!(pair.ends[1].last().direction, Direction::Incoming);
    pair.release(1);
    pair.run(secs(1));
    assert_eq!(pair.states(), [State::Ringing, State::Alerting]);
    assert_eq!(pair.media(), [false; 2]);
    pair.answer(1);
    pair.run(secs(1));
    assert_eq!(pair.states(), [State::Active; 2]);
    assert_eq!(pair.media(), [true; 2]);
    assert_eq!(pair.ends[0].count(is_invitation), 1);
}

#[test]
fn p01_whose_turn_it_is_still_needs_the_answer_of_a_person() {
    for verdict in [Verdict::Ring { contact: true }, Verdict::AutoAnswer] {
        let mut pair = Pair::connected();
        pair.engage(1);
        pair.ends[1].verdict = verdict;
        pair.dial_with(0, options(1, true));
        pair.run(secs(1));
        let starts = pair.ends[1].starts;
        pair.release(1);
        pair.run(secs(60));
        assert_eq!(pair.states(), [State::Ringing, State::Alerting]);
        assert_eq!((pair.media(), pair.ends[1].starts), ([false; 2], starts));
    }
}

#[test]
fn p01_a_further_try_opens_no_microphone_before_the_answer() {
    let mut pair = busy(options(2, false));
    pair.release(1);
    pair.run(secs(31));
    assert_eq!(pair.states(), [State::Ringing, State::Alerting]);
    assert_eq!((pair.media(), pair.ends[0].starts), ([false; 2], 0));
    pair.answer(1);
    pair.run(secs(1));
    assert_eq!(pair.media(), [true; 2]);
}

#[test]
fn a_turn_that_nobody_answers_is_a_missed_call() {
    let mut pair = waiting();
    pair.release(1);
    pair.run(secs(62));
    assert_eq!(pair.causes(), [Some(EndCause::NoAnswer), Some(EndCause::Missed)]);
}

#[test]
fn a_place_is_renewed_as_long_as_its_caller_waits_but_not_for_ever() {
    let mut pair = waiting();
    pair.run(secs(29 * 60));
    assert_eq!(pair.states(), [State::Waiting; 2]);
    assert!(left(&pair) >= 19, "renewed in time");
    assert!(pair.ends[0].count(|frame| matches!(frame, Frame::CallWaiting { want: true, .. })) >= 17);
    pair.run(secs(4 * 60));
    assert_eq!(pair.causes(), [Some(EndCause::Busy), Some(EndCause::MissedBusy)]);
}

#[test]
fn a_place_that_is_not_renewed_is_lost_on_both_sides() {
    let mut pair = waiting();
    pair.run(secs(90));
    // Nothing arrives any more.
    for _ in 0..400 {
        pair.later.clear();
        pair.run(Duration::from_millis(100));
    }
    assert_eq!(pair.causes(), [Some(EndCause::Busy), Some(EndCause::MissedBusy)]);
}

#[test]
fn a_wish_to_wait_that_is_not_replied_to_within_five_seconds_is_given_up() {
    for (tries, then) in [(1, State::Ended), (2, State::Busy)] {
        let mut pair = busy(options(tries, false));
        pair.wait(0, true).unwrap();
        pair.later.clear();
        pair.run(Duration::from_millis(4_999));
        assert_eq!(pair.ends[0].last().state, State::Busy);
        pair.run(Duration::from_millis(2));
        assert_eq!(pair.ends[0].last().state, then);
        assert!(then == State::Ended || !pair.ends[0].last().can_wait);
    }
}

#[test]
fn a_caller_who_may_not_wait_tries_again() {
    let mut pair = busy(options(2, false));
    pair.wait(0, true).unwrap();
    pair.later.clear();
    let Frame::CallInitiate { call_id, .. } = pair.ends[0].sent[0] else { panic!("no invitation") };
    pair.schedule(pair.now, Later::Frame(0, Frame::CallWaitingReply { call_id, ok: false, ttw: 0 }));
    pair.run(secs(1));
    assert_eq!(pair.ends[0].last().state, State::Busy);
    pair.run(secs(30));
    assert_eq!(pair.ends[0].count(is_invitation), 2);
}

#[test]
fn who_leaves_the_queue_does_not_ring_when_the_line_is_free() {
    let mut pair = waiting();
    pair.wait(0, false).unwrap();
    pair.run(secs(1));
    assert_eq!(pair.states(), [State::Busy; 2]);
    pair.release(1);
    pair.run(secs(20));
    assert!(!pair.ends[1].rung);
    assert_eq!(pair.causes()[0], Some(EndCause::Busy));
}

#[test]
fn a_hang_up_while_waiting_gives_the_place_back() {
    let mut pair = waiting();
    pair.hangup(0);
    pair.run(secs(1));
    assert_eq!(pair.causes(), [Some(EndCause::HungUp), Some(EndCause::MissedBusy)]);
    pair.release(1);
    assert!(!pair.ends[1].rung);
}

#[test]
fn a_caller_who_is_told_busy_or_waits_can_be_taken_at_once() {
    for wait in [false, true] {
        let mut pair = busy(options(1, wait));
        pair.answer(1);
        assert_eq!(pair.ends[1].states(), [State::Active, State::Held], "the third is held");
        pair.run(secs(1));
        assert_eq!(pair.states(), [State::Active; 2]);
        assert_eq!(pair.media(), [true; 2]);
    }
}

#[test]
fn a_caller_who_is_told_busy_or_waits_can_be_declined_and_stays_declined() {
    for wait in [false, true] {
        let mut pair = busy(options(3, wait));
        pair.decline(1);
        pair.run(secs(1));
        assert_eq!(pair.causes(), [Some(EndCause::Declined), Some(EndCause::DeclinedHere)]);
        let Frame::CallInitiate { call_id, .. } = pair.ends[0].sent[0] else { panic!("no invitation") };
        pair.run(secs(30));
        pair.schedule(pair.now, Later::Frame(1, Frame::CallInitiate { call_id, attempt: 2, max_tries: 3 }));
        pair.run(Duration::ZERO);
        assert_eq!(
            pair.ends[1].sent.last(),
            Some(&Frame::CallInitiateReply { call_id, ok: false, reason: Reason::Declined })
        );
        assert_eq!(pair.ends[1].states(), [State::Active]);
    }
}

#[test]
fn waiting_means_something_only_for_a_busy_peer() {
    let mut pair = Pair::connected();
    assert_eq!(pair.wait(0, true), Err(CallError::NoSuchCall));
    pair.dial(0);
    pair.run(secs(1));
    assert!(matches!(pair.wait(0, true), Err(CallError::NotBusy(_))));
    pair.answer(1);
    pair.run(secs(1));
    assert!(matches!(pair.wait(0, false), Err(CallError::NotBusy(_))));
}

#[test]
fn busy_and_waiting_survive_their_session() {
    let mut random = Random::seeded(6);
    for wait in [false, true] {
        for _ in 0..200 {
            let mut pair = busy(options(20, wait));
            for _ in 0..3 {
                pair.run(Duration::from_micros(random.below(3_000_000)));
                pair.replace_session(&mut random);
            }
            pair.run(secs(2));
            let state = if wait { State::Waiting } else { State::Busy };
            assert_eq!(pair.states(), [state; 2]);
            pair.release(1);
            pair.run(secs(60));
            assert_eq!(pair.states(), [State::Ringing, State::Alerting]);
            pair.answer(1);
            pair.run(secs(1));
            assert_eq!(pair.media(), [true; 2]);
        }
    }
}

#[test]
fn a_wish_to_wait_survives_its_session() {
    let mut random = Random::seeded(7);
    for _ in 0..500 {
        let mut pair = busy(options(1, false));
        pair.wait(0, true).unwrap();
        pair.run(Duration::from_micros(random.below(50_000)));
        pair.replace_session(&mut random);
        pair.run(secs(2));
        assert_eq!(pair.states(), [State::Waiting; 2]);
    }
}

#[test]
fn a_busy_peer_that_restarted_rings_at_once() {
    for wait in [false, true] {
        let mut pair = busy(options(2, wait));
        pair.restart(1);
        pair.run(secs(1));
        assert_eq!(pair.states(), [State::Ringing, State::Alerting]);
    }
}

#[test]
fn a_caller_that_restarted_loses_its_place() {
    let mut pair = waiting();
    pair.restart(0);
    pair.run(secs(1));
    assert_eq!(pair.ends[1].last().cause, Some(EndCause::MissedBusy));
    assert_eq!(pair.ends[1].states(), [State::Active]);
}

#[test]
fn a_shutdown_ends_the_wait_on_both_sides() {
    for closing in [0, 1] {
        let mut pair = waiting();
        pair.report(closing, |calls, _, now| calls.end_all(Reason::GoingAway, now));
        pair.run(secs(1));
        let missed = Some(EndCause::MissedBusy);
        assert_eq!(pair.causes(), [Some(EndCause::GoingAway), missed]);
    }
}

#[test]
fn a_caller_that_is_busy_or_waits_is_watched_on_both_sides() {
    for wait in [false, true] {
        let pair = busy(options(2, wait));
        for end in &pair.ends {
            assert!(end.calls.live[&end.key].watched);
        }
    }
}
