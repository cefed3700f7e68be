// SPDX-License-Identifier: GPL-3.0-or-later
//! Whole nodes among liars.

use super::*;

/// A liar at `address` who says that he is `id`, that whoever is asked for is at `named`, and shakes hands by `greet`.
fn liar(
    address: SocketAddr,
    id: NodeId,
    named: Vec<(NodeId, SocketAddr)>,
    mut greet: impl FnMut(&[u8]) -> Option<Vec<u8>> + 'static,
) -> Liar {
    let answer = move |datagram: &[u8]| {
        let Ok(asked) = Packet::parse(datagram) else { return greet(datagram) };
        let (token, observed) = (Token([1; 8]), "198.18.1.1:5004".parse().unwrap());
        let entry = |(id, address): &(NodeId, SocketAddr)| Entry { caps: 0, id: *id, address: *address };
        let entries = named.iter().map(entry).collect();
        let message = match asked.message {
            Message::RouteReq { target, .. } => Message::RouteRes { responder: id, target, token, observed, entries },
            Message::Ping { .. } => Message::Pong { responder: id, token, observed },
            _ => return None,
        };
        Some(Packet { flags: 0, caps: 0, txid: asked.txid, message }.emit())
    };
    Liar { address, answer: Box::new(answer) }
}

/// What a liar may say to HS_INIT: nothing, noise under the right name, or that he speaks no such version.
fn greetings() -> [fn(&[u8]) -> Answer; 3] {
    [
        |_| None,
        |init| {
            let mut noise = vec![0x55; 300];
            noise[..2].copy_from_slice(&[crate::wire::kind::HS_RESP, 1]);
            noise[4..12].copy_from_slice(&init[4..12]);
            Some(noise)
        },
        |init| {
            let sid = Init::parse(init, Versions::OURS).ok()?.sid;
            Some(Spoken { versions: Versions { min: 9, max: 9 }, sid }.emit())
        },
    ]
}

#[test]
fn f14_a_liar_who_answers_as_the_peer_and_shakes_no_hand_does_not_keep_the_call_from_ringing() {
    for greet in greetings() {
        let mut net = Net::new(3, UnknownCallers::Ring);
        let (target, honest) = (net.hosts[2].id(), (net.hosts[0].id(), net.hosts[0].address));
        let [liar_at, lie] = ["198.18.66.1:5004", "198.18.67.1:5004"].map(|text| text.parse().unwrap());
        net.liars.push(liar(liar_at, NodeId([0x66; 20]), vec![(target, lie), honest], |_| None));
        net.liars.push(liar(lie, target, Vec::new(), greet));
        net.add(3, UnknownCallers::Ring);
        net.input(3, Input::Bootstrap(&[liar_at]));
        net.dial(3, 2);
        net.run(Duration::from_secs(4));
        assert_eq!(net.hosts[3].call().state, State::Ringing);
        assert_eq!(net.hosts[2].call().state, State::Alerting);
        net.answer(2);
        net.run(Duration::from_secs(1));
        assert_eq!(net.hosts[3].call().state, State::Active);
        assert!(!net.hosts[3].node.routing.is_searching(target), "nobody is looked for any more");
    }
}

#[test]
fn f14_when_only_liars_answer_the_call_ends_in_time_and_says_why() {
    for (greet, cause) in greetings().into_iter().zip([EndCause::Unreachable, EndCause::Unreachable, EndCause::Version])
    {
        let mut net = Net::new(2, UnknownCallers::Ring);
        let target = NodeId([0x42; 20]);
        let [liar_at, lie] = ["198.18.66.1:5004", "198.18.67.1:5004"].map(|text| text.parse().unwrap());
        net.liars.push(liar(liar_at, NodeId([0x66; 20]), vec![(target, lie)], |_| None));
        net.liars.push(liar(lie, target, Vec::new(), greet));
        net.input(1, Input::Bootstrap(&[liar_at]));
        net.run(Duration::from_secs(1));
        let now = net.now;
        net.command(1, |node| node.dial(target, None, Hints::default(), DialOptions::default(), now)).unwrap();
        net.run(Duration::from_secs(7));
        assert_eq!(net.hosts[1].call().state, State::Connecting);
        net.run(Duration::from_secs(2));
        assert_eq!(net.hosts[1].call().cause, Some(cause));
    }
}

/// A new liar is named again and again, each at an address of its own.
#[test]
fn f14_a_call_ends_in_time_however_many_addresses_are_named() {
    let mut net = Net::new(2, UnknownCallers::Ring);
    let target = NodeId([0x42; 20]);
    for number in 0..120_u8 {
        let at = |network: u8| SocketAddr::from(([198, 51, network, number], 5004));
        let mut id = target;
        (id.0[1], id.0[2]) = (0x80, number);
        let mut next = id;
        next.0[2] = number + 1;
        let named = vec![(target, SocketAddr::from(([203, number, 1, 1], 5004))), (next, at(100 + number + 1))];
        net.liars.push(liar(at(100 + number), id, named, |_| None));
        net.liars.push(liar(SocketAddr::from(([203, number, 1, 1], 5004)), target, Vec::new(), |_| None));
    }
    let first = net.liars[0].address;
    net.input(1, Input::Bootstrap(&[first]));
    net.run(Duration::from_secs(1));
    let now = net.now;
    net.command(1, |node| node.dial(target, None, Hints::default(), DialOptions::default(), now)).unwrap();
    net.run(Duration::from_secs(24));
    assert_eq!(net.hosts[1].call().cause, Some(EndCause::Unreachable));
    assert!(!net.hosts[1].node.routing.is_searching(target));
}
