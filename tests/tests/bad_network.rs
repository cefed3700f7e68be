// SPDX-License-Identifier: GPL-3.0-or-later
//! Daemons on hosts of their own, joined by bad links. Needs root, for network namespaces.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

use std::time::{Duration, Instant};

use dvs_proto::message::{CallState, EndReason};
use dvs_tests::capture::Capture;
use dvs_tests::harness::Setup;
use dvs_tests::impair::Conditions;
use dvs_tests::netns::{self, Host, Pair};
use dvs_tests::speech;
use dvs_tests::trio::{PATIENCE, Party};
use dvsd::crypto::identity::Identity;

/// Starts a daemon with `backend` on each host; Alice's is the only node that Bob's is told of.
fn parties(pair: &Pair, backends: [String; 2]) -> [Party; 2] {
    let [a, b] = &pair.hosts;
    let setup = |host: &Host, backend: &String| Setup { backend: backend.clone(), ..Setup::new(host.at(5004)) };
    let mut alice = Party::start_on(a, "Alice", &setup(a, &backends[0])).unwrap();
    let joining = Setup { bootstrap: vec![a.at(5004)], ..setup(b, &backends[1]) };
    let mut bob = Party::start_on(b, "Bob", &joining).unwrap();
    for party in [&mut alice, &mut bob] {
        party.handset.wait_for_network(PATIENCE, |network| network.good >= 1).unwrap();
    }
    [alice, bob]
}

fn talk([alice, bob]: &mut [Party; 2]) {
    let target = bob.handset.id().unwrap();
    alice.handset.dial(&target).unwrap();
    bob.handset.wait_for_call(PATIENCE, CallState::Alerting).unwrap();
    bob.handset.answer().unwrap();
    for party in [alice, bob] {
        party.handset.wait_for_call(PATIENCE, CallState::Active).unwrap();
    }
}

fn hang_up([alice, bob]: &mut [Party; 2]) {
    alice.handset.hang_up().unwrap();
    assert_eq!(alice.handset.wait_for_end(PATIENCE).unwrap(), EndReason::HungUp);
    assert_eq!(bob.handset.wait_for_end(PATIENCE).unwrap(), EndReason::PeerHungUp);
}

#[test]
fn a_call_over_a_link_that_loses_and_jitters_lasts_and_ends_cleanly() {
    if !netns::available_or_skipped("a_call_over_a_link_that_loses_and_jitters_lasts_and_ends_cleanly") {
        return;
    }
    let pair = Pair::new(Conditions::bad(25, 20, 0.05)).unwrap();
    let mut parties = parties(&pair, ["tone".to_owned(), "tone".to_owned()]);
    talk(&mut parties);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(20) {
        for party in &mut parties {
            let calls = party.handset.snapshot().unwrap().calls;
            assert_eq!(calls[0].state, CallState::Active);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    for party in &mut parties {
        let stats = party.handset.stats().unwrap();
        assert!(stats.received > 800, "{stats:?}");
        assert!((10..=120).contains(&stats.loss_permille), "about 5 % are lost on the link: {stats:?}");
        assert!(stats.recovered + stats.concealed > 10, "{stats:?}");
        assert_eq!((stats.packet_bytes_min, stats.packet_bytes_max), (93, 93));
    }
    hang_up(&mut parties);
}

#[test]
fn a_capture_shows_neither_who_speaks_nor_what_is_said() {
    if !netns::available_or_skipped("a_capture_shows_neither_who_speaks_nor_what_is_said") {
        return;
    }
    let pair = Pair::new(Conditions::default()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let spoken = directory.path().join("speech.wav");
    speech::write(&spoken, 8).unwrap();
    let capture = Capture::start(&pair.hosts[0], &directory.path().join("capture.pcap")).unwrap();
    let wav = format!("wav:{},{}", spoken.display(), directory.path().join("heard.wav").display());
    let mut parties = parties(&pair, [wav.clone(), "tone".to_owned()]);
    talk(&mut parties);
    std::thread::sleep(Duration::from_secs(6));
    hang_up(&mut parties);
    let datagrams = capture.finish().unwrap();

    let media: Vec<_> = datagrams.iter().filter(|datagram| datagram.payload[0] & 0xc0 == 0x80).collect();
    assert!(media.len() > 400, "{} media datagrams", media.len());
    assert!(media.iter().all(|datagram| datagram.payload.len() == 93));

    let mut secrets: Vec<Vec<u8>> = Vec::new();
    for party in &parties {
        let pem = std::fs::read(party.daemon.state_directory().join("identity.pem")).unwrap();
        let identity = Identity::from_pem(&pem).unwrap();
        let key = identity.public().spki().to_vec();
        // The template is the same for every P-256 key, ephemeral ones included; the point is this key's own.
        secrets.extend(key[27..].chunks(16).map(<[u8]>::to_vec));
        secrets.push(identity.public().fingerprint().0.to_vec());
    }
    for packet in opus(&speech::read_wav(&spoken).unwrap()) {
        secrets.extend(packet[8..72].chunks(16).map(<[u8]>::to_vec));
    }
    for datagram in &datagrams {
        for secret in &secrets {
            let seen = datagram.payload.windows(secret.len()).any(|window| window == secret);
            assert!(!seen, "{secret:02x?} in clear from {}", datagram.source);
        }
    }
}

/// What the speech looks like on its way if nobody encrypts it.
fn opus(samples: &[i16]) -> Vec<Vec<u8>> {
    use dvsd::media::codec::{Encoder, EncoderSettings, OpusEncoder};
    let mut encoder = OpusEncoder::new(EncoderSettings::default()).unwrap();
    let frames = samples.chunks_exact(960).take(100);
    frames
        .map(|frame| {
            let mut packet = [0; 1276];
            let length = encoder.encode(frame, &mut packet).unwrap();
            packet[..length].to_vec()
        })
        .filter(|packet| packet.len() >= 72)
        .collect()
}

#[test]
fn n06_two_hosts_that_speak_only_ipv6_talk() {
    if !netns::available_or_skipped("n06_two_hosts_that_speak_only_ipv6_talk") {
        return;
    }
    let pair = Pair::new(Conditions::default()).unwrap();
    let [a, b] = &pair.hosts;
    let at = |host: &Host| std::net::SocketAddr::from((host.v6(), 5004));
    let tone = |host: &Host| Setup { backend: "tone".to_owned(), ..Setup::new(at(host)) };
    let mut alice = Party::start_on(a, "Alice", &tone(a)).unwrap();
    let bob = Setup { bootstrap: vec![at(a)], ..tone(b) };
    let mut bob = Party::start_on(b, "Bob", &bob).unwrap();
    for party in [&mut alice, &mut bob] {
        party.handset.wait_for_network(PATIENCE, |network| network.good >= 1).unwrap();
    }
    let mut parties = [alice, bob];
    talk(&mut parties);
    hang_up(&mut parties);
}
