// SPDX-License-Identifier: GPL-3.0-or-later
//! What is asked of the daemon, why, and what its answer changes.

use dvs_proto::message::{CallInfo, CallState, CallStats, Failure, Reply, Request};

use super::{App, Effect, LEAVE_TIME, Link};
use crate::ui::calls::{on_hold, who};
use crate::ui::policy;
use crate::ui::popups::{Popup, Verdict};
use crate::ui::sanitise::Clean;

/// Why something was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Nobody waits for the answer; a failure is shown.
    Act,
    /// Nobody waits for the answer, not even for a failure.
    Quiet,
    /// To see whose a typed text is.
    Resolve { text: String },
    /// To look for somebody without calling.
    Lookup,
    /// To take a call off hold.
    Resume,
    /// To answer a call at this client.
    Answer { call: u32 },
    /// To do what the open form says; the form closes when it is done.
    Form { done: Option<String> },
    /// To do what was confirmed or commanded.
    Told { done: String },
    /// To begin to compare keys in a call.
    Verify,
    /// To say what came of comparing keys.
    Verified,
    /// To change who may ring.
    Policy,
    /// To switch the microphone.
    Mute,
    /// To switch the loudspeaker.
    Deafen,
    /// To keep the figures of a call that ended.
    LastStats { call: u32 },
    /// To leave when it is done.
    Leave,
}

impl App {
    /// Asks the daemon, if it is there.
    pub(super) fn ask(&mut self, purpose: Purpose, request: Request) {
        if self.link != Link::Up {
            if purpose != Purpose::Quiet {
                self.say("not connected to the daemon", true);
            }
            return;
        }
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        self.pending.insert(id, purpose);
        self.effects.push(Effect::Send { id, request });
    }

    /// Asks whose the text of the open form is, unless that is being asked already.
    pub(super) fn resolve(&mut self) {
        let Some(text) = self.popup.as_ref().and_then(Popup::target_text) else { return };
        if text.is_empty() {
            return self.set_verdict(Verdict::Empty);
        }
        if self.link != Link::Up {
            return self.set_verdict(Verdict::Unasked);
        }
        self.set_verdict(Verdict::Asked);
        if !self.pending.values().any(|purpose| matches!(purpose, Purpose::Resolve { .. })) {
            self.ask(Purpose::Resolve { text: text.clone() }, Request::Resolve { text });
        }
    }

    fn set_verdict(&mut self, verdict: Verdict) {
        if let Some(popup) = &mut self.popup {
            popup.set_verdict(verdict);
        }
    }

    /// Takes the answer to a request.
    pub(super) fn answered(&mut self, id: u32, outcome: Result<Reply, Failure>) {
        let Some(purpose) = self.pending.remove(&id) else { return };
        match outcome.map(Clean::cleaned).map_err(Clean::cleaned) {
            Ok(reply) => self.granted(purpose, reply),
            Err(failure) => self.refused(purpose, failure.message),
        }
    }

    fn granted(&mut self, purpose: Purpose, reply: Reply) {
        match (purpose, reply) {
            (Purpose::Resolve { text }, Reply::Target(target)) => self.resolved(&text, Verdict::Known(target)),
            (Purpose::LastStats { call }, Reply::Stats(stats)) => {
                if let Some(finished) = self.calls.finished.as_mut().filter(|f| f.info.call == call) {
                    // The way to the peer is measured only as long as there is one.
                    let rtt_us = stats.rtt_us.or(finished.stats.as_ref().and_then(|before| before.rtt_us));
                    finished.stats = Some(CallStats { rtt_us, ..*stats });
                }
            }
            (Purpose::Mute, Reply::Switched { on }) => self.daemon.audio.muted = on,
            (Purpose::Deafen, Reply::Switched { on }) => self.daemon.audio.deafened = on,
            (Purpose::Leave, _) => self.quit(None),
            (Purpose::Lookup, Reply::Target(target)) => {
                self.say(format!("looking for {}", target.name.as_ref().unwrap_or(&target.id)), false);
                self.looking = Some(target.id);
            }
            (Purpose::Resume, Reply::Call(info)) => self.resumed(info),
            (Purpose::Policy, Reply::Policy(new)) => {
                self.daemon.policy = new;
                self.say(policy::in_words(new), false);
            }
            (Purpose::Form { done }, reply) => {
                self.popup = None;
                self.store(reply);
                done.into_iter().for_each(|done| self.say(done, false));
            }
            (Purpose::Told { done }, reply) => {
                self.store(reply);
                self.say(done, false);
            }
            (_, reply) => self.store(reply),
        }
    }

