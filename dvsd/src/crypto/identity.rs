// SPDX-License-Identifier: GPL-3.0-or-later
//! Identities: the long-term key pair of a person or node, its names, and its signatures.

use core::fmt;

use openssl::ec::EcKey;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private, Public};
use openssl::sign::{Signer, Verifier};
use thiserror::Error;
use zeroize::Zeroizing;

pub use super::spki::KeyKind;
use super::{BadKey, CryptoError, kdf, p256, spki};
use crate::id::{Fingerprint, NodeId};
use crate::random::Random;

/// What a signature is for. It is part of what is signed, so that no signature can serve another purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureRole {
    /// The handshake's responder.
    Responder,
    /// The handshake's initiator.
    Initiator,
    /// A node proves that it owns its ID.
    NodeProof,
    /// A record stored in the overlay.
    Record,
}

impl SignatureRole {
    const fn label(self) -> &'static str {
        match self {
            Self::Responder => "responder",
            Self::Initiator => "initiator",
            Self::NodeProof => "node-proof",
            Self::Record => "record",
        }
    }

    /// What is really signed: 64 spaces, the purpose, a zero byte, the digest (the shape of RFC 8446 §4.4.3).
    fn to_be_signed(self, digest: &kdf::Digest) -> Vec<u8> {
        let role = self.label().as_bytes();
        [&[b' '; 64][..], b"DVS v1 ", role, b" signature\0", digest].concat()
    }
}

/// Why a key file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyFileError {
    /// No PEM private key in it.
    #[error("not a PEM private key")]
    NotPem,
    /// Protected by a passphrase, which a daemon cannot ask for.
    #[error("the private key is encrypted; the daemon needs it without a passphrase")]
    Encrypted,
    /// It says it is a private key, but cannot be read or contradicts itself.
    #[error("the private key is damaged")]
    Damaged,
    /// A sound key of a kind or curve that is not supported.
    #[error("the kind of the private key is not supported: use EC P-256 or Ed25519")]
    Unsupported,
}

/// A key pair. The private half never leaves this type but as PEM.
pub struct Identity {
    key: PKey<Private>,
    public: PublicIdentity,
}

impl Identity {
    /// A new key pair out of `random`.
    pub fn generate(kind: KeyKind, random: &mut Random) -> Result<Self, CryptoError> {
        match kind {
            KeyKind::P256 => Self::from_ec(p256::generate(random)?),
            KeyKind::Ed25519 => Self::from_ed25519_seed(&Zeroizing::new(random.bytes())),
        }
    }

    /// The Ed25519 key pair of `seed`.
    pub fn from_ed25519_seed(seed: &[u8; 32]) -> Result<Self, CryptoError> {
        Self::from_ed25519(PKey::private_key_from_raw_bytes(seed, Id::ED25519)?)
    }

    /// Reads an unencrypted PEM private key, PKCS#8 or a traditional form.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyFileError> {
        let contains = |text: &[u8]| pem.windows(text.len()).any(|window| window == text);
        if contains(b"ENCRYPTED") {
            return Err(KeyFileError::Encrypted);
        }
        if !contains(b"-----BEGIN ") || !contains(b"PRIVATE KEY-----") {
            return Err(KeyFileError::NotPem);
        }
        // The callback keeps OpenSSL from asking for a passphrase on the terminal.
        let key = PKey::private_key_from_pem_callback(pem, |_| Ok(0)).map_err(|_| KeyFileError::Damaged)?;
        match key.id() {
            Id::EC => Self::from_ec_checked(&key),
            Id::ED25519 => Self::from_ed25519(key).map_err(|_| KeyFileError::Damaged),
            _ => Err(KeyFileError::Unsupported),
        }
    }

    fn from_ec_checked(key: &PKey<Private>) -> Result<Self, KeyFileError> {
        let key = key.ec_key().map_err(|_| KeyFileError::Damaged)?;
        if key.group().curve_name() != Some(Nid::X9_62_PRIME256V1) {
            return Err(KeyFileError::Unsupported);
        }
        key.check_key().map_err(|_| KeyFileError::Damaged)?;
        Self::from_ec(key).map_err(|_| KeyFileError::Damaged)
    }

    fn from_ec(key: EcKey<Private>) -> Result<Self, CryptoError> {
        let spki = p256::spki(key.public_key())?;
        Self::new(PKey::from_ec_key(key)?, KeyKind::P256, &spki)
    }

    fn from_ed25519(key: PKey<Private>) -> Result<Self, CryptoError> {
        let spki = spki::ed25519(&key.raw_public_key()?);
        Self::new(key, KeyKind::Ed25519, &spki)
    }

    fn new(key: PKey<Private>, kind: KeyKind, spki: &[u8]) -> Result<Self, CryptoError> {
        let public = PublicIdentity::parse(kind.to_wire(), spki).map_err(|_| CryptoError)?;
        Ok(Self { key, public })
    }

    /// The private key as unencrypted PKCS#8 PEM.
    pub fn to_pem(&self) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        Ok(Zeroizing::new(self.key.private_key_to_pem_pkcs8()?))
    }

    /// The public half.
    pub const fn public(&self) -> &PublicIdentity {
        &self.public
    }

    /// Signs `digest` for `role`.
    pub fn sign(&self, role: SignatureRole, digest: &kdf::Digest) -> Result<Vec<u8>, CryptoError> {
        let message = role.to_be_signed(digest);
        let mut signer = match self.public.kind {
            KeyKind::P256 => Signer::new(MessageDigest::sha256(), &self.key)?,
            KeyKind::Ed25519 => Signer::new_without_digest(&self.key)?,
        };
        Ok(signer.sign_oneshot_to_vec(&message)?)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.public.id).finish()
    }
}

