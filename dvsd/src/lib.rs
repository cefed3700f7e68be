// SPDX-License-Identifier: GPL-3.0-or-later
//! The core of DVS, the Distributed Voice Service: everything that decides, and nothing that touches the world.

#![forbid(unsafe_code)]

pub mod id;
pub mod path;
pub mod random;
pub mod time;

pub mod crypto;
pub mod handshake;
pub mod replay;
pub mod wire;

pub mod call;
pub mod media;
pub mod people;
pub mod routing;
pub mod session;

pub mod node;
