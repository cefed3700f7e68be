// SPDX-License-Identifier: GPL-3.0-or-later
//! What may happen to two who talk: an address changes, a router forgets them, a daemon dies or comes back, keys are
//! replaced. Needs root, for network namespaces, and nftables.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

use core::net::{Ipv4Addr, SocketAddr};
use std::io::Write as _;
use std::time::{Duration, Instant};

use dvs_proto::message::{CallState, CallStats, EndReason};
use dvs_tests::harness::{Setup, wait_for};
use dvs_tests::netns::{Host, Household, Internet, Namespace, Nat, available_or_skipped, nat_available_or_skipped};
use dvs_tests::trio::{PATIENCE, Party};

const PORT: u16 = 5004;
/// While the network changes, nobody is to hear silence for longer than this.
const GAP: Duration = Duration::from_secs(1);
/// Who is not heard any more is given up after this time.
const LOST: Duration = Duration::from_secs(32);
/// A call of somebody whose daemon was restarted rings this soon.
const RINGS: Duration = Duration::from_secs(2);
/// So does a call to somebody whose daemon was restarted.
const REACHED: Duration = Duration::from_secs(3);
/// How long is listened before a change, and after it.
const LISTEN: Duration = Duration::from_secs(5);
/// When a call was answered so long ago, an invitation of the same peer cannot have crossed it.
const NO_GLARE: Duration = Duration::from_secs(10);
/// Pause between two looks at how much has arrived.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Shown even when the test passes: not by a macro, whose output would not be.
fn show(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// IPv4 only, with a tone as sound.
fn setup() -> Setup {
    Setup { backend: "tone".to_owned(), ..Setup::new(SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT))) }
}

/// Starts Alice, and Bob, who joins through her.
fn pair(alice: (&impl AsRef<Namespace>, SocketAddr), bob: &impl AsRef<Namespace>, setup: &Setup) -> [Party; 2] {
    let (host, at) = alice;
    let alice = Party::start_on(host, "Alice", setup).unwrap();
    let joining = Setup { bootstrap: vec![at], ..setup.clone() };
    let mut parties = [alice, Party::start_on(bob, "Bob", &joining).unwrap()];
    join(&mut parties);
    parties
}

fn join(parties: &mut [Party; 2]) {
    for party in parties {
        party.handset.wait_for_network(PATIENCE, |network| network.good >= 1).unwrap();
    }
}

/// One dials, the other answers; returns after how long it rang there.
fn talk(caller: &mut Party, callee: &mut Party) -> Duration {
    let target = callee.handset.id().unwrap();
    let start = Instant::now();
    caller.handset.dial(&target).unwrap();
    until(callee, CallState::Alerting);
    let rang = start.elapsed();
    callee.handset.answer().unwrap();
    for party in [caller, callee] {
        until(party, CallState::Active);
    }
    rang
}

/// Waits until a call is in that state, whatever becomes of others.
fn until(party: &mut Party, state: CallState) {
    let what = format!("a call of {} in state {state:?}", party.daemon.name());
    let look = || Ok(party.handset.snapshot()?.calls.into_iter().find(|call| call.state == state));
    wait_for(PATIENCE, &what, look).unwrap();
}

