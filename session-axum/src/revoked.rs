//! Which access tokens were revoked, as this process knows it.
//!
//! Asking the store at every request would cost as much as many of the requests themselves, so the
//! workers read what was revoked lately, over and over. Where that is not fresh, or too much to
//! keep, the store is asked: what is not known is never taken for good.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use session_core::auth::Revocation;
use session_core::changeset::{Key, Row};
use session_core::ports::{Read, RevokedTokens, StoreError, StoredRow};
use session_core::service::Ports;
use session_core::types::{Id128, RevocationId, Seconds, Timestamp};

/// How often workers read what was revoked.
pub(crate) const REVOKED_EVERY: Duration = Duration::from_secs(10);

/// How old that knowledge may be. With the time between two readings a revocation is heeded by every
/// server within a minute (`security.md` B7).
pub(crate) const REVOKED_FRESH_FOR: Duration = Duration::from_secs(45);

/// How far back each reading begins before the end of the last one: servers' clocks differ, and a
/// commit takes its time.
pub(crate) const REVOKED_OVERLAP: Seconds = Seconds::new(120);

/// Tokens kept in memory, of all that were revoked in the hour that a token lasts. Above it every
/// request asks the store.
pub(crate) const REVOKED_KEPT_MAX: usize = 200_000;

/// Rows of one reading.
const PAGE: u32 = 1_000;

/// Shared by the workers, who read, and the routes, who ask.
#[derive(Debug, Clone, Default)]
pub(crate) struct Revoked(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// Until when each is of interest.
    tokens: BTreeMap<RevocationId, Timestamp>,
    read_at: Option<Instant>,
    last: Timestamp,
}

impl Revoked {
    fn lock(&self) -> MutexGuard<'_, Known> {
        // A panic elsewhere leaves a map that is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what was revoked since the last reading, and forgets what has expired.
    pub(crate) async fn refresh(&self, ports: &Ports) -> Result<(), StoreError> {
        let begun = Instant::now();
        let before_all = RevocationId::from_bytes([0; 16]);
        // A clock that is far ahead must not keep what others revoke from being read.
        let last = self.lock().last.min(ports.clock.now());
        let mut after = (last.before(REVOKED_OVERLAP), before_all);
        let is_read = loop {
            let read = Read::RevokedTokens(RevokedTokens { after, max: PAGE });
            let found = ports.store().read(&[read]).await?;
            let page: Vec<Revocation> = found.iter().flatten().filter_map(token).collect();
            let Some(last) = page.last() else {
                break true;
            };
            after = (last.at, last.id);
            let is_last = page.len() < PAGE as usize;
            let mut known = self.lock();
            known.last = known.last.max(last.at);
            for token in page {
                known.tokens.insert(token.id, token.forget_at);
            }
            if is_last || known.tokens.len() > REVOKED_KEPT_MAX {
                break is_last;
            }
        };
        let now = ports.clock.now();
        let mut known = self.lock();
        known.tokens.retain(|_, forget_at| *forget_at > now);
        // What is known of too many is no knowledge of the rest.
        let is_whole = known.tokens.len() <= REVOKED_KEPT_MAX;
        known.read_at = (is_read && is_whole).then_some(begun);
        Ok(())
    }

    /// This process revoked a token: it need not read that to know.
    pub(crate) fn add(&self, token: RevocationId, until: Timestamp) {
        let mut known = self.lock();
        // Where nobody reads, nobody forgets either, and the store is asked anyway.
        if known.read_at.is_some() {
            known.tokens.insert(token, until);
        }
    }

    /// Whether a token was revoked.
    pub(crate) async fn holds(&self, id: RevocationId, ports: &Ports) -> Result<bool, StoreError> {
        let known = {
            let known = self.lock();
            let is_fresh = known
                .read_at
                .is_some_and(|at| at.elapsed() < REVOKED_FRESH_FOR);
            let is_held = known.tokens.contains_key(&id);
            (is_fresh || is_held).then_some(is_held)
        };
        match known {
            Some(is_held) => Ok(is_held),
            None => {
                let read = Read::Row(Key::Revocation(id));
                let found = ports.store().read(&[read]).await?;
                Ok(found.iter().any(|rows| !rows.is_empty()))
            }
        }
    }
}

fn token(stored: &StoredRow) -> Option<Revocation> {
    match stored.row {
        Row::Revocation(revocation) => Some(revocation),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use session_core::auth::{AccessClaims, LogOut, Revoked as Kind};
    use session_core::service::execute;
    use session_core::types::Wallet;
    use session_testkit::bench::Bench;

    use super::*;

    async fn log_out(ports: &Ports, token: &str) -> RevocationId {
        let id = Kind::Token.id(token);
        let claims = AccessClaims::issued_to(Wallet::from_bytes([1; 20]), ports.clock.now());
        let done = execute(ports, &LogOut { token: id, claims }).await;
        assert!(matches!(done, Ok(Ok(()))));
        id
    }

    #[tokio::test]
    async fn what_is_not_read_yet_is_asked_of_the_store() {
        let (bench, _) = Bench::in_memory(1);
        let gone = log_out(&bench.ports, "a").await;
        let revoked = Revoked::default();
        assert_eq!(revoked.holds(gone, &bench.ports).await, Ok(true));
        let other = Kind::Token.id("b");
        assert_eq!(revoked.holds(other, &bench.ports).await, Ok(false));
    }

    #[tokio::test]
    async fn another_servers_revocation_is_read_and_forgotten_when_it_has_expired() {
        let (bench, _) = Bench::in_memory(1);
        let revoked = Revoked::default();
        revoked.refresh(&bench.ports).await.unwrap();
        let gone = log_out(&bench.ports, "a").await;
        // Fresh knowledge is believed, for as long as it is.
        assert_eq!(revoked.holds(gone, &bench.ports).await, Ok(false));
        revoked.refresh(&bench.ports).await.unwrap();
        assert_eq!(revoked.holds(gone, &bench.ports).await, Ok(true));
        bench.clock.advance(Seconds::new(2 * 3600));
        revoked.refresh(&bench.ports).await.unwrap();
        assert!(revoked.lock().tokens.is_empty());
    }

    #[tokio::test]
    async fn more_than_a_page_is_read_to_its_end() {
        let (bench, _) = Bench::in_memory(1);
        for n in 0..=PAGE {
            log_out(&bench.ports, &n.to_string()).await;
        }
        let revoked = Revoked::default();
        revoked.refresh(&bench.ports).await.unwrap();
        assert_eq!(revoked.lock().tokens.len(), PAGE as usize + 1);
    }
}
