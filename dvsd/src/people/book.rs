// SPDX-License-Identifier: GPL-3.0-or-later
//! The address book: find, add, rename, remove, block, verify.

use super::name::{checked, folded, looks_like_id};
use super::{Contact, MAX_CONTACTS, People, PeopleError, PeopleEvent, has_addresses};
use crate::id::{Fingerprint, Invite, NodeId};

/// Whom an entered text means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Who, with the address hints of an invite and those known of a contact. Its fingerprint is the one a session needs: the pinned one, or
    /// the invite's, or none.
    pub invite: Invite,
    /// The contact's name, if it is one.
    pub name: Option<String>,
    /// What it is to us.
    pub target: Target,
}

/// What an ID is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// One of this daemon's own.
    Own,
    /// In the address book.
    Contact,
    /// In the address book, but showed another key than the pinned one, or its words differed: not to be called before
    /// that is settled.
    Changed,
    /// Blocked, named or not.
    Blocked,
    /// None of these.
    Stranger,
}

impl People {
    /// Whom `text` means: a contact's name, regardless of case, else an ID or an invite.
    ///
    /// # Errors
    /// If it is none of these, or an invite that contradicts the key known for its ID.
    pub fn resolve(&self, text: &str) -> Result<Resolved, PeopleError> {
        let text = text.trim();
        let mut invite = match self.names.get(&folded(text)) {
            Some(id) => Invite::bare(*id),
            None => parsed(text)?,
        };
        invite.fingerprint = self.agreed_key(&invite)?;
        if let Some(contact) = self.contacts.get(&invite.id) {
            contact.complete(&mut invite);
        }
        let name = self.name_of(invite.id).map(str::to_owned);
        let target = match self.contacts.get(&invite.id) {
            _ if self.own.contains(&invite.id) => Target::Own,
            Some(contact) if contact.blocked => Target::Blocked,
            Some(contact) if contact.changed => Target::Changed,
            Some(_) => Target::Contact,
            None => Target::Stranger,
        };
        Ok(Resolved { invite, name, target })
    }

    /// The key for the peer of `invite`, from all that is known of it.
    fn agreed_key(&self, invite: &Invite) -> Result<Option<Fingerprint>, PeopleError> {
        let pinned = self.contacts.get(&invite.id).and_then(|contact| contact.fingerprint);
        match (pinned.or_else(|| self.stranger(invite.id)), invite.fingerprint) {
            (Some(known), Some(given)) if known != given => Err(PeopleError::KeyMismatch),
            (known, given) => Ok(known.or(given)),
        }
    }

    /// The contact that `text` means by its name, ID or invite.
    fn meant(&self, text: &str) -> Result<NodeId, PeopleError> {
        let id = match self.names.get(&folded(text.trim())) {
            Some(id) => *id,
            None => parsed(text.trim())?.id,
        };
        self.contacts.contains_key(&id).then_some(id).ok_or(PeopleError::NotContact)
    }

    /// Stores a contact under `name`; `target` is an ID or an invite, whose fingerprint is pinned. So is a key that
    /// this ID was seen with before. An invite with addresses may be added again under the same name: then these
    /// replace the ones known.
    ///
    /// # Errors
    /// For a name or target that cannot be used, or a full address book.
    pub fn add(&mut self, name: &str, target: &str) -> Result<Contact, PeopleError> {
        let name = checked(name)?;
        let invite = parsed(target.trim())?;
        if self.own.contains(&invite.id) {
            return Err(PeopleError::OwnId);
        }
        let renews = |known: &str| folded(known) == folded(name) && has_addresses(&invite);
        if let Some(known) = self.name_of(invite.id).filter(|known| !renews(known)) {
            return Err(PeopleError::AlreadyContact(known.to_owned()));
        }
        self.check_free(name, invite.id)?;
        let fingerprint = self.agreed_key(&invite)?;
        let mut contact = self.entry(invite.id)?;
        if !contact.is_named() {
            contact.name = name.to_owned();
        }
        contact.renew_addresses(&invite);
        if contact.fingerprint != fingerprint {
            contact.fingerprint = fingerprint;
            self.events.push_back(PeopleEvent::Pin { peer: contact.id, fingerprint });
        }
        self.strangers.retain(|(id, _)| *id != invite.id);
        self.names.insert(folded(name), invite.id);
        Ok(self.put(contact))
    }

