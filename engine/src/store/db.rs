//! The two engines behind one face. A statement is written once; the `on!` macro expands it for each engine.

use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::error::DatabaseError;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool};
use tokio::time::{sleep, timeout};

use super::writer::Writer;
use crate::error::{Error, is_lost_race};

/// Where the data is.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file, made if absent.
    Sqlite(PathBuf),
    /// A PostgreSQL server, as a URL that may hold a password.
    Postgres(String),
}

/// The text names no database we know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a database is sqlite:PATH or postgres://USER@HOST/NAME")]
pub struct InvalidDatabaseUrl;

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidDatabaseUrl> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() || path.contains('?') { Err(InvalidDatabaseUrl) } else { Ok(Self::Sqlite(path.into())) };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        Err(InvalidDatabaseUrl)
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::fmt::Display for DatabaseUrl {
    /// Without user and password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => {
                let rest = url.split_once("://").map_or("", |(_, rest)| rest);
                let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
                write!(f, "postgres://{}", host.split('?').next().unwrap_or_default())
            }
        }
    }
}

/// One connection, of whichever engine.
pub(crate) enum Conn<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

/// Runs the same expression on whichever engine `$conn` is of; `$raw` is the engine's own connection in it.
macro_rules! on {
    ($conn:expr, $raw:ident => $body:expr) => {
        match $conn {
            $crate::store::db::Conn::Sqlite($raw) => $body,
            $crate::store::db::Conn::Postgres($raw) => $body,
        }
    };
}
pub(crate) use on;

/// A connection for reading, lent from a pool.
pub(crate) enum Reader {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Reader {
    pub(crate) fn conn(&mut self) -> Conn<'_> {
        match self {
            Self::Sqlite(conn) => Conn::Sqlite(conn),
            Self::Postgres(conn) => Conn::Postgres(conn),
        }
    }
}

/// A database of either engine.
#[derive(Clone)]
pub(crate) enum Db {
    Sqlite {
        readers: SqlitePool,
        writer: Writer,
    },
    Postgres {
        pool: PgPool,
        /// For following changes, so that acts that fill the pool never keep the verifier from its news.
        feed: PgPool,
    },
}

/// Connections for following changes: to look, to be woken, to wake others, and to be seen.
const FEED_CONNECTIONS: u32 = 4;
/// How long a statement may wait for a lock or a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a transaction on PostgreSQL is tried in all.
const TRIES: u32 = 3;

fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(PATIENCE)
        .pragma("trusted_schema", "OFF")
        .pragma("secure_delete", "ON")
        .pragma("mmap_size", "0")
        .pragma("journal_size_limit", "67108864")
        .disable_statement_logging()
}

/// Opens the one writing connection to a SQLite file; makes the file (for its owner alone) if it is absent.
pub(crate) async fn sqlite_writer(path: &Path) -> Result<SqliteConnection, Error> {
    use std::os::unix::fs::OpenOptionsExt;
    // SQLite gives its WAL and shared-memory files the mode of the database file.
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| Error::Unavailable(format!("{}: {error}", path.display())))?;
    Ok(sqlite_options(path).connect().await?)
}

/// Opens a connection to a SQLite file that is there, without changing anything about it.
pub(crate) async fn sqlite_reader(path: &Path) -> Result<SqliteConnection, Error> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(PATIENCE).disable_statement_logging();
    Ok(options.connect().await?)
}

fn postgres_options(url: &str) -> Result<PgConnectOptions, Error> {
    Ok(PgConnectOptions::from_str(url)
        .map_err(|_| Error::Unavailable("the PostgreSQL URL cannot be read".into()))?
        .options([("statement_timeout", "5000"), ("lock_timeout", "2000"), ("idle_in_transaction_session_timeout", "10000")])
        .application_name("keyfold")
        .disable_statement_logging())
}

/// One connection outside of any pool, with the bounds that every statement has to keep.
pub(crate) async fn postgres_connection(url: &str) -> Result<PgConnection, Error> {
    let connection = timeout(PATIENCE, postgres_options(url)?.connect()).await;
    Ok(connection.map_err(|_| Error::Unavailable("PostgreSQL does not answer".into()))??)
}

/// Why a PostgreSQL server cannot be used, if it cannot. Asked before there is a pool, which would only try again.
pub(crate) async fn unfit_postgres(url: &str) -> Result<Option<&'static str>, Error> {
    let mut connection = postgres_connection(url).await?;
    let found = unfit(&mut connection).await?;
    connection.close().await?;
    Ok(found)
}

async fn unfit(conn: &mut PgConnection) -> Result<Option<&'static str>, sqlx::Error> {
    let sql = "SELECT pg_is_in_recovery(), current_setting('synchronous_commit')";
    let (standby, commit): (bool, String) = sqlx::query_as(sql).fetch_one(conn).await?;
    Ok(if standby {
        Some("this PostgreSQL server is a standby, which cannot write. Give the address of the primary")
    } else if commit == "off" {
        Some("PostgreSQL has synchronous_commit = off, and would lose what it has acknowledged. Set it to on, for this user at least")
    } else {
        None
    })
}

impl Db {
    /// The readers and the writer's task over an opened and migrated SQLite file.
    pub(crate) fn sqlite(path: &Path, writer: SqliteConnection, readers: u32) -> Self {
        let options = sqlite_options(path).read_only(true);
        let readers = SqlitePoolOptions::new().max_connections(readers).acquire_timeout(PATIENCE).connect_lazy_with(options);
        Self::Sqlite { readers, writer: Writer::start(writer) }
    }

