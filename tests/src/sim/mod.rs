// SPDX-License-Identifier: GPL-3.0-or-later
//! A whole overlay in virtual time: the routing layer of the daemon itself, driven through its public interface by up
//! to a million nodes, and what its lookups cost beside the least they can cost.
//!
//! [`simulate`] runs one simulation: the nodes fill their tables ([`Start`]), some of them die or turn
//! against the others, and lookups between random living and honest nodes are watched from outside. The same settings
//! give the same figures.

use core::time::Duration;
use std::collections::BTreeSet;

use dvsd::time::Instant;

use self::adversary::Adversary;
use self::churn::Churn;
use self::dice::Dice;
use self::figures::{Figures, Tables};
use self::lookups::Lookups;
use self::network::{Network, Nobody};
use self::population::{Population, Role};
use self::settings::{Settings, Start};

pub mod adversary;
pub mod churn;
pub mod dice;
pub mod figures;
pub mod host;
pub mod ideal;
pub mod lookups;
pub mod network;
pub mod population;
pub mod report;
pub mod settings;

/// Nodes that others join through.
const BOOTSTRAP_NODES: usize = 3;
/// Time between two nodes that join.
const JOIN_GAP: Duration = Duration::from_millis(10);
/// Time after the last one has joined.
const SETTLING: Duration = Duration::from_secs(60);
/// Within this time all lookups begin: so quickly that nobody has swept the dead out of the tables.
const WINDOW: Duration = Duration::from_secs(8);
/// Nodes come and go for so long before lookups are measured: one uptime that is usual.
const CHURNING: Duration = Duration::from_secs(30 * 60);
/// Within this time all lookups under churn begin.
const CHURN_WINDOW: Duration = Duration::from_secs(60);
/// A lookup that has not ended after this time is over.
const PATIENCE: Duration = Duration::from_secs(16);
/// The tables of so many nodes are measured.
const TABLES: usize = 1_000;

/// Told how far a simulation is: what it does, and the share of it that is done.
pub type Progress<'a> = &'a mut dyn FnMut(&str, f64);

/// Runs one simulation.
pub fn simulate(settings: &Settings, progress: Progress<'_>) -> Figures {
    progress("making nodes", 0.0);
    let mut network = Network::new(settings, Population::new(settings));
    match settings.start {
        Start::Cold => join_all(&mut network, settings, progress),
        Start::Filled => fill_all(&mut network, progress),
        Start::Lazy => {}
    }
    let tables = (settings.start != Start::Lazy).then(|| measure_tables(&network));
    turn(&mut network, settings);
    let pairs = pairs(&network, settings);
    let lookups = match settings.churn.filter(|_| settings.start == Start::Cold) {
        Some(uptime) => look_up_under_churn(&mut network, settings, uptime, progress),
        None => look_up(&mut network, &pairs, progress),
    };
    let mut figures = Figures::of(settings, &lookups);
    figures.tables = tables.unwrap_or_else(|| measure_tables(&network));
    figures.datagrams = network.datagrams;
    figures.present = network.present();
    figures.compare(&network.population, &pairs);
    figures
}

/// One node after the other joins, in no order of their IDs.
fn join_all(network: &mut Network, settings: &Settings, progress: Progress<'_>) {
    let order = order(network, settings);
    let doors: Vec<_> = order.iter().take(BOOTSTRAP_NODES).map(|node| network.population.address(*node)).collect();
    let begun = network.now;
    for (number, node) in (0_u32..).zip(&order) {
        if number % 64 == 0 {
            progress("joining", f64::from(number) / order.len() as f64);
        }
        network.run_until(begun + JOIN_GAP * number, &mut Nobody);
        network.switch_on(*node);
        network.join(*node, &doors, &mut Nobody);
    }
    let joined = network.now;
    for second in 0..SETTLING.as_secs() {
        progress("settling", second as f64 / SETTLING.as_secs_f64());
        network.run_until(joined + Duration::from_secs(second + 1), &mut Nobody);
    }
}

/// The order in which nodes join; the first ones are those that others join through.
fn order(network: &Network, settings: &Settings) -> Vec<u32> {
    let mut order: Vec<u32> = (0..settings.nodes.min(network.population.len()) as u32).collect();
    Dice::new(settings.seed, "order", 0).shuffle(&mut order);
    order
}

