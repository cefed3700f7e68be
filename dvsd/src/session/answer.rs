// SPDX-License-Identifier: GPL-3.0-or-later
//! Being called: HS_INIT to HS_RESP, HS_AUTH to a session. No timer repeats anything here; only half-open
//! handshakes end after 10 s.

use core::time::Duration;

use crate::crypto::kdf::{Digest, sha256};
use crate::handshake::{Established, ExpectAuth, Refused, Side};
use crate::id::LocalId;
use crate::path::{Path, Prefix, Transmit};
use crate::random::Random;
use crate::time::Instant;
use crate::wire::Malformed;
use crate::wire::control::Reason;
use crate::wire::handshake::{Auth, Cookie, Init, MAC_LEN, SUITE, Sid, Spoken, any_version};
use crate::wire::session::Slot;

use super::established::{Birth, Session};
use super::gate::{Admission, HalfOpenCount, Work};
use super::sessions::{Local, Sessions};
use super::slots::Tenant;
use super::{Drop, SessionEvent, SessionId};

/// The initiator repeats HS_AUTH after 250 ms, a tenth more or less, so one that comes sooner is the first and tells the
/// round-trip time. A later one may be a repeat.
const FIRST_AUTH: Duration = Duration::from_millis(225);
/// How long a half-open handshake is kept, and a completed one remembered for its duplicates.
const LIFETIME: Duration = Duration::from_secs(10);
/// How often HS_RESP is sent again for a repeated HS_INIT.
const MAX_REPEATS: u8 = 4;

/// HS_RESP is out; HS_AUTH is awaited.
pub(super) struct HalfOpen {
    /// `None` only while HS_AUTH is being looked at.
    expect: Option<Box<ExpectAuth>>,
    local: LocalId,
    path: Path,
    slot: u8,
    /// Recognises HS_INIT when it comes again.
    init: Digest,
    resp: Vec<u8>,
    repeats: u8,
    pub(super) begun: Instant,
    sent: Instant,
    validated: bool,
}

impl HalfOpen {
    pub(super) fn until(&self) -> Instant {
        self.begun + LIFETIME
    }
}

/// A handshake completed a moment ago: its messages may come once more.
pub(super) struct Completed {
    path: Path,
    init: Digest,
    auth: Digest,
    session: SessionId,
    pub(super) until: Instant,
}

impl Sessions {
    pub(super) fn handle_init(
        &mut self,
        path: Path,
        datagram: &[u8],
        now: Instant,
        random: &mut Random,
    ) -> Result<(), Drop> {
        let init = match Init::parse(datagram, self.versions) {
            Ok(init) => init,
            Err(Malformed::Version) => return self.tell_versions(path, datagram, now),
            Err(_) => return Err(Drop::Malformed),
        };
        if init.flags != 0 || init.suite != SUITE {
            return Err(Drop::Unsupported);
        }
        if self.versions.highest_common(init.versions) != Some(init.version) {
            return self.tell_versions(path, datagram, now);
        }
        let local = self.locals.iter().find(|(_, local)| local.mac1.fits(&init));
        let (local, own) = local.map(|(id, local)| (*id, local.id())).ok_or(Drop::Mac1)?;
        let digest = sha256(&[&own.0, init.body]);
        if self.repeat_resp(&path, &digest, now)? {
            return Ok(());
        }
        match self.admit(path, &init, local, now, random) {
            Admission::Answer { validated } => self.answer(path, &init, local, digest, validated, now, random),
            Admission::Cookie(cookie) => {
                let datagram = Cookie { version: init.version, sid: init.sid, cookie }.emit();
                self.transmits.push_back(Transmit { path, datagram });
                Err(Drop::CookieAsked)
            }
            Admission::Silence => Err(Drop::Budget),
        }
    }

    fn tell_versions(&mut self, path: Path, datagram: &[u8], now: Instant) -> Result<(), Drop> {
        let (_, sid) = any_version(datagram).map_err(|_| Drop::Malformed)?;
        if self.gate.may_tell_versions(now) {
            self.transmits.push_back(Transmit { path, datagram: Spoken { versions: self.versions, sid }.emit() });
        }
        Err(Drop::Version)
    }

