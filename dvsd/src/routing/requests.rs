// SPDX-License-Identifier: GPL-3.0-or-later
//! Requests under way. An answer counts only if its transaction ID, its kind and its source are those of a request,
//! and it counts once.
//!
//! Timers: a request times out after twice the round-trip time, between [`SHORTEST`] and [`LONGEST`]; an answer is
//! still accepted until [`LIFE`] after sending.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use crate::id::NodeId;
use crate::time::Instant;

/// The shortest time-out.
const SHORTEST: Duration = Duration::from_millis(500);
/// The longest time-out.
const LONGEST: Duration = Duration::from_millis(1_500);
/// How long after sending an answer is still accepted.
const LIFE: Duration = Duration::from_secs(3);
/// Limits of the time after which an answer is late, and what it is when nothing is known.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(150), Duration::from_millis(400));
const USUAL_PATIENCE: Duration = Duration::from_millis(200);
/// How many requests may be under way, late ones included.
const MAX_REQUESTS: usize = 1024;
/// How many of them may be PINGs to nominated nodes.
const MAX_NOMINATIONS: usize = 64;
/// How many of these may wait for an answer when a request nominates somebody that anybody could have sent. So forged
/// sources leave places for those who wait, for neighbours on the link, and for askers with a token.
const MAX_FORGED: usize = MAX_NOMINATIONS / 2;

/// What a request is for: who hears of its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The lookup of this number.
    Lookup(u64),
    /// The search for the node it is sent to.
    Probe,
    /// To join the network.
    Bootstrap,
    /// To see whether a nominated node is there.
    Nominate,
    /// To see whether a known node still is. `last`: the repeat.
    Check { last: bool },
    /// To keep the way through the NAT open.
    Keepalive,
    /// To get the token that a PROOF_REQ needs.
    Prove,
    /// To open the NAT for a caller.
    Punch,
}

/// A request under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) to: SocketAddr,
    /// Who must answer, unless only the address is known.
    pub(super) id: Option<NodeId>,
    /// The destination of a ROUTE_REQ; `None` for a PING.
    pub(super) target: Option<NodeId>,
    pub(super) purpose: Purpose,
    pub(super) sent: Instant,
    /// Whether this repeats a request whose answer was cut for want of a token.
    pub(super) is_repeat: bool,
    /// Whether it carries a token of the node asked.
    pub(super) has_token: bool,
}

struct Pending {
    request: Request,
    due: Instant,
    timed_out: bool,
}

/// All requests under way.
#[derive(Default)]
pub(super) struct Requests {
    pending: BTreeMap<u64, Pending>,
    due: BTreeSet<(Instant, u64)>,
    nominations: usize,
    srtt: Option<Duration>,
}

impl Requests {
    /// Whether another request may be sent for `purpose`.
    pub(super) fn has_room(&self, purpose: Purpose) -> bool {
        let reserve = if purpose == Purpose::Nominate { MAX_REQUESTS / 2 } else { 0 };
        self.pending.len() < MAX_REQUESTS - reserve
            && (purpose != Purpose::Nominate || self.nominations < MAX_NOMINATIONS)
    }

    /// Whether the sender of a request without a valid token may be nominated.
    pub(super) fn has_room_for_strangers(&self) -> bool {
        self.has_room(Purpose::Nominate) && self.nominations < MAX_FORGED
    }

    /// Whether nodes to join through are being asked.
    pub(super) fn is_joining(&self) -> bool {
        self.pending.values().any(|pending| pending.request.purpose == Purpose::Bootstrap && !pending.timed_out)
    }

    /// Whether `address` is being asked whether it is there.
    pub(super) fn is_nominating(&self, address: SocketAddr) -> bool {
        let same = |pending: &Pending| pending.request.purpose == Purpose::Nominate && pending.request.to == address;
        self.nominations > 0 && self.pending.values().any(same)
    }

    /// Notes that `request` was sent as `txid`. `rtt`: what is known of the node's round-trip time.
    pub(super) fn start(&mut self, txid: u64, request: Request, rtt: Option<Duration>) {
        let due = request.sent + self.timeout(rtt);
        self.nominations += usize::from(request.purpose == Purpose::Nominate);
        self.due.insert((due, txid));
        self.pending.insert(txid, Pending { request, due, timed_out: false });
    }

