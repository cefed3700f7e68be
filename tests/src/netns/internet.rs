// SPDX-License-Identifier: GPL-3.0-or-later
//! An Internet of one router, around which every site has an address of each family in a prefix of its own. All of it
//! is the kernel's, so a hundred hosts cost next to nothing.

use core::net::{Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result};

use super::host::{Host, prefix};
use super::namespace::{Namespace, cable};

/// The device by which a site reaches the Internet.
pub(super) const UPLINK: &str = "wan";

/// The router in the middle.
#[derive(Debug)]
pub struct Internet {
    router: Namespace,
    sites: u8,
}

/// What a site is given: its addresses and those of the router as seen from there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    pub(super) number: u8,
    pub(super) v4: Ipv4Addr,
    pub(super) v6: Ipv6Addr,
}

impl Internet {
    /// An Internet without anybody.
    pub fn new() -> Result<Self> {
        let router = Namespace::new()?;
        router.set(&[("ipv4/ip_forward", 1), ("ipv6/conf/all/forwarding", 1)])?;
        Ok(Self { router, sites: 0 })
    }

    /// A host with public addresses: the one of site N has 198.18.N.1 and 2001:db8:N::1.
    pub fn host(&mut self) -> Result<Host> {
        let site = self.site()?;
        self.plug(site)
    }

    /// A host with public addresses, of which the IPv4 one is `address`, for nets in which the first half matters.
    pub fn host_at(&mut self, address: Ipv4Addr) -> Result<Host> {
        let site = Site { v4: address, ..self.site()? };
        self.plug(site)
    }

    /// A host with a public IPv6 address and without IPv4.
    pub fn host_v6(&mut self) -> Result<Host> {
        let host = self.host()?;
        host.namespace().ip(&["-4", "address", "flush", "dev", UPLINK])?;
        Ok(host)
    }

    /// Takes a host elsewhere, once: it loses its IPv4 address and gets that of another site. Its cable stays, and so do
    /// its IPv6 addresses.
    pub fn move_host(&mut self, host: &Host) -> Result<()> {
        let [_, _, port, _] = host.v4().octets();
        let v4 = self.site()?.v4;
        let [a, b, c, _] = v4.octets();
        let router = Ipv4Addr::new(a, b, c, 254);
        self.router.ip_lines(&[format!("address add {router}/24 dev site{port}")])?;
        host.namespace().ip_lines(&[
            format!("address delete {}/24 dev {UPLINK}", host.v4()),
            format!("address add {v4}/24 dev {UPLINK}"),
            format!("route add default via {router}"),
        ])
    }

    /// The next free site.
    pub(super) fn site(&mut self) -> Result<Site> {
        self.sites = self.sites.checked_add(1).context("too many sites")?;
        let number = self.sites;
        Ok(Site { number, v4: Ipv4Addr::new(198, 18, number, 1), v6: prefix(number, 0, 1) })
    }

    fn plug(&self, site: Site) -> Result<Host> {
        let host = Host::new(UPLINK.to_owned(), site.v4, site.v6)?;
        self.connect(host.namespace(), site)?;
        Ok(host)
    }

    /// Lays a cable to `namespace` and gives it the addresses of `site`; the /48 is routed there.
    pub(super) fn connect(&self, namespace: &Namespace, site: Site) -> Result<()> {
        let Site { number, v4, v6 } = site;
        let port = format!("site{number}");
        cable([(namespace, UPLINK), (&self.router, &port)])?;
        let [a, b, c, _] = v4.octets();
        let (router_v4, router_v6) = (Ipv4Addr::new(a, b, c, 254), prefix(number, 0, 0xfe));
        self.router.ip_lines(&[
            format!("address add {router_v4}/24 dev {port}"),
            format!("address add {router_v6}/64 dev {port} nodad"),
            format!("route add {}/48 via {v6}", prefix(number, 0, 0)),
        ])?;
        namespace.ip_lines(&[
            format!("address add {v4}/24 dev {UPLINK}"),
            format!("address add {v6}/64 dev {UPLINK} nodad"),
            format!("route add default via {router_v4}"),
            format!("route add ::/0 via {router_v6}"),
        ])
    }
}
