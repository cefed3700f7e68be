// SPDX-License-Identifier: GPL-3.0-or-later
//! Hosts on one Ethernet, without a router and without anybody who configures them.

use anyhow::{Context, Result};

use super::household::{DEVICE, NO_IPV6};
use super::namespace::{Namespace, cable};

/// Which addresses the hosts of an Ethernet have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// 192.168.77.N and no IPv6 at all.
    V4,
    /// fd77::N and no IPv4.
    V6,
    /// Of IPv6 those only that every device gives itself, fe80::…; no IPv4.
    LinkLocal,
    /// Both 192.168.77.N and fd77::N.
    Both,
}

/// An Ethernet switch.
#[derive(Debug)]
pub struct Switch {
    bridge: Namespace,
    addresses: Addresses,
    ports: u8,
}

impl Switch {
    /// A switch with nothing plugged in, to whose ports hosts with such addresses will be connected.
    pub fn new(addresses: Addresses) -> Result<Self> {
        let bridge = Namespace::new()?;
        bridge.ip(&["link", "add", "switch", "type", "bridge"])?;
        bridge.ip(&["link", "set", "switch", "up"])?;
        Ok(Self { bridge, addresses, ports: 0 })
    }

    /// Plugs in another host; the first has number 1.
    pub fn plug(&mut self) -> Result<Port> {
        self.ports = self.ports.checked_add(1).context("too many hosts")?;
        let namespace = Namespace::new()?;
        if self.addresses == Addresses::V4 {
            namespace.set(&[(NO_IPV6, 1)])?;
        }
        let socket = format!("port{}", self.ports);
        cable([(&namespace, DEVICE), (&self.bridge, &socket)])?;
        self.bridge.ip(&["link", "set", &socket, "master", "switch"])?;
        let port = Port { namespace, addresses: self.addresses };
        port.address(self.ports)?;
        Ok(port)
    }
}

/// A host on an Ethernet.
#[derive(Debug)]
pub struct Port {
    namespace: Namespace,
    addresses: Addresses,
}

impl Port {
    /// The name of its device.
    pub const DEVICE: &str = DEVICE;

    /// The namespace the host is.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The number of its device, as multicast wants it.
    pub fn device(&self) -> Result<u32> {
        self.namespace.inside(|| Ok(nix::net::if_::if_nametoindex(DEVICE)?))
    }

    /// Switches the device off, which takes its IPv6 addresses and all routes away.
    pub fn down(&self) -> Result<()> {
        self.namespace.ip(&["link", "set", DEVICE, "down"])
    }

    /// Switches the device on again, with the addresses of host `number` and no others.
    pub fn up(&self, number: u8) -> Result<()> {
        self.namespace.ip(&["address", "flush", "dev", DEVICE, "scope", "global"])?;
        self.namespace.ip(&["link", "set", DEVICE, "up"])?;
        self.address(number)
    }

    /// Takes all addresses but link-local ones away and gives the device those of host `number`, while it stays on.
    pub fn renumber(&self, number: u8) -> Result<()> {
        self.up(number)
    }

    fn address(&self, number: u8) -> Result<()> {
        let v4 = format!("address add 192.168.77.{number}/24 dev {DEVICE}");
        let v6 = format!("address add fd77::{number:x}/64 dev {DEVICE} nodad");
        self.namespace.ip_lines(&match self.addresses {
            Addresses::V4 => vec![v4],
            Addresses::V6 => vec![v6],
            Addresses::LinkLocal => Vec::new(),
            Addresses::Both => vec![v4, v6],
        })
    }
}

impl AsRef<Namespace> for Port {
    fn as_ref(&self) -> &Namespace {
        &self.namespace
    }
}
