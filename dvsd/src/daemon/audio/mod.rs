// SPDX-License-Identifier: GPL-3.0-or-later
//! Sound of a call: one real-time thread between the sound cards and the daemon's loop.
//!
//! [`start`] gives two lock-free rings, one of encoded frames for the peer and one for frames from the peer, with
//! switches and figures beside them. Whatever the devices do, a frame leaves every 20 ms and the call goes on.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "devices, threads and clocks are what this part of the shell is for"
)]

mod alsa;
mod call_thread;
mod chime;
mod clock;
mod device;
mod keeper;
mod meters;
mod paced;
#[cfg(test)]
mod tests;
mod wav;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use dvsd::media::MAX_PACKET;
use dvsd::media::codec::{CodecError, EncoderSettings, OpusDecoder, OpusEncoder};
use dvsd::media::jitter::Playout;
use nix::sys::eventfd::{EfdFlags, EventFd};
use thiserror::Error;

use self::call_thread::{CallThread, Links};
use self::chime::Announcement;
pub(crate) use self::device::Backend;
use self::device::Direction;
use self::keeper::{Keeper, KeeperLinks, News};
pub(crate) use self::meters::Meters;

/// Encoded frames that may wait for the loop, and packets for the audio thread: more than a second of each.
const RING: usize = 64;

/// The devices and the codec of a call.
#[derive(Clone, Debug)]
pub(crate) struct AudioConfig {
    /// Which kind of devices.
    pub(crate) backend: Backend,
    /// ALSA's name of the microphone.
    pub(crate) capture: String,
    /// ALSA's name of the loudspeaker.
    pub(crate) playback: String,
    /// How the microphone is encoded.
    pub(crate) encoder: EncoderSettings,
    /// Whether the call had sound before, as after a hold: recordings go on.
    pub(crate) resumed: bool,
    /// Whether two beeps are played first. Until they have been heard the peer hears silence, and as long as there is no
    /// loudspeaker to play them.
    pub(crate) announce: bool,
}

impl Default for AudioConfig {
    fn default() -> Self {
        Self {
            backend: Backend::default(),
            capture: "default".to_owned(),
            playback: "default".to_owned(),
            encoder: EncoderSettings::default(),
            resumed: false,
            announce: false,
        }
    }
}

