// SPDX-License-Identifier: GPL-3.0-or-later
//! The tables, and the steps from every older version to the present one.

/// Marks the file as ours (SQLite's `application_id`): "DVS1".
pub(super) const APPLICATION_ID: i64 = 0x4456_5331;

/// `MIGRATIONS[n]` leads from schema version n to n + 1. A published one never changes.
pub(super) const MIGRATIONS: [&str; 3] = [
    "
CREATE TABLE contact (
    id          BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 20),
    name        TEXT    NOT NULL,
    fingerprint BLOB    CHECK (length(fingerprint) = 32),
    verified    INTEGER NOT NULL CHECK (verified IN (0, 1)),
    changed     INTEGER NOT NULL CHECK (changed IN (0, 1)),
    blocked     INTEGER NOT NULL CHECK (blocked IN (0, 1)),
    last_seen   INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE history (
    number   INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    peer     BLOB    NOT NULL CHECK (length(peer) = 20),
    outgoing INTEGER NOT NULL CHECK (outgoing IN (0, 1)),
    started  INTEGER NOT NULL,
    talked   INTEGER,
    cause    TEXT    NOT NULL
) STRICT;
",
    // Lists are separated by blanks.
    "
ALTER TABLE contact ADD COLUMN at TEXT NOT NULL DEFAULT '';
ALTER TABLE contact ADD COLUMN via TEXT NOT NULL DEFAULT '';
ALTER TABLE contact ADD COLUMN last_address TEXT;
",
    // What users changed while the daemon ran; what is not there is as the administrator configured it.
    "
ALTER TABLE contact ADD COLUMN auto_answer INTEGER NOT NULL DEFAULT 0 CHECK (auto_answer IN (0, 1));
CREATE TABLE setting (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
",
];

/// The present version (SQLite's `user_version`).
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;
