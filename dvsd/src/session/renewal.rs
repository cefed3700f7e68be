// SPDX-License-Identifier: GPL-3.0-or-later
//! A session whose sequence numbers come to their end is replaced by a new one, long before packets can no longer be
//! sealed. The initiator of its handshake makes a new handshake along the same path; of two sessions that the same side
//! began, the newer one stays (`rivals`), and the call moves there.
//!
//! Timer: an attempt that came to nothing is repeated after 60 s.

use core::time::Duration;

use crate::handshake::Side;
use crate::random::Random;
use crate::time::Instant;

use super::SessionId;
use super::dial::Dial;
use super::established::Session;
use super::sessions::Sessions;

/// The shortest time between two attempts.
const AGAIN: Duration = Duration::from_secs(60);

impl Session {
    /// When a new session should be begun in place of this one.
    pub(super) fn renewal_due(&self) -> Option<Instant> {
        let ours = self.is_primary() && self.side == Side::Initiator;
        let again = self.renewed.map_or(Instant::ZERO, |last| last + AGAIN);
        ours.then(|| self.tunnel.numbers_end().max(again))
    }

    /// Whether it is time that a new session took over, so that an attempt to make one is no waste.
    pub(super) fn is_ending(&self, now: Instant) -> bool {
        self.side == Side::Initiator && self.tunnel.numbers_end() <= now
    }
}

impl Sessions {
    /// Goes on as if the numbers of `session` were all but used up, in both directions.
    #[cfg(test)]
    pub(crate) fn use_up_numbers(&mut self, session: SessionId) {
        let session = self.sessions.get_mut(&session).unwrap();
        session.tunnel.set_numbers(9, u32::MAX - (1 << 24));
    }

    /// Dials the peer of session `id` once more if that is due.
    pub(super) fn renew(&mut self, id: SessionId, now: Instant, random: &mut Random) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.renewal_due().is_none_or(|due| due > now) {
            return;
        }
        session.renewed = Some(now);
        let (local, peer) = (session.local, session.peer.id());
        let path = (session.path(), session.control.rtt.smoothed());
        if self.contenders(local, peer).len() == 1 && !self.dials.contains_key(&(local, peer)) {
            let mut dial = Dial::new(&[path], self.versions, now);
            dial.handle_timeout(peer, now, random, &mut self.transmits);
            self.dials.insert((local, peer), dial);
        }
    }
}
