// SPDX-License-Identifier: GPL-3.0-or-later
//! Comparing keys by voice, who may ring, who is answered at once, and who can be reached.

use dvs_proto::message::{
    CallInfo, CallState, Policy, Presence, Request, Trust, UnknownCallers, Verification, VerifyState,
};

use super::requests::Purpose;
use super::{App, Incoming};
use crate::ui::calls::{self, talking, who};
use crate::ui::keys::Action;
use crate::ui::people::Pane;
use crate::ui::popups::{Popup, Verify};
use crate::ui::{policy, verify};

impl App {
    /// What the keys about comparing keys do.
    pub(super) fn act_on_keys(&mut self, action: Action) {
        match action {
            Action::Matches => self.compared(true),
            Action::Differs => self.compared(false),
            _ => self.compare(),
        }
    }

    /// The comparison in the call with this number, if there is one to show.
    pub(crate) fn verification(&self, call: u32) -> Option<&Verification> {
        self.daemon.verification.as_ref().filter(|verification| verification.call == call)
    }

    /// Whether there are words to compare in the pop-up.
    pub(crate) fn comparing(&self) -> bool {
        let Some(Popup::Verify(verify)) = self.popup else { return false };
        self.verification(verify.call).is_some_and(|one| one.state == VerifyState::Compare)
    }

    /// Begins to compare keys in the current call, or shows again what is to be compared.
    fn compare(&mut self) {
        let talks = self.calls.current().filter(|call| talking(call.info.state)).map(|call| call.info.clone());
        let Some(info) = talks else { return self.say(self.how_to_verify(), false) };
        let under_way = self.verification(info.call).map(|verification| verification.state);
        if !matches!(under_way, Some(VerifyState::Exchanging | VerifyState::Compare)) {
            self.daemon.verification = None;
            self.ask(Purpose::Verify, Request::VerifyStart { call: Some(info.call) });
        }
        self.open(Popup::Verify(Verify { call: info.call, since: self.now.mono }));
    }

    /// How the selected contact could be verified, while nobody talks to them.
    fn how_to_verify(&self) -> String {
        let person = self.lists.person(&self.daemon).filter(|_| self.lists.pane == Pane::Contacts);
        match person.and_then(|person| person.name) {
            Some(name) => format!(
                "to compare keys by voice, call {name} and press v; by fingerprint: :contact verify \"{name}\" FINGERPRINT"
            ),
            None => "keys are compared in a call: call somebody, then press v".to_owned(),
        }
    }

    /// The user has said whether the words are the same.
    fn compared(&mut self, matches: bool) {
        let Some(Popup::Verify(Verify { call, .. })) = self.popup else { return };
        if !self.comparing() {
            return self.say("there is nothing to compare yet", false);
        }
        self.popup = None;
        self.ask(Purpose::Verified, Request::VerifyDone { call: Some(call), matches });
    }

    /// The comparison is of no use any more.
    pub(super) fn close_verify(&mut self) {
        self.popup.take_if(|popup| matches!(popup, Popup::Verify(_)));
    }

    /// A comparison of keys began, went on, or is over.
    pub(super) fn verification_changed(&mut self, new: Verification) {
        let before = self.daemon.verification.take().filter(|known| known.call == new.call);
        let (call, state) = (new.call, new.state);
        let news = before.is_none_or(|known| known.state != state);
        self.daemon.verification = Some(new);
        let Some(name) = self.calls.get(call).map(|call| who(&call.info, self.theme())) else { return };
        if !news {
            return;
        }
        match state {
            VerifyState::Exchanging => {}
            VerifyState::Compare => self.show_words(call, &name),
            VerifyState::Matched | VerifyState::Differs | VerifyState::Failed => {
                self.close_verify();
                self.say(verify::in_words(state, &name), state != VerifyState::Matched);
                self.record(verify::in_words(state, &name));
            }
        }
    }

    /// There are words to compare. If the user is at something else, that is not taken from their hands.
    fn show_words(&mut self, call: u32, name: &str) {
        let free = self.popup.as_ref().is_none_or(|popup| matches!(popup, Popup::Verify(_)));
        if free && !self.typing() {
            self.popup = Some(Popup::Verify(Verify { call, since: self.now.mono }));
        } else {
            self.say(format!("{name} wants to compare keys: v shows the words"), false);
        }
        self.record(format!("comparing keys with {name}"));
    }

    /// What follows for the pop-up in which keys are compared.
    pub(super) fn settle_verify(&mut self) {
        let Some(Popup::Verify(verify)) = &self.popup else { return };
        let over = self.calls.get(verify.call).is_none_or(|call| matches!(call.info.state, CallState::Ending));
        if over {
            self.popup = None;
        } else if let (Some(Incoming { waits: false, .. }), Some(Popup::Verify(verify))) =
            (self.incoming, &mut self.popup)
        {
            // Whoever rings takes the keys; what is pressed then is not about the words.
            verify.since = self.now.mono;
        }
    }

    /// What must not be overlooked at the end of a call.
    pub(super) fn alarm_of(&self, info: &CallInfo, name: &str) -> Option<String> {
        let differed = self.verification(info.call).is_some_and(|one| one.state == VerifyState::Differs);
        calls::alarm(info, name).or_else(|| differed.then(|| verify::in_words(VerifyState::Differs, name)))
    }

    /// Lets nobody ring, or lets them again; `None` switches to the opposite of what is shown.
    pub(super) fn do_not_disturb(&mut self, on: Option<bool>) {
        let on = Some(on.unwrap_or(!self.daemon.policy.do_not_disturb));
        self.ask(Purpose::Policy, Request::DoNotDisturb { on });
    }

    pub(super) fn next_unknown_callers(&mut self) {
        self.unknown_callers(policy::after(self.daemon.policy.unknown_callers));
    }

    pub(super) fn unknown_callers(&mut self, policy: UnknownCallers) {
        self.ask(Purpose::Policy, Request::UnknownCallers { policy });
    }

    pub(super) fn policy_changed(&mut self, new: Policy) {
        let before = std::mem::replace(&mut self.daemon.policy, new);
        if before.do_not_disturb != new.do_not_disturb {
            self.record(policy::disturb(new.do_not_disturb));
        }
        if before.unknown_callers != new.unknown_callers {
            self.record(policy::strangers(new.unknown_callers));
        }
    }

    pub(super) fn swap_auto_answer(&mut self) {
        let selected = self.lists.contact(&self.daemon).map(|contact| (contact.id.clone(), contact.auto_answer));
        match selected.filter(|_| self.lists.pane == Pane::Contacts) {
            Some((id, on)) => self.auto_answer(id, !on),
            None => self.say("no contact is selected", false),
        }
    }

    pub(super) fn auto_answer(&mut self, contact: String, on: bool) {
        let done = if on { "answered at once from now on, after a tone" } else { "rings again" }.to_owned();
        self.ask(Purpose::Told { done }, Request::ContactAutoAnswer { contact, on });
    }

    pub(super) fn presence_changed(&mut self, id: &str, presence: Presence) {
        let known = self.daemon.contacts.iter_mut().filter(|contact| contact.id == id);
        known.for_each(|contact| contact.presence = presence);
    }

    /// A contact shows another key than before: nobody must overlook that.
    pub(super) fn trust_changed(&mut self, before: Option<Trust>, trust: Trust, name: &str) {
        if trust == Trust::Changed && before != Some(Trust::Changed) {
            let line = format!("KEY CHANGED: {name} shows another key than before and is refused; see their entry");
            self.say(line.clone(), true);
            self.record(line);
        }
    }
}
