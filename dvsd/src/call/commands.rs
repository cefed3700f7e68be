// SPDX-License-Identifier: GPL-3.0-or-later
//! What users do with calls. Nothing else gives the line to another call, and nothing else consents to media.

use super::calls::Calls;
use super::state::{Call, Consent, Phase};
use super::view::EndCause;
use super::{CallError, CallKey, CallNumber, DialError, DialOptions};
use crate::random::Random;
use crate::time::Now;
use crate::wire::control::Reason;

impl Calls {
    /// Calls a peer. A peer that is calling us, even unheard, or waits here, is answered instead.
    ///
    /// # Errors
    /// If there is a call already; one that merely rings or waits, from another peer, does not count, nor does one that
    /// is held here.
    pub fn dial(
        &mut self,
        key: CallKey,
        options: DialOptions,
        now: Now,
        random: &mut Random,
    ) -> Result<CallNumber, DialError> {
        if let Some(call) = self.current() {
            return Err(DialError::InCall(call.number));
        }
        match self.live.get(&key).map(|call| (call.number, call.phase)) {
            Some((number, Phase::Talking)) => return Err(DialError::InCall(number)),
            Some((number, Phase::Callee(_))) => {
                self.with(key, now, |call, desk| call.answer(Consent::Answered, desk));
                return Ok(number);
            }
            // Only one that ends is left: the new call need not wait for the confirmation.
            Some((_, Phase::Ending(cause))) => self.with(key, now, |call, desk| call.end(cause, desk)),
            _ => None,
        };
        if self.closing {
            return Err(DialError::GoingAway);
        }
        let call_id = u32::from_be_bytes(random.bytes());
        Ok(self.begin(key, now, |number, desk| Call::dial(number, key, call_id, options, desk)))
    }

    /// Answers a caller: the one that rings, else the one who waits longest, else one who was told that we are busy. A
    /// call that is talked is held for it.
    ///
    /// # Errors
    /// If nobody calls, or the line is taken by a call that cannot be held.
    pub fn answer(&mut self, number: Option<CallNumber>, now: Now) -> Result<CallNumber, CallError> {
        let call = self.meant(number, || self.answerable())?;
        let (key, number) = (call.key, call.number);
        if !call.is_answerable() {
            return Err(CallError::NotRinging(number));
        }
        self.park(key, now)?;
        self.with(key, now, |call, desk| call.answer(Consent::Answered, desk));
        self.serve_queue(now);
        Ok(number)
    }

    /// Refuses a caller, of several the one that [`Calls::answer`] would take.
    ///
    /// # Errors
    /// If nobody calls.
    pub fn decline(&mut self, number: Option<CallNumber>, now: Now) -> Result<CallNumber, CallError> {
        let call = self.meant(number, || self.answerable())?;
        let (key, number) = (call.key, call.number);
        if !call.is_answerable() {
            return Err(CallError::NotRinging(number));
        }
        self.with(key, now, |call, desk| call.hang_up(EndCause::DeclinedHere, desk));
        self.serve_queue(now);
        Ok(number)
    }

    /// Ends a call in any state; without a number the one being dialled or talked, else the one that rings, else the
    /// one that is held here. A call that is already ending is left to it. Another one that is held stays held.
    ///
    /// # Errors
    /// If there is no such call.
    pub fn hangup(&mut self, number: Option<CallNumber>, now: Now) -> Result<CallNumber, CallError> {
        let call = self.meant(number, || self.current().or_else(|| self.alerting()).or_else(|| self.parked()))?;
        let (key, number) = (call.key, call.number);
        self.with(key, now, |call, desk| call.hang_up(EndCause::HungUp, desk));
        self.serve_queue(now);
        Ok(number)
    }

    /// Holds a call or resumes it; `None` toggles. Returns what holds now. Resuming one holds the other that is talked.
    ///
    /// # Errors
    /// If there is no such call, it was not answered, another is held already, or the line is taken by a call that
    /// cannot be held.
    pub fn hold(
        &mut self,
        number: Option<CallNumber>,
        on: Option<bool>,
        now: Now,
    ) -> Result<(CallNumber, bool), CallError> {
        let call = self.meant(number, || self.current().or_else(|| self.parked()))?;
        let (key, number, held) = (call.key, call.number, call.held_here);
        if call.phase != Phase::Talking {
            return Err(CallError::NotAnswered(number));
        }
        let on = on.unwrap_or(!held);
        if on != held {
            self.move_line(key, on, now)?;
        }
        Ok((number, on))
    }

