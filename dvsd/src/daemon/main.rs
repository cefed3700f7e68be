// SPDX-License-Identifier: GPL-3.0-or-later
//! `dvsd`, the daemon of DVS: arguments, wiring, run.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the daemon is the shell: here and only here the world is touched"
)]

mod audio;
mod clock;
mod config;
mod control;
mod entropy;
mod event_loop;
mod exit;
mod identity_file;
mod log;
mod nodes_file;
mod rate;
mod readable;
mod resolver;
mod service;
mod store;
mod surroundings;
mod systemd;
mod talks;
mod trust;
mod udp;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use crate::config::Config;
use crate::exit::{Failed, OrExit};

/// The Distributed Voice Service: networking, cryptography and audio of this machine's calls.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// Configuration file [default: /etc/dvs/dvsd.toml, which need not exist]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of the identity, contacts and history [default: $STATE_DIRECTORY or /var/lib/dvs]
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Directory of the control pipes [default: /run/dvs]
    #[arg(long, value_name = "DIR")]
    runtime_dir: Option<PathBuf>,
    /// Log level or filter, for example debug or dvsd=trace [default: from the configuration, else info]
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
    /// Check the configuration and exit
    #[arg(long)]
    check_config: bool,
}

fn main() -> ExitCode {
    let outcome = run(&Arguments::parse());
    log::flush();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => failed.report(),
    }
}

fn run(arguments: &Arguments) -> Result<(), Failed> {
    let file = arguments.config.clone().unwrap_or_else(|| PathBuf::from("/etc/dvs/dvsd.toml"));
    let config = Config::load(&file, arguments.config.is_some()).or_exit(exit::CONFIG)?;
    if arguments.check_config {
        return Ok(());
    }
    log::start(arguments.log.as_deref().unwrap_or(&config.log.level)).context("log level").or_exit(exit::CONFIG)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().or_exit(exit::SYSTEM)?;
    let outcome = runtime.block_on(async {
        let (service, feeds) = service::Service::start(arguments, &config)?;
        event_loop::run(service, feeds).await.or_exit(exit::SYSTEM)
    });
    // A name that is being looked up may take many seconds more; nobody waits for it any longer.
    runtime.shutdown_background();
    outcome
}
