// SPDX-License-Identifier: GPL-3.0-or-later
//! How fast something flows.

/// Bytes per second, counted second by second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    bytes: u64,
    last_second: u64,
}

impl Rate {
    /// `length` bytes went by.
    pub(crate) fn add(&mut self, length: usize) {
        self.bytes += length as u64;
    }

    /// A second is over.
    pub(crate) fn close(&mut self) {
        self.last_second = std::mem::take(&mut self.bytes);
    }

    /// The rate of the last whole second.
    pub(crate) fn bits_per_second(&self) -> u32 {
        u32::try_from(self.last_second * 8).unwrap_or(u32::MAX)
    }
}
