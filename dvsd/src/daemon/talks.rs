// SPDX-License-Identifier: GPL-3.0-or-later
//! The sound of the calls that run: one audio thread each, and what the rest of the daemon wants to know of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use dvs_proto::message::Levels;
use dvsd::call::CallNumber;
use dvsd::media::codec::EncoderSettings;
use dvsd::media::jitter::PlayoutStats;
use dvsd::wire::control::MediaReport;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::audio::{self, AudioConfig, CallAudio, CapturedFrame, PlayFrame};
use crate::clock;
use crate::config::{Config, Role};
use crate::rate::Rate;
use crate::readable::Readable;

/// How many ended calls keep their figures.
const MAX_ENDED: usize = 16;

/// The sound of one call.
struct Talk {
    audio: CallAudio,
    /// Encoded media from the microphone.
    sent: Rate,
    /// Encoded media from the peer.
    received: Rate,
    /// Frames received and lost, as of the last second.
    second: Second,
    highest_tick: u32,
    /// Its figures up to the last hold.
    before: Figures,
}

/// What one second brought, for the report to the peer.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    received: u64,
    lost: u64,
    lost_permille: u16,
}

impl Second {
    /// Closes a second at which the totals stand at `received` and `lost`.
    fn close(&mut self, received: u64, lost: u64) {
        let lost_now = lost.saturating_sub(self.lost);
        let frames = received.saturating_sub(self.received) + lost_now;
        let permille = (lost_now * 1_000).checked_div(frames).unwrap_or(0);
        *self = Self { received, lost, lost_permille: u16::try_from(permille).unwrap_or(1_000) };
    }
}

/// The figures of one call's sound.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// What the playout counted.
    pub(crate) playout: PlayoutStats,
    /// Media sent, in bit/s.
    pub(crate) tx_bitrate: u32,
    /// Media received, in bit/s.
    pub(crate) rx_bitrate: u32,
    /// Device over- and underruns.
    pub(crate) xruns: u64,
    /// From microphone to encoded frame, and from packet to loudspeaker, in microseconds.
    pub(crate) delay_us: u64,
    /// `CLOCK_MONOTONIC` of the first captured sample, in microseconds.
    pub(crate) capture_epoch_us: Option<u64>,
    /// `CLOCK_MONOTONIC` at which the first played sample came out, in microseconds.
    pub(crate) playback_epoch_us: Option<u64>,
}

/// The counts of both, and the present state of `now`.
fn together(before: &PlayoutStats, now: &PlayoutStats) -> PlayoutStats {
    let (received, lost) = (before.received + now.received, before.lost + now.lost);
    let permille = (lost * 1_000).checked_div(received + lost).unwrap_or(0);
    PlayoutStats {
        received,
        lost,
        late: before.late + now.late,
        recovered: before.recovered + now.recovered,
        concealed: before.concealed + now.concealed,
        duplicates: before.duplicates + now.duplicates,
        refused: before.refused + now.refused,
        guessed_samples: before.guessed_samples + now.guessed_samples,
        stretched: before.stretched + now.stretched,
        shortened: before.shortened + now.shortened,
        loss_permille: u16::try_from(permille).unwrap_or(1_000),
        ..*now
    }
}

impl Talk {
    fn figures(&self) -> Figures {
        let meters = &self.audio.meters;
        Figures {
            playout: together(&self.before.playout, &meters.playout()),
            tx_bitrate: self.sent.bits_per_second(),
            rx_bitrate: self.received.bits_per_second(),
            xruns: self.before.xruns + meters.xruns(),
            delay_us: meters.capture_delay_us() + meters.playback_delay_us(),
            capture_epoch_us: self.before.capture_epoch_us.or_else(|| meters.capture_epoch_us()),
            playback_epoch_us: self.before.playback_epoch_us.or_else(|| meters.playback_epoch_us()),
        }
    }

