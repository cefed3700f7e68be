// SPDX-License-Identifier: GPL-3.0-or-later
//! The database file: opened carefully, checked, brought up to date, locked.

use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::schema::{APPLICATION_ID, MIGRATIONS, VERSION};
use super::{Batch, Loaded, StoreError, rows};

/// How long another process may take to close the file, for example the daemon that is being replaced.
const LOCK_WAIT: Duration = Duration::from_secs(2);
/// Nobody but the daemon's own user reads who called whom.
const MODE: u32 = 0o600;

/// The open database.
pub(super) struct File {
    db: Connection,
    path: PathBuf,
}

impl File {
    pub(super) fn open(path: &Path) -> Result<(Self, Loaded), StoreError> {
        prepare(path).map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
        let explain = |error| explained(path, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags).map_err(explain)?;
        db.busy_timeout(LOCK_WAIT).map_err(explain)?;
        let found = recognise(&db, path)?;
        check(&db, path)?;
        let mut file = Self { db, path: path.to_owned() };
        file.lock().map_err(explain)?;
        file.migrate(found).map_err(explain)?;
        let loaded = file.load().map_err(explain)?;
        Ok((file, loaded))
    }

    /// Takes the file for this process alone, and lets every commit wait until it is safe on the disk.
    fn lock(&mut self) -> rusqlite::Result<()> {
        self.db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        self.db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        self.db.pragma_update(None, "synchronous", "FULL")?;
        self.db.transaction_with_behavior(TransactionBehavior::Immediate)?.commit()
    }

    /// All missing steps in one transaction: an interrupted upgrade leaves the file as it was.
    fn migrate(&mut self, found: i64) -> rusqlite::Result<()> {
        if found == VERSION {
            return Ok(());
        }
        let steps = usize::try_from(found).ok().and_then(|found| MIGRATIONS.get(found..)).unwrap_or_default();
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for step in steps {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()
    }

    fn load(&self) -> rusqlite::Result<Loaded> {
        Ok(Loaded {
            contacts: rows::contacts(&self.db)?,
            history: rows::history(&self.db)?,
            chosen: rows::chosen(&self.db)?,
        })
    }

    /// Writes all of `batch`, or nothing; when it returns, it is on the disk.
    pub(super) fn write(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let path = self.path.clone();
        let result = self.db.transaction_with_behavior(TransactionBehavior::Immediate).and_then(|transaction| {
            rows::write(&transaction, batch)?;
            transaction.commit()
        });
        result.map_err(|error| StoreError::Write { path, detail: error.to_string() })
    }

    /// Makes every write fail as on a read-only disk, or work again.
    #[cfg(test)]
    pub(super) fn refuse_writes(&mut self, on: bool) {
        self.db.pragma_update(None, "query_only", on).expect("a pragma that always works");
    }
}

/// Creates the file if there is none, and closes it to others. Never follows a link.
fn prepare(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(MODE);
    let file = options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    if found.permissions().mode() & 0o777 != MODE {
        file.set_permissions(Permissions::from_mode(MODE))?;
    }
    Ok(())
}

/// The schema version of a database that is ours or empty.
fn recognise(db: &Connection, path: &Path) -> Result<i64, StoreError> {
    let number = |sql| db.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(|error| explained(path, &error));
    let application = number("PRAGMA application_id")?;
    let found = number("PRAGMA user_version")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    match (application, found) {
        (APPLICATION_ID, 0..=VERSION) if tables > 0 => Ok(found),
        (APPLICATION_ID, 0..=VERSION) => Err(damaged(path, "its tables are missing")),
        (APPLICATION_ID, _) => Err(StoreError::Newer { path: path.to_owned(), found, known: VERSION }),
        (0, 0) if tables == 0 => Ok(0),
        _ => Err(StoreError::Foreign(path.to_owned())),
    }
}

/// Looks through every page, so that damage shows now and not in the middle of a call.
fn check(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let verdict = db.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match verdict.map_err(|error| explained(path, &error))?.as_str() {
        "ok" => Ok(()),
        trouble => Err(damaged(path, trouble)),
    }
}

fn damaged(path: &Path, detail: &str) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), detail: detail.replace('\n', " ") }
}

/// What an error while opening means for whoever has to repair it.
fn explained(path: &Path, error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::InUse(path.to_owned()),
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::ReadOnly
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure,
        ) => StoreError::Open { path: path.to_owned(), source: io::Error::other(error.to_string()) },
        _ => damaged(path, &error.to_string()),
    }
}
