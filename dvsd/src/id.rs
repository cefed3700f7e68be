// SPDX-License-Identifier: GPL-3.0-or-later
//! Names of peers: IDs, fingerprints, their distance, and the text a person types or pastes.

use core::fmt;
use core::str::FromStr;

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use data_encoding::{BASE32_NOPAD, HEXLOWER_PERMISSIVE, HEXUPPER};
use thiserror::Error;

/// Length of an ID in bytes.
pub const ID_LEN: usize = 20;
/// The human-readable part of the bech32 form, as in `dvs1…`.
const HRP: &str = "dvs";
/// The scheme of an invite, without its colon.
const SCHEME: &str = "dvs";
/// How many address hints of each kind an invite may carry.
pub const MAX_HINTS: usize = 3;

/// The SHA-1 digest of a public key's SubjectPublicKeyInfo: an address in the overlay, never a proof.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; ID_LEN]);

impl NodeId {
    /// The XOR distance to `other`.
    pub fn distance(&self, other: &Self) -> Distance {
        let mut xor = self.0;
        for (byte, theirs) in xor.iter_mut().zip(other.0) {
            *byte ^= theirs;
        }
        Distance(xor)
    }

    /// The bech32 form, `dvs1…`, whose checksum catches mistyped characters.
    pub fn to_bech32(&self) -> String {
        bech32::encode_lower::<Bech32>(Hrp::parse_unchecked(HRP), &self.0).unwrap_or_else(|_| self.to_hex())
    }

    /// 40 upper-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        HEXUPPER.encode(&self.0)
    }

    fn from_bech32(text: &str) -> Result<Self, IdError> {
        let checked = CheckedHrpstring::new::<Bech32>(text).map_err(|_| IdError::Checksum)?;
        if !checked.hrp().as_str().eq_ignore_ascii_case(HRP) {
            return Err(IdError::Form);
        }
        let bytes: Vec<u8> = checked.byte_iter().collect();
        bytes.try_into().map(Self).map_err(|_| IdError::Length)
    }

    fn from_hex(text: &str) -> Result<Self, IdError> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| IdError::Form)?;
        bytes.try_into().map(Self).map_err(|_| IdError::Length)
    }
}

impl FromStr for NodeId {
    type Err = IdError;

    /// Reads the bech32 form or 40 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let bech32_prefix = text.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("dvs1"));
        if bech32_prefix { Self::from_bech32(text) } else { Self::from_hex(text) }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_bech32())
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

/// Why a text is not an ID or an invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum IdError {
    /// Neither bech32 nor hexadecimal.
    #[error("not an ID: expected dvs1…, 40 hexadecimal digits, or an invite dvs:…")]
    Form,
    /// A bech32 text whose checksum does not fit: something was mistyped.
    #[error("the ID's checksum does not fit: a character is mistyped or missing")]
    Checksum,
    /// The right alphabet, but not 20 bytes.
    #[error("the ID has the wrong length: expected dvs1 and 38 characters, or 40 hexadecimal digits")]
    Length,
    /// An invite with a parameter that cannot be read.
    #[error("the invite has a damaged fingerprint or address")]
    Parameter,
}

/// The XOR of two IDs: how far apart they are in the overlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Distance(pub [u8; ID_LEN]);

impl Distance {
    /// How many leading bits the two IDs share: 0 to 160.
    pub fn shared_bits(&self) -> u32 {
        let mut bits = 0;
        for byte in self.0 {
            bits += byte.leading_zeros();
            if byte != 0 {
                break;
            }
        }
        bits
    }
}

/// The SHA-256 digest of a public key's SubjectPublicKeyInfo: what trust is pinned to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Lower-case base32 without padding: the form used in invites.
    pub fn to_base32(&self) -> String {
        BASE32_NOPAD.encode(&self.0).to_ascii_lowercase()
    }

    fn from_base32(text: &str) -> Result<Self, IdError> {
        let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).map_err(|_| IdError::Parameter)?;
        bytes.try_into().map(Self).map_err(|_| IdError::Parameter)
    }
}

impl fmt::Display for Fingerprint {
    /// Eight groups of eight hexadecimal digits, to be compared by eye.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in self.0.chunks(4).enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(&HEXUPPER.encode(group))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXUPPER.encode(&self.0))
    }
}

/// Which of this daemon's identities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalId(pub u8);

/// `host:port` as written by a person; the host may be a name, an IPv4 address or `[IPv6]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Name or address, IPv6 without its brackets.
    pub host: String,
    /// UDP port, never 0.
    pub port: u16,
}

impl FromStr for HostPort {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (host, port) = text.rsplit_once(':').ok_or(IdError::Parameter)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(IdError::Parameter)?;
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let host = bracketed.unwrap_or(host);
        let legal =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') || (c == ':' && bracketed.is_some());
        if host.is_empty() || host.len() > 253 || !host.chars().all(legal) {
            return Err(IdError::Parameter);
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Whom to call, with everything an invite may say to make that possible.
///
/// The text form is `dvs:<dvs1…|hex>[?fp=<base32>][&at=host:port…][&via=ID@host:port…]`; a bare ID is an invite
/// without parameters. Unknown parameters are ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// The peer.
    pub id: NodeId,
    /// The fingerprint the peer's key must have, when the inviter gave it.
    pub fingerprint: Option<Fingerprint>,
    /// Addresses at which the peer itself may be found.
    pub at: Vec<HostPort>,
    /// Public nodes its owner has verified, through which the overlay can be joined.
    pub via: Vec<(NodeId, HostPort)>,
}

impl Invite {
    /// An invite that gives nothing but the ID.
    pub const fn bare(id: NodeId) -> Self {
        Self { id, fingerprint: None, at: Vec::new(), via: Vec::new() }
    }

