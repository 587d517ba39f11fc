//! Reading and verifying a token.

use alloc::vec::Vec;

use serde::Deserialize;

use super::claims::{TOKEN_MAX_BYTES, TokenClaims};
use super::credentials::{ApiCredentials, ApiKey};
use crate::crypto::jws::{Compact, InvalidHeader, parse_object};
use crate::types::{Seconds, Timestamp};

/// How many pairs of credentials may be held at once.
pub const API_KEYS_MAX: usize = 8;

/// A token that is not to be believed. The reason is for logs and tests; whoever sent the token is
/// told none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(clippy::exhaustive_enums, reason = "callers map all to one answer")]
pub enum VerifyError {
    /// A member is missing, given twice, or not of its kind.
    #[error("media token has wrong claims")]
    Claims,
    /// The token has ended.
    #[error("media token has ended")]
    Ended,
    /// Not three parts of base64url in at most 16 KiB.
    #[error("media token is malformed")]
    Form,
    /// It asks to be verified in another way.
    #[error("media token has a wrong header")]
    Header,
    /// The token was issued in the future.
    #[error("media token is not valid yet")]
    NotYet,
    /// Another secret, or something was changed.
    #[error("media token has a wrong signature")]
    Signature,
    /// A key that is not one of ours.
    #[error("media token is of an unknown key")]
    UnknownKey,
}

/// Credentials that cannot verify tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(
    clippy::exhaustive_enums,
    reason = "closed: a key twice or too many keys"
)]
pub enum InvalidApiKeys {
    /// Two secrets under one key.
    #[error("api key is given twice")]
    Duplicate,
    /// More pairs than [`API_KEYS_MAX`].
    #[error("more than 8 api keys")]
    TooMany,
}

/// The credentials whose tokens are believed. A token names its key and is verified with the secret
/// of that key alone.
#[derive(Debug, Clone)]
pub struct ApiKeys(Vec<ApiCredentials>);

impl ApiKeys {
    /// The credentials to believe. Without any, no token is.
    ///
    /// # Errors
    /// [`InvalidApiKeys`] where a key comes twice or there are too many.
    pub fn new(credentials: Vec<ApiCredentials>) -> Result<Self, InvalidApiKeys> {
        if credentials.len() > API_KEYS_MAX {
            return Err(InvalidApiKeys::TooMany);
        }
        let keys = Self(credentials);
        let is_first = |(index, pair): (usize, &ApiCredentials)| {
            keys.0.iter().position(|other| other.key == pair.key) == Some(index)
        };
        if keys.0.iter().enumerate().all(is_first) {
            Ok(keys)
        } else {
            Err(InvalidApiKeys::Duplicate)
        }
    }

    /// What a token says, if the secret of its key signed it and now is from its `nbf` until before
    /// its `exp`, which it must have.
    ///
    /// `leeway` is added at both ends. The right one is zero; the vendor's server takes 60 s, so
    /// that a token of 90 s lets in for 150.
    ///
    /// # Errors
    /// [`VerifyError`]. But for the name of the key nothing that the token says is looked at before
    /// its signature.
    pub fn verify(
        &self,
        token: &str,
        now: Timestamp,
        leeway: Seconds,
    ) -> Result<TokenClaims, VerifyError> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(VerifyError::Form);
        }
        let token = Compact::split(token).ok_or(VerifyError::Form)?;
        let payload = token.payload().ok_or(VerifyError::Form)?;
        let Issuer { iss } = parse_object(&payload).ok_or(VerifyError::Claims)?;
        let pair = self.0.iter().find(|pair| pair.key == iss);
        let secret = &pair.ok_or(VerifyError::UnknownKey)?.secret;
        if !token.is_signed(secret.expose()) {
            return Err(VerifyError::Signature);
        }
        token.check_header()?;
        let claims: TokenClaims = parse_object(&payload).ok_or(VerifyError::Claims)?;
        let is_early = |nbf: Timestamp| now.after(leeway) < nbf;
        if claims.nbf.is_some_and(is_early) {
            Err(VerifyError::NotYet)
        } else if now < claims.exp.after(leeway) {
            Ok(claims)
        } else {
            Err(VerifyError::Ended)
        }
    }
}

impl From<InvalidHeader> for VerifyError {
    fn from(why: InvalidHeader) -> Self {
        match why {
            InvalidHeader::Form => Self::Form,
            InvalidHeader::Content => Self::Header,
        }
    }
}

/// The one member that is read before the signature is looked at.
#[derive(Deserialize)]
struct Issuer {
    iss: ApiKey,
}

#[cfg(test)]
mod tests {
    use super::super::claims::{BuildError, VideoGrant};
    use super::super::credentials::ApiSecret;
    use super::*;
    use crate::crypto::jws;
    use crate::media::Ttl;
    use alloc::format;
    use alloc::string::{String, ToString};
    use alloc::vec;

