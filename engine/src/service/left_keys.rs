//! The queue of keys whose owner left the workspace: stopped, and waiting for somebody to say what becomes of them.

use std::sync::Arc;

use keyfold_domain::ids::{KeyId, UserId, WorkspaceId};
use keyfold_domain::key::{MAX_PAGE, Page};
use keyfold_domain::member::{LeftKey, LeftKeyDecision, LeftKeys, MAX_LEFT_KEYS};
use keyfold_domain::policy::{Action, Actor, Object};
use keyfold_domain::problem::Problem;
use keyfold_domain::scope::KeyKind;
use keyfold_domain::time::Timestamp;
use keyfold_domain::workspace::Role;
use keyfold_engine_macros::compiled_here;
use serde_json::json;

use super::Core;
use super::audit::Event;
use super::keys::present;
use super::keys_write::{end, name_of};
use super::sessions::require_proof;
use crate::error::Error;
use crate::mac::Macs;
use crate::store;
use crate::store::changes::Change;
use crate::store::db::Conn;
use crate::store::keys::KeyRow;

/// The most keys of a person that one act decides about; the rest stay in the queue for the next.
const AT_ONCE: i64 = 1000;

/// The queue as a use case.
#[derive(Clone)]
pub struct LeftKeyQueue {
    pub(crate) core: Arc<Core>,
}

/// A decision about to be carried out.
struct Deciding {
    actor: Actor,
    workspace: WorkspaceId,
    keys: LeftKeys,
    decision: LeftKeyDecision,
    now: Timestamp,
    proven: Result<(), Problem>,
}

fn position(cursor: Option<&str>) -> Result<(i64, String), Problem> {
    let wrong = || Problem::invalid("cursor", "This cursor does not belong to this list. Start again without it.");
    let Some(text) = cursor else { return Ok((i64::MIN, String::new())) };
    let (left_at, id) = text.split_once('.').ok_or_else(wrong)?;
    let id: KeyId = id.parse().map_err(|_| wrong())?;
    Ok((left_at.parse().map_err(|_| wrong())?, id.to_string()))
}

#[compiled_here]
impl LeftKeyQueue {
    /// One page of the queue, the longest there first.
    pub async fn list(&self, actor: &Actor, workspace: &WorkspaceId, cursor: Option<&str>, limit: u32) -> Result<Page<LeftKey>, Error> {
        let core = &self.core;
        core.authorize(actor, Action::ReadMembers, &Object::Workspace(workspace)).await?;
        if !(1..=MAX_PAGE).contains(&limit) {
            return Err(Problem::invalid("limit", format!("Choose 1 to {MAX_PAGE} rows.")).into());
        }
        let (left_at, id) = position(cursor)?;
        let mut reader = core.db.reader().await?;
        let mut rows = store::left_keys::page(&mut reader.conn(), workspace, (left_at, &id), i64::from(limit) + 1).await?;
        drop(reader);
        let more = rows.len() > usize::try_from(limit).unwrap_or(usize::MAX);
        if more {
            rows.pop();
        }
        let next = rows.last().filter(|_| more).map(|row| format!("{}.{}", row.left_at, row.key.id));
        let show = |row: &store::left_keys::LeftKeyRow| {
            Ok::<_, Error>(LeftKey { key: present(core, &row.key)?, left_at: Timestamp::from_millis(row.left_at) })
        };
        Ok(Page { items: rows.iter().map(show).collect::<Result<_, _>>()?, next })
    }

    /// Carries a decision out, all or nothing, and says about how many keys. Giving a management key to somebody needs a
    /// fresh password and a role that is not below theirs: it acts as its owner.
    pub async fn decide(&self, actor: &Actor, workspace: &WorkspaceId, keys: LeftKeys, decision: LeftKeyDecision) -> Result<usize, Error> {
        let core = &self.core;
        core.authorize(actor, Action::ManageMembers, &Object::Workspace(workspace)).await?;
        if let LeftKeys::These(ids) = &keys
            && !(1..=MAX_LEFT_KEYS).contains(&ids.len())
        {
            return Err(Problem::invalid("keys", format!("Name 1 to {MAX_LEFT_KEYS} keys.")).into());
        }
        let proven = require_proof(core, actor).map_err(|error| error.problem());
        let input = Deciding { actor: actor.clone(), workspace: workspace.clone(), keys, decision, now: core.now(), proven };
        let (input, macs) = (Arc::new(input), Arc::clone(&core.macs));
        let (count, seq) = core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move { input.carry_out(&mut conn, &macs).await })
            })
            .await?;
        if let Some(seq) = seq {
            core.reach(seq).await?;
        }
        Ok(count)
    }
}

