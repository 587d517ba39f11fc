//! HTTP routes and background workers for `session-core`, on axum.
//!
//! [`router`] is nestable: mount it at the root or below any path of a host application. It holds
//! no state but limits and counters; everything else is behind the ports. [`Workers`] run beside
//! it, in the same process or in another.
//!
//! | module | holds |
//! | --- | --- |
//! | [`problem`] | every refusal and error as HTTP, in one table |
//! | [`workers`] | the loops that meter, evict, close, expire and deliver |
//!
//! | feature | adds |
//! | --- | --- |
//! | `pages` | `App::with_pages`: pages for people, with an API reference |
//!
//! ```
//! use std::sync::Arc;
//!
//! use session_axum::{App, router};
//! use session_core::auth::JwtKeys;
//! use session_core::crypto::Secret;
//! use session_core::media::agora::{AgoraIssuer, AppCertificate, AppId};
//! use session_testkit::bench::Bench;
//!
//! let (bench, _store) = Bench::in_memory(1);
//! let keys = JwtKeys::new(Secret::new(*b"sixteen bytes or more"), Vec::new())?;
//! let media = AgoraIssuer::new(
//!     AppId::parse("970ca35de60c44645bbae8a215061b33")?,
//!     AppCertificate::parse("5cfd2fd1755d40ecb72977518be15d3b")?,
//! );
//! let app = App::new(bench.ports, Arc::new(media), Arc::new(keys));
//! let host: axum::Router = axum::Router::new().nest("/voice", router(app));
//! # drop(host);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bookings;
mod clock;
mod cors;
#[cfg(test)]
mod defaults;
mod extract;
mod guard;
mod json;
mod limits;
mod measure;
mod metric;
mod observe;
mod openapi;
mod page;
pub mod problem;
mod revoked;
mod routes;
mod shown;
#[cfg(feature = "pages")]
mod site;
mod store;
pub mod workers;

pub use bookings::{Bookings, Escrow};
pub use clock::ProcessClock;
pub use cors::CorsOrigins;
pub use guard::AuthenticatedWallet;
pub use limits::{Limits, Rate};
pub use openapi::openapi_json;
pub use routes::{layered, router};
pub use store::ObservedStore;
pub use workers::{Dispatch, Waker, Workers};

use std::sync::Arc;

use session_core::auth::siwe::RelyingParty;
use session_core::auth::{AccessTokens, Audience, JwtKeys};
use session_core::crypto::LocalSigner;
use session_core::media::MediaTokenIssuer;
use session_core::receipt::StayReceipt;
use session_core::service::Ports;
use session_core::types::Wallet;

use limits::Limiter;
use revoked::Revoked;
use routes::Streams;
use workers::Pulse;

/// Issuer and audience of tokens where nobody says otherwise.
const ISSUER: &str = "session";

/// Everything the routes need. Cheap to clone: clones share it.
#[derive(Debug, Clone)]
pub struct App {
    shared: Arc<Shared>,
}

#[derive(Debug, Clone)]
struct Shared {
    ports: Ports,
    media: Arc<dyn MediaTokenIssuer>,
    tokens: Arc<AccessTokens>,
    party: Option<RelyingParty>,
    takes_timestamps: bool,
    is_strict: bool,
    revoked: Revoked,
    streams: Streams,
    limits: Limits,
    limiter: Arc<Limiter>,
    cors_origins: CorsOrigins,
    pulse: Option<Pulse>,
    metrics: Option<MetricsText>,
    receipt_key: Option<Arc<LocalSigner>>,
    bookings: Option<Arc<Bookings>>,
    #[cfg(feature = "pages")]
    has_pages: bool,
}

/// Renders the metrics of the process.
#[derive(Clone)]
struct MetricsText(Arc<dyn Fn() -> String + Send + Sync>);

impl std::fmt::Debug for MetricsText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MetricsText(..)")
    }
}

