// SPDX-License-Identifier: GPL-3.0-or-later
//! Which keys are keys, and what their signatures are good for.

use openssl::bn::BigNum;
use openssl::dsa::Dsa;
use openssl::ec::{Asn1Flag, EcGroup, PointConversionForm};
use openssl::nid::Nid;
use openssl::rsa::Rsa;
use openssl::symm::Cipher;

use super::*;
use crate::crypto::test_keys;

/// The kinds that are made in no time.
const QUICK: [KeyKind; 5] = [KeyKind::P256, KeyKind::P384, KeyKind::P521, KeyKind::Ed25519, KeyKind::Ed448];

fn identity(kind: KeyKind) -> Identity {
    Identity::generate(kind, &mut Random::seeded(1)).unwrap()
}

fn refused(algorithm: u8, spki: &[u8]) -> bool {
    PublicIdentity::parse(algorithm, spki) == Err(BadKey)
}

#[test]
fn the_same_randomness_makes_the_same_identity() {
    for kind in QUICK.into_iter().chain([KeyKind::Rsa2048]) {
        assert_eq!(identity(kind).public(), identity(kind).public());
        let other = Identity::generate(kind, &mut Random::seeded(2)).unwrap();
        assert_ne!(identity(kind).public(), other.public());
    }
}

#[test]
fn dsa_identities_are_not_made() {
    assert_eq!(Identity::generate(KeyKind::Dsa2048, &mut Random::seeded(1)).err(), Some(CryptoError));
}

#[test]
fn our_encoding_is_openssls_own() {
    for identity in test_keys::all().iter().flatten() {
        let spki = identity.public().spki();
        assert_eq!(spki, identity.key.public_key_to_der().unwrap());
        assert_eq!(spki, identity.public().key.public_key_to_der().unwrap());
    }
}

#[test]
fn keys_and_signatures_have_the_lengths_of_the_protocol() {
    let lengths = [91, 120, 158, 294, 422, 550, 844, 44, 69];
    let signatures = [72, 104, 139, 256, 384, 512, 72, 64, 114];
    for (([identity, _], length), longest) in test_keys::all().iter().zip(lengths).zip(signatures) {
        let (public, kind) = (identity.public(), identity.public().kind());
        assert_eq!((public.spki().len(), kind.max_signature()), (length, longest), "{kind}");
        assert!(length + longest <= 1_065, "{kind}");
        for number in 0..8 {
            let signature = identity.sign(SignatureRole::Responder, &[number; 32]).unwrap();
            assert!(kind.accepts_signature(signature.len()), "{kind}: {}", signature.len());
        }
        let exact = kind.is_rsa() || matches!(kind, KeyKind::Ed25519 | KeyKind::Ed448);
        assert_eq!(kind.accepts_signature(longest - 1), !exact, "{kind}");
        assert!(!kind.accepts_signature(longest + 1) && !kind.accepts_signature(0), "{kind}");
    }
}

#[test]
fn a_signature_holds_for_its_role_digest_and_signer_only() {
    for [signer, other] in test_keys::all() {
        let signature = signer.sign(SignatureRole::Responder, &[1; 32]).unwrap();
        let holds =
            |who: &Identity, role, digest: u8, signature: &[u8]| who.public().verify(role, &[digest; 32], signature);
        let kind = signer.public().kind();
        assert!(holds(signer, SignatureRole::Responder, 1, &signature), "{kind}");
        assert!(!holds(signer, SignatureRole::Initiator, 1, &signature), "{kind}");
        assert!(!holds(signer, SignatureRole::Responder, 2, &signature), "{kind}");
        assert!(!holds(other, SignatureRole::Responder, 1, &signature), "{kind}");
        assert!(!holds(signer, SignatureRole::Responder, 1, &[]), "{kind}");
        assert!(!holds(signer, SignatureRole::Responder, 1, &signature[1..]), "{kind}");
        assert!(!holds(signer, SignatureRole::Responder, 1, &[&signature[..], &[0]].concat()), "{kind}");
    }
}

#[test]
fn a_signature_has_one_encoding() {
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::Dsa2048] {
        let signer = test_keys::of(kind);
        let good = signer.sign(SignatureRole::Record, &[1; 32]).unwrap();
        let holds = |signature: &[u8]| signer.public().verify(SignatureRole::Record, &[1; 32], signature);
        // A number with a needless zero before it, and a length in a longer form than it needs.
        let number = [&[2, good[3] + 1, 0][..], &good[4..]].concat();
        let padded = [&[0x30, good[1] + 1][..], &number].concat();
        let long = [&[0x30, 0x81, good[1]][..], &good[2..]].concat();
        assert!(holds(&good) && !holds(&padded) && !holds(&long), "{kind}");
    }
}

