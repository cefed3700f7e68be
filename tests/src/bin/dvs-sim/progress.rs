// SPDX-License-Identifier: GPL-3.0-or-later
//! How far a simulation is: a bar on standard error, if that is a terminal.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// Width of the bar in characters.
const WIDTH: usize = 40;
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// The bar of one simulation.
pub(crate) struct Bar {
    begun: Instant,
    shown: Option<Instant>,
    is_terminal: bool,
}

impl Bar {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), shown: None, is_terminal: stderr().is_terminal() }
    }

    /// `share` of `what` is done.
    pub(crate) fn show(&mut self, what: &str, share: f64) {
        if !self.is_terminal || self.shown.is_some_and(|shown| shown.elapsed() < PAUSE) {
            return;
        }
        self.shown = Some(Instant::now());
        eprint!("\r\x1b[K{:6.1} s  {what:<16} {}", self.begun.elapsed().as_secs_f64(), drawn(share));
        let _ = stderr().flush();
    }

    /// The simulation is over: the bar goes, the time it took stays.
    pub(crate) fn end(self, what: &str) {
        let start = if self.is_terminal { "\r\x1b[K" } else { "" };
        eprintln!("{start}{:6.1} s  {what}", self.begun.elapsed().as_secs_f64());
    }
}

fn drawn(share: f64) -> String {
    let filled = (share.clamp(0.0, 1.0) * WIDTH as f64) as usize;
    (0..WIDTH).map(|position| if position < filled { '#' } else { '.' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_from_left_to_right() {
        assert_eq!(drawn(0.0), ".".repeat(WIDTH));
        assert_eq!(drawn(0.5), "#".repeat(WIDTH / 2) + &".".repeat(WIDTH / 2));
        assert_eq!(drawn(2.0), "#".repeat(WIDTH));
    }
}
