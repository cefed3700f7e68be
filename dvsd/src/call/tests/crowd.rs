// SPDX-License-Identifier: GPL-3.0-or-later
//! One daemon, several peers, and anything in any order.

use super::super::state::Call;
use super::*;

const PEERS: u8 = 7;

fn key(random: &mut Random) -> CallKey {
    CallKey { local: LocalId(0), peer: NodeId([random.below(PEERS.into()) as u8 + 1; 20]) }
}

/// A frame about some call, mostly about one that exists; often one that fills the queue.
fn any_frame(calls: &Calls, key: CallKey, random: &mut Random) -> Frame {
    let live = calls.live.get(&key).map(|call| call.call_id).filter(|_| random.below(5) > 0);
    let call_id = live.unwrap_or_else(|| random.below(1_000) as u32);
    let flag = random.below(2) == 0;
    let reason = Reason::from_wire(random.below(13) as u8);
    match random.below(14) {
        0 | 1 | 9 | 10 => Frame::CallInitiate { call_id, attempt: random.below(4) as u8, max_tries: 3 },
        2 => Frame::CallInitiateReply { call_id, ok: flag, reason },
        3 => Frame::CallAnswer { call_id },
        4 => Frame::CallBusy { call_id, can_wait: flag, ttw: 9 },
        5 | 11 | 12 => Frame::CallWaiting { call_id, want: random.below(4) > 0 },
        6 => Frame::CallTerminate { call_id, reason },
        7 => Frame::CallTerminateReply { call_id, ok: flag },
        8 => Frame::CallWaitingReply { call_id, ok: flag, ttw: random.below(200) as u16 },
        _ => Frame::CallHold { call_id, on: flag },
    }
}

fn any_verdict(random: &mut Random) -> Verdict {
    match random.below(12) {
        0 => Verdict::Blocked,
        1 => Verdict::Reject,
        2 => Verdict::Silent,
        3 => Verdict::AutoAnswer,
        contact => Verdict::Ring { contact: contact > 4 },
    }
}

fn any_event(calls: &mut Calls, now: Now, random: &mut Random) {
    let key = key(random);
    let options = DialOptions { tries: Some(random.below(4) as u8), wait: random.below(2) == 0 };
    let number = calls.live.get(&key).map(|call| call.number).filter(|_| random.below(2) == 0);
    match random.below(30) {
        0 => drop(calls.dial(key, options, now, random)),
        1 | 14 => drop(calls.answer(number, now)),
        2 => drop(calls.decline(None, now)),
        3 => drop(calls.hangup(None, now)),
        4 => drop(calls.hold(number, None, now)),
        15 => drop(calls.switch(number, now)),
        16 => drop(calls.wait(number, random.below(3) > 0, now)),
        17 => calls.session_unstable(key, random.below(2) == 0, now),
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
fn whatever_happens_one_call_has_the_line_one_is_held_one_rings_and_three_wait_at_most() {
    let mut random = Random::seeded(21);
    let mut calls = Calls::new(CallConfig::default());
    calls.add_local(LocalId(0), NodeId([2; 20]));
    let mut now = Instant::ZERO;
    let (mut media, mut talked, mut most) = (None, 0, [0; 4]);
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
        let count = |which: fn(&Call) -> bool| calls.live.values().filter(|call| which(call)).count();
        assert!(count(Call::is_current) <= 1 && count(Call::is_parked) <= 1 && count(Call::is_alerting) <= 1);
        assert!(calls.queue().len() <= MAX_QUEUE);
        let free = count(Call::is_current) + count(Call::is_alerting) == 0;
        assert!(!free || calls.queue().iter().all(|call| call.lost), "somebody waits for a free line");
        most = [Call::is_current, Call::is_parked, Call::is_alerting, |call: &Call| call.queued_since().is_some()]
            .map(count)
            .into_iter()
            .zip(most)
            .map(|(now, before)| now.max(before))
            .collect::<Vec<_>>()
            .try_into()
            .unwrap();
    }
    assert!(talked > 300, "only {talked} calls were talked");
    assert!(most[..3] == [1; 3] && most[3] == MAX_QUEUE, "{most:?}: every place was taken at some time");
    calls.end_all(Reason::GoingAway, at(now));
    assert!(calls.is_empty() && calls.poll_timeout().is_none());
}