impl Deciding {
    async fn carry_out(&self, conn: &mut Conn<'_>, macs: &Macs) -> Result<(usize, Option<i64>), Error> {
        let rows = self.rows(conn).await?;
        if rows.is_empty() {
            return Err(Error::not_found());
        }
        for row in &rows {
            self.event(row).append(conn, macs).await?;
        }
        let seq = match &self.decision {
            LeftKeyDecision::Reassign(to) => Some(self.reassign(conn, &rows, to).await?),
            LeftKeyDecision::Revoke => self.revoke(conn, &rows).await?,
            LeftKeyDecision::Keep => {
                self.forget(conn, &rows).await?;
                None
            }
        };
        Ok((rows.len(), seq))
    }

    async fn rows(&self, conn: &mut Conn<'_>) -> Result<Vec<KeyRow>, Error> {
        match &self.keys {
            LeftKeys::Of(person) => Ok(store::left_keys::of_owner(conn, &self.workspace, person, AT_ONCE).await?),
            LeftKeys::These(ids) => {
                let mut ids = ids.clone();
                ids.sort_unstable();
                ids.dedup();
                let mut rows = Vec::with_capacity(ids.len());
                for id in &ids {
                    // One that is not in the queue: nothing of the act is done.
                    rows.push(store::left_keys::find(conn, &self.workspace, id).await?.ok_or_else(Error::not_found)?);
                }
                Ok(rows)
            }
        }
    }

    fn event(&self, row: &KeyRow) -> Event {
        let (action, before, after) = match &self.decision {
            LeftKeyDecision::Reassign(to) => ("key.reassign", json!({ "owner": row.owner_id }), json!({ "owner": to })),
            LeftKeyDecision::Keep => ("key.keep", json!({ "owner": row.owner_id }), json!({ "owner": row.owner_id })),
            LeftKeyDecision::Revoke => ("key.delete", json!({ "deleted_at": null }), json!({ "deleted_at": self.now })),
        };
        Event::done(self.now, &self.actor, Some(self.workspace.as_str()), action, &row.id).change(Some(before), Some(after))
    }

    async fn forget(&self, conn: &mut Conn<'_>, rows: &[KeyRow]) -> Result<(), Error> {
        for row in rows {
            store::left_keys::forget(conn, &self.workspace, &row.id).await?;
        }
        Ok(())
    }

    async fn reassign(&self, conn: &mut Conn<'_>, rows: &[KeyRow], to: &UserId) -> Result<i64, Error> {
        let Some(role) = store::workspaces::find_role(conn, &self.workspace, to).await? else {
            return Err(Problem::invalid("to", "This person is not a member of the workspace.").into());
        };
        if role < Role::Member {
            return Err(Problem::invalid("to", "A viewer cannot have keys. Give this person another role first.").into());
        }
        if rows.iter().any(|row| row.kind == KeyKind::Management.as_str()) {
            // It acts as its owner: nobody may hand one to somebody mightier.
            if self.actor.role_in(&self.workspace) < Some(role) {
                return Err(Error::forbidden("You cannot give a management key to somebody whose role is above yours."));
            }
            self.proven.clone()?;
        }
        self.room(conn, rows.len(), to).await?;
        for row in rows {
            if !store::left_keys::reassign(conn, &self.workspace, &row.id, row.version, to).await? {
                return Err(Error::conflict(None, "Somebody changed one of these keys meanwhile. Load the page again."));
            }
        }
        self.forget(conn, rows).await?;
        // One line is enough: it makes every verifier read all keys of the new owner.
        Ok(store::changes::append(conn, &Change::Membership(&self.workspace, to), self.now).await?)
    }

    /// A person's number of keys is bounded, however they come to them.
    async fn room(&self, conn: &mut Conn<'_>, more: usize, owner: &UserId) -> Result<(), Error> {
        let workspace = store::workspaces::find(conn, self.workspace.as_str()).await?.ok_or_else(Error::not_found)?;
        let most = i64::from(workspace.summary(None)?.key_policy.max_live_per_user);
        let (owned, _) = store::keys::count_live(conn, &self.workspace, owner, most).await?;
        if owned.saturating_add(i64::try_from(more).unwrap_or(i64::MAX)) > most {
            let text = format!("This person would have more than {most} keys, which is as many as allowed. Choose somebody else.");
            return Err(Error::conflict(Some("to"), text));
        }
        Ok(())
    }

    async fn revoke(&self, conn: &mut Conn<'_>, rows: &[KeyRow]) -> Result<Option<i64>, Error> {
        for row in rows {
            let mut row = row.clone();
            end(&mut row, self.now, &name_of(&self.actor));
            if !store::keys::update(conn, &row).await? {
                return Err(Error::conflict(None, "Somebody changed one of these keys meanwhile. Load the page again."));
            }
        }
        self.forget(conn, rows).await?;
        let mut seq = None;
        for row in rows {
            let id: KeyId = store::users::parse_id(&row.id)?;
            seq = Some(store::changes::append(conn, &Change::Key(&id), self.now).await?);
        }
        Ok(seq)
    }
}
