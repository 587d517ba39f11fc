//! Which paths need an access token.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use session_core::types::Wallet;

use crate::App;
use crate::extract::{Caller, Presented};
use crate::limits::Group;
use crate::observe;
use crate::problem::{Code, Problem};

/// The wallet of a request whose caller the host knows by means of its own. A host that nests the
/// routes puts it into the extensions of a request, in a layer around them; the request then needs
/// no access token.
///
/// Nothing that a client sends can become one: only code of the host can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is a wallet")]
pub struct AuthenticatedWallet(pub Wallet);

/// What a path needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    WalletToken,
    /// A wallet's token, or the token of another service, which the route looks at.
    WalletOrService,
}

/// The header of another service of the operator's.
pub(crate) const SERVICE_TOKEN: &str = "x-service-token";

/// The table of principals. It goes by prefix, so that an unknown path below one is 401 without a
/// token, as recorded, and a route added there is guarded before it exists.
fn needs(method: &Method, path: &str) -> Needs {
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    if path == "/rooms/active" && is_read {
        return Needs::Nothing;
    }
    let below = |prefix: &str| {
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if below("/session") {
        return match path.rsplit('/').next() {
            Some("attest") => Needs::Nothing,
            Some("evidence") => Needs::WalletOrService,
            _ => Needs::WalletToken,
        };
    }
    let is_own = matches!(path, "/auth/logout" | "/hosts/me");
    if below("/rooms") || below("/credits") || is_own {
        Needs::WalletToken
    } else {
        Needs::Nothing
    }
}

/// Lets a request pass whose path needs no token, or that carries a valid one.
pub(crate) async fn layer(State(app): State<App>, mut request: Request, next: Next) -> Response {
    match needs(request.method(), request.uri().path()) {
        Needs::Nothing => next.run(request).await,
        Needs::WalletOrService if request.headers().contains_key(SERVICE_TOKEN) => {
            next.run(request).await
        }
        Needs::WalletToken | Needs::WalletOrService => {
            let wallet = match wallet_of(&app, &mut request).await {
                Ok(wallet) => wallet,
                Err(problem) => return problem.into_response(),
            };
            observe::know_wallet(wallet);
            let group = Group::of(request.uri().path());
            if let Err(problem) = app.limiter().check_wallet(group, wallet) {
                return problem.into_response();
            }
            request.extensions_mut().insert(Caller(wallet));
            next.run(request).await
        }
    }
}

/// Whose request it is: of whom the host knows it to be, else of whom its token says, which is left
/// with the request.
async fn wallet_of(app: &App, request: &mut Request) -> Result<Wallet, Problem> {
    if let Some(AuthenticatedWallet(wallet)) = request.extensions().get() {
        return Ok(*wallet);
    }
    let now = app.ports().clock.now();
    let verified = bearer(request.headers()).and_then(|token| app.tokens().verify(token, now).ok());
    let verified = verified.ok_or(Problem::new(Code::Unauthorized))?;
    if app.revoked().holds(verified.id, app.ports()).await? {
        return Err(Problem::new(Code::Unauthorized));
    }
    request.extensions_mut().insert(Presented(verified));
    Ok(verified.claims.sub)
}

/// `Bearer`, exactly one blank, the token: case-sensitive, as recorded.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let token = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")?;
    (!token.starts_with(' ')).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_below_rooms_and_credits_is_guarded_but_the_public_list() {
        for path in [
            "/rooms",
            "/rooms/create",
            "/rooms/nope",
            "/credits",
            "/credits/x/y",
            "/auth/logout",
        ] {
            assert_eq!(needs(&Method::GET, path), Needs::WalletToken, "{path}");
        }
        assert_eq!(needs(&Method::GET, "/rooms/active"), Needs::Nothing);
        assert_eq!(needs(&Method::HEAD, "/rooms/active"), Needs::Nothing);
        assert_eq!(needs(&Method::POST, "/rooms/active"), Needs::WalletToken);
        assert_eq!(needs(&Method::GET, "/rooms/active/"), Needs::WalletToken);
        for path in ["/session", "/session/join", "/session/7", "/hosts/me"] {
            assert_eq!(needs(&Method::POST, path), Needs::WalletToken, "{path}");
        }
        let evidence = needs(&Method::POST, "/session/7/evidence");
        assert_eq!(evidence, Needs::WalletOrService);
        for path in [
            "/",
            "/health",
            "/auth/nonce",
            "/roomsy",
            "/creditsx",
            "/session/7/attest",
            "/hosts/0x1",
        ] {
            assert_eq!(needs(&Method::GET, path), Needs::Nothing, "{path}");
        }
    }

    #[test]
    fn the_scheme_is_case_sensitive_and_one_blank_wide() {
        let bearer_of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(bearer_of("Bearer abc").as_deref(), Some("abc"));
        for wrong in [
            "bearer abc",
            "Bearer  abc",
            "Bearerabc",
            "Basic abc",
            "Bearer\tabc",
        ] {
            assert_eq!(bearer_of(wrong), None, "{wrong:?}");
        }
    }
}
