// SPDX-License-Identifier: GPL-3.0-or-later
//! The side that calls: sends HS_INIT, checks HS_RESP, answers with HS_AUTH.

use core::fmt;

use crate::crypto::exchange::{Ephemeral, PeerKey};
use crate::crypto::identity::{Identity, PublicIdentity, SignatureRole};
use crate::crypto::kdf::Digest;
use crate::crypto::seal::EpochSecret;
use crate::crypto::{CryptoError, same};
use crate::id::{Fingerprint, NodeId};
use crate::random::Random;
use crate::wire::handshake::{
    Auth, Claim, Credentials, FLAG_ANON, INIT_MIN, INIT_PADDED, Init, MAC_LEN, Resp, SUITE, Sid, Versions,
};
use crate::wire::session::Slot;

use super::transcript::{self, Keys};
use super::{AnonymousSecret, Established, Mac1Key, Mode, Refusal, Refused, Side, has_room, session_secret};

/// Public-key operations spent on answers that turn out bad, before further ones are ignored.
const MAX_KEY_OPERATIONS: u8 = 8;

/// What the initiator brings to the answer.
#[derive(Clone, Copy, Debug)]
pub struct Local<'a> {
    /// Who it is.
    pub identity: &'a Identity,
    /// What packets to it shall carry.
    pub slot: Slot,
    /// The responder's fingerprint, if it is known already.
    pub pin: Option<Fingerprint>,
}

/// The initiator's end of a completed handshake.
#[derive(Debug)]
pub struct Initiated {
    /// The result.
    pub established: Established,
    /// HS_AUTH: to be sent, and sent again verbatim until the responder is heard in the session.
    pub auth: Vec<u8>,
}

/// HS_INIT is made; HS_RESP is awaited.
pub struct ExpectResponse {
    responder: NodeId,
    mode: Mode,
    /// The versions that are implemented here, whichever of them this attempt offers.
    spoken: Versions,
    /// The highest version offered, which is that of the attempt.
    version: u8,
    ephemeral: Ephemeral,
    sid: Sid,
    mac1: Mac1Key,
    t1: Digest,
    /// HS_INIT as sent.
    datagram: Vec<u8>,
    key_operations: u8,
}

impl ExpectResponse {
    /// Begins a handshake with `responder`. Exchange key and session ID are fresh for every attempt and every
    /// destination address; only a cookie makes the same ones be used again.
    pub fn start(responder: NodeId, mode: Mode, random: &mut Random) -> Result<Self, CryptoError> {
        Self::start_with(responder, mode, Versions::OURS, Versions::OURS.max, random)
    }

    /// As [`start`](Self::start), of an implementation of the versions `spoken` that offers none above `version`: what
    /// is offered may depend on an HS_VERSION, which anybody can forge; what is spoken never does.
    pub fn start_with(
        responder: NodeId,
        mode: Mode,
        spoken: Versions,
        version: u8,
        random: &mut Random,
    ) -> Result<Self, CryptoError> {
        let ephemeral = Ephemeral::generate(random)?;
        Ok(Self::with_key(responder, mode, spoken, version, ephemeral, random.bytes()))
    }

    pub(super) fn with_key(
        responder: NodeId,
        mode: Mode,
        spoken: Versions,
        version: u8,
        ephemeral: Ephemeral,
        sid: Sid,
    ) -> Self {
        let (flags, length) = match mode {
            Mode::Full => (0, INIT_PADDED),
            Mode::Anonymous => (FLAG_ANON, INIT_MIN),
        };
        let body = Init::emit_body(spoken.up_to(version), flags, &sid, ephemeral.public(), length);
        let t1 = transcript::t1(&responder, &body);
        let mac1 = Mac1Key::new(&responder);
        let (datagram, key_operations) = (body, 0);
        let mut state = Self { responder, mode, spoken, version, ephemeral, sid, mac1, t1, datagram, key_operations };
        state.append_macs(&[0; MAC_LEN]);
        state
    }

