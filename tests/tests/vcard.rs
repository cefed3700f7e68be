// SPDX-License-Identifier: GPL-3.0-or-later
//! The virtual sound cards themselves, used by somebody who knows nothing of them: ALSA's own `arecord` and `aplay`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at what it did not expect")]

use core::time::Duration;
use std::io::Write;
use std::process::{Command, Stdio};

use dvs_tests::speech::{self, RATE};
use dvs_tests::vcard::{Card, Event, Stream, World};

const SECOND: usize = RATE as usize;

fn world(card: Card) -> World {
    World::new(vec![Card { name: "card".to_owned(), ..card }]).unwrap()
}

fn program(world: &World, name: &str, channels: u8) -> Command {
    let mut command = Command::new(name);
    command.envs(world.environment()).args(["-q", "-D", "card", "-t", "raw", "-f", "S16_LE", "-r", "48000"]);
    command.arg("-c").arg(channels.to_string());
    command
}

/// Records for a second.
fn record(world: &World, channels: u8) -> Vec<i16> {
    let output = program(world, "arecord", channels).args(["-d", "1"]).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// Plays `parts`, of a second each, each half a second after the one before has been heard.
fn play(world: &World, parts: &[&[i16]]) {
    let mut child = program(world, "aplay", 1).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for (number, part) in parts.iter().enumerate() {
        std::thread::sleep(Duration::from_millis(if number == 0 { 0 } else { 1_500 }));
        let bytes: Vec<u8> = part.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        stdin.write_all(&bytes).unwrap();
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

/// The world sample at which each stream started.
fn starts(events: &[Event], stream: Stream) -> Vec<usize> {
    let started = events.iter().filter(|event| event.stream == stream && event.what == "start");
    started.map(|event| event.at as usize).collect()
}

/// The only one.
fn start(world: &World, stream: Stream) -> usize {
    assert_eq!(world.troubles("card").unwrap(), []);
    let starts = starts(&world.events("card").unwrap(), stream);
    assert_eq!(starts.len(), 1);
    starts[0]
}

/// Every sample is its own place, modulo something that no period divides.
fn places(seconds: usize) -> Vec<i16> {
    (0..seconds * SECOND).map(|place| (place % 29_989 + 1) as i16).collect()
}

#[test]
fn a_microphone_hears_its_file_on_the_clock_of_the_world() {
    let world = world(Card { microphone: places(60), ..Card::default() });
    let recorded = record(&world, 1);
    let from = start(&world, Stream::Capture);
    assert_eq!(recorded.len(), SECOND);
    assert!(recorded == world.spoken("card").unwrap()[from..from + SECOND]);
    assert!(from > 0 && from + SECOND <= world.now().unwrap(), "nobody hears the future");
}

#[test]
fn both_channels_of_a_microphone_hear_the_same() {
    let world = world(Card { microphone: places(60), ..Card::default() });
    let recorded = record(&world, 2);
    let from = start(&world, Stream::Capture);
    let expected: Vec<i16> = places(60)[from..from + SECOND].iter().flat_map(|sample| [*sample; 2]).collect();
    assert!(recorded == expected);
}

#[test]
fn before_and_after_its_file_a_microphone_hears_silence() {
    let world = world(Card { microphone: vec![7; 10], ..Card::default() });
    std::thread::sleep(Duration::from_millis(1));
    assert_eq!(record(&world, 1), vec![0; SECOND]);
}

#[test]
fn a_loudspeaker_plays_at_the_right_moment_and_to_the_end() {
    let world = world(Card::default());
    let speech = speech::samples(1).unwrap();
    play(&world, &[&speech]);
    let from = start(&world, Stream::Playback);
    let heard = world.heard("card").unwrap();
    assert!(heard[..from].iter().all(|sample| *sample == 0));
    assert!(heard[from..from + SECOND] == speech[..]);
    assert!(heard[from + SECOND..].iter().all(|sample| *sample == 0));
    let end = from + SECOND;
    assert!((end..end + SECOND / 2).contains(&world.now().unwrap()), "aplay waits until all is played");
}

#[test]
fn a_loudspeaker_that_runs_dry_is_silent_until_it_is_started_again() {
    let world = world(Card::default());
    let speech = speech::samples(2).unwrap();
    let (before, after) = speech.split_at(SECOND);
    play(&world, &[before, after]);
    let events = world.events("card").unwrap();
    assert_eq!(events.iter().filter(|event| event.what == "underrun").count(), 1, "{events:?}");
    let [first, second] = starts(&events, Stream::Playback)[..] else { panic!("{events:?}") };
    let heard = world.heard("card").unwrap();
    assert!(second > first + SECOND + SECOND / 4);
    assert!(heard[first + SECOND..second].iter().all(|sample| *sample == 0));
    assert!(heard[second..second + SECOND] == *after);
}

#[test]
fn what_is_dropped_before_its_turn_is_never_heard() {
    let world = world(Card::default());
    let mut child = program(&world, "aplay", 1).arg("--buffer-size=48000").stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&[1; 4 * SECOND]).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), nix::sys::signal::SIGTERM).unwrap();
    child.wait().unwrap();
    let end = world.events("card").unwrap().last().unwrap().clone();
    assert_eq!(end.what, "stop");
    let heard = world.heard("card").unwrap();
    let last = heard.iter().rposition(|sample| *sample != 0).unwrap() as i64;
    assert!((end.at - 480..=end.at).contains(&last), "played until {last}, stopped at {}", end.at);
}

#[test]
fn a_card_with_a_fast_clock_plays_and_records_faster() {
    let world = world(Card { microphone: places(60), ppm: 10_000, ..Card::default() });
    play(&world, &[&places(1)]);
    let recorded = record(&world, 1);
    let [first, last] = [recorded[0], recorded[SECOND - 1]].map(i64::from);
    let heard_for = (last - first).rem_euclid(29_989) + 29_989;
    assert!((heard_for - 47_524).abs() <= 2, "a second of the card is {heard_for} samples of the world");
    let heard = world.heard("card").unwrap();
    let played_for = heard.iter().filter(|sample| **sample != 0).count();
    assert!(played_for.abs_diff(47_525) <= 2, "a second of the card is {played_for} samples of the world");
}

#[test]
fn a_card_may_be_slow_and_tell_its_position_in_steps() {
    let world = world(Card { microphone: places(60), ppm: -200, quantum: 480, ..Card::default() });
    let speech = speech::samples(1).unwrap();
    play(&world, &[&speech]);
    assert_eq!(world.troubles("card").unwrap(), []);
    let from = starts(&world.events("card").unwrap(), Stream::Playback)[0];
    let heard = world.heard("card").unwrap();
    // 200 millionths of a second are ten samples.
    assert!(heard[from..from + 4_000] == speech[..4_000]);
    assert!(heard[from + SECOND - 990..from + SECOND - 10] == speech[SECOND - 1_000..SECOND - 20]);
    assert_eq!(record(&world, 1).len(), SECOND);
}
