// SPDX-License-Identifier: GPL-3.0-or-later
//! Answers to the routing layer's own questions, genuine in what an answer is recognised by and anything beyond: the
//! node never panics, sends little for each, keeps little, and its timers move on.
//!
//! The input is one byte that says how the node is set up, then steps: what happens (one byte), to which of the
//! questions asked lately (one byte), and a body with its length (one byte) before it.
#![no_main]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dvs_fuzz::heap::{Counting, live};
use dvsd::crypto::identity::{Identity, KeyKind, SignatureRole};
use dvsd::crypto::kdf::sha256;
use dvsd::id::NodeId;
use dvsd::random::Random;
use dvsd::routing::{Routing, RoutingConfig};
use dvsd::time::{Instant, Now};
use dvsd::wire::address;
use dvsd::wire::routing::{Entry, HEADER_LEN, Message, Packet, PunchStatus, Token};
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a node may grow by in a run.
const GROWTH: usize = 1 << 20;
/// More steps than this say nothing new.
const MAX_STEPS: usize = 200;
/// How many questions wait for an answer.
const MAX_ASKED: usize = 64;
/// What one answer may make a node send.
const MAX_SENT: usize = 64;
/// Timeouts in a row that may do nothing but set the next one.
const MAX_TIMEOUTS: usize = 2_000;

struct World {
    node: Routing,
    keys: Vec<Arc<Identity>>,
    now: Now,
    random: Random,
    asked: VecDeque<(SocketAddr, Vec<u8>)>,
}

impl World {
    fn new(setup: u8) -> Self {
        let keys: Vec<_> =
            (0..24).map(|seed| Identity::from_ed25519_seed(&[seed; 32]).map(Arc::new).unwrap()).collect();
        let own = Arc::clone(&keys[0]);
        let config = RoutingConfig {
            verify_proofs: setup & 1 == 0,
            lan: setup & 2 != 0,
            ipv6: setup & 4 == 0,
            disjoint_paths: 1 + (setup >> 6),
            identity: Some(Arc::clone(&own)),
            ..RoutingConfig::new(own.public().id())
        };
        let (mut random, now) =
            (Random::seeded(u64::from(setup)), Now { mono: Instant::from_millis(1_000_000), unix: 0 });
        let mut node = Routing::new(config, now, &mut random);
        if setup & 8 != 0 {
            (1..20).for_each(|number| _ = node.assume(keys[number].public().id(), place(number), Duration::ZERO, now));
        }
        node.bootstrap(&[place(1), place(2)], now, &mut random);
        node.find(keys[23].public().id(), &[], now, &mut random);
        let mut world = Self { node, keys, now, random, asked: VecDeque::new() };
        world.drain();
        world
    }

    fn drain(&mut self) {
        let mut sent = 0;
        while let Some(transmit) = self.node.poll_transmit() {
            sent += 1;
            let to = transmit.path.address().expect("there are no tunnels");
            self.asked.push_front((to, transmit.datagram));
        }
        assert!(sent <= MAX_SENT, "{sent} datagrams at once");
        self.asked.truncate(MAX_ASKED);
        while self.node.poll_event().is_some() {}
    }

    fn step(&mut self, op: u8, which: u8, body: &[u8]) {
        match op % 8 {
            0 => self.wait(Duration::from_millis(1 << (which % 16))),
            1 => {
                let target = self.keys[usize::from(which) % self.keys.len()].public().id();
                self.node.find(target, &[], self.now, &mut self.random);
            }
            2 => self.node.cancel(self.keys[usize::from(which) % self.keys.len()].public().id()),
            3 => self.reply(which, |asked, _| raw(asked, body)),
            4 | 5 => self
                .reply(which, |asked, keys| Some(genuine(asked.0, &Packet::parse(&asked.1).ok()?, keys, body)?.emit())),
            6 => self.reply(which, |asked, keys| {
                let mut answer = genuine(asked.0, &Packet::parse(&asked.1).ok()?, keys, &[])?.emit();
                change(&mut answer, body);
                Some(answer)
            }),
            _ => _ = self.node.handle(place(usize::from(which)), body, self.now, &mut self.random),
        }
        self.drain();
    }

