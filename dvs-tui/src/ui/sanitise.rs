// SPDX-License-Identifier: GPL-3.0-or-later
//! Everything that comes from outside is cleaned here, once, before any screen sees it.
//!
//! A name that a peer or a file chose could hold escape sequences that reprogram the terminal, direction marks that
//! reverse what stands next to it, or a hundred combining marks on one letter. The daemon is trusted to answer, not
//! to have checked every text it passes on.

use dvs_proto::message::{
    Audio, CallInfo, ClientInfo, Contact, Event, Failure, Identity, Lookup, Network, PastCall, Peer, Reply, Sighting,
    Snapshot, Target, Verification,
};
use unicode_width::UnicodeWidthChar;

/// Longest text shown, in characters: an invite with all it may say must stay whole.
const LONGEST: usize = 1024;
/// Zero-width characters allowed in a row; two suffice for every living script.
const MARKS: usize = 2;

/// `text` without control characters, direction marks and invisible characters.
pub(crate) fn text(text: &str) -> String {
    let mut marks = 0;
    let shown = |c: &char| {
        let zero_width = c.width() == Some(0);
        marks = if zero_width { marks + 1 } else { 0 };
        !hostile(*c) && marks <= MARKS
    };
    text.chars().map(|c| if matches!(c, '\t' | '\n') { ' ' } else { c }).filter(shown).take(LONGEST).collect()
}

/// Characters that act on a terminal or on their neighbours instead of showing themselves.
fn hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// A message whose texts can be cleaned in place.
pub(crate) trait Clean {
    /// Cleans every text in it.
    fn clean(&mut self);

    /// It, cleaned.
    fn cleaned(mut self) -> Self
    where
        Self: Sized,
    {
        self.clean();
        self
    }
}

impl Clean for String {
    fn clean(&mut self) {
        *self = text(self);
    }
}

impl<T: Clean> Clean for Option<T> {
    fn clean(&mut self) {
        self.iter_mut().for_each(Clean::clean);
    }
}

impl<T: Clean> Clean for Vec<T> {
    fn clean(&mut self) {
        self.iter_mut().for_each(Clean::clean);
    }
}

/// Cleans the named fields of a struct; the types of the others hold no text.
macro_rules! clean_fields {
    ($($of:ty: $($field:ident),+;)*) => {$(
        impl Clean for $of {
            fn clean(&mut self) {
                $(self.$field.clean();)+
            }
        }
    )*};
}

clean_fields! {
    Audio: backend, capture, playback, trouble;
    CallInfo: peer, name, answered_by, route;
    ClientInfo: name;
    Contact: id, name, fingerprint, at, via, last_address;
    Failure: message;
    Identity: id, hex, fingerprint, invite, algorithm;
    Lookup: peer, name, found;
    PastCall: peer, name;
    Peer: id, address;
    Sighting: address;
    Snapshot: version, identity, network, audio, contacts, calls, history, clients, verification;
    Target: id, hex, name;
    Verification: words, digits;
}

impl Clean for Network {
    fn clean(&mut self) {
        self.listen.clean();
        self.observed.clean();
        self.observed_v4.clean();
        self.observed_v6.clean();
        self.peers.clean();
        self.drops.iter_mut().for_each(|(reason, _)| reason.clean());
    }
}

impl Clean for Reply {
    fn clean(&mut self) {
        match self {
            Self::Done | Self::Switched { .. } | Self::Stats(_) | Self::Policy(_) => {}
            Self::Snapshot(snapshot) => snapshot.clean(),
            Self::Target(target) => target.clean(),
            Self::Call(call) => call.clean(),
            Self::Contact(contact) => contact.clean(),
            Self::History(calls) => calls.clean(),
            Self::Contacts(contacts) => contacts.clean(),
            Self::Network(network) => network.clean(),
            Self::Invite(invite) => invite.clean(),
            Self::Verification(verification) => verification.clean(),
        }
    }
}

