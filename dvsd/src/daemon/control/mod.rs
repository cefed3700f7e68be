// SPDX-License-Identifier: GPL-3.0-or-later
//! The local control channel: clients on this machine, each with two named pipes of its own.
//!
//! | file | what lives there |
//! |---|---|
//! | `directory` | the daemon's directory: made or checked, locked, and its bell |
//! | `door` | looks for new clients' pipes and decides whose they are |
//! | `client` | one client's task: hello, reading, writing |
//! | `outbox` | what one client is still to be sent, in bounded memory |
//! | `requests`, `trust`, `convert`, `desk` | what clients ask for, what they are shown, what is remembered for them |
//! | `local` | addresses for an invite that is good in the own network |
//! | `server` | the face towards the daemon's loop |
//!
//! The loop owns a [`Server`], takes [`FromClient`] out of the channel, and answers with [`Server::reply`] and
//! [`Server::event`], neither of which ever waits for a client.

use std::path::PathBuf;
use std::time::Duration;

use dvs_proto::message::Request;

mod client;
pub(crate) mod convert;
pub(crate) mod desk;
mod directory;
mod door;
mod local;
mod outbox;
mod requests;
mod server;
#[cfg(test)]
mod tests;
pub(crate) mod trust;

pub(crate) use server::Server;

/// Clients that may be attached at the same time.
const MAX_CLIENTS: usize = 16;
/// Of these, how many may belong to one user.
const MAX_CLIENTS_PER_USER: usize = 8;
/// Requests of one client that may wait for their answers at the same time.
const MAX_OUTSTANDING: usize = 32;
/// Requests of one client per second; faster ones wait in its pipe.
const REQUESTS_PER_SECOND: u32 = 100;
/// What the loop has not taken yet; clients wait when it is full.
const INBOX: usize = 64;

/// How the control channel is set up.
#[derive(Clone, Debug)]
pub(crate) struct ServerConfig {
    /// The directory of the bell and of `c`.
    pub(crate) directory: PathBuf,
    /// User numbers that may look, but not act.
    pub(crate) observe_only: Vec<u32>,
    /// How long it waits for whom.
    pub(crate) patience: Patience,
}

/// How long the server waits for whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For a new client's hello.
    pub(crate) hello: Duration,
    /// For a client to read at least one byte of what it was sent.
    pub(crate) progress: Duration,
    /// For files in `c` to become a client; then they are removed.
    pub(crate) orphan: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { hello: Duration::from_secs(5), progress: Duration::from_secs(5), orphan: Duration::from_secs(10) }
    }
}

/// What the clients tell the loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FromClient {
    /// A client said its hello. Its first request is always [`Request::Attach`]; events reach it once that is
    /// answered with a snapshot.
    Attached {
        /// Its number, never used again in this run.
        client: u32,
        /// The user who owns its pipes.
        uid: u32,
        /// Whether it may act; requests it may not make are refused before they come here.
        control: bool,
    },
    /// A request of sane size that the client may make. Each must be answered once with [`Server::reply`].
    /// [`Request::Levels`] never comes: the server keeps that list itself.
    Request {
        /// Who.
        client: u32,
        /// The number to repeat in the answer.
        id: u32,
        /// What.
        request: Request,
    },
    /// A client left, died or was dropped. Nothing more comes from it.
    Gone {
        /// Who.
        client: u32,
    },
}
