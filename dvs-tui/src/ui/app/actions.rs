// SPDX-License-Identifier: GPL-3.0-or-later
//! What keys and commands do.

use dvs_proto::message::{CallState, Request, Trust};
use tui_input::Input as Field;

use super::requests::Purpose;
use super::{App, Effect, Link, View};
use crate::ui::calls::{self, named, who};
use crate::ui::command::{self, Command};
use crate::ui::keys::Action;
use crate::ui::people::{Pane, Person, Step};
use crate::ui::popups::{AddContact, Code, CommandLine, Confirm, Dial, Popup, Rename};
use crate::ui::screens;
use crate::ui::time::timer;

/// Rows that a page key moves.
const PAGE: isize = 10;

impl App {
    /// Does what a key means.
    pub(super) fn act(&mut self, action: Action) {
        if self.typing() {
            return self.act_in_field(action);
        }
        match action {
            Action::Up => self.step(Step::By(-1)),
            Action::Down => self.step(Step::By(1)),
            Action::PageUp => self.step(Step::By(-PAGE)),
            Action::PageDown => self.step(Step::By(PAGE)),
            Action::First => self.step(Step::First),
            Action::Last => self.step(Step::Last),
            Action::Next => self.lists.next_pane(),
            Action::Filter => self.lists.filtering = true,
            Action::Command => self.command = Some(CommandLine::default()),
            Action::Submit => self.submit(),
            Action::Close => self.close(),
            _ => self.act_on_call(action),
        }
    }

    fn act_on_call(&mut self, action: Action) {
        match action {
            Action::CallSelected => self.call_selected(),
            Action::Mute => self.mute(None),
            Action::Deafen => self.deafen(None),
            Action::Hold => self.hold(),
            Action::Switch => self.switch(),
            Action::Wait => self.wait_in_queue(true),
            Action::LeaveQueue => self.wait_in_queue(false),
            Action::HangUp => self.hang_up(),
            Action::Answer => self.answer(),
            Action::Decline => self.decline(),
            Action::Ignore => self.ignore(),
            Action::BlockCaller => self.block_caller(),
            _ => self.act_on_screen(action),
        }
    }

    fn act_on_screen(&mut self, action: Action) {
        match action {
            Action::Dial => self.open(Popup::Dial(Dial::default())),
            Action::AddContact => self.open_add_contact(),
            Action::Rename => self.open_rename(),
            Action::Remove => self.ask_remove(),
            Action::Block => self.ask_block(),
            Action::Copy => self.copy_id(),
            Action::CopyInvite => self.copy(self.daemon.identity.invite.clone(), "the invite"),
            Action::SwapCode => self.swap_code(),
            Action::Audio => self.show(View::Audio),
            Action::Network => self.show(View::Network),
            Action::Log => self.show(View::Log),
            Action::MyId => self.toggle(Popup::MyId(Code::Id)),
            Action::Help => self.toggle(Popup::Help),
            Action::Verify | Action::Matches | Action::Differs => self.act_on_keys(action),
            Action::DoNotDisturb => self.do_not_disturb(None),
            Action::UnknownCallers => self.next_unknown_callers(),
            Action::AutoAnswer => self.swap_auto_answer(),
            Action::Quit => self.ask_quit(),
            Action::LeaveRunning => self.leave(),
            Action::HangUpAndQuit => self.hang_up_and_quit(),
            _ => {}
        }
    }

    fn step(&mut self, step: Step) {
        if self.popup.is_some() || self.view != View::Main {
            self.scroll_by(step);
        } else {
            self.lists.step(step, &self.daemon);
        }
    }

    /// The log is counted from its end, so that it follows what happens; all else from the top.
    fn scroll_by(&mut self, step: Step) {
        let rows = screens::scroll_limit(self) + 1;
        let from_end = self.popup.is_none() && self.view == View::Log;
        let step = match step {
            Step::By(rows) if from_end => Step::By(-rows),
            Step::First if from_end => Step::Last,
            Step::Last if from_end => Step::First,
            step => step,
        };
        self.scroll = step.from(self.scroll, rows);
    }

    pub(super) fn open(&mut self, popup: Popup) {
        self.scroll = 0;
        self.popup = Some(popup);
    }

    /// A key that opens something closes it as well.
    fn toggle(&mut self, popup: Popup) {
        let open = self.popup.as_ref().is_some_and(|open| open.same_kind(&popup));
        if open { self.popup = None } else { self.open(popup) }
    }

    fn show(&mut self, view: View) {
        self.popup = None;
        self.view = if self.view == view { View::Main } else { view };
        self.scroll = 0;
    }

    /// Closes the topmost thing that is open.
    fn close(&mut self) {
        if self.popup.take().is_some() {
            return;
        }
        if self.view != View::Main {
            self.view = View::Main;
        } else if !self.lists.filter.value().is_empty() {
            self.lists.filter.reset();
        } else {
            self.calls.finished = None;
        }
    }

    fn call_selected(&mut self) {
        match self.lists.person(&self.daemon) {
            Some(person) => self.dial(person.id),
            None => self.say("nobody is selected; n adds a contact, d dials an ID", false),
        }
    }

