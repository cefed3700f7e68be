// SPDX-License-Identifier: GPL-3.0-or-later
//! Finds out with plain UDP sockets what a router really does, whatever it was told to: which outer ports it uses, and
//! whom it lets in.

use core::net::SocketAddr;
use core::time::Duration;
use std::net::UdpSocket;

use anyhow::{Context, Result, ensure};

use super::host::Host;
use super::household::{Household, Nat};

/// How long a datagram may take that should arrive.
const TRAVEL: Duration = Duration::from_secs(2);
/// How long is waited for one that should not.
const SILENCE: Duration = Duration::from_millis(250);
/// A port of the public hosts.
const PORT: u16 = 7_000;
/// Another one.
const OTHER_PORT: u16 = 7_001;

/// How outer ports depend on destinations (RFC 4787, section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// One for all destinations.
    Independent,
    /// One for each address.
    PerAddress,
    /// One for each address and port.
    PerAddressAndPort,
}

/// Who may send something in (RFC 4787, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filtering {
    /// Everybody.
    Independent,
    /// Addresses that were sent something.
    PerAddress,
    /// Addresses with the port that was sent something.
    PerAddressAndPort,
}

/// What a router does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// Which outer ports it uses.
    pub mapping: Mapping,
    /// Whom it lets in.
    pub filtering: Filtering,
    /// The first outer port that was seen.
    pub outer: SocketAddr,
}

impl Behaviour {
    /// What a router of this kind has to do.
    pub const fn is(&self, nat: Nat) -> bool {
        let pair = (self.mapping, self.filtering);
        match nat {
            Nat::FullCone => matches!(pair, (Mapping::Independent, Filtering::Independent)),
            Nat::AddressRestricted => matches!(pair, (Mapping::Independent, Filtering::PerAddress)),
            Nat::PortRestricted => matches!(pair, (Mapping::Independent, Filtering::PerAddressAndPort)),
            Nat::Symmetric => matches!(pair, (Mapping::PerAddressAndPort, Filtering::PerAddressAndPort)),
        }
    }
}

/// Tries out the router of `household` from inside and from two public hosts.
pub fn probe(household: &Household, [known, stranger]: [&Host; 2]) -> Result<Behaviour> {
    let inside = household.inside.bind(Household::SPARE_PORT)?;
    let [first, other, far] = [known.bind(PORT)?, known.bind(OTHER_PORT)?, stranger.bind(PORT)?];
    if let Some(port) = household.nat.outer_port(Household::SPARE_PORT) {
        ensure!(!passes(&far, household.public(port), &inside)?, "a port is open that nobody used");
    }
    let outer = seen_from(&inside, &first)?;
    ensure!(outer.ip() == household.public(0).ip(), "{outer} is not the router's address");
    ensure!(passes(&first, outer, &inside)?, "an answer does not come in");
    let filtering = match [passes(&other, outer, &inside)?, passes(&far, outer, &inside)?] {
        [true, true] => Filtering::Independent,
        [true, false] => Filtering::PerAddress,
        [false, false] => Filtering::PerAddressAndPort,
        [false, true] => anyhow::bail!("strangers come in, and another port of a known address does not"),
    };
    let mapping = match [&other, &far].map(|to| seen_from(&inside, to)) {
        [Ok(near), Ok(far)] if near == outer && far == outer => Mapping::Independent,
        [Ok(near), Ok(far)] if near == outer && far != outer => Mapping::PerAddress,
        [Ok(near), Ok(far)] if near != far => Mapping::PerAddressAndPort,
        strange => anyhow::bail!("{outer} towards the first, then {strange:?}"),
    };
    Ok(Behaviour { mapping, filtering, outer })
}

/// Whether the host inside has IPv6 addresses that nobody translates and everybody reaches.
pub fn is_open_by_ipv6(household: &Household, [known, stranger]: [&Host; 2]) -> Result<bool> {
    let inside = household.inside.bind_v6(Household::SPARE_PORT)?;
    let outer = seen_from(&inside, &known.bind_v6(PORT)?)?;
    Ok(outer == inside.local_addr()? && passes(&stranger.bind_v6(PORT)?, outer, &inside)?)
}

/// The source address that `to` sees of what `inside` sends it.
fn seen_from(inside: &UdpSocket, to: &UdpSocket) -> Result<SocketAddr> {
    let word = to.local_addr()?.to_string();
    inside.send_to(word.as_bytes(), to.local_addr()?)?;
    received(to, &word, TRAVEL)?.context("nothing arrives outside")
}

/// Whether a datagram from `from` to the router's `outer` address reaches `inside`, and seems to come from there.
fn passes(from: &UdpSocket, outer: SocketAddr, inside: &UdpSocket) -> Result<bool> {
    let word = format!("{} calls", from.local_addr()?);
    from.send_to(word.as_bytes(), outer)?;
    let source = received(inside, &word, SILENCE)?;
    ensure!(
        source.is_none_or(|source| from.local_addr().is_ok_and(|own| own == source)),
        "{source:?} is not the sender"
    );
    Ok(source.is_some())
}

/// Where the datagram with this content came from; `None` when it did not come.
fn received(socket: &UdpSocket, word: &str, limit: Duration) -> Result<Option<SocketAddr>> {
    socket.set_read_timeout(Some(limit))?;
    let mut buffer = [0; 100];
    // Whatever else arrives was sent to somebody who was here before.
    while let Ok((length, source)) = socket.recv_from(&mut buffer) {
        if buffer.get(..length) == Some(word.as_bytes()) {
            return Ok(Some(source));
        }
    }
    Ok(None)
}
