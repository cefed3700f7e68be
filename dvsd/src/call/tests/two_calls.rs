// SPDX-License-Identifier: GPL-3.0-or-later
//! One call is held, another talked.

use super::line::*;
use super::*;

const CARL: CallKey = CallKey { local: LocalId(0), peer: NodeId([9; 20]) };

fn terminate(call_id: u32) -> Frame {
    Frame::CallTerminate { call_id, reason: Reason::Normal }
}

fn held(call_id: u32, on: bool) -> Frame {
    Frame::CallHold { call_id, on }
}

/// Anna is held, Bert is talked to, who called while Anna was talked to.
fn two() -> Line {
    let mut line = Line::talking_to_anna();
    line.frame(BERT, invite(2, 1), CONTACT);
    line.calls.answer(Some(CallNumber(2)), at(line.now)).unwrap();
    line
}

/// Which calls' media begins (`true`) and ends, in order, and what is sent.
fn sound(events: &[CallEvent]) -> Vec<(u32, bool)> {
    let sound = |event: &CallEvent| match event {
        CallEvent::StartMedia { number, .. } => Some((number.0, true)),
        CallEvent::StopMedia { number, .. } => Some((number.0, false)),
        _ => None,
    };
    events.iter().filter_map(sound).collect()
}

fn sends(events: &[CallEvent], key: CallKey, frame: &Frame) -> bool {
    events.contains(&CallEvent::Send { key, frame: frame.clone() })
}

#[test]
fn answering_a_second_caller_holds_the_first() {
    let mut line = two();
    let events = line.events();
    assert_eq!(sound(&events), [(1, false), (2, true)], "never both at once");
    assert!(sends(&events, ANNA, &held(1, true)));
    assert!(sends(&events, BERT, &Frame::CallAnswer { call_id: 2 }));
    assert_eq!(line.states(), [State::Held, State::Active]);
}

#[test]
fn switching_swaps_the_two() {
    let mut line = two();
    line.events();
    assert_eq!(line.calls.switch(None, at(line.now)), Ok(CallNumber(1)));
    let events = line.events();
    assert_eq!(sound(&events), [(2, false), (1, true)]);
    assert!(sends(&events, BERT, &held(2, true)) && sends(&events, ANNA, &held(1, false)));
    assert_eq!(line.calls.switch(Some(CallNumber(2)), at(line.now)), Ok(CallNumber(2)));
    assert_eq!(line.states(), [State::Held, State::Active]);
}

#[test]
fn switching_between_two_calls_lets_nobody_who_waits_ring() {
    let mut line = two();
    line.frame(CARL, invite(3, 1), CONTACT);
    line.frame(CARL, Frame::CallWaiting { call_id: 3, want: true }, CONTACT);
    for _ in 0..3 {
        line.calls.switch(None, at(line.now)).unwrap();
        assert!(line.calls.calls().any(|call| call.key == CARL && call.state == State::Waiting));
    }
}

#[test]
fn resuming_the_held_call_holds_the_other() {
    let mut line = two();
    line.events();
    assert_eq!(line.calls.hold(Some(CallNumber(1)), Some(false), at(line.now)), Ok((CallNumber(1), false)));
    assert_eq!(sound(&line.events()), [(2, false), (1, true)]);
    assert_eq!(line.states(), [State::Active, State::Held]);
}

#[test]
fn switching_takes_a_caller_who_rings_or_waits_too() {
    let mut line = Line::talking_to_anna();
    line.frame(BERT, invite(2, 1), CONTACT);
    line.frame(BERT, Frame::CallWaiting { call_id: 2, want: true }, CONTACT);
    assert_eq!(line.calls.switch(None, at(line.now)), Ok(CallNumber(2)));
    assert_eq!(line.states(), [State::Held, State::Active]);
    let mut line = Line::new();
    assert_eq!(line.calls.switch(None, at(line.now)), Err(CallError::NoSuchCall));
    line.frame(ANNA, invite(1, 1), CONTACT);
    assert_eq!(line.calls.switch(None, at(line.now)), Ok(CallNumber(1)));
}

#[test]
fn the_end_of_one_call_leaves_the_other_held() {
    for hang_up in [true, false] {
        let mut line = two();
        if hang_up {
            assert_eq!(line.calls.hangup(None, at(line.now)), Ok(CallNumber(2)));
            line.frame(BERT, Frame::CallTerminateReply { call_id: 2, ok: true }, CONTACT);
        } else {
            line.frame(BERT, terminate(2), CONTACT);
        }
        assert_eq!(line.states(), [State::Held]);
        assert_eq!(line.calls.hold(None, None, at(line.now)), Ok((CallNumber(1), false)));
        assert_eq!(line.states(), [State::Active]);
    }
}

