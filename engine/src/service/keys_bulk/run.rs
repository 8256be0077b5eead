//! The doing of an act on many keys, part by part.

use std::sync::Arc;
use std::time::Duration;

use keyfold_domain::bulk::{BulkAct, BulkOutcome, BulkState, MAX_IDS};
use keyfold_domain::ids::{KeyId, WorkspaceId};
use keyfold_domain::key::KeySort;
use keyfold_domain::policy::{Actor, Principal};
use keyfold_domain::time::Timestamp;

use super::super::Core;
use super::super::audit::Event;
use super::super::keys::moments;
use super::super::keys_write::{end, name_of, settings, stop};
use super::{Sought, Task, action, find_all, why_not};
use crate::error::Error;
use crate::store;
use crate::store::bulk::{BulkRow, ResultRow};
use crate::store::changes::Change;
use crate::store::db::Conn;
use crate::store::keys::KeyRow;
use crate::store::listing::{Moments, Position, Whose};

/// How often a part of an act is tried when the database does not answer.
const TRIES: u32 = 5;
/// How long to wait before that.
const PAUSE: Duration = Duration::from_secs(1);

fn turn(row: &mut BulkRow, state: BulkState) {
    state.as_str().clone_into(&mut row.state);
}

/// What is still to be done of an act.
pub(super) struct Progress {
    row: BulkRow,
    after: Option<Position>,
    seq: Option<i64>,
}

/// Does the next part of an act in one transaction: looks at up to [`MAX_IDS`] keys. `only`: it is the whole act.
pub(super) async fn part(core: &Core, task: &Task, row: BulkRow, after: Option<Position>, only: bool) -> Result<Progress, Error> {
    let (macs, now) = (Arc::clone(&core.macs), core.now());
    let input = Arc::new((task.clone(), row, after));
    let progress = core
        .db
        .write(move |mut conn| {
            let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
            Box::pin(async move {
                let (task, row, after) = &*input;
                let mut row = row.clone();
                row.updated_at = now.as_millis();
                if only {
                    store::bulk::insert(&mut conn, &row).await?;
                } else if !still_may(&mut conn, &task.actor, task.place.as_ref()).await? {
                    turn(&mut row, BulkState::Stopped);
                    row.why = Some("Whoever started it may not do this any more.".to_owned());
                    store::bulk::update(&mut conn, &row).await?;
                    return Ok(Progress { row, after: None, seq: None });
                }
                let mut keys = next_keys(&mut conn, task, &row, after.as_ref(), now).await?;
                let after = keys.last().map(|key| Position::of(key, KeySort::Created)).or_else(|| after.clone());
                // The chains of the audit log are locked in one order by everybody.
                keys.sort_by(|one, other| one.workspace_id.cmp(&other.workspace_id));
                if only || keys.len() < MAX_IDS {
                    turn(&mut row, BulkState::Finished);
                }
                let mut changed = Vec::new();
                for key in keys {
                    let id: KeyId = store::users::parse_id(&key.id)?;
                    if touch(&mut conn, &macs, task, &mut row, key, now).await? {
                        changed.push(id);
                    }
                }
                store::bulk::update(&mut conn, &row).await?;
                let mut seq = None;
                for id in &changed {
                    seq = Some(store::changes::append(&mut conn, &Change::Key(id), now).await?);
                }
                Ok(Progress { row, after, seq })
            })
        })
        .await?;
    if let Some(seq) = progress.seq {
        core.reach(seq).await?;
    }
    Ok(progress)
}

async fn next_keys(
    conn: &mut Conn<'_>,
    task: &Task,
    row: &BulkRow,
    after: Option<&Position>,
    now: Timestamp,
) -> Result<Vec<KeyRow>, Error> {
    match &task.sought {
        Sought::Nothing => Ok(Vec::new()),
        Sought::Ids(ids) => find_all(conn, task, ids).await,
        Sought::Matching(filter, owner) => {
            let whose = Whose { workspace: task.place.as_ref(), owner: owner.as_ref() };
            let moments = Moments { made_until: Some(Timestamp::from_millis(row.started_at)), ..moments(now) };
            let limit = i64::try_from(MAX_IDS).unwrap_or(i64::MAX);
            Ok(store::listing::page(conn, whose, filter, after, moments, limit).await?)
        }
    }
}

