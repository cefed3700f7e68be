// SPDX-License-Identifier: GPL-3.0-or-later
//! The side that is called: answers HS_INIT with HS_RESP, checks HS_AUTH.

use core::fmt;

use crate::crypto::exchange::{Ephemeral, PeerKey};
use crate::crypto::identity::{Identity, PublicIdentity, SignatureRole};
use crate::crypto::kdf::Digest;
use crate::crypto::same;
use crate::crypto::seal::EpochSecret;
use crate::id::NodeId;
use crate::random::Random;
use crate::wire::MAX_DATAGRAM;
use crate::wire::handshake::{Auth, Claim, Credentials, FLAG_ANON, Init, Resp, SUITE, Sid, Versions};
use crate::wire::session::Slot;

use super::transcript::{self, Keys};
use super::{AnonymousSecret, Established, Refusal, Refused, Side, has_room, session_secret};

/// HS_AUTHs that open and are refused even so, before the handshake ends.
const MAX_REFUSED: u8 = 3;

/// HS_RESP is made; HS_AUTH is awaited.
pub struct ExpectAuth {
    own: NodeId,
    sid: Sid,
    /// The version of the attempt.
    version: u8,
    /// The versions HS_INIT offered, which HS_AUTH must repeat.
    offered: Versions,
    keys: Keys,
    t4: Digest,
    fin_r: Digest,
    refused: u8,
}

impl ExpectAuth {
    /// Answers `init`; returns HS_RESP as well, to be sent, and sent again verbatim when HS_INIT comes again.
    /// `slot` is what packets to us shall carry, `spoken` the versions implemented here.
    pub fn respond(
        init: &Init<'_>,
        identity: &Identity,
        slot: Slot,
        spoken: Versions,
        random: &mut Random,
    ) -> Result<(Self, Vec<u8>), Refusal> {
        let ephemeral = Ephemeral::generate(random)?;
        Self::respond_with(init, identity, slot, spoken, ephemeral, random.bytes())
    }

    pub(super) fn respond_with(
        init: &Init<'_>,
        identity: &Identity,
        slot: Slot,
        spoken: Versions,
        ephemeral: Ephemeral,
        sid: Sid,
    ) -> Result<(Self, Vec<u8>), Refusal> {
        let answer = answer(init, identity, Some(slot), spoken, ephemeral, sid)?;
        let state = Self {
            own: identity.public().id(),
            sid,
            version: init.version,
            offered: init.versions,
            keys: answer.keys,
            t4: answer.t4,
            fin_r: answer.fin_r,
            refused: 0,
        };
        Ok((state, answer.datagram))
    }

    /// The name of this handshake on our side.
    pub const fn sid(&self) -> &Sid {
        &self.sid
    }

    /// Checks an HS_AUTH. One that does not open may be anybody's and changes nothing.
    pub fn read(mut self, datagram: &[u8]) -> Result<Established, Refused<Box<Self>>> {
        match self.verify(datagram) {
            Ok(established) => Ok(established),
            Err(reason) => {
                let opened = !matches!(
                    reason,
                    Refusal::Malformed | Refusal::OtherHandshake | Refusal::NotAuthentic | Refusal::Crypto(_)
                );
                self.refused += u8::from(opened);
                let state = (self.refused < MAX_REFUSED).then(|| Box::new(self));
                Err(Refused { reason, state })
            }
        }
    }