    fn report(&self) -> MediaReport {
        let playout = self.audio.meters.playout();
        MediaReport {
            highest_tick: self.highest_tick,
            received: u32::try_from(playout.received).unwrap_or(u32::MAX),
            lost_permille: self.second.lost_permille,
            jitter_ms: u16::try_from(playout.jitter_us / 1_000).unwrap_or(u16::MAX),
            queue_ms: 0,
            trend: 0,
            rx_rate: u16::try_from(self.received.bits_per_second() / 100).unwrap_or(u16::MAX),
        }
    }

    /// A second has passed.
    fn close_second(&mut self) {
        let playout = self.audio.meters.playout();
        self.second.close(playout.received, playout.lost);
        self.sent.close();
        self.received.close();
    }
}

/// All running calls' sound, and the switches that hold for every call.
pub(crate) struct Talks {
    config: AudioConfig,
    captured: Captured,
    running: BTreeMap<CallNumber, Talk>,
    ended: BTreeMap<CallNumber, Figures>,
    muted: bool,
    deafened: bool,
    trouble: Option<String>,
}

/// Becomes ready when an audio thread has put a frame into its ring.
#[derive(Debug)]
pub(crate) struct Captured(Readable<Arc<EventFd>>);

impl Captured {
    fn new() -> anyhow::Result<Self> {
        let fd = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        Ok(Self(Readable::new(Arc::new(fd))?))
    }

    /// Waits for frames.
    pub(crate) async fn ready(&self) -> std::io::Result<()> {
        self.0.rung().await
    }

    fn handle(&self) -> Arc<EventFd> {
        Arc::clone(self.0.get())
    }
}

