// SPDX-License-Identifier: GPL-3.0-or-later
//! The routing table: 160 buckets by common prefix with the own ID, 20 nodes each, the longest known first.
//!
//! Who has answered a request of ours is in; traffic only nominates. Where it matters a newcomer must prove its ID as
//! well: in a bucket that is half full, and close to us. A live node is never displaced by a newcomer, unless it was
//! asked for a proof three times and gave none, and the newcomer gave one.
//!
//! Timers: a node is good for [`GOOD`] after its last answer; one that failed is checked after each of [`BACKOFF`] and
//! dropped at the third failure; a bucket is due for a refresh after [`GOOD`] if it is silent, after [`REFRESH`] if it
//! has room.

use core::net::SocketAddr;
use core::ops::Range;
use core::time::Duration;

use super::entry::{Contact, Packed, Row, Stamp};
use super::sorted::Sorted;
use super::spares::Spares;
use crate::id::NodeId;
use crate::random::Random;
use crate::time::Instant;

mod admission;
mod view;

pub(super) use self::admission::{Nomination, Sighting, Verified};

/// Number of buckets: one per bit of an ID.
pub(super) const BUCKETS: usize = 160;
/// Nodes per bucket, the paper's k.
pub(super) const K: usize = 20;
/// How long an answer makes a node good (BEP 5).
pub(super) const GOOD: Duration = Duration::from_secs(15 * 60);
/// How often a bucket is refreshed that has room but is not silent (the interval of the Kademlia paper).
const REFRESH: Duration = Duration::from_secs(60 * 60);
/// Time from a failure to the next check; after the last one the node is dropped.
const BACKOFF: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(12)];
/// A node that has moved by a proof may claim to have moved again after this time: else one with two addresses would
/// move to and fro with every packet.
const SETTLED: Duration = Duration::from_secs(60);
/// While a check is under way, the next is not due.
const CHECKING: Duration = Duration::from_secs(10);
#[derive(Clone, Copy, Debug)]
struct Suspect {
    failures: u8,
    since: Instant,
    check: Instant,
}

/// The table. Rows are sorted by bucket, within a bucket by the time of insertion.
pub(super) struct Table {
    own: NodeId,
    /// Whether proofs are asked for at all.
    is_strict: bool,
    rows: Vec<Row>,
    v6: Sorted<Packed>,
    suspects: Sorted<Suspect>,
    /// The nodes that were asked for a proof and gave none: how often in a row.
    unproven: Sorted<u8>,
    /// The nodes that have moved lately, by a proof.
    moved: Sorted<Instant>,
    spares: Spares,
    /// When each bucket was last searched through, from bucket 0.
    refreshed: Vec<Stamp>,
}

impl Table {
    /// The empty table of the node `own`. `is_strict`: where it matters, a newcomer must prove its ID.
    pub(super) fn new(own: NodeId, is_strict: bool) -> Self {
        let (v6, suspects, unproven, moved, spares) = Default::default();
        Self { own, is_strict, rows: Vec::new(), v6, suspects, unproven, moved, spares, refreshed: Vec::new() }
    }

    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn find(&self, id: &NodeId) -> Option<Contact> {
        self.row(id).and_then(|row| self.contact(row, &|_| true))
    }

    /// How long ago `id` answered last, if it is in the table.
    pub(super) fn silence(&self, id: &NodeId, now: Instant) -> Option<Duration> {
        self.row(id).map(|row| row.seen.age(now))
    }

    /// Whether `id` is in the table and answered within the last 15 minutes.
    pub(super) fn knows_well(&self, id: &NodeId, now: Instant) -> bool {
        self.row(id).is_some_and(|row| self.is_good(row, now))
    }

    /// The good nodes, longest known first within their buckets.
    pub(super) fn good_nodes(&self, now: Instant) -> impl Iterator<Item = Contact> {
        let good = self.rows.iter().filter(move |row| self.is_good(row, now));
        good.filter_map(|row| self.contact(row, &|_| true))
    }

    /// The `count` nodes closest to `target` that have an address `keep` likes; doubtful ones only if there are not
    /// enough others.
    pub(super) fn closest(&self, target: &NodeId, count: usize, keep: &dyn Fn(SocketAddr) -> bool) -> Vec<Contact> {
        self.closest_but(None, target, count, keep)
    }

