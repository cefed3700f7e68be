// SPDX-License-Identifier: GPL-3.0-or-later
//! What clients ask for, and what they and the store are told in return.

use std::net::SocketAddr;

use dvs_proto::message::{self, CallStats, Failure, FailureKind, Reply, Request, Snapshot};
use dvsd::call::{CallError, CallNumber, DialError};
use dvsd::id::{Invite, NodeId};
use dvsd::node::{CallView, Contact, DialOptions, Drain, Event, Hints, LookUpError, Node, PeopleError};
use dvsd::people::{Resolved, Target};
use dvsd::time::Now;

use super::{convert, local};
use crate::clock;
use crate::config::Role;
use crate::resolver::Purpose;
use crate::service::Service;

/// Past calls in a snapshot. With the contacts and the longest names the whole stays below 64 KiB.
const SNAPSHOT_HISTORY: usize = 40;
/// Contacts in a snapshot, and the room for their texts, in bytes.
const SNAPSHOT_CONTACTS: (usize, usize) = (48, 20_000);
/// Contacts in an answer of their own, and the room for their texts.
const MORE_CONTACTS: (usize, usize) = (128, 48_000);
/// Past calls in an answer of their own: at most 330 bytes each.
const MAX_HISTORY: usize = 150;
/// Longest name of a client.
const MAX_CLIENT_NAME: usize = 64;

pub(super) type Outcome = Result<Reply, Failure>;

impl Service {
    /// Does what `client` asks for and says what came of it.
    pub(crate) fn request(&mut self, client: u32, request: Request) -> Outcome {
        match request {
            Request::Attach { name } => self.attach(client, name),
            Request::Snapshot => Ok(Reply::Snapshot(Box::new(self.snapshot(client)))),
            Request::Resolve { text } => self.resolve(&text).map(|resolved| Reply::Target(convert::target(&resolved))),
            Request::Dial { target, tries, wait } => self.dial(client, &target, DialOptions { tries, wait }),
            Request::Answer { call } => self.answer(client, call),
            Request::Decline { call } => self.act(client, "declined", |service, now| {
                service.command(|node| node.decline(call.map(CallNumber), now))
            }),
            Request::Hangup { call } => self
                .act(client, "hung up", |service, now| service.command(|node| node.hang_up(call.map(CallNumber), now))),
            Request::Hold { call, on } => self.hold(client, call, on),
            Request::Wait { call, on } => {
                self.act(client, if on { "asks for a place in the queue" } else { "left the queue" }, |service, now| {
                    service.command(|node| node.wait(call.map(CallNumber), on, now))
                })
            }
            Request::Switch { call } => self.switch(client, call),
            Request::Mute { on } => Ok(self.mute(on)),
            Request::Deafen { on } => Ok(self.deafen(on)),
            Request::ContactAdd { name, target } => self.add_contact(&name, &target),
            Request::ContactRename { contact, name } => {
                self.contact(|node, now| node.rename_contact(&contact, &name, now))
            }
            Request::ContactRemove { contact } => self.contact(|node, now| node.remove_contact(&contact, now)),
            Request::ContactBlock { contact, on } => self.contact(|node, now| node.block(&contact, on, now)),
            Request::History { limit } => Ok(Reply::History(self.history((limit as usize).min(MAX_HISTORY)))),
            // The server keeps that list itself.
            Request::Levels { .. } => Ok(Reply::Done),
            Request::Stats { call } => self.call_stats(call),
            Request::Network => Ok(Reply::Network(Box::new(self.network()))),
            Request::Lookup { target } => self.look_up(&target),
            Request::Invite { local } => Ok(Reply::Invite(self.invite(local))),
            Request::Contacts { skip } => Ok(Reply::Contacts(self.contacts(skip as usize, MORE_CONTACTS))),
            Request::DoNotDisturb { on } => self.do_not_disturb(on),
            Request::UnknownCallers { policy } => self.unknown_callers(policy),
            Request::ContactAutoAnswer { contact, on } => {
                self.contact(|node, now| node.set_auto_answer(&contact, on, now))
            }
            Request::ContactVerify { contact, fingerprint } => self.verify_contact(&contact, &fingerprint),
            Request::VerifyStart { call } => self.verify_start(client, call),
            Request::VerifyDone { call, matches } => self.verify_done(client, call, matches),
        }
    }

