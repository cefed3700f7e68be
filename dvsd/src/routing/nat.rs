// SPDX-License-Identifier: GPL-3.0-or-later
//! Where others see us, and what that says of the NAT in front of us. Every answer to a request of ours is one vote.
//!
//! One network of observers has one vote per family, its latest. The first word is believed until more observers, two
//! at least, agree on another. The kind of NAT follows from at least [`OBSERVERS`] votes: more than two thirds for one
//! address mean that the outer port is the same for everybody, no more than a third for any mean that it is not, and
//! anything between, such as the minutes after the NAT has changed the port or a few liars, changes nothing.
//!
//! Timers: a vote counts for [`VOTE_LIFE`].

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::entry::Crowd;
use super::{NatKind, Routing};
use crate::path::Scope;
use crate::time::Instant;

/// How many votes are kept per family.
const MAX_VOTES: usize = 16;
/// How long a vote counts.
const VOTE_LIFE: Duration = Duration::from_secs(5 * 60);
/// So many observers in different networks tell the kind of a NAT.
const OBSERVERS: usize = 3;

/// Who has one vote: all of a /24 or /48 of the Internet together, elsewhere every address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Voter {
    Network(Crowd),
    Host(SocketAddr),
}

impl Voter {
    fn of(address: SocketAddr) -> Self {
        Crowd::of(address).map_or(Self::Host(address), Self::Network)
    }
}

#[derive(Clone, Copy, Debug)]
struct Vote {
    by: Voter,
    seen: SocketAddr,
    at: Instant,
}

/// What is known of one family.
#[derive(Debug, Default)]
struct Family {
    believed: Option<SocketAddr>,
    kind: NatKind,
    /// The latest vote last.
    votes: Vec<Vote>,
    /// The network has changed since: the next word counts as the first.
    in_doubt: bool,
}

/// The observed addresses, one per family.
#[derive(Debug, Default)]
pub(super) struct Nat {
    local: Vec<IpAddr>,
    v4: Family,
    v6: Family,
}

impl Nat {
    /// Our own addresses: seen at one of them means that there is no NAT.
    pub(super) fn set_local(&mut self, addresses: &[IpAddr]) {
        self.local = addresses.iter().map(IpAddr::to_canonical).collect();
        self.v4.judge(&self.local);
        self.v6.judge(&self.local);
    }

    /// An address that others can reach us at, the IPv4 one first: not one that only the observer can use.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        let usable = |family: &Family| family.believed.filter(|_| family.kind != NatKind::Symmetric);
        usable(&self.v4).or(usable(&self.v6))
    }

    /// Where others see us over IPv4 or IPv6, and the NAT before it.
    pub(super) const fn family(&self, is_ipv4: bool) -> (Option<SocketAddr>, NatKind) {
        let family = if is_ipv4 { &self.v4 } else { &self.v6 };
        (family.believed, family.kind)
    }

    /// The node at `by` says it sees us at `seen`. The address, if that changes what we believe.
    pub(super) fn vote(&mut self, by: SocketAddr, seen: SocketAddr, now: Instant) -> Option<SocketAddr> {
        let scope = Scope::of(seen);
        let is_telling = scope != Scope::LinkLocal && scope.visible_from(Scope::of(by));
        if !is_telling || seen.is_ipv4() != by.is_ipv4() {
            return None;
        }
        let family = if seen.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        family.note(Voter::of(by), seen, now);
        let news = family.believe(seen);
        family.judge(&self.local);
        news
    }

    /// Whether `seen`, as told in a proof by the node at `by`, has an IP address of ours: one of an interface, the one
    /// believed, or one that two others see us at. The port is not compared, because some NATs choose another one for
    /// each destination.
    pub(super) fn is_ours(&self, seen: SocketAddr, by: SocketAddr) -> bool {
        let is_own = self.local.contains(&seen.ip());
        let by = Voter::of(by);
        let is_seen = |family: &Family| {
            let others = family.votes.iter().filter(|vote| vote.by != by && vote.seen.ip() == seen.ip());
            family.believed.is_some_and(|address| address.ip() == seen.ip()) || others.count() >= 2
        };
        is_own || is_seen(&self.v4) || is_seen(&self.v6)
    }

    /// The network has changed: what was seen before says little of what is to come.
    pub(super) fn forget(&mut self) {
        for family in [&mut self.v4, &mut self.v6] {
            (family.kind, family.in_doubt) = (NatKind::Unknown, true);
            family.votes.clear();
        }
    }
}

