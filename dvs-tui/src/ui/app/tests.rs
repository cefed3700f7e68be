// SPDX-License-Identifier: GPL-3.0-or-later
//! What keys and messages lead to.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use dvs_proto::message::{
    Audio, CallInfo, CallState, ClientInfo, Direction, EndReason, Event, Failure, FailureKind, Levels, Reply, Request,
    Snapshot, Target, ToClient,
};

use super::{App, Effect, GUARD, Input, RING_CYCLE, Setting, View};
use crate::ui::example::{self, ALICE, BOB, NOON, STRANGER, snapshot};
use crate::ui::popups::Popup;
use crate::ui::theme::Theme;
use crate::ui::time::{Now, Zone};

mod sessions;

/// A client under test, with a clock of its own.
struct Tester {
    app: App,
    mono: Duration,
}

impl Tester {
    fn new() -> Self {
        Self::of(snapshot())
    }

    fn of(snapshot: Snapshot) -> Self {
        let setting =
            Setting { theme: Theme::new(true, true), zone: Zone::UTC, host: "pi-kitchen".into(), notify: true };
        let mut tester =
            Self { app: App::new(setting, snapshot, Now { mono: Duration::ZERO, unix: NOON }), mono: Duration::ZERO };
        tester.feed(Input::Tick);
        tester
    }

    fn feed(&mut self, input: Input) -> Vec<Effect> {
        self.app.update(input, Now { mono: self.mono, unix: NOON + self.mono.as_secs() })
    }

    fn wait(&mut self, time: Duration) -> Vec<Effect> {
        self.mono += time;
        self.feed(Input::Tick)
    }

    fn event(&mut self, event: Event) -> Vec<Effect> {
        self.feed(Input::Message(ToClient::Event(event)))
    }

    fn code(&mut self, code: KeyCode) -> Vec<Effect> {
        self.feed(Input::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    fn control(&mut self, c: char) -> Vec<Effect> {
        self.feed(Input::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL)))
    }

    fn press(&mut self, keys: &str) -> Vec<Effect> {
        keys.chars().flat_map(|c| self.code(if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) })).collect()
    }

    fn reply(&mut self, effects: &[Effect], outcome: Result<Reply, Failure>) -> Vec<Effect> {
        let id = effects.iter().rev().find_map(|effect| match effect {
            Effect::Send { id, .. } => Some(*id),
            _ => None,
        });
        self.feed(Input::Message(ToClient::Reply { id: id.expect("something was asked"), outcome }))
    }

    /// Alice calls, and the guard time is over.
    fn ring(&mut self) -> Vec<Effect> {
        let effects = self.event(Event::Call(example::call(Direction::Incoming)));
        self.wait(GUARD);
        effects
    }

    fn talk(&mut self) -> Vec<Effect> {
        self.event(Event::Call(example::active(Direction::Outgoing)))
    }
}

/// The requests among `effects`.
fn requests(effects: &[Effect]) -> Vec<Request> {
    let request = |effect: &Effect| match effect {
        Effect::Send { request, .. } => Some(request.clone()),
        _ => None,
    };
    effects.iter().filter_map(request).collect()
}

fn quits(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Quit { .. }))
}

fn failure(message: &str) -> Result<Reply, Failure> {
    Err(Failure::new(FailureKind::BadInput, message))
}

fn ended(reason: EndReason) -> Event {
    Event::Call(CallInfo { state: CallState::Ended, ended: Some(reason), ..example::active(Direction::Outgoing) })
}

#[test]
fn enter_calls_the_selected_contact_by_id() {
    let mut tester = Tester::new();
    assert_eq!(requests(&tester.press("j\n")), [Request::dial(BOB)]);
}

#[test]
fn an_incoming_call_rings_notifies_and_names_the_window_once_per_cycle() {
    let mut tester = Tester::new();
    let effects = tester.event(Event::Call(example::call(Direction::Incoming)));
    assert!(effects.contains(&Effect::Bell));
    assert!(effects.contains(&Effect::Notify { title: "Incoming call".into(), body: "Alice".into() }));
    assert!(effects.contains(&Effect::Title("Alice is calling - DVS".into())));
    assert_eq!(tester.wait(RING_CYCLE / 2), []);
    assert_eq!(tester.wait(RING_CYCLE / 2), [Effect::Bell]);
}

