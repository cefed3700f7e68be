// SPDX-License-Identifier: GPL-3.0-or-later
//! One session: its tunnel, its control stream, its heartbeats, and where it is in its life.

use core::time::Duration;
use std::collections::VecDeque;

use crate::crypto::identity::PublicIdentity;
use crate::crypto::kdf::{Digest, MacKey};
use crate::crypto::seal::Stream;
use crate::handshake::{Established, Side};
use crate::id::{LocalId, NodeId};
use crate::path::{Path, Transmit};
use crate::random::Random;
use crate::time::{Instant, Now};
use crate::wire::control::{Frame, Reason};
use crate::wire::session::{Header, parse_control};
use crate::wire::{MAX_DATAGRAM, Malformed};

use super::buffers::Buffers;
use super::control::Control;
use super::liveness::{Level, Liveness};
use super::paths::Paths;
use super::rekey::Rekey;
use super::rtt::Rtt;
use super::tunnel::Tunnel;
use super::{Drop, MediaBytes, SessionId, SessionStats};

mod moving;

/// A closed session is kept this long, for its CLOSE to be acknowledged or repeats of it to be answered.
const LINGER: Duration = Duration::from_secs(3);
/// A session that lost against another one is still received for this long.
const RETIRED: Duration = Duration::from_secs(10);
/// Without a call for this long, the initiator closes; the responder a minute later.
const IDLE_INITIATOR: Duration = Duration::from_secs(300);
const IDLE_RESPONDER: Duration = Duration::from_secs(360);
/// Frames kept back at most.
const MAX_HELD: usize = 64;
/// Violations by an authenticated peer before the session is closed.
const STRIKES: u8 = 3;

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// In use.
    Open,
    /// We sent CLOSE.
    Closing(Instant),
    /// The peer sent CLOSE.
    Closed(Instant),
}

/// How a session stands among those with the same peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Frames are sent here.
    Primary,
    /// It is not settled yet which of them stays.
    Rival,
    /// Another one stays; this one is only heard, until then.
    Retired(Instant),
}

/// HS_AUTH, until the responder is heard in the session.
pub(super) struct Unconfirmed {
    pub(super) auth: Vec<u8>,
    pub(super) interval: Duration,
    pub(super) next: Instant,
    /// The end of the whole handshake.
    pub(super) until: Instant,
}

/// One session.
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) local: LocalId,
    pub(super) peer: PublicIdentity,
    pub(super) side: Side,
    /// Where the handshake was made.
    pub(super) birthplace: Path,
    paths: Paths,
    /// What packets to us carry.
    pub(super) slot: u8,
    pub(super) phase: Phase,
    pub(super) standing: Standing,
    pub(super) unconfirmed: Option<Unconfirmed>,
    /// When the first HS_INIT arrived (responder), or left (initiator).
    pub(super) begun: Instant,
    pub(super) established: Instant,
    /// The first authentic packet.
    pub(super) first_heard: Option<Instant>,
    /// When the latest heartbeat that was answered had been sent: the peer had this session after that.
    pub(super) proof: Option<Instant>,
    pub(super) liveness: Liveness,
    pub(super) control: Control,
    pub(super) tunnel: Tunnel,
    pub(super) rekey: Rekey,
    /// When a new session in place of this one was last tried for.
    pub(super) renewed: Option<Instant>,
    transcript: Digest,
    /// The round-trip time as heartbeats see it: what retransmission waits for contains the delay of acknowledgements.
    round_trip: Rtt,
    /// Whether a heartbeat was answered on this path.
    measured: bool,
    /// The answer to a challenge, to be sent where that came from, which may not be [`path`](Self::path). There is
    /// one per packet: more would make a forged source address hear more bytes than were spent on it.
    aside: Option<(Path, Frame)>,
    /// Frames for calls that came before the peer had proven that it has this session, beside another one.
    held: Vec<Frame>,
    strikes: u8,
    media_sent: u32,
    media_received: u32,
    media_bytes: MediaBytes,
}