    const NOW: u64 = 1_795_200_000;
    const HEADER: &str = r#"{"alg":"HS256"}"#;

    fn pair(key: &str, secret: &str) -> ApiCredentials {
        ApiCredentials {
            key: ApiKey::parse(key).unwrap(),
            secret: ApiSecret::parse(secret).unwrap(),
        }
    }

    fn keys() -> ApiKeys {
        ApiKeys::new(vec![pair("first", "one"), pair("second", "two")]).unwrap()
    }

    fn verify_at(token: &str, now: u64, leeway: u64) -> Result<TokenClaims, VerifyError> {
        keys().verify(token, Timestamp::from_unix(now), Seconds::new(leeway))
    }

    fn verify(token: &str) -> Result<TokenClaims, VerifyError> {
        verify_at(token, NOW, 0)
    }

    fn verify_payload(payload: &str) -> Result<TokenClaims, VerifyError> {
        verify(&jws::sign(HEADER, payload, b"one"))
    }

    /// A payload with these members after the key and the end.
    fn with(members: &str) -> String {
        format!(r#"{{"iss":"first","exp":{}{members}}}"#, NOW + 90)
    }

    fn claims() -> TokenClaims {
        let key = ApiKey::parse("first").unwrap();
        let ttl = Ttl::new(Seconds::new(90)).unwrap();
        TokenClaims::new(key, Timestamp::from_unix(NOW), ttl)
    }

    #[test]
    fn a_token_is_valid_from_its_issue_until_before_its_end() {
        let token = claims().sign(&pair("first", "one").secret).unwrap();
        for (now, leeway, expected) in [
            (NOW - 1, 0, Err(VerifyError::NotYet)),
            (NOW, 0, Ok(claims())),
            (NOW + 89, 0, Ok(claims())),
            (NOW + 90, 0, Err(VerifyError::Ended)),
            (NOW - 61, 60, Err(VerifyError::NotYet)),
            (NOW - 60, 60, Ok(claims())),
            (NOW + 149, 60, Ok(claims())),
            (NOW + 150, 60, Err(VerifyError::Ended)),
        ] {
            assert_eq!(verify_at(&token, now, leeway), expected, "{now} {leeway}");
        }
    }

    #[test]
    fn the_secret_is_that_of_the_key_and_no_other() {
        let payload = |iss: &str| format!(r#"{{"iss":"{iss}","exp":{}}}"#, NOW + 1);
        for (iss, secret, expected) in [
            ("first", "one", Ok(())),
            ("second", "two", Ok(())),
            ("second", "one", Err(VerifyError::Signature)),
            ("first", "two", Err(VerifyError::Signature)),
            ("third", "one", Err(VerifyError::UnknownKey)),
            ("", "one", Err(VerifyError::Claims)),
        ] {
            let token = jws::sign(HEADER, &payload(iss), secret.as_bytes());
            assert_eq!(verify(&token).map(drop), expected, "{iss} {secret}");
        }
        let none = ApiKeys::new(vec![]).unwrap();
        let token = jws::sign(HEADER, &payload("first"), b"one");
        assert_eq!(
            none.verify(&token, Timestamp::from_unix(NOW), Seconds::ZERO),
            Err(VerifyError::UnknownKey)
        );
    }

    #[test]
    fn no_key_comes_twice_and_there_are_at_most_eight() {
        assert_eq!(
            ApiKeys::new(vec![pair("a", "x"), pair("b", "x"), pair("a", "y")]).err(),
            Some(InvalidApiKeys::Duplicate)
        );
        let many = |count: usize| {
            let pairs = (0..count).map(|index| pair(&index.to_string(), "x"));
            ApiKeys::new(pairs.collect()).err()
        };
        assert_eq!(many(8), None);
        assert_eq!(many(9), Some(InvalidApiKeys::TooMany));
    }

    #[test]
    fn the_algorithm_is_not_chosen_by_the_token() {
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"HS512"}"#,
            r#"{"alg":"HS256","typ":"at+jwt"}"#,
            r#"{"alg":"HS256","crit":["exp"]}"#,
            r#"{"alg":"HS256","alg":"HS256"}"#,
            "{}",
        ] {
            let token = jws::sign(header, &with(""), b"one");
            assert_eq!(verify(&token), Err(VerifyError::Header), "{header}");
        }
        for header in [HEADER, r#"{"alg":"HS256","typ":"JWT"}"#] {
            assert!(verify(&jws::sign(header, &with(""), b"one")).is_ok());
        }
        let token = jws::sign(HEADER, &with(""), b"one");
        let unsigned = token.rsplit_once('.').unwrap().0.to_string() + ".";
        assert_eq!(verify(&unsigned), Err(VerifyError::Signature));
    }