/// Looks at one key and does the act if it can be done. Says whether it was, and notes what became of it.
async fn touch(
    conn: &mut Conn<'_>,
    macs: &crate::mac::Macs,
    task: &Task,
    row: &mut BulkRow,
    mut key: KeyRow,
    now: Timestamp,
) -> Result<bool, Error> {
    let why = why_not(task, &key)?;
    let outcome = if why.is_some() { BulkOutcome::Skipped } else { BulkOutcome::Done };
    if outcome == BulkOutcome::Done {
        let (before, by) = (settings(&key), name_of(&task.actor));
        match task.act {
            BulkAct::Deactivate => stop(&mut key, now, "", &by),
            BulkAct::Delete => end(&mut key, now, &by),
        }
        let event = Event::done(now, &task.actor, Some(&key.workspace_id), action(task.act).1, &key.id);
        event.change(Some(before), Some(settings(&key))).append(conn, macs).await?;
        if !store::keys::update(conn, &key).await? {
            // Changed since it was read: the whole part is tried again.
            return Err(Error::Interrupted("a key was changed meanwhile".into()));
        }
        row.done += 1;
    } else {
        row.skipped += 1;
    }
    let result = ResultRow {
        seq: row.done + row.skipped + row.failed,
        key_id: key.id,
        workspace_id: key.workspace_id,
        name: key.name,
        outcome: outcome.as_str().to_owned(),
        why: why.map(str::to_owned),
    };
    store::bulk::insert_result(conn, &row.id, &result).await?;
    Ok(outcome == BulkOutcome::Done)
}

/// Does the actor of a long act still have the rights that it started with?
async fn still_may(conn: &mut Conn<'_>, actor: &Actor, place: Option<&WorkspaceId>) -> Result<bool, Error> {
    let (user, then) = match &actor.principal {
        Principal::Operator => return Ok(true),
        Principal::Anonymous => return Ok(false),
        Principal::User(person) if person.instance_admin => {
            let found = store::users::find(conn, &person.user.id).await?;
            return Ok(found.is_some_and(|user| user.active && user.instance_admin));
        }
        Principal::User(person) => (&person.user.id, place.and_then(|workspace| actor.role_in(workspace))),
        Principal::Key(key) => {
            let found = store::keys::find_live(conn, &key.id).await?;
            if found.is_none_or(|row| row.deactivated_at.is_some()) {
                return Ok(false);
            }
            (&key.owner.id, Some(key.role))
        }
    };
    let active = store::users::find(conn, user).await?.is_some_and(|user| user.active);
    let Some(workspace) = place else { return Ok(false) };
    Ok(active && store::workspaces::find_role(conn, workspace, user).await? >= then)
}

/// The background part of a long act.
pub(super) async fn go_on(core: Arc<Core>, task: Task, mut row: BulkRow) {
    let (mut after, mut failures) = (None, 0);
    let stop = core.bulk.stop.subscribe();
    while row.state == BulkState::Running.as_str() {
        if *stop.borrow() {
            return note_end(&core, row, "The server was stopped. Start it again for the keys that are left.").await;
        }
        match part(&core, &task, row.clone(), after.clone(), false).await {
            Ok(progress) => {
                failures = 0;
                (row, after) = (progress.row, progress.after);
            }
            Err(error) => {
                failures += 1;
                tracing::warn!(%error, failures, act = row.id, "a part of an act on many keys failed");
                if failures == TRIES {
                    return note_end(&core, row, "The data store did not answer. Start it again for the keys that are left.").await;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Notes why an act ended early. If even that fails, its silence tells.
async fn note_end(core: &Core, mut row: BulkRow, why: &str) {
    turn(&mut row, BulkState::Stopped);
    row.why = Some(why.to_owned());
    row.updated_at = core.now().as_millis();
    let noted = core
        .db
        .write(move |mut conn| {
            let row = row.clone();
            Box::pin(async move { Ok(store::bulk::update(&mut conn, &row).await?) })
        })
        .await;
    if let Err(error) = noted {
        tracing::warn!(%error, "the end of an act on many keys could not be noted");
    }
}