    fn read_parameter(&mut self, parameter: &str) -> Result<(), IdError> {
        let (key, value) = parameter.split_once('=').ok_or(IdError::Parameter)?;
        match key {
            "fp" => self.fingerprint = Some(Fingerprint::from_base32(value)?),
            "at" if self.at.len() < MAX_HINTS => self.at.push(value.parse()?),
            "via" if self.via.len() < MAX_HINTS => {
                let (id, address) = value.split_once('@').ok_or(IdError::Parameter)?;
                self.via.push((id.parse()?, address.parse()?));
            }
            _ => {}
        }
        Ok(())
    }
}

impl FromStr for Invite {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let text = text.trim();
        let Some((scheme, rest)) = text.split_once(':') else {
            return text.parse().map(Self::bare);
        };
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(IdError::Form);
        }
        let (id, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut invite = Self::bare(id.parse()?);
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            invite.read_parameter(parameter)?;
        }
        Ok(invite)
    }
}

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}:{}", self.id)?;
        let mut separator = '?';
        let mut parameter = |f: &mut fmt::Formatter<'_>, key: &str, value: &dyn fmt::Display| {
            let written = write!(f, "{separator}{key}={value}");
            separator = '&';
            written
        };
        if let Some(fingerprint) = &self.fingerprint {
            parameter(f, "fp", &fingerprint.to_base32())?;
        }
        for address in &self.at {
            parameter(f, "at", address)?;
        }
        for (id, address) in &self.via {
            parameter(f, "via", &format_args!("{id}@{address}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> NodeId {
        NodeId(core::array::from_fn(|index| index as u8 * 13))
    }

    #[test]
    fn an_id_survives_both_text_forms() {
        assert!(id().to_string().starts_with("dvs1"));
        assert_eq!(id().to_string().parse(), Ok(id()));
        assert_eq!(id().to_string().to_uppercase().parse(), Ok(id()));
        assert_eq!(id().to_hex().parse(), Ok(id()));
        assert_eq!(id().to_hex().to_lowercase().parse(), Ok(id()));
    }

    #[test]
    fn any_single_mistyped_character_is_noticed() {
        let text = id().to_string();
        for position in 4..text.len() {
            let mut typo = text.clone().into_bytes();
            typo[position] = if typo[position] == b'q' { b'p' } else { b'q' };
            let typo = String::from_utf8(typo).unwrap();
            assert_eq!(typo.parse::<NodeId>(), Err(IdError::Checksum), "{typo}");
        }
    }

    #[test]
    fn wrong_texts_are_named_for_what_is_wrong_with_them() {
        assert_eq!("".parse::<Invite>(), Err(IdError::Length));
        assert_eq!("alice".parse::<Invite>(), Err(IdError::Form));
        assert_eq!("AB12".parse::<Invite>(), Err(IdError::Length));
        assert_eq!("sip:alice".parse::<Invite>(), Err(IdError::Form));
        assert_eq!("é".repeat(20).parse::<Invite>(), Err(IdError::Form));
        assert_eq!(format!("dvs:{}?fp=0", id()).parse::<Invite>(), Err(IdError::Parameter));
        assert_eq!(format!("dvs:{}?at=host", id()).parse::<Invite>(), Err(IdError::Parameter));
        assert_eq!(format!("dvs:{}?at=host:0", id()).parse::<Invite>(), Err(IdError::Parameter));
    }

    #[test]
    fn an_invite_survives_its_text_form() {
        let invite = Invite {
            id: id(),
            fingerprint: Some(Fingerprint([0xa5; 32])),
            at: vec!["198.18.0.1:5004".parse().unwrap(), "[2001:db8::1]:5004".parse().unwrap()],
            via: vec![(NodeId([7; 20]), "seed.example.org:5004".parse().unwrap())],
        };
        assert_eq!(invite.to_string().parse(), Ok(invite));
        assert_eq!(id().to_string().parse(), Ok(Invite::bare(id())));
    }

    #[test]
    fn the_metric_is_the_papers() {
        let [x, y, z] = [NodeId([3; 20]), NodeId([0x55; 20]), id()];
        assert_eq!(x.distance(&x), Distance([0; 20]));
        assert_eq!(x.distance(&y), y.distance(&x));
        assert!(sum(&x.distance(&y), &y.distance(&z)) >= x.distance(&z).0.to_vec());
        assert_eq!(x.distance(&x).shared_bits(), 160);
        assert_eq!(NodeId([0; 20]).distance(&NodeId([1; 20])).shared_bits(), 7);
    }

    /// The sum of two distances as big-endian bytes, saturating.
    fn sum(a: &Distance, b: &Distance) -> Vec<u8> {
        let mut carry = 0;
        let mut sum: Vec<u8> =
            a.0.iter()
                .zip(b.0)
                .rev()
                .map(|(a, b)| {
                    let wide = u16::from(*a) + u16::from(b) + carry;
                    carry = wide >> 8;
                    wide as u8
                })
                .collect();
        sum.reverse();
        if carry > 0 { vec![0xff; ID_LEN] } else { sum }
    }
}
