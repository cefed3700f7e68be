// SPDX-License-Identifier: GPL-3.0-or-later
//! Whole nodes call each other.

use super::*;

#[test]
fn two_nodes_that_know_only_a_third_find_each_other_and_talk() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    net.dial(1, 2);
    net.run(Duration::from_millis(500));
    assert_eq!(net.hosts[1].call().state, State::Ringing);
    assert_eq!(net.hosts[2].call().state, State::Alerting);
    assert!(net.hosts[1].sound.is_empty() && net.hosts[2].sound.is_empty(), "no audio before the answer");

    net.answer(2);
    net.run(Duration::from_millis(100));
    assert_eq!(net.hosts[1].call().state, State::Active);
    net.speak(1, 50);
    net.speak(2, 50);
    assert_eq!(net.hosts[2].played.len(), 50);
    assert_eq!(net.hosts[1].played.len(), 50);
    assert_eq!(net.hosts[1].played[0].2, [0x78; 80]);

    let now = net.now;
    net.command(1, |node| node.hang_up(None, now)).unwrap();
    net.run(Duration::from_millis(200));
    assert_eq!(net.hosts[1].call().cause, Some(EndCause::HungUp));
    assert_eq!(net.hosts[2].call().cause, Some(EndCause::PeerHungUp));
    assert!(net.hosts[1].sound.is_empty() && net.hosts[2].sound.is_empty());
}

#[test]
fn a_call_comes_about_and_ends_cleanly_at_a_fifth_of_all_datagrams_lost() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    net.loss = 200;
    net.dial(1, 2);
    net.run(Duration::from_secs(8));
    assert_eq!(net.hosts[2].call().state, State::Alerting);
    net.answer(2);
    net.run(Duration::from_secs(4));
    assert_eq!(net.hosts[1].call().state, State::Active);
    let now = net.now;
    net.command(2, |node| node.hang_up(None, now)).unwrap();
    net.run(Duration::from_secs(5));
    assert_eq!(net.hosts[1].call().cause, Some(EndCause::PeerHungUp));
    assert_eq!(net.hosts[2].call().cause, Some(EndCause::HungUp));
}

#[test]
fn both_dialling_at_once_end_up_in_one_call() {
    for offset in 0..60 {
        let mut net = Net::new(3, UnknownCallers::Ring);
        net.dial(1, 2);
        net.run(Duration::from_millis(offset));
        let (peer, now) = (net.hosts[1].id(), net.now);
        let _already_ringing =
            net.command(2, |node| node.dial(peer, None, Hints::default(), DialOptions::default(), now));
        net.run(Duration::from_secs(2));
        assert_eq!(net.hosts[1].call().state, State::Active, "offset {offset} ms");
        assert_eq!(net.hosts[2].call().state, State::Active, "offset {offset} ms");
    }
}

#[test]
fn an_unknown_caller_disturbs_nobody_by_default() {
    let mut net = Net::new(3, UnknownCallers::Silent);
    net.dial(1, 2);
    net.run(Duration::from_secs(2));
    assert_eq!(net.hosts[1].call().state, State::Ringing, "the caller is not told");
    assert!(net.hosts[2].calls.is_empty() || net.hosts[2].call().state != State::Alerting);
}

#[test]
fn a_peer_that_vanishes_is_lost_after_half_a_minute() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    net.dial(1, 2);
    net.run(Duration::from_millis(500));
    net.answer(2);
    net.run(Duration::from_secs(1));
    net.hosts[2].address = "198.18.99.1:5004".parse().unwrap();
    net.hosts[2].deadline = None;
    net.run(Duration::from_secs(12));
    assert_eq!(net.hosts[1].call().state, State::Reconnecting);
    net.run(Duration::from_secs(25));
    assert_eq!(net.hosts[1].call().cause, Some(EndCause::PeerLost));
    assert!(net.hosts[1].sound.is_empty());
}

