// SPDX-License-Identifier: GPL-3.0-or-later
//! What is to happen with callers, and how often a telephone may ring.

use core::time::Duration;
use std::collections::VecDeque;

use super::{Contact, People, PeopleEvent};
use crate::id::NodeId;
use crate::time::{Instant, Now};

/// The time over which rings are counted.
const WINDOW: Duration = Duration::from_secs(600);
/// Rings of one unknown caller within [`WINDOW`]; beyond, it is not heard.
const STRANGER_RINGS: usize = 3;
/// Rings of all unknown callers together.
const STRANGERS_RINGS: usize = 6;
/// Rings of one contact.
const CONTACT_RINGS: usize = 30;
/// Rings of everybody together: what is counted has to be remembered.
const ALL_RINGS: usize = 512;
/// Unheard calls of one peer that are noted as missed; beyond, it is refused, lest it fills the history.
const PEER_MISSED: usize = 30;
/// Unheard calls of everybody together that are noted as missed.
const ALL_MISSED: usize = 120;

/// What may be chosen about callers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeopleConfig {
    /// What happens with callers that are no contacts, until it is changed with [`People::set_unknown_callers`].
    pub unknown_callers: UnknownCallers,
    /// Whether nobody is to be disturbed, until it is changed with [`People::set_do_not_disturb`].
    pub do_not_disturb: bool,
    /// Contacts are answered without asking, and without an announcement: nobody sits at this machine.
    pub auto_answer: bool,
    /// Everybody is refused: nobody is here to talk.
    pub refuse_all: bool,
}

/// What of it users may change while the daemon runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Nobody is disturbed: every caller hears ringing, nobody else does, and a missed call is noted. Whom
    /// [`UnknownCallers::Reject`] refuses is refused still, so that no caller can tell this from an empty room.
    pub do_not_disturb: bool,
    /// What happens with callers that are no contacts.
    pub unknown_callers: UnknownCallers,
}

/// What happens with callers that are no contacts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownCallers {
    /// They ring like contacts, but less often.
    Ring,
    /// They hear ringing, nobody else does, and a missed call is noted.
    #[default]
    Silent,
    /// They are refused.
    Reject,
}

/// What is to happen with one caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Disturb the user.
    Ring {
        /// Whether the caller is a contact.
        contact: bool,
    },
    /// Answer without asking, unless the line is taken.
    AutoAnswer {
        /// Whether whoever is in the room is to hear that first.
        announce: bool,
    },
    /// Let the caller hear ringing, disturb nobody, note a missed call.
    Silent,
    /// Refuse.
    Reject,
    /// Keep out.
    Blocked,
}

/// The rings and missed calls of the last [`WINDOW`], oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Rings {
    heard: VecDeque<Ring>,
    missed: VecDeque<Ring>,
}

#[derive(Clone, Copy, Debug)]
struct Ring {
    peer: NodeId,
    contact: bool,
    at: Instant,
}

impl Rings {
    fn forget_old(&mut self, now: Instant) {
        for rings in [&mut self.heard, &mut self.missed] {
            while rings.front().is_some_and(|ring| now.since(ring.at) >= WINDOW) {
                rings.pop_front();
            }
        }
    }

    /// Counts a ring; `false` if there were too many.
    fn may_ring(&mut self, ring: Ring) -> bool {
        let of_peer = count(&self.heard, |other| other.peer == ring.peer);
        let of_strangers = count(&self.heard, |other| !other.contact);
        let room = match ring.contact {
            true => of_peer < CONTACT_RINGS,
            false => of_peer < STRANGER_RINGS && of_strangers < STRANGERS_RINGS,
        };
        let room = room && self.heard.len() < ALL_RINGS;
        if room {
            self.heard.push_back(ring);
        }
        room
    }

    /// Counts a missed call; `false` if there were too many.
    fn may_miss(&mut self, ring: Ring) -> bool {
        let of_peer = count(&self.missed, |other| other.peer == ring.peer);
        let room = of_peer < PEER_MISSED && self.missed.len() < ALL_MISSED;
        if room {
            self.missed.push_back(ring);
        }
        room
    }
}

fn count(rings: &VecDeque<Ring>, which: impl Fn(&Ring) -> bool) -> usize {
    rings.iter().filter(|ring| which(ring)).count()
}

impl People {
    /// What is to happen with a new call of `peer`. To be asked once per call: it counts.
    pub fn verdict(&mut self, peer: NodeId, now: Now) -> Verdict {
        let contact = self.contact(peer);
        if contact.is_some_and(|contact| contact.blocked) {
            return Verdict::Blocked;
        }
        if self.config.refuse_all {
            return Verdict::Reject;
        }
        let wanted = self.wanted(contact);
        let ring = Ring { peer, contact: contact.is_some(), at: now.mono };
        self.rings.forget_old(now.mono);
        match wanted {
            Verdict::Ring { .. } | Verdict::AutoAnswer { .. } if self.rings.may_ring(ring) => wanted,
            Verdict::Reject => Verdict::Reject,
            _ if self.rings.may_miss(ring) => Verdict::Silent,
            _ => Verdict::Reject,
        }
    }

