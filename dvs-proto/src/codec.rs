// SPDX-License-Identifier: GPL-3.0-or-later
//! Messages as bytes. All bincode is here.
//!
//! Without a limit bincode allocates whatever a length field announces, so that thirty bytes can abort a process; and
//! it does not mind bytes behind a message. Both are settled here: decoding is limited, and must use up its frame.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::error::DecodeError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::framing::{self, FrameError, MAX_FRAME, PREFIX_LEN};
use crate::message::{ToClient, ToServer};

/// Limit for what a client sends, in bytes as bincode counts them: numbers at their size in memory.
const REQUEST_LIMIT: usize = MAX_FRAME;
/// Limit for what the daemon sends. A length or number of eight bytes may take one byte of a frame, so that eight
/// times the frame never refuses a legal one.
const ANSWER_LIMIT: usize = 8 * MAX_FRAME;

type Bounded<const LIMIT: usize> = Configuration<LittleEndian, Varint, Limit<LIMIT>>;

/// Why bytes are not a message, or a message cannot become bytes.
#[derive(Debug, Error)]
pub enum CodecError {
    /// Not a message of this version.
    #[error("malformed message: {0}")]
    Malformed(DecodeError),
    /// A message, and then more.
    #[error("{0} bytes behind the message")]
    Trailing(usize),
    /// The message does not fit into a frame.
    #[error("the message does not fit: {0}")]
    Frame(#[from] FrameError),
    /// The message cannot be encoded.
    #[error("cannot encode: {0}")]
    Encode(#[from] bincode::error::EncodeError),
}

/// `message` as a whole frame, length included.
pub fn encode(message: &impl Serialize) -> Result<Vec<u8>, CodecError> {
    let mut framed = vec![0; PREFIX_LEN];
    bincode::serde::encode_into_std_write(message, &mut framed, bincode::config::standard())?;
    let prefix = framing::prefix(framed.len() - PREFIX_LEN)?;
    for (place, byte) in framed.iter_mut().zip(prefix) {
        *place = byte;
    }
    Ok(framed)
}

/// Reads the payload of a frame that a client sent.
pub fn decode_request(payload: &[u8]) -> Result<ToServer, CodecError> {
    decode(payload, limited::<REQUEST_LIMIT>())
}

/// Reads the payload of a frame that the daemon sent.
pub fn decode_answer(payload: &[u8]) -> Result<ToClient, CodecError> {
    decode(payload, limited::<ANSWER_LIMIT>())
}

const fn limited<const LIMIT: usize>() -> Bounded<LIMIT> {
    bincode::config::standard().with_limit::<LIMIT>()
}

fn decode<T: DeserializeOwned, const LIMIT: usize>(payload: &[u8], config: Bounded<LIMIT>) -> Result<T, CodecError> {
    let (message, used) = bincode::serde::decode_from_slice(payload, config).map_err(CodecError::Malformed)?;
    match payload.len() - used {
        0 => Ok(message),
        trailing => Err(CodecError::Trailing(trailing)),
    }
}

#[cfg(test)]
mod tests;
