//! Sign-in.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use session_core::auth::{AuthRefusal, IssueNonce, SignIn};
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
    let fields = body.fields()?;
    let wallet = fields
        .text("wallet")?
        .ok_or(Problem::new(Code::MissingWallet))?;
    let wallet = wallet
        .parse()
        .map_err(|_| Problem::new(Code::InvalidWallet))?;
    match execute(app.ports(), &IssueNonce { wallet }).await? {
        Ok(issued) => Ok(Json(NonceAnswer {
            nonce: issued.nonce,
        })),
        Err(never) => match never {},
    }
}

#[derive(Serialize)]
pub(crate) struct TokenAnswer {
    token: String,
}

/// `POST /auth/verify`
pub(crate) async fn verify(
    State(app): State<App>,
    body: RawBody,
) -> Result<Json<TokenAnswer>, Problem> {
    let fields = body.fields()?;
    let parts = fields
        .text("wallet")?
        .zip(fields.text("signature")?)
        .zip(fields.text("nonce")?);
    let ((wallet, signature), nonce) = parts.ok_or(Problem::new(Code::MissingSignInParts))?;
    // What is no address or no signature cannot be this wallet's signature: the recorded answer.
    let refused = || Problem::from(AuthRefusal::InvalidSignature);
    let wallet = wallet.parse().map_err(|_| refused())?;
    let signature = Signature::parse(signature).map_err(|_| refused())?;
    let command = SignIn {
        wallet,
        nonce: nonce.to_owned(),
        signature,
    };
    let claims = execute(app.ports(), &command).await??;
    observe::know_wallet(claims.sub);
    metrics::counter!(metric::SIGN_INS).increment(1);
    Ok(Json(TokenAnswer {
        token: app.keys().sign(&claims),
    }))
}
