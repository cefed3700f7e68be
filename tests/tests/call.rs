// SPDX-License-Identifier: GPL-3.0-or-later
//! Calls between real daemons on loopback: every way they begin and end.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

use std::time::Duration;

use dvs_proto::message::{CallState, Contact, EndReason, Presence, Request};
use dvs_tests::harness::{Setup, wait_for};
use dvs_tests::trio::{PATIENCE, Trio};

fn trio() -> Trio {
    let tone = Setup { backend: "tone".to_owned(), ..Setup::loopback() };
    Trio::start(tone.clone(), tone).unwrap()
}

#[test]
fn two_people_who_know_only_a_third_node_talk_and_hang_up() {
    let mut trio = trio();
    trio.talk().unwrap();
    wait_for(PATIENCE, "media in both directions", || {
        let [alice, bob] = [trio.alice.handset.stats()?, trio.bob.handset.stats()?];
        Ok((alice.received > 50 && bob.received > 50).then_some(()))
    })
    .unwrap();
    let [alice, bob] = [trio.alice.handset.stats().unwrap(), trio.bob.handset.stats().unwrap()];
    for stats in [alice, bob] {
        assert_eq!((stats.packet_bytes_min, stats.packet_bytes_max), (93, 93), "{stats:?}");
    }
    trio.bob.handset.hang_up().unwrap();
    assert_eq!(trio.bob.handset.wait_for_end(PATIENCE).unwrap(), EndReason::HungUp);
    assert_eq!(trio.alice.handset.wait_for_end(PATIENCE).unwrap(), EndReason::PeerHungUp);
}

#[test]
fn a_declined_call_says_so() {
    let mut trio = trio();
    trio.ring().unwrap();
    trio.bob.handset.ask(Request::Decline { call: None }).unwrap();
    assert_eq!(trio.alice.handset.wait_for_end(PATIENCE).unwrap(), EndReason::Declined);
}

#[test]
fn hanging_up_while_it_rings_stops_the_ringing_and_leaves_a_missed_call() {
    let mut trio = trio();
    trio.ring().unwrap();
    trio.alice.handset.hang_up().unwrap();
    assert_eq!(trio.alice.handset.wait_for_end(PATIENCE).unwrap(), EndReason::HungUp);
    trio.bob.handset.wait_for_end(PATIENCE).unwrap();
    let history = trio.bob.handset.snapshot().unwrap().history;
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].talked, None);
}

#[test]
fn nobody_answers_and_the_caller_is_told() {
    let setup = Setup { ring_seconds: Some(5), ..Setup::loopback() };
    let mut trio = Trio::start(setup, Setup::loopback()).unwrap();
    trio.ring().unwrap();
    assert_eq!(trio.alice.handset.wait_for_end(PATIENCE).unwrap(), EndReason::NoAnswer);
    trio.bob.handset.wait_for_end(PATIENCE).unwrap();
}

#[test]
fn f26_a_contact_in_a_call_is_busy_for_a_third() {
    let mut trio = trio();
    let known = vec![trio.bootstrap.address().unwrap()];
    let mut carol = dvs_tests::trio::Party::start("Carol", &Setup { bootstrap: known, ..Setup::loopback() }).unwrap();
    carol.handset.wait_for_network(PATIENCE, |network| network.online).unwrap();
    let id = carol.handset.id().unwrap();
    trio.bob.handset.add_contact("Carol", &id).unwrap();
    trio.talk().unwrap();
    let bob = trio.bob.handset.id().unwrap();
    carol.handset.dial(&bob).unwrap();
    carol.handset.wait_for_call(PATIENCE, CallState::Busy).unwrap();
    let mut states: Vec<_> = trio.bob.handset.snapshot().unwrap().calls.iter().map(|call| call.state).collect();
    states.sort_by_key(|state| *state != CallState::Active);
    assert_eq!(states, [CallState::Active, CallState::Busy], "Bob sees who called");
    // Carol may ask for a place in the queue; she does not, and that is the end of it.
    assert_eq!(carol.handset.wait_for_end(2 * PATIENCE).unwrap(), EndReason::Busy);
    trio.bob.handset.wait_for_call(PATIENCE, CallState::Active).unwrap();
}

#[test]
fn a_daemon_told_to_stop_ends_its_call_politely() {
    let mut trio = trio();
    trio.talk().unwrap();
    assert!(trio.bob.daemon.terminate().unwrap().success());
    let ended = trio.alice.handset.wait_for_end(PATIENCE).unwrap();
    assert!(matches!(ended, EndReason::PeerHungUp | EndReason::GoingAway), "{ended:?}");
}

