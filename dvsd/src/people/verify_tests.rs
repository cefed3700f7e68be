// SPDX-License-Identifier: GPL-3.0-or-later
//! Two sides, a virtual network between them, and somebody in the middle.

use std::collections::VecDeque;

use super::*;
use crate::crypto::kdf::MacKey;

const LOW: usize = 0;
const HIGH: usize = 1;
const START: Instant = Instant::from_millis(1_000);

/// The digest of the handshake of one session, as the HMAC under it.
fn session(digest: u8) -> impl Fn([&Nonce; 2]) -> Option<Digest> {
    move |[first, second]| Some(MacKey::new(&[digest; 32]).tag(&[first, second]))
}

/// Both ends of one session; index 0 has the lower ID.
struct Pair {
    sides: [Verification; 2],
    /// What is on its way to each side.
    flying: [VecDeque<Frame>; 2],
    random: Random,
    now: Instant,
}

impl Pair {
    fn new() -> Self {
        Self {
            sides: [Verification::new(true), Verification::new(false)],
            flying: [VecDeque::new(), VecDeque::new()],
            random: Random::seeded(1),
            now: START,
        }
    }

    fn start(&mut self, side: usize) {
        let frame = self.sides[side].start(self.now, &mut self.random).unwrap();
        self.flying[1 - side].push_back(frame);
    }

    /// Delivers the next frame to `side`.
    fn step(&mut self, side: usize) {
        let frame = self.flying[side].pop_front().unwrap();
        let reply = self.sides[side].handle(&frame, session(7), self.now, &mut self.random).unwrap();
        self.flying[1 - side].extend(reply);
    }

    fn settle(&mut self) {
        while let Some(side) = (0..2).find(|side| !self.flying[*side].is_empty()) {
            self.step(side);
        }
    }

    fn states(&self) -> [VerifyState; 2] {
        [self.sides[LOW].state(), self.sides[HIGH].state()]
    }

    fn strings(&self) -> [Sas; 2] {
        self.states().map(shown)
    }
}

fn shown(state: VerifyState) -> Sas {
    let VerifyState::Compare(sas) = state else { panic!("{state:?}") };
    sas
}

#[test]
fn both_sides_see_the_same_three_words_and_ten_digits_whoever_begins() {
    let mut seen = Vec::new();
    let mut pair = Pair::new();
    for side in [LOW, HIGH] {
        pair.start(side);
        assert_eq!(pair.sides[side].state(), VerifyState::Exchanging);
        pair.settle();
        let [low, high] = pair.strings();
        assert_eq!((low.words(), low.digits()), (high.words(), high.digits()));
        assert!(low.digits().len() == 10 && low.digits().bytes().all(|byte| byte.is_ascii_digit()));
        seen.push(low);
    }
    assert_ne!(seen[0], seen[1], "the nonces are fresh");
}

#[test]
fn words_and_digits_are_the_first_33_bits() {
    let zero = Sas::of(&[0; 32]);
    assert_eq!((zero.words(), zero.digits().as_str()), (["abandon"; 3], "0000000000"));
    let ones = Sas::of(&[0xff; 32]);
    assert_eq!((ones.words(), ones.digits().as_str()), (["zoo"; 3], "8589934591"));
    let mut digest = [0; 32];
    digest[4] = 0x7f;
    assert_eq!(Sas::of(&digest), zero, "the last seven bits of the fifth byte do not count");
    digest[..5].copy_from_slice(&[0x00, 0x20, 0x08, 0x01, 0x80]);
    let counted = Sas::of(&digest);
    assert_eq!((counted.words(), counted.digits().as_str()), (["ability", "able", "about"], "0004198403"));
}

#[test]
fn when_both_begin_at_once_the_exchange_of_the_lower_id_goes_on() {
    for first in [LOW, HIGH] {
        let mut pair = Pair::new();
        pair.start(LOW);
        pair.start(HIGH);
        pair.step(first);
        pair.settle();
        let [low, high] = pair.strings();
        assert_eq!(low, high);
        assert_eq!(pair.sides[HIGH].rounds, 2, "its own was given up for the other's");
        assert_eq!(pair.sides[LOW].rounds, 1);
    }
}

