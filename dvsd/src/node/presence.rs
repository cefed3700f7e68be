// SPDX-License-Identifier: GPL-3.0-or-later
//! Presence: who of the contacts can be reached, for whoever looks at the list of contacts.
//!
//! It costs traffic and tells nodes of the overlay whom we look for, so contacts are asked for only while a client is
//! attached, each at most every five minutes, one after the other, and never those who are blocked or whose key changed.
//! An answer is a hint: somebody at that address says that it has this ID; only a session proves it. Calls and searches
//! that the user asked for come first: they begin their own search, and presence never ends one of theirs.
//!
//! | time | length | what it is for |
//! |---|---|---|
//! | [`GAP`] | 2 s | between two searches, and from the first client to the first search: a verb that only passes by costs nothing |
//! | [`REST`] | 5 min | between two searches for one contact |
//! | [`PATIENCE`] | 20 s | until a search that somebody else ended is given up |
//! | [`OFFLINE`] | 60 s | until the next search after one that no node at all answered |

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use super::{Event, MAIN, Node, Output};
use crate::id::NodeId;
use crate::people::Contact;
use crate::routing::Missing;
use crate::time::{Deadline, Instant, Now};

/// Between two searches: at most 150 contacts are asked for in five minutes, more take their turns.
pub(super) const GAP: Duration = Duration::from_secs(2);
/// Between two searches for the same contact.
pub(super) const REST: Duration = Duration::from_secs(300);
/// The longest a search is waited for; those of routing take 17 s.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nobody is asked for after no node answered.
const OFFLINE: Duration = Duration::from_secs(60);
/// Searches at a time; the others of routing are left to calls.
const MAX_AT_ONCE: usize = 8;

/// Whether a contact can be reached, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It was not asked for, or the answer says nothing.
    Unknown,
    /// It answered, or there is a session with it.
    Online {
        /// The round-trip time.
        rtt: Duration,
    },
    /// It was looked for in vain.
    Offline,
}

/// What is known of the contacts, and who is asked for next.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Whether anybody looks.
    attended: bool,
    /// When the last search began, and when the contacts are to be looked through next.
    last: Instant,
    next: Instant,
    /// Searches under way, and since when.
    pub(super) searches: BTreeMap<NodeId, Instant>,
    contacts: BTreeMap<NodeId, Known>,
}

/// What is known of one contact.
#[derive(Clone, Copy, Debug)]
struct Known {
    presence: Presence,
    /// When it may be asked for again.
    due: Instant,
}

impl Watch {
    /// Whether searches may begin at all. A node that hides itself must not show whom it knows, either: once there is
    /// such a mode, it belongs here.
    const fn may_ask(&self) -> bool {
        self.attended
    }

    fn due(&self, peer: NodeId) -> Instant {
        self.contacts.get(&peer).map_or(Instant::ZERO, |known| known.due)
    }

    fn set_due(&mut self, peer: NodeId, due: Instant) {
        self.contacts.entry(peer).or_insert(Known { presence: Presence::Unknown, due }).due = due;
    }

    /// Notes what is known of `peer` now; whether that is news.
    fn note(&mut self, peer: NodeId, presence: Presence, due: Instant) -> bool {
        let before = self.contacts.insert(peer, Known { presence, due });
        before.map_or(Presence::Unknown, |known| known.presence) != presence
    }

    /// A search begins, or might have: the next one follows after the gap.
    fn began(&mut self, now: Instant) {
        self.last = now;
        self.next = now + GAP;
    }

    /// Somebody may be due sooner than thought.
    fn hurry(&mut self) {
        self.next = self.next.min(self.last + GAP);
    }
}

impl Node {
    /// What is known of whether `peer` can be reached.
    pub fn presence(&self, peer: NodeId) -> Presence {
        self.watch.contacts.get(&peer).map_or(Presence::Unknown, |known| known.presence)
    }

    /// A client is attached, or none is any more: then nobody is asked for.
    pub(super) fn attended(&mut self, on: bool, now: Now) {
        if core::mem::replace(&mut self.watch.attended, on) == on {
            return;
        }
        if on {
            self.watch.began(now.mono);
        } else {
            let searches = core::mem::take(&mut self.watch.searches);
            searches.into_keys().for_each(|peer| self.end_presence_search(peer));
        }
    }

    /// The overlay was joined, or left: then nothing is known of anybody.
    pub(super) fn presence_network(&mut self, online: bool) {
        if online {
            return self.watch.hurry();
        }
        let mut known: Vec<NodeId> = self.watch.contacts.keys().copied().collect();
        known.retain(|peer| self.sessions.session_of(MAIN, *peer).is_none());
        for peer in known {
            self.note_presence(peer, Presence::Unknown, Instant::ZERO);
        }
    }

    /// Whether a search for `peer` is only ours, so that its end is up to us.
    fn is_only_presence(&self, peer: NodeId) -> bool {
        !self.lookups.contains_key(&peer) && !self.calls.calls().any(|call| call.key.peer == peer)
    }

    fn end_presence_search(&mut self, peer: NodeId) {
        if self.is_only_presence(peer) {
            self.routing.cancel(peer);
        }
    }

