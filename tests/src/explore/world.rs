// SPDX-License-Identifier: GPL-3.0-or-later
//! The sides, the links between them, and what a step does to them.

use std::collections::VecDeque;

use dvsd::call::{CallEvent, CallView, Calls, DialOptions, EndCause, State};
use dvsd::time::{Instant, Now};
use dvsd::wire::control::{Frame, Reason};

use super::endings::Endings;
use super::link::{End, LATE, Link, Search};
use super::rules::{self, Broken, Checked};
use super::side::{Side, at, key_to, serial, side_of};
use super::step::{Step, What, name};
use super::{Scene, Violation};

/// What goes on between the timers shortly before which a step may happen.
pub(super) const BRINK: std::time::Duration = std::time::Duration::from_secs(1);
/// Room for the number of a side in a call ID.
pub(super) const MAX_SIDES: u32 = 4;
/// Events of one step; more is a loop.
const MAX_EVENTS: usize = 200;

/// All of it at one moment.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) scene: usize,
    pub(super) now: Instant,
    pub(super) sides: Vec<Side>,
    pub(super) links: Vec<Link>,
    pub(super) endings: Endings,
    /// How users dial.
    options: DialOptions,
    /// The last call ID given out.
    serial: u32,
    /// What is told of the steps, when somebody listens.
    pub(super) story: Option<Vec<String>>,
}

impl World {
    pub(super) fn new(number: usize, scene: &Scene) -> Self {
        let sides = scene.verdicts.iter().enumerate().map(|(side, verdict)| Side::new(side, *verdict)).collect();
        let links = scene.links.iter().map(|(a, b)| Link::new([*a, *b], scene.connected)).collect();
        let now = Instant::from_millis(1_000_000);
        Self {
            scene: number,
            now,
            sides,
            links,
            endings: Endings::default(),
            options: scene.options,
            serial: 0,
            story: None,
        }
    }

    /// The link between two sides, and which of its ends is `side`'s.
    pub(super) fn link(&self, side: usize, peer: usize) -> Option<(usize, usize)> {
        self.links.iter().enumerate().find_map(|(index, link)| {
            let end = usize::from(link.sides[1] == side);
            (link.sides[end] == side && link.sides[1 - end] == peer).then_some((index, end))
        })
    }

