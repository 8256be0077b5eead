//! Keeps the verifier's memory exact: applies the change log in order, whoever wrote it (this process, the command line,
//! another node), and reloads everything when a part of the log is missing.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use keyfold_domain::catalogue::ScopeCatalogue;
use keyfold_domain::ids::{IdDigits, KeyId, WorkspaceId};
use keyfold_domain::route::RouteMap;
use keyfold_domain::time::Timestamp;
use keyfold_domain::verdict::Key;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::error::Error;
use crate::keyset::{Keyset, Stored, WorkspaceRoutes};
use crate::loading::load_keys;
use crate::mac::MacBytes;
use crate::store::changes::{ChangeRow, after, newest};
use crate::store::db::{Conn, Db};
use crate::store::keys::{KeyRow, find_live, live_of_owner, live_of_resource, live_of_user, live_of_workspace};
use crate::store::limits::{SpentRow, member, spent};
use crate::store::routes::RouteMapRow;
use crate::store::secrets::{RetiringRow, retiring};
use crate::store::{outages, routes, scopes};

/// Changes read at once.
const BATCH: i64 = 500;
/// Keys read at once where very many change.
const LOAD: i64 = 2000;
/// Route maps read at once while loading: they may be large.
const LOAD_MAPS: i64 = 50;

/// How long a look at the log may take.
const LOOK_PATIENCE: Duration = Duration::from_secs(2);
/// How long applying what was found may take, which may be every key there is.
const APPLY_PATIENCE: Duration = Duration::from_mins(2);
/// Who follows nothing, such as a command, never goes stale.
const FOR_GOOD: u64 = u64::MAX;

/// How far this process has applied the log.
pub(crate) struct Follower {
    /// Held while applying, so that changes are applied in their order.
    applying: Mutex<()>,
    applied: AtomicI64,
    awaited: AtomicI64,
    clock: Arc<dyn Clock>,
    /// When the last look began that ended well.
    looked_at: AtomicU64,
    /// For how long after that look the memory may be relied on, in milliseconds.
    budget_ms: AtomicU64,
}

impl Follower {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            applying: Mutex::new(()),
            applied: AtomicI64::new(-1),
            awaited: AtomicI64::new(0),
            clock,
            looked_at: AtomicU64::new(0),
            budget_ms: AtomicU64::new(FOR_GOOD),
        }
    }

    /// From now on the memory may only be relied on for so long after a look at the log that ended well.
    pub(crate) fn bound(&self, keyset: &Keyset, budget: Duration) {
        self.budget_ms.store(u64::try_from(budget.as_millis()).unwrap_or(FOR_GOOD), Ordering::Release);
        keyset.trust_no_longer_than(self.trusted_until(self.looked_at.load(Ordering::Acquire)));
    }

    fn trusted_until(&self, looked_at: u64) -> u64 {
        looked_at.saturating_add(self.budget_ms.load(Ordering::Acquire))
    }

    /// For how long the log was not seen, in milliseconds.
    pub(crate) fn out_of_touch_ms(&self) -> u64 {
        self.clock.uptime_ms().saturating_sub(self.looked_at.load(Ordering::Acquire))
    }

    /// The number of the newest change that is in force in this process; -1 before everything is loaded.
    pub(crate) fn applied(&self) -> i64 {
        self.applied.load(Ordering::Acquire)
    }

    /// The number of the newest change of which somebody waits to hear that it is in force everywhere.
    pub(crate) fn awaited(&self) -> i64 {
        self.awaited.load(Ordering::Acquire)
    }

    /// Returns once change number `seq` is in force in this process.
    pub(crate) async fn reach(&self, db: &Db, keyset: &Keyset, seq: i64) -> Result<(), Error> {
        if self.applied.load(Ordering::Acquire) >= seq { Ok(()) } else { self.catch_up(db, keyset).await }
    }

    /// Applies everything in the log; the first call loads every key. From then on the memory is trusted again.
    pub(crate) async fn catch_up(&self, db: &Db, keyset: &Keyset) -> Result<(), Error> {
        let _applying = self.applying.lock().await;
        // What is committed before this moment will be seen; of what comes later nothing is promised.
        let looked_at = self.clock.uptime_ms();
        let look = async {
            let mut reader = db.feed().await?;
            let found = newest(&mut reader.conn()).await?;
            Ok::<_, Error>((reader, found))
        };
        let late = |_| Error::Unavailable("no answer in time".into());
        let (mut reader, (target, awaited)) = timeout(LOOK_PATIENCE, look).await.map_err(late)??;
        // Whoever starts waits for its keys, however many there are.
        let patience = if self.applied() < 0 { Duration::MAX } else { APPLY_PATIENCE };
        timeout(patience, self.apply_up_to(&mut reader.conn(), keyset, target)).await.map_err(late)??;
        self.awaited.store(awaited, Ordering::Release);
        self.looked_at.store(looked_at, Ordering::Release);
        keyset.trust_until(self.trusted_until(looked_at));
        Ok(())
    }

    async fn apply_up_to(&self, conn: &mut Conn<'_>, keyset: &Keyset, target: i64) -> Result<(), Error> {
        let mut applied = self.applied();
        if applied < 0 {
            return self.load(conn, keyset, target).await;
        }
        while applied < target {
            let rows = after(conn, applied, BATCH).await?;
            // Trimmed before we read it, or a restored database: the log no longer tells what we missed.
            if rows.first().is_none_or(|row| row.seq != applied + 1) {
                return self.load(conn, keyset, target).await;
            }
            apply(conn, keyset, &rows).await?;
            applied = rows.last().map_or(applied, |row| row.seq);
            self.applied.store(applied, Ordering::Release);
        }
        if applied > target { self.load(conn, keyset, target).await } else { Ok(()) }
    }

    /// Does something that both the database and the memory take part in, while no change is applied.
    pub(crate) async fn meanwhile<T>(&self, work: impl Future<Output = T>) -> T {
        let _applying = self.applying.lock().await;
        work.await
    }

    /// Forgets secrets that have ended.
    pub(crate) async fn drop_ended(&self, keyset: &Keyset, now: Timestamp) {
        let _applying = self.applying.lock().await;
        keyset.drop_ended(now);
    }

    async fn load(&self, conn: &mut Conn<'_>, keyset: &Keyset, target: i64) -> Result<(), Error> {
        load_keys(conn, keyset).await?;
        load_routes(conn, keyset).await?;
        load_lenience(conn, keyset).await?;
        // Changes after `target` may be in already; applying them again changes nothing.
        self.applied.store(target, Ordering::Release);
        Ok(())
    }
}

