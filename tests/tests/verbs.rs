// SPDX-License-Identifier: GPL-3.0-or-later
//! Queues, several calls and who may ring, by the verbs alone; and what they say when they are used wrongly.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

use std::time::Duration;

use dvs_proto::message::{CallState, Contact, Event, FailureKind, Presence, Request, UnknownCallers};
use dvs_tests::harness::{Daemon, Setup, wait_for};
use dvs_tests::trio::{PATIENCE, Party};
use serde_json::Value;

/// Alice, Bob and Carol, each a contact of the two others, with a bootstrap node among them.
struct Friends {
    alice: Party,
    bob: Party,
    carol: Party,
    _bootstrap: Party,
}

impl Friends {
    fn new() -> Self {
        let mut bootstrap = Party::start("the bootstrap node", &Setup::loopback()).unwrap();
        let known = vec![bootstrap.address().unwrap()];
        let tone = Setup { backend: "tone".to_owned(), bootstrap: known, ..Setup::loopback() };
        let mut all = ["Alice", "Bob", "Carol"].map(|name| Party::start(name, &tone).unwrap());
        let ids = all.each_mut().map(|party| party.handset.id().unwrap());
        for (index, party) in all.iter_mut().enumerate() {
            party.handset.wait_for_network(PATIENCE, |network| network.good >= 1).unwrap();
            for (other, name) in ["Alice", "Bob", "Carol"].into_iter().enumerate().filter(|(other, _)| *other != index)
            {
                party.handset.add_contact(name, &ids[other]).unwrap();
            }
        }
        let [alice, bob, carol] = all;
        Self { alice, bob, carol, _bootstrap: bootstrap }
    }
}

/// The calls of a daemon as `status` shows them: with whom, and how they stand.
fn calls(daemon: &Daemon) -> Vec<(String, String)> {
    let status = daemon.verb(&["status"]).unwrap().json().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let calls = status["calls"].as_array().unwrap().iter();
    calls.map(|call| (text(&call["name"]), text(&call["state"]))).collect()
}

/// Waits until `daemon` has a call with `name` in `state`.
fn until(daemon: &Daemon, name: &str, state: &str) {
    let what = format!("{} to have a call with {name}: {state}", daemon.name());
    let is = |(with, stands): (String, String)| with == name && stands == state;
    wait_for(PATIENCE, &what, || {
        std::thread::sleep(Duration::from_millis(100));
        Ok(calls(daemon).into_iter().any(is).then_some(()))
    })
    .unwrap();
}

#[track_caller]
fn does(party: &Party, arguments: &[&str]) -> Value {
    party.daemon.verb(arguments).unwrap().json().unwrap()
}

#[track_caller]
fn refused(party: &Party, arguments: &[&str], code: i32, words: &str) {
    let verb = party.daemon.verb(arguments).unwrap();
    assert_eq!(verb.code, Some(code), "{}", verb.stderr);
    assert!(verb.stderr.contains(words), "{words:?} is missing in: {}", verb.stderr);
}

#[test]
fn who_waits_in_the_queue_is_answered_and_two_calls_are_switched_by_the_verbs_alone() {
    let friends = Friends::new();
    let Friends { alice, bob, carol, .. } = &friends;
    does(bob, &["call", "Carol"]);
    does(carol, &["answer"]);
    until(&bob.daemon, "Carol", "Active");
    let waiting = does(alice, &["call", "Bob", "--tries", "3", "--queue"]);
    assert_eq!((waiting["state"].as_str(), waiting["tries"].as_u64()), (Some("Waiting"), Some(3)));
    assert!(waiting["until"].is_u64());
    until(&bob.daemon, "Alice", "Waiting");
    assert_eq!(does(alice, &["wait", "--leave"])["state"], "Busy");
    assert_eq!(does(alice, &["wait"])["state"], "Waiting");
    until(&bob.daemon, "Alice", "Waiting");

    does(bob, &["answer"]);
    until(&bob.daemon, "Alice", "Active");
    until(&bob.daemon, "Carol", "Held");
    until(&carol.daemon, "Bob", "Held");
    let switched = does(bob, &["switch"]);
    assert_eq!(switched["name"], "Carol");
    until(&bob.daemon, "Carol", "Active");
    until(&alice.daemon, "Bob", "Held");
    refused(alice, &["hold", "off"], 5, "only they can resume it");
    let status = does(alice, &["status"]);
    assert_eq!(
        (&status["calls"][0]["held_there"], &status["calls"][0]["held_here"]),
        (&Value::Bool(true), &Value::Bool(false))
    );
    does(bob, &["hangup"]);
    does(bob, &["hold", "off"]);
    until(&alice.daemon, "Bob", "Active");
}

