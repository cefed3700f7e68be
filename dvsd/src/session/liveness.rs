// SPDX-License-Identifier: GPL-3.0-or-later
//! Is the peer still there? Heartbeats, and the ladder from silence to the end.
//!
//! | silence | in a call, counted from the last packet; idle, from the first heartbeat without an answer |
//! |---|---|
//! | 2 s | heartbeats every second |
//! | 5 s | unstable |
//! | 10 s | lost: no media is sent any more |
//! | 30 s | the session ends |
//!
//! Without silence a heartbeat goes out every 5 s in a call and every 15 s ± 20 % idle, the floor of RFC 8085. When there
//! is reason to doubt that the peer is still there, heartbeats go out every 250 ms, and after a second without anything
//! heard it counts as silent.

use core::time::Duration;
use std::collections::VecDeque;

use crate::random::Random;
use crate::time::Instant;

const BEAT_IN_CALL: Duration = Duration::from_secs(5);
const BEAT_IDLE: Duration = Duration::from_secs(15);
const BEAT_SILENT: Duration = Duration::from_secs(1);
const BEAT_PROBING: Duration = Duration::from_millis(250);
/// How long heartbeats come quickly when the peer is doubted.
const DOUBTING: Duration = Duration::from_millis(1_500);
/// How long a doubted peer has to be heard.
const DOUBTED: Duration = Duration::from_secs(1);
const SILENT: Duration = Duration::from_secs(2);
const UNSTABLE: Duration = Duration::from_secs(5);
const LOST: Duration = Duration::from_secs(10);
const DROPPED: Duration = Duration::from_secs(30);
/// Frames that wait this long for an acknowledgement count as silence of 10 s.
const STALLED: Duration = Duration::from_secs(12);
/// Heartbeats whose answer is still understood.
const REMEMBERED: usize = 32;

/// How sure we are of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Heard lately.
    Good,
    /// Silent for 5 s.
    Unstable,
    /// Silent for 10 s.
    Lost,
    /// Silent for 30 s.
    Dropped,
}

/// The heartbeat clock of one session.
pub(super) struct Liveness {
    /// The last authentic packet.
    heard: Instant,
    /// Since when there is a call.
    call: Option<Instant>,
    /// Since when there is none.
    idle: Instant,
    /// Heartbeats sent, latest last.
    beats: VecDeque<(u32, Instant)>,
    /// The first heartbeat since anything was heard.
    unanswered: Option<Instant>,
    /// Heartbeats come quickly until then, to find out at once.
    probing: Option<Instant>,
    /// By when a doubted peer must be heard.
    doubt: Option<Instant>,
    /// Whether it was not.
    doubted: bool,
    next_id: u32,
    next_beat: Instant,
    level: Level,
}

impl Liveness {
    /// The clock of a session that starts now.
    pub(super) fn new(now: Instant, jitter: &mut Random) -> Self {
        Self {
            heard: now,
            call: None,
            idle: now,
            beats: VecDeque::new(),
            unanswered: None,
            probing: None,
            doubt: None,
            doubted: false,
            next_id: 0,
            next_beat: now + idle_interval(jitter),
            level: Level::Good,
        }
    }

    /// An authentic packet came. True if it ends a time of worry, which it does not while frames wait for an
    /// acknowledgement in vain, `waiting` since then.
    pub(super) fn hear(&mut self, now: Instant, waiting: Option<Instant>) -> bool {
        self.heard = now;
        self.unanswered = None;
        self.doubt = None;
        let stalled = waiting.is_some_and(|since| now.since(since) >= STALLED);
        if stalled {
            return false;
        }
        let doubted = core::mem::replace(&mut self.doubted, false);
        core::mem::replace(&mut self.level, Level::Good) != Level::Good || doubted
    }

