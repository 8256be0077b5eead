//! A whole instance, moved from SQLite to PostgreSQL or back.
//!
//! The source is held still and is only read. The target is filled in one transaction, or under a name that no server knows, and is
//! read again and compared before that ends: whatever stops the work leaves an empty place, into which it can be done again.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use keyfold_domain::audit::BrokenLink;
use keyfold_domain::policy::{Action, Actor, Object, can};
use sqlx::migrate::{Migrate as _, MigrateError};
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};

use crate::backup::{BackupError, open_ours};
use crate::clock::Clock;
use crate::error::Error;
use crate::mac::{Macs, Pepper};
use crate::pepper_check::{self, Mismatch};
use crate::service::audit_chain::check_all;
use crate::store::db::{Conn, DatabaseUrl, postgres_connection, unfit_postgres};
use crate::store::transfer::{self, Table, Tally};
use crate::store::{copy, migrate, names, nodes, place};

/// The ending of the name that a SQLite file has until all of it is there.
const PART: &str = ".moving";
/// A server of which nothing was heard for so long does not run any more, in milliseconds. One that stops in order says so.
const GONE_AFTER_MS: i64 = 60_000;

/// What is moved, and where to.
pub struct MoveOptions<'a> {
    /// The instance.
    pub from: DatabaseUrl,
    /// Where there is nothing yet.
    pub to: DatabaseUrl,
    /// What the instance was made with.
    pub pepper: Pepper,
    /// Tells the time.
    pub clock: &'a dyn Clock,
}

/// What was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveReport {
    /// Every table, by name.
    pub tables: Vec<MovedTable>,
    /// The schema that both have.
    pub schema: i64,
    /// How many events the audit log has, all of which were checked where they are now.
    pub events: u64,
    /// Tables in the source that are not Keyfold's, and that stayed there.
    pub left_out: Vec<String>,
}

/// A table that was carried over, and is the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedTable {
    /// Its name.
    pub name: String,
    /// How many rows it has.
    pub rows: u64,
    /// The beginning of the sum of its rows' SHA-256, in hexadecimal digits.
    pub digest: String,
}

/// How far a move has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveProgress<'a> {
    /// The table that is being carried over.
    pub table: &'a str,
    /// How many of its rows are over.
    pub rows: u64,
    /// That is all of it, and it is the same on both sides.
    pub compared: bool,
}

/// Why nothing was moved. The text tells the operator what to do, and holds no password.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// Between two databases of one kind there are better ways.
    #[error(
        "a move is from SQLite to PostgreSQL or from PostgreSQL to SQLite. To another place of the same kind: for SQLite `keyfold backup` and `keyfold restore`, for PostgreSQL pg_dump and pg_restore"
    )]
    SameKind,
    /// The source has nothing of Keyfold's.
    #[error("there is no instance of Keyfold in {0}")]
    Foreign(DatabaseUrl),
    /// The source has another schema.
    #[error("{from} has schema {found}, and this Keyfold has schema {known}. {remedy}", known = migrate::NEWEST, remedy = if *found < migrate::NEWEST {
        "Start this version's server on it once, which upgrades it, stop that, and move then"
    } else {
        "Use the newer Keyfold"
    })]
    Schema {
        /// The source.
        from: DatabaseUrl,
        /// Its schema.
        found: i64,
    },
    /// Servers use the source.
    #[error("{0} is in use by {1}. Stop it first; a server that was killed is forgotten after a minute")]
    Served(DatabaseUrl, String),
    /// There is something in the target.
    #[error(
        "{0} is not empty: it holds {1} tables or other things. An instance is moved into an empty database only: make a new one (CREATE DATABASE), or empty this one (DROP SCHEMA … CASCADE; CREATE SCHEMA …) if nobody needs what is in it"
    )]
    NotEmpty(DatabaseUrl, i64),
    /// There is no schema to make tables in.
    #[error("{0} has no schema to make tables in: the first one of the search path does not exist. Make it with CREATE SCHEMA")]
    NoSchema(DatabaseUrl),
    /// What arrived is not what was there.
    #[error("the table {table} was not carried over as it was ({rows} of {of} rows); nothing was kept of the move. Please report this")]
    Differs {
        /// The table.
        table: String,
        /// Rows in the target.
        rows: u64,
        /// Rows in the source.
        of: u64,
    },
    /// The audit log is not whole.
    #[error(
        "the audit log of {from} is not whole: event {seq} of chain {chain}: {why}. Something other than Keyfold changed it; nothing was moved",
        seq = .broken.seq, chain = .broken.chain, why = .broken.why
    )]
    Broken {
        /// The source.
        from: DatabaseUrl,
        /// Where.
        broken: BrokenLink,
    },
    /// The target cannot be used.
    #[error("{0}")]
    Unfit(String),
    /// The tables could not be made.
    #[error("the tables could not be made: {0}")]
    Migrate(MigrateError),
    /// What also stands in the way of a backup or a restore.
    #[error(transparent)]
    File(#[from] BackupError),
    /// A database cannot be read or written.
    #[error("{0}: {1}")]
    Store(DatabaseUrl, Error),
    /// Whoever asked may not.
    #[error("{0}")]
    Refused(Error),
}

