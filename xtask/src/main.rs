// SPDX-License-Identifier: GPL-3.0-or-later
//! Developer commands of DVS. They install what is missing, build, and run; what is measured and tested is in `tests/`.
//! Progress goes to standard error, results to standard output.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people at a terminal")]

mod bench;
mod chroot;
mod demo;
mod explore;
mod formal;
mod fuzz;
mod install;
mod mutants;
mod mutate;
#[cfg(test)]
mod names;
mod packages;
mod run;
mod sim;
mod test;

use std::process::ExitCode;

use run::Outcome;

const HELP: &str = "\
cargo xtask COMMAND

  demo [--json] [--tui] [--alsa]     A call between two daemons on this machine, found through a third.
                                       --json  a JSON object as the last line
                                       --tui   opens the terminal client in the running call
                                       --alsa  speak and listen through the sound card
  test [FILTER]                      All tests, or those whose name contains FILTER. As root also those that make
                                     networks and boot machines of their own.
  bench call [--json] [--seconds N]  One call's processor time and delay beside the least a call can cost.
  bench crypto [--json]              Instructions of a handshake and of a media packet, and allocations per packet.
  bench setup [--json]               How long it takes from dialling until it rings, on good and bad networks in virtual time.
  explore [OPTIONS]                  Every state that the calls of two and of three daemons can reach together.
                                       --states N   distinct states in each of both (1000000)
                                       --depth N    or what a run may count: a command 3, what happens of itself 1
                                       --walks N    then random runs; --dials N  then crossing dials of whole nodes
                                       --seed S     the same seed gives the same runs and dials (1)
                                       --json       a JSON object as the last line
  explore --planted [--states N]     Whether that finds flaws planted in a copy of the source.
  sim --nodes N[,N...] [OPTIONS]     What lookups cost among N nodes in virtual time, beside the least they can cost.
                                       --lookups M        lookups measured (10000)
                                       --dead PCT         so many nodes are switched off
                                       --churn MINUTES    nodes come and go, with this median uptime
                                       --malicious PCT    so many nodes lie; --strategy silence, neighbours, claims,
                                                          forgery, both or mixed; --attackers spread or crowded
                                       --paths 1|3        disjoint paths (1)
                                       --proofs           nodes prove their IDs
                                       --loss PCT         so many datagrams are lost
                                       --cold, --filled, --lazy   how tables are filled (by N)
                                       --seed S           the same seed gives the same figures (1)
                                       --json             a JSON object as the last line
  sim --table [--million]            The table of all of that, from 1000 to 100000 or 1000000 nodes, in Markdown.
  fuzz [--seconds N] [TARGET]        Every fuzz target, or one, for N seconds each (600).
  mutate [--list] [--json] [FLAW...] Whether the tests of known flaws notice these flaws, planted one by one.
  formal [--json]                    The handshake's model and broken variants of it, checked by Verifpal.
  install [--root DIR] [--from DIR]  Builds DVS and installs it on this machine with its units, users and directories.
                                       --root  only puts the files below DIR, for packages
                                       --from  takes dvsd and dvs-tui from DIR, built before
  uninstall [--root DIR]             Removes it; settings, identity and contacts stay.
  ci                                 Everything that must pass before a change is accepted (.ci/run).
  chroot [--keep] [demo] [test]      Both or one of these in a fresh Debian 12 with only Rust and gcc. Needs root.
  help                               This text.

Missing system libraries are installed with apt-get, as root or through sudo.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = arguments.split_first().map_or(("help", &[][..]), |(first, rest)| (first.as_str(), rest));
    let command = if rest.iter().any(|argument| argument == "--help") { "help" } else { command };
    match dispatch(command, rest) {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &str, arguments: &[String]) -> Outcome<ExitCode> {
    match command {
        "demo" => demo::run(arguments),
        "test" => test::run(arguments),
        "bench" => bench::run(arguments),
        "explore" => explore::run(arguments),
        "sim" => sim::run(arguments),
        "formal" => formal::run(arguments),
        "fuzz" => fuzz::run(arguments),
        "mutate" => mutate::run(arguments),
        "chroot" => chroot::run(arguments),
        "install" => install::install(arguments),
        "uninstall" => install::uninstall(arguments),
        "ci" => run::last(run::at_root(".ci/run")),
        "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        other => Err(format!("no command {other}; see `cargo xtask help`")),
    }
}
