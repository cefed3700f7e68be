// SPDX-License-Identifier: GPL-3.0-or-later
//! Every sequence of events, as far as they lead to states not seen before: of one peer, for a line that is free, taken by
//! another call, or has one held.

use std::collections::BTreeSet;

use super::super::callee::Callee;
use super::super::caller::Caller;
use super::super::state::{Call, Phase};
use super::*;

/// Both ways in which two IDs can compare, since crossed dials are decided by it.
const OWN: [u8; 2] = [1, 9];
const KEY: CallKey = CallKey { local: LocalId(0), peer: NodeId([5; 20]) };
/// How many events in a row are tried.
const DEPTH: usize = 8;
/// After how many timers every call must be over that is not talked. The longest way: a place in the queue is asked for
/// again, lapses, the last try is made, nobody replies; and meanwhile the other call rings out.
const TIMERS: usize = 12;

/// What can happen to a daemon.
#[derive(Clone, Copy, Debug)]
enum Event {
    User(User),
    Session(Session),
    /// A frame of this shape about the live call (`true`), or about another.
    Frame(Shape, bool),
    Timeout,
    /// The third hangs up.
    Third,
}

#[derive(Clone, Copy, Debug)]
enum User {
    Dial,
    Answer,
    Decline,
    Hangup,
    Hold,
    Switch,
    Wait,
    Leave,
}

#[derive(Clone, Copy, Debug)]
enum Session {
    Found,
    NotFound,
    Up,
    Lost,
    Recovered,
    Closed,
    Replaced,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    Initiate,
    Again,
    Ringing,
    Declined,
    Answer,
    Busy,
    Waiting,
    Leaving,
    WaitingReply,
    NoPlace,
    Terminate,
    TerminateReply,
    Hold,
    Resume,
}

const SHAPES: [Shape; 14] = [
    Shape::Initiate,
    Shape::Again,
    Shape::Ringing,
    Shape::Declined,
    Shape::Answer,
    Shape::Busy,
    Shape::Waiting,
    Shape::Leaving,
    Shape::WaitingReply,
    Shape::NoPlace,
    Shape::Terminate,
    Shape::TerminateReply,
    Shape::Hold,
    Shape::Resume,
];
const USERS: [User; 8] =
    [User::Dial, User::Answer, User::Decline, User::Hangup, User::Hold, User::Switch, User::Wait, User::Leave];
const SESSIONS: [Session; 7] = [
    Session::Found,
    Session::NotFound,
    Session::Up,
    Session::Lost,
    Session::Recovered,
    Session::Closed,
    Session::Replaced,
];

/// Everything a peer and the network can do.
fn from_outside() -> Vec<Event> {
    let frames = SHAPES.into_iter().flat_map(|shape| [Event::Frame(shape, true), Event::Frame(shape, false)]);
    frames.chain(SESSIONS.map(Event::Session)).chain([Event::Timeout, Event::Third]).collect()
}

fn all_events() -> Vec<Event> {
    from_outside().into_iter().chain(USERS.map(Event::User)).collect()
}

fn frame_of(shape: Shape, call_id: u32) -> Frame {
    match shape {
        Shape::Initiate => Frame::CallInitiate { call_id, attempt: 1, max_tries: 2 },
        Shape::Again => Frame::CallInitiate { call_id, attempt: 2, max_tries: 2 },
        Shape::Ringing => Frame::CallInitiateReply { call_id, ok: true, reason: Reason::Normal },
        Shape::Declined => Frame::CallInitiateReply { call_id, ok: false, reason: Reason::Declined },
        Shape::Answer => Frame::CallAnswer { call_id },
        Shape::Busy => Frame::CallBusy { call_id, can_wait: true, ttw: 5 },
        Shape::Waiting => Frame::CallWaiting { call_id, want: true },
        Shape::Leaving => Frame::CallWaiting { call_id, want: false },
        Shape::NoPlace => Frame::CallWaitingReply { call_id, ok: false, ttw: 0 },
        Shape::WaitingReply => Frame::CallWaitingReply { call_id, ok: true, ttw: 5 },
        Shape::Terminate => Frame::CallTerminate { call_id, reason: Reason::Normal },
        Shape::TerminateReply => Frame::CallTerminateReply { call_id, ok: true },
        Shape::Hold => Frame::CallHold { call_id, on: true },
        Shape::Resume => Frame::CallHold { call_id, on: false },
    }
}

/// A daemon in some state, whose media flows, and with whom its user has consented to talk.
#[derive(Clone)]
struct World {
    calls: Calls,
    now: Instant,
    media: Option<CallKey>,
    consent: BTreeSet<CallKey>,
}

