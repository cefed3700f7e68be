// SPDX-License-Identifier: GPL-3.0-or-later
//! The only place that knows all layers and lets them speak to each other.
//!
//! A [`Node`] is one pure state machine: [`Node::handle`] takes one [`Input`] with the time and returns a [`Drain`],
//! which hands out every [`Output`] that follows from it and says when to call again. The layers below never see each
//! other; whatever one of them says to another passes through here as a value.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use crate::call::{CallKey, CallNumber, Calls, State};
use crate::crypto::identity::Identity;
use crate::id::{Invite, LocalId, MAX_HINTS, NodeId};
use crate::path::{Path, Scope, Transmit};
use crate::people::People;
use crate::random::Random;
use crate::routing::{NatKind, Routing, RoutingConfig};
use crate::session::{SessionId, Sessions};
use crate::time::{Deadline, Instant, Now};
use crate::wire::control::{MediaReport, Reason};
use crate::wire::{Layer, Malformed};

mod commands;
mod glue;
mod presence;
mod rescue;
#[cfg(test)]
mod tests;
mod verify;

pub use self::commands::{Hints, LookUpError};
pub use self::presence::Presence;
use self::rescue::{MAX_KNOWN, Rescues};
pub use self::verify::VerifyError;
pub use crate::call::{CallConfig, CallError, CallView, DialError, DialOptions, EndCause};
pub use crate::people::verify::{Sas, VerifyState};
pub use crate::people::{Contact, PeopleConfig, PeopleError, Policy, UnknownCallers};
pub use crate::routing::Status as RoutingStatus;
pub use crate::session::SessionStats;

/// The one identity of this release; more come with pseudo-identities.
pub const MAIN: LocalId = LocalId(0);

/// How a node is set up.
#[derive(Debug)]
pub struct Config {
    /// Signalling: ring timeouts and the like.
    pub call: CallConfig,
    /// What to do with callers.
    pub people: PeopleConfig,
    /// What the socket can reach.
    pub routing: RoutingConfig,
    /// Contacts as the store remembers them.
    pub contacts: Vec<Contact>,
}

/// One thing that happened in the world.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram came in; it is decrypted in place.
    Datagram {
        /// Where from.
        from: Path,
        /// Its bytes.
        bytes: &'a mut [u8],
    },
    /// The deadline has passed.
    Timeout,
    /// Addresses through which the overlay may be joined, already resolved.
    Bootstrap(&'a [SocketAddr]),
    /// Nodes of the overlay that an earlier run knew, as [`Node::saved_nodes`] gave them.
    Restore(&'a [(NodeId, SocketAddr)]),
    /// Interfaces, addresses or routes have changed, or the machine has slept. Also to be told once at the start.
    NetworkChanged {
        /// The addresses of this machine now.
        local: &'a [IpAddr],
    },
    /// A host name that [`Node::dial`] was told to wait for is resolved; without an address when that failed.
    Hints {
        /// The peer.
        peer: NodeId,
        /// Its possible addresses.
        addresses: &'a [SocketAddr],
    },
    /// The microphone's next encoded frame.
    Frame {
        /// The call it belongs to.
        call: CallNumber,
        /// The monotonic time of its first sample.
        captured: crate::time::Instant,
        /// Its duration in ticks of 2.5 ms.
        ticks: u8,
        /// Whether it is the first since the device was opened.
        first: bool,
        /// The Opus packet.
        opus: &'a [u8],
    },
    /// What the playout saw of the peer's media; passed on to the peer.
    Report {
        /// The call it belongs to.
        call: CallNumber,
        /// The figures.
        report: MediaReport,
    },
    /// Whether a client is attached: presence is of interest only then.
    Attended(bool),
    /// The daemon shuts down: end calls and sessions politely.
    Shutdown,
}

/// One thing to be done in the world.
#[derive(Debug)]
pub enum Output {
    /// Send a datagram.
    Transmit(Transmit),
    /// Tell whoever wants to know.
    Event(Event),
    /// Hand a media packet to the playout of a call.
    Play {
        /// The call.
        call: CallNumber,
        /// Media sequence number, in ticks of 2.5 ms.
        seq: u32,
        /// The decrypted payload, not empty.
        payload: Vec<u8>,
    },
    /// Open the sound devices for a call: its user has dialled or answered.
    StartAudio {
        /// The call.
        call: CallNumber,
        /// It was answered without asking: whoever is in the room must hear that before the microphone opens.
        announce: bool,
    },
    /// Close the sound devices of a call.
    StopAudio {
        /// The call.
        call: CallNumber,
    },
    /// The peer's report about the media it receives from us.
    PeerReport {
        /// The call.
        call: CallNumber,
        /// The figures.
        report: MediaReport,
    },
}

/// One thing that users may want to know.
#[derive(Debug)]
pub enum Event {
    /// A call appeared or changed.
    Call(CallView),
    /// A contact appeared or changed.
    Contact(Contact),
    /// A contact is gone.
    ContactRemoved(NodeId),
    /// A known peer showed another key than the pinned one.
    KeyChanged(NodeId),
    /// The overlay was joined, left, or sees us at another address.
    Network,
    /// A search asked for by [`Node::look_up`] is over.
    LookedUp(LookedUp),
    /// A call was answered without asking, as configured.
    AutoAnswered(CallNumber),
    /// What happens with callers was changed; to be stored.
    Policy(Policy),
    /// The verification by voice of a call began or went on.
    Verification {
        /// The call.
        call: CallNumber,
        /// Where it stands.
        state: VerifyState,
    },
    /// A contact can be reached, or cannot any more.
    Presence {
        /// Who.
        peer: NodeId,
        /// Whether.
        presence: Presence,
    },
}

/// What came of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookedUp {
    /// Who was looked for.
    pub peer: NodeId,
    /// Where it answered, with the round-trip time, quickest first; none when it was not found.
    pub addresses: Vec<(SocketAddr, Duration)>,
    /// How long the search took.
    pub took: Duration,
    /// Why it was not found.
    pub missing: Option<EndCause>,
}

