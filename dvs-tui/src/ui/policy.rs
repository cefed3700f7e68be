// SPDX-License-Identifier: GPL-3.0-or-later
//! Who may ring, in words.

use dvs_proto::message::{Policy, UnknownCallers};

/// The policies for unknown callers, in the order in which a key goes through them.
pub(crate) const UNKNOWN_CALLERS: [UnknownCallers; 3] =
    [UnknownCallers::Ring, UnknownCallers::Silent, UnknownCallers::Reject];

/// The word for a policy, as it is typed.
pub(crate) fn word(policy: UnknownCallers) -> &'static str {
    match policy {
        UnknownCallers::Ring => "ring",
        UnknownCallers::Silent => "silent",
        UnknownCallers::Reject => "reject",
    }
}

/// The policy that a word stands for.
pub(crate) fn parse(word: &str) -> Option<UnknownCallers> {
    UNKNOWN_CALLERS.into_iter().find(|policy| self::word(*policy) == word)
}

/// The policy after this one.
pub(crate) fn after(policy: UnknownCallers) -> UnknownCallers {
    match policy {
        UnknownCallers::Ring => UnknownCallers::Silent,
        UnknownCallers::Silent => UnknownCallers::Reject,
        UnknownCallers::Reject => UnknownCallers::Ring,
    }
}

/// What becomes of unknown callers.
pub(crate) fn strangers(policy: UnknownCallers) -> &'static str {
    match policy {
        UnknownCallers::Ring => "unknown callers ring",
        UnknownCallers::Silent => "unknown callers do not ring, they are noted as missed",
        UnknownCallers::Reject => "unknown callers are declined",
    }
}

/// Whether anybody rings.
pub(crate) fn disturb(on: bool) -> &'static str {
    if on { "do not disturb: nobody rings, callers are noted as missed" } else { "calls ring" }
}

/// All of it in one line.
pub(crate) fn in_words(policy: Policy) -> String {
    format!("{}; {}", disturb(policy.do_not_disturb), strangers(policy.unknown_callers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_has_a_word_and_the_key_goes_through_all() {
        for (index, policy) in UNKNOWN_CALLERS.into_iter().enumerate() {
            assert_eq!(parse(word(policy)), Some(policy));
            assert_eq!(Some(after(policy)), UNKNOWN_CALLERS.into_iter().cycle().nth(index + 1));
        }
        assert_eq!(parse("loud"), None);
    }
}
