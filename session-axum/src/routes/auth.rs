//! Sign-in.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use session_core::auth::{AuthRefusal, IssueNonce, SignIn, TokenForm};
use session_core::crypto::Signature;
use session_core::service::execute;

use crate::extract::RawBody;
use crate::problem::{Code, Problem};
use crate::{App, metric, observe};

#[derive(Serialize)]
pub(crate) struct NonceAnswer {
    nonce: String,
}

/// `POST /auth/nonce`
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

#[derive(Serialize)]
pub(crate) struct TokenAnswer {
    pub(super) token: String,
}

/// `POST /auth/verify`
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
