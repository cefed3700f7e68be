// SPDX-License-Identifier: GPL-3.0-or-later
//! The bytes of session packets, checked against the protocol by other means than the code that makes them.

use zeroize::Zeroizing;

use super::*;
use crate::crypto::kdf::{Secret, expand};
use crate::crypto::seal::{EpochSecret, OneTimeKey, Stream};
use crate::handshake::Side;
use crate::session::control::Control;
use crate::session::tunnel::Tunnel;
use crate::wire::kind;
use crate::wire::session::{Header, Slot};

const SECRET: [u8; 32] = [5; 32];

fn tunnel(side: Side) -> Tunnel {
    Tunnel::new(EpochSecret::new(Zeroizing::new(SECRET)), side, Slot::Short(5), Instant::ZERO)
}

/// Opens a control packet from the initiator with the sub-key of index `j`, derived here step by step.
fn open_by_hand(packet: &[u8], j: u32) -> Option<Vec<u8>> {
    let stream: Secret = expand(&SECRET, "ctrl i2r", b"");
    let mut key = expand::<44>(&stream, "sub", &j.to_be_bytes());
    let (aad, rest) = packet.split_at(5);
    let (tag, text) = rest.split_at(16);
    key[40..].iter_mut().zip(&aad[1..]).for_each(|(byte, seq)| *byte ^= seq);
    OneTimeKey::new(key).open(aad, &[text, tag].concat()).map(|text| text.to_vec())
}

#[test]
fn f01_the_nonce_is_iv_xor_number_and_the_key_changes_between_8191_and_8192() {
    for (seq, j) in
        [(1, 0u32), (255, 0), (256, 0), (8_191, 0), (8_192, 1), (65_536, 8), (0x0102_0304, 0x0102_0304 >> 13)]
    {
        let mut alice = tunnel(Side::Initiator);
        alice.set_numbers(seq - 1, 0);
        let mut packet = vec![9; alice.headroom(Stream::Control) + 40];
        alice.seal_control(&mut packet).unwrap();
        assert_eq!(Header::parse(&packet).unwrap().seq, seq);
        for other in [j + 1, j.wrapping_sub(1)] {
            assert_eq!(open_by_hand(&packet, other), None, "{seq}");
        }
        assert_eq!(open_by_hand(&packet, j), Some(vec![9; 40]), "{seq}");
    }
}

#[test]
fn p04_no_tag_shorter_or_longer_than_its_stream_s_is_accepted() {
    let keys = |side: Side| EpochSecret::new(Zeroizing::new(SECRET)).into_keys(side.sending());
    for stream in [Stream::Media, Stream::Control] {
        let (mut text, mut tag) = (vec![7; 80], vec![0; stream.tag_len()]);
        let (alice, bob) = (keys(Side::Initiator), keys(Side::Responder));
        let (mut sealing, mut opening) = match stream {
            Stream::Media => (alice.seal_media, bob.open_media),
            Stream::Control => (alice.seal_control, bob.open_control),
        };
        sealing.seal(1, b"aad", &mut text, &mut tag).unwrap();
        let longer = [&tag[..], &[0; 8]].concat();
        for length in (0..longer.len()).filter(|length| *length != stream.tag_len()) {
            assert!(!opening.open(1, b"aad", &mut text.clone(), &longer[..length]), "{stream:?} {length}");
        }
        assert!(opening.open(1, b"aad", &mut text.clone(), &tag));
    }
}

#[test]
fn p04_every_single_bit_flip_of_a_control_packet_is_rejected() {
    let (mut alice, mut bob) = (tunnel(Side::Initiator), tunnel(Side::Responder));
    let mut packet = vec![9; alice.headroom(Stream::Control) + 12];
    alice.seal_control(&mut packet).unwrap();
    let open = |bob: &mut Tunnel, mut packet: Vec<u8>| {
        let header = Header::parse(&packet).unwrap();
        bob.open(&header, &mut packet, Instant::ZERO).map(|text| text.to_vec())
    };
    for bit in (0..packet.len() * 8).filter(|bit| *bit != 7) {
        let mut flipped = packet.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&mut bob, flipped).is_err(), "bit {bit}");
    }
    assert_eq!(open(&mut bob, packet), Ok(vec![9; 12]));
}

#[test]
fn p03_equal_blocks_never_look_alike_in_one_packet_or_in_two() {
    let mut alice = tunnel(Side::Initiator);
    let mut blocks = Vec::new();
    for _ in 0..100 {
        let (_, packet) = alice.seal_media(Instant::ZERO, 8, true, &[7; 80]).unwrap();
        blocks.extend(packet[13..].chunks(16).map(<[u8]>::to_vec));
    }
    blocks.push(vec![7; 16]);
    blocks.sort_unstable();
    blocks.dedup();
    assert_eq!(blocks.len(), 501);
}

#[test]
fn d01_no_call_hold_or_rekey_starts_a_number_over() {
    let (mut pair, [alice, _]) = Pair::connected(1);
    let mut last = None;
    for round in 0u64..6 {
        pair.set_in_call(true);
        for frame in 0..5 {
            // The clock of the sound card stands still, and goes back in the end.
            let (now, captured) = (pair.clock(), pair.now - ms(20 * round));
            let End { sessions, random, .. } = &mut pair.ends[ALICE];
            let seq = sessions.send_media(alice, captured, 8, frame == 0, &[0x78; 80], now);
            assert!(seq > last, "round {round}, frame {frame}: {seq:?} after {last:?}");
            last = seq;
            if frame == 2 && round % 2 == 0 {
                sessions.rekey(alice, now, random);
            }
            pair.drain(ALICE);
        }
        pair.set_in_call(false);
        pair.run(ms(if round % 2 == 0 { 100 } else { 61_000 }));
    }
    let stats = pair.ends[ALICE].sessions.stats(alice).unwrap();
    assert_eq!((stats.epoch, pair.ends[BOB].media().len()), (3, 30));
}

