// SPDX-License-Identifier: GPL-3.0-or-later
//! Non-blocking pipes, waited for with poll.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{read, write};

use super::error::Lost;
use crate::framing::FrameReader;

/// Waits until `pipe` has something to read, or its other end is closed; false when `deadline` came first.
pub(super) fn wait_readable(pipe: &OwnedFd, deadline: Option<Instant>) -> Result<bool, Errno> {
    wait(pipe, PollFlags::POLLIN, deadline)
}

fn wait(pipe: &OwnedFd, what: PollFlags, deadline: Option<Instant>) -> Result<bool, Errno> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match poll(&mut [PollFd::new(pipe.as_fd(), what)], timeout(left)) {
            Ok(0) if left.is_some_and(|left| left.as_millis() <= MAX_POLL) => return Ok(false),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error),
        }
    }
}

/// Longest single poll, in milliseconds; longer waits take several.
const MAX_POLL: u128 = 60_000;

/// Rounded up, so that a wait is never a busy loop of zeros.
fn timeout(left: Option<Duration>) -> PollTimeout {
    let Some(left) = left else { return PollTimeout::NONE };
    let millis = left.as_nanos().div_ceil(1_000_000).min(MAX_POLL);
    u16::try_from(millis).map_or(PollTimeout::MAX, PollTimeout::from)
}

/// Reads what is there into `reader`. Only to be called when [`wait_readable`] said so: a pipe that never had a writer
/// reads like one that lost its last.
pub(super) fn read_into(pipe: &OwnedFd, reader: &mut FrameReader) -> Result<(), Lost> {
    let mut buffer = [0; 4096];
    match read(pipe, &mut buffer) {
        Ok(0) => Err(Lost::Closed),
        Ok(len) => Ok(reader.push(buffer.get(..len).unwrap_or_default())?),
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Writes all of `bytes`. Pipes take more than 4096 bytes in pieces.
pub(super) fn write_all(pipe: &OwnedFd, mut bytes: &[u8], patience: Duration) -> Result<(), Lost> {
    let deadline = Instant::now() + patience;
    while !bytes.is_empty() {
        match write(pipe, bytes) {
            Ok(len) => bytes = bytes.get(len..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno::EPIPE) => return Err(Lost::Closed),
            Err(Errno::EAGAIN) => {
                if !wait(pipe, PollFlags::POLLOUT, Some(deadline))? {
                    return Err(Lost::Silent);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
