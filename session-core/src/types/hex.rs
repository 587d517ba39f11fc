//! Hexadecimal text, without a prefix.

use alloc::string::String;
use alloc::vec::Vec;

/// Text that is not hexadecimal, or not of the length that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("text is not hexadecimal of the expected length")]
pub struct HexError;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Bytes as lower-case digits.
#[must_use]
pub fn encode_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 0x0f)]));
    }
    text
}

/// Digits of either case as bytes.
///
/// # Errors
/// [`HexError`] for an odd number of characters or a character that is no digit.
pub fn decode_hex(text: &str) -> Result<Vec<u8>, HexError> {
    if !text.len().is_multiple_of(2) {
        return Err(HexError);
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| Ok(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

/// Digits of either case as an array of exactly `N` bytes.
///
/// # Errors
/// [`HexError`] for any other length or a character that is no digit.
pub fn decode_hex_array<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    if text.len() != N.saturating_mul(2) {
        return Err(HexError);
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(bytes)
}

fn digit(character: u8) -> Result<u8, HexError> {
    char::from(character)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
        .ok_or(HexError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_goes_there_and_back_and_refuses_everything_else() {
        assert_eq!(encode_hex(&[0x00, 0xaf, 0x10]), "00af10");
        assert_eq!(decode_hex("00AF10"), Ok(alloc::vec![0x00, 0xaf, 0x10]));
        assert_eq!(decode_hex_array::<2>("00af"), Ok([0x00, 0xaf]));
        for wrong in ["0", "0g", "+1", "é1"] {
            assert_eq!(decode_hex(wrong), Err(HexError), "{wrong}");
        }
        assert_eq!(decode_hex_array::<2>("00af10"), Err(HexError));
    }
}
