// SPDX-License-Identifier: GPL-3.0-or-later
//! Authenticated encryption: AES-256-GCM, once per handshake message, and per packet of a session.
//!
//! A session has one secret per epoch, out of which every stream and direction gets its own; each of these gives a
//! fresh key and IV per 8192 sequence numbers. No key is ever used in both directions or for two streams, and a
//! sealing key refuses to go backwards, so no nonce is ever used twice.

use core::fmt;

use arrayvec::ArrayVec;
use openssl::cipher::Cipher;
use openssl::cipher_ctx::CipherCtx;
use thiserror::Error;
use zeroize::Zeroizing;

use super::CryptoError;
use super::kdf::{self, Secret};

/// Length of a full GCM tag, in bytes: handshake and control stream.
pub const FULL_TAG: usize = 16;
/// Length of the short tag of media packets, in bytes.
pub const SHORT_TAG: usize = 8;
/// A sub-key serves this many sequence numbers: 20.48 s of media.
pub const SUB_KEY_SPAN: u32 = 1 << SUB_KEY_BITS;

const SUB_KEY_BITS: u32 = 13;
const NONCE_LEN: usize = 12;
/// The sub-keys of the last, the present and the next span.
const CACHED_SUB_KEYS: usize = 3;

/// Why a packet was not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    /// The sequence number is not above the last one sealed.
    #[error("a sequence number was about to be used twice")]
    Reused,
    /// The sequence numbers of this session are used up.
    #[error("no sequence numbers left")]
    Exhausted,
    /// OpenSSL failed, or a buffer had the wrong length.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// A key and a nonce for exactly one message: sealing uses it up.
///
/// ```
/// use dvsd::crypto::seal::OneTimeKey;
///
/// fn once(key: OneTimeKey) {
///     let _ = key.seal(b"", vec![1]);
/// }
/// ```
///
/// ```compile_fail
/// use dvsd::crypto::seal::OneTimeKey;
///
/// fn twice(key: OneTimeKey) {
///     let _ = key.seal(b"", vec![1]);
///     let _ = key.seal(b"", vec![2]);
/// }
/// ```
///
/// ```compile_fail
/// use dvsd::crypto::seal::OneTimeKey;
///
/// fn copied(key: &OneTimeKey) -> OneTimeKey {
///     key.clone()
/// }
/// ```
pub struct OneTimeKey(Zeroizing<[u8; 44]>);

impl OneTimeKey {
    /// Key (32 bytes) and nonce (12 bytes) in a row.
    pub(crate) const fn new(bytes: Zeroizing<[u8; 44]>) -> Self {
        Self(bytes)
    }

    /// Encrypts `text` and appends the full tag.
    pub fn seal(self, aad: &[u8], mut text: Vec<u8>) -> Result<Vec<u8>, CryptoError> {
        let (mut gcm, nonce) = self.gcm(Mode::Seal)?;
        let mut tag = [0; FULL_TAG];
        gcm.seal(&nonce, aad, &mut text, &mut tag)?;
        text.extend_from_slice(&tag);
        Ok(text)
    }

    /// Decrypts `sealed`, a ciphertext followed by its full tag; `None` unless it is authentic.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (ciphertext, tag) = sealed.split_last_chunk::<FULL_TAG>()?;
        let (mut gcm, nonce) = self.gcm(Mode::Open).ok()?;
        let mut text = Zeroizing::new(ciphertext.to_vec());
        gcm.open(&nonce, aad, &mut text, tag).then_some(text)
    }

    fn gcm(&self, mode: Mode) -> Result<(Gcm, [u8; NONCE_LEN]), CryptoError> {
        let (key, nonce) = self.0.split_first_chunk::<32>().ok_or(CryptoError)?;
        Ok((Gcm::new(mode, key)?, nonce.try_into().map_err(|_| CryptoError)?))
    }
}

/// Which of a session's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// Voice: unreliable, short tags.
    Media,
    /// Everything else: full tags.
    Control,
}

impl Stream {
    /// The length of this stream's tags, in bytes. Never negotiable, never variable.
    pub const fn tag_len(self) -> usize {
        match self {
            Self::Media => SHORT_TAG,
            Self::Control => FULL_TAG,
        }
    }

