//! `…/keys/{key}/rotate` and `…/keys/{key}/secrets`: new secrets, old secrets, and who still uses them.

use axum::Json as Reply;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use keyfold_domain::ids::SecretId;
use keyfold_domain::secret::{Grace, RotatedKey, Rotation, SecretClient, SecretSummary};
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::bodies::{IssuedKeyBody, KeyBody};
use super::{ended, tag, workspace};
use crate::problem::ProblemResponse;
use crate::rest::body::OptionalJson;
use crate::rest::caller::{Caller, KeyName, SecretName};
use crate::rest::headers::{AnyVersion, IdempotencyKey, IfMatch};
use crate::rest::moments::Moment;
use crate::rest::nodes::{DoneEverywhereBody, InForceBody, WaitQuery, settle};
use crate::rest::query::Query;
use crate::rest::schemas;
use crate::rest::workspaces::NoQuery;
use crate::state::AppState;

/// How a key is rotated.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Rotation, example = json!({"grace": "24h"}))]
pub(crate) struct RotationBody {
    /// How long the present secret goes on working; with `now` every older one ends as well.
    #[serde(default, deserialize_with = "grace")]
    #[schema(schema_with = schemas::grace, required = false)]
    grace: Grace,
}

/// Reads a grace from a text. (A derived reader takes a `null` for broken JSON.)
fn grace<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Grace, D::Error> {
    let name = String::deserialize(deserializer)?;
    Grace::from_name(&name).ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&name), &"now, 1h, 24h or 7d"))
}

/// Somebody who used a secret after it was replaced.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SecretClient)]
pub(crate) struct ClientBody {
    /// The end client's address; `null` if it was not told.
    #[schema(required, example = "203.0.113.7")]
    ip: Option<String>,
    /// How the end client's program calls itself; `null` if it was not told.
    #[schema(required, max_length = 200, example = "curl/8.5.0")]
    user_agent: Option<String>,
    /// When it was last seen with this secret.
    #[schema(schema_with = schemas::last_seen_at)]
    last_seen_at: Moment,
    /// How often it was seen with this secret since the secret was replaced. Under heavy load a lower bound.
    #[schema(minimum = 1, example = 12)]
    calls: i64,
}

impl From<SecretClient> for ClientBody {
    fn from(client: SecretClient) -> Self {
        Self { ip: client.ip, user_agent: client.user_agent, last_seen_at: Moment(client.last_seen_at), calls: client.calls }
    }
}

/// A secret of a key, masked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Secret)]
pub(crate) struct SecretBody {
    /// The secret's id.
    #[schema(value_type = String, example = "sec_00S1E8UZ2m0hmDYpk0bPVq")]
    id: SecretId,
    /// The masked secret, for its holder to recognise it.
    #[schema(example = "kf_sec_…rOY1")]
    hint: String,
    /// Whether it works, as far as the key does.
    #[schema(schema_with = schemas::secret_state)]
    state: &'static str,
    /// When it was made.
    #[schema(schema_with = schemas::created_at)]
    created_at: Moment,
    /// From when on it works no more; `null` while it is the current one.
    #[schema(schema_with = schemas::ends_at, required)]
    ends_at: Option<Moment>,
    /// When it was last used with success; `null` if never.
    #[schema(schema_with = schemas::last_used_at, required)]
    last_used_at: Option<Moment>,
    /// How often it was used with success.
    #[schema(minimum = 0, example = 214)]
    total_calls: i64,
    /// Who was seen with it since it was replaced: the last 20, the latest first.
    #[schema(max_items = 20)]
    clients: Vec<ClientBody>,
}

impl From<SecretSummary> for SecretBody {
    fn from(secret: SecretSummary) -> Self {
        Self {
            id: secret.id,
            hint: secret.hint,
            state: secret.state.as_str(),
            created_at: Moment(secret.created_at),
            ends_at: secret.ends_at.map(Moment),
            last_used_at: secret.last_used_at.map(Moment),
            total_calls: secret.total_calls,
            clients: secret.clients.into_iter().map(ClientBody::from).collect(),
        }
    }
}

/// The secrets of a key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Secrets)]
pub(crate) struct SecretsBody {
    /// The current one first, then the others, the newest first.
    data: Vec<SecretBody>,
    /// Always `null`: there are few enough for one page.
    #[schema(required, example = json!(null))]
    next: Option<String>,
}

/// A key after its rotation, with its new secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RotatedKey)]
pub(crate) struct RotatedKeyBody {
    /// The key and its new secret.
    #[serde(flatten)]
    pub(crate) issued: IssuedKeyBody,
    /// Its secrets, the new one first.
    secrets: Vec<SecretBody>,
    /// The key ended later than the workspace's rules allow now, and was brought down to their limit.
    expiry_lowered: bool,
    /// How far the rotation has come on all servers; only with `wait=all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    in_force: Option<InForceBody>,
}

impl From<RotatedKey> for RotatedKeyBody {
    fn from(rotated: RotatedKey) -> Self {
        Self {
            issued: rotated.issued.into(),
            secrets: rotated.secrets.into_iter().map(SecretBody::from).collect(),
            expiry_lowered: rotated.expiry_lowered,
            in_force: None,
        }
    }
}

