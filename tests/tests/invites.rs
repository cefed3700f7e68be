// SPDX-License-Identifier: GPL-3.0-or-later
//! Finding people by what is known of them: invites, contacts that keep addresses, lookups. All on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

use dvs_proto::message::{CallState, Contact, EndReason};
use dvs_tests::handset::Handset;
use dvs_tests::harness::Setup;
use dvs_tests::trio::{PATIENCE, Party, Trio};

/// A party without any overlay.
fn alone(name: &str) -> Party {
    Party::start(name, &Setup::loopback()).unwrap()
}

/// The invite of somebody who listens where they listen now.
fn invite(party: &mut Party) -> String {
    format!("dvs:{}?at={}", party.handset.id().unwrap(), party.address().unwrap())
}

/// Stops the daemon and starts it again, at the same address.
fn restart(party: &mut Party) {
    let setup = Setup::new(party.address().unwrap());
    party.daemon.restart(&setup).unwrap();
    party.handset = Handset::attach(&party.daemon, "test").unwrap();
}

fn bob_of(alice: &mut Party) -> Contact {
    alice.handset.snapshot().unwrap().contacts.remove(0)
}

fn ring(alice: &mut Party, bob: &mut Party, target: &str) {
    alice.handset.dial(target).unwrap();
    alice.handset.wait_for_call(PATIENCE, CallState::Ringing).unwrap();
    bob.handset.wait_for_call(PATIENCE, CallState::Alerting).unwrap();
}

#[test]
fn a_network_of_two_works_again_by_name_after_both_restarted() {
    let [mut alice, mut bob] = ["Alice", "Bob"].map(alone);
    let address = bob.address().unwrap().to_string();
    alice.handset.add_contact("Bob", &invite(&mut bob)).unwrap();
    for party in [&mut alice, &mut bob] {
        restart(party);
    }
    let known = bob_of(&mut alice);
    assert_eq!((known.at.as_slice(), known.last_address), (&[address.clone()][..], None));
    ring(&mut alice, &mut bob, "Bob");
    bob.handset.answer().unwrap();
    alice.handset.wait_for_call(PATIENCE, CallState::Active).unwrap();
    assert_eq!(bob_of(&mut alice).last_address, Some(address));
}

/// Two who talk by an invite; to Alice, Bob is a contact of whom she has noted no address.
fn who_talk() -> [Party; 2] {
    let [mut alice, mut bob] = ["Alice", "Bob"].map(alone);
    let id = bob.handset.id().unwrap();
    alice.handset.add_contact("Bob", &id).unwrap();
    let bobs = invite(&mut bob);
    ring(&mut alice, &mut bob, &bobs);
    bob.handset.answer().unwrap();
    alice.handset.wait_for_call(PATIENCE, CallState::Active).unwrap();
    [alice, bob]
}

#[test]
fn a_contact_without_an_invite_is_found_again_where_it_was_talked_to() {
    let [mut alice, mut bob] = who_talk();
    for party in [&mut alice, &mut bob] {
        restart(party);
    }
    assert!(bob_of(&mut alice).at.is_empty());
    ring(&mut alice, &mut bob, "bob");
}

#[test]
fn a_contact_is_a_way_into_the_overlay_when_the_known_nodes_are_lost() {
    let [mut alice, _bob] = who_talk();
    let setup = Setup::new(alice.address().unwrap());
    alice.daemon.terminate().unwrap();
    std::fs::remove_file(alice.daemon.state_directory().join("nodes")).unwrap();
    alice.daemon.restart(&setup).unwrap();
    alice.handset = Handset::attach(&alice.daemon, "test").unwrap();
    alice.handset.wait_for_network(PATIENCE, |network| network.online).unwrap();
}

#[test]
fn an_invite_added_again_leads_to_the_new_address() {
    let [mut alice, mut bob] = ["Alice", "Bob"].map(alone);
    alice.handset.add_contact("Bob", &invite(&mut bob)).unwrap();
    bob.daemon.restart(&Setup::loopback()).unwrap();
    bob.handset = Handset::attach(&bob.daemon, "test").unwrap();
    alice.handset.dial("Bob").unwrap();
    let ended = alice.handset.wait_for_end(PATIENCE).unwrap();
    assert!(matches!(ended, EndReason::Offline | EndReason::Unreachable), "{ended:?}");
    let verb = ["contacts", "add", "bob", &invite(&mut bob)];
    let renewed = alice.daemon.verb(&verb).unwrap().json().unwrap();
    assert_eq!(renewed["at"][0], bob.address().unwrap().to_string());
    let shown = alice.daemon.verb(&["contacts", "show", "BOB"]).unwrap().json().unwrap();
    assert_eq!(shown, renewed);
    ring(&mut alice, &mut bob, "Bob");
}

/// Alice, who knows nobody, and an invite of Bob's that names the node he joined through as `host`.
fn invited_by_way_of(host: &str) -> (Trio, Party, String) {
    let mut trio = Trio::start(Setup::loopback(), Setup::loopback()).unwrap();
    let port = trio.bootstrap.address().unwrap().port();
    let [bob, node] = [&mut trio.bob, &mut trio.bootstrap].map(|party| party.handset.id().unwrap());
    (trio, alone("Carol"), format!("dvs:{bob}?via={node}@{host}:{port}"))
}

