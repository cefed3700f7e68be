// SPDX-License-Identifier: GPL-3.0-or-later
//! The command line.

use core::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use dvs_tests::sim::settings::{Attackers, Settings, Start, Strategy};

const USAGE: &str = "usage: dvs-sim --nodes N[,N...] [--lookups M] [--dead PCT] [--churn MINUTES] [--malicious PCT]
  [--attackers spread|crowded] [--strategy NAME] [--paths 1|3] [--proofs] [--cold|--filled|--lazy] [--loss PCT]
  [--seed S] [--json] | --table [--million] [--seed S]";
/// The seed if none is given.
const SEED: u64 = 1;
/// Networks from … to … nodes.
const NODES: core::ops::RangeInclusive<usize> = 2..=4_000_000;

/// What the user wants.
pub(crate) struct Options {
    pub(crate) runs: Vec<Settings>,
    pub(crate) json: bool,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let (mut all, mut nodes, mut json) = (Settings::healthy(1_000, SEED), Vec::new(), false);
        let mut start = None;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{argument} needs a value\n{USAGE}"));
            match argument.as_str() {
                "--nodes" => nodes = value()?.split(',').map(count).collect::<Result<_>>()?,
                "--lookups" => all.lookups = count(&value()?)?,
                "--dead" => all.dead = percent(&value()?)?,
                "--churn" => all.churn = Some(Duration::from_secs(60 * count(&value()?)?.max(1) as u64)),
                "--malicious" => all.malicious = percent(&value()?)?,
                "--attackers" => all.attackers = one_of(&value()?, [Attackers::Spread, Attackers::Crowded], Attackers::name)?,
                "--strategy" => all.strategy = one_of(&value()?, Strategy::ALL, Strategy::name)?,
                "--paths" => all.paths = count(&value()?)?.clamp(1, 16) as u8,
                "--proofs" => all.proofs = true,
                "--cold" => start = Some(Start::Cold),
                "--filled" => start = Some(Start::Filled),
                "--lazy" => start = Some(Start::Lazy),
                "--loss" => all.loss = percent(&value()?)?,
                "--seed" => all.seed = value()?.parse().context("a seed is a number")?,
                "--json" => json = true,
                other => bail!("no option {other}\n{USAGE}"),
            }
        }
        ensure!(!nodes.is_empty(), USAGE);
        ensure!(nodes.iter().all(|nodes| NODES.contains(nodes)), "a network has 2 to 4 million nodes");
        let run = |nodes| Settings { nodes, start: start.unwrap_or(Start::affordable(nodes)), ..all.clone() };
        Ok(Self { runs: nodes.into_iter().map(run).collect(), json })
    }
}

/// A number, also as 1e5.
fn count(text: &str) -> Result<usize> {
    let value: f64 = text.parse().with_context(|| format!("{text} is no number"))?;
    ensure!(value >= 0.0 && value.fract() == 0.0, "{text} is no count");
    Ok(value as usize)
}

fn percent(text: &str) -> Result<f64> {
    let value = text.parse().with_context(|| format!("{text} is no number"))?;
    ensure!((0.0..=100.0).contains(&value), "{text} is no percentage");
    Ok(value)
}

fn one_of<T: Copy, const COUNT: usize>(text: &str, choices: [T; COUNT], name: fn(T) -> &'static str) -> Result<T> {
    let names = choices.map(name);
    let chosen = choices.into_iter().find(|choice| name(*choice) == text);
    chosen.with_context(|| format!("{text} is none of {}", names.join(", ")))
}
