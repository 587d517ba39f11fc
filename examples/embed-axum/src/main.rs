//! A host application that sells tickets to live rooms.
//!
//! It nests the routes of `session-axum` below `/live`, knows its users by means of its own (an API
//! key; no access token of ours is involved), and sells a ticket and takes a seat in one
//! transaction of its own: nobody pays for a room that is full, and nobody sits without a ticket.
//!
//! ```text
//! $ cargo run -p embed-axum
//! alice opens a room: 200
//! bob buys the last ticket and sits: 200
//! carol hears that it is sold out: 409
//! bob's heartbeat, with his key alone: 200
//! tickets sold: 1, seats taken: 1
//! ```

mod host;
mod ports;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::{Value, json};
use tower::ServiceExt;

use host::{Failure, Host};

/// The longest answer that this program reads.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("tickets.db").display());
    let host = Host::open(&url).await?;
    let app = host.routes();

    let (status, created) = call(&app, "alice", "/live/rooms/create", &json!({})).await?;
    println!("alice opens a room: {status}");
    let room = created["room_id"].as_str().unwrap_or_default().to_owned();
    host.offer(&room, 1).await?;

    let buy = json!({"room_id": room});
    let (status, seat) = call(&app, "bob", "/tickets", &buy).await?;
    println!("bob buys the last ticket and sits: {status}");
    let (status, _) = call(&app, "carol", "/tickets", &buy).await?;
    println!("carol hears that it is sold out: {status}");

    let stay = json!({"room_id": room, "connection_id": seat["connection_id"]});
    let (status, _) = call(&app, "bob", "/live/rooms/heartbeat", &stay).await?;
    println!("bob's heartbeat, with his key alone: {status}");

    let (sold, seated) = host.count(&room).await?;
    println!("tickets sold: {sold}, seats taken: {seated}");
    host.close().await;
    Ok(())
}

/// One request, as it would come over the network.
async fn call(
    app: &axum::Router,
    key: &str,
    path: &str,
    body: &Value,
) -> Result<(u16, Value), Failure> {
    let request = Request::post(path)
        .header("x-api-key", key)
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))?;
    let answer = app.clone().oneshot(request).await?;
    let status = answer.status().as_u16();
    let bytes = to_bytes(answer.into_body(), ANSWER_BYTES_MAX).await?;
    Ok((
        status,
        serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    ))
}

#[cfg(test)]
mod tests;
