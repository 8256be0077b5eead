//! The rules for keys: reading and changing them, for a workspace or the whole instance, and bringing keys down to them
//! that were there before.
//!
//! What holds in a workspace is the stricter of its own rules and the instance's; `store::policies::held` is the one place
//! where whoever gives a key an end asks for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyfold_domain::audit::INSTANCE_CHAIN;
use keyfold_domain::ids::{KeyId, WorkspaceId};
use keyfold_domain::key::{MAX_PAGE, Page};
use keyfold_domain::policy::{Action, Actor, Object};
use keyfold_domain::policy_limits::{ExistingKeys, KeyPolicy, PolicyChange, PolicyDetail, PolicyPreview, Shortened};
use keyfold_domain::problem::Problem;
use keyfold_domain::time::Timestamp;
use keyfold_engine_macros::compiled_here;
use serde_json::{Value, json};

use super::Core;
use super::audit::Event;
use super::keys::present;
use super::keys_write::settings;
use crate::error::Error;
use crate::store;
use crate::store::changes::Change;
use crate::store::keys::KeyRow;
use crate::store::policies::RulesRow;
use crate::store::users::parse_id;

/// Keys of one transaction.
const BATCH: i64 = 100;
/// Transactions of one round; whoever asked is told what is left.
const ROUND: usize = 20;
/// Keys are counted no further.
const MOST: i64 = 1_000_000;
/// Comes after every id, in the order of every database.
const AFTER_IDS: &str = "zzzz";

/// The rules for keys as a use case. A workspace's with `Some`, the instance's with `None`.
#[derive(Clone)]
pub struct Policies {
    pub(crate) core: Arc<Core>,
}

fn object(workspace: Option<&WorkspaceId>) -> Object<'_> {
    workspace.map_or(Object::Instance, Object::Workspace)
}

#[compiled_here]
impl Policies {
    /// The rules as they stand. A workspace's are for everybody in it, the instance's for its administrators.
    pub async fn get(&self, actor: &Actor, workspace: Option<&WorkspaceId>) -> Result<PolicyDetail, Error> {
        let action = if workspace.is_some() { Action::ReadWorkspace } else { Action::ChangePolicy };
        self.core.authorize(actor, action, &object(workspace)).await?;
        detail(&self.row(workspace).await?, workspace)
    }

