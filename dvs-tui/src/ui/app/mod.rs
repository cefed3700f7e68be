// SPDX-License-Identifier: GPL-3.0-or-later
//! The state of the client and what changes it. Pure: keys, messages and the time come in, effects go out; it draws
//! nothing, asks no clock and opens no file.
//!
//! | file | what is there |
//! |---|---|
//! | this | the state, [`App::update`], which keys hold now |
//! | `actions` | what keys and commands do |
//! | `events` | what the daemon tells |
//! | `requests` | what is asked of the daemon, and its answers |
//! | `trusting` | comparing keys, who may ring, who is answered at once |
//! | `fields` | typing into text fields |

mod actions;
mod events;
mod fields;
mod requests;
#[cfg(test)]
mod tests;
mod trusting;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crossterm::event::{KeyEvent, KeyEventKind};
use dvs_proto::message::{CallState, CallStats, Levels, Request, Snapshot, ToClient};

use self::requests::Purpose;
use super::calls::{Calls, talking, waits_here, waits_there, who};
use super::keys::{self, Action, Context, Key};
use super::people::{Lists, Pane};
use super::popups::{CommandLine, Popup};
use super::theme::Theme;
use super::time::{Now, Zone};

/// A pop-up that nobody asked for ignores keys for so long: what is typed then was meant for something else.
pub(crate) const GUARD: Duration = Duration::from_millis(600);
/// The bell rings once per ring cycle.
pub(crate) const RING_CYCLE: Duration = Duration::from_secs(6);
/// How long a notice stays.
const NOTICE_TIME: Duration = Duration::from_secs(8);
/// How long "hang up and quit" waits for the daemon's word.
const LEAVE_TIME: Duration = Duration::from_secs(3);
/// How often the network is asked for while its screen is shown.
const NETWORK_TIME: Duration = Duration::from_secs(2);
/// Lines of the log kept.
const LOG_LINES: usize = 500;
/// Round-trip times kept for the sparkline.
const TRAIL: usize = 8;

/// What comes in.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// A key.
    Key(KeyEvent),
    /// Text pasted into the terminal.
    Paste(String),
    /// The terminal has this many columns and rows now.
    Resize(u16, u16),
    /// Connected and attached.
    Linked(Box<Snapshot>),
    /// The connection to the daemon is gone.
    Unlinked {
        /// Why, in one line.
        why: String,
        /// When the next attempt comes, counted from now.
        retry: Duration,
    },
    /// The daemon says something.
    Message(ToClient),
    /// Time has passed.
    Tick,
}

/// What goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Ask the daemon something.
    Send {
        /// Number that the answer will repeat.
        id: u32,
        /// What.
        request: Request,
    },
    /// Ring the terminal's bell.
    Bell,
    /// Show a desktop notification.
    Notify {
        /// Heading.
        title: String,
        /// Text.
        body: String,
    },
    /// Name the window.
    Title(String),
    /// Put text into the clipboard.
    Copy(String),
    /// Stop the process until it is continued.
    Suspend,
    /// Clear the terminal and draw everything.
    Redraw,
    /// Leave, with a last line for the terminal.
    Quit {
        /// For example that a call goes on.
        farewell: Option<String>,
    },
}

/// What the program is told at start.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// How to draw.
    pub(crate) theme: Theme,
    /// Local time.
    pub(crate) zone: Zone,
    /// Name of this machine.
    pub(crate) host: String,
    /// Whether incoming calls ring the bell and notify.
    pub(crate) notify: bool,
}

/// Which screen is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum View {
    /// Contacts, recent calls, the call.
    #[default]
    Main,
    /// The overlay.
    Network,
    /// The sound set-up.
    Audio,
    /// Everything that happened.
    Log,
}

/// The connection to the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// It stands.
    Up,
    /// It does not.
    Down {
        /// Why, in one line.
        why: String,
        /// When the next attempt comes.
        retry: Duration,
    },
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Seconds since 1970.
    pub(crate) at: u64,
    /// What happened.
    pub(crate) text: String,
}

