// SPDX-License-Identifier: GPL-3.0-or-later
//! What users cannot do to each other: the layout of the system service, with the daemon, its clients and strangers
//! each as a user of their own. Needs root, to become them.
//!
//! Each of them is this test program once more, which then only runs [`as_another_user`].

#![allow(clippy::disallowed_methods, reason = "environment variables hand a role to the child")]

use std::env;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::unistd::geteuid;

use super::*;

const DAEMON: u32 = 64_101;
const SERVICE_GROUP: u32 = 64_100;
const CLIENT_GROUP: u32 = 64_200;
const ANNA: u32 = 64_102;
const BERT: u32 = 64_103;
const STRANGER: u32 = 64_104;
const STRANGERS_GROUP: u32 = 64_300;

/// The directory that the package makes, and this program where every user can run it.
struct Machine {
    temporary: TempDir,
    directory: PathBuf,
}

impl Machine {
    /// `None`, and a word about it, without the right to become other users.
    fn new() -> Option<Self> {
        if !geteuid().is_root() {
            eprintln!("SKIPPED: only root can become the three users of this test");
            return None;
        }
        let temporary = tempfile::tempdir().unwrap();
        set(temporary.path(), 0, 0, 0o755);
        let directory = temporary.path().join("dvs");
        fs::create_dir_all(directory.join(CLIENTS)).unwrap();
        mkfifo(&directory.join(BELL), Mode::S_IRWXU).unwrap();
        set(&directory, DAEMON, CLIENT_GROUP, 0o750);
        set(&directory.join(CLIENTS), DAEMON, SERVICE_GROUP, 0o3733);
        set(&directory.join(BELL), DAEMON, CLIENT_GROUP, 0o620);
        let program = temporary.path().join("program");
        fs::copy(env::current_exe().unwrap(), &program).unwrap();
        set(&program, 0, 0, 0o755);
        Some(Self { temporary, directory })
    }

    /// Plays `role` as user `uid` of group `gid`, until killed or done.
    fn play(&self, role: &str, uid: u32, gid: u32, about: &str) -> Player {
        let mut child = Command::new(self.temporary.path().join("program"))
            .args(["--exact", "control::tests::users::as_another_user", "--ignored", "--nocapture"])
            .env_clear()
            .env("DVS_TEST_ROLE", role)
            .env("DVS_TEST_DIRECTORY", &self.directory)
            .env("DVS_TEST_ABOUT", about)
            .current_dir("/")
            .uid(uid)
            .gid(gid)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Player { child, output }
    }

    fn daemon(&self) -> Player {
        let mut daemon = self.play("daemon", DAEMON, SERVICE_GROUP, "");
        assert_eq!(daemon.says(), "ready");
        daemon
    }
}

