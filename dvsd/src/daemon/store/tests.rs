// SPDX-License-Identifier: GPL-3.0-or-later
//! Real files in a temporary directory.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

use dvsd::call::{Direction, EndCause};
use dvsd::id::Fingerprint;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

fn directory() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dvs.sqlite");
    (directory, path)
}

fn contact(number: u8) -> Contact {
    Contact {
        fingerprint: Some(Fingerprint([number; 32])),
        verified: true,
        last_seen: Some(1_700_000_000),
        at: vec!["198.18.0.1:5004".parse().unwrap(), "[2001:db8::1]:5004".parse().unwrap()],
        via: vec![(NodeId([9; 20]), "seed.example.org:5004".parse().unwrap())],
        last_address: Some("[2001:db8::2]:6000".parse().unwrap()),
        auto_answer: true,
        ..Contact::new(NodeId([number; 20]), format!("Contact {number} 祖母"))
    }
}

fn call(started: u64) -> PastCall {
    PastCall {
        peer: NodeId([1; 20]),
        direction: Direction::Incoming,
        started,
        talked: Some(7),
        cause: EndCause::PeerHungUp,
    }
}

fn reopened(path: &Path) -> Loaded {
    let (store, loaded) = Store::open(path).unwrap();
    store.close().unwrap();
    loaded
}

fn error(path: &Path) -> StoreError {
    Store::open(path).unwrap_err()
}

#[test]
fn what_was_stored_is_there_after_a_restart() {
    let (_directory, path) = directory();
    let (store, loaded) = Store::open(&path).unwrap();
    assert_eq!(loaded, Loaded::default());
    let blocked = Contact { blocked: true, changed: true, ..Contact::new(NodeId([3; 20]), String::new()) };
    store.save_contact(contact(2));
    store.save_contact(contact(1));
    store.save_contact(blocked.clone());
    let unanswered = PastCall { talked: None, direction: Direction::Outgoing, cause: EndCause::NotFound, ..call(9) };
    store.add_history(call(8));
    store.add_history(unanswered);
    store.close().unwrap();
    let loaded = reopened(&path);
    assert_eq!(loaded.contacts, [contact(1), contact(2), blocked]);
    assert_eq!(loaded.history, [unanswered, call(8)]);
}

#[test]
fn a_contact_is_changed_and_removed() {
    let (_directory, path) = directory();
    let (store, _) = Store::open(&path).unwrap();
    store.save_contact(contact(1));
    store.save_contact(contact(2));
    store.flush().unwrap();
    let renamed = Contact { name: "Renamed".into(), ..contact(1) };
    store.save_contact(renamed.clone());
    store.remove_contact(contact(2).id);
    store.close().unwrap();
    assert_eq!(reopened(&path).contacts, [renamed]);
}

#[test]
fn every_cause_of_an_end_survives() {
    let (_directory, path) = directory();
    let (store, _) = Store::open(&path).unwrap();
    for cause in EndCause::ALL {
        store.add_history(PastCall { cause, ..call(1) });
    }
    store.close().unwrap();
    let causes: Vec<EndCause> = reopened(&path).history.iter().rev().map(|call| call.cause).collect();
    assert_eq!(causes, EndCause::ALL);
}

#[test]
fn history_is_bounded_and_keeps_the_newest() {
    let (_directory, path) = directory();
    let (store, _) = Store::open(&path).unwrap();
    for started in 0..u64::from(HISTORY_KEPT) + 50 {
        store.add_history(call(started));
        if started % 4_000 == 0 {
            store.flush().unwrap();
        }
    }
    store.close().unwrap();
    let history = reopened(&path).history;
    assert_eq!(history.len(), HISTORY_KEPT as usize);
    assert_eq!((history[0].started, history[HISTORY_KEPT as usize - 1].started), (10_049, 50));
}

#[test]
fn nobody_else_can_read_the_files() {
    let (directory, path) = directory();
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let (store, _) = Store::open(&path).unwrap();
    store.save_contact(contact(1));
    store.flush().unwrap();
    for entry in fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
}

#[test]
fn a_file_that_is_no_database_is_named_and_left_alone() {
    let (_directory, path) = directory();
    let bytes = vec![0x5a; 5_000];
    fs::write(&path, &bytes).unwrap();
    let error = error(&path);
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains(path.to_str().unwrap()));
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_damaged_database_is_found_at_the_start_and_left_alone() {
    let (_directory, path) = directory();
    let (store, _) = Store::open(&path).unwrap();
    for number in 0..=255 {
        store.save_contact(contact(number));
    }
    store.close().unwrap();
    let whole = fs::read(&path).unwrap();
    for page in 0..whole.len() / 4_096 {
        let mut bytes = whole.clone();
        bytes[page * 4_096..][..4_096].fill(0xa5);
        fs::write(&path, &bytes).unwrap();
        let error = error(&path);
        assert!(matches!(error, StoreError::Damaged { .. }), "page {page}: {error}");
        assert_eq!(fs::read(&path).unwrap(), bytes, "page {page}");
    }
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(error(&path), StoreError::Damaged { .. }));
    fs::write(&path, &whole).unwrap();
    assert_eq!(reopened(&path).contacts.len(), 256);
}

