// SPDX-License-Identifier: GPL-3.0-or-later
//! The threefold bound: whatever comes from an address that has proven nothing, in whatever state we are, no more than
//! three times its bytes leave because of it, to that address and to all others together.

use proptest::prelude::*;

use super::sim::address;
use super::*;
use crate::crypto::identity::KeyKind;
use crate::random::Entropy;
use crate::wire::routing::{Entry, PunchStatus, Token, flag};

/// Where the datagrams come from. Nothing that is sent there is ever answered.
const STRANGER: [&str; 4] = ["198.51.100.7:5004", "[2001:db8:7::1]:5004", "192.168.7.7:5004", "198.18.3.99:6000"];
/// How long the consequences of a datagram are watched: longer than any check or repeat takes.
const WATCHED: Duration = Duration::from_secs(30);

/// Randomness that only tells one draw from the next: jitter and choices are always the same, so that two nodes that
/// draw differently often still do the same at the same time.
struct Even(u32);

impl Entropy for Even {
    fn fill(&mut self, dest: &mut [u8]) {
        self.0 += 1;
        dest.fill(0);
        dest.iter_mut().rev().zip(self.0.to_le_bytes()).for_each(|(byte, count)| *byte = count);
    }
}

/// A node in some state.
struct Scene {
    node: Routing,
    now: Now,
    random: Random,
}

/// What is varied about the node.
#[derive(Clone, Copy, Debug)]
struct State {
    /// Nodes in the table.
    known: u8,
    /// How long ago they answered, in seconds.
    age: u16,
    is_strict: bool,
    lan: bool,
    read_only: bool,
    is_searching: bool,
    /// A newcomer is being asked for its proof.
    is_proving: bool,
}

fn state() -> impl Strategy<Value = State> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (0..60_u8, 0..1_200_u16, flags).prop_map(|(known, age, (is_strict, lan, read_only, is_searching, is_proving))| {
        State { known, age, is_strict, lan, read_only: read_only && known % 4 == 0, is_searching, is_proving }
    })
}

fn friend(number: u8) -> NodeId {
    NodeId(Random::seeded(u64::from(number)).bytes())
}

impl Scene {
    fn new(state: State) -> Self {
        let identity = Arc::new(Identity::generate(KeyKind::Ed25519, &mut Random::seeded(5)).unwrap());
        let config = RoutingConfig {
            verify_proofs: state.is_strict,
            lan: state.lan,
            read_only: state.read_only,
            identity: Some(Arc::clone(&identity)),
            ..RoutingConfig::new(identity.public().id())
        };
        let (mut random, now) = (Random::new(Even(0)), Now { mono: Instant::from_millis(10_000_000), unix: 0 });
        let node = Routing::new(config, now, &mut random);
        let mut scene = Self { node, now, random };
        for number in 0..state.known {
            scene.node.assume(friend(number), address(u32::from(number)), Duration::from_millis(40), now);
        }
        scene.now.mono = now.mono + Duration::from_secs(u64::from(state.age));
        if state.is_searching {
            scene.node.find(NodeId([0x42; 20]), &[], scene.now, &mut scene.random);
        }
        if state.is_proving && state.is_strict {
            scene.node.received.keep(address(900), Token([1; 8]), scene.now.mono);
            scene.node.seek_proof(friend(200), address(900), None, scene.now.mono, &mut scene.random);
        }
        scene
    }

    /// What was sent. Of the nodes in the table every other one answers at once, and names nobody.
    fn sent(&mut self) -> Vec<(SocketAddr, usize)> {
        let mut all = Vec::new();
        while let Some(Transmit { path, datagram }) = self.node.poll_transmit() {
            let to = path.address().unwrap();
            all.push((to, datagram.len()));
            if let Some(number) = (0..60).step_by(2).find(|number| address(u32::from(*number)) == to) {
                self.answer(to, friend(number), &Packet::parse(&datagram).unwrap());
            }
        }
        all
    }

    fn answer(&mut self, from: SocketAddr, responder: NodeId, asked: &Packet) {
        let (token, observed) = (Token([1; 8]), address(60_000));
        let message = match asked.message {
            Message::RouteReq { target, .. } => {
                Message::RouteRes { responder, target, token, observed, entries: Vec::new() }
            }
            Message::Ping { .. } => Message::Pong { responder, token, observed },
            _ => return,
        };
        let packet = Packet { flags: 0, caps: 0, txid: asked.txid, message };
        self.node.handle(from, &packet.emit(), self.now, &mut self.random).unwrap();
    }

    /// Lets time pass, with every timer; what was sent meanwhile.
    fn watch(&mut self, time: Duration) -> Vec<(SocketAddr, usize)> {
        let end = self.now.mono + time;
        let mut sent = self.sent();
        while let Some(at) = self.node.poll_timeout().map(|deadline| deadline.at).filter(|at| *at <= end) {
            self.now.mono = self.now.mono.max(at);
            self.node.handle_timeout(self.now, &mut self.random);
            sent.extend(self.sent());
        }
        self.now.mono = end;
        sent
    }
}

