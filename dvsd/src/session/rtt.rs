// SPDX-License-Identifier: GPL-3.0-or-later
//! The round-trip estimator of RFC 6298.

use core::time::Duration;

/// Bounds of the retransmission timeout.
pub(super) const RTO_MIN: Duration = Duration::from_millis(200);
/// Also the bound after backing off.
pub(super) const RTO_MAX: Duration = Duration::from_secs(2);
/// So often a message is sent before the timeout grows: what is rare on a path without congestion, and what a call
/// that is being set up on a bad one depends on.
const QUICK: u32 = 3;
/// The timeout before anything was measured.
const RTO_INITIAL: Duration = Duration::from_millis(500);

/// Smoothed round-trip time and its variation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rtt {
    estimate: Option<Estimate>,
}

#[derive(Clone, Copy, Debug)]
struct Estimate {
    smoothed: Duration,
    variation: Duration,
}

impl Rtt {
    /// Takes in one measurement.
    pub(super) fn sample(&mut self, sample: Duration) {
        self.estimate = Some(match self.estimate {
            None => Estimate { smoothed: sample, variation: sample / 2 },
            Some(old) => Estimate {
                variation: (old.variation * 3 + old.smoothed.abs_diff(sample)) / 4,
                smoothed: (old.smoothed * 7 + sample) / 8,
            },
        });
    }

    /// The smoothed round-trip time.
    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.estimate.map(|estimate| estimate.smoothed)
    }

    /// The timeout of a message sent `tries` times already, at least once: half as long again with each try after the
    /// first [`QUICK`].
    pub(super) fn timeout(&self, tries: u32) -> Duration {
        let base = self.estimate.map_or(RTO_INITIAL, |estimate| estimate.smoothed + estimate.variation * 4);
        let mut timeout = base.clamp(RTO_MIN, RTO_MAX);
        for _ in QUICK..tries.min(16) {
            timeout = (timeout * 3 / 2).min(RTO_MAX);
        }
        timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_follows_the_path_within_its_bounds() {
        let ms = Duration::from_millis;
        let mut rtt = Rtt::default();
        assert_eq!(rtt.timeout(1), ms(500));
        rtt.sample(ms(10));
        assert_eq!(rtt.timeout(1), ms(200));
        rtt.sample(ms(10));
        assert_eq!((rtt.smoothed(), rtt.timeout(3)), (Some(ms(10)), ms(200)));
        assert_eq!((rtt.timeout(4), rtt.timeout(5)), (ms(300), ms(450)));
        let mut slow = Rtt::default();
        slow.sample(ms(300));
        assert_eq!((slow.timeout(1), slow.timeout(20)), (ms(900), ms(2_000)));
    }
}
