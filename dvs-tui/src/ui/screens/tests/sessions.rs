// SPDX-License-Identifier: GPL-3.0-or-later
//! Several calls at once, queues, comparing keys, who may ring, and who can be reached.

use dvs_proto::message::{Contact, Policy, Presence, UnknownCallers, VerifyState};

use super::*;

fn bob(state: CallState, direction: Direction) -> CallInfo {
    CallInfo {
        call: 2,
        peer: BOB.into(),
        name: Some("Bob".into()),
        trust: Trust::Seen,
        state,
        ..example::call(direction)
    }
}

#[test]
fn a_busy_peer_is_tried_again_and_has_a_queue() {
    let mut scene = in_daily_use();
    scene.event(Event::Call(outgoing(CallState::Ringing)));
    let busy = CallInfo { attempt: 1, tries: 3, can_wait: true, until: Some(NOON + 30), ..outgoing(CallState::Busy) };
    scene.event(Event::Call(busy.clone()));
    scene.wait(13);
    assert_snapshot!("busy_80x24", scene.draw(NORMAL));
    assert_snapshot!("busy_52x14", scene.draw(COMPACT));
    scene.press("w");
    assert_eq!(scene.sent.pop().map(|(_, request)| request), Some(Request::Wait { call: Some(1), on: true }));
    scene.event(Event::Call(CallInfo { state: CallState::Waiting, until: Some(NOON + 103), ..busy }));
    scene.wait(5);
    assert_snapshot!("waiting_80x24", scene.draw(NORMAL));
    assert_snapshot!("waiting_60x16", scene.draw(SMALL));
    scene.press("w");
    assert_eq!(scene.sent.pop().map(|(_, request)| request), Some(Request::Wait { call: Some(1), on: false }));
}

#[test]
fn a_second_try_says_which_it_is() {
    let mut scene = in_daily_use();
    scene.event(Event::Call(CallInfo { attempt: 2, tries: 3, ..outgoing(CallState::Ringing) }));
    let screen = scene.draw(NORMAL);
    assert!(screen.contains("ringing at Alice, try 2 of 3"), "{screen}");
}

#[test]
fn somebody_waits_while_one_talks() {
    let mut scene = in_daily_use();
    scene.talk();
    scene.event(Event::Call(bob(CallState::Waiting, Direction::Incoming)));
    scene.wait(4);
    assert_snapshot!("call_waiting_80x24", scene.draw(NORMAL));
    assert_snapshot!("call_waiting_52x14", scene.draw(COMPACT));
    assert_snapshot!("call_waiting_28x7", scene.draw(TINY));
    scene.press("i");
    scene.wait(10);
    assert_snapshot!("call_waiting_aside_80x24", scene.draw(NORMAL));
}

#[test]
fn several_calls_are_listed_and_one_key_goes_round() {
    let mut scene = in_daily_use();
    scene.talk();
    let held = CallInfo { answered: Some(NOON - 60), held_here: true, ..bob(CallState::Held, Direction::Outgoing) };
    scene.event(Event::Call(held.clone()));
    scene.event(Event::Call(CallInfo { call: 3, peer: CAROL.into(), name: Some("Carol".into()), ..held.clone() }));
    scene.wait(12);
    assert_snapshot!("several_calls_80x24", scene.draw(NORMAL));
    for call in 4..=6 {
        scene.event(Event::Call(CallInfo { call, peer: format!("dvs1q{call}"), name: None, ..held.clone() }));
    }
    assert!(scene.draw(NORMAL).contains("and 2 more calls"));
    scene.press("s");
    assert_eq!(scene.sent.pop().map(|(_, request)| request), Some(Request::Switch { call: Some(2) }));
}

#[test]
fn an_unstable_connection_is_said_while_the_call_goes_on() {
    let mut scene = in_daily_use();
    scene.talk();
    scene.event(Event::Call(CallInfo { unstable: true, ..example::active(Direction::Outgoing) }));
    assert_snapshot!("unstable_80x24", scene.draw(NORMAL));
    assert_snapshot!("unstable_52x14", scene.draw(COMPACT));
}

#[test]
fn keys_are_compared_by_words_and_digits() {
    let mut scene = in_daily_use();
    scene.talk();
    scene.press("v");
    scene.wait(1);
    assert_snapshot!("verify_exchanging_80x24", scene.draw(NORMAL));
    scene.event(Event::Verification(example::verification(VerifyState::Compare)));
    scene.wait(1);
    assert_snapshot!("verify_80x24", scene.draw(NORMAL));
    assert_snapshot!("verify_52x14", scene.draw(COMPACT));
    assert_snapshot!("verify_40x12", scene.draw(NARROW));
}

#[test]
fn keys_that_differ_are_an_alarm() {
    let mut scene = in_daily_use();
    scene.talk();
    scene.event(Event::Verification(example::verification(VerifyState::Differs)));
    let ended = Some(EndReason::HungUp);
    scene.event(Event::Call(CallInfo { state: CallState::Ended, ended, ..example::active(Direction::Outgoing) }));
    scene.wait(9);
    assert_snapshot!(scene.draw(NORMAL));
}

#[test]
fn a_changed_key_is_an_alarm_that_says_what_to_do() {
    let mut scene = in_daily_use();
    scene.event(Event::Call(outgoing(CallState::Connecting)));
    let ended = Some(EndReason::KeyChanged);
    scene.event(Event::Call(CallInfo { state: CallState::Ended, ended, ..outgoing(CallState::Connecting) }));
    scene.event(Event::Contact(example::contact("Alice", example::ALICE, Trust::Changed, Some(30))));
    scene.wait(9);
    assert_snapshot!("key_changed_80x24", scene.draw(NORMAL));
    assert_snapshot!("key_changed_52x14", scene.draw(COMPACT));
}

#[test]
fn who_may_ring_is_a_sign_on_top() {
    let mut scene = in_daily_use();
    let policy = Policy { do_not_disturb: true, unknown_callers: UnknownCallers::Reject };
    scene.event(Event::Policy(policy));
    assert_snapshot!("policy_80x24", scene.draw(NORMAL).lines().next().unwrap());
    assert_snapshot!("policy_52x14", scene.draw(COMPACT).lines().next().unwrap());
    scene.event(Event::Policy(Policy { do_not_disturb: false, unknown_callers: UnknownCallers::Ring }));
    assert_snapshot!("strangers_ring_80x24", scene.draw(NORMAL).lines().next().unwrap());
}

fn reachable() -> Snapshot {
    let mut snapshot = example::snapshot();
    let presences = [Presence::Online { rtt_us: 23_400 }, Presence::Offline, Presence::Offline];
    for (contact, presence) in snapshot.contacts.iter_mut().zip(presences) {
        contact.presence = presence;
    }
    snapshot.contacts[0].auto_answer = true;
    let blocked = example::contact("Eve", STRANGER, Trust::Blocked, None);
    snapshot.contacts.push(Contact { last_seen: Some(NOON - 86_400), ..blocked });
    snapshot
}

#[test]
fn contacts_show_trust_and_presence() {
    let mut scene = Scene::new(reachable());
    assert_snapshot!("presence_80x24", scene.draw(NORMAL));
    assert_snapshot!("presence_52x14", scene.draw(COMPACT));
    let mut scene = Scene::with_theme(reachable(), Theme::new(false, false));
    assert_snapshot!("presence_without_unicode", scene.draw(NORMAL));
}
