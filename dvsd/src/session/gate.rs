// SPDX-License-Identifier: GPL-3.0-or-later
//! What an unauthenticated HS_INIT has to get past before any public-key operation is spent on it.
//!
//! A spoofed source must cost little and lock nobody out: without a cookie requests are counted per prefix, with a
//! valid one per full address, apart from the others. Cookies are cheap, so there are enough for everybody even in a
//! flood; and real sources that only begin handshakes leave half of the budget to those who finish them.

use core::time::Duration;
use std::collections::BTreeMap;

use crate::crypto::cookie::{COOKIE_LEN, Cookies};
use crate::path::{Path, Prefix};
use crate::random::Random;
use crate::time::Instant;
use crate::wire::handshake::Init;

use super::bucket::Bucket;

/// HS_INIT per second and at once: per prefix without a cookie, per address with one.
const INITS: (u32, u32) = (5, 10);
/// Public-key operations per second for strangers, each an HS_INIT that is answered.
const KEY_OPERATIONS: u32 = 50;
/// The same in the name of an identity whose signatures take milliseconds.
const SLOW_KEY_OPERATIONS: u32 = 5;
/// HS_COOKIE sent per second in all: so many that whoever asks among 20,000 forged requests per second gets one. They
/// are a tenth as long as what is asked with, and cost less than it does to read that.
const COOKIES: u32 = 25_000;
/// HS_VERSION sent per second in all.
const VERSIONS: u32 = 10;
/// From this many half-open handshakes on, everybody has to show a cookie.
const HALF_OPEN_COOKIE: usize = 16;
/// Half-open handshakes at once, in all and per prefix.
const HALF_OPEN_MAX: usize = 128;
const HALF_OPEN_PER_PREFIX: usize = 4;
/// How long a prefix that began a handshake and did not finish it has to show a cookie.
const DISTRUST: Duration = Duration::from_secs(120);
/// How long one that had shown a cookie gets only what half of the budget is not needed for. Within this time there are
/// fewer handshakes than prefixes are remembered.
const SUSPICION: Duration = Duration::from_secs(60);
/// Prefixes and addresses remembered; beyond, those whose budget is full are forgotten.
const REMEMBERED: usize = 4_096;
/// How often they are looked through for that at most: the look costs more than all else an HS_INIT does.
const SWEEP: Duration = Duration::from_millis(100);

/// What to do with an HS_INIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Answer it. Its sender has shown that it hears us, or not.
    Answer {
        /// Whether a valid cookie was shown.
        validated: bool,
    },
    /// Send this cookie instead.
    Cookie([u8; COOKIE_LEN]),
    /// Nothing.
    Silence,
}

/// How long it takes to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// The identity is on an elliptic curve.
    Quick,
    /// It is RSA or DSA.
    Slow,
}

/// How many handshakes are half open already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HalfOpenCount {
    /// In all.
    pub(super) all: usize,
    /// From the same prefix, with a valid cookie.
    pub(super) validated: usize,
    /// From the same prefix, without one.
    pub(super) unvalidated: usize,
}

/// Cookies and budgets.
pub(super) struct Gate {
    cookies: Cookies,
    by_prefix: Buckets<Prefix>,
    by_path: Buckets<Path>,
    /// Who left a handshake unfinished, begun without a cookie: any of these may have been forged.
    distrusted: Marks,
    /// Who left one unfinished that was begun with a cookie.
    suspected: Marks,
    key_operations: Bucket,
    slow_key_operations: Bucket,
    cookie_answers: Bucket,
    version_answers: Bucket,
}

