// SPDX-License-Identifier: GPL-3.0-or-later
//! What the table keeps of a few nodes only: sorted in one allocation, so that its memory can be counted.

use crate::id::NodeId;

/// How many places are allocated at a time.
const GROWTH: usize = 4;

/// A map from IDs to small values.
pub(super) struct Sorted<V>(Vec<(NodeId, V)>);

impl<V> Default for Sorted<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> Sorted<V> {
    pub(super) fn get(&self, id: &NodeId) -> Option<&V> {
        self.place(id).ok().and_then(|index| self.0.get(index)).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, id: &NodeId) -> Option<&mut V> {
        let index = self.place(id).ok()?;
        self.0.get_mut(index).map(|(_, value)| value)
    }

    /// Puts `value` in, or in place of the one that was there.
    pub(super) fn insert(&mut self, id: NodeId, value: V) {
        match self.place(&id) {
            Ok(index) => {
                if let Some((_, place)) = self.0.get_mut(index) {
                    *place = value;
                }
            }
            Err(index) => self.insert_at(index, id, value),
        }
    }

    /// Puts `value` in unless there is one.
    pub(super) fn insert_new(&mut self, id: NodeId, value: V) {
        if let Err(index) = self.place(&id) {
            self.insert_at(index, id, value);
        }
    }

    /// Takes the value of `id` out.
    pub(super) fn remove(&mut self, id: &NodeId) -> Option<V> {
        let index = self.place(id).ok()?;
        let (_, value) = self.0.remove(index);
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
        Some(value)
    }

    /// Keeps the values that `keeps` likes.
    pub(super) fn retain(&mut self, keeps: impl Fn(&V) -> bool) {
        self.0.retain(|(_, value)| keeps(value));
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&NodeId, &V)> {
        self.0.iter().map(|(id, value)| (id, value))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&NodeId, &mut V)> {
        self.0.iter_mut().map(|(id, value)| (&*id, value))
    }

    /// Memory taken, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<(NodeId, V)>()
    }

    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    fn place(&self, id: &NodeId) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.cmp(id))
    }

    fn insert_at(&mut self, index: usize, id: NodeId, value: V) {
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact(GROWTH);
        }
        self.0.insert(index, (id, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_replaced_and_removed() {
        let mut map = Sorted::default();
        for number in [7, 3, 9, 3] {
            map.insert(NodeId([number; 20]), u32::from(number));
        }
        map.insert_new(NodeId([9; 20]), 1);
        assert_eq!(map.iter().map(|(_, value)| *value).collect::<Vec<_>>(), [3, 7, 9]);
        assert_eq!((map.get(&NodeId([7; 20])), map.get(&NodeId([8; 20]))), (Some(&7), None));
        assert_eq!((map.remove(&NodeId([7; 20])), map.remove(&NodeId([7; 20]))), (Some(7), None));
        assert_eq!(map.len(), 2);
    }

    #[test]
    fn an_empty_map_takes_no_memory() {
        let mut map = Sorted::default();
        map.insert(NodeId([1; 20]), 1);
        assert!(map.bytes() > 0);
        map.remove(&NodeId([1; 20]));
        assert_eq!(map.bytes(), 0);
    }
}
