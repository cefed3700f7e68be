// SPDX-License-Identifier: GPL-3.0-or-later
//! Reaching a peer whose NAT is closed to us: the nodes that told its address are asked to tell it of us, and both
//! sides send PINGs until one gets through.
//!
//! Timers: nobody is asked before the PING to the told address is late; then one teller after the other, [`ASK_GAP`]
//! apart, two at the start. One that is silent for [`ASK_WAIT`] has refused. PINGs follow [`SCHEDULE`]; [`PONG_WAIT`]
//! after the last one they have failed.

use core::net::SocketAddr;
use core::time::Duration;

use super::asking::Answer;
use super::entry::Crowd;
use super::requests::Purpose;
use super::{Drop, Routing};
use crate::id::NodeId;
use crate::random::Random;
use crate::time::Instant;
use crate::wire::routing::{Message, Packet, PunchStatus, caps};

/// When both sides send their PINGs.
pub(super) const SCHEDULE: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
];
/// Time between two requests to tellers of one peer.
const ASK_GAP: Duration = Duration::from_millis(100);
/// How long a teller may take to answer.
const ASK_WAIT: Duration = Duration::from_millis(700);
/// How long the last PING may take to be answered.
const PONG_WAIT: Duration = Duration::from_millis(700);
/// How many tellers are asked at first.
const ASKED_FIRST: usize = 2;
/// How many tellers may have been asked without having refused.
const MAX_ASKED: usize = 4;
/// How many tellers are asked in all.
const MAX_ASKED_EVER: usize = 8;
/// How many tellers are remembered, the closest to the peer …
const MAX_TELLERS: usize = 16;
/// … and of one /24 or /48: whoever has a network may invent as many as it likes.
const MAX_CROWD: usize = 2;
/// How many addresses are sent PINGs because a teller named them: what a lie may cost its victim is five PINGs.
const MAX_BURSTS: usize = 4;

/// A series of PINGs to one address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Burst {
    pub(super) id: NodeId,
    pub(super) to: SocketAddr,
    start: Instant,
    sent: usize,
}

impl Burst {
    pub(super) const fn new(id: NodeId, to: SocketAddr, start: Instant) -> Self {
        Self { id, to, start, sent: 0 }
    }

