// SPDX-License-Identifier: GPL-3.0-or-later
//! What clients ask about keys and callers: comparing keys, who may ring, who is answered at once, who can be reached.

use data_encoding::HEXUPPER_PERMISSIVE;
use dvs_proto::message::{self, Failure, FailureKind, Policy, Presence, Reply, UnknownCallers, VerifyState};
use dvsd::call::CallNumber;
use dvsd::id::{Fingerprint, NodeId};
use dvsd::node::{self, VerifyError};
use dvsd::people;

use super::convert::narrow;
use super::requests::Outcome;
use crate::clock;
use crate::service::Service;

impl Service {
    /// Lets nobody ring, or lets them again; `None` toggles.
    pub(super) fn do_not_disturb(&mut self, on: Option<bool>) -> Outcome {
        let on = on.unwrap_or(!self.node.policy().do_not_disturb);
        self.command(|node| node.set_do_not_disturb(on, clock::now()));
        Ok(Reply::Policy(policy(self.node.policy())))
    }

    /// What becomes of unknown callers from now on.
    pub(super) fn unknown_callers(&mut self, wanted: UnknownCallers) -> Outcome {
        let wanted = match wanted {
            UnknownCallers::Ring => people::UnknownCallers::Ring,
            UnknownCallers::Silent => people::UnknownCallers::Silent,
            UnknownCallers::Reject => people::UnknownCallers::Reject,
        };
        self.command(|node| node.set_unknown_callers(wanted, clock::now()));
        Ok(Reply::Policy(policy(self.node.policy())))
    }

    /// A contact's fingerprint was compared by another way.
    pub(super) fn verify_contact(&mut self, contact: &str, text: &str) -> Outcome {
        let fingerprint = fingerprint(text)?;
        self.contact(|node, now| node.verify_contact(contact, fingerprint, now))
    }

    /// Begins to compare keys by voice.
    pub(super) fn verify_start(&mut self, client: u32, call: Option<u32>) -> Outcome {
        let begun = self.command(|node| node.verify_start(call.map(CallNumber), clock::now()));
        let number = begun.map_err(|error| verify_failure(&error))?;
        self.announce(client, "compares keys", number);
        Ok(self.reply_verification(number))
    }

    /// The user has compared the words.
    pub(super) fn verify_done(&mut self, client: u32, call: Option<u32>, matches: bool) -> Outcome {
        let shown = self.node.verification();
        let done = self.command(|node| node.verify_done(call.map(CallNumber), matches, clock::now()));
        let number = done.map_err(|error| verify_failure(&error))?;
        self.announce(client, if matches { "verified" } else { "says that the words differ" }, number);
        let state = if matches { node::VerifyState::Matched } else { node::VerifyState::Differs };
        let mut outcome = verification(number, state);
        // The words stay in sight with what was said of them.
        if let Some((_, node::VerifyState::Compare(sas))) = shown.filter(|(call, _)| *call == number) {
            (outcome.words, outcome.digits) = texts(sas);
        }
        Ok(Reply::Verification(outcome))
    }

    /// The comparison of keys in the call that is talked in.
    pub(super) fn verification(&self) -> Option<message::Verification> {
        self.node.verification().map(|(call, state)| verification(call, state))
    }

    fn reply_verification(&self, number: CallNumber) -> Reply {
        let present = self.verification().filter(|one| one.call == number.0);
        Reply::Verification(present.unwrap_or_else(|| verification(number, node::VerifyState::Exchanging)))
    }

    /// Whether `peer` can be reached.
    pub(super) fn presence(&self, peer: NodeId) -> Presence {
        presence(self.node.presence(peer))
    }
}

/// Who may ring.
pub(crate) const fn policy(policy: people::Policy) -> Policy {
    let unknown_callers = match policy.unknown_callers {
        people::UnknownCallers::Ring => UnknownCallers::Ring,
        people::UnknownCallers::Silent => UnknownCallers::Silent,
        people::UnknownCallers::Reject => UnknownCallers::Reject,
    };
    Policy { do_not_disturb: policy.do_not_disturb, unknown_callers }
}

