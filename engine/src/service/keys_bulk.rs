//! Acts on many keys. Up to [`MAX_IDS`] are one transaction; more are done in the background, so many at a time, and what
//! became of each is kept. Keys made after the start are left alone. An act that is cut short says how far it came, and the
//! same choice can be acted on again.

mod run;

use std::sync::{Arc, Mutex, PoisonError};

use keyfold_domain::bulk::{BulkAct, BulkChoice, BulkPreview, BulkReport, BulkState, MAX_IDS, MAX_RESULTS};
use keyfold_domain::ids::{BulkId, KeyId, UserId, WorkspaceId};
use keyfold_domain::key::KeyFilter;
use keyfold_domain::policy::{Action, Actor, Decision, Object, Principal, can};
use keyfold_domain::time::{DAY_MS, Timestamp};
use keyfold_engine_macros::compiled_here;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Core;
use super::keys::{Keys, Seen, moments, seen};
use super::keys_write::name_of;
use crate::error::Error;
use crate::store;
use crate::store::bulk::{BulkRow, ResultRow};
use crate::store::db::Conn;
use crate::store::keys::KeyRow;
use crate::store::listing::Whose;
use run::{go_on, part};

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

#[compiled_here]
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
        Ok(task(match seen(actor, workspace, &choice) {
            Seen::All => Sought::Matching(choice, None),
            Seen::Of(owner) => Sought::Matching(choice, Some(owner)),
            Seen::None => Sought::Nothing,
        }))
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
