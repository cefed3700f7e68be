// SPDX-License-Identifier: GPL-3.0-or-later
//! Proofs of identity, with real keys.

use super::sim::{Mesh, address, sent_by};
use super::*;
use crate::crypto::identity::KeyKind;
use crate::wire::kind;
use crate::wire::routing::Token;

/// The PROOF of PROTOCOL.md 19.4.
const PROOF: &str = "15010008101112131415161750199aa9e91849a1c52b8b96be67dbcf5577f2bc04138cc612000107002c302a30050603\
    2b65700321004b7fa44d64fb7f96eb771bbf8a0f5a592a273f05ff820fda9728517eeacce93700402cdc082222517c87\
    aadb8a5bfc7ec501cd9a0cb1c5b949c006dccbe1914c36c0ac0b9d6d2872dd99f0b32da77a9872eeb4b117a1d46d5c95\
    078a9d8d84f41906";

fn bytes(hex: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap()
}

fn identity(number: u32) -> Arc<Identity> {
    let kind = if number.is_multiple_of(2) { KeyKind::Ed25519 } else { KeyKind::P256 };
    Arc::new(Identity::generate(kind, &mut Random::seeded(u64::from(number))).unwrap())
}

fn config(number: u32) -> RoutingConfig {
    let identity = identity(number);
    RoutingConfig { identity: Some(Arc::clone(&identity)), ..RoutingConfig::new(identity.public().id()) }
}

/// The number of a node whose place is the first bucket of node 0.
fn opposite() -> u32 {
    let half = |number: u32| identity(number).public().id().0[0] >> 7;
    (1..).find(|number| half(*number) != half(0)).unwrap()
}

/// A network of nodes with keys that all joined through the first one, and settled.
fn joined(seed: u64, count: u32) -> Mesh {
    let mut mesh = Mesh::new(seed);
    for number in 0..count {
        mesh.add_with(address(number), config(number));
        mesh.join(address(number), &[address(0)]);
        mesh.run_for(Duration::from_millis(50));
    }
    mesh.run_for(Duration::from_secs(60));
    mesh
}

/// A lone node with a key, and the hands of whoever talks to it.
struct Lone {
    node: Routing,
    now: Now,
    random: Random,
}

impl Lone {
    fn new(number: u32) -> Self {
        let (mut random, now) = (Random::seeded(1), Now { mono: Instant::from_millis(1_000_000), unix: 0 });
        Self { node: Routing::new(config(number), now, &mut random), now, random }
    }

    /// One whose first bucket is half full of honest nodes that prove nothing.
    fn crowded(number: u32) -> Self {
        let mut lone = Self::new(number);
        let own = lone.node.config.node_id;
        for friend in 0..10_u8 {
            let mut id = NodeId([friend; 20]);
            id.0[0] = !own.0[0];
            lone.meet(id, address(500 + u32::from(friend)));
        }
        assert_eq!(lone.node.table.len(), 10);
        lone
    }

    fn handle(&mut self, from: SocketAddr, message: Message, txid: u64) -> Result<(), Drop> {
        let packet = Packet { flags: 0, caps: 3, txid, message };
        self.node.handle(from, &packet.emit(), self.now, &mut self.random)
    }

    fn pass_on(&mut self, from: SocketAddr, packet: &Packet) -> Result<(), Drop> {
        self.node.handle(from, &packet.emit(), self.now, &mut self.random)
    }

    fn sent(&mut self) -> Vec<(SocketAddr, Packet)> {
        sent_by(&mut self.node)
    }

    fn wait(&mut self, time: Duration) {
        self.now.mono = self.now.mono + time;
        self.node.handle_timeout(self.now, &mut self.random);
    }

    /// The node of this ID knocks at the door and answers the PING that follows.
    fn meet(&mut self, id: NodeId, from: SocketAddr) -> Vec<(SocketAddr, Packet)> {
        _ = self.handle(from, Message::Ping { origin: id, token: Token::NONE }, 1);
        for (_, asked) in self.sent().into_iter().filter(|(to, _)| *to == from) {
            if let Message::Ping { .. } = asked.message {
                let message = Message::Pong { responder: id, token: Token([7; 8]), observed: address(60_000) };
                self.handle(from, message, asked.txid).unwrap();
            }
        }
        self.sent()
    }

