// SPDX-License-Identifier: GPL-3.0-or-later
//! Machines of their own: a Debian 12 with its systemd, booted in a container, on which DVS is installed as a user
//! installs it. Needs root.
//!
//! The system is made once, under the target directory. A machine writes onto a layer in memory above it and has no
//! network but its loopback, so machines disturb neither each other nor what they run on.

use core::time::Duration;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail, ensure};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::harness::{self, Verb, program, wait_for};
use crate::terminal::{self, Terminal};

/// The system's name under the target directory. A change of [`PACKAGES`] needs a new number.
const SYSTEM: &str = "bookworm-1";
/// The release of Debian.
const RELEASE: &str = "bookworm";
/// What the system has besides the bare minimum.
const PACKAGES: &str = "--include=systemd,libpam-systemd,dbus,libasound2,libopus0,libssl3";
/// Where its packages come from.
const MIRROR: &str = "http://deb.debian.org/debian";
/// Where programs are inside.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// How long a machine may take to boot while others do, too.
const BOOT_TIME: Duration = Duration::from_secs(60);
/// How long a machine may take to be gone once its first process is killed.
const END_TIME: Duration = Duration::from_secs(10);

/// Boots `$2`, relative to the working directory, as machine `$3`, with its layer in `$1` and the other arguments passed
/// on. All mounts are in a namespace of their own and vanish with it.
const BOOT: &str = r#"
set -e
layer=$1 system=$2 name=$3
shift 3
for cgroup in $CGROUPS; do echo $$ >"$cgroup/cgroup.procs"; done
mount -t tmpfs tmpfs "$layer"
mkdir "$layer/upper" "$layer/work" "$layer/root"
mount -t overlay overlay -o "lowerdir=$system,upperdir=$layer/upper,workdir=$layer/work" "$layer/root"
mkdir -p /run/systemd
mount -t tmpfs tmpfs /run/systemd
exec systemd-nspawn -D "$layer/root" --machine="$name" --boot --register=no --keep-unit --console=pipe \
    --private-network "$@"
"#;

/// Whether machines can be booted here; otherwise why not.
pub fn available() -> Result<()> {
    ensure!(nix::unistd::geteuid().is_root(), "booting a machine needs root");
    ensure!(!hierarchies()?.is_empty(), "no control groups are mounted");
    system().map(drop)
}

/// Makes a test that needs a machine either run, fail or be skipped loudly: where CI runs it must not be skipped.
pub fn available_or_skipped(test: &str) -> bool {
    harness::runs_or_is_skipped(test, available())
}

/// A running machine. Gone without a trace when dropped.
#[derive(Debug)]
pub struct Machine {
    /// The program whose container it is.
    container: Child,
    /// The machine's process 1, by its number outside.
    leader: Pid,
    /// The machine's control groups.
    cgroups: Cgroups,
    /// Holds what the machine said while booting, and is where its layer is mounted.
    directory: TempDir,
}

impl Machine {
    /// Boots a bare system. Returns when all its units are up.
    pub fn boot() -> Result<Self> {
        let system = system()?;
        let directory = TempDir::with_prefix("dvs-machine-")?;
        let name = format!("dvs-machine-{}-{}", std::process::id(), serial());
        let cgroups = Cgroups::new(&name)?;
        let mut container = spawn(&system, &directory, &name, &cgroups)?;
        let leader = wait_until_up(&mut container);
        if leader.is_err() {
            let _ = harness::end(&mut container, END_TIME);
        }
        let leader = leader.with_context(|| {
            let said = fs::read_to_string(directory.path().join("log")).unwrap_or_default();
            format!("the machine does not boot; it said:\n{said}")
        })?;
        Ok(Self { container, leader, cgroups, directory })
    }

    /// Boots a system and installs DVS on it with `cargo xtask install`, as README.md says.
    pub fn with_dvs() -> Result<Self> {
        let machine = Self::boot()?;
        machine.xtask("install")?;
        Ok(machine)
    }

    /// Runs `cargo xtask VERB` inside, with the programs built here.
    pub fn xtask(&self, verb: &str) -> Result<()> {
        let xtask = program("xtask")?;
        let mut command = self.command(&xtask);
        command.arg(verb);
        if verb == "install" {
            command.arg("--from").arg(xtask.parent().context("no directory")?);
        }
        ok(&mut command).map(drop)
    }

