// SPDX-License-Identifier: GPL-3.0-or-later
//! Buffers that were sent or played and can be used again, so that a call that runs allocates nothing.

use crate::wire::MAX_DATAGRAM;

/// As many are kept; more are needed only when much leaves at once.
const KEPT: usize = 16;

/// Buffers that nobody uses.
#[derive(Default)]
pub(super) struct Buffers(Vec<Vec<u8>>);

impl Buffers {
    /// An empty buffer.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_else(|| Vec::with_capacity(MAX_DATAGRAM))
    }

    /// Takes `buffer` back.
    pub(super) fn give_back(&mut self, mut buffer: Vec<u8>) {
        if self.0.len() < KEPT {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_given_out_again_and_empty() {
        let mut buffers = Buffers::default();
        let mut first = buffers.take();
        assert_eq!((first.len(), first.capacity()), (0, MAX_DATAGRAM));
        let place = first.as_ptr();
        first.extend([1; 9]);
        buffers.give_back(first);
        let second = buffers.take();
        assert_eq!((second.len(), second.as_ptr()), (0, place));
    }

    #[test]
    fn no_more_are_kept_than_are_of_use() {
        let mut buffers = Buffers::default();
        (0..1_000).for_each(|_| buffers.give_back(vec![1; 100]));
        assert_eq!(buffers.0.len(), KEPT);
    }
}