    fn append_macs(&mut self, cookie: &[u8; MAC_LEN]) {
        self.datagram.extend_from_slice(cookie);
        let mac1 = self.mac1.tag(&self.datagram);
        self.datagram.extend_from_slice(&mac1);
    }

    /// HS_INIT as it is to be sent now.
    pub fn datagram(&self) -> &[u8] {
        &self.datagram
    }

    /// The name of this handshake on our side.
    pub const fn sid(&self) -> &Sid {
        &self.sid
    }

    /// The version of the attempt.
    pub const fn version(&self) -> u8 {
        self.version
    }

    /// Shows `cookie` in HS_INIT from now on. Nothing else of it changes.
    pub fn show_cookie(&mut self, cookie: &[u8; MAC_LEN]) {
        self.datagram.truncate(self.datagram.len().saturating_sub(2 * MAC_LEN));
        self.append_macs(cookie);
    }

    /// Checks an HS_RESP and answers it. Its key seals one HS_AUTH, so a second answer, even to the same HS_RESP, cannot
    /// be made:
    ///
    /// ```
    /// use dvsd::handshake::{ExpectResponse, Initiated, Local};
    ///
    /// fn once(dial: ExpectResponse, resp: &[u8], local: &Local<'_>) -> Option<Initiated> {
    ///     dial.read(resp, local).ok()
    /// }
    /// ```
    ///
    /// ```compile_fail
    /// use dvsd::handshake::{ExpectResponse, Initiated, Local};
    ///
    /// fn twice(dial: ExpectResponse, resp: &[u8], local: &Local<'_>) -> Option<Initiated> {
    ///     dial.read(resp, local).ok();
    ///     dial.read(resp, local).ok()
    /// }
    /// ```
    ///
    /// A bad one leaves the handshake waiting, as anybody may have sent it;
    /// it ends only when the responder itself, proven by signature and MAC, cannot be accepted.
    pub fn read(mut self, datagram: &[u8], local: &Local<'_>) -> Result<Initiated, Refused<Box<Self>>> {
        let verified = match self.verify(datagram) {
            Ok(verified) => verified,
            Err(reason) => return Err(Refused { reason, state: Some(Box::new(self)) }),
        };
        verified.authenticate(local).map_err(|reason| Refused { reason, state: None })
    }

    /// As [`read`](Self::read) for an anonymous handshake, which has no HS_AUTH.
    pub fn read_anonymously(mut self, datagram: &[u8]) -> Result<AnonymousSecret, Refused<Box<Self>>> {
        let verified = match self.verify(datagram) {
            Ok(verified) => verified,
            Err(reason) => return Err(Refused { reason, state: Some(Box::new(self)) }),
        };
        if verified.peer_slot.is_some() {
            return Err(Refused { reason: Refusal::Slot, state: None });
        }
        verified.check_versions().map_err(|reason| Refused { reason, state: None })?;
        let t7 = transcript::t7_anonymous(&verified.t4, &verified.fin_r);
        Ok(AnonymousSecret(session_secret(&verified.keys.handshake, &t7)))
    }

    fn verify(&mut self, datagram: &[u8]) -> Result<Verified, Refusal> {
        let resp = Resp::parse(datagram, self.spoken).map_err(|_| Refusal::Malformed)?;
        if resp.version != self.version {
            return Err(Refusal::Malformed);
        }
        if resp.initiator_sid != self.sid {
            return Err(Refusal::OtherHandshake);
        }
        if resp.suite != SUITE {
            return Err(Refusal::Suite);
        }
        let theirs = PeerKey::parse(resp.key).map_err(|_| Refusal::ExchangeKey)?;
        self.spend_key_operation()?;
        let t2 = transcript::t2(&self.t1, resp.header);
        let (resp_key, keys) = Keys::agree(&self.ephemeral, &theirs, &t2)?;
        let text = resp_key.open(resp.header, resp.sealed).ok_or(Refusal::NotAuthentic)?;
        let credentials = Credentials::parse(&text).map_err(|_| Refusal::Credentials)?;
        self.check_responder(&credentials, keys, &t2, resp.responder_sid)
    }

