// SPDX-License-Identifier: GPL-3.0-or-later
//! HS_INITs in masses, of senders that are forged, and of real ones that can show cookies but finish nothing.

use super::*;
use crate::crypto::kdf::{MacKey, sha256};
use crate::handshake::{ExpectResponse, Mode};
use crate::wire::handshake::{Cookie, INIT_PADDED, MAC_LEN, Sid, Versions};
use crate::wire::kind;

/// Makes any number of HS_INITs that Bob takes for genuine, quickly.
struct Mint {
    mac1: MacKey,
    template: Vec<u8>,
}

impl Mint {
    fn new(pair: &Pair) -> Self {
        let id = pair.ends[BOB].id();
        let handshake = ExpectResponse::start(id, Mode::Full, &mut Random::seeded(1)).unwrap();
        Self { mac1: MacKey::new(&sha256(&[b"dvs1 mac1", &id.0])), template: handshake.datagram().to_vec() }
    }

    fn init(&self, sid: Sid, cookie: &[u8; MAC_LEN]) -> Vec<u8> {
        let mut init = self.template[..INIT_PADDED - 2 * MAC_LEN].to_vec();
        init[8..16].copy_from_slice(&sid);
        init.extend(cookie);
        init.extend(self.mac1.short_tag(&[&init]));
        init
    }
}

/// An address in a network of its own.
fn network(number: u64) -> Path {
    let [.., a, b, c] = number.to_be_bytes();
    Path::direct(std::net::SocketAddr::from(([64 + a, b, c, 1], 5004)))
}

/// Alice is to be in a session this soon: one round trip for a cookie, and two.
const SOON: Duration = Duration::from_millis(150);

fn is_connected(pair: &Pair) -> bool {
    let peer = pair.ends[BOB].id();
    pair.ends[ALICE].sessions.session_of(LOCAL, peer).is_some()
}

#[test]
fn f17_a_friend_gets_a_cookie_among_twenty_thousand_forged_requests_per_second() {
    let mut pair = Pair::new(1);
    let mint = Mint::new(&pair);
    let mut number = 0;
    let mut flood = |pair: &mut Pair, duration: Duration| {
        let end = pair.now + duration;
        while pair.now < end {
            number += 1;
            let _ = pair.inject(BOB, network(number), &mint.init(number.to_be_bytes(), &[0; MAC_LEN]));
            pair.run(Duration::from_micros(50));
        }
    };
    flood(&mut pair, ms(1_000));
    let answers = pair.sent(BOB, kind::HS_RESP).len();
    assert!(answers <= 16, "{answers}");
    pair.dial(ALICE);
    flood(&mut pair, SOON);
    assert!(is_connected(&pair));
    pair.assert_working("under a flood from everywhere");
}

#[test]
fn f17_who_begins_handshakes_and_finishes_none_leaves_half_of_the_budget_to_others() {
    const BOTS: u64 = 200;
    let mut pair = Pair::new(1);
    pair.link.delay = ms(13);
    let mint = Mint::new(&pair);
    let mut number = 0;
    // Each bot five times per second.
    let mut flood = |pair: &mut Pair, duration: Duration| {
        let end = pair.now + duration;
        while pair.now < end {
            number += 1;
            let (from, sid) = (network(number % BOTS), number.to_be_bytes());
            if pair.inject(BOB, from, &mint.init(sid, &[0; MAC_LEN])) == Err(Drop::CookieAsked) {
                let (_, asked) = pair.log.pop().unwrap();
                let _ = pair.inject(
                    BOB,
                    from,
                    &mint.init(sid, &Cookie::parse(&asked.datagram, Versions::OURS).unwrap().cookie),
                );
            }
            pair.run(ms(1));
        }
    };
    flood(&mut pair, ms(6_000));
    pair.forget();
    for _ in 0..5 {
        flood(&mut pair, ms(1_000));
        assert!((20..=51).contains(&pair.sent(BOB, kind::HS_RESP).len()), "the budget is used, and kept");
        pair.forget();
    }
    for place in 0..5 {
        pair.restart(ALICE);
        pair.ends[ALICE].path = network(1_000 + place);
        pair.dial(ALICE);
        flood(&mut pair, SOON);
        assert!(is_connected(&pair), "called from place {place}");
    }
}
