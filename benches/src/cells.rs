//! One cell of a comparison: a load on a fresh copy of the world, and what it used.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use session_core::ports::Store;
use tokio::runtime::{Builder, Runtime};

use crate::commits::{self, Load};
use crate::http::{self, Edge, Script, Span};
use crate::postgres::Postgres;
use crate::report::Measured;
use crate::seats::Work;
use crate::server::Server;
use crate::sqlite::Sqlite;
use crate::{Failure, machine, postgres, sqlite};

/// A database that holds the world.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "there are two databases")]
pub enum World {
    /// A server of PostgreSQL.
    Postgres(Postgres),
    /// A file.
    Sqlite(Sqlite),
}

/// A copy of the world for one cell.
#[derive(Debug)]
enum Copy {
    Postgres(postgres::Copy),
    Sqlite(sqlite::Copy),
}

/// How a store is used inside this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "there are two ways")]
pub enum Form {
    /// As by default: one store for all clients.
    Grouped,
    /// Each commit in a transaction of its own: with PostgreSQL each client has a store and a
    /// connection to itself, with SQLite only one client commits at a time.
    Ungrouped,
}

impl Form {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grouped => "grouped",
            Self::Ungrouped => "ungrouped",
        }
    }
}

/// What was used so far.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    product: f64,
    database: f64,
    driver: f64,
    transactions: i64,
}

impl World {
    /// Its name in reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::Sqlite(_) => "sqlite",
        }
    }

    fn copy(&self, runtime: &Runtime) -> Result<Copy, Failure> {
        Ok(match self {
            Self::Postgres(world) => Copy::Postgres(runtime.block_on(world.copy())?),
            Self::Sqlite(world) => Copy::Sqlite(world.copy()?),
        })
    }

    const fn seeded_at(&self) -> session_core::types::Timestamp {
        match self {
            Self::Postgres(world) => world.seeded_at,
            Self::Sqlite(world) => world.seeded_at,
        }
    }

    /// Heartbeats over HTTP on the bundled server.
    ///
    /// # Errors
    /// Where anything fails, or sums are not conserved.
    pub fn beats_over_http(
        &self,
        server: &Path,
        connections: usize,
        script: &Rc<Script>,
        span: Span,
    ) -> Result<Measured, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let copy = self.copy(&runtime)?;
        let server = Server::start(server, &copy.url(), self.seeded_at())?;
        let mut edges = Vec::new();
        let seen = runtime.block_on(http::beat(
            server.address,
            connections,
            script.clone(),
            span,
            async |_| {
                edges.push(Used {
                    product: server.seconds()?,
                    ..copy.used().await?
                });
                Ok(())
            },
        ))?;
        drop(server);
        runtime.block_on(copy.check())?;
        let mut notes = Vec::new();
        if seen.idle > 0 {
            notes.push(format!("{} more found nothing owed", seen.idle));
        }
        if seen.refused > 0 {
            notes.push(format!("{} were refused", seen.refused));
        }
        let mut measured = measured(&seen.latencies, span, &edges)?;
        measured.notes.append(&mut notes);
        Ok(measured)
    }

    /// A load on the store inside this process.
    ///
    /// # Errors
    /// Where anything fails, or sums are not conserved.
    pub fn in_process(
        &self,
        work: Work,
        form: Form,
        clients: usize,
        span: Span,
    ) -> Result<Measured, Failure> {
        let runtime = Runtime::new()?;
        let copy = self.copy(&runtime)?;
        let mut stores: Vec<Arc<dyn Store>> = Vec::new();
        let is_postgres = matches!(copy, Copy::Postgres(_));
        match (&copy, form) {
            (Copy::Postgres(copy), Form::Grouped) => {
                stores.push(Arc::new(runtime.block_on(copy.store(None))?));
            }
            (Copy::Postgres(copy), Form::Ungrouped) => {
                for _ in 0..clients {
                    stores.push(Arc::new(runtime.block_on(copy.store(Some(1)))?));
                }
            }
            (Copy::Sqlite(copy), _) => stores.push(Arc::new(runtime.block_on(copy.store())?)),
        }
        let load = Load {
            stores,
            clients,
            is_one_at_a_time: form == Form::Ungrouped && !is_postgres,
            work,
            seeded_at: self.seeded_at(),
        };
        let mut edges = Vec::new();
        let latencies = runtime.block_on(commits::run(&load, span, async |_: Edge| {
            edges.push(copy.used().await?);
            Ok(())
        }))?;
        drop(load);
        runtime.block_on(copy.check())?;
        let mut measured = measured(&latencies, span, &edges)?;
        // Nobody else is in this process worth counting.
        measured.product_us = measured.driver_us.take();
        Ok(measured)
    }

    /// The same work without the product: pgbench with so many clients, or a loop with so many
    /// operations in each transaction.
    ///
    /// # Errors
    /// Where anything fails, or sums are not conserved.
    pub fn raw(&self, work: Work, width: usize, span: Span) -> Result<Measured, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let copy = self.copy(&runtime)?;
        let measured = match &copy {
            Copy::Postgres(copy) => copy.pgbench(work, width, span)?,
            Copy::Sqlite(copy) => copy.raw(work, u32::try_from(width)?, span)?,
        };
        runtime.block_on(copy.check())?;
        Ok(measured)
    }
}

impl Copy {
    fn url(&self) -> String {
        match self {
            Self::Postgres(copy) => copy.url.clone(),
            Self::Sqlite(copy) => copy.url(),
        }
    }

    async fn check(&self) -> Result<(), Failure> {
        match self {
            Self::Postgres(copy) => copy.check().await,
            Self::Sqlite(copy) => copy.check(),
        }
    }

    async fn used(&self) -> Result<Used, Failure> {
        let mut used = Used {
            driver: machine::seconds_of(std::process::id())?,
            ..Used::default()
        };
        if let Self::Postgres(copy) = self {
            used.database = copy.seconds()?;
            used.transactions = copy.transactions().await?;
        }
        Ok(used)
    }
}

fn measured(
    latencies: &crate::report::Latencies,
    span: Span,
    edges: &[Used],
) -> Result<Measured, Failure> {
    let [from, to] = edges else {
        return Err("a load has two edges".into());
    };
    let done = f64::from(u32::try_from(latencies.len())?);
    let micros = |from: f64, to: f64| (to > from).then_some((to - from) * 1e6 / done);
    let transactions = u32::try_from(to.transactions.saturating_sub(from.transactions))?;
    Ok(Measured {
        rate: done / span.measured.as_secs_f64(),
        p50_ms: latencies.percentile_ms(50),
        p99_ms: latencies.percentile_ms(99),
        product_us: micros(from.product, to.product),
        database_us: micros(from.database, to.database),
        driver_us: micros(from.driver, to.driver),
        per_transaction: (transactions > 0).then_some(done / f64::from(transactions)),
        notes: Vec::new(),
    })
}
