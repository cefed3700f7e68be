// SPDX-License-Identifier: GPL-3.0-or-later
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::admission::{CROWD_PER_BUCKET, CROWD_PER_TABLE};
use super::*;

const OWN: NodeId = NodeId([0; 20]);
const RTT: Duration = Duration::from_millis(50);

/// A node that shares `bucket` bits with us, in a network of its own.
fn node(bucket: usize, number: u16) -> (NodeId, SocketAddr) {
    let mut id = random_in(&OWN, bucket, &mut Random::seeded(u64::from(number)));
    id.0[18..].copy_from_slice(&number.to_be_bytes());
    let [high, low] = number.to_be_bytes();
    (id, SocketAddr::from(([100, 200 | high, low, 1], 5004)))
}

fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1_000)
}

fn verify(table: &mut Table, (id, address): (NodeId, SocketAddr), now: Instant) -> Verified {
    table.verified(&Sighting { id, address, caps: 0, rtt: RTT, proven: false }, now)
}

/// As [`verify`], by a proof.
fn prove(table: &mut Table, (id, address): (NodeId, SocketAddr), now: Instant) -> Verified {
    table.verified(&Sighting { id, address, caps: 0, rtt: RTT, proven: true }, now)
}

fn fail(table: &mut Table, id: NodeId, now: Instant) -> bool {
    table.doubt(id, now);
    (0..3).any(|_| table.failed(id, Some(now), now))
}

#[test]
fn random_ids_fall_into_their_bucket() {
    let own = NodeId([0xa5; 20]);
    for bucket in 0..BUCKETS {
        let id = random_in(&own, bucket, &mut Random::seeded(bucket as u64));
        assert_eq!(own.distance(&id).shared_bits() as usize, bucket);
    }
}

/// Chance that always has the same byte.
struct Always(u8);

impl crate::random::Entropy for Always {
    fn fill(&mut self, dest: &mut [u8]) {
        dest.fill(self.0);
    }
}

/// Every bit below those that make the bucket is the bit that chance gave: so all IDs of a bucket are equally likely,
/// its first and its last among them.
#[test]
fn n07_every_id_of_a_bucket_is_equally_likely_to_be_refreshed() {
    let own = NodeId([0xa5; 20]);
    for bucket in 0..BUCKETS {
        for chance in [0x00, 0xff, 0x35, 0xca] {
            let mut expected = [chance; 20];
            for bit in 0..=bucket {
                let mask = 0x80 >> (bit % 8);
                let ours = own.0[bit / 8] & mask;
                let theirs = if bit == bucket { ours ^ mask } else { ours };
                expected[bit / 8] = expected[bit / 8] & !mask | theirs;
            }
            let id = random_in(&own, bucket, &mut Random::new(Always(chance)));
            assert_eq!(id, NodeId(expected), "bucket {bucket}, chance {chance:#x}");
        }
    }
}

/// The same seen from outside, in a bucket of eight IDs of a table whose closest neighbour is that close.
#[test]
fn n07_refreshes_reach_all_eight_ids_of_a_deep_bucket() {
    let (mut random, bucket) = (Random::seeded(7), 156);
    let neighbour = random_in(&OWN, bucket, &mut random);
    let mut counts = BTreeMap::new();
    for _ in 0..400 {
        let mut table = Table::new(OWN, false);
        verify(&mut table, (neighbour, node(0, 1).1), at(0));
        while let Some(target) = table.due_refresh(at(0) + 2 * REFRESH, &mut random) {
            table.searched(&target, at(0) + 2 * REFRESH);
            if table.bucket_of(&target) == bucket {
                *counts.entry(target).or_insert(0) += 1;
            }
        }
    }
    assert_eq!(counts.len(), 8);
    assert!(counts.values().all(|count| (25..=80).contains(count)), "{counts:?}");
}

#[test]
fn f12_a_live_node_is_never_displaced_by_a_newcomer() {
    let mut table = Table::new(OWN, false);
    (0..20).for_each(|number| assert_eq!(verify(&mut table, node(0, number), at(0)), Verified::Inserted));
    for number in 20..200 {
        assert_eq!(verify(&mut table, node(0, number), at(60)), Verified::Waiting);
    }
    (0..20).for_each(|number| assert!(table.find(&node(0, number).0).is_some()));
    assert_eq!((table.len(), table.next_check()), (K, None));
}