/// What a new session is made of.
pub(super) struct Birth {
    pub(super) id: SessionId,
    pub(super) local: LocalId,
    pub(super) path: Path,
    pub(super) slot: u8,
    pub(super) begun: Instant,
    pub(super) unconfirmed: Option<Unconfirmed>,
    pub(super) rtt: Option<Duration>,
}

/// A packet that [`Session::receive`] has judged.
pub(super) struct Arrived {
    /// Where it came from.
    pub(super) path: Path,
    pub(super) header: Header,
    /// All its bytes.
    pub(super) length: usize,
    /// Why it was dropped, if it was.
    pub(super) dropped: Option<Drop>,
}

/// What an authentic packet brought.
pub(super) enum Received {
    /// A media frame.
    Media { seq: u32, payload: Vec<u8> },
    /// Frames of the control stream, each once and in order, and whether a heartbeat was answered.
    Control(Vec<Frame>),
}

/// What a timeout brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The ladder of silence was climbed.
    Level(Level),
    /// A doubted peer was not heard.
    Silent,
    /// Packets go elsewhere.
    PathChanged,
    /// HS_AUTH was never confirmed.
    Unreachable,
    /// No call for too long.
    Idle,
    /// Its time is over.
    Over,
}

impl Session {
    pub(super) fn new(birth: Birth, established: Established, now: Instant, jitter: &mut Random) -> Self {
        let Birth { id, local, path, slot, begun, unconfirmed, rtt } = birth;
        let (mut control, mut round_trip) = (Control::default(), Rtt::default());
        if let Some(rtt) = rtt {
            control.rtt.sample(rtt);
            round_trip.sample(rtt);
        }
        Self {
            id,
            local,
            side: established.side,
            birthplace: path,
            paths: Paths::new(path),
            slot,
            phase: Phase::Open,
            standing: Standing::Rival,
            unconfirmed,
            begun,
            established: now,
            first_heard: None,
            proof: None,
            liveness: Liveness::new(now, jitter),
            control,
            tunnel: Tunnel::new(established.secret, established.side, established.peer_slot, now),
            rekey: Rekey::default(),
            renewed: None,
            transcript: established.transcript,
            round_trip,
            measured: false,
            aside: None,
            peer: established.peer,
            held: Vec::new(),
            strikes: 0,
            media_sent: 0,
            media_received: 0,
            media_bytes: MediaBytes::default(),
        }
    }

    /// The ID of whoever began the handshake.
    pub(super) const fn initiator(&self, own: NodeId) -> NodeId {
        match self.side {
            Side::Initiator => own,
            Side::Responder => self.peer.id(),
        }
    }

    /// Whether it can still become or stay the one in use.
    pub(super) const fn is_contender(&self) -> bool {
        matches!(self.phase, Phase::Open) && matches!(self.standing, Standing::Primary | Standing::Rival)
    }

    /// Whether it is the one in use.
    pub(super) const fn is_primary(&self) -> bool {
        matches!(self.phase, Phase::Open) && matches!(self.standing, Standing::Primary)
    }

    /// Where packets to the peer go.
    pub(super) const fn path(&self) -> Path {
        self.paths.home()
    }

    /// Keeps a frame back while the peer may have sent it in a session that it has given up long ago. Returns it if it
    /// has not.
    pub(super) fn hold_back(&mut self, frame: Frame) -> Option<Frame> {
        let doubtful = self.standing == Standing::Rival && self.proof.is_none();
        if !doubtful {
            return Some(frame);
        }
        if self.held.len() < MAX_HELD {
            self.held.push(frame);
        }
        None
    }

    /// The frames kept back, once they need not be any more.
    pub(super) fn release(&mut self) -> Vec<Frame> {
        let doubtful = self.standing == Standing::Rival && self.proof.is_none();
        if doubtful { Vec::new() } else { core::mem::take(&mut self.held) }
    }

