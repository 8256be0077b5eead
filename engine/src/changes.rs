//! Keeps the verifier's memory exact: applies the change log in order, whoever wrote it (this process, the command line,
//! another node), and reloads everything when a part of the log is missing.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};

use keyfold_domain::ids::KeyId;
use keyfold_domain::time::Timestamp;
use tokio::sync::Mutex;

use crate::error::Error;
use crate::keyset::Keyset;
use crate::mac::MacBytes;
use crate::store::changes::{ChangeRow, after, newest};
use crate::store::db::{Conn, Db};
use crate::store::keys::{KeyRow, find_live, live_after, live_of_owner};

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

    async fn load(&self, conn: &mut Conn<'_>, keyset: &Keyset, target: i64) -> Result<(), Error> {
        let mut seen = HashSet::new();
        let mut last = String::new();
        loop {
            let rows = live_after(conn, &last, LOAD).await?;
            for row in &rows {
                seen.insert(put(keyset, row)?);
            }
            match rows.last() {
                Some(row) => last.clone_from(&row.id),
                None => break,
            }
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
                    Some(key) => drop(put(keyset, &key)?),
                    None => keyset.remove(&id),
                }
            }
            ("membership", Some((workspace, owner))) => {
                for key in live_of_owner(conn, workspace, owner).await? {
                    put(keyset, &key)?;
                }
            }
            (kind, _) => return Err(Error::Internal(format!("the change log holds an unknown kind of change: {kind}"))),
        }
    }
    Ok(())
}

fn put(keyset: &Keyset, row: &KeyRow) -> Result<KeyId, Error> {
    let record = row.record()?;
    let id = record.id.clone();
    let mac: MacBytes = row.mac.as_slice().try_into().map_err(|_| Error::Internal("a stored MAC has a wrong length".into()))?;
    keyset.put(record, mac, row.last_used_at.map(Timestamp::from_millis));
    Ok(id)
}