/// The public half of an identity, in the one accepted encoding.
#[derive(Clone)]
pub struct PublicIdentity {
    kind: KeyKind,
    spki: Vec<u8>,
    key: PKey<Public>,
    id: NodeId,
    fingerprint: Fingerprint,
}

impl PublicIdentity {
    /// Reads a key: `spki` must be exactly the template of the kind with algorithm byte `algorithm`.
    pub fn parse(algorithm: u8, spki: &[u8]) -> Result<Self, BadKey> {
        let kind = KeyKind::from_wire(algorithm)?;
        let key = spki::read(kind, spki)?;
        Ok(Self { kind, key, id: kdf::node_id(spki), fingerprint: kdf::fingerprint(spki), spki: spki.to_vec() })
    }

    /// The kind of key.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The algorithm byte of the wire.
    pub const fn algorithm(&self) -> u8 {
        self.kind.to_wire()
    }

    /// The SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The ID: where to look for it.
    pub const fn id(&self) -> NodeId {
        self.id
    }

    /// The fingerprint: what trust is pinned to.
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Whether `signature` is this identity's over `digest` for `role`.
    pub fn verify(&self, role: SignatureRole, digest: &kdf::Digest, signature: &[u8]) -> bool {
        self.kind.accepts_signature(signature.len())
            && self.try_verify(&role.to_be_signed(digest), signature).unwrap_or(false)
    }

    fn try_verify(&self, message: &[u8], signature: &[u8]) -> Result<bool, CryptoError> {
        let mut verifier = match self.kind {
            KeyKind::P256 => Verifier::new(MessageDigest::sha256(), &self.key)?,
            KeyKind::Ed25519 => Verifier::new_without_digest(&self.key)?,
        };
        Ok(verifier.verify_oneshot(signature, message)?)
    }
}

impl PartialEq for PublicIdentity {
    fn eq(&self, other: &Self) -> bool {
        self.spki == other.spki
    }
}

impl Eq for PublicIdentity {}

