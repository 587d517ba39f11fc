//! The public suite for stores on the memory store.

use std::sync::Arc;

use session_testkit::conformance;
use session_testkit::memory::MemoryStore;

conformance::tests!(Arc::new(MemoryStore::new()));
