// SPDX-License-Identifier: GPL-3.0-or-later
//! The command line.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Args, Command, Parser, Subcommand, ValueEnum};

use crate::failed::USAGE;

/// Bounds of `--tries`.
const MIN_TRIES: i64 = dvs_proto::check::MIN_TRIES as i64;
const MAX_TRIES: i64 = dvs_proto::check::MAX_TRIES as i64;

/// The terminal client of DVS, for secure calls from peer to peer.
///
/// Without a verb it opens the full screen. Leaving it never ends a call.
///
/// Exit codes: 0 done, 2 used wrongly, 3 daemon unreachable, 4 not found, 5 busy, declined or not answered,
/// 6 not allowed, 7 sound device, 1 anything else.
#[derive(Debug, Parser)]
#[command(name = "dvs-tui", version, infer_subcommands = false)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Frames per second of the full screen, at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=60))]
    pub(crate) fps: Option<u8>,
    /// Draw the full screen with plain ASCII
    #[arg(long)]
    pub(crate) ascii: bool,
    /// No bell and no notification for incoming calls in the full screen
    #[arg(long)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
}

/// What all verbs understand.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Directory of the daemon's pipes [default: $XDG_RUNTIME_DIR/dvs, then /run/dvs]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) runtime_dir: Option<PathBuf>,
    /// Print one JSON object per line
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What the command of `watch --exec` finds in its environment.
const WATCH_VARIABLES: &str = "\
Variables for CMD, empty where they do not apply:
  DVS_EVENT  call, network, audio, contact, contact-removed, history, client-attached, client-gone, acted, activity,
             lookup, policy, verification, presence
  DVS_CALL   number of the call, of a call, acted or verification
  DVS_STATE  of a call: lookup, connecting, calling, ringing, alerting (it rings here), busy, waiting, active, held,
             reconnecting, ending, ended; of the network: online, offline; of acted: what was done;
             of a lookup: found, missing; of a policy: do-not-disturb, or else what becomes of unknown callers: ring,
             silent, reject; of a verification: exchanging, compare, matched, differs, failed; of a presence: unknown,
             online, offline
  DVS_PEER   ID of the peer or contact, or of who was looked for
  DVS_NAME   name of the contact; of a client-... or acted: the client; of an activity: its text";

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show this machine's ID, to be given to those who shall call
    Id {
        #[command(flatten)]
        form: IdForm,
        /// With --invite: also addresses that are of use in the own network only
        #[arg(long, requires = "invite")]
        local: bool,
    },
    /// Show the state of the daemon
    Status,
    /// Call somebody; returns when it rings there
    Call {
        /// A contact's name, an ID, or an invite
        who: String,
        /// Stay until the call is over
        #[arg(long)]
        wait: bool,
        /// Try so often while the other side is busy [default: tries in dvsd.toml]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(MIN_TRIES..=MAX_TRIES))]
        tries: Option<u8>,
        /// When the other side is busy, wait in its queue
        #[arg(long)]
        queue: bool,
    },
    /// Wait in the queue of somebody who is busy
    Wait {
        #[command(flatten)]
        which: WhichCall,
        /// Leave the queue instead
        #[arg(long)]
        leave: bool,
    },
    /// Answer the call that rings, or who waits in the queue; a call talked in is held
    Answer(WhichCall),
    /// Refuse the call that rings, or who waits in the queue
    Decline(WhichCall),
    /// Talk in another call, and hold the present one
    Switch(WhichCall),
    /// End the call
    Hangup(WhichCall),
    /// Switch the microphone off or on
    Mute {
        /// on: nothing is sent; off: speak again; without: the other of the two
        switch: Option<Switch>,
    },
    /// Switch the loudspeaker off or on
    Deafen {
        /// on: nothing is heard; off: hear again; without: the other of the two
        switch: Option<Switch>,
    },
    /// Put the call on hold, or resume it
    Hold {
        /// Number of the call, when there are several; on: neither side is heard; off: talk again; without: the other
        /// of the two
        #[arg(value_name = "CALL|on|off", num_args = 0..=2, value_parser = HoldParser)]
        words: Vec<HoldWord>,
        /// The same number
        #[arg(long, value_name = "N")]
        call: Option<u32>,
    },
    /// Let nobody ring; callers are noted as missed
    Dnd {
        /// on: nobody rings; off: calls ring again; without: the other of the two
        switch: Option<Switch>,
    },
    /// Show or set what becomes of calls from people who are no contacts
    Callers {
        /// ring: they ring; silent: it rings for them, but not here; reject: they are declined
        policy: Option<Strangers>,
    },
    /// Compare keys by voice, in a call
    Verify {
        /// start: show words that both sides read to each other, as without; match: they are the same, the contact is
        /// verified; differ: they are not
        step: Option<VerifyStep>,
        /// Number of the call, when there are several
        #[arg(long, value_name = "N")]
        call: Option<u32>,
    },
    /// The address book
    Contacts {
        #[command(subcommand)]
        verb: Option<ContactVerb>,
    },
    /// Show the latest calls
    History {
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Show the figures of the current call, or of the last one
    Stats {
        #[command(flatten)]
        which: WhichCall,
        /// Show them again every second while a call runs
        #[arg(long)]
        follow: bool,
    },
    /// Show the state of the overlay
    Network,
    /// Look for somebody in the overlay, without calling
    Lookup {
        /// A contact's name, an ID, or an invite
        who: String,
    },
    /// Show what happens, as it happens
    ///
    /// With --json each line is an event by its name and what it carries: {"Call":{"call":1,"state":"Active",...}}.
    #[command(after_long_help = WATCH_VARIABLES)]
    Watch {
        /// Run CMD with sh for each event, instead of showing it
        ///
        /// The commands run one after the other, in the order of the events. Up to 1000 events wait for their turn;
        /// what comes beyond is left out, with a line on standard error.
        #[arg(long, value_name = "CMD")]
        exec: Option<String>,
    },
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// How to show the ID.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct IdForm {
    /// As 40 hexadecimal digits
    #[arg(long)]
    pub(crate) hex: bool,
    /// The fingerprint of the key, to be read to others who verify it
    #[arg(long)]
    pub(crate) fingerprint: bool,
    /// As an invite, with fingerprint, public addresses, and public nodes to join the network through
    #[arg(long)]
    pub(crate) invite: bool,
    /// As a QR code
    #[arg(long)]
    pub(crate) qr: bool,
}

