// SPDX-License-Identifier: GPL-3.0-or-later
//! How a verb ends when it does not end well: one line for people, one number for scripts.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use dvs_proto::client::{CallError, ConnectError, Lost};
use dvs_proto::message::{CallInfo, EndReason, Failure, FailureKind, Network};

use crate::ui::{calls, overlay, sanitise};

/// Neither the user's nor the peer's fault.
const INTERNAL: u8 = 1;
/// Used wrongly, or something typed makes no sense.
pub(crate) const USAGE: u8 = 2;
/// The daemon cannot be reached.
const UNREACHABLE: u8 = 3;
/// No such contact, call or peer.
const NOT_FOUND: u8 = 4;
/// Busy, declined, or nobody answered.
const NOT_ANSWERED: u8 = 5;
/// Not allowed.
const PERMISSION: u8 = 6;
/// A sound device.
const DEVICE: u8 = 7;

/// What to say and how to exit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    code: u8,
    /// Nothing is said when nobody reads any more.
    message: Option<String>,
}

impl Failed {
    fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: Some(sanitise::text(&message.into())) }
    }

    /// A command line that makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, message)
    }

    /// A failure of the program or the system.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(INTERNAL, message)
    }

    /// Something that is not there.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(NOT_FOUND, message)
    }

    /// Busy, refused, or not possible now.
    pub(crate) fn not_answered(message: impl Into<String>) -> Self {
        Self::new(NOT_ANSWERED, message)
    }

    /// Whether something is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        self.code == NOT_FOUND
    }

    /// The same, and something that may help.
    pub(crate) fn with_hint(self, hint: &str) -> Self {
        let hint = sanitise::text(hint);
        Self { message: self.message.map(|message| format!("{message}; {hint}")), ..self }
    }

    /// A call that ended, and why.
    pub(crate) fn ended(call: &CallInfo, network: &Network) -> Self {
        let who = call.name.as_deref().unwrap_or(&call.peer);
        let reason = call.ended.unwrap_or(EndReason::Protocol);
        let why = match calls::not_the_invited(call) {
            Some(advice) => format!("{who} {advice}"),
            None => return Self::missing(reason, who, network),
        };
        Self::new(code_of(reason), why)
    }

    /// What came to nothing with `who`, and why.
    pub(crate) fn missing(reason: EndReason, who: &str, network: &Network) -> Self {
        let why = match reason {
            EndReason::Offline => overlay::offline(network),
            _ => why(reason, who),
        };
        Self::new(code_of(reason), why)
    }

    /// Says it on standard error.
    pub(crate) fn report(&self) -> ExitCode {
        if let Some(message) = &self.message {
            // Nothing can be done when even this fails.
            let _ = writeln!(io::stderr(), "dvs-tui: {message}");
        }
        ExitCode::from(self.code)
    }
}

impl From<ConnectError> for Failed {
    fn from(error: ConnectError) -> Self {
        let code = match error {
            ConnectError::NotInGroup { .. } | ConnectError::LoginNeeded | ConnectError::Denied { .. } => PERMISSION,
            _ => UNREACHABLE,
        };
        Self::new(code, error.to_string())
    }
}

impl From<Lost> for Failed {
    fn from(lost: Lost) -> Self {
        Self::new(UNREACHABLE, lost.to_string())
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        let code = match failure.kind {
            FailureKind::BadInput => USAGE,
            FailureKind::NotFound => NOT_FOUND,
            FailureKind::NotAnswered | FailureKind::State => NOT_ANSWERED,
            FailureKind::Permission => PERMISSION,
            FailureKind::Device => DEVICE,
            FailureKind::Limit | FailureKind::Internal => INTERNAL,
        };
        Self::new(code, failure.message)
    }
}

impl From<CallError> for Failed {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(failure) => failure.into(),
            CallError::Lost(lost) => lost.into(),
        }
    }
}

impl From<io::Error> for Failed {
    /// Whoever read our output, `head` for example, may have had enough.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self { code: 0, message: None },
            _ => Self::internal(format!("cannot write: {error}")),
        }
    }
}

fn code_of(reason: EndReason) -> u8 {
    match reason {
        EndReason::NotFound | EndReason::Offline | EndReason::Unreachable | EndReason::NeedsRelay => NOT_FOUND,
        EndReason::KeyChanged | EndReason::Blocked => PERMISSION,
        EndReason::Media => DEVICE,
        EndReason::HungUp
        | EndReason::PeerHungUp
        | EndReason::Declined
        | EndReason::DeclinedHere
        | EndReason::Busy
        | EndReason::NoAnswer
        | EndReason::Missed
        | EndReason::MissedBusy
        | EndReason::Refused
        | EndReason::NoReply
        | EndReason::PeerLost
        | EndReason::Protocol
        | EndReason::Version
        | EndReason::GoingAway
        | EndReason::PeerRestarted
        | EndReason::AnsweredElsewhere => NOT_ANSWERED,
    }
}