    /// A call began or ended.
    pub(super) fn set_in_call(&mut self, on: bool, now: Instant) {
        if on == self.call.is_some() {
            return;
        }
        self.call = on.then_some(now);
        self.idle = now;
        if on {
            self.next_beat = self.next_beat.min(now + BEAT_IN_CALL);
            if now.since(self.heard) >= SILENT {
                self.next_beat = now;
            }
        }
    }

    /// Whether there is a call.
    pub(super) const fn in_call(&self) -> bool {
        self.call.is_some()
    }

    /// Since when there is no call; `None` during one.
    pub(super) const fn idle_since(&self) -> Option<Instant> {
        if self.call.is_some() { None } else { Some(self.idle) }
    }

    /// Sends heartbeats quickly for `duration`.
    pub(super) fn probe(&mut self, now: Instant, duration: Duration) {
        self.probing = Some(now + duration);
        self.next_beat = now;
    }

    /// Sends a heartbeat at once: something is to be measured.
    pub(super) fn beat_soon(&mut self, now: Instant) {
        self.next_beat = self.next_beat.min(now);
    }

    /// Enough was found out.
    pub(super) fn stop_probing(&mut self) {
        (self.probing, self.doubt, self.doubted) = (None, None, false);
    }

    /// Finds out quickly whether the peer is still there.
    pub(super) fn doubt(&mut self, now: Instant) {
        self.probe(now, DOUBTING);
        self.doubt = Some(now + DOUBTED);
    }

    /// True once if nothing was heard since the doubt.
    pub(super) fn is_doubt_confirmed(&mut self, now: Instant) -> bool {
        let confirmed = self.doubt.take_if(|by| *by <= now).is_some();
        self.doubted |= confirmed;
        confirmed
    }

    /// The ID of the heartbeat that is due, if one is.
    pub(super) fn beat(&mut self, now: Instant, jitter: &mut Random) -> Option<u32> {
        if now < self.beat_due() {
            return None;
        }
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        if self.beats.len() >= REMEMBERED {
            self.beats.pop_front();
        }
        self.beats.push_back((id, now));
        self.unanswered.get_or_insert(now);
        self.probing = self.probing.filter(|until| *until > now);
        self.next_beat = now + self.interval(now, jitter);
        Some(id)
    }

    fn interval(&self, now: Instant, jitter: &mut Random) -> Duration {
        if self.probing.is_some() {
            jitter.jittered(BEAT_PROBING)
        } else if self.is_silent(now) {
            jitter.jittered(BEAT_SILENT)
        } else if self.in_call() {
            jitter.jittered(BEAT_IN_CALL)
        } else {
            idle_interval(jitter)
        }
    }

    /// When heartbeat `id`, now answered, was sent.
    pub(super) fn answered(&mut self, id: u32) -> Option<Instant> {
        let position = self.beats.iter().position(|(sent, _)| *sent == id)?;
        self.beats.remove(position).map(|(_, at)| at)
    }

    /// Climbs the ladder; returns the new level if it changed. `waiting` is since when frames wait for an
    /// acknowledgement.
    pub(super) fn climb(&mut self, now: Instant, waiting: Option<Instant>) -> Option<Level> {
        let silence = self.silent_since().map_or(Level::Good, |since| Self::level_after(now.since(since)));
        let waited = waiting.map(|since| now.since(since)).filter(|waited| *waited >= STALLED);
        let stall = waited.map_or(Level::Good, Self::level_after);
        let level = silence.max(stall);
        if level <= self.level {
            return None;
        }
        self.level = level;
        Some(level)
    }

    fn level_after(silence: Duration) -> Level {
        if silence >= DROPPED {
            Level::Dropped
        } else if silence >= LOST {
            Level::Lost
        } else if silence >= UNSTABLE {
            Level::Unstable
        } else {
            Level::Good
        }
    }

    fn silent_since(&self) -> Option<Instant> {
        match self.call {
            Some(began) => Some(self.heard.max(began)),
            None => self.unanswered,
        }
    }

    fn is_silent(&self, now: Instant) -> bool {
        self.silent_since().is_some_and(|since| now.since(since) >= SILENT)
    }

