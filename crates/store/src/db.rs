//! The two databases behind one door: connections, transactions, and who writes next.
//!
//! SQLite has one writer. Its turn is given out here, urgent work (sends, webhooks) before bulk work (imports,
//! planning), so that a chunk of an import delays a claim by one short transaction at the most.

use std::ops::{Deref, DerefMut};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, Instant};

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, PgPool, Postgres, SqlSafeStr, Sqlite, SqlitePool, Transaction};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, watch};

use crate::blind::Blind;
use crate::error::{Error, Result};
use crate::{pg_copy, wal};

/// How long a statement waits for a free connection or SQLite's lock before it is [`Error::Unavailable`].
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// At most so many to a PostgreSQL server.
pub(crate) const POSTGRES_CONNECTIONS: u32 = 12;

/// How long urgent work may go before what is to be done soon.
const PUT_OFF: Duration = Duration::from_millis(50);

/// Every statement of Hudhud goes through this handle. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) db: Db,
    /// Makes the hashes that stand for erased people, once their key is known.
    pub(crate) blind: Arc<OnceLock<Blind>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Db {
    Sqlite { read: SqlitePool, write: SqlitePool, turns: Arc<Turns> },
    Postgres(PgPool),
}

/// Who goes first for SQLite's one writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Claims, outcomes, webhooks, commands of a person.
    Urgent,
    /// Statuses: in short transactions, after whatever urgent work waits, but never put off for long. They would pile up
    /// while a campaign keeps the writer busy.
    Soon,
    /// Imports, planning, exports, sealing: in chunks, and after whatever urgent work waits.
    Bulk,
}

/// Gives SQLite's writer to one transaction at a time.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    writer: Arc<Mutex<()>>,
    urgent_waiting: AtomicUsize,
    /// How often urgent work did not get the writer at once.
    urgent_waits: AtomicU64,
    calm: Notify,
    /// Told of each transaction of bulk work.
    written: watch::Sender<()>,
}

impl Turns {
    pub(crate) async fn take(&self, priority: Priority) -> OwnedMutexGuard<()> {
        match priority {
            Priority::Urgent => self.take_now().await,
            Priority::Soon => match tokio::time::timeout(PUT_OFF, self.take_when_calm()).await {
                Ok(turn) => turn,
                Err(_) => self.take_now().await,
            },
            Priority::Bulk => self.take_when_calm().await,
        }
    }

    async fn take_now(&self) -> OwnedMutexGuard<()> {
        self.urgent_waiting.fetch_add(1, Ordering::SeqCst);
        // Dropping the future while it waits must not leave the counter up.
        let waiting = Waiting(self);
        if let Ok(guard) = Arc::clone(&self.writer).try_lock_owned() {
            return guard;
        }
        self.urgent_waits.fetch_add(1, Ordering::Relaxed);
        let guard = Arc::clone(&self.writer).lock_owned().await;
        drop(waiting);
        guard
    }

    async fn take_when_calm(&self) -> OwnedMutexGuard<()> {
        loop {
            let calm = self.calm.notified();
            if self.urgent_waiting.load(Ordering::SeqCst) > 0 {
                // The timeout is a safety net against a wake-up that came between the two lines above.
                let _ = tokio::time::timeout(Duration::from_millis(20), calm).await;
                continue;
            }
            let guard = Arc::clone(&self.writer).lock_owned().await;
            if self.urgent_waiting.load(Ordering::SeqCst) == 0 {
                return guard;
            }
        }
    }
}

struct Waiting<'a>(&'a Turns);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.0.urgent_waiting.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.calm.notify_waiters();
        }
    }
}

/// A connection, inside a transaction or not.
#[derive(Debug)]
pub(crate) enum Held<DB: sqlx::Database> {
    Pooled(PoolConnection<DB>),
    Inside(Transaction<'static, DB>, Stopwatch),
}

/// How long a transaction waited for its turn and lasts, for the metrics. Nothing is decided by it but the size of a
/// next chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    kind: &'static str,
    waited: Duration,
    began: Instant,
}

impl Stopwatch {
    fn since(asked: Instant, priority: Priority) -> Self {
        let kind = match priority {
            Priority::Urgent => "urgent",
            Priority::Soon => "soon",
            Priority::Bulk => "bulk",
        };
        let began = Instant::now();
        Self { kind, waited: began - asked, began }
    }

    fn committed(self) -> Duration {
        let took = self.began.elapsed();
        metrics::histogram!("hudhud_write_seconds", "kind" => self.kind).record(took);
        metrics::histogram!("hudhud_write_wait_seconds", "kind" => self.kind).record(self.waited);
        took
    }
}