    /// Sends HS_RESP once more if this HS_INIT was answered before. True when there is nothing more to do.
    fn repeat_resp(&mut self, path: &Path, init: &Digest, now: Instant) -> Result<bool, Drop> {
        if self.completed.values().any(|done| done.path == *path && done.init == *init && done.until > now) {
            return Err(Drop::Duplicate);
        }
        let known = self.half_open.values_mut().find(|open| open.path == *path && open.init == *init);
        let Some(open) = known else { return Ok(false) };
        if open.repeats >= MAX_REPEATS {
            return Err(Drop::Duplicate);
        }
        open.repeats += 1;
        open.sent = now;
        self.transmits.push_back(Transmit { path: *path, datagram: open.resp.clone() });
        Ok(true)
    }

    fn admit(&mut self, path: Path, init: &Init<'_>, local: LocalId, now: Instant, random: &mut Random) -> Admission {
        let (prefix, mut count) = (path.prefix(), HalfOpenCount::default());
        for open in self.half_open.values() {
            count.all += 1;
            let same = open.path.prefix() == prefix;
            count.validated += usize::from(same && open.validated);
            count.unvalidated += usize::from(same && !open.validated);
        }
        let response = self.locals.get(&local).map_or(0, |local| local.response_len());
        let growth = path.address().is_some() && response > 3 * (init.before_mac1.len() + MAC_LEN);
        let work = self.locals.get(&local).map_or(Work::Quick, Local::work);
        self.gate.admit(&path, init, growth, work, count, now, random)
    }

    #[expect(clippy::too_many_arguments, reason = "each is a fact about one HS_INIT, gathered by the one caller")]
    fn answer(
        &mut self,
        path: Path,
        init: &Init<'_>,
        local: LocalId,
        digest: Digest,
        validated: bool,
        now: Instant,
        random: &mut Random,
    ) -> Result<(), Drop> {
        let slot = self.promise_slot(&path.prefix(), now)?;
        let identity = self.locals.get(&local).map(|local| local.identity.clone()).ok_or(Drop::Mac1)?;
        self.answered = self.answered.saturating_add(1);
        let answered = ExpectAuth::respond(init, &identity, Slot::Short(slot), self.versions, random);
        let (expect, resp) = answered.map_err(Drop::Handshake)?;
        let sid = *expect.sid();
        self.slots.give(slot, Tenant::Promised(sid));
        self.gate.begun(path.prefix(), validated, now);
        self.transmits.push_back(Transmit { path, datagram: resp.clone() });
        let (expect, init) = (Some(Box::new(expect)), digest);
        let open = HalfOpen { expect, local, path, slot, init, resp, repeats: 0, begun: now, sent: now, validated };
        self.half_open.insert(sid, open);
        Ok(())
    }

    /// A slot for a stranger; if none is free, the oldest stranger's.
    fn promise_slot(&mut self, prefix: &Prefix, now: Instant) -> Result<u8, Drop> {
        let of_prefix = |session: &&Session| session.side == Side::Responder && session.birthplace.prefix() == *prefix;
        if !self.slots.is_fair(prefix, self.sessions.values().filter(of_prefix).count(), now) {
            return Err(Drop::NoSlot);
        }
        if self.slots.free_for_caller(now).is_none() && !self.drop_oldest_half_open() {
            self.make_room(now);
        }
        self.slots.free_for_caller(now).ok_or(Drop::NoSlot)
    }

    /// A slot for a peer that we dialled: nobody who only knocks may keep it from us.
    pub(super) fn dialled_slot(&mut self, now: Instant) -> Result<u8, Drop> {
        if self.slots.free(now).is_none() && !self.drop_oldest_half_open() {
            self.make_room(now);
        }
        self.slots.free(now).ok_or(Drop::NoSlot)
    }

    /// True if there was one.
    fn drop_oldest_half_open(&mut self) -> bool {
        let oldest = self.half_open.iter().min_by_key(|(_, open)| open.begun).map(|(sid, _)| *sid);
        oldest.is_some_and(|sid| {
            self.drop_half_open(&sid);
            true
        })
    }