    /// Gives the contact known as `contact` (name, ID or invite) another name.
    ///
    /// # Errors
    /// If there is no such contact, or the name cannot be used.
    pub fn rename(&mut self, contact: &str, name: &str) -> Result<Contact, PeopleError> {
        let id = self.meant(contact)?;
        let name = checked(name)?;
        self.check_free(name, id)?;
        let mut contact = self.entry(id)?;
        self.names.remove(&folded(&contact.name));
        self.names.insert(folded(name), id);
        contact.name = name.to_owned();
        Ok(self.put(contact))
    }

    /// Forgets the contact known as `contact`, its pinned key included. A blocked one is unblocked by that.
    ///
    /// # Errors
    /// If there is no such contact.
    pub fn remove(&mut self, contact: &str) -> Result<Contact, PeopleError> {
        let id = self.meant(contact)?;
        self.forget(id).ok_or(PeopleError::NotContact)
    }

    /// Blocks anybody, or unblocks: a contact by name, others by ID or invite. A nameless peer is forgotten when
    /// it is unblocked.
    ///
    /// # Errors
    /// If `target` is nobody, is ourselves, or is not blocked and no contact either.
    pub fn block(&mut self, target: &str, on: bool) -> Result<Contact, PeopleError> {
        let resolved = self.names.get(&folded(target.trim())).copied();
        let id = resolved.map_or_else(|| parsed(target.trim()).map(|invite| invite.id), Ok)?;
        if self.own.contains(&id) {
            return Err(PeopleError::OwnId);
        }
        let known = self.contacts.get(&id);
        if !on && known.is_none() {
            return Err(PeopleError::NotContact);
        }
        if !on && known.is_some_and(|contact| !contact.is_named()) {
            let unblocked = |contact| Contact { blocked: false, ..contact };
            return self.forget(id).map(unblocked).ok_or(PeopleError::NotContact);
        }
        let mut contact = self.entry(id)?;
        if contact.blocked != on {
            contact.blocked = on;
            self.events.push_back(PeopleEvent::Block { peer: id, on });
        }
        Ok(self.put(contact))
    }

    /// The user has `fingerprint` from the owner of the contact known as `contact` (name, ID or invite). If it is the
    /// pinned key's, the contact is verified; if none is pinned, it is pinned from now on, and verified. This settles a
    /// changed key, too: then, and only then, `fingerprint` may be another than the pinned one, and replaces it.
    ///
    /// # Errors
    /// If there is no such contact, or its key did not change and has another fingerprint.
    pub fn verify(&mut self, contact: &str, fingerprint: Fingerprint) -> Result<Contact, PeopleError> {
        let id = self.meant(contact)?;
        let known = self.entry(id)?;
        if known.fingerprint.is_some_and(|pinned| pinned != fingerprint) && !known.changed {
            return Err(PeopleError::FingerprintMismatch);
        }
        self.settle(known, fingerprint)
    }

    /// The users compared words that only they have who share a session in which `peer` showed the key `fingerprint`.
    /// Settles a changed key, too, but never replaces the pinned one.
    ///
    /// # Errors
    /// If `peer` is no contact, or another key is pinned.
    pub fn verified_by_voice(&mut self, peer: NodeId, fingerprint: Fingerprint) -> Result<Contact, PeopleError> {
        let known = self.contacts.get(&peer).cloned().ok_or(PeopleError::NotContact)?;
        if known.fingerprint.is_some_and(|pinned| pinned != fingerprint) {
            return Err(PeopleError::FingerprintMismatch);
        }
        self.settle(known, fingerprint)
    }

    fn settle(&mut self, mut contact: Contact, fingerprint: Fingerprint) -> Result<Contact, PeopleError> {
        if contact.fingerprint != Some(fingerprint) {
            contact.fingerprint = Some(fingerprint);
            self.events.push_back(PeopleEvent::Pin { peer: contact.id, fingerprint: contact.fingerprint });
        }
        contact.verified = true;
        contact.changed = false;
        Ok(self.put(contact))
    }

    /// Whether calls of the contact known as `contact` (name, ID or invite) are answered without asking.
    ///
    /// # Errors
    /// If there is no such contact, or it is to be answered but its key is not known, or has changed.
    pub fn set_auto_answer(&mut self, contact: &str, on: bool) -> Result<Contact, PeopleError> {
        let id = self.meant(contact)?;
        let mut contact = self.entry(id)?;
        if on && !contact.has_settled_key() {
            return Err(PeopleError::KeyNotSettled);
        }
        contact.auto_answer = on;
        Ok(self.put(contact))
    }

