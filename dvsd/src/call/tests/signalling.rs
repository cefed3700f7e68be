// SPDX-License-Identifier: GPL-3.0-or-later
//! A call between two daemons, from dialling to every kind of end.

use super::*;

#[test]
fn a_call_is_dialled_rung_answered_and_hung_up() {
    let mut pair = Pair::new(1);
    pair.dial(0);
    pair.run(Duration::from_millis(1));
    assert_eq!(pair.ends[0].last().state, State::Lookup);
    pair.run(secs(1));
    assert_eq!(pair.states(), [State::Ringing, State::Alerting]);
    assert_eq!(pair.media(), [false; 2]);
    pair.answer(1);
    pair.run(secs(7));
    assert_eq!(pair.states(), [State::Active; 2]);
    assert_eq!(pair.media(), [true; 2]);
    pair.hangup(0);
    assert_eq!(pair.media(), [false, true]);
    pair.run(secs(1));
    assert_eq!(pair.causes(), [Some(EndCause::HungUp), Some(EndCause::PeerHungUp)]);
    assert_eq!(pair.media(), [false; 2]);
    let past = pair.ends[1].last().past().unwrap();
    assert_eq!((past.talked, past.direction), (Some(7), Direction::Incoming));
}

#[test]
fn signalling_adds_no_wait_of_its_own() {
    let mut pair = Pair::new(1);
    pair.dial(0);
    pair.run(LOOKUP + DELAY * 2 + DELAY * 2);
    assert_eq!(pair.states(), [State::Ringing, State::Alerting]);
    assert_eq!(pair.ends[0].last().found_after, Some(LOOKUP));
    assert_eq!(pair.ends[0].last().rang_after, Some(LOOKUP + DELAY * 4));
    pair.answer(1);
    assert_eq!(pair.media(), [false, true]);
    pair.run(DELAY);
    assert_eq!(pair.media(), [true, true]);
}

#[test]
fn with_a_session_standing_the_invitation_leaves_at_once() {
    let mut pair = Pair::connected();
    pair.dial(0);
    pair.run(DELAY * 2);
    assert_eq!(pair.states(), [State::Ringing, State::Alerting]);
}

#[test]
fn d32_a_declined_call_says_so() {
    let mut pair = Pair::connected();
    pair.dial(0);
    pair.run(secs(1));
    pair.decline(1);
    pair.run(secs(1));
    assert_eq!(pair.causes(), [Some(EndCause::Declined), Some(EndCause::DeclinedHere)]);
    assert_eq!(pair.ends[0].starts + pair.ends[1].starts, 0);
}

#[test]
fn nobody_answers_within_a_minute() {
    let mut pair = Pair::connected();
    pair.dial(0);
    pair.run(secs(60));
    assert_eq!(pair.states(), [State::Ringing, State::Alerting]);
    pair.run(secs(1));
    assert_eq!(pair.causes(), [Some(EndCause::NoAnswer), Some(EndCause::Missed)]);
}

#[test]
fn a_caller_who_rings_on_is_told_after_65_seconds() {
    let mut pair = Pair::connected();
    pair.ends[0].calls = Calls::new(CallConfig { ring: secs(300), ..CallConfig::default() });
    pair.dial(0);
    pair.run(secs(66));
    assert_eq!(pair.causes(), [Some(EndCause::NoAnswer), Some(EndCause::Missed)]);
}

#[test]
fn a_caller_who_hangs_up_leaves_a_missed_call() {
    let mut pair = Pair::connected();
    pair.dial(0);
    pair.run(secs(1));
    pair.hangup(0);
    pair.run(secs(1));
    assert_eq!(pair.causes(), [Some(EndCause::HungUp), Some(EndCause::Missed)]);
}

#[test]
fn d31_an_unwelcome_caller_hears_ringing_and_disturbs_nobody() {
    let mut pair = Pair::connected();
    pair.ends[1].verdict = Verdict::Silent;
    pair.dial(0);
    pair.run(secs(59));
    assert_eq!(pair.ends[0].last().state, State::Ringing);
    assert!(pair.ends[1].views.is_empty());
    assert_eq!(pair.ends[1].calls.calls().count(), 0);
    pair.run(secs(2));
    assert_eq!(pair.causes(), [Some(EndCause::NoAnswer), Some(EndCause::Missed)]);
    assert!(!pair.ends[1].rung);
}