    fn verify(&self, datagram: &[u8]) -> Result<Established, Refusal> {
        let auth = Auth::parse(datagram, self.offered).map_err(|_| Refusal::Malformed)?;
        if auth.version != self.version {
            return Err(Refusal::Malformed);
        }
        if auth.responder_sid != self.sid {
            return Err(Refusal::OtherHandshake);
        }
        let text = self.keys.auth.open(auth.header, auth.sealed).ok_or(Refusal::NotAuthentic)?;
        let credentials = Credentials::parse(&text).map_err(|_| Refusal::Credentials)?;
        let claim = credentials.claim;
        let peer = PublicIdentity::parse(claim.algorithm, claim.spki).map_err(|_| Refusal::IdentityKey)?;
        if peer.id() == self.own {
            return Err(Refusal::Ourselves);
        }
        let t5 = transcript::t5(&self.t4, &self.fin_r, credentials.claim_bytes);
        if !peer.verify(SignatureRole::Initiator, &t5, credentials.signature) {
            return Err(Refusal::Signature);
        }
        let t6 = transcript::t6(&t5, credentials.signature);
        if !same(&self.keys.fin_i.tag(&[&t6]), &credentials.fin) {
            return Err(Refusal::Transcript);
        }
        if claim.versions != self.offered {
            return Err(Refusal::Downgrade);
        }
        let peer_slot = claim.slot.ok_or(Refusal::Slot)?;
        let transcript = transcript::t7(&t6, &credentials.fin);
        let secret = EpochSecret::new(session_secret(&self.keys.handshake, &transcript));
        Ok(Established { side: Side::Responder, peer, peer_slot, secret, transcript })
    }
}

impl fmt::Debug for ExpectAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExpectAuth").field("sid", &self.sid).finish()
    }
}

/// Answers the HS_INIT of somebody who stays anonymous: the secret, and HS_RESP.
pub fn respond_anonymously(
    init: &Init<'_>,
    identity: &Identity,
    random: &mut Random,
) -> Result<(AnonymousSecret, Vec<u8>), Refusal> {
    let ephemeral = Ephemeral::generate(random)?;
    let answer = answer(init, identity, None, Versions::OURS, ephemeral, random.bytes())?;
    let t7 = transcript::t7_anonymous(&answer.t4, &answer.fin_r);
    Ok((AnonymousSecret(session_secret(&answer.keys.handshake, &t7)), answer.datagram))
}

struct Answer {
    keys: Keys,
    t4: Digest,
    fin_r: Digest,
    datagram: Vec<u8>,
}

/// HS_RESP with the credentials of `identity`; `slot` is `None` exactly for anonymous initiators. The exchange key is used
/// up: each seals one HS_RESP.
fn answer(
    init: &Init<'_>,
    identity: &Identity,
    slot: Option<Slot>,
    spoken: Versions,
    ephemeral: Ephemeral,
    sid: Sid,
) -> Result<Answer, Refusal> {
    let own = identity.public();
    check_answerable(init, own, slot, spoken)?;
    let theirs = PeerKey::parse(init.key).map_err(|_| Refusal::ExchangeKey)?;
    let mut datagram = Resp::emit_header(init, &sid, ephemeral.public());
    let t2 = transcript::t2(&transcript::t1(&own.id(), init.body), &datagram);
    let (resp_key, keys) = Keys::agree(&ephemeral, &theirs, &t2)?;
    let mut text = Claim { versions: spoken, slot, algorithm: own.algorithm(), spki: own.spki() }.emit();
    let t3 = transcript::t3(&t2, &text);
    let signature = identity.sign(SignatureRole::Responder, &t3)?;
    let t4 = transcript::t4(&t3, &signature);
    let fin_r = keys.fin_r.tag(&[&t4]);
    Credentials::emit_rest(&signature, &fin_r, &mut text);
    let sealed = resp_key.seal(&datagram, text)?;
    datagram.extend_from_slice(&sealed);
    debug_assert!(datagram.len() <= MAX_DATAGRAM);
    Ok(Answer { keys, t4, fin_r, datagram })
}

fn check_answerable(
    init: &Init<'_>,
    own: &PublicIdentity,
    slot: Option<Slot>,
    spoken: Versions,
) -> Result<(), Refusal> {
    if init.suite != SUITE {
        return Err(Refusal::Suite);
    }
    let room = slot.is_none_or(|slot| has_room(own, slot));
    if (init.flags & FLAG_ANON != 0) == slot.is_some() || !room {
        return Err(Refusal::Slot);
    }
    // HS_VERSION would have been the answer.
    if spoken.highest_common(init.versions) == Some(init.version) { Ok(()) } else { Err(Refusal::Downgrade) }
}
