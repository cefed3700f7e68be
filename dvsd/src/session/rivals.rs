// SPDX-License-Identifier: GPL-3.0-or-later
//! Several sessions with one peer: both dialled at once, or the peer restarted. Which one stays?
//!
//! Both sides must come to the same answer without agreeing on it first, whatever is lost in between. So each asks
//! every session whether the peer still has it, with heartbeats that only a peer who has it can answer:
//!
//! * all of them live: the one whose initiator has the lower ID stays, of several by the same initiator the newest.
//!   The others are closed with GLARE. As this is said only after the peer has proven the survivor, nobody is ever
//!   left with none.
//! * after 3 s some are silent: the peer has lost them, and they are forgotten.
//! * until then the one in use stays in use, unless the new one cannot have crossed it: then the peer has
//!   restarted, and the new one takes over as soon as it has proven itself.
//!
//! What a session says of calls counts only once the peer has proven that it has this session: a handshake and an
//! invitation that somebody held back and lets go later must not end the call that goes on meanwhile.
//!
//! Whoever is told GLARE about the session it uses takes another one, which it still hears for 10 s.

use core::time::Duration;

use crate::handshake::Side;
use crate::id::{LocalId, NodeId};
use crate::time::Instant;
use crate::wire::control::{Frame, Reason};

use super::established::{Phase, Session, Standing};
use super::sessions::Sessions;
use super::{SessionEvent, SessionId};

/// How long a session has to answer.
const CONTEST: Duration = Duration::from_secs(3);

impl Sessions {
    /// The sessions with `peer` that may stay.
    pub(super) fn contenders(&self, local: LocalId, peer: NodeId) -> Vec<SessionId> {
        let of_peer = |session: &&Session| session.local == local && session.peer.id() == peer;
        let contenders = self.sessions.values().filter(of_peer).filter(|session| session.is_contender());
        contenders.map(|session| session.id).collect()
    }

