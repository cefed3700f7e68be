// SPDX-License-Identifier: GPL-3.0-or-later
//! The simulated overlay at a size that a test can afford. `cargo xtask sim` does the same with more nodes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at what it did not expect")]

use std::collections::BTreeSet;
use std::time::Duration;

use dvs_tests::sim::figures::Figures;
use dvs_tests::sim::network::{Network, Nobody};
use dvs_tests::sim::population::{Population, shared_bits};
use dvs_tests::sim::settings::{Attackers, Settings, Start, Strategy};
use dvs_tests::sim::simulate;

fn small(nodes: usize, lookups: usize) -> Settings {
    Settings { lookups, ..Settings::healthy(nodes, 7) }
}

fn run(settings: &Settings) -> Figures {
    simulate(settings, &mut |_, _| {})
}

#[test]
fn lookups_in_a_network_that_really_joined_cost_little_more_than_with_perfect_tables() {
    let figures = run(&small(200, 300));
    assert_eq!((figures.found, figures.lookups), (300, 300));
    let (rounds, messages) = figures.ratios();
    assert!(rounds <= 1.3 && messages <= 1.5, "{rounds} {messages}");
    assert!(figures.tables.bytes <= 40_000.0, "{:?}", figures.tables);
}

#[test]
fn f25_private_lookups_keep_the_same_bounds() {
    let [plain, private] = [false, true].map(|private| run(&Settings { private, ..small(200, 300) }));
    assert_eq!((private.found, private.lookups), (300, 300));
    let (rounds, messages) = private.ratios();
    assert!(rounds <= 1.3 && messages <= 1.5, "{rounds} {messages}");
    println!(
        "plain {:.3} rounds, {:.3} messages; private {:.3}, {:.3}",
        plain.rounds, plain.messages, private.rounds, private.messages
    );
}

/// Twenty nodes chosen blindly come from 11.6 sixteenths of their bucket, the twenty around one place from three or four.
#[test]
fn newcomers_get_to_know_nodes_from_all_over() {
    const NEWCOMERS: usize = 6;
    let settings = Settings { start: Start::Lazy, ..small(3_000, 1) };
    let mut network = Network::new(&settings, Population::new(&settings));
    let doors = [1_000, 2_000].map(|door| network.population.address(door));
    let newcomers: Vec<u32> = (0..NEWCOMERS).map(|_| network.population.arrive()).collect();
    for newcomer in &newcomers {
        network.switch_on(*newcomer);
        network.join(*newcomer, &doors, &mut Nobody);
    }
    network.run_until(network.now + Duration::from_secs(30), &mut Nobody);
    let mut sixteenths = 0;
    for newcomer in newcomers {
        let own = network.population.id(newcomer);
        let known = network.known_to(newcomer).into_iter().filter(|id| shared_bits(&own, id) == 0);
        sixteenths += known.map(|id| id.0[0] >> 3 & 15).collect::<BTreeSet<_>>().len();
    }
    assert!(sixteenths >= 6 * NEWCOMERS, "{}", sixteenths as f64 / NEWCOMERS as f64);
}

#[test]
fn the_same_seed_gives_the_same_figures_and_another_seed_does_not() {
    let settings = Settings { loss: 5.0, ..small(100, 100) };
    let figures = run(&settings);
    assert_eq!(run(&settings).json().to_string(), figures.json().to_string());
    let other = run(&Settings { seed: 8, ..settings });
    assert_ne!(other.times, figures.times);
}

#[test]
fn filled_tables_are_as_good_as_perfect_ones() {
    let figures = run(&Settings { start: Start::Filled, ..small(1_000, 200) });
    assert_eq!(figures.found, 200);
    assert!((0.9..1.1).contains(&figures.ratios().0), "{} {:?}", figures.rounds, figures.ideal);
}

#[test]
fn a_table_is_the_same_whenever_it_is_made() {
    let [filled, lazy] = [Start::Filled, Start::Lazy].map(|start| run(&Settings { start, ..small(500, 100) }));
    assert!(lazy.present <= filled.present);
    assert_eq!((lazy.found, filled.found), (100, 100));
    assert!((lazy.rounds - filled.rounds).abs() < 0.1, "{} {}", lazy.rounds, filled.rounds);
}

#[test]
fn lookups_succeed_when_a_third_of_the_nodes_is_dead() {
    let figures = run(&Settings { dead: 30.0, start: Start::Filled, ..small(500, 300) });
    assert!(figures.success() >= 0.99, "{} of {}", figures.found, figures.lookups);
    assert!(figures.percentile(99) >= Duration::from_millis(500), "nobody waited for the dead");
}

#[test]
fn lookups_succeed_while_nodes_come_and_go() {
    let churn = Some(Duration::from_secs(30 * 60));
    let figures = run(&Settings { churn, start: Start::Filled, ..small(500, 300) });
    assert!(figures.success() >= 0.97, "{} of {}", figures.found, figures.lookups);
}

#[test]
fn disjoint_paths_lead_around_attackers() {
    let attacked = |attackers, strategy| Settings {
        malicious: 20.0,
        attackers,
        strategy,
        paths: 3,
        start: Start::Lazy,
        ..small(1_000, 50)
    };
    for attackers in [Attackers::Spread, Attackers::Crowded] {
        for strategy in Strategy::ALL {
            let figures = run(&attacked(attackers, strategy));
            assert!(figures.success() >= 0.95, "{strategy:?} {attackers:?}: {}", figures.success());
        }
    }
}
