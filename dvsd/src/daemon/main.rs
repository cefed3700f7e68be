// SPDX-License-Identifier: GPL-3.0-or-later
//! Placeholder.
#[allow(dead_code, reason = "the event loop is not there yet")]
mod audio;
fn main() {}
