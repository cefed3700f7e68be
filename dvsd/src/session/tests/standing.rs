// SPDX-License-Identifier: GPL-3.0-or-later
//! Several sessions with one peer: what is said on which, and what becomes of the frames.

use super::*;

/// The bits of the first byte that are the slot.
const SLOTS: u8 = 0x1f;

fn id_order(pair: &Pair) -> bool {
    pair.ends[ALICE].id() < pair.ends[BOB].id()
}

/// A pair in which Alice has the lower ID, so that the sessions she begins win.
fn alice_wins() -> Pair {
    (1..).map(Pair::new).find(id_order).unwrap()
}

/// `who` begins another session beside the one there is.
fn dial_beside(pair: &mut Pair, who: usize) {
    let (now, session, path) = (pair.clock(), pair.session(who), pair.ends[1 - who].path);
    let End { sessions, random, .. } = &mut pair.ends[who];
    sessions.connect_beside(session, &[(path, None)], now, random);
    pair.drain(who);
}

/// `who` says `frame` in the session with that slot, whichever is in use.
fn say_on(pair: &mut Pair, who: usize, slot: u8, frame: Frame) {
    let now = pair.clock();
    let End { sessions, random, .. } = &mut pair.ends[who];
    let session = sessions.sessions.values_mut().find(|session| session.slot == slot).unwrap();
    session.control.send(frame, now.mono);
    sessions.handle_timeout(now, random);
    pair.drain(who);
}

/// Runs for `millis` while no packet to a slot of `lost` arrives.
fn run_without(pair: &mut Pair, millis: u64, lost: &[u8]) {
    for _ in 0..millis {
        pair.wire.retain(|flight| flight.datagram[0] < 0x80 || !lost.contains(&(flight.datagram[0] & SLOTS)));
        pair.run(ms(1));
    }
}

fn told_glare(pair: &Pair, who: usize) -> usize {
    let of_glare = |event: &&SessionEvent| matches!(event, SessionEvent::Closed { reason: Reason::Glare, .. });
    pair.ends[who].events.iter().filter(of_glare).count()
}

#[test]
fn frames_that_moved_to_another_session_leave_no_gap_in_the_one_that_wins_again() {
    let mut pair = alice_wins();
    pair.dial(ALICE);
    pair.run(ms(200));
    let first = pair.session(ALICE);
    pair.link.loss = 100;
    pair.send(ALICE, &ring(1));
    pair.wire.clear();
    pair.link.loss = 0;
    dial_beside(&mut pair, BOB);
    run_without(&mut pair, 200, &[0]);
    assert_ne!(pair.session(ALICE), first, "the first is silent, the second answers");
    pair.run(ms(3_500));
    assert_eq!(pair.session(ALICE), first, "its initiator has the lower ID");
    pair.send(ALICE, &ring(2));
    pair.run(ms(3_000));
    assert_eq!(pair.ends[BOB].frames(), [ring(1), ring(2)]);
}

#[test]
fn d18_nobody_is_told_of_glare_before_the_session_that_stays_has_answered() {
    let mut pair = alice_wins();
    pair.dial(ALICE);
    pair.run(ms(200));
    dial_beside(&mut pair, BOB);
    // The one that would stay is silent: it is not known whether the peer has it.
    run_without(&mut pair, 2_800, &[0]);
    assert_eq!([told_glare(&pair, ALICE), told_glare(&pair, BOB)], [0, 0]);
    let open = [ALICE, BOB].map(|who| pair.ends[who].sessions.contenders(LOCAL, pair.ends[1 - who].id()).len());
    assert_eq!(open, [2, 2], "nothing was given up");
    for who in [ALICE, BOB] {
        pair.send(who, &ring(9));
        pair.run(ms(3_000));
        assert!(pair.ends[1 - who].frames().contains(&ring(9)));
    }
}

#[test]
fn d19_a_peer_that_crashed_and_dials_within_ten_seconds_is_not_taken_for_a_crossing_dial() {
    for wait in [50, 200, 1_000, 5_000, 9_000] {
        let mut pair = alice_wins();
        pair.dial(ALICE);
        pair.run(ms(100 + wait));
        let before = pair.session(ALICE);
        pair.restart(BOB);
        pair.dial(BOB);
        pair.run(ms(150));
        assert_ne!(pair.session(ALICE), before, "after {wait} ms, not only when the contest is over");
        pair.assert_working("after the crash");
    }
}

#[test]
fn d19_whoever_dials_beside_a_session_of_the_peer_uses_the_new_one_as_soon_as_it_answers() {
    let mut pair = alice_wins();
    pair.dial(BOB);
    pair.run(ms(1_000));
    let before = pair.session(ALICE);
    pair.restart(BOB);
    dial_beside(&mut pair, ALICE);
    pair.run(ms(150));
    assert_ne!(pair.session(ALICE), before);
    pair.assert_working("after the restart of the peer");
}

