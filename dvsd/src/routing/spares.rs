// SPDX-License-Identifier: GPL-3.0-or-later
//! The replacement lists: nodes that wait until their bucket has room.

use core::net::SocketAddr;

use super::entry::{Crowd, Packed};
use crate::id::NodeId;

/// How many nodes wait per bucket.
pub(super) const SPARES: usize = 10;

/// A node that waits. `proven`: it has answered a request of ours once.
#[derive(Clone, Copy, Debug)]
struct Spare {
    bucket: u8,
    id: NodeId,
    address: Packed,
    proven: bool,
}

/// All replacement lists, oldest first.
#[derive(Default)]
pub(super) struct Spares(Vec<Spare>);

impl Spares {
    /// Puts a node on the list of `bucket`. Proven nodes are not displaced by unproven ones, and one network holds one
    /// place per list, so that a flood of forged names displaces little.
    pub(super) fn push(&mut self, bucket: usize, id: NodeId, address: SocketAddr, proven: bool) {
        let Ok(bucket) = u8::try_from(bucket) else { return };
        let crowd = Crowd::of(address);
        let rival = |spare: &Spare| {
            let same_crowd = crowd.is_some() && Crowd::of(spare.address.address()) == crowd;
            spare.bucket == bucket && (spare.id == id || same_crowd)
        };
        if self.0.iter().any(|spare| rival(spare) && spare.proven && !proven) {
            return;
        }
        self.0.retain(|spare| !rival(spare));
        if self.of(bucket).count() >= SPARES && !self.make_room(bucket, proven) {
            return;
        }
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact(SPARES);
        }
        self.0.push(Spare { bucket, id, address: Packed::new(address), proven });
    }

    /// Takes the best of `bucket`: the newest proven one, else the newest.
    pub(super) fn take(&mut self, bucket: usize) -> Option<(NodeId, SocketAddr)> {
        let bucket = u8::try_from(bucket).ok()?;
        let mine = |spare: &Spare| spare.bucket == bucket;
        let proven = self.0.iter().rposition(|spare| mine(spare) && spare.proven);
        let index = proven.or_else(|| self.0.iter().rposition(mine))?;
        let spare = self.0.remove(index);
        Some((spare.id, spare.address.address()))
    }

    /// The buckets somebody waits for.
    pub(super) fn buckets(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|spare| usize::from(spare.bucket))
    }

    /// Forgets `id`, which has found its place.
    pub(super) fn remove(&mut self, id: &NodeId) {
        self.0.retain(|spare| spare.id != *id);
    }

    /// How many wait.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Memory taken, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<Spare>()
    }

    fn of(&self, bucket: u8) -> impl Iterator<Item = &Spare> {
        self.0.iter().filter(move |spare| spare.bucket == bucket)
    }

    fn make_room(&mut self, bucket: u8, proven: bool) -> bool {
        let oldest_unproven = self.0.iter().position(|spare| spare.bucket == bucket && !spare.proven);
        let oldest = || self.0.iter().position(|spare| spare.bucket == bucket).filter(|_| proven);
        let Some(index) = oldest_unproven.or_else(oldest) else { return false };
        self.0.remove(index);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> (NodeId, SocketAddr) {
        (NodeId([number; 20]), SocketAddr::from(([198, 18, number, 1], 5004)))
    }

    #[test]
    fn the_newest_proven_node_is_taken_first() {
        let mut spares = Spares::default();
        for (number, proven) in [(1, true), (2, true), (3, false)] {
            let (id, address) = node(number);
            spares.push(7, id, address, proven);
        }
        assert_eq!(spares.take(7), Some(node(2)));
        assert_eq!(spares.take(7), Some(node(1)));
        assert_eq!(spares.take(7), Some(node(3)));
        assert_eq!(spares.take(7), None);
    }

    #[test]
    fn unproven_nodes_never_displace_proven_ones() {
        let mut spares = Spares::default();
        (0..10).map(node).for_each(|(id, address)| spares.push(7, id, address, true));
        (10..30).map(node).for_each(|(id, address)| spares.push(7, id, address, false));
        assert_eq!(spares.len(), SPARES);
        assert_eq!(spares.take(7), Some(node(9)));
    }

    #[test]
    fn one_network_holds_one_place_per_bucket() {
        let mut spares = Spares::default();
        for number in 0..100 {
            spares.push(7, NodeId([number; 20]), SocketAddr::from(([198, 18, 1, number], 5004)), false);
        }
        assert_eq!(spares.len(), 1);
    }
}
