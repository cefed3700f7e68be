// SPDX-License-Identifier: GPL-3.0-or-later
//! Every state that two or three daemons' calls can reach together, over the code that runs in the daemon.
//!
//! The sides are [`dvsd::call::Calls`], unchanged, driven through the interface the node drives them by. What is below
//! them is replaced by a model of what sessions promise (PROTOCOL 6.14, 6.15, 7.9, 8.2 and 9.1):
//!
//! * **Frames** of one session arrive in the order in which they were sent, once, or not at all when the session dies.
//!   Any amount of other things may happen before a frame arrives, but what can be delivered waits at most 6 s.
//! * **A session is replaced** by another, at each side at its own moment: what was not acknowledged is repeated on the
//!   new one, while the copies on the old one may still arrive, before or after, for 10 s. So frames are doubled and
//!   change places. What was delivered last is repeated too if no time has passed since.
//! * **A session is lost** after 10 s of silence and over after 30 s, at each side that has it; before that it may
//!   recover, or the side that lost it makes a new one.
//! * **A session is closed** by one side, as idle, for lack of room, or by mistake of glare; the other learns it after all
//!   frames sent before.
//! * **A daemon dies and starts again** with empty memory, while the other side still believes in the session; what it
//!   had sent may arrive or not.
//! * **Dialling**: the overlay finds the peer or not, the handshake completes at the caller first and at the peer
//!   later, or never there; handshakes of two dials may cross.
//! * **Users** dial, answer, decline, hang up, hold, switch, wait in queues and leave them, whenever it makes sense; a daemon is shut down; media fails.
//! * **Time** is one clock for all. It passes to the next timer of anybody, which then fires, or to a second before it,
//!   so that anything may happen just before. Timers that are due together fire in any order.
//!
//! Left out: what people/ says of a caller is one [`Verdict`] per side and run; random waits are the shortest; frames that no
//! honest daemon sends (call/'s own tests feed those).
//!
//! A command, or something that goes wrong, counts as [`COMMAND`] steps, what happens of itself as one; [`search()`] visits the
//! states in the order of what the way to them counts. States are the same if nothing that will happen can differ: times count
//! from now, call IDs by when they are met. From every state the sides are left alone and must come to rest, idle or in one
//! call. [`walk`] goes on at random where exhaustion is out of reach.

#![allow(clippy::indexing_slicing, reason = "an index out of bounds is a mistake of the test, which should stop then")]

mod calm;
mod choices;
mod endings;
mod link;
mod rules;
mod same;
mod search;
mod side;
mod step;
mod walk;
mod world;

use std::fmt;

use dvsd::call::{DialOptions, Verdict};

pub use rules::Broken;
pub use search::{COMMAND, Limits, Seen, search};
pub use walk::walk;

/// How a run begins.
#[derive(Clone, Debug)]
pub struct Scene {
    /// For people.
    pub name: &'static str,
    /// What each side thinks of whoever calls it; as many sides as there are verdicts.
    pub verdicts: Vec<Verdict>,
    /// Who may meet whom.
    pub links: Vec<(usize, usize)>,
    /// Whether sessions stand already.
    pub connected: bool,
    /// How users dial.
    pub options: DialOptions,
}

/// A rule is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub broken: Broken,
    /// How.
    pub text: String,
}

impl Violation {
    const fn new(broken: Broken, text: String) -> Self {
        Self { broken, text }
    }
}

/// How a violation comes about.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Where it begins.
    pub scene: &'static str,
    /// Steps from there.
    pub steps: usize,
    /// What is wrong at the end.
    pub violation: Violation,
    /// All that happens on the way.
    pub story: Vec<String>,
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}: {}", self.violation.broken, self.violation.text)?;
        writeln!(f, "after {} steps ({}):", self.steps, self.scene)?;
        self.story.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

const RING: Verdict = Verdict::Ring { contact: true };
const STRANGER: Verdict = Verdict::Ring { contact: false };

/// Two daemons, with every mix of what they may think of each other that makes a difference.
pub fn two() -> Vec<Scene> {
    let scene = |name, verdicts: [Verdict; 2], connected| Scene {
        name,
        verdicts: verdicts.to_vec(),
        links: vec![(0, 1)],
        connected,
        options: DialOptions::default(),
    };
    vec![
        scene("friends with a session", [RING, RING], true),
        scene("friends without a session", [RING, RING], false),
        scene("A answers everybody at once", [Verdict::AutoAnswer, RING], true),
        scene("A disturbs nobody, B answers everybody", [Verdict::Silent, Verdict::AutoAnswer], true),
        scene("A refuses everybody, B disturbs nobody", [Verdict::Reject, Verdict::Silent], true),
        scene("A has blocked everybody", [Verdict::Blocked, RING], true),
    ]
}

/// Three daemons of which the one in the middle can be called by both others.
pub fn three() -> Vec<Scene> {
    let scene = |name, verdicts: [Verdict; 3], tries, wait| Scene {
        name,
        verdicts: verdicts.to_vec(),
        links: vec![(0, 1), (1, 2)],
        connected: true,
        options: DialOptions { tries: Some(tries), wait },
    };
    vec![
        scene("three friends", [RING, RING, RING], 1, false),
        scene("three friends who try twice", [RING, RING, RING], 2, false),
        scene("three friends who like to wait", [RING, RING, RING], 1, true),
        scene("B answers everybody at once", [RING, Verdict::AutoAnswer, RING], 1, true),
        scene("B lets strangers ring", [RING, STRANGER, RING], 1, false),
    ]
}