impl fmt::Debug for PublicIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PublicIdentity").field(&self.id).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::ec::{EcGroup, PointConversionForm};
    use openssl::rsa::Rsa;
    use openssl::symm::Cipher;

    const KINDS: [KeyKind; 2] = [KeyKind::P256, KeyKind::Ed25519];

    fn identity(kind: KeyKind) -> Identity {
        Identity::generate(kind, &mut Random::seeded(1)).unwrap()
    }

    #[test]
    fn the_same_randomness_makes_the_same_identity() {
        for kind in KINDS {
            assert_eq!(identity(kind).public(), identity(kind).public());
            let other = Identity::generate(kind, &mut Random::seeded(2)).unwrap();
            assert_ne!(identity(kind).public(), other.public());
        }
    }

    #[test]
    fn our_encoding_is_openssls_own() {
        for kind in KINDS {
            let identity = identity(kind);
            assert_eq!(identity.public().spki(), identity.key.public_key_to_der().unwrap());
            assert_eq!(identity.public().spki().len(), kind.spki_len());
        }
    }

    #[test]
    fn a_signature_holds_for_its_role_digest_and_signer_only() {
        for kind in KINDS {
            let signer = identity(kind);
            let other = Identity::generate(kind, &mut Random::seeded(2)).unwrap();
            let signature = signer.sign(SignatureRole::Responder, &[1; 32]).unwrap();
            assert!(signer.public().verify(SignatureRole::Responder, &[1; 32], &signature));
            assert!(!signer.public().verify(SignatureRole::Initiator, &[1; 32], &signature));
            assert!(!signer.public().verify(SignatureRole::Responder, &[2; 32], &signature));
            assert!(!other.public().verify(SignatureRole::Responder, &[1; 32], &signature));
            assert!(!signer.public().verify(SignatureRole::Responder, &[1; 32], &[]));
            assert!(!signer.public().verify(SignatureRole::Responder, &[1; 32], &signature[1..]));
            assert!(!signer.public().verify(SignatureRole::Responder, &[1; 32], &[signature, vec![0]].concat()));
        }
    }

    #[test]
    fn a_key_survives_its_file() {
        for kind in KINDS {
            let identity = identity(kind);
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
        let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        assert_eq!(error(&rsa.private_key_to_pem_pkcs8().unwrap()), KeyFileError::Unsupported);
        let p384 = EcKey::generate(&EcGroup::from_curve_name(Nid::SECP384R1).unwrap()).unwrap();
        let p384 = PKey::from_ec_key(p384).unwrap();
        assert_eq!(error(&p384.private_key_to_pem_pkcs8().unwrap()), KeyFileError::Unsupported);
        let key = identity(KeyKind::P256);
        let encrypted = key.key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"secret").unwrap();
        assert_eq!(error(&encrypted), KeyFileError::Encrypted);
    }

    #[test]
    fn f07_only_the_exact_encodings_of_the_supported_kinds_are_keys() {
        let good = identity(KeyKind::P256).public().spki().to_vec();
        let refused = |algorithm: u8, spki: &[u8]| PublicIdentity::parse(algorithm, spki) == Err(BadKey);
        assert!(refused(1, &[&good[..], &[0]].concat()), "trailing byte");
        assert!(refused(1, &good[..90]), "cut");
        assert!(refused(7, &good), "wrong algorithm byte");
        assert!(refused(0, &good), "no such algorithm");
        assert!(refused(2, &good), "an algorithm not built in");
        assert!(refused(7, &[&ED25519[..], &[0]].concat()), "trailing byte");
        assert!(refused(1, &compressed(&good)), "compressed point");
        assert!(refused(1, &PKey::generate_x25519().unwrap().public_key_to_der().unwrap()), "key exchange key");
        assert!(refused(1, &PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap().public_key_to_der().unwrap()));
        for position in 0..27 {
            let mut spki = good.clone();
            spki[position] ^= 4;
            assert!(refused(1, &spki), "template byte {position}");
        }
    }

    #[test]
    fn f08_a_key_of_any_length_is_measured_before_anything_reads_it() {
        let good = identity(KeyKind::P256).public().spki().to_vec();
        for length in (0..91).chain(92..1_232) {
            let spki: Vec<u8> = good.iter().copied().cycle().take(length).collect();
            assert_eq!(PublicIdentity::parse(1, &spki), Err(BadKey), "{length}");
        }
    }

    const ED25519: [u8; 44] = {
        let mut spki = [9; 44];
        let prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        let mut i = 0;
        while i < prefix.len() {
            spki[i] = prefix[i];
            i += 1;
        }
        spki
    };

    /// The same key with a compressed point: OpenSSL takes it for an equal key.
    fn compressed(spki: &[u8]) -> Vec<u8> {
        let key = PKey::public_key_from_der(spki).unwrap().ec_key().unwrap();
        let mut group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        group.set_asn1_flag(openssl::ec::Asn1Flag::NAMED_CURVE);
        let mut context = openssl::bn::BigNumContext::new().unwrap();
        let point = key.public_key().to_bytes(&group, PointConversionForm::COMPRESSED, &mut context).unwrap();
        let mut der = spki[..26].to_vec();
        (der[1], der[24]) = (0x39, 0x22);
        der.extend(point);
        assert!(PKey::public_key_from_der(&der).is_ok(), "OpenSSL accepts it");
        der
    }
}
