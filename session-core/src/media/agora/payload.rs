//! The primitive encodings of a payload.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::build::BuildError;
use super::parse::ReadError;

/// The longest payload that is built or read, in bytes, inflated. A usual one has 110 to 180.
pub const PAYLOAD_MAX_BYTES: usize = 64 * 1024;

/// Writes little-endian numbers, and texts with their length before them.
#[derive(Debug)]
pub(super) struct Writer(Vec<u8>);

impl Default for Writer {
    /// With room for all that usual tokens hold.
    fn default() -> Self {
        Self(Vec::with_capacity(256))
    }
}

impl Writer {
    pub(super) fn u16(&mut self, number: u16) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub(super) fn i16(&mut self, number: i16) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub(super) fn u32(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    /// A number of things that follow.
    pub(super) fn count(&mut self, count: usize) -> Result<(), BuildError> {
        self.u16(u16::try_from(count).map_err(|_| BuildError::TooMany)?);
        Ok(())
    }

    pub(super) fn text(&mut self, text: &str) -> Result<(), BuildError> {
        self.bytes(text.as_bytes())
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), BuildError> {
        self.u16(u16::try_from(bytes.len()).map_err(|_| BuildError::TextTooLong)?);
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Reads what [`Writer`] writes, and looks at every step whether there is enough left.
#[derive(Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, ReadError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn i16(&mut self) -> Result<i16, ReadError> {
        self.array().map(i16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, ReadError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn text(&mut self) -> Result<String, ReadError> {
        let bytes = self.bytes()?;
        core::str::from_utf8(bytes)
            .map(ToString::to_string)
            .map_err(|_| ReadError::NotText)
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], ReadError> {
        let length = usize::from(self.u16()?);
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(ReadError::Incomplete)?;
        self.0 = rest;
        Ok(taken)
    }

    /// What has not been read.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(ReadError::Incomplete)?;
        self.0 = rest;
        Ok(*taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primitives_come_back_as_they_were_written() {
        let mut writer = Writer::default();
        writer.u16(0x0102);
        writer.i16(-2);
        writer.u32(0x0304_0506);
        writer.text("é").unwrap();
        let bytes = writer.into_bytes();
        assert_eq!(bytes, [2, 1, 0xfe, 0xff, 6, 5, 4, 3, 2, 0, 0xc3, 0xa9]);
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u16(), Ok(0x0102));
        assert_eq!(reader.i16(), Ok(-2));
        assert_eq!(reader.u32(), Ok(0x0304_0506));
        assert_eq!(reader.text().as_deref(), Ok("é"));
        assert_eq!(reader.rest(), b"");
        assert_eq!(reader.u16(), Err(ReadError::Incomplete));
    }

    #[test]
    fn a_length_beyond_the_end_and_bytes_that_are_no_text_are_refused() {
        assert_eq!(
            Reader::new(&[2, 0, b'a']).text(),
            Err(ReadError::Incomplete)
        );
        assert_eq!(Reader::new(&[1]).bytes(), Err(ReadError::Incomplete));
        assert_eq!(Reader::new(&[1, 0, 0xff]).text(), Err(ReadError::NotText));
    }

    #[test]
    fn lengths_and_counts_end_at_16_bits() {
        let text = "a".repeat(65_536);
        let mut writer = Writer::default();
        assert_eq!(writer.text(&text[1..]), Ok(()));
        assert_eq!(writer.text(&text), Err(BuildError::TextTooLong));
        assert_eq!(writer.count(65_535), Ok(()));
        assert_eq!(writer.count(65_536), Err(BuildError::TooMany));
    }
}