#[test]
fn d31_a_rejected_caller_is_told_no_after_one_to_three_seconds() {
    let mut pair = Pair::connected();
    pair.ends[1].verdict = Verdict::Reject;
    pair.dial(0);
    pair.run(secs(1));
    assert_eq!(pair.ends[0].last().state, State::Calling);
    pair.run(secs(2) + DELAY * 2);
    assert_eq!(pair.ends[0].last().cause, Some(EndCause::Declined));
    assert!(pair.ends[1].views.is_empty());
}

#[test]
fn d31_a_blocked_caller_gets_no_reply() {
    let mut pair = Pair::connected();
    pair.ends[1].verdict = Verdict::Blocked;
    pair.dial(0);
    pair.run(secs(5));
    assert_eq!(pair.ends[0].last().cause, Some(EndCause::NoReply));
    assert!(pair.ends[1].sent.is_empty());
    assert!(pair.ends[1].views.is_empty());
}

#[test]
fn a_contact_is_answered_without_asking_where_so_configured() {
    let mut pair = Pair::connected();
    pair.ends[1].verdict = Verdict::AutoAnswer;
    pair.dial(0);
    pair.run(DELAY * 2);
    assert_eq!(pair.states(), [State::Active; 2]);
    assert_eq!(pair.media(), [true; 2]);
}

#[test]
fn who_is_not_in_the_overlay_is_not_found() {
    let mut pair = Pair::new(1);
    pair.lookup = secs(1_000);
    pair.dial(0);
    pair.run(secs(14));
    assert_eq!(pair.ends[0].last().state, State::Lookup);
    pair.run(secs(1));
    assert_eq!(pair.ends[0].last().cause, Some(EndCause::NotFound));
}

#[test]
fn routing_and_sessions_may_say_earlier_why_it_cannot_work() {
    for why in [EndCause::Offline, EndCause::KeyChanged, EndCause::Unreachable] {
        let mut pair = Pair::new(1);
        pair.dial(0);
        pair.report(0, |calls, key, now| calls.peer_not_found(key, why, now));
        assert_eq!(pair.ends[0].last().cause, Some(why));
    }
}

#[test]
fn who_is_found_but_does_not_speak_is_unreachable() {
    let mut pair = Pair::new(1);
    pair.reachable = false;
    pair.dial(0);
    pair.run(secs(22));
    assert_eq!(pair.ends[0].last().state, State::Connecting);
    pair.run(secs(1));
    assert_eq!(pair.ends[0].last().cause, Some(EndCause::Unreachable));
}

#[test]
fn a_hang_up_before_anything_was_sent_sends_nothing() {
    let mut pair = Pair::new(1);
    pair.dial(0);
    pair.hangup(0);
    pair.run(secs(30));
    assert_eq!(pair.ends[0].last().cause, Some(EndCause::HungUp));
    assert!(pair.ends[0].sent.is_empty());
}

#[test]
fn a_hang_up_ends_here_even_if_nobody_confirms() {
    let mut pair = Pair::talking();
    pair.hangup(0);
    pair.later.clear();
    assert_eq!(pair.states(), [State::Ending, State::Active]);
    pair.run(secs(3));
    assert_eq!(pair.ends[0].last().state, State::Ended);
}

#[test]
fn d33_two_hang_ups_that_cross_confirm_each_other() {
    let mut pair = Pair::talking();
    pair.hangup(0);
    pair.hangup(1);
    assert_eq!(pair.states(), [State::Ending; 2]);
    pair.run(DELAY);
    assert_eq!(pair.causes(), [Some(EndCause::HungUp); 2]);
    for end in &pair.ends {
        assert!(matches!(end.sent.last(), Some(Frame::CallTerminateReply { ok: true, .. })));
    }
}

