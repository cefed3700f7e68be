// SPDX-License-Identifier: GPL-3.0-or-later
//! What a second caller is told. The queue itself does not exist yet: nobody may wait, everybody gets an answer.

use crate::wire::control::Frame;

/// After how many seconds another attempt makes sense: long enough for a short call to end, within the 5–120 s that
/// a caller clamps to.
const RETRY_AFTER: u16 = 30;

/// "In another call, and there is no queue."
pub(super) const fn busy(call_id: u32) -> Frame {
    Frame::CallBusy { call_id, can_wait: false, ttw: RETRY_AFTER }
}

/// "You are not in the queue."
pub(super) const fn not_queued(call_id: u32) -> Frame {
    Frame::CallWaitingReply { call_id, ok: false, ttw: 0 }
}
