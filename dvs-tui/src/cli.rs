// SPDX-License-Identifier: GPL-3.0-or-later
//! The command line.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::failed::USAGE;

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
             lookup
  DVS_CALL   number of the call, of a call or acted
  DVS_STATE  of a call: lookup, connecting, calling, ringing, alerting (it rings here), busy, waiting, active, held,
             reconnecting, ending, ended; of the network: online, offline; of acted: what was done;
             of a lookup: found, missing
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
    },
    /// Answer the call that rings
    Answer(WhichCall),
    /// Refuse the call that rings
    Decline(WhichCall),
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
        /// on: neither side is heard; off: talk again; without: the other of the two
        switch: Option<Switch>,
        #[command(flatten)]
        which: WhichCall,
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
    #[arg(long, value_name = "N")]
    pub(crate) call: Option<u32>,
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
        ] {
            assert!(!complaint(arguments).contains('\n'));
        }
    }
}
