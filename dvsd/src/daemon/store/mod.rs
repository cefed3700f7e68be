// SPDX-License-Identifier: GPL-3.0-or-later
//! The SQLite file that keeps contacts, call history and what users chose about callers, on a thread of its own: an fsync never blocks the loop.
//!
//! What is to be written is kept here until it is on the disk. Changes of one contact overtake each other, so what
//! waits is bounded however slow the disk is; a write that fails (disk full) is tried again until it works. A file
//! that cannot be read is an error that names it: nothing is ever replaced or deleted silently.
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "the one place with a database and its thread")]

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use dvsd::call::PastCall;
use dvsd::id::NodeId;
use dvsd::people::{Contact, Policy, UnknownCallers};
use thiserror::Error;

mod file;
mod rows;
mod schema;
#[cfg(test)]
mod tests;

use file::File;

use crate::nodes_file;

/// How many past calls are kept; the oldest go first.
pub(crate) const HISTORY_KEPT: u32 = 10_000;
/// First wait after a failed write; doubled until [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_secs(1);
/// Longest wait after a failed write.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// What was stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loaded {
    /// All contacts, by ID.
    pub(crate) contacts: Vec<Contact>,
    /// Past calls, newest first, at most [`HISTORY_KEPT`].
    pub(crate) history: Vec<PastCall>,
    /// What users changed of the settings.
    pub(crate) chosen: Chosen,
}

/// What users changed of the settings for callers; what is `None` is as the administrator configured it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// Whether nobody is to be disturbed.
    pub(crate) do_not_disturb: Option<bool>,
    /// What happens with callers that are no contacts.
    pub(crate) unknown_callers: Option<UnknownCallers>,
}

impl Chosen {
    /// What holds, `configured` being what holds without any choice.
    pub(crate) fn over(self, configured: Policy) -> Policy {
        Policy {
            do_not_disturb: self.do_not_disturb.unwrap_or(configured.do_not_disturb),
            unknown_callers: self.unknown_callers.unwrap_or(configured.unknown_callers),
        }
    }

    /// What `after` has that `before` had not.
    pub(crate) fn between(before: Policy, after: Policy) -> Self {
        Self {
            do_not_disturb: (before.do_not_disturb != after.do_not_disturb).then_some(after.do_not_disturb),
            unknown_callers: (before.unknown_callers != after.unknown_callers).then_some(after.unknown_callers),
        }
    }

    /// These choices, and where they say nothing those made `before`.
    fn after(self, before: Self) -> Self {
        Self {
            do_not_disturb: self.do_not_disturb.or(before.do_not_disturb),
            unknown_callers: self.unknown_callers.or(before.unknown_callers),
        }
    }
}

/// Why the file cannot be used. Each message says what to do.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    /// Opening, creating or its permissions.
    #[error("cannot open {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Another process has it open.
    #[error("{0} is in use by another process: is another dvsd running with the same state directory?")]
    InUse(PathBuf),
    /// Not a database, or an inconsistent one.
    #[error(
        "{path} is damaged ({detail}). Nothing was changed. Restore a backup, or try \
         `sqlite3 {path} .recover`; to start without contacts and history, move the file away together with \
         {path}-wal"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A database of another program.
    #[error("{0} is a database of another program. Nothing was changed. Move it away, or set another state directory")]
    Foreign(PathBuf),
    /// Written by a later version.
    #[error(
        "{path} was written by a newer dvsd (schema {found}, this one knows {known}). Nothing was changed. \
         Install that version again, or set another state directory"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Our schema.
        known: i64,
    },
    /// A write failed: disk full, read-only.
    #[error("cannot write {path}: {detail}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The database's reason.
        detail: String,
    },
}

/// What waits for the disk.
#[derive(Clone, Debug, Default)]
struct Batch {
    /// New contents of contacts; `None` removes one.
    contacts: BTreeMap<NodeId, Option<Contact>>,
    history: VecDeque<PastCall>,
    chosen: Chosen,
    /// New contents of files beside the database, which may be lost.
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.contacts.is_empty() && self.history.is_empty() && self.files.is_empty() && self.chosen == Chosen::default()
    }

    /// Takes back a batch that could not be written; what came meanwhile is newer.
    fn restore(&mut self, failed: Self) {
        for (id, contact) in failed.contacts {
            self.contacts.entry(id).or_insert(contact);
        }
        self.chosen = self.chosen.after(failed.chosen);
        let newer = core::mem::replace(&mut self.history, failed.history);
        self.history.extend(newer);
        self.trim();
    }

    fn trim(&mut self) {
        while self.history.len() > HISTORY_KEPT as usize {
            self.history.pop_front();
        }
    }
}

