// SPDX-License-Identifier: GPL-3.0-or-later
//! Two daemons' calls joined by a virtual link: frames arrive in order and once, as sessions deliver them, but a
//! session may be replaced at any moment.

use core::time::Duration;
use std::collections::BTreeMap;

use super::*;
use crate::random::Random;
use crate::time::{Instant, Now};
use crate::wire::control::Reason;

mod busy;
mod crowd;
mod exhaustive;
mod glare;
mod line;
mod misbehaviour;
mod queue;
mod signalling;
mod two_calls;

/// Somebody who keeps an end of the link busy.
const THIRD: NodeId = NodeId([7; 20]);
/// The name of the third's call.
const THIRDS_CALL: u32 = 0x3333;

/// One way through the link, unless a test wants another.
const DELAY: Duration = Duration::from_millis(20);
/// How long the overlay needs to find a peer.
const LOOKUP: Duration = Duration::from_millis(150);

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(mono: Instant) -> Now {
    Now { mono, unix: 1_000_000 + mono.as_micros() / 1_000_000 }
}

/// One end of the link.
struct End {
    calls: Calls,
    key: CallKey,
    /// What this end thinks of the other's calls.
    verdict: Verdict,
    /// Whether it has been told of a session.
    session: bool,
    /// Media flows between the two ends.
    media: bool,
    /// The call whose media flows, be it with somebody else.
    sounding: Option<CallNumber>,
    /// How often media started.
    starts: u32,
    rung: bool,
    /// Every call it was shown, in its latest state.
    views: BTreeMap<CallNumber, CallView>,
    /// Every frame it sent.
    sent: Vec<Frame>,
    /// When the last frame to it arrives: none overtakes another.
    last_arrival: Instant,
    random: Random,
}

impl End {
    fn new(own: u8, peer: u8, random: Random) -> Self {
        let mut calls = Calls::new(CallConfig::default());
        calls.add_local(LocalId(0), NodeId([own; 20]));
        Self {
            calls,
            key: CallKey { local: LocalId(0), peer: NodeId([peer; 20]) },
            verdict: Verdict::Ring { contact: true },
            session: false,
            media: false,
            sounding: None,
            starts: 0,
            rung: false,
            views: BTreeMap::new(),
            sent: Vec::new(),
            last_arrival: Instant::ZERO,
            random,
        }
    }

    fn last(&self) -> &CallView {
        self.views.values().rfind(|view| view.key == self.key).expect("a call")
    }

    /// The call with whoever keeps this end busy.
    fn aside(&self) -> CallKey {
        CallKey { peer: THIRD, ..self.key }
    }

    /// The states of all calls that are not over, the peer's first if its ID is the lower.
    fn states(&self) -> Vec<State> {
        self.calls.calls().map(|call| call.state).collect()
    }

    /// How many frames this end sent that are like `which`.
    fn count(&self, which: impl Fn(&Frame) -> bool) -> usize {
        self.sent.iter().filter(|frame| which(frame)).count()
    }
}

/// What happens later.
#[derive(Clone, Debug)]
enum Later {
    Found(usize),
    SessionUp(usize),
    Frame(usize, Frame),
}

struct Pair {
    now: Instant,
    ends: [End; 2],
    later: BTreeMap<(Instant, u64), Later>,
    counter: u64,
    delay: Duration,
    lookup: Duration,
    /// The handshake's packets arrive.
    reachable: bool,
}

impl Pair {
    /// Two strangers to each other's calls, no session yet. End 0 has the lower ID.
    fn new(seed: u64) -> Self {
        Self {
            now: Instant::ZERO,
            ends: [End::new(1, 2, Random::seeded(seed)), End::new(2, 1, Random::seeded(!seed))],
            later: BTreeMap::new(),
            counter: 0,
            delay: DELAY,
            lookup: LOOKUP,
            reachable: true,
        }
    }

    /// Two ends with a session between them.
    fn connected() -> Self {
        let mut pair = Self::new(1);
        pair.ends.iter_mut().for_each(|end| end.session = true);
        pair
    }