    /// When the next PING is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        SCHEDULE.get(self.sent).map(|after| self.start + *after)
    }

    /// Whether a PING must be sent now; it counts as sent.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        let is_due = self.next_due().is_some_and(|at| at <= now);
        self.sent += usize::from(is_due);
        is_due
    }

    /// When nothing more is to be hoped of it.
    fn end(&self) -> Instant {
        SCHEDULE.last().map_or(self.start, |last| self.start + *last + PONG_WAIT)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Telling {
    Idle,
    Asked { txid: u64, at: Instant },
    Refused,
    Told,
}

/// A node that told an address of the peer.
#[derive(Clone, Copy, Debug)]
struct Teller {
    id: NodeId,
    address: SocketAddr,
    telling: Telling,
}

/// The tellers of one peer that is searched.
#[derive(Debug)]
pub(super) struct Punch {
    /// When the first teller may be asked, and then the next one.
    ask_at: Instant,
    /// Closest to the peer first.
    tellers: Vec<Teller>,
    bursts: Vec<Burst>,
    /// Where PINGs were sent to because of a teller.
    tried: Vec<SocketAddr>,
    was_forwarded: bool,
    /// The peer, or whoever says so, has answered: nobody else is asked for the moment. What is under way goes on, for
    /// the peer opens its NAT once only, and the answer may have been a lie.
    is_over: bool,
}

impl Punch {
    const fn new(ask_at: Instant) -> Self {
        Self {
            ask_at,
            tellers: Vec::new(),
            bursts: Vec::new(),
            tried: Vec::new(),
            was_forwarded: false,
            is_over: false,
        }
    }

    /// Whether something may still come of it.
    pub(super) fn is_waiting(&self) -> bool {
        let is_asking = self.tellers.iter().any(|teller| matches!(teller.telling, Telling::Asked { .. }));
        !self.is_over && (is_asking || !self.bursts.is_empty() || self.next_teller().is_some())
    }

    /// When it has something to do.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let asked = self.tellers.iter().filter_map(|teller| match teller.telling {
            Telling::Asked { at, .. } => Some(at + ASK_WAIT),
            _ => None,
        });
        let bursts = self.bursts.iter().map(|burst| burst.next_due().unwrap_or(burst.end()));
        let next = self.next_teller().map(|_| self.ask_at).filter(|_| !self.is_over);
        asked.chain(bursts).chain(next).min()
    }

    fn note_teller(&mut self, target: &NodeId, id: NodeId, address: SocketAddr) {
        let crowd = Crowd::of(address);
        let same = |teller: &&Teller| crowd.is_some() && Crowd::of(teller.address) == crowd;
        let is_crowded = self.tellers.iter().filter(same).count() >= MAX_CROWD;
        if is_crowded || self.tellers.iter().any(|teller| teller.id == id) {
            return;
        }
        let index = self.tellers.partition_point(|teller| teller.id.distance(target) < id.distance(target));
        self.tellers.insert(index, Teller { id, address, telling: Telling::Idle });
        if self.tellers.len() > MAX_TELLERS
            && let Some(index) = self.tellers.iter().rposition(|teller| teller.telling == Telling::Idle)
        {
            self.tellers.remove(index);
        }
    }

    /// The index of the teller to ask next, if any more may be asked.
    fn next_teller(&self) -> Option<usize> {
        let count =
            |is_counted: fn(Telling) -> bool| self.tellers.iter().filter(|teller| is_counted(teller.telling)).count();
        let asked = count(|telling| telling != Telling::Idle);
        let refused = count(|telling| telling == Telling::Refused);
        let may_ask = asked < MAX_ASKED_EVER && asked - refused < MAX_ASKED;
        self.tellers.iter().position(|teller| teller.telling == Telling::Idle).filter(|_| may_ask)
    }

    /// Gives up on tellers and PINGs that had their time.
    fn expire(&mut self, now: Instant) {
        for teller in &mut self.tellers {
            if matches!(teller.telling, Telling::Asked { at, .. } if now >= at + ASK_WAIT) {
                teller.telling = Telling::Refused;
            }
        }
        self.bursts.retain(|burst| now < burst.end());
    }

    /// The tellers to ask now.
    fn take_due_tellers(&mut self, now: Instant, random: &mut Random) -> Vec<(SocketAddr, u64)> {
        let mut due = Vec::new();
        while now >= self.ask_at && !self.is_over {
            let Some(index) = self.next_teller() else { break };
            let txid = random.next_u64();
            if let Some(teller) = self.tellers.get_mut(index) {
                teller.telling = Telling::Asked { txid, at: now };
                due.push((teller.address, txid));
            }
            let asked = self.tellers.iter().filter(|teller| teller.telling != Telling::Idle).count();
            if asked >= ASKED_FIRST {
                self.ask_at = now + ASK_GAP;
            }
        }
        due
    }

    /// Settles the request `txid` to the node at `from`. False if there is none.
    fn settle(&mut self, from: SocketAddr, txid: u64, telling: Telling) -> bool {
        let asked = |teller: &&mut Teller| {
            teller.address == from && matches!(teller.telling, Telling::Asked { txid: of, .. } if of == txid)
        };
        let teller = self.tellers.iter_mut().find(asked);
        teller.map(|teller| teller.telling = telling).is_some()
    }

    fn start_burst(&mut self, burst: Burst) -> bool {
        let is_new = self.tried.len() < MAX_BURSTS && !self.tried.contains(&burst.to);
        if is_new {
            self.tried.push(burst.to);
            self.bursts.push(burst);
        }
        is_new
    }
}

impl Routing {
    /// An address of `target` is being probed already, so tellers need not wait for it to be told.
    pub(super) fn prepare_punch(&mut self, target: NodeId, now: Instant) {
        if self.searches.contains_key(&target) {
            let ask_at = now + self.requests.patience();
            self.punches.entry(target).or_insert_with(|| Punch::new(ask_at));
        }
    }

    /// A node told an address of `target`: it may be in touch with it.
    pub(super) fn note_teller(&mut self, target: NodeId, answer: &Answer, now: Instant) {
        if answer.caps & caps::PUNCH == 0 || !self.searches.contains_key(&target) {
            return;
        }
        self.prepare_punch(target, now);
        if let Some(punch) = self.punches.get_mut(&target) {
            punch.note_teller(&target, answer.responder, answer.from);
        }
    }

