// SPDX-License-Identifier: GPL-3.0-or-later
//! What the daemon tells, and what that changes.

use std::time::Duration;

use dvs_proto::message::{
    CallInfo, CallState, ClientInfo, Contact, Direction, EndReason, Event, Levels, Lookup, Network, PastCall, Request,
    Snapshot, ToClient,
};

use super::requests::Purpose;
use super::{App, Link, TRAIL};
use crate::ui::calls::{self, Actor, Change, Finished, Ongoing, named, talking, who, why_by};
use crate::ui::overlay;
use crate::ui::sanitise::Clean;

/// Past calls kept.
const HISTORY: usize = 200;

impl App {
    /// A message of the daemon.
    pub(super) fn message(&mut self, message: ToClient) {
        match message {
            ToClient::Reply { id, outcome } => self.answered(id, outcome),
            ToClient::Event(event) => self.event(event.cleaned()),
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Call(info) => self.call_changed(info),
            Event::Network(network) => self.network_changed(*network),
            Event::Audio(audio) => self.daemon.audio = audio,
            Event::Contact(contact) => self.contact_changed(contact),
            Event::ContactRemoved { id } => self.contact_removed(&id),
            Event::History(call) => self.past_call(call),
            Event::ClientAttached(client) => self.client_attached(client),
            Event::ClientGone(client) => self.daemon.clients.retain(|known| known.client != client.client),
            Event::Acted { client, call, .. } => self.acted(client, call),
            Event::Activity { at, text } => self.record_at(at, text),
            Event::Levels(levels) => self.levels_came(levels),
            Event::Lookup(lookup) => self.looked_up(&lookup),
            Event::Policy(policy) => self.policy_changed(policy),
            Event::Verification(verification) => self.verification_changed(verification),
            Event::Presence { id, presence } => self.presence_changed(&id, presence),
            Event::Stats(stats) => {
                if let Some(rtt) = stats.rtt_us {
                    self.trail.push_back(rtt);
                    let surplus = self.trail.len().saturating_sub(TRAIL);
                    self.trail.drain(..surplus);
                }
                self.stats = Some(*stats);
            }
        }
    }

    /// A call appeared, changed or ended.
    pub(super) fn call_changed(&mut self, info: CallInfo) {
        let current = self.calls.current().map(|call| call.info.call);
        let change = self.calls.store(info.clone(), self.now.unix);
        if info.state == CallState::Ended {
            self.call_over(&change, info);
        } else {
            self.call_goes_on(&change, &info);
            if talking(info.state) || change.before.is_none() {
                self.calls.finished = None;
            }
        }
        if self.calls.current().map(|call| call.info.call) != current {
            self.stats = None;
            self.levels = None;
            self.trail.clear();
        }
    }

    /// A call that was never in sight here, because it was refused or missed at once, is worth a line only.
    fn call_over(&mut self, change: &Change, info: CallInfo) {
        let name = who(&info, self.theme());
        let reason = info.ended.unwrap_or(EndReason::HungUp);
        let why = match calls::not_the_invited(&info) {
            Some(advice) => format!("{name} {advice}"),
            None => why_by(reason, info.direction, &name, change.by.as_ref()),
        };
        let told = self.calls.finished.as_ref().is_some_and(|finished| finished.info.call == info.call);
        if change.before.is_some() {
            self.call_ended(info, why);
        } else if info.direction == Direction::Incoming && !told {
            self.record(about(&name, &why));
        }
    }

    fn call_ended(&mut self, info: CallInfo, why: String) {
        let name = who(&info, self.theme());
        let talked = info.answered.map(|answered| self.now.unix.saturating_sub(answered));
        self.record(about(&name, &why));
        let stats = self.stats.clone().filter(|stats| stats.call == info.call);
        if talked.is_some() {
            self.ask(Purpose::LastStats { call: info.call }, Request::Stats { call: Some(info.call) });
        }
        let alarm = self.alarm_of(&info, &name);
        self.calls.finished = Some(Finished { info, talked, stats, why, alarm });
    }

    /// Writes into the log what became of a call, and says so when it was answered, but not here.
    fn call_goes_on(&mut self, change: &Change, info: &CallInfo) {
        let (name, here) = (who(info, self.theme()), self.calls.answered_here(info.call));
        let Some(line) = calls::news(change, info, &name, here) else { return };
        let rang = change.before.as_ref().is_some_and(|known| known.info.state == CallState::Alerting);
        if rang && !here {
            self.say(line.clone(), false);
        }
        self.record(line);
    }

