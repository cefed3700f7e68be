// SPDX-License-Identifier: GPL-3.0-or-later
//! The node with its world: feeds it what the event loop brings, and does what it asks for.

use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;

use anyhow::Context;
use dvs_proto::message;
use dvsd::call::CallNumber;
use dvsd::id::{HostPort, ID_LEN, Invite, NodeId};
use dvsd::node::{self, CallConfig, Event, Input, Node, Output, PeopleConfig, Policy};
use dvsd::path::Path;
use dvsd::random::Random;
use dvsd::routing::RoutingConfig;
use dvsd::time::Instant;
use dvsd::wire::{DEFAULT_PORT, RECEIVE_BUFFER};

use crate::config::{Config, Network, Role, UnknownCallers};
use crate::control::{FromClient, Patience, Server, ServerConfig};
use crate::control::{convert, desk::Desk};
use crate::entropy::OpensslEntropy;
use crate::event_loop::Feeds;
use crate::exit::{self, Failed, OrExit};
use crate::nodes_file::{self, NodesFile};
use crate::resolver::{Purpose, Resolved, Resolver};
use crate::store::Store;
use crate::surroundings::{Surroundings, Watch};
use crate::talks::{Captured, Talks};
use crate::udp::{PortTaken, Udp};
use crate::{Arguments, clock, identity_file};

/// Datagrams taken from the kernel before anything else gets its turn.
const MAX_BATCH: usize = 64;
/// How often levels and reports go out while a call runs.
const TICK: Duration = Duration::from_millis(100);
/// Ticks between two media reports to the peer: five per second (PROTOCOL.md, "Media reports").
const REPORT_TICKS: u64 = 2;
/// Ticks between two sets of figures for the clients.
const STATS_TICKS: u64 = 10;

/// Everything the daemon consists of.
pub(crate) struct Service {
    pub(crate) node: Node,
    pub(crate) world: World,
    pub(crate) desk: Desk,
    /// What happens with callers, as the store knows it.
    pub(crate) policy: Policy,
    events: Vec<Event>,
    deadline: Option<Instant>,
    next_tick: Option<Instant>,
    ticks: u64,
    store_in_trouble: bool,
    role: Role,
    nodes_file: NodesFile,
}

/// What the node's outputs act upon.
pub(crate) struct World {
    pub(crate) udp: Udp,
    pub(crate) server: Server,
    pub(crate) store: Store,
    pub(crate) talks: Talks,
    pub(crate) resolver: Resolver,
}

