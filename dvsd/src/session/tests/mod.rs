// SPDX-License-Identifier: GPL-3.0-or-later
//! Two daemons, one virtual clock, and a link that loses, delays and repeats datagrams by a seed.

mod admission;
mod attacks;
mod basics;
mod floods;
mod glare;
mod left_open;
mod life;
mod packets;
mod rekey;
mod roaming;
mod sealing;
mod standing;
mod versions;

use core::time::Duration;
use std::sync::Arc;

use super::*;
use crate::crypto::identity::{Identity, KeyKind};
use crate::path::Transmit;
use crate::random::Random;
use crate::time::{Instant, Now};

const ALICE: usize = 0;
const BOB: usize = 1;
const LOCAL: LocalId = LocalId(0);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// One daemon's session layer, and what it told.
struct End {
    sessions: Sessions,
    identity: Arc<Identity>,
    path: Path,
    random: Random,
    events: Vec<SessionEvent>,
}

impl End {
    fn new(identity: Arc<Identity>, address: &str, seed: u64) -> Self {
        let mut random = Random::seeded(seed);
        let mut sessions = Sessions::new(&mut random);
        sessions.add_local(LOCAL, identity.clone());
        Self { sessions, identity, path: Path::direct(address.parse().unwrap()), random, events: Vec::new() }
    }

    fn id(&self) -> NodeId {
        self.identity.public().id()
    }

    /// The frames that came, in order.
    fn frames(&self) -> Vec<Frame> {
        let frame = |event: &SessionEvent| match event {
            SessionEvent::Frame { frame, .. } => Some(frame.clone()),
            _ => None,
        };
        self.events.iter().filter_map(frame).collect()
    }

    /// The media that came, in order.
    fn media(&self) -> Vec<u32> {
        let seq = |event: &SessionEvent| match event {
            SessionEvent::Media { seq, .. } => Some(*seq),
            _ => None,
        };
        self.events.iter().filter_map(seq).collect()
    }
}

/// What the link does to a datagram.
#[derive(Clone, Copy)]
struct Link {
    delay: Duration,
    /// Up to this much more, at random: enough of it reorders.
    jitter: Duration,
    /// In hundredths.
    loss: u64,
    /// In hundredths.
    duplicate: u64,
}

/// Somebody who sees all that is sent and has a quicker way than the two have themselves: copies of everything arrive
/// first, from his address.
#[derive(Clone, Copy)]
struct Forwarder {
    path: Path,
    delay: Duration,
    /// Whether he passes on what is sent to him.
    relays: bool,
}

/// A datagram under way.
struct Flight {
    arrives: Instant,
    to: usize,
    /// The address it was sent to: who has left it misses the datagram.
    dest: Path,
    from: Path,
    datagram: Vec<u8>,
}

