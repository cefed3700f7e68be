// SPDX-License-Identifier: GPL-3.0-or-later
//! What each layer's events mean to the others.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use super::{Event, LookedUp, MAIN, Node, Output};
use crate::call::{CallEvent, CallKey, CallNumber, Direction, EndCause, State, Verdict};
use crate::id::{Fingerprint, NodeId};
use crate::path::Path;
use crate::people::{self, PeopleEvent};
use crate::routing::{Missing, RoutingEvent};
use crate::session::{ConnectError, SessionEvent, SessionId};
use crate::time::Now;
use crate::wire::control::{Frame, Reason};

/// Rounds of event passing after which a loop between layers must be assumed. Honest traffic needs fewer than five.
const MAX_ROUNDS: usize = 1_000;

impl Node {
    /// Passes events between the layers until all are silent, then collects what is to be sent.
    pub(super) fn pump(&mut self, now: Now) {
        for _ in 0..MAX_ROUNDS {
            let busy = self.pump_routing(now) | self.pump_sessions(now) | self.pump_calls(now) | self.pump_people(now);
            if !busy {
                break;
            }
        }
        while let Some(transmit) = self.sessions.poll_transmit() {
            self.outputs.push_back(Output::Transmit(transmit));
        }
        while let Some(transmit) = self.routing.poll_transmit() {
            self.outputs.push_back(Output::Transmit(transmit));
        }
    }

    fn pump_routing(&mut self, now: Now) -> bool {
        let Some(event) = self.routing.poll_event() else { return false };
        match event {
            RoutingEvent::Found { target, addresses, took } => {
                if self.presence_found(target, &addresses, now) {
                    return true;
                }
                self.looked_up(target, addresses.clone(), Some(took), None, now);
                let paths = addresses.into_iter().map(|(address, rtt)| (Path::direct(address), Some(rtt)));
                let paths: Vec<_> = paths.collect();
                if self.rescue_found(target, &paths, now) {
                    return true;
                }
                if self.calls.calls().any(|call| call.key.peer == target) {
                    self.found.entry(target).or_default().extend(paths);
                }
                self.peer_found(CallKey { local: MAIN, peer: target }, now);
            }
            RoutingEvent::NotFound { target, why } => {
                self.presence_missing(target, why, now);
                self.not_found(CallKey { local: MAIN, peer: target }, why, now);
            }
            RoutingEvent::Online | RoutingEvent::Offline | RoutingEvent::ObservedChanged(_) => {
                if !matches!(event, RoutingEvent::ObservedChanged(_)) {
                    self.presence_network(event == RoutingEvent::Online);
                }
                self.outputs.push_back(Output::Event(Event::Network));
            }
        }
        true
    }

    /// Tells the user who asked for a search what came of it.
    fn looked_up(
        &mut self,
        peer: NodeId,
        addresses: Vec<(SocketAddr, Duration)>,
        took: Option<Duration>,
        missing: Option<EndCause>,
        now: Now,
    ) {
        let Some(started) = self.lookups.remove(&peer) else { return };
        let took = took.unwrap_or(now.mono.since(started));
        self.outputs.push_back(Output::Event(Event::LookedUp(LookedUp { peer, addresses, took, missing })));
        if !self.calls.calls().any(|call| call.key.peer == peer) {
            self.forget_search(peer);
        }
    }

    /// Whoever answered may have lied, so the search goes on beside the handshake, which takes in what else it finds.
    fn peer_found(&mut self, key: CallKey, now: Now) {
        let mut calls = self.calls.calls().filter(|call| call.key == key);
        match calls.next().map(|call| call.state) {
            Some(State::Lookup) => {
                drop(calls);
                self.calls.peer_found(key, now);
            }
            Some(State::Connecting) => {
                drop(calls);
                self.connect(key, now);
            }
            _ => {}
        }
    }

    fn connect(&mut self, key: CallKey, now: Now) {
        let paths = self.found.remove(&key.peer).unwrap_or_default();
        self.sessions.connect(key.local, key.peer, &paths, now, &mut self.random);
    }

