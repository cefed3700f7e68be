// SPDX-License-Identifier: GPL-3.0-or-later
//! The handshake: three messages after which two strangers share a secret and know each other's keys.
//!
//! It is SIGMA-I over a TLS-1.3-like transcript. One struct per awaited message, consumed by value:
//!
//! ```text
//! initiator                                    responder
//! ExpectResponse ──── HS_INIT  (E_i) ────────▶ ExpectAuth::respond
//! ExpectResponse::read ◀── HS_RESP (E_r, {SPKI, signature, MAC}) ──
//! Established ──── HS_AUTH ({SPKI, signature, MAC}) ──▶ ExpectAuth::read
//!                                              Established
//! ```
//!
//! HS_RESP and HS_AUTH are built exactly once and re-sent verbatim: their keys serve one message each. Timers,
//! cookies and budgets belong to the caller. An anonymous initiator stops after HS_RESP; the secret it gets is of
//! another type and keys no session.

use core::fmt;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::crypto::identity::{KeyKind, PublicIdentity};
use crate::crypto::kdf::{self, Digest, MacKey, Secret};
use crate::crypto::seal::{Direction, EpochSecret};
use crate::crypto::{CryptoError, same};
use crate::id::{Fingerprint, NodeId};
use crate::wire::handshake::Init;
use crate::wire::session::Slot;

mod initiator;
mod responder;
#[cfg(test)]
mod tests;
mod transcript;

pub use initiator::{ExpectResponse, Initiated, Local};
pub use responder::{ExpectAuth, respond_anonymously};

/// Which side of a handshake this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Sent HS_INIT.
    Initiator,
    /// Answered it.
    Responder,
}

impl Side {
    /// The direction of the packets this side sends.
    pub const fn sending(self) -> Direction {
        match self {
            Self::Initiator => Direction::ToResponder,
            Self::Responder => Direction::ToInitiator,
        }
    }

    /// The direction of the packets this side receives.
    pub const fn receiving(self) -> Direction {
        match self {
            Self::Initiator => Direction::ToInitiator,
            Self::Responder => Direction::ToResponder,
        }
    }
}

/// Whether the initiator shows who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Over UDP, padded, HS_AUTH follows.
    Full,
    /// Inside a circuit, unpadded, no HS_AUTH.
    Anonymous,
}

/// A handshake both sides completed.
#[derive(Debug)]
pub struct Established {
    /// Which side this is.
    pub side: Side,
    /// Who the other side is.
    pub peer: PublicIdentity,
    /// What packets to the peer must carry.
    pub peer_slot: Slot,
    /// The secret of epoch 0.
    pub secret: EpochSecret,
    /// The digest of everything said (T7): the key of voice verification.
    pub transcript: Digest,
}

/// What an anonymous handshake yields: the keys of a circuit's hop, each for its purpose. It has no slot and never keys a
/// session:
///
/// ```
/// use dvsd::crypto::kdf::Secret;
/// use dvsd::handshake::{AnonymousSecret, Purpose};
///
/// fn key(secret: &AnonymousSecret) -> Secret {
///     secret.key(Purpose::LayerForward)
/// }
/// ```
///
/// ```compile_fail
/// use dvsd::crypto::seal::EpochSecret;
/// use dvsd::handshake::{AnonymousSecret, Purpose};
///
/// fn key(secret: &AnonymousSecret) -> EpochSecret {
///     EpochSecret::new(secret.key(Purpose::LayerForward))
/// }
/// ```
///
/// ```compile_fail
/// use dvsd::crypto::seal::EpochSecret;
/// use dvsd::handshake::AnonymousSecret;
///
/// fn key(secret: AnonymousSecret) -> EpochSecret {
///     EpochSecret(secret.0)
/// }
/// ```
pub struct AnonymousSecret(Secret);

impl AnonymousSecret {
    /// The 32-byte key for `purpose`.
    pub fn key(&self, purpose: Purpose) -> Secret {
        kdf::expand(&self.0, purpose.label(), b"")
    }
}

