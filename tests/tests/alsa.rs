// SPDX-License-Identifier: GPL-3.0-or-later
//! Calls through the real ALSA code of two daemons, on virtual sound cards. Delays are counted in samples of the cards,
//! never measured with a clock.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at what it did not expect")]
#![allow(clippy::print_stdout, reason = "the delays that were measured are worth reading")]

use core::f64::consts::TAU;
use core::ops::Range;
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dvs_proto::message::{CallState, CallStats, Event};
use dvs_tests::alignment::{Likeness, Recording, compare};
use dvs_tests::clicks::{self, Clicks};
use dvs_tests::harness::{Setup, wait_for};
use dvs_tests::speech::{self, RATE};
use dvs_tests::stalls::{Stalls, Watch};
use dvs_tests::trio::{PATIENCE, Party, Trio};
use dvs_tests::vcard::{Card, World};

const SECOND: usize = RATE as usize;
/// Sound must not take longer from mouth to ear, in milliseconds.
const LONGEST_DELAY: f64 = 45.0;
/// Speech must be at least this much like what was spoken.
const LEAST_LIKENESS: f64 = 0.85;
/// On a machine that keeps standing still, a delay is measured so often at most.
const ATTEMPTS: usize = 4;
/// After answering and before hanging up, what is heard is not judged for so long, in samples.
const EDGE: usize = SECOND;

/// Sound that is late because another test uses the processor is no news.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Alice and Bob with a card each, and a bootstrap node.
fn call(alice: Card, bob: Card) -> (World, Trio) {
    let cards = [Card { name: "alice".to_owned(), ..alice }, Card { name: "bob".to_owned(), ..bob }];
    let world = World::new(cards.to_vec()).unwrap();
    let trio = Trio::start(world.setup("alice"), world.setup("bob")).unwrap();
    world.begin().unwrap();
    (world, trio)
}

/// Lets the two talk until the world is `end` samples old; gives the time in which all must be heard.
fn talk_until(world: &World, trio: &mut Trio, end: usize) -> Range<usize> {
    trio.talk().unwrap();
    let start = world.now().unwrap();
    let rest = end - start;
    std::thread::sleep(Duration::from_secs_f64(rest as f64 / f64::from(RATE)));
    start + EDGE..end - EDGE
}

/// Hangs up and waits until the cards are closed; gives the figures of both sides.
fn hang_up(trio: &mut Trio) -> [CallStats; 2] {
    let figures = [&mut trio.alice, &mut trio.bob].map(|party| party.handset.stats().unwrap());
    trio.alice.handset.hang_up().unwrap();
    for party in [&mut trio.alice, &mut trio.bob] {
        party.handset.wait_for_end(PATIENCE).unwrap();
    }
    figures
}

/// `samples` from second `from` on.
fn part<'a>(world: &World, samples: &'a [i16], from: usize) -> Recording<'a> {
    let whole = world.recording(samples).unwrap();
    Recording { samples: &samples[from * SECOND..], epoch_us: whole.epoch_us + from as u64 * 1_000_000 }
}

/// What was heard in one direction.
#[derive(Debug)]
struct Way {
    clicks: Clicks,
    speech: Likeness,
}

/// A call with ten seconds of clicks and then speech, not the same for both; what Bob heard and what Alice heard.
fn clicks_and_speech() -> [Way; 2] {
    let microphone = |skipped: usize| {
        let speech = speech::samples(14).unwrap();
        [&clicks::samples(10)[..], &speech[skipped * SECOND..]].concat()
    };
    let (world, mut trio) = call(Card::new("", microphone(0)), Card::new("", microphone(4)));
    let during = talk_until(&world, &mut trio, 20 * SECOND);
    let [alice, bob] = hang_up(&mut trio);
    for figures in [&alice, &bob] {
        assert_eq!((figures.lost, figures.packet_bytes_min, figures.packet_bytes_max), (0, 93, 93), "{figures:?}");
    }
    [("alice", "bob", bob), ("bob", "alice", alice)].map(|(mouth, ear, figures)| {
        let (spoken, heard) = (world.spoken(mouth).unwrap(), world.heard(ear).unwrap());
        let clicks = Clicks::find(&heard, during.start..10 * SECOND);
        let speech = compare(part(&world, spoken, 10), part(&world, &heard, 10), 200).unwrap();
        println!("{mouth} to {ear}: {:.2} ms from mouth to ear; {clicks:?}; {speech:?}", clicks.median_ms().unwrap());
        println!(
            "{ear}'s daemon thinks {:?} us; {} stretched, {} shortened",
            figures.mouth_to_ear_us, figures.stretched, figures.shortened
        );
        Way { clicks, speech }
    })
}

