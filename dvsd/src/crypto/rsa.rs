// SPDX-License-Identifier: GPL-3.0-or-later
//! RSA identities: moduli of exactly 2048, 3072 or 4096 bits, signatures RSASSA-PSS (RFC 8017) with SHA-256.

use openssl::bn::{BigNum, BigNumContext};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private, Public};
use openssl::rsa::{Padding, Rsa, RsaPrivateKeyBuilder};
use openssl::sign::{RsaPssSaltlen, Signer, Verifier};
use zeroize::Zeroizing;

use super::CryptoError;
use super::der::{Der, bits, is_odd};
use crate::random::Random;

/// AlgorithmIdentifier { rsaEncryption, NULL }.
const ALGORITHM: &[u8] = &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
/// The public exponent of new keys.
const EXPONENT: u32 = 65_537;
/// Length of the salt of a signature, in bytes.
const SALT: i32 = 32;
/// Rounds of the primality test: a composite passes each with a probability of a quarter at most, of random ones nearly
/// none passes the first.
const PRIME_CHECKS: i32 = 64;

/// The public key in `spki`, which must be its one encoding, with an odd modulus of `size` bits and an odd exponent from
/// 3 up to 32 bits.
pub(super) fn public_key(spki: &[u8], size: usize) -> Option<PKey<Public>> {
    let mut outer = Der::new(spki);
    let mut info = outer.sequence()?;
    outer.end()?;
    info.exactly(ALGORITHM)?;
    let mut bit_string = info.bit_string()?;
    info.end()?;
    let mut key = bit_string.sequence()?;
    bit_string.end()?;
    let (modulus, exponent) = (key.positive()?, key.positive()?);
    key.end()?;
    let sizes_fit = bits(modulus) == size && (2..=32).contains(&bits(exponent));
    if !sizes_fit || !is_odd(modulus) || !is_odd(exponent) {
        return None;
    }
    let number = |bytes| BigNum::from_slice(bytes).ok();
    PKey::from_rsa(Rsa::from_public_components(number(modulus)?, number(exponent)?).ok()?).ok()
}

/// A fresh private key with a modulus of `size` bits.
pub(super) fn generate(size: i32, random: &mut Random) -> Result<PKey<Private>, CryptoError> {
    let context = &mut *BigNumContext::new_secure()?;
    let (e, one) = (BigNum::from_u32(EXPONENT)?, BigNum::from_u32(1)?);
    loop {
        let (p, q) = (prime(size / 2, &e, random)?, prime(size / 2, &e, random)?);
        let mut n = BigNum::new()?;
        n.checked_mul(&p, &q, context)?;
        let [mut p_less, mut q_less, mut phi, mut d, mut d_p, mut d_q, mut q_inverse] = secrets()?;
        p_less.checked_sub(&p, &one)?;
        q_less.checked_sub(&q, &one)?;
        phi.checked_mul(&p_less, &q_less, context)?;
        d.mod_inverse(&e, &phi, context)?;
        d_p.nnmod(&d, &p_less, context)?;
        d_q.nnmod(&d, &q_less, context)?;
        if q_inverse.mod_inverse(&q, &p, context).is_err() {
            continue; // p = q
        }
        let key = RsaPrivateKeyBuilder::new(n, e.to_owned()?, d)?;
        let key = key.set_factors(p, q)?.set_crt_params(d_p, d_q, q_inverse)?.build();
        return Ok(PKey::from_rsa(key)?);
    }
}

fn secrets<const N: usize>() -> Result<[BigNum; N], CryptoError> {
    let secret = || {
        let mut number = BigNum::new_secure()?;
        number.set_const_time();
        Ok(number)
    };
    let numbers: Result<Vec<BigNum>, CryptoError> = (0..N).map(|_| secret()).collect();
    numbers?.try_into().map_err(|_| CryptoError)
}

/// A prime of `size` bits, the two highest of them ones, so that the product of two has twice as many bits; `e` does not
/// divide the number before it.
fn prime(size: i32, e: &BigNum, random: &mut Random) -> Result<BigNum, CryptoError> {
    let context = &mut *BigNumContext::new_secure()?;
    let mut bytes = Zeroizing::new(vec![0; usize::try_from(size / 8).map_err(|_| CryptoError)?]);
    let [mut number, mut rest] = secrets()?;
    let one = BigNum::from_u32(1)?;
    loop {
        random.fill(&mut bytes);
        number.copy_from_slice(&bytes)?;
        [size - 1, size - 2, 0].into_iter().try_for_each(|bit| number.set_bit(bit))?;
        rest.nnmod(&number, e, context)?;
        if rest != one && number.is_prime_fasttest(PRIME_CHECKS, context, true)? {
            return Ok(number);
        }
    }
}

/// Makes `signer` sign as the protocol says.
pub(super) fn sign_with_pss(signer: &mut Signer<'_>) -> Result<(), CryptoError> {
    signer.set_rsa_padding(Padding::PKCS1_PSS)?;
    signer.set_rsa_pss_saltlen(RsaPssSaltlen::custom(SALT))?;
    Ok(signer.set_rsa_mgf1_md(MessageDigest::sha256())?)
}

/// Makes `verifier` accept nothing else.
pub(super) fn verify_with_pss(verifier: &mut Verifier<'_>) -> Result<(), CryptoError> {
    verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
    verifier.set_rsa_pss_saltlen(RsaPssSaltlen::custom(SALT))?;
    Ok(verifier.set_rsa_mgf1_md(MessageDigest::sha256())?)
}
