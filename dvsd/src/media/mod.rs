// SPDX-License-Identifier: GPL-3.0-or-later
//! Codec and playout: what happens to sound between the sound card and the session.
//!
//! Everything here is computation on buffers that are allocated once; the audio thread calls it without ever
//! waiting or allocating. Time and packets are arguments.

pub mod codec;
pub mod jitter;
pub mod level;
pub mod packet;
pub mod stretch;

/// Samples per second everywhere in DVS; one channel.
pub const SAMPLE_RATE: u32 = 48_000;
/// Samples in a tick of 2.5 ms, the unit of media sequence numbers.
pub const TICK_SAMPLES: usize = 120;
/// Microseconds in a tick.
pub const TICK_MICROS: u64 = 2_500;
/// The longest frame, in ticks (60 ms).
pub const MAX_FRAME_TICKS: u8 = 24;
/// The longest frame, in samples.
pub const MAX_FRAME_SAMPLES: usize = MAX_FRAME_TICKS as usize * TICK_SAMPLES;
/// The most bytes of Opus in one packet (RFC 6716, section 3.4: a frame of code 0 has at most 1275).
pub const MAX_PACKET: usize = 1276;
