// SPDX-License-Identifier: GPL-3.0-or-later
//! What the machine's network looks like at one moment.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::{InterfaceFlags, if_nametoindex};

/// Somewhere on the Internet, for each family. Nothing is ever sent there: the kernel is asked for the way only.
const FAR_AWAY: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1))];

/// One interface that is switched on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interface {
    /// The kernel's number for it.
    pub(crate) index: u32,
    /// There is a cable in it, or whatever stands for one.
    pub(crate) running: bool,
    /// Multicast can go out of it to other machines.
    pub(crate) multicast: bool,
    /// Its addresses that can be sent from, in order.
    pub(crate) addresses: Vec<IpAddr>,
}

/// All that a node may want to know of the machine's network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// The interfaces that are switched on, by index.
    pub(crate) interfaces: Vec<Interface>,
    /// The address that datagrams to the Internet leave from, per family.
    pub(crate) ways_out: [Option<IpAddr>; 2],
}

impl Surroundings {
    /// How things are now.
    ///
    /// # Errors
    /// If the system does not tell, for want of netlink.
    pub(crate) fn look() -> io::Result<Self> {
        let mut interfaces = BTreeMap::new();
        for entry in getifaddrs()? {
            if entry.flags.contains(InterfaceFlags::IFF_UP) {
                take_in(&entry, &mut interfaces);
            }
        }
        let mut interfaces: Vec<Interface> = interfaces.into_values().collect();
        interfaces.iter_mut().for_each(|interface| interface.addresses.sort_unstable());
        Ok(Self { interfaces, ways_out: FAR_AWAY.map(way_to) })
    }

    /// The machine's own addresses.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.interfaces.iter().flat_map(|interface| interface.addresses.iter().copied())
    }

    /// Whether the interface with this index has a cable in it.
    pub(crate) fn runs(&self, index: u32) -> bool {
        self.interfaces.iter().any(|interface| interface.index == index && interface.running)
    }
}

/// Adds one of the system's entries: there is one for each address, and one without.
fn take_in(entry: &InterfaceAddress, interfaces: &mut BTreeMap<u32, Interface>) {
    // An IPv4 address may have a label of its own, as in eth0:1.
    let name = entry.interface_name.split(':').next().unwrap_or_default();
    // An interface may be gone since it was listed.
    let Ok(index) = if_nametoindex(name) else { return };
    let interface = interfaces.entry(index).or_default();
    interface.index = index;
    interface.running = entry.flags.contains(InterfaceFlags::IFF_RUNNING);
    interface.multicast =
        entry.flags.contains(InterfaceFlags::IFF_MULTICAST) && !entry.flags.contains(InterfaceFlags::IFF_LOOPBACK);
    let v4 = || Some(IpAddr::V4(entry.address.as_ref()?.as_sockaddr_in()?.ip()));
    let v6 = || Some(IpAddr::V6(entry.address.as_ref()?.as_sockaddr_in6()?.ip()));
    interface.addresses.extend(v4().or_else(v6).filter(|ip| can_send_from(*ip, index)));
}

/// Whether an address is in working order. A new IPv6 address is not until nobody else turned out to have it, and
/// that it then is must show as a change.
fn can_send_from(ip: IpAddr, interface: u32) -> bool {
    match ip {
        IpAddr::V4(_) => true,
        IpAddr::V6(ip) => UdpSocket::bind(SocketAddrV6::new(ip, 0, 0, interface)).is_ok(),
    }
}

/// The address that a datagram to `ip` would leave from.
fn way_to(ip: IpAddr) -> Option<IpAddr> {
    let any = if ip.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(SocketAddr::new(ip, 9)).ok()?;
    socket.local_addr().ok().map(|from| from.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_seen_and_never_multicast_to() {
        let all = Surroundings::look().unwrap();
        let loopback = all.interfaces.iter().find(|it| it.addresses.iter().any(IpAddr::is_loopback)).unwrap();
        assert!(loopback.running && !loopback.multicast);
        assert!(all.runs(loopback.index) && !all.runs(0));
        assert!(all.addresses().any(|ip| ip == IpAddr::from([127, 0, 0, 1])));
    }

    #[test]
    fn looking_twice_shows_the_same() {
        assert_eq!(Surroundings::look().unwrap(), Surroundings::look().unwrap());
    }
}