/// Which call is meant.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct WhichCall {
    /// Number of the call, when there are several
    #[arg(value_name = "CALL")]
    number: Option<u32>,
    /// The same number
    #[arg(long, value_name = "N", conflicts_with = "number")]
    call: Option<u32>,
}

impl WhichCall {
    /// Its number, if one was given.
    pub(crate) fn number(self) -> Option<u32> {
        self.number.or(self.call)
    }
}

/// What becomes of unknown callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Strangers {
    /// They ring.
    Ring,
    /// It rings for them, but not here.
    Silent,
    /// They are declined.
    Reject,
}

/// A step of comparing keys by voice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum VerifyStep {
    /// Show what to read out.
    #[default]
    Start,
    /// Both have the same.
    Match,
    /// They have not.
    Differ,
}

/// A word after `hold`: which call, or on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HoldWord {
    /// Which.
    Call(u32),
    /// What to do.
    Switch(Switch),
}

/// Reads the words after `hold`, which may come in either order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HoldParser;

impl TypedValueParser for HoldParser {
    type Value = HoldWord;

    fn parse_ref(&self, _: &Command, _: Option<&Arg>, value: &OsStr) -> Result<HoldWord, clap::Error> {
        let word = value.to_string_lossy();
        match (word.as_ref(), word.parse()) {
            ("on", _) => Ok(HoldWord::Switch(Switch::On)),
            ("off", _) => Ok(HoldWord::Switch(Switch::Off)),
            (_, Ok(number)) => Ok(HoldWord::Call(number)),
            (_, Err(_)) => {
                let message = format!("invalid value '{word}': say on, off, or the number of a call\n");
                Err(clap::Error::raw(ErrorKind::InvalidValue, message))
            }
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(["on", "off"].into_iter().map(PossibleValue::new)))
    }
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// Do it.
    On,
    /// Undo it.
    Off,
}

/// What can be done with contacts.
#[derive(Debug, Subcommand)]
pub(crate) enum ContactVerb {
    /// Show all contacts
    List,
    /// Show all that is known of a contact
    Show {
        /// Name or ID
        who: String,
    },
    /// Store a contact; an invite added again renews its addresses
    Add {
        /// Any name that is not taken, or the present one to renew addresses
        name: String,
        /// ID or invite
        id: String,
    },
    /// Give a contact another name
    Rename {
        /// Name or ID
        who: String,
        /// The new name
        name: String,
    },
    /// Forget a contact and its key
    Remove {
        /// Name or ID
        who: String,
    },
    /// Say that a contact's key is the right one
    Verify {
        /// Name or ID
        who: String,
        /// As the contact reads it out: dvs-tui id --fingerprint. Without it, and in a call with them, begins to compare
        /// keys by voice
        fingerprint: Vec<String>,
    },
    /// Answer a contact's calls at once, after a tone
    AutoAnswer {
        /// Name or ID
        who: String,
        /// on: at once; off: they ring
        switch: Switch,
    },
    /// Let somebody's calls through no more
    Block {
        /// Name, ID or invite
        who: String,
    },
    /// Let somebody's calls through again
    Unblock {
        /// Name, ID or invite
        who: String,
    },
}

