//! Acts on many keys. Up to [`MAX_IDS`] are one transaction; more are done in the background, so many at a time, and what
//! became of each is kept. Keys made after the start are left alone. An act that is cut short says how far it came, and the
//! same choice can be acted on again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keyfold_domain::bulk::{BulkAct, BulkChoice, BulkOutcome, BulkPreview, BulkReport, BulkState, MAX_IDS, MAX_RESULTS};
use keyfold_domain::ids::{BulkId, KeyId, UserId, WorkspaceId};
use keyfold_domain::key::{KeyFilter, KeySort};
use keyfold_domain::policy::{Action, Actor, Decision, Object, Principal, can};
use keyfold_domain::time::{DAY_MS, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Core;
use super::audit::Event;
use super::keys::{Keys, moments, seen_owner};
use super::keys_write::{end, name_of, settings, stop};
use crate::error::Error;
use crate::store;
use crate::store::bulk::{BulkRow, ResultRow};
use crate::store::changes::Change;
use crate::store::db::Conn;
use crate::store::keys::KeyRow;
use crate::store::listing::{Moments, Position, Whose};

/// Names shown before an act.
const NAMES: usize = 10;
/// The most keys that are counted.
const MOST: i64 = 1_000_000;
/// How long ago a key in use was used at most.
const IN_USE_MS: i64 = 7 * DAY_MS;
/// An act that moved on longer ago than this is not going on any more.
const SILENT_MS: i64 = 60_000;
/// How long an act and its results are kept.
const KEEP_MS: i64 = 90 * DAY_MS;
/// How often a part of an act is tried when the database does not answer.
const TRIES: u32 = 5;
/// How long to wait before that.
const PAUSE: Duration = Duration::from_secs(1);

/// The acts that go on in this process.
#[derive(Default)]
pub(crate) struct BulkJobs {
    tasks: Mutex<JoinSet<()>>,
    stop: watch::Sender<bool>,
}

impl BulkJobs {
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(work);
    }

    /// Lets each act end between two of its parts.
    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "an act on many keys ended badly");
            }
        }
    }
}

/// Forgets acts that nobody will ask for any more, one at a time: their results may be many.
pub(super) async fn forget(core: &Core) -> Result<(), Error> {
    let before = core.now().plus_ms(-KEEP_MS);
    while core.db.write(move |mut conn| Box::pin(async move { Ok(store::bulk::forget_one(&mut conn, before).await?) })).await? {}
    Ok(())
}

const fn action(act: BulkAct) -> (Action, &'static str) {
    match act {
        BulkAct::Deactivate => (Action::DeactivateKey, "key.deactivate"),
        BulkAct::Delete => (Action::DeleteKey, "key.delete"),
    }
}

/// Which keys an act looks at.
#[derive(Clone)]
enum Sought {
    Ids(Vec<KeyId>),
    /// By filter, of this owner alone if there is one.
    Matching(Box<KeyFilter>, Option<UserId>),
    /// Nothing: the filter asks for keys that the actor does not see.
    Nothing,
}

/// An act as it was asked for.
#[derive(Clone)]
struct Task {
    actor: Actor,
    place: Option<WorkspaceId>,
    act: BulkAct,
    sought: Sought,
}

impl Keys {
    /// What an act would touch. `place` is the workspace; `None` for all of them, which is for administrators of the
    /// instance.
    pub async fn preview_bulk(
        &self,
        actor: &Actor,
        place: Option<&WorkspaceId>,
        act: BulkAct,
        choice: BulkChoice,
    ) -> Result<BulkPreview, Error> {
        let task = self.task(actor, place, act, choice).await?;
        let now = self.core.now();
        let mut reader = self.core.db.reader().await?;
        let mut conn = reader.conn();
        let shown = |row: &KeyRow| if row.name.is_empty() { "Unnamed key".to_owned() } else { row.name.clone() };
        Ok(match &task.sought {
            Sought::Nothing => BulkPreview { act, chosen: 0, names: Vec::new(), in_use: 0, untouched: 0 },
            Sought::Ids(ids) => {
                let rows = find_all(&mut conn, &task, ids).await?;
                let used = |row: &&KeyRow| row.last_used_at.is_some_and(|at| at >= now.as_millis() - IN_USE_MS);
                let count = |rows: usize| i64::try_from(rows).unwrap_or(i64::MAX);
                let mut untouched = 0;
                for row in &rows {
                    untouched += i64::from(why_not(&task, row)?.is_some());
                }
                BulkPreview {
                    act,
                    chosen: count(rows.len()),
                    names: rows.iter().take(NAMES).map(shown).collect(),
                    in_use: count(rows.iter().filter(used).count()),
                    untouched,
                }
            }
            Sought::Matching(filter, owner) => {
                let whose = Whose { workspace: task.place.as_ref(), owner: owner.as_ref() };
                let since = now.plus_ms(-IN_USE_MS);
                let (chosen, in_use) = store::listing::count(&mut conn, whose, filter, moments(now), since, MOST).await?;
                let first = i64::try_from(NAMES).unwrap_or(i64::MAX);
                let rows = store::listing::page(&mut conn, whose, filter, None, moments(now), first).await?;
                BulkPreview { act, chosen, names: rows.iter().map(shown).collect(), in_use, untouched: 0 }
            }
        })
    }

