//! Changes of one setting of a key each, as the dialogs of its own page send them.

use keyfold_domain::ids::KeyId;
use leptos::prelude::*;

use super::codec::Json;
use super::fault::Fault;
use super::resources::ResourceChoice;
#[cfg(feature = "ssr")]
use {
    super::context,
    super::reach::told,
    crate::key_form::{self, KeyForm},
    keyfold_domain::key::KeyPatch,
    keyfold_domain::problem::Problem,
    keyfold_domain::time::Timestamp,
};

/// Makes a change to a key of that version, leads a form without script back to the key's page, and says how far the change has
/// come.
#[cfg(feature = "ssr")]
pub(super) async fn change(
    workspace: &str,
    id: &KeyId,
    version: i64,
    patch: Result<KeyPatch, Problem>,
    typed: &[(&str, &str)],
    done: &str,
) -> Result<Option<String>, Fault> {
    let (request, actor) = context::actor()?;
    let place = context::reply(request.engine.workspaces.get(&actor, workspace).await)?;
    let patch = KeyPatch { version: Some(version), ..context::reply_to_form(patch, typed)? };
    context::reply_to_form(request.engine.keys.update(&actor, &place.id, id, patch).await, typed)?;
    Ok(told(&request, &actor, &format!("/w/{}/keys/{id}?done={done}", place.slug)).await)
}

/// Gives a key another name and another note.
#[server(endpoint = "rename_key", prefix = "/_app")]
pub async fn rename_key(
    workspace: String,
    id: KeyId,
    version: i64,
    #[server(default)] name: String,
    #[server(default)] note: String,
) -> Result<Option<String>, Fault> {
    let typed = [("name", name.as_str()), ("note", &note)];
    let patch = KeyPatch { name: Some(name.clone()), note: Some(note.clone()), ..KeyPatch::default() };
    change(&workspace, &id, version, Ok(patch), &typed, "name").await
}

/// Gives a key another end.
#[server(endpoint = "change_expiry", prefix = "/_app")]
pub async fn change_expiry(
    workspace: String,
    id: KeyId,
    version: i64,
    expiry: String,
    #[server(default)] expires_on: String,
    #[server(default)] expires_at: String,
) -> Result<Option<String>, Fault> {
    let typed = [("expiry", expiry.as_str()), ("expires_on", &expires_on)];
    let at = expires_at.parse().ok().map(Timestamp::from_millis);
    let form = KeyForm { expiry: expiry.clone(), expires_on: expires_on.clone(), expires_at: at, ..KeyForm::default() };
    let patch = form.expiry().map(|end| KeyPatch { expires_at: Some(end), ..KeyPatch::default() });
    change(&workspace, &id, version, patch, &typed, "expiry").await
}

/// Gives a key another inactivity interval, or none.
#[server(endpoint = "change_interval", prefix = "/_app")]
pub async fn change_interval(
    workspace: String,
    id: KeyId,
    version: i64,
    #[server(default)] inactivity_days: String,
    #[server(default)] inactivity_custom: String,
) -> Result<Option<String>, Fault> {
    let typed = [("inactivity_days", inactivity_days.as_str()), ("inactivity_custom", &inactivity_custom)];
    let days = key_form::interval(&inactivity_days, &inactivity_custom);
    let patch = days.map(|days| KeyPatch { inactivity_days: Some(days), ..KeyPatch::default() });
    change(&workspace, &id, version, patch, &typed, "interval").await
}

/// What the dialog for a key's resources offers: those of its owner, and for admins the others'.
#[server(endpoint = "get_key_resources", prefix = "/_app", input = Json, output = Json)]
pub async fn get_key_resources(workspace: String, id: KeyId) -> Result<ResourceChoice, Fault> {
    let (request, actor) = context::actor()?;
    let place = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    let key = context::reply(request.engine.keys.get(&actor, &place.id, &id).await)?;
    let choice = context::reply(ResourceChoice::offered(&request.engine, &actor, &place.id, Some(key.owner.id)).await)?;
    Ok(choice.with(key.resources))
}

/// Ties a key to other resources, or to none.
#[server(endpoint = "change_resources", prefix = "/_app")]
pub async fn change_resources(
    workspace: String,
    id: KeyId,
    version: i64,
    reach: String,
    #[server(default)] resources: Vec<String>,
    #[server(default)] override_owner: bool,
) -> Result<Option<String>, Fault> {
    let (chosen, override_text) = (resources.join(" "), override_owner.to_string());
    let typed = [("reach", reach.as_str()), ("resources", &chosen), ("override_owner", &override_text)];
    let names = key_form::named_resources(&reach, &resources);
    let patch = names.map(|names| KeyPatch { resources: Some(names), override_owner, ..KeyPatch::default() });
    change(&workspace, &id, version, patch, &typed, "resources").await
}

/// Stops a key until somebody activates it again.
#[server(endpoint = "deactivate_key", prefix = "/_app")]
pub async fn deactivate_key(workspace: String, id: KeyId, #[server(default)] reason: String) -> Result<Option<String>, Fault> {
    let (request, actor) = context::actor()?;
    let place = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    context::reply_to_form(request.engine.keys.deactivate(&actor, &place.id, &id, &reason).await, &[("reason", &reason)])?;
    Ok(told(&request, &actor, &format!("/w/{}/keys/{id}?done=deactivated", place.slug)).await)
}

/// Lets a stopped key work again.
#[server(endpoint = "activate_key", prefix = "/_app")]
pub async fn activate_key(workspace: String, id: KeyId) -> Result<Option<String>, Fault> {
    let (request, actor) = context::actor()?;
    let place = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    context::reply(request.engine.keys.activate(&actor, &place.id, &id).await)?;
    Ok(told(&request, &actor, &format!("/w/{}/keys/{id}?done=activated", place.slug)).await)
}
