//! Resources: what keys can be tied to.

use keyfold_domain::ids::{ResourceId, UserId};
use keyfold_domain::key::Page;
use keyfold_domain::resource::{KeysConcerned, ResourceDetail, ResourceFilter, ResourceSummary};
use keyfold_domain::time::Timestamp;
use keyfold_domain::user::UserRef;
use keyfold_domain::workspace::WorkspaceSummary;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::codec::Json;
use super::fault::Fault;
#[cfg(feature = "ssr")]
use {
    super::context,
    keyfold_domain::ids::WorkspaceId,
    keyfold_domain::policy::{self, Actor},
    keyfold_domain::problem::Problem,
    keyfold_domain::resource::{NewResource, ResourcePatch},
    keyfold_engine::{Engine, Error},
};

/// How many resources a form offers before one has to search.
pub const OFFERED: u32 = 100;

/// One page of resources, and what the viewer may do with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceList {
    pub workspace: WorkspaceSummary,
    pub resources: Page<ResourceDetail>,
    /// The kinds there are.
    pub kinds: Vec<String>,
    /// Who can own resources; for those who may see everybody's.
    pub owners: Vec<UserRef>,
    /// May add, change and delete them, and sees everybody's.
    pub manages: bool,
    pub now: Timestamp,
}

/// One resource with what a dialog about it needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceView {
    pub workspace: WorkspaceSummary,
    pub resource: ResourceDetail,
    /// The keys that are tied to it.
    pub keys: KeysConcerned,
    /// Who can own it.
    pub owners: Vec<UserRef>,
}

/// What a form offers to tie a key to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceChoice {
    /// Those of the key's owner first, then, for admins, those of others.
    pub resources: Vec<ResourceDetail>,
    /// There are more: one has to search for them.
    pub more: bool,
    /// The key's owner, if the form is about somebody in particular.
    pub owner: Option<UserId>,
    /// The viewer may tie a key to what is not its owner's.
    pub may_override: bool,
    /// What the key is tied to already.
    pub tied: Vec<ResourceSummary>,
}

impl ResourceChoice {
    #[must_use]
    pub fn with(self, tied: Vec<ResourceSummary>) -> Self {
        Self { tied, ..self }
    }

    /// What can be offered for a key of that owner; `None` for the viewer's own.
    #[cfg(feature = "ssr")]
    pub async fn offered(engine: &Engine, actor: &Actor, workspace: &WorkspaceId, owner: Option<UserId>) -> Result<Self, Error> {
        Self::found(engine, actor, workspace, owner, "").await
    }

    #[cfg(feature = "ssr")]
    async fn found(engine: &Engine, actor: &Actor, workspace: &WorkspaceId, owner: Option<UserId>, search: &str) -> Result<Self, Error> {
        let owner = owner.or_else(|| actor.user().map(|user| user.id.clone()));
        let filter = ResourceFilter { search: search.to_owned(), owner: owner.clone(), limit: OFFERED, ..ResourceFilter::default() };
        let own = engine.resources.list(actor, workspace, &filter).await?;
        let (mut resources, mut more) = (own.items, own.next.is_some());
        let may_override = actor.sees_all_keys(workspace);
        if may_override {
            let all = engine.resources.list(actor, workspace, &ResourceFilter { owner: None, ..filter }).await?;
            more |= all.next.is_some();
            let others = all.items.into_iter().filter(|other| Some(&other.owner.id) != owner.as_ref());
            resources.extend(others);
        }
        Ok(Self { resources, more, owner, may_override, tied: Vec::new() })
    }
}

/// The resources of a workspace that the viewer may tie a key to.
#[server(endpoint = "list_resources", prefix = "/_app", input = Json, output = Json)]
pub async fn list_resources(workspace: String, filter: ResourceFilter) -> Result<ResourceList, Fault> {
    let (request, actor) = context::actor()?;
    let workspace = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    let engine = &request.engine.resources;
    let resources = context::reply(engine.list(&actor, &workspace.id, &filter).await)?;
    let kinds = context::reply(engine.kinds(&actor, &workspace.id).await)?;
    let object = policy::Object::Workspace(&workspace.id);
    let manages = policy::can(&actor, policy::Action::ManageResources, &object) == policy::Decision::Allow;
    let owners = if manages { context::reply(engine.owners(&actor, &workspace.id).await)? } else { Vec::new() };
    Ok(ResourceList { resources, kinds, owners, manages, now: request.now(), workspace })
}