    fn attach(&mut self, client: u32, mut name: String) -> Outcome {
        name.retain(|c| !c.is_control());
        name.truncate(name.char_indices().nth(MAX_CLIENT_NAME).map_or(name.len(), |(at, _)| at));
        if let Some(info) = self.desk.attached(client, name) {
            self.world.server.event(&message::Event::ClientAttached(info));
        }
        Ok(Reply::Snapshot(Box::new(self.snapshot(client))))
    }

    fn snapshot(&self, client: u32) -> Snapshot {
        let now = clock::now();
        Snapshot {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            identity: convert::identity(&self.node, now),
            network: self.network(),
            audio: convert::audio(&self.world.talks),
            contacts: self.contacts(0, SNAPSHOT_CONTACTS),
            calls: self.node.calls().map(|view| self.call_info(&view)).collect(),
            history: self.history(SNAPSHOT_HISTORY),
            clients: self.desk.clients(),
            you: client,
            contacts_total: self.node.people().contacts().count() as u32,
            policy: super::trust::policy(self.node.policy()),
            verification: self.verification(),
        }
    }

    fn history(&self, limit: usize) -> Vec<message::PastCall> {
        self.desk.history(limit).map(|past| convert::past_call(past, &self.node)).collect()
    }

    /// Contacts by name, so many that neither their number nor their texts go beyond `limit`.
    fn contacts(&self, skip: usize, (most, mut room): (usize, usize)) -> Vec<message::Contact> {
        let contacts = self.node.people().contacts().skip(skip).take(most).map(|contact| self.contact_info(contact));
        let fits = |contact: &message::Contact| {
            let left = room.checked_sub(weight(contact));
            room = left.unwrap_or(0);
            left.is_some()
        };
        contacts.take_while(fits).collect()
    }

    fn network(&self) -> message::Network {
        convert::network(&self.node, self.desk.part(), self.world.udp.local(), clock::now())
    }

    fn invite(&self, local: bool) -> String {
        let addresses = if local { local::addresses(self.world.udp.local()) } else { Vec::new() };
        self.node.invite(&addresses, clock::now()).to_string()
    }

    fn resolve(&self, text: &str) -> Result<Resolved, Failure> {
        self.node.people().resolve(text).map_err(people_failure)
    }

    fn dial(&mut self, client: u32, target: &str, options: DialOptions) -> Outcome {
        if self.role() == Role::Seed {
            let message = "this daemon is a bootstrap node ([network] role = \"seed\") and makes no calls";
            return Err(Failure::new(FailureKind::State, message));
        }
        let Resolved { invite, target, .. } = self.resolve_other(target)?;
        if target == Target::Blocked {
            let name = self.name_of(invite.id);
            let message = format!("{name} is blocked; first run: dvs-tui contacts unblock {}", invite.id);
            return Err(Failure::new(FailureKind::State, message));
        }
        if target == Target::Changed {
            let name = self.name_of(invite.id);
            let message = format!(
                "the key of {name} has changed: somebody may be impersonating them; compare fingerprints by another way, \
                 then run: dvs-tui contacts verify {} FINGERPRINT",
                invite.id
            );
            return Err(Failure::new(FailureKind::Permission, message));
        }
        let dialled = self.seek(&invite, |service, hints| {
            service.command(|node| node.dial(invite.id, invite.fingerprint, hints, options, clock::now()))
        });
        let number = dialled.map_err(|error| dial_failure(&error))?;
        self.announce(client, "dialled", number);
        self.reply_call(number)
    }

    /// Whom `text` means, who must not be ourselves.
    fn resolve_other(&self, text: &str) -> Result<Resolved, Failure> {
        let resolved = self.resolve(text)?;
        if resolved.target == Target::Own {
            let message = "that is your own ID; give it to somebody who wants to call you";
            return Err(Failure::new(FailureKind::BadInput, message));
        }
        Ok(resolved)
    }

    fn look_up(&mut self, target: &str) -> Outcome {
        let resolved = self.resolve_other(target)?;
        let peer = resolved.invite.id;
        let begun = self
            .seek(&resolved.invite, |service, hints| service.command(|node| node.look_up(peer, hints, clock::now())));
        begun.map_err(look_up_failure)?;
        Ok(Reply::Target(convert::target(&resolved)))
    }

