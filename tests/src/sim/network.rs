// SPDX-License-Identifier: GPL-3.0-or-later
//! The network: one virtual clock, one queue of events, links with delay and loss, and the nodes.
//!
//! Every datagram takes 25 ms ± 5 ms, each on its own account, so a round trip is 50 ms on average.

use core::cmp::Reverse;
use core::net::SocketAddr;
use core::ops::Range;
use core::time::Duration;
use std::collections::BinaryHeap;

use dvsd::id::NodeId;
use dvsd::path::Transmit;
use dvsd::random::Random;
use dvsd::routing::{Routing, RoutingEvent, Status};
use dvsd::time::{Instant, Now};
use dvsd::wire::routing::{Entry, Message, PADDED_ROUTE_REQ_LEN, Packet, ROUTE_REQ_LEN, Token, flag};

use super::adversary::{Adversary, Reply};
use super::dice::Dice;
use super::host::{Host, Maker, now_at};
use super::population::{OBSERVER, Population, Role};
use super::settings::{Settings, Start};

/// The shortest time a datagram takes.
pub const SHORTEST: Duration = Duration::from_millis(20);
/// How much longer it takes at most.
pub const SPREAD: Duration = Duration::from_millis(10);
/// The clock at the beginning: entries of a filled table may be older than the network.
pub const BEGINNING: Instant = Instant::from_millis(10_000_000);
/// The clock moves at least once within so many events, or something is stuck.
const STUCK: u32 = 10_000_000;

/// Somebody who watches the network.
pub trait Observer {
    /// `from` sends a datagram.
    fn sent(&mut self, from: u32, to: SocketAddr, datagram: &[u8]);
    /// A datagram reaches `to`, which has not seen it yet.
    fn arrives(&mut self, to: u32, datagram: &[u8]);
    /// The routing layer of `node` tells something. True if that is the end of a search.
    fn told(&mut self, node: u32, event: &RoutingEvent, now: Instant) -> bool;
}

/// Watches nothing.
pub struct Nobody;

impl Observer for Nobody {
    fn sent(&mut self, _: u32, _: SocketAddr, _: &[u8]) {}

    fn arrives(&mut self, _: u32, _: &[u8]) {}

    fn told(&mut self, _: u32, _: &RoutingEvent, _: Instant) -> bool {
        false
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at: u64,
    serial: u64,
    to: u32,
    /// Who sent the datagram; nobody for a wake-up.
    from: u32,
    datagram: Box<[u8]>,
}

/// The network.
pub struct Network {
    /// Who is in it.
    pub population: Population,
    /// The virtual time.
    pub now: Instant,
    /// Datagrams sent so far.
    pub datagrams: u64,
    start: Start,
    loss: f64,
    maker: Maker,
    hosts: Vec<Option<Box<Host>>>,
    gone: Vec<bool>,
    adversary: Option<Adversary>,
    queue: BinaryHeap<Reverse<Event>>,
    serial: u64,
    dice: Dice,
    random: Random,
    told_observer: Vec<Entry>,
}

impl Network {
    /// A network in which nobody is switched on yet.
    pub fn new(settings: &Settings, population: Population) -> Self {
        let hosts = population.len();
        Self {
            population,
            now: BEGINNING,
            datagrams: 0,
            start: settings.start,
            loss: settings.loss,
            maker: Maker::new(settings),
            hosts: core::iter::repeat_with(|| None).take(hosts).collect(),
            gone: vec![false; hosts],
            adversary: None,
            queue: BinaryHeap::new(),
            serial: 0,
            dice: Dice::new(settings.seed, "network", 0),
            random: Random::seeded(settings.seed),
            told_observer: Vec::new(),
        }
    }

    /// Switches `node` on, which knows nobody.
    pub fn switch_on(&mut self, node: u32) {
        let host = self.maker.make(&self.population, node, self.now);
        self.place(node, host);
    }

    /// Switches `nodes` on with the tables they would have after a while. Their timers run only while they search.
    pub fn fill(&mut self, nodes: Range<u32>) {
        let filled = self.maker.fill(&self.population, nodes.clone(), self.now);
        for (node, host) in nodes.zip(filled) {
            self.place(node, host);
        }
    }