    /// Calls a name, an ID or an invite.
    pub(super) fn dial(&mut self, target: String) {
        self.ask(Purpose::Act, Request::dial(target));
    }

    /// `None` switches to the opposite of what is shown, so that two clients never undo each other.
    fn mute(&mut self, on: Option<bool>) {
        let on = Some(on.unwrap_or(!self.daemon.audio.muted));
        self.ask(Purpose::Mute, Request::Mute { on });
    }

    fn deafen(&mut self, on: Option<bool>) {
        let on = Some(on.unwrap_or(!self.daemon.audio.deafened));
        self.ask(Purpose::Deafen, Request::Deafen { on });
    }

    fn hold(&mut self) {
        let Some(current) = self.calls.current() else { return self.say("there is no call to hold", true) };
        let held = current.info.state == CallState::Held;
        if held && !current.info.held_here {
            let line = calls::on_hold(&current.info, current.by.as_ref(), &who(&current.info, self.theme()));
            return self.say(format!("{line}, and is the one to resume"), false);
        }
        let request = Request::Hold { call: Some(current.info.call), on: Some(!held) };
        self.ask(if held { Purpose::Resume } else { Purpose::Act }, request);
    }

    fn switch(&mut self) {
        match self.calls.next().map(|call| call.info.call) {
            Some(call) => self.ask(Purpose::Act, Request::Switch { call: Some(call) }),
            None => self.say("there is no other call to talk in", true),
        }
    }

    /// Waits in the queue of whoever is busy, or leaves it.
    fn wait_in_queue(&mut self, on: bool) {
        let Some(current) = self.calls.current() else { return self.say("nobody is busy", true) };
        let call = Some(current.info.call);
        self.ask(Purpose::Act, Request::Wait { call, on });
    }

    fn hang_up(&mut self) {
        let Some(current) = self.calls.current() else { return self.say("there is no call to end", true) };
        let call = Some(current.info.call);
        let rings = calls::asks(&current.info);
        self.ask(Purpose::Act, if rings { Request::Decline { call } } else { Request::Hangup { call } });
    }

    /// The call that rings or waits: the one in the pop-up, else one that was put aside.
    fn ringing(&self) -> Option<u32> {
        let shown = self.incoming.map(|incoming| incoming.call);
        shown.or_else(|| self.calls.asking_aside().map(|call| call.info.call))
    }

    fn answer(&mut self) {
        let Some(call) = self.ringing() else { return self.say("nobody is calling", true) };
        self.calls.mark_answered_here(call, true);
        self.ask(Purpose::Answer { call }, Request::Answer { call: Some(call) });
    }

    fn decline(&mut self) {
        let Some(call) = self.ringing() else { return self.say("nobody is calling", true) };
        self.ask(Purpose::Act, Request::Decline { call: Some(call) });
    }

    fn ignore(&mut self) {
        let Some(incoming) = self.incoming else { return };
        self.calls.put_aside(incoming.call);
        let line = if incoming.waits { "they go on waiting; a answers" } else { "put aside; a answers, x declines" };
        self.say(line, false);
    }

    fn block_caller(&mut self) {
        let Some(call) = self.ringing() else { return };
        let Some(info) = self.calls.get(call).map(|call| call.info.clone()) else { return };
        let done = format!("{} is blocked; B in the contacts takes it back", who(&info, self.theme()));
        self.ask(Purpose::Act, Request::Decline { call: Some(call) });
        self.ask(Purpose::Told { done }, Request::ContactBlock { contact: info.peer, on: true });
    }

    /// The form for a new contact. A stranger is filled in: the one in the call or in the one that just ended, or the
    /// one selected among the recent calls.
    fn open_add_contact(&mut self) {
        let call = self.calls.current().map(|call| &call.info);
        let call = call.or(self.calls.finished.as_ref().map(|finished| &finished.info));
        let stranger = match self.lists.pane {
            Pane::Recent => self.lists.person(&self.daemon).filter(|person| person.name.is_none()).map(|one| one.id),
            Pane::Contacts => call.filter(|info| info.name.is_none()).map(|info| info.peer.clone()),
        };
        self.open(Popup::AddContact(AddContact::of(stranger)));
        self.resolve();
    }

    fn open_rename(&mut self) {
        if let Some(contact) = self.lists.contact(&self.daemon).cloned() {
            self.open(Popup::Rename(Rename::of(contact.id, contact.name)));
        }
    }

    fn selected(&self) -> Option<(Person, String)> {
        let person = self.lists.person(&self.daemon)?;
        let name = named(person.name.as_deref(), &person.id, self.theme());
        Some((person, name))
    }

    fn ask_remove(&mut self) {
        if let Some((person, name)) = self.selected() {
            self.open(Popup::Confirm(Confirm::remove(person.id, &name)));
        }
    }

    /// Blocking asks first; unblocking does no harm.
    fn ask_block(&mut self) {
        let Some((person, name)) = self.selected() else { return };
        let known = self.daemon.contacts.iter().find(|contact| contact.id == person.id);
        if known.is_some_and(|contact| contact.trust == Trust::Blocked) {
            self.block(person.id, false);
        } else {
            self.open(Popup::Confirm(Confirm::block(person.id, &name)));
        }
    }

