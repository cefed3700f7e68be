// SPDX-License-Identifier: GPL-3.0-or-later
//! How calls ended at their two sides, and whether that goes together.

use dvsd::call::{CallView, EndCause};

use super::Violation;
use super::rules::{Broken, Checked};
use super::world::MAX_SIDES;

/// How a call ended at one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ending {
    pub(super) call_id: u32,
    pub(super) side: usize,
    cause: EndCause,
    talked: bool,
    /// A session died under it.
    rough: bool,
}

/// The calls that have ended at one side so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Endings {
    pub(super) open: Vec<Ending>,
    /// The pairs of causes that were met, since somebody last took them.
    pub(super) met: Vec<(EndCause, EndCause)>,
}

impl Endings {
    /// Notes an end. If the other side knows an end of that call, too, they must agree.
    pub(super) fn note(&mut self, call_id: u32, side: usize, view: &CallView, cause: EndCause, rough: bool) -> Checked {
        let talked = view.answered.is_some();
        let here = Ending { call_id, side, cause, talked, rough };
        self.open.retain(|ending| (ending.call_id, ending.side) != (call_id, side));
        let Some(place) = self.open.iter().position(|ending| ending.call_id == call_id) else {
            self.open.push(here);
            return Ok(());
        };
        let there = self.open.remove(place);
        if !here.rough && !there.rough {
            self.met.push((here.cause.min(there.cause), here.cause.max(there.cause)));
            agree(here, there)?;
        }
        Ok(())
    }

    /// A daemon that died knows nothing of its calls.
    pub(super) fn forget(&mut self, side: usize) {
        self.open.retain(|ending| ending.side != side);
    }
}

/// Both sides must tell their users the same story. Where a command or a timer of one side crosses one of the other
/// on the way, each may name its own. Whoever dialled the call knows no more of its answer than the other.
fn agree(a: Ending, b: Ending) -> Checked {
    let (caller, callee) = if a.call_id % MAX_SIDES == a.side as u32 { (a, b) } else { (b, a) };
    let heard_nobody = caller.talked && !callee.talked;
    if fits(caller.cause, callee.cause) && !heard_nobody {
        return Ok(());
    }
    let text = format!(
        "the caller's call ended with {} (talked: {}), the callee's with {} (talked: {})",
        caller.cause, caller.talked, callee.cause, callee.talked
    );
    Err(Violation::new(Broken::Agreement, text))
}

/// Whether a caller and a callee may end one call for these causes while their sessions live.
pub(super) const fn fits(caller: EndCause, callee: EndCause) -> bool {
    use EndCause as C;
    matches!(
        (caller, callee),
        // Hung up by one of them, or by both at once.
        (C::HungUp, C::PeerHungUp | C::HungUp) | (C::PeerHungUp, C::HungUp)
            // Not answered, for whatever reason; the caller may have hung up or given up first.
            | (C::NoAnswer | C::NoReply | C::HungUp, C::Missed | C::MissedBusy | C::DeclinedHere)
            | (C::Declined, C::DeclinedHere | C::MissedBusy)
            | (C::Busy, C::MissedBusy | C::Missed | C::DeclinedHere)
            // Answered too late: the caller had given up.
            | (C::NoAnswer | C::NoReply, C::NoAnswer | C::HungUp)
            | (C::Busy, C::Busy | C::HungUp)
    )
}

impl Ending {
    /// All but the name of the call.
    pub(super) fn hash_rest(&self, out: &mut impl std::hash::Hasher) {
        use std::hash::Hash;
        let Self { call_id: _, side, cause, talked, rough } = self;
        (side, cause, talked, rough).hash(out);
    }
}
