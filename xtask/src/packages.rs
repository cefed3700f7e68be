// SPDX-License-Identifier: GPL-3.0-or-later
//! Debian packages: which are missing, and getting them.

use std::io::IsTerminal;
use std::path::Path;
use std::process::Command;

use crate::run::{Outcome, at_root, output, say, step, succeeds};

/// How to see without Debian's package database whether something is there.
enum Probe {
    /// A library that pkg-config knows.
    Library(&'static str),
    /// A program in the search path.
    Program(&'static str),
    /// A file.
    File(&'static str),
}

/// A package and what it is needed for.
pub(crate) struct Package {
    name: &'static str,
    probe: Probe,
}

const fn package(name: &'static str, probe: Probe) -> Package {
    Package { name, probe }
}

/// What the daemon and the client are built with.
pub(crate) const BUILD: &[Package] = &[
    package("pkg-config", Probe::Program("pkg-config")),
    package("libasound2-dev", Probe::Library("alsa")),
    package("libopus-dev", Probe::Library("opus")),
    package("libssl-dev", Probe::Library("openssl")),
];

/// Recordings of real speech.
pub(crate) const SPEECH: &[Package] = &[package("alsa-utils", Probe::File("/usr/share/sounds/alsa/Front_Center.wav"))];

/// What the system tests use: network namespaces, NAT, captures, another user, a sound card made on the spot, and a
/// machine with a systemd of its own.
pub(crate) const SYSTEM_TESTS: &[Package] = &[
    package("iproute2", Probe::Program("ip")),
    package("nftables", Probe::Program("nft")),
    package("tcpdump", Probe::Program("tcpdump")),
    package("util-linux", Probe::Program("setpriv")),
    package("gcc", Probe::Program("gcc")),
    package("libc6-dev", Probe::File("/usr/include/stdio.h")),
    package("debootstrap", Probe::Program("debootstrap")),
    package("systemd-container", Probe::Program("systemd-nspawn")),
];

/// What counts instructions.
pub(crate) const COUNTING: &[Package] = &[package("valgrind", Probe::Program("valgrind"))];

/// What the fuzz targets are built with.
pub(crate) const FUZZ: &[Package] = &[package("g++", Probe::Program("g++"))];

/// What a fresh Debian is made with.
pub(crate) const CHROOT: &[Package] = &[package("debootstrap", Probe::Program("debootstrap"))];

/// Installs whatever of `wanted` is missing.
pub(crate) fn require(wanted: &[&[Package]]) -> Outcome {
    let missing: Vec<&str> = wanted.iter().copied().flatten().filter(|p| is_missing(p)).map(|p| p.name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    say(&format!("missing packages: {}", missing.join(" ")));
    install(&missing)
}

fn is_missing(package: &Package) -> bool {
    !match package.probe {
        Probe::Library(name) => succeeds(Command::new("pkg-config").args(["--exists", name])),
        Probe::Program(name) => is_program(name),
        Probe::File(path) => Path::new(path).exists(),
    }
}

/// Whether `name` is in the search path, or where administrators' programs are.
fn is_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let administrators = ["/usr/sbin", "/sbin"].map(Into::into);
    std::env::split_paths(&path).chain(administrators).any(|directory| directory.join(name).is_file())
}

fn install(missing: &[&str]) -> Outcome {
    let names = missing.join(" ");
    if !is_program("apt-get") {
        return Err(format!("install these (Debian's names), then try again: {names}"));
    }
    let apt_get = |arguments: &[&str]| {
        let mut command = privileged("env").map_err(|why| format!("{why}; run: apt-get install {names}"))?;
        step(command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"]).args(arguments))
    };
    let wanted = [&["install", "--no-install-recommends"], missing].concat();
    // A machine whose package lists are missing or old needs them first.
    apt_get(&wanted).or_else(|_| apt_get(&["update"]).and_then(|()| apt_get(&wanted)))
}

/// A command that runs as root, at the root of the source tree.
pub(crate) fn privileged(program: &str) -> Outcome<Command> {
    match privilege() {
        Some(Privilege::Root) => Ok(at_root(program)),
        Some(Privilege::Sudo) => {
            let mut command = at_root("sudo");
            command.arg(program);
            Ok(command)
        }
        None => Err("not root and no sudo".to_owned()),
    }
}

/// What makes us root.
#[derive(Clone, Copy)]
enum Privilege {
    Root,
    Sudo,
}

/// How we can become root here. sudo may ask for a password only where somebody can type one.
fn privilege() -> Option<Privilege> {
    if is_root() {
        return Some(Privilege::Root);
    }
    let may_ask = std::io::stdin().is_terminal() && is_program("sudo");
    (may_ask || succeeds(Command::new("sudo").args(["-n", "true"]))).then_some(Privilege::Sudo)
}

/// Whether we are root.
pub(crate) fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|uid| uid == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_missing_and_what_is_not_is() {
        assert!(!is_missing(&package("bash", Probe::Program("sh"))));
        assert!(!is_missing(&package("base-files", Probe::File("/etc"))));
        assert!(is_missing(&package("nothing", Probe::Program("no-such-program"))));
        assert!(is_missing(&package("nothing", Probe::Library("no-such-library"))));
    }
}
