// SPDX-License-Identifier: GPL-3.0-or-later
//! The routing table: 160 buckets by common prefix with the own ID, 20 nodes each, the longest known first.
//!
//! Who has answered a request of ours is in; traffic only nominates. A live node is never displaced by a newcomer.
//!
//! Timers: a node is good for [`GOOD`] after its last answer; one that failed is checked after each of [`BACKOFF`] and
//! dropped at the third failure; a bucket is due for a refresh after [`GOOD`] if it is silent, after [`REFRESH`] if it
//! has room.

use core::net::{IpAddr, SocketAddr};
use core::ops::Range;
use core::time::Duration;
use std::collections::BTreeMap;

use super::entry::{Contact, Crowd, Packed, Row, Stamp};
use super::spares::Spares;
use crate::id::NodeId;
use crate::random::Random;
use crate::time::Instant;

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
/// A claim to have moved makes us check the old address, unless it answered this recently.
const MOVE_DOUBT: Duration = Duration::from_secs(30);
/// While a check is under way, the next is not due.
const CHECKING: Duration = Duration::from_secs(10);
/// Nodes of one /24 or /48 in one bucket (go-libp2p and py-libp2p use the same).
const CROWD_PER_BUCKET: usize = 2;
/// Nodes of one /24 or /48 in the whole table.
const CROWD_PER_TABLE: usize = 8;

/// What became of a node that has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verified {
    /// It is new in the table.
    Inserted,
    /// It was there already.
    Refreshed,
    /// It waits for room, or for its old address to fail.
    Waiting,
    /// Its network is there often enough.
    Refused,
}

/// What to do about a node that traffic names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nomination {
    /// Nothing: it is known.
    Known,
    /// PING it: if it answers, there is room.
    Wanted,
    /// Nothing: it waits for room.
    Waiting,
    /// Nothing: it could not be stored.
    Refused,
}

#[derive(Clone, Copy, Debug)]
struct Suspect {
    failures: u8,
    since: Instant,
    check: Instant,
}

/// The table. Rows are sorted by bucket, within a bucket by the time of insertion.
pub(super) struct Table {
    own: NodeId,
    rows: Vec<Row>,
    v6: BTreeMap<NodeId, Packed>,
    suspects: BTreeMap<NodeId, Suspect>,
    spares: Spares,
    /// When each bucket was last searched through, from bucket 0.
    refreshed: Vec<Stamp>,
}

impl Table {
    pub(super) fn new(own: NodeId) -> Self {
        let (v6, suspects) = (BTreeMap::new(), BTreeMap::new());
        Self { own, rows: Vec::new(), v6, suspects, spares: Spares::default(), refreshed: Vec::new() }
    }

    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many nodes wait for room.
    pub(super) const fn waiting(&self) -> usize {
        self.spares.len()
    }

    /// Memory taken by the nodes, in bytes, the waiting ones apart.
    pub(super) fn bytes(&self) -> (usize, usize) {
        let beside = self.v6.len() * size_of::<(NodeId, Packed)>() + self.refreshed.capacity() * size_of::<Stamp>();
        (size_of::<Self>() + self.rows.capacity() * size_of::<Row>() + beside, self.spares.bytes())
    }

    /// How many nodes have answered within the last 15 minutes and not failed since.
    pub(super) fn good(&self, now: Instant) -> usize {
        self.rows.iter().filter(|row| self.is_good(row, now)).count()
    }

