// SPDX-License-Identifier: GPL-3.0-or-later
//! The one UDP socket. Answers leave from the local address their question came to.

use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, RawFd};

use anyhow::Context;
use dvsd::time::Instant;
use dvsd::wire::{DEFAULT_PORT, kind};
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrLike, SockaddrStorage, recvmsg,
    sendmsg,
};
use socket2::Socket;

use crate::readable::Readable;
use crate::surroundings::Surroundings;

mod bind;
mod multicast;
mod sources;
#[cfg(test)]
mod tests;
mod thinning;

pub(crate) use bind::PortTaken;

use multicast::{Multicast, Way};
use sources::Sources;
use thinning::Thinning;

/// The socket, which local address each peer speaks to, and the groups it is in.
#[derive(Debug)]
pub(crate) struct Udp {
    socket: Readable<Socket>,
    local: SocketAddr,
    fell_back: bool,
    sources: Sources,
    thinning: Thinning,
    /// `None`: nothing is sent to groups, and none is joined.
    multicast: Option<Multicast>,
}

/// One datagram from the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// How long it is.
    pub(crate) length: usize,
    /// Who sent it.
    pub(crate) from: SocketAddr,
    /// It was sent to a group and should not have been, or the other way round: to be dropped.
    pub(crate) misdirected: bool,
}

impl Udp {
    /// Binds to `listen`, or to the default port of every address, or else does as `taken` says.
    pub(crate) fn bind(listen: Option<SocketAddr>, taken: PortTaken) -> anyhow::Result<Self> {
        Self::bind_at(listen, DEFAULT_PORT, taken)
    }

    fn bind_at(listen: Option<SocketAddr>, port: u16, taken: PortTaken) -> anyhow::Result<Self> {
        let (socket, fell_back) = bind::open(listen, port, taken)?;
        let local = socket.local_addr()?.as_socket().context("the socket has no address")?;
        let (sources, multicast) = (Sources::default(), None);
        let thinning = Thinning::default();
        Ok(Self { socket: Readable::new(socket)?, local, fell_back, sources, thinning, multicast })
    }

    /// The address the socket is bound to.
    pub(crate) const fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whether the default port was taken, and this is another one.
    pub(crate) const fn fell_back(&self) -> bool {
        self.fell_back
    }

    /// Speaks and listens to the local networks' groups from now on. Not on loopback.
    pub(crate) fn use_multicast(&mut self) {
        if self.local.ip().is_loopback() {
            return;
        }
        match Multicast::prepare(self.socket.get(), self.local) {
            Ok(()) => self.multicast = Some(Multicast::default()),
            Err(error) => tracing::warn!(%error, "no multicast: no neighbours are found on the local network"),
        }
    }

    /// The machine's interfaces are now these.
    pub(crate) fn follow(&mut self, surroundings: &Surroundings) {
        let ours = |ip: IpAddr| ip.is_loopback() || surroundings.addresses().any(|own| own == ip);
        self.sources.retain(|own| ours(own.to_canonical()));
        if let Some(multicast) = &mut self.multicast {
            multicast.follow(self.socket.get(), self.local, &surroundings.interfaces);
        }
    }

    /// Waits until a datagram is there; then [`Self::receive`] must be called until it says `None`.
    pub(crate) async fn readable(&self) -> std::io::Result<()> {
        self.socket.ready().await
    }

    /// Takes one datagram out of the kernel. `None` when there is none.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Option<Arrived> {
        loop {
            match self.socket.try_read(|socket| receive(socket.as_raw_fd(), buffer)) {
                Ok((length, from, to)) => {
                    let to_group = to == Destination::Group;
                    if let Destination::Own(to) = to {
                        self.sources.note(from, to);
                    }
                    let misdirected = to_group != is_for_groups(buffer.get(..length));
                    return Some(Arrived { length, from, misdirected });
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                // A peer's ICMP error shows up here once; the next read goes on.
                Err(error) => tracing::debug!(%error, "receive"),
            }
        }
    }

    /// To be told after every reading whether the kernel's queue was empty then: if it never is, strangers are heard less.
    pub(crate) fn observe(&mut self, empty: bool, now: Instant) {
        if let Some(level) = self.thinning.observe(empty, now) {
            thinning::apply(self.socket.get(), level);
        }
    }

    /// Listens to strangers again if it is time.
    pub(crate) fn ease(&mut self, now: Instant) {
        if let Some(level) = self.thinning.ease(now) {
            thinning::apply(self.socket.get(), level);
        }
    }

