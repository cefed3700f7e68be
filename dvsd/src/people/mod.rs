// SPDX-License-Identifier: GPL-3.0-or-later
//! Contacts, pinned keys, trust, and what is to happen with callers.
//!
//! The first key a contact shows is pinned (trust on first use), unless an invite gave its fingerprint before. From
//! then on another key is an error that the user sees, never a question that can be clicked away. A key that an ID
//! was seen with while it was nobody's contact is remembered for this run, so that adding a caller pins the key
//! that called.
//!
//! A contact whose key changed stays so until its user settles it: with the fingerprint of the key that is the right one
//! ([`People::verify`]), by comparing words in a call with the pinned key ([`People::verified_by_voice`]), or by removing
//! and adding it. No key is ever replaced by anything that comes from the network.
//!
//! [`verify`] is the exchange behind those words.

use core::net::SocketAddr;
use std::collections::{BTreeMap, VecDeque};

use thiserror::Error;

use crate::id::{Fingerprint, HostPort, IdError, Invite, NodeId};
use crate::time::Now;

mod book;
mod name;
mod policy;
pub mod verify;

pub use book::{Resolved, Target};
pub use name::{MAX_NAME, NameError};
pub use policy::{PeopleConfig, Policy, UnknownCallers, Verdict};

/// How many contacts, blocked peers included, an address book holds.
pub const MAX_CONTACTS: usize = 10_000;
/// How many keys of peers that are no contacts are remembered.
const MAX_STRANGERS: usize = 256;
/// `last_seen` is stored anew only after this many seconds, to spare the disk.
const SEEN_STEP: u64 = 60;

/// What is known of a peer's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// No key was ever seen, nor given by an invite.
    Unknown,
    /// A key is pinned.
    Seen,
    /// The pinned key was compared by voice or by fingerprint.
    Verified,
    /// The user wants nothing from this peer.
    Blocked,
    /// Another key than the pinned one showed up.
    Changed,
}

/// A person in the address book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Where the overlay knows it.
    pub id: NodeId,
    /// Unique regardless of case; empty for a blocked peer that is otherwise no contact.
    pub name: String,
    /// The fingerprint its key must have.
    pub fingerprint: Option<Fingerprint>,
    /// The pinned key was compared.
    pub verified: bool,
    /// Another key showed up. Stays until the contact is verified, or removed and added again.
    pub changed: bool,
    /// Nothing is wanted from it.
    pub blocked: bool,
    /// Seconds since 1970 of the last authenticated contact, to the minute.
    pub last_seen: Option<u64>,
    /// Where its latest invite says that it may be; at most [`MAX_HINTS`](crate::id::MAX_HINTS).
    pub at: Vec<HostPort>,
    /// Nodes through which its overlay can be joined, as its latest invite says; as many.
    pub via: Vec<(NodeId, HostPort)>,
    /// Where it was when it was talked to last.
    pub last_address: Option<SocketAddr>,
    /// Its calls are answered without asking, after an announcement: an intercom. Without effect while its key has
    /// changed.
    pub auto_answer: bool,
}

impl Contact {
    /// A contact of whom nothing but ID and name is known.
    pub const fn new(id: NodeId, name: String) -> Self {
        Self {
            id,
            name,
            fingerprint: None,
            verified: false,
            changed: false,
            blocked: false,
            last_seen: None,
            at: Vec::new(),
            via: Vec::new(),
            last_address: None,
            auto_answer: false,
        }
    }

    /// The one word for blocked, changed, verified, pinned or not, the gravest first.
    pub const fn trust(&self) -> Trust {
        match (self.blocked, self.changed, self.verified, self.fingerprint.is_some()) {
            (true, ..) => Trust::Blocked,
            (_, true, ..) => Trust::Changed,
            (_, _, true, _) => Trust::Verified,
            (.., true) => Trust::Seen,
            _ => Trust::Unknown,
        }
    }

    /// Takes over the addresses of an invite, if it has any.
    fn renew_addresses(&mut self, invite: &Invite) {
        if has_addresses(invite) {
            self.at.clone_from(&invite.at);
            self.via.clone_from(&invite.via);
        }
    }

