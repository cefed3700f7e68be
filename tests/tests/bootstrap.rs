// SPDX-License-Identifier: GPL-3.0-or-later
//! How real daemons get into the overlay, and back into it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

use std::net::SocketAddr;
use std::time::Duration;

use dvs_proto::message::{CallState, EndReason, Role};
use dvs_tests::handset::Handset;
use dvs_tests::harness::{Setup, wait_for};
use dvs_tests::impair::Conditions;
use dvs_tests::netns::{Pair, available_or_skipped};
use dvs_tests::trio::{PATIENCE, Party, Trio};

/// A daemon writes down whom it knows this soon after it joined, and a little more.
const SOON: Duration = Duration::from_secs(40);

fn seed(listen: &str) -> Setup {
    // With the sound card that a peer would use.
    Setup::of(&format!("[network]\nlisten = \"{listen}\"\nrole = \"seed\"\n"))
}

/// Starts the daemon of `party` again, told of nobody, and attaches to it.
fn come_back(party: &mut Party, listen: SocketAddr) {
    party.daemon.restart(&Setup::new(listen)).unwrap();
    party.handset = Handset::attach(&party.daemon, "test").unwrap();
}

fn rings(caller: &mut Party, callee: &mut Party) {
    let target = callee.handset.id().unwrap();
    caller.handset.dial(&target).unwrap();
    callee.handset.wait_for_call(PATIENCE, CallState::Alerting).unwrap();
    caller.handset.hang_up().unwrap();
    for party in [caller, callee] {
        party.handset.wait_for_end(PATIENCE).unwrap();
    }
}

#[test]
fn who_knew_others_finds_them_again_without_a_bootstrap_node() {
    let mut trio = Trio::start(Setup::loopback(), Setup::loopback()).unwrap();
    for party in [&mut trio.alice, &mut trio.bob] {
        party.handset.wait_for_network(PATIENCE, |network| network.good >= 2).unwrap();
    }
    let [alice_at, bob_at] = [trio.alice.address().unwrap(), trio.bob.address().unwrap()];
    trio.bootstrap.daemon.terminate().unwrap();
    come_back(&mut trio.alice, alice_at);
    trio.alice.handset.wait_for_network(PATIENCE, |network| network.online).unwrap();
    rings(&mut trio.alice, &mut trio.bob);

    let nodes = trio.bob.daemon.state_directory().join("nodes");
    wait_for(SOON, "the file of known nodes", || Ok(nodes.exists().then_some(()))).unwrap();
    trio.bob.daemon.crash().unwrap();
    come_back(&mut trio.bob, bob_at);
    trio.bob.handset.wait_for_network(PATIENCE, |network| network.online).unwrap();
    rings(&mut trio.bob, &mut trio.alice);
}

#[test]
fn a_damaged_file_of_known_nodes_is_a_warning_and_no_more() {
    let mut trio = Trio::start(Setup::loopback(), Setup::loopback()).unwrap();
    let nodes = trio.alice.daemon.state_directory().join("nodes");
    let bootstrap = vec![trio.bootstrap.address().unwrap()];
    trio.alice.daemon.terminate().unwrap();
    let mut bytes = std::fs::read(&nodes).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&nodes, &bytes).unwrap();
    trio.alice.daemon.restart(&Setup { bootstrap, ..Setup::loopback() }).unwrap();
    trio.alice.handset = Handset::attach(&trio.alice.daemon, "test").unwrap();
    trio.alice.handset.wait_for_network(PATIENCE, |network| network.online).unwrap();
    rings(&mut trio.alice, &mut trio.bob);
    let warnings = trio.alice.daemon.log().lines().filter(|line| line.contains("damaged")).count();
    assert_eq!(warnings, 1, "{}", trio.alice.daemon.log());
}

#[test]
fn a_seed_lets_others_meet_and_declines_calls() {
    let mut seed = Party::start("the seed", &seed("127.0.0.1:0")).unwrap();
    let bootstrap = vec![seed.address().unwrap()];
    let setup = Setup { bootstrap, ..Setup::loopback() };
    let [mut alice, mut bob] = ["Alice", "Bob"].map(|name| Party::start(name, &setup).unwrap());
    for party in [&mut alice, &mut bob] {
        party.handset.wait_for_network(PATIENCE, |network| network.online).unwrap();
    }
    seed.handset.wait_for_network(PATIENCE, |network| network.good >= 2).unwrap();
    rings(&mut alice, &mut bob);

    let (id, alice_id) = (seed.handset.id().unwrap(), alice.handset.id().unwrap());
    seed.handset.add_contact("Alice", &alice_id).unwrap();
    alice.handset.dial(&id).unwrap();
    assert_eq!(alice.handset.wait_for_end(PATIENCE).unwrap(), EndReason::Declined, "even a contact's");
    assert!(seed.handset.snapshot().unwrap().calls.is_empty());
    let verb = seed.daemon.verb(&["call", &alice_id]).unwrap();
    assert!(verb.code != Some(0) && verb.stderr.contains("bootstrap node"), "{verb:?}");
    let snapshot = seed.handset.snapshot().unwrap();
    assert_eq!((snapshot.audio.backend.as_str(), snapshot.network.role), ("none", Role::Seed));
}

#[test]
fn who_only_reads_still_finds_and_calls_others() {
    let mut trio = Trio::start(Setup::loopback(), Setup::loopback()).unwrap();
    let bootstrap = trio.bootstrap.address().unwrap();
    let settings = format!(
        "[network]\nlisten = \"127.0.0.1:0\"\nread_only = true\nbootstrap = [\"{bootstrap}\"]\n[audio]\nbackend = \"none\"\n"
    );
    let mut reader = Party::start("a reader", &Setup::of(&settings)).unwrap();
    reader.handset.wait_for_network(PATIENCE, |network| network.online).unwrap();
    rings(&mut reader, &mut trio.bob);
    assert_eq!(reader.handset.snapshot().unwrap().network.role, Role::ReadOnly);
}

#[test]
fn a_bootstrap_node_may_be_named() {
    let mut seed = Party::start("the seed", &seed("127.0.0.1:0")).unwrap();
    let port = seed.address().unwrap().port();
    let settings = format!(
        "[network]\nlisten = \"127.0.0.1:0\"\nbootstrap = [\"localhost:{port}\"]\n[audio]\nbackend = \"none\"\n"
    );
    let mut alice = Party::start("Alice", &Setup::of(&settings)).unwrap();
    alice.handset.wait_for_network(PATIENCE, |network| network.online).unwrap();
}

#[test]
fn a_taken_default_port_is_no_reason_not_to_run_unless_for_a_seed() {
    if !available_or_skipped("a_taken_default_port_is_no_reason_not_to_run_unless_for_a_seed") {
        return;
    }
    let pair = Pair::new(Conditions::default()).unwrap();
    let host = &pair.hosts[0];
    let _taken = host.bind(5004).unwrap();
    let mut alice = Party::start_on(host, "Alice", &Setup::of("[audio]\nbackend = \"none\"\n")).unwrap();
    let address = alice.address().unwrap();
    assert!(address.ip().is_unspecified() && address.port() != 5004, "{address}");
    let log = alice.daemon.log();
    let warning = log.lines().find(|line| line.contains("5004 is in use")).unwrap_or_else(|| panic!("{log}"));
    assert!(warning.contains(&address.port().to_string()) && warning.contains("firewall"), "{warning}");
    let refused = Party::start_on(host, "a seed", &Setup::of("[network]\nrole = \"seed\"\n")).unwrap_err();
    assert!(format!("{refused:#}").contains("UDP port 5004 is in use"), "{refused:#}");
}
