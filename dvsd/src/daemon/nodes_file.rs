// SPDX-License-Identifier: GPL-3.0-or-later
//! The nodes this daemon knew when it last ran, so that it needs no bootstrap node to come back.
//!
//! Nothing depends on the file: whatever is wrong with it, the daemon warns once and starts without.
//!
//! Timers: it is written [`SOON`] after the overlay was joined, then every [`OFTEN`] if anything has changed, and at the end.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use dvsd::id::NodeId;
use dvsd::time::Instant;
use dvsd::wire::saved;

/// First time after the overlay was joined: by then the neighbourhood is known.
const SOON: Duration = Duration::from_secs(20);
/// Time between two looks at whether the file is to be written again.
const OFTEN: Duration = Duration::from_secs(600);
/// With fewer nodes than this, those of earlier times are kept as well: a start tries so many at once.
const ENOUGH: usize = 20;

/// A node and where it was.
pub(crate) type Known = (NodeId, SocketAddr);

/// Reads `file`. What is wrong with it is said in the log.
pub(crate) fn load(file: &Path) -> Vec<Known> {
    match read(file) {
        Ok(nodes) => nodes,
        Err(error) => {
            tracing::warn!("{} is not used: {error:#}; starting without the nodes of last time", file.display());
            Vec::new()
        }
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<Known>> {
    let options = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let handle = match OpenOptions::new().read(true).custom_flags(options).open(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => bail!("it is a symbolic link"),
        outcome => outcome?,
    };
    ensure!(handle.metadata()?.is_file(), "it is not a regular file");
    let mut bytes = Vec::new();
    // One byte more than allowed shows that it is too long.
    handle.take(saved::MAX_FILE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(saved::parse(&bytes)?)
}

/// Puts `bytes` in place of `file`, or leaves it as it was: under another name first, safe on the disk, then renamed.
pub(crate) fn replace(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let temporary = file.with_extension("new");
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).context("cannot remove an old attempt"),
        _ => {}
    }
    let mut handle = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    handle.write_all(bytes)?;
    handle.sync_all()?;
    std::fs::rename(&temporary, file)?;
    match file.parent() {
        Some(directory) => Ok(File::open(directory)?.sync_all()?),
        None => Ok(()),
    }
}

/// When to write what.
#[derive(Debug)]
pub(crate) struct NodesFile {
    file: PathBuf,
    /// What is on the disk, or on its way there, sorted.
    written: Vec<Known>,
    due: Option<Instant>,
}

impl NodesFile {
    /// The file and what [`load`] found in it.
    pub(crate) fn new(file: PathBuf, loaded: &[Known]) -> Self {
        let mut written = loaded.to_vec();
        written.sort_unstable();
        Self { file, written, due: None }
    }

    /// When [`Self::is_due`] will be true.
    pub(crate) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The overlay was joined.
    pub(crate) fn joined(&mut self, now: Instant) {
        self.due.get_or_insert(now + SOON);
    }

    /// Whether it is time to look; if so, the next time is set.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.due.is_some_and(|due| due <= now);
        if is_due {
            self.due = Some(now + OFTEN);
        }
        is_due
    }

    /// The file and what is to be written into it, if these are the nodes known now; `None` if nothing has changed or
    /// nobody is known: then the old ones are better than none.
    pub(crate) fn update(&mut self, mut nodes: Vec<Known>) -> Option<(PathBuf, Vec<u8>)> {
        nodes.retain(|(_, address)| saved::is_lasting(*address));
        if nodes.is_empty() {
            return None;
        }
        let is_new = |old: &&Known| nodes.iter().all(|(id, at)| *id != old.0 && *at != old.1);
        let older: Vec<Known> = self.written.iter().filter(is_new).copied().collect();
        nodes.extend(older.into_iter().take(ENOUGH.saturating_sub(nodes.len())));
        let bytes = saved::emit(&nodes);
        nodes.sort_unstable();
        let has_changed = nodes != self.written;
        self.written = nodes;
        has_changed.then(|| (self.file.clone(), bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    fn node(number: u8) -> Known {
        (NodeId([number; 20]), SocketAddr::from(([198, 18, number, 1], 5004)))
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1_000)
    }

    #[test]
    fn what_is_written_is_read_and_readable_by_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("nodes");
        assert_eq!(load(&file), []);
        for nodes in [vec![node(1), node(2)], vec![node(3)]] {
            replace(&file, &saved::emit(&nodes)).unwrap();
            assert_eq!(load(&file), nodes);
        }
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn an_attempt_that_was_cut_short_neither_harms_nor_hinders() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("nodes");
        replace(&file, &saved::emit(&[node(1)])).unwrap();
        std::fs::write(directory.path().join("nodes.new"), b"DVSN").unwrap();
        assert_eq!(load(&file), [node(1)]);
        replace(&file, &saved::emit(&[node(2)])).unwrap();
        assert_eq!(load(&file), [node(2)]);
    }

    #[test]
    fn a_file_that_is_none_of_ours_means_a_fresh_start() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("nodes");
        for bytes in [&b""[..], b"DVSN", b"something else", &[0; 100_000]] {
            std::fs::write(&file, bytes).unwrap();
            assert_eq!(load(&file), []);
        }
        std::fs::remove_file(&file).unwrap();
        symlink("/dev/zero", &file).unwrap();
        assert_eq!(load(&file), []);
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        assert_eq!(load(&file), []);
    }

    #[test]
    fn it_is_written_soon_after_joining_and_then_only_if_something_has_changed() {
        let mut file = NodesFile::new(PathBuf::from("nodes"), &[]);
        assert!(!file.is_due(at(1)));
        file.joined(at(1));
        assert_eq!(file.due(), Some(at(1) + SOON));
        assert!(!file.is_due(at(2)));
        assert!(file.is_due(at(1) + SOON));
        assert!(file.update(vec![node(1)]).is_some());
        file.joined(at(30));
        assert!(!file.is_due(at(60)), "joining anew does not make it write more often");
        assert!(file.is_due(at(1) + SOON + OFTEN));
        assert!(file.update(vec![node(1)]).is_none());
        assert!(file.update(vec![node(1), node(2)]).is_some());
        assert!(file.update(vec![node(2), node(1)]).is_none(), "the order is no change");
    }

    #[test]
    fn nodes_of_earlier_times_are_kept_until_there_are_enough() {
        let old: Vec<Known> = (1..=30).map(node).collect();
        let mut file = NodesFile::new(PathBuf::from("nodes"), &old);
        assert!(file.update(Vec::new()).is_none(), "nobody is known: the file stays");
        let moved = (NodeId([1; 20]), SocketAddr::from(([198, 18, 99, 1], 5004)));
        let (_, bytes) = file.update(vec![moved, node(200)]).unwrap();
        let kept = saved::parse(&bytes).unwrap();
        assert_eq!(kept.len(), ENOUGH);
        assert_eq!(kept[..2], [moved, node(200)]);
        assert!(kept[2..].iter().all(|known| old[1..].contains(known)), "and nobody at two addresses");
        let many: Vec<Known> = (100..=130).map(node).collect();
        let (_, bytes) = file.update(many.clone()).unwrap();
        assert_eq!(saved::parse(&bytes).unwrap(), many);
    }
}
