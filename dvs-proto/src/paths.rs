// SPDX-License-Identifier: GPL-3.0-or-later
//! Where the pipes are, what they are called, and whom to trust with that.
//!
//! ```text
//! /run/dvs                dvsd:dvs   0750   or $XDG_RUNTIME_DIR/dvs, 0700, of the user who runs the daemon
//! /run/dvs/bell           dvsd:dvs   0620   carries no data: a byte in it says "look into c"
//! /run/dvs/c              dvsd:dvsd  3733   sticky and set-gid, not listable: new files get the daemon's group
//! /run/dvs/c/<name>.s2c   user:dvsd  0620   daemon to client
//! /run/dvs/c/<name>.c2s   user:dvsd  0640   client to daemon
//! ```
//!
//! A pipe carries no credentials: the owner of a client's two pipes is who the client is.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::{User, geteuid};
use thiserror::Error;

/// The system service's directory.
pub const SYSTEM_DIRECTORY: &str = "/run/dvs";
/// Name of a user's own daemon's directory under `$XDG_RUNTIME_DIR`.
pub const USER_DIRECTORY: &str = "dvs";
/// The user the system service runs as.
pub const SERVICE_USER: &str = "dvsd";
/// The group whose members may be clients of the system service.
pub const CLIENT_GROUP: &str = "dvs";
/// Name of the bell.
pub const BELL: &str = "bell";
/// Name of the directory of the clients' pipes.
pub const CLIENTS: &str = "c";
/// Mode of the pipe from the daemon to a client.
pub const S2C_MODE: Mode = Mode::from_bits_truncate(0o620);
/// Mode of the pipe from a client to the daemon.
pub const C2S_MODE: Mode = Mode::from_bits_truncate(0o640);

/// The directories in which a client looks for a daemon when it is not told one: the user's own first.
pub fn directories() -> Vec<PathBuf> {
    let own = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| Path::new(dir).is_absolute());
    let own = own.map(|dir| PathBuf::from(dir).join(USER_DIRECTORY));
    own.into_iter().chain([PathBuf::from(SYSTEM_DIRECTORY)]).collect()
}

/// Which way a client's pipe leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// From the daemon to the client.
    ToClient,
    /// From the client to the daemon.
    ToServer,
}

/// What the two pipes of one client have in common: 16 random bytes, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PipeName(String);

impl PipeName {
    const LEN: usize = 16;

    /// A name nobody else has.
    pub fn random() -> io::Result<Self> {
        let mut bytes = [0; Self::LEN];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self(HEXLOWER.encode(&bytes)))
    }

    /// The file's name.
    pub fn file(&self, way: Way) -> String {
        match way {
            Way::ToClient => format!("{}.s2c", self.0),
            Way::ToServer => format!("{}.c2s", self.0),
        }
    }

    /// Reads a file's name.
    pub fn parse(file: &str) -> Option<(Self, Way)> {
        let (name, ending) = file.split_once('.')?;
        let way = match ending {
            "s2c" => Way::ToClient,
            "c2s" => Way::ToServer,
            _ => return None,
        };
        let digits = name.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        (digits && name.len() == 2 * Self::LEN).then(|| (Self(name.to_owned()), way))
    }
}

/// Whom a directory may belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Root, the service's user, or whoever runs this process: for directories at well-known places.
    Usual,
    /// Anybody: for a directory that the user chose himself.
    Any,
}

/// Why a directory cannot be used.
#[derive(Debug, Error)]
pub enum PathError {
    /// It, or something in it, cannot be reached.
    #[error("{path}: {error}")]
    Unreachable {
        /// What cannot be reached.
        path: PathBuf,
        /// Why.
        error: Errno,
    },
    /// It might be somebody's trap.
    #[error("{path} is not to be trusted: {why}")]
    Untrusted {
        /// What is wrong.
        path: PathBuf,
        /// How.
        why: String,
    },
}

/// A daemon's directory whose owners were checked, held open so that nobody can put another in its place.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// The directory itself.
    root: OwnedFd,
    /// The directory of the clients' pipes.
    clients: OwnedFd,
    owner: u32,
}

impl Directory {
    /// Opens the directory at `path`; no component that is checked here is followed if it is a symbolic link.
    pub fn open(path: &Path, owner: Owner) -> Result<Self, PathError> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let clients_path = path.join(CLIENTS);
        let root = open(path, flags, Mode::empty()).map_err(|error| unreachable_at(path, error))?;
        let stat = fstat(&root).map_err(|error| unreachable_at(path, error))?;
        check_root(path, &stat, owner)?;
        let clients = openat(&root, CLIENTS, flags, Mode::empty());
        let clients = clients.map_err(|error| unreachable_at(&clients_path, error))?;
        let inner = fstat(&clients).map_err(|error| unreachable_at(&clients_path, error))?;
        check_clients(&clients_path, &inner, stat.st_uid)?;
        Ok(Self { path: path.to_owned(), root, clients, owner: stat.st_uid })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory itself; only good as a starting point for other paths.
    pub fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// The directory of the clients' pipes; only good as a starting point for other paths.
    pub fn clients(&self) -> &OwnedFd {
        &self.clients
    }

    /// User number of the directory's owner.
    pub fn owner(&self) -> u32 {
        self.owner
    }

