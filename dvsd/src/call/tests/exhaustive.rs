// SPDX-License-Identifier: GPL-3.0-or-later
//! Every sequence of events, as far as they lead to states not seen before.

use std::collections::BTreeSet;

use super::*;

/// Both ways in which two IDs can compare, since crossed dials are decided by it.
const OWN: [u8; 2] = [1, 9];
const KEY: CallKey = CallKey { local: LocalId(0), peer: NodeId([5; 20]) };
/// How many events in a row are tried.
const DEPTH: usize = 9;

/// What can happen to a daemon.
#[derive(Clone, Copy, Debug)]
enum Event {
    User(User),
    Session(Session),
    /// A frame of this shape about the live call (`true`), or about another.
    Frame(Shape, bool),
    Timeout,
}

#[derive(Clone, Copy, Debug)]
enum User {
    Dial,
    Answer,
    Decline,
    Hangup,
    Hold,
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
    Ringing,
    Declined,
    Answer,
    Busy,
    Waiting,
    WaitingReply,
    Terminate,
    TerminateReply,
    Hold,
    Resume,
}

const SHAPES: [Shape; 11] = [
    Shape::Initiate,
    Shape::Ringing,
    Shape::Declined,
    Shape::Answer,
    Shape::Busy,
    Shape::Waiting,
    Shape::WaitingReply,
    Shape::Terminate,
    Shape::TerminateReply,
    Shape::Hold,
    Shape::Resume,
];
const USERS: [User; 5] = [User::Dial, User::Answer, User::Decline, User::Hangup, User::Hold];
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
    frames.chain(SESSIONS.map(Event::Session)).chain([Event::Timeout]).collect()
}

fn all_events() -> Vec<Event> {
    from_outside().into_iter().chain(USERS.map(Event::User)).collect()
}

fn frame_of(shape: Shape, call_id: u32) -> Frame {
    match shape {
        Shape::Initiate => Frame::CallInitiate { call_id, attempt: 1, max_tries: 1 },
        Shape::Ringing => Frame::CallInitiateReply { call_id, ok: true, reason: Reason::Normal },
        Shape::Declined => Frame::CallInitiateReply { call_id, ok: false, reason: Reason::Declined },
        Shape::Answer => Frame::CallAnswer { call_id },
        Shape::Busy => Frame::CallBusy { call_id, can_wait: true, ttw: 5 },
        Shape::Waiting => Frame::CallWaiting { call_id, want: true },
        Shape::WaitingReply => Frame::CallWaitingReply { call_id, ok: true, ttw: 5 },
        Shape::Terminate => Frame::CallTerminate { call_id, reason: Reason::Normal },
        Shape::TerminateReply => Frame::CallTerminateReply { call_id, ok: true },
        Shape::Hold => Frame::CallHold { call_id, on: true },
        Shape::Resume => Frame::CallHold { call_id, on: false },
    }
}

/// A daemon in some state, and whether its user has consented to media since the call began.
#[derive(Clone)]
struct World {
    calls: Calls,
    now: Instant,
    media: bool,
    consent: bool,
}

impl World {
    fn new(own: u8) -> Self {
        let mut calls = Calls::new(CallConfig::default());
        calls.add_local(LocalId(0), NodeId([own; 20]));
        Self { calls, now: Instant::ZERO, media: false, consent: false }
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
        }
        self.drain();
    }

    fn act(&mut self, user: User, now: Now, random: &mut Random) {
        match user {
            User::Dial => self.consent |= self.calls.dial(KEY, DialOptions::default(), now, random).is_ok(),
            User::Answer => self.consent |= self.calls.answer(None, now).is_ok(),
            User::Decline => drop(self.calls.decline(None, now)),
            User::Hangup => drop(self.calls.hangup(None, now)),
            User::Hold => drop(self.calls.hold(None, None, now)),
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
                CallEvent::StartMedia { .. } => {
                    assert!(self.consent, "media without consent");
                    assert!(!self.media, "started twice");
                    self.media = true;
                }
                CallEvent::StopMedia { .. } => {
                    assert!(self.media, "stopped twice");
                    self.media = false;
                }
                CallEvent::Changed(view) => {
                    assert_eq!(view.state == State::Ended, view.ended.is_some());
                    assert!(view.state != State::Ended || view.cause.is_some(), "an end without a cause");
                }
                CallEvent::SessionDone { .. } => {
                    assert!(!self.media, "media after the end");
                    self.consent = false;
                }
                _ => {}
            }
        }
        let active = self.calls.calls().any(|call| call.state == State::Active);
        assert_eq!(self.media, active, "media flows exactly while a call is active");
    }

    /// The state without what time and numbering add to it.
    fn shape(&self) -> String {
        let shape = |call: &super::super::state::Call| {
            let left = call.deadline.map(|deadline| deadline.at.since(self.now));
            let fresh = call.answered.map(|answered| self.now.since(answered.mono) < GLARE_WINDOW);
            format!(
                "{:?} {} {left:?} {fresh:?} {:?}",
                call.phase,
                call.ours,
                (call.held_here, call.held_there, call.lost)
            )
        };
        let call = self.calls.live.get(&KEY).map(shape);
        let id_known = self.calls.past.replied(KEY, 0xdead, 1, self.now);
        format!("{call:?} {id_known:?} {}", self.calls.live.get(&KEY).is_some_and(|call| call.call_id == 0xdead))
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

#[test]
fn p01_no_sequence_of_frames_starts_media_without_local_consent() {
    for verdict in verdicts() {
        for own in OWN {
            explore(vec![World::new(own)], &from_outside(), verdict, |world| assert!(!world.media));
        }
    }
}

#[test]
fn p01_media_flows_only_in_a_consented_call_whatever_happens_around_it() {
    for verdict in verdicts() {
        let states = explore(OWN.map(World::new).to_vec(), &all_events(), verdict, |_| ());
        assert!(states > 20, "only {states} states were reached");
    }
}

#[test]
fn no_state_is_ever_stuck() {
    for verdict in verdicts() {
        explore(OWN.map(World::new).to_vec(), &all_events(), verdict, |world| {
            let mut world = world.clone();
            for _ in 0..8 {
                world.apply(Event::Timeout, verdict);
            }
            let left: Vec<State> = world.calls.calls().map(|call| call.state).collect();
            assert!(left.iter().all(|state| matches!(state, State::Active | State::Held)), "{left:?} has no timer");
            world.apply(Event::User(User::Hangup), verdict);
            world.apply(Event::Timeout, verdict);
            assert!(world.calls.is_empty());
        });
    }
}

#[test]
fn a_frame_that_comes_twice_changes_nothing() {
    for verdict in verdicts() {
        explore(OWN.map(World::new).to_vec(), &all_events(), verdict, |world| {
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