    const fn label(self, direction: Direction) -> &'static str {
        match (self, direction) {
            (Self::Media, Direction::ToResponder) => "media i2r",
            (Self::Media, Direction::ToInitiator) => "media r2i",
            (Self::Control, Direction::ToResponder) => "ctrl i2r",
            (Self::Control, Direction::ToInitiator) => "ctrl r2i",
        }
    }
}

/// Which way a packet travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From the handshake's initiator.
    ToResponder,
    /// From the handshake's responder.
    ToInitiator,
}

impl Direction {
    /// The other way.
    pub const fn opposite(self) -> Self {
        match self {
            Self::ToResponder => Self::ToInitiator,
            Self::ToInitiator => Self::ToResponder,
        }
    }
}

/// The secret of one epoch of a session: the root of its packet keys, which can be drawn from it once. A second set would
/// begin to count again and use every nonce twice:
///
/// ```
/// use dvsd::crypto::seal::{Direction, EpochKeys, EpochSecret};
///
/// fn once(secret: EpochSecret) -> EpochKeys {
///     secret.into_keys(Direction::ToResponder)
/// }
/// ```
///
/// ```compile_fail
/// use dvsd::crypto::seal::{Direction, EpochKeys, EpochSecret};
///
/// fn twice(secret: EpochSecret) -> [EpochKeys; 2] {
///     [secret.into_keys(Direction::ToResponder), secret.into_keys(Direction::ToResponder)]
/// }
/// ```
///
/// ```compile_fail
/// use dvsd::crypto::seal::{Direction, EpochKeys, EpochSecret};
///
/// fn copied(secret: &EpochSecret) -> EpochKeys {
///     secret.clone().into_keys(Direction::ToResponder)
/// }
/// ```
pub struct EpochSecret(Secret);

impl EpochSecret {
    /// An epoch secret out of its bytes.
    pub(crate) const fn new(bytes: Secret) -> Self {
        Self(bytes)
    }

    /// All packet keys of the side that seals in the direction `sending`.
    pub fn into_keys(self, sending: Direction) -> EpochKeys {
        let receiving = sending.opposite();
        EpochKeys {
            seal_media: self.sealing(Stream::Media, sending),
            seal_control: self.sealing(Stream::Control, sending),
            open_media: self.opening(Stream::Media, receiving),
            open_control: self.opening(Stream::Control, receiving),
            root: EpochRoot(self.0),
        }
    }

    /// The key that seals `stream` in `direction`.
    fn sealing(&self, stream: Stream, direction: Direction) -> SealingKey {
        SealingKey { keys: self.keys(stream, direction), last: None, sub_key: None }
    }

    /// The key that opens `stream` in `direction`.
    fn opening(&self, stream: Stream, direction: Direction) -> OpeningKey {
        OpeningKey { keys: self.keys(stream, direction), sub_keys: ArrayVec::new() }
    }

    fn keys(&self, stream: Stream, direction: Direction) -> Traffic {
        Traffic { secret: kdf::expand(&self.0, stream.label(direction), b""), stream }
    }

    /// The bytes, for comparison.
    #[cfg(test)]
    pub(crate) fn as_bytes(&self) -> &[u8; kdf::DIGEST_LEN] {
        &self.0
    }
}

/// The packet keys of one side in one epoch.
pub struct EpochKeys {
    /// Seals voice.
    pub seal_media: SealingKey,
    /// Seals everything else.
    pub seal_control: SealingKey,
    /// Opens voice.
    pub open_media: OpeningKey,
    /// Opens everything else.
    pub open_control: OpeningKey,
    /// What the secret of the next epoch is made of.
    pub root: EpochRoot,
}

impl fmt::Debug for EpochKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EpochKeys")
    }
}

/// What is left of an epoch's secret when its keys are drawn: it seals and opens nothing, but the secret of the next epoch
/// is made of it, among other things.
pub struct EpochRoot(Secret);

impl EpochRoot {
    /// The bytes.
    pub(crate) fn as_bytes(&self) -> &[u8; kdf::DIGEST_LEN] {
        &self.0
    }
}

