// SPDX-License-Identifier: GPL-3.0-or-later
//! Starts daemons in temporary directories, runs `dvs-tui`'s verbs against them, and ends them by their pid.

use core::fmt::Write as _;
use core::net::SocketAddr;
use core::time::Duration;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};
use dvs_proto::client::{Client, Options};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::netns::Namespace;

/// How long a daemon may take to be ready for clients.
const START_TIME: Duration = Duration::from_secs(10);
/// How long a daemon may take to end its calls and stop.
const STOP_TIME: Duration = Duration::from_secs(10);
/// Pause between two looks at something that changes by itself.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How a daemon is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The address it listens on; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Whom it joins the overlay through.
    pub bootstrap: Vec<SocketAddr>,
    /// `alsa`, `wav:IN,OUT`, `tone`, `loop`, `loop:OUT` or `none`.
    pub backend: String,
    /// Names of the ALSA devices for capture and playback.
    pub devices: [String; 2],
    /// Answers contacts by itself.
    pub auto_answer: bool,
    /// `silent`, `ring` or `reject`.
    pub unknown_callers: &'static str,
    /// How long a dialled call rings; `None` leaves the default.
    pub ring_seconds: Option<u64>,
    /// How often sessions change their keys; `None` leaves the default.
    pub rekey_seconds: Option<u64>,
    /// Log level.
    pub log: &'static str,
    /// Environment variables, for example `ALSA_CONFIG_PATH`.
    pub environment: Vec<(String, String)>,
    /// The whole text of `dvsd.toml`, instead of what everything above says.
    pub settings: Option<String>,
}

impl Setup {
    /// Listens on `listen` and has no sound; calls of strangers ring.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            bootstrap: Vec::new(),
            backend: "none".to_owned(),
            devices: ["default", "default"].map(str::to_owned),
            auto_answer: false,
            unknown_callers: "ring",
            ring_seconds: None,
            rekey_seconds: None,
            log: "info",
            environment: Vec::new(),
            settings: None,
        }
    }

    /// A daemon about which nobody decided anything, except what `settings`, a `dvsd.toml`, says.
    pub fn of(settings: &str) -> Self {
        Self { settings: Some(settings.to_owned()), ..Self::loopback() }
    }

    /// As [`Setup::new`], on a port of 127.0.0.1 that the system chooses.
    pub fn loopback() -> Self {
        Self::new(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// The text of `dvsd.toml`.
    pub fn to_toml(&self) -> String {
        self.settings.clone().unwrap_or_else(|| self.text())
    }

    fn text(&self) -> String {
        let quoted = |text: &dyn core::fmt::Display| format!("{:?}", text.to_string());
        let bootstrap: Vec<String> = self.bootstrap.iter().map(|address| quoted(address)).collect();
        let mut network = vec![("listen", quoted(&self.listen)), ("bootstrap", format!("[{}]", bootstrap.join(", ")))];
        network.extend(self.rekey_seconds.map(|seconds| ("rekey_seconds", seconds.to_string())));
        let [capture, playback] = &self.devices;
        let mut text = String::new();
        for (section, lines) in [
            ("network", network),
            (
                "audio",
                vec![("backend", quoted(&self.backend)), ("capture", quoted(capture)), ("playback", quoted(playback))],
            ),
            ("calls", self.calls()),
            ("log", vec![("level", quoted(&self.log))]),
        ] {
            let _ = writeln!(text, "[{section}]");
            for (key, value) in lines {
                let _ = writeln!(text, "{key} = {value}");
            }
        }
        text
    }

    fn calls(&self) -> Vec<(&'static str, String)> {
        let unknown = format!("{:?}", self.unknown_callers);
        let mut lines = vec![("auto_answer", self.auto_answer.to_string()), ("unknown_callers", unknown)];
        lines.extend(self.ring_seconds.map(|seconds| ("ring_seconds", seconds.to_string())));
        lines
    }
}

/// A running daemon with a directory of its own. Ends when dropped.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    process: Child,
    directory: TempDir,
}

impl Daemon {
    /// Starts a daemon on this machine.
    pub fn start(name: &str, setup: &Setup) -> Result<Self> {
        let mut daemon = Self::launch(name, setup, Command::new(program("dvsd")?))?;
        daemon.wait_until_ready()?;
        Ok(daemon)
    }

