// SPDX-License-Identifier: GPL-3.0-or-later
//! What the lookups of one simulation come to, and what they must come to.

use core::time::Duration;

use dvsd::routing::Status;
use serde_json::{Value, json};

use super::ideal;
use super::lookups::Lookups;
use super::population::Population;
use super::settings::Settings;

/// Memory of the tables, per node.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tables {
    /// Nodes in the table, on average.
    pub entries: f64,
    /// Bytes of the table, on average, and at most.
    pub bytes: f64,
    /// The largest table in bytes.
    pub most: usize,
    /// Bytes of the nodes that wait, on average.
    pub waiting: f64,
}

impl Tables {
    /// Of these nodes.
    pub fn of(nodes: impl Iterator<Item = Status>) -> Self {
        let (mut sum, mut count) = (Self::default(), 0.0);
        for status in nodes {
            count += 1.0;
            sum.entries += status.nodes as f64;
            sum.bytes += status.table_bytes as f64;
            sum.waiting += status.waiting_bytes as f64;
            sum.most = sum.most.max(status.table_bytes);
        }
        let mean = |sum: f64| if count > 0.0 { sum / count } else { 0.0 };
        Self { entries: mean(sum.entries), bytes: mean(sum.bytes), waiting: mean(sum.waiting), most: sum.most }
    }
}

/// The figures of one simulation.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// What was simulated.
    pub settings: Settings,
    /// Lookups begun.
    pub lookups: usize,
    /// Lookups that ended at the true target.
    pub found: usize,
    /// Lookups that reported a wrong address first.
    pub misled: usize,
    /// Rounds until the target was first named, on average over the lookups in which it was.
    pub rounds: f64,
    /// ROUTE_REQ sent until then, on average.
    pub messages: f64,
    /// ROUTE_REQ and PINGs until the target was found, on average over the lookups that found it.
    pub in_total: f64,
    /// How long the successful lookups took, in rising order.
    pub times: Vec<Duration>,
    /// What the same lookups would need with perfect tables: rounds and ROUTE_REQ.
    pub ideal: (f64, f64),
    /// The tables when the lookups began.
    pub tables: Tables,
    /// Datagrams of the whole simulation.
    pub datagrams: u64,
    /// Nodes that were switched on at the end.
    pub present: usize,
}

impl Figures {
    /// What came of `lookups`.
    pub fn of(settings: &Settings, lookups: &Lookups) -> Self {
        let outcomes = &lookups.outcomes;
        let mut times: Vec<Duration> = outcomes.iter().filter_map(|outcome| outcome.found).collect();
        times.sort_unstable();
        let named = || outcomes.iter().filter_map(|outcome| outcome.named);
        let found = || outcomes.iter().filter(|outcome| outcome.found.is_some());
        Self {
            settings: settings.clone(),
            lookups: outcomes.len(),
            found: times.len(),
            misled: outcomes.iter().filter(|outcome| outcome.is_misled).count(),
            rounds: mean(named().map(|(rounds, _)| rounds)),
            messages: mean(named().map(|(_, messages)| messages)),
            in_total: mean(found().map(|outcome| outcome.datagrams)),
            times,
            ideal: (0.0, 0.0),
            tables: Tables::default(),
            datagrams: 0,
            present: 0,
        }
    }

    /// Notes what the same lookups would have cost with perfect tables.
    pub fn compare(&mut self, population: &Population, pairs: &[(u32, u32)]) {
        let costs = || pairs.iter().filter_map(|(origin, target)| ideal::lookup(population, *origin, *target));
        self.ideal = (mean(costs().map(|cost| cost.rounds)), mean(costs().map(|cost| cost.messages)));
    }

    /// Share of the lookups that ended at the true target, 0 to 1.
    pub fn success(&self) -> f64 {
        self.found as f64 / self.lookups.max(1) as f64
    }

    /// Rounds and messages in relation to the ideal.
    pub fn ratios(&self) -> (f64, f64) {
        (self.rounds / self.ideal.0, self.messages / self.ideal.1)
    }

    /// The time within which `percent` of the successful lookups ended.
    pub fn percentile(&self, percent: usize) -> Duration {
        let last = self.times.len().saturating_sub(1);
        self.times.get(last * percent / 100).copied().unwrap_or_default()
    }

    /// All figures.
    pub fn json(&self) -> Value {
        let Self { settings, tables, .. } = self;
        let millis = |percent| rounded(self.percentile(percent).as_secs_f64() * 1e3, 1);
        json!({
            "nodes": settings.nodes, "start": settings.start.name(), "seed": settings.seed, "paths": settings.paths,
            "proofs": settings.proofs, "private": settings.private, "loss_percent": settings.loss, "dead_percent": settings.dead,
            "churn_minutes": settings.churn.map(|uptime| uptime.as_secs() / 60),
            "malicious_percent": settings.malicious, "attackers": settings.attackers.name(),
            "strategy": settings.strategy.name(), "round_trip_ms": 50,
            "lookups": self.lookups, "found": self.found, "misled": self.misled,
            "success": rounded(self.success(), 5),
            "rounds": rounded(self.rounds, 3), "ideal_rounds": rounded(self.ideal.0, 3),
            "messages": rounded(self.messages, 3), "ideal_messages": rounded(self.ideal.1, 3),
            "datagrams_per_lookup": rounded(self.in_total, 3),
            "ms_p50": millis(50), "ms_p95": millis(95), "ms_p99": millis(99),
            "table_entries": rounded(tables.entries, 1), "table_bytes": rounded(tables.bytes, 0),
            "table_bytes_most": tables.most, "waiting_bytes": rounded(tables.waiting, 0),
            "datagrams": self.datagrams, "nodes_present": self.present,
        })
    }
}

fn mean(values: impl Iterator<Item = u32>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + f64::from(value), count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

fn rounded(value: f64, digits: i32) -> f64 {
    let unit = 10_f64.powi(digits);
    (value * unit).round() / unit
}
