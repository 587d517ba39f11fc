//! The two forms of access tokens, and which of them are taken.
//!
//! The recorded form says `sub`, `iat` and `exp` and nothing else, because clients of the original
//! compare. The strict one follows RFC 8725: a type of its own, the key's name, issuer, audience
//! and an identifier. Sign-in by message gives the strict form; which forms are taken is a setting.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::jwt::{
    ACCESS_TOKEN_MAX_BYTES, ACCESS_TOKEN_SECONDS, AccessClaims, InvalidToken, JwtKeys,
};
use super::revocation::Revoked;
use crate::crypto::jws::{self, Compact};
use crate::crypto::{Secret, hmac_sha256};
use crate::service::Context;
use crate::types::{RevocationId, Seconds, Timestamp, TokenId, Wallet, encode_hex};

/// The `typ` of a strict access token: no token of another kind is one (`security.md` B2).
const TYPE: &str = "session-access+jwt";

/// How far in the future a strict token may seem to have been issued: servers' clocks differ
/// (`security.md` B3).
pub const ACCESS_TOKEN_LEEWAY: Seconds = Seconds::new(30);

/// The answer to a sign-in: what the token says that is made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "these make a token")]
pub struct SignedIn {
    /// Who, and for how long.
    pub claims: AccessClaims,
    /// The token's own name, in the strict form.
    pub token: TokenId,
}

impl SignedIn {
    /// Of a wallet that signed in now.
    #[must_use]
    pub fn now(wallet: Wallet, cx: &Context<'_>) -> Self {
        Self {
            claims: AccessClaims::issued_to(wallet, cx.now),
            token: TokenId::from_random(cx.fresh.id),
        }
    }
}

/// Who issues strict tokens, and for whom. Servers that share their keys must agree on both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience {
    issuer: String,
    audience: String,
}

impl Audience {
    /// The issuer `iss` of tokens for `aud`.
    #[must_use]
    pub fn new(issuer: &str, audience: &str) -> Self {
        Self {
            issuer: issuer.to_string(),
            audience: audience.to_string(),
        }
    }
}

/// How a token is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "there are two forms")]
pub enum TokenForm {
    /// As recorded.
    Recorded,
    /// As RFC 8725 asks.
    Strict,
}

/// A token that is good, unless it was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// What it says.
    pub claims: AccessClaims,
    /// Its name among those that were revoked.
    pub id: RevocationId,
}

/// Makes access tokens, and tells which are good.
#[derive(Debug, Clone)]
pub struct AccessTokens {
    keys: JwtKeys,
    audience: Audience,
    only_strict: bool,
}

impl AccessTokens {
    /// Tokens of these keys. Both forms are taken.
    #[must_use]
    pub const fn new(keys: JwtKeys, audience: Audience) -> Self {
        Self {
            keys,
            audience,
            only_strict: false,
        }
    }

    /// The same, taking and making the strict form alone.
    #[must_use]
    pub fn only_strict(self) -> Self {
        Self {
            only_strict: true,
            ..self
        }
    }

    /// The keys.
    #[must_use]
    pub const fn keys(&self) -> &JwtKeys {
        &self.keys
    }

    /// The token of a sign-in, in this form or in a stricter one.
    #[must_use]
    pub fn sign(&self, signed_in: &SignedIn, form: TokenForm) -> String {
        match form {
            TokenForm::Recorded if !self.only_strict => self.keys.sign(&signed_in.claims),
            TokenForm::Recorded | TokenForm::Strict => self.sign_strict(signed_in),
        }
    }

    fn sign_strict(&self, signed_in: &SignedIn) -> String {
        let key = self.keys.signing();
        let header = format!(
            r#"{{"alg":"HS256","typ":"{TYPE}","kid":"{}"}}"#,
            name_of(key)
        );
        let claims = StrictClaims {
            iss: self.audience.issuer.clone(),
            aud: self.audience.audience.clone(),
            sub: signed_in.claims.sub,
            iat: signed_in.claims.iat.unix(),
            exp: signed_in.claims.exp.unix(),
            jti: signed_in.token,
        };
        // Members of known types under names that are texts: nothing that JSON cannot say.
        let payload = serde_json::to_string(&claims).unwrap_or_default();
        jws::sign(&header, &payload, key.expose())
    }

