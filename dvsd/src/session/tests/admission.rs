// SPDX-License-Identifier: GPL-3.0-or-later
//! What an HS_INIT gets past before any public-key operation is spent on it, in virtual time and with all kinds of key.

use super::*;
use crate::crypto::test_keys;
use crate::handshake::{ExpectResponse, Mode};
use crate::wire::kind;

/// An HS_INIT to Bob by somebody at `address`; whether he answers it, with HS_RESP.
struct Knock {
    dial: ExpectResponse,
    from: Path,
}

fn knock(pair: &Pair, seed: u64, address: &str) -> Knock {
    let dial = ExpectResponse::start(pair.ends[BOB].id(), Mode::Full, &mut Random::seeded(seed)).unwrap();
    Knock { dial, from: Path::direct(address.parse().unwrap()) }
}

impl Knock {
    fn send(&self, pair: &mut Pair) -> Result<(), Drop> {
        pair.inject(BOB, self.from, self.dial.datagram())
    }

    /// As if the cookie asked for had reached the sender.
    fn return_cookie(&mut self, pair: &mut Pair) -> Result<(), Drop> {
        let cookie = pair.sent(BOB, kind::HS_COOKIE).pop().unwrap();
        self.dial.show_cookie(cookie[12..].try_into().unwrap());
        self.send(pair)
    }
}

/// Bob with a key of this kind.
fn bob_with(key: KeyKind) -> Pair {
    let mut pair = Pair::new(1);
    pair.ends[BOB] = End::new(test_keys::of(key), "198.18.1.1:5004", 7);
    pair
}

/// How many HS_INITs from everywhere, with their cookies returned, Bob has answered `seconds` later.
fn answered(pair: &mut Pair, seconds: u64) -> usize {
    let begin = pair.log.len() as u64;
    for number in begin..begin + seconds * 200 {
        let (high, low) = (number / 250, number % 250);
        let mut knock = knock(pair, number, &format!("10.{high}.{low}.1:5004"));
        if knock.send(pair) == Err(Drop::CookieAsked) {
            let _ = knock.return_cookie(pair);
        }
        pair.run(ms(5));
    }
    pair.sent(BOB, kind::HS_RESP).len()
}

#[test]
fn f17_at_most_fifty_handshakes_a_second_are_answered_and_five_by_rsa_and_dsa() {
    for (key, rate) in [(KeyKind::P256, 50), (KeyKind::Rsa2048, 5), (KeyKind::Dsa2048, 5)] {
        let mut pair = bob_with(key);
        let (first, more) = (answered(&mut pair, 1), answered(&mut pair, 3));
        // What a bucket holds, and what comes in the seconds since; nearly all of it is used.
        let most = |seconds: usize| rate * (1 + seconds);
        assert!((most(1) - 3..=most(1)).contains(&first), "{key}: {first}");
        assert!(more <= most(4), "{key}: {more}");
    }
}

#[test]
fn f17_every_kind_of_identity_is_called_under_a_flood() {
    for key in KeyKind::ALL {
        let mut pair = bob_with(key);
        answered(&mut pair, 1);
        pair.run(ms(300));
        pair.forget();
        pair.dial(ALICE);
        pair.run(ms(2_000));
        let met = pair.ends.iter().all(|end| !end.events.is_empty());
        assert!(met, "{key}: {:?} {:?} {:?}", pair.drops, pair.ends[ALICE].events, pair.ends[BOB].events);
        pair.assert_working(&format!("{key} after a flood"));
    }
}

#[test]
fn f17_from_half_the_budget_on_everybody_shows_a_cookie() {
    for (key, before) in [(KeyKind::P256, 16), (KeyKind::Rsa3072, 3)] {
        let mut pair = bob_with(key);
        let results: Vec<_> =
            (0..40u64).map(|number| knock(&pair, number, &format!("10.0.{number}.1:5004")).send(&mut pair)).collect();
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), before, "{key}");
        assert!(results.iter().skip(before).all(|result| *result == Err(Drop::CookieAsked)));
    }
}

#[test]
fn f17_the_budget_of_rsa_comes_back_at_five_a_second() {
    let mut pair = bob_with(KeyKind::Rsa2048);
    answered(&mut pair, 1);
    pair.run(ms(10_000));
    pair.forget();
    for number in 1_000..1_020 {
        let _ = knock(&pair, number, &format!("10.9.{}.1:5004", number - 1_000)).send(&mut pair);
    }
    assert_eq!(pair.sent(BOB, kind::HS_RESP).len(), 3, "of five, down to half");
}

#[test]
fn n03_a_short_hs_init_is_asked_for_a_cookie_where_the_answer_would_be_long() {
    for key in KeyKind::ALL {
        let mut pair = bob_with(key);
        let mut short = knock(&pair, 1, "203.0.113.1:5004").dial.datagram().to_vec();
        // Padding is taken away, and mac1 made anew.
        short.truncate(107 + 16);
        short[107..].fill(0);
        let mac1 = crate::crypto::kdf::sha256(&[b"dvs1 mac1", &pair.ends[BOB].id().0]);
        let mac = crate::crypto::kdf::MacKey::new(&mac1).short_tag(&[&short]);
        short.extend(mac);
        let from = Path::direct("203.0.113.1:5004".parse().unwrap());
        let answer = pair.inject(BOB, from, &short);
        let public = pair.ends[BOB].identity.public().clone();
        let grows = 167 + public.spki().len() + key.max_signature() > 3 * 139;
        assert_eq!(answer, if grows { Err(Drop::CookieAsked) } else { Ok(()) }, "{key}");
        let sent: usize = pair.log.iter().filter(|(who, _)| *who == BOB).map(|(_, it)| it.datagram.len()).sum();
        assert!(sent <= 3 * 139, "{key}: {sent}");
    }
}

