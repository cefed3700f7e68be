// SPDX-License-Identifier: GPL-3.0-or-later
//! Telling the service manager how we are. Without one, nothing happens.

use std::time::Duration;

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

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager does not listen");
    }
}