    /// A command that will run inside, as root.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(self.leader.to_string());
        command.args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd", "--"]).arg(program);
        command.env_clear().env("PATH", PATH).env("LANG", "C.UTF-8").stdin(Stdio::null());
        command
    }

    /// The words of a command that will run inside as `user`, with the groups the user has now, as after a login.
    pub fn login(&self, user: &str) -> Command {
        let mut command = self.command("runuser");
        command.args(["-u", user, "--"]);
        command
    }

    /// Runs a command inside, as root, that must succeed. Returns what it printed, without the last line's end.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        let (program, arguments) = words.split_first().context("no command")?;
        ok(self.command(program).args(arguments))
    }

    /// Runs a command inside as `user`, whatever comes of it.
    pub fn run_as(&self, user: &str, words: &[&str]) -> Result<Verb> {
        outcome(self.login(user).args(words))
    }

    /// Opens the full screen of `dvs-tui` as `user`.
    pub fn open(&self, user: &str) -> Result<Terminal> {
        let mut command = self.login(user);
        command.arg("dvs-tui");
        let words: Vec<&str> = command.get_args().filter_map(|word| word.to_str()).collect();
        let environment = [("PATH", PATH)];
        Terminal::run(Path::new(command.get_program()), terminal::USUAL, &words, &environment)
    }

    /// Makes a user who belongs to `groups` as well.
    pub fn add_user(&self, name: &str, groups: &[&str]) -> Result<()> {
        self.run(&["useradd", "--create-home", "--groups", &groups.join(","), name]).map(drop)
    }

    /// Runs `systemctl ARGUMENTS`, which must succeed.
    pub fn systemctl(&self, arguments: &[&str]) -> Result<String> {
        let said = self.run(&[&["systemctl"], arguments].concat());
        said.with_context(|| format!("the journal ends:\n{}", self.journal_end()))
    }

    /// A property of a unit, as `systemctl show` prints it.
    pub fn property(&self, unit: &str, property: &str) -> Result<String> {
        self.systemctl(&["show", "--value", "--property", property, unit])
    }

    /// Waits until a unit's property has the wanted value.
    pub fn wait_for_property(&self, unit: &str, property: &str, wanted: &str, limit: Duration) -> Result<()> {
        let mut last = String::new();
        wait_for(limit, &format!("{property} of {unit} to be {wanted}"), || {
            last = self.property(unit, property)?;
            Ok((last == wanted).then_some(()))
        })
        .with_context(|| format!("it is {last}; the journal ends:\n{}", self.journal_end()))
    }

    /// What the journal has of a unit: `journalctl -u UNIT ARGUMENTS`.
    pub fn journal(&self, unit: &str, arguments: &[&str]) -> Result<String> {
        // What was logged just now may still be on its way.
        self.run(&["journalctl", "--sync"])?;
        self.run(&[&["journalctl", "--quiet", "--no-pager", "-u", unit], arguments].concat())
    }

    fn journal_end(&self) -> String {
        self.run(&["journalctl", "--quiet", "--no-pager", "-n", "30"]).unwrap_or_else(|error| format!("{error:#}"))
    }

    /// A file of the machine, seen from outside. No link on the way to it may be absolute.
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.leader)).join(inside.trim_start_matches('/'))
    }

    /// Writes a file of root's, readable for all, and the directories it is in.
    pub fn write(&self, inside: &str, text: &str) -> Result<()> {
        let path = self.path(inside);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        File::create(&path)?.write_all(text.as_bytes()).with_context(|| format!("write {}", path.display()))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // All processes inside end with the first one, and the mounts with the last of them.
        let _ = kill(self.leader, Signal::SIGKILL);
        let _ = wait_for(END_TIME, "the end of a machine", || Ok(self.container.try_wait()?));
        let _ = harness::end(&mut self.container, END_TIME);
        self.cgroups.remove();
        let _ = fs::remove_file(self.directory.path().join("log"));
    }
}

fn spawn(system: &Path, directory: &TempDir, name: &str, cgroups: &Cgroups) -> Result<Child> {
    let [parent, system] = [system.parent(), system.file_name().map(Path::new)].map(|part| part.context("no system"));
    let layer = directory.path().join("layer");
    fs::create_dir(&layer)?;
    let log = File::create(directory.path().join("log"))?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", BOOT, "sh"]);
    command.arg(layer).arg(system?).arg(name).args(shared_directories()?);
    command.current_dir(parent?).env("CGROUPS", cgroups.shown());
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    // SAFETY: between fork and exec only prctl is called, which is async-signal-safe.
    unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGTERM)?)) };
    command.spawn().context("start systemd-nspawn")
}

