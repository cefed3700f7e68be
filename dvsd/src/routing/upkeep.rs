// SPDX-License-Identifier: GPL-3.0-or-later
//! Staying connected: joining, the neighbourhood, the buckets, noticing who left, and beginning anew when the network
//! has changed.
//!
//! Timers, all jittered: joining is tried at 0, 0.5 and 1 s, then with pauses doubling from 1 to 60 s; our own
//! neighbourhood is looked up every [`NEIGHBOURS`], sooner in a network that is small as yet; silent nodes and buckets are looked after every [`TICK`]. Nobody
//! answering for [`SILENCE`] means offline, or no answer at all to the first requests after the network has changed.
//! Changes are acted upon once in [`CALM`].

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;

use super::Routing;
use super::requests::Purpose;
use super::tokens::Received;
use crate::id::NodeId;
use crate::path::unmapped;
use crate::random::Random;
use crate::time::{Instant, Now};

/// Time between two lookups of our own neighbourhood.
const NEIGHBOURS: Duration = Duration::from_secs(30 * 60);
/// A small network is probably just coming together: the next lookup comes this soon, then [`SLOWER`] times later each.
const SMALL_NETWORK: Duration = Duration::from_secs(3);
/// By what the pauses grow.
const SLOWER: u32 = 3;
/// Time between two looks at the table.
const TICK: Duration = Duration::from_secs(10);
/// Silent nodes checked per tick: the 330 of a network of a million in 14 minutes.
const CHECKS_PER_TICK: usize = 4;
/// Nobody answered for this long: offline.
const SILENCE: Duration = Duration::from_secs(60);
/// … but only after so many requests.
const SILENT_REQUESTS: u32 = 3;
/// The first tries to join come quickly.
const QUICK_TRY: Duration = Duration::from_millis(500);
/// How many quick tries.
const QUICK_TRIES: u32 = 3;
/// The longest pause between tries to join.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Addresses to join through.
const MAX_SEEDS: usize = 32;
/// Known nodes asked as well when rejoining.
const REJOIN_NODES: usize = 8;
/// Nodes of an earlier run that are remembered.
const MAX_SAVED: usize = 200;
/// How many of them are asked at a time.
const SAVED_AT_ONCE: usize = 20;
/// However often the network changes, it is acted upon once in this time.
const CALM: Duration = Duration::from_secs(1);

/// Timers and what is known about being connected.
#[derive(Default)]
pub(super) struct Upkeep {
    pub(super) online: bool,
    has_joined: bool,
    seeds: VecDeque<SocketAddr>,
    /// Where nodes were in an earlier run; those asked last come last.
    saved: VecDeque<SocketAddr>,
    /// The next change of the network is acted upon no sooner.
    calm_until: Option<Instant>,
    changed: bool,
    tries: u32,
    next_try: Option<Instant>,
    last_heard: Option<Instant>,
    unanswered: u32,
    neighbours: Option<Instant>,
    /// Lookups of the neighbourhood that showed a small network, since we are online.
    small_lookups: u32,
    tick: Option<Instant>,
}

impl Upkeep {
    /// A node answered. True if that makes us online.
    pub(super) fn heard(&mut self, now: Instant) -> bool {
        self.last_heard = Some(now);
        self.unanswered = 0;
        if self.online {
            return false;
        }
        (self.online, self.next_try, self.tries) = (true, None, 0);
        self.tick.get_or_insert(now + TICK);
        true
    }

    /// A node was put into the table at `now` as if the network had been joined long ago: nothing is told, and nobody
    /// is looked for but by the timers.
    pub(super) fn assume_joined(&mut self, now: Instant) {
        if !self.heard(now) {
            return;
        }
        self.has_joined = true;
        self.neighbours.get_or_insert(now + NEIGHBOURS);
    }

    /// A request was not answered. True if that makes us offline.
    pub(super) fn unheard(&mut self, now: Instant) -> bool {
        self.unanswered = self.unanswered.saturating_add(1);
        let is_silent = self.last_heard.is_none_or(|heard| now.since(heard) >= SILENCE);
        let turns_offline = self.online && is_silent && self.unanswered >= SILENT_REQUESTS;
        if turns_offline {
            (self.online, self.has_joined, self.next_try, self.tries) = (false, false, Some(now), 0);
            self.small_lookups = 0;
        }
        turns_offline
    }

    /// Whether any node answered at or after `since`.
    pub(super) fn heard_since(&self, since: Instant) -> bool {
        self.last_heard.is_some_and(|heard| heard >= since)
    }