    /// Adds to `invite` where this contact may be, the likeliest place first.
    fn complete(&self, invite: &mut Invite) {
        let last = self.last_address.and_then(|address| address.to_string().parse().ok());
        for address in last.iter().chain(&self.at) {
            if !invite.at.contains(address) {
                invite.at.push(address.clone());
            }
        }
        let news: Vec<_> = self.via.iter().filter(|node| !invite.via.contains(node)).cloned().collect();
        invite.via.extend(news);
    }

    /// Whether it is known which key it must have, and none other showed up since.
    pub const fn has_settled_key(&self) -> bool {
        self.fingerprint.is_some() && !self.changed
    }

    /// Whether the user gave it a name, not only blocked it.
    pub const fn is_named(&self) -> bool {
        !self.name.is_empty()
    }
}

/// Whether an invite says more than who is meant.
const fn has_addresses(invite: &Invite) -> bool {
    !(invite.at.is_empty() && invite.via.is_empty())
}

/// What others must know of a change here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeopleEvent {
    /// A contact is new or changed: to be stored and shown.
    Changed(Contact),
    /// A contact is gone.
    Removed(NodeId),
    /// From now on sessions with `peer` need this key; with `None`, any.
    Pin {
        /// Whose sessions.
        peer: NodeId,
        /// The key they need.
        fingerprint: Option<Fingerprint>,
    },
    /// From now on `peer` is kept out, or let in again.
    Block {
        /// Whom.
        peer: NodeId,
        /// Out, or in again.
        on: bool,
    },
    /// What happens with callers was changed: to be stored and shown.
    Policy(Policy),
}

/// Why the address book refused something.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PeopleError {
    /// The name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Another contact has the name.
    #[error("there is a contact named {0:?} already")]
    NameTaken(String),
    /// The peer is a contact already.
    #[error("this ID is in the contacts already, as {0:?}")]
    AlreadyContact(String),
    /// The ID is this daemon's own.
    #[error("this is your own ID")]
    OwnId,
    /// Neither a contact's name, nor an ID, nor an invite.
    #[error("there is no contact named {0:?}, and it is not an ID (dvs1…)")]
    NoSuchName(String),
    /// A valid ID, but of no contact.
    #[error("this ID is not in the contacts")]
    NotContact,
    /// Something like an ID or invite, but damaged.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The invite names another key than the one pinned or seen.
    #[error(
        "the invite's fingerprint is not the key known for this ID: somebody may be impersonating it; \
         compare fingerprints with its owner"
    )]
    KeyMismatch,
    /// A fingerprint that is not the pinned key's, of a contact whose key has not changed.
    #[error(
        "this is not the fingerprint of the key known for this contact: check it for typing errors, then compare it \
         with its owner by another way; if they have a new key, remove the contact and add it again"
    )]
    FingerprintMismatch,
    /// Only a contact whose key is known, and has not changed, is answered without asking.
    #[error("the key of this contact is not known yet, or has changed: talk to them, or verify it, first")]
    KeyNotSettled,
    /// The address book is full.
    #[error("the address book is full: {MAX_CONTACTS} contacts")]
    Full,
}

/// The peer shows another key than the pinned one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the peer shows another key than before")]
pub struct KeyChanged;

/// The address book, and the policy for callers.
#[derive(Clone, Debug)]
pub struct People {
    config: PeopleConfig,
    own: Vec<NodeId>,
    contacts: BTreeMap<NodeId, Contact>,
    /// Contacts by their name in lower case.
    names: BTreeMap<String, NodeId>,
    /// Keys of peers that are no contacts, oldest first.
    strangers: VecDeque<(NodeId, Fingerprint)>,
    rings: policy::Rings,
    events: VecDeque<PeopleEvent>,
}

impl People {
    /// The address book as it was stored; `own` are this daemon's IDs. Its first events are the pins and blocks that
    /// sessions must know.
    pub fn new(config: PeopleConfig, own: Vec<NodeId>, contacts: Vec<Contact>) -> Self {
        let mut people = Self {
            config,
            own,
            contacts: BTreeMap::new(),
            names: BTreeMap::new(),
            strangers: VecDeque::new(),
            rings: policy::Rings::default(),
            events: VecDeque::new(),
        };
        for contact in contacts {
            people.tell_sessions(&contact);
            if contact.is_named() {
                people.names.insert(name::folded(&contact.name), contact.id);
            }
            people.contacts.insert(contact.id, contact);
        }
        people
    }

