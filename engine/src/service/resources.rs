//! Resources: what keys can be tied to.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyfold_domain::ids::{ResourceId, UserId, WorkspaceId};
use keyfold_domain::key::{MAX_PAGE, Page};
use keyfold_domain::name::{check_search, note};
use keyfold_domain::policy::{Action, Actor, Object, Principal};
use keyfold_domain::problem::Problem;
use keyfold_domain::resource::{KeysConcerned, NewResource, ResourceDetail, ResourceFilter, ResourceName, ResourcePatch, ResourceSummary};
use keyfold_domain::user::UserRef;
use keyfold_domain::verdict::ResourceRef;
use keyfold_engine_macros::compiled_here;
use serde_json::{Value, json};

use super::Core;
use super::audit::Event;
use crate::error::{Error, is_unique_violation};
use crate::store;
use crate::store::changes::Change;
use crate::store::db::Conn;
use crate::store::resources::{Position, ResourceInsert, ResourceRow};

/// How many keys are named where a change would touch them.
pub(crate) const NAMED: i64 = 5;

/// A resource and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedResource {
    /// The resource.
    pub resource: ResourceDetail,
    /// What was said of it when it was added; may be empty.
    pub description: String,
}

/// Resources as a use case.
#[derive(Clone)]
pub struct Resources {
    pub(crate) core: Arc<Core>,
}

#[compiled_here]
impl Resources {
    /// One page of the workspace's resources by name: all of them for its admins, their own for everybody else.
    pub async fn list(&self, actor: &Actor, workspace: &WorkspaceId, filter: &ResourceFilter) -> Result<Page<ResourceDetail>, Error> {
        let page = self.list_described(actor, workspace, filter).await?;
        Ok(Page { items: page.items.into_iter().map(|found| found.resource).collect(), next: page.next })
    }

