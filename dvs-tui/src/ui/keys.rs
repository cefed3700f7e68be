// SPDX-License-Identifier: GPL-3.0-or-later
//! The key map, on one page. Footers and the help overlay are made from it, so no hint can name a dead key.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use self::Action as A;
use self::Context as C;

/// Where a binding holds. Several contexts hold at once; the first that knows a key wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Context {
    /// The pop-up of an incoming call.
    Incoming,
    /// The notice that somebody waits in our queue.
    CallWaiting,
    /// An incoming call rings or waits, but its pop-up is put aside.
    RingingAside,
    /// The pop-up in which keys are compared.
    Verify,
    /// The peer is busy and its queue has room.
    Busy,
    /// We wait in the peer's queue.
    Queued,
    /// There is another call to talk in.
    Several,
    /// There is a call of ours, in any state.
    Call,
    /// A call that can be put on hold.
    Talking,
    /// A list of people has the focus.
    List,
    /// The contact list has the focus.
    Contacts,
    /// The main screen.
    Main,
    /// A screen that can be scrolled and closed: network, audio, log, help.
    Reading,
    /// The pop-up with the own ID.
    MyId,
    /// A text field.
    Field,
    /// A question answered by yes or no.
    Confirm,
    /// The question what becomes of the call.
    Quit,
    /// Everywhere but in text fields and questions.
    Everywhere,
    /// Really everywhere.
    Always,
}

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// Ten rows up.
    PageUp,
    /// Ten rows down.
    PageDown,
    /// To the first row.
    First,
    /// To the last row.
    Last,
    /// Focus the next pane, or the next field of a form.
    Next,
    /// Call the selected person.
    CallSelected,
    /// Ask whom to call.
    Dial,
    /// Wait in the queue of a busy peer.
    Wait,
    /// Leave the queue.
    LeaveQueue,
    /// Talk in another call.
    Switch,
    /// Compare keys by voice.
    Verify,
    /// The words are the same on both sides.
    Matches,
    /// The words are not the same.
    Differs,
    /// Let nobody ring, or let them again.
    DoNotDisturb,
    /// The next policy for unknown callers.
    UnknownCallers,
    /// Answer the selected contact's calls at once, or no longer.
    AutoAnswer,
    /// Open the form for a new contact.
    AddContact,
    /// Give the selected contact another name.
    Rename,
    /// Forget the selected contact.
    Remove,
    /// Block or unblock the selected person.
    Block,
    /// Type a filter for the contacts.
    Filter,
    /// Copy the ID in sight.
    Copy,
    /// Copy the invite.
    CopyInvite,
    /// Show the QR code of the ID or of the invite.
    SwapCode,
    /// Show the sound set-up.
    Audio,
    /// Show the network.
    Network,
    /// Show the own ID.
    MyId,
    /// Show the log.
    Log,
    /// Type a command.
    Command,
    /// Show the key map.
    Help,
    /// Microphone off or on.
    Mute,
    /// Loudspeaker off or on.
    Deafen,
    /// Hold the call, or resume it.
    Hold,
    /// End the call.
    HangUp,
    /// Answer the ringing call.
    Answer,
    /// Refuse the ringing call.
    Decline,
    /// Let it ring without the pop-up.
    Ignore,
    /// Refuse the ringing call and block the caller.
    BlockCaller,
    /// Do it, save it, dial it.
    Submit,
    /// Close what is open.
    Close,
    /// Leave the client; asks when a call runs.
    Quit,
    /// Leave the client, not the call.
    LeaveRunning,
    /// Hang up, then leave.
    HangUpAndQuit,
    /// Stop the client until `fg`.
    Suspend,
    /// Draw everything anew.
    Redraw,
}

/// A key with or without Ctrl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    code: KeyCode,
    control: bool,
}

const fn key(code: KeyCode) -> Key {
    Key { code, control: false }
}

const fn ch(c: char) -> Key {
    key(KeyCode::Char(c))
}

const fn ctrl(c: char) -> Key {
    Key { code: KeyCode::Char(c), control: true }
}

impl Key {
    /// The key of a terminal event. Shift is in the character already; Alt is ignored.
    pub(crate) fn of(event: KeyEvent) -> Self {
        let control = event.modifiers.contains(KeyModifiers::CONTROL);
        match event.code {
            KeyCode::Char(c) if control => ctrl(c.to_ascii_lowercase()),
            code => Self { code, control: false },
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            KeyCode::Char(c) if self.control => write!(f, "Ctrl-{}", c.to_ascii_uppercase()),
            KeyCode::Char(' ') => f.write_str("Space"),
            KeyCode::Char(c) => write!(f, "{c}"),
            KeyCode::F(number) => write!(f, "F{number}"),
            KeyCode::PageUp => f.write_str("PgUp"),
            KeyCode::PageDown => f.write_str("PgDn"),
            KeyCode::BackTab => f.write_str("Shift-Tab"),
            KeyCode::Delete => f.write_str("Del"),
            code => write!(f, "{code:?}"),
        }
    }
}

