//! Packing and unpacking a payload (RFC 1950).

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

use super::build::Compression;
use super::parse::ReadError;
use super::payload::PAYLOAD_MAX_BYTES;

/// The payload as one zlib stream.
pub(super) fn pack(payload: &[u8], compression: Compression) -> Vec<u8> {
    match compression {
        Compression::Deflated => compress_to_vec_zlib(payload, DEFLATE_LEVEL),
        Compression::Stored => store(payload),
    }
}

const DEFLATE_LEVEL: u8 = 6;

/// The payload in stored blocks, nearly always one. By hand: the encoder would set up tables of
/// several hundred kilobytes to copy as many bytes.
fn store(payload: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(payload.len().saturating_add(STORED_OVERHEAD_BYTES));
    packed.extend_from_slice(&STORED_HEADER);
    let mut rest = payload;
    loop {
        let (block, after) = rest.split_at(rest.len().min(BLOCK_MAX_BYTES));
        rest = after;
        // The cut above keeps the length within 16 bits.
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        packed.push(u8::from(rest.is_empty()));
        packed.extend_from_slice(&length.to_le_bytes());
        packed.extend_from_slice(&(!length).to_le_bytes());
        packed.extend_from_slice(block);
        if rest.is_empty() {
            break;
        }
    }
    packed.extend_from_slice(&adler32(payload).to_be_bytes());
    packed
}

/// Deflate with a window of 32 KiB, fastest; a multiple of 31 as the format demands.
const STORED_HEADER: [u8; 2] = [0x78, 0x01];

/// The header, two blocks' heads and the checksum.
const STORED_OVERHEAD_BYTES: usize = 16;

/// The most that a stored block holds.
const BLOCK_MAX_BYTES: usize = 65_535;

/// The checksum of zlib.
fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1_u32, 0_u32);
    for chunk in bytes.chunks(ADLER_CHUNK_BYTES) {
        for &byte in chunk {
            a = a.wrapping_add(u32::from(byte));
            b = b.wrapping_add(a);
        }
        a %= ADLER_BASE;
        b %= ADLER_BASE;
    }
    b << 16 | a
}

/// The greatest prime below 2^16.
const ADLER_BASE: u32 = 65_521;

/// How many bytes can be summed before 32 bits may overflow.
const ADLER_CHUNK_BYTES: usize = 5552;

/// Unpacks one zlib stream into at most [`PAYLOAD_MAX_BYTES`]. Bytes after the stream, which
/// neither its checksum nor the signature would cover, are refused.
pub(super) fn inflate(packed: &[u8]) -> Result<Vec<u8>, ReadError> {
    if let Some(payload) = unstore(packed) {
        return Ok(payload);
    }
    let mut decompressor = Box::<DecompressorOxide>::default();
    // A usual payload fits at once; only a long one makes the buffer grow.
    let mut payload = vec![0; PAYLOAD_USUAL_BYTES];
    let (mut read, mut written) = (0_usize, 0_usize);
    loop {
        let (status, read_now, written_now) = decompress(
            &mut decompressor,
            packed.get(read..).unwrap_or_default(),
            &mut payload,
            written,
            inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER
                | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
        );
        read = read.saturating_add(read_now);
        written = written.saturating_add(written_now);
        match status {
            TINFLStatus::Done if read == packed.len() => {
                payload.truncate(written);
                return Ok(payload);
            }
            TINFLStatus::HasMoreOutput if payload.len() < PAYLOAD_MAX_BYTES => {
                payload.resize(PAYLOAD_MAX_BYTES, 0);
            }
            TINFLStatus::HasMoreOutput => return Err(ReadError::TooLong),
            _ => return Err(ReadError::Inflate),
        }
    }
}

const PAYLOAD_USUAL_BYTES: usize = 1024;

/// Unpacks what [`store`] packs, without the tables of the decoder; `None` for anything else, be it
/// another stream or none.
fn unstore(packed: &[u8]) -> Option<Vec<u8>> {
    let mut rest = packed.strip_prefix(&STORED_HEADER)?;
    let mut payload = Vec::with_capacity(rest.len().min(PAYLOAD_MAX_BYTES));
    loop {
        let (&[is_last, a, b, c, d], after) = rest.split_first_chunk()?;
        let length = u16::from_le_bytes([a, b]);
        if is_last > 1 || u16::from_le_bytes([c, d]) != !length {
            return None;
        }
        let (block, after) = after.split_at_checked(usize::from(length))?;
        if payload.len().saturating_add(block.len()) > PAYLOAD_MAX_BYTES {
            return None;
        }
        payload.extend_from_slice(block);
        rest = after;
        if is_last == 1 {
            break;
        }
    }
    (rest == adler32(&payload).to_be_bytes()).then_some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
        assert_eq!(adler32(b""), 1);
        // The sums of the longest payload would pass 32 bits many times over.
        assert_eq!(adler32(&[0xff; PAYLOAD_MAX_BYTES]), slow_adler32());
    }

    /// With a remainder at every step.
    fn slow_adler32() -> u32 {
        let (a, b) = (0..PAYLOAD_MAX_BYTES).fold((1, 0), |(a, b), _| {
            let a = (a + 0xff) % ADLER_BASE;
            (a, (b + a) % ADLER_BASE)
        });
        b * 65_536 + a
    }

    #[test]
    fn what_was_packed_is_unpacked_whatever_its_length() {
        let long: Vec<u8> = (0..=250).cycle().take(PAYLOAD_MAX_BYTES).collect();
        for length in [
            0,
            1,
            180,
            PAYLOAD_USUAL_BYTES - 1,
            PAYLOAD_USUAL_BYTES,
            PAYLOAD_USUAL_BYTES + 1,
            BLOCK_MAX_BYTES,
            PAYLOAD_MAX_BYTES,
        ] {
            let payload = &long[..length];
            for compression in [Compression::Stored, Compression::Deflated] {
                let packed = pack(payload, compression);
                let unpacked = inflate(&packed);
                assert_eq!(unpacked.as_deref(), Ok(payload), "{compression:?} {length}");
                assert_eq!(
                    inflate(&packed[..packed.len() - 1]),
                    Err(ReadError::Inflate)
                );
            }
            // The encoder of the library reads it the same way.
            let packed = pack(payload, Compression::Stored);
            let theirs = miniz_oxide::inflate::decompress_to_vec_zlib(&packed);
            assert_eq!(theirs.ok().as_deref(), Some(payload), "{length}");
        }
    }

    #[test]
    fn one_changed_or_added_byte_of_a_stored_stream_is_refused() {
        let packed = pack(b"payload", Compression::Stored);
        for index in 0..packed.len() {
            for flip in [1, 2, 4, 8, 16, 32, 64, 128] {
                let mut changed = packed.clone();
                changed[index] ^= flip;
                // The head of a stored block has bits to spare, and the header tells a level.
                let is_same = inflate(&changed).as_deref() == Ok(b"payload");
                assert_eq!(is_same, index == 2 && flip > 4, "{index} {flip}");
                assert_eq!(unstore(&changed), None);
            }
        }
        assert_eq!(
            inflate(&[&packed[..], &[0]].concat()),
            Err(ReadError::Inflate)
        );
        assert_eq!(unstore(b""), None);
    }

    #[test]
    fn a_longer_payload_is_refused_in_every_packing() {
        let longer = vec![7; PAYLOAD_MAX_BYTES + 1];
        for compression in [Compression::Stored, Compression::Deflated] {
            assert_eq!(
                inflate(&pack(&longer, compression)),
                Err(ReadError::TooLong)
            );
        }
    }
}
