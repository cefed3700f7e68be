// SPDX-License-Identifier: GPL-3.0-or-later
//! Addresses change in the middle of a call, and attackers pretend that they do.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::wire::control::MediaReport;

fn at(text: &str) -> Path {
    Path::direct(text.parse().unwrap())
}

/// Two in a call that Alice began, over a link that loses `loss` %.
fn in_call(seed: u64, loss: u64) -> Pair {
    let (mut pair, _) = Pair::connected(seed);
    pair.set_in_call(true);
    pair.link.loss = loss;
    pair
}

/// `who` has another address from now on.
fn move_to(pair: &mut Pair, who: usize, address: &str) {
    pair.ends[who].path = at(address);
}

/// The shell of `who` notices that its addresses have changed.
fn notice(pair: &mut Pair, who: usize) {
    let (now, session) = (pair.clock(), pair.session(who));
    pair.ends[who].sessions.doubt(session, now);
    pair.drain(who);
}

fn challenge(pair: &mut Pair, who: usize, paths: &[Path]) {
    let (now, session) = (pair.clock(), pair.session(who));
    let End { sessions, random, .. } = &mut pair.ends[who];
    sessions.challenge(session, paths, now, random);
    pair.drain(who);
}

/// Both talk for `millis`, and report five times a second what they hear, as they do in a call. The longest time in
/// which each of them heard nothing.
fn talk(pair: &mut Pair, millis: u64) -> [u64; 2] {
    let mut silent = [0; 2];
    let mut longest = [0; 2];
    for frame in 0..millis / 20 {
        let heard = [ALICE, BOB].map(|who| pair.ends[who].media().len());
        for who in [ALICE, BOB] {
            pair.talk(who, frame == 0);
            if frame % 10 == 0 {
                pair.send(who, &Frame::MediaReport(MediaReport::default()));
            }
        }
        pair.run(ms(20));
        for who in [ALICE, BOB] {
            silent[who] = if pair.ends[who].media().len() > heard[who] { 0 } else { silent[who] + 20 };
            longest[who] = longest[who].max(silent[who]);
        }
    }
    longest
}

fn stats(pair: &Pair, who: usize) -> SessionStats {
    pair.ends[who].sessions.stats(pair.session(who)).unwrap()
}

/// Where `who` believes the other is.
fn believed(pair: &Pair, who: usize) -> Path {
    stats(pair, who).path
}

fn assert_both_right(pair: &Pair, hint: &str) {
    for who in [ALICE, BOB] {
        assert_eq!(believed(pair, who), pair.ends[1 - who].path, "{hint}: end {who}");
    }
}

/// All that `who` sent to `path`.
fn sent_to(pair: &Pair, who: usize, path: Path) -> Vec<Vec<u8>> {
    let there = pair.log.iter().filter(|(from, it)| *from == who && it.path == path);
    there.map(|(_, it)| it.datagram.clone()).collect()
}

/// The newest control packet of Alice's, which reached nobody.
fn stolen(pair: &mut Pair) -> Vec<u8> {
    let loss = core::mem::replace(&mut pair.link.loss, 100);
    pair.send(ALICE, &Frame::MediaReport(MediaReport::default()));
    pair.link.loss = loss;
    pair.log.pop().unwrap().1.datagram
}

#[test]
fn a_change_of_address_in_a_call_costs_less_than_a_second_of_sound() {
    for seed in 0..60 {
        let loss = seed % 21;
        let mut pair = in_call(seed, loss);
        talk(&mut pair, 2_000);
        move_to(&mut pair, ALICE, "203.0.113.9:40000");
        notice(&mut pair, ALICE);
        let gaps = talk(&mut pair, 6_000);
        let hint = format!("seed {seed}, loss {loss} %: {gaps:?}");
        assert!(gaps.iter().all(|gap| *gap <= 1_000), "{hint}");
        assert_both_right(&pair, &hint);
        assert_eq!([ALICE, BOB].map(|who| stats(&pair, who).path_changes), [0, 1], "{hint}");
    }
}

#[test]
fn a_new_port_that_nobody_told_of_is_noticed_by_the_packets_from_it() {
    for seed in 0..40 {
        let loss = seed % 21;
        let mut pair = in_call(seed, loss);
        talk(&mut pair, 2_000);
        move_to(&mut pair, ALICE, "198.18.0.1:61001");
        let gaps = talk(&mut pair, 6_000);
        let hint = format!("seed {seed}, loss {loss} %: {gaps:?}");
        assert!(gaps.iter().all(|gap| *gap <= 1_000), "{hint}");
        assert_both_right(&pair, &hint);
    }
}

