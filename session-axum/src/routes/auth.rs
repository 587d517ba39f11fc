//! Sign-in.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use session_core::auth::{AuthRefusal, IssueNonce, SignIn, TokenForm};
use session_core::crypto::Signature;
use session_core::service::execute;
use utoipa::ToSchema;

use crate::extract::RawBody;
use crate::openapi::refusals::refusals;
use crate::openapi::schema;
use crate::problem::{Code, Problem};
use crate::{App, metric, observe};

#[derive(ToSchema)]
#[allow(dead_code, reason = "read leniently, member by member")]
pub(crate) struct NonceRequest {
    wallet: schema::Wallet,
}

/// Good once, and for 300 seconds.
#[derive(Serialize, ToSchema)]
pub(crate) struct NonceAnswer {
    /// 32 random bytes as 64 hex digits.
    #[schema(
        pattern = "^[0-9a-f]{64}$",
        example = "4f9c0f2a3b5d6e7f8091a2b3c4d5e6f70819293a4b5c6d7e8f90a1b2c3d4e5f6"
    )]
    nonce: String,
}

refusals!(NonceRefusals: [COMMAND], InvalidBody, InvalidWallet, MissingWallet);

/// Ask for a nonce to sign
///
/// The first step of signing in. Several nonces of a wallet may be outstanding, and be used in any
/// order.
#[utoipa::path(
    post, path = "/auth/nonce", tag = "sign-in", operation_id = "issue_nonce",
    request_body = NonceRequest,
    responses((status = 200, description = "A nonce of this wallet.", body = NonceAnswer), NonceRefusals)
)]
pub(crate) async fn nonce(
    State(app): State<App>,
    body: RawBody,
) -> Result<Json<NonceAnswer>, Problem> {
    let members = body.members(&["wallet"])?;
    let wallet = members
        .text("wallet")?
        .ok_or(Problem::new(Code::MissingWallet))?;
    let wallet = app
        .wallet(wallet)
        .ok_or(Problem::new(Code::InvalidWallet))?;
    match execute(app.ports(), &IssueNonce { wallet }).await? {
        Ok(issued) => Ok(Json(NonceAnswer {
            nonce: issued.nonce,
        })),
        Err(never) => match never {},
    }
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "read leniently, member by member")]
pub(crate) struct SignInRequest {
    wallet: schema::Wallet,
    /// Exactly as it was issued.
    #[schema(
        min_length = 1,
        example = "4f9c0f2a3b5d6e7f8091a2b3c4d5e6f70819293a4b5c6d7e8f90a1b2c3d4e5f6"
    )]
    nonce: String,
    /// The wallet's EIP-191 signature of the nonce: `0x` and 65 bytes in hex.
    #[schema(pattern = "^0x[0-9a-fA-F]{130}$")]
    signature: String,
}

/// Good for an hour.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenAnswer {
    /// An access token: a JWT with `sub` (the wallet), `iat` and `exp`.
    pub(super) token: String,
}

refusals!(SignInRefusals: [COMMAND], InvalidBody, InvalidNonce, InvalidSignature, MissingSignInParts);

/// Trade a signed nonce for an access token
///
/// The second step of signing in. The signature is looked at first, and a wrong one does not use
/// up the nonce; of several calls with one nonce exactly one succeeds.
#[utoipa::path(
    post, path = "/auth/verify", tag = "sign-in", operation_id = "sign_in",
    request_body = SignInRequest,
    responses((status = 200, description = "Signed in.", body = TokenAnswer), SignInRefusals)
)]
pub(crate) async fn verify(
    State(app): State<App>,
    body: RawBody,
) -> Result<Json<TokenAnswer>, Problem> {
    let members = body.members(&["wallet", "signature", "nonce"])?;
    let parts = members
        .text("wallet")?
        .zip(members.text("signature")?)
        .zip(members.text("nonce")?);
    let ((wallet, signature), nonce) = parts.ok_or(Problem::new(Code::MissingSignInParts))?;
    // What is no address or no signature cannot be this wallet's signature: the recorded answer.
    let refused = || Problem::from(AuthRefusal::InvalidSignature);
    let command = SignIn {
        wallet: app.wallet(wallet).ok_or_else(refused)?,
        nonce: nonce.to_owned(),
        signature: Signature::parse(signature).ok(),
    };
    let signed_in = execute(app.ports(), &command).await??;
    observe::know_wallet(signed_in.claims.sub);
    metrics::counter!(metric::SIGN_INS).increment(1);
    Ok(Json(TokenAnswer {
        token: app.tokens().sign(&signed_in, TokenForm::Recorded),
    }))
}
