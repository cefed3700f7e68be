// SPDX-License-Identifier: GPL-3.0-or-later
//! Everything a user can get wrong has its own one-line message, which says what to do, and its exit code.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at what it did not expect"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use dvs_tests::harness::{Daemon, Setup, Verb, program};
use dvs_tests::trio::{Party, Trio};

/// Runs `dvsd` in `directory` until it gives up.
fn dvsd(directory: &Path, config: &str) -> Output {
    let file = directory.join("dvsd.toml");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new(program("dvsd").unwrap());
    command.arg("--config").arg(file).arg("--state-dir").arg(directory.join("state"));
    command.arg("--runtime-dir").arg(directory.join("run")).output().unwrap()
}

/// The one line on stderr, after the program's name.
fn line(stderr: &[u8], program: &str) -> String {
    let text = String::from_utf8_lossy(stderr);
    // The log comes on stderr too, but every line of it starts with a time.
    let said: Vec<&str> = text.lines().filter(|line| line.starts_with(&format!("{program}: "))).collect();
    assert_eq!(said.len(), 1, "exactly one line is expected:\n{text}");
    said[0].to_owned()
}

#[track_caller]
fn refused(output: &Output, code: i32, words: &[&str]) {
    let line = line(&output.stderr, "dvsd");
    assert_eq!(output.status.code(), Some(code), "{line}");
    for word in words {
        assert!(line.contains(word), "{word:?} is missing in: {line}");
    }
}

#[track_caller]
fn says(verb: &Verb, code: i32, words: &[&str]) {
    let line = line(verb.stderr.as_bytes(), "dvs-tui");
    assert_eq!(verb.code, Some(code), "{line}");
    for word in words {
        assert!(line.contains(word), "{word:?} is missing in: {line}");
    }
}

#[test]
fn an_unknown_configuration_key_is_named_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let output = dvsd(directory.path(), "[network]\nlissten = \"[::]:5004\"\n");
    refused(&output, 78, &["dvsd.toml", "line 2", "lissten", "listen"]);
}

#[test]
fn a_key_file_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    std::fs::create_dir_all(&state).unwrap();
    let key = state.join("identity.pem");
    std::fs::write(&key, "not read before the mode is checked").unwrap();
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    let config = "[network]\nlisten = \"127.0.0.1:0\"\n[audio]\nbackend = \"none\"\n";
    refused(&dvsd(directory.path(), config), 77, &["identity.pem", "chmod 600"]);
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    refused(&dvsd(directory.path(), config), 77, &["identity.pem", "damaged", "backup"]);
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = format!("[network]\nlisten = \"{address}\"\n[audio]\nbackend = \"none\"\n");
    let output = dvsd(directory.path(), &config);
    refused(&output, 69, &[&address.port().to_string(), "in use", "[network] listen"]);
}

#[test]
fn without_a_daemon_the_client_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(program("dvs-tui").unwrap())
        .arg("--runtime-dir")
        .arg(directory.path())
        .arg("status")
        .output()
        .unwrap();
    let line = line(&output.stderr, "dvs-tui");
    assert_eq!(output.status.code(), Some(3), "{line}");
    assert!(line.contains("systemctl") || line.contains("dvsd"), "{line}");
}

#[test]
fn somebody_outside_the_group_is_told_which_group() {
    assert!(nix::unistd::geteuid().is_root(), "this test needs root, to be somebody else for a moment");
    let daemon = Daemon::start("Alice", &Setup::loopback()).unwrap();
    std::fs::set_permissions(daemon.directory(), PermissionsExt::from_mode(0o755)).unwrap();
    let client = program("dvs-tui").unwrap();
    // Somewhere the other user may read it.
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let copy = directory.path().join("dvs-tui");
    std::fs::copy(client, &copy).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(copy)
        .arg("--runtime-dir")
        .arg(daemon.runtime_directory())
        .arg("status")
        .output()
        .unwrap();
    let line = line(&output.stderr, "dvs-tui");
    assert!(matches!(output.status.code(), Some(3 | 6)), "{line}");
    assert!(line.contains("group") || line.contains("user"), "{line}");
}

#[test]
fn ids_that_cannot_be_called_are_told_apart() {
    let mut trio = Trio::start(Setup::loopback(), Setup::loopback()).unwrap();
    let own = trio.alice.handset.id().unwrap();
    let alice = &trio.alice.daemon;
    let mut typo = own.clone();
    typo.replace_range(10..11, if &own[10..11] == "q" { "p" } else { "q" });
    says(&alice.verb(&["call", &typo]).unwrap(), 2, &["checksum", "mistyped"]);
    says(&alice.verb(&["call", &own[..own.len() - 1]]).unwrap(), 2, &["checksum", "missing"]);
    says(&alice.verb(&["call", "dvs:ABCDEF"]).unwrap(), 2, &["length"]);
    says(&alice.verb(&["call", "Nobody Known"]).unwrap(), 4, &["Nobody Known", "contact"]);
    says(&alice.verb(&["call", &own]).unwrap(), 2, &["own ID"]);
    let absent = "0123456789ABCDEF0123456789ABCDEF01234567";
    says(&alice.verb(&["call", absent]).unwrap(), 4, &["not found"]);
}

#[test]
fn a_peer_that_went_offline_is_told_from_an_unknown_id() {
    let mut trio = Trio::start(Setup::loopback(), Setup::loopback()).unwrap();
    let bob = trio.bob.handset.id().unwrap();
    trio.alice.handset.add_contact("Bob", &bob).unwrap();
    trio.bob.daemon.crash().unwrap();
    let verb = trio.alice.daemon.verb(&["call", "Bob"]).unwrap();
    says(&verb, 4, &["Bob", "offline"]);
}

#[test]
fn a_lonely_node_says_that_it_is_not_in_the_overlay() {
    let alone = Party::start("Alice", &Setup::loopback()).unwrap();
    let absent = "0123456789ABCDEF0123456789ABCDEF01234567";
    says(&alone.daemon.verb(&["call", absent]).unwrap(), 4, &["no node of the network answers", "bootstrap"]);
}