    /// Two ends in a call that end 0 dialled.
    fn talking() -> Self {
        let mut pair = Self::connected();
        pair.dial(0);
        pair.run(secs(1));
        pair.answer(1);
        pair.run(secs(1));
        assert_eq!(pair.states(), [State::Active; 2]);
        pair
    }

    fn now(&self) -> Now {
        at(self.now)
    }

    fn schedule(&mut self, at: Instant, what: Later) {
        self.counter += 1;
        self.later.insert((at, self.counter), what);
    }

    fn dial(&mut self, end: usize) {
        self.dial_with(end, DialOptions::default());
    }

    fn dial_with(&mut self, end: usize, options: DialOptions) {
        let (now, key) = (self.now(), self.ends[end].key);
        let End { calls, random, .. } = &mut self.ends[end];
        calls.dial(key, options, now, random).expect("the line is free");
        self.drain(end);
    }

    /// A frame from the third to one end.
    fn third_says(&mut self, end: usize, frame: Frame) {
        let (now, key) = (self.now(), self.ends[end].aside());
        let End { calls, random, .. } = &mut self.ends[end];
        calls.handle_frame(key, frame, || Verdict::Ring { contact: true }, now, random);
        self.drain(end);
    }

    /// One end talks to the third.
    fn engage(&mut self, end: usize) {
        let now = self.now();
        self.third_says(end, Frame::CallInitiate { call_id: THIRDS_CALL, attempt: 1, max_tries: 1 });
        let number = self.ends[end].calls.calls().find(|call| call.key.peer == THIRD).map(|call| call.number);
        self.ends[end].calls.answer(number, now).expect("the third rings");
        self.drain(end);
    }

    /// The third hangs up.
    fn release(&mut self, end: usize) {
        self.third_says(end, Frame::CallTerminate { call_id: THIRDS_CALL, reason: Reason::Normal });
    }

    /// What the user of one end does, and whether it worked.
    fn act<T, E>(
        &mut self,
        end: usize,
        act: impl FnOnce(&mut Calls, Option<CallNumber>, Now) -> Result<T, E>,
    ) -> Result<T, E> {
        let (now, key) = (self.now(), self.ends[end].key);
        let number = self.ends[end].calls.calls().find(|call| call.key == key).map(|call| call.number);
        let outcome = act(&mut self.ends[end].calls, number, now);
        self.drain(end);
        outcome
    }

    fn wait(&mut self, end: usize, on: bool) -> Result<CallNumber, CallError> {
        self.act(end, |calls, number, now| calls.wait(number, on, now))
    }

    fn answer(&mut self, end: usize) {
        let now = self.now();
        self.ends[end].calls.answer(None, now).expect("it rings");
        self.drain(end);
    }

    fn decline(&mut self, end: usize) {
        let now = self.now();
        self.ends[end].calls.decline(None, now).expect("it rings");
        self.drain(end);
    }

    fn hangup(&mut self, end: usize) {
        let now = self.now();
        self.ends[end].calls.hangup(None, now).expect("there is a call");
        self.drain(end);
    }

    fn hold(&mut self, end: usize, on: bool) {
        let now = self.now();
        self.ends[end].calls.hold(None, Some(on), now).expect("there is a call");
        self.drain(end);
    }

    /// Something the session of one end reports.
    fn report(&mut self, end: usize, report: impl FnOnce(&mut Calls, CallKey, Now)) {
        let (now, key) = (self.now(), self.ends[end].key);
        report(&mut self.ends[end].calls, key, now);
        self.drain(end);
    }

    /// The daemon of one end dies and comes back with nothing; a new session replaces the old.
    fn restart(&mut self, end: usize) {
        let (own, peer) = (self.ends[1 - end].key.peer.0[0], self.ends[end].key.peer.0[0]);
        self.ends[end] = End::new(own, peer, Random::seeded(99));
        self.ends[end].session = true;
        self.later.clear();
        self.report(1 - end, Calls::session_moved);
    }

