// SPDX-License-Identifier: GPL-3.0-or-later
//! Nodes that come and go: uptimes are exponential, and for each node that leaves without a word a new one joins.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use dvsd::time::Instant;

use super::dice::Dice;
use super::network::{Network, Observer};

/// Who has been there for so long takes part in lookups: it has joined.
const JOINED: Duration = Duration::from_secs(30);

/// The coming and going.
pub struct Churn {
    /// Mean time between two departures.
    gap: Duration,
    next: Instant,
    doors: Vec<SocketAddr>,
    /// Who may leave, and since when it is there.
    present: Vec<(u32, Instant)>,
    places: BTreeMap<u32, usize>,
    dice: Dice,
}

impl Churn {
    /// Everybody present stays for `uptime` at the median, but for the `doors`, through which the others join.
    pub fn new(network: &Network, uptime: Duration, doors: Vec<u32>, seed: u64) -> Self {
        let all = 0..network.population.len() as u32;
        let present: Vec<(u32, Instant)> = all
            .filter(|node| network.is_up(*node) && !doors.contains(node))
            .map(|node| (node, Instant::ZERO))
            .collect();
        let gap = uptime.div_f64(core::f64::consts::LN_2 * present.len().max(1) as f64);
        let places = present.iter().enumerate().map(|(place, (node, _))| (*node, place)).collect();
        let doors = doors.into_iter().map(|door| network.population.address(door)).collect();
        Self { gap, next: network.now, doors, present, places, dice: Dice::new(seed, "churn", 0) }
    }

    /// Lets time pass until `end`, with the departures and arrivals that fall into it.
    pub fn run_until(&mut self, network: &mut Network, end: Instant, observer: &mut impl Observer) {
        while self.next <= end {
            network.run_until(self.next, observer);
            self.replace_one(network, observer);
            let share = 1.0 - self.dice.share();
            self.next = self.next + self.gap.mul_f64(-share.ln());
        }
        network.run_until(end, observer);
    }

    /// Whether `node` has not left.
    pub fn is_present(&self, node: u32) -> bool {
        self.places.contains_key(&node)
    }

    /// Somebody, and somebody else to look for.
    pub fn pair(&mut self, now: Instant) -> Option<(u32, u32)> {
        const TRIES: usize = 100;
        let mut one = || {
            let joined = |(_, since): &&(u32, Instant)| now.since(*since) >= JOINED;
            let picks =
                core::iter::repeat_with(|| self.present.get(self.dice.below(self.present.len() as u64) as usize));
            picks.take(TRIES).flatten().find(joined).map(|(node, _)| *node)
        };
        let (origin, target) = (one()?, one()?);
        (origin != target).then_some((origin, target))
    }

    fn replace_one(&mut self, network: &mut Network, observer: &mut impl Observer) {
        let place = self.dice.below(self.present.len() as u64) as usize;
        let newcomer = network.population.arrive();
        if let Some(slot) = self.present.get_mut(place) {
            network.switch_off(slot.0);
            self.places.remove(&slot.0);
            *slot = (newcomer, network.now);
            self.places.insert(newcomer, place);
        }
        network.switch_on(newcomer);
        network.join(newcomer, &self.doors, observer);
    }
}
