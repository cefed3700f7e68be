// SPDX-License-Identifier: GPL-3.0-or-later
//! Fresh keys for a session that goes on: REKEY_INIT and REKEY_RESP carry a new key exchange, whose result is mixed
//! with the secret of the epoch before.
//!
//! Only the initiator of the handshake begins; the responder asks it to with REKEY_REQ. So two exchanges never cross.
//! The frames travel in the control stream, which repeats them for as long as the session lives.
//!
//! | timer | what |
//! |---|---|
//! | 15 min, configurable | the age at which keys are replaced; the responder asks a tenth later |
//! | 60 s, or that age if it is less | the shortest time between two beginnings, or between two requests |
//!
//! Keys are replaced earlier when they have sealed or failed to open very many packets.

use core::time::Duration;

use zeroize::Zeroizing;

use crate::crypto::exchange::{Ephemeral, PUBLIC_KEY_LEN, PeerKey};
use crate::crypto::kdf::{Secret, extract, sha256};
use crate::crypto::seal::{EpochRoot, EpochSecret};
use crate::handshake::Side;
use crate::random::Random;
use crate::time::{Deadline, Instant, Now};
use crate::wire::control::{Frame, Reason};

use super::established::{Phase, Session};
use super::sessions::Sessions;
use super::{Drop, SessionId};

/// The age at which keys are replaced unless configured otherwise.
pub(super) const REKEY_AFTER: Duration = Duration::from_secs(900);
/// The shortest time between two beginnings, unless keys are to be replaced more often.
const AT_MOST_EVERY: Duration = Duration::from_secs(60);

/// What stands in REKEY_INIT: the epoch it begins, and the initiator's fresh key.
type Invitation = (u32, PeerKey, [u8; PUBLIC_KEY_LEN]);

/// Where one side of a session is in replacing its keys.
#[derive(Default)]
pub(super) struct Rekey {
    /// Our fresh key, from REKEY_INIT until REKEY_RESP. The initiator's only.
    ours: Option<Ephemeral>,
    /// REKEY_INIT that waits for its answer. The responder's only.
    theirs: Option<Invitation>,
    /// The responder has asked in this epoch.
    asked: bool,
    /// Somebody wants new keys as soon as it is allowed.
    wanted: bool,
    /// When it was begun or asked for last.
    last: Option<Instant>,
    /// How often so many packets did not open that new keys were called for.
    alarms: u32,
}

impl Rekey {
    /// How often so many packets did not open that new keys were called for.
    pub(super) const fn alarms(&self) -> u32 {
        self.alarms
    }

    /// Whether new keys are on their way.
    const fn is_under_way(&self) -> bool {
        self.ours.is_some() || self.theirs.is_some() || self.asked
    }
}

/// The secret of the epoch after the one of `root`: `keys` are both fresh public keys, the initiator's first, and
/// `shared` is what they agree on.
fn next_secret(root: &EpochRoot, keys: [&[u8; PUBLIC_KEY_LEN]; 2], shared: &Secret) -> EpochSecret {
    let [initiator, responder] = keys;
    let salt = Zeroizing::new(sha256(&[b"dvs1 rekey", root.as_bytes(), initiator, responder]));
    EpochSecret::new(extract(&*salt, &**shared))
}

impl Session {
    /// Takes in one of the REKEY frames; what it asks for is done by [`tend_keys`](Self::tend_keys). An error is a
    /// violation.
    pub(super) fn take_rekey(&mut self, frame: &Frame, now: Instant) -> Result<(), Drop> {
        let expected = self.tunnel.epoch().wrapping_add(1);
        let fits = |epoch: u32| if epoch == expected { Ok(()) } else { Err(Drop::Violation) };
        match (self.side, frame) {
            (Side::Responder, Frame::RekeyInit { epoch, key }) => fits(*epoch).and_then(|()| self.invited(*epoch, key)),
            (Side::Initiator, Frame::RekeyResp { epoch, key }) => fits(*epoch).and_then(|()| self.answered(key, now)),
            (Side::Initiator, Frame::RekeyReq { epoch }) => {
                self.rekey.wanted |= !self.rekey.is_under_way();
                fits(*epoch)
            }
            _ => Err(Drop::Violation),
        }
    }

    fn invited(&mut self, epoch: u32, key: &[u8; PUBLIC_KEY_LEN]) -> Result<(), Drop> {
        let parsed = PeerKey::parse(key).map_err(|_| Drop::Violation)?;
        if self.tunnel.is_prepared() || self.rekey.theirs.is_some() {
            return Err(Drop::Violation);
        }
        self.rekey.theirs = Some((epoch, parsed, *key));
        Ok(())
    }

