// SPDX-License-Identifier: GPL-3.0-or-later
//! One side of a handshake written once more, from the protocol's text and OpenSSL alone: it seals whatever it is told to
//! say about itself, with a signature and MAC that fit, or without.

use dvsd::crypto::exchange::{Ephemeral, PeerKey};
use dvsd::crypto::identity::{Identity, SignatureRole};
use dvsd::crypto::kdf::{Digest, MacKey, Secret, expand, extract, sha256};
use dvsd::handshake::{ExpectAuth, ExpectResponse, Mode};
use dvsd::random::Random;
use dvsd::wire::handshake::{Auth, Credentials, INIT_PADDED, Init, Resp, Sid, Versions};
use dvsd::wire::session::Slot;
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};

const OURS: Versions = Versions::OURS;
const SID: Sid = [7; 8];
const TAG: usize = 16;

/// The keys of a handshake.
struct Keys {
    handshake: Secret,
}

impl Keys {
    fn agree(ours: &Ephemeral, theirs: &[u8; 91], t2: &Digest) -> Self {
        let theirs = PeerKey::parse(theirs).expect("a fresh key is good");
        Self { handshake: extract(t2, &*ours.agree(&theirs).expect("both keys are good")) }
    }

    fn sealing(&self, label: &str) -> ([u8; 32], [u8; 12]) {
        let bytes = expand::<44>(&self.handshake, label, b"");
        (bytes[..32].try_into().expect("32 bytes"), bytes[32..].try_into().expect("12 bytes"))
    }

    fn seal(&self, label: &str, aad: &[u8], text: &[u8]) -> Vec<u8> {
        let ((key, nonce), mut tag) = (self.sealing(label), [0; TAG]);
        let sealed = encrypt_aead(Cipher::aes_256_gcm(), &key, Some(&nonce), aad, text, &mut tag);
        [aad, &sealed.expect("AES works"), &tag].concat()
    }

    fn open(&self, label: &str, aad: &[u8], sealed: &[u8]) -> Vec<u8> {
        let ((key, nonce), (text, tag)) = (self.sealing(label), sealed.split_at(sealed.len() - TAG));
        decrypt_aead(Cipher::aes_256_gcm(), &key, Some(&nonce), aad, text, tag).expect("authentic")
    }

    fn fin(&self, label: &str, transcript: &Digest) -> Digest {
        MacKey::new(&*expand::<32>(&self.handshake, label, b"")).tag(&[transcript])
    }
}

fn v(bytes: &[u8]) -> [u8; 2] {
    (bytes.len() as u16).to_be_bytes()
}

/// `claim` with signature and MAC of `identity` behind it.
fn signed(identity: &Identity, role: SignatureRole, before: Digest, claim: &[u8], keys: &Keys) -> Vec<u8> {
    let (tag, fin) = match role {
        SignatureRole::Responder => (b"dvs1 T4", "fin r"),
        _ => (b"dvs1 T6", "fin i"),
    };
    let signature = identity.sign(role, &before).expect("it can sign");
    let transcript = sha256(&[tag, &before, &v(&signature), &signature]);
    let mut text = claim.to_vec();
    Credentials::emit_rest(&signature, &keys.fin(fin, &transcript), &mut text);
    text
}

/// Somebody who dials `responder`, and the HS_RESP whose sealed part is `text`; if `sign`, what has to follow on a claim
/// follows it.
pub fn resp(responder: &Identity, text: &[u8], sign: bool) -> (ExpectResponse, Vec<u8>) {
    let mut random = Random::seeded(1);
    let dial = ExpectResponse::start(responder.public().id(), Mode::Full, &mut random).expect("a key can be made");
    let init = Init::parse(dial.datagram(), OURS).expect("an HS_INIT");
    let ephemeral = Ephemeral::generate(&mut random).expect("a key can be made");
    let header = Resp::emit_header(&init, &SID, ephemeral.public());
    let t1 = sha256(&[b"dvs1 T1", &responder.public().id().0, &v(init.body), init.body]);
    let t2 = sha256(&[b"dvs1 T2", &t1, &header]);
    let keys = Keys::agree(&ephemeral, init.key, &t2);
    let t3 = sha256(&[b"dvs1 T3", &t2, text]);
    let text = if sign { signed(responder, SignatureRole::Responder, t3, text, &keys) } else { text.to_vec() };
    let datagram = keys.seal("hs r", &header, &text);
    (dial, datagram)
}

/// `responder` waiting for an HS_AUTH, and the one of `initiator` whose sealed part is `text`; if `sign`, what has to follow
/// on a claim follows it.
pub fn auth(responder: &Identity, initiator: &Identity, text: &[u8], sign: bool) -> (ExpectAuth, Vec<u8>) {
    let mut random = Random::seeded(2);
    let ephemeral = Ephemeral::generate(&mut random).expect("a key can be made");
    let mut init = Init::emit_body(OURS, 0, &SID, ephemeral.public(), INIT_PADDED);
    init.resize(INIT_PADDED, 0);
    let init = Init::parse(&init, OURS).expect("an HS_INIT");
    let (expect, resp) = ExpectAuth::respond(&init, responder, Slot::Short(3), OURS, &mut random).expect("an answer");
    let resp = Resp::parse(&resp, OURS).expect("an HS_RESP");
    let t1 = sha256(&[b"dvs1 T1", &responder.public().id().0, &v(init.body), init.body]);
    let t2 = sha256(&[b"dvs1 T2", &t1, resp.header]);
    let keys = Keys::agree(&ephemeral, resp.key, &t2);
    let opened = keys.open("hs r", resp.header, resp.sealed);
    let theirs = Credentials::parse(&opened).expect("credentials");
    let t3 = sha256(&[b"dvs1 T3", &t2, theirs.claim_bytes]);
    let t4 = sha256(&[b"dvs1 T4", &t3, &v(theirs.signature), theirs.signature]);
    let t5 = sha256(&[b"dvs1 T5", &t4, &theirs.fin, text]);
    let text = if sign { signed(initiator, SignatureRole::Initiator, t5, text, &keys) } else { text.to_vec() };
    let datagram = keys.seal("hs i", &Auth::emit_header(1, &resp.responder_sid), &text);
    (expect, datagram)
}
