//! Scopes: what keys may be used for, and a workspace's own ones.

use keyfold_domain::catalogue::{Scope, ScopeCatalogue};
use keyfold_domain::resource::KeysConcerned;
use keyfold_domain::workspace::WorkspaceSummary;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::codec::Json;
use super::fault::Fault;
#[cfg(feature = "ssr")]
use {
    super::context,
    crate::key_form,
    keyfold_domain::catalogue::{NewScope, ScopePatch},
    keyfold_domain::policy,
    keyfold_domain::problem::Problem,
    keyfold_domain::scope::ScopeSet,
};

/// The scopes of a workspace, and whether the viewer may change its own ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeList {
    pub workspace: WorkspaceSummary,
    pub catalogue: ScopeCatalogue,
    pub manages: bool,
}

/// One of the workspace's own scopes with what a dialog about it needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeView {
    pub workspace: WorkspaceSummary,
    pub catalogue: ScopeCatalogue,
    pub scope: Scope,
    /// The keys that hold it.
    pub holders: KeysConcerned,
}

/// The scopes there are in a workspace.
#[server(endpoint = "list_scopes", prefix = "/_app", input = Json, output = Json)]
pub async fn list_scopes(workspace: String) -> Result<ScopeList, Fault> {
    let (request, actor) = context::actor()?;
    let workspace = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    let catalogue = context::reply(request.engine.scopes.catalogue(&actor, &workspace.id).await)?;
    let object = policy::Object::Workspace(&workspace.id);
    let manages = policy::can(&actor, policy::Action::ManageScopes, &object) == policy::Decision::Allow;
    Ok(ScopeList { workspace, catalogue, manages })
}

/// One of the workspace's own scopes, for those who manage them. There is nothing to do about a built-in one.
#[server(endpoint = "get_scope", prefix = "/_app", input = Json, output = Json)]
pub async fn get_scope(workspace: String, name: String) -> Result<ScopeView, Fault> {
    let (request, actor) = context::actor()?;
    let workspace = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    let catalogue = context::reply(request.engine.scopes.catalogue(&actor, &workspace.id).await)?;
    let own = catalogue.find(&name).filter(|scope| !scope.is_built_in()).cloned();
    let scope = context::reply(own.ok_or_else(Problem::not_found))?;
    let holders = context::reply(request.engine.scopes.holders(&actor, &workspace.id, &name).await)?;
    Ok(ScopeView { workspace, catalogue, scope, holders })
}

/// Adds a scope of the workspace's own.
#[server(endpoint = "create_scope", prefix = "/_app")]
pub async fn create_scope(
    workspace: String,
    #[server(default)] name: String,
    #[server(default)] description: String,
    #[server(default)] implies: Vec<String>,
    #[server(default)] public: bool,
) -> Result<String, Fault> {
    let (request, actor) = context::actor()?;
    let place = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    let (included, is_public) = (implies.join(" "), public.to_string());
    let typed = [("name", name.as_str()), ("description", &description), ("implies", &included), ("public", &is_public)];
    let catalogue = context::reply(request.engine.scopes.catalogue(&actor, &place.id).await)?;
    let implies = context::reply_to_form(named(&implies, &catalogue), &typed)?;
    let new = NewScope { name: name.clone(), description: description.clone(), implies, public };
    let made = context::reply_to_form(request.engine.scopes.create(&actor, &place.id, new).await, &typed)?;
    context::go_to(&format!("/w/{}/scopes?done=added", place.slug));
    Ok(made.name.to_string())
}

/// The ticked scopes. What is wrong with them is said beside their boxes.
#[cfg(feature = "ssr")]
fn named(names: &[String], catalogue: &ScopeCatalogue) -> Result<ScopeSet, Problem> {
    key_form::named_scopes(names, catalogue).map_err(|problem| Problem { field: Some("implies".into()), ..problem })
}

/// Changes what one of the workspace's own scopes is, includes, and whether it is public.
#[server(endpoint = "update_scope", prefix = "/_app")]
pub async fn update_scope(
    workspace: String,
    name: String,
    #[server(default)] description: String,
    #[server(default)] implies: Vec<String>,
    #[server(default)] public: bool,
) -> Result<String, Fault> {
    let (request, actor) = context::actor()?;
    let place = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    let (included, is_public) = (implies.join(" "), public.to_string());
    let typed = [("description", description.as_str()), ("implies", &included), ("public", &is_public)];
    let catalogue = context::reply(request.engine.scopes.catalogue(&actor, &place.id).await)?;
    let implies = context::reply_to_form(named(&implies, &catalogue), &typed)?;
    let patch = ScopePatch { description: Some(description.clone()), implies: Some(implies), public: Some(public) };
    let changed = context::reply_to_form(request.engine.scopes.update(&actor, &place.id, &name, patch).await, &typed)?;
    context::go_to(&format!("/w/{}/scopes?done=saved", place.slug));
    Ok(changed.name.to_string())
}

/// Deletes one of the workspace's own scopes; `remove_from_keys` says that keys shall lose it.
#[server(endpoint = "delete_scope", prefix = "/_app")]
pub async fn delete_scope(workspace: String, name: String, #[server(default)] remove_from_keys: bool) -> Result<KeysConcerned, Fault> {
    let (request, actor) = context::actor()?;
    let place = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    let keys = context::reply(request.engine.scopes.delete(&actor, &place.id, &name, remove_from_keys).await)?;
    context::go_to(&format!("/w/{}/scopes?done=deleted", place.slug));
    Ok(keys)
}
