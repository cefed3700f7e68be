// SPDX-License-Identifier: GPL-3.0-or-later
//! The one real-time thread of a call.
//!
//! It wakes about a hundred times a second: once when the microphone has a frame, and once when the loudspeaker's
//! queue has fallen to its margin, a few milliseconds before it would run dry. Packets that come in between wait in
//! their ring. In steady state it neither locks nor allocates nor logs, and it waits for nobody but the sound card.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dvsd::media::codec::{Encoder, OpusEncoder};
use dvsd::media::jitter::{MAX_CHUNK, Playout};
use dvsd::media::level::{self, Meter};
use dvsd::media::{MAX_FRAME_SAMPLES, MAX_PACKET, SAMPLE_RATE};
use libc::pollfd;
use nix::errno::Errno;
use nix::sys::eventfd::EventFd;
use std::os::fd::{AsFd, AsRawFd};

use super::alsa::{self, PLAYBACK_PERIOD};
use super::chime::Announcement;
use super::clock::{Margin, Position, monotonic_us, nanos_of, now_ns, samples_in};
use super::device::{Capture, DeviceError, MAX_POLL_FDS, Playback};
use super::keeper::{Device, Retired};
use super::meters::Meters;
use super::paced::{PacedCapture, PacedPlayback, Source};
use super::{CapturedFrame, Controls, PlayFrame};

/// Frames handled at most per wake-up, so that no device can keep the thread busy.
const BURST: usize = 8;
/// The longest sleep, in nanoseconds: bounds every mistake of a device's clock.
const LONGEST_SLEEP: u64 = 100_000_000;
/// Wake-ups by the microphone without a frame, in a row, after which it counts as broken.
const MOST_FALSE_ALARMS: u32 = 500;
/// A microphone that gives nothing for this long stands still, in nanoseconds.
const LONGEST_PAUSE: u64 = 500_000_000;
/// A loudspeaker that ran dry so often, each time within two seconds of the last, stands still.
const MOST_XRUNS: u32 = 16;
const XRUN_MEMORY: u64 = 2_000_000_000;
/// How far ahead of time a microphone may be, in samples (1 s): its buffer, when it starts.
const MOST_AHEAD: u64 = SAMPLE_RATE as u64;
/// Low among the real-time priorities: below the sound card's interrupt threads.
const PRIORITY: i32 = 10;

/// The ends of the rings the call thread holds.
pub(super) struct Links {
    pub(super) captured: rtrb::Producer<CapturedFrame>,
    pub(super) play: rtrb::Consumer<PlayFrame>,
    pub(super) devices: rtrb::Consumer<Device>,
    pub(super) retired: rtrb::Producer<Retired>,
    /// Wakes the daemon's loop.
    pub(super) wake: Arc<EventFd>,
}

/// The microphone's side.
struct Microphone {
    device: Box<dyn Capture>,
    /// Silence, for when the device is gone; `None` while it is in use.
    stand_in: Option<Box<dyn Capture>>,
    encoder: OpusEncoder,
    frame: Vec<i16>,
    ticks: u8,
    /// The next frame does not continue the one before.
    first: bool,
    /// When the device was started, how many samples it has given since, and when it gave the last.
    started_ns: u64,
    given: u64,
    last_ns: u64,
    false_alarms: u32,
    expected_loss: u8,
    meter: Meter,
}

/// The loudspeaker's side.
struct Loudspeaker {
    device: Box<dyn Playback>,
    stand_in: Option<Box<dyn Playback>>,
    playout: Playout,
    position: Position,
    margin: Margin,
    chunk: Box<[i16; MAX_CHUNK]>,
    meter: Meter,
    /// When the queue will have fallen to the margin.
    due_ns: u64,
    /// Whether anything was written since the device was installed.
    primed: bool,
    /// Recent underruns, and when the last one was.
    xruns: u32,
    xrun_ns: u64,
}

impl Microphone {
    fn start_counting(&mut self) {
        self.first = true;
        self.started_ns = now_ns();
        self.last_ns = self.started_ns;
        self.given = 0;
        self.false_alarms = 0;
    }

    /// Whether the device wakes us for nothing, or gives sound faster than time passes: it would take the whole
    /// processor from all ordinary threads.
    fn is_insane(&self) -> bool {
        let passed = samples_in(now_ns().saturating_sub(self.started_ns));
        self.false_alarms > MOST_FALSE_ALARMS || self.given > passed + passed / 16 + MOST_AHEAD
    }

