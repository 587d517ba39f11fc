//! Spans of requests, for a collector of traces: OTLP over HTTP with protobuf.
//!
//! With the feature `otlp` and `OTEL_EXPORTER_OTLP_ENDPOINT` set; without the feature the start is
//! refused where the variable is set. A span is what the log tells of a request, and tells no more.

#[cfg(feature = "otlp")]
pub(crate) use on::Traces;

#[cfg(not(feature = "otlp"))]
pub(crate) use off::Traces;

use std::fmt;

use tracing_subscriber::layer::Layered;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::{ConfigError, invalid, setting};

const NAME: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// A layer of the log, above what lets lines through.
pub(crate) type Boxed = Box<dyn Layer<Layered<EnvFilter, Registry>> + Send + Sync>;

/// Where spans go, if anywhere.
#[derive(Debug)]
pub(crate) struct Endpoint(Option<String>);

impl Endpoint {
    /// Reads the setting.
    pub(crate) fn read() -> Result<Self, ConfigError> {
        let Some(text) = setting(NAME, None)? else {
            return Ok(Self(None));
        };
        if cfg!(not(feature = "otlp")) {
            let why = "this build exports no traces; build session-server with the feature `otlp`";
            return Err(invalid(NAME, why.to_owned()));
        }
        // A collector runs on the same machine; whatever is further is its own affair.
        let host = text.strip_prefix("http://").unwrap_or_default();
        if host.is_empty() || host.contains(['@', '?', '#', ' ']) {
            let why = "not an address such as http://127.0.0.1:4318";
            return Err(invalid(NAME, why.to_owned()));
        }
        Ok(Self(Some(text.trim_end_matches('/').to_owned())))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("off"))
    }
}

#[cfg(not(feature = "otlp"))]
mod off {
    use tokio::runtime::Handle;

    use super::{Boxed, Endpoint};
    use crate::parts::Failure;

    /// No traces.
    pub(crate) struct Traces;

    impl Traces {
        #[allow(clippy::unnecessary_wraps, reason = "as with the feature")]
        pub(crate) fn start(_: &Endpoint, _: &Handle) -> Result<(Self, Option<Boxed>), Failure> {
            Ok((Self, None))
        }

        #[allow(clippy::unused_self, reason = "as with the feature")]
        pub(crate) const fn end(&self) {}
    }
}

#[cfg(feature = "otlp")]
mod on {
    use std::time::Duration;

    use async_trait::async_trait;
    use http_body_util::{BodyExt, Full, Limited};
    use hyper::client::conn::http1;
    use hyper::header::{HOST, HeaderValue};
    use hyper::{Request, Response, Uri};
    use hyper_util::rt::TokioIo;
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_http::{Bytes, HttpClient, HttpError};
    use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tokio::net::TcpStream;
    use tokio::runtime::Handle;
    use tracing_subscriber::Layer;
    use tracing_subscriber::filter::filter_fn;

    use super::{Boxed, Endpoint};
    use crate::parts::Failure;

    /// Longest a collector may take for a batch, and a server for its last one.
    const SEND_MAX: Duration = Duration::from_secs(5);
    /// Longest answer of a collector that is read, in bytes.
    const ANSWER_BYTES_MAX: usize = 64 * 1024;

    /// What exports spans while the process lives.
    pub(crate) struct Traces(Option<SdkTracerProvider>);

    impl Traces {
        /// Starts exporting where there is an endpoint: the layer of the log that does.
        pub(crate) fn start(
            endpoint: &Endpoint,
            runtime: &Handle,
        ) -> Result<(Self, Option<Boxed>), Failure> {
            let Some(url) = &endpoint.0 else {
                return Ok((Self(None), None));
            };
            let exporter = SpanExporter::builder()
                .with_http()
                .with_http_client(Client(runtime.clone()))
                .with_endpoint(format!("{url}/v1/traces"))
                .with_timeout(SEND_MAX)
                .build()?;
            let provider = SdkTracerProvider::builder()
                .with_batch_exporter(exporter)
                .with_resource(
                    Resource::builder()
                        .with_service_name("session-server")
                        .build(),
                )
                .build();
            let layer = tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("session-axum"))
                .with_location(false)
                .with_threads(false)
                .with_target(false)
                .with_filter(filter_fn(|told| told.target() == "session_axum::observe"))
                .boxed();
            Ok((Self(Some(provider)), Some(layer)))
        }

        /// Exports what is left. Not to be called on a thread of the runtime, which sends it.
        pub(crate) fn end(&self) {
            let ended = self
                .0
                .as_ref()
                .map(|provider| provider.shutdown_with_timeout(SEND_MAX));
            if let Some(Err(error)) = ended {
                tracing::warn!(%error, "some traces were not exported");
            }
        }
    }

    /// Sends batches on the server's own runtime: whoever calls has none.
    #[derive(Debug)]
    struct Client(Handle);

    #[async_trait]
    impl HttpClient for Client {
        async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
            // All of it there: a timer, too, is of a runtime.
            let sent = self.0.spawn(async move {
                let sending = tokio::time::timeout(SEND_MAX, send(request));
                sending.await?
            });
            sent.await?
        }
    }

    /// One request on a connection of its own: there are few.
    async fn send(request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (mut parts, body) = request.into_parts();
        let authority = parts.uri.authority().ok_or("no host")?.clone();
        let address = (authority.host(), authority.port_u16().unwrap_or(80));
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let path = parts.uri.path_and_query().ok_or("no path")?;
        parts.uri = Uri::from(path.clone());
        let host = HeaderValue::from_str(authority.as_str())?;
        parts.headers.insert(HOST, host);
        let request = Request::from_parts(parts, Full::new(body));
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }
}
