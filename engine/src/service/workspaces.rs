//! Workspaces: making them, finding them.

use std::sync::Arc;

use keyfold_domain::ids::{UserId, WorkspaceId};
use keyfold_domain::key::Page;
use keyfold_domain::name;
use keyfold_domain::policy::{Action, Actor, Object, Principal};
use keyfold_domain::policy_limits::KeyPolicy;
use keyfold_domain::problem::Problem;
use keyfold_domain::time::Timestamp;
use keyfold_domain::user::PeopleFilter;
use keyfold_domain::workspace::{NewWorkspace, Role, WorkspaceDetail, WorkspaceEnd, WorkspaceSummary};
use keyfold_engine_macros::compiled_here;
use serde_json::json;

use super::Core;
use super::audit::Event;
use super::keys_write::name_of;
use super::members::reigns;
use super::pages::Asked;
use super::sessions::require_proof;
use crate::error::{Error, is_unique_violation};
use crate::store;
use crate::store::changes::Change;
use crate::store::db::Conn;

/// The most workspaces listed.
const MOST: i64 = 1000;

/// A workspace about to be written, in its accepted form.
#[derive(Clone)]
pub(crate) struct Founding {
    pub(crate) id: WorkspaceId,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) owner: UserId,
    pub(crate) now: Timestamp,
}

impl Founding {
    pub(crate) fn checked(core: &Core, new: &NewWorkspace, fields: (&str, &str), owner: UserId) -> Result<Self, Problem> {
        let now = core.now();
        Ok(Self {
            slug: name::slug(fields.0, &new.slug)?,
            name: name::required_name(fields.1, &new.name)?,
            id: WorkspaceId::generate(now, &mut core.rng()),
            owner,
            now,
        })
    }

    pub(crate) fn event(&self, actor: &Actor) -> Event {
        let after = json!({"slug": self.slug, "name": self.name, "owner": self.owner});
        Event::done(self.now, actor, Some(self.id.as_str()), "workspace.create", self.id.as_str()).change(None, Some(after))
    }

    pub(crate) async fn insert(&self, conn: &mut Conn<'_>, slug_field: &str) -> Result<(), Error> {
        let added = store::workspaces::insert(conn, &self.id, &self.slug, &self.name, &KeyPolicy::default(), self.now).await;
        added.map_err(|error| {
            if is_unique_violation(&error) {
                Error::conflict(Some(slug_field), "Another workspace has this short name. Choose another.")
            } else {
                error.into()
            }
        })?;
        Ok(store::workspaces::set_membership(conn, &self.id, &self.owner, Role::Owner, self.now).await?)
    }

    pub(crate) fn summary(self, role: Option<Role>) -> WorkspaceSummary {
        WorkspaceSummary { id: self.id, slug: self.slug, name: self.name, role, key_policy: KeyPolicy::default() }
    }
}

/// Workspaces as a use case.
#[derive(Clone)]
pub struct Workspaces {
    pub(crate) core: Arc<Core>,
}

#[compiled_here]
impl Workspaces {
    /// Makes a workspace that belongs to `owner`.
    pub async fn create(&self, actor: &Actor, new: NewWorkspace, owner: &UserId) -> Result<WorkspaceSummary, Error> {
        self.core.authorize(actor, Action::CreateWorkspace, &Object::Instance).await?;
        let founding = Founding::checked(&self.core, &new, ("slug", "name"), owner.clone())?;
        let mut reader = self.core.db.reader().await?;
        if store::users::find(&mut reader.conn(), owner).await?.is_none() {
            return Err(Problem::invalid("owner", "There is no such user.").into());
        }
        drop(reader);
        let event = founding.event(actor);
        let summary = founding.clone().summary(actor.user().filter(|user| user.id == *owner).map(|_| Role::Owner));
        let macs = Arc::clone(&self.core.macs);
        self.core
            .db
            .write(move |mut conn| {
                let (founding, event, macs) = (founding.clone(), event.clone(), Arc::clone(&macs));
                Box::pin(async move {
                    founding.insert(&mut conn, "slug").await?;
                    event.append(&mut conn, &macs).await
                })
            })
            .await?;
        Ok(summary)
    }

