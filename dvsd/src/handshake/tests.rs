// SPDX-License-Identifier: GPL-3.0-or-later
//! Test vectors, and what an attacker with a copy of every message tries.

use data_encoding::HEXLOWER;

use super::*;
use crate::crypto::exchange::Ephemeral;
use crate::crypto::identity::{Identity, KeyKind, SignatureRole};
use crate::crypto::seal::{SealingKey, Stream};
use crate::random::Random;
use crate::wire::handshake::{Claim, Credentials, Resp, Versions};
use crate::wire::session::Header;

mod kinds;
mod sealing;
mod versions;

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap()
}

/// SHA-256 of `text`, made smaller than 2^255 for use as a private value.
fn scalar(text: &str) -> [u8; 32] {
    let mut scalar = kdf::sha256(&[text.as_bytes()]);
    scalar[0] &= 0x7f;
    scalar
}

fn ed25519(text: &str) -> Identity {
    Identity::from_ed25519_seed(&kdf::sha256(&[text.as_bytes()])).unwrap()
}

const OURS: Versions = Versions::OURS;
const SLOT_I: Slot = Slot::Short(3);
const SLOT_R: Slot = Slot::Short(5);

/// The run of the published vectors: everything that is random elsewhere is fixed.
struct Run {
    initiator: Identity,
    responder: Identity,
    init: Vec<u8>,
    resp: Vec<u8>,
    initiated: Initiated,
    expect_auth: ExpectAuth,
}

fn run() -> Run {
    let (initiator, responder) = (ed25519("dvs test id I"), ed25519("dvs test id R"));
    let sid_i = [0, 1, 2, 3, 4, 5, 6, 7];
    let sid_r = [8, 9, 10, 11, 12, 13, 14, 15];
    let ephemeral = Ephemeral::from_scalar(&scalar("dvs test eph I"));
    let expect = ExpectResponse::with_key(responder.public().id(), Mode::Full, OURS, 1, ephemeral, sid_i);
    let init = expect.datagram().to_vec();
    let ephemeral = Ephemeral::from_scalar(&scalar("dvs test eph R"));
    let parsed = Init::parse(&init, OURS).unwrap();
    let (expect_auth, resp) = ExpectAuth::respond_with(&parsed, &responder, SLOT_R, OURS, ephemeral, sid_r).unwrap();
    let local = Local { identity: &initiator, slot: SLOT_I, pin: None };
    let initiated = expect.read(&resp, &local).unwrap();
    Run { initiator, responder, init, resp, initiated, expect_auth }
}

const RESP: &str = "21010001000102030405060708090a0b0c0d0e0f3059301306072a8648ce3d020106082a8648ce3d030107034200048af89016292980c8b567a7e89161b761c03286b5253ba8b6dcd07c8fec968b19925fa0a2f5444c1f2c814c13ebb2c5ecce5bb08f1eeea436ed0ded14809bcc2710f784499cbda7fa6086c4be8e61e2ef917598092330b00135448809494fbed6d0a3784932db257a07f5dde7e659ee518bf31705dfa8783326bbe5d701acad30650f80a535e41fb65e950ef539a127dfeba3bebcede9eaa4f187d4627e622adbb4a5c1cad1737941d4c75075a9d278b51133dbb03d5c408f90405beb498612911cd83c7dbbaf462a7a7b20ca5734cebd1111d22ce329e0e554f14cd8d2382090d3df0a3f";
const AUTH: &str = "2201000008090a0b0c0d0e0fc3f5bf02d8a060d7a77180f23a38d9749428ba3fab920bd58adbe0fe8935effb696afb2b9230acac2963345ff5b7aa0ca56a2b30b73990ae466e66e7ab27c8b4597f50dc77e965b22a789f243658721d74103ad8d513853ffd0fdbb722e8d734f5d57803a7f4406c7547e121912c8e8b642ff0ed67939c7d39851fa73547175f17031358606cfc2709eae0d1aea00a90822c164f1216363298ed073f4d344b58038d12a5";
const T7: &str = "fbd018cfc5d5e16b8a58094fa941cc91da6b0fb9fda4554e9543520eac48d5b0";
const ES0: &str = "597f5aa504bd5c0e54b73612f72b05f66dcfd15b6dfdf5135b08487831f3164c";

