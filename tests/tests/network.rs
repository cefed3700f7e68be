// SPDX-License-Identifier: GPL-3.0-or-later
//! The test networks themselves: what they lose, delay and carry is what was asked for.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at what it did not expect")]

use core::time::Duration;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use dvs_tests::capture::Capture;
use dvs_tests::impair::Conditions;
use dvs_tests::netns::{Pair, Star, available_or_skipped};

/// The longest wait for a packet that may never come.
const PATIENCE: Duration = Duration::from_millis(500);

/// Packets under way at most: more could overflow the queue of a socket or device when this machine is busy.
const WINDOW: u64 = 100;

/// Sends `count` numbered packets from one host of `pair` to the other; returns who arrived and how late.
fn send(pair: &Pair, from: usize, count: u32) -> Vec<(u32, Duration)> {
    let start = Instant::now();
    let [sender, receiver] = [from, 1 - from].map(|host| pair.hosts[host].bind(5004).unwrap());
    let destination = receiver.local_addr().unwrap();
    receiver.set_read_timeout(Some(PATIENCE)).unwrap();
    let received = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&received);
    let receiving = std::thread::spawn(move || {
        let mut arrived = Vec::new();
        let mut packet = [0; 16];
        while receiver.recv(&mut packet).is_ok() {
            let (number, sent) = packet.split_at(4);
            let sent = Duration::from_micros(u64::from_be_bytes(sent[..8].try_into().unwrap()));
            arrived.push((u32::from_be_bytes(number.try_into().unwrap()), start.elapsed().saturating_sub(sent)));
            counter.fetch_add(1, Ordering::Relaxed);
        }
        arrived
    });
    for number in 0..count {
        while received.load(Ordering::Relaxed) + pair.link.counts().lost[from] + WINDOW < u64::from(number) {
            std::thread::sleep(Duration::from_micros(200));
        }
        let mut packet = number.to_be_bytes().to_vec();
        packet.extend((start.elapsed().as_micros() as u64).to_be_bytes());
        sender.send_to(&packet, destination).unwrap();
    }
    receiving.join().unwrap()
}

fn arrives(from: &UdpSocket, to: &UdpSocket, payload: &[u8]) -> bool {
    to.set_read_timeout(Some(PATIENCE)).unwrap();
    from.send_to(payload, to.local_addr().unwrap()).unwrap();
    let mut buffer = [0; 2048];
    matches!(to.recv_from(&mut buffer), Ok((length, source))
        if buffer[..length] == *payload && source == from.local_addr().unwrap())
}

#[test]
fn a_link_loses_the_share_it_was_told_to() {
    if !available_or_skipped("a_link_loses_the_share_it_was_told_to") {
        return;
    }
    let pair = Pair::new(Conditions { loss: 0.05, ..Conditions::default() }).unwrap();
    let sent = 20_000;
    let lost = u64::from(sent) - send(&pair, 0, sent).len() as u64;
    // The kernel says a few things of its own in between, and the link loses of these, too.
    let dropped = pair.link.counts().lost[0];
    assert!((lost..lost + 5).contains(&dropped), "{lost} packets got lost, the link dropped {dropped}");
    assert!((900..1_100).contains(&lost), "{lost} of {sent} lost");
}

#[test]
fn jitter_spreads_packets_and_never_makes_them_early() {
    if !available_or_skipped("jitter_spreads_packets_and_never_makes_them_early") {
        return;
    }
    let pair = Pair::new(Conditions::bad(25, 20, 0.0)).unwrap();
    let arrived = send(&pair, 1, 1_000);
    assert_eq!(arrived.len(), 1_000);
    assert!(!arrived.iter().map(|(number, _)| number).is_sorted(), "nobody overtook anybody");
    let earliest = arrived.iter().map(|(_, travel)| *travel).min().unwrap();
    let latest = arrived.iter().map(|(_, travel)| *travel).max().unwrap();
    assert!(earliest >= Duration::from_millis(5), "{earliest:?}");
    assert!(latest - earliest >= Duration::from_millis(30), "{earliest:?} to {latest:?}");
}

#[test]
fn a_link_can_be_unplugged_and_plugged_in_again() {
    if !available_or_skipped("a_link_can_be_unplugged_and_plugged_in_again") {
        return;
    }
    let pair = Pair::new(Conditions::default()).unwrap();
    let [a, b] = [&pair.hosts[0], &pair.hosts[1]].map(|host| host.bind(5004).unwrap());
    for (loss, expected) in [(0.0, true), (1.0, false), (0.0, true)] {
        pair.link.change(Conditions { loss, ..Conditions::default() });
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(arrives(&a, &b, b"hello"), expected, "loss {loss}");
    }
}

#[test]
fn hosts_of_a_star_reach_each_other_in_both_families_with_full_packets() {
    if !available_or_skipped("hosts_of_a_star_reach_each_other_in_both_families_with_full_packets") {
        return;
    }
    let mut star = Star::new().unwrap();
    for _ in 0..3 {
        star.add(Conditions::default()).unwrap();
    }
    let [first, third] = [star.host(0).unwrap(), star.host(2).unwrap()];
    assert_eq!(third.at(5004), SocketAddr::from(([198, 18, 3, 1], 5004)));
    let full = [7; 1_500 - 20 - 8];
    assert!(arrives(&first.bind(5004).unwrap(), &third.bind(5004).unwrap(), &full));
    let full = [7; 1_500 - 40 - 8];
    assert!(arrives(&third.bind_v6(5004).unwrap(), &first.bind_v6(5004).unwrap(), &full));
}

#[test]
fn a_capture_shows_every_datagram_of_both_directions() {
    if !available_or_skipped("a_capture_shows_every_datagram_of_both_directions") {
        return;
    }
    let pair = Pair::new(Conditions::default()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let capture = Capture::start(&pair.hosts[0], &directory.path().join("wire.pcap")).unwrap();
    let [a, b] = [&pair.hosts[0], &pair.hosts[1]].map(|host| host.bind(5004).unwrap());
    assert!(arrives(&a, &b, &[1; 93]) && arrives(&b, &a, &[2; 60]));
    let [a, b] = [&pair.hosts[0], &pair.hosts[1]].map(|host| host.bind_v6(5005).unwrap());
    assert!(arrives(&a, &b, &[3; 93]));
    let seen = capture.finish().unwrap();
    let payloads: Vec<&[u8]> =
        seen.iter().filter(|datagram| datagram.destination.port() / 2 == 2502).map(|d| &d.payload[..]).collect();
    assert_eq!(payloads, [&[1; 93][..], &[2; 60], &[3; 93]]);
    assert_eq!(seen[0].source, pair.hosts[0].at(5004));
}

#[test]
fn networks_do_not_collide_and_leave_nothing_behind() {
    if !available_or_skipped("networks_do_not_collide_and_leave_nothing_behind") {
        return;
    }
    let names: Vec<String> = {
        let pairs = [0, 1].map(|_| Pair::new(Conditions::default()).unwrap());
        pairs.iter().flat_map(|pair| &pair.hosts).map(|host| host.namespace().name().to_owned()).collect()
    };
    assert_eq!(names.len(), 4);
    for name in names {
        assert!(!Path::new("/run/netns").join(&name).exists(), "{name}");
        let shown = Command::new("ip").args(["-netns", &name, "link"]).output().unwrap();
        assert!(!shown.status.success(), "{name}");
    }
}
