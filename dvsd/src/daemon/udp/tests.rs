// SPDX-License-Identifier: GPL-3.0-or-later
//! Real sockets on loopback, and, for root, in namespaces.

use std::sync::Arc;
use std::time::Duration;

use dvs_tests::netns::{Namespace, available_or_skipped};
use dvsd::wire::{LAN_GROUP_V4, LAN_GROUP_V6};

use super::*;
use crate::surroundings::tests::{inside, ip};

fn bound(ip: &str) -> Udp {
    let any_port = SocketAddr::new(ip.parse().unwrap(), 0);
    Udp::bind(Some(any_port), PortTaken::TakeAnother).unwrap()
}

async fn receive_one(udp: &mut Udp) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 64];
    loop {
        udp.readable().await.unwrap();
        if let Some(Arrived { length, from, misdirected: false }) = udp.receive(&mut buffer) {
            return (buffer[..length].to_vec(), from);
        }
    }
}

/// Sends to `to` on a wildcard socket and checks that the answer comes from exactly there.
async fn answers_from(listen: &str, to: &str) {
    let mut server = bound(listen);
    let to = SocketAddr::new(to.parse().unwrap(), server.local().port());
    let client = tokio::net::UdpSocket::bind(if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }).await.unwrap();
    client.send_to(b"question", to).await.unwrap();
    let (question, from) = receive_one(&mut server).await;
    assert_eq!(question, b"question");
    assert_eq!(from, client.local_addr().unwrap());
    server.send(from, b"answer");
    let mut buffer = [0; 64];
    let (length, answered_from) = client.recv_from(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..length], b"answer");
    assert_eq!(answered_from, to);
}

#[tokio::test]
async fn answers_leave_from_the_address_that_was_asked() {
    answers_from("::", "127.0.0.1").await;
    answers_from("::", "127.0.0.77").await;
    answers_from("::", "::1").await;
    answers_from("0.0.0.0", "127.0.0.77").await;
}

#[tokio::test]
async fn f10_a_broadcast_is_not_answered_by_everybody() {
    for listen in ["::", "0.0.0.0"] {
        let mut server = bound(listen);
        let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_broadcast(true).unwrap();
        client.send_to(b"question", ("127.255.255.255", server.local().port())).unwrap();
        server.readable().await.unwrap();
        let mut buffer = [0; 64];
        assert!(server.receive(&mut buffer).unwrap().misdirected, "{listen}");
        assert_eq!(server.sources.len(), 0);
    }
}

#[tokio::test]
async fn f24_a_port_in_use_is_refused_and_says_what_to_do() {
    let first = bound("127.0.0.1");
    let message = format!("{:#}", Udp::bind(Some(first.local()), PortTaken::TakeAnother).unwrap_err());
    assert!(message.contains("in use") && message.contains("[network] listen"), "{message}");
}

#[tokio::test]
async fn f05_sending_to_an_impossible_address_is_only_loss() {
    let mut udp = bound("127.0.0.1");
    udp.send("127.0.0.1:0".parse().unwrap(), b"x");
    udp.send("255.255.255.255:9".parse().unwrap(), b"x");
}

#[tokio::test]
async fn a_taken_default_port_falls_back_to_a_free_one_unless_others_count_on_it() {
    let first = std::net::UdpSocket::bind("[::]:0").unwrap();
    let port = first.local_addr().unwrap().port();
    let message = format!("{:#}", Udp::bind_at(None, port, PortTaken::GiveUp).unwrap_err());
    assert!(message.contains(&format!("UDP port {port} is in use")), "{message}");
    let other = Udp::bind_at(None, port, PortTaken::TakeAnother).unwrap();
    assert!(other.fell_back() && other.local().ip().is_unspecified());
    assert!(![0, port].contains(&other.local().port()));
    drop(first);
    let usual = Udp::bind_at(None, port, PortTaken::TakeAnother).unwrap();
    assert!(!usual.fell_back());
    assert_eq!(usual.local().port(), port);
}

