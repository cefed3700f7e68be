// SPDX-License-Identifier: GPL-3.0-or-later
//! The verbs: everything the full screen does, one at a time, for scripts and screen readers.
//!
//! With `--json` each verb prints one JSON object per line, whose fields are those of `dvs_proto::message`:
//!
//! | verb | each line is |
//! |---|---|
//! | `id` | an `Identity` |
//! | `status` | the `Snapshot` |
//! | `call`, `wait`, `answer`, `decline`, `switch`, `hangup`, `hold` | a `CallInfo`; with `call --wait` one per change |
//! | `mute`, `deafen` | `{"on":true}` or `{"on":false}` |
//! | `dnd`, `callers` | the `Policy` |
//! | `verify`, `contacts verify` without a fingerprint | a `Verification` |
//! | `contacts` | a `Contact` |
//! | `history` | a `PastCall` |
//! | `stats` | a `CallStats` |
//! | `network` | a `Network` |
//! | `lookup` | a `Lookup`, also when nothing was found |
//! | `watch` | an `Event`: its name and what it carries, as in `{"Call":{…}}` |
//!
//! What is done without anything left to show is `{"done":true}`.

mod call;
mod contacts;
mod handle;
mod history;
mod id;
mod lookup;
mod output;
mod policy;
mod queue;
mod stats;
mod status;
mod verify;
mod watch;

use clap::CommandFactory;
use dvs_proto::message::Request;

use crate::cli::{Cli, Common, Verb};
use crate::failed::Failed;

use self::output::Output;

/// Does what `verb` says.
pub(crate) fn run(verb: Verb, common: &Common) -> Result<(), Failed> {
    let mut out = Output::new(common.json);
    let directory = || common.runtime_dir.clone();
    match verb {
        Verb::Completions { shell } => completions(shell, &mut out),
        Verb::Id { form, local } => id::run(&form, local, directory(), &mut out),
        Verb::Status => status::status(directory(), &mut out),
        Verb::Network => status::network(directory(), &mut out),
        Verb::Lookup { who } => lookup::run(who, directory(), &mut out),
        Verb::Call { who, wait, tries, queue } => {
            call::run(Request::Dial { target: who.clone(), tries, wait: queue }, &who, wait, directory(), &mut out)
        }
        Verb::Wait { which, leave } => queue::run(which.number(), !leave, directory(), &mut out),
        Verb::Dnd { switch } => policy::disturb(switch, directory(), &mut out),
        Verb::Callers { policy } => policy::callers(policy, directory(), &mut out),
        Verb::Verify { step, call } => verify::run(step.unwrap_or_default(), call, directory(), &mut out),
        Verb::Contacts { verb } => contacts::run(verb, directory(), &mut out),
        Verb::History { limit } => history::run(limit, directory(), &mut out),
        Verb::Stats { which, follow } => stats::run(which, follow, directory(), &mut out),
        Verb::Watch { exec } => watch::run(exec, directory(), &mut out),
        Verb::Answer(_)
        | Verb::Decline(_)
        | Verb::Switch(_)
        | Verb::Hangup(_)
        | Verb::Hold { .. }
        | Verb::Mute { .. }
        | Verb::Deafen { .. } => handle::run(&verb, directory(), &mut out),
    }
}

fn completions(shell: clap_complete::Shell, out: &mut Output) -> Result<(), Failed> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "dvs-tui", &mut script);
    out.line(String::from_utf8_lossy(&script).trim_end())
}
