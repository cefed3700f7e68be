// SPDX-License-Identifier: GPL-3.0-or-later
//! The five handshake messages, 0x20–0x24, and the sealed credentials inside two of them.
//!
//! Senders write zero into reserved bytes and padding; receivers ignore them, as the transcript covers them.

use super::cursor::{Emit, Reader};
use super::session::Slot;
use super::{MAX_DATAGRAM, Malformed, VERSION, kind};

/// Length of a session ID (`sid`): it names a handshake on one side.
pub const SID_LEN: usize = 8;
/// Length of an exchange key: the SubjectPublicKeyInfo of a P-256 key.
pub const KEY_LEN: usize = 91;
/// Length of a cookie and of a mac1, in bytes.
pub const MAC_LEN: usize = 16;
/// Length of the transcript MAC (`fin`) that ends the credentials.
pub const FIN_LEN: usize = 32;
/// HS_INIT without padding: what circuits carry.
pub const INIT_MIN: usize = 139;
/// HS_INIT over UDP, padded so that no HS_RESP is more than three times as long.
pub const INIT_PADDED: usize = 512;
/// HS_RESP up to its ciphertext: what is authenticated along with it.
pub const RESP_HEADER: usize = 111;
/// The longest identity key and signature together, in bytes: with them and everything else HS_RESP fills a datagram.
pub const MAX_KEY_AND_SIGNATURE: usize = MAX_DATAGRAM - RESP_HEADER - RESP_REST;
/// HS_RESP but for its header, key, signature and the index of an extended slot.
const RESP_REST: usize = 3 + 1 + 2 + 2 + FIN_LEN + MAC_LEN;
/// HS_AUTH up to its ciphertext.
pub const AUTH_HEADER: usize = 12;
/// The only cipher suite: P-256, HKDF-SHA256, AES-256-GCM.
pub const SUITE: u8 = 1;
/// Flag of HS_INIT: the initiator stays anonymous (circuits only).
pub const FLAG_ANON: u8 = 1;

/// Names a handshake on one side.
pub type Sid = [u8; SID_LEN];

/// A range of protocol versions, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The lowest.
    pub min: u8,
    /// The highest.
    pub max: u8,
}

impl Versions {
    /// Those that this code speaks.
    pub const OURS: Self = Self { min: VERSION, max: VERSION };

    /// Whether `version` is one of them.
    pub const fn contain(self, version: u8) -> bool {
        self.min <= version && version <= self.max
    }

    /// The highest version that is in both ranges.
    pub fn highest_common(self, other: Self) -> Option<u8> {
        let highest = self.max.min(other.max);
        (self.contain(highest) && other.contain(highest)).then_some(highest)
    }

    /// What is left of the range up to `highest`.
    pub const fn up_to(self, highest: u8) -> Self {
        Self { max: highest, ..self }
    }
}

/// HS_INIT: the initiator's exchange key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init<'a> {
    /// The version of this attempt.
    pub version: u8,
    /// Bit 0: [`FLAG_ANON`].
    pub flags: u8,
    /// Cipher suite.
    pub suite: u8,
    /// The versions offered.
    pub versions: Versions,
    /// The initiator's name for the handshake.
    pub sid: Sid,
    /// The initiator's exchange key, not yet checked.
    pub key: &'a [u8; KEY_LEN],
    /// The cookie, zeros if none.
    pub cookie: [u8; MAC_LEN],
    /// Proof that the sender knows the ID it wants.
    pub mac1: [u8; MAC_LEN],
    /// Everything without cookie and mac1: what the transcript covers.
    pub body: &'a [u8],
    /// Everything without mac1: what it is computed over.
    pub before_mac1: &'a [u8],
}

