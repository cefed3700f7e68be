// SPDX-License-Identifier: GPL-3.0-or-later
//! Dialling: HS_INIT along every path until somebody answers.
//!
//! Not every path leads to the peer: anybody may have named it. So paths may be added while others are under way, and
//! those that stay silent make room.
//!
//! A peer that speaks other versions says so in HS_VERSION, which anybody can forge. So the attempt under way goes on as it
//! is, and another one begins beside it, along the same path, with the highest version that both are said to speak.
//!
//! Timers: each path sends at 0, R, 2R, … with R = max(250 ms, twice its round-trip time); paths begin 250 ms
//! apart; each ends 8 s after its first HS_INIT. The responder has no timer: only one side repeats.

use core::time::Duration;
use std::collections::VecDeque;

use crate::handshake::{ExpectResponse, Mode};
use crate::id::NodeId;
use crate::path::{Path, Transmit};
use crate::random::Random;
use crate::time::Instant;
use crate::wire::handshake::{Cookie, SID_LEN, Versions};

/// The handshake along one path takes no longer.
pub(super) const GIVE_UP: Duration = Duration::from_secs(8);
/// The shortest time between two HS_INITs along a path, and between the beginnings of two paths.
const INTERVAL: Duration = Duration::from_millis(250);
/// Paths tried at a time.
const MAX_PATHS: usize = 8;
/// Paths of one attempt in all, those that wait or are given up included.
const MAX_PATHS_IN_ALL: usize = 64;
/// A path that left so many HS_INITs unanswered makes room for one that waits.
const SILENT: u32 = 3;
/// Cookies accepted per path.
const MAX_COOKIES: u8 = 2;

/// One attempt to reach a peer.
pub(super) struct Dial {
    /// The paths under way.
    tries: Vec<Try>,
    /// Those that wait for room, with their round-trip times if known.
    queue: VecDeque<(Path, Option<Duration>)>,
    /// All paths ever given.
    known: Vec<Path>,
    /// When the next path may begin.
    next_begin: Instant,
    /// The versions implemented here.
    spoken: Versions,
    /// An HS_VERSION was shown to be a lie.
    misled: bool,
    /// Somebody said that the peer speaks no version of ours, or it was shown that it speaks a higher one than we were
    /// told.
    pub(super) other_version: bool,
}

/// The attempt along one path, with an exchange key of its own.
pub(super) struct Try {
    path: Path,
    /// The highest version offered.
    pub(super) version: u8,
    /// `None` before its time has come.
    pub(super) state: Option<Box<ExpectResponse>>,
    pub(super) interval: Duration,
    /// When it is given up.
    pub(super) until: Instant,
    next: Instant,
    /// HS_INITs sent since the last change of it.
    sent: u32,
    last: Instant,
    cookies: u8,
}

impl Dial {
    /// Begins to dial along `paths`, each with its round-trip time if known.
    pub(super) fn new(paths: &[(Path, Option<Duration>)], spoken: Versions, now: Instant) -> Self {
        let (tries, queue, known) = (Vec::new(), VecDeque::new(), Vec::new());
        let mut dial = Self { tries, queue, known, next_begin: now, spoken, misled: false, other_version: false };
        dial.add(paths, now);
        dial
    }

    /// Dials along further paths; those known already go on as they are.
    pub(super) fn add(&mut self, paths: &[(Path, Option<Duration>)], now: Instant) {
        for (path, rtt) in paths {
            if !self.known.contains(path) && self.known.len() < MAX_PATHS_IN_ALL {
                self.known.push(*path);
                self.queue.push_back((*path, *rtt));
            }
        }
        self.tend(now);
    }

    /// Gives up the paths whose time is over, and begins those that wait as far as there is room.
    pub(super) fn tend(&mut self, now: Instant) {
        self.tries.retain(|attempt| attempt.until > now);
        while !self.queue.is_empty() && self.make_room() {
            let Some((path, rtt)) = self.queue.pop_front() else { break };
            let next = now.max(self.next_begin);
            self.next_begin = next + INTERVAL;
            self.tries.push(Try {
                path,
                version: self.spoken.max,
                state: None,
                interval: rtt.map_or(INTERVAL, |rtt| INTERVAL.max(rtt * 2)),
                until: next + GIVE_UP,
                next,
                sent: 0,
                last: now,
                cookies: 0,
            });
        }
    }

    fn make_room(&mut self) -> bool {
        if self.tries.len() < MAX_PATHS {
            return true;
        }
        let most = self.tries.iter().enumerate().max_by_key(|(index, attempt)| (attempt.sent, usize::MAX - index));
        let silent = most.filter(|(_, attempt)| attempt.sent >= SILENT).map(|(index, _)| index);
        silent.map(|index| self.tries.remove(index)).is_some()
    }

