//! A clock that stands still, randomness that repeats, and databases of one's own, for tests.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use keyfold_domain::key::KeySort;
use keyfold_domain::time::Timestamp;
use rand::SeedableRng;
use rand::rand_core::Rng;
use rand::rngs::StdRng;

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};

use crate::clock::{Clock, Entropy};
use crate::error::Error;
use crate::mac::Pepper;
use crate::open::{Engine, EngineOptions, OpenError, OpenRole};
use crate::store::db::DatabaseUrl;

/// The cursor of a page of keys in that order, read and written again; `None` if the text is none.
pub fn reread_cursor(text: &str, sort: KeySort, descending: bool) -> Option<String> {
    crate::service::keys::reread_cursor(text, sort, descending)
}

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct MockClock {
    shown: AtomicI64,
    uptime_ms: AtomicU64,
}

impl MockClock {
    /// A clock that shows that moment.
    pub fn new(at: Timestamp) -> Self {
        Self { shown: AtomicI64::new(at.as_millis()), uptime_ms: AtomicU64::new(1_000_000) }
    }

    /// Moves the time it shows, as if somebody set it; backwards too. Nothing that waits notices.
    pub fn advance_ms(&self, millis: i64) {
        self.shown.fetch_add(millis, Ordering::SeqCst);
    }

    /// Lets time pass without changing what it shows, as if somebody set it back by as much.
    pub fn pass_ms(&self, millis: u64) {
        self.uptime_ms.fetch_add(millis, Ordering::SeqCst);
    }

    /// Sets it.
    pub fn set(&self, at: Timestamp) {
        self.shown.store(at.as_millis(), Ordering::SeqCst);
    }
}

impl Clock for MockClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.shown.load(Ordering::SeqCst))
    }

    fn uptime_ms(&self) -> u64 {
        self.uptime_ms.load(Ordering::SeqCst)
    }
}

/// The same bytes for the same seed.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<StdRng>);

impl SeededEntropy {
    /// Bytes that follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
    }
}

/// Opens an instance as a server would, with a clock and randomness that stand still and a pepper of sevens.
pub async fn open(database: DatabaseUrl, clock: &Arc<MockClock>, seed: u64) -> Result<Engine, OpenError> {
    let clock: Arc<dyn Clock> = clock.clone();
    Engine::open(EngineOptions {
        database,
        pepper: Pepper::from_bytes([7; 32]),
        prefix: keyfold_domain::token::Prefix::default(),
        clock,
        entropy: Arc::new(SeededEntropy::new(seed)),
        role: OpenRole::Serve,
    })
    .await
}

/// The PostgreSQL server to test on, where there is one. `make test` always starts one.
#[expect(clippy::disallowed_methods, reason = "tests are told of their database by the environment")]
pub fn postgres_url() -> Option<String> {
    std::env::var("TEST_POSTGRES_URL").ok()
}

/// A fresh schema on the PostgreSQL server at `url`, as a URL that uses it and nothing else.
pub async fn fresh_schema(url: &str) -> Result<DatabaseUrl, Error> {
    let mut bytes = [0; 8];
    crate::clock::SystemEntropy.fill(&mut bytes);
    let name = format!("t_{}", crate::mac::hex(&bytes));
    let mut connection = PgConnection::connect(url).await?;
    connection.execute(AssertSqlSafe(format!("CREATE SCHEMA {name}"))).await?;
    connection.close().await?;
    let separator = if url.contains('?') { '&' } else { '?' };
    Ok(DatabaseUrl::Postgres(format!("{url}{separator}options=-csearch_path%3D{name}")))
}

/// Runs a statement beside the services, to damage what they wrote or to stand in their way.
pub async fn execute(database: &DatabaseUrl, statement: &str) -> Result<(), Error> {
    let statement = AssertSqlSafe(statement.to_owned());
    match database {
        DatabaseUrl::Sqlite(path) => {
            let mut connection = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await?;
            connection.execute(statement).await?;
            Ok(connection.close().await?)
        }
        DatabaseUrl::Postgres(url) => {
            let mut connection = PgConnection::connect(url).await?;
            connection.execute(statement).await?;
            Ok(connection.close().await?)
        }
    }
}

/// Somebody beside the server who writes to a SQLite file, and takes their time.
#[derive(Debug)]
pub struct HeldLock(sqlx::SqliteConnection);

/// Takes the write lock of a SQLite file.
pub async fn hold_write_lock(database: &DatabaseUrl) -> Result<HeldLock, Error> {
    let DatabaseUrl::Sqlite(path) = database else { return Err(Error::Internal("only SQLite has one lock for all".into())) };
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).busy_timeout(std::time::Duration::from_secs(30));
    let mut connection = options.connect().await?;
    connection.execute("BEGIN IMMEDIATE").await?;
    Ok(HeldLock(connection))
}

impl HeldLock {
    /// Gives it back.
    pub async fn release(mut self) -> Result<(), Error> {
        self.0.execute("ROLLBACK").await?;
        Ok(self.0.close().await?)
    }
}