#[tokio::test]
async fn n06_one_socket_speaks_both_families() {
    let mut udp = Udp::bind_at(None, 0, PortTaken::GiveUp).unwrap();
    for own in ["127.0.0.1", "::1"] {
        let to = SocketAddr::new(own.parse().unwrap(), udp.local().port());
        let peer = std::net::UdpSocket::bind((own, 0)).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        peer.send_to(own.as_bytes(), to).unwrap();
        let arrived = tokio::time::timeout(Duration::from_secs(5), receive_one(&mut udp)).await.unwrap();
        assert_eq!(arrived, (own.as_bytes().to_vec(), peer.local_addr().unwrap()));
        udp.send(arrived.1, b"answer");
        assert_eq!(peer.recv_from(&mut [0; 64]).unwrap(), (6, to));
    }
}

#[tokio::test]
async fn an_address_that_is_no_longer_ours_is_not_insisted_on() {
    let (mut udp, peer) = (bound("::"), std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    let to = peer.local_addr().unwrap();
    for gone in ["::ffff:198.18.77.1", "::ffff:255.255.255.255"] {
        udp.sources.note(to, gone.parse().unwrap());
        udp.send(to, gone.as_bytes());
        let mut buffer = [0; 64];
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let length = peer.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], gone.as_bytes());
    }
    udp.sources.note(to, "::ffff:198.18.77.1".parse().unwrap());
    udp.sources.note("127.0.0.1:9".parse().unwrap(), "::ffff:127.0.0.77".parse().unwrap());
    udp.follow(&Surroundings::default());
    assert_eq!(udp.sources.len(), 1, "and is forgotten when it is known to be gone");
}

