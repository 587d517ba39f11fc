//! A database that several servers of one test share, with a look at it past all of them.

use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{
    AssertSqlSafe, ColumnIndex, ConnectOptions, Database, Decode, Executor, IntoArguments,
    PgConnection, SqliteConnection, Type,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

use crate::people::JWT_SECRET;
use crate::rooms::MEDIA;
use crate::server::Server;
use crate::settings::run;
use crate::support::{self, Level};

/// Where servers keep their state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Sqlite,
    Postgres,
    /// PostgreSQL behind a pooler.
    Pooler,
}

/// A database of one test.
pub(crate) struct Place {
    folder: TempDir,
    url: String,
    is_pooled: bool,
    database: Option<support::Database>,
    /// A connection to it, kept since each costs the cluster a process.
    hand: Option<Mutex<PgConnection>>,
    runtime: Runtime,
}

impl Place {
    /// An empty database; `None` where there is none and need not be.
    pub(crate) fn new(on: On) -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let is_pooled = on == On::Pooler;
        let (url, database) = match on {
            On::Sqlite => ("sqlite://session.db".to_owned(), None),
            On::Postgres | On::Pooler => {
                let made = support::Database::new(Level::ReadCommitted, is_pooled);
                let database = runtime.block_on(made)?;
                (database.served_at(), Some(database))
            }
        };
        let hand = database.as_ref().map(|database| {
            let hand = runtime.block_on(database.by_hand());
            Mutex::new(hand)
        });
        Some(Self {
            folder,
            url,
            is_pooled,
            database,
            hand,
            runtime,
        })
    }

    /// Where it is, as servers are told.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The settings of every server on it.
    pub(crate) fn settings(&self) -> Vec<(&str, &str)> {
        let pooler = if self.is_pooled { "on" } else { "off" };
        let own = [
            ("DATABASE_URL", self.url.as_str()),
            ("SESSION_DB_POOLER", pooler),
            ("JWT_SECRET", JWT_SECRET),
        ];
        [&own[..], &MEDIA].concat()
    }

    /// Runs a command on it to its end: its exit code and all it wrote.
    pub(crate) fn run(&self, arguments: &[&str], more: &[(&str, &str)]) -> (Option<i32>, String) {
        let settings = [&self.settings()[..], more].concat();
        run(self.folder.path(), arguments, &settings)
    }

    /// A server on it, with some settings more.
    pub(crate) fn serve(&self, more: &[(&str, &str)]) -> Server {
        let settings = [&self.settings()[..], more].concat();
        Server::start(self.folder.path(), &settings)
    }

    /// The one number that a query finds, if it finds any.
    pub(crate) fn number(&self, query: &str) -> Option<i64> {
        self.runtime.block_on(async {
            match &self.hand {
                Some(hand) => one(&mut *hand.lock().await, query).await,
                None => one(&mut self.file().await, query).await,
            }
        })
    }

    /// The number that a query must find.
    pub(crate) fn count(&self, query: &str) -> i64 {
        self.number(query).expect("it finds a row")
    }

    /// The text that a query must find.
    pub(crate) fn text(&self, query: &str) -> String {
        let found = self.runtime.block_on(async {
            match &self.hand {
                Some(hand) => one(&mut *hand.lock().await, query).await,
                None => one(&mut self.file().await, query).await,
            }
        });
        found.expect("it finds a row")
    }

    /// Changes something by hand, all statements at once.
    pub(crate) fn change(&self, statements: &str) {
        let statements = AssertSqlSafe(format!("BEGIN; {statements}; COMMIT"));
        let changed = self.runtime.block_on(async {
            match &self.hand {
                Some(hand) => hand.lock().await.execute(statements).await.map(|_| ()),
                None => self.file().await.execute(statements).await.map(|_| ()),
            }
        });
        changed.expect("statements");
    }

    async fn file(&self) -> SqliteConnection {
        let path = self.folder.path().join("session.db");
        let opened = SqliteConnectOptions::new().filename(path).connect().await;
        opened.expect("it opens")
    }

    /// Seconds in which no server was alive, as servers wrote them down, within a span.
    pub(crate) fn outage_seconds(&self, from: i64, to: i64) -> i64 {
        let outages = self.outages();
        let spans = outages.iter().map(|span| {
            let end = |name: &str| span[name].as_i64().expect("an instant");
            (end("to").min(to) - end("from").max(from)).max(0)
        });
        spans.sum()
    }

    /// The spans in which no server was alive.
    pub(crate) fn outages(&self) -> Vec<Value> {
        let text = self.text("SELECT outages FROM service");
        serde_json::from_str(&text).expect("a list")
    }

    /// What is wrong with the database as a whole: by queries of our own, and by the audit.
    pub(crate) fn broken(&self) -> Vec<String> {
        let mut broken = self.broken_rules();
        let (code, report) = self.run(&["audit"], &[]);
        if code != Some(0) {
            broken.push(report);
        }
        broken
    }

    /// The rules that the database breaks, each by its name, where a test has bent what the journal
    /// tells.
    pub(crate) fn broken_rules(&self) -> Vec<String> {
        let rules = RULES.iter().filter_map(|(name, query)| {
            let broken = self.count(query);
            (broken != 0).then(|| format!("{name}: {broken} times"))
        });
        rules.collect()
    }
}

