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
/// HS_AUTH up to its ciphertext.
pub const AUTH_HEADER: usize = 12;
/// The only cipher suite: P-256, HKDF-SHA256, AES-256-GCM.
pub const SUITE: u8 = 1;
/// Flag of HS_INIT: the initiator stays anonymous (circuits only).
pub const FLAG_ANON: u8 = 1;
/// Lowest version this code speaks.
pub const VERSION_MIN: u8 = VERSION;
/// Highest version this code speaks.
pub const VERSION_MAX: u8 = VERSION;

/// Names a handshake on one side.
pub type Sid = [u8; SID_LEN];

/// HS_INIT: the initiator's exchange key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init<'a> {
    /// Bit 0: [`FLAG_ANON`].
    pub flags: u8,
    /// Cipher suite.
    pub suite: u8,
    /// Lowest version of the sender.
    pub version_min: u8,
    /// Highest version of the sender.
    pub version_max: u8,
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
    /// Reads an HS_INIT of this version.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Malformed> {
        if !(INIT_MIN..=MAX_DATAGRAM).contains(&datagram.len()) {
            return Err(Malformed::Length);
        }
        let (before_mac1, mac1) = datagram.split_last_chunk().ok_or(Malformed::Length)?;
        let (body, cookie) = before_mac1.split_last_chunk().ok_or(Malformed::Length)?;
        let mut reader = Reader::new(body);
        expect(&mut reader, kind::HS_INIT)?;
        let [flags, suite, version_min, version_max, _, _] = reader.array()?;
        let sid = reader.array()?;
        let key = reader.take(KEY_LEN)?.try_into().map_err(|_| Malformed::Length)?;
        let (cookie, mac1) = (*cookie, *mac1);
        Ok(Self { flags, suite, version_min, version_max, sid, key, cookie, mac1, body, before_mac1 })
    }

    /// The bytes up to the padding's end, `length` less 32 in all; cookie and mac1 follow.
    pub fn emit_body(flags: u8, sid: &Sid, key: &[u8; KEY_LEN], length: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(length);
        out.emit(&[kind::HS_INIT, VERSION, flags, SUITE, VERSION_MIN, VERSION_MAX, 0, 0]);
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
    /// Reads an HS_RESP.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Malformed> {
        let (header, sealed) = datagram.split_at_checked(RESP_HEADER).ok_or(Malformed::Length)?;
        let mut reader = Reader::new(header);
        expect(&mut reader, kind::HS_RESP)?;
        let [_flags, suite] = reader.array()?;
        let (initiator_sid, responder_sid) = (reader.array()?, reader.array()?);
        let key = reader.take(KEY_LEN)?.try_into().map_err(|_| Malformed::Length)?;
        Ok(Self { suite, initiator_sid, responder_sid, key, header, sealed })
    }

    /// The bytes before the ciphertext.
    pub fn emit_header(flags: u8, initiator_sid: &Sid, responder_sid: &Sid, key: &[u8; KEY_LEN]) -> Vec<u8> {
        let mut out = Vec::with_capacity(RESP_HEADER);
        out.emit(&[kind::HS_RESP, VERSION, flags, SUITE]);
        out.emit(initiator_sid);
        out.emit(responder_sid);
        out.emit(key);
        out
    }
}

/// HS_AUTH: the initiator's sealed credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth<'a> {
    /// The responder's name for the handshake.
    pub responder_sid: Sid,
    /// All of the above as sent.
    pub header: &'a [u8],
    /// Ciphertext and tag.
    pub sealed: &'a [u8],
}

impl<'a> Auth<'a> {
    /// Reads an HS_AUTH.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Malformed> {
        let (header, sealed) = datagram.split_at_checked(AUTH_HEADER).ok_or(Malformed::Length)?;
        let mut reader = Reader::new(header);
        expect(&mut reader, kind::HS_AUTH)?;
        reader.take(2)?;
        Ok(Self { responder_sid: reader.array()?, header, sealed })
    }

    /// The bytes before the ciphertext.
    pub fn emit_header(responder_sid: &Sid) -> Vec<u8> {
        let mut out = vec![kind::HS_AUTH, VERSION, 0, 0];
        out.emit(responder_sid);
        out
    }
}

/// HS_COOKIE: "show that you can hear me".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// The initiator's name for the handshake.
    pub sid: Sid,
    /// To be shown in the next HS_INIT.
    pub cookie: [u8; MAC_LEN],
}

impl Cookie {
    /// Reads an HS_COOKIE.
    pub fn parse(datagram: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(datagram);
        expect(&mut reader, kind::HS_COOKIE)?;
        reader.take(2)?;
        let message = Self { sid: reader.array()?, cookie: reader.array()? };
        reader.finish()?;
        Ok(message)
    }

    /// The 28 bytes.
    pub fn emit(&self) -> Vec<u8> {
        let mut out = vec![kind::HS_COOKIE, VERSION, 0, 0];
        out.emit(&self.sid);
        out.emit(&self.cookie);
        out
    }
}

/// HS_VERSION: "I speak these versions".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// Lowest version of the responder.
    pub min: u8,
    /// Highest version of the responder.
    pub max: u8,
    /// The initiator's name for the handshake.
    pub sid: Sid,
}

impl Versions {
    /// What this code answers to the handshake `sid` of another version.
    pub const fn ours(sid: Sid) -> Self {
        Self { min: VERSION_MIN, max: VERSION_MAX, sid }
    }

    /// Reads an HS_VERSION. Its second byte is no version: it stays readable for every version.
    pub fn parse(datagram: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(datagram);
        let [first, _, min, max] = reader.array()?;
        if first != kind::HS_VERSION {
            return Err(Malformed::Kind);
        }
        let message = Self { min, max, sid: reader.array()? };
        reader.finish()?;
        Ok(message)
    }

