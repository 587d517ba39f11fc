//! Access tokens of every kind, good and bad, made without the code that is tested.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use session_core::crypto::hmac_sha256;
use session_core::types::Wallet;

/// How long a good token lasts, in seconds.
pub(super) const LIFETIME_SECONDS: i128 = 3600;

/// What is wrong with a token, if anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The header asks for no signature, and there is none.
    AlgNone,
    /// It does not say when it ends.
    NoExpiry,
    /// Another secret signed it.
    WrongSecret,
}

/// A token that says that it was issued now.
pub(super) fn token(
    wallet: Wallet,
    now: i128,
    expires_in: i128,
    secret: &str,
    flaw: Option<Flaw>,
) -> String {
    let header = match flaw {
        Some(Flaw::AlgNone) => r#"{"alg":"none","typ":"JWT"}"#,
        Some(Flaw::NoExpiry | Flaw::WrongSecret) | None => r#"{"alg":"HS256","typ":"JWT"}"#,
    };
    let payload = match flaw {
        Some(Flaw::NoExpiry) => format!(r#"{{"sub":"{wallet}","iat":{now}}}"#),
        Some(Flaw::AlgNone | Flaw::WrongSecret) | None => {
            format!(
                r#"{{"sub":"{wallet}","iat":{now},"exp":{}}}"#,
                now.saturating_add(expires_in)
            )
        }
    };
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(payload)
    );
    let mac = |key: &str| URL_SAFE_NO_PAD.encode(hmac_sha256(key.as_bytes(), signed.as_bytes()));
    let signature = match flaw {
        Some(Flaw::AlgNone) => String::new(),
        Some(Flaw::WrongSecret) => mac(&format!("not-{secret}")),
        Some(Flaw::NoExpiry) | None => mac(secret),
    };
    format!("{signed}.{signature}")
}
