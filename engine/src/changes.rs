//! Keeps the verifier's memory exact: applies the change log in order, whoever wrote it (this process, the command line,
//! another node), and reloads everything when a part of the log is missing.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};

use keyfold_domain::ids::KeyId;
use keyfold_domain::time::Timestamp;
use tokio::sync::Mutex;

use crate::error::Error;
use crate::keyset::Keyset;
use crate::mac::MacBytes;
use crate::store::changes::{ChangeRow, after, newest};
use crate::store::db::{Conn, Db};
use crate::store::keys::{KeyRow, find_live, live_after, live_of_owner, live_of_user};
use crate::store::secrets::{RetiringRow, retiring};

/// Changes read at once.
const BATCH: i64 = 500;
/// Keys read at once while loading.
const LOAD: i64 = 2000;

/// How far this process has applied the log.
pub(crate) struct Follower {
    /// Held while applying, so that changes are applied in their order.
    applying: Mutex<()>,
    applied: AtomicI64,
}

impl Follower {
    pub(crate) fn new() -> Self {
        Self { applying: Mutex::new(()), applied: AtomicI64::new(-1) }
    }

    /// Returns once change number `seq` is in force in this process.
    pub(crate) async fn reach(&self, db: &Db, keyset: &Keyset, seq: i64) -> Result<(), Error> {
        if self.applied.load(Ordering::Acquire) >= seq { Ok(()) } else { self.catch_up(db, keyset).await }
    }

    /// Applies everything in the log; the first call loads every key.
    pub(crate) async fn catch_up(&self, db: &Db, keyset: &Keyset) -> Result<(), Error> {
        let _applying = self.applying.lock().await;
        let mut reader = db.reader().await?;
        let mut conn = reader.conn();
        let target = newest(&mut conn).await?;
        let mut applied = self.applied.load(Ordering::Acquire);
        if applied < 0 {
            return self.load(&mut conn, keyset, target).await;
        }
        while applied < target {
            let rows = after(&mut conn, applied, BATCH).await?;
            // Trimmed before we read it, or a restored database: the log no longer tells what we missed.
            if rows.first().is_none_or(|row| row.seq != applied + 1) {
                return self.load(&mut conn, keyset, target).await;
            }
            apply(&mut conn, keyset, &rows).await?;
            applied = rows.last().map_or(applied, |row| row.seq);
            self.applied.store(applied, Ordering::Release);
        }
        if applied > target { self.load(&mut conn, keyset, target).await } else { Ok(()) }
    }

    /// Forgets secrets that have ended.
    pub(crate) async fn drop_ended(&self, keyset: &Keyset, now: Timestamp) {
        let _applying = self.applying.lock().await;
        keyset.drop_ended(now);
    }

    async fn load(&self, conn: &mut Conn<'_>, keyset: &Keyset, target: i64) -> Result<(), Error> {
        let mut seen = HashSet::new();
        let mut last = String::new();
        loop {
            let rows = live_after(conn, &last, LOAD).await?;
            let Some(end) = rows.last().map(|row| row.id.clone()) else { break };
            let mut older = HashMap::<String, Vec<RetiringRow>>::new();
            for secret in retiring(conn, &last, &end).await? {
                older.entry(secret.key_id.clone()).or_default().push(secret);
            }
            for row in &rows {
                seen.insert(insert(keyset, row, older.remove(&row.id).unwrap_or_default())?);
            }
            last = end;
        }
        keyset.retain(&seen);
        // Changes after `target` may be in already; applying them again changes nothing.
        self.applied.store(target, Ordering::Release);
        keyset.set_loaded();
        Ok(())
    }
}

async fn apply(conn: &mut Conn<'_>, keyset: &Keyset, rows: &[ChangeRow]) -> Result<(), Error> {
    let mut done = HashSet::new();
    for row in rows {
        if !done.insert((row.kind.as_str(), row.object.as_str())) {
            continue;
        }
        match (row.kind.as_str(), row.object.split_once(' ')) {
            ("key", _) => {
                let id: KeyId = crate::store::users::parse_id(&row.object)?;
                match find_live(conn, &id).await? {
                    Some(key) => put(conn, keyset, &key).await?,
                    None => keyset.remove(&id),
                }
            }
            ("membership", Some((workspace, owner))) => {
                for key in live_of_owner(conn, workspace, owner).await? {
                    put(conn, keyset, &key).await?;
                }
            }
            ("user", _) => {
                for key in live_of_user(conn, &row.object).await? {
                    put(conn, keyset, &key).await?;
                }
            }
            (kind, _) => return Err(Error::Internal(format!("the change log holds an unknown kind of change: {kind}"))),
        }
    }
    Ok(())
}

/// Puts a key as it is now into memory, with all its secrets that have not ended.
async fn put(conn: &mut Conn<'_>, keyset: &Keyset, row: &KeyRow) -> Result<(), Error> {
    let older = if row.rotating_until.is_some() { retiring(conn, &row.id, &row.id).await? } else { Vec::new() };
    insert(keyset, row, older).map(drop)
}

fn insert(keyset: &Keyset, row: &KeyRow, older: Vec<RetiringRow>) -> Result<KeyId, Error> {
    let record = row.record()?;
    let id = record.id.clone();
    let mac = |bytes: &[u8]| MacBytes::try_from(bytes).map_err(|_| Error::Internal("a stored MAC has a wrong length".into()));
    let older = older.into_iter().map(|secret| Ok((mac(&secret.mac)?, Timestamp::from_millis(secret.ends_at))));
    let older = older.collect::<Result<Vec<_>, Error>>()?;
    keyset.put(record, mac(&row.mac)?, &older, row.last_used_at.map(Timestamp::from_millis));
    Ok(id)
}
