// SPDX-License-Identifier: GPL-3.0-or-later
//! Handshakes between all kinds of identity.

use super::*;
use crate::crypto::test_keys;
use crate::wire::MAX_DATAGRAM;
use crate::wire::handshake::{MAX_KEY_AND_SIGNATURE, Resp};

/// The greatest lengths of HS_RESP and HS_AUTH, by kind (PROTOCOL.md, "HS_AUTH and the sealed part").
const SIZES: [(KeyKind, usize, usize); 9] = [
    (KeyKind::P256, 330, 231),
    (KeyKind::P384, 391, 292),
    (KeyKind::P521, 464, 365),
    (KeyKind::Rsa2048, 717, 618),
    (KeyKind::Rsa3072, 973, 874),
    (KeyKind::Rsa4096, 1229, 1130),
    (KeyKind::Dsa2048, 1083, 984),
    (KeyKind::Ed25519, 275, 176),
    (KeyKind::Ed448, 350, 251),
];

/// The lengths of HS_RESP and HS_AUTH when `alice` dials `bob`.
fn talk(alice: &Identity, bob: &Identity, random: &mut Random) -> (usize, usize) {
    let dial = ExpectResponse::start(bob.public().id(), Mode::Full, random).unwrap();
    let init = dial.datagram().to_vec();
    let (expect, resp) = ExpectAuth::respond(&Init::parse(&init, OURS).unwrap(), bob, SLOT_R, OURS, random).unwrap();
    assert!(resp.len() <= 3 * init.len());
    let local = Local { identity: alice, slot: SLOT_I, pin: Some(bob.public().fingerprint()) };
    let initiated = dial.read(&resp, &local).unwrap();
    let responder = expect.read(&initiated.auth).unwrap();
    assert_eq!(responder.secret.as_bytes(), initiated.established.secret.as_bytes());
    assert_eq!((&responder.peer, &initiated.established.peer), (alice.public(), bob.public()));
    (resp.len(), initiated.auth.len())
}

#[test]
fn every_kind_of_key_shakes_hands_with_every_other_within_the_sizes_of_the_protocol() {
    let mut random = Random::seeded(3);
    // ECDSA and DSA signatures vary in length, and so do DSA keys.
    for ([alice, _], (kind, _, longest_auth)) in test_keys::all().iter().zip(SIZES) {
        assert_eq!(alice.public().kind(), kind);
        for ([_, bob], (_, longest_resp, _)) in test_keys::all().iter().zip(SIZES) {
            let (resp, auth) = talk(alice, bob, &mut random);
            let pair = format!("{kind} and {}", bob.public().kind());
            assert!((longest_resp.saturating_sub(20)..=longest_resp).contains(&resp), "{pair}: HS_RESP {resp}");
            assert!((longest_auth.saturating_sub(20)..=longest_auth).contains(&auth), "{pair}: HS_AUTH {auth}");
            assert!(resp <= MAX_DATAGRAM && auth <= MAX_DATAGRAM);
        }
    }
}

#[test]
fn the_longest_key_and_signature_fill_a_datagram() {
    assert_eq!(MAX_KEY_AND_SIGNATURE, 1_065);
    assert_eq!(Resp::length(MAX_KEY_AND_SIGNATURE, 0), MAX_DATAGRAM);
    for ([identity, _], (kind, longest, _)) in test_keys::all().iter().zip(SIZES) {
        assert_eq!(Resp::length(identity.public().spki().len(), kind.max_signature()), longest, "{kind}");
    }
}

#[test]
fn an_rsa_4096_identity_has_no_room_for_an_extended_slot() {
    let mut random = Random::seeded(4);
    let extended = Slot::Extended(7);
    for [alice, bob] in test_keys::all() {
        let fits = alice.public().kind() != KeyKind::Rsa4096;
        let dial = ExpectResponse::start(bob.public().id(), Mode::Full, &mut random).unwrap();
        let init = dial.datagram().to_vec();
        let init = Init::parse(&init, OURS).unwrap();
        let answered = ExpectAuth::respond(&init, bob, extended, OURS, &mut random);
        assert_eq!(answered.is_ok_and(|(_, resp)| resp.len() <= MAX_DATAGRAM), fits);
        let (_, resp) = ExpectAuth::respond(&init, bob, SLOT_R, OURS, &mut random).unwrap();
        let dialled = dial.read(&resp, &Local { identity: alice, slot: extended, pin: None });
        assert_eq!(dialled.map_err(|refused| refused.reason).err(), (!fits).then_some(Refusal::Slot));
    }
}

#[test]
fn f07_keys_of_unexpected_kinds_stop_nobody() {
    // What claims to be an identity key is anything at all, under any algorithm byte, and it is signed for by Eve.
    let mut cast = cast();
    let x25519 = openssl::pkey::PKey::generate_x25519().unwrap().public_key_to_der().unwrap();
    let rsa_1024 = openssl::rsa::Rsa::generate(1_024).unwrap().public_key_to_der().unwrap();
    let nonsense = [vec![], vec![0x30], x25519, rsa_1024, vec![0x30; 850], cast.eve.public().spki()[..90].to_vec()];
    for spki in nonsense {
        for algorithm in 0..10 {
            let dial = cast.dial();
            let init = dial.datagram().to_vec();
            let resp = forged_resp(&mut cast, &init, |cast, t2| {
                let claim = Claim { versions: OURS, slot: Some(SLOT_R), algorithm, spki: &spki }.emit();
                let signature = cast.eve.sign(SignatureRole::Responder, &transcript::t3(t2, &claim)).unwrap();
                (claim, signature)
            });
            let refused = dial.read(&resp, &cast.alice()).unwrap_err();
            assert_eq!(refused.reason, Refusal::IdentityKey);
            assert!(refused.state.is_some(), "the dial goes on");
        }
    }
}

#[test]
fn f07_an_exchange_key_of_another_kind_is_refused() {
    let mut cast = cast();
    let p384 = test_keys::of(KeyKind::P384).public().spki().to_vec();
    let ed25519 = [test_keys::of(KeyKind::Ed25519).public().spki(), &[0; 47]].concat();
    let off_curve = [cast.eve.public().spki().split_last().unwrap().1, &[1]].concat();
    for key in [&p384[..91], &ed25519, &off_curve, &[0; 91]] {
        let dial = cast.dial();
        let mut init = dial.datagram().to_vec();
        init[16..107].copy_from_slice(key);
        let parsed = Init::parse(&init, OURS).unwrap();
        let answered = ExpectAuth::respond(&parsed, &cast.bob, SLOT_R, OURS, &mut cast.random);
        assert_eq!(answered.map(|_| ()).unwrap_err(), Refusal::ExchangeKey);
        let (_, mut resp) = cast.answer(dial.datagram());
        resp[20..111].copy_from_slice(key);
        assert_eq!(dial.read(&resp, &cast.alice()).unwrap_err().reason, Refusal::ExchangeKey);
    }
}
