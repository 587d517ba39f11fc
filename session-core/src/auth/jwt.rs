//! Access tokens: JSON web tokens signed with HMAC-SHA256.
//!
//! One algorithm, fixed here and never chosen by the token. The members are exactly `sub`, `iat`
//! and `exp`, as clients of the original know them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::crypto::jws::{self, Compact, InvalidHeader};
use crate::crypto::{Secret, hmac_sha256};
use crate::types::{Seconds, Timestamp, Wallet};

/// How long an access token lasts (`rooms-and-sessions.md`, section 2; `security.md` B3).
pub const ACCESS_TOKEN_SECONDS: u64 = 3600;

/// The longest token that is looked at, in bytes (`security.md` B6).
pub const ACCESS_TOKEN_MAX_BYTES: usize = 4096;

/// How many keys may be held at once: each costs a forged token one more MAC.
pub const JWT_KEYS_MAX: usize = 8;

/// What an access token says. It is stored as the answer to a sign-in; the token is made of it again,
/// which always gives the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(
    clippy::exhaustive_structs,
    reason = "the wire knows exactly these members"
)]
pub struct AccessClaims {
    /// Who holds the token.
    pub sub: Wallet,
    /// When it was issued. The epoch where a token that was read does not say: older than any
    /// other, for a rule that distrusts old tokens.
    pub iat: Timestamp,
    /// The last instant at which it is valid.
    pub exp: Timestamp,
}

impl AccessClaims {
    /// What a token says that is issued to a wallet now.
    #[must_use]
    pub const fn issued_to(wallet: Wallet, now: Timestamp) -> Self {
        Self {
            sub: wallet,
            iat: now,
            exp: now.after(Seconds::new(ACCESS_TOKEN_SECONDS)),
        }
    }
}

/// A token that lets nobody in. The reason is for logs and tests; whoever sent the token is told
/// none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(clippy::exhaustive_enums, reason = "callers map all to one answer")]
pub enum InvalidToken {
    /// A member is missing, given twice, or not of its kind.
    #[error("access token has wrong claims")]
    Claims,
    /// It was valid once.
    #[error("access token has expired")]
    Expired,
    /// Not three parts of base64url in at most 4 KiB.
    #[error("access token is malformed")]
    Form,
    /// It asks to be verified in another way.
    #[error("access token has a wrong header")]
    Header,
    /// No key of ours signed it.
    #[error("access token has a wrong signature")]
    Signature,
}

/// Keys that cannot sign access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(
    clippy::exhaustive_enums,
    reason = "closed: too few bytes or too many keys"
)]
pub enum InvalidJwtKeys {
    /// A key of no bytes, with which anybody could sign.
    #[error("access token key is empty")]
    Empty,
    /// More keys than [`JWT_KEYS_MAX`].
    #[error("more than 8 access token keys")]
    TooMany,
}

/// The keys of access tokens: the first one signs, all of them verify, so that a key can be
/// replaced while its last tokens are still out.
#[derive(Debug, Clone)]
pub struct JwtKeys {
    signing: Secret,
    retired: Vec<Secret>,
}

impl JwtKeys {
    /// The key that signs, and older ones whose tokens are still good. How long a key must be is
    /// the business of whoever configures it.
    ///
    /// # Errors
    /// [`InvalidJwtKeys`] where a key is empty or there are too many.
    pub fn new(signing: Secret, retired: Vec<Secret>) -> Result<Self, InvalidJwtKeys> {
        if retired.len() >= JWT_KEYS_MAX {
            return Err(InvalidJwtKeys::TooMany);
        }
        let keys = Self { signing, retired };
        if keys.all().any(|key| key.expose().is_empty()) {
            return Err(InvalidJwtKeys::Empty);
        }
        Ok(keys)
    }

    /// The token that says this.
    #[must_use]
    pub fn sign(&self, claims: &AccessClaims) -> String {
        let AccessClaims { sub, iat, exp } = claims;
        // By hand, since clients compare bytes: the order is fixed and nothing needs escaping.
        let payload = format!(r#"{{"sub":"{sub}","iat":{iat},"exp":{exp}}}"#);
        jws::sign(HEADER, &payload, self.signing.expose())
    }

    /// What a token says, if one of the keys signed it and it has not expired. It is valid *at*
    /// `exp`, without leeway; `iat` is not compared with now.
    ///
    /// # Errors
    /// [`InvalidToken`]. The signature is looked at before anything that the token says.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<AccessClaims, InvalidToken> {
        if token.len() > ACCESS_TOKEN_MAX_BYTES {
            return Err(InvalidToken::Form);
        }
        let token = Compact::split(token).ok_or(InvalidToken::Form)?;
        if !self.is_signed(&token) {
            return Err(InvalidToken::Signature);
        }
        token.check_header()?;
        let claims = read_claims(&token.payload().ok_or(InvalidToken::Form)?)?;
        if claims.exp < now {
            return Err(InvalidToken::Expired);
        }
        Ok(claims)
    }

