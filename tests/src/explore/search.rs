// SPDX-License-Identifier: GPL-3.0-or-later
//! The search: every state that can be reached, the easy ones first.
//!
//! What happens of itself counts as one, a command or a disturbance as [`COMMAND`]: so runs in which much happens are
//! followed before those that only dawdle, and the first way found to a violation is a short one.

use std::collections::{BTreeMap, HashMap, VecDeque};

use dvsd::call::EndCause;

use super::calm::{self, Calm};
use super::step::Step;
use super::world::World;
use super::{Scene, Trace, Violation};

/// What a command or a disturbance counts.
pub const COMMAND: usize = 3;

/// How far to go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// What a run counts at most: each step of itself one, each command or disturbance [`COMMAND`].
    pub depth: usize,
    /// Distinct states.
    pub states: usize,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Distinct states.
    pub states: usize,
    /// Steps tried, those that led to states seen before included.
    pub steps: usize,
    /// Every run that counts no more than this was followed.
    pub complete: Option<usize>,
    /// The most commands and disturbances on the way to any state.
    pub commands: usize,
    /// The most steps any state needed.
    pub longest: usize,
    /// How calls ended at their two sides, while their sessions lived.
    pub endings: BTreeMap<(EndCause, EndCause), usize>,
    /// The shortest way to something that must not be.
    pub violation: Option<Trace>,
}

/// How a state was reached.
#[derive(Clone, Copy)]
struct From {
    parent: u32,
    step: Option<Step>,
    scene: u16,
    /// What the way counts, and how many steps and commands it has.
    depth: u16,
    length: u16,
    commands: u8,
    opened: bool,
}

/// Everything the search knows.
struct Search<'a> {
    scenes: &'a [Scene],
    limits: Limits,
    index: HashMap<u128, u32>,
    from: Vec<From>,
    /// States not opened yet, by what the way to them counts.
    waiting: Vec<VecDeque<u32>>,
    calm: Calm,
    seen: Seen,
    /// The worlds along the way to the state that was opened last.
    path: Vec<(u32, World)>,
}

/// Visits every state within `limits`, from all `scenes`.
pub fn search(scenes: &[Scene], limits: Limits, progress: &mut dyn FnMut(usize)) -> Seen {
    let mut search = Search {
        scenes,
        limits,
        index: HashMap::new(),
        from: Vec::new(),
        waiting: Vec::new(),
        calm: Calm::default(),
        seen: Seen::default(),
        path: Vec::new(),
    };
    if let Err(trace) = search.run(progress) {
        search.seen.violation = Some(trace);
    }
    search.seen.states = search.from.len();
    search.seen
}

impl Search<'_> {
    fn run(&mut self, progress: &mut dyn FnMut(usize)) -> Result<(), Trace> {
        for (number, scene) in self.scenes.iter().enumerate() {
            let begins =
                From { parent: 0, step: None, scene: number as u16, depth: 0, length: 0, commands: 0, opened: false };
            self.enter(&World::new(number, scene), begins)?;
        }
        let mut depth = 0;
        while depth < self.waiting.len() {
            while let Some(state) = self.waiting.get_mut(depth).and_then(VecDeque::pop_front) {
                self.open(state)?;
                progress(self.from.len());
                if self.from.len() >= self.limits.states {
                    return Ok(());
                }
            }
            self.seen.complete = Some(depth);
            depth += 1;
        }
        Ok(())
    }

    /// Tries every step from a state, unless that was done: a shorter way may have been found meanwhile.
    fn open(&mut self, state: u32) -> Result<(), Trace> {
        let from = &mut self.from[state as usize];
        if std::mem::replace(&mut from.opened, true) {
            return Ok(());
        }
        let from = *from;
        let world = self.world(state);
        for step in world.choices() {
            let weight = if step.is_command() { COMMAND } else { 1 };
            let way = From {
                parent: state,
                step: Some(step),
                depth: from.depth + weight as u16,
                length: from.length + 1,
                commands: from.commands + u8::from(step.is_command()),
                opened: false,
                ..from
            };
            if usize::from(way.depth) > self.limits.depth {
                continue;
            }
            self.seen.steps += 1;
            let mut after = world.clone();
            if let Err(violation) = after.apply(step) {
                return Err(self.trace(way, violation));
            }
            for pair in after.endings.met.drain(..) {
                *self.seen.endings.entry(pair).or_default() += 1;
            }
            self.enter(&after, way)?;
        }
        Ok(())
    }

    /// Enters a state, unless it is known by a way as short.
    fn enter(&mut self, world: &World, way: From) -> Result<(), Trace> {
        let digest = world.digest();
        let place = match self.index.get(&digest) {
            Some(known) => {
                let known_way = &mut self.from[*known as usize];
                if known_way.opened || known_way.depth <= way.depth {
                    return Ok(());
                }
                *known_way = way;
                *known
            }
            None => {
                let number = self.from.len() as u32;
                self.index.insert(digest, number);
                self.from.push(way);
                self.seen.longest = self.seen.longest.max(way.length.into());
                self.seen.commands = self.seen.commands.max(way.commands.into());
                self.calm.check(world, digest).map_err(|violation| self.trace(way, violation))?;
                number
            }
        };
        let depth = usize::from(way.depth);
        if self.waiting.len() <= depth {
            self.waiting.resize(depth + 1, VecDeque::new());
        }
        self.waiting[depth].push_back(place);
        Ok(())
    }

    /// Makes a state again, by repeating what led to it.
    fn world(&mut self, state: u32) -> World {
        let mut way = vec![state];
        while let Some(last) = way.last().copied().filter(|last| self.from[*last as usize].step.is_some()) {
            way.push(self.from[last as usize].parent);
        }
        way.reverse();
        let common = way.iter().zip(&self.path).take_while(|(state, (known, _))| *state == known).count();
        self.path.truncate(common);
        for state in &way[common..] {
            let from = self.from[*state as usize];
            let mut world = match self.path.last() {
                Some((_, world)) => world.clone(),
                None => World::new(from.scene.into(), &self.scenes[usize::from(from.scene)]),
            };
            if let Some(step) = from.step {
                // It did not break anything the first time.
                let _repeated = world.apply(step);
                world.endings.met.clear();
            }
            self.path.push((*state, world));
        }
        self.path.last().map_or_else(|| World::new(0, &self.scenes[0]), |(_, world)| world.clone())
    }

    /// What led to a violation, told.
    fn trace(&self, last: From, violation: Violation) -> Trace {
        let mut steps: Vec<Step> = Vec::new();
        let mut at = last;
        while let Some(step) = at.step {
            steps.push(step);
            at = self.from[at.parent as usize];
        }
        steps.reverse();
        tell(&self.scenes[usize::from(at.scene)], usize::from(at.scene), &steps, violation)
    }
}

/// Repeats `steps` and writes down what happens.
pub(super) fn tell(scene: &Scene, number: usize, steps: &[Step], violation: Violation) -> Trace {
    let mut world = World::new(number, scene);
    world.story = Some(Vec::new());
    let fails = steps.iter().any(|step| world.apply(*step).is_err());
    if !fails {
        world.story.iter_mut().for_each(|story| story.push("(from here on nobody does anything)".to_owned()));
        calm::tell(&mut world);
    }
    Trace { scene: scene.name, steps: steps.len(), violation, story: world.story.unwrap_or_default() }
}
