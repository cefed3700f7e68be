// SPDX-License-Identifier: GPL-3.0-or-later
//! One daemon, several peers, and anything in any order.

use super::*;

const PEERS: u8 = 4;

fn key(random: &mut Random) -> CallKey {
    CallKey { local: LocalId(0), peer: NodeId([random.below(PEERS.into()) as u8 + 1; 20]) }
}

/// A frame about one of a few calls, or about one that exists.
fn any_frame(calls: &Calls, key: CallKey, random: &mut Random) -> Frame {
    let live = calls.live.get(&key).map(|call| call.call_id).filter(|_| random.below(2) == 0);
    let call_id = live.unwrap_or_else(|| random.below(3) as u32);
    let flag = random.below(2) == 0;
    let reason = Reason::from_wire(random.below(13) as u8);
    match random.below(9) {
        0 | 1 => Frame::CallInitiate { call_id, attempt: random.below(4) as u8, max_tries: 3 },
        2 => Frame::CallInitiateReply { call_id, ok: flag, reason },
        3 => Frame::CallAnswer { call_id },
        4 => Frame::CallBusy { call_id, can_wait: flag, ttw: 9 },
        5 => Frame::CallWaiting { call_id, want: flag },
        6 => Frame::CallTerminate { call_id, reason },
        7 => Frame::CallTerminateReply { call_id, ok: flag },
        _ => Frame::CallHold { call_id, on: flag },
    }
}

fn any_verdict(random: &mut Random) -> Verdict {
    match random.below(6) {
        0 => Verdict::Blocked,
        1 => Verdict::Reject,
        2 => Verdict::Silent,
        3 => Verdict::AutoAnswer,
        contact => Verdict::Ring { contact: contact == 4 },
    }
}

fn any_event(calls: &mut Calls, now: Now, random: &mut Random) {
    let key = key(random);
    match random.below(20) {
        0 => drop(calls.dial(key, now, random)),
        1 => drop(calls.answer(None, now)),
        2 => drop(calls.decline(None, now)),
        3 => drop(calls.hangup(None, now)),
        4 => drop(calls.hold(None, None, now)),
        5 => calls.peer_found(key, now),
        6 => calls.peer_not_found(key, EndCause::Offline, now),
        7 => calls.session_up(key, now),
        8 => calls.session_moved(key, now),
        9 => calls.session_lost(key, now),
        10 => calls.session_recovered(key, now),
        11 => calls.session_closed(key, Reason::from_wire(random.below(13) as u8), now),
        12 => calls.abort(key, EndCause::MediaFailure, now),
        13 => calls.handle_timeout(now),
        _ => {
            let (frame, verdict) = (any_frame(calls, key, random), any_verdict(random));
            calls.handle_frame(key, frame, || verdict, now, random);
        }
    }
}

#[test]
fn whatever_happens_one_call_is_talked_and_one_rings_at_most() {
    let mut random = Random::seeded(21);
    let mut calls = Calls::new(CallConfig::default());
    calls.add_local(LocalId(0), NodeId([2; 20]));
    let mut now = Instant::ZERO;
    let (mut media, mut talked) = (None, 0);
    for _ in 0..100_000 {
        now = now + Duration::from_millis(random.below(1_500));
        any_event(&mut calls, at(now), &mut random);
        while let Some(event) = calls.poll_event() {
            match event {
                CallEvent::StartMedia { number, .. } => {
                    assert_eq!(media.replace(number), None);
                    talked += 1;
                }
                CallEvent::StopMedia { number, .. } => assert_eq!(media.take(), Some(number)),
                _ => {}
            }
        }
        assert!(calls.live.values().filter(|call| call.is_engaged()).count() <= 1);
        assert!(calls.live.values().filter(|call| call.is_alerting()).count() <= 1);
    }
    assert!(talked > 300, "only {talked} calls were talked");
    calls.end_all(Reason::GoingAway, at(now));
    assert!(calls.is_empty() && calls.poll_timeout().is_none());
}