    /// Talks in another call: one that is held here, or whose caller rings or waits. The one that is talked is held.
    /// Without a number the held one, else whom [`Calls::answer`] would take.
    ///
    /// # Errors
    /// As of [`Calls::answer`] and [`Calls::hold`].
    pub fn switch(&mut self, number: Option<CallNumber>, now: Now) -> Result<CallNumber, CallError> {
        let call = self.meant(number, || self.parked().or_else(|| self.answerable()))?;
        let number = call.number;
        if call.is_answerable() {
            return self.answer(Some(number), now);
        }
        self.hold(Some(number), Some(false), now).map(|(number, _)| number)
    }

    /// Asks for a place in the queue of a busy peer, or leaves it: then the call is as before, to be tried again or
    /// given up. Without a number the call that is being dialled.
    ///
    /// # Errors
    /// If there is no such call, its peer is not busy, or has no room.
    pub fn wait(&mut self, number: Option<CallNumber>, on: bool, now: Now) -> Result<CallNumber, CallError> {
        let call = self.meant(number, || self.current())?;
        let (key, number) = (call.key, call.number);
        self.with(key, now, |call, desk| call.want_place(on, desk)).unwrap_or(Err(CallError::NoSuchCall))?;
        Ok(number)
    }

    /// Ends the call with this peer because it cannot go on: media failure, blocked, a violation.
    pub fn abort(&mut self, key: CallKey, cause: EndCause, now: Now) {
        self.with(key, now, |call, desk| call.hang_up(cause, desk));
        self.serve_queue(now);
    }

    /// Ends all calls at once, telling the peers why; none begins any more. Sessions may be closed right after.
    pub fn end_all(&mut self, reason: Reason, now: Now) {
        self.closing = true;
        let keys: Vec<CallKey> = self.live.keys().copied().collect();
        for key in keys {
            self.with(key, now, |call, desk| call.cut(reason, desk));
        }
    }

    /// Whom [`Calls::answer`] takes when no call is named.
    pub fn next_caller(&self) -> Option<CallNumber> {
        self.answerable().map(|call| call.number)
    }

    fn answerable(&self) -> Option<&Call> {
        let waiting = || self.queue().into_iter().next();
        let told = || self.live.values().filter(|call| call.is_answerable()).min_by_key(|call| call.number);
        self.alerting().or_else(waiting).or_else(told)
    }

    /// Holds or resumes the talk `key`.
    fn move_line(&mut self, key: CallKey, hold: bool, now: Now) -> Result<(), CallError> {
        if !hold {
            self.park(key, now)?;
        } else if let Some(other) = self.parked() {
            return Err(CallError::OtherHeld(other.number));
        }
        self.with(key, now, |call, desk| call.hold(hold, desk));
        self.serve_queue(now);
        Ok(())
    }

    /// Makes the line free for `next`: the call that is talked is held.
    fn park(&mut self, next: CallKey, now: Now) -> Result<(), CallError> {
        let Some(call) = self.current() else { return Ok(()) };
        let (key, number) = (call.key, call.number);
        let room = self.parked().is_none_or(|parked| parked.key == next);
        if call.phase != Phase::Talking || !room {
            return Err(CallError::InCall(number));
        }
        self.with(key, now, |call, desk| call.hold(true, desk));
        Ok(())
    }

    /// The call a command means: the one with that number, or else what `default` finds.
    fn meant<'a>(
        &'a self,
        number: Option<CallNumber>,
        default: impl FnOnce() -> Option<&'a Call>,
    ) -> Result<&'a Call, CallError> {
        let call = match number {
            Some(number) => self.live.values().find(|call| call.number == number && call.is_shown()),
            None => default(),
        };
        call.ok_or(CallError::NoSuchCall)
    }
}
