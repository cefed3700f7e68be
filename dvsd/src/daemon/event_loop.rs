// SPDX-License-Identifier: GPL-3.0-or-later
//! Wait for one thing, hand it to the service, and again.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::control::FromClient;
use crate::resolver::Resolved;
use crate::service::Service;
use crate::surroundings::{Surroundings, Watch};
use crate::systemd;

/// How long a shutdown waits for peers to acknowledge the end of their sessions.
const SHUTDOWN_WAIT: Duration = Duration::from_millis(1_500);
/// Far enough away to mean never.
const NEVER: Duration = Duration::from_secs(3_600);

/// What the loop woke up for.
enum Wake {
    Datagram,
    Captured,
    Client(FromClient),
    Resolved(Resolved),
    Network(Surroundings),
    Deadline,
    Tick,
    Watchdog,
    Signal,
}

/// The channels that feed the service.
pub(crate) struct Feeds {
    pub(crate) clients: mpsc::Receiver<FromClient>,
    pub(crate) resolved: mpsc::Receiver<Resolved>,
    pub(crate) changes: Watch,
}

/// Runs until a signal ends it, then says good-bye to everybody.
pub(crate) async fn run(mut service: Service, mut feeds: Feeds) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut alive = Heart::new();
    systemd::ready(&service.summary());
    loop {
        match wait(&mut service, &mut feeds, &mut [&mut terminate, &mut interrupt], &alive).await? {
            Wake::Datagram => receive(&mut service).await,
            Wake::Captured => service.captured(),
            Wake::Client(message) => service.client(message),
            Wake::Resolved(resolved) => service.resolved(&resolved),
            Wake::Network(surroundings) => service.network_changed(&surroundings),
            Wake::Deadline => service.timeout(),
            Wake::Tick => service.tick(),
            Wake::Watchdog => alive.beat(),
            Wake::Signal => break,
        }
    }
    systemd::stopping();
    shut_down(&mut service, &mut feeds, &mut [&mut terminate, &mut interrupt], &alive).await;
    service.close();
    Ok(())
}

/// Ends calls and sessions, and waits a little for the peers' acknowledgements.
async fn shut_down(service: &mut Service, feeds: &mut Feeds, signals: &mut [&mut Signal; 2], alive: &Heart) {
    service.shut_down();
    let end = Instant::now() + SHUTDOWN_WAIT;
    while !service.is_quiet() {
        let waited = tokio::time::timeout_at(end, wait(service, feeds, signals, alive)).await;
        match waited {
            Ok(Ok(Wake::Datagram)) => receive(service).await,
            Ok(Ok(Wake::Deadline)) => service.timeout(),
            Ok(Ok(Wake::Signal)) | Ok(Err(_)) | Err(_) => break,
            Ok(Ok(_)) => {}
        }
    }
}

/// Takes datagrams, and has the runtime look at everything else before the next ones.
async fn receive(service: &mut Service) {
    if service.receive() {
        tokio::task::yield_now().await;
    }
}

/// Waits for the next thing to do. Datagrams come last: they are the one source that anybody can make endless, while
/// clocks, devices and clients are bounded by themselves.
async fn wait(
    service: &mut Service,
    feeds: &mut Feeds,
    [terminate, interrupt]: &mut [&mut Signal; 2],
    alive: &Heart,
) -> anyhow::Result<Wake> {
    let deadline = instant(service.deadline());
    let tick = instant(service.next_tick());
    let (udp, captured) = service.sources();
    tokio::select! {
        biased;
        ready = captured.ready() => ready.map(|()| Wake::Captured).map_err(Into::into),
        () = tokio::time::sleep_until(deadline) => Ok(Wake::Deadline),
        Some(message) = feeds.clients.recv() => Ok(Wake::Client(message)),
        Some(resolved) = feeds.resolved.recv() => Ok(Wake::Resolved(resolved)),
        surroundings = feeds.changes.changed() => Ok(Wake::Network(surroundings)),
        () = tokio::time::sleep_until(tick) => Ok(Wake::Tick),
        () = tokio::time::sleep_until(alive.due) => Ok(Wake::Watchdog),
        _ = terminate.recv() => Ok(Wake::Signal),
        _ = interrupt.recv() => Ok(Wake::Signal),
        ready = udp.readable() => ready.map(|()| Wake::Datagram).map_err(Into::into),
    }
}

/// A wait from now on as an instant; `None` means never.
fn instant(wait: Option<Duration>) -> Instant {
    Instant::now() + wait.unwrap_or(NEVER)
}

/// When the service manager wants to hear from us.
struct Heart {
    period: Duration,
    due: Instant,
}

impl Heart {
    fn new() -> Self {
        let period = systemd::watchdog_period().unwrap_or(NEVER);
        Self { period, due: Instant::now() + period }
    }

    fn beat(&mut self) {
        systemd::alive();
        self.due = Instant::now() + self.period;
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::Arguments;
    use crate::config::Config;

    #[tokio::test]
    async fn a_flood_of_datagrams_keeps_no_client_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let (state, run) = (directory.path().join("state"), directory.path().join("run"));
        let arguments = ["dvsd", "--state-dir", state.to_str().unwrap(), "--runtime-dir", run.to_str().unwrap()];
        let mut config = Config::default();
        config.network.listen = Some("127.0.0.1:0".parse().unwrap());
        config.audio.backend = "none".into();
        let (mut service, feeds) = Service::start(&Arguments::parse_from(arguments), &config).unwrap();
        let (inbox, clients) = mpsc::channel(1);
        let mut feeds = Feeds { clients, ..feeds };
        let mut signals = [SignalKind::user_defined1(), SignalKind::user_defined2()].map(|kind| signal(kind).unwrap());
        let [terminate, interrupt] = &mut signals;
        let to = service.sources().0.local();
        let flood = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        inbox.send(FromClient::Gone { client: 1 }).await.unwrap();
        for _ in 0..100 {
            flood.send_to(&[0; 40], to).unwrap();
        }
        tokio::task::yield_now().await;
        let alive = Heart::new();
        let wake = wait(&mut service, &mut feeds, &mut [terminate, interrupt], &alive).await.unwrap();
        assert!(matches!(wake, Wake::Client(_)));
    }
}