    /// What a token says, if a key of ours signed it, in a form that is taken, and it has not
    /// expired. Whether it was revoked is for the caller to ask.
    ///
    /// # Errors
    /// [`InvalidToken`].
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, InvalidToken> {
        let recorded = if self.only_strict {
            Err(InvalidToken::Header)
        } else {
            self.keys.verify(token, now)
        };
        let claims = match recorded {
            // It was signed by us with another type in its header.
            Err(InvalidToken::Header) => self.verify_strict(token, now)?,
            recorded => recorded?,
        };
        let id = Revoked::Token.id(token);
        Ok(Verified { claims, id })
    }

    fn verify_strict(&self, token: &str, now: Timestamp) -> Result<AccessClaims, InvalidToken> {
        if token.len() > ACCESS_TOKEN_MAX_BYTES {
            return Err(InvalidToken::Form);
        }
        let token = Compact::split(token).ok_or(InvalidToken::Form)?;
        // The header only chooses among our own keys; what it says is believed once one of them has
        // signed it.
        let header: StrictHeader = parse(token.header())?.ok_or(InvalidToken::Header)?;
        let mut named = self.keys.all().filter(|key| name_of(key) == header.kid);
        let key = named.next().ok_or(InvalidToken::Signature)?;
        if !token.is_signed(key.expose()) {
            return Err(InvalidToken::Signature);
        }
        if header.alg != "HS256" || header.typ != TYPE {
            return Err(InvalidToken::Header);
        }
        let claims: StrictClaims = parse(token.payload())?.ok_or(InvalidToken::Claims)?;
        let is_ours = claims.iss == self.audience.issuer && claims.aud == self.audience.audience;
        let lasts = claims.exp.checked_sub(claims.iat);
        let is_short = lasts.is_some_and(|lasts| (1..=ACCESS_TOKEN_SECONDS).contains(&lasts));
        let (iat, exp) = (
            Timestamp::from_unix(claims.iat),
            Timestamp::from_unix(claims.exp),
        );
        if !is_ours || !is_short || iat > now.after(ACCESS_TOKEN_LEEWAY) {
            return Err(InvalidToken::Claims);
        }
        if exp < now {
            return Err(InvalidToken::Expired);
        }
        Ok(AccessClaims {
            sub: claims.sub,
            iat,
            exp,
        })
    }
}

/// The members of a part; `None` where it has others than it should.
fn parse<T: DeserializeOwned>(part: Option<Vec<u8>>) -> Result<Option<T>, InvalidToken> {
    Ok(jws::parse_object(&part.ok_or(InvalidToken::Form)?))
}