/// Why a call with `who` came to nothing, and where there is something to do about it, what.
fn why(reason: EndReason, who: &str) -> String {
    match reason {
        EndReason::NotFound => format!("{who} was not found in the overlay: offline, or nobody has this ID"),
        EndReason::Unreachable => {
            format!(
                "nodes of the network know {who}, but it does not answer: just gone offline, or behind a firewall; \
                 try again in a minute"
            )
        }
        EndReason::NeedsRelay => format!(
            "only a relay would help to reach {who}, and this release has none: the NAT on both sides lets nothing \
             through; open a UDP port on one router (see: dvs-tui network), or call from another network"
        ),
        EndReason::Offline => {
            "no node of the network answers; check the network, and bootstrap in dvsd.toml".to_owned()
        }
        EndReason::KeyChanged => format!(
            "{who} shows another key than before: do not go on, and ask them by another way; only if they really have a new \
             key: dvs-tui contacts verify NAME FINGERPRINT"
        ),
        EndReason::Blocked => format!("{who} is blocked; to call all the same: dvs-tui contacts unblock"),
        EndReason::Media => "sound could not be carried; see: dvs-tui status".to_owned(),
        EndReason::HungUp => "hung up on this side".to_owned(),
        EndReason::PeerHungUp => format!("{who} hung up"),
        EndReason::Declined => format!("{who} declined"),
        EndReason::DeclinedHere => "declined on this side".to_owned(),
        EndReason::Busy => format!("{who} is in another call"),
        EndReason::NoAnswer => format!("{who} did not answer"),
        EndReason::Missed | EndReason::MissedBusy => format!("the call of {who} was missed"),
        EndReason::Refused => format!("{who} was refused as an unknown caller"),
        EndReason::NoReply => format!("{who} is connected, but did not react to the call"),
        EndReason::PeerLost => format!("nothing is heard from {who} any more"),
        EndReason::Protocol => format!("the software of {who} broke the protocol"),
        EndReason::Version => format!("the software of {who} speaks another version; both need the same"),
        EndReason::GoingAway => "the daemon of one side was shut down".to_owned(),
        EndReason::PeerRestarted => format!("the daemon of {who} was restarted; call again"),
        EndReason::AnsweredElsewhere => format!("{who} was answered on another device"),
    }
}

#[cfg(test)]
mod tests {
    use dvs_proto::message::Direction;

    use super::*;
    use crate::ui::example;

    #[test]
    fn each_kind_of_failure_has_its_exit_code() {
        let code = |kind| Failed::from(Failure::new(kind, "x")).code;
        assert_eq!(code(FailureKind::BadInput), 2);
        assert_eq!(code(FailureKind::NotFound), 4);
        assert_eq!(code(FailureKind::NotAnswered), 5);
        assert_eq!(code(FailureKind::Permission), 6);
        assert_eq!(code(FailureKind::Device), 7);
        assert_eq!(Failed::from(ConnectError::Silent).code, 3);
        assert_eq!(Failed::from(Lost::Closed).code, 3);
    }

    #[test]
    fn a_reader_that_had_enough_is_no_failure() {
        let failed = Failed::from(io::Error::from(ErrorKind::BrokenPipe));
        assert_eq!(failed, Failed { code: 0, message: None });
    }

    #[test]
    fn what_a_daemon_says_cannot_reach_the_terminal_raw() {
        let failed = Failed::from(Failure::new(FailureKind::NotFound, "no \x1b[2Jcall\n\u{202e}x"));
        assert_eq!(failed.message.unwrap(), "no [2Jcall x");
    }

    #[test]
    fn another_key_is_measured_by_what_was_known() {
        let ended = Some(EndReason::KeyChanged);
        let contact = CallInfo { ended, ..example::call(Direction::Outgoing) };
        let said = |call: &CallInfo| Failed::ended(call, &Network::default()).message.unwrap();
        assert!(said(&contact).starts_with("Alice shows another key than before"));
        let stranger = CallInfo { name: None, ..contact };
        let advice = "has another key than the invite names; do not go on, and ask its owner for a fresh invite";
        assert_eq!(said(&stranger), format!("{} {advice}", stranger.peer));
        assert_eq!(Failed::ended(&stranger, &Network::default()).code, 6);
    }

    #[test]
    fn being_offline_counts_the_bootstrap_nodes_and_a_missing_relay_is_named() {
        let network = Network { bootstrap: 2, ..Network::default() };
        let offline = Failed::missing(EndReason::Offline, "Bob", &network);
        assert!(offline.message.unwrap().contains("nor does any of the 2 configured bootstrap nodes"));
        let relay = Failed::missing(EndReason::NeedsRelay, "Bob", &network);
        assert_eq!((offline.code, relay.code), (4, 4));
        assert!(relay.message.unwrap().starts_with("only a relay would help to reach Bob"));
    }

    #[test]
    fn a_peer_nobody_finds_may_be_offline() {
        assert!(why(EndReason::NotFound, "Bob").contains("Bob was not found in the overlay: offline"));
        assert_eq!(code_of(EndReason::NotFound), 4);
        assert_eq!(code_of(EndReason::Declined), 5);
    }
}
