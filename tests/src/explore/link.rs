// SPDX-License-Identifier: GPL-3.0-or-later
//! What lies between two sides: the sessions they have with each other, as far as calls can tell, and the frames
//! under way.

use std::collections::VecDeque;
use std::time::Duration;

use dvsd::time::Instant;
use dvsd::wire::control::{Frame, Reason};

/// Nothing that can be delivered waits for longer: frames are repeated every 2 s at most.
const PATIENCE: Duration = Duration::from_secs(6);
/// A session that was given up is heard for so long.
pub(super) const LATE: Duration = Duration::from_secs(10);
/// After so long a silence a session is lost.
const LOST: Duration = Duration::from_secs(10);
/// And after so long it is over.
const OVER: Duration = Duration::from_secs(30);

/// How far a dial has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Search {
    /// There is none.
    #[default]
    None,
    /// The overlay is asked.
    Looking,
    /// The handshake is under way.
    Shaking,
}

/// One side's end of a link.
#[derive(Clone, Debug, Default)]
pub(super) struct End {
    /// Whether it has a session.
    pub(super) up: bool,
    /// The peer has not yet completed the handshake of the session it sends on.
    pub(super) fresh: bool,
    /// The peer does not have the session it sends on any more.
    pub(super) stale: bool,
    pub(super) search: Search,
    /// A handshake of the peer will complete here.
    pub(super) accepts: bool,
    /// It will change to another session.
    pub(super) moves: bool,
    /// Since when it hears nothing.
    pub(super) quiet: Option<Instant>,
    /// Whether its calls were told that the session is lost.
    pub(super) lost: bool,
    /// What it has sent on its session, oldest first.
    pub(super) line: VecDeque<Frame>,
    /// What was delivered last and may not have been acknowledged, and how many frames of the peer were under way
    /// then: the next one acknowledges it.
    pub(super) recent: Option<(Frame, usize)>,
    /// What it has sent on a session given up since, and until when that may arrive.
    pub(super) late: VecDeque<Frame>,
    pub(super) late_until: Instant,
}

impl End {
    /// The session is gone.
    fn goes_down(&mut self) {
        (self.up, self.fresh, self.stale, self.moves, self.lost) = (false, false, false, false, false);
        self.quiet = None;
        self.recent = None;
        self.line.retain(|frame| matches!(frame, Frame::Close { .. }));
    }

    pub(super) fn goes_quiet(&mut self, now: Instant) {
        if self.up {
            self.quiet.get_or_insert(now);
        }
    }

    /// What it sends on from now on is another session, where everything that was not acknowledged is repeated.
    pub(super) fn moves_over(&mut self, now: Instant) {
        if !self.stale && !self.line.is_empty() {
            self.late.extend(self.line.iter().cloned());
            self.late_until = now + LATE;
        }
        if let Some((frame, _)) = self.recent.take() {
            self.line.push_front(frame);
        }
        (self.fresh, self.stale, self.moves, self.lost, self.quiet) = (false, false, false, false, None);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.quiet.map(|since| since + if self.lost { OVER } else { LOST })
    }

    /// All that is under way from here.
    pub(super) fn frames(&self) -> impl Iterator<Item = &Frame> {
        self.line.iter().chain(&self.late).chain(self.recent.iter().map(|(frame, _)| frame))
    }

    pub(super) fn closes(&self) -> bool {
        self.line.iter().any(|frame| matches!(frame, Frame::Close { .. }))
    }
}

/// Two sides and what is between them.
#[derive(Clone, Debug)]
pub(super) struct Link {
    /// Who is at its ends.
    pub(super) sides: [usize; 2],
    pub(super) ends: [End; 2],
    /// Nothing gets through.
    pub(super) cut: bool,
    /// A session has died since both sides were idle: what they know may differ.
    pub(super) rough: bool,
    /// Since when something waits to be delivered and nothing was.
    pub(super) waiting: Option<Instant>,
}

impl Link {
    /// Two sides with a session between them, or without.
    pub(super) fn new(sides: [usize; 2], up: bool) -> Self {
        let end = End { up, ..End::default() };
        Self { sides, ends: [end.clone(), end], cut: false, rough: false, waiting: None }
    }

