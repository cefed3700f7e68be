// SPDX-License-Identifier: GPL-3.0-or-later
//! The control stream: reliable frames arrive once and in order, unreliable ones at once or never.
//!
//! Timers: an acknowledgement leaves within 25 ms; a frame is sent again after the retransmission timeout. Frames are numbered, not packets: a retransmission is a new
//! packet, so no nonce is used twice.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use crate::random::Random;
use crate::time::Instant;
use crate::wire::MAX_DATAGRAM;
use crate::wire::control::{Frame, MAX_BODY};
use crate::wire::cursor::Emit;
use crate::wire::session::{Ack, FRAME_PREFIX};

use super::rtt::Rtt;

/// How many reliable frames may be under way.
const WINDOW: u16 = 32;
/// The longest an acknowledgement waits for a frame to travel with.
const ACK_DELAY: Duration = Duration::from_millis(25);
/// Reliable frames that may wait for room in the window.
const MAX_QUEUED: usize = 256;

/// Both directions of one control stream.
#[derive(Default)]
pub(super) struct Control {
    out: Outgoing,
    incoming: Incoming,
    pub(super) rtt: Rtt,
}

#[derive(Default)]
struct Outgoing {
    /// The number of the next frame to enter the window.
    next: u16,
    /// Reliable frames under way, oldest first. The first is never acknowledged.
    window: VecDeque<UnderWay>,
    /// Reliable frames waiting for room.
    queue: VecDeque<Frame>,
    /// Unreliable frames, to leave with the next packet.
    loose: Vec<Frame>,
    /// When the peer last acknowledged something, or was last owed nothing.
    progress: Instant,
}

struct UnderWay {
    number: u16,
    frame: Frame,
    sent: Instant,
    tries: u32,
    due: Instant,
    acknowledged: bool,
}

#[derive(Default)]
struct Incoming {
    /// The number expected next.
    next: u16,
    /// Frames that came before their turn; `None` for types this version does not know.
    early: BTreeMap<u16, Option<Frame>>,
    ack_due: Option<Instant>,
}

impl Control {
    /// Queues a frame. False when the peer has stopped taking frames long ago.
    pub(super) fn send(&mut self, frame: Frame, now: Instant) -> bool {
        if !frame.is_reliable() {
            self.out.loose.push(frame);
            return true;
        }
        if self.out.queue.len() >= MAX_QUEUED {
            return false;
        }
        self.out.queue.push_back(frame);
        self.out.admit(now);
        true
    }

    /// Asks for a packet even if it carries nothing but the acknowledgement.
    pub(super) fn acknowledge_now(&mut self, now: Instant) {
        self.incoming.ack_due = Some(now);
    }

    /// Makes every frame under way due at once.
    pub(super) fn resend_all(&mut self, now: Instant) {
        self.out.window.iter_mut().filter(|entry| !entry.acknowledged).for_each(|entry| entry.due = now);
    }

    /// Whether a packet should leave now.
    pub(super) fn wants_packet(&self, now: Instant) -> bool {
        !self.out.loose.is_empty() || self.next_due().is_some_and(|due| due <= now)
    }

