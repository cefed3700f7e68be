// SPDX-License-Identifier: GPL-3.0-or-later
//! Digests and key derivation: SHA-256, HMAC-SHA256 (RFC 2104), HKDF-SHA256 (RFC 5869) with the protocol's labels.
//!
//! HMAC is spelt out over OpenSSL's SHA-256 because that cannot fail and lets a key be prepared once: the check of
//! an unauthenticated packet costs well under a microsecond. RFC vectors below hold it in place.

use openssl::sha::{Sha256, sha1};
use zeroize::{Zeroize, Zeroizing};

use crate::id::{Fingerprint, NodeId};

/// Length of a SHA-256 digest, of a MAC and of a secret, in bytes.
pub const DIGEST_LEN: usize = 32;
/// A SHA-256 digest.
pub type Digest = [u8; DIGEST_LEN];
/// 32 secret bytes, overwritten when dropped.
pub type Secret = Zeroizing<[u8; DIGEST_LEN]>;

/// The block length of SHA-256, in bytes.
const BLOCK_LEN: usize = 64;

/// The SHA-256 digest of all `parts` in a row.
pub fn sha256(parts: &[&[u8]]) -> Digest {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finish()
}

/// The ID of a public key: the SHA-1 digest of its SubjectPublicKeyInfo.
pub fn node_id(spki: &[u8]) -> NodeId {
    NodeId(sha1(spki))
}

/// The fingerprint of a public key: the SHA-256 digest of its SubjectPublicKeyInfo.
pub fn fingerprint(spki: &[u8]) -> Fingerprint {
    Fingerprint(sha256(&[spki]))
}

/// A key of HMAC-SHA256, prepared for any number of messages.
#[derive(Clone)]
pub struct MacKey {
    inner: Sha256,
    outer: Sha256,
}

impl MacKey {
    /// Prepares `key`, which may have any length.
    pub fn new(key: &[u8]) -> Self {
        let mut block = [0; BLOCK_LEN];
        let hashed;
        let key = if key.len() > BLOCK_LEN {
            hashed = sha256(&[key]);
            &hashed[..]
        } else {
            key
        };
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte = *key);
        let prepared = Self { inner: keyed(&block, 0x36), outer: keyed(&block, 0x5c) };
        block.zeroize();
        prepared
    }

    /// The MAC of all `parts` in a row.
    pub fn tag(&self, parts: &[&[u8]]) -> Digest {
        self.tag_of(parts.iter().copied())
    }

    fn tag_of<'a>(&self, parts: impl Iterator<Item = &'a [u8]>) -> Digest {
        let mut inner = self.inner.clone();
        parts.for_each(|part| inner.update(part));
        let mut outer = self.outer.clone();
        outer.update(&inner.finish());
        outer.finish()
    }

    /// The first 16 bytes of the MAC of all `parts` in a row.
    pub fn short_tag(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut short = [0; 16];
        short.iter_mut().zip(self.tag(parts)).for_each(|(short, full)| *short = full);
        short
    }
}

fn keyed(block: &[u8; BLOCK_LEN], pad: u8) -> Sha256 {
    let mut padded = block.map(|byte| byte ^ pad);
    let mut hash = Sha256::new();
    hash.update(&padded);
    padded.zeroize();
    hash
}

/// HKDF-Extract: one uniform secret out of `ikm`, bound to `salt`.
pub fn extract(salt: &[u8], ikm: &[u8]) -> Secret {
    Zeroizing::new(MacKey::new(salt).tag(&[ikm]))
}

/// HKDF-Expand of `secret` to `N` bytes (at most 8160) for the purpose `"dvs1 " || label || 0 || context`.
pub fn expand<const N: usize>(secret: &[u8; DIGEST_LEN], label: &str, context: &[u8]) -> Zeroizing<[u8; N]> {
    expand_parts(secret, &[b"dvs1 ", label.as_bytes(), &[0], context])
}

fn expand_parts<const N: usize>(secret: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; N]> {
    debug_assert!(N <= 255 * DIGEST_LEN);
    let key = MacKey::new(secret);
    let mut out = Zeroizing::new([0; N]);
    let mut previous = Zeroizing::new([0; DIGEST_LEN]);
    for (index, chunk) in (1u8..=255).zip(out.chunks_mut(DIGEST_LEN)) {
        let before: &[u8] = if index == 1 { &[] } else { &previous[..] };
        let counter = [index];
        let block = key.tag_of([before].into_iter().chain(info.iter().copied()).chain([&counter[..]]));
        *previous = block;
        chunk.iter_mut().zip(block).for_each(|(out, byte)| *out = byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    fn hex(text: &str) -> Vec<u8> {
        HEXLOWER.decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn hmac_matches_rfc_4231() {
        let cases = [
            (vec![0x0b; 20], b"Hi There".to_vec(), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe".to_vec(),
                b"what do ya want for nothing?".to_vec(),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                vec![0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ];
        for (key, message, tag) in cases {
            assert_eq!(MacKey::new(&key).tag(&[&message]).to_vec(), hex(tag));
            let (head, tail) = message.split_at(3);
            assert_eq!(MacKey::new(&key).tag(&[head, tail]).to_vec(), hex(tag));
        }
    }

    #[test]
    fn hkdf_matches_rfc_5869() {
        let prk = extract(&hex("000102030405060708090a0b0c"), &[0x0b; 22]);
        assert_eq!(prk.to_vec(), hex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"));
        let okm = expand_parts::<42>(&*prk, &[&hex("f0f1f2f3f4f5f6f7f8f9")]);
        let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
        assert_eq!(okm.to_vec(), hex(expected));
    }

    #[test]
    fn different_labels_and_contexts_give_different_keys() {
        let secret = [7; 32];
        let keys = [
            *expand::<32>(&secret, "sub", &[0]),
            *expand::<32>(&secret, "sub", &[1]),
            *expand::<32>(&secret, "session", &[0]),
        ];
        assert_ne!(keys[0], keys[1]);
        assert_ne!(keys[0], keys[2]);
        assert_eq!(keys[0][..16], expand::<16>(&secret, "sub", &[0])[..]);
    }
}