    /// A token for `from`, as the node gives it.
    fn token(&mut self, from: SocketAddr) -> Token {
        self.handle(from, Message::Ping { origin: NodeId([9; 20]), token: Token::NONE }, 1).unwrap();
        let tokens = self.sent().into_iter().find_map(|(_, packet)| match packet.message {
            Message::Pong { token, .. } => Some(token),
            _ => None,
        });
        tokens.unwrap()
    }

    fn knows(&self, id: NodeId) -> Option<SocketAddr> {
        self.node.table.find(&id).map(|contact| contact.address)
    }
}

fn proof_req(sent: &[(SocketAddr, Packet)]) -> Option<&Packet> {
    sent.iter().map(|(_, packet)| packet).find(|packet| matches!(packet.message, Message::ProofReq { .. }))
}

/// What the node of this number answers `asked`, which came from `from`.
fn proof_by(number: u32, from: SocketAddr, asked: &Packet) -> Packet {
    let mut prover = Lone::new(number);
    let Message::ProofReq { origin, challenge, .. } = asked.message else { panic!("{asked}") };
    let token = prover.token(from);
    prover.handle(from, Message::ProofReq { origin, token, challenge }, asked.txid).unwrap();
    prover.sent().remove(0).1
}

#[test]
fn a_newcomer_to_a_crowded_bucket_gets_in_with_a_proof() {
    let mut lone = Lone::crowded(0);
    let (newcomer, own) = (opposite(), lone.node.config.node_id);
    let id = identity(newcomer).public().id();
    let sent = lone.meet(id, address(1));
    let asked = proof_req(&sent).unwrap();
    assert_eq!(lone.knows(id), None);
    let Message::ProofReq { origin, token, .. } = asked.message else { panic!() };
    assert_eq!((origin, token), (own, Token([7; 8])));
    let proof = proof_by(newcomer, address(60_000), asked);
    assert_eq!(lone.pass_on(address(2), &proof), Err(Drop::Unsolicited));
    assert_eq!(lone.pass_on(address(1), &proof), Ok(()));
    assert_eq!(lone.knows(id), Some(address(1)));
    let peers = lone.node.status(lone.now).peers;
    assert_eq!(peers.iter().filter(|peer| peer.proven).map(|peer| peer.id).collect::<Vec<_>>(), [id]);
    assert_eq!(lone.pass_on(address(1), &proof), Err(Drop::Unsolicited), "each counts once");
}

#[test]
fn a_relayed_proof_is_refused() {
    let mut lone = Lone::crowded(0);
    let (victim, mallory) = (identity(opposite()).public().id(), address(66));
    let sent = lone.meet(victim, mallory);
    let asked = proof_req(&sent).unwrap();
    let relayed = proof_by(opposite(), mallory, asked);
    assert_eq!(lone.pass_on(mallory, &relayed), Err(Drop::Proof));
    assert_eq!((lone.knows(victim), lone.node.strikes.len()), (None, 0));
}

#[test]
fn whoever_asks_must_show_a_word_of_others_for_an_address_that_a_proof_names() {
    let mut lone = Lone::crowded(0);
    let mallory = address(66);
    lone.node.nat.vote(mallory, mallory, lone.now.mono);
    assert!(!lone.node.nat.is_ours(mallory, mallory), "one's own word does not count");
    lone.node.nat.vote(address(67), mallory, lone.now.mono);
    assert!(!lone.node.nat.is_ours(mallory, mallory), "one accomplice is not enough");
    assert!(lone.node.nat.is_ours(address(60_000), mallory));
}

#[test]
fn a_wrong_proof_throws_a_node_out_for_ten_minutes() {
    let mut lone = Lone::crowded(0);
    let (id, from) = (identity(opposite()).public().id(), address(1));
    for wrong in 0..4 {
        let mut lone = Lone::crowded(0);
        let sent = lone.meet(id, from);
        let asked = proof_req(&sent).unwrap();
        let mut proof = proof_by(if wrong == 0 { 1_000 } else { opposite() }, address(60_000), asked);
        let Message::Proof { responder, signature, .. } = &mut proof.message else { panic!() };
        match wrong {
            0 => *responder = id,
            1 => signature[20] ^= 1,
            2 => *responder = identity(1_000).public().id(),
            _ => proof.caps ^= 1,
        }
        assert_eq!(lone.pass_on(from, &proof), Err(Drop::Proof));
        assert_eq!((lone.knows(id), lone.node.table.waiting()), (None, 0));
        assert!(lone.meet(id, from).is_empty(), "ignored");
    }
    lone.node.strike(from, lone.now.mono);
    lone.now.mono = lone.now.mono + Duration::from_secs(600);
    assert!(proof_req(&lone.meet(id, from)).is_some());
}

