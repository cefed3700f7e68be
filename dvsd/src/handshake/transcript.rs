// SPDX-License-Identifier: GPL-3.0-or-later
//! The transcript T1 … T7 and the keys drawn from it (PROTOCOL.md, "Transcript and keys").

use crate::crypto::CryptoError;
use crate::crypto::exchange::{Ephemeral, PeerKey};
use crate::crypto::kdf::{self, Digest, MacKey, Secret};
use crate::crypto::seal::OneTimeKey;
use crate::id::NodeId;

/// `V(x)`: the length of `bytes` as it stands in front of them.
fn length(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes()
}

/// T1: whom the initiator wants, and its HS_INIT without cookie and mac1.
pub(super) fn t1(responder: &NodeId, init_body: &[u8]) -> Digest {
    kdf::sha256(&[b"dvs1 T1", &responder.0, &length(init_body), init_body])
}

/// T2: and the plain part of HS_RESP.
pub(super) fn t2(t1: &Digest, resp_header: &[u8]) -> Digest {
    kdf::sha256(&[b"dvs1 T2", t1, resp_header])
}

/// T3: and what the responder claims. It signs this.
pub(super) fn t3(t2: &Digest, claim: &[u8]) -> Digest {
    kdf::sha256(&[b"dvs1 T3", t2, claim])
}

/// T4: and its signature. Its MAC is over this.
pub(super) fn t4(t3: &Digest, signature: &[u8]) -> Digest {
    kdf::sha256(&[b"dvs1 T4", t3, &length(signature), signature])
}

/// T5: and its MAC, and what the initiator claims. It signs this.
pub(super) fn t5(t4: &Digest, fin_r: &Digest, claim: &[u8]) -> Digest {
    kdf::sha256(&[b"dvs1 T5", t4, fin_r, claim])
}

/// T6: and its signature. Its MAC is over this.
pub(super) fn t6(t5: &Digest, signature: &[u8]) -> Digest {
    kdf::sha256(&[b"dvs1 T6", t5, &length(signature), signature])
}

/// T7: and its MAC. That is all that was said.
pub(super) fn t7(t6: &Digest, fin_i: &Digest) -> Digest {
    kdf::sha256(&[b"dvs1 T7", t6, fin_i])
}

/// All that was said when the initiator stays anonymous.
pub(super) fn t7_anonymous(t4: &Digest, fin_r: &Digest) -> Digest {
    kdf::sha256(&[b"dvs1 T7 anon", t4, fin_r])
}

/// The keys of one handshake, but for the one that seals HS_RESP.
pub(super) struct Keys {
    /// The root, for the session's secret.
    pub(super) handshake: Secret,
    /// Seals HS_AUTH.
    pub(super) auth: OneTimeKey,
    /// Makes the responder's MAC.
    pub(super) fin_r: MacKey,
    /// Makes the initiator's MAC.
    pub(super) fin_i: MacKey,
}

impl Keys {
    /// The keys of the handshake with transcript `t2`: first the one that seals HS_RESP, which is used up at once.
    pub(super) fn agree(ours: &Ephemeral, theirs: &PeerKey, t2: &Digest) -> Result<(OneTimeKey, Self), CryptoError> {
        let handshake = kdf::extract(t2, &*ours.agree(theirs)?);
        Ok((OneTimeKey::new(kdf::expand(&handshake, "hs r", b"")), Self::derive(handshake)))
    }

    fn derive(handshake: Secret) -> Self {
        Self {
            auth: OneTimeKey::new(kdf::expand(&handshake, "hs i", b"")),
            fin_r: MacKey::new(&*kdf::expand::<32>(&handshake, "fin r", b"")),
            fin_i: MacKey::new(&*kdf::expand::<32>(&handshake, "fin i", b"")),
            handshake,
        }
    }
}
