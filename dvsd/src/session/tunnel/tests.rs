// SPDX-License-Identifier: GPL-3.0-or-later
//! Numbers, windows, jumps and the ends of all of them.

use super::*;
use zeroize::Zeroizing;

fn secret(byte: u8) -> EpochSecret {
    EpochSecret::new(Zeroizing::new([byte; 32]))
}

fn pair() -> (Tunnel, Tunnel) {
    let tunnel = |side| Tunnel::new(secret(5), side, Slot::Short(5), Instant::ZERO);
    (tunnel(Side::Initiator), tunnel(Side::Responder))
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn open(tunnel: &mut Tunnel, datagram: &[u8], now: Instant) -> Result<Vec<u8>, Drop> {
    let header = Header::parse(datagram).unwrap();
    tunnel.open(&header, &mut datagram.to_vec(), now).map(|text| text.to_vec())
}

#[test]
fn an_80_byte_frame_makes_a_93_byte_packet() {
    let (mut alice, mut bob) = pair();
    let (seq, datagram) = alice.seal_media(at(0), 8, true, &[7; 80]).unwrap();
    assert_eq!((seq, datagram.len()), (0, 93));
    assert_eq!(open(&mut bob, &datagram, at(0)), Ok(vec![7; 80]));
}

#[test]
fn f01_p04_every_single_bit_flip_of_a_media_packet_is_rejected() {
    let (mut alice, mut bob) = pair();
    let (_, datagram) = alice.seal_media(at(0), 8, true, &[7; 80]).unwrap();
    for bit in 0..datagram.len() * 8 {
        let mut flipped = datagram.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let Ok(header) = Header::parse(&flipped) else { continue };
        assert!(bob.open(&header, &mut flipped, at(0)).is_err(), "bit {bit}");
    }
    assert!(open(&mut bob, &datagram, at(0)).is_ok());
}

#[test]
fn a_packet_cut_inside_its_tag_is_rejected() {
    let (mut alice, mut bob) = pair();
    let (_, datagram) = alice.seal_media(at(0), 8, true, &[7; 80]).unwrap();
    for length in 5..datagram.len() {
        assert!(open(&mut bob, &datagram[..length], at(0)).is_err(), "{length}");
    }
}

#[test]
fn f02_a_packet_reflected_to_its_sender_is_rejected() {
    let (mut alice, _) = pair();
    let (_, datagram) = alice.seal_media(at(0), 8, true, &[7; 80]).unwrap();
    assert_eq!(open(&mut alice, &datagram, at(0)), Err(Drop::NotAuthentic));
}

#[test]
fn n02_a_packet_heard_twice_is_played_once() {
    let (mut alice, mut bob) = pair();
    let (_, datagram) = alice.seal_media(at(0), 8, true, &[7; 80]).unwrap();
    assert!(open(&mut bob, &datagram, at(0)).is_ok());
    assert_eq!(open(&mut bob, &datagram, at(0)), Err(Drop::Replayed));
}

#[test]
fn f21_no_run_of_media_reuses_a_number_whatever_the_clock_says() {
    let (mut alice, _) = pair();
    let mut seal = |ms, ticks, first| alice.seal_media(at(ms), ticks, first, &[1]).unwrap().0;
    assert_eq!(seal(100, 8, true), 40);
    assert_eq!(seal(999, 8, false), 48, "inside a run only the durations count");
    assert_eq!(seal(0, 8, true), 49, "a clock that jumped back");
    assert_eq!(seal(1_000, 4, true), 400, "a second call continues the session's clock");
    assert_eq!(seal(1_000, 8, false), 404);
}

#[test]
fn f21_sequence_numbers_end_before_they_wrap() {
    let (mut alice, _) = pair();
    let last = Duration::from_micros(2_500 * u64::from(SEQ_END - 1));
    assert!(alice.seal_media(Instant::ZERO + last, 8, true, &[1]).is_some());
    assert_eq!(alice.seal_media(at(0), 8, false, &[1]), None);
    assert_eq!(alice.seal_media(at(0), 8, true, &[1]).map(|(seq, _)| seq), None);
}

#[test]
fn f22_late_packets_are_still_heard() {
    let (mut alice, mut bob) = pair();
    let packets: Vec<_> = (0..200).map(|i| alice.seal_media(at(0), 8, i == 0, &[1]).unwrap().1).collect();
    for packet in packets.iter().rev() {
        assert!(open(&mut bob, packet, at(0)).is_ok());
    }
}

#[test]
fn f22_a_jump_ahead_is_bounded_and_grows_with_the_silence() {
    let (mut alice, mut bob) = pair();
    let (_, far) = alice.seal_media(at(100_000), 8, true, &[1]).unwrap();
    for _ in 0..BEYOND_PER_SECOND {
        let mut forged = far.clone();
        forged[10] ^= 1;
        assert_eq!(open(&mut bob, &forged, at(0)), Err(Drop::NotAuthentic));
    }
    assert_eq!(open(&mut bob, &far, at(0)), Err(Drop::Jump), "no more crypto is spent on those");
    assert!(open(&mut bob, &far, at(100_000 - 80_000)).is_ok());
}

#[test]
fn f22_on_media_the_bound_is_a_jump_and_the_ticks_since_the_last_packet() {
    let (mut alice, mut bob) = pair();
    bob.received.beyond = Bucket::full(0, 0, at(0));
    let (_, far) = alice.seal_media(at(100_000), 8, true, &[1]).unwrap();
    assert_eq!(open(&mut bob, &far, at(18_077)), Err(Drop::Jump));
    assert!(open(&mut bob, &far, at(18_080)).is_ok(), "32768 and 7232 ticks");
}

/// Both at the end of an exchange of keys: Bob is prepared, Alice uses them.
fn rekeyed(alice: &mut Tunnel, bob: &mut Tunnel, byte: u8, now: Instant) {
    bob.prepare(secret(byte));
    alice.advance(secret(byte), now);
}

fn frame(tunnel: &mut Tunnel, millis: u64) -> Vec<u8> {
    tunnel.seal_media(at(millis), 8, true, &[1]).unwrap().1
}

fn command(tunnel: &mut Tunnel) -> Vec<u8> {
    let mut datagram = vec![0; tunnel.headroom(Stream::Control) + 4];
    tunnel.seal_control(&mut datagram).unwrap();
    datagram
}

#[test]
fn f21_a_rekey_starts_no_sequence_number_over() {
    let (mut alice, mut bob) = pair();
    let seq = |datagram: &[u8]| Header::parse(datagram).unwrap().seq;
    let before = [frame(&mut alice, 1_000), command(&mut alice)];
    before.iter().for_each(|datagram| assert!(open(&mut bob, datagram, at(1_000)).is_ok()));
    rekeyed(&mut alice, &mut bob, 6, at(1_000));
    let after = [frame(&mut alice, 1_000), command(&mut alice)];
    assert_eq!(after.each_ref().map(|it| seq(it)), before.each_ref().map(|it| seq(it) + 1));
    after.iter().for_each(|datagram| assert!(open(&mut bob, datagram, at(1_000)).is_ok()));
}

#[test]
fn d03_a_new_epoch_has_an_empty_window_but_remembers_the_highest_number() {
    let (mut alice, mut bob) = pair();
    bob.received.beyond = Bucket::full(0, 0, at(0));
    let late: Vec<_> = (0..3).map(|_| frame(&mut alice, 0)).collect();
    rekeyed(&mut alice, &mut bob, 6, at(0));
    let first = frame(&mut alice, 80_000);
    assert!(open(&mut bob, &first, at(0)).is_ok());
    let second = frame(&mut alice, 160_000);
    assert!(open(&mut bob, &second, at(0)).is_ok(), "not more than a jump ahead of the last one");
    assert_eq!(open(&mut bob, &late[0], at(0)), Ok(vec![1]), "an epoch moves no other's window");
    rekeyed(&mut alice, &mut bob, 7, at(0));
    let third = frame(&mut alice, 242_000);
    assert_eq!(open(&mut bob, &third, at(0)), Err(Drop::Jump), "more than a jump ahead, whatever the epoch");
    let mut fresh = Epochs::new(secret(9), Side::Responder);
    assert!([0, 1, 1_000_000].iter().all(|seq| fresh.current_mut().media.window.is_new(*seq)));
}

#[test]
fn d04_the_responder_sends_in_the_old_epoch_until_the_peer_is_heard_in_the_new_one() {
    let (mut alice, mut bob) = pair();
    rekeyed(&mut alice, &mut bob, 6, at(0));
    assert_eq!((alice.epoch(), bob.epoch()), (1, 0));
    let old = frame(&mut bob, 0);
    assert!(open(&mut alice, &old, at(60_000)).is_ok(), "however long that takes");
    let mut forged = command(&mut alice);
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(open(&mut bob, &forged, at(0)), Err(Drop::NotAuthentic));
    assert_eq!(bob.epoch(), 0);
    let first = command(&mut alice);
    assert!(open(&mut bob, &first, at(0)).is_ok());
    assert_eq!(bob.epoch(), 1);
}

#[test]
fn d04_old_keys_last_five_seconds_from_the_first_packet_under_the_new_ones() {
    let (mut alice, mut bob) = pair();
    let late: Vec<_> = (0..3).map(|_| frame(&mut alice, 0)).collect();
    rekeyed(&mut alice, &mut bob, 6, at(0));
    let (from_bob, first) = (frame(&mut bob, 0), command(&mut alice));
    assert!(open(&mut bob, &first, at(20_000)).is_ok());
    assert!(open(&mut bob, &late[0], at(24_999)).is_ok());
    assert_eq!(open(&mut bob, &late[1], at(25_000)), Err(Drop::Epoch));
    assert!(bob.epochs.erase_due().is_none(), "erased, not only refused");
    assert!(open(&mut alice, &from_bob, at(25_000)).is_ok(), "Alice has not heard Bob under the new keys");
    assert!(open(&mut alice, &command(&mut bob), at(25_000)).is_ok());
    alice.erase(at(29_999));
    assert_eq!(alice.erase_due(), Some(at(30_000)));
    alice.erase(at(30_000));
    assert_eq!(alice.erase_due(), None);
}

#[test]
fn d04_keys_two_epochs_back_are_erased_at_once() {
    let (mut alice, mut bob) = pair();
    let oldest = frame(&mut alice, 0);
    for byte in [6, 7] {
        rekeyed(&mut alice, &mut bob, byte, at(0));
        let (there, back) = (command(&mut alice), frame(&mut bob, 0));
        assert!(open(&mut bob, &there, at(0)).is_ok());
        assert!(open(&mut alice, &back, at(0)).is_ok());
    }
    assert_eq!(open(&mut bob, &oldest, at(0)), Err(Drop::NotAuthentic), "taken for one of the epoch after the next");
    bob.prepare(secret(8));
    assert_eq!(bob.erase_due(), None);
}

#[test]
fn d48_failed_openings_count_per_epoch() {
    let (mut alice, mut bob) = pair();
    bob.set_failed(FAILED_REKEY - 1);
    let mut forged = frame(&mut alice, 0);
    *forged.last_mut().unwrap() ^= 1;
    assert!(!bob.is_worn());
    assert_eq!(open(&mut bob, &forged, at(0)), Err(Drop::NotAuthentic));
    assert!(bob.is_worn());
    rekeyed(&mut alice, &mut bob, 6, at(0));
    let first = command(&mut alice);
    assert!(open(&mut bob, &first, at(0)).is_ok());
    assert!(!bob.is_worn());
    assert_eq!(bob.failed(), 1, "what is shown counts on");
}

#[test]
fn f21_keys_wear_out_by_what_they_sealed_not_by_what_others_had() {
    for (control, media) in [(WORN_CONTROL, 0), (0, WORN_MEDIA)] {
        let (mut alice, _) = pair();
        alice.set_numbers(control.saturating_sub(1), media.saturating_sub(1));
        assert!(!alice.is_worn());
        alice.set_numbers(control, media);
        assert!(alice.is_worn());
        alice.advance(secret(6), at(0));
        assert!(!alice.is_worn());
    }
}

#[test]
fn a_heartbeat_lets_a_suspended_sender_be_heard() {
    let (mut alice, mut bob) = pair();
    let (seq, far) = alice.seal_media(at(1_000_000), 8, true, &[1]).unwrap();
    bob.received.beyond = Bucket::full(0, 0, at(0));
    assert_eq!(open(&mut bob, &far, at(0)), Err(Drop::Jump));
    bob.expect_media(seq);
    assert!(open(&mut bob, &far, at(0)).is_ok());
}