#[test]
fn a_row_that_makes_no_sense_is_damage_too() {
    let (_directory, path) = directory();
    reopened(&path);
    let insert = "INSERT INTO history (peer, outgoing, started, cause) VALUES (zeroblob(20), 1, 5, 'bored')";
    Connection::open(&path).unwrap().execute(insert, []).unwrap();
    let error = error(&path);
    assert!(matches!(&error, StoreError::Damaged { detail, .. } if detail.contains("bored")), "{error}");
}

#[test]
fn a_database_of_the_first_version_keeps_all_it_has() {
    let (_directory, path) = directory();
    let db = Connection::open(&path).unwrap();
    db.execute_batch(schema::MIGRATIONS[0]).unwrap();
    db.execute_batch(
        "INSERT INTO contact VALUES (zeroblob(20), 'Anna', NULL, 0, 0, 1, 7);
         INSERT INTO history VALUES (NULL, zeroblob(20), 1, 5, 9, 'busy');",
    )
    .unwrap();
    db.pragma_update(None, "application_id", schema::APPLICATION_ID).unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    drop(db);
    let anna = Contact { blocked: true, last_seen: Some(7), ..Contact::new(NodeId([0; 20]), "Anna".into()) };
    for _ in 0..2 {
        let loaded = reopened(&path);
        assert_eq!((loaded.contacts, loaded.history.len()), (vec![anna.clone()], 1));
    }
}

#[test]
fn a_database_of_the_second_version_keeps_its_contacts_who_are_no_intercoms() {
    let (_directory, path) = directory();
    let db = Connection::open(&path).unwrap();
    schema::MIGRATIONS[..2].iter().for_each(|step| db.execute_batch(step).unwrap());
    db.execute_batch(
        "INSERT INTO contact VALUES (zeroblob(20), 'Anna', zeroblob(32), 1, 0, 0, 7, '', '', '198.18.0.1:5004')",
    )
    .unwrap();
    db.pragma_update(None, "application_id", schema::APPLICATION_ID).unwrap();
    db.pragma_update(None, "user_version", 2).unwrap();
    drop(db);
    let anna = Contact {
        fingerprint: Some(Fingerprint([0; 32])),
        verified: true,
        last_seen: Some(7),
        last_address: Some("198.18.0.1:5004".parse().unwrap()),
        ..Contact::new(NodeId([0; 20]), "Anna".into())
    };
    let loaded = reopened(&path);
    assert_eq!((loaded.contacts, loaded.chosen), (vec![anna], Chosen::default()));
}

#[test]
fn what_users_chose_about_callers_is_kept_and_goes_before_the_configuration() {
    let (_directory, path) = directory();
    let configured = Policy { do_not_disturb: false, unknown_callers: UnknownCallers::Silent };
    assert_eq!(reopened(&path).chosen.over(configured), configured);
    let disturbing = Policy { do_not_disturb: true, ..configured };
    let (store, _) = Store::open(&path).unwrap();
    store.save_chosen(Chosen::between(configured, disturbing));
    store.close().unwrap();
    let chosen = reopened(&path).chosen;
    assert_eq!(chosen, Chosen { do_not_disturb: Some(true), unknown_callers: None });
    let configured = Policy { unknown_callers: UnknownCallers::Ring, ..configured };
    assert_eq!(chosen.over(configured), Policy { do_not_disturb: true, unknown_callers: UnknownCallers::Ring });
    for policy in [UnknownCallers::Ring, UnknownCallers::Silent, UnknownCallers::Reject] {
        let (store, _) = Store::open(&path).unwrap();
        store.save_chosen(Chosen { do_not_disturb: Some(false), unknown_callers: None });
        store.save_chosen(Chosen { do_not_disturb: None, unknown_callers: Some(policy) });
        store.close().unwrap();
        let both = Chosen { do_not_disturb: Some(false), unknown_callers: Some(policy) };
        assert_eq!(reopened(&path).chosen, both);
    }
}

#[test]
fn a_setting_that_makes_no_sense_is_damage() {
    for (name, value) in [("do_not_disturb", "maybe"), ("unknown_callers", "1"), ("colour", "red")] {
        let (_directory, path) = directory();
        reopened(&path);
        let db = Connection::open(&path).unwrap();
        db.execute("INSERT INTO setting VALUES (?1, ?2)", [name, value]).unwrap();
        drop(db);
        let error = error(&path);
        assert!(matches!(&error, StoreError::Damaged { .. }), "{error}");
    }
}

