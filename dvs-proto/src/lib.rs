// SPDX-License-Identifier: GPL-3.0-or-later
//! The local control protocol of DVS: what a client on this machine and the daemon say to each other over named pipes.
//!
//! | module | what lives there |
//! |---|---|
//! | [`message`] | the requests, answers and events |
//! | [`check`] | which requests act, how long their strings may be, and how large their numbers |
//! | [`codec`] | messages as bytes (bincode, bounded) |
//! | [`framing`] | bytes as frames: a length, then the payload |
//! | [`hello`] | the first frame each way, which settles the version |
//! | [`paths`] | where the pipes are, and whom to trust with that |
//! | [`client`] | a blocking client: connect, send, receive |
//!
//! A client in a few lines:
//!
//! ```no_run
//! use dvs_proto::client::{Client, Options};
//! use dvs_proto::message::{Reply, Request};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut client = Client::connect(&Options::default())?;
//! let snapshot = client.attach("example")?;
//! println!("{}", snapshot.identity.id);
//! if let Reply::Call(call) = client.call(Request::dial("Alice"))? {
//!     println!("call {}", call.call);
//! }
//! while let Some(message) = client.recv(None)? {
//!     println!("{message:?}");
//! }
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

pub mod check;
pub mod client;
pub mod codec;
pub mod framing;
pub mod hello;
pub mod message;
pub mod paths;
