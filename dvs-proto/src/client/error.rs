// SPDX-License-Identifier: GPL-3.0-or-later
//! What can go wrong between a client and its daemon, each with the command that cures it.

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{Group, User, getegid, getgroups, getuid};
use thiserror::Error;

use crate::codec::CodecError;
use crate::framing::FrameError;
use crate::hello::{HelloError, MAJOR};
use crate::message::Failure;
use crate::paths::{CLIENT_GROUP, PathError, SERVICE_USER, SYSTEM_DIRECTORY};

/// Why no connection came about. The text is one line and names the command to run.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// No trace of a daemon on this machine.
    #[error("dvsd is not installed; install it from its sources: sudo cargo xtask install")]
    NotInstalled,
    /// The daemon is there, but does not run.
    #[error("{}", not_running(directory))]
    NotRunning {
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// Only members of group dvs may.
    #[error("you are not in group {CLIENT_GROUP}; join it: sudo usermod -aG {CLIENT_GROUP} {user}, then log in again")]
    NotInGroup {
        /// The login name.
        user: String,
    },
    /// A member of group dvs, but not in this login.
    #[error("you joined group {CLIENT_GROUP} after this login; run: newgrp {CLIENT_GROUP}, or log in again")]
    LoginNeeded,
    /// The directory is another user's.
    #[error("no permission for {path}, which is another user's; choose your own daemon's with --runtime-dir DIR")]
    Denied {
        /// What cannot be entered.
        path: PathBuf,
    },
    /// Something about the directory smells of a trap.
    #[error("{path} is not to be trusted: {why}; see: ls -ld {path}")]
    Untrusted {
        /// What is wrong.
        path: PathBuf,
        /// How.
        why: String,
    },
    /// The daemon is of another major version.
    #[error(
        "dvsd speaks version {theirs} of the control protocol and this client version {MAJOR}; upgrade both and run: sudo systemctl restart dvsd"
    )]
    Version {
        /// The daemon's.
        theirs: u16,
    },
    /// The daemon serves as many clients as it may.
    #[error("too many clients are attached to dvsd; quit one, see: pgrep -a dvs-tui")]
    TooManyClients,
    /// The bell rang, and nobody came.
    #[error("dvsd does not answer; look into its log: journalctl -u dvsd -n 20")]
    Silent,
    /// The daemon does not speak this protocol, or hung up at once.
    #[error("dvsd refused the connection ({0}); look into its log: journalctl -u dvsd -n 20")]
    Refused(String),
    /// Something else of the system.
    #[error("cannot reach dvsd: {what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        error: Errno,
    },
}

impl ConnectError {
    /// What a failure to use the paths under `directory` means.
    pub(super) fn from_path(error: PathError, directory: &Path) -> Self {
        match error {
            PathError::Untrusted { path, why } => Self::Untrusted { path, why },
            PathError::Unreachable { error: Errno::ENOENT | Errno::ENXIO, .. } => {
                Self::NotRunning { directory: directory.to_owned() }
            }
            PathError::Unreachable { error: Errno::EACCES, path } => denied(path, directory, &Login::present()),
            PathError::Unreachable { error: Errno::ENOTDIR | Errno::ELOOP, path } => {
                Self::Untrusted { path, why: "not a directory, or a symbolic link".into() }
            }
            PathError::Unreachable { error, .. } => Self::System { what: "its directory", error },
        }
    }

    /// Whether there is a daemon's directory at all; without, another place is worth a look.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::NotRunning { .. } | Self::NotInstalled)
    }
}