    fn tell(&mut self, text: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(text());
        }
    }

    /// Takes one step and checks what must hold after every step.
    pub(super) fn apply(&mut self, step: Step) -> Checked {
        self.tell(|| step.to_string());
        let (side, peer) = (usize::from(step.side), usize::from(step.peer));
        match step.what {
            What::Dial
            | What::Answer
            | What::Decline
            | What::HangUp
            | What::Hold
            | What::Switch
            | What::Wait
            | What::Leave
            | What::Shutdown
            | What::MediaFails => self.command(step.what, side, peer)?,
            What::Timer => {
                let due = self.sides[side].calls.poll_timeout().map_or(self.now, |deadline| deadline.at);
                self.pass(due);
                self.with(side, |calls, now| calls.handle_timeout(now))?;
            }
            What::Brink => {
                let next = self.next_deadline().unwrap_or(self.now);
                self.pass(next - BRINK);
            }
            _ => self.happens(step.what, side, peer)?,
        }
        self.tidy();
        rules::hold(self)
    }

    /// Forgets what cannot matter any more.
    fn tidy(&mut self) {
        for link in &mut self.links {
            link.watch(false, self.now);
            let [a, b] = link.sides;
            let lives = self.sides[a].calls.is_live(key_to(b)) || self.sides[b].calls.is_live(key_to(a));
            link.rough &= lives || link.ends.iter().any(|end| !end.line.is_empty() || !end.late.is_empty());
        }
        let Self { sides, links, endings, .. } = self;
        endings.open.retain(|ending| {
            let lives = |side: &Side| side.known.iter().any(|known| known.call_id == ending.call_id);
            let named = |end: &End| end.frames().any(|frame| call_id_of(frame) == Some(ending.call_id));
            sides.iter().any(lives) || links.iter().flat_map(|link| &link.ends).any(named)
        });
    }

    fn command(&mut self, what: What, side: usize, peer: usize) -> Checked {
        let number = self.sides[side].call_with(peer).map(|call| call.number);
        let key = key_to(peer);
        let now = at(self.now);
        match what {
            What::Dial => {
                self.serial += 1;
                let mut random = serial(self.next_id(side));
                let dialled = self.sides[side].calls.dial(key, self.options, now, &mut random).ok();
                self.consents(side, dialled);
            }
            What::Answer => {
                let answered = self.sides[side].calls.answer(number, now).ok();
                self.consents(side, answered);
            }
            What::Decline => drop(self.sides[side].calls.decline(number, now)),
            What::HangUp => drop(self.sides[side].calls.hangup(number, now)),
            What::Switch => {
                let switched = self.sides[side].calls.switch(number, now).ok();
                self.consents(side, switched);
            }
            What::Wait => drop(self.sides[side].calls.wait(number, true, now)),
            What::Leave => drop(self.sides[side].calls.wait(number, false, now)),
            What::Hold => drop(self.sides[side].calls.hold(number, None, now)),
            What::Shutdown => {
                self.links.iter_mut().filter(|link| link.sides.contains(&side)).for_each(|link| link.rough = true);
                self.sides[side].calls.end_all(Reason::GoingAway, now);
            }
            _ => {
                if let Some((link, _)) = self.link(side, peer) {
                    self.links[link].rough = true;
                }
                self.sides[side].calls.abort(key, EndCause::MediaFailure, now);
            }
        }
        self.drain(side)
    }

    fn consents(&mut self, side: usize, number: Option<dvsd::call::CallNumber>) {
        if let Some(number) = number {
            self.sides[side].known(number).consent = true;
        }
    }

    /// What is no command, between two sides.
    fn happens(&mut self, what: What, side: usize, peer: usize) -> Checked {
        let Some((link, end)) = self.link(side, peer) else { return Ok(()) };
        let now = self.now;
        let key = key_to(peer);
        match what {
            What::Found if self.links[link].ends[end].up => self.links[link].ends[end].search = Search::None,
            What::Found => self.with(side, |calls, now| calls.peer_found(key, now))?,
            What::NotFound => {
                self.links[link].ends[end].search = Search::None;
                self.with(side, |calls, now| calls.peer_not_found(key, EndCause::Unreachable, now))?;
            }
            What::Shake => self.shake(side, peer, link, end)?,
            What::Accept => self.accept(side, peer, link, end)?,
            What::Unconfirmed => {
                self.links[link].ends[1 - end].accepts = false;
                self.links[link].dies(end, now);
                self.with(side, |calls, now| calls.session_closed(key, Reason::Unreachable, now))?;
            }
            What::Deliver => self.deliver(side, peer, link, end)?,
            What::DeliverLate => {
                let frame = self.links[link].ends[end].late.pop_front();
                self.links[link].acknowledges(end);
                self.take(peer, side, frame)?;
            }
            What::MoveOver => {
                self.links[link].ends[end].moves_over(now);
                self.with(side, |calls, now| calls.session_moved(key, now))?;
            }
            What::Replace => self.links[link].is_replaced(),
            What::Cut => self.links[link].is_cut(now),
            What::Heal => self.heal(link)?,
            What::CloseIdle => self.close(side, peer, Reason::Normal)?,
            What::CloseGoingAway => self.close(side, peer, Reason::GoingAway)?,
            What::CloseGlare => self.close(side, peer, Reason::Glare)?,
            What::Restart => self.restart(side)?,
            What::Reconnect => {
                let ends = &mut self.links[link].ends;
                ends[end].moves_over(now);
                ends[end].fresh = true;
                ends[1 - end].accepts = true;
                self.with(side, |calls, now| calls.session_moved(key, now))?;
            }
            What::Silence => self.silence(side, peer, link, end)?,
            _ => {}
        }
        self.links[link].watch(!matches!(what, What::Found | What::NotFound), self.now);
        Ok(())
    }

    /// The handshake that `side` began is complete there.
    fn shake(&mut self, side: usize, peer: usize, link: usize, end: usize) -> Checked {
        let ends = &mut self.links[link].ends;
        ends[end].search = Search::None;
        ends[1 - end].accepts = true;
        if ends[end].up {
            return Ok(()); // a rival of the session in use, which stays in use
        }
        // A CLOSE of an older session is of no use any more: the new one tells.
        ends[end].line.clear();
        ends[1 - end].stale = ends[1 - end].up;
        (ends[end].up, ends[end].fresh) = (true, true);
        self.with(side, |calls, now| calls.session_up(key_to(peer), now))
    }

    /// The handshake that `peer` began is complete at `side`.
    fn accept(&mut self, side: usize, peer: usize, link: usize, end: usize) -> Checked {
        let ends = &mut self.links[link].ends;
        ends[end].accepts = false;
        ends[1 - end].fresh = false;
        let crossed = ends[end].fresh || ends[1 - end].accepts;
        if !ends[end].up {
            ends[end].up = true;
            ends[end].line.clear();
            if ends[end].search == Search::Looking {
                ends[end].search = Search::None;
            }
            return self.with(side, |calls, now| calls.session_up(key_to(peer), now));
        }
        if ends[end].stale {
            ends[end].moves = true;
        } else if crossed || ends[end].moves || ends[1 - end].moves {
            // Of two that crossed the one begun by the lower ID stays: the other side changes.
            let higher = usize::from(self.links[link].sides[1] > self.links[link].sides[0]);
            self.links[link].ends[higher].moves = true;
        } else {
            self.links[link].is_replaced();
        }
        Ok(())
    }

    fn deliver(&mut self, side: usize, peer: usize, link: usize, end: usize) -> Checked {
        let frame = self.links[link].ends[end].line.pop_front();
        if let Some(Frame::Close { reason }) = frame {
            self.links[link].goes_down(1 - end);
            return self.with(peer, |calls, now| calls.session_closed(key_to(side), reason, now));
        }
        if let Some(frame) = &frame {
            self.links[link].delivered(end, frame);
        }
        self.take(peer, side, frame)
    }

    /// `side` gets a frame of `peer`.
    fn take(&mut self, side: usize, peer: usize, frame: Option<Frame>) -> Checked {
        let Some(frame) = frame else { return Ok(()) };
        self.tell(|| format!("    {} gets {frame:?}", name(side)));
        let verdict = self.sides[side].verdict;
        let invited = if let Frame::CallInitiate { call_id, .. } = frame { Some(call_id) } else { None };
        let mut random = serial(0);
        let now = at(self.now);
        self.sides[side].calls.handle_frame(key_to(peer), frame, || verdict, now, &mut random);
        self.drain_about(side, invited)
    }

    fn heal(&mut self, link: usize) -> Checked {
        let told = self.links[link].heals();
        let sides = self.links[link].sides;
        for end in [0, 1] {
            if told[end] {
                self.with(sides[end], |calls, now| calls.session_recovered(key_to(sides[1 - end]), now))?;
            }
        }
        Ok(())
    }

    fn close(&mut self, side: usize, peer: usize, reason: Reason) -> Checked {
        if let Some((link, end)) = self.link(side, peer) {
            self.links[link].closes(end, reason);
        }
        self.with(side, |calls, now| calls.session_closed(key_to(peer), reason, now))
    }

    /// What was sent may still arrive; everything else is gone.
    fn restart(&mut self, side: usize) -> Checked {
        let now = self.now;
        let fresh = Side::new(side, self.sides[side].verdict);
        self.sides[side] = fresh;
        for link in self.links.iter_mut().filter(|link| link.sides.contains(&side)) {
            let end = usize::from(link.sides[1] == side);
            link.ends[end].search = Search::None;
            link.ends[end].accepts = false;
            let arrives = !link.ends[end].fresh && !link.ends[end].stale;
            let said: VecDeque<Frame> = std::mem::take(&mut link.ends[end].line);
            if arrives && !said.is_empty() {
                link.ends[end].late = said.into_iter().filter(|frame| !matches!(frame, Frame::Close { .. })).collect();
                link.ends[end].late_until = now + LATE;
            }
            link.ends[1 - end].accepts = false;
            link.ends[1 - end].moves = false;
            link.dies(end, now);
        }
        self.endings.forget(side);
        Ok(())
    }

    /// `side` has not heard `peer` for so long that its session is lost, or over.
    fn silence(&mut self, side: usize, peer: usize, link: usize, end: usize) -> Checked {
        let Some(due) = self.links[link].ends[end].deadline() else { return Ok(()) };
        self.pass(due);
        let key = key_to(peer);
        self.links[link].rough = true;
        if self.links[link].ends[end].lost {
            let now = self.now;
            self.links[link].dies(end, now);
            self.with(side, |calls, now| calls.session_closed(key, Reason::PeerLost, now))
        } else {
            self.links[link].ends[end].lost = true;
            self.with(side, |calls, now| calls.session_lost(key, now))
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let timers = self.sides.iter().filter_map(|side| side.calls.poll_timeout()).map(|deadline| deadline.at);
        let silences = self.links.iter().flat_map(|link| &link.ends).filter_map(End::deadline);
        timers.chain(silences).min()
    }

    fn pass(&mut self, to: Instant) {
        if to > self.now {
            self.now = to;
            self.links.iter_mut().for_each(|link| link.passes(to));
        }
    }

    fn with(&mut self, side: usize, step: impl FnOnce(&mut Calls, Now)) -> Checked {
        step(&mut self.sides[side].calls, at(self.now));
        self.drain(side)
    }

    fn drain(&mut self, side: usize) -> Checked {
        let call_id = self.next_id(side);
        self.drain_about(side, Some(call_id))
    }

    /// The name of the call that `side` dialled last, if it was the last one to dial. It says who dialled.
    const fn next_id(&self, side: usize) -> u32 {
        self.serial * MAX_SIDES + side as u32
    }

    /// Carries out what the calls of a side want done. A call nobody knew before has the name `call_id`.
    fn drain_about(&mut self, side: usize, call_id: Option<u32>) -> Checked {
        for _ in 0..MAX_EVENTS {
            let Some(event) = self.sides[side].calls.poll_event() else {
                self.learn(side);
                return Ok(());
            };
            self.carry_out(side, event, call_id)?;
        }
        Err(Violation::new(Broken::Loop, format!("{}'s calls do not stop having events", name(side))))
    }

    /// Notes under which name each call goes on.
    fn learn(&mut self, side: usize) {
        let side = &mut self.sides[side];
        let views: Vec<CallView> = side.calls.calls().collect();
        for view in views {
            if let Some(call_id) = side.calls.call_id(view.key) {
                side.known(view.number).call_id = call_id;
            }
        }
        side.unshown.clear();
        for peer in 0..MAX_SIDES as usize {
            let call_id =
                side.calls.call_id(key_to(peer)).filter(|id| side.known.iter().all(|known| known.call_id != *id));
            side.unshown.extend(call_id.map(|call_id| (peer, call_id)));
        }
    }

    fn carry_out(&mut self, side: usize, event: CallEvent, call_id: Option<u32>) -> Checked {
        match event {
            CallEvent::FindPeer { key, .. } => self.find(side, side_of(key)),
            CallEvent::Connect { key } => self.search(side, key.peer.0[0], Search::Shaking),
            CallEvent::Send { key, frame } => self.send(side, side_of(key), frame),
            CallEvent::StartMedia { number, .. } => {
                self.tell(|| format!("    {} opens its sound devices", name(side)));
                rules::may_talk(&self.sides[side], side, number)?;
                self.sides[side].media = Some(number);
            }
            CallEvent::StopMedia { number, .. } => {
                self.tell(|| format!("    {} closes its sound devices", name(side)));
                if self.sides[side].media.take() != Some(number) {
                    return Err(Violation::new(Broken::Media, format!("{} stops media twice", name(side))));
                }
            }
            CallEvent::Misbehaved { .. } => {
                return Err(Violation::new(Broken::Blame, format!("{} blames an honest peer", name(side))));
            }
            CallEvent::InCall { .. } => {}
            CallEvent::Changed(view) => self.changed(side, &view, call_id)?,
            CallEvent::SessionDone { key } => self.search(side, key.peer.0[0], Search::None),
        }
        Ok(())
    }

    fn find(&mut self, side: usize, peer: usize) {
        let Some((link, end)) = self.link(side, peer) else { return };
        if self.links[link].ends[end].up {
            self.sides[side].calls.session_up(key_to(peer), at(self.now));
        } else {
            self.links[link].ends[end].search = Search::Looking;
        }
    }

    fn search(&mut self, side: usize, peer: u8, search: Search) {
        if let Some((link, end)) = self.link(side, usize::from(peer) - 1) {
            self.links[link].ends[end].search = search;
        }
    }

    fn send(&mut self, side: usize, peer: usize, frame: Frame) {
        let Some((link, end)) = self.link(side, peer) else { return };
        self.tell(|| format!("    {} sends {frame:?}", name(side)));
        if self.links[link].ends[end].up {
            self.links[link].ends[end].line.push_back(frame);
            let now = self.now;
            self.links[link].watch(false, now);
        }
    }

    fn changed(&mut self, side: usize, view: &CallView, call_id: Option<u32>) -> Checked {
        self.tell(|| format!("    {}: {:?}{}", name(side), view.state, cause(view)));
        if view.state != State::Ended {
            return Ok(());
        }
        let known = self.sides[side].known.iter().find(|known| known.number == view.number).map(|known| known.call_id);
        self.sides[side].known.retain(|known| known.number != view.number);
        let unshown = self.sides[side].unshown.iter().position(|(peer, _)| *peer == side_of(view.key));
        let unshown = unshown.filter(|_| known.is_none()).map(|place| self.sides[side].unshown.remove(place).1);
        let known = known.filter(|id| *id != 0).or(unshown).or(call_id);
        let (Some(call_id), Some(ended)) = (known, view.cause) else { return Ok(()) };
        let rough = self.link(side, side_of(view.key)).is_some_and(|(link, _)| self.links[link].rough);
        self.endings.note(call_id, side, view, ended, rough)
    }
}

fn cause(view: &CallView) -> String {
    view.cause.map_or(String::new(), |cause| format!(" ({cause})"))
}

/// The call a frame is about.
const fn call_id_of(frame: &Frame) -> Option<u32> {
    match *frame {
        Frame::CallInitiate { call_id, .. }
        | Frame::CallInitiateReply { call_id, .. }
        | Frame::CallAnswer { call_id }
        | Frame::CallBusy { call_id, .. }
        | Frame::CallWaiting { call_id, .. }
        | Frame::CallWaitingReply { call_id, .. }
        | Frame::CallTerminate { call_id, .. }
        | Frame::CallTerminateReply { call_id, .. }
        | Frame::CallHold { call_id, .. } => Some(call_id),
        _ => None,
    }
}
