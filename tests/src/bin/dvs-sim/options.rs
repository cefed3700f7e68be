// SPDX-License-Identifier: GPL-3.0-or-later
//! The command line.

use core::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use dvs_tests::sim::settings::{Attackers, Settings, Start, Strategy};

use crate::table;

const USAGE: &str = "usage: dvs-sim --nodes N[,N...] [--lookups M] [--dead PCT] [--churn MINUTES] [--malicious PCT]
  [--attackers spread|crowded] [--strategy NAME] [--paths 1|3] [--proofs] [--private] [--cold|--filled|--lazy]
  [--loss PCT] [--seed S] [--json] | --table [--million] [--seed S]";
/// The seed if none is given.
const SEED: u64 = 1;
/// Networks from … to … nodes.
const NODES: core::ops::RangeInclusive<usize> = 2..=4_000_000;

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Some lines for each simulation.
    Pages,
    /// A table in Markdown.
    Table,
}

/// What the user wants.
pub(crate) struct Options {
    pub(crate) runs: Vec<Settings>,
    pub(crate) style: Style,
    pub(crate) json: bool,
}

/// The command line as it is read.
struct Given {
    common: Settings,
    nodes: Vec<usize>,
    start: Option<Start>,
    paths: Option<u8>,
    json: bool,
    table: bool,
    million: bool,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut given = Given {
            common: Settings::healthy(0, SEED),
            nodes: Vec::new(),
            start: None,
            paths: None,
            json: false,
            table: false,
            million: false,
        };
        while let Some(argument) = arguments.next() {
            if !given.take_switch(&argument) {
                let value =
                    arguments.next().with_context(|| format!("no such option, or no value: {argument}\n{USAGE}"));
                given.take(&argument, &value?)?;
            }
        }
        given.check()?;
        let style = if given.table { Style::Table } else { Style::Pages };
        Ok(Self { json: given.json, style, runs: given.runs() })
    }
}

impl Given {
    fn take_switch(&mut self, argument: &str) -> bool {
        match argument {
            "--proofs" => self.common.proofs = true,
            "--private" => self.common.private = true,
            "--cold" => self.start = Some(Start::Cold),
            "--filled" => self.start = Some(Start::Filled),
            "--lazy" => self.start = Some(Start::Lazy),
            "--json" => self.json = true,
            "--table" => self.table = true,
            "--million" => self.million = true,
            _ => return false,
        }
        true
    }

    fn take(&mut self, argument: &str, value: &str) -> Result<()> {
        let common = &mut self.common;
        match argument {
            "--nodes" => self.nodes = value.split(',').map(count).collect::<Result<_>>()?,
            "--lookups" => common.lookups = count(value)?,
            "--dead" => common.dead = percent(value)?,
            "--churn" => common.churn = Some(Duration::from_secs(60 * count(value)?.max(1) as u64)),
            "--malicious" => common.malicious = percent(value)?,
            "--attackers" => {
                common.attackers = one_of(value, [Attackers::Spread, Attackers::Crowded], Attackers::name)?;
            }
            "--strategy" => common.strategy = one_of(value, Strategy::ALL, Strategy::name)?,
            "--paths" => self.paths = Some(count(value)?.clamp(1, 16) as u8),
            "--loss" => common.loss = percent(value)?,
            "--seed" => common.seed = value.parse().context("a seed is a number")?,
            other => bail!("no option {other}\n{USAGE}"),
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        ensure!(self.table == self.nodes.is_empty(), USAGE);
        ensure!(self.nodes.iter().all(|nodes| NODES.contains(nodes)), "a network has 2 to 4 million nodes");
        ensure!(self.common.lookups > 0, "there is nothing to measure without lookups");
        ensure!(self.common.dead + self.common.malicious < 100.0, "somebody must be alive and honest");
        Ok(())
    }

    /// Where nobody says how many paths, lookups among attackers are shown with three and with one.
    fn runs(self) -> Vec<Settings> {
        if self.table {
            return table::runs(self.common.seed, self.million);
        }
        let paths = match self.paths {
            Some(paths) => vec![paths],
            None if self.common.malicious > 0.0 => vec![3, 1],
            None => vec![1],
        };
        let run = |nodes: usize, paths: u8| {
            let start = self.start.unwrap_or(Start::affordable(nodes));
            Settings { nodes, start, paths, ..self.common.clone() }
        };
        self.nodes.iter().flat_map(|nodes| paths.iter().map(|paths| run(*nodes, *paths))).collect()
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
