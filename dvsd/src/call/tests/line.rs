// SPDX-License-Identifier: GPL-3.0-or-later
//! One daemon against the frames of several peers.

use super::*;

/// A daemon, and a peer's frames fed to it by hand.
pub(super) struct Line {
    pub(super) calls: Calls,
    pub(super) now: Instant,
    pub(super) random: Random,
}

pub(super) const ANNA: CallKey = CallKey { local: LocalId(0), peer: NodeId([7; 20]) };
pub(super) const BERT: CallKey = CallKey { local: LocalId(0), peer: NodeId([8; 20]) };
pub(super) const CONTACT: Verdict = Verdict::Ring { contact: true };
pub(super) const STRANGER: Verdict = Verdict::Ring { contact: false };

pub(super) fn invite(call_id: u32, attempt: u8) -> Frame {
    Frame::CallInitiate { call_id, attempt, max_tries: 3 }
}

pub(super) fn replied(call_id: u32, ok: bool, reason: Reason) -> Frame {
    Frame::CallInitiateReply { call_id, ok, reason }
}

impl Line {
    pub(super) fn new() -> Self {
        let mut calls = Calls::new(CallConfig::default());
        calls.add_local(LocalId(0), NodeId([1; 20]));
        Self { calls, now: Instant::ZERO, random: Random::seeded(1) }
    }

    /// Anna called, and was answered.
    pub(super) fn talking_to_anna() -> Self {
        let mut line = Self::new();
        line.frame(ANNA, invite(1, 1), CONTACT);
        line.calls.answer(None, at(line.now)).unwrap();
        line.events();
        line
    }

    pub(super) fn events(&mut self) -> Vec<CallEvent> {
        core::iter::from_fn(|| self.calls.poll_event()).collect()
    }

    pub(super) fn sent(&mut self) -> Vec<Frame> {
        let frame = |event| if let CallEvent::Send { frame, .. } = event { Some(frame) } else { None };
        self.events().into_iter().filter_map(frame).collect()
    }

    /// What is sent in reply to a frame.
    pub(super) fn frame(&mut self, key: CallKey, frame: Frame, verdict: Verdict) -> Vec<Frame> {
        self.calls.handle_frame(key, frame, || verdict, at(self.now), &mut self.random);
        self.sent()
    }

    pub(super) fn pass(&mut self, time: Duration) -> Vec<Frame> {
        self.now = self.now + time;
        self.calls.handle_timeout(at(self.now));
        self.sent()
    }

    pub(super) fn states(&self) -> Vec<State> {
        self.calls.calls().map(|call| call.state).collect()
    }
}

#[test]
fn f26_a_second_contact_hears_busy_and_is_noted() {
    let mut line = Line::talking_to_anna();
    line.calls.handle_frame(BERT, invite(2, 1), || CONTACT, at(line.now), &mut line.random);
    let events = line.events();
    assert!(matches!(
        events[..],
        [
            CallEvent::Send { frame: Frame::CallBusy { call_id: 2, can_wait: true, ttw: 30 }, .. },
            CallEvent::InCall { key: BERT, on: true },
            CallEvent::Changed(CallView { state: State::Busy, direction: Direction::Incoming, .. }),
        ]
    ));
    assert_eq!(line.states(), [State::Active, State::Busy]);
    line.pass(secs(40));
    assert_eq!(line.states(), [State::Active], "it is heard of no more");
}

#[test]
fn a_second_stranger_does_not_learn_that_the_line_is_busy() {
    let mut line = Line::talking_to_anna();
    assert_eq!(line.frame(BERT, invite(2, 1), STRANGER), []);
    assert_eq!(line.pass(Duration::from_millis(999)), []);
    assert_eq!(line.pass(Duration::from_millis(2_001)), [replied(2, false, Reason::Declined)]);
    assert_eq!(line.frame(BERT, invite(3, 1), Verdict::Silent), [replied(3, true, Reason::Normal)]);
    assert_eq!(line.states(), [State::Active]);
}