/// Reads every workspace's route map, and forgets those that are there no more.
async fn load_routes(conn: &mut Conn<'_>, keyset: &Keyset) -> Result<(), Error> {
    let mut read = HashSet::new();
    let mut last = String::new();
    loop {
        let rows = routes::in_force_after(conn, &last, LOAD_MAPS).await?;
        let Some(end) = rows.last().map(|row| row.workspace_id.clone()) else { break };
        for row in &rows {
            put_routes(keyset, row)?;
            read.extend([row.workspace_id.clone(), row.slug.clone()]);
        }
        last = end;
    }
    keyset.retain_routes(&read);
    Ok(())
}

/// Reads which workspaces want answers from servers that have lost touch.
async fn load_lenience(conn: &mut Conn<'_>, keyset: &Keyset) -> Result<(), Error> {
    let (mut read, mut last) = (HashSet::new(), String::new());
    loop {
        let rows = outages::all_after(conn, &last, LOAD).await?;
        let Some((end, _)) = rows.last() else { break };
        last.clone_from(end);
        read.extend(rows.into_iter().map(|(id, _)| id));
    }
    keyset.lenience.replace(&read);
    Ok(())
}

/// Puts a workspace's route map into the memory. One that cannot be read is as good as one without rules: everything is
/// refused in that workspace, and the others go on.
fn put_routes(keyset: &Keyset, row: &RouteMapRow) -> Result<(), Error> {
    let map = row.map().unwrap_or_else(|error| {
        tracing::error!(workspace = row.slug, %error, "a route map cannot be read; nothing passes in its workspace until it is saved again");
        RouteMap::default()
    });
    let workspace: WorkspaceId = crate::store::users::parse_id(&row.workspace_id)?;
    keyset.put_routes(WorkspaceRoutes { workspace, slug: row.slug.clone(), version: row.version, map });
    Ok(())
}

