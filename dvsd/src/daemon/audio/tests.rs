// SPDX-License-Identifier: GPL-3.0-or-later
//! Whole calls between audio threads, joined by their rings without a network.
//!
//! They run in real time, but nothing measures time: delays are shifts between samples.

use std::process::Command;
use std::time::{Duration, Instant};

use dvs_tests::alignment::{Likeness, Recording, compare};
use dvs_tests::clicks::{self, Clicks};
use dvs_tests::speech;
use dvs_tests::vcard::{Card, World};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;

use super::*;

/// Two ends of a call and the loop between them.
struct Pair {
    wake: Arc<EventFd>,
    left: CallAudio,
    right: CallAudio,
    /// Where the session would be: ticks since its start.
    seqs: [u32; 2],
}

fn start_end(wake: &Arc<EventFd>, backend: &str, device: &str) -> CallAudio {
    let config = AudioConfig {
        backend: backend.parse().unwrap(),
        capture: device.to_owned(),
        playback: device.to_owned(),
        ..AudioConfig::default()
    };
    start(config, Arc::clone(wake)).unwrap()
}

impl Pair {
    fn start(left: (&str, &str), right: (&str, &str)) -> Self {
        let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap());
        let (left, right) = (start_end(&wake, left.0, left.1), start_end(&wake, right.0, right.1));
        Self { wake, left, right, seqs: [0; 2] }
    }

    fn run(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            let mut fds = [PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::from(50_u8)).unwrap();
            let _ = self.wake.read();
            let [left, right] = &mut self.seqs;
            pass(left, &mut self.left.captured, &mut self.right.play);
            pass(right, &mut self.right.captured, &mut self.left.play);
        }
    }

    fn finish(self) {
        self.left.finish();
        self.right.finish();
    }
}

fn pass(next: &mut u32, from: &mut rtrb::Consumer<CapturedFrame>, to: &mut rtrb::Producer<PlayFrame>) {
    while let Ok(frame) = from.pop() {
        let now = frame.captured_us / 2_500;
        let seq = if frame.first { (*next).max(now as u32) } else { *next };
        *next = seq + u32::from(frame.ticks);
        let _ = to.push(PlayFrame::new(seq, clock::now_ns() / 1_000, frame.payload()).unwrap());
    }
}

/// How what was heard relates to what was spoken, if both began at these moments, in microseconds.
fn likeness(spoken: (&[i16], u64), heard: (&[i16], u64)) -> Likeness {
    let [spoken, heard] = [spoken, heard].map(|(samples, epoch_us)| Recording { samples, epoch_us });
    compare(spoken, heard, 400).unwrap()
}

#[test]
fn sound_from_a_file_is_recorded_at_the_other_end() {
    let folder = tempfile::tempdir().unwrap();
    let [input, output] = ["in.wav", "out.wav"].map(|name| folder.path().join(name));
    speech::write(&input, 3).unwrap();
    let mut pair = Pair::start((&format!("wav:{},", input.display()), ""), (&format!("wav:,{}", output.display()), ""));
    pair.run(Duration::from_secs(4));
    let captured = pair.left.meters.capture_epoch_us().unwrap();
    let played = pair.right.meters.playback_epoch_us().unwrap();
    let stats = pair.right.meters.playout();
    assert!(stats.received > 100, "{stats:?}");
    assert_eq!((pair.left.trouble(), pair.right.trouble()), (None, None));
    pair.finish();
    let [spoken, heard] = [&input, &output].map(|file| wav::read(file).unwrap());
    let found = likeness((&spoken, captured), (&heard, played));
    println!("file to file: {found:?}");
    // Nothing in common gives 0.1; a busy machine may tear the file apart where the test thread slept.
    assert!(found.correlation > 0.4, "{found:?}");
}

