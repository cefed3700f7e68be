// SPDX-License-Identifier: GPL-3.0-or-later
//! Keys on the curves P-256, P-384 and P-521, straight from and to their SubjectPublicKeyInfo, which has one length
//! per curve.
//!
//! Building the point from the fixed template costs a fraction of OpenSSL's DER decoder and accepts one form only.

use std::sync::OnceLock;

use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcGroupRef, EcKey, EcKeyRef, EcPoint, EcPointRef, PointConversionForm};
use openssl::ecdsa::EcdsaSig;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private, Public};
use zeroize::Zeroizing;

use super::CryptoError;
use crate::random::Random;

/// Length of the SubjectPublicKeyInfo of a P-256 key, in bytes.
pub(super) const P256_SPKI_LEN: usize = 91;
/// Length of the longest private value, in bytes.
const MAX_SCALAR: usize = 66;

/// One curve and the encoding of its public keys.
pub(super) struct Curve {
    nid: Nid,
    /// SubjectPublicKeyInfo up to and including the byte that says "uncompressed point".
    prefix: &'static [u8],
    /// Length of a coordinate and of a private value, in bytes.
    width: usize,
    /// The bits in use of the first byte of a private value.
    first_byte: u8,
    group: OnceLock<EcGroup>,
}

/// The curve of exchange keys and of new identities.
pub(super) static P256: Curve = Curve {
    nid: Nid::X9_62_PRIME256V1,
    prefix: &[
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
        0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    ],
    width: 32,
    first_byte: 0xff,
    group: OnceLock::new(),
};

/// P-384, for identities.
pub(super) static P384: Curve = Curve {
    nid: Nid::SECP384R1,
    prefix: &[
        0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04,
        0x00, 0x22, 0x03, 0x62, 0x00, 0x04,
    ],
    width: 48,
    first_byte: 0xff,
    group: OnceLock::new(),
};

/// P-521, for identities.
pub(super) static P521: Curve = Curve {
    nid: Nid::SECP521R1,
    prefix: &[
        0x30, 0x81, 0x9b, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81,
        0x04, 0x00, 0x23, 0x03, 0x81, 0x86, 0x00, 0x04,
    ],
    width: MAX_SCALAR,
    first_byte: 0x01,
    group: OnceLock::new(),
};

impl Curve {
    /// The group, set up once: that alone costs more than a signature.
    fn group(&self) -> Result<&EcGroupRef, CryptoError> {
        if self.group.get().is_none() {
            let _ = self.group.set(EcGroup::from_curve_name(self.nid)?);
        }
        self.group.get().map(|group| &**group).ok_or(CryptoError)
    }

    /// Whether `key` is on this curve.
    pub(super) fn is_of(&self, key: &EcKey<Private>) -> bool {
        key.group().curve_name() == Some(self.nid)
    }

    /// The point in `spki`, which must be exactly the template with a point of the curve.
    pub(super) fn point(&self, spki: &[u8]) -> Option<EcPoint> {
        if spki.len() != self.prefix.len() + 2 * self.width || !spki.starts_with(self.prefix) {
            return None;
        }
        // Reading an uncompressed point fails unless it lies on the curve; the cofactor is 1.
        let point = spki.get(self.prefix.len() - 1..)?;
        EcPoint::from_bytes(self.group().ok()?, point, &mut *BigNumContext::new().ok()?).ok()
    }

    /// The public key in `spki`, which must be exactly the template with a point of the curve.
    pub(super) fn public_key(&self, spki: &[u8]) -> Option<PKey<Public>> {
        let point = self.point(spki)?;
        PKey::from_ec_key(EcKey::from_public_key(self.group().ok()?, &point).ok()?).ok()
    }

    /// The x coordinate of what the owners of `ours` and `theirs` share (ECDH), with leading zeros. OpenSSL's generic
    /// interface does the same after setting up the curve anew for either key, which costs nearly as much as the
    /// multiplication.
    pub(super) fn agree(
        &self,
        ours: &EcKeyRef<Private>,
        theirs: &EcPointRef,
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let (group, context) = (self.group()?, &mut *BigNumContext::new_secure()?);
        let [mut x, mut y] = [BigNum::new_secure()?, BigNum::new_secure()?];
        let mut shared = EcPoint::new(group)?;
        shared.mul2(group, theirs, ours.private_key(), context)?;
        shared.affine_coordinates(group, &mut x, &mut y, context)?;
        let secret = Zeroizing::new(x.to_vec_padded(i32::try_from(self.width).map_err(|_| CryptoError)?)?);
        // Points are not overwritten when they are dropped, so this one becomes a public one.
        theirs.affine_coordinates(group, &mut x, &mut y, context)?;
        shared.set_affine_coordinates(group, &x, &y, context)?;
        Ok(secret)
    }

    /// The SubjectPublicKeyInfo of `point`.
    pub(super) fn spki(&self, point: &EcPointRef) -> Result<Vec<u8>, CryptoError> {
        let bytes = point.to_bytes(self.group()?, PointConversionForm::UNCOMPRESSED, &mut *BigNumContext::new()?)?;
        let before = self.prefix.split_last().ok_or(CryptoError)?.1;
        Ok([before, &bytes].concat())
    }

    /// A fresh private key.
    pub(super) fn generate(&self, random: &mut Random) -> Result<EcKey<Private>, CryptoError> {
        let mut scalar = Zeroizing::new([0; MAX_SCALAR]);
        let scalar = scalar.get_mut(..self.width).ok_or(CryptoError)?;
        loop {
            random.fill(scalar);
            scalar.iter_mut().take(1).for_each(|byte| *byte &= self.first_byte);
            // Nearly all, on P-521 half of these numbers are good.
            if let Some(key) = self.private(scalar)? {
                return Ok(key);
            }
        }
    }

    /// The private key with the value `scalar`; `None` for zero and for values not below the order of the group.
    pub(super) fn private(&self, scalar: &[u8]) -> Result<Option<EcKey<Private>>, CryptoError> {
        let group = self.group()?;
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
}

/// Whether `signature` is the one encoding of an ECDSA signature of `digest` by `key`. OpenSSL's generic interface would set
/// up the curve anew.
pub(super) fn verify(key: &EcKeyRef<Public>, digest: &[u8], signature: &[u8]) -> Result<bool, CryptoError> {
    let parsed = EcdsaSig::from_der(signature)?;
    Ok(parsed.to_der()? == signature && parsed.verify(digest, key)?)
}