#[test]
fn an_address_that_makes_no_sense_is_damage() {
    let (_directory, path) = directory();
    let (store, _) = Store::open(&path).unwrap();
    store.save_contact(contact(1));
    store.close().unwrap();
    for nonsense in ["at = 'x'", "via = '198.18.0.1:5004'", "last_address = 'seed.example.org:5004'"] {
        let db = Connection::open(&path).unwrap();
        db.execute("UPDATE contact SET at = '', via = '', last_address = NULL", []).unwrap();
        db.execute(&format!("UPDATE contact SET {nonsense}"), []).unwrap();
        drop(db);
        let error = error(&path);
        assert!(matches!(&error, StoreError::Damaged { detail, .. } if detail.contains("address")), "{error}");
    }
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    let (_directory, path) = directory();
    reopened(&path);
    Connection::open(&path).unwrap().pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
    let before = fs::read(&path).unwrap();
    let error = error(&path);
    assert!(matches!(error, StoreError::Newer { found: 4, known: 3, .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    let (_directory, path) = directory();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE songs (title TEXT)").unwrap();
    assert!(matches!(error(&path), StoreError::Foreign(_)));
}

#[test]
fn two_daemons_cannot_share_a_file() {
    let (_directory, path) = directory();
    let (store, _) = Store::open(&path).unwrap();
    let error = error(&path);
    assert!(matches!(error, StoreError::InUse(_)), "{error}");
    store.save_contact(contact(1));
    store.close().unwrap();
    assert_eq!(reopened(&path).contacts.len(), 1);
}

#[test]
fn links_and_directories_and_missing_directories_are_refused() {
    let (directory, path) = directory();
    symlink(directory.path().join("elsewhere"), &path).unwrap();
    assert!(matches!(error(&path), StoreError::Open { .. }));
    assert!(matches!(error(directory.path()), StoreError::Open { .. }));
    assert!(matches!(error(&directory.path().join("no/such/dvs.sqlite")), StoreError::Open { .. }));
}

#[test]
fn what_cannot_be_written_is_reported_kept_and_written_later() {
    let (_directory, path) = directory();
    let (mut file, _) = File::open(&path).unwrap();
    file.refuse_writes(true);
    let mut batch = Batch::default();
    batch.history.push_back(call(1));
    assert!(matches!(file.write(&batch), Err(StoreError::Write { .. })));
    let mut waiting = Batch::default();
    waiting.history.push_back(call(2));
    waiting.contacts.insert(contact(1).id, None);
    batch.contacts.insert(contact(1).id, Some(contact(1)));
    batch.chosen = Chosen { do_not_disturb: Some(true), unknown_callers: Some(UnknownCallers::Ring) };
    waiting.chosen.do_not_disturb = Some(false);
    waiting.restore(batch);
    assert_eq!(waiting.history, [call(1), call(2)]);
    assert_eq!(waiting.contacts[&contact(1).id], None);
    file.refuse_writes(false);
    file.write(&waiting).unwrap();
    drop(file);
    let chosen = Chosen { do_not_disturb: Some(false), unknown_callers: Some(UnknownCallers::Ring) };
    let loaded = reopened(&path);
    assert_eq!((loaded.history, loaded.chosen), (vec![call(2), call(1)], chosen));
}

#[test]
fn a_writer_in_trouble_says_so_and_recovers() {
    let (_directory, path) = directory();
    let (mut file, _) = File::open(&path).unwrap();
    file.refuse_writes(true);
    let shared = Arc::new(Shared::default());
    let worker = Arc::clone(&shared);
    let thread = std::thread::spawn(move || write_until_closed(file, &worker));
    let store = Store { path: path.clone(), shared, thread: Some(thread) };
    store.add_history(call(1));
    assert!(matches!(store.flush(), Err(StoreError::Write { .. })));
    assert!(store.trouble().is_some());
    assert!(store.close().is_err());
}

/// Not a test of its own: the process that [`what_was_acknowledged_survives_a_kill`] kills.
#[test]
#[ignore = "started by another test"]
fn a_process_to_be_killed() {
    let Ok(path) = std::env::var("DVS_STORE_TO_KILL") else { return };
    let (store, _) = Store::open(Path::new(&path)).unwrap();
    for started in 0.. {
        store.add_history(call(started));
        store.flush().unwrap();
        println!("written {started}");
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let (_directory, path) = directory();
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::a_process_to_be_killed", "--ignored", "--nocapture"])
        .env("DVS_STORE_TO_KILL", &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut acknowledged = None;
    for line in lines {
        acknowledged = line.strip_prefix("written ").map(|number| number.parse::<u64>().unwrap()).or(acknowledged);
        if acknowledged == Some(40) {
            process.kill().unwrap();
        }
    }
    process.wait().unwrap();
    let newest = reopened(&path).history[0].started;
    assert!(newest >= acknowledged.unwrap(), "{newest} is stored, {acknowledged:?} was acknowledged");
}
