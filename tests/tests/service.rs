// SPDX-License-Identifier: GPL-3.0-or-later
//! The system service under a real systemd: installed as README.md says, used by several users, crashed and stopped.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

use core::time::Duration;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use dvs_tests::harness::{Verb, wait_for};
use dvs_tests::machine::{Machine, available_or_skipped};
use serde_json::Value;

const SERVICE: &str = "dvsd.service";
const SOCKET: &str = "dvsd.socket";
/// What takes systemd a moment.
const SOON: Duration = Duration::from_secs(20);
/// Settings without a sound card, which a machine does not have.
const SETTINGS: &str = "[audio]\nbackend = \"none\"\n";

/// A machine with the service as an administrator leaves it: anna and bert may use it, carl may not.
fn machine() -> Machine {
    let machine = Machine::with_dvs().unwrap();
    machine.add_user("anna", &["dvs"]).unwrap();
    machine.add_user("bert", &["dvs"]).unwrap();
    machine.add_user("carl", &[]).unwrap();
    machine.write("/etc/dvs/dvsd.toml", SETTINGS).unwrap();
    machine.systemctl(&["enable", "--now", SOCKET, SERVICE]).unwrap();
    machine
}

fn status(machine: &Machine, user: &str) -> Verb {
    machine.run_as(user, &["dvs-tui", "status", "--json"]).unwrap()
}

fn id(machine: &Machine) -> String {
    let said = status(machine, "anna").json().unwrap();
    said["identity"]["id"].as_str().unwrap().to_owned()
}

fn main_pid(machine: &Machine) -> String {
    machine.property(SERVICE, "MainPID").unwrap()
}

/// Waits until another process than `former` is the service, and is ready.
fn wait_for_successor(machine: &Machine, former: &str) {
    wait_for(SOON, "the service's next process", || {
        let ready = machine.property(SERVICE, "ActiveState")? == "active";
        Ok((ready && main_pid(machine) != former).then_some(()))
    })
    .unwrap();
}

/// Mode in octal, owner and group of a file inside.
fn owner(machine: &Machine, file: &str) -> String {
    machine.run(&["stat", "--format", "%a %U:%G", file]).unwrap()
}

#[track_caller]
fn says(verb: &Verb, code: i32, words: &[&str]) {
    assert_eq!(verb.code, Some(code), "{verb:?}");
    assert_eq!(verb.stderr.lines().count(), 1, "{verb:?}");
    for word in words {
        assert!(verb.stderr.contains(word), "{word:?} is missing in: {}", verb.stderr);
    }
}

/// A user's `dvs-tui watch`, line by line.
struct Watch {
    process: Child,
    lines: Receiver<Value>,
}

