// SPDX-License-Identifier: GPL-3.0-or-later
//! Where the packets of one session go, and how that changes.
//!
//! A peer that changes its address goes on sending from the new one. But anybody may copy its packets and send them from
//! elsewhere, so the new address has to show that the peer is behind it. Until it is settled packets go to both
//! addresses, to the new one no more than three times what came from there: whichever is the right one, the peer hears
//! us. The old address is challenged as well, and if the peer answers there and is still heard from there, somebody else
//! forwarded its packets, and nothing changes.
//!
//! An answer proves the address that its challenge was sent to, whichever way it comes back: only the peer can have
//! made it.
//!
//! Timers: challenges are repeated every 500 ms and end after 3 s. Half a second after its beginning a change comes
//! about at the earliest: by then the old address would have been heard. One change may begin per second, five may come
//! about per minute. The address before the last change is remembered for a minute.

use core::time::Duration;
use std::collections::VecDeque;

use crate::path::{Path, Scope};
use crate::random::Random;
use crate::time::Instant;

/// Between two challenges to one address.
const REPEAT: Duration = Duration::from_millis(500);
/// How long an address may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the old address has to be heard, which may be slower than the new one.
const GRACE: Duration = Duration::from_millis(500);
/// Between the beginnings of two changes.
const GAP: Duration = Duration::from_secs(1);
/// Changes within [`MINUTE`].
const MAX_CHANGES: usize = 5;
const MINUTE: Duration = Duration::from_secs(60);
/// An address that is not proven is sent so many times the bytes that came from it.
const GROWTH: u64 = 3;
/// Addresses challenged at a time for want of the right one.
const MAX_CANDIDATES: usize = 16;

/// What a challenge says, and its answer.
pub(super) type Nonce = [u8; 8];

/// One address that is being challenged.
#[derive(Clone, Copy, Debug)]
struct Challenge {
    path: Path,
    nonce: Nonce,
    /// When it is sent again.
    next: Instant,
    until: Instant,
    answered: bool,
}

impl Challenge {
    fn new(path: Path, now: Instant, random: &mut Random) -> Self {
        Self { path, nonce: random.bytes(), next: now, until: now + PATIENCE, answered: false }
    }

    fn is_due(&self, now: Instant) -> bool {
        !self.answered && self.next <= now && now < self.until
    }

    fn next_due(&self) -> Instant {
        if self.answered { self.until } else { self.next.min(self.until) }
    }
}

/// A change of address that is not settled.
#[derive(Debug)]
struct Trial {
    fresh: Challenge,
    old: Challenge,
    /// Whether packets still come from the old address, be they copies of what came by the new one.
    old_heard: bool,
    /// When the new address may be used, if the old one was not heard until then.
    settle: Instant,
    /// Bytes that came from the new address.
    received: u64,
    /// Bytes sent there.
    sent: u64,
    /// The new address is in use; the old one may still turn out to be the right one.
    switched: bool,
    /// For the old address, once it is the former one.
    later: Nonce,
}

impl Trial {
    /// Whether `length` bytes may be sent to the new address, leaving room for `reserve` more.
    fn affords(&self, length: usize, reserve: usize) -> bool {
        self.fresh.answered || self.sent + (length + reserve) as u64 <= GROWTH * self.received
    }
}

/// The address before the last change.
#[derive(Debug)]
struct Former {
    path: Path,
    nonce: Nonce,
    /// When it may be challenged again.
    next: Instant,
    until: Instant,
}

/// The addresses of the peer of one session.
#[derive(Debug)]
pub(super) struct Paths {
    home: Path,
    former: Option<Former>,
    trial: Option<Trial>,
    candidates: Vec<Challenge>,
    /// For the address in use, once a candidate took its place.
    spare: Nonce,
    /// When the last change began.
    begun: Option<Instant>,
    /// When the last changes came about.
    changes: VecDeque<Instant>,
    count: u32,
    /// Whether the last change is still to be told.
    untold: bool,
}

