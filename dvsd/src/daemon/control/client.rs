// SPDX-License-Identifier: GPL-3.0-or-later
//! One client's task: its hello, then reading and writing until either fails.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use dvs_proto::codec::{self, CodecError};
use dvs_proto::framing::{self, FrameError, FrameReader, MAX_FRAME};
use dvs_proto::hello::{Hello, HelloError, MINOR, NO_CLIENT, ServerHello};
use dvs_proto::message::ToServer;
use thiserror::Error;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tracing::{debug, info};

use super::door::Visitor;
use super::outbox::{Closed, Outbox};
use super::server::Registry;
use super::{FromClient, Patience, REQUESTS_PER_SECOND};

/// Why a client's task is over.
#[derive(Debug, Error)]
enum End {
    #[error("it left")]
    Left,
    #[error("no hello in time")]
    NoHello,
    #[error("{0}")]
    Hello(#[from] HelloError),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Codec(#[from] CodecError),
    #[error("it does not read")]
    Stuck,
    #[error("closed: {0:?}")]
    Closed(Closed),
    #[error("the daemon ends")]
    Daemon,
    #[error("{0}")]
    Pipe(#[from] io::Error),
}

/// A client's pipes.
pub(super) struct Connection {
    from_client: Receiver,
    to_client: Sender,
    reader: FrameReader,
    patience: Patience,
}

impl Connection {
    /// Takes over the pipes of `visitor`.
    pub(super) fn new(visitor: Visitor, patience: Patience) -> anyhow::Result<Self> {
        let mut reader = FrameReader::new();
        reader.push(&visitor.first)?;
        let from_client = Receiver::from_owned_fd(visitor.from_client)?;
        let to_client = Sender::from_owned_fd(visitor.to_client)?;
        Ok(Self { from_client, to_client, reader, patience })
    }

    /// Serves client `number` to its end.
    pub(super) async fn serve(mut self, number: u32, registry: Arc<Registry>, inbox: mpsc::Sender<FromClient>) {
        let ended = self.run(number, &registry, &inbox).await;
        info!(client = number, reason = %ended, "client gone");
        if registry.remove(number) {
            // The loop may be gone too.
            let _ = inbox.send(FromClient::Gone { client: number }).await;
        }
    }

    async fn run(&mut self, number: u32, registry: &Registry, inbox: &mpsc::Sender<FromClient>) -> End {
        let hello = match self.read_hello().await {
            Ok(hello) => hello,
            Err(end) => {
                if let End::Hello(HelloError::Version(_)) = end {
                    let _ = write_frame(&self.to_client, &hello_frame(number), self.patience.progress).await;
                }
                return end;
            }
        };
        debug!(client = number, minor = hello.minor, "hello");
        if let Err(end) = write_frame(&self.to_client, &hello_frame(number), self.patience.progress).await {
            return end;
        }
        let Some((outbox, attached)) = registry.welcome(number, hello) else { return End::Daemon };
        if inbox.send(attached).await.is_err() {
            return End::Daemon;
        }
        let writing = write(&self.to_client, &outbox, self.patience.progress);
        let reading = read(&self.from_client, &mut self.reader, number, registry, inbox);
        tokio::select! {
            end = writing => end,
            end = reading => end,
            why = outbox.closed() => End::Closed(why),
        }
    }

    async fn read_hello(&mut self) -> Result<Hello, End> {
        let deadline = Instant::now() + self.patience.hello;
        loop {
            if let Some(payload) = self.reader.pull()? {
                return Ok(Hello::parse(payload)?);
            }
            timeout_at(deadline, read_into(&self.from_client, &mut self.reader)).await.map_err(|_| End::NoHello)??;
        }
    }
}

/// Tells a client that there are too many.
pub(super) fn turn_away(visitor: &Visitor) {
    // The pipe is empty, so that this fits; and if the client is gone, so be it.
    let _ = nix::unistd::write(&visitor.to_client, &hello_frame(NO_CLIENT));
}

fn hello_frame(client: u32) -> Vec<u8> {
    let hello = ServerHello { minor: MINOR, client, max_frame: MAX_FRAME as u32 };
    framing::frame(&hello.emit()).unwrap_or_default()
}

/// Reads requests and passes them on, no faster than their pace allows: the rest waits in the pipe.
async fn read(
    pipe: &Receiver,
    reader: &mut FrameReader,
    number: u32,
    registry: &Registry,
    inbox: &mpsc::Sender<FromClient>,
) -> End {
    let mut pace = Pace::new(Instant::now());
    loop {
        loop {
            let ToServer { id, request } = match next_request(reader) {
                Ok(Some(message)) => message,
                Ok(None) => break,
                Err(end) => return end,
            };
            sleep_until(pace.next(Instant::now())).await;
            if let Some(message) = registry.judge(number, id, request)
                && inbox.send(message).await.is_err()
            {
                return End::Daemon;
            }
        }
        if let Err(end) = read_into(pipe, reader).await {
            return end;
        }
    }
}

fn next_request(reader: &mut FrameReader) -> Result<Option<ToServer>, End> {
    let Some(payload) = reader.pull()? else { return Ok(None) };
    Ok(Some(codec::decode_request(payload)?))
}

async fn read_into(pipe: &Receiver, reader: &mut FrameReader) -> Result<(), End> {
    let mut buffer = [0; 4096];
    loop {
        pipe.readable().await?;
        match pipe.try_read(&mut buffer) {
            Ok(0) => return Err(End::Left),
            Ok(len) => return Ok(reader.push(buffer.get(..len).unwrap_or_default())?),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn write(pipe: &Sender, outbox: &Outbox, patience: Duration) -> End {
    loop {
        let frame = outbox.next().await;
        if let Err(end) = write_frame(pipe, &frame, patience).await {
            return end;
        }
    }
}

/// Writes all of `bytes`; a pipe takes more than 4096 in pieces. Each piece must be taken within `patience`.
async fn write_frame(pipe: &Sender, mut bytes: &[u8], patience: Duration) -> Result<(), End> {
    while !bytes.is_empty() {
        match pipe.try_write(bytes) {
            Ok(len) => bytes = bytes.get(len..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                timeout(patience, pipe.writable()).await.map_err(|_| End::Stuck)??;
            }
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Err(End::Left),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Spaces out requests: a second's worth at once, then one by one.
#[derive(Debug)]
struct Pace {
    /// When the next request would be due if all came evenly spaced.
    due: Instant,
}

impl Pace {
    const BURST: Duration = Duration::from_secs(1);
    const STEP: Duration = Duration::from_micros(1_000_000 / REQUESTS_PER_SECOND as u64);

    fn new(now: Instant) -> Self {
        Self { due: now }
    }

    /// When a request that is here at `now` may pass.
    fn next(&mut self, now: Instant) -> Instant {
        self.due = self.due.max(now) + Self::STEP;
        self.due.checked_sub(Self::BURST).unwrap_or(now).max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_requests_passes_at_once_and_the_rest_evenly() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..100 {
            assert_eq!(pace.next(now), now);
        }
        assert_eq!(pace.next(now), now + Duration::from_millis(10));
        assert_eq!(pace.next(now), now + Duration::from_millis(20));
        let later = now + Duration::from_secs(60);
        assert_eq!(pace.next(later), later);
    }
}
