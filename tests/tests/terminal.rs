// SPDX-License-Identifier: GPL-3.0-or-later
//! The full screen of `dvs-tui` in real terminals, on real daemons.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at what it did not expect"
)]

use std::time::{Duration, Instant};

use dvs_proto::message::CallState;
use dvs_tests::harness::{Setup, program, wait_for};
use dvs_tests::terminal::{ENTER, ESC, TAB, Terminal, USUAL, cell_of, ctrl, has_colour};
use dvs_tests::trio::{Party, Trio};
use nix::sys::signal::Signal;
use vt100::Screen;

/// Everything that is waited for comes much sooner.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a pop-up that nobody asked for ignores keys.
const GUARD: Duration = Duration::from_millis(600);
/// The sound of a microphone is above, that of a muted one below, in dB.
const QUIET: i32 = -60;

fn tone() -> Setup {
    Setup { backend: "tone".to_owned(), ..Setup::loopback() }
}

/// Alice and Bob have each other as contacts.
fn acquainted() -> Trio {
    let mut trio = Trio::start(tone(), tone()).unwrap();
    let [alice, bob] = [&mut trio.alice, &mut trio.bob].map(|party| party.handset.id().unwrap());
    trio.alice.handset.add_contact("Bob", &bob).unwrap();
    trio.bob.handset.add_contact("Alice", &alice).unwrap();
    trio
}

fn open(party: &Party) -> Terminal {
    let mut terminal = Terminal::open(&party.daemon, USUAL).unwrap();
    terminal.wait_for_text(LIMIT, "Contacts (1)").unwrap();
    terminal
}

/// The two talk, and Alice has a window on it.
fn talking() -> (Trio, Terminal) {
    let mut trio = acquainted();
    trio.talk().unwrap();
    let mut alice = open(&trio.alice);
    alice.wait_for_text(LIMIT, "In call: Bob").unwrap();
    (trio, alice)
}

/// Fails unless both still hear each other.
fn assert_they_talk(trio: &mut Trio) {
    for party in [&mut trio.alice, &mut trio.bob] {
        let calls = party.handset.snapshot().unwrap().calls;
        assert_eq!(calls.iter().map(|call| call.state).collect::<Vec<_>>(), [CallState::Active]);
        let before = party.handset.stats().unwrap().received;
        wait_for(LIMIT, "more sound", || Ok((party.handset.stats()?.received > before + 50).then_some(()))).unwrap();
    }
}

/// The timer on the panel of the call.
fn timer(text: &str) -> Option<&str> {
    let (before, _) = text.lines().find(|line| line.contains(" encrypted"))?.split_once(" encrypted")?;
    before.split_whitespace().rev().find(|word| word.len() == 5 && word.contains(':'))
}

/// The level shown for `mic` or `peer`, in dB.
fn level(text: &str, of: &str) -> Option<i32> {
    let (_, meter) = text.lines().find(|line| line.contains("mic  ") && line.contains("peer "))?.split_once(of)?;
    meter.split_once(" dB")?.0.rsplit(' ').next()?.parse().ok()
}

fn wait_for_level(terminal: &mut Terminal, of: &str, good: impl Fn(i32) -> bool) {
    terminal
        .wait_until(LIMIT, &format!("another level of {of}"), |s| level(&s.contents(), of).is_some_and(&good))
        .unwrap();
}

/// Whether the pop-up of a call hears keys: until then they are drawn faintly.
fn hears_keys(screen: &Screen) -> bool {
    cell_of(screen, "answer   x decline").is_some_and(|cell| !cell.dim())
}

/// Types the answer twice: at once, which must do nothing, and when the pop-up hears keys.
fn answer_too_early_and_again(bob: &mut Terminal, dialled: Instant) {
    bob.wait_for_text(LIMIT, "Incoming call").unwrap();
    bob.type_keys("a").unwrap();
    let decided = |screen: &Screen| hears_keys(screen) || !screen.contents().contains("Incoming call");
    bob.wait_until(LIMIT, "a pop-up that hears keys", decided).unwrap();
    if bob.text().contains("Incoming call") {
        bob.type_keys("a").unwrap();
    } else {
        // On a machine this slow the first key came late enough.
        assert!(dialled.elapsed() >= GUARD, "the pop-up took a key at once");
    }
}

