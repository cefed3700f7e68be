// SPDX-License-Identifier: GPL-3.0-or-later
//! Turns host names into addresses, without ever holding up the event loop.
//!
//! Timers: the names of bootstrap nodes are looked up at the start, and again while the node is offline, because such a
//! node may have moved: with pauses from [`FIRST_WAIT`] doubling up to [`MAX_WAIT`]. Online nothing is looked up.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dvsd::id::{HostPort, NodeId};
use tokio::sync::{Semaphore, mpsc, watch};

/// First wait before a name is looked up again; doubled up to [`MAX_WAIT`].
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

/// What is known of the need to look names up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Need {
    online: bool,
    /// Counts the changes of the network, after each of which the pauses begin anew.
    changes: u64,
}

/// Asks for names; the answers come through the channel it was made with.
#[derive(Clone, Debug)]
pub(crate) struct Resolver {
    answers: mpsc::Sender<Resolved>,
    lookups: Arc<Semaphore>,
    need: watch::Sender<Need>,
}

impl Resolver {
    /// A resolver and the end its answers come out of.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Resolved>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let need = watch::Sender::new(Need { online: false, changes: 0 });
        (Self { answers: sender, lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)), need }, receiver)
    }

    /// Whether the overlay is there. While it is not, bootstrap nodes' names are looked up again and again.
    pub(crate) fn set_online(&self, online: bool) {
        self.need.send_if_modified(|need| std::mem::replace(&mut need.online, online) != online);
    }

    /// The network has changed: where names could not be looked up a moment ago they may be now.
    pub(crate) fn hurry(&self) {
        self.need.send_modify(|need| need.changes = need.changes.wrapping_add(1));
    }

    /// Resolves `name`. A bootstrap node's is looked up for as long as the daemon runs, and told when it has changed;
    /// a peer's hint once, and a failure is answered by no address.
    pub(crate) fn resolve(&self, purpose: Purpose, name: HostPort) {
        let resolver = self.clone();
        tokio::spawn(async move {
            if purpose == Purpose::Bootstrap {
                resolver.keep_up(&name).await;
            } else {
                let addresses = resolver.look_up(&name).await.unwrap_or_else(|why| {
                    tracing::warn!("{name} {why}");
                    BTreeSet::new()
                });
                resolver.answer(purpose, &addresses).await;
            }
        });
    }

    /// Follows where a bootstrap node is.
    async fn keep_up(&self, name: &HostPort) {
        let mut need = self.need.subscribe();
        let (mut known, mut failed, mut wait) = (BTreeSet::new(), false, FIRST_WAIT);
        loop {
            match self.look_up(name).await {
                Ok(addresses) => {
                    if addresses != known {
                        self.answer(Purpose::Bootstrap, &addresses).await;
                    }
                    (known, failed) = (addresses, false);
                }
                Err(why) if failed => tracing::debug!(%name, "{why}"),
                Err(why) => {
                    tracing::warn!("{name} {why}");
                    failed = true;
                }
            }
            wait = if pause(&mut need, wait, known.is_empty()).await { (wait * 2).min(MAX_WAIT) } else { FIRST_WAIT };
        }
    }

    async fn look_up(&self, name: &HostPort) -> Result<BTreeSet<SocketAddr>, String> {
        let _turn = self.lookups.acquire().await;
        match tokio::net::lookup_host((name.host.as_str(), name.port)).await {
            Ok(addresses) => Some(addresses.collect()).filter(|all: &BTreeSet<_>| !all.is_empty()),
            Err(error) => return Err(format!("cannot be resolved: {error}")),
        }
        .ok_or_else(|| "has no address".to_owned())
    }

    async fn answer(&self, purpose: Purpose, addresses: &BTreeSet<SocketAddr>) {
        let addresses = addresses.iter().copied().collect();
        let _gone_at_exit = self.answers.send(Resolved { purpose, addresses }).await;
    }
}

/// Waits until it is time to look a name up again. False if something happened meanwhile that makes it urgent. A name
/// that was never resolved (`unknown`) is not left alone even online: the overlay may be one of two nodes only.
async fn pause(need: &mut watch::Receiver<Need>, wait: Duration, unknown: bool) -> bool {
    let before = *need.borrow_and_update();
    if before.online && !unknown {
        // The sender lives as long as we do.
        let _ = need.wait_for(|need| !need.online).await;
        return false;
    }
    tokio::select! {
        () = tokio::time::sleep(wait) => true,
        _ = need.wait_for(|need| need.changes != before.changes) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(online: bool) -> watch::Sender<Need> {
        watch::Sender::new(Need { online, changes: 0 })
    }

    #[tokio::test(start_paused = true)]
    async fn offline_names_are_looked_up_again_after_a_pause_or_when_the_network_changes() {
        let sender = need(false);
        let mut receiver = sender.subscribe();
        let before = tokio::time::Instant::now();
        assert!(pause(&mut receiver, FIRST_WAIT, false).await);
        assert_eq!(before.elapsed(), FIRST_WAIT);
        let waiting = pause(&mut receiver, MAX_WAIT, false);
        tokio::pin!(waiting);
        assert!(tokio::time::timeout(FIRST_WAIT, &mut waiting).await.is_err());
        sender.send_modify(|need| need.changes += 1);
        assert!(!waiting.await, "the pauses begin anew");
    }

    #[tokio::test(start_paused = true)]
    async fn online_a_known_name_is_left_alone_until_offline() {
        let sender = need(true);
        let mut receiver = sender.subscribe();
        let waiting = pause(&mut receiver, FIRST_WAIT, false);
        tokio::pin!(waiting);
        assert!(tokio::time::timeout(Duration::from_secs(86_400), &mut waiting).await.is_err());
        sender.send_modify(|need| need.online = false);
        assert!(!waiting.await);
    }

    #[tokio::test(start_paused = true)]
    async fn online_an_unknown_name_is_still_looked_for() {
        let sender = need(true);
        assert!(pause(&mut sender.subscribe(), MAX_WAIT, true).await);
    }

    #[tokio::test]
    async fn a_bootstrap_node_is_told_once_until_it_moves() {
        let (resolver, mut answers) = Resolver::new();
        resolver.resolve(Purpose::Bootstrap, "localhost:5004".parse().unwrap());
        let first = answers.recv().await.unwrap();
        assert!(!first.addresses.is_empty() && first.addresses.iter().all(|at| at.ip().is_loopback()));
        for _ in 0..3 {
            resolver.hurry();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(answers.try_recv().is_err(), "it has not moved");
    }

    #[tokio::test]
    async fn a_hint_that_does_not_resolve_is_answered_by_no_address() {
        let (resolver, mut answers) = Resolver::new();
        let peer = Purpose::Hints(NodeId([1; 20]));
        resolver.resolve(peer, "nobody.invalid:5004".parse().unwrap());
        let answer = answers.recv().await.unwrap();
        assert_eq!((answer.purpose, answer.addresses), (peer, vec![]));
    }
}
