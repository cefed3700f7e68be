// SPDX-License-Identifier: GPL-3.0-or-later
//! The connection to the daemon, on a thread of its own: it never makes the screen wait, and when it breaks it is made
//! again.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel};
use std::time::Duration;

use anyhow::Context;
use dvs_proto::client::{Client, Lost, Options};
use dvs_proto::message::{Request, Snapshot, ToClient};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::app::Input;
use super::run::Incoming;

/// First and longest pause before another attempt to connect.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// The way to the thread.
pub(super) struct Link {
    requests: Sender<(u32, Request)>,
    wake: Arc<EventFd>,
}

impl Link {
    /// Hands `client`, which is attached, to a thread of its own. What the daemon says comes out of `out`.
    pub(super) fn start(client: Client, dialler: Dialler, out: SyncSender<Incoming>) -> anyhow::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let wake = Arc::new(EventFd::from_value_and_flags(0, flags).context("making an event descriptor")?);
        let (requests, from_app) = channel();
        let line = Line { requests: from_app, wake: Arc::clone(&wake), out, dialler };
        std::thread::Builder::new().name("link".into()).spawn(move || line.run(client)).context("starting a thread")?;
        Ok(Self { requests, wake })
    }

    /// Sends a request whose answer will repeat `id`.
    pub(super) fn send(&self, id: u32, request: Request) {
        // Both fail only when the thread is gone, and then the program ends.
        let _ = self.requests.send((id, request));
        let _ = self.wake.write(1);
    }
}

/// How to reach the daemon.
pub(super) struct Dialler {
    /// Where it is.
    pub(super) options: Options,
    /// Our name for other clients.
    pub(super) name: String,
}

impl Dialler {
    /// Connects and attaches.
    pub(super) fn dial(&self) -> Result<(Client, Snapshot), String> {
        let mut client = Client::connect(&self.options).map_err(|error| error.to_string())?;
        let snapshot = client.attach(&self.name).map_err(|error| error.to_string())?;
        Ok((client, snapshot))
    }
}

/// Nobody listens to the thread any more.
struct Gone;

/// What the thread has.
struct Line {
    requests: Receiver<(u32, Request)>,
    wake: Arc<EventFd>,
    out: SyncSender<Incoming>,
    dialler: Dialler,
}

impl Line {
    fn run(self, mut client: Client) {
        loop {
            let why = match self.serve(&mut client) {
                Ok(Gone) => return,
                Err(lost) => lost.to_string(),
            };
            drop(client);
            match self.reconnect(why) {
                Ok(connected) => client = connected,
                Err(Gone) => return,
            }
        }
    }

    fn tell(&self, input: Input) -> Result<(), Gone> {
        self.out.send(Incoming::Input(input)).map_err(|_| Gone)
    }

    /// Carries messages both ways until the connection breaks, or until nobody listens.
    fn serve(&self, client: &mut Client) -> Result<Gone, Lost> {
        let mut numbers = BTreeMap::new();
        loop {
            for (id, request) in self.requests.try_iter() {
                numbers.insert(client.send(request)?, id);
            }
            while let Some(message) = client.recv(Some(Duration::ZERO))? {
                let Some(message) = renumbered(message, &mut numbers) else { continue };
                if self.tell(Input::Message(message)).is_err() {
                    return Ok(Gone);
                }
            }
            self.wait(client)?;
        }
    }

    /// Sleeps until the daemon or the screen has something to say.
    fn wait(&self, client: &Client) -> Result<(), Lost> {
        let mut ends =
            [PollFd::new(client.as_fd(), PollFlags::POLLIN), PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ends, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        // It fails when nobody woke us, which is as good.
        let _ = self.wake.read();
        Ok(())
    }

    /// Tries again and again, with longer and longer pauses, and tells the screen each time.
    fn reconnect(&self, mut why: String) -> Result<Client, Gone> {
        let mut pause = PAUSE;
        loop {
            self.tell(Input::Unlinked { why, retry: pause })?;
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
            match self.dialler.dial() {
                Ok((client, snapshot)) => {
                    // What was asked of the old connection must not reach the new one.
                    self.requests.try_iter().for_each(drop);
                    self.tell(Input::Linked(Box::new(snapshot)))?;
                    return Ok(client);
                }
                Err(reason) => why = reason,
            }
        }
    }
}

/// An answer with the number that the screen gave its request.
fn renumbered(message: ToClient, numbers: &mut BTreeMap<u32, u32>) -> Option<ToClient> {
    match message {
        ToClient::Reply { id, outcome } => numbers.remove(&id).map(|id| ToClient::Reply { id, outcome }),
        event => Some(event),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dvs_proto::message::Reply;

    #[test]
    fn answers_get_the_number_of_their_question() {
        let mut numbers = BTreeMap::from([(9, 2)]);
        let reply = |id| ToClient::Reply { id, outcome: Ok(Reply::Done) };
        assert_eq!(renumbered(reply(9), &mut numbers), Some(reply(2)));
        assert_eq!(renumbered(reply(9), &mut numbers), None, "nobody asked twice");
    }
}
