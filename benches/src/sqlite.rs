//! SQLite: copies of the world, a loop of plain statements, and what must hold afterwards.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection;
use session_core::types::Timestamp;
use session_sqlx::{SqliteOptions, SqliteStore};

use crate::http::Span;
use crate::postgres::CONSERVED;
use crate::report::{Latencies, Measured};
use crate::seats::{self, NUMBER_MIN, Work};
use crate::{Failure, machine};

/// Of the statements of the loop.
const SIT: &str = "UPDATE seat SET last_seen_at = ?2, metered_to = metered_to + 1, \
    charged = charged + 1, lease_until = lease_until, low_raised = low_raised, \
    exhausted_at = exhausted_at, undelivered = undelivered, version = version + 1 \
    WHERE connection = ?1 AND wallet = ?3 AND gone_at IS NULL RETURNING version";
const PAY: &str = "UPDATE account SET debits_posted = debits_posted + 1, version = version + 1 \
    WHERE kind = 'wallet' AND unit = 'seconds' AND owner = ?1 \
    AND credits_posted - debits_posted - debits_pending >= 1 RETURNING version";
const MOVE: &str = "INSERT INTO transfer (id, debit_kind, debit_owner, credit_kind, credit_owner, \
    unit, amount, action, reason, connection, decided_at) VALUES (?1, 'wallet', ?2, 'revenue', \
    'house', 'seconds', 1, 'posted', 'debit_usage', ?3, ?4)";

/// A file that holds the world.
#[derive(Debug)]
pub struct Sqlite {
    folder: tempfile::TempDir,
    /// When the world was made.
    pub seeded_at: Timestamp,
}

impl Sqlite {
    /// Makes the world in a file in `folder`, which must be on the disk that is to be measured.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn open(folder: &Path, now: Timestamp) -> Result<Self, Failure> {
        let folder = tempfile::tempdir_in(folder)?;
        let store = open_store(&folder.path().join("world.db")).await?;
        store.migrate().await?;
        seats::seed(Arc::new(store.clone()), now).await?;
        store.close().await;
        let world = Connection::open(folder.path().join("world.db"))?;
        world.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        Ok(Self {
            folder,
            seeded_at: now,
        })
    }

    /// A fresh copy of the world.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn copy(&self) -> Result<Copy, Failure> {
        let path = self.folder.path().join("copy.db");
        for suffix in ["", "-wal", "-shm"] {
            let mut file = path.clone().into_os_string();
            file.push(suffix);
            if let Err(error) = std::fs::remove_file(file)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                return Err(error.into());
            }
        }
        std::fs::copy(self.folder.path().join("world.db"), &path)?;
        std::fs::File::open(&path)?.sync_all()?;
        Ok(Copy { path })
    }
}

/// A database for one cell.
#[derive(Debug, Clone)]
pub struct Copy {
    path: PathBuf,
}

impl Copy {
    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("sqlite://{}", self.path.display())
    }

    /// The store on it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn store(&self) -> Result<SqliteStore, Failure> {
        open_store(&self.path).await
    }

    /// A loop of plain statements on one connection, as durable as the store, with so many
    /// operations in each transaction.
    ///
    /// # Errors
    /// Those of the database.
    pub fn raw(&self, work: Work, per_transaction: u32, span: Span) -> Result<Measured, Failure> {
        let connection = Connection::open(&self.path)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON",
        )?;
        let order = seats::in_turn();
        let mut visits = order.iter().cycle().copied();
        let from = Instant::now() + span.warm_up;
        let to = from + span.measured;
        let mut latencies = Latencies::default();
        let mut before = machine::seconds_of(std::process::id())?;
        let mut is_counting = false;
        loop {
            let begun = Instant::now();
            if begun >= to {
                break;
            }
            if !is_counting && begun >= from {
                is_counting = true;
                before = machine::seconds_of(std::process::id())?;
            }
            connection.execute_batch("BEGIN IMMEDIATE")?;
            for _ in 0..per_transaction {
                let seat = match work {
                    Work::Beat | Work::Debit => visits.next().unwrap_or(0),
                    Work::HotDebit => 0,
                };
                operate(&connection, work, seat)?;
            }
            connection.execute_batch("COMMIT")?;
            if is_counting {
                let took = begun.elapsed();
                (0..per_transaction).for_each(|_| latencies.add(took));
            }
        }
        let used = machine::seconds_of(std::process::id())? - before;
        let done = f64::from(u32::try_from(latencies.len())?);
        Ok(Measured {
            rate: done / span.measured.as_secs_f64(),
            p50_ms: latencies.percentile_ms(50),
            p99_ms: latencies.percentile_ms(99),
            driver_us: Some(used * 1e6 / done),
            per_transaction: Some(f64::from(per_transaction)),
            ..Measured::default()
        })
    }

    /// Checks that every second that seats or wallets were charged is in a transfer.
    ///
    /// # Errors
    /// Where it is not so.
    pub fn check(&self) -> Result<(), Failure> {
        let connection = Connection::open(&self.path)?;
        let sums: [i64; 4] = connection.query_row(CONSERVED, [], |row| {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
        })?;
        if sums[0] == sums[1] && sums[2] == sums[3] {
            Ok(())
        } else {
            Err(format!("accounts and transfers differ: {sums:?}").into())
        }
    }
}

fn operate(connection: &Connection, work: Work, seat: u32) -> Result<(), Failure> {
    let number = NUMBER_MIN + u64::from(seat);
    let wallet = format!("0x{number:040}");
    let stay = format!("00000000-0000-4000-8000-{number:012}");
    let now = i64::try_from(crate::server::now()?.unix())?;
    let version: i64 = match work {
        Work::Beat => {
            let mut sit = connection.prepare_cached(SIT)?;
            let version = sit.query_row((&stay, now, &wallet), |row| row.get(0))?;
            let mut pay = connection.prepare_cached(PAY)?;
            pay.query_row((&wallet,), |_| Ok(()))?;
            version
        }
        Work::Debit | Work::HotDebit => {
            let mut pay = connection.prepare_cached(PAY)?;
            pay.query_row((&wallet,), |row| row.get(0))?
        }
    };
    let id = format!("{number:016x}{version:016x}");
    let cause = (work == Work::Beat).then_some(&stay);
    let mut transfer = connection.prepare_cached(MOVE)?;
    transfer.execute((&id, &wallet, cause, now))?;
    Ok(())
}

async fn open_store(path: &Path) -> Result<SqliteStore, Failure> {
    let url = format!("sqlite://{}", path.display());
    Ok(SqliteStore::open(&url, SqliteOptions::default()).await?)
}
