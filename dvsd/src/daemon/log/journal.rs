// SPDX-License-Identifier: GPL-3.0-or-later
//! Lines for the journal, in its own protocol, so that every field can be searched for.
//!
//! An entry is one datagram: per field its name, a line feed, the value's length in eight bytes, little-endian, the value,
//! a line feed.

use std::fmt::{Debug, Write as _};
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::Lines;

/// Where the journal listens.
const SOCKET: &str = "/run/systemd/journal/socket";

/// The journal's socket. May block for as long as the journal does not read.
#[derive(Debug)]
pub(super) struct Socket {
    from: UnixDatagram,
    to: PathBuf,
}

impl Socket {
    /// The way to the journal, if there is one.
    pub(super) fn open() -> io::Result<Self> {
        Self::to(Path::new(SOCKET))
    }

    fn to(path: &Path) -> io::Result<Self> {
        let from = UnixDatagram::unbound()?;
        // Only to see whether somebody listens. The journal may be restarted, so each entry is addressed anew.
        UnixDatagram::unbound()?.connect(path)?;
        Ok(Self { from, to: path.to_owned() })
    }
}

impl Write for Socket {
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        self.from.send_to(entry, &self.to)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Turns what is logged into entries.
#[derive(Debug)]
pub(super) struct Journal(pub(super) &'static Lines);

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut entry = Entry::default();
        entry.add("PRIORITY", priority(*metadata.level()));
        entry.add("SYSLOG_IDENTIFIER", "dvsd");
        entry.add("TARGET", metadata.target());
        if let (Some(file), Some(line)) = (metadata.file(), metadata.line()) {
            entry.add("CODE_FILE", file);
            entry.add("CODE_LINE", &line.to_string());
        }
        event.record(&mut entry);
        self.0.put(entry.0);
    }
}

/// Syslog's number for a level.
const fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "5",
        Level::DEBUG => "6",
        Level::TRACE => "7",
    }
}

/// An entry in the making.
#[derive(Debug, Default)]
struct Entry(Vec<u8>);

impl Entry {
    fn add(&mut self, name: &str, value: &str) {
        self.0.extend(name.as_bytes());
        self.0.push(b'\n');
        self.0.extend((value.len() as u64).to_le_bytes());
        self.0.extend(value.as_bytes());
        self.0.push(b'\n');
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.add("MESSAGE", value),
            name => self
                .add(&format!("F_{}", name.to_ascii_uppercase().replace(|c: char| !c.is_alphanumeric(), "_")), value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        // Writing into a string fails only if the value's own formatting does: then it is cut.
        let _ = write!(text, "{value:?}");
        self.record_str(field, &text);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Logs as `say` does, into a journal that is read here. Nothing is read until all is said.
    fn entries(count: usize, say: impl Fn()) -> Vec<Vec<(String, String)>> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let journal = UnixDatagram::bind(&path).unwrap();
        journal.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let lines: &'static Lines = Box::leak(Box::new(Lines::to(Socket::to(&path).unwrap()).unwrap()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(Journal(lines)), say);
        let mut buffer = [0; 4096];
        (0..count).map(|_| journal.recv(&mut buffer).map(|length| fields(&buffer[..length])).unwrap()).collect()
    }

    fn fields(mut entry: &[u8]) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        while !entry.is_empty() {
            let end = entry.iter().position(|byte| *byte == b'\n').unwrap();
            let (length, rest) = entry[end + 1..].split_first_chunk::<8>().unwrap();
            let (value, rest) = rest.split_at(u64::from_le_bytes(*length) as usize);
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            fields.push((text(&entry[..end]), text(value)));
            entry = rest.strip_prefix(b"\n").unwrap();
        }
        fields
    }

    #[test]
    fn an_entry_has_message_priority_and_every_field() {
        let said = entries(2, || {
            tracing::info!(uid = 1003, name = "two\nlines", "client {}", "came");
            tracing::error!(error.kind = ?Some(1), "no");
        });
        let has = |entry: &[(String, String)], name: &str, value: &str| {
            assert!(entry.contains(&(name.to_owned(), value.to_owned())), "{name}={value}: {entry:?}");
        };
        for (name, value) in [
            ("MESSAGE", "client came"),
            ("PRIORITY", "5"),
            ("SYSLOG_IDENTIFIER", "dvsd"),
            ("F_UID", "1003"),
            ("F_NAME", "two\nlines"),
            ("CODE_FILE", file!()),
        ] {
            has(&said[0], name, value);
        }
        has(&said[1], "PRIORITY", "3");
        has(&said[1], "F_ERROR_KIND", "Some(1)");
    }

    #[test]
    fn a_journal_that_stalls_holds_up_nobody() {
        let said = entries(1, || (0..10_000).for_each(|number| tracing::warn!(number, "{}", "x".repeat(1_000))));
        assert!(said[0].contains(&("F_NUMBER".to_owned(), "0".to_owned())));
    }

    #[test]
    fn without_a_journal_there_is_no_way_to_it() {
        assert!(Socket::to(Path::new("/nonexistent/socket")).is_err());
    }
}