    /// As [`Self::closest`], without the node `but`.
    pub(super) fn closest_but(
        &self,
        but: Option<&NodeId>,
        target: &NodeId,
        count: usize,
        keep: &dyn Fn(SocketAddr) -> bool,
    ) -> Vec<Contact> {
        let (mut sound, mut doubtful) = (Vec::with_capacity(2 * count.min(K)), Vec::new());
        for ring in self.rings(target) {
            let rows = self.rows.get(ring).unwrap_or_default().iter();
            let mut ring: Vec<&Row> = rows.filter(|row| but != Some(&row.id)).collect();
            ring.sort_by_cached_key(|row| row.id.distance(target));
            for row in ring {
                let list = if self.has_failed(&row.id) { &mut doubtful } else { &mut sound };
                list.extend(self.contact(row, keep));
            }
            if sound.len() >= count {
                break;
            }
        }
        sound.extend(doubtful);
        sound.truncate(count);
        sound
    }

    /// A request to `id` was not answered: check it soon.
    pub(super) fn doubt(&mut self, id: NodeId, now: Instant) {
        if self.row(&id).is_some() {
            let [soon, ..] = BACKOFF;
            self.suspects.insert_new(id, Suspect { failures: 0, since: now, check: now + soon });
        }
    }

    /// The doubtful nodes whose check is due; they count as being checked from now on.
    pub(super) fn due_checks(&mut self, now: Instant) -> Vec<Contact> {
        let mut due = Vec::new();
        for (id, suspect) in self.suspects.iter_mut() {
            if suspect.check <= now {
                suspect.check = now + CHECKING;
                due.push(*id);
            }
        }
        due.iter().filter_map(|id| self.find(id)).collect()
    }

    /// When the next check is due.
    pub(super) fn next_check(&self) -> Option<Instant> {
        self.suspects.iter().map(|(_, suspect)| suspect.check).min()
    }

    /// A check of `id` failed. True when that was the third, and the node is gone. It stays if nobody at all was heard
    /// since it came into doubt (`last_heard`): that tells nothing about the node.
    pub(super) fn failed(&mut self, id: NodeId, last_heard: Option<Instant>, now: Instant) -> bool {
        let Some(suspect) = self.suspects.get_mut(&id) else { return false };
        let failures = suspect.failures + 1;
        let [.., longest] = BACKOFF;
        let pause = BACKOFF.get(usize::from(failures)).copied();
        if pause.is_none() && last_heard.is_some_and(|heard| heard >= suspect.since) {
            self.remove(&id);
            return true;
        }
        suspect.failures = failures.min(BACKOFF.len() as u8 - 1);
        suspect.check = now + pause.unwrap_or(longest);
        false
    }

    /// Doubts up to `count` nodes whose last answer is the longest ago, if more than 15 minutes.
    pub(super) fn doubt_stale(&mut self, count: usize, now: Instant) {
        self.moved.retain(|at| now.since(*at) < SETTLED);
        let stale = |row: &&Row| row.seen.age(now) > GOOD && self.suspects.get(&row.id).is_none();
        let mut stale: Vec<(Duration, NodeId)> =
            self.rows.iter().filter(stale).map(|row| (row.seen.age(now), row.id)).collect();
        stale.sort_unstable_by(|a, b| b.cmp(a));
        stale.into_iter().take(count).for_each(|(_, id)| self.doubt(id, now));
    }

    /// Takes somebody who waits for a bucket that has room. Those that wait for another address of theirs to fail stay.
    pub(super) fn take_spare(&mut self) -> Option<(NodeId, SocketAddr)> {
        let is_eligible = |id: &NodeId| self.row(id).is_none() && (!self.is_full(id) || self.refuser(id).is_some());
        let id = self.spares.best(&is_eligible)?;
        self.spares.take(&id)
    }

    /// Notes that a lookup for `target` searches through its bucket; one for our own ID through all buckets that lie
    /// within the 20 closest nodes.
    pub(super) fn searched(&mut self, target: &NodeId, now: Instant) {
        let bucket = self.bucket_of(target);
        let farthest = self.rows.len().checked_sub(K).and_then(|index| self.rows.get(index));
        let beyond = farthest.map_or(0, |row| self.bucket_of(&row.id) + 1);
        self.grow_refreshed(now);
        let searched = if bucket == BUCKETS { beyond..BUCKETS } else { bucket..bucket + 1 };
        for (_, stamp) in self.refreshed.iter_mut().enumerate().filter(|(index, _)| searched.contains(index)) {
            *stamp = Stamp::of(now);
        }
    }

    /// The bucket of `target` is due for a refresh again if it still has room.
    pub(super) fn search_again(&mut self, target: &NodeId, now: Instant) {
        let bucket = self.bucket_of(target);
        let has_room = self.bucket(bucket).len() < K;
        if let Some(stamp) = self.refreshed.get_mut(bucket).filter(|_| has_room) {
            *stamp = Stamp::before(now, 2 * REFRESH);
        }
    }