/// One line of the key map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding {
    /// Where it holds.
    pub(crate) context: Context,
    /// The keys, the one to show first.
    pub(crate) keys: &'static [Key],
    /// What they do.
    pub(crate) action: Action,
    /// What the help says.
    pub(crate) help: &'static str,
    /// What the footer says; empty: nothing.
    pub(crate) footer: &'static str,
}

impl Binding {
    /// The key to show.
    pub(crate) fn shown(&self) -> Option<Key> {
        self.keys.first().copied()
    }
}

/// Whether an action is of no use without the daemon.
pub(crate) fn needs_daemon(action: Action) -> bool {
    matches!(
        action,
        A::CallSelected
            | A::Dial
            | A::AddContact
            | A::Rename
            | A::Remove
            | A::Block
            | A::Mute
            | A::Verify
            | A::DoNotDisturb
            | A::UnknownCallers
            | A::AutoAnswer
    )
}

const fn bind(
    context: Context,
    keys: &'static [Key],
    action: Action,
    footer: &'static str,
    help: &'static str,
) -> Binding {
    Binding { context, keys, action, help, footer }
}

const UP: &[Key] = &[ch('k'), key(KeyCode::Up)];
const DOWN: &[Key] = &[ch('j'), key(KeyCode::Down)];
const ENTER: &[Key] = &[key(KeyCode::Enter)];
const ESC: &[Key] = &[key(KeyCode::Esc)];
const CLOSE: &[Key] = &[key(KeyCode::Esc), ch('q')];
const PAGE_UP: &[Key] = &[key(KeyCode::PageUp), ctrl('b')];
const PAGE_DOWN: &[Key] = &[key(KeyCode::PageDown), ctrl('f')];
const HOME: &[Key] = &[ch('g'), key(KeyCode::Home)];
const END: &[Key] = &[ch('G'), key(KeyCode::End)];
const TAB: &[Key] = &[key(KeyCode::Tab), key(KeyCode::BackTab), key(KeyCode::Left), key(KeyCode::Right)];
const HANG_UP: &[Key] = &[ch('x'), key(KeyCode::F(4))];

