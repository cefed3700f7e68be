// SPDX-License-Identifier: GPL-3.0-or-later
//! Three people with a daemon each, two of whom talk when the third one calls: everything by the verbs of `dvs-tui` alone.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

use core::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dvs_tests::harness::{Daemon, Setup, Verb, wait_for};
use serde_json::Value;

/// One step takes at most this long.
const PATIENCE: Duration = Duration::from_secs(15);
/// A place in a queue holds this long at most without being asked for again, in seconds.
const PLACE: u64 = 120;
/// Who is busy is tried again after this long at least, and at most.
const RETRY: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(120)];
/// Audio flows when so many packets arrive within [`PATIENCE`].
const HEARD: u64 = 50;
/// Exit code of a verb whose call came to nothing.
const NOT_ANSWERED: i32 = 5;

/// Alice, Bob and Carol, who know each other.
struct Three {
    alice: Daemon,
    bob: Daemon,
    carol: Daemon,
}

impl Three {
    fn new() -> Self {
        let tone = Setup { backend: "tone".to_owned(), unknown_callers: "reject", ..Setup::loopback() };
        let carol = Daemon::start("Carol", &tone).unwrap();
        let listen = said(&carol, &["network"])["listen"].as_str().unwrap().parse::<SocketAddr>().unwrap();
        let joining = Setup { bootstrap: vec![listen], ..tone };
        let [alice, bob] = ["Alice", "Bob"].map(|name| Daemon::start(name, &joining).unwrap());
        let three = Self { alice, bob, carol };
        three.meet();
        three
    }

    fn all(&self) -> [&Daemon; 3] {
        [&self.alice, &self.bob, &self.carol]
    }

    /// Everybody is online and has everybody else as a contact.
    fn meet(&self) {
        let ids = self.all().map(|daemon| said(daemon, &["status"])["identity"]["id"].as_str().unwrap().to_owned());
        for daemon in self.all() {
            wait_for(PATIENCE, "the overlay", || Ok(said(daemon, &["network"])["online"].as_bool().filter(|on| *on)))
                .unwrap();
            for (other, id) in self.all().iter().zip(&ids).filter(|(other, _)| other.name() != daemon.name()) {
                said(daemon, &["contacts", "add", other.name(), id]);
            }
        }
    }

    /// Carol calls Bob, who answers; returns the number of that call at Bob's.
    fn carol_talks_to_bob(&self) -> String {
        assert_eq!(said(&self.carol, &["call", "Bob"])["state"], "Ringing");
        said(&self.bob, &["answer"]);
        is_in(&self.carol, "Bob", "Active");
        number(&is_in(&self.bob, "Carol", "Active"))
    }
}

/// What a verb prints, the last line of it. It must not fail.
fn said(daemon: &Daemon, words: &[&str]) -> Value {
    let verb = daemon.verb(words).unwrap();
    assert_eq!(verb.code, Some(0), "{}: {words:?}: {verb:?}", daemon.name());
    last(&verb)
}

fn last(verb: &Verb) -> Value {
    serde_json::from_str(verb.stdout.lines().last().unwrap()).unwrap()
}

/// The calls that `status` shows with `who`.
fn calls_with(daemon: &Daemon, who: &str) -> Vec<Value> {
    let status = said(daemon, &["status"]);
    status["calls"].as_array().unwrap().iter().filter(|call| call["name"] == who).cloned().collect()
}

/// Waits until `status` shows a call with `who` in that state, and returns it.
fn is_in(daemon: &Daemon, who: &str, state: &str) -> Value {
    let what = format!("{}'s call with {who} to be {state}", daemon.name());
    let mut last = Vec::new();
    let found = wait_for(PATIENCE, &what, || {
        last = calls_with(daemon, who);
        Ok(last.iter().find(|call| call["state"] == state).cloned())
    });
    found.unwrap_or_else(|error| panic!("{error:#}: {last:#?}"))
}

/// Waits until `status` shows no call with `who`.
fn is_over(daemon: &Daemon, who: &str) {
    let what = format!("the end of {}'s call with {who}", daemon.name());
    wait_for(PATIENCE, &what, || Ok(calls_with(daemon, who).is_empty().then_some(()))).unwrap();
}

fn number(call: &Value) -> String {
    call["call"].to_string()
}

/// Both hear each other in this call.
fn hear_each_other(parties: [(&Daemon, &str); 2]) {
    for (daemon, who) in parties {
        let call = number(&is_in(daemon, who, "Active"));
        let received = || said(daemon, &["stats", &call])["received"].as_u64().unwrap();
        let before = received();
        let what = format!("{} to hear {who}", daemon.name());
        wait_for(PATIENCE, &what, || Ok((received() >= before + HEARD).then_some(()))).unwrap();
    }
}