fn fill_all(network: &mut Network, progress: Progress<'_>) {
    const AT_ONCE: u32 = 256;
    let nodes = network.population.len() as u32;
    for first in (0..nodes).step_by(AT_ONCE as usize) {
        progress("filling tables", f64::from(first) / f64::from(nodes));
        network.fill(first..nodes.min(first.saturating_add(AT_ONCE)));
    }
}

/// The dead die and the hostile turn.
fn turn(network: &mut Network, settings: &Settings) {
    for node in 0..network.population.len() as u32 {
        if network.population.role(node) == Role::Dead {
            network.switch_off(node);
        }
    }
    if settings.malicious > 0.0 {
        network.turn_hostile(Adversary::new(settings.strategy, settings.seed));
    }
}

/// Who looks for whom: living, honest nodes, no pair twice.
fn pairs(network: &Network, settings: &Settings) -> Vec<(u32, u32)> {
    let fit = |node: &u32| network.population.role(*node) == Role::Honest && network.is_up(*node);
    let fit: Vec<u32> = (0..network.population.len() as u32).filter(fit).collect();
    let most = settings.lookups.min(fit.len() * fit.len().saturating_sub(1) / 2);
    let mut dice = Dice::new(settings.seed, "pairs", 0);
    let mut one = || fit.get(dice.below(fit.len() as u64) as usize).copied().unwrap_or_default();
    let (mut pairs, mut known) = (Vec::new(), BTreeSet::new());
    while pairs.len() < most {
        let (origin, target) = (one(), one());
        if origin != target && known.insert((origin, target)) {
            pairs.push((origin, target));
        }
    }
    pairs
}

fn look_up(network: &mut Network, pairs: &[(u32, u32)], progress: Progress<'_>) -> Lookups {
    let (begun, mut lookups) = (network.now, Lookups::default());
    let gap = WINDOW / pairs.len().max(1) as u32;
    for (number, (origin, target)) in (0_u32..).zip(pairs) {
        if number % 16 == 0 {
            progress("looking up", f64::from(number) / pairs.len() as f64);
        }
        network.run_until(begun + gap * number, &mut lookups);
        lookups.begin(network, *origin, *target);
    }
    wait_for(network, &mut lookups, begun + WINDOW + PATIENCE);
    lookups
}

/// Nodes come and go for a while before, and while, lookups are measured.
fn look_up_under_churn(
    network: &mut Network,
    settings: &Settings,
    uptime: Duration,
    progress: Progress<'_>,
) -> Lookups {
    let doors = order(network, settings).into_iter().take(BOOTSTRAP_NODES).collect();
    let mut churn = Churn::new(network, uptime, doors, settings.seed);
    let (begun, seconds) = (network.now, CHURNING.as_secs());
    for second in 0..seconds {
        progress("churning", second as f64 / seconds as f64);
        churn.run_until(network, begun + Duration::from_secs(second + 1), &mut Nobody);
    }
    let (begun, mut lookups) = (network.now, Lookups::default());
    let gap = CHURN_WINDOW / settings.lookups.max(1) as u32;
    for number in 0..settings.lookups as u32 {
        progress("looking up", f64::from(number) / settings.lookups as f64);
        churn.run_until(network, begun + gap * number, &mut lookups);
        if let Some((origin, target)) = churn.pair(network.now) {
            lookups.begin(network, origin, target);
        }
    }
    let end = network.now + PATIENCE;
    while lookups.running() > 0 && network.now < end {
        churn.run_until(network, network.now + Duration::from_millis(100), &mut lookups);
    }
    lookups.forgive(|target| !churn.is_present(target));
    lookups
}

fn wait_for(network: &mut Network, lookups: &mut Lookups, end: Instant) {
    const STEP: Duration = Duration::from_millis(100);
    while lookups.running() > 0 && network.now < end {
        network.run_until(network.now + STEP, lookups);
    }
}

fn measure_tables(network: &Network) -> Tables {
    let nodes = network.population.len() as u32;
    let present = (0..nodes).filter(|node| network.population.role(*node) == Role::Honest);
    let every = (network.present() / TABLES).max(1);
    Tables::of(present.filter_map(|node| network.status(node)).step_by(every))
}