    /// Does the act. With ids it is done, in one transaction, when this returns, or not at all. With a filter `expected` must
    /// be the number of keys that match now; if they are many, the act goes on in the background and can be asked for.
    pub async fn run_bulk(
        &self,
        actor: &Actor,
        place: Option<&WorkspaceId>,
        act: BulkAct,
        choice: BulkChoice,
        expected: Option<i64>,
    ) -> Result<BulkReport, Error> {
        let core = &self.core;
        let task = self.task(actor, place, act, choice).await?;
        let now = core.now();
        let chosen = self.count(&task, now).await?;
        if matches!(task.sought, Sought::Matching(..) | Sought::Nothing) && expected.is_none() {
            return Err(keyfold_domain::problem::Problem::invalid("expected", "Say how many keys you expect to match.").into());
        }
        if expected.is_some_and(|expected| expected != chosen) {
            let text = format!("The choice holds {chosen} keys now. Look at it again before you go on.");
            return Err(Error::conflict(Some("expected"), text));
        }
        let row = BulkRow {
            id: BulkId::generate(now, &mut core.rng()).to_string(),
            workspace_id: place.map(ToString::to_string),
            actor: id_of(actor),
            started_by: name_of(actor),
            act: act.as_str().to_owned(),
            state: BulkState::Running.as_str().to_owned(),
            expected: chosen,
            done: 0,
            skipped: 0,
            failed: 0,
            why: None,
            started_at: now.as_millis(),
            updated_at: now.as_millis(),
        };
        let id: BulkId = store::users::parse_id(&row.id)?;
        if chosen <= i64::try_from(MAX_IDS).unwrap_or(i64::MAX) {
            part(core, &task, row, None, true).await?;
        } else {
            let first = row.clone();
            core.db
                .write(move |mut conn| {
                    let row = first.clone();
                    Box::pin(async move { Ok(store::bulk::insert(&mut conn, &row).await?) })
                })
                .await?;
            core.bulk.spawn(go_on(Arc::clone(core), task, row));
        }
        self.find_bulk(actor, place, &id, 0).await
    }

    /// How far an act came, with the results after `after`. For who asked for it and for who manages the place.
    pub async fn find_bulk(&self, actor: &Actor, place: Option<&WorkspaceId>, id: &BulkId, after: i64) -> Result<BulkReport, Error> {
        self.enter(actor, place).await?;
        let mut reader = self.core.db.reader().await?;
        let mut conn = reader.conn();
        let row = store::bulk::find(&mut conn, place, id).await?.ok_or_else(Error::not_found)?;
        let manages = place.is_none_or(|workspace| actor.sees_all_keys(workspace));
        if !manages && row.actor != id_of(actor) {
            return Err(Error::not_found());
        }
        let limit = i64::from(MAX_RESULTS);
        let mut rows = store::bulk::results(&mut conn, id, after, limit + 1).await?;
        drop(reader);
        let more = rows.len() > usize::try_from(limit).unwrap_or(usize::MAX);
        if more {
            rows.pop();
        }
        let mut report = row.report()?;
        report.next = rows.last().filter(|_| more).map(|row| row.seq);
        report.results = rows.into_iter().map(ResultRow::result).collect::<Result<_, _>>()?;
        if report.state == BulkState::Running && self.core.now().millis_since(report.updated_at) > SILENT_MS {
            report.state = BulkState::Stopped;
            report.why = Some("The server was stopped meanwhile. Start it again for the keys that are left.".to_owned());
        }
        Ok(report)
    }

    async fn enter(&self, actor: &Actor, place: Option<&WorkspaceId>) -> Result<(), Error> {
        match place {
            Some(workspace) => self.core.authorize(actor, Action::ReadWorkspace, &Object::Workspace(workspace)).await,
            None => self.core.authorize(actor, Action::ManageAllKeys, &Object::Instance).await,
        }
    }