/// A comparison of keys by voice.
pub(crate) fn verification(call: CallNumber, state: node::VerifyState) -> message::Verification {
    let (words, digits) = match state {
        node::VerifyState::Compare(sas) => texts(sas),
        _ => (Vec::new(), String::new()),
    };
    let state = match state {
        node::VerifyState::Exchanging => VerifyState::Exchanging,
        node::VerifyState::Compare(_) => VerifyState::Compare,
        node::VerifyState::Matched => VerifyState::Matched,
        node::VerifyState::Differs => VerifyState::Differs,
        node::VerifyState::Failed => VerifyState::Failed,
    };
    message::Verification { call: call.0, state, words, digits }
}

fn texts(sas: node::Sas) -> (Vec<String>, String) {
    (sas.words().map(str::to_owned).to_vec(), sas.digits())
}

/// Whether somebody can be reached.
pub(crate) fn presence(presence: node::Presence) -> Presence {
    match presence {
        node::Presence::Unknown => Presence::Unknown,
        node::Presence::Online { rtt } => Presence::Online { rtt_us: narrow(rtt.as_micros()) },
        node::Presence::Offline => Presence::Offline,
    }
}

/// A fingerprint as people type it: 64 hexadecimal digits in any case, with blanks, hyphens or colons anywhere.
fn fingerprint(text: &str) -> Result<Fingerprint, Failure> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | ':')).collect();
    let bytes = HEXUPPER_PERMISSIVE.decode(digits.as_bytes()).ok();
    bytes.and_then(|bytes| bytes.try_into().ok()).map(Fingerprint).ok_or_else(|| {
        let message = "that is no fingerprint: expected 64 hexadecimal digits, as dvs-tui id --fingerprint prints them";
        Failure::new(FailureKind::BadInput, message)
    })
}

fn verify_failure(error: &VerifyError) -> Failure {
    let (kind, message) = match error {
        VerifyError::NoSuchCall => {
            (FailureKind::NotFound, "there is no call to compare keys in: call them first".to_owned())
        }
        VerifyError::NothingShown(number) => {
            (FailureKind::State, format!("nothing is compared in call {number} yet: first run dvs-tui verify"))
        }
        VerifyError::NotTalking(number) => {
            (FailureKind::State, format!("call {number} has not been answered; keys are compared while one talks"))
        }
        VerifyError::Start(_) | VerifyError::NotContact => (FailureKind::State, error.to_string()),
        VerifyError::KeyChanged => (FailureKind::Permission, error.to_string()),
    };
    Failure::new(kind, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_it_is_shown_and_as_people_type_it() {
        let shown = Fingerprint([0xa5; 32]);
        let text = shown.to_string();
        for text in [text.clone(), text.to_lowercase(), text.replace(' ', ""), text.replace(' ', ":")] {
            assert_eq!(fingerprint(&text).unwrap(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_fingerprint_is_refused_with_what_is_expected() {
        for text in ["", "3F9A", "zz", &"A5".repeat(31), &"A5".repeat(33), &"ä".repeat(64)] {
            let failure = fingerprint(text).unwrap_err();
            assert_eq!(failure.kind, FailureKind::BadInput);
            assert!(failure.message.contains("64 hexadecimal digits"));
        }
    }

    #[test]
    fn words_and_digits_go_to_clients_only_while_they_are_compared() {
        let digest = [0x5a; 32];
        let shown = verification(CallNumber(3), node::VerifyState::Compare(node::Sas::of(&digest)));
        assert_eq!((shown.words.len(), shown.digits.len(), shown.state), (3, 10, VerifyState::Compare));
        let failed = verification(CallNumber(3), node::VerifyState::Failed);
        assert!(failed.words.is_empty() && failed.digits.is_empty());
    }
}