/// The one value that a query finds, if it finds any.
async fn one<'c, E, T>(hand: E, query: &str) -> Option<T>
where
    E: Executor<'c>,
    T: Send + Unpin + Type<E::Database> + for<'r> Decode<'r, E::Database>,
    usize: ColumnIndex<<E::Database as Database>::Row>,
    <E::Database as Database>::Arguments: IntoArguments<E::Database>,
{
    let query = sqlx::query_scalar(AssertSqlSafe(query.to_owned()));
    query.fetch_optional(hand).await.expect("a query")
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(database) = self.database.take() {
            self.runtime.block_on(database.remove());
        }
    }
}

/// What counts the breaches of a rule. No test here leaves anything reserved.
const RULES: &[(&str, &str)] = &[
    (
        "an account is the sum of its transfers",
        "SELECT count(*) FROM account AS a WHERE a.credits_posted <> (\
            SELECT coalesce(sum(t.amount), 0) FROM transfer AS t \
            WHERE t.credit_kind = a.kind AND t.credit_owner = a.owner AND t.unit = a.unit\
        ) OR a.debits_posted <> (\
            SELECT coalesce(sum(t.amount), 0) FROM transfer AS t \
            WHERE t.debit_kind = a.kind AND t.debit_owner = a.owner AND t.unit = a.unit)",
    ),
    (
        "a transfer to a wallet has its account",
        "SELECT count(*) FROM transfer AS t WHERE t.credit_kind = 'wallet' AND NOT EXISTS (\
            SELECT 1 FROM account AS a \
            WHERE a.kind = 'wallet' AND a.owner = t.credit_owner AND a.unit = t.unit)",
    ),
    (
        "a seat costs what was paid for it",
        "SELECT count(*) FROM seat AS s WHERE s.charged <> (\
            SELECT coalesce(sum(t.amount), 0) FROM transfer AS t \
            WHERE t.connection = s.connection AND t.reason = 'debit_usage')",
    ),
    (
        "nobody pays after the end",
        "SELECT count(*) FROM seat WHERE metered_to > gone_at",
    ),
    (
        "a wallet has one seat",
        "SELECT count(*) FROM (SELECT 1 FROM seat WHERE gone_at IS NULL \
            GROUP BY wallet HAVING count(*) > 1) AS several",
    ),
    (
        "a host has one room",
        "SELECT count(*) FROM (SELECT 1 FROM room WHERE closed_at IS NULL \
            GROUP BY host HAVING count(*) > 1) AS several",
    ),
    (
        "a room counts its seats, and has no more than six",
        "SELECT count(*) FROM room WHERE live_seats > 6 OR live_seats <> (\
            SELECT count(*) FROM seat WHERE seat.room = room.id AND seat.gone_at IS NULL)",
    ),
    (
        "a grant is given once",
        "SELECT count(*) FROM (SELECT 1 FROM transfer \
            WHERE reason IN ('grant_base', 'grant_celo_bonus') \
            GROUP BY reason, credit_owner HAVING count(*) > 1) AS several",
    ),
    (
        "the chain counts its blocks",
        "SELECT count(*) FROM chain WHERE blocks <> (SELECT count(*) FROM block) \
            OR blocks <> (SELECT coalesce(max(number), 0) FROM block)",
    ),
    (
        "an entry is in one block, or in none",
        "SELECT count(*) FROM journal AS j WHERE (\
            SELECT count(*) FROM block AS b WHERE b.entries LIKE '%\"' || j.id || '\"%'\
        ) + (SELECT count(*) FROM unsealed AS u WHERE u.entry = j.id) <> 1",
    ),
];
