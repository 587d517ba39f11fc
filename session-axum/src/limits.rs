//! Everything has a limit.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use session_core::types::Wallet;
use tokio::sync::Semaphore;

use crate::problem::{Code, Problem};
use crate::{App, metric};

/// Distinct callers that the rate limiter remembers. Above it, those who have not called lately
/// are forgotten; they have their full allowance again.
pub(crate) const KEYS_MAX: usize = 100_000;

/// How often the limiter looks whether there is somebody to forget.
pub(crate) const CHECKS_BETWEEN_FORGETTING: u64 = 4_096;

/// How often a caller may call: a burst, and how many more each minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "both parts are needed to say a rate"
)]
pub struct Rate {
    /// Calls at once, before anything is refilled.
    pub burst: NonZeroU32,
    /// Calls that are refilled each minute.
    pub per_minute: NonZeroU32,
}

impl Rate {
    /// A rate of these numbers; zero counts as one.
    const fn new(burst: u32, per_minute: u32) -> Self {
        Self {
            burst: positive(burst),
            per_minute: positive(per_minute),
        }
    }

    fn quota(self) -> Quota {
        Quota::per_minute(self.per_minute).allow_burst(self.burst)
    }
}

const fn positive(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

/// Routes that share an allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Group {
    /// Nonces and sign-in.
    Auth,
    /// Creating and joining rooms, joining booked sessions, and asking for grants.
    Enter,
    /// Everything else.
    Other,
}

impl Group {
    const fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Enter => "enter",
            Self::Other => "other",
        }
    }

    pub(crate) fn of(path: &str) -> Self {
        match path {
            "/rooms/create" | "/rooms/join" | "/credits/verify-celo" | "/session/join" => {
                Self::Enter
            }
            auth if auth == "/auth" || auth.starts_with("/auth/") => Self::Auth,
            _ => Self::Other,
        }
    }
}

/// The limits of the HTTP face. Numbers are defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Largest request body that is read (`security.md` G1).
    pub body_bytes_max: usize,
    /// Longest a client may take to send it (G2).
    pub body_seconds: u64,
    /// Longest request target (G1).
    pub uri_bytes_max: usize,
    /// Longest a request may take (G2).
    pub handler_seconds: u64,
    /// Requests at once; more are turned away before they cost memory (G4).
    pub in_flight_max: usize,
    /// Streams of events at once.
    pub streams_max: usize,
    /// Of one wallet.
    pub streams_per_wallet_max: usize,
    /// Sign-in calls of one address prefix. `None`: no limit.
    pub auth_per_address: Option<Rate>,
    /// All other calls of one address prefix.
    pub other_per_address: Option<Rate>,
    /// Creations, joins and grants of one wallet.
    pub enter_per_wallet: Option<Rate>,
    /// All other calls of one wallet.
    pub other_per_wallet: Option<Rate>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 16 * 1024,
            body_seconds: 10,
            uri_bytes_max: 4 * 1024,
            handler_seconds: 15,
            in_flight_max: 1024,
            streams_max: 1024,
            streams_per_wallet_max: 4,
            auth_per_address: Some(Rate::new(60, 120)),
            other_per_address: Some(Rate::new(600, 6_000)),
            // Each join hands out a media token that leaving does not take back.
            enter_per_wallet: Some(Rate::new(60, 4)),
            other_per_wallet: Some(Rate::new(200, 600)),
        }
    }
}

impl Limits {
    /// No limit on how often anybody calls; all other limits as by default.
    #[must_use]
    pub fn without_rates() -> Self {
        Self {
            auth_per_address: None,
            other_per_address: None,
            enter_per_wallet: None,
            other_per_wallet: None,
            ..Self::default()
        }
    }
}

/// Counts the calls of each caller of a kind.
#[derive(Debug)]
struct Keyed<K: Hash + Eq + Clone> {
    limiter: Option<DefaultKeyedRateLimiter<K>>,
    checks: AtomicU64,
}

impl<K: Hash + Eq + Clone> Keyed<K> {
    fn new(rate: Option<Rate>) -> Self {
        Self {
            limiter: rate.map(|rate| RateLimiter::keyed(rate.quota())),
            checks: AtomicU64::new(0),
        }
    }

    fn check(&self, key: &K) -> Result<(), Problem> {
        let Some(limiter) = &self.limiter else {
            return Ok(());
        };
        // Forgetting looks at every caller, so it is not done at every call.
        let checks = self.checks.fetch_add(1, Ordering::Relaxed);
        if checks.is_multiple_of(CHECKS_BETWEEN_FORGETTING) && limiter.len() > KEYS_MAX {
            limiter.retain_recent();
        }
        limiter.check_key(key).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            Problem::new(Code::RateLimited).retry_after(wait.as_secs().saturating_add(1))
        })
    }
}