    /// Starts a daemon on a host of a test network.
    pub fn start_on(host: &impl AsRef<Namespace>, name: &str, setup: &Setup) -> Result<Self> {
        let mut daemon = Self::launch_on(host, name, setup)?;
        daemon.wait_until_ready()?;
        Ok(daemon)
    }

    /// As [`Self::start_on`], but does not wait: many start at the same time so.
    pub fn launch_on(host: &impl AsRef<Namespace>, name: &str, setup: &Setup) -> Result<Self> {
        Self::launch(name, setup, host.as_ref().command(program("dvsd")?))
    }

    /// Ends the daemon and starts it again with the same state and other settings, on this machine.
    pub fn restart(&mut self, setup: &Setup) -> Result<()> {
        self.restart_with(setup, Command::new(program("dvsd")?))
    }

    /// As [`Self::restart`], on a host of a test network.
    pub fn restart_on(&mut self, host: &impl AsRef<Namespace>, setup: &Setup) -> Result<()> {
        self.restart_with(setup, host.as_ref().command(program("dvsd")?))
    }

    fn restart_with(&mut self, setup: &Setup, command: Command) -> Result<()> {
        end(&mut self.process, STOP_TIME)?;
        self.process = spawn(self.directory.path(), setup, command)?;
        self.wait_until_ready()
    }

    fn launch(name: &str, setup: &Setup, command: Command) -> Result<Self> {
        let directory = directory()?;
        let process = spawn(directory.path(), setup, command)?;
        Ok(Self { name: name.to_owned(), process, directory })
    }

    /// Waits until the daemon greets a client: then everything before that works, too.
    pub fn wait_until_ready(&mut self) -> Result<()> {
        let options = self.client_options();
        wait_for(START_TIME, "the daemon to greet a client", || {
            if let Some(status) = self.process.try_wait()? {
                bail!("it ended with {status}");
            }
            Ok(Client::connect(&options).ok())
        })
        .with_context(|| format!("{} is not ready; it said:\n{}", self.name, self.log()))?;
        Ok(())
    }

    /// How to connect a client to it.
    pub fn client_options(&self) -> Options {
        Options { directory: Some(self.runtime_directory()), ..Options::default() }
    }

    /// The name given at the start, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its temporary directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where clients find it.
    pub fn runtime_directory(&self) -> PathBuf {
        self.directory.path().join("run")
    }

    /// Where its key and database are.
    pub fn state_directory(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Everything it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Resident memory, in bytes.
    pub fn memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024)
    }

    /// Runs `dvs-tui ARGUMENTS --json` against it.
    pub fn verb(&self, arguments: &[&str]) -> Result<Verb> {
        let mut command = Command::new(program("dvs-tui")?);
        command.arg("--runtime-dir").arg(self.runtime_directory()).args(arguments).arg("--json");
        let output = command.stdin(Stdio::null()).output().with_context(|| format!("run {command:?}"))?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Verb { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) })
    }

    /// Sends SIGTERM and does not wait, so that many can end at the same time.
    pub fn ask_to_end(&self) {
        if let Ok(pid) = i32::try_from(self.pid()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }

    /// Sends SIGTERM and waits: the polite end.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        end(&mut self.process, STOP_TIME)
    }

    /// Sends SIGKILL: the crash.
    pub fn crash(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = end(&mut self.process, STOP_TIME);
    }
}

/// A directory for a daemon, named after this process. What killed processes left behind is removed first.
fn directory() -> Result<TempDir> {
    static SWEPT: Once = Once::new();
    SWEPT.call_once(|| {
        let entries = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()).filter(|path| owner(path).is_some_and(is_gone)) {
            let _ = std::fs::remove_dir_all(path);
        }
    });
    Ok(TempDir::with_prefix(format!("dvs-{}-", std::process::id()))?)
}

/// The process that made a daemon's directory.
fn owner(path: &Path) -> Option<u32> {
    let (owner, _) = path.file_name()?.to_str()?.strip_prefix("dvs-")?.split_once('-')?;
    owner.parse().ok()
}

fn is_gone(pid: u32) -> bool {
    !Path::new("/proc").join(pid.to_string()).exists()
}

/// Writes the settings into `directory` and starts `command`, the daemon, there.
fn spawn(directory: &Path, setup: &Setup, mut command: Command) -> Result<Child> {
    let [settings, state, run, log] = ["dvsd.toml", "state", "run", "log"].map(|file| directory.join(file));
    std::fs::write(&settings, setup.to_toml())?;
    std::fs::create_dir_all(&state)?;
    command.arg("--config").arg(settings).arg("--state-dir").arg(state).arg("--runtime-dir").arg(run);
    command.envs(setup.environment.iter().cloned()).env_remove("NOTIFY_SOCKET");
    let log = File::options().create(true).append(true).open(log)?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    dies_with_us(&mut command);
    let _alone = start_alone();
    command.spawn().with_context(|| format!("start {command:?}"))
}