#[test]
fn a_quiet_client_does_not_ring() {
    let mut tester = Tester::new();
    tester.app.setting.notify = false;
    let effects = tester.event(Event::Call(example::call(Direction::Incoming)));
    assert_eq!(effects, [Effect::Title("Alice is calling - DVS".into())]);
}

#[test]
fn the_popup_ignores_keys_for_its_first_600_ms() {
    let mut tester = Tester::new();
    tester.event(Event::Call(example::call(Direction::Incoming)));
    assert_eq!(requests(&tester.press("axib")), []);
    tester.wait(GUARD - Duration::from_millis(1));
    assert_eq!(requests(&tester.press("a")), []);
    tester.wait(Duration::from_millis(1));
    assert_eq!(requests(&tester.press("a")), [Request::Answer { call: Some(1) }]);
}

#[test]
fn enter_does_not_answer() {
    let mut tester = Tester::new();
    tester.ring();
    assert_eq!(tester.code(KeyCode::Enter), []);
}

#[test]
fn who_types_while_it_rings_answers_nothing() {
    let mut tester = Tester::new();
    tester.press("n");
    tester.ring();
    tester.wait(Duration::from_secs(5));
    let asked = requests(&tester.press("a"));
    assert_eq!(asked, [Request::Resolve { text: "a".into() }]);
    tester.code(KeyCode::Esc);
    assert_eq!(requests(&tester.press("a")), [], "the guard counts from when the pop-up gets the keys");
    tester.wait(GUARD);
    assert_eq!(requests(&tester.press("a")), [Request::Answer { call: Some(1) }]);
}

#[test]
fn x_declines_b_also_blocks_and_i_puts_aside() {
    let mut tester = Tester::new();
    tester.ring();
    assert_eq!(requests(&tester.press("x")), [Request::Decline { call: Some(1) }]);
    let blocked = Request::ContactBlock { contact: ALICE.into(), on: true };
    assert_eq!(requests(&tester.press("b")), [Request::Decline { call: Some(1) }, blocked]);
    assert_eq!(requests(&tester.press("i")), []);
    assert!(tester.app.incoming.is_none());
    assert_eq!(tester.wait(RING_CYCLE), [], "what is put aside is quiet");
    assert_eq!(requests(&tester.press("a")), [Request::Answer { call: Some(1) }]);
    assert_eq!(requests(&tester.press("x")), [Request::Decline { call: Some(1) }]);
}

#[test]
fn when_another_client_answers_this_one_says_who() {
    let mut tester = Tester::new();
    tester.ring();
    let by = CallInfo { answered_by: Some("anna on pts/3".into()), ..example::active(Direction::Incoming) };
    tester.event(Event::Call(by));
    assert!(tester.app.incoming.is_none());
    let notice = tester.app.notice.as_ref().map(|notice| notice.text.as_str());
    assert_eq!(notice, Some("Alice: answered by anna on pts/3"));
}

#[test]
fn a_call_answered_here_is_not_announced() {
    let mut tester = Tester::new();
    tester.ring();
    tester.press("a");
    let by = CallInfo { answered_by: Some("anna on pts/1".into()), ..example::active(Direction::Incoming) };
    tester.event(Event::Call(by));
    assert_eq!(tester.app.notice, None);
}

#[test]
fn a_refused_answer_is_said() {
    let mut tester = Tester::new();
    tester.ring();
    let effects = tester.press("a");
    tester.reply(&effects, Err(Failure::new(FailureKind::State, "the call is gone")));
    assert_eq!(tester.app.notice.as_ref().map(|n| (n.text.as_str(), n.bad)), Some(("the call is gone", true)));
    assert!(!tester.app.calls.answered_here(1));
}

#[test]
fn levels_come_only_while_a_screen_shows_them() {
    let mut tester = Tester::new();
    assert_eq!(requests(&tester.talk()), [Request::Levels { on: true }]);
    assert_eq!(requests(&tester.press("N")), [Request::Levels { on: false }, Request::Network]);
    tester.event(Event::Levels(Levels { capture: -10, playback: -10 }));
    assert_eq!(tester.app.levels, None, "stragglers are not shown");
    assert_eq!(requests(&tester.press("N")), [Request::Levels { on: true }]);
    assert!(requests(&tester.event(ended(EndReason::HungUp))).contains(&Request::Levels { on: false }));
}