#[test]
fn a_change_is_told_once_and_measured_anew() {
    let mut pair = in_call(1, 0);
    talk(&mut pair, 1_000);
    pair.link.delay = ms(100);
    move_to(&mut pair, ALICE, "203.0.113.9:40000");
    notice(&mut pair, ALICE);
    talk(&mut pair, 4_000);
    let told: Vec<_> =
        pair.ends[BOB].events.iter().filter(|event| matches!(event, SessionEvent::PathChanged { .. })).collect();
    let (session, path) = (pair.session(BOB), at("203.0.113.9:40000"));
    assert_eq!(told, [&SessionEvent::PathChanged { session, path }]);
    assert!((ms(195)..ms(205)).contains(&stats(&pair, BOB).rtt.unwrap()), "{:?}", stats(&pair, BOB).rtt);
}

#[test]
fn d47_a_media_packet_from_elsewhere_changes_nothing() {
    let mut pair = in_call(1, 0);
    let elsewhere = at("203.0.113.9:40000");
    for frame in 0..50 {
        pair.link.loss = 100;
        pair.talk(ALICE, frame == 0);
        pair.link.loss = 0;
        let packet = pair.log.pop().unwrap().1.datagram;
        assert_eq!(pair.inject(BOB, elsewhere, &packet), Ok(()));
        pair.talk(BOB, frame == 0);
        pair.run(ms(20));
    }
    assert_eq!(pair.ends[BOB].media().len(), 50);
    assert!(sent_to(&pair, BOB, elsewhere).is_empty());
    assert_both_right(&pair, "after media from elsewhere");
}

#[test]
fn n04_a_forged_packet_does_not_change_where_the_peer_is() {
    let mut pair = in_call(1, 0);
    let elsewhere = at("203.0.113.9:40000");
    for bit in 0..200 {
        let mut packet = stolen(&mut pair);
        let length = packet.len();
        packet[(5 + bit / 8) % length] ^= 1 << (bit % 8);
        assert_eq!(pair.inject(BOB, elsewhere, &packet), Err(Drop::NotAuthentic));
        pair.run(ms(20));
    }
    assert!(sent_to(&pair, BOB, elsewhere).is_empty());
    assert_both_right(&pair, "after forged packets");
}

#[test]
fn an_old_packet_that_arrives_late_from_elsewhere_changes_nothing() {
    let mut pair = in_call(1, 0);
    let (elsewhere, late) = (at("203.0.113.9:40000"), stolen(&mut pair));
    pair.send(ALICE, &Frame::MediaReport(MediaReport::default()));
    pair.run(ms(100));
    assert_eq!(pair.inject(BOB, elsewhere, &late), Ok(()));
    pair.run(ms(4_000));
    assert!(sent_to(&pair, BOB, elsewhere).is_empty());
}

#[test]
fn nothing_goes_to_an_address_that_no_peer_can_have() {
    let mut pair = in_call(1, 0);
    for address in ["255.255.255.255:5004", "224.0.0.1:5004", "203.0.113.9:0", "[ff02::1]:5004"] {
        let packet = stolen(&mut pair);
        assert_eq!(pair.inject(BOB, at(address), &packet), Ok(()));
        pair.run(ms(1_500));
        assert!(sent_to(&pair, BOB, at(address)).is_empty(), "{address}");
    }
}

#[test]
fn n03_a_copy_from_a_forged_address_costs_its_owner_three_times_the_copy_at_most() {
    for (talks, copies) in [(false, 1), (true, 1), (true, 20)] {
        let mut pair = in_call(1, 0);
        let victim = at("203.0.113.9:40000");
        pair.forget();
        let mut spent = 0;
        for frame in 0..400 {
            if frame < copies {
                let packet = stolen(&mut pair);
                pair.inject(BOB, victim, &packet).unwrap();
                spent += packet.len();
            }
            if talks {
                pair.talk(BOB, frame == 0);
            }
            pair.run(ms(20));
            let heard: usize = sent_to(&pair, BOB, victim).iter().map(Vec::len).sum();
            assert!(heard <= 3 * spent, "{heard} bytes for {spent} in frame {frame}");
            assert!(heard > 0, "it is asked at least");
        }
        assert_eq!(stats(&pair, BOB).path_changes, 0);
        assert!(!talks || pair.ends[ALICE].media().len() == 400, "{} of 400", pair.ends[ALICE].media().len());
    }
}

#[test]
fn d23_a_challenge_is_repeated_twice_a_second_for_three_seconds() {
    let (mut pair, _) = Pair::connected(1);
    let nobody = at("203.0.113.9:40000");
    challenge(&mut pair, ALICE, &[nobody]);
    let mut times = Vec::new();
    for step in 0..500 {
        times.resize(sent_to(&pair, ALICE, nobody).len(), step * 10);
        pair.run(ms(10));
    }
    assert!((6..=7).contains(&times.len()) && times[0] == 0 && times.iter().all(|time| *time <= 3_000), "{times:?}");
    assert!(times.windows(2).all(|two| (440..=560).contains(&(two[1] - two[0]))), "{times:?}");
}

