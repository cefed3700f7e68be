// SPDX-License-Identifier: GPL-3.0-or-later
//! Packets that wait for their turn, in order of their sequence numbers, in memory that never grows.

use crate::media::MAX_PACKET;

/// Packets held at most: 640 ms of the shortest frames, 2.5 s of ordinary ones.
pub(super) const CAPACITY: usize = 128;

/// One waiting packet.
#[derive(Clone)]
pub(super) struct Slot {
    /// When it came, in microseconds.
    pub(super) arrived_us: u64,
    length: u16,
    bytes: [u8; MAX_PACKET],
}

impl Slot {
    /// The payload as it came.
    pub(super) fn payload(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// Why a packet was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Duplicate,
    Full,
}

/// The packets, and which of them is where.
pub(super) struct Store {
    slots: Vec<Slot>,
    /// (sequence number, slot), ascending.
    order: Vec<(u32, usize)>,
    free: Vec<usize>,
}

impl Store {
    pub(super) fn new() -> Self {
        let empty = Slot { arrived_us: 0, length: 0, bytes: [0; MAX_PACKET] };
        Self { slots: vec![empty; CAPACITY], order: Vec::with_capacity(CAPACITY), free: (0..CAPACITY).rev().collect() }
    }

    pub(super) fn insert(&mut self, seq: u32, payload: &[u8], arrived_us: u64) -> Result<(), Refused> {
        let Err(place) = self.order.binary_search_by_key(&seq, |&(seq, _)| seq) else {
            return Err(Refused::Duplicate);
        };
        let index = self.free.pop().ok_or(Refused::Full)?;
        if let Some(slot) = self.slots.get_mut(index) {
            let length = payload.len().min(MAX_PACKET);
            slot.bytes.iter_mut().zip(payload).for_each(|(place, byte)| *place = *byte);
            slot.length = length as u16;
            slot.arrived_us = arrived_us;
        }
        self.order.insert(place, (seq, index));
        Ok(())
    }

    /// The earliest packet and its sequence number.
    pub(super) fn first(&self) -> Option<(u32, &Slot)> {
        let &(seq, index) = self.order.first()?;
        Some((seq, self.slots.get(index)?))
    }

    /// Forgets the earliest packet.
    pub(super) fn drop_first(&mut self) {
        if !self.order.is_empty() {
            let (_, index) = self.order.remove(0);
            self.free.push(index);
        }
    }

    /// The highest sequence number waiting.
    pub(super) fn last_seq(&self) -> Option<u32> {
        self.order.last().map(|&(seq, _)| seq)
    }

    pub(super) fn clear(&mut self) {
        while !self.order.is_empty() {
            self.drop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_out_in_order() {
        let mut store = Store::new();
        for seq in [16, 0, 8] {
            assert_eq!(store.insert(seq, &[seq as u8], 5), Ok(()));
        }
        assert_eq!(store.insert(8, &[1], 6), Err(Refused::Duplicate));
        assert_eq!(store.last_seq(), Some(16));
        for seq in [0, 8, 16] {
            let (first, slot) = store.first().unwrap();
            assert_eq!((first, slot.payload(), slot.arrived_us), (seq, &[seq as u8][..], 5));
            store.drop_first();
        }
        assert!(store.first().is_none());
    }

    #[test]
    fn memory_is_bounded_and_reused() {
        let mut store = Store::new();
        for seq in 0..CAPACITY as u32 {
            assert_eq!(store.insert(seq, &[0; MAX_PACKET], 0), Ok(()));
        }
        assert_eq!(store.insert(9_999, &[0], 0), Err(Refused::Full));
        store.clear();
        assert_eq!(store.insert(9_999, &[0], 0), Ok(()));
    }
}
