// SPDX-License-Identifier: GPL-3.0-or-later
//! A small and quick source of chance for the simulation itself. The nodes get the core's own source.

/// SplitMix64 (Steele, Lea and Flood, 2014). Not for secrets.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The dice of `seed`; each `purpose` and `number` has its own.
    pub const fn new(seed: u64, purpose: &str, number: u64) -> Self {
        let mut state = seed;
        let bytes = purpose.as_bytes();
        let mut rest = bytes;
        while let [first, others @ ..] = rest {
            state = mix(state ^ *first as u64);
            rest = others;
        }
        Self(mix(state ^ number))
    }

    /// A uniform 64-bit number.
    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A uniform number in `0..bound`; zero when `bound` is zero.
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.roll() as u128 * bound as u128) >> 64) as u64
    }

    /// A uniform number from 0 up to 1.
    pub const fn share(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True in `percent` of 100 cases.
    pub const fn is_within(&mut self, percent: f64) -> bool {
        percent > 0.0 && self.share() * 100.0 < percent
    }

    /// Puts `items` into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

const fn mix(mut state: u64) -> u64 {
    state = state.wrapping_add(GOLDEN);
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_and_numbers_have_dice_of_their_own() {
        let first = |purpose, number| Dice::new(1, purpose, number).roll();
        assert_eq!(first("a", 1), first("a", 1));
        assert_ne!(first("a", 1), first("a", 2));
        assert_ne!(first("a", 1), first("b", 1));
    }

    #[test]
    fn a_share_falls_within_its_percentage() {
        let mut dice = Dice::new(1, "test", 0);
        let within = (0..10_000).filter(|_| dice.is_within(20.0)).count();
        assert!((1_800..2_200).contains(&within), "{within}");
        assert!((0..1_000).all(|_| !dice.is_within(0.0)));
    }

    #[test]
    fn shuffling_keeps_everybody() {
        let mut items: Vec<u32> = (0..100).collect();
        Dice::new(1, "test", 0).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<u32>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<u32>>());
    }
}
