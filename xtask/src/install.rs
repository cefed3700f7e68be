// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask install` and `uninstall`: DVS on this machine, or in a directory that becomes a package.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::packages::{BUILD, privileged, require};
use crate::run::{Outcome, cargo, root, say, step, take_value, target_directory};

/// The programs, and where they go.
const PROGRAMS: [(&str, &str); 2] = [("dvsd", "usr/bin/dvsd"), ("dvs-tui", "usr/bin/dvs-tui")];
/// Everything else that belongs to a release: its place in the source tree, and where it goes.
const FILES: [(&str, &str); 9] = [
    ("systemd/dvsd.service", "usr/lib/systemd/system/dvsd.service"),
    ("systemd/dvsd.socket", "usr/lib/systemd/system/dvsd.socket"),
    ("systemd/user/dvsd.service", "usr/lib/systemd/user/dvsd.service"),
    ("systemd/user/dvsd.socket", "usr/lib/systemd/user/dvsd.socket"),
    ("systemd/dvs.sysusers", "usr/lib/sysusers.d/dvs.conf"),
    ("systemd/dvs.tmpfiles", "usr/lib/tmpfiles.d/dvs.conf"),
    ("systemd/dvsd.toml", "usr/share/doc/dvs/dvsd.toml"),
    ("README.md", "usr/share/doc/dvs/README.md"),
    ("docs/OPERATIONS.md", "usr/share/doc/dvs/OPERATIONS.md"),
];
/// The administrator's settings: installed once, and never touched again.
const SETTINGS: (&str, &str) = ("systemd/dvsd.toml", "etc/dvs/dvsd.toml");
/// There when systemd runs this machine.
const BOOTED: &str = "/run/systemd/system";
/// What is left for the administrator to do.
const NEXT: &str = "\
installed; now
  sudo systemctl enable --now dvsd.socket dvsd.service
  sudo usermod -aG dvs NAME                             who may use it; counts from the next login
  sudo systemctl restart dvsd                           after an upgrade; ends running calls";

/// Where to.
struct Place {
    /// `/`, or the directory that stands for it.
    root: PathBuf,
    /// Whether it is this machine, which is to know its new users, directories and units at once.
    here: bool,
}

impl Place {
    fn new(root: Option<String>) -> Self {
        let here = root.is_none();
        Self { root: root.map_or_else(|| PathBuf::from("/"), PathBuf::from), here }
    }

    /// A command that may write there.
    fn command(&self, program: &str) -> Outcome<Command> {
        if self.here { privileged(program) } else { Ok(Command::new(program)) }
    }

    fn install(&self, mode: &str, from: &Path, to: &str) -> Outcome {
        step(self.command("install")?.args(["-D", "-m", mode]).arg(from).arg(self.root.join(to)))
    }

    /// Runs `systemctl`, where there is a running systemd to hear it.
    fn systemctl(&self, arguments: &[&str]) -> Outcome {
        let heard = self.here && Path::new(BOOTED).exists();
        if heard { step(self.command("systemctl")?.args(arguments)) } else { Ok(()) }
    }
}

pub(crate) fn install(arguments: &[String]) -> Outcome<ExitCode> {
    let mut arguments = arguments.to_vec();
    let place = Place::new(take_value(&mut arguments, "--root")?);
    let from = take_value(&mut arguments, "--from")?.map(PathBuf::from);
    if !arguments.is_empty() {
        return Err("usage: cargo xtask install [--root DIR] [--from DIR]".to_owned());
    }
    let from = match from {
        // sudo may start elsewhere.
        Some(directory) => std::path::absolute(directory).map_err(|error| error.to_string())?,
        None => build()?,
    };
    copy(&place, &from)?;
    if place.here {
        step(place.command("systemd-sysusers")?.arg("dvs.conf"))?;
        step(place.command("systemd-tmpfiles")?.args(["--create", "dvs.conf"]))?;
        place.systemctl(&["daemon-reload"])?;
        println!("{NEXT}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes what [`install`] brought. Settings, identity, contacts and users stay.
pub(crate) fn uninstall(arguments: &[String]) -> Outcome<ExitCode> {
    let mut arguments = arguments.to_vec();
    let place = Place::new(take_value(&mut arguments, "--root")?);
    if !arguments.is_empty() {
        return Err("usage: cargo xtask uninstall [--root DIR]".to_owned());
    }
    place.systemctl(&["disable", "--now", "dvsd.socket", "dvsd.service"])?;
    let files = PROGRAMS.iter().chain(&FILES).map(|(_, to)| place.root.join(to));
    step(place.command("rm")?.arg("-f").args(files))?;
    place.systemctl(&["daemon-reload"])?;
    println!("uninstalled; settings, identity and contacts are left in /etc/dvs and /var/lib/dvs");
    Ok(ExitCode::SUCCESS)
}

/// Builds the programs as they are meant to be used, as whoever we are; says where they are.
fn build() -> Outcome<PathBuf> {
    require(&[BUILD])?;
    step(cargo().args(["build", "--release", "--locked", "--bin", "dvsd", "--bin", "dvs-tui"]))?;
    Ok(target_directory().join("release"))
}

fn copy(place: &Place, programs: &Path) -> Outcome {
    for (program, to) in PROGRAMS {
        place.install("0755", &programs.join(program), to)?;
    }
    for (file, to) in FILES {
        place.install("0644", &root().join(file), to)?;
    }
    let (example, settings) = SETTINGS;
    if place.root.join(settings).exists() {
        say(&format!("{} is kept as it is", place.root.join(settings).display()));
        return Ok(());
    }
    place.install("0644", &root().join(example), settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_installed_exists() {
        for (file, _) in FILES.iter().chain([&SETTINGS]) {
            assert!(root().join(file).is_file(), "{file}");
        }
    }

    #[test]
    fn nothing_that_is_removed_is_the_administrators() {
        assert!(FILES.iter().chain(&PROGRAMS).all(|(_, to)| to.starts_with("usr/")));
    }
}
