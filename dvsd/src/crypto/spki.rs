// SPDX-License-Identifier: GPL-3.0-or-later
//! The accepted encodings of identity keys, as exact byte templates: one row per kind of key.

use openssl::pkey::{Id, PKey, Public};

use super::{BadKey, p256};

/// Kinds of identity key, with the algorithm byte of the handshake as value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum KeyKind {
    /// ECDSA on P-256 with SHA-256: what new identities are.
    P256 = 1,
    /// Ed25519, whose signatures are deterministic.
    Ed25519 = 7,
}

/// What is fixed about the encoding of one kind of key.
struct Template {
    kind: KeyKind,
    /// The bytes every SubjectPublicKeyInfo of this kind begins with.
    prefix: &'static [u8],
    /// Its whole length, in bytes.
    length: usize,
    /// The shortest and the longest signature, in bytes.
    signature: (usize, usize),
    /// Reads the key out of bytes that fit prefix and length.
    read: fn(&[u8]) -> Option<PKey<Public>>,
}

const ED25519_PREFIX: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

const TEMPLATES: &[Template] = &[
    Template {
        kind: KeyKind::P256,
        prefix: p256::PREFIX,
        length: p256::SPKI_LEN,
        signature: (8, 72),
        read: p256::public_key,
    },
    Template {
        kind: KeyKind::Ed25519,
        prefix: ED25519_PREFIX,
        length: 44,
        signature: (64, 64),
        read: |spki| {
            let raw = spki.get(ED25519_PREFIX.len()..)?;
            PKey::public_key_from_raw_bytes(raw, Id::ED25519).ok()
        },
    },
];

impl core::fmt::Display for KeyKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::P256 => "EC P-256",
            Self::Ed25519 => "Ed25519",
        })
    }
}

impl KeyKind {
    /// The kind with algorithm byte `byte`.
    pub fn from_wire(byte: u8) -> Result<Self, BadKey> {
        let template = TEMPLATES.iter().find(|template| template.kind as u8 == byte);
        template.map(|template| template.kind).ok_or(BadKey)
    }

    /// The algorithm byte.
    pub const fn to_wire(self) -> u8 {
        self as u8
    }

    /// Length of the SubjectPublicKeyInfo, in bytes.
    pub fn spki_len(self) -> usize {
        self.template().map_or(0, |template| template.length)
    }

    /// Whether a signature of this kind may be `length` bytes long.
    pub fn accepts_signature(self, length: usize) -> bool {
        self.template().is_some_and(|template| (template.signature.0..=template.signature.1).contains(&length))
    }

    /// Length of the longest signature, in bytes.
    pub fn max_signature(self) -> usize {
        self.template().map_or(0, |template| template.signature.1)
    }

    fn template(self) -> Option<&'static Template> {
        TEMPLATES.iter().find(|template| template.kind == self)
    }
}

/// The public key in `spki`, which must be exactly the template of `kind`.
pub(super) fn read(kind: KeyKind, spki: &[u8]) -> Result<PKey<Public>, BadKey> {
    let template = kind.template().ok_or(BadKey)?;
    if spki.len() != template.length || !spki.starts_with(template.prefix) {
        return Err(BadKey);
    }
    (template.read)(spki).ok_or(BadKey)
}

/// The template of Ed25519 filled with the 32 bytes of `raw`.
pub(super) fn ed25519(raw: &[u8]) -> Vec<u8> {
    [ED25519_PREFIX, raw].concat()
}
