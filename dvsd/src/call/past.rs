// SPDX-License-Identifier: GPL-3.0-or-later
//! Memory of calls that are over, so that an invitation delivered twice does not ring twice.

use std::collections::VecDeque;

use super::{CallKey, MEMORY};
use crate::time::Instant;
use crate::wire::control::Frame;

/// How many ended calls are remembered: two for every session a daemon can have.
const CAPACITY: usize = 64;

/// The invitations that were dealt with lately, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    entries: VecDeque<Entry>,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: CallKey,
    pub(super) call_id: u32,
    pub(super) attempt: u8,
    /// What the caller was told at last; `None` when there is nothing to repeat.
    pub(super) reply: Option<Frame>,
    pub(super) until: Instant,
}

impl Past {
    /// Remembers that the peer's invitation `call_id` got `reply` at last.
    pub(super) fn remember(&mut self, key: CallKey, call_id: u32, attempt: u8, reply: Option<Frame>, now: Instant) {
        self.entries.retain(|entry| entry.until > now && (entry.key, entry.call_id) != (key, call_id));
        if self.entries.len() >= CAPACITY {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { key, call_id, attempt, reply, until: now + MEMORY });
    }

    /// What to repeat to an invitation that was dealt with already: `None` for a new one, or a further attempt.
    pub(super) fn replied(&self, key: CallKey, call_id: u32, attempt: u8, now: Instant) -> Option<Option<Frame>> {
        let same = |entry: &&Entry| (entry.key, entry.call_id) == (key, call_id) && entry.until > now;
        let entry = self.entries.iter().find(same)?;
        (attempt <= entry.attempt).then(|| entry.reply.clone())
    }

    /// All of them, oldest first.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{LocalId, NodeId};

    const KEY: CallKey = CallKey { local: LocalId(0), peer: NodeId([1; 20]) };

    #[test]
    fn a_dealt_with_invitation_is_known_until_it_is_old_or_tried_again() {
        let mut past = Past::default();
        let busy = Some(super::super::queue::busy(7));
        past.remember(KEY, 7, 1, busy.clone(), Instant::ZERO);
        assert_eq!(past.replied(KEY, 7, 1, Instant::ZERO), Some(busy));
        assert_eq!(past.replied(KEY, 7, 2, Instant::ZERO), None);
        assert_eq!(past.replied(KEY, 8, 1, Instant::ZERO), None);
        assert_eq!(past.replied(KEY, 7, 1, Instant::ZERO + MEMORY), None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut past = Past::default();
        for call_id in 0..1_000 {
            past.remember(KEY, call_id, 1, None, Instant::ZERO);
        }
        assert_eq!(past.entries.len(), CAPACITY);
        assert_eq!(past.replied(KEY, 999, 1, Instant::ZERO), Some(None));
    }
}
