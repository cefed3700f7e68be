// SPDX-License-Identifier: GPL-3.0-or-later
//! Sound cards without hardware, for the real ALSA code of DVS and of other programs: microphones that hear files and
//! loudspeakers that play into files, all on the clock of one virtual world. `tests/vcard/vcard.c` tells how.

use core::time::Duration;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_gettime};
use tempfile::TempDir;

use crate::alignment::Recording;
use crate::gcc::compile;
use crate::harness::Setup;
use crate::speech::RATE;

/// The plugin for libasound.
const SOURCE: &str = include_str!("../vcard/vcard.c");
/// How it is linked.
const OPTIONS: [&str; 6] = ["-fPIC", "-DPIC", "-shared", "-lasound", "-lm", "-Wl,-z,defs"];
/// The configuration that every program of libasound reads.
const SYSTEM_CONFIG: &str = "/usr/share/alsa/alsa.conf";

/// A sound card.
#[derive(Clone, Debug, Default)]
pub struct Card {
    /// The name of the ALSA device, for both directions.
    pub name: String,
    /// What the microphone hears, from the beginning of the world on; silence follows.
    pub microphone: Vec<i16>,
    /// How fast the card's clock is, in millionths; negative is slow.
    pub ppm: i32,
    /// The card tells its position in steps of so many samples; 0 is as good as 1.
    pub quantum: u32,
    /// So long after it was opened, in milliseconds, the card stands still; 0 is never.
    pub lifetime_ms: u32,
}

impl Card {
    /// An ideal card whose microphone hears `microphone`.
    pub fn new(name: &str, microphone: Vec<i16>) -> Self {
        Self { name: name.to_owned(), microphone, ..Self::default() }
    }
}

/// One direction of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The microphone.
    Capture,
    /// The loudspeaker.
    Playback,
}

/// Something that happened to a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, in samples of the world.
    pub at: i64,
    /// To which direction.
    pub stream: Stream,
    /// `start`, `stop`, `overrun`, `underrun` or `late`.
    pub what: String,
}

/// The cards of a test and the clock they share. Nobody must use them any more when it is dropped.
#[derive(Debug)]
pub struct World {
    directory: TempDir,
    cards: Vec<Card>,
}

impl World {
    /// Sets up `cards`. Their time begins now; see [`World::begin`].
    pub fn new(cards: Vec<Card>) -> Result<Self> {
        let world = Self { directory: in_memory()?, cards };
        compile(SOURCE, &world.file("vcard.so"), &OPTIONS)?;
        let mut config = format!("pcm_type.vcard {{ lib \"{}\" }}\n", world.file("vcard.so").display());
        for card in &world.cards {
            let samples: Vec<u8> = card.microphone.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            fs::write(world.microphone_file(&card.name), samples)?;
            config += &world.section(card);
        }
        fs::write(world.file("asound.conf"), config)?;
        world.begin()?;
        Ok(world)
    }

    /// The section of ALSA's configuration that makes `card`.
    fn section(&self, card: &Card) -> String {
        let Card { name, ppm, quantum, lifetime_ms, .. } = card;
        let half = |direction: &str, key: &str, file: PathBuf| {
            let [epoch, log] = [self.file("epoch"), self.log_file(name)].map(|file| file.display().to_string());
            let (file, quantum) = (file.display(), quantum.max(&1));
            let files = format!("epoch \"{epoch}\" log \"{log}\" {key} \"{file}\"");
            format!("  {direction}.pcm {{ type vcard {files} ppm {ppm} quantum {quantum} lifetime {lifetime_ms} }}\n")
        };
        let capture = half("capture", "infile", self.microphone_file(name));
        let playback = half("playback", "outfile", self.loudspeaker_file(name));
        format!("pcm.{name} {{\n  type asym\n{capture}{playback}}}\n")
    }

    /// Begins anew: world sample 0 is now, and nothing has been played. A stream that is open stays in the old world.
    pub fn begin(&self) -> Result<()> {
        for card in &self.cards {
            for file in [self.loudspeaker_file(&card.name), self.log_file(&card.name)] {
                if file.exists() {
                    fs::remove_file(file)?;
                }
            }
        }
        // In one step, for a card that is opened right now.
        fs::write(self.file("epoch.new"), monotonic_ns()?.to_string())?;
        Ok(fs::rename(self.file("epoch.new"), self.file("epoch"))?)
    }