    fn stands_still(&self) -> bool {
        now_ns().saturating_sub(self.last_ns) > LONGEST_PAUSE
    }
}

impl Loudspeaker {
    fn ran_dry_too_often(&mut self) -> bool {
        let now = now_ns();
        let recent = now.saturating_sub(self.xrun_ns) < XRUN_MEMORY;
        self.xruns = if recent { self.xruns + 1 } else { 1 };
        self.xrun_ns = now;
        self.xruns > MOST_XRUNS
    }
}

pub(super) struct CallThread {
    microphone: Microphone,
    loudspeaker: Loudspeaker,
    announcement: Announcement,
    links: Links,
    controls: Arc<Controls>,
    meters: Arc<Meters>,
}

impl CallThread {
    pub(super) fn new(
        encoder: OpusEncoder,
        playout: Playout,
        announcement: Announcement,
        links: Links,
        controls: Arc<Controls>,
        meters: Arc<Meters>,
    ) -> Result<Self, Errno> {
        let settings = *encoder.settings();
        let frame = settings.frame_samples();
        let microphone = Microphone {
            device: Box::new(PacedCapture::new(Source::Silence, frame)?),
            stand_in: None,
            encoder,
            frame: vec![0; frame.min(MAX_FRAME_SAMPLES)],
            ticks: settings.frame_ticks,
            first: true,
            started_ns: now_ns(),
            given: 0,
            last_ns: now_ns(),
            false_alarms: 0,
            expected_loss: 0,
            meter: Meter::default(),
        };
        let loudspeaker = Loudspeaker {
            device: Box::new(PacedPlayback::default()),
            stand_in: None,
            playout,
            position: Position::default(),
            margin: Margin::new(0),
            chunk: Box::new([0; MAX_CHUNK]),
            meter: Meter::default(),
            due_ns: 0,
            primed: false,
            xruns: 0,
            xrun_ns: 0,
        };
        Ok(Self { microphone, loudspeaker, announcement, links, controls, meters })
    }

    /// Runs until the call's audio is stopped.
    pub(super) fn run(mut self) {
        alsa::hush();
        self.meters.set_real_time(become_real_time());
        // The stand-ins cannot fail.
        let _ = self.microphone.device.start();
        while !self.controls.stopped() {
            self.wait();
            self.install_devices();
            self.capture();
            self.receive();
            self.play();
        }
    }

