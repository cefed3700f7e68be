// SPDX-License-Identifier: GPL-3.0-or-later
//! Fresh keys while the session goes on, whatever the link does; and what a peer may not do with REKEY frames.

use super::*;
use crate::session::established::Session;
use crate::wire::control::EXCHANGE_KEY_LEN;
use crate::wire::session::Header;

fn rekey(pair: &mut Pair, who: usize) {
    let (now, session) = (pair.clock(), pair.session(who));
    let End { sessions, random, .. } = &mut pair.ends[who];
    sessions.rekey(session, now, random);
    pair.drain(who);
}

fn stats(pair: &Pair, who: usize) -> SessionStats {
    pair.ends[who].sessions.stats(pair.session(who)).unwrap()
}

fn epochs(pair: &Pair) -> [u32; 2] {
    [stats(pair, ALICE).epoch, stats(pair, BOB).epoch]
}

fn session_of(pair: &mut Pair, who: usize) -> &mut Session {
    let id = pair.session(who);
    pair.ends[who].sessions.sessions.get_mut(&id).unwrap()
}

fn rekey_every(pair: &mut Pair, seconds: u64) {
    pair.ends.iter_mut().for_each(|end| end.sessions.set_rekey_after(Duration::from_secs(seconds)));
}

/// Both talk for `duration`, one frame each per 20 ms.
fn converse(pair: &mut Pair, duration: Duration, mut disturb: impl FnMut(&mut Pair)) {
    let end = pair.now + duration;
    while pair.now < end {
        pair.talk(ALICE, false);
        pair.talk(BOB, false);
        for _ in 0..4 {
            disturb(pair);
            pair.run(ms(5));
        }
    }
}

/// Nothing that arrived was dropped, except second copies, and nothing was played twice.
fn assert_all_heard(pair: &Pair) {
    assert!(pair.drops.iter().all(|(_, drop)| *drop == Drop::Replayed), "{:?}", pair.drops);
    for end in &pair.ends {
        let mut media = end.media();
        let all = media.len();
        media.sort_unstable();
        media.dedup();
        assert_eq!(media.len(), all);
    }
}

/// A talking session on a link that loses `loss` %, reorders and repeats.
fn talking(seed: u64, loss: u64) -> Pair {
    let (mut pair, _) = Pair::connected(seed);
    pair.link = Link { delay: ms(20), jitter: ms(60), loss, duplicate: 5 };
    pair.set_in_call(true);
    pair
}

#[test]
fn f21_three_rekeys_in_a_talking_session_lose_no_frame_that_the_link_did_not_lose() {
    for seed in 0..5 {
        let mut pair = talking(seed, 10);
        rekey_every(&mut pair, 10);
        converse(&mut pair, ms(36_000), |_| {});
        pair.run(ms(200));
        assert_eq!(epochs(&pair), [3, 3]);
        assert_all_heard(&pair);
        for who in [ALICE, BOB] {
            let (sent, heard) = (stats(&pair, who).media_sent as usize, pair.ends[1 - who].media().len());
            assert!(heard * 100 > sent * 85, "{heard} of {sent}");
        }
        pair.link = Link { delay: ms(20), jitter: ms(0), loss: 0, duplicate: 0 };
        pair.assert_working("after three rekeys");
    }
}

#[test]
fn f21_sequence_numbers_rise_through_every_epoch_and_no_packet_is_sealed_in_two() {
    let mut pair = talking(1, 10);
    rekey_every(&mut pair, 10);
    converse(&mut pair, ms(36_000), |_| {});
    for who in [ALICE, BOB] {
        for control in [false, true] {
            let headers = pair.packets(who).into_iter().map(|packet| Header::parse(&packet).unwrap());
            let headers: Vec<_> = headers.filter(|header| header.control == control).collect();
            assert!(headers.windows(2).all(|two| two[0].seq < two[1].seq));
            let changes = headers.windows(2).filter(|two| two[0].parity != two[1].parity).count();
            assert_eq!(changes, 3, "an epoch once left is never sealed in again");
        }
    }
}

#[test]
fn d04_a_lost_rekey_resp_is_sent_again_and_nothing_breaks_before() {
    let mut pair = talking(2, 0);
    pair.forget();
    rekey(&mut pair, ALICE);
    converse(&mut pair, ms(6_000), |pair| {
        // Every control packet to Alice is lost; media gets through.
        pair.wire.retain(|flight| flight.to != ALICE || flight.datagram[0] & 0x40 == 0);
    });
    assert_eq!(epochs(&pair), [0, 0]);
    assert_all_heard(&pair);
    converse(&mut pair, ms(3_000), |_| {});
    assert_eq!(epochs(&pair), [1, 1]);
    assert_all_heard(&pair);
}

