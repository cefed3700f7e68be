// SPDX-License-Identifier: GPL-3.0-or-later
//! `dvs-tui contacts`

use std::path::PathBuf;

use dvs_proto::message::{Contact, Presence, Reply, Request, Snapshot};

use super::output::{Output, table};
use crate::attach::{Line, unexpected};
use crate::cli::{ContactVerb, Switch};
use crate::failed::Failed;
use crate::ui::{presence, time, trust};

/// Shows or changes the address book.
pub(super) fn run(verb: Option<ContactVerb>, directory: Option<PathBuf>, out: &mut Output) -> Result<(), Failed> {
    let (mut line, snapshot) = Line::open(directory)?;
    let (request, done) = match verb.unwrap_or(ContactVerb::List) {
        ContactVerb::List => {
            let now = super::history::now();
            return out.list(&snapshot.contacts, "no contacts yet; add one: dvs-tui contacts add NAME ID", |contact| {
                row(contact, now)
            });
        }
        ContactVerb::Show { who } => {
            let known = find_or_say(&who, &snapshot.contacts)?;
            return out.show(known, |contact| details(contact, super::history::now()));
        }
        ContactVerb::Add { name, id } => {
            let renewed = snapshot.contacts.iter().any(|contact| same(&contact.name, &name));
            let done = if renewed { "renewed the addresses of" } else { "added" };
            (Request::ContactAdd { name, target: id }, done.to_owned())
        }
        ContactVerb::Rename { who, name } => {
            let done = format!("renamed {} to", name_of(&who, &snapshot.contacts));
            (Request::ContactRename { contact: who, name }, done)
        }
        ContactVerb::Remove { who } => (Request::ContactRemove { contact: who }, "removed".to_owned()),
        ContactVerb::Verify { who, fingerprint } if fingerprint.is_empty() => {
            return verify_by_voice(&mut line, &who, &snapshot, out);
        }
        ContactVerb::Verify { who, fingerprint } => {
            (Request::ContactVerify { contact: who, fingerprint: fingerprint.concat() }, "verified".to_owned())
        }
        ContactVerb::AutoAnswer { who, switch } => {
            let on = switch == Switch::On;
            let done = if on { "answered at once, after a tone:" } else { "no longer answered at once:" };
            (Request::ContactAutoAnswer { contact: who, on }, done.to_owned())
        }
        ContactVerb::Block { who } => (Request::ContactBlock { contact: who, on: true }, "blocked".to_owned()),
        ContactVerb::Unblock { who } => (Request::ContactBlock { contact: who, on: false }, "unblocked".to_owned()),
    };
    match line.ask(request)? {
        Reply::Contact(contact) => out.show(&contact, |contact| format!("{done} {}", called(contact)))?,
        Reply::Done => out.done(&done)?,
        other => return Err(unexpected(&other)),
    }
    Ok(())
}

/// Compares the keys of a contact by voice, if there is a call with it.
fn verify_by_voice(line: &mut Line, who: &str, known: &Snapshot, out: &mut Output) -> Result<(), Failed> {
    let contact = find_or_say(who, &known.contacts)?;
    match super::verify::call_with(&contact.id, known) {
        Some(call) => super::verify::start(line, known, Some(call.call), out),
        None => Err(Failed::not_answered(format!(
            "keys are compared in a call: run dvs-tui call, then dvs-tui verify; or have {} read out dvs-tui id \
             --fingerprint over another way, and add it to this command",
            called(contact)
        ))),
    }
}

fn find_or_say<'a>(who: &str, contacts: &'a [Contact]) -> Result<&'a Contact, Failed> {
    find(who, contacts).ok_or_else(|| {
        let failed = Failed::not_found(format!("there is no contact named {who:?}"));
        mistyped(failed, who, contacts)
    })
}