impl Paths {
    /// The peer is at `home`.
    pub(super) const fn new(home: Path) -> Self {
        Self {
            home,
            former: None,
            trial: None,
            candidates: Vec::new(),
            spare: [0; 8],
            begun: None,
            changes: VecDeque::new(),
            count: 0,
            untold: false,
        }
    }

    /// Where packets to the peer go.
    pub(super) const fn home(&self) -> Path {
        self.home
    }

    /// How often that has changed.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// True once after each change.
    pub(super) const fn take_change(&mut self) -> bool {
        core::mem::replace(&mut self.untold, false)
    }

    /// Where a packet of `length` bytes goes besides [`home`](Self::home), while it is not settled where the peer is.
    /// `challenge` is the length of a challenge, for which there must always be room.
    pub(super) fn also(&mut self, length: usize, challenge: usize) -> Option<Path> {
        let trial = self.trial.as_mut()?;
        if trial.switched {
            return Some(trial.old.path);
        }
        let affordable = trial.affords(length, challenge);
        trial.sent += if affordable { length as u64 } else { 0 };
        affordable.then_some(trial.fresh.path)
    }

    /// Whether an answer of `length` bytes may be sent to `path`, where a challenge came from.
    pub(super) fn may_answer(&mut self, path: &Path, length: usize) -> bool {
        let Some(trial) = self.trial.as_mut().filter(|trial| trial.fresh.path == *path) else { return true };
        let affordable = trial.affords(length, 0);
        trial.sent += if affordable { length as u64 } else { 0 };
        affordable
    }

    /// An authentic packet of `length` bytes came from `path`. `newest`: a control packet above all before it.
    pub(super) fn heard(&mut self, path: Path, length: usize, newest: bool, now: Instant, random: &mut Random) {
        if path == self.home {
            self.candidates.clear();
        }
        let known = self.note(&path, length);
        if !known && newest && self.may_begin(&path, now) {
            self.begun = Some(now);
            self.trial = Some(Trial {
                fresh: Challenge::new(path, now, random),
                old: Challenge::new(self.home, now, random),
                old_heard: false,
                settle: now + GRACE,
                received: length as u64,
                sent: 0,
                switched: false,
                later: random.bytes(),
            });
        }
        self.conclude(now);
    }

    /// A packet came from `path` that was heard before, perhaps from elsewhere.
    pub(super) fn echoed(&mut self, path: Path, now: Instant) -> Option<Nonce> {
        self.note(&path, 0);
        self.conclude(now);
        let former = self.former.as_mut().filter(|former| former.path == path && path != self.home);
        let former = former.filter(|former| former.next <= now && now < former.until)?;
        former.next = now + REPEAT;
        Some(former.nonce)
    }

    /// Takes note of a packet from an address under trial; true if it is one, or the address in use.
    fn note(&mut self, path: &Path, length: usize) -> bool {
        if let Some(trial) = &mut self.trial {
            if *path == trial.fresh.path {
                trial.received += length as u64;
                return true;
            }
            if *path == trial.old.path {
                trial.old_heard = true;
                return true;
            }
        }
        *path == self.home
    }

    fn may_begin(&mut self, path: &Path, now: Instant) -> bool {
        while self.changes.front().is_some_and(|at| now.since(*at) >= MINUTE) {
            self.changes.pop_front();
        }
        is_usable(path)
            && is_usable(&self.home)
            && self.begun.is_none_or(|begun| now.since(begun) >= GAP)
            && self.changes.len() < MAX_CHANGES
    }