#[test]
fn d47_at_most_one_change_begins_per_second() {
    let mut pair = in_call(1, 0);
    let mut began = Vec::new();
    for step in 0..50u64 {
        let from = at(&format!("203.0.113.{step}:40000"));
        let packet = stolen(&mut pair);
        pair.inject(BOB, from, &packet).unwrap();
        began.extend((!sent_to(&pair, BOB, from).is_empty()).then_some(step * 100));
        pair.run(ms(100));
    }
    assert_eq!(began, [0, 1_000, 2_000, 3_000, 4_000]);
}

#[test]
fn d47_at_most_five_changes_come_about_per_minute() {
    let mut pair = in_call(1, 0);
    let began = pair.now;
    for step in 0..8 {
        move_to(&mut pair, ALICE, &format!("203.0.113.{step}:40000"));
        notice(&mut pair, ALICE);
        pair.run(ms(4_000));
        assert_eq!(stats(&pair, BOB).path_changes, (step + 1).min(5), "step {step}");
    }
    while pair.now.since(began) < ms(63_000) {
        // Alice finds out that Bob still hears her, as the node does.
        let path = pair.ends[BOB].path;
        challenge(&mut pair, ALICE, &[path]);
        pair.run(ms(3_000));
        assert!(stats(&pair, BOB).path_changes == 5 || pair.now.since(began) >= ms(60_000));
    }
    assert_both_right(&pair, "a minute after the first");
    assert_eq!(stats(&pair, BOB).path_changes, 6);
}

/// Somebody copies everything from his own address, quicker than the direct way.
fn forward(seed: u64, relays: bool) {
    let loss = seed % 21;
    let mut pair = in_call(seed, loss);
    talk(&mut pair, 1_000);
    let forwarder = Forwarder { path: at("203.0.113.66:6666"), delay: ms(5), relays };
    pair.forwarder = Some(forwarder);
    let gaps = talk(&mut pair, 15_000);
    let hint = format!("seed {seed}, loss {loss} %, relays {relays}, gaps {gaps:?}");
    let bearable = if loss == 0 { 0 } else { 200 };
    assert!(gaps.iter().all(|gap| *gap <= bearable), "{hint}");
    pair.forwarder = None;
    let gaps = talk(&mut pair, 6_000);
    assert!(gaps.iter().all(|gap| *gap <= 1_000), "{hint}, then {gaps:?}");
    assert_both_right(&pair, &hint);
}

#[test]
fn roaming_with_an_off_path_forwarder_who_keeps_what_he_gets_changes_nothing() {
    (0..20).for_each(|seed| forward(seed, false));
}

#[test]
fn roaming_with_an_off_path_forwarder_comes_back_to_the_real_path() {
    (0..40).for_each(|seed| forward(seed, true));
}

#[test]
fn both_have_moved_and_find_each_other_by_challenges() {
    for seed in 0..20 {
        let mut pair = in_call(seed, seed % 21);
        move_to(&mut pair, ALICE, "203.0.113.9:40000");
        move_to(&mut pair, BOB, "203.0.113.10:40000");
        pair.run(ms(11_000));
        let session = pair.session(ALICE);
        assert_eq!(pair.ends[ALICE].events.last(), Some(&SessionEvent::Lost { session }));
        let paths = [at("203.0.113.77:40000"), pair.ends[BOB].path];
        challenge(&mut pair, ALICE, &paths);
        pair.run(ms(3_500));
        assert_both_right(&pair, &format!("seed {seed}"));
        assert!(pair.ends[ALICE].events.contains(&SessionEvent::Recovered { session }));
        talk(&mut pair, 1_000);
        pair.link.loss = 0;
        pair.assert_working("after both moved");
    }
}

#[test]
fn a_challenge_to_where_nobody_is_moves_nothing() {
    let mut pair = in_call(1, 0);
    challenge(&mut pair, ALICE, &[at("203.0.113.77:40000")]);
    talk(&mut pair, 4_000);
    assert_both_right(&pair, "nobody answered elsewhere");
}

#[test]
fn an_answer_to_no_challenge_moves_nothing() {
    let mut pair = in_call(1, 0);
    pair.link.loss = 100;
    pair.send(ALICE, &Frame::PathResponse { data: [0; 8] });
    let packet = pair.packets(ALICE).pop().unwrap();
    pair.link.loss = 0;
    pair.inject(BOB, at("203.0.113.77:40000"), &packet).unwrap();
    talk(&mut pair, 4_000);
    assert_both_right(&pair, "no challenge said zeros");
}

