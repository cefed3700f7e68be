// SPDX-License-Identifier: GPL-3.0-or-later
//! The core's values as clients see them.

use std::net::SocketAddr;
use std::time::Duration;

use dvs_proto::message::{
    Audio, CallInfo, CallState, CallStats, Contact, Direction, EndReason, Identity, Lookup, Nat, Network, PastCall,
    Peer, Presence, Role, Sighting, Target, Trust,
};
use dvsd::call;
use dvsd::node::{CallView, EndCause, LookedUp, Node, SessionStats};
use dvsd::people;
use dvsd::routing::{NatKind, PeerStatus};
use dvsd::time::Now;

use super::desk::Part;
use crate::config::{self, Config};
use crate::talks::{Figures, Talks};

/// This daemon's identity.
pub(crate) fn identity(node: &Node, now: Now) -> Identity {
    let public = node.identity().public();
    Identity {
        id: public.id().to_string(),
        hex: public.id().to_hex(),
        fingerprint: public.fingerprint().to_string(),
        invite: node.invite(&[], now).to_string(),
        algorithm: public.kind().to_string(),
    }
}

/// What the settings make of this daemon in the overlay.
pub(crate) fn part(config: &Config) -> Part {
    let role = match config.network.role {
        config::Role::Seed => Role::Seed,
        config::Role::Peer if config.network.read_only => Role::ReadOnly,
        config::Role::Peer => Role::Peer,
    };
    Part { role, bootstrap: config.network.bootstrap.len() }
}

/// The state of the overlay.
pub(crate) fn network(node: &Node, part: Part, listen: SocketAddr, now: Now) -> Network {
    let status = node.routing_status(now);
    let text = |address: Option<SocketAddr>| address.map(|address| address.to_string());
    Network {
        listen: listen.to_string(),
        observed: text(status.observed),
        role: part.role,
        observed_v4: text(status.observed_v4.or(status.observed.filter(SocketAddr::is_ipv4))),
        observed_v6: text(status.observed_v6.or(status.observed.filter(SocketAddr::is_ipv6))),
        nat_v4: nat(status.nat_v4),
        nat_v6: nat(status.nat_v6),
        size: status.network_size,
        waiting: narrow(status.waiting),
        searching: narrow(status.lookups),
        recent_ms: status.recent.iter().copied().map(millis).collect(),
        requests: status.requests,
        punched: status.punched,
        peers: status.peers.iter().map(peer).collect(),
        bootstrap: narrow(part.bootstrap),
        nodes: narrow(status.nodes),
        good: narrow(status.good),
        online: status.online,
        buckets: status.buckets,
        lookups: narrow(status.found + status.not_found),
        lookups_found: narrow(status.found),
        lookup_ms: median(status.recent).map(millis),
        handshakes_answered: node.handshakes_answered(),
        drops: node.drops().iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect(),
    }
}

const fn nat(kind: NatKind) -> Nat {
    match kind {
        NatKind::Unknown => Nat::Unknown,
        NatKind::Open => Nat::Open,
        NatKind::Cone => Nat::Cone,
        NatKind::Symmetric => Nat::Symmetric,
    }
}

fn peer(peer: &PeerStatus) -> Peer {
    Peer {
        id: peer.id.to_string(),
        address: peer.address.to_string(),
        bucket: peer.bucket,
        rtt_us: peer.rtt.map(|rtt| narrow(rtt.as_micros())),
        age: narrow(peer.age.as_secs()),
        proven: peer.proven,
        good: peer.good,
    }
}

/// What came of a search.
pub(crate) fn lookup(lookup: &LookedUp, node: &Node) -> Lookup {
    let sighting = |(address, rtt): &(SocketAddr, Duration)| Sighting {
        address: address.to_string(),
        rtt_us: narrow(rtt.as_micros()),
    };
    Lookup {
        peer: lookup.peer.to_string(),
        name: name_of(lookup.peer, node),
        found: lookup.addresses.iter().map(sighting).collect(),
        took_us: narrow(lookup.took.as_micros()),
        missing: lookup.missing.map(end_reason),
    }
}