    /// The workspaces the actor may enter, by name; at most a thousand.
    pub async fn list(&self, actor: &Actor) -> Result<Vec<WorkspaceSummary>, Error> {
        let mut reader = self.core.db.reader().await?;
        let mut conn = reader.conn();
        let rows = match &actor.principal {
            Principal::Anonymous => return Err(Error::unauthenticated("Sign in, or send a management key as a Bearer token.")),
            Principal::Operator => store::workspaces::list(&mut conn, None, MOST).await?,
            Principal::User(person) if person.instance_admin => store::workspaces::list(&mut conn, None, MOST).await?,
            Principal::User(person) => store::workspaces::list(&mut conn, Some(&person.user.id), MOST).await?,
            Principal::Key(key) => {
                self.core.authorize(actor, Action::ReadWorkspace, &Object::Workspace(&key.workspace_id)).await?;
                store::workspaces::find(&mut conn, key.workspace_id.as_str()).await?.into_iter().collect()
            }
        };
        rows.into_iter().map(|row| row.summary(None).map(|summary| with_role(actor, summary))).collect()
    }

    /// The id of the workspace with that short name or id, if it is open to the actor; what they may do there is for the act
    /// to ask. A management key needs no scope for it.
    pub async fn get_id(&self, actor: &Actor, slug_or_id: &str) -> Result<WorkspaceId, Error> {
        if matches!(actor.principal, Principal::Anonymous) {
            return Err(Error::unauthenticated("Sign in, or send a management key as a Bearer token."));
        }
        let mut reader = self.core.db.reader().await?;
        let row = store::workspaces::find(&mut reader.conn(), slug_or_id).await?.ok_or_else(Error::not_found)?;
        drop(reader);
        let id = row.summary(None)?.id;
        if actor.role_in(&id).is_some() { Ok(id) } else { Err(Error::not_found()) }
    }

    /// One page of all workspaces, by short name; for instance administrators.
    pub async fn list_all(&self, actor: &Actor, filter: &PeopleFilter) -> Result<Page<WorkspaceDetail>, Error> {
        self.core.authorize(actor, Action::ManageWorkspaces, &Object::Instance).await?;
        let asked = Asked::of(filter)?;
        let mut reader = self.core.db.reader().await?;
        let rows = store::workspaces::page(&mut reader.conn(), &asked.pattern, &asked.after, asked.rows()).await?;
        asked.page(rows, store::workspaces::WorkspaceDetailRow::detail, |workspace| workspace.slug.clone())
    }

