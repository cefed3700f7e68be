// SPDX-License-Identifier: GPL-3.0-or-later
//! What comes back to whoever dials: HS_RESP, HS_COOKIE, HS_VERSION, or nothing of use.

use super::Sessions;
use crate::handshake::{Initiated, Local as HandshakeLocal, Refusal, Refused};
use crate::id::{LocalId, NodeId};
use crate::path::{Path, Transmit};
use crate::random::Random;
use crate::session::dial::GIVE_UP;
use crate::session::established::{Birth, Session, Unconfirmed};
use crate::session::slots::Tenant;
use crate::session::{ConnectError, Drop, SessionEvent};
use crate::time::Instant;
use crate::wire::handshake::{Cookie, Resp, Spoken};
use crate::wire::session::Slot;

impl Sessions {
    pub(super) fn handle_resp(
        &mut self,
        path: Path,
        datagram: &[u8],
        now: Instant,
        random: &mut Random,
    ) -> Result<(), Drop> {
        let sid = Resp::parse(datagram, self.versions).map_err(|_| Drop::Malformed)?.initiator_sid;
        if !self.dials.values_mut().any(|dial| dial.find(&path, &sid).is_some()) {
            return Err(Drop::UnknownHandshake);
        }
        let slot = self.dialled_slot(now)?;
        let dials = &mut self.dials;
        let found = dials.iter_mut().find_map(|(key, dial)| Some((*key, dial.find(&path, &sid)?)));
        let ((local, peer), attempt) = found.ok_or(Drop::UnknownHandshake)?;
        let identity = self.locals.get(&local).map(|local| local.identity.clone()).ok_or(Drop::UnknownHandshake)?;
        let pin = self.pins.get(&peer).copied();
        let state = attempt.state.take().ok_or(Drop::UnknownHandshake)?;
        let (rtt, interval, until, version) = (attempt.rtt(now), attempt.interval, attempt.until, attempt.version);
        match state.read(datagram, &HandshakeLocal { identity: &identity, slot: Slot::Short(slot), pin }) {
            Ok(initiated) => {
                let next = now + random.jittered(interval);
                let unconfirmed = Unconfirmed { auth: Vec::new(), interval, next, until };
                let id = self.next_id();
                let unconfirmed = Some(unconfirmed);
                let birth = Birth { id, local, path, slot, begun: until - GIVE_UP, unconfirmed, rtt };
                self.initiated(birth, initiated, now)
            }
            Err(Refused { reason, state: Some(state) }) => {
                attempt.state = Some(state);
                Err(Drop::Handshake(reason))
            }
            Err(Refused { reason, state: None }) => {
                let dial = self.dials.get_mut(&(local, peer));
                let goes_on = reason == Refusal::Downgrade && dial.is_some_and(|dial| dial.was_misled(version));
                if !goes_on {
                    self.fail_dial(local, peer, reason);
                }
                Err(Drop::Handshake(reason))
            }
        }
    }

    fn fail_dial(&mut self, local: LocalId, peer: NodeId, reason: Refusal) {
        self.dials.remove(&(local, peer));
        let why = match reason {
            Refusal::KeyChanged(shown) => ConnectError::KeyChanged { shown },
            Refusal::Downgrade => ConnectError::Version,
            _ => ConnectError::Timeout,
        };
        self.connect_failed(local, peer, why);
    }

    pub(super) fn connect_failed(&mut self, local: LocalId, peer: NodeId, why: ConnectError) {
        if self.primary(local, peer).is_none() {
            self.events.push_back(SessionEvent::ConnectFailed { local, peer, why });
        }
    }

    /// We dialled and the peer answered: HS_AUTH leaves, and frames may follow it at once.
    fn initiated(&mut self, mut birth: Birth, initiated: Initiated, now: Instant) -> Result<(), Drop> {
        let Initiated { established, auth } = initiated;
        if let Err(clash) = self.check_key(birth.local, &established.peer) {
            let shown = established.peer.fingerprint();
            self.fail_dial(birth.local, established.peer.id(), Refusal::KeyChanged(shown));
            return Err(clash);
        }
        self.dials.remove(&(birth.local, established.peer.id()));
        self.transmits.push_back(Transmit { path: birth.path, datagram: auth.clone() });
        if let Some(unconfirmed) = &mut birth.unconfirmed {
            unconfirmed.auth = auth;
        }
        let (id, slot) = (birth.id, birth.slot);
        self.slots.give(slot, Tenant::Session(id));
        let session = Session::new(birth, established, now, &mut self.jitter);
        self.sessions.insert(id, session);
        self.introduce(id, now);
        Ok(())
    }

    pub(super) fn handle_cookie(
        &mut self,
        path: Path,
        datagram: &[u8],
        now: Instant,
        random: &mut Random,
    ) -> Result<(), Drop> {
        let cookie = Cookie::parse(datagram, self.versions).map_err(|_| Drop::Malformed)?;
        let attempt = self.dials.values_mut().find_map(|dial| dial.find(&path, &cookie.sid));
        let attempt = attempt.ok_or(Drop::UnknownHandshake)?;
        if attempt.show(&cookie, now, random, &mut self.transmits) { Ok(()) } else { Err(Drop::Budget) }
    }

    pub(super) fn handle_version(
        &mut self,
        path: Path,
        datagram: &[u8],
        now: Instant,
        random: &mut Random,
    ) -> Result<(), Drop> {
        let Spoken { versions, sid } = Spoken::parse(datagram).map_err(|_| Drop::Malformed)?;
        let mut dials = self.dials.iter_mut();
        let found = dials.find_map(|(key, dial)| dial.note_versions(&path, &sid, versions, now).then_some((key, dial)));
        let ((_, peer), dial) = found.ok_or(Drop::UnknownHandshake)?;
        dial.handle_timeout(*peer, now, random, &mut self.transmits);
        Ok(())
    }
}
