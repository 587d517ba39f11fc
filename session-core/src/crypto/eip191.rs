//! Personal messages (EIP-191), as wallets sign them.

use alloc::format;
use alloc::string::ToString;

use super::{Signature, keccak256};
use crate::types::{Wallet, decode_hex_array};

/// The hash that a wallet signs for a personal message. The prefix keeps such a signature from
/// ever being one of a transaction or of typed data.
#[must_use]
pub fn digest(message: &[u8]) -> [u8; 32] {
    let mut prefixed = format!("\x19Ethereum Signed Message:\n{}", message.len()).into_bytes();
    prefixed.extend_from_slice(message);
    keccak256(&prefixed)
}

/// Whether a wallet signed a message.
///
/// White space around the message does not count. Some wallets sign a text that looks like a hash
/// as the bytes it names: where the message is 64 hex digits, with or without `0x`, a signature
/// over those 32 bytes is as good as one over the text.
#[must_use]
pub fn signed_by(message: &str, signature: &Signature, wallet: Wallet) -> bool {
    let text = trim(message);
    let is_signed = |bytes: &[u8]| signature.recover(&digest(bytes)) == Ok(wallet);
    is_signed(text.as_bytes()) || named_bytes(text).is_some_and(|bytes| is_signed(&bytes))
}

/// Who signed a message, where the signature is written in its one canonical form: lower-case digits,
/// the lower `s`, and `v` as wallets write it. For what the house signs itself: another spelling of
/// a signature is nobody's.
#[must_use]
pub fn signer_of(message: &str, signature: &str) -> Option<Wallet> {
    let parsed = Signature::parse(signature).ok()?;
    let is_canonical =
        parsed.to_string() == signature && parsed.is_low_s() && parsed.to_bytes()[64] >= 27;
    if !is_canonical {
        return None;
    }
    parsed.recover(&digest(message.as_bytes())).ok()
}

/// The 32 bytes that a text names in hexadecimal, if it names 32 bytes.
fn named_bytes(text: &str) -> Option<[u8; 32]> {
    decode_hex_array(text.strip_prefix("0x").unwrap_or(text)).ok()
}

/// Trims as the clients do, which follow ECMAScript: a byte order mark is white space there, the
/// C1 control "next line" is not.
fn trim(message: &str) -> &str {
    message.trim_matches(|character: char| match character {
        '\u{feff}' => true,
        '\u{85}' => false,
        other => other.is_whitespace(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::LocalSigner;
    use crate::types::encode_hex;

    const HEX: &str = "313a073aef4cfa55333f9b22dd96bd4551eaf32805548ba47be878246fff5698";

    fn signer() -> LocalSigner {
        LocalSigner::from_bytes(&[7; 32]).unwrap()
    }

    fn is_accepted(message: &str, signed: &[u8]) -> bool {
        let signature = signer().sign_prehash(&digest(signed));
        signed_by(message, &signature, signer().wallet())
    }

    #[test]
    fn the_digest_is_the_published_one() {
        assert_eq!(
            encode_hex(&digest(b"Some data")),
            "1da44b586eb0729ff70a73c326926f6ed5a25f5b056e7f47fbc6e58d86871655"
        );
    }

    #[test]
    fn the_length_in_the_prefix_counts_bytes() {
        assert_eq!(
            digest("é".as_bytes()),
            keccak256("\x19Ethereum Signed Message:\n2é".as_bytes())
        );
    }

    #[test]
    fn a_text_is_accepted_as_text() {
        assert!(is_accepted("hello", b"hello"));
        assert!(is_accepted("", b""));
        assert!(!is_accepted("hello", b"hellp"));
    }

    #[test]
    fn only_64_hex_digits_are_accepted_as_the_bytes_they_name() {
        let bytes: [u8; 32] = decode_hex_array(HEX).unwrap();
        let prefixed = format!("0x{HEX}");
        for message in [
            HEX,
            &prefixed,
            &HEX.to_uppercase(),
            &format!(" {prefixed}\n"),
        ] {
            assert!(is_accepted(message, &bytes), "{message}");
        }
        assert!(is_accepted(&prefixed, prefixed.as_bytes()));
        // A prefix is part of the text that is signed.
        assert!(!is_accepted(&prefixed, HEX.as_bytes()));
        for message in [
            &HEX[1..],
            &format!("{HEX}0"),
            &format!("0x0x{HEX}"),
            &format!("0X{HEX}"),
        ] {
            assert!(!is_accepted(message, &bytes), "{message}");
        }
        assert!(!is_accepted("0a", &[0x0a]));
    }

    #[test]
    fn white_space_is_what_the_clients_take_for_it() {
        for space in [
            " ",
            "\t\r\n",
            "\u{b}\u{c}",
            "\u{a0}",
            "\u{2028}",
            "\u{3000}",
            "\u{feff}",
        ] {
            assert!(
                is_accepted(&format!("{space}hello{space}"), b"hello"),
                "{space:?}"
            );
        }
        for other in ["\u{85}", "\u{200b}", "\0"] {
            assert!(
                !is_accepted(&format!("{other}hello"), b"hello"),
                "{other:?}"
            );
        }
        assert!(!is_accepted("hel lo", b"hello"));
    }

    #[test]
    fn one_spelling_of_a_signature_tells_the_signer() {
        let signature = signer().sign_prehash(&digest(b"hello")).to_string();
        assert_eq!(signer_of("hello", &signature), Some(signer().wallet()));
        assert_ne!(signer_of("hellp", &signature), Some(signer().wallet()));
        let (most, v) = signature.split_at(signature.len() - 2);
        let low_v = if v == "1b" { "00" } else { "01" };
        let digits = signature.strip_prefix("0x").unwrap();
        for other in [
            format!("{most}{low_v}"),
            format!("0x{}", digits.to_uppercase()),
            format!("{signature}0"),
            digits.to_string(),
        ] {
            assert_eq!(signer_of("hello", &other), None, "{other}");
        }
    }

    #[test]
    fn another_wallet_did_not_sign() {
        let signature = signer().sign_prehash(&digest(b"hello"));
        assert!(!signed_by("hello", &signature, Wallet::from_bytes([7; 20])));
    }
}
