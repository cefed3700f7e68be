// SPDX-License-Identifier: GPL-3.0-or-later
//! One daemon's calls, and what whoever watches them from outside knows: who has consented, whether media flows, how
//! calls ended.

use dvsd::call::{CallConfig, CallKey, CallNumber, CallView, Calls, State, Verdict};
use dvsd::id::{LocalId, NodeId};
use dvsd::random::{Entropy, Random};
use dvsd::time::{Instant, Now};

/// A call as it is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Known {
    pub(super) number: CallNumber,
    /// Its name on the wire.
    pub(super) call_id: u32,
    /// The user dialled or answered it, or the administrator wants it answered.
    pub(super) consent: bool,
}

/// One side.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) calls: Calls,
    /// What it thinks of whoever calls.
    pub(super) verdict: Verdict,
    pub(super) known: Vec<Known>,
    /// The names of the calls it keeps from its user, with the peers they are with.
    pub(super) unshown: Vec<(usize, u32)>,
    /// The call whose media flows.
    pub(super) media: Option<CallNumber>,
}

/// The ID of side `side`. Side 0 has the lowest.
pub(super) const fn id_of(side: usize) -> NodeId {
    NodeId([side as u8 + 1; 20])
}

/// The key by which a side knows its calls with `peer`.
pub(super) const fn key_to(peer: usize) -> CallKey {
    CallKey { local: LocalId(0), peer: id_of(peer) }
}

/// The side with this key.
pub(super) fn side_of(key: CallKey) -> usize {
    usize::from(key.peer.0[0]).saturating_sub(1)
}

/// The time for the core.
pub(super) const fn at(mono: Instant) -> Now {
    Now { mono, unix: 1_000_000 }
}

impl Side {
    pub(super) fn new(side: usize, verdict: Verdict) -> Self {
        let mut calls = Calls::new(CallConfig::default());
        calls.add_local(LocalId(0), id_of(side));
        Self { calls, verdict, known: Vec::new(), unshown: Vec::new(), media: None }
    }

    /// The call with `peer`, if its user is shown one.
    pub(super) fn call_with(&self, peer: usize) -> Option<CallView> {
        self.calls.calls().find(|call| call.key == key_to(peer))
    }

    pub(super) fn known(&mut self, number: CallNumber) -> &mut Known {
        let place = self.known.iter().position(|known| known.number == number).unwrap_or_else(|| {
            self.known.push(Known { number, call_id: 0, consent: false });
            self.known.len() - 1
        });
        &mut self.known[place]
    }

    /// How many calls are in one of `states`.
    pub(super) fn count(&self, states: &[State]) -> usize {
        self.calls.calls().filter(|call| states.contains(&call.state)).count()
    }
}

/// Randomness that is none: bytes that count. Call IDs differ from each other, and random waits are the shortest.
struct Serial(u32);

impl Entropy for Serial {
    fn fill(&mut self, dest: &mut [u8]) {
        dest.fill(0);
        for (place, byte) in dest.iter_mut().rev().zip(self.0.to_le_bytes()) {
            *place = byte;
        }
    }
}

/// A source whose next call ID is `serial`.
pub(super) fn serial(serial: u32) -> Random {
    Random::new(Serial(serial))
}