#[test]
fn while_one_call_ends_the_next_can_be_dialled() {
    let mut pair = Pair::talking();
    pair.hangup(0);
    pair.dial(0);
    pair.run(secs(1));
    assert_eq!(pair.states(), [State::Ringing, State::Alerting]);
    assert_eq!(pair.ends[0].views.len(), 2);
}

#[test]
fn d39_on_hold_nobody_sends() {
    let mut pair = Pair::talking();
    pair.hold(0, true);
    pair.run(secs(1));
    assert_eq!(pair.states(), [State::Held; 2]);
    assert_eq!(pair.media(), [false; 2]);
    assert!(pair.ends[0].last().held_here && pair.ends[1].last().held_there);
    pair.hold(1, true);
    pair.hold(0, false);
    pair.run(secs(1));
    assert_eq!(pair.states(), [State::Held; 2]);
    pair.hold(1, false);
    pair.run(secs(1));
    assert_eq!(pair.media(), [true; 2]);
}

#[test]
fn a_session_in_doubt_is_shown_until_the_peer_is_heard_again() {
    let mut pair = Pair::talking();
    for recover in [
        |calls: &mut Calls, key, now| calls.session_unstable(key, false, now),
        |calls: &mut Calls, key, now| calls.session_recovered(key, now),
        |calls: &mut Calls, key, now| calls.session_moved(key, now),
    ] {
        pair.report(0, |calls, key, now| calls.session_unstable(key, true, now));
        assert!(pair.ends[0].last().unstable);
        assert_eq!((pair.states(), pair.media()), ([State::Active; 2], [true; 2]));
        pair.report(0, recover);
        assert!(!pair.ends[0].last().unstable);
    }
}

#[test]
fn after_ten_seconds_of_silence_media_stops_and_may_come_back() {
    let mut pair = Pair::talking();
    pair.report(0, Calls::session_lost);
    assert_eq!(pair.states(), [State::Reconnecting, State::Active]);
    assert_eq!(pair.media(), [false, true]);
    pair.run(secs(15));
    pair.report(0, Calls::session_recovered);
    pair.run(secs(100));
    assert_eq!(pair.states(), [State::Active; 2]);
    assert_eq!(pair.media(), [true; 2]);
}

#[test]
fn after_thirty_seconds_of_silence_the_peer_is_lost() {
    let mut pair = Pair::talking();
    pair.report(0, Calls::session_lost);
    pair.later.clear();
    pair.run(secs(20));
    assert_eq!(pair.ends[0].last().cause, Some(EndCause::PeerLost));
    pair.report(1, |calls, key, now| calls.session_closed(key, Reason::PeerLost, now));
    assert_eq!(pair.ends[1].last().cause, Some(EndCause::PeerLost));
}

#[test]
fn a_call_survives_its_session_in_every_state() {
    let mut pair = Pair::connected();
    let mut random = Random::seeded(5);
    pair.dial(0);
    pair.replace_session(&mut random);
    pair.run(secs(1));
    pair.replace_session(&mut random);
    pair.run(secs(1));
    assert_eq!(pair.states(), [State::Ringing, State::Alerting]);
    pair.answer(1);
    pair.replace_session(&mut random);
    pair.run(secs(1));
    assert_eq!(pair.states(), [State::Active; 2]);
    pair.hold(1, true);
    pair.replace_session(&mut random);
    pair.run(secs(1));
    assert_eq!(pair.states(), [State::Held; 2]);
    pair.hangup(0);
    pair.replace_session(&mut random);
    pair.run(secs(1));
    assert_eq!(pair.causes(), [Some(EndCause::HungUp), Some(EndCause::PeerHungUp)]);
    assert_eq!(pair.ends[1].views.len(), 1);
}

#[test]
fn a_peer_that_restarted_ends_the_call_as_soon_as_it_is_back() {
    for restarted in [0, 1] {
        let mut pair = Pair::talking();
        pair.restart(restarted);
        pair.run(secs(1));
        assert_eq!(pair.ends[1 - restarted].last().cause, Some(EndCause::PeerRestarted));
        assert!(pair.ends[restarted].views.is_empty());
    }
}