#[test]
fn a_peer_that_loops_sends_the_sound_back() {
    let folder = tempfile::tempdir().unwrap();
    let [input, output, heard] = ["in.wav", "out.wav", "heard.wav"].map(|name| folder.path().join(name));
    speech::write(&input, 3).unwrap();
    let mut pair = Pair::start(
        (&format!("wav:{},{}", input.display(), output.display()), ""),
        (&format!("loop:{}", heard.display()), ""),
    );
    pair.run(Duration::from_secs(4));
    let [captured, played, echoed] = [
        pair.left.meters.capture_epoch_us(),
        pair.right.meters.playback_epoch_us(),
        pair.left.meters.playback_epoch_us(),
    ]
    .map(Option::unwrap);
    pair.finish();
    let [spoken, heard, output] = [&input, &heard, &output].map(|file| wav::read(file).unwrap());
    for heard in [(&heard[..], played), (&output[..], echoed)] {
        let found = likeness((&spoken, captured), heard);
        assert!(found.correlation > 0.3, "{found:?}");
    }
}

#[test]
fn p01_an_intercom_beeps_before_its_microphone_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let [input, room, heard] = ["in.wav", "room.wav", "heard.wav"].map(|name| folder.path().join(name));
    speech::write(&input, 3).unwrap();
    let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap());
    let backend = format!("wav:{},{}", input.display(), room.display()).parse().unwrap();
    let intercom = AudioConfig { backend, announce: true, ..AudioConfig::default() };
    let left = start(intercom, Arc::clone(&wake)).unwrap();
    let right = start_end(&wake, &format!("wav:,{}", heard.display()), "");
    let mut pair = Pair { wake, left, right, seqs: [0; 2] };
    pair.left.controls.set_deafen(true);
    pair.run(Duration::from_secs(2));
    let [beeped, played] = [&pair.left, &pair.right].map(|end| end.meters.playback_epoch_us().unwrap());
    pair.finish();
    let [room, heard] = [&room, &heard].map(|file| wav::read(file).unwrap());
    let loud = |samples: &[i16], least: i16| samples.iter().position(|sample| sample.abs() > least).unwrap() as u64;
    let beep = loud(&room, 8_000);
    assert!(room.iter().filter(|sample| sample.abs() > 4_000).count() > 5_000, "two beeps, however deaf");
    let first_word = played + loud(&heard, 200) * 1_000 / 48;
    let end_of_beeps = beeped + beep * 1_000 / 48 + 480_000;
    assert!(first_word > end_of_beeps, "{first_word} {end_of_beeps}");
}

#[test]
fn mute_and_deafen_silence_one_direction_each() {
    let mut pair = Pair::start(("tone", ""), ("tone", ""));
    pair.left.controls.set_mute(true);
    pair.run(Duration::from_millis(1_500));
    let levels = |end: &CallAudio| (end.meters.capture_level(), end.meters.playback_level());
    assert!(levels(&pair.left).0 < -600 && levels(&pair.left).1 > -200, "{:?}", levels(&pair.left));
    assert!(levels(&pair.right).0 > -200 && levels(&pair.right).1 < -600, "{:?}", levels(&pair.right));
    pair.left.controls.set_mute(false);
    pair.right.controls.set_deafen(true);
    pair.run(Duration::from_millis(1_500));
    assert!(levels(&pair.left).0 > -200);
    assert_eq!(levels(&pair.right).1, dvsd::media::level::SILENCE);
    pair.finish();
}

#[test]
fn a_missing_device_is_reported_and_silence_flows_on() {
    let mut pair = Pair::start(("alsa", "no_such_device"), ("none", ""));
    pair.run(Duration::from_millis(1_200));
    let trouble = pair.left.trouble().unwrap();
    assert!(trouble.contains("capture device 'no_such_device' not found; list devices with arecord -L"), "{trouble}");
    assert!(trouble.contains("playback device 'no_such_device' not found"), "{trouble}");
    assert!(pair.right.meters.playout().received >= 20, "frames leave every 20 ms");
    assert_eq!(pair.right.trouble(), None);
    pair.finish();
}

#[test]
fn a_missing_file_is_reported() {
    let mut pair = Pair::start(("wav:/no/such.wav,/no/such/out.wav", ""), ("none", ""));
    pair.run(Duration::from_millis(300));
    let trouble = pair.left.trouble().unwrap();
    assert!(trouble.contains("cannot read /no/such.wav") && trouble.contains("cannot write"), "{trouble}");
    pair.finish();
}

#[test]
fn a_card_that_swallows_everything_does_not_take_the_processor() {
    let mut pair = Pair::start(("alsa", "null"), ("none", ""));
    pair.run(Duration::from_millis(1_500));
    assert!(pair.left.trouble().is_some_and(|trouble| trouble.contains("'null'")));
    pair.finish();
}

