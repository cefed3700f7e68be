// SPDX-License-Identifier: GPL-3.0-or-later
//! Devices without hardware: an ideal card paced by the system's clock, behind which files, a tone or silence sit.

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dvsd::media::SAMPLE_RATE;
use libc::pollfd;

use super::clock::{nanos_of, now_ns, samples_in};
use super::device::{Capture, DeviceError, Layout, Playback};
use super::wav::WavWriter;

/// What an ideal card can hold, in samples: half a second.
const BUFFER: usize = SAMPLE_RATE as usize / 2;
/// Samples of the loudspeaker kept for a microphone that hears it: one second.
const ECHO: usize = SAMPLE_RATE as usize;
/// Pitch and amplitude of the tone.
const TONE_HERTZ: f64 = 440.0;
const TONE_AMPLITUDE: f64 = 8_000.0;

/// What a paced microphone hears.
pub(super) enum Source {
    /// Nothing.
    Silence,
    /// 440 Hz.
    Tone { phase: f64 },
    /// Samples, once or for ever.
    Samples { samples: Vec<i16>, next: usize, repeat: bool },
    /// What a [`PacedPlayback`] plays.
    Echo(Ear),
}

impl Source {
    /// The samples from world time `at` on, counted in samples of the system's clock.
    fn fill(&mut self, at: u64, out: &mut [i16]) {
        match self {
            Self::Silence => out.fill(0),
            Self::Tone { phase } => out.iter_mut().for_each(|sample| {
                *sample = (TONE_AMPLITUDE * phase.sin()) as i16;
                *phase = (*phase + std::f64::consts::TAU * TONE_HERTZ / f64::from(SAMPLE_RATE)) % std::f64::consts::TAU;
            }),
            Self::Samples { samples, next, repeat } => out.iter_mut().for_each(|sample| {
                if *repeat && *next >= samples.len() {
                    *next = 0;
                }
                *sample = samples.get(*next).copied().unwrap_or(0);
                *next += 1;
            }),
            Self::Echo(ear) => ear.hear(at, out),
        }
    }
}

/// The loudspeaker's end of the air between a loudspeaker and a microphone.
pub(super) struct Mouth {
    samples: rtrb::Producer<i16>,
    /// World time of the first sample, plus one; zero before it.
    start: Arc<AtomicU64>,
}

/// The microphone's end.
pub(super) struct Ear {
    samples: rtrb::Consumer<i16>,
    start: Arc<AtomicU64>,
    heard: u64,
}

/// The air between a loudspeaker and a microphone: each sample is heard at the instant it is played.
pub(super) fn air() -> (Mouth, Ear) {
    let (producer, consumer) = rtrb::RingBuffer::new(ECHO);
    let start = Arc::new(AtomicU64::new(0));
    let ear = Ear { samples: consumer, start: Arc::clone(&start), heard: 0 };
    (Mouth { samples: producer, start }, ear)
}

impl Mouth {
    fn say(&mut self, samples: &[i16]) {
        for &sample in samples {
            // A microphone that does not read misses the latest; it catches up by time.
            let _ = self.samples.push(sample);
        }
    }
}

impl Ear {
    fn hear(&mut self, at: u64, out: &mut [i16]) {
        let start = self.start.load(Ordering::Acquire);
        for (place, sample) in out.iter_mut().enumerate() {
            let world = at + place as u64 + 1;
            *sample = if start == 0 || world < start + self.heard { 0 } else { self.sample_at(world - start) };
        }
    }

    fn sample_at(&mut self, index: u64) -> i16 {
        while self.heard < index && self.samples.pop().is_ok() {
            self.heard += 1;
        }
        self.heard += 1;
        self.samples.pop().unwrap_or(0)
    }
}

/// A microphone paced by the system's clock.
pub(super) struct PacedCapture {
    source: Source,
    timer: TimerFd,
    period: usize,
    started_ns: u64,
    read: u64,
}

