//! From a backup to a database that a server can open.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use keyfold_domain::audit::ChainHead;
use keyfold_domain::policy::{Action, Actor, Object, can};
use keyfold_domain::time::Timestamp;
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use super::later::Later;
use super::revived::{Revived, Stopped, Stopping};
use super::{BackupError, BackupFacts, TAKEN_AT, fitting, look_through, open_ours};
use crate::clock::{Clock, Entropy};
use crate::error::Error;
use crate::mac::{Macs, Pepper};
use crate::store::db::{Conn, DatabaseUrl};
use crate::store::{copy, meta, migrate};

/// The ending of the name that a database has until all of it is restored.
const PART: &str = ".restoring";

/// What is restored, and where.
pub struct RestoreOptions {
    /// The backup.
    pub from: PathBuf,
    /// Where there is no database yet.
    pub to: DatabaseUrl,
    /// What the backup was made with.
    pub pepper: Pepper,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives randomness.
    pub entropy: Arc<dyn Entropy>,
    /// What becomes of keys that were stopped after the backup was taken.
    pub revived: Revived,
    /// Heads of the audit log as it was when they were taken, after the backup: events that are given have to reach them.
    pub heads: Vec<ChainHead>,
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// What the backup held.
    pub facts: BackupFacts,
    /// The schema it was brought to.
    pub schema: i64,
    /// How many events its audit log had, all of which were checked.
    pub events: u64,
    /// What does not work any more although the backup holds it.
    pub stopped: Stopped,
}

/// Puts a backup into an empty place: checked, brought to this version, with sessions, invitations and links ended, and with
/// what `revived` says done to keys that were stopped since. All of it, or nothing.
pub async fn restore(actor: &Actor, options: &RestoreOptions) -> Result<RestoreReport, BackupError> {
    Error::unless_allowed(can(actor, Action::ManageAllKeys, &Object::Instance))?;
    let DatabaseUrl::Sqlite(path) = &options.to else { return Err(BackupError::Postgres) };
    let io = |error| BackupError::Io(path.clone(), error);
    let lock_path = copy::beside(path, ".lock");
    let (lock, alone) = copy::lock(&lock_path).map_err(|error| BackupError::Io(lock_path.clone(), error))?;
    if !alone {
        return Err(BackupError::InUse(path.clone()));
    }
    if let Some(there) = copy::leftover(path) {
        return Err(BackupError::Occupied(there));
    }
    let part = copy::beside(path, PART);
    copy::sweep(&part).map_err(io)?;
    let done = fill(actor, options, &part).await.and_then(|report| copy::finish(&part, path).map(|()| report).map_err(io));
    if done.is_err() {
        drop(copy::sweep(&part));
    }
    drop(lock);
    done
}

async fn fill(actor: &Actor, options: &RestoreOptions, part: &Path) -> Result<RestoreReport, BackupError> {
    let macs = Macs::new(&options.pepper);
    let mut source = open_ours(&options.from).await?;
    let facts = fitting(&options.from, &mut source, &macs).await?;
    copy::fill(&mut source, part).await.map_err(|error| BackupError::Damaged(options.from.clone(), error.to_string()))?;
    source.close().await?;
    let mut copied = copy::open(part).await?;
    let checked = look_through(&options.from, &mut copied, &macs).await?;
    let heads = crate::service::audit_chain::heads(&mut Conn::Sqlite(&mut copied)).await?;
    let later = match &options.revived {
        Revived::Follow { events, .. } => Later::read(events, &heads, &options.heads, &macs).map_err(BackupError::Events)?,
        Revived::DeactivateAll | Revived::Accept => Later::default(),
    };
    migrate::run(&mut Conn::Sqlite(&mut copied)).await.map_err(BackupError::Migrate)?;
    let schema = migrate::NEWEST;
    let stopping = Stopping { actor, macs: &macs, entropy: &options.entropy, now: options.clock.now(), revived: &options.revived };
    let stopped = apply(&mut copied, &stopping, later, &facts).await?;
    copied.close().await?;
    Ok(RestoreReport { facts, schema, events: checked.events, stopped })
}

async fn apply(copied: &mut SqliteConnection, stopping: &Stopping<'_>, later: Later, facts: &BackupFacts) -> Result<Stopped, BackupError> {
    copied.execute("BEGIN IMMEDIATE").await?;
    let mut conn = Conn::Sqlite(copied);
    let stopped = stopping.carry_out(&mut conn, later, facts.taken_at).await?;
    // A backup of the restored database has a time of its own.
    meta::delete(&mut conn, TAKEN_AT).await?;
    copied.execute("COMMIT").await?;
    Ok(stopped)
}

/// When the backup was taken, for a sentence.
pub(super) fn taken(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_millis)
}
