// SPDX-License-Identifier: GPL-3.0-or-later
//! Keys, signatures, and sealed bytes. Every call into OpenSSL is here.
//!
//! OpenSSL is more lenient than the protocol: it verifies a GCM tag cut to one byte and parses public keys with
//! trailing bytes, compressed points and explicit curves. So every length and every encoding is fixed by our own
//! code before OpenSSL sees a byte.

use openssl::error::ErrorStack;
use thiserror::Error;

pub mod cell;
pub mod cookie;
mod der;
mod dsa;
mod ec;
pub mod exchange;
pub mod identity;
pub mod kdf;
mod rsa;
pub mod seal;
pub mod spki;
#[cfg(test)]
pub(crate) mod test_keys;

/// OpenSSL refused an operation that should always work. Its error queue has been drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
#[error("OpenSSL refused an operation")]
pub struct CryptoError;

impl From<ErrorStack> for CryptoError {
    fn from(_: ErrorStack) -> Self {
        Self
    }
}

/// A public key that is not exactly one of the accepted encodings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("public key not in an accepted form")]
pub struct BadKey;

/// Whether two authenticators are equal, in time that does not depend on where they differ.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && openssl::memcmp::eq(a, b)
}
