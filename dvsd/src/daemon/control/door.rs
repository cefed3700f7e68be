// SPDX-License-Identifier: GPL-3.0-or-later
//! Looks for new clients' pipes, and decides whose they are.
//!
//! Whoever may enter the directory may put anything into it, at any moment: links, files, pipes of foreign owners,
//! half a client. Nothing is opened that is followed elsewhere, nothing is believed that the open descriptor does not
//! confirm, and what does not become a client in time is removed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::OwnedFd;
use std::time::Duration;

use dvs_proto::paths::{PipeName, Way, is_fifo};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, read, unlinkat};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::MAX_CLIENTS_PER_USER;
use super::directory::Place;

/// Most files looked at in one scan; the rest waits for the next.
const MAX_FILES: usize = 4096;
/// Most files of one user that may wait to become clients; the others are removed at once, so that nobody can hide
/// other people's pipes among theirs.
const MAX_FILES_PER_USER: usize = 4 * MAX_CLIENTS_PER_USER;

/// A client that rang: its pipes are checked and their names removed.
#[derive(Debug)]
pub(super) struct Visitor {
    /// Owner of both pipes.
    pub(super) uid: u32,
    /// Its requests come from here.
    pub(super) from_client: OwnedFd,
    /// Answers and events go here.
    pub(super) to_client: OwnedFd,
    /// What was in the pipe already: at least the start of its hello.
    pub(super) first: Vec<u8>,
}

/// Why a client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    /// It may become one yet: its files are only removed when they stay as they are.
    NotYet,
    /// Never.
    For(&'static str),
}

/// Watches `c`.
#[derive(Debug)]
pub(super) struct Door {
    place: Place,
    patience: Duration,
    /// When each file that is still there was seen first, and whose it is.
    seen: BTreeMap<String, (Instant, u32)>,
}

impl Door {
    /// Files that stay for longer than `patience` are removed.
    pub(super) fn new(place: Place, patience: Duration) -> Self {
        Self { place, patience, seen: BTreeMap::new() }
    }

    /// Whether some files wait to become a client, or to be removed.
    pub(super) fn has_leftovers(&self) -> bool {
        !self.seen.is_empty()
    }

    /// Looks once through the directory.
    pub(super) fn scan(&mut self, now: Instant) -> Vec<Visitor> {
        let files = self.list();
        let mut visitors = Vec::new();
        for file in &files {
            if let Some((name, Way::ToServer)) = PipeName::parse(file) {
                visitors.extend(self.try_admit(&name));
            }
        }
        self.remove_orphans(now);
        visitors
    }

    fn list(&self) -> BTreeSet<String> {
        let entries = match fs::read_dir(&self.place.clients_path) {
            Ok(entries) => entries,
            Err(error) => {
                warn!(%error, "cannot list the clients' pipes");
                return BTreeSet::new();
            }
        };
        let names = entries.take(MAX_FILES).filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.collect()
    }

    fn try_admit(&self, name: &PipeName) -> Option<Visitor> {
        match self.admit(name) {
            Ok(visitor) => {
                self.remove(&name.file(Way::ToServer));
                self.remove(&name.file(Way::ToClient));
                Some(visitor)
            }
            Err(Refused::NotYet) => None,
            Err(Refused::For(why)) => {
                debug!(why, "refused a client's pipes");
                self.remove(&name.file(Way::ToServer));
                None
            }
        }
    }

    /// The pipe to the client is opened last: once it was open, closing it tells the client that it was refused.
    fn admit(&self, name: &PipeName) -> Result<Visitor, Refused> {
        let from_client = self.open(&name.file(Way::ToServer), OFlag::O_RDONLY)?;
        let uid = self.check(&from_client)?;
        let mut first = vec![0; 256];
        match read(&from_client, &mut first) {
            // Nobody writes, or nothing is written yet.
            Ok(0) | Err(_) => return Err(Refused::NotYet),
            Ok(len) => first.truncate(len),
        }
        let to_client = match self.open(&name.file(Way::ToClient), OFlag::O_WRONLY) {
            Err(Refused::NotYet) => return Err(Refused::For("no pipe to answer through")),
            opened => opened?,
        };
        if self.check(&to_client)? != uid {
            return Err(Refused::For("two owners"));
        }
        Ok(Visitor { uid, from_client, to_client, first })
    }

    fn open(&self, file: &str, access: OFlag) -> Result<OwnedFd, Refused> {
        let flags = access | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
        openat(&*self.place.clients, file, flags, Mode::empty()).map_err(|error| match error {
            Errno::ELOOP => Refused::For("a symbolic link"),
            Errno::ENXIO => Refused::For("the client is gone"),
            // Its mode is still to be set, or it was removed just now.
            _ => Refused::NotYet,
        })
    }

    /// The owner of an open pipe, if it is what a client makes.
    fn check(&self, pipe: &OwnedFd) -> Result<u32, Refused> {
        let stat = fstat(pipe).map_err(|_| Refused::For("no status"))?;
        check(&stat, self.place.group).map(|()| stat.st_uid)
    }

    fn remove_orphans(&mut self, now: Instant) {
        let files = self.list();
        self.seen.retain(|file, _| files.contains(file));
        let mut of_user: BTreeMap<u32, usize> = BTreeMap::new();
        for file in files {
            let first_seen = || (now, self.owner(&file));
            let (since, owner) = self.seen.get(&file).copied().unwrap_or_else(first_seen);
            self.seen.insert(file.clone(), (since, owner));
            let count = of_user.entry(owner).or_default();
            *count += 1;
            if *count > MAX_FILES_PER_USER || now.saturating_duration_since(since) >= self.patience {
                self.remove(&file);
                self.seen.remove(&file);
            }
        }
    }

    /// Who made a file; it may be anything.
    fn owner(&self, file: &str) -> u32 {
        let stat = fstatat(&*self.place.clients, file, AtFlags::AT_SYMLINK_NOFOLLOW);
        stat.map_or(u32::MAX, |stat| stat.st_uid)
    }

    fn remove(&self, file: &str) {
        let flags = [UnlinkatFlags::NoRemoveDir, UnlinkatFlags::RemoveDir];
        let mut outcomes = flags.into_iter().map(|flag| unlinkat(&*self.place.clients, file, flag));
        if let Some(Err(error)) = outcomes.find(|outcome| !matches!(outcome, Err(Errno::EISDIR | Errno::ENOENT))) {
            warn!(file, %error, "cannot remove a file among the clients' pipes");
        }
    }
}

fn check(stat: &FileStat, group: u32) -> Result<(), Refused> {
    if !is_fifo(stat) {
        Err(Refused::For("not a named pipe"))
    } else if stat.st_nlink != 1 {
        Err(Refused::For("has another name"))
    } else if stat.st_mode & 0o007 != 0 {
        Err(Refused::For("open to others"))
    } else if stat.st_gid != group {
        Err(Refused::For("of a foreign group"))
    } else {
        Ok(())
    }
}
