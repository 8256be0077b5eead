//! The six routes about keys.

use axum::Json as Reply;
use axum::extract::State;
use axum::http::StatusCode;
use keyfold_domain::ids::{KeyId, UserId};
use keyfold_domain::key::{Expiry, Inactivity, IssuedKey, KeyPatch, KeyState, KeySummary, NewKey};
use keyfold_domain::problem::{Problem, ProblemCode};
use keyfold_domain::resource::ResourceName;
use keyfold_domain::scope::{KeyKind, ScopeSet};
use serde::{Deserialize, Serialize};

use super::Refusal;
use super::caller::{Administrator, Caller, KeyName};
use super::collections;
use super::interval::later;
use super::read::{Body, Query, Rows};
use crate::rest::moments::Moment;
use crate::state::AppState;

/// What a key may be used for that is bound to a collection.
const BOUND: [&str; 1] = ["chat"];
/// What one may be used for that is not: everything on the platform.
const GLOBAL: [&str; 2] = ["chat", "project"];
/// Why a key is stopped, for people who look at it in the console.
const REASON: &str = "Deactivated for good through the h2oGPTe API";

/// A key as this client knows it. It insists on text where there is no name, and on integers as integers.
#[derive(Debug, Serialize)]
pub(super) struct ApiKeyInfo {
    id: KeyId,
    username: String,
    name: String,
    hint: String,
    created_at: Moment,
    expires_at: Option<Moment>,
    last_used_at: Option<Moment>,
    inactivity_interval: Option<u32>,
    total_calls: i64,
    is_active: bool,
    collection_name: Option<String>,
    collection_id: Option<String>,
    is_global_key: bool,
}

impl From<KeySummary> for ApiKeyInfo {
    fn from(key: KeySummary) -> Self {
        let mut bound = key.resources.iter().filter(|resource| resource.kind == collections::KIND);
        let collection = bound.clone().find(|resource| !resource.deleted).or_else(|| bound.next());
        let end = key.hint.rsplit('…').next().unwrap_or_default();
        Self {
            hint: format!("...{end}"),
            collection_name: collection.map(|found| found.name.clone()),
            collection_id: collection.map(|found| found.external_id.clone()),
            is_global_key: key.resources.is_empty(),
            is_active: key.state == KeyState::Active,
            id: key.id,
            username: key.owner.username,
            name: key.name,
            created_at: Moment(key.created_at),
            expires_at: key.expires_at.map(Moment),
            last_used_at: key.last_used_at.map(Moment),
            inactivity_interval: key.inactivity_days,
            total_calls: key.total_calls,
        }
    }
}

/// The one answer with a secret.
#[derive(Debug, Serialize)]
pub(super) struct ApiKeyResult {
    secret_key: String,
    api_key: ApiKeyInfo,
}

/// Which keys.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ListQuery {
    #[serde(flatten)]
    rows: Rows,
    #[serde(default)]
    filter: String,
}

/// `GET …/api_keys`: everybody's keys, the oldest first, of the people whose username holds `filter`. A bare list.
pub(super) async fn list(
    Administrator(caller): Administrator,
    Query(query): Query<ListQuery>,
    State(state): State<AppState>,
) -> Result<Reply<Vec<ApiKeyInfo>>, Refusal> {
    let (offset, limit) = query.rows.read()?;
    let keys = state.engine.keys.list_administered(&caller.actor, &caller.workspace, &query.filter, offset, limit).await?;
    Ok(Reply(keys.into_iter().map(ApiKeyInfo::from).collect()))
}

/// A key to be made. What is null is as good as left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewApiKey {
    user_id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    collection_id: Option<String>,
    #[serde(default)]
    expires_in: Option<String>,
    #[serde(default)]
    inactivity_interval: Option<u32>,
}

/// `POST …/api_keys`: makes a key for a user, bound to one of that user's collections or to nothing.
pub(super) async fn create(
    Administrator(caller): Administrator,
    State(state): State<AppState>,
    Body(body): Body<NewApiKey>,
) -> Result<(StatusCode, Reply<ApiKeyResult>), Refusal> {
    let owner = find_user(&state, &caller, &body.user_id).await?;
    let collection = match body.collection_id.as_deref() {
        None | Some("") => None,
        Some(id) => Some(collections::find(&state, &caller, id).await?.resource),
    };
    if collection.as_ref().is_some_and(|found| found.owner.id != owner) {
        return Err(Problem::invalid("collection_id", "This collection belongs to somebody else. Choose one of the user's own.").into());
    }
    let scopes = if collection.is_some() { scopes(&BOUND) } else { scopes(&GLOBAL) };
    let new = NewKey {
        name: body.name.unwrap_or_default(),
        kind: KeyKind::Secret,
        scopes,
        expires_at: wished_end(&state, &caller, body.expires_in.as_deref()).await?,
        inactivity_days: body.inactivity_interval.map_or(Inactivity::Default, Inactivity::Days),
        note: String::new(),
        owner: Some(owner),
        resources: collection.into_iter().map(|found| ResourceName::Id(found.id)).collect(),
        override_owner: false,
        ip_allow: Vec::new(),
        limits: Vec::new(),
    };
    let IssuedKey { key, secret } = state.engine.keys.create(&caller.actor, &caller.workspace, new, None).await?;
    Ok((StatusCode::CREATED, Reply(ApiKeyResult { secret_key: secret.expose().to_owned(), api_key: key.into() })))
}

