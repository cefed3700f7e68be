// SPDX-License-Identifier: GPL-3.0-or-later
//! Verification by voice: three words and ten digits that both ends of one session see, and nobody else can choose.
//!
//! The words come out of the digest of the handshake and a nonce of each side. Whoever begins commits itself to its
//! nonce before it sees the other's, so a man in the middle, whose two sessions have two digests, gets one guess in
//! 2^33 per exchange instead of as many as it can compute. [`Verification`] is that exchange within one call; it knows
//! neither sessions nor contacts.
//!
//! Both may begin at once: then the exchange of the side with the lower ID goes on, which ignores the other's
//! commitment; the side with the higher ID forgets its own nonce and answers. A frame that does not fit into an
//! exchange under way ends it; so does a nonce that was not committed to, which is [`Cheated`]. What comes while none
//! is under way is late, and ignored.
//!
//! One timer: each side waits for the other's next frame for [`STEP_LIMIT`].

use core::fmt;
use core::time::Duration;

use bip39::Language;
use thiserror::Error;

use crate::crypto::kdf::{Digest, sha256};
use crate::crypto::same;
use crate::random::Random;
use crate::time::{Deadline, Instant};
use crate::wire::control::Frame;

/// How long either side waits for the other's next frame.
pub const STEP_LIMIT: Duration = Duration::from_secs(5);
/// Exchanges within one call, whoever begins them: so many guesses a man in the middle has.
pub const MAX_ROUNDS: u8 = 8;
/// Bits of the digest that are compared: three words of 11 bits.
const BITS: u32 = 33;
/// Bits of one word.
const WORD_BITS: u32 = 11;

/// A random number of one side.
pub type Nonce = [u8; 16];

/// What the users read to each other: 33 bits, as words or as digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sas(u64);

impl Sas {
    /// The first 33 bits of `digest`.
    pub const fn of(digest: &Digest) -> Self {
        let [a, b, c, d, e, ..] = *digest;
        Self(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]) >> (40 - BITS))
    }

    /// Three words of the English BIP-39 list, whose words differ in their first four letters.
    pub fn words(self) -> [&'static str; 3] {
        let list = Language::English.word_list();
        [2 * WORD_BITS, WORD_BITS, 0].map(|shift| {
            let index = (self.0 >> shift) as usize % list.len();
            list.get(index).copied().unwrap_or_default()
        })
    }

    /// Ten decimal digits, for those who share no language.
    pub fn digits(self) -> String {
        format!("{:010}", self.0)
    }
}

impl fmt::Debug for Sas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.words().join(" "))
    }
}

/// Where a verification stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyState {
    /// The nonces are on their way; for two round trips at most.
    Exchanging,
    /// The users compare these.
    Compare(Sas),
    /// Our user said that they are the same.
    Matched,
    /// Our user said that they differ.
    Differs,
    /// The exchange did not come to its end; it may begin anew.
    Failed,
}

/// Why an exchange cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StartError {
    /// One is under way.
    #[error("the words are being agreed on already")]
    UnderWay,
    /// There were [`MAX_ROUNDS`].
    #[error("there were too many comparisons in this call: hang up and call again")]
    TooMany,
}

/// The peer revealed another nonce than the one it had committed itself to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the peer tried to choose the words")]
pub struct Cheated;

#[derive(Clone, Debug)]
enum Step {
    /// We committed ourselves to `nonce` and wait for the peer's.
    Committed { nonce: Nonce, until: Instant },
    /// The peer committed itself, we sent `nonce` and wait for what it committed itself to.
    Answered { commitment: Digest, nonce: Nonce, until: Instant },
    /// Both nonces are known.
    Compare(Sas),
    /// It is over, as this says.
    Over(VerifyState),
}

/// The verification within one call.
#[derive(Clone, Debug)]
pub struct Verification {
    /// Whether our ID is the lower one: then our exchange goes on if both begin.
    ours_goes_on: bool,
    step: Step,
    rounds: u8,
}

impl Verification {
    /// Nothing was compared yet. `ours_goes_on` says whether our ID is lower than the peer's.
    pub const fn new(ours_goes_on: bool) -> Self {
        Self { ours_goes_on, step: Step::Over(VerifyState::Failed), rounds: 0 }
    }

