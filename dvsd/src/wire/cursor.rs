// SPDX-License-Identifier: GPL-3.0-or-later
//! Reading and writing fixed layouts: the only place that counts bytes.

use super::Malformed;

/// Reads fields off the front of a byte slice; every read is checked.
#[derive(Clone, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(Malformed::Length)?;
        self.0 = rest;
        Ok(head)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Malformed::Length)?;
        self.0 = rest;
        Ok(*head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }

    /// Two bytes, big-endian.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes, big-endian.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes, big-endian.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// `V(x)`: a 16-bit length and that many bytes.
    pub fn variable(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// Whatever is left.
    pub fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.0)
    }

    /// How many bytes are left.
    pub const fn remaining(&self) -> usize {
        self.0.len()
    }

    /// An error unless everything was read.
    pub const fn finish(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed::Length) }
    }
}

/// Appends fields to a byte vector.
pub trait Emit {
    /// Appends one byte.
    fn emit_u8(&mut self, value: u8);
    /// Appends `bytes` as they are.
    fn emit(&mut self, bytes: &[u8]);

    /// Appends two bytes, big-endian.
    fn emit_u16(&mut self, value: u16) {
        self.emit(&value.to_be_bytes());
    }

    /// Appends four bytes, big-endian.
    fn emit_u32(&mut self, value: u32) {
        self.emit(&value.to_be_bytes());
    }

    /// Appends eight bytes, big-endian.
    fn emit_u64(&mut self, value: u64) {
        self.emit(&value.to_be_bytes());
    }

    /// Appends `V(bytes)`: a 16-bit length, then the bytes; more than 65535 bytes are cut.
    fn emit_variable(&mut self, bytes: &[u8]) {
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        self.emit_u16(length);
        self.emit(bytes.get(..usize::from(length)).unwrap_or(bytes));
    }
}

impl Emit for Vec<u8> {
    fn emit_u8(&mut self, value: u8) {
        self.push(value);
    }

    fn emit(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_back_as_written() {
        let mut bytes = Vec::new();
        bytes.emit_u8(1);
        bytes.emit_u16(0x0203);
        bytes.emit_u32(0x0405_0607);
        bytes.emit_u64(8);
        bytes.emit_variable(b"abc");
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u16(), Ok(0x0203));
        assert_eq!(reader.u32(), Ok(0x0405_0607));
        assert_eq!(reader.u64(), Ok(8));
        assert_eq!(reader.variable(), Ok(&b"abc"[..]));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn reading_past_the_end_is_an_error_and_takes_nothing() {
        let mut reader = Reader::new(&[0, 5, 1]);
        assert_eq!(reader.clone().variable(), Err(Malformed::Length));
        assert_eq!(reader.u32(), Err(Malformed::Length));
        assert_eq!(reader.remaining(), 3);
        assert_eq!(reader.rest(), [0, 5, 1]);
    }
}