    /// The search is over. The call is, too, unless a handshake is under way or names are being resolved.
    fn not_found(&mut self, key: CallKey, why: Missing, now: Now) {
        if self.unresolved.get(&key.peer).is_some_and(|names| *names > 0) {
            return;
        }
        self.rescue_failed(key, now);
        let cause = match why {
            Missing::Offline => EndCause::Offline,
            Missing::Unknown => EndCause::NotFound,
            Missing::Unreachable => EndCause::Unreachable,
            Missing::NeedsRelay => EndCause::NeedsRelay,
        };
        self.looked_up(key.peer, Vec::new(), None, Some(cause), now);
        if self.calls.calls().all(|call| call.key != key) {
            return;
        }
        let cause = self.failed(key, cause);
        if !self.sessions.is_connecting(key.local, key.peer) {
            self.calls.peer_not_found(key, cause, now);
        }
    }

    /// Notes a failure; the most telling one so far.
    fn failed(&mut self, key: CallKey, cause: EndCause) -> EndCause {
        let known = self.failures.entry(key.peer).or_insert(cause);
        if *known == EndCause::Unreachable {
            *known = cause;
        }
        *known
    }

    fn pump_sessions(&mut self, now: Now) -> bool {
        let Some(event) = self.sessions.poll_event() else { return false };
        match event {
            SessionEvent::Established { session, local, peer, fingerprint, .. } => {
                self.established(session, CallKey { local, peer }, fingerprint, now);
            }
            SessionEvent::ConnectFailed { local, peer, why } => self.connect_failed(CallKey { local, peer }, why, now),
            SessionEvent::KeyChanged { peer, .. } => self.strange_key(peer),
            SessionEvent::Frame { session, frame } => self.frame_arrived(session, frame, now),
            SessionEvent::Media { session, seq, payload } => self.media_arrived(session, seq, payload),
            SessionEvent::Silent { session } => self.with_key(session, |node, key| node.silent(key, now)),
            SessionEvent::PathChanged { session, .. } => self.with_key(session, Self::show_route),
            SessionEvent::Unstable { session } => self.with_key(session, |node, key| {
                node.calls.session_unstable(key, true, now);
                node.challenge_known(key, now);
            }),
            SessionEvent::Lost { session } => self.with_key(session, |node, key| {
                node.calls.session_lost(key, now);
                node.rescue(key, false, now);
            }),
            SessionEvent::Recovered { session } => self.with_key(session, |node, key| {
                node.end_rescue(key);
                node.calls.session_recovered(key, now);
            }),
            SessionEvent::Restarted { session } => self.with_key(session, |node, key| node.restarted(key, now)),
            SessionEvent::Moved { from, to } => {
                if let Some(key) = self.peers.remove(&from) {
                    self.peers.insert(to, key);
                    self.verify_interrupted(key);
                    self.end_rescue(key);
                    self.calls.session_moved(key, now);
                }
            }
            SessionEvent::Closed { session, reason } => {
                if let Some(key) = self.peers.remove(&session) {
                    self.verify_interrupted(key);
                    self.end_rescue(key);
                    self.calls.session_closed(key, reason, now);
                }
            }
        }
        true
    }

    fn established(&mut self, session: SessionId, key: CallKey, fingerprint: Fingerprint, now: Now) {
        if self.people.seen(key.peer, fingerprint, now).is_err() {
            self.sessions.close(session, Reason::Blocked, now, &mut self.random);
            self.key_changed(key, now);
        } else {
            self.routing.cancel(key.peer);
            self.presence_session(key.peer);
            self.peers.insert(session, key);
            self.calls.session_up(key, now);
        }
    }

    /// A known peer shows another key than the pinned one: no call comes about, and the user is warned.
    fn key_changed(&mut self, key: CallKey, now: Now) {
        self.people.key_changed(key.peer);
        self.outputs.push_back(Output::Event(Event::KeyChanged(key.peer)));
        self.calls.abort(key, EndCause::KeyChanged, now);
    }

    /// Somebody called as `peer` with another key than the pinned one. The user is warned, once until it is settled;
    /// what goes on with the owner of the pinned key goes on.
    fn strange_key(&mut self, peer: NodeId) {
        if self.people.contact(peer).is_some_and(|contact| !contact.changed) {
            self.people.key_changed(peer);
            self.outputs.push_back(Output::Event(Event::KeyChanged(peer)));
        }
    }

