// SPDX-License-Identifier: GPL-3.0-or-later
//! Who waits here, and whose turn it is.

use super::line::*;
use super::*;

const CARL: CallKey = CallKey { local: LocalId(0), peer: NodeId([9; 20]) };
const DORA: CallKey = CallKey { local: LocalId(0), peer: NodeId([3; 20]) };
const EMIL: CallKey = CallKey { local: LocalId(0), peer: NodeId([2; 20]) };

fn wants(call_id: u32, want: bool) -> Frame {
    Frame::CallWaiting { call_id, want }
}

fn placed(call_id: u32, ttw: u16) -> Frame {
    Frame::CallWaitingReply { call_id, ok: true, ttw }
}

fn no_place(call_id: u32) -> Frame {
    Frame::CallWaitingReply { call_id, ok: false, ttw: 0 }
}

fn terminate(call_id: u32) -> Frame {
    Frame::CallTerminate { call_id, reason: Reason::Normal }
}

/// The call of `key`, as its number in the order of the first invitations; Anna's is 1.
fn state(line: &Line, key: CallKey) -> Option<State> {
    line.calls.calls().find(|call| call.key == key).map(|call| call.state)
}

fn number(line: &Line, key: CallKey) -> Option<CallNumber> {
    line.calls.calls().find(|call| call.key == key).map(|call| call.number)
}

/// Anna is talked to; these call, in this order, and wait.
fn line_with_queue(waiting: &[CallKey]) -> Line {
    let mut line = Line::talking_to_anna();
    for key in waiting {
        line.frame(*key, invite(2, 1), CONTACT);
        assert_eq!(line.frame(*key, wants(2, true), CONTACT), [placed(2, 120)]);
        line.pass(Duration::from_millis(1));
    }
    line
}

#[test]
fn first_come_is_first_served_whatever_the_ids() {
    for order in [[BERT, CARL, DORA], [DORA, BERT, CARL], [CARL, DORA, BERT]] {
        let mut line = line_with_queue(&order);
        line.pass(secs(60));
        // Asking again keeps the place, it does not give a better or a worse one.
        line.frame(order[0], wants(2, true), CONTACT);
        assert_eq!(line.frame(ANNA, terminate(1), CONTACT).last(), Some(&replied(2, true, Reason::Normal)));
        for key in order {
            assert_eq!(line.calls.calls().filter(|call| call.state == State::Alerting).count(), 1);
            assert_eq!(state(&line, key), Some(State::Alerting));
            line.calls.decline(None, at(line.now)).unwrap();
        }
        assert_eq!(line.states(), []);
    }
}

#[test]
fn who_asks_at_the_same_moment_is_served_in_the_order_of_the_calls() {
    let mut line = Line::talking_to_anna();
    for key in [CARL, BERT] {
        line.frame(key, invite(2, 1), CONTACT);
    }
    for key in [BERT, CARL] {
        line.frame(key, wants(2, true), CONTACT);
    }
    line.frame(ANNA, terminate(1), CONTACT);
    assert_eq!(state(&line, CARL), Some(State::Alerting));
}

#[test]
fn three_may_wait_and_a_fourth_is_told_so() {
    let mut line = line_with_queue(&[BERT, CARL]);
    assert_eq!(
        line.frame(EMIL, invite(5, 1), CONTACT),
        [Frame::CallBusy { call_id: 5, can_wait: true, ttw: 30 }],
        "there is room, still"
    );
    line.frame(DORA, invite(2, 1), CONTACT);
    line.frame(DORA, wants(2, true), CONTACT);
    assert_eq!(line.frame(EMIL, wants(5, true), CONTACT), [no_place(5)]);
    line.pass(secs(5));
    assert_eq!(
        line.frame(EMIL, invite(5, 2), CONTACT),
        [Frame::CallBusy { call_id: 5, can_wait: false, ttw: 30 }],
        "and none any more"
    );
    assert_eq!(line.frame(BERT, wants(2, false), CONTACT), [no_place(2)]);
    assert_eq!(line.frame(EMIL, wants(5, true), CONTACT), [placed(5, 120)]);
}

#[test]
fn a_place_lapses_unless_it_is_asked_for_again() {
    let mut line = line_with_queue(&[BERT, CARL]);
    line.pass(secs(100));
    assert_eq!(line.frame(CARL, wants(2, true), CONTACT), [placed(2, 120)]);
    line.pass(secs(26));
    assert_eq!((state(&line, BERT), state(&line, CARL)), (None, Some(State::Waiting)));
    line.frame(ANNA, terminate(1), CONTACT);
    assert_eq!(state(&line, CARL), Some(State::Alerting));
}

