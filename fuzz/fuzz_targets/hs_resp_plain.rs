// SPDX-License-Identifier: GPL-3.0-or-later
//! What somebody says about themselves under the seal of HS_RESP and HS_AUTH. Bit 0 of the first byte chooses between the
//! two, bit 1 whether a signature and MAC that fit are put behind the rest.
#![no_main]

use dvs_fuzz::forger;
use dvs_fuzz::mallory::identity;
use dvsd::handshake::{Local, Refusal};
use dvsd::wire::MAX_DATAGRAM;
use dvsd::wire::handshake::{Claim, Credentials, Versions};
use dvsd::wire::session::Slot;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((mode, text)) = input.split_first() else { return };
    if text.len() > MAX_DATAGRAM {
        return;
    }
    if let Ok(credentials) = Credentials::parse(text) {
        let mut written = credentials.claim.emit();
        assert_eq!(written, credentials.claim_bytes);
        Credentials::emit_rest(credentials.signature, &credentials.fin, &mut written);
        assert_eq!(written, text);
    }
    let (bob, eve, sign) = (identity(0), identity(1), mode & 2 != 0);
    // Only what the signer could have meant is accepted, and only with a signature.
    let meant = |signer: &dvsd::crypto::identity::Identity| {
        let own = signer.public();
        let slots = (0..31)
            .map(Slot::Short)
            .chain(text.get(3..7).map(|index| Slot::Extended(u32::from_be_bytes(index.try_into().expect("4 bytes")))));
        let claim = |slot, versions| Claim { versions, slot: Some(slot), algorithm: 7, spki: own.spki() }.emit();
        let versions = |max| Versions { min: text.first().copied().unwrap_or_default(), max };
        let max = text.get(1).copied().unwrap_or_default();
        slots.into_iter().any(|slot| claim(slot, versions(max)) == text)
    };
    if mode & 1 == 0 {
        let (dial, resp) = forger::resp(&bob, text, sign);
        match dial.read(&resp, &Local { identity: &eve, slot: Slot::Short(1), pin: None }) {
            Ok(initiated) => assert!(sign && meant(&bob) && initiated.established.peer == *bob.public()),
            Err(refused) => assert_ne!(refused.reason, Refusal::NotAuthentic),
        }
    } else {
        let (expect, auth) = forger::auth(&bob, &eve, text, sign);
        match expect.read(&auth) {
            Ok(established) => assert!(sign && meant(&eve) && established.peer == *eve.public()),
            Err(refused) => assert_ne!(refused.reason, Refusal::NotAuthentic),
        }
    }
});
