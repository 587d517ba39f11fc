//! Sign-in of today, sign-in of long ago, and signing out.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use session_core::auth::siwe::{Message, SignInWithMessage, SiweNonce};
use session_core::auth::{AuthRefusal, LogOut, SignInByTimestamp, TokenForm};
use session_core::crypto::Signature;
use session_core::ports::Fresh;
use session_core::service::execute;
use utoipa::ToSchema;

use super::auth::TokenAnswer;
use crate::extract::{Presented, RawBody};
use crate::openapi::refusals::refusals;
use crate::openapi::schema;
use crate::problem::{Code, Problem};
use crate::{App, metric, observe};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// What a message to be signed has to say.
#[derive(Serialize, ToSchema)]
pub(crate) struct SiweNonceAnswer {
    /// Good once.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    nonce: String,
    /// Unix seconds.
    expires_at: u64,
    /// What the message has to name as its domain.
    #[schema(example = "voice.example")]
    domain: String,
    /// What it has to name as its chain.
    chain_id: u64,
}

refusals!(SiweNonceRefusals: [], Internal, NotConfigured);

/// Ask for a nonce of an EIP-4361 message
///
/// The first step of signing in with a message that names this server ("Sign-In with Ethereum").
#[utoipa::path(
    post, path = "/auth/siwe/nonce", tag = "sign-in", operation_id = "issue_siwe_nonce",
    request_body(content = Option<Nothing>, description = "An empty object, or nothing."),
    responses(
        (status = 200, description = "A nonce.", body = SiweNonceAnswer), SiweNonceRefusals
    )
)]
pub(crate) async fn siwe_nonce(
    State(app): State<App>,
    body: RawBody,
) -> Result<Json<SiweNonceAnswer>, Problem> {
    let party = app.party().ok_or(Problem::new(Code::NotConfigured))?;
    if !body.is_nothing() {
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

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read member by member")]
pub(crate) struct SiweRequest {
    /// The text of EIP-4361 that was signed, to the letter.
    #[schema(max_length = 4096)]
    message: String,
    /// The wallet's EIP-191 signature of the message: `0x` and 65 bytes in hex.
    #[schema(pattern = "^0x[0-9a-fA-F]{130}$")]
    signature: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct SiweTokenAnswer {
    /// An access token: a JWT of the type `session-access+jwt`.
    token: String,
    /// Unix seconds.
    expires_at: u64,
}

refusals!(
    SiweRefusals: [COMMAND], InvalidMessage, InvalidNonce, InvalidSignature,
    MissingMessageParts, NotConfigured, OtherParty, Untimely
);

/// Trade a signed message for an access token
///
/// The second step. Whatever comes of it, the nonce is used up; of several calls with one nonce
/// exactly one succeeds. The address has to carry its checksum, and the signature to be of the lower
/// half.
#[utoipa::path(
    post, path = "/auth/siwe/verify", tag = "sign-in", operation_id = "sign_in_with_message",
    request_body = SiweRequest,
    responses((status = 200, description = "Signed in.", body = SiweTokenAnswer), SiweRefusals)
)]
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

#[derive(ToSchema)]
#[allow(dead_code, reason = "read leniently, member by member")]
pub(crate) struct TimestampRequest {
    wallet: schema::Wallet,
    /// `heaven-session:` and unix seconds, at most 300 s off.
    #[schema(example = "heaven-session:1800000000")]
    message: String,
    /// The wallet's EIP-191 signature of the message: `0x` and 65 bytes in hex.
    #[schema(pattern = "^0x[0-9a-fA-F]{130}$")]
    signature: String,
}

refusals!(
    TimestampRefusals: [COMMAND], InvalidBody, InvalidSignature, MissingTimestampSignInParts
);

/// Trade a signed time for an access token
///
/// For clients of long ago, and only where the server is told to take it
/// (`SESSION_LEGACY_AUTH`); elsewhere 404. Whoever sees such a message can use it for five minutes.
#[utoipa::path(
    post, path = "/auth", tag = "sign-in", operation_id = "sign_in_by_time",
    request_body = TimestampRequest,
    responses(
        (status = 200, description = "Signed in.", body = TokenAnswer),
        (status = 404, description = "Not taken here.", body = String, content_type = "text/plain"),
        TimestampRefusals
    )
)]
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

refusals!(LogoutRefusals: [COMMAND]);

/// Sign out
///
/// The token of this call is good no more: here at once, at other servers within a minute. Other
/// tokens of the wallet stay.
#[utoipa::path(
    post, path = "/auth/logout", tag = "sign-in", operation_id = "log_out",
    security(("access_token" = [])),
    responses((status = 204, description = "Signed out."), LogoutRefusals)
)]
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
