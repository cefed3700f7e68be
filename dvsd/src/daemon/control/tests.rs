// SPDX-License-Identifier: GPL-3.0-or-later
//! The whole channel over real pipes: the server here, clients on threads beside it.

#![allow(clippy::disallowed_types, reason = "the pipes are files")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dvs_proto::client::{CallError, Client, ConnectError, Lost, Options};
use dvs_proto::framing::{FrameReader, frame};
use dvs_proto::hello::{Hello, ServerHello};
use dvs_proto::message::*;
use dvs_proto::paths::{BELL, C2S_MODE, CLIENTS, PipeName, S2C_MODE, Way};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::{FromClient, Patience, Server, ServerConfig};

mod behaviour;
mod hostile;
mod users;

/// Nothing in these tests takes that long unless it hangs.
const LONG: Duration = Duration::from_secs(20);

/// A server in a temporary directory, and the test in the place of the daemon's loop.
struct House {
    _temporary: TempDir,
    directory: PathBuf,
    server: Server,
    inbox: mpsc::Receiver<FromClient>,
}

impl House {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let directory = temporary.path().join("run/dvs");
        let mut config = config(&directory);
        change(&mut config);
        let (server, inbox) = Server::start(config).unwrap();
        Self { _temporary: temporary, directory, server, inbox }
    }

    /// A server that soon loses its patience.
    fn impatient() -> Self {
        let short = Duration::from_millis(300);
        Self::with(|config| config.patience = Patience { hello: short, progress: short, orphan: short })
    }

    fn options(&self) -> Options {
        Options { directory: Some(self.directory.clone()), ..Options::default() }
    }

    async fn next(&mut self) -> FromClient {
        timeout(LONG, self.inbox.recv()).await.unwrap().unwrap()
    }

    /// The next request, and whose it is.
    async fn request(&mut self) -> (u32, u32, Request) {
        match self.next().await {
            FromClient::Request { client, id, request } => (client, id, request),
            other => panic!("{other:?}"),
        }
    }

    /// A client that said its hello.
    async fn connect(&mut self) -> Client {
        self.connect_with(self.options()).await
    }

    async fn connect_with(&mut self, options: Options) -> Client {
        let client = beside(move || Client::connect(&options)).await.unwrap();
        let FromClient::Attached { client: number, .. } = self.next().await else { panic!() };
        assert_eq!(number, client.number());
        client
    }

    /// A client that has its snapshot.
    async fn attach(&mut self) -> Client {
        let client = self.connect().await;
        self.attach_client(client).await
    }

    async fn attach_client(&mut self, mut client: Client) -> Client {
        let attaching = spawn_blocking(move || client.attach("test").map(|_| client));
        let (number, id, request) = self.request().await;
        assert_eq!(request, Request::Attach { name: "test".into() });
        self.server.reply(number, id, Ok(snapshot(number)));
        attaching.await.unwrap().unwrap()
    }

    /// The files among the clients' pipes.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.join(CLIENTS)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn ring(&self) {
        ring(&self.directory);
    }

    /// Waits until no file is left among the clients' pipes.
    async fn await_empty(&self) {
        for _ in 0..400 {
            if self.files().is_empty() {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("still there: {:?}", self.files());
    }
}

fn config(directory: &Path) -> ServerConfig {
    ServerConfig { directory: directory.to_owned(), observe_only: Vec::new(), patience: Patience::default() }
}

fn ring(directory: &Path) {
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK;
    File::from(open(&directory.join(BELL), flags, Mode::empty()).unwrap()).write_all(&[0]).unwrap();
}

/// Runs something that blocks on a thread of its own.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    timeout(LONG, spawn_blocking(work)).await.unwrap().unwrap()
}