    /// The same with descriptions.
    pub async fn list_described(
        &self,
        actor: &Actor,
        workspace: &WorkspaceId,
        filter: &ResourceFilter,
    ) -> Result<Page<DescribedResource>, Error> {
        let core = &self.core;
        core.authorize(actor, Action::ReadResources, &Object::Workspace(workspace)).await?;
        if !(1..=MAX_PAGE).contains(&filter.limit) {
            return Err(Problem::invalid("limit", format!("Choose 1 to {MAX_PAGE} rows.")).into());
        }
        check_search("search", &filter.search)?;
        check_search("kind", &filter.kind)?;
        let after = filter.cursor.as_deref().map(decode).transpose()?;
        let only = own_only(actor, workspace);
        if only.is_some() && filter.owner.is_some() && only != filter.owner {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let limit = i64::from(filter.limit);
        let mut reader = core.db.reader().await?;
        let mut rows = store::resources::page(&mut reader.conn(), workspace, only.as_ref(), filter, after.as_ref(), limit + 1).await?;
        drop(reader);
        let more = i64::try_from(rows.len()).unwrap_or(i64::MAX) > limit;
        if more {
            rows.pop();
        }
        let next = rows.last().filter(|_| more).map(encode);
        Ok(Page { items: rows.into_iter().map(described).collect::<Result<_, _>>()?, next })
    }

    /// The kinds of the resources that the actor may see.
    pub async fn kinds(&self, actor: &Actor, workspace: &WorkspaceId) -> Result<Vec<String>, Error> {
        self.core.authorize(actor, Action::ReadResources, &Object::Workspace(workspace)).await?;
        let mut reader = self.core.db.reader().await?;
        Ok(store::resources::kinds(&mut reader.conn(), workspace, own_only(actor, workspace).as_ref()).await?)
    }

    /// Who can own a resource: the members of the workspace, at most a thousand.
    pub async fn owners(&self, actor: &Actor, workspace: &WorkspaceId) -> Result<Vec<UserRef>, Error> {
        self.core.authorize(actor, Action::ManageResources, &Object::Workspace(workspace)).await?;
        let mut reader = self.core.db.reader().await?;
        store::resources::owners(&mut reader.conn(), workspace, 1000).await
    }

    /// One resource. What was deleted, and for members what is not theirs, is not found.
    pub async fn get(&self, actor: &Actor, workspace: &WorkspaceId, id: &ResourceId) -> Result<ResourceDetail, Error> {
        Ok(self.get_named(actor, workspace, &ResourceName::Id(id.clone())).await?.resource)
    }

    /// The same by either of its names, with its description.
    pub async fn get_named(&self, actor: &Actor, workspace: &WorkspaceId, name: &ResourceName) -> Result<DescribedResource, Error> {
        self.core.authorize(actor, Action::ReadResources, &Object::Workspace(workspace)).await?;
        let mut reader = self.core.db.reader().await?;
        let row = store::resources::find(&mut reader.conn(), workspace, name).await?.ok_or_else(Error::not_found)?;
        match own_only(actor, workspace) {
            Some(user) if row.owner_id != user.as_str() => Err(Error::not_found()),
            _ => described(row),
        }
    }

    /// Adds a resource that keys can be tied to.
    pub async fn create(&self, actor: &Actor, workspace: &WorkspaceId, new: NewResource) -> Result<ResourceDetail, Error> {
        Ok(self.create_described(actor, workspace, new, "").await?.resource)
    }

    /// The same with a description: text of several lines, as a key's note is.
    pub async fn create_described(
        &self,
        actor: &Actor,
        workspace: &WorkspaceId,
        new: NewResource,
        description: &str,
    ) -> Result<DescribedResource, Error> {
        let core = &self.core;
        self.may_manage(actor, workspace).await?;
        let new = new.checked()?;
        let description = note("description", description)?;
        let owner = match (&new.owner, actor.user()) {
            (Some(owner), _) => owner.clone(),
            (None, Some(user)) => user.id.clone(),
            (None, None) => return Err(Problem::invalid("owner", "Say whose resource it is.").into()),
        };
        self.check_owner(workspace, &owner).await?;
        let now = core.now();
        let id = ResourceId::generate(now, &mut core.rng());
        let mut after = json!({"kind": new.kind, "external_id": new.external_id, "name": new.name, "owner": owner});
        if !description.is_empty() {
            after["description"] = description.clone().into();
        }
        let event = Event::done(now, actor, Some(workspace.as_str()), "resource.create", id.as_str()).change(None, Some(after));
        let NewResource { kind, external_id, name, .. } = new;
        let insert = ResourceInsert { id, workspace: workspace.clone(), owner, kind, external_id, name, description, now };
        let input = Arc::new((insert, event));
        let macs = Arc::clone(&core.macs);
        let row = core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (insert, event) = &*input;
                    event.append(&mut conn, &macs).await?;
                    store::resources::insert(&mut conn, insert).await.map_err(|error| taken(error, insert))?;
                    find(&mut conn, &insert.workspace, &insert.id).await
                })
            })
            .await?;
        described(row)
    }

    /// Gives a resource another name or owner. Keys that are tied to it stay tied, whoever owns it then.
    pub async fn update(
        &self,
        actor: &Actor,
        workspace: &WorkspaceId,
        id: &ResourceId,
        patch: ResourcePatch,
    ) -> Result<ResourceDetail, Error> {
        let core = &self.core;
        self.may_manage(actor, workspace).await?;
        let patch = patch.checked()?;
        if let Some(owner) = &patch.owner {
            self.check_owner(workspace, owner).await?;
        }
        let event = Event::done(core.now(), actor, Some(workspace.as_str()), "resource.update", id.as_str());
        let input = Arc::new((workspace.clone(), id.clone(), patch, event));
        let macs = Arc::clone(&core.macs);
        let row = core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (workspace, id, patch, event) = &*input;
                    store::audit::lock(&mut conn, workspace.as_str()).await?;
                    let row = find(&mut conn, workspace, id).await?;
                    let name = patch.name.as_ref().unwrap_or(&row.name);
                    let owner = patch.owner.as_ref().map_or(row.owner_id.as_str(), UserId::as_str);
                    let after = json!({"name": name, "owner": owner});
                    event.clone().change(Some(settings(&row)), Some(after)).append(&mut conn, &macs).await?;
                    store::resources::update(&mut conn, workspace, id, name, owner).await?;
                    find(&mut conn, workspace, id).await
                })
            })
            .await?;
        row.detail()
    }

    /// The keys that are tied to a resource, and how many of them would be left with nothing without it.
    pub async fn keys_tied(&self, actor: &Actor, workspace: &WorkspaceId, id: &ResourceId) -> Result<KeysConcerned, Error> {
        self.core.authorize(actor, Action::ManageResources, &Object::Workspace(workspace)).await?;
        let mut reader = self.core.db.reader().await?;
        let mut conn = reader.conn();
        find(&mut conn, workspace, id).await?;
        store::resources::keys_tied(&mut conn, workspace, id, NAMED).await
    }

    /// Deletes a resource. If keys are tied to it that takes a confirmation; the refusal names them. They stay tied: one
    /// that is left with nothing may be used on nothing. Returns the keys that were concerned.
    pub async fn delete(&self, actor: &Actor, workspace: &WorkspaceId, id: &ResourceId, confirmed: bool) -> Result<KeysConcerned, Error> {
        let core = &self.core;
        self.may_manage(actor, workspace).await?;
        let now = core.now();
        let event = Event::done(now, actor, Some(workspace.as_str()), "resource.delete", id.as_str());
        let input = Arc::new((workspace.clone(), id.clone(), event));
        let macs = Arc::clone(&core.macs);
        let (keys, seq) = core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (workspace, id, event) = &*input;
                    store::audit::lock(&mut conn, workspace.as_str()).await?;
                    let row = find(&mut conn, workspace, id).await?;
                    let keys = store::resources::keys_tied(&mut conn, workspace, id, NAMED).await?;
                    if keys.count > 0 && !confirmed {
                        return Err(Error::conflict(Some("confirm"), impact(&keys)));
                    }
                    let after = json!({"deleted_at": now, "keys": keys.count, "keys_stopped": keys.stopped});
                    event.clone().change(Some(settings(&row)), Some(after)).append(&mut conn, &macs).await?;
                    store::resources::delete(&mut conn, workspace, id, now).await?;
                    Ok((keys, store::changes::append(&mut conn, &Change::Resource(workspace, id), now).await?))
                })
            })
            .await?;
        core.reach(seq).await?;
        Ok(keys)
    }

    /// Only admins, and no key that is itself bound to some resources.
    async fn may_manage(&self, actor: &Actor, workspace: &WorkspaceId) -> Result<(), Error> {
        self.core.authorize(actor, Action::ManageResources, &Object::Workspace(workspace)).await?;
        match &actor.principal {
            Principal::Key(key) if key.resources.is_some() => {
                Err(Error::forbidden("A key that is tied to resources cannot manage resources."))
            }
            _ => Ok(()),
        }
    }

    async fn check_owner(&self, workspace: &WorkspaceId, owner: &UserId) -> Result<(), Error> {
        let mut reader = self.core.db.reader().await?;
        match store::workspaces::find_role(&mut reader.conn(), workspace, owner).await? {
            Some(_) => Ok(()),
            None => Err(Problem::invalid("owner", "This person is not a member of the workspace.").into()),
        }
    }
}