#[tokio::test]
async fn a_hello_sent_to_one_alone_is_misdirected() {
    let (mut udp, peer) = (bound("127.0.0.1"), std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    for (datagram, misdirected) in [([kind::LAN_HELLO, 1], true), ([kind::PING, 1], false)] {
        peer.send_to(&datagram, udp.local()).unwrap();
        udp.readable().await.unwrap();
        let from = peer.local_addr().unwrap();
        let arrived = udp.receive(&mut [0; 64]).unwrap();
        assert_eq!(arrived, Arrived { length: 2, from, misdirected });
    }
}

#[tokio::test]
async fn nothing_is_sent_to_groups_from_loopback_or_where_that_is_switched_off() {
    let mut loopback = bound("127.0.0.1");
    loopback.use_multicast();
    assert!(loopback.multicast.is_none());
    assert!(bound("::").multicast.is_none());
    let mut any = bound("::");
    any.use_multicast();
    let socket = any.socket.get();
    assert_eq!((socket.multicast_ttl_v4().unwrap(), socket.multicast_hops_v6().unwrap()), (1, 1));
    assert!(!socket.multicast_all_v4().unwrap() && !socket.multicast_all_v6().unwrap());
}

/// Two hosts on one wire, one of which has a second interface that leads nowhere.
fn wire() -> [Arc<Namespace>; 2] {
    let hosts = [0, 1].map(|_| Arc::new(Namespace::new().unwrap()));
    let [a, b] = &hosts;
    for host in &hosts {
        // New IPv6 addresses work at once.
        let quick = "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad";
        assert!(host.command("sh").args(["-c", quick]).status().unwrap().success());
    }
    ip(a, &["link add other type veth peer name nowhere", "link set other up", "link set nowhere up"]);
    ip(a, &["address add 198.18.5.1/24 dev other"]);
    ip(a, &[&format!("link add wire type veth peer name wire netns {}", b.name())]);
    for (host, number) in [(a, 1), (b, 2)] {
        ip(host, &["link set wire up", &format!("address add 198.18.1.{number}/24 dev wire")]);
    }
    hosts
}

/// A socket on the usual port that knows its surroundings.
async fn on_the_wire() -> Udp {
    let mut udp = Udp::bind(None, PortTaken::GiveUp).unwrap();
    udp.use_multicast();
    // Until the link-local addresses work.
    for _ in 0..50 {
        let now = Surroundings::look().unwrap();
        if now.interfaces.iter().filter(|it| it.multicast).all(|it| it.addresses.iter().any(IpAddr::is_ipv6)) {
            udp.follow(&now);
            return udp;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no link-local addresses: {:?}", Surroundings::look());
}

async fn next(udp: &mut Udp) -> (Vec<u8>, Arrived) {
    let mut buffer = [0; 64];
    let wait = async {
        loop {
            udp.readable().await.unwrap();
            if let Some(arrived) = udp.receive(&mut buffer) {
                return arrived;
            }
        }
    };
    let arrived = tokio::time::timeout(Duration::from_secs(5), wait).await.unwrap();
    (buffer[..arrived.length].to_vec(), arrived)
}

#[test]
fn a_group_hears_what_is_sent_to_it_and_its_members_answer_from_their_own_addresses() {
    if !available_or_skipped("a_group_hears_what_is_sent_to_it_and_its_members_answer_from_their_own_addresses") {
        return;
    }
    let [a, b] = wire();
    let hello = [kind::LAN_HELLO, 1, 2, 3];
    let (ready, is_ready) = std::sync::mpsc::channel();
    let listening = inside(&b, move |_| async move {
        let mut udp = on_the_wire().await;
        ready.send(()).unwrap();
        for _ in 0..2 {
            let (datagram, arrived) = next(&mut udp).await;
            assert!(datagram == hello && !arrived.misdirected, "{datagram:?} {arrived:?}");
            assert_eq!(arrived.from.port(), DEFAULT_PORT);
            assert_eq!(udp.sources.len(), 0, "nothing can be sent from a group");
            udp.send(arrived.from, b"answer");
        }
        let (_, arrived) = next(&mut udp).await;
        assert!(arrived.misdirected, "a question to everybody");
    });
    is_ready.recv().unwrap();
    let speaking = inside(&a, move |_| async move {
        let mut udp = on_the_wire().await;
        assert_eq!(udp.multicast.as_ref().unwrap().ways(LAN_GROUP_V4.into()).count(), 2);
        for (group, is_v4) in [(IpAddr::from(LAN_GROUP_V4), true), (LAN_GROUP_V6.into(), false)] {
            udp.send(SocketAddr::new(group, DEFAULT_PORT), &hello);
            let answered = loop {
                // Our own words come back as well: another daemon of this machine may be in the group.
                let (datagram, arrived) = next(&mut udp).await;
                if datagram == b"answer" {
                    break arrived.from;
                }
                assert_eq!(datagram, hello);
            };
            match answered {
                SocketAddr::V4(from) => assert!(is_v4 && from.ip().octets() == [198, 18, 1, 2], "{from}"),
                SocketAddr::V6(from) => assert!(!is_v4 && from.scope_id() != 0, "which wire? {from}"),
            }
        }
        udp.send(SocketAddr::new(LAN_GROUP_V4.into(), DEFAULT_PORT), &[kind::ROUTE_REQ, 1]);
    });
    speaking.join().unwrap();
    listening.join().unwrap();
}

#[test]
fn groups_are_joined_anew_on_interfaces_that_come_and_left_on_those_that_go() {
    if !available_or_skipped("groups_are_joined_anew_on_interfaces_that_come_and_left_on_those_that_go") {
        return;
    }
    let [a, _b] = wire();
    let task = |here: Arc<Namespace>| async move {
        let mut udp = on_the_wire().await;
        let joined = |udp: &Udp| udp.multicast.as_ref().unwrap().joined.values().filter(|it| **it == [true; 2]).count();
        // On more interfaces in turn than the kernel allows at once.
        for _ in 0..25 {
            ip(&here, &["link del other"]);
            udp.follow(&Surroundings::look().unwrap());
            assert_eq!(joined(&udp), 1);
            ip(&here, &["link add other type veth peer name nowhere", "link set other up", "link set nowhere up"]);
            ip(&here, &["address add 198.18.5.1/24 dev other", "address add fd00::1/64 dev other nodad"]);
            udp.follow(&Surroundings::look().unwrap());
            assert!(joined(&udp) >= 2);
        }
    };
    inside(&a, task).join().unwrap();
}
