// SPDX-License-Identifier: GPL-3.0-or-later
//! Whole screens, as text.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use dvs_proto::message::{
    CallInfo, CallState, Direction, EndReason, Event, Failure, FailureKind, Levels, Reply, Request, Snapshot, Target,
    ToClient, Trust,
};
use insta::assert_snapshot;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::draw;
use crate::ui::app::{App, Effect, Input, Setting};
use crate::ui::example::{self, BOB, CAROL, NOON, OWN, STRANGER};
use crate::ui::theme::Theme;
use crate::ui::time::{Now, Zone};

mod network;
mod sessions;

const NORMAL: (u16, u16) = (80, 24);
const SMALL: (u16, u16) = (60, 16);
const COMPACT: (u16, u16) = (52, 14);
const NARROW: (u16, u16) = (40, 12);
const TINY: (u16, u16) = (28, 7);
const WIDE: (u16, u16) = (120, 40);

/// A client under test, with a clock of its own.
struct Scene {
    app: App,
    mono: Duration,
    unix: u64,
    sent: Vec<(u32, Request)>,
}

impl Scene {
    fn new(snapshot: Snapshot) -> Self {
        Self::with_theme(snapshot, Theme::new(true, true))
    }

    fn with_theme(snapshot: Snapshot, theme: Theme) -> Self {
        let setting = Setting { theme, zone: Zone::UTC, host: "pi-kitchen".into(), notify: true };
        let now = Now { mono: Duration::ZERO, unix: NOON };
        let mut scene = Self { app: App::new(setting, snapshot, now), mono: Duration::ZERO, unix: NOON, sent: vec![] };
        scene.feed(Input::Tick);
        scene
    }

    fn feed(&mut self, input: Input) {
        for effect in self.app.update(input, Now { mono: self.mono, unix: self.unix }) {
            if let Effect::Send { id, request } = effect {
                self.sent.push((id, request));
            }
        }
    }

    fn wait(&mut self, seconds: u64) {
        self.mono += Duration::from_secs(seconds);
        self.unix += seconds;
        self.feed(Input::Tick);
    }

    fn event(&mut self, event: Event) {
        self.feed(Input::Message(ToClient::Event(event)));
    }

    fn press(&mut self, keys: &str) {
        for c in keys.chars() {
            let code = match c {
                '\n' => KeyCode::Enter,
                '\t' => KeyCode::Tab,
                c => KeyCode::Char(c),
            };
            self.feed(Input::Key(KeyEvent::new(code, KeyModifiers::NONE)));
        }
    }

    /// Answers the latest request that was sent.
    fn answer(&mut self, outcome: Result<Reply, Failure>) {
        let (id, _) = self.sent.pop().expect("something was asked");
        self.feed(Input::Message(ToClient::Reply { id, outcome }));
    }

    /// The call with Alice, talked in, with levels and figures.
    fn talk(&mut self) {
        self.event(Event::Call(example::active(Direction::Outgoing)));
        self.event(Event::Levels(Levels { capture: -184, playback: -240 }));
        for rtt in [20, 21, 26, 20, 19, 41, 22, 23] {
            let stats = dvs_proto::message::CallStats { rtt_us: Some(rtt * 1_000 + 400), ..example::stats() };
            self.event(Event::Stats(Box::new(stats)));
        }
    }

    fn draw(&mut self, size: (u16, u16)) -> String {
        self.feed(Input::Resize(size.0, size.1));
        let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
        terminal.draw(|frame| draw(&self.app, frame)).unwrap();
        terminal.backend().to_string()
    }
}

fn in_daily_use() -> Scene {
    let mut scene = Scene::new(example::snapshot());
    scene.event(Event::Activity { at: NOON - 60, text: "joined the overlay via 192.0.2.7".into() });
    scene.event(Event::Activity { at: NOON, text: "reachable as 203.0.113.9:41822".into() });
    scene
}

fn outgoing(state: CallState) -> CallInfo {
    let found = state != CallState::Lookup;
    let rang = state == CallState::Ringing;
    let known = example::call(Direction::Outgoing);
    CallInfo {
        state,
        lookup_us: known.lookup_us.filter(|_| found),
        ring_us: known.ring_us.filter(|_| rang),
        route: known.route.clone().filter(|_| found),
        ..known
    }
}

