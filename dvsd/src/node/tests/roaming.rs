// SPDX-License-Identifier: GPL-3.0-or-later
//! Nodes that move, vanish and start again in the middle of calls.

use super::*;

/// Two in a call, among `others` that they know.
fn talking(others: usize) -> (Net, usize, usize) {
    let mut net = Net::new(others + 2, UnknownCallers::Ring);
    let (a, b) = (others, others + 1);
    net.dial(a, b);
    net.run(Duration::from_millis(500));
    net.answer(b);
    net.run(Duration::from_millis(500));
    (net, a, b)
}

/// `index` has another address, and notices it.
fn move_to(net: &mut Net, index: usize, address: &str) {
    net.hosts[index].address = address.parse().unwrap();
    let local = net.hosts[index].address.ip();
    net.input(index, Input::NetworkChanged { local: &[local] });
}

/// The process dies without a word.
fn kill(net: &mut Net, index: usize) {
    net.hosts[index].address = "0.0.0.0:1".parse().unwrap();
    net.hosts[index].deadline = None;
}

/// A new process with the same identity, at `address`.
fn start_again(net: &mut Net, index: usize, address: SocketAddr) {
    let identity = Identity::generate(KeyKind::Ed25519, &mut Random::seeded(index as u64)).unwrap();
    net.add(200 + index, UnknownCallers::Ring);
    let mut host = net.hosts.pop().unwrap();
    let people = PeopleConfig { unknown_callers: UnknownCallers::Ring, ..PeopleConfig::default() };
    let routing = RoutingConfig::new(NodeId([0; 20]));
    let config = Config { call: CallConfig::default(), people, routing, contacts: Vec::new() };
    host.node = Node::new(identity, config, net.now, Random::seeded(1_000 + index as u64));
    host.address = address;
    net.hosts[index] = host;
    let first = net.hosts[0].address;
    net.input(index, Input::Bootstrap(&[first]));
}

/// Both of a call talk for `millis` and report what they hear; the longest time in which each heard nothing.
fn talk(net: &mut Net, both: [usize; 2], millis: u64) -> [u64; 2] {
    let (mut silent, mut longest) = ([0; 2], [0; 2]);
    for frame in 0..millis / 20 {
        let heard = both.map(|index| net.hosts[index].played.len());
        for index in both {
            let call = net.hosts[index].call().number;
            let captured = net.now.mono;
            net.input(index, Input::Frame { call, captured, ticks: 8, first: frame == 0, opus: &[0x78; 80] });
            if frame % 10 == 0 {
                net.input(index, Input::Report { call, report: Default::default() });
            }
        }
        net.run(Duration::from_millis(20));
        for (end, index) in both.into_iter().enumerate() {
            silent[end] = if net.hosts[index].played.len() > heard[end] { 0 } else { silent[end] + 20 };
            longest[end] = longest[end].max(silent[end]);
        }
    }
    longest
}

fn session(net: &Net, index: usize) -> crate::session::SessionStats {
    net.hosts[index].node.session_stats(net.hosts[index].call().key).unwrap()
}

#[test]
fn a_call_goes_on_when_one_of_them_moves() {
    for seed in 0..12 {
        let (mut net, a, b) = talking(2);
        net.loss = seed * 17;
        net.random = Random::seeded(seed);
        talk(&mut net, [a, b], 1_000);
        let mover = if seed % 2 == 0 { a } else { b };
        move_to(&mut net, mover, "203.0.113.9:40000");
        let gaps = talk(&mut net, [a, b], 5_000);
        assert!(gaps.iter().all(|gap| *gap <= 1_000), "seed {seed}: {gaps:?}");
        let other = a + b - mover;
        assert_eq!(session(&net, other).path, Path::direct(net.hosts[mover].address), "seed {seed}");
        assert_eq!(session(&net, other).path_changes, 1, "seed {seed}");
        assert_eq!([a, b].map(|index| net.hosts[index].call().state), [State::Active; 2]);
    }
}

#[test]
fn where_a_contact_moves_in_a_call_is_remembered() {
    let (mut net, a, b) = talking(2);
    let (id, now) = (net.hosts[b].id().to_string(), net.now);
    net.command(a, |node| node.add_contact("Two", &id, now)).unwrap();
    move_to(&mut net, b, "203.0.113.9:40000");
    talk(&mut net, [a, b], 2_000);
    let contact = net.hosts[a].node.people().contact(net.hosts[b].id()).unwrap();
    assert_eq!(contact.last_address, Some(net.hosts[b].address));
}