/// What a move works with, and where errors come from.
struct Move<'a> {
    options: &'a MoveOptions<'a>,
    macs: Macs,
    told: &'a mut (dyn FnMut(MoveProgress<'_>) + Send),
}

/// Moves an instance into an empty place: every row of every table, compared on both sides, with the audit log checked. All of it, or
/// nothing. The source is left as it is. `told` hears how far it is.
///
/// The same pepper belongs to it afterwards, so keys, sessions and links go on working.
pub async fn move_instance(
    actor: &Actor,
    options: &MoveOptions<'_>,
    told: &mut (dyn FnMut(MoveProgress<'_>) + Send),
) -> Result<MoveReport, MoveError> {
    Error::unless_allowed(can(actor, Action::ManageAllKeys, &Object::Instance)).map_err(MoveError::Refused)?;
    let work = Move { options, macs: Macs::new(&options.pepper), told };
    match (&options.from, &options.to) {
        (DatabaseUrl::Sqlite(path), DatabaseUrl::Postgres(url)) => work.into_postgres(path, url).await,
        (DatabaseUrl::Postgres(url), DatabaseUrl::Sqlite(path)) => work.into_sqlite(url, path).await,
        _ => Err(MoveError::SameKind),
    }
}

impl Move<'_> {
    /// Something went wrong with the source.
    fn source<E: Into<Error>>(&self) -> impl Fn(E) -> MoveError + use<'_, E> {
        |error| MoveError::Store(self.options.from.clone(), error.into())
    }

    /// Something went wrong with the target.
    fn target<E: Into<Error>>(&self) -> impl Fn(E) -> MoveError + use<'_, E> {
        |error| MoveError::Store(self.options.to.clone(), error.into())
    }

    async fn into_postgres(mut self, path: &Path, url: &str) -> Result<MoveReport, MoveError> {
        let (mut source, lock) = self.still_file(path).await?;
        self.fitting(&mut Conn::Sqlite(&mut source)).await?;
        if let Some(why) = unfit_postgres(url).await.map_err(self.target())? {
            return Err(MoveError::Unfit(why.to_owned()));
        }
        let mut connection = patient(url).await.map_err(self.target())?;
        // Servers that start meanwhile wait here, and then find what was moved. Whoever was interrupted a moment ago may still hold it.
        connection.execute("SET lock_timeout = '60s'").await.map_err(self.target())?;
        connection.lock().await.map_err(MoveError::Migrate)?;
        self.empty(&mut connection).await?;
        let mut transaction = connection.begin().await.map_err(self.target())?;
        let mut target = Conn::Postgres(&mut transaction);
        migrate::run(&mut target).await.map_err(MoveError::Migrate)?;
        let report = self.fill(&mut Conn::Sqlite(&mut source), &mut target).await?;
        transaction.commit().await.map_err(self.target())?;
        connection.close().await.map_err(self.target())?;
        source.close().await.map_err(self.source())?;
        drop(lock);
        Ok(report)
    }

    async fn into_sqlite(mut self, url: &str, path: &Path) -> Result<MoveReport, MoveError> {
        let mut connection = patient(url).await.map_err(self.source())?;
        let mut source = connection.begin().await.map_err(self.source())?;
        self.still_tables(&mut source).await?;
        if let Ok(Some(kind)) = place::network_file_system(path) {
            let why = format!(
                "{} is on a network file system ({kind}), where a server would not open it. Use a disk of this machine",
                path.display()
            );
            return Err(MoveError::Unfit(why));
        }
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error| MoveError::File(BackupError::Io(path.clone(), error))
        };
        let lock_path = copy::beside(path, ".lock");
        let (lock, alone) = copy::lock(&lock_path).map_err(io(&lock_path))?;
        if !alone {
            return Err(BackupError::InUse(path.to_owned()).into());
        }
        if let Some(there) = copy::leftover(path) {
            return Err(BackupError::Occupied(there).into());
        }
        let part = copy::beside(path, PART);
        copy::sweep(&part).map_err(io(&part))?;
        let done = self.fill_file(&mut Conn::Postgres(&mut source), &part).await;
        let done = done.and_then(|report| copy::finish(&part, path).map(|()| report).map_err(io(path)));
        if done.is_err() {
            drop(copy::sweep(&part));
        }
        drop(lock);
        let report = done?;
        source.rollback().await.map_err(self.source())?;
        connection.close().await.map_err(self.source())?;
        Ok(report)
    }

    /// A SQLite file that neither a server nor a command can write to as long as the connection and the lock live.
    async fn still_file(&self, path: &Path) -> Result<(SqliteConnection, File), MoveError> {
        open_ours(path).await?.close().await.map_err(self.source())?;
        let lock_path = copy::beside(path, ".lock");
        let (lock, alone) = copy::lock(&lock_path).map_err(|error| MoveError::File(BackupError::Io(lock_path, error)))?;
        if !alone {
            return Err(MoveError::Served(self.options.from.clone(), "a server, or by a command at this moment".to_owned()));
        }
        let mut source = copy::open(path).await.map_err(self.source())?;
        source.execute("BEGIN IMMEDIATE").await.map_err(self.source())?;
        Ok((source, lock))
    }

    /// A PostgreSQL database that no server uses, and that nobody can write to until the transaction ends.
    async fn still_tables(&self, source: &mut PgConnection) -> Result<(), MoveError> {
        source.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await.map_err(self.source())?;
        // By a connection of its own: this transaction is to see what there is once the locks are held.
        let DatabaseUrl::Postgres(url) = &self.options.from else { return Err(MoveError::SameKind) };
        let mut look = patient(url).await.map_err(self.source())?;
        let names = transfer::table_names(&mut Conn::Postgres(&mut look)).await.map_err(self.source())?;
        if !["meta", "secrets", "audit_chains"].iter().all(|name| names.contains(*name)) {
            return Err(MoveError::Foreign(self.options.from.clone()));
        }
        // An old schema tells of no servers, and is refused for its age.
        self.fitting(&mut Conn::Postgres(&mut look)).await?;
        self.unserved(&mut look).await?;
        look.close().await.map_err(self.source())?;
        for name in names {
            Table::hold(&name, source).await.map_err(self.source())?;
        }
        // One may have started in between.
        self.unserved(source).await
    }

    /// Does no server run on the source?
    async fn unserved(&self, source: &mut PgConnection) -> Result<(), MoveError> {
        let mut conn = Conn::Postgres(source);
        let now = nodes::shared_now(&mut conn, self.options.clock.now()).await.map_err(self.source())?;
        let listed = nodes::list(&mut conn, now).await.map_err(self.source())?;
        let running: Vec<String> = listed.into_iter().filter(|node| node.unseen_ms < GONE_AFTER_MS).map(|node| node.name).collect();
        let names = match &running[..] {
            [] => return Ok(()),
            [name] => format!("the server {name}"),
            _ => format!("the servers {}", running.join(", ")),
        };
        Err(MoveError::Served(self.options.from.clone(), names))
    }

    /// Has the source this binary's schema, and was it made with this pepper?
    async fn fitting(&self, source: &mut Conn<'_>) -> Result<(), MoveError> {
        let from = || self.options.from.clone();
        let found = migrate::current(source).await.map_err(self.source())?.ok_or_else(|| MoveError::Foreign(from()))?;
        if found != migrate::NEWEST {
            return Err(MoveError::Schema { from: from(), found });
        }
        match pepper_check::compare(source, &self.macs).await.map_err(self.source())? {
            Some(Ok(_)) => Ok(()),
            Some(Err(Mismatch::WithoutOld(wanted))) => Err(BackupError::WithoutOldPepper(wanted).into()),
            Some(Err(Mismatch::Wrong | Mismatch::Interrupted)) | None => {
                let wanted = pepper_check::wanted(source).await.map_err(self.source())?.unwrap_or_default();
                Err(BackupError::WrongPepper { wanted, found: self.macs.pepper_id().to_owned() }.into())
            }
        }
    }

    /// Is there nothing at all where the tables are to be?
    async fn empty(&self, target: &mut PgConnection) -> Result<(), MoveError> {
        let schema: Option<String> =
            sqlx::query_scalar("SELECT current_schema()::TEXT").fetch_one(&mut *target).await.map_err(self.target())?;
        if schema.is_none() {
            return Err(MoveError::NoSchema(self.options.to.clone()));
        }
        match transfer::things(target).await.map_err(self.target())? {
            0 => Ok(()),
            things => Err(MoveError::NotEmpty(self.options.to.clone(), things)),
        }
    }

    /// Makes a SQLite file out of the source, complete and on its own, under a name that nobody else uses.
    async fn fill_file(&mut self, source: &mut Conn<'_>, part: &Path) -> Result<MoveReport, MoveError> {
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part);
        made.map_err(|error| MoveError::File(BackupError::Io(part.to_owned(), error)))?;
        let mut file = copy::open(part).await.map_err(self.target())?;
        migrate::run(&mut Conn::Sqlite(&mut file)).await.map_err(MoveError::Migrate)?;
        file.execute("BEGIN IMMEDIATE").await.map_err(self.target())?;
        let report = self.fill(source, &mut Conn::Sqlite(&mut file)).await?;
        file.execute("COMMIT").await.map_err(self.target())?;
        names::take_in_all(&mut file).await.map_err(self.target())?;
        if let Some(why) = copy::fault(&mut file).await.map_err(self.target())? {
            return Err(BackupError::Damaged(part.to_owned(), why).into());
        }
        file.close().await.map_err(self.target())?;
        Ok(report)
    }

    /// Carries everything over into tables that were just made, and compares.
    async fn fill(&mut self, source: &mut Conn<'_>, target: &mut Conn<'_>) -> Result<MoveReport, MoveError> {
        let plan = transfer::plan(source, target).await.map_err(self.source())?;
        for table in plan.tables.iter().rev() {
            table.clear(target).await.map_err(self.target())?;
        }
        let mut moved = Vec::with_capacity(plan.tables.len());
        for table in &plan.tables {
            let tally = self.carry(table, source, target).await?;
            moved.push(MovedTable { name: table.name.clone(), rows: tally.rows, digest: tally.digest() });
        }
        if let Conn::Postgres(raw) = target {
            transfer::set_sequences(raw).await.map_err(self.target())?;
            for table in &plan.tables {
                transfer::analyze(table, raw).await.map_err(self.target())?;
            }
        }
        let checked = check_all(target, &self.macs).await.map_err(self.target())?;
        if let Some(broken) = checked.broken {
            return Err(MoveError::Broken { from: self.options.from.clone(), broken });
        }
        moved.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(MoveReport { tables: moved, schema: migrate::NEWEST, events: checked.events, left_out: plan.left_out })
    }

    async fn carry(&mut self, table: &Table, source: &mut Conn<'_>, target: &mut Conn<'_>) -> Result<Tally, MoveError> {
        let name = &table.name;
        let told = &mut *self.told;
        let copied = table.copy(source, target, &mut |rows| told(MoveProgress { table: name, rows, compared: false })).await;
        let were = copied.map_err(|error| {
            let error = Error::from(error);
            let why = error.source_text().map_or_else(|| error.to_string(), str::to_owned);
            MoveError::Store(self.options.to.clone(), Error::Unavailable(format!("the table {name} cannot be carried over: {why}")))
        })?;
        let are = table.tally(target).await.map_err(self.target())?;
        if were != are {
            return Err(MoveError::Differs { table: name.clone(), rows: are.rows, of: were.rows });
        }
        (self.told)(MoveProgress { table: name, rows: are.rows, compared: true });
        Ok(are)
    }
}

/// A connection on which a statement may take as long as it takes.
async fn patient(url: &str) -> Result<PgConnection, Error> {
    let mut connection = postgres_connection(url).await?;
    connection.execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0").await?;
    Ok(connection)
}
