// SPDX-License-Identifier: GPL-3.0-or-later
//! The bytes of every routing message, both ways.

use proptest::prelude::*;

use super::*;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn packet(flags: u8, caps: u8, message: Message) -> Packet {
    Packet { flags, caps, txid: 0x0102_0304_0506_0708, message }
}

fn header(kind: u8, flags: u8, caps: u8) -> Vec<u8> {
    vec![kind, 1, flags, caps, 1, 2, 3, 4, 5, 6, 7, 8]
}

fn samples() -> Vec<(Packet, Vec<u8>)> {
    let (a, b, token) = (NodeId([0xaa; 20]), NodeId([0xbb; 20]), Token([9; 8]));
    let v4 = address("198.18.0.1:5004");
    let v6 = address("[2001:db8::1]:5005");
    let v4_bytes = [4, 0x13, 0x8c, 198, 18, 0, 1];
    let v6_bytes = [6, 0x13, 0x8d, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let entries = vec![Entry { caps: 8, id: a, address: v4 }, Entry { caps: 0, id: b, address: v6 }];
    vec![
        (
            packet(6, 0, Message::RouteReq { origin: a, target: b, token, padding: 2 }),
            [header(0x10, 6, 0), a.0.to_vec(), b.0.to_vec(), vec![9; 8], vec![0, 0]].concat(),
        ),
        (
            packet(0x18, 8, Message::RouteRes { responder: b, target: a, token, observed: v4, entries }),
            [
                header(0x11, 0x18, 8),
                b.0.to_vec(),
                a.0.to_vec(),
                vec![9; 8],
                v4_bytes.to_vec(),
                vec![2, 8 << 3 | 4],
                a.0.to_vec(),
                v4_bytes[1..].to_vec(),
                vec![6],
                b.0.to_vec(),
                v6_bytes[1..].to_vec(),
            ]
            .concat(),
        ),
        (
            packet(1, 0, Message::Ping { origin: a, token: Token::NONE }),
            [header(0x12, 1, 0), a.0.to_vec(), vec![0; 8]].concat(),
        ),
        (
            packet(0, 0, Message::Pong { responder: a, token, observed: v6 }),
            [header(0x13, 0, 0), a.0.to_vec(), vec![9; 8], v6_bytes.to_vec()].concat(),
        ),
        (
            packet(0, 0, Message::ProofReq { origin: a, token, challenge: [7; 16] }),
            [header(0x14, 0, 0), a.0.to_vec(), vec![9; 8], vec![7; 16]].concat(),
        ),
        (
            packet(
                0,
                8,
                Message::Proof { responder: a, observed: v4, algorithm: 1, spki: vec![1, 2, 3], signature: vec![4, 5] },
            ),
            [header(0x15, 0, 8), a.0.to_vec(), v4_bytes.to_vec(), vec![1, 0, 3, 1, 2, 3, 0, 2, 4, 5]].concat(),
        ),
        (
            packet(0, 0, Message::PunchReq { origin: a, target: b, token }),
            [header(0x1a, 0, 0), a.0.to_vec(), b.0.to_vec(), vec![9; 8]].concat(),
        ),
        (
            packet(0, 0, Message::PunchFwd { caller: a, address: v6 }),
            [header(0x1b, 0, 0), a.0.to_vec(), v6_bytes.to_vec()].concat(),
        ),
        (
            packet(0, 0, Message::PunchAck { status: PunchStatus::NotInTouch, address: v4 }),
            [header(0x1c, 0, 0), vec![1], v4_bytes.to_vec()].concat(),
        ),
        (
            packet(0, 0, Message::LanHello { id: a, port: 5004, nonce: [5; 8] }),
            [header(0x1d, 0, 0), a.0.to_vec(), vec![0x13, 0x8c], vec![5; 8]].concat(),
        ),
    ]
}

#[test]
fn every_message_has_its_fixed_bytes_both_ways() {
    for (packet, bytes) in samples() {
        assert_eq!(packet.emit(), bytes, "{packet}");
        assert_eq!(Packet::parse(&bytes), Ok(packet));
    }
}

#[test]
fn lengths_are_as_specified() {
    let lengths: Vec<usize> = samples().iter().map(|(packet, _)| packet.emit().len()).collect();
    assert_eq!(lengths, [60 + 2, 68 + 27 + 39, 40, 59, 56, 49, 60, 51, 20, 42]);
    assert_eq!((ROUTE_REQ_LEN, PING_LEN, PROOF_REQ_LEN), (60, 40, 56));
    let observed = address("[2001:db8::1]:5005");
    let longest = route_res_len(observed) + MAX_ENTRIES * Entry::wire_len(observed) + PING_LEN;
    assert!(longest <= 3 * PADDED_ROUTE_REQ_LEN, "{longest}");
}

#[test]
fn a_message_longer_or_shorter_than_its_layout_is_refused() {
    for (packet, bytes) in samples() {
        for length in 0..bytes.len() {
            let padded = matches!(packet.message, Message::RouteReq { .. }) && length >= ROUTE_REQ_LEN;
            assert_eq!(Packet::parse(&bytes[..length]).is_err(), !padded, "{packet} cut to {length}");
        }
        let long = [bytes, vec![0]].concat();
        let padded = matches!(packet.message, Message::RouteReq { .. });
        assert_eq!(Packet::parse(&long).is_err(), !padded, "{packet}");
    }
}

#[test]
fn other_versions_and_kinds_without_a_layout_are_refused() {
    let (_, mut ping) = samples().swap_remove(2);
    ping[1] = 2;
    assert_eq!(Packet::parse(&ping), Err(Malformed::Version));
    for kind in [0x16, 0x17, 0x18, 0x19] {
        assert_eq!(Packet::parse(&header(kind, 0, 0)), Err(Malformed::Kind));
    }
}

#[test]
fn a_list_of_more_than_twenty_entries_is_refused() {
    let (_, mut bytes) = samples().swap_remove(1);
    bytes[67] = 21;
    bytes.resize(bytes.len() + 19 * 39, 0);
    assert_eq!(Packet::parse(&bytes), Err(Malformed::Field));
}

proptest! {
    #[test]
    fn what_parses_is_emitted_again_byte_for_byte(mut bytes in proptest::collection::vec(any::<u8>(), 40..400)) {
        bytes[0] = 0x10 + bytes[0] % 0x0e;
        bytes[1] = VERSION;
        if let Ok(packet) = Packet::parse(&bytes) {
            let is_request = matches!(packet.message, Message::RouteReq { .. });
            let kept = if is_request { ROUTE_REQ_LEN } else { bytes.len() };
            prop_assert_eq!(&packet.emit()[..kept], &bytes[..kept]);
        }
    }
}