    /// When something is due next.
    pub(super) fn next_due(&self, waiting: Option<Instant>) -> Instant {
        let step = match self.level {
            Level::Good => UNSTABLE,
            Level::Unstable => LOST,
            Level::Lost | Level::Dropped => DROPPED,
        };
        let climb = self.silent_since().map(|since| since + step);
        let stall = waiting.map(|since| since + if self.level < Level::Lost { STALLED } else { DROPPED });
        [climb, stall, self.doubt].into_iter().flatten().fold(self.beat_due(), Instant::min)
    }

    /// When the next heartbeat is due: as planned, or as soon as the silence has lasted 2 s.
    fn beat_due(&self) -> Instant {
        let Some(since) = self.silent_since() else { return self.next_beat };
        let last = self.beats.back().map_or(Instant::ZERO, |(_, at)| *at);
        let begin = since + SILENT;
        if last < begin { self.next_beat.min(begin) } else { self.next_beat }
    }
}

/// 15 s ± 20 %.
fn idle_interval(jitter: &mut Random) -> Duration {
    let once = jitter.jittered(BEAT_IDLE);
    jitter.jittered(once)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn run(liveness: &mut Liveness, until: Instant) -> (Vec<Instant>, Vec<(Instant, Level)>) {
        let (mut jitter, mut beats, mut levels) = (Random::seeded(1), Vec::new(), Vec::new());
        while liveness.next_due(None) <= until {
            let now = liveness.next_due(None);
            beats.extend(liveness.beat(now, &mut jitter).map(|_| now));
            levels.extend(liveness.climb(now, None).map(|level| (now, level)));
            if levels.last().is_some_and(|(_, level)| *level == Level::Dropped) {
                break;
            }
        }
        (beats, levels)
    }

    #[test]
    fn silence_in_a_call_climbs_the_ladder_on_time() {
        let mut liveness = Liveness::new(at(0), &mut Random::seeded(1));
        liveness.set_in_call(true, at(1_000));
        let (beats, levels) = run(&mut liveness, at(60_000));
        let expected = [(6_000, Level::Unstable), (11_000, Level::Lost), (31_000, Level::Dropped)];
        assert_eq!(levels, expected.map(|(ms, level)| (at(ms), level)));
        assert_eq!(beats[0], at(3_000));
        assert!((25..=32).contains(&beats.len()), "{}", beats.len());
    }

    #[test]
    fn idle_silence_counts_from_the_first_unanswered_heartbeat() {
        let mut liveness = Liveness::new(at(0), &mut Random::seeded(1));
        let (beats, levels) = run(&mut liveness, at(100_000));
        let first = beats[0];
        assert!((12_000_000..=18_200_000).contains(&first.as_micros()), "{first:?}");
        assert_eq!(levels[0], (first + UNSTABLE, Level::Unstable));
        assert_eq!(levels[2], (first + DROPPED, Level::Dropped));
    }

    #[test]
    fn a_packet_ends_the_worry() {
        let mut liveness = Liveness::new(at(0), &mut Random::seeded(1));
        liveness.set_in_call(true, at(0));
        run(&mut liveness, at(7_000));
        assert!(liveness.hear(at(7_500), None));
        assert!(!liveness.hear(at(7_600), None));
        assert_eq!(liveness.climb(at(7_700), None), None);
    }

    #[test]
    fn a_stalled_stream_counts_as_lost() {
        let mut liveness = Liveness::new(at(0), &mut Random::seeded(1));
        assert_eq!(liveness.climb(at(11_999), Some(at(0))), None);
        assert_eq!(liveness.climb(at(12_000), Some(at(0))), Some(Level::Lost));
        assert!(!liveness.hear(at(12_500), Some(at(0))), "heartbeats alone do not help");
        assert_eq!(liveness.climb(at(30_000), Some(at(0))), Some(Level::Dropped));
    }
}
