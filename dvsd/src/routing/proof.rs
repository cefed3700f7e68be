// SPDX-License-Identifier: GPL-3.0-or-later
//! Proofs: a node shows that the key behind its ID is its own, and from which address it is asked.
//!
//! The proof names the address at which the prover sees the asker. So a man in the middle who passes our question on to
//! the true owner of an ID gets a proof that names him, and we refuse it.
//!
//! Timers: a PROOF_REQ is repeated once, unchanged, after the time-out of a request, and given up after another.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use super::entry::Contact;
use super::limits::{Network, Sources};
use super::requests::Purpose;
use super::table::Sighting;
use super::{Drop, Routing};
use crate::crypto::identity::{PublicIdentity, SignatureRole};
use crate::crypto::kdf::{Digest, sha256};
use crate::id::NodeId;
use crate::random::Random;
use crate::time::Instant;
use crate::wire::address;
use crate::wire::routing::{CHALLENGE_LEN, Message, Packet};

/// Proofs asked for at a time; who comes beyond waits.
const MAX_PENDING: usize = 32;
/// Proofs asked for per second, so that no more are verified: a verification costs about as much as a signature.
const CHECKS: (u32, u32) = (10, 10);
/// … and of one network, so that it does not use them all up.
const CHECKS_EACH: (u32, u32) = (2, 4);
/// Proofs given per second, and at once.
const SIGNATURES: (u32, u32) = (20, 40);
/// … and for one network.
const SIGNATURES_EACH: (u32, u32) = (2, 8);

/// A proof that was asked for.
#[derive(Clone, Copy, Debug)]
struct Pending {
    id: NodeId,
    to: SocketAddr,
    challenge: [u8; CHALLENGE_LEN],
    sent: Instant,
    timeout: Duration,
    is_repeat: bool,
}

impl Pending {
    fn due(&self) -> Instant {
        self.sent + self.timeout
    }
}

/// The proofs asked for, by transaction, and what they may cost.
pub(super) struct Proofs {
    pending: BTreeMap<u64, Pending>,
    signatures: Sources<Network>,
    asked: Sources<Network>,
}

impl Proofs {
    pub(super) fn new(now: Instant) -> Self {
        let (signatures, asked) =
            (Sources::new(SIGNATURES_EACH, SIGNATURES, now), Sources::new(CHECKS_EACH, CHECKS, now));
        Self { pending: BTreeMap::new(), signatures, asked }
    }

    /// When the next one times out.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.pending.values().map(Pending::due).min()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether `id` at `to` may be asked now. If so, that counts.
    fn admit(&mut self, id: &NodeId, to: SocketAddr, now: Instant) -> bool {
        let is_asked = self.pending.values().any(|pending| pending.id == *id);
        !is_asked && self.pending.len() < MAX_PENDING && self.asked.admit(Network::of(to), now)
    }

    fn time_out(&mut self, now: Instant) -> Vec<(u64, Pending)> {
        let due = self.pending.iter().filter(|(_, pending)| pending.due() <= now);
        let due: Vec<(u64, Pending)> = due.map(|(txid, pending)| (*txid, *pending)).collect();
        due.iter().for_each(|(txid, _)| _ = self.pending.remove(txid));
        due
    }

    /// The proof that `txid` from `from` gives.
    fn finish(&mut self, txid: u64, from: SocketAddr) -> Option<Pending> {
        self.pending.get(&txid).filter(|pending| pending.to == from)?;
        self.pending.remove(&txid)
    }
}

/// What is signed.
fn digest(
    challenge: &[u8; CHALLENGE_LEN],
    origin: &NodeId,
    responder: &NodeId,
    observed: SocketAddr,
    caps: u8,
) -> Digest {
    let mut seen = Vec::with_capacity(20);
    address::emit(observed, &mut seen);
    seen.push(caps);
    sha256(&[challenge, &origin.0, &responder.0, &seen])
}

