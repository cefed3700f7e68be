// SPDX-License-Identifier: GPL-3.0-or-later
//! Which address of ours each peer speaks to. Bounded, and so that strangers in any number, whose addresses may be forged,
//! do not make those be forgotten who are heard all the time.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// So many peers, of those heard last, are remembered for certain; and twice as many at most.
const GENERATION: usize = 2_048;

/// A peer is in one of two generations. When the younger one is full, the older one is forgotten.
#[derive(Debug, Default)]
pub(super) struct Sources {
    young: HashMap<SocketAddr, IpAddr>,
    old: HashMap<SocketAddr, IpAddr>,
}

impl Sources {
    /// The address of ours that `peer` speaks to.
    pub(super) fn get(&self, peer: SocketAddr) -> Option<IpAddr> {
        self.young.get(&peer).or_else(|| self.old.get(&peer)).copied()
    }

    /// `peer` has just spoken to `own`.
    pub(super) fn note(&mut self, peer: SocketAddr, own: IpAddr) {
        if self.young.get(&peer) == Some(&own) {
            return;
        }
        self.old.remove(&peer);
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(peer, own);
    }

    /// Forgets what `peer` speaks to. False if that was not known.
    pub(super) fn forget(&mut self, peer: SocketAddr) -> bool {
        let [young, old] = [&mut self.young, &mut self.old].map(|generation| generation.remove(&peer));
        young.or(old).is_some()
    }

    /// Forgets all that speak to an address that is not `ours`.
    pub(super) fn retain(&mut self, ours: impl Fn(IpAddr) -> bool) {
        for generation in [&mut self.young, &mut self.old] {
            generation.retain(|_, own| ours(*own));
        }
    }

    /// How many peers are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_strangers_has_nobody_forgotten_who_is_heard_in_between() {
        let mut sources = Sources::default();
        let (friend, own) = ("198.18.0.1:5004".parse().unwrap(), "198.18.1.1".parse().unwrap());
        let other = "198.18.1.2".parse().unwrap();
        for stranger in 0..100_000u32 {
            if stranger % 1_000 == 0 {
                sources.note(friend, own);
            }
            sources.note(SocketAddr::from((stranger.to_be_bytes(), 5004)), other);
            assert_eq!(sources.get(friend), Some(own), "after {stranger} strangers");
            assert!(sources.len() <= 2 * GENERATION);
        }
        sources.note(friend, other);
        assert_eq!(sources.get(friend), Some(other), "the latest holds");
        assert!(sources.forget(friend) && !sources.forget(friend));
        sources.retain(|ip| ip == own);
        assert_eq!(sources.len(), 0);
    }
}
