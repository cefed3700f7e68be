// SPDX-License-Identifier: GPL-3.0-or-later
//! Turns host names into addresses, without ever holding up the event loop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dvsd::id::{HostPort, NodeId};
use tokio::sync::{Semaphore, mpsc};

/// First wait after a name was not resolved; doubled up to [`MAX_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// Longest wait between two attempts at a name.
const MAX_WAIT: Duration = Duration::from_secs(120);
/// Names that are looked up at the same time; others wait.
const MAX_LOOKUPS: usize = 8;
/// Answers under way to the event loop.
const QUEUE: usize = 64;

/// What addresses were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Joining the overlay, whenever that comes about.
    Bootstrap,
    /// Joining the overlay now, for the sake of finding this peer if there is one.
    Join(Option<NodeId>),
    /// Finding this peer.
    Hints(NodeId),
}

/// Addresses, and what they are for.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) purpose: Purpose,
    pub(crate) addresses: Vec<SocketAddr>,
}

/// Asks for names; the answers come through the channel it was made with.
#[derive(Clone, Debug)]
pub(crate) struct Resolver {
    answers: mpsc::Sender<Resolved>,
    lookups: Arc<Semaphore>,
}

impl Resolver {
    /// A resolver and the end its answers come out of.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Resolved>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self { answers: sender, lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)) }, receiver)
    }

    /// Resolves `name`. A bootstrap node is tried again until it resolves; a peer's hint once, and a failure is answered
    /// by no address.
    pub(crate) fn resolve(&self, purpose: Purpose, name: HostPort) {
        let Self { answers, lookups } = self.clone();
        tokio::spawn(async move {
            let mut wait = FIRST_WAIT;
            loop {
                let turn = lookups.acquire().await;
                let outcome = tokio::net::lookup_host((name.host.as_str(), name.port)).await;
                drop(turn);
                match outcome.map(Iterator::collect::<Vec<_>>) {
                    Ok(addresses) if !addresses.is_empty() => {
                        let _gone_at_exit = answers.send(Resolved { purpose, addresses }).await;
                        return;
                    }
                    Ok(_) => tracing::warn!(%name, "has no address"),
                    Err(error) => tracing::warn!(%name, %error, "cannot be resolved"),
                }
                if purpose != Purpose::Bootstrap {
                    let _gone_at_exit = answers.send(Resolved { purpose, addresses: Vec::new() }).await;
                    return;
                }
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(MAX_WAIT);
            }
        });
    }
}
