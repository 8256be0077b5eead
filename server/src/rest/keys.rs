//! `/v1/workspaces/{workspace}/keys`: API keys, from creation to deletion.

use std::time::Duration;

use axum::Json as Reply;
use axum::extract::State;
use axum::http::header::{ETAG, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use keyfold_domain::ids::UserId;
use keyfold_domain::key::{DEFAULT_PAGE, KeyFilter, KeySort, KeySummary, MAX_FILTER_DAYS, MAX_PAGE, StateFilter};
use keyfold_domain::policy::Actor;
use keyfold_domain::problem::Problem;
use keyfold_domain::scope::{KeyKind, ScopeName};
use keyfold_domain::workspace::WorkspaceSummary;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::{Json, ProblemResponse};
use crate::rest::body::OptionalJson;
use crate::rest::caller::{Caller, KeyName, WorkspaceName};
use crate::rest::headers::{AnyVersion, IdempotencyKey, IfMatch};
use crate::rest::nodes::{DoneEverywhereBody, InForceBody, WaitQuery, settle};
use crate::rest::query::Query;
use crate::rest::schemas;
use crate::rest::workspaces::NoQuery;
use crate::state::AppState;

pub(crate) mod bodies;
pub(crate) mod explanation;
pub(crate) mod limits;
pub(crate) mod rotation;
pub(crate) mod usage;

use bodies::{DeactivationBody, IssuedKeyBody, KeyBody, KeyPageBody, KeyPatchBody, NewKeyBody};

/// Which page of which keys.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Part of a name, of the masked secret's end or of an id.
    search: Option<String>,
    /// Which states; `live` is all but the deleted ones.
    #[param(schema_with = schemas::state_filter, required = false)]
    state: Option<String>,
    /// The id of the user whose keys are wanted.
    #[param(example = "usr_00S1E8TYPmMQMyNxIYvHyv")]
    owner: Option<String>,
    /// Only keys that hold this scope itself; what others imply does not count.
    #[param(example = "inference")]
    scope: Option<String>,
    /// Only keys of this kind.
    #[param(schema_with = schemas::kind, required = false)]
    kind: Option<String>,
    /// Only keys that end within so many days and have not ended yet.
    #[param(minimum = 1, maximum = 3650, value_type = Option<u32>)]
    expiring: Option<String>,
    /// `true`: only keys that nobody ever used.
    #[param(value_type = Option<bool>)]
    never_used: Option<String>,
    /// Only keys not used for so many days; one that was never used counts from its creation.
    #[param(minimum = 1, maximum = 3650, value_type = Option<u32>)]
    idle: Option<String>,
    /// Only keys that are tied to this resource, by its id or as `kind:id`.
    #[param(example = "collection:contracts")]
    resource: Option<String>,
    /// By what the list is ordered.
    #[param(schema_with = schemas::sort, required = false)]
    sort: Option<String>,
    /// Left out: the newest first for times of the past (`created`, `last_used`), ascending otherwise.
    #[param(schema_with = schemas::order, required = false)]
    order: Option<String>,
    /// Where the page starts: the `next` of the page before, with all other parameters the same.
    cursor: Option<String>,
    /// The most keys of the page.
    #[param(minimum = 1, maximum = 200, default = 50, value_type = Option<u32>)]
    limit: Option<String>,
}

fn one_of<T>(field: &str, text: Option<&str>, read: impl Fn(&str) -> Option<T>, choices: &[&str]) -> Result<Option<T>, Problem> {
    let wrong = || Problem::invalid(field, format!("Choose one of {}.", choices.join(", ")));
    text.map(|text| read(text).ok_or_else(wrong)).transpose()
}

fn days(field: &str, text: Option<String>) -> Result<Option<u32>, Problem> {
    let in_range = |text: &str| text.parse().ok().filter(|days| (1..=MAX_FILTER_DAYS).contains(days));
    text.map(|text| in_range(&text).ok_or_else(|| Problem::invalid(field, format!("Choose 1 to {MAX_FILTER_DAYS} days.")))).transpose()
}

