// SPDX-License-Identifier: GPL-3.0-or-later
//! What one client is still to be sent, in bounded memory.
//!
//! Answers and events must all arrive, in order; a client that lets too many pile up is dropped. Of figures that are
//! out of date as soon as the next ones come, only the latest is kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dvs_proto::message::Event;
use tokio::sync::Notify;

/// Frames that may wait.
const MAX_FRAMES: usize = 256;
/// Bytes that may wait.
const MAX_BYTES: usize = 256 * 1024;

/// A whole frame, shared by all clients it goes to.
pub(super) type Frame = Arc<[u8]>;

/// The figures of which only the latest count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    Levels,
    Stats,
    Network,
}

impl Figure {
    const COUNT: usize = 3;

    /// The figure that `event` brings, if it is of that kind.
    pub(super) fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Levels(_) => Some(Self::Levels),
            Event::Stats(_) => Some(Self::Stats),
            Event::Network(_) => Some(Self::Network),
            _ => None,
        }
    }
}

/// Why nothing more goes to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// It let too much pile up.
    Overflow,
    /// The server wants it so.
    ByServer,
}

/// The queue of one client: filled by the loop, emptied by the client's task.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    /// Wakes who waits for a frame.
    filled: Notify,
    /// Wakes who waits for the end.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    frames: VecDeque<Frame>,
    bytes: usize,
    latest: [Option<Frame>; Figure::COUNT],
    closed: Option<Closed>,
}

impl Outbox {
    /// Queues a frame that must arrive.
    pub(super) fn push(&self, frame: Frame) {
        let mut waiting = self.lock();
        if waiting.frames.len() >= MAX_FRAMES || waiting.bytes + frame.len() > MAX_BYTES {
            waiting.close(Closed::Overflow);
            self.ended.notify_one();
        }
        if waiting.closed.is_none() {
            waiting.bytes += frame.len();
            waiting.frames.push_back(frame);
        }
        self.filled.notify_one();
    }

    /// Puts in the latest of a figure, in place of an earlier one that still waits.
    pub(super) fn put(&self, figure: Figure, frame: Frame) {
        let mut waiting = self.lock();
        if waiting.closed.is_none()
            && let Some(slot) = waiting.latest.get_mut(figure as usize)
        {
            *slot = Some(frame);
        }
        self.filled.notify_one();
    }

    /// Ends the client.
    pub(super) fn close(&self) {
        self.lock().close(Closed::ByServer);
        self.ended.notify_one();
    }

    /// The next frame to write, as soon as there is one; none comes after the end. Only one task may wait here.
    pub(super) async fn next(&self) -> Frame {
        loop {
            if let Some(frame) = self.lock().take() {
                return frame;
            }
            self.filled.notified().await;
        }
    }

    /// Waits until the client is closed. Only one task may wait here.
    pub(super) async fn closed(&self) -> Closed {
        loop {
            if let Some(why) = self.lock().closed {
                return why;
            }
            self.ended.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Forgets all that waits; the first reason stays.
    fn close(&mut self, why: Closed) {
        *self = Self { closed: self.closed.or(Some(why)), ..Self::default() };
    }

    fn take(&mut self) -> Option<Frame> {
        match self.frames.pop_front() {
            Some(frame) => {
                self.bytes -= frame.len();
                Some(frame)
            }
            None => self.latest.iter_mut().find_map(Option::take),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(byte: u8, len: usize) -> Frame {
        vec![byte; len].into()
    }

    fn taken(outbox: &Outbox) -> Option<u8> {
        outbox.lock().take().map(|frame| frame[0])
    }

    #[test]
    fn frames_leave_in_order_and_before_figures() {
        let outbox = Outbox::default();
        outbox.put(Figure::Levels, frame(9, 1));
        outbox.push(frame(1, 1));
        outbox.push(frame(2, 1));
        assert_eq!([taken(&outbox), taken(&outbox), taken(&outbox), taken(&outbox)], [Some(1), Some(2), Some(9), None]);
    }

    #[test]
    fn only_the_latest_of_a_figure_is_kept() {
        let outbox = Outbox::default();
        for byte in 1..100 {
            outbox.put(Figure::Levels, frame(byte, 5));
            outbox.put(Figure::Stats, frame(byte + 100, 5));
        }
        assert_eq!([taken(&outbox), taken(&outbox), taken(&outbox)], [Some(99), Some(199), None]);
    }

    #[test]
    fn the_frame_too_many_closes_the_client() {
        let outbox = Outbox::default();
        (0..256).for_each(|_| outbox.push(frame(1, 1)));
        assert_eq!(taken(&outbox), Some(1));
        outbox.push(frame(1, 1));
        outbox.push(frame(1, 1));
        assert_eq!((taken(&outbox), outbox.lock().closed), (None, Some(Closed::Overflow)));
    }

    #[test]
    fn the_byte_too_many_closes_the_client() {
        let outbox = Outbox::default();
        (0..4).for_each(|_| outbox.push(frame(1, 65_536)));
        assert_eq!(taken(&outbox), Some(1));
        outbox.push(frame(1, 65_536));
        outbox.push(frame(1, 1));
        assert_eq!((taken(&outbox), outbox.lock().closed), (None, Some(Closed::Overflow)));
        outbox.push(frame(1, 1));
        outbox.put(Figure::Network, frame(1, 1));
        assert_eq!(taken(&outbox), None, "closed is final");
    }
}
