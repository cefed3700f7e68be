// SPDX-License-Identifier: GPL-3.0-or-later
//! Tokens: the proof that an asker receives what is sent to its address, so that a long answer harms nobody.
//!
//! Timers: a secret lives [`SECRET_LIFE`], and as the previous one for as long again.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::crypto::kdf::MacKey;
use crate::crypto::same;
use crate::path::Path;
use crate::random::Random;
use crate::time::Instant;
use crate::wire::routing::Token;

/// How long a secret issues tokens (BEP 5 uses the same five minutes).
const SECRET_LIFE: Duration = Duration::from_secs(300);
/// How long a received token is used: safely less than the giver accepts it.
const TOKEN_LIFE: Duration = Duration::from_secs(240);
/// How many received tokens are kept.
const MAX_RECEIVED: usize = 256;

/// Issues tokens bound to an address, and recognises them without having kept them.
pub(super) struct Issuer {
    current: MacKey,
    previous: MacKey,
    since: Instant,
}

impl Issuer {
    pub(super) fn new(now: Instant, random: &mut Random) -> Self {
        Self { current: secret(random), previous: secret(random), since: now }
    }

    /// Changes the secret when it is due; both secrets when even the previous one is too old.
    pub(super) fn rotate(&mut self, now: Instant, random: &mut Random) {
        let age = now.since(self.since);
        if age < SECRET_LIFE {
            return;
        }
        self.previous = if age < 2 * SECRET_LIFE { self.current.clone() } else { secret(random) };
        self.current = secret(random);
        self.since = now;
    }

    /// The token for whoever is at `address`.
    pub(super) fn issue(&self, address: SocketAddr) -> Token {
        token(&self.current, address)
    }

    /// Whether `token` was issued to `address` with one of the two secrets.
    pub(super) fn accepts(&self, given: Token, address: SocketAddr) -> bool {
        let matches = |secret| same(&token(secret, address).0, &given.0);
        !given.is_none() && (matches(&self.current) || matches(&self.previous))
    }
}

fn secret(random: &mut Random) -> MacKey {
    MacKey::new(&Zeroizing::new(random.bytes::<32>())[..])
}

fn token(secret: &MacKey, address: SocketAddr) -> Token {
    let mac = secret.tag(&[&Path::Direct(address).token_bytes()]);
    Token(mac.first_chunk().copied().unwrap_or_default())
}

/// The tokens other nodes gave us, for as long as they are worth something.
#[derive(Default)]
pub(super) struct Received(BTreeMap<SocketAddr, (Token, Instant)>);

impl Received {
    /// Remembers the token that the node at `address` gave.
    pub(super) fn keep(&mut self, address: SocketAddr, token: Token, now: Instant) {
        if self.0.len() >= MAX_RECEIVED {
            self.0.retain(|_, (_, at)| now.since(*at) < TOKEN_LIFE);
        }
        if self.0.len() >= MAX_RECEIVED {
            self.forget_oldest();
        }
        if token.is_none() {
            self.0.remove(&address);
        } else {
            self.0.insert(address, (token, now));
        }
    }

    /// Forgets the token of the node at `address`, which does not accept it.
    pub(super) fn forget(&mut self, address: SocketAddr) {
        self.0.remove(&address);
    }

    /// The token to show to the node at `address`.
    pub(super) fn for_node(&self, address: SocketAddr, now: Instant) -> Token {
        let fresh = self.0.get(&address).filter(|(_, at)| now.since(*at) < TOKEN_LIFE);
        fresh.map_or(Token::NONE, |(token, _)| *token)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn forget_oldest(&mut self) {
        let oldest = self.0.iter().min_by_key(|(_, (_, at))| *at).map(|(address, _)| *address);
        if let Some(address) = oldest {
            self.0.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([198, 18, 0, 1], port))
    }

    #[test]
    fn a_token_is_good_for_its_address_only() {
        let issuer = Issuer::new(Instant::ZERO, &mut Random::seeded(1));
        let token = issuer.issue(address(5004));
        assert!(issuer.accepts(token, address(5004)));
        assert!(!issuer.accepts(token, address(5005)));
        assert!(!issuer.accepts(Token::NONE, address(5004)));
    }

    #[test]
    fn a_token_outlives_one_change_of_the_secret_but_not_two() {
        let mut random = Random::seeded(1);
        let mut issuer = Issuer::new(Instant::ZERO, &mut random);
        let token = issuer.issue(address(5004));
        issuer.rotate(Instant::ZERO + Duration::from_secs(300), &mut random);
        assert!(issuer.accepts(token, address(5004)));
        assert_ne!(issuer.issue(address(5004)), token);
        issuer.rotate(Instant::ZERO + Duration::from_secs(600), &mut random);
        assert!(!issuer.accepts(token, address(5004)));
    }

    #[test]
    fn a_token_does_not_survive_a_long_silence() {
        let mut random = Random::seeded(1);
        let mut issuer = Issuer::new(Instant::ZERO, &mut random);
        let token = issuer.issue(address(5004));
        issuer.rotate(Instant::ZERO + Duration::from_secs(6_000), &mut random);
        assert!(!issuer.accepts(token, address(5004)));
    }

    #[test]
    fn received_tokens_lapse_and_are_few() {
        let mut received = Received::default();
        for port in 1..2_000 {
            received.keep(address(port), Token([1; 8]), Instant::from_millis(u64::from(port)));
        }
        assert_eq!(received.len(), MAX_RECEIVED);
        let now = Instant::from_millis(2_000);
        assert_eq!(received.for_node(address(1_999), now), Token([1; 8]));
        assert_eq!(received.for_node(address(1), now), Token::NONE);
        assert_eq!(received.for_node(address(1_999), now + TOKEN_LIFE), Token::NONE);
    }
}