impl ListQuery {
    /// What the engine is asked for.
    pub(crate) fn filter(self) -> Result<KeyFilter, Problem> {
        let states = StateFilter::ALL.map(StateFilter::as_str);
        let state = one_of("state", self.state.as_deref(), StateFilter::from_name, &states)?.unwrap_or_default();
        let sort = one_of("sort", self.sort.as_deref(), KeySort::from_name, &KeySort::ALL.map(KeySort::as_str))?.unwrap_or_default();
        let descending = |text: &str| match text {
            "asc" => Some(false),
            "desc" => Some(true),
            _ => None,
        };
        let newest_first = matches!(sort, KeySort::Created | KeySort::LastUsed);
        let descending = one_of("order", self.order.as_deref(), descending, &["asc", "desc"])?.unwrap_or(newest_first);
        let limit = page_size(self.limit)?;
        let user = |text: String| text.parse::<UserId>().map_err(|_| Problem::invalid("owner", "Send the id of a user, like usr_…"));
        let scope = |text: String| text.parse::<ScopeName>().map_err(|_| Problem::invalid("scope", "Send the name of one scope."));
        let yes = |text: &str| text.parse::<bool>().ok();
        Ok(KeyFilter {
            search: self.search.unwrap_or_default(),
            state,
            owner: self.owner.map(user).transpose()?,
            scope: self.scope.map(scope).transpose()?,
            kind: one_of("kind", self.kind.as_deref(), KeyKind::from_name, &KeyKind::ALL.map(KeyKind::as_str))?,
            expiring: days("expiring", self.expiring)?,
            never_used: one_of("never_used", self.never_used.as_deref(), yes, &["true", "false"])?.unwrap_or_default(),
            idle: days("idle", self.idle)?,
            resource: self.resource.unwrap_or_default(),
            sort,
            descending,
            cursor: self.cursor,
            limit,
        })
    }
}

/// The rows of a page, as a query says it.
pub(crate) fn page_size(limit: Option<String>) -> Result<u32, Problem> {
    let read = |text: String| text.parse().ok().filter(|limit| (1..=MAX_PAGE).contains(limit));
    match limit {
        None => Ok(DEFAULT_PAGE),
        Some(text) => read(text).ok_or_else(|| Problem::invalid("limit", format!("Choose 1 to {MAX_PAGE}."))),
    }
}

fn tag(key: &KeyBody) -> [(HeaderName, HeaderValue); 1] {
    let quoted = HeaderValue::from_str(&format!("\"{}\"", key.version()));
    [(ETAG, quoted.unwrap_or_else(|_| HeaderValue::from_static("\"\"")))]
}

/// A key after a change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChangedKey)]
pub(crate) struct ChangedKeyBody {
    /// The key.
    #[serde(flatten)]
    key: KeyBody,
    /// How far the change has come on all servers; only with `wait=all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    in_force: Option<InForceBody>,
}

/// The answer to a change of a key that is in force on this server.
async fn changed(state: &AppState, actor: &Actor, key: KeySummary, patience: Option<Duration>) -> Response {
    let key = KeyBody::from(key);
    let (headers, in_force) = settle(state, actor, patience).await;
    (tag(&key), headers, Reply(ChangedKeyBody { key, in_force })).into_response()
}

/// The answer to an end that is in force on this server: nothing, or how far it has come on all.
async fn ended(state: &AppState, actor: &Actor, patience: Option<Duration>) -> Response {
    match settle(state, actor, patience).await {
        (headers, Some(in_force)) => (headers, Reply(DoneEverywhereBody { in_force })).into_response(),
        (headers, None) => (StatusCode::NO_CONTENT, headers).into_response(),
    }
}

fn answer(key: KeySummary) -> Response {
    let key = KeyBody::from(key);
    (tag(&key), Reply(key)).into_response()
}

/// The workspace that an address names, if the caller may know of it.
pub(crate) async fn workspace(state: &AppState, actor: &Actor, name: &WorkspaceName) -> Result<WorkspaceSummary, ProblemResponse> {
    Ok(state.engine.workspaces.get(actor, &name.0).await?)
}

