// SPDX-License-Identifier: GPL-3.0-or-later
//! `dvs-tui status` and `dvs-tui network`

use std::path::PathBuf;

use dvs_proto::message::{Audio, CallInfo, ClientInfo, Contact, Network, Peer, Snapshot, Trust, VerifyState};

use super::output::{Output, table};
use crate::attach::Line;
use crate::failed::Failed;
use crate::ui::text::plural;
use crate::ui::{overlay, policy, presence, time, trust, verify};

/// Shows the daemon's state.
pub(super) fn status(directory: Option<PathBuf>, out: &mut Output) -> Result<(), Failed> {
    let (_line, snapshot) = Line::open(directory)?;
    out.show(&snapshot, in_words)
}

/// Shows the overlay's state.
pub(super) fn network(directory: Option<PathBuf>, out: &mut Output) -> Result<(), Failed> {
    let (_line, snapshot) = Line::open(directory)?;
    out.show(&snapshot.network, in_detail)
}

fn in_words(snapshot: &Snapshot) -> String {
    let mut rows = vec![
        ["daemon".to_owned(), format!("dvsd {}", snapshot.version)],
        ["id".to_owned(), snapshot.identity.id.clone()],
        ["overlay".to_owned(), presence(&snapshot.network)],
        ["sound".to_owned(), sound(&snapshot.audio)],
    ];
    rows.extend(snapshot.audio.trouble.iter().map(|trouble| ["trouble".to_owned(), trouble.clone()]));
    rows.push(["ringing".to_owned(), policy::in_words(snapshot.policy)]);
    let now = super::history::now();
    rows.extend(snapshot.calls.iter().map(|call| [format!("call {}", call.call), call_line(call, now)]));
    let comparing = snapshot.verification.iter().filter(|one| one.state == VerifyState::Compare);
    rows.extend(comparing.map(|one| {
        let line = format!("call {}, {}, {}", one.call, verify::words(one), verify::digits(one));
        ["verify".to_owned(), line]
    }));
    let known = snapshot.contacts.iter().filter_map(contact_line);
    rows.extend(known.map(|line| ["contact".to_owned(), line]));
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

/// What is worth knowing of a contact now: whether it can be reached, and that its key changed.
fn contact_line(contact: &Contact) -> Option<String> {
    let presence = presence::in_words(contact.presence);
    let changed = (contact.trust == Trust::Changed).then(|| trust::words(contact.trust).to_owned());
    let all: Vec<String> = changed.into_iter().chain(presence).collect();
    (!all.is_empty()).then(|| format!("{} {}", contact.name, all.join(", ")))
}

fn call_line(call: &CallInfo, now: u64) -> String {
    let route = call.route.as_deref().map(|route| format!(", {route}")).unwrap_or_default();
    let by = call.answered_by.as_deref().map(|who| format!(", answered by {who}")).unwrap_or_default();
    let since = match call.answered {
        Some(answered) => format!(", for {}", time::timer(now.saturating_sub(answered))),
        None => format!(", since {}", time::timer(now.saturating_sub(call.started))),
    };
    let trust = trust::words(call.trust);
    format!("{}{since}, {trust}{route}{by}", super::call::progress(call))
}

fn client_line(client: &ClientInfo, you: u32) -> String {
    let mark = if client.client == you { " (this one)" } else { "" };
    format!("{} {}, user {}{mark}", client.client, client.name, client.uid)
}

fn in_detail(network: &Network) -> String {
    let buckets = network.buckets.iter().map(|(index, entries)| format!("{index}:{entries}"));
    let drops = network.drops.iter().map(|(reason, count)| format!("{reason} {count}"));
    let seen = overlay::addresses(network);
    let mut rows = vec![
        ("state", if network.online { "online".to_owned() } else { format!("offline: {}", overlay::offline(network)) }),
        ("role", overlay::role(network.role).to_owned()),
        ("listening", network.listen.clone()),
    ];
    rows.extend(seen);
    rows.extend([
        ("network", overlay::size(network)),
        ("table", overlay::table(network)),
        ("buckets", or_none(buckets.collect::<Vec<_>>().join(" "))),
        ("lookups", overlay::lookups(network)),
        ("punched", overlay::punched(network)),
        ("dropped", or_none(drops.collect::<Vec<_>>().join(", "))),
    ]);
    let rows: Vec<[String; 2]> = rows.into_iter().map(|(label, value)| [label.to_owned(), value]).collect();
    format!("{}{}", table(&rows), peers(&network.peers))
}

/// The nodes known, closest first.
fn peers(peers: &[Peer]) -> String {
    if peers.is_empty() {
        return String::new();
    }
    let mark = |on: bool| if on { "yes" } else { "no" }.to_owned();
    let row = |peer: &Peer| {
        let (rtt, heard) = (overlay::rtt(peer.rtt_us), overlay::heard(peer));
        [peer.id.clone(), peer.address.clone(), rtt, heard, mark(peer.good), mark(peer.proven)]
    };
    let head = ["closest nodes", "address", "RTT", "heard", "good", "proven"].map(str::to_owned);
    let rows: Vec<[String; 6]> = [head].into_iter().chain(peers.iter().map(row)).collect();
    format!("\n\n{}", table(&rows))
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use dvs_proto::message::{CallState, Direction, Policy, Presence, UnknownCallers};

    use super::*;
    use crate::ui::example;

    #[test]
    fn the_state_is_a_table_of_few_lines() {
        let text = in_words(&example::snapshot());
        assert!(text.starts_with("daemon "), "{text}");
        assert!(text.lines().all(|line| line.len() < 120), "{text}");
    }

    #[test]
    fn calls_policy_presence_and_words_to_compare_are_rows() {
        let busy = CallInfo {
            call: 2,
            name: Some("Bob".into()),
            state: CallState::Busy,
            attempt: 1,
            tries: 3,
            until: Some(0),
            ..example::call(Direction::Outgoing)
        };
        let mut state = example::snapshot();
        state.policy = Policy { do_not_disturb: true, unknown_callers: UnknownCallers::Reject };
        state.contacts[1].presence = Presence::Online { rtt_us: 23_000 };
        state.verification = Some(example::verification(VerifyState::Compare));
        state.calls = vec![CallInfo { unstable: true, ..example::active(Direction::Outgoing) }];
        let text = in_words(&state);
        for row in [
            "ringing  do not disturb: nobody rings, callers are noted as missed; unknown callers are declined",
            "verify   call 1, anchor  garden  velvet, 48210 71234",
            "contact  Bob online, 23 ms",
            "contact  Dave KEY CHANGED",
        ] {
            assert!(text.lines().any(|line| line == row), "{row}\n{text}");
        }
        assert!(text.contains("call 1   talking with Alice, connection unstable, for "), "{text}");
        let line = call_line(&busy, example::NOON);
        assert!(line.starts_with("Bob is in another call, try 2 of 3 in 00:00, since 00:07, verified"), "{line}");
    }

    #[test]
    fn only_real_sound_has_devices() {
        let audio = example::snapshot().audio;
        assert_eq!(sound(&audio), "alsa, microphone plughw:USB, loudspeaker default");
        assert_eq!(sound(&Audio { backend: "tone".into(), muted: true, ..audio }), "tone, muted");
    }

    #[test]
    fn an_empty_overlay_is_described_too() {
        let network = Network { listen: "[::]:5004".into(), bootstrap: 1, ..Network::default() };
        let expected = [
            "state      offline: no node of the network answers, nor does the configured bootstrap node: check the \
             network, and bootstrap in dvsd.toml",
            "role       peer: calls, and answers other nodes",
            "listening  [::]:5004",
            "network    not known",
            "table      0 nodes, 0 good, 0 waiting for room",
            "buckets    none",
            "lookups    0 found, 0 not found, 0 under way",
            "punched    none",
            "dropped    none",
        ];
        assert_eq!(in_detail(&network), expected.join("\n"));
    }

    #[test]
    fn addresses_and_peers_are_listed_with_what_they_mean() {
        let text = in_detail(&example::snapshot().network);
        for line in [
            "IPv4       seen as 203.0.113.9:41822, NAT cone: calls come through directly",
            "IPv6       seen as [2001:db8:7::9]:5004, no NAT: calls come through directly",
            "lookups    110 found, usually in 180 ms, 2 not found, 1 under way",
            "punched    3 through NAT on both sides",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        let last = text.lines().last().unwrap();
        let cells: Vec<&str> = last.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(cells, [example::CAROL, "192.0.2.201:49152", "-", "2 h", "no", "no"]);
    }
}
