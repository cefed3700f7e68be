// SPDX-License-Identifier: GPL-3.0-or-later
//! What the user may ask of a node. Each command answers at once and leaves its consequences in the drain.

use core::net::SocketAddr;

use thiserror::Error;

use super::{
    CallError, CallNumber, Contact, DialError, DialOptions, Drain, EndCause, MAIN, Node, PeopleError, Policy,
    UnknownCallers,
};

use crate::call::CallKey;
use crate::id::{Fingerprint, NodeId};
use crate::time::Now;

/// Where a peer may be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hints<'a> {
    /// Addresses known already.
    pub addresses: &'a [SocketAddr],
    /// How many [`Input::Hints`](super::Input::Hints) will follow; until then the peer is not given up.
    pub to_follow: usize,
}

/// Searches asked for by the user at a time; the others of routing are left to calls.
const MAX_LOOKUPS: usize = 16;

/// Why a peer is not looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LookUpError {
    /// The way to the peer is known, or being searched for already.
    #[error("there is a call with them already; dvs-tui status shows the way to them")]
    InCall,
    /// So many are under way that the rest is left to calls.
    #[error("too many lookups at once; wait for some to end")]
    TooMany,
}

impl Node {
    /// Looks for `peer` without calling; [`Event::LookedUp`](super::Event::LookedUp) says what came of it. `hints` are
    /// as for [`Node::dial`].
    pub fn look_up(&mut self, peer: NodeId, hints: Hints<'_>, now: Now) -> (Result<(), LookUpError>, Drain<'_>) {
        let outcome = if self.calls.calls().any(|call| call.key.peer == peer) {
            Err(LookUpError::InCall)
        } else if self.lookups.len() >= MAX_LOOKUPS && !self.lookups.contains_key(&peer) {
            Err(LookUpError::TooMany)
        } else {
            self.presence_yields(peer);
            self.lookups.entry(peer).or_insert(now.mono);
            self.unresolved.insert(peer, hints.to_follow);
            self.routing.find(peer, hints.addresses, now, &mut self.random);
            Ok(())
        };
        (outcome, self.drain(now))
    }

    /// Calls `peer`. When `fingerprint` is given the peer's key must have it, for this call: only the address book
    /// pins for good. `hints` says where the peer may be, and the search waits for the
    /// [`Input::Hints`](super::Input::Hints) that follow.
    pub fn dial(
        &mut self,
        peer: NodeId,
        fingerprint: Option<Fingerprint>,
        hints: Hints<'_>,
        options: DialOptions,
        now: Now,
    ) -> (Result<CallNumber, DialError>, Drain<'_>) {
        let number = self.calls.dial(CallKey { local: MAIN, peer }, options, now, &mut self.random);
        if number.is_ok() {
            if fingerprint.is_some() {
                self.pin(peer, fingerprint, now);
            }
            self.hints.insert(peer, hints.addresses.to_vec());
            self.unresolved.insert(peer, hints.to_follow);
        }
        (number, self.drain(now))
    }

    /// Asks for a place in the queue of a busy peer, or leaves it.
    pub fn wait(&mut self, call: Option<CallNumber>, on: bool, now: Now) -> (Result<CallNumber, CallError>, Drain<'_>) {
        let outcome = self.calls.wait(call, on, now);
        (outcome, self.drain(now))
    }

    /// Talks in another call, held here or with somebody who rings or waits; the one that is talked is held.
    pub fn switch(&mut self, call: Option<CallNumber>, now: Now) -> (Result<CallNumber, CallError>, Drain<'_>) {
        let outcome = self.calls.switch(call, now);
        (outcome, self.drain(now))
    }

    /// Answers the call that rings, or a caller who waits; a call that is talked is held.
    pub fn answer(&mut self, call: Option<CallNumber>, now: Now) -> (Result<CallNumber, CallError>, Drain<'_>) {
        let outcome = self.calls.answer(call, now);
        (outcome, self.drain(now))
    }

    /// Refuses the call that rings, or a caller who waits.
    pub fn decline(&mut self, call: Option<CallNumber>, now: Now) -> (Result<CallNumber, CallError>, Drain<'_>) {
        let outcome = self.calls.decline(call, now);
        (outcome, self.drain(now))
    }

    /// Ends a call in any state.
    pub fn hang_up(&mut self, call: Option<CallNumber>, now: Now) -> (Result<CallNumber, CallError>, Drain<'_>) {
        let outcome = self.calls.hangup(call, now);
        (outcome, self.drain(now))
    }

    /// Puts a call on hold or resumes it; `None` toggles. Resuming one holds the other that is talked.
    pub fn hold(
        &mut self,
        call: Option<CallNumber>,
        on: Option<bool>,
        now: Now,
    ) -> (Result<(CallNumber, bool), CallError>, Drain<'_>) {
        let outcome = self.calls.hold(call, on, now);
        (outcome, self.drain(now))
    }

    /// Stores a contact under `name`; `target` is an ID or an invite.
    pub fn add_contact(&mut self, name: &str, target: &str, now: Now) -> (Result<Contact, PeopleError>, Drain<'_>) {
        let outcome = self.people.add(name, target);
        (outcome, self.drain(now))
    }

    /// Gives a contact, named by name or ID, another name.
    pub fn rename_contact(&mut self, contact: &str, name: &str, now: Now) -> (Result<Contact, PeopleError>, Drain<'_>) {
        let outcome = self.people.rename(contact, name);
        (outcome, self.drain(now))
    }

    /// Forgets a contact and its pinned key.
    pub fn remove_contact(&mut self, contact: &str, now: Now) -> (Result<Contact, PeopleError>, Drain<'_>) {
        let outcome = self.people.remove(contact);
        (outcome, self.drain(now))
    }

    /// Blocks or unblocks a peer; a call with it ends.
    pub fn block(&mut self, target: &str, on: bool, now: Now) -> (Result<Contact, PeopleError>, Drain<'_>) {
        let outcome = self.people.block(target, on);
        if let (true, Ok(contact)) = (on, &outcome) {
            self.calls.abort(CallKey { local: MAIN, peer: contact.id }, EndCause::Blocked, now);
        }
        (outcome, self.drain(now))
    }

    /// Whether nobody is to be disturbed from now on.
    pub fn set_do_not_disturb(&mut self, on: bool, now: Now) -> ((), Drain<'_>) {
        self.people.set_do_not_disturb(on);
        self.calls.set_quiet(on, now);
        ((), self.drain(now))
    }

    /// What happens from now on with callers that are no contacts.
    pub fn set_unknown_callers(&mut self, unknown_callers: UnknownCallers, now: Now) -> ((), Drain<'_>) {
        self.people.set_unknown_callers(unknown_callers);
        ((), self.drain(now))
    }

    /// What users have chosen about callers.
    pub const fn policy(&self) -> Policy {
        self.people.policy()
    }

    /// Whether a contact's calls are answered without asking, after an announcement.
    pub fn set_auto_answer(&mut self, contact: &str, on: bool, now: Now) -> (Result<Contact, PeopleError>, Drain<'_>) {
        let outcome = self.people.set_auto_answer(contact, on);
        (outcome, self.drain(now))
    }

    /// The user compared a contact's fingerprint with its owner by another way; see [`People::verify`](crate::people::People::verify).
    pub fn verify_contact(
        &mut self,
        contact: &str,
        fingerprint: Fingerprint,
        now: Now,
    ) -> (Result<Contact, PeopleError>, Drain<'_>) {
        let outcome = self.people.verify(contact, fingerprint);
        (outcome, self.drain(now))
    }
}
