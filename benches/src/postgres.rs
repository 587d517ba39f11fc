//! PostgreSQL: a cluster for the run, copies of the world, pgbench, and what must hold afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::Arc;

use session_core::types::Timestamp;
use session_sqlx::{PostgresOptions, PostgresStore};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor, Row};

use crate::http::Span;
use crate::report::{Latencies, Measured};
use crate::seats::{self, NUMBER_MIN, SEATS, Work};
use crate::{Failure, machine};

/// The database that every cell gets a copy of.
const WORLD: &str = "session_bench_world";
/// The copy.
const COPY: &str = "session_bench_copy";
/// One of so many transactions of pgbench is timed.
const SAMPLING: &str = "0.1";

/// A cluster of the script's making, which ends with this value.
#[derive(Debug)]
struct Cluster {
    script: PathBuf,
    folder: PathBuf,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let stop = Command::new("bash")
            .arg(&self.script)
            .arg("stop")
            .arg(&self.folder)
            .status();
        if !stop.is_ok_and(|status| status.success()) {
            eprintln!("the cluster in {} is still there", self.folder.display());
        }
    }
}

/// A server of PostgreSQL on this machine that holds the world.
#[derive(Debug)]
pub struct Postgres {
    /// Of a database that is left alone, with the right to make others.
    url: String,
    postmaster: u32,
    /// When the world was made.
    pub seeded_at: Timestamp,
    _cluster: Option<Cluster>,
}

/// A database for one cell.
#[derive(Debug, Clone)]
pub struct Copy {
    /// Its address.
    pub url: String,
    postmaster: u32,
}

impl Postgres {
    /// The server at `url`; where there is none, one that `script` starts and that ends with this
    /// value. The world is made in it.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn open(url: Option<String>, script: &Path, now: Timestamp) -> Result<Self, Failure> {
        let (url, cluster) = match url {
            Some(url) => (url, None),
            None => {
                let (url, cluster) = start(script)?;
                (url, Some(cluster))
            }
        };
        let mut admin = connect(&url).await?;
        if cluster.is_some() {
            // A load is over before the first checkpoint otherwise falls into some cells and not
            // into others.
            admin
                .execute("ALTER SYSTEM SET max_wal_size = '8GB'")
                .await?;
            admin.execute("SELECT pg_reload_conf()").await?;
        }
        let backend: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
            .fetch_one(&mut admin)
            .await?;
        let postmaster = machine::parent_of(u32::try_from(backend)?)
            .map_err(|_| "the server must be on this machine: its processor time is read")?;
        drop_database(&mut admin, WORLD).await?;
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {WORLD}")))
            .execute(&mut admin)
            .await?;
        let store = open_store(&with_database(&url, WORLD), None).await?;
        store.migrate().await?;
        seats::seed(Arc::new(store.clone()), now).await?;
        store.close().await;
        let mut world = connect(&with_database(&url, WORLD)).await?;
        world
            .execute("CREATE EXTENSION IF NOT EXISTS pg_prewarm")
            .await?;
        world.execute("VACUUM (FREEZE, ANALYZE)").await?;
        world.close().await?;
        Ok(Self {
            url,
            postmaster,
            seeded_at: now,
            _cluster: cluster,
        })
    }

    /// A fresh copy of the world, in memory as far as it fits, with no checkpoint due.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn copy(&self) -> Result<Copy, Failure> {
        let mut admin = connect(&self.url).await?;
        drop_database(&mut admin, COPY).await?;
        admin.execute("CHECKPOINT").await?;
        let make = format!("CREATE DATABASE {COPY} TEMPLATE {WORLD}");
        sqlx::query(sqlx::AssertSqlSafe(make))
            .execute(&mut admin)
            .await?;
        admin.close().await?;
        let url = with_database(&self.url, COPY);
        let mut copy = connect(&url).await?;
        let warm = "SELECT pg_prewarm(oid::regclass) FROM pg_class \
            WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')";
        copy.execute(warm).await?;
        copy.close().await?;
        Ok(Copy {
            url,
            postmaster: self.postmaster,
        })
    }
}