fn described(row: ResourceRow) -> Result<DescribedResource, Error> {
    Ok(DescribedResource { resource: row.detail()?, description: row.description })
}

/// Whose resources the actor is bound to, if not an admin. Nobody in particular owns nothing.
fn own_only(actor: &Actor, workspace: &WorkspaceId) -> Option<UserId> {
    if actor.sees_all_keys(workspace) { None } else { actor.user().map(|user| user.id.clone()) }
}

async fn find(conn: &mut Conn<'_>, workspace: &WorkspaceId, id: &ResourceId) -> Result<ResourceRow, Error> {
    store::resources::find(conn, workspace, &ResourceName::Id(id.clone())).await?.ok_or_else(Error::not_found)
}

fn settings(row: &ResourceRow) -> Value {
    json!({"kind": row.kind, "external_id": row.external_id, "name": row.name, "owner": row.owner_id})
}

fn taken(error: sqlx::Error, insert: &ResourceInsert) -> Error {
    if is_unique_violation(&error) {
        let text = format!("There is a {} {} already. Change that one, or choose another id.", insert.kind, insert.external_id);
        Error::conflict(Some("external_id"), text)
    } else {
        error.into()
    }
}

/// What the deletion of a resource does to keys, and how to say yes to it.
fn impact(keys: &KeysConcerned) -> String {
    let tied =
        if keys.count == 1 { format!("The key {keys} is tied to it") } else { format!("{} keys are tied to it: {keys}", keys.count) };
    let then = match (keys.count, keys.stopped) {
        (_, 0) => "and would lose it".to_owned(),
        (1, _) => "and would no longer work".to_owned(),
        (all, stopped) if all == stopped => ". None of them would work any longer".to_owned(),
        (_, stopped) => format!(". {stopped} of them would no longer work"),
    };
    let space = if then.starts_with('.') { "" } else { " " };
    format!("{tied}{space}{then}. Confirm to delete it all the same.")
}

fn encode(row: &ResourceRow) -> String {
    let position = Position { name: row.folded_name.clone(), id: row.id.clone() };
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&position).unwrap_or_default())
}

fn decode(cursor: &str) -> Result<Position, Problem> {
    let read = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| serde_json::from_slice::<Position>(&bytes).ok());
    // PostgreSQL refuses texts with this character; no cursor of ours holds one.
    read.filter(|at| !at.name.contains('\0') && !at.id.contains('\0'))
        .ok_or_else(|| Problem::invalid("cursor", "This cursor does not belong to this list. Start again without it."))
}

