// SPDX-License-Identifier: GPL-3.0-or-later
//! What somebody tries who can send from any address and has recorded everything.

use proptest::prelude::*;

use super::*;
use crate::handshake::Refusal;
use crate::wire::handshake::{Spoken, Versions};
use crate::wire::kind;

fn stranger(last: u8) -> Path {
    Path::direct(format!("203.0.113.{last}:5004").parse().unwrap())
}

/// HS_INIT of `who`, dialled anew.
fn fresh_init(pair: &mut Pair, seed: u64) -> Vec<u8> {
    let mut random = Random::seeded(seed);
    let identity = Arc::new(Identity::generate(KeyKind::Ed25519, &mut random).unwrap());
    let mut end = End::new(identity, "203.0.113.99:5004", seed);
    let (now, bob, path) = (pair.clock(), pair.ends[BOB].id(), pair.ends[BOB].path);
    end.sessions.connect(LOCAL, bob, &[(path, None)], now, &mut end.random);
    end.sessions.poll_transmit().unwrap().datagram
}

#[test]
fn f09_p07_unauthenticated_bytes_never_end_a_session() {
    let (mut pair, [_, _]) = Pair::connected(1);
    pair.set_in_call(true);
    let from = pair.ends[ALICE].path;
    let hang_ups: [&[u8]; 6] = [&[4], &[0x7f], &[0x7f, 0, 3, 0, 0, 0], &[0xc0, 0, 0, 0, 1], &[0xc0; 64], &[0x80; 64]];
    for bytes in hang_ups {
        for first in 0x80..=0xff {
            let mut bytes = bytes.to_vec();
            let _ = pair.inject(BOB, from, &bytes);
            bytes[0] = first;
            let _ = pair.inject(BOB, from, &bytes);
        }
    }
    assert_eq!(pair.ends[BOB].events, []);
    pair.assert_working("after forged hang-ups");
}

#[test]
fn f09_a_recorded_hang_up_ends_no_other_session() {
    let (mut pair, _) = Pair::connected(1);
    pair.close(ALICE, Reason::Normal);
    pair.run(ms(5_000));
    let recorded = pair.packets(ALICE);
    pair.run(ms(61_000));
    pair.dial(ALICE);
    pair.run(ms(200));
    pair.ends[BOB].events.clear();
    let from = pair.ends[ALICE].path;
    for packet in recorded {
        assert!(pair.inject(BOB, from, &packet).is_err());
    }
    assert_eq!(pair.ends[BOB].events, []);
}

#[test]
fn f03_f17_a_recorded_handshake_played_again_rings_nobody() {
    let mut pair = Pair::new(1);
    pair.dial(ALICE);
    pair.run(ms(100));
    pair.send(ALICE, &ring(1));
    pair.run(ms(100));
    let recorded: Vec<_> =
        pair.log.iter().filter(|(who, _)| *who == ALICE).map(|(_, it)| it.datagram.clone()).collect();
    pair.close(ALICE, Reason::Normal);
    pair.run(ms(70_000));
    pair.forget();
    for from in [pair.ends[ALICE].path, stranger(1)] {
        for datagram in &recorded {
            let _ = pair.inject(BOB, from, datagram);
            pair.run(ms(100));
        }
    }
    assert_eq!(pair.ends[BOB].events, [], "no session, no frame, no ringing");
}

#[test]
fn n02_recorded_packets_of_a_living_session_are_dropped() {
    let (mut pair, _) = Pair::connected(1);
    pair.send(ALICE, &ring(1));
    (0..10).for_each(|i| {
        pair.talk(ALICE, i == 0);
    });
    pair.run(ms(100));
    let from = pair.ends[ALICE].path;
    let heard = (pair.ends[BOB].frames().len(), pair.ends[BOB].media().len());
    for packet in pair.packets(ALICE) {
        assert_eq!(pair.inject(BOB, from, &packet), Err(Drop::Replayed));
    }
    assert_eq!((pair.ends[BOB].frames().len(), pair.ends[BOB].media().len()), heard);
}

