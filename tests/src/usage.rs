// SPDX-License-Identifier: GPL-3.0-or-later
//! What a process uses: processor time and memory, as the kernel counts them.

use core::time::Duration;
use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};

/// The processor time of every thread of a process, at one moment.
#[derive(Clone, Debug)]
pub struct Reading {
    at: Instant,
    threads: BTreeMap<u32, Thread>,
}

#[derive(Clone, Debug)]
struct Thread {
    name: String,
    used: Duration,
}

/// What one thread used between two readings.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// The thread's name.
    pub name: String,
    /// Milliseconds of a processor per second.
    pub ms_per_s: f64,
}

impl Reading {
    /// What the threads of `pid` have used so far.
    pub fn of(pid: u32) -> Result<Self> {
        let at = Instant::now();
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            let directory = entry?.path();
            let Ok(figures) = fs::read_to_string(directory.join("schedstat")) else { continue };
            let Ok(name) = fs::read_to_string(directory.join("comm")) else { continue };
            let nanos = figures.split(' ').next().context("an empty schedstat")?.parse()?;
            let number = directory.file_name().and_then(|name| name.to_str()).context("a thread without a number")?;
            let thread = Thread { name: name.trim().to_owned(), used: Duration::from_nanos(nanos) };
            threads.insert(number.parse()?, thread);
        }
        Ok(Self { at, threads })
    }

    /// What each thread used since `earlier`, the busiest first.
    pub fn since(&self, earlier: &Self) -> Vec<Share> {
        let seconds = (self.at - earlier.at).as_secs_f64();
        let share = |(number, thread): (&u32, &Thread)| {
            let before = earlier.threads.get(number).map_or(Duration::ZERO, |thread| thread.used);
            let used = thread.used.saturating_sub(before).as_secs_f64();
            Share { name: thread.name.clone(), ms_per_s: used * 1_000.0 / seconds }
        };
        let mut shares: Vec<Share> = self.threads.iter().map(share).collect();
        shares.sort_by(|a, b| b.ms_per_s.total_cmp(&a.ms_per_s));
        shares
    }

    /// What all threads together used since `earlier`, in milliseconds of a processor per second.
    pub fn total_since(&self, earlier: &Self) -> f64 {
        self.since(earlier).iter().map(|share| share.ms_per_s).sum()
    }
}

/// Resident memory of `pid`, in bytes.
pub fn resident(pid: u32) -> Result<u64> {
    kilobytes(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// Memory of `pid`, in bytes, where what is shared with other processes counts in proportion.
pub fn proportional(pid: u32) -> Result<u64> {
    kilobytes(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

fn kilobytes(path: &str, key: &str) -> Result<u64> {
    let text = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let number = line.with_context(|| format!("no {key} in {path}"))?.trim().trim_end_matches(" kB");
    Ok(number.parse::<u64>()? * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen_and_sleep_is_not() {
        let own = std::process::id();
        let before = Reading::of(own).unwrap();
        let busy = std::thread::Builder::new().name("busy".to_owned()).spawn(|| {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(50) {
                core::hint::spin_loop();
            }
            std::thread::sleep(Duration::from_millis(50));
            Reading::of(std::process::id()).unwrap()
        });
        let after = busy.unwrap().join().unwrap();
        let shares = after.since(&before);
        let busy = shares.iter().find(|share| share.name == "busy").unwrap();
        assert!((50.0..950.0).contains(&busy.ms_per_s), "{shares:?}");
        assert!(after.total_since(&before) >= busy.ms_per_s);
    }

    #[test]
    fn a_process_has_memory() {
        let own = std::process::id();
        let [all, fair] = [resident(own).unwrap(), proportional(own).unwrap()];
        assert!(fair > 100_000 && fair <= all, "{fair} of {all}");
    }
}