/// Held while a program starts. Pseudo-terminals are for a moment open without being closed in programs that start, and
/// a daemon that inherits one keeps it from ever hanging up.
pub(crate) fn start_alone() -> MutexGuard<'static, ()> {
    static STARTING: Mutex<()> = Mutex::new(());
    STARTING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has the child end when this thread does, so that a killed test leaves no daemon behind.
pub fn dies_with_us(command: &mut Command) {
    // SAFETY: between fork and exec only prctl is called, which is async-signal-safe.
    unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGTERM)?)) };
}

/// What a verb of `dvs-tui` said.
#[derive(Clone, Debug)]
pub struct Verb {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Verb {
    /// The JSON it printed; an error when it failed.
    pub fn json(&self) -> Result<serde_json::Value> {
        ensure!(self.code == Some(0), "exit code {:?}: {}", self.code, self.stderr.trim());
        serde_json::from_str(self.stdout.trim()).with_context(|| format!("not JSON: {}", self.stdout))
    }
}

/// The program `name` built together with the running one.
pub fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let beside = own.ancestors().skip(1).take(2).map(|directory| directory.join(name)).find(|path| path.is_file());
    beside.ok_or_else(|| anyhow!("{name} is not built: run `cargo build --workspace --bins`, or `cargo xtask test`"))
}

/// Whether a test with special needs can run. Where it cannot, it is skipped loudly; but never in CI, where it fails.
pub fn runs_or_is_skipped(test: &str, needs: Result<()>) -> bool {
    let Err(why) = needs else { return true };
    assert!(std::env::var_os("CI").is_none(), "{test} cannot run in CI: {why:#}");
    // Not by a macro: what these print in a test that passes is never shown.
    let _ = writeln!(std::io::stderr(), "SKIPPED (needs root): {test}: {why:#}");
    false
}

/// Asks `look` again and again until it finds something, for `limit` at most.
pub fn wait_for<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(start.elapsed() < limit, "waited {limit:?} in vain for {what}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Ends a child: SIGTERM, and SIGKILL when it has not gone after `patience`, which is an error.
pub fn end(child: &mut Child, patience: Duration) -> Result<ExitStatus> {
    if let Some(status) = child.try_wait()? {
        return Ok(status);
    }
    let pid = i32::try_from(child.id()).context("pid out of range")?;
    kill(Pid::from_raw(pid), Signal::SIGTERM)?;
    let gone = wait_for(patience, "the end of a process", || Ok(child.try_wait()?));
    if gone.is_err() {
        child.kill()?;
        child.wait()?;
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setup_becomes_the_daemons_settings() {
        let bootstrap = vec!["198.18.3.1:5004".parse().unwrap()];
        let setup = Setup { bootstrap, backend: "wav:/a b,/c".to_owned(), auto_answer: true, ..Setup::loopback() };
        let text = setup.to_toml();
        for line in [
            "[network]",
            "listen = \"127.0.0.1:0\"",
            "bootstrap = [\"198.18.3.1:5004\"]",
            "backend = \"wav:/a b,/c\"",
            "auto_answer = true",
            "unknown_callers = \"ring\"",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn directories_of_daemons_say_whose_they_are() {
        let own = directory().unwrap();
        assert_eq!(owner(own.path()), Some(std::process::id()));
        assert!(!is_gone(std::process::id()) && is_gone(u32::MAX));
        for foreign in ["/tmp/dvs-machine-x8Fj2a", "/tmp/dvs-x8Fj2a", "/tmp/12-x8Fj2a", "/"] {
            assert_eq!(owner(Path::new(foreign)), None, "{foreign}");
        }
    }

    #[test]
    fn a_child_that_ignores_the_polite_signal_is_killed_and_reported() {
        let mut stubborn = Command::new("sh");
        stubborn.args(["-c", "trap '' TERM; echo; exec sleep 60"]).stdout(Stdio::piped());
        let mut child = stubborn.spawn().unwrap();
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        assert!(end(&mut child, Duration::from_millis(100)).is_err());
        assert!(end(&mut child, Duration::ZERO).is_ok(), "it is gone now");
    }
}