    /// No handshake succeeded along the paths found so far. The call is over unless further ones may be found.
    fn connect_failed(&mut self, key: CallKey, why: ConnectError, now: Now) {
        let cause = match why {
            ConnectError::KeyChanged { .. } => return self.key_changed(key, now),
            ConnectError::Version => self.failed(key, EndCause::Version),
            ConnectError::Timeout | ConnectError::NoPath => self.failed(key, EndCause::Unreachable),
        };
        let is_resolving = self.unresolved.get(&key.peer).is_some_and(|names| *names > 0);
        if !is_resolving && !self.routing.is_searching(key.peer) {
            self.calls.peer_not_found(key, cause, now);
        }
    }

    fn frame_arrived(&mut self, session: SessionId, frame: Frame, now: Now) {
        let Some(key) = self.key_of(session) else { return };
        match frame {
            Frame::MediaReport(report) => {
                if let Some(call) = self.talking_number(key) {
                    self.outputs.push_back(Output::PeerReport { call, report });
                }
            }
            Frame::VerifyCommit { .. } | Frame::VerifyNonce { .. } | Frame::VerifyReveal { .. } => {
                self.verify_frame(session, key, &frame, now);
            }
            frame => {
                let (people, unasked) = (&mut self.people, &mut self.unasked);
                let verdict = || verdict(people.verdict(key.peer, now), key, unasked);
                self.calls.handle_frame(key, frame, verdict, now, &mut self.random);
            }
        }
    }

    fn media_arrived(&mut self, session: SessionId, seq: u32, payload: Vec<u8>) {
        if let Some(call) = self.key_of(session).and_then(|key| self.talking_number(key)) {
            self.outputs.push_back(Output::Play { call, seq, payload });
        }
    }

    fn pump_calls(&mut self, now: Now) -> bool {
        let Some(event) = self.calls.poll_event() else { return false };
        match event {
            CallEvent::FindPeer { key, .. } => self.find_peer(key, now),
            CallEvent::Connect { key } => self.connect(key, now),
            CallEvent::Send { key, frame } => {
                if let Some(session) = self.sessions.session_of(key.local, key.peer) {
                    self.sessions.send(session, &frame, now);
                }
            }
            CallEvent::StartMedia { key, number, .. } => {
                self.talking.insert(number, key);
                self.remember_address(key);
                let announce = self.unasked_answer(key, number);
                self.outputs.push_back(Output::StartAudio { call: number, announce });
            }
            CallEvent::StopMedia { number, .. } => {
                if let Some(key) = self.talking.remove(&number) {
                    self.spoken_with(key, now);
                    self.remember_address(key);
                }
                self.outputs.push_back(Output::StopAudio { call: number });
            }
            CallEvent::InCall { key, on } => {
                if let Some(session) = self.sessions.session_of(key.local, key.peer) {
                    self.sessions.set_in_call(session, on, now);
                }
            }
            CallEvent::Misbehaved { key } => {
                if let Some(session) = self.sessions.session_of(key.local, key.peer) {
                    self.sessions.misbehaved(session, now);
                }
            }
            CallEvent::Changed(view) => {
                self.outputs.push_back(Output::Event(Event::Call(view)));
                self.verify_call_changed(&view);
            }
            CallEvent::SessionDone { key } => self.stop_searching(key),
        }
        true
    }

    /// A call over a session that was there already counts as contact too.
    fn spoken_with(&mut self, key: CallKey, now: Now) {
        let session = self.sessions.session_of(key.local, key.peer);
        if let Some(stats) = session.and_then(|session| self.sessions.stats(session)) {
            // The session would not be there if the key were another.
            let _unchanged = self.people.seen(key.peer, stats.fingerprint, now);
        }
    }

    /// Where a contact is talked to, it may be found the next time, too.
    pub(super) fn remember_address(&mut self, key: CallKey) {
        let session = self.sessions.session_of(key.local, key.peer);
        if let Some(Path::Direct(address)) = session.and_then(|session| self.sessions.stats(session)).map(|s| s.path) {
            self.people.reached(key.peer, address);
        }
    }

    /// A session that is already there saves the whole search, if the peer still has it.
    fn find_peer(&mut self, key: CallKey, now: Now) {
        if self.sessions.session_of(key.local, key.peer).is_some() {
            self.calls.session_up(key, now);
            self.doubt(key, now);
        } else {
            self.presence_yields(key.peer);
            let hints = self.hints.get(&key.peer).cloned().unwrap_or_default();
            self.routing.find(key.peer, &hints, now, &mut self.random);
        }
    }

