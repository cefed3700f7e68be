// SPDX-License-Identifier: GPL-3.0-or-later
//! `dvs-tui lookup`

use std::path::PathBuf;
use std::time::{Duration, Instant};

use dvs_proto::message::{Event, Lookup, Network, Reply, Request};

use super::output::{Output, table};
use crate::attach::{Line, unexpected};
use crate::failed::Failed;
use crate::ui::overlay::millis;

/// A search takes 15 s at most, and names in an invite may have to be resolved before.
const PATIENCE: Duration = Duration::from_secs(30);

/// Looks for somebody without calling.
pub(super) fn run(target: String, directory: Option<PathBuf>, out: &mut Output) -> Result<(), Failed> {
    let (mut line, snapshot) = Line::open(directory)?;
    let asked = Instant::now();
    let reply = line.ask(Request::Lookup { target: target.clone() });
    let peer = match reply.map_err(|failed| super::contacts::mistyped(failed, &target, &snapshot.contacts))? {
        Reply::Target(target) => target.id,
        other => return Err(unexpected(&other)),
    };
    let mut network = snapshot.network;
    while let Some(event) = line.event_before(asked + PATIENCE)? {
        match event {
            Event::Lookup(lookup) if lookup.peer == peer => return show(&lookup, &network, out),
            Event::Network(news) => network = *news,
            _ => {}
        }
    }
    Err(Failed::not_found(format!("the search for {peer} has not ended within {} s", PATIENCE.as_secs())))
}

fn show(lookup: &Lookup, network: &Network, out: &mut Output) -> Result<(), Failed> {
    out.show(lookup, |lookup| if lookup.missing.is_none() { in_words(lookup) } else { String::new() })?;
    match lookup.missing {
        Some(reason) => Err(Failed::missing(reason, lookup.name.as_deref().unwrap_or(&lookup.peer), network)),
        None => Ok(()),
    }
}

fn in_words(lookup: &Lookup) -> String {
    let name = lookup.name.as_ref().map(|name| format!("{name}, ")).unwrap_or_default();
    let places = lookup.found.iter().map(|at| ["  at".to_owned(), at.address.clone(), millis(at.rtt_us)]);
    let places: Vec<[String; 3]> = places.collect();
    format!("{name}{}, found in {}\n{}", lookup.peer, millis(lookup.took_us), table(&places))
}

#[cfg(test)]
mod tests {
    use dvs_proto::message::Sighting;

    use super::*;

    #[test]
    fn whoever_is_found_is_shown_with_all_addresses() {
        let at = |address: &str, rtt_us| Sighting { address: address.into(), rtt_us };
        let lookup = Lookup {
            peer: "dvs1q".into(),
            name: Some("Bob".into()),
            found: vec![at("198.51.100.7:5004", 23_400), at("[2001:db8::7]:5004", 24_100)],
            took_us: 181_000,
            missing: None,
        };
        let words = "Bob, dvs1q, found in 181 ms\n  at  198.51.100.7:5004   23 ms\n  at  [2001:db8::7]:5004  24 ms";
        assert_eq!(in_words(&lookup), words);
    }
}