    fn reply(&mut self, which: u8, answer: impl FnOnce(&(SocketAddr, Vec<u8>), &[Arc<Identity>]) -> Option<Vec<u8>>) {
        let index = usize::from(which) % self.asked.len().max(1);
        let Some(asked) = self.asked.get(index).cloned() else { return };
        if let Some(answer) = answer(&asked, &self.keys) {
            _ = self.node.handle(asked.0, &answer, self.now, &mut self.random);
        }
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now.mono + time;
        let mut timeouts = 0;
        while let Some(at) = self.node.poll_timeout().map(|deadline| deadline.at).filter(|at| *at <= end) {
            self.now.mono = self.now.mono.max(at);
            self.node.handle_timeout(self.now, &mut self.random);
            self.drain();
            timeouts += 1;
            assert!(timeouts <= MAX_TIMEOUTS, "a timer does not move on: {:?}", self.node.poll_timeout());
        }
        self.now.mono = end;
    }

    fn check(&self) {
        let status = self.node.status(self.now);
        assert!(status.nodes <= 160 * 20 && status.waiting <= 160 * 10);
        assert!(status.peers.len() <= 40 && status.lookups <= 66);
        assert!(status.buckets.iter().all(|(_, nodes)| *nodes <= 20));
    }
}

/// Where the node of this number is.
fn place(number: usize) -> SocketAddr {
    SocketAddr::from(([198, 18, number as u8, 1], 5004))
}

/// The header that the question's answer must have, then the body.
fn raw((_, asked): &(SocketAddr, Vec<u8>), body: &[u8]) -> Option<Vec<u8>> {
    let mut answer = asked.get(..HEADER_LEN)?.to_vec();
    answer[0] = if asked[0] == 0x1a { 0x1c } else { asked[0] + 1 };
    // What says who answers and what was asked is put right: nobody guesses that.
    let fixed = asked.get(HEADER_LEN..).filter(|_| body.first().is_some_and(|first| first & 1 == 0));
    answer.extend(fixed.into_iter().flatten().take(40).copied());
    answer.extend(body);
    Some(answer)
}

/// What the node at `at` answers; the body says whom it names.
fn genuine(at: SocketAddr, asked: &Packet, keys: &[Arc<Identity>], body: &[u8]) -> Option<Packet> {
    let number = keys.iter().enumerate().find(|(number, _)| place(*number) == at).map_or(5, |(number, _)| number);
    let responder = keys[number].public().id();
    let (token, observed) = (Token([number as u8 + 1; 8]), SocketAddr::from(([198, 19, 0, 1], 5004)));
    let entry = |(index, byte): (usize, &u8)| {
        let number = usize::from(*byte);
        let id = keys.get(number).map_or(NodeId([*byte; 20]), |key| key.public().id());
        let odd = SocketAddr::from(([*byte, 1, index as u8, 1], 5004 + u16::from(*byte)));
        Entry { caps: 8, id, address: if number < keys.len() { place(number) } else { odd } }
    };
    let message = match asked.message {
        Message::RouteReq { target, .. } => {
            let entries = body.iter().enumerate().map(entry).take(20).collect();
            Message::RouteRes { responder, target, token, observed, entries }
        }
        Message::Ping { .. } => Message::Pong { responder, token, observed },
        Message::ProofReq { origin, challenge, .. } => {
            let mut seen = Vec::new();
            address::emit(observed, &mut seen);
            seen.push(8);
            let digest = sha256(&[&challenge, &origin.0, &responder.0, &seen]);
            let signature = keys[number].sign(SignatureRole::NodeProof, &digest).ok()?;
            let (algorithm, spki) = (KeyKind::Ed25519.to_wire(), keys[number].public().spki().to_vec());
            Message::Proof { responder, observed, algorithm, spki, signature }
        }
        Message::PunchReq { target, .. } => {
            let number = keys.iter().position(|key| key.public().id() == target).unwrap_or(7);
            Message::PunchAck { status: PunchStatus::Forwarded, address: place(number) }
        }
        _ => return None,
    };
    Some(Packet { flags: body.first().map_or(0, |first| first & 0x18), caps: 8, txid: asked.txid, message })
}

/// Pairs of a place behind the header and a byte to put there.
fn change(answer: &mut Vec<u8>, changes: &[u8]) {
    for pair in changes.chunks_exact(2) {
        let at = HEADER_LEN + usize::from(pair[0]);
        if let Some(byte) = answer.get_mut(at) {
            *byte = pair[1];
        } else {
            answer.push(pair[1]);
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let (setup, mut rest) = input.split_first().map_or((0, input), |(first, rest)| (*first, rest));
    let mut world = World::new(setup);
    let before = live();
    for _ in 0..MAX_STEPS {
        let [op, which, length, tail @ ..] = rest else { break };
        let (body, after) = tail.split_at(usize::from(*length).min(tail.len()));
        world.step(*op, *which, body);
        rest = after;
    }
    world.check();
    let growth = live().saturating_sub(before);
    assert!(growth <= GROWTH, "{growth} bytes more than before");
});
