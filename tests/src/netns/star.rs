// SPDX-License-Identifier: GPL-3.0-or-later
//! Hosts joined by links in user space: as bad as wanted, and costly.

use anyhow::{Context, Result};

use super::host::Host;
use super::namespace::{Namespace, serial};
use crate::impair::Conditions;
use crate::link::{Link, tun};

/// Two hosts and the one link between them.
#[derive(Debug)]
pub struct Pair {
    /// The hosts, numbers 1 and 2.
    pub hosts: [Host; 2],
    /// What joins them.
    pub link: Link,
}

impl Pair {
    /// Two hosts joined under `conditions`.
    pub fn new(conditions: Conditions) -> Result<Self> {
        let [a, b] = device_pair();
        let ends = [tun(&a)?, tun(&b)?];
        let hosts = [plugged(1, a)?, plugged(2, b)?];
        Ok(Self { hosts, link: Link::start(ends, conditions)? })
    }
}

/// Hosts around one router, each with a link of its own: a packet passes its sender's and its receiver's.
#[derive(Debug)]
pub struct Star {
    router: Namespace,
    hosts: Vec<(Host, Link)>,
}

impl Star {
    /// A router without hosts.
    pub fn new() -> Result<Self> {
        let router = Namespace::new()?;
        router.set(&[("ipv4/ip_forward", 1), ("ipv6/conf/all/forwarding", 1)])?;
        Ok(Self { router, hosts: Vec::new() })
    }

    /// Adds a host behind a link under `conditions`; the first has number 1. Returns its index.
    pub fn add(&mut self, conditions: Conditions) -> Result<usize> {
        let number = u8::try_from(self.hosts.len() + 1).context("too many hosts")?;
        let [outer, inner] = device_pair();
        let ends = [tun(&outer)?, tun(&inner)?];
        let host = plugged(number, outer)?;
        self.router.adopt(&inner)?;
        self.router.ip(&["route", "add", &format!("198.18.{number}.0/24"), "dev", &inner])?;
        self.router.ip(&["-6", "route", "add", &format!("2001:db8:{number:x}::/48"), "dev", &inner])?;
        self.hosts.push((host, Link::start(ends, conditions)?));
        Ok(self.hosts.len() - 1)
    }

    /// The host with that index.
    pub fn host(&self, index: usize) -> Result<&Host> {
        self.hosts.get(index).map(|(host, _)| host).context("no such host")
    }

    /// The link of the host with that index.
    pub fn link(&self, index: usize) -> Result<&Link> {
        self.hosts.get(index).map(|(_, link)| link).context("no such host")
    }
}

/// A host with `device`, which gets its addresses and is the way to everybody else.
fn plugged(number: u8, device: String) -> Result<Host> {
    let host = Host::numbered(number, device)?;
    let (namespace, device) = (host.namespace(), host.device());
    namespace.adopt(device)?;
    namespace.ip_lines(&[
        format!("address add {}/24 dev {device}", host.v4()),
        format!("address add {}/48 dev {device} nodad", host.v6()),
        format!("route add default dev {device}"),
        format!("route add ::/0 dev {device}"),
    ])?;
    Ok(host)
}

/// Two device names that are free everywhere.
fn device_pair() -> [String; 2] {
    let (pid, serial) = (std::process::id(), serial());
    ["a", "b"].map(|end| format!("dv{pid:x}.{serial:x}{end}"))
}