#[test]
fn two_people_talk_from_their_keyboards() {
    let trio = acquainted();
    let [mut alice, mut bob] = [open(&trio.alice), open(&trio.bob)];
    let dialled = Instant::now();
    alice.type_keys(ENTER).unwrap();
    alice.wait_for_text(LIMIT, "ringing at Bob").unwrap();
    answer_too_early_and_again(&mut bob, dialled);
    assert!(bob.said().bells > 0);
    for (terminal, peer) in [(&mut alice, "Bob"), (&mut bob, "Alice")] {
        terminal.wait_for_text(LIMIT, &format!("In call: {peer}")).unwrap();
        let text = terminal.wait_until(LIMIT, "a timer", |s| timer(&s.contents()).is_some()).unwrap();
        let later = |screen: &Screen| timer(&screen.contents()) > timer(&text);
        terminal.wait_until(LIMIT, "a running timer", later).unwrap();
        wait_for_level(terminal, "mic", |level| level > QUIET);
        wait_for_level(terminal, "peer", |level| level > QUIET);
        terminal.wait_for_texts(LIMIT, &["RTT ", "loss ", "● mic live"]).unwrap();
        assert_eq!(terminal.said().title, format!("{peer} - DVS"));
    }
    bob.type_keys("m").unwrap();
    bob.wait_for_text(LIMIT, "■ MUTED").unwrap();
    wait_for_level(&mut alice, "peer", |level| level < QUIET);
    bob.type_keys("m").unwrap();
    bob.wait_until_gone(LIMIT, "MUTED").unwrap();
    wait_for_level(&mut alice, "peer", |level| level > QUIET);
    alice.type_keys("x").unwrap();
    alice.wait_for_texts(LIMIT, &["Call ended: Bob", "you hung up", "RTT ", "loss "]).unwrap();
    bob.wait_for_texts(LIMIT, &["Call ended: Alice", "Alice hung up", "RTT ", "loss "]).unwrap();
    for (terminal, story) in [
        (&mut alice, ["calling Bob", "Bob answered", "Bob: you hung up"]),
        (&mut bob, ["Alice is calling", "you answered Alice", "Alice hung up"]),
    ] {
        terminal.type_keys("L").unwrap();
        let only_that = |screen: &Screen| {
            let text = screen.contents();
            let mut lines = text.lines().skip(2).map(|line| line.trim_matches(['│', ' ']));
            text.contains("┌ Log")
                && story.iter().all(|part| lines.next().is_some_and(|line| line.ends_with(part)))
                && lines.all(|line| line.is_empty() || line.starts_with(['└', 'E']))
        };
        terminal.wait_until(LIMIT, "each thing once, and in order", only_that).unwrap();
    }
}

#[test]
fn whoever_quits_in_a_call_is_asked_and_may_leave_it_running() {
    let (mut trio, mut alice) = talking();
    alice.type_keys("q").unwrap();
    alice.wait_for_text(LIMIT, "It does not need this window.").unwrap();
    alice.type_keys(ESC).unwrap();
    alice.wait_until_gone(LIMIT, "It does not need this window.").unwrap();
    alice.type_keys("q").unwrap();
    alice.wait_for_text(LIMIT, "l leave it running").unwrap();
    alice.type_keys("l").unwrap();
    assert!(alice.wait_for_exit(LIMIT).unwrap().success());
    assert!(alice.is_given_back().unwrap());
    assert!(alice.text().contains("The call with Bob") && alice.text().contains("goes on"), "{alice:?}");
    assert_they_talk(&mut trio);
}

#[test]
fn hanging_up_and_quitting_is_one_key_of_that_question() {
    let (mut trio, mut alice) = talking();
    alice.type_keys("q").unwrap();
    alice.wait_for_text(LIMIT, "h hang up and quit").unwrap();
    alice.type_keys("h").unwrap();
    assert!(alice.wait_for_exit(LIMIT).unwrap().success());
    assert!(alice.is_given_back().unwrap());
    trio.bob.handset.wait_for_end(LIMIT).unwrap();
}

#[test]
fn a_window_that_is_closed_leaves_the_call_alone() {
    let (mut trio, mut alice) = talking();
    alice.hang_up();
    assert_eq!(alice.wait_for_exit(LIMIT).unwrap().exit_code(), 128 + Signal::SIGHUP as u32);
    let handset = &mut trio.alice.handset;
    let gone = || Ok((handset.snapshot()?.clients.len() == 1).then_some(()));
    wait_for(LIMIT, "the daemon to notice", gone).unwrap();
    assert_they_talk(&mut trio);
}

