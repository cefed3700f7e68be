// SPDX-License-Identifier: GPL-3.0-or-later
//! The first frame each way. It is no bincode, so that two versions that share nothing else can still tell each
//! other apart.
//!
//! | client to daemon | bytes | | daemon to client | bytes |
//! |---|---|---|---|---|
//! | `DVSC` | 4 | | `DVSS` | 4 |
//! | major | 2 | | major | 2 |
//! | minor | 2 | | minor | 2 |
//! | flags | 4 | | client | 4 |
//! | | | | longest frame | 4 |
//!
//! All numbers are little-endian. Later minor versions may append fields, so longer hellos are read as well.

use thiserror::Error;

/// Must be the same on both ends.
pub const MAJOR: u16 = 3;
/// Grows with each request that is added.
pub const MINOR: u16 = 0;
/// The number no client gets; in a daemon's hello it says: too many clients, come back later.
pub const NO_CLIENT: u32 = 0;

const CLIENT_MAGIC: [u8; 4] = *b"DVSC";
const SERVER_MAGIC: [u8; 4] = *b"DVSS";
const CLIENT_LEN: usize = 12;
const SERVER_LEN: usize = 16;
const FLAG_CONTROL: u32 = 1;
const FLAG_EVENTS: u32 = 2;

/// Why a first frame is not a hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HelloError {
    /// Not one of the two hellos, or too short.
    #[error("the first frame is no hello")]
    Form,
    /// The other end speaks another major version.
    #[error("version {0} of the control protocol, not {MAJOR}")]
    Version(u16),
}

/// What a client says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The minor version it knows.
    pub minor: u16,
    /// Whether it wants to act; without, acting requests are refused.
    pub control: bool,
    /// Whether it wants events; without, it gets answers only.
    pub events: bool,
}

impl Hello {
    /// The payload of the hello's frame.
    pub fn emit(&self) -> Vec<u8> {
        let flags = u32::from(self.control) * FLAG_CONTROL + u32::from(self.events) * FLAG_EVENTS;
        let mut payload = head(CLIENT_MAGIC, self.minor);
        payload.extend_from_slice(&flags.to_le_bytes());
        payload
    }

    /// Reads the payload of a client's first frame. Unknown flags are ignored.
    pub fn parse(payload: &[u8]) -> Result<Self, HelloError> {
        let (minor, [flags, ..]) = fields::<CLIENT_LEN, 1>(payload, CLIENT_MAGIC)?;
        Ok(Self { minor, control: flags & FLAG_CONTROL != 0, events: flags & FLAG_EVENTS != 0 })
    }
}

/// What the daemon answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerHello {
    /// The minor version it knows.
    pub minor: u16,
    /// The client's number, or [`NO_CLIENT`].
    pub client: u32,
    /// Longest frame it reads and writes, in bytes of payload.
    pub max_frame: u32,
}

impl ServerHello {
    /// The payload of the hello's frame.
    pub fn emit(&self) -> Vec<u8> {
        let mut payload = head(SERVER_MAGIC, self.minor);
        payload.extend_from_slice(&self.client.to_le_bytes());
        payload.extend_from_slice(&self.max_frame.to_le_bytes());
        payload
    }

    /// Reads the payload of the daemon's first frame.
    pub fn parse(payload: &[u8]) -> Result<Self, HelloError> {
        let (minor, [client, max_frame]) = fields::<SERVER_LEN, 2>(payload, SERVER_MAGIC)?;
        Ok(Self { minor, client, max_frame })
    }
}

fn head(magic: [u8; 4], minor: u16) -> Vec<u8> {
    let mut payload = Vec::with_capacity(SERVER_LEN);
    payload.extend_from_slice(&magic);
    payload.extend_from_slice(&MAJOR.to_le_bytes());
    payload.extend_from_slice(&minor.to_le_bytes());
    payload
}

/// The minor version and the `N` numbers behind it, of a hello of at least `LEN` bytes. The version is looked at before
/// the length, for another major version may be of any length.
fn fields<const LEN: usize, const N: usize>(payload: &[u8], magic: [u8; 4]) -> Result<(u16, [u32; N]), HelloError> {
    let rest = payload.strip_prefix(&magic).ok_or(HelloError::Form)?;
    let (major, rest) = rest.split_first_chunk::<2>().ok_or(HelloError::Form)?;
    match u16::from_le_bytes(*major) {
        MAJOR if payload.len() >= LEN => {}
        MAJOR => return Err(HelloError::Form),
        other => return Err(HelloError::Version(other)),
    }
    let (minor, rest) = rest.split_first_chunk::<2>().ok_or(HelloError::Form)?;
    let (words, _) = rest.as_chunks::<4>();
    let mut numbers = [0; N];
    for (number, word) in numbers.iter_mut().zip(words) {
        *number = u32::from_le_bytes(*word);
    }
    Ok((u16::from_le_bytes(*minor), numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_hello_is_these_twelve_bytes() {
        let hello = Hello { minor: 0x0203, control: true, events: true };
        let bytes = [b'D', b'V', b'S', b'C', 3, 0, 3, 2, 3, 0, 0, 0];
        assert_eq!(hello.emit(), bytes);
        assert_eq!(Hello::parse(&bytes), Ok(hello));
    }

    #[test]
    fn the_daemons_hello_is_these_sixteen_bytes() {
        let hello = ServerHello { minor: 0, client: 7, max_frame: 65_536 };
        let bytes = [b'D', b'V', b'S', b'S', 3, 0, 0, 0, 7, 0, 0, 0, 0, 0, 1, 0];
        assert_eq!(hello.emit(), bytes);
        assert_eq!(ServerHello::parse(&bytes), Ok(hello));
    }

    #[test]
    fn flags_stand_for_themselves_and_unknown_ones_for_nothing() {
        let mut bytes = Hello { minor: 0, control: false, events: true }.emit();
        assert_eq!(bytes[8], 2);
        bytes[8] = 0xfd;
        assert_eq!(Hello::parse(&bytes), Ok(Hello { minor: 0, control: true, events: false }));
    }

    #[test]
    fn another_major_version_is_named_whatever_follows_it() {
        assert_eq!(Hello::parse(b"DVSC\x01\x00"), Err(HelloError::Version(1)));
        assert_eq!(ServerHello::parse(b"DVSS\x09\x00and a lot of other things"), Err(HelloError::Version(9)));
    }

    #[test]
    fn longer_hellos_of_later_minor_versions_are_understood() {
        let mut bytes = Hello { minor: 9, control: true, events: false }.emit();
        bytes.extend_from_slice(b"more");
        assert_eq!(Hello::parse(&bytes), Ok(Hello { minor: 9, control: true, events: false }));
    }

    #[test]
    fn short_and_foreign_frames_are_no_hellos() {
        let whole = Hello { minor: 0, control: true, events: true }.emit();
        for len in 0..whole.len() {
            assert_eq!(Hello::parse(&whole[..len]), Err(HelloError::Form), "{len}");
        }
        assert_eq!(ServerHello::parse(&whole), Err(HelloError::Form));
        assert_eq!(Hello::parse(b"GET / HTTP/1.1"), Err(HelloError::Form));
    }
}
