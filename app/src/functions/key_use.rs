//! What a key is used for, its secrets, and rotation.

use keyfold_domain::ids::{KeyId, SecretId};
use keyfold_domain::problem::Problem;
use keyfold_domain::secret::{Grace, RotatedKey, Rotation, SecretSummary};
use keyfold_domain::time::Timestamp;
use keyfold_domain::usage::{KeyUsage, ScopeEvidence};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::codec::Json;
use super::fault::Fault;
#[cfg(feature = "ssr")]
use {super::context, super::reach::told, keyfold_domain::usage::DEFAULT_DAYS};

/// The secrets of a key and what it was used for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUse {
    pub secrets: Vec<SecretSummary>,
    pub usage: KeyUsage,
    pub evidence: ScopeEvidence,
    pub now: Timestamp,
}

/// A rotation that was refused, to be shown again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmittedRotation {
    pub grace: Grace,
    pub problem: Problem,
}

/// What the dialog of a rotation needs to know besides the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationForm {
    /// The secret that would be replaced.
    pub current: Option<SecretSummary>,
    pub submitted: Option<SubmittedRotation>,
    /// Makes a second post of the same form harmless.
    pub idempotency_key: String,
    pub public_url: String,
}

/// The secrets of a key and what it was used for.
#[server(endpoint = "get_key_use", prefix = "/_app", input = Json, output = Json)]
pub async fn get_key_use(workspace: String, id: KeyId) -> Result<KeyUse, Fault> {
    let (request, actor) = context::actor()?;
    let workspace = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    let secrets = context::reply(request.engine.keys.secrets(&actor, &workspace.id, &id).await)?;
    let usage = context::reply(request.engine.keys.usage(&actor, &workspace.id, &id, DEFAULT_DAYS).await)?;
    let evidence = context::reply(request.engine.keys.evidence(&actor, &workspace.id, &id).await)?;
    Ok(KeyUse { secrets, usage, evidence, now: request.now() })
}

/// What the dialog of a rotation needs to know.
#[server(endpoint = "get_rotation_form", prefix = "/_app", input = Json, output = Json)]
pub async fn get_rotation_form(workspace: String, id: KeyId) -> Result<RotationForm, Fault> {
    let (request, actor) = context::actor()?;
    let workspace = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    let current = context::reply(request.engine.keys.secrets(&actor, &workspace.id, &id).await)?.into_iter().next();
    let idempotency_key = format!("{}-{}", request.now().as_millis(), actor.request.id);
    Ok(RotationForm { current, submitted: use_context(), idempotency_key, public_url: request.public_url.clone() })
}

/// Gives a key a new secret and hands it out, once. (Without script the form is posted to an address of its own instead.)
#[server(endpoint = "rotate_key", prefix = "/_app", input = Json, output = Json)]
pub async fn rotate_key(workspace: String, id: KeyId, rotation: Rotation, idempotency_key: String) -> Result<RotatedKey, Fault> {
    let (request, actor) = context::actor()?;
    let workspace = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    context::reply(request.engine.keys.rotate(&actor, &workspace.id, &id, rotation, Some(&idempotency_key)).await)
}

/// Ends an old secret before its time.
#[server(endpoint = "end_secret", prefix = "/_app")]
pub async fn end_secret(workspace: String, id: KeyId, secret: SecretId) -> Result<Option<String>, Fault> {
    let (request, actor) = context::actor()?;
    let place = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    context::reply(request.engine.keys.end_secret(&actor, &place.id, &id, &secret).await)?;
    Ok(told(&request, &actor, &format!("/w/{}/keys/{id}?done=secret", place.slug)).await)
}