impl Gate {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            cookies: Cookies::new(random),
            by_prefix: Buckets::new(),
            by_path: Buckets::new(),
            distrusted: Marks::new(DISTRUST),
            suspected: Marks::new(SUSPICION),
            key_operations: Bucket::full(KEY_OPERATIONS, KEY_OPERATIONS, Instant::ZERO),
            slow_key_operations: Bucket::full(SLOW_KEY_OPERATIONS, SLOW_KEY_OPERATIONS, Instant::ZERO),
            cookie_answers: Bucket::full(COOKIES, COOKIES, Instant::ZERO),
            version_answers: Bucket::full(VERSIONS, VERSIONS, Instant::ZERO),
        }
    }

    /// Decides about `init`, which came along `path` and fits an ID of ours. `growth` says whether the answer would
    /// be more than three times as long, `work` how long it takes.
    #[expect(clippy::too_many_arguments, reason = "each is a fact about one HS_INIT, gathered by the one caller")]
    pub(super) fn admit(
        &mut self,
        path: &Path,
        init: &Init<'_>,
        growth: bool,
        work: Work,
        count: HalfOpenCount,
        now: Instant,
        random: &mut Random,
    ) -> Admission {
        self.cookies.refresh(now, random);
        let shown = init.cookie != [0; COOKIE_LEN];
        if shown && self.cookies.check(&init.cookie, path, &init.sid, init.key) {
            return self.admit_validated(path, work, count, now);
        }
        let within = self.by_prefix.take(path.prefix(), now);
        let trusted = !growth
            && count.all < HALF_OPEN_COOKIE
            && count.unvalidated == 0
            && !self.distrusted.is_full()
            && !self.distrusted.has(&path.prefix(), now)
            && !self.budget(work).is_below_half(now);
        if within && trusted && self.budget(work).take(now) {
            return Admission::Answer { validated: false };
        }
        if self.cookie_answers.take(now) {
            return Admission::Cookie(self.cookies.make(path, &init.sid, init.key));
        }
        Admission::Silence
    }

    fn admit_validated(&mut self, path: &Path, work: Work, count: HalfOpenCount, now: Instant) -> Admission {
        let room = count.all < HALF_OPEN_MAX && count.validated < HALF_OPEN_PER_PREFIX;
        let first = !self.suspected.has(&path.prefix(), now);
        let left = first || !self.budget(work).is_below_half(now);
        if room && left && self.by_path.take(*path, now) && self.budget(work).take(now) {
            Admission::Answer { validated: true }
        } else {
            Admission::Silence
        }
    }

    const fn budget(&mut self, work: Work) -> &mut Bucket {
        match work {
            Work::Quick => &mut self.key_operations,
            Work::Slow => &mut self.slow_key_operations,
        }
    }

    /// Whether an HS_VERSION may be sent.
    pub(super) fn may_tell_versions(&mut self, now: Instant) -> bool {
        self.version_answers.take(now)
    }

    /// A handshake from `prefix` was begun, with a valid cookie or without.
    pub(super) fn begun(&mut self, prefix: Prefix, validated: bool, now: Instant) {
        let marks = if validated { &mut self.suspected } else { &mut self.distrusted };
        marks.add(prefix, now);
    }

    /// A handshake from `prefix` was completed.
    pub(super) fn completed(&mut self, prefix: &Prefix) {
        self.distrusted.remove(prefix);
        self.suspected.remove(prefix);
    }
}

/// Prefixes that are remembered for some time.
struct Marks {
    each: BTreeMap<Prefix, Instant>,
    lifetime: Duration,
}

impl Marks {
    const fn new(lifetime: Duration) -> Self {
        Self { each: BTreeMap::new(), lifetime }
    }

    fn add(&mut self, prefix: Prefix, now: Instant) {
        self.each.retain(|_, until| *until > now);
        if !self.is_full() {
            self.each.insert(prefix, now + self.lifetime);
        }
    }

    fn has(&self, prefix: &Prefix, now: Instant) -> bool {
        self.each.get(prefix).is_some_and(|until| *until > now)
    }

    fn remove(&mut self, prefix: &Prefix) {
        self.each.remove(prefix);
    }

    fn is_full(&self) -> bool {
        self.each.len() >= REMEMBERED
    }
}

/// A budget per key.
struct Buckets<K> {
    each: BTreeMap<K, Bucket>,
    swept: Instant,
}

impl<K: Ord> Buckets<K> {
    const fn new() -> Self {
        Self { each: BTreeMap::new(), swept: Instant::ZERO }
    }

    /// Takes a token of `key`; false also when too many keys are remembered already.
    fn take(&mut self, key: K, now: Instant) -> bool {
        if self.each.len() >= REMEMBERED && !self.each.contains_key(&key) && !self.make_room(now) {
            return false;
        }
        let (rate, burst) = INITS;
        self.each.entry(key).or_insert_with(|| Bucket::full(rate, burst, now)).take(now)
    }