    /// Whether no path is left.
    pub(super) fn is_over(&self) -> bool {
        self.tries.is_empty() && self.queue.is_empty()
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
                let state = ExpectResponse::start_with(peer, Mode::Full, self.spoken, attempt.version, random);
                attempt.state = state.ok().map(Box::new);
            }
            attempt.send(now, random, out);
        }
    }

    /// When something is due next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.tries.iter().map(|attempt| attempt.next.min(attempt.until)).min()
    }

    /// The attempt along `path` that goes by the name `sid`.
    pub(super) fn find(&mut self, path: &Path, sid: &[u8; SID_LEN]) -> Option<&mut Try> {
        let is_it = |attempt: &&mut Try| {
            attempt.path == *path && attempt.state.as_ref().is_some_and(|state| state.sid() == sid)
        };
        self.tries.iter_mut().find(is_it)
    }

    /// What an HS_VERSION in answer to the attempt along `path` by the name `sid` says the peer speaks. That attempt goes on
    /// as it is. False if there is none.
    pub(super) fn note_versions(&mut self, path: &Path, sid: &[u8; SID_LEN], theirs: Versions, now: Instant) -> bool {
        let Some(attempt) = self.find(path, sid) else { return false };
        let (highest, interval, until) = (attempt.version, attempt.interval, attempt.until);
        let common = self.spoken.highest_common(theirs);
        self.other_version |= common.is_none();
        let lower = common.filter(|version| *version < highest && !self.misled);
        let Some(version) = lower else { return true };
        // One further attempt per version, the eight seconds of the first for all of them.
        if !self.tries.iter().any(|attempt| attempt.path == *path && attempt.version == version) {
            let attempt =
                Try { path: *path, version, state: None, interval, until, next: now, sent: 0, last: now, cookies: 0 };
            self.tries.push(attempt);
        }
        true
    }

    /// The peer itself has proven that an attempt with `version` passed over a higher one that both speak: if that was
    /// because of an HS_VERSION, this was a lie. True if another attempt goes on, which may reach the right one.
    pub(super) fn was_misled(&mut self, version: u8) -> bool {
        if version == self.spoken.max {
            return false;
        }
        (self.misled, self.other_version) = (true, true);
        self.tries.retain(|attempt| attempt.version == self.spoken.max);
        !self.is_over()
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
        let Some(state) =
            self.state.as_mut().filter(|state| self.cookies < MAX_COOKIES && state.version() == cookie.version)
        else {
            return false;
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn path(number: u16) -> (Path, Option<Duration>) {
        (Path::direct(([198, 18, 0, 1], 5_004 + number).into()), None)
    }

    /// Runs `dial` for `time`, a millisecond at a time; the paths of the HS_INITs it sends, with their times.
    fn run(dial: &mut Dial, from: u64, to: u64) -> Vec<(u64, Path)> {
        let (mut random, mut out, mut sent) = (Random::seeded(1), VecDeque::new(), Vec::new());
        for millis in from..to {
            dial.tend(Instant::from_millis(millis));
            dial.handle_timeout(NodeId([1; 20]), Instant::from_millis(millis), &mut random, &mut out);
            sent.extend(out.drain(..).map(|transmit| (millis, transmit.path)));
        }
        sent
    }

    fn first(sent: &[(u64, Path)], number: u16) -> Option<u64> {
        sent.iter().find(|(_, to)| *to == path(number).0).map(|(millis, _)| *millis)
    }

    #[test]
    fn a_path_added_later_has_its_own_eight_seconds() {
        let mut dial = Dial::new(&[path(0)], Versions::OURS, Instant::ZERO);
        run(&mut dial, 0, 5_000);
        dial.add(&[path(0), path(1)], Instant::from_millis(5_000));
        let sent = run(&mut dial, 5_000, 13_100);
        assert_eq!(first(&sent, 1), Some(5_000));
        assert!(sent.iter().all(|(millis, to)| *to == path(1).0 || *millis < 8_000), "{sent:?}");
        assert!(sent.iter().any(|(millis, _)| *millis > 12_000) && dial.is_over());
    }

    #[test]
    fn f14_many_wrong_paths_do_not_keep_the_right_one_from_being_dialled_soon() {
        let wrong: Vec<_> = (0..30).map(path).collect();
        let mut dial = Dial::new(&wrong, Versions::OURS, Instant::ZERO);
        dial.add(&[path(99)], Instant::ZERO);
        let sent = run(&mut dial, 0, 30_000);
        assert!(first(&sent, 99).is_some_and(|millis| millis <= 8_000), "{:?}", first(&sent, 99));
        assert!(dial.is_over());
        assert!((0..30).all(|number| first(&sent, number).is_some()));
    }

    #[test]
    fn the_paths_of_an_attempt_are_bounded() {
        let mut dial = Dial::new(&[], Versions::OURS, Instant::ZERO);
        for number in 0..1_000 {
            dial.add(&[path(number)], Instant::ZERO);
        }
        assert_eq!((dial.known.len(), dial.tries.len()), (MAX_PATHS_IN_ALL, MAX_PATHS));
    }
}
