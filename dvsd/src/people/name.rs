// SPDX-License-Identifier: GPL-3.0-or-later
//! What a contact may be called. Names are the user's own, but they may come out of a pasted text.

use thiserror::Error;

use crate::id::Invite;

/// The longest name, in characters.
pub const MAX_NAME: usize = 64;

/// Why a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing but blanks.
    #[error("a contact needs a name")]
    Empty,
    /// More than [`MAX_NAME`] characters.
    #[error("the name is too long: at most {MAX_NAME} characters")]
    TooLong,
    /// Control characters, or ones that reorder or hide text.
    #[error("the name contains characters that cannot be shown")]
    Unprintable,
    /// Such a name would hide the ID it looks like.
    #[error("the name looks like an ID")]
    LooksLikeId,
}

/// `text` as a name, blanks at both ends taken off.
pub(super) fn checked(text: &str) -> Result<&str, NameError> {
    let name = text.trim();
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.chars().count() > MAX_NAME {
        return Err(NameError::TooLong);
    }
    if name.chars().any(|c| c.is_control() || is_deceptive(c)) {
        return Err(NameError::Unprintable);
    }
    if looks_like_id(name) || name.parse::<Invite>().is_ok() {
        return Err(NameError::LooksLikeId);
    }
    Ok(name)
}

/// Whether `text` was meant as an ID or an invite, even if mistyped.
pub(super) fn looks_like_id(text: &str) -> bool {
    let starts = |prefix: &str| text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    let hex = text.len() >= 32 && text.chars().all(|c| c.is_ascii_hexdigit());
    starts("dvs1") || starts("dvs:") || hex
}

/// Characters that are invisible or change the order of others: zero-width, line separators, bidirectional marks.
const fn is_deceptive(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

/// The form in which names are compared: lower case.
pub(super) fn folded(name: &str) -> String {
    name.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_of_any_script_are_fine() {
        for name in ["Anna", "  Anna B. ", "Ærøskøbing", "祖母", "dvs", "abba", &"x".repeat(64)] {
            assert_eq!(checked(name), Ok(name.trim()));
        }
    }

    #[test]
    fn names_that_cannot_be_shown_or_told_from_ids_are_refused() {
        let id = crate::id::NodeId([1; 20]);
        for (name, error) in [
            ("", NameError::Empty),
            (" \t\n", NameError::Empty),
            (&"x".repeat(65), NameError::TooLong),
            ("An\nna", NameError::Unprintable),
            ("\u{1b}[31mAnna", NameError::Unprintable),
            ("Anna\u{202e}", NameError::Unprintable),
            ("An\u{200b}na", NameError::Unprintable),
            (&id.to_string(), NameError::LooksLikeId),
            (&id.to_hex(), NameError::LooksLikeId),
            ("DVS1anna", NameError::LooksLikeId),
            ("dvs:anna", NameError::LooksLikeId),
        ] {
            assert_eq!(checked(name), Err(error), "{name:?}");
        }
    }
}