#[test]
fn while_one_rings_a_second_does_not() {
    let mut line = Line::new();
    line.frame(ANNA, invite(1, 1), CONTACT);
    assert!(matches!(line.frame(BERT, invite(2, 1), CONTACT)[..], [Frame::CallBusy { .. }]));
    assert!(matches!(line.frame(BERT, invite(3, 1), Verdict::AutoAnswer)[..], [Frame::CallBusy { .. }]));
    assert_eq!(line.states(), [State::Alerting, State::Busy]);
}

#[test]
fn d34_an_invitation_that_comes_again_gets_the_same_reply_and_nothing_else() {
    let mut line = Line::new();
    assert_eq!(line.frame(ANNA, invite(1, 1), CONTACT), [replied(1, true, Reason::Normal)]);
    assert_eq!(line.frame(ANNA, invite(1, 1), Verdict::Reject), [replied(1, true, Reason::Normal)]);
    line.calls.answer(None, at(line.now)).unwrap();
    line.events();
    assert_eq!(line.frame(ANNA, invite(1, 1), Verdict::Reject), [Frame::CallAnswer { call_id: 1 }]);
    assert_eq!(line.states(), [State::Active]);
}

#[test]
fn a_declined_invitation_that_comes_again_is_declined_again_without_ringing() {
    let mut line = Line::new();
    line.frame(ANNA, invite(1, 1), CONTACT);
    line.calls.decline(None, at(line.now)).unwrap();
    line.events();
    assert_eq!(line.frame(ANNA, invite(1, 1), CONTACT), [replied(1, false, Reason::Declined)]);
    assert_eq!(line.states(), []);
}

#[test]
fn an_invitation_taken_back_does_not_ring_when_it_comes_again() {
    let mut line = Line::new();
    line.frame(ANNA, invite(1, 1), CONTACT);
    let end = Frame::CallTerminate { call_id: 1, reason: Reason::Normal };
    assert_eq!(line.frame(ANNA, end.clone(), CONTACT), [Frame::CallTerminateReply { call_id: 1, ok: true }]);
    assert_eq!(line.frame(ANNA, invite(1, 1), CONTACT), []);
    assert_eq!(line.frame(ANNA, end, CONTACT), [Frame::CallTerminateReply { call_id: 1, ok: false }]);
}

#[test]
fn a_further_attempt_after_busy_is_decided_anew() {
    let mut line = Line::talking_to_anna();
    let busy = line.frame(BERT, invite(2, 1), CONTACT);
    assert_eq!(line.frame(BERT, invite(2, 1), CONTACT), busy);
    line.frame(ANNA, Frame::CallTerminate { call_id: 1, reason: Reason::Normal }, CONTACT);
    assert_eq!(line.frame(BERT, invite(2, 1), CONTACT), busy);
    line.pass(secs(5));
    assert_eq!(line.frame(BERT, invite(2, 2), CONTACT), [replied(2, true, Reason::Normal)]);
}

#[test]
fn d34_a_new_invitation_of_the_same_peer_ends_the_old_call() {
    let mut line = Line::talking_to_anna();
    let left = Frame::CallTerminate { call_id: 1, reason: Reason::PeerRestarted };
    assert_eq!(line.frame(ANNA, invite(9, 1), CONTACT), [left, replied(9, true, Reason::Normal)]);
    assert_eq!(line.states(), [State::Alerting]);
    assert_eq!(line.frame(ANNA, invite(1, 1), CONTACT), []);
    assert_eq!(line.states(), [State::Alerting]);
}

