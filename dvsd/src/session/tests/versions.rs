// SPDX-License-Identifier: GPL-3.0-or-later
//! Daemons of several protocol versions, and somebody who wants them to speak a lower one.

use super::*;
use crate::handshake::Refusal;
use crate::wire::handshake::{Spoken, Versions};
use crate::wire::kind;

const ONE: Versions = Versions { min: 1, max: 1 };
const BOTH: Versions = Versions { min: 1, max: 2 };
const TWO: Versions = Versions { min: 2, max: 2 };

fn speaking(versions: [Versions; 2]) -> Pair {
    let mut pair = Pair::new(1);
    for (end, versions) in pair.ends.iter_mut().zip(versions) {
        end.sessions.speak(versions);
    }
    pair
}

/// The versions of the HS_AUTHs that Alice has sent.
fn authenticated(pair: &Pair) -> Vec<u8> {
    pair.sent(ALICE, kind::HS_AUTH).iter().map(|auth| auth[1]).collect()
}

/// What Bob, or somebody in his place, says to Alice's first HS_INIT.
fn tell(pair: &mut Pair, versions: Versions) -> Result<(), Drop> {
    let sid = pair.sent(ALICE, kind::HS_INIT)[0][8..16].try_into().unwrap();
    let from = pair.ends[BOB].path;
    pair.inject(ALICE, from, &Spoken { versions, sid }.emit())
}

#[test]
fn f27_daemons_of_different_ranges_meet_in_the_highest_version_both_speak() {
    for (versions, met) in [([ONE, ONE], 1), ([BOTH, BOTH], 2), ([BOTH, ONE], 1), ([ONE, BOTH], 1), ([BOTH, TWO], 2)] {
        let mut pair = speaking(versions);
        pair.dial(ALICE);
        pair.run(ms(400));
        assert_eq!(authenticated(&pair), [met], "{versions:?}");
        pair.assert_working("in the highest common version");
    }
}

#[test]
fn f27_daemons_without_a_common_version_say_so_when_the_attempt_is_over() {
    let mut pair = speaking([ONE, TWO]);
    pair.dial(ALICE);
    pair.run(ms(7_900));
    assert_eq!(pair.ends[ALICE].events, [], "anybody can send HS_VERSION: the attempt goes on");
    pair.run(ms(300));
    let (peer, why) = (pair.ends[BOB].id(), ConnectError::Version);
    assert_eq!(pair.ends[ALICE].events, [SessionEvent::ConnectFailed { local: LOCAL, peer, why }]);
}

#[test]
fn d27_an_hs_version_changes_the_next_attempt_and_never_the_running_one() {
    let mut pair = speaking([BOTH, BOTH]);
    pair.link.loss = 100;
    pair.dial(ALICE);
    tell(&mut pair, ONE).unwrap();
    let inits = pair.sent(ALICE, kind::HS_INIT);
    assert_eq!(inits.iter().map(|init| init[1]).collect::<Vec<_>>(), [2, 1], "another attempt begins at once");
    assert_ne!(inits[0][8..107], inits[1][8..107], "with an exchange key of its own");
    // Said again it changes nothing; nor does it for an attempt that nobody knows.
    tell(&mut pair, ONE).unwrap();
    let unknown = Spoken { versions: ONE, sid: [9; 8] }.emit();
    let from = pair.ends[BOB].path;
    assert_eq!(pair.inject(ALICE, from, &unknown), Err(Drop::UnknownHandshake));
    pair.run(ms(600));
    let versions: Vec<u8> = pair.sent(ALICE, kind::HS_INIT).iter().map(|init| init[1]).collect();
    assert_eq!(versions.iter().filter(|version| **version == 2).count(), 3, "the running attempt is repeated");
    assert!(pair.sent(ALICE, kind::HS_INIT).iter().all(|init| init[8..16] == inits[usize::from(init[1] == 1)][8..16]));
    pair.run(ms(7_300));
    assert_eq!(pair.ends[ALICE].events, []);
    pair.run(ms(300));
    assert!(matches!(pair.ends[ALICE].events[..], [SessionEvent::ConnectFailed { .. }]), "8 s for all attempts");
}