#[test]
fn the_messages_match_the_vectors_byte_for_byte() {
    let run = run();
    assert_eq!(run.responder.public().id().0.to_vec(), hex("50199aa9e91849a1c52b8b96be67dbcf5577f2bc"));
    assert_eq!(run.initiator.public().id().0.to_vec(), hex("845f46e133862b397b208f5e916bd0c54c832792"));
    let init = kdf::sha256(&[&run.init]);
    assert_eq!(init.to_vec(), hex("47d44dac7aea4e30cd4125e2e6a256e5a5b05967987ddf3db707498def257054"));
    assert_eq!(run.init[496..], hex("54cda074e13ec2b698df15138ba016df"));
    assert_eq!(run.resp, hex(RESP));
    assert_eq!(run.initiated.auth, hex(AUTH));
}

#[test]
fn the_secrets_match_the_vectors_on_both_sides() {
    let run = run();
    let initiator = run.initiated.established;
    let responder = run.expect_auth.read(&run.initiated.auth).unwrap();
    for established in [&initiator, &responder] {
        assert_eq!(established.transcript.to_vec(), hex(T7));
        assert_eq!(established.secret.as_bytes().to_vec(), hex(ES0));
    }
    assert_eq!((initiator.side, responder.side), (Side::Initiator, Side::Responder));
    assert_eq!((initiator.peer_slot, responder.peer_slot), (SLOT_R, SLOT_I));
    assert_eq!(&initiator.peer, run.responder.public());
    assert_eq!(&responder.peer, run.initiator.public());
}

#[test]
fn the_transcript_and_key_schedule_match_the_vectors() {
    let run = run();
    let init = Init::parse(&run.init, OURS).unwrap();
    let resp = Resp::parse(&run.resp, OURS).unwrap();
    let t1 = transcript::t1(&run.responder.public().id(), init.body);
    assert_eq!(t1.to_vec(), hex("926c74384413f96d76629df970568ba865461552c9edb87bc0f9649b7a69370e"));
    let t2 = transcript::t2(&t1, resp.header);
    assert_eq!(t2.to_vec(), hex("00ae16050c2cf735c943f5b1082fc4c7673b1c5f32d3e29e10b9c567c1b39693"));
    let ours = Ephemeral::from_scalar(&scalar("dvs test eph I"));
    let theirs = crate::crypto::exchange::PeerKey::parse(resp.key).unwrap();
    let shared = ours.agree(&theirs).unwrap();
    assert_eq!(shared.to_vec(), hex("098b6b7e66533c191051fafa49a6f23bc7190da8981fbd6514b801154031f103"));
    let hs = kdf::extract(&t2, &*shared);
    assert_eq!(hs.to_vec(), hex("a0b93828898933e3b8c589eca176d9459a74875f2b0118043b9e6de6d0012f98"));
    let vectors = [
        ("hs r", "642d5f4cdd79f58f4847bbcf83d9519ba49f16e53f0b63b3ffa178cfb31448ca95add0ffd58cac38b62232cd"),
        ("hs i", "71c476568530cd1699affa396e7d3c5d7387299b6ff51e7b315d89efd1eacc39ee912bc859db85f665986715"),
        ("fin r", "9bfdf82148c4baaf22f0e2ac4315b3a137c37083d1a7977897238b9b161bf88d"),
        ("fin i", "7bc690a19bbe40c3b92c763824a8b7c14edea27537e078e20228cd55273cf9ae"),
    ];
    for (label, expected) in vectors {
        let key = kdf::expand::<44>(&hs, label, b"");
        assert_eq!(key[..expected.len() / 2], hex(expected), "{label}");
    }
}

