// SPDX-License-Identifier: GPL-3.0-or-later
//! Implementations of several versions, which differ in name only.

use super::*;
use crate::wire::Malformed;

const ONE: Versions = Versions { min: 1, max: 1 };
const BOTH: Versions = Versions { min: 1, max: 2 };

impl Cast {
    fn dial_with(&mut self, spoken: Versions, version: u8) -> ExpectResponse {
        let bob = self.bob.public().id();
        ExpectResponse::start_with(bob, Mode::Full, spoken, version, &mut self.random).unwrap()
    }

    fn answer_with(&mut self, init: &[u8], spoken: Versions) -> Result<(ExpectAuth, Vec<u8>), Refusal> {
        let init = Init::parse(init, spoken).unwrap();
        ExpectAuth::respond(&init, &self.bob, SLOT_R, spoken, &mut self.random)
    }
}

#[test]
fn f27_two_sides_agree_on_the_highest_version_both_speak() {
    let mut cast = cast();
    for (initiator, responder, version) in [(ONE, ONE, 1), (BOTH, BOTH, 2), (BOTH, ONE, 1), (ONE, BOTH, 1)] {
        let dial = cast.dial_with(initiator, version);
        let (expect, resp) = cast.answer_with(dial.datagram(), responder).unwrap();
        let auth = dial.read(&resp, &cast.alice()).unwrap().auth;
        assert_eq!((resp[1], auth[1]), (version, version));
        assert!(expect.read(&auth).is_ok());
    }
}

#[test]
fn f27_an_hs_init_of_a_version_not_spoken_is_not_read() {
    let mut cast = cast();
    let init = cast.dial_with(BOTH, 2).datagram().to_vec();
    assert_eq!(Init::parse(&init, ONE), Err(Malformed::Version));
}

#[test]
fn p02_an_attempt_below_the_highest_common_version_is_refused_by_the_initiator() {
    // An HS_VERSION has told Alice that Bob speaks version 1 only. He speaks 2 as well, and says so under his signature.
    let mut cast = cast();
    let dial = cast.dial_with(BOTH, 1);
    let (_, resp) = cast.answer_with(dial.datagram(), BOTH).unwrap();
    let refused = dial.read(&resp, &cast.alice()).unwrap_err();
    assert_eq!((refused.reason, refused.state.is_none()), (Refusal::Downgrade, true));
}

#[test]
fn p02_an_attempt_that_offers_more_than_its_version_is_not_answered() {
    let mut cast = cast();
    let mut init = cast.dial_with(BOTH, 1).datagram().to_vec();
    init[5] = 2;
    assert_eq!(cast.answer_with(&init, BOTH).map(|_| ()), Err(Refusal::Downgrade));
    init[4] = 2;
    assert_eq!(cast.answer_with(&init, BOTH).map(|_| ()), Err(Refusal::Downgrade));
}

#[test]
fn p02_a_range_changed_under_way_opens_nothing() {
    let mut cast = cast();
    for (position, value) in [(1, 1), (4, 2), (5, 1), (5, 3)] {
        let dial = cast.dial_with(BOTH, 2);
        let mut init = dial.datagram().to_vec();
        init[position] = value;
        // Where Bob answers at all, Alice cannot read it.
        let Ok((_, mut resp)) = cast.answer_with(&init, BOTH) else { continue };
        assert_eq!(dial.read(&resp, &cast.alice()).unwrap_err().reason, Refusal::NotAuthentic, "{position}");
        let dial = cast.dial_with(BOTH, 2);
        resp[1] = 1;
        assert_eq!(dial.read(&resp, &cast.alice()).unwrap_err().reason, Refusal::Malformed);
    }
    let dial = cast.dial_with(BOTH, 2);
    let (expect, resp) = cast.answer_with(dial.datagram(), BOTH).unwrap();
    let mut auth = dial.read(&resp, &cast.alice()).unwrap().auth;
    auth[1] = 1;
    assert_eq!(expect.read(&auth).unwrap_err().reason, Refusal::Malformed);
}

#[test]
fn p02_d13_an_hs_auth_that_repeats_other_versions_than_hs_init_is_refused() {
    let mut cast = cast();
    for versions in [Versions { min: 1, max: 2 }, Versions { min: 0, max: 1 }] {
        let ephemeral = Ephemeral::from_scalar(&scalar("eve"));
        let dial = ExpectResponse::with_key(cast.bob.public().id(), Mode::Full, OURS, 1, ephemeral, [5; 8]);
        let init = dial.datagram().to_vec();
        let (expect, resp) = cast.answer(&init);
        let text = claim(&cast.eve, versions, Some(SLOT_I));
        let auth = forged_auth_with(&cast, &init, &resp, text, &cast.eve);
        assert_eq!(expect.read(&auth).unwrap_err().reason, Refusal::Downgrade);
    }
}
