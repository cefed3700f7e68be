// SPDX-License-Identifier: GPL-3.0-or-later
//! Junk on the UDP port of a daemon that is in a call.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

use std::net::UdpSocket;
use std::time::Duration;

use dvs_proto::message::CallState;
use dvs_tests::harness::Setup;
use dvs_tests::trio::Trio;
use dvsd::random::Random;

const DATAGRAMS: usize = 100_000;
/// What a daemon may grow by under attack, in bytes: buffers and tables have bounds, but are filled for the first time.
const GROWTH: u64 = 8 << 20;

/// Datagrams that look right from outside: the kinds and lengths of every layer.
fn templates(random: &mut Random) -> Vec<Vec<u8>> {
    let shapes = [
        (0x10, 60),
        (0x10, 304),
        (0x11, 176),
        (0x12, 40),
        (0x13, 47),
        (0x20, 512),
        (0x21, 330),
        (0x22, 231),
        (0x23, 28),
        (0x24, 12),
        (0x80, 93),
        (0x81, 93),
        (0xc0, 48),
        (0xc1, 36),
        (0xe0, 93),
    ];
    let mut templates = Vec::new();
    for (kind, length) in shapes {
        let mut datagram = vec![0; length];
        random.fill(&mut datagram);
        datagram[0] = kind;
        datagram[1] = 1;
        templates.push(datagram);
    }
    templates
}

fn mutate(template: &[u8], random: &mut Random) -> Vec<u8> {
    let mut datagram = template.to_vec();
    for _ in 0..1 + random.below(8) {
        let at = random.below(datagram.len() as u64) as usize;
        datagram[at] = random.below(256) as u8;
    }
    match random.below(8) {
        0 => datagram.truncate(random.below(datagram.len() as u64 + 1) as usize),
        1 => datagram.extend([0; 32]),
        _ => {}
    }
    datagram
}

#[test]
fn f04_two_hundred_thousand_hostile_datagrams_neither_stop_nor_swell_a_daemon_in_a_call() {
    let tone = Setup { backend: "tone".to_owned(), log: "warn", ..Setup::loopback() };
    let mut trio = Trio::start(tone.clone(), tone).unwrap();
    trio.talk().unwrap();
    let target = trio.bob.address().unwrap();
    let before = trio.bob.daemon.memory().unwrap();
    let mut random = Random::seeded(2026);
    let templates = templates(&mut random);
    let sockets: Vec<_> = (0..4).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    for sent in 0..2 * DATAGRAMS {
        let datagram = if sent < DATAGRAMS {
            let mut datagram = vec![0; random.below(1_400) as usize];
            random.fill(&mut datagram);
            datagram
        } else {
            mutate(&templates[random.below(templates.len() as u64) as usize], &mut random)
        };
        sockets[sent % sockets.len()].send_to(&datagram, target).unwrap();
        if sent % 64 == 0 {
            // Fast enough for a flood, slow enough that the kernel does not drop it all before the daemon sees it.
            std::thread::sleep(Duration::from_micros(300));
        }
    }
    assert!(trio.bob.daemon.is_running(), "{}", trio.bob.daemon.log());
    let snapshot = trio.bob.handset.snapshot().unwrap();
    let seen: u64 = snapshot.network.drops.iter().map(|(_, count)| count).sum();
    assert!(seen > DATAGRAMS as u64, "only {seen} of the datagrams reached the daemon");
    let after = trio.bob.daemon.memory().unwrap();
    assert!(after < before + GROWTH, "grew from {before} to {after} bytes");
    assert_eq!(snapshot.calls[0].state, CallState::Active);
    let received = trio.bob.handset.stats().unwrap().received;
    std::thread::sleep(Duration::from_secs(2));
    assert!(trio.bob.handset.stats().unwrap().received > received + 50, "media no longer flows");
}