/// The state machine of a whole daemon.
pub struct Node {
    identity: Arc<Identity>,
    routing: Routing,
    sessions: Sessions,
    calls: Calls,
    people: People,
    random: Random,
    /// Addresses that came with a dial, until the search begins.
    hints: BTreeMap<NodeId, Vec<SocketAddr>>,
    /// How many host names are still being resolved for a search.
    unresolved: BTreeMap<NodeId, usize>,
    /// Searches that the user asked for without calling, and since when.
    lookups: BTreeMap<NodeId, Instant>,
    /// Where peers were found, until the handshake took over.
    found: BTreeMap<NodeId, Vec<(Path, Option<Duration>)>>,
    /// Why a search or a handshake came to nothing while the other goes on.
    failures: BTreeMap<NodeId, EndCause>,
    /// Peers of calls that are not heard and looked for.
    rescues: Rescues,
    /// Whom each session is with.
    peers: BTreeMap<SessionId, CallKey>,
    /// Calls between `StartAudio` and `StopAudio`.
    talking: BTreeMap<CallNumber, CallKey>,
    /// Who called last and is to be answered without asking, and whether that is announced.
    unasked: BTreeMap<CallKey, bool>,
    /// Verifications by voice that were begun.
    voice_checks: BTreeMap<CallKey, verify::VoiceCheck>,
    /// Who of the contacts can be reached.
    watch: presence::Watch,
    outputs: VecDeque<Output>,
    drops: BTreeMap<&'static str, u64>,
}

impl Node {
    /// A node with one identity, which is its node key too.
    pub fn new(identity: Identity, config: Config, now: Now, mut random: Random) -> Self {
        let identity = Arc::new(identity);
        let id = identity.public().id();
        let mut sessions = Sessions::new(&mut random);
        sessions.add_local(MAIN, Arc::clone(&identity));
        let mut calls = Calls::new(config.call);
        calls.add_local(MAIN, id);
        calls.set_quiet(config.people.do_not_disturb, now);
        let routing = RoutingConfig { node_id: id, identity: Some(Arc::clone(&identity)), ..config.routing };
        Self {
            routing: Routing::new(routing, now, &mut random),
            calls,
            identity,
            sessions,
            people: People::new(config.people, vec![id], config.contacts),
            random,
            hints: BTreeMap::new(),
            unresolved: BTreeMap::new(),
            lookups: BTreeMap::new(),
            found: BTreeMap::new(),
            failures: BTreeMap::new(),
            rescues: Rescues::default(),
            peers: BTreeMap::new(),
            talking: BTreeMap::new(),
            unasked: BTreeMap::new(),
            voice_checks: BTreeMap::new(),
            watch: presence::Watch::default(),
            outputs: VecDeque::new(),
            drops: BTreeMap::new(),
        }
    }