    /// Whether the network is being joined: somebody to join through, but no neighbourhood yet.
    pub(super) const fn is_joining(&self) -> bool {
        !self.has_joined && (self.online || self.next_try.is_some())
    }

    /// The neighbourhood was looked up. True the first time since we are online.
    pub(super) const fn joined(&mut self) -> bool {
        let is_first = self.online && !self.has_joined;
        self.has_joined = self.online;
        is_first
    }

    /// Our neighbourhood is being looked up.
    pub(super) fn searched_neighbours(&mut self, now: Instant, random: &mut Random) {
        self.neighbours = Some(now + random.jittered(NEIGHBOURS));
    }

    /// Our neighbourhood was looked up, and all that we know does not fill one bucket.
    pub(super) fn note_small(&mut self, now: Instant, random: &mut Random) {
        let factor = SLOWER.checked_pow(self.small_lookups).unwrap_or(u32::MAX);
        let pause = SMALL_NETWORK.checked_mul(factor).unwrap_or(NEIGHBOURS).min(NEIGHBOURS);
        self.small_lookups = self.small_lookups.saturating_add(1);
        self.neighbours = Some(now + random.jittered(pause));
    }

    /// Whether `address` was named by the user as one to join through.
    pub(super) fn is_seed(&self, address: SocketAddr) -> bool {
        self.seeds.contains(&address)
    }

    /// It turned out that we are at `address` ourselves.
    pub(super) fn forget_seed(&mut self, address: SocketAddr) {
        self.seeds.retain(|seed| *seed != address);
        self.saved.retain(|saved| *saved != address);
    }

    /// When something is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let changed = self.calm_until.filter(|_| self.changed);
        [self.next_try, changed, self.neighbours, self.tick].into_iter().flatten().min()
    }

    /// Whether the first tries to join are under way.
    const fn is_trying(&self) -> bool {
        self.next_try.is_some() && self.tries < QUICK_TRIES && self.tries > 0
    }

    fn pause(&self) -> Duration {
        match self.tries.checked_sub(QUICK_TRIES) {
            None => QUICK_TRY,
            Some(slow) => Duration::from_secs(1_u64 << slow.min(6)).min(LONGEST_PAUSE),
        }
    }
}

/// Whether the timer is due; if so, it is set to `period` from now.
fn is_due(timer: &mut Option<Instant>, period: Duration, now: Instant, random: &mut Random) -> bool {
    let is_due = timer.is_some_and(|at| at <= now);
    if is_due {
        *timer = Some(now + random.jittered(period));
    }
    is_due
}

impl Routing {
    /// Joins the network through nodes that an earlier run knew: up to 20 of them at once, then others by turns until one
    /// answers; the rest when the network is lost. What answers need not be the node that was there.
    pub fn restore(&mut self, nodes: &[(NodeId, SocketAddr)], now: Now, random: &mut Random) {
        let mut addresses: Vec<SocketAddr> = nodes.iter().map(|(_, address)| unmapped(*address)).collect();
        addresses.retain(|address| self.is_believable(*address, *address));
        addresses.sort_by_cached_key(|_| random.next_u64());
        addresses.truncate(MAX_SAVED);
        self.upkeep.saved = addresses.into();
        self.hurry_bootstrap(now.mono, random);
    }

    /// The network has changed or the machine has slept: back-off ends, all known nodes and seeds are asked again at
    /// once, and what others told of our address loses its weight. Nobody is forgotten.
    pub fn network_changed(&mut self, now: Now, random: &mut Random) {
        self.upkeep.changed = true;
        self.heed_change(now.mono, random);
    }

    fn heed_change(&mut self, now: Instant, random: &mut Random) {
        if !self.upkeep.changed || self.upkeep.calm_until.is_some_and(|until| now < until) {
            return;
        }
        (self.upkeep.changed, self.upkeep.calm_until) = (false, Some(now + CALM));
        (self.upkeep.last_heard, self.upkeep.unanswered, self.upkeep.tries) = (None, 0, 0);
        self.upkeep.small_lookups = 0;
        self.nat.forget();
        // Tokens are bound to the address we had.
        self.received = Received::default();
        self.start_hellos(now, random);
        if self.upkeep.online {
            self.ask_known(now, random);
            self.rewarm(now, random);
        } else {
            self.upkeep.next_try = None;
            self.hurry_bootstrap(now, random);
        }
    }

