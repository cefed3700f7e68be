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

use dvs_tests::harness::{Setup, Verb, wait_for};
use dvs_tests::machine::{Machine, available_or_skipped};
use serde_json::Value;

const SERVICE: &str = "dvsd.service";
const SOCKET: &str = "dvsd.socket";
/// What takes systemd a moment.
const SOON: Duration = Duration::from_secs(20);
/// An ID nobody has.
const NOBODY: &str = "00112233445566778899aabbccddeeff00112233";
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

fn signal(machine: &Machine, name: &str, pid: &str) {
    machine.run(&["sh", "-c", &format!("kill -{name} {pid}")]).unwrap();
}

/// Waits until so many clients of `user` are attached, not counting the one that looks.
fn wait_for_clients(machine: &Machine, user: &str, count: usize) {
    let uid: u64 = machine.run(&["id", "-u", user]).unwrap().parse().unwrap();
    wait_for(SOON, &format!("{count} clients of {user}"), || {
        let Ok(seen) = machine.run_as("root", &["dvs-tui", "status", "--json"])?.json() else { return Ok(None) };
        let clients = seen["clients"].as_array().unwrap();
        Ok((clients.iter().filter(|client| client["uid"] == uid).count() == count).then_some(()))
    })
    .unwrap();
}

/// Mode in octal, owner and group of a file inside.
fn owner(machine: &Machine, file: &str) -> String {
    machine.run(&["stat", "--format", "%a %U:%G", file]).unwrap()
}

#[track_caller]
fn says(verb: &Verb, codes: &[i32], words: &[&str]) {
    assert!(verb.code.is_some_and(|code| codes.contains(&code)), "{verb:?}");
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

/// A daemon that carl runs by hand, beside the service.
struct Peer<'a> {
    machine: &'a Machine,
    process: Child,
}

impl<'a> Peer<'a> {
    fn start(machine: &'a Machine, bootstrap: &str) -> Self {
        let bootstrap = vec![bootstrap.parse().unwrap()];
        let setup = Setup { backend: "tone".to_owned(), bootstrap, ..Setup::loopback() };
        machine.write("/etc/dvs/peer.toml", &setup.to_toml()).unwrap();
        let mut command = machine.login("carl");
        command.args(["dvsd", "--config", "/etc/dvs/peer.toml", "--state-dir", "/var/tmp/state"]);
        let process = command.args(["--runtime-dir", "/var/tmp/run", "--log", "warn"]).spawn().unwrap();
        let peer = Self { machine, process };
        wait_for(SOON, "the peer to be online", || {
            Ok(peer.verb(&["network", "--json"]).stdout.contains("\"online\":true").then_some(()))
        })
        .unwrap();
        peer
    }

    fn verb(&self, words: &[&str]) -> Verb {
        let client = ["dvs-tui", "--runtime-dir", "/var/tmp/run"];
        self.machine.run_as("carl", &[&client, words].concat()).unwrap()
    }

    fn id(&self) -> String {
        self.verb(&["status", "--json"]).json().unwrap()["identity"]["id"].as_str().unwrap().to_owned()
    }
}

impl Drop for Peer<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
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

    says(&status(&machine, "carl"), &[6], &["group dvs", "sudo usermod -aG dvs carl"]);
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
    let bert = Watch::start(&machine, "bert");
    wait_for_clients(&machine, "anna", 1);
    wait_for_clients(&machine, "bert", 1);
    let added = machine.run_as("bert", &["dvs-tui", "contacts", "add", "Dora", NOBODY]).unwrap();
    assert_eq!(added.code, Some(0), "{added:?}");
    for watch in [&anna, &bert] {
        assert_eq!(watch.event("Contact")["name"], "Dora");
    }
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
    says(&status(&machine, "bert"), &[3], &["dvsd is not running", "sudo systemctl start dvsd.socket"]);
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
    signal(&machine, "KILL", &first);
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
    signal(&machine, "STOP", &second);
    wait_for_successor(&machine, &second);
    assert!(machine.journal(SERVICE, &["-o", "cat"]).unwrap().contains("watchdog"));
    assert_eq!(id(&machine), id_before);
}

