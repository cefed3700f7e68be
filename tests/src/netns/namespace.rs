// SPDX-License-Identifier: GPL-3.0-or-later
//! A network namespace, and the cables of the kernel's own between two of them.

use core::net::SocketAddr;
use std::fs::File;
use std::io::Write as _;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, anyhow, bail};
use nix::sched::{CloneFlags, setns};

/// A network namespace with its loopback up.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes a namespace with a name of its own.
    pub fn new() -> Result<Self> {
        static SWEPT: OnceLock<()> = OnceLock::new();
        SWEPT.get_or_init(sweep);
        let name = format!("dvs-{}-{}", std::process::id(), serial());
        ip(&["netns", "add", &name])?;
        let namespace = Self { name };
        // No SLAAC noise and no duplicate address detection: addresses work at once.
        namespace.set(&[("ipv6/conf/default/accept_dad", 0), ("ipv6/conf/default/accept_ra", 0)])?;
        namespace.ip(&["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// A command that will run inside. Its process is the program itself, so its pid is the child's.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Its name, as `ip netns` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A UDP socket that lives inside, used from here.
    pub fn bind(&self, address: SocketAddr) -> Result<UdpSocket> {
        // A socket stays in the namespace it was made in, so only its making has to happen there.
        self.inside(move || UdpSocket::bind(address).with_context(|| format!("bind {address}")))
    }

    /// Runs `work` inside, on a thread of its own.
    pub(super) fn inside<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let namespace = File::open(Path::new("/run/netns").join(&self.name))?;
        let there = move || -> Result<T> {
            setns(namespace, CloneFlags::CLONE_NEWNET)?;
            work()
        };
        std::thread::spawn(there).join().map_err(|_| anyhow!("the thread in {} panicked", self.name))?
    }

    /// Runs `ip ARGUMENTS` inside.
    pub(super) fn ip(&self, arguments: &[&str]) -> Result<()> {
        let inside = ["-netns", &self.name];
        ip(&[&inside, arguments].concat())
    }

    /// Runs one `ip` inside for all of these lines, which is quicker than one for each.
    pub(super) fn ip_lines(&self, lines: &[String]) -> Result<()> {
        let mut command = Command::new("ip");
        feed(command.args(["-netns", &self.name, "-batch", "-"]), &lines.join("\n"))
    }

    /// Gives nftables this set of rules inside.
    pub(super) fn nft(&self, rules: &str) -> Result<()> {
        feed(self.command("nft").args(["-f", "-"]), rules)
    }

    /// Takes a device made elsewhere into the namespace and switches it on.
    pub(super) fn adopt(&self, device: &str) -> Result<()> {
        ip(&["link", "set", device, "netns", &self.name])?;
        self.ip(&["link", "set", device, "mtu", "1500", "up"])
    }

    /// Sets each `/proc/sys/net/SETTING` inside.
    pub(super) fn set(&self, settings: &[(&str, u8)]) -> Result<()> {
        let settings: Vec<_> = settings.iter().map(|(name, value)| (format!("/proc/sys/net/{name}"), *value)).collect();
        self.inside(move || {
            for (file, value) in settings {
                std::fs::write(&file, value.to_string()).with_context(|| format!("write {file}"))?;
            }
            Ok(())
        })
    }
}

impl AsRef<Self> for Namespace {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["netns", "del", &self.name]);
    }
}

/// Joins two namespaces by an Ethernet cable; each end is a device with the name given, switched on.
pub(super) fn cable([a, b]: [(&Namespace, &str); 2]) -> Result<()> {
    let peer = ["type", "veth", "peer", "name", b.1, "netns", b.0.name()];
    a.0.ip(&[&["link", "add", a.1][..], &peer].concat())?;
    [a, b].into_iter().try_for_each(|(namespace, device)| namespace.ip(&["link", "set", device, "up"]))
}

/// A number never given before in this process.
pub(super) fn serial() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Runs `ip ARGUMENTS`.
pub(super) fn ip(arguments: &[&str]) -> Result<()> {
    run(Command::new("ip").args(arguments))
}

/// Runs a command; an error, with what it said, when it fails.
pub(super) fn run(command: &mut Command) -> Result<()> {
    feed(command, "")
}

/// As [`run`], with `input` to read.
fn feed(command: &mut Command, input: &str) -> Result<()> {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().with_context(|| format!("run {command:?}"))?;
    // One that ends early says why below.
    let _ = child.stdin.take().context("no stdin")?.write_all(input.as_bytes());
    let output = child.wait_with_output().with_context(|| format!("run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Removes the namespaces of processes that are gone.
fn sweep() {
    let names = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
    for name in names.filter_map(|entry| entry.file_name().into_string().ok()) {
        let owner = name.strip_prefix("dvs-").and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = ip(&["netns", "del", &name]);
        }
    }
}