/// All keys. Hang up and decline stand apart from the keys that move about; answer is never Enter.
pub(crate) const BINDINGS: &[Binding] = &[
    bind(C::Incoming, &[ch('a')], A::Answer, "answer", "answer: opens the microphone"),
    bind(C::Incoming, HANG_UP, A::Decline, "decline", "decline"),
    bind(C::Incoming, &[ch('i'), key(KeyCode::Esc)], A::Ignore, "ignore", "put the pop-up aside; it goes on ringing"),
    bind(C::Incoming, &[ch('b')], A::BlockCaller, "block", "decline and block the caller"),
    bind(C::CallWaiting, &[ch('a')], A::Answer, "hold and answer", "answer who waits; the present call is held"),
    bind(C::CallWaiting, HANG_UP, A::Decline, "decline", "decline who waits"),
    bind(
        C::CallWaiting,
        &[ch('i'), key(KeyCode::Esc)],
        A::Ignore,
        "let wait",
        "put the notice aside; they go on waiting",
    ),
    bind(C::RingingAside, &[ch('a')], A::Answer, "answer", "answer the call that was put aside"),
    bind(C::Verify, &[ch('y')], A::Matches, "they match", "the words match: the contact is verified"),
    bind(C::Verify, &[ch('n')], A::Differs, "they differ", "the words differ: ends the call and warns"),
    bind(C::Verify, &[key(KeyCode::Esc), ch('q')], A::Close, "later", "leave it open"),
    bind(C::Busy, &[ch('w')], A::Wait, "wait in queue", "wait in the queue of somebody who is busy"),
    bind(C::Queued, &[ch('w')], A::LeaveQueue, "leave queue", "leave the queue"),
    bind(C::Several, &[ch('s')], A::Switch, "switch", "talk in the next call; the present one is held"),
    bind(C::Call, &[ch('m')], A::Mute, "mute", "microphone off or on"),
    bind(C::Call, &[ch('d')], A::Deafen, "deafen", "loudspeaker off or on"),
    bind(C::Talking, &[ch('h')], A::Hold, "hold", "hold or resume"),
    bind(C::Call, HANG_UP, A::HangUp, "hang up", "hang up, without asking; declines a call that only rings"),
    bind(C::Call, &[ctrl('c')], A::LeaveRunning, "leave it running", "quit at once; the call goes on"),
    bind(C::Talking, &[ch('v')], A::Verify, "verify", "compare keys by voice"),
    bind(C::List, ENTER, A::CallSelected, "call", "call the selected person"),
    bind(C::List, &[ch('n')], A::AddContact, "add", "add a contact"),
    bind(C::Contacts, &[ch('/')], A::Filter, "find", "find in the contacts"),
    bind(C::Contacts, &[ch('e')], A::Rename, "", "rename the selected contact"),
    bind(C::Contacts, &[ch('R'), key(KeyCode::Delete)], A::Remove, "", "remove the selected contact; asks first"),
    bind(C::Contacts, &[ch('v')], A::Verify, "", "compare the contact's key, in a call with them"),
    bind(C::Contacts, &[ch('T')], A::AutoAnswer, "", "answer the contact's calls at once, after a tone, or no longer"),
    bind(C::List, &[ch('B')], A::Block, "", "block the selected person, asks first; or unblock"),
    bind(C::List, &[ch('y')], A::Copy, "", "copy the ID of the selected person"),
    bind(C::Main, TAB, A::Next, "", "next pane"),
    bind(C::Main, &[ch('d')], A::Dial, "dial", "call an ID, an invite or a name"),
    bind(C::Main, &[ch('q')], A::Quit, "quit", "quit; with a call, asks what becomes of it"),
    bind(C::MyId, &[ch('y')], A::Copy, "copy", "copy the ID"),
    bind(C::MyId, &[ch('i')], A::CopyInvite, "copy invite", "copy the invite"),
    bind(C::MyId, &[key(KeyCode::Tab)], A::SwapCode, "ID or invite", "QR code of the ID or of the invite"),
    bind(C::MyId, CLOSE, A::Close, "close", "close"),
    bind(C::Reading, CLOSE, A::Close, "close", "close"),
    bind(C::Everywhere, &[ch('I')], A::MyId, "my ID", "my ID, to give to others"),
    bind(C::Everywhere, &[ch('N')], A::Network, "network", "the overlay network"),
    bind(C::Everywhere, &[ch('A')], A::Audio, "audio", "sound devices and levels"),
    bind(C::Everywhere, &[ch('L')], A::Log, "log", "everything that happened"),
    bind(C::Everywhere, &[ch(':')], A::Command, "command", "type a command"),
    bind(C::Everywhere, &[ch('m')], A::Mute, "", "microphone off or on, for the next call, too"),
    bind(C::Everywhere, &[ch('D')], A::DoNotDisturb, "", "do not disturb: nobody rings; or they ring again"),
    bind(C::Everywhere, &[ch('U')], A::UnknownCallers, "", "unknown callers: ring, silent or reject"),
    bind(C::Everywhere, &[ch('?'), key(KeyCode::F(1))], A::Help, "help", "this page"),
    bind(C::Field, ENTER, A::Submit, "ok", "do it"),
    bind(C::Field, &[key(KeyCode::Tab), key(KeyCode::Down)], A::Next, "", "next field; completes a command"),
    bind(C::Field, &[key(KeyCode::BackTab), key(KeyCode::Up)], A::Up, "", "previous field"),
    bind(C::Field, ESC, A::Close, "cancel", "cancel"),
    bind(C::Confirm, &[ch('y')], A::Submit, "yes", "do it"),
    bind(C::Confirm, &[key(KeyCode::Esc), ch('n'), ch('q')], A::Close, "no", "leave it"),
    bind(C::Quit, &[ch('l')], A::LeaveRunning, "leave it running", "leave the call running and quit"),
    bind(C::Quit, &[ch('h')], A::HangUpAndQuit, "hang up and quit", "hang up and quit"),
    bind(C::Quit, ESC, A::Close, "stay", "stay here"),
    bind(C::Everywhere, UP, A::Up, "", "up"),
    bind(C::Everywhere, DOWN, A::Down, "", "down"),
    bind(C::Everywhere, PAGE_UP, A::PageUp, "", "ten rows up"),
    bind(C::Everywhere, PAGE_DOWN, A::PageDown, "", "ten rows down"),
    bind(C::Everywhere, HOME, A::First, "", "first row"),
    bind(C::Everywhere, END, A::Last, "", "last row"),
    bind(C::Main, ESC, A::Close, "", "clear the filter, or the figures of the last call"),
    bind(C::Always, &[ctrl('c')], A::LeaveRunning, "", "quit at once; a call goes on"),
    bind(C::Always, &[ctrl('z')], A::Suspend, "", "suspend the client; a call goes on"),
    bind(C::Always, &[ctrl('l')], A::Redraw, "", "draw the screen anew"),
];