impl Family {
    fn note(&mut self, by: Voter, seen: SocketAddr, now: Instant) {
        self.votes.retain(|vote| vote.by != by && now.since(vote.at) < VOTE_LIFE);
        if self.votes.len() >= MAX_VOTES {
            self.votes.remove(0);
        }
        self.votes.push(Vote { by, seen, at: now });
    }

    /// Takes `seen` for our address if it deserves that. An address in the Internet beats one in a private network.
    fn believe(&mut self, seen: SocketAddr) -> Option<SocketAddr> {
        let was_in_doubt = core::mem::take(&mut self.in_doubt);
        let outdoes = |current: SocketAddr| {
            let (new, old) = (self.count(seen), self.count(current));
            let (is_wider, is_narrower) =
                (is_global(seen) && !is_global(current), !is_global(seen) && is_global(current));
            is_wider || (!is_narrower && (was_in_doubt || (new >= 2 && new > old)))
        };
        let is_news = self.believed.is_none_or(|current| current != seen && outdoes(current));
        if is_news {
            self.believed = Some(seen);
        }
        is_news.then_some(seen)
    }

    /// Settles the kind, if the votes do.
    fn judge(&mut self, local: &[IpAddr]) {
        let Some(believed) = self.believed else { return };
        let votes: Vec<SocketAddr> =
            self.votes.iter().map(|vote| vote.seen).filter(|seen| is_global(*seen) == is_global(believed)).collect();
        let most = votes.iter().map(|seen| (self.count(*seen), *seen)).max();
        let (count, favourite) = most.unwrap_or((0, believed));
        let is_enough = votes.len() >= OBSERVERS;
        if (!is_enough || count * 3 > votes.len() * 2) && local.contains(&favourite.ip()) {
            self.kind = NatKind::Open;
        } else if is_enough && count * 3 > votes.len() * 2 {
            self.kind = NatKind::Cone;
        } else if is_enough && count * 3 <= votes.len() {
            self.kind = NatKind::Symmetric;
        }
    }

    fn count(&self, seen: SocketAddr) -> usize {
        self.votes.iter().filter(|vote| vote.seen == seen).count()
    }
}

fn is_global(address: SocketAddr) -> bool {
    Scope::of(address) == Scope::Global
}

