// SPDX-License-Identifier: GPL-3.0-or-later
//! `dvs-tui dnd` and `dvs-tui callers`: who may ring.

use std::path::PathBuf;

use dvs_proto::message::{Reply, Request, UnknownCallers};

use super::handle::on;
use super::output::Output;
use crate::attach::{Line, unexpected};
use crate::cli::{Strangers, Switch};
use crate::failed::Failed;
use crate::ui::policy;

/// Lets nobody ring, or lets them again.
pub(super) fn disturb(switch: Option<Switch>, directory: Option<PathBuf>, out: &mut Output) -> Result<(), Failed> {
    let (mut line, _) = Line::open(directory)?;
    match line.ask(Request::DoNotDisturb { on: on(switch) })? {
        Reply::Policy(new) => out.show(&new, |new| policy::disturb(new.do_not_disturb).to_owned()),
        other => Err(unexpected(&other)),
    }
}

/// Shows or sets what becomes of unknown callers.
pub(super) fn callers(chosen: Option<Strangers>, directory: Option<PathBuf>, out: &mut Output) -> Result<(), Failed> {
    let (mut line, snapshot) = Line::open(directory)?;
    let said = |policy: UnknownCallers| format!("{}: {}", policy::word(policy), policy::strangers(policy));
    let Some(chosen) = chosen else {
        return out.show(&snapshot.policy, |policy| said(policy.unknown_callers));
    };
    match line.ask(Request::UnknownCallers { policy: meant(chosen) })? {
        Reply::Policy(new) => out.show(&new, |new| said(new.unknown_callers)),
        other => Err(unexpected(&other)),
    }
}

fn meant(word: Strangers) -> UnknownCallers {
    match word {
        Strangers::Ring => UnknownCallers::Ring,
        Strangers::Silent => UnknownCallers::Silent,
        Strangers::Reject => UnknownCallers::Reject,
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn the_words_of_the_verb_are_those_of_the_screen() {
        for word in Strangers::value_variants() {
            let name = word.to_possible_value().map(|value| value.get_name().to_owned());
            assert_eq!(name.as_deref(), Some(policy::word(meant(*word))));
        }
    }
}
