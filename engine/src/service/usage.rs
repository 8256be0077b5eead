//! Counters on their way to the database: merged in memory, written in batches. A crash loses at most what was counted
//! since the last flush; a clean stop loses nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use keyfold_domain::time::{DAY_MS, Timestamp};
use keyfold_domain::usage::{KEPT_DAYS, day_of, hour_of};
use keyfold_domain::verdict::Code;
use serde::Serialize;

use super::Core;
use crate::error::Error;
use crate::keyset::{Flushed, Seen};
use crate::mac::{MacBytes, hex};
use crate::store;
use crate::store::usage::Batch;

/// How often counts are written.
pub(crate) const FLUSH_EVERY: Duration = Duration::from_secs(5);
/// Secrets whose counts are written in one transaction, so that no other write waits long.
const CHUNK: usize = 500;
/// How long the change log is kept, in milliseconds. Followers read it many times a second.
const LOG_MS: i64 = 3_600_000;
/// How long it is kept who used a secret that has ended, in days: these are addresses of people.
const CLIENTS_DAYS: i64 = 30;
/// Rows removed in one transaction.
const STEP: i64 = 2000;
/// Transactions of one round of cleaning up; the next round goes on.
const STEPS: u32 = 50;

/// Writes every count that is waiting, then stores secrets that were presented under the pepper before under the present one.
pub(crate) async fn flush(core: &Core) -> Result<(), Error> {
    // One at a time: counts on their way name a secret by its keyed hash, which the second half changes.
    let _flushing = core.flushing.lock().await;
    let written = flush_all(core).await;
    match &written {
        Ok(()) => core.keyset.progress.flushed(),
        Err(_) => core.keyset.progress.flush_failed(),
    }
    written
}

async fn flush_all(core: &Core) -> Result<(), Error> {
    // What is spent of quotas first: that lets through or refuses, the rest only tells.
    flush_spent(core).await?;
    write_counts(core).await?;
    super::peppers::move_secrets(core).await
}

