// SPDX-License-Identifier: GPL-3.0-or-later
//! Sound cards through ALSA: 16 bit, 48 kHz, nonblocking; one channel if the device can, else two.

use alsa::pcm::{Access, Format, HwParams, PCM};
use alsa::poll::{Descriptors, Flags};
use alsa::{Direction as AlsaDirection, ValueOr};
use dvsd::media::SAMPLE_RATE;
use dvsd::media::jitter::MAX_CHUNK;
use libc::pollfd;

use super::device::{Capture, DeviceError, Direction, Layout, Playback};

/// The period asked for at the loudspeaker, in samples (10 ms): it is not polled, so it only bounds the hardware.
pub(super) const PLAYBACK_PERIOD: usize = 480;
/// The buffer asked for at the loudspeaker, in samples (120 ms): the longest chunk and the widest margin fit.
const PLAYBACK_BUFFER: usize = 5_760;
/// Periods in the buffer asked for at the microphone.
const CAPTURE_PERIODS: usize = 8;

/// Keeps libasound from writing to stderr on this thread; its messages so far are forgotten.
pub(super) fn hush() {
    let handler = alsa::Output::local_error_handler();
    debug_assert!(handler.is_ok(), "only memory can be missing");
}

/// Opens the microphone `name`, to be read in frames of `frame` samples. The error is the system's number.
pub(super) fn open_capture(name: &str, frame: usize) -> Result<Box<dyn Capture>, i32> {
    let card = Card::open(name, Direction::Capture, frame, frame * CAPTURE_PERIODS)?;
    card.set_software(frame).map_err(number)?;
    Ok(Box::new(AlsaCapture { card }))
}

/// Opens the loudspeaker `name`.
pub(super) fn open_playback(name: &str) -> Result<Box<dyn Playback>, i32> {
    let card = Card::open(name, Direction::Playback, PLAYBACK_PERIOD, PLAYBACK_BUFFER)?;
    card.set_software(card.layout.period).map_err(number)?;
    Ok(Box::new(AlsaPlayback { card }))
}

/// libasound's error numbers come with either sign.
fn number(error: alsa::Error) -> i32 {
    error.errno().abs()
}

fn failure(error: alsa::Error) -> DeviceError {
    match number(error) {
        libc::EPIPE => DeviceError::Xrun,
        errno => DeviceError::Lost(errno),
    }
}

/// What both directions have in common.
struct Card {
    pcm: PCM,
    layout: Layout,
    channels: usize,
    /// One chunk with all channels.
    interleaved: Vec<i16>,
}

impl Card {
    fn open(name: &str, direction: Direction, period: usize, buffer: usize) -> Result<Self, i32> {
        if name.contains('\0') {
            return Err(libc::EINVAL);
        }
        let stream = match direction {
            Direction::Capture => AlsaDirection::Capture,
            Direction::Playback => AlsaDirection::Playback,
        };
        let pcm = PCM::new(name, stream, true).map_err(number)?;
        let channels = set_hardware(&pcm, period, buffer).map_err(number)?;
        let (buffer, period) = pcm.get_params().map_err(number)?;
        let layout = Layout { period: period as usize, buffer: buffer as usize };
        Ok(Self { pcm, layout, channels, interleaved: vec![0; MAX_CHUNK * channels] })
    }

    /// Wakes the reader once per frame; the loudspeaker starts with the first sample.
    fn set_software(&self, wake: usize) -> alsa::Result<()> {
        let software = self.pcm.sw_params_current()?;
        software.set_avail_min(wake as i64)?;
        software.set_start_threshold(1)?;
        self.pcm.sw_params(&software)
    }

    /// After an overrun, an underrun or a suspend the card must be prepared again.
    fn recover(&self) -> Result<(), DeviceError> {
        self.pcm.prepare().map_err(|error| DeviceError::Lost(number(error)))
    }

    fn io(&self) -> alsa::pcm::IO<'_, i16> {
        // SAFETY: the format was set to 16 bit when the card was opened, and each `IO` is dropped before the next is
        // made. The checked way allocates, which the audio thread must not.
        unsafe { self.pcm.io_unchecked() }
    }
}

