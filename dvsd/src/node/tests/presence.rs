// SPDX-License-Identifier: GPL-3.0-or-later
//! Who of the contacts can be reached, and what it costs to know.

use super::*;
use crate::node::presence::{GAP, REST};

const NOBODY: NodeId = NodeId([0x42; 20]);

/// Three nodes; the last knows the second as Bert and somebody who is not there as Carl.
fn watched() -> Net {
    let mut net = Net::new(3, UnknownCallers::Ring);
    for (name, peer) in [("Bert", net.hosts[1].id()), ("Carl", NOBODY)] {
        let now = net.now;
        net.command(2, |node| node.add_contact(name, &peer.to_string(), now)).unwrap();
    }
    net
}

fn last(net: &Net, peer: NodeId) -> Presence {
    let told = net.hosts[2].presence.iter().rev().find(|(id, _)| *id == peer).map(|(_, presence)| *presence);
    let known = net.hosts[2].node.presence(peer);
    assert_eq!(told.unwrap_or(Presence::Unknown), known, "what is known was told");
    known
}

/// How many searches were begun.
fn searches(net: &Net) -> u64 {
    let status = net.hosts[2].node.routing_status(net.now);
    status.found + status.not_found
}

#[test]
fn who_looks_learns_who_is_there() {
    let mut net = watched();
    let bert = net.hosts[1].id();
    net.run(Duration::from_secs(600));
    assert!(net.hosts[2].presence.is_empty() && searches(&net) == 0, "nobody looks");
    net.input(2, Input::Attended(true));
    net.run(Duration::from_secs(1));
    assert_eq!(searches(&net), 0, "whoever only passes by costs nothing");
    net.run(Duration::from_secs(29));
    let Presence::Online { rtt } = last(&net, bert) else { panic!("{:?}", last(&net, bert)) };
    assert_eq!(rtt, 2 * DELAY);
    assert_eq!(last(&net, NOBODY), Presence::Offline);
    assert!(net.hosts[1].calls.is_empty(), "nobody is disturbed");
}

#[test]
fn every_contact_is_asked_for_once_in_five_minutes_and_only_while_somebody_looks() {
    let mut net = watched();
    net.input(2, Input::Attended(true));
    net.run(Duration::from_secs(30));
    assert_eq!(searches(&net), 2);
    for _ in 0..10 {
        net.input(2, Input::Attended(false));
        net.input(2, Input::Attended(true));
        net.run(Duration::from_secs(20));
    }
    assert_eq!(searches(&net), 2, "coming and going does not help");
    net.run(REST);
    assert_eq!(searches(&net), 4);
    net.input(2, Input::Attended(false));
    net.run(4 * REST);
    assert_eq!(searches(&net), 4);
}

#[test]
fn a_long_list_of_contacts_is_asked_for_in_turns() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    for number in 0..200_u8 {
        let (peer, now) = (NodeId([number; 20]), net.now);
        net.command(2, |node| node.add_contact(&format!("contact {number}"), &peer.to_string(), now)).unwrap();
    }
    net.input(2, Input::Attended(true));
    let most = |span: Duration| (span.as_secs() / GAP.as_secs()) as usize;
    let mut before = net.hosts[2].node.watch.searches.len();
    for _ in 0..60 {
        net.run(GAP);
        let now = net.hosts[2].node.watch.searches.len();
        assert!(now <= before + 1 && now <= 8, "one at a time, and eight together: {now} after {before}");
        before = now;
    }
    net.run(REST);
    assert!(searches(&net) <= most(REST + 60 * GAP) as u64);
    net.run(2 * REST);
    let asked = net.hosts[2].presence.iter().filter(|(_, presence)| *presence == Presence::Offline).count();
    assert!(asked == 200, "{asked} had their turn");
}

#[test]
fn a_session_that_stands_says_that_somebody_is_there() {
    let mut net = watched();
    let bert = net.hosts[1].id();
    net.input(2, Input::Attended(true));
    net.dial(1, 2);
    net.run(Duration::from_secs(1));
    let before = searches(&net);
    net.run(Duration::from_secs(5));
    assert!(matches!(last(&net, bert), Presence::Online { .. }));
    assert!(searches(&net) <= before + 1, "at most Carl was asked for");
}

