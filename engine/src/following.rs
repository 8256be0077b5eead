//! The jobs that keep a server in touch with the others on its database: reading the change log often, being woken when
//! there is something to read, and waking others.
//!
//! Only reading counts. A wake-up that is lost costs the time to the next look and nothing else.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::error::Error;
use crate::service::Core;

/// How often the change log is read where nobody wakes this server.
const POLL_EVERY: Duration = Duration::from_millis(100);
/// The least time between two looks, and between two wake-ups of others: many commits share one.
const GAP: Duration = Duration::from_millis(10);
/// How long waking others may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Before a broken connection is made anew.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is said that answers are given from what may be out of date, in milliseconds.
const TELL_EVERY_MS: u64 = 10_000;
/// A listening connection that was silent for so long is made anew: it may be dead without knowing.
const SILENCE: Duration = Duration::from_mins(1);

/// Applies what others write to the change log. The verifier stops by itself when this cannot.
pub(crate) async fn follow(core: Arc<Core>, mut stop: watch::Receiver<bool>) {
    let mut ticks = interval(POLL_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    let mut told_at = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = core.signals.woken.notified() => {}
            _ = stop.changed() => return,
        }
        match core.follower.catch_up(&core.db, &core.keyset).await {
            Ok(()) => {
                if failing {
                    tracing::info!("the change log can be read again");
                }
                failing = false;
                core.report_if_awaited();
            }
            Err(error) => {
                if !failing {
                    tracing::error!(%error, "the change log cannot be read; verification stops in a few seconds unless it can");
                }
                failing = true;
            }
        }
        tell_of_lenience(&core, &mut told_at);
        sleep(GAP).await;
    }
}

/// Says so, now and then, while answers are given from what may be out of date.
fn tell_of_lenience(core: &Core, told_at: &mut Option<u64>) {
    let now = core.clock.uptime_ms();
    if told_at.is_some_and(|at| now.saturating_sub(at) < TELL_EVERY_MS) {
        return;
    }
    let answers = core.keyset.lenience.untold();
    if answers > 0 {
        *told_at = Some(now);
        let out_of_touch_ms = core.follower.out_of_touch_ms();
        tracing::warn!(
            answers,
            out_of_touch_ms,
            "verdicts were given from what was known last, for workspaces that want it so: a revoked key may have worked"
        );
    }
}

/// Wakes the other servers after a commit. Never in the transaction that writes: there it would hold up every other one.
pub(crate) async fn announce(core: Arc<Core>, mut stop: watch::Receiver<bool>) {
    let Some(feed) = core.db.shared_feed() else { return };
    loop {
        tokio::select! {
            () = core.signals.committed.notified() => {}
            _ = stop.changed() => return,
        }
        let told = timeout(PATIENCE, sqlx::query("SELECT pg_notify('keyfold_' || current_schema(), '')").execute(feed)).await;
        if !matches!(told, Ok(Ok(_))) {
            tracing::debug!("other servers could not be woken; they look by themselves");
        }
        sleep(GAP).await;
    }
}

/// Looks at the change log as soon as another server says that there is something.
pub(crate) async fn listen(core: Arc<Core>, mut stop: watch::Receiver<bool>) {
    let Some(feed) = core.db.shared_feed() else { return };
    loop {
        tokio::select! {
            ended = hear(&core, feed) => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "no wake-ups from other servers; the change log is read at its own pace");
                }
            }
            _ = stop.changed() => return,
        }
        tokio::select! {
            () = sleep(PAUSE) => {}
            _ = stop.changed() => return,
        }
    }
}

async fn hear(core: &Core, feed: &PgPool) -> Result<(), Error> {
    let mut listener = PgListener::connect_with(feed).await?;
    // The listener would wait without end for a connection that does not come back.
    listener.eager_reconnect(false);
    let channel: String = sqlx::query_scalar("SELECT 'keyfold_' || current_schema()").fetch_one(&mut listener).await?;
    listener.listen(&channel).await?;
    loop {
        match timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(_))) => core.signals.woken.notify_one(),
            Ok(Ok(None)) | Err(_) => return Ok(()),
            Ok(Err(error)) => return Err(error.into()),
        }
    }
}
