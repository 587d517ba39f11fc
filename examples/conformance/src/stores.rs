//! Where HTTP scenarios keep their state: a fresh store for each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use session_core::ports::Store;
use session_sqlx::{PostgresOptions, PostgresStore, SqliteOptions, SqliteStore};
use session_testkit::memory::MemoryStore;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;

use crate::report::Difference;

/// Which store HTTP scenarios run on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreKind {
    /// In this process.
    #[default]
    Memory,
    /// PostgreSQL, in a schema of its own of the database at this address.
    Postgres(String),
    /// SQLite on a file of its own.
    Sqlite,
}

/// An empty store, and what it lives in.
#[derive(Debug)]
pub struct OpenStore {
    /// The store.
    pub store: Arc<dyn Store>,
    place: Place,
}

/// What goes away with the store.
#[derive(Debug)]
enum Place {
    Memory,
    Folder(TempDir),
    Schema {
        url: String,
        name: String,
        store: PostgresStore,
    },
}

impl OpenStore {
    /// Opens an empty store.
    ///
    /// # Errors
    /// [`Difference`] where it cannot be opened: the scenario has failed then.
    pub async fn fresh(kind: &StoreKind) -> Result<Self, Difference> {
        match kind {
            StoreKind::Memory => Ok(Self {
                store: Arc::new(MemoryStore::new()),
                place: Place::Memory,
            }),
            StoreKind::Postgres(url) => postgres(url)
                .await
                .map_err(|error| Difference::new(format!("postgres: {error}"))),
            StoreKind::Sqlite => sqlite()
                .await
                .map_err(|error| Difference::new(format!("sqlite: {error}"))),
        }
    }

    /// Takes away what the store lives in.
    ///
    /// # Errors
    /// [`Difference`] where it cannot be taken away.
    pub async fn remove(self) -> Result<(), Difference> {
        match self.place {
            Place::Memory => Ok(()),
            Place::Folder(folder) => folder
                .close()
                .map_err(|error| Difference::new(format!("sqlite: {error}"))),
            Place::Schema { url, name, store } => {
                store.close().await;
                drop_schema(&url, name)
                    .await
                    .map_err(|error| Difference::new(format!("postgres: {error}")))
            }
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn sqlite() -> Result<OpenStore, Failure> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("session.db").display());
    let store = SqliteStore::open(&url, SqliteOptions::default()).await?;
    store.migrate().await?;
    Ok(OpenStore {
        store: Arc::new(store),
        place: Place::Folder(folder),
    })
}

async fn postgres(url: &str) -> Result<OpenStore, Failure> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("session_conformance_{}_{number}", std::process::id());
    let mut hand = PgConnection::connect(url).await?;
    hand.execute(AssertSqlSafe(format!("CREATE SCHEMA {name}")))
        .await?;
    hand.close().await?;
    let mut options = PostgresOptions::default();
    options.schema = Some(name.clone());
    let store = PostgresStore::open(url, options).await?;
    store.migrate().await?;
    Ok(OpenStore {
        store: Arc::new(store.clone()),
        place: Place::Schema {
            url: url.to_owned(),
            name,
            store,
        },
    })
}

async fn drop_schema(url: &str, name: String) -> Result<(), Failure> {
    let mut hand = PgConnection::connect(url).await?;
    hand.execute(AssertSqlSafe(format!("DROP SCHEMA {name} CASCADE")))
        .await?;
    Ok(hand.close().await?)
}