impl fmt::Debug for EpochRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EpochRoot")
    }
}

impl fmt::Debug for EpochSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EpochSecret")
    }
}

/// The secret of one stream in one direction.
struct Traffic {
    secret: Secret,
    stream: Stream,
}

impl Traffic {
    fn sub_key(&self, mode: Mode, index: u32) -> Result<SubKey, CryptoError> {
        let bytes = kdf::expand::<44>(&self.secret, "sub", &index.to_be_bytes());
        let (key, iv) = bytes.split_first_chunk::<32>().ok_or(CryptoError)?;
        Ok(SubKey { index, gcm: Gcm::new(mode, key)?, iv: iv.try_into().map_err(|_| CryptoError)? })
    }
}

/// Key, IV and cipher context for 8192 sequence numbers.
struct SubKey {
    index: u32,
    gcm: Gcm,
    iv: [u8; NONCE_LEN],
}

impl SubKey {
    const fn index_of(seq: u32) -> u32 {
        seq >> SUB_KEY_BITS
    }

    fn nonce(&self, seq: u32) -> [u8; NONCE_LEN] {
        let mut nonce = self.iv;
        nonce.iter_mut().skip(NONCE_LEN - 4).zip(seq.to_be_bytes()).for_each(|(byte, seq)| *byte ^= seq);
        nonce
    }
}

/// Seals one stream in one direction, sequence numbers rising. There is one of each, which no copy can lead back:
///
/// ```
/// use dvsd::crypto::seal::{SealError, SealingKey};
///
/// fn next(key: &mut SealingKey, text: &mut [u8], tag: &mut [u8]) -> Result<(), SealError> {
///     key.seal(1, b"", text, tag)
/// }
/// ```
///
/// ```compile_fail
/// use dvsd::crypto::seal::{SealError, SealingKey};
///
/// fn next(key: &SealingKey, text: &mut [u8], tag: &mut [u8]) -> Result<(), SealError> {
///     key.clone().seal(1, b"", text, tag)
/// }
/// ```
pub struct SealingKey {
    keys: Traffic,
    last: Option<u32>,
    sub_key: Option<SubKey>,
}

impl SealingKey {
    /// Encrypts `text` in place and writes its tag, whose length must be the stream's. `seq` must be above every
    /// earlier one.
    pub fn seal(&mut self, seq: u32, aad: &[u8], text: &mut [u8], tag: &mut [u8]) -> Result<(), SealError> {
        if self.last.is_some_and(|last| seq <= last) {
            return Err(SealError::Reused);
        }
        if tag.len() != self.keys.stream.tag_len() {
            return Err(CryptoError.into());
        }
        self.last = Some(seq);
        let index = SubKey::index_of(seq);
        if self.sub_key.as_ref().is_none_or(|sub_key| sub_key.index != index) {
            self.sub_key = Some(self.keys.sub_key(Mode::Seal, index)?);
        }
        let sub_key = self.sub_key.as_mut().ok_or(CryptoError)?;
        let nonce = sub_key.nonce(seq);
        Ok(sub_key.gcm.seal(&nonce, aad, text, tag)?)
    }
}

/// Opens one stream in one direction.
pub struct OpeningKey {
    keys: Traffic,
    /// The sub-keys used last, the latest at the end. Only an authentic packet changes them.
    sub_keys: ArrayVec<SubKey, CACHED_SUB_KEYS>,
}

impl OpeningKey {
    /// Decrypts `text` in place. False unless `tag` has exactly the stream's length and all of it is authentic;
    /// `text` is then worthless.
    pub fn open(&mut self, seq: u32, aad: &[u8], text: &mut [u8], tag: &[u8]) -> bool {
        if tag.len() != self.keys.stream.tag_len() {
            return false;
        }
        let index = SubKey::index_of(seq);
        if let Some(sub_key) = self.sub_keys.iter_mut().find(|sub_key| sub_key.index == index) {
            let nonce = sub_key.nonce(seq);
            return sub_key.gcm.open(&nonce, aad, text, tag);
        }
        let Ok(mut sub_key) = self.keys.sub_key(Mode::Open, index) else { return false };
        let nonce = sub_key.nonce(seq);
        let authentic = sub_key.gcm.open(&nonce, aad, text, tag);
        if authentic {
            self.keep(sub_key);
        }
        authentic
    }

