// SPDX-License-Identifier: GPL-3.0-or-later
//! Placeholder.

#[allow(dead_code, reason = "nothing is stored yet")]
mod store;

fn main() {}
