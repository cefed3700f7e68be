// SPDX-License-Identifier: GPL-3.0-or-later
//! Rows to values and back.

use dvsd::call::{Direction, EndCause, PastCall};
use dvsd::id::{Fingerprint, NodeId};
use dvsd::people::Contact;
use rusqlite::{Connection, Row, Transaction, params};

use super::{Batch, HISTORY_KEPT};

pub(super) fn contacts(db: &Connection) -> rusqlite::Result<Vec<Contact>> {
    let mut query =
        db.prepare("SELECT id, name, fingerprint, verified, changed, blocked, last_seen FROM contact ORDER BY id")?;
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
    })
}

pub(super) fn history(db: &Connection) -> rusqlite::Result<Vec<PastCall>> {
    let mut query =
        db.prepare("SELECT peer, outgoing, started, talked, cause FROM history ORDER BY number DESC LIMIT ?1")?;
    query.query_map([HISTORY_KEPT], past_call)?.collect()
}

fn past_call(row: &Row<'_>) -> rusqlite::Result<PastCall> {
    let cause: String = row.get("cause")?;
    let unknown = || rusqlite::Error::InvalidColumnName(format!("unknown cause {cause:?}"));
    Ok(PastCall {
        peer: NodeId(row.get("peer")?),
        direction: if row.get("outgoing")? { Direction::Outgoing } else { Direction::Incoming },
        started: seconds(row.get("started")?),
        talked: row.get("talked")?,
        cause: EndCause::from_name(&cause).ok_or_else(unknown)?,
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
        "INSERT OR REPLACE INTO contact (id, name, fingerprint, verified, changed, blocked, last_seen) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    insert.execute(params![
        contact.id.0,
        contact.name,
        contact.fingerprint.map(|fingerprint| fingerprint.0),
        contact.verified,
        contact.changed,
        contact.blocked,
        contact.last_seen.map(stored),
    ])?;
    Ok(())
}

fn write_call(transaction: &Transaction<'_>, call: &PastCall) -> rusqlite::Result<()> {
    let mut insert = transaction
        .prepare_cached("INSERT INTO history (peer, outgoing, started, talked, cause) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let outgoing = call.direction == Direction::Outgoing;
    insert.execute(params![call.peer.0, outgoing, stored(call.started), call.talked, call.cause.name()])?;
    Ok(())
}