#[test]
fn the_full_screen_comes_back_after_a_crash() {
    if !available_or_skipped("the_full_screen_comes_back_after_a_crash") {
        return;
    }
    let machine = machine();
    let mut screen = machine.open("anna").unwrap();
    wait_for_clients(&machine, "anna", 1);
    screen.wait_for_text(SOON, "offline").unwrap();
    let first = main_pid(&machine);
    signal(&machine, "KILL", &first);
    wait_for_successor(&machine, &first);
    wait_for_clients(&machine, "anna", 1);
    // What happens now reaches it, too.
    let added = machine.run_as("bert", &["dvs-tui", "contacts", "add", "Dora", NOBODY]).unwrap();
    assert_eq!(added.code, Some(0), "{added:?}");
    screen.wait_for_text(SOON, "Dora").unwrap();
}

#[test]
fn a_stop_is_quick_and_ends_calls_and_clients_politely() {
    if !available_or_skipped("a_stop_is_quick_and_ends_calls_and_clients_politely") {
        return;
    }
    let machine = machine();
    let settings =
        Setup { backend: "tone".to_owned(), auto_answer: true, ..Setup::new("127.0.0.1:5004".parse().unwrap()) };
    machine.write("/etc/dvs/dvsd.toml", &settings.to_toml()).unwrap();
    machine.systemctl(&["restart", SERVICE]).unwrap();
    let peer = Peer::start(&machine, "127.0.0.1:5004");
    let added = machine.run_as("anna", &["dvs-tui", "contacts", "add", "Carl", &peer.id()]).unwrap();
    assert_eq!(added.code, Some(0), "{added:?}");
    let mut watch = Watch::start(&machine, "anna");
    wait_for_clients(&machine, "anna", 1);

    let called = peer.verb(&["call", &id(&machine)]);
    assert_eq!(called.code, Some(0), "{called:?}");
    wait_for(SOON, "a call", || Ok((watch.event("Call")["state"] == "Active").then_some(()))).unwrap();
    let start = Instant::now();
    machine.systemctl(&["stop", SERVICE]).unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    for (property, wanted) in [("Result", "success"), ("ExecMainCode", "1"), ("ExecMainStatus", "0")] {
        assert_eq!(machine.property(SERVICE, property).unwrap(), wanted, "{property}");
    }
    let end = wait_for(SOON, "the client's end", || Ok(watch.process.try_wait()?)).unwrap();
    assert_eq!(end.code(), Some(3));
    assert_eq!(fs::read_dir(machine.path("/run/dvs/c")).unwrap().count(), 0);
    // The peer was told, and need not find out by the silence.
    wait_for(Duration::from_secs(3), "the end of the peer's call", || {
        Ok(peer.verb(&["status", "--json"]).json()?["calls"].as_array().unwrap().is_empty().then_some(()))
    })
    .unwrap();
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
    let errors = machine.journal(SERVICE, &["-o", "cat", "-p", "err", "SYSLOG_IDENTIFIER=dvsd"]).unwrap();
    assert_eq!(errors.lines().count(), 1, "{errors}");
    for word in ["dvsd: ", "/etc/dvs/dvsd.toml", "line 2", "lissten"] {
        assert!(errors.contains(word), "{word:?} is missing in: {errors}");
    }
    // A terminal that systemd started hands the variable on, but is not the journal.
    let by_hand = machine.run_as("carl", &["env", "JOURNAL_STREAM=9:9", "dvsd"]).unwrap();
    says(&by_hand, &[78], &["dvsd: in /etc/dvs/dvsd.toml: line 2"]);
    assert!(by_hand.stderr.starts_with("dvsd: "), "{by_hand:?}");
    // Longer than RestartSec=.
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(machine.property(SERVICE, "NRestarts").unwrap(), "0");

    // Whoever rings starts it again; that ends by itself, too.
    says(&status(&machine, "anna"), &[3], &["dvsd"]);
    wait_for(SOON, "systemd to give up", || Ok((machine.property(SOCKET, "ActiveState")? == "failed").then_some(())))
        .unwrap();
    says(&status(&machine, "anna"), &[3], &["dvsd is not running"]);

    // The documented way back.
    machine.write("/etc/dvs/dvsd.toml", SETTINGS).unwrap();
    machine.run(&["dvsd", "--config", "/etc/dvs/dvsd.toml", "--check-config"]).unwrap();
    machine.systemctl(&["reset-failed", SOCKET, SERVICE]).unwrap();
    machine.systemctl(&["start", SOCKET, SERVICE]).unwrap();
    assert_eq!(status(&machine, "anna").code, Some(0));
}