impl App {
    /// The routes' needs, with the default limits and the recorded cross-origin answers.
    #[must_use]
    pub fn new(ports: Ports, media: Arc<dyn MediaTokenIssuer>, keys: Arc<JwtKeys>) -> Self {
        if ports.policy.rooms.lease_ejects != media.vendor().expiry_ejects() {
            tracing::error!(
                vendor = media.vendor().name(),
                "the policy of rooms is not that of the media vendor: see RoomPolicy::at"
            );
        }
        let limits = Limits::default();
        let limiter = Arc::new(Limiter::new(&limits));
        let cors_origins = CorsOrigins::Any;
        let tokens = AccessTokens::new(Arc::unwrap_or_clone(keys), Audience::new(ISSUER, ISSUER));
        let shared = Shared {
            ports,
            media,
            tokens: Arc::new(tokens),
            party: None,
            takes_timestamps: false,
            is_strict: false,
            revoked: Revoked::default(),
            streams: Streams::new(&limits),
            limits,
            limiter,
            cors_origins,
            pulse: None,
            metrics: None,
            receipt_key: None,
            bookings: None,
            #[cfg(feature = "pages")]
            has_pages: false,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        let limiter = Arc::new(Limiter::new(&limits));
        let streams = Streams::new(&limits);
        self.change(|shared| Shared {
            limits,
            limiter,
            streams,
            ..shared
        })
    }

    /// The same, taking the sign-in of EIP-4361 for this party. Without it `/auth/siwe/*` answers
    /// 503 `not_configured`.
    #[must_use]
    pub fn with_siwe(self, party: RelyingParty) -> Self {
        let party = Some(party);
        self.change(|shared| Shared { party, ..shared })
    }

    /// The same, taking the oldest sign-in too, `POST /auth` with a signed time: whoever sees such a
    /// message can use it for five minutes.
    #[must_use]
    pub fn with_timestamp_sign_in(self) -> Self {
        self.change(|shared| Shared {
            takes_timestamps: true,
            ..shared
        })
    }

    /// The same with other names in the tokens of EIP-4361 sign-in. Servers that share keys must
    /// agree on them.
    #[must_use]
    pub fn with_audience(self, audience: Audience) -> Self {
        self.change(|shared| {
            let tokens = AccessTokens::new(shared.tokens.keys().clone(), audience);
            let tokens = if shared.is_strict {
                tokens.only_strict()
            } else {
                tokens
            };
            Shared {
                tokens: Arc::new(tokens),
                ..shared
            }
        })
    }

    /// The same with the stricter rules on the recorded routes too, for deployments without clients
    /// of the original: a wrong signature uses up its nonce and one of the upper half is wrong,
    /// wallets need a right checksum where they claim one, tokens are of the strict form alone,
    /// bodies are `application/json` without unknown or doubled members, an `Idempotency-Key` is
    /// demanded wherever credit may move, somebody else's stay is 404, an unknown method 405, and
    /// no page of another origin reads anything unless origins are listed.
    #[must_use]
    pub fn strict(self) -> Self {
        self.change(|mut shared| {
            shared.ports.policy.auth.strict = true;
            Shared {
                tokens: Arc::new(AccessTokens::clone(&shared.tokens).only_strict()),
                is_strict: true,
                ..shared
            }
        })
    }

    /// The same with other cross-origin answers.
    #[must_use]
    pub fn with_cors(self, cors_origins: CorsOrigins) -> Self {
        self.change(|shared| Shared {
            cors_origins,
            ..shared
        })
    }

    /// The same, ready only while these workers beat.
    #[must_use]
    pub fn with_workers(self, workers: &Workers) -> Self {
        let (pulse, revoked) = (Some(workers.pulse()), workers.revoked());
        self.change(|shared| Shared {
            pulse,
            revoked,
            ..shared
        })
    }

    /// The same, serving `/metrics`.
    #[must_use]
    pub fn with_metrics(self, render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        let metrics = Some(MetricsText(Arc::new(render)));
        self.change(|shared| Shared { metrics, ..shared })
    }

    /// The same, handing a receipt signed with this key to everybody whose stay ended.
    #[must_use]
    pub fn with_receipts(self, key: Arc<LocalSigner>) -> Self {
        let receipt_key = Some(key);
        self.change(|shared| Shared {
            receipt_key,
            ..shared
        })
    }

    /// The same with booked sessions. Without it their routes answer 503 `not_configured`.
    #[must_use]
    pub fn with_bookings(self, bookings: Bookings) -> Self {
        let bookings = Some(Arc::new(bookings));
        self.change(|shared| Shared { bookings, ..shared })
    }

    /// The same with pages for people: `/`, which links the rest, and `/docs`, an API reference
    /// that loads nothing from elsewhere.
    #[cfg(feature = "pages")]
    #[must_use]
    pub fn with_pages(self) -> Self {
        self.change(|shared| Shared {
            has_pages: true,
            ..shared
        })
    }

    fn change(self, change: impl FnOnce(Shared) -> Shared) -> Self {
        let shared = Arc::unwrap_or_clone(self.shared);
        Self {
            shared: Arc::new(change(shared)),
        }
    }

    fn ports(&self) -> &Ports {
        &self.shared.ports
    }

    fn media(&self) -> &dyn MediaTokenIssuer {
        &*self.shared.media
    }

    fn tokens(&self) -> &AccessTokens {
        &self.shared.tokens
    }

    fn party(&self) -> Option<&RelyingParty> {
        self.shared.party.as_ref()
    }

    fn takes_timestamps(&self) -> bool {
        self.shared.takes_timestamps
    }

    fn is_strict(&self) -> bool {
        self.shared.is_strict
    }

    fn revoked(&self) -> &Revoked {
        &self.shared.revoked
    }

    fn streams(&self) -> &Streams {
        &self.shared.streams
    }

    /// The wallet that a text names; where it is strict, only with a right checksum or none.
    fn wallet(&self, text: &str) -> Option<Wallet> {
        if self.is_strict() {
            Wallet::parse_checked(text).ok()
        } else {
            text.parse().ok()
        }
    }

    /// Ends the streams of events, which would otherwise go on for as long as their clients listen:
    /// for a server that is about to stop.
    pub fn end_streams(&self) {
        self.shared.streams.end();
    }

    fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    fn limiter(&self) -> &Limiter {
        &self.shared.limiter
    }

    fn cors_origins(&self) -> &CorsOrigins {
        &self.shared.cors_origins
    }

    /// What documents of this server are signed with.
    fn signing_key(&self) -> Option<&LocalSigner> {
        self.shared.receipt_key.as_deref()
    }

    /// The receipt, where this server gives any.
    fn receipt(&self, receipt: &StayReceipt) -> Option<String> {
        let key = self.shared.receipt_key.as_ref()?;
        Some(receipt.sign(key))
    }

    #[cfg(feature = "pages")]
    fn has_pages(&self) -> bool {
        self.shared.has_pages
    }

    fn pulse(&self) -> Option<&Pulse> {
        self.shared.pulse.as_ref()
    }

    fn metrics(&self) -> Option<String> {
        self.shared
            .metrics
            .as_ref()
            .map(|MetricsText(render)| render())
    }
}

/// The README's code compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