#[test]
fn d04_six_seconds_without_the_first_packets_of_the_new_epoch_desynchronise_nobody() {
    let mut pair = talking(3, 0);
    pair.forget();
    rekey(&mut pair, ALICE);
    while epochs(&pair) != [1, 0] {
        pair.run(ms(1));
    }
    let before = pair.ends[ALICE].media().len();
    converse(&mut pair, ms(6_000), |pair| pair.wire.retain(|flight| flight.to != BOB));
    assert_eq!(epochs(&pair), [1, 0]);
    assert!(pair.ends[ALICE].media().len() >= before + 290, "Alice hears Bob in the old epoch all the while");
    converse(&mut pair, ms(6_000), |_| {});
    assert_eq!(epochs(&pair), [1, 1]);
    assert_all_heard(&pair);
}

#[test]
fn d48_the_initiator_sends_a_control_packet_in_the_new_epoch_at_once_and_is_answered_in_it() {
    let (mut pair, _) = Pair::connected(1);
    rekey(&mut pair, ALICE);
    pair.run(ms(39));
    pair.forget();
    pair.run(ms(1));
    let of = |packets: Vec<Vec<u8>>| -> Vec<_> { packets.iter().map(|packet| packet[0] & 0xe0).collect() };
    assert_eq!(of(pair.packets(ALICE)), [0xe0], "control, odd epoch");
    pair.run(ms(20));
    assert_eq!(of(pair.packets(BOB)), [0xe0]);
    pair.run(ms(20));
    assert_eq!(epochs(&pair), [1, 1]);
    pair.run(ms(5_000));
    assert!([ALICE, BOB].iter().all(|who| session_of(&mut pair, *who).tunnel.erase_due().is_none()));
}

#[test]
fn keys_are_replaced_after_fifteen_minutes_by_the_initiator_alone() {
    let (mut pair, _) = Pair::connected(1);
    pair.set_in_call(true);
    pair.run(ms(899_000));
    assert_eq!(epochs(&pair), [0, 0]);
    pair.run(ms(1_500));
    assert_eq!(epochs(&pair), [1, 1]);
    pair.run(ms(2 * 900_000));
    assert_eq!(epochs(&pair), [3, 3]);
    assert!(pair.drops.is_empty(), "{:?}", pair.drops);
}

#[test]
fn a_responder_that_wants_new_keys_sooner_asks_for_them() {
    let (mut pair, _) = Pair::connected(1);
    pair.set_in_call(true);
    pair.ends[BOB].sessions.set_rekey_after(Duration::from_secs(100));
    pair.run(ms(111_000));
    assert_eq!(epochs(&pair), [1, 1]);
    pair.run(ms(330_000));
    assert_eq!(epochs(&pair), [4, 4]);
}

#[test]
fn the_initiator_begins_at_most_one_rekey_in_sixty_seconds() {
    let (mut pair, _) = Pair::connected(1);
    pair.set_in_call(true);
    let mut begun = Vec::new();
    for second in 0..240 {
        rekey(&mut pair, ALICE);
        rekey(&mut pair, BOB);
        pair.run(ms(1_000));
        let epoch = epochs(&pair)[ALICE] as usize;
        begun.resize(epoch, second);
    }
    assert_eq!(begun.len(), 4, "{begun:?}");
    assert!(begun.windows(2).all(|two| two[1] - two[0] >= 60), "{begun:?}");
}

#[test]
fn d04_a_rekey_that_both_want_happens_once() {
    for (first, second) in [(ALICE, BOB), (BOB, ALICE)] {
        for apart in [0, 5, 19, 21, 39, 41, 60] {
            let (mut pair, _) = Pair::connected(1);
            rekey(&mut pair, first);
            pair.run(ms(apart));
            rekey(&mut pair, second);
            pair.run(ms(2_000));
            assert_eq!(epochs(&pair), [1, 1], "{first} first, {apart} ms apart");
            assert!(pair.drops.is_empty(), "{:?}", pair.drops);
        }
    }
}