    fn check_free(&self, name: &str, id: NodeId) -> Result<(), PeopleError> {
        let taken = self.names.get(&folded(name)).filter(|holder| **holder != id);
        match taken.and_then(|holder| self.name_of(*holder)) {
            Some(name) => Err(PeopleError::NameTaken(name.to_owned())),
            None => Ok(()),
        }
    }

    /// The entry of `id`, or a new one if there is room.
    fn entry(&self, id: NodeId) -> Result<Contact, PeopleError> {
        match self.contacts.get(&id) {
            Some(contact) => Ok(contact.clone()),
            None if self.contacts.len() >= MAX_CONTACTS => Err(PeopleError::Full),
            None => Ok(Contact::new(id, String::new())),
        }
    }

    fn put(&mut self, contact: Contact) -> Contact {
        if self.contacts.get(&contact.id) != Some(&contact) {
            self.contacts.insert(contact.id, contact.clone());
            self.events.push_back(PeopleEvent::Changed(contact.clone()));
        }
        contact
    }

    fn forget(&mut self, id: NodeId) -> Option<Contact> {
        let contact = self.contacts.remove(&id)?;
        self.names.remove(&folded(&contact.name));
        if contact.fingerprint.is_some() {
            self.events.push_back(PeopleEvent::Pin { peer: id, fingerprint: None });
        }
        if contact.blocked {
            self.events.push_back(PeopleEvent::Block { peer: id, on: false });
        }
        self.events.push_back(PeopleEvent::Removed(id));
        Some(contact)
    }
}