/// Makes a request beside the loop and answers it with `outcome`.
async fn served(
    house: &mut House,
    mut client: Client,
    request: Request,
    outcome: Result<Reply, Failure>,
) -> (Client, Result<Reply, CallError>) {
    let sent = request.clone();
    let calling = spawn_blocking(move || {
        let got = client.call(sent);
        (client, got)
    });
    let (number, id, seen) = house.request().await;
    assert_eq!(seen, request);
    house.server.reply(number, id, outcome);
    calling.await.unwrap()
}

/// Makes a request that the server answers without the loop.
async fn refused(mut client: Client, request: Request) -> (Client, FailureKind) {
    beside(move || match client.call(request) {
        Err(CallError::Refused(failure)) => (client, failure.kind),
        other => panic!("{other:?}"),
    })
    .await
}

async fn recv(mut client: Client) -> (Client, ToClient) {
    beside(move || {
        let message = client.recv(Some(LONG)).unwrap().unwrap();
        (client, message)
    })
    .await
}

fn snapshot(you: u32) -> Reply {
    Reply::Snapshot(Box::new(Snapshot {
        version: "0".into(),
        identity: Identity {
            id: "dvs1".into(),
            hex: String::new(),
            fingerprint: String::new(),
            invite: String::new(),
            algorithm: String::new(),
        },
        network: Network::default(),
        audio: Audio::default(),
        contacts: Vec::new(),
        calls: Vec::new(),
        history: Vec::new(),
        clients: Vec::new(),
        you,
        contacts_total: 0,
        policy: Policy::default(),
        verification: None,
    }))
}

fn activity(number: u64) -> Event {
    Event::Activity { at: number, text: String::new() }
}

/// A client made by hand, which may do everything wrong.
struct Raw {
    name: PipeName,
    from_server: File,
    to_server: File,
}

impl Raw {
    /// Makes and opens both pipes.
    fn new(directory: &Path) -> Self {
        let name = PipeName::random().unwrap();
        let at = |way| directory.join(CLIENTS).join(name.file(way));
        let (s2c, c2s) = (at(Way::ToClient), at(Way::ToServer));
        pipe(&s2c, S2C_MODE);
        pipe(&c2s, C2S_MODE);
        let from_server = File::from(open(&s2c, OFlag::O_RDONLY | OFlag::O_NONBLOCK, Mode::empty()).unwrap());
        let to_server = File::from(open(&c2s, OFlag::O_RDWR | OFlag::O_NONBLOCK, Mode::empty()).unwrap());
        Self { name, from_server, to_server }
    }

    /// Makes both pipes, writes `bytes` where the hello belongs, and rings.
    fn saying(house: &House, bytes: &[u8]) -> Self {
        let mut raw = Self::new(&house.directory);
        raw.to_server.write_all(bytes).unwrap();
        house.ring();
        raw
    }

    /// Reads until `enough` is content or the server closes; false in the latter case.
    async fn read_until(&mut self, mut enough: impl FnMut(&mut FrameReader) -> bool) -> bool {
        let mut reader = FrameReader::new();
        for _ in 0..2000 {
            let mut buffer = [0; 4096];
            match self.from_server.read(&mut buffer) {
                // The kernel also says so before the server opened its end, in which case there is more to come.
                Ok(0) => {
                    if enough(&mut reader) {
                        return true;
                    }
                }
                Ok(len) => reader.push(&buffer[..len]).unwrap(),
                Err(_) if enough(&mut reader) => return true,
                Err(_) => {}
            }
            sleep(Duration::from_millis(1)).await;
        }
        false
    }

    async fn server_hello(&mut self) -> Result<ServerHello, dvs_proto::hello::HelloError> {
        let mut hello = None;
        let found = self
            .read_until(|reader| {
                hello = reader.pull().unwrap().map(ServerHello::parse);
                hello.is_some()
            })
            .await;
        assert!(found, "no hello");
        hello.unwrap()
    }
}

fn pipe(path: &Path, mode: Mode) {
    mkfifo(path, mode).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode.bits())).unwrap();
}

fn hello() -> Vec<u8> {
    frame(&Hello { minor: 0, control: true, events: true }.emit()).unwrap()
}