    /// The session itself stays for a while: the next call to the same peer starts at once.
    fn stop_searching(&mut self, key: CallKey) {
        self.sessions.cancel_connect(key.local, key.peer);
        self.end_rescue(key);
        self.hints.remove(&key.peer);
        if !self.lookups.contains_key(&key.peer) {
            self.forget_search(key.peer);
        }
        self.failures.remove(&key.peer);
        // What an invite said of the key held for the call it was dialled with.
        if !self.calls.calls().any(|call| call.key == key) {
            let pinned = self.people.contact(key.peer).and_then(|contact| contact.fingerprint);
            self.sessions.pin(key.peer, pinned);
        }
    }

    pub(super) fn forget_search(&mut self, peer: NodeId) {
        self.routing.cancel(peer);
        self.unresolved.remove(&peer);
        self.found.remove(&peer);
    }

    fn pump_people(&mut self, now: Now) -> bool {
        let Some(event) = self.people.poll_event() else { return false };
        let event = match event {
            PeopleEvent::Changed(contact) => {
                self.presence_contact(contact.id);
                Event::Contact(contact)
            }
            PeopleEvent::Removed(id) => {
                self.presence_contact(id);
                Event::ContactRemoved(id)
            }
            PeopleEvent::Policy(policy) => Event::Policy(policy),
            PeopleEvent::Pin { peer, fingerprint } => {
                self.pin(peer, fingerprint, now);
                return true;
            }
            PeopleEvent::Block { peer, on } => {
                self.sessions.block(peer, on);
                return true;
            }
        };
        self.outputs.push_back(Output::Event(event));
        true
    }

    /// Whether the sound of this call, which begins, is to begin with an announcement; says so if it was answered
    /// without asking. When it goes on after a hold, that is past.
    fn unasked_answer(&mut self, key: CallKey, number: CallNumber) -> bool {
        let incoming = self.calls.call(number).is_some_and(|view| view.direction == Direction::Incoming);
        let Some(announce) = self.unasked.remove(&key).filter(|_| incoming) else { return false };
        self.outputs.push_back(Output::Event(Event::AutoAnswered(number)));
        announce
    }

    /// From now on sessions with `peer` need this key. One that stands with another key ends, as does its call.
    pub(super) fn pin(&mut self, peer: NodeId, fingerprint: Option<Fingerprint>, now: Now) {
        self.sessions.pin(peer, fingerprint);
        let key = CallKey { local: MAIN, peer };
        let session = self.sessions.session_of(key.local, peer);
        let shown = session.and_then(|session| self.sessions.stats(session)).map(|stats| stats.fingerprint);
        if let Some(session) = session.filter(|_| fingerprint.is_some() && shown != fingerprint) {
            self.calls.abort(key, EndCause::KeyChanged, now);
            self.peers.remove(&session);
            self.sessions.close(session, Reason::Blocked, now, &mut self.random);
        }
    }

    fn key_of(&self, session: SessionId) -> Option<CallKey> {
        self.peers.get(&session).copied()
    }

    fn with_key(&mut self, session: SessionId, act: impl FnOnce(&mut Self, CallKey)) {
        if let Some(key) = self.key_of(session) {
            act(self, key);
        }
    }

    fn talking_number(&self, key: CallKey) -> Option<CallNumber> {
        self.talking.iter().find(|(_, talking)| **talking == key).map(|(number, _)| *number)
    }
}

/// What `people/` says of a caller, in the words of `call/`; the two do not know each other. Whether it is to be answered
/// without asking is noted in `unasked`.
fn verdict(verdict: people::Verdict, key: CallKey, unasked: &mut BTreeMap<CallKey, bool>) -> Verdict {
    unasked.remove(&key);
    match verdict {
        people::Verdict::Ring { contact } => Verdict::Ring { contact },
        people::Verdict::AutoAnswer { announce } => {
            unasked.insert(key, announce);
            Verdict::AutoAnswer
        }
        people::Verdict::Silent => Verdict::Silent,
        people::Verdict::Reject => Verdict::Reject,
        people::Verdict::Blocked => Verdict::Blocked,
    }
}
