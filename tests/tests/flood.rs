// SPDX-License-Identifier: GPL-3.0-or-later
//! Twenty thousand HS_INIT per second, from everywhere and by somebody who knows the ID, at a daemon in a call. Needs
//! root, for network namespaces.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

use core::net::{Ipv6Addr, SocketAddr};
use std::io::Write as _;
use std::time::{Duration, Instant};

use dvs_proto::message::{CallInfo, CallState, CallStats, EndReason, Event};
use dvs_tests::flood::{Flood, Target};
use dvs_tests::handset::Handset;
use dvs_tests::harness::{Setup, wait_for};
use dvs_tests::netns::{Elsewhere, Host, Internet, available_or_skipped};
use dvs_tests::trio::{PATIENCE, Party};
use dvs_tests::usage::{Reading, Traffic, resident};
use dvsd::id::NodeId;

const PORT: u16 = 5004;
/// How long the flood lasts while the call is on.
const TALKING: Duration = Duration::from_secs(20);
/// The flood has been going on for so long when the first friend calls.
const AT_FIRST: Duration = Duration::from_secs(5);
/// Between two friends.
const BETWEEN: Duration = Duration::from_secs(4);
/// Friends who call while Bob talks, and as many who call when he does not.
const FRIENDS: usize = 3;
/// A friend hears from Bob's daemon within this time.
const SOON: Duration = Duration::from_secs(2);
/// HS_INIT per second that must at least have been sent. They go straight to the daemon's socket.
const REACHED: f64 = 18_000.0;
/// Public-key operations per second for strangers; as many may have been saved up.
const BUDGET: f64 = 50.0;
/// Of the media, less than this may be lost.
const LOSS: f64 = 0.01;
/// What the daemon may grow by, in bytes.
const GROWTH: i64 = 4 << 20;

/// Shown even when the test passes: not by a macro, whose output would not be.
fn show(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Bob, who is attacked, Alice, who talks to him, and his friends.
struct World {
    bob: Party,
    alice: Party,
    friends: Vec<Party>,
    target: Target,
    elsewhere: Elsewhere,
    _hosts: Vec<Host>,
    _internet: Internet,
}

impl World {
    fn new() -> Self {
        let mut internet = Internet::new().unwrap();
        let mut hosts: Vec<Host> = (0..2 + 2 * FRIENDS).map(|_| internet.host().unwrap()).collect();
        let elsewhere = Elsewhere::behind(&hosts[0]).unwrap();
        let everywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT));
        let setup =
            Setup { backend: "tone".to_owned(), unknown_callers: "silent", log: "warn", ..Setup::new(everywhere) };
        let mut bob = Party::start_on(&hosts[0], "Bob", &setup).unwrap();
        let joining = Setup { bootstrap: vec![hosts[0].at(PORT)], ..setup };
        let mut others: Vec<Party> =
            hosts[1..].iter().map(|host| Party::start_on(host, "a friend", &joining).unwrap()).collect();
        for (number, other) in others.iter_mut().enumerate() {
            other.handset.wait_for_network(PATIENCE, |network| network.online).unwrap();
            bob.handset.add_contact(&format!("friend {number}"), &other.handset.id().unwrap()).unwrap();
        }
        let id: NodeId = bob.handset.id().unwrap().parse().unwrap();
        let target = Target { id, v4: hosts[0].at(PORT), v6: hosts[0].at_v6(PORT) };
        let alice = others.remove(0);
        hosts.rotate_left(1);
        Self { bob, alice, friends: others, target, elsewhere, _hosts: hosts, _internet: internet }
    }

    fn talk(&mut self) {
        let target = self.bob.handset.id().unwrap();
        self.alice.handset.dial(&target).unwrap();
        self.bob.handset.wait_for_call(PATIENCE, CallState::Alerting).unwrap();
        self.bob.handset.answer().unwrap();
        for party in [&mut self.alice, &mut self.bob] {
            party.handset.wait_for_call(PATIENCE, CallState::Active).unwrap();
        }
    }
}

/// Dials and returns the first state that Bob's daemon has answered with, and after how long.
fn first_word(friend: &mut Party, target: &str) -> (CallInfo, Duration) {
    let start = Instant::now();
    friend.handset.dial(target).unwrap();
    let call = wait_for(PATIENCE, "Bob's daemon to say something", || {
        let event = friend.handset.next_event(PATIENCE)?;
        let Some(Event::Call(call)) = event else { return Ok(None) };
        let waits = matches!(call.state, CallState::Lookup | CallState::Connecting | CallState::Calling);
        Ok((!waits).then_some(call))
    })
    .unwrap();
    (call, start.elapsed())
}