/// The sound set-up.
pub(crate) fn audio(talks: &Talks) -> Audio {
    let config = talks.config();
    Audio {
        backend: config.backend.to_string(),
        capture: config.capture.clone(),
        playback: config.playback.clone(),
        muted: talks.muted(),
        deafened: talks.deafened(),
        trouble: talks.trouble().map(str::to_owned),
    }
}

/// A person.
pub(crate) fn contact(contact: &people::Contact, presence: Presence) -> Contact {
    Contact {
        id: contact.id.to_string(),
        name: contact.name.clone(),
        trust: trust(contact.trust()),
        fingerprint: contact.fingerprint.map(|fingerprint| fingerprint.to_string()),
        last_seen: contact.last_seen,
        at: contact.at.iter().map(ToString::to_string).collect(),
        via: contact.via.iter().map(|(id, address)| format!("{id}@{address}")).collect(),
        last_address: contact.last_address.map(|address| address.to_string()),
        auto_answer: contact.auto_answer,
        presence,
    }
}

/// What is known of a key.
pub(crate) const fn trust(trust: people::Trust) -> Trust {
    match trust {
        people::Trust::Unknown => Trust::Unknown,
        people::Trust::Seen => Trust::Seen,
        people::Trust::Verified => Trust::Verified,
        people::Trust::Blocked => Trust::Blocked,
        people::Trust::Changed => Trust::Changed,
    }
}

/// Whose an entered text is.
pub(crate) fn target(resolved: &people::Resolved) -> Target {
    Target {
        id: resolved.invite.id.to_string(),
        hex: resolved.invite.id.to_hex(),
        name: resolved.name.clone(),
        own: resolved.target == people::Target::Own,
    }
}

/// A call, without what only the desk knows.
pub(crate) fn call(view: &CallView, node: &Node) -> CallInfo {
    let peer = view.key.peer;
    CallInfo {
        call: view.number.0,
        peer: peer.to_string(),
        name: name_of(peer, node),
        trust: trust(node.people().trust_of(peer)),
        direction: direction(view.direction),
        state: state(view.state),
        started: view.started.unix,
        answered: view.answered.map(|answered| answered.unix),
        answered_by: None,
        route: None,
        ended: view.cause.map(end_reason),
        lookup_us: view.found_after.map(|after| narrow(after.as_micros())),
        ring_us: view.rang_after.map(|after| narrow(after.as_micros())),
        held_here: view.held_here,
        held_there: view.held_there,
        attempt: view.attempt,
        tries: view.tries,
        can_wait: view.can_wait,
        until: view.until.map(|until| until.unix),
        unstable: view.unstable,
    }
}

/// A call of the past.
pub(crate) fn past_call(past: &call::PastCall, node: &Node) -> PastCall {
    PastCall {
        peer: past.peer.to_string(),
        name: name_of(past.peer, node),
        direction: direction(past.direction),
        started: past.started,
        talked: past.talked,
        ended: end_reason(past.cause),
    }
}

fn name_of(peer: dvsd::id::NodeId, node: &Node) -> Option<String> {
    node.people().name_of(peer).filter(|name| !name.is_empty()).map(str::to_owned)
}