#[test]
fn n01_five_seconds_after_a_rekey_nobody_can_open_what_was_sealed_before() {
    let (mut pair, _) = Pair::connected(1);
    let held: Vec<_> = [ALICE, BOB]
        .into_iter()
        .flat_map(|who| (0..2).map(move |frame| (who, frame == 0)))
        .map(|(who, first)| {
            pair.talk(who, first);
            (who, pair.wire.pop().unwrap().datagram)
        })
        .collect();
    rekey(&mut pair, ALICE);
    pair.run(ms(80));
    assert_eq!(epochs(&pair), [1, 1]);
    pair.run(ms(4_800));
    let [late, gone] = [0, 1].map(|nth| [held[nth].clone(), held[2 + nth].clone()]);
    for (from, packet) in late {
        let path = pair.ends[from].path;
        assert_eq!(pair.inject(1 - from, path, &packet), Ok(()), "late");
    }
    pair.run(ms(200));
    for (from, packet) in gone {
        let path = pair.ends[from].path;
        assert_eq!(pair.inject(1 - from, path, &packet), Err(Drop::Epoch), "the keys are gone");
    }
}

#[test]
fn n02_what_was_recorded_in_an_erased_epoch_is_dropped_in_every_later_one() {
    let (mut pair, _) = Pair::connected(1);
    rekey_every(&mut pair, 10);
    pair.set_in_call(true);
    for frame in 0..10 {
        pair.talk(ALICE, frame == 0);
    }
    pair.send(ALICE, &ring(1));
    pair.run(ms(100));
    let recorded = pair.packets(ALICE);
    for epoch in 1..5 {
        pair.run(ms(10_000));
        assert_eq!(epochs(&pair), [epoch, epoch]);
        pair.run(ms(6_000));
        pair.forget();
        let from = pair.ends[ALICE].path;
        for packet in &recorded {
            let expected = if epoch % 2 == 0 { Drop::NotAuthentic } else { Drop::Epoch };
            assert_eq!(pair.inject(BOB, from, packet), Err(expected), "epoch {epoch}");
        }
        assert_eq!(pair.ends[BOB].events, []);
        pair.run(ms(4_000));
        rekey_every(&mut pair, 20);
    }
}

#[test]
fn d04_what_a_peer_may_not_do_with_rekey_frames_is_a_strike() {
    let key = *crate::crypto::exchange::Ephemeral::generate(&mut Random::seeded(1)).unwrap().public();
    let init = |epoch| Frame::RekeyInit { epoch, key };
    let resp = |epoch| Frame::RekeyResp { epoch, key };
    let req = |epoch| Frame::RekeyReq { epoch };
    let no_point = [1; EXCHANGE_KEY_LEN];
    let forbidden: [(usize, &[Frame]); 13] = [
        (BOB, &[init(1)]),
        (ALICE, &[resp(1)]),
        (ALICE, &[req(1)]),
        (ALICE, &[init(0)]),
        (ALICE, &[init(2)]),
        (ALICE, &[init(u32::MAX)]),
        (ALICE, &[Frame::RekeyInit { epoch: 1, key: no_point }]),
        (ALICE, &[init(1), init(1)]),
        (ALICE, &[init(1), init(2)]),
        (BOB, &[resp(1)]),
        (BOB, &[resp(0)]),
        (BOB, &[req(0)]),
        (BOB, &[req(2)]),
    ];
    for (who, frames) in forbidden {
        let (mut pair, _) = Pair::connected(1);
        for frame in frames {
            assert!(!pair.drops.contains(&(1 - who, Drop::Violation)), "{who}: {frames:?}");
            pair.send(who, frame);
            pair.run(ms(30));
        }
        assert!(pair.drops.contains(&(1 - who, Drop::Violation)), "{who}: {frames:?}");
    }
}

#[test]
fn d04_a_rekey_resp_that_is_no_point_of_the_curve_is_a_strike_and_the_true_one_still_counts() {
    let (mut pair, _) = Pair::connected(1);
    rekey(&mut pair, ALICE);
    pair.send(BOB, &Frame::RekeyResp { epoch: 1, key: [1; EXCHANGE_KEY_LEN] });
    pair.run(ms(100));
    assert_eq!(pair.drops, [(ALICE, Drop::Violation)]);
    assert_eq!(epochs(&pair), [1, 1]);
    pair.assert_working("after a bad answer");
}

