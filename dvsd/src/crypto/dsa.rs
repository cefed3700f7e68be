// SPDX-License-Identifier: GPL-3.0-or-later
//! DSA identities (FIPS 186-4) of 2048 bits, with subgroups of 224 or 256 bits. They are understood, never made.
//!
//! A full check of somebody's parameters takes long enough to be an attack, so only what bounds the work is checked: the
//! sizes. Bad parameters harm their owner alone, who might as well publish the private key.

use openssl::bn::BigNum;
use openssl::dsa::Dsa;
use openssl::pkey::{PKey, Public};

use super::der::{Der, bits, is_odd};

/// The object identifier id-dsa.
const ALGORITHM: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01];
const MODULUS_BITS: usize = 2_048;
const SUBGROUP_BITS: [usize; 2] = [224, 256];

/// The public key in `spki`, which must be its one encoding, parameters included.
pub(super) fn public_key(spki: &[u8]) -> Option<PKey<Public>> {
    let mut outer = Der::new(spki);
    let mut info = outer.sequence()?;
    outer.end()?;
    let mut algorithm = info.sequence()?;
    algorithm.exactly(ALGORITHM)?;
    let mut parameters = algorithm.sequence()?;
    algorithm.end()?;
    let (p, q, g) = (parameters.positive()?, parameters.positive()?, parameters.positive()?);
    parameters.end()?;
    let mut bit_string = info.bit_string()?;
    info.end()?;
    let y = bit_string.positive()?;
    bit_string.end()?;
    let in_group = |number: &[u8]| bits(number) > 1 && (number.len() < p.len() || number < p);
    let sizes_fit = bits(p) == MODULUS_BITS && SUBGROUP_BITS.contains(&bits(q)) && in_group(g) && in_group(y);
    if !sizes_fit || !is_odd(p) || !is_odd(q) {
        return None;
    }
    let number = |bytes| BigNum::from_slice(bytes).ok();
    PKey::from_dsa(Dsa::from_public_components(number(p)?, number(q)?, number(g)?, number(y)?).ok()?).ok()
}