#[test]
fn a_doubted_peer_that_is_silent_is_told_after_a_second_and_heard_again_once() {
    let (mut pair, [alice, _]) = Pair::connected(1);
    notice(&mut pair, ALICE);
    pair.run(ms(2_000));
    assert_eq!(pair.ends[ALICE].events, [], "it answered");
    pair.link.loss = 100;
    pair.forget();
    notice(&mut pair, ALICE);
    pair.run(ms(990));
    assert_eq!((pair.ends[ALICE].events.len(), pair.packets(ALICE).len() >= 4), (0, true));
    pair.run(ms(20));
    assert_eq!(pair.ends[ALICE].events, [SessionEvent::Silent { session: alice }]);
    pair.link.loss = 0;
    pair.run(ms(1_200));
    let expected = [SessionEvent::Silent { session: alice }, SessionEvent::Recovered { session: alice }];
    assert_eq!(pair.ends[ALICE].events, expected);
}

#[test]
fn both_sides_measure_the_round_trip_whatever_the_handshake_took() {
    let mut pair = Pair::new(1);
    pair.dial(ALICE);
    pair.run(ms(45));
    // HS_AUTH arrives at the second attempt: the responder's measurement of the handshake says so much.
    pair.wire.clear();
    pair.run(ms(1_000));
    pair.set_in_call(true);
    pair.run(ms(6_000));
    for who in [ALICE, BOB] {
        let rtt = stats(&pair, who).rtt.unwrap();
        assert!((ms(40)..ms(42)).contains(&rtt), "end {who}: {rtt:?}");
    }
    // Frames are acknowledged up to 25 ms late, which is no property of the path.
    for call_id in 0..20 {
        pair.send(ALICE, &ring(call_id));
        pair.send(BOB, &ring(call_id));
        pair.run(ms(200));
    }
    assert!([ALICE, BOB].iter().all(|who| stats(&pair, *who).rtt.unwrap() < ms(42)));
}

#[test]
fn both_sides_follow_a_round_trip_that_grows() {
    let mut pair = in_call(1, 0);
    pair.link.delay = ms(120);
    talk(&mut pair, 60_000);
    for who in [ALICE, BOB] {
        let rtt = stats(&pair, who).rtt.unwrap();
        assert!((ms(180)..=ms(240)).contains(&rtt), "end {who}: {rtt:?}");
    }
}

/// What may befall two who talk.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Move { who: usize, port: u16, told: bool },
    Loss(u64),
    Copy { from: u16 },
    Forward { relays: bool },
    Talk(u64),
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        (0..2usize, 1..60_000u16, any::<bool>()).prop_map(|(who, port, told)| Turn::Move { who, port, told }),
        (0..60u64).prop_map(Turn::Loss),
        (1..60_000u16).prop_map(|from| Turn::Copy { from }),
        any::<bool>().prop_map(|relays| Turn::Forward { relays }),
        (1..200u64).prop_map(|frames| Turn::Talk(20 * frames)),
    ]
}

fn take(pair: &mut Pair, turn: Turn) {
    match turn {
        Turn::Move { who, port, told } => {
            move_to(pair, who, &format!("203.0.113.{who}:{port}"));
            if told {
                notice(pair, who);
            }
        }
        Turn::Loss(loss) => pair.link.loss = loss,
        Turn::Copy { from } => {
            let packet = stolen(pair);
            let _ = pair.inject(BOB, at(&format!("203.0.113.66:{from}")), &packet);
        }
        Turn::Forward { relays } => {
            let forwarder = Forwarder { path: at("203.0.113.67:6666"), delay: ms(5), relays };
            pair.forwarder = if pair.forwarder.is_some() { None } else { Some(forwarder) };
        }
        Turn::Talk(millis) => {
            talk(pair, millis);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happened_both_send_to_the_right_address_in_the_end(turns in proptest::collection::vec(turn(), 0..12)) {
        let mut pair = in_call(1, 0);
        for turn in turns {
            take(&mut pair, turn);
        }
        (pair.link.loss, pair.forwarder) = (0, None);
        let mut gone = BTreeSet::new();
        // Whoever has lost the other looks it up, as the node does.
        for _ in 0..80 {
            talk(&mut pair, 1_000);
            for who in [ALICE, BOB] {
                let peer = pair.ends[1 - who].id();
                if pair.ends[who].sessions.session_of(LOCAL, peer).is_none() {
                    gone.insert(who);
                } else if pair.ends[who].media().is_empty() {
                    let path = pair.ends[1 - who].path;
                    challenge(&mut pair, who, &[path]);
                }
            }
            prop_assert!(gone.is_empty());
            pair.ends.iter_mut().for_each(|end| end.events.clear());
        }
        for who in [ALICE, BOB] {
            prop_assert_eq!(believed(&pair, who), pair.ends[1 - who].path);
        }
    }
}