#[test]
fn a_crashed_peer_is_lost_after_half_a_minute_of_silence() {
    let mut trio = trio();
    trio.talk().unwrap();
    trio.bob.daemon.crash().unwrap();
    trio.alice.handset.wait_for_call(Duration::from_secs(20), CallState::Reconnecting).unwrap();
    let ended = trio.alice.handset.wait_for_end(Duration::from_secs(40)).unwrap();
    assert_eq!(ended, EndReason::PeerLost);
}

#[test]
fn contacts_and_history_survive_a_restart() {
    let mut trio = trio();
    let bob = trio.bob.handset.id().unwrap();
    trio.alice.handset.add_contact("Bob", &bob).unwrap();
    trio.talk().unwrap();
    trio.alice.handset.hang_up().unwrap();
    trio.alice.handset.wait_for_end(PATIENCE).unwrap();
    let before = trio.alice.handset.snapshot().unwrap();
    trio.alice.daemon.restart(&Setup::loopback()).unwrap();
    let mut again = dvs_tests::handset::Handset::attach(&trio.alice.daemon, "test").unwrap();
    let after = again.snapshot().unwrap();
    assert_eq!(after.identity.id, before.identity.id);
    // Who can be reached is found out anew.
    let stored = |contacts: Vec<Contact>| -> Vec<Contact> {
        contacts.into_iter().map(|contact| Contact { presence: Presence::Unknown, ..contact }).collect()
    };
    assert_eq!(stored(after.contacts), stored(before.contacts));
    assert_eq!(after.history, before.history);
    assert_eq!(after.history[0].name.as_deref(), Some("Bob"));
}

#[test]
fn the_figures_of_a_call_are_its_own_and_outlive_it() {
    let mut trio = trio();
    let mut sent = Vec::new();
    for _ in 0..2 {
        trio.talk().unwrap();
        wait_for(PATIENCE, "media", || Ok((trio.bob.handset.stats()?.received > 100).then_some(()))).unwrap();
        trio.alice.handset.hang_up().unwrap();
        trio.alice.handset.wait_for_end(PATIENCE).unwrap();
        trio.bob.handset.wait_for_end(PATIENCE).unwrap();
        sent.push(trio.alice.handset.stats().unwrap());
    }
    for stats in sent {
        assert!((100..=400).contains(&stats.sent), "{stats:?}");
        assert_eq!(stats.packet_bytes, 93);
        assert!(stats.rtt_us.is_some());
    }
}

#[test]
fn a_blocked_peer_neither_rings_nor_is_dialled() {
    let mut trio = trio();
    let [alice, bob] = [trio.alice.handset.id().unwrap(), trio.bob.handset.id().unwrap()];
    trio.bob.handset.ask(Request::ContactBlock { contact: alice.clone(), on: true }).unwrap();
    let refused = trio.bob.handset.dial(&alice).unwrap_err();
    assert!(format!("{refused:#}").contains("unblock"), "{refused:#}");
    trio.alice.handset.dial(&bob).unwrap();
    // The caller is not told that it is blocked.
    let ended = trio.alice.handset.wait_for_end(PATIENCE).unwrap();
    assert!(matches!(ended, EndReason::NoReply | EndReason::Unreachable), "{ended:?}");
    assert!(trio.bob.handset.snapshot().unwrap().calls.is_empty());
}

#[test]
fn a_hold_interrupts_neither_the_recording_nor_the_figures() {
    let directory = tempfile::tempdir().unwrap();
    let recording = directory.path().join("heard.wav");
    let bob = Setup { backend: format!("loop:{}", recording.display()), ..Setup::loopback() };
    let mut trio = Trio::start(Setup { backend: "tone".to_owned(), ..Setup::loopback() }, bob).unwrap();
    let heard = |trio: &mut Trio| trio.bob.handset.stats().unwrap().received;
    trio.talk().unwrap();
    wait_for(PATIENCE, "media", || Ok((heard(&mut trio) > 150).then_some(()))).unwrap();
    let hold = |trio: &mut Trio, on| trio.alice.handset.ask(Request::Hold { call: None, on: Some(on) });
    hold(&mut trio, true).unwrap();
    trio.bob.handset.wait_for_call(PATIENCE, CallState::Held).unwrap();
    let refused = trio.bob.handset.ask(Request::Hold { call: None, on: Some(false) }).unwrap_err();
    assert!(format!("{refused:#}").contains("only they can resume"), "{refused:#}");
    let before = heard(&mut trio);
    hold(&mut trio, false).unwrap();
    trio.bob.handset.wait_for_call(PATIENCE, CallState::Active).unwrap();
    wait_for(PATIENCE, "media again", || Ok((heard(&mut trio) > before + 50).then_some(()))).unwrap();
    trio.alice.handset.hang_up().unwrap();
    trio.bob.handset.wait_for_end(PATIENCE).unwrap();
    let seconds = dvs_tests::speech::read_wav(&recording).unwrap().len() / 48_000;
    assert!(seconds >= 3, "{seconds} s are recorded");
}
