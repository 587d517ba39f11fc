//! The checksum of the legacy tokens.

/// CRC-32 as zlib has it: reflected, of the polynomial 0xEDB88320. Bit by bit: what is summed has
/// at most a few hundred bytes, and a table would be longer than the tokens.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let crc = bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            let is_odd = crc & 1 == 1;
            (crc >> 1) ^ if is_odd { POLYNOMIAL } else { 0 }
        })
    });
    !crc
}

const POLYNOMIAL: u32 = 0xedb8_8320;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
        assert_eq!(crc32(b"a"), 0xe8b7_be43);
        assert_eq!(
            crc32(b"The quick brown fox jumps over the lazy dog"),
            0x414f_a339
        );
    }
}