#[test]
fn a_spoilt_directory_is_named_and_comes_back_with_tmpfiles() {
    if !available_or_skipped("a_spoilt_directory_is_named_and_comes_back_with_tmpfiles") {
        return;
    }
    let machine = machine();
    let errors = || machine.journal(SERVICE, &["-o", "cat", "-p", "err", "SYSLOG_IDENTIFIER=dvsd"]).unwrap();
    machine.systemctl(&["stop", SERVICE]).unwrap();
    machine.run(&["chmod", "0755", "/run/dvs/c"]).unwrap();
    assert!(machine.systemctl(&["start", SERVICE]).is_err());
    assert!(errors().contains("cannot set the mode of /run/dvs/c"), "{}", errors());
    machine.run(&["systemd-tmpfiles", "--create", "dvs.conf"]).unwrap();
    // It tries again by itself.
    machine.wait_for_property(SERVICE, "ActiveState", "active", SOON).unwrap();
    assert_eq!(owner(&machine, "/run/dvs/c"), "3733 dvsd:dvsd");

    let read_only = "[Service]\nReadWritePaths=\nReadOnlyPaths=/run/dvs\n";
    machine.write("/etc/systemd/system/dvsd.service.d/test.conf", read_only).unwrap();
    machine.systemctl(&["daemon-reload"]).unwrap();
    assert!(machine.systemctl(&["restart", SERVICE]).is_err());
    assert!(errors().contains("cannot write to /run/dvs/c"), "{}", errors());
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
fn the_sandbox_leaves_the_daemon_its_view_of_the_network() {
    if !available_or_skipped("the_sandbox_leaves_the_daemon_its_view_of_the_network") {
        return;
    }
    let machine = machine();
    let warnings = machine.journal(SERVICE, &["-o", "cat", "-p", "warning", "SYSLOG_IDENTIFIER=dvsd"]).unwrap();
    assert_eq!(warnings.trim(), "", "no netlink, no multicast, or no clock to watch");
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

#[test]
fn on_a_desktop_each_user_runs_a_daemon_of_their_own() {
    if !available_or_skipped("on_a_desktop_each_user_runs_a_daemon_of_their_own") {
        return;
    }
    let machine = Machine::with_dvs().unwrap();
    machine.add_user("anna", &[]).unwrap();
    machine.add_user("carl", &[]).unwrap();
    machine.run(&["loginctl", "enable-linger", "anna"]).unwrap();
    let uid = machine.run(&["id", "-u", "anna"]).unwrap();
    let manager = format!("user@{uid}.service");
    machine.wait_for_property(&manager, "ActiveState", "active", SOON).unwrap();
    let runtime = format!("XDG_RUNTIME_DIR=/run/user/{uid}");
    let anna = |words: &[&str]| machine.run_as("anna", &[&["env", runtime.as_str()], words].concat()).unwrap();

    // As OPERATIONS.md says.
    let copied = anna(&["sh", "-c", "install -D -m 0644 /usr/share/doc/dvs/dvsd.toml ~anna/.config/dvs/dvsd.toml"]);
    assert_eq!(copied.code, Some(0), "{copied:?}");
    let enabled = anna(&["systemctl", "--user", "enable", "--now", SOCKET, SERVICE]);
    let journal = || machine.run(&["journalctl", "--no-pager", "-n", "20"]).unwrap();
    assert_eq!(enabled.code, Some(0), "{enabled:?}\n{}", journal());
    let said = anna(&["dvs-tui", "status", "--json"]).json().unwrap();
    assert!(said["identity"]["id"].as_str().unwrap().starts_with("dvs1"), "{said}");
    assert_eq!(owner(&machine, &format!("/run/user/{uid}/dvs/bell")), "600 anna:anna");
    assert_eq!(owner(&machine, &format!("/run/user/{uid}/dvs/c")), "3700 anna:anna");

    // The bell works here as well, and for nobody else.
    assert_eq!(anna(&["systemctl", "--user", "stop", SERVICE]).code, Some(0));
    assert_eq!(anna(&["dvs-tui", "status"]).code, Some(0));
    let directory = format!("/run/user/{uid}/dvs");
    let foreign = machine.run_as("carl", &["dvs-tui", "--runtime-dir", &directory, "status"]).unwrap();
    says(&foreign, &[6], &["another user's"]);
}