/// What a key is to be tied to, and who wants it.
pub(super) struct Wish<'a> {
    pub(super) maker: &'a Actor,
    pub(super) workspace: &'a WorkspaceId,
    /// The owner of the key.
    pub(super) owner: &'a UserId,
    pub(super) names: &'a [ResourceName],
    /// What the key is tied to already; that may stay, whoever owns it and even if it was deleted.
    pub(super) tied: &'a [ResourceSummary],
    /// Also what is not the owner's.
    pub(super) override_owner: bool,
}

impl Wish<'_> {
    /// The resources meant. What does not exist, is foreign, or is somebody else's business is refused in the same words.
    pub(super) async fn resolve(&self, conn: &mut Conn<'_>) -> Result<Vec<ResourceSummary>, Error> {
        let mut found: Vec<ResourceSummary> = Vec::new();
        for name in self.names {
            let resource = match self.tied.iter().find(|tie| names(name, tie)) {
                Some(tie) => tie.clone(),
                None => self.look_up(conn, name).await?,
            };
            if !found.iter().any(|other| other.id == resource.id) {
                found.push(resource);
            }
        }
        store::resources::sort_ties(&mut found);
        Ok(found)
    }

    async fn look_up(&self, conn: &mut Conn<'_>, name: &ResourceName) -> Result<ResourceSummary, Error> {
        let unknown = || Problem::invalid("resources", format!("There is no resource {name} that this key could be tied to."));
        let row = store::resources::find(conn, self.workspace, name).await?.ok_or_else(unknown)?;
        if row.owner_id != self.owner.as_str() {
            if !self.maker.sees_all_keys(self.workspace) {
                return Err(unknown().into());
            }
            if !self.override_owner {
                let text = format!("{} is not a resource of the key's owner. Choose another, or confirm that it shall be so.", row.name);
                return Err(Problem::invalid("resources", text).into());
            }
        }
        row.summary()
    }
}

fn names(name: &ResourceName, tie: &ResourceSummary) -> bool {
    match name {
        ResourceName::Id(id) => *id == tie.id,
        ResourceName::Ref(resource) => !tie.deleted && resource.kind() == tie.kind && resource.external_id() == tie.external_id,
    }
}

/// A key that makes or changes another one cannot tie it to more than it is tied to itself.
pub(super) fn ties_within(maker: &Actor, ties: &[ResourceSummary]) -> Result<(), Error> {
    let Principal::Key(key) = &maker.principal else { return Ok(()) };
    let Some(own) = &key.resources else { return Ok(()) };
    let covered = |tie: &ResourceSummary| {
        tie.deleted || ResourceRef::new(&tie.kind, &tie.external_id).is_ok_and(|resource| own.binary_search(&resource).is_ok())
    };
    if ties.is_empty() || !ties.iter().all(covered) {
        return Err(Error::forbidden("A key that is tied to resources can give only those: name some of them."));
    }
    Ok(())
}

/// Can a key do more with the second set of ties than with the first?
pub(super) fn widens(before: &[ResourceSummary], after: &[ResourceSummary]) -> bool {
    !before.is_empty() && (after.is_empty() || !after.iter().all(|tie| before.iter().any(|other| other.id == tie.id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_deletion_does_is_said_in_a_sentence() {
        let keys = |count, stopped, names: &[&str]| {
            let first = names.iter().map(|name| keyfold_domain::resource::KeyMention {
                id: "key_0123456789012345678901".parse().unwrap(),
                name: (*name).into(),
            });
            impact(&KeysConcerned { count, stopped, first: first.collect() })
        };
        assert_eq!(keys(1, 1, &["CI"]), "The key CI is tied to it and would no longer work. Confirm to delete it all the same.");
        assert_eq!(keys(1, 0, &["CI"]), "The key CI is tied to it and would lose it. Confirm to delete it all the same.");
        assert_eq!(
            keys(3, 2, &["CI", "A"]),
            "3 keys are tied to it: CI, A and 1 more. 2 of them would no longer work. Confirm to delete it all the same."
        );
        assert_eq!(
            keys(2, 2, &["CI", "A"]),
            "2 keys are tied to it: CI and A. None of them would work any longer. Confirm to delete it all the same."
        );
    }

    #[test]
    fn no_text_makes_the_cursor_decoder_stumble() {
        for text in ["", "x", "e30", "bnVsbA", "eyJuYW1lIjoiXHUwMDAwIiwiaWQiOiIifQ"] {
            assert_eq!(decode(text).unwrap_err().field.as_deref(), Some("cursor"), "{text}");
        }
    }
}
