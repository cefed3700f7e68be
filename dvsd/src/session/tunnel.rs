// SPDX-License-Identifier: GPL-3.0-or-later
//! The packets of one session: sealing, opening, sequence numbers.
//!
//! The sequence numbers belong to the session: no call, hold or key change ever resets or lowers them. The keys belong
//! to its `epochs`; here is what calls for new ones.

use core::time::Duration;

use crate::crypto::seal::{EpochRoot, EpochSecret, SealError, Stream};
use crate::handshake::Side;
use crate::time::Instant;
use crate::wire::MAX_DATAGRAM;
use crate::wire::session::{Header, Slot};

use super::Drop;
use super::bucket::Bucket;
use super::epochs::Epochs;

/// The unit of media sequence numbers.
pub(super) const TICK: Duration = Duration::from_micros(2_500);
/// How far a sequence number may be ahead of the highest one known (on media, plus the ticks since then).
const MAX_JUMP: u32 = 32_768;
/// Packets further ahead are opened even so, this many per second: a suspended sender must be heard again.
const BEYOND_PER_SECOND: u32 = 10;
/// Sequence numbers are used up here, well before they would wrap.
const SEQ_END: u32 = u32::MAX - (1 << 16);
/// From here on a new session is wanted in place of this one: 11.6 hours of media before the end.
const SEQ_LATE: u32 = SEQ_END - (1 << 24);
/// Control packets, and ticks of media, that one epoch may seal before new keys are wanted.
const WORN_CONTROL: u32 = 1 << 30;
const WORN_MEDIA: u32 = 1 << 31;
/// Packets that do not open in one epoch before new keys are wanted, and before the session ends.
const FAILED_REKEY: u64 = 1 << 20;
const FAILED_CLOSE: u64 = 1 << 32;

/// Seals and opens the packets of one session.
pub(super) struct Tunnel {
    /// What packets to the peer carry.
    peer_slot: Slot,
    epochs: Epochs,
    began: Began,
    started: Instant,
    sent: Sent,
    received: Received,
    failed: u64,
}

/// When packets were first sealed in the current epoch, and at which sequence numbers.
struct Began {
    at: Instant,
    control: u32,
    media: u32,
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

impl Tunnel {
    /// The tunnel of a session that starts now.
    pub(super) fn new(secret: EpochSecret, side: Side, peer_slot: Slot, now: Instant) -> Self {
        Self {
            peer_slot,
            epochs: Epochs::new(secret, side),
            began: Began { at: now, control: 0, media: 0 },
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
    /// before; never at or below a number already used. A function of its own in every build, so that its instructions
    /// can be counted.
    #[inline(never)]
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
        let header = Header { control, parity: self.epochs.current().parity(), slot: self.peer_slot, seq };
        header.write(datagram).map_err(|_| short())?;
        let (aad, rest) = datagram.split_at_mut_checked(Header::length(self.peer_slot)).ok_or_else(short)?;
        let (tag, text) = rest.split_at_mut_checked(stream.tag_len()).ok_or_else(short)?;
        let epoch = self.epochs.current_mut();
        let key = if control { &mut epoch.seal_control } else { &mut epoch.seal_media };
        key.seal(seq, aad, text, tag)
    }

    /// Opens a packet in place and returns its text. Nothing changes unless it is authentic and new. A function of its own
    /// in every build, so that its instructions can be counted.
    #[inline(never)]
    pub(super) fn open<'a>(
        &mut self,
        header: &Header,
        datagram: &'a mut [u8],
        now: Instant,
    ) -> Result<&'a mut [u8], Drop> {
        let epoch = self.epochs.of(header.parity, now).ok_or(Drop::Epoch)?;
        let stream = if header.control { Stream::Control } else { Stream::Media };
        if header.seq > self.received.limit(stream, now) && !self.received.beyond.take(now) {
            return Err(Drop::Jump);
        }
        let inbound = epoch.inbound(stream);
        if !inbound.window.is_new(header.seq) {
            return Err(Drop::Replayed);
        }
        let (aad, rest) = datagram.split_at_mut_checked(Header::length(header.slot)).ok_or(Drop::Malformed)?;
        let (tag, text) = rest.split_at_mut_checked(stream.tag_len()).ok_or(Drop::Malformed)?;
        if !inbound.key.open(header.seq, aad, text, tag) {
            epoch.failed += 1;
            self.failed += 1;
            return Err(Drop::NotAuthentic);
        }
        inbound.window.accept(header.seq);
        let number = epoch.number();
        self.received.note(stream, header.seq, now);
        if self.epochs.heard(number, now) {
            self.begin_epoch(now);
        }
        Ok(text)
    }

