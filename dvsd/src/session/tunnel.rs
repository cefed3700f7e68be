// SPDX-License-Identifier: GPL-3.0-or-later
//! The packets of one session: sealing, opening, sequence numbers, epochs.
//!
//! The sequence numbers belong to the session: no call, hold or key change ever resets or lowers them. There is one
//! epoch so far; a later one will stand beside it in `Epoch`s of its own.

use core::time::Duration;

use crate::crypto::seal::{EpochSecret, OpeningKey, SealError, SealingKey, Stream};
use crate::handshake::Side;
use crate::replay::Window;
use crate::time::Instant;
use crate::wire::MAX_DATAGRAM;
use crate::wire::session::{Header, Slot};

use super::Drop;
use super::bucket::Bucket;

/// The unit of media sequence numbers.
pub(super) const TICK: Duration = Duration::from_micros(2_500);
/// How far a sequence number may be ahead of the highest one known (on media, plus the ticks since then).
const MAX_JUMP: u32 = 32_768;
/// Packets further ahead are opened even so, this many per second: a suspended sender must be heard again.
const BEYOND_PER_SECOND: u32 = 10;
/// Sequence numbers are used up here, well before they would wrap.
const SEQ_END: u32 = u32::MAX - (1 << 16);

/// Seals and opens the packets of one session.
pub(super) struct Tunnel {
    /// What packets to the peer carry.
    peer_slot: Slot,
    epoch: Epoch,
    started: Instant,
    sent: Sent,
    received: Received,
    failed: u64,
}

/// The keys of one epoch.
struct Epoch {
    number: u32,
    seal_media: SealingKey,
    seal_control: SealingKey,
    media: Inbound,
    control: Inbound,
}

/// One incoming stream of one epoch.
struct Inbound {
    key: OpeningKey,
    window: Window,
}

/// Sequence numbers already used, over all epochs.
#[derive(Default)]
struct Sent {
    control: Option<u32>,
    media: Option<Media>,
}

#[derive(Clone, Copy)]
struct Media {
    seq: u32,
    ticks: u8,
}

/// Highest sequence numbers authenticated, over all epochs.
struct Received {
    control: u32,
    media: u32,
    /// The last authenticated media packet.
    media_at: Instant,
    beyond: Bucket,
}

impl Epoch {
    fn new(number: u32, secret: &EpochSecret, side: Side) -> Self {
        let inbound = |stream| Inbound { key: secret.opening(stream, side.receiving()), window: Window::default() };
        Self {
            number,
            seal_media: secret.sealing(Stream::Media, side.sending()),
            seal_control: secret.sealing(Stream::Control, side.sending()),
            media: inbound(Stream::Media),
            control: inbound(Stream::Control),
        }
    }

    const fn parity(&self) -> bool {
        self.number & 1 == 1
    }
}

impl Tunnel {
    /// The tunnel of a session that starts now.
    pub(super) fn new(secret: &EpochSecret, side: Side, peer_slot: Slot, now: Instant) -> Self {
        Self {
            peer_slot,
            epoch: Epoch::new(0, secret, side),
            started: now,
            sent: Sent::default(),
            received: Received {
                control: 0,
                media: 0,
                media_at: now,
                beyond: Bucket::full(BEYOND_PER_SECOND, BEYOND_PER_SECOND, now),
            },
            failed: 0,
        }
    }

    /// How many bytes stand before the text of an outgoing packet.
    pub(super) const fn headroom(&self, stream: Stream) -> usize {
        Header::length(self.peer_slot) + stream.tag_len()
    }

    /// Seals a control packet in place: `datagram` is [headroom](Self::headroom) and text.
    pub(super) fn seal_control(&mut self, datagram: &mut [u8]) -> Result<(), SealError> {
        let seq = self.sent.control.map_or(0, |last| last + 1);
        let sealed = self.seal(Stream::Control, seq, datagram);
        // A number is spent even if sealing failed half-way: the key takes it no second time.
        if sealed != Err(SealError::Exhausted) {
            self.sent.control = Some(seq);
        }
        sealed
    }

    /// Seals one media frame in the `datagram` it leaves in, an empty buffer with room for it. Returns its sequence number
    /// as well.
    ///
    /// The first frame of a run is numbered by when it was captured, those after it by the duration of the frame
    /// before; never at or below a number already used.
    pub(super) fn seal_media_in(
        &mut self,
        mut datagram: Vec<u8>,
        captured: Instant,
        ticks: u8,
        first: bool,
        opus: &[u8],
    ) -> Option<(u32, Vec<u8>)> {
        let headroom = self.headroom(Stream::Media);
        if opus.is_empty() || headroom + opus.len() > MAX_DATAGRAM {
            return None;
        }
        let seq = self.next_media(captured, first)?;
        datagram.clear();
        datagram.resize(headroom, 0);
        datagram.extend_from_slice(opus);
        let sealed = self.seal(Stream::Media, seq, &mut datagram);
        if sealed != Err(SealError::Exhausted) {
            self.sent.media = Some(Media { seq, ticks });
        }
        sealed.ok().map(|()| (seq, datagram))
    }

