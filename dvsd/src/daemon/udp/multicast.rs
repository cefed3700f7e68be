// SPDX-License-Identifier: GPL-3.0-or-later
//! Which groups the socket is in, and by which interfaces a datagram to a group goes out.
//!
//! A group exists once per interface: it is joined on each, and what is sent to it is sent to each. A datagram never
//! goes further than the wire, for its TTL is 1.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use dvsd::wire::{LAN_GROUP_V4, LAN_GROUP_V6};
use socket2::{InterfaceIndexOrAddress, Socket};

use crate::surroundings::Interface;

/// Interfaces that take part. The kernel allows 20 IPv4 groups per socket, unless told otherwise.
const MAX_INTERFACES: usize = 16;

/// One interface by which a group is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// Its number.
    pub(super) index: u32,
    /// The address that IPv4 leaves from; `None` without IPv4.
    pub(super) v4: Option<Ipv4Addr>,
    /// Whether IPv6 may leave.
    pub(super) v6: bool,
}

/// The groups of one socket.
#[derive(Debug, Default)]
pub(super) struct Multicast {
    ways: Vec<Way>,
    /// Interfaces on which the groups have been joined: IPv4, IPv6.
    pub(super) joined: BTreeMap<u32, [bool; 2]>,
}

impl Multicast {
    /// Sets up `socket`, which is bound to `local`, so that nothing leaves the wire and nothing comes that was not
    /// asked for.
    pub(super) fn prepare(socket: &Socket, local: SocketAddr) -> std::io::Result<()> {
        socket.set_multicast_ttl_v4(1)?;
        // Otherwise whatever any program of the machine has joined comes in here as well.
        socket.set_multicast_all_v4(false)?;
        if local.is_ipv6() {
            socket.set_multicast_hops_v6(1)?;
            socket.set_multicast_all_v6(false)?;
        }
        Ok(())
    }

    /// The interfaces are now these: joins where it has not, leaves what is gone.
    pub(super) fn follow(&mut self, socket: &Socket, local: SocketAddr, interfaces: &[Interface]) {
        self.ways = interfaces.iter().filter_map(|interface| way(interface, local)).take(MAX_INTERFACES).collect();
        // A socket that is bound to one address gets nothing that is sent to a group.
        if !local.ip().is_unspecified() {
            return;
        }
        let gone: Vec<u32> =
            self.joined.keys().copied().filter(|index| self.ways.iter().all(|way| way.index != *index)).collect();
        for index in gone {
            self.leave(socket, index);
        }
        for way in self.ways.clone() {
            let joined = self.joined.entry(way.index).or_default();
            let [v4, v6] = *joined;
            *joined = [
                v4 || way.v4.is_some() && join_v4(socket, way.index),
                v6 || way.v6 && local.is_ipv6() && join_v6(socket, way.index),
            ];
        }
    }

    /// The ways that `group` is reached by.
    pub(super) fn ways(&self, group: IpAddr) -> impl Iterator<Item = Way> {
        let ways = self.ways.clone();
        ways.into_iter().filter(move |way| if group.is_ipv4() { way.v4.is_some() } else { way.v6 })
    }

    /// Leaves the groups on an interface that is gone; the socket would count them for ever.
    fn leave(&mut self, socket: &Socket, index: u32) {
        let Some([v4, v6]) = self.joined.remove(&index) else { return };
        let left_v4 = !v4 || socket.leave_multicast_v4_n(&LAN_GROUP_V4, &InterfaceIndexOrAddress::Index(index)).is_ok();
        let left_v6 = !v6 || socket.leave_multicast_v6(&LAN_GROUP_V6, index).is_ok();
        tracing::debug!(index, left_v4, left_v6, "left the groups");
    }
}

fn way(interface: &Interface, local: SocketAddr) -> Option<Way> {
    let has_us = local.ip().is_unspecified() || interface.addresses.contains(&local.ip());
    if !interface.multicast || !has_us {
        return None;
    }
    let v4 = interface.addresses.iter().find_map(|ip| match ip {
        IpAddr::V4(ip) if local.ip().is_unspecified() || local.ip() == IpAddr::V4(*ip) => Some(*ip),
        _ => None,
    });
    let v6 = local.is_ipv6() && interface.addresses.iter().any(IpAddr::is_ipv6);
    (v4.is_some() || v6).then_some(Way { index: interface.index, v4, v6 })
}

fn join_v4(socket: &Socket, index: u32) -> bool {
    joined(socket.join_multicast_v4_n(&LAN_GROUP_V4, &InterfaceIndexOrAddress::Index(index)), index)
}

fn join_v6(socket: &Socket, index: u32) -> bool {
    joined(socket.join_multicast_v6(&LAN_GROUP_V6, index), index)
}

/// Whether the socket is in the group now. If not it is tried again with the next change.
fn joined(outcome: std::io::Result<()>, index: u32) -> bool {
    match outcome {
        Err(error) if error.kind() != ErrorKind::AddrInUse => {
            tracing::debug!(index, %error, "cannot join the group");
            false
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(index: u32, addresses: &[&str]) -> Interface {
        let addresses = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
        Interface { index, running: true, multicast: true, addresses }
    }

    fn ways(local: &str, interfaces: &[Interface]) -> Vec<Way> {
        interfaces.iter().filter_map(|interface| way(interface, local.parse().unwrap())).collect()
    }

    #[test]
    fn groups_are_reached_by_interfaces_with_multicast_and_an_address() {
        let loopback = Interface { multicast: false, ..interface(1, &["127.0.0.1"]) };
        let all = [loopback, interface(2, &["10.0.0.1", "fe80::1"]), interface(3, &[]), interface(4, &["fe80::2"])];
        let v4 = "10.0.0.1".parse().ok();
        let [both, six] = [Way { index: 2, v4, v6: true }, Way { index: 4, v4: None, v6: true }];
        assert_eq!(ways("[::]:5004", &all), [both, six]);
        assert_eq!(ways("0.0.0.0:5004", &all), [Way { v6: false, ..both }]);
    }

    #[test]
    fn a_socket_bound_to_one_address_speaks_where_that_address_is() {
        let all = [interface(2, &["10.0.0.1", "10.0.0.2", "fe80::1"]), interface(3, &["10.1.0.1", "2001:db8::1"])];
        let v4 = "10.0.0.2".parse().ok();
        assert_eq!(ways("10.0.0.2:5004", &all), [Way { index: 2, v4, v6: false }]);
        assert_eq!(ways("[2001:db8::1]:5004", &all), [Way { index: 3, v4: None, v6: true }]);
        assert_eq!(ways("127.0.0.1:5004", &all), []);
    }
}