    /// The session is replaced: what is under way comes late, what came last may come again, and both ends are told.
    fn replace_session(&mut self, random: &mut Random) {
        for (_, later) in core::mem::take(&mut self.later) {
            let extra = Duration::from_millis(random.below(200));
            let Later::Frame(end, frame) = later else {
                self.schedule(self.now + extra, later);
                continue;
            };
            let arrival = self.ends[end].last_arrival.max(self.now + extra);
            self.ends[end].last_arrival = arrival;
            self.schedule(arrival, Later::Frame(end, frame));
        }
        for end in [0, 1] {
            if let Some(frame) = self.ends[1 - end].sent.last().cloned().filter(|_| random.below(2) == 0) {
                self.schedule(self.now + self.delay, Later::Frame(end, frame));
            }
            if self.ends[end].session {
                self.report(end, Calls::session_moved);
            }
        }
    }

    fn drain(&mut self, index: usize) {
        while let Some(event) = self.ends[index].calls.poll_event() {
            let end = &mut self.ends[index];
            match event {
                CallEvent::FindPeer { .. } if end.session => self.schedule(self.now, Later::SessionUp(index)),
                CallEvent::FindPeer { .. } => self.schedule(self.now + self.lookup, Later::Found(index)),
                CallEvent::Connect { .. } if self.reachable => {
                    self.schedule(self.now + self.delay * 2, Later::SessionUp(index));
                    self.schedule(self.now + self.delay * 3, Later::SessionUp(1 - index));
                }
                CallEvent::Connect { .. } => {}
                CallEvent::Send { key, .. } if key != end.key => {}
                CallEvent::Send { frame, .. } => {
                    end.sent.push(frame.clone());
                    let other = &mut self.ends[1 - index];
                    other.last_arrival = other.last_arrival.max(self.now + self.delay);
                    let arrival = other.last_arrival;
                    self.schedule(arrival, Later::Frame(1 - index, frame));
                }
                CallEvent::StartMedia { key, number, .. } => {
                    assert_eq!(end.sounding.replace(number), None, "two calls sound");
                    end.media |= key == end.key;
                    end.starts += 1;
                }
                CallEvent::StopMedia { key, number } => {
                    assert_eq!(end.sounding.take(), Some(number), "stopped twice");
                    end.media &= key != end.key;
                }
                CallEvent::Changed(view) => {
                    end.rung |= view.key == end.key && view.state == State::Alerting;
                    end.views.insert(view.number, view);
                }
                CallEvent::Misbehaved { .. } => panic!("honest peers do not misbehave"),
                CallEvent::InCall { .. } | CallEvent::SessionDone { .. } => {}
            }
        }
    }

    /// Lets time pass.
    fn run(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(next) = self.next().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.step();
        }
        self.now = until;
    }

    fn next(&self) -> Option<Instant> {
        let timeouts = self.ends.iter().filter_map(|end| end.calls.poll_timeout()).map(|deadline| deadline.at);
        self.later.keys().next().map(|(at, _)| *at).into_iter().chain(timeouts).min()
    }

    fn step(&mut self) {
        let now = self.now();
        match self.later.first_entry().filter(|entry| entry.key().0 <= now.mono).map(|entry| entry.remove()) {
            Some(Later::Found(end)) => self.report(end, Calls::peer_found),
            Some(Later::SessionUp(end)) => {
                self.ends[end].session = true;
                self.report(end, Calls::session_up);
            }
            Some(Later::Frame(end, frame)) => {
                let End { calls, random, key, verdict, .. } = &mut self.ends[end];
                calls.handle_frame(*key, frame, || *verdict, now, random);
                self.drain(end);
            }
            None => {
                for end in [0, 1] {
                    self.ends[end].calls.handle_timeout(now);
                    self.drain(end);
                }
            }
        }
    }

    fn states(&self) -> [State; 2] {
        [0, 1].map(|end| self.ends[end].last().state)
    }

    /// Why the last call of each end is over.
    fn causes(&self) -> [Option<EndCause>; 2] {
        [0, 1].map(|end| self.ends[end].last().cause.filter(|_| !self.ends[end].calls.is_live(self.ends[end].key)))
    }

    fn media(&self) -> [bool; 2] {
        [0, 1].map(|end| self.ends[end].media)
    }
}