#[test]
fn a_man_in_the_middle_is_seen_in_ten_thousand_of_ten_thousand_calls() {
    let mut random = Random::seeded(3);
    for _ in 0..10_000 {
        // The man in the middle talks to both as honestly as he can, with two sessions of different digests.
        let [mut anna, mut bert, mut to_anna, mut to_bert] = [true, false, false, true].map(Verification::new);
        let commit = anna.start(START, &mut random).unwrap();
        let nonce = to_anna.handle(&commit, session(1), START, &mut random).unwrap().unwrap();
        anna.handle(&nonce, session(1), START, &mut random).unwrap();
        let commit = to_bert.start(START, &mut random).unwrap();
        let nonce = bert.handle(&commit, session(2), START, &mut random).unwrap().unwrap();
        let reveal = to_bert.handle(&nonce, session(2), START, &mut random).unwrap().unwrap();
        bert.handle(&reveal, session(2), START, &mut random).unwrap();
        assert_ne!(shown(anna.state()), shown(bert.state()));
    }
}

#[test]
fn passing_the_frames_on_does_not_help_the_man_in_the_middle() {
    let mut random = Random::seeded(4);
    let [mut anna, mut bert] = [true, false].map(Verification::new);
    let commit = anna.start(START, &mut random).unwrap();
    let nonce = bert.handle(&commit, session(2), START, &mut random).unwrap().unwrap();
    let reveal = anna.handle(&nonce, session(1), START, &mut random).unwrap().unwrap();
    bert.handle(&reveal, session(2), START, &mut random).unwrap();
    assert_ne!(shown(anna.state()), shown(bert.state()), "the digests of his two sessions differ");
}

#[test]
fn who_searches_for_a_nonce_that_gives_the_other_sides_word_has_committed_himself_to_another() {
    let mut random = Random::seeded(5);
    let mut bert = Verification::new(false);
    // What Anna sees is settled; the man in the middle wants Bert to see the same first word.
    let wanted = Sas::of(&session(1)([&[1; 16], &[2; 16]]).unwrap()).words()[0];
    let commit = Frame::VerifyCommit { commitment: sha256(&[&[3; 16]]) };
    let Frame::VerifyNonce { nonce } = bert.handle(&commit, session(2), START, &mut random).unwrap().unwrap() else {
        panic!("no nonce")
    };
    let word = |ours: &Nonce| Sas::of(&session(2)([ours, &nonce]).unwrap()).words()[0];
    let ground = (0..1_000_000_u128).map(u128::to_be_bytes).find(|ours| word(ours) == wanted).unwrap();
    let reveal = Frame::VerifyReveal { nonce: ground };
    assert_eq!(bert.handle(&reveal, session(2), START, &mut random), Err(Cheated));
    assert_eq!(bert.state(), VerifyState::Failed, "{wanted} is not shown");
}

#[test]
fn no_nonce_is_shown_before_the_other_side_is_bound() {
    let mut random = Random::seeded(6);
    let mut anna = Verification::new(true);
    let Frame::VerifyCommit { commitment } = anna.start(START, &mut random).unwrap() else { panic!("no commitment") };
    let reveal = anna.handle(&Frame::VerifyNonce { nonce: [9; 16] }, session(1), START, &mut random).unwrap().unwrap();
    let Frame::VerifyReveal { nonce } = reveal else { panic!("no nonce") };
    assert_eq!(sha256(&[&nonce]), commitment);
    let again = anna.handle(&Frame::VerifyNonce { nonce: [8; 16] }, session(1), START, &mut random).unwrap();
    assert_eq!((again, anna.state()), (None, VerifyState::Failed), "nobody gets a second choice");
}

#[test]
fn an_own_commitment_sent_back_is_of_no_use() {
    let mut random = Random::seeded(7);
    let mut anna = Verification::new(false);
    let commit = anna.start(START, &mut random).unwrap();
    let answer = anna.handle(&commit, session(1), START, &mut random).unwrap().unwrap();
    let Frame::VerifyNonce { nonce } = answer else { panic!("{answer:?}") };
    let reveal = Frame::VerifyReveal { nonce };
    assert_eq!(
        anna.handle(&reveal, session(1), START, &mut random),
        Err(Cheated),
        "the nonce behind it was never shown"
    );
}