#[derive(Debug, Default)]
struct State {
    waiting: Batch,
    /// Changes handed over so far, and how many of these are on the disk.
    accepted: u64,
    written: u64,
    /// Somebody wants to hear of a failure instead of a retry.
    hurry: bool,
    closing: bool,
    stopped: bool,
    trouble: Option<String>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

/// The open store. Handing something over never waits for the disk.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Store {
    /// Opens or creates the file at `path`, whose directory must exist, and reads all of it.
    ///
    /// # Errors
    /// If it cannot be used; then it is left as it was.
    pub(crate) fn open(path: &Path) -> Result<(Self, Loaded), StoreError> {
        let (file, loaded) = File::open(path)?;
        let shared = Arc::new(Shared::default());
        let worker = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("dvs-store".to_owned())
            .spawn(move || write_until_closed(file, &worker))
            .map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
        Ok((Self { path: path.to_owned(), shared, thread: Some(thread) }, loaded))
    }

    /// Stores a new or changed contact.
    pub(crate) fn save_contact(&self, contact: Contact) {
        self.hand_over(|waiting| drop(waiting.contacts.insert(contact.id, Some(contact))));
    }

    /// Deletes a contact.
    pub(crate) fn remove_contact(&self, id: NodeId) {
        self.hand_over(|waiting| drop(waiting.contacts.insert(id, None)));
    }

    /// Stores what users changed of the settings.
    pub(crate) fn save_chosen(&self, chosen: Chosen) {
        self.hand_over(|waiting| waiting.chosen = chosen.after(waiting.chosen));
    }

    /// Adds a call to the history.
    pub(crate) fn add_history(&self, call: PastCall) {
        self.hand_over(|waiting| {
            waiting.history.push_back(call);
            waiting.trim();
        });
    }

    /// Replaces a small file beside the database. If that fails it is said in the log and not tried again.
    pub(crate) fn replace_file(&self, file: PathBuf, bytes: Vec<u8>) {
        self.hand_over(|waiting| drop(waiting.files.insert(file, bytes)));
    }

    fn hand_over(&self, change: impl FnOnce(&mut Batch)) {
        let mut state = self.shared.lock();
        change(&mut state.waiting);
        state.accepted += 1;
        self.shared.changed.notify_all();
    }

    /// Waits until everything handed over so far is on the disk, safe from a crash or a power cut.
    ///
    /// # Errors
    /// If writing fails. It is tried again later.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        let mut state = self.shared.lock();
        let wanted = state.accepted;
        if state.written < wanted {
            state.hurry = true;
            state.trouble = None;
            self.shared.changed.notify_all();
        }
        while state.written < wanted && state.trouble.is_none() && !state.stopped {
            state = self.shared.wait(state);
        }
        if state.written >= wanted {
            return Ok(());
        }
        let detail = state.trouble.clone().unwrap_or_else(|| "the writer stopped".to_owned());
        Err(StoreError::Write { path: self.path.clone(), detail })
    }

    /// What is wrong with writing right now.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.shared.lock().trouble.clone()
    }

    /// Writes what waits and closes the file.
    ///
    /// # Errors
    /// If something could not be written and is lost.
    pub(crate) fn close(mut self) -> Result<(), StoreError> {
        let flushed = self.flush();
        self.stop();
        flushed
    }

    fn stop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.changed.notify_all();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the store panicked");
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The store's thread: writes whatever waits, all of it in one transaction, until told to close.
fn write_until_closed(mut file: File, shared: &Shared) {
    let mut retry = RETRY_MIN;
    while let Some((mut batch, accepted)) = next_batch(shared) {
        replace_files(core::mem::take(&mut batch.files));
        let result = if batch.is_empty() { Ok(()) } else { file.write(&batch) };
        let mut state = shared.lock();
        state.hurry = false;
        match result {
            Ok(()) => {
                state.written = accepted;
                state.trouble = None;
                retry = RETRY_MIN;
                shared.changed.notify_all();
            }
            Err(error) => {
                tracing::error!(%error, "contacts and history cannot be stored; trying again");
                state.waiting.restore(batch);
                state.trouble = Some(error.to_string());
                shared.changed.notify_all();
                if state.closing {
                    break;
                }
                pause(shared, state, retry);
                retry = (retry * 2).min(RETRY_MAX);
            }
        }
    }
    shared.lock().stopped = true;
    shared.changed.notify_all();
}

fn replace_files(files: BTreeMap<PathBuf, Vec<u8>>) {
    for (file, bytes) in files {
        if let Err(error) = nodes_file::replace(&file, &bytes) {
            tracing::warn!("{} is not up to date: {error:#}", file.display());
        }
    }
}

/// Waits for something to write; `None` when there is nothing left and the store closes.
fn next_batch(shared: &Shared) -> Option<(Batch, u64)> {
    let mut state = shared.lock();
    while state.waiting.is_empty() && !state.closing {
        state = shared.wait(state);
    }
    let batch = core::mem::take(&mut state.waiting);
    (!batch.is_empty()).then_some((batch, state.accepted))
}

/// Waits before the next attempt, unless somebody is in a hurry.
fn pause(shared: &Shared, state: MutexGuard<'_, State>, retry: Duration) {
    let calm = |state: &mut State| !state.hurry && !state.closing;
    drop(shared.changed.wait_timeout_while(state, retry, calm).unwrap_or_else(PoisonError::into_inner));
}
