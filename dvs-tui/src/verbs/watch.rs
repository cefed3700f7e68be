// SPDX-License-Identifier: GPL-3.0-or-later
//! `dvs-tui watch`
//!
//! Levels and figures are left out: `dvs-tui stats --follow` shows those.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use dvs_proto::message::{CallInfo, CallState, Direction, Event, Policy, VerifyState};

use super::output::Output;
use crate::attach::Line;
use crate::failed::Failed;
use crate::ui::text::plural;
use crate::ui::{calls, overlay, policy, presence, verify};

/// Events that wait for their commands; `watch --help` names the number. Reading on keeps the daemon from taking us
/// for stuck.
const MAX_WAITING: usize = 1000;

/// Shows events as they come, or runs `command` for each.
pub(super) fn run(command: Option<String>, directory: Option<PathBuf>, out: &mut Output) -> Result<(), Failed> {
    let (mut line, _) = Line::open(directory)?;
    let Some(command) = command else {
        loop {
            out.show(&next(&mut line)?, in_words)?;
        }
    };
    let runner = Runner::start(command)?;
    let mut lost = Ok(());
    while lost.is_ok() {
        match next(&mut line) {
            Ok(event) => {
                if !runner.take(event) {
                    break;
                }
            }
            Err(error) => lost = Err(error),
        }
    }
    runner.finish()?;
    lost
}

/// The next event that is for watching.
fn next(line: &mut Line) -> Result<Event, Failed> {
    loop {
        let event = line.event()?;
        if !matches!(event, Event::Levels(_) | Event::Stats(_)) {
            return Ok(event);
        }
    }
}

/// Runs a command for each event, one after the other in the order of the events.
struct Runner {
    waiting: SyncSender<Event>,
    thread: JoinHandle<Result<(), Failed>>,
}

impl Runner {
    fn start(command: String) -> Result<Self, Failed> {
        let (waiting, events) = sync_channel(MAX_WAITING);
        let thread = thread::Builder::new().name("exec".to_owned()).spawn(move || run_each(&command, &events));
        let thread = thread.map_err(|error| Failed::internal(format!("cannot start a thread: {error}")))?;
        Ok(Self { waiting, thread })
    }

    /// Queues the command for an event; false when no commands can be run any more.
    fn take(&self, event: Event) -> bool {
        match self.waiting.try_send(event) {
            Ok(()) => true,
            Err(TrySendError::Full(event)) => {
                let kind = kind(&event);
                // Nothing can be done when even this fails.
                let _ = writeln!(io::stderr(), "dvs-tui: {MAX_WAITING} events wait for the command; left out: {kind}");
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }

    /// Lets the commands that wait still run.
    fn finish(self) -> Result<(), Failed> {
        drop(self.waiting);
        self.thread.join().unwrap_or_else(|_| Err(Failed::internal("the commands' thread broke down")))
    }
}

/// Runs `command` for each of `events`. It learns of the event by its environment: there nothing a peer chose can be
/// taken for a part of the command.
fn run_each(command: &str, events: &Receiver<Event>) -> Result<(), Failed> {
    for event in events {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(command).stdin(Stdio::null()).envs(variables(&event));
        shell.status().map_err(|error| Failed::internal(format!("cannot run sh: {error}")))?;
    }
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
        Event::Lookup(lookup) => {
            let state = if lookup.missing.is_none() { "found" } else { "missing" };
            (None, Some(state.to_owned()), Some(&lookup.peer), lookup.name.as_ref())
        }
        Event::Policy(policy) => (None, Some(state_of(*policy).to_owned()), None, None),
        Event::Verification(one) => (Some(one.call), Some(verify::word(one.state).to_owned()), None, None),
        Event::Presence { id, presence } => (None, Some(presence::word(*presence).to_owned()), Some(id), None),
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

fn state_of(new: Policy) -> &'static str {
    if new.do_not_disturb { "do-not-disturb" } else { policy::word(new.unknown_callers) }
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
        Event::Lookup(_) => "lookup",
        Event::Policy(_) => "policy",
        Event::Verification(_) => "verification",
        Event::Presence { .. } => "presence",
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
                None => format!("{} {}", call.call, super::call::progress(call)),
            }
        }
        Event::Network(network) => {
            format!("{}, {}", if network.online { "online" } else { "offline" }, plural(network.nodes, "node"))
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
        Event::Acted { client, action, call } => {
            let call = call.map(|call| format!(", call {call}")).unwrap_or_default();
            format!("{} {action}{call}", client.name)
        }
        Event::Policy(new) => policy::in_words(*new),
        Event::Verification(one) => {
            let words = match one.state {
                VerifyState::Compare => format!(" {}, {}", verify::words(one), verify::digits(one)),
                _ => String::new(),
            };
            format!("call {} {}{words}", one.call, verify::word(one.state))
        }
        Event::Presence { id, presence } => {
            format!("{id} {}", presence::in_words(*presence).as_deref().unwrap_or("unknown"))
        }
        Event::Activity { text, .. } => text.clone(),
        Event::Lookup(lookup) => {
            let who = lookup.name.as_ref().unwrap_or(&lookup.peer);
            match lookup.missing {
                Some(reason) => format!("{who}: {}", calls::why(reason, Direction::Outgoing, who)),
                None => format!("{who}: {}", overlay::found(lookup)),
            }
        }
        Event::Levels(_) | Event::Stats(_) => String::new(),
    };
    format!("{} {what}", kind(event))
}