/// The figures of a call's sound and session together.
pub(crate) fn stats(call: u32, figures: &Figures, session: Option<&SessionStats>, path_changes: u32) -> CallStats {
    let playout = &figures.playout;
    let rtt = session.and_then(|session| session.rtt);
    let network_us = rtt.map(|rtt| rtt.as_micros() as u64 / 2);
    CallStats {
        call,
        rtt_us: rtt.map(|rtt| narrow(rtt.as_micros())),
        jitter_us: playout.jitter_us,
        buffer_us: playout.buffered_us,
        sent: session.map_or(0, |session| session.media_sent.into()),
        packet_bytes: session.map_or(0, |session| session.media_bytes.last),
        packet_bytes_min: session.map_or(0, |session| session.media_bytes.min),
        packet_bytes_max: session.map_or(0, |session| session.media_bytes.max),
        received: playout.received,
        lost: playout.lost,
        late: playout.late,
        recovered: playout.recovered,
        concealed: playout.concealed,
        loss_permille: playout.loss_permille,
        stretched: playout.stretched,
        shortened: playout.shortened,
        tx_bitrate: figures.tx_bitrate,
        rx_bitrate: figures.rx_bitrate,
        xruns: figures.xruns,
        mouth_to_ear_us: network_us.map(|network| narrow(network + figures.delay_us)),
        capture_epoch_us: figures.capture_epoch_us,
        playback_epoch_us: figures.playback_epoch_us,
        epoch: session.map_or(0, |session| session.epoch),
        path_changes,
        not_authentic: session.map_or(0, |session| session.failed),
    }
}

const fn direction(direction: call::Direction) -> Direction {
    match direction {
        call::Direction::Outgoing => Direction::Outgoing,
        call::Direction::Incoming => Direction::Incoming,
    }
}

const fn state(state: call::State) -> CallState {
    match state {
        call::State::Lookup => CallState::Lookup,
        call::State::Connecting => CallState::Connecting,
        call::State::Calling => CallState::Calling,
        call::State::Ringing => CallState::Ringing,
        call::State::Alerting => CallState::Alerting,
        call::State::Busy => CallState::Busy,
        call::State::Waiting => CallState::Waiting,
        call::State::Active => CallState::Active,
        call::State::Held => CallState::Held,
        call::State::Reconnecting => CallState::Reconnecting,
        call::State::Ending => CallState::Ending,
        call::State::Ended => CallState::Ended,
    }
}

const fn end_reason(cause: EndCause) -> EndReason {
    match cause {
        EndCause::HungUp => EndReason::HungUp,
        EndCause::PeerHungUp => EndReason::PeerHungUp,
        EndCause::Declined => EndReason::Declined,
        EndCause::DeclinedHere => EndReason::DeclinedHere,
        EndCause::Busy => EndReason::Busy,
        EndCause::NoAnswer => EndReason::NoAnswer,
        EndCause::Missed => EndReason::Missed,
        EndCause::MissedBusy => EndReason::MissedBusy,
        EndCause::Refused => EndReason::Refused,
        EndCause::NotFound => EndReason::NotFound,
        EndCause::Offline => EndReason::Offline,
        EndCause::Unreachable => EndReason::Unreachable,
        EndCause::NeedsRelay => EndReason::NeedsRelay,
        EndCause::NoReply => EndReason::NoReply,
        EndCause::KeyChanged => EndReason::KeyChanged,
        EndCause::Version => EndReason::Version,
        EndCause::PeerLost => EndReason::PeerLost,
        EndCause::PeerRestarted => EndReason::PeerRestarted,
        EndCause::Protocol => EndReason::Protocol,
        EndCause::GoingAway => EndReason::GoingAway,
        EndCause::MediaFailure => EndReason::Media,
        EndCause::Blocked => EndReason::Blocked,
        EndCause::AnsweredElsewhere => EndReason::AnsweredElsewhere,
    }
}

/// The middle one of several durations.
fn median(mut durations: Vec<Duration>) -> Option<Duration> {
    durations.sort_unstable();
    durations.get(durations.len() / 2).copied()
}

fn millis(duration: Duration) -> u32 {
    narrow(duration.as_millis())
}

/// A number in a smaller type, cut at its largest value.
pub(super) fn narrow<Small, Large>(value: Large) -> Small
where
    Small: TryFrom<Large> + Limit,
{
    Small::try_from(value).unwrap_or(Small::LARGEST)
}

/// The largest value of a type.
pub(super) trait Limit {
    const LARGEST: Self;
}

impl Limit for u32 {
    const LARGEST: Self = Self::MAX;
}

impl Limit for u16 {
    const LARGEST: Self = Self::MAX;
}