    /// Opens a packet. `Err(Drop::Violation)` is a strike.
    pub(super) fn receive(
        &mut self,
        path: Path,
        header: &Header,
        datagram: &mut [u8],
        buffers: &mut Buffers,
        now: Instant,
    ) -> Result<(Received, bool), Drop> {
        let epoch = self.tunnel.epoch();
        let text = self.tunnel.open(header, datagram, now)?;
        if self.tunnel.epoch() != epoch {
            self.entered_epoch(now);
        }
        self.unconfirmed = None;
        self.first_heard.get_or_insert(now);
        if !header.control {
            if !is_media(text) {
                self.hear(now);
                return Err(Drop::Violation);
            }
            self.media_received = self.media_received.wrapping_add(1);
            let mut payload = buffers.take();
            payload.extend_from_slice(text);
            let recovered = self.hear(now);
            return Ok((Received::Media { seq: header.seq, payload }, recovered));
        }
        let frames = read_frames(&mut self.control, text, now);
        let recovered = self.hear(now);
        let mut rest = Vec::new();
        for frame in frames.map_err(|_| Drop::Violation)? {
            rest.extend(self.digest(path, frame, now)?);
        }
        Ok((Received::Control(rest), recovered))
    }

    fn measure(&mut self, sample: Duration) {
        self.control.rtt.sample(sample);
        // What the handshake took is a bad beginning: it contains the work on both sides.
        if !core::mem::replace(&mut self.measured, true) {
            self.round_trip = Rtt::default();
        }
        self.round_trip.sample(sample);
    }

    fn hear(&mut self, now: Instant) -> bool {
        self.liveness.hear(now, self.control.waiting_since())
    }

    /// Handles what concerns the session alone; returns what does not. An error is a violation.
    fn digest(&mut self, path: Path, frame: Frame, now: Instant) -> Result<Option<Frame>, Drop> {
        match frame {
            Frame::HeartBeat { id, t_ms, media_seq, .. } => {
                self.tunnel.expect_media(media_seq);
                self.control.send(Frame::HeartBeatReply { id, t_ms, hold_ms: 0 }, now);
            }
            Frame::HeartBeatReply { id, hold_ms, .. } => {
                if let Some(sent) = self.liveness.answered(id) {
                    let held = Duration::from_millis(u64::from(hold_ms));
                    self.measure(now.since(sent).saturating_sub(held));
                    self.proof = self.proof.max(Some(sent));
                }
            }
            // Answered where it came from, as a challenge asks about exactly that address.
            Frame::PathChallenge { data } => self.aside = Some((path, Frame::PathResponse { data })),
            Frame::PathResponse { data } => self.paths.answered(&data, now),
            // It keeps the place of a frame that moved to another session.
            Frame::PathOffer { addresses } if addresses.is_empty() => {}
            Frame::Pad { .. } => {}
            Frame::RekeyInit { .. } | Frame::RekeyResp { .. } | Frame::RekeyReq { .. } => {
                self.take_rekey(&frame, now)?;
            }
            frame => return Ok(Some(frame)),
        }
        Ok(None)
    }

    /// Counts a violation; true when it was one too many.
    pub(super) const fn strike(&mut self) -> bool {
        self.strikes = self.strikes.saturating_add(1);
        self.strikes >= STRIKES
    }

    /// Seals a media frame and sends it.
    pub(super) fn send_media(
        &mut self,
        captured: Instant,
        ticks: u8,
        first: bool,
        opus: &[u8],
        buffers: &mut Buffers,
        out: &mut VecDeque<Transmit>,
    ) -> Option<u32> {
        let (seq, datagram) = self.tunnel.seal_media_in(buffers.take(), captured, ticks, first, opus)?;
        self.media_sent = self.media_sent.wrapping_add(1);
        self.media_bytes.note(datagram.len());
        self.dispatch(datagram, out);
        Some(seq)
    }

    /// Sends CLOSE and keeps the session until it is acknowledged, 3 s at most. False if it was closing already.
    pub(super) fn close(&mut self, reason: Reason, now: Instant) -> bool {
        let is_open = self.phase == Phase::Open;
        if is_open {
            self.control.send(Frame::Close { reason }, now);
            self.phase = Phase::Closing(now + LINGER);
        }
        is_open
    }