    /// The environment in which programs find the cards.
    pub fn environment(&self) -> Vec<(String, String)> {
        let config = format!("{SYSTEM_CONFIG}:{}", self.file("asound.conf").display());
        vec![("ALSA_CONFIG_PATH".to_owned(), config)]
    }

    /// A daemon that uses `card`.
    pub fn setup(&self, card: &str) -> Setup {
        let devices = [card, card].map(str::to_owned);
        Setup { backend: "alsa".to_owned(), devices, environment: self.environment(), ..Setup::loopback() }
    }

    /// The present, in samples of the world.
    pub fn now(&self) -> Result<usize> {
        let elapsed = monotonic_ns()?.saturating_sub(self.epoch_ns()?);
        Ok((u128::from(elapsed) * u128::from(RATE) / 1_000_000_000) as usize)
    }

    /// What the microphone of `card` hears.
    pub fn spoken(&self, card: &str) -> Result<&[i16]> {
        let card = self.cards.iter().find(|found| found.name == card).context("no such card")?;
        Ok(&card.microphone)
    }

    /// What the loudspeaker of `card` has played so far, from the beginning of the world on.
    pub fn heard(&self, card: &str) -> Result<Vec<i16>> {
        let path = self.loudspeaker_file(card);
        let bytes = fs::read(&path).with_context(|| format!("{card} played nothing"))?;
        let (samples, _) = bytes.as_chunks::<2>();
        Ok(samples.iter().map(|sample| i16::from_le_bytes(*sample)).collect())
    }

    /// `samples` that begin with the world, as a recording to compare.
    pub fn recording<'a>(&self, samples: &'a [i16]) -> Result<Recording<'a>> {
        Ok(Recording { samples, epoch_us: self.epoch_ns()? / 1_000 })
    }

    /// What happened to `card` since the world began.
    pub fn events(&self, card: &str) -> Result<Vec<Event>> {
        let log = fs::read_to_string(self.log_file(card)).unwrap_or_default();
        log.lines().map(|line| event(line).with_context(|| format!("not a line of a card's log: {line}"))).collect()
    }

    /// How often a stream of `card` was not served in time; starts and stops are no trouble.
    pub fn troubles(&self, card: &str) -> Result<Vec<Event>> {
        let events = self.events(card)?.into_iter();
        Ok(events.filter(|event| !matches!(event.what.as_str(), "start" | "stop")).collect())
    }

    /// World sample `at` on `CLOCK_MONOTONIC`.
    pub fn moment(&self, at: i64) -> Result<Duration> {
        let since_epoch = Duration::from_secs_f64(at as f64 / f64::from(RATE));
        Ok(Duration::from_nanos(self.epoch_ns()?) + since_epoch)
    }

    fn epoch_ns(&self) -> Result<u64> {
        Ok(fs::read_to_string(self.file("epoch"))?.trim().parse()?)
    }

    fn microphone_file(&self, card: &str) -> PathBuf {
        self.file(&format!("{card}.microphone"))
    }

    fn loudspeaker_file(&self, card: &str) -> PathBuf {
        self.file(&format!("{card}.loudspeaker"))
    }

    fn log_file(&self, card: &str) -> PathBuf {
        self.file(&format!("{card}.log"))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// A directory in memory where the system has one: a loudspeaker must not wait for a disk.
fn in_memory() -> Result<TempDir> {
    let memory = TempDir::with_prefix_in("dvs-world-", "/dev/shm");
    Ok(memory.or_else(|_| TempDir::with_prefix("dvs-world-"))?)
}

fn monotonic_ns() -> Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    Ok(now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}

fn event(line: &str) -> Option<Event> {
    let mut words = line.split(' ');
    let at = words.next()?.parse().ok()?;
    let stream = match words.next()? {
        "capture" => Stream::Capture,
        "playback" => Stream::Playback,
        _ => return None,
    };
    Some(Event { at, stream, what: words.next()?.to_owned() })
}