/// Resources that a search finds, to tie a key of that owner to; without an owner a key of the viewer's own.
#[server(endpoint = "search_resources", prefix = "/_app", input = Json, output = Json)]
pub async fn search_resources(workspace: String, owner: Option<UserId>, search: String) -> Result<ResourceChoice, Fault> {
    let (request, actor) = context::actor()?;
    let workspace = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    context::reply(ResourceChoice::found(&request.engine, &actor, &workspace.id, owner, &search).await)
}

/// Who can own a resource that is to be added.
#[server(endpoint = "list_resource_owners", prefix = "/_app", input = Json, output = Json)]
pub async fn list_resource_owners(workspace: String) -> Result<Vec<UserRef>, Fault> {
    let (request, actor) = context::actor()?;
    let workspace = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    let mut owners = context::reply(request.engine.resources.owners(&actor, &workspace.id).await)?;
    // Whoever adds one is its likeliest owner.
    owners.sort_by_key(|owner| actor.user().is_none_or(|me| me.id != owner.id));
    Ok(owners)
}

/// One resource, for those who manage them.
#[server(endpoint = "get_resource", prefix = "/_app", input = Json, output = Json)]
pub async fn get_resource(workspace: String, id: String) -> Result<ResourceView, Fault> {
    let (request, actor) = context::actor()?;
    let workspace = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    let id: ResourceId = context::reply(id.parse().map_err(|_| Problem::not_found()))?;
    let engine = &request.engine.resources;
    let resource = context::reply(engine.get(&actor, &workspace.id, &id).await)?;
    let keys = context::reply(engine.keys_tied(&actor, &workspace.id, &id).await)?;
    let owners = context::reply(engine.owners(&actor, &workspace.id).await)?;
    Ok(ResourceView { workspace, resource, keys, owners })
}

/// Adds a resource. The form's own field for the kind is only asked where another word than the usual ones was chosen.
#[server(endpoint = "create_resource", prefix = "/_app")]
pub async fn create_resource(
    workspace: String,
    #[server(default)] kind: String,
    #[server(default)] external_id: String,
    #[server(default)] name: String,
    #[server(default)] owner: String,
) -> Result<String, Fault> {
    let (request, actor) = context::actor()?;
    let place = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    let typed = [("kind", kind.as_str()), ("external_id", &external_id), ("name", &name), ("owner", &owner)];
    let owner = context::reply_to_form(owner_of(&owner), &typed)?;
    let new = NewResource { kind: kind.clone(), external_id: external_id.clone(), name: name.clone(), owner };
    let made = context::reply_to_form(request.engine.resources.create(&actor, &place.id, new).await, &typed)?;
    context::go_to(&format!("/w/{}/resources?done=added", place.slug));
    Ok(made.name)
}

/// The person that a form names; nobody if it names none.
#[cfg(feature = "ssr")]
fn owner_of(text: &str) -> Result<Option<UserId>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Problem::invalid("owner", "Choose a member of the workspace."))
}

/// Gives a resource another name or owner.
#[server(endpoint = "update_resource", prefix = "/_app")]
pub async fn update_resource(
    workspace: String,
    id: ResourceId,
    #[server(default)] name: String,
    #[server(default)] owner: String,
) -> Result<String, Fault> {
    let (request, actor) = context::actor()?;
    let place = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    let typed = [("name", name.as_str()), ("owner", &owner)];
    let owner = context::reply_to_form(owner_of(&owner), &typed)?;
    let patch = ResourcePatch { name: Some(name.clone()), owner };
    let changed = context::reply_to_form(request.engine.resources.update(&actor, &place.id, &id, patch).await, &typed)?;
    context::go_to(&format!("/w/{}/resources?done=saved", place.slug));
    Ok(changed.name)
}

/// Deletes a resource. `confirmed` says that the keys may go that are tied to it.
#[server(endpoint = "delete_resource", prefix = "/_app")]
pub async fn delete_resource(workspace: String, id: ResourceId, #[server(default)] confirmed: bool) -> Result<KeysConcerned, Fault> {
    let (request, actor) = context::actor()?;
    let place = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    let keys = context::reply(request.engine.resources.delete(&actor, &place.id, &id, confirmed).await)?;
    context::go_to(&format!("/w/{}/resources?done=deleted", place.slug));
    Ok(keys)
}