#[test]
fn asking_again_soon_says_what_is_left_and_shows_nothing_new() {
    let mut line = line_with_queue(&[BERT]);
    line.pass(Duration::from_millis(20_000));
    line.calls.handle_frame(BERT, wants(2, true), || CONTACT, at(line.now), &mut line.random);
    assert_eq!(line.events(), [CallEvent::Send { key: BERT, frame: placed(2, 99) }]);
}

#[test]
fn a_caller_whose_session_is_lost_is_passed_over_and_keeps_its_place() {
    let mut line = line_with_queue(&[BERT, CARL]);
    line.calls.session_lost(BERT, at(line.now));
    line.frame(ANNA, terminate(1), CONTACT);
    assert_eq!((state(&line, BERT), state(&line, CARL)), (Some(State::Waiting), Some(State::Alerting)));
    line.calls.decline(None, at(line.now)).unwrap();
    assert_eq!(state(&line, BERT), Some(State::Waiting));
    line.calls.session_recovered(BERT, at(line.now));
    assert_eq!(state(&line, BERT), Some(State::Alerting));
}

#[test]
fn a_caller_whose_session_is_gone_makes_room_for_the_next() {
    let mut line = line_with_queue(&[BERT, CARL]);
    line.calls.session_closed(BERT, Reason::PeerLost, at(line.now));
    let gone = |event: &CallEvent| {
        matches!(event, CallEvent::Changed(CallView { key: BERT, cause: Some(EndCause::MissedBusy), .. }))
    };
    assert!(line.events().iter().any(gone));
    line.frame(ANNA, terminate(1), CONTACT);
    assert_eq!(state(&line, CARL), Some(State::Alerting));
    // The one that rings is lost, too: nobody is left.
    line.calls.session_closed(CARL, Reason::PeerLost, at(line.now));
    assert_eq!(line.states(), []);
}

#[test]
fn who_comes_back_on_another_session_may_wait_again_at_the_end_of_the_queue() {
    let mut line = line_with_queue(&[BERT, CARL]);
    line.calls.session_closed(BERT, Reason::PeerLost, at(line.now));
    line.events();
    assert!(matches!(line.frame(BERT, invite(2, 1), CONTACT)[..], [Frame::CallBusy { can_wait: true, .. }]));
    line.frame(BERT, wants(2, true), CONTACT);
    line.frame(ANNA, terminate(1), CONTACT);
    assert_eq!((state(&line, BERT), state(&line, CARL)), (Some(State::Waiting), Some(State::Alerting)));
}

#[test]
fn the_next_rings_however_the_line_becomes_free() {
    for free in [
        |line: &mut Line| assert!(line.calls.hangup(None, at(line.now)).is_ok()),
        |line: &mut Line| assert!(line.calls.hold(None, Some(true), at(line.now)).is_ok()),
        |line: &mut Line| drop(line.frame(ANNA, terminate(1), CONTACT)),
        |line: &mut Line| line.calls.abort(ANNA, EndCause::MediaFailure, at(line.now)),
        |line: &mut Line| line.calls.session_closed(ANNA, Reason::PeerLost, at(line.now)),
        |line: &mut Line| {
            line.calls.session_lost(ANNA, at(line.now));
            line.pass(secs(20));
        },
    ] {
        let mut line = line_with_queue(&[BERT]);
        free(&mut line);
        assert_eq!(state(&line, BERT), Some(State::Alerting));
    }
}

#[test]
fn who_wants_no_disturbance_may_take_who_waits_but_hears_nobody_ring() {
    let mut line = line_with_queue(&[BERT, CARL]);
    line.calls.set_quiet(true, at(line.now));
    line.frame(ANNA, terminate(1), CONTACT);
    assert_eq!(line.states(), [State::Waiting; 2]);
    line.calls.answer(None, at(line.now)).unwrap();
    line.calls.hangup(None, at(line.now)).unwrap();
    assert_eq!(state(&line, CARL), Some(State::Waiting));
    line.calls.set_quiet(false, at(line.now));
    assert_eq!(state(&line, CARL), Some(State::Alerting));
}

#[test]
fn while_one_rings_others_wait_until_it_is_answered_and_over() {
    let mut line = Line::new();
    line.frame(ANNA, invite(1, 1), CONTACT);
    line.frame(BERT, invite(2, 1), CONTACT);
    assert_eq!(line.frame(BERT, wants(2, true), CONTACT), [placed(2, 120)]);
    line.calls.answer(None, at(line.now)).unwrap();
    assert_eq!(line.states(), [State::Active, State::Waiting]);
    line.calls.hangup(None, at(line.now)).unwrap();
    assert_eq!(state(&line, BERT), Some(State::Alerting));
}