impl Service {
    /// Opens everything, in the order in which a user can mend what fails.
    pub(crate) fn start(arguments: &Arguments, config: &Config) -> Result<(Self, Feeds), Failed> {
        let state = state_directory(arguments);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&state)
            .with_context(|| format!("cannot create the state directory {}", state.display()))
            .or_exit(exit::STORE)?;
        let mut random = Random::new(OpensslEntropy);
        let identity = identity_file::load_or_create(
            &state.join(&config.identity.file),
            config.identity.algorithm.kind(),
            &mut random,
        )
        .or_exit(exit::IDENTITY)?;
        let (store, loaded) = Store::open(&state.join("dvs.db")).or_exit(exit::STORE)?;
        let udp = open_udp(config).or_exit(exit::UNAVAILABLE)?;
        let (server, clients) = Server::start(server_config(arguments, config)).or_exit(exit::UNAVAILABLE)?;
        let talks = Talks::new(config).or_exit(exit::CONFIG)?;
        let (resolver, resolved) = Resolver::new();
        let bootstrap = config.network.bootstrap_nodes().or_exit(exit::CONFIG)?;
        let nodes_file = state.join("nodes");
        let saved = nodes_file::load(&nodes_file);
        let changes = Watch::start();
        let policy = loaded.chosen.over(configured_policy(config));
        let node_config = node_config(config, policy, udp.local(), loaded.contacts);
        let mut node = Node::new(identity, node_config, clock::now(), random);
        node.set_rekey_after(Duration::from_secs(config.network.rekey_seconds));
        let world = World { udp, server, store, talks, resolver };
        let desk = Desk::new(loaded.history, convert::part(config));
        let mut service = Self {
            node,
            world,
            desk,
            policy,
            events: Vec::new(),
            deadline: None,
            next_tick: None,
            ticks: 0,
            store_in_trouble: false,
            role: config.network.role,
            nodes_file: NodesFile::new(nodes_file, &saved),
        };
        service.network_changed(changes.known());
        service.join(&saved, bootstrap);
        service.timeout();
        Ok((service, Feeds { clients, resolved, changes }))
    }

    /// Begins to join the overlay: through the nodes of last time, the contacts where they were last, and whom the
    /// administrator names.
    fn join(&mut self, saved: &[nodes_file::Known], bootstrap: Vec<HostPort>) {
        let contacts = self.node.people().contacts().filter(|contact| !contact.blocked);
        let contacts = contacts.filter_map(|contact| Some((contact.id, contact.last_address?)));
        let known: Vec<_> = saved.iter().copied().chain(contacts).filter(|(_, at)| self.reaches(*at)).collect();
        self.input(Input::Restore(&known));
        let (addresses, names) = split(&bootstrap);
        self.resolved(&Resolved { purpose: Purpose::Bootstrap, addresses });
        names.into_iter().for_each(|name| self.world.resolver.resolve(Purpose::Bootstrap, name));
    }

    /// What this daemon is for.
    pub(crate) const fn role(&self) -> Role {
        self.role
    }

    /// Why the port is not the usual one, in words for people; `None` if it is, or is the one that was set.
    pub(crate) fn port_note(&self) -> Option<String> {
        self.world.udp.fell_back().then(|| {
            let port = self.world.udp.local().port();
            format!(
                "UDP port {DEFAULT_PORT} is in use by another program, so this daemon has port {port} until it is \
                 restarted: firewall rules for {DEFAULT_PORT} do not hold for it, and it does not hear others \
                 announce themselves on the local network"
            )
        })
    }

    /// One line for the service manager and the log.
    pub(crate) fn summary(&self) -> String {
        let summary = format!("{} on {}", self.node.identity().public().id(), self.world.udp.local());
        tracing::info!("{summary}");
        if let Some(note) = self.port_note() {
            tracing::warn!("{note}");
        }
        summary
    }

    /// What the event loop waits for besides messages and timers.
    pub(crate) fn sources(&mut self) -> (&Udp, &Captured) {
        (&self.world.udp, self.world.talks.captured())
    }

    /// How long until something wants a timeout.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let earliest = [self.deadline, self.nodes_file.due(), self.world.udp.due()].into_iter().flatten().min();
        earliest.map(|at| at.since(clock::now().mono))
    }

    /// How long until the next tick; only while a call runs.
    pub(crate) fn next_tick(&self) -> Option<Duration> {
        self.next_tick.map(|at| at.since(clock::now().mono))
    }

    /// Reads what the socket has and hands it to the node. True if there may be more.
    pub(crate) fn receive(&mut self) -> bool {
        let more = self.receive_batch();
        self.world.udp.observe(!more, clock::now().mono);
        more
    }

    fn receive_batch(&mut self) -> bool {
        let mut buffer = [0; RECEIVE_BUFFER];
        for _ in 0..MAX_BATCH {
            let Some(arrived) = self.world.udp.receive(&mut buffer) else { return false };
            if arrived.misdirected {
                self.node.count_drop("misdirected");
            } else if let Some(bytes) = buffer.get_mut(..arrived.length) {
                self.input(Input::Datagram { from: Path::direct(arrived.from), bytes });
            }
        }
        true
    }

    /// Sends what the microphones have encoded.
    pub(crate) fn captured(&mut self) {
        while let Some((call, frame)) = self.world.talks.next_frame() {
            self.input(Input::Frame {
                call,
                captured: Instant::from_micros(frame.captured_us),
                ticks: frame.ticks,
                first: frame.first,
                opus: frame.payload(),
            });
        }
    }

    /// A deadline has passed.
    pub(crate) fn timeout(&mut self) {
        self.input(Input::Timeout);
        self.world.udp.ease(clock::now().mono);
        if self.nodes_file.is_due(clock::now().mono) {
            self.save_nodes();
        }
    }

    /// The machine's network is now this, or it has slept.
    pub(crate) fn network_changed(&mut self, surroundings: &Surroundings) {
        self.world.udp.follow(surroundings);
        let bound = self.world.udp.local().ip();
        let local: Vec<IpAddr> =
            surroundings.addresses().filter(|own| bound.is_unspecified() || *own == bound).collect();
        tracing::debug!(?local, "the network has changed");
        self.world.resolver.hurry();
        self.input(Input::NetworkChanged { local: &local });
    }

    /// The overlay was joined or left.
    pub(crate) fn network_event(&mut self) {
        let now = clock::now();
        let online = self.node.routing_status(now).online;
        self.world.resolver.set_online(online);
        if online {
            self.nodes_file.joined(now.mono);
        }
    }

    /// Has the nodes that are known now written down for the next start, if they are others than before.
    fn save_nodes(&mut self) {
        if let Some((file, bytes)) = self.nodes_file.update(self.node.saved_nodes(clock::now())) {
            self.world.store.replace_file(file, bytes);
        }
    }

    /// Names were resolved.
    pub(crate) fn resolved(&mut self, resolved: &Resolved) {
        let addresses: Vec<_> = resolved.addresses.iter().copied().filter(|to| self.reaches(*to)).collect();
        match resolved.purpose {
            Purpose::Bootstrap => self.input(Input::Bootstrap(&addresses)),
            Purpose::Join(peer) => {
                self.input(Input::Bootstrap(&addresses));
                // A search that had nobody to ask begins anew.
                peer.into_iter().for_each(|peer| self.input(Input::Hints { peer, addresses: &[] }));
            }
            Purpose::Hints(peer) => self.input(Input::Hints { peer, addresses: &addresses }),
        }
    }

    /// Where an invite says that the peer may be: addresses, and names that must be resolved first.
    pub(crate) fn hints(&self, invite: &Invite) -> (Vec<SocketAddr>, Vec<HostPort>) {
        let (addresses, names) = split(&invite.at);
        (addresses.into_iter().filter(|to| self.reaches(*to)).collect(), names)
    }

    /// Joins the overlay through the nodes that an invite names. Returns the names among them that must be resolved
    /// first.
    pub(crate) fn join_through(&mut self, invite: &Invite) -> Vec<HostPort> {
        let via: Vec<HostPort> = invite.via.iter().map(|(_, at)| at.clone()).collect();
        let (addresses, names) = split(&via);
        if !addresses.is_empty() {
            self.resolved(&Resolved { purpose: Purpose::Join(None), addresses });
        }
        names
    }

    /// Whether the socket can send to this kind of address at all.
    fn reaches(&self, to: SocketAddr) -> bool {
        to.is_ipv4() || self.world.udp.local().is_ipv6()
    }

    /// A client came, went, or wants something.
    pub(crate) fn client(&mut self, message: FromClient) {
        match message {
            FromClient::Attached { client, uid, .. } => self.desk.arrived(client, uid),
            FromClient::Gone { client } => {
                if let Some(info) = self.desk.gone(client) {
                    self.world.server.event(&message::Event::ClientGone(info));
                }
            }
            FromClient::Request { client, id, request } => {
                self.watch_store();
                let outcome = self.request(client, request);
                self.world.server.reply(client, id, outcome);
                self.tell();
            }
        }
        self.watched();
    }

    /// Ends all calls and sessions; what is to be said to the peers is sent.
    pub(crate) fn shut_down(&mut self) {
        tracing::info!("shutting down");
        self.input(Input::Shutdown);
    }

    /// Whether all peers have acknowledged the end.
    pub(crate) fn is_quiet(&self) -> bool {
        self.node.is_quiet()
    }

    /// Completes recordings and writes down what is not yet on disk.
    pub(crate) fn close(mut self) {
        self.save_nodes();
        self.world.talks.close();
        if let Err(error) = self.world.store.close() {
            tracing::error!(%error, "contacts and history are not all on disk");
        }
    }

    /// Tells the clients when contacts and history cannot be written, and when they can again.
    fn watch_store(&mut self) {
        let trouble = self.world.store.trouble();
        if trouble.is_some() != self.store_in_trouble {
            self.store_in_trouble = trouble.is_some();
            let text = trouble.map_or_else(
                || "contacts and history are on disk again".to_owned(),
                |trouble| format!("contacts and history cannot be written: {trouble}"),
            );
            self.activity(text);
        }
    }

    /// Levels and reports, while a call runs.
    pub(crate) fn tick(&mut self) {
        self.ticks += 1;
        let reports = if self.ticks.is_multiple_of(REPORT_TICKS) { self.world.talks.reports() } else { Vec::new() };
        for (call, report) in reports {
            self.input(Input::Report { call, report });
        }
        if let Some(levels) = self.world.talks.levels().filter(|_| self.world.server.wants_levels()) {
            self.world.server.event(&message::Event::Levels(levels));
        }
        if self.world.talks.trouble_changed() {
            self.world.server.event(&message::Event::Audio(convert::audio(&self.world.talks)));
        }
        if self.ticks.is_multiple_of(STATS_TICKS) {
            self.world.talks.close_second();
            let running: Vec<CallNumber> = self.world.talks.running().collect();
            for call in running {
                if let Some(stats) = self.stats(call) {
                    self.world.server.event(&message::Event::Stats(Box::new(stats)));
                }
            }
        }
        self.schedule_tick();
    }

    fn schedule_tick(&mut self) {
        let running = self.world.talks.running().next().is_some();
        self.next_tick = running.then(|| clock::now().mono + TICK);
    }

    pub(crate) fn input(&mut self, input: Input<'_>) {
        let drain = self.node.handle(input, clock::now());
        self.deadline = self.world.carry_out(drain, &mut self.events);
        self.tell();
    }

    /// Gives one command to the node and does what follows from it.
    pub(crate) fn command<T>(&mut self, command: impl FnOnce(&mut Node) -> (T, node::Drain<'_>)) -> T {
        let (outcome, drain) = command(&mut self.node);
        self.deadline = self.world.carry_out(drain, &mut self.events);
        outcome
    }

    /// Tells clients and store what happened.
    fn tell(&mut self) {
        for event in std::mem::take(&mut self.events) {
            self.happened(event);
        }
        if self.next_tick.is_none() {
            self.schedule_tick();
        }
    }
}