fn id() -> impl Strategy<Value = NodeId> {
    prop_oneof![
        (0..60_u8).prop_map(friend),
        Just(friend(200)),
        Just(NodeId([0x42; 20])),
        any::<[u8; 20]>().prop_map(NodeId),
    ]
}

fn anywhere() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        (0..1_000_u32).prop_map(address),
        any::<([u8; 4], u16)>().prop_map(|(ip, port)| SocketAddr::from((ip, port))),
        any::<([u16; 8], u16)>().prop_map(|(ip, port)| SocketAddr::from((ip, port))),
    ]
}

fn token() -> impl Strategy<Value = Token> {
    prop_oneof![Just(Token::NONE), any::<[u8; 8]>().prop_map(Token)]
}

/// Any message at all: a kind that is added to the protocol and not here does not compile.
fn message() -> impl Strategy<Value = Message> {
    let entries = proptest::collection::vec((id(), anywhere(), 0..32_u8), 0..21);
    let entries = entries
        .prop_map(|list| list.into_iter().map(|(id, address, caps)| Entry { caps, id, address }).collect::<Vec<_>>());
    let parts = (id(), id(), token(), anywhere(), entries, any::<[u8; 16]>(), 0..300_usize, 0..10_u8);
    parts.prop_map(|(one, other, token, seen, entries, bytes, length, kind)| {
        let kinds = [
            Message::RouteReq { origin: one, target: other, token, padding: length },
            Message::RouteRes { responder: one, target: other, token, observed: seen, entries },
            Message::Ping { origin: one, token },
            Message::Pong { responder: one, token, observed: seen },
            Message::ProofReq { origin: one, token, challenge: bytes },
            Message::Proof {
                responder: one,
                observed: seen,
                algorithm: bytes[0] % 8,
                spki: vec![bytes[1]; length],
                signature: bytes.to_vec(),
            },
            Message::PunchReq { origin: one, target: other, token },
            Message::PunchFwd { caller: one, address: seen },
            Message::PunchAck { status: PunchStatus::Forwarded, address: seen },
            Message::LanHello { id: one, port: seen.port(), nonce: [bytes[2]; 8] },
        ];
        for kind in &kinds {
            match kind {
                Message::RouteReq { .. }
                | Message::RouteRes { .. }
                | Message::Ping { .. }
                | Message::Pong { .. }
                | Message::ProofReq { .. }
                | Message::Proof { .. }
                | Message::PunchReq { .. }
                | Message::PunchFwd { .. }
                | Message::PunchAck { .. }
                | Message::LanHello { .. } => {}
            }
        }
        kinds.into_iter().nth(usize::from(kind)).unwrap()
    })
}

fn bytes(sent: &[(SocketAddr, usize)]) -> usize {
    sent.iter().map(|(_, length)| length).sum()
}

/// What is sent to each address but `one`, more than in `usual`.
fn excess(sent: &[(SocketAddr, usize)], usual: &[(SocketAddr, usize)], one: SocketAddr) -> usize {
    let mut balance: BTreeMap<SocketAddr, (usize, usize)> = BTreeMap::new();
    sent.iter().for_each(|(to, length)| balance.entry(*to).or_default().0 += length);
    usual.iter().for_each(|(to, length)| balance.entry(*to).or_default().1 += length);
    balance.iter().filter(|(to, _)| **to != one).map(|(_, (more, usual))| more.saturating_sub(*usual)).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// One datagram after the other, each watched until all that could follow from it has been sent. What the node
    /// sends anyway is known from a twin to whom nothing happened.
    #[test]
    fn f10_a_stranger_moves_at_most_three_times_its_bytes(
        state in state(),
        from in 0..STRANGER.len(),
        datagrams in proptest::collection::vec((message(), any::<u64>(), 0..32_u8, 0..4_000_u64), 1..6),
    ) {
        let from: SocketAddr = STRANGER[from].parse().unwrap();
        let (mut scene, mut twin) = (Scene::new(state), Scene::new(state));
        let (mut received, mut to_stranger, mut sent, mut usual) = (0, 0, scene.sent(), twin.sent());
        for (message, txid, flags, pause) in datagrams {
            let datagram = Packet { flags: flags & !flag::READ_ONLY, caps: 0, txid, message }.emit();
            received += datagram.len();
            _ = scene.node.handle(from, &datagram, scene.now, &mut scene.random);
            let reply = scene.sent();
            to_stranger += bytes(&reply);
            prop_assert!(reply.iter().all(|(to, _)| *to == from || to.ip() == from.ip()), "{:?}", reply);
            prop_assert!(to_stranger <= 3 * received, "{} for {}", to_stranger, received);
            sent.extend(scene.watch(Duration::from_millis(pause)));
            usual.extend(twin.watch(Duration::from_millis(pause)));
        }
        sent.extend(scene.watch(WATCHED));
        usual.extend(twin.watch(WATCHED));
        let late = bytes(&sent.iter().filter(|(to, _)| *to == from).copied().collect::<Vec<_>>());
        let total = to_stranger + late + excess(&sent, &usual, from);
        prop_assert!(total <= 3 * received, "{} for {}: {:?}, usually {:?}", total, received, sent, usual);
    }
}
