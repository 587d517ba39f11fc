//! Real time. Presence is charged by the server's own clock, which a test can only watch.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::server::{PATIENCE, Server};

/// Enough for minutes of the fastest answers.
const LOOKS_MAX: u32 = 10_000_000;

/// The second that the machine's clock shows, as a server without an offset reads it.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970")
        .as_secs()
}

/// Keeps a server answering until the clock shows another second, and then this many less one
/// more.
pub(crate) fn pass_seconds(seconds: u64, server: &Server) {
    let until = unix_now() + seconds;
    for _ in 0..LOOKS_MAX {
        if unix_now() >= until {
            return;
        }
        assert_eq!(server.get("/health").body, r#"{"ok":true}"#);
    }
    panic!("the clock did not reach {until}");
}

/// Keeps a server answering until something has come to pass.
pub(crate) fn until(what: &str, server: &Server, has_come: impl Fn() -> bool) {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if has_come() {
            return;
        }
        assert_eq!(server.get("/health").body, r#"{"ok":true}"#);
    }
    panic!("never: {what}; {}", server.process);
}