#[test]
fn failed_openings_call_for_new_keys_at_most_once_a_minute() {
    for who in [ALICE, BOB] {
        let (mut pair, _) = Pair::connected(1);
        pair.set_in_call(true);
        let forged = |pair: &mut Pair| {
            let slot = session_of(pair, who).slot;
            let path = pair.ends[1 - who].path;
            let parity = if epochs(pair)[who] % 2 == 1 { 0x20 } else { 0 };
            let packet = [&[0x80 | parity | slot, 0, 0, 0, 9][..], &[7; 40]].concat();
            assert_eq!(pair.inject(who, path, &packet), Err(Drop::NotAuthentic));
        };
        session_of(&mut pair, who).tunnel.set_failed((1 << 20) - 2);
        forged(&mut pair);
        pair.run(ms(1_000));
        assert_eq!((epochs(&pair), stats(&pair, who).alarms), ([0, 0], 0));
        forged(&mut pair);
        pair.run(ms(1_000));
        assert_eq!((epochs(&pair), stats(&pair, who).alarms), ([1, 1], 1));
        session_of(&mut pair, who).tunnel.set_failed(1 << 20);
        pair.run(ms(57_000));
        assert_eq!(epochs(&pair), [1, 1], "not twice in a minute");
        pair.run(ms(3_000));
        assert_eq!((epochs(&pair), stats(&pair, who).alarms), ([2, 2], 2));
        assert_eq!(pair.ends[who].events, [], "and no session ends");
    }
}

#[test]
fn failed_openings_end_a_session_at_two_to_the_32nd_and_not_before() {
    let (mut pair, [_, bob]) = Pair::connected(1);
    session_of(&mut pair, BOB).tunnel.set_failed((1 << 32) - 1);
    pair.link.loss = 100;
    pair.run(ms(5_000));
    assert_eq!(pair.ends[BOB].events, []);
    session_of(&mut pair, BOB).tunnel.set_failed(1 << 32);
    pair.run(ms(1));
    assert_eq!(pair.ends[BOB].events, [SessionEvent::Closed { session: bob, reason: Reason::MediaFailure }]);
}

#[test]
fn f21_a_session_whose_numbers_end_is_replaced_and_the_call_goes_on_without_a_gap() {
    const LATE: u32 = u32::MAX - (1 << 16) - (1 << 24);
    for (who, control, media) in
        [(ALICE, 9, LATE - 400), (BOB, 9, LATE - 400), (BOB, LATE - 3, 9), (ALICE, LATE - 3, 9)]
    {
        let (mut pair, before) = Pair::connected(1);
        pair.set_in_call(true);
        session_of(&mut pair, who).tunnel.set_numbers(control, media);
        session_of(&mut pair, 1 - who).tunnel.set_numbers(control, media);
        converse(&mut pair, ms(20_000), |_| {});
        pair.run(ms(100));
        for end in [ALICE, BOB] {
            let moved = SessionEvent::Moved { from: before[end], to: pair.session(end) };
            assert!(
                pair.ends[end].events.contains(&moved),
                "{who} {control} {media}: {:?}",
                pair.ends[end].events.len()
            );
            assert_eq!(pair.ends[end].media().len(), 1_000, "every frame was heard");
            let other = |event: &SessionEvent| !matches!(event, SessionEvent::Media { .. });
            assert_eq!(pair.ends[end].events.iter().filter(|event| other(event)).count(), 1);
        }
        assert!(stats(&pair, ALICE).initiated, "by who began the old one");
        pair.assert_working("in the new session");
    }
}

#[test]
fn f21_a_replacement_that_nobody_answers_is_tried_again_and_ends_nothing() {
    let (mut pair, [alice, _]) = Pair::connected(1);
    pair.set_in_call(true);
    session_of(&mut pair, ALICE).tunnel.set_numbers(u32::MAX - (1 << 20), 9);
    session_of(&mut pair, BOB).tunnel.set_numbers(u32::MAX - (1 << 20), 9);
    converse(&mut pair, ms(30_000), |pair| pair.wire.retain(|flight| flight.datagram[0] != 0x21));
    assert_eq!(pair.session(ALICE), alice);
    assert!(pair.ends.iter().all(|end| end.events.iter().all(|event| matches!(event, SessionEvent::Media { .. }))));
    converse(&mut pair, ms(40_000), |_| {});
    assert_ne!(pair.session(ALICE), alice);
    pair.assert_working("after the second attempt");
}

