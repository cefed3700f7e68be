// SPDX-License-Identifier: GPL-3.0-or-later
//! A session whose peer moves: what comes from where, and what goes where.

use std::collections::VecDeque;

use super::{Arrived, Phase, Session};
use crate::crypto::seal::Stream;
use crate::path::{Path, Transmit};
use crate::random::Random;
use crate::session::Drop;
use crate::session::paths::Nonce;
use crate::session::rtt::Rtt;
use crate::time::Instant;
use crate::wire::control::Frame;
use crate::wire::session::{CONTROL_PREFIX, FRAME_PREFIX};

impl Session {
    /// Takes note of where a packet came from. True if packets go elsewhere from now on.
    pub(in crate::session) fn note_path(
        &mut self,
        arrived: &Arrived,
        now: Instant,
        random: &mut Random,
        out: &mut VecDeque<Transmit>,
    ) -> bool {
        let &Arrived { path, header, length, dropped } = arrived;
        match dropped {
            None if self.phase == Phase::Open => {
                let newest = self.is_contender() && self.tunnel.is_newest(&header);
                self.paths.heard(path, length, newest, now, random);
            }
            Some(Drop::Replayed) => {
                if let Some(data) = self.paths.echoed(path, now) {
                    self.send_challenge(path, data, out);
                }
            }
            _ => {}
        }
        self.notice_change(now)
    }

    /// True if packets go elsewhere since it was asked last. What was known of the old way does not hold for the new one.
    pub(super) fn notice_change(&mut self, now: Instant) -> bool {
        let changed = self.paths.take_change();
        if changed {
            self.control.rtt = Rtt::default();
            self.measured = false;
            self.liveness.beat_soon(now);
        }
        changed
    }

    /// Finds out quickly whether the peer is still there, and hears us where it is.
    pub(in crate::session) fn doubt(&mut self, now: Instant, jitter: &mut Random) {
        self.liveness.doubt(now);
        self.beat(now, jitter);
    }

    /// Challenges `paths`, where the peer may be, and the address it had before.
    pub(in crate::session) fn challenge(&mut self, paths: &[Path], now: Instant, random: &mut Random) {
        self.paths.challenge(paths, now, random);
        self.paths.challenge(self.paths.former().as_slice(), now, random);
    }

    /// The answer goes where the challenge came from. That may be somebody who forwards packets and keeps the answer, so
    /// it goes where the peer is known to be as well.
    pub(super) fn answer_challenge(&mut self, path: Path, frame: &Frame, out: &mut VecDeque<Transmit>) {
        let home = self.paths.home();
        if self.paths.may_answer(&path, self.challenge_len()) {
            self.seal_to(path, out, |control, datagram| control.write_only(frame, datagram));
        }
        if path != home {
            self.seal_to(home, out, |control, datagram| control.write_only(frame, datagram));
        }
    }

    pub(super) fn send_challenge(&mut self, path: Path, data: Nonce, out: &mut VecDeque<Transmit>) {
        self.seal_to(path, out, |control, datagram| control.write_only(&Frame::PathChallenge { data }, datagram));
    }

    /// The length of a packet with nothing but a challenge, or its answer.
    pub(super) const fn challenge_len(&self) -> usize {
        self.tunnel.headroom(Stream::Control) + CONTROL_PREFIX + FRAME_PREFIX + size_of::<Nonce>()
    }

    /// Sends a packet to where the peer is, or to both places where it may be.
    pub(super) fn dispatch(&mut self, datagram: Vec<u8>, out: &mut VecDeque<Transmit>) {
        let reserve = self.challenge_len();
        if let Some(path) = self.paths.also(datagram.len(), reserve) {
            out.push_back(Transmit { path, datagram: datagram.clone() });
        }
        out.push_back(Transmit { path: self.paths.home(), datagram });
    }
}
