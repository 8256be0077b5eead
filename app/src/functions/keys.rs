//! API keys.

use keyfold_domain::catalogue::ScopeCatalogue;
use keyfold_domain::ids::{KeyId, UserId};
use keyfold_domain::key::{IssuedKey, KeyFilter, KeySummary, Page};
use keyfold_domain::time::Timestamp;
use keyfold_domain::user::UserRef;
use keyfold_domain::workspace::WorkspaceSummary;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::codec::Json;
use super::context::SubmittedKeyForm;
use super::fault::Fault;
use super::resources::ResourceChoice;
use super::workspaces::Place;
use crate::key_form::KeyForm;
#[cfg(feature = "ssr")]
use {
    super::context, super::reach::told, crate::key_form, keyfold_domain::key::KeyPatch, keyfold_domain::key::NewKey,
    keyfold_domain::policy, keyfold_domain::problem::Problem,
};

/// One page of keys, and what the viewer may do with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyList {
    pub workspace: Place,
    pub keys: Page<KeySummary>,
    pub me: UserId,
    /// Sees everybody's keys, and may change them.
    pub manages_all: bool,
    /// May create keys, and change their own.
    pub may_create: bool,
    pub public_url: String,
    /// Which keys end soon, in words; `None` if none does, or on a page that shows only a part of the keys.
    pub ending: Option<String>,
    /// What the list is narrowed to beside its search and its states, in words.
    pub narrowed: Option<String>,
    /// The moment by which states and distances in time are told.
    pub now: Timestamp,
}

impl KeyList {
    /// May the viewer change that key?
    pub fn may_change(&self, key: &KeySummary) -> bool {
        key.state != keyfold_domain::key::KeyState::Deleted && (self.manages_all || (self.may_create && key.owner.id == self.me))
    }
}

/// What the form of a new key needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFormView {
    pub workspace: WorkspaceSummary,
    /// The form as it is offered first: with the settings of another key, or as the rules say.
    pub offered: KeyForm,
    /// Whose key it shall be; `None` for the viewer's own.
    pub owner: Option<UserRef>,
    /// A form that was refused, to be shown again.
    pub submitted: Option<SubmittedKeyForm>,
    /// Makes a second post of the same form harmless.
    pub idempotency_key: String,
    /// What the key may be used for here.
    pub catalogue: ScopeCatalogue,
    /// What it may be tied to.
    pub resources: ResourceChoice,
    /// The viewer may say from where and how often it may be used.
    pub may_limit: bool,
    pub now: Timestamp,
}

/// One key with what surrounds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    pub workspace: WorkspaceSummary,
    pub key: KeySummary,
    /// The viewer may change it.
    pub may_change: bool,
    /// The viewer may let it work again after it was stopped.
    pub may_activate: bool,
    /// The viewer may make another one like it.
    pub may_copy: bool,
    /// What keys may be used for here.
    pub catalogue: ScopeCatalogue,
    pub now: Timestamp,
}

impl KeyView {
    /// A key in use is deleted only by somebody who types its name: used within the last 7 days.
    pub fn is_in_use(&self) -> bool {
        self.key.last_used_at.is_some_and(|used| self.now.millis_since(used) < 7 * keyfold_domain::time::DAY_MS)
    }

    /// What has to be typed to delete the key: its name, or its hint if it has none.
    pub fn confirmation(&self) -> &str {
        if self.key.name.is_empty() { &self.key.hint } else { &self.key.name }
    }
}

