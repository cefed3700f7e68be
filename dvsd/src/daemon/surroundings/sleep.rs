// SPDX-License-Identifier: GPL-3.0-or-later
//! Noticing that the machine was suspended, without a single needless wake-up.
//!
//! A timer that never goes off is cancelled by the kernel whenever the wall clock jumps, which it does on waking up.
//! Of all the other reasons to set a clock, sleep is told apart by `CLOCK_BOOTTIME`: it alone goes on meanwhile.

use std::io;
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::clock;
use crate::readable::Readable;

/// A date that never comes, in seconds since 1970.
const NEVER: i64 = 9_000_000_000;
/// Sleep shorter than this is nobody's concern.
const NOTICED: Duration = Duration::from_secs(1);

/// Watches the clocks.
#[derive(Debug)]
pub(super) struct Sleep {
    timer: Readable<TimerFd>,
    slept: Slept,
}

impl Sleep {
    /// Begins to watch.
    pub(super) fn new() -> io::Result<Self> {
        let timer = TimerFd::new(ClockId::CLOCK_REALTIME, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        arm(&timer)?;
        Ok(Self { timer: Readable::new(timer)?, slept: Slept(clock::suspended()) })
    }

    /// Waits until the wall clock jumps.
    pub(super) async fn ready(&self) -> io::Result<()> {
        self.timer.ready().await
    }

    /// Whether the machine has slept since the last time.
    pub(super) fn has_slept(&mut self) -> bool {
        while self.timer.try_read(|timer| Ok(timer.wait()?)).is_ok() {}
        if let Err(error) = arm(self.timer.get()) {
            tracing::debug!(%error, "suspension is no longer noticed");
        }
        self.slept.more(clock::suspended())
    }
}

fn arm(timer: &TimerFd) -> io::Result<()> {
    let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
    Ok(timer.set(Expiration::OneShot(TimeSpec::new(NEVER, 0)), flags)?)
}

/// How long the machine has slept in all, as last seen.
#[derive(Debug)]
struct Slept(Duration);

impl Slept {
    /// Whether it has slept noticeably longer now.
    fn more(&mut self, total: Duration) -> bool {
        let before = std::mem::replace(&mut self.0, total);
        total.saturating_sub(before) >= NOTICED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_is_noticed_once_and_a_clock_that_was_set_is_not() {
        let mut slept = Slept(Duration::from_secs(100));
        assert!(!slept.more(Duration::from_secs(100)), "somebody set the clock");
        assert!(!slept.more(Duration::from_millis(100_004)), "the clocks are not read at the same moment");
        assert!(slept.more(Duration::from_secs(160)));
        assert!(!slept.more(Duration::from_secs(160)));
    }

    #[tokio::test]
    async fn nothing_wakes_us_while_nobody_sleeps() {
        let mut sleep = Sleep::new().unwrap();
        assert!(!sleep.has_slept());
        assert!(tokio::time::timeout(Duration::from_millis(50), sleep.ready()).await.is_err());
    }
}
