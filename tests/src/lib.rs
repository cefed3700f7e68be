// SPDX-License-Identifier: GPL-3.0-or-later
//! What the system tests, the demo and the benches of DVS stand on: daemons started in temporary directories, virtual
//! sound cards, networks of namespaces joined by links as bad as wanted, machines booted for a test, real
//! speech, and a simulated overlay.

pub mod alignment;
pub mod callgrind;
pub mod capture;
pub mod clicks;
pub mod cost;
pub mod crossing;
pub mod explore;
pub mod flood;
pub mod floor;
pub mod gcc;
pub mod handset;
pub mod harness;
pub mod heap;
pub mod impair;
pub mod latency;
pub mod link;
pub mod machine;
pub mod netns;
pub mod nodes;
pub mod setup;
pub mod sim;
pub mod speech;
pub mod stalls;
pub mod terminal;
pub mod trio;
pub mod usage;
pub mod vcard;
