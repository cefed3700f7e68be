// SPDX-License-Identifier: GPL-3.0-or-later
//! Public keys of strangers: whatever is accepted is the one encoding of its key that OpenSSL writes, too.
#![no_main]

use dvsd::crypto::identity::{PublicIdentity, SignatureRole};
use dvsd::wire::handshake::MAX_KEY_AND_SIGNATURE;
use libfuzzer_sys::fuzz_target;
use openssl::pkey::PKey;

fuzz_target!(|input: &[u8]| {
    let Some((algorithm, spki)) = input.split_first() else { return };
    let Ok(identity) = PublicIdentity::parse(*algorithm, spki) else { return };
    assert_eq!(identity.spki(), spki);
    assert_eq!(identity.algorithm(), *algorithm);
    let theirs = PKey::public_key_from_der(spki).expect("OpenSSL reads what we accept");
    assert_eq!(theirs.public_key_to_der().expect("OpenSSL writes what it read"), spki);
    // What is accepted fits a datagram, and is asked for signatures without harm.
    assert!(spki.len() + identity.kind().max_signature() <= MAX_KEY_AND_SIGNATURE);
    let signature = vec![0x30; identity.kind().max_signature()];
    assert!(!identity.verify(SignatureRole::Responder, &[1; 32], &signature));
});
