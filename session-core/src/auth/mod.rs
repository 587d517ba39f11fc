//! Who is calling: nonces that wallets sign, and the access tokens they get for it.

mod challenge;
mod jwt;

pub use challenge::{
    AuthPolicy, AuthRefusal, Challenge, ChallengeKey, InvalidChallengeKey, IssueNonce, NonceIssued,
    SignIn,
};
pub use jwt::{
    ACCESS_TOKEN_MAX_BYTES, ACCESS_TOKEN_SECONDS, AccessClaims, InvalidJwtKeys, InvalidToken,
    JWT_KEYS_MAX, JwtKeys,
};