/// A line shown for a while in place of the footer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// What to say.
    pub(crate) text: String,
    /// Whether something went wrong.
    pub(crate) bad: bool,
    until: Duration,
}

/// The pop-up of the call that rings, or the notice of one that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Incoming {
    /// Number of the call.
    pub(crate) call: u32,
    /// Whether it only waits in our queue.
    pub(crate) waits: bool,
    /// Since when it could take keys.
    since: Duration,
    /// When the bell rang last.
    rang: Duration,
}

/// The state of the client.
#[derive(Debug)]
pub(crate) struct App {
    /// What the program was told at start.
    pub(crate) setting: Setting,
    /// The moment of the last update.
    pub(crate) now: Now,
    /// The connection to the daemon.
    pub(crate) link: Link,
    /// The daemon's state, calls excepted.
    pub(crate) daemon: Snapshot,
    /// The calls.
    pub(crate) calls: Calls,
    /// Figures of the current call.
    pub(crate) stats: Option<CallStats>,
    /// Sound levels, if they come.
    pub(crate) levels: Option<Levels>,
    /// The latest round-trip times, in microseconds.
    pub(crate) trail: VecDeque<u32>,
    /// Everything that happened, oldest first.
    pub(crate) log: VecDeque<Entry>,
    /// The screen shown.
    pub(crate) view: View,
    /// Columns and rows of the terminal.
    pub(crate) size: (u16, u16),
    /// Rows scrolled away: in the log from its end, elsewhere from the top.
    pub(crate) scroll: usize,
    /// The lists of people and what is selected in them.
    pub(crate) lists: Lists,
    /// What lies over the screen.
    pub(crate) popup: Option<Popup>,
    /// The command line, while it is open.
    pub(crate) command: Option<CommandLine>,
    /// The pop-up of the call that rings, or the notice of one that waits.
    pub(crate) incoming: Option<Incoming>,
    /// A line shown for a while.
    pub(crate) notice: Option<Notice>,
    pending: BTreeMap<u32, Purpose>,
    next_id: u32,
    levels_wanted: bool,
    /// When the network was asked for last, while its screen is shown.
    network_asked: Option<Duration>,
    /// Who is looked for on behalf of this client.
    looking: Option<String>,
    title: String,
    leaving: Option<Duration>,
    effects: Vec<Effect>,
    changed: bool,
}

impl App {
    /// A client that has just attached to a daemon in the state of `snapshot`.
    pub(crate) fn new(setting: Setting, snapshot: Snapshot, now: Now) -> Self {
        let mut app = Self {
            setting,
            now,
            link: Link::Up,
            daemon: snapshot.clone(),
            calls: Calls::default(),
            stats: None,
            levels: None,
            trail: VecDeque::new(),
            log: VecDeque::new(),
            view: View::Main,
            size: (80, 24),
            scroll: 0,
            lists: Lists::default(),
            popup: None,
            command: None,
            incoming: None,
            notice: None,
            pending: BTreeMap::new(),
            next_id: 1,
            levels_wanted: false,
            network_asked: None,
            looking: None,
            title: String::new(),
            leaving: None,
            effects: Vec::new(),
            changed: true,
        };
        app.take_snapshot(snapshot);
        app.settle();
        app
    }

    /// Takes one input and hands out what is to be done.
    pub(crate) fn update(&mut self, input: Input, now: Now) -> Vec<Effect> {
        let before = std::mem::replace(&mut self.now, now);
        self.changed |= !matches!(input, Input::Tick);
        match input {
            Input::Key(event) if event.kind != KeyEventKind::Release => self.press(event),
            Input::Key(_) => {}
            Input::Resize(columns, rows) => self.size = (columns, rows),
            Input::Paste(text) => self.paste(&text),
            Input::Linked(snapshot) => self.linked(*snapshot),
            Input::Unlinked { why, retry } => self.unlinked(why, retry),
            Input::Message(message) => self.message(message),
            Input::Tick => self.tick(before),
        }
        self.settle();
        std::mem::take(&mut self.effects)
    }