/// Why there is no sound at all. What is wrong with a device is [`CallAudio::trouble`] instead.
#[derive(Debug, Error)]
pub(crate) enum AudioError {
    /// The codec refused its settings.
    #[error("cannot set up the codec")]
    Codec(#[from] CodecError),
    /// No thread or descriptor to be had.
    #[error("cannot start the audio thread")]
    System(#[from] io::Error),
}

impl From<nix::errno::Errno> for AudioError {
    fn from(errno: nix::errno::Errno) -> Self {
        Self::System(errno.into())
    }
}

/// An encoded frame from the microphone.
#[derive(Clone, Copy)]
pub(crate) struct CapturedFrame {
    /// When its first sample was captured, in microseconds of `CLOCK_BOOTTIME`.
    pub(crate) captured_us: u64,
    /// Duration in ticks of 2.5 ms.
    pub(crate) ticks: u8,
    /// Whether it does not continue the frame before: after a start or a gap.
    pub(crate) first: bool,
    /// Bytes used.
    pub(crate) len: u16,
    /// The media payload.
    pub(crate) bytes: [u8; MAX_PACKET],
}

impl CapturedFrame {
    /// The media payload.
    pub(crate) fn payload(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// A media payload from the peer.
#[derive(Clone, Copy)]
pub(crate) struct PlayFrame {
    /// Its sequence number, in ticks of 2.5 ms.
    pub(crate) seq: u32,
    /// When it came, in microseconds of `CLOCK_BOOTTIME`.
    pub(crate) arrived_us: u64,
    /// Bytes used.
    pub(crate) len: u16,
    /// The media payload.
    pub(crate) bytes: [u8; MAX_PACKET],
}

impl PlayFrame {
    /// A frame of `payload`; `None` if it is longer than any Opus packet.
    pub(crate) fn new(seq: u32, arrived_us: u64, payload: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_PACKET];
        bytes.get_mut(..payload.len())?.copy_from_slice(payload);
        Some(Self { seq, arrived_us, len: payload.len() as u16, bytes })
    }

    /// The media payload.
    pub(crate) fn payload(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// The switches of a call's audio; all take effect with the next frame.
#[derive(Debug)]
pub(crate) struct Controls {
    mute: AtomicBool,
    deafen: AtomicBool,
    stop: AtomicBool,
    expected_loss: AtomicU8,
    /// Wakes the audio thread.
    wake: EventFd,
    /// Wakes the keeper of the devices.
    wake_keeper: Arc<EventFd>,
}

impl Controls {
    /// Whether the peer hears encoded silence instead of the microphone.
    pub(crate) fn set_mute(&self, on: bool) {
        self.mute.store(on, Ordering::Relaxed);
    }

    /// Whether the loudspeaker is silent.
    pub(crate) fn set_deafen(&self, on: bool) {
        self.deafen.store(on, Ordering::Relaxed);
    }

    /// Tells the encoder which share of its packets gets lost, in percent, as the peer reports it.
    pub(crate) fn set_expected_loss(&self, percent: u8) {
        self.expected_loss.store(percent.min(100), Ordering::Relaxed);
    }

    /// Ends both threads.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.nudge();
        let _ = self.wake_keeper.write(1);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn nudge(&self) {
        let _ = self.wake.write(1);
    }
}

/// The sound of a call, as the daemon's loop sees it. Dropping it ends the sound.
pub(crate) struct CallAudio {
    /// Frames from the microphone.
    pub(crate) captured: rtrb::Consumer<CapturedFrame>,
    /// Packets from the peer. They need not wake anyone: the audio thread comes for them.
    pub(crate) play: rtrb::Producer<PlayFrame>,
    /// The switches.
    pub(crate) controls: Arc<Controls>,
    /// The figures.
    pub(crate) meters: Arc<Meters>,
    news: Receiver<News>,
    capture_trouble: Option<String>,
    playback_trouble: Option<String>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl CallAudio {
    /// What is wrong with a device right now, in words that say what to do; `None` when both work.
    pub(crate) fn trouble(&mut self) -> Option<String> {
        while let Ok(News { direction, trouble }) = self.news.try_recv() {
            match direction {
                Direction::Capture => self.capture_trouble = trouble,
                Direction::Playback => self.playback_trouble = trouble,
            }
        }
        match (&self.capture_trouble, &self.playback_trouble) {
            (Some(capture), Some(playback)) => Some(format!("{capture}; {playback}")),
            (capture, playback) => capture.clone().or_else(|| playback.clone()),
        }
    }

    /// Ends the sound and waits until the devices are closed and recordings complete. Only for the end of the daemon
    /// and for tests: a card may take its time.
    pub(crate) fn finish(mut self) {
        self.controls.stop();
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            debug_assert!(ended.is_ok(), "the audio threads do not panic");
        }
    }
}

impl Drop for CallAudio {
    fn drop(&mut self) {
        self.controls.stop();
    }
}

/// Starts the sound of a call. `wake` is written to whenever a captured frame or news of a device is there.
pub(crate) fn start(config: AudioConfig, wake: Arc<EventFd>) -> Result<CallAudio, AudioError> {
    let (to_loop, captured) = rtrb::RingBuffer::new(RING);
    let (play, from_loop) = rtrb::RingBuffer::new(RING);
    let (to_thread, devices) = rtrb::RingBuffer::new(4);
    let (to_keeper, retired) = rtrb::RingBuffer::new(4);
    let (tell, news) = sync_channel(16);
    let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
    let wake_keeper = Arc::new(EventFd::from_flags(flags)?);
    let controls = Arc::new(Controls {
        mute: AtomicBool::new(false),
        deafen: AtomicBool::new(false),
        stop: AtomicBool::new(false),
        expected_loss: AtomicU8::new(0),
        wake: EventFd::from_flags(flags)?,
        wake_keeper: Arc::clone(&wake_keeper),
    });
    let meters = Arc::new(Meters::default());
    let links = Links { captured: to_loop, play: from_loop, devices, retired: to_keeper, wake: Arc::clone(&wake) };
    let encoder = OpusEncoder::new(config.encoder)?;
    let playout = Playout::new(Box::new(OpusDecoder::new()?));
    let announcement = Announcement::new(config.announce);
    let call = CallThread::new(encoder, playout, announcement, links, Arc::clone(&controls), Arc::clone(&meters))?;
    let keeper_links = KeeperLinks { devices: to_thread, retired, news: tell, wake: wake_keeper, wake_loop: wake };
    let keeper = Keeper::new(config, keeper_links, Arc::clone(&controls));
    let threads = vec![
        thread::Builder::new().name("audio".to_owned()).spawn(move || call.run())?,
        thread::Builder::new().name("audio-devices".to_owned()).spawn(move || keeper.run())?,
    ];
    let (capture_trouble, playback_trouble) = (None, None);
    Ok(CallAudio { captured, play, controls, meters, news, capture_trouble, playback_trouble, threads })
}