    /// The time-out for a node with this round-trip time, or of the average node.
    pub(super) fn timeout(&self, rtt: Option<Duration>) -> Duration {
        rtt.or(self.srtt).map_or(SHORTEST, |rtt| (2 * rtt).clamp(SHORTEST, LONGEST))
    }

    /// How long an answer may take before it is worth trying something else.
    pub(super) fn patience(&self) -> Duration {
        self.srtt.map_or(USUAL_PATIENCE, |srtt| (srtt * 3 / 2).clamp(PATIENCE.0, PATIENCE.1))
    }

    /// Ends the request that `txid` from `from` answers. `target`: that of a ROUTE_RES, `None` for a PONG.
    pub(super) fn finish(
        &mut self,
        txid: u64,
        from: SocketAddr,
        target: Option<NodeId>,
        now: Instant,
    ) -> Option<Request> {
        let pending = self.pending.get(&txid)?;
        if pending.request.to != from || pending.request.target != target {
            return None;
        }
        let request = self.remove(txid)?.request;
        let rtt = now.since(request.sent);
        self.srtt = Some(self.srtt.map_or(rtt, |srtt| (srtt * 7 + rtt) / 8));
        Some(request)
    }

    /// The requests that time out now, each once. Those that are too old are forgotten.
    pub(super) fn time_out(&mut self, now: Instant) -> Vec<Request> {
        let mut timed_out = Vec::new();
        while let Some((_, txid)) = self.due.first().copied().filter(|(due, _)| *due <= now) {
            let is_late = self.pending.get(&txid).is_none_or(|pending| pending.timed_out);
            if is_late {
                self.remove(txid);
            } else if let Some(pending) = self.pending.get_mut(&txid) {
                timed_out.push(pending.request);
                self.due.remove(&(pending.due, txid));
                pending.timed_out = true;
                pending.due = pending.request.sent + LIFE;
                self.due.insert((pending.due, txid));
            }
        }
        timed_out
    }

    /// When the next request times out or is forgotten.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    fn remove(&mut self, txid: u64) -> Option<Pending> {
        let pending = self.pending.remove(&txid)?;
        self.due.remove(&(pending.due, txid));
        self.nominations -= usize::from(pending.request.purpose == Purpose::Nominate);
        Some(pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(purpose: Purpose) -> Request {
        let to = SocketAddr::from(([198, 18, 0, 1], 5004));
        Request { to, id: None, target: None, purpose, sent: Instant::ZERO, is_repeat: false, has_token: false }
    }

    #[test]
    fn an_answer_counts_once_and_only_from_the_node_asked() {
        let mut requests = Requests::default();
        let asked = request(Purpose::Keepalive);
        let elsewhere = SocketAddr::from(([198, 18, 0, 1], 5005));
        requests.start(7, asked, None);
        assert_eq!(requests.finish(8, asked.to, None, Instant::ZERO), None);
        assert_eq!(requests.finish(7, elsewhere, None, Instant::ZERO), None);
        assert_eq!(requests.finish(7, asked.to, Some(NodeId([1; 20])), Instant::ZERO), None);
        assert_eq!(requests.finish(7, asked.to, None, Instant::ZERO), Some(asked));
        assert_eq!(requests.finish(7, asked.to, None, Instant::ZERO), None);
    }

    #[test]
    fn a_slow_answer_counts_even_after_the_time_out() {
        let mut requests = Requests::default();
        requests.start(7, request(Purpose::Keepalive), None);
        assert_eq!(requests.time_out(Instant::from_millis(500)).len(), 1);
        assert_eq!(requests.time_out(Instant::from_millis(2_999)).len(), 0);
        assert!(requests.finish(7, request(Purpose::Keepalive).to, None, Instant::from_millis(2_999)).is_some());
    }

    #[test]
    fn a_request_is_forgotten_in_the_end() {
        let mut requests = Requests::default();
        requests.start(7, request(Purpose::Nominate), None);
        requests.time_out(Instant::from_millis(500));
        assert_eq!(requests.time_out(Instant::from_millis(3_000)).len(), 0);
        assert_eq!((requests.len(), requests.nominations, requests.next_due()), (0, 0, None));
    }

    #[test]
    fn time_outs_follow_the_round_trip_time_within_limits() {
        let requests = Requests::default();
        let millis = |rtt: u64| requests.timeout(Some(Duration::from_millis(rtt))).as_millis();
        assert_eq!([millis(1), millis(400), millis(5_000)], [500, 800, 1_500]);
    }
}