fn set_hardware(pcm: &PCM, period: usize, buffer: usize) -> alsa::Result<usize> {
    let hardware = HwParams::any(pcm)?;
    hardware.set_access(Access::RWInterleaved)?;
    hardware.set_format(Format::s16())?;
    let channels = if hardware.test_channels(1).is_ok() { 1 } else { 2 };
    hardware.set_channels(channels)?;
    hardware.set_rate(SAMPLE_RATE, ValueOr::Nearest)?;
    if hardware.get_rate()? != SAMPLE_RATE {
        return Err(alsa::Error::new("set_rate", libc::EINVAL));
    }
    hardware.set_period_size_near(period as i64, ValueOr::Nearest)?;
    hardware.set_buffer_size_near(buffer as i64)?;
    pcm.hw_params(&hardware)?;
    Ok(channels as usize)
}

struct AlsaCapture {
    card: Card,
}

impl Capture for AlsaCapture {
    fn start(&mut self) -> Result<(), DeviceError> {
        self.card.pcm.start().map_err(failure)
    }

    fn poll_fds(&self, fds: &mut [pollfd]) -> usize {
        let count = self.card.pcm.count().min(fds.len());
        let fds = fds.get_mut(..count).unwrap_or_default();
        self.card.pcm.fill(fds).unwrap_or(0)
    }

    fn polled(&mut self, fds: &[pollfd]) -> Result<(), DeviceError> {
        let flags = self.card.pcm.revents(fds).map_err(failure)?;
        if flags.contains(Flags::NVAL) { Err(DeviceError::Lost(libc::ENODEV)) } else { Ok(()) }
    }

    fn available(&mut self) -> Result<usize, DeviceError> {
        Ok(self.card.pcm.avail_update().map_err(failure)? as usize)
    }

    fn read(&mut self, samples: &mut [i16]) -> Result<(), DeviceError> {
        let Card { channels, .. } = self.card;
        if channels == 1 {
            return self.card.io().readi(samples).map(|_| ()).map_err(failure);
        }
        let mut interleaved = core::mem::take(&mut self.card.interleaved);
        let part = interleaved.get_mut(..samples.len() * channels).unwrap_or_default();
        let read = self.card.io().readi(part).map(|_| ()).map_err(failure);
        let first = part.iter().step_by(channels);
        samples.iter_mut().zip(first).for_each(|(sample, heard)| *sample = *heard);
        self.card.interleaved = interleaved;
        read
    }

    fn recover(&mut self) -> Result<(), DeviceError> {
        self.card.recover()?;
        self.start()
    }
}

struct AlsaPlayback {
    card: Card,
}

impl Playback for AlsaPlayback {
    fn start(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn layout(&self) -> Layout {
        self.card.layout
    }

    fn delay(&mut self) -> Result<usize, DeviceError> {
        let delay = self.card.pcm.delay().map_err(failure)?;
        Ok(usize::try_from(delay).unwrap_or(0))
    }

    fn write(&mut self, samples: &[i16]) -> Result<usize, DeviceError> {
        let written = if self.card.channels == 1 {
            self.card.io().writei(samples)
        } else {
            let mut interleaved = core::mem::take(&mut self.card.interleaved);
            let doubled = interleaved.chunks_exact_mut(self.card.channels);
            let frames = doubled.zip(samples).map(|(frame, sample)| frame.fill(*sample)).count();
            let part = interleaved.get(..frames * self.card.channels).unwrap_or_default();
            let written = self.card.io().writei(part);
            self.card.interleaved = interleaved;
            written
        };
        match written {
            Err(error) if number(error) == libc::EAGAIN => Ok(0),
            written => written.map_err(failure),
        }
    }

    fn recover(&mut self) -> Result<(), DeviceError> {
        self.card.recover()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_does_not_exist_is_told_by_its_error() {
        hush();
        assert_eq!(open_capture("no_such_device", 960).err(), Some(libc::ENOENT));
        assert_eq!(open_playback("no_such_device").err(), Some(libc::ENOENT));
        assert_eq!(open_playback("with\0zero").err(), Some(libc::EINVAL));
    }

    #[test]
    fn the_null_device_opens_and_takes_sound() {
        hush();
        let mut playback = open_playback("null").unwrap();
        playback.start().unwrap();
        assert_eq!(playback.write(&[0; 960]), Ok(960));
        assert!(open_capture("null", 960).is_ok());
    }
}
