// SPDX-License-Identifier: GPL-3.0-or-later
//! The three daemons, the call, and what is measured of it.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use dvs_proto::message::{CallInfo, CallState, CallStats, EndReason, Event, Levels, Request};
use dvs_tests::alignment::{Likeness, Recording, compare};
use dvs_tests::handset::Handset;
use dvs_tests::harness::{Daemon, Setup, wait_for};
use dvs_tests::speech::{self, RATE};
use tempfile::TempDir;

use crate::progress::Progress;
use crate::report::{Bound, Figure, Figures};

/// How long Alice talks.
const TALK: Duration = Duration::from_secs(7);
/// Joining the overlay, one step of a call, and writing a recording take at most this long.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest delay that is looked for, in milliseconds.
const LONGEST_DELAY: u32 = 400;

/// What Alice speaks into.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sound {
    /// A file with that many seconds of speech, so that everything can be measured.
    File { seconds: u32 },
    /// The sound card of this machine.
    Card,
}

/// A daemon and the client attached to it.
struct Party {
    handset: Handset,
    daemon: Daemon,
}

impl Party {
    fn start(name: &str, setup: &Setup) -> Result<Self> {
        let daemon = Daemon::start(name, setup)?;
        Ok(Self { handset: Handset::attach(&daemon, "demo")?, daemon })
    }
}

/// A bootstrap node, Alice, and the echo peer.
pub(crate) struct Scene {
    sound: Sound,
    alice: Party,
    echo: Party,
    bootstrap: Party,
    directory: TempDir,
}

impl Scene {
    /// Starts everybody; returns when the two have joined the overlay and know each other as contacts.
    pub(crate) fn set_up(sound: Sound, progress: &Progress) -> Result<Self> {
        let directory = TempDir::with_prefix("dvs-demo-")?;
        let at = |file: &str| directory.path().join(file).display().to_string();
        if let Sound::File { seconds } = sound {
            speech::write(Path::new(&at("speech.wav")), seconds)?;
        }
        let mut bootstrap = Party::start("the bootstrap node", &Setup::loopback())?;
        let address = bootstrap.handset.snapshot()?.network.listen;
        progress.step(&format!("bootstrap node on {address}"));
        let joining = Setup {
            bootstrap: vec![address.parse().with_context(|| format!("no address: {address}"))?],
            ..Setup::loopback()
        };
        let backend = match sound {
            Sound::File { .. } => format!("wav:{},{}", at("speech.wav"), at("alice.wav")),
            Sound::Card => "alsa".to_owned(),
        };
        let alice = Party::start("Alice", &Setup { backend, ..joining.clone() })?;
        let backend = format!("loop:{}", at("heard.wav"));
        let echo = Party::start("the echo peer", &Setup { backend, auto_answer: true, ..joining })?;
        let mut scene = Self { sound, alice, echo, bootstrap, directory };
        scene.introduce(progress)?;
        Ok(scene)
    }

    fn introduce(&mut self, progress: &Progress) -> Result<()> {
        let [alice, echo] = [self.alice.handset.id()?, self.echo.handset.id()?];
        self.alice.handset.add_contact("Echo", &echo)?;
        self.echo.handset.add_contact("Alice", &alice)?;
        progress.step(&format!("Alice is {alice}"));
        progress.step(&format!("Echo  is {echo}, a contact that answers by itself"));
        for party in [&mut self.alice, &mut self.echo] {
            party.handset.wait_for_network(PATIENCE, |network| network.online)?;
        }
        self.bootstrap.handset.wait_for_network(PATIENCE, |network| network.good >= 2)?;
        progress.step("both are online, and each knew only the bootstrap node");
        Ok(())
    }

    /// Alice calls the echo peer by its ID; returns when they talk.
    pub(crate) fn call(&mut self, progress: &Progress) -> Result<CallInfo> {
        let target = self.echo.handset.id()?;
        self.alice.handset.dial(&target)?;
        let call = self.alice.handset.wait_for_call(PATIENCE, CallState::Active)?;
        self.echo.handset.wait_for_call(PATIENCE, CallState::Active)?;
        let [lookup, ring] =
            [call.lookup_us, call.ring_us].map(|us| us.map_or("?".to_owned(), |us| ms(us).to_string()));
        progress.step(&format!("found after {lookup} ms, rang after {ring} ms, answered"));
        Ok(call)
    }

    /// Lets Alice talk and shows it.
    pub(crate) fn talk(&mut self, progress: &Progress) -> Result<()> {
        self.alice.handset.ask(Request::Levels { on: true })?;
        let [start, mut second] = [Instant::now(); 2];
        let (mut levels, mut stats) = (Levels::default(), CallStats::default());
        while start.elapsed() < TALK {
            match self.alice.handset.next_event(Duration::from_millis(200))? {
                Some(Event::Levels(latest)) => levels = latest,
                Some(Event::Stats(latest)) => stats = *latest,
                // Older news of the call may still be under way; only its end matters.
                Some(Event::Call(call)) => ensure!(call.ended.is_none(), "the call ended: {:?}", call.ended),
                _ => {}
            }
            let whole = second.elapsed() >= Duration::from_secs(1);
            if whole {
                second = Instant::now();
            }
            progress.talking(levels, &stats, whole);
        }
        progress.talked();
        Ok(())
    }

