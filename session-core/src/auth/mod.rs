//! Who is calling: nonces that wallets sign, and the access tokens they get for it.

mod access;
mod challenge;
mod jwt;
mod revocation;
pub mod siwe;
mod timestamp;

pub use access::{ACCESS_TOKEN_LEEWAY, AccessTokens, Audience, SignedIn, TokenForm, Verified};
pub use challenge::{
    AuthPolicy, AuthRefusal, Challenge, ChallengeKey, InvalidChallengeKey, IssueNonce, NonceIssued,
    SignIn,
};
pub use jwt::{
    ACCESS_TOKEN_MAX_BYTES, ACCESS_TOKEN_SECONDS, AccessClaims, InvalidJwtKeys, InvalidToken,
    JWT_KEYS_MAX, JwtKeys,
};
pub use revocation::{LogOut, REVOCATION_KEPT_AFTER_EXPIRY, Revocation, Revoked};
pub use timestamp::{SignInByTimestamp, TIMESTAMP_MESSAGE_PREFIX, TIMESTAMP_OFF_MAX};
