// SPDX-License-Identifier: GPL-3.0-or-later
//! Whole calls between audio threads, joined by their rings without a network.
//!
//! They run in real time, but nothing measures time: delays are shifts between samples.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use dvs_tests::latency;
use dvs_tests::vcard::{self, Card, VirtualCards};
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

fn write_wav(path: &Path, samples: &[i16]) {
    wav::WavWriter::create(path).unwrap().append(samples);
}

#[test]
fn sound_from_a_file_is_recorded_at_the_other_end() {
    let folder = tempfile::tempdir().unwrap();
    let [input, output] = ["in.wav", "out.wav"].map(|name| folder.path().join(name));
    write_wav(&input, &latency::speech_track(3));
    let mut pair = Pair::start((&format!("wav:{},", input.display()), ""), (&format!("wav:,{}", output.display()), ""));
    pair.run(Duration::from_secs(4));
    let captured = pair.left.meters.capture_epoch_us().unwrap();
    let played = pair.right.meters.playback_epoch_us().unwrap();
    let stats = pair.right.meters.playout();
    assert!(stats.received > 100, "{stats:?}");
    assert_eq!((pair.left.trouble(), pair.right.trouble()), (None, None));
    pair.finish();
    let heard = wav::read(&output).unwrap();
    let spoken = &wav::read(&input).unwrap()[12_000..60_000];
    let shift = |micros: i64| micros * 48 / 1_000;
    let (place, correlation) = latency::best_delay(spoken, &heard);
    let delay = place as i64 - 12_000 + shift(played as i64 - captured as i64);
    println!("file to file: {:.1} ms, correlation {correlation:.3}", delay as f64 / 48.0);
    // Nothing in common gives 0.1; a busy machine may tear the file apart where the test thread slept.
    assert!(correlation > 0.4, "{correlation}");
}

#[test]
fn a_peer_that_loops_sends_the_sound_back() {
    let folder = tempfile::tempdir().unwrap();
    let [input, output, heard] = ["in.wav", "out.wav", "heard.wav"].map(|name| folder.path().join(name));
    write_wav(&input, &latency::speech_track(3));
    let mut pair = Pair::start(
        (&format!("wav:{},{}", input.display(), output.display()), ""),
        (&format!("loop:{}", heard.display()), ""),
    );
    pair.run(Duration::from_secs(4));
    pair.finish();
    let spoken = &wav::read(&input).unwrap()[12_000..60_000];
    for file in [&heard, &output] {
        let (_, correlation) = latency::best_delay(spoken, &wav::read(file).unwrap());
        assert!(correlation > 0.3, "{}: {correlation}", file.display());
    }
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

/// Runs `test` of this file in a process of its own, whose ALSA knows `cards`.
fn run_with(cards: &VirtualCards, test: &str) -> String {
    let (name, value) = cards.environment();
    let tests = std::env::current_exe().unwrap();
    let path = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    let output = Command::new(tests).args(["--ignored", "--exact", "--nocapture", &path]).env(name, value).output();
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
    let folder = vcard::folder().unwrap();
    let mut cards = VirtualCards::build(folder.path()).unwrap();
    cards.add(Card { name: "left", lifetime_ms: 1_500, ..Card::default() }).unwrap();
    run_with(&cards, "child_talks_through_a_card_that_freezes");
}

fn cards(folder: &Path, left: Card<'_>, right: Card<'_>) -> VirtualCards {
    let mut cards = VirtualCards::build(folder).unwrap();
    cards.add(Card { name: "left", ..left }).unwrap();
    cards.add(Card { name: "right", ..right }).unwrap();
    cards
}

#[test]
fn clicks_go_both_ways_within_45_milliseconds() {
    let folder = vcard::folder().unwrap();
    let track = latency::click_track(4, 48_000);
    let card = Card { microphone: &track, ..Card::default() };
    let cards = cards(folder.path(), card, card);
    print!("{}", run_with(&cards, "child_talks_between_two_cards"));
    for end in ["left", "right"] {
        let clicks = latency::clicks(&track, &cards.played(end).unwrap());
        let median = clicks.median_ms().unwrap();
        println!("clicks heard {end}: median {median:.2} ms {:?} missed {}", clicks.delays_ms, clicks.missed);
        assert!(median <= 45.0, "{median}");
        assert!(clicks.missed <= 1 && clicks.delays_ms.len() >= 4, "{clicks:?}");
    }
}

#[test]
fn speech_arrives_whole_on_cards_that_drift_and_move_in_steps() {
    let folder = vcard::folder().unwrap();
    let track = latency::speech_track(9);
    let left = Card { microphone: &track, ppm: 300, ..Card::default() };
    let right = Card { microphone: &track, ppm: -300, quantum: 240, ..Card::default() };
    let cards = cards(folder.path(), left, right);
    print!("{}", run_with(&cards, "child_talks_between_two_cards"));
    for end in ["left", "right"] {
        let windows = latency::speech(&track, &cards.played(end).unwrap());
        let delays: Vec<f64> = windows.iter().map(|window| window.delay_ms).collect();
        let likeness: Vec<f64> = windows.iter().map(|window| window.correlation).collect();
        let (delay, likeness) = (latency::median(&delays).unwrap(), latency::median(&likeness).unwrap());
        println!("speech heard {end}: median {delay:.2} ms, correlation {likeness:.3}");
        assert!(delay <= 60.0 && likeness > 0.7, "{windows:?}");
    }
}
