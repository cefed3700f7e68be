// SPDX-License-Identifier: GPL-3.0-or-later
//! Whole nodes in networks that are in the way, or change.

use core::net::IpAddr;

use super::*;

/// Ten nodes, the last two behind NATs, where they have been for some minutes.
fn two_homes(caller: Kind, callee: Kind) -> Net {
    let mut net = Net::new(8, UnknownCallers::Ring);
    for (index, kind) in [(8, caller), (9, callee)] {
        net.add(index, UnknownCallers::Ring);
        let outer = net.hosts[index].address.ip();
        net.hosts[index].gateway = Some(Gateway::new(kind, outer));
        net.hosts[index].address = format!("192.168.{index}.2:5004").parse().unwrap();
        let first = net.hosts[0].address;
        net.input(index, Input::Bootstrap(&[first]));
    }
    net.run(Duration::from_secs(120));
    net
}

#[test]
fn two_nodes_behind_strict_nats_talk() {
    let mut net = two_homes(Kind::Port, Kind::Port);
    net.dial(8, 9);
    net.run(Duration::from_secs(1));
    assert_eq!((net.hosts[8].call().state, net.hosts[9].call().state), (State::Ringing, State::Alerting));
    net.answer(9);
    net.run(Duration::from_millis(100));
    net.speak(8, 50);
    net.speak(9, 50);
    assert_eq!((net.hosts[8].played.len(), net.hosts[9].played.len()), (50, 50));
}

#[test]
fn two_nodes_behind_symmetric_nats_do_not_reach_each_other_and_tell_no_address() {
    let mut net = two_homes(Kind::Symmetric, Kind::Symmetric);
    net.dial(8, 9);
    net.run(Duration::from_secs(15));
    assert!(net.hosts[8].call().cause.is_some());
    assert_eq!(net.hosts[8].node.invite(&[], net.now).at, []);
    assert_eq!(net.hosts[1].node.invite(&[], net.now).at.len(), 1);
}

#[test]
fn a_node_that_starts_again_finds_its_network_from_what_it_saved() {
    let mut net = Net::new(4, UnknownCallers::Ring);
    let saved = net.hosts[1].node.saved_nodes(net.now);
    assert_eq!(saved.len(), 3);
    net.add(4, UnknownCallers::Ring);
    net.input(4, Input::Restore(&saved));
    net.run(Duration::from_secs(1));
    assert!(net.hosts[4].node.routing_status(net.now).online);
    let own = net.hosts[4].address.ip();
    net.input(4, Input::NetworkChanged { local: &[own] });
    net.run(Duration::from_secs(1));
    assert_eq!(net.hosts[4].node.routing_status(net.now).nat_v4, NatKind::Open);
    net.dial(4, 2);
    net.run(Duration::from_millis(500));
    assert_eq!(net.hosts[2].call().state, State::Alerting);
}

#[test]
fn where_a_contact_was_talked_to_is_remembered_on_both_sides() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    let (ids, now) = ([1, 2].map(|index| net.hosts[index].id().to_string()), net.now);
    net.command(1, |node| node.add_contact("Two", &ids[1], now)).unwrap();
    net.command(2, |node| node.add_contact("One", &ids[0], now)).unwrap();
    net.dial(1, 2);
    net.run(Duration::from_millis(500));
    let last = |net: &Net, index: usize, peer: usize| {
        net.hosts[index].node.people().contact(net.hosts[peer].id()).unwrap().last_address
    };
    assert_eq!(last(&net, 1, 2), None, "it only rings");
    net.answer(2);
    net.run(Duration::from_millis(500));
    assert_eq!(last(&net, 1, 2), Some(net.hosts[2].address));
    assert_eq!(last(&net, 2, 1), Some(net.hosts[1].address));
}

#[test]
fn an_invite_names_public_addresses_and_public_nodes_and_what_it_is_told() {
    let net = Net::new(6, UnknownCallers::Ring);
    let local = ["192.168.1.7:5004".parse().unwrap(), net.hosts[5].address];
    let [public, whole] = [&[][..], &local].map(|local| net.hosts[5].node.invite(local, net.now));
    assert_eq!(public.at.iter().map(ToString::to_string).collect::<Vec<_>>(), ["198.18.5.1:5004"]);
    assert_eq!(whole.at.iter().map(ToString::to_string).collect::<Vec<_>>(), ["198.18.5.1:5004", "192.168.1.7:5004"]);
    // The one all joined through. That others are more than open to those they have just asked would take longer.
    assert!((1..=3).contains(&public.via.len()), "{}", public.via.len());
    for (id, at) in &public.via {
        let host = net.hosts.iter().find(|host| host.id() == *id).unwrap();
        assert_eq!(at.to_string(), host.address.to_string());
    }
    assert_eq!(public.to_string().parse(), Ok(public));
}

#[test]
fn a_peer_whose_address_changed_after_a_talk_is_called_again_at_once() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    net.dial(1, 2);
    net.run(Duration::from_secs(1));
    let now = net.now;
    net.command(1, |node| node.hang_up(None, now)).unwrap();
    net.run(Duration::from_secs(1));
    net.hosts[2].address = "198.18.77.1:5004".parse().unwrap();
    net.input(2, Input::NetworkChanged { local: &["198.18.77.1".parse().unwrap()] });
    net.run(Duration::from_secs(1));
    net.dial(1, 2);
    net.run(Duration::from_secs(2));
    assert_eq!(net.hosts[1].call().state, State::Ringing);
}

#[test]
fn a_change_of_network_leaves_the_session_of_a_call_alone() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    net.dial(1, 2);
    net.run(Duration::from_secs(1));
    for index in [1, 2] {
        let local: IpAddr = net.hosts[index].address.ip();
        net.input(index, Input::NetworkChanged { local: &[local] });
    }
    net.run(Duration::from_secs(2));
    assert_eq!([1, 2].map(|index| net.hosts[index].call().state), [State::Ringing, State::Alerting]);
    net.answer(2);
    net.run(Duration::from_secs(1));
    net.input(2, Input::NetworkChanged { local: &["198.18.2.1".parse().unwrap()] });
    net.run(Duration::from_secs(2));
    assert_eq!(net.hosts[1].call().state, State::Active);
}