/// What `key` means where `contexts` hold.
pub(crate) fn action(contexts: &[Context], key: Key) -> Option<Action> {
    contexts.iter().find_map(|context| {
        BINDINGS.iter().find(|b| b.context == *context && b.keys.contains(&key)).map(|binding| binding.action)
    })
}

/// The key to show for `action` where `contexts` hold, if no other action hides it.
pub(crate) fn shown(contexts: &[Context], action: Action) -> Option<Key> {
    let of_action = BINDINGS.iter().filter(|b| b.action == action && contexts.contains(&b.context));
    of_action.filter_map(Binding::shown).find(|key| self::action(contexts, *key) == Some(action))
}

/// The hints of a footer, in the order of the page, without the bindings that another context hides. In a
/// call there are more important keys than those of the lists.
pub(crate) fn hints(contexts: &[Context]) -> Vec<&'static Binding> {
    let lists = !contexts.contains(&C::Call);
    let holding = BINDINGS.iter().filter(|b| contexts.contains(&b.context) && !b.footer.is_empty());
    let holding = holding.filter(|b| lists || !matches!(b.context, C::List | C::Contacts));
    holding.filter(|b| b.shown().is_some_and(|key| action(contexts, key) == Some(b.action))).collect()
}

/// The parts of the help page, each with the contexts it lists.
pub(crate) const CHAPTERS: &[(&str, &[Context])] = &[
    ("Incoming call", &[C::Incoming, C::RingingAside]),
    ("Somebody waits while you talk", &[C::CallWaiting]),
    ("In a call", &[C::Call, C::Talking, C::Several]),
    ("The other side is busy", &[C::Busy, C::Queued]),
    ("Comparing keys", &[C::Verify]),
    ("Contacts and recent calls", &[C::List, C::Contacts, C::Main]),
    ("My ID", &[C::MyId]),
    ("Text fields", &[C::Field]),
    ("Everywhere", &[C::Everywhere, C::Always]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_context_binds_a_key_twice() {
        for (index, one) in BINDINGS.iter().enumerate() {
            for other in BINDINGS.iter().skip(index + 1).filter(|b| b.context == one.context) {
                assert!(!one.keys.iter().any(|k| other.keys.contains(k)), "{:?} / {:?}", one.action, other.action);
            }
        }
    }

    #[test]
    fn enter_never_answers_and_hanging_up_is_no_movement_key() {
        let movement = [A::Up, A::Down, A::PageUp, A::PageDown, A::First, A::Last, A::Next];
        let moving: Vec<Key> =
            BINDINGS.iter().filter(|b| movement.contains(&b.action)).flat_map(|b| b.keys).copied().collect();
        for binding in BINDINGS {
            if binding.action == A::Answer {
                assert!(!binding.keys.contains(&key(KeyCode::Enter)));
            }
            if matches!(binding.action, A::HangUp | A::Decline | A::Remove | A::Differs | A::Matches) {
                assert!(binding.keys.iter().all(|k| !moving.contains(k)), "{:?}", binding.action);
            }
        }
    }

    #[test]
    fn in_a_call_d_deafens_and_otherwise_dials() {
        assert_eq!(action(&[C::Call, C::Main], ch('d')), Some(A::Deafen));
        assert_eq!(action(&[C::Main], ch('d')), Some(A::Dial));
        let hidden = hints(&[C::Call, C::Main]).iter().all(|binding| binding.action != A::Dial);
        assert!(hidden, "a hidden key is not advertised");
        assert_eq!(shown(&[C::CallWaiting, C::Call], A::HangUp), None, "it would decline whoever waits");
        assert_eq!(shown(&[C::Call], A::HangUp), Some(ch('x')));
    }

    #[test]
    fn a_question_hears_only_its_own_keys() {
        assert_eq!(action(&[C::Quit, C::Always], ch('x')), None);
        assert_eq!(action(&[C::Quit, C::Always], ch('h')), Some(A::HangUpAndQuit));
        assert_eq!(action(&[C::Field, C::Always], ch('q')), None);
    }

    #[test]
    fn every_binding_but_questions_is_in_the_help() {
        for binding in BINDINGS.iter().filter(|b| !matches!(b.context, C::Confirm | C::Quit | C::Reading)) {
            assert!(CHAPTERS.iter().any(|(_, contexts)| contexts.contains(&binding.context)));
        }
    }

    #[test]
    fn keys_are_named_as_people_name_them() {
        let names = [ctrl('c'), key(KeyCode::PageUp), ch('?'), key(KeyCode::Esc), key(KeyCode::F(4))];
        assert_eq!(names.map(|k| k.to_string()), ["Ctrl-C", "PgUp", "?", "Esc", "F4"]);
    }
}
