// SPDX-License-Identifier: GPL-3.0-or-later
//! One key, one message. What the types forbid is shown where they are defined, by examples that must not compile.

use std::collections::BTreeSet;

use super::*;

#[test]
fn d43_every_attempt_has_an_exchange_key_and_a_session_id_of_its_own() {
    let mut cast = cast();
    let inits: Vec<_> = (0..20).map(|_| cast.dial().datagram().to_vec()).collect();
    assert_eq!(inits.iter().map(|init| &init[8..16]).collect::<BTreeSet<_>>().len(), 20);
    assert_eq!(inits.iter().map(|init| &init[16..107]).collect::<BTreeSet<_>>().len(), 20);
    // The same HS_INIT answered again, as from another address: nothing of the first answer is used twice.
    let resps: Vec<_> = (0..20).map(|_| cast.answer(&inits[0]).1).collect();
    assert_eq!(resps.iter().map(|resp| &resp[12..20]).collect::<BTreeSet<_>>().len(), 20);
    assert_eq!(resps.iter().map(|resp| &resp[20..111]).collect::<BTreeSet<_>>().len(), 20);
}

#[test]
fn d43_a_cookie_brings_no_new_exchange_key() {
    let mut cast = cast();
    let mut dial = cast.dial();
    let before = dial.datagram()[..480].to_vec();
    dial.show_cookie(&[1; 16]);
    dial.show_cookie(&[2; 16]);
    assert_eq!(dial.datagram()[..480], before);
}

#[test]
fn d44_no_key_of_an_anonymous_secret_is_one_of_a_session() {
    let published = |text: &str| -> [u8; 32] { hex(text).try_into().unwrap() };
    let t4 = published("987f3d1498b3be588fb147fb0a5bb33d3de1a959cfa3cfefd34b51235a176b55");
    let f_r = published("9bfdf82148c4baaf22f0e2ac4315b3a137c37083d1a7977897238b9b161bf88d");
    let hs = Zeroizing::new(published("a0b93828898933e3b8c589eca176d9459a74875f2b0118043b9e6de6d0012f98"));
    let fin_r = MacKey::new(&f_r).tag(&[&t4]);
    let anonymous = AnonymousSecret(session_secret(&hs, &transcript::t7_anonymous(&t4, &fin_r)));
    assert_eq!(
        anonymous.0.to_vec(),
        hex("6339911bee91b3cf24942bf5fd26ee9d1298862c99dce7f10e48c9965b1b1a63"),
        "the published vector"
    );
    assert_ne!(anonymous.0.to_vec(), hex(ES0));
    let es0 = hex(ES0).try_into().unwrap();
    let session = ["media i2r", "media r2i", "ctrl i2r", "ctrl r2i"].map(|label| *kdf::expand::<32>(&es0, label, b""));
    let circuit = Purpose::ALL.map(|purpose| *anonymous.key(purpose));
    let all: BTreeSet<_> = session.iter().chain(&circuit).collect();
    assert_eq!(all.len(), session.len() + circuit.len());
}