/// Why a connection is of no more use.
#[derive(Debug, Error)]
pub enum Lost {
    /// The daemon closed it, or died.
    #[error("dvsd closed the connection; see: systemctl status dvsd")]
    Closed,
    /// The daemon does not take or give anything any more.
    #[error("dvsd does not respond; look into its log: journalctl -u dvsd -n 20")]
    Silent,
    /// The stream from the daemon makes no sense.
    #[error("dvsd sent nonsense: {0}")]
    Frame(#[from] FrameError),
    /// A message of the daemon makes no sense.
    #[error("dvsd sent nonsense: {0}")]
    Codec(#[from] CodecError),
    /// Something of the system.
    #[error("cannot talk to dvsd: {0}")]
    System(#[from] Errno),
}

/// Why a call of a request brought no good answer.
#[derive(Debug, Error)]
pub enum CallError {
    /// The daemon refused.
    #[error(transparent)]
    Refused(#[from] Failure),
    /// The connection is gone.
    #[error(transparent)]
    Lost(#[from] Lost),
}

impl From<HelloError> for ConnectError {
    fn from(error: HelloError) -> Self {
        match error {
            HelloError::Version(theirs) => Self::Version { theirs },
            HelloError::Form => Self::Refused(error.to_string()),
        }
    }
}

impl From<Lost> for ConnectError {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Silent => Self::Silent,
            other => Self::Refused(other.to_string()),
        }
    }
}

/// What to do about a daemon that does not run. How one of somebody's own was started, only they know; without its
/// directory the name is more likely wrong.
fn not_running(directory: &Path) -> String {
    let place = directory.display();
    if directory == Path::new(SYSTEM_DIRECTORY) {
        "dvsd is not running; start it: sudo systemctl start dvsd.socket".to_owned()
    } else if is_usual(directory) {
        "dvsd is not running; start it: systemctl --user start dvsd.socket".to_owned()
    } else if directory.exists() {
        format!("dvsd is not running at {place}; start it as before, with its --config and --state-dir")
    } else {
        format!("no daemon at {place} (no such directory); start dvsd, or name its directory with --runtime-dir")
    }
}

/// Whether daemons that systemd starts use this directory.
fn is_usual(directory: &Path) -> bool {
    directory == Path::new(SYSTEM_DIRECTORY) || crate::paths::directories().iter().any(|usual| usual == directory)
}

/// Whether anything hints at an installed daemon: its user, or its program.
pub(super) fn is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"].map(PathBuf::from);
    let program = std::env::split_paths(&path).chain(usual).any(|dir| dir.join("dvsd").is_file());
    program || matches!(User::from_name(SERVICE_USER), Ok(Some(_)))
}

/// What the system knows of the user and group dvs.
struct Login {
    user: String,
    /// Whether the user database lists the user as a member.
    listed: bool,
    /// Whether this process has the group.
    holds: bool,
}

impl Login {
    fn present() -> Self {
        let user = User::from_uid(getuid()).ok().flatten();
        let name = user.as_ref().map_or_else(|| getuid().to_string(), |user| user.name.clone());
        let group = Group::from_name(CLIENT_GROUP).ok().flatten();
        let Some(group) = group else {
            return Self { user: name, listed: false, holds: false };
        };
        let primary = user.is_some_and(|user| user.gid == group.gid);
        let holds = getegid() == group.gid || getgroups().is_ok_and(|groups| groups.contains(&group.gid));
        Self { listed: primary || group.mem.contains(&name), user: name, holds }
    }
}

fn denied(path: PathBuf, directory: &Path, login: &Login) -> ConnectError {
    if directory != Path::new(SYSTEM_DIRECTORY) || login.holds {
        ConnectError::Denied { path }
    } else if login.listed {
        ConnectError::LoginNeeded
    } else {
        ConnectError::NotInGroup { user: login.user.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(listed: bool, holds: bool) -> Login {
        Login { user: "anna".into(), listed, holds }
    }

    fn said(directory: &str, listed: bool, holds: bool) -> String {
        denied(PathBuf::from(directory).join("c"), Path::new(directory), &login(listed, holds)).to_string()
    }

    #[test]
    fn a_closed_door_is_explained_by_the_group() {
        assert!(said("/run/dvs", false, false).contains("sudo usermod -aG dvs anna"));
        assert!(said("/run/dvs", true, false).contains("newgrp dvs"));
        assert!(said("/run/dvs", true, true).contains("no permission for /run/dvs/c"));
        assert!(said("/run/user/7/dvs", false, false).contains("no permission"));
    }

    #[test]
    fn a_daemon_that_does_not_run_is_started_the_way_its_place_demands() {
        let said = |directory: &str| ConnectError::NotRunning { directory: directory.into() }.to_string();
        assert!(said("/run/dvs").ends_with("sudo systemctl start dvsd.socket"));
        let there = std::env::temp_dir().display().to_string();
        let started_by_hand = "; start it as before, with its --config and --state-dir";
        assert_eq!(said(&there), format!("dvsd is not running at {there}{started_by_hand}"));
        let nowhere = "no daemon at /proc/x (no such directory); start dvsd, or name its directory with --runtime-dir";
        assert_eq!(said("/proc/x"), nowhere);
    }

    #[test]
    fn every_error_is_one_line() {
        let errors = [
            ConnectError::NotInstalled,
            ConnectError::LoginNeeded,
            ConnectError::Untrusted { path: "/x".into(), why: "y".into() },
            ConnectError::Version { theirs: 1 },
            ConnectError::TooManyClients,
            ConnectError::Silent,
            ConnectError::Refused("z".into()),
            ConnectError::System { what: "mkfifo", error: Errno::ENOSPC },
        ];
        for error in errors {
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}
