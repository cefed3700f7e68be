// SPDX-License-Identifier: GPL-3.0-or-later
//! Identities of every kind for tests, made once: RSA keys take a second each. Nobody uses these keys.

use std::sync::{Arc, OnceLock};

use super::identity::{Identity, KeyKind};
use crate::random::Random;

/// A DSA key with a subgroup of 256 bits and the longest encoding there can be.
pub(crate) const DSA_256: &[u8] = include_bytes!("test_keys/dsa_256.pem");
/// A DSA key with a subgroup of 224 bits.
pub(crate) const DSA_224: &[u8] = include_bytes!("test_keys/dsa_224.pem");

/// Two identities of every kind, in the order of [`KeyKind::ALL`].
pub(crate) fn all() -> &'static [[Arc<Identity>; 2]] {
    static ALL: OnceLock<Vec<[Arc<Identity>; 2]>> = OnceLock::new();
    ALL.get_or_init(|| KeyKind::ALL.map(|kind| [make(kind, 1_001, DSA_256), make(kind, 1_002, DSA_224)]).to_vec())
}

/// The first identity of `kind`.
pub(crate) fn of(kind: KeyKind) -> Arc<Identity> {
    let [first, _] = all().iter().find(|[first, _]| first.public().kind() == kind).unwrap();
    first.clone()
}

fn make(kind: KeyKind, seed: u64, dsa: &[u8]) -> Arc<Identity> {
    Arc::new(match kind {
        KeyKind::Dsa2048 => Identity::from_pem(dsa).unwrap(),
        kind => Identity::generate(kind, &mut Random::seeded(seed)).unwrap(),
    })
}
