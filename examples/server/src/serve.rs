//! Serving until told to stop, and draining then.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::get;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::json;
use session_axum::{App, Workers, router, workers};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::config::{Config, Environment};
use crate::parts::{Failure, Parts};

/// Longest header block, request line included (`security.md` G1).
pub(crate) const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Connections at once; more wait until one ends.
pub(crate) const CONNECTIONS_MAX: usize = 8 * 1024;
/// How often observations are folded into their buckets.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);
/// Bounds of the times of requests and of calls of the store, in seconds.
const CALL_SECONDS_BUCKETS: [f64; 9] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];
/// Bounds of how late work is, in seconds. What is due is told in whole ones.
const LATENESS_SECONDS_BUCKETS: [f64; 7] = [0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0];
/// Longest a client may take to send it, and to send the next one on an idle connection (G2).
pub(crate) const HEADER_SECONDS: u64 = 5;

/// Serves until SIGTERM or SIGINT, then drains.
pub(crate) async fn serve(config: &Config) -> Result<(), Failure> {
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", config.listen))?;
    let metrics = record_metrics()?;
    if let Some(address) = config.metrics_listen {
        serve_metrics(address, metrics.clone()).await?;
    }
    let parts = Parts::open(config).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Whoever connects from here on waits until the routes are there. A worker may end the process
    // at once, where a failpoint says so.
    announce(config, listener.local_addr()?);
    let workers = Workers::start(parts.worker_ports.clone()).await?;
    let keys = Arc::new(config.jwt_keys.clone());
    let mut app = App::new(parts.ports.clone(), config.media.issuer(), keys)
        .with_audience(config.sign_in.audience.clone())
        .with_cors(config.cors_origins.clone())
        .with_workers(&workers)
        .with_pages();
    if let Some(key) = &config.receipt_key {
        tracing::info!("receipts are signed by {}", key.wallet());
        app = app.with_receipts(key.clone());
    }
    if let Some(bookings) = config.escrow.bookings(parts.ports.clock.now()) {
        app = app.with_bookings(bookings);
    }
    if let Some(party) = &config.sign_in.party {
        app = app.with_siwe(party.clone());
    }
    if config.sign_in.takes_timestamps {
        app = app.with_timestamp_sign_in();
    }
    if config.is_strict {
        app = app.strict();
    }
    if config.environment == Environment::Development {
        app = app.with_metrics(move || metrics.render());
    }
    let mut told = async move || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let connections = accept(listener, &router(app.clone()), told()).await;
    tracing::info!("draining");
    // They would go on for as long as their rooms do.
    app.end_streams();
    // Whatever has not ended by then comes up again when its claim ends; who is told twice is in
    // a hurry.
    let drained = tokio::time::timeout(config.shutdown, async {
        tokio::select! {
            () = told() => false,
            () = drain(connections, workers, parts) => true,
        }
    });
    match drained.await {
        Ok(true) => tracing::info!("stopped"),
        Ok(false) | Err(_) => tracing::warn!("stopped before everything had ended"),
    }
    Ok(())
}

/// Makes the recorder of the process, and tidies it for as long as the process lives: what was
/// observed is otherwise kept until somebody asks for it.
fn record_metrics() -> Result<PrometheusHandle, Failure> {
    let handle = PrometheusBuilder::new()
        .set_buckets(&CALL_SECONDS_BUCKETS)?
        .set_buckets_for_metric(
            Matcher::Suffix("_lateness_seconds".to_owned()),
            &LATENESS_SECONDS_BUCKETS,
        )?
        .install_recorder()?;
    let tidied = handle.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(METRICS_UPKEEP);
        loop {
            ticks.tick().await;
            tidied.run_upkeep();
        }
    });
    Ok(handle)
}

/// One pass of every background worker; the summary goes to standard output. It does not beat: a
/// sweep by hand is no server, and while none is alive nobody is silent.
pub(crate) async fn sweep_once(config: &Config) -> Result<(), Failure> {
    let parts = Parts::open(config).await?;
    let lanes: Vec<_> = workers::sweep(&parts.worker_ports)
        .await?
        .into_iter()
        .map(|(lane, worked)| {
            json!({
                "lane": lane.name(),
                "claimed": worked.claimed,
                "changed": worked.changed,
                "evicted": worked.evicted,
                "rooms_closed": worked.rooms_closed,
                "decided": worked.decided,
                "windows_missed": worked.windows_missed,
                "blocked": worked.blocked,
                "sealed": worked.sealed,
                "lost": worked.lost,
                "failed": worked.failed.len(),
            })
        })
        .collect();
    println!("{}", json!({ "lanes": lanes }));
    parts.close().await;
    Ok(())
}

/// Says in plain words what runs here.
fn announce(config: &Config, address: SocketAddr) {
    match config.environment {
        Environment::Production => {
            tracing::info!("production");
            tracing::warn!("not configured: names and verifications; grants answer 503");
            if config.receipt_key.is_none() {
                tracing::warn!("not configured: receipts; RECEIPT_SIGNING_KEY is not set");
            }
        }
        Environment::Development => {
            tracing::warn!("development: not for real users; these parts are fake:");
        }
    }
    for fake in config.fakes() {
        tracing::warn!("fake: {fake}");
    }
    tracing::info!("listening on http://{address}");
    tracing::info!("open http://{address}/ and http://{address}/docs");
}

/// Accepts connections until `stop`; those that are still open are handed back.
async fn accept(
    listener: TcpListener,
    routes: &Router,
    stop: impl Future<Output = ()>,
) -> GracefulShutdown {
    let connections = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut stop = pin!(stop);
    loop {
        let next = async {
            // Never closed, so there is always a place in the end.
            let place = places.clone().acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = &mut stop => break,
            next = next => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Answers are small and waited for.
                let _ = stream.set_nodelay(true);
                let connection = connections.watch(connection(stream, peer, routes.clone()));
                tokio::spawn(async move {
                    let _place = place;
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "connection ended");
                    }
                });
            }
            // Out of descriptors, most likely: the pause lets some come back.
            Err(error) => {
                tracing::warn!(%error, "cannot accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    connections
}

/// Lets requests in flight finish, workers end their pass, and closes the database.
async fn drain(connections: GracefulShutdown, workers: Workers, parts: Parts) {
    connections.shutdown().await;
    workers.stop().await;
    parts.close().await;
}

fn connection(
    stream: tokio::net::TcpStream,
    peer: SocketAddr,
    routes: Router,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + Send + 'static {
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let routes = routes.clone();
        async move {
            match routes.oneshot(request).await {
                Ok(response) => Ok::<_, Infallible>(response),
                Err(never) => match never {},
            }
        }
    });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(HEADER_SECONDS))
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
}

/// Serves the metrics of the process on an address of their own.
async fn serve_metrics(address: SocketAddr, handle: PrometheusHandle) -> Result<(), Failure> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("METRICS_LISTEN: cannot listen on {address}: {error}"))?;
    let routes = Router::new().route("/metrics", get(move || async move { handle.render() }));
    tracing::info!("metrics on http://{}/metrics", listener.local_addr()?);
    tokio::spawn(async move {
        let never = std::future::pending();
        accept(listener, &routes, never).await;
    });
    Ok(())
}