    /// The peer closed: nothing is sent any more but acknowledgements of the repeats.
    pub(super) fn closed(&mut self, now: Instant) {
        self.control.take_unacknowledged();
        self.control.acknowledge_now(now);
        self.phase = Phase::Closed(now + LINGER);
        self.unconfirmed = None;
    }

    /// Another session takes over: this one is only heard from now on.
    pub(super) fn retire(&mut self, now: Instant) {
        self.standing = Standing::Retired(now + RETIRED);
        self.unconfirmed = None;
        self.liveness.stop_probing();
        self.liveness.set_in_call(false, now);
    }

    /// Does what is due at `now`.
    pub(super) fn handle_timeout(
        &mut self,
        now: Now,
        jitter: &mut Random,
        out: &mut VecDeque<Transmit>,
    ) -> Option<Due> {
        let mono = now.mono;
        if self.is_over(mono) {
            return Some(Due::Over);
        }
        if self.unconfirmed.as_ref().is_some_and(|unconfirmed| unconfirmed.until <= mono) {
            return Some(Due::Unreachable);
        }
        self.repeat_auth(mono, jitter, out);
        if !self.is_contender() {
            return None;
        }
        if self.idle_until().is_some_and(|until| until <= mono) {
            return Some(Due::Idle);
        }
        self.beat(mono, jitter);
        self.paths.handle_timeout(mono);
        if self.notice_change(mono) {
            return Some(Due::PathChanged);
        }
        if self.liveness.is_doubt_confirmed(mono) {
            return Some(Due::Silent);
        }
        self.liveness.climb(mono, self.control.waiting_since()).map(Due::Level)
    }

    fn is_over(&self, now: Instant) -> bool {
        let ends = match (self.phase, self.standing) {
            (Phase::Closing(until), _) if self.control.is_drained() => until.min(now),
            (Phase::Closing(until) | Phase::Closed(until), _) | (Phase::Open, Standing::Retired(until)) => until,
            (Phase::Open, Standing::Primary | Standing::Rival) => return false,
        };
        ends <= now
    }

    /// Sends HS_AUTH again, and with it all frames the peer cannot have opened without it.
    fn repeat_auth(&mut self, now: Instant, jitter: &mut Random, out: &mut VecDeque<Transmit>) {
        let Some(unconfirmed) = self.unconfirmed.as_mut().filter(|unconfirmed| unconfirmed.next <= now) else { return };
        unconfirmed.next = now + jitter.jittered(unconfirmed.interval);
        out.push_back(Transmit { path: self.paths.home(), datagram: unconfirmed.auth.clone() });
        self.control.resend_all(now);
    }

    fn beat(&mut self, now: Instant, jitter: &mut Random) {
        if let Some(id) = self.liveness.beat(now, jitter) {
            self.queue_beat(id, now);
        }
    }

    /// Sends heartbeats quickly for `duration`, the first at once.
    pub(super) fn probe(&mut self, duration: Duration, now: Instant, jitter: &mut Random) {
        self.liveness.probe(now, duration);
        self.beat(now, jitter);
    }

    fn queue_beat(&mut self, id: u32, now: Instant) {
        let t_ms = (now.as_micros() / 1_000) as u32;
        let (media_sent, media_seq) = (self.media_sent, self.tunnel.media_seq());
        self.control.send(Frame::HeartBeat { id, t_ms, media_sent, media_seq }, now);
    }

    /// Seals and sends whatever the control stream has to say now.
    pub(super) fn flush(&mut self, now: Instant, jitter: &mut Random, out: &mut VecDeque<Transmit>) {
        if let Some((path, frame)) = self.aside.take() {
            self.answer_challenge(path, &frame, out);
        }
        let length = self.challenge_len();
        for (path, data) in self.paths.due(length, now, jitter) {
            self.send_challenge(path, data, out);
        }
        // Each round sends what is due; what did not fit is still due.
        for _ in 0..64 {
            if !self.control.wants_packet(now) {
                return;
            }
            let sealed = self.seal(|control, datagram| control.write(now, jitter, datagram));
            if let Some(datagram) = sealed {
                self.dispatch(datagram, out);
            }
        }
    }