    fn answered(&mut self, key: &[u8; PUBLIC_KEY_LEN], now: Instant) -> Result<(), Drop> {
        let theirs = PeerKey::parse(key).map_err(|_| Drop::Violation)?;
        let ours = self.rekey.ours.take().ok_or(Drop::Violation)?;
        if let Ok(shared) = ours.agree(&theirs) {
            let secret = next_secret(self.tunnel.root(), [ours.public(), key], &shared);
            self.tunnel.advance(secret, now);
            self.entered_epoch(now);
        }
        Ok(())
    }

    /// Packets are sealed under new keys from now on, and the peer is told so with the first of them.
    pub(super) fn entered_epoch(&mut self, now: Instant) {
        self.rekey.asked = false;
        self.rekey.wanted = false;
        self.control.acknowledge_now(now);
    }

    /// Erases, answers, begins and asks for keys as is due.
    fn tend_keys(&mut self, after: Duration, now: Instant, random: &mut Random) {
        self.tunnel.erase(now);
        self.answer_rekey(now, random);
        if self.rekey_due(after).is_some_and(|due| due <= now) {
            self.rekey.alarms += u32::from(self.tunnel.is_under_attack());
            self.rekey.wanted = false;
            self.rekey.last = Some(now);
            match self.side {
                Side::Initiator => self.begin_rekey(now, random),
                Side::Responder => self.ask_for_rekey(now),
            }
        }
    }

    /// Waits, in the unlikely case that the control stream is full, for room in it.
    fn answer_rekey(&mut self, now: Instant, random: &mut Random) {
        let Some((epoch, key, theirs)) = &self.rekey.theirs else { return };
        let Ok(ours) = Ephemeral::generate(random) else { return };
        let Ok(shared) = ours.agree(key) else { return };
        let secret = next_secret(self.tunnel.root(), [theirs, ours.public()], &shared);
        if self.control.send(Frame::RekeyResp { epoch: *epoch, key: *ours.public() }, now) {
            self.tunnel.prepare(secret);
            self.rekey.theirs = None;
        }
    }

    fn begin_rekey(&mut self, now: Instant, random: &mut Random) {
        let Ok(ours) = Ephemeral::generate(random) else { return };
        let epoch = self.tunnel.epoch().wrapping_add(1);
        if self.control.send(Frame::RekeyInit { epoch, key: *ours.public() }, now) {
            self.rekey.ours = Some(ours);
        }
    }

    fn ask_for_rekey(&mut self, now: Instant) {
        let epoch = self.tunnel.epoch().wrapping_add(1);
        self.rekey.asked = self.control.send(Frame::RekeyReq { epoch }, now);
    }

    /// When new keys are to be begun or asked for.
    fn rekey_due(&self, after: Duration) -> Option<Instant> {
        if !self.is_primary() || self.rekey.is_under_way() || self.tunnel.is_prepared() {
            return None;
        }
        let allowed = self.rekey.last.map_or(Instant::ZERO, |last| last + after.min(AT_MOST_EVERY));
        if self.rekey.wanted || self.tunnel.is_worn() {
            return Some(allowed);
        }
        let patience = match self.side {
            Side::Initiator => after,
            Side::Responder => after + after / 10,
        };
        Some(allowed.max(self.tunnel.keys_since() + patience))
    }

    /// When [`tend_keys`](Self::tend_keys) has something to do.
    fn keys_due(&self, after: Duration) -> Option<Instant> {
        [self.tunnel.erase_due(), self.rekey_due(after)].into_iter().flatten().min()
    }
}

impl Sessions {
    /// The age at which the keys of a session are replaced: 15 minutes until told otherwise.
    pub const fn set_rekey_after(&mut self, after: Duration) {
        self.rekey_after = after;
    }

    /// Wants fresh keys for `session`: begins to exchange them, or asks the peer to when that is its part. If keys were
    /// exchanged a moment ago it happens when it is allowed again, at most 60 s later. Nothing happens if the session
    /// is gone or new keys are on their way already.
    pub fn rekey(&mut self, session: SessionId, now: Now, random: &mut Random) {
        let Some(id) = self.current(session) else { return };
        if let Some(session) = self.sessions.get_mut(&id) {
            session.rekey.wanted |= !session.rekey.is_under_way();
            session.tend_keys(self.rekey_after, now.mono, random);
            session.flush(now.mono, &mut self.jitter, &mut self.transmits);
        }
    }