async fn write_counts(core: &Core) -> Result<(), Error> {
    loop {
        let counts = core.keyset.take_counts(CHUNK);
        if counts.is_empty() {
            return Ok(());
        }
        let written = match batch(&counts) {
            Ok(batch) => {
                let write = core.db.write(move |mut conn| {
                    let batch = batch.clone();
                    Box::pin(async move { Ok(store::usage::add(&mut conn, &batch).await?) })
                });
                write.await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            core.keyset.give_back(counts);
            return Err(error);
        }
    }
}

/// Writes what was spent of quotas.
pub(crate) async fn flush_spent(core: &Core) -> Result<(), Error> {
    loop {
        let flushed = core.keyset.take_spent(CHUNK);
        if flushed.is_empty() {
            return Ok(());
        }
        let mut sums = BTreeMap::<(&str, &str, i64), u64>::new();
        for (meter, row) in flushed.iter().flat_map(|flushed| flushed.unwritten.iter().map(|row| (&flushed.meter, row))) {
            *sums.entry((meter.subject(), row.name.as_str(), row.at.as_millis())).or_default() += row.units;
        }
        let mut held = BTreeMap::<(&str, &str), u64>::new();
        for (meter, (name, units)) in flushed.iter().flat_map(|flushed| flushed.holdings.iter().map(|row| (&flushed.meter, row))) {
            held.insert((meter.subject(), name.as_str()), *units);
        }
        let rows = json(sums.iter().map(|((subject, name, at), units)| (subject, name, at, units)));
        let held = json(held.iter().map(|((subject, name), units)| (subject, name, units)));
        let written = match rows.and_then(|rows| Ok((rows, held?))) {
            Ok((rows, held)) => write_spent(core, rows, held).await,
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            core.keyset.give_back_spent(flushed);
            return Err(error);
        }
    }
}

/// What was spent goes from a server's leases into what everybody knows of, in one transaction.
async fn write_spent(core: &Core, rows: String, held: String) -> Result<(), Error> {
    let node = core.presence.get().map(|presence| presence.node.id.clone());
    let write = core.db.write(move |mut conn| {
        let (rows, held, node) = (rows.clone(), held.clone(), node.clone());
        Box::pin(async move {
            store::limits::add(&mut conn, &rows).await?;
            if let (Some(node), store::db::Conn::Postgres(raw)) = (&node, conn) {
                store::leases::shrink(raw, node, &held).await?;
            }
            Ok(())
        })
    });
    write.await
}

/// Counts as rows. A key may have several secrets among them and a secret may be there twice, each row only once: neither
/// engine lets one statement change a row two times.
fn batch(counts: &[Flushed]) -> Result<Batch, Error> {
    let mut keys = BTreeMap::<&str, (u64, i64)>::new();
    let mut secrets = BTreeMap::<&MacBytes, (u64, i64)>::new();
    let mut hours = BTreeMap::<(&str, i64, &str), u64>::new();
    let mut scopes = BTreeMap::<(&str, &str, i64), (u64, i64)>::new();
    let mut clients = BTreeMap::<(&MacBytes, String, &str), (i64, u64)>::new();
    for Flushed { id, mac, counts, .. } in counts {
        let (id, calls) = (id.as_str(), counts.total());
        if calls > 0 {
            let last = counts.last_used_at.map_or(0, Timestamp::as_millis);
            for (sum, latest) in [keys.entry(id).or_default(), secrets.entry(mac).or_default()] {
                *sum += calls;
                *latest = last.max(*latest);
            }
        }
        for (hour, calls) in &counts.calls {
            *hours.entry((id, *hour, Code::Valid.as_str())).or_default() += calls;
        }
        for (hour, code, count) in &counts.denials {
            *hours.entry((id, *hour, code.as_str())).or_default() += count;
        }
        for (scope, count, last) in &counts.scopes {
            let (sum, latest) = scopes.entry((id, scope.as_str(), day_of(*last))).or_default();
            *sum += count;
            *latest = last.as_millis().max(*latest);
        }
        for Seen { ip, user_agent, last_seen_at, calls } in &counts.clients {
            let ip = ip.map(|ip| ip.to_string()).unwrap_or_default();
            let (latest, sum) = clients.entry((mac, ip, user_agent.as_deref().unwrap_or_default())).or_default();
            *latest = last_seen_at.as_millis().max(*latest);
            *sum += calls;
        }
    }
    Ok(Batch {
        keys: json(keys.iter().map(|(id, (calls, last))| (id, calls, last)))?,
        secrets: json(secrets.iter().map(|(mac, (calls, last))| (hex(*mac), calls, last)))?,
        hours: json(hours.iter().map(|((id, hour, code), count)| (id, hour, code, count)))?,
        scopes: json(scopes.iter().map(|((id, scope, day), (count, last))| (id, scope, day, count, last)))?,
        clients: json(clients.iter().map(|((mac, ip, agent), (last, calls))| (hex(*mac), ip, agent, last, calls)))?,
    })
}

pub(crate) fn json<T: Serialize>(rows: impl Iterator<Item = T>) -> Result<String, Error> {
    serde_json::to_string(&rows.collect::<Vec<_>>()).map_err(|error| Error::Internal(error.to_string()))
}

/// Forgets what nobody needs any more.
pub(crate) async fn housekeep(core: &Core) -> Result<(), Error> {
    core.limits.tidy();
    let now = core.now();
    core.follower.drop_ended(&core.keyset, now).await;
    core.db
        .write(move |mut conn| {
            Box::pin(async move {
                store::invitations::trim(&mut conn, now).await?;
                store::password_links::trim(&mut conn, now).await?;
                Ok(store::changes::trim(&mut conn, now.plus_ms(-LOG_MS)).await?)
            })
        })
        .await?;
    // A day late, so that a clock which is ahead for a while ends nothing.
    let ended = now.plus_ms(-DAY_MS);
    in_steps(core, move |mut conn| Box::pin(async move { Ok(store::secrets::close_ended(&mut conn, ended, STEP).await?) })).await?;
    super::keys_bulk::forget(core).await?;
    let oldest = now.plus_days(-i64::from(KEPT_DAYS));
    in_steps(core, move |mut conn| Box::pin(async move { Ok(store::limits::trim(&mut conn, oldest, STEP).await?) })).await?;
    in_steps(core, move |conn| {
        Box::pin(async move {
            let store::db::Conn::Postgres(raw) = conn else { return Ok(0) };
            Ok(store::leases::trim(raw, STEP).await?)
        })
    })
    .await?;
    let (hour, day, gone) = (hour_of(oldest), day_of(oldest), now.plus_days(-CLIENTS_DAYS));
    in_steps(core, move |mut conn| Box::pin(async move { Ok(store::usage::forget(&mut conn, hour, day, gone, STEP).await?) })).await?;
    take_in_names(core, 1).await
}

/// How many names may wait for the index of names: a search looks at each of them.
const NAMES_WAITING: i64 = 500;

/// Takes names into the index of names while many wait, on SQLite.
pub(crate) async fn index_names(core: &Core) -> Result<(), Error> {
    take_in_names(core, NAMES_WAITING).await
}

/// Takes names in as long as at least so many wait.
async fn take_in_names(core: &Core, at_least: i64) -> Result<(), Error> {
    loop {
        let mut reader = core.db.reader().await?;
        let store::db::Conn::Sqlite(raw) = reader.conn() else { return Ok(()) };
        let wait = store::names::wait(raw, at_least).await?;
        drop(reader);
        if !wait {
            return Ok(());
        }
        core.db
            .write(|conn| {
                Box::pin(async move {
                    let store::db::Conn::Sqlite(raw) = conn else { return Ok(()) };
                    Ok(store::names::take_in(raw, store::names::AT_ONCE).await?)
                })
            })
            .await?;
    }
}

/// Runs `step`, each time in a transaction of its own, until it finds nothing more to do.
async fn in_steps<W>(core: &Core, step: W) -> Result<(), Error>
where
    W: for<'c> Fn(store::db::Conn<'c>) -> futures_util::future::BoxFuture<'c, Result<u64, Error>> + Clone + Send + Sync + 'static,
{
    for _ in 0..STEPS {
        if core.db.write(step.clone()).await? == 0 {
            break;
        }
    }
    Ok(())
}
