//! Bringing the schema up to date.
//!
//! The driver's migrator would take an advisory lock, which belongs to a connection and so is lost
//! behind a pooler, and it would create its table anew each time, which a role that may not define
//! anything cannot. So the files are the driver's and the walk through them is ours: one
//! transaction, behind a lock on the table that remembers them.

use sqlx::migrate::{Migrate, MigrateError, Migration, Migrator};
use sqlx::postgres::PgPool;
use sqlx::{Connection, Executor, PgConnection, Row};

use crate::MIGRATIONS_TABLE;
use crate::error::OpenError;

/// Servers that start at once create the same table at once; one of them is refused and tries
/// again.
const TRIES_MAX: u32 = 5;

const LOCK: &str = "LOCK TABLE session_migrations IN SHARE ROW EXCLUSIVE MODE";

const UNLIMITED: &str = "SET LOCAL statement_timeout = 0";

const APPLIED: &str = "SELECT version, checksum FROM session_migrations ORDER BY version";

const REMEMBER: &str = "INSERT INTO session_migrations \
    (version, description, success, checksum, execution_time) VALUES ($1, $2, true, $3, -1)";

const IS_THERE: &str = "SELECT to_regclass('session_migrations') IS NOT NULL";

/// Applies what was not applied before.
pub(super) async fn run(pool: &PgPool) -> Result<(), OpenError> {
    let migrator: Migrator = sqlx::migrate!("migrations/postgres");
    let mut tries = 0;
    loop {
        tries += 1;
        let mut connection = pool.acquire().await.map_err(OpenError::Database)?;
        match walk(&mut connection, &migrator).await {
            Ok(()) => return Ok(()),
            Err(error) if is_race(&error) && tries < TRIES_MAX => {}
            Err(error) => return Err(OpenError::Migration(error)),
        }
    }
}

/// Whether everything is applied; nothing is changed.
pub(super) async fn check(pool: &PgPool) -> Result<(), OpenError> {
    let migrator: Migrator = sqlx::migrate!("migrations/postgres");
    let mut connection = pool.acquire().await.map_err(OpenError::Database)?;
    match is_current(&mut connection, &migrator).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(OpenError::NotCurrent),
        Err(error) => Err(OpenError::Migration(error)),
    }
}

async fn walk(connection: &mut PgConnection, migrator: &Migrator) -> Result<(), MigrateError> {
    let mut transaction = connection.begin().await?;
    if is_current(&mut transaction, migrator).await? {
        return Ok(());
    }
    // A migration, or another server's, may take its time.
    transaction.execute(UNLIMITED).await?;
    transaction
        .ensure_migrations_table(MIGRATIONS_TABLE)
        .await?;
    transaction.execute(LOCK).await?;
    let applied = applied(&mut transaction).await?;
    for migration in migrator.iter() {
        if !is_applied(&applied, migration)? {
            apply(&mut transaction, migration).await?;
        }
    }
    transaction.commit().await?;
    Ok(())
}

/// Whether there is nothing to do; found without any right to define something.
async fn is_current(
    connection: &mut PgConnection,
    migrator: &Migrator,
) -> Result<bool, MigrateError> {
    let is_there = sqlx::query(IS_THERE).persistent(false);
    let is_there: bool = is_there.fetch_one(&mut *connection).await?.try_get(0)?;
    if !is_there {
        return Ok(false);
    }
    let applied = applied(connection).await?;
    for (version, _) in &applied {
        // Somebody else's schema, or that of a later version.
        if !migrator.version_exists(*version) {
            return Err(MigrateError::VersionMissing(*version));
        }
    }
    for migration in migrator.iter() {
        if !is_applied(&applied, migration)? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn applied(connection: &mut PgConnection) -> Result<Vec<(i64, Vec<u8>)>, MigrateError> {
    let found = sqlx::query(APPLIED).persistent(false);
    let found = found.fetch_all(connection).await?;
    let pairs = found
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    pairs
        .collect::<Result<_, sqlx::Error>>()
        .map_err(MigrateError::Execute)
}

fn is_applied(applied: &[(i64, Vec<u8>)], migration: &Migration) -> Result<bool, MigrateError> {
    let found = applied
        .iter()
        .find(|(version, _)| *version == migration.version);
    match found {
        None => Ok(false),
        Some((_, checksum)) if *checksum == *migration.checksum => Ok(true),
        Some(_) => Err(MigrateError::VersionMismatch(migration.version)),
    }
}

async fn apply(connection: &mut PgConnection, migration: &Migration) -> Result<(), MigrateError> {
    let failed = |error| MigrateError::ExecuteMigration(error, migration.version);
    connection
        .execute(migration.sql.clone())
        .await
        .map_err(failed)?;
    sqlx::query(REMEMBER)
        .persistent(false)
        .bind(migration.version)
        .bind(migration.description.as_ref())
        .bind(migration.checksum.as_ref())
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

/// Whether another server did the same at the same time.
fn is_race(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else {
        return false;
    };
    let code = error.as_database_error().and_then(|inner| inner.code());
    // A value that is taken in a catalogue, a table that is there, a deadlock; and a statement that
    // is not where it was prepared, where a pooler in between handed the connection on.
    matches!(code.as_deref(), Some("23505" | "42P07" | "40P01" | "26000"))
}
