// SPDX-License-Identifier: GPL-3.0-or-later
//! The face of the control channel towards the daemon's loop, and the list of clients.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dvs_proto::codec;
use dvs_proto::hello::Hello;
use dvs_proto::message::{Event, Failure, FailureKind, Reply, Request, ToClient};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::client::{Connection, turn_away};
use super::directory::Place;
use super::door::{Door, Visitor};
use super::outbox::{Figure, Frame, Outbox};
use super::{FromClient, INBOX, MAX_CLIENTS, MAX_CLIENTS_PER_USER, MAX_OUTSTANDING, Patience, ServerConfig};

/// Least time between two looks into `c`, however often the bell rings.
const SCAN_GAP: Duration = Duration::from_millis(20);
/// Longest time between two looks while something lies in `c`.
const LEFTOVER_SCAN: Duration = Duration::from_secs(1);
/// Longest time between two looks otherwise.
const IDLE_SCAN: Duration = Duration::from_secs(60);

/// The control channel. Dropping it disconnects all clients.
#[derive(Debug)]
pub(crate) struct Server {
    registry: Arc<Registry>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Prepares the directory and begins to serve, on the running tokio runtime.
    pub(crate) fn start(config: ServerConfig) -> anyhow::Result<(Self, mpsc::Receiver<FromClient>)> {
        let (place, bell) = Place::prepare(&config.directory)?;
        info!(directory = %config.directory.display(), "control channel ready");
        let bell = Receiver::from_owned_fd(bell)?;
        let door = Door::new(place, config.patience.orphan);
        let registry = Arc::new(Registry::new(config.observe_only));
        let (inbox, messages) = mpsc::channel(INBOX);
        let accepting = tokio::spawn(accept(bell, door, Arc::clone(&registry), inbox, config.patience));
        Ok((Self { registry, accepting }, messages))
    }

    /// Answers a request. Answers to clients that are gone, and second answers, are dropped.
    pub(crate) fn reply(&self, client: u32, id: u32, outcome: Result<Reply, Failure>) {
        self.registry.reply(client, id, outcome);
    }

    /// Tells all attached clients what happened. [`Event::Levels`] goes only to those that asked for it; of levels,
    /// stats and network, a client that reads slowly gets the latest only.
    pub(crate) fn event(&self, event: &Event) {
        self.registry.event(event);
    }

    /// Whether any client asked for [`Event::Levels`]; if none did, they need not be measured.
    pub(crate) fn wants_levels(&self) -> bool {
        self.registry.lock().clients.values().any(|entry| entry.levels)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        self.registry.lock().clients.values().for_each(|entry| entry.outbox.close());
    }
}

/// Lets clients in for as long as it is polled.
async fn accept(
    bell: Receiver,
    mut door: Door,
    registry: Arc<Registry>,
    inbox: mpsc::Sender<FromClient>,
    patience: Patience,
) {
    loop {
        // Beside the loop: a directory full of rubbish takes its time.
        let scan = move || (door.scan(Instant::now()), door);
        let Ok((visitors, back)) = spawn_blocking(scan).await else { return };
        door = back;
        for visitor in visitors {
            admit(visitor, &registry, &inbox, patience);
        }
        sleep(SCAN_GAP).await;
        let longest = if door.has_leftovers() { LEFTOVER_SCAN.min(patience.orphan) } else { IDLE_SCAN };
        if let Ok(Err(error)) = timeout(longest, ring(&bell)).await {
            warn!(%error, "cannot hear the bell");
            sleep(longest).await;
        }
    }
}

