//! `GET /credits` beside a bare axum route with the same layers, the same check of the token and the
//! same bytes, over loopback, in turns.
//!
//! ```text
//! target/release/credits --rounds 7 --seconds 2 --connections 32
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::header;
use axum::routing::get;
use clap::Parser;
use session_axum::{App, Limits, Workers, layered, router};
use session_benches::Failure;
use session_core::auth::{AccessClaims, JwtKeys};
use session_core::crypto::Secret;
use session_core::media::agora::{AgoraIssuer, AppCertificate, AppId};
use session_core::ports::Clock;
use session_core::types::Seconds;
use session_testkit::bench::Bench;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

#[derive(Debug, Parser)]
struct Flags {
    /// Pairs of measurements.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Of each measurement.
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// Kept open, each with one request at a time.
    #[arg(long, default_value_t = 32)]
    connections: usize,
}

fn main() -> Result<(), Failure> {
    let flags = Flags::parse();
    // One thread for both servers, one for the clients: two processors.
    let servers = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let (product, twin, request) = servers.block_on(serve())?;
    let span = Duration::from_secs(flags.seconds);
    let load = |address| load(address, flags.connections, span, &request);
    load(product)?;
    load(twin)?;
    let mut ratios = Vec::new();
    for round in 1..=flags.rounds {
        let (own, bare) = (load(product)?, load(twin)?);
        println!(
            "round {round}: {own:.0} to {bare:.0} a second, {:.3}",
            own / bare
        );
        ratios.push(own / bare);
    }
    ratios.sort_by(f64::total_cmp);
    let (least, most) = (ratios.first().ok_or("no rounds")?, ratios.last());
    let median = ratios.get(ratios.len() / 2).ok_or("no rounds")?;
    let most = most.ok_or("no rounds")?;
    println!("GET /credits to its bare twin: {median:.3} ({least:.3} to {most:.3})");
    Ok(())
}

/// Where both are served, and the request that both answer alike.
async fn serve() -> Result<(SocketAddr, SocketAddr, Vec<u8>), Failure> {
    let (bench, _store) = Bench::in_memory(1);
    let wallet = Bench::wallet(1);
    bench.endow(wallet, Seconds::new(1800)).await?;
    let keys = JwtKeys::new(Secret::new(*b"sixteen bytes or more"), Vec::new())?;
    let token = keys.sign(&AccessClaims::issued_to(wallet, bench.clock.now()));
    let request =
        format!("GET /credits HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\r\n");
    let media = AgoraIssuer::new(
        AppId::parse("970ca35de60c44645bbae8a215061b33")?,
        AppCertificate::parse("5cfd2fd1755d40ecb72977518be15d3b")?,
    );
    // So that revoked tokens are known, as they are in a server.
    let workers = Workers::start(bench.ports.clone()).await?;
    let app = App::new(bench.ports, Arc::new(media), Arc::new(keys))
        .with_limits(Limits::without_rates())
        .with_workers(&workers);
    tokio::spawn(async move {
        std::future::pending::<()>().await;
        drop(workers);
    });
    let product = listen(router(app.clone())).await?;
    let body = answer(product, request.as_bytes()).await?;
    let bytes: &'static str = Box::leak(body.into_boxed_str());
    let bare = move || async move { ([(header::CONTENT_TYPE, "application/json")], bytes) };
    let twin = listen(layered(app, Router::new().route("/credits", get(bare)))).await?;
    if answer(twin, request.as_bytes()).await? != bytes {
        return Err("the twin answers something else".into());
    }
    Ok((product, twin, request.into_bytes()))
}

async fn listen(routes: Router) -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(address)
}

/// The body of one answer.
async fn answer(address: SocketAddr, request: &[u8]) -> Result<String, Failure> {
    let mut stream = TcpStream::connect(address).await?;
    let whole = exchange(&mut stream, request).await?;
    let text = String::from_utf8(whole)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or("no answer of HTTP")?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err(format!("refused: {text}").into());
    }
    Ok(body.to_owned())
}

/// One request and its whole answer.
async fn exchange(stream: &mut TcpStream, request: &[u8]) -> Result<Vec<u8>, Failure> {
    stream.write_all(request).await?;
    let mut found = Vec::new();
    loop {
        let mut some = [0; 2048];
        let read = stream.read(&mut some).await?;
        if read == 0 {
            return Err("the connection ended".into());
        }
        found.extend_from_slice(some.get(..read).unwrap_or_default());
        let text = str::from_utf8(&found)?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.ok_or("an answer without a length")?.parse()?;
        if body.len() >= length {
            return Ok(found);
        }
    }
}

/// Answers a second that these connections get.
fn load(
    address: SocketAddr,
    connections: usize,
    span: Duration,
    request: &[u8],
) -> Result<f64, Failure> {
    thread::scope(|scope| {
        let clients = scope.spawn(|| {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let local = LocalSet::new();
            let until = Instant::now() + span;
            let clients: Vec<_> = (0..connections)
                .map(|_| local.spawn_local(client(address, request.to_vec(), until)))
                .collect();
            local.block_on(&runtime, async {
                let mut answered = 0;
                for client in clients {
                    answered += client.await??;
                }
                Ok::<u32, Failure>(answered)
            })
        });
        let answered = clients.join().map_err(|_| "a client panicked")??;
        Ok(f64::from(answered) / span.as_secs_f64())
    })
}

async fn client(address: SocketAddr, request: Vec<u8>, until: Instant) -> Result<u32, Failure> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    // Every answer is as long as the first: its id and its numbers have one width.
    let length = exchange(&mut stream, &request).await?.len();
    let mut found = vec![0; length];
    let mut answered = 0;
    while Instant::now() < until {
        stream.write_all(&request).await?;
        stream.read_exact(&mut found).await?;
        answered += 1;
    }
    Ok(answered)
}
