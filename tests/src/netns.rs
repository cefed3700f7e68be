// SPDX-License-Identifier: GPL-3.0-or-later
//! Small networks of this machine's own: one network namespace per host, each host with its own /24 of 198.18.0.0/15
//! and /48 of 2001:db8::/32, so that address filters and limits per prefix work as on the Internet. Needs root.
//!
//! Everything is named after this process and removed when dropped; what a killed process left behind is removed by
//! the next one.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::fs::File;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::sched::{CloneFlags, setns};

use crate::harness;
use crate::impair::Conditions;
use crate::link::{Link, tun};

/// Whether namespaces can be made here; otherwise why not, to be shown with a skipped test.
pub fn available() -> Result<()> {
    ensure!(nix::unistd::geteuid().is_root(), "network namespaces need root");
    ensure!(Path::new("/dev/net/tun").exists(), "no /dev/net/tun");
    Namespace::new().map(drop).context("cannot make a network namespace")
}

/// Makes a test that needs namespaces either run, fail or be skipped loudly: where CI runs it must not be skipped.
pub fn available_or_skipped(test: &str) -> bool {
    harness::runs_or_is_skipped(test, available())
}

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
        let namespace = File::open(Path::new("/run/netns").join(&self.name))?;
        // A socket stays in the namespace it was made in, so only a short-lived thread has to go there.
        let inside = move || -> Result<UdpSocket> {
            setns(namespace, CloneFlags::CLONE_NEWNET)?;
            UdpSocket::bind(address).with_context(|| format!("bind {address}"))
        };
        std::thread::spawn(inside).join().map_err(|_| anyhow!("the thread in {} panicked", self.name))?
    }

    /// Runs `ip ARGUMENTS` inside.
    fn ip(&self, arguments: &[&str]) -> Result<()> {
        let inside = ["-netns", &self.name];
        ip(&[&inside, arguments].concat())
    }

    /// Takes the device into the namespace and switches it on.
    fn adopt(&self, device: &str) -> Result<()> {
        ip(&["link", "set", device, "netns", &self.name])?;
        // No SLAAC noise and no duplicate address detection: addresses work at once.
        self.set(&format!("ipv6/conf/{device}/accept_dad"), 0)?;
        self.ip(&["link", "set", device, "mtu", "1500", "up"])
    }

    /// Sets `/proc/sys/net/SETTING` inside.
    fn set(&self, setting: &str, value: u8) -> Result<()> {
        run(self.command("sh").args(["-c", &format!("echo {value} > /proc/sys/net/{setting}")]))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["netns", "del", &self.name]);
    }
}

/// A namespace with one address of each family.
#[derive(Debug)]
pub struct Host {
    namespace: Namespace,
    device: String,
    number: u8,
}

impl Host {
    /// Its IPv4 address: 198.18.N.1.
    pub fn v4(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.number, 1)
    }

    /// Its IPv6 address: 2001:db8:N::1.
    pub fn v6(&self) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, u16::from(self.number), 0, 0, 0, 0, 1)
    }

    /// Its IPv4 address with a port.
    pub fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::from((self.v4(), port))
    }

    /// Name of the device that leads out of it.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// A UDP socket on this host, bound to its IPv4 address.
    pub fn bind(&self, port: u16) -> Result<UdpSocket> {
        self.namespace.bind(self.at(port))
    }

    /// A UDP socket on this host, bound to its IPv6 address.
    pub fn bind_v6(&self, port: u16) -> Result<UdpSocket> {
        self.namespace.bind(SocketAddr::from((self.v6(), port)))
    }

    /// The namespace it is.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// A command that will run on this host.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.namespace.command(program)
    }

    /// Plugs the host in: `device` gets its addresses and is the way to everybody else.
    fn plugged(number: u8, device: String) -> Result<Self> {
        let host = Self { namespace: Namespace::new()?, device, number };
        host.namespace.adopt(&host.device)?;
        let [v4, v6] = [format!("{}/24", host.v4()), format!("{}/48", host.v6())];
        host.namespace.ip(&["address", "add", &v4, "dev", &host.device])?;
        host.namespace.ip(&["address", "add", &v6, "dev", &host.device, "nodad"])?;
        host.namespace.ip(&["route", "add", "default", "dev", &host.device])?;
        host.namespace.ip(&["-6", "route", "add", "default", "dev", &host.device])?;
        Ok(host)
    }
}

/// Two hosts and the one link between them.
#[derive(Debug)]
pub struct Pair {
    /// The hosts, numbers 1 and 2.
    pub hosts: [Host; 2],
    /// What joins them.
    pub link: Link,
}

impl Pair {
    /// Two hosts joined under `conditions`.
    pub fn new(conditions: Conditions) -> Result<Self> {
        let [a, b] = device_pair();
        let ends = [tun(&a)?, tun(&b)?];
        let hosts = [Host::plugged(1, a)?, Host::plugged(2, b)?];
        Ok(Self { hosts, link: Link::start(ends, conditions)? })
    }
}

/// Hosts around one router, each with a link of its own: a packet passes its sender's and its receiver's.
#[derive(Debug)]
pub struct Star {
    router: Namespace,
    hosts: Vec<(Host, Link)>,
}

impl Star {
    /// A router without hosts.
    pub fn new() -> Result<Self> {
        let router = Namespace::new()?;
        router.set("ipv4/ip_forward", 1)?;
        router.set("ipv6/conf/all/forwarding", 1)?;
        Ok(Self { router, hosts: Vec::new() })
    }

    /// Adds a host behind a link under `conditions`; the first has number 1. Returns its index.
    pub fn add(&mut self, conditions: Conditions) -> Result<usize> {
        let number = u8::try_from(self.hosts.len() + 1).context("too many hosts")?;
        let [outer, inner] = device_pair();
        let ends = [tun(&outer)?, tun(&inner)?];
        let host = Host::plugged(number, outer)?;
        self.router.adopt(&inner)?;
        self.router.ip(&["route", "add", &format!("198.18.{number}.0/24"), "dev", &inner])?;
        self.router.ip(&["-6", "route", "add", &format!("2001:db8:{number:x}::/48"), "dev", &inner])?;
        self.hosts.push((host, Link::start(ends, conditions)?));
        Ok(self.hosts.len() - 1)
    }

    /// The host with that index.
    pub fn host(&self, index: usize) -> Result<&Host> {
        self.hosts.get(index).map(|(host, _)| host).context("no such host")
    }

    /// The link of the host with that index.
    pub fn link(&self, index: usize) -> Result<&Link> {
        self.hosts.get(index).map(|(_, link)| link).context("no such host")
    }
}

/// Two device names that are free everywhere.
fn device_pair() -> [String; 2] {
    let (pid, serial) = (std::process::id(), serial());
    ["a", "b"].map(|end| format!("dv{pid:x}.{serial:x}{end}"))
}

fn serial() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn ip(arguments: &[&str]) -> Result<()> {
    run(Command::new("ip").args(arguments))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("run {command:?}"))?;
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