#[test]
fn p02_a_forged_hs_version_neither_downgrades_nor_ends_a_dial() {
    let mut pair = speaking([BOTH, BOTH]);
    pair.dial(ALICE);
    tell(&mut pair, ONE).unwrap();
    pair.run(ms(400));
    assert_eq!(authenticated(&pair), [2]);
    pair.assert_working("after a forged HS_VERSION");
}

#[test]
fn p02_where_the_better_version_is_kept_out_there_is_no_session_at_all() {
    // Somebody on the path answers HS_INITs of version 2 with an HS_VERSION and lets those of version 1 through.
    let mut pair = speaking([BOTH, BOTH]);
    pair.dial(ALICE);
    tell(&mut pair, ONE).unwrap();
    pair.wire.retain(|flight| flight.datagram[0] != kind::HS_INIT || flight.datagram[1] == 1);
    let refused = (ALICE, Drop::Handshake(Refusal::Downgrade));
    for _ in 0..820 {
        pair.run(ms(10));
        pair.wire.retain(|flight| flight.datagram[0] != kind::HS_INIT || flight.datagram[1] == 1);
        if pair.drops.contains(&refused) {
            let _ = tell(&mut pair, ONE);
        }
    }
    assert_eq!(pair.drops.iter().filter(|drop| **drop == refused).count(), 1, "the lie is believed once");
    assert_eq!(authenticated(&pair), []);
    let (peer, why) = (pair.ends[BOB].id(), ConnectError::Version);
    assert_eq!(pair.ends[ALICE].events, [SessionEvent::ConnectFailed { local: LOCAL, peer, why }]);
    assert!(pair.ends[BOB].events.is_empty());
}

#[test]
fn p02_the_attempt_with_the_highest_version_outlives_the_refusal_of_a_lowered_one() {
    // As before, but the attacker gives up after a second.
    let mut pair = speaking([BOTH, BOTH]);
    pair.dial(ALICE);
    tell(&mut pair, ONE).unwrap();
    for _ in 0..100 {
        pair.wire.retain(|flight| flight.datagram[0] != kind::HS_INIT || flight.datagram[1] == 1);
        pair.run(ms(10));
    }
    assert!(pair.drops.contains(&(ALICE, Drop::Handshake(Refusal::Downgrade))));
    assert_eq!(pair.ends[ALICE].events, []);
    pair.run(ms(1_000));
    assert_eq!(authenticated(&pair), [2]);
    pair.assert_working("once the attacker has gone");
}

#[test]
fn p02_a_range_changed_under_way_makes_no_session() {
    for (position, value) in [(4, 2), (5, 3)] {
        let mut pair = speaking([BOTH, BOTH]);
        pair.dial(ALICE);
        for _ in 0..850 {
            for flight in pair.wire.iter_mut().filter(|flight| flight.datagram[0] == kind::HS_INIT) {
                flight.datagram[position] = value;
                // The attacker knows Bob's ID.
                let body = flight.datagram.len() - 16;
                let key = crate::crypto::kdf::sha256(&[b"dvs1 mac1", &pair.ends[BOB].identity.public().id().0]);
                let mac = crate::crypto::kdf::MacKey::new(&key).short_tag(&[&flight.datagram[..body]]);
                flight.datagram[body..].copy_from_slice(&mac);
            }
            pair.run(ms(10));
        }
        assert!(pair.drops.contains(&(ALICE, Drop::Handshake(Refusal::NotAuthentic))));
        assert_eq!(authenticated(&pair), []);
        assert!(matches!(pair.ends[ALICE].events[..], [SessionEvent::ConnectFailed { .. }]));
    }
}

#[test]
fn p02_a_cookie_of_another_version_than_the_attempt_is_ignored() {
    let mut pair = speaking([BOTH, BOTH]);
    pair.link.loss = 100;
    pair.dial(ALICE);
    let sid = pair.sent(ALICE, kind::HS_INIT)[0][8..16].to_vec();
    let cookie = [&[kind::HS_COOKIE, 1, 0, 0][..], &sid, &[9; 16]].concat();
    let from = pair.ends[BOB].path;
    assert!(pair.inject(ALICE, from, &cookie).is_err());
    assert_eq!(pair.sent(ALICE, kind::HS_INIT).len(), 1);
}