    /// The peer answered the challenge with this `nonce`.
    pub(super) fn answered(&mut self, nonce: &Nonce, now: Instant) {
        let mut proven = None;
        if let Some(trial) = &mut self.trial {
            trial.fresh.answered |= trial.fresh.nonce == *nonce;
            trial.old.answered |= trial.old.nonce == *nonce;
            proven = Some(trial.fresh.path).filter(|_| trial.fresh.answered && !trial.switched);
        }
        let back = self.former.take_if(|former| former.nonce == *nonce || proven == Some(former.path));
        if let Some(former) = back {
            self.trial = None;
            self.change_to(former.path, now);
        }
        self.conclude(now);
        if let Some(found) = self.candidates.iter().find(|candidate| candidate.nonce == *nonce).map(|found| found.path)
        {
            self.candidates.clear();
            if found != self.home {
                self.trial = None;
                let former = Former { path: self.home, nonce: self.spare, next: now, until: now + MINUTE };
                self.former = Some(former);
                self.change_to(found, now);
            }
        }
    }

    /// Settles the trial if that can be done.
    fn conclude(&mut self, now: Instant) {
        let Some(trial) = &mut self.trial else { return };
        let over = trial.fresh.until <= now;
        let old_lives = trial.old.answered && trial.old_heard;
        let (fresh, old, nonce) = (trial.fresh, trial.old, trial.later);
        if trial.switched {
            if old_lives {
                (self.trial, self.former) = (None, None);
                self.change_to(old.path, now);
                // It was never the peer's, so it leaves the peer's changes to the peer.
                self.changes.pop_back();
                self.changes.pop_back();
            } else if over {
                self.trial = None;
            }
        } else if old_lives {
            self.trial = None;
        } else if fresh.answered && (over || !trial.old_heard && trial.settle <= now) {
            trial.switched = true;
            if over {
                self.trial = None;
            }
            self.former = Some(Former { path: old.path, nonce, next: now, until: now + MINUTE });
            self.change_to(fresh.path, now);
        } else if over {
            self.trial = None;
        }
    }

    fn change_to(&mut self, path: Path, now: Instant) {
        self.home = path;
        self.count = self.count.wrapping_add(1);
        self.untold = true;
        self.changes.push_back(now);
    }

    /// Challenges `paths`, where the peer may be now that it is not heard any more; the first that answers is used.
    pub(super) fn challenge(&mut self, paths: &[Path], now: Instant, random: &mut Random) {
        self.candidates.retain(|candidate| now < candidate.until);
        self.spare = random.bytes();
        for path in paths.iter().filter(|path| is_usable(path)) {
            let known = self.candidates.iter().any(|candidate| candidate.path == *path);
            if !known && self.candidates.len() < MAX_CANDIDATES {
                self.candidates.push(Challenge::new(*path, now, random));
            }
        }
    }

    /// The address before the last change, if it is worth another try.
    pub(super) fn former(&self) -> Option<Path> {
        self.former.as_ref().map(|former| former.path)
    }

    /// The challenges to be sent now, each `length` bytes long.
    pub(super) fn due(&mut self, length: usize, now: Instant, jitter: &mut Random) -> Vec<(Path, Nonce)> {
        let mut due = Vec::new();
        let mut send = |challenge: &mut Challenge| {
            if challenge.is_due(now) {
                challenge.next = now + jitter.jittered(REPEAT);
                due.push((challenge.path, challenge.nonce));
            }
        };
        self.candidates.iter_mut().for_each(&mut send);
        if let Some(trial) = &mut self.trial {
            send(&mut trial.old);
            if trial.fresh.is_due(now) && trial.affords(length, 0) {
                trial.sent += length as u64;
                send(&mut trial.fresh);
            } else if trial.fresh.is_due(now) {
                trial.fresh.next = now + REPEAT;
            }
        }
        due
    }

    /// Ends what has lasted long enough.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.conclude(now);
        self.candidates.retain(|candidate| now < candidate.until);
        self.former.take_if(|former| former.until <= now);
    }

    /// When [`due`](Self::due) or [`handle_timeout`](Self::handle_timeout) have something to do.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let trial = self.trial.iter().flat_map(|trial| [&trial.fresh, &trial.old]);
        let challenges = trial.chain(&self.candidates).map(Challenge::next_due);
        let waits = |trial: &&Trial| trial.fresh.answered && !trial.old_heard && !trial.switched;
        let settle = self.trial.iter().filter(waits).map(|trial| trial.settle);
        challenges.chain(settle).chain(self.former.iter().map(|former| former.until)).min()
    }
}