impl Talks {
    /// No call runs yet; no device is opened.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let encoder = EncoderSettings {
            bitrate: config.media.bitrate,
            complexity: config.media.complexity,
            ..EncoderSettings::default()
        };
        // A seed has no sound, whatever is set.
        let backend = if config.network.role == Role::Seed { "none" } else { &config.audio.backend };
        let config = AudioConfig {
            backend: backend.parse()?,
            capture: config.audio.capture.clone(),
            playback: config.audio.playback.clone(),
            encoder,
            resumed: false,
            announce: false,
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

    /// Opens the devices for `call`, with an announcement first if it was answered without asking. Trouble with them never
    /// ends the call.
    pub(crate) fn start(&mut self, call: CallNumber, announce: bool) {
        let before = self.ended.get(&call).copied();
        let config = AudioConfig { resumed: before.is_some(), announce, ..self.config.clone() };
        match audio::start(config, self.captured.handle()) {
            Ok(audio) => {
                tracing::info!(call = call.0, "microphone and loudspeaker in use");
                audio.controls.set_mute(self.muted);
                audio.controls.set_deafen(self.deafened);
                let [sent, received] = [Rate::default(); 2];
                let before = before.unwrap_or_default();
                let talk = Talk { audio, sent, received, second: Second::default(), highest_tick: 0, before };
                self.running.insert(call, talk);
            }
            Err(error) => {
                tracing::error!(call = call.0, %error, "no sound");
                self.trouble = Some(format!("no sound: {error}"));
            }
        }
    }

    /// Closes the devices of `call`; its figures stay for a while.
    pub(crate) fn stop(&mut self, call: CallNumber) {
        if let Some(talk) = self.running.remove(&call) {
            self.ended.insert(call, talk.figures());
            let meters = &talk.audio.meters;
            let (real_time, dropped, xruns) = (meters.real_time(), meters.dropped(), meters.xruns());
            tracing::info!(call = call.0, real_time, dropped, xruns, "microphone and loudspeaker released");
        }
        while self.ended.len() > MAX_ENDED {
            self.ended.pop_first();
        }
    }

    /// Ends all sound and waits until devices are closed and recordings complete.
    pub(crate) fn close(&mut self) {
        for talk in std::mem::take(&mut self.running).into_values() {
            talk.audio.finish();
        }
    }

    /// Hands a received packet to the playout of `call`.
    pub(crate) fn play(&mut self, call: CallNumber, seq: u32, payload: &[u8]) {
        let frame = PlayFrame::new(seq, clock::now().mono.as_micros(), payload);
        let (Some(talk), Some(frame)) = (self.running.get_mut(&call), frame) else { return };
        talk.received.add(payload.len());
        talk.highest_tick = talk.highest_tick.max(seq);
        if talk.audio.play.push(frame).is_err() {
            tracing::trace!(call = call.0, "the audio thread is behind");
        }
    }

    /// What the event loop waits for.
    pub(crate) fn captured(&self) -> &Captured {
        &self.captured
    }

    /// The next encoded frame of any call.
    pub(crate) fn next_frame(&mut self) -> Option<(CallNumber, CapturedFrame)> {
        self.running.iter_mut().find_map(|(call, talk)| {
            let frame = talk.audio.captured.pop().ok()?;
            talk.sent.add(frame.payload().len());
            Some((*call, frame))
        })
    }

    /// A second has passed: rates and shares are those of the second that ends now.
    pub(crate) fn close_second(&mut self) {
        self.running.values_mut().for_each(Talk::close_second);
    }

    /// What the peer says about our media decides how much redundancy it gets.
    pub(crate) fn peer_report(&self, call: CallNumber, report: &MediaReport) {
        if let Some(talk) = self.running.get(&call) {
            talk.audio.controls.set_expected_loss((report.lost_permille.div_ceil(10)).min(100) as u8);
        }
    }

    /// What to tell the peers about their media.
    pub(crate) fn reports(&self) -> Vec<(CallNumber, MediaReport)> {
        self.running.iter().map(|(call, talk)| (*call, talk.report())).collect()
    }

    /// The calls whose sound runs.
    pub(crate) fn running(&self) -> impl Iterator<Item = CallNumber> + '_ {
        self.running.keys().copied()
    }

    /// The sound figures of a call that runs or ended lately.
    pub(crate) fn figures(&self, call: CallNumber) -> Option<Figures> {
        self.running.get(&call).map(Talk::figures).or_else(|| self.ended.get(&call).copied())
    }

    /// The call that ended last, if it had sound.
    pub(crate) fn last_ended(&self) -> Option<CallNumber> {
        self.ended.last_key_value().map(|(call, _)| *call)
    }

    /// The levels of the running call.
    pub(crate) fn levels(&self) -> Option<Levels> {
        let meters = &self.running.values().next()?.audio.meters;
        Some(Levels { capture: meters.capture_level(), playback: meters.playback_level() })
    }

    /// Switches all microphones; silence is sent meanwhile.
    pub(crate) fn set_mute(&mut self, on: bool) {
        self.muted = on;
        self.running.values().for_each(|talk| talk.audio.controls.set_mute(on));
    }

    /// Switches all loudspeakers.
    pub(crate) fn set_deafen(&mut self, on: bool) {
        self.deafened = on;
        self.running.values().for_each(|talk| talk.audio.controls.set_deafen(on));
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
        let trouble = self.running.values_mut().find_map(|talk| talk.audio.trouble());
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// `null` takes and gives anything; the other two do not exist.
    #[tokio::test]
    async fn f30_microphone_and_loudspeaker_are_opened_by_their_own_names() {
        let devices = [("no_such_microphone", "null", "capture"), ("null", "no_such_loudspeaker", "playback")];
        for (capture, playback, missing) in devices {
            let mut config = Config::default();
            (config.audio.capture, config.audio.playback) = (capture.to_owned(), playback.to_owned());
            let mut talks = Talks::new(&config).unwrap();
            talks.start(CallNumber(1), false);
            let name = if missing == "capture" { capture } else { playback };
            let expected = format!("{missing} device '{name}' not found");
            let begun = Instant::now();
            while !talks.trouble().is_some_and(|trouble| trouble.contains(&expected)) {
                assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", talks.trouble());
                std::thread::sleep(Duration::from_millis(5));
                talks.trouble_changed();
            }
            assert!(!talks.trouble().is_some_and(|trouble| trouble.contains("'null' not found")));
            talks.stop(CallNumber(1));
        }
    }
}