    /// When the next packet should leave, apart from unreliable frames, which leave at once.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let pending = self.out.window.iter().filter(|entry| !entry.acknowledged).map(|entry| entry.due);
        pending.chain(self.incoming.ack_due).min()
    }

    /// Appends the text of one packet to `out`, which will be at most [`MAX_DATAGRAM`] long.
    pub(super) fn write(&mut self, now: Instant, jitter: &mut Random, out: &mut Vec<u8>) {
        self.incoming.ack().emit(out);
        self.incoming.ack_due = None;
        // What does not fit any more leaves with the next packet; what fits none, never.
        let full = |out: &Vec<u8>| out.len() > MAX_DATAGRAM / 2;
        self.out.loose.retain(|frame| !emit_frame(frame, None, out) && full(out));
        for entry in self.out.window.iter_mut().filter(|entry| !entry.acknowledged && entry.due <= now) {
            if !emit_frame(&entry.frame, Some(entry.number), out) {
                break;
            }
            entry.tries += 1;
            entry.sent = now;
            entry.due = now + jitter.jittered(self.rtt.timeout(entry.tries));
        }
    }

    /// Appends the text of a packet with nothing but the acknowledgement and an unreliable `frame`.
    pub(super) fn write_only(&self, frame: &Frame, out: &mut Vec<u8>) {
        self.incoming.ack().emit(out);
        emit_frame(frame, None, out);
    }

    /// Takes in what the peer acknowledges.
    pub(super) fn on_ack(&mut self, ack: Ack, now: Instant) {
        let oldest = self.out.window.front().map_or(self.out.next, |entry| entry.number);
        if usize::from(ack.next.wrapping_sub(oldest)) > self.out.window.len() {
            return; // older than what is known already, or of something never sent
        }
        let mut progress = false;
        for entry in self.out.window.iter_mut().filter(|entry| !entry.acknowledged && entry.tries > 0) {
            if ack.covers(entry.number) {
                entry.acknowledged = true;
                progress = true;
                // Of a frame sent twice nobody knows which copy was acknowledged (Karn's rule).
                if entry.tries == 1 {
                    self.rtt.sample(now.since(entry.sent));
                }
            }
        }
        while self.out.window.front().is_some_and(|entry| entry.acknowledged) {
            self.out.window.pop_front();
        }
        if progress {
            self.out.progress = now;
        }
        self.out.admit(now);
    }

    /// Takes in a reliable frame and returns all whose turn has come.
    pub(super) fn on_frame(&mut self, number: u16, frame: Option<Frame>, now: Instant) -> Vec<Frame> {
        self.incoming.take(number, frame, now)
    }

    /// Since when reliable frames wait without any of them being acknowledged.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        (!self.out.window.is_empty()).then_some(self.out.progress)
    }

    /// Whether the peer has acknowledged everything.
    pub(super) fn is_drained(&self) -> bool {
        self.out.window.is_empty() && self.out.queue.is_empty()
    }

    /// Takes out the `movable` frames that the peer has not acknowledged, oldest first. The stream may yet be used again,
    /// and the peer waits for every number: frames that say nothing go on under those already given.
    pub(super) fn surrender(&mut self, movable: impl Fn(&Frame) -> bool) -> Vec<Frame> {
        let mut taken = Vec::new();
        for entry in self.out.window.iter_mut().filter(|entry| !entry.acknowledged && movable(&entry.frame)) {
            taken.push(core::mem::replace(&mut entry.frame, Frame::PathOffer { addresses: Vec::new() }));
        }
        let (queued, staying) = self.out.queue.drain(..).partition(&movable);
        self.out.queue = staying;
        taken.extend::<VecDeque<Frame>>(queued);
        taken
    }

    /// Takes out all reliable frames the peer has not acknowledged, oldest first.
    pub(super) fn take_unacknowledged(&mut self) -> Vec<Frame> {
        let under_way = self.out.window.drain(..).filter(|entry| !entry.acknowledged).map(|entry| entry.frame);
        under_way.chain(self.out.queue.drain(..)).collect()
    }
}

impl Outgoing {
    fn admit(&mut self, now: Instant) {
        while self.window.len() < usize::from(WINDOW) {
            let Some(frame) = self.queue.pop_front() else { return };
            if self.window.is_empty() {
                self.progress = now;
            }
            let number = self.next;
            self.next = number.wrapping_add(1);
            self.window.push_back(UnderWay { number, frame, sent: now, tries: 0, due: now, acknowledged: false });
        }
    }
}

impl Incoming {
    fn take(&mut self, number: u16, frame: Option<Frame>, now: Instant) -> Vec<Frame> {
        let ahead = number.wrapping_sub(self.next);
        if (WINDOW..0x8000).contains(&ahead) {
            return Vec::new();
        }
        // What is late or repeated was not understood to have arrived: say so at once.
        let delay = if ahead == 0 { ACK_DELAY } else { Duration::ZERO };
        let due = now + delay;
        self.ack_due = Some(self.ack_due.map_or(due, |earlier| earlier.min(due)));
        if ahead >= 0x8000 {
            return Vec::new();
        }
        self.early.insert(number, frame);
        let mut delivered = Vec::new();
        while let Some(frame) = self.early.remove(&self.next) {
            self.next = self.next.wrapping_add(1);
            delivered.extend(frame);
        }
        delivered
    }

    fn ack(&self) -> Ack {
        let arrived = |bit: u16| self.early.contains_key(&self.next.wrapping_add(1 + bit));
        let more = (0..16).filter(|bit| arrived(*bit)).fold(0, |more, bit| more | 1 << bit);
        Ack { next: self.next, more }
    }
}