/// Runs `test` of this file in a process of its own, whose ALSA knows the cards of `world`.
fn run_with(world: &World, test: &str) -> String {
    let tests = std::env::current_exe().unwrap();
    let path = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    let output =
        Command::new(tests).args(["--ignored", "--exact", "--nocapture", &path]).envs(world.environment()).output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("ALSA lib"), "libasound wrote to stderr");
    text
}

#[test]
#[ignore = "run by the tests below, in a process whose ALSA has virtual cards"]
fn child_talks_between_two_cards() {
    // The thread between the two ends stands for the network: it should add nothing of its own.
    call_thread::become_real_time();
    let mut pair = Pair::start(("alsa", "left"), ("alsa", "right"));
    pair.run(Duration::from_secs(8));
    for (name, end) in [("left", &mut pair.left), ("right", &mut pair.right)] {
        let (stats, meters) = (end.meters.playout(), &end.meters);
        println!("{name}: xruns {} rt {} {stats:?}", meters.xruns(), meters.real_time());
        println!("{name}: capture {} us playback {} us", meters.capture_delay_us(), meters.playback_delay_us());
        assert_eq!(end.trouble(), None);
        assert!(end.meters.capture_epoch_us().is_some() && end.meters.playback_epoch_us().is_some());
    }
    pair.finish();
}

#[test]
#[ignore = "run by the test below, in a process whose ALSA has a virtual card"]
fn child_talks_through_a_card_that_freezes() {
    let mut pair = Pair::start(("alsa", "left"), ("tone", ""));
    let mut troubles = Vec::new();
    for _ in 0..60 {
        pair.run(Duration::from_millis(100));
        troubles.push(pair.left.trouble().unwrap_or_default());
    }
    for side in ["capture", "playback"] {
        let words = format!("{side} device 'left' stands still");
        let found = troubles.iter().position(|trouble| trouble.contains(&words)).unwrap();
        assert!(troubles[found..].iter().any(|trouble| !trouble.contains(&words)), "it works again: {troubles:?}");
    }
    let received = pair.right.meters.playout().received;
    assert!(received > 150, "frames leave whatever the card does: {received}");
    pair.finish();
}

#[test]
fn a_card_that_freezes_is_opened_anew_and_the_call_goes_on() {
    let card = Card { lifetime_ms: 1_500, ..Card::new("left", Vec::new()) };
    run_with(&World::new(vec![card]).unwrap(), "child_talks_through_a_card_that_freezes");
}

#[test]
fn clicks_go_both_ways_within_45_milliseconds() {
    let world = World::new(["left", "right"].map(|name| Card::new(name, clicks::samples(12))).to_vec()).unwrap();
    print!("{}", run_with(&world, "child_talks_between_two_cards"));
    for end in ["left", "right"] {
        let heard = world.heard(end).unwrap();
        let [first, last] =
            [heard.iter().position(|s| *s != 0), heard.iter().rposition(|s| *s != 0)].map(Option::unwrap);
        let clicks = Clicks::find(&heard, first..last - 48_000);
        let median = clicks.median_ms().unwrap();
        println!("clicks heard {end}: median {median:.2} ms {:?} missed {}", clicks.delays_ms, clicks.missed);
        assert!(median <= 45.0, "{median}");
        assert!(clicks.missed <= 1 && clicks.delays_ms.len() >= 8, "{clicks:?}");
    }
}

#[test]
fn speech_arrives_whole_on_cards_that_drift_and_move_in_steps() {
    let speech = speech::samples(12).unwrap();
    let left = Card { ppm: 300, ..Card::new("left", speech.clone()) };
    let right = Card { ppm: -300, quantum: 240, ..Card::new("right", speech) };
    let world = World::new(vec![left, right]).unwrap();
    print!("{}", run_with(&world, "child_talks_between_two_cards"));
    for (end, other) in [("left", "right"), ("right", "left")] {
        let heard = world.heard(end).unwrap();
        let found = likeness((world.spoken(other).unwrap(), 0), (&heard, 0));
        println!("speech heard {end}: {found:?}");
        assert!(found.delay_ms <= 60.0 && found.correlation > 0.7, "{found:?}");
    }
}