    /// A session joined: alone it is the one in use; with others, all are asked.
    pub(super) fn introduce(&mut self, id: SessionId, now: Instant) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let (local, peer) = (session.local, session.peer.id());
        let (fingerprint, initiated) = (session.peer.fingerprint(), session.side == Side::Initiator);
        let all = self.contenders(local, peer);
        if all.len() == 1 {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.standing = Standing::Primary;
            }
            self.events.push_back(SessionEvent::Established { session: id, local, peer, fingerprint, initiated });
            if !initiated {
                self.greet(id, now);
            }
            return;
        }
        self.contests.insert((local, peer), now + CONTEST);
        for id in all {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.probe(CONTEST, now, &mut self.jitter);
                session.flush(now, &mut self.jitter, &mut self.transmits);
            }
        }
    }

    /// Looks whether it can be told which session with `peer` stays.
    pub(super) fn settle(&mut self, local: LocalId, peer: NodeId, now: Instant) {
        let all = self.contenders(local, peer);
        if all.len() < 2 {
            return;
        }
        let sessions: Vec<&Session> = all.iter().filter_map(|id| self.sessions.get(id)).collect();
        let Some(newest) = sessions.iter().map(|session| session.established).max() else { return };
        let lives = |session: &&&Session| session.proof >= Some(newest);
        let living: Vec<&Session> = sessions.iter().filter(lives).copied().collect();
        let Some(best) = self.best(local, &living) else { return };
        if living.len() == sessions.len() || now >= newest + CONTEST {
            self.decide(best, &all, newest, now);
        } else if let Some(primary) = sessions.iter().find(|session| session.is_primary()) {
            let silent = primary.proof < Some(newest);
            let restarted = living.iter().find(|session| silent && !may_cross(primary, session));
            let from = primary.id;
            if let Some(to) = restarted.map(|session| session.id) {
                self.events.push_back(SessionEvent::Restarted { session: from });
                self.move_to(to, now);
            }
        }
    }

    /// Settles what can be settled for lack of answers.
    pub(super) fn time_contests(&mut self, now: Instant) {
        let due = self.contests.iter().filter(|(_, until)| **until <= now).map(|(pair, _)| *pair);
        let due: Vec<_> = due.collect();
        for (local, peer) in due {
            self.contests.remove(&(local, peer));
            self.settle(local, peer, now);
        }
    }

    fn best(&self, local: LocalId, living: &[&Session]) -> Option<SessionId> {
        let own = self.own_id(local)?;
        let rank = |session: &&&Session| (session.initiator(own), core::cmp::Reverse(session.established));
        living.iter().min_by_key(rank).map(|session| session.id)
    }

    /// `best` stays. Of the others those that live are told, those that are silent are forgotten.
    fn decide(&mut self, best: SessionId, all: &[SessionId], newest: Instant, now: Instant) {
        self.move_to(best, now);
        for id in all.iter().filter(|id| **id != best) {
            let Some(session) = self.sessions.get_mut(id) else { continue };
            let lives = session.proof >= Some(newest);
            session.retire(now);
            if lives {
                session.control.send(Frame::Close { reason: Reason::Glare }, now);
                session.flush(now, &mut self.jitter, &mut self.transmits);
            }
        }
        if let Some(session) = self.sessions.get_mut(&best) {
            session.liveness.stop_probing();
        }
    }

    /// Uses `to` from now on; what the peer has not acknowledged on the session before is queued there.
    pub(super) fn move_to(&mut self, to: SessionId, now: Instant) {
        let Some(new) = self.sessions.get(&to) else { return };
        let (local, peer) = (new.local, new.peer.id());
        let Some(from) = self.primary(local, peer) else {
            if let Some(new) = self.sessions.get_mut(&to) {
                new.standing = Standing::Primary;
            }
            return;
        };
        if from != to {
            self.hand_over(from, to, now);
        }
    }

    fn hand_over(&mut self, from: SessionId, to: SessionId, now: Instant) {
        let Some(old) = self.sessions.get_mut(&from) else { return };
        old.standing = Standing::Rival;
        let in_call = old.liveness.in_call();
        let frames = old.control.surrender(belongs_to_calls);
        old.liveness.set_in_call(false, now);
        let Some(new) = self.sessions.get_mut(&to) else { return };
        new.standing = Standing::Primary;
        new.liveness.set_in_call(in_call, now);
        for frame in frames {
            new.control.send(frame, now);
        }
        new.flush(now, &mut self.jitter, &mut self.transmits);
        self.events.push_back(SessionEvent::Moved { from, to });
    }

    /// The peer keeps another session than `id`.
    pub(super) fn handle_glare(&mut self, id: SessionId, now: Instant) {
        let Some(session) = self.sessions.get(&id) else { return };
        let (local, peer, primary) = (session.local, session.peer.id(), session.is_primary());
        let other = self.sessions.values().filter(|other| other.local == local && other.peer.id() == peer);
        let other = other.filter(|other| other.id != id && other.phase == Phase::Open).max_by_key(|other| other.proof);
        match other.map(|other| other.id) {
            Some(other) if primary => self.hand_over(id, other, now),
            Some(_) => {}
            None if primary => self.events.push_back(SessionEvent::Closed { session: id, reason: Reason::Glare }),
            None => {}
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            session.closed(now);
        }
    }
}

/// Whether the two handshakes may have crossed: the peer's began before our session was confirmed, and we did not dial
/// although we had its session already.
fn may_cross(a: &Session, b: &Session) -> bool {
    let (ours, theirs) = match (a.side, b.side) {
        (Side::Initiator, Side::Responder) => (a, b),
        (Side::Responder, Side::Initiator) => (b, a),
        _ => return false,
    };
    let came_first = theirs.established < ours.begun;
    !came_first && ours.first_heard.is_none_or(|heard| theirs.begun <= heard)
}

fn belongs_to_calls(frame: &Frame) -> bool {
    match frame {
        Frame::Close { .. } | Frame::RekeyInit { .. } | Frame::RekeyResp { .. } | Frame::RekeyReq { .. } => false,
        // An empty offer only keeps the place of a frame that has moved already.
        Frame::PathOffer { addresses } => !addresses.is_empty(),
        _ => true,
    }
}