    /// Switches `node` off without a word.
    pub fn switch_off(&mut self, node: u32) {
        if let Some(host) = self.hosts.get_mut(node as usize) {
            *host = None;
        }
        self.gone.resize(self.population.len(), false);
        if let Some(gone) = self.gone.get_mut(node as usize) {
            *gone = true;
        }
    }

    /// From now on hostile nodes lie.
    pub fn turn_hostile(&mut self, adversary: Adversary) {
        self.adversary = Some(adversary);
    }

    /// Whether `node` is there, or would be if it were touched.
    pub fn is_up(&self, node: u32) -> bool {
        let is_gone = self.gone.get(node as usize).copied().unwrap_or(true);
        !is_gone && (self.start == Start::Lazy || self.host(node).is_some())
    }

    /// Has `node` join through the nodes at `addresses`.
    pub fn join(&mut self, node: u32, addresses: &[SocketAddr], observer: &mut impl Observer) {
        self.with(node, observer, |routing, now, random| routing.bootstrap(addresses, now, random));
    }

    /// Has `node` search for `target`.
    pub fn find(&mut self, node: u32, target: NodeId, observer: &mut impl Observer) {
        self.touch(node);
        if let Some(host) = self.host_mut(node) {
            host.searches += 1;
        }
        self.with(node, observer, |routing, now, random| routing.find(target, &[], now, random));
    }

    /// What `node` would tell somebody who asks it for `target`, without learning of the asker.
    pub fn ask(&mut self, node: u32, target: NodeId) -> Vec<Entry> {
        self.touch(node);
        self.told_observer.clear();
        let padding = PADDED_ROUTE_REQ_LEN - ROUTE_REQ_LEN;
        let message = Message::RouteReq { origin: NodeId([0; 20]), target, token: Token::NONE, padding };
        let question = Packet { flags: flag::READ_ONLY | flag::WANT_V4, caps: 0, txid: 0, message }.emit();
        self.with(node, &mut Nobody, |routing, now, random| _ = routing.handle(OBSERVER, &question, now, random));
        core::mem::take(&mut self.told_observer)
    }

    /// How things stand with `node`, if it is there.
    pub fn status(&self, node: u32) -> Option<Status> {
        self.host(node).map(|host| host.routing.status(now_at(self.now)))
    }

    /// The nodes in the table of `node` that answered lately, at most 200.
    pub fn known_to(&self, node: u32) -> Vec<NodeId> {
        let saved = self.host(node).map(|host| host.routing.saved(now_at(self.now))).unwrap_or_default();
        saved.into_iter().map(|(id, _)| id).collect()
    }

    /// How many nodes are there.
    pub fn present(&self) -> usize {
        self.hosts.iter().flatten().count()
    }

    /// Lets time pass until `end`.
    pub fn run_until(&mut self, end: Instant, observer: &mut impl Observer) {
        let (mut steps, mut last) = (0, self.now);
        while self.queue.peek().is_some_and(|Reverse(event)| event.at <= end.as_micros()) {
            self.step(observer);
            steps = if self.now == last { steps + 1 } else { 0 };
            last = self.now;
            assert!(steps < STUCK, "the clock does not move on");
        }
        self.now = self.now.max(end);
    }

    fn step(&mut self, observer: &mut impl Observer) {
        let Some(Reverse(event)) = self.queue.pop() else { return };
        self.now = self.now.max(Instant::from_micros(event.at));
        if event.datagram.is_empty() {
            self.wake(event.to, event.at, observer);
        } else {
            self.deliver(&event, observer);
        }
    }

    fn wake(&mut self, node: u32, at: u64, observer: &mut impl Observer) {
        let now = now_at(self.now);
        let Some(host) = self.host_mut(node).filter(|host| host.wakes == at) else { return };
        host.wakes = u64::MAX;
        if !host.is_awake && host.searches == 0 {
            return;
        }
        if host.routing.poll_timeout().is_some_and(|deadline| deadline.at <= now.mono) {
            self.with(node, observer, |routing, now, random| routing.handle_timeout(now, random));
        } else {
            self.schedule(node);
        }
    }

