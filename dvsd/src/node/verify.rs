// SPDX-License-Identifier: GPL-3.0-or-later
//! Verification by voice in a call: what the users ask for, and the frames of the peer's side.
//!
//! An exchange belongs to the session it began in. When that is replaced or the call ends, what is under way has failed.
//! The timer is that of [`Verification`].

use std::collections::BTreeMap;

use thiserror::Error;

use super::{CallNumber, CallView, Drain, Event, Node, Output, PeopleError};
use crate::call::{CallKey, State};
use crate::id::NodeId;
use crate::people::verify::{Cheated, Nonce, StartError, Verification, VerifyState};
use crate::session::SessionId;
use crate::time::{Deadline, Now};
use crate::wire::control::Frame;

/// Why there is nothing to verify, or no contact to mark.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// No such call, or none at all.
    #[error("there is no such call")]
    NoSuchCall,
    /// Nobody has answered yet, or the connection is lost.
    #[error("call {0} is not being talked in")]
    NotTalking(CallNumber),
    /// No words are shown: nothing was begun, or it has not come to its end.
    #[error("there is nothing to compare in call {0} yet; start the verification first")]
    NothingShown(CallNumber),
    /// The exchange cannot begin.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Only a contact can be marked as verified.
    #[error("they are not in the contacts: add them first, then say again that it matches")]
    NotContact,
    /// The contact has another key than the one that was compared.
    #[error("the key in this call is not the one pinned for the contact: remove the contact and add it again")]
    KeyChanged,
}

impl From<PeopleError> for VerifyError {
    fn from(error: PeopleError) -> Self {
        match error {
            PeopleError::FingerprintMismatch => Self::KeyChanged,
            _ => Self::NotContact,
        }
    }
}

/// The verification of one call.
#[derive(Debug)]
pub(super) struct VoiceCheck {
    call: CallNumber,
    session: SessionId,
    verification: Verification,
}

impl Node {
    /// Has both sides of an answered call agree on words to be compared by voice; [`Event::Verification`] shows them. With
    /// `None`, in the call that is talked in.
    pub fn verify_start(&mut self, call: Option<CallNumber>, now: Now) -> (Result<CallNumber, VerifyError>, Drain<'_>) {
        let outcome = self.start_verification(call, now);
        (outcome, self.drain(now))
    }

    /// The user compared the words: `matches` makes the contact verified; if they differ somebody is between the two, the
    /// contact counts as changed until that is settled, and the call ends.
    pub fn verify_done(
        &mut self,
        call: Option<CallNumber>,
        matches: bool,
        now: Now,
    ) -> (Result<CallNumber, VerifyError>, Drain<'_>) {
        let outcome = self.finish_verification(call, matches, now);
        (outcome, self.drain(now))
    }

    /// The verification of the call that is talked in, or else held, if one was begun.
    pub fn verification(&self) -> Option<(CallNumber, VerifyState)> {
        let number = self.talked_in(None).ok()?.number;
        let check = self.voice_checks.values().find(|check| check.call == number)?;
        Some((check.call, check.verification.state()))
    }

    /// The call meant, which must be answered.
    fn talked_in(&self, call: Option<CallNumber>) -> Result<CallView, VerifyError> {
        let answered = |view: &CallView| matches!(view.state, State::Active | State::Held);
        let meant = match call {
            Some(number) => self.calls.call(number),
            None => self.calls.calls().filter(answered).min_by_key(|view| view.state),
        };
        let view = meant.ok_or(VerifyError::NoSuchCall)?;
        answered(&view).then_some(view).ok_or(VerifyError::NotTalking(view.number))
    }

    fn start_verification(&mut self, call: Option<CallNumber>, now: Now) -> Result<CallNumber, VerifyError> {
        let CallView { number, key, .. } = self.talked_in(call)?;
        let session = self.sessions.session_of(key.local, key.peer).ok_or(VerifyError::NotTalking(number))?;
        let check = voice_check(&mut self.voice_checks, key, self.identity.public().id(), number, session);
        let frame = check.verification.start(now.mono, &mut self.random)?;
        self.sessions.send(session, &frame, now);
        self.tell_verification(key);
        Ok(number)
    }