    fn block(&mut self, contact: String, on: bool) {
        let done = if on { "blocked" } else { "no longer blocked" };
        self.ask(Purpose::Told { done: done.to_owned() }, Request::ContactBlock { contact, on });
    }

    fn copy_id(&mut self) {
        match (&self.popup, self.lists.person(&self.daemon)) {
            (Some(Popup::MyId(_)), _) => self.copy(self.daemon.identity.id.clone(), "your ID"),
            (_, Some(person)) => self.copy(person.id, "the ID"),
            _ => {}
        }
    }

    fn copy(&mut self, text: String, what: &str) {
        self.effects.push(Effect::Copy(text));
        self.say(format!("{what} was sent to the terminal's clipboard (OSC 52), if it has one"), false);
    }

    fn swap_code(&mut self) {
        if let Some(Popup::MyId(code)) = &mut self.popup {
            *code = code.other();
        }
    }

    /// Does what a form or a question is about.
    pub(super) fn submit(&mut self) {
        match &self.popup {
            Some(Popup::Confirm(confirm)) => {
                let (request, done) = (confirm.request.clone(), confirm.done.clone());
                self.popup = None;
                self.ask(Purpose::Told { done }, request);
            }
            Some(Popup::Dial(dial)) if !dial.text().is_empty() => {
                let request = Request::dial(dial.text());
                self.ask(Purpose::Form { done: None }, request);
            }
            Some(Popup::Rename(rename)) if !rename.text().is_empty() => {
                let name = rename.text();
                let done = Some(format!("{} is now {name}", rename.old));
                let contact = rename.id.clone();
                self.ask(Purpose::Form { done }, Request::ContactRename { contact, name });
            }
            Some(Popup::AddContact(_)) => self.submit_contact(),
            _ => {}
        }
    }

    fn submit_contact(&mut self) {
        let Some(Popup::AddContact(form)) = &mut self.popup else { return };
        if let Some(ready) = form.ready() {
            let done = Some(format!("{} is in your contacts", ready.name));
            self.ask(Purpose::Form { done }, Request::ContactAdd { name: ready.name, target: ready.target });
        }
    }

    /// Does what the command line says.
    pub(super) fn run_command(&mut self) {
        let Some(line) = &mut self.command else { return };
        match command::parse(line.input.value()) {
            Ok(command) => {
                self.command = None;
                if let Some(command) = command {
                    self.obey(command);
                }
            }
            Err(why) => line.trouble = Some(why),
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Act(action) => self.act(action),
            Command::Call(who) => self.dial(who),
            Command::Lookup(target) => self.ask(Purpose::Lookup, Request::Lookup { target }),
            Command::Mute(on) => self.mute(on),
            Command::Deafen(on) => self.deafen(on),
            Command::Add { name, target } => {
                let done = format!("{name} is in your contacts");
                self.ask(Purpose::Told { done }, Request::ContactAdd { name, target });
            }
            Command::Rename { contact, name } => {
                let done = format!("{contact} is now {name}");
                self.ask(Purpose::Told { done }, Request::ContactRename { contact, name });
            }
            Command::Remove(contact) => {
                let name = contact.clone();
                self.open(Popup::Confirm(Confirm::remove(contact, &name)));
            }
            Command::Block { contact, on } => self.block(contact, on),
            Command::AutoAnswer { contact, on } => self.auto_answer(contact, on),
            Command::VerifyFingerprint { contact, fingerprint } => {
                let done = format!("{contact} is verified: the fingerprints match");
                self.ask(Purpose::Told { done }, Request::ContactVerify { contact, fingerprint });
            }
            Command::DoNotDisturb(on) => self.do_not_disturb(on),
            Command::UnknownCallers(policy) => self.unknown_callers(policy),
        }
    }

    /// Completes the command line.
    pub(super) fn complete(&mut self) {
        let names: Vec<&str> = self.daemon.contacts.iter().map(|contact| contact.name.as_str()).collect();
        if let Some(line) = &mut self.command {
            line.input = Field::new(command::complete(line.input.value(), &names));
            line.trouble = None;
        }
    }

    /// Leaves, unless a call of ours runs: then it asks what becomes of it.
    fn ask_quit(&mut self) {
        if self.calls.to_leave().is_some() { self.open(Popup::Quit) } else { self.leave() }
    }

    /// Leaves the client and lets the call go on.
    pub(super) fn leave(&mut self) {
        let farewell = self.calls.to_leave().map(|call| {
            let name = who(&call.info, self.theme());
            let talked = call.info.answered.map(|at| timer(self.now.unix.saturating_sub(at)));
            let talked = talked.map(|time| format!(" ({time})")).unwrap_or_default();
            format!("The call with {name}{talked} goes on; dvs-tui shows it, dvs-tui hangup ends it.")
        });
        let farewell = farewell.filter(|_| self.link == Link::Up);
        self.quit(farewell);
    }

    pub(super) fn quit(&mut self, farewell: Option<String>) {
        self.leaving = None;
        self.effects.push(Effect::Quit { farewell });
    }
}