    /// Does something for which the peer of `invite` must be found, with all that is known of where it is.
    fn seek<T, E>(&mut self, invite: &Invite, act: impl FnOnce(&mut Self, Hints<'_>) -> Result<T, E>) -> Result<T, E> {
        let nodes = self.join_through(invite);
        let (addresses, names): (Vec<SocketAddr>, _) = self.hints(invite);
        let outcome = act(self, Hints { addresses: &addresses, to_follow: names.len() + nodes.len() })?;
        let resolver = &self.world.resolver;
        names.into_iter().for_each(|name| resolver.resolve(Purpose::Hints(invite.id), name));
        nodes.into_iter().for_each(|name| resolver.resolve(Purpose::Join(Some(invite.id)), name));
        Ok(outcome)
    }

    fn answer(&mut self, client: u32, call: Option<u32>) -> Outcome {
        let now = clock::now();
        let ringing = call.map(CallNumber).or_else(|| self.node.ringing());
        if let Some(number) = ringing {
            self.desk.answered(number.0, client);
        }
        self.act(client, "answered", |service, _| service.command(|node| node.answer(ringing, now)))
    }

    /// Talks in another call. If its caller rings or waits, that is an answer.
    fn switch(&mut self, client: u32, call: Option<u32>) -> Outcome {
        let now = clock::now();
        let number =
            self.act_quietly("switched", |service| service.command(|node| node.switch(call.map(CallNumber), now)))?;
        let answered = self.node.call(number).and_then(|view| view.answered).is_some_and(|at| at.mono == now.mono);
        if answered {
            self.desk.answered(number.0, client);
        }
        self.announce(client, if answered { "answered" } else { "switched" }, number);
        self.reply_call(number)
    }

    /// Holds or resumes. Without a number the call to resume is the one held here, whatever else goes on.
    fn hold(&mut self, client: u32, call: Option<u32>, on: Option<bool>) -> Outcome {
        let parked = || self.node.calls().find(|view| view.held_here).map(|view| view.number);
        let meant = call.map(CallNumber).or_else(|| parked().filter(|_| on == Some(false)));
        if on == Some(false) && self.held_only_there(meant) {
            return Err(Failure::new(FailureKind::State, "the peer holds the call; only they can resume it"));
        }
        let mut held = false;
        let number = self.act_quietly("held", |service| {
            let outcome = service.command(|node| node.hold(meant, on, clock::now()));
            outcome.map(|(number, on)| {
                held = on;
                number
            })
        })?;
        self.announce(client, if held { "held" } else { "resumed" }, number);
        self.reply_call(number)
    }

    /// Does something to a call, tells the other clients who did it, and shows the call.
    fn act(
        &mut self,
        client: u32,
        action: &str,
        act: impl FnOnce(&mut Self, Now) -> Result<CallNumber, CallError>,
    ) -> Outcome {
        let number = self.act_quietly(action, |service| act(service, clock::now()))?;
        self.announce(client, action, number);
        self.reply_call(number)
    }

    /// Does something to a call; who did it is still to be told.
    fn act_quietly(
        &mut self,
        action: &str,
        act: impl FnOnce(&mut Self) -> Result<CallNumber, CallError>,
    ) -> Result<CallNumber, Failure> {
        act(self).map_err(|error| call_failure(&error, action))
    }

    pub(super) fn announce(&self, client: u32, action: &str, call: CallNumber) {
        if let Some(client) = self.desk.client(client).cloned() {
            let action = action.to_owned();
            self.world.server.event(&message::Event::Acted { client, action, call: Some(call.0) });
        }
    }

    fn reply_call(&self, number: CallNumber) -> Outcome {
        match self.node.call(number) {
            Some(view) => Ok(Reply::Call(self.call_info(&view))),
            None => Ok(Reply::Done),
        }
    }

    fn held_only_there(&self, call: Option<CallNumber>) -> bool {
        let meant = |view: &CallView| call.is_none_or(|number| view.number == number);
        self.node.calls().filter(meant).any(|view| view.held_there && !view.held_here)
    }

    fn mute(&mut self, on: Option<bool>) -> Reply {
        let on = on.unwrap_or(!self.world.talks.muted());
        self.world.talks.set_mute(on);
        self.audio_changed();
        Reply::Switched { on }
    }

    fn deafen(&mut self, on: Option<bool>) -> Reply {
        let on = on.unwrap_or(!self.world.talks.deafened());
        self.world.talks.set_deafen(on);
        self.audio_changed();
        Reply::Switched { on }
    }

    fn audio_changed(&self) {
        self.world.server.event(&message::Event::Audio(convert::audio(&self.world.talks)));
    }

    pub(super) fn contact(
        &mut self,
        act: impl FnOnce(&mut Node, Now) -> (Result<Contact, PeopleError>, Drain<'_>),
    ) -> Outcome {
        let contact = self.command(|node| act(node, clock::now())).map_err(people_failure)?;
        Ok(Reply::Contact(self.contact_info(&contact)))
    }

    /// Stores a contact, and joins the overlay that its invite comes from.
    fn add_contact(&mut self, name: &str, target: &str) -> Outcome {
        let outcome = self.contact(|node, now| node.add_contact(name, target, now))?;
        if let Ok(invite) = target.parse() {
            let names = self.join_through(&invite);
            names.into_iter().for_each(|name| self.world.resolver.resolve(Purpose::Join(None), name));
        }
        Ok(outcome)
    }

    fn call_stats(&mut self, call: Option<u32>) -> Outcome {
        let talks = &self.world.talks;
        let call = call.map(CallNumber).or_else(|| talks.running().next()).or_else(|| talks.last_ended());
        let stats = call.and_then(|call| self.stats(call));
        stats.map(|stats| Reply::Stats(Box::new(stats))).ok_or_else(|| {
            Failure::new(FailureKind::NotFound, "no such call has had any sound since the daemon started")
        })
    }

    /// The figures of a call that runs or ended lately.
    pub(crate) fn stats(&mut self, call: CallNumber) -> Option<CallStats> {
        let figures = self.world.talks.figures(call)?;
        if let Some(view) = self.node.call(call) {
            self.note_session(&view);
        }
        let (session, moves) = (self.desk.session(call.0), self.desk.path_changes(call.0));
        Some(convert::stats(call.0, &figures, session.as_ref(), moves))
    }

    fn contact_info(&self, contact: &Contact) -> message::Contact {
        convert::contact(contact, self.presence(contact.id))
    }

    pub(crate) fn call_info(&self, view: &CallView) -> message::CallInfo {
        let mut info = convert::call(view, &self.node);
        info.answered_by = self.desk.answered_by(view.number.0);
        info.route = self.desk.route(view.number.0);
        info
    }

    /// Tells clients and store what happened in the node.
    pub(crate) fn happened(&mut self, event: Event) {
        match event {
            Event::Call(view) => self.call_changed(&view),
            Event::Contact(contact) => {
                self.world.store.save_contact(contact.clone());
                self.world.server.event(&message::Event::Contact(self.contact_info(&contact)));
            }
            Event::ContactRemoved(id) => {
                self.world.store.remove_contact(id);
                self.world.server.event(&message::Event::ContactRemoved { id: id.to_string() });
            }
            Event::KeyChanged(id) => self.activity(format!(
                "WARNING: {} shows another key than before; compare fingerprints by another way, then verify the contact with the new one",
                self.name_of(id)
            )),
            Event::Network => {
                self.network_event();
                self.log_network();
                self.world.server.event(&message::Event::Network(Box::new(self.network())));
            }
            Event::LookedUp(lookup) => {
                let lookup = convert::lookup(&lookup, &self.node);
                self.world.server.event(&message::Event::Lookup(lookup));
            }
            Event::AutoAnswered(call) => self.auto_answered(call),
            Event::Policy(policy) => self.policy_changed(policy),
            Event::Verification { call, state } => self.verification_changed(call, state),
            Event::Presence { peer, presence } => {
                let presence = super::trust::presence(presence);
                self.world.server.event(&message::Event::Presence { id: peer.to_string(), presence });
            }
        }
    }

    fn call_changed(&mut self, view: &CallView) {
        self.note_session(view);
        let info = self.call_info(view);
        let number = info.call;
        self.log_call(view);
        self.world.server.event(&message::Event::Call(info));
        if let Some(past) = view.past() {
            self.world.store.add_history(past);
            self.desk.ended(number, past);
            self.world.server.event(&message::Event::History(convert::past_call(&past, &self.node)));
        }
    }

    /// Takes note of the session under a call while it is there.
    fn note_session(&mut self, view: &CallView) {
        if let Some(stats) = self.node.session_stats(view.key) {
            self.desk.carried(view.number.0, stats);
        }
    }

    fn log_call(&self, view: &CallView) {
        let (call, peer, state) = (view.number.0, view.key.peer, view.state);
        let cause = view.cause.map(|cause| format!(", {cause}")).unwrap_or_default();
        tracing::info!(%peer, "call {call} with {}: {state:?}{cause}", self.name_of(peer));
    }

    fn log_network(&self) {
        let status = self.node.routing_status(clock::now());
        let state = if status.online { "online" } else { "offline" };
        let seen = status.observed.map(|at| format!(", seen at {at}")).unwrap_or_default();
        let plural = if status.nodes == 1 { "" } else { "s" };
        tracing::info!("{state}: {} node{plural}{seen}", status.nodes);
    }

    /// A line for the clients' activity panes and the log.
    pub(crate) fn activity(&self, text: String) {
        tracing::warn!("{text}");
        self.world.server.event(&message::Event::Activity { at: clock::now().unix, text });
    }

    pub(crate) fn name_of(&self, id: NodeId) -> String {
        self.node.people().name_of(id).map_or_else(|| id.to_string(), str::to_owned)
    }
}

/// Room that the texts of a contact need in an answer, in bytes, with some for all else.
fn weight(contact: &message::Contact) -> usize {
    let texts = contact.at.iter().chain(&contact.via).chain(&contact.fingerprint).chain(&contact.last_address);
    64 + contact.id.len() + contact.name.len() + texts.map(|text| text.len() + 3).sum::<usize>()
}

fn look_up_failure(error: LookUpError) -> Failure {
    let kind = match error {
        LookUpError::InCall => FailureKind::State,
        LookUpError::TooMany => FailureKind::Limit,
    };
    Failure::new(kind, error.to_string())
}

fn dial_failure(error: &DialError) -> Failure {
    Failure::new(FailureKind::State, error.to_string())
}

fn call_failure(error: &CallError, action: &str) -> Failure {
    let message = match (error, action) {
        (CallError::NoSuchCall, "answered" | "declined") => "nobody is calling".to_owned(),
        (CallError::NoSuchCall, "switched") => "there is no other call; dvs-tui status shows all".to_owned(),
        (CallError::NoSuchCall, _) => "there is no such call; dvs-tui status shows all".to_owned(),
        (CallError::NotAnswered(number), _) => format!("call {number} has not been answered; only then can it be held"),
        (CallError::InCall(number), _) => {
            format!("call {number} cannot be held for it: hang up first, with dvs-tui hangup {number}")
        }
        (CallError::NotRinging(number), _) => format!("call {number} does not ring here; dvs-tui status shows all"),
        (CallError::NotBusy(number), _) => {
            format!("call {number} has nothing to wait for: only with somebody who is busy there is a queue")
        }
        (CallError::NoRoom(_) | CallError::OtherHeld(_), _) => error.to_string(),
    };
    let kind = match error {
        CallError::NoSuchCall => FailureKind::NotFound,
        CallError::NoRoom(_) => FailureKind::NotAnswered,
        CallError::NotRinging(_)
        | CallError::NotAnswered(_)
        | CallError::InCall(_)
        | CallError::OtherHeld(_)
        | CallError::NotBusy(_) => FailureKind::State,
    };
    Failure::new(kind, message)
}

fn people_failure(error: PeopleError) -> Failure {
    Failure::new(people_failure_kind(&error), error.to_string())
}

const fn people_failure_kind(error: &PeopleError) -> FailureKind {
    match error {
        PeopleError::NoSuchName(_) | PeopleError::NotContact => FailureKind::NotFound,
        PeopleError::Full => FailureKind::Limit,
        PeopleError::KeyMismatch | PeopleError::FingerprintMismatch | PeopleError::KeyNotSettled => FailureKind::State,
        PeopleError::Name(_)
        | PeopleError::NameTaken(_)
        | PeopleError::AlreadyContact(_)
        | PeopleError::OwnId
        | PeopleError::Id(_) => FailureKind::BadInput,
    }
}
