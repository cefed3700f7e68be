// SPDX-License-Identifier: GPL-3.0-or-later
//! Looking for peers without calling them.

use super::*;

#[test]
fn a_lookup_finds_a_peer_without_disturbing_it() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    let (peer, address, now) = (net.hosts[2].id(), net.hosts[2].address, net.now);
    net.command(1, |node| node.look_up(peer, Hints::default(), now)).unwrap();
    net.run(Duration::from_secs(3));
    let found = net.hosts[1].looked_up.pop().unwrap();
    assert_eq!((found.peer, found.missing), (peer, None));
    assert_eq!(found.addresses.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [address]);
    assert!(found.took >= found.addresses[0].1 && found.took < Duration::from_secs(1), "{found:?}");
    assert!(net.hosts[1].looked_up.is_empty(), "it is told once");
    assert!(net.hosts[1].calls.is_empty() && net.hosts[2].calls.is_empty());
}

#[test]
fn a_lookup_in_vain_says_why() {
    let nobody = NodeId([0x42; 20]);
    for (hosts, cause) in [(3, EndCause::NotFound), (1, EndCause::Offline)] {
        let mut net = Net::new(hosts, UnknownCallers::Ring);
        let (index, now) = (hosts - 1, net.now);
        net.command(index, |node| node.look_up(nobody, Hints::default(), now)).unwrap();
        net.run(Duration::from_secs(20));
        let lookup = net.hosts[index].looked_up.pop().unwrap();
        assert_eq!((lookup.missing, lookup.addresses.len()), (Some(cause), 0));
    }
}

#[test]
fn a_call_takes_over_the_search_of_a_lookup_and_both_are_answered() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    let (peer, now) = (net.hosts[2].id(), net.now);
    net.command(1, |node| node.look_up(peer, Hints::default(), now)).unwrap();
    net.dial(1, 2);
    let refused = net.command(1, |node| node.look_up(peer, Hints::default(), now));
    assert_eq!(refused, Err(LookUpError::InCall));
    net.run(Duration::from_millis(500));
    assert_eq!(net.hosts[1].looked_up.len(), 1);
    assert_eq!(net.hosts[1].call().state, State::Ringing);
}

#[test]
fn hanging_up_leaves_a_lookup_of_the_same_peer_alone() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    let (nobody, now) = (NodeId([0x42; 20]), net.now);
    net.command(1, |node| node.look_up(nobody, Hints::default(), now)).unwrap();
    net.command(1, |node| node.dial(nobody, None, Hints::default(), DialOptions::default(), now)).unwrap();
    net.command(1, |node| node.hang_up(None, now)).unwrap();
    net.run(Duration::from_secs(20));
    assert_eq!(net.hosts[1].looked_up.len(), 1);
}

#[test]
fn lookups_leave_room_for_calls() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    let now = net.now;
    for number in 0..16 {
        net.command(1, |node| node.look_up(NodeId([number; 20]), Hints::default(), now)).unwrap();
    }
    let refused = net.command(1, |node| node.look_up(NodeId([0x42; 20]), Hints::default(), now));
    assert_eq!(refused, Err(LookUpError::TooMany));
    net.dial(1, 2);
    net.run(Duration::from_millis(500));
    assert_eq!(net.hosts[1].call().state, State::Ringing);
    net.run(Duration::from_secs(20));
    assert_eq!(net.hosts[1].looked_up.len(), 16);
}
