// SPDX-License-Identifier: GPL-3.0-or-later
//! The accepted encodings of identity keys: one row per kind of key.

use core::ops::RangeInclusive;

use openssl::pkey::{Id, PKey, Public};

use super::{BadKey, dsa, ec, rsa};

/// Kinds of identity key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// ECDSA on P-256 with SHA-256: what new identities are.
    P256,
    /// ECDSA on P-384 with SHA-384.
    P384,
    /// ECDSA on P-521 with SHA-512.
    P521,
    /// RSASSA-PSS with SHA-256 and a modulus of 2048 bits.
    Rsa2048,
    /// The same with 3072 bits.
    Rsa3072,
    /// The same with 4096 bits.
    Rsa4096,
    /// DSA with SHA-256, 2048 bits and a subgroup of 224 or 256 bits. None are made any more.
    Dsa2048,
    /// Ed25519, whose signatures are deterministic.
    Ed25519,
    /// Ed448, whose signatures are deterministic, too.
    Ed448,
}

/// What is fixed about one kind of key.
struct Template {
    kind: KeyKind,
    /// The algorithm byte of the handshake.
    wire: u8,
    name: &'static str,
    /// The length of its SubjectPublicKeyInfo, in bytes.
    length: RangeInclusive<usize>,
    /// The length of its signatures, in bytes.
    signature: RangeInclusive<usize>,
    /// Reads the key out of bytes of that length; `None` unless they are the one encoding of a key of this kind.
    read: fn(&[u8]) -> Option<PKey<Public>>,
}

const ED25519_PREFIX: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const ED448_PREFIX: &[u8] = &[0x30, 0x43, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71, 0x03, 0x3a, 0x00];

const TEMPLATES: &[Template] = &[
    Template {
        kind: KeyKind::P256,
        wire: 1,
        name: "EC P-256",
        length: ec::P256_SPKI_LEN..=ec::P256_SPKI_LEN,
        signature: 8..=72,
        read: |spki| ec::P256.public_key(spki),
    },
    Template {
        kind: KeyKind::P384,
        wire: 2,
        name: "EC P-384",
        length: 120..=120,
        signature: 8..=104,
        read: |spki| ec::P384.public_key(spki),
    },
    Template {
        kind: KeyKind::P521,
        wire: 3,
        name: "EC P-521",
        length: 158..=158,
        signature: 8..=139,
        read: |spki| ec::P521.public_key(spki),
    },
    // The length depends on that of the exponent, which is one to five bytes long in DER.
    Template {
        kind: KeyKind::Rsa2048,
        wire: 4,
        name: "RSA 2048",
        length: 292..=296,
        signature: 256..=256,
        read: |spki| rsa::public_key(spki, 2_048),
    },
    Template {
        kind: KeyKind::Rsa3072,
        wire: 4,
        name: "RSA 3072",
        length: 420..=424,
        signature: 384..=384,
        read: |spki| rsa::public_key(spki, 3_072),
    },
    Template {
        kind: KeyKind::Rsa4096,
        wire: 4,
        name: "RSA 4096",
        length: 548..=552,
        signature: 512..=512,
        read: |spki| rsa::public_key(spki, 4_096),
    },
    Template {
        kind: KeyKind::Dsa2048,
        wire: 5,
        name: "DSA 2048",
        length: 0..=844,
        signature: 8..=72,
        read: dsa::public_key,
    },
    Template {
        kind: KeyKind::Ed25519,
        wire: 7,
        name: "Ed25519",
        length: 44..=44,
        signature: 64..=64,
        read: |spki| raw(spki, ED25519_PREFIX, Id::ED25519),
    },
    Template {
        kind: KeyKind::Ed448,
        wire: 8,
        name: "Ed448",
        length: 69..=69,
        signature: 114..=114,
        read: |spki| raw(spki, ED448_PREFIX, Id::ED448),
    },
];

fn raw(spki: &[u8], prefix: &[u8], id: Id) -> Option<PKey<Public>> {
    PKey::public_key_from_raw_bytes(spki.strip_prefix(prefix)?, id).ok()
}

impl core::fmt::Display for KeyKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.template().map_or("", |template| template.name))
    }
}

impl KeyKind {
    /// All kinds, in the order of their algorithm bytes.
    pub const ALL: [Self; 9] = [
        Self::P256,
        Self::P384,
        Self::P521,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
        Self::Dsa2048,
        Self::Ed25519,
        Self::Ed448,
    ];

    /// The algorithm byte of the handshake. RSA keys of all sizes share one.
    pub fn to_wire(self) -> u8 {
        self.template().map_or(0, |template| template.wire)
    }

    /// Whether a signature of this kind may be `length` bytes long.
    pub fn accepts_signature(self, length: usize) -> bool {
        self.template().is_some_and(|template| template.signature.contains(&length))
    }

    /// Length of the longest signature, in bytes.
    pub fn max_signature(self) -> usize {
        self.template().map_or(0, |template| *template.signature.end())
    }

    /// Whether signing takes so long, on small machines, that strangers are given less of it.
    pub const fn is_slow(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 | Self::Dsa2048)
    }

    fn template(self) -> Option<&'static Template> {
        TEMPLATES.iter().find(|template| template.kind == self)
    }
}

/// The public key in `spki`, which must be exactly the template of a kind with the algorithm byte `wire`.
pub(super) fn read(wire: u8, spki: &[u8]) -> Result<(KeyKind, PKey<Public>), BadKey> {
    let fits = |template: &&Template| template.wire == wire && template.length.contains(&spki.len());
    let template = TEMPLATES.iter().find(fits).ok_or(BadKey)?;
    let key = (template.read)(spki).ok_or(BadKey)?;
    Ok((template.kind, key))
}