impl PacedCapture {
    /// A microphone that hears `source` and wakes its reader every `period` samples.
    pub(super) fn new(source: Source, period: usize) -> Result<Self, Errno> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        Ok(Self { source, timer, period, started_ns: 0, read: 0 })
    }
}

impl Capture for PacedCapture {
    fn start(&mut self) -> Result<(), DeviceError> {
        let period = TimeSpec::from(Duration::from_nanos(nanos_of(self.period as u64)));
        let set = self.timer.set(Expiration::Interval(period), TimerSetTimeFlags::empty());
        set.map_err(|errno| DeviceError::Lost(errno as i32))?;
        self.started_ns = now_ns();
        self.read = 0;
        Ok(())
    }

    fn poll_fds(&self, fds: &mut [pollfd]) -> usize {
        let Some(first) = fds.first_mut() else { return 0 };
        *first = pollfd { fd: self.timer.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
        1
    }

    fn polled(&mut self, fds: &[pollfd]) -> Result<(), DeviceError> {
        if fds.first().is_some_and(|fd| fd.revents & libc::POLLIN != 0) {
            let mut expirations = [0; 8];
            let _ = nix::unistd::read(&self.timer, &mut expirations);
        }
        Ok(())
    }

    fn available(&mut self) -> Result<usize, DeviceError> {
        let captured = samples_in(now_ns().saturating_sub(self.started_ns));
        let available = captured.saturating_sub(self.read) as usize;
        if available > BUFFER { Err(DeviceError::Xrun) } else { Ok(available) }
    }

    fn read(&mut self, samples: &mut [i16]) -> Result<(), DeviceError> {
        let world = samples_in(self.started_ns) + self.read;
        self.source.fill(world, samples);
        self.read += samples.len() as u64;
        Ok(())
    }

    fn recover(&mut self) -> Result<(), DeviceError> {
        let captured = samples_in(now_ns().saturating_sub(self.started_ns));
        self.read = captured - captured % self.period.max(1) as u64;
        Ok(())
    }
}

/// A loudspeaker paced by the system's clock.
#[derive(Default)]
pub(super) struct PacedPlayback {
    /// Where what is played is recorded.
    record: Option<WavWriter>,
    mouth: Option<Mouth>,
    started_ns: Option<u64>,
    written: u64,
}

impl PacedPlayback {
    /// A loudspeaker, recorded and heard as given.
    pub(super) fn new(record: Option<WavWriter>, mouth: Option<Mouth>) -> Self {
        Self { record, mouth, started_ns: None, written: 0 }
    }

    fn played(&self) -> u64 {
        self.started_ns.map_or(0, |start| samples_in(now_ns().saturating_sub(start)))
    }

