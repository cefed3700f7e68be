// SPDX-License-Identifier: GPL-3.0-or-later
//! Records that were made for others, by others, for another purpose, or changed on the way.

use core::time::Duration;

use super::*;
use crate::crypto::test_keys;
use crate::wire::record::{Kind, MAX_PLACES, Place};

const OWNERS: [KeyKind; 5] = [KeyKind::P256, KeyKind::P384, KeyKind::Rsa2048, KeyKind::Ed25519, KeyKind::Ed448];

fn content(seq: u64) -> Content {
    let place = |number: u8| Place {
        node: NodeId([number; 20]),
        address: "[2001:db8::1]:5004".parse().unwrap(),
        token: [number; 16],
    };
    let places = (1..=MAX_PLACES as u8).map(place).collect();
    Content { kind: Kind::Exchange, seq, not_after: 1_700_000_000, ttl: Duration::from_secs(7_200), places }
}

fn ed25519(name: &str) -> Identity {
    Identity::from_ed25519_seed(&sha256(&[name.as_bytes()])).unwrap()
}

/// `content` as if `spki` had signed it, but signed by `signer` over `digest` for `role`.
fn forged(spki: &PublicIdentity, signer: &Identity, role: SignatureRole, content: &Content) -> Vec<u8> {
    let mut bytes = content.emit(spki.algorithm(), spki.spki()).unwrap();
    let signature = signer.sign(role, &sha256(&[&bytes])).unwrap();
    bytes.emit_variable(&signature);
    bytes
}

#[test]
fn a_record_is_read_as_it_was_signed_with_a_key_of_any_kind_allowed() {
    for kind in OWNERS {
        let owner = test_keys::of(kind);
        let record = Record::sign(&owner, content(3)).unwrap();
        let opened = Record::open(record.bytes(), &owner.public().id()).unwrap();
        assert_eq!(opened, record);
        assert_eq!((opened.owner(), opened.content()), (owner.public(), &content(3)));
    }
}

#[test]
fn p05_an_unsigned_or_altered_record_is_refused() {
    for kind in OWNERS {
        let owner = test_keys::of(kind);
        let key = owner.public().id();
        let record = Record::sign(&owner, content(3)).unwrap();
        for at in 0..record.bytes().len() {
            for change in [0x01, 0x80, 0xff] {
                let mut altered = record.bytes().to_vec();
                altered[at] ^= change;
                assert!(Record::open(&altered, &key).is_err(), "{kind}: byte {at} ^ {change:#x}");
            }
        }
        let unsigned = content(3).emit(owner.public().algorithm(), owner.public().spki()).unwrap();
        assert_eq!(Record::open(&unsigned, &key), Err(RecordError::Malformed(Malformed::Length)));
        for length in [0, 1, 64, 256] {
            let mut blank = unsigned.clone();
            blank.emit_variable(&vec![0; length]);
            assert_eq!(Record::open(&blank, &key), Err(RecordError::Signature), "{kind}: {length} zeros");
        }
    }
}

#[test]
fn p05_nobody_signs_for_the_key_of_another() {
    let (owner, mallory) = (ed25519("owner"), ed25519("mallory"));
    let key = owner.public().id();
    let hers = Record::sign(&mallory, content(9)).unwrap();
    assert_eq!(Record::open(hers.bytes(), &key), Err(RecordError::Foreign));
    let borrowed = forged(owner.public(), &mallory, SignatureRole::Record, &content(9));
    assert_eq!(Record::open(&borrowed, &key), Err(RecordError::Signature));
    assert!(Record::open(hers.bytes(), &mallory.public().id()).is_ok());
}

#[test]
fn p05_a_signature_made_for_another_purpose_signs_no_record() {
    let owner = ed25519("owner");
    let key = owner.public().id();
    for role in [SignatureRole::Responder, SignatureRole::Initiator, SignatureRole::NodeProof] {
        let confused = forged(owner.public(), &owner, role, &content(3));
        assert_eq!(Record::open(&confused, &key), Err(RecordError::Signature), "{role:?}");
    }
    assert!(Record::open(&forged(owner.public(), &owner, SignatureRole::Record, &content(3)), &key).is_ok());
}