    pub(super) fn seal_to(
        &mut self,
        path: Path,
        out: &mut VecDeque<Transmit>,
        write: impl FnOnce(&mut Control, &mut Vec<u8>),
    ) {
        let sealed = self.seal(write);
        out.extend(sealed.map(|datagram| Transmit { path, datagram }));
    }

    fn seal(&mut self, write: impl FnOnce(&mut Control, &mut Vec<u8>)) -> Option<Vec<u8>> {
        let mut datagram = Vec::with_capacity(128);
        datagram.resize(self.tunnel.headroom(Stream::Control), 0);
        write(&mut self.control, &mut datagram);
        debug_assert!(datagram.len() <= MAX_DATAGRAM);
        self.tunnel.seal_control(&mut datagram).is_ok().then_some(datagram)
    }

    fn idle_until(&self) -> Option<Instant> {
        let limit = match self.side {
            Side::Initiator => IDLE_INITIATOR,
            Side::Responder => IDLE_RESPONDER,
        };
        self.liveness.idle_since().map(|since| since + limit)
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do next, and what.
    pub(super) fn next_due(&self) -> (Instant, &'static str) {
        let end = match (self.phase, self.standing) {
            (Phase::Closing(_), _) if self.control.is_drained() => Some(Instant::ZERO),
            (Phase::Closing(until) | Phase::Closed(until), _) | (Phase::Open, Standing::Retired(until)) => Some(until),
            _ => None,
        };
        let contender = self.is_contender();
        let candidates = [
            (end, "session end"),
            (self.unconfirmed.as_ref().map(|it| it.next.min(it.until)), "HS_AUTH again"),
            (self.control.next_due(), "control stream"),
            (contender.then(|| self.liveness.next_due(self.control.waiting_since())), "heartbeat"),
            (self.paths.next_due().filter(|_| contender), "path"),
            (self.idle_until().filter(|_| contender), "idle session"),
        ];
        let due = candidates.into_iter().filter_map(|(at, reason)| Some((at?, reason)));
        due.min_by_key(|(at, _)| *at).unwrap_or((self.established, "session"))
    }

    pub(super) fn stats(&self) -> SessionStats {
        SessionStats {
            local: self.local,
            peer: self.peer.id(),
            fingerprint: self.peer.fingerprint(),
            path: self.path(),
            path_changes: self.paths.count(),
            initiated: self.side == Side::Initiator,
            rtt: self.round_trip.smoothed(),
            media_sent: self.media_sent,
            media_received: self.media_received,
            media_bytes: self.media_bytes,
            failed: self.tunnel.failed(),
            epoch: self.tunnel.epoch(),
            alarms: self.rekey.alarms(),
        }
    }

    /// HMAC of `parts` under the digest of the handshake.
    pub(super) fn transcript_mac(&self, parts: &[&[u8]]) -> Digest {
        MacKey::new(&self.transcript).tag(parts)
    }
}

/// Whether the text of a media packet is an Opus packet of one frame or one of our extensions.
fn is_media(text: &[u8]) -> bool {
    text.first().is_some_and(|first| matches!(first & 3, 0 | 3))
}

fn read_frames(control: &mut Control, text: &[u8], now: Instant) -> Result<Vec<Frame>, Malformed> {
    let (ack, frames) = parse_control(text)?;
    control.on_ack(ack, now);
    let mut delivered = Vec::new();
    for frame in frames {
        let frame = frame?;
        let parsed = Frame::parse(frame.kind, frame.body)?;
        match frame.number {
            Some(number) => delivered.extend(control.on_frame(number, parsed, now)),
            None => delivered.extend(parsed),
        }
    }
    Ok(delivered)
}
