//! Whole copies of a SQLite file: before an upgrade, as a backup, and back from one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, SqliteConnection};

use crate::error::Error;
use crate::mac::sync_folder;

/// The name of a file beside another one.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Opens a file, made for its owner alone if it is absent, and tries to get it for this process alone; says whether it did.
pub(crate) fn lock(path: &Path) -> io::Result<(File, bool)> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok((file, true)),
        Err(TryLockError::WouldBlock) => Ok((file, false)),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Copies all that is committed in the database of a connection into the file `part`, of which nothing is left before.
pub(crate) async fn fill(conn: &mut SqliteConnection, part: &Path) -> Result<(), Error> {
    let failed = |error: io::Error| Error::Unavailable(format!("{}: {error}", part.display()));
    // SQLite writes into an empty file that is there already, and so leaves its mode alone.
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(part).map_err(failed)?;
    sqlx::query("VACUUM INTO $1").bind(part.to_string_lossy().as_ref()).execute(conn).await?;
    Ok(())
}

/// Gives a complete copy its name, once all of it is on disk.
pub(crate) fn finish(part: &Path, path: &Path) -> io::Result<()> {
    File::open(part)?.sync_all()?;
    std::fs::rename(part, path)?;
    sync_folder(path)
}

/// The endings of the files that SQLite keeps: the database itself, and what is beside it.
const OWN: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// What is there of a database, if anything. A WAL that is left of another one would be taken for a part of a new one.
pub(crate) fn leftover(path: &Path) -> Option<PathBuf> {
    OWN.iter().map(|ending| beside(path, ending)).find(|file| file.exists())
}

/// Removes what interrupted work has left behind.
pub(crate) fn sweep(part: &Path) -> io::Result<()> {
    for ending in OWN {
        match std::fs::remove_file(beside(part, ending)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Copies a SQLite file as it is before an upgrade, to a name that says from which schema; only its owner may read it.
/// A copy that an interrupted upgrade left behind is replaced. Returns where the copy is.
pub(crate) async fn keep(conn: &mut SqliteConnection, path: &Path, schema: i64) -> Result<PathBuf, Error> {
    let kept = beside(path, &format!(".schema-{schema}"));
    let part = beside(&kept, ".part");
    fill(conn, &part).await?;
    finish(&part, &kept).map_err(|error| Error::Unavailable(format!("{}: {error}", part.display())))?;
    Ok(kept)
}

/// Opens a copy that nobody else knows of, to look at it and to change it. It has no files beside it once it is closed.
pub(crate) async fn open(path: &Path) -> Result<SqliteConnection, Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .pragma("trusted_schema", "OFF")
        .pragma("secure_delete", "ON")
        .disable_statement_logging();
    Ok(options.connect().await?)
}

/// What SQLite finds wrong with a file, if anything.
pub(crate) async fn fault(conn: &mut SqliteConnection) -> Result<Option<String>, sqlx::Error> {
    let found: String = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(conn).await?;
    Ok((found != "ok").then_some(found))
}

/// Is there a database of Keyfold's behind the connection?
pub(crate) async fn is_ours(conn: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let sql = "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('_sqlx_migrations', 'meta', 'audit_chains', 'secrets')";
    sqlx::query_scalar(sql).fetch_one(conn).await.map(|found: i64| found == 4)
}

/// How many keys there are that are not deleted.
pub(crate) async fn keys(conn: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT COUNT(*) FROM keys WHERE deleted_at IS NULL").fetch_one(conn).await
}
