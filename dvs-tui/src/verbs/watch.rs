// SPDX-License-Identifier: GPL-3.0-or-later
//! `dvs-tui watch`
//!
//! Levels and figures are left out: `dvs-tui stats --follow` shows those.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use dvs_proto::message::{CallInfo, CallState, Event};

use super::output::Output;
use crate::attach::Line;
use crate::failed::Failed;
use crate::ui::calls;

/// Commands that may run at the same time; the next event waits for one to end.
const MAX_RUNNING: usize = 16;

/// Shows events as they come, and runs `command` for each.
pub(super) fn run(command: Option<&str>, directory: Option<PathBuf>, out: &mut Output) -> Result<(), Failed> {
    let (mut line, _) = Line::open(directory)?;
    let mut running = Vec::new();
    loop {
        let event = line.event()?;
        if matches!(event, Event::Levels(_) | Event::Stats(_)) {
            continue;
        }
        match command {
            Some(command) => start(command, &event, &mut running)?,
            None => out.show(&event, in_words)?,
        }
    }
}

/// Starts `command`, which learns of the event by its environment: there nothing a peer chose can be taken for a
/// part of the command.
fn start(command: &str, event: &Event, running: &mut Vec<Child>) -> Result<(), Failed> {
    let failed = |error: std::io::Error| Failed::internal(format!("cannot run sh: {error}"));
    running.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    if running.len() >= MAX_RUNNING {
        running.remove(0).wait().map_err(failed)?;
    }
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).stdin(Stdio::null()).envs(variables(event));
    running.push(shell.spawn().map_err(failed)?);
    Ok(())
}

fn variables(event: &Event) -> [(&'static str, String); 5] {
    let (call, state, peer, name) = match event {
        Event::Call(call) => of_call(call),
        Event::History(past) => (None, None, Some(&past.peer), past.name.as_ref()),
        Event::Contact(contact) => (None, None, Some(&contact.id), Some(&contact.name)),
        Event::ContactRemoved { id } => (None, None, Some(id), None),
        Event::ClientAttached(client) | Event::ClientGone(client) => (None, None, None, Some(&client.name)),
        Event::Acted { client, action, call } => (*call, Some(action.clone()), None, Some(&client.name)),
        Event::Network(network) => {
            (None, Some(if network.online { "online" } else { "offline" }.to_owned()), None, None)
        }
        Event::Activity { text, .. } => (None, None, None, Some(text)),
        Event::Audio(_) | Event::Levels(_) | Event::Stats(_) => (None, None, None, None),
    };
    [
        ("DVS_EVENT", kind(event).to_owned()),
        ("DVS_CALL", call.map(|call| call.to_string()).unwrap_or_default()),
        ("DVS_STATE", state.unwrap_or_default()),
        ("DVS_PEER", peer.cloned().unwrap_or_default()),
        ("DVS_NAME", name.cloned().unwrap_or_default()),
    ]
}

fn of_call(call: &CallInfo) -> (Option<u32>, Option<String>, Option<&String>, Option<&String>) {
    (Some(call.call), Some(format!("{:?}", call.state).to_lowercase()), Some(&call.peer), call.name.as_ref())
}

/// The event's name in `DVS_EVENT`.
fn kind(event: &Event) -> &'static str {
    match event {
        Event::Call(_) => "call",
        Event::Network(_) => "network",
        Event::Audio(_) => "audio",
        Event::Contact(_) => "contact",
        Event::ContactRemoved { .. } => "contact-removed",
        Event::History(_) => "history",
        Event::ClientAttached(_) => "client-attached",
        Event::ClientGone(_) => "client-gone",
        Event::Acted { .. } => "acted",
        Event::Activity { .. } => "activity",
        Event::Levels(_) => "levels",
        Event::Stats(_) => "stats",
    }
}

fn in_words(event: &Event) -> String {
    let what = match event {
        Event::Call(call) => {
            let who = super::call::who(call);
            match call.ended.filter(|_| call.state == CallState::Ended) {
                Some(reason) => {
                    format!("{} with {who} is over: {}", call.call, calls::why(reason, call.direction, who))
                }
                None => format!("{} {}", call.call, calls::progress(call, who)),
            }
        }
        Event::Network(network) => {
            format!("{}, {} nodes", if network.online { "online" } else { "offline" }, network.nodes)
        }
        Event::Audio(audio) => audio.trouble.clone().unwrap_or_else(|| {
            let on = |off: bool| if off { "off" } else { "on" };
            format!("microphone {}, loudspeaker {}", on(audio.muted), on(audio.deafened))
        }),
        Event::Contact(contact) => format!("{} {}", contact.name, contact.id),
        Event::ContactRemoved { id } => id.clone(),
        Event::History(past) => past.name.clone().unwrap_or_else(|| past.peer.clone()),
        Event::ClientAttached(client) | Event::ClientGone(client) => {
            format!("{} {}, user {}", client.client, client.name, client.uid)
        }
        Event::Acted { client, action, .. } => format!("{} {action}", client.name),
        Event::Activity { text, .. } => text.clone(),
        Event::Levels(_) | Event::Stats(_) => String::new(),
    };
    format!("{} {what}", kind(event))
}

#[cfg(test)]
mod tests {
    use dvs_proto::message::{ClientInfo, Direction};

    use super::*;
    use crate::ui::example;

    #[test]
    fn a_command_learns_of_a_call_by_its_environment() {
        let call = CallInfo { state: CallState::Alerting, ..example::call(Direction::Incoming) };
        let variables = variables(&Event::Call(call.clone()));
        assert_eq!(
            variables.clone().map(|(key, _)| key),
            ["DVS_EVENT", "DVS_CALL", "DVS_STATE", "DVS_PEER", "DVS_NAME"]
        );
        let expected =
            ["call".to_owned(), call.call.to_string(), "alerting".into(), call.peer, call.name.unwrap_or_default()];
        assert_eq!(variables.map(|(_, value)| value), expected);
    }

    #[test]
    fn commands_run_at_the_same_time_but_not_without_limit() {
        let client = ClientInfo { client: 1, uid: 0, name: "x".into() };
        let mut running = Vec::new();
        for _ in 0..MAX_RUNNING + 3 {
            start("sleep 0.2", &Event::ClientGone(client.clone()), &mut running).unwrap();
            assert!(running.len() <= MAX_RUNNING);
        }
        running.into_iter().for_each(|mut child| drop(child.wait()));
    }

    #[test]
    fn an_event_is_one_line() {
        let call = CallInfo { state: CallState::Alerting, ..example::call(Direction::Incoming) };
        assert!(in_words(&Event::Call(call)).ends_with("is calling"));
        let client = ClientInfo { client: 1, uid: 1000, name: "pts/3".into() };
        assert_eq!(in_words(&Event::ClientAttached(client)), "client-attached 1 pts/3, user 1000");
    }
}