    /// Asks the tellers and sends the PINGs that are due.
    pub(super) fn continue_punches(&mut self, now: Instant, random: &mut Random) {
        self.punches.retain(|target, _| self.searches.contains_key(target));
        let (mut asks, mut pings) = (Vec::new(), Vec::new());
        for (target, punch) in &mut self.punches {
            punch.expire(now);
            asks.extend(punch.take_due_tellers(now, random).into_iter().map(|(to, txid)| (*target, to, txid)));
            let due = punch.bursts.iter_mut().filter_map(|burst| burst.take_due(now).then_some(*burst));
            pings.extend(due);
        }
        for (target, to, txid) in asks {
            let token = self.received.for_node(to, now);
            let alias = self.alias(Purpose::Probe, Some(target));
            let message = Message::PunchReq { origin: alias.unwrap_or(self.config.node_id), target, token };
            self.counters.requests += 1;
            if alias.is_none() {
                self.warm.sent(to, Some(txid), now, random);
            }
            self.transmit(to, &Packet { flags: self.request_flags(alias), caps: self.config.caps, txid, message });
        }
        for burst in pings {
            self.ask(burst.to, Some(burst.id), None, Purpose::Probe, now, random);
        }
    }

    /// Takes a PUNCH_ACK: if the peer was told of us, its NAT is about to open.
    pub(super) fn handle_punch_ack(
        &mut self,
        from: SocketAddr,
        packet: &Packet,
        now: Instant,
        random: &mut Random,
    ) -> Result<(), Drop> {
        let Message::PunchAck { status, address } = packet.message else { return Err(Drop::Unsolicited) };
        let is_forwarded = status == PunchStatus::Forwarded;
        let telling = if is_forwarded { Telling::Told } else { Telling::Refused };
        let mut punches = self.punches.iter_mut();
        let settled = punches.find_map(|(target, punch)| punch.settle(from, packet.txid, telling).then_some(*target));
        let target = settled.ok_or(Drop::Unsolicited)?;
        if is_forwarded && self.is_believable(address, from) {
            self.start_punching(target, address, now);
        }
        self.continue_searches(now, random);
        Ok(())
    }

    fn start_punching(&mut self, target: NodeId, address: SocketAddr, now: Instant) {
        let (Some(punch), Some(search)) = (self.punches.get_mut(&target), self.searches.get_mut(&target)) else {
            return;
        };
        punch.was_forwarded = true;
        search.note_forwarded(address);
        if punch.start_burst(Burst::new(target, address, now)) {
            search.expect(address, now);
        }
    }

    /// A PING came from `from` that says it is from `id`. If we search that peer, the way is open just now: one PING
    /// goes back. True if so.
    pub(super) fn answers_search(&mut self, id: NodeId, from: SocketAddr, now: Instant, random: &mut Random) -> bool {
        let is_believable = self.is_believable(from, from);
        let Some(search) = self.searches.get_mut(&id).filter(|search| is_believable && !search.has_answer(from)) else {
            return false;
        };
        search.expect_sender(from, now) && self.ask(from, Some(id), None, Purpose::Probe, now, random)
    }

    /// Whoever answered was not the peer, or no session came about: the tellers may still be of use.
    pub(super) fn resume_punch(&mut self, target: &NodeId) {
        if let Some(punch) = self.punches.get_mut(target) {
            punch.is_over = false;
        }
    }

    /// The peer, or whoever says so, has answered a PING at `from`. The first time there is no more to be done, unless
    /// the search goes on; then it was a lie, and another one stops nothing.
    pub(super) fn punch_answered(&mut self, target: NodeId, from: SocketAddr, now: Instant) {
        let Some(search) = self.searches.get(&target) else { return };
        let is_first = !search.has_found();
        let punch = self.punches.entry(target).or_insert_with(|| Punch::new(now));
        punch.bursts.retain(|burst| burst.to != from);
        let was_over = punch.is_over;
        punch.is_over |= is_first;
        self.counters.punched += u64::from(!was_over && is_first && punch.was_forwarded);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f14_one_network_is_not_all_whom_we_ask_to_tell_the_peer() {
        let target = NodeId([0; 20]);
        let mut punch = Punch::new(Instant::ZERO);
        for host in 1..100 {
            punch.note_teller(&target, NodeId([host; 20]), SocketAddr::from(([198, 18, 1, host], 5004)));
        }
        let honest = SocketAddr::from(([198, 18, 2, 1], 5004));
        punch.note_teller(&target, NodeId([200; 20]), honest);
        let mut asked = Vec::new();
        for millis in 0..1_000 {
            asked.extend(punch.take_due_tellers(Instant::from_millis(millis), &mut Random::seeded(1)));
        }
        assert_eq!(asked.len(), 3);
        assert!(asked.iter().any(|(to, _)| *to == honest));
    }
}
