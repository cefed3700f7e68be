// SPDX-License-Identifier: GPL-3.0-or-later
//! The way from a verb to the daemon.

use std::path::PathBuf;
use std::time::Instant;

use dvs_proto::client::{Client, Options};
use dvs_proto::message::{Event, Reply, Request, Snapshot, ToClient};

use crate::failed::Failed;
use crate::ui::environment;
use crate::ui::sanitise::Clean;

/// An attached client. Everything that comes out of it is safe to print.
pub(crate) struct Line {
    client: Client,
}

impl Line {
    /// Attaches to the daemon at `directory`, or to the one at the usual places.
    pub(crate) fn open(directory: Option<PathBuf>) -> Result<(Self, Snapshot), Failed> {
        let mut client = Client::connect(&Options { directory, ..Options::default() })?;
        let snapshot = client.attach(&environment::client_name())?;
        Ok((Self { client }, snapshot.cleaned()))
    }

    /// Makes a request and waits for its answer.
    pub(crate) fn ask(&mut self, request: Request) -> Result<Reply, Failed> {
        Ok(self.client.call(request)?.cleaned())
    }

    /// The next event; waits for it.
    pub(crate) fn event(&mut self) -> Result<Event, Failed> {
        loop {
            if let Some(ToClient::Event(event)) = self.client.recv(None)? {
                return Ok(event.cleaned());
            }
        }
    }

    /// The next event if it is here already.
    pub(crate) fn event_at_hand(&mut self) -> Result<Option<Event>, Failed> {
        self.event_before(Instant::now())
    }

    /// The next event if it comes before `deadline`.
    pub(crate) fn event_before(&mut self, deadline: Instant) -> Result<Option<Event>, Failed> {
        while let Some(message) = self.client.recv(Some(deadline.saturating_duration_since(Instant::now())))? {
            if let ToClient::Event(event) = message {
                return Ok(Some(event.cleaned()));
            }
        }
        Ok(None)
    }

    /// To wait for several things at once: readable when an event may have come and none is at hand.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }
}

/// An answer of the wrong kind.
pub(crate) fn unexpected(reply: &Reply) -> Failed {
    dvs_proto::client::unexpected(reply).into()
}
