// SPDX-License-Identifier: GPL-3.0-or-later
//! The ordinary thread beside the call thread: it opens devices, which may take long, hands them over, and takes back
//! those that failed, to close them and to try again.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use std::os::fd::AsFd;

use super::device::{Backend, Capture, Direction, Playback};
use super::paced::{PacedCapture, PacedPlayback, Source, air};
use super::wav::{self, WavWriter};
use super::{AudioConfig, Controls, alsa};

/// Waiting time before a device is tried again: doubled after each failure.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// A device on its way from the keeper to the call thread.
pub(super) enum Device {
    Capture(Box<dyn Capture>),
    Playback(Box<dyn Playback>),
}

/// A device on its way back, and why.
pub(super) struct Retired {
    pub(super) device: Device,
    pub(super) errno: i32,
}

/// What there is to say of a device.
pub(super) struct News {
    pub(super) direction: Direction,
    /// What is wrong; `None` when it works.
    pub(super) trouble: Option<String>,
}

/// The ends the keeper holds.
pub(super) struct KeeperLinks {
    pub(super) devices: rtrb::Producer<Device>,
    pub(super) retired: rtrb::Consumer<Retired>,
    pub(super) news: SyncSender<News>,
    /// Wakes the keeper.
    pub(super) wake: Arc<EventFd>,
    /// Wakes the daemon's loop after news.
    pub(super) wake_loop: Arc<EventFd>,
}

/// One direction: when to try to open it next, if it is not open.
struct Side {
    due: Option<Instant>,
    retry: Duration,
    troubled: bool,
}

impl Side {
    fn new() -> Self {
        Self { due: Some(Instant::now()), retry: FIRST_RETRY, troubled: false }
    }

    fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }

    fn try_later(&mut self) {
        self.due = Some(Instant::now() + self.retry);
        self.retry = (self.retry * 2).min(LAST_RETRY);
    }
}

pub(super) struct Keeper {
    config: AudioConfig,
    links: KeeperLinks,
    controls: Arc<Controls>,
    capture: Side,
    playback: Side,
}

impl Keeper {
    pub(super) fn new(config: AudioConfig, links: KeeperLinks, controls: Arc<Controls>) -> Self {
        Self { config, links, controls, capture: Side::new(), playback: Side::new() }
    }

    /// Runs until the call's audio is stopped.
    pub(super) fn run(mut self) {
        while !self.controls.stopped() {
            alsa::hush();
            self.collect();
            self.open();
            self.sleep();
        }
    }

    /// Closes what failed.
    fn collect(&mut self) {
        while let Ok(Retired { device, errno }) = self.links.retired.pop() {
            let (direction, name) = match device {
                Device::Capture(_) => (Direction::Capture, &self.config.capture),
                Device::Playback(_) => (Direction::Playback, &self.config.playback),
            };
            let trouble = direction.trouble(name, errno);
            drop(device);
            self.side(direction).try_later();
            self.tell(direction, Some(trouble));
        }
    }

    fn open(&mut self) {
        match self.config.backend {
            Backend::Alsa => {
                if self.capture.is_due() {
                    let opened = alsa::open_capture(&self.config.capture, self.config.encoder.frame_samples());
                    self.deliver(Direction::Capture, self.explained(Direction::Capture, opened.map(Device::Capture)));
                }
                if self.playback.is_due() {
                    let opened = alsa::open_playback(&self.config.playback);
                    self.deliver(
                        Direction::Playback,
                        self.explained(Direction::Playback, opened.map(Device::Playback)),
                    );
                }
            }
            _ if self.capture.is_due() || self.playback.is_due() => self.open_pair(),
            _ => {}
        }
    }

    fn explained(&self, direction: Direction, opened: Result<Device, i32>) -> Result<Device, String> {
        let name = match direction {
            Direction::Capture => &self.config.capture,
            Direction::Playback => &self.config.playback,
        };
        opened.map_err(|errno| direction.trouble(name, errno))
    }

    /// The devices without hardware belong together.
    fn open_pair(&mut self) {
        let (source, playback) = paced_pair(&self.config.backend, self.config.resumed);
        // Whatever is opened again belongs to the same call.
        self.config.resumed |= playback.is_ok();
        let period = self.config.encoder.frame_samples();
        let microphone = source.and_then(|source| {
            let capture = PacedCapture::new(source, period).map_err(|errno| format!("no timer: {errno}"))?;
            Ok(Device::Capture(Box::new(capture)))
        });
        if self.capture.is_due() {
            self.deliver(Direction::Capture, microphone);
        }
        if self.playback.is_due() {
            self.deliver(Direction::Playback, playback.map(|playback| Device::Playback(Box::new(playback))));
        }
    }

    fn deliver(&mut self, direction: Direction, opened: Result<Device, String>) {
        let trouble = match opened {
            Ok(device) => {
                let delivered = self.links.devices.push(device).is_ok();
                debug_assert!(delivered, "a device is only opened when the call thread has none");
                let side = self.side(direction);
                side.due = None;
                side.retry = FIRST_RETRY;
                self.controls.nudge();
                None
            }
            Err(trouble) => {
                self.side(direction).try_later();
                Some(trouble)
            }
        };
        self.tell(direction, trouble);
    }

    /// Passes on news; all is well is only news after trouble.
    fn tell(&mut self, direction: Direction, trouble: Option<String>) {
        let side = self.side(direction);
        let before = core::mem::replace(&mut side.troubled, trouble.is_some());
        if before || trouble.is_some() {
            // A loop that does not read its news misses some of them.
            let _ = self.links.news.try_send(News { direction, trouble });
            let _ = self.links.wake_loop.write(1);
        }
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Capture => &mut self.capture,
            Direction::Playback => &mut self.playback,
        }
    }

    /// Until something comes back, the call stops, or a device is to be tried again.
    fn sleep(&self) {
        let due = [self.capture.due, self.playback.due].into_iter().flatten().min();
        let timeout = due.map_or(PollTimeout::NONE, |due| {
            let left = due.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        let mut fds = [PollFd::new(self.links.wake.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, timeout).is_ok_and(|ready| ready > 0) {
            let _ = self.links.wake.read();
        }
    }
}

/// What the microphone hears and the loudspeaker, for every back-end without hardware.
fn paced_pair(backend: &Backend, resumed: bool) -> (Result<Source, String>, Result<PacedPlayback, String>) {
    let silent = || Ok(PacedPlayback::new(None, None));
    match backend {
        Backend::Alsa | Backend::None => (Ok(Source::Silence), silent()),
        Backend::Tone => (Ok(Source::Tone { phase: 0.0 }), silent()),
        Backend::Loop { output } => {
            let (mouth, ear) = air();
            (
                Ok(Source::Echo(ear)),
                recorder(output.as_deref(), resumed).map(|record| PacedPlayback::new(record, Some(mouth))),
            )
        }
        Backend::Wav { input, output, repeat } => {
            let source = match input {
                Some(path) => wav::read(path).map(|samples| Source::Samples { samples, next: 0, repeat: *repeat }),
                None => Ok(Source::Silence),
            };
            (source, recorder(output.as_deref(), resumed).map(|record| PacedPlayback::new(record, None)))
        }
    }
}

fn recorder(path: Option<&std::path::Path>, resumed: bool) -> Result<Option<WavWriter>, String> {
    let open = |path: &std::path::Path| {
        let writer = if resumed { WavWriter::resume(path) } else { WavWriter::create(path) };
        writer.map_err(|error| format!("cannot write {}: {error}", path.display()))
    };
    path.map(open).transpose()
}
