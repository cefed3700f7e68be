// SPDX-License-Identifier: GPL-3.0-or-later
//! The one place where the daemon asks what time it is.

use std::time::Duration;

use dvsd::time::{Instant, Now};
use nix::time::{ClockId, clock_gettime};

/// Both clocks, now. The monotonic one is `CLOCK_BOOTTIME`, which goes on while the machine is suspended.
pub(crate) fn now() -> Now {
    Now {
        mono: Instant::from_micros(micros(ClockId::CLOCK_BOOTTIME)),
        unix: micros(ClockId::CLOCK_REALTIME) / 1_000_000,
    }
}

/// How long the machine has been suspended since it was started.
pub(crate) fn suspended() -> Duration {
    let awake = micros(ClockId::CLOCK_MONOTONIC);
    Duration::from_micros(micros(ClockId::CLOCK_BOOTTIME).saturating_sub(awake))
}

/// A clock's reading in microseconds. Reading these clocks cannot fail on Linux; 0 stands for the impossible.
fn micros(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |time| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
        let nanos = u64::try_from(time.tv_nsec()).unwrap_or(0);
        seconds.saturating_mul(1_000_000) + nanos / 1_000
    })
}