/// Appends a frame unless it is too long for a frame or for the rest of the datagram.
fn emit_frame(frame: &Frame, number: Option<u16>, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    out.emit(&[frame.kind(), 0, 0]);
    if let Some(number) = number {
        out.emit_u16(number);
    }
    frame.emit_body(out);
    let length = out.len() - start - FRAME_PREFIX;
    if length > MAX_BODY || out.len() > MAX_DATAGRAM {
        out.truncate(start);
        return false;
    }
    let [high, low] = (length as u16).to_be_bytes();
    if let Some([_, first, second]) = out.get_mut(start..start + FRAME_PREFIX) {
        (*first, *second) = (high, low);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::session::parse_control;
    use proptest::prelude::*;

    fn answer(call_id: u32) -> Frame {
        Frame::CallAnswer { call_id }
    }

    fn write(control: &mut Control, now: Instant, jitter: &mut Random) -> Vec<u8> {
        let mut text = Vec::new();
        control.write(now, jitter, &mut text);
        text
    }

    fn read(control: &mut Control, text: &[u8], now: Instant) -> Vec<Frame> {
        let (ack, frames) = parse_control(text).unwrap();
        control.on_ack(ack, now);
        let mut delivered = Vec::new();
        for frame in frames {
            let frame = frame.unwrap();
            let parsed = Frame::parse(frame.kind, frame.body).unwrap();
            match frame.number {
                Some(number) => delivered.extend(control.on_frame(number, parsed, now)),
                None => delivered.extend(parsed),
            }
        }
        delivered
    }

    #[test]
    fn frames_arrive_in_order_and_are_acknowledged_within_25_ms() {
        let (mut alice, mut bob, mut jitter) = (Control::default(), Control::default(), Random::seeded(1));
        let now = Instant::from_millis(10);
        alice.send(answer(1), now);
        alice.send(answer(2), now);
        let text = write(&mut alice, now, &mut jitter);
        assert_eq!(read(&mut bob, &text, now), [answer(1), answer(2)]);
        assert_eq!(bob.next_due(), Some(now + ACK_DELAY));
        let ack = write(&mut bob, now + ACK_DELAY, &mut jitter);
        assert_eq!(ack, [0, 2, 0, 0]);
        read(&mut alice, &ack, now + ACK_DELAY);
        assert!(alice.is_drained());
        assert!(!bob.wants_packet(now + Duration::from_secs(60)), "an acknowledgement is not acknowledged");
    }

    #[test]
    fn a_repeated_frame_is_delivered_once_and_acknowledged_at_once() {
        let (mut alice, mut bob, mut jitter) = (Control::default(), Control::default(), Random::seeded(1));
        alice.send(answer(1), Instant::ZERO);
        let text = write(&mut alice, Instant::ZERO, &mut jitter);
        read(&mut bob, &text, Instant::ZERO);
        write(&mut bob, Instant::ZERO, &mut jitter);
        assert_eq!(read(&mut bob, &text, Instant::ZERO), []);
        assert!(bob.wants_packet(Instant::ZERO));
    }

    #[test]
    fn no_more_than_32_frames_are_under_way() {
        let (mut alice, mut jitter) = (Control::default(), Random::seeded(1));
        for call_id in 0..40 {
            alice.send(answer(call_id), Instant::ZERO);
        }
        let text = write(&mut alice, Instant::ZERO, &mut jitter);
        assert_eq!(parse_control(&text).unwrap().1.count(), 32);
        assert_eq!(alice.take_unacknowledged().len(), 40);
    }

    #[test]
    fn an_unknown_reliable_frame_is_acknowledged_and_ignored() {
        let mut bob = Control::default();
        let text = [0, 0, 0, 0, 0x2f, 0, 3, 0, 0, 9, 3, 0, 6, 0, 1, 0, 0, 0, 7];
        assert_eq!(read(&mut bob, &text, Instant::ZERO), [answer(7)]);
        assert_eq!(bob.incoming.next, 2);
    }

    #[test]
    fn an_acknowledgement_of_what_was_never_sent_is_ignored() {
        let mut alice = Control::default();
        alice.send(answer(1), Instant::ZERO);
        alice.on_ack(Ack { next: 1, more: 0 }, Instant::ZERO);
        alice.on_ack(Ack { next: 9, more: 0xffff }, Instant::ZERO);
        assert!(!alice.is_drained());
    }

    #[test]
    fn a_frame_far_ahead_of_the_window_is_ignored() {
        let mut bob = Control::default();
        assert_eq!(bob.on_frame(32, Some(answer(1)), Instant::ZERO), []);
        assert_eq!(bob.next_due(), None);
        bob.on_frame(31, Some(answer(1)), Instant::ZERO);
        assert_eq!(bob.incoming.early.len(), 1);
    }

    proptest! {
        #[test]
        fn frames_arrive_once_and_in_order_whatever_the_link_does(
            fates in proptest::collection::vec(0u8..10, 50..400),
            count in 1u32..120,
        ) {
            let (mut ends, mut jitter) = ([Control::default(), Control::default()], Random::seeded(9));
            let mut now = Instant::ZERO;
            (0..count).for_each(|call_id| { ends[0].send(answer(call_id), now); });
            let mut fates = fates.into_iter().chain(core::iter::repeat(9));
            let mut on_the_wire: Vec<(Instant, usize, Vec<u8>)> = Vec::new();
            let mut delivered = Vec::new();
            for _ in 0..24_000 {
                for (from, end) in ends.iter_mut().enumerate() {
                    while end.wants_packet(now) {
                        let text = write(end, now, &mut jitter);
                        match fates.next().unwrap() {
                            0..=2 => {}
                            3 => (0..2).for_each(|copy| on_the_wire.push((now + Duration::from_millis(30 * copy), 1 - from, text.clone()))),
                            fate => on_the_wire.push((now + Duration::from_millis(u64::from(fate) * 9), 1 - from, text)),
                        }
                    }
                }
                now = now + Duration::from_millis(5);
                let (arrived, later) = on_the_wire.into_iter().partition(|(at, ..)| *at <= now);
                on_the_wire = later;
                for (_, to, text) in arrived {
                    delivered.extend(read(&mut ends[to], &text, now));
                }
                if ends[0].is_drained() {
                    break;
                }
            }
            prop_assert_eq!(delivered, (0..count).map(answer).collect::<Vec<_>>());
        }
    }
}
