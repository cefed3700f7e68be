// SPDX-License-Identifier: GPL-3.0-or-later
//! Who has proven lately to be reachable where: the nodes that we can tell of somebody who wants to reach them.
//!
//! A packet proves its sender's address if it answers a request of ours or carries a token of ours. What it says of the
//! sender's ID is only a claim, so whoever is known under an ID keeps its place as long as it is heard.
//!
//! Timers: a contact is fresh for [`FRESH`].

use core::net::SocketAddr;
use core::time::Duration;

use super::limits::Network;
use crate::id::NodeId;
use crate::time::Instant;

/// How long after a packet the way through the sender's NAT is taken to be open.
pub(super) const FRESH: Duration = Duration::from_secs(60);
/// How many contacts are kept.
const MAX_CONTACTS: usize = 128;
/// How many of them may be of one network.
const MAX_PER_NETWORK: usize = 8;

/// A node that was heard at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) id: NodeId,
    pub(super) address: SocketAddr,
    /// The transaction ID of the last exchange that was proven to both sides: a secret between the two of us.
    pub(super) txid: Option<u64>,
    at: Instant,
    /// It answered us there, or had to prove its ID: it is in the table.
    is_known: bool,
}

/// The contacts, longest known first.
#[derive(Default)]
pub(super) struct Contacts(Vec<Heard>);

impl Contacts {
    /// A packet from `id` at `address` arrived that proves where it is from. `txid`: if it proves to `id`, too, that we
    /// are who it was speaking with. `is_known`: the table has it there.
    /// When there are too many contacts, those not known go first, whose IDs are anybody's choice; then the nodes farthest
    /// from `own`: those who rely on us are close.
    pub(super) fn note(
        &mut self,
        own: &NodeId,
        (id, address): (NodeId, SocketAddr),
        txid: Option<u64>,
        is_known: bool,
        now: Instant,
    ) {
        self.0.retain(|heard| now.since(heard.at) < FRESH);
        if let Some(known) = self.0.iter_mut().find(|heard| heard.id == id && heard.address == address) {
            (known.txid, known.at, known.is_known) = (txid.or(known.txid), now, is_known);
            return;
        }
        let network = Network::of(address);
        let mut rivals = self.0.iter().enumerate().filter(|(_, heard)| Network::of(heard.address) == network);
        if let Some((index, _)) = rivals.nth(MAX_PER_NETWORK - 1) {
            self.0.remove(index);
        }
        self.0.push(Heard { id, address, txid, at: now, is_known });
        if self.0.len() > MAX_CONTACTS {
            self.forget_farthest(own);
        }
    }

    /// Where `id` was heard lately, longest known first.
    pub(super) fn fresh(&self, id: NodeId, now: Instant) -> impl Iterator<Item = &Heard> {
        self.0.iter().filter(move |heard| heard.id == id && now.since(heard.at) < FRESH)
    }

    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    fn forget_farthest(&mut self, own: &NodeId) {
        let farthest = self.0.iter().enumerate().max_by_key(|(_, heard)| (!heard.is_known, heard.id.distance(own)));
        if let Some(index) = farthest.map(|(index, _)| index) {
            self.0.remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: NodeId = NodeId([0; 20]);

    fn address(net: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([198, 18, net, 1], port))
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1_000)
    }

    #[test]
    fn a_contact_is_fresh_for_a_minute_after_its_last_packet() {
        let (mut contacts, id) = (Contacts::default(), NodeId([1; 20]));
        contacts.note(&OWN, (id, address(1, 5004)), Some(7), false, at(0));
        contacts.note(&OWN, (id, address(1, 5004)), Some(8), false, at(20));
        contacts.note(&OWN, (id, address(1, 5004)), None, false, at(30));
        assert_eq!(contacts.fresh(id, at(89)).map(|heard| heard.txid).collect::<Vec<_>>(), [Some(8)]);
        assert_eq!(contacts.fresh(id, at(90)).count(), 0);
    }

    #[test]
    fn a_newcomer_of_the_same_name_comes_second() {
        let (mut contacts, id) = (Contacts::default(), NodeId([1; 20]));
        contacts.note(&OWN, (id, address(1, 5004)), Some(1), false, at(0));
        contacts.note(&OWN, (id, address(2, 5004)), Some(2), false, at(1));
        contacts.note(&OWN, (id, address(1, 5004)), Some(3), false, at(2));
        assert_eq!(contacts.fresh(id, at(3)).next().map(|heard| heard.address), Some(address(1, 5004)));
    }

    #[test]
    fn one_network_displaces_only_itself_and_the_close_ones_stay() {
        let mut contacts = Contacts::default();
        let close = NodeId([1; 20]);
        contacts.note(&OWN, (close, address(1, 5004)), Some(1), false, at(0));
        for port in 0..1_000 {
            contacts.note(&OWN, (NodeId([0; 20]), address(9, 2_000 + port)), Some(1), false, at(1));
        }
        assert_eq!(contacts.len(), 1 + MAX_PER_NETWORK);
        (10..250).for_each(|net| contacts.note(&OWN, (NodeId([net; 20]), address(net, 5004)), Some(1), false, at(2)));
        assert_eq!(contacts.len(), MAX_CONTACTS);
        assert_eq!(contacts.fresh(close, at(3)).count(), 1);
    }

    #[test]
    fn f14_invented_ids_close_to_us_do_not_displace_who_is_known() {
        let mut contacts = Contacts::default();
        let far = NodeId([0xff; 20]);
        contacts.note(&OWN, (far, address(1, 5004)), Some(1), true, at(0));
        (2..250).for_each(|net| contacts.note(&OWN, (NodeId([0; 20]), address(net, 5004)), Some(1), false, at(1)));
        assert_eq!(contacts.fresh(far, at(2)).count(), 1);
    }

    #[test]
    fn f14_many_subnets_of_one_ipv6_network_are_one() {
        let mut contacts = Contacts::default();
        for subnet in 0..1_000 {
            let ip = [0x2001, 0xdb8, 1, subnet << 6, 0, 0, 0, 1];
            contacts.note(&OWN, (NodeId([1; 20]), SocketAddr::from((ip, 5004))), Some(1), false, at(0));
        }
        assert_eq!(contacts.len(), MAX_PER_NETWORK);
    }
}
