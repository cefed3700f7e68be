// SPDX-License-Identifier: GPL-3.0-or-later
//! Frames as bytes, both ways.

use super::*;

fn samples() -> Vec<(Frame, &'static [u8])> {
    let call_id = 0x0102_0304;
    vec![
        (Frame::CallInitiate { call_id, attempt: 1, max_tries: 3 }, &[1, 2, 3, 4, 1, 3, 0]),
        (Frame::CallInitiateReply { call_id, ok: false, reason: Reason::Declined }, &[1, 2, 3, 4, 0, 1]),
        (Frame::CallAnswer { call_id }, &[1, 2, 3, 4]),
        (Frame::CallBusy { call_id, can_wait: true, ttw: 30 }, &[1, 2, 3, 4, 1, 0, 30]),
        (Frame::CallWaiting { call_id, want: true }, &[1, 2, 3, 4, 1]),
        (Frame::CallWaitingReply { call_id, ok: true, ttw: 120 }, &[1, 2, 3, 4, 1, 0, 120]),
        (Frame::CallTerminate { call_id, reason: Reason::Normal }, &[1, 2, 3, 4, 0]),
        (Frame::CallTerminateReply { call_id, ok: true }, &[1, 2, 3, 4, 1]),
        (Frame::CallHold { call_id, on: true }, &[1, 2, 3, 4, 1]),
        (Frame::MediaParams { frame_ticks: 8, max_kbps: 64, mode: 0, fec: true }, &[8, 0, 64, 0, 1]),
        (Frame::RekeyReq { epoch: 2 }, &[0, 0, 0, 2]),
        (Frame::PathOffer { addresses: vec!["198.18.0.1:5004".parse().unwrap()] }, &[1, 4, 0x13, 0x8c, 198, 18, 0, 1]),
        (Frame::VerifyNonce { nonce: [7; 16] }, &[7; 16]),
        (Frame::Close { reason: Reason::GoingAway }, &[11]),
        (
            Frame::HeartBeat { id: 1, t_ms: 2, media_sent: 3, media_seq: 4 },
            &[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4],
        ),
        (Frame::HeartBeatReply { id: 1, t_ms: 2, hold_ms: 3 }, &[0, 0, 0, 1, 0, 0, 0, 2, 0, 3]),
        (Frame::PathChallenge { data: [9; 8] }, &[9; 8]),
        (
            Frame::MediaReport(MediaReport {
                highest_tick: 80,
                received: 10,
                lost_permille: 50,
                jitter_ms: 4,
                queue_ms: 1,
                trend: -2,
                rx_rate: 320,
            }),
            &[0, 0, 0, 80, 0, 0, 0, 10, 0, 50, 0, 4, 0, 1, 0xff, 0xfe, 1, 64, 0, 0],
        ),
        (Frame::Pad { length: 3 }, &[0, 0, 0]),
    ]
}

#[test]
fn every_frame_has_its_fixed_bytes_both_ways() {
    for (frame, bytes) in samples() {
        let mut body = Vec::new();
        frame.emit_body(&mut body);
        assert_eq!(body, bytes, "{frame:?}");
        assert_eq!(Frame::parse(frame.kind(), bytes), Ok(Some(frame)));
    }
}

#[test]
fn a_body_longer_or_shorter_than_its_layout_is_refused() {
    for (frame, bytes) in samples() {
        if matches!(frame, Frame::Pad { .. }) {
            continue;
        }
        let short = &bytes[..bytes.len() - 1];
        assert!(Frame::parse(frame.kind(), short).is_err(), "{frame:?}");
        let mut long = bytes.to_vec();
        long.push(0);
        assert!(Frame::parse(frame.kind(), &long).is_err(), "{frame:?}");
    }
}

#[test]
fn unknown_types_are_left_to_a_later_version() {
    assert_eq!(Frame::parse(0x2f, b"anything"), Ok(None));
    assert_eq!(Frame::parse(0xf0, b"anything"), Ok(None));
    assert_eq!(Frame::parse(0x00, b""), Err(Malformed::Kind));
}

#[test]
fn capabilities_of_a_later_version_are_skipped() {
    let parsed = Frame::parse(frame::CALL_ANSWER, &[0, 0, 0, 9, 0x55, 2, 1, 2]);
    assert_eq!(parsed, Ok(Some(Frame::CallAnswer { call_id: 9 })));
    assert!(Frame::parse(frame::CALL_ANSWER, &[0, 0, 0, 9, 0x55, 3, 1, 2]).is_err());
}

#[test]
fn reasons_survive_the_wire() {
    for byte in 0..=12 {
        assert_eq!(Reason::from_wire(byte) as u8, byte);
    }
    assert_eq!(Reason::from_wire(200), Reason::Normal);
}
