// SPDX-License-Identifier: GPL-3.0-or-later
//! The least that a voice call can do, `tests/floor/floor.c`: two programs that talk to each other on loopback.

use core::time::Duration;
use std::io::Read;
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::gcc::compile;
use crate::harness::{dies_with_us, end};
use crate::vcard::World;

const SOURCE: &str = include_str!("../floor/floor.c");
/// How long an end may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The program, built.
#[derive(Debug)]
pub struct Floor {
    directory: TempDir,
}

/// What happened to one side of a minimal call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Packets sent.
    pub sent: u64,
    /// Packets received and played.
    pub received: u64,
    /// Packets that were not authentic.
    pub refused: u64,
    /// How often the microphone was not read in time.
    pub overruns: u64,
    /// How often the loudspeaker ran dry.
    pub underruns: u64,
}

/// A running minimal call.
#[derive(Debug)]
pub struct MinimalCall {
    sides: [Child; 2],
}

impl Floor {
    /// Builds it.
    pub fn build() -> Result<Self> {
        let directory = TempDir::with_prefix("dvs-floor-")?;
        compile(SOURCE, &directory.path().join("floor"), &["-lasound", "-lopus", "-lcrypto"])?;
        Ok(Self { directory })
    }

    /// Starts a call between two cards.
    pub fn call(&self, world: &World, cards: [&str; 2]) -> Result<MinimalCall> {
        let [one, other] = free_ports()?;
        let [left, right] = cards;
        let side = |card: &str, ports: [u16; 2]| {
            let mut command = Command::new(self.directory.path().join("floor"));
            command.arg(card).args(ports.map(|port| port.to_string()));
            command.envs(world.environment()).stdin(Stdio::null()).stdout(Stdio::piped());
            dies_with_us(&mut command);
            command.spawn().context("start the minimal call")
        };
        Ok(MinimalCall { sides: [side(left, [one, other])?, side(right, [other, one])?] })
    }
}

impl MinimalCall {
    /// The processes of both sides.
    pub fn pids(&self) -> [u32; 2] {
        self.sides.each_ref().map(Child::id)
    }

    /// Ends the call.
    pub fn finish(mut self) -> Result<[Account; 2]> {
        let [one, other] = &mut self.sides;
        Ok([account(one)?, account(other)?])
    }
}

impl Drop for MinimalCall {
    fn drop(&mut self) {
        for side in &mut self.sides {
            let _ = end(side, PATIENCE);
        }
    }
}

fn account(side: &mut Child) -> Result<Account> {
    let status = end(side, PATIENCE)?;
    let mut said = String::new();
    side.stdout.take().context("asked twice")?.read_to_string(&mut said)?;
    parse(said.trim()).with_context(|| format!("the minimal call ended with {status} and said: {said}"))
}

fn parse(said: &str) -> Result<Account> {
    let mut account = Account::default();
    for field in said.split(' ') {
        let (key, value) = field.split_once('=').context("no figure")?;
        let figure = match key {
            "sent" => &mut account.sent,
            "received" => &mut account.received,
            "refused" => &mut account.refused,
            "overruns" => &mut account.overruns,
            "underruns" => &mut account.underruns,
            _ => bail!("unknown figure {key}"),
        };
        *figure = value.parse()?;
    }
    Ok(account)
}

/// Two ports that nobody uses just now.
fn free_ports() -> Result<[u16; 2]> {
    let [one, other] = [UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?];
    Ok([one.local_addr()?.port(), other.local_addr()?.port()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_program_says_is_understood() {
        let account = Account { sent: 250, received: 249, refused: 1, overruns: 2, underruns: 3 };
        assert_eq!(parse("sent=250 received=249 refused=1 overruns=2 underruns=3").unwrap(), account);
        assert!(parse("").is_err() && parse("sent=x").is_err() && parse("lost=1").is_err());
    }
}
