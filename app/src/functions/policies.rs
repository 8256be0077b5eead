//! The rules for keys: of a workspace, or where its name is empty of the whole instance.
#![expect(clippy::too_many_arguments, reason = "a form has the fields it has")]

use keyfold_domain::policy_limits::{PolicyDetail, PolicyPreview, Shortened};
use keyfold_domain::time::Timestamp;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::codec::Json;
use super::fault::Fault;
use super::password_input::PasswordInput;
use super::workspaces::Place;
use crate::policy_form::PolicyForm;
#[cfg(feature = "ssr")]
use {
    super::context::{self, RequestContext},
    super::sessions::proven,
    keyfold_domain::ids::WorkspaceId,
    keyfold_domain::key::DEFAULT_PAGE,
    keyfold_domain::policy::{Action, Actor, Decision, Object, can},
    keyfold_domain::policy_limits::{ExistingKeys, PolicyChange},
};

/// The rules as they stand, and how many keys live longer than they allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyView {
    /// `None` for the instance.
    pub place: Option<Place>,
    pub policy: PolicyDetail,
    pub beyond: i64,
    /// `None` for the instance.
    pub outages: Option<OutageView>,
}

/// What a server does about a workspace's keys when it has lost touch with the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutageView {
    pub keep_answering: bool,
    /// May whoever looks change it?
    pub may_change: bool,
}

/// New rules that nobody has saved yet, and whom they would concern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewView {
    pub preview: PolicyPreview,
    /// The rules in words: name, present value, new value; only where they differ.
    pub changes: Vec<(String, String, String)>,
    pub now: Timestamp,
}

#[cfg(feature = "ssr")]
async fn place(request: &RequestContext, actor: &Actor, workspace: &str) -> Result<Option<Place>, Fault> {
    if workspace.is_empty() {
        return Ok(None);
    }
    Ok(Some(context::reply(request.engine.workspaces.get(actor, workspace).await)?.into()))
}

#[cfg(feature = "ssr")]
async fn id(request: &RequestContext, actor: &Actor, workspace: &str) -> Result<Option<WorkspaceId>, Fault> {
    if workspace.is_empty() {
        return Ok(None);
    }
    context::reply(request.engine.workspaces.get_id(actor, workspace).await).map(Some)
}

/// Where the rules of a workspace, or of the instance, are shown.
#[cfg(feature = "ssr")]
fn address(workspace: &str) -> String {
    if workspace.is_empty() { "/system/policy".to_owned() } else { format!("/w/{workspace}/settings") }
}

/// The rules, for those who may change them.
#[server(endpoint = "get_policy", prefix = "/_app", input = Json, output = Json)]
pub async fn get_policy(workspace: String) -> Result<PolicyView, Fault> {
    let (request, actor) = context::actor()?;
    let id = id(&request, &actor, &workspace).await?;
    let beyond = context::reply(request.engine.policies.beyond(&actor, id.as_ref()).await)?;
    let policy = context::reply(request.engine.policies.get(&actor, id.as_ref()).await)?;
    let outages = match &id {
        Some(id) => Some(OutageView {
            keep_answering: context::reply(request.engine.policies.keeps_answering(&actor, id).await)?,
            may_change: can(&actor, Action::ChangeOutageRule, &Object::Workspace(id)) == Decision::Allow,
        }),
        None => None,
    };
    Ok(PolicyView { place: place(&request, &actor, &workspace).await?, policy, beyond, outages })
}

/// What new rules would change, and for whom. Changes nothing.
#[server(endpoint = "preview_policy", prefix = "/_app", input = Json, output = Json)]
pub async fn preview_policy(workspace: String, form: PolicyForm, cursor: Option<String>) -> Result<PreviewView, Fault> {
    let (request, actor) = context::actor()?;
    let id = id(&request, &actor, &workspace).await?;
    let policies = &request.engine.policies;
    let present = context::reply(policies.get(&actor, id.as_ref()).await)?.own;
    let rules = context::reply(form.rules())?;
    let (before, after) = (crate::policy_form::told(&present), crate::policy_form::told(&rules));
    let changes = before.into_iter().zip(after).filter(|(before, after)| before.1 != after.1);
    let changes = changes.map(|((name, before), (_, after))| (name.to_owned(), before, after)).collect();
    let preview = context::reply(policies.preview(&actor, id.as_ref(), rules, cursor.as_deref(), DEFAULT_PAGE).await)?;
    Ok(PreviewView { preview, changes, now: request.now() })
}

/// Saves rules, with a word about the keys that live longer than they allow.
#[server(endpoint = "update_policy", prefix = "/_app")]
pub async fn update_policy(
    #[server(default)] workspace: String,
    version: i64,
    #[server(default)] max_expiry_days: String,
    #[server(default)] default_expiry_days: String,
    #[server(default)] default_inactivity_days: String,
    #[server(default)] never_allowed: String,
    #[server(default)] members_may_create: String,
    #[server(default)] max_live_per_user: String,
    #[server(default)] max_live_per_workspace: String,
    #[server(default)] existing_keys: String,
) -> Result<Shortened, Fault> {
    let (request, actor) = context::actor()?;
    let id = id(&request, &actor, &workspace).await?;
    let form = PolicyForm {
        max_expiry_days,
        default_expiry_days,
        default_inactivity_days,
        never_allowed: !never_allowed.is_empty(),
        members_may_create: !members_may_create.is_empty(),
        max_live_per_user,
        max_live_per_workspace,
        version,
    };
    let policy = context::reply(form.rules())?;
    let change = PolicyChange { policy, version: Some(version), existing: ExistingKeys::from_name(&existing_keys) };
    let (_, done) = context::reply(request.engine.policies.update(&actor, id.as_ref(), change).await)?;
    context::go_to(&format!("{}?done=saved&shortened={}", address(&workspace), done.shortened));
    Ok(done)
}

/// Says what a server does about a workspace's keys when it has lost touch with the database: something typed for going on.
#[server(endpoint = "change_outages", prefix = "/_app")]
pub async fn change_outages(
    workspace: String,
    #[server(default)] keep_answering: String,
    #[server(default)] password_again: PasswordInput,
) -> Result<bool, Fault> {
    let (request, actor) = proven(password_again, &[]).await?;
    let id = context::reply(request.engine.workspaces.get_id(&actor, &workspace).await)?;
    let done = request.engine.policies.keep_answering(&actor, &id, !keep_answering.is_empty()).await;
    let kept = context::reply_to_form(done, &[])?;
    context::go_to(&format!("{}#outages", address(&workspace)));
    Ok(kept)
}

/// Brings keys that live longer than the rules in force allow down to them: one round.
#[server(endpoint = "apply_policy", prefix = "/_app")]
pub async fn apply_policy(#[server(default)] workspace: String) -> Result<Shortened, Fault> {
    let (request, actor) = context::actor()?;
    let id = id(&request, &actor, &workspace).await?;
    let done = context::reply(request.engine.policies.shorten(&actor, id.as_ref()).await)?;
    context::go_to(&format!("{}?done=shortened&shortened={}", address(&workspace), done.shortened));
    Ok(done)
}