    fn finish_verification(
        &mut self,
        call: Option<CallNumber>,
        matches: bool,
        now: Now,
    ) -> Result<CallNumber, VerifyError> {
        let CallView { number, key, .. } = self.talked_in(call)?;
        let check = self.voice_checks.get(&key).filter(|check| check.call == number);
        let shown = check.filter(|check| matches!(check.verification.state(), VerifyState::Compare(_)));
        let session = shown.ok_or(VerifyError::NothingShown(number))?.session;
        if matches {
            let stats = self.sessions.stats(session).ok_or(VerifyError::NothingShown(number))?;
            self.people.verified_by_voice(key.peer, stats.fingerprint)?;
        } else {
            self.people.key_changed(key.peer);
        }
        if let Some(check) = self.voice_checks.get_mut(&key) {
            check.verification.decide(matches);
        }
        self.tell_verification(key);
        if !matches {
            // The call ends; there is nothing left to go wrong with that.
            let _ended = self.calls.hangup(Some(number), now);
        }
        Ok(number)
    }

    /// A VERIFY_* frame of the peer; one without an answered call came too late, or from somebody who has no business with it.
    pub(super) fn verify_frame(&mut self, session: SessionId, key: CallKey, frame: &Frame, now: Now) {
        let answered = |view: &CallView| {
            view.key == key && matches!(view.state, State::Active | State::Held | State::Reconnecting)
        };
        let Some(number) = self.calls.calls().find(answered).map(|view| view.number) else { return };
        if self.voice_checks.get(&key).is_some_and(|check| check.session != session) {
            self.verify_interrupted(key);
        }
        let check = voice_check(&mut self.voice_checks, key, self.identity.public().id(), number, session);
        let before = check.verification.state();
        let sessions = &self.sessions;
        let mac = |nonces: [&Nonce; 2]| sessions.verification_digest(session, nonces);
        let outcome = check.verification.handle(frame, mac, now.mono, &mut self.random);
        let changed = check.verification.state() != before || matches!(frame, Frame::VerifyCommit { .. });
        match outcome {
            Ok(reply) => reply.into_iter().for_each(|reply| self.sessions.send(session, &reply, now)),
            Err(Cheated) => {
                self.count_drop("violation");
                self.sessions.misbehaved(session, now);
            }
        }
        if changed {
            self.tell_verification(key);
        }
    }

    /// The session under a call was replaced or is gone: what is under way there has failed.
    pub(super) fn verify_interrupted(&mut self, key: CallKey) {
        self.verify_change(key, |verification| {
            verification.fail();
        });
    }

    /// A call has changed: its end is that of its verification.
    pub(super) fn verify_call_changed(&mut self, view: &CallView) {
        let ends = matches!(view.state, State::Ending | State::Ended);
        if ends && self.voice_checks.get(&view.key).is_some_and(|check| check.call == view.number) {
            self.verify_interrupted(view.key);
            self.voice_checks.remove(&view.key);
        }
    }

    /// Does what is due.
    pub(super) fn verify_timeout(&mut self, now: Now) {
        let keys: Vec<CallKey> = self.voice_checks.keys().copied().collect();
        for key in keys {
            self.verify_change(key, |verification| verification.handle_timeout(now.mono));
        }
    }

    /// When a frame of a peer is overdue.
    pub(super) fn verify_deadline(&self) -> Option<Deadline> {
        Deadline::earliest(self.voice_checks.values().map(|check| check.verification.poll_timeout()))
    }

    fn verify_change(&mut self, key: CallKey, change: impl FnOnce(&mut Verification)) {
        let Some(check) = self.voice_checks.get_mut(&key) else { return };
        let before = check.verification.state();
        change(&mut check.verification);
        if check.verification.state() != before {
            self.tell_verification(key);
        }
    }

    fn tell_verification(&mut self, key: CallKey) {
        if let Some(check) = self.voice_checks.get(&key) {
            let event = Event::Verification { call: check.call, state: check.verification.state() };
            self.outputs.push_back(Output::Event(event));
        }
    }
}

/// The check of call `call`, in the session it has now; a new one if that is the first of this call.
fn voice_check(
    checks: &mut BTreeMap<CallKey, VoiceCheck>,
    key: CallKey,
    own: NodeId,
    call: CallNumber,
    session: SessionId,
) -> &mut VoiceCheck {
    let new = || VoiceCheck { call, session, verification: Verification::new(own < key.peer) };
    let check = checks.entry(key).or_insert_with(new);
    if check.call != call {
        *check = new();
    }
    check.session = session;
    check
}