async fn apply(conn: &mut Conn<'_>, keyset: &Keyset, rows: &[ChangeRow]) -> Result<(), Error> {
    let mut done = HashSet::new();
    let mut filling = Filling::new(keyset);
    for row in rows {
        if !done.insert((row.kind.as_str(), row.object.as_str())) {
            continue;
        }
        match (row.kind.as_str(), row.object.split_once(' ')) {
            ("key", _) => {
                let id: KeyId = crate::store::users::parse_id(&row.object)?;
                match find_live(conn, &id).await? {
                    Some(key) => {
                        filling.put(conn, &key).await?;
                    }
                    None => keyset.remove(&id),
                }
            }
            ("membership", Some((workspace, owner))) => {
                for key in live_of_owner(conn, workspace, owner).await? {
                    filling.put(conn, &key).await?;
                }
            }
            ("scopes", None) => {
                keyset.lenience.set(&row.object, outages::find(conn, &row.object).await?.unwrap_or(false));
                let mut last = String::new();
                loop {
                    let keys = live_of_workspace(conn, &row.object, &last, LOAD).await?;
                    let Some(newest) = filling.put_all(conn, &keys).await? else { break };
                    last = newest;
                }
            }
            ("routes", None) => match routes::find(conn, &row.object, None).await? {
                Some(map) => put_routes(keyset, &map)?,
                None => keyset.remove_routes(&row.object),
            },
            ("resource", Some((workspace, resource))) => {
                let mut last = String::new();
                loop {
                    let keys = live_of_resource(conn, workspace, resource, &last, LOAD).await?;
                    let Some(newest) = filling.put_all(conn, &keys).await? else { break };
                    last = newest;
                }
            }
            // None ever comes back, so that this may be applied again.
            ("workspace_end", None) => {
                keyset.remove_of(&crate::store::users::parse_id(&row.object)?);
                keyset.remove_routes(&row.object);
                keyset.lenience.set(&row.object, false);
            }
            ("user", _) => {
                for key in live_of_user(conn, &row.object).await? {
                    filling.put(conn, &key).await?;
                }
            }
            (kind, _) => return Err(Error::Internal(format!("the change log holds an unknown kind of change: {kind}"))),
        }
    }
    Ok(())
}

/// A keyed hash as it is stored.
pub(crate) fn mac_of(bytes: &[u8]) -> Result<MacBytes, Error> {
    MacBytes::try_from(bytes).map_err(|_| Error::Internal("a stored MAC has a wrong length".into()))
}

/// Puts keys into the memory. What their scopes imply is read once a workspace: a catalogue that changes while this goes on
/// is a change of its own, which is applied later.
pub(crate) struct Filling<'a> {
    keyset: &'a Keyset,
    catalogues: HashMap<String, ScopeCatalogue>,
}

impl<'a> Filling<'a> {
    pub(crate) fn new(keyset: &'a Keyset) -> Self {
        Self { keyset, catalogues: HashMap::new() }
    }

    /// Puts a key as it is now, with all its secrets that have not ended.
    async fn put(&mut self, conn: &mut Conn<'_>, row: &KeyRow) -> Result<IdDigits, Error> {
        let older = if row.rotating_until.is_some() { retiring(conn, &row.id, &row.id).await? } else { Vec::new() };
        self.insert(conn, row, older, None).await
    }

    /// `own` is what was spent of the key's quotas, if that was read already.
    pub(crate) async fn insert(
        &mut self,
        conn: &mut Conn<'_>,
        row: &KeyRow,
        older: Vec<RetiringRow>,
        own: Option<Vec<SpentRow>>,
    ) -> Result<IdDigits, Error> {
        let catalogue = match self.catalogues.entry(row.workspace_id.clone()) {
            Entry::Occupied(read) => read.into_mut(),
            Entry::Vacant(unread) => unread.insert(scopes::catalogue(conn, &row.workspace_id).await?),
        };
        let record = row.record(catalogue)?;
        let older = older.into_iter().map(|secret| Ok((mac_of(&secret.mac)?, Timestamp::from_millis(secret.ends_at))));
        let older = older.collect::<Result<Vec<_>, Error>>()?;
        let stored = self.stored(conn, &record, own).await?;
        self.keyset.put(&record, mac_of(&row.mac)?, &older, row.last_used_at.map(Timestamp::from_millis), &stored);
        Ok(record.id.digits())
    }

    /// What the store knows of quotas that are counted in memory from now on.
    async fn stored(&self, conn: &mut Conn<'_>, record: &Key, own: Option<Vec<SpentRow>>) -> Result<Stored, Error> {
        let mut stored = Stored::default();
        if self.keyset.lacks_meter(record) {
            stored.own = match own {
                Some(rows) => rows,
                None => spent(conn, record.id.as_str(), record.id.as_str()).await?,
            };
        }
        if self.keyset.lacks_member(record) {
            let subject = member(&record.workspace_id, &record.owner.id);
            stored.owners = spent(conn, &subject, &subject).await?;
        }
        Ok(stored)
    }

    /// Puts a page of keys; tells the id of the last, or nothing after the last page.
    async fn put_all(&mut self, conn: &mut Conn<'_>, rows: &[KeyRow]) -> Result<Option<String>, Error> {
        for row in rows {
            self.put(conn, row).await?;
        }
        Ok(rows.last().map(|row| row.id.clone()))
    }
}
