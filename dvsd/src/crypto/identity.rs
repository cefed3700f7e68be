// SPDX-License-Identifier: GPL-3.0-or-later
//! Identities: the long-term key pair of a person or node, its names, and its signatures.

use core::fmt;

use openssl::ec::EcKey;
use openssl::hash::MessageDigest;
use openssl::pkey::{Id, PKey, Private, Public};
use openssl::sha::{sha384, sha512};
use openssl::sign::{Signer, Verifier};
use thiserror::Error;
use zeroize::Zeroizing;

use super::ec::{self, Curve};
pub use super::spki::KeyKind;
use super::{BadKey, CryptoError, kdf, rsa, spki};
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
    #[error(
        "the kind of the private key is not supported: use EC P-256, P-384 or P-521, Ed25519, Ed448, RSA with 2048, 3072 \
         or 4096 bits, or DSA with 2048"
    )]
    Unsupported,
}

/// A key pair. The private half never leaves this type but as PEM.
pub struct Identity {
    key: PKey<Private>,
    public: PublicIdentity,
}

impl Identity {
    /// A new key pair out of `random`. Fails for DSA, which is not made any more.
    pub fn generate(kind: KeyKind, random: &mut Random) -> Result<Self, CryptoError> {
        match kind {
            KeyKind::P256 => Self::from_ec(&ec::P256, kind, ec::P256.generate(random)?),
            KeyKind::P384 => Self::from_ec(&ec::P384, kind, ec::P384.generate(random)?),
            KeyKind::P521 => Self::from_ec(&ec::P521, kind, ec::P521.generate(random)?),
            KeyKind::Rsa2048 => Self::from_key(kind, rsa::generate(2_048, random)?),
            KeyKind::Rsa3072 => Self::from_key(kind, rsa::generate(3_072, random)?),
            KeyKind::Rsa4096 => Self::from_key(kind, rsa::generate(4_096, random)?),
            KeyKind::Dsa2048 => Err(CryptoError),
            KeyKind::Ed25519 => Self::from_ed25519_seed(&Zeroizing::new(random.bytes())),
            KeyKind::Ed448 => {
                let seed = Zeroizing::new(random.bytes::<57>());
                Self::from_key(kind, PKey::private_key_from_raw_bytes(&*seed, Id::ED448)?)
            }
        }
    }

    /// The Ed25519 key pair of `seed`.
    pub fn from_ed25519_seed(seed: &[u8; 32]) -> Result<Self, CryptoError> {
        Self::from_key(KeyKind::Ed25519, PKey::private_key_from_raw_bytes(seed, Id::ED25519)?)
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
        let identity = match key.id() {
            Id::EC => Self::from_ec_checked(&key)?,
            id => Self::from_key(kind_of(id, key.bits())?, key).map_err(|_| KeyFileError::Unsupported)?,
        };
        if identity.fits_itself() { Ok(identity) } else { Err(KeyFileError::Damaged) }
    }

    fn from_ec_checked(key: &PKey<Private>) -> Result<Self, KeyFileError> {
        let key = key.ec_key().map_err(|_| KeyFileError::Damaged)?;
        let curves = [(&ec::P256, KeyKind::P256), (&ec::P384, KeyKind::P384), (&ec::P521, KeyKind::P521)];
        let curve = curves.into_iter().find(|(curve, _)| curve.is_of(&key));
        let (curve, kind) = curve.ok_or(KeyFileError::Unsupported)?;
        key.check_key().map_err(|_| KeyFileError::Damaged)?;
        Self::from_ec(curve, kind, key).map_err(|_| KeyFileError::Damaged)
    }

    fn from_ec(curve: &Curve, kind: KeyKind, key: EcKey<Private>) -> Result<Self, CryptoError> {
        let spki = curve.spki(key.public_key())?;
        Self::new(PKey::from_ec_key(key)?, kind, &spki)
    }

    /// Of any kind that OpenSSL encodes in one way only.
    fn from_key(kind: KeyKind, key: PKey<Private>) -> Result<Self, CryptoError> {
        let spki = key.public_key_to_der()?;
        Self::new(key, kind, &spki)
    }

    fn new(key: PKey<Private>, kind: KeyKind, spki: &[u8]) -> Result<Self, CryptoError> {
        let public = PublicIdentity::parse(kind.to_wire(), spki).map_err(|_| CryptoError)?;
        Ok(Self { key, public })
    }

    /// Whether the two halves belong together.
    fn fits_itself(&self) -> bool {
        let digest = kdf::sha256(&[b"dvs1 self-test"]);
        let signature = self.sign(SignatureRole::Record, &digest);
        signature.is_ok_and(|signature| self.public.verify(SignatureRole::Record, &digest, &signature))
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
        let mut signer = match self.public.kind.digest() {
            Some(digest) => Signer::new(digest, &self.key)?,
            None => Signer::new_without_digest(&self.key)?,
        };
        if self.public.kind.is_rsa() {
            rsa::sign_with_pss(&mut signer)?;
        }
        Ok(signer.sign_oneshot_to_vec(&message)?)
    }
}

/// The kind of a key that is not on a curve of ours.
fn kind_of(id: Id, bits: u32) -> Result<KeyKind, KeyFileError> {
    match (id, bits) {
        (Id::RSA, 2_048) => Ok(KeyKind::Rsa2048),
        (Id::RSA, 3_072) => Ok(KeyKind::Rsa3072),
        (Id::RSA, 4_096) => Ok(KeyKind::Rsa4096),
        (Id::DSA, 2_048) => Ok(KeyKind::Dsa2048),
        (Id::ED25519, _) => Ok(KeyKind::Ed25519),
        (Id::ED448, _) => Ok(KeyKind::Ed448),
        _ => Err(KeyFileError::Unsupported),
    }
}

impl KeyKind {
    /// What is signed a digest of; `None` if the algorithm takes the message itself.
    fn digest(self) -> Option<MessageDigest> {
        match self {
            Self::P384 => Some(MessageDigest::sha384()),
            Self::P521 => Some(MessageDigest::sha512()),
            Self::P256 | Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 | Self::Dsa2048 => Some(MessageDigest::sha256()),
            Self::Ed25519 | Self::Ed448 => None,
        }
    }

    const fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
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
        let (kind, key) = spki::read(algorithm, spki)?;
        Ok(Self { kind, key, id: kdf::node_id(spki), fingerprint: kdf::fingerprint(spki), spki: spki.to_vec() })
    }

    /// The kind of key.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The algorithm byte of the wire.
    pub fn algorithm(&self) -> u8 {
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
        match self.kind {
            KeyKind::P256 => ec::verify(&*self.key.ec_key()?, &kdf::sha256(&[message]), signature),
            KeyKind::P384 => ec::verify(&*self.key.ec_key()?, &sha384(message), signature),
            KeyKind::P521 => ec::verify(&*self.key.ec_key()?, &sha512(message), signature),
            _ => self.verify_generically(message, signature),
        }
    }

    fn verify_generically(&self, message: &[u8], signature: &[u8]) -> Result<bool, CryptoError> {
        let mut verifier = match self.kind.digest() {
            Some(digest) => Verifier::new(digest, &self.key)?,
            None => Verifier::new_without_digest(&self.key)?,
        };
        if self.kind.is_rsa() {
            rsa::verify_with_pss(&mut verifier)?;
        }
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
mod tests;
