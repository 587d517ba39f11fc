//! Bytes that nobody may see.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use super::mac::constant_time_eq;

/// A secret: hidden in debug output, wiped on drop, compared in constant time only.
///
/// It has no `Display`, no `Serialize` and no `PartialEq`, so it cannot be printed, written out or
/// compared by accident.
///
/// ```
/// use session_core::crypto::Secret;
///
/// let secret = Secret::new("do not tell".to_owned());
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// assert!(secret.matches(b"do not tell"));
/// ```
///
/// ```compile_fail
/// use session_core::crypto::Secret;
///
/// let secret = Secret::new("do not tell".to_owned());
/// println!("{secret}");
/// ```
///
/// ```compile_fail
/// use session_core::crypto::Secret;
///
/// let secret = Secret::new("do not tell".to_owned());
/// assert!(secret == secret.clone());
/// ```
///
/// ```compile_fail
/// use session_core::crypto::Secret;
///
/// let secret = Secret::new("do not tell".to_owned());
/// serde_json::to_string(&secret);
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The secret of these bytes, or of this text. The argument is moved, so that no copy of it
    /// stays behind.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The bytes, for the one call that needs them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether these bytes are the secret, in a time that tells no more than its length.
    #[must_use]
    pub fn matches(&self, other: &[u8]) -> bool {
        constant_time_eq(&self.0, other)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn debug_output_tells_neither_the_content_nor_its_length() {
        assert_eq!(
            format!("{:?}", Secret::new(b"canary".to_vec())),
            "Secret(..)"
        );
        assert_eq!(format!("{:#?}", Secret::new(Vec::new())), "Secret(..)");
    }

    #[test]
    fn only_the_same_bytes_match() {
        let secret = Secret::from(String::from("canary"));
        assert_eq!(secret.clone().expose(), b"canary");
        assert!(secret.matches(b"canary"));
        for other in [&b""[..], b"canar", b"canary ", b"Canary"] {
            assert!(!secret.matches(other));
        }
    }
}
