// SPDX-License-Identifier: GPL-3.0-or-later
//! The replay window (RFC 6479): which of the latest sequence numbers were already accepted.
//!
//! The bitmap is a ring of words; moving ahead clears whole words instead of shifting, so that both a check and a
//! mark cost the same whatever was lost in between.

/// How far behind the highest accepted number a late one may still be, in numbers.
pub const WINDOW: u32 = 2048;

const WORD_BITS: u32 = u64::BITS;
/// One word more than the window needs: the word being filled is never wholly valid.
const WORDS: u32 = WINDOW / WORD_BITS + 1;

/// Remembers which sequence numbers were accepted.
#[derive(Clone, Debug)]
pub struct Window {
    highest: Option<u32>,
    bitmap: [u64; WORDS as usize],
}

impl Default for Window {
    fn default() -> Self {
        Self { highest: None, bitmap: [0; WORDS as usize] }
    }
}

impl Window {
    /// The highest number accepted so far.
    pub const fn highest(&self) -> Option<u32> {
        self.highest
    }

    /// Whether `seq` is new: not accepted before, and not so old that this is no longer known.
    pub fn is_new(&self, seq: u32) -> bool {
        match self.highest {
            None => true,
            Some(highest) if seq > highest => true,
            Some(highest) if highest - seq >= WINDOW => false,
            Some(_) => self.word(seq).is_some_and(|word| word & bit(seq) == 0),
        }
    }

    /// Accepts `seq`; false, and nothing changes, unless it [is new](Self::is_new). To be called only after the
    /// packet proved authentic.
    pub fn accept(&mut self, seq: u32) -> bool {
        if !self.is_new(seq) {
            return false;
        }
        if self.highest.is_none_or(|highest| seq > highest) {
            self.advance(seq);
        }
        if let Some(word) = self.bitmap.get_mut(slot(seq)) {
            *word |= bit(seq);
        }
        true
    }

    fn word(&self, seq: u32) -> Option<u64> {
        self.bitmap.get(slot(seq)).copied()
    }

    /// Makes `seq` the highest and forgets what the ring's words held before.
    fn advance(&mut self, seq: u32) {
        let from = self.highest.map_or(0, |highest| highest / WORD_BITS);
        let steps = (seq / WORD_BITS - from).min(WORDS);
        for step in 1..=steps {
            let index = (from + step) % WORDS;
            if let Some(word) = self.bitmap.get_mut(index as usize) {
                *word = 0;
            }
        }
        self.highest = Some(seq);
    }
}

const fn slot(seq: u32) -> usize {
    (seq / WORD_BITS % WORDS) as usize
}

const fn bit(seq: u32) -> u64 {
    1 << (seq % WORD_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_number_is_accepted_once() {
        let mut window = Window::default();
        assert!(window.accept(0));
        assert!(!window.accept(0));
        assert!(window.accept(5));
        assert!(window.accept(3));
        assert!(!window.accept(3));
        assert_eq!(window.highest(), Some(5));
    }

    #[test]
    fn the_window_is_2048_wide() {
        let mut window = Window::default();
        window.accept(10_000);
        assert!(window.is_new(10_000 - 2047));
        assert!(!window.is_new(10_000 - 2048));
        assert!(!window.accept(10_000 - 2048));
    }

    #[test]
    fn the_highest_possible_number_is_no_exception() {
        let mut window = Window::default();
        assert!(window.accept(u32::MAX));
        assert!(!window.accept(u32::MAX));
        assert!(window.accept(u32::MAX - 1));
        assert!(!window.accept(0));
    }

    /// The definition, without any cleverness.
    #[derive(Default)]
    struct Naive {
        seen: BTreeSet<u32>,
    }

    impl Naive {
        fn accept(&mut self, seq: u32) -> bool {
            let too_old = self.seen.last().is_some_and(|last| last.saturating_sub(seq) >= WINDOW);
            !too_old && self.seen.insert(seq)
        }
    }

    fn walk() -> impl Strategy<Value = Vec<u32>> {
        let step = prop_oneof![
            6 => -70i64..70,
            2 => -2_200i64..2_200,
            1 => -40_000i64..40_000,
            1 => Just(i64::from(u32::MAX) / 3),
        ];
        (any::<u32>(), proptest::collection::vec(step, 1..400)).prop_map(|(start, steps)| {
            let mut at = i64::from(start);
            let mut moved = |step: i64| {
                at = (at + step).clamp(0, i64::from(u32::MAX));
                at as u32
            };
            steps.into_iter().map(&mut moved).collect()
        })
    }

    proptest! {
        #[test]
        fn the_window_is_the_naive_set(walk in walk()) {
            let (mut window, mut naive) = (Window::default(), Naive::default());
            for seq in walk {
                prop_assert_eq!(window.is_new(seq), naive.seen.last().is_none_or(|last| last.saturating_sub(seq) < WINDOW) && !naive.seen.contains(&seq));
                prop_assert_eq!(window.accept(seq), naive.accept(seq));
            }
        }
    }
}