#[test]
fn f02_packets_reflected_to_their_sender_are_dropped() {
    let (mut pair, _) = Pair::connected(1);
    pair.send(ALICE, &ring(1));
    pair.talk(ALICE, true);
    let from = pair.ends[BOB].path;
    for packet in pair.packets(ALICE) {
        for slot in 0..31 {
            let mut packet = packet.clone();
            packet[0] = packet[0] & 0xe0 | slot;
            let dropped = pair.inject(ALICE, from, &packet).unwrap_err();
            assert!(matches!(dropped, Drop::UnknownSlot | Drop::NotAuthentic | Drop::Replayed), "{dropped:?}");
        }
    }
    assert_eq!(pair.ends[ALICE].events, []);
}

#[test]
fn a_media_packet_does_not_pass_for_a_control_packet_nor_the_other_way_round() {
    let (mut pair, _) = Pair::connected(1);
    pair.link.loss = 100;
    pair.send(ALICE, &ring(1));
    pair.talk(ALICE, true);
    let from = pair.ends[ALICE].path;
    for mut packet in pair.packets(ALICE) {
        packet[0] ^= 0x40;
        assert!(pair.inject(BOB, from, &packet).is_err());
        packet[0] ^= 0x60;
        assert_eq!(pair.inject(BOB, from, &packet), Err(Drop::Epoch));
    }
}

#[test]
fn f17_a_flood_of_inits_from_one_prefix_costs_ten_answers_and_locks_nobody_out() {
    let mut pair = Pair::new(1);
    let mut answered = 0;
    for seed in 0..60 {
        let init = fresh_init(&mut pair, seed);
        answered += usize::from(pair.inject(BOB, stranger(seed as u8), &init).is_ok());
    }
    assert!(answered <= 1, "{answered}: one per prefix without a cookie");
    assert_eq!(pair.sent(BOB, kind::HS_COOKIE).len(), 60 - answered);
    // A friend in the very prefix the attacker spoofs gets through with a cookie.
    let bob = pair.ends[BOB].path;
    pair.ends[ALICE].path = stranger(200);
    assert_eq!(bob, pair.ends[BOB].path);
    pair.dial(ALICE);
    pair.run(ms(500));
    pair.assert_working("under a flood");
}

#[test]
fn f17_no_flood_makes_more_than_the_budget_of_public_key_operations() {
    let mut pair = Pair::new(1);
    for seed in 0..400u64 {
        let init = fresh_init(&mut pair, seed);
        let from = Path::direct(format!("10.{}.{}.1:5004", seed / 200, seed % 200).parse().unwrap());
        let _ = pair.inject(BOB, from, &init);
    }
    let answers = pair.sent(BOB, kind::HS_RESP).len();
    assert!(answers <= 16, "{answers}: from then on everybody has to show a cookie");
    pair.dial(ALICE);
    pair.run(ms(1_000));
    pair.assert_working("under a flood from everywhere");
}

#[test]
fn n03_no_answer_to_a_stranger_is_more_than_three_times_as_long() {
    let mut pair = Pair::new(1);
    let init = fresh_init(&mut pair, 1);
    pair.inject(BOB, stranger(1), &init).unwrap();
    assert!(pair.log.iter().filter(|(who, _)| *who == BOB).all(|(_, it)| it.datagram.len() <= 3 * init.len()));
    for _ in 0..20 {
        let _ = pair.inject(BOB, stranger(1), &init);
    }
    assert_eq!(pair.sent(BOB, kind::HS_RESP).len(), 5, "the answer and four repeats");
}

#[test]
fn a_cookie_is_no_good_from_another_address() {
    let mut pair = Pair::new(1);
    let first = fresh_init(&mut pair, 1);
    pair.inject(BOB, stranger(1), &first).unwrap();
    // The second from this prefix is asked for a cookie, which the attacker overhears and shows from elsewhere.
    let mut random = Random::seeded(2);
    let mut dial =
        crate::handshake::ExpectResponse::start(pair.ends[BOB].id(), crate::handshake::Mode::Full, &mut random)
            .unwrap();
    assert_eq!(pair.inject(BOB, stranger(2), dial.datagram()), Err(Drop::CookieAsked));
    let cookie = pair.sent(BOB, kind::HS_COOKIE).pop().unwrap();
    dial.show_cookie(cookie[12..].try_into().unwrap());
    assert_eq!(pair.inject(BOB, stranger(3), dial.datagram()), Err(Drop::CookieAsked));
    assert_eq!(pair.inject(BOB, stranger(2), dial.datagram()), Ok(()));
}