#[test]
fn d20_a_close_that_is_never_acknowledged_is_forgotten_after_three_seconds() {
    let (mut pair, _) = Pair::connected(1);
    pair.link.loss = 100;
    pair.close(ALICE, Reason::Normal);
    pair.run(ms(2_990));
    assert!(!pair.ends[ALICE].sessions.is_empty());
    let sent = pair.packets(ALICE).len();
    assert!(sent >= 4, "{sent}: it is repeated");
    pair.run(ms(20));
    assert!(pair.ends[ALICE].sessions.is_empty());
    pair.link.loss = 0;
    pair.run(ms(5_000));
    assert_eq!(pair.packets(ALICE).len(), sent);
}

#[test]
fn d20_whoever_is_told_of_the_end_acknowledges_repeats_for_three_seconds() {
    let (mut pair, _) = Pair::connected(1);
    pair.close(ALICE, Reason::Normal);
    pair.run(ms(21));
    assert!(pair.ends[ALICE].sessions.is_empty() || !pair.ends[BOB].sessions.is_empty());
    pair.wire.clear(); // the acknowledgement is lost
    pair.run(ms(500));
    assert!(pair.ends[ALICE].sessions.is_empty(), "a repeat was acknowledged");
    assert!(!pair.ends[BOB].sessions.is_empty());
    pair.run(ms(3_100));
    assert!(pair.ends[BOB].sessions.is_empty());
}

#[test]
fn d22_the_responder_closes_an_idle_session_after_six_minutes_if_the_initiator_did_not() {
    let (mut pair, [_, bob]) = Pair::connected(1);
    let session = pair.session(ALICE);
    let now = pair.clock();
    pair.ends[ALICE].sessions.set_in_call(session, true, now);
    pair.run(ms(359_000));
    assert_eq!(pair.ends[BOB].events, []);
    pair.run(ms(2_000));
    assert_eq!(pair.ends[BOB].events, [SessionEvent::Closed { session: bob, reason: Reason::Normal }]);
}

#[test]
fn d49_a_session_given_up_is_heard_for_ten_seconds() {
    let mut pair = alice_wins();
    pair.dial(ALICE);
    pair.run(ms(200));
    dial_beside(&mut pair, BOB);
    pair.run(ms(45));
    // Two packets of Bob's in the session that loses are held up on their way.
    let held = [7, 8].map(|call_id| {
        say_on(&mut pair, BOB, 1, ring(call_id));
        pair.packets(BOB).pop().unwrap()
    });
    run_without(&mut pair, 3_200, &[1]);
    let (before, from) = (pair.session(ALICE), pair.ends[BOB].path);
    run_without(&mut pair, 9_000, &[1]);
    assert_eq!(pair.inject(ALICE, from, &held[0]), Ok(()));
    assert_eq!(pair.ends[ALICE].events.last(), Some(&SessionEvent::Frame { session: before, frame: ring(7) }));
    run_without(&mut pair, 1_500, &[1]);
    assert_eq!(pair.inject(ALICE, from, &held[1]), Err(Drop::UnknownSlot));
}

#[test]
fn d49_whoever_is_told_of_glare_on_the_session_it_uses_takes_the_other() {
    let mut pair = alice_wins();
    pair.dial(ALICE);
    pair.run(ms(200));
    dial_beside(&mut pair, BOB);
    run_without(&mut pair, 300, &[0]);
    let used = pair.session(ALICE);
    pair.forget();
    // Bob has decided for the first, whatever made him: he says so in the one that Alice uses.
    say_on(&mut pair, BOB, 1, Frame::Close { reason: Reason::Glare });
    pair.run(ms(30));
    assert_ne!(pair.session(ALICE), used);
    assert_eq!(told_glare(&pair, ALICE), 0, "no call ends by that");
    assert!(
        pair.ends[ALICE].events.iter().any(|event| matches!(event, SessionEvent::Moved { from, .. } if *from == used))
    );
}

#[test]
fn f03_an_invitation_held_back_with_its_handshake_is_not_heard_beside_a_living_session() {
    // Bob's HS_AUTH and all he says after it are caught; his next attempt succeeds; then all of it is let go.
    let mut pair = Pair::new(1);
    pair.dial(BOB);
    pair.run(ms(41));
    pair.send(BOB, &ring(1));
    let caught: Vec<_> = core::mem::take(&mut pair.wire).into_iter().map(|flight| flight.datagram).collect();
    pair.restart(BOB);
    pair.dial(BOB);
    pair.run(ms(500));
    pair.send(BOB, &ring(2));
    pair.run(ms(100));
    let from = pair.ends[BOB].path;
    for datagram in caught {
        let _ = pair.inject(ALICE, from, &datagram);
    }
    pair.run(ms(8_000));
    assert_eq!(pair.ends[ALICE].frames(), [ring(2)]);
    pair.assert_working("after the attack");
}
