// SPDX-License-Identifier: GPL-3.0-or-later
//! When two states are the same: a 128-bit digest of everything that what will happen depends on, times as distances
//! from now and call IDs in the order in which they are met.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use dvsd::time::Instant;
use dvsd::wire::control::Frame;

use super::link::{End, Link};
use super::side::at;
use super::world::World;

/// Two 64-bit digests that begin differently.
struct Twice(DefaultHasher, DefaultHasher);

impl Hasher for Twice {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
        self.1.write(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

/// Names for call IDs: the first one met is 1.
#[derive(Default)]
struct Names(Vec<u32>);

impl Names {
    fn of(&mut self, call_id: u32) -> u32 {
        let place = self.0.iter().position(|known| *known == call_id).unwrap_or_else(|| {
            self.0.push(call_id);
            self.0.len() - 1
        });
        place as u32 + 1
    }
}

impl World {
    /// The digest of this state.
    pub(super) fn digest(&self) -> u128 {
        let mut out = Twice(DefaultHasher::new(), DefaultHasher::new());
        out.1.write_u8(1);
        let mut names = Names::default();
        self.scene.hash(&mut out);
        for side in &self.sides {
            side.calls.essence(at(self.now), &mut |call_id| names.of(call_id), &mut out);
            let media = side.known.iter().find(|known| Some(known.number) == side.media);
            media.map(|known| names.of(known.call_id)).hash(&mut out);
            for known in &side.known {
                (names.of(known.call_id), known.consent).hash(&mut out);
            }
        }
        for link in &self.links {
            self.link_digest(link, &mut names, &mut out);
        }
        for ending in &self.endings.open {
            names.of(ending.call_id).hash(&mut out);
            ending.hash_rest(&mut out);
        }
        u128::from(out.0.finish()) << 64 | u128::from(out.1.finish())
    }

    fn link_digest(&self, link: &Link, names: &mut Names, out: &mut Twice) {
        let Link { sides: _, ends, cut, rough, waiting } = link;
        (cut, rough, self.ago(*waiting)).hash(out);
        for end in ends {
            let End { up, fresh, stale, search, accepts, moves, quiet, lost, line, recent, late, late_until } = end;
            (up, fresh, stale, search, accepts, moves, self.ago(*quiet), lost).hash(out);
            let late_until = (!late.is_empty()).then(|| late_until.since(self.now));
            (late_until, line.len(), late.len(), recent.as_ref().map(|(_, left)| left)).hash(out);
            let recent = recent.iter().map(|(frame, _)| frame);
            line.iter().chain(late).chain(recent).for_each(|frame| frame_digest(frame, names, out));
        }
    }

    fn ago(&self, since: Option<Instant>) -> Option<Duration> {
        since.map(|since| self.now.since(since))
    }
}

/// Any frame, its call under another name.
fn frame_digest(frame: &Frame, names: &mut Names, out: &mut Twice) {
    std::mem::discriminant(frame).hash(out);
    let mut about = |call_id: u32, a: u16, b: u16| (names.of(call_id), a, b).hash(out);
    match *frame {
        Frame::CallInitiate { call_id, attempt, max_tries } => about(call_id, attempt.into(), max_tries.into()),
        Frame::CallInitiateReply { call_id, ok, reason } => about(call_id, ok.into(), reason as u16),
        Frame::CallAnswer { call_id } => about(call_id, 0, 0),
        Frame::CallBusy { call_id, can_wait, ttw } => about(call_id, can_wait.into(), ttw),
        Frame::CallWaiting { call_id, want } => about(call_id, want.into(), 0),
        Frame::CallWaitingReply { call_id, ok, ttw } => about(call_id, ok.into(), ttw),
        Frame::CallTerminate { call_id, reason } => about(call_id, reason as u16, 0),
        Frame::CallTerminateReply { call_id, ok } => about(call_id, ok.into(), 0),
        Frame::CallHold { call_id, on } => about(call_id, on.into(), 0),
        Frame::Close { reason } => (reason as u16).hash(out),
        _ => {}
    }
}