/// `text` as an ID or invite. What was not even meant as one is a name that nobody has.
fn parsed(text: &str) -> Result<Invite, PeopleError> {
    text.parse().map_err(|error| match looks_like_id(text) {
        true => PeopleError::Id(error),
        false => PeopleError::NoSuchName(text.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{NameError, PeopleConfig, Trust};
    use super::*;
    use crate::id::IdError;
    use crate::time::Now;

    const ANNA: NodeId = NodeId([1; 20]);
    const BERT: NodeId = NodeId([2; 20]);
    const OWN: NodeId = NodeId([9; 20]);
    const KEY: Fingerprint = Fingerprint([3; 32]);
    const OTHER: Fingerprint = Fingerprint([4; 32]);

    /// Anna is a contact, we are `OWN`.
    fn people() -> People {
        let mut people = People::new(PeopleConfig::default(), vec![OWN], vec![]);
        people.add("Anna", &ANNA.to_string()).unwrap();
        events(&mut people);
        people
    }

    fn events(people: &mut People) -> Vec<PeopleEvent> {
        core::iter::from_fn(|| people.poll_event()).collect()
    }

    fn invite(id: NodeId, fingerprint: Fingerprint) -> String {
        Invite { fingerprint: Some(fingerprint), ..Invite::bare(id) }.to_string()
    }

    #[test]
    fn a_text_is_a_name_or_an_id_or_an_invite() {
        let people = people();
        let whom = |text: &str| people.resolve(text).map(|resolved| (resolved.invite.id, resolved.target));
        assert_eq!(whom(" aNNa "), Ok((ANNA, Target::Contact)));
        assert_eq!(whom(&ANNA.to_hex()), Ok((ANNA, Target::Contact)));
        assert_eq!(whom(&OWN.to_string()), Ok((OWN, Target::Own)));
        let resolved = people.resolve(&format!("dvs:{BERT}?at=198.18.0.1:5004")).unwrap();
        assert_eq!((resolved.target, resolved.name, resolved.invite.at.len()), (Target::Stranger, None, 1));
        assert_eq!(people.resolve("anna").unwrap().name.as_deref(), Some("Anna"));
    }

    #[test]
    fn a_text_that_means_nobody_says_what_is_wrong_with_it() {
        let people = people();
        assert_eq!(people.resolve("Ann"), Err(PeopleError::NoSuchName("Ann".into())));
        assert_eq!(people.resolve("abba"), Err(PeopleError::NoSuchName("abba".into())));
        let mistyped = format!("{}q", &ANNA.to_string()[..41]);
        assert_eq!(people.resolve(&mistyped), Err(PeopleError::Id(IdError::Checksum)));
        assert_eq!(people.resolve(&ANNA.to_hex()[..38]), Err(PeopleError::Id(IdError::Length)));
    }

    #[test]
    fn an_added_contact_is_stored_and_an_invites_key_pinned() {
        let mut people = people();
        let contact = people.add(" Bert ", &invite(BERT, KEY)).unwrap();
        assert_eq!((contact.name.as_str(), contact.trust()), ("Bert", Trust::Seen));
        let pin = PeopleEvent::Pin { peer: BERT, fingerprint: Some(KEY) };
        assert_eq!(events(&mut people), [pin, PeopleEvent::Changed(contact)]);
        assert_eq!(people.resolve("bert").unwrap().invite.fingerprint, Some(KEY));
        assert_eq!(people.contacts().map(|contact| contact.name.as_str()).collect::<Vec<_>>(), ["Anna", "Bert"]);
    }

    #[test]
    fn a_contact_that_makes_no_sense_is_refused_by_a_named_reason() {
        let mut people = people();
        let bert = BERT.to_string();
        assert_eq!(people.add("", &bert), Err(PeopleError::Name(NameError::Empty)));
        assert_eq!(people.add("ANNA", &bert), Err(PeopleError::NameTaken("Anna".into())));
        assert_eq!(people.add("Ann", &ANNA.to_string()), Err(PeopleError::AlreadyContact("Anna".into())));
        assert_eq!(people.add("Me", &OWN.to_string()), Err(PeopleError::OwnId));
        assert_eq!(people.add("Carl", "Anna"), Err(PeopleError::NoSuchName("Anna".into())));
        assert_eq!(events(&mut people), []);
    }

    #[test]
    fn an_invite_must_name_the_key_that_is_known() {
        let mut people = people();
        people.seen(ANNA, KEY, Now::default()).unwrap();
        people.seen(BERT, KEY, Now::default()).unwrap();
        assert_eq!(people.resolve(&invite(ANNA, OTHER)), Err(PeopleError::KeyMismatch));
        assert_eq!(people.add("Bert", &invite(BERT, OTHER)), Err(PeopleError::KeyMismatch));
        assert!(people.resolve(&invite(ANNA, KEY)).is_ok());
    }

    #[test]
    fn adding_a_caller_pins_the_key_that_called() {
        let mut people = people();
        people.seen(BERT, KEY, Now::default()).unwrap();
        assert_eq!(people.add("Bert", &BERT.to_string()).unwrap().fingerprint, Some(KEY));
        assert!(events(&mut people).contains(&PeopleEvent::Pin { peer: BERT, fingerprint: Some(KEY) }));
    }

    #[test]
    fn a_contact_keeps_the_addresses_of_its_invite_and_where_it_was_last() {
        let mut people = people();
        let invite = format!("dvs:{BERT}?at=198.18.0.1:5004&at=bert.example:5004&via={ANNA}@198.18.0.9:5004");
        people.add("Bert", &invite).unwrap();
        let texts = |people: &People, text: &str| {
            let invite = people.resolve(text).unwrap().invite;
            let at: Vec<String> = invite.at.iter().map(ToString::to_string).collect();
            (at, invite.via.len())
        };
        assert_eq!(texts(&people, "bert"), (vec!["198.18.0.1:5004".into(), "bert.example:5004".into()], 1));
        people.reached(BERT, "198.18.0.2:6000".parse().unwrap());
        people.reached(BERT, "198.18.0.1:5004".parse().unwrap());
        assert_eq!(texts(&people, &BERT.to_string()).0, ["198.18.0.1:5004", "bert.example:5004"]);
        events(&mut people);
        people.reached(BERT, "198.18.0.1:5004".parse().unwrap());
        assert_eq!(events(&mut people), [], "no news need not be stored");
        people.reached(BERT, "[2001:db8::2]:6000".parse().unwrap());
        let typed = format!("dvs:{BERT}?at=198.18.7.7:5004");
        let at = ["198.18.7.7:5004", "[2001:db8::2]:6000", "198.18.0.1:5004", "bert.example:5004"];
        assert_eq!(texts(&people, &typed).0, at);
    }

    #[test]
    fn adding_an_invite_again_renews_its_addresses_and_nothing_else() {
        let mut people = people();
        people.add("Bert", &format!("dvs:{BERT}?at=198.18.0.1:5004&via={ANNA}@198.18.0.9:5004")).unwrap();
        let newer = format!("dvs:{BERT}?at=198.18.0.2:5004");
        let contact = people.add("bert", &newer).unwrap();
        assert_eq!(
            (contact.at[0].to_string().as_str(), contact.at.len(), contact.via.len()),
            ("198.18.0.2:5004", 1, 0)
        );
        let taken = Err(PeopleError::AlreadyContact("Bert".into()));
        assert_eq!(people.add("Robert", &newer), taken);
        assert_eq!(people.add("bert", &BERT.to_string()), taken);
        assert_eq!(people.contacts().count(), 2);
    }

    #[test]
    fn a_contact_can_be_renamed_by_name_or_id() {
        let mut people = people();
        assert_eq!(people.rename("anna", "ANNA").unwrap().name, "ANNA");
        assert_eq!(people.rename(&ANNA.to_hex(), "Annika").unwrap().name, "Annika");
        assert_eq!(people.rename("Anna", "X"), Err(PeopleError::NoSuchName("Anna".into())));
        assert_eq!(people.rename(&BERT.to_hex(), "X"), Err(PeopleError::NotContact));
        people.add("Bert", &BERT.to_string()).unwrap();
        assert_eq!(people.rename("Bert", "annika"), Err(PeopleError::NameTaken("Annika".into())));
    }

    #[test]
    fn a_removed_contact_is_forgotten_with_its_key() {
        let mut people = people();
        people.seen(ANNA, KEY, Now::default()).unwrap();
        events(&mut people);
        people.remove("Anna").unwrap();
        let unpin = PeopleEvent::Pin { peer: ANNA, fingerprint: None };
        assert_eq!(events(&mut people), [unpin, PeopleEvent::Removed(ANNA)]);
        assert_eq!(people.trust_of(ANNA), Trust::Unknown);
        assert_eq!(people.remove("Anna"), Err(PeopleError::NoSuchName("Anna".into())));
        people.add("Anna", &BERT.to_string()).unwrap();
    }

    #[test]
    fn anybody_can_be_blocked_and_unblocked() {
        let mut people = people();
        assert_eq!(people.block("Anna", true).unwrap().trust(), Trust::Blocked);
        assert!(events(&mut people).contains(&PeopleEvent::Block { peer: ANNA, on: true }));
        assert_eq!(people.resolve("Anna").unwrap().target, Target::Blocked);
        assert_eq!(people.block("Anna", false).unwrap().trust(), Trust::Unknown);
        assert_eq!(people.block(&BERT.to_string(), true).unwrap().name, "");
        assert_eq!(people.block(&BERT.to_string(), true).unwrap().trust(), Trust::Blocked);
        events(&mut people);
        people.block(&BERT.to_string(), false).unwrap();
        let unblock = PeopleEvent::Block { peer: BERT, on: false };
        assert_eq!(events(&mut people), [unblock, PeopleEvent::Removed(BERT)]);
        assert_eq!(people.block(&BERT.to_string(), false), Err(PeopleError::NotContact));
        assert_eq!(people.block(&OWN.to_string(), true), Err(PeopleError::OwnId));
    }

    #[test]
    fn a_blocked_stranger_can_become_a_contact_and_stays_blocked() {
        let mut people = people();
        people.block(&BERT.to_string(), true).unwrap();
        assert_eq!(people.add("Bert", &BERT.to_string()).unwrap().trust(), Trust::Blocked);
        assert_eq!(people.block("Bert", false).unwrap().trust(), Trust::Unknown);
    }

    #[test]
    fn words_verify_the_key_of_the_session_they_were_read_in() {
        let mut people = people();
        assert_eq!(people.verified_by_voice(BERT, KEY), Err(PeopleError::NotContact));
        people.seen(ANNA, KEY, Now::default()).unwrap();
        assert_eq!(people.verified_by_voice(ANNA, OTHER), Err(PeopleError::FingerprintMismatch));
        assert_eq!(people.trust_of(ANNA), Trust::Seen);
        assert_eq!(people.verified_by_voice(ANNA, KEY).unwrap().trust(), Trust::Verified);
    }

    #[test]
    fn f03_words_settle_a_changed_key_but_never_replace_it() {
        let mut people = people();
        people.seen(ANNA, KEY, Now::default()).unwrap();
        people.key_changed(ANNA);
        assert_eq!(people.verified_by_voice(ANNA, OTHER), Err(PeopleError::FingerprintMismatch));
        assert_eq!(people.trust_of(ANNA), Trust::Changed);
        assert_eq!(people.verified_by_voice(ANNA, KEY).unwrap().trust(), Trust::Verified);
    }

    #[test]
    fn a_fingerprint_from_its_owner_verifies_the_pinned_key_or_pins_one() {
        let mut people = people();
        assert_eq!(people.verify("Nobody", KEY), Err(PeopleError::NoSuchName("Nobody".into())));
        assert_eq!(people.verify(&BERT.to_string(), KEY), Err(PeopleError::NotContact));
        assert_eq!(people.verify("anna", KEY).unwrap().trust(), Trust::Verified);
        assert!(events(&mut people).contains(&PeopleEvent::Pin { peer: ANNA, fingerprint: Some(KEY) }));
        assert_eq!(people.seen(ANNA, KEY, Now::default()), Ok(()));
        people.verify("anna", KEY).unwrap();
        assert!(!events(&mut people).iter().any(|event| matches!(event, PeopleEvent::Pin { .. })));
    }

    #[test]
    fn f03_another_fingerprint_replaces_a_pin_only_after_the_key_has_changed() {
        let mut people = people();
        people.seen(ANNA, KEY, Now::default()).unwrap();
        events(&mut people);
        assert_eq!(people.verify("Anna", OTHER), Err(PeopleError::FingerprintMismatch));
        assert_eq!((people.contact(ANNA).unwrap().fingerprint, events(&mut people)), (Some(KEY), vec![]));
        people.key_changed(ANNA);
        let settled = people.verify("Anna", OTHER).unwrap();
        assert_eq!((settled.fingerprint, settled.trust()), (Some(OTHER), Trust::Verified));
        assert!(events(&mut people).contains(&PeopleEvent::Pin { peer: ANNA, fingerprint: Some(OTHER) }));
        assert!(people.seen(ANNA, KEY, Now::default()).is_err(), "the old key is the wrong one now");
    }

    #[test]
    fn f03_a_contact_whose_key_changed_is_no_target_until_that_is_settled() {
        let mut people = people();
        people.seen(ANNA, KEY, Now::default()).unwrap();
        people.key_changed(ANNA);
        assert_eq!(people.resolve("Anna").unwrap().target, Target::Changed);
        people.verify("Anna", KEY).unwrap();
        assert_eq!(people.resolve("Anna").unwrap().target, Target::Contact);
        people.key_changed(ANNA);
        people.remove("Anna").unwrap();
        people.add("Anna", &ANNA.to_string()).unwrap();
        assert_eq!(people.resolve("Anna").unwrap().target, Target::Contact);
    }

    #[test]
    fn p01_only_a_contact_with_a_settled_key_is_answered_without_asking() {
        let mut people = people();
        assert_eq!(people.set_auto_answer("Anna", true), Err(PeopleError::KeyNotSettled));
        people.seen(ANNA, KEY, Now::default()).unwrap();
        assert!(people.set_auto_answer("anna", true).unwrap().auto_answer);
        people.key_changed(ANNA);
        assert_eq!(people.set_auto_answer("Anna", true), Err(PeopleError::KeyNotSettled));
        assert!(!people.set_auto_answer("Anna", false).unwrap().auto_answer);
        assert_eq!(people.set_auto_answer(&BERT.to_string(), true), Err(PeopleError::NotContact));
    }

    #[test]
    fn the_address_book_has_an_end() {
        let many = (0..MAX_CONTACTS as u32).map(|index| {
            let id = NodeId(core::array::from_fn(|byte| index.to_be_bytes()[byte % 4] ^ 0x80));
            Contact::new(id, format!("contact {index}"))
        });
        let mut people = People::new(PeopleConfig::default(), vec![OWN], many.collect());
        assert_eq!(people.add("One more", &ANNA.to_string()), Err(PeopleError::Full));
        assert_eq!(people.block(&ANNA.to_string(), true), Err(PeopleError::Full));
        people.remove("contact 7").unwrap();
        people.add("One more", &ANNA.to_string()).unwrap();
    }
}
