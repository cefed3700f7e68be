// SPDX-License-Identifier: GPL-3.0-or-later
//! A network cable in user space: carries packets between two TUN devices and treats them as badly as asked.
//! Kernels without netem have no other way.

use core::time::Duration;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use crate::impair::{Conditions, Impairment, Packet, UnderWay};

/// The longest an idle link sleeps before it looks whether it was told to stop or to change.
const NAP: Duration = Duration::from_millis(20);

/// What a link did so far, per direction: index 0 from the first device to the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that entered.
    pub entered: [u64; 2],
    /// Of these, how many were lost on purpose.
    pub lost: [u64; 2],
}

/// A running link. Ends when dropped.
#[derive(Debug)]
pub struct Link {
    stop: Arc<AtomicBool>,
    counts: Arc<Mutex<Counts>>,
    change: Sender<Conditions>,
    thread: Option<JoinHandle<()>>,
}

impl Link {
    /// Joins the TUN devices behind `ends`, see [`tun`].
    pub fn start(ends: [File; 2], conditions: Conditions) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let counts = Arc::new(Mutex::new(Counts::default()));
        let (change, changes) = channel();
        let cable = Cable {
            ends,
            directions: directions(conditions),
            under_way: UnderWay::default(),
            clock: Instant::now(),
            stop: Arc::clone(&stop),
            counts: Arc::clone(&counts),
            changes,
        };
        let thread = std::thread::Builder::new().name("link".to_owned()).spawn(move || cable.run())?;
        Ok(Self { stop, counts, change, thread: Some(thread) })
    }

    /// Treats packets that enter from now on as `conditions` say.
    pub fn change(&self, conditions: Conditions) {
        let _ = self.change.send(conditions);
    }

    /// What the link did so far.
    pub fn counts(&self) -> Counts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Cable {
    ends: [File; 2],
    directions: [Impairment; 2],
    under_way: UnderWay,
    clock: Instant,
    stop: Arc<AtomicBool>,
    counts: Arc<Mutex<Counts>>,
    changes: Receiver<Conditions>,
}

fn directions(conditions: Conditions) -> [Impairment; 2] {
    [0, 1].map(|direction| Impairment::new(conditions, direction))
}

impl Cable {
    fn run(mut self) {
        // Without this the kernel rounds every wake-up by 50 µs.
        let _ = nix::sys::prctl::set_timerslack(1);
        while !self.stop.load(Ordering::Relaxed) {
            if let Some(conditions) = self.changes.try_iter().last() {
                self.directions = directions(conditions);
            }
            self.wait();
            (0..2).for_each(|side| self.take_in(side));
            self.deliver();
        }
    }

    fn wait(&self) {
        let now = self.clock.elapsed();
        let rest = self.under_way.next_due().map_or(NAP, |due| due.saturating_sub(now).min(NAP));
        let mut polled = self.ends.each_ref().map(|end| PollFd::new(end.as_fd(), PollFlags::POLLIN));
        let _ = ppoll(&mut polled, Some(TimeSpec::from_duration(rest)), None);
    }

    fn take_in(&mut self, side: usize) {
        let mut buffer = [0; 2048];
        while let Some(bytes) = self.ends.get(side).and_then(|end| read(end, &mut buffer)) {
            let now = self.clock.elapsed();
            let exits = self.directions.get_mut(side).map(|way| way.treat(now, bytes.len())).unwrap_or_default();
            self.count(side, exits.is_empty());
            for due in exits {
                self.under_way.push(due, Packet { side: 1 - side, bytes: bytes.clone() });
            }
        }
    }

    fn count(&self, side: usize, lost: bool) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.entered.iter_mut().skip(side).take(1).for_each(|entered| *entered += 1);
        counts.lost.iter_mut().skip(side).take(1).for_each(|total| *total += u64::from(lost));
    }

    fn deliver(&mut self) {
        while let Some(packet) = self.under_way.pop(self.clock.elapsed()) {
            if let Some(mut end) = self.ends.get(packet.side) {
                // A device that is down takes no packets, just like a pulled plug.
                let _ = end.write(&packet.bytes);
            }
        }
    }
}

fn read(mut end: &File, buffer: &mut [u8]) -> Option<Vec<u8>> {
    loop {
        match end.read(buffer) {
            Ok(0) => return None,
            Ok(length) => return buffer.get(..length).map(<[u8]>::to_vec),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

/// Makes the TUN device `name` in this network namespace. It lives as long as the file, wherever it is moved to.
pub fn tun(name: &str) -> Result<File> {
    ensure!(name.len() < libc::IFNAMSIZ, "device name {name} is too long");
    let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun");
    let file = file.context("open /dev/net/tun (needs root)")?;
    // SAFETY: all-zero bytes are a valid ifreq.
    let mut request: libc::ifreq = unsafe { core::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the descriptor is open and the request outlives the call.
    let done = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    ensure!(done == 0, "make TUN device {name}: {}", std::io::Error::last_os_error());
    Ok(file)
}
