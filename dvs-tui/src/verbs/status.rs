// SPDX-License-Identifier: GPL-3.0-or-later
//! `dvs-tui status` and `dvs-tui network`

use std::path::PathBuf;

use dvs_proto::message::{Audio, CallInfo, ClientInfo, Network, Snapshot};

use super::output::{Output, table};
use crate::attach::Line;
use crate::failed::Failed;
use crate::ui::calls;
use crate::ui::text::plural;

/// Shows the daemon's state.
pub(super) fn status(directory: Option<PathBuf>, out: &mut Output) -> Result<(), Failed> {
    let (_line, snapshot) = Line::open(directory)?;
    out.show(&snapshot, in_words)
}

/// Shows the overlay's state.
pub(super) fn network(directory: Option<PathBuf>, out: &mut Output) -> Result<(), Failed> {
    let (_line, snapshot) = Line::open(directory)?;
    out.show(&snapshot.network, overlay)
}

fn in_words(snapshot: &Snapshot) -> String {
    let mut rows = vec![
        ["daemon".to_owned(), format!("dvsd {}", snapshot.version)],
        ["id".to_owned(), snapshot.identity.id.clone()],
        ["overlay".to_owned(), presence(&snapshot.network)],
        ["sound".to_owned(), sound(&snapshot.audio)],
    ];
    rows.extend(snapshot.audio.trouble.iter().map(|trouble| ["trouble".to_owned(), trouble.clone()]));
    rows.extend(snapshot.calls.iter().map(|call| [format!("call {}", call.call), call_line(call)]));
    rows.extend(snapshot.clients.iter().map(|client| ["client".to_owned(), client_line(client, snapshot.you)]));
    table(&rows)
}

fn presence(network: &Network) -> String {
    let state = if network.online { "online" } else { "offline" };
    format!("{state}, {}, {} of them good", plural(network.nodes, "node"), network.good)
}

fn sound(audio: &Audio) -> String {
    // The other back-ends have no devices, whatever the configuration names.
    let devices = match audio.backend.as_str() {
        "alsa" => format!(", microphone {}, loudspeaker {}", audio.capture, audio.playback),
        _ => String::new(),
    };
    let muted = if audio.muted { ", muted" } else { "" };
    let deafened = if audio.deafened { ", deafened" } else { "" };
    format!("{}{devices}{muted}{deafened}", audio.backend)
}

fn call_line(call: &CallInfo) -> String {
    let route = call.route.as_deref().map(|route| format!(", {route}")).unwrap_or_default();
    let by = call.answered_by.as_deref().map(|who| format!(", answered by {who}")).unwrap_or_default();
    format!("{}{route}{by}", calls::progress(call, super::call::who(call)))
}

fn client_line(client: &ClientInfo, you: u32) -> String {
    let mark = if client.client == you { " (this one)" } else { "" };
    format!("{} {}, user {}{mark}", client.client, client.name, client.uid)
}

fn overlay(network: &Network) -> String {
    let buckets = network.buckets.iter().map(|(index, entries)| format!("{index}:{entries}"));
    let drops = network.drops.iter().map(|(reason, count)| format!("{reason} {count}"));
    let lookups = match network.lookup_ms {
        Some(ms) => format!("{}, {} found, median {ms} ms", network.lookups, network.lookups_found),
        None => format!("{}, {} found", network.lookups, network.lookups_found),
    };
    let rows = [
        ["state".to_owned(), presence(network)],
        ["listening".to_owned(), network.listen.clone()],
        ["seen as".to_owned(), network.observed.clone().unwrap_or_else(|| "unknown".to_owned())],
        ["lookups".to_owned(), lookups],
        ["buckets".to_owned(), or_none(buckets.collect::<Vec<_>>().join(" "))],
        ["dropped".to_owned(), or_none(drops.collect::<Vec<_>>().join(", "))],
    ];
    table(&rows)
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::example;

    #[test]
    fn the_state_is_a_table_of_few_lines() {
        let text = in_words(&example::snapshot());
        assert!(text.starts_with("daemon "), "{text}");
        assert!(text.lines().all(|line| line.len() < 120), "{text}");
    }

    #[test]
    fn only_real_sound_has_devices() {
        let audio = example::snapshot().audio;
        assert_eq!(sound(&audio), "alsa, microphone plughw:USB, loudspeaker default");
        assert_eq!(sound(&Audio { backend: "tone".into(), muted: true, ..audio }), "tone, muted");
    }

    #[test]
    fn an_empty_overlay_is_described_too() {
        let text = overlay(&Network { listen: "[::]:5004".into(), ..Network::default() });
        assert_eq!(
            text,
            "state      offline, 0 nodes, 0 of them good\nlistening  [::]:5004\nseen as    unknown\n\
             lookups    0, 0 found\nbuckets    none\ndropped    none"
        );
    }
}