    fn put(&mut self, samples: &[i16]) {
        self.written += samples.len() as u64;
        if let Some(record) = &mut self.record {
            record.append(samples);
        }
        if let Some(mouth) = &mut self.mouth {
            mouth.say(samples);
        }
    }
}

impl Playback for PacedPlayback {
    fn start(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn layout(&self) -> Layout {
        Layout { period: 1, buffer: BUFFER }
    }

    fn delay(&mut self) -> Result<usize, DeviceError> {
        match self.written.checked_sub(self.played()) {
            Some(delay) => Ok(delay as usize),
            None => Err(DeviceError::Xrun),
        }
    }

    fn write(&mut self, samples: &[i16]) -> Result<usize, DeviceError> {
        if self.started_ns.is_none() {
            let now = now_ns();
            self.started_ns = Some(now);
            if let Some(mouth) = &self.mouth {
                mouth.start.store(samples_in(now) + 1, Ordering::Release);
            }
        }
        let room = BUFFER.saturating_sub(self.delay()?);
        let samples = samples.get(..samples.len().min(room)).unwrap_or_default();
        self.put(samples);
        Ok(samples.len())
    }

    /// What was not written in time was silence, also in the recording.
    fn recover(&mut self) -> Result<(), DeviceError> {
        const SILENCE: [i16; 480] = [0; 480];
        while let missing @ 1.. = self.played().saturating_sub(self.written) {
            self.put(SILENCE.get(..missing as usize).unwrap_or(&SILENCE));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_for(capture: &mut PacedCapture, samples: usize) {
        let mut fds = [pollfd { fd: -1, events: 0, revents: 0 }];
        while capture.available().unwrap() < samples {
            assert_eq!(capture.poll_fds(&mut fds), 1);
            // SAFETY: `fds` is one valid entry.
            unsafe { libc::poll(fds.as_mut_ptr(), 1, 1_000) };
            capture.polled(&fds).unwrap();
        }
    }

    fn capture_of(source: Source) -> PacedCapture {
        let mut capture = PacedCapture::new(source, 480).unwrap();
        capture.start().unwrap();
        capture
    }

    #[test]
    fn samples_are_read_once_and_silence_follows() {
        let mut capture = capture_of(Source::Samples { samples: (1..=700).collect(), next: 0, repeat: false });
        wait_for(&mut capture, 960);
        let mut out = [9; 960];
        capture.read(&mut out).unwrap();
        assert_eq!((out[0], out[699], out[700], out[959]), (1, 700, 0, 0));
    }

    #[test]
    fn repeated_samples_never_end() {
        let mut capture = capture_of(Source::Samples { samples: vec![1, 2, 3], next: 0, repeat: true });
        wait_for(&mut capture, 480);
        let mut out = [9; 480];
        capture.read(&mut out).unwrap();
        assert_eq!(out[..7], [1, 2, 3, 1, 2, 3, 1]);
    }

    #[test]
    fn the_tone_has_440_periods_a_second() {
        let mut source = Source::Tone { phase: 0.0 };
        let mut out = vec![0; 48_000];
        source.fill(0, &mut out);
        let rises = out.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
        assert!((439..=440).contains(&rises), "{rises}");
    }

    #[test]
    fn a_reader_that_sleeps_too_long_overruns_and_recovers() {
        let mut capture = capture_of(Source::Silence);
        capture.started_ns -= 1_000_000_000;
        assert_eq!(capture.available(), Err(DeviceError::Xrun));
        capture.recover().unwrap();
        assert!(capture.available().unwrap() < BUFFER);
    }

    #[test]
    fn the_queue_of_an_ideal_card_is_what_was_written_less_what_was_played() {
        let mut playback = PacedPlayback::default();
        assert_eq!(playback.delay(), Ok(0));
        assert_eq!(playback.write(&[1; 24_000]), Ok(24_000));
        assert!((1..=24_000).contains(&playback.delay().unwrap()));
        assert!(playback.write(&[1; 48_000]).unwrap() < 48_000, "it holds half a second");
        playback.started_ns = playback.started_ns.map(|start| start - 2_000_000_000);
        assert_eq!(playback.delay(), Err(DeviceError::Xrun));
        playback.recover().unwrap();
        assert!(playback.delay().is_ok_and(|delay| delay < 480));
    }

    #[test]
    fn an_echo_is_heard_at_the_instant_it_is_played() {
        let (mouth, ear) = air();
        let mut playback = PacedPlayback::new(None, Some(mouth));
        let sound: Vec<i16> = (1..=4_800).collect();
        playback.write(&sound).unwrap();
        let world = samples_in(playback.started_ns.unwrap());
        let mut source = Source::Echo(ear);
        let mut out = [9; 480];
        source.fill(world - 240, &mut out);
        assert_eq!((out[0], out[239], out[240], out[479]), (0, 0, 1, 240));
        source.fill(world + 1_000, &mut out);
        assert_eq!((out[0], out[479]), (1_001, 1_480), "what was not listened to is gone");
    }
}
