//! What a LiveKit server knows its callers by, and where it is.

use alloc::string::{String, ToString};
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::crypto::Secret;

/// Text that is no API key and no API secret. It does not repeat the text, which may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("api key or secret is not 1 to 256 visible ascii characters")]
pub struct InvalidApiCredential;

/// Text that is no address of a media server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "media server is not named by an http, https, ws or wss url without user, query or fragment"
)]
pub struct InvalidServerUrl;

/// The public name of a pair of credentials, by which the server finds the secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApiKey(String);

impl ApiKey {
    /// Parses 1 to 256 visible ASCII characters.
    ///
    /// # Errors
    /// [`InvalidApiCredential`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidApiCredential> {
        is_credential(text)
            .then(|| Self(text.to_string()))
            .ok_or(InvalidApiCredential)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ApiKey {
    type Error = InvalidApiCredential;

    fn try_from(text: String) -> Result<Self, InvalidApiCredential> {
        Self::parse(&text)
    }
}

impl From<ApiKey> for String {
    fn from(key: ApiKey) -> Self {
        key.0
    }
}

/// The secret of a pair, used as text. Hidden in debug output and wiped on drop. How long it must
/// be is the business of whoever configures it; the vendor asks for 32 characters.
#[derive(Debug, Clone)]
pub struct ApiSecret(Secret);

impl ApiSecret {
    /// Parses 1 to 256 visible ASCII characters. A line end, as a file would add one, is refused:
    /// with it every token would be signed by another secret.
    ///
    /// # Errors
    /// [`InvalidApiCredential`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidApiCredential> {
        is_credential(text)
            .then(|| Self(Secret::new(text)))
            .ok_or(InvalidApiCredential)
    }

    /// The bytes, as the MAC takes them.
    pub(super) fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

/// A key and its secret.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "a pair, by definition")]
pub struct ApiCredentials {
    /// The public name.
    pub key: ApiKey,
    /// What signs under that name.
    pub secret: ApiSecret,
}

/// Where clients reach the media server: the beginning of an HTTP or WebSocket URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerUrl(String);

impl ServerUrl {
    /// The longest address, in bytes.
    pub const LENGTH_MAX_BYTES: usize = 2048;

    /// Parses `https://`, `wss://`, `http://` or `ws://` and a host, with a path perhaps. Clients
    /// see it, so it names no user, and clients add to it, so it has neither query nor fragment.
    /// Whether a host without encryption will do is the business of whoever configures it.
    ///
    /// # Errors
    /// [`InvalidServerUrl`] for any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidServerUrl> {
        let after_scheme = ["https://", "wss://", "http://", "ws://"]
            .into_iter()
            .find_map(|scheme| text.strip_prefix(scheme))
            .ok_or(InvalidServerUrl)?;
        let host = after_scheme.split(['/', ':']).next().unwrap_or_default();
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"@?#\\\"<>".contains(&byte);
        let is_fitting = text.len() <= Self::LENGTH_MAX_BYTES && text.bytes().all(is_plain);
        if is_fitting && !host.is_empty() {
            Ok(Self(text.to_string()))
        } else {
            Err(InvalidServerUrl)
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text has the form that both credentials have.
fn is_credential(text: &str) -> bool {
    (1..=CREDENTIAL_MAX_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

const CREDENTIAL_MAX_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn credentials_are_visible_text_of_some_length() {
        for text in ["A", "APIverify00001", "devkey", &"x".repeat(256)] {
            assert_eq!(ApiKey::parse(text).unwrap().as_str(), text);
            assert_eq!(ApiSecret::parse(text).unwrap().expose(), text.as_bytes());
        }
        for text in ["", " ", "key\n", " key", "a key", "ключ", &"x".repeat(257)] {
            assert_eq!(
                ApiKey::parse(text).err(),
                Some(InvalidApiCredential),
                "{text:?}"
            );
            assert_eq!(
                ApiSecret::parse(text).err(),
                Some(InvalidApiCredential),
                "{text:?}"
            );
        }
    }

    #[test]
    fn debug_output_hides_the_secret() {
        let pair = ApiCredentials {
            key: ApiKey::parse("APIkey").unwrap(),
            secret: ApiSecret::parse("canary").unwrap(),
        };
        assert_eq!(
            format!("{pair:?}"),
            "ApiCredentials { key: ApiKey(\"APIkey\"), secret: ApiSecret(Secret(..)) }"
        );
    }

    #[test]
    fn a_server_is_named_by_one_of_four_schemes_and_a_host() {
        for text in [
            "https://media.example",
            "wss://media.example/",
            "ws://127.0.0.1:7880",
            "http://localhost:7880/livekit",
            "wss://[::1]:7880",
        ] {
            assert_eq!(ServerUrl::parse(text).unwrap().to_string(), text);
        }
        let long = format!("wss://{}", "a".repeat(ServerUrl::LENGTH_MAX_BYTES));
        for text in [
            "",
            "media.example",
            "ftp://media.example",
            "javascript://media.example",
            "WSS://media.example",
            "wss:/media.example",
            "wss://",
            "wss:///rtc",
            "wss://:7880",
            "wss://user:password@media.example",
            "wss://media.example?access_token=x",
            "wss://media.example#x",
            "wss://media.example\n",
            "wss://media example",
            "wss://медиа",
            &long,
        ] {
            assert_eq!(ServerUrl::parse(text), Err(InvalidServerUrl), "{text:?}");
        }
    }
}
