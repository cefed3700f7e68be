// SPDX-License-Identifier: GPL-3.0-or-later
//! Keys on the curve P-256, straight from and to their 91-byte SubjectPublicKeyInfo.
//!
//! Building the point from the fixed template costs a tenth of OpenSSL's DER decoder and accepts one form only.

use std::sync::OnceLock;

use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcGroupRef, EcKey, EcPoint, EcPointRef, PointConversionForm};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private, Public};
use zeroize::Zeroizing;

use super::CryptoError;
use crate::random::Random;

/// SubjectPublicKeyInfo of a P-256 key up to and including the byte that says "uncompressed point".
pub(super) const PREFIX: &[u8; 27] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
/// Length of the whole SubjectPublicKeyInfo.
pub(super) const SPKI_LEN: usize = 91;
/// How much of [`PREFIX`] precedes the encoded point, whose first byte is the prefix' last.
const POINT_AT: usize = PREFIX.len() - 1;

/// The curve, set up once: that alone costs more than a signature.
pub(super) fn group() -> Result<&'static EcGroupRef, CryptoError> {
    static GROUP: OnceLock<EcGroup> = OnceLock::new();
    if GROUP.get().is_none() {
        let _ = GROUP.set(EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?);
    }
    GROUP.get().map(|group| &**group).ok_or(CryptoError)
}

/// The public key in `spki`, which must be exactly the template with a point of the curve.
pub(super) fn public_key(spki: &[u8]) -> Option<PKey<Public>> {
    if spki.len() != SPKI_LEN || !spki.starts_with(PREFIX) {
        return None;
    }
    let group = group().ok()?;
    // Reading an uncompressed point fails unless it lies on the curve; the cofactor is 1.
    let point = EcPoint::from_bytes(group, spki.get(POINT_AT..)?, &mut *BigNumContext::new().ok()?).ok()?;
    let key = EcKey::from_public_key(group, &point).ok()?;
    PKey::from_ec_key(key).ok()
}

/// The SubjectPublicKeyInfo of `point`.
pub(super) fn spki(point: &EcPointRef) -> Result<[u8; SPKI_LEN], CryptoError> {
    let bytes = point.to_bytes(group()?, PointConversionForm::UNCOMPRESSED, &mut *BigNumContext::new()?)?;
    let mut spki = [0; SPKI_LEN];
    let filled = PREFIX.get(..POINT_AT).ok_or(CryptoError)?.iter().chain(&bytes);
    spki.iter_mut().zip(filled).for_each(|(to, from)| *to = *from);
    Ok(spki)
}

/// A fresh private key.
pub(super) fn generate(random: &mut Random) -> Result<EcKey<Private>, CryptoError> {
    loop {
        let scalar = Zeroizing::new(random.bytes());
        // All but 2^-32 of the 32-byte strings are good.
        if let Some(key) = from_scalar(&scalar)? {
            return Ok(key);
        }
    }
}

/// The private key with the value `scalar`; `None` for zero and for values not below the order of the group.
pub(super) fn from_scalar(scalar: &[u8; 32]) -> Result<Option<EcKey<Private>>, CryptoError> {
    let group = group()?;
    let mut order = BigNum::new()?;
    let context = &mut *BigNumContext::new()?;
    group.order(&mut order, context)?;
    let mut number = BigNum::new_secure()?;
    number.copy_from_slice(scalar)?;
    number.set_const_time();
    if number.num_bits() == 0 || number.ucmp(&order).is_ge() {
        return Ok(None);
    }
    let mut point = EcPoint::new(group)?;
    point.mul_generator2(group, &number, context)?;
    Ok(Some(EcKey::from_private_components(group, &number, &point)?))
}