/// Which part of the media was lost between the two.
fn loss(before: &CallStats, after: &CallStats) -> f64 {
    let [lost, received] = [after.lost - before.lost, after.received - before.received];
    lost as f64 / (lost + received) as f64
}

/// What the daemon has done up to a moment.
struct Mark {
    at: Instant,
    work: Reading,
    received: u64,
    answered: u64,
    memory: u64,
    stats: [CallStats; 2],
}

/// What it did between two moments, per second.
#[derive(Debug)]
struct Period {
    received: f64,
    answered: f64,
    /// Milliseconds of a processor, of the daemon's main thread and of all its threads.
    work: [f64; 2],
    loss: [f64; 2],
    growth: i64,
}

impl Mark {
    fn now(handsets: &mut [Handset; 2], pid: u32) -> Self {
        let work = Reading::of(pid).unwrap();
        let (received, memory) = (Traffic::of(pid).unwrap().received, resident(pid).unwrap());
        let answered = handsets[0].snapshot().unwrap().network.handshakes_answered;
        let stats = handsets.each_mut().map(|handset| handset.stats().unwrap());
        Self { at: Instant::now(), work, received, answered, memory, stats }
    }

    fn since(&self, earlier: &Self) -> Period {
        let seconds = (self.at - earlier.at).as_secs_f64();
        let shares = self.work.since(&earlier.work);
        let main = shares.iter().find(|share| share.name == "dvsd").unwrap().ms_per_s;
        Period {
            received: (self.received - earlier.received) as f64 / seconds,
            answered: (self.answered - earlier.answered) as f64 / seconds,
            work: [main, self.work.total_since(&earlier.work)],
            loss: [0, 1].map(|side| loss(&earlier.stats[side], &self.stats[side])),
            growth: self.memory as i64 - earlier.memory as i64,
        }
    }
}

#[test]
fn f04_twenty_thousand_handshakes_per_second_from_everywhere_neither_hurt_a_call_nor_keep_a_friend_away() {
    let test = "f04_twenty_thousand_handshakes_per_second_from_everywhere_neither_hurt_a_call_nor_keep_a_friend_away";
    if !available_or_skipped(test) {
        return;
    }
    let mut world = World::new();
    let bob = world.bob.handset.id().unwrap();
    world.talk();
    std::thread::sleep(PATIENCE / 5);
    let World { bob: Party { handset, daemon }, alice, mut friends, .. } = world;
    let (mut handsets, pid) = ([handset, alice.handset], daemon.pid());

    let flood = Flood::start(world.elsewhere, world.target).unwrap();
    let before = Mark::now(&mut handsets, pid);
    let late = friends.split_off(FRIENDS);
    std::thread::sleep(AT_FIRST);
    let mut waits = Vec::new();
    for friend in &mut friends {
        let (call, took) = first_word(friend, &bob);
        show(&format!("a friend hears {:?} {:?} after {took:.2?}", call.state, call.ended));
        assert!(call.state == CallState::Busy || call.ended == Some(EndReason::Busy), "{call:?}");
        waits.push(took);
        std::thread::sleep(BETWEEN);
    }
    std::thread::sleep(TALKING.saturating_sub(before.at.elapsed()));
    let period = Mark::now(&mut handsets, pid).since(&before);
    let calls = handsets[0].snapshot().unwrap().calls;
    assert!(calls.iter().any(|call| call.state == CallState::Active), "{calls:?}");

    handsets[1].hang_up().unwrap();
    assert_eq!(handsets[1].wait_for_end(PATIENCE).unwrap(), EndReason::HungUp);
    for mut friend in late {
        let knock = friend.handset.knock(&bob, PATIENCE).unwrap();
        assert_eq!(knock.failed, None);
        show(&format!("a friend's call rings after {:.2?}", knock.took));
        waits.push(knock.took);
    }
    let tally = flood.finish().unwrap();
    let drops = handsets[0].snapshot().unwrap().network.drops;
    show(&format!("sent {:.0} HS_INIT/s: {tally:?}\n{period:?}\ndropped {drops:?}", tally.rate()));
    show(&format!("{:.0} datagrams read and {:.0?} ms of a processor used per second", period.received, period.work));

    assert!(tally.rate() >= REACHED, "that was no flood");
    assert!(tally.shown > 1_000 && tally.unfinished > 100 && tally.replayed > 1_000, "{tally:?}");
    assert!(period.loss.iter().all(|loss| *loss < LOSS), "{period:?}");
    let saved_up = BUDGET / tally.took.as_secs_f64();
    assert!(period.answered <= BUDGET + saved_up, "{period:?}");
    assert!(period.growth < GROWTH, "{period:?}");
    assert!(waits.iter().all(|took| *took <= SOON), "{waits:?}");
}