    /// The age at which the keys of a session are replaced: 15 minutes until told otherwise.
    pub const fn set_rekey_after(&mut self, after: Duration) {
        self.sessions.set_rekey_after(after);
    }

    /// Takes one input. Nothing leaves until the returned [`Drain`] is emptied.
    pub fn handle(&mut self, input: Input<'_>, now: Now) -> Drain<'_> {
        match input {
            Input::Datagram { from, bytes } => self.handle_datagram(from, bytes, now),
            Input::Timeout => self.handle_timeout(now),
            Input::Bootstrap(addresses) => self.routing.bootstrap(addresses, now, &mut self.random),
            Input::Restore(nodes) => self.routing.restore(nodes, now, &mut self.random),
            Input::NetworkChanged { local } => self.network_changed(local, now),
            Input::Hints { peer, addresses } => self.handle_hints(peer, addresses, now),
            Input::Frame { call, captured, ticks, first, opus } => {
                if let Some(session) = self.session_of_call(call) {
                    self.sessions.send_media(session, captured, ticks, first, opus, now);
                }
            }
            Input::Report { call, report } => self.send_report(call, report, now),
            Input::Attended(on) => self.attended(on, now),
            Input::Shutdown => self.shut_down(now),
        }
        self.drain(now)
    }

    fn drain(&mut self, now: Now) -> Drain<'_> {
        self.pump(now);
        Drain(self)
    }

    fn handle_datagram(&mut self, from: Path, bytes: &mut [u8], now: Now) {
        let dropped = match (Layer::of(bytes), from) {
            (_, Path::Direct(address)) if Scope::of(address) == Scope::Unusable => Some("source"),
            (Ok(Layer::Routing), Path::Direct(address)) => {
                self.routing.handle(address, bytes, now, &mut self.random).err().map(|drop| drop.name())
            }
            (Ok(Layer::Handshake | Layer::Session), _) => {
                self.sessions.handle(from, bytes, now, &mut self.random).err().map(|drop| drop.name())
            }
            (Ok(Layer::Circuit | Layer::Routing), _) => Some("no circuit"),
            (Err(Malformed::Length), _) => Some("length"),
            (Err(_), _) => Some("unknown kind"),
        };
        if let Some(reason) = dropped {
            self.count_drop(reason);
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        self.routing.handle_timeout(now, &mut self.random);
        self.sessions.handle_timeout(now, &mut self.random);
        self.calls.handle_timeout(now);
        self.verify_timeout(now);
        self.presence_timeout(now);
        self.time_rescues(now);
    }

    /// Sessions of calls go on, and their peers learn at once where we are now.
    fn network_changed(&mut self, local: &[IpAddr], now: Now) {
        self.routing.set_local(local);
        self.routing.network_changed(now, &mut self.random);
        self.sessions.close_idle(|local, peer| self.calls.is_live(CallKey { local, peer }), now);
        self.tell_new_address(now);
    }

    fn handle_hints(&mut self, peer: NodeId, addresses: &[SocketAddr], now: Now) {
        if let Some(names) = self.unresolved.get_mut(&peer) {
            *names = names.saturating_sub(1);
        }
        if let Some(hints) = self.hints.get_mut(&peer) {
            hints.extend(addresses);
            hints.truncate(MAX_KNOWN);
        }
        let calls = self.calls.calls().any(|call| call.key.peer == peer && is_sought(call.state));
        if calls || self.lookups.contains_key(&peer) {
            self.routing.find(peer, addresses, now, &mut self.random);
        }
    }

    fn send_report(&mut self, call: CallNumber, report: MediaReport, now: Now) {
        if let Some(session) = self.session_of_call(call) {
            self.sessions.send(session, &crate::wire::control::Frame::MediaReport(report), now);
        }
    }

    fn shut_down(&mut self, now: Now) {
        self.calls.end_all(Reason::GoingAway, now);
        self.pump(now);
        self.sessions.close_all(Reason::GoingAway, now, &mut self.random);
    }

    fn session_of_call(&self, call: CallNumber) -> Option<SessionId> {
        let key = self.talking.get(&call)?;
        self.sessions.session_of(key.local, key.peer)
    }

    fn deadline(&self) -> Option<Deadline> {
        Deadline::earliest([
            self.routing.poll_timeout(),
            self.sessions.poll_timeout(),
            self.calls.poll_timeout(),
            self.verify_deadline(),
            self.presence_deadline(),
            self.rescues.next_due(),
        ])
    }

    /// Whether every session has ended, so that nothing is lost by stopping.
    pub fn is_quiet(&self) -> bool {
        self.sessions.is_empty()
    }

    /// The public half of the identity.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// All contacts and the policy for callers.
    pub fn people(&self) -> &People {
        &self.people
    }

    /// All calls that have not ended.
    pub fn calls(&self) -> impl Iterator<Item = CallView> + '_ {
        self.calls.calls()
    }

