// SPDX-License-Identifier: GPL-3.0-or-later
//! What is done when the peer of a call falls silent: where else may it be?
//!
//! | when | what |
//! |---|---|
//! | our own network has changed, or a session that was there already is dialled over | heartbeats, quickly |
//! | nothing heard for a second after that | known addresses are challenged, the peer is looked for; if it was dialled, a fresh handshake begins beside the session, which the peer may have lost |
//! | silence of 5 s | known addresses are challenged |
//! | silence of 10 s | the peer is looked for, and challenged wherever it is found |
//!
//! Timers: a search that came to nothing is repeated after [`AGAIN`], for as long as the silence lasts.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use super::{Event, MAIN, Node, Output};
use crate::call::{CallKey, CallView, Direction, EndCause, State};
use crate::id::NodeId;
use crate::path::Path;
use crate::session::SessionId;
use crate::time::{Deadline, Instant, Now};

/// How long after a search in vain the next one begins.
const AGAIN: Duration = Duration::from_secs(2);
/// Addresses of a peer that a dial brings and that are remembered while its call lasts.
pub(super) const MAX_KNOWN: usize = 16;

/// The searches for peers that are in a call with us and are not heard.
#[derive(Debug, Default)]
pub(super) struct Rescues(BTreeMap<CallKey, Rescue>);

#[derive(Debug, Default)]
struct Rescue {
    /// The peer is being dialled: it may have lost the session.
    dialled: bool,
    /// When it is looked for again.
    again: Option<Instant>,
}

impl Rescues {
    pub(super) fn next_due(&self) -> Option<Deadline> {
        let due = self.0.values().filter_map(|rescue| rescue.again).min();
        due.map(|at| Deadline::new(at, "looking for a lost peer again"))
    }
}

impl Node {
    /// Our addresses are others now: the peers of all calls learn it at once.
    pub(super) fn tell_new_address(&mut self, now: Now) {
        for key in self.calls.calls().map(|call| call.key).collect::<Vec<_>>() {
            self.doubt(key, now);
            if let Some(session) = self.sessions.session_of(key.local, key.peer) {
                let path = self.sessions.stats(session).map(|stats| stats.path);
                self.sessions.challenge(session, path.as_slice(), now, &mut self.random);
            }
        }
    }

    /// Whether the peer is still there is found out quickly.
    pub(super) fn doubt(&mut self, key: CallKey, now: Now) {
        if let Some(session) = self.sessions.session_of(key.local, key.peer) {
            self.sessions.doubt(session, now);
        }
    }

    /// Challenges the addresses of a silent peer that are known without asking anybody.
    pub(super) fn challenge_known(&mut self, key: CallKey, now: Now) {
        if !self.calls.is_live(key) {
            return;
        }
        if let Some(session) = self.sessions.session_of(key.local, key.peer) {
            let known = self.known_addresses(key, session).into_iter().map(Path::direct).collect::<Vec<_>>();
            self.sessions.challenge(session, &known, now, &mut self.random);
        }
    }

    /// A doubted peer is silent.
    pub(super) fn silent(&mut self, key: CallKey, now: Now) {
        let state = self.calls.calls().find(|call| call.key == key).map(|call| call.state);
        let dialled = matches!(state, Some(State::Calling));
        self.challenge_known(key, now);
        self.rescue(key, dialled, now);
    }

    /// Looks for the peer of a call.
    pub(super) fn rescue(&mut self, key: CallKey, dialled: bool, now: Now) {
        let Some(session) = self.sessions.session_of(key.local, key.peer).filter(|_| self.calls.is_live(key)) else {
            return;
        };
        let rescue = self.rescues.0.entry(key).or_default();
        rescue.dialled |= dialled;
        rescue.again = None;
        let known = self.known_addresses(key, session);
        self.routing.find(key.peer, &known, now, &mut self.random);
    }

    /// The peer is heard again, or not needed any more.
    pub(super) fn end_rescue(&mut self, key: CallKey) {
        if self.rescues.0.remove(&key).is_some() && !self.lookups.contains_key(&key.peer) {
            self.forget_search(key.peer);
        }
    }

    /// Somebody who says that it is `peer` answered at these addresses. True if they were of use.
    pub(super) fn rescue_found(&mut self, peer: NodeId, found: &[(Path, Option<Duration>)], now: Now) -> bool {
        let key = CallKey { local: MAIN, peer };
        let Some(rescue) = self.rescues.0.get(&key) else { return false };
        let Some(session) = self.sessions.session_of(key.local, key.peer) else { return false };
        if rescue.dialled {
            self.sessions.connect_beside(session, found, now, &mut self.random);
        }
        let paths: Vec<Path> = found.iter().map(|(path, _)| *path).collect();
        self.sessions.challenge(session, &paths, now, &mut self.random);
        true
    }

    /// A search is over.
    pub(super) fn rescue_failed(&mut self, key: CallKey, now: Now) {
        if let Some(rescue) = self.rescues.0.get_mut(&key) {
            rescue.again = Some(now.mono + AGAIN);
        }
    }

    /// Begins the searches that are due.
    pub(super) fn time_rescues(&mut self, now: Now) {
        let due = self.rescues.0.iter().filter(|(_, rescue)| rescue.again.is_some_and(|at| at <= now.mono));
        for key in due.map(|(key, _)| *key).collect::<Vec<_>>() {
            self.rescue(key, false, now);
        }
    }

    /// The peer has started again and knows nothing of a call that we made and it had answered: what it dials now is no
    /// dial that crossed ours.
    pub(super) fn restarted(&mut self, key: CallKey, now: Now) {
        let ours = |call: &CallView| call.key == key && call.direction == Direction::Outgoing;
        let talks = |call: &CallView| matches!(call.state, State::Active | State::Held | State::Reconnecting);
        if self.calls.calls().any(|call| ours(&call) && talks(&call)) {
            self.calls.abort(key, EndCause::PeerRestarted, now);
        }
    }

    /// The peer of a call is elsewhere: clients are shown where.
    pub(super) fn show_route(&mut self, key: CallKey) {
        let calls = self.calls.calls().filter(|call| call.key == key);
        self.outputs.extend(calls.map(|call| Output::Event(Event::Call(call))));
        if self.talking.values().any(|talking| *talking == key) {
            self.remember_address(key);
        }
    }

    /// Where the peer is, was, or may be, as far as we know.
    fn known_addresses(&self, key: CallKey, session: SessionId) -> Vec<SocketAddr> {
        let current = self.sessions.stats(session).and_then(|stats| stats.path.address());
        let mut known: Vec<SocketAddr> = current.into_iter().collect();
        known.extend(self.routing.known(key.peer));
        known.extend(self.hints.get(&key.peer).into_iter().flatten());
        if let Some(contact) = self.people.contact(key.peer) {
            known.extend(contact.last_address);
            let literal = contact.at.iter().filter_map(|at| Some(SocketAddr::new(at.host.parse().ok()?, at.port)));
            known.extend(literal);
        }
        known.sort_unstable();
        known.dedup();
        known.truncate(MAX_KNOWN);
        known
    }
}
