// SPDX-License-Identifier: GPL-3.0-or-later
//! Placeholder.

#[cfg_attr(not(test), allow(dead_code, unused_imports))]
mod control;

fn main() {}