    /// Opens the bell for ringing. `ENOENT` and `ENXIO` mean that nobody listens.
    pub fn open_bell(&self) -> Result<OwnedFd, PathError> {
        let path = self.path.join(BELL);
        let stat = fstatat(&self.root, BELL, AtFlags::AT_SYMLINK_NOFOLLOW);
        let stat = stat.map_err(|error| unreachable_at(&path, error))?;
        if !is_fifo(&stat) {
            return Err(untrusted(&path, "not a named pipe"));
        }
        if stat.st_uid != self.owner && stat.st_uid != 0 {
            return Err(untrusted(&path, format!("it belongs to user {}", stat.st_uid)));
        }
        let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&self.root, BELL, flags, Mode::empty()).map_err(|error| unreachable_at(&path, error))
    }
}

/// Whether `stat` is a named pipe's.
pub fn is_fifo(stat: &FileStat) -> bool {
    stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFIFO.bits()
}

fn check_root(path: &Path, stat: &FileStat, owner: Owner) -> Result<(), PathError> {
    if stat.st_mode & 0o022 != 0 {
        return Err(untrusted(path, "others may write to it"));
    }
    if owner == Owner::Usual && !is_usual(stat.st_uid) {
        return Err(untrusted(path, format!("it belongs to user {}", stat.st_uid)));
    }
    Ok(())
}

/// Others may write here, so it must be sticky: then nobody can rename or remove what is not his.
fn check_clients(path: &Path, stat: &FileStat, owner: u32) -> Result<(), PathError> {
    if stat.st_uid != owner {
        return Err(untrusted(path, format!("it belongs to user {}, not {owner}", stat.st_uid)));
    }
    if stat.st_mode & 0o022 != 0 && stat.st_mode & 0o1000 == 0 {
        return Err(untrusted(path, "others may write to it and it is not sticky"));
    }
    Ok(())
}

fn is_usual(uid: u32) -> bool {
    let service = || User::from_name(SERVICE_USER).ok().flatten().map(|user| user.uid.as_raw());
    uid == 0 || uid == geteuid().as_raw() || service() == Some(uid)
}

fn unreachable_at(path: &Path, error: Errno) -> PathError {
    PathError::Unreachable { path: path.to_owned(), error }
}

fn untrusted(path: &Path, why: impl Into<String>) -> PathError {
    PathError::Untrusted { path: path.to_owned(), why: why.into() }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use nix::unistd::mkfifo;
    use tempfile::TempDir;

    use super::*;

    fn directory() -> (TempDir, PathBuf) {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("dvs");
        fs::create_dir_all(path.join(CLIENTS)).unwrap();
        chmod(&path, 0o700);
        chmod(&path.join(CLIENTS), 0o3700);
        (temporary, path)
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn why(result: Result<impl Sized, PathError>) -> String {
        match result {
            Err(PathError::Untrusted { why, .. }) => why,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("trusted"),
        }
    }

    #[test]
    fn a_private_directory_is_trusted() {
        let (_keep, path) = directory();
        assert!(Directory::open(&path, Owner::Usual).is_ok());
    }

    #[test]
    fn a_directory_that_others_may_write_to_is_not_trusted() {
        let (_keep, path) = directory();
        chmod(&path, 0o770);
        assert_eq!(why(Directory::open(&path, Owner::Any)), "others may write to it");
    }

    #[test]
    fn a_writable_pipe_directory_must_be_sticky() {
        let (_keep, path) = directory();
        chmod(&path.join(CLIENTS), 0o2733);
        assert!(why(Directory::open(&path, Owner::Any)).contains("not sticky"));
        chmod(&path.join(CLIENTS), 0o3733);
        assert!(Directory::open(&path, Owner::Any).is_ok());
    }

    #[test]
    fn a_link_to_a_directory_is_not_followed() {
        let (keep, path) = directory();
        let link = keep.path().join("link");
        symlink(&path, &link).unwrap();
        let error = Directory::open(&link, Owner::Any).unwrap_err();
        assert!(matches!(error, PathError::Unreachable { error: Errno::ENOTDIR, .. }), "{error}");
    }

    #[test]
    fn a_bell_that_is_no_pipe_is_not_rung() {
        let (_keep, path) = directory();
        fs::write(path.join(BELL), "").unwrap();
        assert_eq!(why(Directory::open(&path, Owner::Any).unwrap().open_bell()), "not a named pipe");
    }

    #[test]
    fn a_bell_nobody_listens_to_says_so() {
        let (_keep, path) = directory();
        mkfifo(&path.join(BELL), Mode::S_IRWXU).unwrap();
        let error = Directory::open(&path, Owner::Any).unwrap().open_bell().unwrap_err();
        assert!(matches!(error, PathError::Unreachable { error: Errno::ENXIO, .. }), "{error}");
    }

    #[test]
    fn only_well_formed_names_are_names() {
        let name = PipeName::random().unwrap();
        assert_eq!(PipeName::parse(&name.file(Way::ToClient)), Some((name.clone(), Way::ToClient)));
        assert_eq!(PipeName::parse(&name.file(Way::ToServer)), Some((name.clone(), Way::ToServer)));
        let good = "0123456789abcdef0123456789abcdef";
        for bad in [
            format!("{good}.c2s.c2s"),
            format!("{good}0.c2s"),
            format!("{good}.C2S"),
            good.to_owned(),
            good.to_uppercase() + ".s2c",
            "../../../../../../../../../etc/x.c2s".to_owned(),
            "é".repeat(16) + ".c2s",
        ] {
            assert_eq!(PipeName::parse(&bad), None, "{bad}");
        }
    }
}