    /// Closes the session that was idle longest, for the sake of whoever comes a minute later.
    pub(super) fn make_room(&mut self, now: Instant) {
        let open = self.sessions.values().all(|session| session.is_contender());
        if self.slots.any_resting() || !open {
            return;
        }
        let idle = self.sessions.values().filter_map(|session| Some((session.liveness.idle_since()?, session.id)));
        if let Some((_, id)) = idle.min() {
            self.end(id, Reason::GoingAway, now);
        }
    }

    pub(super) fn drop_half_open(&mut self, sid: &Sid) {
        if let Some(open) = self.half_open.remove(sid) {
            self.slots.give(open.slot, Tenant::Free);
        }
    }

    pub(super) fn handle_auth(&mut self, path: Path, datagram: &[u8], now: Instant) -> Result<(), Drop> {
        let sid = Auth::parse(datagram, self.versions).map_err(|_| Drop::Malformed)?.responder_sid;
        if self.confirm_again(&path, &sid, datagram, now) {
            return Err(Drop::Duplicate);
        }
        let open = self.half_open.get_mut(&sid).filter(|open| open.path == path);
        let open = open.ok_or(Drop::UnknownHandshake)?;
        let expect = open.expect.take().ok_or(Drop::UnknownHandshake)?;
        match expect.read(datagram) {
            Ok(established) => self.complete(&sid, established, datagram, now),
            Err(Refused { reason, state: Some(state) }) => {
                open.expect = Some(state);
                Err(Drop::Handshake(reason))
            }
            Err(Refused { reason, state: None }) => {
                self.drop_half_open(&sid);
                Err(Drop::Handshake(reason))
            }
        }
    }

    /// The same HS_AUTH again: our first packet was lost, so another one follows.
    fn confirm_again(&mut self, path: &Path, sid: &Sid, datagram: &[u8], now: Instant) -> bool {
        let known = self.completed.get(sid).filter(|done| done.path == *path && done.until > now);
        let Some(done) = known.filter(|done| done.auth == sha256(&[datagram])) else { return false };
        if let Some(session) = self.sessions.get_mut(&done.session) {
            session.control.acknowledge_now(now);
            session.flush(now, &mut self.jitter, &mut self.transmits);
        }
        true
    }

    fn complete(&mut self, sid: &Sid, established: Established, auth: &[u8], now: Instant) -> Result<(), Drop> {
        let open = self.half_open.remove(sid).ok_or(Drop::UnknownHandshake)?;
        self.slots.give(open.slot, Tenant::Free);
        self.gate.completed(&open.path.prefix());
        if let Err(refused) = self.check_peer(open.local, &established.peer, now) {
            if refused == Drop::KeyChanged {
                let (peer, shown) = (established.peer.id(), established.peer.fingerprint());
                self.events.push_back(SessionEvent::KeyChanged { local: open.local, peer, shown });
            }
            return Err(refused);
        }
        let id = self.next_id();
        self.slots.give(open.slot, Tenant::Session(id));
        let done =
            Completed { path: open.path, init: open.init, auth: sha256(&[auth]), session: id, until: now + LIFETIME };
        self.completed.insert(*sid, done);
        let took = now.since(open.sent);
        let rtt = (open.repeats == 0 && took < FIRST_AUTH).then_some(took);
        let birth = Birth {
            id,
            local: open.local,
            path: open.path,
            slot: open.slot,
            begun: open.begun,
            unconfirmed: None,
            rtt,
        };
        let session = Session::new(birth, established, now, &mut self.jitter);
        self.sessions.insert(id, session);
        self.introduce(id, now);
        Ok(())
    }

    /// The initiator repeats HS_AUTH until it hears us: a heartbeat tells it, and measures the path.
    pub(super) fn greet(&mut self, id: SessionId, now: Instant) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.probe(Duration::ZERO, now, &mut self.jitter);
        session.flush(now, &mut self.jitter, &mut self.transmits);
    }
}
