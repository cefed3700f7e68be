// SPDX-License-Identifier: GPL-3.0-or-later
//! The daemon's randomness: OpenSSL's generator.

use dvsd::random::Entropy;

/// Draws from OpenSSL, which draws from the kernel.
#[derive(Debug)]
pub(crate) struct OpensslEntropy;

impl Entropy for OpensslEntropy {
    fn fill(&mut self, dest: &mut [u8]) {
        if let Err(error) = openssl::rand::rand_priv_bytes(dest) {
            // Going on with predictable keys would be worse than any outage.
            tracing::error!(%error, "no randomness from OpenSSL");
            crate::log::flush();
            std::process::abort();
        }
    }
}