    fn deliver(&mut self, event: &Event, observer: &mut impl Observer) {
        let (to, from) = (event.to, self.population.address(event.from));
        self.touch(to);
        if self.host(to).is_none() {
            return;
        }
        observer.arrives(to, &event.datagram);
        let reply = match &mut self.adversary {
            Some(adversary) if self.population.role(to) == Role::Hostile => {
                adversary.reply(&self.population, to, from, &event.datagram, self.now)
            }
            _ => Reply::Honest,
        };
        match reply {
            Reply::Honest => {
                let datagram = &event.datagram;
                self.with(to, observer, |routing, now, random| _ = routing.handle(from, datagram, now, random));
            }
            Reply::Silence => {}
            Reply::Lie(datagram) => self.send(to, from, datagram, observer),
        }
    }

    fn with(&mut self, node: u32, observer: &mut impl Observer, act: impl FnOnce(&mut Routing, Now, &mut Random)) {
        let now = now_at(self.now);
        let Some(Some(host)) = self.hosts.get_mut(node as usize) else { return };
        act(&mut host.routing, now, &mut self.random);
        self.drain(node, observer);
    }

    fn drain(&mut self, node: u32, observer: &mut impl Observer) {
        while let Some(Transmit { path, datagram }) = self.host_mut(node).and_then(|host| host.routing.poll_transmit())
        {
            match path.address() {
                Some(OBSERVER) => self.tell_observer(&datagram),
                Some(to) => self.send(node, to, datagram, observer),
                None => {}
            }
        }
        while let Some(event) = self.host_mut(node).and_then(|host| host.routing.poll_event()) {
            if observer.told(node, &event, self.now) {
                self.end_search(node, &event);
            }
        }
        self.schedule(node);
    }

    fn end_search(&mut self, node: u32, event: &RoutingEvent) {
        let Some(host) = self.host_mut(node) else { return };
        host.searches = host.searches.saturating_sub(1);
        if let RoutingEvent::Found { target, .. } = event {
            host.routing.cancel(*target);
        }
    }

    fn tell_observer(&mut self, datagram: &[u8]) {
        if let Ok(Packet { message: Message::RouteRes { entries, .. }, .. }) = Packet::parse(datagram) {
            self.told_observer = entries;
        }
    }

    fn send(&mut self, from: u32, to: SocketAddr, datagram: Vec<u8>, observer: &mut impl Observer) {
        observer.sent(from, to, &datagram);
        self.datagrams += 1;
        let delay = SHORTEST + Duration::from_micros(self.dice.below(SPREAD.as_micros() as u64 + 1));
        let is_lost = self.dice.is_within(self.loss);
        if let Some(to) = self.population.at(to).filter(|_| !is_lost) {
            self.enqueue(self.now + delay, to, from, datagram.into_boxed_slice());
        }
    }

    /// Sees to it that `node` is woken in time.
    fn schedule(&mut self, node: u32) {
        let Some(host) = self.host_mut(node).filter(|host| host.is_awake || host.searches > 0) else { return };
        let Some(deadline) = host.routing.poll_timeout() else { return };
        if deadline.at.as_micros() < host.wakes {
            host.wakes = deadline.at.as_micros();
            self.enqueue(deadline.at, node, node, Box::default());
        }
    }

    fn enqueue(&mut self, at: Instant, to: u32, from: u32, datagram: Box<[u8]>) {
        self.serial += 1;
        self.queue.push(Reverse(Event { at: at.as_micros(), serial: self.serial, to, from, datagram }));
    }

    /// Makes a node that is there but has not been needed so far.
    fn touch(&mut self, node: u32) {
        if self.start == Start::Lazy && self.is_up(node) && self.host(node).is_none() {
            self.fill(node..node.saturating_add(1));
        }
    }

    fn place(&mut self, node: u32, host: Host) {
        self.hosts.resize_with(self.population.len(), || None);
        self.gone.resize(self.population.len(), false);
        if let Some(place) = self.hosts.get_mut(node as usize) {
            *place = Some(Box::new(host));
        }
    }

    fn host(&self, node: u32) -> Option<&Host> {
        self.hosts.get(node as usize)?.as_deref()
    }

    fn host_mut(&mut self, node: u32) -> Option<&mut Host> {
        self.hosts.get_mut(node as usize)?.as_deref_mut()
    }
}