struct Pair {
    now: Instant,
    ends: [End; 2],
    link: Link,
    forwarder: Option<Forwarder>,
    random: Random,
    wire: Vec<Flight>,
    /// Everything ever sent, by whom, in order.
    log: Vec<(usize, Transmit)>,
    /// Dropped datagrams: by whom, why.
    drops: Vec<(usize, Drop)>,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let mut random = Random::seeded(seed);
        let mut end = |address: &str| {
            let identity = Identity::generate(KeyKind::Ed25519, &mut random).unwrap();
            End::new(Arc::new(identity), address, random.next_u64())
        };
        let ends = [end("198.18.0.1:5004"), end("198.18.1.1:5004")];
        let link = Link { delay: ms(20), jitter: ms(0), loss: 0, duplicate: 0 };
        let now = Instant::from_millis(1_000_000);
        Self { now, ends, link, forwarder: None, random, wire: Vec::new(), log: Vec::new(), drops: Vec::new() }
    }

    /// As `new`, with a link that loses `loss` %, and delays and repeats at random.
    fn lossy(seed: u64, loss: u64) -> Self {
        let mut pair = Self::new(seed);
        pair.link = Link { delay: ms(10), jitter: ms(40), loss, duplicate: 5 };
        pair
    }

    /// Two who are in a session Alice began.
    fn connected(seed: u64) -> (Self, [SessionId; 2]) {
        let mut pair = Self::new(seed);
        pair.dial(ALICE);
        pair.run(ms(200));
        let sessions = pair.sessions();
        pair.forget();
        (pair, sessions)
    }

    fn clock(&self) -> Now {
        Now { mono: self.now, unix: 0 }
    }

    /// Forgets what happened so far.
    fn forget(&mut self) {
        self.log.clear();
        self.drops.clear();
        self.ends.iter_mut().for_each(|end| end.events.clear());
    }

    fn dial(&mut self, who: usize) {
        let (now, other) = (self.clock(), 1 - who);
        let (peer, path) = (self.ends[other].id(), self.ends[other].path);
        let End { sessions, random, .. } = &mut self.ends[who];
        sessions.connect(LOCAL, peer, &[(path, Some(ms(40)))], now, random);
        self.drain(who);
    }

    fn send(&mut self, who: usize, frame: &Frame) {
        let (now, session) = (self.clock(), self.session(who));
        self.ends[who].sessions.send(session, frame, now);
        self.drain(who);
    }

    fn talk(&mut self, who: usize, first: bool) -> Option<u32> {
        let (now, session) = (self.clock(), self.session(who));
        let seq = self.ends[who].sessions.send_media(session, now.mono, 8, first, &[0x78; 80], now);
        self.drain(who);
        seq
    }

    fn set_in_call(&mut self, on: bool) {
        for who in [ALICE, BOB] {
            let (now, session) = (self.clock(), self.session(who));
            self.ends[who].sessions.set_in_call(session, on, now);
        }
    }

    fn close(&mut self, who: usize, reason: Reason) {
        let (now, session) = (self.clock(), self.session(who));
        let End { sessions, random, .. } = &mut self.ends[who];
        sessions.close(session, reason, now, random);
        self.drain(who);
    }

    /// Crash and start again with the same key: all sessions forgotten.
    fn restart(&mut self, who: usize) {
        let end = &self.ends[who];
        let address = end.path.address().unwrap().to_string();
        self.ends[who] = End::new(end.identity.clone(), &address, self.random.next_u64());
    }

    fn session(&self, who: usize) -> SessionId {
        let peer = self.ends[1 - who].id();
        self.ends[who].sessions.session_of(LOCAL, peer).expect("no session")
    }

    fn sessions(&self) -> [SessionId; 2] {
        [self.session(ALICE), self.session(BOB)]
    }

    /// Hands `datagram` to `to` as if it came from `from`.
    fn inject(&mut self, to: usize, from: Path, datagram: &[u8]) -> Result<(), Drop> {
        let now = self.clock();
        let End { sessions, random, .. } = &mut self.ends[to];
        let result = sessions.handle(from, &mut datagram.to_vec(), now, random);
        if let Err(drop) = result {
            self.drops.push((to, drop));
        }
        self.drain(to);
        result
    }

    /// Puts what `who` wants to send on the wire and notes its events.
    fn drain(&mut self, who: usize) {
        while let Some(transmit) = self.ends[who].sessions.poll_transmit() {
            self.log.push((who, transmit.clone()));
            let to = 1 - who;
            let dest = self.ends[to].path;
            if let Some(forwarder) = self.forwarder
                && (transmit.path == dest || transmit.path == forwarder.path && forwarder.relays)
            {
                let (arrives, from, datagram) = (self.now + forwarder.delay, forwarder.path, transmit.datagram.clone());
                self.wire.push(Flight { arrives, to, dest, from, datagram });
            }
            if transmit.path != self.ends[to].path {
                continue; // to a stranger
            }
            let copies = 1 + u64::from(self.random.below(100) < self.link.duplicate);
            for _ in 0..copies {
                if self.random.below(100) < self.link.loss {
                    continue;
                }
                let jitter = Duration::from_micros(self.random.below(self.link.jitter.as_micros() as u64 + 1));
                let arrives = self.now + self.link.delay + jitter;
                let (from, datagram) = (self.ends[who].path, transmit.datagram.clone());
                self.wire.push(Flight { arrives, to, dest, from, datagram });
            }
        }
        while let Some(event) = self.ends[who].sessions.poll_event() {
            self.ends[who].events.push(event);
        }
    }

    /// Lets `duration` pass.
    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        let mut standing_still = 0;
        loop {
            let arrival = self.wire.iter().map(|flight| flight.arrives).min();
            let timers = self.ends.iter().filter_map(|end| end.sessions.poll_timeout()).map(|deadline| deadline.at);
            let Some(next) = timers.chain(arrival).min().filter(|next| *next <= end) else { break };
            standing_still = if next <= self.now { standing_still + 1 } else { 0 };
            assert!(standing_still < 500, "a timer that never gets done: {:?}", self.ends[0].sessions.poll_timeout());
            self.now = self.now.max(next);
            self.step();
        }
        self.now = end;
    }

    fn step(&mut self) {
        let arrived = self.wire.iter().position(|flight| flight.arrives <= self.now);
        if let Some(index) = arrived {
            let Flight { to, dest, from, datagram, .. } = self.wire.remove(index);
            if self.ends[to].path == dest {
                let _ = self.inject(to, from, &datagram);
            }
        }
        for who in [ALICE, BOB] {
            let now = self.clock();
            let End { sessions, random, .. } = &mut self.ends[who];
            if sessions.poll_timeout().is_some_and(|deadline| deadline.at <= now.mono) {
                sessions.handle_timeout(now, random);
                self.drain(who);
            }
        }
    }

    /// The datagrams `who` sent whose first byte is `kind`.
    fn sent(&self, who: usize, kind: u8) -> Vec<Vec<u8>> {
        let matching = self.log.iter().filter(|(from, transmit)| *from == who && transmit.datagram[0] == kind);
        matching.map(|(_, transmit)| transmit.datagram.clone()).collect()
    }

    /// The session packets `who` sent.
    fn packets(&self, who: usize) -> Vec<Vec<u8>> {
        let matching = self.log.iter().filter(|(from, transmit)| *from == who && transmit.datagram[0] >= 0x80);
        matching.map(|(_, transmit)| transmit.datagram.clone()).collect()
    }

    /// Each side hears the other: frames arrive once both ways.
    fn assert_working(&mut self, hint: &str) {
        self.ends.iter_mut().for_each(|end| end.events.clear());
        let call_id = self.random.next_u64() as u32;
        self.send(ALICE, &Frame::CallAnswer { call_id });
        self.send(BOB, &Frame::CallAnswer { call_id });
        self.run(ms(10_000));
        for who in [ALICE, BOB] {
            assert_eq!(self.ends[who].frames(), [Frame::CallAnswer { call_id }], "{hint}: end {who}");
        }
    }
}

fn ring(call_id: u32) -> Frame {
    Frame::CallInitiate { call_id, attempt: 1, max_tries: 1 }
}
