// SPDX-License-Identifier: GPL-3.0-or-later
//! The addresses of this machine that somebody near it can reach.

use std::net::{IpAddr, SocketAddr};

use dvsd::path::Scope;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;

/// Where a socket bound to `listen` is reached from the own network: at that address, or if it takes every address, at
/// those of the interfaces that are up. IPv4 comes first; what means something on one link only is left out.
pub(super) fn addresses(listen: SocketAddr) -> Vec<SocketAddr> {
    if !listen.ip().is_unspecified() {
        return vec![listen];
    }
    let Ok(interfaces) = getifaddrs() else { return Vec::new() };
    let up = interfaces.filter(|interface| interface.flags.contains(InterfaceFlags::IFF_UP));
    let all = up.filter_map(|interface| ip(&interface.address?)).map(|ip| SocketAddr::new(ip, listen.port()));
    let reached = all.filter(|address| address.is_ipv4() || listen.is_ipv6());
    let mut addresses: Vec<SocketAddr> =
        reached.filter(|address| matches!(Scope::of(*address), Scope::Private(_) | Scope::Global)).collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_bound_to_one_address_is_reached_there() {
        let listen: SocketAddr = "127.0.0.1:5004".parse().unwrap();
        assert_eq!(addresses(listen), [listen]);
    }

    #[test]
    fn the_loopback_address_is_no_address_for_others() {
        let found = addresses("[::]:5004".parse().unwrap());
        assert!(found.iter().all(|address| address.port() == 5004 && !address.ip().is_loopback()), "{found:?}");
        let v4 = addresses("0.0.0.0:5004".parse().unwrap());
        assert!(v4.iter().all(SocketAddr::is_ipv4), "{v4:?}");
    }
}
