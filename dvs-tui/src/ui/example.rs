// SPDX-License-Identifier: GPL-3.0-or-later
//! People, calls and figures for the tests.

use dvs_proto::message::{
    Audio, CallInfo, CallState, CallStats, ClientInfo, Contact, Direction, EndReason, Identity, Nat, Network, PastCall,
    Peer, Policy, Presence, Role, Snapshot, Trust, Verification, VerifyState,
};

/// Wednesday, 2025-06-18 14:02:00 UTC.
pub(crate) const NOON: u64 = 1_750_255_320;
pub(crate) const OWN: &str = "dvs1qx7hqpzry9x8gf2tvdw0s3jn54khce6mua7m4t2";
pub(crate) const ALICE: &str = "dvs1q8w9ayrmk3v5fp0c2x7hd4ntzl6sje8gu2wk3ze";
pub(crate) const BOB: &str = "dvs1qzr6yt4eun0mwp5x2kd8c7vjsl3gfa9hq6tbb7p";
pub(crate) const CAROL: &str = "dvs1qc4r0ls9mxz7hpd2kw8y5vgft3jnea6u4qcc2x";
pub(crate) const DAVE: &str = "dvs1qd4v3z8rkp2mwy7n5x0tgch6jsfl9eua3qdd8s";
pub(crate) const STRANGER: &str = "dvs1qs7r4ng3zmk8xw2p5yd0vthc6jnfl9eua4qss5h";

/// A contact of the given trust, seen `before` seconds before [`NOON`].
pub(crate) fn contact(name: &str, id: &str, trust: Trust, before: Option<u64>) -> Contact {
    let fingerprint = (trust != Trust::Unknown).then(|| "3F9A 11C2 88D0 47E5 B2C6 90AF 5512 7DE3".into());
    Contact {
        id: id.into(),
        name: name.into(),
        trust,
        fingerprint,
        last_seen: before.map(|s| NOON - s),
        at: Vec::new(),
        via: Vec::new(),
        last_address: None,
        auto_answer: false,
        presence: Presence::Unknown,
    }
}

/// A call with Alice, dialled seven seconds before [`NOON`]: ringing, or alerting if it is incoming.
pub(crate) fn call(direction: Direction) -> CallInfo {
    let outgoing = direction == Direction::Outgoing;
    CallInfo {
        call: 1,
        peer: ALICE.into(),
        name: Some("Alice".into()),
        trust: Trust::Verified,
        direction,
        state: if outgoing { CallState::Ringing } else { CallState::Alerting },
        started: NOON - 7,
        answered: None,
        answered_by: None,
        route: Some("direct 198.18.0.1:5004".into()),
        ended: None,
        lookup_us: outgoing.then_some(180_000),
        ring_us: outgoing.then_some(320_000),
        held_here: false,
        held_there: false,
        attempt: u8::from(outgoing),
        tries: u8::from(outgoing),
        can_wait: false,
        until: None,
        unstable: false,
    }
}

/// The call with Alice, talked in for 3 minutes and 27 seconds.
pub(crate) fn active(direction: Direction) -> CallInfo {
    CallInfo { state: CallState::Active, started: NOON - 214, answered: Some(NOON - 207), ..call(direction) }
}

/// A comparison of keys in that call.
pub(crate) fn verification(state: VerifyState) -> Verification {
    let there = !matches!(state, VerifyState::Exchanging | VerifyState::Failed);
    let words = if there { ["anchor", "garden", "velvet"].map(Into::into).to_vec() } else { Vec::new() };
    Verification { call: 1, state, words, digits: if there { "4821071234".into() } else { String::new() } }
}

/// Figures of a decent call.
pub(crate) fn stats() -> CallStats {
    CallStats {
        call: 1,
        rtt_us: Some(23_400),
        jitter_us: 4_100,
        buffer_us: 40_000,
        sent: 10_350,
        received: 10_309,
        lost: 41,
        late: 3,
        recovered: 30,
        concealed: 11,
        loss_permille: 4,
        tx_bitrate: 29_200,
        rx_bitrate: 31_400,
        mouth_to_ear_us: Some(74_000),
        epoch: 1,
        ..CallStats::default()
    }
}

