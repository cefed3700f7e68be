// SPDX-License-Identifier: GPL-3.0-or-later
//! `dvs-tui contacts`

use std::path::PathBuf;

use dvs_proto::message::{Contact, Reply, Request};

use super::output::{Output, aside};
use crate::attach::{Line, unexpected};
use crate::cli::ContactVerb;
use crate::failed::Failed;
use crate::ui::{time, trust};

/// A contact is a person, who may be elsewhere tomorrow.
const ADDRESS_NOTE: &str =
    "note: the address in the invite is not kept; without a bootstrap node dial the invite itself";

/// Shows or changes the address book.
pub(super) fn run(verb: Option<ContactVerb>, directory: Option<PathBuf>, out: &mut Output) -> Result<(), Failed> {
    let (mut line, snapshot) = Line::open(directory)?;
    let mut note = None;
    let (request, done) = match verb.unwrap_or(ContactVerb::List) {
        ContactVerb::List => {
            let now = super::history::now();
            return out.list(&snapshot.contacts, "no contacts yet; add one: dvs-tui contacts add NAME ID", |contact| {
                row(contact, now)
            });
        }
        ContactVerb::Add { name, id } => {
            note = has_address(&id).then_some(ADDRESS_NOTE);
            (Request::ContactAdd { name, target: id }, "added".to_owned())
        }
        ContactVerb::Rename { who, name } => {
            let done = format!("renamed {} to", name_of(&who, &snapshot.contacts));
            (Request::ContactRename { contact: who, name }, done)
        }
        ContactVerb::Remove { who } => (Request::ContactRemove { contact: who }, "removed".to_owned()),
        ContactVerb::Block { who } => (Request::ContactBlock { contact: who, on: true }, "blocked".to_owned()),
        ContactVerb::Unblock { who } => (Request::ContactBlock { contact: who, on: false }, "unblocked".to_owned()),
    };
    match line.ask(request)? {
        Reply::Contact(contact) => out.show(&contact, |contact| format!("{done} {}", called(contact)))?,
        Reply::Done => out.done(&done)?,
        other => return Err(unexpected(&other)),
    }
    note.into_iter().for_each(aside);
    Ok(())
}

/// Whether an invite says where its owner can be reached.
fn has_address(invite: &str) -> bool {
    let (_, parameters) = invite.split_once('?').unwrap_or_default();
    parameters.split('&').any(|one| one.starts_with("at=") || one.starts_with("via="))
}

/// What a contact, given by its name in any case or by its ID, was called so far.
fn name_of<'a>(who: &'a str, contacts: &'a [Contact]) -> &'a str {
    let known = contacts.iter().find(|contact| contact.id == who.to_lowercase() || same(&contact.name, who));
    known.map_or(who, called)
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.trim().to_lowercase()
}

/// The contact whose name is so much like `who` that it may be meant.
pub(super) fn alike<'a>(who: &str, contacts: &'a [Contact]) -> Option<&'a str> {
    let who = who.trim().to_lowercase();
    let near = |name: &str| {
        let name = name.to_lowercase();
        let most = if name.chars().count() < 4 { 1 } else { 2 };
        let part = who.chars().count() > 1 && (name.starts_with(&who) || who.starts_with(&name));
        !name.is_empty() && (part || typos(&who, &name) <= most)
    };
    contacts
        .iter()
        .map(|contact| contact.name.as_str())
        .filter(|name| near(name))
        .min_by_key(|name| typos(&who, &name.to_lowercase()))
}

/// Characters to insert, remove or replace until one is the other.
fn typos(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (index, a) in one.chars().enumerate() {
        let (mut corner, mut left) = (index, index + 1);
        let mut next = vec![left];
        for (b, above) in other.chars().zip(row.iter().skip(1)) {
            left = (corner + usize::from(a != b)).min(left + 1).min(above + 1);
            corner = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

fn called(contact: &Contact) -> &str {
    if contact.name.is_empty() { &contact.id } else { &contact.name }
}

fn row(contact: &Contact, now: u64) -> [String; 4] {
    let seen = contact.last_seen.map_or_else(|| "never".to_owned(), |at| time::ago(at, now));
    [contact.name.clone(), contact.id.clone(), trust::words(contact.trust).to_owned(), format!("seen {seen}")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::example::{BOB, snapshot};

    #[test]
    fn a_name_that_is_nearly_a_contacts_name_finds_it() {
        let contacts = snapshot().contacts;
        assert_eq!(alike("Bobb", &contacts), Some("Bob"));
        assert_eq!(alike("alcie", &contacts), Some("Alice"));
        assert_eq!(alike("car", &contacts), Some("Carol"));
        assert_eq!(alike("Zoe", &contacts), None);
        assert_eq!(alike("x", &contacts), None);
        assert_eq!((typos("kitten", "sitting"), typos("", "abc"), typos("abc", "")), (3, 3, 3));
    }

    #[test]
    fn a_renamed_contact_is_told_by_its_old_name() {
        let contacts = snapshot().contacts;
        assert_eq!(name_of("bob", &contacts), "Bob");
        assert_eq!(name_of(BOB, &contacts), "Bob");
        assert_eq!(name_of("nobody", &contacts), "nobody");
    }

    #[test]
    fn only_an_invite_with_an_address_has_something_to_lose() {
        assert!(has_address("dvs:dvs1q?fp=x&at=192.0.2.1:5004"));
        assert!(has_address("dvs:dvs1q?via=dvs1p@192.0.2.1:5004"));
        assert!(!has_address("dvs:dvs1q?fp=x") && !has_address("dvs1q"));
    }
}