#[cfg(test)]
mod tests {
    use dvs_proto::message::{ClientInfo, Presence};

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
    fn commands_run_one_after_the_other_in_the_order_of_the_events() {
        let file = std::env::temp_dir().join(format!("dvs-tui-watch-{}", std::process::id()));
        // The earlier a command, the longer it takes.
        let command = format!("sleep 0.$((3 - DVS_CALL)); echo $DVS_CALL $DVS_STATE >>'{}'", file.display());
        let runner = Runner::start(command).unwrap();
        for (call, state) in [(1, CallState::Active), (2, CallState::Ending), (3, CallState::Ended)] {
            assert!(runner.take(Event::Call(CallInfo { call, state, ..example::call(Direction::Incoming) })));
        }
        runner.finish().unwrap();
        let written = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(written, "1 active\n2 ending\n3 ended\n");
    }

    #[test]
    fn events_beyond_the_queue_are_left_out_and_the_others_stay() {
        let (waiting, events) = sync_channel(1);
        let runner = Runner { waiting, thread: thread::spawn(|| Ok(())) };
        let event = |id: &str| Event::ContactRemoved { id: id.to_owned() };
        assert!(runner.take(event("first")) && runner.take(event("second")));
        assert_eq!(events.try_recv().unwrap(), event("first"));
        assert!(events.try_recv().is_err());
    }

    #[test]
    fn the_help_names_every_state_and_event_that_commands_see() {
        use clap::CommandFactory;
        let mut cli = crate::cli::Cli::command();
        let help = cli.find_subcommand_mut("watch").unwrap().render_long_help().to_string();
        for state in "lookup connecting calling ringing alerting busy waiting active held reconnecting ending ended"
            .split(' ')
            .chain(["policy", "verification", "presence", "do-not-disturb", "compare", "differs", "offline", "silent"])
            .chain(["contact-removed", "client-gone", "acted", "history", "audio", "network", "activity", "lookup"])
            .chain(["DVS_EVENT", "DVS_CALL", "DVS_STATE", "DVS_PEER", "DVS_NAME", "1000"])
        {
            assert!(help.contains(state), "{state}");
        }
    }

    #[test]
    fn an_event_is_one_line() {
        let call = CallInfo { state: CallState::Alerting, ..example::call(Direction::Incoming) };
        assert!(in_words(&Event::Call(call)).ends_with("is calling"));
        let client = ClientInfo { client: 1, uid: 1000, name: "pts/3".into() };
        assert_eq!(in_words(&Event::ClientAttached(client.clone())), "client-attached 1 pts/3, user 1000");
        let acted = Event::Acted { client, action: "switched".into(), call: Some(2) };
        assert_eq!(in_words(&acted), "acted pts/3 switched, call 2");
        let words = in_words(&Event::Verification(example::verification(VerifyState::Compare)));
        assert_eq!(words, "verification call 1 compare anchor  garden  velvet, 48210 71234");
        let presence = Presence::Online { rtt_us: 23_000 };
        assert_eq!(in_words(&Event::Presence { id: "dvs1q".into(), presence }), "presence dvs1q online, 23 ms");
        let policy = Event::Policy(Policy { do_not_disturb: true, ..Policy::default() });
        assert!(in_words(&policy).starts_with("policy do not disturb"));
        assert_eq!(variables(&policy)[2].1, "do-not-disturb");
    }
}
