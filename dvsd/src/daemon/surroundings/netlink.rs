// SPDX-License-Identifier: GPL-3.0-or-later
//! Hearing from the kernel that interfaces, addresses or routes change.

use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket};

use crate::readable::Readable;

/// What is listened to: links, and addresses and routes of both families.
const GROUPS: i32 = libc::RTMGRP_LINK
    | libc::RTMGRP_IPV4_IFADDR
    | libc::RTMGRP_IPV6_IFADDR
    | libc::RTMGRP_IPV4_ROUTE
    | libc::RTMGRP_IPV6_ROUTE;
/// More than any one datagram of these groups has.
const BUFFER: usize = 32 * 1024;
/// Datagrams taken at one go. What is left belongs to the next change.
const MAX_BATCH: usize = 4_096;
/// Length of a message's header: length 4, type 2, flags 2, sequence number 4, port 4.
const HEADER: usize = 16;

/// The subscription.
#[derive(Debug)]
pub(super) struct Netlink(Readable<OwnedFd>);

impl Netlink {
    /// Subscribes.
    pub(super) fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUPS.unsigned_abs()))?;
        Readable::new(socket).map(Self)
    }

    /// Waits until something changes.
    pub(super) async fn ready(&self) -> io::Result<()> {
        self.0.ready().await
    }

    /// Takes everything that was said. True if something went away that may be back already: an address, an
    /// interface, or the cable of an interface of which `runs` is true.
    pub(super) fn drain(&self, runs: impl Fn(u32) -> bool) -> bool {
        let mut buffer = vec![0; BUFFER];
        let mut lost = false;
        for _ in 0..MAX_BATCH {
            let read = |socket: &OwnedFd| Ok(recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT)?);
            match self.0.try_read(read) {
                Ok(length) => lost |= says_lost(buffer.get(..length).unwrap_or_default(), &runs),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // There was more than the socket could hold: anything may have happened.
                Err(_) => lost = true,
            }
        }
        lost
    }
}

/// Whether one of the messages in `datagram` is about something that went away.
fn says_lost(mut datagram: &[u8], runs: &impl Fn(u32) -> bool) -> bool {
    let mut lost = false;
    while let Some((length, kind)) = header(datagram) {
        let body = datagram.get(HEADER..length).unwrap_or_default();
        lost |= match kind {
            libc::RTM_DELADDR | libc::RTM_DELLINK => true,
            libc::RTM_NEWLINK => link(body).is_some_and(|(index, running)| !running && runs(index)),
            _ => false,
        };
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    lost
}

/// Length and type of the first message.
fn header(datagram: &[u8]) -> Option<(usize, u16)> {
    let length = usize::try_from(number(datagram, 0)?).ok()?;
    let kind = u16::from_ne_bytes(*datagram.get(4..)?.first_chunk()?);
    (HEADER..=datagram.len()).contains(&length).then_some((length, kind))
}

/// Index of the interface, and whether it has a cable in it: family 1, padding 1, type 2, index 4, flags 4.
fn link(body: &[u8]) -> Option<(u32, bool)> {
    let running = number(body, 8)? & libc::IFF_RUNNING.unsigned_abs() != 0;
    Some((number(body, 4)?, running))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEADER + body.len()).unwrap();
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn link_message(index: u32, flags: i32) -> Vec<u8> {
        let mut body = vec![0; 4];
        body.extend(index.to_ne_bytes());
        body.extend(flags.to_ne_bytes());
        message(libc::RTM_NEWLINK, &body)
    }

    fn lost(datagram: &[u8]) -> bool {
        says_lost(datagram, &|index| index == 2)
    }

    #[test]
    fn what_goes_away_is_noticed_wherever_it_stands() {
        assert!(lost(&message(libc::RTM_DELADDR, &[0; 8])));
        assert!(lost(&[message(libc::RTM_NEWADDR, &[0; 9]), message(libc::RTM_DELLINK, &[0; 16])].concat()));
        assert!(!lost(&[message(libc::RTM_NEWADDR, &[0; 9]), message(libc::RTM_NEWROUTE, &[])].concat()));
    }

    #[test]
    fn a_cable_pulled_counts_only_where_there_was_one() {
        assert!(lost(&link_message(2, libc::IFF_UP)));
        assert!(!lost(&link_message(2, libc::IFF_UP | libc::IFF_RUNNING)));
        assert!(!lost(&link_message(3, libc::IFF_UP)));
    }

    #[test]
    fn nonsense_is_no_loss_and_ends() {
        let whole = message(libc::RTM_DELADDR, &[0; 8]);
        for length in 0..whole.len() {
            assert!(!lost(&whole[..length]), "{length}");
        }
        assert!(!lost(&[0; 64]), "a length of zero must not be followed for ever");
        assert!(!lost(&message(libc::RTM_NEWLINK, &[0; 11])));
    }
}