#[test]
fn whoever_waits_is_connected_when_the_line_is_free() {
    let friends = Friends::new();
    let Friends { alice, bob, carol, .. } = &friends;
    does(bob, &["call", "Carol"]);
    does(carol, &["answer"]);
    does(alice, &["call", "Bob", "--queue"]);
    does(carol, &["hangup"]);
    until(&bob.daemon, "Alice", "Alerting");
    until(&alice.daemon, "Bob", "Ringing");
    does(bob, &["answer"]);
    until(&alice.daemon, "Bob", "Active");
}

#[test]
fn requests_about_calls_that_are_not_there_say_so() {
    let mut party = Party::start("Alice", &Setup::loopback()).unwrap();
    let missing = [
        (vec!["wait"], "there is no such call"),
        (vec!["wait", "7", "--leave"], "there is no such call"),
        (vec!["switch"], "there is no other call"),
        (vec!["hold", "7", "on"], "there is no such call"),
        (vec!["answer", "7"], "nobody is calling"),
    ];
    for (verb, words) in missing {
        refused(&party, &verb, 4, words);
    }
    refused(&party, &["call", "x", "--tries", "0"], 2, "0 is not in 1..=20");
    refused(&party, &["callers", "loud"], 2, "ring, silent, reject");
    for tries in [0, 21] {
        let dial = Request::Dial { target: "x".to_owned(), tries: Some(tries), wait: false };
        let error = party.handset.client().call(dial).unwrap_err();
        let dvs_proto::client::CallError::Refused(failure) = error else { panic!("{error}") };
        assert_eq!(failure.kind, FailureKind::BadInput);
        assert!(failure.message.contains("say 1 to 20"), "{failure}");
    }
}

#[test]
fn a_call_that_only_rings_has_nothing_to_hold_or_to_wait_for() {
    let friends = Friends::new();
    let Friends { mut alice, bob, .. } = friends;
    does(&alice, &["call", "Bob"]);
    alice.handset.wait_for_call(PATIENCE, CallState::Ringing).unwrap();
    refused(&alice, &["hold"], 5, "has not been answered");
    refused(&alice, &["wait"], 5, "nothing to wait for");
    does(&bob, &["decline"]);
}

fn trust(party: &Party, name: &str) -> Value {
    does(party, &["contacts", "show", name])["trust"].clone()
}

#[test]
fn words_compared_by_voice_verify_contacts_and_words_that_differ_end_the_call() {
    let Friends { alice, bob, .. } = &Friends::new();
    refused(alice, &["verify"], 4, "no call to compare keys in");
    refused(alice, &["contacts", "verify", "Bob"], 5, "dvs-tui id --fingerprint");
    does(alice, &["call", "Bob"]);
    refused(alice, &["verify"], 4, "no call to compare keys in");
    does(bob, &["answer"]);
    until(&alice.daemon, "Bob", "Active");
    refused(alice, &["verify", "match"], 5, "first run dvs-tui verify");

    let shown = does(alice, &["contacts", "verify", "Bob"]);
    assert_eq!(shown["words"].as_array().map(Vec::len), Some(3));
    assert_eq!(shown["digits"].as_str().map(str::len), Some(10));
    let there = does(bob, &["verify"]);
    assert_eq!((&shown["words"], &shown["digits"]), (&there["words"], &there["digits"]));
    assert_eq!(does(alice, &["status"])["verification"], shown);
    assert_eq!((trust(alice, "Bob"), trust(bob, "Alice")), ("Seen".into(), "Seen".into()), "nobody has said so yet");
    assert_eq!(does(alice, &["verify", "match"])["state"], "Matched");
    assert_eq!((trust(alice, "Bob"), trust(bob, "Alice")), ("Verified".into(), "Seen".into()), "each says so alone");

    does(bob, &["verify"]);
    assert_eq!(does(bob, &["verify", "differ"])["state"], "Differs");
    assert_eq!(trust(bob, "Alice"), "Changed");
    wait_for(PATIENCE, "the end of the call", || Ok(calls(&alice.daemon).is_empty().then_some(()))).unwrap();
    refused(bob, &["call", "Alice"], 6, "contacts verify");
}