    /// Gives a workspace another name. Its short name, which stands in addresses, stays.
    pub async fn rename(&self, actor: &Actor, slug_or_id: &str, name: &str) -> Result<WorkspaceSummary, Error> {
        self.core.authorize(actor, Action::ManageWorkspaces, &Object::Instance).await?;
        let name = name::required_name("name", name)?;
        let mut summary = self.find(actor, slug_or_id, Action::ReadWorkspace).await?;
        let event = Event::done(self.core.now(), actor, Some(summary.id.as_str()), "workspace.rename", summary.id.as_str())
            .change(Some(json!({ "name": summary.name })), Some(json!({ "name": name })));
        summary.name.clone_from(&name);
        let input = Arc::new((summary.id.clone(), name, event));
        let macs = Arc::clone(&self.core.macs);
        self.core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (id, name, event) = &*input;
                    event.append(&mut conn, &macs).await?;
                    if store::workspaces::rename(&mut conn, id, name).await? { Ok(()) } else { Err(Error::not_found()) }
                })
            })
            .await?;
        Ok(summary)
    }

    /// Ends a workspace for good: its keys stop at once, nobody belongs to it any more, and it is found by nobody. Its record
    /// and its audit log stay, and so its short name stays taken. For instance administrators with a fresh password, who
    /// type that short name as `confirmation`; whoever does not is told what it would stop.
    pub async fn delete(&self, actor: &Actor, slug_or_id: &str, confirmation: &str) -> Result<WorkspaceEnd, Error> {
        let core = &self.core;
        core.authorize(actor, Action::ManageWorkspaces, &Object::Instance).await?;
        let summary = self.find(actor, slug_or_id, Action::ReadWorkspace).await?;
        if confirmation.trim() != summary.slug {
            let mut reader = core.db.reader().await?;
            let (_, keys) = store::workspaces::holdings(&mut reader.conn(), &summary.id).await?;
            let keys = if keys == 1 { "1 key".to_owned() } else { format!("{keys} keys") };
            let text = format!("This stops {keys} at once and cannot be undone. Give the short name, {}, to be sure.", summary.slug);
            return Err(Problem::invalid("confirmation", text).into());
        }
        require_proof(core, actor)?;
        let (now, by) = (core.now(), name_of(actor));
        let event = |chain| Event::done(now, actor, chain, "workspace.delete", summary.id.as_str());
        let input = Arc::new((summary.clone(), by, event(Some(summary.id.as_str())), event(None), now));
        let macs = Arc::clone(&core.macs);
        let (members, keys, seq) = core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (workspace, by, there, here, now) = &*input;
                    let id = &workspace.id;
                    // The chain's row first, as whoever changes anything in the workspace does: what is counted then holds.
                    store::audit::lock(&mut conn, id.as_str()).await?;
                    let (members, keys) = store::workspaces::holdings(&mut conn, id).await?;
                    let before = json!({"slug": workspace.slug, "name": workspace.name, "members": members, "live_keys": keys});
                    for event in [there, here] {
                        event.clone().change(Some(before.clone()), None).append(&mut conn, &macs).await?;
                    }
                    if !store::workspaces::delete(&mut conn, id, by, *now).await? {
                        return Err(Error::not_found());
                    }
                    Ok((members, keys, store::changes::append(&mut conn, &Change::WorkspaceEnd(id), *now).await?))
                })
            })
            .await?;
        core.reach(seq).await?;
        Ok(WorkspaceEnd { id: summary.id, slug: summary.slug, stopped_keys: keys, members })
    }

    /// The workspace whose audit log is asked for. Instance administrators find deleted ones as well.
    pub async fn find_log(&self, actor: &Actor, slug_or_id: &str) -> Result<WorkspaceSummary, Error> {
        let id = match self.get_id(actor, slug_or_id).await {
            Err(error) if reigns(actor) && error.is(keyfold_domain::problem::ProblemCode::NotFound) => slug_or_id.to_owned(),
            found => found?.to_string(),
        };
        let mut reader = self.core.db.reader().await?;
        let row = store::workspaces::find_record(&mut reader.conn(), &id).await?.ok_or_else(Error::not_found)?;
        Ok(with_role(actor, row.summary(None)?))
    }

    /// The workspace with that short name or id, if the actor may know of it.
    pub async fn get(&self, actor: &Actor, slug_or_id: &str) -> Result<WorkspaceSummary, Error> {
        self.find(actor, slug_or_id, Action::ReadWorkspace).await
    }

    /// As [`Self::get`], for an act that needs another right than that to read the workspace: the answer of the policy for
    /// that act. A key with the scope `members:read` alone finds the workspace whose members it lists.
    pub async fn find(&self, actor: &Actor, slug_or_id: &str, action: Action) -> Result<WorkspaceSummary, Error> {
        if matches!(actor.principal, Principal::Anonymous) {
            return Err(Error::unauthenticated("Sign in, or send a management key as a Bearer token."));
        }
        let mut reader = self.core.db.reader().await?;
        let row = store::workspaces::find(&mut reader.conn(), slug_or_id).await?.ok_or_else(Error::not_found)?;
        drop(reader);
        let summary = row.summary(None)?;
        self.core.authorize(actor, action, &Object::Workspace(&summary.id)).await?;
        Ok(with_role(actor, summary))
    }
}

fn with_role(actor: &Actor, mut summary: WorkspaceSummary) -> WorkspaceSummary {
    summary.role = actor.role_in(&summary.id);
    summary
}