    /// Where it stands; [`VerifyState::Failed`] before anything has begun.
    pub const fn state(&self) -> VerifyState {
        match self.step {
            Step::Committed { .. } | Step::Answered { .. } => VerifyState::Exchanging,
            Step::Compare(sas) => VerifyState::Compare(sas),
            Step::Over(state) => state,
        }
    }

    /// Whether frames are awaited, or our user's word.
    pub const fn is_under_way(&self) -> bool {
        !matches!(self.step, Step::Over(_))
    }

    /// Begins an exchange: the frame to send.
    ///
    /// # Errors
    /// If one is under way, or there were too many.
    pub fn start(&mut self, now: Instant, random: &mut Random) -> Result<Frame, StartError> {
        if self.state() == VerifyState::Exchanging {
            return Err(StartError::UnderWay);
        }
        if self.rounds >= MAX_ROUNDS {
            return Err(StartError::TooMany);
        }
        self.rounds += 1;
        let nonce = random.bytes();
        self.step = Step::Committed { nonce, until: now + STEP_LIMIT };
        Ok(Frame::VerifyCommit { commitment: sha256(&[&nonce]) })
    }

    /// A VERIFY_* frame of the peer: the frame to send back. `mac` is the HMAC of both nonces, the beginner's first,
    /// under the digest of the handshake of the session in use; `None` if that is not the one the exchange began in.
    ///
    /// # Errors
    /// If the peer tried to cheat; the exchange has failed.
    pub fn handle(
        &mut self,
        frame: &Frame,
        mac: impl FnOnce([&Nonce; 2]) -> Option<Digest>,
        now: Instant,
        random: &mut Random,
    ) -> Result<Option<Frame>, Cheated> {
        match (frame, self.step.clone()) {
            (Frame::VerifyCommit { .. }, Step::Committed { .. }) if self.ours_goes_on => Ok(None),
            (Frame::VerifyCommit { .. }, Step::Answered { .. }) => Ok(self.fail()),
            (Frame::VerifyCommit { commitment }, _) => Ok(self.answer(*commitment, now, random)),
            (Frame::VerifyNonce { nonce: theirs }, Step::Committed { nonce, .. }) => {
                self.compare(mac([&nonce, theirs]));
                Ok(Some(Frame::VerifyReveal { nonce }))
            }
            (Frame::VerifyReveal { nonce: theirs }, Step::Answered { commitment, nonce, .. }) => {
                if !same(&sha256(&[theirs]), &commitment) {
                    self.fail();
                    return Err(Cheated);
                }
                self.compare(mac([theirs, &nonce]));
                Ok(None)
            }
            (Frame::VerifyNonce { .. } | Frame::VerifyReveal { .. }, _) if self.is_under_way() => Ok(self.fail()),
            _ => Ok(None),
        }
    }

    /// The peer begins: our nonce, unless it has begun too often.
    fn answer(&mut self, commitment: Digest, now: Instant, random: &mut Random) -> Option<Frame> {
        if self.rounds >= MAX_ROUNDS {
            return None;
        }
        self.rounds += 1;
        let nonce = random.bytes();
        self.step = Step::Answered { commitment, nonce, until: now + STEP_LIMIT };
        Some(Frame::VerifyNonce { nonce })
    }

    fn compare(&mut self, mac: Option<Digest>) {
        self.step = mac.map_or(Step::Over(VerifyState::Failed), |mac| Step::Compare(Sas::of(&mac)));
    }

    /// What is under way has failed; there is nothing to send.
    pub fn fail(&mut self) -> Option<Frame> {
        if self.is_under_way() {
            self.step = Step::Over(VerifyState::Failed);
        }
        None
    }

    /// Our user compared: whether both saw the same. `false` if there was nothing to compare.
    pub fn decide(&mut self, matches: bool) -> bool {
        let is_shown = matches!(self.step, Step::Compare(_));
        if is_shown {
            self.step = Step::Over(if matches { VerifyState::Matched } else { VerifyState::Differs });
        }
        is_shown
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.until().is_some_and(|until| until <= now) {
            self.fail();
        }
    }

    /// When the peer's next frame is overdue.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.until().map(|until| Deadline::new(until, "verification"))
    }

    const fn until(&self) -> Option<Instant> {
        match self.step {
            Step::Committed { until, .. } | Step::Answered { until, .. } => Some(until),
            Step::Compare(_) | Step::Over(_) => None,
        }
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
