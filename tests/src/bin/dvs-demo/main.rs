// SPDX-License-Identifier: GPL-3.0-or-later
//! A call between two daemons on this machine, found through a third: real speech goes in, an echo comes back, and
//! what was measured is shown. `cargo xtask demo` builds and runs it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that shows what it does")]

mod progress;
mod report;
mod scene;

use std::io::{IsTerminal, stdin, stdout};
use std::process::{Command, ExitCode};

use anyhow::{Result, bail, ensure};
use dvs_tests::harness::program;

use progress::Progress;
use report::Figures;
use scene::{Scene, Sound};

const USAGE: &str = "dvs-demo [--json] [--tui] [--alsa]";

#[derive(Clone, Copy, Default)]
struct Options {
    json: bool,
    tui: bool,
    alsa: bool,
}

fn main() -> ExitCode {
    match options().and_then(run) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options> {
    let mut options = Options::default();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--json" => options.json = true,
            "--tui" => options.tui = true,
            "--alsa" => options.alsa = true,
            other => bail!("unknown option {other}; usage: {USAGE}"),
        }
    }
    Ok(options)
}

fn run(options: Options) -> Result<ExitCode> {
    let on_a_terminal = stdin().is_terminal() && stdout().is_terminal();
    ensure!(on_a_terminal || !options.tui, "--tui needs a terminal; without it the demo needs none");
    let progress = Progress::new();
    let sound = if options.alsa { Sound::Card } else { Sound::File { seconds: if options.tui { 300 } else { 20 } } };
    if options.tui {
        let mut scene = Scene::set_up(sound, &progress)?;
        scene.call(&progress)?;
        return visit(scene, &progress);
    }
    let mut figures = measure(sound, &progress)?;
    if !figures.misses().is_empty() {
        figures.misses().iter().for_each(|miss| eprintln!("demo: {miss}"));
        progress.step(&format!("once more from the start: this machine may be busy (load {})", load()));
        figures = measure(sound, &progress)?;
    }
    print!("{}", figures.table());
    if options.json {
        println!("{}", figures.json());
    }
    for miss in figures.misses() {
        eprintln!("demo: {miss}");
    }
    Ok(if figures.misses().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Three daemons, one call, and what was measured of it.
fn measure(sound: Sound, progress: &Progress) -> Result<Figures> {
    let mut scene = Scene::set_up(sound, progress)?;
    let call = scene.call(progress)?;
    scene.talk(progress)?;
    scene.finish(&call, progress)
}

/// How many processes wanted a processor in the last minute.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("?").to_owned()
}

/// Opens the full-screen client as Alice, in the running call.
fn visit(mut scene: Scene, progress: &Progress) -> Result<ExitCode> {
    progress.step("opening dvs-tui as Alice; x hangs up, q leaves");
    let status = Command::new(program("dvs-tui")?).arg("--runtime-dir").arg(scene.alice_directory()).status()?;
    ensure!(status.success(), "dvs-tui ended with {status}");
    scene.end_call(progress)?;
    progress.step("the demo is over, and its daemons end");
    Ok(ExitCode::SUCCESS)
}
