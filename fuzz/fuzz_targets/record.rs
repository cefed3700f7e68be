// SPDX-License-Identifier: GPL-3.0-or-later
//! Records of strangers: whatever is read is written to the same bytes, and nothing changed is taken for signed.
#![no_main]

use dvs_fuzz::mallory::identity;
use dvsd::crypto::kdf::node_id;
use dvsd::record::{Record, RecordError};
use dvsd::wire::record::{MAX_RECORD, Parts};
use libfuzzer_sys::fuzz_target;

/// Where the reserved byte is, which is written as zero and read as anything.
const RESERVED: usize = 3;

fuzz_target!(|input: &[u8]| {
    let Ok(parts) = Parts::parse(input) else { return };
    assert!(input.len() <= MAX_RECORD);
    let mut signed = parts.signed.to_vec();
    signed[RESERVED] = 0;
    assert_eq!(parts.content.emit(parts.algorithm, parts.spki).as_ref(), Ok(&signed));

    let key = node_id(parts.spki);
    if let Ok(record) = Record::open(input, &key) {
        assert_eq!(record.bytes(), input);
        for at in [RESERVED, parts.signed.len() - 1, input.len() - 1] {
            let mut changed = input.to_vec();
            changed[at] ^= 1;
            assert!(Record::open(&changed, &key).is_err(), "byte {at}");
        }
    }

    // The same, said by somebody whose key we have.
    let owner = identity(0);
    let record = Record::sign(&owner, parts.content.clone()).expect("what was read can be signed");
    assert_eq!(Record::open(record.bytes(), &owner.public().id()).as_ref(), Ok(&record));
    if key != owner.public().id() {
        assert_eq!(Record::open(record.bytes(), &key), Err(RecordError::Foreign));
    }
});
