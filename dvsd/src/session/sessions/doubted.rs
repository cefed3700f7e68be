// SPDX-License-Identifier: GPL-3.0-or-later
//! Dials, and what can be done for a session whose peer may be elsewhere, or may have lost it.

use core::time::Duration;

use super::Sessions;
use crate::id::{LocalId, NodeId};
use crate::path::Path;
use crate::random::Random;
#[cfg(doc)]
use crate::session::SessionEvent;
use crate::session::dial::Dial;
use crate::session::{ConnectError, SessionId};
use crate::time::Now;

impl Sessions {
    /// There is reason to doubt that the peer is still there, or hears us: heartbeats go out quickly, and
    /// [`SessionEvent::Silent`] follows if nothing is heard for a second. So a peer also learns at once that our own
    /// address has changed.
    pub fn doubt(&mut self, session: SessionId, now: Now) {
        let Some(id) = self.current(session) else { return };
        if let Some(session) = self.sessions.get_mut(&id) {
            session.doubt(now.mono, &mut self.jitter);
            session.flush(now.mono, &mut self.jitter, &mut self.transmits);
        }
    }

    /// Challenges `paths`, at most 16 at a time, each for 3 s: the peer of this session, which is not heard any more, may
    /// be there. The first that answers is used, and [`SessionEvent::PathChanged`] says so.
    pub fn challenge(&mut self, session: SessionId, paths: &[Path], now: Now, random: &mut Random) {
        let Some(id) = self.current(session) else { return };
        if let Some(session) = self.sessions.get_mut(&id) {
            session.challenge(paths, now.mono, random);
            session.flush(now.mono, &mut self.jitter, &mut self.transmits);
        }
    }

    /// As [`connect`](Self::connect), but although there is a session: the peer may have forgotten it. Whichever answers
    /// first is used; an answer in the old one ends the attempt.
    pub fn connect_beside(
        &mut self,
        session: SessionId,
        paths: &[(Path, Option<Duration>)],
        now: Now,
        random: &mut Random,
    ) {
        let session = self.current(session).and_then(|id| self.sessions.get(&id));
        if let Some((local, peer)) = session.map(|session| (session.local, session.peer.id())) {
            self.begin_dial(local, peer, paths, now, random);
        }
    }

    pub(super) fn begin_dial(
        &mut self,
        local: LocalId,
        peer: NodeId,
        paths: &[(Path, Option<Duration>)],
        now: Now,
        random: &mut Random,
    ) {
        if let Some(dial) = self.dials.get_mut(&(local, peer)) {
            dial.add(paths, now.mono);
            dial.handle_timeout(peer, now.mono, random, &mut self.transmits);
            return;
        }
        if paths.is_empty() || !self.locals.contains_key(&local) {
            self.connect_failed(local, peer, ConnectError::NoPath);
            return;
        }
        let mut dial = Dial::new(paths, self.versions, now.mono);
        dial.handle_timeout(peer, now.mono, random, &mut self.transmits);
        self.dials.insert((local, peer), dial);
    }
}
