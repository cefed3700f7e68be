// SPDX-License-Identifier: GPL-3.0-or-later
//! What address others see us at. The first word is believed until two nodes agree on another.

use core::net::SocketAddr;

use crate::path::{Prefix, Scope};

/// How many nodes' words are kept.
const MAX_VOTES: usize = 16;

/// The observed addresses, one per family.
#[derive(Default)]
pub(super) struct Observed {
    v4: Option<SocketAddr>,
    v6: Option<SocketAddr>,
    /// Who said what, the latest word last.
    votes: Vec<(Prefix, SocketAddr)>,
}

impl Observed {
    /// The address others see, the IPv4 one first.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.v4.or(self.v6)
    }

    /// The node at `by` says it sees us at `seen`. The address, if that changes what we believe.
    pub(super) fn vote(&mut self, by: SocketAddr, seen: SocketAddr) -> Option<SocketAddr> {
        if !Scope::of(seen).visible_from(Scope::of(by)) || seen.is_ipv4() != by.is_ipv4() {
            return None;
        }
        self.note(Prefix::of(by), seen);
        let current = if seen.is_ipv4() { self.v4 } else { self.v6 };
        let is_news = current
            .is_none_or(|current| current != seen && self.count(seen) >= 2 && self.count(seen) > self.count(current));
        is_news.then(|| {
            *(if seen.is_ipv4() { &mut self.v4 } else { &mut self.v6 }) = Some(seen);
            seen
        })
    }

    /// Whether `seen`, as told in a proof by the node at `by`, has an IP address of ours: the one believed, or one that
    /// two others see us at. The port is not compared, because some NATs choose another one for each destination.
    pub(super) fn is_ours(&self, seen: SocketAddr, by: SocketAddr) -> bool {
        let own = [self.v4, self.v6].into_iter().flatten().any(|address| address.ip() == seen.ip());
        let by = Prefix::of(by);
        let others = self.votes.iter().filter(|(voter, said)| *voter != by && said.ip() == seen.ip());
        own || others.count() >= 2
    }

    fn note(&mut self, by: Prefix, seen: SocketAddr) {
        self.votes.retain(|(voter, said)| *voter != by || said.is_ipv4() != seen.is_ipv4());
        if self.votes.len() >= MAX_VOTES {
            self.votes.remove(0);
        }
        self.votes.push((by, seen));
    }

    fn count(&self, seen: SocketAddr) -> usize {
        self.votes.iter().filter(|(_, said)| *said == seen).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voter(number: u8) -> SocketAddr {
        SocketAddr::from(([198, 18, number, 1], 5004))
    }

    fn seen(port: u16) -> SocketAddr {
        SocketAddr::from(([198, 19, 0, 1], port))
    }

    #[test]
    fn the_first_word_is_believed_until_two_agree_on_another() {
        let mut observed = Observed::default();
        assert_eq!(observed.vote(voter(1), seen(5004)), Some(seen(5004)));
        assert_eq!(observed.vote(voter(2), seen(6000)), None);
        assert_eq!(observed.vote(voter(2), seen(6000)), None);
        assert_eq!(observed.vote(voter(3), seen(6000)), Some(seen(6000)));
        assert_eq!(observed.address(), Some(seen(6000)));
    }

    #[test]
    fn nonsense_is_not_counted() {
        let mut observed = Observed::default();
        assert_eq!(observed.vote(voter(1), "127.0.0.1:5004".parse().unwrap()), None);
        assert_eq!(observed.vote(voter(1), "198.19.0.1:0".parse().unwrap()), None);
        assert_eq!(observed.vote(voter(1), "[2001:db8::1]:5004".parse().unwrap()), None);
    }
}