#[test]
fn who_gives_no_proof_is_asked_twice_and_forgotten() {
    let mut lone = Lone::crowded(0);
    let id = identity(opposite()).public().id();
    let mut asked = lone.meet(id, address(1));
    assert_eq!(lone.node.table.waiting(), 1);
    for _ in 0..40 {
        lone.wait(Duration::from_millis(100));
        asked.extend(lone.sent());
    }
    let asked: Vec<&Packet> =
        asked.iter().map(|(_, packet)| packet).filter(|p| p.message.kind() == kind::PROOF_REQ).collect();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0], asked[1]);
    assert_eq!((lone.node.proofs.len(), lone.node.table.waiting(), lone.knows(id)), (0, 0, None));
}

#[test]
fn a_proof_is_given_for_a_token_only_and_not_too_often() {
    let mut lone = Lone::new(0);
    let ask = |lone: &mut Lone, from: SocketAddr, token: Token| {
        lone.handle(from, Message::ProofReq { origin: NodeId([9; 20]), token, challenge: [1; 16] }, 5)
    };
    assert_eq!(ask(&mut lone, address(1), Token::NONE), Err(Drop::Token));
    let token = lone.token(address(1));
    assert_eq!(ask(&mut lone, address(2), token), Err(Drop::Token));
    assert_eq!(lone.sent(), []);
    assert_eq!(ask(&mut lone, address(1), token), Ok(()));
    assert_eq!(lone.sent().len(), 1);
    let given = (0..100).filter(|number| {
        let from = address(100 + number);
        let token = lone.token(from);
        ask(&mut lone, from, token) == Ok(())
    });
    assert_eq!(given.count(), 39);
    lone.now.mono = lone.now.mono + Duration::from_secs(1);
    let token = lone.token(address(1));
    assert_eq!((0..100).filter(|_| ask(&mut lone, address(1), token).is_ok()).count(), 8);
}

#[test]
fn few_proofs_are_asked_for_per_second() {
    let mut lone = Lone::crowded(0);
    let own = lone.node.config.node_id;
    let mut asked = 0;
    for number in 0..200_u32 {
        let mut id = NodeId(Random::seeded(u64::from(number)).bytes());
        id.0[0] = !own.0[0];
        let sent = lone.meet(id, address(1_000 + number));
        asked += sent.iter().filter(|(_, packet)| packet.message.kind() == kind::PROOF_REQ).count();
    }
    assert_eq!(asked, 10);
    assert!(lone.node.table.waiting() > 0, "the others wait");
}

#[test]
fn a_peer_without_a_token_is_not_pinged_in_circles() {
    let mut lone = Lone::crowded(0);
    let (id, from) = (identity(opposite()).public().id(), address(1));
    _ = lone.handle(from, Message::Ping { origin: id, token: Token::NONE }, 1);
    let mut pings = 0;
    for _ in 0..20 {
        for (_, asked) in lone.sent().into_iter().filter(|(to, _)| *to == from) {
            pings += usize::from(asked.message.kind() == kind::PING);
            let message = Message::Pong { responder: id, token: Token::NONE, observed: address(60_000) };
            _ = lone.handle(from, message, asked.txid);
        }
    }
    assert_eq!((pings, lone.node.table.waiting()), (1, 1));
}

/// After 15 minutes silent buckets are refreshed, and whoever is found then has to be asked as well.
#[test]
fn in_a_network_of_nodes_with_keys_the_crowded_places_are_proven() {
    let mut mesh = joined(1, 45);
    mesh.run_for(Duration::from_secs(1500));
    for number in 0..45 {
        let status = mesh.status(address(number));
        let crowded = |bucket: u8| status.buckets.iter().any(|(number, nodes)| *number == bucket && *nodes >= 10);
        let unproven = status.peers.iter().filter(|peer| crowded(peer.bucket) && !peer.proven).count();
        assert_eq!(unproven, 0, "node {number}");
        assert!(status.nodes >= 25, "{}", status.nodes);
        let at = address((number + 7) % 45);
        let (event, _) = mesh.find_to_end(address(number), identity((number + 7) % 45).public().id());
        assert!(matches!(event, RoutingEvent::Found { addresses, .. } if addresses[0].0 == at));
    }
}

