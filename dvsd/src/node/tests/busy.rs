// SPDX-License-Identifier: GPL-3.0-or-later
//! Three people and one line, as whole nodes.

use super::*;
use crate::wire::control::Frame;

/// Four nodes; the first is the overlay, the others have each other as contacts. Bert (2) talks to Carol (3).
fn bert_talks_to_carol() -> Net {
    let mut net = Net::new(4, UnknownCallers::Silent);
    let names = ["", "Anna", "Bert", "Carol"];
    for (index, other) in [(1, 2), (2, 1), (2, 3), (3, 2)] {
        let (target, now) = (net.hosts[other].id().to_string(), net.now);
        net.command(index, |node| node.add_contact(names[other], &target, now)).unwrap();
    }
    net.dial(3, 2);
    net.run(Duration::from_secs(1));
    net.answer(2);
    net.run(Duration::from_secs(1));
    assert_eq!(net.hosts[3].call().state, State::Active);
    net
}

/// Anna calls Bert.
fn anna_calls(net: &mut Net, tries: u8, wait: bool) -> CallNumber {
    let (peer, now) = (net.hosts[2].id(), net.now);
    let options = DialOptions { tries: Some(tries), wait };
    let number = net.command(1, |node| node.dial(peer, None, Hints::default(), options, now)).unwrap();
    net.run(Duration::from_secs(2));
    number
}

fn hang_up(net: &mut Net, index: usize) {
    let now = net.now;
    net.command(index, |node| node.hang_up(None, now)).unwrap();
    net.run(Duration::from_secs(1));
}

#[test]
fn f26_who_calls_somebody_who_talks_waits_and_is_connected_when_the_line_is_free() {
    let mut net = bert_talks_to_carol();
    let call = anna_calls(&mut net, 1, false);
    assert_eq!((net.hosts[1].call().state, net.hosts[1].call().can_wait), (State::Busy, true));
    assert_eq!(net.hosts[2].call().state, State::Busy, "Bert sees call waiting");
    let now = net.now;
    net.command(1, |node| node.wait(Some(call), true, now)).unwrap();
    net.run(Duration::from_secs(1));
    assert_eq!(net.hosts[1].call().state, State::Waiting);
    let until = net.hosts[1].call().until.unwrap();
    assert!((100..=120).contains(&until.mono.since(net.now.mono).as_secs()));
    // Far longer than sessions without a call are kept, and than a place holds.
    net.run(Duration::from_secs(600));
    assert_eq!((net.hosts[1].call().state, net.hosts[2].call().state), (State::Waiting, State::Waiting));
    hang_up(&mut net, 2);
    assert_eq!((net.hosts[1].call().state, net.hosts[2].call().state), (State::Ringing, State::Alerting));
    assert!(net.hosts[1].sound.is_empty() && net.hosts[2].sound.is_empty());
    net.answer(2);
    net.run(Duration::from_secs(1));
    assert_eq!((net.hosts[1].call().state, net.hosts[2].call().state), (State::Active, State::Active));
    net.speak(1, 10);
    assert_eq!(net.hosts[2].played.len(), 10);
}

#[test]
fn a_busy_peer_is_tried_as_often_as_was_said_and_found_free_in_the_end() {
    let mut net = bert_talks_to_carol();
    anna_calls(&mut net, 3, false);
    net.run(Duration::from_secs(30));
    assert_eq!((net.hosts[1].call().state, net.hosts[1].call().attempt), (State::Busy, 2));
    hang_up(&mut net, 3);
    net.run(Duration::from_secs(30));
    assert_eq!(net.hosts[1].call().state, State::Ringing);
    assert_eq!((net.hosts[2].call().state, net.hosts[2].call().attempt), (State::Alerting, 3));
}

#[test]
fn two_calls_are_switched_and_only_one_is_heard() {
    let mut net = bert_talks_to_carol();
    anna_calls(&mut net, 1, true);
    net.answer(2);
    net.run(Duration::from_secs(1));
    for (anna, carol) in [(State::Active, State::Held), (State::Held, State::Active), (State::Active, State::Held)] {
        assert_eq!((net.hosts[1].call().state, net.hosts[3].call().state), (anna, carol));
        assert_eq!(net.hosts[2].sound.len(), 1);
        let heard = net.hosts[2].played.len();
        net.speak(1, 5);
        net.speak(3, 5);
        assert_eq!(net.hosts[2].played.len() - heard, 5, "whoever is held is not heard");
        let now = net.now;
        net.command(2, |node| node.switch(None, now)).unwrap();
        net.run(Duration::from_secs(1));
    }
    hang_up(&mut net, 2);
    assert_eq!(net.hosts[3].call().cause, Some(EndCause::PeerHungUp));
    assert_eq!(net.hosts[1].call().state, State::Held);
}

#[test]
fn do_not_disturb_holds_for_those_who_wait_too() {
    let mut net = bert_talks_to_carol();
    anna_calls(&mut net, 1, true);
    let now = net.now;
    net.command(2, |node| node.set_do_not_disturb(true, now));
    hang_up(&mut net, 3);
    assert_eq!(net.hosts[2].call().state, State::Waiting);
    let now = net.now;
    net.command(2, |node| node.set_do_not_disturb(false, now));
    assert_eq!(net.hosts[2].call().state, State::Alerting);
}

#[test]
fn a_peer_that_plays_the_other_side_of_its_call_is_shut_out_at_the_third_time() {
    let mut net = bert_talks_to_carol();
    let key = crate::call::CallKey { local: super::super::MAIN, peer: net.hosts[2].id() };
    let carol = &mut net.hosts[3].node;
    let session = carol.sessions.session_of(key.local, key.peer).unwrap();
    let call_id = carol.calls.call_id(key).unwrap();
    for (count, state) in [(1, State::Active), (2, State::Active), (3, State::Ended)] {
        let now = net.now;
        net.hosts[3].node.sessions.send(session, &Frame::CallAnswer { call_id }, now);
        net.input(3, Input::Timeout);
        net.run(Duration::from_secs(1));
        assert_eq!(net.hosts[2].call().state, state, "after {count}");
    }
    assert_eq!(net.hosts[2].call().cause, Some(EndCause::Protocol));
    assert!(net.hosts[2].sound.is_empty());
    net.dial(3, 2);
    net.run(Duration::from_secs(10));
    assert_eq!(net.hosts[2].calls.len(), 1, "nothing is heard of it");
}