/// The name of a key: tells which one, and nothing of it.
fn name_of(key: &Secret) -> String {
    let tag = hmac_sha256(key.expose(), b"session key id 1");
    encode_hex(&tag[..8])
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictHeader {
    alg: String,
    typ: String,
    kid: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictClaims {
    iss: String,
    aud: String,
    sub: Wallet,
    iat: u64,
    exp: u64,
    jti: TokenId,
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix(NOW + seconds)
    }

    fn tokens(keys: &[&str]) -> AccessTokens {
        let (first, older) = keys.split_first().unwrap();
        let older: Vec<Secret> = older.iter().map(|key| Secret::new(*key)).collect();
        let keys = JwtKeys::new(Secret::new(*first), older).unwrap();
        AccessTokens::new(keys, Audience::new("us", "clients"))
    }

    fn signed_in() -> SignedIn {
        SignedIn {
            claims: AccessClaims::issued_to(Wallet::from_bytes([1; 20]), at(0)),
            token: TokenId::from_random([2; 16]),
        }
    }

    /// A token of these texts, signed with a key.
    fn made(header: &str, payload: &str, key: &str) -> String {
        jws::sign(header, payload, key.as_bytes())
    }

    fn header() -> String {
        let kid = name_of(&Secret::new("one"));
        format!(r#"{{"alg":"HS256","typ":"{TYPE}","kid":"{kid}"}}"#)
    }

    fn payload(iat: u64, exp: u64) -> String {
        let wallet = Wallet::from_bytes([1; 20]);
        let token = TokenId::from_random([2; 16]);
        format!(
            r#"{{"iss":"us","aud":"clients","sub":"{wallet}","iat":{iat},"exp":{exp},"jti":"{token}"}}"#
        )
    }

    #[test]
    fn both_forms_are_taken_until_only_the_strict_one_is() {
        let both = tokens(&["one"]);
        let strict = tokens(&["one"]).only_strict();
        let recorded = both.sign(&signed_in(), TokenForm::Recorded);
        let new = both.sign(&signed_in(), TokenForm::Strict);
        for token in [&recorded, &new] {
            let verified = both.verify(token, at(0)).unwrap();
            assert_eq!(verified.claims, signed_in().claims);
            assert_eq!(verified.id, Revoked::Token.id(token));
        }
        assert_eq!(strict.verify(&recorded, at(0)), Err(InvalidToken::Header));
        assert!(strict.verify(&new, at(0)).is_ok());
        assert_eq!(strict.sign(&signed_in(), TokenForm::Recorded), new);
    }

    #[test]
    fn a_key_that_was_replaced_still_verifies_and_one_that_is_gone_does_not() {
        let token = tokens(&["one"]).sign(&signed_in(), TokenForm::Strict);
        assert!(tokens(&["two", "one"]).verify(&token, at(0)).is_ok());
        assert!(tokens(&["two"]).verify(&token, at(0)).is_err());
    }

    #[test]
    fn a_token_is_good_for_its_hour_and_not_before_it() {
        let token = tokens(&["one"]).sign(&signed_in(), TokenForm::Strict);
        let verify = |now| tokens(&["one"]).verify(&token, now).map(|_| ());
        assert_eq!(verify(at(3600)), Ok(()));
        assert_eq!(verify(at(3601)), Err(InvalidToken::Expired));
        assert_eq!(verify(Timestamp::from_unix(NOW - 30)), Ok(()));
        assert_eq!(
            verify(Timestamp::from_unix(NOW - 31)),
            Err(InvalidToken::Claims)
        );
    }

    #[test]
    fn what_our_own_code_makes_is_what_is_taken_by_hand() {
        let token = made(&header(), &payload(NOW, NOW + 3600), "one");
        assert_eq!(
            tokens(&["one"]).sign(&signed_in(), TokenForm::Strict),
            token
        );
    }

    #[test]
    fn altered_headers_and_claims_are_refused_however_they_are_signed() {
        let good = payload(NOW, NOW + 3600);
        let mut others = vec![
            made(&header(), &payload(NOW, NOW + 3601), "one"),
            made(&header(), &payload(NOW, NOW), "one"),
            made(&header(), &payload(NOW + 9, NOW), "one"),
            made(&header(), &good, "other"),
        ];
        for (from, to) in [
            (r#""us""#, r#""them""#),
            (r#""clients""#, r#"["clients"]"#),
            (r#""clients""#, r#""others""#),
            ("\"jti\"", "\"jtj\""),
            ("{", r#"{"nbf":1,"#),
            ("{", r#"{"iss":"us","#),
        ] {
            others.push(made(&header(), &good.replacen(from, to, 1), "one"));
        }
        for (from, to) in [
            ("HS256", "none"),
            ("HS256", "hs256"),
            ("HS256", "RS256"),
            ("session-access", "session-replay"),
            ("{", r#"{"crit":["x"],"#),
            ("{", r#"{"jku":"https://x","#),
            ("\"kid\":\"", "\"kid\":\"0"),
        ] {
            others.push(made(&header().replacen(from, to, 1), &good, "one"));
        }
        others.push(format!("{}=", made(&header(), &good, "one")));
        for other in others {
            assert!(tokens(&["one"]).verify(&other, at(0)).is_err(), "{other}");
        }
    }
}