impl Copy {
    /// Processor seconds of all processes of the server so far.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn seconds(&self) -> Result<f64, Failure> {
        machine::seconds_of_family(self.postmaster)
    }

    /// Transactions that this database has committed, as far as it has counted them.
    ///
    /// # Errors
    /// Those of the server.
    pub async fn transactions(&self) -> Result<i64, Failure> {
        let mut connection = connect(&self.url).await?;
        let count = sqlx::query_scalar(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()",
        )
        .fetch_one(&mut connection)
        .await?;
        connection.close().await?;
        Ok(count)
    }

    /// The store on it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn store(&self, connections: Option<u32>) -> Result<PostgresStore, Failure> {
        open_store(&self.url, connections).await
    }

    /// Runs pgbench with so many clients, each transaction one prepared statement.
    ///
    /// # Errors
    /// Where pgbench fails.
    pub fn pgbench(&self, work: Work, clients: usize, span: Span) -> Result<Measured, Failure> {
        let (script, last) = match work {
            Work::Beat => ("beat.sql", SEATS - 1),
            Work::Debit => ("debit.sql", SEATS - 1),
            Work::HotDebit => ("debit.sql", 0),
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("pgbench")
            .join(script);
        let log = tempfile::tempdir()?;
        let run = |seconds: u64, log: Option<&Path>| -> Result<String, Failure> {
            let mut command = Command::new("pgbench");
            command
                .args(["--no-vacuum", "--protocol=prepared"])
                .args(["--define".to_owned(), format!("first={NUMBER_MIN}")])
                .args([
                    "--define".to_owned(),
                    format!("last={}", NUMBER_MIN + u64::from(last)),
                ])
                .args(["--client".to_owned(), clients.to_string()])
                .args(["--jobs", if clients > 1 { "2" } else { "1" }])
                .args(["--time".to_owned(), seconds.max(1).to_string()])
                .arg("--file")
                .arg(&script);
            if let Some(log) = log {
                command.args(["--log", "--sampling-rate", SAMPLING]);
                command.arg(format!("--log-prefix={}", log.join("log").display()));
            }
            let output = command.arg(&self.url).stderr(Stdio::piped()).output()?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into());
            }
            Ok(String::from_utf8(output.stdout)?)
        };
        run(span.warm_up.as_secs(), None)?;
        let before = (self.seconds()?, machine::seconds_of_ended_children()?);
        let said = run(span.measured.as_secs(), Some(log.path()))?;
        let after = (self.seconds()?, machine::seconds_of_ended_children()?);
        let number = |before: &str| -> Result<f64, Failure> {
            let rest = said.lines().find_map(|line| line.strip_prefix(before));
            let word = rest.and_then(|rest| rest.split_whitespace().next());
            Ok(word.ok_or("pgbench said something else")?.parse()?)
        };
        let done = number("number of transactions actually processed: ")?;
        let failed = number("number of failed transactions: ").unwrap_or(0.0);
        let latencies = read_logs(log.path())?;
        Ok(Measured {
            rate: number("tps = ")?,
            p50_ms: latencies.percentile_ms(50),
            p99_ms: latencies.percentile_ms(99),
            product_us: None,
            database_us: Some((after.0 - before.0) * 1e6 / done),
            driver_us: Some((after.1 - before.1) * 1e6 / done),
            per_transaction: Some(1.0),
            notes: if failed > 0.0 {
                vec![format!("{failed} failed")]
            } else {
                Vec::new()
            },
        })
    }

    /// Checks that every second that seats or wallets were charged is in a transfer.
    ///
    /// # Errors
    /// Where it is not so.
    pub async fn check(&self) -> Result<(), Failure> {
        let mut connection = connect(&self.url).await?;
        let row = sqlx::query(CONSERVED).fetch_one(&mut connection).await?;
        let (posted, moved): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let (charged, metered): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
        connection.close().await?;
        if posted == moved && charged == metered {
            Ok(())
        } else {
            Err(format!(
                "accounts {posted}, transfers {moved}; seats {charged}, transfers {metered}"
            )
            .into())
        }
    }
}

/// What accounts paid, what transfers took from them, what seats were charged, and what transfers
/// took for seats.
pub(crate) const CONSERVED: &str = "SELECT \
    CAST((SELECT SUM(debits_posted) FROM account WHERE kind = 'wallet') AS BIGINT), \
    CAST((SELECT COALESCE(SUM(amount), 0) FROM transfer WHERE debit_kind = 'wallet') AS BIGINT), \
    CAST((SELECT SUM(charged) FROM seat) AS BIGINT), \
    CAST((SELECT COALESCE(SUM(amount), 0) FROM transfer WHERE connection IS NOT NULL) AS BIGINT)";

async fn open_store(url: &str, connections: Option<u32>) -> Result<PostgresStore, Failure> {
    let mut options = PostgresOptions::default();
    if let Some(connections) = connections {
        options.connections_max = connections.try_into()?;
    }
    Ok(PostgresStore::open(url, options).await?)
}

async fn connect(url: &str) -> Result<PgConnection, Failure> {
    Ok(PgConnection::connect_with(&PgConnectOptions::from_str(url)?).await?)
}

async fn drop_database(admin: &mut PgConnection, name: &str) -> Result<(), Failure> {
    let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    sqlx::query(sqlx::AssertSqlSafe(statement))
        .execute(admin)
        .await?;
    Ok(())
}

/// The same server, another database. Without encryption: both sides of a comparison would pay
/// for it in different libraries.
fn with_database(url: &str, name: &str) -> String {
    let (front, parameters) = url.split_once('?').unwrap_or((url, "sslmode=disable"));
    let server = front.rsplit_once('/').map_or(front, |(server, _)| server);
    format!("{server}/{name}?{parameters}")
}

fn start(script: &Path) -> Result<(String, Cluster), Failure> {
    let folder = std::env::temp_dir().join(format!("session-bench-{}", std::process::id()));
    let output = Command::new("bash")
        .arg(script)
        .arg("start")
        .arg(&folder)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("the script did not start a cluster".into());
    }
    let cluster = Cluster {
        script: script.to_path_buf(),
        folder,
    };
    let said = String::from_utf8(output.stdout)?;
    let url = said
        .lines()
        .find_map(|line| line.strip_prefix("export SESSION_TEST_POSTGRES="))
        .ok_or("the script did not say where the cluster is")?;
    Ok((format!("{}?sslmode=disable", url.trim()), cluster))
}

/// The times in the logs of pgbench: the third word of each line, in microseconds.
fn read_logs(folder: &Path) -> Result<Latencies, Failure> {
    let mut latencies = Latencies::default();
    for entry in fs::read_dir(folder)? {
        for line in fs::read_to_string(entry?.path())?.lines() {
            if let Some(micros) = line.split_whitespace().nth(2) {
                latencies.add_micros(micros.parse()?);
            }
        }
    }
    Ok(latencies)
}
