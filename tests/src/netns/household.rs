// SPDX-License-Identifier: GPL-3.0-or-later
//! A host in a private network behind a router with NAT, of each kind there is. Made with nftables and conntrack.
//!
//! All routers but the symmetric one give a port of the host inside one outer port, another number than the inner one.
//! What is kept for 120 s, renewed by each packet that leaves: the mapping and who may come in.

use core::net::{Ipv4Addr, SocketAddr};

use std::os::fd::AsRawFd;

use anyhow::{Context, Result, ensure};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

use super::host::{Host, prefix};
use super::internet::{Internet, Site, UPLINK};
use super::namespace::{Namespace, cable};

/// The host behind every router, as in half of all homes.
const INSIDE: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 2);
/// The router as seen from there.
const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
/// The router's device towards the inside.
const DOWNLINK: &str = "lan";
/// The host's device.
pub(super) const DEVICE: &str = "eth0";

/// The kinds of NAT, by what they map and whom they let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nat {
    /// One outer port for all destinations, open to everybody once it exists.
    FullCone,
    /// One outer port for all destinations, open to every address that was sent something from there.
    AddressRestricted,
    /// One outer port for all destinations, open to every address and port that was sent something from there.
    PortRestricted,
    /// A random outer port for each destination, open to that destination only.
    Symmetric,
}

impl Nat {
    /// Every kind, the friendliest first.
    pub const ALL: [Self; 4] = [Self::FullCone, Self::AddressRestricted, Self::PortRestricted, Self::Symmetric];

    /// Its usual name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FullCone => "full cone",
            Self::AddressRestricted => "address-restricted",
            Self::PortRestricted => "port-restricted",
            Self::Symmetric => "symmetric",
        }
    }

    /// Which outer port the router should use for the `inner` one; `None` when it is a matter of chance.
    pub const fn outer_port(self, inner: u16) -> Option<u16> {
        match self {
            Self::Symmetric => None,
            _ => Some(inner + SHIFT),
        }
    }

    /// The rules of a router whose public address is `public`.
    fn rules(self, public: Ipv4Addr) -> String {
        let back = format!("dnat to {INSIDE} : udp dport map {{ {} }}", port_map(|inner| (inner + SHIFT, inner)));
        let there = format!("snat to {public} : udp sport map {{ {} }}", port_map(|inner| (inner, inner + SHIFT)));
        let (entrance, exit) = match self {
            Self::FullCone => (format!("udp dport @mapped {back}"), there),
            Self::AddressRestricted => (format!("udp dport . ip saddr @known {back}"), there),
            // Who was sent something is in the table of connections, and nobody else comes in.
            Self::PortRestricted => (String::new(), there),
            Self::Symmetric => (String::new(), format!("snat to {public} : 10000-65535 fully-random")),
        };
        format!(
            "table ip nat {{
                set mapped {{ typeof udp sport; flags dynamic, timeout; timeout 120s; size 1024; }}
                set known {{ typeof udp sport . ip daddr; flags dynamic, timeout; timeout 120s; size 4096; }}
                chain prerouting {{
                    type nat hook prerouting priority dstnat;
                    iifname {UPLINK} {entrance}
                }}
                chain postrouting {{
                    type nat hook postrouting priority srcnat;
                    oifname {UPLINK} ip protocol udp {exit}
                    oifname {UPLINK} masquerade
                }}
                set strangers {{ type ipv4_addr; }}
                chain forward {{
                    # Before the router takes notice: its table of connections and the sets below stay as they are.
                    type filter hook forward priority filter;
                    oifname {UPLINK} ip daddr @strangers drop
                }}
                chain left {{
                    type filter hook postrouting priority 200;
                    oifname {UPLINK} update @mapped {{ udp sport }}
                    oifname {UPLINK} update @known {{ udp sport . ip daddr }}
                }}
                chain input {{
                    # Silently, as routers do. An answer would also leave an entry among the connections that makes
                    # the next packet to that stranger leave from another port.
                    type filter hook input priority filter; policy drop;
                    iifname != {UPLINK} accept
                    ct state established, related accept
                }}
            }}\n"
        )
    }
}

/// Outer ports are the inner ones and this. Whoever confuses the two is found out.
const SHIFT: u16 = 37_000;
/// The ports that are mapped so: the daemon's and one to try the router out.
const PORTS: [u16; 2] = [5004, Household::SPARE_PORT];

fn port_map(pair: impl Fn(u16) -> (u16, u16)) -> String {
    let pairs = PORTS.map(pair).map(|(from, to)| format!("{from} : {to}"));
    pairs.join(", ")
}