#[test]
fn the_session_packets_match_the_vectors() {
    let mut keys = run().initiated.established.secret.into_keys(Side::Initiator.sending());
    let opus: Vec<u8> = [0x78].into_iter().chain(0..79).collect();
    let media = seal(&mut keys.seal_media, Header { control: false, parity: false, slot: SLOT_R, seq: 10 }, &opus);
    assert_eq!(
        media,
        hex(
            "850000000a1888380fb656a83425e2e103e648b38710a708f631890b17fc1988c934726148caf65014b6fb58657833319f4b002548602cc11e841d2a59c9c68b9b2e4659f833f0e86e3c9b1ad5149faaca652c57c47520014e6dc6f469"
        )
    );
    let text = [&[0, 0, 0, 0, 0x80, 0, 8][..], &[0; 8]].concat();
    let control = seal(&mut keys.seal_control, Header { control: true, parity: false, slot: SLOT_R, seq: 1 }, &text);
    assert_eq!(control, hex("c500000001c2a068f0fd3984215a3e18b282dc7edc713d3082cc0f15629bf0f5f3019af5"));
}

fn seal(key: &mut SealingKey, header: Header, text: &[u8]) -> Vec<u8> {
    let stream = if header.control { Stream::Control } else { Stream::Media };
    let mut packet = vec![0; Header::length(header.slot)];
    header.write(&mut packet).unwrap();
    let (mut tag, mut text) = (vec![0; stream.tag_len()], text.to_vec());
    key.seal(header.seq, &packet, &mut text, &mut tag).unwrap();
    [packet, tag, text].concat()
}

#[test]
fn the_packet_keys_match_the_vectors() {
    let media = kdf::expand::<32>(&hex(ES0).try_into().unwrap(), "media i2r", b"");
    for (index, expected) in [
        (0u32, "f8395250b6ecb0de4a8458a35d4a724d3b7f18b93893aed8d434ac88088e830bcf3d1d68f68f98ad8fab43b9"),
        (1, "8cc8e640f05f8268827e9c41c098a76f1986d5cf78357b2f87a1ab180e5576c386df01c72ea91ca015cc1509"),
    ] {
        assert_eq!(kdf::expand::<44>(&media, "sub", &index.to_be_bytes()).to_vec(), hex(expected));
    }
}

/// Two people with P-256 keys, an enemy, and fresh randomness.
struct Cast {
    random: Random,
    alice: Identity,
    bob: Identity,
    eve: Identity,
}

fn cast() -> Cast {
    let mut random = Random::seeded(7);
    let mut identity = || Identity::generate(KeyKind::P256, &mut random).unwrap();
    let (alice, bob, eve) = (identity(), identity(), identity());
    Cast { random, alice, bob, eve }
}

impl Cast {
    fn dial(&mut self) -> ExpectResponse {
        ExpectResponse::start(self.bob.public().id(), Mode::Full, &mut self.random).unwrap()
    }

    fn answer(&mut self, init: &[u8]) -> (ExpectAuth, Vec<u8>) {
        ExpectAuth::respond(&Init::parse(init, OURS).unwrap(), &self.bob, SLOT_R, OURS, &mut self.random).unwrap()
    }

    fn alice(&self) -> Local<'_> {
        Local { identity: &self.alice, slot: SLOT_I, pin: None }
    }
}

#[test]
fn a_cookie_changes_nothing_but_the_macs() {
    let mut cast = cast();
    let mut dial = cast.dial();
    let before = dial.datagram().to_vec();
    dial.show_cookie(&[9; 16]);
    let after = dial.datagram().to_vec();
    assert_eq!(before[..480], after[..480]);
    assert_eq!(Init::parse(&after, OURS).unwrap().cookie, [9; 16]);
    let mac1 = Mac1Key::new(&cast.bob.public().id());
    assert!(mac1.fits(&Init::parse(&after, OURS).unwrap()));
    let (_, resp) = cast.answer(&before);
    assert!(dial.read(&resp, &cast.alice()).is_ok());
}

#[test]
fn who_does_not_know_the_id_makes_no_fitting_mac1() {
    let mut cast = cast();
    let dial = cast.dial();
    let init = Init::parse(dial.datagram(), OURS).unwrap();
    assert!(Mac1Key::new(&cast.bob.public().id()).fits(&init));
    assert!(!Mac1Key::new(&cast.eve.public().id()).fits(&init));
}

