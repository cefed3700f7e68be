// SPDX-License-Identifier: GPL-3.0-or-later
//! Logging: to the journal under systemd, to stderr otherwise.

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::systemd;

/// Starts logging at `level` (see `[log] level`).
pub(crate) fn start(level: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(level).with_context(|| format!("log level {level:?} is not understood"))?;
    let registry = tracing_subscriber::registry().with(filter);
    match journal() {
        Some(journal) => registry.with(journal).init(),
        None => registry.with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false)).init(),
    }
    Ok(())
}

/// The journal, when systemd has connected stderr to it.
fn journal() -> Option<tracing_journald::Layer> {
    systemd::stderr_is_journal().then(tracing_journald::layer)?.ok()
}
