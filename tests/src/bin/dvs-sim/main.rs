// SPDX-License-Identifier: GPL-3.0-or-later
//! The overlay at scale, in virtual time. `cargo xtask sim` builds and runs it. What it found goes to standard output and is the
//! same for the same command line; progress and the time it took go to standard error.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that shows what it does")]

mod options;
mod progress;
mod table;

use std::process::ExitCode;

use dvs_tests::sim::figures::Figures;
use dvs_tests::sim::settings::Settings;
use dvs_tests::sim::{report, simulate};
use serde_json::json;

use crate::options::{Options, Style};
use crate::progress::Bar;

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)) {
        Ok(options) => {
            run(&options);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) {
    if options.style == Style::Table {
        print!("{}", report::HEADER);
    }
    let all: Vec<Figures> = options.runs.iter().map(|settings| run_one(settings, options.style)).collect();
    let is_series =
        all.iter().any(|figures| Some(figures.settings.nodes) != all.first().map(|first| first.settings.nodes));
    if is_series {
        let plain = all.iter().filter(|figures| options.style == Style::Pages || table::is_plain(&figures.settings));
        print!("\n{}", report::plot(&plain.cloned().collect::<Vec<_>>()));
    }
    if options.json {
        println!("{}", json!({ "runs": all.iter().map(Figures::json).collect::<Vec<_>>() }));
    }
}

fn run_one(settings: &Settings, style: Style) -> Figures {
    let mut bar = Bar::new();
    let figures = simulate(settings, &mut |what, share| bar.show(what, share));
    bar.end(&format!("{} nodes, {}", settings.nodes, report::what(settings)));
    match style {
        Style::Pages => print!("{}", report::page(&figures)),
        Style::Table => print!("{}", report::row(&figures)),
    }
    figures
}