impl Clean for Event {
    fn clean(&mut self) {
        match self {
            Self::Call(call) => call.clean(),
            Self::Network(network) => network.clean(),
            Self::Audio(audio) => audio.clean(),
            Self::Contact(contact) => contact.clean(),
            Self::ContactRemoved { id } => id.clean(),
            Self::History(call) => call.clean(),
            Self::ClientAttached(client) | Self::ClientGone(client) => client.clean(),
            Self::Acted { client, action, .. } => {
                client.clean();
                action.clean();
            }
            Self::Activity { text, .. } => text.clean(),
            Self::Lookup(lookup) => lookup.clean(),
            Self::Verification(verification) => verification.clean(),
            Self::Presence { id, .. } => id.clean(),
            Self::Levels(_) | Self::Stats(_) | Self::Policy(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use dvs_proto::message::{Presence, VerifyState};

    use super::*;

    #[test]
    fn escape_sequences_lose_their_teeth() {
        assert_eq!(text("Al\x1b]0;owned\x07ice\x1b[2J"), "Al]0;ownedice[2J");
        assert_eq!(text("Bob\u{9b}31m\r\u{7f}"), "Bob31m");
    }

    #[test]
    fn direction_marks_cannot_turn_a_line_around() {
        assert_eq!(text("\u{202e}ecilA\u{2066}\u{200f}"), "ecilA");
    }

    #[test]
    fn marks_do_not_pile_up() {
        let tower = format!("e{}", "\u{301}".repeat(50));
        assert_eq!(text(&tower), "e\u{301}\u{301}");
    }

    #[test]
    fn ordinary_names_of_any_script_stay() {
        for name in ["Jürgen", "Алиса", "アリス", "عليه", "Zoë 🎺", "J\u{fc}rgen"] {
            assert_eq!(text(name), name);
        }
    }

    #[test]
    fn line_breaks_become_spaces_and_length_is_bounded() {
        assert_eq!(text("a\nb\tc"), "a b c");
        assert_eq!(text(&"x".repeat(10_000)).len(), LONGEST);
    }

    #[test]
    fn an_invite_with_all_it_may_say_stays_whole() {
        let at = "&at=[2001:db8:1111:2222:3333:4444:5555:6666]:65535".repeat(3);
        let via = format!("&via=dvs1{}@[2001:db8:1111:2222:3333:4444:5555:6666]:65535", "q".repeat(40)).repeat(3);
        let invite = format!("dvs:dvs1{}?fp={}{at}{via}", "q".repeat(40), "a".repeat(52));
        assert_eq!(text(&invite), invite);
    }

    #[test]
    fn what_nodes_say_of_themselves_is_cleaned() {
        let peer = Peer {
            id: "dvs1\x1b[2J".into(),
            address: "a\u{202e}b".into(),
            bucket: 0,
            rtt_us: None,
            age: 0,
            proven: false,
            good: false,
        };
        let network = Network { peers: vec![peer], observed_v6: Some("\u{9b}m".into()), ..Network::default() };
        let network = network.cleaned();
        assert_eq!((network.peers[0].id.as_str(), network.peers[0].address.as_str()), ("dvs1[2J", "ab"));
        assert_eq!(network.observed_v6.as_deref(), Some("m"));
    }

    #[test]
    fn words_to_compare_and_the_ids_of_contacts_are_cleaned() {
        let words = vec!["anchor\x1b[2J".to_owned(), "vel\u{202e}vet".to_owned()];
        let verification = Verification { call: 1, state: VerifyState::Compare, words, digits: "48\x07".into() };
        let snapshot = Snapshot { verification: Some(verification.clone()), ..crate::ui::example::empty() }.cleaned();
        let cleaned = snapshot.verification.unwrap();
        assert_eq!((cleaned.words, cleaned.digits.as_str()), (vec!["anchor[2J".into(), "velvet".into()], "48"));
        let Event::Verification(cleaned) = Event::Verification(verification).cleaned() else { unreachable!() };
        assert_eq!(cleaned.words[0], "anchor[2J");
        let event = Event::Presence { id: "dvs1\x1bc".into(), presence: Presence::Offline };
        assert_eq!(event.cleaned(), Event::Presence { id: "dvs1c".into(), presence: Presence::Offline });
    }

    #[test]
    fn an_events_texts_are_cleaned() {
        let event = Event::Activity { at: 1, text: "joined\x1b[31m".into() };
        assert_eq!(event.cleaned(), Event::Activity { at: 1, text: "joined[31m".into() });
    }
}