#[test]
fn a_fingerprint_read_out_verifies_a_contact_and_only_the_right_one_does() {
    let Friends { alice, bob, .. } = &Friends::new();
    let identity = does(bob, &["id"]);
    let fingerprint = identity["fingerprint"].as_str().unwrap();
    refused(alice, &["contacts", "verify", "Bob", "3F9A"], 2, "64 hexadecimal digits");
    refused(alice, &["contacts", "verify", "Bbo", fingerprint], 4, "no contact");
    let groups: Vec<&str> = ["contacts", "verify", "Bob"].into_iter().chain(fingerprint.split(' ')).collect();
    assert_eq!(does(alice, &groups)["trust"], "Verified");
    let other = "00".repeat(32);
    refused(alice, &["contacts", "verify", "Bob", &other], 5, "not the fingerprint");
}

#[test]
fn do_not_disturb_and_the_policy_for_strangers_are_seen_by_all_clients_and_outlive_the_daemon() {
    let mut party = Party::start("Alice", &Setup::loopback()).unwrap();
    assert_eq!(does(&party, &["callers"])["unknown_callers"], "Ring");
    assert_eq!(does(&party, &["dnd"])["do_not_disturb"], true);
    assert_eq!(does(&party, &["callers", "reject"])["unknown_callers"], "Reject");
    let mut seen = Vec::new();
    while let Some(event) = party.handset.next_event(Duration::from_secs(1)).unwrap() {
        if let Event::Policy(policy) = event {
            seen.push((policy.do_not_disturb, policy.unknown_callers));
        }
    }
    assert_eq!(seen, [(true, UnknownCallers::Ring), (true, UnknownCallers::Reject)]);
    party.daemon.terminate().unwrap();
    party.daemon.restart(&Setup::loopback()).unwrap();
    let party = Party::attach(party.daemon).unwrap();
    let policy = &does(&party, &["status"])["policy"];
    assert_eq!((&policy["do_not_disturb"], &policy["unknown_callers"]), (&true.into(), &"Reject".into()));
    assert_eq!(does(&party, &["dnd", "off"])["do_not_disturb"], false);
}

#[test]
fn a_contact_that_is_answered_at_once_must_have_a_known_key() {
    let Friends { alice, bob, .. } = &Friends::new();
    refused(bob, &["contacts", "auto-answer", "Alice", "on"], 5, "talk to them, or verify it, first");
    let identity = does(alice, &["id"]);
    let fingerprint = identity["fingerprint"].as_str().unwrap().replace(' ', "");
    does(bob, &["contacts", "verify", "Alice", &fingerprint]);
    assert_eq!(does(bob, &["contacts", "auto-answer", "Alice", "on"])["auto_answer"], true);
    does(alice, &["call", "Bob"]);
    until(&alice.daemon, "Bob", "Active");
    does(alice, &["hangup"]);
    assert_eq!(does(bob, &["contacts", "auto-answer", "Alice", "off"])["auto_answer"], false);
}

#[test]
fn a_client_that_stays_learns_who_can_be_reached() {
    let mut friends = Friends::new();
    let id = friends.bob.handset.id().unwrap();
    let online = |contact: &Contact| contact.id == id && matches!(contact.presence, Presence::Online { .. });
    wait_for(PATIENCE, "Bob to be seen", || {
        std::thread::sleep(Duration::from_millis(200));
        Ok(friends.alice.handset.snapshot()?.contacts.iter().any(online).then_some(()))
    })
    .unwrap();
}