#[test]
fn only_the_padding_digest_and_salt_of_the_protocol_make_an_rsa_signature() {
    use openssl::rsa::Padding;
    use openssl::sign::RsaPssSaltlen;
    let identity = test_keys::of(KeyKind::Rsa2048);
    let message = SignatureRole::Record.to_be_signed(&[1; 32]);
    let verdict = |digest: MessageDigest, padding, salt: Option<i32>| {
        let mut signer = Signer::new(digest, &identity.key).unwrap();
        signer.set_rsa_padding(padding).unwrap();
        if let Some(salt) = salt {
            signer.set_rsa_pss_saltlen(RsaPssSaltlen::custom(salt)).unwrap();
        }
        let signature = signer.sign_oneshot_to_vec(&message).unwrap();
        identity.public().verify(SignatureRole::Record, &[1; 32], &signature)
    };
    assert!(verdict(MessageDigest::sha256(), Padding::PKCS1_PSS, Some(32)));
    assert!(!verdict(MessageDigest::sha256(), Padding::PKCS1_PSS, Some(20)));
    assert!(!verdict(MessageDigest::sha384(), Padding::PKCS1_PSS, Some(32)));
    assert!(!verdict(MessageDigest::sha256(), Padding::PKCS1, None));
}

#[test]
fn a_key_survives_its_file() {
    for identity in test_keys::all().iter().flatten() {
        let pem = identity.to_pem().unwrap();
        assert!(pem.starts_with(b"-----BEGIN PRIVATE KEY-----"));
        assert_eq!(Identity::from_pem(&pem).unwrap().public(), identity.public());
    }
}

#[test]
fn unusable_key_files_are_told_apart() {
    let error = |pem: &[u8]| Identity::from_pem(pem).unwrap_err();
    assert_eq!(error(b""), KeyFileError::NotPem);
    assert_eq!(error(b"\xff\x00 no key"), KeyFileError::NotPem);
    let pem = identity(KeyKind::P256).to_pem().unwrap().to_vec();
    assert_eq!(error(&pem[..pem.len() / 2]), KeyFileError::Damaged);
    let mut flipped = pem.clone();
    flipped[60] = b'!';
    assert_eq!(error(&flipped), KeyFileError::Damaged);
    let encrypted =
        identity(KeyKind::P256).key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"secret").unwrap();
    assert_eq!(error(&encrypted), KeyFileError::Encrypted);
}

#[test]
fn sound_keys_of_other_kinds_are_named_unsupported() {
    let error = |key: PKey<Private>| Identity::from_pem(&key.private_key_to_pem_pkcs8().unwrap()).unwrap_err();
    let curve = |nid| PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(nid).unwrap()).unwrap()).unwrap();
    let rsa = |bits| PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
    let large = PKey::from_rsa(Rsa::generate_with_e(2_048, &BigNum::from_slice(&[1, 0, 0, 0, 15]).unwrap()).unwrap());
    for key in [rsa(1_024), rsa(2_056), large.unwrap(), curve(Nid::SECP256K1), curve(Nid::SECP224R1)] {
        assert_eq!(error(key), KeyFileError::Unsupported);
    }
    assert_eq!(error(PKey::generate_x25519().unwrap()), KeyFileError::Unsupported);
}

#[test]
fn halves_that_do_not_belong_together_are_a_damaged_key() {
    let (rsa, other) = (Rsa::generate(2_048).unwrap(), Rsa::generate(2_048).unwrap());
    let number = |of: Option<&openssl::bn::BigNumRef>| of.unwrap().to_owned().unwrap();
    let (n, e, d) = (number(Some(rsa.n())), number(Some(rsa.e())), number(Some(other.d())));
    let mixed = openssl::rsa::RsaPrivateKeyBuilder::new(n, e, d).unwrap();
    let mixed = mixed.set_factors(number(other.p()), number(other.q())).unwrap();
    let mixed = mixed.set_crt_params(number(other.dmp1()), number(other.dmq1()), number(other.iqmp())).unwrap();
    let mixed = PKey::from_rsa(mixed.build()).unwrap().private_key_to_pem_pkcs8().unwrap();
    assert_eq!(Identity::from_pem(&mixed).err(), Some(KeyFileError::Damaged));
}

#[test]
fn f07_only_the_exact_encodings_of_the_supported_kinds_are_keys() {
    for identity in test_keys::all().iter().flatten() {
        let (good, own) = (identity.public().spki(), identity.public().algorithm());
        assert!(!refused(own, good));
        assert!(refused(own, &[good, &[0]].concat()), "{own}: trailing byte");
        assert!(refused(own, &good[..good.len() - 1]), "{own}: cut");
        for other in (0..=255).filter(|other| *other != own) {
            assert!(refused(other, good), "{own} as {other}");
        }
        // The framing of every kind is fixed: no bit of it may differ, wherever it stands.
        let framing = if matches!(identity.public().kind(), KeyKind::Ed25519 | KeyKind::Ed448) { 12 } else { 24 };
        for position in 0..framing {
            let mut spki = good.to_vec();
            spki[position] ^= 4;
            assert!(refused(own, &spki), "{own}: byte {position}");
        }
    }
}