    fn check_responder(
        &mut self,
        credentials: &Credentials<'_>,
        keys: Keys,
        t2: &Digest,
        responder_sid: Sid,
    ) -> Result<Verified, Refusal> {
        let claim = credentials.claim;
        let peer = PublicIdentity::parse(claim.algorithm, claim.spki).map_err(|_| Refusal::IdentityKey)?;
        if peer.id() != self.responder {
            return Err(Refusal::SomebodyElse);
        }
        self.spend_key_operation()?;
        let t3 = transcript::t3(t2, credentials.claim_bytes);
        if !peer.verify(SignatureRole::Responder, &t3, credentials.signature) {
            return Err(Refusal::Signature);
        }
        let t4 = transcript::t4(&t3, credentials.signature);
        let fin_r = keys.fin_r.tag(&[&t4]);
        if !same(&fin_r, &credentials.fin) {
            return Err(Refusal::Transcript);
        }
        let negotiated = self.spoken.highest_common(claim.versions) == Some(self.version);
        let offered = self.spoken.up_to(self.version);
        Ok(Verified { peer, peer_slot: claim.slot, offered, negotiated, keys, t4, fin_r, responder_sid })
    }

    fn spend_key_operation(&mut self) -> Result<(), Refusal> {
        if self.key_operations >= MAX_KEY_OPERATIONS {
            return Err(Refusal::Budget);
        }
        self.key_operations += 1;
        Ok(())
    }
}

impl fmt::Debug for ExpectResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExpectResponse").field("responder", &self.responder).field("mode", &self.mode).finish()
    }
}

/// The responder is who was asked and has said exactly this. Only [`ExpectResponse::verify`] makes one.
struct Verified {
    peer: PublicIdentity,
    peer_slot: Option<Slot>,
    /// The versions of HS_INIT.
    offered: Versions,
    /// Whether the version in use is the highest both sides speak.
    negotiated: bool,
    keys: Keys,
    t4: Digest,
    fin_r: Digest,
    responder_sid: Sid,
}

impl Verified {
    /// Accepts the responder and shows who we are.
    fn authenticate(self, local: &Local<'_>) -> Result<Initiated, Refusal> {
        self.check_versions()?;
        let peer_slot = self.peer_slot.ok_or(Refusal::Slot)?;
        let shown = self.peer.fingerprint();
        if local.pin.is_some_and(|pin| pin != shown) {
            return Err(Refusal::KeyChanged(shown));
        }
        let own = local.identity.public();
        if !has_room(own, local.slot) {
            return Err(Refusal::Slot);
        }
        let claim =
            Claim { versions: self.offered, slot: Some(local.slot), algorithm: own.algorithm(), spki: own.spki() };
        let mut text = claim.emit();
        let t5 = transcript::t5(&self.t4, &self.fin_r, &text);
        let signature = local.identity.sign(SignatureRole::Initiator, &t5)?;
        let t6 = transcript::t6(&t5, &signature);
        let fin_i = self.keys.fin_i.tag(&[&t6]);
        Credentials::emit_rest(&signature, &fin_i, &mut text);
        let mut auth = Auth::emit_header(self.offered.max, &self.responder_sid);
        let sealed = self.keys.auth.seal(&auth, text)?;
        auth.extend_from_slice(&sealed);
        let transcript = transcript::t7(&t6, &fin_i);
        let secret = EpochSecret::new(session_secret(&self.keys.handshake, &transcript));
        let established = Established { side: Side::Initiator, peer: self.peer, peer_slot, secret, transcript };
        Ok(Initiated { established, auth })
    }

    const fn check_versions(&self) -> Result<(), Refusal> {
        if self.negotiated { Ok(()) } else { Err(Refusal::Downgrade) }
    }
}
