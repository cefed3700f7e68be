// SPDX-License-Identifier: GPL-3.0-or-later
//! Golden encodings, round trips, and what a hostile end may send.

use proptest::prelude::*;

use super::*;
use crate::message::*;

fn request(id: u32, request: Request) -> Vec<u8> {
    encode(&ToServer { id, request }).unwrap()
}

fn payload(framed: &[u8]) -> &[u8] {
    &framed[PREFIX_LEN..]
}

fn call() -> CallInfo {
    CallInfo {
        call: 3,
        peer: "dvs1q".into(),
        name: Some("Bob".into()),
        trust: Trust::Seen,
        direction: Direction::Incoming,
        state: CallState::Alerting,
        started: 1_700_000_000,
        answered: None,
        answered_by: None,
        route: None,
        ended: None,
        lookup_us: None,
        ring_us: Some(300),
        held_here: false,
        held_there: true,
        attempt: 2,
        tries: 20,
        can_wait: true,
        until: Some(1_700_000_030),
        unstable: false,
    }
}

fn lookup() -> Lookup {
    let found = vec![Sighting { address: "a:1".into(), rtt_us: 200 }];
    Lookup { peer: "dvs1q".into(), name: None, found, took_us: 300, missing: Some(EndReason::NeedsRelay) }
}

fn verification() -> Verification {
    let words = ["a", "b", "c"].map(str::to_owned).to_vec();
    Verification { call: 3, state: VerifyState::Compare, words, digits: "12".into() }
}

/// The position of each variant is its number on the wire: none may ever move.
#[test]
fn requests_are_numbered_in_this_order() {
    let requests = [
        Request::Attach { name: String::new() },
        Request::Snapshot,
        Request::Resolve { text: String::new() },
        Request::dial(""),
        Request::Answer { call: None },
        Request::Decline { call: None },
        Request::Hangup { call: None },
        Request::Mute { on: None },
        Request::Deafen { on: None },
        Request::Hold { call: None, on: None },
        Request::ContactAdd { name: String::new(), target: String::new() },
        Request::ContactRename { contact: String::new(), name: String::new() },
        Request::ContactRemove { contact: String::new() },
        Request::ContactBlock { contact: String::new(), on: true },
        Request::History { limit: 0 },
        Request::Levels { on: true },
        Request::Stats { call: None },
        Request::Contacts { skip: 0 },
        Request::Network,
        Request::Lookup { target: String::new() },
        Request::Invite { local: true },
        Request::Wait { call: None, on: true },
        Request::Switch { call: None },
        Request::DoNotDisturb { on: None },
        Request::UnknownCallers { policy: UnknownCallers::Ring },
        Request::ContactAutoAnswer { contact: String::new(), on: true },
        Request::ContactVerify { contact: String::new(), fingerprint: String::new() },
        Request::VerifyStart { call: None },
        Request::VerifyDone { call: None, matches: true },
    ];
    for (number, kind) in requests.into_iter().enumerate() {
        assert_eq!(usize::from(payload(&request(0, kind.clone()))[1]), number, "{kind:?}");
    }
}

#[test]
fn events_are_numbered_in_this_order() {
    let client = ClientInfo { client: 1, uid: 0, name: String::new() };
    let history = PastCall {
        peer: String::new(),
        name: None,
        direction: Direction::Outgoing,
        started: 0,
        talked: None,
        ended: EndReason::Busy,
    };
    let contact = Contact {
        id: String::new(),
        name: String::new(),
        trust: Trust::Seen,
        fingerprint: None,
        last_seen: None,
        at: Vec::new(),
        via: Vec::new(),
        last_address: None,
        auto_answer: false,
        presence: Presence::Unknown,
    };
    let events = [
        Event::Call(call()),
        Event::Network(Box::default()),
        Event::Audio(Audio::default()),
        Event::Contact(contact),
        Event::ContactRemoved { id: String::new() },
        Event::History(history),
        Event::ClientAttached(client.clone()),
        Event::ClientGone(client.clone()),
        Event::Acted { client, action: String::new(), call: None },
        Event::Activity { at: 0, text: String::new() },
        Event::Levels(Levels::default()),
        Event::Stats(Box::default()),
        Event::Lookup(lookup()),
        Event::Policy(Policy::default()),
        Event::Verification(verification()),
        Event::Presence { id: String::new(), presence: Presence::Offline },
    ];
    for (number, event) in events.into_iter().enumerate() {
        let bytes = encode(&ToClient::Event(event.clone())).unwrap();
        assert_eq!(payload(&bytes)[0], 1);
        assert_eq!(usize::from(payload(&bytes)[1]), number, "{event:?}");
    }
}

