// SPDX-License-Identifier: GPL-3.0-or-later
//! Signed records: what a node may store and hand on for others without being trusted, because only the owner of a key
//! can make one that is found under the ID of that key.
//!
//! There is no message that carries one yet; storing and fetching come with a later release.

use thiserror::Error;

use crate::crypto::CryptoError;
use crate::crypto::identity::{Identity, KeyKind, PublicIdentity, SignatureRole};
use crate::crypto::kdf::{Digest, sha256};
use crate::id::NodeId;
use crate::wire::Malformed;
use crate::wire::cursor::Emit;
use crate::wire::record::{Content, MAX_RECORD, Parts};

/// Why there is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
pub enum RecordError {
    /// The bytes do not follow the layout, or what is to be said does not fit it.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The key is of a kind too long for records.
    #[error("keys of this kind own no records")]
    Kind,
    /// Its owner has another ID than the one it is stored under.
    #[error("the record of somebody else")]
    Foreign,
    /// Its owner did not sign this.
    #[error("wrong signature")]
    Signature,
    /// The key could not sign.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// A record whose signature was made, or verified, here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    owner: PublicIdentity,
    content: Content,
    bytes: Vec<u8>,
}

impl Record {
    /// Has `owner` sign `content`.
    ///
    /// # Errors
    /// If `owner` is of a kind that owns no records, or `content` is not what a record may say.
    pub fn sign(owner: &Identity, content: Content) -> Result<Self, RecordError> {
        let public = owner.public();
        if !may_own(public.kind()) {
            return Err(RecordError::Kind);
        }
        let mut bytes = content.emit(public.algorithm(), public.spki())?;
        let signature = owner.sign(SignatureRole::Record, &digest(&bytes))?;
        bytes.emit_variable(&signature);
        if bytes.len() > MAX_RECORD {
            return Err(RecordError::Malformed(Malformed::Length));
        }
        Ok(Self { owner: public.clone(), content, bytes })
    }

    /// Reads the record stored under `key`, the ID of its owner. The signature, which costs the most, is verified last.
    ///
    /// # Errors
    /// If any of the rules for records is broken. Its times are not compared with any clock.
    pub fn open(record: &[u8], key: &NodeId) -> Result<Self, RecordError> {
        let Parts { content, algorithm, spki, signed, signature } = Parts::parse(record)?;
        let owner = PublicIdentity::parse(algorithm, spki).map_err(|_| Malformed::Key)?;
        if !may_own(owner.kind()) {
            return Err(RecordError::Kind);
        }
        if owner.id() != *key {
            return Err(RecordError::Foreign);
        }
        if !owner.verify(SignatureRole::Record, &digest(signed), signature) {
            return Err(RecordError::Signature);
        }
        Ok(Self { owner, content, bytes: record.to_vec() })
    }

    /// Whose it is.
    pub const fn owner(&self) -> &PublicIdentity {
        &self.owner
    }

    /// What it says.
    pub const fn content(&self) -> &Content {
        &self.content
    }

    /// As it is stored and sent.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it may take the place of `stored`, a record under the same key: if it is newer, or the same once more.
    /// Two records with one seq exclude each other, and whichever came first stays.
    pub fn may_replace(&self, stored: &Self) -> bool {
        is_newer(self.content.seq, Some(stored.content.seq)) || self.bytes == stored.bytes
    }
}

/// Whether a record with the number `seq` is newer than the newest known of its owner, if one is known. What is not newer
/// is an old one that somebody brings up again.
pub fn is_newer(seq: u64, known: Option<u64>) -> bool {
    known.is_none_or(|known| seq > known)
}

fn digest(signed: &[u8]) -> Digest {
    sha256(&[signed])
}

/// The kinds of key whose records, with every place an IPv6 address, stay below the limit by a good way.
const fn may_own(kind: KeyKind) -> bool {
    matches!(kind, KeyKind::P256 | KeyKind::P384 | KeyKind::Rsa2048 | KeyKind::Ed25519 | KeyKind::Ed448)
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