/// List the keys of a workspace that you may see.
///
/// Administrators see every key, others their own. The list is paged by `cursor`; it never shows a secret.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/keys",
    operation_id = "list_keys",
    tag = "keys",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"), ListQuery),
    responses((status = 200, description = "One page of keys.", body = KeyPageBody))
)]
pub(crate) async fn list_keys(
    Caller(actor): Caller,
    name: WorkspaceName,
    Query(query): Query<ListQuery>,
    State(state): State<AppState>,
) -> Result<Reply<KeyPageBody>, ProblemResponse> {
    let filter = query.filter()?;
    let workspace = workspace(&state, &actor, &name).await?;
    Ok(Reply(state.engine.keys.list(&actor, &workspace.id, &filter).await?.into()))
}

/// Create a key.
///
/// The answer carries the secret in full; no later answer does. With an `Idempotency-Key` the act can be sent again after a
/// lost answer without making a second key: the replay is refused with 409 and names the key that was made, but its
/// secret is not shown again; rotate that key to get another.
///
/// A management key that creates a key cannot give it scopes that it does not hold, resources that it is not tied to, nor a
/// later end than its own; where no end is asked for, the new key ends with it at the latest.
///
/// In a session, creating a management key needs a password given within the last ten minutes; `step_up_required` otherwise.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/keys",
    operation_id = "create_key",
    tag = "keys",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("Idempotency-Key" = Option<String>, Header, nullable = false, min_length = 1, max_length = 255, pattern = "^[!-~]+$",
         description = "Your name for this one act, for instance a UUID: 1 to 255 visible ASCII characters.")
    ),
    request_body = NewKeyBody,
    responses((status = 201, description = "The key with its secret.", body = IssuedKeyBody, headers(
        ("Location" = String, description = "The key's address."),
        ("ETag" = String, description = "The key's version in double quotes.")
    )))
)]
pub(crate) async fn create_key(
    Caller(actor): Caller,
    name: WorkspaceName,
    IdempotencyKey(idempotency): IdempotencyKey,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<NewKeyBody>,
) -> Result<Response, ProblemResponse> {
    let workspace = workspace(&state, &actor, &name).await?;
    let issued = state.engine.keys.create(&actor, &workspace.id, body.try_into()?, idempotency.as_deref()).await?;
    let issued = IssuedKeyBody::from(issued);
    let address = format!("/v1/workspaces/{}/keys/{}", name.0, issued.key.id());
    let mut headers = HeaderMap::from_iter(tag(&issued.key));
    if let Ok(address) = HeaderValue::from_str(&address) {
        headers.insert(LOCATION, address);
    }
    Ok((StatusCode::CREATED, headers, Reply(issued)).into_response())
}

/// Read one key.
///
/// Deleted keys can still be read; their secret is gone for good.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/keys/{key}",
    operation_id = "get_key",
    tag = "keys",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("key" = String, Path, description = "The key's id.", example = "key_00S1E8UZ2m0hmDYpk0bPVq")
    ),
    responses((status = 200, description = "The key.", body = KeyBody, headers(("ETag" = String, description = "The key's version in double quotes."))))
)]
pub(crate) async fn get_key(
    Caller(actor): Caller,
    name: KeyName,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Response, ProblemResponse> {
    let workspace = workspace(&state, &actor, &name.workspace).await?;
    Ok(answer(state.engine.keys.get(&actor, &workspace.id, &name.key).await?))
}

/// Change a key's name, scopes, resources, expiry, inactivity interval, note, addresses or limits.
///
/// The next verification already obeys. With `If-Match` the change is made only if nobody else changed the key meanwhile;
/// otherwise the answer is 409 with the key as it is now in `current`.
#[utoipa::path(
    patch,
    path = "/v1/workspaces/{workspace}/keys/{key}",
    operation_id = "update_key",
    tag = "keys",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("key" = String, Path, description = "The key's id.", example = "key_00S1E8UZ2m0hmDYpk0bPVq"),
        ("If-Match" = Option<String>, Header, nullable = false, pattern = "^(\\*|\"[0-9]+\")$", description = "The version the change was made from, as the key's ETag shows it."),
        WaitQuery
    ),
    request_body = KeyPatchBody,
    responses((status = 200, description = "The key after the change.", body = ChangedKeyBody, headers(
        ("ETag" = String, description = "The key's version in double quotes."),
        ("Keyfold-Revision" = i64, description = "The number of a change that is not before this one.")
    )))
)]
pub(crate) async fn update_key(
    Caller(actor): Caller,
    name: KeyName,
    IfMatch(version): IfMatch,
    Query(wait): Query<WaitQuery>,
    State(state): State<AppState>,
    Json(body): Json<KeyPatchBody>,
) -> Result<Response, ProblemResponse> {
    let patience = wait.patience()?;
    let workspace = workspace(&state, &actor, &name.workspace).await?;
    match state.engine.keys.update(&actor, &workspace.id, &name.key, body.into_patch(version)?).await {
        Ok(key) => Ok(changed(&state, &actor, key, patience).await),
        Err(error) => {
            let problem = ProblemResponse::stale(error)?;
            let current = KeyBody::from(state.engine.keys.get(&actor, &workspace.id, &name.key).await?);
            Ok((tag(&current), problem.with_current(&current)).into_response())
        }
    }
}