    /// Whom [`Node::answer`] takes when no call is named: the one that rings here, else one who waits.
    pub fn ringing(&self) -> Option<CallNumber> {
        self.calls.next_caller()
    }

    /// One call.
    pub fn call(&self, number: CallNumber) -> Option<CallView> {
        self.calls.call(number)
    }

    /// The state of the overlay.
    pub fn routing_status(&self, now: Now) -> RoutingStatus {
        self.routing.status(now)
    }

    /// The nodes of the overlay worth remembering over a restart, for [`Input::Restore`].
    pub fn saved_nodes(&self, now: Now) -> Vec<(NodeId, SocketAddr)> {
        self.routing.saved(now)
    }

    /// The figures of the session under a call.
    pub fn session_stats(&self, key: CallKey) -> Option<SessionStats> {
        self.sessions.stats(self.sessions.session_of(key.local, key.peer)?)
    }

    /// Handshakes of others that were answered since the start. Each costs public-key operations; the rate is bounded.
    pub const fn handshakes_answered(&self) -> u64 {
        self.sessions.answered()
    }

    /// Counts a datagram that was dropped before it came here.
    pub fn count_drop(&mut self, reason: &'static str) {
        let count = self.drops.entry(reason).or_default();
        *count = count.saturating_add(1);
    }

    /// Datagrams dropped since the start, by reason.
    pub fn drops(&self) -> &BTreeMap<&'static str, u64> {
        &self.drops
    }

    /// The invite of this node: ID, fingerprint, the public addresses other nodes see it at, and public nodes of the
    /// overlay. `local` are further addresses to name, of use to some only.
    pub fn invite(&self, local: &[SocketAddr], now: Now) -> Invite {
        let public = self.identity.public();
        let mut invite = Invite::bare(public.id());
        invite.fingerprint = Some(public.fingerprint());
        for address in self.public_addresses(now).iter().chain(local) {
            let hint = address.to_string().parse().ok().filter(|hint| !invite.at.contains(hint));
            invite.at.extend(hint.filter(|_| invite.at.len() < MAX_HINTS));
        }
        let nodes = self.routing.verified_public(now).into_iter();
        invite.via = nodes.filter_map(|(id, address)| Some((id, address.to_string().parse().ok()?))).collect();
        invite
    }

    /// Where anybody may reach us. A symmetric NAT has another address for everybody.
    fn public_addresses(&self, now: Now) -> Vec<SocketAddr> {
        let status = self.routing.status(now);
        let single = status.observed;
        let v4 = status.observed_v4.or(single.filter(SocketAddr::is_ipv4));
        let v6 = status.observed_v6.or(single.filter(SocketAddr::is_ipv6));
        let fixed = [(v4, status.nat_v4), (v6, status.nat_v6)].into_iter();
        let fixed = fixed.filter(|(_, nat)| *nat != NatKind::Symmetric).filter_map(|(address, _)| address);
        fixed.filter(|address| Scope::of(*address) == Scope::Global).collect()
    }
}

/// Whether a call in this state can use further addresses of its peer.
const fn is_sought(state: State) -> bool {
    matches!(state, State::Lookup | State::Connecting)
}

impl core::fmt::Debug for Node {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Node").field("id", &self.identity.public().id()).finish_non_exhaustive()
    }
}

/// Everything that follows from one input. It must be emptied before the next input is handled; then
/// [`Drain::deadline`] says when to come back with [`Input::Timeout`].
#[must_use = "outputs are lost in a queue until the drain is emptied"]
#[derive(Debug)]
pub struct Drain<'a>(&'a mut Node);

impl Drain<'_> {
    /// Takes back the buffer of a datagram that was sent, or of media that were played: with it a call allocates nothing.
    pub fn give_back(&mut self, buffer: Vec<u8>) {
        self.0.sessions.give_back(buffer);
    }

    /// When the node wants to be called again, if nothing else happens first.
    pub fn deadline(&self) -> Option<Deadline> {
        self.0.deadline()
    }
}

impl Iterator for Drain<'_> {
    type Item = Output;

    fn next(&mut self) -> Option<Output> {
        self.0.outputs.pop_front()
    }
}
