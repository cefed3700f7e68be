// SPDX-License-Identifier: GPL-3.0-or-later
//! A blocking client: connect, send, receive. It waits with poll and needs no runtime.
//!
//! Writing to a daemon that died raises SIGPIPE unless the process ignores it, as Rust programs do.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

mod connect;
mod error;
mod pipe;

pub use error::{CallError, ConnectError, Lost};

use crate::codec;
use crate::framing::FrameReader;
use crate::hello::ServerHello;
use crate::message::{Failure, FailureKind, Reply, Request, Snapshot, ToClient, ToServer};
use crate::paths::{self, Owner};

/// How long the daemon may take to read a request, or to answer one.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most messages kept while waiting for an answer. A daemon that sends more meanwhile is broken.
const MAX_KEPT: usize = 4096;

/// How to connect.
#[derive(Clone, Debug)]
pub struct Options {
    /// The daemon's directory; `None` looks into [`paths::directories`].
    pub directory: Option<PathBuf>,
    /// Whether the client wants to act, and not only look.
    pub control: bool,
    /// Whether it wants events, and not only answers.
    pub events: bool,
}

impl Default for Options {
    /// The usual directories, acting, with events.
    fn default() -> Self {
        Self { directory: None, control: true, events: true }
    }
}

/// A connection to the daemon. Dropping it closes it; calls go on without.
#[derive(Debug)]
pub struct Client {
    from_server: OwnedFd,
    to_server: OwnedFd,
    reader: FrameReader,
    hello: ServerHello,
    next_id: u32,
    /// Messages that came while an answer was awaited.
    kept: VecDeque<ToClient>,
}

impl Client {
    /// Finds the daemon and connects to it. Its answer is awaited for at most five seconds.
    pub fn connect(options: &Options) -> Result<Self, ConnectError> {
        let connection = match &options.directory {
            Some(directory) => connect::connect(directory, Owner::Any, options.control, options.events)?,
            None => connect_anywhere(options)?,
        };
        let connect::Connection { from_server, to_server, reader, hello } = connection;
        Ok(Self { from_server, to_server, reader, hello, next_id: 1, kept: VecDeque::new() })
    }

    /// This client's number, as in [`crate::message::ClientInfo`].
    pub fn number(&self) -> u32 {
        self.hello.client
    }

    /// The minor version of the protocol that the daemon speaks.
    pub fn server_minor(&self) -> u16 {
        self.hello.minor
    }

    /// Says who this client is and gets the whole state; from then on events come. `name` is shown to other clients,
    /// for example `pts/3`.
    pub fn attach(&mut self, name: &str) -> Result<Snapshot, CallError> {
        self.whole(Request::Attach { name: name.to_owned() })
    }

    /// The whole state again.
    pub fn snapshot(&mut self) -> Result<Snapshot, CallError> {
        self.whole(Request::Snapshot)
    }

    /// Asks for a snapshot by `request` and for the contacts that had no room in it.
    fn whole(&mut self, request: Request) -> Result<Snapshot, CallError> {
        let mut snapshot = match self.call(request)? {
            Reply::Snapshot(snapshot) => *snapshot,
            other => return Err(unexpected(&other).into()),
        };
        while snapshot.contacts.len() < snapshot.contacts_total as usize {
            match self.call(Request::Contacts { skip: snapshot.contacts.len() as u32 })? {
                Reply::Contacts(more) if more.is_empty() => break,
                Reply::Contacts(more) => snapshot.contacts.extend(more),
                other => return Err(unexpected(&other).into()),
            }
        }
        Ok(snapshot)
    }

    /// Sends a request. Its answer comes out of [`recv`](Self::recv), with the number returned here.
    pub fn send(&mut self, request: Request) -> Result<u32, Lost> {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        let frame = codec::encode(&ToServer { id, request })?;
        pipe::write_all(&self.to_server, &frame, PATIENCE)?;
        Ok(id)
    }

    /// The next message; `None` when none came within `timeout`. Without a timeout it waits for ever.
    pub fn recv(&mut self, timeout: Option<Duration>) -> Result<Option<ToClient>, Lost> {
        match self.kept.pop_front() {
            Some(message) => Ok(Some(message)),
            None => self.read(timeout.map(|timeout| Instant::now() + timeout)),
        }
    }

    /// Sends a request and waits for its answer, at most ten seconds. All that comes meanwhile is kept for
    /// [`recv`](Self::recv).
    pub fn call(&mut self, request: Request) -> Result<Reply, CallError> {
        let id = self.send(request)?;
        let deadline = Instant::now() + PATIENCE;
        while let Some(message) = self.read(Some(deadline))? {
            match message {
                ToClient::Reply { id: answered, outcome } if answered == id => return Ok(outcome?),
                _ if self.kept.len() >= MAX_KEPT => break,
                other => self.kept.push_back(other),
            }
        }
        Err(Lost::Silent.into())
    }

    fn read(&mut self, deadline: Option<Instant>) -> Result<Option<ToClient>, Lost> {
        loop {
            if let Some(payload) = self.reader.pull()? {
                return Ok(Some(codec::decode_answer(payload)?));
            }
            if !pipe::wait_readable(&self.from_server, deadline)? {
                return Ok(None);
            }
            pipe::read_into(&self.from_server, &mut self.reader)?;
        }
    }
}

impl AsFd for Client {
    /// Readable when the daemon sent something or went away. Messages may also wait in memory: after each wake-up, and
    /// after each [`Client::call`], empty [`Client::recv`] with a timeout of zero before polling again.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.from_server.as_fd()
    }
}

/// The failure to report when the daemon's answer is of another kind than the request's.
pub fn unexpected(reply: &Reply) -> Failure {
    let mut kind = format!("{reply:?}");
    kind.truncate(kind.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(kind.len()));
    Failure::new(FailureKind::Internal, format!("dvsd gave an answer of the wrong kind: {kind}"))
}

/// Tries the usual directories. What is wrong with a directory that exists is worth more than that another does not.
fn connect_anywhere(options: &Options) -> Result<connect::Connection, ConnectError> {
    let mut absence = None;
    for directory in paths::directories() {
        match connect::connect(&directory, Owner::Usual, options.control, options.events) {
            Err(error) if error.is_absence() => {
                let exists = directory.exists();
                absence = absence.filter(|_| !exists).or(Some(error));
            }
            outcome => return outcome,
        }
    }
    if paths::directories().iter().any(|directory| directory.exists()) || error::is_installed() {
        Err(absence.unwrap_or(ConnectError::NotInstalled))
    } else {
        Err(ConnectError::NotInstalled)
    }
}