    /// Somebody who matters more is about to search for `peer`, and shall have the whole time for it.
    pub(super) fn presence_yields(&mut self, peer: NodeId) {
        if self.watch.searches.remove(&peer).is_some() {
            self.watch.set_due(peer, Instant::ZERO);
            if !self.lookups.contains_key(&peer) {
                self.routing.cancel(peer);
            }
        }
    }

    /// There is a session with `peer`: that is seen at its turn, which comes now.
    pub(super) fn presence_session(&mut self, peer: NodeId) {
        self.watch.searches.remove(&peer);
        if self.is_watched(peer) {
            self.watch.set_due(peer, Instant::ZERO);
            self.watch.hurry();
        }
    }

    /// `peer` answered somebody's search. True if only presence wanted to know: then the search is over.
    pub(super) fn presence_found(&mut self, peer: NodeId, addresses: &[(SocketAddr, Duration)], now: Now) -> bool {
        let quickest = addresses.iter().map(|(_, rtt)| *rtt).min();
        if let Some(rtt) = quickest.filter(|_| self.is_watched(peer)) {
            self.note_presence(peer, Presence::Online { rtt }, now.mono + REST);
        }
        let is_ours = self.watch.searches.remove(&peer).is_some() && self.is_only_presence(peer);
        if is_ours {
            self.routing.cancel(peer);
        }
        is_ours
    }

    /// `peer` was not found.
    pub(super) fn presence_missing(&mut self, peer: NodeId, why: Missing, now: Now) {
        if self.watch.searches.remove(&peer).is_none() || !self.is_watched(peer) {
            return;
        }
        let (presence, due) = match why {
            Missing::Offline => (Presence::Unknown, Instant::ZERO),
            Missing::NeedsRelay => (Presence::Unknown, now.mono + REST),
            Missing::Unknown | Missing::Unreachable => (Presence::Offline, now.mono + REST),
        };
        if why == Missing::Offline {
            self.watch.next = now.mono + OFFLINE;
        }
        self.note_presence(peer, presence, due);
    }

    fn is_watched(&self, peer: NodeId) -> bool {
        self.people.contact(peer).is_some_and(is_to_be_watched)
    }

    fn note_presence(&mut self, peer: NodeId, presence: Presence, due: Instant) {
        if self.watch.note(peer, presence, due) {
            self.outputs.push_back(Output::Event(Event::Presence { peer, presence }));
        }
    }

    /// A contact is new, or changed. Nothing is known any more of one that is gone, blocked, or shows another key.
    pub(super) fn presence_contact(&mut self, peer: NodeId) {
        if self.is_watched(peer) {
            return self.watch.hurry();
        }
        if self.watch.searches.remove(&peer).is_some() {
            self.end_presence_search(peer);
        }
        let known = self.watch.contacts.remove(&peer);
        if known.is_some_and(|known| known.presence != Presence::Unknown) {
            self.outputs.push_back(Output::Event(Event::Presence { peer, presence: Presence::Unknown }));
        }
    }

    /// Begins the search that is due.
    pub(super) fn presence_timeout(&mut self, now: Now) {
        if !self.watch.may_ask() || now.mono < self.watch.next {
            return;
        }
        self.watch.searches.retain(|_, since| now.mono.since(*since) < PATIENCE);
        self.watch.next = now.mono + GAP;
        if self.watch.searches.len() >= MAX_AT_ONCE {
            return;
        }
        match self.next_asked() {
            Some((due, peer)) if due <= now.mono => self.ask_presence(peer, now),
            Some((due, _)) => self.watch.next = due,
            None => self.watch.next = now.mono + REST,
        }
    }

    fn ask_presence(&mut self, peer: NodeId, now: Now) {
        self.watch.began(now.mono);
        let session = self.sessions.session_of(MAIN, peer);
        if let Some(stats) = session.and_then(|session| self.sessions.stats(session)) {
            let rtt = stats.rtt.unwrap_or_default();
            return self.note_presence(peer, Presence::Online { rtt }, now.mono + REST);
        }
        self.watch.set_due(peer, now.mono + self.random.jittered(REST).max(REST));
        self.watch.searches.insert(peer, now.mono);
        if !self.routing.is_searching(peer) {
            let hints = self.people.contact(peer).map(places).unwrap_or_default();
            self.routing.find(peer, &hints, now, &mut self.random);
        }
    }

    /// The contact that has waited longest, and since when it is due.
    fn next_asked(&self) -> Option<(Instant, NodeId)> {
        let contacts = self.people.contacts().filter(|contact| is_to_be_watched(contact)).map(|contact| contact.id);
        let waiting = contacts.filter(|peer| !self.watch.searches.contains_key(peer));
        waiting.map(|peer| (self.watch.due(peer), peer)).min()
    }

    /// When the next contact may be due.
    pub(super) fn presence_deadline(&self) -> Option<Deadline> {
        self.watch.may_ask().then(|| Deadline::new(self.watch.next, "presence"))
    }
}

/// Whether this contact is asked for.
const fn is_to_be_watched(contact: &Contact) -> bool {
    contact.is_named() && !contact.blocked && !contact.changed
}

/// The addresses at which this contact may be.
fn places(contact: &Contact) -> Vec<SocketAddr> {
    let hinted = contact.at.iter().filter_map(|hint| Some(SocketAddr::new(hint.host.parse().ok()?, hint.port)));
    contact.last_address.into_iter().chain(hinted).collect()
}
