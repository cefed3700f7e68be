// SPDX-License-Identifier: GPL-3.0-or-later
//! Who may ring, who is answered, and who somebody is: what people chose, as whole nodes carry it out.

use super::*;
use crate::people::{Target, Trust};
use crate::session::SessionEvent;
use crate::wire::control::Frame;

/// Three nodes; the first is the overlay, the others add each other to their contacts as Anna (1) and Bert (2).
fn friends() -> Net {
    let mut net = Net::new(3, UnknownCallers::Ring);
    add(&mut net, 1, 2, "Bert");
    add(&mut net, 2, 1, "Anna");
    net
}

fn add(net: &mut Net, index: usize, other: usize, name: &str) {
    let (target, now) = (net.hosts[other].id().to_string(), net.now);
    net.command(index, |node| node.add_contact(name, &target, now)).unwrap();
}

/// Host 1 calls host 2, which answers.
fn talk(net: &mut Net) {
    net.dial(1, 2);
    net.run(Duration::from_secs(1));
    net.answer(2);
    net.run(Duration::from_millis(300));
    assert_eq!(net.hosts[1].call().state, State::Active);
}

fn hang_up(net: &mut Net, index: usize) {
    let now = net.now;
    net.command(index, |node| node.hang_up(None, now)).unwrap();
    net.run(Duration::from_secs(1));
}

fn start(net: &mut Net, index: usize) -> Result<CallNumber, VerifyError> {
    let now = net.now;
    net.command(index, |node| node.verify_start(None, now))
}

fn done(net: &mut Net, index: usize, matches: bool) -> Result<CallNumber, VerifyError> {
    let now = net.now;
    net.command(index, |node| node.verify_done(None, matches, now))
}

fn verified(net: &Net, index: usize) -> Option<VerifyState> {
    net.hosts[index].verified.last().map(|(_, state)| *state)
}

/// What the user of `index` knows the other one's key to be.
fn trust(net: &Net, index: usize) -> Trust {
    net.hosts[index].node.people().trust_of(net.hosts[3 - index].id())
}

#[test]
fn two_who_read_the_same_words_mark_each_other_verified_each_for_himself() {
    for starters in [&[1][..], &[2], &[1, 2]] {
        let mut net = friends();
        talk(&mut net);
        for index in starters {
            start(&mut net, *index).unwrap();
            assert_eq!(verified(&net, *index), Some(VerifyState::Exchanging));
        }
        net.run(Duration::from_millis(200));
        let (Some(VerifyState::Compare(ours)), Some(VerifyState::Compare(theirs))) =
            (verified(&net, 1), verified(&net, 2))
        else {
            panic!("{:?}", net.hosts[1].verified)
        };
        assert_eq!((ours.words(), ours.digits()), (theirs.words(), theirs.digits()));
        assert_eq!(trust(&net, 1), Trust::Seen, "nothing is verified before the user says so");
        done(&mut net, 1, true).unwrap();
        assert_eq!((trust(&net, 1), trust(&net, 2)), (Trust::Verified, Trust::Seen));
        assert_eq!(
            (verified(&net, 1), verified(&net, 2)),
            (Some(VerifyState::Matched), Some(VerifyState::Compare(ours)))
        );
        done(&mut net, 2, true).unwrap();
        assert_eq!(trust(&net, 2), Trust::Verified);
        assert_eq!(net.hosts[1].call().state, State::Active, "the call goes on");
    }
}

#[test]
fn words_that_differ_end_the_call_and_the_contact_is_not_trusted_any_more() {
    let mut net = friends();
    talk(&mut net);
    start(&mut net, 1).unwrap();
    net.run(Duration::from_millis(200));
    done(&mut net, 1, false).unwrap();
    net.run(Duration::from_secs(1));
    assert_eq!(verified(&net, 1), Some(VerifyState::Differs));
    assert_eq!((trust(&net, 1), net.hosts[1].call().cause), (Trust::Changed, Some(EndCause::HungUp)));
    let target = net.hosts[1].node.people().resolve("Bert").unwrap().target;
    assert_eq!(target, Target::Changed, "and is not called before that is settled");
    assert_eq!(trust(&net, 2), Trust::Seen, "the other user has not said anything");
    assert_eq!(verified(&net, 2), Some(VerifyState::Failed), "the call is over");
}

