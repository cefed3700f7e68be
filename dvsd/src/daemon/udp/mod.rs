// SPDX-License-Identifier: GPL-3.0-or-later
//! The one UDP socket. Answers leave from the local address their question came to.

use std::collections::HashMap;
use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};

use anyhow::Context;
use dvsd::path::unmapped;
use dvsd::wire::DEFAULT_PORT;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrLike, SockaddrStorage, recvmsg,
    sendmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::readable::Readable;

/// How many peers' local addresses are remembered; beyond it all are forgotten and learnt anew.
const MAX_SOURCES: usize = 1024;
/// Receive buffer asked of the kernel, in bytes: a flood must fill it before media is lost.
const RECEIVE_BUFFER: usize = 4 << 20;

/// The socket, and which local address each peer speaks to.
#[derive(Debug)]
pub(crate) struct Udp {
    socket: Readable<Socket>,
    local: SocketAddr,
    sources: HashMap<SocketAddr, IpAddr>,
}

impl Udp {
    /// Binds to `listen`, or to the default port of every address.
    ///
    /// The address is never shared: no `SO_REUSEADDR`, which would let any local process take the datagrams.
    pub(crate) fn bind(listen: Option<SocketAddr>) -> anyhow::Result<Self> {
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, DEFAULT_PORT));
        let socket = match (bind(listen.unwrap_or(any)), listen) {
            (Err(error), None) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
                bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, DEFAULT_PORT)))
            }
            (outcome, _) => outcome,
        };
        let socket = socket.map_err(|error| explain(error, listen.unwrap_or(any)))?;
        let local = socket.local_addr()?.as_socket().context("the socket has no address")?;
        Ok(Self { socket: Readable::new(socket)?, local, sources: HashMap::new() })
    }

    /// The address the socket is bound to.
    pub(crate) const fn local(&self) -> SocketAddr {
        self.local
    }

    /// Waits until a datagram is there; then [`Self::receive`] must be called until it says `None`.
    pub(crate) async fn readable(&self) -> std::io::Result<()> {
        self.socket.ready().await
    }

    /// Takes one datagram out of the kernel: how long it is and where from. `None` when there is none.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        loop {
            match self.socket.try_read(|socket| receive(socket.as_raw_fd(), buffer)) {
                Ok((length, from, to)) => {
                    self.remember(from, to);
                    return Some((length, from));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                // A peer's ICMP error shows up here once; the next read goes on.
                Err(error) => tracing::debug!(%error, "receive"),
            }
        }
    }

    /// Sends one datagram. Errors are the network's business: they are logged and count as loss.
    pub(crate) fn send(&self, to: SocketAddr, datagram: &[u8]) {
        if let Err(error) = self.try_send(to, datagram) {
            tracing::debug!(%to, %error, "send");
        }
    }

    fn try_send(&self, to: SocketAddr, datagram: &[u8]) -> nix::Result<()> {
        let address = self.kernel_address(to);
        let data = [IoSlice::new(datagram)];
        let fd = self.socket.get().as_raw_fd();
        let flags = MsgFlags::MSG_DONTWAIT;
        match self.sources.get(&to).copied() {
            Some(IpAddr::V4(source)) if self.local.is_ipv4() => {
                let info = packet_info_v4(source);
                sendmsg(fd, &data, &[ControlMessage::Ipv4PacketInfo(&info)], flags, Some(&address))
            }
            Some(source) if self.local.is_ipv6() => {
                let info = packet_info_v6(source);
                sendmsg(fd, &data, &[ControlMessage::Ipv6PacketInfo(&info)], flags, Some(&address))
            }
            _ => sendmsg(fd, &data, &[], flags, Some(&address)),
        }
        .map(drop)
    }

    /// `to` in the form this socket's family wants.
    fn kernel_address(&self, to: SocketAddr) -> SockaddrStorage {
        match (to, self.local.is_ipv6()) {
            (SocketAddr::V4(v4), true) => SocketAddr::from((v4.ip().to_ipv6_mapped(), v4.port())).into(),
            (to, _) => to.into(),
        }
    }

    fn remember(&mut self, peer: SocketAddr, to: Option<IpAddr>) {
        let Some(to) = to.filter(|to| self.sources.get(&peer) != Some(to)) else { return };
        if self.sources.len() >= MAX_SOURCES {
            self.sources.clear();
        }
        self.sources.insert(peer, to);
    }
}

