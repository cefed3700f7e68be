// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask chroot`: the proof that the README's commands need nothing installed by hand. A fresh Debian 12 gets
//! gcc, this machine's Rust and the committed source, and runs them. Takes long; not a part of CI.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::packages::{CHROOT, is_root, require};
use crate::run::{Outcome, at_root, output, say, step, target_directory};

/// What the README promises, in this order.
const COMMANDS: [(&str, &str); 2] = [("demo", "cargo xtask demo --json"), ("test", "cargo xtask test")];
/// How this machine reaches the network; it may sit behind a proxy with a certificate of its own.
const NETWORK: [&str; 4] =
    ["etc/resolv.conf", "etc/hosts", "etc/ssl/certs/ca-certificates.crt", "root/.cargo/config.toml"];
/// Where packages come from.
const MIRROR: &str = "http://deb.debian.org/debian";

pub(crate) fn run(arguments: &[String]) -> Outcome<ExitCode> {
    let keep = arguments.iter().any(|argument| argument == "--keep");
    let names: Vec<&str> = arguments.iter().map(String::as_str).filter(|name| *name != "--keep").collect();
    if names.iter().any(|name| COMMANDS.iter().all(|(known, _)| known != name)) {
        return Err("usage: cargo xtask chroot [--keep] [demo] [test]".to_owned());
    }
    let chosen = COMMANDS.iter().filter(|(name, _)| names.is_empty() || names.contains(name));
    let commands: Vec<&str> = chosen.map(|(_, command)| *command).collect();
    if !is_root() {
        return Err("a chroot needs root".to_owned());
    }
    require(&[CHROOT])?;
    let tree = target_directory().join("chroot");
    remove(&tree)?;
    let outcome = set_up(&tree).and_then(|()| commands.iter().try_for_each(|command| inside(&tree, command)));
    if !keep {
        remove(&tree)?;
    }
    outcome?;
    println!("a fresh Debian 12 passes: {}", commands.join(", "));
    Ok(ExitCode::SUCCESS)
}

fn set_up(tree: &Path) -> Outcome {
    std::fs::create_dir_all(tree).map_err(|error| format!("cannot make {}: {error}", tree.display()))?;
    let packages = "--include=gcc,libc6-dev,ca-certificates";
    step(at_root("debootstrap").args(["--variant=minbase", packages, "bookworm"]).arg(tree).arg(MIRROR))?;
    copy_rust(tree)?;
    for file in NETWORK {
        copy_if_there(&Path::new("/").join(file), &tree.join(file))?;
    }
    let source = tree.join("source");
    step(Command::new("git").args(["clone", "--quiet", "--depth", "1"]).arg(url(&crate::run::root())).arg(&source))
}

/// A file URL, so that git makes a real copy of the commit and nothing else.
fn url(path: &Path) -> String {
    format!("file://{}", path.display())
}

fn copy_rust(tree: &Path) -> Outcome {
    let sysroot = PathBuf::from(output(Command::new("rustc").args(["--print", "sysroot"]))?);
    let rust = tree.join("opt/rust");
    std::fs::create_dir_all(&rust).map_err(|error| error.to_string())?;
    for part in ["bin", "lib", "libexec"].map(|part| sysroot.join(part)).iter().filter(|part| part.exists()) {
        step(Command::new("cp").arg("-a").arg(part).arg(&rust))?;
    }
    Ok(())
}

fn copy_if_there(from: &Path, to: &Path) -> Outcome {
    if let Some(directory) = to.parent() {
        std::fs::create_dir_all(directory).map_err(|error| error.to_string())?;
    }
    if from.exists() {
        std::fs::copy(from, to).map_err(|error| format!("cannot copy {}: {error}", from.display()))?;
    }
    Ok(())
}

/// Runs `command` in the source tree inside. Its mounts are in a namespace of their own and vanish with it.
fn inside(tree: &Path, command: &str) -> Outcome {
    say(&format!("in the chroot: {command}"));
    let began = Instant::now();
    // Its root is a mount of its own, as namespaces within need it; and nothing may be skipped, as in CI.
    let script = "set -e; mount --bind \"$1\" \"$1\"; cd \"$1\"; mount -t proc proc proc; mount --rbind /sys sys; \
                  mount --rbind /dev dev; mount -t tmpfs run run; mount -t tmpfs tmp tmp; \
                  exec env -i CI=true HOME=/root TERM=dumb PATH=/opt/rust/bin:/usr/sbin:/usr/bin:/sbin:/bin \
                  chroot . sh -c \"cd /source && $2\"";
    let unshared = ["--mount", "--propagation", "private", "sh", "-c", script, "chroot"];
    step(Command::new("unshare").args(unshared).arg(tree).arg(command))?;
    say(&format!("in the chroot: {command}: passed in {} s", began.elapsed().as_secs()));
    Ok(())
}

fn remove(tree: &Path) -> Outcome {
    // One file system only: should something still be mounted there, it is not ours to remove.
    if tree.exists() { step(Command::new("rm").args(["-rf", "--one-file-system"]).arg(tree)) } else { Ok(()) }
}