    /// The 12 bytes.
    pub fn emit(&self) -> Vec<u8> {
        let mut out = vec![kind::HS_VERSION, 0, self.min, self.max];
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
    /// Lowest version of the sender.
    pub version_min: u8,
    /// Highest version of the sender.
    pub version_max: u8,
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
    /// The claim of this code's versions.
    pub const fn new(slot: Option<Slot>, algorithm: u8, spki: &'a [u8]) -> Self {
        Self { version_min: VERSION_MIN, version_max: VERSION_MAX, slot, algorithm, spki }
    }

    fn parse(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let [version_min, version_max, slot] = reader.array()?;
        let slot = match slot {
            NO_SLOT => None,
            Slot::EXTENDED => Some(Slot::Extended(reader.u32()?)),
            short => Some(Slot::short(short).ok_or(Malformed::Field)?),
        };
        Ok(Self { version_min, version_max, slot, algorithm: reader.u8()?, spki: reader.variable()? })
    }

    /// The bytes of the claim.
    pub fn emit(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(MAX_DATAGRAM);
        out.emit(&[self.version_min, self.version_max]);
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

fn expect(reader: &mut Reader<'_>, kind: u8) -> Result<(), Malformed> {
    match reader.array()? {
        [first, _] if first != kind => Err(Malformed::Kind),
        [_, VERSION] => Ok(()),
        _ => Err(Malformed::Version),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_init_has_its_fixed_bytes_both_ways() {
        let mut bytes = Init::emit_body(0, &[9; 8], &[7; KEY_LEN], INIT_PADDED);
        bytes.emit(&[2; 16]);
        bytes.emit(&[3; 16]);
        assert_eq!(bytes.len(), 512);
        assert_eq!(bytes[..8], [0x20, 1, 0, 1, 1, 1, 0, 0]);
        assert_eq!(bytes[8..16], [9; 8]);
        assert_eq!(bytes[16..107], [7; 91]);
        assert!(bytes[107..480].iter().all(|byte| *byte == 0));
        let init = Init::parse(&bytes).unwrap();
        assert_eq!((init.sid, init.key, init.cookie, init.mac1), ([9; 8], &[7; 91], [2; 16], [3; 16]));
        assert_eq!((init.body.len(), init.before_mac1.len()), (480, 496));
        assert_eq!(any_version(&bytes), Ok((1, [9; 8])));
    }

    #[test]
    fn an_init_of_a_wrong_length_or_version_is_refused() {
        let mut bytes = Init::emit_body(FLAG_ANON, &[9; 8], &[7; KEY_LEN], INIT_MIN);
        bytes.resize(INIT_MIN, 0);
        assert_eq!(Init::parse(&bytes).map(|init| init.flags), Ok(FLAG_ANON));
        assert_eq!(Init::parse(&bytes[..INIT_MIN - 1]), Err(Malformed::Length));
        assert_eq!(Init::parse(&[0x20; MAX_DATAGRAM + 1]), Err(Malformed::Length));
        bytes[1] = 2;
        assert_eq!(Init::parse(&bytes), Err(Malformed::Version));
        assert_eq!(any_version(&bytes[..16]), Ok((2, [9; 8])));
        assert_eq!(any_version(&bytes[..15]), Err(Malformed::Length));
    }

    #[test]
    fn a_resp_has_its_fixed_bytes_both_ways() {
        let mut bytes = Resp::emit_header(0, &[1; 8], &[2; 8], &[3; KEY_LEN]);
        assert_eq!(bytes.len(), RESP_HEADER);
        assert_eq!(bytes[..4], [0x21, 1, 0, 1]);
        bytes.emit(b"sealed");
        let resp = Resp::parse(&bytes).unwrap();
        assert_eq!((resp.initiator_sid, resp.responder_sid), ([1; 8], [2; 8]));
        assert_eq!((resp.key, resp.sealed), (&[3; KEY_LEN], &b"sealed"[..]));
        assert_eq!(Resp::parse(&bytes[..110]), Err(Malformed::Length));
    }

    #[test]
    fn an_auth_has_its_fixed_bytes_both_ways() {
        let mut bytes = Auth::emit_header(&[2; 8]);
        assert_eq!(bytes, [0x22, 1, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2]);
        bytes.emit(b"sealed");
        let auth = Auth::parse(&bytes).unwrap();
        assert_eq!((auth.responder_sid, auth.sealed), ([2; 8], &b"sealed"[..]));
    }

    #[test]
    fn cookie_and_version_have_their_fixed_bytes_both_ways() {
        let cookie = Cookie { sid: [1; 8], cookie: [2; 16] };
        assert_eq!(cookie.emit().len(), 28);
        assert_eq!(Cookie::parse(&cookie.emit()), Ok(cookie));
        let versions = Versions { min: 1, max: 3, sid: [4; 8] };
        assert_eq!(versions.emit(), [0x24, 0, 1, 3, 4, 4, 4, 4, 4, 4, 4, 4]);
        assert_eq!(Versions::parse(&versions.emit()), Ok(versions));
        assert_eq!(Versions::parse(&[0x24; 13]), Err(Malformed::Length));
    }

    #[test]
    fn credentials_are_consumed_exactly() {
        let claim = Claim::new(Some(Slot::Short(5)), 7, b"spki");
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
            let text = Claim::new(slot, 1, b"").emit();
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
            let _ = (Init::parse(&bytes), Resp::parse(&bytes), Auth::parse(&bytes), Cookie::parse(&bytes));
            let _ = (Versions::parse(&bytes), Credentials::parse(&bytes), any_version(&bytes));
        }
    }
}