/// A host behind a router with NAT.
#[derive(Debug)]
pub struct Household {
    /// What kind of NAT it is.
    pub nat: Nat,
    /// The host inside: 192.168.1.2, and 2001:db8:N:1::2 if it has IPv6.
    pub inside: Host,
    router: Namespace,
    site: Site,
}

impl Household {
    /// A port of the host inside that is free for trying out what the router does.
    pub const SPARE_PORT: u16 = 5006;

    /// Connects a household to the Internet. With `ipv6` it has public IPv6 addresses without NAT as well, else none.
    pub fn new(internet: &mut Internet, nat: Nat, ipv6: bool) -> Result<Self> {
        let site = internet.site()?;
        let router = Namespace::new()?;
        router.set(&[("ipv4/ip_forward", 1), ("ipv6/conf/all/forwarding", 1)])?;
        internet.connect(&router, site)?;
        router.nft(&nat.rules(site.v4))?;
        let inside = Host::new(DEVICE.to_owned(), INSIDE, prefix(site.number, 1, 2))?;
        cable([(inside.namespace(), DEVICE), (&router, DOWNLINK)])?;
        let household = Self { nat, inside, router, site };
        household.address_v4()?;
        if ipv6 {
            household.address_v6()?
        } else {
            household.inside.namespace().set(&[(NO_IPV6, 1)])?
        }
        Ok(household)
    }

    /// The address the router has on the Internet.
    pub fn public(&self, port: u16) -> SocketAddr {
        SocketAddr::from((self.site.v4, port))
    }

    /// Nothing that is for the routers of `others` leaves this one any more, and so its NAT does not let them in either.
    ///
    /// In a large network people have not exchanged anything before the first call. In one of a few nodes everybody
    /// pings everybody, which by itself opens most routers for each other.
    pub fn estrange<'a>(&self, others: impl IntoIterator<Item = &'a Self>) -> Result<()> {
        let others = others.into_iter().filter(|other| other.site.number != self.site.number);
        let addresses: Vec<String> = others.map(|other| other.site.v4.to_string()).collect();
        self.router.nft(&format!("add element ip nat strangers {{ {} }}", addresses.join(", ")))
    }

    /// Ends [`Self::estrange`] between the two.
    pub fn acquaint(&self, other: &Self) -> Result<()> {
        for (one, another) in [(self, other), (other, self)] {
            one.router.nft(&format!("delete element ip nat strangers {{ {} }}", another.site.v4))?;
        }
        Ok(())
    }

    /// The router forgets all connections, as after a restart. The next packet of each one begins a new one, which with a
    /// symmetric NAT has another port.
    pub fn forget(&self) -> Result<()> {
        self.router.inside(flush_connections)
    }

    fn address_v4(&self) -> Result<()> {
        self.router.ip(&["address", "add", &format!("{ROUTER}/24"), "dev", DOWNLINK])?;
        self.inside
            .namespace()
            .ip_lines(&[format!("address add {INSIDE}/24 dev {DEVICE}"), format!("route add default via {ROUTER}")])
    }

    fn address_v6(&self) -> Result<()> {
        let router = prefix(self.site.number, 1, 1);
        self.router.ip(&["address", "add", &format!("{router}/64"), "dev", DOWNLINK, "nodad"])?;
        self.inside.namespace().ip_lines(&[
            format!("address add {}/64 dev {DEVICE} nodad", self.inside.v6()),
            format!("route add ::/0 via {router}"),
        ])
    }
}

/// Empties the kernel's table of connections: what `conntrack -F` does.
fn flush_connections() -> Result<()> {
    const LENGTH: u32 = 20;
    const DELETE: u16 = 0x0102;
    const REQUEST_AND_ANSWER: u16 = 5;
    let netlink =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkNetFilter)?;
    let mut message = Vec::new();
    message.extend(LENGTH.to_ne_bytes());
    message.extend([DELETE, REQUEST_AND_ANSWER].into_iter().flat_map(u16::to_ne_bytes));
    // Sequence number, port, family, version and resource: all zero.
    message.resize(LENGTH as usize, 0);
    send(netlink.as_raw_fd(), &message, MsgFlags::empty())?;
    let mut answer = [0; 64];
    let length = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    let error = answer.get(16..20).filter(|_| length >= 20).context("a short answer")?;
    ensure!(error == [0; 4], "connections are not forgotten: {error:?}");
    Ok(())
}

/// The setting that switches IPv6 off.
pub(super) const NO_IPV6: &str = "ipv6/conf/all/disable_ipv6";