/// Delete a key.
///
/// Its secret never works again; the record stays and is listed under the state `deleted`.
#[utoipa::path(
    delete,
    path = "/v1/workspaces/{workspace}/keys/{key}",
    operation_id = "delete_key",
    tag = "keys",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("key" = String, Path, description = "The key's id.", example = "key_00S1E8UZ2m0hmDYpk0bPVq"),
        WaitQuery
    ),
    responses(
        (status = 204, description = "The key is deleted.", headers(("Keyfold-Revision" = i64, description = "The number of a change that is not before this one."))),
        (status = 200, description = "The same with `wait=all`.", body = DoneEverywhereBody, headers(("Keyfold-Revision" = i64, description = "The number of a change that is not before this one.")))
    )
)]
pub(crate) async fn delete_key(
    Caller(actor): Caller,
    name: KeyName,
    _: AnyVersion,
    Query(wait): Query<WaitQuery>,
    State(state): State<AppState>,
) -> Result<Response, ProblemResponse> {
    let patience = wait.patience()?;
    let workspace = workspace(&state, &actor, &name.workspace).await?;
    state.engine.keys.delete(&actor, &workspace.id, &name.key).await?;
    Ok(ended(&state, &actor, patience).await)
}

/// Stop a key for now.
///
/// An administrator can activate it again.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/keys/{key}/deactivate",
    operation_id = "deactivate_key",
    tag = "keys",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("key" = String, Path, description = "The key's id.", example = "key_00S1E8UZ2m0hmDYpk0bPVq"),
        WaitQuery
    ),
    request_body(content = Option<DeactivationBody>, description = "May be left out."),
    responses((status = 200, description = "The key, now inactive.", body = ChangedKeyBody, headers(
        ("ETag" = String, description = "The key's version in double quotes."),
        ("Keyfold-Revision" = i64, description = "The number of a change that is not before this one.")
    )))
)]
pub(crate) async fn deactivate_key(
    Caller(actor): Caller,
    name: KeyName,
    _: AnyVersion,
    Query(wait): Query<WaitQuery>,
    State(state): State<AppState>,
    OptionalJson(body): OptionalJson<DeactivationBody>,
) -> Result<Response, ProblemResponse> {
    let patience = wait.patience()?;
    let workspace = workspace(&state, &actor, &name.workspace).await?;
    let key = state.engine.keys.deactivate(&actor, &workspace.id, &name.key, &body.reason).await?;
    Ok(changed(&state, &actor, key, patience).await)
}

/// Let a deactivated or dormant key work again.
///
/// For administrators. A key that has expired needs a new expiry date as well, and a deleted one stays deleted.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/keys/{key}/activate",
    operation_id = "activate_key",
    tag = "keys",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("key" = String, Path, description = "The key's id.", example = "key_00S1E8UZ2m0hmDYpk0bPVq")
    ),
    responses((status = 200, description = "The key.", body = KeyBody, headers(("ETag" = String, description = "The key's version in double quotes."))))
)]
pub(crate) async fn activate_key(
    Caller(actor): Caller,
    name: KeyName,
    _: AnyVersion,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Response, ProblemResponse> {
    let workspace = workspace(&state, &actor, &name.workspace).await?;
    Ok(answer(state.engine.keys.activate(&actor, &workspace.id, &name.key).await?))
}