impl Watch {
    fn start(machine: &Machine, user: &str) -> Self {
        let mut command = machine.login(user);
        command.args(["dvs-tui", "watch", "--json"]).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let values = output.lines().map_while(Result::ok);
            values.map(|line| serde_json::from_str(&line).unwrap()).try_for_each(|value| sender.send(value))
        });
        Self { process, lines }
    }

    /// The next event of the kind.
    fn event(&self, kind: &str) -> Value {
        let deadline = Instant::now() + SOON;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.lines.recv_timeout(left).unwrap_or_else(|error| panic!("no {kind}: {error}"));
            if let Some(found) = event.get(kind) {
                return found.clone();
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_installed_service_is_ready_and_only_its_group_may_use_it() {
    if !available_or_skipped("the_installed_service_is_ready_and_only_its_group_may_use_it") {
        return;
    }
    let machine = machine();
    // `systemctl start` has waited for READY=1, as the service is of type notify.
    assert_eq!(machine.property(SERVICE, "Type").unwrap(), "notify");
    assert_eq!(machine.property(SERVICE, "ActiveState").unwrap(), "active");
    assert_eq!(machine.property(SERVICE, "User").unwrap(), "dvsd");
    assert_eq!(machine.property(SOCKET, "ActiveState").unwrap(), "active");
    let line = machine.property(SERVICE, "StatusText").unwrap();
    let id = id(&machine);
    assert!(id.starts_with("dvs1") && line.contains(&id) && line.contains(":5004"), "{line}");

    assert_eq!(owner(&machine, "/run/dvs"), "750 dvsd:dvs");
    assert_eq!(owner(&machine, "/run/dvs/bell"), "620 dvsd:dvs");
    assert_eq!(owner(&machine, "/run/dvs/c"), "3733 dvsd:dvsd");
    assert_eq!(owner(&machine, "/var/lib/dvs"), "700 dvsd:dvsd");
    assert_eq!(owner(&machine, "/var/lib/dvs/identity.pem"), "600 dvsd:dvsd");
    assert_eq!(owner(&machine, "/var/lib/dvs/dvs.db"), "600 dvsd:dvsd");

    says(&status(&machine, "carl"), 6, &["group dvs", "sudo usermod -aG dvs carl"]);
    machine.run(&["usermod", "-aG", "dvs", "carl"]).unwrap();
    assert_eq!(status(&machine, "carl").code, Some(0), "after the next login");
    // The clients are told apart by the owner of their pipes.
    let carl: u64 = machine.run(&["id", "-u", "carl"]).unwrap().parse().unwrap();
    let seen = status(&machine, "carl").json().unwrap();
    let you = seen["clients"].as_array().unwrap().iter().find(|client| client["client"] == seen["you"]).unwrap();
    assert_eq!(you["uid"], carl);
}

#[test]
fn users_attached_at_the_same_time_see_each_other() {
    if !available_or_skipped("users_attached_at_the_same_time_see_each_other") {
        return;
    }
    let machine = machine();
    let anna = Watch::start(&machine, "anna");
    wait_for(SOON, "anna", || Ok((status(&machine, "bert").stdout.matches("\"uid\"").count() >= 2).then_some(())))
        .unwrap();
    let bert = Watch::start(&machine, "bert");
    let uid = |user| machine.run(&["id", "-u", user]).unwrap().parse::<u64>().unwrap();
    let [anna_uid, bert_uid] = ["anna", "bert"].map(uid);
    let clients = |user| status(&machine, user).json().unwrap()["clients"].as_array().unwrap().clone();
    wait_for(SOON, "both in both lists", || {
        let both = ["anna", "bert"].iter().all(|user| {
            let uids: Vec<u64> = clients(user).iter().filter_map(|client| client["uid"].as_u64()).collect();
            uids.contains(&anna_uid) && uids.contains(&bert_uid)
        });
        Ok(both.then_some(()))
    })
    .unwrap();
    machine.run_as("bert", &["dvs-tui", "contacts", "add", "Dora", &peer()]).unwrap().json().unwrap();
    for watch in [&anna, &bert] {
        assert_eq!(watch.event("Contact")["name"], "Dora");
    }
}

/// An ID nobody has.
fn peer() -> String {
    "00112233445566778899aabbccddeeff00112233".to_owned()
}

#[test]
fn the_doorbell_starts_the_stopped_service() {
    if !available_or_skipped("the_doorbell_starts_the_stopped_service") {
        return;
    }
    let machine = machine();
    let id = id(&machine);
    machine.systemctl(&["stop", SERVICE]).unwrap();
    assert_eq!(machine.property(SERVICE, "ActiveState").unwrap(), "inactive");
    assert_eq!(owner(&machine, "/run/dvs/bell"), "620 dvsd:dvs");
    // The first client rings, waits, and is served.
    let said = status(&machine, "bert").json().unwrap();
    assert_eq!(said["identity"]["id"], id.as_str());
    assert_eq!(machine.property(SERVICE, "ActiveState").unwrap(), "active");

    // Without the socket nobody hears.
    machine.systemctl(&["stop", SOCKET, SERVICE]).unwrap();
    assert!(!machine.path("/run/dvs/bell").exists());
    says(&status(&machine, "bert"), 3, &["dvsd is not running", "sudo systemctl start dvsd.socket"]);
    machine.systemctl(&["start", SOCKET]).unwrap();
    assert_eq!(status(&machine, "bert").code, Some(0));
}

#[test]
fn a_crashed_or_hanging_daemon_is_started_again() {
    if !available_or_skipped("a_crashed_or_hanging_daemon_is_started_again") {
        return;
    }
    let machine = machine();
    assert_eq!(machine.property(SERVICE, "WatchdogUSec").unwrap(), "30s");
    let id_before = id(&machine);
    let first = main_pid(&machine);
    machine.run(&["kill", "-KILL", &first]).unwrap();
    // A client that comes meanwhile waits at the bell.
    assert_eq!(status(&machine, "anna").json().unwrap()["identity"]["id"], id_before.as_str());
    wait_for_successor(&machine, &first);
    assert_eq!(machine.property(SERVICE, "NRestarts").unwrap(), "1");

    // The shipped half minute is too long for a test.
    machine.write("/etc/systemd/system/dvsd.service.d/test.conf", "[Service]\nWatchdogSec=1s\n").unwrap();
    machine.systemctl(&["daemon-reload"]).unwrap();
    machine.systemctl(&["restart", SERVICE]).unwrap();
    let second = main_pid(&machine);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(main_pid(&machine), second, "a daemon that is well is left alone");
    machine.run(&["kill", "-STOP", &second]).unwrap();
    wait_for_successor(&machine, &second);
    assert!(machine.journal(SERVICE, &["-o", "cat"]).unwrap().contains("watchdog"));
    assert_eq!(id(&machine), id_before);
}

#[test]
fn a_stop_is_clean_and_quick_and_tells_the_clients() {
    if !available_or_skipped("a_stop_is_clean_and_quick_and_tells_the_clients") {
        return;
    }
    let machine = machine();
    let mut watch = Watch::start(&machine, "anna");
    wait_for(SOON, "anna", || Ok((status(&machine, "bert").stdout.matches("\"uid\"").count() >= 2).then_some(())))
        .unwrap();
    let start = Instant::now();
    machine.systemctl(&["stop", SERVICE]).unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    for (property, wanted) in [("Result", "success"), ("ExecMainCode", "1"), ("ExecMainStatus", "0")] {
        assert_eq!(machine.property(SERVICE, property).unwrap(), wanted, "{property}");
    }
    let end = wait_for(SOON, "the client's end", || Ok(watch.process.try_wait()?)).unwrap();
    assert_eq!(end.code(), Some(3));
    assert_eq!(fs::read_dir(machine.path("/run/dvs/c")).unwrap().count(), 0);
}

#[test]
fn wrong_settings_fail_the_unit_once_with_one_line() {
    if !available_or_skipped("wrong_settings_fail_the_unit_once_with_one_line") {
        return;
    }
    let machine = machine();
    machine.write("/etc/dvs/dvsd.toml", "[network]\nlissten = \"[::]:5004\"\n").unwrap();
    assert!(machine.systemctl(&["restart", SERVICE]).is_err());
    for (property, wanted) in [("ActiveState", "failed"), ("Result", "exit-code"), ("ExecMainStatus", "78")] {
        assert_eq!(machine.property(SERVICE, property).unwrap(), wanted, "{property}");
    }
    let errors = machine.journal(SERVICE, &["-o", "cat", "-p", "err", "_COMM=dvsd"]).unwrap();
    assert_eq!(errors.lines().count(), 1, "{errors}");
    for word in ["dvsd: ", "/etc/dvs/dvsd.toml", "line 2", "lissten"] {
        assert!(errors.contains(word), "{word:?} is missing in: {errors}");
    }
    // Longer than RestartSec=.
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(machine.property(SERVICE, "NRestarts").unwrap(), "0");

    // Whoever rings starts it again; that ends by itself, too.
    says(&status(&machine, "anna"), 3, &["dvsd"]);
    wait_for(SOON, "systemd to give up", || Ok((machine.property(SOCKET, "ActiveState")? == "failed").then_some(())))
        .unwrap();
    says(&status(&machine, "anna"), 3, &["dvsd is not running"]);

    // The documented way back.
    machine.write("/etc/dvs/dvsd.toml", SETTINGS).unwrap();
    machine.run(&["dvsd", "--config", "/etc/dvs/dvsd.toml", "--check-config"]).unwrap();
    machine.systemctl(&["reset-failed", SOCKET, SERVICE]).unwrap();
    machine.systemctl(&["start", SOCKET, SERVICE]).unwrap();
    assert_eq!(status(&machine, "anna").code, Some(0));
}

#[test]
fn the_log_is_in_the_journal_with_its_fields() {
    if !available_or_skipped("the_log_is_in_the_journal_with_its_fields") {
        return;
    }
    let machine = machine();
    assert_eq!(status(&machine, "bert").code, Some(0));
    let uid = machine.run(&["id", "-u", "bert"]).unwrap();
    let entries = machine.journal(SERVICE, &["-o", "json", &format!("F_UID={uid}")]).unwrap();
    let entry: Value = serde_json::from_str(entries.lines().next().unwrap()).unwrap();
    assert_eq!(entry["SYSLOG_IDENTIFIER"], "dvsd");
    assert_eq!(entry["PRIORITY"], "5", "{entry}");
    assert_eq!(entry["_SYSTEMD_UNIT"], SERVICE);
    assert_eq!(entry["MESSAGE"], "client came");
}

#[test]
fn removing_and_installing_again_keeps_identity_and_settings() {
    if !available_or_skipped("removing_and_installing_again_keeps_identity_and_settings") {
        return;
    }
    let machine = machine();
    let id_before = id(&machine);
    machine.xtask("uninstall").unwrap();
    for gone in ["/usr/bin/dvsd", "/usr/bin/dvs-tui", "/usr/lib/systemd/system/dvsd.service", "/run/dvs/bell"] {
        assert!(!machine.path(gone).exists(), "{gone}");
    }
    assert_eq!(machine.property(SERVICE, "LoadState").unwrap(), "not-found");
    assert_eq!(owner(&machine, "/var/lib/dvs/identity.pem"), "600 dvsd:dvsd");
    assert!(fs::metadata(machine.path("/var/lib/dvs/dvs.db")).unwrap().size() > 0);

    machine.xtask("install").unwrap();
    assert_eq!(fs::read_to_string(machine.path("/etc/dvs/dvsd.toml")).unwrap(), SETTINGS);
    machine.systemctl(&["enable", "--now", SOCKET, SERVICE]).unwrap();
    assert_eq!(id(&machine), id_before);
}