    /// The keys that would live longer than these rules allow, those that live longest first. Changes nothing.
    pub async fn preview(
        &self,
        actor: &Actor,
        workspace: Option<&WorkspaceId>,
        policy: KeyPolicy,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<PolicyPreview, Error> {
        let core = &self.core;
        core.authorize(actor, Action::ChangePolicy, &object(workspace)).await?;
        if !(1..=MAX_PAGE).contains(&limit) {
            return Err(Problem::invalid("limit", format!("Choose 1 to {MAX_PAGE} rows.")).into());
        }
        let below = cursor.map_or(Ok((i64::MAX, AFTER_IDS.to_owned())), read_cursor)?;
        let in_force = policy.checked()?.within(&self.row(workspace).await?.instance_for(workspace)?);
        let now = core.now();
        let Some(bound) = in_force.bound(now) else {
            return Ok(PolicyPreview { affected: 0, keys: Page { items: Vec::new(), next: None }, brought_down_to: None });
        };
        let mut reader = core.db.reader().await?;
        let mut conn = reader.conn();
        let affected = store::policies::count_beyond(&mut conn, workspace, bound, MOST).await?;
        let most = i64::from(limit);
        let mut rows = store::policies::beyond(&mut conn, workspace, bound, (below.0, &below.1), most + 1).await?;
        drop(reader);
        let more = i64::try_from(rows.len()).unwrap_or(i64::MAX) > most;
        if more {
            rows.pop();
        }
        let next = rows.last().filter(|_| more).map(write_cursor);
        let items = rows.iter().map(|row| present(core, row)).collect::<Result<_, _>>()?;
        Ok(PolicyPreview { affected, keys: Page { items, next }, brought_down_to: in_force.brought_down(now) })
    }

    /// Saves new rules. If keys that are there would live longer, `change.existing` must say what becomes of them; with
    /// [`ExistingKeys::Shorten`] a first round of bringing them down is done, and [`Self::shorten`] goes on.
    pub async fn update(
        &self,
        actor: &Actor,
        workspace: Option<&WorkspaceId>,
        change: PolicyChange,
    ) -> Result<(PolicyDetail, Shortened), Error> {
        let core = &self.core;
        core.authorize(actor, Action::ChangePolicy, &object(workspace)).await?;
        let policy = change.policy.checked()?;
        let now = core.now();
        let row = self.row(workspace).await?;
        let in_force = policy.within(&row.instance_for(workspace)?);
        // Rules that are loosened, or kept, concern nobody who was not concerned before.
        let lowered = in_force.bound(now).is_some_and(|new| row.in_force().is_ok_and(|old| old.bound(now).is_none_or(|old| new < old)));
        self.decided(workspace, &in_force, change.existing, lowered).await?;
        let input = Arc::new((workspace.cloned(), policy, change.version, change.existing, actor.clone()));
        let macs = Arc::clone(&core.macs);
        let row = core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (workspace, policy, version, existing, actor) = &*input;
                    let workspace = workspace.as_ref();
                    let chain = workspace.map_or(INSTANCE_CHAIN, WorkspaceId::as_str);
                    store::audit::lock(&mut conn, chain).await?;
                    let row = find(&mut conn, workspace).await?;
                    if version.is_some_and(|version| version != row.policy_version) {
                        return Err(changed_meanwhile(&row));
                    }
                    let after = told(policy, *existing);
                    let event = Event::done(now, actor, workspace.map(WorkspaceId::as_str), "policy.update", chain);
                    event.change(Some(told(&row.own()?, None)), Some(after)).append(&mut conn, &macs).await?;
                    if !store::policies::update(&mut conn, workspace, policy, row.policy_version).await? {
                        return Err(changed_meanwhile(&row));
                    }
                    find(&mut conn, workspace).await
                })
            })
            .await?;
        let done = if change.existing == Some(ExistingKeys::Shorten) {
            self.round(actor, workspace).await?
        } else {
            Shortened { shortened: 0, remaining: self.count(workspace, &row.in_force()?).await? }
        };
        Ok((detail(&row, workspace)?, done))
    }

    /// Brings keys that live longer than the rules allow down to them: up to two thousand a call, those that live longest
    /// first, a hundred in a transaction. Every key has its event. Doing it again goes on where this left off.
    pub async fn shorten(&self, actor: &Actor, workspace: Option<&WorkspaceId>) -> Result<Shortened, Error> {
        self.core.authorize(actor, Action::ChangePolicy, &object(workspace)).await?;
        let in_force = self.row(workspace).await?.in_force()?;
        self.decided(workspace, &in_force, Some(ExistingKeys::Shorten), true).await?;
        self.round(actor, workspace).await
    }

    /// How many keys live longer than the rules in force allow.
    pub async fn beyond(&self, actor: &Actor, workspace: Option<&WorkspaceId>) -> Result<i64, Error> {
        self.core.authorize(actor, Action::ChangePolicy, &object(workspace)).await?;
        let in_force = self.row(workspace).await?.in_force()?;
        self.count(workspace, &in_force).await
    }

    async fn row(&self, workspace: Option<&WorkspaceId>) -> Result<RulesRow, Error> {
        let mut reader = self.core.db.reader().await?;
        find(&mut reader.conn(), workspace).await
    }

    async fn count(&self, workspace: Option<&WorkspaceId>, in_force: &KeyPolicy) -> Result<i64, Error> {
        let Some(bound) = in_force.bound(self.core.now()) else { return Ok(0) };
        let mut reader = self.core.db.reader().await?;
        Ok(store::policies::count_beyond(&mut reader.conn(), workspace, bound, MOST).await?)
    }

    /// Is it said what becomes of the keys that live longer, and is that possible?
    async fn decided(
        &self,
        workspace: Option<&WorkspaceId>,
        in_force: &KeyPolicy,
        existing: Option<ExistingKeys>,
        lowered: bool,
    ) -> Result<(), Error> {
        let nothing_to_say = existing == Some(ExistingKeys::Keep) || (existing.is_none() && !lowered);
        let affected = if nothing_to_say { 0 } else { self.count(workspace, in_force).await? };
        if affected == 0 {
            return Ok(());
        }
        if existing.is_none() {
            let keys = if affected == 1 { "1 key lives".to_owned() } else { format!("{affected} keys live") };
            let text = format!("{keys} longer than these rules allow. Say what becomes of existing keys: keep or shorten.");
            return Err(Problem::invalid("existing_keys", text).into());
        }
        if in_force.brought_down(self.core.now()).is_none() {
            let text = "Give a default life as well: it becomes the end of keys that never end now.";
            return Err(Problem::invalid("default_expiry_days", text).into());
        }
        Ok(())
    }

    async fn round(&self, actor: &Actor, workspace: Option<&WorkspaceId>) -> Result<Shortened, Error> {
        let core = &self.core;
        let now = core.now();
        let mut done = Shortened::default();
        for _ in 0..ROUND {
            let Some(bound) = self.row(workspace).await?.in_force()?.bound(now) else { break };
            let mut reader = core.db.reader().await?;
            let rows = store::policies::beyond(&mut reader.conn(), workspace, bound, (i64::MAX, AFTER_IDS), BATCH).await?;
            drop(reader);
            if rows.is_empty() {
                return Ok(done);
            }
            let mut of_workspace: BTreeMap<WorkspaceId, Vec<KeyId>> = BTreeMap::new();
            for row in &rows {
                of_workspace.entry(parse_id(&row.workspace_id)?).or_default().push(parse_id(&row.id)?);
            }
            for (place, keys) in of_workspace {
                done.shortened += bring_down(core, actor, place, keys, now).await?;
            }
        }
        done.remaining = self.count(workspace, &self.row(workspace).await?.in_force()?).await?;
        Ok(done)
    }
}