    /// Whether any key made this MAC. All keys are tried, so that the time does not tell which.
    fn is_signed(&self, token: &Compact<'_>) -> bool {
        self.all().fold(false, |is_signed, key| {
            is_signed | token.is_signed(key.expose())
        })
    }

    /// The key that signs.
    pub(super) const fn signing(&self) -> &Secret {
        &self.signing
    }

    /// A keyed digest of something that is no token.
    pub(super) fn tag(&self, domain: &str, message: &[u8]) -> [u8; 32] {
        tag_under(&self.signing, domain, message)
    }

    /// Those that any of the keys makes.
    pub(super) fn tags<'k>(
        &'k self,
        domain: &'k str,
        message: &'k [u8],
    ) -> impl Iterator<Item = [u8; 32]> + 'k {
        self.all().map(move |key| tag_under(key, domain, message))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Secret> {
        core::iter::once(&self.signing).chain(&self.retired)
    }
}

/// Under a key made of the key, so that no tag is ever a token's.
fn tag_under(key: &Secret, domain: &str, message: &[u8]) -> [u8; 32] {
    hmac_sha256(&hmac_sha256(key.expose(), domain.as_bytes()), message)
}

/// The header of every token of ours.
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

impl From<InvalidHeader> for InvalidToken {
    fn from(why: InvalidHeader) -> Self {
        match why {
            InvalidHeader::Form => Self::Form,
            InvalidHeader::Content => Self::Header,
        }
    }
}

fn read_claims(bytes: &[u8]) -> Result<AccessClaims, InvalidToken> {
    let claims: Claims = jws::parse_object(bytes).ok_or(InvalidToken::Claims)?;
    // An instant before 1970 becomes 1970, as one after 9999 becomes the end of 9999.
    let iat = claims.iat.and_then(|iat| u64::try_from(iat).ok());
    Ok(AccessClaims {
        sub: claims.sub,
        iat: iat.map_or(Timestamp::EPOCH, Timestamp::from_unix),
        exp: Timestamp::from_unix(claims.exp),
    })
}

/// Numbers are integers, as ours are written: `1e3` and `1.0` are refused.
#[derive(Deserialize)]
struct Claims {
    sub: Wallet,
    #[serde(default, deserialize_with = "jws::given")]
    iat: Option<i128>,
    exp: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hmac_sha256;
    use alloc::string::ToString;
    use alloc::vec;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    const NOW: u64 = 1_760_000_000;
    const SUB: &str = r#""sub":"0xeea7a1d1fc57f9fa21a83a749aea5ec824fa0d85""#;