#[test]
fn keys_in_a_call_act_on_that_call() {
    let mut tester = Tester::new();
    tester.talk();
    assert_eq!(requests(&tester.press("m")), [Request::Mute { on: Some(true) }]);
    assert_eq!(requests(&tester.press("d")), [Request::Deafen { on: Some(true) }]);
    assert_eq!(requests(&tester.press("h")), [Request::Hold { call: Some(1), on: Some(true) }]);
    assert_eq!(requests(&tester.press("x")), [Request::Hangup { call: Some(1) }]);
    assert_eq!(requests(&tester.code(KeyCode::F(4))), [Request::Hangup { call: Some(1) }]);
}

#[test]
fn mute_asks_for_the_opposite_of_what_is_shown() {
    let mut tester = Tester::new();
    tester.talk();
    tester.event(Event::Audio(Audio { muted: true, ..snapshot().audio }));
    let effects = tester.press("m");
    assert_eq!(requests(&effects), [Request::Mute { on: Some(false) }]);
    assert!(tester.app.daemon.audio.muted, "nothing is shown before the daemon says so");
    tester.reply(&effects, Ok(Reply::Switched { on: false }));
    assert!(!tester.app.daemon.audio.muted);
}

#[test]
fn q_without_a_call_leaves() {
    assert_eq!(Tester::new().press("q"), [Effect::Quit { farewell: None }]);
}

#[test]
fn q_in_a_call_asks_and_l_leaves_it_running() {
    let mut tester = Tester::new();
    tester.talk();
    assert_eq!(tester.press("q"), []);
    assert!(matches!(tester.app.popup, Some(Popup::Quit)));
    assert_eq!(tester.press("x"), [], "the question hears only its own keys");
    let effects = tester.press("l");
    assert_eq!(requests(&effects), []);
    let Some(Effect::Quit { farewell: Some(farewell) }) = effects.first() else { panic!("{effects:?}") };
    assert!(farewell.contains("Alice") && farewell.contains("dvs-tui hangup"), "{farewell}");
}

#[test]
fn h_hangs_up_and_leaves_when_the_daemon_has_heard_it() {
    let mut tester = Tester::new();
    tester.talk();
    let effects = tester.press("qh");
    assert_eq!(requests(&effects), [Request::Hangup { call: Some(1) }]);
    assert!(!quits(&effects));
    assert_eq!(tester.reply(&effects, Ok(Reply::Done)), [Effect::Quit { farewell: None }]);
}

#[test]
fn h_leaves_even_if_the_daemon_is_silent() {
    let mut tester = Tester::new();
    tester.talk();
    tester.press("qh");
    assert!(!quits(&tester.wait(Duration::from_secs(2))));
    assert!(quits(&tester.wait(Duration::from_secs(1))));
}

#[test]
fn esc_stays_in_the_call() {
    let mut tester = Tester::new();
    tester.talk();
    tester.press("q");
    assert_eq!(tester.code(KeyCode::Esc), []);
    assert!(tester.app.popup.is_none());
}

#[test]
fn ctrl_c_leaves_everything_running_wherever_one_is() {
    for before in ["", "n", "q", ":", "?", "/"] {
        let mut tester = Tester::new();
        tester.talk();
        tester.press(before);
        let effects = tester.control('c');
        assert!(quits(&effects) && requests(&effects).is_empty(), "{before}");
    }
}

#[test]
fn ctrl_z_suspends_even_under_a_guarded_popup() {
    let mut tester = Tester::new();
    tester.event(Event::Call(example::call(Direction::Incoming)));
    assert_eq!(tester.control('z'), [Effect::Suspend]);
}

#[test]
fn what_is_typed_is_checked_once_at_a_time_and_in_its_latest_form() {
    let mut tester = Tester::new();
    tester.press("n");
    let first = tester.press("d");
    assert_eq!(requests(&first), [Request::Resolve { text: "d".into() }]);
    assert_eq!(requests(&tester.press("vs")), [], "one question is on its way");
    let again = tester.reply(&first, failure("too short"));
    assert_eq!(requests(&again), [Request::Resolve { text: "dvs".into() }]);
    tester.reply(&again, failure("still too short"));
    assert_eq!(requests(&tester.press("1")), [Request::Resolve { text: "dvs1".into() }]);
}