impl<'a> Init<'a> {
    /// Reads an HS_INIT of a version that we speak, according to `spoken`.
    pub fn parse(datagram: &'a [u8], spoken: Versions) -> Result<Self, Malformed> {
        if !(INIT_MIN..=MAX_DATAGRAM).contains(&datagram.len()) {
            return Err(Malformed::Length);
        }
        let (before_mac1, mac1) = datagram.split_last_chunk().ok_or(Malformed::Length)?;
        let (body, cookie) = before_mac1.split_last_chunk().ok_or(Malformed::Length)?;
        let mut reader = Reader::new(body);
        let version = expect(&mut reader, kind::HS_INIT, spoken)?;
        let [flags, suite, min, max, _, _] = reader.array()?;
        let versions = Versions { min, max };
        let sid = reader.array()?;
        let key = reader.take(KEY_LEN)?.try_into().map_err(|_| Malformed::Length)?;
        let (cookie, mac1) = (*cookie, *mac1);
        Ok(Self { version, flags, suite, versions, sid, key, cookie, mac1, body, before_mac1 })
    }

    /// The bytes up to the padding's end, `length` less 32 in all; cookie and mac1 follow. The attempt is of the highest
    /// of the versions `offered`.
    pub fn emit_body(offered: Versions, flags: u8, sid: &Sid, key: &[u8; KEY_LEN], length: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(length);
        out.emit(&[kind::HS_INIT, offered.max, flags, SUITE, offered.min, offered.max, 0, 0]);
        out.emit(sid);
        out.emit(key);
        out.resize(length.max(INIT_MIN) - 2 * MAC_LEN, 0);
        out
    }
}

/// The version and sid of an HS_INIT of any version: all that is the same in every one.
pub fn any_version(datagram: &[u8]) -> Result<(u8, Sid), Malformed> {
    let mut reader = Reader::new(datagram);
    let [first, version, ..]: [u8; 8] = reader.array()?;
    if first == kind::HS_INIT { Ok((version, reader.array()?)) } else { Err(Malformed::Kind) }
}

/// HS_RESP: the responder's exchange key and its sealed credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resp<'a> {
    /// The version of the attempt.
    pub version: u8,
    /// Cipher suite.
    pub suite: u8,
    /// The initiator's name for the handshake.
    pub initiator_sid: Sid,
    /// The responder's name for the handshake.
    pub responder_sid: Sid,
    /// The responder's exchange key, not yet checked.
    pub key: &'a [u8; KEY_LEN],
    /// All of the above as sent.
    pub header: &'a [u8],
    /// Ciphertext and tag.
    pub sealed: &'a [u8],
}

impl<'a> Resp<'a> {
    /// Reads an HS_RESP of one of the versions `spoken`.
    pub fn parse(datagram: &'a [u8], spoken: Versions) -> Result<Self, Malformed> {
        let (header, sealed) = datagram.split_at_checked(RESP_HEADER).ok_or(Malformed::Length)?;
        let mut reader = Reader::new(header);
        let version = expect(&mut reader, kind::HS_RESP, spoken)?;
        let [_flags, suite] = reader.array()?;
        let (initiator_sid, responder_sid) = (reader.array()?, reader.array()?);
        let key = reader.take(KEY_LEN)?.try_into().map_err(|_| Malformed::Length)?;
        Ok(Self { version, suite, initiator_sid, responder_sid, key, header, sealed })
    }

    /// The length of an HS_RESP without the index of an extended slot, in bytes.
    pub const fn length(spki: usize, signature: usize) -> usize {
        RESP_HEADER + RESP_REST + spki + signature
    }

    /// The bytes before the ciphertext, in answer to `init`.
    pub fn emit_header(init: &Init<'_>, responder_sid: &Sid, key: &[u8; KEY_LEN]) -> Vec<u8> {
        let mut out = Vec::with_capacity(RESP_HEADER);
        out.emit(&[kind::HS_RESP, init.version, init.flags, SUITE]);
        out.emit(&init.sid);
        out.emit(responder_sid);
        out.emit(key);
        out
    }
}