#[test]
fn f30_clicks_and_speech_go_both_ways_through_the_cards_they_are_named_for() {
    let _alone = alone();
    // Where the machine stands still for a moment, playout rightly waits longer from then on: not every call counts.
    let mut best = f64::INFINITY;
    for _ in 0..ATTEMPTS {
        let watch = Watch::start().unwrap();
        let ways = clicks_and_speech();
        let stalls = watch.finish().unwrap();
        for Way { clicks, speech } in &ways {
            assert!(clicks.missed == 0 && clicks.delays_ms.len() >= 10, "{clicks:?}");
            assert!(speech.windows >= 6 && speech.correlation >= LEAST_LIKENESS, "{speech:?}");
        }
        let longest =
            ways.iter().map(|way| way.clicks.median_ms().unwrap().max(way.speech.delay_ms)).fold(0.0, f64::max);
        println!("the machine stood still {} times; the longer way took {longest:.2} ms", stalls.count());
        best = best.min(longest);
        if best <= LONGEST_DELAY || stalls.count() == 0 {
            break;
        }
    }
    assert!(best <= LONGEST_DELAY, "{best} ms");
}

/// Sound without a pause, that no codec mistakes for noise.
fn hum(seconds: usize) -> Vec<i16> {
    let tone = |i: usize, pitch: f64| (TAU * pitch * i as f64 / f64::from(RATE)).sin();
    (0..seconds * SECOND).map(|i| (4_000.0 * (tone(i, 180.0) + tone(i, 330.0) + tone(i, 710.0))) as i16).collect()
}

/// What the loudspeaker of `card` must not do within `during`: run dry, or be silent for 5 ms. What the machine itself is
/// to blame for does not count.
fn faults(world: &World, card: &str, during: Range<usize>, stalls: &Stalls) -> Vec<String> {
    let heard = world.heard(card).unwrap();
    let quiet = |start: &usize| heard[*start..start + 240].iter().all(|sample| sample.unsigned_abs() < 400);
    let gaps = during.clone().step_by(120).filter(quiet).map(|at| (at as i64, "gap".to_owned()));
    let troubles = world.troubles(card).unwrap().into_iter().map(|event| (event.at, event.what));
    let within = troubles.filter(|(at, _)| during.contains(&(*at as usize)));
    let unexcused = gaps.chain(within).filter(|(at, _)| !stalls.excuse(world.moment(*at).unwrap()));
    unexcused.map(|(at, what)| format!("{what} of {card} at {at}")).collect()
}

/// Two people hum to each other for 20 s, and all of it is heard.
fn hums_without_a_gap(bob: Card) {
    let (world, mut trio) = call(Card::new("", hum(30)), Card { microphone: hum(30), ..bob });
    let watch = Watch::start().unwrap();
    let during = talk_until(&world, &mut trio, 23 * SECOND);
    let figures = hang_up(&mut trio);
    let stalls = watch.finish().unwrap();
    for (card, figures) in ["alice", "bob"].into_iter().zip(figures) {
        println!("{card}: the machine stood still {} times; {figures:?}", stalls.count());
        assert_eq!(faults(&world, card, during.clone(), &stalls), [""; 0]);
        assert_eq!(figures.lost, 0, "{figures:?}");
    }
}

#[test]
fn a_card_with_a_fast_clock_plays_on_without_a_gap() {
    let _alone = alone();
    hums_without_a_gap(Card { ppm: 200, ..Card::default() });
}

#[test]
fn a_slow_card_that_tells_its_position_in_steps_plays_on_without_a_gap() {
    let _alone = alone();
    hums_without_a_gap(Card { ppm: -200, quantum: 256, ..Card::default() });
}

fn trouble(party: &mut Party) -> Option<String> {
    party.handset.snapshot().unwrap().audio.trouble
}

#[test]
fn without_a_microphone_the_call_stays_up_and_says_what_is_wrong() {
    let _alone = alone();
    let world =
        World::new(vec![Card::new("alice", clicks::samples(20)), Card::new("bob", clicks::samples(20))]).unwrap();
    let devices = ["no_such_microphone", "alice"].map(str::to_owned);
    let alice = Setup { devices, ..world.setup("alice") };
    let mut trio = Trio::start(alice, world.setup("bob")).unwrap();
    world.begin().unwrap();
    trio.talk().unwrap();
    let text = wait_for(PATIENCE, "the trouble to be shown", || Ok(trouble(&mut trio.alice))).unwrap();
    assert!(text.contains("capture device 'no_such_microphone' not found"), "{text}");
    assert!(!text.contains("playback"), "{text}");
    let told = wait_for(PATIENCE, "the event that tells of it", || {
        let event = trio.alice.handset.next_event(Duration::from_millis(10))?;
        Ok(event.filter(|event| matches!(event, Event::Audio(audio) if audio.trouble.is_some())))
    });
    told.unwrap();
    let start = world.now().unwrap();
    std::thread::sleep(Duration::from_secs(4));
    for party in [&mut trio.alice, &mut trio.bob] {
        assert_eq!(party.handset.snapshot().unwrap().calls[0].state, CallState::Active);
    }
    assert_eq!(trouble(&mut trio.bob), None);
    let [_, bob] = hang_up(&mut trio);
    assert!(bob.received > 200, "silence is sent instead: {bob:?}");
    let clicks = Clicks::find(&world.heard("alice").unwrap(), start..start + 3 * SECOND);
    assert_eq!(clicks.missed, 0, "Alice still hears Bob: {clicks:?}");
}
