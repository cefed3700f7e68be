// SPDX-License-Identifier: GPL-3.0-or-later
//! Who may ring.

use serde::{Deserialize, Serialize};

/// Who may ring. It is kept over restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Nobody rings here; callers are noted as missed.
    pub do_not_disturb: bool,
    /// What becomes of calls from people who are no contacts.
    pub unknown_callers: UnknownCallers,
}

/// What becomes of calls from people who are no contacts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnknownCallers {
    /// They ring.
    Ring,
    /// It rings for them, but not here; they are noted as missed.
    #[default]
    Silent,
    /// They are declined.
    Reject,
}