/// HS_AUTH: the initiator's sealed credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth<'a> {
    /// The version of the attempt.
    pub version: u8,
    /// The responder's name for the handshake.
    pub responder_sid: Sid,
    /// All of the above as sent.
    pub header: &'a [u8],
    /// Ciphertext and tag.
    pub sealed: &'a [u8],
}

impl<'a> Auth<'a> {
    /// Reads an HS_AUTH of one of the versions `spoken`.
    pub fn parse(datagram: &'a [u8], spoken: Versions) -> Result<Self, Malformed> {
        let (header, sealed) = datagram.split_at_checked(AUTH_HEADER).ok_or(Malformed::Length)?;
        let mut reader = Reader::new(header);
        let version = expect(&mut reader, kind::HS_AUTH, spoken)?;
        reader.take(2)?;
        Ok(Self { version, responder_sid: reader.array()?, header, sealed })
    }

    /// The bytes before the ciphertext.
    pub fn emit_header(version: u8, responder_sid: &Sid) -> Vec<u8> {
        let mut out = vec![kind::HS_AUTH, version, 0, 0];
        out.emit(responder_sid);
        out
    }
}

/// HS_COOKIE: "show that you can hear me".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// The version of the attempt.
    pub version: u8,
    /// The initiator's name for the handshake.
    pub sid: Sid,
    /// To be shown in the next HS_INIT.
    pub cookie: [u8; MAC_LEN],
}

impl Cookie {
    /// Reads an HS_COOKIE of one of the versions `spoken`.
    pub fn parse(datagram: &[u8], spoken: Versions) -> Result<Self, Malformed> {
        let mut reader = Reader::new(datagram);
        let version = expect(&mut reader, kind::HS_COOKIE, spoken)?;
        reader.take(2)?;
        let message = Self { version, sid: reader.array()?, cookie: reader.array()? };
        reader.finish()?;
        Ok(message)
    }

    /// The 28 bytes.
    pub fn emit(&self) -> Vec<u8> {
        let mut out = vec![kind::HS_COOKIE, self.version, 0, 0];
        out.emit(&self.sid);
        out.emit(&self.cookie);
        out
    }
}

/// HS_VERSION: "I speak these versions".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// The responder's versions.
    pub versions: Versions,
    /// The initiator's name for the handshake.
    pub sid: Sid,
}

impl Spoken {
    /// Reads an HS_VERSION. Its second byte is no version: it stays readable for every version.
    pub fn parse(datagram: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(datagram);
        let [first, _, min, max] = reader.array()?;
        if first != kind::HS_VERSION {
            return Err(Malformed::Kind);
        }
        let message = Self { versions: Versions { min, max }, sid: reader.array()? };
        reader.finish()?;
        Ok(message)
    }

    /// The 12 bytes.
    pub fn emit(&self) -> Vec<u8> {
        let mut out = vec![kind::HS_VERSION, 0, self.versions.min, self.versions.max];
        out.emit(&self.sid);
        out
    }
}

/// Who somebody is, as sealed inside HS_RESP and HS_AUTH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// What the signature covers besides the transcript so far.
    pub claim: Claim<'a>,
    /// The bytes of the claim as sent.
    pub claim_bytes: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
    /// The MAC over the whole transcript.
    pub fin: [u8; FIN_LEN],
}

impl<'a> Credentials<'a> {
    /// Reads credentials; no byte may be left over.
    pub fn parse(text: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(text);
        let claim = Claim::parse(&mut reader)?;
        let claim_bytes = text.get(..text.len() - reader.remaining()).ok_or(Malformed::Length)?;
        let credentials = Self { claim, claim_bytes, signature: reader.variable()?, fin: reader.array()? };
        reader.finish()?;
        Ok(credentials)
    }

    /// Appends signature and MAC to an emitted claim.
    pub fn emit_rest(signature: &[u8], fin: &[u8; FIN_LEN], out: &mut Vec<u8>) {
        out.emit_variable(signature);
        out.emit(fin);
    }
}

