// SPDX-License-Identifier: GPL-3.0-or-later
//! Masks: how a search asks for somebody without saying whom, nor who asks.
//!
//! A request shows only the first bits of the target's ID; what follows is random, another on each path of the lookup.
//! In a network whose size is known about four nodes share what is shown, and whoever is asked names them all, the
//! target among them. Where more do than one answer can name, more is shown. The sender calls itself by a name made up
//! for the search.

use crate::id::{Distance, NodeId};
use crate::random::Random;

/// The least that is shown, in bits.
const FEWEST: u32 = 8;
/// How many bits less are shown than tell the nodes of the network apart: four nodes share the rest.
const HIDDEN: u32 = 2;
/// How many more bits are shown at a time.
const STEP: u32 = 4;
/// Bits of an ID.
const ALL: u32 = 160;

/// What a search shows.
#[derive(Clone, Debug)]
pub(super) struct Mask {
    bits: u32,
    /// The destination of requests, by path of the lookup.
    points: Vec<NodeId>,
}

impl Mask {
    /// A mask for `target` in a network of about so many nodes.
    pub(super) fn new(target: &NodeId, network_size: u64, paths: u8, random: &mut Random) -> Self {
        let bits = network_size.max(1).ilog2().saturating_sub(HIDDEN).max(FEWEST);
        let mut mask = Self { bits, points: vec![*target; usize::from(paths)] };
        mask.draw(target, random);
        mask
    }

    /// What requests on `path` are for.
    pub(super) fn point(&self, path: u8) -> Option<NodeId> {
        self.points.get(usize::from(path)).copied()
    }

    /// Whether a node at `distance` from the target shares what is shown of it.
    pub(super) fn covers(&self, distance: &Distance) -> bool {
        distance.shared_bits() >= self.bits
    }

    /// Shows more of `target`, until fewer than `limit` of the nodes at `distances` share that. False if all is shown
    /// already.
    pub(super) fn sharpen(
        &mut self,
        target: &NodeId,
        distances: &[Distance],
        limit: usize,
        random: &mut Random,
    ) -> bool {
        let before = self.bits;
        while self.bits < ALL && distances.iter().filter(|distance| self.covers(distance)).count() >= limit {
            self.bits = (self.bits + STEP).min(ALL);
        }
        if self.bits > before {
            self.draw(target, random);
        }
        self.bits > before
    }

    #[cfg(test)]
    pub(super) const fn bits(&self) -> u32 {
        self.bits
    }

    fn draw(&mut self, target: &NodeId, random: &mut Random) {
        let bits = self.bits;
        self.points.fill_with(|| masked(target, bits, random));
    }
}

/// An ID whose first `bits` are those of `target`, and the others random.
fn masked(target: &NodeId, bits: u32, random: &mut Random) -> NodeId {
    let mut id = NodeId(random.bytes());
    for ((byte, shown), index) in id.0.iter_mut().zip(target.0).zip(0_u32..) {
        let count = bits.saturating_sub(index * 8).min(8);
        let keep = (0xff00_u16 >> count) as u8;
        *byte = (shown & keep) | (*byte & !keep);
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: NodeId = NodeId([0x5a; 20]);

    fn shown(size: u64) -> u32 {
        Mask::new(&TARGET, size, 1, &mut Random::seeded(1)).bits()
    }

    #[test]
    fn four_nodes_share_what_is_shown_and_never_less_than_eight_bits_are() {
        assert_eq!([0, 1, 300, 1_023, 2_047].map(shown), [8; 5]);
        assert_eq!([2_048, 4_096, 100_000, 1_000_000, u64::MAX].map(shown), [9, 10, 14, 17, 61]);
    }

    #[test]
    fn f25_what_is_not_shown_is_random_and_another_on_each_path() {
        let mut ones = [0; 160];
        for seed in 0..200 {
            let mask = Mask::new(&TARGET, 100_000, 3, &mut Random::seeded(seed));
            let points: Vec<NodeId> = (0..3).filter_map(|path| mask.point(path)).collect();
            assert!(points.iter().all(|point| point.distance(&TARGET).shared_bits() >= 14));
            assert!(points[0] != points[1] && points[1] != points[2] && points[0] != points[2]);
            for (bit, count) in ones.iter_mut().enumerate() {
                let differs = |point: &&NodeId| point.distance(&TARGET).0[bit / 8] & (0x80 >> (bit % 8)) != 0;
                *count += points.iter().filter(differs).count();
            }
        }
        assert_eq!(ones[..14], [0; 14]);
        assert!(ones[14..].iter().all(|count| (220..=380).contains(count)), "{ones:?}");
    }

    #[test]
    fn more_is_shown_in_steps_until_few_share_it() {
        let mut random = Random::seeded(1);
        let mut mask = Mask::new(&TARGET, 300, 1, &mut random);
        let at = |bits: u32| masked(&TARGET, bits, &mut Random::seeded(u64::from(bits))).distance(&TARGET);
        let crowd: Vec<Distance> = (0..40).map(|number| at(8 + number % 6)).collect();
        assert!(!mask.sharpen(&TARGET, &crowd[..19], 20, &mut random));
        let before = mask.point(0);
        assert!(mask.sharpen(&TARGET, &crowd, 20, &mut random));
        assert_eq!(mask.bits(), 12);
        assert_ne!(mask.point(0), before);
        assert!(mask.sharpen(&TARGET, &[TARGET.distance(&TARGET); 20], 20, &mut random));
        assert_eq!((mask.bits(), mask.point(0)), (160, Some(TARGET)));
        assert!(!mask.sharpen(&TARGET, &[TARGET.distance(&TARGET); 20], 20, &mut random));
    }
}