impl RulesRow {
    /// What bounds the rules of that place: for a workspace the instance's, for the instance nothing.
    fn instance_for(&self, workspace: Option<&WorkspaceId>) -> Result<KeyPolicy, Error> {
        let open = KeyPolicy { max_live_per_user: u32::MAX, max_live_per_workspace: u32::MAX, ..KeyPolicy::of_instance() };
        if workspace.is_some() { self.instance() } else { Ok(open) }
    }
}

async fn find(conn: &mut crate::store::db::Conn<'_>, workspace: Option<&WorkspaceId>) -> Result<RulesRow, Error> {
    match workspace {
        Some(id) => store::policies::find(conn, id).await?.ok_or_else(Error::not_found),
        None => Ok(store::policies::find_instance(conn).await?),
    }
}

fn detail(row: &RulesRow, workspace: Option<&WorkspaceId>) -> Result<PolicyDetail, Error> {
    let own = row.own()?;
    let in_force = own.within(&row.instance_for(workspace)?);
    Ok(PolicyDetail { own, instance: row.instance()?, in_force, version: row.policy_version })
}

fn changed_meanwhile(row: &RulesRow) -> Error {
    let text = format!(
        "Somebody changed these rules meanwhile (they are at version {} now). Load them again and repeat your change.",
        row.policy_version
    );
    Error::conflict(Some("version"), text)
}

/// What the audit log says of rules.
fn told(policy: &KeyPolicy, existing: Option<ExistingKeys>) -> Value {
    let mut told = json!({
        "max_expiry_days": policy.max_expiry_days, "default_expiry_days": policy.default_expiry_days,
        "default_inactivity_days": policy.default_inactivity_days, "never_allowed": policy.never_allowed,
        "members_may_create": policy.members_may_create, "max_live_per_user": policy.max_live_per_user,
        "max_live_per_workspace": policy.max_live_per_workspace,
    });
    if let Some(existing) = existing {
        told["existing_keys"] = existing.as_str().into();
    }
    told
}

/// Gives keys of one workspace the end that its rules allow now, and each its event and its line in the change log. Says how
/// many it were; whoever was deleted or shortened meanwhile is left alone.
async fn bring_down(core: &Core, actor: &Actor, workspace: WorkspaceId, keys: Vec<KeyId>, now: Timestamp) -> Result<i64, Error> {
    let input = Arc::new((workspace, keys, actor.clone()));
    let macs = Arc::clone(&core.macs);
    let (changed, seq) = core
        .db
        .write(move |mut conn| {
            let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
            Box::pin(async move {
                let (workspace, keys, actor) = &*input;
                store::audit::lock(&mut conn, workspace.as_str()).await?;
                let policy = store::policies::held(&mut conn, workspace).await?;
                let mut changed = Vec::new();
                for id in keys {
                    let Some(mut row) = store::keys::find(&mut conn, workspace, id).await? else { continue };
                    let Some(end) = new_end(&row, &policy, now) else { continue };
                    let before = settings(&row);
                    row.expires_at = Some(end.as_millis());
                    let event = Event::done(now, actor, Some(workspace.as_str()), "key.shorten", id.as_str());
                    event.change(Some(before), Some(settings(&row))).append(&mut conn, &macs).await?;
                    if !store::keys::update(&mut conn, &row).await? {
                        return Err(Error::conflict(None, "A key was changed at this moment. Try again."));
                    }
                    changed.push(id);
                }
                let mut seq = None;
                for id in &changed {
                    seq = Some(store::changes::append(&mut conn, &Change::Key(id), now).await?);
                }
                Ok((i64::try_from(changed.len()).unwrap_or(i64::MAX), seq))
            })
        })
        .await?;
    if let Some(seq) = seq {
        core.reach(seq).await?;
    }
    Ok(changed)
}

/// The end that a key gets, if it lives longer than the rules allow.
fn new_end(row: &KeyRow, policy: &KeyPolicy, now: Timestamp) -> Option<Timestamp> {
    let end = row.expires_at.unwrap_or(i64::MAX);
    let beyond = row.deleted_at.is_none() && policy.bound(now).is_some_and(|bound| end > bound.as_millis());
    policy.brought_down(now).filter(|_| beyond)
}

fn write_cursor(row: &KeyRow) -> String {
    format!("{}~{}", row.expires_at.unwrap_or(i64::MAX), row.id)
}

fn read_cursor(text: &str) -> Result<(i64, String), Problem> {
    let wrong = || Problem::invalid("cursor", "This cursor does not belong to this list. Start again without it.");
    let (end, id) = text.split_once('~').ok_or_else(wrong)?;
    let id: KeyId = id.parse().map_err(|_| wrong())?;
    Ok((end.parse().map_err(|_| wrong())?, id.to_string()))
}
