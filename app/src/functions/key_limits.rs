//! From where and how often a key may be used, and how often all keys of a member together.

use keyfold_domain::ids::{KeyId, UserId};
use keyfold_domain::key::KeyLimits;
use keyfold_domain::time::Timestamp;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::codec::Json;
use super::fault::Fault;
use crate::limit_form::LimitRow;
#[cfg(feature = "ssr")]
use {
    super::context, super::key_changes::change, super::reach::told, crate::limit_form, keyfold_domain::key::KeyPatch,
    keyfold_domain::policy,
};

/// How the addresses and limits of a key stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLimitsView {
    pub limits: KeyLimits,
    /// The viewer may change them.
    pub may_change: bool,
    pub now: Timestamp,
}

/// From where and how often a key may be used.
#[server(endpoint = "get_key_limits", prefix = "/_app", input = Json, output = Json)]
pub async fn get_key_limits(workspace: String, id: KeyId) -> Result<KeyLimitsView, Fault> {
    let (request, actor) = context::actor()?;
    let workspace = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    let key = context::reply(request.engine.keys.get(&actor, &workspace.id, &id).await)?;
    let limits = context::reply(request.engine.keys.limits(&actor, &workspace.id, &id).await)?;
    let object = policy::Object::Key { workspace: &workspace.id, owner: &key.owner.id, id: Some(&id) };
    let live = key.state != keyfold_domain::key::KeyState::Deleted;
    let may_change = live && policy::can(&actor, policy::Action::LimitKey, &object) == policy::Decision::Allow;
    Ok(KeyLimitsView { limits, may_change, now: request.now() })
}

/// Says from where a key may be used.
#[server(endpoint = "change_addresses", prefix = "/_app")]
pub async fn change_addresses(
    workspace: String,
    id: KeyId,
    version: i64,
    #[server(default)] ip_allow: String,
) -> Result<Option<String>, Fault> {
    let typed = [("ip_allow", ip_allow.as_str())];
    let patch = limit_form::addresses(&ip_allow).map(|ranges| KeyPatch { ip_allow: Some(ranges), ..KeyPatch::default() });
    change(&workspace, &id, version, patch, &typed, "addresses").await
}

/// Says how often a key may be used.
#[server(endpoint = "change_limits", prefix = "/_app")]
pub async fn change_limits(
    workspace: String,
    id: KeyId,
    version: i64,
    #[server(default)] limits: Vec<LimitRow>,
) -> Result<Option<String>, Fault> {
    let rows = serde_json::to_string(&limits).unwrap_or_default();
    let typed = [("limits", rows.as_str())];
    let patch = limit_form::limits(&limits).map(|limits| KeyPatch { limits: Some(limits), ..KeyPatch::default() });
    change(&workspace, &id, version, patch, &typed, "limits").await
}

/// Says how often all keys of a member together may be used.
#[server(endpoint = "limit_member", prefix = "/_app")]
pub async fn limit_member(workspace: String, user: UserId, #[server(default)] limits: Vec<LimitRow>) -> Result<Option<String>, Fault> {
    let (request, actor) = context::actor()?;
    let place = context::reply(request.engine.workspaces.find(&actor, &workspace, policy::Action::ManageMembers).await)?;
    let rows = serde_json::to_string(&limits).unwrap_or_default();
    let typed = [("limits", rows.as_str())];
    let limits = context::reply_to_form(limit_form::limits(&limits), &typed)?;
    context::reply_to_form(request.engine.members.limit(&actor, &place.id, &user, limits).await, &typed)?;
    Ok(told(&request, &actor, &format!("/w/{}/members?done=limits", place.slug)).await)
}