#[test]
fn a_contact_is_added_and_the_form_closes_when_the_daemon_agrees() {
    let mut tester = Tester::new();
    tester.press("n");
    let asked = tester.feed(Input::Paste(format!(" {STRANGER}\n")));
    let target = Target { id: STRANGER.into(), hex: String::new(), name: None, own: false };
    tester.reply(&asked, Ok(Reply::Target(target)));
    assert_eq!(requests(&tester.code(KeyCode::Enter)), [], "Enter goes on to the name");
    let effects = tester.press("Eve\n");
    assert_eq!(requests(&effects), [Request::ContactAdd { name: "Eve".into(), target: STRANGER.into() }]);
    assert!(tester.app.popup.is_some());
    let stored = example::contact("Eve", STRANGER, dvs_proto::message::Trust::Unknown, None);
    tester.reply(&effects, Ok(Reply::Contact(stored)));
    assert!(tester.app.popup.is_none());
    assert!(tester.app.daemon.contacts.iter().any(|contact| contact.name == "Eve"));
    assert_eq!(tester.app.daemon.history.iter().filter(|past| past.name.as_deref() == Some("Eve")).count(), 1);
}

#[test]
fn a_bad_id_is_not_sent() {
    let mut tester = Tester::new();
    tester.press("n");
    let asked = tester.press("x");
    tester.reply(&asked, failure("no such name"));
    assert_eq!(tester.press("\n\n"), []);
}

#[test]
fn what_the_daemon_has_against_a_form_is_shown_in_it() {
    let mut tester = Tester::new();
    tester.press("e");
    let effects = tester.press("\n");
    assert_eq!(requests(&effects), [Request::ContactRename { contact: ALICE.into(), name: "Alice".into() }]);
    tester.reply(&effects, failure("that is the name already"));
    let Some(Popup::Rename(form)) = &tester.app.popup else { panic!("the form is open") };
    assert_eq!(form.trouble.as_deref(), Some("that is the name already"));
}

#[test]
fn removing_asks_first() {
    let mut tester = Tester::new();
    assert_eq!(tester.press("R"), []);
    assert_eq!(tester.press("n"), []);
    assert_eq!(tester.press("R"), []);
    assert_eq!(requests(&tester.press("y")), [Request::ContactRemove { contact: ALICE.into() }]);
    tester.event(Event::ContactRemoved { id: ALICE.into() });
    assert_eq!(tester.app.lists.person(&tester.app.daemon).map(|person| person.id).as_deref(), Some(BOB));
}

#[test]
fn a_stranger_among_the_recent_calls_is_filled_into_the_form() {
    let mut tester = Tester::new();
    tester.code(KeyCode::Tab);
    tester.press("G");
    assert_eq!(requests(&tester.press("n")), [Request::Resolve { text: STRANGER.into() }]);
    let effects = tester.press("Eve\n");
    assert_eq!(requests(&effects), [Request::ContactAdd { name: "Eve".into(), target: STRANGER.into() }]);
}

#[test]
fn commands_do_what_keys_do() {
    let mut tester = Tester::new();
    assert_eq!(requests(&tester.press(":call Bob\n")), [Request::dial("Bob")]);
    assert_eq!(requests(&tester.press(":mute on\n")), [Request::Mute { on: Some(true) }]);
    tester.press(":network\n");
    assert_eq!(tester.app.view, View::Network);
    assert!(quits(&tester.press(":quit\n")));
}

#[test]
fn the_own_id_is_copied_by_the_terminal() {
    let mut tester = Tester::new();
    let effects = tester.press("Iy");
    assert_eq!(effects, [Effect::Copy(example::OWN.into())]);
}

#[test]
fn a_call_that_ended_keeps_its_reason_and_its_figures() {
    let mut tester = Tester::new();
    tester.talk();
    tester.event(Event::Stats(Box::new(example::stats())));
    let effects = tester.event(ended(EndReason::PeerLost));
    assert!(requests(&effects).contains(&Request::Stats { call: Some(1) }));
    let finished = tester.app.calls.finished.clone().unwrap();
    assert_eq!((finished.talked, finished.stats.map(|stats| stats.lost)), (Some(207), Some(41)));
    let last = tester.app.log.back().map(|entry| entry.text.as_str());
    assert_eq!(last, Some("Alice: connection lost, nothing heard any more"));
    tester.code(KeyCode::Esc);
    assert_eq!(tester.app.calls.finished, None);
}

