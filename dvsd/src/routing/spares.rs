// SPDX-License-Identifier: GPL-3.0-or-later
//! The replacement lists: nodes that wait until their bucket has room.

use core::net::SocketAddr;

use super::entry::{Crowd, Packed};
use crate::id::NodeId;

/// How many nodes wait per bucket.
pub(super) const SPARES: usize = 10;

/// A node that waits. `answered`: it has answered a request of ours once.
#[derive(Clone, Copy, Debug)]
struct Spare {
    bucket: u8,
    id: NodeId,
    address: Packed,
    answered: bool,
}

/// All replacement lists, oldest first.
#[derive(Default)]
pub(super) struct Spares(Vec<Spare>);

impl Spares {
    /// Puts a node on the list of `bucket`. Nodes that have answered are not displaced by those that have not, and
    /// one network holds one place per list, so that a flood of forged names displaces little.
    pub(super) fn push(&mut self, bucket: usize, id: NodeId, address: SocketAddr, answered: bool) {
        let Ok(bucket) = u8::try_from(bucket) else { return };
        let crowd = Crowd::of(address);
        let rival = |spare: &Spare| {
            let same_crowd = crowd.is_some() && Crowd::of(spare.address.address()) == crowd;
            spare.bucket == bucket && (spare.id == id || same_crowd)
        };
        if self.0.iter().any(|spare| rival(spare) && spare.answered && !answered) {
            return;
        }
        self.0.retain(|spare| !rival(spare));
        if self.of(bucket).count() >= SPARES && !self.make_room(bucket, answered) {
            return;
        }
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact(SPARES);
        }
        self.0.push(Spare { bucket, id, address: Packed::new(address), answered });
    }

    /// Whose turn it is, of those that are eligible, in the bucket of the one that waits longest: the newest that has
    /// answered, else the newest.
    pub(super) fn best(&self, is_eligible: &dyn Fn(&NodeId) -> bool) -> Option<NodeId> {
        let bucket = self.0.iter().find(|spare| is_eligible(&spare.id))?.bucket;
        let mine = || self.of(bucket).filter(|spare| is_eligible(&spare.id));
        mine().filter(|spare| spare.answered).last().or_else(|| mine().last()).map(|spare| spare.id)
    }

    /// Takes `id` out, with the address it waits at.
    pub(super) fn take(&mut self, id: &NodeId) -> Option<(NodeId, SocketAddr)> {
        let index = self.0.iter().position(|spare| spare.id == *id)?;
        let spare = self.0.remove(index);
        Some((spare.id, spare.address.address()))
    }

    /// Forgets `id`, which has found its place.
    pub(super) fn remove(&mut self, id: &NodeId) {
        self.0.retain(|spare| spare.id != *id);
    }

    /// Forgets whoever waits at `address`.
    pub(super) fn expel(&mut self, address: SocketAddr) {
        self.0.retain(|spare| spare.address != Packed::new(address));
    }

    #[cfg(test)]
    pub(super) fn buckets(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|spare| usize::from(spare.bucket))
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

    fn make_room(&mut self, bucket: u8, answered: bool) -> bool {
        let oldest_silent = self.0.iter().position(|spare| spare.bucket == bucket && !spare.answered);
        let oldest = || self.0.iter().position(|spare| spare.bucket == bucket).filter(|_| answered);
        let Some(index) = oldest_silent.or_else(oldest) else { return false };
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

    fn take_best(spares: &mut Spares) -> Option<(NodeId, SocketAddr)> {
        let id = spares.best(&|_| true)?;
        spares.take(&id)
    }

    #[test]
    fn the_newest_node_that_has_answered_is_taken_first() {
        let mut spares = Spares::default();
        for (number, answered) in [(1, true), (2, true), (3, false)] {
            let (id, address) = node(number);
            spares.push(7, id, address, answered);
        }
        assert_eq!(take_best(&mut spares), Some(node(2)));
        assert_eq!(take_best(&mut spares), Some(node(1)));
        assert_eq!(take_best(&mut spares), Some(node(3)));
        assert_eq!(take_best(&mut spares), None);
    }

    #[test]
    fn nodes_that_never_answered_displace_none_that_have() {
        let mut spares = Spares::default();
        (0..10).map(node).for_each(|(id, address)| spares.push(7, id, address, true));
        (10..30).map(node).for_each(|(id, address)| spares.push(7, id, address, false));
        assert_eq!(spares.len(), SPARES);
        assert_eq!(take_best(&mut spares), Some(node(9)));
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
