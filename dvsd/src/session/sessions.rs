// SPDX-License-Identifier: GPL-3.0-or-later
//! All sessions, dials and half-open handshakes of this daemon.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::crypto::identity::{Identity, PublicIdentity};
use crate::crypto::kdf::Digest;
use crate::handshake::{Mac1Key, Side};
use crate::id::{Fingerprint, LocalId, NodeId};
use crate::path::{Path, Transmit};
use crate::random::Random;
use crate::time::{Deadline, Instant, Now};
use crate::wire::control::{Frame, Reason};
use crate::wire::handshake::{Resp, Sid, Versions};
use crate::wire::kind;
use crate::wire::session::{Header, Slot};

use super::answer::{Completed, HalfOpen};
use super::buffers::Buffers;
use super::dial::Dial;
use super::established::{Arrived, Due, Phase, Received, Session};
use super::gate::{Gate, Work};
use super::liveness::Level;
use super::rekey::REKEY_AFTER;
use super::slots::Slots;
use super::{ConnectError, Drop, SessionEvent, SessionId, SessionStats};

mod answered;
mod doubted;

/// How long a peer that broke the protocol is not listened to.
const PENALTY: Duration = Duration::from_secs(600);

/// The session layer.
pub struct Sessions {
    pub(super) locals: BTreeMap<LocalId, Local>,
    pins: BTreeMap<NodeId, Fingerprint>,
    blocked: BTreeSet<NodeId>,
    penalties: BTreeMap<Fingerprint, Instant>,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) dials: BTreeMap<(LocalId, NodeId), Dial>,
    pub(super) half_open: BTreeMap<Sid, HalfOpen>,
    /// See [`Sessions::answered`].
    pub(super) answered: u64,
    pub(super) completed: BTreeMap<Sid, Completed>,
    /// Peers with several sessions, and until when these have to answer.
    pub(super) contests: BTreeMap<(LocalId, NodeId), Instant>,
    pub(super) slots: Slots,
    pub(super) gate: Gate,
    /// The protocol versions spoken.
    pub(super) versions: Versions,
    /// The age at which keys are replaced.
    pub(super) rekey_after: Duration,
    /// Spreads timers; nothing secret is made of it.
    pub(super) jitter: Random,
    next_id: u64,
    buffers: Buffers,
    pub(super) transmits: VecDeque<Transmit>,
    pub(super) events: VecDeque<SessionEvent>,
}

/// One of our identities.
pub(super) struct Local {
    pub(super) identity: Arc<Identity>,
    pub(super) mac1: Mac1Key,
}

impl Local {
    pub(super) fn id(&self) -> NodeId {
        self.identity.public().id()
    }

    /// How long answering for it takes.
    pub(super) fn work(&self) -> Work {
        if self.identity.public().kind().is_slow() { Work::Slow } else { Work::Quick }
    }

    /// The longest HS_RESP it makes.
    pub(super) fn response_len(&self) -> usize {
        let own = self.identity.public();
        Resp::length(own.spki().len(), own.kind().max_signature())
    }
}