/// The keys of a workspace that the viewer may see.
#[server(endpoint = "list_keys", prefix = "/_app", input = Json, output = Json)]
pub async fn list_keys(workspace: String, filter: KeyFilter) -> Result<KeyList, Fault> {
    let (request, actor) = context::actor()?;
    let workspace = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    let keys = context::reply(request.engine.keys.list(&actor, &workspace.id, &filter).await)?;
    let me = context::reply(actor.user().map(|user| user.id.clone()).ok_or_else(Problem::not_found))?;
    let object = policy::Object::Key { workspace: &workspace.id, owner: &me, id: None };
    let manages_all = actor.sees_all_keys(&workspace.id);
    let may_create = policy::can(&actor, policy::Action::CreateKey, &object) == policy::Decision::Allow
        && (manages_all || workspace.key_policy.members_may_create);
    let ending = if filter == KeyFilter::default() { soon_over(&request, &actor, &workspace).await? } else { None };
    let narrowed = super::key_filters::in_words(&request, &actor, &workspace.id, &filter).await?;
    Ok(KeyList {
        ending,
        narrowed,
        keys,
        me,
        manages_all,
        may_create,
        public_url: request.public_url.clone(),
        now: request.now(),
        workspace: workspace.into(),
    })
}

/// From how near an end on people are warned: 14 days.
#[cfg(feature = "ssr")]
const SOON_MS: i64 = 14 * keyfold_domain::time::DAY_MS;

/// Which keys that the actor sees end soon, in words.
#[cfg(feature = "ssr")]
async fn soon_over(
    request: &context::RequestContext,
    actor: &policy::Actor,
    workspace: &WorkspaceSummary,
) -> Result<Option<String>, Fault> {
    use keyfold_domain::key::{KeySort, StateFilter};
    const NAMED: usize = 3;
    let limit = u32::try_from(NAMED).unwrap_or_default() + 1;
    let first = KeyFilter { state: StateFilter::Active, sort: KeySort::Expires, descending: false, limit, ..KeyFilter::default() };
    let page = context::reply(request.engine.keys.list(actor, &workspace.id, &first).await)?;
    let now = request.now();
    let ends = |key: &KeySummary| key.expires_at.filter(|at| at.millis_since(now) < SOON_MS);
    let ending: Vec<String> = page
        .items
        .iter()
        .filter_map(|key| {
            let name = if key.name.is_empty() { &key.hint } else { &key.name };
            Some(format!("“{name}” {}", crate::format::relative(ends(key)?, now)))
        })
        .collect();
    Ok(match ending.len() {
        0 => None,
        all if all > NAMED => Some(format!("{} and others later", ending[..NAMED].join(", "))),
        _ => Some(crate::format::listed(&ending)),
    })
}

/// What the form of a new key needs to know. `from` is the key whose settings it shall start with, if any.
#[server(endpoint = "get_key_form", prefix = "/_app", input = Json, output = Json)]
pub async fn get_key_form(
    workspace: String,
    #[server(default)] from: Option<KeyId>,
    #[server(default)] owner: Option<UserId>,
) -> Result<KeyFormView, Fault> {
    let (request, actor) = context::actor()?;
    let workspace = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    let may_limit = policy::can(&actor, policy::Action::LimitKey, &policy::Object::Workspace(&workspace.id)) == policy::Decision::Allow;
    let offered = match from {
        Some(id) => {
            let key = context::reply(request.engine.keys.get(&actor, &workspace.id, &id).await)?;
            let form = KeyForm::like(&key, &workspace.key_policy);
            if may_limit { form.bound_like(&key) } else { form }
        }
        None => KeyForm::offered(&workspace.key_policy),
    };
    let idempotency_key = format!("{}-{}", request.now().as_millis(), actor.request.id);
    let owner = match owner {
        Some(id) => Some(context::reply(request.engine.users.get_name(&actor, &workspace.id, &id).await)?),
        None => None,
    };
    let catalogue = context::reply(request.engine.scopes.catalogue(&actor, &workspace.id).await)?;
    let whose = owner.as_ref().map(|owner| owner.id.clone());
    let resources = context::reply(ResourceChoice::offered(&request.engine, &actor, &workspace.id, whose).await)?;
    let now = request.now();
    Ok(KeyFormView { workspace, offered, owner, submitted: use_context(), idempotency_key, catalogue, resources, may_limit, now })
}