/// The versions, the slot and the key somebody claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    /// The responder's versions; those the initiator offered.
    pub versions: Versions,
    /// What packets to the sender must carry; `None` in an anonymous handshake.
    pub slot: Option<Slot>,
    /// The kind of key.
    pub algorithm: u8,
    /// The key's SubjectPublicKeyInfo, not yet checked.
    pub spki: &'a [u8],
}

/// The slot byte of anonymous handshakes, which have no session.
const NO_SLOT: u8 = 0xff;

impl<'a> Claim<'a> {
    fn parse(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let [min, max, slot] = reader.array()?;
        let slot = match slot {
            NO_SLOT => None,
            Slot::EXTENDED => Some(Slot::Extended(reader.u32()?)),
            short => Some(Slot::short(short).ok_or(Malformed::Field)?),
        };
        let versions = Versions { min, max };
        Ok(Self { versions, slot, algorithm: reader.u8()?, spki: reader.variable()? })
    }

    /// The bytes of the claim.
    pub fn emit(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(MAX_DATAGRAM);
        out.emit(&[self.versions.min, self.versions.max]);
        match self.slot {
            None => out.emit_u8(NO_SLOT),
            Some(Slot::Short(slot)) => out.emit_u8(slot),
            Some(Slot::Extended(index)) => {
                out.emit_u8(Slot::EXTENDED);
                out.emit_u32(index);
            }
        }
        out.emit_u8(self.algorithm);
        out.emit_variable(self.spki);
        out
    }
}