#[test]
fn f03_a_stolen_exchange_key_signed_by_another_is_not_accepted() {
    // Eve relays Alice's HS_INIT to Bob and wants him to take it for hers.
    let mut cast = cast();
    let dial = cast.dial();
    let (expect, resp) = cast.answer(dial.datagram());
    let alices = dial.read(&resp, &cast.alice()).unwrap().auth;
    // Her credentials, sealed under a handshake of her own, moved into Alice's.
    let eves_dial = cast.dial();
    let (_, eves_resp) = cast.answer(eves_dial.datagram());
    let eve = Local { identity: &cast.eve, slot: SLOT_I, pin: None };
    let mut forged = eves_dial.read(&eves_resp, &eve).unwrap().auth;
    forged[..12].copy_from_slice(&alices[..12]);
    let refused = expect.read(&forged).unwrap_err();
    assert_eq!(refused.reason, Refusal::NotAuthentic);
    let accepted = refused.state.unwrap().read(&alices).unwrap();
    assert_eq!(&accepted.peer, cast.alice.public());
}

#[test]
fn f03_a_responder_who_is_somebody_else_is_not_accepted() {
    let mut cast = cast();
    let dial = cast.dial();
    let init = dial.datagram().to_vec();
    // Eve answers with her own identity …
    let (_, resp) =
        ExpectAuth::respond(&Init::parse(&init, OURS).unwrap(), &cast.eve, SLOT_R, OURS, &mut cast.random).unwrap();
    let refused = dial.read(&resp, &cast.alice()).unwrap_err();
    // … over a transcript that names Bob, so nothing of it even opens; Alice goes on waiting for Bob.
    assert_eq!(refused.reason, Refusal::NotAuthentic);
    let (_, resp) = cast.answer(&init);
    assert!(refused.state.unwrap().read(&resp, &cast.alice()).is_ok());
}

/// Answers as Bob's ID would, but with the credentials `forge` makes out of the transcript so far.
fn forged_resp(cast: &mut Cast, init: &[u8], forge: impl FnOnce(&Cast, &Digest) -> (Vec<u8>, Vec<u8>)) -> Vec<u8> {
    let init = Init::parse(init, OURS).unwrap();
    let ephemeral = Ephemeral::generate(&mut cast.random).unwrap();
    let theirs = crate::crypto::exchange::PeerKey::parse(init.key).unwrap();
    let mut resp = Resp::emit_header(&init, &[1; 8], ephemeral.public());
    let t2 = transcript::t2(&transcript::t1(&cast.bob.public().id(), init.body), &resp);
    let (resp_key, keys) = transcript::Keys::agree(&ephemeral, &theirs, &t2).unwrap();
    let (mut text, signature) = forge(cast, &t2);
    let t4 = transcript::t4(&transcript::t3(&t2, &text), &signature);
    Credentials::emit_rest(&signature, &keys.fin_r.tag(&[&t4]), &mut text);
    let sealed = resp_key.seal(&resp, text).unwrap();
    resp.extend(sealed);
    resp
}

fn claim_of(identity: &Identity) -> Vec<u8> {
    claim(identity, OURS, Some(SLOT_R))
}

fn claim(identity: &Identity, versions: Versions, slot: Option<Slot>) -> Vec<u8> {
    let own = identity.public();
    Claim { versions, slot, algorithm: own.algorithm(), spki: own.spki() }.emit()
}

#[test]
fn f03_who_knows_the_id_but_not_the_key_cannot_answer_for_it() {
    let mut cast = cast();
    let dial = cast.dial();
    let init = dial.datagram().to_vec();
    // Eve claims Bob's key and signs with hers.
    let resp = forged_resp(&mut cast, &init, |cast, t2| {
        let claim = claim_of(&cast.bob);
        let signature = cast.eve.sign(SignatureRole::Responder, &transcript::t3(t2, &claim)).unwrap();
        (claim, signature)
    });
    let refused = dial.read(&resp, &cast.alice()).unwrap_err();
    assert_eq!(refused.reason, Refusal::Signature);
    // Eve claims her own key.
    let resp = forged_resp(&mut cast, &init, |cast, t2| {
        let claim = claim_of(&cast.eve);
        let signature = cast.eve.sign(SignatureRole::Responder, &transcript::t3(t2, &claim)).unwrap();
        (claim, signature)
    });
    let refused = refused.state.unwrap().read(&resp, &cast.alice()).unwrap_err();
    assert_eq!(refused.reason, Refusal::SomebodyElse);
    // A signature of Bob's that was made for another purpose does not serve.
    let resp = forged_resp(&mut cast, &init, |cast, t2| {
        let claim = claim_of(&cast.bob);
        let signature = cast.bob.sign(SignatureRole::Initiator, &transcript::t3(t2, &claim)).unwrap();
        (claim, signature)
    });
    let refused = refused.state.unwrap().read(&resp, &cast.alice()).unwrap_err();
    assert_eq!(refused.reason, Refusal::Signature);
}

