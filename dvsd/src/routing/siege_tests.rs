// SPDX-License-Identifier: GPL-3.0-or-later
//! One attacker with little: a few ports of one host, or forged sources. It must not silence a node, nor keep it from
//! being reached.

use core::time::Duration;

use super::sim::{address, id_of, sent_by};
use super::*;
use crate::crypto::identity::KeyKind;
use crate::wire::routing::{Entry, PunchStatus, Token};

const TARGET: NodeId = NodeId([0x77; 20]);

/// One node with its clock and the hands of everybody else.
struct Besieged {
    node: Routing,
    now: Now,
    random: Random,
}

/// A port of the attacker's only host.
fn port(number: u16) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 9], 10_000 + number))
}

impl Besieged {
    fn new() -> Self {
        let identity = Arc::new(Identity::generate(KeyKind::P256, &mut Random::seeded(5)).unwrap());
        let config = RoutingConfig {
            identity: Some(identity.clone()),
            verify_proofs: false,
            ..RoutingConfig::new(identity.public().id())
        };
        Self::with(config)
    }

    fn with(config: RoutingConfig) -> Self {
        let (mut random, now) = (Random::seeded(1), Now { mono: Instant::from_millis(1_000_000), unix: 0 });
        Self { node: Routing::new(config, now, &mut random), now, random }
    }

    fn handle(&mut self, from: SocketAddr, message: Message, txid: u64) -> Result<(), Drop> {
        let packet = Packet { flags: 0, caps: caps::PUNCH, txid, message };
        self.node.handle(from, &packet.emit(), self.now, &mut self.random)
    }

    fn ping(&mut self, from: SocketAddr, origin: NodeId, token: Token) -> Result<(), Drop> {
        self.handle(from, Message::Ping { origin, token }, 7)
    }

    fn sent(&mut self) -> Vec<(SocketAddr, Packet)> {
        sent_by(&mut self.node)
    }

    fn wait(&mut self, millis: u64) {
        self.now.mono = self.now.mono + Duration::from_millis(millis);
        self.node.handle_timeout(self.now, &mut self.random);
    }

    /// Whoever is at `at` answers the PINGs in `sent` as `id`.
    fn pong(&mut self, sent: &[(SocketAddr, Packet)], at: SocketAddr, id: NodeId) {
        let pings = sent.iter().filter(|(to, packet)| *to == at && matches!(packet.message, Message::Ping { .. }));
        for (_, packet) in pings {
            let message = Message::Pong { responder: id, token: Token([7; 8]), observed: address(60_000) };
            _ = self.handle(at, message, packet.txid);
        }
    }

    /// The node of this number comes into the table.
    fn befriend(&mut self, number: u32) {
        let at = address(number);
        self.ping(at, id_of(at), Token::NONE).unwrap();
        for _ in 0..4 {
            let sent = self.sent();
            self.pong(&sent, at, id_of(at));
            for (_, asked) in sent.iter().filter(|(to, _)| *to == at) {
                self.tell(at, asked, &[]);
            }
        }
        assert!(self.node.table.find(&id_of(at)).is_some());
    }

    /// The node at `at` answers a ROUTE_REQ.
    fn tell(&mut self, at: SocketAddr, asked: &Packet, entries: &[Entry]) {
        if let Message::RouteReq { target, .. } = asked.message {
            let (responder, token, observed) = (id_of(at), Token([7; 8]), address(60_000));
            let message = Message::RouteRes { responder, target, token, observed, entries: entries.to_vec() };
            _ = self.handle(at, message, asked.txid);
        }
    }

    fn token(&mut self, from: SocketAddr) -> Token {
        self.ping(from, id_of(from), Token::NONE).unwrap();
        let mut sent = self.sent().into_iter();
        let token = sent.find_map(|(_, packet)| match packet.message {
            Message::Pong { token, .. } => Some(token),
            _ => None,
        });
        token.unwrap()
    }

    /// A search for the target in which one friend has been asked, and what it was asked.
    fn search(&mut self) -> Packet {
        self.befriend(1);
        self.sent();
        self.node.find(TARGET, &[], self.now, &mut self.random);
        let asked = self.sent().into_iter().find(|(_, packet)| matches!(packet.message, Message::RouteReq { .. }));
        asked.unwrap().1
    }

    fn found(&mut self) -> Vec<SocketAddr> {
        let events = core::iter::from_fn(|| self.node.poll_event());
        let found = events.filter_map(|event| match event {
            RoutingEvent::Found { addresses, .. } => Some(addresses),
            _ => None,
        });
        found.flatten().map(|(address, _)| address).collect()
    }

    /// Waits for a PUNCH_REQ; its transaction ID.
    fn punch_req(&mut self, to: SocketAddr) -> Option<u64> {
        for _ in 0..20 {
            self.wait(50);
            let mut sent = self.sent().into_iter();
            let asked = sent.find(|(at, packet)| *at == to && matches!(packet.message, Message::PunchReq { .. }));
            if let Some((_, packet)) = asked {
                return Some(packet.txid);
            }
        }
        None
    }
}

fn entry(id: NodeId, address: SocketAddr) -> Entry {
    Entry { caps: 0, id, address }
}

#[test]
fn f10_forged_requests_of_a_warm_neighbour_do_not_stop_the_pings_that_keep_it_warm() {
    let mut node = Besieged::new();
    node.befriend(1);
    let mut pings = 0;
    for _ in 0..24 {
        node.ping(address(1), id_of(address(1)), Token::NONE).unwrap();
        node.wait(5_000);
        let sent = node.sent();
        pings += sent.iter().filter(|(_, packet)| matches!(packet.message, Message::Ping { .. })).count();
        node.pong(&sent, address(1), id_of(address(1)));
    }
    assert!(pings >= 4, "{pings} in two minutes");
}