#[test]
fn there_is_nothing_to_compare_without_an_answered_call() {
    let mut net = friends();
    assert_eq!(start(&mut net, 1), Err(VerifyError::NoSuchCall));
    net.dial(1, 2);
    net.run(Duration::from_secs(1));
    let number = net.hosts[2].call().number;
    let now = net.now;
    let refused = net.command(2, |node| node.verify_start(Some(number), now));
    assert_eq!(refused, Err(VerifyError::NotTalking(number)));
    net.answer(2);
    net.run(Duration::from_millis(300));
    assert_eq!(done(&mut net, 2, true), Err(VerifyError::NothingShown(number)));
    assert_eq!(trust(&net, 2), Trust::Seen);
}

#[test]
fn a_stranger_is_compared_with_too_and_marked_once_it_is_a_contact() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    talk(&mut net);
    start(&mut net, 2).unwrap();
    net.run(Duration::from_millis(200));
    assert_eq!(done(&mut net, 2, true), Err(VerifyError::NotContact));
    add(&mut net, 2, 1, "Anna");
    done(&mut net, 2, true).unwrap();
    assert_eq!(trust(&net, 2), Trust::Verified);
}

#[test]
fn a_verification_whose_peer_falls_silent_fails_after_five_seconds_and_may_begin_anew() {
    let mut net = friends();
    talk(&mut net);
    net.loss = 1_000;
    start(&mut net, 1).unwrap();
    net.run(Duration::from_millis(4_900));
    assert_eq!(verified(&net, 1), Some(VerifyState::Exchanging));
    net.run(Duration::from_millis(200));
    assert_eq!(verified(&net, 1), Some(VerifyState::Failed));
    let number = net.hosts[1].call().number;
    assert_eq!(done(&mut net, 1, true), Err(VerifyError::NothingShown(number)));
    net.loss = 0;
    // What was begun comes through late, and is given up on the other side, too.
    net.run(Duration::from_secs(8));
    assert_eq!(verified(&net, 2), Some(VerifyState::Failed));
    start(&mut net, 2).unwrap();
    net.run(Duration::from_secs(1));
    assert!(matches!(verified(&net, 1), Some(VerifyState::Compare(_))), "{:?}", net.hosts[1].verified);
    assert_eq!(verified(&net, 1), verified(&net, 2));
}

#[test]
fn a_verification_ends_with_its_call() {
    let mut net = friends();
    talk(&mut net);
    start(&mut net, 1).unwrap();
    net.run(Duration::from_millis(200));
    hang_up(&mut net, 2);
    assert_eq!((verified(&net, 1), verified(&net, 2)), (Some(VerifyState::Failed), Some(VerifyState::Failed)));
    talk(&mut net);
    assert_eq!(net.hosts[1].node.verification(), None, "the next call has nothing to do with it");
    let number = net.hosts[1].call().number;
    assert_eq!(done(&mut net, 1, true), Err(VerifyError::NothingShown(number)));
}

#[test]
fn who_tries_to_choose_the_words_is_seen_each_time_and_shut_out_after_the_third() {
    let mut net = friends();
    talk(&mut net);
    let peer = net.hosts[2].id();
    for attempt in 1..=3 {
        let now = net.now;
        for frame in [Frame::VerifyCommit { commitment: [1; 32] }, Frame::VerifyReveal { nonce: [2; 16] }] {
            let node = &mut net.hosts[1].node;
            let session = node.sessions.session_of(super::super::MAIN, peer).unwrap();
            node.sessions.send(session, &frame, now);
            net.input(1, Input::Timeout);
            net.run(Duration::from_millis(100));
        }
        let ended = net.hosts[2].call().cause;
        assert_eq!(ended, (attempt == 3).then_some(EndCause::Protocol), "attempt {attempt}");
        assert_eq!(verified(&net, 2), Some(VerifyState::Failed));
    }
    assert_eq!(net.hosts[2].node.drops().get("violation"), Some(&3));
    net.run(Duration::from_secs(5));
    net.dial(1, 2);
    net.run(Duration::from_secs(10));
    assert_eq!(net.hosts[2].call().cause, Some(EndCause::Protocol), "no further call comes in");
    assert_eq!(trust(&net, 2), Trust::Seen, "whose words they are not, nobody verified");
}

/// Takes the packets on their way to `from`, who is one half of somebody in the middle, and has the other half `to` pass on
/// the frames in them to `victim`.
fn pass_on(net: &mut Net, from: usize, to: usize, victim: usize) {
    let (address, now, peer) = (net.hosts[from].address, net.now, net.hosts[victim].id());
    let (caught, others) = std::mem::take(&mut net.flying).into_iter().partition(|(_, _, at, _)| *at == address);
    net.flying = others;
    for (_, source, _, mut datagram) in caught {
        let sessions = &mut net.hosts[from].node.sessions;
        let _ = sessions.handle(Path::direct(source), &mut datagram, now, &mut net.random);
        let frames: Vec<Frame> = core::iter::from_fn(|| sessions.poll_event())
            .filter_map(|event| if let SessionEvent::Frame { frame, .. } = event { Some(frame) } else { None })
            .collect();
        let sessions = &mut net.hosts[to].node.sessions;
        let session = sessions.session_of(super::super::MAIN, peer).unwrap();
        frames.iter().for_each(|frame| sessions.send(session, frame, now));
    }
    net.input(from, Input::Timeout);
    net.input(to, Input::Timeout);
}