#[test]
fn f07_other_keys_and_other_encodings_of_the_same_keys_are_refused() {
    let der = |key: PKey<Private>| key.public_key_to_der().unwrap();
    let x25519 = der(PKey::generate_x25519().unwrap());
    let secp256k1 = EcKey::generate(&EcGroup::from_curve_name(Nid::SECP256K1).unwrap()).unwrap();
    let secp256k1 = der(PKey::from_ec_key(secp256k1).unwrap());
    let rsa_1024 = der(PKey::from_rsa(Rsa::generate(1_024).unwrap()).unwrap());
    let curves = [(1, KeyKind::P256, Nid::X9_62_PRIME256V1), (2, KeyKind::P384, Nid::SECP384R1)];
    let curves = curves.into_iter().chain([(3, KeyKind::P521, Nid::SECP521R1)]);
    let aliases = curves.flat_map(|(wire, kind, nid)| [(wire, compressed(kind, nid)), (wire, explicit(nid))]);
    for (wire, spki) in aliases.chain([(7, x25519.clone()), (8, x25519), (1, secp256k1), (4, rsa_1024)]) {
        assert!(PKey::public_key_from_der(&spki).is_ok(), "OpenSSL takes it for a key");
        assert!(refused(wire, &spki), "{wire}: {spki:02x?}");
    }
}

/// The same key with a compressed point: OpenSSL takes it for an equal key.
fn compressed(kind: KeyKind, nid: Nid) -> Vec<u8> {
    let key = identity(kind).key.ec_key().unwrap();
    let mut group = EcGroup::from_curve_name(nid).unwrap();
    group.set_asn1_flag(Asn1Flag::NAMED_CURVE);
    let mut context = openssl::bn::BigNumContext::new().unwrap();
    let point = key.public_key().to_bytes(&group, PointConversionForm::COMPRESSED, &mut context).unwrap();
    let uncompressed = identity(kind).public().spki().to_vec();
    let algorithm_at = if uncompressed[1] == 0x81 { 3 } else { 2 };
    let algorithm = &uncompressed[algorithm_at..][..2 + usize::from(uncompressed[algorithm_at + 1])];
    let bits = [&[3, point.len() as u8 + 1, 0][..], &point].concat();
    [&[0x30, (algorithm.len() + bits.len()) as u8][..], algorithm, &bits].concat()
}

/// A key whose curve is spelt out.
fn explicit(nid: Nid) -> Vec<u8> {
    let mut group = EcGroup::from_curve_name(nid).unwrap();
    group.set_asn1_flag(Asn1Flag::EXPLICIT_CURVE);
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap().public_key_to_der().unwrap()
}

/// OpenSSL's encoding of an RSA key with these numbers, good or bad.
fn rsa(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let [n, e] = [modulus, exponent].map(|bytes| BigNum::from_slice(bytes).unwrap());
    PKey::from_rsa(Rsa::from_public_components(n, e).unwrap()).unwrap().public_key_to_der().unwrap()
}

#[test]
fn f07_rsa_keys_of_other_sizes_and_exponents_are_refused() {
    let odd = |bits: usize| {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] >>= modulus.len() * 8 - bits;
        modulus
    };
    for bits in [2_048, 3_072, 4_096] {
        for good in [&[3][..], &[17], &[1, 0, 1], &[0xff; 4]] {
            assert!(!refused(4, &rsa(&odd(bits), good)), "{bits} {good:?}");
        }
        for bad in [&[1][..], &[2], &[4], &[1, 0, 0], &[0xff, 0xff, 0xff, 0xfe], &[1, 0, 0, 0, 1], &[0x55; 64]] {
            assert!(refused(4, &rsa(&odd(bits), bad)), "{bits} {bad:?}");
        }
        let mut even = odd(bits);
        *even.last_mut().unwrap() = 0xfe;
        assert!(refused(4, &rsa(&even, &[1, 0, 1])));
    }
    for bits in [512, 1_024, 2_040, 2_047, 2_049, 2_056, 3_071, 3_073, 4_095, 4_097, 7_680] {
        assert!(refused(4, &rsa(&odd(bits), &[1, 0, 1])), "{bits}");
    }
}