#[test]
fn an_invite_leads_into_the_overlay_by_address_and_by_name() {
    for host in ["127.0.0.1", "localhost"] {
        let (mut trio, mut carol, invite) = invited_by_way_of(host);
        ring(&mut carol, &mut trio.bob, &invite);
        assert!(carol.handset.snapshot().unwrap().network.online, "{host}");
    }
}

#[test]
fn adding_a_contact_joins_the_overlay_of_its_invite() {
    let (mut trio, mut carol, invite) = invited_by_way_of("127.0.0.1");
    carol.handset.add_contact("Bob", &invite).unwrap();
    carol.handset.wait_for_network(PATIENCE, |network| network.online).unwrap();
    let alice = trio.alice.handset.id().unwrap();
    ring(&mut carol, &mut trio.alice, &alice);
}

#[test]
fn a_node_that_is_online_already_joins_the_others_overlay_as_well() {
    let mut other = Trio::start(Setup::loopback(), Setup::loopback()).unwrap();
    let (mut trio, _carol, invite) = invited_by_way_of("127.0.0.1");
    let before = other.alice.handset.snapshot().unwrap().network;
    assert!(before.online && before.bootstrap == 1, "{before:?}");
    ring(&mut other.alice, &mut trio.bob, &invite);
}

#[test]
fn a_lookup_finds_without_ringing_and_says_what_is_missing() {
    let mut trio = Trio::start(Setup::loopback(), Setup::loopback()).unwrap();
    let bob = trio.bob.handset.id().unwrap();
    trio.alice.handset.add_contact("Bob", &bob).unwrap();
    let found = trio.alice.daemon.verb(&["lookup", "Bob"]).unwrap().json().unwrap();
    assert_eq!((&found["peer"], &found["name"]), (&bob.into(), &"Bob".into()));
    assert_eq!(found["found"][0]["address"], trio.bob.address().unwrap().to_string());
    assert!(found["found"][0]["rtt_us"].as_u64() <= found["took_us"].as_u64(), "{found}");
    assert!(trio.bob.handset.snapshot().unwrap().history.is_empty());
    let network = trio.alice.daemon.verb(&["network"]).unwrap().json().unwrap();
    assert_eq!((&network["lookups_found"], &network["searching"]), (&1.into(), &0.into()));

    let nobody = trio.alice.daemon.verb(&["lookup", &"42".repeat(20)]).unwrap();
    assert_eq!(nobody.code, Some(4), "{nobody:?}");
    assert!(nobody.stdout.contains(r#""missing":"NotFound""#), "{nobody:?}");
    assert!(nobody.stderr.contains("was not found in the overlay"), "{nobody:?}");
    let mistyped = trio.alice.daemon.verb(&["lookup", "Bobb"]).unwrap();
    assert_eq!(mistyped.code, Some(4));
    assert!(mistyped.stderr.contains("did you mean \"Bob\"?"), "{mistyped:?}");
}

#[test]
fn whoever_is_offline_is_told_how_many_bootstrap_nodes_are_silent() {
    let alice = alone("Alice");
    let nobody = "42".repeat(20);
    for (verb, said) in [("lookup", "no bootstrap node is configured"), ("call", "no bootstrap node is configured")] {
        let failed = alice.daemon.verb(&[verb, &nobody]).unwrap();
        assert_eq!(failed.code, Some(4), "{failed:?}");
        assert!(failed.stderr.contains(said), "{failed:?}");
    }
    let bootstrap = vec![([127, 0, 0, 1], 9).into(), ([127, 0, 0, 1], 10).into()];
    let deserted = Party::start("Bob", &Setup { bootstrap, ..Setup::loopback() }).unwrap();
    let failed = deserted.daemon.verb(&["lookup", &nobody]).unwrap();
    assert!(failed.stderr.contains("nor does any of the 2 configured bootstrap nodes"), "{failed:?}");
}

#[test]
fn an_invite_for_the_own_network_names_the_address_listened_on() {
    let mut alice = alone("Alice");
    let address = alice.address().unwrap();
    let public = alice.daemon.verb(&["id", "--invite"]).unwrap();
    assert!(!public.json().unwrap()["invite"].as_str().unwrap().contains("at="));
    assert!(public.stderr.contains("--local"), "{public:?}");
    let local = alice.daemon.verb(&["id", "--invite", "--local"]).unwrap();
    let invite = local.json().unwrap()["invite"].as_str().unwrap().to_owned();
    assert!(invite.ends_with(&format!("&at={address}")) && local.stderr.is_empty(), "{local:?}");
    let mut bob = alone("Bob");
    ring(&mut bob, &mut alice, &invite);
}

#[test]
fn an_address_book_full_of_addresses_is_shown_whole() {
    let mut alice = alone("Alice");
    let host = "a".repeat(120);
    for number in 0..300_u32 {
        let at = format!("at={host}.example:5004&").repeat(3);
        let via = format!("via={number:040X}@{host}.example:5004&").repeat(2);
        let invite = format!("dvs:{number:040X}?{at}{via}");
        alice.handset.add_contact(&format!("Contact {number}"), &invite).unwrap();
    }
    let contacts = Handset::attach(&alice.daemon, "late").unwrap().snapshot().unwrap().contacts;
    assert_eq!(contacts.len(), 300);
    assert!(contacts.iter().all(|contact| contact.at.len() == 3 && contact.via.len() == 2));
}