    /// What is to happen with a caller who has not called too often.
    fn wanted(&self, contact: Option<&Contact>) -> Verdict {
        match (contact, self.config.unknown_callers) {
            (None, UnknownCallers::Reject) => Verdict::Reject,
            _ if self.config.do_not_disturb => Verdict::Silent,
            (None, UnknownCallers::Ring) => Verdict::Ring { contact: false },
            (None, UnknownCallers::Silent) => Verdict::Silent,
            (Some(contact), _) if !contact.has_settled_key() => Verdict::Ring { contact: true },
            (Some(contact), _) if contact.auto_answer => Verdict::AutoAnswer { announce: true },
            (Some(_), _) if self.config.auto_answer => Verdict::AutoAnswer { announce: false },
            (Some(_), _) => Verdict::Ring { contact: true },
        }
    }

    /// What users have chosen about callers.
    pub const fn policy(&self) -> Policy {
        Policy { do_not_disturb: self.config.do_not_disturb, unknown_callers: self.config.unknown_callers }
    }

    /// Whether nobody is to be disturbed. Calls that ring already go on.
    pub fn set_do_not_disturb(&mut self, on: bool) {
        self.set_policy(Policy { do_not_disturb: on, ..self.policy() });
    }

    /// What happens from now on with callers that are no contacts.
    pub fn set_unknown_callers(&mut self, unknown_callers: UnknownCallers) {
        self.set_policy(Policy { unknown_callers, ..self.policy() });
    }