    /// A call that is still on hold although we do not hold it is held by the peer.
    fn resumed(&mut self, info: CallInfo) {
        let held = info.state == CallState::Held && !info.held_here;
        let line = on_hold(&info, None, &who(&info, self.theme()));
        self.call_changed(info.clone());
        if held {
            self.calls.forget_actor(info.call);
            self.say(format!("{line}, and is the one to resume"), false);
        }
    }

    /// Takes over the state that an answer carries.
    fn store(&mut self, reply: Reply) {
        match reply {
            Reply::Call(info) => self.call_changed(info),
            Reply::Contact(contact) => self.contact_changed(contact),
            Reply::Snapshot(snapshot) => self.take_snapshot(*snapshot),
            Reply::History(history) => self.daemon.history = history,
            Reply::Contacts(contacts) => contacts.into_iter().for_each(|contact| self.contact_changed(contact)),
            Reply::Network(network) => self.network_changed(*network),
            Reply::Policy(policy) => self.daemon.policy = policy,
            Reply::Verification(verification) => self.verification_changed(verification),
            Reply::Done | Reply::Target(_) | Reply::Switched { .. } | Reply::Stats(_) | Reply::Invite(_) => {}
        }
    }

    fn refused(&mut self, purpose: Purpose, why: String) {
        match purpose {
            Purpose::Quiet | Purpose::LastStats { .. } => {}
            Purpose::Resolve { text } => self.resolved(&text, Verdict::Bad(why)),
            Purpose::Form { .. } => match &mut self.popup {
                Some(popup) => popup.set_trouble(why),
                None => self.say(why, true),
            },
            Purpose::Answer { call } => {
                self.calls.mark_answered_here(call, false);
                self.say(why, true);
            }
            Purpose::Leave => self.quit(None),
            Purpose::Verify => {
                self.close_verify();
                self.say(why, true);
            }
            Purpose::Act
            | Purpose::Verified
            | Purpose::Policy
            | Purpose::Lookup
            | Purpose::Resume
            | Purpose::Told { .. }
            | Purpose::Mute
            | Purpose::Deafen => self.say(why, true),
        }
    }

    /// An old verdict is of no use when the text went on; then the new text is asked about.
    fn resolved(&mut self, text: &str, verdict: Verdict) {
        if self.popup.as_ref().and_then(Popup::target_text).as_deref() == Some(text) {
            self.set_verdict(verdict);
        } else {
            self.resolve();
        }
    }

    /// Hangs up and leaves as soon as the daemon has heard it.
    pub(super) fn hang_up_and_quit(&mut self) {
        let calls: Vec<u32> = self.calls.ongoing().iter().map(|call| call.info.call).collect();
        if self.link != Link::Up || calls.is_empty() {
            return self.quit(None);
        }
        self.popup = None;
        self.leaving = Some(self.now.mono + LEAVE_TIME);
        self.say("hanging up", false);
        let ours = self.calls.to_leave().map(|call| call.info.call);
        for call in calls.into_iter().filter(|call| Some(*call) != ours) {
            self.ask(Purpose::Quiet, Request::Hangup { call: Some(call) });
        }
        self.ask(Purpose::Leave, Request::Hangup { call: ours });
    }

    /// Forgets what was asked over a connection that is gone.
    pub(super) fn forget_requests(&mut self) {
        self.pending.clear();
        self.looking = None;
        self.resolve();
        self.levels_wanted = false;
        self.levels = None;
    }
}