#[test]
fn neither_the_blocked_nor_those_with_another_key_are_asked_for() {
    let mut net = watched();
    let bert = net.hosts[1].id();
    net.input(2, Input::Attended(true));
    net.run(Duration::from_secs(30));
    let now = net.now;
    net.command(2, |node| node.block("Bert", true, now)).unwrap();
    assert_eq!(last(&net, bert), Presence::Unknown, "what was known is forgotten");
    net.hosts[2].node.people.key_changed(NOBODY);
    net.input(2, Input::Timeout);
    assert_eq!(last(&net, NOBODY), Presence::Unknown);
    let before = searches(&net);
    net.run(3 * REST);
    assert_eq!(searches(&net), before);
}

/// A node that knows Carl only, who is looked for through an overlay that does not answer any more.
fn searching_in_vain(attended: bool) -> Net {
    let mut net = Net::new(3, UnknownCallers::Ring);
    let now = net.now;
    net.command(2, |node| node.add_contact("Carl", &NOBODY.to_string(), now)).unwrap();
    net.loss = 1_000;
    net.input(2, Input::Attended(attended));
    net.run(GAP + Duration::from_secs(1));
    assert_eq!(net.hosts[2].node.routing.is_searching(NOBODY), attended);
    net
}

/// How long a call to Carl lasts.
fn patience(net: &mut Net) -> Duration {
    let (began, now) = (net.now.mono, net.now);
    net.command(2, |node| node.dial(NOBODY, None, Hints::default(), DialOptions::default(), now)).unwrap();
    while net.hosts[2].call().cause.is_none() {
        net.run(Duration::from_millis(50));
    }
    net.now.mono.since(began)
}

#[test]
fn a_call_has_the_whole_time_for_its_own_search() {
    let (alone, beside) = (patience(&mut searching_in_vain(false)), patience(&mut searching_in_vain(true)));
    assert!(10 * beside > 8 * alone, "{beside:?} instead of {alone:?}");
}

#[test]
fn a_lookup_asked_for_by_the_user_is_answered_and_so_is_presence() {
    let mut net = watched();
    let (bert, now) = (net.hosts[1].id(), net.now);
    net.input(2, Input::Attended(true));
    net.run(GAP);
    net.command(2, |node| node.look_up(bert, Hints::default(), now)).unwrap();
    net.run(Duration::from_secs(25));
    assert_eq!(net.hosts[2].looked_up.iter().filter(|lookup| lookup.missing.is_none()).count(), 1);
    assert!(matches!(last(&net, bert), Presence::Online { .. }));
    assert!(!net.hosts[2].node.found.contains_key(&bert), "nothing is kept for a call that is not made");
}

#[test]
fn when_nobody_looks_any_more_no_search_goes_on() {
    let mut net = searching_in_vain(true);
    net.input(2, Input::Attended(false));
    assert!(!net.hosts[2].node.routing.is_searching(NOBODY));
}

#[test]
fn without_an_overlay_nothing_is_known_of_anybody() {
    let mut net = Net::new(1, UnknownCallers::Ring);
    let now = net.now;
    net.command(0, |node| node.add_contact("Carl", &NOBODY.to_string(), now)).unwrap();
    net.input(0, Input::Attended(true));
    net.run(Duration::from_secs(60));
    assert_eq!(net.hosts[0].node.presence(NOBODY), Presence::Unknown);
    let status = net.hosts[0].node.routing_status(net.now);
    assert!(status.found + status.not_found <= 2, "and it is not asked every two seconds");
}

#[test]
fn a_contact_who_is_not_there_costs_a_bounded_number_of_packets() {
    let mut net = Net::new(40, UnknownCallers::Ring);
    net.run(Duration::from_secs(300));
    let now = net.now;
    net.command(2, |node| node.add_contact("Carl", &NOBODY.to_string(), now)).unwrap();
    let mut spent = |attended: bool| {
        net.input(2, Input::Attended(attended));
        let before = (net.hosts[2].sent, net.hosts[2].sent_bytes);
        net.run(Duration::from_secs(25));
        (net.hosts[2].sent - before.0, net.hosts[2].sent_bytes - before.1)
    };
    let (at_rest, looking) = (spent(false), spent(true));
    println!("sent at rest {at_rest:?}, while looking {looking:?} (datagrams, bytes in 25 s)");
    assert!(looking.0 > at_rest.0 && looking.0 - at_rest.0 <= 120, "{looking:?} {at_rest:?}");
}