#[test]
fn a_bucket_that_is_half_full_takes_proven_newcomers_only() {
    let mut table = Table::new(OWN, true);
    (0..10).for_each(|number| assert_eq!(verify(&mut table, node(0, number), at(0)), Verified::Inserted));
    assert_eq!(verify(&mut table, node(0, 10), at(0)), Verified::Unproven);
    assert_eq!((table.len(), table.waiting()), (10, 1));
    assert_eq!(prove(&mut table, node(0, 10), at(1)), Verified::Inserted);
    assert_eq!((table.len(), table.waiting()), (11, 0));
    assert_eq!(verify(&mut table, node(1, 11), at(1)), Verified::Inserted);
    assert_eq!(verify(&mut table, node(0, 10), at(2)), Verified::Refreshed);
}

#[test]
fn close_to_us_a_newcomer_must_prove_its_id_whatever_the_room() {
    let mut table = Table::new(OWN, true);
    assert_eq!(verify(&mut table, node(15, 1), at(0)), Verified::Inserted);
    assert_eq!(verify(&mut table, node(16, 2), at(0)), Verified::Unproven);
    assert_eq!(prove(&mut table, node(16, 2), at(0)), Verified::Inserted);
}

#[test]
fn who_refuses_a_proof_three_times_loses_its_place_to_a_proven_newcomer_only() {
    let mut table = Table::new(OWN, true);
    (0..10).for_each(|number| _ = verify(&mut table, node(0, number), at(0)));
    (10..20).for_each(|number| _ = prove(&mut table, node(0, number), at(0)));
    let mut asked = Vec::new();
    while let Some(Contact { id, address, .. }) = table.next_to_prove() {
        assert_eq!(prove(&mut table, node(0, 30), at(1)), Verified::Waiting);
        if id == node(0, 4).0 {
            table.gave_no_proof(&id, address);
        } else {
            prove(&mut table, (id, address), at(1));
        }
        asked.push(id);
    }
    assert_eq!(asked.len(), 9 + 3);
    assert_eq!(verify(&mut table, node(0, 31), at(2)), Verified::Unproven);
    assert!(table.find(&node(0, 4).0).is_some());
    assert_eq!(prove(&mut table, node(0, 31), at(2)), Verified::Inserted);
    assert_eq!((table.find(&node(0, 4).0), table.len(), table.unproven.len()), (None, K, 0));
    assert_eq!(prove(&mut table, node(0, 32), at(2)), Verified::Waiting);
}

#[test]
fn a_proven_node_gets_a_second_address_by_a_proof_only() {
    let mut table = Table::new(OWN, true);
    let (id, v4) = node(3, 1);
    let v6: SocketAddr = "[2001:db8::1]:5004".parse().unwrap();
    prove(&mut table, (id, v4), at(0));
    assert_eq!(verify(&mut table, (id, v6), at(1)), Verified::Unproven);
    assert_eq!(table.find(&id).and_then(|contact| contact.other), None);
    assert_eq!(prove(&mut table, (id, v6), at(1)), Verified::Refreshed);
    assert_eq!(table.find(&id).and_then(|contact| contact.other), Some(v6));
}

#[test]
fn a_proven_address_replaces_the_old_one_at_once() {
    let mut table = Table::new(OWN, true);
    let ((id, old), (_, new)) = (node(3, 1), node(3, 2));
    verify(&mut table, (id, old), at(0));
    assert_eq!(verify(&mut table, (id, new), at(60)), Verified::Unproven);
    assert_eq!(table.find(&id).map(|contact| contact.address), Some(old));
    assert_eq!(prove(&mut table, (id, new), at(61)), Verified::Refreshed);
    assert_eq!(table.find(&id).map(|contact| (contact.address, contact.other)), Some((new, None)));
    assert_eq!((table.waiting(), table.next_check()), (0, None));
    assert_eq!(table.nominate(id, old, at(120)), Nomination::Known, "it moves to and fro");
    assert_eq!(table.nominate(id, old, at(121)), Nomination::Wanted);
    table.doubt_stale(0, at(121));
    assert_eq!(table.moved.len(), 0);
}

