// SPDX-License-Identifier: GPL-3.0-or-later
//! A client attached to a daemon, with the few things that tests and the demo do all the time.

use core::time::Duration;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use dvs_proto::client::Client;
use dvs_proto::message::{
    CallInfo, CallState, CallStats, Contact, Direction, EndReason, Event, Network, Reply, Request, Snapshot, ToClient,
};

use crate::harness::{Daemon, wait_for};

/// What came of a call that was to ring only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knock {
    /// From dialling until it rang, or ended without.
    pub took: Duration,
    /// Why it did not ring.
    pub failed: Option<EndReason>,
}

/// An attached client.
#[derive(Debug)]
pub struct Handset {
    client: Client,
    /// The daemon's name, for messages.
    owner: String,
}

impl Handset {
    /// Attaches to `daemon` under `name`.
    pub fn attach(daemon: &Daemon, name: &str) -> Result<Self> {
        let owner = daemon.name().to_owned();
        let mut client = Client::connect(&daemon.client_options()).with_context(|| format!("attach to {owner}"))?;
        client.attach(name).with_context(|| format!("attach to {owner}"))?;
        Ok(Self { client, owner })
    }

    /// The client itself, for what has no method here.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Sends a request and returns the good answer.
    pub fn ask(&mut self, request: Request) -> Result<Reply> {
        let asked = format!("{}: {request:?}", self.owner);
        self.client.call(request).context(asked)
    }

    /// The whole state of the daemon.
    pub fn snapshot(&mut self) -> Result<Snapshot> {
        self.client.snapshot().with_context(|| format!("{}: snapshot", self.owner))
    }

    /// The daemon's ID, `dvs1…`.
    pub fn id(&mut self) -> Result<String> {
        Ok(self.snapshot()?.identity.id)
    }

    /// Waits until the overlay looks right to `good`.
    pub fn wait_for_network(&mut self, limit: Duration, good: impl Fn(&Network) -> bool) -> Result<Network> {
        let what = format!("the overlay as {} sees it", self.owner);
        let mut last = None;
        let outcome = wait_for(limit, &what, || {
            std::thread::sleep(Duration::from_millis(20));
            let network = self.snapshot()?.network;
            last = Some(network.clone());
            Ok(Some(network).filter(&good))
        });
        outcome.with_context(|| format!("{last:#?}"))
    }

    /// Stores a contact.
    pub fn add_contact(&mut self, name: &str, target: &str) -> Result<Contact> {
        match self.ask(Request::ContactAdd { name: name.to_owned(), target: target.to_owned() })? {
            Reply::Contact(contact) => Ok(contact),
            other => bail!("a contact was added, and the answer is {other:?}"),
        }
    }

    /// Calls `target`.
    pub fn dial(&mut self, target: &str) -> Result<CallInfo> {
        self.call_request(Request::dial(target))
    }

    /// Answers the call that rings.
    pub fn answer(&mut self) -> Result<CallInfo> {
        self.call_request(Request::Answer { call: None })
    }

    /// Hangs up the only call.
    pub fn hang_up(&mut self) -> Result<()> {
        self.ask(Request::Hangup { call: None }).map(drop)
    }

    /// Calls `target` and hangs up as soon as it rings there; returns when that call is over.
    pub fn knock(&mut self, target: &str, limit: Duration) -> Result<Knock> {
        let start = Instant::now();
        let dialled = match self.ask(Request::dial(target))? {
            Reply::Call(call) => Some(call.call),
            // It is over already.
            Reply::Done => None,
            other => bail!("{}: a call was expected, and the answer is {other:?}", self.owner),
        };
        let is_it = |call: &CallInfo| call.direction == Direction::Outgoing && dialled.is_none_or(|it| it == call.call);
        let over = |state| matches!(state, CallState::Ringing | CallState::Ended);
        let call = self.watch_calls(limit, "a call to ring or to end", |call| Ok(is_it(call) && over(call.state)))?;
        let took = start.elapsed();
        if call.state == CallState::Ended {
            return Ok(Knock { took, failed: Some(call.ended.context("a call ended without a reason")?) });
        }
        self.ask(Request::Hangup { call: Some(call.call) })?;
        let ended = |call: &CallInfo| is_it(call) && call.state == CallState::Ended;
        self.watch_calls(limit, "the end of a call", |call| Ok(ended(call)))?;
        Ok(Knock { took, failed: None })
    }

    fn call_request(&mut self, request: Request) -> Result<CallInfo> {
        match self.ask(request)? {
            Reply::Call(call) => Ok(call),
            other => bail!("{}: a call was expected, and the answer is {other:?}", self.owner),
        }
    }

    /// The figures of the current call, or else of the last one.
    pub fn stats(&mut self) -> Result<CallStats> {
        match self.ask(Request::Stats { call: None })? {
            Reply::Stats(stats) => Ok(*stats),
            other => bail!("figures were asked for, and the answer is {other:?}"),
        }
    }

    /// The next event, `None` when none came within `limit`. Answers nobody waits for are skipped.
    pub fn next_event(&mut self, limit: Duration) -> Result<Option<Event>> {
        let deadline = Instant::now() + limit;
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            match self.client.recv(Some(rest))? {
                Some(ToClient::Event(event)) => return Ok(Some(event)),
                Some(ToClient::Reply { .. }) => {}
                None => return Ok(None),
            }
        }
    }

    /// Waits until some call is in `state`; an error when it ended instead.
    pub fn wait_for_call(&mut self, limit: Duration, state: CallState) -> Result<CallInfo> {
        if let Some(call) = self.snapshot()?.calls.into_iter().find(|call| call.state == state) {
            return Ok(call);
        }
        self.watch_calls(limit, &format!("a call in state {state:?}"), |call| {
            ensure!(call.state != CallState::Ended || state == CallState::Ended, "the call ended: {:?}", call.ended);
            Ok(call.state == state)
        })
    }

    /// Waits for the end of a call, and why it ended.
    pub fn wait_for_end(&mut self, limit: Duration) -> Result<EndReason> {
        let ended = self.watch_calls(limit, "the end of the call", |call| Ok(call.state == CallState::Ended))?;
        ended.ended.context("a call ended without a reason")
    }

    fn watch_calls(
        &mut self,
        limit: Duration,
        what: &str,
        good: impl Fn(&CallInfo) -> Result<bool>,
    ) -> Result<CallInfo> {
        let deadline = Instant::now() + limit;
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            match self.next_event(rest)? {
                Some(Event::Call(call)) if good(&call).with_context(|| self.owner.clone())? => return Ok(call),
                Some(_) => {}
                None => bail!("{}: waited {limit:?} in vain for {what}", self.owner),
            }
        }
    }
}
