// SPDX-License-Identifier: GPL-3.0-or-later
//! What the daemon does when calls are answered without asking, words are compared, or the policy for callers changes.

use dvs_proto::message;
use dvsd::call::CallNumber;
use dvsd::node::{Input, Policy, VerifyState};

use crate::clock;
use crate::control::trust as shown;
use crate::service::Service;
use crate::store::Chosen;

impl Service {
    /// Tells the node whether anybody looks.
    pub(crate) fn watched(&mut self) {
        let attended = self.desk.is_attended();
        self.input(Input::Attended(attended));
    }

    /// Users changed what happens with callers: that outlives the daemon, and goes before the configuration.
    pub(crate) fn policy_changed(&mut self, policy: Policy) {
        let before = core::mem::replace(&mut self.policy, policy);
        self.world.store.save_chosen(Chosen::between(before, policy));
        self.world.server.event(&message::Event::Policy(shown::policy(policy)));
        tracing::info!(?policy, "what happens with callers was changed");
    }

    /// A call was answered without asking: every client shows it, and the log keeps it.
    pub(crate) fn auto_answered(&mut self, call: CallNumber) {
        self.desk.answered_unasked(call.0);
        let Some(view) = self.node.call(call) else { return };
        self.world.server.event(&message::Event::Call(self.call_info(&view)));
        let text = format!("answered {} without asking: the microphone is in use", self.name_of(view.key.peer));
        tracing::info!(call = call.0, "{text}");
        self.world.server.event(&message::Event::Activity { at: clock::now().unix, text });
    }

    /// The verification of a call went on.
    pub(crate) fn verification_changed(&self, call: CallNumber, state: VerifyState) {
        self.world.server.event(&message::Event::Verification(shown::verification(call, state)));
        let name = self.node.call(call).map_or_else(|| "the peer".to_owned(), |view| self.name_of(view.key.peer));
        match state {
            VerifyState::Differs => self.activity(format!(
                "WARNING: the words compared with {name} differ: somebody is between you. The call was ended. Compare \
                 fingerprints by another way before you call again"
            )),
            VerifyState::Matched => tracing::info!(call = call.0, "{name} is verified"),
            VerifyState::Failed => tracing::info!(call = call.0, "the words for {name} were not agreed on"),
            // The words themselves are not for the log.
            VerifyState::Exchanging | VerifyState::Compare(_) => {}
        }
    }
}
