//! `/v1/workspaces/{workspace}/scopes`: what keys may be used for.

use axum::Json as Reply;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use keyfold_domain::catalogue::{NewScope, Scope, ScopePatch};
use keyfold_domain::scope::{ScopeName, ScopeSet};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::{Json, ProblemResponse};
use crate::rest::caller::{Caller, ScopeTarget, WorkspaceName};
use crate::rest::headers::AnyVersion;
use crate::rest::keys::bodies::given;
use crate::rest::keys::workspace;
use crate::rest::moments::Moment;
use crate::rest::query::{Query, flag};
use crate::rest::schemas;
use crate::rest::workspaces::NoQuery;
use crate::state::AppState;

/// Shall keys lose the scope with it?
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeleteQuery {
    /// `true` takes the scope out of every key that holds it.
    #[param(default = false, value_type = Option<bool>)]
    remove_from_keys: Option<String>,
}

/// A scope to be added. Fields that are not listed here are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewScope, example = json!({"name": "reports:read", "description": "Read reports.", "implies": ["inference"]}))]
pub(crate) struct NewScopeBody {
    /// Its name, which is fixed.
    #[schema(pattern = "^[a-z][a-z0-9_.:-]{0,62}$", example = "reports:read")]
    name: String,
    /// What it is for: up to 200 characters.
    #[serde(default)]
    #[schema(default = "", max_length = 200, example = "Read reports.")]
    description: String,
    /// Scopes that come with it: any but the management scopes, and never one that leads back to it.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["inference"]))]
    implies: ScopeSet,
    /// May a publishable key hold it? Then it implies only public scopes.
    #[serde(default)]
    #[schema(default = false)]
    public: bool,
}

/// A partial change: a field that is left out stays as it is. Fields that are not listed here are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ScopePatch, example = json!({"implies": ["inference"]}))]
pub(crate) struct ScopePatchBody {
    /// A new description.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::description_given, required = false)]
    description: Option<String>,
    /// The scopes that come with it, all of them.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::implied_given, required = false)]
    implies: Option<ScopeSet>,
    /// May a publishable key hold it?
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<bool>, nullable = false, required = false)]
    public: Option<bool>,
}

/// What a key may be used for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Scope)]
pub(crate) struct ScopeBody {
    /// Its name.
    #[schema(value_type = String, example = "reports:read")]
    name: ScopeName,
    /// What it is for.
    #[schema(example = "Read reports.")]
    description: String,
    /// Scopes that come with it, directly.
    #[schema(value_type = Vec<String>, example = json!(["inference"]))]
    implies: ScopeSet,
    /// May a publishable key hold it?
    public: bool,
    /// Is it for management keys only?
    management: bool,
    /// Does every workspace have it? Such a scope cannot be changed.
    built_in: bool,
    /// When the workspace made it; `null` for a built-in one.
    #[schema(schema_with = schemas::scope_created_at)]
    created_at: Option<Moment>,
}

impl From<Scope> for ScopeBody {
    fn from(scope: Scope) -> Self {
        Self {
            management: scope.is_management(),
            built_in: scope.is_built_in(),
            name: scope.name,
            description: scope.description,
            implies: scope.implies,
            public: scope.public,
            created_at: scope.created_at.map(Moment),
        }
    }
}

/// All scopes of a workspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScopePage)]
pub(crate) struct ScopePageBody {
    /// The built-in scopes, then the workspace's own by name.
    data: Vec<ScopeBody>,
    /// Always `null`: there are few enough for one page.
    #[schema(required, example = json!(null))]
    next: Option<String>,
}

