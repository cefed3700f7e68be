// SPDX-License-Identifier: GPL-3.0-or-later
//! Logging: to the journal under systemd, to stderr otherwise.
//!
//! Whoever reads it may be slow, or stop reading. So a thread of its own writes there, and lines that it is too far
//! behind for are lost: a telephone that falls silent would be worse than a log with gaps.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::systemd;

mod journal;

use journal::{Journal, Socket};

/// Lines that may wait to be written.
const MAX_LINES: usize = 1_024;
/// How long the end of the daemon waits for its last lines.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The queue to the journal or stderr, once logging has started.
static LINES: OnceLock<Lines> = OnceLock::new();

/// Starts logging at `level` (see `[log] level`).
pub(crate) fn start(level: &str) -> anyhow::Result<()> {
    let filter = filter(level)?;
    let registry = tracing_subscriber::registry().with(filter);
    let journal = systemd::stderr_is_journal().then(Socket::open).and_then(Result::ok);
    let is_journal = journal.is_some();
    let lines = journal.map_or_else(|| Lines::to(io::stderr()), Lines::to).context("cannot start the log's thread")?;
    let lines = LINES.get_or_init(|| lines);
    match is_journal {
        true => registry.with(Journal(lines)).init(),
        false => {
            let colours = io::stderr().is_terminal();
            let layer = tracing_subscriber::fmt::layer().with_writer(|| lines.clone());
            registry.with(layer.with_target(false).with_ansi(colours)).init();
        }
    }
    Ok(())
}

/// What `level` lets through. A single word must be a level: as a filter it would name a module, and silence the rest.
pub(crate) fn filter(level: &str) -> anyhow::Result<EnvFilter> {
    let words = ["off", "error", "warn", "info", "debug", "trace"];
    let filter = EnvFilter::try_new(level).ok().filter(|_| level.contains('=') || words.contains(&level));
    filter
        .with_context(|| format!("{level:?} is not error, warn, info, debug, trace or a filter such as \"dvsd=debug\""))
}

/// Waits until everything said so far is written, but not for long. To be called before the process ends.
pub(crate) fn flush() {
    if let Some(lines) = LINES.get() {
        lines.wait(LAST_WORDS);
    }
}

enum Message {
    Line(Vec<u8>),
    /// To be answered when all lines before it are written.
    Flush(SyncSender<()>),
}

/// The way to the thread that writes. Never blocks.
#[derive(Clone, Debug)]
struct Lines(SyncSender<Message>);

impl Lines {
    fn to(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(MAX_LINES);
        thread::Builder::new().name("log".to_owned()).spawn(move || write(&waiting, out))?;
        Ok(Self(lines))
    }

    /// Has `line` written as soon as it can be, or loses it.
    fn put(&self, line: Vec<u8>) {
        // Full, or the thread is gone: there is nobody left to tell.
        let _ = self.0.try_send(Message::Line(line));
    }

    fn wait(&self, patience: Duration) {
        let (done, written) = sync_channel(1);
        if self.0.try_send(Message::Flush(done)).is_ok() {
            // Whether it was written or took too long: the process ends.
            let _ = written.recv_timeout(patience);
        }
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes until nobody is left who could say anything. What cannot be written is nobody's concern.
fn write(waiting: &Receiver<Message>, mut out: impl Write) {
    for message in waiting {
        match message {
            Message::Line(line) => {
                let _ = out.write_all(&line);
            }
            Message::Flush(done) => {
                let _ = out.flush();
                let _ = done.try_send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_log_that_nobody_reads_holds_up_nobody() {
        let (_unread, pipe) = io::pipe().unwrap();
        let mut lines = Lines::to(pipe).unwrap();
        for _ in 0..10 * MAX_LINES {
            lines.write_all(&[b'x'; 100]).unwrap();
        }
        lines.wait(Duration::from_millis(10));
    }

    #[test]
    fn the_last_words_are_written() {
        let (mut reader, pipe) = io::pipe().unwrap();
        let mut lines = Lines::to(pipe).unwrap();
        lines.write_all(b"first\n").unwrap();
        lines.write_all(b"last\n").unwrap();
        lines.wait(LAST_WORDS);
        let mut said = [0; 11];
        reader.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"first\nlast\n");
    }
}