    fn set_policy(&mut self, policy: Policy) {
        if policy != self.policy() {
            self.config.do_not_disturb = policy.do_not_disturb;
            self.config.unknown_callers = policy.unknown_callers;
            self.events.push_back(PeopleEvent::Policy(policy));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Fingerprint;

    const ANNA: NodeId = NodeId([1; 20]);
    const BERT: NodeId = NodeId([2; 20]);
    const KEY: Fingerprint = Fingerprint([3; 32]);

    /// Anna is a contact.
    fn people(unknown_callers: UnknownCallers, auto_answer: bool) -> People {
        let config = PeopleConfig { unknown_callers, auto_answer, ..PeopleConfig::default() };
        People::new(config, vec![], vec![Contact::new(ANNA, "Anna".into())])
    }

    fn at(seconds: u64) -> Now {
        Now { mono: Instant::from_millis(seconds * 1_000), unix: seconds }
    }

    fn stranger(number: u8) -> NodeId {
        NodeId([100 + number; 20])
    }

    #[test]
    fn contacts_ring_and_others_do_as_configured() {
        for (policy, verdict) in [
            (UnknownCallers::Ring, Verdict::Ring { contact: false }),
            (UnknownCallers::Silent, Verdict::Silent),
            (UnknownCallers::Reject, Verdict::Reject),
        ] {
            let mut people = people(policy, false);
            assert_eq!(people.verdict(ANNA, at(0)), Verdict::Ring { contact: true });
            assert_eq!(people.verdict(BERT, at(0)), verdict);
        }
        assert_eq!(PeopleConfig::default().unknown_callers, UnknownCallers::Silent);
    }

    #[test]
    fn p01_only_contacts_with_a_known_key_are_answered_automatically() {
        let mut people = people(UnknownCallers::Ring, true);
        assert_eq!(people.verdict(ANNA, at(0)), Verdict::Ring { contact: true });
        people.seen(ANNA, KEY, at(0)).unwrap();
        assert_eq!(people.verdict(ANNA, at(0)), Verdict::AutoAnswer { announce: false });
        assert_eq!(people.verdict(BERT, at(0)), Verdict::Ring { contact: false });
    }

    #[test]
    fn p01_an_intercom_answers_whom_its_user_chose_and_announces_it() {
        let mut people = people(UnknownCallers::Ring, false);
        people.seen(ANNA, KEY, at(0)).unwrap();
        people.add("Bert", &BERT.to_string()).unwrap();
        people.seen(BERT, KEY, at(0)).unwrap();
        people.set_auto_answer("Anna", true).unwrap();
        assert_eq!(people.verdict(ANNA, at(0)), Verdict::AutoAnswer { announce: true });
        assert_eq!(people.verdict(BERT, at(0)), Verdict::Ring { contact: true });
    }

    #[test]
    fn p01_a_contact_whose_key_changed_is_not_answered_automatically() {
        for everybody in [true, false] {
            let mut people = people(UnknownCallers::Ring, everybody);
            people.seen(ANNA, KEY, at(0)).unwrap();
            people.set_auto_answer("Anna", true).unwrap();
            people.key_changed(ANNA);
            assert_eq!(people.verdict(ANNA, at(0)), Verdict::Ring { contact: true });
        }
    }

    #[test]
    fn who_does_not_want_to_be_disturbed_is_not_and_no_caller_can_tell() {
        for policy in [UnknownCallers::Ring, UnknownCallers::Silent] {
            let mut people = people(policy, true);
            people.seen(ANNA, KEY, at(0)).unwrap();
            people.set_do_not_disturb(true);
            assert_eq!(people.verdict(ANNA, at(0)), Verdict::Silent);
            assert_eq!(people.verdict(BERT, at(0)), Verdict::Silent);
            people.set_do_not_disturb(false);
            assert_eq!(people.verdict(ANNA, at(0)), Verdict::AutoAnswer { announce: false });
        }
        let mut people = people(UnknownCallers::Reject, false);
        people.set_do_not_disturb(true);
        assert_eq!(people.verdict(BERT, at(0)), Verdict::Reject, "as without it");
        people.block("Anna", true).unwrap();
        assert_eq!(people.verdict(ANNA, at(0)), Verdict::Blocked);
    }

    #[test]
    fn a_change_of_the_policy_holds_at_once_and_is_told_once() {
        let mut people = people(UnknownCallers::Ring, false);
        people.set_unknown_callers(UnknownCallers::Reject);
        people.set_unknown_callers(UnknownCallers::Reject);
        let policy = Policy { do_not_disturb: false, unknown_callers: UnknownCallers::Reject };
        assert_eq!((people.poll_event(), people.poll_event()), (Some(PeopleEvent::Policy(policy)), None));
        assert_eq!(people.verdict(BERT, at(0)), Verdict::Reject);
        people.set_do_not_disturb(true);
        let policy = Policy { do_not_disturb: true, ..policy };
        assert_eq!((people.policy(), people.poll_event()), (policy, Some(PeopleEvent::Policy(policy))));
    }

    #[test]
    fn d31_the_blocked_are_kept_out_whatever_else_is_set() {
        let mut people = people(UnknownCallers::Ring, true);
        people.block("Anna", true).unwrap();
        people.block(&BERT.to_string(), true).unwrap();
        assert_eq!(people.verdict(ANNA, at(0)), Verdict::Blocked);
        assert_eq!(people.verdict(BERT, at(0)), Verdict::Blocked);
    }

    #[test]
    fn d31_an_unknown_caller_rings_three_times_in_ten_minutes_and_then_hears_the_same_unheard() {
        let mut people = people(UnknownCallers::Ring, false);
        for second in 0..3 {
            assert_eq!(people.verdict(BERT, at(second)), Verdict::Ring { contact: false });
        }
        assert_eq!(people.verdict(BERT, at(599)), Verdict::Silent);
        assert_eq!(people.verdict(BERT, at(600)), Verdict::Ring { contact: false });
        assert_eq!(people.verdict(BERT, at(600)), Verdict::Silent);
    }

    #[test]
    fn d31_unknown_callers_ring_six_times_together_and_contacts_still_ring() {
        let mut people = people(UnknownCallers::Ring, false);
        for number in 0..6 {
            assert_eq!(people.verdict(stranger(number), at(0)), Verdict::Ring { contact: false });
        }
        assert_eq!(people.verdict(stranger(6), at(0)), Verdict::Silent);
        assert_eq!(people.verdict(ANNA, at(0)), Verdict::Ring { contact: true });
    }

    #[test]
    fn d31_a_contact_rings_thirty_times_in_ten_minutes_and_then_is_unheard() {
        let mut people = people(UnknownCallers::Ring, false);
        for _ in 0..30 {
            assert_eq!(people.verdict(ANNA, at(0)), Verdict::Ring { contact: true });
        }
        assert_eq!(people.verdict(ANNA, at(0)), Verdict::Silent);
    }

    #[test]
    fn a_flood_of_unheard_calls_is_refused_and_costs_bounded_memory() {
        let mut people = people(UnknownCallers::Silent, false);
        let verdicts: Vec<Verdict> = (0..10_000).map(|_| people.verdict(BERT, at(0))).collect();
        assert_eq!(verdicts.iter().filter(|verdict| **verdict == Verdict::Silent).count(), PEER_MISSED);
        for number in 0..100 {
            for _ in 0..10 {
                people.verdict(stranger(number), at(0));
            }
        }
        assert_eq!((people.rings.missed.len(), people.rings.heard.len()), (ALL_MISSED, 0));
        assert_eq!(people.verdict(BERT, at(600)), Verdict::Silent);
    }
}
