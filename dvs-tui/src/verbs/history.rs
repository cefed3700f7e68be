// SPDX-License-Identifier: GPL-3.0-or-later
//! `dvs-tui history`

use std::path::PathBuf;
use std::time::Instant;

use dvs_proto::message::{Direction, PastCall, Reply, Request};

use super::output::Output;
use crate::attach::{Line, unexpected};
use crate::failed::Failed;
use crate::ui::time::{self, Zone};
use crate::ui::{calls, environment};

/// Shows the latest calls.
pub(super) fn run(limit: u32, directory: Option<PathBuf>, out: &mut Output) -> Result<(), Failed> {
    let (mut line, _) = Line::open(directory)?;
    match line.ask(Request::History { limit })? {
        Reply::History(past) => {
            let now = now();
            out.list(&past, "no calls yet", |call| row(call, Zone(environment::offset), now))
        }
        other => Err(unexpected(&other)),
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    environment::now(Instant::now()).unix
}

fn row(call: &PastCall, zone: Zone, now: u64) -> [String; 4] {
    let way = match call.direction {
        Direction::Outgoing => "to",
        Direction::Incoming => "from",
    };
    let who = call.name.as_deref().unwrap_or(&call.peer);
    let outcome = match call.talked {
        Some(seconds) => format!("{}, {}", time::timer(seconds.into()), calls::why(call.ended, call.direction, who)),
        None => calls::why(call.ended, call.direction, who),
    };
    [zone.when(call.started, now), way.to_owned(), who.to_owned(), outcome]
}

#[cfg(test)]
mod tests {
    use dvs_proto::message::EndReason;

    use super::*;

    #[test]
    fn a_past_call_is_one_line() {
        let mut call = PastCall {
            peer: "dvs1q".into(),
            name: Some("Alice".into()),
            direction: Direction::Incoming,
            started: 1_750_255_320,
            talked: Some(207),
            ended: EndReason::PeerHungUp,
        };
        let row = |call: &PastCall| row(call, Zone(|_| 0), 1_750_255_400).join(" | ");
        assert_eq!(row(&call), "today 14:02 | from | Alice | 03:27, Alice hung up");
        call = PastCall { name: None, talked: None, ended: EndReason::Missed, ..call };
        assert_eq!(row(&call), "today 14:02 | from | dvs1q | missed");
    }
}