#[test]
fn a_cookie_from_anybody_but_the_dialled_address_is_ignored() {
    let mut pair = Pair::new(1);
    pair.link.loss = 100;
    pair.dial(ALICE);
    let sid = pair.sent(ALICE, kind::HS_INIT)[0][8..16].to_vec();
    let cookie = [&[kind::HS_COOKIE, 1, 0, 0][..], &sid, &[9; 16]].concat();
    assert_eq!(pair.inject(ALICE, stranger(1), &cookie), Err(Drop::UnknownHandshake));
    let bob = pair.ends[BOB].path;
    assert_eq!(pair.inject(ALICE, bob, &cookie), Ok(()));
    assert_eq!(pair.inject(ALICE, bob, &cookie), Ok(()));
    assert_eq!(pair.inject(ALICE, bob, &cookie), Err(Drop::Budget), "two at most");
}

#[test]
fn who_does_not_know_an_id_hears_nothing() {
    let mut pair = Pair::new(1);
    let mut random = Random::seeded(2);
    let dial =
        crate::handshake::ExpectResponse::start(NodeId([7; 20]), crate::handshake::Mode::Full, &mut random).unwrap();
    assert_eq!(pair.inject(BOB, stranger(1), dial.datagram()), Err(Drop::Mac1));
    assert_eq!(pair.log.len(), 0);
}

#[test]
fn n03_thirty_one_strangers_with_cookies_do_not_use_up_the_slots() {
    let mut pair = Pair::new(1);
    for seed in 0..40u64 {
        let mut random = Random::seeded(seed);
        let id = pair.ends[BOB].id();
        let mut dial = crate::handshake::ExpectResponse::start(id, crate::handshake::Mode::Full, &mut random).unwrap();
        let from = Path::direct(format!("10.9.{seed}.1:5004").parse().unwrap());
        if pair.inject(BOB, from, dial.datagram()) == Err(Drop::CookieAsked) {
            let cookie = pair.sent(BOB, kind::HS_COOKIE).pop().unwrap();
            dial.show_cookie(cookie[12..].try_into().unwrap());
            pair.inject(BOB, from, dial.datagram()).unwrap();
        }
        pair.run(ms(25));
    }
    pair.dial(ALICE);
    pair.run(ms(200));
    pair.assert_working("with every slot promised");
}

/// Somebody at `address` makes a session with Bob, as far as Bob lets them.
fn intrude(pair: &mut Pair, seed: u64, address: &str) {
    let mut random = Random::seeded(seed);
    let identity = Arc::new(Identity::generate(KeyKind::Ed25519, &mut random).unwrap());
    let mut end = End::new(identity, address, seed);
    let (now, bob, path) = (pair.clock(), pair.ends[BOB].id(), pair.ends[BOB].path);
    end.sessions.connect(LOCAL, bob, &[(path, None)], now, &mut end.random);
    for _ in 0..4 {
        while let Some(transmit) = end.sessions.poll_transmit() {
            let _ = pair.inject(BOB, end.path, &transmit.datagram);
        }
        let answers: Vec<_> = pair.log.iter().filter(|(_, it)| it.path == end.path).map(|(_, it)| it.clone()).collect();
        pair.log.clear();
        for mut answer in answers {
            let _ = end.sessions.handle(path, &mut answer.datagram, now, &mut end.random);
        }
    }
}

#[test]
fn n03_half_open_handshakes_of_strangers_keep_nobody_from_dialling() {
    let mut pair = Pair::new(1);
    for seed in 0..40u64 {
        let from = Path::direct(format!("10.9.{seed}.1:5004").parse().unwrap());
        let mut random = Random::seeded(seed);
        let id = pair.ends[BOB].id();
        let mut dial = crate::handshake::ExpectResponse::start(id, crate::handshake::Mode::Full, &mut random).unwrap();
        if pair.inject(BOB, from, dial.datagram()) == Err(Drop::CookieAsked) {
            let cookie = pair.sent(BOB, kind::HS_COOKIE).pop().unwrap();
            dial.show_cookie(cookie[12..].try_into().unwrap());
            let _ = pair.inject(BOB, from, dial.datagram());
        }
        pair.run(ms(25));
    }
    pair.dial(BOB);
    pair.run(ms(200));
    pair.assert_working("with every slot promised to strangers");
}

