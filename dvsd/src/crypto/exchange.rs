// SPDX-License-Identifier: GPL-3.0-or-later
//! Ephemeral key exchange: ECDH on P-256. A key lives for one handshake.

use core::fmt;

use openssl::ec::{EcKey, EcPoint};
use openssl::pkey::Private;
use zeroize::Zeroizing;

use super::kdf::Secret;
use super::{BadKey, CryptoError, ec};
use crate::random::Random;

/// Length of a public key as sent: a SubjectPublicKeyInfo.
pub const PUBLIC_KEY_LEN: usize = ec::P256_SPKI_LEN;

/// A fresh private key and its public half. OpenSSL overwrites the private number when it is dropped.
pub struct Ephemeral {
    key: EcKey<Private>,
    public: [u8; PUBLIC_KEY_LEN],
}

impl Ephemeral {
    /// A new key out of `random`.
    pub fn generate(random: &mut Random) -> Result<Self, CryptoError> {
        Self::from_key(ec::P256.generate(random)?)
    }

    /// The key with a known private value: for test vectors.
    #[cfg(test)]
    pub(crate) fn from_scalar(scalar: &[u8; 32]) -> Self {
        Self::from_key(ec::P256.private(scalar).unwrap().unwrap()).unwrap()
    }

    fn from_key(key: EcKey<Private>) -> Result<Self, CryptoError> {
        let public = ec::P256.spki(key.public_key())?.try_into().map_err(|_| CryptoError)?;
        Ok(Self { key, public })
    }

    /// The public half, as sent.
    pub const fn public(&self) -> &[u8; PUBLIC_KEY_LEN] {
        &self.public
    }

    /// The secret shared with the owner of `theirs`: the x coordinate of the common point.
    pub fn agree(&self, theirs: &PeerKey) -> Result<Secret, CryptoError> {
        let shared = ec::P256.agree(&self.key, &theirs.0)?;
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(shared.get(..32).ok_or(CryptoError)?);
        Ok(secret)
    }
}

impl fmt::Debug for Ephemeral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ephemeral")
    }
}

/// The other side's public half: a point of the curve.
pub struct PeerKey(EcPoint);

impl PeerKey {
    /// Reads the 91 bytes; anything but the template with a point of the curve is refused.
    pub fn parse(spki: &[u8; PUBLIC_KEY_LEN]) -> Result<Self, BadKey> {
        ec::P256.point(spki).map(Self).ok_or(BadKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_agree_on_the_secret() {
        let mut random = Random::seeded(1);
        let (alice, bob) = (Ephemeral::generate(&mut random).unwrap(), Ephemeral::generate(&mut random).unwrap());
        let (to_bob, to_alice) = (PeerKey::parse(bob.public()).unwrap(), PeerKey::parse(alice.public()).unwrap());
        assert_eq!(alice.agree(&to_bob), bob.agree(&to_alice));
        assert_ne!(alice.public(), bob.public());
    }

    #[test]
    fn the_secret_is_the_one_openssl_derives() {
        use openssl::derive::Deriver;
        use openssl::pkey::PKey;
        let mut random = Random::seeded(2);
        for _ in 0..50 {
            let (alice, bob) = (Ephemeral::generate(&mut random).unwrap(), Ephemeral::generate(&mut random).unwrap());
            let (own, theirs) =
                (PKey::from_ec_key(alice.key.clone()).unwrap(), PKey::public_key_from_der(bob.public()).unwrap());
            let mut deriver = Deriver::new(&own).unwrap();
            deriver.set_peer(&theirs).unwrap();
            let shared = alice.agree(&PeerKey::parse(bob.public()).unwrap()).unwrap();
            assert_eq!(shared.to_vec(), deriver.derive_to_vec().unwrap());
        }
    }

    #[test]
    fn a_shared_secret_that_begins_with_zeros_keeps_them() {
        let mut random = Random::seeded(3);
        let alice = Ephemeral::generate(&mut random).unwrap();
        let secrets = (0..2_000).map(|_| {
            let bob = Ephemeral::generate(&mut random).unwrap();
            (alice.agree(&PeerKey::parse(bob.public()).unwrap()).unwrap(), bob)
        });
        let (shared, bob) = secrets.into_iter().find(|(shared, _)| shared[0] == 0).unwrap();
        assert_eq!(shared, bob.agree(&PeerKey::parse(alice.public()).unwrap()).unwrap());
    }

    #[test]
    fn d17_a_point_off_the_curve_is_refused() {
        let mut spki = *Ephemeral::generate(&mut Random::seeded(1)).unwrap().public();
        spki[90] ^= 1;
        assert_eq!(PeerKey::parse(&spki).err(), Some(BadKey));
        let mut zero = spki;
        zero[27..].fill(0);
        assert_eq!(PeerKey::parse(&zero).err(), Some(BadKey));
    }

    #[test]
    fn any_change_of_the_template_is_refused() {
        let good = *Ephemeral::generate(&mut Random::seeded(1)).unwrap().public();
        for position in 0..27 {
            let mut spki = good;
            spki[position] ^= 1;
            assert_eq!(PeerKey::parse(&spki).err(), Some(BadKey), "byte {position}");
        }
    }
}