/// List the scopes there are.
///
/// Those that every workspace has, and the workspace's own.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/scopes",
    operation_id = "list_scopes",
    tag = "scopes",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme")),
    responses((status = 200, description = "The scopes.", body = ScopePageBody))
)]
pub(crate) async fn list_scopes(
    Caller(actor): Caller,
    name: WorkspaceName,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Reply<ScopePageBody>, ProblemResponse> {
    let workspace = workspace(&state, &actor, &name).await?;
    let catalogue = state.engine.scopes.catalogue(&actor, &workspace.id).await?;
    Ok(Reply(ScopePageBody { data: catalogue.iter().cloned().map(ScopeBody::from).collect(), next: None }))
}

/// Add a scope of the workspace's own.
///
/// For administrators in a session. No key can do it: it could give itself more by what a scope of its own implies.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/scopes",
    operation_id = "create_scope",
    tag = "scopes",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme")),
    request_body = NewScopeBody,
    responses((status = 201, description = "The scope.", body = ScopeBody, headers(
        ("Location" = String, description = "The scope's address.")
    )))
)]
pub(crate) async fn create_scope(
    Caller(actor): Caller,
    name: WorkspaceName,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<NewScopeBody>,
) -> Result<Response, ProblemResponse> {
    let workspace = workspace(&state, &actor, &name).await?;
    let new = NewScope { name: body.name, description: body.description, implies: body.implies, public: body.public };
    let scope = ScopeBody::from(state.engine.scopes.create(&actor, &workspace.id, new).await?);
    let address = HeaderValue::from_str(&format!("/v1/workspaces/{}/scopes/{}", name.0, scope.name));
    let headers: HeaderMap = address.into_iter().map(|address| (LOCATION, address)).collect();
    Ok((StatusCode::CREATED, headers, Reply(scope)).into_response())
}

/// Read one scope.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/scopes/{scope}",
    operation_id = "get_scope",
    tag = "scopes",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("scope" = String, Path, description = "The scope's name.", example = "reports:read")
    ),
    responses((status = 200, description = "The scope.", body = ScopeBody))
)]
pub(crate) async fn get_scope(
    Caller(actor): Caller,
    target: ScopeTarget,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Reply<ScopeBody>, ProblemResponse> {
    let workspace = workspace(&state, &actor, &target.workspace).await?;
    Ok(Reply(state.engine.scopes.get(&actor, &workspace.id, target.scope.as_str()).await?.into()))
}

/// Change what one of the workspace's own scopes is, implies, and whether it is public.
///
/// For administrators in a session. Every key that holds it obeys from the next verification on. A scope stays public while
/// publishable keys hold it; the refusal names them. A built-in scope cannot be changed.
#[utoipa::path(
    patch,
    path = "/v1/workspaces/{workspace}/scopes/{scope}",
    operation_id = "update_scope",
    tag = "scopes",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("scope" = String, Path, description = "The scope's name.", example = "reports:read")
    ),
    request_body = ScopePatchBody,
    responses((status = 200, description = "The scope after the change.", body = ScopeBody))
)]
pub(crate) async fn update_scope(
    Caller(actor): Caller,
    target: ScopeTarget,
    _: AnyVersion,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<ScopePatchBody>,
) -> Result<Reply<ScopeBody>, ProblemResponse> {
    let workspace = workspace(&state, &actor, &target.workspace).await?;
    let patch = ScopePatch { description: body.description, implies: body.implies, public: body.public };
    Ok(Reply(state.engine.scopes.update(&actor, &workspace.id, target.scope.as_str(), patch).await?.into()))
}

/// Delete one of the workspace's own scopes.
///
/// For administrators in a session. If keys hold it the answer is 409 and names them, unless `remove_from_keys=true`, which
/// takes it out of them. A key that holds nothing else, or a scope that includes this one, blocks the deletion.
#[utoipa::path(
    delete,
    path = "/v1/workspaces/{workspace}/scopes/{scope}",
    operation_id = "delete_scope",
    tag = "scopes",
    params(
        ("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"),
        ("scope" = String, Path, description = "The scope's name.", example = "reports:read"),
        DeleteQuery
    ),
    responses((status = 204, description = "The scope is deleted."))
)]
pub(crate) async fn delete_scope(
    Caller(actor): Caller,
    target: ScopeTarget,
    _: AnyVersion,
    Query(query): Query<DeleteQuery>,
    State(state): State<AppState>,
) -> Result<StatusCode, ProblemResponse> {
    let remove_from_keys = flag("remove_from_keys", query.remove_from_keys.as_deref())?;
    let workspace = workspace(&state, &actor, &target.workspace).await?;
    state.engine.scopes.delete(&actor, &workspace.id, target.scope.as_str(), remove_from_keys).await?;
    Ok(StatusCode::NO_CONTENT)
}