#[test]
fn who_waits_for_its_old_address_to_fail_does_not_keep_others_waiting() {
    let mut table = Table::new(OWN, false);
    let ((id, old), (_, new)) = (node(0, 1), node(0, 50));
    verify(&mut table, (id, old), at(0));
    verify(&mut table, (id, new), at(60));
    assert_eq!((table.waiting(), table.take_spare()), (1, None));
    assert!(fail(&mut table, id, at(61)));
    assert_eq!(table.take_spare(), Some((id, new)));
}

#[test]
fn a_dead_node_makes_room_for_the_one_that_waits() {
    let mut table = Table::new(OWN, false);
    (0..21).for_each(|number| _ = verify(&mut table, node(0, number), at(0)));
    assert_eq!(table.take_spare(), None);
    assert!(fail(&mut table, node(0, 7).0, at(1)));
    assert_eq!(table.take_spare(), Some(node(0, 20)));
    assert_eq!(verify(&mut table, node(0, 20), at(2)), Verified::Inserted);
}

#[test]
fn a_newcomer_makes_the_longest_silent_node_be_checked() {
    let mut table = Table::new(OWN, false);
    (0..20).for_each(|number| _ = verify(&mut table, node(0, number), at(u64::from(number))));
    let later = at(19) + GOOD;
    assert_eq!(verify(&mut table, node(0, 50), later), Verified::Waiting);
    let due = table.due_checks(later + Duration::from_secs(2));
    assert_eq!(due.iter().map(|contact| contact.id).collect::<Vec<_>>(), [node(0, 0).0]);
}

#[test]
fn three_failures_with_growing_pauses_evict_and_an_answer_clears_them() {
    let mut table = Table::new(OWN, false);
    let (id, address) = node(3, 1);
    verify(&mut table, (id, address), at(0));
    table.doubt(id, at(0));
    assert!(table.due_checks(at(1)).is_empty());
    assert_eq!(table.due_checks(at(2)).len(), 1);
    assert!(!table.failed(id, None, at(3)));
    assert_eq!(table.next_check(), Some(at(7)));
    assert_eq!(table.good(at(3)), 0);
    verify(&mut table, (id, address), at(5));
    assert_eq!((table.good(at(5)), table.next_check()), (1, None));
    assert!(fail(&mut table, id, at(6)));
    assert_eq!(table.len(), 0);
}

#[test]
fn f11_an_address_changes_only_after_the_old_one_failed() {
    let mut table = Table::new(OWN, false);
    let (id, old) = node(3, 1);
    let (_, new) = node(3, 2);
    verify(&mut table, (id, old), at(0));
    assert_eq!(table.nominate(id, new, at(60)), Nomination::Wanted);
    assert_eq!(table.next_check(), None);
    assert_eq!(verify(&mut table, (id, new), at(60)), Verified::Waiting);
    assert_eq!(table.find(&id).map(|contact| contact.address), Some(old));
    assert!(table.due_checks(at(62)).iter().any(|contact| contact.address == old));
    assert!(fail(&mut table, id, at(63)));
    assert_eq!(table.take_spare(), Some((id, new)));
    assert_eq!(verify(&mut table, (id, new), at(64)), Verified::Inserted);
}

#[test]
fn a_node_may_have_an_address_of_each_family() {
    let mut table = Table::new(OWN, false);
    let (id, v4) = node(3, 1);
    let v6: SocketAddr = "[2001:db8::1]:5004".parse().unwrap();
    assert_eq!(verify(&mut table, (id, v4), at(0)), Verified::Inserted);
    assert_eq!(verify(&mut table, (id, v6), at(0)), Verified::Refreshed);
    let contact = table.find(&id).unwrap();
    assert_eq!((table.len(), contact.address, contact.other), (1, v4, Some(v6)));
    let only_v6 = table.closest(&OWN, 5, &|address| address.is_ipv6());
    assert_eq!(only_v6.iter().map(|contact| contact.address).collect::<Vec<_>>(), [v6]);
    table.doubt(id, at(1));
    verify(&mut table, (id, v6), at(2));
    assert_eq!(table.find(&id).map(|contact| contact.address), Some(v6));
}

