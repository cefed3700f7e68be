// SPDX-License-Identifier: GPL-3.0-or-later
//! The overlay in words, for the screen and for the verbs.

use dvs_proto::message::{Lookup, Nat, Network, Peer, Role};

use super::text::plural;
use super::theme::Theme;

/// Entries of a full bucket.
const FULL_BUCKET: usize = 20;

/// What a node does for others.
pub(crate) fn role(role: Role) -> &'static str {
    match role {
        Role::Peer => "peer: calls, and answers other nodes",
        Role::Seed => "seed: others join through it; it has no sound",
        Role::ReadOnly => "read-only: asks other nodes, answers none, and cannot be called",
    }
}

/// What a NAT does, and what that means for calls.
pub(crate) fn nat(nat: Nat) -> &'static str {
    match nat {
        Nat::Unknown => "NAT not known yet, too few nodes have told",
        Nat::Open => "no NAT: calls come through directly",
        Nat::Cone => "NAT cone: calls come through directly",
        Nat::Symmetric => "NAT symmetric: calls with people behind strict NAT need a relay",
    }
}

/// Where others see us and what lies before that, for each family of which anything is known.
pub(crate) fn addresses(network: &Network) -> Vec<(&'static str, String)> {
    let families = [("IPv4", &network.observed_v4, network.nat_v4), ("IPv6", &network.observed_v6, network.nat_v6)];
    let seen = |(family, address, kind): (_, &Option<String>, _)| {
        address.as_ref().map(|address| (family, format!("seen as {address}, {}", nat(kind))))
    };
    families.into_iter().filter_map(seen).collect()
}

/// How many nodes there are in all, roughly: only the first two digits mean anything.
pub(crate) fn size(network: &Network) -> String {
    if !network.online || network.size == 0 {
        return "not known".to_owned();
    }
    let unit = 10_u64.pow(network.size.ilog10().saturating_sub(1));
    format!("about {}", plural(u32::try_from(network.size / unit * unit).unwrap_or(u32::MAX), "node"))
}

/// The routing table in numbers.
pub(crate) fn table(network: &Network) -> String {
    format!("{}, {} good, {} waiting for room", plural(network.nodes, "node"), network.good, network.waiting)
}

/// The lookups in numbers.
pub(crate) fn lookups(network: &Network) -> String {
    let missed = network.lookups.saturating_sub(network.lookups_found);
    let median = network.lookup_ms.map(|ms| format!(", usually in {ms} ms")).unwrap_or_default();
    format!("{} found{median}, {missed} not found, {} under way", network.lookups_found, network.searching)
}

/// Connections that came about by punching.
pub(crate) fn punched(network: &Network) -> String {
    if network.punched == 0 { "none".to_owned() } else { format!("{} through NAT on both sides", network.punched) }
}

/// A bucket as a bar of one column.
pub(crate) fn bar(entries: u8, theme: Theme) -> &'static str {
    let steps = theme.symbols.spark;
    let top = steps.len() - 1;
    let step = (usize::from(entries).min(FULL_BUCKET) * top).div_ceil(FULL_BUCKET);
    steps.get(step).copied().unwrap_or_default()
}

/// How long a node takes to answer.
pub(crate) fn rtt(us: Option<u32>) -> String {
    match us {
        None => "-".to_owned(),
        // The daemon keeps the times of its table in steps of 8 ms.
        Some(0) => "<8 ms".to_owned(),
        Some(us) => millis(us),
    }
}

/// Microseconds as milliseconds, with a decimal where that says something.
pub(crate) fn millis(us: u32) -> String {
    if us < 10_000 { format!("{}.{} ms", us / 1_000, us % 1_000 / 100) } else { format!("{} ms", us / 1_000) }
}

/// How long ago a node was heard.
pub(crate) fn heard(peer: &Peer) -> String {
    match peer.age {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

/// What to do while no other node answers.
pub(crate) fn offline(network: &Network) -> String {
    let (which, next) = match network.bootstrap {
        0 => (
            "and no bootstrap node is configured".to_owned(),
            "name one in dvsd.toml, or dial an invite that has an address",
        ),
        1 => ("nor does the configured bootstrap node".to_owned(), "check the network, and bootstrap in dvsd.toml"),
        count => (
            format!("nor does any of the {count} configured bootstrap nodes"),
            "check the network, and bootstrap in dvsd.toml",
        ),
    };
    format!("no node of the network answers, {which}: {next}")
}

/// Whether an invite says where its owner can be reached, or how to join the overlay.
pub(crate) fn has_address(invite: &str) -> bool {
    let (_, parameters) = invite.split_once('?').unwrap_or_default();
    parameters.split('&').any(|one| one.starts_with("at=") || one.starts_with("via="))
}

/// Where somebody was found, in one line.
pub(crate) fn found(lookup: &Lookup) -> String {
    let places: Vec<String> = lookup.found.iter().map(|at| format!("{} ({})", at.address, millis(at.rtt_us))).collect();
    format!("found in {}: {}", millis(lookup.took_us), places.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_the_network_is_no_more_exact_than_it_is_known() {
        let size = |size| super::size(&Network { size, online: true, ..Network::default() });
        assert_eq!(size(1), "about 1 node");
        assert_eq!(size(47), "about 47 nodes");
        assert_eq!(size(1_384), "about 1300 nodes");
        assert_eq!(size(0), "not known");
        assert_eq!(super::size(&Network { size: 9, ..Network::default() }), "not known");
    }

    #[test]
    fn only_families_that_are_seen_are_named() {
        let mut network = Network { observed_v6: Some("[2001:db8::1]:5004".into()), ..Network::default() };
        network.nat_v6 = Nat::Open;
        let seen = "seen as [2001:db8::1]:5004, no NAT: calls come through directly";
        assert_eq!(addresses(&network), [("IPv6", seen.to_owned())]);
    }

    #[test]
    fn a_full_bucket_is_a_full_bar_and_a_single_entry_can_be_seen() {
        let theme = Theme::new(true, true);
        assert_eq!([0, 1, 10, 20, 200].map(|entries| bar(entries, theme)), ["▁", "▂", "▅", "█", "█"]);
    }

    #[test]
    fn being_offline_says_what_to_do_next() {
        let advice = |bootstrap| offline(&Network { bootstrap, ..Network::default() });
        assert!(advice(0).ends_with(
            "no bootstrap node is configured: name one in dvsd.toml, or dial an invite that has an address"
        ));
        assert!(advice(1).contains("nor does the configured bootstrap node: check the network"));
        assert!(advice(3).contains("nor does any of the 3 configured bootstrap nodes"));
    }

    #[test]
    fn an_invite_with_an_address_is_told_from_one_without() {
        assert!(has_address("dvs:dvs1q?fp=x&at=192.0.2.1:5004"));
        assert!(has_address("dvs:dvs1q?via=dvs1p@192.0.2.1:5004"));
        assert!(!has_address("dvs:dvs1q?fp=x") && !has_address("dvs1q"));
    }

    #[test]
    fn short_times_have_a_decimal() {
        assert_eq!([0, 940, 9_960, 23_400].map(millis), ["0.0 ms", "0.9 ms", "9.9 ms", "23 ms"]);
    }
}
