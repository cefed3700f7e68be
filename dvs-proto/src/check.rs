// SPDX-License-Identifier: GPL-3.0-or-later
//! What the daemon looks at before it listens to a request: does it act, are its strings of a sane length, its numbers
//! in their range?

use crate::message::{Failure, FailureKind, Request};

/// Longest name in a request, in bytes of UTF-8.
pub const MAX_NAME: usize = 256;
/// Longest ID, invite or contact's name that stands for a peer, in bytes. An invite with a fingerprint and all
/// address hints it may carry does not fit into 256.
pub const MAX_TARGET: usize = 1024;
/// Fewest tries of a call.
pub const MIN_TRIES: u8 = 1;
/// Most tries of a call.
pub const MAX_TRIES: u8 = 20;

impl Request {
    /// Whether the request changes anything but what the asking client itself receives, or leaves the machine.
    pub fn acts(&self) -> bool {
        match self {
            Self::Attach { .. }
            | Self::Snapshot
            | Self::Resolve { .. }
            | Self::History { .. }
            | Self::Levels { .. }
            | Self::Stats { .. }
            | Self::Contacts { .. }
            | Self::Network
            | Self::Invite { .. } => false,
            // It tells other nodes who is looked for.
            Self::Lookup { .. } => true,
            Self::Dial { .. }
            | Self::Answer { .. }
            | Self::Decline { .. }
            | Self::Hangup { .. }
            | Self::Mute { .. }
            | Self::Deafen { .. }
            | Self::Hold { .. }
            | Self::ContactAdd { .. }
            | Self::ContactRename { .. }
            | Self::ContactRemove { .. }
            | Self::ContactBlock { .. }
            | Self::Wait { .. }
            | Self::Switch { .. }
            | Self::DoNotDisturb { .. }
            | Self::UnknownCallers { .. }
            | Self::ContactAutoAnswer { .. }
            | Self::ContactVerify { .. }
            | Self::VerifyStart { .. }
            | Self::VerifyDone { .. } => true,
        }
    }

    /// Refuses strings that are longer than [`MAX_NAME`] or [`MAX_TARGET`], and tries that are not [`MIN_TRIES`] to
    /// [`MAX_TRIES`].
    pub fn check(&self) -> Result<(), Failure> {
        match self {
            Self::Attach { name } => short("name", name, MAX_NAME),
            Self::Dial { target, tries, .. } => {
                short("ID or invite", target, MAX_TARGET)?;
                tries.map_or(Ok(()), in_range)
            }
            Self::Resolve { text: target } | Self::Lookup { target } => short("ID or invite", target, MAX_TARGET),
            Self::ContactAdd { name, target } => {
                short("name", name, MAX_NAME)?;
                short("ID or invite", target, MAX_TARGET)
            }
            Self::ContactRename { contact, name } => {
                short("name", name, MAX_NAME)?;
                short("contact", contact, MAX_TARGET)
            }
            Self::ContactVerify { contact, fingerprint } => {
                short("contact", contact, MAX_TARGET)?;
                short("fingerprint", fingerprint, MAX_NAME)
            }
            Self::ContactRemove { contact }
            | Self::ContactBlock { contact, .. }
            | Self::ContactAutoAnswer { contact, .. } => short("contact", contact, MAX_TARGET),
            Self::Snapshot
            | Self::Answer { .. }
            | Self::Decline { .. }
            | Self::Hangup { .. }
            | Self::Mute { .. }
            | Self::Deafen { .. }
            | Self::Hold { .. }
            | Self::History { .. }
            | Self::Levels { .. }
            | Self::Stats { .. }
            | Self::Contacts { .. }
            | Self::Network
            | Self::Invite { .. }
            | Self::Wait { .. }
            | Self::Switch { .. }
            | Self::DoNotDisturb { .. }
            | Self::UnknownCallers { .. }
            | Self::VerifyStart { .. }
            | Self::VerifyDone { .. } => Ok(()),
        }
    }
}

fn short(what: &str, text: &str, limit: usize) -> Result<(), Failure> {
    if text.len() <= limit {
        return Ok(());
    }
    Err(Failure::new(FailureKind::BadInput, format!("the {what} is too long: at most {limit} bytes")))
}

fn in_range(tries: u8) -> Result<(), Failure> {
    if (MIN_TRIES..=MAX_TRIES).contains(&tries) {
        return Ok(());
    }
    let message = format!("{tries} tries are not possible: say {MIN_TRIES} to {MAX_TRIES}");
    Err(Failure::new(FailureKind::BadInput, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::UnknownCallers;

    #[test]
    fn strings_up_to_their_limit_pass() {
        let name = "n".repeat(MAX_NAME);
        let target = "t".repeat(MAX_TARGET);
        assert_eq!(Request::Attach { name: name.clone() }.check(), Ok(()));
        assert_eq!(Request::ContactAdd { name, target: target.clone() }.check(), Ok(()));
        assert_eq!(Request::dial(target).check(), Ok(()));
    }

    #[test]
    fn longer_strings_are_refused_with_what_to_do() {
        let name = "n".repeat(MAX_NAME + 1);
        let target = "t".repeat(MAX_TARGET + 1);
        for request in [
            Request::Attach { name: name.clone() },
            Request::dial(target.clone()),
            Request::Lookup { target: target.clone() },
            Request::Resolve { text: target.clone() },
            Request::ContactAdd { name: name.clone(), target: "x".into() },
            Request::ContactAdd { name: "x".into(), target: target.clone() },
            Request::ContactRename { contact: "x".into(), name },
            Request::ContactRemove { contact: target.clone() },
            Request::ContactBlock { contact: target.clone(), on: true },
            Request::ContactAutoAnswer { contact: target.clone(), on: true },
            Request::ContactVerify { contact: target, fingerprint: String::new() },
            Request::ContactVerify { contact: "x".into(), fingerprint: "f".repeat(MAX_NAME + 1) },
        ] {
            let failure = request.check().unwrap_err();
            assert_eq!(failure.kind, FailureKind::BadInput, "{request:?}");
            assert!(failure.message.contains("at most"), "{failure}");
        }
    }

    #[test]
    fn a_call_has_one_to_twenty_tries() {
        let dial = |tries| Request::Dial { target: "Bob".into(), tries: Some(tries), wait: true };
        assert_eq!((dial(1).check(), dial(20).check()), (Ok(()), Ok(())));
        for tries in [0, 21, 255] {
            let failure = dial(tries).check().unwrap_err();
            assert_eq!(failure.kind, FailureKind::BadInput);
            assert_eq!(failure.message, format!("{tries} tries are not possible: say 1 to 20"));
        }
    }

    #[test]
    fn who_may_ring_is_changed_by_acting() {
        assert!(Request::DoNotDisturb { on: None }.acts());
        assert!(Request::UnknownCallers { policy: UnknownCallers::Ring }.acts());
        assert!(Request::ContactAutoAnswer { contact: "x".into(), on: false }.acts());
        assert!(Request::VerifyStart { call: None }.acts());
        assert!(Request::VerifyDone { call: None, matches: true }.acts());
        assert!(Request::Wait { call: None, on: false }.acts());
        assert!(Request::Switch { call: None }.acts());
    }

    #[test]
    fn looking_is_no_acting() {
        assert!(!Request::Snapshot.acts());
        assert!(!Request::Levels { on: true }.acts());
        assert!(!Request::Network.acts());
        assert!(Request::Lookup { target: "x".into() }.acts());
        assert!(Request::Mute { on: None }.acts());
        assert!(Request::Hangup { call: None }.acts());
    }
}