/// Whether a session may use `path`, or leave it: a tunnel hides who is at its ends, and so does whoever uses one.
fn is_usable(path: &Path) -> bool {
    path.address().is_some_and(|address| Scope::of(address) != Scope::Unusable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn path(last: u8) -> Path {
        Path::direct(([203, 0, 113, last], 5_004).into())
    }

    /// The nonce that was sent to `to`.
    fn asked(paths: &mut Paths, to: Path, now: Instant) -> Nonce {
        let due = paths.due(36, now, &mut Random::seeded(1));
        due.into_iter().find(|(path, _)| *path == to).expect("not asked").1
    }

    /// A peer at 1 that is taken to have moved to 2, with the moment of that.
    fn moved() -> (Paths, Random) {
        let (mut paths, mut random) = (Paths::new(path(1)), Random::seeded(2));
        paths.heard(path(2), 60, true, at(0), &mut random);
        let nonce = asked(&mut paths, path(2), at(0));
        paths.answered(&nonce, at(40));
        assert_eq!(paths.home(), path(1), "the old address may be slower");
        assert_eq!(paths.next_due(), Some(at(500)));
        paths.handle_timeout(at(500));
        assert_eq!((paths.home(), paths.take_change(), paths.take_change()), (path(2), true, false));
        (paths, random)
    }

    #[test]
    fn an_address_that_answers_is_used_and_the_old_one_heard_for_the_rest_of_the_trial() {
        let (mut paths, _) = moved();
        assert_eq!(paths.also(100, 36), Some(path(1)));
        paths.handle_timeout(at(3_000));
        assert_eq!(paths.also(100, 36), None);
    }

    #[test]
    fn an_address_left_too_early_is_asked_again_when_packets_still_come_from_it() {
        let (mut paths, mut random) = moved();
        paths.handle_timeout(at(3_000));
        assert_eq!(paths.echoed(path(3), at(10_000)), None);
        let nonce = paths.echoed(path(1), at(10_000)).unwrap();
        assert_eq!(paths.echoed(path(1), at(10_400)), None, "twice a second at most");
        assert_eq!(paths.home(), path(2));
        paths.answered(&nonce, at(10_500));
        assert_eq!((paths.home(), paths.count()), (path(1), 2));
        // Where it came back from is not where it is called back to in turn.
        assert_eq!(paths.echoed(path(2), at(11_000)), None);
        paths.heard(path(1), 60, true, at(11_000), &mut random);
        assert_eq!(paths.also(100, 36), None);
    }

    #[test]
    fn an_old_address_that_answers_late_and_is_heard_is_gone_back_to_at_no_cost() {
        let (mut paths, mut random) = moved();
        let nonce = asked(&mut paths, path(1), at(1_000));
        paths.answered(&nonce, at(1_100));
        assert_eq!(paths.home(), path(2), "it is not heard from there");
        paths.heard(path(1), 60, true, at(1_200), &mut random);
        assert_eq!((paths.home(), paths.changes.len()), (path(1), 0));
    }

    #[test]
    fn an_address_is_remembered_for_a_minute() {
        let (mut paths, _) = moved();
        paths.handle_timeout(at(60_500));
        assert_eq!((paths.former(), paths.next_due()), (None, None));
    }

    #[test]
    fn a_tunnel_is_neither_left_nor_taken_because_of_a_packet() {
        let tunnel = Path::Tunnel(crate::path::TunnelId(1));
        for (from, to) in [(tunnel, path(1)), (path(1), tunnel)] {
            let mut paths = Paths::new(from);
            paths.heard(to, 60, true, at(0), &mut Random::seeded(2));
            assert_eq!(paths.next_due(), None);
        }
    }
}