/// A contact given by its name in any case, or by its ID.
fn find<'a>(who: &str, contacts: &'a [Contact]) -> Option<&'a Contact> {
    contacts.iter().find(|contact| contact.id == who.to_lowercase() || same(&contact.name, who))
}

/// What a contact was called so far.
fn name_of<'a>(who: &'a str, contacts: &'a [Contact]) -> &'a str {
    find(who, contacts).map_or(who, called)
}

/// Adds whom `who` may have meant.
pub(super) fn mistyped(failed: Failed, who: &str, contacts: &[Contact]) -> Failed {
    match alike(who, contacts) {
        Some(name) if failed.is_not_found() => failed.with_hint(&format!("did you mean {name:?}?")),
        _ => failed,
    }
}

/// Everything about a contact.
fn details(contact: &Contact, now: u64) -> String {
    let seen = contact.last_seen.map_or_else(|| "never".to_owned(), |at| time::ago(at, now));
    let mut rows = vec![
        ["name".to_owned(), contact.name.clone()],
        ["id".to_owned(), contact.id.clone()],
        ["key".to_owned(), trust::words(contact.trust).to_owned()],
    ];
    let mut add = |label: &str, value: &String| rows.push([label.to_owned(), value.clone()]);
    contact.fingerprint.iter().for_each(|fingerprint| add("fingerprint", fingerprint));
    presence::in_words(contact.presence).iter().for_each(|presence| add("presence", presence));
    add("seen", &seen);
    if contact.auto_answer {
        add("intercom", &"answered at once, after a tone".to_owned());
    }
    contact.last_address.iter().for_each(|address| add("reached at", address));
    contact.at.iter().for_each(|address| add("invite says at", address));
    contact.via.iter().for_each(|node| add("invite says via", node));
    table(&rows)
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.trim().to_lowercase()
}

/// The contact whose name is so much like `who` that it may be meant.
fn alike<'a>(who: &str, contacts: &'a [Contact]) -> Option<&'a str> {
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
    let seen = match contact.presence {
        Presence::Unknown => format!("seen {seen}"),
        Presence::Offline => format!("offline, seen {seen}"),
        Presence::Online { .. } => presence::in_words(contact.presence).unwrap_or_default(),
    };
    let intercom = if contact.auto_answer { ", answered at once" } else { "" };
    [contact.name.clone(), contact.id.clone(), trust::words(contact.trust).to_owned(), format!("{seen}{intercom}")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::example::{BOB, NOON, snapshot};

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
    fn a_contacts_row_says_whether_it_can_be_reached_and_is_answered_at_once() {
        let mut bob = snapshot().contacts.remove(1);
        bob.presence = Presence::Online { rtt_us: 23_000 };
        bob.auto_answer = true;
        assert_eq!(row(&bob, NOON)[2..], ["known key, not verified", "online, 23 ms, answered at once"]);
        bob.presence = Presence::Offline;
        bob.auto_answer = false;
        assert_eq!(row(&bob, NOON)[3], "offline, seen 3 h ago");
    }

    #[test]
    fn a_renamed_contact_is_told_by_its_old_name() {
        let contacts = snapshot().contacts;
        assert_eq!(name_of("bob", &contacts), "Bob");
        assert_eq!(name_of(BOB, &contacts), "Bob");
        assert_eq!(name_of("nobody", &contacts), "nobody");
    }

    #[test]
    fn everything_known_of_a_contact_is_shown() {
        let mut bob = snapshot().contacts.remove(1);
        bob.at = vec!["198.51.100.7:5004".into(), "bob.example:5004".into()];
        bob.via = vec!["dvs1qv@192.0.2.1:5004".into()];
        bob.last_address = Some("[2001:db8::7]:5004".into());
        let text = details(&bob, NOON);
        for line in [
            "name             Bob",
            "reached at       [2001:db8::7]:5004",
            "invite says at   198.51.100.7:5004",
            "invite says at   bob.example:5004",
            "invite says via  dvs1qv@192.0.2.1:5004",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
