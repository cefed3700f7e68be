// SPDX-License-Identifier: GPL-3.0-or-later
//! Memory of calls that are over, so that an invitation delivered twice does not ring twice.

use std::collections::VecDeque;

use super::{CallKey, MEMORY, RETRY_MIN};
use crate::time::Instant;
use crate::wire::control::Frame;

/// How many ended calls are remembered: two for every session a daemon can have.
const CAPACITY: usize = 64;

/// The invitations that were dealt with lately, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Past {
    entries: VecDeque<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    pub(super) key: CallKey,
    pub(super) call_id: u32,
    pub(super) attempt: u8,
    /// What the caller was told at last; `None` when there is nothing to repeat.
    pub(super) reply: Option<Frame>,
    pub(super) since: Instant,
}

impl Entry {
    /// Whether a further attempt is decided anew: only what was told "busy" may be tried again, and not at once.
    fn may_try_again(&self, attempt: u8, now: Instant) -> bool {
        let busy = matches!(self.reply, Some(Frame::CallBusy { .. }));
        busy && attempt > self.attempt && now.since(self.since) >= RETRY_MIN
    }

    fn is_old(&self, now: Instant) -> bool {
        now.since(self.since) >= MEMORY
    }
}

impl Past {
    /// Remembers that the peer's invitation `call_id` got `reply` at last.
    pub(super) fn remember(&mut self, key: CallKey, call_id: u32, attempt: u8, reply: Option<Frame>, now: Instant) {
        self.entries.retain(|entry| !entry.is_old(now) && (entry.key, entry.call_id) != (key, call_id));
        if self.entries.len() >= CAPACITY {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { key, call_id, attempt, reply, since: now });
    }

    /// What to repeat to an invitation that was dealt with already: `None` for a new one, or a further attempt.
    pub(super) fn replied(&self, key: CallKey, call_id: u32, attempt: u8, now: Instant) -> Option<Option<Frame>> {
        let same = |entry: &&Entry| (entry.key, entry.call_id) == (key, call_id) && !entry.is_old(now);
        let entry = self.entries.iter().find(same)?;
        (!entry.may_try_again(attempt, now)).then(|| entry.reply.clone())
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
    use crate::wire::control::Reason;

    const KEY: CallKey = CallKey { local: LocalId(0), peer: NodeId([1; 20]) };

    #[test]
    fn a_dealt_with_invitation_is_known_until_it_is_old() {
        let mut past = Past::default();
        past.remember(KEY, 7, 1, None, Instant::ZERO);
        assert_eq!(past.replied(KEY, 7, 1, Instant::ZERO), Some(None));
        assert_eq!(past.replied(KEY, 8, 1, Instant::ZERO), None);
        assert_eq!(past.replied(KEY, 7, 1, Instant::ZERO + MEMORY), None);
    }

    #[test]
    fn only_what_was_told_busy_may_be_tried_again_and_not_at_once() {
        let mut past = Past::default();
        let busy = Some(Frame::CallBusy { call_id: 7, can_wait: false, ttw: 30 });
        let declined = Some(Frame::CallInitiateReply { call_id: 8, ok: false, reason: Reason::Declined });
        past.remember(KEY, 7, 1, busy.clone(), Instant::ZERO);
        past.remember(KEY, 8, 1, declined.clone(), Instant::ZERO);
        let later = Instant::ZERO + RETRY_MIN;
        assert_eq!(past.replied(KEY, 7, 2, Instant::ZERO), Some(busy.clone()));
        assert_eq!(past.replied(KEY, 7, 1, later), Some(busy));
        assert_eq!(past.replied(KEY, 7, 2, later), None);
        assert_eq!(past.replied(KEY, 8, 2, later), Some(declined));
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