#[test]
fn the_first_run_says_what_to_do() {
    assert_snapshot!(Scene::new(example::empty()).draw(NORMAL));
}

#[test]
fn the_first_run_without_a_network_says_so() {
    let mut snapshot = example::empty();
    snapshot.network.online = false;
    assert_snapshot!(Scene::new(snapshot).draw(NORMAL));
}

#[test]
fn the_main_screen() {
    assert_snapshot!("main_80x24", in_daily_use().draw(NORMAL));
    assert_snapshot!("main_120x40", in_daily_use().draw(WIDE));
    assert_snapshot!("main_60x16", in_daily_use().draw(SMALL));
    assert_snapshot!("main_52x14", in_daily_use().draw(COMPACT));
    assert_snapshot!("main_28x7", in_daily_use().draw(TINY));
}

#[test]
fn the_main_screen_without_unicode() {
    let mut scene = Scene::with_theme(example::snapshot(), Theme::new(false, false));
    scene.talk();
    assert_snapshot!(scene.draw(NORMAL));
}

#[test]
fn a_recent_call_of_a_stranger() {
    let mut scene = in_daily_use();
    scene.press("\tG");
    assert_snapshot!(scene.draw(NORMAL));
}

#[test]
fn a_contact_whose_key_changed() {
    let mut scene = in_daily_use();
    scene.press("G");
    assert_snapshot!(scene.draw(NORMAL));
}

#[test]
fn finding_a_contact() {
    let mut scene = in_daily_use();
    scene.press("/ar");
    assert_snapshot!(scene.draw(NORMAL));
}

#[test]
fn an_outgoing_call_is_looked_up() {
    let mut scene = in_daily_use();
    scene.event(Event::Call(CallInfo { started: NOON, ..outgoing(CallState::Lookup) }));
    scene.wait(3);
    assert_snapshot!(scene.draw(NORMAL));
}

#[test]
fn an_outgoing_call_connects() {
    let mut scene = in_daily_use();
    scene.event(Event::Call(CallInfo { started: NOON, ..outgoing(CallState::Connecting) }));
    assert_snapshot!(scene.draw(NORMAL));
}

#[test]
fn an_outgoing_call_rings() {
    let mut scene = in_daily_use();
    scene.event(Event::Call(outgoing(CallState::Ringing)));
    assert_snapshot!("ringing_80x24", scene.draw(NORMAL));
    assert_snapshot!("ringing_52x14", scene.draw(COMPACT));
    assert_snapshot!("ringing_28x7", scene.draw(TINY));
}

#[test]
fn an_incoming_call_pops_up() {
    let mut scene = in_daily_use();
    scene.event(Event::Call(example::call(Direction::Incoming)));
    scene.wait(1);
    assert_snapshot!("incoming_80x24", scene.draw(NORMAL));
    assert_snapshot!("incoming_60x16", scene.draw(SMALL));
    assert_snapshot!("incoming_52x14", scene.draw(COMPACT));
    assert_snapshot!("incoming_28x7", scene.draw(TINY));
}

#[test]
fn a_stranger_calls_while_one_types() {
    let mut scene = in_daily_use();
    scene.press("d");
    let stranger =
        CallInfo { peer: STRANGER.into(), name: None, trust: Trust::Unknown, ..example::call(Direction::Incoming) };
    scene.event(Event::Call(stranger));
    assert_snapshot!(scene.draw(NORMAL));
}

#[test]
fn of_a_stranger_that_calls_the_whole_id_is_shown() {
    let mut scene = Scene::new(example::empty());
    let stranger =
        CallInfo { peer: STRANGER.into(), name: None, trust: Trust::Seen, ..example::call(Direction::Incoming) };
    scene.event(Event::Call(stranger));
    scene.wait(1);
    assert_snapshot!("stranger_80x24", scene.draw(NORMAL));
    assert_snapshot!("stranger_52x14", scene.draw(COMPACT));
}

#[test]
fn a_call_put_aside_goes_on_ringing() {
    let mut scene = in_daily_use();
    scene.event(Event::Call(example::call(Direction::Incoming)));
    scene.wait(1);
    scene.press("i");
    scene.wait(10);
    assert_snapshot!(scene.draw(NORMAL));
}