#[test]
fn the_wish_to_wait_for_a_line_that_is_free_by_now_rings_at_once() {
    let mut line = Line::talking_to_anna();
    line.frame(BERT, invite(2, 1), CONTACT);
    line.frame(ANNA, terminate(1), CONTACT);
    let replies = line.frame(BERT, wants(2, true), CONTACT);
    assert_eq!(replies, [placed(2, 120), replied(2, true, Reason::Normal)]);
    assert_eq!(line.states(), [State::Alerting]);
}

#[test]
fn a_wish_to_wait_that_comes_again_after_the_turn_is_told_that_it_rings() {
    let mut line = line_with_queue(&[BERT]);
    line.frame(ANNA, terminate(1), CONTACT);
    assert_eq!(line.frame(BERT, wants(2, true), CONTACT), [replied(2, true, Reason::Normal)]);
    line.calls.answer(None, at(line.now)).unwrap();
    line.events();
    assert_eq!(line.frame(BERT, wants(2, true), CONTACT), [Frame::CallAnswer { call_id: 2 }]);
}

#[test]
fn an_answer_without_a_number_takes_who_rings_else_who_waits_longest_else_who_was_told_busy() {
    let mut line = Line::talking_to_anna();
    line.frame(DORA, invite(2, 1), CONTACT);
    assert_eq!(line.calls.next_caller(), number(&line, DORA));
    for key in [CARL, BERT] {
        line.frame(key, invite(2, 1), CONTACT);
        line.frame(key, wants(2, true), CONTACT);
    }
    assert_eq!(line.calls.next_caller(), number(&line, CARL));
    line.frame(BERT, wants(2, false), CONTACT);
    line.frame(ANNA, terminate(1), CONTACT);
    assert_eq!(state(&line, CARL), Some(State::Alerting));
    assert_eq!(line.calls.answer(None, at(line.now)), Ok(line.calls.call(CallNumber(3)).unwrap().number));
}

#[test]
fn strangers_and_unwelcome_callers_never_get_into_the_queue() {
    for verdict in [STRANGER, Verdict::Silent, Verdict::Reject, Verdict::Blocked] {
        let mut line = Line::talking_to_anna();
        line.frame(BERT, invite(2, 1), verdict);
        let replies = line.frame(BERT, wants(2, true), verdict);
        assert!(!replies.iter().any(|frame| matches!(frame, Frame::CallWaitingReply { ok: true, .. })));
        assert_eq!(line.states(), [State::Active]);
        line.frame(ANNA, terminate(1), CONTACT);
        assert_eq!(line.states(), []);
    }
}

#[test]
fn a_call_that_another_device_answered_is_shown_as_such_wherever_it_stood() {
    let elsewhere = Frame::CallTerminate { call_id: 2, reason: Reason::AnsweredElsewhere };
    for stand in 0..3 {
        let mut line = if stand == 0 { Line::new() } else { Line::talking_to_anna() };
        line.frame(BERT, invite(2, 1), CONTACT);
        if stand == 2 {
            line.frame(BERT, wants(2, true), CONTACT);
        }
        line.calls.handle_frame(BERT, elsewhere.clone(), || CONTACT, at(line.now), &mut line.random);
        let cause = line.events().into_iter().find_map(|event| match event {
            CallEvent::Changed(view) => view.cause,
            _ => None,
        });
        assert_eq!(cause, Some(EndCause::AnsweredElsewhere));
    }
}

#[test]
fn somebody_told_busy_who_is_unwelcome_when_coming_back_does_not_ring() {
    for (verdict, cause) in [
        (Verdict::Silent, EndCause::Missed),
        (Verdict::Reject, EndCause::Refused),
        (Verdict::Blocked, EndCause::Blocked),
    ] {
        let mut line = Line::talking_to_anna();
        line.frame(BERT, invite(2, 1), CONTACT);
        line.frame(ANNA, terminate(1), CONTACT);
        line.pass(secs(30));
        line.calls.handle_frame(BERT, invite(2, 2), || verdict, at(line.now), &mut line.random);
        let mut events = line.events();
        line.now = line.now + secs(70);
        line.calls.handle_timeout(at(line.now));
        events.extend(line.events());
        let views: Vec<CallView> = events
            .into_iter()
            .filter_map(|event| if let CallEvent::Changed(view) = event { Some(view) } else { None })
            .collect();
        assert!(views.iter().all(|view| view.state != State::Alerting), "{views:?}");
        assert_eq!(views.last().and_then(|view| view.cause), Some(cause), "its user learns the end");
        assert_eq!(line.states(), []);
    }
}
