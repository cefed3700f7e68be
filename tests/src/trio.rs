// SPDX-License-Identifier: GPL-3.0-or-later
//! A bootstrap node and two people who know nobody else: the smallest overlay in which finding somebody means something.

use core::net::SocketAddr;
use core::time::Duration;

use anyhow::{Context, Result};
use dvs_proto::message::CallState;

use crate::handset::Handset;
use crate::harness::{Daemon, Setup};
use crate::netns::Namespace;

/// Joining the overlay, or one step of a call, takes at most this long.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// A daemon and a client attached to it.
#[derive(Debug)]
pub struct Party {
    /// The client.
    pub handset: Handset,
    /// The daemon.
    pub daemon: Daemon,
}

impl Party {
    /// Starts a daemon on this machine and attaches to it.
    pub fn start(name: &str, setup: &Setup) -> Result<Self> {
        Self::attach(Daemon::start(name, setup)?)
    }

    /// Starts a daemon on a host of a test network and attaches to it.
    pub fn start_on(host: &impl AsRef<Namespace>, name: &str, setup: &Setup) -> Result<Self> {
        Self::attach(Daemon::start_on(host, name, setup)?)
    }

    /// Attaches to a daemon, as soon as it is ready.
    pub fn attach(mut daemon: Daemon) -> Result<Self> {
        daemon.wait_until_ready()?;
        Ok(Self { handset: Handset::attach(&daemon, "test")?, daemon })
    }

    /// The address its daemon listens on.
    pub fn address(&mut self) -> Result<SocketAddr> {
        let listen = self.handset.snapshot()?.network.listen;
        listen.parse().with_context(|| format!("no address: {listen}"))
    }
}

/// The bootstrap node, Alice and Bob, all online.
#[derive(Debug)]
pub struct Trio {
    /// Calls Bob.
    pub alice: Party,
    /// Is called.
    pub bob: Party,
    /// The only node the others are told of.
    pub bootstrap: Party,
}

impl Trio {
    /// Starts all three on loopback; only the bootstrap list of the set-ups is changed.
    pub fn start(alice: Setup, bob: Setup) -> Result<Self> {
        let mut bootstrap = Party::start("the bootstrap node", &Setup::loopback())?;
        let known = vec![bootstrap.address()?];
        let alice = Party::start("Alice", &Setup { bootstrap: known.clone(), ..alice })?;
        let bob = Party::start("Bob", &Setup { bootstrap: known, ..bob })?;
        let mut trio = Self { alice, bob, bootstrap };
        trio.wait_until_online()?;
        Ok(trio)
    }

    fn wait_until_online(&mut self) -> Result<()> {
        for party in [&mut self.alice, &mut self.bob] {
            party.handset.wait_for_network(PATIENCE, |network| network.online)?;
        }
        self.bootstrap.handset.wait_for_network(PATIENCE, |network| network.good >= 2)?;
        Ok(())
    }

    /// Alice dials Bob by his ID; returns when both ring.
    pub fn ring(&mut self) -> Result<()> {
        let target = self.bob.handset.id()?;
        self.alice.handset.dial(&target)?;
        self.alice.handset.wait_for_call(PATIENCE, CallState::Ringing)?;
        self.bob.handset.wait_for_call(PATIENCE, CallState::Alerting)?;
        Ok(())
    }

    /// Alice dials Bob, who answers; returns when both talk.
    pub fn talk(&mut self) -> Result<()> {
        self.ring()?;
        self.bob.handset.answer()?;
        self.alice.handset.wait_for_call(PATIENCE, CallState::Active)?;
        self.bob.handset.wait_for_call(PATIENCE, CallState::Active)?;
        Ok(())
    }
}
