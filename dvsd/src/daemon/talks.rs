// SPDX-License-Identifier: GPL-3.0-or-later
//! The sound of the calls that run: one audio thread each, and what the rest of the daemon wants to know of it.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;

use dvs_proto::message::Levels;
use dvsd::call::CallNumber;
use dvsd::wire::control::MediaReport;
use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::audio::{self, AudioConfig, Backend, CallAudio, CapturedFrame, Figures};
use crate::clock;
use crate::config::Config;

/// How many ended calls keep their figures.
const MAX_ENDED: usize = 16;

/// All running calls' sound, and the switches that hold for every call.
pub(crate) struct Talks {
    config: AudioConfig,
    captured: Captured,
    running: BTreeMap<CallNumber, CallAudio>,
    ended: BTreeMap<CallNumber, Figures>,
    muted: bool,
    deafened: bool,
    trouble: Option<String>,
}

/// Becomes ready when an audio thread has put a frame into its ring.
#[derive(Debug)]
pub(crate) struct Captured(AsyncFd<SharedEventFd>);

#[derive(Debug)]
struct SharedEventFd(Arc<EventFd>);

impl AsRawFd for SharedEventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Captured {
    fn new() -> anyhow::Result<Self> {
        let fd = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        Ok(Self(AsyncFd::with_interest(SharedEventFd(Arc::new(fd)), Interest::READABLE)?))
    }

    /// Waits for frames.
    pub(crate) async fn ready(&self) -> std::io::Result<()> {
        self.0.readable().await.map(|mut guard| guard.clear_ready())
    }

    fn reset(&self) {
        // An error means that it was reset already.
        let _count = self.0.get_ref().0.read();
    }

    fn handle(&self) -> Arc<EventFd> {
        Arc::clone(&self.0.get_ref().0)
    }
}

impl Talks {
    /// No call runs yet; no device is opened.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let config = AudioConfig {
            backend: Backend::parse(&config.audio.backend)?,
            capture: config.audio.capture.clone(),
            playback: config.audio.playback.clone(),
            bitrate: config.media.bitrate,
            complexity: config.media.complexity,
        };
        Ok(Self {
            config,
            captured: Captured::new()?,
            running: BTreeMap::new(),
            ended: BTreeMap::new(),
            muted: false,
            deafened: false,
            trouble: None,
        })
    }

    /// Opens the devices for `call`. Trouble with them never ends the call.
    pub(crate) fn start(&mut self, call: CallNumber) {
        match audio::start(&self.config, self.captured.handle()) {
            Ok(talk) => {
                tracing::info!(call = call.0, "microphone and loudspeaker in use");
                talk.controls.set_mute(self.muted);
                talk.controls.set_deafen(self.deafened);
                self.running.insert(call, talk);
            }
            Err(error) => {
                tracing::error!(call = call.0, %error, "no sound");
                self.trouble = Some(format!("{error:#}"));
            }
        }
    }

    /// Closes the devices of `call`; its figures stay for a while.
    pub(crate) fn stop(&mut self, call: CallNumber) {
        if let Some(talk) = self.running.remove(&call) {
            self.ended.insert(call, talk.meters.figures());
            tracing::info!(call = call.0, "microphone and loudspeaker released");
        }
        while self.ended.len() > MAX_ENDED {
            self.ended.pop_first();
        }
    }

    /// Hands a received packet to the playout of `call`.
    pub(crate) fn play(&mut self, call: CallNumber, seq: u32, payload: &[u8]) {
        if let Some(talk) = self.running.get_mut(&call) {
            talk.push(seq, clock::now().mono.as_micros(), payload);
        }
    }

    /// What the event loop waits for.
    pub(crate) fn captured(&self) -> &Captured {
        &self.captured
    }

    /// Takes note of the wake-up; to be called before [`Self::next_frame`].
    pub(crate) fn acknowledge(&self) {
        self.captured.reset();
    }

    /// The next encoded frame of any call.
    pub(crate) fn next_frame(&mut self) -> Option<(CallNumber, CapturedFrame)> {
        self.running.iter_mut().find_map(|(call, talk)| Some((*call, talk.captured.pop().ok()?)))
    }

    /// What the peer says about our media decides how much redundancy it gets.
    pub(crate) fn peer_report(&self, call: CallNumber, report: &MediaReport) {
        if let Some(talk) = self.running.get(&call) {
            talk.controls.set_announced_loss(report.lost_permille);
        }
    }

    /// What to tell the peers about their media.
    pub(crate) fn reports(&self) -> Vec<(CallNumber, MediaReport)> {
        self.running.iter().map(|(call, talk)| (*call, talk.meters.report())).collect()
    }

    /// The calls whose sound runs.
    pub(crate) fn running(&self) -> impl Iterator<Item = CallNumber> + '_ {
        self.running.keys().copied()
    }

    /// The sound figures of a call that runs or ended lately.
    pub(crate) fn figures(&self, call: CallNumber) -> Option<Figures> {
        self.running.get(&call).map(|talk| talk.meters.figures()).or_else(|| self.ended.get(&call).cloned())
    }

    /// The call that ended last, if it had sound.
    pub(crate) fn last_ended(&self) -> Option<CallNumber> {
        self.ended.last_key_value().map(|(call, _)| *call)
    }

    /// The loudest of the running calls' levels.
    pub(crate) fn levels(&self) -> Option<Levels> {
        self.running.values().map(|talk| talk.meters.levels()).map(|(capture, playback)| Levels { capture, playback }).next()
    }

    /// Switches all microphones; silence is sent meanwhile.
    pub(crate) fn set_mute(&mut self, on: bool) {
        self.muted = on;
        self.running.values().for_each(|talk| talk.controls.set_mute(on));
    }

    /// Switches all loudspeakers.
    pub(crate) fn set_deafen(&mut self, on: bool) {
        self.deafened = on;
        self.running.values().for_each(|talk| talk.controls.set_deafen(on));
    }

    /// Whether the microphone is switched off.
    pub(crate) const fn muted(&self) -> bool {
        self.muted
    }

    /// Whether the loudspeaker is switched off.
    pub(crate) const fn deafened(&self) -> bool {
        self.deafened
    }

    /// What is wrong with a device right now.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Looks whether a device's trouble came or went since the last look.
    pub(crate) fn trouble_changed(&mut self) -> bool {
        let trouble = self.running.values().find_map(|talk| talk.trouble());
        let changed = trouble != self.trouble;
        if let (true, Some(text)) = (changed, &trouble) {
            tracing::warn!("{text}");
        }
        self.trouble = trouble;
        changed
    }

    /// The devices in use.
    pub(crate) const fn config(&self) -> &AudioConfig {
        &self.config
    }
}
