// SPDX-License-Identifier: GPL-3.0-or-later
//! What `--table` simulates.

use core::time::Duration;

use dvs_tests::sim::settings::{Attackers, Settings, Start, Strategy};

/// The networks of the table.
const NODES: [usize; 3] = [1_000, 10_000, 100_000];
/// The network of the table if it may take long.
const MILLION: usize = 1_000_000;
/// Attacks are simulated in a network of this many nodes.
const ATTACKED: usize = 10_000;
/// Lookups of each of those.
const ATTACKED_LOOKUPS: usize = 5_000;
/// Half of the nodes leave within this time, where nodes come and go.
const UPTIME: Duration = Duration::from_secs(30 * 60);

/// All rows.
pub(crate) fn runs(seed: u64, million: bool) -> Vec<Settings> {
    let networks = NODES.into_iter().chain(million.then_some(MILLION));
    networks.flat_map(|nodes| peaceful(nodes, seed)).chain(hostile(seed)).collect()
}

/// Whether this is the simulation of its size to be plotted.
pub(crate) fn is_plain(settings: &Settings) -> bool {
    let healthy = Settings::healthy(settings.nodes, settings.seed);
    *settings == Settings { lookups: settings.lookups, ..healthy }
}

fn peaceful(nodes: usize, seed: u64) -> Vec<Settings> {
    let plain = Settings::healthy(nodes, seed);
    vec![
        plain.clone(),
        Settings { paths: 3, ..plain.clone() },
        Settings { paths: 3, proofs: true, ..plain.clone() },
        Settings { dead: 30.0, ..plain.clone() },
        Settings { churn: Some(UPTIME), ..plain },
    ]
}

fn hostile(seed: u64) -> Vec<Settings> {
    let mut all = Vec::new();
    for attackers in [Attackers::Spread, Attackers::Crowded] {
        for strategy in Strategy::ALL {
            for paths in [3, 1] {
                let plain = Settings { start: Start::Filled, ..Settings::healthy(ATTACKED, seed) };
                all.push(Settings { malicious: 20.0, lookups: ATTACKED_LOOKUPS, attackers, strategy, paths, ..plain });
            }
        }
    }
    all
}