/// Give a key a new secret.
///
/// The answer carries the new secret in full; no later answer does. Id, scopes, limits, counters and expiry stay, except
/// that an expiry beyond the workspace's present rules is brought down to them. The secret before goes on working for the
/// `grace`, secrets before that one until the end they had; with `now` all of them end at once.
///
/// With an `Idempotency-Key` the act can be sent again after a lost answer without a second rotation: the replay is refused
/// with 409. If the new secret is lost, rotate once more. With `If-Match` the key is rotated only if nobody changed it
/// meanwhile; otherwise the answer is 409 with the key as it is now in `current`.
///
/// A key cannot rotate itself, nor one that holds scopes that it does not hold. In a session, rotating a management
/// key needs a password given within the last ten minutes; `step_up_required` otherwise.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/keys/{key}/rotate",
    operation_id = "rotate_key",
    tag = "keys",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("key" = String, Path, description = "The key's id.", example = "key_00S1E8UZ2m0hmDYpk0bPVq"),
        ("If-Match" = Option<String>, Header, nullable = false, pattern = "^(\\*|\"[0-9]+\")$", description = "The version the act was made from, as the key's ETag shows it."),
        ("Idempotency-Key" = Option<String>, Header, nullable = false, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
         description = "Your name for this one act, for instance a UUID: 1 to 255 visible ASCII characters."),
        WaitQuery
    ),
    request_body(content = Option<RotationBody>, description = "May be left out."),
    responses((status = 200, description = "The key with its new secret.", body = RotatedKeyBody, headers(
        ("ETag" = String, description = "The key's version in double quotes."),
        ("Keyfold-Revision" = i64, description = "The number of a change that is not before this one.")
    )))
)]
pub(crate) async fn rotate_key(
    Caller(actor): Caller,
    name: KeyName,
    IfMatch(version): IfMatch,
    IdempotencyKey(idempotency): IdempotencyKey,
    Query(wait): Query<WaitQuery>,
    State(state): State<AppState>,
    OptionalJson(body): OptionalJson<RotationBody>,
) -> Result<Response, ProblemResponse> {
    let patience = wait.patience()?;
    let workspace = workspace(&state, &actor, &name.workspace).await?;
    let rotation = Rotation { grace: body.grace, version };
    match state.engine.keys.rotate(&actor, &workspace.id, &name.key, rotation, idempotency.as_deref()).await {
        Ok(rotated) => {
            let (headers, in_force) = settle(&state, &actor, patience).await;
            let rotated = RotatedKeyBody { in_force, ..rotated.into() };
            Ok((tag(&rotated.issued.key), headers, Reply(rotated)).into_response())
        }
        Err(error) => {
            let problem = ProblemResponse::stale(error)?;
            let current = KeyBody::from(state.engine.keys.get(&actor, &workspace.id, &name.key).await?);
            Ok((tag(&current), problem.with_current(&current)).into_response())
        }
    }
}

/// List the secrets of a key.
///
/// The current one, those that still work after a rotation with who was seen using them, and the latest that have ended.
/// No secret is shown.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/keys/{key}/secrets",
    operation_id = "list_secrets",
    tag = "keys",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("key" = String, Path, description = "The key's id.", example = "key_00S1E8UZ2m0hmDYpk0bPVq")
    ),
    responses((status = 200, description = "The secrets, masked.", body = SecretsBody))
)]
pub(crate) async fn list_secrets(
    Caller(actor): Caller,
    name: KeyName,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Reply<SecretsBody>, ProblemResponse> {
    let workspace = workspace(&state, &actor, &name.workspace).await?;
    let secrets = state.engine.keys.secrets(&actor, &workspace.id, &name.key).await?;
    Ok(Reply(SecretsBody { data: secrets.into_iter().map(SecretBody::from).collect(), next: None }))
}

/// End an old secret now.
///
/// It works no more when the answer is there. The current secret cannot be ended: rotate or deactivate the key.
#[utoipa::path(
    delete,
    path = "/v1/workspaces/{workspace}/keys/{key}/secrets/{secret}",
    operation_id = "end_secret",
    tag = "keys",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("key" = String, Path, description = "The key's id.", example = "key_00S1E8UZ2m0hmDYpk0bPVq"),
        ("secret" = String, Path, description = "The secret's id.", example = "sec_00S1E8UZ2m0hmDYpk0bPVq"),
        WaitQuery
    ),
    responses(
        (status = 204, description = "The secret has ended.", headers(("Keyfold-Revision" = i64, description = "The number of a change that is not before this one."))),
        (status = 200, description = "The same with `wait=all`.", body = DoneEverywhereBody, headers(("Keyfold-Revision" = i64, description = "The number of a change that is not before this one.")))
    )
)]
pub(crate) async fn end_secret(
    Caller(actor): Caller,
    name: SecretName,
    _: AnyVersion,
    Query(wait): Query<WaitQuery>,
    State(state): State<AppState>,
) -> Result<Response, ProblemResponse> {
    let patience = wait.patience()?;
    let workspace = workspace(&state, &actor, &name.workspace).await?;
    state.engine.keys.end_secret(&actor, &workspace.id, &name.key, &name.secret).await?;
    Ok(ended(&state, &actor, patience).await)
}