impl Routing {
    /// Our own addresses, of all interfaces: seen at one of them by others means that there is no NAT.
    pub fn set_local(&mut self, addresses: &[IpAddr]) {
        self.nat.set_local(addresses);
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

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1_000)
    }

    fn kind(nat: &Nat) -> NatKind {
        nat.family(true).1
    }

    /// Each observer says what it sees, one second after the other.
    fn votes(nat: &mut Nat, start: u64, votes: impl IntoIterator<Item = (u8, u16)>) {
        for (second, (by, port)) in votes.into_iter().enumerate() {
            nat.vote(voter(by), seen(port), at(start + second as u64));
        }
    }

    #[test]
    fn the_first_word_is_believed_until_two_agree_on_another() {
        let mut nat = Nat::default();
        assert_eq!(nat.vote(voter(1), seen(5004), at(0)), Some(seen(5004)));
        assert_eq!(nat.vote(voter(2), seen(6000), at(0)), None);
        assert_eq!(nat.vote(voter(2), seen(6000), at(0)), None);
        assert_eq!(nat.vote(voter(3), seen(6000), at(0)), Some(seen(6000)));
        assert_eq!(nat.address(), Some(seen(6000)));
    }

    #[test]
    fn nonsense_is_not_counted() {
        let mut nat = Nat::default();
        for nonsense in ["127.0.0.1:5004", "198.19.0.1:0", "[2001:db8::1]:5004", "192.168.0.1:5004"] {
            assert_eq!(nat.vote(voter(1), nonsense.parse().unwrap(), at(0)), None);
        }
        let link: SocketAddr = "[fe80::1%2]:5004".parse().unwrap();
        assert_eq!(nat.vote(link, "[fe80::2]:5004".parse().unwrap(), at(0)), None);
    }

    #[test]
    fn one_port_for_three_networks_is_a_cone_and_two_tell_nothing() {
        let mut nat = Nat::default();
        votes(&mut nat, 0, [(1, 5004), (2, 5004), (1, 5004), (2, 5004)]);
        assert_eq!(kind(&nat), NatKind::Unknown);
        votes(&mut nat, 4, [(3, 5004)]);
        assert_eq!(kind(&nat), NatKind::Cone);
    }

    #[test]
    fn one_network_with_many_names_has_one_vote() {
        let mut nat = Nat::default();
        for host in 1..200 {
            nat.vote(SocketAddr::from(([198, 18, 1, host], 5004)), seen(5004), at(0));
        }
        assert_eq!(kind(&nat), NatKind::Unknown);
    }

    #[test]
    fn another_port_for_everybody_is_symmetric_and_not_told() {
        let mut nat = Nat::default();
        votes(&mut nat, 0, [(1, 6001), (2, 6002), (3, 6003), (1, 6001), (2, 6002)]);
        assert_eq!(kind(&nat), NatKind::Symmetric);
        assert_eq!(nat.address(), None);
        assert_eq!(nat.family(true).0, Some(seen(6001)));
    }

    #[test]
    fn a_nat_that_changes_its_port_for_all_stays_a_cone_at_every_moment() {
        let mut nat = Nat::default();
        votes(&mut nat, 0, (1..10).map(|by| (by, 5004)));
        for by in 1..10 {
            votes(&mut nat, u64::from(by) * 10, [(by, 7000)]);
            assert_eq!(kind(&nat), NatKind::Cone);
        }
        assert_eq!(nat.address(), Some(seen(7000)));
    }

    #[test]
    fn a_third_of_liars_makes_no_cone_symmetric() {
        let mut nat = Nat::default();
        for round in 0..20 {
            votes(
                &mut nat,
                round * 10,
                [(1, 5004), (2, 5004), (3, 5004), (4, 5004), (9, 6000), (10, 6100 + round as u16)],
            );
            assert_ne!(kind(&nat), NatKind::Symmetric);
        }
        assert_eq!(nat.address(), Some(seen(5004)));
    }

    #[test]
    fn seen_at_our_own_address_means_no_nat() {
        let mut nat = Nat::default();
        nat.set_local(&[seen(0).ip()]);
        votes(&mut nat, 0, [(1, 5004), (2, 5004), (3, 5004)]);
        assert_eq!(kind(&nat), NatKind::Open);
        nat.set_local(&[]);
        assert_eq!(kind(&nat), NatKind::Cone);
    }

    #[test]
    fn old_votes_lose_their_weight() {
        let mut nat = Nat::default();
        votes(&mut nat, 0, (1..9).map(|by| (by, 5004)));
        assert_eq!(nat.vote(voter(20), seen(7000), at(400)), None);
        assert_eq!(nat.vote(voter(21), seen(7000), at(401)), Some(seen(7000)));
    }

    #[test]
    fn after_a_change_of_network_the_next_word_counts() {
        let mut nat = Nat::default();
        votes(&mut nat, 0, (1..9).map(|by| (by, 5004)));
        nat.forget();
        assert_eq!((kind(&nat), nat.address()), (NatKind::Unknown, Some(seen(5004))));
        assert_eq!(nat.vote(voter(1), seen(7000), at(10)), Some(seen(7000)));
    }

    #[test]
    fn an_address_in_the_internet_beats_one_at_home() {
        let mut nat = Nat::default();
        let home: SocketAddr = "192.168.1.2:5004".parse().unwrap();
        for host in 3..9 {
            nat.vote(SocketAddr::from(([192, 168, 1, host], 5004)), home, at(0));
        }
        assert_eq!((nat.address(), kind(&nat)), (Some(home), NatKind::Cone));
        assert_eq!(nat.vote(voter(1), seen(5004), at(1)), Some(seen(5004)));
        assert_eq!(nat.vote("192.168.1.3:5004".parse().unwrap(), home, at(2)), None);
    }
}
