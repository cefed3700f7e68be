// SPDX-License-Identifier: GPL-3.0-or-later
//! Authenticated peers that do what nobody honest does.

use super::line::*;
use super::*;

fn strikes(events: &[CallEvent]) -> usize {
    events.iter().filter(|event| matches!(event, CallEvent::Misbehaved { .. })).count()
}

fn shown(events: &[CallEvent]) -> usize {
    events.iter().filter(|event| matches!(event, CallEvent::Changed(_))).count()
}

fn feed(line: &mut Line, frame: Frame) -> Vec<CallEvent> {
    line.calls.handle_frame(BERT, frame, || CONTACT, at(line.now), &mut line.random);
    line.events()
}

#[test]
fn what_only_the_other_side_of_a_call_says_is_a_strike_and_changes_nothing() {
    let callers = |call_id| [Frame::CallWaiting { call_id, want: true }, Frame::CallWaiting { call_id, want: false }];
    let callees = |call_id| {
        [
            replied(call_id, true, Reason::Normal),
            replied(call_id, false, Reason::Declined),
            Frame::CallAnswer { call_id },
            Frame::CallBusy { call_id, can_wait: true, ttw: 5 },
            Frame::CallWaitingReply { call_id, ok: true, ttw: 5 },
        ]
    };
    let mut line = Line::new();
    line.frame(BERT, invite(4, 1), CONTACT);
    for frame in callees(4) {
        assert_eq!(feed(&mut line, frame), [CallEvent::Misbehaved { key: BERT }]);
    }
    assert_eq!(line.states(), [State::Alerting]);
    let mut line = Line::new();
    line.calls.dial(BERT, DialOptions::default(), at(line.now), &mut line.random).unwrap();
    line.calls.session_up(BERT, at(line.now));
    line.events();
    for frame in callers(line.calls.live[&BERT].call_id) {
        assert_eq!(feed(&mut line, frame), [CallEvent::Misbehaved { key: BERT }]);
    }
    assert_eq!(line.states(), [State::Calling]);
}

#[test]
fn what_comes_late_or_about_a_call_that_is_not_there_is_no_strike() {
    let mut line = Line::talking_to_anna();
    for call_id in [1, 2] {
        for frame in [
            Frame::CallTerminateReply { call_id, ok: true },
            Frame::CallHold { call_id, on: true },
            Frame::CallWaiting { call_id: 2, want: true },
            Frame::CallBusy { call_id: 2, can_wait: true, ttw: 5 },
            Frame::CallTerminate { call_id, reason: Reason::Normal },
        ] {
            assert_eq!(strikes(&feed(&mut line, frame)), 0);
        }
    }
}

#[test]
fn a_caller_that_tries_on_without_waiting_is_told_busy_each_time_and_shown_once() {
    let mut line = Line::talking_to_anna();
    let mut asked = 0;
    let mut views = 0;
    for attempt in 1..=255 {
        let frame = Frame::CallInitiate { call_id: 9, attempt, max_tries: 255 };
        let verdict = || {
            asked += 1;
            CONTACT
        };
        line.calls.handle_frame(BERT, frame, verdict, at(line.now), &mut line.random);
        let events = line.events();
        views += shown(&events);
        let busy = |event: &CallEvent| matches!(event, CallEvent::Send { frame: Frame::CallBusy { .. }, .. });
        assert_eq!(events.iter().filter(|event| busy(event)).count(), 1);
    }
    assert_eq!((asked, views), (1, 1));
}

#[test]
fn a_caller_that_tries_255_times_counts_once_against_its_rings_until_it_rings() {
    let mut line = Line::talking_to_anna();
    let mut asked = 0;
    for attempt in 1..=255 {
        if attempt == 255 {
            line.frame(ANNA, Frame::CallTerminate { call_id: 1, reason: Reason::Normal }, CONTACT);
        }
        let frame = Frame::CallInitiate { call_id: 9, attempt, max_tries: 255 };
        let verdict = || {
            asked += 1;
            if asked == 1 { CONTACT } else { Verdict::Silent }
        };
        line.calls.handle_frame(BERT, frame, verdict, at(line.now), &mut line.random);
        line.events();
        line.pass(secs(30));
    }
    assert_eq!(asked, 2, "what the callee's limits say holds, whatever the caller intends");
    assert!(!line.calls.calls().any(|call| call.state == State::Alerting));
}

#[test]
fn every_new_name_of_a_call_is_decided_upon() {
    let mut line = Line::talking_to_anna();
    let mut asked = 0;
    for call_id in 0..1_000 {
        let verdict = || {
            asked += 1;
            CONTACT
        };
        line.calls.handle_frame(BERT, invite(call_id, 1), verdict, at(line.now), &mut line.random);
        line.events();
    }
    assert_eq!(asked, 1_000);
    assert_eq!(line.calls.live.len(), 2);
}

#[test]
fn a_caller_that_comes_and_goes_without_end_is_shown_ten_times() {
    let mut line = Line::talking_to_anna();
    line.frame(BERT, invite(9, 1), CONTACT);
    let mut events = Vec::new();
    for want in [true, false].into_iter().cycle().take(10_000) {
        events.extend(feed(&mut line, Frame::CallWaiting { call_id: 9, want }));
    }
    assert_eq!(shown(&events), 20);
    assert_eq!(line.states(), [State::Active, State::Busy]);
}

#[test]
fn a_caller_that_asks_for_its_place_without_end_is_not_shown_again() {
    let mut line = Line::talking_to_anna();
    line.frame(BERT, invite(9, 1), CONTACT);
    feed(&mut line, Frame::CallWaiting { call_id: 9, want: true });
    let mut views = 0;
    for _ in 0..10_000 {
        line.pass(Duration::from_millis(10));
        views += shown(&feed(&mut line, Frame::CallWaiting { call_id: 9, want: true }));
    }
    assert!(views <= 3, "{views} in 100 s");
}