impl Cli {
    /// Reads this program's arguments; what is wrong with them is said in one line.
    pub(crate) fn read() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            // Nothing can be done when even this fails.
            let _ = match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                    return error.print().map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
                }
                _ => writeln!(io::stderr(), "dvs-tui: {}; see: dvs-tui --help", one_line(&error)),
            };
            ExitCode::from(USAGE)
        })
    }
}

/// The first paragraph of clap's message, which says what is wrong.
fn one_line(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "a verb is missing".to_owned();
    }
    let whole = error.render().to_string();
    let paragraph = whole.lines().take_while(|line| !line.trim().is_empty());
    let line = paragraph.map(str::trim).collect::<Vec<_>>().join(" ");
    crate::ui::sanitise::text(line.strip_prefix("error: ").unwrap_or(&line))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn complaint(arguments: &[&str]) -> String {
        let arguments = ["dvs-tui"].iter().chain(arguments);
        one_line(&Cli::try_parse_from(arguments).unwrap_err())
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn json_and_the_directory_may_stand_anywhere() {
        let cli = Cli::try_parse_from(["dvs-tui", "call", "Bob", "--json", "--runtime-dir", "/x"]).unwrap();
        assert!(cli.common.json);
        assert_eq!(cli.common.runtime_dir, Some("/x".into()));
        assert!(Cli::try_parse_from(["dvs-tui", "--json", "contacts", "list"]).unwrap().common.json);
    }

    #[test]
    fn contacts_alone_lists_them() {
        let cli = Cli::try_parse_from(["dvs-tui", "contacts"]).unwrap();
        assert!(matches!(cli.verb, Some(Verb::Contacts { verb: None })));
    }

    #[test]
    fn a_call_is_named_by_a_number_before_or_after_the_switch() {
        let words = |arguments: &[&str]| match Cli::try_parse_from(["dvs-tui", "hold"].iter().chain(arguments)) {
            Ok(Cli { verb: Some(Verb::Hold { words, .. }), .. }) => words,
            other => panic!("{other:?}"),
        };
        assert_eq!(words(&["2", "on"]), [HoldWord::Call(2), HoldWord::Switch(Switch::On)]);
        assert_eq!(words(&["off", "2"]), [HoldWord::Switch(Switch::Off), HoldWord::Call(2)]);
        assert_eq!(words(&[]), []);
        let number = |arguments: &[&str]| match Cli::try_parse_from(["dvs-tui", "answer"].iter().chain(arguments)) {
            Ok(Cli { verb: Some(Verb::Answer(which)), .. }) => which.number(),
            other => panic!("{other:?}"),
        };
        assert_eq!([number(&["3"]), number(&["--call", "3"]), number(&[])], [Some(3), Some(3), None]);
    }

    #[test]
    fn tries_are_one_to_twenty_and_policies_have_three_words() {
        assert!(complaint(&["call", "Bob", "--tries", "0"]).contains("0 is not in 1..=20"));
        assert!(complaint(&["call", "Bob", "--tries", "21"]).contains("21 is not in 1..=20"));
        assert_eq!(complaint(&["hold", "maybe"]), "invalid value 'maybe': say on, off, or the number of a call");
        assert!(complaint(&["callers", "loud"]).contains("[possible values: ring, silent, reject]"));
        assert!(complaint(&["verify", "perhaps"]).contains("[possible values: start, match, differ]"));
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        assert_eq!(complaint(&["frobnicate"]), "unrecognized subcommand 'frobnicate'");
        assert_eq!(complaint(&["call"]), "the following required arguments were not provided: <WHO>");
        assert!(complaint(&["mute", "maybe"]).starts_with("invalid value 'maybe' for '[SWITCH]'"));
        assert!(complaint(&["id", "--hex", "--qr"]).contains("cannot be used with"));
        for arguments in [
            &["history", "--limit", "many"][..],
            &["stats", "--call"],
            &["status", "--no-such"],
            &["--fps", "0"],
            &["history", "--limit", "0"],
            &["hold", "maybe"],
            &["callers", "loud"],
            &["call", "Bob", "--tries", "0"],
            &["answer", "1", "--call", "2"],
        ] {
            assert!(!complaint(arguments).contains('\n'));
        }
    }
}