#[test]
fn d07_a_flood_that_forges_a_friends_network_does_not_keep_out_the_friend() {
    let mut pair = Pair::new(1);
    // Beyond its rate, the whole prefix is asked for cookies …
    for number in 0..50u64 {
        let _ = knock(&pair, number, &format!("203.0.113.{number}:5004")).send(&mut pair);
    }
    assert_eq!(pair.sent(BOB, kind::HS_RESP).len(), 1);
    assert_eq!(pair.sent(BOB, kind::HS_COOKIE).len(), 49, "a request over the rate is asked, not ignored");
    // … and one who returns a cookie has a budget of its own.
    let mut friend = knock(&pair, 99, "203.0.113.200:5004");
    assert_eq!(friend.send(&mut pair), Err(Drop::CookieAsked));
    assert_eq!(friend.return_cookie(&mut pair), Ok(()));
}

#[test]
fn d07_with_cookies_a_prefix_has_four_handshakes_half_open() {
    let mut pair = Pair::new(1);
    let from = |pair: &mut Pair, number: u64, address: &str| {
        let mut knock = knock(pair, number, address);
        match knock.send(pair) {
            Err(Drop::CookieAsked) => knock.return_cookie(pair),
            other => other,
        }
    };
    assert_eq!(from(&mut pair, 0, "203.0.113.1:5004"), Ok(()), "the first without a cookie");
    for number in 1..=4 {
        assert_eq!(from(&mut pair, number, &format!("203.0.113.{number}:5004")), Ok(()));
    }
    assert_eq!(from(&mut pair, 5, "203.0.113.5:5004"), Err(Drop::Budget), "four of the prefix are half open");
    assert_eq!(from(&mut pair, 6, "198.51.100.1:5004"), Ok(()), "that is another prefix");
    // Half-open handshakes last 10 s; then the prefix has room again.
    pair.run(ms(10_100));
    assert_eq!(from(&mut pair, 7, "203.0.113.1:5004"), Ok(()));
}

#[test]
fn d07_a_wrong_cookie_counts_as_none() {
    let mut pair = Pair::new(1);
    let mut first = knock(&pair, 1, "203.0.113.1:5004");
    first.dial.show_cookie(&[7; 16]);
    assert_eq!(first.send(&mut pair), Ok(()), "as without one");
    let mut second = knock(&pair, 2, "203.0.113.2:5004");
    second.dial.show_cookie(&[7; 16]);
    assert_eq!(second.send(&mut pair), Err(Drop::CookieAsked));
}

#[test]
fn d11_the_oldest_half_open_handshake_makes_room_for_a_newcomer() {
    let mut pair = Pair::new(1);
    let mut half_open = Vec::new();
    for number in 0..40u64 {
        let mut knock = knock(&pair, number, &format!("10.9.{number}.1:5004"));
        if knock.send(&mut pair) == Err(Drop::CookieAsked) {
            assert_eq!(knock.return_cookie(&mut pair), Ok(()), "{number}: 31 slots, and nobody is turned away");
        }
        let resp = pair.sent(BOB, kind::HS_RESP).pop().unwrap();
        half_open.push((knock, resp));
        pair.run(ms(25));
    }
    assert_eq!(pair.ends[BOB].sessions.half_open.len(), 27, "all slots but those kept for our own dials");
    assert_eq!(pair.ends[BOB].sessions.slots.count_free(pair.now), 4);
    // The first were discarded; the last can still come in.
    let eve = Identity::generate(KeyKind::Ed25519, &mut Random::seeded(900)).unwrap();
    let complete = |pair: &mut Pair, (knock, resp): (Knock, Vec<u8>)| {
        let local = crate::handshake::Local { identity: &eve, slot: crate::wire::session::Slot::Short(1), pin: None };
        let auth = knock.dial.read(&resp, &local).unwrap().auth;
        pair.inject(BOB, knock.from, &auth)
    };
    assert_eq!(complete(&mut pair, half_open.remove(0)), Err(Drop::UnknownHandshake));
    assert_eq!(complete(&mut pair, half_open.pop().unwrap()), Ok(()));
}

#[test]
fn d11_a_slot_that_carried_no_session_is_free_at_once() {
    let mut pair = Pair::new(1);
    for round in 0..3u64 {
        for number in 0..27u64 {
            let mut knock = knock(&pair, round * 100 + number, &format!("10.{round}.{number}.1:5004"));
            if knock.send(&mut pair) == Err(Drop::CookieAsked) {
                assert_eq!(knock.return_cookie(&mut pair), Ok(()));
            }
            pair.run(ms(30));
        }
        pair.run(ms(10_100));
        assert!(pair.ends[BOB].sessions.half_open.is_empty());
        assert_eq!(pair.ends[BOB].sessions.slots.count_free(pair.now), 31);
    }
}

#[test]
fn f17_only_four_repeats_of_hs_resp_and_none_after_completion() {
    let mut pair = Pair::new(1);
    pair.dial(ALICE);
    pair.run(ms(41));
    let init = pair.sent(ALICE, kind::HS_INIT).remove(0);
    let from = pair.ends[ALICE].path;
    for _ in 0..4 {
        assert_eq!(pair.inject(BOB, from, &init), Ok(()));
    }
    assert_eq!(pair.inject(BOB, from, &init), Err(Drop::Duplicate));
    let resps = pair.sent(BOB, kind::HS_RESP);
    assert!(resps.iter().all(|resp| *resp == resps[0]), "d43: what is sent again is what was sealed once");
    pair.run(ms(200));
    assert_eq!(pair.inject(BOB, from, &init), Err(Drop::Duplicate));
}
