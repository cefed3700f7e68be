// SPDX-License-Identifier: GPL-3.0-or-later
//! `dvs-tui wait`: a place in the queue of somebody who is busy.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use dvs_proto::message::{CallInfo, CallState, Event, Network, Reply, Request};

use super::call::{progress, who};
use super::output::Output;
use crate::attach::{Line, unexpected};
use crate::failed::Failed;

/// How long the peer may take to say whether it has a place; the daemon gives up after 5 s.
const PATIENCE: Duration = Duration::from_secs(8);

/// Asks for a place and waits until it is certain, or leaves the queue.
pub(super) fn run(call: Option<u32>, on: bool, directory: Option<PathBuf>, out: &mut Output) -> Result<(), Failed> {
    let (mut line, snapshot) = Line::open(directory)?;
    let info = match line.ask(Request::Wait { call, on })? {
        Reply::Call(info) => info,
        Reply::Done => return out.done("the call is over"),
        other => return Err(unexpected(&other)),
    };
    if !on {
        return out.show(&info, |info| format!("left the queue of {}", who(info)));
    }
    let info = placed(&mut line, info, &snapshot.network)?;
    out.show(&info, |info| format!("{} (call {})", progress(info), info.call))
}

/// The call as soon as it has a place, or even rings.
fn placed(line: &mut Line, mut info: CallInfo, network: &Network) -> Result<CallInfo, Failed> {
    let deadline = Instant::now() + PATIENCE;
    while !matters(&info) {
        match line.event_before(deadline)? {
            Some(Event::Call(news)) if news.call == info.call => info = news,
            Some(_) => {}
            None => return Err(Failed::not_answered(no_place(&info))),
        }
    }
    match info.state {
        CallState::Ended => Err(Failed::ended(&info, network)),
        CallState::Busy => Err(Failed::not_answered(no_place(&info))),
        _ => Ok(info),
    }
}

/// Whether it is certain what came of it.
fn matters(info: &CallInfo) -> bool {
    match info.state {
        // While the peer is asked nothing else is waited for.
        CallState::Busy => info.until.is_some(),
        CallState::Lookup | CallState::Connecting | CallState::Calling | CallState::Ending => false,
        _ => true,
    }
}

fn no_place(info: &CallInfo) -> String {
    format!("there is no place in the queue of {}", who(info))
}

#[cfg(test)]
mod tests {
    use dvs_proto::message::Direction;

    use super::*;
    use crate::ui::example::{NOON, call};

    #[test]
    fn a_place_is_certain_when_the_call_waits_rings_or_is_busy_again() {
        let asking = CallInfo { state: CallState::Busy, until: None, ..call(Direction::Outgoing) };
        assert!(!matters(&asking));
        assert!(matters(&CallInfo { until: Some(NOON), ..asking.clone() }));
        assert!(matters(&CallInfo { state: CallState::Waiting, ..asking.clone() }));
        assert!(matters(&CallInfo { state: CallState::Ended, ..asking }));
    }
}
