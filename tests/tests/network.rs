// SPDX-License-Identifier: GPL-3.0-or-later
//! The test networks themselves: what they lose, delay and carry is what was asked for.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at what it did not expect")]

use core::time::Duration;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use dvs_tests::capture::Capture;
use dvs_tests::impair::Conditions;
use dvs_tests::netns::{
    Addresses, Household, Internet, Nat, Pair, Port, Star, Switch, available_or_skipped, nat_available_or_skipped,
};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::BindToDevice;

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
fn hosts_of_an_internet_reach_each_other_in_both_families_wherever_they_are() {
    if !available_or_skipped("hosts_of_an_internet_reach_each_other_in_both_families_wherever_they_are") {
        return;
    }
    let mut internet = Internet::new().unwrap();
    let [near, far] = [internet.host().unwrap(), internet.host_at(Ipv4Addr::new(203, 0, 113, 1)).unwrap()];
    let modern = internet.host_v6().unwrap();
    assert_eq!(
        [near.at(5004), far.at(5004)],
        ["198.18.1.1:5004", "203.0.113.1:5004"].map(|text| text.parse().unwrap())
    );
    assert!(arrives(&near.bind(5004).unwrap(), &far.bind(5004).unwrap(), &[7; 1_500 - 20 - 8]));
    assert!(arrives(&far.bind_v6(5004).unwrap(), &modern.bind_v6(5004).unwrap(), &[7; 1_500 - 40 - 8]));
    assert!(modern.bind(5004).is_err(), "it has no IPv4 address");
}

#[test]
fn what_a_host_says_to_a_group_all_others_on_its_switch_hear() {
    if !available_or_skipped("what_a_host_says_to_a_group_all_others_on_its_switch_hear") {
        return;
    }
    let (v4, v6, port) = (Ipv4Addr::new(239, 255, 77, 83), Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0xd5, 5), 5004);
    let mut switch = Switch::new(Addresses::V4).unwrap();
    let ports = [(); 3].map(|()| switch.plug().unwrap());
    let sockets = [1, 2, 3].map(|number: u8| {
        let plugged = &ports[usize::from(number) - 1];
        let socket = plugged.namespace().bind(SocketAddr::from(([0, 0, 0, 0], port))).unwrap();
        // Nobody has a route to groups.
        setsockopt(&socket, BindToDevice, &Port::DEVICE.into()).unwrap();
        socket.join_multicast_v4(&v4, &Ipv4Addr::new(192, 168, 77, number)).unwrap();
        socket
    });
    hear(&sockets, SocketAddr::from((v4, port)));

    let mut switch = Switch::new(Addresses::LinkLocal).unwrap();
    let ports = [(); 3].map(|()| switch.plug().unwrap());
    let devices = ports.each_ref().map(|plugged| plugged.device().unwrap());
    let sockets = [0, 1, 2].map(|number: usize| {
        let socket = ports[number].namespace().bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).unwrap();
        socket.join_multicast_v6(&v6, devices[number]).unwrap();
        socket
    });
    hear(&sockets, SocketAddr::V6(SocketAddrV6::new(v6, port, 0, devices[0])));
}

/// The first of the sockets speaks to `group` and the others hear it.
fn hear([speaker, listeners @ ..]: &[UdpSocket; 3], group: SocketAddr) {
    speaker.send_to(b"hello", group).unwrap();
    for listener in listeners {
        listener.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut buffer = [0; 16];
        let (length, _) = listener.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"hello");
    }
}

#[test]
fn strangers_leave_no_trace_in_each_others_routers_until_they_get_acquainted() {
    if !nat_available_or_skipped("strangers_leave_no_trace_in_each_others_routers_until_they_get_acquainted") {
        return;
    }
    let mut internet = Internet::new().unwrap();
    let server = internet.host().unwrap().bind(5004).unwrap();
    let homes = [(); 2].map(|()| Household::new(&mut internet, Nat::PortRestricted, false).unwrap());
    homes[0].estrange(&homes).unwrap();
    homes[1].estrange(&homes).unwrap();
    let [a, b] = homes.each_ref().map(|home| home.inside.bind(5004).unwrap());
    let outer = homes.each_ref().map(|home| home.public(home.nat.outer_port(5004).unwrap()));
    let mut buffer = [0; 16];
    for (socket, outer) in [&a, &b].into_iter().zip(outer) {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.send_to(b"hello", server.local_addr().unwrap()).unwrap();
        assert_eq!(server.recv_from(&mut buffer).unwrap(), (5, outer));
    }
    a.send_to(b"one", outer[1]).unwrap();
    homes[0].acquaint(&homes[1]).unwrap();
    b.send_to(b"two", outer[0]).unwrap();
    assert!(a.recv_from(&mut buffer).is_err(), "the router let a stranger in");
    a.send_to(b"three", outer[1]).unwrap();
    assert_eq!(b.recv_from(&mut buffer).unwrap(), (5, outer[0]), "what was sent to an acquaintance opens the router");
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