    /// Sleeps until the microphone has a frame, the loudspeaker's turn comes, or somebody calls.
    fn wait(&mut self) {
        let idle = pollfd { fd: -1, events: 0, revents: 0 };
        let mut fds = [idle; MAX_POLL_FDS + 1];
        let [caller, device @ ..] = &mut fds;
        *caller = pollfd { fd: self.controls.wake.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let count = self.microphone.device.poll_fds(device);
        let sleep = self.loudspeaker.due_ns.saturating_sub(now_ns()).min(LONGEST_SLEEP);
        poll_for(&mut fds, count + 1, sleep);
        let [caller, device @ ..] = &fds;
        if caller.revents & libc::POLLIN != 0 {
            let _ = self.controls.wake.read();
        }
        let device = device.get(..count).unwrap_or_default();
        if device.iter().any(|fd| fd.revents != 0) {
            self.microphone.false_alarms += 1;
        }
        if let Err(error) = self.microphone.device.polled(device) {
            self.capture_failed(error);
        }
    }

    fn install_devices(&mut self) {
        while let Ok(device) = self.links.devices.pop() {
            match device {
                Device::Capture(device) => self.install_capture(device),
                Device::Playback(device) => self.install_playback(device),
            }
        }
    }

    fn install_capture(&mut self, device: Box<dyn Capture>) {
        let before = core::mem::replace(&mut self.microphone.device, device);
        self.microphone.stand_in.get_or_insert(before);
        self.microphone.start_counting();
        if let Err(error) = self.microphone.device.start() {
            self.capture_failed(error);
        }
    }

    fn install_playback(&mut self, device: Box<dyn Playback>) {
        let excess = device.layout().period.saturating_sub(PLAYBACK_PERIOD);
        let before = core::mem::replace(&mut self.loudspeaker.device, device);
        self.loudspeaker.stand_in.get_or_insert(before);
        self.loudspeaker.margin = Margin::new(excess);
        self.loudspeaker.primed = false;
        self.loudspeaker.xruns = 0;
        if let Err(error) = self.loudspeaker.device.start() {
            self.playback_failed(error);
        }
    }

    /// Encodes every whole frame the microphone has.
    fn capture(&mut self) {
        if self.microphone.is_insane() {
            return self.capture_failed(DeviceError::Lost(libc::EIO));
        }
        for _ in 0..BURST {
            let available = match self.microphone.device.available() {
                Ok(available) if available < self.microphone.frame.len() => break,
                Ok(available) => available,
                Err(error) => return self.capture_failed(error),
            };
            let captured_ns = now_ns().saturating_sub(nanos_of(available as u64));
            if let Err(error) = self.microphone.device.read(&mut self.microphone.frame) {
                return self.capture_failed(error);
            }
            self.microphone.false_alarms = 0;
            self.microphone.given += self.microphone.frame.len() as u64;
            if self.microphone.stand_in.is_some() {
                self.meters.set_capture_epoch_us(monotonic_us(captured_ns));
            }
            self.microphone.last_ns = now_ns();
            self.send(captured_ns);
        }
        if self.microphone.stands_still() {
            self.capture_failed(DeviceError::Lost(libc::ETIMEDOUT));
        }
    }

    fn send(&mut self, captured_ns: u64) {
        let microphone = &mut self.microphone;
        if self.controls.mute.load(Ordering::Relaxed) || !self.announcement.is_over(now_ns()) {
            microphone.frame.fill(0);
        }
        self.meters.set_capture_level(microphone.meter.update(&microphone.frame));
        let expected = self.controls.expected_loss.load(Ordering::Relaxed);
        if core::mem::replace(&mut microphone.expected_loss, expected) != expected {
            microphone.encoder.set_expected_loss(expected);
        }
        let mut bytes = [0; MAX_PACKET];
        let encoded = microphone.encoder.encode(&microphone.frame, &mut bytes);
        let frame = encoded.map(|length| CapturedFrame {
            captured_us: captured_ns / 1_000,
            ticks: microphone.ticks,
            first: microphone.first,
            len: length as u16,
            bytes,
        });
        microphone.first = !frame.is_ok_and(|frame| self.links.captured.push(frame).is_ok());
        if microphone.first {
            self.meters.count_dropped();
        }
        let _ = self.links.wake.write(1);
        let look_ahead = nanos_of(microphone.encoder.lookahead() as u64);
        self.meters.set_capture_delay_us((now_ns().saturating_sub(captured_ns) + look_ahead) / 1_000);
    }

    fn capture_failed(&mut self, error: DeviceError) {
        self.microphone.first = true;
        let errno = match error {
            DeviceError::Xrun => {
                self.meters.count_xrun();
                match self.microphone.device.recover() {
                    Ok(()) => return,
                    Err(DeviceError::Lost(errno)) => errno,
                    Err(DeviceError::Xrun) => libc::EPIPE,
                }
            }
            DeviceError::Lost(errno) => errno,
        };
        if let Some(stand_in) = self.microphone.stand_in.take() {
            let device = Device::Capture(core::mem::replace(&mut self.microphone.device, stand_in));
            self.retire(device, errno);
        }
        // Silence cannot fail.
        self.microphone.start_counting();
        let _ = self.microphone.device.start();
    }

    /// Gives a device back to be closed: that may take long.
    fn retire(&mut self, device: Device, errno: i32) {
        let retired = self.links.retired.push(Retired { device, errno });
        debug_assert!(retired.is_ok(), "there is one device per direction");
        let _ = self.controls.wake_keeper.write(1);
    }

    /// Fetches the packets that came.
    fn receive(&mut self) {
        while let Ok(frame) = self.links.play.pop() {
            self.loudspeaker.playout.insert(frame.seq, frame.payload(), frame.arrived_us);
        }
    }

    /// Keeps the loudspeaker's queue above its margin.
    fn play(&mut self) {
        if !self.loudspeaker.primed && !self.prime() {
            return;
        }
        for _ in 0..BURST {
            let now = now_ns();
            let delay = match self.loudspeaker.device.delay() {
                Ok(delay) => delay,
                Err(error) => return self.playback_failed(error),
            };
            let queued = self.loudspeaker.position.queued(now, delay);
            let margin = self.loudspeaker.margin.samples();
            if queued > margin {
                self.loudspeaker.due_ns = now + nanos_of(queued - margin);
                return;
            }
            let due_ns = now.saturating_sub(nanos_of(margin - queued));
            if let Err(error) = self.play_chunk(due_ns, queued) {
                return self.playback_failed(error);
            }
        }
        // A card that swallows everything at once is not asked again before the same time has passed.
        self.loudspeaker.due_ns = now_ns() + LONGEST_SLEEP;
    }

    /// Starts the device with a margin of silence.
    fn prime(&mut self) -> bool {
        const SILENCE: [i16; 4_800] = [0; 4_800];
        let speaker = &mut self.loudspeaker;
        let margin = usize::try_from(speaker.margin.samples()).unwrap_or(SILENCE.len());
        let now = now_ns();
        speaker.position = Position::new(now);
        match speaker.device.write(SILENCE.get(..margin).unwrap_or(&SILENCE)) {
            Ok(written) => {
                speaker.position.wrote(written);
                speaker.primed = true;
                if speaker.stand_in.is_some() {
                    self.meters.set_playback_epoch_us(monotonic_us(now));
                }
                true
            }
            Err(error) => {
                speaker.due_ns = now + LONGEST_SLEEP;
                self.playback_failed(error);
                false
            }
        }
    }

    fn play_chunk(&mut self, due_ns: u64, queued: u64) -> Result<(), DeviceError> {
        let speaker = &mut self.loudspeaker;
        let samples = speaker.playout.pull(&mut speaker.chunk, due_ns / 1_000);
        let sound = speaker.chunk.get_mut(..samples).unwrap_or_default();
        if self.controls.deafen.load(Ordering::Relaxed) {
            sound.fill(0);
        }
        // Whoever switched the loudspeaker off is told all the same; silence hears nothing.
        let announced = if speaker.stand_in.is_some() { self.announcement.fill(sound) } else { 0 };
        self.meters.set_playback_level(speaker.meter.update(sound));
        let written = speaker.device.write(sound)?;
        speaker.position.wrote(written);
        let empty_ns = now_ns() + nanos_of(queued + written as u64);
        self.announcement.advance(announced.min(written), empty_ns);
        speaker.margin.fetched(queued, samples);
        let stats = speaker.playout.stats();
        let margin_us = speaker.margin.samples() * 1_000_000 / u64::from(SAMPLE_RATE);
        self.meters.set_playback_delay_us(u64::from(stats.waited_us) + margin_us);
        self.meters.set_playout(&stats);
        // A full card takes nothing: it is asked again later instead of at once.
        if written == 0 { Err(DeviceError::Xrun) } else { Ok(()) }
    }

    fn playback_failed(&mut self, error: DeviceError) {
        self.loudspeaker.primed = false;
        self.loudspeaker.due_ns = 0;
        let errno = match error {
            DeviceError::Xrun => {
                self.meters.count_xrun();
                self.loudspeaker.margin.ran_dry();
                match self.loudspeaker.device.recover() {
                    Ok(()) if self.loudspeaker.ran_dry_too_often() => libc::ETIMEDOUT,
                    Ok(()) => return,
                    Err(DeviceError::Lost(errno)) => errno,
                    Err(DeviceError::Xrun) => libc::EPIPE,
                }
            }
            DeviceError::Lost(errno) => errno,
        };
        self.meters.set_playback_level(level::SILENCE);
        if let Some(stand_in) = self.loudspeaker.stand_in.take() {
            let device = Device::Playback(core::mem::replace(&mut self.loudspeaker.device, stand_in));
            self.loudspeaker.margin = Margin::new(0);
            self.retire(device, errno);
        }
        // A stand-in that was parked is behind its clock; it catches up with silence.
        let _ = self.loudspeaker.device.recover();
    }
}

/// Waits for the first `count` of `fds`, at most `nanos`.
fn poll_for(fds: &mut [pollfd], count: usize, nanos: u64) {
    let timeout = libc::timespec {
        tv_sec: (nanos / 1_000_000_000) as libc::time_t,
        tv_nsec: (nanos % 1_000_000_000) as libc::c_long,
    };
    let count = count.min(fds.len()) as libc::nfds_t;
    // SAFETY: `fds` holds at least `count` valid entries and `timeout` outlives the call.
    let ready = unsafe { libc::ppoll(fds.as_mut_ptr(), count, &raw const timeout, core::ptr::null()) };
    if ready < 0 {
        // Interrupted: nothing is known of any descriptor.
        fds.iter_mut().for_each(|fd| fd.revents = 0);
    }
}

/// Asks to run before ordinary threads and to be woken on time; both may be refused.
pub(super) fn become_real_time() -> bool {
    // SAFETY: plain system calls on the calling thread, with a valid parameter block.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong);
        let parameters = libc::sched_param { sched_priority: PRIORITY };
        libc::sched_setscheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &raw const parameters) == 0
    }
}