    fn tell_sessions(&mut self, contact: &Contact) {
        let peer = contact.id;
        if contact.fingerprint.is_some() {
            self.events.push_back(PeopleEvent::Pin { peer, fingerprint: contact.fingerprint });
        }
        if contact.blocked {
            self.events.push_back(PeopleEvent::Block { peer, on: true });
        }
    }

    /// What happened, oldest first; to be drained after every call into this type.
    pub fn poll_event(&mut self) -> Option<PeopleEvent> {
        self.events.pop_front()
    }

    /// All contacts, by name; nameless blocked peers come first.
    pub fn contacts(&self) -> impl Iterator<Item = &Contact> {
        let nameless = self.contacts.values().filter(|contact| !contact.is_named());
        nameless.chain(self.names.values().filter_map(|id| self.contacts.get(id)))
    }

    /// The contact with this ID.
    pub fn contact(&self, id: NodeId) -> Option<&Contact> {
        self.contacts.get(&id)
    }

    /// The name the user gave this peer.
    pub fn name_of(&self, id: NodeId) -> Option<&str> {
        self.contacts.get(&id).filter(|contact| contact.is_named()).map(|contact| contact.name.as_str())
    }

    /// What is known of the key of any peer.
    pub fn trust_of(&self, id: NodeId) -> Trust {
        match self.contacts.get(&id) {
            Some(contact) => contact.trust(),
            None if self.stranger(id).is_some() => Trust::Seen,
            None => Trust::Unknown,
        }
    }

    /// A session with `peer` authenticated it by the key `fingerprint`, which is pinned if it is the contact's first.
    ///
    /// # Errors
    /// If another key is pinned: the session must be closed.
    pub fn seen(&mut self, peer: NodeId, fingerprint: Fingerprint, now: Now) -> Result<(), KeyChanged> {
        match self.contacts.get(&peer).map(|contact| contact.fingerprint) {
            Some(Some(pinned)) if pinned != fingerprint => {
                self.key_changed(peer);
                Err(KeyChanged)
            }
            Some(pinned) => {
                self.seen_contact(peer, pinned.is_none().then_some(fingerprint), now);
                Ok(())
            }
            None => self.seen_stranger(peer, fingerprint),
        }
    }

    fn seen_contact(&mut self, peer: NodeId, new_key: Option<Fingerprint>, now: Now) {
        let Some(contact) = self.contacts.get_mut(&peer) else { return };
        let stale = contact.last_seen.is_none_or(|seen| now.unix >= seen.saturating_add(SEEN_STEP) || now.unix < seen);
        if stale || new_key.is_some() {
            contact.last_seen = Some(now.unix);
        }
        if new_key.is_some() {
            contact.fingerprint = new_key;
            self.events.push_back(PeopleEvent::Pin { peer, fingerprint: new_key });
        }
        if stale || new_key.is_some() {
            self.events.push_back(PeopleEvent::Changed(contact.clone()));
        }
    }

    /// Somebody at `address` is `peer`, and was talked to. What is remembered of a contact is changed by that.
    pub fn reached(&mut self, peer: NodeId, address: SocketAddr) {
        let Some(contact) = self.contacts.get_mut(&peer) else { return };
        if contact.last_address != Some(address) {
            contact.last_address = Some(address);
            self.events.push_back(PeopleEvent::Changed(contact.clone()));
        }
    }

    fn seen_stranger(&mut self, peer: NodeId, fingerprint: Fingerprint) -> Result<(), KeyChanged> {
        match self.stranger(peer) {
            Some(known) if known != fingerprint => return Err(KeyChanged),
            Some(_) => return Ok(()),
            None => {}
        }
        if self.strangers.len() >= MAX_STRANGERS {
            self.strangers.pop_front();
        }
        self.strangers.push_back((peer, fingerprint));
        Ok(())
    }

    fn stranger(&self, peer: NodeId) -> Option<Fingerprint> {
        self.strangers.iter().find(|(id, _)| *id == peer).map(|(_, fingerprint)| *fingerprint)
    }

