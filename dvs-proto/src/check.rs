// SPDX-License-Identifier: GPL-3.0-or-later
//! What the daemon looks at before it listens to a request: does it act, and are its strings of a sane length?

use crate::message::{Failure, FailureKind, Request};

/// Longest name in a request, in bytes of UTF-8.
pub const MAX_NAME: usize = 256;
/// Longest ID, invite or contact's name that stands for a peer, in bytes. An invite with a fingerprint and all
/// address hints it may carry does not fit into 256.
pub const MAX_TARGET: usize = 1024;

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
            | Self::ContactBlock { .. } => true,
        }
    }

    /// Refuses strings that are longer than [`MAX_NAME`] or [`MAX_TARGET`].
    pub fn check(&self) -> Result<(), Failure> {
        match self {
            Self::Attach { name } => short("name", name, MAX_NAME),
            Self::Resolve { text: target } | Self::Dial { target } | Self::Lookup { target } => {
                short("ID or invite", target, MAX_TARGET)
            }
            Self::ContactAdd { name, target } => {
                short("name", name, MAX_NAME)?;
                short("ID or invite", target, MAX_TARGET)
            }
            Self::ContactRename { contact, name } => {
                short("name", name, MAX_NAME)?;
                short("contact", contact, MAX_TARGET)
            }
            Self::ContactRemove { contact } | Self::ContactBlock { contact, .. } => {
                short("contact", contact, MAX_TARGET)
            }
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
            | Self::Invite { .. } => Ok(()),
        }
    }
}

fn short(what: &str, text: &str, limit: usize) -> Result<(), Failure> {
    if text.len() <= limit {
        return Ok(());
    }
    Err(Failure::new(FailureKind::BadInput, format!("the {what} is too long: at most {limit} bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_up_to_their_limit_pass() {
        let name = "n".repeat(MAX_NAME);
        let target = "t".repeat(MAX_TARGET);
        assert_eq!(Request::Attach { name: name.clone() }.check(), Ok(()));
        assert_eq!(Request::ContactAdd { name, target: target.clone() }.check(), Ok(()));
        assert_eq!(Request::Dial { target }.check(), Ok(()));
    }

    #[test]
    fn longer_strings_are_refused_with_what_to_do() {
        let name = "n".repeat(MAX_NAME + 1);
        let target = "t".repeat(MAX_TARGET + 1);
        for request in [
            Request::Attach { name: name.clone() },
            Request::Dial { target: target.clone() },
            Request::Lookup { target: target.clone() },
            Request::Resolve { text: target.clone() },
            Request::ContactAdd { name: name.clone(), target: "x".into() },
            Request::ContactAdd { name: "x".into(), target: target.clone() },
            Request::ContactRename { contact: "x".into(), name },
            Request::ContactRemove { contact: target.clone() },
            Request::ContactBlock { contact: target, on: true },
        ] {
            let failure = request.check().unwrap_err();
            assert_eq!(failure.kind, FailureKind::BadInput, "{request:?}");
            assert!(failure.message.contains("at most"), "{failure}");
        }
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
