// SPDX-License-Identifier: GPL-3.0-or-later
//! What is known of a key, as a mark, in words and in colour.

use dvs_proto::message::Trust;
use ratatui::style::Style;

use super::theme::Theme;

/// One column.
pub(crate) fn mark(trust: Trust, theme: Theme) -> &'static str {
    match trust {
        Trust::Unknown => "?",
        Trust::Seen => theme.symbols.dot,
        Trust::Verified => theme.symbols.good,
        Trust::Blocked => theme.symbols.bad,
        Trust::Changed => "!",
    }
}

/// A few words.
pub(crate) fn words(trust: Trust) -> &'static str {
    match trust {
        Trust::Unknown => "never spoken with",
        Trust::Seen => "known key, not verified",
        Trust::Verified => "verified",
        Trust::Blocked => "blocked",
        Trust::Changed => "KEY CHANGED",
    }
}

/// Its colour.
pub(crate) fn style(trust: Trust, theme: Theme) -> Style {
    match trust {
        Trust::Unknown | Trust::Seen => theme.faint(),
        Trust::Verified => theme.good(),
        Trust::Blocked | Trust::Changed => theme.bad(),
    }
}