    /// The same in a buffer of its own.
    #[cfg(test)]
    pub(super) fn seal_media(
        &mut self,
        captured: Instant,
        ticks: u8,
        first: bool,
        opus: &[u8],
    ) -> Option<(u32, Vec<u8>)> {
        self.seal_media_in(Vec::new(), captured, ticks, first, opus)
    }

    fn next_media(&self, captured: Instant, first: bool) -> Option<u32> {
        let clock = ticks_in(captured.since(self.started));
        match self.sent.media {
            None => Some(clock),
            Some(last) if first => Some(clock.max(last.seq.checked_add(1)?)),
            Some(last) => last.seq.checked_add(u32::from(last.ticks.max(1))),
        }
    }

    fn seal(&mut self, stream: Stream, seq: u32, datagram: &mut [u8]) -> Result<(), SealError> {
        if seq >= SEQ_END {
            return Err(SealError::Exhausted);
        }
        let short = || SealError::Crypto(crate::crypto::CryptoError);
        let control = stream == Stream::Control;
        let header = Header { control, parity: self.epoch.parity(), slot: self.peer_slot, seq };
        header.write(datagram).map_err(|_| short())?;
        let (aad, rest) = datagram.split_at_mut_checked(Header::length(self.peer_slot)).ok_or_else(short)?;
        let (tag, text) = rest.split_at_mut_checked(stream.tag_len()).ok_or_else(short)?;
        let key = if control { &mut self.epoch.seal_control } else { &mut self.epoch.seal_media };
        key.seal(seq, aad, text, tag)
    }

    /// Opens a packet in place and returns its text. Nothing changes unless it is authentic and new.
    pub(super) fn open<'a>(
        &mut self,
        header: &Header,
        datagram: &'a mut [u8],
        now: Instant,
    ) -> Result<&'a mut [u8], Drop> {
        if header.parity != self.epoch.parity() {
            return Err(Drop::Epoch);
        }
        let stream = if header.control { Stream::Control } else { Stream::Media };
        if header.seq > self.received.limit(stream, now) && !self.received.beyond.take(now) {
            return Err(Drop::Jump);
        }
        let inbound = if header.control { &mut self.epoch.control } else { &mut self.epoch.media };
        if !inbound.window.is_new(header.seq) {
            return Err(Drop::Replayed);
        }
        let (aad, rest) = datagram.split_at_mut_checked(Header::length(header.slot)).ok_or(Drop::Malformed)?;
        let (tag, text) = rest.split_at_mut_checked(stream.tag_len()).ok_or(Drop::Malformed)?;
        if !inbound.key.open(header.seq, aad, text, tag) {
            self.failed += 1;
            return Err(Drop::NotAuthentic);
        }
        inbound.window.accept(header.seq);
        self.received.note(stream, header.seq, now);
        Ok(text)
    }

    /// The peer says it has sent media up to `seq`.
    pub(super) fn expect_media(&mut self, seq: u32) {
        self.received.media = self.received.media.max(seq);
    }

    /// The last media sequence number sent; zero before any.
    pub(super) fn media_seq(&self) -> u32 {
        self.sent.media.map_or(0, |last| last.seq)
    }

    /// How many packets to this session did not open in this epoch.
    pub(super) const fn failed(&self) -> u64 {
        self.failed
    }
}

impl Received {
    fn limit(&self, stream: Stream, now: Instant) -> u32 {
        match stream {
            Stream::Control => self.control.saturating_add(MAX_JUMP),
            Stream::Media => {
                let elapsed = ticks_in(now.since(self.media_at));
                self.media.saturating_add(MAX_JUMP).saturating_add(elapsed)
            }
        }
    }

    fn note(&mut self, stream: Stream, seq: u32, now: Instant) {
        match stream {
            Stream::Control => self.control = self.control.max(seq),
            Stream::Media => {
                self.media = self.media.max(seq);
                self.media_at = now;
            }
        }
    }
}