#[test]
fn a_frame_out_of_order_ends_the_exchange() {
    let commit = Frame::VerifyCommit { commitment: [1; 32] };
    let [nonce, reveal] = [Frame::VerifyNonce { nonce: [2; 16] }, Frame::VerifyReveal { nonce: [2; 16] }];
    let mut random = Random::seeded(8);
    let mut handle =
        |side: &mut Verification, frame: &Frame| side.handle(frame, session(1), START, &mut random).unwrap();
    let mut anna = Verification::new(true);
    anna.start(START, &mut Random::seeded(9)).unwrap();
    assert_eq!((handle(&mut anna, &reveal), anna.state()), (None, VerifyState::Failed));
    for wrong in [&nonce, &commit] {
        let mut bert = Verification::new(false);
        assert!(handle(&mut bert, &commit).is_some());
        assert_eq!((handle(&mut bert, wrong), bert.state()), (None, VerifyState::Failed), "{wrong:?}");
    }
}

#[test]
fn what_comes_while_nothing_is_under_way_is_ignored() {
    let mut random = Random::seeded(10);
    let mut anna = Verification::new(true);
    for frame in [Frame::VerifyNonce { nonce: [2; 16] }, Frame::VerifyReveal { nonce: [2; 16] }] {
        assert_eq!(anna.handle(&frame, session(1), START, &mut random), Ok(None));
    }
    assert!(!anna.is_under_way());
}

#[test]
fn a_side_that_falls_silent_is_given_up_after_five_seconds() {
    let mut pair = Pair::new();
    pair.start(LOW);
    pair.step(HIGH);
    for side in &mut pair.sides {
        assert_eq!(side.poll_timeout().map(|due| due.at), Some(START + STEP_LIMIT));
        side.handle_timeout(START + STEP_LIMIT - Duration::from_millis(1));
        assert_eq!(side.state(), VerifyState::Exchanging);
        side.handle_timeout(START + STEP_LIMIT);
        assert_eq!((side.state(), side.poll_timeout()), (VerifyState::Failed, None));
    }
    pair.flying = [VecDeque::new(), VecDeque::new()];
    pair.start(HIGH);
    pair.settle();
    assert_eq!(pair.strings()[LOW], pair.strings()[HIGH], "it may begin anew");
}

#[test]
fn the_users_may_take_their_time_and_only_one_of_them_decides_here() {
    let mut pair = Pair::new();
    assert!(!pair.sides[LOW].decide(true), "nothing is shown yet");
    pair.start(LOW);
    assert!(!pair.sides[LOW].decide(true), "nor while it is agreed on");
    pair.settle();
    pair.sides[LOW].handle_timeout(START + Duration::from_secs(3_600));
    assert!(pair.sides[LOW].decide(true) && !pair.sides[LOW].decide(false), "once");
    assert_eq!(pair.sides[LOW].state(), VerifyState::Matched);
    assert!(matches!(pair.sides[HIGH].state(), VerifyState::Compare(_)), "each for himself");
    assert!(pair.sides[HIGH].decide(false));
    assert_eq!(pair.sides[HIGH].state(), VerifyState::Differs);
}

#[test]
fn an_exchange_across_two_sessions_fails() {
    let mut random = Random::seeded(11);
    let mut anna = Verification::new(true);
    anna.start(START, &mut random).unwrap();
    anna.handle(&Frame::VerifyNonce { nonce: [1; 16] }, |_| None, START, &mut random).unwrap();
    assert_eq!(anna.state(), VerifyState::Failed);
}

#[test]
fn nobody_gets_more_than_eight_guesses_in_a_call() {
    let mut pair = Pair::new();
    for round in 0..MAX_ROUNDS {
        pair.start(usize::from(round % 2));
        pair.settle();
    }
    let shown = pair.strings();
    assert_eq!(pair.sides[LOW].start(START, &mut pair.random), Err(StartError::TooMany));
    let commit = Frame::VerifyCommit { commitment: [1; 32] };
    assert_eq!(pair.sides[LOW].handle(&commit, session(7), START, &mut pair.random), Ok(None));
    assert_eq!(pair.strings(), shown, "what is shown stays");
}

#[test]
fn one_exchange_at_a_time() {
    let mut pair = Pair::new();
    pair.start(LOW);
    assert_eq!(pair.sides[LOW].start(START, &mut pair.random), Err(StartError::UnderWay));
    pair.step(HIGH);
    assert_eq!(pair.sides[HIGH].start(START, &mut pair.random), Err(StartError::UnderWay));
    pair.settle();
    pair.start(HIGH);
    pair.settle();
    assert_eq!(pair.strings()[LOW], pair.strings()[HIGH]);
}