/// A call of the past with `name`.
pub(crate) fn past(name: Option<&str>, peer: &str, direction: Direction, before: u64, talked: Option<u32>) -> PastCall {
    let ended = match (talked, direction) {
        (Some(_), _) => EndReason::PeerHungUp,
        (None, _) => EndReason::NoAnswer,
    };
    PastCall { peer: peer.into(), name: name.map(Into::into), direction, started: NOON - before, talked, ended }
}

fn network() -> Network {
    Network {
        listen: "[::]:5004".into(),
        observed: Some("203.0.113.9:41822".into()),
        nodes: 41,
        good: 38,
        online: true,
        buckets: vec![(0, 20), (1, 11), (2, 6), (3, 3), (4, 1)],
        lookups: 112,
        lookups_found: 110,
        lookup_ms: Some(180),
        drops: vec![("bad-auth".into(), 0), ("rate-limited".into(), 14), ("replay".into(), 0)],
        role: Role::Peer,
        observed_v4: Some("203.0.113.9:41822".into()),
        observed_v6: Some("[2001:db8:7::9]:5004".into()),
        nat_v4: Nat::Cone,
        nat_v6: Nat::Open,
        size: 1_384,
        waiting: 7,
        searching: 1,
        recent_ms: vec![160, 180, 410, 175, 190, 180],
        requests: 2_210,
        punched: 3,
        peers: peers(),
        bootstrap: 2,
        handshakes_answered: 7,
    }
}

/// The closest nodes, the last of them far away and silent.
fn peers() -> Vec<Peer> {
    let peer = |id: &str, address: &str, bucket, rtt_us, age, proven| Peer {
        id: id.into(),
        address: address.into(),
        bucket,
        rtt_us,
        age,
        proven,
        good: age < 900,
    };
    vec![
        peer(ALICE, "198.51.100.7:5004", 4, Some(23_400), 12, true),
        peer(BOB, "[2001:db8:1:2::17]:5004", 3, Some(8_120), 130, true),
        peer(CAROL, "192.0.2.201:49152", 0, None, 7_300, false),
    ]
}

fn audio() -> Audio {
    Audio {
        backend: "alsa".into(),
        capture: "plughw:USB".into(),
        playback: "default".into(),
        muted: false,
        deafened: false,
        trouble: None,
    }
}

/// A daemon that was just installed.
pub(crate) fn empty() -> Snapshot {
    Snapshot {
        version: "0.1.0".into(),
        identity: Identity {
            id: OWN.into(),
            hex: "00C5F8041917C38D0A5C2D8F8C7A6D6F1967639D".into(),
            fingerprint: "9C1D 70A4 22EB 5F08 CC41 0E6B 3DA7 8812".into(),
            invite: format!("dvs:{OWN}?k=nq65avzmhkxq3o5ajq4w2ycgmy&a=203.0.113.9:41822"),
            algorithm: "EC P-256".into(),
        },
        network: network(),
        audio: audio(),
        contacts: Vec::new(),
        calls: Vec::new(),
        history: Vec::new(),
        clients: vec![ClientInfo { client: 7, uid: 1000, name: "pts/1".into() }],
        you: 7,
        contacts_total: 0,
        policy: Policy::default(),
        verification: None,
    }
}

/// A daemon in daily use.
pub(crate) fn snapshot() -> Snapshot {
    Snapshot {
        contacts: vec![
            contact("Alice", ALICE, Trust::Verified, Some(30)),
            contact("Bob", BOB, Trust::Seen, Some(3 * 3_600)),
            contact("Carol", CAROL, Trust::Unknown, None),
            contact("Dave", DAVE, Trust::Changed, Some(12 * 86_400)),
        ],
        history: vec![
            past(Some("Bob"), BOB, Direction::Incoming, 4 * 3_600, Some(151)),
            past(Some("Carol"), CAROL, Direction::Incoming, 5 * 3_600, None),
            past(Some("Carol"), CAROL, Direction::Incoming, 6 * 3_600, None),
            past(Some("Alice"), ALICE, Direction::Outgoing, 25 * 3_600, Some(483)),
            past(None, STRANGER, Direction::Incoming, 50 * 3_600, None),
        ],
        ..empty()
    }
}