    fn keep(&mut self, sub_key: SubKey) {
        if self.sub_keys.is_full() {
            self.sub_keys.remove(0);
        }
        self.sub_keys.push(sub_key);
    }
}

#[derive(Clone, Copy)]
pub(super) enum Mode {
    Seal,
    Open,
}

/// A kept cipher context: setting only the IV costs a quarter of making a new one.
pub(super) struct Gcm(CipherCtx);

impl Gcm {
    pub(super) fn new(mode: Mode, key: &[u8; 32]) -> Result<Self, CryptoError> {
        let mut context = CipherCtx::new()?;
        match mode {
            Mode::Seal => context.encrypt_init(Some(Cipher::aes_256_gcm()), Some(key), None)?,
            Mode::Open => context.decrypt_init(Some(Cipher::aes_256_gcm()), Some(key), None)?,
        }
        Ok(Self(context))
    }

    pub(super) fn seal(
        &mut self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        text: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.0.encrypt_init(None, None, Some(nonce))?;
        self.update(aad, text)?;
        self.0.cipher_final(&mut [])?;
        Ok(self.0.tag(tag)?)
    }

    pub(super) fn open(&mut self, nonce: &[u8; NONCE_LEN], aad: &[u8], text: &mut [u8], tag: &[u8]) -> bool {
        let opened = self.0.decrypt_init(None, None, Some(nonce)).is_ok()
            && self.update(aad, text).is_ok()
            && self.0.set_tag(tag).is_ok();
        // A wrong tag leaves nothing in OpenSSL's error queue; the result is read even so, which drains it.
        opened && self.0.cipher_final(&mut []).is_ok()
    }

