// SPDX-License-Identifier: GPL-3.0-or-later
//! Small networks of this machine's own: one network namespace per host, each host with its own /24 of 198.18.0.0/15
//! and /48 of 2001:db8::/32, so that address filters and limits per prefix work as on the Internet. Needs root.
//!
//! | network | what it is for |
//! |---|---|
//! | [`Pair`], [`Star`] | links in user space, as bad as wanted |
//! | [`Internet`] | many hosts around one router, all in the kernel |
//! | [`Household`] | a host behind a router with NAT, on the Internet |
//! | [`Switch`] | hosts on one Ethernet |
//! | [`Elsewhere`] | any address as sender, added to a host of the others |
//!
//! Everything is named after this process and removed when dropped; what a killed process left behind is removed by
//! the next one.

mod elsewhere;
mod host;
mod household;
mod internet;
mod namespace;
mod probe;
mod star;
mod switch;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::harness;

pub use elsewhere::Elsewhere;
pub use host::Host;
pub use household::{Household, Nat};
pub use internet::Internet;
pub use namespace::Namespace;
pub use probe::{Behaviour, Filtering, Mapping, is_open_by_ipv6, probe};
pub use star::{Pair, Star};
pub use switch::{Addresses, Port, Switch};

/// Whether namespaces can be made here; otherwise why not, to be shown with a skipped test.
pub fn available() -> Result<()> {
    ensure!(nix::unistd::geteuid().is_root(), "network namespaces need root");
    ensure!(Path::new("/dev/net/tun").exists(), "no /dev/net/tun");
    Namespace::new().map(drop).context("cannot make a network namespace")
}

/// Whether routers with NAT can be made here; otherwise why not.
pub fn nat_available() -> Result<()> {
    available()?;
    namespace::run(Command::new("nft").arg("--version")).context("nftables is not installed")
}

/// Makes a test that needs namespaces either run, fail or be skipped loudly: where CI runs it must not be skipped.
pub fn available_or_skipped(test: &str) -> bool {
    harness::runs_or_is_skipped(test, available())
}

/// As [`available_or_skipped`], for a test that needs NAT as well.
pub fn nat_available_or_skipped(test: &str) -> bool {
    harness::runs_or_is_skipped(test, nat_available())
}
