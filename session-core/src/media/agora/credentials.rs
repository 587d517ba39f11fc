//! The two credentials of an Agora project.

use alloc::string::{String, ToString};
use core::fmt;

use crate::crypto::Secret;

/// Text that is no app id and no app certificate. It does not repeat the text, which may be a
/// secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("app id or certificate is not exactly 32 hex digits")]
pub struct InvalidCredential;

/// The public name of a project: 32 hex digits, used as text with the case kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AppId(String);

impl AppId {
    /// Parses exactly 32 hex digits of either case.
    ///
    /// # Errors
    /// [`InvalidCredential`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidCredential> {
        is_credential(text)
            .then(|| Self(text.to_string()))
            .ok_or(InvalidCredential)
    }

    /// The 32 hex digits, in the case in which they were given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The secret of a project: 32 hex digits, used as text, so that another case is another secret.
/// Hidden in debug output and wiped on drop.
#[derive(Debug, Clone)]
pub struct AppCertificate(Secret);

impl AppCertificate {
    /// Parses exactly 32 hex digits of either case. A line end, as a file would add one, is
    /// refused: with it every token would be signed by another secret.
    ///
    /// # Errors
    /// [`InvalidCredential`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidCredential> {
        is_credential(text)
            .then(|| Self(Secret::new(text)))
            .ok_or(InvalidCredential)
    }

    /// The text, as the key derivation takes it.
    pub(super) fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

/// Whether a text has the form that both credentials have.
pub(super) fn is_credential(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn the_case_is_kept() {
        let text = "00C8210d9407bbfc58f83a1fa4e11364";
        assert_eq!(AppId::parse(text).unwrap().as_str(), text);
        assert_eq!(
            AppCertificate::parse(text).unwrap().expose(),
            text.as_bytes()
        );
    }

    #[test]
    fn other_lengths_and_characters_are_refused() {
        let good = "00c8210d9407bbfc58f83a1fa4e11364";
        for text in [
            "",
            &good[1..],
            &format!("{good}0"),
            &format!("{good}\n"),
            &format!(" {}", &good[1..]),
            &format!("g{}", &good[1..]),
            &format!("é{}", &good[2..]),
        ] {
            assert_eq!(
                AppId::parse(text).err(),
                Some(InvalidCredential),
                "{text:?}"
            );
            assert_eq!(
                AppCertificate::parse(text).err(),
                Some(InvalidCredential),
                "{text:?}"
            );
        }
    }

    #[test]
    fn debug_output_hides_the_certificate() {
        let certificate = AppCertificate::parse("00c8210d9407bbfc58f83a1fa4e11364").unwrap();
        assert_eq!(format!("{certificate:?}"), "AppCertificate(Secret(..))");
    }
}