/// One key.
#[server(endpoint = "get_key", prefix = "/_app", input = Json, output = Json)]
pub async fn get_key(workspace: String, id: KeyId) -> Result<KeyView, Fault> {
    let (request, actor) = context::actor()?;
    let workspace = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    let key = context::reply(request.engine.keys.get(&actor, &workspace.id, &id).await)?;
    let catalogue = context::reply(request.engine.scopes.catalogue(&actor, &workspace.id).await)?;
    Ok(KeyView { catalogue, ..key_view(&actor, workspace, key, request.now()) })
}

/// A key, and what the actor may do with it. Only the services decide; this tells the page what to offer.
#[cfg(feature = "ssr")]
fn key_view(actor: &policy::Actor, workspace: WorkspaceSummary, key: KeySummary, now: Timestamp) -> KeyView {
    let live = key.state != keyfold_domain::key::KeyState::Deleted;
    let object = policy::Object::Key { workspace: &workspace.id, owner: &key.owner.id, id: Some(&key.id) };
    let may = |action| policy::can(actor, action, &object) == policy::Decision::Allow;
    let creates = may(policy::Action::CreateKey) && (workspace.key_policy.members_may_create || actor.sees_all_keys(&workspace.id));
    KeyView {
        may_change: live && may(policy::Action::UpdateKey),
        may_activate: live && !key.stopped_for_good && may(policy::Action::ActivateKey),
        may_copy: creates,
        catalogue: ScopeCatalogue::default(),
        workspace,
        key,
        now,
    }
}

/// Creates a key and hands out its secret, once. (Without script the form is posted to the page's own address instead.)
#[server(endpoint = "create_key", prefix = "/_app", input = Json, output = Json)]
pub async fn create_key(
    workspace: String,
    form: KeyForm,
    idempotency_key: String,
    #[server(default)] owner: Option<UserId>,
) -> Result<IssuedKey, Fault> {
    let (request, actor) = context::actor()?;
    let workspace = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    let catalogue = context::reply(request.engine.scopes.catalogue(&actor, &workspace.id).await)?;
    let key = NewKey { owner, ..context::reply(form.new_key(&catalogue))? };
    context::reply(request.engine.keys.create(&actor, &workspace.id, key, Some(&idempotency_key)).await)
}

/// Replaces the scopes of a key, if it is still of the version that the form was made from.
#[server(endpoint = "update_key", prefix = "/_app")]
pub async fn update_key(
    workspace: String,
    id: KeyId,
    version: i64,
    #[server(default)] scopes: Vec<String>,
) -> Result<Option<String>, Fault> {
    let (request, actor) = context::actor()?;
    let place = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    let chosen = scopes.join(" ");
    let catalogue = context::reply(request.engine.scopes.catalogue(&actor, &place.id).await)?;
    let scopes = context::reply_to_form(key_form::named_scopes(&scopes, &catalogue), &[("scopes", &chosen)])?;
    let patch = KeyPatch { scopes: Some(scopes), version: Some(version), ..KeyPatch::default() };
    let done = request.engine.keys.update(&actor, &place.id, &id, patch).await;
    context::reply_to_form(done, &[("scopes", &chosen)])?;
    Ok(told(&request, &actor, &format!("/w/{}/keys?done=scopes", place.slug)).await)
}

/// Deletes a key for good.
#[server(endpoint = "delete_key", prefix = "/_app")]
pub async fn delete_key(workspace: String, id: KeyId, #[server(default)] confirmation: String) -> Result<Option<String>, Fault> {
    let (request, actor) = context::actor()?;
    let place = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    let key = context::reply(request.engine.keys.get(&actor, &place.id, &id).await)?;
    let view = key_view(&actor, place, key, request.now());
    if view.is_in_use() && confirmation.trim() != view.confirmation() {
        return context::reply(Err(Problem::invalid("confirmation", "This is not its name. The key is in use, so type it to be sure.")));
    }
    context::reply(request.engine.keys.delete(&actor, &view.workspace.id, &id).await)?;
    Ok(told(&request, &actor, &format!("/w/{}/keys?done=deleted", view.workspace.slug)).await)
}