#[test]
fn requests_are_these_bytes() {
    assert_eq!(request(7, Request::dial("Bob")), [8, 0, 0, 0, 7, 3, 3, b'B', b'o', b'b', 0, 0]);
    let patient = Request::Dial { target: "Bob".into(), tries: Some(5), wait: true };
    assert_eq!(request(7, patient), [9, 0, 0, 0, 7, 3, 3, b'B', b'o', b'b', 1, 5, 1]);
    assert_eq!(request(1, Request::Wait { call: Some(2), on: false }), [5, 0, 0, 0, 1, 21, 1, 2, 0]);
    assert_eq!(request(1, Request::Switch { call: None }), [3, 0, 0, 0, 1, 22, 0]);
    assert_eq!(request(1, Request::DoNotDisturb { on: Some(true) }), [4, 0, 0, 0, 1, 23, 1, 1]);
    assert_eq!(request(1, Request::UnknownCallers { policy: UnknownCallers::Reject }), [3, 0, 0, 0, 1, 24, 2]);
    let verify = Request::ContactVerify { contact: "B".into(), fingerprint: "F".into() };
    assert_eq!(request(1, verify), [6, 0, 0, 0, 1, 26, 1, b'B', 1, b'F']);
    assert_eq!(request(1, Request::VerifyDone { call: None, matches: true }), [4, 0, 0, 0, 1, 28, 0, 1]);
    assert_eq!(request(300, Request::Snapshot), [4, 0, 0, 0, 251, 0x2c, 1, 1]);
    assert_eq!(request(1, Request::Hold { call: Some(2), on: Some(true) }), [6, 0, 0, 0, 1, 9, 1, 2, 1, 1]);
    assert_eq!(request(1, Request::Mute { on: None }), [3, 0, 0, 0, 1, 7, 0]);
}

#[test]
fn answers_are_these_bytes() {
    let done = ToClient::Reply { id: 5, outcome: Ok(Reply::Done) };
    assert_eq!(encode(&done).unwrap(), [4, 0, 0, 0, 0, 5, 0, 0]);
    let refused = ToClient::Reply { id: 5, outcome: Err(Failure::new(FailureKind::Permission, "no")) };
    assert_eq!(encode(&refused).unwrap(), [7, 0, 0, 0, 0, 5, 1, 3, 2, b'n', b'o']);
}

#[test]
fn a_call_event_is_these_bytes() {
    let bytes = encode(&ToClient::Event(Event::Call(call()))).unwrap();
    let golden = [
        &[43, 0, 0, 0, 1, 0, 3, 5][..],
        b"dvs1q",
        &[1, 3],
        b"Bob",
        // trust, direction, state, then the start as a varint of four bytes
        &[1, 1, 4, 252, 0x00, 0xf1, 0x53, 0x65],
        &[0, 0, 0, 0, 0, 1, 251, 0x2c, 1],
        // held here and there, try 2 of 20, room in the queue, the next try, unstable
        &[0, 1, 2, 20, 1, 1, 252, 0x1e, 0xf1, 0x53, 0x65, 0],
    ]
    .concat();
    assert_eq!(bytes, golden);
    assert_eq!(decode_answer(payload(&bytes)).unwrap(), ToClient::Event(Event::Call(call())));
}

#[test]
fn a_lookup_event_is_these_bytes() {
    let bytes = encode(&ToClient::Event(Event::Lookup(lookup()))).unwrap();
    let golden = [&[20, 0, 0, 0, 1, 12, 5][..], b"dvs1q", &[0, 1, 3], b"a:1", &[200, 251, 0x2c, 1, 1, 22]].concat();
    assert_eq!(bytes, golden);
}

#[test]
fn what_is_new_in_events_is_these_bytes() {
    let bytes = |event| encode(&ToClient::Event(event)).unwrap()[PREFIX_LEN..].to_vec();
    let policy = Policy { do_not_disturb: true, unknown_callers: UnknownCallers::Silent };
    assert_eq!(bytes(Event::Policy(policy)), [1, 13, 1, 1]);
    let golden = [&[1, 14, 3, 1, 3, 1][..], b"a", &[1], b"b", &[1], b"c", &[2], b"12"].concat();
    assert_eq!(bytes(Event::Verification(verification())), golden);
    let online = Event::Presence { id: "p".into(), presence: Presence::Online { rtt_us: 300 } };
    assert_eq!(bytes(online), [1, 15, 1, b'p', 1, 251, 0x2c, 1]);
    let reply = ToClient::Reply { id: 5, outcome: Ok(Reply::Policy(Policy::default())) };
    assert_eq!(payload(&encode(&reply).unwrap()), [0, 5, 0, 11, 0, 1]);
}

