// SPDX-License-Identifier: GPL-3.0-or-later
//! When datagrams come faster than they can be dealt with, the kernel drops whatever comes while its queue is full, and
//! calls suffer as much as a flood. So it is told to drop a part of what strangers begin with, HS_INIT and everything of the
//! overlay, by chance and before the queue: what follows in handshakes, and packets of sessions, all come through.
//!
//! | timer | after |
//! |---|---|
//! | half of it is dropped | [`BEHIND`] without the queue being empty once |
//! | half of what still comes through is dropped, too | [`AGAIN`] without that |
//! | twice as much comes through | [`EASE`] in which that was not so |

use std::time::Duration;

use dvsd::time::Instant;
use dvsd::wire::kind;
use socket2::{SockFilter, Socket};

/// How long the queue may not be empty: a tenth of the time in which a flood fills it.
const BEHIND: Duration = Duration::from_millis(20);
/// The same once a part is dropped already, which shows when what was in the queue before has been read.
const AGAIN: Duration = Duration::from_millis(200);
/// How long it must be empty now and then before more is let in.
const EASE: Duration = Duration::from_millis(200);
/// At the least, one of 2^4 datagrams of strangers comes through.
const STRICTEST: u8 = 4;

/// How much of what strangers begin with is dropped.
#[derive(Debug, Default)]
pub(super) struct Thinning {
    /// One of two to the power of this comes through.
    level: u8,
    /// Since when the queue has not been empty.
    behind: Option<Instant>,
    /// When the level changed last, or it was last too low.
    since: Instant,
}

impl Thinning {
    /// The queue was read, and was empty or not. Returns the new level if it changes.
    pub(super) fn observe(&mut self, empty: bool, now: Instant) -> Option<u8> {
        if empty {
            self.behind = None;
            return self.ease(now);
        }
        let behind = *self.behind.get_or_insert(now);
        if now.since(behind) < if self.level == 0 { BEHIND } else { AGAIN } {
            return None;
        }
        self.behind = Some(now);
        self.since = now;
        if self.level == STRICTEST {
            return None;
        }
        self.level += 1;
        Some(self.level)
    }

    /// Lets more in if it is time. Returns the new level if it changes.
    pub(super) fn ease(&mut self, now: Instant) -> Option<u8> {
        if self.behind.is_some() || self.due().is_none_or(|due| due > now) {
            return None;
        }
        self.since = now;
        self.level -= 1;
        Some(self.level)
    }

    /// When [`ease`](Self::ease) has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        (self.level > 0).then(|| self.since + EASE)
    }
}

/// Has the kernel drop all but one of two to the power of `level` datagrams that begin something.
pub(super) fn apply(socket: &Socket, level: u8) {
    tracing::debug!(level, "datagrams of strangers are dropped");
    let outcome = if level == 0 { socket.detach_filter() } else { socket.attach_filter(&program(level)) };
    if let Err(error) = outcome {
        tracing::debug!(%error, "datagrams of strangers cannot be dropped");
    }
}

/// For the kernel's packet filter, which sees the UDP header, and behind it the first byte that says what it is.
fn program(level: u8) -> [SockFilter; 6] {
    const UDP_HEADER: u32 = 8;
    const RANDOM: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_RANDOM).cast_unsigned();
    let load = |size: u32, at| SockFilter::new((libc::BPF_LD | size | libc::BPF_ABS) as u16, 0, 0, at);
    let jump = |test: u32, k, yes, no| SockFilter::new((libc::BPF_JMP | test | libc::BPF_K) as u16, yes, no, k);
    let end = |length| SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, length);
    let mask = (1 << level) - 1;
    [
        load(libc::BPF_B, UDP_HEADER),
        jump(libc::BPF_JGE, kind::HS_RESP.into(), 2, 0),
        load(libc::BPF_W, RANDOM),
        jump(libc::BPF_JSET, mask, 1, 0),
        end(u32::MAX),
        end(0),
    ]
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, UdpSocket};

    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn more_is_dropped_while_the_queue_does_not_become_empty_and_less_when_it_does() {
        let mut thinning = Thinning::default();
        let up: Vec<(u64, u8)> =
            (0..1_000).filter_map(|now| thinning.observe(false, at(now)).map(|level| (now, level))).collect();
        assert_eq!(up, [(20, 1), (220, 2), (420, 3), (620, 4)]);
        let down: Vec<(u64, u8)> =
            (1_000..2_500).filter_map(|now| thinning.observe(true, at(now)).map(|level| (now, level))).collect();
        assert_eq!(down.iter().map(|(_, level)| *level).collect::<Vec<_>>(), [3, 2, 1, 0]);
        assert!(down[3].0 <= 2_000, "{down:?}");
        assert_eq!(thinning.due(), None);
    }

    #[test]
    fn a_queue_that_is_empty_now_and_then_is_no_reason_to_drop_anything() {
        let mut thinning = Thinning::default();
        assert!((0..10_000).all(|now| thinning.observe(now % 19 == 0, at(now)).is_none()));
    }

    #[test]
    fn without_further_datagrams_everybody_is_let_in_again_in_time() {
        let mut thinning = Thinning::default();
        assert_eq!([0, 20].map(|now| thinning.observe(false, at(now))), [None, Some(1)]);
        assert_eq!(thinning.observe(true, at(21)), None);
        let due = thinning.due().unwrap();
        assert_eq!(thinning.ease(due), Some(0));
    }

    /// How many of 1000 datagrams of that kind get through.
    fn passing(socket: &Socket, to: SocketAddr, kind: u8) -> usize {
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let send = |_: &i32| {
            sender.send_to(&[kind; 40], to).unwrap();
            socket.recv(&mut [core::mem::MaybeUninit::uninit(); 64]).is_ok()
        };
        (0..1_000).filter(send).count()
    }

    #[test]
    fn f04_packets_of_sessions_come_through_and_few_of_strangers() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_nonblocking(true).unwrap();
        let to = server.local_addr().unwrap();
        let socket = Socket::from(server);
        for (level, strangers) in [(0, 1_000..=1_000), (1, 400..=600), (4, 10..=150), (0, 1_000..=1_000)] {
            apply(&socket, level);
            for kind in [kind::HS_RESP, kind::HS_AUTH, kind::HS_COOKIE, 0x80, 0xc1, 0xff] {
                assert_eq!(passing(&socket, to, kind), 1_000, "level {level}, kind {kind:#x}");
            }
            for kind in [kind::HS_INIT, 0x10, 0x1f] {
                let passing = passing(&socket, to, kind);
                assert!(strangers.contains(&passing), "level {level}, kind {kind:#x}: {passing}");
            }
        }
    }
}