#[test]
fn an_id_that_nobody_has_is_not_found() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    let now = net.now;
    net.command(1, |node| node.dial(NodeId([0x42; 20]), None, Hints::default(), DialOptions::default(), now)).unwrap();
    net.run(Duration::from_secs(20));
    assert_eq!(net.hosts[1].call().cause, Some(EndCause::NotFound));
}

#[test]
fn a_node_without_an_overlay_says_that_it_is_offline() {
    let mut net = Net::new(1, UnknownCallers::Ring);
    let now = net.now;
    net.command(0, |node| node.dial(NodeId([0x42; 20]), None, Hints::default(), DialOptions::default(), now)).unwrap();
    net.run(Duration::from_secs(20));
    assert_eq!(net.hosts[0].call().cause, Some(EndCause::Offline));
}

#[test]
fn f28_a_datagram_longer_than_the_limit_is_dropped_whole() {
    let mut net = Net::new(1, UnknownCallers::Ring);
    let from = Path::direct("198.18.9.1:5004".parse().unwrap());
    for length in [crate::wire::MAX_DATAGRAM + 1, crate::wire::RECEIVE_BUFFER] {
        let mut bytes = vec![0x12; length];
        bytes[1] = 1;
        net.input(0, Input::Datagram { from, bytes: &mut bytes });
    }
    assert_eq!(net.hosts[0].node.drops().get("length"), Some(&2));
    assert!(net.flying.is_empty());
}

#[test]
fn d39_sound_outside_a_call_that_is_answered_and_not_held_is_dropped_and_no_offence() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    let say = |net: &mut Net| {
        let (now, peer) = (net.now, net.hosts[2].id());
        let sessions = &mut net.hosts[1].node.sessions;
        let session = sessions.session_of(super::super::MAIN, peer).unwrap();
        for frame in 0..20 {
            sessions.send_media(session, now.mono, 8, frame == 0, &[0x78; 80], now);
        }
        net.input(1, Input::Timeout);
        net.run(Duration::from_millis(100));
        core::mem::take(&mut net.hosts[2].played).len()
    };
    net.dial(1, 2);
    net.run(Duration::from_millis(500));
    assert_eq!(say(&mut net), 0, "while it rings");
    net.answer(2);
    net.run(Duration::from_millis(100));
    assert_eq!(say(&mut net), 20);
    for index in [2, 1] {
        let now = net.now;
        net.command(index, |node| node.hold(None, Some(true), now)).unwrap();
        net.run(Duration::from_millis(100));
        assert_eq!(say(&mut net), 0, "on hold");
    }
    let now = net.now;
    net.command(1, |node| node.hang_up(None, now)).unwrap();
    net.run(Duration::from_secs(1));
    assert_eq!(say(&mut net), 0, "when it is over");
    assert_eq!(net.hosts[2].node.drops().get("violation"), None);
}

#[test]
fn an_invite_with_an_address_is_enough_for_a_network_of_two() {
    let mut net = Net::new(1, UnknownCallers::Ring);
    net.add(1, UnknownCallers::Ring);
    let (peer, address, now) = (net.hosts[1].id(), net.hosts[1].address, net.now);
    let hints = Hints { addresses: &[address], to_follow: 0 };
    net.command(0, |node| node.dial(peer, None, hints, DialOptions::default(), now)).unwrap();
    net.run(Duration::from_millis(500));
    assert_eq!(net.hosts[0].call().state, State::Ringing);
}

#[test]
fn a_dial_waits_for_the_host_names_of_the_invite() {
    let mut net = Net::new(1, UnknownCallers::Ring);
    net.add(1, UnknownCallers::Ring);
    let (peer, address, now) = (net.hosts[1].id(), net.hosts[1].address, net.now);
    let hints = Hints { addresses: &[], to_follow: 2 };
    net.command(0, |node| node.dial(peer, None, hints, DialOptions::default(), now)).unwrap();
    net.run(Duration::from_secs(4));
    assert_eq!(net.hosts[0].call().state, State::Lookup, "names may take their time");
    net.input(0, Input::Hints { peer, addresses: &[] });
    net.run(Duration::from_secs(4));
    assert_eq!(net.hosts[0].call().state, State::Lookup, "one is still to come");
    net.input(0, Input::Hints { peer, addresses: &[address] });
    net.run(Duration::from_millis(500));
    assert_eq!(net.hosts[0].call().state, State::Ringing);
}