#[test]
fn few_nodes_of_one_network_are_stored() {
    let mut table = Table::new(OWN, false);
    let same_network = |number: u16| SocketAddr::from(([198, 18, 7, number as u8], 5004));
    for number in 0..100 {
        let (id, _) = node(usize::from(number % 10), number);
        verify(&mut table, (id, same_network(number)), at(0));
    }
    assert_eq!(table.len(), CROWD_PER_TABLE);
    let mut table = Table::new(OWN, false);
    (0..100).for_each(|number| _ = verify(&mut table, (node(0, number).0, same_network(number)), at(0)));
    assert_eq!(table.len(), CROWD_PER_BUCKET);
    let mut table = Table::new(OWN, false);
    (0..100).for_each(|number| _ = verify(&mut table, (node(0, number).0, same_network(1)), at(0)));
    assert_eq!(table.len(), 1);
}

#[test]
fn diversity_does_not_matter_on_loopback_and_in_private_networks() {
    for first in [[127, 0, 0, 1], [192, 168, 1, 1]] {
        let mut table = Table::new(OWN, false);
        for number in 0..20_u16 {
            let address = SocketAddr::from((first, 5_000 + number));
            assert_eq!(verify(&mut table, (node(0, number).0, address), at(0)), Verified::Inserted);
        }
    }
}

#[test]
fn a_network_of_a_million_fits_ten_kilobytes() {
    let (mut table, mut random) = (Table::new(OWN, true), Random::seeded(1));
    for number in 0..330 {
        prove(&mut table, node(usize::from(number) / 20, number), at(0));
    }
    (0..17).for_each(|bucket| table.searched(&random_in(&OWN, bucket, &mut random), at(0)));
    let (bytes, waiting) = table.bytes();
    assert_eq!((table.len(), waiting), (330, 0));
    println!("330 nodes take {bytes} bytes");
    assert!(bytes <= 10 * 1024, "{bytes}");
}

#[test]
fn silent_buckets_are_refreshed_one_after_another() {
    let (mut table, mut random) = (Table::new(OWN, false), Random::seeded(1));
    (0..4).for_each(|bucket| _ = verify(&mut table, node(bucket, bucket as u16), at(0)));
    let mut due = Vec::new();
    while let Some(target) = table.due_refresh(at(0), &mut random) {
        table.searched(&target, at(0));
        due.push(table.bucket_of(&target));
    }
    assert_eq!(due, [0, 1, 2, 3]);
    assert_eq!(table.due_refresh(at(0) + GOOD, &mut random), None);
    assert!(table.due_refresh(at(8) + GOOD, &mut random).is_some());
}

#[test]
fn buckets_with_room_are_refreshed_hourly_even_when_alive() {
    let (mut table, mut random) = (Table::new(OWN, false), Random::seeded(1));
    verify(&mut table, node(0, 1), at(0));
    table.searched(&node(0, 1).0, at(0));
    for minutes in 0..60 {
        verify(&mut table, node(0, 1), at(minutes * 60));
        assert_eq!(table.due_refresh(at(minutes * 60), &mut random), None);
    }
    assert!(table.due_refresh(at(3_608), &mut random).is_some());
}

#[test]
fn nobody_is_dropped_while_nobody_at_all_is_heard() {
    let mut table = Table::new(OWN, false);
    verify(&mut table, node(0, 1), at(0));
    table.doubt(node(0, 1).0, at(10));
    for check in 1..50 {
        assert!(!table.failed(node(0, 1).0, Some(at(9)), at(10 + check * 12)));
    }
    assert_eq!((table.len(), table.good(at(700))), (1, 0));
    assert!(table.failed(node(0, 1).0, Some(at(11)), at(700)));
}

#[test]
fn the_network_size_is_estimated_within_a_factor_of_two() {
    let (mut table, mut random) = (Table::new(OWN, false), Random::seeded(3));
    for number in 0..2_000_u32 {
        let [_, high, low, last] = number.to_be_bytes();
        let address = SocketAddr::from(([20 + high, low, last, 1], 5004));
        verify(&mut table, (NodeId(random.bytes()), address), at(0));
    }
    assert!((1_000..4_000).contains(&table.network_size()), "{}", table.network_size());
}