fn ticks_in(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros() / TICK.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    fn pair() -> (Tunnel, Tunnel) {
        let secret = EpochSecret::new(Zeroizing::new([5; 32]));
        let tunnel = |side| Tunnel::new(&secret, side, Slot::Short(5), Instant::ZERO);
        (tunnel(Side::Initiator), tunnel(Side::Responder))
    }

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn open(tunnel: &mut Tunnel, datagram: &[u8], now: Instant) -> Result<Vec<u8>, Drop> {
        let header = Header::parse(datagram).unwrap();
        tunnel.open(&header, &mut datagram.to_vec(), now).map(|text| text.to_vec())
    }

    #[test]
    fn an_80_byte_frame_makes_a_93_byte_packet() {
        let (mut alice, mut bob) = pair();
        let (seq, datagram) = alice.seal_media(at(0), 8, true, &[7; 80]).unwrap();
        assert_eq!((seq, datagram.len()), (0, 93));
        assert_eq!(open(&mut bob, &datagram, at(0)), Ok(vec![7; 80]));
    }

    #[test]
    fn f01_p04_every_single_bit_flip_of_a_media_packet_is_rejected() {
        let (mut alice, mut bob) = pair();
        let (_, datagram) = alice.seal_media(at(0), 8, true, &[7; 80]).unwrap();
        for bit in 0..datagram.len() * 8 {
            let mut flipped = datagram.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let Ok(header) = Header::parse(&flipped) else { continue };
            assert!(bob.open(&header, &mut flipped, at(0)).is_err(), "bit {bit}");
        }
        assert!(open(&mut bob, &datagram, at(0)).is_ok());
    }

    #[test]
    fn a_packet_cut_inside_its_tag_is_rejected() {
        let (mut alice, mut bob) = pair();
        let (_, datagram) = alice.seal_media(at(0), 8, true, &[7; 80]).unwrap();
        for length in 5..datagram.len() {
            assert!(open(&mut bob, &datagram[..length], at(0)).is_err(), "{length}");
        }
    }

    #[test]
    fn f02_a_packet_reflected_to_its_sender_is_rejected() {
        let (mut alice, _) = pair();
        let (_, datagram) = alice.seal_media(at(0), 8, true, &[7; 80]).unwrap();
        assert_eq!(open(&mut alice, &datagram, at(0)), Err(Drop::NotAuthentic));
    }

    #[test]
    fn n02_a_packet_heard_twice_is_played_once() {
        let (mut alice, mut bob) = pair();
        let (_, datagram) = alice.seal_media(at(0), 8, true, &[7; 80]).unwrap();
        assert!(open(&mut bob, &datagram, at(0)).is_ok());
        assert_eq!(open(&mut bob, &datagram, at(0)), Err(Drop::Replayed));
    }

    #[test]
    fn f21_no_run_of_media_reuses_a_number_whatever_the_clock_says() {
        let (mut alice, _) = pair();
        let mut seal = |ms, ticks, first| alice.seal_media(at(ms), ticks, first, &[1]).unwrap().0;
        assert_eq!(seal(100, 8, true), 40);
        assert_eq!(seal(999, 8, false), 48, "inside a run only the durations count");
        assert_eq!(seal(0, 8, true), 49, "a clock that jumped back");
        assert_eq!(seal(1_000, 4, true), 400, "a second call continues the session's clock");
        assert_eq!(seal(1_000, 8, false), 404);
    }

    #[test]
    fn f21_sequence_numbers_end_before_they_wrap() {
        let (mut alice, _) = pair();
        let last = Duration::from_micros(2_500 * u64::from(SEQ_END - 1));
        assert!(alice.seal_media(Instant::ZERO + last, 8, true, &[1]).is_some());
        assert_eq!(alice.seal_media(at(0), 8, false, &[1]), None);
        assert_eq!(alice.seal_media(at(0), 8, true, &[1]).map(|(seq, _)| seq), None);
    }

    #[test]
    fn f22_late_packets_are_still_heard() {
        let (mut alice, mut bob) = pair();
        let packets: Vec<_> = (0..200).map(|i| alice.seal_media(at(0), 8, i == 0, &[1]).unwrap().1).collect();
        for packet in packets.iter().rev() {
            assert!(open(&mut bob, packet, at(0)).is_ok());
        }
    }

    #[test]
    fn f22_a_jump_ahead_is_bounded_and_grows_with_the_silence() {
        let (mut alice, mut bob) = pair();
        let (_, far) = alice.seal_media(at(100_000), 8, true, &[1]).unwrap();
        for _ in 0..BEYOND_PER_SECOND {
            let mut forged = far.clone();
            forged[10] ^= 1;
            assert_eq!(open(&mut bob, &forged, at(0)), Err(Drop::NotAuthentic));
        }
        assert_eq!(open(&mut bob, &far, at(0)), Err(Drop::Jump), "no more crypto is spent on those");
        assert!(open(&mut bob, &far, at(100_000 - 80_000)).is_ok());
    }

    #[test]
    fn a_heartbeat_lets_a_suspended_sender_be_heard() {
        let (mut alice, mut bob) = pair();
        let (seq, far) = alice.seal_media(at(1_000_000), 8, true, &[1]).unwrap();
        bob.received.beyond = Bucket::full(0, 0, at(0));
        assert_eq!(open(&mut bob, &far, at(0)), Err(Drop::Jump));
        bob.expect_media(seq);
        assert!(open(&mut bob, &far, at(0)).is_ok());
    }
}
