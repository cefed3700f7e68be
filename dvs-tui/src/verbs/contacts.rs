// SPDX-License-Identifier: GPL-3.0-or-later
//! `dvs-tui contacts`

use std::path::PathBuf;

use dvs_proto::message::{Contact, Reply, Request};

use super::output::Output;
use crate::attach::{Line, unexpected};
use crate::cli::ContactVerb;
use crate::failed::Failed;
use crate::ui::{time, trust};

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
        ContactVerb::Add { name, id } => (Request::ContactAdd { name, target: id }, "added"),
        ContactVerb::Rename { who, name } => (Request::ContactRename { contact: who, name }, "renamed"),
        ContactVerb::Remove { who } => (Request::ContactRemove { contact: who }, "removed"),
        ContactVerb::Block { who } => (Request::ContactBlock { contact: who, on: true }, "blocked"),
        ContactVerb::Unblock { who } => (Request::ContactBlock { contact: who, on: false }, "unblocked"),
    };
    match line.ask(request)? {
        Reply::Contact(contact) => out.show(&contact, |contact| format!("{done} {}", called(contact))),
        Reply::Done => out.done(done),
        other => Err(unexpected(&other)),
    }
}

fn called(contact: &Contact) -> &str {
    if contact.name.is_empty() { &contact.id } else { &contact.name }
}

fn row(contact: &Contact, now: u64) -> [String; 4] {
    let seen = contact.last_seen.map_or_else(|| "never".to_owned(), |at| time::ago(at, now));
    [contact.name.clone(), contact.id.clone(), trust::words(contact.trust).to_owned(), format!("seen {seen}")]
}
