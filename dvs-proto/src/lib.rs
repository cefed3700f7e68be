// SPDX-License-Identifier: GPL-3.0-or-later
//! The local control protocol of DVS: what a client on this machine and the daemon say to each other over named pipes.

pub mod message;