    /// Hangs up if nobody did yet.
    pub(crate) fn end_call(&mut self, progress: &Progress) -> Result<()> {
        if self.alice.handset.snapshot()?.calls.is_empty() {
            return Ok(());
        }
        self.alice.handset.hang_up()?;
        let [ours, theirs] = [&mut self.alice, &mut self.echo].map(|party| party.handset.wait_for_end(PATIENCE));
        let (ours, theirs) = (ours?, theirs?);
        progress.step("hung up");
        ensure!(
            (ours, theirs) == (EndReason::HungUp, EndReason::PeerHungUp),
            "the call ended with {ours:?} here and {theirs:?} there"
        );
        Ok(())
    }

    /// Hangs up and measures.
    pub(crate) fn finish(&mut self, call: &CallInfo, progress: &Progress) -> Result<Figures> {
        let [alice, echo] = [self.alice.handset.stats()?, self.echo.handset.stats()?];
        self.end_call(progress)?;
        let ways = match self.sound {
            Sound::File { .. } => Some(self.compare(&alice, &echo)?),
            Sound::Card => None,
        };
        Ok(figures(call, &alice, &echo, ways))
    }

    /// Compares what Alice spoke with what the echo peer heard, and with what came back to her.
    fn compare(&self, alice: &CallStats, echo: &CallStats) -> Result<[Option<Likeness>; 2]> {
        let spoken = speech::read_wav(&self.directory.path().join("speech.wav"))?;
        let spoken = Recording { samples: &spoken, epoch_us: alice.capture_epoch_us.context("Alice did not speak")? };
        let way = |file: &str, epoch: Option<u64>| -> Result<Option<Likeness>> {
            let heard = finished(&self.directory.path().join(file))?;
            let heard = Recording { samples: &heard, epoch_us: epoch.with_context(|| format!("{file} is empty"))? };
            Ok(compare(spoken, heard, LONGEST_DELAY))
        };
        Ok([way("heard.wav", echo.playback_epoch_us)?, way("alice.wav", alice.playback_epoch_us)?])
    }

    /// Where clients find Alice's daemon.
    pub(crate) fn alice_directory(&self) -> PathBuf {
        self.alice.daemon.runtime_directory()
    }
}

/// A recording of the whole call, as soon as it is written to its end.
fn finished(path: &Path) -> Result<Vec<i16>> {
    let enough = (TALK.as_secs() - 1) as usize * RATE as usize;
    wait_for(PATIENCE, &format!("the recording {}", path.display()), || {
        Ok(speech::read_wav(path).ok().filter(|samples| samples.len() >= enough))
    })
}

/// `ways` are one way and there and back; `None` when a sound card was in between.
fn figures(call: &CallInfo, alice: &CallStats, echo: &CallStats, ways: Option<[Option<Likeness>; 2]>) -> Figures {
    use Bound::{Anything, AtLeast, AtMost, Exactly};
    let measured = ways.is_some();
    let [one_way, echoed] = ways.unwrap_or_default();
    let heard = |bound| if measured { bound } else { Anything };
    let delay = |way: Option<Likeness>| way.map(|way| way.delay_ms);
    let alike = |way: Option<Likeness>| way.map(|way| way.correlation);
    let figure = |key, meaning, value, bound| Figure { key, meaning, value, bound };
    let loss = alice.loss_permille.max(echo.loss_permille);
    Figures(vec![
        figure("lookup_ms", "from dialling until the peer was found, ms", call.lookup_us.map(ms), AtMost(50.0)),
        figure("ring_ms", "from dialling until the peer rang, ms", call.ring_us.map(ms), AtMost(50.0)),
        figure("mouth_to_ear_ms", "Alice's input to the echo peer's output, ms", delay(one_way), heard(AtMost(60.0))),
        figure("echo_ms", "Alice's input to Alice's output, ms", delay(echoed), heard(AtMost(120.0))),
        figure("packet_bytes", "every media datagram, bytes of UDP payload", packet_bytes(alice, echo), Exactly(93.0)),
        figure("loss_permille", "media lost, the worse direction, per thousand", Some(loss.into()), Exactly(0.0)),
        figure("correlation", "heard by the echo peer against spoken", alike(one_way), heard(AtLeast(0.85))),
        figure("echo_correlation", "heard by Alice against spoken", alike(echoed), heard(AtLeast(0.6))),
    ])
}

/// Microseconds in milliseconds.
fn ms(us: u32) -> f64 {
    f64::from(us) / 1_000.0
}

/// The size of all media datagrams of both directions, or that of an odd one.
fn packet_bytes(alice: &CallStats, echo: &CallStats) -> Option<f64> {
    let sizes = [alice, echo].into_iter().flat_map(|stats| [stats.packet_bytes_min, stats.packet_bytes_max]);
    let odd = sizes.clone().find(|size| *size != alice.packet_bytes);
    odd.or(Some(alice.packet_bytes)).filter(|size| *size > 0).map(f64::from)
}