/// How many seconds from now the moment is that a call names as its limit.
fn left(call: &Value) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    call["until"].as_u64().unwrap_or_else(|| panic!("no limit: {call:#}")).saturating_sub(now)
}

#[test]
fn who_waits_in_the_queue_of_a_busy_friend_is_told_how_long_and_is_connected_when_it_is_his_turn() {
    let three = Three::new();
    let Three { alice, bob, carol } = &three;
    let first = three.carol_talks_to_bob();

    let waiting = said(alice, &["call", "Bob", "--queue"]);
    assert_eq!(waiting["state"], "Waiting");
    assert!((1..=PLACE).contains(&left(&waiting)), "{waiting:#}");
    let seen = is_in(bob, "Alice", "Waiting");
    assert_eq!(seen["direction"], "Incoming");
    is_in(bob, "Carol", "Active");

    said(bob, &["hangup", &first]);
    is_in(bob, "Alice", "Alerting");
    is_in(alice, "Bob", "Ringing");
    said(bob, &["answer"]);
    hear_each_other([(alice, "Bob"), (bob, "Alice")]);
    is_over(carol, "Bob");
    said(alice, &["hangup"]);
    is_over(bob, "Alice");
}

#[test]
fn a_place_in_the_queue_is_asked_for_and_left_and_two_calls_are_switched_between() {
    let three = Three::new();
    let Three { alice, bob, carol } = &three;
    three.carol_talks_to_bob();

    // This verb only returns when something has come of the call.
    let asked = std::thread::scope(|scope| {
        let asking = scope.spawn(|| alice.verb(&["call", "Bob", "--tries", "2"]).unwrap());
        let busy = is_in(alice, "Bob", "Busy");
        assert_eq!((busy["can_wait"].clone(), busy["attempt"].clone()), (true.into(), 1.into()));
        assert_eq!(is_in(bob, "Alice", "Busy")["direction"], "Incoming");
        let waiting = said(alice, &["wait"]);
        assert_eq!(waiting["state"], "Waiting");
        assert!((1..=PLACE).contains(&left(&waiting)), "{waiting:#}");
        asking.join().unwrap()
    });
    assert_eq!((asked.code, last(&asked)["state"].clone()), (Some(0), "Waiting".into()));
    is_in(bob, "Alice", "Waiting");
    said(alice, &["wait", "--leave"]);
    is_in(alice, "Bob", "Busy");
    is_in(bob, "Alice", "Busy");
    said(alice, &["wait"]);

    let second = number(&is_in(bob, "Alice", "Waiting"));
    said(bob, &["switch", &second]);
    hear_each_other([(alice, "Bob"), (bob, "Alice")]);
    assert_eq!(is_in(bob, "Carol", "Held")["held_here"], true);
    assert_eq!(is_in(carol, "Bob", "Held")["held_there"], true);
    said(bob, &["switch"]);
    hear_each_other([(carol, "Bob"), (bob, "Carol")]);
    assert_eq!(is_in(bob, "Alice", "Held")["held_here"], true);
    is_in(alice, "Bob", "Held");

    said(carol, &["hangup"]);
    is_over(bob, "Carol");
    said(bob, &["hold", "off"]);
    hear_each_other([(alice, "Bob"), (bob, "Alice")]);
    said(bob, &["hangup"]);
    is_over(alice, "Bob");
}

#[test]
fn a_busy_friend_is_tried_as_often_as_was_said() {
    let three = Three::new();
    let Three { alice, bob, .. } = &three;
    three.carol_talks_to_bob();
    let start = Instant::now();
    // Every attempt that comes in here, as often as it changes.
    let mut attempts = Vec::new();
    let asked = std::thread::scope(|scope| {
        let asking = scope.spawn(|| alice.verb(&["call", "Bob", "--tries", "2"]).unwrap());
        while !asking.is_finished() {
            let seen =
                calls_with(bob, "Alice").first().and_then(|call| Some((call["attempt"].as_u64()?, start.elapsed())));
            let news = seen.filter(|(attempt, _)| attempts.last().is_none_or(|(last, _)| last != attempt));
            attempts.extend(news);
            std::thread::sleep(Duration::from_millis(100));
        }
        asking.join().unwrap()
    });
    let end = last(&asked);
    assert_eq!(asked.code, Some(NOT_ANSWERED), "{asked:?}");
    assert_eq!((&end["state"], &end["ended"]), (&"Ended".into(), &"Busy".into()), "{end:#}");
    assert_eq!((&end["attempt"], &end["tries"]), (&2.into(), &2.into()), "{end:#}");
    assert_eq!(attempts.iter().map(|(attempt, _)| *attempt).collect::<Vec<_>>(), [1, 2], "{attempts:?}");
    let between = attempts[1].1 - attempts[0].1;
    assert!((RETRY[0]..=RETRY[1]).contains(&between), "{between:?}");
    is_over(bob, "Alice");
    is_in(bob, "Carol", "Active");
}