    fn make_room(&mut self, now: Instant) -> bool {
        if now.since(self.swept) >= SWEEP {
            self.each.retain(|_, bucket| !bucket.is_full(now));
            self.swept = now;
        }
        self.each.len() < REMEMBERED
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::{ExpectResponse, Mode};
    use crate::id::NodeId;
    use crate::wire::handshake::Versions;

    /// What the gate says to a fresh HS_INIT from `address`, with a cookie if `validated`.
    fn ask(gate: &mut Gate, address: &str, validated: bool, work: Work, now: Instant) -> Admission {
        let mut random = Random::seeded(now.as_micros());
        let path = Path::direct(address.parse().unwrap());
        let mut dial = ExpectResponse::start(NodeId([1; 20]), Mode::Full, &mut random).unwrap();
        if validated {
            gate.cookies.refresh(now, &mut random);
            let init = Init::parse(dial.datagram(), Versions::OURS).unwrap();
            let cookie = gate.cookies.make(&path, &init.sid, init.key);
            dial.show_cookie(&cookie);
        }
        let init = Init::parse(dial.datagram(), Versions::OURS).unwrap();
        gate.admit(&path, &init, false, work, HalfOpenCount::default(), now, &mut random)
    }

    fn answers(gate: &mut Gate, times: usize, address: &str, validated: bool, now: Instant) -> usize {
        let asked = (0..times).map(|_| ask(gate, address, validated, Work::Quick, now));
        asked.filter(|admission| *admission == Admission::Answer { validated }).count()
    }

    #[test]
    fn d07_an_address_with_cookies_and_a_prefix_without_get_ten_at_once_and_five_a_second_each() {
        let mut gate = Gate::new(&mut Random::seeded(1));
        let at = Instant::from_millis;
        assert_eq!(answers(&mut gate, 30, "203.0.113.1:5004", false, at(1_000)), 10, "the prefix");
        assert_eq!(answers(&mut gate, 30, "203.0.113.2:5004", false, at(1_000)), 0, "the same prefix");
        assert_eq!(answers(&mut gate, 30, "203.0.113.2:5004", true, at(1_000)), 10, "an address of it");
        assert_eq!(answers(&mut gate, 30, "203.0.113.3:5004", true, at(1_000)), 10, "another");
        assert_eq!(answers(&mut gate, 30, "203.0.113.2:5004", true, at(2_000)), 5);
        assert_eq!(answers(&mut gate, 30, "203.0.113.9:5004", false, at(2_000)), 5);
    }

    #[test]
    fn d07_beyond_its_rate_a_prefix_is_asked_for_cookies_and_an_address_with_one_hears_nothing() {
        let mut gate = Gate::new(&mut Random::seeded(1));
        let now = Instant::from_millis(1_000);
        answers(&mut gate, 10, "203.0.113.1:5004", false, now);
        answers(&mut gate, 10, "203.0.113.1:5004", true, now);
        assert!(matches!(ask(&mut gate, "203.0.113.1:5004", false, Work::Quick, now), Admission::Cookie(_)));
        assert_eq!(ask(&mut gate, "203.0.113.1:5004", true, Work::Quick, now), Admission::Silence);
    }

    #[test]
    fn f17_rsa_and_dsa_have_a_tenth_of_the_budget() {
        for (work, whole) in [(Work::Quick, 50), (Work::Slow, 5)] {
            let mut gate = Gate::new(&mut Random::seeded(1));
            let mut spend = |validated, now| {
                let from = |number| format!("10.0.{number}.1:5004");
                let asked: Vec<_> =
                    (0..100).map(|number| ask(&mut gate, &from(number), validated, work, now)).collect();
                asked.iter().filter(|admission| **admission == Admission::Answer { validated }).count()
            };
            let now = Instant::from_millis(1_000);
            assert_eq!(spend(false, now), whole / 2 + 1, "without cookies until less than half is left");
            assert_eq!(spend(true, now), whole - whole / 2 - 1, "with them all of it");
            assert_eq!(spend(true, Instant::from_millis(2_000)), whole, "and the next second the same");
        }
    }

    #[test]
    fn a_flood_from_everywhere_is_looked_through_ten_times_a_second_and_costs_bounded_memory() {
        let mut buckets = Buckets::new();
        let mut sweeps = 0;
        for number in 0..100_000u64 {
            let before = buckets.swept;
            buckets.take(number, Instant::from_micros(1_000_000 + number * 10));
            sweeps += u32::from(buckets.swept != before);
            assert!(buckets.each.len() <= REMEMBERED);
        }
        assert!((1..=10).contains(&sweeps), "{sweeps}");
        assert!(buckets.take(u64::MAX, Instant::from_millis(10_000)), "there is room again afterwards");
    }
}