#[test]
fn a_lost_daemon_is_said_and_nothing_is_sent_to_it() {
    let mut tester = Tester::new();
    tester.talk();
    let why = "dvsd closed the connection".to_owned();
    tester.feed(Input::Unlinked { why, retry: Duration::from_secs(1) });
    assert_eq!(tester.press("x"), []);
    assert_eq!(tester.press("\n"), []);
    assert_eq!(tester.app.notice.as_ref().map(|n| n.text.as_str()), Some("not connected to the daemon"));
    let effects = tester
        .feed(Input::Linked(Box::new(Snapshot { calls: vec![example::active(Direction::Outgoing)], ..snapshot() })));
    assert_eq!(requests(&effects), [Request::Levels { on: true }], "what was subscribed is subscribed again");
}

#[test]
fn calls_that_went_down_with_the_daemon_are_over() {
    let mut tester = Tester::new();
    tester.talk();
    tester.feed(Input::Unlinked { why: "gone".into(), retry: Duration::from_secs(1) });
    tester.feed(Input::Linked(Box::new(snapshot())));
    assert!(tester.app.calls.ongoing().is_empty());
    assert_eq!(tester.app.calls.finished.as_ref().and_then(|f| f.info.ended), Some(EndReason::GoingAway));
}

#[test]
fn an_answer_nobody_waits_for_changes_nothing() {
    let mut tester = Tester::new();
    let effects = tester.feed(Input::Message(ToClient::Reply { id: 999, outcome: failure("what?") }));
    assert_eq!((effects, tester.app.notice), (vec![], None));
}