    /// Whether what end `from` sent next can arrive.
    pub(super) fn delivers(&self, from: usize) -> bool {
        let (end, peer) = (&self.ends[from], &self.ends[1 - from]);
        match end.line.front() {
            None => false,
            Some(Frame::Close { .. }) => !self.cut && peer.up,
            Some(_) => !self.cut && peer.up && !end.fresh && !end.stale,
        }
    }

    /// `frame` of end `from` has arrived, with an acknowledgement.
    pub(super) fn delivered(&mut self, from: usize, frame: &Frame) {
        let behind = self.ends[1 - from].line.len();
        self.ends[from].recent = Some((frame.clone(), behind));
        self.acknowledges(from);
    }

    /// What end `from` sends acknowledges what it had got by then.
    pub(super) fn acknowledges(&mut self, from: usize) {
        let recent = &mut self.ends[1 - from].recent;
        *recent = recent.take().and_then(|(frame, left)| Some((frame, left.checked_sub(1)?)));
    }

    pub(super) fn delivers_late(&self, from: usize) -> bool {
        !self.cut && self.ends[1 - from].up && !self.ends[from].late.is_empty()
    }

    /// Whether something will happen here before long.
    fn is_busy(&self) -> bool {
        let coming = |end: usize| self.delivers(end) || self.ends[end].accepts || self.ends[end].moves;
        !self.cut && (coming(0) || coming(1))
    }

    /// Until when time may pass before that.
    pub(super) fn patience(&self) -> Option<Instant> {
        self.waiting.map(|since| since + PATIENCE)
    }

    /// Notes since when something waits; `moved` says that something has just happened.
    pub(super) fn watch(&mut self, moved: bool, now: Instant) {
        if !self.is_busy() {
            self.waiting = None;
        } else if moved || self.waiting.is_none() {
            self.waiting = Some(now);
        }
    }

    /// Time has passed.
    pub(super) fn passes(&mut self, now: Instant) {
        for end in &mut self.ends {
            end.recent = None;
            if end.late_until <= now {
                end.late.clear();
            }
        }
    }

    /// End `end` has no session any more, so that no CLOSE can reach it, and a handshake that it had begun leads nowhere.
    pub(super) fn goes_down(&mut self, end: usize) {
        self.ends[end].goes_down();
        self.ends[1 - end].accepts = false;
        self.ends[1 - end].line.retain(|frame| !matches!(frame, Frame::Close { .. }));
    }

    /// End `end` has no session any more without having said so.
    pub(super) fn dies(&mut self, end: usize, now: Instant) {
        let closes = self.ends[end].closes();
        self.goes_down(end);
        self.rough = true;
        let peer = &mut self.ends[1 - end];
        if peer.up && !closes {
            peer.stale = true;
            peer.goes_quiet(now);
        }
    }

    /// End `end` closes the session and says so, after all it has said before.
    pub(super) fn closes(&mut self, end: usize, reason: Reason) {
        self.rough = true;
        let said = std::mem::take(&mut self.ends[end].line);
        let heard = !self.ends[end].fresh && !self.ends[end].stale && self.ends[1 - end].up;
        self.goes_down(end);
        if heard {
            self.ends[end].line = said;
            self.ends[end].line.push_back(Frame::Close { reason });
        }
    }

    /// Both change to another session.
    pub(super) fn is_replaced(&mut self) {
        self.ends.iter_mut().for_each(|end| end.moves = true);
    }

    /// Whether both have a session that works and nothing is changing.
    pub(super) fn stands(&self) -> bool {
        let fine = |end: &End| end.up && !end.fresh && !end.stale && !end.moves && !end.accepts && !end.closes();
        self.ends.iter().all(fine)
    }

    /// Nothing gets through any more.
    pub(super) fn is_cut(&mut self, now: Instant) {
        self.cut = true;
        self.ends.iter_mut().for_each(|end| end.goes_quiet(now));
    }

    /// Everything gets through again. Returns which ends' calls must be told that they hear their peer again.
    pub(super) fn heals(&mut self) -> [bool; 2] {
        self.cut = false;
        let mut told = [false; 2];
        for (end, told) in self.ends.iter_mut().zip(&mut told) {
            if !end.stale {
                *told = end.up && end.lost;
                (end.quiet, end.lost) = (None, false);
            }
        }
        told
    }
}