#[test]
fn d33_frames_about_unknown_calls_are_answered_so_that_the_peer_learns() {
    let mut line = Line::new();
    let unknown = Frame::CallTerminate { call_id: 5, reason: Reason::PeerRestarted };
    for (frame, reply) in [
        (
            Frame::CallTerminate { call_id: 5, reason: Reason::Normal },
            Some(Frame::CallTerminateReply { call_id: 5, ok: false }),
        ),
        (Frame::CallTerminateReply { call_id: 5, ok: true }, None),
        (Frame::CallAnswer { call_id: 5 }, Some(unknown.clone())),
        (Frame::CallHold { call_id: 5, on: true }, Some(unknown.clone())),
        (Frame::CallWaitingReply { call_id: 5, ok: true, ttw: 9 }, Some(unknown.clone())),
        (replied(5, true, Reason::Normal), Some(unknown)),
        (replied(5, false, Reason::Declined), None),
        (Frame::CallBusy { call_id: 5, can_wait: true, ttw: 5 }, None),
        (
            Frame::CallWaiting { call_id: 5, want: true },
            Some(Frame::CallWaitingReply { call_id: 5, ok: false, ttw: 0 }),
        ),
        (Frame::CallWaitingReply { call_id: 5, ok: false, ttw: 0 }, None),
        (Frame::RekeyReq { epoch: 1 }, None),
    ] {
        assert_eq!(line.frame(ANNA, frame.clone(), CONTACT), Vec::from_iter(reply), "{frame:?}");
    }
    assert!(line.calls.is_empty());
}

#[test]
fn f09_p07_a_peer_ends_only_its_own_call() {
    let mut line = Line::talking_to_anna();
    let end = Frame::CallTerminate { call_id: 1, reason: Reason::Normal };
    assert_eq!(line.frame(BERT, end, CONTACT), [Frame::CallTerminateReply { call_id: 1, ok: false }]);
    assert_eq!(line.states(), [State::Active]);
}

#[test]
fn commands_say_why_they_make_no_sense() {
    let mut line = Line::talking_to_anna();
    let (now, one) = (at(line.now), CallNumber(1));
    assert_eq!(line.calls.dial(BERT, DialOptions::default(), now, &mut line.random), Err(DialError::InCall(one)));
    assert_eq!(line.calls.dial(ANNA, DialOptions::default(), now, &mut line.random), Err(DialError::InCall(one)));
    assert_eq!(line.calls.answer(None, now), Err(CallError::NoSuchCall));
    assert_eq!(line.calls.answer(Some(one), now), Err(CallError::NotRinging(one)));
    assert_eq!(line.calls.decline(Some(one), now), Err(CallError::NotRinging(one)));
    assert_eq!(line.calls.hangup(Some(CallNumber(9)), now), Err(CallError::NoSuchCall));
    let mut line = Line::new();
    assert_eq!(line.calls.hangup(None, now), Err(CallError::NoSuchCall));
    line.calls.dial(ANNA, DialOptions::default(), now, &mut line.random).unwrap();
    assert_eq!(line.calls.hold(None, None, now), Err(CallError::NotAnswered(one)));
}

#[test]
fn who_dials_somebody_else_while_it_rings_must_hang_up_before_answering() {
    let mut line = Line::new();
    line.frame(ANNA, invite(1, 1), CONTACT);
    let dialled = line.calls.dial(BERT, DialOptions::default(), at(line.now), &mut line.random).unwrap();
    assert_eq!(line.calls.answer(None, at(line.now)), Err(CallError::InCall(dialled)));
    assert_eq!(line.calls.hangup(None, at(line.now)), Ok(dialled));
    assert_eq!(line.calls.answer(None, at(line.now)), Ok(CallNumber(1)));
}

#[test]
fn a_flood_of_invitations_costs_bounded_memory() {
    let mut line = Line::new();
    for index in 0..10_000_u32 {
        let peer = NodeId(core::array::from_fn(|byte| index.to_be_bytes()[byte % 4]));
        line.frame(CallKey { local: LocalId(0), peer }, invite(index, 1), Verdict::Silent);
    }
    assert_eq!(line.calls.live.len(), MAX_CALLS);
}

#[test]
fn a_new_session_is_told_to_watch_closely_too() {
    let mut line = Line::talking_to_anna();
    line.calls.session_moved(ANNA, at(line.now));
    assert!(line.events().contains(&CallEvent::InCall { key: ANNA, on: true }));
}