proptest! {
    /// Whatever happens to a table, it stays sorted, bounded and diverse, and knows the closest nodes.
    #[test]
    fn the_buckets_keep_their_invariants(is_strict in any::<bool>(), steps in proptest::collection::vec((0..8_u8, 0..12_usize, 0..60_u16), 1..300)) {
        let mut table = Table::new(OWN, is_strict);
        for (time, (action, bucket, number)) in steps.into_iter().enumerate() {
            let (id, address) = node(bucket, number);
            let now = at(time as u64 * 10);
            match action {
                0 | 1 => _ = verify(&mut table, (id, address), now),
                2 => _ = table.nominate(id, address, now),
                3 => _ = fail(&mut table, id, now),
                4 => table.gave_no_proof(&id, address),
                5 => _ = prove(&mut table, (id, address), now),
                6 => table.doubt_stale(3, now),
                _ => _ = table.take_spare(),
            }
        }
        let buckets: Vec<usize> = table.rows.iter().map(|row| table.bucket_of(&row.id)).collect();
        prop_assert!(buckets.is_sorted());
        for bucket in 0..BUCKETS {
            prop_assert!(table.bucket(bucket).len() <= K);
            prop_assert!(table.spares.buckets().filter(|waiting| *waiting == bucket).count() <= crate::routing::spares::SPARES);
        }
        prop_assert!(table.unproven.iter().all(|(id, _)| table.row(id).is_some_and(|row| !row.is_proven())));
        prop_assert!(table.suspects.iter().all(|(id, _)| table.find(id).is_some()));
        prop_assert_eq!(table.rows.iter().filter(|row| row.has_v6()).count(), table.v6.len());
    }

    /// Whatever others say and do in their own names or in his, a node that answers from its address keeps its place
    /// and its address.
    #[test]
    fn a_live_node_is_never_displaced(
        is_strict in any::<bool>(),
        bucket in 0..18_usize,
        steps in proptest::collection::vec((0..8_u8, any::<bool>(), 1..60_u16, 1..90_u64), 1..300),
    ) {
        let mut table = Table::new(OWN, is_strict);
        let (live, home) = node(bucket, 0);
        let mut time = 0;
        prove(&mut table, (live, home), at(0));
        for (action, in_his_name, number, seconds) in steps {
            time += seconds;
            let (other, address) = node(bucket, number);
            let id = if in_his_name { live } else { other };
            match action {
                0..=2 => _ = verify(&mut table, (id, address), at(time)),
                3 => _ = prove(&mut table, (other, address), at(time)),
                4 => _ = table.nominate(id, address, at(time)),
                5 => table.gave_no_proof(&id, address),
                6 if !in_his_name => _ = fail(&mut table, other, at(time)),
                6 => table.expel(address),
                _ => _ = table.take_spare(),
            }
            table.doubt_stale(4, at(time));
            for checked in table.due_checks(at(time)) {
                if checked.id == live {
                    prop_assert_eq!(checked.address, home);
                    verify(&mut table, (live, home), at(time));
                }
            }
            prop_assert_eq!(table.find(&live).map(|contact| (contact.address, contact.other)), Some((home, None)));
        }
    }

    /// The walk through the buckets gives the same as sorting all nodes.
    #[test]
    fn the_closest_nodes_are_the_closest(target in any::<[u8; 20]>(), own in any::<[u8; 20]>(), shared in 0..160_usize) {
        let mut table = Table::new(NodeId(own), false);
        let mut random = Random::seeded(9);
        let target = if shared % 2 == 0 { NodeId(target) } else { random_in(&NodeId(own), shared, &mut random) };
        for number in 0..100_u8 {
            let id = random_in(&NodeId(own), usize::from(number % 12), &mut random);
            verify(&mut table, (id, SocketAddr::from(([20, number, 1, 1], 5004))), at(0));
        }
        let mut all: Vec<NodeId> = table.rows.iter().map(|row| row.id).collect();
        all.sort_by_key(|id| id.distance(&target));
        let closest: Vec<NodeId> = table.closest(&target, K, &|_| true).iter().map(|contact| contact.id).collect();
        prop_assert_eq!(closest, &all[..K.min(all.len())]);
    }
}