    /// Makes every bucket due for a refresh, as after joining.
    pub(super) fn forget_refreshes(&mut self) {
        self.refreshed.clear();
    }

    /// An ID in a bucket that needs a refresh: silent and not searched through for 15 minutes, or with room and not
    /// searched through for an hour.
    pub(super) fn due_refresh(&mut self, now: Instant, random: &mut Random) -> Option<NodeId> {
        self.grow_refreshed(now);
        let due = |(bucket, stamp): (usize, &Stamp)| {
            let rows = self.rows.get(self.bucket(bucket)).unwrap_or_default();
            let is_silent = !rows.iter().any(|row| row.seen.age(now) <= GOOD);
            let is_due = (is_silent && stamp.age(now) > GOOD) || (rows.len() < K && stamp.age(now) > REFRESH);
            is_due.then_some(bucket)
        };
        let bucket = self.refreshed.iter().enumerate().find_map(due)?;
        Some(random_in(&self.own, bucket, random))
    }

    /// How many leading bits `id` shares with us. The first byte decides mostly, so the whole distance is not computed.
    fn bucket_of(&self, id: &NodeId) -> usize {
        let mut pairs = self.own.0.iter().zip(&id.0).enumerate();
        let different = pairs.find(|(_, (own, theirs))| own != theirs);
        different.map_or(BUCKETS, |(index, (own, theirs))| index * 8 + (own ^ theirs).leading_zeros() as usize)
    }

    fn bucket(&self, bucket: usize) -> Range<usize> {
        let start = self.rows.partition_point(|row| self.bucket_of(&row.id) < bucket);
        let end = self.rows.partition_point(|row| self.bucket_of(&row.id) <= bucket);
        start..end
    }

    /// Ranges of rows in rising distance from `target`: its own bucket, all deeper ones together, then the shallower
    /// ones one by one.
    fn rings(&self, target: &NodeId) -> impl Iterator<Item = Range<usize>> {
        let own = self.bucket(self.bucket_of(target));
        let mut start = own.start;
        let shallower = core::iter::from_fn(move || {
            let last = self.rows.get(start.checked_sub(1)?)?;
            let ring = self.bucket(self.bucket_of(&last.id));
            start = ring.start;
            Some(ring)
        });
        [own.clone(), own.end..self.rows.len()].into_iter().chain(shallower)
    }

    fn row(&self, id: &NodeId) -> Option<&Row> {
        self.rows.get(self.bucket(self.bucket_of(id)))?.iter().find(|row| row.id == *id)
    }

    fn row_mut(&mut self, id: &NodeId) -> Option<&mut Row> {
        let bucket = self.bucket(self.bucket_of(id));
        self.rows.get_mut(bucket)?.iter_mut().find(|row| row.id == *id)
    }

    fn contact(&self, row: &Row, keep: &dyn Fn(SocketAddr) -> bool) -> Option<Contact> {
        let v6 = row.has_v6().then(|| self.v6.get(&row.id)).flatten().map(|packed| packed.address());
        let pair = if row.prefers_v6() { [v6, row.v4()] } else { [row.v4(), v6] };
        let mut kept = pair.into_iter().flatten().filter(|address| keep(*address));
        let address = kept.next()?;
        Some(Contact { id: row.id, caps: row.caps(), address, other: kept.next(), rtt: row.rtt() })
    }

    /// Removes `id`, whatever it has done.
    pub(super) fn remove(&mut self, id: &NodeId) {
        self.rows.retain(|row| row.id != *id);
        self.v6.remove(id);
        self.suspects.remove(id);
        self.unproven.remove(id);
        self.moved.remove(id);
    }

    /// Buckets down to that of the closest neighbour can be refreshed; new ones are due at once.
    fn grow_refreshed(&mut self, now: Instant) {
        let depth = self.rows.last().map_or(0, |row| self.bucket_of(&row.id) + 1);
        let long_ago = Stamp::before(now, 2 * REFRESH);
        self.refreshed.resize(depth.min(BUCKETS), long_ago);
    }
}

/// A random ID that shares exactly the first `bucket` bits with `own`.
fn random_in(own: &NodeId, bucket: usize, random: &mut Random) -> NodeId {
    let mut id = NodeId(random.bytes());
    for (index, (byte, own)) in id.0.iter_mut().zip(own.0).enumerate() {
        let shared = bucket.saturating_sub(index * 8).min(8);
        let keep = (0xff00_u16 >> shared) as u8;
        *byte = (own & keep) | (*byte & !keep);
        if bucket / 8 == index {
            let flip = 0x80 >> (bucket % 8);
            *byte = (*byte & !flip) | (!own & flip);
        }
    }
    id
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