#[test]
fn p05_the_signature_of_one_record_does_not_fit_another() {
    let owner = ed25519("owner");
    let (old, new) = (Record::sign(&owner, content(3)).unwrap(), Record::sign(&owner, content(4)).unwrap());
    let head = new.bytes().len() - 64;
    let mixed = [&new.bytes()[..head], &old.bytes()[head..]].concat();
    assert_eq!(Record::open(&mixed, &owner.public().id()), Err(RecordError::Signature));
}

#[test]
fn keys_too_long_for_records_and_dsa_and_p521_own_none() {
    for kind in KeyKind::ALL.into_iter().filter(|kind| !OWNERS.contains(kind)) {
        let owner = test_keys::of(kind);
        assert_eq!(Record::sign(&owner, content(3)), Err(RecordError::Kind), "{kind}");
        let small = Content { places: content(3).places[..1].to_vec(), ..content(3) };
        let bytes = forged(owner.public(), &owner, SignatureRole::Record, &small);
        let refused = Record::open(&bytes, &owner.public().id());
        let is_too_long = bytes.len() > MAX_RECORD;
        let why = if is_too_long { RecordError::Malformed(Malformed::Length) } else { RecordError::Kind };
        assert_eq!(refused, Err(why), "{kind}: {} bytes", bytes.len());
    }
}

#[test]
fn the_key_must_be_in_its_one_accepted_form() {
    let owner = ed25519("owner");
    let mut bytes = content(3).emit(8, owner.public().spki()).unwrap();
    bytes.emit_variable(&owner.sign(SignatureRole::Record, &sha256(&[&bytes])).unwrap());
    assert_eq!(Record::open(&bytes, &owner.public().id()), Err(RecordError::Malformed(Malformed::Key)));
}

#[test]
fn p05_an_old_record_never_replaces_a_newer_one() {
    let owner = ed25519("owner");
    let record = |seq| Record::sign(&owner, content(seq)).unwrap();
    let stored = record(5);
    assert!(record(6).may_replace(&stored) && record(u64::MAX).may_replace(&stored));
    assert!(!record(4).may_replace(&stored) && !record(0).may_replace(&stored));
    assert!(record(5).may_replace(&stored), "the same once more");
    let other = Record::sign(&owner, Content { not_after: 1_700_000_001, ..content(5) }).unwrap();
    assert!(!other.may_replace(&stored), "another one of the same seq");
    assert!(is_newer(0, None) && is_newer(6, Some(5)) && !is_newer(5, Some(5)) && !is_newer(4, Some(5)));
}

/// PROTOCOL.md 19.7; the signature is also that of the `openssl` command.
#[test]
fn a_record_has_the_bytes_of_the_protocol() {
    let owner = ed25519("dvs test id R");
    let place = |number: u8, address: &str| Place {
        node: NodeId([number; 20]),
        address: address.parse().unwrap(),
        token: [number + 1; 16],
    };
    let places = vec![place(0xaa, "198.18.0.2:5004"), place(0xbb, "[2001:db8::1]:5004")];
    let content =
        Content { kind: Kind::Exchange, seq: 7, not_after: 1_700_000_000, ttl: Duration::from_secs(3_600), places };
    let record = Record::sign(&owner, content).unwrap();
    let hex: String = RECORD.split_whitespace().collect();
    assert_eq!(data_encoding::HEXLOWER.encode(record.bytes()), hex);
}

const RECORD: &str = "
    010107000000000000000007000000006553f10000000e10002c302a300506032b65700321004b7fa44d64fb7f96eb77
    1bbf8a0f5a592a273f05ff820fda9728517eeacce937006302aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa04138c
    c6120002ababababababababababababababababbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb06138c20010db800
    0000000000000000000001bcbcbcbcbcbcbcbcbcbcbcbcbcbcbcbc004042a497bb5361e8eb368bc1db26edbb48d6332f
    b86851601f669ba79c37504e4ac5777baf6e9ea760cc41ac30f9a6147bd3c09817e7ba61f08a973e843b56c20d";
