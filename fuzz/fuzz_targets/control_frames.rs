// SPDX-License-Identifier: GPL-3.0-or-later
//! The frames of the control stream: whatever parses is written back and parses to the same again.
#![no_main]

use dvsd::wire::control::Frame;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((kind, body)) = input.split_first() else { return };
    let Ok(Some(frame)) = Frame::parse(*kind, body) else { return };
    assert_eq!(frame.kind(), *kind);
    let mut written = Vec::new();
    frame.emit_body(&mut written);
    assert!(written.len() <= body.len(), "{frame:?} grew");
    assert_eq!(Frame::parse(*kind, &written), Ok(Some(frame)));
});