#[test]
fn f07_rsa_keys_without_their_null_or_with_another_algorithm_are_refused() {
    let good = test_keys::of(KeyKind::Rsa2048).public().spki().to_vec();
    let null = good.windows(2).position(|pair| pair == [5, 0]).unwrap();
    let mut absent = [&good[..null], &good[null + 2..]].concat();
    (absent[3], absent[5]) = (absent[3] - 2, absent[5] - 2);
    assert!(refused(4, &absent));
    let mut pss = good;
    pss[null - 1] = 0x0a;
    assert!(refused(4, &pss), "RSASSA-PSS keys have parameters of their own");
}

#[test]
fn f07_dsa_keys_need_their_parameters_and_sizes() {
    let key = Identity::from_pem(test_keys::DSA_256).unwrap().key.dsa().unwrap();
    let [p, q, g, y] = [key.p(), key.q(), key.g(), key.pub_key()].map(|number| number.to_vec());
    let encode = |p: &[u8], q: &[u8], g: &[u8], y: &[u8]| {
        let [p, q, g, y] = [p, q, g, y].map(|bytes| BigNum::from_slice(bytes).unwrap());
        PKey::from_dsa(Dsa::from_public_components(p, q, g, y).unwrap()).unwrap().public_key_to_der().unwrap()
    };
    assert!(!refused(5, &encode(&p, &q, &g, &y)));
    let mut even = p.clone();
    *even.last_mut().unwrap() ^= 1;
    let longer = [&[1][..], &p].concat();
    for (what, spki) in [
        ("p too long", encode(&longer, &q, &g, &y)),
        ("p too short", encode(&p[1..], &q, &[2], &[2])),
        ("p even", encode(&even, &q, &g, &y)),
        ("q of 160 bits", encode(&p, &q[..20], &g, &y)),
        ("q too long", encode(&p, &[&[1][..], &q].concat(), &g, &y)),
        ("g one", encode(&p, &q, &[1], &y)),
        ("g above p", encode(&p, &q, &[0xff; 256], &y)),
        ("y one", encode(&p, &q, &g, &[1])),
        ("y above p", encode(&p, &q, &g, &[0xff; 256])),
    ] {
        assert!(refused(5, &spki), "{what}");
    }
    // Parameters may be inherited elsewhere; not here.
    let number = [&[2, 0x82, 1, 1, 0][..], &y].concat();
    let bits = [&[3, 0x82, 1, 6, 0][..], &number].concat();
    let absent = [&[0x30, 0x82, 1, 21, 0x30, 9, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1][..], &bits].concat();
    assert!(refused(5, &absent));
}

#[test]
fn f08_a_key_of_any_length_is_measured_before_anything_reads_it() {
    for [identity, _] in test_keys::all() {
        let (good, wire) = (identity.public().spki(), identity.public().algorithm());
        for length in (0..1_232).filter(|length| *length != good.len()) {
            let spki: Vec<u8> = good.iter().copied().cycle().take(length).collect();
            assert_eq!(PublicIdentity::parse(wire, &spki), Err(BadKey), "{wire}, {length}");
        }
    }
}

#[test]
fn f08_keys_too_long_for_a_datagram_do_not_exist() {
    // As long as DSA keys of 2048 bits would get with a longer subgroup, and as long as those of 3072 bits are.
    for bits in [(2_048, 272), (3_072, 256)] {
        let [p, q] = [bits.0, bits.1].map(|bits| BigNum::from_slice(&vec![0xff; bits / 8]).unwrap());
        let [g, y] = [bits.0; 2].map(|bits| {
            let mut number = vec![0xff; bits / 8];
            *number.last_mut().unwrap() = 0;
            BigNum::from_slice(&number).unwrap()
        });
        let key = PKey::from_dsa(Dsa::from_public_components(p, q, g, y).unwrap()).unwrap();
        let spki = key.public_key_to_der().unwrap();
        assert!(spki.len() >= 846, "{}", spki.len());
        assert!(refused(5, &spki));
    }
    let modulus = vec![0xff; 1_024];
    assert!(refused(4, &rsa(&modulus, &[1, 0, 1])), "RSA with 8192 bits");
}

#[test]
fn d17_a_point_off_the_curve_is_no_key() {
    for kind in [KeyKind::P256, KeyKind::P384, KeyKind::P521] {
        let good = identity(kind).public().spki().to_vec();
        let point_at = good.len() - [64, 96, 132][usize::from(kind.to_wire()) - 1];
        let mut off = good.clone();
        *off.last_mut().unwrap() ^= 1;
        let mut origin = good.clone();
        origin[point_at..].fill(0);
        let mut too_large = good.clone();
        too_large[point_at..].fill(0xff);
        let infinity = [&good[..point_at - 1], &[0]].concat();
        for spki in [off, origin, too_large, infinity] {
            assert!(refused(kind.to_wire(), &spki), "{kind}");
        }
    }
}
