// SPDX-License-Identifier: GPL-3.0-or-later
//! How long it takes from dialling until the peer rings: two nodes that know only a third, in virtual time.

#![allow(clippy::indexing_slicing, reason = "an index out of bounds is a mistake of the test, which should stop then")]

use std::time::Duration;

use dvsd::call::{CallView, State};
use serde_json::json;

use crate::nodes::Net;

/// From everybody to everybody, one way: a round trip of 50 ms.
const DELAY: Duration = Duration::from_millis(25);
/// How long a dial may take at all.
const LIMIT: Duration = Duration::from_secs(30);

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Nothing lost: from dialling until the caller hears that it rings, in ms; the longest of all.
    pub ring_ms_clean: f64,
    /// How much of that was the search.
    pub lookup_ms_clean: f64,
    /// One in ten datagrams lost: so many ms suffice in 95 of 100 calls.
    pub p95_ms_loss10: f64,
    /// Three in ten lost.
    pub p95_ms_loss30: f64,
}

impl Setup {
    /// Measures `runs` calls with each loss.
    ///
    /// # Panics
    /// Never: a call that does not come about counts as the longest.
    pub fn measure(runs: u64) -> Self {
        let clean: Vec<CallView> = (0..20).filter_map(|seed| dial(seed, 0)).collect();
        let longest = clean.iter().max_by_key(|call| call.rang_after);
        let of = |pick: fn(&CallView) -> Option<Duration>| longest.and_then(pick).map_or(f64::INFINITY, millis);
        Self {
            ring_ms_clean: of(|call| call.rang_after),
            lookup_ms_clean: of(|call| call.found_after),
            p95_ms_loss10: p95(runs, 100),
            p95_ms_loss30: p95(runs, 300),
        }
    }

    /// The bounds that are missed.
    pub fn misses(&self) -> Vec<String> {
        let round_trip = millis(DELAY * 2);
        let bounds = [
            ("ring_ms_clean", self.ring_ms_clean, 2.0 * round_trip + self.lookup_ms_clean),
            ("p95_ms_loss10", self.p95_ms_loss10, 1_000.0),
            ("p95_ms_loss30", self.p95_ms_loss30, 3_000.0),
        ];
        // A dial that never rings is a miss, too.
        let missed = bounds.iter().filter(|(_, measured, bound)| !measured.is_finite() || measured > bound);
        missed
            .map(|(what, measured, bound)| format!("{what} is {measured:.1} and must be {bound:.1} at most"))
            .collect()
    }

    /// For people.
    pub fn table(&self) -> String {
        format!(
            "from dialling until it rings, round trip 50 ms: {:.0} ms, {:.0} of them the search\n95 of 100 calls, a tenth of \
             all datagrams lost: {:.0} ms\n95 of 100 calls, three tenths lost: {:.0} ms\n",
            self.ring_ms_clean, self.lookup_ms_clean, self.p95_ms_loss10, self.p95_ms_loss30
        )
    }

    /// For programs.
    pub fn json(&self) -> String {
        json!({
            "ring_ms_clean": self.ring_ms_clean,
            "lookup_ms_clean": self.lookup_ms_clean,
            "p95_ms_loss10": self.p95_ms_loss10,
            "p95_ms_loss30": self.p95_ms_loss30,
        })
        .to_string()
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// One dial, until it rings.
fn dial(seed: u64, loss: u64) -> Option<CallView> {
    let mut net = Net::new(&[DELAY; 3], seed);
    net.loss = loss;
    net.dial(1, 2).ok()?;
    let last = |net: &Net| net.hosts[1].shown.values().last().copied();
    let done = |net: &Net| last(net).is_some_and(|call| matches!(call.state, State::Ringing | State::Ended));
    net.run_until(LIMIT, done);
    last(&net).filter(|call| call.state == State::Ringing)
}

/// What suffices in 95 of 100 calls, in ms; infinite if more than five of a hundred never ring.
fn p95(runs: u64, loss: u64) -> f64 {
    let took = |seed| dial(seed, loss).and_then(|call| call.rang_after).map_or(f64::INFINITY, millis);
    let mut all: Vec<f64> = (0..runs).map(|seed| took(seed + 1_000)).collect();
    all.sort_by(f64::total_cmp);
    let place = (all.len() * 95).div_ceil(100).saturating_sub(1);
    all.get(place).copied().unwrap_or(f64::INFINITY)
}
