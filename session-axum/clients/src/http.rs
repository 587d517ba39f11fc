//! One way to call out, with its bounds (`security.md` F).

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde_json::Value;
use tokio::sync::Semaphore;

/// The bounds of calls to one outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpLimits {
    /// To reach it.
    pub connect: Duration,
    /// For the whole call.
    pub total: Duration,
    /// Of an answer; more is not read.
    pub answer_bytes_max: usize,
    /// At once; more wait.
    pub in_flight_max: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            total: Duration::from_secs(10),
            answer_bytes_max: 64 * 1024,
            in_flight_max: 32,
        }
    }
}

/// A client that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Not `https`, and not `http` of this machine.
    #[error("address is not https, nor http of this machine")]
    Address,
    /// This machine's trust in authorities cannot be read, or is of a form that is not understood.
    #[error("no client for https can be made")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What came of a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// With this status, and the body where it is JSON of a bearable size.
    Status(u16, Option<Value>),
    /// It did not reach the outside.
    Unreached,
    /// It may have.
    NoAnswer,
}

/// Calls of one outside.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    client: Client,
    base: Url,
    limits: HttpLimits,
    places: Arc<Semaphore>,
}

impl Caller {
    pub(crate) fn new(base: &str, limits: HttpLimits) -> Result<Self, HttpError> {
        // What is joined to a base without a slash replaces its last part.
        let base = format!("{}/", base.trim_end_matches('/'));
        let base = Url::parse(&base).map_err(|_| HttpError::Address)?;
        let is_here = match base.host() {
            Some(url_host) => is_loopback(&url_host.to_string()),
            None => false,
        };
        let is_safe = base.scheme() == "https" || (base.scheme() == "http" && is_here);
        if !is_safe || !base.username().is_empty() || base.password().is_some() {
            return Err(HttpError::Address);
        }
        let client = Client::builder()
            .tls_backend_preconfigured(tls()?)
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(limits.connect)
            .timeout(limits.total)
            .build()
            .map_err(|error| HttpError::Tls(error.into()))?;
        Ok(Self {
            client,
            base,
            limits,
            places: Arc::new(Semaphore::new(limits.in_flight_max)),
        })
    }

    /// Posts JSON under a bearer token, to a path below the base.
    pub(crate) async fn post(&self, path: &str, token: &str, body: &Value) -> Answered {
        // Never closed, so there is always a place in the end.
        let Ok(_place) = self.places.acquire().await else {
            return Answered::Unreached;
        };
        let (Ok(url), Ok(mut authorization)) = (
            self.base.join(path),
            HeaderValue::try_from(format!("Bearer {token}")),
        ) else {
            return Answered::Unreached;
        };
        authorization.set_sensitive(true);
        let sent = self
            .client
            .post(url)
            .header(AUTHORIZATION, authorization)
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string())
            .send();
        match sent.await {
            Ok(response) => {
                let status = response.status().as_u16();
                Answered::Status(status, self.read(response).await)
            }
            Err(error) if error.is_connect() => Answered::Unreached,
            Err(_) => Answered::NoAnswer,
        }
    }

    async fn read(&self, mut response: reqwest::Response) -> Option<Value> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.ok()? {
            if bytes.len() + chunk.len() > self.limits.answer_bytes_max {
                return None;
            }
            bytes.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&bytes).ok()
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The authorities that this machine trusts, with the cryptography that the database drivers use.
fn tls() -> Result<rustls::ClientConfig, HttpError> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| HttpError::Tls(error.into()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for (url, is_taken) in [
            ("https://media.example", true),
            ("https://media.example:7880/", true),
            ("http://127.0.0.1:7880", true),
            ("http://[::1]:7880", true),
            ("http://localhost:7880", true),
            ("http://media.example", false),
            ("http://127.0.0.1.example", false),
            ("http://10.0.0.1", false),
            ("https://user@media.example", false),
            ("https://:secret@media.example", false),
            ("ftp://127.0.0.1", false),
            ("media.example", false),
        ] {
            let made = Caller::new(url, HttpLimits::default());
            assert_eq!(made.is_ok(), is_taken, "{url}");
        }
    }
}
