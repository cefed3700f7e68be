// SPDX-License-Identifier: GPL-3.0-or-later
//! Dialling: HS_INIT along every path until somebody answers.
//!
//! Timers: each path sends at 0, R, 2R, … with R = max(250 ms, twice its round-trip time); paths begin 250 ms
//! apart; all ends 8 s after the first HS_INIT. The responder has no timer: only one side repeats.

use core::time::Duration;
use std::collections::VecDeque;

use crate::handshake::{ExpectResponse, Mode};
use crate::id::NodeId;
use crate::path::{Path, Transmit};
use crate::random::Random;
use crate::time::Instant;
use crate::wire::handshake::{Cookie, SID_LEN, VERSION_MAX, VERSION_MIN, Versions};

/// The whole handshake takes no longer.
pub(super) const GIVE_UP: Duration = Duration::from_secs(8);
/// The shortest time between two HS_INITs along a path, and between the beginnings of two paths.
const INTERVAL: Duration = Duration::from_millis(250);
/// Paths tried at most.
const MAX_PATHS: usize = 8;
/// Cookies accepted per path.
const MAX_COOKIES: u8 = 2;

/// One attempt to reach a peer.
pub(super) struct Dial {
    /// The first HS_INIT.
    pub(super) started: Instant,
    pub(super) tries: Vec<Try>,
    /// The peer said it speaks no version of ours.
    pub(super) other_version: bool,
}

/// The attempt along one path, with an exchange key of its own.
pub(super) struct Try {
    pub(super) path: Path,
    /// `None` before its time has come.
    pub(super) state: Option<Box<ExpectResponse>>,
    pub(super) interval: Duration,
    next: Instant,
    /// HS_INITs sent since the last change of it.
    sent: u32,
    last: Instant,
    cookies: u8,
}

impl Dial {
    /// Begins to dial along `paths`, each with its round-trip time if known.
    pub(super) fn new(paths: &[(Path, Option<Duration>)], now: Instant) -> Self {
        let begin = |(index, (path, rtt)): (usize, &(Path, Option<Duration>))| Try {
            path: *path,
            state: None,
            interval: rtt.map_or(INTERVAL, |rtt| INTERVAL.max(rtt * 2)),
            next: now + INTERVAL * u32::try_from(index).unwrap_or(0),
            sent: 0,
            last: now,
            cookies: 0,
        };
        let tries = paths.iter().take(MAX_PATHS).enumerate().map(begin).collect();
        Self { started: now, tries, other_version: false }
    }

    /// When all of it ends.
    pub(super) fn until(&self) -> Instant {
        self.started + GIVE_UP
    }

    /// Sends what is due.
    pub(super) fn handle_timeout(
        &mut self,
        peer: NodeId,
        now: Instant,
        random: &mut Random,
        out: &mut VecDeque<Transmit>,
    ) {
        for attempt in self.tries.iter_mut().filter(|attempt| attempt.next <= now) {
            if attempt.state.is_none() {
                attempt.state = ExpectResponse::start(peer, Mode::Full, random).ok().map(Box::new);
            }
            attempt.send(now, random, out);
        }
    }

    /// When something is due next.
    pub(super) fn next_due(&self) -> Instant {
        self.tries.iter().map(|attempt| attempt.next).chain([self.until()]).min().unwrap_or(self.started)
    }

    /// The attempt along `path` that goes by the name `sid`.
    pub(super) fn find(&mut self, path: &Path, sid: &[u8; SID_LEN]) -> Option<&mut Try> {
        let is_it = |attempt: &&mut Try| {
            attempt.path == *path && attempt.state.as_ref().is_some_and(|state| state.sid() == sid)
        };
        self.tries.iter_mut().find(is_it)
    }

    /// The peer's range of versions: remembered if it makes this attempt hopeless, which goes on even so.
    pub(super) const fn note_versions(&mut self, versions: &Versions) {
        self.other_version = versions.min > VERSION_MAX || versions.max < VERSION_MIN;
    }
}

impl Try {
    fn send(&mut self, now: Instant, random: &mut Random, out: &mut VecDeque<Transmit>) {
        self.next = now + random.jittered(self.interval);
        let Some(state) = &self.state else { return };
        self.sent += 1;
        self.last = now;
        out.push_back(Transmit { path: self.path, datagram: state.datagram().to_vec() });
    }

    /// Shows the cookie asked for, at once.
    pub(super) fn show(
        &mut self,
        cookie: &Cookie,
        now: Instant,
        random: &mut Random,
        out: &mut VecDeque<Transmit>,
    ) -> bool {
        let Some(state) = self.state.as_mut().filter(|_| self.cookies < MAX_COOKIES) else { return false };
        self.cookies += 1;
        state.show_cookie(&cookie.cookie);
        self.sent = 0;
        self.send(now, random, out);
        true
    }

    /// The round-trip time, if the answer that came now can only be to one HS_INIT.
    pub(super) fn rtt(&self, now: Instant) -> Option<Duration> {
        (self.sent == 1).then(|| now.since(self.last))
    }
}