/// What there is besides the calls with the peer.
#[derive(Clone, Copy, Debug)]
enum Third {
    Absent,
    Active,
    Held,
}

impl World {
    fn new(own: u8) -> Self {
        let mut calls = Calls::new(CallConfig { max_tries: 2, ..CallConfig::default() });
        calls.add_local(LocalId(0), NodeId([own; 20]));
        Self { calls, now: Instant::ZERO, media: None, consent: BTreeSet::new() }
    }

    /// The same, with a call with the third.
    fn with_third(own: u8, third: Third) -> Self {
        let mut world = Self::new(own);
        if matches!(third, Third::Absent) {
            return world;
        }
        world.third(Frame::CallInitiate { call_id: THIRDS_CALL, attempt: 1, max_tries: 1 });
        world.apply(Event::User(User::Answer), Verdict::Reject);
        if matches!(third, Third::Held) {
            world.apply(Event::User(User::Hold), Verdict::Reject);
        }
        world
    }

    fn third(&mut self, frame: Frame) {
        let key = CallKey { peer: THIRD, ..KEY };
        let verdict = || Verdict::Ring { contact: true };
        self.calls.handle_frame(key, frame, verdict, at(self.now), &mut Random::seeded(1));
        self.drain();
    }

    fn apply(&mut self, event: Event, verdict: Verdict) {
        let (now, mut random) = (at(self.now), Random::seeded(1));
        match event {
            Event::User(user) => self.act(user, now, &mut random),
            Event::Session(session) => self.report(session, now),
            Event::Frame(shape, live) => {
                let call_id = self.calls.live.get(&KEY).map_or(0, |call| call.call_id);
                let frame = frame_of(shape, if live { call_id } else { 0xdead });
                self.calls.handle_frame(KEY, frame, || verdict, now, &mut random);
            }
            Event::Timeout => {
                self.now = self.calls.poll_timeout().map_or(self.now, |deadline| deadline.at);
                self.calls.handle_timeout(at(self.now));
            }
            Event::Third => self.third(Frame::CallTerminate { call_id: THIRDS_CALL, reason: Reason::Normal }),
        }
        self.drain();
    }

    /// Notes that the user wants to talk in the call that a command was about.
    fn consents<E>(&mut self, number: Result<CallNumber, E>) {
        let call = number.ok().and_then(|number| self.calls.call(number));
        self.consent.extend(call.map(|call| call.key));
    }

    fn act(&mut self, user: User, now: Now, random: &mut Random) {
        match user {
            User::Dial => {
                let number = self.calls.dial(KEY, DialOptions::default(), now, random);
                self.consents(number);
            }
            User::Answer => {
                let number = self.calls.answer(None, now);
                self.consents(number);
            }
            User::Switch => {
                let number = self.calls.switch(None, now);
                self.consents(number);
            }
            User::Decline => drop(self.calls.decline(None, now).ok()),
            User::Hangup => drop(self.calls.hangup(None, now).ok()),
            User::Hold => drop(self.calls.hold(None, None, now).ok()),
            User::Wait => drop(self.calls.wait(None, true, now).ok()),
            User::Leave => drop(self.calls.wait(None, false, now).ok()),
        }
    }

    fn report(&mut self, session: Session, now: Now) {
        match session {
            Session::Found => self.calls.peer_found(KEY, now),
            Session::NotFound => self.calls.peer_not_found(KEY, EndCause::NotFound, now),
            Session::Up => self.calls.session_up(KEY, now),
            Session::Lost => self.calls.session_lost(KEY, now),
            Session::Recovered => self.calls.session_recovered(KEY, now),
            Session::Closed => self.calls.session_closed(KEY, Reason::PeerLost, now),
            Session::Replaced => self.calls.session_closed(KEY, Reason::Glare, now),
        }
    }

    /// Checks what must hold of every event.
    fn drain(&mut self) {
        while let Some(event) = self.calls.poll_event() {
            match event {
                CallEvent::StartMedia { key, .. } => {
                    assert!(self.consent.contains(&key), "media without consent");
                    assert_eq!(self.media.replace(key), None, "two calls sound");
                }
                CallEvent::StopMedia { key, .. } => assert_eq!(self.media.take(), Some(key), "stopped twice"),
                CallEvent::Changed(view) => {
                    assert_eq!(view.state == State::Ended, view.ended.is_some());
                    assert!(view.state != State::Ended || view.cause.is_some(), "an end without a cause");
                }
                CallEvent::SessionDone { key } => {
                    assert_ne!(self.media, Some(key), "media after the end");
                    self.consent.remove(&key);
                }
                _ => {}
            }
        }
        let active = self.calls.calls().find(|call| call.state == State::Active).map(|call| call.key);
        assert_eq!(self.media, active, "media flows exactly while a call is active");
        let count = |which: fn(&Call) -> bool| self.calls.live.values().filter(|call| which(call)).count();
        assert!(count(Call::is_current) <= 1 && count(Call::is_parked) <= 1 && count(Call::is_alerting) <= 1);
    }

