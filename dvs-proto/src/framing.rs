// SPDX-License-Identifier: GPL-3.0-or-later
//! Bytes as frames: a length (u32, little-endian like everything on the pipes), then that many bytes of payload.

use thiserror::Error;

/// Longest payload, in bytes. The shortest is 1.
pub const MAX_FRAME: usize = 65_536;
/// Bytes in front of each payload.
pub const PREFIX_LEN: usize = 4;
/// Most bytes a [`FrameReader`] holds: one whole frame and one whole pipe.
const MAX_BUFFERED: usize = 2 * (MAX_FRAME + PREFIX_LEN);

/// Why a stream cannot be followed any further; the only cure is to disconnect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// A length of zero.
    #[error("a frame without payload")]
    Empty,
    /// A length above [`MAX_FRAME`].
    #[error("a frame of {0} bytes, more than 65536")]
    TooLong(u32),
    /// The reader was fed more than it may hold without its frames being taken out.
    #[error("more unread bytes than a reader may hold")]
    Full,
}

/// Puts its length in front of `payload`.
pub fn frame(payload: &[u8]) -> Result<Vec<u8>, FrameError> {
    let mut framed = Vec::with_capacity(PREFIX_LEN + payload.len());
    framed.extend_from_slice(&prefix(payload.len())?);
    framed.extend_from_slice(payload);
    Ok(framed)
}

/// The length field of a payload of `len` bytes.
pub(crate) fn prefix(len: usize) -> Result<[u8; PREFIX_LEN], FrameError> {
    let announced = u32::try_from(len).unwrap_or(u32::MAX);
    check(announced)?;
    Ok(announced.to_le_bytes())
}

/// The payload's length when `announced` is a legal one.
fn check(announced: u32) -> Result<usize, FrameError> {
    match usize::try_from(announced) {
        Ok(0) => Err(FrameError::Empty),
        Ok(len) if len <= MAX_FRAME => Ok(len),
        _ => Err(FrameError::TooLong(announced)),
    }
}

/// Finds the frames in bytes that come in arbitrary pieces.
///
/// Push what was read, then pull frames until there is none. Memory is bounded whatever is pushed.
#[derive(Debug, Default)]
pub struct FrameReader {
    /// Bytes read and not yet pulled.
    buffer: Vec<u8>,
    /// How many bytes at the start of `buffer` were pulled already.
    taken: usize,
}

impl FrameReader {
    /// A reader at the start of a stream.
    pub const fn new() -> Self {
        Self { buffer: Vec::new(), taken: 0 }
    }

    /// Takes in `bytes`.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        if self.buffer.len() + bytes.len() > MAX_BUFFERED {
            return Err(FrameError::Full);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Takes out the payload of the next frame, if it is complete.
    pub fn pull(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let unread = self.buffer.get(self.taken..).unwrap_or_default();
        let Some((prefix, rest)) = unread.split_first_chunk::<PREFIX_LEN>() else {
            return Ok(None);
        };
        let len = check(u32::from_le_bytes(*prefix))?;
        let Some(payload) = rest.get(..len) else {
            return Ok(None);
        };
        self.taken += PREFIX_LEN + len;
        Ok(Some(payload))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frame_is_its_length_in_little_endian_and_the_payload() {
        assert_eq!(frame(b"abc").unwrap(), [3, 0, 0, 0, b'a', b'b', b'c']);
        assert_eq!(frame(&[7; 65_536]).unwrap()[..5], [0, 0, 1, 0, 7]);
    }

    #[test]
    fn illegal_lengths_are_neither_written_nor_read() {
        assert_eq!(frame(b""), Err(FrameError::Empty));
        assert_eq!(frame(&[0; 65_537]), Err(FrameError::TooLong(65_537)));
        for (bytes, error) in [
            ([0; 4], FrameError::Empty),
            ([1, 0, 1, 0], FrameError::TooLong(65_537)),
            ([255; 4], FrameError::TooLong(u32::MAX)),
        ] {
            let mut reader = FrameReader::new();
            reader.push(&bytes).unwrap();
            assert_eq!(reader.pull(), Err(error));
        }
    }

    #[test]
    fn a_reader_never_holds_more_than_two_frames() {
        let mut reader = FrameReader::new();
        reader.push(&[0, 0, 1, 0]).unwrap();
        let fed = (0..100).take_while(|_| reader.push(&[0; 4096]).is_ok()).count();
        assert_eq!(fed, 32);
        assert_eq!(reader.push(&[0; 4096]), Err(FrameError::Full));
        assert_eq!(reader.pull().unwrap().unwrap().len(), 65_536);
        reader.push(&[0; 4096]).unwrap();
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_the_bytes_are_cut(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..20),
            cut in 1_usize..700,
        ) {
            let stream: Vec<u8> = payloads.iter().flat_map(|payload| frame(payload).unwrap()).collect();
            let mut reader = FrameReader::new();
            let mut seen = Vec::new();
            for piece in stream.chunks(cut) {
                reader.push(piece).unwrap();
                while let Some(payload) = reader.pull().unwrap() {
                    seen.push(payload.to_vec());
                }
            }
            prop_assert_eq!(seen, payloads);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut reader = FrameReader::new();
            reader.push(&bytes).unwrap();
            while let Ok(Some(payload)) = reader.pull() {
                prop_assert!(!payload.is_empty() && payload.len() <= MAX_FRAME);
            }
        }
    }
}
