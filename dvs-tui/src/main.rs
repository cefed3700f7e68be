// SPDX-License-Identifier: GPL-3.0-or-later
//! The DVS terminal client.

mod ui;

fn main() -> anyhow::Result<std::process::ExitCode> {
    ui::run(ui::Options::default())
}