#[test]
fn p02_a_downgraded_or_slotless_responder_ends_the_handshake() {
    let mut cast = cast();
    let mut outcome = |versions: [u8; 2], slot| {
        let dial = cast.dial();
        let init = dial.datagram().to_vec();
        let resp = forged_resp(&mut cast, &init, |cast, t2| {
            let [min, max] = versions;
            let claim = claim(&cast.bob, Versions { min, max }, slot);
            let signature = cast.bob.sign(SignatureRole::Responder, &transcript::t3(t2, &claim)).unwrap();
            (claim, signature)
        });
        dial.read(&resp, &cast.alice()).map_err(|refused| (refused.reason, refused.state.is_some()))
    };
    assert!(outcome([1, 1], Some(SLOT_R)).is_ok());
    assert!(outcome([1, 9], Some(SLOT_R)).is_ok());
    assert_eq!(outcome([0, 0], Some(SLOT_R)).unwrap_err(), (Refusal::Downgrade, false));
    assert_eq!(outcome([2, 3], Some(SLOT_R)).unwrap_err(), (Refusal::Downgrade, false));
    assert_eq!(outcome([1, 1], None).unwrap_err(), (Refusal::Slot, false));
}

#[test]
fn a_changed_key_is_reported_with_the_key_shown() {
    let mut cast = cast();
    let dial = cast.dial();
    let (_, resp) = cast.answer(dial.datagram());
    let local = Local { pin: Some(cast.eve.public().fingerprint()), ..cast.alice() };
    let refused = dial.read(&resp, &local).unwrap_err();
    assert_eq!(refused.reason, Refusal::KeyChanged(cast.bob.public().fingerprint()));
    assert!(refused.state.is_none());
}

#[test]
fn f03_messages_of_another_handshake_are_of_no_use() {
    let mut cast = cast();
    let old_dial = cast.dial();
    let (old_expect, old_resp) = cast.answer(old_dial.datagram());
    let old_auth = old_dial.read(&old_resp, &cast.alice()).unwrap().auth;
    assert!(old_expect.read(&old_auth).is_ok());
    // The same HS_INIT again: the answer is fresh, and the recorded HS_AUTH does not open under it.
    let dial = cast.dial();
    let (expect, _) = cast.answer(dial.datagram());
    let mut replayed = old_auth;
    replayed[4..12].copy_from_slice(expect.sid());
    assert_eq!(expect.read(&replayed).unwrap_err().reason, Refusal::NotAuthentic);
    // The recorded HS_RESP is of another handshake.
    let refused = dial.read(&old_resp, &cast.alice()).unwrap_err();
    assert_eq!(refused.reason, Refusal::OtherHandshake);
}

#[test]
fn every_bit_of_every_message_counts() {
    let mut cast = cast();
    for bit in (0..330 * 8).step_by(37) {
        let dial = cast.dial();
        let mut resp = cast.answer(dial.datagram()).1;
        let Some(byte) = resp.get_mut(bit / 8) else { continue };
        *byte ^= 1 << (bit % 8);
        assert!(dial.read(&resp, &cast.alice()).unwrap_err().state.is_some(), "bit {bit} of HS_RESP");
    }
    let dial = cast.dial();
    let (expect, resp) = cast.answer(dial.datagram());
    let auth = dial.read(&resp, &cast.alice()).unwrap().auth;
    let mut expect = Box::new(expect);
    for bit in (0..auth.len() * 8).step_by(7) {
        let mut flipped = auth.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let refused = expect.read(&flipped).map(|_| bit).unwrap_err();
        expect = refused.state.unwrap();
    }
}

