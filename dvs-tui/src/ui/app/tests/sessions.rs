// SPDX-License-Identifier: GPL-3.0-or-later
//! Queues, several calls, comparing keys, and who may ring.

use dvs_proto::message::{Policy, Presence, Trust, UnknownCallers, VerifyState};

use super::*;

fn bob(state: CallState) -> CallInfo {
    let call = example::call(Direction::Incoming);
    CallInfo { call: 2, peer: BOB.into(), name: Some("Bob".into()), state, ..call }
}

fn bells(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| **effect == Effect::Bell).count()
}

#[test]
fn whoever_waits_rings_the_bell_once_and_is_answered_or_declined() {
    let mut tester = Tester::new();
    tester.talk();
    let effects = tester.event(Event::Call(bob(CallState::Busy)));
    assert_eq!(bells(&effects), 1);
    assert_eq!(bells(&tester.event(Event::Call(bob(CallState::Waiting)))), 0, "they only went into the queue");
    assert!(effects.contains(&Effect::Notify { title: "Call waiting".into(), body: "Bob".into() }));
    assert_eq!(requests(&tester.press("a")), [], "typed for something else");
    assert_eq!(bells(&tester.wait(RING_CYCLE * 3)), 0);
    assert_eq!(requests(&tester.press("m")), [Request::Mute { on: Some(true) }], "the call's keys go on working");
    assert_eq!(requests(&tester.press("a")), [Request::Answer { call: Some(2) }]);
    assert_eq!(requests(&tester.press("x")), [Request::Decline { call: Some(2) }], "not the call talked in");
    tester.press("i");
    assert_eq!(requests(&tester.press("x")), [Request::Hangup { call: Some(1) }], "the notice is put aside");
}

#[test]
fn whoever_waited_rings_anew_when_the_line_is_free() {
    let mut tester = Tester::new();
    tester.talk();
    tester.event(Event::Call(bob(CallState::Waiting)));
    tester.wait(GUARD);
    tester.press("i");
    tester.event(ended(EndReason::PeerHungUp));
    let effects = tester.event(Event::Call(bob(CallState::Alerting)));
    assert_eq!(bells(&effects), 1);
    assert_eq!(requests(&tester.press("a")), [], "the pop-up is new");
    tester.wait(GUARD);
    assert_eq!(requests(&tester.press("a")), [Request::Answer { call: Some(2) }]);
}

#[test]
fn w_asks_for_a_place_only_where_there_is_one() {
    let mut tester = Tester::new();
    let busy =
        CallInfo { state: CallState::Busy, can_wait: false, until: Some(NOON), ..example::call(Direction::Outgoing) };
    tester.event(Event::Call(busy.clone()));
    assert_eq!(requests(&tester.press("w")), []);
    tester.event(Event::Call(CallInfo { can_wait: true, ..busy }));
    assert_eq!(requests(&tester.press("w")), [Request::Wait { call: Some(1), on: true }]);
    assert_eq!(requests(&tester.press(":wait\n")), [Request::Wait { call: Some(1), on: true }]);
}

#[test]
fn the_words_are_ignored_for_a_moment_and_then_decide() {
    let mut tester = Tester::new();
    tester.talk();
    assert_eq!(requests(&tester.press("v")), [Request::VerifyStart { call: Some(1) }]);
    tester.wait(GUARD);
    assert_eq!(requests(&tester.press("y")), [], "there is nothing to compare yet");
    tester.event(Event::Verification(example::verification(VerifyState::Compare)));
    assert_eq!(requests(&tester.press("y")), [], "typed for something else");
    tester.wait(GUARD - Duration::from_millis(1));
    assert_eq!(requests(&tester.press("n")), [], "still");
    tester.wait(Duration::from_millis(1));
    let effects = tester.press("y");
    assert_eq!(requests(&effects), [Request::VerifyDone { call: Some(1), matches: true }]);
    tester.reply(&effects, Ok(Reply::Verification(example::verification(VerifyState::Matched))));
    assert!(tester.app.popup.is_none());
    let notice = tester.app.notice.as_ref().map(|notice| (notice.text.as_str(), notice.bad));
    assert_eq!(notice, Some(("Alice is verified: you compared the keys by voice", false)));
}

#[test]
fn words_that_differ_are_an_alarm_beyond_the_end_of_the_call() {
    let mut tester = Tester::new();
    tester.talk();
    tester.event(Event::Verification(example::verification(VerifyState::Compare)));
    tester.wait(GUARD);
    assert_eq!(requests(&tester.press("n")), [Request::VerifyDone { call: Some(1), matches: false }]);
    tester.event(Event::Verification(example::verification(VerifyState::Differs)));
    assert!(tester.app.notice.as_ref().is_some_and(|notice| notice.bad && notice.text.contains("listening in")));
    tester.event(ended(EndReason::HungUp));
    let finished = tester.app.calls.finished.as_ref().unwrap();
    assert!(finished.alarm.as_ref().is_some_and(|alarm| alarm.contains("listening in")));
}

