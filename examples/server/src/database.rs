//! Where state lives: which database, and how to reach it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use session_core::ports::{Archive, Store};
use session_sqlx::{PostgresOptions, PostgresStore, SqliteOptions, SqliteStore};
use session_testkit::memory::MemoryStore;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::cli::Flags;
use crate::config::{ConfigError, Environment, invalid, setting};
use crate::parts::Failure;
use crate::secrets::read_secret;

const NAME: &str = "DATABASE_URL";
const DEFAULT: &str = "sqlite://session.db";

/// Where state lives.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Database {
    Memory,
    Postgres {
        /// With a password, maybe.
        url: String,
        pooler: bool,
    },
    Sqlite {
        url: String,
        path: PathBuf,
    },
}

impl Database {
    /// Reads the settings of the database.
    pub(crate) fn read(flags: &Flags, environment: Environment) -> Result<Self, ConfigError> {
        let pooler = match setting("SESSION_DB_POOLER", None)?.as_deref() {
            None | Some("off") => false,
            Some("on") => true,
            Some(_) => return Err(invalid("SESSION_DB_POOLER", "not on or off".to_owned())),
        };
        let flag = flags.database_url.clone();
        let is_flag = flag.is_some();
        let url = match flag {
            Some(url) => Some(url),
            None => read_secret(NAME)?.filter(|url| !url.is_empty()),
        };
        let url = url.unwrap_or_else(|| DEFAULT.to_owned());
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            check_postgres(&url, is_flag)?;
            return Ok(Self::Postgres { url, pooler });
        }
        if pooler {
            let why = "there is a pooler only before PostgreSQL";
            return Err(invalid("SESSION_DB_POOLER", why.to_owned()));
        }
        if url == "memory:" {
            return match environment {
                Environment::Development => Ok(Self::Memory),
                Environment::Production => {
                    Err(invalid(NAME, "memory: is for development".to_owned()))
                }
            };
        }
        sqlite(url)
    }

    /// Whether a pooler stands before the database.
    pub(crate) const fn pooler(&self) -> bool {
        matches!(self, Self::Postgres { pooler: true, .. })
    }

    /// Opens the database and brings its schema up to date.
    pub(crate) async fn open(&self) -> Result<Opened, Failure> {
        let opened = self.connect().await?;
        match &opened {
            Opened::Memory(_) => {}
            Opened::Postgres(store) => store.migrate().await?,
            Opened::Sqlite(store) => store.migrate().await?,
        }
        Ok(opened)
    }

    async fn connect(&self) -> Result<Opened, Failure> {
        Ok(match self {
            Self::Memory => Opened::Memory(Arc::new(MemoryStore::new())),
            Self::Postgres { url, pooler } => {
                let mut options = PostgresOptions::default();
                options.pooler = *pooler;
                Opened::Postgres(PostgresStore::open(url, options).await?)
            }
            Self::Sqlite { url, .. } => {
                Opened::Sqlite(SqliteStore::open(url, SqliteOptions::default()).await?)
            }
        })
    }

    /// Opens a database that is there, and changes nothing: whoever only looks at it must not take
    /// a name that was mistyped for a new database in which all is well.
    pub(crate) async fn open_existing(&self) -> Result<Opened, Failure> {
        if let Self::Sqlite { path, .. } = self
            && !path.exists()
        {
            return Err(format!("there is no file {}", path.display()).into());
        }
        let opened = self.connect().await?;
        match &opened {
            Opened::Memory(_) => {}
            Opened::Postgres(store) => store.check_schema().await?,
            Opened::Sqlite(store) => store.check_schema().await?,
        }
        Ok(opened)
    }
}

impl fmt::Display for Database {
    /// Where it is, without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Postgres { url, .. } => f.write_str(&without_password(url)),
            Self::Sqlite { url, .. } => f.write_str(url),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A database that is open.
pub(crate) enum Opened {
    Memory(Arc<MemoryStore>),
    Postgres(PostgresStore),
    Sqlite(SqliteStore),
}

impl Opened {
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Memory(store) => store.clone(),
            Self::Postgres(store) => Arc::new(store.clone()),
            Self::Sqlite(store) => Arc::new(store.clone()),
        }
    }

    pub(crate) fn archive(&self) -> &dyn Archive {
        match self {
            Self::Memory(store) => &**store,
            Self::Postgres(store) => store,
            Self::Sqlite(store) => store,
        }
    }

    pub(crate) async fn close(self) {
        match self {
            Self::Memory(_) => {}
            Self::Postgres(store) => store.close().await,
            Self::Sqlite(store) => store.close().await,
        }
    }
}