#[test]
fn a_flood_of_bad_answers_costs_a_bounded_amount_of_work() {
    let mut cast = cast();
    let mut dial = Box::new(cast.dial());
    let init = dial.datagram().to_vec();
    for _ in 0..8 {
        let mut resp = cast.answer(&init).1;
        *resp.last_mut().unwrap() ^= 1;
        dial = dial.read(&resp, &cast.alice()).unwrap_err().state.unwrap();
    }
    let resp = cast.answer(&init).1;
    assert_eq!(dial.read(&resp, &cast.alice()).unwrap_err().reason, Refusal::Budget);
}

#[test]
fn an_authenticated_peer_gets_three_bad_tries() {
    let mut cast = cast();
    let dial = cast.dial();
    let init = dial.datagram().to_vec();
    let (mut expect, resp) = {
        let (expect, resp) = cast.answer(&init);
        (Box::new(expect), resp)
    };
    // Bob himself dials his own ID: every HS_AUTH opens and is refused.
    let own = Local { identity: &cast.bob, slot: SLOT_I, pin: None };
    let auth = dial.read(&resp, &own).unwrap().auth;
    for _ in 0..2 {
        let refused = expect.read(&auth).unwrap_err();
        assert_eq!(refused.reason, Refusal::Ourselves);
        expect = refused.state.unwrap();
    }
    assert!(expect.read(&auth).unwrap_err().state.is_none());
}

#[test]
fn n01_identity_keys_do_not_open_a_recorded_handshake() {
    // All that a later thief gets: both identity keys and every message, so all that the transcript is made of. What
    // the keys are drawn from besides is the secret of the two exchange keys, of which neither is left.
    let mut cast = cast();
    let dial = cast.dial();
    let (_, resp) = cast.answer(dial.datagram());
    let resp = Resp::parse(&resp, OURS).unwrap();
    let t2 = transcript::t2(&transcript::t1(&cast.bob.public().id(), &dial.datagram()[..480]), resp.header);
    let theirs = crate::crypto::exchange::PeerKey::parse(resp.key).unwrap();
    let guesses: std::collections::BTreeSet<_> = (0..20)
        .map(|_| {
            let guess = Ephemeral::generate(&mut cast.random).unwrap();
            let (_, keys) = transcript::Keys::agree(&guess, &theirs, &t2).unwrap();
            *session_secret(&keys.handshake, &[7; 32])
        })
        .collect();
    assert_eq!(guesses.len(), 20, "another exchange key is another secret, the transcript being the same");
    drop(dial);
}

/// An HS_AUTH by somebody who has dialled with Eve's exchange key, claims to be `claimed` and signs as
/// `signer`.
fn forged_auth(cast: &Cast, init: &[u8], resp: &[u8], claimed: &Identity, signer: &Identity) -> Vec<u8> {
    forged_auth_with(cast, init, resp, claim_of(claimed), signer)
}

/// An HS_AUTH by somebody who has dialled with Eve's exchange key, claims `text` and signs as `signer`.
fn forged_auth_with(cast: &Cast, init: &[u8], resp: &[u8], mut text: Vec<u8>, signer: &Identity) -> Vec<u8> {
    let (init, resp) = (Init::parse(init, OURS).unwrap(), Resp::parse(resp, OURS).unwrap());
    let ours = Ephemeral::from_scalar(&scalar("eve"));
    let theirs = crate::crypto::exchange::PeerKey::parse(resp.key).unwrap();
    let t2 = transcript::t2(&transcript::t1(&cast.bob.public().id(), init.body), resp.header);
    let (resp_key, keys) = transcript::Keys::agree(&ours, &theirs, &t2).unwrap();
    let opened = resp_key.open(resp.header, resp.sealed).unwrap();
    let bobs = Credentials::parse(&opened).unwrap();
    let t4 = transcript::t4(&transcript::t3(&t2, bobs.claim_bytes), bobs.signature);
    let t5 = transcript::t5(&t4, &bobs.fin, &text);
    let signature = signer.sign(SignatureRole::Initiator, &t5).unwrap();
    let fin = keys.fin_i.tag(&[&transcript::t6(&t5, &signature)]);
    Credentials::emit_rest(&signature, &fin, &mut text);
    let mut auth = crate::wire::handshake::Auth::emit_header(1, &resp.responder_sid);
    let sealed = keys.auth.seal(&auth, text).unwrap();
    auth.extend(sealed);
    auth
}

