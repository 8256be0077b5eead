//! Whole copies of an instance: taken beside a running server, and put in the place of a database that was lost.
//!
//! A copy is looked through before it gets its name, and gets its name last: whatever stops the work leaves nothing that
//! could be taken for a whole one. What a restored copy must not bring back to life is in `revived`.

pub(crate) mod later;
mod restoring;
mod revived;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use keyfold_domain::audit::{BrokenLink, ChainReport};
use keyfold_domain::time::Timestamp;
use sqlx::migrate::MigrateError;
use sqlx::{Connection as _, SqliteConnection};

use crate::clock::Clock;
use crate::error::Error;
use crate::mac::{Macs, Pepper};
use crate::pepper_check::{self, Mismatch};
use crate::service::audit_chain::check_all;
use crate::store::db::{Conn, DatabaseUrl, sqlite_reader};
use crate::store::{copy, meta, migrate};
pub use restoring::{RestoreOptions, RestoreReport, restore};
pub use revived::{Revived, Stopped};

/// Where a copy keeps when it was taken.
const TAKEN_AT: &str = "backup_taken_at";
/// The ending of the name that a file has until it is complete.
const PART: &str = ".part";

/// Why there is no backup, or why it was not restored. The text tells the operator what to do.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// PostgreSQL has tools of its own for that.
    #[error(
        "this instance is on PostgreSQL, which is backed up with its own tools: pg_dump --format=custom --file=keyfold.dump DATABASE_URL, and back into an empty database with pg_restore --dbname=DATABASE_URL keyfold.dump. Keep the pepper file as well, and apart from it"
    )]
    Postgres,
    /// There is nothing to back up, or no such backup.
    #[error("there is no database at {path}", path = .0.display())]
    Absent(PathBuf),
    /// The backup's name is taken.
    #[error("{path} exists already. Choose another name, or replace it with --force", path = .0.display())]
    Exists(PathBuf),
    /// The backup's name is that of the database.
    #[error("{path} is the database itself, or one of its files. Choose another name, best on another disk", path = .0.display())]
    Itself(PathBuf),
    /// Somebody else writes the same file.
    #[error("another backup is being written to {path}. Wait for it, or choose another name", path = .0.display())]
    Busy(PathBuf),
    /// There is a database where one is to be restored.
    #[error("there is a database at {path} already. A backup is restored into an empty place only: choose another data folder, or move what is there away", path = .0.display())]
    Occupied(PathBuf),
    /// A server uses the place.
    #[error("another Keyfold uses {path} at this moment. Stop it first", path = .0.display())]
    InUse(PathBuf),
    /// It is something else.
    #[error("{path} is no database of Keyfold's", path = .0.display())]
    Foreign(PathBuf),
    /// It was written by a newer version.
    #[error("{path} was made by a newer Keyfold: it has schema {schema}, and this one knows only up to {known}. Use the newer Keyfold", path = .0.display(), schema = .1, known = migrate::NEWEST)]
    Newer(PathBuf, i64),
    /// The pepper is another one.
    #[error(
        "this database was made with the pepper {wanted}, and the pepper found has the fingerprint {found}. Put the pepper file with the fingerprint {wanted} in its place: with another one no key could be verified"
    )]
    WrongPepper {
        /// The fingerprint that the database asks for.
        wanted: String,
        /// The fingerprint of what was given.
        found: String,
    },
    /// The pepper before is needed as well.
    #[error(
        "this database was made while two peppers were live, and the older one (fingerprint {0}) is not there. Put its file beside the pepper file, with the same name and the ending .old"
    )]
    WithoutOldPepper(String),
    /// The file is damaged.
    #[error("{path} is damaged: {why}. Use another backup", path = .0.display(), why = .1)]
    Damaged(PathBuf, String),
    /// The audit log in it is not whole.
    #[error(
        "the audit log in {path} is not whole: event {seq} of chain {chain}: {why}. Something other than Keyfold changed it, so nothing else in it can be relied on",
        path = .0.display(), seq = .1.seq, chain = .1.chain, why = .1.why
    )]
    Broken(PathBuf, BrokenLink),
    /// The events that were given do not go on from the backup.
    #[error("{0}")]
    Events(String),
    /// It cannot be brought to this version.
    #[error("the database could not be brought to this version: {0}")]
    Migrate(MigrateError),
    /// The file system refused.
    #[error("{path}: {why}", path = .0.display(), why = .1)]
    Io(PathBuf, std::io::Error),
    /// The database cannot be read.
    #[error("{0}")]
    Store(#[from] Error),
}

impl From<sqlx::Error> for BackupError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupFacts {
    /// The version of its schema.
    pub schema: i64,
    /// How many keys are in it that are not deleted.
    pub keys: u64,
    /// When it was taken; `None` for a copy that something else made.
    pub taken_at: Option<Timestamp>,
    /// The fingerprint of the pepper it was made with, if it says so.
    pub pepper: Option<String>,
}

/// A backup that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupReport {
    /// Its size in bytes.
    pub bytes: u64,
    /// What it holds.
    pub facts: BackupFacts,
    /// How many events its audit log has, all of which were checked.
    pub events: u64,
}