fn bind(address: SocketAddr) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    if address.ip().is_unspecified() {
        ask_for_destination(&socket, address)?;
    }
    // A smaller buffer than asked for is no reason not to run.
    let _smaller = setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)
        .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER));
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Has the kernel say with each datagram which of our addresses it was sent to.
fn ask_for_destination(socket: &Socket, address: SocketAddr) -> std::io::Result<()> {
    if address.is_ipv6() {
        setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    } else {
        setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
    }
    Ok(())
}

type Received = (usize, SocketAddr, Option<IpAddr>);

fn receive(fd: RawFd, buffer: &mut [u8]) -> std::io::Result<Received> {
    let mut control = nix::cmsg_space!(libc::in6_pktinfo);
    let mut data = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(fd, &mut data, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
    let from = message.address.as_ref().and_then(socket_address).ok_or(ErrorKind::InvalidData)?;
    let to = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(IpAddr::V4(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes())))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr))),
        _ => None,
    });
    Ok((message.bytes, from, to))
}

fn socket_address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|v4: &SockaddrIn| SocketAddr::from((v4.ip(), v4.port())));
    let v6 = storage.as_sockaddr_in6().map(|v6: &SockaddrIn6| SocketAddr::V6((*v6).into()));
    debug_assert!(storage.family().is_some());
    v4.or(v6).map(unmapped)
}

fn packet_info_v4(source: Ipv4Addr) -> libc::in_pktinfo {
    let source = libc::in_addr { s_addr: u32::from_ne_bytes(source.octets()) };
    libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: source, ipi_addr: libc::in_addr { s_addr: 0 } }
}

fn packet_info_v6(source: IpAddr) -> libc::in6_pktinfo {
    let source = match source {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: source.octets() }, ipi6_ifindex: 0 }
}

fn explain(error: std::io::Error, address: SocketAddr) -> anyhow::Error {
    let port = address.port();
    match error.kind() {
        ErrorKind::AddrInUse => anyhow::anyhow!(
            "UDP port {port} is in use by another program; stop it (ss -lunp 'sport = :{port}' names it) or set [network] listen to another port"
        ),
        ErrorKind::PermissionDenied => {
            anyhow::anyhow!("no permission to use UDP port {port}; set [network] listen to a port of 1024 or above")
        }
        ErrorKind::AddrNotAvailable => {
            anyhow::anyhow!("{} is not an address of this machine; correct [network] listen", address.ip())
        }
        _ => anyhow::Error::new(error).context(format!("cannot listen on UDP {address}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any_port(ip: &str) -> Option<SocketAddr> {
        Some(SocketAddr::new(ip.parse().unwrap(), 0))
    }

    async fn receive_one(udp: &mut Udp) -> (Vec<u8>, SocketAddr) {
        let mut buffer = [0; 64];
        loop {
            udp.readable().await.unwrap();
            if let Some((length, from)) = udp.receive(&mut buffer) {
                return (buffer[..length].to_vec(), from);
            }
        }
    }

    /// Sends to `to` on a wildcard socket and checks that the answer comes from exactly there.
    async fn answers_from(listen: &str, to: &str) {
        let mut server = Udp::bind(any_port(listen)).unwrap();
        let to = SocketAddr::new(to.parse().unwrap(), server.local().port());
        let client = tokio::net::UdpSocket::bind(if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }).await.unwrap();
        client.send_to(b"question", to).await.unwrap();
        let (question, from) = receive_one(&mut server).await;
        assert_eq!(question, b"question");
        assert_eq!(from, client.local_addr().unwrap());
        server.send(from, b"answer");
        let mut buffer = [0; 64];
        let (length, answered_from) = client.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"answer");
        assert_eq!(answered_from, to);
    }

    #[tokio::test]
    async fn answers_leave_from_the_address_that_was_asked() {
        answers_from("::", "127.0.0.1").await;
        answers_from("::", "127.0.0.77").await;
        answers_from("::", "::1").await;
        answers_from("0.0.0.0", "127.0.0.77").await;
    }

    #[tokio::test]
    async fn f24_a_port_in_use_is_refused_and_says_what_to_do() {
        let first = Udp::bind(any_port("127.0.0.1")).unwrap();
        let message = format!("{:#}", Udp::bind(Some(first.local())).unwrap_err());
        assert!(message.contains("in use") && message.contains("[network] listen"), "{message}");
    }

    #[tokio::test]
    async fn f05_sending_to_an_impossible_address_is_only_loss() {
        let udp = Udp::bind(any_port("127.0.0.1")).unwrap();
        udp.send("127.0.0.1:0".parse().unwrap(), b"x");
        udp.send("255.255.255.255:9".parse().unwrap(), b"x");
    }
}