impl<DB: sqlx::Database> Deref for Held<DB> {
    type Target = DB::Connection;
    fn deref(&self) -> &Self::Target {
        match self {
            Self::Pooled(connection) => connection,
            Self::Inside(transaction, _) => transaction,
        }
    }
}

impl<DB: sqlx::Database> DerefMut for Held<DB> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match self {
            Self::Pooled(connection) => connection,
            Self::Inside(transaction, _) => transaction,
        }
    }
}

/// One connection to whichever database it is. Use it through the `on!` macro.
#[derive(Debug)]
pub(crate) enum Link {
    Sqlite(Held<Sqlite>, Option<OwnedMutexGuard<()>>),
    Postgres(Held<Postgres>),
}

/// Runs the same sqlx expression on whichever database the link leads to: `on!(link, c => query.execute(c).await)`.
/// `c` is `&mut SqliteConnection` or `&mut PgConnection`; use `&mut *c` to use it more than once.
macro_rules! on {
    ($link:expr, $c:ident => $body:expr) => {
        match $link {
            $crate::db::Link::Sqlite(held, _) => {
                let $c = &mut **held;
                $body
            }
            $crate::db::Link::Postgres(held) => {
                let $c = &mut **held;
                $body
            }
        }
    };
}
pub(crate) use on;

impl Link {
    /// One of two texts of the same statement, where the dialects differ.
    pub(crate) fn pick(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite(..) => sqlite,
            Self::Postgres(_) => postgres,
        }
    }

    /// What the transaction is for, as its metrics name it.
    pub(crate) fn named(mut self, kind: &'static str) -> Self {
        match &mut self {
            Self::Sqlite(Held::Inside(_, watch), _) | Self::Postgres(Held::Inside(_, watch)) => watch.kind = kind,
            Self::Sqlite(Held::Pooled(_), _) | Self::Postgres(Held::Pooled(_)) => {}
        }
        self
    }

    /// Ends the transaction and keeps it. Durable when this returns.
    pub(crate) async fn commit(self) -> Result<()> {
        self.commit_timed().await.map(drop)
    }

    /// As [`Link::commit`]: how long the transaction took, from its first statement until it was durable.
    pub(crate) async fn commit_timed(self) -> Result<Duration> {
        match self {
            Self::Sqlite(Held::Inside(transaction, watch), _turn) => {
                transaction.commit().await?;
                Ok(watch.committed())
            }
            Self::Postgres(Held::Inside(transaction, watch)) => {
                transaction.commit().await?;
                Ok(watch.committed())
            }
            Self::Sqlite(Held::Pooled(_), _) | Self::Postgres(Held::Pooled(_)) => Ok(Duration::ZERO),
        }
    }
}

/// Every change of the schema, in its order; a file that has been released is never edited. The name in the database is
/// the file's, without its number and its ending.
static SQLITE_MIGRATIONS: LazyLock<Migrator> =
    LazyLock::new(|| migrations([(1, "first", include_str!("../migrations/sqlite/0001_first.sql"))]));
static POSTGRES_MIGRATIONS: LazyLock<Migrator> =
    LazyLock::new(|| migrations([(1, "first", include_str!("../migrations/postgres/0001_first.sql"))]));

fn migrations<const N: usize>(files: [(i64, &'static str, &'static str); N]) -> Migrator {
    let one = |(version, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(files.into_iter().map(one).collect())
}

fn migration_failed(error: MigrateError) -> Error {
    match error {
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) => Error::from(cause),
        other => Error::bug(format!("migrating the schema: {other}")),
    }
}

impl Store {
    /// Opens `sqlite://PATH` or `postgres://…`, creates an SQLite file that is not there yet, and migrates.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it cannot be reached; [`Error::Bug`] when the URL is neither, or the schema is
    /// newer than this version.
    #[crate::boxed]
    pub async fn open(url: &str) -> Result<Self> {
        let store = if url.starts_with("sqlite:") {
            Self::open_sqlite(url).await?
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Self::open_postgres(url).await?
        } else {
            return Err(Error::bug("the database URL starts with neither sqlite: nor postgres:"));
        };
        store.migrate().await?;
        store.settle_identity().await?;
        Ok(store)
    }