    /// The act, if the actor may do it at all.
    async fn task(&self, actor: &Actor, place: Option<&WorkspaceId>, act: BulkAct, choice: BulkChoice) -> Result<Task, Error> {
        self.enter(actor, place).await?;
        let task = |sought| Task { actor: actor.clone(), place: place.cloned(), act, sought };
        let choice = match choice.checked()? {
            BulkChoice::Ids(ids) => {
                let task = task(Sought::Ids(ids.clone()));
                let mut reader = self.core.db.reader().await?;
                // Finding them all comes first: a forbidden one must not tell that a foreign one is there.
                let rows = find_all(&mut reader.conn(), &task, &ids).await?;
                drop(reader);
                for row in rows {
                    let (workspace, owner, id) = parts(&row)?;
                    self.core.authorize(actor, action(act).0, &Object::Key { workspace: &workspace, owner: &owner, id: Some(&id) }).await?;
                }
                return Ok(task);
            }
            BulkChoice::Matching(filter) => filter,
        };
        let Some(workspace) = place else {
            let owner = choice.owner.clone();
            return Ok(task(Sought::Matching(choice, owner)));
        };
        if let Some(user) = actor.user() {
            self.core.authorize(actor, action(act).0, &Object::Key { workspace, owner: &user.id, id: None }).await?;
        }
        let sought = seen_owner(actor, workspace, &choice).map_or(Sought::Nothing, |owner| Sought::Matching(choice, owner));
        Ok(task(sought))
    }

    async fn count(&self, task: &Task, now: Timestamp) -> Result<i64, Error> {
        match &task.sought {
            Sought::Nothing => Ok(0),
            Sought::Ids(ids) => Ok(i64::try_from(ids.len()).unwrap_or(i64::MAX)),
            Sought::Matching(filter, owner) => {
                let whose = Whose { workspace: task.place.as_ref(), owner: owner.as_ref() };
                let mut reader = self.core.db.reader().await?;
                Ok(store::listing::count(&mut reader.conn(), whose, filter, moments(now), now, MOST).await?.0)
            }
        }
    }
}

fn id_of(actor: &Actor) -> String {
    match &actor.principal {
        Principal::Key(key) => key.id.to_string(),
        _ => actor.user().map_or_else(|| "operator".to_owned(), |user| user.id.to_string()),
    }
}

fn parts(row: &KeyRow) -> Result<(WorkspaceId, UserId, KeyId), Error> {
    use store::users::parse_id;
    Ok((parse_id(&row.workspace_id)?, parse_id(&row.owner_id)?, parse_id(&row.id)?))
}

/// Every one of the keys, or not found if one is not there for the actor.
async fn find_all(conn: &mut Conn<'_>, task: &Task, ids: &[KeyId]) -> Result<Vec<KeyRow>, Error> {
    let mut rows = Vec::with_capacity(ids.len());
    for id in ids {
        let row = match &task.place {
            Some(workspace) => store::keys::find(conn, workspace, id).await?,
            None => store::keys::find_anywhere(conn, id).await?,
        };
        let row = row.ok_or_else(Error::not_found)?;
        let (workspace, owner, id) = parts(&row)?;
        if can(&task.actor, Action::ReadKey, &Object::Key { workspace: &workspace, owner: &owner, id: Some(&id) }) == Decision::Hide {
            return Err(Error::not_found());
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Why a key stays as it is, if it does.
fn why_not(task: &Task, row: &KeyRow) -> Result<Option<&'static str>, Error> {
    let (workspace, owner, id) = parts(row)?;
    let object = Object::Key { workspace: &workspace, owner: &owner, id: Some(&id) };
    Ok(if row.deleted_at.is_some() {
        Some("It was deleted already.")
    } else if task.act == BulkAct::Deactivate && row.deactivated_at.is_some() {
        Some("It was deactivated already.")
    } else if can(&task.actor, action(task.act).0, &object) == Decision::Allow {
        None
    } else {
        Some("You may not change it.")
    })
}

/// What is still to be done of an act.
struct Progress {
    row: BulkRow,
    after: Option<Position>,
    seq: Option<i64>,
}

/// Does the next part of an act in one transaction: looks at up to [`MAX_IDS`] keys. `only`: it is the whole act.
async fn part(core: &Core, task: &Task, row: BulkRow, after: Option<Position>, only: bool) -> Result<Progress, Error> {
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
                    row.state = BulkState::Stopped.as_str().to_owned();
                    row.why = Some("Whoever started it may not do this any more.".to_owned());
                    store::bulk::update(&mut conn, &row).await?;
                    return Ok(Progress { row, after: None, seq: None });
                }
                let mut keys = next_keys(&mut conn, task, &row, after.as_ref(), now).await?;
                let after = keys.last().map(|key| Position::of(key, KeySort::Created)).or_else(|| after.clone());
                // The chains of the audit log are locked in one order by everybody.
                keys.sort_by(|one, other| one.workspace_id.cmp(&other.workspace_id));
                if only || keys.len() < MAX_IDS {
                    row.state = BulkState::Finished.as_str().to_owned();
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
async fn go_on(core: Arc<Core>, task: Task, mut row: BulkRow) {
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
    row.state = BulkState::Stopped.as_str().to_owned();
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