    /// Whether something in sight changed since this was last asked.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Whether a call is shown whose meters move.
    pub(crate) fn lively(&self) -> bool {
        self.calls.current().is_some()
    }

    /// How to draw.
    pub(crate) fn theme(&self) -> Theme {
        self.setting.theme
    }

    /// Seconds in the present state of the call with this number.
    pub(crate) fn seconds_in_state(&self, call: u32) -> u64 {
        self.calls.get(call).map_or(0, |ongoing| self.now.unix.saturating_sub(ongoing.since))
    }

    /// Whether a pop-up that came up by itself ignores keys at present.
    pub(crate) fn guarded(&self) -> bool {
        let since = match (self.incoming, &self.popup) {
            (Some(incoming), _) => Some(incoming.since),
            (None, Some(Popup::Verify(verify))) => Some(verify.since),
            (None, _) => None,
        };
        since.is_some_and(|since| self.now.mono < since + GUARD)
    }

    /// Whether a text field has the focus, so that letters are text.
    pub(crate) fn typing(&self) -> bool {
        self.command.is_some() || self.lists.filtering || self.popup.as_ref().is_some_and(Popup::takes_text)
    }

    /// Where keys go now; the first context that knows a key wins.
    pub(crate) fn contexts(&self) -> Vec<Context> {
        if self.typing() {
            return vec![Context::Field, Context::Always];
        }
        let mut contexts = Vec::new();
        match self.incoming {
            Some(Incoming { waits: false, .. }) => return vec![Context::Incoming, Context::Always],
            // In the middle of a call its own keys are as urgent.
            Some(Incoming { waits: true, .. }) => contexts.push(Context::CallWaiting),
            None => {}
        }
        match &self.popup {
            Some(Popup::Verify(_)) => contexts.push(Context::Verify),
            Some(Popup::Confirm(_)) => return vec![Context::Confirm, Context::Always],
            Some(Popup::Quit) => return vec![Context::Quit, Context::Always],
            _ => {}
        }
        contexts.extend(self.call_contexts());
        contexts.extend(self.place_contexts());
        contexts.extend([Context::Everywhere, Context::Always]);
        contexts
    }

    /// Where keys about the selected person hold.
    pub(crate) fn list_contexts(&self) -> Vec<Context> {
        match self.lists.pane {
            Pane::Contacts => vec![Context::List, Context::Contacts, Context::Main],
            Pane::Recent => vec![Context::List, Context::Main],
        }
    }

    fn call_contexts(&self) -> Vec<Context> {
        let mut contexts = Vec::new();
        if self.link != Link::Up {
            return contexts;
        }
        if self.calls.asking_aside().is_some() {
            contexts.push(Context::RingingAside);
        }
        if let Some(current) = self.calls.current() {
            contexts.push(Context::Call);
            if talking(current.info.state) {
                contexts.push(Context::Talking);
            }
            if current.info.state == CallState::Busy && current.info.can_wait && !waits_here(&current.info) {
                contexts.push(Context::Busy);
            }
            if waits_there(&current.info) {
                contexts.push(Context::Queued);
            }
        }
        if self.calls.next().is_some() {
            contexts.push(Context::Several);
        }
        contexts
    }

    fn place_contexts(&self) -> Vec<Context> {
        match (&self.popup, self.view) {
            (Some(Popup::MyId(_)), _) => vec![Context::MyId],
            (Some(_), _) | (None, View::Network | View::Audio | View::Log) => vec![Context::Reading],
            (None, View::Main) => self.list_contexts(),
        }
    }

    fn press(&mut self, event: KeyEvent) {
        let key = Key::of(event);
        match keys::action(&self.contexts(), key) {
            Some(Action::LeaveRunning) => self.leave(),
            Some(Action::Suspend) => self.effects.push(Effect::Suspend),
            Some(Action::Redraw) => self.effects.push(Effect::Redraw),
            _ if self.guarded() && !self.typing() => {}
            Some(action) => {
                self.notice = None;
                self.act(action);
            }
            None => self.type_key(event),
        }
    }