    #[test]
    fn an_end_is_required_and_instants_are_integers() {
        assert_eq!(
            verify_payload(r#"{"iss":"first"}"#),
            Err(VerifyError::Claims)
        );
        for exp in [r#""1795200090""#, "1795200090.0", "1e10", "-1", "null"] {
            let payload = format!(r#"{{"iss":"first","exp":{exp}}}"#);
            assert_eq!(verify_payload(&payload), Err(VerifyError::Claims), "{exp}");
        }
        for nbf in [r#""0""#, "0.0", "-1", "null"] {
            let payload = with(&format!(r#","nbf":{nbf}"#));
            assert_eq!(verify_payload(&payload), Err(VerifyError::Claims), "{nbf}");
        }
        assert_eq!(
            verify_payload(&with("")).map(|claims| claims.nbf),
            Ok(None),
            "who does not say since when may come at once"
        );
        let far = format!(r#"{{"iss":"first","exp":{}}}"#, u64::MAX);
        let end = verify_payload(&far).map(|claims| claims.exp);
        assert_eq!(end, Ok(Timestamp::MAX));
    }

    #[test]
    fn members_given_twice_or_of_another_kind_are_refused_and_unknown_ones_ignored() {
        for members in [
            r#","exp":9999999999"#,
            r#","iss":"first""#,
            r#","sub":"a","sub":"b""#,
            r#","sub":null"#,
            r#","sub":1"#,
            r#","name":{}"#,
            r#","video":null"#,
            r#","video":[]"#,
            r#","video":{},"video":{}"#,
            r#","video":{"room":"a","room":"b"}"#,
            r#","video":{"roomJoin":"true"}"#,
            r#","video":{"canPublish":null}"#,
            r#","video":{"canPublishSources":["telepathy"]}"#,
            r#","video":{"canPublishSources":null}"#,
            r#","attributes":{"a":"1","a":"2"}"#,
            r#","attributes":{"a":1}"#,
            r#","attributes":[]"#,
            "}",
            "x",
        ] {
            let payload = with(members);
            assert_eq!(
                verify_payload(&payload),
                Err(VerifyError::Claims),
                "{members}"
            );
        }
        let more = with(r#","iat":0,"sip":{"a":[]},"video":{"room":"a","later":1}"#);
        let video = VideoGrant {
            room: Some("a".to_string()),
            ..VideoGrant::default()
        };
        assert_eq!(
            verify_payload(&more).map(|claims| claims.video),
            Ok(Some(video))
        );
    }

    #[test]
    fn anything_but_three_parts_of_base64url_is_refused() {
        let token = jws::sign(HEADER, &with(""), b"one");
        let (signed, mac) = token.rsplit_once('.').unwrap();
        for text in ["", ".", "..", "a", signed, &format!("{signed}.{mac}=")] {
            assert!(verify(text).is_err(), "{text}");
        }
        assert_eq!(verify(&format!("{token}.")), Err(VerifyError::Form));
        assert_eq!(verify(&format!("{signed}.{mac}\n")), Err(VerifyError::Form));
    }

    #[test]
    fn the_older_name_of_a_participant_counts_where_there_is_no_other() {
        for (sub, jti, expected) in [
            (Some("a"), Some("b"), Some("a")),
            (Some(""), Some("b"), Some("b")),
            (None, Some("b"), Some("b")),
            (Some(""), Some(""), None),
            (None, None, None),
        ] {
            let claims = TokenClaims {
                sub: sub.map(ToString::to_string),
                jti: jti.map(ToString::to_string),
                ..claims()
            };
            assert_eq!(claims.identity(), expected);
        }
    }

    #[test]
    fn a_token_to_join_names_who() {
        let secret = pair("first", "one").secret;
        let mut claims = claims();
        for (room_join, sub, expected) in [
            (Some(true), None, Some(BuildError::NoIdentity)),
            (Some(true), Some(""), Some(BuildError::NoIdentity)),
            (Some(true), Some("a"), None),
            (Some(false), None, None),
            (None, None, None),
        ] {
            claims.sub = sub.map(ToString::to_string);
            claims.video = Some(VideoGrant {
                room_join,
                ..VideoGrant::default()
            });
            assert_eq!(
                claims.sign(&secret).err(),
                expected,
                "{room_join:?} {sub:?}"
            );
        }
    }

    #[test]
    fn a_token_ends_at_16_kib() {
        let secret = pair("first", "one").secret;
        let of = |length: usize| TokenClaims {
            metadata: Some("m".repeat(length)),
            ..claims()
        };
        let longest = (12_000..TOKEN_MAX_BYTES)
            .take_while(|&length| of(length).sign(&secret).is_ok())
            .last()
            .unwrap();
        let token = of(longest).sign(&secret).unwrap();
        assert!(token.len() + 2 >= TOKEN_MAX_BYTES);
        assert_eq!(verify(&token), Ok(of(longest)));
        assert_eq!(of(longest + 1).sign(&secret), Err(BuildError::TooLong));
        let long = jws::sign(HEADER, &with(&" ".repeat(TOKEN_MAX_BYTES)), b"one");
        assert_eq!(verify(&long), Err(VerifyError::Form));
    }
}