    fn update(&mut self, aad: &[u8], text: &mut [u8]) -> Result<(), CryptoError> {
        self.0.cipher_update(aad, None)?;
        if !text.is_empty() {
            self.0.cipher_update_inplace(text, text.len())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn secret() -> EpochSecret {
        EpochSecret::new(Zeroizing::new([3; 32]))
    }

    fn sealed(seq: u32, text: &[u8]) -> (Vec<u8>, [u8; SHORT_TAG]) {
        let (mut text, mut tag) = (text.to_vec(), [0; SHORT_TAG]);
        let mut key = secret().sealing(Stream::Media, Direction::ToResponder);
        key.seal(seq, b"aad", &mut text, &mut tag).unwrap();
        (text, tag)
    }

    #[test]
    fn what_was_sealed_opens_across_sub_keys() {
        let mut opening = secret().opening(Stream::Media, Direction::ToResponder);
        for seq in [0, 8191, 8192, 5, 70_000, 8190, u32::MAX] {
            let (mut text, tag) = sealed(seq, b"voice");
            assert!(opening.open(seq, b"aad", &mut text, &tag), "{seq}");
            assert_eq!(text, b"voice");
        }
    }

    #[test]
    fn a_tag_of_any_other_length_is_refused() {
        let mut opening = secret().opening(Stream::Media, Direction::ToResponder);
        let (text, tag) = sealed(1, b"voice");
        let longer = [&tag[..], &[0; 8]].concat();
        for length in (0..8).chain(9..=16) {
            assert!(!opening.open(1, b"aad", &mut text.clone(), &longer[..length]), "{length}");
        }
        let mut sealing = secret().sealing(Stream::Control, Direction::ToResponder);
        assert!(sealing.seal(1, b"aad", &mut [0; 4], &mut [0; 8]).is_err());
    }

    #[test]
    fn f02_every_stream_direction_and_epoch_has_its_own_key() {
        let other = EpochSecret::new(Zeroizing::new([4; 32]));
        let mut seen = BTreeSet::new();
        for secret in [secret(), other] {
            for stream in [Stream::Media, Stream::Control] {
                for direction in [Direction::ToResponder, Direction::ToInitiator] {
                    for index in [0, 1, 2] {
                        let traffic = secret.keys(stream, direction);
                        seen.insert(kdf::expand::<44>(&traffic.secret, "sub", &u32::to_be_bytes(index)).to_vec());
                    }
                }
            }
        }
        assert_eq!(seen.len(), 2 * 2 * 2 * 3);
    }

    #[test]
    fn f01_a_million_packets_have_a_million_nonces() {
        let traffic = secret().keys(Stream::Media, Direction::ToResponder);
        let mut nonces = Vec::with_capacity(1_000_000);
        for index in 0..=1_000_000 / SUB_KEY_SPAN {
            let sub_key = traffic.sub_key(Mode::Seal, index).unwrap();
            let span = index * SUB_KEY_SPAN..(index + 1) * SUB_KEY_SPAN;
            nonces.extend(span.map(|seq| sub_key.nonce(seq)));
        }
        nonces.truncate(1_000_000);
        nonces.sort_unstable();
        nonces.dedup();
        assert_eq!(nonces.len(), 1_000_000);
    }

    #[test]
    fn f01_a_sequence_number_cannot_be_sealed_twice() {
        let mut key = secret().sealing(Stream::Media, Direction::ToResponder);
        let mut seal = |seq| key.seal(seq, b"", &mut [0; 4], &mut [0; SHORT_TAG]);
        assert_eq!(seal(7), Ok(()));
        assert_eq!(seal(7), Err(SealError::Reused));
        assert_eq!(seal(6), Err(SealError::Reused));
        assert_eq!(seal(8), Ok(()));
    }

    #[test]
    fn d45_every_sealing_key_refuses_to_stand_still_or_go_back_even_after_a_failure() {
        for stream in [Stream::Media, Stream::Control] {
            let keys = secret().into_keys(Direction::ToInitiator);
            let mut key = if stream == Stream::Media { keys.seal_media } else { keys.seal_control };
            let mut seal = |seq, tag: usize| key.seal(seq, b"", &mut [0; 4], &mut vec![0; tag]);
            let tag = stream.tag_len();
            assert_eq!(seal(8_191, tag), Ok(()));
            assert_eq!(seal(8_192, tag), Ok(()), "another sub-key");
            for seq in [0, 8_190, 8_191, 8_192] {
                assert_eq!(seal(seq, tag), Err(SealError::Reused), "{stream:?} {seq}");
            }
            assert_eq!(seal(u32::MAX, tag), Ok(()));
            assert_eq!(seal(u32::MAX, tag), Err(SealError::Reused));
            assert_eq!(seal(0, tag), Err(SealError::Reused), "no wrapping around");
        }
    }

    #[test]
    fn d45_the_two_sides_draw_the_same_keys_the_other_way_round() {
        let [mut alice, mut bob] = [Direction::ToResponder, Direction::ToInitiator].map(|way| secret().into_keys(way));
        let (mut text, mut tag) = (*b"text", [0; FULL_TAG]);
        alice.seal_control.seal(5, b"", &mut text, &mut tag).unwrap();
        assert!(!alice.open_control.open(5, b"", &mut text.clone(), &tag));
        assert!(bob.open_control.open(5, b"", &mut text, &tag));
        assert_eq!(&text, b"text");
    }

    #[test]
    fn p03_equal_frames_never_look_alike() {
        let seen: BTreeSet<_> = (0..100).map(|seq| sealed(seq, b"the same voice").0).collect();
        assert_eq!(seen.len(), 100);
    }

    /// Holds by not compiling when a secret is kept in anything that is not overwritten.
    #[test]
    fn f23_secrets_are_overwritten_when_they_go() {
        const fn overwritten<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        overwritten(&OneTimeKey::new(Zeroizing::new([1; 44])).0);
        overwritten(&secret().0);
        overwritten(&secret().keys(Stream::Media, Direction::ToResponder).secret);
        overwritten(&kdf::extract(b"salt", b"ikm"));
        overwritten(&kdf::expand::<44>(&[1; 32], "sub", b""));
    }

    #[test]
    fn f02_what_one_side_seals_opens_only_at_the_other() {
        let (text, tag) = sealed(1, b"voice");
        let mut reflected = secret().opening(Stream::Media, Direction::ToInitiator);
        assert!(!reflected.open(1, b"aad", &mut text.clone(), &tag));
    }
}
