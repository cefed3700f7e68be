// SPDX-License-Identifier: GPL-3.0-or-later
//! Staying connected: joining, the neighbourhood, the buckets, the way through the NAT, and noticing who left.
//!
//! Timers, all jittered: joining is tried at 0, 0.5 and 1 s, then with pauses doubling from 1 to 60 s; a PING to one of
//! the four closest neighbours every [`KEEPALIVE`]; our own neighbourhood is looked up every [`NEIGHBOURS`]; silent
//! nodes and buckets are looked after every [`TICK`]. Nobody answering for [`SILENCE`] means offline.

use core::net::SocketAddr;
use core::time::Duration;

use super::Routing;
use super::requests::Purpose;
use super::table::K;
use crate::id::NodeId;
use crate::path::unmapped;
use crate::random::Random;
use crate::time::Instant;

/// Time between two keep-alive PINGs: WireGuard's value, below every common NAT time-out.
const KEEPALIVE: Duration = Duration::from_secs(25);
/// How many neighbours take turns with them.
const KEPT_NEIGHBOURS: usize = 4;
/// Time between two lookups of our own neighbourhood.
const NEIGHBOURS: Duration = Duration::from_secs(30 * 60);
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

/// Timers and what is known about being connected.
#[derive(Default)]
pub(super) struct Upkeep {
    pub(super) online: bool,
    has_joined: bool,
    seeds: Vec<SocketAddr>,
    tries: u32,
    next_try: Option<Instant>,
    last_heard: Option<Instant>,
    unanswered: u32,
    keepalive: Option<Instant>,
    keepalive_turn: usize,
    neighbours: Option<Instant>,
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
        self.keepalive.get_or_insert(now + KEEPALIVE);
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

    /// It turned out that we are at `address` ourselves.
    pub(super) fn forget_seed(&mut self, address: SocketAddr) {
        self.seeds.retain(|seed| *seed != address);
    }

    /// When something is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        [self.next_try, self.keepalive, self.neighbours, self.tick].into_iter().flatten().min()
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
    pub(super) fn join_through(&mut self, addresses: &[SocketAddr], now: Instant, random: &mut Random) {
        for address in addresses.iter().map(|address| unmapped(*address)) {
            let is_known = self.upkeep.seeds.contains(&address);
            if is_known || !self.is_usable(address) || self.upkeep.seeds.len() >= MAX_SEEDS {
                continue;
            }
            self.upkeep.seeds.push(address);
            if self.upkeep.online {
                self.ask(address, None, Some(self.config.node_id), Purpose::Bootstrap, now, random);
            }
        }
        self.hurry_bootstrap(now, random);
    }

    /// If offline, tries to join now, whatever the pause.
    pub(super) fn hurry_bootstrap(&mut self, now: Instant, random: &mut Random) {
        let is_hopeless = self.upkeep.seeds.is_empty() && self.table.len() == 0;
        let is_quick = self.upkeep.next_try.is_some() && self.upkeep.tries < QUICK_TRIES && self.upkeep.tries > 0;
        if self.upkeep.online || is_hopeless || is_quick {
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
        let own = self.config.node_id;
        for seed in self.upkeep.seeds.clone() {
            self.ask(seed, None, Some(own), Purpose::Bootstrap, now, random);
        }
        for node in self.table.closest(&NodeId(random.bytes()), REJOIN_NODES, &|_| true) {
            self.ask(node.address, Some(node.id), Some(own), Purpose::Bootstrap, now, random);
        }
    }

    /// Everything periodic.
    pub(super) fn maintain(&mut self, now: Instant, random: &mut Random) {
        self.try_to_join(now, random);
        for contact in self.table.due_checks(now) {
            self.ask(contact.address, Some(contact.id), None, Purpose::Check { last: false }, now, random);
        }
        if is_due(&mut self.upkeep.keepalive, KEEPALIVE, now, random) {
            self.keep_alive(now, random);
        }
        if is_due(&mut self.upkeep.neighbours, NEIGHBOURS, now, random) && self.upkeep.online {
            self.search_neighbours(now, random);
        }
        if is_due(&mut self.upkeep.tick, TICK, now, random) {
            self.table.doubt_stale(CHECKS_PER_TICK, now);
            self.nominate_spare(now, random);
            self.prove_next(now, random);
            self.refresh(now, random);
        }
    }

    fn keep_alive(&mut self, now: Instant, random: &mut Random) {
        let neighbours = self.table.closest(&self.config.node_id, KEPT_NEIGHBOURS.min(K), &|_| true);
        self.upkeep.keepalive_turn = self.upkeep.keepalive_turn.wrapping_add(1);
        let turn = self.upkeep.keepalive_turn.checked_rem(neighbours.len()).unwrap_or(0);
        if let Some(neighbour) = neighbours.get(turn) {
            self.ask(neighbour.address, Some(neighbour.id), None, Purpose::Keepalive, now, random);
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