#[test]
fn a_client_that_is_stopped_gives_the_terminal_back_until_it_goes_on() {
    let (mut trio, mut alice) = talking();
    alice.type_keys(&ctrl('z')).unwrap();
    alice.wait_until(LIMIT, "the usual screen", |screen| !screen.alternate_screen()).unwrap();
    wait_for(LIMIT, "the terminal's old modes", || Ok(alice.is_given_back()?.then_some(()))).unwrap();
    assert_they_talk(&mut trio);
    alice.signal(Signal::SIGCONT).unwrap();
    alice.wait_until(LIMIT, "the call again", |s| s.alternate_screen() && timer(&s.contents()).is_some()).unwrap();
    alice.type_keys(&ctrl('c')).unwrap();
    assert!(alice.wait_for_exit(LIMIT).unwrap().success());
    assert!(alice.is_given_back().unwrap());
}

#[test]
fn the_call_stays_in_sight_however_small_the_window_is() {
    let (_trio, mut alice) = talking();
    let in_short = |screen: &Screen| {
        let text = screen.contents();
        ["Bob 0", "● mic live", "m mute", "x hang up"].iter().all(|part| text.contains(part)) && !text.contains('┌')
    };
    alice.resize((50, 14)).unwrap();
    alice.wait_until(LIMIT, "the call in short", in_short).unwrap();
    alice.resize((28, 7)).unwrap();
    alice.wait_for_text(LIMIT, "terminal too small: 28x7").unwrap();
    alice.wait_until(LIMIT, "the call in short", in_short).unwrap();
    alice.type_keys("m").unwrap();
    alice.wait_for_text(LIMIT, "MUTED").unwrap();
    alice.resize((10, 2)).unwrap();
    alice.resize(USUAL).unwrap();
    alice.wait_for_texts(LIMIT, &["┌ In call: Bob", "■ MUTED", "┌ Contacts (1)", "┌ Activity"]).unwrap();
    alice.wait_until_gone(LIMIT, "too small").unwrap();
}

#[test]
fn whoever_answers_elsewhere_is_named() {
    let mut trio = acquainted();
    let [mut desk, mut kitchen] = [open(&trio.bob), open(&trio.bob)];
    trio.ring().unwrap();
    desk.wait_for_text(LIMIT, "Incoming call").unwrap();
    kitchen.wait_until(LIMIT, "a pop-up that hears keys", hears_keys).unwrap();
    kitchen.type_keys("a").unwrap();
    kitchen.wait_for_text(LIMIT, "answered here").unwrap();
    desk.wait_for_texts(LIMIT, &["In call: Alice", "Alice: answered by ", " on pts/"]).unwrap();
    desk.type_keys("x").unwrap();
    desk.wait_for_text(LIMIT, "you hung up").unwrap();
    kitchen.wait_for_text(LIMIT, "hung up by pts/").unwrap();
}

#[test]
fn a_daemon_that_dies_is_missed_and_found_again() {
    let (mut trio, mut alice) = talking();
    trio.alice.daemon.crash().unwrap();
    alice.wait_for_texts(LIMIT, &["○ no daemon", "The daemon is gone; trying again in"]).unwrap();
    alice.wait_until_gone(LIMIT, "mic live").unwrap();
    alice.wait_for_text(LIMIT, "dvsd is not running at").unwrap();
    let bootstrap = vec![trio.bootstrap.address().unwrap()];
    trio.alice.daemon.restart(&Setup { bootstrap, ..tone() }).unwrap();
    alice.wait_for_texts(LIMIT, &["● online", "Call ended: Bob", "our daemon stopped, and the call with it"]).unwrap();
    alice.wait_until_gone(LIMIT, "The daemon is gone").unwrap();
}

#[test]
fn a_contact_is_added_and_a_mistyped_id_is_not() {
    let mut trio = Trio::start(tone(), tone()).unwrap();
    let mut alice = Terminal::open(&trio.alice.daemon, USUAL).unwrap();
    let id = trio.bob.handset.id().unwrap();
    let mistyped = format!("{}{}{}", &id[..20], if &id[20..21] == "q" { "p" } else { "q" }, &id[21..]);
    let hints = ["Nobody here yet.", "I shows your ID", "n adds a friend's ID", "d calls an ID at once"];
    let text = alice.wait_for_texts(LIMIT, &[&hints[..], &["? help"]].concat()).unwrap();
    assert!(!text.contains("Enter call"), "{text}");
    alice.type_keys("n").unwrap();
    alice.wait_for_text(LIMIT, "Add contact").unwrap();
    alice.type_keys(&mistyped).unwrap();
    alice.wait_for_text(LIMIT, "checksum does not fit").unwrap();
    alice.type_keys(ENTER).unwrap();
    alice.type_keys(&ctrl('u')).unwrap();
    alice.wait_for_text(LIMIT, "40 hex digits").unwrap();
    alice.type_keys(&id).unwrap();
    alice.wait_for_text(LIMIT, "✓ checksum ok").unwrap();
    alice.type_keys(TAB).unwrap();
    alice.type_keys("Bob").unwrap();
    alice.wait_for_text(LIMIT, "Name Bob").unwrap();
    alice.type_keys(ENTER).unwrap();
    alice.wait_for_text(LIMIT, "Bob is in your contacts").unwrap();
    alice.wait_for_text(LIMIT, "Contacts (1)").unwrap();
    assert_eq!(trio.alice.handset.snapshot().unwrap().contacts[0].id, id);
}