    /// A search is over that this client or another asked for.
    fn looked_up(&mut self, lookup: &Lookup) {
        let name = named(lookup.name.as_deref(), &lookup.peer, self.theme());
        let outcome = match lookup.missing {
            Some(EndReason::Offline) => overlay::offline(&self.daemon.network),
            Some(reason) => calls::why(reason, Direction::Outgoing, &name),
            None => overlay::found(lookup),
        };
        let line = format!("{name}: {outcome}");
        if self.looking.as_ref() == Some(&lookup.peer) {
            self.looking = None;
            self.say(line.clone(), lookup.missing.is_some());
        }
        self.record(line);
    }

    pub(super) fn network_changed(&mut self, network: Network) {
        match (self.daemon.network.online, network.online) {
            (false, true) => self.record("online: other nodes answer"),
            (true, false) => self.record("offline: no other node answers"),
            _ => {}
        }
        self.daemon.network = network;
    }

    /// A contact appeared or changed.
    pub(super) fn contact_changed(&mut self, contact: Contact) {
        let contacts = &mut self.daemon.contacts;
        let at = contacts.iter().position(|known| known.id == contact.id);
        let before = at.map(|at| contacts.remove(at).trust);
        let name = (!contact.name.is_empty()).then(|| contact.name.clone());
        for past in self.daemon.history.iter_mut().filter(|past| past.peer == contact.id) {
            past.name.clone_from(&name);
        }
        self.calls.know(&contact.id, name.as_ref(), Some(contact.trust));
        let (trust, called) = (contact.trust, named(name.as_deref(), &contact.id, self.setting.theme));
        contacts.push(contact);
        sort_by_name(contacts);
        self.trust_changed(before, trust, &called);
    }

    fn contact_removed(&mut self, id: &str) {
        self.daemon.contacts.retain(|known| known.id != id);
        for past in self.daemon.history.iter_mut().filter(|past| past.peer == id) {
            past.name = None;
        }
        self.calls.know(id, None, None);
    }

    /// A call went into the history, which knows best how long it was talked.
    fn past_call(&mut self, call: PastCall) {
        let finished = self.calls.finished.as_mut();
        if let Some(finished) = finished.filter(|f| f.info.peer == call.peer && f.info.started == call.started) {
            finished.talked = call.talked.map(u64::from);
        }
        self.daemon.history.insert(0, call);
        self.daemon.history.truncate(HISTORY);
    }

    fn client_attached(&mut self, client: ClientInfo) {
        self.daemon.clients.retain(|known| known.client != client.client);
        self.daemon.clients.push(client);
    }

    /// Somebody did something to a call. What came of it is told by the call itself, which follows.
    fn acted(&mut self, client: ClientInfo, call: Option<u32>) {
        let by = if client.client == self.daemon.you { Actor::You } else { Actor::Client(client.name) };
        if let Some(call) = call {
            self.calls.acted(call, by);
        }
    }

    /// Levels that were underway when they were switched off are of no interest.
    fn levels_came(&mut self, levels: Levels) {
        if self.levels_wanted {
            self.levels = Some(levels);
        }
    }

    /// The connection stands again.
    pub(super) fn linked(&mut self, snapshot: Snapshot) {
        self.link = Link::Up;
        self.notice = None;
        self.record("connected to the daemon");
        self.take_snapshot(snapshot);
        self.resolve();
    }

    /// The connection is gone, or still cannot be made.
    pub(super) fn unlinked(&mut self, why: String, retry: Duration) {
        if self.link == Link::Up {
            self.record(format!("lost the daemon: {why}"));
        }
        self.link = Link::Down { why, retry: self.now.mono + retry };
        self.forget_requests();
        if self.leaving.is_some() {
            self.quit(None);
        }
    }

    /// Replaces all that is known. Calls the daemon no longer knows went down with it.
    pub(super) fn take_snapshot(&mut self, mut snapshot: Snapshot) {
        snapshot.clean();
        sort_by_name(&mut snapshot.contacts);
        let before = self.calls.drain();
        for info in std::mem::take(&mut snapshot.calls) {
            self.calls.store(info, self.now.unix);
        }
        self.daemon = snapshot;
        let gone = |known: &Ongoing| self.calls.get(known.info.call).is_none();
        let lost: Vec<Ongoing> = before.into_iter().filter(gone).collect();
        for lost in lost {
            let info = CallInfo { state: CallState::Ended, ended: Some(EndReason::GoingAway), ..lost.info };
            self.call_ended(info, "our daemon stopped, and the call with it".to_owned());
        }
    }
}

/// A line about somebody, who is named once.
fn about(name: &str, line: &str) -> String {
    if line.contains(name) { line.to_owned() } else { format!("{name}: {line}") }
}

fn sort_by_name(contacts: &mut [Contact]) {
    contacts.sort_by_cached_key(|contact| (contact.name.is_empty(), contact.name.to_lowercase(), contact.id.clone()));
}