/// Waits for the bell and empties it. Somebody may ring without end, so one pipe's worth is enough.
async fn ring(bell: &Receiver) -> std::io::Result<()> {
    let mut ignored = [0; 4096];
    bell.readable().await?;
    for _ in 0..16 {
        match bell.try_read(&mut ignored) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn admit(visitor: Visitor, registry: &Arc<Registry>, inbox: &mpsc::Sender<FromClient>, patience: Patience) {
    let uid = visitor.uid;
    let Some(number) = registry.reserve(uid) else {
        warn!(uid, "too many clients");
        return turn_away(&visitor);
    };
    match Connection::new(visitor, patience) {
        Ok(connection) => {
            info!(client = number, uid, "client came");
            tokio::spawn(connection.serve(number, Arc::clone(registry), inbox.clone()));
        }
        Err(error) => {
            warn!(uid, %error, "cannot serve a client");
            registry.remove(number);
        }
    }
}

/// All clients, shared by the loop's [`Server`] and the clients' tasks. Never locked across a wait.
#[derive(Debug)]
pub(super) struct Registry {
    observe_only: Vec<u32>,
    clients: Mutex<Clients>,
}

#[derive(Debug, Default)]
struct Clients {
    last_number: u32,
    clients: BTreeMap<u32, Entry>,
}

#[derive(Debug)]
struct Entry {
    uid: u32,
    /// Whether it said its hello, and the loop knows it.
    welcome: bool,
    control: bool,
    wants_events: bool,
    /// Whether its [`Request::Attach`] came; any other request before that is refused.
    asked_to_attach: bool,
    /// The number of its [`Request::Attach`], until that is answered.
    attaching: Option<u32>,
    /// Whether it has its snapshot, so that events make sense to it.
    attached: bool,
    levels: bool,
    outstanding: BTreeSet<u32>,
    outbox: Arc<Outbox>,
}

impl Registry {
    fn new(observe_only: Vec<u32>) -> Self {
        Self { observe_only, clients: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for a client of user `uid`, if there is still room for one.
    fn reserve(&self, uid: u32) -> Option<u32> {
        let mut all = self.lock();
        let of_user = all.clients.values().filter(|entry| entry.uid == uid).count();
        if all.clients.len() >= MAX_CLIENTS || of_user >= MAX_CLIENTS_PER_USER {
            return None;
        }
        all.last_number += 1;
        let number = all.last_number;
        all.clients.insert(number, Entry::new(uid));
        Some(number)
    }

    /// Notes what a client said in its hello.
    pub(super) fn welcome(&self, number: u32, hello: Hello) -> Option<(Arc<Outbox>, FromClient)> {
        let mut all = self.lock();
        let entry = all.clients.get_mut(&number)?;
        entry.welcome = true;
        entry.control = hello.control && !self.observe_only.contains(&entry.uid);
        entry.wants_events = hello.events;
        let attached = FromClient::Attached { client: number, uid: entry.uid, control: entry.control };
        Some((Arc::clone(&entry.outbox), attached))
    }

    /// Forgets a client; true if the loop knew it.
    pub(super) fn remove(&self, number: u32) -> bool {
        self.lock().clients.remove(&number).is_some_and(|entry| entry.welcome)
    }

    /// Answers a request that the loop need not see; else returns it for the loop.
    pub(super) fn judge(&self, number: u32, id: u32, request: Request) -> Option<FromClient> {
        let mut all = self.lock();
        let entry = all.clients.get_mut(&number)?;
        match entry.judge(id, &request) {
            Ok(None) => Some(FromClient::Request { client: number, id, request }),
            Ok(Some(reply)) => {
                entry.send_reply(id, Ok(reply));
                None
            }
            Err(failure) => {
                entry.send_reply(id, Err(failure));
                None
            }
        }
    }

    fn reply(&self, number: u32, id: u32, outcome: Result<Reply, Failure>) {
        let mut all = self.lock();
        let Some(entry) = all.clients.get_mut(&number) else { return };
        if !entry.outstanding.remove(&id) {
            return;
        }
        let attached = matches!(outcome, Ok(Reply::Snapshot(_))) && entry.attaching == Some(id);
        entry.send_reply(id, outcome);
        if attached {
            entry.attaching = None;
            entry.attached = true;
        }
    }

    /// Sends `event` to the attached clients. It is encoded once.
    fn event(&self, event: &Event) {
        let all = self.lock();
        let is_levels = matches!(event, Event::Levels(_));
        let hears = |entry: &&Entry| entry.attached && entry.wants_events && (entry.levels || !is_levels);
        let listeners = all.clients.values().filter(hears);
        let mut listeners = listeners.peekable();
        if listeners.peek().is_none() {
            return;
        }
        let frame: Frame = match codec::encode(&ToClient::Event(event.clone())) {
            Ok(frame) => frame.into(),
            Err(error) => {
                warn!(%error, "an event is lost");
                return;
            }
        };
        for entry in listeners {
            match Figure::of(event) {
                Some(figure) => entry.outbox.put(figure, Arc::clone(&frame)),
                None => entry.outbox.push(Arc::clone(&frame)),
            }
        }
    }
}

impl Entry {
    fn new(uid: u32) -> Self {
        Self {
            uid,
            welcome: false,
            control: false,
            wants_events: false,
            asked_to_attach: false,
            attaching: None,
            attached: false,
            levels: false,
            outstanding: BTreeSet::new(),
            outbox: Arc::default(),
        }
    }

    /// The answer to `request`, or `None` when that is the loop's to give.
    fn judge(&mut self, id: u32, request: &Request) -> Result<Option<Reply>, Failure> {
        request.check()?;
        let attach = matches!(request, Request::Attach { .. });
        if !attach && !self.asked_to_attach {
            return Err(Failure::new(FailureKind::State, "the first request must be Attach"));
        }
        if request.acts() && !self.control {
            return Err(Failure::new(FailureKind::Permission, "this client may look, but not act"));
        }
        if let Request::Levels { on } = request {
            self.levels = *on;
            return Ok(Some(Reply::Done));
        }
        if self.outstanding.len() >= MAX_OUTSTANDING {
            return Err(Failure::new(FailureKind::Limit, "too many requests at once; wait for some answers"));
        }
        if !self.outstanding.insert(id) {
            return Err(Failure::new(FailureKind::BadInput, "another request of this number waits for its answer"));
        }
        if attach {
            self.asked_to_attach = true;
            self.attaching = Some(id);
        }
        Ok(None)
    }

    fn send_reply(&self, id: u32, outcome: Result<Reply, Failure>) {
        let encoded = codec::encode(&ToClient::Reply { id, outcome }).or_else(|error| {
            warn!(%error, "an answer does not fit");
            let failure = Failure::new(FailureKind::Limit, "the answer is too long; ask for less");
            codec::encode(&ToClient::Reply { id, outcome: Err(failure) })
        });
        match encoded {
            Ok(frame) => self.outbox.push(frame.into()),
            Err(_) => self.outbox.close(),
        }
    }
}
