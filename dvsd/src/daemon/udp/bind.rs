// SPDX-License-Identifier: GPL-3.0-or-later
//! Opening the socket, or saying why not.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

/// Receive buffer asked of the kernel, in bytes: a flood must fill it before media is lost.
const RECEIVE_BUFFER: usize = 4 << 20;

/// What is to happen when nobody said which address to listen on, and the usual port is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PortTaken {
    /// Another port will do.
    TakeAnother,
    /// Others expect us at that port.
    GiveUp,
}

/// Opens the socket on `listen`, or on `port` of every address. True with it if it became another port.
pub(super) fn open(listen: Option<SocketAddr>, port: u16, taken: PortTaken) -> anyhow::Result<(Socket, bool)> {
    let wanted = listen.unwrap_or_else(|| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    let outcome = match listen {
        Some(listen) => bind(listen),
        None => bind_any(port),
    };
    match outcome {
        Ok(socket) => Ok((socket, false)),
        Err(error) if error.kind() == ErrorKind::AddrInUse && listen.is_none() && taken == PortTaken::TakeAnother => {
            let socket = bind_any(0).map_err(|error| explain(error, wanted))?;
            Ok((socket, true))
        }
        Err(error) => Err(explain(error, wanted)),
    }
}

/// Binds to `port` of every address of both families, or of IPv4 where there is no IPv6.
fn bind_any(port: u16) -> std::io::Result<Socket> {
    match bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))) {
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
        }
        outcome => outcome,
    }
}

/// Binds to `address`, which is never shared: no `SO_REUSEADDR`, which would let any local process take the
/// datagrams.
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
    }
    // Of an IPv4 datagram only this tells a broadcast apart.
    setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
    Ok(())
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
