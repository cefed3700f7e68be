// SPDX-License-Identifier: GPL-3.0-or-later
//! The daemon's directory: made or checked, locked against a second daemon, and its bell.

use std::fs::DirBuilder;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use dvs_proto::paths::{BELL, CLIENTS, SYSTEM_DIRECTORY, is_fifo};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg, OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, fchmod, fstat, mkdirat};
use nix::unistd::{AccessFlags, Gid, faccessat, fchown, getegid, geteuid, getgroups, mkfifoat};

/// Mode of `c` when a group shares the directory: enter and create, but not list; sticky, set-gid.
const SHARED: Mode = Mode::from_bits_truncate(0o3733);
/// Mode of `c` when only the owner may enter. Set-gid all the same: all pipes must have the directory's group.
const PRIVATE: Mode = Mode::from_bits_truncate(0o3700);

/// The directory, ready for clients.
#[derive(Debug)]
pub(super) struct Place {
    /// Where `c` is.
    pub(super) clients_path: PathBuf,
    /// `c`, locked for as long as this lives.
    pub(super) clients: Flock<OwnedFd>,
    /// The group of `c`, which all pipes in it must have.
    pub(super) group: u32,
}

impl Place {
    /// Checks the directory at `path` and makes what is missing of it. Returns the bell too, which is open for reading
    /// and writing, so that it never reads as ended.
    pub(super) fn prepare(path: &Path) -> anyhow::Result<(Self, OwnedFd)> {
        let from_systemd = bell_from_systemd()?;
        make(path)?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let root = open(path, flags, Mode::empty()).with_context(|| format!("cannot open {}", path.display()))?;
        let stat = fstat(&root)?;
        check_own(path, &stat)?;
        ensure!(stat.st_mode & 0o022 == 0, "others may write to {0}; run: chmod go-w {0}", path.display());
        let shared = stat.st_mode & 0o070 != 0;
        let clients_path = path.join(CLIENTS);
        let (clients, group) = open_clients(&root, &clients_path, shared)?;
        let clients = lock(clients, path)?;
        let bell = match from_systemd {
            Some(bell) => bell,
            None => make_bell(&root, &path.join(BELL), &stat, shared)?,
        };
        Ok((Self { clients_path, clients, group }, bell))
    }
}

fn make(path: &Path) -> anyhow::Result<()> {
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    ensure!(path != Path::new(SYSTEM_DIRECTORY), "{SYSTEM_DIRECTORY} is missing; run: systemd-tmpfiles --create");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make {}", path.display()))
}

fn check_own(path: &Path, stat: &FileStat) -> anyhow::Result<()> {
    let (owner, own) = (stat.st_uid, geteuid().as_raw());
    ensure!(owner == own, "{} belongs to user {owner}, but dvsd runs as user {own}", path.display());
    Ok(())
}

/// Opens `c` and its group, made if missing, with the mode it must have.
fn open_clients(root: &OwnedFd, path: &Path, shared: bool) -> anyhow::Result<(OwnedFd, u32)> {
    let mode = if shared { SHARED } else { PRIVATE };
    match mkdirat(root, CLIENTS, Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(error) => return Err(error).with_context(|| format!("cannot make {}", path.display())),
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let clients = openat(root, CLIENTS, flags, Mode::empty());
    let clients = clients.with_context(|| format!("cannot open {}", path.display()))?;
    check_own(path, &fstat(&clients)?)?;
    if fstat(&clients)?.st_mode & 0o7777 != mode.bits() {
        // Not tried without need: where set-group-id is forbidden, the directory can come from tmpfiles.d as it must be.
        fchmod(&clients, mode).with_context(|| format!("cannot set the mode of {}", path.display()))?;
    }
    let writable = faccessat(root, CLIENTS, AccessFlags::W_OK, AtFlags::empty());
    writable.with_context(|| format!("cannot write to {}", path.display()))?;
    let stat = fstat(&clients)?;
    // The kernel takes the set-gid bit away, without a word, from who is not in the group.
    let group = Gid::from_raw(stat.st_gid);
    let member = getegid() == group || getgroups()?.contains(&group);
    let kept = stat.st_mode & 0o7777 == mode.bits();
    ensure!(kept && (member || geteuid().is_root()), "dvsd is not in group {group} of {}", path.display());
    Ok((clients, stat.st_gid))
}

fn lock(clients: OwnedFd, path: &Path) -> anyhow::Result<Flock<OwnedFd>> {
    match Flock::lock(clients, FlockArg::LockExclusiveNonblock) {
        Ok(locked) => Ok(locked),
        Err((_, Errno::EAGAIN)) => bail!("another dvsd serves {}", path.display()),
        Err((_, error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

/// The bell of a daemon that systemd did not start by its socket unit; one left by an earlier run is used again.
fn make_bell(root: &OwnedFd, path: &Path, directory: &FileStat, shared: bool) -> anyhow::Result<OwnedFd> {
    match mkfifoat(root, BELL, Mode::S_IRUSR | Mode::S_IWUSR) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(error) => return Err(error).with_context(|| format!("cannot make {}", path.display())),
    }
    let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let bell = openat(root, BELL, flags, Mode::empty()).with_context(|| format!("cannot open {}", path.display()))?;
    let stat = fstat(&bell)?;
    ensure!(is_fifo(&stat), "{0} is no named pipe; remove it: rm {0}", path.display());
    check_own(path, &stat)?;
    if shared {
        share_bell(&bell, &stat, directory.st_gid).with_context(|| {
            format!("cannot give {} to the directory's group; start dvsd by its socket unit", path.display())
        })?;
    }
    Ok(bell)
}

/// Lets the directory's group ring the bell.
fn share_bell(bell: &OwnedFd, stat: &FileStat, group: u32) -> nix::Result<()> {
    if stat.st_gid != group {
        fchown(bell, None, Some(Gid::from_raw(group)))?;
    }
    fchmod(bell, Mode::from_bits_truncate(0o620))
}

/// The bell that systemd's socket unit holds (`ListenFIFO=`), if it started us.
fn bell_from_systemd() -> anyhow::Result<Option<OwnedFd>> {
    let Some(number) = sd_notify::listen_fds().context("cannot read what systemd passed")?.next() else {
        return Ok(None);
    };
    // SAFETY: systemd passed this descriptor for us to own, as LISTEN_PID confirms; it is taken here and nowhere else.
    let bell = unsafe { OwnedFd::from_raw_fd(number) };
    ensure!(is_fifo(&fstat(bell.as_fd())?), "what systemd passed is no named pipe; dvsd.socket needs ListenFIFO=");
    Ok(Some(bell))
}
