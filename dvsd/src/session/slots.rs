// SPDX-License-Identifier: GPL-3.0-or-later
//! The 31 slots: who is meant by the first byte of a packet.

use core::time::Duration;

use crate::path::Prefix;
use crate::time::Instant;
use crate::wire::handshake::Sid;
use crate::wire::session::SLOTS;

use super::SessionId;

/// How long a slot that carried a session rests before it is given away again.
const REST: Duration = Duration::from_secs(60);
/// Slots kept back for peers that we dial ourselves.
const OWN: usize = 4;
/// While so many are free, whoever asks gets one.
const PLENTY: usize = 16;
/// After that, nobody from a prefix that holds so many: one network cannot take them all.
const PER_PREFIX: usize = 4;

/// Who has a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tenant {
    /// Nobody.
    Free,
    /// Promised in an HS_RESP; can be taken back at any time.
    Promised(Sid),
    /// A session.
    Session(SessionId),
    /// Nobody until then. The prefix is that of the caller it was taken for.
    Resting(Instant, Option<Prefix>),
}

impl Tenant {
    fn is_free(&self, now: Instant) -> bool {
        match self {
            Self::Free => true,
            Self::Resting(until, _) => *until <= now,
            Self::Promised(_) | Self::Session(_) => false,
        }
    }
}

/// The table of slots.
pub(super) struct Slots([Tenant; SLOTS as usize]);

impl Slots {
    pub(super) const fn new() -> Self {
        Self([Tenant::Free; SLOTS as usize])
    }

    /// A slot that may be given away now.
    pub(super) fn free(&self, now: Instant) -> Option<u8> {
        self.0.iter().position(|tenant| tenant.is_free(now)).and_then(|slot| u8::try_from(slot).ok())
    }

    /// A slot that may be given to a caller.
    pub(super) fn free_for_caller(&self, now: Instant) -> Option<u8> {
        if self.count_free(now) > OWN { self.free(now) } else { None }
    }

    /// Whether a caller from `prefix`, which has `sessions` already, takes no more than its share.
    pub(super) fn is_fair(&self, prefix: &Prefix, sessions: usize, now: Instant) -> bool {
        let resting =
            |tenant: &&Tenant| matches!(tenant, Tenant::Resting(until, Some(of)) if *until > now && of == prefix);
        self.count_free(now) >= PLENTY || sessions + self.0.iter().filter(resting).count() < PER_PREFIX
    }

    /// How many slots are free.
    pub(super) fn count_free(&self, now: Instant) -> usize {
        self.0.iter().filter(|tenant| tenant.is_free(now)).count()
    }

    /// Whether some slot becomes free by itself soon.
    pub(super) fn any_resting(&self) -> bool {
        self.0.iter().any(|tenant| matches!(tenant, Tenant::Resting(..)))
    }

    /// Gives `slot` to `tenant`.
    pub(super) fn give(&mut self, slot: u8, tenant: Tenant) {
        if let Some(entry) = self.0.get_mut(usize::from(slot)) {
            *entry = tenant;
        }
    }

    /// Takes `slot` back from a session, which a caller from `prefix` began, or we.
    pub(super) fn retire(&mut self, slot: u8, prefix: Option<Prefix>, now: Instant) {
        self.give(slot, Tenant::Resting(now + REST, prefix));
    }

    /// The session that has `slot`.
    pub(super) fn session(&self, slot: u8) -> Option<SessionId> {
        match self.0.get(usize::from(slot)) {
            Some(Tenant::Session(session)) => Some(*session),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_rests_for_a_minute_after_a_session_but_not_after_a_promise() {
        let mut slots = Slots::new();
        for slot in 0..SLOTS {
            assert_eq!(slots.free(Instant::ZERO), Some(slot));
            slots.give(slot, Tenant::Session(SessionId(u64::from(slot))));
        }
        assert_eq!(slots.free(Instant::ZERO), None);
        assert_eq!(slots.session(30), Some(SessionId(30)));
        slots.retire(7, None, Instant::ZERO);
        assert_eq!(slots.free(Instant::from_millis(59_999)), None);
        assert_eq!(slots.free(Instant::from_millis(60_000)), Some(7));
        slots.give(3, Tenant::Promised([0; 8]));
        slots.give(3, Tenant::Free);
        assert_eq!(slots.free(Instant::ZERO), Some(3));
    }
}