fn set(path: &Path, uid: u32, gid: u32, mode: u32) {
    chown(path, Some(uid), Some(gid)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A running role.
struct Player {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Player {
    /// Its next word.
    fn says(&mut self) -> String {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            if let Some(word) = line.trim().strip_prefix("says ") {
                return word.to_owned();
            }
            line.clear();
        }
        "nothing".to_owned()
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn members_of_the_group_reach_the_daemon_and_are_known_by_their_user() {
    let Some(machine) = Machine::new() else { return };
    let _daemon = machine.daemon();
    for uid in [ANNA, BERT, 0] {
        let mut client = machine.play("client", uid, CLIENT_GROUP, "");
        assert_eq!(client.says(), format!("user {uid}"));
    }
}

#[test]
fn a_umask_of_077_does_not_lock_the_daemon_out() {
    let Some(machine) = Machine::new() else { return };
    let _daemon = machine.daemon();
    assert_eq!(machine.play("client", ANNA, CLIENT_GROUP, "umask 077").says(), format!("user {ANNA}"));
}

#[test]
fn strangers_do_not_get_in() {
    let Some(machine) = Machine::new() else { return };
    let _daemon = machine.daemon();
    let said = machine.play("client", STRANGER, STRANGERS_GROUP, "").says();
    assert!(said.contains("no permission"), "{said}");
}

#[test]
fn clients_can_do_nothing_to_each_others_pipes() {
    let Some(machine) = Machine::new() else { return };
    // Without a daemon the pipes stay where they are.
    let mut victim = machine.play("victim", ANNA, CLIENT_GROUP, "");
    let name = victim.says();
    assert_eq!(fs::read_dir(machine.directory.join(CLIENTS)).unwrap().count(), 2);
    let said = machine.play("attacker", BERT, CLIENT_GROUP, &name).says();
    assert_eq!(said, "list EACCES read EACCES write EACCES remove EPERM rename EPERM bell EACCES");
    // fs.protected_hardlinks also forbids a second name, where it is on; the daemon refuses one in any case.
    let _daemon = machine.daemon();
    assert_eq!(victim.says(), format!("user {ANNA}"));
    assert_eq!(fs::read_dir(machine.directory.join(CLIENTS)).unwrap().count(), 0, "the daemon may remove them");
}

#[test]
fn two_pipes_of_two_users_are_no_client() {
    let Some(machine) = Machine::new() else { return };
    let mut anna = machine.play("half", ANNA, CLIENT_GROUP, "s2c");
    let name = anna.says();
    let mut bert = machine.play("half", BERT, CLIENT_GROUP, &name);
    assert_eq!(bert.says(), name);
    let _daemon = machine.daemon();
    assert_eq!(bert.says(), "refused");
    drop(anna.child.stdin.take());
    assert_eq!(anna.says(), "nothing heard");
}

/// Not a test: the roles of the others.
#[test]
#[ignore = "only run by the tests above, as another user"]
fn as_another_user() {
    let Ok(role) = env::var("DVS_TEST_ROLE") else { return };
    // Whatever goes wrong, nobody waits for this process for ever.
    nix::unistd::alarm::set(60);
    let directory = PathBuf::from(env::var("DVS_TEST_DIRECTORY").unwrap());
    let about = env::var("DVS_TEST_ABOUT").unwrap();
    match role.as_str() {
        "daemon" => daemon(&directory),
        "client" => client(&directory, &about),
        "victim" => victim(&directory),
        "attacker" => attacker(&directory, &about),
        "half" => half(&directory, &about),
        other => panic!("{other}"),
    }
}

fn say(word: &str) {
    println!("\nsays {word}");
}

/// Serves until killed; its version tells each client the user it is.
fn daemon(directory: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (server, mut inbox) = Server::start(config(directory)).unwrap();
        say("ready");
        let mut users = std::collections::BTreeMap::new();
        while let Some(message) = inbox.recv().await {
            match message {
                FromClient::Attached { client, uid, .. } => drop(users.insert(client, uid)),
                FromClient::Request { client, id, .. } => {
                    let Reply::Snapshot(mut snapshot) = snapshot(client) else { unreachable!() };
                    snapshot.version = format!("user {}", users[&client]);
                    server.reply(client, id, Ok(Reply::Snapshot(snapshot)));
                }
                FromClient::Gone { .. } => {}
            }
        }
    });
}

fn client(directory: &Path, about: &str) {
    if about == "umask 077" {
        nix::sys::stat::umask(Mode::from_bits_truncate(0o077));
    }
    let options = Options { directory: Some(directory.to_owned()), ..Options::default() };
    match Client::connect(&options) {
        Ok(mut client) => say(&client.attach("test").unwrap().version),
        Err(error) => say(&error.to_string()),
    }
}

/// Makes its pipes, waits until the attacker is done and a daemon is there, and attaches by hand.
fn victim(directory: &Path) {
    let mut raw = Raw::new(directory);
    raw.to_server.write_all(&hello()).unwrap();
    say(&raw.name.file(Way::ToServer));
    let request = dvs_proto::message::ToServer { id: 1, request: Request::Attach { name: "victim".into() } };
    raw.to_server.write_all(&dvs_proto::codec::encode(&request).unwrap()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut version, mut hello) = (None, false);
        for _ in 0..10 {
            raw.read_until(|reader| {
                while let Some(payload) = reader.pull().unwrap() {
                    if !hello {
                        hello = true;
                    } else if let Ok(ToClient::Reply { outcome: Ok(Reply::Snapshot(snapshot)), .. }) =
                        dvs_proto::codec::decode_answer(payload)
                    {
                        version = Some(snapshot.version);
                    }
                }
                version.is_some()
            })
            .await;
            if version.is_some() {
                break;
            }
        }
        say(&version.unwrap_or_default());
    });
}

fn attacker(directory: &Path, file: &str) {
    let clients = directory.join(CLIENTS);
    let c2s = clients.join(file);
    let s2c = clients.join(file.replace(".c2s", ".s2c"));
    let outcome = |outcome: std::io::Result<()>| match outcome {
        Ok(()) => "done".to_owned(),
        Err(error) => format!("{:?}", Errno::from_raw(error.raw_os_error().unwrap())),
    };
    let opened =
        |path: &Path, flags| open(path, flags | OFlag::O_NONBLOCK, Mode::empty()).map(drop).map_err(Into::into);
    let tried = [
        ("list", fs::read_dir(&clients).map(drop)),
        ("read", opened(&s2c, OFlag::O_RDONLY)),
        ("write", opened(&c2s, OFlag::O_WRONLY)),
        ("remove", fs::remove_file(&c2s)),
        ("rename", fs::rename(&s2c, clients.join("mine"))),
        ("bell", opened(&directory.join(BELL), OFlag::O_RDONLY)),
    ];
    say(&tried.map(|(what, result)| format!("{what} {}", outcome(result))).join(" "));
}

/// One of the two pipes of a client; the other is another user's.
fn half(directory: &Path, about: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let clients = directory.join(CLIENTS);
    if about != "s2c" {
        runtime.block_on(half_to_server(&clients.join(about), about));
        return;
    }
    let name = PipeName::random().unwrap();
    let s2c = clients.join(name.file(Way::ToClient));
    pipe(&s2c, S2C_MODE);
    let mut end = File::from(open(&s2c, OFlag::O_RDONLY | OFlag::O_NONBLOCK, Mode::empty()).unwrap());
    say(&name.file(Way::ToServer));
    // The test closes our input when the other half was refused.
    std::io::stdin().read_line(&mut String::new()).unwrap();
    runtime.block_on(async { sleep(Duration::from_millis(200)).await });
    let heard = end.read(&mut [0; 100]).unwrap_or(0);
    say(if heard == 0 { "nothing heard" } else { "heard something" });
}

async fn half_to_server(path: &Path, name: &str) {
    pipe(path, C2S_MODE);
    let mut end = File::from(open(path, OFlag::O_RDWR | OFlag::O_NONBLOCK, Mode::empty()).unwrap());
    end.write_all(&hello()).unwrap();
    say(name);
    // The directory cannot be listed, but what is in it can be looked at.
    while path.symlink_metadata().is_ok() {
        sleep(Duration::from_millis(5)).await;
    }
    say("refused");
}