impl World {
    /// Does what the node asks for; what users may want to know is left in `events`. Returns the next deadline.
    fn carry_out(&mut self, mut drain: node::Drain<'_>, events: &mut Vec<Event>) -> Option<Instant> {
        while let Some(output) = drain.next() {
            match output {
                Output::Transmit(transmit) => {
                    match transmit.path {
                        Path::Direct(to) => self.udp.send(to, &transmit.datagram),
                        Path::Tunnel(_) => tracing::debug!("no tunnels yet"),
                    }
                    drain.give_back(transmit.datagram);
                }
                Output::Play { call, seq, payload } => {
                    self.talks.play(call, seq, &payload);
                    drain.give_back(payload);
                }
                Output::StartAudio { call, announce } => self.talks.start(call, announce),
                Output::StopAudio { call } => self.talks.stop(call),
                Output::PeerReport { call, report } => self.talks.peer_report(call, &report),
                Output::Event(event) => events.push(event),
            }
        }
        drain.deadline().map(|deadline| deadline.at)
    }
}

/// Addresses, and names that must be resolved first.
fn split(hints: &[HostPort]) -> (Vec<SocketAddr>, Vec<HostPort>) {
    let address = |hint: &HostPort| Some(SocketAddr::new(hint.host.parse().ok()?, hint.port));
    let names = hints.iter().filter(|hint| address(hint).is_none()).cloned().collect();
    (hints.iter().filter_map(address).collect(), names)
}

