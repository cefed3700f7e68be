// SPDX-License-Identifier: GPL-3.0-or-later
//! `dvs-bench crypto`: instructions of a handshake and of a media packet, allocations per media packet, and what it saves
//! to take a P-256 key from its template.
//!
//! The work runs in this same program under callgrind, once a little of it and once more; the difference is what is
//! reported, so that setting up counts for nothing.

use core::hint::black_box;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use dvs_tests::callgrind::instructions;
use dvs_tests::cost::{Talk, handshakes};
use dvs_tests::{heap, latency::median};
use dvsd::crypto::identity::{Identity, KeyKind, PublicIdentity};
use dvsd::random::Random;
use openssl::pkey::PKey;
use openssl::sha::{sha1, sha256};
use serde_json::json;

/// What one side of a handshake may cost, in instructions.
const MOST_HANDSHAKE: f64 = 3_000_000.0;
/// What sealing and opening a packet may cost together, in instructions.
const MOST_PACKET: f64 = 8_000.0;

/// How often work is done to be counted: handshakes, packets.
const HANDSHAKES: [usize; 2] = [2, 12];
/// Enough packets that one sub-key is changed for the next as often as it is in a call.
const PACKETS: [usize; 2] = [64, 64 + 4_096];
/// Public keys read in one go, and how many times.
const KEYS: u32 = 200;
const ROUNDS: usize = 30;

/// What was measured.
pub(crate) struct Costs {
    initiator: f64,
    responder: f64,
    packet: f64,
    /// The same with finding the session, the queues, the timers.
    session: f64,
    allocations: f64,
    template_us: f64,
    der_us: f64,
}

/// Does `times` pieces of the work with this name, to be counted from outside.
pub(crate) fn work(name: &str, times: &str) -> Result<()> {
    let times = times.parse().context("not a number")?;
    match name {
        "handshakes" => handshakes(times),
        "packets" => Talk::begin()?.pass(times),
        other => bail!("no work {other}"),
    }
}

pub(crate) fn measure() -> Result<Costs> {
    let [template_us, der_us] = keys()?;
    Ok(Costs {
        initiator: counted("handshakes", HANDSHAKES, &["*cost*initiator_begins*", "*cost*initiator_checks*"])?,
        responder: counted("handshakes", HANDSHAKES, &["*cost*responder_answers*", "*cost*responder_checks*"])?,
        packet: counted("packets", PACKETS, &["*Tunnel*seal_media_in*", "*Tunnel*open*"])?,
        session: counted("packets", PACKETS, &["*cost*sender_seals*", "*cost*receiver_opens*"])?,
        allocations: allocations()?,
        template_us,
        der_us,
    })
}

/// Instructions that one piece of the work `name` spends in `functions`, of which none calls another.
fn counted(name: &str, times: [usize; 2], functions: &[&str]) -> Result<f64> {
    functions.iter().map(|function| counted_in(name, times, function)).sum()
}

fn counted_in(name: &str, [few, many]: [usize; 2], function: &str) -> Result<f64> {
    let program = std::env::current_exe()?;
    let count = |times: usize| {
        let mut command = Command::new(&program);
        command.args(["work", name, &times.to_string()]);
        instructions(&command, function)
    };
    let (small, large) = (count(few)?, count(many)?);
    ensure!(small > 0 && large > small, "callgrind does not know {function}");
    Ok((large - small) as f64 / (many - few) as f64)
}

fn allocations() -> Result<f64> {
    let [few, many] = PACKETS;
    let mut talk = Talk::begin()?;
    talk.pass(few)?;
    let before = heap::allocations();
    talk.pass(many)?;
    Ok((heap::allocations() - before) as f64 / many as f64)
}

/// Microseconds to take in a P-256 key with its ID and fingerprint: from the template, and with OpenSSL's decoder.
fn keys() -> Result<[f64; 2]> {
    let identity = Identity::generate(KeyKind::P256, &mut Random::seeded(3))?;
    let spki = identity.public().spki();
    let from_template = || {
        let _ = black_box(PublicIdentity::parse(1, black_box(spki)));
    };
    let from_der = || {
        let _ = black_box((PKey::public_key_from_der(black_box(spki)), sha1(spki), sha256(spki), spki.to_vec()));
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(timed(from_template));
        theirs.push(timed(from_der));
    }
    Ok([median(&ours).context("no time")?, median(&theirs).context("no time")?])
}

fn timed(read: impl Fn()) -> f64 {
    let start = Instant::now();
    (0..KEYS).for_each(|_| read());
    start.elapsed().as_secs_f64() * 1e6 / f64::from(KEYS)
}

impl Costs {
    /// A table for people.
    pub(crate) fn table(&self) -> String {
        [
            ("handshake, initiator: instructions", self.initiator),
            ("handshake, responder: instructions", self.responder),
            ("80-byte packet sealed and opened: instructions", self.packet),
            ("the same through both session layers", self.session),
            ("allocations per packet", self.allocations),
            ("P-256 key from its template, us", self.template_us),
            ("P-256 key from DER, us", self.der_us),
        ]
        .map(|(what, figure)| format!("{what:<48} {figure:>12.2}\n"))
        .concat()
    }

    /// One JSON object on one line.
    pub(crate) fn json(&self) -> String {
        json!({
            "handshake_instructions_initiator": self.initiator.round(),
            "handshake_instructions_responder": self.responder.round(),
            "seal_open_instructions": self.packet.round(),
            "session_packet_instructions": self.session.round(),
            "allocations_per_packet": self.allocations,
            "p256_from_template_us": (self.template_us * 100.0).round() / 100.0,
            "p256_from_der_us": (self.der_us * 100.0).round() / 100.0,
        })
        .to_string()
    }

    /// A sentence for each figure that is not as it must be.
    pub(crate) fn misses(&self) -> Vec<String> {
        let bounds = [
            ("the initiator's handshake, in instructions,", self.initiator, MOST_HANDSHAKE),
            ("the responder's handshake, in instructions,", self.responder, MOST_HANDSHAKE),
            ("sealing and opening a packet, in instructions,", self.packet, MOST_PACKET),
            ("the number of allocations per packet", self.allocations, 0.0),
        ];
        let missed = bounds.into_iter().filter(|(_, figure, most)| figure > most);
        missed.map(|(what, figure, most)| format!("{what} is {figure:.2}, and must be at most {most}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_its_bound_is_said() {
        let costs = |packet, allocations| Costs {
            initiator: 2e6,
            responder: 2e6,
            packet,
            session: 9_000.0,
            allocations,
            template_us: 10.0,
            der_us: 100.0,
        };
        assert!(costs(8_000.0, 0.0).misses().is_empty());
        assert_eq!(costs(8_001.0, 0.01).misses().len(), 2);
        assert!(costs(7_000.4, 0.0).json().contains(r#""seal_open_instructions":7000.0"#));
    }
}