    /// The buckets that have a node, and how many each: by number of leading bits shared with the own ID.
    pub(super) fn buckets(&self) -> Vec<(u8, u8)> {
        let mut buckets: Vec<(u8, u8)> = Vec::new();
        for row in &self.rows {
            let bucket = self.bucket_of(&row.id) as u8;
            match buckets.last_mut() {
                Some((last, nodes)) if *last == bucket => *nodes = nodes.saturating_add(1),
                _ => buckets.push((bucket, 1)),
            }
        }
        buckets
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
        let (mut sound, mut doubtful) = (Vec::new(), Vec::new());
        for ring in self.rings(target) {
            let mut ring: Vec<&Row> = self.rows.get(ring).unwrap_or_default().iter().collect();
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

    /// A node answered a request of ours from `address`.
    pub(super) fn verified(
        &mut self,
        id: NodeId,
        address: SocketAddr,
        caps: u8,
        rtt: Duration,
        now: Instant,
    ) -> Verified {
        let known = self.find(&id);
        let is_change = known.is_some_and(|contact| contact.addresses().any(|old| is_rival(old, address)));
        if is_change {
            return self.changed(id, address, true, now);
        }
        if known.is_none() {
            if !self.has_variety(&id, address) {
                return Verified::Refused;
            }
            if self.bucket(self.bucket_of(&id)).len() >= K {
                self.spare(id, address, true, now);
                return Verified::Waiting;
            }
            self.insert(Row::new(id, now));
        } else if self.lacks(&id, address) && !self.has_variety(&id, address) {
            return Verified::Refused;
        }
        self.note_answer(id, address, caps, rtt, now);
        if known.is_some() { Verified::Refreshed } else { Verified::Inserted }
    }

    /// Traffic from `address` claims to be of `id`.
    pub(super) fn nominate(&mut self, id: NodeId, address: SocketAddr, now: Instant) -> Nomination {
        if let Some(known) = self.find(&id) {
            if known.addresses().any(|old| old == address) {
                return Nomination::Known;
            }
            if known.addresses().any(|old| is_rival(old, address)) {
                self.changed(id, address, false, now);
                return Nomination::Waiting;
            }
        }
        if id == self.own || !self.has_variety(&id, address) {
            return Nomination::Refused;
        }
        if self.bucket(self.bucket_of(&id)).len() < K {
            return Nomination::Wanted;
        }
        self.spare(id, address, false, now);
        Nomination::Waiting
    }

    /// A request to `id` was not answered: check it soon.
    pub(super) fn doubt(&mut self, id: NodeId, now: Instant) {
        if self.row(&id).is_some() {
            let [soon, ..] = BACKOFF;
            self.suspects.entry(id).or_insert(Suspect { failures: 0, since: now, check: now + soon });
        }
    }

    /// The doubtful nodes whose check is due; they count as being checked from now on.
    pub(super) fn due_checks(&mut self, now: Instant) -> Vec<Contact> {
        let mut due = Vec::new();
        for (id, suspect) in &mut self.suspects {
            if suspect.check <= now {
                suspect.check = now + CHECKING;
                due.push(*id);
            }
        }
        due.iter().filter_map(|id| self.find(id)).collect()
    }

    /// When the next check is due.
    pub(super) fn next_check(&self) -> Option<Instant> {
        self.suspects.values().map(|suspect| suspect.check).min()
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
        let stale = |row: &&Row| row.seen.age(now) > GOOD && !self.suspects.contains_key(&row.id);
        let mut stale: Vec<(Duration, NodeId)> =
            self.rows.iter().filter(stale).map(|row| (row.seen.age(now), row.id)).collect();
        stale.sort_unstable_by(|a, b| b.cmp(a));
        stale.into_iter().take(count).for_each(|(_, id)| self.doubt(id, now));
    }

    /// Takes somebody who waits for a bucket that has room.
    pub(super) fn take_spare(&mut self) -> Option<(NodeId, SocketAddr)> {
        let mut waited_for = self.spares.buckets();
        let bucket = waited_for.find(|bucket| self.bucket(*bucket).len() < K)?;
        drop(waited_for);
        self.spares.take(bucket)
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

    /// An estimate of the number of nodes in the network, from how far the last of the closest is: wherever that is, the
    /// others lie anywhere within and say nothing more. Of the closest count those in buckets with room, which are
    /// probably all there are, and at least 20. Nine in ten estimates are right within a factor of 1.5.
    pub(super) fn network_size(&self) -> u64 {
        let full = self.buckets().into_iter().filter(|(_, nodes)| usize::from(*nodes) >= K).map(|(bucket, _)| bucket);
        let first = full.max().map_or(0, |bucket| self.bucket(bucket.into()).end);
        let count = self.rows.len().saturating_sub(first).max(K);
        let nearest = self.closest(&self.own, count, &|_| true);
        let Some(farthest) = nearest.last().filter(|_| nearest.len() >= K) else {
            return nearest.len() as u64 + 1;
        };
        let head = farthest.id.distance(&self.own).0.first_chunk().copied().unwrap_or_default();
        let share = (u64::from_be_bytes(head) as f64 / u64::MAX as f64).max(f64::MIN_POSITIVE);
        ((nearest.len() - 1) as f64 / share) as u64 + 1
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

    fn is_good(&self, row: &Row, now: Instant) -> bool {
        row.seen.age(now) <= GOOD && !self.has_failed(&row.id)
    }

    fn has_failed(&self, id: &NodeId) -> bool {
        self.suspects.get(id).is_some_and(|suspect| suspect.failures > 0)
    }

    fn contact(&self, row: &Row, keep: &dyn Fn(SocketAddr) -> bool) -> Option<Contact> {
        let v6 = row.has_v6().then(|| self.v6.get(&row.id)).flatten().map(|packed| packed.address());
        let pair = if row.prefers_v6() { [v6, row.v4()] } else { [row.v4(), v6] };
        let mut kept = pair.into_iter().flatten().filter(|address| keep(*address));
        let address = kept.next()?;
        Some(Contact { id: row.id, caps: row.caps(), address, other: kept.next(), rtt: row.rtt() })
    }

    fn lacks(&self, id: &NodeId, address: SocketAddr) -> bool {
        !self.find(id).is_some_and(|contact| contact.addresses().any(|known| known == address))
    }

    /// Whether a node at `address` keeps the table diverse: few nodes per network, one per IP address in a bucket.
    fn has_variety(&self, id: &NodeId, address: SocketAddr) -> bool {
        let Some(crowd) = Crowd::of(address) else { return true };
        let addresses = |rows: &[Row]| -> Vec<SocketAddr> {
            let contacts = rows.iter().filter(|row| row.id != *id).filter_map(|row| self.contact(row, &|_| true));
            contacts.flat_map(|contact| contact.addresses()).collect()
        };
        let same_crowd = |all: &[SocketAddr]| all.iter().filter(|other| Crowd::of(**other) == Some(crowd)).count();
        let bucket = addresses(self.rows.get(self.bucket(self.bucket_of(id))).unwrap_or_default());
        same_crowd(&bucket) < CROWD_PER_BUCKET
            && !bucket.iter().any(|other| other.ip() == address.ip())
            && same_crowd(&addresses(&self.rows)) < CROWD_PER_TABLE
    }

    fn insert(&mut self, row: Row) {
        if self.rows.len() == self.rows.capacity() {
            self.rows.reserve_exact(8);
        }
        let end = self.bucket(self.bucket_of(&row.id)).end;
        self.rows.insert(end, row);
        self.spares.remove(&row.id);
    }

    fn note_answer(&mut self, id: NodeId, address: SocketAddr, caps: u8, rtt: Duration, now: Instant) {
        let was_doubtful = self.suspects.remove(&id).is_some();
        if address.is_ipv6() {
            self.v6.insert(id, Packed::new(address));
        }
        let Some(row) = self.row_mut(&id) else { return };
        row.answered(caps, rtt, now);
        match address.ip() {
            IpAddr::V4(ip) => row.set_v4(ip, address.port()),
            IpAddr::V6(_) => row.set_has_v6(),
        }
        if was_doubtful {
            row.prefer(address.is_ipv6());
        }
    }

    /// A known node is said to have moved. The old address stays until it fails; the new one waits for that.
    fn changed(&mut self, id: NodeId, address: SocketAddr, proven: bool, now: Instant) -> Verified {
        self.spares.push(self.bucket_of(&id), id, address, proven);
        if self.row(&id).is_some_and(|row| row.seen.age(now) > MOVE_DOUBT) {
            self.doubt(id, now);
        }
        Verified::Waiting
    }

    /// A node waits for a full bucket. If somebody in there was silent for long, it is checked.
    fn spare(&mut self, id: NodeId, address: SocketAddr, proven: bool, now: Instant) {
        let bucket = self.bucket_of(&id);
        self.spares.push(bucket, id, address, proven);
        let rows = self.rows.get(self.bucket(bucket)).unwrap_or_default();
        let oldest = rows.iter().rev().max_by_key(|row| row.seen.age(now));
        if let Some(silent) = oldest.filter(|row| row.seen.age(now) > GOOD).map(|row| row.id) {
            self.doubt(silent, now);
        }
    }

    fn remove(&mut self, id: &NodeId) {
        self.rows.retain(|row| row.id != *id);
        self.v6.remove(id);
        self.suspects.remove(id);
    }

    /// Buckets down to that of the closest neighbour can be refreshed; new ones are due at once.
    fn grow_refreshed(&mut self, now: Instant) {
        let depth = self.rows.last().map_or(0, |row| self.bucket_of(&row.id) + 1);
        let long_ago = Stamp::before(now, 2 * REFRESH);
        self.refreshed.resize(depth.min(BUCKETS), long_ago);
    }
}

/// Whether `new` is another address of the same family as `old`.
fn is_rival(old: SocketAddr, new: SocketAddr) -> bool {
    old != new && old.is_ipv4() == new.is_ipv4()
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