fn scopes(names: &[&str]) -> ScopeSet {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

/// The member with that id. What is no id and who does not belong to the workspace are the same nobody.
async fn find_user(state: &AppState, caller: &Caller, id: &str) -> Result<UserId, Refusal> {
    let nobody = || Refusal::from(Problem::new(ProblemCode::NotFound, "There is no user with this id."));
    let id: UserId = id.parse().map_err(|_| nobody())?;
    match state.engine.keys.owner_role(&caller.actor, &caller.workspace, &id).await {
        Ok(_) => Ok(id),
        Err(error) if error.is(ProblemCode::NotFound) => Err(nobody()),
        Err(error) => Err(error.into()),
    }
}

/// When a key shall end. Left out it lives for as long as the rules allow, and no longer than the key that makes it.
async fn wished_end(state: &AppState, caller: &Caller, expires_in: Option<&str>) -> Result<Expiry, Refusal> {
    let now = state.engine.now();
    if let Some(text) = expires_in {
        return Ok(Expiry::At(later(now, text)?));
    }
    let policy = state.engine.workspaces.get(&caller.actor, caller.workspace.as_str()).await?.key_policy;
    let cap = if policy.allows_never() { None } else { policy.brought_down(now) };
    let own = caller.key().and_then(|key| key.expires_at);
    Ok([cap, own].into_iter().flatten().min().map_or(Expiry::Never, Expiry::At))
}

/// The key of the caller's workspace. A deleted one is gone for this client.
async fn find(state: &AppState, caller: &Caller, id: &KeyId) -> Result<KeySummary, Refusal> {
    match state.engine.keys.get(&caller.actor, &caller.workspace, id).await? {
        key if key.state == KeyState::Deleted => Err(Problem::not_found().into()),
        key => Ok(key),
    }
}

/// `POST …/deactivate/{key_id}`: stops a key. This client's users are told that it cannot be undone, so it cannot.
pub(super) async fn deactivate(
    Administrator(caller): Administrator,
    KeyName(id): KeyName,
    State(state): State<AppState>,
) -> Result<StatusCode, Refusal> {
    find(&state, &caller, &id).await?;
    state.engine.keys.deactivate_for_good(&caller.actor, &caller.workspace, &id, REASON).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A new end, or none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewEnd {
    #[serde(default)]
    expires_in: Option<String>,
}

/// `PATCH …/expire/{key_id}`: gives a key another end; without one, the latest that the rules allow.
pub(super) async fn expire(
    Administrator(caller): Administrator,
    KeyName(id): KeyName,
    State(state): State<AppState>,
    Body(body): Body<NewEnd>,
) -> Result<StatusCode, Refusal> {
    find(&state, &caller, &id).await?;
    let end = wished_end(&state, &caller, body.expires_in.as_deref()).await?;
    change(&state, &caller, &id, KeyPatch { expires_at: Some(end), ..KeyPatch::default() }).await
}

/// A new interval in days, or none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewInterval {
    #[serde(default)]
    inactivity_interval: Option<u32>,
}

/// `PATCH …/inactivity_interval/{key_id}`: after how many days without a call a key goes dormant; without a number, never.
pub(super) async fn set_interval(
    Administrator(caller): Administrator,
    KeyName(id): KeyName,
    State(state): State<AppState>,
    Body(body): Body<NewInterval>,
) -> Result<StatusCode, Refusal> {
    find(&state, &caller, &id).await?;
    change(&state, &caller, &id, KeyPatch { inactivity_days: Some(body.inactivity_interval), ..KeyPatch::default() }).await
}

async fn change(state: &AppState, caller: &Caller, id: &KeyId, patch: KeyPatch) -> Result<StatusCode, Refusal> {
    state.engine.keys.update(&caller.actor, &caller.workspace, id, patch).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE …/{key_id}`: ends a key for good.
pub(super) async fn delete(
    Administrator(caller): Administrator,
    KeyName(id): KeyName,
    State(state): State<AppState>,
) -> Result<StatusCode, Refusal> {
    find(&state, &caller, &id).await?;
    state.engine.keys.delete(&caller.actor, &caller.workspace, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