    /// Another key than the pinned one was shown for `peer`, and refused. The contact says so from now on; its
    /// verification no longer holds.
    pub fn key_changed(&mut self, peer: NodeId) {
        let Some(contact) = self.contacts.get_mut(&peer).filter(|contact| !contact.changed) else { return };
        contact.changed = true;
        contact.verified = false;
        self.events.push_back(PeopleEvent::Changed(contact.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: NodeId = NodeId([1; 20]);
    const KEY: Fingerprint = Fingerprint([3; 32]);
    const OTHER: Fingerprint = Fingerprint([4; 32]);

    fn people() -> People {
        let contacts = vec![Contact::new(ANNA, "Anna".into())];
        People::new(PeopleConfig::default(), vec![NodeId([9; 20])], contacts)
    }

    fn events(people: &mut People) -> Vec<PeopleEvent> {
        core::iter::from_fn(|| people.poll_event()).collect()
    }

    fn at(unix: u64) -> Now {
        Now { unix, ..Now::default() }
    }

    #[test]
    fn the_first_key_of_a_contact_is_pinned() {
        let mut people = people();
        assert_eq!(people.trust_of(ANNA), Trust::Unknown);
        assert_eq!(people.seen(ANNA, KEY, at(100)), Ok(()));
        assert_eq!(people.trust_of(ANNA), Trust::Seen);
        let pinned = people.contact(ANNA).unwrap().clone();
        assert_eq!((pinned.fingerprint, pinned.last_seen), (Some(KEY), Some(100)));
        let pin = PeopleEvent::Pin { peer: ANNA, fingerprint: Some(KEY) };
        assert_eq!(events(&mut people), [pin, PeopleEvent::Changed(pinned)]);
    }

    #[test]
    fn f03_another_key_is_refused_and_remembered_as_changed() {
        let mut people = people();
        people.seen(ANNA, KEY, at(100)).unwrap();
        people.verified_by_voice(ANNA, KEY).unwrap();
        assert_eq!(people.seen(ANNA, OTHER, at(200)), Err(KeyChanged));
        assert_eq!(people.trust_of(ANNA), Trust::Changed);
        assert_eq!(people.contact(ANNA).unwrap().fingerprint, Some(KEY));
        assert!(!people.contact(ANNA).unwrap().verified);
        people.seen(ANNA, KEY, at(300)).unwrap();
        assert_eq!(people.trust_of(ANNA), Trust::Changed);
    }

    #[test]
    fn last_seen_is_stored_once_per_minute() {
        let mut people = people();
        people.seen(ANNA, KEY, at(100)).unwrap();
        events(&mut people);
        people.seen(ANNA, KEY, at(159)).unwrap();
        assert_eq!(events(&mut people), []);
        people.seen(ANNA, KEY, at(160)).unwrap();
        assert_eq!(events(&mut people).len(), 1);
    }

    #[test]
    fn f03_a_stranger_must_keep_its_key_too() {
        let mut people = people();
        let stranger = NodeId([7; 20]);
        people.seen(stranger, KEY, at(1)).unwrap();
        assert_eq!(people.trust_of(stranger), Trust::Seen);
        assert_eq!(people.seen(stranger, OTHER, at(2)), Err(KeyChanged));
        assert_eq!(events(&mut people), []);
    }

    #[test]
    fn strangers_cost_bounded_memory() {
        let mut people = people();
        for index in 0..10_000_u32 {
            let id = NodeId(core::array::from_fn(|byte| index.to_be_bytes()[byte % 4] ^ 0x80));
            people.seen(id, KEY, at(1)).unwrap();
        }
        assert_eq!(people.strangers.len(), MAX_STRANGERS);
    }

    #[test]
    fn stored_pins_and_blocks_are_told_at_the_start() {
        let mut contact = Contact::new(ANNA, "Anna".into());
        contact.fingerprint = Some(KEY);
        contact.blocked = true;
        let mut people = People::new(PeopleConfig::default(), vec![], vec![contact]);
        let pin = PeopleEvent::Pin { peer: ANNA, fingerprint: Some(KEY) };
        assert_eq!(events(&mut people), [pin, PeopleEvent::Block { peer: ANNA, on: true }]);
    }

    #[test]
    fn of_several_truths_about_a_key_the_gravest_shows() {
        let mut contact = Contact::new(ANNA, "Anna".into());
        contact.fingerprint = Some(KEY);
        contact.verified = true;
        assert_eq!(contact.trust(), Trust::Verified);
        contact.changed = true;
        assert_eq!(contact.trust(), Trust::Changed);
        contact.blocked = true;
        assert_eq!(contact.trust(), Trust::Blocked);
    }
}