#[test]
fn in_a_call() {
    let mut scene = in_daily_use();
    scene.talk();
    assert_snapshot!("call_80x24", scene.draw(NORMAL));
    assert_snapshot!("call_120x40", scene.draw(WIDE));
    assert_snapshot!("call_60x16", scene.draw(SMALL));
    assert_snapshot!("call_52x14", scene.draw(COMPACT));
    assert_snapshot!("call_28x7", scene.draw(TINY));
}

#[test]
fn in_a_call_just_answered_elsewhere() {
    let mut scene = in_daily_use();
    scene.event(Event::Call(example::call(Direction::Incoming)));
    let by = CallInfo { answered_by: Some("anna on pts/3".into()), ..example::active(Direction::Incoming) };
    scene.event(Event::Call(by));
    assert_snapshot!(scene.draw(NORMAL));
}

#[test]
fn muted_and_deafened() {
    let mut scene = in_daily_use();
    scene.talk();
    let audio = example::empty().audio;
    scene.event(Event::Audio(dvs_proto::message::Audio { muted: true, deafened: true, ..audio }));
    assert_snapshot!("muted_80x24", scene.draw(NORMAL));
    assert_snapshot!("muted_52x14", scene.draw(COMPACT));
    assert_snapshot!("muted_28x7", scene.draw(TINY));
}

#[test]
fn on_hold() {
    let mut scene = in_daily_use();
    scene.talk();
    let held = CallInfo { state: CallState::Held, ..example::active(Direction::Outgoing) };
    scene.event(Event::Call(CallInfo { held_there: true, ..held.clone() }));
    scene.wait(12);
    assert_snapshot!("held_by_the_peer", scene.draw(NORMAL).lines().nth(2).unwrap());
    scene.talk();
    let you = example::snapshot().clients.swap_remove(0);
    scene.event(Event::Acted { client: you, action: "hold".into(), call: Some(1) });
    scene.event(Event::Call(CallInfo { held_here: true, ..held }));
    scene.wait(12);
    assert_snapshot!(scene.draw(NORMAL));
}

#[test]
fn hints_are_never_cut() {
    let mut scene = in_daily_use();
    scene.talk();
    let you = example::snapshot().clients.swap_remove(0);
    scene.event(Event::Acted { client: you, action: "hold".into(), call: Some(1) });
    let held = CallInfo { state: CallState::Held, held_here: true, ..example::active(Direction::Outgoing) };
    scene.event(Event::Call(held));
    assert_snapshot!("held_60x16", scene.draw(SMALL));
    scene.press("q");
    assert_snapshot!("quit_40x12", scene.draw(NARROW));
}

#[test]
fn resuming_while_the_peer_holds_says_so() {
    let mut snapshot = example::snapshot();
    // Nobody knows who put it on hold before this client came.
    let held =
        CallInfo { state: CallState::Held, held_here: true, held_there: true, ..example::active(Direction::Outgoing) };
    snapshot.calls = vec![held.clone()];
    let mut scene = Scene::new(snapshot);
    scene.press("h");
    scene.answer(Ok(Reply::Call(CallInfo { held_here: false, ..held })));
    let screen = scene.draw(NORMAL);
    assert!(screen.contains("Alice put you on hold, and is the one to resume"), "{screen}");
    assert!(screen.contains("Alice put you on hold, neither side is heard"), "{screen}");
}

#[test]
fn a_bad_id_to_dial_is_complained_about_once() {
    let mut scene = in_daily_use();
    scene.press("d");
    assert!(scene.draw(NORMAL).contains("ID, invite or name"));
    scene.press("x");
    let why = "the checksum does not fit: is there a typo?";
    scene.answer(Err(Failure::new(FailureKind::BadInput, why)));
    scene.press("\n");
    scene.answer(Err(Failure::new(FailureKind::BadInput, why)));
    let screen = scene.draw(NORMAL);
    assert_eq!(screen.matches(why).count(), 1, "{screen}");
}