#[test]
fn f14_two_false_answers_do_not_end_the_punching() {
    let mut node = Besieged::new();
    let asked = node.search();
    for liar in [port(1), port(2)] {
        node.ping(liar, TARGET, Token::NONE).unwrap();
        let sent = node.sent();
        node.pong(&sent, liar, TARGET);
        node.wait(100);
        assert_eq!(node.found(), [liar]);
        node.wait(1_100);
    }
    node.tell(address(1), &asked, &[entry(TARGET, address(900))]);
    assert!(node.punch_req(address(1)).is_some());
}

#[test]
fn f14_a_false_answer_does_not_stop_the_punching_under_way() {
    let mut node = Besieged::new();
    let asked = node.search();
    node.tell(address(1), &asked, &[entry(TARGET, address(900))]);
    let txid = node.punch_req(address(1)).unwrap();
    node.ping(port(1), TARGET, Token::NONE).unwrap();
    let sent = node.sent();
    node.pong(&sent, port(1), TARGET);
    node.wait(60);
    let message = Message::PunchAck { status: PunchStatus::Forwarded, address: address(901) };
    node.handle(address(1), message, txid).unwrap();
    node.wait(60);
    assert!(node.sent().iter().any(|(to, _)| *to == address(901)));
    node.ping(address(902), TARGET, Token::NONE).unwrap();
    let sent = node.sent();
    node.pong(&sent, address(902), TARGET);
    node.wait(100);
    assert_eq!(node.found(), [port(1), address(902)]);
}

#[test]
fn f14_pings_in_the_name_of_the_peer_do_not_hide_it() {
    let mut node = Besieged::new();
    let asked = node.search();
    for number in 0..50 {
        _ = node.ping(port(number), TARGET, Token::NONE);
    }
    node.tell(address(1), &asked, &[entry(TARGET, address(900))]);
    let txid = node.punch_req(address(1)).unwrap();
    let mut peer = address(900);
    peer.set_port(6_000);
    let message = Message::PunchAck { status: PunchStatus::Forwarded, address: peer };
    node.handle(address(1), message, txid).unwrap();
    node.wait(1);
    let sent = node.sent();
    node.pong(&sent, peer, TARGET);
    node.wait(100);
    assert_eq!(node.found(), [peer]);
    let mut elsewhere = peer;
    elsewhere.set_port(7_000);
    node.ping(elsewhere, TARGET, Token::NONE).unwrap();
    let sent = node.sent();
    node.pong(&sent, elsewhere, TARGET);
    node.wait(100);
    assert_eq!(node.found(), [elsewhere], "another port of the same host");
}

#[test]
fn f08_forged_requests_do_not_keep_honest_newcomers_from_being_asked() {
    let mut node = Besieged::new();
    let token = node.token(address(1));
    node.wait(5_000);
    node.sent();
    for number in 0..200 {
        _ = node.ping(address(100 + number), id_of(address(100 + number)), Token::NONE);
    }
    node.sent();
    node.ping(address(1), id_of(address(1)), token).unwrap();
    let asked = node.sent().into_iter().filter(|(_, packet)| matches!(packet.message, Message::Ping { .. })).count();
    assert_eq!(asked, 1);
}

#[test]
fn f09_one_host_with_many_ports_does_not_use_up_the_answers_for_others() {
    let mut node = Besieged::new();
    let honest = node.token(address(1));
    let tokens: Vec<Token> = (0..60)
        .map(|number| {
            node.wait(100);
            node.token(port(number))
        })
        .collect();
    node.wait(5_000);
    let flood = (0..60).flat_map(|number| [number; 20]);
    let answered = flood.filter(|number| {
        let token = tokens[usize::from(*number)];
        node.ping(port(*number), NodeId([8; 20]), token).is_ok()
    });
    assert!(answered.count() <= 300);
    assert_eq!(node.ping(address(1), id_of(address(1)), honest), Ok(()));
}

#[test]
fn f09_one_host_does_not_use_up_the_signatures_for_others() {
    let mut node = Besieged::new();
    let honest = node.token(address(1));
    let attackers = [port(1), port(2)].map(|from| (from, node.token(from)));
    let ask = |node: &mut Besieged, from: SocketAddr, token| {
        node.handle(from, Message::ProofReq { origin: NodeId([8; 20]), token, challenge: [1; 16] }, 7)
    };
    for _ in 0..100 {
        attackers.iter().for_each(|(from, token)| _ = ask(&mut node, *from, *token));
        node.wait(50);
    }
    assert_eq!(ask(&mut node, address(1), honest), Ok(()));
}

#[test]
fn f08_one_network_does_not_use_up_the_proofs_that_are_asked_for() {
    let mut node = Besieged::new();
    node.node.table = Table::new(node.node.config.node_id, true);
    let close = |number: u8| {
        let mut id = node.node.config.node_id;
        id.0[19] ^= number;
        id
    };
    let (liars, honest): (Vec<NodeId>, NodeId) = ((1..30).map(close).collect(), close(99));
    let mut asked = 0;
    for (number, id) in (0..).zip(liars) {
        _ = node.ping(port(number), id, Token::NONE);
        let sent = node.sent();
        node.pong(&sent, port(number), id);
        asked += node.sent().iter().filter(|(_, packet)| matches!(packet.message, Message::ProofReq { .. })).count();
    }
    assert!((1..=4).contains(&asked), "{asked}");
    node.ping(address(1), honest, Token::NONE).unwrap();
    let sent = node.sent();
    node.pong(&sent, address(1), honest);
    assert!(node.sent().iter().any(|(_, packet)| matches!(packet.message, Message::ProofReq { .. })));
}