/// What a machine sees of this one, to read only: the source tree and what is built of it.
fn shared_directories() -> Result<Vec<String>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no source tree")?.to_owned();
    let programs = program("xtask")?.parent().context("no directory")?.to_owned();
    Ok([source, programs].iter().map(|directory| format!("--bind-ro={}", directory.display())).collect())
}

/// Waits for the machine to be up. Returns its process 1.
fn wait_until_up(container: &mut Child) -> Result<Pid> {
    wait_for(BOOT_TIME, "a machine to boot", || {
        if let Some(status) = container.try_wait()? {
            bail!("it ended with {status}");
        }
        let Some(leader) = leader(container.id()) else { return Ok(None) };
        let mut state = Command::new("nsenter");
        state.arg("--target").arg(leader.to_string()).args(["--mount", "--pid", "--root", "systemctl"]);
        let state = outcome(state.args(["is-system-running", "--wait"]).stdin(Stdio::null()))?;
        Ok((state.stdout == "running").then_some(leader))
    })
}

/// The child that is process 1 of a namespace below ours.
fn leader(container: u32) -> Option<Pid> {
    let children = fs::read_to_string(format!("/proc/{container}/task/{container}/children")).ok()?;
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(|pid| is_first(*pid)).map(Pid::from_raw)
}

fn is_first(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    pids.split_whitespace().skip(1).last() == Some("1")
}

/// The system that machines boot; made when it is not there yet, which takes a minute or two.
fn system() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().find(|directory| directory.join("CACHEDIR.TAG").is_file());
    let directory = target.context("no target directory")?.join("machine");
    fs::create_dir_all(&directory)?;
    let system = directory.join(SYSTEM);
    // Tests run side by side, but only one makes it.
    let lock = Flock::lock(File::create(directory.join("lock"))?, FlockArg::LockExclusive).map_err(|(_, error)| error);
    let _lock = lock.context("cannot lock the machines' system")?;
    if !system.exists() {
        let new = directory.join("new");
        if new.exists() {
            fs::remove_dir_all(&new)?;
        }
        let mut debootstrap = Command::new("debootstrap");
        ok(debootstrap.args(["--variant=minbase", PACKAGES, RELEASE]).arg(&new).arg(MIRROR).stdin(Stdio::null()))?;
        fs::rename(&new, &system)?;
    }
    Ok(system)
}

/// Control groups of one machine, one in each hierarchy that systemd manages.
#[derive(Debug)]
struct Cgroups(Vec<PathBuf>);

impl Cgroups {
    fn new(name: &str) -> Result<Self> {
        static SWEPT: OnceLock<()> = OnceLock::new();
        SWEPT.get_or_init(sweep);
        let groups = Self(hierarchies()?.into_iter().map(|root| root.join(name)).collect());
        for group in &groups.0 {
            fs::create_dir(group).with_context(|| format!("make {}", group.display()))?;
        }
        Ok(groups)
    }

    /// Their paths in one line.
    fn shown(&self) -> String {
        self.0.iter().map(|group| group.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    /// Removes them and what the machine's systemd left in them.
    fn remove(&self) {
        for group in &self.0 {
            // Processes that are gone keep theirs a moment longer.
            let _ = wait_for(END_TIME, "empty control groups", || {
                remove_tree(group);
                Ok((!group.exists()).then_some(()))
            });
        }
    }
}

/// Where the hierarchies that systemd manages are mounted.
fn hierarchies() -> Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let places = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (place, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
        (kind == "cgroup2" || kind == "cgroup" && options.contains("name=systemd")).then(|| PathBuf::from(place))
    });
    Ok(places.collect())
}

/// Removes a control group with those below it; the files in them do not count.
fn remove_tree(group: &Path) {
    let below = fs::read_dir(group).into_iter().flatten().flatten();
    for entry in below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_tree(&entry.path());
    }
    let _ = fs::remove_dir(group);
}

/// Removes the control groups of processes that are gone.
fn sweep() {
    let roots = hierarchies().unwrap_or_default();
    for entry in roots.iter().filter_map(|root| fs::read_dir(root).ok()).flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix("dvs-machine-")?.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            remove_tree(&entry.path());
        }
    }
}

fn serial() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// What a command says, without the last line's end.
fn outcome(command: &mut Command) -> Result<Verb> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end().to_owned();
    Ok(Verb { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) })
}

/// What a command that must succeed prints.
fn ok(command: &mut Command) -> Result<String> {
    let said = outcome(command)?;
    ensure!(said.code == Some(0), "{command:?}: exit code {:?}: {}\n{}", said.code, said.stdout, said.stderr);
    Ok(said.stdout)
}