#[test]
fn the_state_of_the_overlay_is_these_bytes() {
    let peer =
        Peer { id: "p".into(), address: "q".into(), bucket: 3, rtt_us: Some(250), age: 9, proven: true, good: false };
    let network = Network {
        listen: "l".into(),
        observed_v4: Some("4".into()),
        nat_v4: Nat::Symmetric,
        role: Role::Seed,
        buckets: vec![(1, 2)],
        drops: vec![("d".into(), 5)],
        size: 300,
        recent_ms: vec![7, 8],
        peers: vec![peer],
        bootstrap: 2,
        handshakes_answered: 6,
        ..Network::default()
    };
    let bytes = encode(&ToClient::Reply { id: 5, outcome: Ok(Reply::Network(Box::new(network))) }).unwrap();
    let golden = [
        // reply 5, Ok, Network; listen, observed, nodes, good, online, buckets
        &[0, 5, 0, 9, 1, b'l', 0, 0, 0, 0, 1, 1, 2][..],
        // lookups, found, median, drops
        &[0, 0, 0, 1, 1, b'd', 5],
        // role, observed addresses, NAT, size, waiting, searching, recent
        &[1, 1, 1, b'4', 0, 3, 0, 251, 0x2c, 1, 0, 0, 2, 7, 8],
        // requests, punched, peers, bootstrap nodes, handshakes answered
        &[0, 0, 1, 1, b'p', 1, b'q', 3, 1, 250, 9, 1, 0, 2, 6],
    ];
    assert_eq!(payload(&bytes), golden.concat());
}

#[test]
fn bytes_behind_a_message_are_an_error() {
    let mut bytes = request(1, Request::Snapshot);
    bytes.push(0);
    assert!(matches!(decode_request(payload(&bytes)), Err(CodecError::Trailing(1))));
}

#[test]
fn a_cut_message_is_an_error() {
    let bytes = request(1, Request::dial("somebody"));
    for len in 0..payload(&bytes).len() {
        assert!(decode_request(&payload(&bytes)[..len]).is_err(), "{len}");
    }
}

/// Each announces a string or list of up to 2^64-1 entries in a frame of thirty bytes.
#[test]
fn a_hostile_length_allocates_nothing() {
    for length in [[253, 255, 255, 255, 255, 255, 255, 255, 255], [253, 0, 0, 0, 0, 0, 0, 0, 128]] {
        let mut string = vec![1, 3];
        string.extend_from_slice(&length);
        string.resize(30, b'x');
        assert!(matches!(decode_request(&string), Err(CodecError::Malformed(_))));
        // Reply 1, Ok, History, and the announced entries.
        let mut list = vec![0, 1, 0, 6];
        list.extend_from_slice(&length);
        list.resize(30, 0);
        assert!(matches!(decode_answer(&list), Err(CodecError::Malformed(_))));
    }
}

#[test]
fn unknown_variants_are_an_error() {
    assert!(matches!(decode_request(&[1, 250]), Err(CodecError::Malformed(_))));
    assert!(matches!(decode_answer(&[2]), Err(CodecError::Malformed(_))));
}

/// Short fields count for more in memory than on the wire; a full frame of them must pass all the same.
#[test]
fn any_answer_that_fits_into_a_frame_can_be_decoded() {
    let past = PastCall {
        peer: "p".into(),
        name: Some(String::new()),
        direction: Direction::Outgoing,
        started: 9,
        talked: Some(1),
        ended: EndReason::HungUp,
    };
    let full = |count| ToClient::Reply { id: 1, outcome: Ok(Reply::History(vec![past.clone(); count])) };
    let size = encode(&full(2)).unwrap().len() - encode(&full(1)).unwrap().len();
    let most = full((MAX_FRAME - 16) / size);
    let bytes = encode(&most).unwrap();
    assert!(bytes.len() > MAX_FRAME - 64);
    assert_eq!(decode_answer(payload(&bytes)).unwrap(), most);
    let drops = Box::new(Network { drops: vec![(String::new(), 0); 30_000], ..Network::default() });
    let bytes = encode(&ToClient::Event(Event::Network(drops.clone()))).unwrap();
    assert_eq!(decode_answer(payload(&bytes)).unwrap(), ToClient::Event(Event::Network(drops)));
}

#[test]
fn a_message_longer_than_a_frame_is_not_encoded() {
    let target = "x".repeat(MAX_FRAME);
    let error = encode(&ToServer { id: 0, request: Request::dial(target) }).unwrap_err();
    assert!(matches!(error, CodecError::Frame(FrameError::TooLong(_))), "{error}");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_request(&bytes);
        let _ = decode_answer(&bytes);
    }

    #[test]
    fn requests_survive_the_way(id: u32, name in ".{0,80}", call: Option<u32>, on: Option<bool>) {
        for request in [
            Request::ContactAdd { name: name.clone(), target: name.clone() },
            Request::Hold { call, on },
            Request::Attach { name: name.clone() },
        ] {
            let message = ToServer { id, request };
            let bytes = encode(&message).unwrap();
            prop_assert_eq!(decode_request(payload(&bytes)).unwrap(), message);
        }
    }

    #[test]
    fn a_damaged_message_is_refused_or_another_message(
        flipped in 0_usize..30, mask in 1_u8.., name in "[a-z]{20,40}",
    ) {
        let message = ToServer { id: 9, request: Request::ContactAdd { name: name.clone(), target: name } };
        let bytes = encode(&message).unwrap();
        let mut damaged = payload(&bytes).to_vec();
        damaged[flipped] ^= mask;
        if let Ok(other) = decode_request(&damaged) {
            prop_assert_ne!(other, message);
        }
    }
}