#[test]
fn frames_passed_on_by_a_man_in_the_middle_show_two_different_strings() {
    let (anna, to_anna, to_bert, bert) = (1, 2, 3, 4);
    let mut net = Net::new(5, UnknownCallers::Ring);
    for (caller, callee) in [(anna, to_anna), (to_bert, bert)] {
        net.dial(caller, callee);
        net.run(Duration::from_secs(1));
        net.answer(callee);
        net.run(Duration::from_secs(1));
    }
    start(&mut net, anna).unwrap();
    for _ in 0..100 {
        pass_on(&mut net, to_anna, to_bert, bert);
        pass_on(&mut net, to_bert, to_anna, anna);
        net.run(DELAY / 2);
    }
    let (Some(VerifyState::Compare(hers)), Some(VerifyState::Compare(his))) =
        (verified(&net, anna), verified(&net, bert))
    else {
        panic!("{:?} {:?}", net.hosts[anna].verified, net.hosts[bert].verified)
    };
    assert_ne!(hers, his);
    assert!(net.hosts[to_anna].verified.is_empty(), "he saw every frame");
}

#[test]
fn p01_an_intercom_answers_its_contact_with_an_announcement_and_says_so() {
    let mut net = friends();
    let now = net.now;
    assert!(net.command(2, |node| node.set_auto_answer("Anna", true, now)).is_err(), "no key is known yet");
    talk(&mut net);
    hang_up(&mut net, 1);
    let now = net.now;
    assert!(net.command(2, |node| node.set_auto_answer("Anna", true, now)).unwrap().auto_answer);
    net.dial(1, 2);
    net.run(Duration::from_secs(1));
    let call = *net.hosts[2].call();
    assert_eq!((call.state, net.hosts[2].announced.as_slice()), (State::Active, &[call.number][..]));
    assert_eq!(net.hosts[2].unasked, [call.number]);
    assert!(net.hosts[1].announced.is_empty(), "who dials knows");
    for on in [true, false] {
        let now = net.now;
        net.command(1, |node| node.hold(None, Some(on), now)).unwrap();
        net.run(Duration::from_secs(1));
    }
    assert_eq!((net.hosts[2].sound.len(), net.hosts[2].announced.len()), (1, 1), "once per call");
}

#[test]
fn p01_an_intercom_lets_a_contact_whose_key_changed_ring() {
    let mut net = friends();
    talk(&mut net);
    hang_up(&mut net, 1);
    let now = net.now;
    net.command(2, |node| node.set_auto_answer("Anna", true, now)).unwrap();
    talk_of_differing_words(&mut net);
    net.dial(1, 2);
    net.run(Duration::from_secs(1));
    assert_eq!(net.hosts[2].call().state, State::Alerting);
    assert!(net.hosts[2].sound.is_empty());
}

/// Host 2 says that the words differ.
fn talk_of_differing_words(net: &mut Net) {
    net.dial(1, 2);
    net.run(Duration::from_secs(1));
    start(net, 2).unwrap();
    net.run(Duration::from_millis(200));
    done(net, 2, false).unwrap();
    net.run(Duration::from_secs(1));
    assert_eq!(trust(net, 2), Trust::Changed);
}

#[test]
fn p01_an_intercom_in_a_call_answers_nobody_else() {
    let mut net = Net::new(4, UnknownCallers::Ring);
    add(&mut net, 2, 1, "Anna");
    add(&mut net, 2, 3, "Carl");
    for caller in [1, 3] {
        net.dial(caller, 2);
        net.run(Duration::from_secs(1));
        net.answer(2);
        net.run(Duration::from_millis(300));
        hang_up(&mut net, caller);
    }
    for name in ["Anna", "Carl"] {
        let now = net.now;
        net.command(2, |node| node.set_auto_answer(name, true, now)).unwrap();
    }
    net.hosts[2].announced.clear();
    net.dial(1, 2);
    net.run(Duration::from_secs(1));
    net.dial(3, 2);
    net.run(Duration::from_secs(1));
    assert_eq!((net.hosts[2].sound.len(), net.hosts[2].announced.len()), (1, 1));
    assert!(net.hosts[3].sound.is_empty());
}