#[test]
fn nothing_is_checked_while_the_daemon_is_gone() {
    let mut scene = in_daily_use();
    scene.press("dab");
    scene.feed(Input::Unlinked { why: "dvsd closed the connection".into(), retry: Duration::from_secs(2) });
    let checked_later = "to be checked when the daemon is back";
    assert!(scene.draw(NORMAL).contains(checked_later));
    scene.press("c");
    assert!(scene.draw(NORMAL).contains(checked_later));
    scene.feed(Input::Linked(Box::new(example::snapshot())));
    assert!(scene.draw(NORMAL).contains("checking"));
}

#[test]
fn my_id_and_the_invite_fit_a_narrow_window() {
    let mut scene = in_daily_use();
    scene.press("I");
    assert_snapshot!("my_id_40x12", scene.draw(NARROW));
}

#[test]
fn reconnecting_with_a_device_in_trouble_and_a_second_call() {
    let mut scene = in_daily_use();
    scene.talk();
    scene.event(Event::Call(CallInfo { state: CallState::Reconnecting, ..example::active(Direction::Outgoing) }));
    let trouble = Some("capture device 'plughw:USB' is held by PipeWire (pid 812); trying again".into());
    scene.event(Event::Audio(dvs_proto::message::Audio { trouble, ..example::empty().audio }));
    let held = CallInfo {
        call: 2,
        peer: BOB.into(),
        name: Some("Bob".into()),
        state: CallState::Held,
        held_here: true,
        ..example::active(Direction::Incoming)
    };
    scene.event(Event::Call(held));
    scene.wait(4);
    assert_snapshot!(scene.draw(NORMAL));
}

#[test]
fn a_call_without_devices_does_not_look_like_one_that_is_heard() {
    let mut scene = in_daily_use();
    scene.talk();
    let mut audio = example::empty().audio;
    audio.trouble = Some("capture device 'usb' not found; playback device 'usb' not found".into());
    scene.event(Event::Audio(audio));
    assert_snapshot!("no_devices_80x24", scene.draw(NORMAL));
    assert_snapshot!("no_devices_52x14", scene.draw(COMPACT));
}

#[test]
fn a_call_that_ended_says_why() {
    let mut scene = in_daily_use();
    scene.talk();
    let ended = Some(EndReason::PeerHungUp);
    scene.event(Event::Call(CallInfo { state: CallState::Ended, ended, ..example::active(Direction::Outgoing) }));
    scene.event(Event::History(example::past(Some("Alice"), example::ALICE, Direction::Outgoing, 214, Some(207))));
    assert_snapshot!("ended_80x24", scene.draw(NORMAL));
    assert_snapshot!("ended_52x14", scene.draw(COMPACT));
}

#[test]
fn a_call_that_was_never_found_says_why() {
    let mut scene = in_daily_use();
    scene.event(Event::Call(outgoing(CallState::Lookup)));
    let ended = Some(EndReason::NotFound);
    scene.event(Event::Call(CallInfo { state: CallState::Ended, ended, ..outgoing(CallState::Lookup) }));
    assert_snapshot!(scene.draw(NORMAL));
}

#[test]
fn adding_a_contact_with_a_good_id() {
    let mut scene = in_daily_use();
    scene.press("n");
    scene.feed(Input::Paste(STRANGER.into()));
    let target = Target { id: STRANGER.into(), hex: "AB".repeat(20), name: None, own: false };
    scene.answer(Ok(Reply::Target(target)));
    scene.press("\tEve");
    assert_snapshot!("add_contact_good_80x24", scene.draw(NORMAL));
    assert_snapshot!("add_contact_good_52x14", scene.draw(COMPACT));
}

#[test]
fn adding_a_contact_with_a_bad_id() {
    let mut scene = in_daily_use();
    scene.press("n");
    scene.feed(Input::Paste(STRANGER.replace('x', "q")));
    scene.answer(Err(Failure::new(FailureKind::BadInput, "the checksum does not fit: is there a typo?")));
    assert_snapshot!(scene.draw(NORMAL));
}

#[test]
fn adding_oneself() {
    let mut scene = in_daily_use();
    scene.press("n");
    scene.feed(Input::Paste(OWN.into()));
    scene.answer(Ok(Reply::Target(Target { id: OWN.into(), hex: "AB".repeat(20), name: None, own: true })));
    assert_snapshot!(scene.draw(NORMAL));
}