    fn tick(&mut self, before: Now) {
        let second = self.now.unix != before.unix;
        let timers = self.lively() || self.link != Link::Up;
        self.changed |= self.incoming.is_some() || (second && timers) || self.now.unix / 60 != before.unix / 60;
        if self.notice.as_ref().is_some_and(|notice| self.now.mono >= notice.until) {
            self.notice = None;
            self.changed = true;
        }
        if self.leaving.is_some_and(|at| self.now.mono >= at) {
            self.quit(None);
        }
    }

    /// What follows from the state, whatever changed it.
    fn settle(&mut self) {
        self.settle_incoming();
        self.settle_verify();
        self.settle_levels();
        self.settle_network();
        self.settle_title();
    }

    /// Opens and closes the pop-up of the call that rings or waits, and rings: once for whoever only waits.
    fn settle_incoming(&mut self) {
        let mono = self.now.mono;
        let asking = self.calls.asking().map(|call| (call.info.clone(), waits_here(&call.info)));
        self.incoming = match (asking, self.incoming) {
            (Some((info, waits)), Some(incoming)) if incoming.call == info.call && incoming.waits == waits => {
                let again = !waits && mono >= incoming.rang + RING_CYCLE;
                if again {
                    self.bell();
                }
                let since = if self.typing() { mono } else { incoming.since };
                Some(Incoming { since, rang: if again { mono } else { incoming.rang }, ..incoming })
            }
            (Some((info, waits)), _) => {
                self.bell();
                self.notify(if waits { "Call waiting" } else { "Incoming call" }, &who(&info, self.theme()));
                Some(Incoming { call: info.call, waits, since: mono, rang: mono })
            }
            (None, _) => None,
        };
    }

    fn bell(&mut self) {
        if self.setting.notify {
            self.effects.push(Effect::Bell);
        }
    }

    fn notify(&mut self, title: &str, body: &str) {
        if self.setting.notify {
            self.effects.push(Effect::Notify { title: title.to_owned(), body: body.to_owned() });
        }
    }

    /// Levels are only asked for while a screen shows them.
    fn settle_levels(&mut self) {
        let shown = matches!(self.view, View::Main | View::Audio);
        let talking = self.calls.current().is_some_and(|call| talking(call.info.state));
        let wanted = shown && talking && self.link == Link::Up;
        if wanted != self.levels_wanted {
            self.levels_wanted = wanted;
            self.levels = None;
            if self.link == Link::Up {
                self.ask(Purpose::Quiet, Request::Levels { on: wanted });
            }
        }
    }

    /// What changes in the network all the time is only asked for while it is shown.
    fn settle_network(&mut self) {
        if self.view != View::Network || self.link != Link::Up {
            self.network_asked = None;
        } else if self.network_asked.is_none_or(|asked| self.now.mono >= asked + NETWORK_TIME) {
            self.network_asked = Some(self.now.mono);
            self.ask(Purpose::Quiet, Request::Network);
        }
    }

    fn settle_title(&mut self) {
        let theme = self.theme();
        let title = match (self.calls.asking(), self.calls.current()) {
            (Some(call), _) if waits_here(&call.info) => format!("{} is waiting - DVS", who(&call.info, theme)),
            (Some(call), _) => format!("{} is calling - DVS", who(&call.info, theme)),
            (None, Some(call)) => format!("{} - DVS", who(&call.info, theme)),
            (None, None) => "DVS".to_owned(),
        };
        if title != self.title {
            self.title.clone_from(&title);
            self.effects.push(Effect::Title(title));
        }
    }

    /// Shows a line for a while.
    fn say(&mut self, text: impl Into<String>, bad: bool) {
        self.notice = Some(Notice { text: text.into(), bad, until: self.now.mono + NOTICE_TIME });
    }

    /// Writes a line into the log.
    fn record(&mut self, text: impl Into<String>) {
        self.record_at(self.now.unix, text.into());
    }

    fn record_at(&mut self, at: u64, text: String) {
        if self.log.len() >= LOG_LINES {
            self.log.pop_front();
        }
        self.log.push_back(Entry { at, text });
    }
}