    /// When [`ease`](Self::ease) has something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.thinning.due()
    }

    /// Sends one datagram; to a group, by every interface that leads to it. Errors are the network's business: they
    /// are logged and count as loss.
    pub(crate) fn send(&mut self, to: SocketAddr, datagram: &[u8]) {
        if to.ip().is_multicast() {
            return self.send_to_group(to, datagram);
        }
        let mut outcome = self.try_send(to, self.sources.get(to), datagram);
        // The address it should leave from is none of ours any more, or never was one, as with a broadcast.
        let impossible = matches!(outcome, Err(Errno::EINVAL | Errno::EADDRNOTAVAIL | Errno::ENETUNREACH));
        if impossible && self.sources.forget(to) {
            outcome = self.try_send(to, None, datagram);
        }
        if let Err(error) = outcome {
            tracing::debug!(%to, %error, "send");
        }
    }

    fn send_to_group(&self, to: SocketAddr, datagram: &[u8]) {
        for way in self.multicast.iter().flat_map(|multicast| multicast.ways(to.ip())) {
            if let Err(error) = self.try_send_by(to, way, datagram) {
                tracing::debug!(%to, index = way.index, %error, "send to the group");
            }
        }
    }

    fn try_send(&self, to: SocketAddr, source: Option<IpAddr>, datagram: &[u8]) -> nix::Result<()> {
        match source {
            Some(IpAddr::V4(source)) if self.local.is_ipv4() => {
                self.send_message(to, datagram, &[ControlMessage::Ipv4PacketInfo(&packet_info_v4(source, 0))])
            }
            Some(source) if self.local.is_ipv6() => {
                self.send_message(to, datagram, &[ControlMessage::Ipv6PacketInfo(&packet_info_v6(source, 0))])
            }
            _ => self.send_message(to, datagram, &[]),
        }
    }

    /// Sends to a group by one interface.
    fn try_send_by(&self, to: SocketAddr, way: Way, datagram: &[u8]) -> nix::Result<()> {
        match (to, way.v4) {
            (SocketAddr::V6(to), _) => {
                let to = SocketAddrV6::new(*to.ip(), to.port(), 0, way.index);
                self.send_message(to.into(), datagram, &[])
            }
            (to, Some(source)) if self.local.is_ipv4() => {
                let info = packet_info_v4(source, i32::try_from(way.index).unwrap_or(0));
                self.send_message(to, datagram, &[ControlMessage::Ipv4PacketInfo(&info)])
            }
            (to, Some(source)) => {
                let info = packet_info_v6(source.into(), way.index);
                self.send_message(to, datagram, &[ControlMessage::Ipv6PacketInfo(&info)])
            }
            (_, None) => Err(Errno::ENETUNREACH),
        }
    }

    fn send_message(&self, to: SocketAddr, datagram: &[u8], control: &[ControlMessage<'_>]) -> nix::Result<()> {
        let (fd, data) = (self.socket.get().as_raw_fd(), [IoSlice::new(datagram)]);
        sendmsg(fd, &data, control, MsgFlags::MSG_DONTWAIT, Some(&self.kernel_address(to))).map(drop)
    }

    /// `to` in the form this socket's family wants.
    fn kernel_address(&self, to: SocketAddr) -> SockaddrStorage {
        match (to, self.local.is_ipv6()) {
            (SocketAddr::V4(v4), true) => SocketAddr::from((v4.ip().to_ipv6_mapped(), v4.port())).into(),
            (to, _) => to.into(),
        }
    }
}

/// Whether this is a datagram that is sent to groups, and to nothing else. Anything else that comes to a group would
/// have everybody on the network answer at once.
fn is_for_groups(datagram: Option<&[u8]>) -> bool {
    datagram.and_then(<[u8]>::first) == Some(&kind::LAN_HELLO)
}

/// What a datagram was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Destination {
    /// An address of ours, in the family of the socket.
    Own(IpAddr),
    /// A group or a broadcast: nothing can be sent from there.
    Group,
    /// The one address the socket is bound to.
    Bound,
}

fn receive(fd: RawFd, buffer: &mut [u8]) -> std::io::Result<(usize, SocketAddr, Destination)> {
    let mut control = nix::cmsg_space!(libc::in6_pktinfo, libc::in_pktinfo);
    let mut data = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(fd, &mut data, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
    let from = message.address.as_ref().and_then(socket_address).ok_or(ErrorKind::InvalidData)?;
    let told = message.cmsgs()?.filter_map(|control| destination(&control));
    let to =
        told.reduce(|one, other| if one == Destination::Group || other != Destination::Group { one } else { other });
    let to = to.unwrap_or(Destination::Bound);
    Ok((message.bytes, from, to))
}

fn destination(control: &ControlMessageOwned) -> Option<Destination> {
    let v4 = |address: libc::in_addr| Ipv4Addr::from(address.s_addr.to_ne_bytes());
    let (sent_to, own) = match control {
        ControlMessageOwned::Ipv4PacketInfo(info) => (v4(info.ipi_addr).into(), v4(info.ipi_spec_dst).into()),
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            let ip = IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr));
            (ip, ip)
        }
        _ => return None,
    };
    // A broadcast is received by us, but was sent to somebody else: to everybody.
    let is_broadcast = matches!(control, ControlMessageOwned::Ipv4PacketInfo(_)) && sent_to != own;
    let is_group = sent_to.to_canonical().is_multicast() || is_broadcast;
    Some(if is_group { Destination::Group } else { Destination::Own(own) })
}

/// The address as everybody above knows it: IPv4 never in its IPv6 form, and the interface only where it belongs to the
/// address.
fn socket_address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    debug_assert!(storage.family().is_some());
    if let Some(v4) = storage.as_sockaddr_in().map(|v4: &SockaddrIn| SocketAddr::from((v4.ip(), v4.port()))) {
        return Some(v4);
    }
    let v6: SocketAddrV6 = storage.as_sockaddr_in6().map(|v6: &SockaddrIn6| (*v6).into())?;
    let address = match v6.ip().to_ipv4_mapped() {
        Some(v4) => SocketAddr::from((v4, v6.port())),
        None => SocketAddrV6::new(*v6.ip(), v6.port(), 0, v6.scope_id()).into(),
    };
    Some(address)
}

fn packet_info_v4(source: Ipv4Addr, interface: i32) -> libc::in_pktinfo {
    let source = libc::in_addr { s_addr: u32::from_ne_bytes(source.octets()) };
    libc::in_pktinfo { ipi_ifindex: interface, ipi_spec_dst: source, ipi_addr: libc::in_addr { s_addr: 0 } }
}

fn packet_info_v6(source: IpAddr, interface: u32) -> libc::in6_pktinfo {
    let source = match source {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: source.octets() }, ipi6_ifindex: interface }
}