#[test]
fn a_third_call_is_taken_by_nobody_who_has_two() {
    let mut line = two();
    line.frame(CARL, invite(3, 1), CONTACT);
    line.events();
    for refused in
        [line.calls.answer(Some(CallNumber(3)), at(line.now)), line.calls.switch(Some(CallNumber(3)), at(line.now))]
    {
        assert_eq!(refused, Err(CallError::InCall(CallNumber(2))));
    }
    assert_eq!(line.events(), [], "no call is dropped for it");
    assert_eq!(line.calls.hold(None, Some(true), at(line.now)), Err(CallError::OtherHeld(CallNumber(1))));
    line.calls.hangup(Some(CallNumber(1)), at(line.now)).unwrap();
    line.frame(ANNA, Frame::CallTerminateReply { call_id: 1, ok: true }, CONTACT);
    assert_eq!(line.calls.answer(None, at(line.now)), Ok(CallNumber(3)));
    assert_eq!(line.states(), [State::Held, State::Active]);
}

#[test]
fn a_second_call_is_dialled_only_while_the_first_is_held_here() {
    let mut line = Line::talking_to_anna();
    let options = DialOptions::default();
    let refused = Err(DialError::InCall(CallNumber(1)));
    assert_eq!(line.calls.dial(BERT, options, at(line.now), &mut line.random), refused);
    line.frame(ANNA, held(1, true), CONTACT);
    assert_eq!(line.calls.dial(BERT, options, at(line.now), &mut line.random), refused, "held there is not held here");
    line.calls.hold(None, Some(true), at(line.now)).unwrap();
    assert_eq!(line.calls.dial(ANNA, options, at(line.now), &mut line.random), refused);
    assert_eq!(line.calls.dial(BERT, options, at(line.now), &mut line.random), Ok(CallNumber(2)));
    assert_eq!(line.states(), [State::Held, State::Lookup]);
    for busy in
        [line.calls.switch(None, at(line.now)).err(), line.calls.hold(Some(CallNumber(1)), None, at(line.now)).err()]
    {
        assert_eq!(busy, Some(CallError::InCall(CallNumber(2))), "a dial cannot be held");
    }
}

#[test]
fn what_is_dialled_while_one_is_held_is_talked_and_the_held_one_waits() {
    let mut line = Line::talking_to_anna();
    line.calls.hold(None, Some(true), at(line.now)).unwrap();
    line.calls.dial(BERT, DialOptions::default(), at(line.now), &mut line.random).unwrap();
    line.calls.session_up(BERT, at(line.now));
    let call_id = line.calls.live[&BERT].call_id;
    line.frame(BERT, Frame::CallAnswer { call_id }, CONTACT);
    assert_eq!(line.states(), [State::Held, State::Active]);
    line.frame(ANNA, held(1, true), CONTACT);
    line.frame(ANNA, held(1, false), CONTACT);
    assert_eq!(line.states(), [State::Held, State::Active], "the peer resumes for itself only");
}

#[test]
fn with_only_a_held_call_the_line_rings_but_nobody_is_answered_automatically() {
    for verdict in [CONTACT, STRANGER, Verdict::AutoAnswer] {
        let mut line = Line::talking_to_anna();
        line.calls.hold(None, Some(true), at(line.now)).unwrap();
        line.events();
        assert_eq!(line.frame(BERT, invite(2, 1), verdict), [replied(2, true, Reason::Normal)]);
        assert_eq!(line.states(), [State::Held, State::Alerting]);
        line.calls.answer(None, at(line.now)).unwrap();
        assert_eq!(line.states(), [State::Held, State::Active]);
    }
}

#[test]
fn a_hang_up_without_a_number_means_the_talk_then_the_ringing_then_the_held_one() {
    let mut line = two();
    line.frame(CARL, invite(3, 1), CONTACT);
    line.frame(CARL, Frame::CallWaiting { call_id: 3, want: true }, CONTACT);
    for expected in [2, 3, 1] {
        assert_eq!(line.calls.hangup(None, at(line.now)), Ok(CallNumber(expected)));
    }
}

#[test]
fn both_calls_survive_their_sessions() {
    let mut line = two();
    line.events();
    line.calls.session_lost(BERT, at(line.now));
    assert_eq!(line.states(), [State::Held, State::Reconnecting]);
    assert_eq!(line.calls.switch(None, at(line.now)), Ok(CallNumber(1)));
    line.calls.session_moved(BERT, at(line.now));
    let events = line.events();
    assert!(sends(&events, BERT, &held(2, true)), "the peer learns that it is held");
    assert_eq!(line.states(), [State::Active, State::Held]);
    assert_eq!(sound(&events), [(2, false), (1, true)]);
}

#[test]
fn a_held_call_that_is_lost_ends_by_itself() {
    let mut line = two();
    line.calls.session_lost(ANNA, at(line.now));
    line.pass(secs(20));
    assert_eq!(line.states(), [State::Active]);
}
