//! What time alone brings about, put into the audit log once: that a key's end comes near, its
//! end, and its falling dormant. Whether a key works is
//! derived from the time at every check and never depends on this.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keyfold_domain::time::Timestamp;
use serde_json::json;

use super::Core;
use super::audit::Event;
use super::verify::GRACE_MS;
use crate::error::Error;
use crate::store;
use crate::store::sweep::DueRow;

/// How often it is done.
pub(crate) const SWEEP_EVERY: Duration = Duration::from_mins(1);
/// Keys of one transaction.
const BATCH: i64 = 100;
/// Transactions of one sweep and sort; what is left comes the next time.
const ROUNDS: usize = 50;
/// So many days before a key's end it is told, the nearest first.
const ENDING_DAYS: [i64; 3] = [1, 7, 14];
/// Keys with an interval that are looked at with one statement.
const WINDOW: i64 = 20_000;

/// What a sweep has put into the audit log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// So many keys have expired.
    pub expired: usize,
    /// So many have fallen dormant.
    pub dormant: usize,
    /// Of so many the end comes near, told 14, 7 and 1 days before it.
    pub expiring: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Passed {
    Expired,
    Dormant,
    /// The end is at most so many days away.
    Expiring(i64),
}

/// Records what has come to pass since the last time. Several nodes may do so at once: each key is recorded by one of them.
pub(crate) async fn sweep(core: &Core) -> Result<Swept, Error> {
    Ok(Swept { expired: expired(core).await?, dormant: dormant(core).await?, expiring: expiring(core).await? })
}

/// Tells of each key whose end came near only the nearest mark that it has passed, so that a server that was down for a week
/// does not tell everything at once.
async fn expiring(core: &Core) -> Result<usize, Error> {
    let (now, mut recorded, mut nearer) = (core.now(), 0, 0);
    for days in ENDING_DAYS {
        let between = (now.plus_days(nearer), now.plus_days(days));
        for _ in 0..ROUNDS {
            let mut reader = core.db.reader().await?;
            let due = store::sweep::ending(&mut reader.conn(), days, between, BATCH).await?;
            drop(reader);
            if due.is_empty() {
                break;
            }
            recorded += record(core, due, Passed::Expiring(days)).await?;
        }
        nearer = days;
    }
    Ok(recorded)
}

async fn expired(core: &Core) -> Result<usize, Error> {
    let mut recorded = 0;
    for _ in 0..ROUNDS {
        let mut reader = core.db.reader().await?;
        let due = store::sweep::expired(&mut reader.conn(), core.now(), BATCH).await?;
        drop(reader);
        if due.is_empty() {
            break;
        }
        recorded += record(core, due, Passed::Expired).await?;
    }
    Ok(recorded)
}

async fn dormant(core: &Core) -> Result<usize, Error> {
    let (mut recorded, mut after, mut rounds) = (0, String::new(), 0);
    let now = core.now();
    // Uses that another node has counted and not written yet are not overlooked.
    let settled = now.plus_ms(-GRACE_MS);
    while rounds < ROUNDS {
        let mut reader = core.db.reader().await?;
        let mut conn = reader.conn();
        let Some(end) = store::sweep::interval_window(&mut conn, &after, WINDOW).await? else { break };
        let due = store::sweep::dormant(&mut conn, (&after, &end), now, settled, BATCH).await?;
        drop(reader);
        // A full batch leaves some of the window for the next look.
        let full = i64::try_from(due.len()).unwrap_or(BATCH) >= BATCH;
        after = due.last().filter(|_| full).map_or(end, |last| last.id.clone());
        if !due.is_empty() {
            rounds += 1;
            recorded += record(core, due, Passed::Dormant).await?;
        }
    }
    Ok(recorded)
}

/// Marks the keys and writes their events, a transaction for each workspace. Says how many nobody had recorded before.
async fn record(core: &Core, due: Vec<DueRow>, what: Passed) -> Result<usize, Error> {
    let mut of_workspace: BTreeMap<String, Vec<DueRow>> = BTreeMap::new();
    for key in due {
        of_workspace.entry(key.workspace_id.clone()).or_default().push(key);
    }
    let now = core.now();
    let mut recorded = 0;
    for (workspace, keys) in of_workspace {
        let (input, macs) = (Arc::new((workspace, keys)), Arc::clone(&core.macs));
        recorded += core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (workspace, keys) = &*input;
                    // The chain first, as whoever changes a key does: nobody waits in a circle.
                    store::audit::lock(&mut conn, workspace).await?;
                    let mut recorded = 0;
                    for key in keys {
                        let marked = match what {
                            Passed::Expired => store::sweep::mark_expired(&mut conn, key).await?,
                            Passed::Dormant => store::sweep::mark_dormant(&mut conn, key).await?,
                            Passed::Expiring(days) => store::sweep::mark_ending(&mut conn, key, days).await?,
                        };
                        if marked {
                            event(workspace, key, what, now).append(&mut conn, &macs).await?;
                            recorded += 1;
                        }
                    }
                    Ok(recorded)
                })
            })
            .await?;
    }
    Ok(recorded)
}

fn event(workspace: &str, key: &DueRow, what: Passed, now: Timestamp) -> Event {
    let (action, after) = match what {
        Passed::Expired => ("key.expired", json!({ "expired_at": key.at })),
        Passed::Dormant => ("key.dormant", json!({ "dormant_at": key.at })),
        Passed::Expiring(days) => ("key.expiring", json!({ "expires_at": key.at, "days_before": days })),
    };
    Event::noticed(now, workspace, action, &key.id).change(None, Some(after))
}