#[test]
fn f21_a_heartbeat_in_the_old_session_does_not_end_the_attempt_to_replace_it() {
    let (mut pair, [alice, _]) = Pair::connected(1);
    pair.set_in_call(true);
    for who in [ALICE, BOB] {
        session_of(&mut pair, who).tunnel.set_numbers(u32::MAX - (1 << 20), 9);
    }
    converse(&mut pair, ms(6_000), |pair| pair.wire.retain(|flight| flight.datagram[0] != 0x20));
    assert_eq!(pair.session(ALICE), alice);
    converse(&mut pair, ms(1_000), |_| {});
    assert_ne!(pair.session(ALICE), alice, "the first attempt is still under way after 6 s");
}

/// Whatever two sides do at random moments, and whatever the link does to it: once the link is good again both hear
/// each other, in one epoch.
fn muddle(seed: u64) {
    let mut random = Random::seeded(seed);
    let (mut pair, _) = Pair::connected(seed);
    rekey_every(&mut pair, 10 + random.below(3) * 100);
    pair.set_in_call(true);
    pair.link =
        Link { delay: ms(random.below(100)), jitter: ms(random.below(200)), loss: random.below(50), duplicate: 10 };
    for _ in 0..30 {
        let who = random.below(2) as usize;
        match random.below(8) {
            0 | 1 => rekey(&mut pair, who),
            2 => pair.send(who, &ring(random.next_u64() as u32)),
            3 => pair.wire.retain(|flight| flight.to != who),
            4 => pair.link.loss = [0, 10, 50, 100][random.below(4) as usize],
            _ => {
                pair.talk(who, random.below(2) == 0);
            }
        }
        pair.run(Duration::from_micros(random.below(1_200_000)));
    }
    pair.link = Link { delay: ms(20), jitter: ms(0), loss: 0, duplicate: 0 };
    pair.run(ms(8_000));
    let hint = format!("seed {seed}");
    pair.forget();
    converse(&mut pair, ms(200), |_| {});
    pair.run(ms(3_000));
    assert_eq!([ALICE, BOB].map(|who| pair.ends[who].media().len()), [10, 10], "{hint}");
    let [alice, bob] = epochs(&pair);
    assert!(alice.abs_diff(bob) <= 1, "{hint}");
    let strikes = |pair: &Pair| pair.drops.iter().filter(|(_, drop)| *drop == Drop::Violation).count();
    assert_eq!(strikes(&pair), 0, "{hint}");
    pair.assert_working(&hint);
}

#[test]
fn d04_no_interleaving_of_rekeys_losses_and_delays_desynchronises_two_sides() {
    (0..300).for_each(muddle);
}

#[test]
#[ignore = "takes a minute"]
fn d04_ten_thousand_interleavings_desynchronise_nobody() {
    (0..10_000).for_each(muddle);
}

/// Both dial and want new keys while it is not settled which session stays.
fn rekey_in_a_contest(seed: u64) {
    let mut random = Random::seeded(seed);
    let mut pair = Pair::lossy(seed, random.below(15));
    pair.dial(ALICE);
    pair.run(Duration::from_micros(random.below(150_000)));
    pair.dial(BOB);
    for _ in 0..20 {
        for who in [ALICE, BOB] {
            let peer = pair.ends[1 - who].id();
            if pair.ends[who].sessions.session_of(LOCAL, peer).is_some() && random.below(4) == 0 {
                rekey(&mut pair, who);
            }
        }
        pair.run(Duration::from_micros(random.below(400_000)));
    }
    pair.run(ms(15_000));
    let hint = format!("seed {seed}");
    assert!(!pair.drops.iter().any(|(_, drop)| *drop == Drop::Violation), "{hint}");
    pair.link.loss = 0;
    let before = epochs(&pair);
    assert_ne!(stats(&pair, ALICE).initiated, stats(&pair, BOB).initiated, "{hint}: not the same session");
    pair.run(ms(60_000));
    rekey(&mut pair, BOB);
    pair.run(ms(2_000));
    let after = epochs(&pair);
    assert!(after[ALICE] == after[BOB] && after > before, "{hint}: {before:?} {after:?}");
    pair.assert_working(&hint);
}

#[test]
fn f18_a_rekey_while_dials_cross_harms_neither() {
    (0..150).for_each(rekey_in_a_contest);
}

#[test]
#[ignore = "takes a minute"]
fn f18_three_thousand_rekeys_while_dials_cross_harm_nobody() {
    (0..3_000).for_each(rekey_in_a_contest);
}