#[test]
fn n03_sessions_of_one_network_neither_keep_others_out_nor_us_from_dialling() {
    let mut pair = Pair::new(1);
    for seed in 0..60u64 {
        intrude(&mut pair, 1_000 + seed, &format!("203.0.113.{seed}:5004"));
        pair.run(ms(300));
    }
    pair.dial(ALICE);
    pair.run(ms(200));
    pair.assert_working("called by a friend");
    let mut pair = Pair::new(1);
    for seed in 0..120u64 {
        intrude(&mut pair, 1_000 + seed, &format!("10.9.{seed}.1:5004"));
        pair.run(ms(100));
    }
    pair.dial(BOB);
    pair.run(ms(200));
    pair.assert_working("calling a friend while everybody calls");
}

#[test]
fn n03_path_challenges_from_a_forged_address_send_it_no_more_than_they_cost() {
    let (mut pair, [alice, _]) = Pair::connected(1);
    let challenges: Vec<u8> = (0..100u8).flat_map(|i| [&[0x82, 0, 8][..], &[i; 8]].concat()).collect();
    let now = pair.clock();
    pair.ends[ALICE].sessions.send_raw(alice, &[&[0; 4][..], &challenges].concat(), now);
    pair.link.loss = 100;
    pair.drain(ALICE);
    let packet = pair.packets(ALICE).pop().unwrap();
    pair.forget();
    pair.inject(BOB, stranger(1), &packet).unwrap();
    let there = pair.log.iter().filter(|(who, it)| *who == BOB && it.path == stranger(1));
    let lengths: Vec<usize> = there.map(|(_, it)| it.datagram.len()).collect();
    let answered: usize = lengths.iter().sum();
    assert_eq!((lengths.len(), answered <= packet.len()), (2, true), "{answered} bytes for {}", packet.len());
}

#[test]
fn p02_hs_auth_from_another_address_or_changed_is_dropped() {
    let mut pair = Pair::new(1);
    pair.dial(ALICE);
    pair.run(ms(41));
    let auth = pair.sent(ALICE, kind::HS_AUTH).pop().unwrap();
    assert_eq!(pair.inject(BOB, stranger(1), &auth), Err(Drop::UnknownHandshake));
    let mut forged = auth.clone();
    *forged.last_mut().unwrap() ^= 1;
    let from = pair.ends[ALICE].path;
    for _ in 0..10 {
        assert_eq!(pair.inject(BOB, from, &forged), Err(Drop::Handshake(Refusal::NotAuthentic)));
    }
    assert_eq!(pair.inject(BOB, from, &auth), Ok(()));
    assert_eq!(pair.inject(BOB, from, &auth), Err(Drop::Duplicate));
    assert_eq!(pair.packets(BOB).len(), 2, "a repeated HS_AUTH is answered in the session");
    pair.assert_working("after forged HS_AUTHs");
}

#[test]
fn a_forged_hs_resp_does_not_end_a_dial() {
    let mut pair = Pair::new(1);
    pair.dial(ALICE);
    pair.run(ms(39));
    let resp = pair.sent(BOB, kind::HS_RESP).pop().unwrap();
    let from = pair.ends[BOB].path;
    for byte in [5, 30, 60, 110, 120, 200] {
        let mut forged = resp.clone();
        forged[byte] ^= 1;
        assert!(pair.inject(ALICE, from, &forged).is_err());
    }
    assert_eq!(pair.inject(ALICE, stranger(1), &resp), Err(Drop::UnknownHandshake));
    pair.run(ms(100));
    pair.assert_working("after forged HS_RESPs");
}

