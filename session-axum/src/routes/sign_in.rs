//! Sign-in of today, sign-in of long ago, and signing out.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use session_core::auth::siwe::{Message, SignInWithMessage, SiweNonce};
use session_core::auth::{AuthRefusal, LogOut, SignInByTimestamp, TokenForm};
use session_core::crypto::Signature;
use session_core::ports::Fresh;
use session_core::service::execute;

use super::auth::TokenAnswer;
use crate::extract::{Presented, RawBody};
use crate::problem::{Code, Problem};
use crate::{App, metric, observe};

#[derive(Serialize)]
pub(crate) struct SiweNonceAnswer {
    nonce: String,
    expires_at: u64,
    domain: String,
    chain_id: u64,
}

/// `POST /auth/siwe/nonce`
pub(crate) async fn siwe_nonce(
    State(app): State<App>,
    body: RawBody,
) -> Result<Json<SiweNonceAnswer>, Problem> {
    let party = app.party().ok_or(Problem::new(Code::NotConfigured))?;
    if !body.is_empty() {
        body.strictly().members(&[])?;
    }
    let fresh = Fresh::draw(&*app.ports().entropy)?;
    let now = app.ports().clock.now();
    let nonce = SiweNonce::issue(fresh.id, now, app.tokens().keys());
    Ok(Json(SiweNonceAnswer {
        nonce: nonce.to_text(),
        expires_at: nonce.expires_at(&app.ports().policy.auth).unix(),
        domain: party.domain().to_owned(),
        chain_id: party.chain_id(),
    }))
}

#[derive(Serialize)]
pub(crate) struct SiweTokenAnswer {
    token: String,
    expires_at: u64,
}

/// `POST /auth/siwe/verify`
pub(crate) async fn siwe_verify(
    State(app): State<App>,
    body: RawBody,
) -> Result<Json<SiweTokenAnswer>, Problem> {
    let party = app.party().ok_or(Problem::new(Code::NotConfigured))?;
    let members = body.strictly().members(&["message", "signature"])?;
    let parts = members.text("message")?.zip(members.text("signature")?);
    let (text, signature) = parts.ok_or(Problem::new(Code::MissingMessageParts))?;
    let message = Message::parse(text)
        .map_err(|why| Problem::new(Code::InvalidMessage).with("reason", why.to_string()))?;
    let nonce = SiweNonce::open(&message.nonce, app.tokens().keys())
        .ok_or(Problem::new(Code::InvalidNonce))?;
    let command = SignInWithMessage {
        message,
        nonce,
        // What is no signature is a wrong one, and uses up the nonce as any wrong one.
        signature: Signature::parse(signature).ok(),
        party: party.clone(),
    };
    let signed_in = execute(app.ports(), &command).await??;
    observe::know_wallet(signed_in.claims.sub);
    metrics::counter!(metric::SIGN_INS).increment(1);
    Ok(Json(SiweTokenAnswer {
        token: app.tokens().sign(&signed_in, TokenForm::Strict),
        expires_at: signed_in.claims.exp.unix(),
    }))
}

/// `POST /auth`, where old clients still need it.
pub(crate) async fn by_timestamp(
    State(app): State<App>,
    body: RawBody,
) -> Result<Json<TokenAnswer>, Problem> {
    let members = body.members(&["wallet", "message", "signature"])?;
    let parts = members
        .text("wallet")?
        .zip(members.text("message")?)
        .zip(members.text("signature")?);
    let ((wallet, message), signature) =
        parts.ok_or(Problem::new(Code::MissingTimestampSignInParts))?;
    let command = SignInByTimestamp {
        wallet: app
            .wallet(wallet)
            .ok_or_else(|| Problem::from(AuthRefusal::InvalidSignature))?,
        message: message.to_owned(),
        signature: Signature::parse(signature).ok(),
    };
    let signed_in = execute(app.ports(), &command).await??;
    observe::know_wallet(signed_in.claims.sub);
    metrics::counter!(metric::SIGN_INS).increment(1);
    Ok(Json(TokenAnswer {
        token: app.tokens().sign(&signed_in, TokenForm::Recorded),
    }))
}

/// `POST /auth/logout`
pub(crate) async fn logout(
    State(app): State<App>,
    Presented(token): Presented,
) -> Result<StatusCode, Problem> {
    let command = LogOut {
        token: token.id,
        claims: token.claims,
    };
    match execute(app.ports(), &command).await? {
        Ok(()) => {
            app.revoked().add(token.id, token.claims.exp);
            Ok(StatusCode::NO_CONTENT)
        }
        Err(never) => match never {},
    }
}
