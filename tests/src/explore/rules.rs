// SPDX-License-Identifier: GPL-3.0-or-later
//! What must hold in every state.

use dvsd::call::{CallNumber, CallView, Direction, MAX_QUEUE, State, Verdict};
use dvsd::wire::control::Frame;

use super::Violation;
use super::link::Link;
use super::side::{Side, key_to};
use super::step::name;
use super::world::World;

/// What a step gives when nothing is wrong.
pub(super) type Checked = Result<(), Violation>;

/// Which rule is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Broken {
    /// Media flowed that nobody here had agreed to.
    Consent,
    /// Media flows exactly while a call is Active, starts once and stops once.
    Media,
    /// More calls than a line has room for.
    Crowd,
    /// A state that no timer ends.
    Stuck,
    /// Events or frames that never end.
    Loop,
    /// The two sides tell different stories of how a call ended.
    Agreement,
    /// An honest peer was taken for one that misbehaves.
    Blame,
    /// Both dialled each other, and did not meet.
    Apart,
    /// Left to itself, the pair does not come to rest with both idle or both in one call.
    Rest,
}

/// Media may begin only in a call that this side's user, or its administrator, has agreed to.
pub(super) fn may_talk(side: &Side, index: usize, number: CallNumber) -> Checked {
    if side.media.is_some() {
        return Err(Violation::new(Broken::Media, format!("{} starts media twice", name(index))));
    }
    let dialled = side.known.iter().any(|known| known.number == number && known.consent);
    let view = side.calls.call(number);
    let wanted = side.verdict == Verdict::AutoAnswer && view.is_some_and(|call| call.direction == Direction::Incoming);
    if !dialled && !wanted {
        return Err(Violation::new(Broken::Consent, format!("media at {} without consent", name(index))));
    }
    Ok(())
}

/// Checks a state.
pub(super) fn hold(world: &World) -> Checked {
    for (index, side) in world.sides.iter().enumerate() {
        let active = side.calls.calls().find(|call| call.state == State::Active).map(|call| call.number);
        if side.media != active {
            let text = format!("{}: media in call {:?} while {active:?} is active", name(index), side.media);
            return Err(Violation::new(Broken::Media, text));
        }
        room(side, index)?;
        let rests = |state| matches!(state, State::Active | State::Held);
        if side.calls.poll_timeout().is_none() && side.calls.calls().any(|call| !rests(call.state)) {
            return Err(Violation::new(Broken::Stuck, format!("{} has no timer", name(index))));
        }
    }
    let flood = world.links.iter().flat_map(|link| &link.ends).any(|end| end.line.len() > 64);
    if flood { Err(Violation::new(Broken::Loop, "64 frames are under way in one direction".into())) } else { Ok(()) }
}

/// The states of a call that has the line, unless it is held here.
const fn is_current(call: &CallView) -> bool {
    match call.state {
        State::Lookup | State::Connecting | State::Calling | State::Ringing | State::Active => true,
        State::Busy | State::Waiting => matches!(call.direction, Direction::Outgoing),
        State::Held | State::Reconnecting => !call.held_here,
        State::Alerting | State::Ending | State::Ended => false,
    }
}

/// One has the line, one is held, one rings, three wait.
fn room(side: &Side, index: usize) -> Checked {
    let count = |is: &dyn Fn(&CallView) -> bool| side.calls.calls().filter(is).count();
    let held = count(&|call| call.held_here && matches!(call.state, State::Held | State::Reconnecting));
    let waiting = count(&|call| call.state == State::Waiting && call.direction == Direction::Incoming);
    if count(&is_current) > 1 || held > 1 || side.count(&[State::Alerting]) > 1 || waiting > MAX_QUEUE {
        let states: Vec<(State, bool)> = side.calls.calls().map(|call| (call.state, call.held_here)).collect();
        return Err(Violation::new(Broken::Crowd, format!("{} has {states:?}", name(index))));
    }
    Ok(())
}

/// Checks a state in which nothing is under way and no timer runs: every call has its other end, under the same name.
pub(super) fn rest(world: &World) -> Checked {
    for link in &world.links {
        let [a, b] = link.sides;
        let views = [world.sides[a].call_with(b), world.sides[b].call_with(a)];
        let ids = [(a, b), (b, a)].map(|(side, peer)| world.sides[side].calls.call_id(key_to(peer)));
        let fine = match (&views[0], &views[1]) {
            (None, None) => ids == [None, None],
            (Some(one), Some(other)) => {
                let holds = one.held_here == other.held_there && one.held_there == other.held_here;
                ids[0] == ids[1] && one.state == other.state && holds
            }
            _ => false,
        };
        if !fine {
            let shown = views.map(|view| view.map(|view| (view.state, view.held_here, view.held_there)));
            let text = format!("{} and {} rest with {shown:?}, {ids:?}", name(a), name(b));
            return Err(Violation::new(Broken::Rest, text));
        }
    }
    Ok(())
}

/// The links on which the invitations of both sides to each other are under way, and nothing else: left alone, they
/// will talk.
pub(super) fn crossed(world: &World) -> Vec<usize> {
    let invites = |link: &Link, end: usize| {
        let (side, peer) = (link.sides[end], link.sides[1 - end]);
        let alone = link.ends[end].frames().count() == 1 && link.delivers(end);
        let call_id = world.sides[side].calls.call_id(key_to(peer));
        let invitation = link.ends[end].line.front().is_some_and(
            |frame| matches!(frame, Frame::CallInitiate { call_id: named, .. } if Some(*named) == call_id),
        );
        alone && invitation
    };
    let crossed = |link: &Link| invites(link, 0) && invites(link, 1);
    world.links.iter().enumerate().filter(|(_, link)| crossed(link)).map(|(index, _)| index).collect()
}

/// Checks that those who had dialled each other talk.
pub(super) fn met(world: &World, crossed: &[usize]) -> Checked {
    for link in crossed.iter().map(|index| &world.links[*index]) {
        let [a, b] = link.sides;
        if world.sides[a].call_with(b).is_none() || world.sides[b].call_with(a).is_none() {
            return Err(Violation::new(Broken::Apart, format!("{} and {} dialled each other", name(a), name(b))));
        }
    }
    Ok(())
}