/// What happens with callers unless users have chosen otherwise.
const fn configured_policy(config: &Config) -> Policy {
    let unknown_callers = match config.calls.unknown_callers {
        UnknownCallers::Ring => dvsd::people::UnknownCallers::Ring,
        UnknownCallers::Silent => dvsd::people::UnknownCallers::Silent,
        UnknownCallers::Reject => dvsd::people::UnknownCallers::Reject,
    };
    Policy { do_not_disturb: config.calls.do_not_disturb, unknown_callers }
}

fn node_config(config: &Config, policy: Policy, local: SocketAddr, contacts: Vec<node::Contact>) -> node::Config {
    node::Config {
        call: CallConfig { ring: Duration::from_secs(config.calls.ring_seconds), max_tries: config.calls.tries },
        people: PeopleConfig {
            unknown_callers: policy.unknown_callers,
            do_not_disturb: policy.do_not_disturb,
            auto_answer: config.calls.auto_answer,
            refuse_all: config.network.role == Role::Seed,
        },
        routing: routing_config(&config.network, local),
        contacts,
    }
}

/// Opens the socket. Others expect a seed at the port they were told.
fn open_udp(config: &Config) -> anyhow::Result<Udp> {
    let network = &config.network;
    let taken = if network.role == Role::Seed { PortTaken::GiveUp } else { PortTaken::TakeAnother };
    let mut udp = Udp::bind(network.listen, taken)?;
    if says_hello(network) {
        udp.use_multicast();
    }
    Ok(udp)
}

/// Whether neighbours on the local network are told that we are there.
fn says_hello(network: &Network) -> bool {
    network.lan && network.role == Role::Peer
}

/// What a socket bound to `local` can reach.
fn routing_config(network: &Network, local: SocketAddr) -> RoutingConfig {
    let ip = local.ip();
    RoutingConfig {
        read_only: network.read_only,
        private_lookups: network.private_lookups,
        lan: says_hello(network) && !ip.is_loopback(),
        port: local.port(),
        loopback_only: ip.is_loopback(),
        ipv4: ip.is_ipv4() || ip.is_unspecified(),
        ipv6: ip.is_ipv6(),
        ..RoutingConfig::new(NodeId([0; ID_LEN]))
    }
}

fn state_directory(arguments: &Arguments) -> PathBuf {
    let systemd = || std::env::var_os("STATE_DIRECTORY").map(PathBuf::from);
    arguments.state_dir.clone().or_else(systemd).unwrap_or_else(|| FilePath::new("/var/lib/dvs").to_owned())
}

fn server_config(arguments: &Arguments, config: &Config) -> ServerConfig {
    let directory = arguments.runtime_dir.clone().or_else(|| config.control.directory.clone());
    let directory = directory.unwrap_or_else(|| PathBuf::from(dvs_proto::paths::SYSTEM_DIRECTORY));
    ServerConfig { directory, observe_only: config.control.observe_only.clone(), patience: Patience::default() }
}