#[test]
fn a_caller_that_restarted_does_not_leave_the_callee_ringing() {
    let mut pair = Pair::connected();
    pair.dial(0);
    pair.run(secs(1));
    pair.restart(0);
    pair.run(secs(1));
    assert_eq!(pair.ends[1].last().cause, Some(EndCause::Missed));
}

#[test]
fn whoever_is_left_for_an_older_invitation_of_the_same_peer_learns_so() {
    let mut pair = Pair::connected();
    pair.ends[1].verdict = Verdict::AutoAnswer;
    pair.dial(0);
    pair.run(secs(1));
    assert_eq!(pair.states(), [State::Active; 2]);
    // An invitation that the peer sent before it was started again, under way until now.
    let late = Frame::CallInitiate { call_id: 1, attempt: 1, max_tries: 1 };
    pair.schedule(pair.now, Later::Frame(1, late));
    pair.run(secs(10));
    assert!(pair.ends.iter().all(|end| end.calls.is_empty() && !end.media));
}

#[test]
fn a_callee_that_restarted_rings_again() {
    let mut pair = Pair::connected();
    pair.dial(0);
    pair.run(secs(1));
    pair.restart(1);
    pair.run(secs(1));
    assert_eq!(pair.states(), [State::Ringing, State::Alerting]);
}

#[test]
fn a_caller_who_comes_back_on_another_session_rings_again() {
    let mut pair = Pair::connected();
    pair.dial(0);
    pair.run(secs(1));
    pair.report(1, |calls, key, now| calls.session_closed(key, Reason::PeerLost, now));
    assert_eq!(pair.ends[1].last().cause, Some(EndCause::Missed));
    pair.report(0, Calls::session_moved);
    pair.run(secs(1));
    assert_eq!(pair.states(), [State::Ringing, State::Alerting]);
}

#[test]
fn a_shutdown_tells_the_peer_in_every_state() {
    for ring in [false, true] {
        let mut pair = if ring { Pair::connected() } else { Pair::talking() };
        if ring {
            pair.dial(0);
            pair.run(secs(1));
        }
        pair.report(1, |calls, _, now| calls.end_all(Reason::GoingAway, now));
        assert!(pair.ends[1].calls.is_empty());
        pair.run(secs(1));
        assert_eq!(pair.causes()[0], Some(EndCause::GoingAway));
        let (now, key) = (pair.now(), pair.ends[1].key);
        let End { calls, random, .. } = &mut pair.ends[1];
        assert_eq!(calls.dial(key, DialOptions::default(), now, random), Err(DialError::GoingAway));
        pair.dial(0);
        pair.run(secs(1));
        assert_eq!(pair.causes()[0], Some(EndCause::GoingAway));
    }
}

#[test]
fn a_peer_that_holds_and_resumes_without_end_does_not_start_sound_without_end() {
    let mut pair = Pair::talking();
    let (before, now, key) = (pair.ends[1].starts, pair.now(), pair.ends[1].key);
    let call_id = pair.ends[0].sent.iter().find_map(|frame| match frame {
        Frame::CallInitiate { call_id, .. } => Some(*call_id),
        _ => None,
    });
    let call_id = call_id.unwrap();
    for on in [true, false].into_iter().cycle().take(10_000) {
        let End { calls, random, verdict, .. } = &mut pair.ends[1];
        calls.handle_frame(key, Frame::CallHold { call_id, on }, || *verdict, now, random);
        pair.drain(1);
    }
    assert_eq!(pair.ends[1].starts - before, 10);
    assert_eq!(pair.states()[1], State::Held, "the peer said so last, as far as it was listened to");
    pair.run(secs(10));
    let (now, End { calls, random, verdict, .. }) = (pair.now(), &mut pair.ends[1]);
    calls.handle_frame(key, Frame::CallHold { call_id, on: false }, || *verdict, now, random);
    pair.drain(1);
    assert_eq!(pair.states()[1], State::Active);
}