    /// The state without what time and numbering add to it.
    fn shape(&self) -> String {
        let ago = |at: Instant| self.now.since(at).as_secs();
        let shape = |call: &Call| {
            let left = call.deadline.map(|deadline| deadline.at.since(self.now));
            let fresh = call.answered.map(|answered| self.now.since(answered.mono) < GLARE_WINDOW);
            let phase = match call.phase {
                Phase::Callee(Callee::Queued { .. }) => "queued".to_owned(),
                Phase::Caller(Caller::Waiting { renewing, .. }) => format!("waiting {renewing}"),
                phase => format!("{phase:?}"),
            };
            let early = call.told.map(|told| self.now.since(told) < RETRY_MIN);
            format!(
                "{phase} {} {left:?} {fresh:?} {:?} {:?} {:?}",
                call.ours,
                (call.held_here, call.held_there, call.lost),
                (call.attempt, call.tries, call.wait, call.can_wait, call.places),
                (early, call.waiting_since.map(ago).map(|waited| waited / 600)),
            )
        };
        let calls: Vec<String> = self.calls.live.values().map(shape).collect();
        let id_known = self.calls.past.replied(KEY, 0xdead, 1, self.now);
        let again = self.calls.past.replied(KEY, 0xdead, 2, self.now).is_some();
        let known = self.calls.live.get(&KEY).is_some_and(|call| call.call_id == 0xdead);
        format!("{calls:?} {id_known:?} {again} {known}")
    }
}

/// Visits every state that `events` lead to from `start`.
fn explore(start: Vec<World>, events: &[Event], verdict: Verdict, mut visit: impl FnMut(&World)) -> usize {
    let mut seen = BTreeSet::new();
    let mut frontier = start;
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for world in &frontier {
            for event in events {
                let mut world = world.clone();
                world.apply(*event, verdict);
                if seen.insert(world.shape()) {
                    visit(&world);
                    next.push(world);
                }
            }
        }
        frontier = next;
    }
    seen.len()
}

fn verdicts() -> [Verdict; 4] {
    [Verdict::Ring { contact: true }, Verdict::Ring { contact: false }, Verdict::Silent, Verdict::Reject]
}

/// A free line, a busy one, and one with a held call, for both IDs.
fn starts() -> Vec<World> {
    let thirds = [Third::Absent, Third::Active, Third::Held];
    OWN.into_iter().flat_map(|own| thirds.map(|third| World::with_third(own, third))).collect()
}

#[test]
fn p01_no_sequence_of_frames_starts_media_without_local_consent() {
    for verdict in verdicts() {
        for start in starts() {
            explore(vec![start], &from_outside(), verdict, |world| {
                assert!(world.media.is_none_or(|key| key.peer == THIRD));
            });
        }
    }
}

#[test]
fn p01_media_flows_only_in_a_consented_call_whatever_happens_around_it() {
    for verdict in verdicts() {
        let states = explore(starts(), &all_events(), verdict, |_| ());
        assert!(states > 1_000, "only {states} states were reached");
    }
}

#[test]
fn no_state_is_ever_stuck() {
    for verdict in verdicts() {
        explore(starts(), &all_events(), verdict, |world| {
            let mut world = world.clone();
            for _ in 0..TIMERS {
                world.apply(Event::Timeout, verdict);
            }
            let left: Vec<State> = world.calls.calls().map(|call| call.state).collect();
            assert!(left.iter().all(|state| matches!(state, State::Active | State::Held)), "{left:?} has no timer");
            for _ in 0..3 {
                world.apply(Event::User(User::Hangup), verdict);
                world.apply(Event::Timeout, verdict);
            }
            assert!(world.calls.is_empty());
        });
    }
}

#[test]
fn a_frame_that_comes_twice_changes_nothing() {
    for verdict in verdicts() {
        explore(starts(), &all_events(), verdict, |world| {
            for shape in SHAPES {
                let call_id = world.calls.live.get(&KEY).map_or(0xdead, |call| call.call_id);
                let mut once = world.clone();
                let feed = |world: &mut World| {
                    let frame = frame_of(shape, call_id);
                    world.calls.handle_frame(KEY, frame, || verdict, at(world.now), &mut Random::seeded(1));
                    world.drain();
                };
                feed(&mut once);
                let mut twice = once.clone();
                feed(&mut twice);
                assert_eq!(once.shape(), twice.shape(), "{shape:?} after {}", world.shape());
            }
        });
    }
}
