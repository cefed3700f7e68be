// SPDX-License-Identifier: GPL-3.0-or-later
//! Decrypted media of a hostile peer, through packet check, playout and libopus. The input is a row of packets, each
//! `step of the sequence number (i8), milliseconds since the last one (u8), length (u16), payload`.
#![no_main]

use dvsd::media::codec::OpusDecoder;
use dvsd::media::jitter::{MAX_CHUNK, Playout};
use libfuzzer_sys::fuzz_target;

/// More packets than this say nothing new and cost time.
const MAX_PACKETS: usize = 400;

fuzz_target!(|input: &[u8]| {
    let mut playout = Playout::new(Box::new(OpusDecoder::new().expect("libopus makes a decoder")));
    let (mut rest, mut seq, mut arrived_us, mut played_us) = (input, 1_000_u32, 1_000_000_u64, 1_000_000_u64);
    for _ in 0..MAX_PACKETS {
        let [step, ms, high, low, tail @ ..] = rest else { return };
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len());
        let (payload, after) = tail.split_at(length);
        rest = after;
        // Whole frames of 20 ms mostly, single ticks for the odd values.
        let step = i32::from(step.cast_signed());
        seq = seq.wrapping_add_signed(if step % 2 == 0 { step * 4 } else { step });
        arrived_us += u64::from(*ms) * 1_000;
        playout.insert(seq, payload, arrived_us);
        while played_us < arrived_us {
            let mut out = [0; MAX_CHUNK];
            let samples = playout.pull(&mut out, played_us);
            assert!((1..=MAX_CHUNK).contains(&samples));
            played_us += (samples as u64 * 1_000_000).div_ceil(48_000);
        }
        let stats = playout.stats();
        assert!(stats.loss_permille <= 1_000, "{stats:?}");
    }
});