fn check_postgres(url: &str, is_flag: bool) -> Result<(), ConfigError> {
    let wrong = |why: &str| invalid(NAME, why.to_owned());
    // What the driver says of an address may have the password in it.
    let options =
        PgConnectOptions::from_str(url).map_err(|_| wrong("not postgres://user@host/database"))?;
    if is_flag && has_password(url) {
        return Err(wrong(
            "a password is never an argument: use the variable or DATABASE_URL_FILE",
        ));
    }
    // `security.md` H4.
    let is_near = options.get_socket().is_some() || is_loopback(options.get_host());
    if !is_near && !matches!(options.get_ssl_mode(), PgSslMode::VerifyFull) {
        return Err(wrong(
            "a database that is not on this machine needs sslmode=verify-full",
        ));
    }
    Ok(())
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    // A host that begins so is a folder with a socket in it.
    host == "localhost"
        || host.starts_with('/')
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The parts of an address before and after what stands between `://` and its last `@`.
fn around_authority(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    let (user, host) = authority.rsplit_once('@')?;
    // The slices below are of one text.
    let after = rest.get(user.len()..)?;
    debug_assert!(after.contains(host) && after.ends_with(path));
    Some((scheme, user, after))
}

fn has_password(url: &str) -> bool {
    let in_user = around_authority(url).is_some_and(|(_, user, _)| user.contains(':'));
    let query = url.split_once('?').map_or("", |(_, query)| query);
    in_user
        || query
            .split('&')
            .any(|parameter| is_secret(parameter.split('=').next()))
}

/// Whether a parameter may hold the password. The driver decodes names that are written with `%`.
fn is_secret(name: Option<&str>) -> bool {
    name.is_some_and(|name| name == "password" || name.contains('%'))
}

fn without_password(url: &str) -> String {
    let Some((address, query)) = url.split_once('?') else {
        return without_user_password(url);
    };
    let parameters: Vec<&str> = query
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some((name, _)) if is_secret(Some(name)) => "password=(redacted)",
            _ => parameter,
        })
        .collect();
    format!(
        "{}?{}",
        without_user_password(address),
        parameters.join("&")
    )
}

fn without_user_password(url: &str) -> String {
    match around_authority(url) {
        Some((scheme, user, after)) => match user.split_once(':') {
            Some((name, _)) => format!("{scheme}://{name}:(redacted){after}"),
            None => url.to_owned(),
        },
        None => url.to_owned(),
    }
}

fn sqlite(url: String) -> Result<Database, ConfigError> {
    let path = url
        .strip_prefix("sqlite://")
        .filter(|path| !path.is_empty() && !path.starts_with(':') && !path.contains(['?', '%']))
        .map(PathBuf::from);
    match path {
        Some(path) => {
            // The file is made where it is missing, its folder is not.
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            match folder.filter(|folder| !folder.is_dir()) {
                Some(folder) => Err(invalid(
                    NAME,
                    format!("there is no folder {}", folder.display()),
                )),
                None => Ok(Database::Sqlite { url, path }),
            }
        }
        // Options of the driver would undo what the store promises.
        None => Err(invalid(
            NAME,
            "not sqlite://PATH, a path without options, postgres://… or memory:".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (url, shown) in [
            ("postgres://a@h/d", "postgres://a@h/d"),
            ("postgres://a:p@h:1/d", "postgres://a:(redacted)@h:1/d"),
            ("postgres://a:p@q@h/d", "postgres://a:(redacted)@h/d"),
            (
                "postgres://h/d?p%61ssword=p",
                "postgres://h/d?password=(redacted)",
            ),
            (
                "postgres://h/d?user=a&password=p&sslmode=verify-full",
                "postgres://h/d?user=a&password=(redacted)&sslmode=verify-full",
            ),
        ] {
            let database = Database::Postgres {
                url: url.to_owned(),
                pooler: false,
            };
            assert_eq!(format!("{database}"), shown);
            assert_eq!(format!("{database:?}"), shown);
        }
    }

    #[test]
    fn far_databases_need_a_certificate_that_is_checked() {
        for url in [
            "postgres://a@localhost/d",
            "postgres://a@127.0.0.1/d",
            "postgres://a@[::1]/d",
            "postgres:///d?host=/run/postgresql",
            "postgres://a@db.example/d?sslmode=verify-full",
        ] {
            assert!(check_postgres(url, false).is_ok(), "{url}");
        }
        for url in [
            "postgres://a@db.example/d",
            "postgres://a@db.example/d?sslmode=require",
            "postgres://a@db.example/d?sslmode=verify-ca",
            "postgres://a@10.0.0.1/d",
            "postgres://a@localhost.example/d",
            "postgres://a@h:port/d",
        ] {
            assert!(check_postgres(url, false).is_err(), "{url}");
        }
        assert!(check_postgres("postgres://a:p@localhost/d", false).is_ok());
        assert!(check_postgres("postgres://a:p@localhost/d", true).is_err());
    }
}