    fn now() -> Timestamp {
        Timestamp::from_unix(NOW)
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text)
    }

    fn keys() -> JwtKeys {
        JwtKeys::new(secret("current"), vec![secret("older"), secret("oldest")]).unwrap()
    }

    fn claims() -> AccessClaims {
        AccessClaims::issued_to(Wallet::from_bytes([0xab; 20]), now())
    }

    /// A token of these bytes, signed with the right key.
    fn signed(header: &[u8], payload: &[u8]) -> String {
        let [header, payload] = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part));
        signed_as_is(&format!("{header}.{payload}"))
    }

    fn signed_as_is(text: &str) -> String {
        let mac = URL_SAFE_NO_PAD.encode(hmac_sha256(b"current", text.as_bytes()));
        format!("{text}.{mac}")
    }

    fn payload() -> String {
        format!(r#"{{{SUB},"iat":{NOW},"exp":{NOW}}}"#)
    }

    fn verify(token: &str) -> Result<AccessClaims, InvalidToken> {
        keys().verify(token, now())
    }

    fn verify_payload(payload: &str) -> Result<AccessClaims, InvalidToken> {
        verify(&signed(HEADER.as_bytes(), payload.as_bytes()))
    }

    fn verify_header(header: &str) -> Result<AccessClaims, InvalidToken> {
        verify(&signed(header.as_bytes(), payload().as_bytes()))
    }

    #[test]
    fn what_was_signed_is_read_back() {
        assert_eq!(verify(&keys().sign(&claims())), Ok(claims()));
        assert_eq!(claims().exp, Timestamp::from_unix(NOW + 3600));
    }

    #[test]
    fn members_come_in_the_recorded_order() {
        let token = keys().sign(&claims());
        let parts: Vec<_> = token
            .split('.')
            .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap())
            .collect();
        assert_eq!(parts[0], HEADER.as_bytes());
        assert_eq!(
            String::from_utf8_lossy(&parts[1]),
            r#"{"sub":"0xabababababababababababababababababababab","iat":1760000000,"exp":1760003600}"#
        );
    }

    #[test]
    fn a_token_is_valid_at_its_end_and_not_after_it() {
        let token = keys().sign(&claims());
        let at = |unix| keys().verify(&token, Timestamp::from_unix(unix));
        assert_eq!(at(NOW + 3600), Ok(claims()));
        assert_eq!(at(NOW + 3601), Err(InvalidToken::Expired));
        // The clock of another server may be behind the one that issued it.
        assert_eq!(at(0), Ok(claims()));
    }

    #[test]
    fn every_key_verifies_and_only_the_first_signs() {
        for key in ["current", "older", "oldest"] {
            let signer = JwtKeys::new(secret(key), vec![]).unwrap();
            assert_eq!(verify(&signer.sign(&claims())), Ok(claims()), "{key}");
        }
        let stranger = JwtKeys::new(secret("stranger"), vec![]).unwrap();
        let token = stranger.sign(&claims());
        assert_eq!(verify(&token), Err(InvalidToken::Signature));
        let only_current = JwtKeys::new(secret("current"), vec![]).unwrap();
        assert_eq!(keys().sign(&claims()), only_current.sign(&claims()));
    }

    #[test]
    fn keys_are_never_empty_and_at_most_eight() {
        assert_eq!(
            JwtKeys::new(secret(""), vec![]).err(),
            Some(InvalidJwtKeys::Empty)
        );
        assert_eq!(
            JwtKeys::new(secret("a"), vec![secret("")]).err(),
            Some(InvalidJwtKeys::Empty)
        );
        assert!(JwtKeys::new(secret("a"), vec![secret("b"); 7]).is_ok());
        assert_eq!(
            JwtKeys::new(secret("a"), vec![secret("b"); 8]).err(),
            Some(InvalidJwtKeys::TooMany)
        );
    }

    #[test]
    fn the_algorithm_is_not_chosen_by_the_token() {
        for header in [
            r#"{"alg":"none","typ":"JWT"}"#,
            r#"{"alg":"None"}"#,
            r#"{"alg":"nOnE"}"#,
            r#"{"alg":""}"#,
            r#"{"alg":"hs256"}"#,
            r#"{"alg":"HS256 "}"#,
            r#"{"alg":"HS384"}"#,
            r#"{"alg":"HS512"}"#,
            r#"{"alg":"RS256"}"#,
            r#"{"alg":"ES256"}"#,
            r#"{"alg":null}"#,
            r#"{"alg":256}"#,
            r#"{"alg":["HS256"]}"#,
            r#"{"ALG":"HS256"}"#,
            r#"{"alg":"HS256","alg":"none"}"#,
            r#"{"alg":"none","alg":"HS256"}"#,
            r#"{"typ":"JWT"}"#,
            "{}",
        ] {
            assert_eq!(verify_header(header), Err(InvalidToken::Header), "{header}");
        }
    }

    #[test]
    fn a_header_that_is_of_another_kind_or_brings_a_key_is_refused() {
        for member in [
            r#""typ":"at+jwt""#,
            r#""typ":"jwt""#,
            r#""typ":null"#,
            r#""typ":1"#,
            r#""typ":"JWT","typ":"JWT""#,
            r#""crit":["exp"]"#,
            r#""crit":null"#,
            r#""crit":[]"#,
            r#""jku":"https://example.com/keys""#,
            r#""x5u":"https://example.com/key""#,
            r#""x5c":[]"#,
            r#""jwk":{"kty":"oct","k":"AA"}"#,
        ] {
            let header = format!(r#"{{"alg":"HS256",{member}}}"#);
            assert_eq!(
                verify_header(&header),
                Err(InvalidToken::Header),
                "{header}"
            );
        }
    }

    #[test]
    fn a_header_is_one_object_and_may_hold_what_changes_nothing() {
        for header in [
            r#"{"alg":"HS256"}"#,
            r#"{"typ":"JWT","alg":"HS256"}"#,
            r#" {"alg":"HS256","kid":"1"} "#,
            r#"{"\u0061lg":"HS256"}"#,
        ] {
            assert!(verify_header(header).is_ok(), "{header}");
        }
        for header in [
            "",
            "null",
            r#""HS256""#,
            r#"["HS256"]"#,
            r#"["HS256","JWT",false,false,false,false,false]"#,
            r#"{"alg":"HS256"}x"#,
            r#"{"alg":"HS256"}{}"#,
            r#"{"alg":"HS256",}"#,
            r#"{'alg':'HS256'}"#,
            "\u{feff}{\"alg\":\"HS256\"}",
        ] {
            assert_eq!(verify_header(header), Err(InvalidToken::Header), "{header}");
        }
    }

    #[test]
    fn an_end_is_required_and_is_an_integer() {
        for exp in [
            r#""1760003600""#,
            "1760003600.5",
            "1760003600.0",
            "1.76e9",
            "1e999",
            "-1",
            "-1760003600",
            "null",
            "true",
            "[1760003600]",
            "18446744073709551616",
            "99999999999999999999999999999999999999999999",
            "01760003600",
            "+1760003600",
            "NaN",
        ] {
            let payload = format!(r#"{{{SUB},"exp":{exp}}}"#);
            assert_eq!(verify_payload(&payload), Err(InvalidToken::Claims), "{exp}");
        }
        let payload = format!(r"{{{SUB}}}");
        assert_eq!(verify_payload(&payload), Err(InvalidToken::Claims));
        let twice = format!(r#"{{{SUB},"exp":1,"exp":{NOW}}}"#);
        assert_eq!(verify_payload(&twice), Err(InvalidToken::Claims));
    }

    #[test]
    fn an_end_far_away_is_moved_to_the_last_instant() {
        for exp in ["253402300799", "9007199254740993", "18446744073709551615"] {
            let payload = format!(r#"{{{SUB},"exp":{exp}}}"#);
            assert_eq!(
                verify_payload(&payload).map(|claims| claims.exp),
                Ok(Timestamp::MAX)
            );
        }
        let payload = format!(r#"{{{SUB},"exp":0}}"#);
        assert_eq!(verify_payload(&payload), Err(InvalidToken::Expired));
    }

    #[test]
    fn the_instant_of_issue_may_be_absent_but_not_of_another_kind() {
        let with_iat = |iat: &str| {
            let payload = format!(r#"{{{SUB},"iat":{iat},"exp":{NOW}}}"#);
            verify_payload(&payload).map(|claims| claims.iat)
        };
        assert_eq!(with_iat("5"), Ok(Timestamp::from_unix(5)));
        assert_eq!(
            with_iat("9999999999"),
            Ok(Timestamp::from_unix(9_999_999_999))
        );
        assert_eq!(with_iat("-5"), Ok(Timestamp::EPOCH));
        for iat in [r#""5""#, "5.0", "5e0", "null", "false", "{}"] {
            assert_eq!(with_iat(iat), Err(InvalidToken::Claims), "{iat}");
        }
        let payload = format!(r#"{{{SUB},"exp":{NOW}}}"#);
        assert_eq!(
            verify_payload(&payload).map(|claims| claims.iat),
            Ok(Timestamp::EPOCH)
        );
    }

    #[test]
    fn a_subject_is_required_and_is_a_wallet() {
        for sub in [
            "null",
            "1",
            r#""""#,
            r#""alice""#,
            r#"["0xeea7a1d1fc57f9fa21a83a749aea5ec824fa0d85"]"#,
            r#""eea7a1d1fc57f9fa21a83a749aea5ec824fa0d85""#,
            r#""0xeea7a1d1fc57f9fa21a83a749aea5ec824fa0d8""#,
            r#""0xeea7a1d1fc57f9fa21a83a749aea5ec824fa0d85 ""#,
        ] {
            let payload = format!(r#"{{"sub":{sub},"exp":{NOW}}}"#);
            assert_eq!(verify_payload(&payload), Err(InvalidToken::Claims), "{sub}");
        }
        let absent = format!(r#"{{"exp":{NOW}}}"#);
        assert_eq!(verify_payload(&absent), Err(InvalidToken::Claims));
        let twice = format!(r#"{{{SUB},{SUB},"exp":{NOW}}}"#);
        assert_eq!(verify_payload(&twice), Err(InvalidToken::Claims));
    }

    #[test]
    fn claims_are_one_object_and_other_members_are_ignored() {
        let wallet = "0xeea7a1d1fc57f9fa21a83a749aea5ec824fa0d85";
        for wrong in [
            String::new(),
            "null".to_string(),
            format!(r#"["{wallet}",{NOW},{NOW}]"#),
            payload() + "x",
            payload() + &payload(),
            "[".repeat(2000),
        ] {
            assert_eq!(verify_payload(&wrong), Err(InvalidToken::Claims), "{wrong}");
        }
        let more = format!(r#"{{{SUB},"exp":{NOW},"role":{{"a":[1.5]}}}}"#);
        assert!(verify_payload(&more).is_ok());
        let not_text = [payload().as_bytes(), &[0xff]].concat();
        assert_eq!(
            verify(&signed(HEADER.as_bytes(), &not_text)),
            Err(InvalidToken::Claims)
        );
    }

    #[test]
    fn anything_but_three_parts_is_refused() {
        let token = keys().sign(&claims());
        let (signed, mac) = token.rsplit_once('.').unwrap();
        let (header, payload) = signed.split_once('.').unwrap();
        for text in [
            "",
            ".",
            "..",
            "...",
            "a",
            header,
            signed,
            &format!("{header}.{mac}"),
        ] {
            assert!(verify(text).is_err(), "{text}");
        }
        assert_eq!(verify(&format!("{token}.")), Err(InvalidToken::Signature));
        assert_eq!(verify(&format!(".{token}")), Err(InvalidToken::Signature));
        // A right MAC over four parts, or over one.
        for text in [
            format!("{header}.{payload}.{payload}"),
            format!("{header}..{payload}"),
        ] {
            assert_eq!(
                verify(&signed_as_is(&text)),
                Err(InvalidToken::Form),
                "{text}"
            );
        }
        assert_eq!(verify(&signed_as_is(header)), Err(InvalidToken::Form));
        assert_eq!(verify(&format!("{signed}.")), Err(InvalidToken::Signature));
    }

    #[test]
    fn only_canonical_base64url_without_padding_is_read() {
        let token = keys().sign(&claims());
        let (signed, mac) = token.rsplit_once('.').unwrap();
        let last = mac.chars().last().unwrap();
        let spare = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
            .split_once(last)
            .and_then(|(_, after)| after.chars().next())
            .unwrap();
        for wrong in [
            format!("{}{spare}", &mac[..mac.len() - 1]),
            format!("{mac}="),
            format!(" {mac}"),
            format!("{mac}\n"),
            mac.replacen(&mac[..1], "+", 1),
            mac.replacen(&mac[..1], "/", 1),
        ] {
            let text = format!("{signed}.{wrong}");
            assert_eq!(verify(&text), Err(InvalidToken::Form), "{text}");
        }
        // Padding under a right MAC.
        let [header, payload] = [HEADER, "{}"].map(|part| URL_SAFE_NO_PAD.encode(part));
        for text in [
            format!("{header}=.{payload}"),
            format!("{header}.{payload}="),
        ] {
            assert_eq!(
                verify(&signed_as_is(&text)),
                Err(InvalidToken::Form),
                "{text}"
            );
        }
    }

    #[test]
    fn a_token_ends_at_4_kib() {
        let filler = |length: usize| {
            let payload = format!(r#"{{{SUB},"exp":{NOW},"x":"{}"}}"#, "x".repeat(length));
            signed(HEADER.as_bytes(), payload.as_bytes())
        };
        let longest = (0..ACCESS_TOKEN_MAX_BYTES)
            .map(filler)
            .take_while(|token| token.len() <= ACCESS_TOKEN_MAX_BYTES)
            .last()
            .unwrap();
        assert!(longest.len() + 2 >= ACCESS_TOKEN_MAX_BYTES);
        assert!(verify(&longest).is_ok());
        assert_eq!(verify(&filler(4000)), Err(InvalidToken::Form));
    }
}
