// SPDX-License-Identifier: GPL-3.0-or-later
//! What the demo shows while it runs, on standard error.

use std::io::{IsTerminal, Write, stderr};
use std::time::Instant;

use dvs_proto::message::{CallStats, Levels};

/// Width of a level meter in characters.
const METER: i32 = 12;
/// Quietest level shown, in tenths of a decibel.
const QUIETEST: i32 = -600;

/// Prints steps with the time they happened at.
pub(crate) struct Progress {
    start: Instant,
    terminal: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), terminal: stderr().is_terminal() }
    }

    /// One more thing is done, or begins.
    pub(crate) fn step(&self, text: &str) {
        eprintln!("{:5.1} s  {text}", self.start.elapsed().as_secs_f64());
    }

    /// The call as it is now: on a terminal one line that changes, elsewhere a line per second (`whole_second`).
    pub(crate) fn talking(&self, levels: Levels, stats: &CallStats, whole_second: bool) {
        let line = format!(
            "{:5.1} s  in call   Alice {}   echo {}   {}/{} packets   lost {}",
            self.start.elapsed().as_secs_f64(),
            meter(levels.capture),
            meter(levels.playback),
            stats.sent,
            stats.received,
            stats.lost,
        );
        if self.terminal {
            eprint!("\r\x1b[K{line}");
            let _ = stderr().flush();
        } else if whole_second {
            eprintln!("{line}");
        }
    }

    /// Ends the changing line.
    pub(crate) fn talked(&self) {
        if self.terminal {
            eprintln!();
        }
    }
}

/// A bar for a level in tenths of a decibel.
fn meter(level: i16) -> String {
    let filled = (i32::from(level) - QUIETEST).clamp(0, -QUIETEST) * METER / -QUIETEST;
    (0..METER).map(|position| if position < filled { '#' } else { '.' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_is_empty_in_silence_and_full_at_full_scale() {
        assert_eq!(meter(-900), "............");
        assert_eq!(meter(-300), "######......");
        assert_eq!(meter(0), "############");
    }
}
