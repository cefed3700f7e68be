// SPDX-License-Identifier: GPL-3.0-or-later
//! What is to happen with callers, and how often a telephone may ring.

use core::time::Duration;
use std::collections::VecDeque;

use super::{People, Trust};
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
    /// What happens with callers that are no contacts.
    pub unknown_callers: UnknownCallers,
    /// Contacts are answered without asking.
    pub auto_answer: bool,
    /// Everybody is refused: nobody is here to talk.
    pub refuse_all: bool,
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
    /// Answer without asking.
    AutoAnswer,
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
        let trust = contact.map(super::Contact::trust);
        let wanted = match (trust, self.config.unknown_callers) {
            (Some(Trust::Changed), _) => Verdict::Ring { contact: true },
            (Some(_), _) if self.config.auto_answer => Verdict::AutoAnswer,
            (Some(_), _) => Verdict::Ring { contact: true },
            (None, UnknownCallers::Ring) => Verdict::Ring { contact: false },
            (None, UnknownCallers::Silent) => Verdict::Silent,
            (None, UnknownCallers::Reject) => Verdict::Reject,
        };
        self.rings.forget_old(now.mono);
        let ring = Ring { peer, contact: trust.is_some(), at: now.mono };
        match wanted {
            Verdict::Ring { .. } | Verdict::AutoAnswer if self.rings.may_ring(ring) => wanted,
            Verdict::Reject => Verdict::Reject,
            _ if self.rings.may_miss(ring) => Verdict::Silent,
            _ => Verdict::Reject,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Contact;
    use super::*;
    use crate::id::Fingerprint;

    const ANNA: NodeId = NodeId([1; 20]);
    const BERT: NodeId = NodeId([2; 20]);

    /// Anna is a contact.
    fn people(unknown_callers: UnknownCallers, auto_answer: bool) -> People {
        let config = PeopleConfig { unknown_callers, auto_answer, refuse_all: false };
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
    fn only_contacts_are_answered_automatically() {
        let mut people = people(UnknownCallers::Ring, true);
        assert_eq!(people.verdict(ANNA, at(0)), Verdict::AutoAnswer);
        assert_eq!(people.verdict(BERT, at(0)), Verdict::Ring { contact: false });
    }

    #[test]
    fn a_contact_whose_key_changed_is_not_answered_automatically() {
        let mut people = people(UnknownCallers::Ring, true);
        people.seen(ANNA, Fingerprint([1; 32]), at(0)).unwrap();
        people.key_changed(ANNA);
        assert_eq!(people.verdict(ANNA, at(0)), Verdict::Ring { contact: true });
    }

    #[test]
    fn the_blocked_are_kept_out() {
        let mut people = people(UnknownCallers::Ring, true);
        people.block("Anna", true).unwrap();
        people.block(&BERT.to_string(), true).unwrap();
        assert_eq!(people.verdict(ANNA, at(0)), Verdict::Blocked);
        assert_eq!(people.verdict(BERT, at(0)), Verdict::Blocked);
    }

    #[test]
    fn an_unknown_caller_rings_three_times_in_ten_minutes() {
        let mut people = people(UnknownCallers::Ring, false);
        for second in 0..3 {
            assert_eq!(people.verdict(BERT, at(second)), Verdict::Ring { contact: false });
        }
        assert_eq!(people.verdict(BERT, at(599)), Verdict::Silent);
        assert_eq!(people.verdict(BERT, at(600)), Verdict::Ring { contact: false });
        assert_eq!(people.verdict(BERT, at(600)), Verdict::Silent);
    }

    #[test]
    fn unknown_callers_ring_six_times_together_and_contacts_still_ring() {
        let mut people = people(UnknownCallers::Ring, false);
        for number in 0..6 {
            assert_eq!(people.verdict(stranger(number), at(0)), Verdict::Ring { contact: false });
        }
        assert_eq!(people.verdict(stranger(6), at(0)), Verdict::Silent);
        assert_eq!(people.verdict(ANNA, at(0)), Verdict::Ring { contact: true });
    }

    #[test]
    fn a_contact_rings_thirty_times_in_ten_minutes() {
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