/// Counts calls. One for all requests of a process: limits are per server.
#[derive(Debug)]
pub(crate) struct Limiter {
    auth_per_address: Keyed<IpAddr>,
    other_per_address: Keyed<IpAddr>,
    enter_per_wallet: Keyed<Wallet>,
    other_per_wallet: Keyed<Wallet>,
    in_flight: Arc<Semaphore>,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            auth_per_address: Keyed::new(limits.auth_per_address),
            other_per_address: Keyed::new(limits.other_per_address),
            enter_per_wallet: Keyed::new(limits.enter_per_wallet),
            other_per_wallet: Keyed::new(limits.other_per_wallet),
            in_flight: Arc::new(Semaphore::new(limits.in_flight_max)),
        }
    }

    pub(crate) fn check_wallet(&self, group: Group, wallet: Wallet) -> Result<(), Problem> {
        let checked = match group {
            Group::Enter => self.enter_per_wallet.check(&wallet),
            Group::Auth | Group::Other => self.other_per_wallet.check(&wallet),
        };
        checked.inspect_err(|_| count_refused(group, "wallet"))
    }

    fn check_address(&self, group: Group, address: IpAddr) -> Result<(), Problem> {
        // Behind a proxy on the same machine everybody has this address, so it tells nothing.
        if address.to_canonical().is_loopback() {
            return Ok(());
        }
        let prefix = prefix(address.to_canonical());
        let checked = match group {
            Group::Auth => self.auth_per_address.check(&prefix),
            Group::Enter | Group::Other => self.other_per_address.check(&prefix),
        };
        checked.inspect_err(|_| count_refused(group, "address"))
    }
}

fn count_refused(group: Group, by: &'static str) {
    metrics::counter!(metric::RATE_LIMITED, "group" => group.name(), "by" => by).increment(1);
}

/// Whoever has an IPv6 address has 2^64 of them.
fn prefix(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            Ipv6Addr::from(network).into()
        }
    }
}

/// Turns away what is too much: too long a target, too many calls, too many requests at once, too
/// slow an answer.
pub(crate) async fn layer(State(app): State<App>, request: Request, next: Next) -> Response {
    let limits = app.limits();
    let target_bytes = request
        .uri()
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if target_bytes > limits.uri_bytes_max {
        return Problem::new(Code::UriTooLong).into_response();
    }
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>();
    if let Some(ConnectInfo(address)) = address {
        let group = Group::of(request.uri().path());
        if let Err(problem) = app.limiter().check_address(group, address.ip()) {
            return problem.into_response();
        }
    }
    // The body comes first: whoever sends slowly holds a connection, but no place among those who
    // are being served.
    let request = match with_whole_body(request, limits).await {
        Ok(request) => request,
        Err(problem) => return problem.into_response(),
    };
    let Ok(_permit) = app.limiter().in_flight.clone().try_acquire_owned() else {
        return Problem::new(Code::Overloaded).into_response();
    };
    let deadline = Duration::from_secs(limits.handler_seconds);
    match tokio::time::timeout(deadline, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(Code::Timeout).into_response(),
    }
}

/// The request with its body read to the end, within the limits of size and time.
async fn with_whole_body(request: Request, limits: &Limits) -> Result<Request, Problem> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, limits.body_bytes_max);
    let read = tokio::time::timeout(Duration::from_secs(limits.body_seconds), body.collect());
    match read.await {
        Ok(Ok(read)) => Ok(Request::from_parts(parts, Body::from(read.to_bytes()))),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::new(Code::BodyTooLarge)),
        Ok(Err(_)) => Err(Problem::new(Code::InvalidBody)),
        Err(_) => Err(Problem::new(Code::Timeout)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(result: Result<(), Problem>) -> Option<Code> {
        result.err().map(|problem| problem.code())
    }

    #[test]
    fn a_burst_is_allowed_and_one_more_is_not() {
        let limits = Limits {
            enter_per_wallet: Some(Rate::new(3, 1)),
            ..Limits::default()
        };
        let limiter = Limiter::new(&limits);
        let wallet = Wallet::from_bytes([1; 20]);
        for _ in 0..3 {
            assert_eq!(status(limiter.check_wallet(Group::Enter, wallet)), None);
        }
        assert_eq!(
            status(limiter.check_wallet(Group::Enter, wallet)),
            Some(Code::RateLimited)
        );
        let other = Wallet::from_bytes([2; 20]);
        assert_eq!(status(limiter.check_wallet(Group::Enter, other)), None);
        assert_eq!(status(limiter.check_wallet(Group::Other, wallet)), None);
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_an_allowance_and_loopback_has_none() {
        let limits = Limits {
            auth_per_address: Some(Rate::new(1, 1)),
            ..Limits::default()
        };
        let limiter = Limiter::new(&limits);
        let check = |text: &str| status(limiter.check_address(Group::Auth, text.parse().unwrap()));
        assert_eq!(check("2001:db8::1"), None);
        assert_eq!(check("2001:db8::ffff:1"), Some(Code::RateLimited));
        assert_eq!(check("2001:db8:0:1::1"), None);
        for _ in 0..3 {
            assert_eq!(check("127.0.0.1"), None);
            assert_eq!(check("::ffff:127.0.0.1"), None);
        }
    }
}