#[test]
fn both_move_at_once_and_find_each_other_through_a_third_node() {
    for seed in 0..6 {
        let (mut net, a, b) = talking(3);
        net.random = Random::seeded(seed);
        net.loss = seed * 40;
        talk(&mut net, [a, b], 1_000);
        move_to(&mut net, a, "203.0.113.9:40000");
        move_to(&mut net, b, "192.0.2.10:40000");
        let gaps = talk(&mut net, [a, b], 15_000);
        assert_eq!([a, b].map(|index| net.hosts[index].call().state), [State::Active; 2], "seed {seed}");
        for (index, other) in [(a, b), (b, a)] {
            assert_eq!(session(&net, index).path, Path::direct(net.hosts[other].address), "seed {seed}");
        }
        assert!(gaps.iter().all(|gap| *gap <= 8_000), "seed {seed}: {gaps:?}");
    }
}

#[test]
fn an_address_that_is_known_is_tried_before_the_call_is_lost() {
    let (mut net, a, b) = talking(2);
    let moved = ["203.0.113.9:40000", "192.0.2.10:40000"];
    let invite = format!("dvs:{}?at={}", net.hosts[b].id(), moved[1]);
    let now = net.now;
    net.command(a, |node| node.add_contact("Two", &invite, now)).unwrap();
    for (index, address) in [(a, moved[0]), (b, moved[1])] {
        net.hosts[index].address = address.parse().unwrap();
    }
    let gaps = talk(&mut net, [a, b], 9_000);
    assert!(gaps.iter().all(|gap| *gap <= 6_000), "{gaps:?}");
    assert_eq!(session(&net, a).path, Path::direct(net.hosts[b].address));
}

#[test]
fn both_are_given_other_addresses_unnoticed_and_find_each_other_when_the_call_is_lost() {
    let (mut net, a, b) = talking(3);
    net.hosts[a].address = "203.0.113.9:40000".parse().unwrap();
    net.hosts[b].address = "192.0.2.10:40000".parse().unwrap();
    talk(&mut net, [a, b], 29_000);
    assert_eq!([a, b].map(|index| net.hosts[index].call().state), [State::Active; 2]);
    assert_eq!(session(&net, a).path, Path::direct(net.hosts[b].address));
}

#[test]
fn a_call_through_a_nat_goes_on_behind_another_one() {
    let mut net = Net::new(8, UnknownCallers::Ring);
    for index in [8, 9] {
        net.add(index, UnknownCallers::Ring);
        let outer = net.hosts[index].address.ip();
        net.hosts[index].gateway = Some(Gateway::new(Kind::Port, outer));
        net.hosts[index].address = format!("192.168.{index}.2:5004").parse().unwrap();
        let first = net.hosts[0].address;
        net.input(index, Input::Bootstrap(&[first]));
    }
    net.run(Duration::from_secs(120));
    net.dial(8, 9);
    net.run(Duration::from_secs(1));
    net.answer(9);
    net.run(Duration::from_secs(1));
    // Another router, which the peer's does not let in before it was asked to.
    net.hosts[8].gateway = Some(Gateway::new(Kind::Port, "203.0.113.9".parse().unwrap()));
    move_to(&mut net, 8, "192.168.77.2:5004");
    let gaps = talk(&mut net, [8, 9], 12_000);
    assert_eq!([8, 9].map(|index| net.hosts[index].call().state), [State::Active; 2], "{gaps:?}");
    assert!(gaps.iter().all(|gap| *gap <= 5_000), "{gaps:?}");
}

#[test]
fn a_peer_that_is_killed_ends_the_call_as_lost_within_32_seconds() {
    let (mut net, a, b) = talking(2);
    talk(&mut net, [a, b], 1_000);
    let killed = net.now.mono;
    kill(&mut net, b);
    while net.hosts[a].call().state != State::Ended {
        net.run(Duration::from_millis(100));
        assert!(net.now.mono.since(killed) <= Duration::from_secs(32));
    }
    assert_eq!(net.hosts[a].call().cause, Some(EndCause::PeerLost));
    assert!(net.now.mono.since(killed) >= Duration::from_secs(29));
    assert!(net.hosts[a].sound.is_empty());
}