/// What a key between a client and one hop of its circuit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The hop's layer of cells that travel away from the client.
    LayerForward,
    /// The hop's layer of cells that travel to the client.
    LayerBackward,
    /// Sealing for the hop.
    EndToEndForward,
    /// Sealing by the hop.
    EndToEndBackward,
    /// Sealing on the link to the hop.
    LinkForward,
    /// Sealing on the link from the hop.
    LinkBackward,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::LayerForward,
        Self::LayerBackward,
        Self::EndToEndForward,
        Self::EndToEndBackward,
        Self::LinkForward,
        Self::LinkBackward,
    ];

    const fn label(self) -> &'static str {
        match self {
            Self::LayerForward => "layer f",
            Self::LayerBackward => "layer b",
            Self::EndToEndForward => "e2e f",
            Self::EndToEndBackward => "e2e b",
            Self::LinkForward => "link f",
            Self::LinkBackward => "link b",
        }
    }
}

impl fmt::Debug for AnonymousSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnonymousSecret")
    }
}

/// Why a handshake message was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
pub enum Refusal {
    /// Not even the form is right.
    #[error("malformed")]
    Malformed,
    /// It belongs to another handshake.
    #[error("of another handshake")]
    OtherHandshake,
    /// A suite that was not offered.
    #[error("unknown suite")]
    Suite,
    /// The exchange key is not a point of the curve in the one accepted form.
    #[error("bad exchange key")]
    ExchangeKey,
    /// Too many bad answers came already.
    #[error("too many bad answers")]
    Budget,
    /// The sealed part is not authentic.
    #[error("not authentic")]
    NotAuthentic,
    /// The sealed part is not credentials.
    #[error("malformed credentials")]
    Credentials,
    /// The identity key is not in an accepted form.
    #[error("bad identity key")]
    IdentityKey,
    /// Somebody else answered than was asked.
    #[error("somebody else")]
    SomebodyElse,
    /// Our own identity came back.
    #[error("our own identity")]
    Ourselves,
    /// The signature is not the claimed identity's over this handshake.
    #[error("bad signature")]
    Signature,
    /// The transcript MAC is wrong.
    #[error("bad transcript MAC")]
    Transcript,
    /// A higher version was possible, or the version ranges contradict each other.
    #[error("version downgrade")]
    Downgrade,
    /// No slot where one is needed, or one where none may be.
    #[error("bad slot")]
    Slot,
    /// The right ID, but not the key known for it.
    #[error("the peer's key changed")]
    KeyChanged(Fingerprint),
    /// OpenSSL failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// A refused message. The handshake goes on in `state`, if it does.
#[derive(Debug)]
pub struct Refused<S> {
    /// Why.
    pub reason: Refusal,
    /// The state to go on waiting in; `None` when the handshake is over.
    pub state: Option<S>,
}

/// Recognises HS_INITs meant for one ID: who does not know the ID gets no answer.
#[derive(Clone)]
pub struct Mac1Key(MacKey);

impl Mac1Key {
    /// The key of everybody who knows `responder`.
    pub fn new(responder: &NodeId) -> Self {
        Self(MacKey::new(&kdf::sha256(&[b"dvs1 mac1", &responder.0])))
    }

    /// Whether the sender of `init` knows the ID.
    pub fn fits(&self, init: &Init<'_>) -> bool {
        same(&init.mac1, &self.0.short_tag(&[init.before_mac1]))
    }

    fn tag(&self, before_mac1: &[u8]) -> [u8; 16] {
        self.0.short_tag(&[before_mac1])
    }
}

impl fmt::Debug for Mac1Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac1Key")
    }
}

/// Whether HS_RESP and HS_AUTH of `own` have room for `slot`.
fn has_room(own: &PublicIdentity, slot: Slot) -> bool {
    !matches!((slot, own.kind()), (Slot::Extended(_), KeyKind::Rsa4096))
}

fn session_secret(handshake: &Secret, transcript: &Digest) -> Zeroizing<[u8; 32]> {
    kdf::expand(handshake, "session", transcript)
}