#[test]
fn n01_a_stolen_identity_key_does_not_let_others_pose_to_its_owner() {
    // Key compromise impersonation: Eve has Bob's identity key and poses as Alice towards Bob.
    let mut cast = cast();
    let ephemeral = Ephemeral::from_scalar(&scalar("eve"));
    let dial = ExpectResponse::with_key(cast.bob.public().id(), Mode::Full, OURS, 1, ephemeral, [5; 8]);
    let init = dial.datagram().to_vec();
    let (as_alice, resp) = cast.answer(&init);
    let auth = forged_auth(&cast, &init, &resp, &cast.alice, &cast.bob);
    assert_eq!(as_alice.read(&auth).unwrap_err().reason, Refusal::Signature);
    let (as_alice, resp) = cast.answer(&init);
    let auth = forged_auth(&cast, &init, &resp, &cast.alice, &cast.eve);
    assert_eq!(as_alice.read(&auth).unwrap_err().reason, Refusal::Signature);
    let (as_herself, resp) = cast.answer(&init);
    let auth = forged_auth(&cast, &init, &resp, &cast.eve, &cast.eve);
    assert_eq!(&as_herself.read(&auth).unwrap().peer, cast.eve.public());
}

#[test]
fn f03_whoever_takes_the_initiators_place_does_not_share_her_session() {
    // Misbinding at its worst: Eve even has Alice's exchange key, and Bob takes Alice's handshake for Eve's.
    let mut cast = cast();
    let ephemeral = Ephemeral::from_scalar(&scalar("eve"));
    let dial = ExpectResponse::with_key(cast.bob.public().id(), Mode::Full, OURS, 1, ephemeral, [5; 8]);
    let init = dial.datagram().to_vec();
    let (expect, resp) = cast.answer(&init);
    let forged = forged_auth(&cast, &init, &resp, &cast.eve, &cast.eve);
    let (alices, bobs) = (dial.read(&resp, &cast.alice()).unwrap().established, expect.read(&forged).unwrap());
    assert_eq!((&alices.peer, &bobs.peer), (cast.bob.public(), cast.eve.public()));
    assert_ne!(alices.secret.as_bytes(), bobs.secret.as_bytes(), "what Alice says to Bob he does not hear from Eve");
    assert_ne!(alices.transcript, bobs.transcript, "nor do they read the same words");
}

#[test]
fn d44_an_anonymous_initiator_shares_a_secret_that_is_no_session() {
    let mut cast = cast();
    let relay = cast.bob.public().id();
    let dial = ExpectResponse::start(relay, Mode::Anonymous, &mut cast.random).unwrap();
    let init = dial.datagram().to_vec();
    assert_eq!(init.len(), 139);
    let init = Init::parse(&init, OURS).unwrap();
    assert!(ExpectAuth::respond(&init, &cast.bob, SLOT_R, OURS, &mut cast.random).is_err());
    let (relays, resp) = respond_anonymously(&init, &cast.bob, &mut cast.random).unwrap();
    assert!(resp.len() <= 3 * 139);
    let ours = dial.read_anonymously(&resp).unwrap();
    assert_eq!(ours.key(Purpose::LinkForward), relays.key(Purpose::LinkForward));
    assert_ne!(ours.key(Purpose::LinkForward), ours.key(Purpose::LinkBackward));
}

#[test]
fn d44_an_anonymous_answer_does_not_serve_a_full_handshake() {
    let mut cast = cast();
    let dial = cast.dial();
    let init = dial.datagram().to_vec();
    assert!(respond_anonymously(&Init::parse(&init, OURS).unwrap(), &cast.bob, &mut cast.random).is_err());
    let (_, resp) = cast.answer(&init);
    assert_eq!(dial.read_anonymously(&resp).unwrap_err().reason, Refusal::Slot);
}
