// SPDX-License-Identifier: GPL-3.0-or-later
//! What cryptography costs, in work to be counted: handshakes step by step, and media packets through two session layers.
//!
//! The steps are functions of their own that the compiler leaves in place, since callgrind counts by their names.

use core::time::Duration;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use dvsd::crypto::identity::{Identity, KeyKind};
use dvsd::handshake::{Established, ExpectAuth, ExpectResponse, Initiated, Local, Mode};
use dvsd::id::LocalId;
use dvsd::path::Path;
use dvsd::random::Random;
use dvsd::session::{Drop, SessionEvent, SessionId, Sessions};
use dvsd::time::{Instant, Now};
use dvsd::wire::handshake::{Init, Versions};
use dvsd::wire::session::Slot;

/// An Opus frame at 32 kbit/s and 20 ms.
const FRAME: [u8; 80] = [0x78; 80];
/// The duration of a frame, in ticks of 2.5 ms and as such.
const TICKS: u8 = 8;
const DURATION: Duration = Duration::from_millis(20);

/// Shakes hands `times` times between two P-256 identities.
pub fn handshakes(times: usize) -> Result<()> {
    let mut random = Random::seeded(1);
    let alice = Identity::generate(KeyKind::P256, &mut random)?;
    let bob = Identity::generate(KeyKind::P256, &mut random)?;
    for _ in 0..times {
        let dial = initiator_begins(&bob, &mut random)?;
        let init = dial.datagram().to_vec();
        let (expect, resp) = responder_answers(&init, &bob, &mut random)?;
        let initiated = initiator_checks(dial, &resp, &alice)?;
        let established = responder_checks(expect, &initiated.auth)?;
        ensure!(established.transcript == initiated.established.transcript, "the two sides differ");
    }
    Ok(())
}

#[inline(never)]
fn initiator_begins(bob: &Identity, random: &mut Random) -> Result<ExpectResponse> {
    Ok(ExpectResponse::start(bob.public().id(), Mode::Full, random)?)
}

#[inline(never)]
fn responder_answers(init: &[u8], bob: &Identity, random: &mut Random) -> Result<(ExpectAuth, Vec<u8>)> {
    let init = Init::parse(init, Versions::OURS)?;
    Ok(ExpectAuth::respond(&init, bob, Slot::Short(2), Versions::OURS, random)?)
}

#[inline(never)]
fn initiator_checks(dial: ExpectResponse, resp: &[u8], alice: &Identity) -> Result<Initiated> {
    let local = Local { identity: alice, slot: Slot::Short(1), pin: None };
    dial.read(resp, &local).map_err(|refused| refused.reason.into())
}

#[inline(never)]
fn responder_checks(expect: ExpectAuth, auth: &[u8]) -> Result<Established> {
    expect.read(auth).map_err(|refused| refused.reason.into())
}

/// Two session layers in a session, of which one talks.
pub struct Talk {
    alice: Sessions,
    bob: Sessions,
    session: SessionId,
    random: Random,
    now: Now,
    first: bool,
}

const LOCAL: LocalId = LocalId(0);

#[inline(never)]
fn sender_seals(alice: &mut Sessions, session: SessionId, first: bool, now: Now) -> Option<u32> {
    alice.send_media(session, now.mono, TICKS, first, &FRAME, now)
}

#[inline(never)]
fn receiver_opens(bob: &mut Sessions, datagram: &mut [u8], now: Now, random: &mut Random) -> Result<(), Drop> {
    bob.handle(at_alice(), datagram, now, random)
}

impl Talk {
    /// Two who have just shaken hands.
    pub fn begin() -> Result<Self> {
        let mut random = Random::seeded(2);
        let mut end = || -> Result<_> {
            let identity = Arc::new(Identity::generate(KeyKind::P256, &mut random)?);
            let mut sessions = Sessions::new(&mut random);
            let id = identity.public().id();
            sessions.add_local(LOCAL, identity);
            Ok((sessions, id))
        };
        let ((mut alice, alices_id), (mut bob, bobs_id)) = (end()?, end()?);
        let now = Now { mono: Instant::from_millis(1_000), unix: 0 };
        alice.connect(LOCAL, bobs_id, &[(at_bob(), None)], now, &mut random);
        for _ in 0..8 {
            while let Some(mut transmit) = alice.poll_transmit() {
                let _ = bob.handle(at_alice(), &mut transmit.datagram, now, &mut random);
            }
            while let Some(mut transmit) = bob.poll_transmit() {
                let _ = alice.handle(at_bob(), &mut transmit.datagram, now, &mut random);
            }
        }
        while alice.poll_event().or_else(|| bob.poll_event()).is_some() {}
        let session = alice.session_of(LOCAL, bobs_id).context("no session")?;
        ensure!(bob.session_of(LOCAL, alices_id).is_some(), "no session at the other end");
        Ok(Self { alice, bob, session, random, now, first: true })
    }

    /// Passes `times` frames from Alice to Bob: sealed, opened, and out again on the other side.
    pub fn pass(&mut self, times: usize) -> Result<()> {
        for _ in 0..times {
            self.pass_one()?;
        }
        Ok(())
    }

    fn pass_one(&mut self) -> Result<()> {
        self.now.mono = self.now.mono + DURATION;
        sender_seals(&mut self.alice, self.session, self.first, self.now).context("not sealed")?;
        self.first = false;
        let Self { alice, bob, random, now, .. } = self;
        let mut transmit = alice.poll_transmit().context("nothing to send")?;
        ensure!(transmit.datagram.len() == 13 + FRAME.len(), "{} bytes", transmit.datagram.len());
        receiver_opens(bob, &mut transmit.datagram, *now, random).ok().context("not opened")?;
        let Some(SessionEvent::Media { payload, .. }) = bob.poll_event() else { anyhow::bail!("nothing was heard") };
        ensure!(payload[..] == FRAME, "something else was heard");
        alice.give_back(transmit.datagram);
        bob.give_back(payload);
        Ok(())
    }
}

impl core::fmt::Debug for Talk {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Talk")
    }
}

fn at_alice() -> Path {
    Path::direct(([198, 18, 1, 1], 5_004).into())
}

fn at_bob() -> Path {
    Path::direct(([198, 18, 2, 1], 5_004).into())
}
