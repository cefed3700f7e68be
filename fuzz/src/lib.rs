// SPDX-License-Identifier: GPL-3.0-or-later
//! What the fuzz target of the whole datagram path plays with: two real nodes in a call on a virtual network with a
//! virtual clock, a stranger who knows the protocol, and a script that says what happens to whom.
//!
//! Everything follows from the script alone: the same bytes always make the same run.
//!
//! Beside that, one side of a handshake that says whatever it is told to.

pub mod forger;
pub mod heap;
pub mod mallory;
pub mod script;
pub mod world;
