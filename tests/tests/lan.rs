// SPDX-License-Identifier: GPL-3.0-or-later
//! Daemons on one Ethernet that nobody told of each other, and daemons on an Internet without IPv4. Needs root, for
//! network namespaces.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

use core::net::{Ipv6Addr, SocketAddr};
use std::io::Write as _;
use std::time::{Duration, Instant};

use dvs_tests::harness::{Daemon, Setup, wait_for};
use dvs_tests::netns::{Addresses, Host, Internet, Port, Switch, available_or_skipped};
use dvs_tests::trio::{PATIENCE, Party};

/// Neighbours find each other within this time.
const FINDING: Duration = Duration::from_secs(2);
/// After a change of the network everything works again within this time.
const RECOVERY: Duration = Duration::from_secs(5);
/// Time in which nothing is expected to happen.
const NOTHING_HAPPENS: Duration = Duration::from_secs(5);

/// Shown even when the test passes: not by a macro, whose output would not be.
fn show(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Two hosts on one switch and their daemons, which have no settings at all. The second one starts when the first is
/// ready.
struct Neighbours {
    parties: [Party; 2],
    ports: [Port; 2],
    /// When the second one was ready.
    since: Instant,
    _switch: Switch,
}

impl Neighbours {
    fn new(addresses: Addresses) -> Self {
        let mut switch = Switch::new(addresses).unwrap();
        let ports = [0, 1].map(|_| switch.plug().unwrap());
        let alice = Party::start_on(&ports[0], "Alice", &Setup::of("")).unwrap();
        let bob = Daemon::start_on(&ports[1], "Bob", &Setup::of("")).unwrap();
        let since = Instant::now();
        Self { parties: [alice, Party::attach(bob).unwrap()], ports, since, _switch: switch }
    }

    /// Waits until both know somebody; returns how long that took from when both were ready.
    fn find_each_other(&mut self) -> Duration {
        for party in &mut self.parties {
            party.handset.wait_for_network(PATIENCE, |network| network.good >= 1).unwrap();
        }
        self.since.elapsed()
    }

    /// Both call each other, by ID.
    fn call(&mut self) {
        let [alice, bob] = &mut self.parties;
        rings(alice, bob, PATIENCE).unwrap();
        rings(bob, alice, PATIENCE).unwrap();
    }

    /// From now, how long it takes until calls work in both directions.
    fn recover(&mut self) -> Duration {
        let start = Instant::now();
        self.call();
        start.elapsed()
    }
}

/// The caller dials, again and again if need be, until it rings.
fn rings(caller: &mut Party, callee: &mut Party, limit: Duration) -> anyhow::Result<()> {
    let target = callee.handset.id()?;
    let what = format!("a call from {} to ring", caller.daemon.name());
    wait_for(limit, &what, || Ok(caller.handset.knock(&target, limit)?.failed.is_none().then_some(())))
}

fn without_configuration(test: &str, addresses: Addresses) {
    if !available_or_skipped(test) {
        return;
    }
    let mut neighbours = Neighbours::new(addresses);
    let took = neighbours.find_each_other();
    show(&format!("two daemons on one switch, {addresses:?}: found each other in {:.2} s", took.as_secs_f64()));
    neighbours.call();
    assert!(took <= FINDING, "{took:?}");
}

#[test]
fn two_daemons_without_configuration_find_each_other_by_ipv4() {
    without_configuration("two_daemons_without_configuration_find_each_other_by_ipv4", Addresses::V4);
}

#[test]
fn two_daemons_without_configuration_find_each_other_by_ipv6() {
    without_configuration("two_daemons_without_configuration_find_each_other_by_ipv6", Addresses::V6);
}

#[test]
fn two_daemons_without_any_address_but_link_local_ones_find_each_other() {
    let test = "two_daemons_without_any_address_but_link_local_ones_find_each_other";
    without_configuration(test, Addresses::LinkLocal);
}

#[test]
fn two_daemons_with_addresses_of_both_families_find_each_other() {
    without_configuration("two_daemons_with_addresses_of_both_families_find_each_other", Addresses::Both);
}

/// Lets `change` happen to the second host, and expects calls to work soon after.
fn after_a_change(test: &str, addresses: Addresses, what: &str, change: impl FnOnce(&Port)) {
    if !available_or_skipped(test) {
        return;
    }
    let mut neighbours = Neighbours::new(addresses);
    neighbours.find_each_other();
    change(&neighbours.ports[1]);
    let took = neighbours.recover();
    show(&format!("{what}, {addresses:?}: calls work again after {:.2} s", took.as_secs_f64()));
    assert!(took <= RECOVERY, "{took:?}");
}

#[test]
fn an_interface_that_was_down_for_a_while_is_used_again_at_once() {
    let test = "an_interface_that_was_down_for_a_while_is_used_again_at_once";
    after_a_change(test, Addresses::Both, "the interface was down", |port| {
        port.down().unwrap();
        std::thread::sleep(NOTHING_HAPPENS);
        port.up(2).unwrap();
    });
}

#[test]
fn a_host_that_comes_back_with_another_address_is_found_within_seconds() {
    let test = "a_host_that_comes_back_with_another_address_is_found_within_seconds";
    after_a_change(test, Addresses::V4, "back with another address", |port| {
        port.down().unwrap();
        std::thread::sleep(NOTHING_HAPPENS);
        port.up(20).unwrap();
    });
}

#[test]
fn a_host_whose_address_changes_is_found_within_seconds() {
    let test = "a_host_whose_address_changes_is_found_within_seconds";
    after_a_change(test, Addresses::V4, "another address", |port| port.renumber(20).unwrap());
}

#[test]
fn a_host_whose_ipv6_address_changes_is_found_within_seconds() {
    let test = "a_host_whose_ipv6_address_changes_is_found_within_seconds";
    after_a_change(test, Addresses::V6, "another address", |port| port.renumber(0x20).unwrap());
}

/// The session of that talk led to the old address: it is closed from the new one.
#[test]
fn a_host_whose_address_changes_is_found_within_seconds_by_those_it_talked_to() {
    let test = "a_host_whose_address_changes_is_found_within_seconds_by_those_it_talked_to";
    if !available_or_skipped(test) {
        return;
    }
    let mut neighbours = Neighbours::new(Addresses::V4);
    neighbours.find_each_other();
    neighbours.call();
    neighbours.ports[1].renumber(20).unwrap();
    let took = neighbours.recover();
    show(&format!("another address after a call: calls work again after {:.2} s", took.as_secs_f64()));
    assert!(took <= RECOVERY, "{took:?}");
}

#[test]
fn a_network_that_comes_after_the_daemon_is_used() {
    let test = "a_network_that_comes_after_the_daemon_is_used";
    if !available_or_skipped(test) {
        return;
    }
    let mut switch = Switch::new(Addresses::V4).unwrap();
    let ports = [0, 1].map(|_| switch.plug().unwrap());
    ports[1].down().unwrap();
    let [mut alice, mut bob] = [("Alice", &ports[0]), ("Bob", &ports[1])]
        .map(|(name, port)| Party::start_on(port, name, &Setup::of("")).unwrap());
    std::thread::sleep(NOTHING_HAPPENS);
    assert_eq!([&mut alice, &mut bob].map(|party| party.handset.snapshot().unwrap().network.nodes), [0, 0]);
    ports[1].up(2).unwrap();
    let start = Instant::now();
    rings(&mut bob, &mut alice, PATIENCE).unwrap();
    let took = start.elapsed();
    show(&format!("the network came after the daemon: calls work after {:.2} s", took.as_secs_f64()));
    assert!(took <= RECOVERY, "{took:?}");
}

#[test]
fn a_daemon_that_is_to_keep_out_of_the_lan_stays_alone() {
    let test = "a_daemon_that_is_to_keep_out_of_the_lan_stays_alone";
    if !available_or_skipped(test) {
        return;
    }
    let mut switch = Switch::new(Addresses::Both).unwrap();
    let ports = [0, 1, 2].map(|_| switch.plug().unwrap());
    let apart = Setup::of("[network]\nlan = false\n");
    let mut hermit = Party::start_on(&ports[2], "the hermit", &apart).unwrap();
    let mut others =
        [0, 1].map(|number: usize| Party::start_on(&ports[number], ["Alice", "Bob"][number], &Setup::of("")).unwrap());
    for party in &mut others {
        party.handset.wait_for_network(PATIENCE, |network| network.good >= 1).unwrap();
    }
    std::thread::sleep(NOTHING_HAPPENS);
    assert_eq!(hermit.handset.snapshot().unwrap().network.nodes, 0);
    for party in &mut others {
        assert_eq!(party.handset.snapshot().unwrap().network.nodes, 1);
    }
}

#[test]
fn ten_daemons_without_ipv4_join_through_one_of_them_and_call_each_other() {
    let test = "ten_daemons_without_ipv4_join_through_one_of_them_and_call_each_other";
    if !available_or_skipped(test) {
        return;
    }
    let mut internet = Internet::new().unwrap();
    let hosts: Vec<Host> = (0..10).map(|_| internet.host_v6().unwrap()).collect();
    let everywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 5004));
    let alone = Setup { unknown_callers: "silent", ..Setup::new(everywhere) };
    let first = Daemon::start_on(&hosts[0], "the first", &alone).unwrap();
    let joining = Setup { bootstrap: vec![hosts[0].at_v6(5004)], ..alone };
    let others = hosts[1..].iter().map(|host| Daemon::launch_on(host, host.namespace().name(), &joining).unwrap());
    let daemons: Vec<Daemon> = [first].into_iter().chain(others).collect();
    let mut parties: Vec<Party> = daemons.into_iter().map(|daemon| Party::attach(daemon).unwrap()).collect();
    for party in &mut parties {
        let network = party.handset.wait_for_network(PATIENCE, |network| network.good >= 8).unwrap();
        let observed: Option<SocketAddr> = network.observed.map(|address| address.parse().unwrap());
        assert!(observed.is_none_or(|address| address.is_ipv6()), "{observed:?}");
    }
    for caller in 0..parties.len() {
        let callee = (caller + 3) % parties.len();
        let [caller, callee] = parties.get_disjoint_mut([caller, callee]).unwrap();
        rings(caller, callee, PATIENCE).unwrap();
    }
}
