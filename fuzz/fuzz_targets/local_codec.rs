// SPDX-License-Identifier: GPL-3.0-or-later
//! What a local client may write into its pipe: the hello, then frames in pieces of any size. Whatever decodes is the
//! same after another round trip, which never makes it longer.
#![no_main]

use dvs_proto::codec::{decode_answer, decode_request, encode};
use dvs_proto::framing::{FrameReader, PREFIX_LEN};
use dvs_proto::hello::{Hello, ServerHello};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((piece, stream)) = input.split_first() else { return };
    let mut reader = FrameReader::new();
    for bytes in stream.chunks(usize::from(*piece).max(1)) {
        if reader.push(bytes).is_err() {
            return;
        }
        while let Ok(Some(payload)) = reader.pull() {
            check(payload);
        }
    }
});

fn check(payload: &[u8]) {
    let _ = (Hello::parse(payload), ServerHello::parse(payload));
    if let Ok(request) = decode_request(payload) {
        let _ = request.request.check();
        assert_eq!(decode_request(&again(&request, payload)).ok(), Some(request));
    }
    if let Ok(answer) = decode_answer(payload) {
        assert_eq!(decode_answer(&again(&answer, payload)).ok(), Some(answer));
    }
}

/// The payload that `message`, which came out of `payload`, is written as.
fn again(message: &impl serde::Serialize, payload: &[u8]) -> Vec<u8> {
    let frame = encode(message).expect("it came out of a frame");
    assert!(frame.len() <= PREFIX_LEN + payload.len(), "a message grew");
    frame[PREFIX_LEN..].to_vec()
}