#[test]
fn words_that_the_peer_asked_for_take_no_keys_from_a_form() {
    let mut tester = Tester::new();
    tester.talk();
    tester.press("n");
    assert!(tester.app.typing());
    tester.event(Event::Verification(example::verification(VerifyState::Compare)));
    assert!(matches!(tester.app.popup, Some(Popup::AddContact(_))));
    assert!(
        tester
            .app
            .notice
            .as_ref()
            .is_some_and(|notice| notice.text == "Alice wants to compare keys: v shows the words")
    );
    tester.code(KeyCode::Esc);
    assert_eq!(requests(&tester.press("v")), [], "they are there already");
    assert!(matches!(tester.app.popup, Some(Popup::Verify(_))));
    tester.event(ended(EndReason::PeerHungUp));
    assert!(tester.app.popup.is_none(), "without the call there is nobody to read them to");
}

#[test]
fn a_comparison_that_failed_or_was_refused_is_said() {
    let mut tester = Tester::new();
    tester.talk();
    let effects = tester.press("v");
    tester.reply(&effects, failure("no such call"));
    assert!(tester.app.popup.is_none());
    assert_eq!(tester.app.notice.as_ref().map(|notice| notice.text.as_str()), Some("no such call"));
    tester.press("v");
    tester.event(Event::Verification(example::verification(VerifyState::Exchanging)));
    tester.event(Event::Verification(example::verification(VerifyState::Failed)));
    assert!(tester.app.popup.is_none());
    assert!(tester.app.notice.as_ref().is_some_and(|notice| notice.bad && notice.text.contains("try again")));
}

#[test]
fn without_a_call_v_says_how_to_verify() {
    let mut tester = Tester::new();
    assert_eq!(requests(&tester.press("v")), []);
    let notice = tester.app.notice.as_ref().map(|notice| notice.text.as_str()).unwrap();
    assert!(notice.contains("call Alice and press v") && notice.contains(":contact verify \"Alice\""), "{notice}");
    let verify = requests(&tester.press(":contact verify Alice 3F9A 11C2\n"));
    let fingerprint = "3F9A 11C2".into();
    assert_eq!(verify, [Request::ContactVerify { contact: "Alice".into(), fingerprint }]);
}

#[test]
fn who_may_ring_is_switched_by_one_key_each() {
    let mut tester = Tester::new();
    let effects = tester.press("D");
    assert_eq!(requests(&effects), [Request::DoNotDisturb { on: Some(true) }]);
    let policy = Policy { do_not_disturb: true, ..Policy::default() };
    tester.reply(&effects, Ok(Reply::Policy(policy)));
    assert!(tester.app.notice.as_ref().is_some_and(|notice| notice.text.starts_with("do not disturb")));
    assert_eq!(requests(&tester.press("D")), [Request::DoNotDisturb { on: Some(false) }]);
    assert_eq!(requests(&tester.press("U")), [Request::UnknownCallers { policy: UnknownCallers::Reject }]);
    tester.event(Event::Policy(Policy { unknown_callers: UnknownCallers::Reject, ..policy }));
    assert_eq!(requests(&tester.press("U")), [Request::UnknownCallers { policy: UnknownCallers::Ring }]);
    assert_eq!(tester.app.log.back().map(|entry| entry.text.as_str()), Some("unknown callers are declined"));
}

#[test]
fn a_contact_is_made_an_intercom_and_its_presence_is_kept() {
    let mut tester = Tester::new();
    assert_eq!(requests(&tester.press("T")), [Request::ContactAutoAnswer { contact: ALICE.into(), on: true }]);
    let presence = Presence::Online { rtt_us: 9 };
    tester.event(Event::Presence { id: ALICE.into(), presence });
    assert_eq!(tester.app.daemon.contacts[0].presence, presence);
}

#[test]
fn a_contact_whose_key_changes_is_told_once() {
    let mut tester = Tester::new();
    tester.talk();
    let changed = || Event::Contact(example::contact("Alice", ALICE, Trust::Changed, None));
    tester.event(changed());
    assert!(
        tester.app.notice.as_ref().is_some_and(|notice| notice.bad && notice.text.starts_with("KEY CHANGED: Alice"))
    );
    assert_eq!(tester.app.calls.current().map(|call| call.info.trust), Some(Trust::Changed));
    tester.app.notice = None;
    tester.event(changed());
    assert!(tester.app.notice.is_none());
}
