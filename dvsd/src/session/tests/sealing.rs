// SPDX-License-Identifier: GPL-3.0-or-later
//! One key, one message; one number, one packet: seen from outside.

use std::collections::BTreeSet;

use super::*;
use crate::wire::kind;

#[test]
fn d43_what_is_sent_again_is_sent_as_it_was() {
    for seed in 0..20 {
        let mut pair = Pair::lossy(seed, 60);
        pair.dial(ALICE);
        pair.run(ms(8_000));
        for (who, kind, sid) in
            [(ALICE, kind::HS_INIT, 8..16), (BOB, kind::HS_RESP, 12..20), (ALICE, kind::HS_AUTH, 4..12)]
        {
            // Cookie and mac1 are the only things that may change.
            let sent = pair.sent(who, kind).into_iter().map(|mut datagram| {
                let kept = if kind == kind::HS_INIT { datagram.len() - 32 } else { datagram.len() };
                datagram.truncate(kept);
                datagram
            });
            let sent: BTreeSet<_> = sent.collect();
            let sids: BTreeSet<_> = sent.iter().map(|datagram| datagram[sid.clone()].to_vec()).collect();
            assert_eq!(sent.len(), sids.len(), "seed {seed}, {kind:#x}: one message per session ID");
        }
    }
}

#[test]
fn d43_every_address_is_dialled_with_an_exchange_key_of_its_own() {
    let mut pair = Pair::new(1);
    let (now, bob) = (pair.clock(), pair.ends[BOB].id());
    let paths: Vec<_> =
        (0..8).map(|last| (Path::direct(format!("198.51.100.{last}:5004").parse().unwrap()), None)).collect();
    let End { sessions, random, .. } = &mut pair.ends[ALICE];
    sessions.connect(LOCAL, bob, &paths, now, random);
    pair.drain(ALICE);
    pair.run(ms(3_000));
    let of = |path: &Path| -> BTreeSet<_> {
        let to = pair.log.iter().filter(|(_, transmit)| transmit.path == *path);
        to.map(|(_, transmit)| transmit.datagram[..107].to_vec()).collect()
    };
    let each: Vec<_> = paths.iter().map(|(path, _)| of(path)).collect();
    assert!(each.iter().all(|inits| inits.len() == 1), "the repeats are the same");
    assert_eq!(each.iter().flatten().map(|init| &init[8..16]).collect::<BTreeSet<_>>().len(), 8);
    assert_eq!(each.iter().flatten().map(|init| &init[16..107]).collect::<BTreeSet<_>>().len(), 8);
}

#[test]
fn d43_after_one_good_hs_resp_no_other_is_answered() {
    let mut pair = Pair::new(1);
    pair.dial(ALICE);
    pair.run(ms(39));
    let resp = pair.sent(BOB, kind::HS_RESP).pop().unwrap();
    let init = pair.sent(ALICE, kind::HS_INIT).pop().unwrap();
    // A second, different and just as good answer to the same HS_INIT.
    let (bob, mut random) = (pair.ends[BOB].identity.clone(), Random::seeded(9));
    let versions = crate::wire::handshake::Versions::OURS;
    let init = crate::wire::handshake::Init::parse(&init, versions).unwrap();
    let slot = crate::wire::session::Slot::Short(9);
    let (_, second) = crate::handshake::ExpectAuth::respond(&init, &bob, slot, versions, &mut random).unwrap();
    let from = pair.ends[BOB].path;
    assert_eq!(pair.inject(ALICE, from, &resp), Ok(()));
    assert_eq!(pair.inject(ALICE, from, &second), Err(Drop::UnknownHandshake));
    assert_eq!(pair.inject(ALICE, from, &resp), Err(Drop::UnknownHandshake));
    assert_eq!(pair.sent(ALICE, kind::HS_AUTH).len(), 1);
}

#[test]
fn d37_d44_an_hs_init_with_any_flag_is_dropped() {
    let mut pair = Pair::new(1);
    let dial = crate::handshake::ExpectResponse::start(
        pair.ends[BOB].id(),
        crate::handshake::Mode::Full,
        &mut Random::seeded(1),
    );
    let init = dial.unwrap().datagram().to_vec();
    let stranger = Path::direct("203.0.113.1:5004".parse().unwrap());
    for flags in 1..=255 {
        let mut init = init.clone();
        init[2] = flags;
        assert_eq!(pair.inject(BOB, stranger, &init), Err(Drop::Unsupported), "{flags:#x}");
    }
    assert_eq!(pair.log.len(), 0, "and not answered");
}

#[test]
fn d28_another_suite_is_met_with_silence() {
    let mut pair = Pair::new(1);
    pair.dial(ALICE);
    let mut init = pair.sent(ALICE, kind::HS_INIT).pop().unwrap();
    let from = pair.ends[ALICE].path;
    for suite in (0..=255).filter(|suite| *suite != 1) {
        init[3] = suite;
        assert_eq!(pair.inject(BOB, from, &init), Err(Drop::Unsupported));
    }
    pair.run(ms(39));
    let mut resp = pair.sent(BOB, kind::HS_RESP).pop().unwrap();
    resp[3] = 2;
    let from = pair.ends[BOB].path;
    assert_eq!(pair.inject(ALICE, from, &resp), Err(Drop::Handshake(crate::handshake::Refusal::Suite)));
    pair.run(ms(100));
    pair.assert_working("after another suite");
}

#[test]
fn d45_no_two_packets_of_a_session_have_one_number() {
    let (mut pair, _) = Pair::connected(1);
    pair.set_in_call(true);
    let begin = pair.now;
    for round in 0..200u64 {
        // Runs begin anew all the time, and Alice's clock of capture stands still, leaps and goes back.
        let (now, session) = (pair.clock(), pair.session(ALICE));
        let captured = begin + ms(round % 5 * 1_000);
        pair.ends[ALICE].sessions.send_media(session, captured, 8, round % 3 == 0, &[0x78; 80], now);
        pair.drain(ALICE);
        pair.run(ms(20));
    }
    pair.send(ALICE, &ring(1));
    pair.run(ms(1_000));
    let packets = pair.packets(ALICE);
    let numbers: BTreeSet<_> = packets.iter().map(|packet| (packet[0] & 0xe0, packet[1..5].to_vec())).collect();
    assert!(packets.len() > 200);
    assert_eq!(numbers.len(), packets.len());
}