/// Copies the database into a file, while a server may be using it. What was committed before the call is in it.
///
/// The file is complete, checked and on disk before it has the name `to`. An existing file is replaced only with
/// `overwrite`, and stays as it is if the backup fails.
pub async fn backup(
    database: &DatabaseUrl,
    pepper: &Pepper,
    clock: &dyn Clock,
    to: &Path,
    overwrite: bool,
) -> Result<BackupReport, BackupError> {
    let DatabaseUrl::Sqlite(path) = database else { return Err(BackupError::Postgres) };
    if !path.exists() {
        return Err(BackupError::Absent(path.clone()));
    }
    if is_itself(path, to) {
        return Err(BackupError::Itself(to.to_owned()));
    }
    if to.exists() && (!overwrite || to.is_dir()) {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let part = copy::beside(to, PART);
    let io = |error| BackupError::Io(part.clone(), error);
    let (lock, alone) = copy::lock(&part).map_err(io)?;
    if !alone {
        return Err(BackupError::Busy(to.to_owned()));
    }
    let report = fill(path, &part, &Macs::new(pepper), clock.now()).await;
    let done = report.and_then(|report| copy::finish(&part, to).map(|()| report).map_err(io));
    if done.is_err() {
        // Nobody can do anything with it, and the next backup would write over it.
        drop(std::fs::remove_file(&part));
    }
    drop(lock);
    done
}

/// Would the backup take the place of the database, or of a file beside it?
fn is_itself(path: &Path, to: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    let own = ["", "-wal", "-shm", "-journal", ".lock"].map(|ending| copy::beside(path, ending));
    own.iter().any(|own| own == to || (real(to).is_some() && real(own) == real(to)))
}

async fn fill(path: &Path, part: &Path, macs: &Macs, now: Timestamp) -> Result<BackupReport, BackupError> {
    let mut source = open_ours(path).await?;
    let facts = fitting(path, &mut source, macs).await?;
    copy::fill(&mut source, part).await?;
    source.close().await?;
    let mut copied = copy::open(part).await?;
    meta::replace(&mut Conn::Sqlite(&mut copied), TAKEN_AT, &now.as_millis().to_string()).await?;
    let keys = copy::keys(&mut copied).await?;
    let checked = look_through(path, &mut copied, macs).await?;
    copied.close().await?;
    let bytes = std::fs::metadata(part).map_err(|error| BackupError::Io(part.to_owned(), error))?.len();
    let facts = BackupFacts { keys: u64::try_from(keys).unwrap_or_default(), taken_at: Some(now), ..facts };
    Ok(BackupReport { bytes, facts, events: checked.events })
}

/// What a file holds, as far as it can be told without the pepper.
pub async fn inspect_backup(file: &Path) -> Result<BackupFacts, BackupError> {
    let mut source = open_ours(file).await?;
    let facts = facts(file, &mut source).await?;
    source.close().await?;
    Ok(facts)
}

/// Opens a file to read from, if it is a database of Keyfold's.
pub(crate) async fn open_ours(file: &Path) -> Result<SqliteConnection, BackupError> {
    let mut start = Vec::new();
    let read = std::fs::File::open(file).and_then(|opened| opened.take(16).read_to_end(&mut start));
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(BackupError::Absent(file.to_owned())),
        Err(error) => return Err(BackupError::Io(file.to_owned(), error)),
        Ok(_) if start != b"SQLite format 3\0" => return Err(BackupError::Foreign(file.to_owned())),
        Ok(_) => {}
    }
    let mut source = sqlite_reader(file).await?;
    if !copy::is_ours(&mut source).await.map_err(|error| damaged(file, &error))? {
        return Err(BackupError::Foreign(file.to_owned()));
    }
    Ok(source)
}

fn damaged(file: &Path, error: &sqlx::Error) -> BackupError {
    BackupError::Damaged(file.to_owned(), error.to_string())
}

async fn facts(file: &Path, source: &mut SqliteConnection) -> Result<BackupFacts, BackupError> {
    let schema = migrate::current(&mut Conn::Sqlite(source)).await?.ok_or_else(|| BackupError::Foreign(file.to_owned()))?;
    if schema > migrate::NEWEST {
        return Err(BackupError::Newer(file.to_owned(), schema));
    }
    let keys = copy::keys(source).await.map_err(|error| damaged(file, &error))?;
    let mut conn = Conn::Sqlite(source);
    let taken_at = meta::find(&mut conn, TAKEN_AT).await?.and_then(|text| text.parse().ok()).map(Timestamp::from_millis);
    let pepper = pepper_check::wanted(&mut conn).await?;
    Ok(BackupFacts { schema, keys: u64::try_from(keys).unwrap_or_default(), taken_at, pepper })
}

/// The facts of a database that the peppers given belong to.
async fn fitting(file: &Path, source: &mut SqliteConnection, macs: &Macs) -> Result<BackupFacts, BackupError> {
    let facts = facts(file, source).await?;
    let found = macs.pepper_id().to_owned();
    match pepper_check::compare(&mut Conn::Sqlite(source), macs).await? {
        Some(Ok(_)) => Ok(BackupFacts { pepper: Some(found), ..facts }),
        Some(Err(Mismatch::WithoutOld(wanted))) => Err(BackupError::WithoutOldPepper(wanted)),
        Some(Err(Mismatch::Wrong | Mismatch::Interrupted)) | None => {
            let wanted = facts.pepper.unwrap_or_else(|| "of that time (it is older than fingerprints)".to_owned());
            Err(BackupError::WrongPepper { wanted, found })
        }
    }
}

/// Looks through all of a copy: its pages and indexes, and every link of its audit log.
async fn look_through(file: &Path, copied: &mut SqliteConnection, macs: &Macs) -> Result<ChainReport, BackupError> {
    if let Some(why) = copy::fault(copied).await? {
        return Err(BackupError::Damaged(file.to_owned(), why));
    }
    let report = check_all(&mut Conn::Sqlite(copied), macs).await?;
    match report.broken {
        Some(broken) => Err(BackupError::Broken(file.to_owned(), broken)),
        None => Ok(report),
    }
}
