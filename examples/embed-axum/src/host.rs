//! The host: its users, its tickets, and the one route in which both systems meet.

use std::error::Error;
use std::sync::Arc;

use axum::extract::{Json, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use serde_json::{Value, json};
use session_axum::{App, AuthenticatedWallet, Waker, Workers, router};
use session_core::auth::JwtKeys;
use session_core::crypto::Secret;
use session_core::media::MediaTokenIssuer;
use session_core::media::agora::{AgoraIssuer, AppCertificate, AppId};
use session_core::room::JoinRoom;
use session_core::service::{Ports, execute};
use session_core::types::Wallet;
use session_sqlx::{SqliteOptions, SqliteStore, Within};
use sqlx::SqlitePool;

use crate::ports::ports;

/// The host's own tables are in the same file, and its own migrations would be too.
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS offer (room TEXT PRIMARY KEY, stock INTEGER \
    NOT NULL CHECK (stock >= 0)); \
    CREATE TABLE IF NOT EXISTS ticket (room TEXT NOT NULL, owner TEXT NOT NULL, \
    PRIMARY KEY (room, owner))";

/// A host application.
pub(crate) struct Host {
    tickets: Tickets,
    app: App,
    store: SqliteStore,
    workers: Workers,
}

/// What the host's own route needs.
#[derive(Clone)]
struct Tickets {
    pool: SqlitePool,
    ports: Ports,
    media: Arc<dyn MediaTokenIssuer>,
    waker: Waker,
}

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

impl Host {
    /// Opens a file in which both the host's tables and ours are.
    pub(crate) async fn open(url: &str) -> Result<Self, Failure> {
        let store = SqliteStore::open(url, SqliteOptions::default()).await?;
        store.migrate().await?;
        let pool = SqlitePool::connect(url).await?;
        sqlx::raw_sql(SCHEMA).execute(&pool).await?;
        let ports = ports(Arc::new(store.clone()));
        let workers = Workers::start(ports.clone()).await?;
        // A vendor's credentials; those of a real one come from where the host keeps its secrets.
        let certificate = AppCertificate::parse("00112233445566778899aabbccddeeff")?;
        let id = AppId::parse("ffeeddccbbaa99887766554433221100")?;
        let media: Arc<dyn MediaTokenIssuer> = Arc::new(AgoraIssuer::new(id, certificate));
        // Access tokens of ours are signed with this; a host that knows its users needs none.
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| error.to_string())?;
        let keys = Arc::new(JwtKeys::new(Secret::new(&secret[..]), Vec::new())?);
        let app = App::new(ports.clone(), media.clone(), keys).with_workers(&workers);
        let tickets = Tickets {
            pool,
            ports,
            media,
            waker: workers.waker(),
        };
        Ok(Self {
            tickets,
            app,
            store,
            workers,
        })
    }

    /// The host's routes, with ours among them.
    pub(crate) fn routes(&self) -> Router {
        Router::new()
            .route("/tickets", post(buy))
            .with_state(self.tickets.clone())
            .nest("/live", router(self.app.clone()))
            .layer(from_fn(authenticate))
    }

    /// Offers tickets to a room.
    pub(crate) async fn offer(&self, room: &str, stock: i64) -> Result<(), Failure> {
        sqlx::query("INSERT INTO offer VALUES ($1, $2)")
            .bind(room)
            .bind(stock)
            .execute(&self.tickets.pool)
            .await?;
        Ok(())
    }

    /// Tickets sold to a room, and seats taken in it.
    pub(crate) async fn count(&self, room: &str) -> Result<(i64, i64), Failure> {
        let counts = "SELECT (SELECT count(*) FROM ticket WHERE room = $1), \
            (SELECT count(*) FROM seat WHERE room = $1 AND gone_at IS NULL)";
        let counts = sqlx::query_as(counts).bind(room);
        Ok(counts.fetch_one(&self.tickets.pool).await?)
    }

    pub(crate) async fn close(self) {
        self.workers.stop().await;
        self.tickets.pool.close().await;
        self.store.close().await;
    }
}

/// The host's own way of knowing its users: a key, and the wallet that belongs to it.
async fn authenticate(mut request: Request, next: Next) -> Response {
    let key = request.headers().get("x-api-key");
    let wallet = match key.map(|key| key.as_bytes()) {
        Some(b"alice") => Wallet::from_bytes([0xa1; 20]),
        Some(b"bob") => Wallet::from_bytes([0xb0; 20]),
        Some(b"carol") => Wallet::from_bytes([0xca; 20]),
        _ => return StatusCode::UNAUTHORIZED.into_response(),
    };
    request.extensions_mut().insert(AuthenticatedWallet(wallet));
    next.run(request).await
}

/// `POST /tickets`: sells a ticket to a room and takes a seat in it, both or neither.
async fn buy(
    State(tickets): State<Tickets>,
    Extension(AuthenticatedWallet(wallet)): Extension<AuthenticatedWallet>,
    Json(body): Json<Value>,
) -> Result<Json<Value>, Refused> {
    let room = body["room_id"].as_str().unwrap_or_default();
    let mut transaction = tickets.pool.begin_with("BEGIN IMMEDIATE").await?;
    let left = sqlx::query("UPDATE offer SET stock = stock - 1 WHERE room = $1 AND stock > 0")
        .bind(room)
        .execute(&mut *transaction)
        .await?;
    if left.rows_affected() == 0 {
        return Err(Refused::No("sold out"));
    }
    sqlx::query("INSERT INTO ticket VALUES ($1, $2)")
        .bind(room)
        .bind(wallet.to_string())
        .execute(&mut *transaction)
        .await?;

    // From here on inside the host's transaction, until it is handed back.
    let within = Within::new(transaction);
    let join = JoinRoom {
        wallet,
        room: room.parse().ok(),
    };
    let joined = execute(&within.ports(&tickets.ports), &join).await;
    let joined = joined.map_err(|error| Refused::Failed(error.into()))?;
    let Ok(joined) = joined else {
        // Nothing was committed: the ticket goes back with everything else.
        return Err(Refused::No("no seat"));
    };
    let (transaction, wake) = within.finish().await?;
    transaction.commit().await?;
    wake.fire(|lane| tickets.waker.wake(lane));

    let token = tickets.media.issue(&joined.grant);
    let token = token.map_err(|error| Refused::Failed(error.into()))?;
    Ok(Json(json!({
        "connection_id": joined.connection,
        "agora_token": token,
        "remaining_seconds": joined.remaining,
    })))
}

/// Why no ticket was sold.
enum Refused {
    No(&'static str),
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::No(why) => (StatusCode::CONFLICT, Json(json!({"error": why}))).into_response(),
            Self::Failed(error) => {
                eprintln!("a ticket could not be sold: {error}");
                StatusCode::SERVICE_UNAVAILABLE.into_response()
            }
        }
    }
}