    pub(super) fn join_through(&mut self, addresses: &[SocketAddr], now: Instant, random: &mut Random) {
        for address in addresses.iter().map(|address| unmapped(*address)) {
            let is_known = self.upkeep.seeds.contains(&address);
            if is_known || !self.is_usable(address) {
                continue;
            }
            if self.upkeep.seeds.len() >= MAX_SEEDS {
                self.upkeep.seeds.pop_front();
            }
            self.upkeep.seeds.push_back(address);
            // While we try to join, the next try would come too late: once one has answered nobody else is asked, and
            // the other address of a node in two families would never be used.
            if self.upkeep.online || self.upkeep.is_trying() {
                self.ask(address, None, Some(self.config.node_id), Purpose::Bootstrap, now, random);
            }
        }
        self.hurry_bootstrap(now, random);
    }

    /// If offline, tries to join now, whatever the pause.
    pub(super) fn hurry_bootstrap(&mut self, now: Instant, random: &mut Random) {
        let is_hopeless = self.upkeep.seeds.is_empty() && self.upkeep.saved.is_empty() && self.table.len() == 0;
        if self.upkeep.online || is_hopeless || self.upkeep.is_trying() {
            return;
        }
        (self.upkeep.next_try, self.upkeep.tries) = (Some(now), 0);
        self.try_to_join(now, random);
    }

    fn try_to_join(&mut self, now: Instant, random: &mut Random) {
        if self.upkeep.online || self.upkeep.next_try.is_none_or(|at| at > now) {
            return;
        }
        self.upkeep.tries = self.upkeep.tries.saturating_add(1);
        self.upkeep.next_try = Some(now + random.jittered(self.upkeep.pause()));
        self.ask_known(now, random);
    }

    /// Asks everybody who may lead us into the network, those of an earlier run by turns.
    fn ask_known(&mut self, now: Instant, random: &mut Random) {
        let own = self.config.node_id;
        let count = self.upkeep.saved.len().min(SAVED_AT_ONCE);
        let turn: Vec<SocketAddr> = self.upkeep.saved.drain(..count).collect();
        self.upkeep.saved.extend(&turn);
        let seeds: Vec<SocketAddr> = self.upkeep.seeds.iter().copied().collect();
        for address in seeds.iter().chain(turn.iter().filter(|saved| !seeds.contains(saved))) {
            self.ask(*address, None, Some(own), Purpose::Bootstrap, now, random);
        }
        for node in self.table.closest(&NodeId(random.bytes()), REJOIN_NODES, &|_| true) {
            self.ask(node.address, Some(node.id), Some(own), Purpose::Bootstrap, now, random);
        }
    }

    /// Everything periodic.
    pub(super) fn maintain(&mut self, now: Instant, random: &mut Random) {
        self.heed_change(now, random);
        self.try_to_join(now, random);
        self.keep_warm(now, random);
        for contact in self.table.due_checks(now) {
            self.ask(contact.address, Some(contact.id), None, Purpose::Check { last: false }, now, random);
        }
        if is_due(&mut self.upkeep.neighbours, NEIGHBOURS, now, random) && self.upkeep.online {
            self.search_neighbours(now, random);
        }
        if is_due(&mut self.upkeep.tick, TICK, now, random) {
            self.table.doubt_stale(CHECKS_PER_TICK, now);
            self.choose_warm(now);
            self.nominate_spare(now, random);
            self.prove_next(now, random);
            self.refresh(now, random);
        }
    }

    /// Repeats a check, at the other address if the node has one.
    pub(super) fn check_again(&mut self, id: NodeId, tried: SocketAddr, now: Instant, random: &mut Random) {
        let Some(contact) = self.table.find(&id) else { return };
        let address = contact.addresses().find(|address| *address != tried).unwrap_or(tried);
        self.ask(address, Some(id), None, Purpose::Check { last: true }, now, random);
    }

    /// A check got no answer.
    pub(super) fn handle_failed_check(&mut self, id: NodeId, now: Instant, random: &mut Random) {
        if self.table.failed(id, self.upkeep.last_heard, now) {
            self.nominate_spare(now, random);
        }
    }

    /// Asks somebody who waits for a bucket that has room.
    pub(super) fn nominate_spare(&mut self, now: Instant, random: &mut Random) {
        if !self.requests.has_room(Purpose::Nominate) {
            return;
        }
        if let Some((id, address)) = self.table.take_spare() {
            self.ask(address, Some(id), None, Purpose::Nominate, now, random);
        }
    }
}