    async fn open_sqlite(url: &str) -> Result<Self> {
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE)
            .pragma("journal_size_limit", "67108864")
            // 16 MiB instead of 4: what is written again soon, as rows of sends are, is copied back less often. Beside
            // bulk work `wal` does most of it.
            .pragma("wal_autocheckpoint", "4000")
            .pragma("cache_size", "-16384")
            // What is deleted or replaced within a page is overwritten: it costs no page more, and erasing somebody
            // leaves little behind (`erasures`).
            .pragma("secure_delete", "FAST")
            .pragma("temp_store", "MEMORY");
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            // A file does not hang up: asking whether it is still there only costs two changes of thread.
            .test_before_acquire(false)
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_release(|connection, _| {
                Box::pin(async move {
                    // SQLite ends a transaction by itself when the disk is full or a read fails. sqlx's own roll-back
                    // then fails, it goes on counting a transaction, and would never begin another one here. The ping
                    // comes back after that roll-back.
                    connection.ping().await?;
                    Ok(!connection.is_in_transaction())
                })
            })
            .connect_with(options.clone())
            .await?;
        let read = SqlitePoolOptions::new()
            .max_connections(4)
            .test_before_acquire(false)
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
            // They take turns, so that each comes to hold the same pages; the system keeps the others.
            .connect_lazy_with(options.clone().pragma("query_only", "ON").pragma("cache_size", "-8192"));
        let turns = Arc::<Turns>::default();
        tokio::spawn(wal::copy_back(options, turns.written.subscribe()));
        Ok(Self { db: Db::Sqlite { read, write, turns }, blind: Arc::default() })
    }

    async fn open_postgres(url: &str) -> Result<Self> {
        let options = PgConnectOptions::from_str(url)?.application_name("hudhud").options([
            // A process that freezes inside a transaction must not keep its locks: another owner waits for them.
            ("statement_timeout", "60000"),
            ("idle_in_transaction_session_timeout", "3000"),
            // One plan for each statement, whatever its arguments: the one that the tests look at. With its eye on
            // the arguments the planner takes a campaign that was not counted yet (ANALYZE) for so small that it
            // goes through all of it for each claim, in the first five on every connection.
            ("plan_cache_mode", "force_generic_plan"),
            // What is asked for by its key is looked up, however small its table was when the statement was planned.
            ("enable_seqscan", "off"),
            ("random_page_cost", "1.1"),
            ("jit", "off"),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .after_release(|_, _| Box::pin(async { Ok(!pg_copy::is_spoiled()) }))
            .connect_with(options)
            .await?;
        Ok(Self { db: Db::Postgres(pool), blind: Arc::default() })
    }

    async fn migrate(&self) -> Result<()> {
        let done = match &self.db {
            Db::Sqlite { write, .. } => SQLITE_MIGRATIONS.run(write).await,
            Db::Postgres(pool) => POSTGRES_MIGRATIONS.run(pool).await,
        };
        done.map_err(migration_failed)
    }

    /// A connection for reading. Sees what is committed when each statement begins.
    pub(crate) async fn read(&self) -> Result<Link> {
        Ok(match &self.db {
            Db::Sqlite { read, .. } => Link::Sqlite(Held::Pooled(read.acquire().await?), None),
            Db::Postgres(pool) => Link::Postgres(Held::Pooled(pool.acquire().await?)),
        })
    }

    /// A transaction for writing: `BEGIN IMMEDIATE` on SQLite, READ COMMITTED on PostgreSQL. Rolled back when dropped.
    pub(crate) async fn write(&self, priority: Priority) -> Result<Link> {
        let asked = Instant::now();
        Ok(match &self.db {
            Db::Sqlite { write, turns, .. } => {
                let turn = turns.take(priority).await;
                let transaction = write.begin_with("BEGIN IMMEDIATE").await?;
                if priority == Priority::Bulk {
                    turns.written.send_replace(());
                }
                Link::Sqlite(Held::Inside(transaction, Stopwatch::since(asked, priority)), Some(turn))
            }
            Db::Postgres(pool) => {
                let transaction = pool.begin().await?;
                Link::Postgres(Held::Inside(transaction, Stopwatch::since(asked, priority)))
            }
        })
    }

    /// How often urgent work had to wait for SQLite's one writer so far; always 0 on PostgreSQL, where nobody waits.
    /// Whoever writes much makes their transactions short while this grows.
    #[must_use]
    pub fn urgent_waits(&self) -> u64 {
        match &self.db {
            Db::Sqlite { turns, .. } => turns.urgent_waits.load(Ordering::Relaxed),
            Db::Postgres(_) => 0,
        }
    }

    /// Whether this is the embedded database, of which one process at a time is the writer.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        matches!(self.db, Db::Sqlite { .. })
    }

    /// Answers when the database can be read.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it cannot.
    #[crate::boxed]
    pub async fn ping(&self) -> Result<()> {
        let mut link = self.read().await?;
        on!(&mut link, c => sqlx::query("SELECT 1").execute(c).await.map(drop))?;
        Ok(())
    }

    /// Closes every connection, after the statements under way.
    #[crate::boxed]
    pub async fn close(&self) {
        match &self.db {
            Db::Sqlite { read, write, .. } => {
                read.close().await;
                write.close().await;
            }
            Db::Postgres(pool) => pool.close().await,
        }
    }
}

#[cfg(test)]
mod tests;
