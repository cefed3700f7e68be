// SPDX-License-Identifier: GPL-3.0-or-later
//! The comparison of keys by voice, in words.

use dvs_proto::message::{Verification, VerifyState};

/// The digits in two halves, as they are read out.
pub(crate) fn digits(verification: &Verification) -> String {
    let digits: Vec<char> = verification.digits.chars().collect();
    let half = digits.len().div_ceil(2).max(1);
    digits.chunks(half).map(String::from_iter).collect::<Vec<_>>().join(" ")
}

/// The words, side by side.
pub(crate) fn words(verification: &Verification) -> String {
    verification.words.join("  ")
}

/// How far it is, in one line.
pub(crate) fn in_words(state: VerifyState, name: &str) -> String {
    match state {
        VerifyState::Exchanging => format!("agreeing with {name}'s daemon on what to compare"),
        VerifyState::Compare => format!("read the words or digits to {name}: both must see the same"),
        VerifyState::Matched => format!("{name} is verified: you compared the keys by voice"),
        VerifyState::Differs => {
            format!(
                "THE WORDS DIFFER: somebody may be listening in, and the call was ended. Before you call {name} again, \
                 compare fingerprints by another way"
            )
        }
        VerifyState::Failed => format!("the keys of {name} were not compared: the daemons did not agree; try again"),
    }
}

/// One word, for scripts.
pub(crate) fn word(state: VerifyState) -> &'static str {
    match state {
        VerifyState::Exchanging => "exchanging",
        VerifyState::Compare => "compare",
        VerifyState::Matched => "matched",
        VerifyState::Differs => "differs",
        VerifyState::Failed => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::example;

    #[test]
    fn ten_digits_are_read_in_two_halves() {
        let verification = example::verification(VerifyState::Compare);
        assert_eq!(digits(&verification), "48210 71234");
        assert_eq!(words(&verification), "anchor  garden  velvet");
        assert_eq!(digits(&Verification { digits: String::new(), ..verification }), "");
    }
}
