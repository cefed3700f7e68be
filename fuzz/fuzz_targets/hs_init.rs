// SPDX-License-Identifier: GPL-3.0-or-later
//! HS_INITs of strangers, one after the other: a byte says who sends it and how it is made to fit, two bytes its length, then
//! it follows. Nothing is answered with more than three times its length but to who returned a cookie, nothing rings.
#![no_main]

use std::sync::{Arc, OnceLock};

use dvs_fuzz::mallory::identity;
use dvsd::crypto::identity::Identity;
use dvsd::crypto::kdf::{MacKey, sha256};
use dvsd::id::LocalId;
use dvsd::path::Path;
use dvsd::random::Random;
use dvsd::session::Sessions;
use dvsd::time::{Instant, Now};
use dvsd::wire::handshake::{Cookie, INIT_MIN, MAC_LEN, Resp, Spoken, Versions};
use dvsd::wire::{MAX_DATAGRAM, kind};
use libfuzzer_sys::fuzz_target;

/// HS_INITs per run.
const MOST: usize = 24;

fn bob() -> Arc<Identity> {
    static BOB: OnceLock<Arc<Identity>> = OnceLock::new();
    BOB.get_or_init(|| Arc::new(identity(0))).clone()
}

fuzz_target!(|input: &[u8]| {
    let mut random = Random::seeded(1);
    let mut sessions = Sessions::new(&mut random);
    sessions.add_local(LocalId(0), bob());
    let (mut rest, mut now) = (input, Instant::from_millis(1_000));
    let mut cookie = [0; MAC_LEN];
    for _ in 0..MOST {
        let Some(([how, high, low], after)) = rest.split_first_chunk() else { break };
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(after.len()).min(MAX_DATAGRAM);
        let (body, after) = after.split_at(length);
        rest = after;
        let mut datagram = fitting(*how, body, &cookie);
        let from = Path::direct(([198, 51, 100 + (how & 1), how >> 6], 5_004).into());
        let received = datagram.len();
        let _ = sessions.handle(from, &mut datagram, Now { mono: now, unix: 0 }, &mut random);
        let mut sent = 0;
        while let Some(transmit) = sessions.poll_transmit() {
            assert_eq!(transmit.path, from);
            check(&transmit.datagram, &mut cookie);
            sent += transmit.datagram.len();
        }
        let validated = how & 4 != 0;
        assert!(validated || sent <= 3 * received, "{sent} bytes for {received}");
        assert_eq!(sessions.poll_event(), None);
        now = now + core::time::Duration::from_millis(u64::from(how >> 3 & 7) * 100);
    }
    sessions.handle_timeout(Now { mono: now + core::time::Duration::from_secs(11), unix: 0 }, &mut random);
    assert!(sessions.is_empty() && sessions.poll_timeout().is_none());
});

/// Bit 1: mac1 is made to fit, by somebody who knows Bob's ID; bit 2: the last cookie is shown.
fn fitting(how: u8, body: &[u8], cookie: &[u8; MAC_LEN]) -> Vec<u8> {
    let mut datagram = body.to_vec();
    if let Some(first) = datagram.first_mut() {
        *first = kind::HS_INIT;
    }
    if how & 2 != 0 && datagram.len() >= INIT_MIN {
        let (before, rest) = datagram.split_at_mut(body.len() - 2 * MAC_LEN);
        if how & 4 != 0 {
            rest[..MAC_LEN].copy_from_slice(cookie);
        }
        let key = MacKey::new(&sha256(&[b"dvs1 mac1", &bob().public().id().0]));
        let mac = key.short_tag(&[before, &rest[..MAC_LEN]]);
        rest[MAC_LEN..].copy_from_slice(&mac);
    }
    datagram
}

fn check(answer: &[u8], cookie: &mut [u8; MAC_LEN]) {
    assert!(answer.len() <= MAX_DATAGRAM);
    match answer[0] {
        kind::HS_RESP => drop(Resp::parse(answer, Versions::OURS).expect("an HS_RESP")),
        kind::HS_COOKIE => *cookie = Cookie::parse(answer, Versions::OURS).expect("an HS_COOKIE").cookie,
        kind::HS_VERSION => drop(Spoken::parse(answer).expect("an HS_VERSION")),
        other => panic!("{other:#x} in answer to an HS_INIT"),
    }
}
