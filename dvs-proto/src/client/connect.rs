// SPDX-License-Identifier: GPL-3.0-or-later
//! How a client gets its two pipes: make them, put the hello in, ring, wait.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{UnlinkatFlags, mkfifoat, unlinkat, write};

use super::error::{ConnectError, Lost};
use super::pipe;
use crate::framing::{self, FrameReader};
use crate::hello::{Hello, MINOR, NO_CLIENT, ServerHello};
use crate::paths::{C2S_MODE, Directory, Owner, PipeName, S2C_MODE, Way};

/// How long the daemon may take for its hello. systemd may have to start it first.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// The open ends of a connection on which the hellos were said.
pub(super) struct Connection {
    pub(super) from_server: OwnedFd,
    pub(super) to_server: OwnedFd,
    pub(super) reader: FrameReader,
    pub(super) hello: ServerHello,
}

/// Connects to the daemon whose directory is at `path`.
pub(super) fn connect(path: &Path, owner: Owner, control: bool, events: bool) -> Result<Connection, ConnectError> {
    let from_path = |error| ConnectError::from_path(error, path);
    let directory = Directory::open(path, owner).map_err(from_path)?;
    // Before any file is made: without a daemon this says so, and while it is open the bell does not lose our byte.
    let bell = directory.open_bell().map_err(from_path)?;
    let name = PipeName::random().map_err(|error| system("/dev/urandom", errno(&error)))?;
    let names = Names { directory: &directory, name };
    let from_server = names.make(Way::ToClient, S2C_MODE, OFlag::O_RDONLY)?;
    // A second end, open for both, keeps the pipe open for writing until the daemon has its end. Then it must go, or
    // the daemon's death would not be noticed.
    let placeholder = names.make(Way::ToServer, C2S_MODE, OFlag::O_RDWR)?;
    let to_server = names.open(Way::ToServer, OFlag::O_WRONLY)?;
    let hello = framing::frame(&Hello { minor: MINOR, control, events }.emit()).map_err(Lost::from)?;
    pipe::write_all(&to_server, &hello, HELLO_TIMEOUT)?;
    ring(&bell)?;
    let (hello, reader) = await_hello(&from_server)?;
    drop(placeholder);
    Ok(Connection { from_server, to_server, reader, hello })
}

/// A full bell rings already.
fn ring(bell: &OwnedFd) -> Result<(), ConnectError> {
    match write(bell, &[0]) {
        Ok(_) | Err(Errno::EAGAIN) => Ok(()),
        Err(error) => Err(system("the bell", error)),
    }
}

fn await_hello(from_server: &OwnedFd) -> Result<(ServerHello, FrameReader), ConnectError> {
    let deadline = Instant::now() + HELLO_TIMEOUT;
    let mut reader = FrameReader::new();
    loop {
        if let Some(payload) = reader.pull().map_err(Lost::from)? {
            let hello = ServerHello::parse(payload)?;
            return if hello.client == NO_CLIENT { Err(ConnectError::TooManyClients) } else { Ok((hello, reader)) };
        }
        if !pipe::wait_readable(from_server, Some(deadline)).map_err(Lost::from)? {
            return Err(ConnectError::Silent);
        }
        pipe::read_into(from_server, &mut reader)?;
    }
}

/// The two names, removed when no longer needed: normally the daemon did that already.
struct Names<'a> {
    directory: &'a Directory,
    name: PipeName,
}

impl Names<'_> {
    /// Makes a pipe and opens it. The mode given to mkfifo is cut by the umask, so that it is set once more.
    fn make(&self, way: Way, mode: Mode, access: OFlag) -> Result<OwnedFd, ConnectError> {
        mkfifoat(self.directory.clients(), self.name.file(way).as_str(), mode)
            .map_err(|error| system("making a pipe", error))?;
        let pipe = self.open(way, access)?;
        fchmod(&pipe, mode).map_err(|error| system("opening the pipe to the daemon's group", error))?;
        Ok(pipe)
    }

    fn open(&self, way: Way, access: OFlag) -> Result<OwnedFd, ConnectError> {
        let flags = access | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(self.directory.clients(), self.name.file(way).as_str(), flags, Mode::empty())
            .map_err(|error| system("opening a pipe", error))
    }
}

impl Drop for Names<'_> {
    fn drop(&mut self) {
        for way in [Way::ToClient, Way::ToServer] {
            let _ = unlinkat(self.directory.clients(), self.name.file(way).as_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

fn system(what: &'static str, error: Errno) -> ConnectError {
    ConnectError::System { what, error }
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or_default())
}
