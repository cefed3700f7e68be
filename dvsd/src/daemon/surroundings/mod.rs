// SPDX-License-Identifier: GPL-3.0-or-later
//! The machine's network, and noticing when it becomes another: interfaces, addresses and routes come and go, cables
//! are pulled and put in, lids are closed and opened.
//!
//! Timers: none while nothing happens. Once something does, [`SETTLE`] until things are looked at, because changes come in
//! packs; [`TIRED`] when they do not stop coming.

use std::time::Duration;

use tokio::time::Instant;

mod interfaces;
mod netlink;
mod sleep;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use interfaces::{Interface, Surroundings};

use netlink::Netlink;
use sleep::Sleep;

/// How long changes are left to settle.
const SETTLE: Duration = Duration::from_millis(500);
/// How long they are left to settle when they come all the time.
const TIRED: Duration = Duration::from_secs(10);
/// Changes in a row that are told quickly.
const QUICK: u32 = 20;
/// Without a change for this long, the next ones are told quickly again.
const CALM: Duration = Duration::from_secs(60);

/// Waits for changes.
#[derive(Debug)]
pub(crate) struct Watch {
    netlink: Option<Netlink>,
    sleep: Option<Sleep>,
    known: Surroundings,
    /// When to look at what has changed.
    settled: Option<Instant>,
    told: u32,
    last_told: Instant,
}

impl Watch {
    /// Begins to watch. What cannot be watched is said once in the log.
    pub(crate) fn start() -> Self {
        let netlink = Netlink::open().inspect_err(|error| {
            tracing::warn!(%error, "no netlink: changes of interfaces and addresses are not noticed");
        });
        let sleep = Sleep::new().inspect_err(|error| {
            tracing::warn!(%error, "the end of a suspension is not noticed");
        });
        let known = Surroundings::look().inspect_err(|error| {
            tracing::warn!(%error, "interfaces are not known: no neighbours are found on the local network");
        });
        Self {
            netlink: netlink.ok(),
            sleep: sleep.ok(),
            known: known.unwrap_or_default(),
            settled: None,
            told: 0,
            last_told: Instant::now(),
        }
    }

    /// How things were when last looked at.
    pub(crate) const fn known(&self) -> &Surroundings {
        &self.known
    }

    /// Waits until the network has changed or the machine has slept. Nothing is lost when this is not waited for to
    /// the end.
    pub(crate) async fn changed(&mut self) -> Surroundings {
        loop {
            let settled = self.settled;
            tokio::select! {
                () = stirred(self.netlink.as_ref()), if settled.is_none() => {
                    self.settled = Some(Instant::now() + self.patience());
                }
                () = sleep_until(settled) => {
                    self.settled = None;
                    if self.look() {
                        return self.tell();
                    }
                }
                () = jumped(self.sleep.as_ref()) => {
                    if self.sleep.as_mut().is_some_and(Sleep::has_slept) {
                        tracing::info!("the machine has slept");
                        self.look();
                        return self.tell();
                    }
                }
            }
        }
    }

    /// Looks at everything; true if it is not as before, or was not in between.
    fn look(&mut self) -> bool {
        let was_lost = self.netlink.as_ref().is_some_and(|netlink| netlink.drain(|index| self.known.runs(index)));
        match Surroundings::look() {
            Ok(now) if now != self.known => {
                self.known = now;
                true
            }
            Ok(_) => was_lost,
            Err(error) => {
                tracing::debug!(%error, "interfaces");
                false
            }
        }
    }

    fn patience(&self) -> Duration {
        let is_calm = self.last_told.elapsed() >= CALM;
        if is_calm || self.told < QUICK { SETTLE } else { TIRED }
    }

    fn tell(&mut self) -> Surroundings {
        self.told = if self.last_told.elapsed() >= CALM { 1 } else { self.told.saturating_add(1) };
        self.last_told = Instant::now();
        self.known.clone()
    }
}

async fn stirred(netlink: Option<&Netlink>) {
    match netlink {
        // A subscription that fails for good would spin; it is then as good as none.
        Some(netlink) if netlink.ready().await.is_ok() => {}
        _ => std::future::pending().await,
    }
}

async fn jumped(sleep: Option<&Sleep>) {
    match sleep {
        Some(sleep) if sleep.ready().await.is_ok() => {}
        _ => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
