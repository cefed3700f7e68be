// SPDX-License-Identifier: GPL-3.0-or-later
//! Telling the service manager how we are. Without one, nothing happens.

use std::time::Duration;

use nix::sys::stat::fstat;
use sd_notify::NotifyState;

/// Everything is up: clients may connect.
pub(crate) fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The daemon is shutting down.
pub(crate) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// The event loop still turns.
pub(crate) fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// How often [`alive`] must be said: half the time the service manager allows.
pub(crate) fn watchdog_period() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|allowed| allowed / 2)
}

/// Whether standard error leads to the journal. The variable alone does not say so: a terminal that was started by
/// systemd hands it on to every program run in it.
pub(crate) fn stderr_is_journal() -> bool {
    let Ok(stat) = fstat(std::io::stderr()) else { return false };
    std::env::var("JOURNAL_STREAM").is_ok_and(|stream| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager does not listen");
    }
}
