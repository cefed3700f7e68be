// SPDX-License-Identifier: GPL-3.0-or-later
//! The file of saved nodes, as it is and with the checksum put right: whatever is read is written again as it was.
#![no_main]

use dvsd::wire::saved::{emit, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    check(input);
    let head = input.len().saturating_sub(4);
    let mut mended = input[..head].to_vec();
    mended.extend(crc32(&input[..head]).to_be_bytes());
    check(&mended);
});

fn check(file: &[u8]) {
    if let Ok(nodes) = parse(file) {
        assert_eq!(emit(&nodes), file);
    }
}

/// CRC-32 as in Ethernet.
fn crc32(bytes: &[u8]) -> u32 {
    let step =
        |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)));
    !bytes.iter().fold(u32::MAX, step)
}