#[test]
fn a_peer_that_restarts_in_a_call_and_dials_again_rings_within_a_second() {
    for (first, pause) in [(0, 0), (0, 1), (0, 4), (0, 9), (1, 0), (1, 4), (1, 12)] {
        let (mut net, a, b) = talking(2);
        // Who began the first call must make no difference.
        let [stays, crashes] = if first == 0 { [a, b] } else { [b, a] };
        talk(&mut net, [a, b], 1_000);
        let address = net.hosts[crashes].address;
        kill(&mut net, crashes);
        net.run(Duration::from_secs(pause));
        start_again(&mut net, crashes, address);
        net.run(Duration::from_secs(1));
        net.dial(crashes, stays);
        net.run(Duration::from_secs(1));
        let hint = format!("first {first}, pause {pause}");
        assert_eq!(net.hosts[stays].call().state, State::Alerting, "{hint}");
        assert_eq!(net.hosts[crashes].call().state, State::Ringing, "{hint}");
        net.answer(stays);
        net.run(Duration::from_millis(300));
        assert_eq!(net.hosts[crashes].call().state, State::Active, "{hint}");
        let gaps = talk(&mut net, [stays, crashes], 5_000);
        assert!(gaps.iter().all(|gap| *gap <= 200), "{hint}: {gaps:?}");
    }
}

/// A call that is over left a session; then the peer restarts, at `address` or where it was, and is dialled.
fn dial_over_a_dead_session(began: usize, address: Option<&str>) -> (Net, usize, usize) {
    let (mut net, a, b) = talking(3);
    let now = net.now;
    net.command(a, |node| node.hang_up(None, now)).unwrap();
    net.run(Duration::from_secs(2));
    let [stays, crashes] = if began == 0 { [a, b] } else { [b, a] };
    let address = address.map_or(net.hosts[crashes].address, |address| address.parse().unwrap());
    kill(&mut net, crashes);
    start_again(&mut net, crashes, address);
    net.run(Duration::from_secs(1));
    net.dial(stays, crashes);
    (net, stays, crashes)
}

#[test]
fn a_peer_that_restarted_rings_although_it_has_lost_the_session_that_is_still_there() {
    for (began, address) in [(0, None), (1, None), (0, Some("203.0.113.9:5004")), (1, Some("203.0.113.9:5004"))] {
        let (mut net, stays, crashes) = dial_over_a_dead_session(began, address);
        net.run(Duration::from_millis(2_500));
        let hint = format!("began {began}, at {address:?}");
        assert_eq!(net.hosts[crashes].call().state, State::Alerting, "{hint}");
        assert_eq!(net.hosts[stays].call().state, State::Ringing, "{hint}");
        net.answer(crashes);
        net.run(Duration::from_millis(300));
        talk(&mut net, [stays, crashes], 4_000);
        assert!(net.hosts[crashes].played.len() > 190, "{hint}: {}", net.hosts[crashes].played.len());
        let heard: std::collections::BTreeSet<_> = net.hosts[crashes].calls.keys().collect();
        assert_eq!(heard.len(), 1, "{hint}: it rings once");
    }
}

#[test]
fn a_living_session_is_dialled_over_without_another_handshake() {
    let (mut net, a, b) = talking(2);
    let now = net.now;
    net.command(a, |node| node.hang_up(None, now)).unwrap();
    net.run(Duration::from_secs(20));
    net.dial(b, a);
    net.run(Duration::from_millis(30));
    assert_eq!(net.hosts[a].call().state, State::Alerting, "at once");
    for _ in 0..30 {
        net.run(Duration::from_millis(100));
        assert!(net.flying.iter().all(|(.., datagram)| datagram[0] != crate::wire::kind::HS_INIT));
    }
    assert_eq!(net.hosts[b].call().state, State::Ringing);
}

#[test]
fn a_peer_that_is_gone_ends_a_dial_over_its_old_session_as_before() {
    let (mut net, a, b) = talking(2);
    let now = net.now;
    net.command(a, |node| node.hang_up(None, now)).unwrap();
    net.run(Duration::from_secs(2));
    kill(&mut net, b);
    net.dial(a, b);
    net.run(Duration::from_secs(30));
    assert!(net.hosts[a].call().cause.is_some(), "{:?}", net.hosts[a].call());
}

#[test]
fn f09_p07_nobody_but_the_peer_ends_a_call() {
    let (mut net, a, b) = talking(2);
    talk(&mut net, [a, b], 500);
    // All that was ever sent, from the right address and from another, as it was and with every first byte; and the
    // single byte that hung up in other programs.
    let from = Path::direct(net.hosts[b].address);
    let elsewhere = Path::direct("203.0.113.66:5004".parse().unwrap());
    for first in 0..=u8::MAX {
        for length in [1, 5, 25, 36, 60] {
            for from in [from, elsewhere] {
                let mut bytes = vec![first; length];
                net.input(a, Input::Datagram { from, bytes: &mut bytes });
            }
        }
    }
    talk(&mut net, [a, b], 500);
    assert_eq!([a, b].map(|index| net.hosts[index].call().state), [State::Active; 2]);
    assert_eq!(session(&net, a).path, from);
}
