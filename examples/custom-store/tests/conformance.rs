//! The public suite for stores on the log.

#![allow(clippy::expect_used, reason = "a test fails by a panic")]

use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use custom_store::LogStore;
use session_core::ports::Store;
use session_testkit::conformance::{self, Database};
use tempfile::TempDir;

/// A log in a folder that goes away with it. One process may open it, so that servers share the
/// handle that there is; when the last of them has dropped it, it is opened anew.
struct Folder {
    folder: TempDir,
    handle: Mutex<Weak<LogStore>>,
}

impl Folder {
    fn new() -> Self {
        Self {
            folder: TempDir::new().expect("a folder for the log"),
            handle: Mutex::new(Weak::new()),
        }
    }
}

#[async_trait]
impl Database for Folder {
    async fn open(&self) -> Arc<dyn Store> {
        let mut handle = self.handle.lock().expect("nobody panics under this lock");
        if let Some(store) = handle.upgrade() {
            return store;
        }
        let path = self.folder.path().join("rooms.log");
        let store = Arc::new(LogStore::open(&path).expect("the log opens"));
        *handle = Arc::downgrade(&store);
        store
    }
}

conformance::tests!(Folder::new());
