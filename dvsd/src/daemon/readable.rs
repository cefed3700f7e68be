// SPDX-License-Identifier: GPL-3.0-or-later
//! Waiting until a descriptor can be read, and for nothing else.
//!
//! Tokio's own sockets wait for room to write as well, and on a socket that sends fifty times a second that is fifty
//! needless wake-ups.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A descriptor that is watched.
#[derive(Debug)]
pub(crate) struct Readable<T: AsFd>(AsyncFd<Watched<T>>);

#[derive(Debug)]
struct Watched<T>(T);

impl<T: AsFd> AsRawFd for Watched<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl<T: AsFd> Readable<T> {
    /// Watches `inner`, which must not block.
    pub(crate) fn new(inner: T) -> io::Result<Self> {
        // SAFETY: whatever is `AsFd` keeps its descriptor open and the same for as long as it lives, and `AsyncFd`
        // owns it until after the deregistration; it is never given away.
        let watched = unsafe { AsyncFd::register_with_interest(Watched(inner), Interest::READABLE) }?;
        Ok(Self(watched))
    }

    /// What is watched.
    pub(crate) fn get(&self) -> &T {
        &self.0.get_ref().0
    }

    /// Waits until [`Self::try_read`] is worth a try.
    pub(crate) async fn ready(&self) -> io::Result<()> {
        self.0.readable().await.map(|mut guard| guard.retain_ready())
    }

    /// Waits until something was written since the last call. For an eventfd: each write to it counts, and it need
    /// not be read at all.
    pub(crate) async fn rung(&self) -> io::Result<()> {
        self.0.readable().await.map(|mut guard| guard.clear_ready())
    }

    /// Reads. Once `read` says that it would block, [`Self::ready`] waits again.
    pub(crate) fn try_read<R>(&self, mut read: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.0.try_io(Interest::READABLE, |watched| read(&watched.0))
    }
}
