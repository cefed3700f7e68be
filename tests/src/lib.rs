// SPDX-License-Identifier: GPL-3.0-or-later
//! Harness, simulated hardware and networks, system tests and comparing benches of DVS.

pub mod latency;
pub mod vcard;