#[test]
fn a_proof_makes_a_new_address_count_at_once() {
    let mut mesh = joined(2, 20);
    let (old, new, id) = (address(5), address(600), identity(5).public().id());
    let node = mesh.nodes.remove(&old).unwrap();
    mesh.remove(old);
    mesh.nodes.insert(new, node);
    mesh.find(new, NodeId([0x77; 20]), &[]);
    mesh.run_for(Duration::from_millis(1_500));
    let moved = |node: &&Routing| node.table.find(&id).is_some_and(|contact| contact.address == new);
    let asked = mesh.nodes.values().filter(moved).count();
    assert!(asked >= 15, "{asked}");
}

#[test]
fn a_node_without_a_key_is_found_but_gets_no_crowded_place() {
    let mut mesh = joined(3, 30);
    let (keyless, id) = (address(700), NodeId([0x55; 20]));
    mesh.add_with(keyless, RoutingConfig::new(id));
    mesh.join(keyless, &[address(0)]);
    mesh.run_for(Duration::from_secs(60));
    for number in 0..30 {
        let status = mesh.status(address(number));
        let place = status.peers.iter().find(|peer| peer.id == id);
        let is_crowded = |bucket: u8| status.buckets.iter().any(|(number, nodes)| *number == bucket && *nodes > 10);
        assert!(place.is_none_or(|peer| !is_crowded(peer.bucket)), "node {number}");
    }
    let (event, _) = mesh.find_to_end(keyless, identity(9).public().id());
    assert!(matches!(event, RoutingEvent::Found { .. }), "{event:?}");
}

#[test]
fn assumed_nodes_fill_the_table_by_its_rules_and_nothing_is_sent() {
    let mut lone = Lone::new(0);
    let own = lone.node.config.node_id;
    let mut random = Random::seeded(7);
    let went_in = (0..5_000_u32).filter(|number| {
        let [_, high, middle, low] = number.to_be_bytes();
        let at = SocketAddr::from(([20 + high, middle, low, 1], 5004));
        lone.node.assume(NodeId(random.bytes()), at, Duration::from_millis(40), lone.now)
    });
    let went_in = went_in.count();
    let status = lone.node.status(lone.now);
    assert_eq!((status.nodes, status.good, status.online), (went_in, went_in, true));
    assert!((160..240).contains(&went_in), "{went_in}");
    assert_eq!(status.peers.len(), 40);
    assert!(status.peers.is_sorted_by_key(|peer| peer.id.distance(&own)));
    assert!(status.peers.iter().all(|peer| peer.proven && peer.good && peer.rtt == Some(Duration::from_millis(40))));
    assert!(!lone.node.assume(own, address(1), Duration::ZERO, lone.now), "ourselves");
    assert!(!lone.node.assume(NodeId([9; 20]), "127.0.0.1:80".parse().unwrap(), Duration::ZERO, lone.now));
    assert_eq!(lone.sent(), []);
    assert_eq!(lone.node.poll_event(), None);
    lone.node.find(NodeId([0x77; 20]), &[], lone.now, &mut lone.random);
    let asked = lone.sent();
    assert!(
        asked.iter().all(
            |(_, packet)| matches!(packet.message, Message::RouteReq { target, .. } if target == NodeId([0x77; 20]))
        )
    );
    assert_eq!(asked.len(), 3);
}

/// PROTOCOL.md 19.4; the signature was made by the `openssl` command.
#[test]
fn a_proof_has_the_bytes_of_the_protocol() {
    let seed = crate::crypto::kdf::sha256(&[b"dvs test id R"]);
    let identity = Arc::new(Identity::from_ed25519_seed(&seed).unwrap());
    let config = RoutingConfig::new(identity.public().id());
    let now = Now { mono: Instant::from_millis(1_000), unix: 0 };
    let random = &mut Random::seeded(1);
    let mut node = Routing::new(RoutingConfig { identity: Some(identity), caps: 8, ..config }, now, random);
    let from: SocketAddr = "198.18.0.1:5004".parse().unwrap();
    let mut origin = NodeId([0; 20]);
    origin.0.copy_from_slice(&bytes("845f46e133862b397b208f5e916bd0c54c832792"));
    let message = Message::ProofReq {
        origin,
        token: node.issuer.issue(from),
        challenge: core::array::from_fn(|i| 0x20 + i as u8),
    };
    let request = Packet { flags: 0, caps: 0, txid: 0x1011_1213_1415_1617, message };
    node.handle(from, &request.emit(), now, random).unwrap();
    let proof = core::iter::from_fn(|| node.poll_transmit()).find(|sent| sent.datagram[0] == kind::PROOF).unwrap();
    assert_eq!(proof.datagram, bytes(PROOF));
}