    /// Does what is due to the keys of session `id`. What it has to say leaves with the next flush.
    pub(super) fn tend_keys(&mut self, id: SessionId, now: Instant, random: &mut Random) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.tend_keys(self.rekey_after, now, random);
        if session.phase == Phase::Open && session.tunnel.is_spent() {
            self.end(id, Reason::MediaFailure, now);
        }
        self.renew(id, now, random);
    }

    /// When [`tend_keys`](Self::tend_keys) has something to do for some session.
    pub(super) fn keys_due(&self) -> Option<Deadline> {
        let due = |session: &Session| {
            let spent = (session.phase == Phase::Open && session.tunnel.is_spent()).then_some(Instant::ZERO);
            let keys = session.keys_due(self.rekey_after).map(|at| Deadline::new(at, "session keys"));
            let renewal = session.renewal_due().map(|at| Deadline::new(at, "numbers end"));
            Deadline::earliest([spent.map(|at| Deadline::new(at, "too many failed openings")), keys, renewal])
        };
        Deadline::earliest(self.sessions.values().map(due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tunnel::Tunnel;
    use crate::wire::session::Slot;
    use data_encoding::HEXLOWER;

    fn hex(text: &str) -> Vec<u8> {
        HEXLOWER.decode(text.as_bytes()).unwrap()
    }

    /// The private key of the vectors: a digest modulo 2^255.
    fn scalar(name: &[u8]) -> Ephemeral {
        let mut scalar = sha256(&[name]);
        scalar[0] &= 0x7f;
        Ephemeral::from_scalar(&scalar)
    }

    fn secret_of_epoch_0() -> EpochSecret {
        let es0 = hex("597f5aa504bd5c0e54b73612f72b05f66dcfd15b6dfdf5135b08487831f3164c");
        EpochSecret::new(Zeroizing::new(es0.try_into().unwrap()))
    }

    fn root(secret: EpochSecret) -> EpochRoot {
        secret.into_keys(Side::Initiator.sending()).root
    }

    #[test]
    fn the_vector_of_epoch_1_holds() {
        let [ours, theirs] = [scalar(b"dvs test eph I 2"), scalar(b"dvs test eph R 2")];
        let shared = ours.agree(&PeerKey::parse(theirs.public()).unwrap()).unwrap();
        let secret = next_secret(&root(secret_of_epoch_0()), [ours.public(), theirs.public()], &shared);
        let es1 = "ab9b6aee2fe4e7f9fc698067859e27d5da5bf8a9a16e9ddca2538a03bf10f2d7";
        assert_eq!(HEXLOWER.encode(secret.as_bytes()), es1);
        let mut tunnel = Tunnel::new(secret_of_epoch_0(), Side::Initiator, Slot::Short(5), Instant::ZERO);
        tunnel.advance(secret, Instant::ZERO);
        let opus: Vec<u8> = core::iter::once(0x78).chain(0..79).collect();
        let (seq, packet) = tunnel.seal_media(Instant::from_millis(45), 8, true, &opus).unwrap();
        let expected = "a50000001252274edfba635877b93bd7c6aa07fdde72592a603d9af1e07640884009254c7a3ea2b6d4b5b9661c5f881f\
                        299c389313e74d758b33971ab284cf93637b0837003f4ea9d1b07b5fa5af27835f2d5732a9d3850466cc770c1d";
        assert_eq!((seq, HEXLOWER.encode(&packet).as_str()), (18, expected));
    }

    #[test]
    fn n01_the_next_secret_needs_the_last_one_both_keys_and_their_order_and_what_they_agree_on() {
        let [one, two] = [scalar(b"1"), scalar(b"2")];
        let (shared, other) = (Zeroizing::new([7; 32]), Zeroizing::new([8; 32]));
        let made = |root: &EpochRoot, keys, shared| *next_secret(root, keys, shared).as_bytes();
        let (old, keys) = (root(secret_of_epoch_0()), [one.public(), two.public()]);
        let mut all = vec![
            made(&old, keys, &shared),
            made(&old, keys, &other),
            made(&old, [keys[1], keys[0]], &shared),
            made(&old, [keys[0], keys[0]], &shared),
            made(&root(EpochSecret::new(Zeroizing::new([1; 32]))), keys, &shared),
        ];
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 5);
    }

    /// Holds by not compiling when a secret is kept in anything that is not overwritten.
    #[test]
    fn f23_what_a_rekey_computes_is_overwritten_when_it_goes() {
        const fn overwritten<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        let [ours, theirs] = [scalar(b"1"), scalar(b"2")];
        overwritten(&ours.agree(&PeerKey::parse(theirs.public()).unwrap()).unwrap());
        overwritten(&extract(b"salt", b"ikm"));
    }
}