    /// The epoch packets are sealed in, from 0.
    pub(super) const fn epoch(&self) -> u32 {
        self.epochs.current().number()
    }

    /// What the secret of the next epoch is made of, among other things.
    pub(super) const fn root(&self) -> &EpochRoot {
        self.epochs.root()
    }

    /// Whether packets of the next epoch can be opened already.
    pub(super) const fn is_prepared(&self) -> bool {
        self.epochs.is_prepared()
    }

    /// Opens packets of the next epoch, and seals in it as soon as the peer does.
    pub(super) fn prepare(&mut self, secret: EpochSecret) {
        self.epochs.prepare(secret);
    }

    /// Seals in the next epoch from now on.
    pub(super) fn advance(&mut self, secret: EpochSecret, now: Instant) {
        self.epochs.advance(secret);
        self.begin_epoch(now);
    }

    fn begin_epoch(&mut self, now: Instant) {
        self.began = Began { at: now, control: self.control_seq(), media: self.media_seq() };
    }

    /// Since when packets are sealed in this epoch.
    pub(super) const fn keys_since(&self) -> Instant {
        self.began.at
    }

    /// Whether this epoch's keys have seen so many packets that they should be replaced.
    pub(super) fn is_worn(&self) -> bool {
        let control = self.control_seq().saturating_sub(self.began.control);
        let media = self.media_seq().saturating_sub(self.began.media);
        control >= WORN_CONTROL || media >= WORN_MEDIA || self.is_under_attack()
    }

    /// Whether so many packets of this epoch did not open that its keys should be replaced.
    pub(super) fn is_under_attack(&self) -> bool {
        self.epochs.failed() >= FAILED_REKEY
    }

    /// Whether so many packets of an epoch did not open that the session must end.
    pub(super) fn is_spent(&self) -> bool {
        self.epochs.failed() >= FAILED_CLOSE
    }

    /// Erases the keys of the epoch before if their time is over.
    pub(super) fn erase(&mut self, now: Instant) {
        self.epochs.erase(now);
    }

    /// When [`erase`](Self::erase) has something to do.
    pub(super) const fn erase_due(&self) -> Option<Instant> {
        self.epochs.erase_due()
    }

    /// When the sequence numbers of some stream in some direction come near their end, which may be long past.
    pub(super) fn numbers_end(&self) -> Instant {
        let sent = self.control_seq().max(self.media_seq());
        if sent.max(self.received.control).max(self.received.media) >= SEQ_LATE {
            return Instant::ZERO;
        }
        // The first frame of a run is numbered by the clock.
        self.started + TICK * SEQ_LATE
    }

    /// Whether `header` is of the control packet with the highest number that was authentic.
    pub(super) const fn is_newest(&self, header: &Header) -> bool {
        header.control && header.seq == self.received.control
    }

    /// The peer says it has sent media up to `seq`.
    pub(super) fn expect_media(&mut self, seq: u32) {
        self.received.media = self.received.media.max(seq);
    }

    /// Goes on as if the numbers before `control` and `media` had been used, in both directions.
    #[cfg(test)]
    pub(super) fn set_numbers(&mut self, control: u32, media: u32) {
        self.sent = Sent { control: Some(control), media: Some(Media { seq: media, ticks: 8 }) };
        (self.received.control, self.received.media) = (control, media);
    }

    /// Goes on as if `failed` packets had not opened in this epoch.
    #[cfg(test)]
    pub(super) fn set_failed(&mut self, failed: u64) {
        self.epochs.current_mut().failed = failed;
    }

    fn control_seq(&self) -> u32 {
        self.sent.control.unwrap_or(0)
    }

    /// The last media sequence number sent; zero before any.
    pub(super) fn media_seq(&self) -> u32 {
        self.sent.media.map_or(0, |last| last.seq)
    }

    /// How many packets to this session did not open, in all epochs.
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
mod tests;