#[test]
fn the_own_id_is_one_key_away() {
    let mut party = Party::start("Alice", &Setup::loopback()).unwrap();
    let mut alice = Terminal::open(&party.daemon, USUAL).unwrap();
    alice.wait_for_text(LIMIT, "Offline: no node of the network").unwrap();
    alice.type_keys("I").unwrap();
    alice.wait_for_text(LIMIT, &party.handset.id().unwrap()).unwrap();
    alice.type_keys("q").unwrap();
    alice.wait_until_gone(LIMIT, "My ID").unwrap();
    alice.type_keys("q").unwrap();
    assert!(alice.wait_for_exit(LIMIT).unwrap().success());
    assert!(alice.is_given_back().unwrap());
}

#[test]
fn the_network_is_shown_as_it_is_now_and_people_are_looked_for() {
    let mut trio = acquainted();
    let mut alice = open(&trio.alice);
    alice.type_keys("N").unwrap();
    let address = trio.alice.address().unwrap();
    let seen = format!("seen as {address}");
    alice.wait_for_texts(LIMIT, &["┌ Network", "role", "peer: calls", &seen, "buckets", "0 found"]).unwrap();
    let text = alice.text();
    let buckets = text.lines().find(|line| line.contains("buckets")).unwrap();
    assert!(["▁", "▂", "▃"].iter().any(|bar| buckets.contains(bar)), "{text}");
    alice.type_keys(":lookup bob").unwrap();
    alice.type_keys(ENTER).unwrap();
    let place = format!("{} (", trio.bob.address().unwrap());
    alice.wait_for_texts(LIMIT, &["Bob: found in", &place, "1 found, usually in"]).unwrap();
    assert!(trio.bob.handset.snapshot().unwrap().history.is_empty());
    alice.type_keys(ESC).unwrap();
    alice.wait_until_gone(LIMIT, "┌ Network").unwrap();
}

#[test]
fn a_plain_terminal_gets_plain_text() {
    let (trio, coloured) = talking();
    let plain = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut alice = Terminal::open_with(&trio.alice.daemon, USUAL, arguments, environment).unwrap();
        wait_for_level(&mut alice, "mic", |level| level > QUIET);
        let whole = |screen: &Screen| timer(&screen.contents()).is_some() && screen.contents().contains("? help");
        alice.wait_until(LIMIT, "the call", |screen| whole(screen) && !has_colour(screen)).unwrap();
        assert!(alice.text().is_ascii(), "{alice:?}");
    };
    plain(&[], &[("NO_COLOR", "1"), ("LANG", "C")]);
    plain(&["--ascii"], &[("NO_COLOR", "1")]);
    plain(&[], &[("TERM", "vt100")]);
    assert!(!coloured.text().is_ascii());
}

#[test]
fn the_demo_shows_its_call_and_ends_what_was_left_running() {
    let mut demo = Terminal::run(&program("dvs-demo").unwrap(), USUAL, &["--tui"], &[]).unwrap();
    demo.wait_for_texts(LIMIT, &["In call: Echo", "RTT "]).unwrap();
    wait_for_level(&mut demo, "peer", |level| level > QUIET);
    demo.type_keys("q").unwrap();
    demo.wait_for_text(LIMIT, "l leave it running").unwrap();
    demo.type_keys("l").unwrap();
    assert!(demo.wait_for_exit(LIMIT).unwrap().success());
    assert!(demo.text().contains("hung up") && demo.text().contains("the demo is over"), "{demo:?}");
}

#[test]
fn without_a_daemon_one_line_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("run").display().to_string();
    let mut alice = Terminal::run(&program("dvs-tui").unwrap(), (200, 10), &["--runtime-dir", &nowhere], &[]).unwrap();
    assert_eq!(alice.wait_for_exit(LIMIT).unwrap().exit_code(), 3);
    assert_eq!(
        alice.text().trim(),
        format!(
            "dvs-tui: no daemon at {nowhere} (no such directory); start dvsd, or name its directory with --runtime-dir"
        )
    );
    assert!(alice.is_given_back().unwrap());
}