impl Sessions {
    /// No sessions yet. Cookie secrets come out of `random`.
    pub fn new(random: &mut Random) -> Self {
        Self {
            locals: BTreeMap::new(),
            pins: BTreeMap::new(),
            blocked: BTreeSet::new(),
            penalties: BTreeMap::new(),
            sessions: BTreeMap::new(),
            dials: BTreeMap::new(),
            half_open: BTreeMap::new(),
            answered: 0,
            completed: BTreeMap::new(),
            contests: BTreeMap::new(),
            slots: Slots::new(),
            gate: Gate::new(random),
            versions: Versions::OURS,
            rekey_after: REKEY_AFTER,
            jitter: Random::seeded(random.next_u64()),
            next_id: 0,
            buffers: Buffers::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Answers for `identity` from now on.
    pub fn add_local(&mut self, local: LocalId, identity: Arc<Identity>) {
        let mac1 = Mac1Key::new(&identity.public().id());
        self.locals.insert(local, Local { identity, mac1 });
    }

    /// The fingerprint `peer` must show, if any is known.
    pub fn pin(&mut self, peer: NodeId, pin: Option<Fingerprint>) {
        match pin {
            Some(pin) => self.pins.insert(peer, pin),
            None => self.pins.remove(&peer),
        };
    }

    /// Whether handshakes of `peer` are dropped without an answer. Sessions it has already go on.
    pub fn block(&mut self, peer: NodeId, on: bool) {
        if on {
            self.blocked.insert(peer);
        } else {
            self.blocked.remove(&peer);
        }
    }

    /// Begins a handshake with `peer` along `paths`, each with its round-trip time if known; the paths begin 250 ms
    /// apart and have 8 s each, eight of them at a time. An attempt already under way takes those that are new to it.
    /// Nothing happens if there is a session with the peer.
    pub fn connect(
        &mut self,
        local: LocalId,
        peer: NodeId,
        paths: &[(Path, Option<Duration>)],
        now: Now,
        random: &mut Random,
    ) {
        if self.session_of(local, peer).is_some() {
            return;
        }
        self.begin_dial(local, peer, paths, now, random);
    }

    /// Whether an attempt to reach `peer` is under way, up to its last step.
    pub fn is_connecting(&self, local: LocalId, peer: NodeId) -> bool {
        self.dials.contains_key(&(local, peer)) || self.session_of(local, peer).is_some()
    }

    /// Gives up an attempt; no event follows.
    pub fn cancel_connect(&mut self, local: LocalId, peer: NodeId) {
        self.dials.remove(&(local, peer));
    }

    /// The session in use with `peer`.
    pub fn session_of(&self, local: LocalId, peer: NodeId) -> Option<SessionId> {
        self.primary(local, peer)
    }

    pub(super) fn primary(&self, local: LocalId, peer: NodeId) -> Option<SessionId> {
        let is_it = |session: &&Session| session.local == local && session.is_primary() && session.peer.id() == peer;
        self.sessions.values().find(is_it).map(|session| session.id)
    }

    pub(super) fn own_id(&self, local: LocalId) -> Option<NodeId> {
        self.locals.get(&local).map(Local::id)
    }

    /// The session in use with the peer of `id`, which may be one replaced a moment ago.
    pub(super) fn current(&self, id: SessionId) -> Option<SessionId> {
        let session = self.sessions.get(&id)?;
        if session.is_primary() { Some(id) } else { self.primary(session.local, session.peer.id()) }
    }

    /// Takes in one datagram of the handshake or session layer, along `path`. Session packets are decrypted in
    /// place. An error says why it was dropped.
    pub fn handle(&mut self, path: Path, datagram: &mut [u8], now: Now, random: &mut Random) -> Result<(), Drop> {
        match datagram.first() {
            Some(&(kind::SESSION..)) => self.handle_packet(path, datagram, now.mono, random),
            Some(&kind::HS_INIT) => self.handle_init(path, datagram, now.mono, random),
            Some(&kind::HS_RESP) => self.handle_resp(path, datagram, now.mono, random),
            Some(&kind::HS_AUTH) => self.handle_auth(path, datagram, now.mono),
            Some(&kind::HS_COOKIE) => self.handle_cookie(path, datagram, now.mono, random),
            Some(&kind::HS_VERSION) => self.handle_version(path, datagram, now.mono, random),
            _ => Err(Drop::Malformed),
        }
    }

    fn handle_packet(
        &mut self,
        path: Path,
        datagram: &mut [u8],
        now: Instant,
        random: &mut Random,
    ) -> Result<(), Drop> {
        let header = Header::parse(datagram).map_err(|_| Drop::Malformed)?;
        let Slot::Short(slot) = header.slot else { return Err(Drop::UnknownSlot) };
        let id = self.slots.session(slot).ok_or(Drop::UnknownSlot)?;
        let session = self.sessions.get_mut(&id).ok_or(Drop::UnknownSlot)?;
        let proof = session.proof;
        let received = session.receive(path, &header, datagram, &mut self.buffers, now);
        let proven = session.proof != proof;
        let dropped = received.as_ref().err().copied();
        let arrived = Arrived { path, header, length: datagram.len(), dropped };
        let moved = session.note_path(&arrived, now, random, &mut self.transmits);
        let news = SessionEvent::PathChanged { session: id, path: session.path() };
        let is_told = moved && session.is_primary();
        self.events.extend(is_told.then_some(news));
        let result = match received {
            Ok((received, recovered)) => {
                self.deliver(id, received, recovered, now);
                Ok(())
            }
            Err(Drop::Violation) => {
                self.strike(id, now);
                Err(Drop::Violation)
            }
            Err(drop) => return Err(drop),
        };
        if proven {
            self.heard_of(id, now);
        }
        self.tend_keys(id, now, random);
        let held = self.sessions.get_mut(&id).map(Session::release).unwrap_or_default();
        held.into_iter().for_each(|frame| self.deliver_frame(id, frame, now));
        if let Some(session) = self.sessions.get_mut(&id) {
            session.flush(now, &mut self.jitter, &mut self.transmits);
        }
        result
    }

    /// The peer has proven that it has the session `id`.
    fn heard_of(&mut self, id: SessionId, now: Instant) {
        let Some(session) = self.sessions.get(&id) else { return };
        let (local, peer) = (session.local, session.peer.id());
        if !session.is_ending(now) {
            self.dials.remove(&(local, peer));
        }
        self.settle(local, peer, now);
    }

    fn deliver(&mut self, id: SessionId, received: Received, recovered: bool, now: Instant) {
        if recovered && self.sessions.get(&id).is_some_and(Session::is_primary) {
            self.events.push_back(SessionEvent::Recovered { session: id });
        }
        match received {
            Received::Media { seq, payload } => {
                if self.sessions.get(&id).is_some_and(|session| session.phase == Phase::Open)
                    && let Some(session) = self.current(id)
                {
                    self.events.push_back(SessionEvent::Media { session, seq, payload });
                }
            }
            Received::Control(frames) => frames.into_iter().for_each(|frame| self.deliver_frame(id, frame, now)),
        }
    }

    fn deliver_frame(&mut self, id: SessionId, frame: Frame, now: Instant) {
        let Some(session) = self.sessions.get(&id).filter(|session| session.phase == Phase::Open) else {
            return;
        };
        match frame {
            Frame::Close { reason: Reason::Glare } => self.handle_glare(id, now),
            Frame::Close { reason } => {
                let primary = session.is_primary();
                let (local, peer) = (session.local, session.peer.id());
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.closed(now);
                }
                if primary {
                    self.events.push_back(SessionEvent::Closed { session: id, reason });
                    self.close_rivals(local, peer, reason, now);
                }
            }
            frame => {
                let frame = self.sessions.get_mut(&id).and_then(|session| session.hold_back(frame));
                if let (Some(session), Some(frame)) = (self.current(id), frame) {
                    self.events.push_back(SessionEvent::Frame { session, frame });
                }
            }
        }
    }

    fn strike(&mut self, id: SessionId, now: Instant) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.phase == Phase::Open && session.strike() {
            self.penalties.retain(|_, until| *until > now);
            self.penalties.insert(session.peer.fingerprint(), now + PENALTY);
            self.end(id, Reason::Protocol, now);
        }
    }

