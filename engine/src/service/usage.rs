//! Counters on their way to the database: merged in memory, written in batches. A crash loses at most what was counted
//! since the last flush; a clean stop loses nothing.

use std::time::Duration;

use super::Core;
use crate::error::Error;
use crate::store;

/// How often counts are written.
pub(crate) const FLUSH_EVERY: Duration = Duration::from_secs(5);
/// Keys written in one transaction, so that no other write waits long.
const CHUNK: usize = 500;
/// How long the change log is kept, in milliseconds. Followers read it many times a second.
const LOG_MS: i64 = 3_600_000;

/// Writes every count that is waiting.
pub(crate) async fn flush(core: &Core) -> Result<(), Error> {
    loop {
        let counts = core.keyset.take_counts(CHUNK);
        if counts.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = counts
            .iter()
            .map(|flushed| (flushed.id.clone(), i64::try_from(flushed.calls).unwrap_or(i64::MAX), flushed.last_used_at))
            .collect();
        let written = core
            .db
            .write(move |mut conn| {
                let rows = rows.clone();
                Box::pin(async move {
                    for (id, calls, last_used_at) in &rows {
                        store::keys::add_usage(&mut conn, id, *calls, *last_used_at).await?;
                    }
                    Ok(())
                })
            })
            .await;
        if let Err(error) = written {
            core.keyset.give_back(counts);
            return Err(error);
        }
    }
}

/// Forgets what nobody needs any more.
pub(crate) async fn housekeep(core: &Core) -> Result<(), Error> {
    core.limits.tidy();
    let before = core.now().plus_ms(-LOG_MS);
    core.db.write(move |mut conn| Box::pin(async move { Ok(store::changes::trim(&mut conn, before).await?) })).await?;
    super::keys_bulk::forget(core).await
}