impl Routing {
    /// Answers a PROOF_REQ. It costs a signature, so it must come with a token, and there are only so many per second.
    pub(super) fn answer_proof_req(&mut self, from: SocketAddr, packet: &Packet, now: Instant) -> Result<(), Drop> {
        let Message::ProofReq { origin, token, challenge } = packet.message else { return Err(Drop::Unsolicited) };
        let identity = self.config.identity.clone().ok_or(Drop::ReadOnly)?;
        if !self.issuer.accepts(token, from) {
            return Err(Drop::Token);
        }
        self.admit(from, origin, token, now)?;
        if !self.proofs.signatures.admit(Network::of(from), now) {
            return Err(Drop::RateLimited);
        }
        let (responder, caps) = (self.config.node_id, self.config.caps);
        let digest = digest(&challenge, &origin, &responder, from, caps);
        let signature = identity.sign(SignatureRole::NodeProof, &digest).map_err(|_| Drop::Proof)?;
        let public = identity.public();
        let (algorithm, spki) = (public.algorithm(), public.spki().to_vec());
        let message = Message::Proof { responder, observed: from, algorithm, spki, signature };
        self.transmit(from, &Packet { flags: 0, caps, txid: packet.txid, message });
        Ok(())
    }

    /// Asks `id` at `to`, which answered in `rtt`, for a proof, if it gave a token and there is room.
    pub(super) fn seek_proof(
        &mut self,
        id: NodeId,
        to: SocketAddr,
        rtt: Option<Duration>,
        now: Instant,
        random: &mut Random,
    ) {
        let has_token = !self.received.for_node(to, now).is_none();
        if !has_token || self.strikes.is_ignored(to, now) || !self.proofs.admit(&id, to, now) {
            return;
        }
        let timeout = self.requests.timeout(rtt);
        let pending = Pending { id, to, challenge: random.bytes(), sent: now, timeout, is_repeat: false };
        self.send_proof_req(random.next_u64(), pending, now);
    }

    fn send_proof_req(&mut self, txid: u64, pending: Pending, now: Instant) {
        let (origin, token) = (self.config.node_id, self.received.for_node(pending.to, now));
        let message = Message::ProofReq { origin, token, challenge: pending.challenge };
        let flags = self.request_flags(None);
        self.proofs.pending.insert(txid, Pending { sent: now, ..pending });
        self.counters.requests += 1;
        self.transmit(pending.to, &Packet { flags, caps: self.config.caps, txid, message });
    }

    /// Takes a PROOF if it was asked for.
    pub(super) fn handle_proof(
        &mut self,
        from: SocketAddr,
        packet: &Packet,
        now: Instant,
        random: &mut Random,
    ) -> Result<(), Drop> {
        let Message::Proof { observed, .. } = packet.message else { return Err(Drop::Unsolicited) };
        let pending = self.proofs.finish(packet.txid, from).ok_or(Drop::Unsolicited)?;
        if !self.is_proof(&pending, packet) {
            self.strike(from, now);
            return Err(Drop::Proof);
        }
        self.note_heard(now, random);
        if !self.nat.is_ours(observed, from) {
            self.table.gave_no_proof(&pending.id, from);
            return Err(Drop::Proof);
        }
        let (rtt, caps) = (now.since(pending.sent), packet.caps);
        self.note_sighting(&Sighting { id: pending.id, address: from, caps, rtt, proven: true }, now, random);
        self.nominate_spare(now, random);
        Ok(())
    }

    /// Whether the key is that of the node asked and its signature is right. Which address it names is another matter.
    fn is_proof(&self, pending: &Pending, packet: &Packet) -> bool {
        let Message::Proof { responder, observed, algorithm, spki, signature } = &packet.message else { return false };
        let Ok(public) = PublicIdentity::parse(*algorithm, spki) else { return false };
        let digest = digest(&pending.challenge, &self.config.node_id, responder, *observed, packet.caps);
        *responder == pending.id
            && public.id() == pending.id
            && public.verify(SignatureRole::NodeProof, &digest, signature)
    }

    /// Repeats the questions that were not answered in time, and gives those up that were repeated.
    pub(super) fn time_out_proofs(&mut self, now: Instant, random: &mut Random) {
        for (txid, pending) in self.proofs.time_out(now) {
            if !pending.is_repeat {
                self.send_proof_req(txid, Pending { is_repeat: true, ..pending }, now);
                continue;
            }
            self.received.forget(pending.to);
            self.table.gave_no_proof(&pending.id, pending.to);
            self.nominate_spare(now, random);
        }
    }

    /// Asks one node for a proof that got in without, in a place where one is needed by now. If it gave no token
    /// lately, a PING fetches one first.
    pub(super) fn prove_next(&mut self, now: Instant, random: &mut Random) {
        let Some(Contact { id, address, rtt, .. }) = self.table.next_to_prove() else { return };
        if self.received.for_node(address, now).is_none() {
            self.ask(address, Some(id), None, Purpose::Prove, now, random);
        } else {
            self.seek_proof(id, address, rtt, now, random);
        }
    }
}
