// SPDX-License-Identifier: GPL-3.0-or-later
//! Virtual sound cards: ideal, paced in real time, exact to a sample, and reached through the real ALSA library.
//!
//! All cards of a [`VirtualCards`] share one clock. What a microphone hears and what a loudspeaker plays are files of
//! raw samples on that clock, so the delay between them is a shift between two files (see [`crate::latency`]).

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use nix::time::{ClockId, clock_gettime};

/// The plugin's source.
const SOURCE: &str = include_str!("../vcard/vcard.c");

/// A set of virtual cards and the ALSA configuration that names them.
#[derive(Debug)]
pub struct VirtualCards {
    folder: PathBuf,
    cards: Vec<String>,
}

/// One virtual card: a microphone and a loudspeaker under one name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Card<'a> {
    /// What to call it: the device name for both directions.
    pub name: &'a str,
    /// What the microphone hears, over and over; nothing for silence.
    pub microphone: &'a [i16],
    /// The hardware pointer moves in steps of this many frames; 0 or 1 for an exact card.
    pub quantum: u32,
    /// Error of the card's crystal in parts per million.
    pub ppm: i32,
    /// The card freezes this many milliseconds after it was opened; 0 for never.
    pub lifetime_ms: u32,
}

impl VirtualCards {
    /// Compiles the plugin into `folder` (needs gcc and libasound's header files) and starts the shared clock.
    pub fn build(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        let source = folder.join("vcard.c");
        fs::write(&source, SOURCE)?;
        let flags = ["-O2", "-fPIC", "-shared", "-DPIC", "-o"];
        let compiler =
            Command::new("gcc").args(flags).arg(folder.join("vcard.so")).arg(&source).arg("-lasound").output();
        let output = compiler.context("gcc is needed to build the virtual sound card")?;
        ensure!(output.status.success(), "gcc: {}", String::from_utf8_lossy(&output.stderr));
        fs::write(folder.join("epoch"), format!("{}\n", monotonic_ns()?))?;
        Ok(Self { folder: folder.to_owned(), cards: Vec::new() })
    }

    /// Adds a card and renews the configuration.
    pub fn add(&mut self, card: Card<'_>) -> anyhow::Result<()> {
        let bytes: Vec<u8> = card.microphone.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        fs::write(self.microphone_file(card.name), bytes)?;
        fs::write(self.loudspeaker_file(card.name), [])?;
        self.cards.push(self.describe(&card)?);
        fs::write(self.configuration(), self.cards.concat())?;
        Ok(())
    }

    fn describe(&self, card: &Card<'_>) -> anyhow::Result<String> {
        let mut text = String::new();
        if self.cards.is_empty() {
            writeln!(text, "</usr/share/alsa/alsa.conf>")?;
            writeln!(text, "pcm_type.vcard {{ lib \"{}\" }}", self.folder.join("vcard.so").display())?;
        }
        let common = format!(
            "type vcard epoch \"{}\" quantum {} ppm {} lifetime {}",
            self.folder.join("epoch").display(),
            card.quantum.max(1),
            card.ppm,
            card.lifetime_ms
        );
        writeln!(text, "pcm.{} {{ type asym", card.name)?;
        writeln!(text, "  capture.pcm {{ {common} infile \"{}\" }}", self.microphone_file(card.name).display())?;
        writeln!(text, "  playback.pcm {{ {common} outfile \"{}\" }}", self.loudspeaker_file(card.name).display())?;
        writeln!(text, "}}")?;
        Ok(text)
    }

    /// The environment variable that makes ALSA know the cards, and its value.
    pub fn environment(&self) -> (&'static str, PathBuf) {
        ("ALSA_CONFIG_PATH", self.configuration())
    }

    /// Everything the loudspeaker of `card` has played, from the start of the shared clock on.
    pub fn played(&self, card: &str) -> anyhow::Result<Vec<i16>> {
        let bytes = fs::read(self.loudspeaker_file(card))?;
        let (samples, _) = bytes.as_chunks::<2>();
        Ok(samples.iter().map(|bytes| i16::from_le_bytes(*bytes)).collect())
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("alsa.conf")
    }

    fn microphone_file(&self, card: &str) -> PathBuf {
        self.folder.join(format!("{card}.microphone.raw"))
    }

    fn loudspeaker_file(&self, card: &str) -> PathBuf {
        self.folder.join(format!("{card}.loudspeaker.raw"))
    }
}

/// A new folder for cards, in memory where the system has one: a loudspeaker must not wait for a disk.
pub fn folder() -> anyhow::Result<tempfile::TempDir> {
    let memory = tempfile::Builder::new().prefix("vcard").tempdir_in("/dev/shm");
    Ok(memory.or_else(|_| tempfile::tempdir())?)
}

fn monotonic_ns() -> anyhow::Result<i64> {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    Ok(time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}