#[test]
fn a_shutdown_ends_the_call_on_both_sides() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    net.dial(1, 2);
    net.run(Duration::from_millis(500));
    net.answer(2);
    net.run(Duration::from_secs(1));
    net.input(1, Input::Shutdown);
    net.run(Duration::from_secs(1));
    assert!(net.hosts[2].call().cause.is_some());
    assert!(net.hosts[2].sound.is_empty());
    assert!(net.hosts[1].node.is_quiet());
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let trace = || {
        let mut net = Net::new(3, UnknownCallers::Ring);
        net.loss = 100;
        net.dial(1, 2);
        let mut sent = Vec::new();
        for _ in 0..200 {
            net.run(Duration::from_millis(10));
            sent.extend(net.flying.iter().map(|(at, _, to, datagram)| (*at, *to, datagram.clone())));
        }
        sent
    };
    assert_eq!(trace(), trace());
}

#[test]
fn an_invite_with_a_wrong_key_keeps_its_owner_out_no_longer_than_the_dial_lasts() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    let (peer, now) = (net.hosts[2].id(), net.now);
    net.command(1, |node| node.dial(peer, Some(Fingerprint([7; 32])), Hints::default(), DialOptions::default(), now))
        .unwrap();
    net.run(Duration::from_secs(2));
    assert_eq!(net.hosts[1].call().cause, Some(EndCause::KeyChanged));
    net.dial(2, 1);
    net.run(Duration::from_secs(2));
    assert_eq!(net.hosts[1].call().state, State::Alerting, "the real owner of that ID");
}

#[test]
fn a_dial_that_is_refused_pins_no_key() {
    let mut net = Net::new(4, UnknownCallers::Ring);
    net.dial(1, 3);
    let (peer, now) = (net.hosts[2].id(), net.now);
    assert!(
        net.command(1, |node| node.dial(
            peer,
            Some(Fingerprint([7; 32])),
            Hints::default(),
            DialOptions::default(),
            now
        ))
        .is_err()
    );
    let now = net.now;
    net.command(1, |node| node.hang_up(None, now)).unwrap();
    net.run(Duration::from_secs(5));
    net.dial(2, 1);
    net.run(Duration::from_secs(2));
    assert_eq!(net.hosts[1].call().state, State::Alerting);
}

#[test]
fn f05_a_handshake_from_an_impossible_address_is_not_answered() {
    let mut net = Net::new(1, UnknownCallers::Ring);
    let mut random = Random::seeded(7);
    let (id, mode) = (net.hosts[0].id(), crate::handshake::Mode::Full);
    for from in ["198.18.9.1:0", "255.255.255.255:5004", "224.0.0.1:5004", "0.0.0.0:5004", "[ff02::1]:5004"] {
        let mut bytes = crate::handshake::ExpectResponse::start(id, mode, &mut random).unwrap().datagram().to_vec();
        net.input(0, Input::Datagram { from: Path::direct(from.parse().unwrap()), bytes: &mut bytes });
        assert_eq!(net.flying.len(), 0, "{from}");
    }
}

#[test]
fn a_contact_that_calls_with_another_key_than_the_pinned_one_is_shown_once_and_not_heard() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    let (peer, now) = (net.hosts[2].id(), net.now);
    let invite = Invite { fingerprint: Some(Fingerprint([7; 32])), ..Invite::bare(peer) }.to_string();
    net.command(1, |node| node.add_contact("Bob", &invite, now)).unwrap();
    for _ in 0..3 {
        net.dial(2, 1);
        net.run(Duration::from_secs(12));
    }
    assert!(net.hosts[1].calls.is_empty());
    assert!(net.hosts[1].node.people().contact(peer).unwrap().changed);
    assert_eq!(net.hosts[1].warnings, 1);
}
