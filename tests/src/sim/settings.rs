// SPDX-License-Identifier: GPL-3.0-or-later
//! What is to be simulated.

use core::time::Duration;

/// How the tables come to be filled before anything is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Every node joins through bootstrap nodes, one after the other, and has time to settle.
    Cold,
    /// Every table is filled through the table's own insert with what a perfect table would hold. While lookups are
    /// measured only those who search are woken for their timers; everybody answers.
    Filled,
    /// As [`Start::Filled`], but a table is made when its node is first touched.
    Lazy,
}

impl Start {
    /// The most thorough start that a network of so many nodes can afford.
    pub const fn affordable(nodes: usize) -> Self {
        match nodes {
            ..=10_000 => Self::Cold,
            10_001..=100_000 => Self::Filled,
            _ => Self::Lazy,
        }
    }

    /// A word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Filled => "filled",
            Self::Lazy => "lazy",
        }
    }
}

/// Where attackers live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attackers {
    /// Each in a /24 of its own.
    Spread,
    /// All in a few /24s.
    Crowded,
}

impl Attackers {
    /// A word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spread => "spread",
            Self::Crowded => "crowded",
        }
    }
}

/// What attackers do with a ROUTE_REQ. PINGs they answer properly, so as to stay in the tables of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// No answer.
    Silence,
    /// The attackers closest to the target, and nobody else.
    Neighbours,
    /// The same, and the target itself at the attacker's address, where a PING is answered in its name.
    Claims,
    /// Names that do not exist, closer to the target than anybody, at addresses of attackers that answer to them.
    Forgery,
    /// Forged names, and the target itself as well.
    Both,
    /// Each attacker has one of the above.
    Mixed,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Silence, Self::Neighbours, Self::Claims, Self::Forgery, Self::Both, Self::Mixed];

    /// A word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Neighbours => "neighbours",
            Self::Claims => "claims",
            Self::Forgery => "forgery",
            Self::Both => "both",
            Self::Mixed => "mixed",
        }
    }
}

/// One simulation.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Nodes, the dead and hostile ones included.
    pub nodes: usize,
    /// Lookups measured.
    pub lookups: usize,
    /// How tables are filled.
    pub start: Start,
    /// Percent of the nodes that are switched off when the tables are filled.
    pub dead: f64,
    /// Median uptime of nodes that come and go; `None` for a network where everybody stays.
    pub churn: Option<Duration>,
    /// Percent of the nodes that are hostile.
    pub malicious: f64,
    /// Where those live.
    pub attackers: Attackers,
    /// What those do.
    pub strategy: Strategy,
    /// Disjoint paths of a lookup.
    pub paths: u8,
    /// Whether IDs are proven.
    pub proofs: bool,
    /// Whether searches are private.
    pub private: bool,
    /// Percent of datagrams lost.
    pub loss: f64,
    /// Everything by chance follows from this.
    pub seed: u64,
}

impl Settings {
    /// A healthy network of so many nodes, one path, and enough lookups for a success of 99.9 % to mean something.
    pub const fn healthy(nodes: usize, seed: u64) -> Self {
        Self {
            nodes,
            lookups: 10_000,
            start: Start::affordable(nodes),
            dead: 0.0,
            churn: None,
            malicious: 0.0,
            attackers: Attackers::Spread,
            strategy: Strategy::Mixed,
            paths: 1,
            proofs: false,
            private: false,
            loss: 0.0,
            seed,
        }
    }
}
