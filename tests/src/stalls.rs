// SPDX-License-Identifier: GPL-3.0-or-later
//! Notices when the machine itself stands still. A virtual machine may be taken off its processors for many
//! milliseconds; what happens to a sound card then is nobody's fault, and a test must not blame the daemon.

use core::mem::zeroed;
use core::ops::Range;
use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Result, anyhow};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};

/// The watchers sleep for so long.
const NAP: Duration = Duration::from_millis(1);
/// Who wakes up this much too late has seen a stall.
const LATE: Duration = Duration::from_micros(1_500);
/// What goes wrong so long before and after a stall is because of it: somebody was about to work, or has to catch up.
const WAKE: Duration = Duration::from_millis(25);
/// Above everything that is watched.
const PRIORITY: i32 = 50;

/// One watcher on each processor.
#[derive(Debug)]
pub struct Watch {
    stop: Arc<AtomicBool>,
    watchers: Vec<JoinHandle<Result<Vec<Range<Duration>>>>>,
}

/// The times at which a processor stood still, on `CLOCK_MONOTONIC`.
#[derive(Clone, Debug, Default)]
pub struct Stalls(Vec<Range<Duration>>);

impl Watch {
    /// Watches from now on.
    pub fn start() -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut watchers = Vec::new();
        for processor in 0..std::thread::available_parallelism()?.get() {
            let stop = Arc::clone(&stop);
            watchers.push(std::thread::Builder::new().name("watcher".to_owned()).spawn(move || {
                settle(processor);
                watch(&stop)
            })?);
        }
        Ok(Self { stop, watchers })
    }

    /// Ends watching and tells what was seen.
    pub fn finish(self) -> Result<Stalls> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for watcher in self.watchers {
            all.extend(watcher.join().map_err(|_| anyhow!("a watcher panicked"))??);
        }
        Ok(Stalls(all))
    }
}

impl Stalls {
    /// Whether the machine may be blamed for something that happened at `moment`.
    pub fn excuse(&self, moment: Duration) -> bool {
        self.0.iter().any(|stall| stall.start.saturating_sub(WAKE) < moment && moment < stall.end + WAKE)
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// Stays on `processor` and goes before everybody else. Both may be refused; then more is taken for a stall.
fn settle(processor: usize) {
    // SAFETY: plain system calls on the calling thread, with valid parameter blocks.
    unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        libc::CPU_SET(processor, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set);
        let parameters = libc::sched_param { sched_priority: PRIORITY };
        libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters);
    }
}

fn watch(stop: &AtomicBool) -> Result<Vec<Range<Duration>>> {
    let mut stalls = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let due = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?) + NAP;
        clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::TIMER_ABSTIME, &TimeSpec::from(due))?;
        let awake = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
        if awake > due + LATE {
            stalls.push(due - NAP..awake);
        }
    }
    Ok(stalls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_happens_around_a_stall_is_excused() {
        let ms = Duration::from_millis;
        let stalls = Stalls(vec![ms(1_000)..ms(1_010)]);
        for (moment, excused) in [(900, false), (980, true), (1_005, true), (1_030, true), (1_050, false)] {
            assert_eq!(stalls.excuse(ms(moment)), excused, "{moment}");
        }
    }

    #[test]
    fn watching_ends_when_asked() {
        let watch = Watch::start().unwrap();
        std::thread::sleep(Duration::from_millis(20));
        assert!(watch.finish().unwrap().count() < 20);
    }
}