#[test]
fn who_is_not_to_be_disturbed_misses_the_call_of_a_contact_who_hears_it_ring() {
    let mut net = friends();
    let now = net.now;
    net.command(2, |node| node.set_do_not_disturb(true, now));
    let policy = Policy { do_not_disturb: true, unknown_callers: UnknownCallers::Ring };
    assert_eq!((net.hosts[2].policies.as_slice(), net.hosts[2].node.policy()), (&[policy][..], policy));
    net.dial(1, 2);
    net.run(Duration::from_secs(2));
    assert_eq!(net.hosts[1].call().state, State::Ringing);
    assert!(net.hosts[2].calls.is_empty(), "nobody hears it");
    hang_up(&mut net, 1);
    assert_eq!(net.hosts[2].call().cause, Some(EndCause::Missed));
    let now = net.now;
    net.command(2, |node| node.set_do_not_disturb(false, now));
    net.dial(1, 2);
    net.run(Duration::from_secs(2));
    assert_eq!(net.hosts[2].call().state, State::Alerting);
}

#[test]
fn d31_an_unknown_caller_is_unheard_refused_or_rings_as_is_chosen_while_the_daemon_runs() {
    let mut net = Net::new(3, UnknownCallers::Silent);
    net.dial(1, 2);
    net.run(Duration::from_secs(1));
    assert_eq!((net.hosts[1].call().state, net.hosts[2].calls.len()), (State::Ringing, 0), "heard by the caller only");
    hang_up(&mut net, 1);
    assert_eq!(net.hosts[2].call().cause, Some(EndCause::Missed));

    let now = net.now;
    net.command(2, |node| node.set_unknown_callers(UnknownCallers::Reject, now));
    net.dial(1, 2);
    net.run(Duration::from_millis(1_000));
    assert_eq!(net.hosts[1].call().state, State::Calling, "a refusal takes its time");
    net.run(Duration::from_secs(3));
    assert_eq!(net.hosts[1].call().cause, Some(EndCause::Declined));

    let now = net.now;
    net.command(2, |node| node.set_unknown_callers(UnknownCallers::Ring, now));
    for ring in 0..4 {
        net.dial(1, 2);
        net.run(Duration::from_secs(1));
        assert_eq!(net.hosts[1].call().state, State::Ringing);
        let rings = net.hosts[2].node.ringing().is_some();
        assert_eq!(rings, ring < 3, "ring {ring}");
        hang_up(&mut net, 1);
    }
}

#[test]
fn d31_a_blocked_peer_does_not_even_get_a_session() {
    let mut net = friends();
    let now = net.now;
    net.command(2, |node| node.block("Anna", true, now)).unwrap();
    net.dial(1, 2);
    net.run(Duration::from_secs(25));
    assert_eq!(net.hosts[1].call().cause, Some(EndCause::NoReply), "and is not told why");
    assert!(net.hosts[2].calls.is_empty());
    assert!(net.hosts[2].node.drops().get("blocked").is_some_and(|drops| *drops > 0));
}

#[test]
fn f03_a_new_pin_ends_the_session_and_the_call_that_stand_with_another_key() {
    let mut net = friends();
    talk(&mut net);
    let (peer, now) = (net.hosts[2].id(), net.now);
    let other = Fingerprint([7; 32]);
    assert!(net.command(1, |node| node.verify_contact("Bert", other, now)).is_err(), "never without a reason");
    assert_eq!(trust(&net, 1), Trust::Seen);
    net.hosts[1].node.people.key_changed(peer);
    net.command(1, |node| node.verify_contact("Bert", other, now)).unwrap();
    net.run(Duration::from_secs(1));
    assert_eq!(net.hosts[1].call().cause, Some(EndCause::KeyChanged));
    assert!(net.hosts[1].sound.is_empty());
    net.dial(1, 2);
    net.run(Duration::from_secs(3));
    assert_eq!(net.hosts[1].call().cause, Some(EndCause::KeyChanged), "nor does another come about");
}

#[test]
fn p02_an_invite_with_another_key_does_not_use_a_session_that_stands() {
    let mut net = Net::new(3, UnknownCallers::Ring);
    talk(&mut net);
    hang_up(&mut net, 1);
    let (peer, now) = (net.hosts[2].id(), net.now);
    net.command(1, |node| node.dial(peer, Some(Fingerprint([7; 32])), Hints::default(), DialOptions::default(), now))
        .unwrap();
    net.run(Duration::from_secs(3));
    assert_eq!(net.hosts[1].call().cause, Some(EndCause::KeyChanged));
    assert_eq!(net.hosts[2].calls.len(), 1, "nothing rang there");
}