#[test]
fn what_other_clients_do_to_a_call_is_logged_once_with_what_came_of_it() {
    let mut tester = Tester::new();
    let anna = ClientInfo { client: 9, uid: 1001, name: "pts/3".into() };
    let acted = |action: &str| Event::Acted { client: anna.clone(), action: action.into(), call: Some(1) };
    let talking = CallInfo { answered_by: Some("anna on pts/3".into()), ..example::active(Direction::Incoming) };
    tester.event(Event::ClientAttached(anna.clone()));
    tester.ring();
    tester.event(acted("answered"));
    tester.event(Event::Call(talking.clone()));
    tester.event(Event::Call(CallInfo { state: CallState::Held, held_there: true, ..talking.clone() }));
    tester.event(Event::Call(talking.clone()));
    tester.event(acted("hung up"));
    tester.event(Event::Call(CallInfo { state: CallState::Ending, ..talking.clone() }));
    tester.event(ended(EndReason::HungUp));
    tester.event(Event::ClientGone(anna));
    let lines: Vec<&str> = tester.app.log.iter().map(|entry| entry.text.as_str()).collect();
    let expected = [
        "Alice is calling",
        "Alice: answered by anna on pts/3",
        "Alice put you on hold",
        "talking with Alice again",
        "Alice: hung up by pts/3",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn what_one_does_oneself_is_logged_once_too() {
    let mut tester = Tester::new();
    let you = ClientInfo { client: snapshot().you, uid: 1000, name: "pts/1".into() };
    let acted = |action: &str| Event::Acted { client: you.clone(), action: action.into(), call: Some(1) };
    let talking = example::active(Direction::Outgoing);
    let effects = tester.press("\n");
    tester.event(acted("dialled"));
    tester
        .reply(&effects, Ok(Reply::Call(CallInfo { state: CallState::Lookup, ..example::call(Direction::Outgoing) })));
    tester.event(Event::Call(example::call(Direction::Outgoing)));
    tester.event(Event::Call(talking.clone()));
    tester.event(acted("hold"));
    tester.event(Event::Call(CallInfo { state: CallState::Held, held_here: true, ..talking }));
    tester.event(acted("hung up"));
    tester.event(ended(EndReason::HungUp));
    let lines: Vec<&str> = tester.app.log.iter().map(|entry| entry.text.as_str()).collect();
    assert_eq!(lines, ["calling Alice", "Alice answered", "you put Alice on hold", "Alice: you hung up"]);
}

#[test]
fn a_call_missed_while_talking_is_a_line_and_disturbs_nothing() {
    let mut tester = Tester::new();
    tester.talk();
    let missed = CallInfo {
        call: 2,
        peer: BOB.into(),
        name: Some("Bob".into()),
        state: CallState::Ended,
        ended: Some(EndReason::MissedBusy),
        ..example::call(Direction::Incoming)
    };
    tester.event(Event::Call(missed));
    assert_eq!(tester.app.log.back().map(|entry| entry.text.as_str()), Some("Bob: missed, the line was busy"));
    assert_eq!((tester.app.calls.finished.is_none(), tester.app.calls.current().map(|c| c.info.call)), (true, Some(1)));
}

#[test]
fn whoever_holds_is_the_one_to_resume() {
    let mut tester = Tester::new();
    let you = ClientInfo { client: snapshot().you, uid: 1000, name: "pts/1".into() };
    let held = CallInfo { state: CallState::Held, ..example::active(Direction::Outgoing) };
    tester.talk();
    tester.event(Event::Call(CallInfo { held_there: true, ..held.clone() }));
    assert_eq!(requests(&tester.press("h")), []);
    let notice = tester.app.notice.as_ref().map(|notice| notice.text.as_str());
    assert_eq!(notice, Some("Alice put you on hold, and is the one to resume"));
    tester.talk();
    tester.press("h");
    tester.event(Event::Acted { client: you, action: "hold".into(), call: Some(1) });
    tester.event(Event::Call(CallInfo { held_here: true, ..held }));
    assert_eq!(requests(&tester.press("h")), [Request::Hold { call: Some(1), on: Some(false) }]);
}

#[test]
fn joining_and_losing_the_overlay_is_logged() {
    let mut tester = Tester::new();
    let network = |online| Event::Network(Box::new(dvs_proto::message::Network { online, ..snapshot().network }));
    [true, false, false, true].into_iter().for_each(|online| drop(tester.event(network(online))));
    let lines: Vec<&str> = tester.app.log.iter().map(|entry| entry.text.as_str()).collect();
    assert_eq!(lines, ["offline: no other node answers", "online: other nodes answer"]);
}

#[test]
fn the_stranger_in_the_call_is_filled_into_the_form_and_gets_the_name() {
    let mut tester = Tester::new();
    let stranger = CallInfo { peer: STRANGER.into(), name: None, ..example::active(Direction::Incoming) };
    tester.event(Event::Call(stranger.clone()));
    tester.event(Event::Call(CallInfo { state: CallState::Ended, ended: Some(EndReason::PeerHungUp), ..stranger }));
    assert_eq!(requests(&tester.press("n")), [Request::Resolve { text: STRANGER.into() }]);
    tester.press("Eve\n");
    tester.event(Event::Contact(example::contact("Eve", STRANGER, dvs_proto::message::Trust::Seen, None)));
    let finished = tester.app.calls.finished.as_ref().and_then(|finished| finished.info.name.as_deref());
    assert_eq!(finished, Some("Eve"));
}

#[test]
fn the_history_knows_how_long_a_call_was() {
    let mut tester = Tester::new();
    tester.talk();
    tester.event(ended(EndReason::HungUp));
    tester.event(Event::History(example::past(Some("Alice"), ALICE, Direction::Outgoing, 214, Some(206))));
    assert_eq!(tester.app.calls.finished.as_ref().and_then(|finished| finished.talked), Some(206));
}

#[test]
fn hostile_texts_are_cleaned_on_their_way_in() {
    let mut tester = Tester::new();
    let evil = CallInfo { name: Some("Ali\x1b]52;c;x\x07ce".into()), ..example::call(Direction::Incoming) };
    tester.event(Event::Call(evil));
    assert_eq!(tester.app.calls.asking().and_then(|c| c.info.name.clone()).as_deref(), Some("Ali]52;c;xce"));
}

#[test]
fn an_idle_screen_changes_once_a_minute_and_a_call_every_second() {
    let mut tester = Tester::new();
    tester.app.take_changed();
    tester.wait(Duration::from_secs(59));
    assert!(!tester.app.take_changed());
    tester.wait(Duration::from_secs(1));
    assert!(tester.app.take_changed());
    tester.talk();
    tester.app.take_changed();
    tester.wait(Duration::from_secs(1));
    assert!(tester.app.take_changed());
    tester.wait(Duration::from_millis(100));
    assert!(!tester.app.take_changed());
}

#[test]
fn a_notice_goes_away_by_itself_or_with_the_next_key() {
    let mut tester = Tester::new();
    tester.press("y");
    assert!(tester.app.notice.is_some());
    tester.wait(Duration::from_secs(9));
    assert!(tester.app.notice.is_none());
    tester.press("y");
    tester.press("j");
    assert!(tester.app.notice.is_none());
}
