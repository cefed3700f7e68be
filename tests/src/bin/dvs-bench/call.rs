// SPDX-License-Identifier: GPL-3.0-or-later
//! The rounds: each is a minimal call and a call of DVS, first clicks for the delay and then speech for the processor.

use core::time::Duration;

use anyhow::{Context, Result, ensure};
use dvs_proto::message::CallState;
use dvs_tests::clicks::{self, Clicks};
use dvs_tests::floor::Floor;
use dvs_tests::speech::{self, RATE};
use dvs_tests::trio::{PATIENCE, Trio};
use dvs_tests::usage::{Reading, Share, proportional, resident};
use dvs_tests::vcard::{Card, World};

use crate::report::Report;

/// How often both calls are measured.
const ROUNDS: usize = 4;
/// The card of each side.
const CARDS: [&str; 2] = ["left", "right"];
/// The clicks end so many seconds after the world began.
const CLICKS: u32 = 6;
/// What is heard in so many samples after the beginning of a call is not judged.
const SETTLING: usize = RATE as usize / 2;

/// What one call of two sides cost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cost {
    /// Processor time of both sides in each second of the speech, in milliseconds.
    pub(crate) cpu: Vec<f64>,
    /// Processor time of the threads of one side, in milliseconds per second.
    pub(crate) threads: Vec<Share>,
    /// How the clicks of both directions arrived.
    pub(crate) clicks: Clicks,
    /// How often a sound card was not served in time.
    pub(crate) troubles: usize,
    /// Resident memory of the larger side, in bytes.
    pub(crate) memory: u64,
}

/// A round.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    /// The minimal call.
    pub(crate) floor: Cost,
    /// The call of DVS.
    pub(crate) dvs: Cost,
    /// From dialling until the peer rang, in microseconds.
    pub(crate) ring_us: u32,
}

struct Bench {
    world: World,
    floor: Floor,
    trio: Trio,
    seconds: u32,
}

/// Measures several rounds, counting processor time for `seconds` in each.
pub(crate) fn measure(seconds: u32) -> Result<Report> {
    let mut bench = Bench::set_up(seconds)?;
    let idle = bench.daemons();
    let idle_memory = idle.into_iter().map(proportional).collect::<Result<Vec<_>>>()?;
    let mut rounds = Vec::new();
    for number in 0..ROUNDS {
        eprintln!("bench: round {} of {ROUNDS}", number + 1);
        rounds.push(bench.round(number % 2 == 0)?);
    }
    Ok(Report { rounds, idle_memory: idle_memory.into_iter().max().unwrap_or_default() })
}

impl Bench {
    fn set_up(seconds: u32) -> Result<Self> {
        let microphone = [clicks::samples(CLICKS), speech::samples(seconds + 5)?].concat();
        let world = World::new(CARDS.map(|name| Card::new(name, microphone.clone())).to_vec())?;
        let [left, right] = CARDS.map(|card| world.setup(card));
        let mut trio = Trio::start(left, right)?;
        // A stranger must not ring that often.
        let alice = trio.alice.handset.id()?;
        trio.bob.handset.add_contact("Alice", &alice)?;
        Ok(Self { world, floor: Floor::build()?, trio, seconds })
    }

    fn daemons(&self) -> [u32; 2] {
        [self.trio.alice.daemon.pid(), self.trio.bob.daemon.pid()]
    }

    fn round(&mut self, floor_first: bool) -> Result<Round> {
        if floor_first {
            let floor = self.minimal_call()?;
            let (dvs, ring_us) = self.call()?;
            Ok(Round { floor, dvs, ring_us })
        } else {
            let (dvs, ring_us) = self.call()?;
            let floor = self.minimal_call()?;
            Ok(Round { floor, dvs, ring_us })
        }
    }

    fn minimal_call(&self) -> Result<Cost> {
        self.world.begin()?;
        let call = self.floor.call(&self.world, CARDS)?;
        let start = self.world.now()?;
        let cost = self.count(call.pids())?;
        for account in call.finish()? {
            ensure!(account.refused == 0 && account.overruns == 0, "the minimal call went wrong: {account:?}");
        }
        self.listen(cost, start)
    }

    fn call(&mut self) -> Result<(Cost, u32)> {
        self.world.begin()?;
        self.trio.talk()?;
        let start = self.world.now()?;
        let call = self.trio.alice.handset.wait_for_call(PATIENCE, CallState::Active)?;
        let cost = self.count(self.daemons())?;
        self.trio.alice.handset.hang_up()?;
        for party in [&mut self.trio.alice, &mut self.trio.bob] {
            party.handset.wait_for_end(PATIENCE)?;
        }
        Ok((self.listen(cost, start)?, call.ring_us.context("it never rang")?))
    }

    /// Waits for the speech and counts what both sides use while it lasts.
    fn count(&self, pids: [u32; 2]) -> Result<Cost> {
        let clicks_end = Duration::from_secs(u64::from(CLICKS) + 1);
        let elapsed = Duration::from_secs_f64(self.world.now()? as f64 / f64::from(RATE));
        std::thread::sleep(clicks_end.saturating_sub(elapsed));
        let read = || -> Result<[Reading; 2]> { Ok([Reading::of(pids[0])?, Reading::of(pids[1])?]) };
        let begin = read()?;
        let (mut last, mut cpu) = (begin.clone(), Vec::new());
        for _ in 0..self.seconds {
            std::thread::sleep(Duration::from_secs(1));
            let next = read()?;
            cpu.push(next[0].total_since(&last[0]) + next[1].total_since(&last[1]));
            last = next;
        }
        let memory = resident(pids[0])?.max(resident(pids[1])?);
        Ok(Cost { cpu, threads: last[0].since(&begin[0]), memory, ..Cost::default() })
    }

    /// Adds what the loudspeakers played since the call started at world sample `start`.
    fn listen(&self, mut cost: Cost, start: usize) -> Result<Cost> {
        for card in CARDS {
            let during = start + SETTLING..(CLICKS * RATE) as usize;
            let found = Clicks::find(&self.world.heard(card)?, during);
            cost.clicks.delays_ms.extend(found.delays_ms);
            cost.clicks.missed += found.missed;
            cost.troubles += self.world.troubles(card)?.len();
        }
        Ok(cost)
    }
}