#[test]
fn d05_handshake_messages_are_sealed_once_and_sent_again_as_they_are() {
    let mut pair = Pair::new(1);
    pair.dial(ALICE);
    for _ in 0..600 {
        // Bob's answers and session packets are lost, so both messages are needed again and again.
        pair.run(ms(10));
        let got = pair.sent(BOB, kind::HS_RESP).len();
        pair.wire.retain(|flight| flight.to == BOB || (flight.datagram[0] == kind::HS_RESP && got >= 3));
    }
    for (who, kind, least) in [(BOB, kind::HS_RESP, 3), (ALICE, kind::HS_AUTH, 10)] {
        let sent = pair.sent(who, kind);
        assert!(sent.len() >= least, "{}", sent.len());
        assert!(sent.iter().all(|message| *message == sent[0]));
    }
}

#[test]
fn d28_an_unknown_suite_is_met_with_silence_and_none_but_the_offered_one_is_accepted() {
    let mut pair = Pair::new(1);
    pair.dial(ALICE);
    let [alice, bob] = [pair.ends[ALICE].path, pair.ends[BOB].path];
    let mut init = pair.sent(ALICE, kind::HS_INIT).pop().unwrap();
    init[3] = 2;
    assert_eq!(pair.inject(BOB, alice, &init), Err(Drop::Unsupported));
    assert!(pair.log.iter().all(|(who, _)| *who == ALICE), "not a word");
    pair.run(ms(39));
    let mut resp = pair.sent(BOB, kind::HS_RESP).pop().unwrap();
    resp[3] = 2;
    assert_eq!(pair.inject(ALICE, bob, &resp), Err(Drop::Handshake(crate::handshake::Refusal::Suite)));
    pair.run(ms(100));
    pair.assert_working("after another suite was shown");
}

#[test]
fn d29_message_numbers_begin_at_0_count_into_the_length_and_bit_0_stands_for_the_next_but_one() {
    let (mut control, mut jitter) = (Control::default(), Random::seeded(1));
    let mut write = |control: &mut Control| {
        let mut text = Vec::new();
        control.write(Instant::ZERO, &mut jitter, &mut text);
        text
    };
    control.send(Frame::CallAnswer { call_id: 0x0102_0304 }, Instant::ZERO);
    assert_eq!(write(&mut control), [0, 0, 0, 0, 0x03, 0, 6, 0, 0, 1, 2, 3, 4]);
    control.send(Frame::PathChallenge { data: [7; 8] }, Instant::ZERO);
    assert_eq!(write(&mut control), [&[0, 0, 0, 0, 0x82, 0, 8][..], &[7; 8]].concat());
    for early in [1, 3] {
        control.on_frame(early, Some(Frame::CallAnswer { call_id: 1 }), Instant::ZERO);
    }
    assert_eq!(write(&mut control), [0, 0, 0, 0b101]);
    control.on_frame(0, None, Instant::ZERO);
    assert_eq!(write(&mut control), [0, 2, 0, 0b1]);
}

#[test]
fn d46_a_heartbeat_lets_a_sender_that_slept_be_heard_again_in_whatever_epoch() {
    for epoch in 0..3 {
        let (mut pair, [alice, _]) = Pair::connected(1);
        pair.ends[ALICE].sessions.set_rekey_after(ms(10_000));
        pair.set_in_call(true);
        pair.run(ms(10_100 * epoch));
        assert_eq!(u64::from(pair.ends[ALICE].sessions.stats(alice).unwrap().epoch), epoch);
        pair.ends[ALICE].sessions.set_rekey_after(ms(900_000));
        pair.talk(ALICE, true);
        pair.run(ms(100));
        // A clock that stood still here went on there.
        let (now, leap) = (pair.clock(), pair.now + ms(3_600_000));
        pair.ends[ALICE].sessions.send_media(alice, leap, 8, true, &[0x78; 80], now);
        pair.drain(ALICE);
        let mut far = pair.wire.pop().unwrap().datagram;
        let from = pair.ends[ALICE].path;
        *far.last_mut().unwrap() ^= 1;
        for _ in 0..10 {
            assert_eq!(pair.inject(BOB, from, &far), Err(Drop::NotAuthentic));
        }
        *far.last_mut().unwrap() ^= 1;
        assert_eq!(pair.inject(BOB, from, &far), Err(Drop::Jump), "no more than ten a second are opened");
        // A HEART_BEAT alone makes a packet of 44 bytes.
        let beats = |pair: &Pair| pair.packets(ALICE).iter().filter(|packet| packet.len() == 44).count();
        let before = beats(&pair);
        while beats(&pair) == before {
            pair.run(ms(10));
            for _ in 0..10 {
                let _ = pair.inject(BOB, from, &[&far[..30], &[0; 9]].concat());
            }
        }
        pair.run(ms(20));
        assert_eq!(pair.inject(BOB, from, &far), Ok(()), "epoch {epoch}");
    }
}