/// The version of a message, which must be of this `kind`.
fn expect(reader: &mut Reader<'_>, kind: u8, spoken: Versions) -> Result<u8, Malformed> {
    match reader.array()? {
        [first, _] if first != kind => Err(Malformed::Kind),
        [_, version] if spoken.contain(version) => Ok(version),
        _ => Err(Malformed::Version),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OURS: Versions = Versions::OURS;

    #[test]
    fn an_init_has_its_fixed_bytes_both_ways() {
        let mut bytes = Init::emit_body(OURS, 0, &[9; 8], &[7; KEY_LEN], INIT_PADDED);
        bytes.emit(&[2; 16]);
        bytes.emit(&[3; 16]);
        assert_eq!(bytes.len(), 512);
        assert_eq!(bytes[..8], [0x20, 1, 0, 1, 1, 1, 0, 0]);
        assert_eq!(bytes[8..16], [9; 8]);
        assert_eq!(bytes[16..107], [7; 91]);
        assert!(bytes[107..480].iter().all(|byte| *byte == 0));
        let init = Init::parse(&bytes, OURS).unwrap();
        assert_eq!((init.sid, init.key, init.cookie, init.mac1), ([9; 8], &[7; 91], [2; 16], [3; 16]));
        assert_eq!((init.body.len(), init.before_mac1.len()), (480, 496));
        assert_eq!(any_version(&bytes), Ok((1, [9; 8])));
    }

    #[test]
    fn an_init_of_a_wrong_length_or_version_is_refused() {
        let mut bytes = Init::emit_body(OURS, FLAG_ANON, &[9; 8], &[7; KEY_LEN], INIT_MIN);
        bytes.resize(INIT_MIN, 0);
        assert_eq!(Init::parse(&bytes, OURS).map(|init| init.flags), Ok(FLAG_ANON));
        assert_eq!(Init::parse(&bytes[..INIT_MIN - 1], OURS), Err(Malformed::Length));
        assert_eq!(Init::parse(&[0x20; MAX_DATAGRAM + 1], OURS), Err(Malformed::Length));
        bytes[1] = 2;
        assert_eq!(Init::parse(&bytes, OURS), Err(Malformed::Version));
        assert_eq!(any_version(&bytes[..16]), Ok((2, [9; 8])));
        assert_eq!(any_version(&bytes[..15]), Err(Malformed::Length));
    }

    #[test]
    fn d12_reserved_bytes_and_padding_are_not_looked_at_and_an_init_is_139_to_1232_bytes_long() {
        for length in [INIT_MIN, 480, MAX_DATAGRAM] {
            let body = Init::emit_body(OURS, 0, &[9; 8], &[7; KEY_LEN], length);
            let plain = [body, vec![0; 32]].concat();
            assert_eq!(plain.len(), length);
            assert_eq!(plain[6..8], [0; 2], "but a sender writes zero");
            let mut odd = plain.clone();
            odd[6..8].fill(0xff);
            odd[107..length - 32].fill(0xff);
            let [plain, odd] = [&plain, &odd].map(|init| Init::parse(init, OURS).unwrap());
            assert_eq!((plain.flags, plain.sid, plain.key), (odd.flags, odd.sid, odd.key));
            assert_ne!(plain.body, odd.body, "they are under the transcript even so");
        }
        for length in [INIT_MIN - 1, MAX_DATAGRAM + 1] {
            let mut init = vec![0; length];
            init[..6].copy_from_slice(&[kind::HS_INIT, 1, 0, SUITE, 1, 1]);
            assert_eq!(Init::parse(&init, OURS), Err(Malformed::Length));
        }
        let mut auth = Auth::emit_header(1, &[2; 8]);
        auth[2..4].fill(0xff);
        assert_eq!(Auth::parse(&auth, OURS).map(|auth| auth.responder_sid), Ok([2; 8]));
    }

    #[test]
    fn a_resp_has_its_fixed_bytes_both_ways() {
        let mut init = Init::emit_body(OURS, 0, &[1; 8], &[7; KEY_LEN], INIT_MIN);
        init.resize(INIT_MIN, 0);
        let mut bytes = Resp::emit_header(&Init::parse(&init, OURS).unwrap(), &[2; 8], &[3; KEY_LEN]);
        assert_eq!(bytes.len(), RESP_HEADER);
        assert_eq!(bytes[..4], [0x21, 1, 0, 1]);
        bytes.emit(b"sealed");
        let resp = Resp::parse(&bytes, OURS).unwrap();
        assert_eq!((resp.initiator_sid, resp.responder_sid), ([1; 8], [2; 8]));
        assert_eq!((resp.key, resp.sealed), (&[3; KEY_LEN], &b"sealed"[..]));
        assert_eq!(Resp::parse(&bytes[..110], OURS), Err(Malformed::Length));
    }

    #[test]
    fn an_auth_has_its_fixed_bytes_both_ways() {
        let mut bytes = Auth::emit_header(1, &[2; 8]);
        assert_eq!(bytes, [0x22, 1, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2]);
        bytes.emit(b"sealed");
        let auth = Auth::parse(&bytes, OURS).unwrap();
        assert_eq!((auth.responder_sid, auth.sealed), ([2; 8], &b"sealed"[..]));
    }

    #[test]
    fn cookie_and_version_have_their_fixed_bytes_both_ways() {
        let cookie = Cookie { version: 1, sid: [1; 8], cookie: [2; 16] };
        assert_eq!(cookie.emit().len(), 28);
        assert_eq!(Cookie::parse(&cookie.emit(), OURS), Ok(cookie));
        let spoken = Spoken { versions: Versions { min: 1, max: 3 }, sid: [4; 8] };
        assert_eq!(spoken.emit(), [0x24, 0, 1, 3, 4, 4, 4, 4, 4, 4, 4, 4]);
        assert_eq!(Spoken::parse(&spoken.emit()), Ok(spoken));
        assert_eq!(Spoken::parse(&[0x24; 13]), Err(Malformed::Length));
    }

    #[test]
    fn the_highest_common_version_is_in_both_ranges() {
        let range = |min, max| Versions { min, max };
        assert_eq!(range(1, 2).highest_common(range(1, 1)), Some(1));
        assert_eq!(range(1, 2).highest_common(range(2, 9)), Some(2));
        assert_eq!(range(1, 1).highest_common(range(2, 2)), None);
        assert_eq!(range(3, 4).highest_common(range(1, 2)), None);
        assert_eq!(range(2, 1).highest_common(range(1, 2)), None, "an empty range");
    }

    #[test]
    fn f27_every_message_but_hs_version_says_its_version_and_is_dropped_in_another() {
        let init =
            [Init::emit_body(Versions { min: 1, max: 2 }, 0, &[9; 8], &[7; KEY_LEN], INIT_MIN), vec![0; 32]].concat();
        let (one, two) = (OURS, Versions { min: 1, max: 2 });
        let parsed = Init::parse(&init, two).unwrap();
        assert_eq!((parsed.version, parsed.versions), (2, two));
        assert_eq!(Init::parse(&init, one), Err(Malformed::Version));
        let resp = Resp::emit_header(&parsed, &[2; 8], &[3; KEY_LEN]);
        assert_eq!(Resp::parse(&resp, two).map(|resp| resp.version), Ok(2));
        assert_eq!(Resp::parse(&resp, one), Err(Malformed::Version));
        let auth = Auth::emit_header(2, &[2; 8]);
        assert_eq!(Auth::parse(&auth, two).map(|auth| auth.version), Ok(2));
        assert_eq!(Auth::parse(&auth, one), Err(Malformed::Version));
        let cookie = Cookie { version: 2, sid: [1; 8], cookie: [2; 16] };
        assert_eq!(Cookie::parse(&cookie.emit(), two), Ok(cookie));
        assert_eq!(Cookie::parse(&cookie.emit(), one), Err(Malformed::Version));
        // What a node of any version can read.
        assert_eq!((any_version(&init), init[0], &init[8..16]), (Ok((2, [9; 8])), 0x20, &[9; 8][..]));
    }

    #[test]
    fn credentials_are_consumed_exactly() {
        let claim = Claim { versions: OURS, slot: Some(Slot::Short(5)), algorithm: 7, spki: b"spki" };
        let mut text = claim.emit();
        assert_eq!(text, b"\x01\x01\x05\x07\x00\x04spki");
        Credentials::emit_rest(b"sig", &[8; 32], &mut text);
        let credentials = Credentials::parse(&text).unwrap();
        assert_eq!(credentials.claim, claim);
        assert_eq!((credentials.claim_bytes, credentials.signature), (&text[..10], &b"sig"[..]));
        text.push(0);
        assert_eq!(Credentials::parse(&text), Err(Malformed::Length));
    }

    #[test]
    fn slots_are_short_extended_or_absent() {
        for (slot, bytes) in [
            (Some(Slot::Short(30)), &[30][..]),
            (Some(Slot::Extended(0x0102_0304)), &[31, 1, 2, 3, 4]),
            (None, &[0xff]),
        ] {
            let text = Claim { versions: OURS, slot, algorithm: 1, spki: b"" }.emit();
            assert_eq!(&text[2..text.len() - 3], bytes);
            assert_eq!(Claim::parse(&mut Reader::new(&text)).map(|claim| claim.slot), Ok(slot));
        }
        for slot in 32..=254 {
            assert_eq!(Claim::parse(&mut Reader::new(&[1, 1, slot, 1, 0, 0])), Err(Malformed::Field));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parsers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1300), first in 0x20u8..0x25) {
            let mut bytes = bytes;
            if let Some(byte) = bytes.first_mut() {
                *byte = first;
            }
            if let Some(byte) = bytes.get_mut(1) {
                *byte = 1;
            }
            let _ = (Init::parse(&bytes, OURS), Resp::parse(&bytes, OURS), Auth::parse(&bytes, OURS), Cookie::parse(&bytes, OURS));
            let _ = (Spoken::parse(&bytes), Credentials::parse(&bytes), any_version(&bytes));
        }
    }
}
