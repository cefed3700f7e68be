// SPDX-License-Identifier: GPL-3.0-or-later
//! The keys of one session, epoch by epoch: the current ones, those of the next epoch once they are agreed on, and
//! those of the epoch before for packets that are late.
//!
//! Timer: the keys of the epoch before are erased 5 s after the peer was first heard under the current ones, and at
//! once when those of the next epoch are made: one bit in a packet tells no more than two epochs apart.

use core::time::Duration;

use crate::crypto::seal::{EpochKeys, EpochRoot, EpochSecret, OpeningKey, SealingKey, Stream};
use crate::handshake::Side;
use crate::replay::Window;
use crate::time::Instant;

/// How long packets of the epoch before are still opened, counted from the first one under the current epoch.
pub(super) const KEPT: Duration = Duration::from_secs(5);

/// One incoming stream of one epoch.
pub(super) struct Inbound {
    pub(super) key: OpeningKey,
    pub(super) window: Window,
}

/// The keys of one epoch, and what was done with them.
pub(super) struct Epoch {
    number: u32,
    root: EpochRoot,
    pub(super) seal_media: SealingKey,
    pub(super) seal_control: SealingKey,
    pub(super) media: Inbound,
    pub(super) control: Inbound,
    /// Packets that did not open (v).
    pub(super) failed: u64,
    /// Whether the peer was heard under these keys.
    heard: bool,
}

impl Epoch {
    /// Behind a pointer, so that passing an epoch on leaves no copy of its keys behind.
    fn new(number: u32, secret: EpochSecret, side: Side) -> Box<Self> {
        let EpochKeys { seal_media, seal_control, open_media, open_control, root } = secret.into_keys(side.sending());
        let inbound = |key| Inbound { key, window: Window::default() };
        Box::new(Self {
            number,
            root,
            seal_media,
            seal_control,
            media: inbound(open_media),
            control: inbound(open_control),
            failed: 0,
            heard: false,
        })
    }

    /// Which epoch of the session this is, from 0.
    pub(super) const fn number(&self) -> u32 {
        self.number
    }

    /// The bit that stands for it in packets.
    pub(super) const fn parity(&self) -> bool {
        self.number & 1 == 1
    }

    /// The incoming half of `stream`.
    pub(super) const fn inbound(&mut self, stream: Stream) -> &mut Inbound {
        match stream {
            Stream::Media => &mut self.media,
            Stream::Control => &mut self.control,
        }
    }
}

/// All epochs of one session whose keys are there.
pub(super) struct Epochs {
    side: Side,
    /// Packets to the peer are sealed under these.
    current: Box<Epoch>,
    /// Agreed on, but the peer has not used them yet: the responder only.
    next: Option<Box<Epoch>>,
    previous: Option<Box<Epoch>>,
    erase_at: Option<Instant>,
}

impl Epochs {
    /// Epoch 0 of a session.
    pub(super) fn new(secret: EpochSecret, side: Side) -> Self {
        Self { side, current: Epoch::new(0, secret, side), next: None, previous: None, erase_at: None }
    }

    /// The epoch packets are sealed in.
    pub(super) const fn current(&self) -> &Epoch {
        &self.current
    }

    /// The epoch packets are sealed in.
    pub(super) const fn current_mut(&mut self) -> &mut Epoch {
        &mut self.current
    }

    /// What the secret of the epoch after the current one is made of, among other things.
    pub(super) const fn root(&self) -> &EpochRoot {
        &self.current.root
    }

    /// Whether the keys of the next epoch are there.
    pub(super) const fn is_prepared(&self) -> bool {
        self.next.is_some()
    }

    /// The most packets that did not open in one of the epochs that count.
    pub(super) fn failed(&self) -> u64 {
        self.next.as_ref().map_or(0, |next| next.failed).max(self.current.failed)
    }

    /// The epoch of a packet whose bit is `parity`: the current one, else the next, else the one before.
    pub(super) fn of(&mut self, parity: bool, now: Instant) -> Option<&mut Epoch> {
        self.erase(now);
        if parity == self.current.parity() {
            return Some(&mut self.current);
        }
        self.next.as_deref_mut().or(self.previous.as_deref_mut())
    }

    /// The peer was heard in epoch `number`. True if packets to it are sealed in that epoch from now on.
    pub(super) fn heard(&mut self, number: u32, now: Instant) -> bool {
        let promoted = self.next.take_if(|next| next.number == number);
        let begins = promoted.is_some();
        if let Some(next) = promoted {
            self.previous = Some(core::mem::replace(&mut self.current, next));
        }
        if number == self.current.number && !core::mem::replace(&mut self.current.heard, true) {
            self.erase_at = self.previous.is_some().then_some(now + KEPT);
        }
        begins
    }

    /// Keys of the next epoch for the responder: it opens packets with them and goes on sealing with the current ones
    /// until the peer is heard.
    pub(super) fn prepare(&mut self, secret: EpochSecret) {
        self.forget_previous();
        self.next = Some(self.after_current(secret));
    }

    /// Keys of the next epoch for the initiator: they are current at once, as the responder is prepared.
    pub(super) fn advance(&mut self, secret: EpochSecret) {
        self.forget_previous();
        let next = self.after_current(secret);
        self.previous = Some(core::mem::replace(&mut self.current, next));
    }

    fn after_current(&self, secret: EpochSecret) -> Box<Epoch> {
        Epoch::new(self.current.number.wrapping_add(1), secret, self.side)
    }

    fn forget_previous(&mut self) {
        self.previous = None;
        self.erase_at = None;
    }

    /// Erases the keys of the epoch before if their time is over.
    pub(super) fn erase(&mut self, now: Instant) {
        if self.erase_at.is_some_and(|at| at <= now) {
            self.forget_previous();
        }
    }

    /// When [`erase`](Self::erase) has something to do.
    pub(super) const fn erase_due(&self) -> Option<Instant> {
        self.erase_at
    }
}