#[test]
fn another_version_is_told_ours_ten_times_a_second() {
    let mut pair = Pair::new(1);
    let mut init = fresh_init(&mut pair, 1);
    init[1] = 2;
    for _ in 0..30 {
        assert_eq!(pair.inject(BOB, stranger(1), &init), Err(Drop::Version));
    }
    let sid = init[8..16].try_into().unwrap();
    assert_eq!(pair.sent(BOB, kind::HS_VERSION), vec![Spoken { versions: Versions::OURS, sid }.emit(); 10]);
}

#[test]
fn an_hs_version_never_ends_a_dial_but_explains_its_failure() {
    let mut pair = Pair::new(1);
    pair.link.loss = 100;
    pair.dial(ALICE);
    let sid = pair.sent(ALICE, kind::HS_INIT)[0][8..16].try_into().unwrap();
    let from = pair.ends[BOB].path;
    pair.inject(ALICE, from, &Spoken { versions: Versions { min: 2, max: 3 }, sid }.emit()).unwrap();
    assert_eq!(pair.ends[ALICE].events, []);
    pair.run(ms(8_100));
    let (peer, why) = (pair.ends[BOB].id(), ConnectError::Version);
    assert_eq!(pair.ends[ALICE].events, [SessionEvent::ConnectFailed { local: LOCAL, peer, why }]);
}

#[test]
fn anonymous_handshakes_are_not_served_over_udp() {
    let mut pair = Pair::new(1);
    let mut random = Random::seeded(2);
    let (id, mode) = (pair.ends[BOB].id(), crate::handshake::Mode::Anonymous);
    let dial = crate::handshake::ExpectResponse::start(id, mode, &mut random).unwrap();
    assert_eq!(pair.inject(BOB, stranger(1), dial.datagram()), Err(Drop::Unsupported));
}

#[test]
fn f22_an_authenticated_jump_does_not_mute_the_call() {
    let (mut pair, [alice, _]) = Pair::connected(1);
    pair.talk(ALICE, true);
    pair.run(ms(30));
    // Alice's own clock leaps by an hour, then she goes on.
    let now = pair.clock();
    let leap = now.mono + ms(3_600_000);
    pair.ends[ALICE].sessions.send_media(alice, leap, 8, true, &[0x78; 80], now);
    pair.drain(ALICE);
    let sent: Vec<u32> = (0..20)
        .filter_map(|_| {
            pair.run(ms(20));
            pair.talk(ALICE, false)
        })
        .collect();
    pair.run(ms(100));
    assert!(pair.ends[BOB].media().ends_with(&sent), "{:?}", pair.ends[BOB].media());
}

#[test]
fn f04_a_datagram_cut_anywhere_stops_nobody() {
    let mut pair = Pair::new(1);
    pair.dial(ALICE);
    pair.run(ms(200));
    pair.send(ALICE, &ring(1));
    pair.run(ms(100));
    let mut datagrams: Vec<_> = pair.log.iter().map(|(_, transmit)| transmit.datagram.clone()).collect();
    datagrams.extend(
        [vec![kind::HS_COOKIE, 1, 0, 0], vec![kind::HS_VERSION, 0, 1, 1]].map(|head| [head, vec![0; 24]].concat()),
    );
    assert!((kind::HS_INIT..=kind::HS_VERSION).all(|kind| datagrams.iter().any(|datagram| datagram[0] == kind)));
    for datagram in datagrams {
        for length in 1..datagram.len() {
            for who in [ALICE, BOB] {
                let from = pair.ends[1 - who].path;
                let _ = pair.inject(who, from, &datagram[..length]);
            }
        }
    }
    pair.assert_working("after all that was cut");
}

proptest! {
    #[test]
    fn f04_no_datagram_whatsoever_panics(bytes in proptest::collection::vec(any::<u8>(), 1..1300), first in 0x1fu8..=255) {
        let mut pair = Pair::new(1);
        let mut bytes = bytes;
        bytes[0] = first;
        if first < 0x80 && bytes.len() > 1 {
            bytes[1] = 1;
        }
        let _ = pair.inject(BOB, stranger(1), &bytes);
    }

    #[test]
    fn f04_p06_no_authentic_packet_with_any_content_panics(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (mut pair, [alice, _]) = Pair::connected(1);
        let now = pair.clock();
        pair.ends[ALICE].sessions.send_raw(alice, &text, now);
        pair.drain(ALICE);
        pair.run(ms(30));
    }
}
