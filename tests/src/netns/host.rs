// SPDX-License-Identifier: GPL-3.0-or-later
//! A host: a namespace with one address of each family.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::net::UdpSocket;
use std::process::Command;

use anyhow::Result;

use super::namespace::Namespace;

/// A namespace with one address of each family.
#[derive(Debug)]
pub struct Host {
    namespace: Namespace,
    device: String,
    v4: Ipv4Addr,
    v6: Ipv6Addr,
}

impl Host {
    /// A host without a cable yet: number N of its network, with 198.18.N.1 and 2001:db8:N::1.
    pub(super) fn numbered(number: u8, device: String) -> Result<Self> {
        Self::new(device, Ipv4Addr::new(198, 18, number, 1), prefix(number, 0, 1))
    }

    /// A host without a cable yet.
    pub(super) fn new(device: String, v4: Ipv4Addr, v6: Ipv6Addr) -> Result<Self> {
        Ok(Self { namespace: Namespace::new()?, device, v4, v6 })
    }

    /// Its IPv4 address.
    pub fn v4(&self) -> Ipv4Addr {
        self.v4
    }

    /// Its IPv6 address.
    pub fn v6(&self) -> Ipv6Addr {
        self.v6
    }

    /// Its IPv4 address with a port.
    pub fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::from((self.v4, port))
    }

    /// Its IPv6 address with a port.
    pub fn at_v6(&self, port: u16) -> SocketAddr {
        SocketAddr::from((self.v6, port))
    }

    /// Name of the device that leads out of it.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// A UDP socket on this host, bound to its IPv4 address.
    pub fn bind(&self, port: u16) -> Result<UdpSocket> {
        self.namespace.bind(self.at(port))
    }

    /// A UDP socket on this host, bound to its IPv6 address.
    pub fn bind_v6(&self, port: u16) -> Result<UdpSocket> {
        self.namespace.bind(self.at_v6(port))
    }

    /// The namespace it is.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// A command that will run on this host.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.namespace.command(program)
    }
}

impl AsRef<Namespace> for Host {
    fn as_ref(&self) -> &Namespace {
        &self.namespace
    }
}

/// 2001:db8:NUMBER:SUBNET::HOST.
pub(super) fn prefix(number: u8, subnet: u16, host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, u16::from(number), subnet, 0, 0, 0, host)
}
