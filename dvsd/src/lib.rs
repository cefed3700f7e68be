// SPDX-License-Identifier: GPL-3.0-or-later
//! The core of DVS, the Distributed Voice Service: everything that decides, and nothing that touches the world.
//!
//! This crate finds people by the hash of their public key in an overlay of equals, authenticates them, and keeps
//! calls with them. It opens no socket, reads no clock and no file, starts no thread: inputs come in together with the
//! time, outputs go out, and the same code runs in the daemon, in a test that lasts a virtual hour, and under a fuzzer.
//! What does touch the world is the binary beside it, in `src/daemon`.
//!
//! # A tour
//!
//! * [`node`]: start here. A [`Node`](node::Node) is a whole daemon as one state machine.
//! * [`routing`]: who is where. The overlay's table, lookups, tokens.
//! * [`session`]: an encrypted tunnel to somebody whose key was checked, with a reliable stream inside.
//! * [`call`]: dial, ring, answer, hang up, and every way in which these can meet or fail.
//! * [`people`]: contacts, pinned keys, who may ring.
//! * [`media`]: Opus, and the playout buffer between a bad network and a steady sound card.
//! * [`wire`], [`crypto`], [`handshake`], [`replay`], [`record`]: the bytes, the keys, the three messages, the window,
//!   what others keep for us.
//! * [`time`], [`random`], [`id`], [`path`]: what everybody needs.
//!
//! Which of them may know which, and the rules that keep it so, are in `docs/ARCHITECTURE.md`; the bytes are in
//! `docs/PROTOCOL.md`.
//!
//! # Two nodes in memory
//!
//! ```
//! use dvsd::call::{CallConfig, State};
//! use dvsd::crypto::identity::{Identity, KeyKind};
//! use dvsd::node::{Config, DialOptions, Event, Hints, Input, Node, Output};
//! use dvsd::path::Path;
//! use dvsd::people::{PeopleConfig, UnknownCallers};
//! use dvsd::random::Random;
//! use dvsd::routing::RoutingConfig;
//! use dvsd::time::{Instant, Now};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = Now { mono: Instant::from_millis(1), unix: 1_700_000_000 };
//! let node = |seed| -> Result<Node, Box<dyn std::error::Error>> {
//!     let mut random = Random::seeded(seed);
//!     let identity = Identity::generate(KeyKind::Ed25519, &mut random)?;
//!     let config = Config {
//!         call: CallConfig::default(),
//!         people: PeopleConfig { unknown_callers: UnknownCallers::Ring, ..PeopleConfig::default() },
//!         routing: RoutingConfig::new(identity.public().id()),
//!         contacts: Vec::new(),
//!     };
//!     Ok(Node::new(identity, config, now, random))
//! };
//! let (mut alice, mut bob) = (node(1)?, node(2)?);
//! let (at_alice, at_bob) = ("198.18.1.1:5004".parse()?, "198.18.2.1:5004".parse()?);
//!
//! // Alice dials Bob's ID, and was told where he might be.
//! let id = bob.identity().public().id();
//! let hints = Hints { addresses: &[at_bob], to_follow: 0 };
//! let (number, drain) = alice.dial(id, None, hints, DialOptions::default(), now);
//! let mut outputs: Vec<Output> = drain.collect();
//! number?;
//!
//! // The network: whatever one of them transmits, the other is handed.
//! let (mut sender_is_alice, mut bob_rings) = (true, false);
//! while !outputs.is_empty() {
//!     let (receiver, from) = if sender_is_alice { (&mut bob, at_alice) } else { (&mut alice, at_bob) };
//!     let mut answers = Vec::new();
//!     for output in outputs {
//!         if let Output::Transmit(mut transmit) = output {
//!             let input = Input::Datagram { from: Path::direct(from), bytes: &mut transmit.datagram };
//!             answers.extend(receiver.handle(input, now));
//!         }
//!     }
//!     let rings = |output: &Output| matches!(output, Output::Event(Event::Call(call)) if call.state == State::Alerting);
//!     bob_rings |= answers.iter().any(rings);
//!     (outputs, sender_is_alice) = (answers, !sender_is_alice);
//! }
//! assert!(bob_rings);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

pub mod id;
pub mod path;
pub mod random;
pub mod time;

pub mod crypto;
pub mod handshake;
pub mod record;
pub mod replay;
pub mod wire;

pub mod call;
pub mod media;
pub mod people;
pub mod routing;
pub mod session;

pub mod node;
