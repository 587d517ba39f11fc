//! Where HTTP scenarios keep their state: a fresh store for each.

use std::sync::Arc;

use session_core::ports::Store;
use session_sqlx::{SqliteOptions, SqliteStore};
use session_testkit::memory::MemoryStore;
use tempfile::TempDir;

use crate::report::Difference;

/// Which store HTTP scenarios run on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreKind {
    /// In this process.
    #[default]
    Memory,
    /// SQLite on a file of its own.
    Sqlite,
}

/// An empty store, and what it lives in.
#[derive(Debug)]
pub struct OpenStore {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Goes away with the store.
    _directory: Option<TempDir>,
}

impl OpenStore {
    /// Opens an empty store.
    ///
    /// # Errors
    /// [`Difference`] where it cannot be opened: the scenario has failed then.
    pub async fn fresh(kind: StoreKind) -> Result<Self, Difference> {
        match kind {
            StoreKind::Memory => Ok(Self {
                store: Arc::new(MemoryStore::new()),
                _directory: None,
            }),
            StoreKind::Sqlite => sqlite().await,
        }
    }
}

async fn sqlite() -> Result<OpenStore, Difference> {
    let failed = |error: &dyn std::fmt::Display| Difference::new(format!("sqlite: {error}"));
    let directory = tempfile::tempdir().map_err(|error| failed(&error))?;
    let url = format!("sqlite://{}", directory.path().join("session.db").display());
    let opened = SqliteStore::open(&url, SqliteOptions::default()).await;
    let store = opened.map_err(|error| failed(&error))?;
    store.migrate().await.map_err(|error| failed(&error))?;
    Ok(OpenStore {
        store: Arc::new(store),
        _directory: Some(directory),
    })
}