    /// A pool of PostgreSQL connections with the bounds every statement has to keep.
    pub(crate) async fn postgres(url: &str, connections: u32) -> Result<Self, Error> {
        let options = || {
            // After a failover the address may lead to another server.
            PgPoolOptions::new().acquire_timeout(PATIENCE).after_connect(|conn, _| {
                Box::pin(async move {
                    let unfit = unfit(conn).await?;
                    unfit.map_or(Ok(()), |why| Err(sqlx::Error::Configuration(why.into())))
                })
            })
        };
        let feed = options().max_connections(FEED_CONNECTIONS).connect_lazy_with(postgres_options(url)?);
        let pool = options().max_connections(connections).connect_with(postgres_options(url)?).await?;
        Ok(Self::Postgres { pool, feed })
    }

    /// A connection to read with. Several statements on it do not share a snapshot.
    pub(crate) async fn reader(&self) -> Result<Reader, Error> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Reader::Sqlite(readers.acquire().await?),
            Self::Postgres { pool, .. } => Reader::Postgres(pool.acquire().await?),
        })
    }

    /// The same for who follows changes, and does not wait for others.
    pub(crate) async fn feed(&self) -> Result<Reader, Error> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Reader::Sqlite(readers.acquire().await?),
            Self::Postgres { feed, .. } => Reader::Postgres(feed.acquire().await?),
        })
    }

    /// The connections for following changes, where other servers can be told of them.
    pub(crate) const fn shared_feed(&self) -> Option<&PgPool> {
        match self {
            Self::Sqlite { .. } => None,
            Self::Postgres { feed, .. } => Some(feed),
        }
    }

    /// As [`Self::write`], once and without waiting for others, for what a server says of itself.
    pub(crate) async fn note<T, W>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: for<'c> Fn(Conn<'c>) -> BoxFuture<'c, Result<T, Error>> + Send + Sync + 'static,
    {
        match self {
            Self::Sqlite { writer, .. } => writer.run(work).await,
            Self::Postgres { feed, .. } => write_once(feed, &work).await,
        }
    }

    /// Runs `work` in a write transaction of its own and returns once that is durable; an error leaves nothing behind.
    ///
    /// On SQLite transactions that wait at the same moment share one commit, each behind a savepoint of its own. On
    /// PostgreSQL a transaction that was interrupted is tried again, so `work` may run more than once.
    pub(crate) async fn write<T, W>(&self, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: for<'c> Fn(Conn<'c>) -> BoxFuture<'c, Result<T, Error>> + Send + Sync + 'static,
    {
        match self {
            Self::Sqlite { writer, .. } => writer.run(work).await,
            Self::Postgres { pool, .. } => {
                for failures in 1..TRIES {
                    match write_once(pool, &work).await {
                        Err(Error::Interrupted(why)) => tracing::debug!(why, failures, "a transaction is tried again"),
                        done => return done,
                    }
                    sleep(pause(failures)).await;
                }
                write_once(pool, &work).await
            }
        }
    }

    /// Waits for the writer, moves the WAL into the database file and closes every connection.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { readers, writer } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres { pool, feed } => {
                pool.close().await;
                // A connection that listens may be dead without knowing, and then takes no leave.
                if timeout(PATIENCE, feed.close()).await.is_err() {
                    tracing::debug!("a connection to PostgreSQL did not end in order");
                }
            }
        }
    }
}

async fn write_once<T, W>(pool: &PgPool, work: &W) -> Result<T, Error>
where
    W: for<'c> Fn(Conn<'c>) -> BoxFuture<'c, Result<T, Error>>,
{
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    // Dropped without a commit, the transaction rolls back.
    let done = work(Conn::Postgres(&mut transaction)).await?;
    transaction.commit().await.map_err(|error| {
        let lost = error.as_database_error().and_then(DatabaseError::code).is_some_and(|code| is_lost_race(&code));
        match error.into() {
            // The commit may have arrived, and only its answer not.
            Error::Interrupted(why) if !lost => Error::Unavailable(why),
            error => error,
        }
    })?;
    Ok(done)
}

/// How long to wait before the next try: longer each time, and not as long as whoever failed at the same moment.
fn pause(failures: u32) -> Duration {
    let jitter = RandomState::new().hash_one(failures) % 20;
    Duration::from_millis(10) * failures + Duration::from_millis(jitter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_url_names_its_engine_and_shows_no_password() {
        assert_eq!("sqlite:data/keyfold.db".parse(), Ok(DatabaseUrl::Sqlite("data/keyfold.db".into())));
        assert_eq!("sqlite:///var/keyfold.db".parse(), Ok(DatabaseUrl::Sqlite("/var/keyfold.db".into())));
        let url: DatabaseUrl = "postgres://keyfold:hunter2@db.internal/keyfold?password=hunter2".parse().unwrap();
        assert_eq!(format!("{url} {url:?}"), "postgres://db.internal/keyfold postgres://db.internal/keyfold");
        for bad in ["", "mysql://x", "keyfold.db", "sqlite:", "sqlite:x?mode=rwc"] {
            assert!(bad.parse::<DatabaseUrl>().is_err(), "{bad}");
        }
    }
}
