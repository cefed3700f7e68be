// SPDX-License-Identifier: GPL-3.0-or-later
//! Rows to values and back.

use dvsd::call::{Direction, EndCause, PastCall};
use dvsd::id::{Fingerprint, HostPort, NodeId};
use dvsd::people::{Contact, UnknownCallers};
use rusqlite::{Connection, Row, Transaction, params};

use super::{Batch, Chosen, HISTORY_KEPT};

/// The names of settings.
const DO_NOT_DISTURB: &str = "do_not_disturb";
const UNKNOWN_CALLERS: &str = "unknown_callers";

pub(super) fn contacts(db: &Connection) -> rusqlite::Result<Vec<Contact>> {
    let mut query = db.prepare(
        "SELECT id, name, fingerprint, verified, changed, blocked, last_seen, at, via, last_address, auto_answer \
         FROM contact ORDER BY id",
    )?;
    query.query_map([], contact)?.collect()
}

fn contact(row: &Row<'_>) -> rusqlite::Result<Contact> {
    Ok(Contact {
        id: NodeId(row.get("id")?),
        name: row.get("name")?,
        fingerprint: row.get::<_, Option<[u8; 32]>>("fingerprint")?.map(Fingerprint),
        verified: row.get("verified")?,
        changed: row.get("changed")?,
        blocked: row.get("blocked")?,
        last_seen: row.get::<_, Option<i64>>("last_seen")?.map(seconds),
        at: list(row, "at", |text| text.parse().ok())?,
        via: list(row, "via", node)?,
        last_address: row
            .get::<_, Option<String>>("last_address")?
            .map(|text| text.parse().map_err(|_| nonsense("address", &text)))
            .transpose()?,
        auto_answer: row.get("auto_answer")?,
    })
}

/// What users changed of the settings.
pub(super) fn chosen(db: &Connection) -> rusqlite::Result<Chosen> {
    let mut query = db.prepare("SELECT name, value FROM setting")?;
    let settings = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut chosen = Chosen::default();
    for setting in settings {
        let (name, value): (String, String) = setting?;
        let wrong = || nonsense(&name, &value);
        match name.as_str() {
            DO_NOT_DISTURB => chosen.do_not_disturb = Some(value.parse().map_err(|_| wrong())?),
            UNKNOWN_CALLERS => chosen.unknown_callers = Some(unknown_callers(&value).ok_or_else(wrong)?),
            _ => return Err(nonsense("setting", &name)),
        }
    }
    Ok(chosen)
}

fn unknown_callers(name: &str) -> Option<UnknownCallers> {
    let all = [UnknownCallers::Ring, UnknownCallers::Silent, UnknownCallers::Reject];
    all.into_iter().find(|policy| name_of(*policy) == name)
}

/// The name under which a policy is stored, which is that of `dvsd.toml`.
const fn name_of(policy: UnknownCallers) -> &'static str {
    match policy {
        UnknownCallers::Ring => "ring",
        UnknownCallers::Silent => "silent",
        UnknownCallers::Reject => "reject",
    }
}

/// A list of texts separated by blanks.
fn list<T>(row: &Row<'_>, column: &str, read: impl Fn(&str) -> Option<T>) -> rusqlite::Result<Vec<T>> {
    let text: String = row.get(column)?;
    text.split_whitespace().map(|item| read(item).ok_or_else(|| nonsense("address", item))).collect()
}

/// `ID@host:port`
fn node(text: &str) -> Option<(NodeId, HostPort)> {
    let (id, address) = text.split_once('@')?;
    Some((id.parse().ok()?, address.parse().ok()?))
}

fn listed<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
    items.iter().map(text).collect::<Vec<_>>().join(" ")
}

fn nonsense(what: &str, text: &str) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnName(format!("unknown {what} {text:?}"))
}

pub(super) fn history(db: &Connection) -> rusqlite::Result<Vec<PastCall>> {
    let mut query =
        db.prepare("SELECT peer, outgoing, started, talked, cause FROM history ORDER BY number DESC LIMIT ?1")?;
    query.query_map([HISTORY_KEPT], past_call)?.collect()
}

fn past_call(row: &Row<'_>) -> rusqlite::Result<PastCall> {
    let cause: String = row.get("cause")?;
    Ok(PastCall {
        peer: NodeId(row.get("peer")?),
        direction: if row.get("outgoing")? { Direction::Outgoing } else { Direction::Incoming },
        started: seconds(row.get("started")?),
        talked: row.get("talked")?,
        cause: EndCause::from_name(&cause).ok_or_else(|| nonsense("cause", &cause))?,
    })
}

/// SQLite knows no unsigned 64-bit numbers; no date needs the upper half.
fn seconds(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

fn stored(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

pub(super) fn write(transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    for (id, contact) in &batch.contacts {
        match contact {
            Some(contact) => write_contact(transaction, contact)?,
            None => drop(transaction.execute("DELETE FROM contact WHERE id = ?1", [id.0])?),
        }
    }
    if let Some(on) = batch.chosen.do_not_disturb {
        write_setting(transaction, DO_NOT_DISTURB, &on.to_string())?;
    }
    if let Some(policy) = batch.chosen.unknown_callers {
        write_setting(transaction, UNKNOWN_CALLERS, name_of(policy))?;
    }
    for call in &batch.history {
        write_call(transaction, call)?;
    }
    if !batch.history.is_empty() {
        transaction
            .execute("DELETE FROM history WHERE number <= (SELECT max(number) FROM history) - ?1", [HISTORY_KEPT])?;
    }
    Ok(())
}

fn write_contact(transaction: &Transaction<'_>, contact: &Contact) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(
        "INSERT OR REPLACE INTO contact (id, name, fingerprint, verified, changed, blocked, last_seen, at, via, last_address, \
         auto_answer) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    insert.execute(params![
        contact.id.0,
        contact.name,
        contact.fingerprint.map(|fingerprint| fingerprint.0),
        contact.verified,
        contact.changed,
        contact.blocked,
        contact.last_seen.map(stored),
        listed(&contact.at, ToString::to_string),
        listed(&contact.via, |(id, address)| format!("{id}@{address}")),
        contact.last_address.map(|address| address.to_string()),
        contact.auto_answer,
    ])?;
    Ok(())
}

fn write_setting(transaction: &Transaction<'_>, name: &str, value: &str) -> rusqlite::Result<()> {
    transaction.execute("INSERT OR REPLACE INTO setting (name, value) VALUES (?1, ?2)", [name, value])?;
    Ok(())
}

fn write_call(transaction: &Transaction<'_>, call: &PastCall) -> rusqlite::Result<()> {
    let mut insert = transaction
        .prepare_cached("INSERT INTO history (peer, outgoing, started, talked, cause) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let outgoing = call.direction == Direction::Outgoing;
    insert.execute(params![call.peer.0, outgoing, stored(call.started), call.talked, call.cause.name()])?;
    Ok(())
}
