// SPDX-License-Identifier: GPL-3.0-or-later
//! Which steps are possible in a state.

use dvsd::call::{Direction, State};
use dvsd::time::Instant;

use super::link::Search;
use super::side::key_to;
use super::step::{Step, What};
use super::world::{BRINK, World};

impl World {
    /// Every step that is possible.
    pub(super) fn choices(&self) -> Vec<Step> {
        let mut steps = Vec::with_capacity(32);
        self.progress(&mut steps);
        self.timers(&mut steps);
        self.commands(&mut steps);
        self.disturbances(&mut steps);
        steps
    }

    fn ends(&self) -> impl Iterator<Item = (usize, usize, usize, usize)> + '_ {
        self.links
            .iter()
            .enumerate()
            .flat_map(|(link, between)| [0, 1].map(move |end| (link, end, between.sides[end], between.sides[1 - end])))
    }

    /// What happens of itself, time aside.
    pub(super) fn progress(&self, steps: &mut Vec<Step>) {
        for (index, end, side, peer) in self.ends() {
            let link = &self.links[index];
            let here = &link.ends[end];
            let mut push = |what, possible: bool| steps.extend(possible.then_some(Step::new(what, side, peer)));
            push(What::Accept, here.accepts && !link.cut);
            push(What::MoveOver, here.moves && !link.cut && link.ends[1 - end].up && !here.closes());
            push(What::Deliver, link.delivers(end));
            push(What::DeliverLate, link.delivers_late(end));
            push(What::Found, here.search == Search::Looking);
            push(What::Shake, here.search == Search::Shaking && !link.cut && !link.ends[1 - end].accepts);
            push(What::Heal, end == 0 && link.cut);
        }
    }

    /// Time passes until the next timer fires, but not beyond what must have been delivered before.
    pub(super) fn timers(&self, steps: &mut Vec<Step>) {
        let Some(next) = self.next_deadline().filter(|next| self.may_pass(*next)) else { return };
        for (side, machine) in self.sides.iter().enumerate() {
            if machine.calls.poll_timeout().is_some_and(|deadline| deadline.at <= next) {
                steps.push(Step::new(What::Timer, side, side));
            }
        }
        for (link, end, side, peer) in self.ends() {
            if self.links[link].ends[end].deadline().is_some_and(|at| at <= next) {
                steps.push(Step::new(What::Silence, side, peer));
            }
        }
    }

    fn may_pass(&self, to: Instant) -> bool {
        self.links.iter().filter_map(super::link::Link::patience).all(|until| to <= until)
    }

    fn commands(&self, steps: &mut Vec<Step>) {
        for (_, _, side, peer) in self.ends() {
            let machine = &self.sides[side];
            let view = machine.call_with(peer);
            let mut push = |what, possible: bool| steps.extend(possible.then_some(Step::new(what, side, peer)));
            push(What::Dial, view.is_none_or(|call| matches!(call.state, State::Alerting | State::Ending)));
            let state = view.map(|call| call.state);
            let incoming = view.is_some_and(|call| call.direction == Direction::Incoming);
            let calls = matches!(state, Some(State::Alerting | State::Busy | State::Waiting)) && incoming;
            push(What::Answer, calls);
            push(What::Decline, calls);
            push(What::Wait, state == Some(State::Busy) && !incoming);
            push(What::Leave, matches!(state, Some(State::Busy | State::Waiting)) && !incoming);
            push(What::Switch, view.is_some_and(|call| call.held_here) && machine.calls.calls().count() > 1);
            push(What::HangUp, state.is_some_and(|state| state != State::Ending));
            let talks = matches!(state, Some(State::Active | State::Held | State::Reconnecting));
            push(What::Hold, talks);
            push(What::MediaFails, state == Some(State::Active));
        }
        for (side, machine) in self.sides.iter().enumerate() {
            steps.extend((!machine.calls.is_empty()).then_some(Step::new(What::Shutdown, side, side)));
        }
    }

    fn disturbances(&self, steps: &mut Vec<Step>) {
        for (index, end, side, peer) in self.ends() {
            let link = &self.links[index];
            let (here, there) = (&link.ends[end], &link.ends[1 - end]);
            let mut push = |what, possible: bool| steps.extend(possible.then_some(Step::new(what, side, peer)));
            push(What::NotFound, here.search != Search::None);
            push(What::Unconfirmed, here.fresh && there.accepts && !there.up);
            let matters = self.sides[side].calls.is_live(key_to(peer)) || self.sides[peer].calls.is_live(key_to(side));
            let stands = link.stands() && matters;
            push(What::Replace, stands && end == 0 && !link.cut);
            push(What::Cut, end == 0 && !link.cut && matters);
            push(What::CloseIdle, stands && !self.sides[side].calls.is_live(key_to(peer)));
            push(What::CloseGoingAway, stands);
            push(What::CloseGlare, stands);
            let idle = self.sides[side].calls.is_empty() && !here.accepts;
            push(What::Restart, !idle);
            push(What::Reconnect, here.lost && !link.cut && !there.accepts && !here.moves);
        }
        let brink = self.next_deadline().filter(|next| *next - BRINK > self.now && self.may_pass(*next - BRINK));
        steps.extend(brink.map(|_| Step::new(What::Brink, 0, 0)));
    }
}