    /// Closes a session for a reason of our own and says so.
    pub(super) fn end(&mut self, id: SessionId, reason: Reason, now: Instant) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let (local, peer, primary) = (session.local, session.peer.id(), session.is_primary());
        session.close(reason, now);
        session.flush(now, &mut self.jitter, &mut self.transmits);
        if primary {
            self.events.push_back(SessionEvent::Closed { session: id, reason });
            self.close_rivals(local, peer, reason, now);
        }
    }

    fn close_rivals(&mut self, local: LocalId, peer: NodeId, reason: Reason, now: Instant) {
        for session in self.sessions.values_mut().filter(|it| it.local == local && it.peer.id() == peer) {
            session.close(reason, now);
            session.flush(now, &mut self.jitter, &mut self.transmits);
        }
    }

    /// Whether `peer`, proven by a handshake it began, is welcome.
    pub(super) fn check_peer(&self, local: LocalId, peer: &PublicIdentity, now: Instant) -> Result<(), Drop> {
        let shunned = self.penalties.get(&peer.fingerprint()).is_some_and(|until| *until > now);
        if shunned || self.blocked.contains(&peer.id()) {
            return Err(Drop::Blocked);
        }
        if self.pins.get(&peer.id()).is_some_and(|pin| *pin != peer.fingerprint()) {
            return Err(Drop::KeyChanged);
        }
        self.check_key(local, peer)
    }

    /// Two keys with one ID do not share a peer's sessions.
    fn check_key(&self, local: LocalId, peer: &PublicIdentity) -> Result<(), Drop> {
        let other = |session: &Session| session.peer.id() == peer.id() && session.peer != *peer;
        let clash = self.sessions.values().any(|session| session.local == local && other(session));
        if clash { Err(Drop::KeyChanged) } else { Ok(()) }
    }

    pub(super) const fn next_id(&mut self) -> SessionId {
        let id = SessionId(self.next_id);
        self.next_id += 1;
        id
    }

    /// Queues `frame`; it leaves at once if the window has room. After a [`SessionEvent::Moved`] the old name
    /// still works.
    pub fn send(&mut self, session: SessionId, frame: &Frame, now: Now) {
        let Some(id) = self.current(session) else { return };
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.control.send(frame.clone(), now.mono) {
            session.flush(now.mono, &mut self.jitter, &mut self.transmits);
        }
    }

    /// Seals one media frame of `ticks` × 2.5 ms, captured at `captured`, and sends it; returns its sequence
    /// number. The `first` frame of a run is numbered by the clock, the others by the duration of the one before.
    /// `None` if it does not fit a datagram or the session is gone.
    pub fn send_media(
        &mut self,
        session: SessionId,
        captured: Instant,
        ticks: u8,
        first: bool,
        opus: &[u8],
        _now: Now,
    ) -> Option<u32> {
        let id = self.current(session)?;
        let session = self.sessions.get_mut(&id)?;
        session.send_media(captured, ticks, first, opus, &mut self.buffers, &mut self.transmits)
    }

    /// Whether a call is using the session: silence is then noticed sooner, and it is not closed for idleness.
    pub fn set_in_call(&mut self, session: SessionId, on: bool, now: Now) {
        if let Some(id) = self.current(session)
            && let Some(session) = self.sessions.get_mut(&id)
        {
            session.liveness.set_in_call(on, now.mono);
        }
    }

    /// The peer said something in the layer above that nobody honest says: a strike, of which the third closes the
    /// session.
    pub fn misbehaved(&mut self, session: SessionId, now: Now) {
        if let Some(id) = self.current(session) {
            self.strike(id, now.mono);
        }
    }

    /// Ends the session and all others with the same peer. No [`SessionEvent::Closed`] follows.
    pub fn close(&mut self, session: SessionId, reason: Reason, now: Now, _random: &mut Random) {
        let Some(session) = self.sessions.get(&session) else { return };
        let (local, peer) = (session.local, session.peer.id());
        self.close_rivals(local, peer, reason, now.mono);
    }

    /// Ends all sessions and attempts. No events follow.
    pub fn close_all(&mut self, reason: Reason, now: Now, _random: &mut Random) {
        self.dials.clear();
        for session in self.sessions.values_mut() {
            session.close(reason, now.mono);
            session.flush(now.mono, &mut self.jitter, &mut self.transmits);
        }
    }

    /// Closes the sessions that are not `used`: after a change of the network they may lead nowhere, and the peers must
    /// not rely on them either. A session is made again when it is needed.
    pub fn close_idle(&mut self, used: impl Fn(LocalId, NodeId) -> bool, now: Now) {
        for (id, session) in self.sessions.iter_mut().filter(|(_, session)| !used(session.local, session.peer.id())) {
            if session.close(Reason::Normal, now.mono) {
                session.flush(now.mono, &mut self.jitter, &mut self.transmits);
                self.events.push_back(SessionEvent::Closed { session: *id, reason: Reason::Normal });
            }
        }
    }

    /// Whether nothing is left to wait for: no session, not even a closing one, and no attempt.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.dials.is_empty()
    }

    /// HS_INITs that were worth a key agreement and a signature, since the start: at most 50 per second.
    pub const fn answered(&self) -> u64 {
        self.answered
    }

    /// What there is to know about a session.
    pub fn stats(&self, session: SessionId) -> Option<SessionStats> {
        let id = self.current(session)?;
        self.sessions.get(&id).map(Session::stats)
    }

    /// HMAC-SHA256 of both nonces under the digest of the handshake: what voice verification reads aloud. Equal on
    /// both sides of one session and of no other.
    pub fn verification_digest(&self, session: SessionId, nonces: [&[u8; 16]; 2]) -> Option<Digest> {
        let [first, second] = nonces;
        let id = self.current(session)?;
        self.sessions.get(&id).map(|session| session.transcript_mac(&[first, second]))
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now, random: &mut Random) {
        self.time_dials(now.mono, random);
        let expired = |open: &HalfOpen| open.until() <= now.mono;
        let stale: Vec<Sid> = self.half_open.iter().filter(|(_, open)| expired(open)).map(|(sid, _)| *sid).collect();
        stale.iter().for_each(|sid| self.drop_half_open(sid));
        self.completed.retain(|_, done| done.until > now.mono);
        let ids: Vec<SessionId> = self.sessions.keys().copied().collect();
        for id in ids {
            self.tend_keys(id, now.mono, random);
            self.time_session(id, now);
        }
        self.time_contests(now.mono);
    }

    fn time_dials(&mut self, now: Instant, random: &mut Random) {
        let mut over = Vec::new();
        for ((local, peer), dial) in &mut self.dials {
            dial.tend(now);
            if dial.is_over() {
                over.push((*local, *peer, dial.other_version));
            } else {
                dial.handle_timeout(*peer, now, random, &mut self.transmits);
            }
        }
        for (local, peer, other_version) in over {
            self.dials.remove(&(local, peer));
            let why = if other_version { ConnectError::Version } else { ConnectError::Timeout };
            self.connect_failed(local, peer, why);
        }
    }

    fn time_session(&mut self, id: SessionId, now: Now) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let due = session.handle_timeout(now, &mut self.jitter, &mut self.transmits);
        session.flush(now.mono, &mut self.jitter, &mut self.transmits);
        let (primary, path) = (session.is_primary(), session.path());
        match due {
            Some(Due::Over) => self.remove(id, now.mono),
            Some(Due::Unreachable) => self.lose(id, Reason::Unreachable, now.mono),
            Some(Due::Idle) => self.end(id, Reason::Normal, now.mono),
            Some(Due::Level(Level::Dropped)) => self.lose(id, Reason::PeerLost, now.mono),
            Some(Due::Level(level)) if primary => self.events.push_back(match level {
                Level::Lost | Level::Dropped => SessionEvent::Lost { session: id },
                Level::Good | Level::Unstable => SessionEvent::Unstable { session: id },
            }),
            Some(Due::PathChanged) if primary => {
                self.events.push_back(SessionEvent::PathChanged { session: id, path });
            }
            Some(Due::Silent) if primary => self.events.push_back(SessionEvent::Silent { session: id }),
            Some(Due::Level(_) | Due::PathChanged | Due::Silent) | None => {}
        }
    }

    /// The peer cannot be heard on `id` any more: another session takes over, or all is over.
    fn lose(&mut self, id: SessionId, reason: Reason, now: Instant) {
        let Some(session) = self.sessions.get(&id) else { return };
        let (local, peer, primary) = (session.local, session.peer.id(), session.is_primary());
        let other = self.contenders(local, peer).into_iter().find(|other| *other != id);
        match other {
            Some(other) if primary => self.move_to(other, now),
            None if primary => self.events.push_back(SessionEvent::Closed { session: id, reason }),
            _ => {}
        }
        self.remove(id, now);
    }

    fn remove(&mut self, id: SessionId, now: Instant) {
        if let Some(session) = self.sessions.remove(&id) {
            let caller = (session.side == Side::Responder).then(|| session.birthplace.prefix());
            self.slots.retire(session.slot, caller, now);
        }
    }

    /// Speaks `versions`: all of them are alike but in name.
    #[cfg(test)]
    pub(super) const fn speak(&mut self, versions: Versions) {
        self.versions = versions;
    }

    /// Sends a control packet with `text` as it is: what only a broken or hostile peer does.
    #[cfg(test)]
    pub(super) fn send_raw(&mut self, session: SessionId, text: &[u8], now: Now) {
        let session = self.sessions.get_mut(&session).unwrap();
        session.flush(now.mono, &mut self.jitter, &mut self.transmits);
        session.seal_to(session.path(), &mut self.transmits, |_, datagram| datagram.extend_from_slice(text));
    }

    /// Takes back the buffer of a datagram that was sent, or of media that were played, to use it again.
    pub fn give_back(&mut self, buffer: Vec<u8>) {
        self.buffers.give_back(buffer);
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let dials = self.dials.values().map(|dial| dial.next_due().map(|at| Deadline::new(at, "HS_INIT again")));
        let half_open = self.half_open.values().map(|open| Some(Deadline::new(open.until(), "half-open handshake")));
        let sessions = self.sessions.values().map(|session| {
            let (at, reason) = session.next_due();
            Some(Deadline::new(at, reason))
        });
        let contests = self.contests.values().map(|at| Some(Deadline::new(*at, "which session stays")));
        Deadline::earliest(dials.chain(half_open).chain(sessions).chain(contests).chain([self.keys_due()]))
    }
}