#[test]
fn dialling_a_name() {
    let mut scene = in_daily_use();
    scene.press("dcarol");
    while !scene.sent.is_empty() {
        let target = Target { id: CAROL.into(), hex: "CD".repeat(20), name: Some("Carol".into()), own: false };
        scene.answer(Ok(Reply::Target(target)));
    }
    assert_snapshot!(scene.draw(NORMAL));
}

#[test]
fn renaming_and_removing_a_contact() {
    let mut scene = in_daily_use();
    scene.press("e");
    assert_snapshot!("rename", scene.draw(NORMAL));
    scene.feed(Input::Key(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE)));
    scene.press("R");
    assert_snapshot!("remove", scene.draw(NORMAL));
}

#[test]
fn my_id() {
    let mut scene = in_daily_use();
    scene.press("I");
    assert_snapshot!("my_id_80x24", scene.draw(NORMAL));
    assert_snapshot!("my_id_120x40", scene.draw(WIDE));
    assert_snapshot!("my_id_52x14", scene.draw(COMPACT));
    scene.press("\t");
    assert_snapshot!("my_invite_120x40", scene.draw(WIDE));
}

#[test]
fn my_id_without_unicode() {
    let mut scene = Scene::with_theme(example::snapshot(), Theme::new(false, false));
    scene.press("I");
    assert_snapshot!(scene.draw(WIDE));
}

#[test]
fn the_network() {
    let mut scene = in_daily_use();
    scene.talk();
    scene.press("N");
    assert_snapshot!("network_80x24", scene.draw(NORMAL));
    assert_snapshot!("network_120x40", scene.draw(WIDE));
    assert_snapshot!("network_60x16", scene.draw(SMALL));
    assert_snapshot!("network_52x14", scene.draw(COMPACT));
    scene.press("G");
    assert_snapshot!("network_end_52x14", scene.draw(COMPACT));
}

#[test]
fn the_network_before_anybody_answered() {
    let mut snapshot = example::empty();
    snapshot.network = dvs_proto::message::Network { listen: "[::]:5004".into(), ..Default::default() };
    let mut scene = Scene::new(snapshot);
    scene.press("N");
    assert_snapshot!(scene.draw(NORMAL));
}

#[test]
fn the_sound_set_up() {
    let mut scene = in_daily_use();
    scene.press("A");
    assert_snapshot!("audio_idle", scene.draw(NORMAL));
    scene.talk();
    assert_snapshot!("audio_in_call", scene.draw(NORMAL));
}

#[test]
fn the_log() {
    let mut scene = in_daily_use();
    for number in 1..=30 {
        scene.event(Event::Activity { at: NOON + number * 60, text: format!("event {number}") });
    }
    scene.press("L");
    assert_snapshot!("log_end", scene.draw(NORMAL));
    scene.press("kk");
    assert_snapshot!("log_two_rows_up", scene.draw(NORMAL));
}

#[test]
fn the_help() {
    let mut scene = in_daily_use();
    scene.press("?");
    assert_snapshot!("help_top", scene.draw(NORMAL));
    scene.press("G");
    assert_snapshot!("help_end", scene.draw(NORMAL));
}

#[test]
fn quitting_in_a_call_asks() {
    let mut scene = in_daily_use();
    scene.talk();
    scene.press("q");
    assert_snapshot!(scene.draw(NORMAL));
}

#[test]
fn the_command_line() {
    let mut scene = in_daily_use();
    scene.press(":ca");
    let line = scene.draw(NORMAL).lines().last().unwrap().to_owned();
    assert!(line.starts_with("\":ca   call  ") && line.ends_with("     \""), "{line}");
    scene.feed(Input::Key(KeyEvent::new(KeyCode::Backspace, KeyModifiers::NONE)));
    scene.press("on");
    assert_snapshot!("command_hint", scene.draw(NORMAL).lines().last().unwrap());
    scene.press("fuse\n");
    assert_snapshot!("command_trouble", scene.draw(NORMAL).lines().last().unwrap());
}

#[test]
fn the_daemon_goes_away_in_a_call() {
    let mut scene = in_daily_use();
    scene.talk();
    let why = "dvsd closed the connection; see: systemctl status dvsd".into();
    scene.feed(Input::Unlinked { why, retry: Duration::from_secs(2) });
    assert_snapshot!(scene.draw(NORMAL));
}
