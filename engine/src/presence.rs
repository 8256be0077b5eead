//! How a server makes itself known to the others on its database: a row that is written about once a second, and at once
//! when somebody waits to hear how far this server has come.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use keyfold_domain::ids::NodeId;
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::error::Error;
use crate::service::Core;
use crate::store::db::Conn;
use crate::store::leases;
use crate::store::nodes::{self, NodeInsert};

/// How often a server says that it is there, where there can be others.
const SAY_EVERY: Duration = Duration::from_secs(1);
/// The same where there can be none. Longer than a SQLite database must rest to be tidied.
const SAY_EVERY_ALONE: Duration = Duration::from_mins(1);
/// How long saying it may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// A server of which nothing was heard for so long is forgotten, in milliseconds.
const FORGET_AFTER_MS: i64 = 60_000;
/// How late news of a server may be, beyond its budget, before it counts as silent, in milliseconds.
const LATENESS_MS: i64 = 2_000;

/// What the jobs of one process tell each other.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Something was committed here.
    pub(crate) committed: Notify,
    /// There may be something to read.
    pub(crate) woken: Notify,
    /// Somebody waits to hear how far this server is.
    pub(crate) asked: Notify,
}

/// How a server joins the others.
#[derive(Debug, Clone)]
pub struct NewNode {
    /// What its operator calls it.
    pub name: String,
    /// How long it says yes without news of changes.
    pub staleness_budget: Duration,
}

/// This server among the others.
#[derive(Debug)]
pub(crate) struct Presence {
    pub(crate) node: NodeInsert,
    /// The change that the others last heard of.
    reported: AtomicI64,
    /// How the others take this server to count: see `store::leases`.
    counting: AtomicI64,
}

impl Presence {
    pub(crate) fn of(core: &Core, node: NewNode) -> Self {
        let now = core.now();
        let node = NodeInsert {
            id: NodeId::generate(now, &mut core.rng()),
            name: node.name,
            version: env!("CARGO_PKG_VERSION"),
            started_at: now,
            budget_ms: i64::try_from(node.staleness_budget.as_millis()).unwrap_or(i64::MAX),
        };
        Self { node, reported: AtomicI64::new(-1), counting: AtomicI64::new(leases::UNSAID) }
    }
}

impl Presence {
    /// How this server counts, and the others know.
    pub(crate) fn counting(&self) -> i64 {
        self.counting.load(Ordering::Acquire)
    }

    /// This server counts so from now on, and the others know.
    pub(crate) fn count(&self, counting: i64) {
        self.counting.store(counting, Ordering::Release);
    }
}

/// From when on a server with that budget counts as silent, in milliseconds without news of it.
pub(crate) const fn silent_after_ms(budget_ms: i64) -> i64 {
    budget_ms.saturating_add(LATENESS_MS)
}

impl Core {
    /// Says how far this server is if somebody waits for it and was not told.
    pub(crate) fn report_if_awaited(&self) {
        let Some(presence) = self.presence.get() else { return };
        let (reported, awaited) = (presence.reported.load(Ordering::Acquire), self.follower.awaited());
        if awaited > reported && self.follower.applied() > reported {
            self.signals.asked.notify_one();
        }
    }
}

/// Puts this server among the others.
pub(crate) async fn register(core: &Core, presence: &Presence) -> Result<(), Error> {
    if core.db.shared_feed().is_none() {
        let node = presence.node.id.clone();
        core.db
            .note(move |mut conn| {
                let node = node.clone();
                Box::pin(async move { Ok(nodes::delete_others(&mut conn, &node).await?) })
            })
            .await?;
    }
    say(core, presence).await
}

/// Says that this server is there, and how far it has come.
pub(crate) async fn say(core: &Core, presence: &Presence) -> Result<(), Error> {
    let begun = core.clock.uptime_ms();
    let (node, now, applied) = (Arc::new(presence.node.clone()), core.now(), core.follower.applied());
    let others = core.db.shared_feed().is_some();
    let counting = core
        .db
        .note(move |mut conn| {
            let node = Arc::clone(&node);
            Box::pin(async move {
                let at = nodes::shared_now(&mut conn, now).await?;
                let counting = nodes::note(&mut conn, &node, applied, at).await?;
                if others {
                    nodes::sweep(&mut conn, at.plus_ms(-FORGET_AFTER_MS)).await?;
                }
                Ok(counting)
            })
        })
        .await?;
    presence.reported.fetch_max(applied, Ordering::AcqRel);
    // What it holds is its own for as long as nobody may take it for dead. Who was taken for dead meanwhile begins anew.
    if others && counting != leases::UNSAID && counting == presence.counting() {
        core.keyset.ledger.hold_until(begun.saturating_add(u64::try_from(presence.node.budget_ms).unwrap_or(0)));
    }
    Ok(())
}

/// Keeps the others told.
pub(crate) async fn be_seen(core: Arc<Core>, mut stop: watch::Receiver<bool>) {
    let Some(presence) = core.presence.get() else { return };
    let mut ticks = interval(if core.db.shared_feed().is_some() { SAY_EVERY } else { SAY_EVERY_ALONE });
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = core.signals.asked.notified() => {}
            _ = stop.changed() => break,
        }
        let failed = !matches!(timeout(PATIENCE, say(&core, presence)).await, Ok(Ok(())));
        if failed && !failing {
            tracing::warn!("this server cannot say that it is there; others may take it for silent");
        }
        failing = failed;
    }
}

/// Takes leave of the others, and gives back what was not spent. The last thing that a server writes.
pub(crate) async fn leave(core: &Core) {
    let Some(presence) = core.presence.get() else { return };
    let node = presence.node.id.clone();
    core.keyset.ledger.hold_until(0);
    let leave = core.db.note(move |mut conn| {
        let node = node.clone();
        Box::pin(async move {
            if let Conn::Postgres(raw) = &mut conn {
                leases::delete_of(raw, &node).await?;
            }
            Ok(nodes::delete(&mut conn, &node).await?)
        })
    });
    if !matches!(timeout(PATIENCE, leave).await, Ok(Ok(()))) {
        tracing::debug!("this server could not take leave of the others; they forget it in a minute");
    }
}
