// SPDX-License-Identifier: GPL-3.0-or-later
//! The little DER (X.690) that public keys of RSA and DSA are made of, read strictly: every length in its shortest
//! form, every number positive and in its shortest form, nothing left over. There is one encoding of each key.

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

/// What is left to read of an encoding.
#[derive(Clone, Copy)]
pub(super) struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// Reads `bytes`.
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The contents of a SEQUENCE.
    pub(super) fn sequence(&mut self) -> Option<Self> {
        self.element(SEQUENCE).map(Self)
    }

    /// The contents of a BIT STRING of whole bytes.
    pub(super) fn bit_string(&mut self) -> Option<Self> {
        let (unused_bits, contents) = self.element(BIT_STRING)?.split_first()?;
        (*unused_bits == 0).then_some(Self(contents))
    }

    /// A positive INTEGER, big-endian without leading zeros.
    pub(super) fn positive(&mut self) -> Option<&'a [u8]> {
        let number = self.element(INTEGER)?;
        match *number {
            [0, next, ..] if next >= 0x80 => number.get(1..),
            [first, ..] if (1..0x80).contains(&first) => Some(number),
            _ => None,
        }
    }

    /// Exactly these `bytes`.
    pub(super) fn exactly(&mut self, bytes: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(bytes)?;
        Some(())
    }

    /// Nothing more.
    pub(super) const fn end(self) -> Option<()> {
        if self.0.is_empty() { Some(()) } else { None }
    }

    fn element(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, rest) = self.0.split_first()?;
        let (length, rest) = match *rest {
            [0x81, length, ref rest @ ..] if length >= 0x80 => (usize::from(length), rest),
            [0x82, high, low, ref rest @ ..] if high >= 1 => (usize::from(u16::from_be_bytes([high, low])), rest),
            [length, ref rest @ ..] if length < 0x80 => (usize::from(length), rest),
            _ => return None,
        };
        if *found != tag {
            return None;
        }
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(contents)
    }
}

/// How many bits `number` has, which is big-endian without leading zeros.
pub(super) fn bits(number: &[u8]) -> usize {
    let first = number.first().map_or(0, |first| first.leading_zeros() as usize);
    (number.len() * 8).saturating_sub(first)
}

/// Whether `number`, big-endian, is odd.
pub(super) fn is_odd(number: &[u8]) -> bool {
    number.last().is_some_and(|last| last & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_encoding() {
        let number = |bytes: &[u8]| Der::new(bytes).positive().map(<[u8]>::to_vec);
        assert_eq!(number(&[2, 1, 3]), Some(vec![3]));
        assert_eq!(number(&[2, 2, 0, 0x80]), Some(vec![0x80]));
        for wrong in [
            &[2, 0][..],
            &[2, 1, 0],
            &[2, 1, 0x80],
            &[2, 2, 0, 3],
            &[2, 3, 0, 0, 0x80],
            &[2, 0x81, 1, 3],
            &[2, 0x80, 3, 0, 0],
            &[3, 1, 3],
            &[2, 2, 3],
            &[2],
            &[],
        ] {
            assert_eq!(number(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_length_has_one_encoding() {
        let length = |head: &[u8], contents: usize| {
            let bytes = [head, &vec![7; contents]].concat();
            let mut der = Der::new(&bytes);
            let inner = der.sequence()?;
            der.end().map(|()| inner.0.len())
        };
        for (head, contents) in
            [(&[0x30, 0][..], 0), (&[0x30, 127], 127), (&[0x30, 0x81, 128], 128), (&[0x30, 0x82, 1, 0], 256)]
        {
            assert_eq!(length(head, contents), Some(contents));
            assert_eq!(length(head, contents + 1), None, "left over");
        }
        for (head, contents) in [
            (&[0x30, 0x80][..], 0),
            (&[0x30, 0x81, 127], 127),
            (&[0x30, 0x82, 0, 200], 200),
            (&[0x30, 0x83, 0, 1, 0], 256),
            (&[0x31, 127], 127),
            (&[0x30, 0x82, 1, 0], 255),
        ] {
            assert_eq!(length(head, contents), None, "{head:?}");
        }
    }

    #[test]
    fn bits_are_counted_from_the_first_one() {
        assert_eq!([bits(&[]), bits(&[1]), bits(&[0x80]), bits(&[1, 0])], [0, 1, 8, 9]);
    }
}