/// Listens on both sides; returns the longest time in which nothing arrived at each. Whoever called must be heard.
fn listen(parties: &mut [Party; 2], duration: Duration) -> [Duration; 2] {
    let start = Instant::now();
    let mut last = [(0, start); 2];
    let mut gaps = [Duration::ZERO; 2];
    while start.elapsed() < duration {
        for (side, party) in parties.iter_mut().enumerate() {
            let received = party.handset.stats().unwrap().received;
            gaps[side] = gaps[side].max(last[side].1.elapsed());
            if received != last[side].0 {
                last[side] = (received, Instant::now());
            }
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    assert!(last.iter().all(|(received, _)| *received > 0));
    gaps
}

/// Lets `change` happen to two who talk; audio pauses for a second at most, and the call goes on.
fn survives(parties: &mut [Party; 2], what: &str, change: impl FnOnce()) {
    let before = listen(parties, LISTEN);
    change();
    let after = listen(parties, LISTEN);
    let paths = parties.each_mut().map(|party| party.handset.snapshot().unwrap().calls.remove(0));
    show(&format!(
        "{what}: silence of {after:.2?} (before: {before:.2?}), then {:?}",
        paths.each_ref().map(|call| &call.route)
    ));
    assert!(paths.iter().all(|call| call.state == CallState::Active), "{paths:?}");
    assert!(after.iter().all(|gap| *gap <= GAP), "{after:?}");
}

#[test]
fn f13_a_host_that_moves_to_another_network_stays_in_its_call() {
    if !available_or_skipped("f13_a_host_that_moves_to_another_network_stays_in_its_call") {
        return;
    }
    let mut internet = Internet::new().unwrap();
    let [a, b] = [0, 1].map(|_| internet.host().unwrap());
    let mut parties = pair((&a, a.at(PORT)), &b, &setup());
    let [alice, bob] = &mut parties;
    talk(alice, bob);
    survives(&mut parties, "who called moves", || internet.move_host(&a).unwrap());
    survives(&mut parties, "who was called moves", || internet.move_host(&b).unwrap());
}

#[test]
fn f13_a_router_that_forgets_a_call_and_gives_it_another_port_does_not_end_it() {
    if !nat_available_or_skipped("f13_a_router_that_forgets_a_call_and_gives_it_another_port_does_not_end_it") {
        return;
    }
    let mut internet = Internet::new().unwrap();
    let a = internet.host().unwrap();
    let home = Household::new(&mut internet, Nat::Symmetric, false).unwrap();
    let mut parties = pair((&a, a.at(PORT)), &home.inside, &setup());
    let [alice, bob] = &mut parties;
    talk(bob, alice);
    let route = |party: &mut Party| party.handset.snapshot().unwrap().calls.remove(0).route;
    let before = route(&mut parties[0]);
    survives(&mut parties, "the router forgets everything", || home.forget().unwrap());
    assert_ne!(before, route(&mut parties[0]), "the router gave it the same port again");
}

/// Two hosts with daemons on the Internet, who talk.
fn talking(setup: &Setup) -> (Internet, [Host; 2], [Party; 2]) {
    let mut internet = Internet::new().unwrap();
    let hosts = [0, 1].map(|_| internet.host().unwrap());
    let mut parties = pair((&hosts[0], hosts[0].at(PORT)), &hosts[1], setup);
    let [alice, bob] = &mut parties;
    talk(alice, bob);
    (internet, hosts, parties)
}

#[test]
fn a_peer_that_is_killed_is_given_up_after_half_a_minute() {
    if !available_or_skipped("a_peer_that_is_killed_is_given_up_after_half_a_minute") {
        return;
    }
    let (_internet, _hosts, [mut alice, mut bob]) = talking(&setup());
    std::thread::sleep(LISTEN);
    bob.daemon.crash().unwrap();
    let start = Instant::now();
    assert_eq!(alice.handset.wait_for_end(LOST + PATIENCE).unwrap(), EndReason::PeerLost);
    let took = start.elapsed();
    show(&format!("a killed peer is given up after {took:.1?}"));
    assert!(took <= LOST, "{took:?}");
}

/// Kills Bob's daemon and starts it again, on the same host.
fn crash_and_restart(bob: Party, host: &Host, bootstrap: SocketAddr) -> Party {
    let Party { mut daemon, .. } = bob;
    daemon.crash().unwrap();
    daemon.restart_on(host, &Setup { bootstrap: vec![bootstrap], ..setup() }).unwrap();
    Party::attach(daemon).unwrap()
}

#[test]
fn f19_a_peer_whose_daemon_crashed_in_a_call_calls_again_at_once() {
    if !available_or_skipped("f19_a_peer_whose_daemon_crashed_in_a_call_calls_again_at_once") {
        return;
    }
    let (_internet, hosts, [alice, bob]) = talking(&setup());
    std::thread::sleep(NO_GLARE);
    let bob = crash_and_restart(bob, &hosts[1], hosts[0].at(PORT));
    let mut parties = [alice, bob];
    let [alice, bob] = &mut parties;
    let rang = talk(bob, alice);
    let gaps = listen(&mut parties, LISTEN);
    show(&format!("whose daemon was restarted in a call rings after {rang:.2?}; then silence of {gaps:.2?} at most"));
    assert!(rang <= RINGS, "{rang:?}");
    assert!(gaps.iter().all(|gap| *gap <= GAP), "{gaps:?}");
    let active = |party: &mut Party| party.handset.snapshot().unwrap().calls.len();
    assert_eq!(parties.each_mut().map(active), [1, 1], "the old call is over");
}

#[test]
fn f19_a_peer_whose_daemon_crashed_is_reached_soon() {
    if !available_or_skipped("f19_a_peer_whose_daemon_crashed_is_reached_soon") {
        return;
    }
    let (_internet, hosts, [mut alice, bob]) = talking(&setup());
    std::thread::sleep(LISTEN);
    // In the call that the crash ends for one side only.
    let mut bob = crash_and_restart(bob, &hosts[1], hosts[0].at(PORT));
    alice.handset.hang_up().unwrap();
    alice.handset.wait_for_end(PATIENCE).unwrap();
    let in_call = talk(&mut alice, &mut bob);
    alice.handset.hang_up().unwrap();
    alice.handset.wait_for_end(PATIENCE).unwrap();
    bob.handset.wait_for_end(PATIENCE).unwrap();
    // With the session that is left over from a call.
    let mut bob = crash_and_restart(bob, &hosts[1], hosts[0].at(PORT));
    let idle = talk(&mut alice, &mut bob);
    show(&format!(
        "whose daemon was restarted in a call rings {in_call:.2?} after being dialled; after a call, {idle:.2?}"
    ));
    assert!([in_call, idle].iter().all(|took| *took <= REACHED), "{in_call:?}, {idle:?}");
}

/// How many media frames never came.
fn missing(stats: &CallStats) -> u64 {
    stats.lost - stats.late
}

#[test]
fn three_changes_of_keys_in_a_call_cost_no_frame() {
    if !available_or_skipped("three_changes_of_keys_in_a_call_cost_no_frame") {
        return;
    }
    let (_internet, _hosts, mut parties) = talking(&Setup { rekey_seconds: Some(10), ..setup() });
    let gaps = listen(&mut parties, 4 * Duration::from_secs(10));
    let stats = parties.each_mut().map(|party| party.handset.stats().unwrap());
    let epochs =
        parties.each_ref().map(|party| party.daemon.verb(&["stats"]).unwrap().json().unwrap()["epoch"].as_u64());
    show(&format!("epochs {epochs:?}, missing {:?}, silence of {gaps:.2?} at most", stats.each_ref().map(missing)));
    assert!(epochs.iter().all(|epoch| epoch.is_some_and(|epoch| epoch >= 3)), "{epochs:?}");
    assert_eq!(stats.each_ref().map(missing), [0, 0], "{stats:?}");
    assert!(gaps.iter().all(|gap| *gap <= GAP), "{gaps:?}");
}
