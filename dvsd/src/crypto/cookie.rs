// SPDX-License-Identifier: GPL-3.0-or-later
//! Cookies: proof that a source can hear us, without keeping state about it (as WireGuard's).

use core::time::Duration;

use super::kdf::{MacKey, sha256};
use super::same;
use crate::path::Path;
use crate::random::Random;
use crate::time::Instant;

/// Length of a cookie, in bytes.
pub const COOKIE_LEN: usize = 16;
/// A secret makes cookies this long, and is honoured as long again.
const SECRET_LIFETIME: Duration = Duration::from_secs(120);

/// Makes and checks cookies.
pub struct Cookies {
    current: MacKey,
    previous: MacKey,
    made: Instant,
}

impl Cookies {
    /// Fresh secrets out of `random`.
    pub fn new(random: &mut Random) -> Self {
        let mut fresh = || MacKey::new(&random.bytes::<32>());
        Self { current: fresh(), previous: fresh(), made: Instant::ZERO }
    }

    /// Replaces the secret when its time has come.
    pub fn refresh(&mut self, now: Instant, random: &mut Random) {
        if now.since(self.made) < SECRET_LIFETIME {
            return;
        }
        let fresh = MacKey::new(&random.bytes::<32>());
        self.previous = core::mem::replace(&mut self.current, fresh);
        if now.since(self.made) >= 2 * SECRET_LIFETIME {
            self.previous = self.current.clone();
        }
        self.made = now;
    }

    /// The cookie for a handshake from `path` with session ID `sid` and exchange key `key`.
    pub fn make(&self, path: &Path, sid: &[u8; 8], key: &[u8]) -> [u8; COOKIE_LEN] {
        cookie(&self.current, path, sid, key)
    }

    /// Whether `shown` is a cookie of ours for exactly this handshake.
    pub fn check(&self, shown: &[u8; COOKIE_LEN], path: &Path, sid: &[u8; 8], key: &[u8]) -> bool {
        same(shown, &cookie(&self.current, path, sid, key)) || same(shown, &cookie(&self.previous, path, sid, key))
    }
}

fn cookie(secret: &MacKey, path: &Path, sid: &[u8; 8], key: &[u8]) -> [u8; COOKIE_LEN] {
    secret.short_tag(&[&path.token_bytes(), sid, &sha256(&[key])])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        Path::direct(text.parse().unwrap())
    }

    #[test]
    fn a_cookie_is_good_for_its_address_and_handshake_only() {
        let cookies = Cookies::new(&mut Random::seeded(1));
        let home = path("198.18.0.1:5004");
        let cookie = cookies.make(&home, &[1; 8], b"key");
        assert!(cookies.check(&cookie, &home, &[1; 8], b"key"));
        assert!(!cookies.check(&cookie, &path("198.18.0.2:5004"), &[1; 8], b"key"));
        assert!(!cookies.check(&cookie, &path("198.18.0.1:5005"), &[1; 8], b"key"));
        assert!(!cookies.check(&cookie, &home, &[2; 8], b"key"));
        assert!(!cookies.check(&cookie, &home, &[1; 8], b"yek"));
        assert!(!cookies.check(&[0; 16], &home, &[1; 8], b"key"));
    }

    #[test]
    fn a_cookie_outlives_one_secret_but_not_two() {
        let mut random = Random::seeded(1);
        let mut cookies = Cookies::new(&mut random);
        let home = path("198.18.0.1:5004");
        let mut at =
            |cookies: &mut Cookies, seconds: u64| cookies.refresh(Instant::from_millis(seconds * 1_000), &mut random);
        at(&mut cookies, 120);
        let cookie = cookies.make(&home, &[1; 8], b"key");
        at(&mut cookies, 239);
        assert!(cookies.check(&cookie, &home, &[1; 8], b"key"));
        at(&mut cookies, 240);
        assert!(cookies.check(&cookie, &home, &[1; 8], b"key"));
        at(&mut cookies, 360);
        assert!(!cookies.check(&cookie, &home, &[1; 8], b"key"));
        at(&mut cookies, 360 + 240);
        let late = cookies.make(&home, &[1; 8], b"key");
        at(&mut cookies, 360 + 720);
        assert!(!cookies.check(&late, &home, &[1; 8], b"key"), "old secrets are not kept over a long pause");
    }
}
