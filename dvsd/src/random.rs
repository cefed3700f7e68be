// SPDX-License-Identifier: GPL-3.0-or-later
//! The one source of randomness: injected, so that a run can be repeated byte for byte from a seed.

use core::fmt;
use core::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Where random bytes come from. The daemon implements it with OpenSSL's generator.
pub trait Entropy: Send {
    /// Fills the whole of `dest` with random bytes.
    fn fill(&mut self, dest: &mut [u8]);
}

/// The source of randomness handed to every part of the core that needs one.
pub struct Random(Box<dyn Entropy>);

impl Random {
    /// A source that draws from `entropy`.
    pub fn new(entropy: impl Entropy + 'static) -> Self {
        Self(Box::new(entropy))
    }

    /// A source that repeats itself for the same `seed`: for tests and simulations only.
    pub fn seeded(seed: u64) -> Self {
        Self::new(Seeded(ChaCha20Rng::seed_from_u64(seed)))
    }

    /// Fills the whole of `dest`.
    pub fn fill(&mut self, dest: &mut [u8]) {
        self.0.fill(dest);
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A uniform 64-bit number.
    pub fn next_u64(&mut self) -> u64 {
        u64::from_be_bytes(self.bytes())
    }

    /// A uniform number in `0..bound`; zero when `bound` is zero. The bias is below 2^-32 for bounds
    /// up to 2^32.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        (wide >> 64) as u64
    }

    /// `duration` changed by a random amount of at most a tenth in either direction, as all
    /// retransmission and periodic timers are (PROTOCOL.md, "Time and randomness").
    pub fn jittered(&mut self, duration: Duration) -> Duration {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let tenth = micros / 10;
        Duration::from_micros(micros - tenth + self.below(2 * tenth + 1))
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

struct Seeded(ChaCha20Rng);

impl Entropy for Seeded {
    fn fill(&mut self, dest: &mut [u8]) {
        self.0.fill_bytes(dest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        assert_eq!(Random::seeded(7).bytes::<32>(), Random::seeded(7).bytes::<32>());
        assert_ne!(Random::seeded(7).bytes::<32>(), Random::seeded(8).bytes::<32>());
    }

    #[test]
    fn jitter_stays_within_a_tenth() {
        let mut random = Random::seeded(1);
        for _ in 0..1_000 {
            let jittered = random.jittered(Duration::from_millis(100));
            assert!((90..=110).contains(&jittered.as_millis()), "{jittered:?}");
        }
    }

    #[test]
    fn below_covers_its_range() {
        let mut random = Random::seeded(1);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[random.below(5) as usize] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(random.below(0), 0);
    }
}
